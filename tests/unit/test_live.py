"""The live desk, at a venue made of a few lines: rows in, requests out, both sides the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcore import live
from mmcore._pump import Pump
from mmcore.connect import Connection, Connections
from mmcore.errors import ExitCode, VenueError
from mmcore.events import (
    EVENT,
    RECORD,
    Flag,
    Kind,
    RecordKind,
    RejectCode,
    RequestKind,
    Status,
    TimeInForce,
)
from mmcore.gateway import (
    AccountState,
    Balance,
    ClientIds,
    Health,
    Prepared,
    Sink,
    VenueOrder,
)
from mmcore.instrument import Instrument, known
from mmcore.journal import Journal, RunDirectory, read_records
from mmcore.live import LiveDesk
from mmcore.own_orders import Resting, open_orders
from mmcore.progress import Level, Snapshot, Summary
from mmcore.run import Ending, Run
from mmcore.schema import (
    Config,
    GridConfig,
    InstrumentConfig,
    LimitsConfig,
    LiveConfig,
    MarketConfig,
    TwoSidedConfig,
)
from mmcore.synthetic import SyntheticSource, market, together
from mmcore.tape import TapeFile, TapeWriter
from mmcore.wiring import build

Rows = NDArray[np.void]
IDS = ClientIds("0123456789ab", 7)
ANSWERS = {
    RequestKind.PLACE: Kind.ACK,
    RequestKind.AMEND: Kind.AMENDED,
    RequestKind.CANCEL: Kind.CANCELLED,
}


class SmallVenue:
    """A gateway: market data of a synthetic source, orders that all rest, every third one filled.

    Knobs: ``deaf`` answers nothing; ``lie`` is added to the position it tells; ``slow_cancel``
    seconds that cancel_all takes; ``fault`` is raised by it.
    """

    def __init__(self, items: tuple[Instrument, ...], numbers: tuple[int, ...], seed: int) -> None:
        self.items = dict(zip(numbers, items, strict=True))
        self.local = {item.symbol: number for number, item in self.items.items()}
        self.source = SyntheticSource(
            together([market(item, "busy", None) for item in items]), seconds=30.0, seed=seed
        )
        self.numbers = numbers
        self.orders: dict[tuple[int, int], dict[str, int]] = {}
        self.positions = dict.fromkeys(numbers, 0)
        self.wallet = 1_000_000_000_000
        self.deaf = False
        self.private = "up"
        self.lie = 0
        self.fee = 12_345
        self.slow_cancel = 0.0
        self.fault: Exception | None = None
        self.n_placed = self.n_sends = self.n_cancel_all = self.trade_id = 0
        self.sink: Sink | None = None
        self.task: asyncio.Task[None] | None = None
        self.starts: list[float] = []

    async def prepare(self) -> Prepared:
        return Prepared(
            instruments=tuple(self.items.values()),
            account=await self.account(),
            clock_offset_ns=0,
            notices=("one-way mode is set",),
        )

    async def start(self, sink: Sink) -> None:
        self.sink = sink
        self.task = asyncio.ensure_future(self._play())

    async def _play(self) -> None:
        assert self.sink is not None
        first = 0
        began = time.time_ns()
        while (block := self.source.next_block()) is not None:
            for message in messages(block):
                first = first or int(message["ts_local_ns"][0])
                due = began + int(message["ts_local_ns"][0]) - first
                if due > time.time_ns():
                    await asyncio.sleep((due - time.time_ns()) / 1e9)
                message["instrument"][0] = self.numbers[int(message["instrument"][0])]
                message["ts_local_ns"][0] = time.time_ns()
                self.sink.rows(message)

    def send(self, requests: Rows) -> None:
        self.n_sends += 1
        assert len(set(requests["instrument"].tolist())) == 1
        if not self.deaf:
            asyncio.get_running_loop().call_later(0.001, self._answer, requests)

    def _answer(self, requests: Rows) -> None:
        assert self.sink is not None
        for request in requests:
            row = np.zeros(1, EVENT)
            for name in ("instrument", "slot", "generation", "side", "tick", "qty"):
                row[name] = request[name]
            key = (int(request["slot"]), int(request["generation"]))
            kind = RequestKind(request["kind"])
            row["kind"], row["ts_local_ns"] = ANSWERS[kind], time.time_ns() - 5_000_000
            if request["tif"] == TimeInForce.IOC:  # there is never anybody to take
                row["kind"], row["code"] = Kind.EXPIRED, RejectCode.NO_LIQUIDITY
            elif kind == RequestKind.PLACE:
                assert key not in self.orders
                self.n_placed += 1
                self.orders[key] = {
                    n: int(request[n]) for n in ("instrument", "side", "tick", "qty")
                }
            elif key not in self.orders:
                row["kind"], row["code"] = Kind.REJECT, 2
            elif kind == RequestKind.AMEND:
                self.orders[key] |= {"tick": int(request["tick"]), "qty": int(request["qty"])}
            else:
                del self.orders[key]
            self.sink.rows(row)
            if key in self.orders and kind == RequestKind.PLACE and self.n_placed % 3 == 0:
                self._fill(key)

    def _fill(self, key: tuple[int, int]) -> None:
        assert self.sink is not None
        order = self.orders.pop(key)
        self.trade_id += 1
        number, fee = order["instrument"], self.fee
        item = self.items[number]
        row = np.zeros(1, EVENT)
        row["kind"], row["flags"] = Kind.FILL, Flag.MAKER | Flag.LAST
        row["slot"], row["generation"] = key
        row["aux"], row["seq"], row["ts_local_ns"] = fee, self.trade_id, time.time_ns()
        for name, value in order.items():
            row[name] = value
        self.positions[number] += order["side"] * order["qty"]
        self.wallet -= fee
        self._realise(number, order, item)
        self.sink.rows(row)

    def _realise(self, number: int, order: dict[str, int], item: Instrument) -> None:
        from mmcore._ledger import Ledger

        books = self.__dict__.setdefault("books", {})
        ledger = books.setdefault(number, Ledger(item.spec(number)))
        before = ledger.realised
        ledger.fill(order["side"], order["tick"], order["qty"])
        self.wallet += ledger.realised - before

    async def account(self) -> AccountState:
        await asyncio.sleep(0.002)
        return AccountState(
            orders=tuple(
                VenueOrder(
                    instrument=order["instrument"],
                    client_id=IDS.make(*key),
                    venue_id=str(key),
                    side=order["side"],
                    tick=order["tick"],
                    qty=order["qty"],
                    done=0,
                    own=True,
                )
                for key, order in self.orders.items()
            ),
            positions={n: held + self.lie for n, held in self.positions.items()},
            balances={"USDT": Balance(self.wallet, self.wallet)},
        )

    async def cancel_all(self) -> int:
        self.n_cancel_all += 1
        await asyncio.sleep(self.slow_cancel)
        if self.fault is not None:
            raise self.fault
        count = len(self.orders)
        for key, order in list(self.orders.items()):
            del self.orders[key]
            row = np.zeros(1, EVENT)
            row["kind"], row["instrument"] = Kind.CANCELLED, order["instrument"]
            row["slot"], row["generation"] = key
            row["ts_local_ns"] = time.time_ns()
            assert self.sink is not None
            self.sink.rows(row)
        return count

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def health(self) -> Health:
        return Health(links={"public": "up", "private": self.private}, budget_left=0.9)


def messages(rows: Rows) -> Iterator[Rows]:
    from mmcore.recording import heads_of

    heads = heads_of(rows)
    for first, end in zip(heads, [*heads[1:], len(rows)], strict=True):
        yield rows[first:end].copy()


class Said:
    """A display that remembers."""

    def __init__(self) -> None:
        self.notices: list[tuple[Level, str]] = []
        self.shots: list[Snapshot] = []

    def update(self, snapshot: Snapshot) -> None:
        self.shots.append(snapshot)

    def fills(self, fills: list[object]) -> None:
        return

    def notice(self, level: Level, text: str) -> None:
        self.notices.append((level, text))

    def close(self, summary: Summary | None) -> None:
        return


def plan(venue: str, symbol: str, **changes: Any) -> InstrumentConfig:
    return InstrumentConfig(
        venue=venue,  # type: ignore[arg-type]  # as a test likes it
        symbol=symbol,
        strategy="grid",
        grid=GridConfig(
            asset=20_000.0,
            minimum_spread=2.0,
            orders_per_side=3,
            final_order_distance=3.0,
            requote_spreads=0.3,
            rate_limit=50,
        ),
        **changes,
    )


PLANS = (plan("bybit-linear", "BTCUSDT"), plan("binance-usdm", "ETHUSDT"))


class Stage:
    """A run on small venues, one each of the plans' venues."""

    def __init__(
        self, path: Path, plans: tuple[InstrumentConfig, ...] = PLANS, **live: Any
    ) -> None:
        self.config = Config(
            mode="live",
            market=MarketConfig(source="venue"),
            live=LiveConfig(environment="loopback", **live),
            instruments=tuple(plans),
        )
        self.venues: dict[str, SmallVenue] = {}
        self.said = Said()
        self.path = path
        self.at: list[tuple[float, Callable[[], object]]] = []
        self.connections = Connections()
        self.desk: LiveDesk
        self.run: Run
        for venue in dict.fromkeys(item.venue for item in plans):
            numbers = tuple(i for i, item in enumerate(plans) if item.venue == venue)
            items = tuple(known(venue, plans[i].symbol) for i in numbers)
            self.venues[venue] = SmallVenue(items, numbers, len(self.venues))

    async def _connect(self) -> None:
        for name, venue in self.venues.items():
            prepared = await venue.prepare()
            self.connections.all.append(
                Connection(
                    name,
                    "loopback",
                    venue,  # type: ignore[arg-type]  # a Gateway but for its constructor
                    venue.numbers,
                    prepared,
                    prepared.instruments,
                    prepared.account,
                )
            )

    async def _play(self, seconds: float) -> Ending:
        await self._connect()
        self.desk = LiveDesk(self.config, "test", seconds, self.connections, IDS, time.time_ns)
        directory = RunDirectory.create(self.path, "live")
        self.directory = directory
        log = TapeWriter(directory.events, self.desk.instruments)
        journal = Journal(directory, log, durable=True)
        self.run = Run(self.desk, self.said, journal, speed=0.0)
        loop = asyncio.get_running_loop()
        for delay, call in self.at:
            loop.call_later(delay, call)
        try:
            return await self.run.until_end()
        finally:
            await self.connections.aclose()
            journal.close()

    def play(self, seconds: float) -> Ending:
        return asyncio.run(self._play(seconds))


