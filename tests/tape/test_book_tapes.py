"""The book on recorded tapes, beside a naive one: two dictionaries, two sorted lists of ticks and a
running hash of the set of levels.

After every message: the touched levels, the counts, the first 20 levels and the hash of all of
them; the whole book every 1,000 messages.  Where a best-quote message carries the update id of a
depth message, the touch is compared with it.
"""

import gzip
import io
import json
from bisect import bisect_left, insort
from pathlib import Path

import numpy as np
import orjson
import pytest
from zst import zstd

from mmcore._book import Book
from mmcore.events import ASK, BID, EVENT, LEVEL, Flag, Kind, Status, rows_of

MASK = 2**64 - 1
MIX = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)

# File names under the data folder, decimals of tick and of unit, best quotes that can be compared
# at least (as the page beside the data counts them), and whether every message is checked.
TAPES = {
    "usdm BTCUSDT": (["binance/usdm/BTCUSDT/btcusdt_20240808.gz"], 1, 3, 447, True),
    "usdm ETHUSDT": (["binance/usdm/ETHUSDT/ethusdt_20240808.gz"], 2, 3, 426, False),
    "spot NEXOUSDT": (["binance/spot/NEXOUSDT/nexousdt_20240723.dat.gz"], 3, 8, 1, True),
}
PAIR = "binance/{0}/{1}/{2}_20240808.gz", "binance/{0}/{1}/{2}_20240809.gz"
NEXO = (
    "binance/spot/NEXOUSDT/nexousdt_20240723.dat.gz",
    "binance/spot/NEXOUSDT/nexousdt_20240724.dat.gz",
)
SLOW_TAPES = {
    "usdm BTCUSDT, tiny ticks": (["binance/usdm/BTCUSDT/btcusdt_20240808.gz"], 6, 3, 447, True),
    "usdm ETHUSDT, full": (["binance/usdm/ETHUSDT/ethusdt_20240808.gz"], 2, 3, 426, True),
    "spot BTCUSDT": ([p.format("spot", "BTCUSDT", "btcusdt") for p in PAIR], 2, 8, 1059, True),
    "spot ETHUSDT": ([p.format("spot", "ETHUSDT", "ethusdt") for p in PAIR], 2, 8, 992, True),
    "coinm BTCUSD": (
        [p.format("coinm", "BTCUSD_PERP", "btcusd_perp") for p in PAIR],
        1,
        0,
        1885,
        True,
    ),
    "coinm ETHUSD": (
        [p.format("coinm", "ETHUSD_PERP", "ethusd_perp") for p in PAIR],
        2,
        0,
        2278,
        True,
    ),
    "spot NEXOUSDT, both": (list(NEXO), 3, 8, 12117, True),
}


def whole(text: str, decimals: int) -> int:
    """A decimal as a whole number of 10^-decimals, exactly."""
    units, _, fraction = text.partition(".")
    assert not fraction[decimals:].strip("0"), f"{text} is finer than {decimals} decimals"
    return int(units + fraction[:decimals].ljust(decimals, "0"))


def binance(paths, price_decimals, qty_decimals):
    """(depth messages after the sync rule, best quotes by update id) of raw captures."""

    def levels(pairs):
        return [(whole(p, price_decimals), whole(q, qty_decimals)) for p, q in pairs]

    messages, quotes, held = [], {}, []
    for path in paths:
        with gzip.open(path) as file:
            for line in file:
                message = orjson.loads(line.split(b" ", 1)[1])
                data = message.get("data", message)
                if "lastUpdateId" in data:
                    bids, asks = levels(data["bids"]), levels(data["asks"])
                    messages.append((bids, asks, data["lastUpdateId"], 0, Flag.SNAPSHOT))
                    messages += held
                elif data.get("e") == "depthUpdate":
                    depth = (levels(data["b"]), levels(data["a"]), data["u"])
                    depth += (data.get("pu", data["U"] - 1), 0)
                    (messages or held).append(depth)
                elif message["stream"].endswith("bookTicker"):
                    best = whole(data["b"], price_decimals), whole(data["a"], price_decimals)
                    quotes[data["u"]] = best
    return messages, quotes


def bybit(path):
    """Messages of every book in a capture, by connection and topic; 8 decimals everywhere."""
    books = {}
    with path.open("rb") as file:
        for line in io.TextIOWrapper(zstd.open(file)):
            record = json.loads(line)
            data = record.get("data")
            if not isinstance(data, str) or '"orderbook.' not in data:
                continue
            message = orjson.loads(data)
            if "data" not in message or not message.get("topic", "").startswith("orderbook."):
                continue
            body = message["data"]
            sides = [[(whole(p, 8), whole(q, 8)) for p, q in body[side]] for side in "ba"]
            snapshot = Flag.SNAPSHOT if message["type"] == "snapshot" else 0
            books.setdefault((record.get("conn"), message["topic"]), []).append(
                (*sides, body["u"], body["u"] - 1, snapshot)
            )
    return books


def pack(bids, asks, seq, previous, flags):
    levels = bids + asks
    rows = np.zeros(1 + rows_of(len(levels)), EVENT)
    rows[0] = (Kind.DEPTH, 0, flags, 0, 0, len(bids), len(asks), 0, 0, 0, 0, seq, previous, 0, 0)
    if levels:
        rows[1:].view(LEVEL)[: len(levels)] = levels
    return rows


