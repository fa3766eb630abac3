"""Books of Binance from differences and snapshots: the venue's own rule of synchronisation."""

import asyncio
import json

import numpy as np
import pytest

from mmcore import Book
from mmcore.adapters import _binance_books
from mmcore.adapters._binance_books import Books
from mmcore.adapters._lateness import Lateness
from mmcore.adapters.binance import BinanceSpot, BinanceUsdm
from mmcore.errors import NetworkError
from mmcore.events import Kind, Status
from mmcore.instrument import known


class Venue:
    """One book whose every update is known; ``newest`` is its update id."""

    def __init__(self, futures: bool) -> None:
        self.futures = futures
        self.newest = 100
        self.calls = 0
        self.lag = 0  # snapshots are so many updates old
        self.fails = 0

    def delta(self, width: int = 1) -> bytes:
        before = self.newest
        self.newest += width
        message = {
            "e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": before + 1, "u": self.newest,
            "b": [["100.0", str(self.newest % 7 + 1)]], "a": [["101.0", "1"]],
        }  # fmt: skip
        if self.futures:
            message |= {"T": 1, "pu": before}
        return json.dumps({"stream": "btcusdt@depth@100ms", "data": message}).encode()

    async def depth(self, symbol: str, limit: int) -> bytes:
        assert symbol == "BTCUSDT"
        self.calls += 1
        await asyncio.sleep(0.001)
        if self.fails:
            self.fails -= 1
            raise NetworkError("nobody answers")
        return json.dumps(
            {"lastUpdateId": self.newest - self.lag, "bids": [["100.0", "1"]],
             "asks": [["101.0", "1"]]}
        ).encode()  # fmt: skip


class Desk:
    """Books on a fake venue, and a real book that takes their rows."""

    def __init__(self, futures: bool = True) -> None:
        decoder = BinanceUsdm if futures else BinanceSpot
        self.item = known(decoder.venue, "BTCUSDT")
        self.venue = Venue(futures)
        self.book = Book(self.item.spec())
        self.kinds: list[int] = []
        self.notices: list[str] = []
        self.recycled: list[str] = []
        self.raws: list[str] = []
        self.now = 10**18
        self.tasks: set[asyncio.Task] = set()
        self.books = Books(
            decoder([self.item]), fetch=self.venue.depth, emit=self.rows,
            raw=lambda channel, frame, ts: self.raws.append(channel),
            notice=self.notices.append, recycle=self.recycled.append, spawn=self.spawn,
            clock=lambda: self.now,
            lateness=Lateness(
                {0: "BTCUSDT"}, 1.0, offset=lambda: 10**6 - self.now, measure=self.measure,
                spawn=self.spawn, say=lambda _, text: self.notices.append(text),
                clock=lambda: self.now,
            ),
        )  # fmt: skip

    async def measure(self) -> None:
        """The venue's clock stands still, and is known."""

    def spawn(self, coroutine) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def rows(self, rows: np.ndarray) -> None:
        self.kinds += [int(rows["kind"][0])]
        self.book.bind(rows.copy())
        self.book.run()
        self.book.release()

    def feed(self, frame: bytes) -> None:
        self.books.frame(frame, self.now)

    async def settle(self, steps: int = 20) -> None:
        for _ in range(steps):
            await asyncio.sleep(0.002)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(_binance_books, "WATCH_S", 0.002)
    monkeypatch.setattr(_binance_books, "RETRY_S", 0.002)
    monkeypatch.setattr(_binance_books, "SETTLE_S", 0.004)


def run(test, futures: bool = True) -> None:
    async def go() -> None:
        desk = Desk(futures)
        desk.spawn(desk.books.watch())
        await test(desk)
        for task in list(desk.tasks):
            task.cancel()
        await asyncio.gather(*desk.tasks, return_exceptions=True)

    asyncio.run(go())


@pytest.mark.parametrize("futures", [True, False])
def test_differences_wait_for_the_snapshot_and_follow_it(futures):
    async def check(desk: Desk) -> None:
        desk.feed(desk.venue.delta())
        desk.feed(desk.venue.delta(3))
        assert desk.kinds == []
        desk.books.open()
        assert await desk.books.whole(1.0)
        desk.feed(desk.venue.delta())
        assert desk.book.health == Status.OK and desk.book.counters.gaps == 0
        assert desk.venue.calls == 1 and desk.raws == ["rest:BTCUSDT"]

    run(check, futures)


def test_a_snapshot_that_is_too_old_is_fetched_again():
    async def check(desk: Desk) -> None:
        desk.venue.lag = 5
        desk.feed(desk.venue.delta())
        desk.books.open()
        await desk.settle()
        assert desk.venue.calls > 1 and not await desk.books.whole(0.001)
        desk.venue.lag = 0
        assert await desk.books.whole(1.0)
        assert desk.book.health == Status.OK

    run(check)