def test_both_sides_are_the_same_at_the_end_and_the_journal_knows(tmp_path: Path) -> None:
    stage = Stage(tmp_path, audit_seconds=1.0)
    ending = stage.play(2.2)
    assert (ending.exit_code, ending.cause) == (ExitCode.OK, "the time asked for is over")
    assert stage.desk.n_audits >= 2
    venues = stage.venues.values()
    assert sum(venue.n_placed for venue in venues) > 8
    assert all(venue.trade_id and not venue.orders for venue in venues)
    verified = stage.run.verification
    assert len(verified.lines) == 2 and all("on both sides" in line for line in verified.lines)
    assert stage.run.cancelled > 2 and stage.run.n_open == 0
    assert not [text for level, text in stage.said.notices if level != "info"]
    journal = stage.directory.journal
    assert open_orders(journal) == []
    records = read_records(journal)
    for venue in venues:
        for number, held in venue.positions.items():
            fills = records[
                (records["kind"] == RecordKind.FILL) & (records["instrument"] == number)
            ]
            assert (fills["side"] * fills["qty"]).sum() == held
    shot = stage.said.shots[-1]
    assert (shot.venues[0].links_up, shot.venues[0].links) == (2, 2)


def test_the_event_log_of_a_live_run_leads_to_the_same_requests(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.play(1.0)
    records = read_records(stage.directory.journal)
    tape = TapeFile(stage.directory.events)
    wiring = build(stage.config, tape.instruments)
    pump = Pump(wiring.traders)
    stopping = (records["kind"] == RecordKind.STATUS) & (records["code"] == Status.STOPPING)
    stop_ns = int(records["ts_ns"][stopping][0])  # the one thing that comes from outside
    for message in messages(tape.rows):
        if message["kind"][0] == Kind.TIMER and message["ts_local_ns"][0] >= stop_ns:
            for trader in wiring.traders:
                trader.stop()
        pump.feed(message)
    out = np.zeros(65_536, RECORD)
    again = out[: wiring.ring.drain(out.view(np.uint8))]
    np.testing.assert_array_equal(again, records)


def test_orders_of_two_instruments_never_share_a_client_id(tmp_path: Path) -> None:
    plans = (plan("bybit-linear", "BTCUSDT"), plan("bybit-linear", "ETHUSDT"))
    stage = Stage(tmp_path, plans)
    stage.play(0.8)  # the venue asserts that no id comes twice
    assert stage.venues["bybit-linear"].n_placed > 6


def test_ctrl_c_cancels_everything_and_says_what_the_venue_says(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.at = [(0.6, lambda: stage.run.interrupt("Ctrl-C"))]
    began = time.monotonic()
    ending = stage.play(30.0)
    assert time.monotonic() - began < 3.0
    assert ending.exit_code == ExitCode.INTERRUPTED
    said = [text for _, text in stage.said.notices]
    assert any(text.startswith("Ctrl-C: cancelling") for text in said)
    assert all(venue.n_cancel_all == 1 and not venue.orders for venue in stage.venues.values())


def test_orders_that_nobody_answers_are_cancelled_over_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SETTLE_NS", 200_000_000)
    stage = Stage(tmp_path, PLANS[:1])
    (venue,) = stage.venues.values()
    stage.at = [(0.7, lambda: setattr(venue, "deaf", True))]
    ending = stage.play(1.0)
    assert ending.exit_code == ExitCode.OK and not venue.orders
    assert stage.run.n_open == 0 and stage.run.cancelled > 0


def test_a_venue_that_cannot_say_so_is_a_fault_and_named(tmp_path: Path) -> None:
    stage = Stage(tmp_path, PLANS[:1])
    (venue,) = stage.venues.values()
    venue.fault = VenueError("answers nothing")
    ending = stage.play(0.6)
    assert ending.exit_code == ExitCode.SAFETY
    assert "bybit-linear loopback: orders may remain (answers nothing)" in ending.cause


def test_twice_another_position_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "AGAIN_S", 0.2)
    monkeypatch.setattr(live, "LAST_LOOK_S", 0.1)
    stage = Stage(tmp_path, PLANS[:1], audit_seconds=1.0)
    (venue,) = stage.venues.values()
    stage.at = [(0.3, lambda: setattr(venue, "lie", 5))]
    ending = stage.play(30.0)
    assert ending.exit_code == ExitCode.SAFETY
    assert "disagree twice in a row" in ending.cause and "position of BTCUSDT" in ending.cause
    assert any("a second look follows" in text for _, text in stage.said.notices)


def test_a_difference_is_no_news_while_a_stream_is_away(tmp_path: Path) -> None:
    stage = Stage(tmp_path, PLANS[:1], audit_seconds=1.0)
    (venue,) = stage.venues.values()

    def lose() -> None:
        venue.private, venue.lie = "down: late", 5

    def mend() -> None:
        venue.private, venue.lie = "up", 0

    stage.at = [(0.3, lose), (1.6, mend)]
    assert stage.play(1.8).exit_code == ExitCode.OK
    assert stage.desk.n_audits == 0
    assert any(shot.venues[0].down == "private down: late" for shot in stage.said.shots)


def test_a_fatal_error_of_a_gateway_ends_the_run_in_order(tmp_path: Path) -> None:
    stage = Stage(tmp_path, PLANS[:1])
    (venue,) = stage.venues.values()

    def fail() -> None:
        assert venue.sink is not None
        venue.sink.fatal(VenueError("the key was revoked"))

    stage.at = [(0.4, fail)]
    ending = stage.play(30.0)
    assert (ending.exit_code, ending.cause) == (ExitCode.VENUE, "the key was revoked")
    assert not venue.orders


def test_a_defect_of_ours_cancels_everything_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(tmp_path, PLANS[:1])
    (venue,) = stage.venues.values()

    def confuse() -> None:
        assert venue.sink is not None
        rows = np.zeros(1, EVENT)
        rows["instrument"] = 77
        venue.sink.rows(rows)

    stage.at = [(0.4, confuse)]
    ending = stage.play(30.0)
    assert ending.exit_code == ExitCode.DEFECT
    assert "a defect of mmcore itself: ValueError: row 0" in ending.cause
    assert not venue.orders
    assert "Traceback" in caplog.text


def test_a_start_that_fails_ends_with_the_cause(tmp_path: Path) -> None:
    stage = Stage(tmp_path, PLANS[:1])
    (venue,) = stage.venues.values()

    async def refuse(sink: Sink) -> None:
        raise VenueError("no stream came up")

    venue.start = refuse  # type: ignore[method-assign]
    ending = stage.play(30.0)
    assert (ending.exit_code, ending.cause) == (ExitCode.VENUE, "no stream came up")
    assert venue.n_cancel_all == 1


@pytest.mark.parametrize("policy", ["adopt", "ignore"])
def test_a_position_found_at_the_start(tmp_path: Path, policy: Literal["adopt", "ignore"]) -> None:
    stage = Stage(tmp_path, (plan("bybit-linear", "BTCUSDT", existing_position=policy),))
    (venue,) = stage.venues.values()
    venue.positions[0] = 250
    ending = stage.play(0.6)
    assert ending.exit_code == ExitCode.OK
    word = "adopted" if policy == "adopt" else "left alone"
    assert any(
        text == f"bybit-linear:BTCUSDT: a position of 0.250 BTC was found and is {word}"
        for _, text in stage.said.notices
    )
    position = stage.desk._wiring.traders[0].state()["position"]
    assert venue.positions[0] == position + (250 if policy == "ignore" else 0)


def test_the_loss_stop_names_limit_loss_and_position(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path,
        (plan("bybit-linear", "BTCUSDT", limits=LimitsConfig(max_loss=5)),),
    )
    stage.venues["bybit-linear"].fee = 500 * 10**8
    ending = stage.play(10.0)
    assert ending.exit_code == ExitCode.SAFETY
    assert "max_loss 5 USDT" in ending.cause and "BTC open" in ending.cause


def test_a_position_that_cannot_be_closed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FLATTEN_NS", 300_000_000)
    stage = Stage(tmp_path, (plan("bybit-linear", "BTCUSDT", flatten_at_stop=True),))
    (venue,) = stage.venues.values()
    venue.positions[0] = 250
    stage.play(0.5)
    said = [text for _, text in stage.said.notices]
    assert any("could not be closed" in text for text in said), said


def test_two_sided_quotes_live_as_well(tmp_path: Path) -> None:
    two = InstrumentConfig(
        venue="bybit-linear",
        symbol="BTCUSDT",
        strategy="two_sided",
        two_sided=TwoSidedConfig(
            target_liquidity=0.01, half_spread=2, max_bps_diff=0.2, max_absolute_position_size=1.0
        ),
    )
    stage = Stage(tmp_path, (two,))
    assert stage.play(0.5).exit_code == ExitCode.OK
    assert stage.venues["bybit-linear"].n_placed > 1


def test_open_orders_from_records_follow_every_answer() -> None:
    def row(kind: RecordKind, **fields: int) -> Rows:
        made = np.zeros(1, RECORD)
        made["kind"], made["generation"] = kind, 1
        for name, value in fields.items():
            made[name] = value
        return made

    resting = Resting()
    resting.see(row(RecordKind.PLACE, side=1, tick=100, qty=10))
    assert not resting.orders[0, 0, 1].at_rest
    resting.see(row(RecordKind.ACK, tick=100, qty=10))
    resting.see(row(RecordKind.FILL, tick=100, qty=4))
    assert (resting.orders[0, 0, 1].qty, resting.orders[0, 0, 1].at_rest) == (6, True)
    resting.see(row(RecordKind.AMEND, tick=101, qty=3))
    resting.see(row(RecordKind.REJECT, code=4))
    assert (resting.orders[0, 0, 1].tick, resting.orders[0, 0, 1].qty) == (100, 6)
    resting.see(row(RecordKind.AMEND, tick=101, qty=3))
    resting.see(row(RecordKind.FILL, tick=100, qty=6))
    assert 0 not in resting.orders  # keys are of three
    resting.see(row(RecordKind.CANCEL))
    resting.see(row(RecordKind.STATUS, code=9))
    resting.see(row(RecordKind.FILL, tick=100, qty=1, flags=int(Flag.LAST)))
    assert resting.orders == {}
    resting.see(row(RecordKind.CANCELLED))
    assert resting.orders == {}