def mixed(side: int, tick: int, qty: int) -> int:
    x = (tick * MIX[0] + qty * MIX[1]) & MASK
    x = ((x ^ (x >> 29)) * MIX[2]) & MASK
    return (x ^ (x >> 32)) & MASK if side == BID else -(x ^ (x >> 32)) & MASK


def hash_of(levels, side: int) -> int:
    """The same over a LEVEL array at once."""
    x = levels["tick"].astype("u8") * np.uint64(MIX[0])
    x += levels["qty"].astype("u8") * np.uint64(MIX[1])
    x = (x ^ (x >> np.uint64(29))) * np.uint64(MIX[2])
    total = int((x ^ (x >> np.uint64(32))).sum(dtype=np.uint64))
    return total if side == BID else -total & MASK


class NaiveBook:
    def __init__(self):
        self.qty = {BID: {}, ASK: {}}
        self.ticks = {BID: [], ASK: []}
        self.hash = 0

    def set(self, side, tick, qty):
        levels, ticks = self.qty[side], self.ticks[side]
        old = levels.pop(tick, 0)
        if old:
            self.hash -= mixed(side, tick, old)
        if qty:
            levels[tick] = qty
            self.hash += mixed(side, tick, qty)
        if qty and not old:
            insort(ticks, tick)
        elif old and not qty:
            del ticks[bisect_left(ticks, tick)]

    def best(self, side, n):
        ticks = self.ticks[side]
        first = ticks[: -n - 1 : -1] if side == BID else ticks[:n]
        return [(tick, self.qty[side][tick]) for tick in first]


def follow(messages, quotes, *, full):
    """Feeds both books; returns the compiled one and the number of best quotes compared."""
    book, naive, compared, last = Book(), NaiveBook(), 0, 0
    for i, (bids, asks, seq, previous, flags) in enumerate(messages):
        book.bind(pack(bids, asks, seq, previous, flags))
        verdict = book.update(0)
        if flags & Flag.SNAPSHOT:
            naive = NaiveBook()
        elif seq <= last:
            assert verdict == 1
            continue
        last = seq
        assert (verdict, book.health) == (0, Status.OK), i
        for side, levels in ((BID, bids), (ASK, asks)):
            for tick, qty in levels:
                naive.set(side, tick, qty)
        if full or i % 50 == 0:
            compare(book, naive, bids, asks)
        if i % 1000 == 0:
            for side in (BID, ASK):
                assert book.levels(side).tolist() == naive.best(side, len(naive.ticks[side]))
            assert book.sound()
        if seq in quotes:
            compared += 1
            assert (book.touch().bid_tick, book.touch().ask_tick) == quotes[seq]
    assert book.counters.gaps == book.counters.bad == book.counters.crossed == 0
    return book, compared


def compare(book, naive, bids, asks):
    for side, levels in ((BID, bids), (ASK, asks)):
        known = naive.qty[side]
        assert all(book.qty(side, tick) == known.get(tick, 0) for tick, _ in levels)
        assert book.levels(side, 20).tolist() == naive.best(side, 20)
    assert (book.n_bids, book.n_asks) == (len(naive.qty[BID]), len(naive.qty[ASK]))
    hashes = hash_of(book.levels(BID), BID) + hash_of(book.levels(ASK), ASK)
    assert (hashes - naive.hash) & MASK == 0


def run_tape(shared_data: Path, names, price_decimals, qty_decimals, comparable, full):
    paths = [shared_data / name for name in names]
    if not all(path.exists() for path in paths):
        pytest.skip(f"no {names[0]}")
    messages, quotes = binance(paths, price_decimals, qty_decimals)
    book, compared = follow(messages, quotes, full=full)
    assert book.counters.messages > 1000
    assert compared >= comparable


@pytest.mark.parametrize("tape", TAPES)
def test_the_book_follows_a_recorded_tape(shared_data, tape):
    run_tape(shared_data, *TAPES[tape])


@pytest.mark.slow
@pytest.mark.parametrize("tape", SLOW_TAPES)
def test_the_book_follows_every_binance_tape(shared_data, tape):
    run_tape(shared_data, *SLOW_TAPES[tape])


def test_the_book_follows_the_bybit_capture(shared_data):
    path = shared_data / "bybit" / "v5_public_2026-08-09" / "BYBIT.jsonl.zst"
    if not path.exists():
        pytest.skip(f"no {path.name}")
    books = bybit(path)
    assert len(books) == 6
    applied = 0
    for messages in books.values():
        book, _ = follow(messages, {}, full=True)
        applied += book.counters.messages
    assert applied == 6 + 2142


def test_a_lost_message_stops_the_book_until_the_snapshot(shared_data):
    path = shared_data / TAPES["usdm BTCUSDT"][0][0]
    if not path.exists():
        pytest.skip(f"no {path.name}")
    messages, _ = binance([path], 1, 3)
    snapshot, live = messages[0], [m for m in messages[1:] if m[2] > messages[0][2]]
    book = Book()
    for message in (snapshot, *live[:100]):
        book.bind(pack(*message))
        assert book.update(0) == 0
    before = book.levels(BID).tolist(), book.levels(ASK).tolist()
    for message in live[101:150]:
        book.bind(pack(*message))
        assert book.update(0) == 2
        assert book.health == Status.GAP
    assert (book.levels(BID).tolist(), book.levels(ASK).tolist()) == before
    assert book.counters.gaps == 1
    book.bind(pack(*snapshot))
    assert book.update(0) == 0
    assert book.health == Status.OK