def test_a_gap_makes_the_book_stale_and_brings_a_new_snapshot():
    async def check(desk: Desk) -> None:
        desk.books.open()
        assert await desk.books.whole(1.0)
        desk.feed(desk.venue.delta())
        desk.venue.delta()  # lost on the way
        desk.feed(desk.venue.delta())
        assert desk.book.health == Status.GAP
        await desk.settle()
        assert Kind.LINK_DOWN in desk.kinds
        assert desk.book.health == Status.OK and desk.venue.calls == 2

    run(check)


def test_nothing_is_read_while_a_connection_is_missing():
    async def check(desk: Desk) -> None:
        desk.books.open()
        assert await desk.books.whole(1.0)
        desk.books.shut()
        assert desk.kinds[-1] == Kind.LINK_DOWN
        calls = desk.venue.calls
        desk.feed(desk.venue.delta())
        await desk.settle()
        assert desk.venue.calls == calls and desk.kinds[-1] == Kind.LINK_DOWN
        desk.books.open()
        assert await desk.books.whole(1.0)
        assert desk.kinds[-1] == Kind.DEPTH and desk.book.health == Status.OK

    run(check)


def test_a_snapshot_asked_for_before_the_connection_broke_is_thrown_away():
    async def check(desk: Desk) -> None:
        desk.books.open()
        await asyncio.sleep(0)
        desk.books.shut()
        await desk.settle(5)
        assert Kind.DEPTH not in desk.kinds

    run(check)


def test_the_venue_is_asked_until_it_answers():
    async def check(desk: Desk) -> None:
        desk.venue.fails = 2
        desk.books.open()
        assert await desk.books.whole(1.0)
        assert desk.venue.calls == 3 and "nobody answers" in desk.notices[0]

    run(check)


def test_silence_of_a_quiet_market_changes_nothing():
    async def check(desk: Desk) -> None:
        desk.books.open()
        assert await desk.books.whole(1.0)
        for _ in range(3):
            desk.now += 3_000_000_000
            await desk.settle(10)
        assert desk.venue.calls >= 2 and Kind.LINK_DOWN not in desk.kinds and not desk.recycled

    run(check)


def test_a_stream_that_froze_is_given_up_and_its_book_is_stale():
    async def check(desk: Desk) -> None:
        desk.books.open()
        assert await desk.books.whole(1.0)
        desk.venue.delta()  # the book moved, and nothing came
        desk.now += 3_000_000_000
        await desk.settle(10)
        assert desk.kinds[-1] == Kind.LINK_DOWN or Kind.LINK_DOWN in desk.kinds
        assert desk.recycled and "BTCUSDT" in desk.recycled[0]

    run(check)


@pytest.mark.parametrize(
    "frame",
    [
        b"{",
        b"[1]",
        b'{"data":{"e":"depthUpdate","s":"BTCUSDT","E":1,"T":1,"U":1}}',
        b'{"data":{"e":"depthUpdate","s":"BTCUSDT","E":1,"T":1,"U":2,"u":2,"b":[["1.05",1]]}}',
    ],
)
def test_a_damaged_frame_is_told_and_the_book_read_again(frame):
    async def check(desk: Desk) -> None:
        desk.books.open()
        assert await desk.books.whole(1.0)
        desk.feed(frame)
        assert desk.kinds[-1] == Kind.LINK_DOWN and "reads the book again" in desk.notices[0]
        await desk.settle()
        assert desk.book.health == Status.OK and desk.venue.calls == 2

    run(check)


def test_a_trade_that_cannot_be_read_costs_no_book():
    async def check(desk: Desk) -> None:
        desk.books.open()
        assert await desk.books.whole(1.0)
        desk.feed(b'{"data":{"e":"aggTrade","s":"BTCUSDT","a":1,"p":"x","q":"1","m":true,"T":1}}')
        desk.feed(b'{"data":{"e":"aggTrade","s":"XRPUSDT","a":1,"p":"1","q":"1","m":true,"T":1}}')
        desk.feed(b'{"result":null,"id":1}')
        assert Kind.LINK_DOWN not in desk.kinds and len(desk.notices) == 2

    run(check)


def test_an_instrument_that_the_venue_closed_stays_stale():
    async def check(desk: Desk) -> None:
        desk.books.open()
        assert await desk.books.whole(1.0)
        desk.books.halt(0)
        calls = desk.venue.calls
        desk.feed(desk.venue.delta())
        await desk.settle()
        assert desk.venue.calls == calls and desk.kinds[-1] == Kind.LINK_DOWN

    run(check)
