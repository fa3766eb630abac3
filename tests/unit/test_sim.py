"""The loop: chunks change nothing, positions agree, shutdown leaves no order behind."""

from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcore._book import Book
from mmcore._channel import Latency
from mmcore._engine import Account, Market, Ring, Trader
from mmcore._orders import Orders
from mmcore._quotes import Strategy, TwoSidedStrategy
from mmcore._rate import RateLimiter
from mmcore._signals import Signals
from mmcore._sim import SimLoop
from mmcore._spec import SpecBox
from mmcore._venue import Venue
from mmcore.events import EVENT, LEVEL, RECORD, Flag, Kind, RecordKind, rows_of

Rows = NDArray[np.void]
MS = 1_000_000
START = 1_700_000_000_000_000_000
BOTH = Flag.EXCH | Flag.LOCAL


def message(
    ts_ns: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]], **fields: Any
) -> Rows:
    n = len(bids) + len(asks)
    rows = np.zeros(1 + rows_of(n), EVENT)
    rows[0]["kind"], rows[0]["flags"] = Kind.DEPTH, BOTH
    rows[0]["n_bids"], rows[0]["n_asks"] = len(bids), len(asks)
    rows[0]["ts_venue_ns"] = rows[0]["ts_local_ns"] = ts_ns
    rows[1:].view(LEVEL)[:n] = np.array(bids + asks, LEVEL)
    for name, value in fields.items():
        rows[0][name] = value
    return rows


def market_rows(seed: int, n: int, instruments: int = 1, delay_ns: int = 0) -> Rows:
    """A wandering book with prints through both sides, whole snapshots and single levels."""
    rng = np.random.default_rng(seed)
    blocks, mids = [], [10_000] * instruments
    for i in range(n):
        k = int(rng.integers(instruments))
        ts = START + i * 20 * MS
        mids[k] += int(rng.integers(-4, 5))
        sizes = rng.integers(1, 4000, 16).tolist()
        bids = [(mids[k] - 1 - j, sizes[j]) for j in range(8)]
        asks = [(mids[k] + 1 + j, sizes[8 + j]) for j in range(8)]
        blocks.append(
            message(ts, bids, asks, flags=BOTH | Flag.SNAPSHOT, instrument=k, ts_venue_ns=ts)
        )
        trade = np.zeros(1, EVENT)
        side = int(rng.choice([-1, 1]))
        trade["kind"], trade["flags"], trade["side"] = Kind.TRADE, BOTH, side
        trade["instrument"], trade["ts_venue_ns"], trade["ts_local_ns"] = k, ts + MS, ts + MS
        trade["tick"], trade["qty"] = (
            mids[k] + side * int(rng.integers(1, 6)),
            rng.integers(1, 3000),
        )
        blocks.append(trade)
    rows = np.concatenate(blocks)
    rows["ts_local_ns"][rows["kind"] != 0] += delay_ns
    return rows


def two_sided() -> Strategy:
    return TwoSidedStrategy(
        target_liquidity=2000.0,
        half_spread=1.5,
        max_bps_diff=1.0,
        max_absolute_position_size=20.0,
        asset_type="perp",
    )


class Desk:
    """Traders and their venues on one set of markets."""

    def __init__(self, n: int = 1, traders: int = 1, clock: str = "local", **options: Any) -> None:
        specs = [SpecBox("0.1", 3, "1", 1, 1, 0, 0, -5_000, 70_000, 0, 0, i) for i in range(n)]
        self.specs = specs
        self.markets = [Market(s, Book(s), Signals((1, 5), tick_window=100)) for s in specs]
        self.ring = Ring(options.pop("ring", 65_536))
        latencies = [Latency(3 * MS, 2 * MS) for _ in range(n * traders)]
        self.traders, self.venues = [], []
        for i in range(n * traders):
            market, spec = self.markets[i % n], specs[i % n]
            self.traders.append(self.trader(market, i))
            beside = self.venues[i % n] if i >= n else None
            self.venues.append(Venue(spec, beside=beside))
        self.loop = SimLoop(self.traders, self.venues, latencies, clock=clock, **options)
        self.records: list[Rows] = []

    def trader(self, market: Market, i: int) -> Trader:
        return Trader(
            market,
            two_sided(),
            orders=Orders(requote_bps=1.0),
            rate=RateLimiter(1000),
            account=Account(),
            ring=self.ring,
            number=i,
            position_max=20_000,
        )

    def run(self, rows: Rows, chunk: int = 1 << 40, block: int | None = None) -> None:
        edges = [0, len(rows)] if block is None else whole_blocks(rows, block)
        for start, end in pairwise(edges):
            self.loop.feed(rows[start:end])
            self.advance(chunk)
        self.loop.end()
        self.advance(chunk)

    def advance(self, chunk: int) -> None:
        while True:
            self.loop.run(chunk)
            self.drain()
            if self.loop.consumed:
                return

    def finish(self) -> None:
        for trader in self.traders:
            trader.stop()
        for _ in range(100):
            self.loop.idle(20 * MS)
            self.drain()
            if not self.loop.under_way and not any(trader.n_open for trader in self.traders):
                return
        raise AssertionError("orders are left")

    def drain(self) -> None:
        out = np.zeros(65_536, RECORD)
        self.records.append(out[: self.ring.drain(out.view(np.uint8))].copy())

    @property
    def journal(self) -> Rows:
        return np.concatenate(self.records)

    @property
    def digest(self) -> str:
        return blake2b(self.journal.tobytes()).hexdigest()


def whole_blocks(rows: Rows, size: int) -> list[int]:
    """Edges of blocks of whole messages, about ``size`` rows each."""
    edges, at = [0], 0
    while at < len(rows):
        row = rows[at]
        levels = int(row["n_bids"]) + int(row["n_asks"])
        at += 1 + (rows_of(levels) if row["kind"] == Kind.DEPTH else 0)
        if at - edges[-1] >= size:
            edges.append(at)
    if edges[-1] != len(rows):
        edges.append(len(rows))
    return edges


@pytest.mark.parametrize("clock", ["local", "two"])
def test_chunks_and_blocks_change_nothing(clock: str) -> None:
    rows = market_rows(7, 1500, instruments=2, delay_ns=7 * MS)
    digests = set()
    for chunk, block in ((1 << 40, None), (1, None), (17, 100), (1 << 40, 33)):
        desk = Desk(2, 2, clock)
        desk.run(rows, chunk, block)
        desk.finish()
        assert (desk.journal["kind"] == RecordKind.FILL).sum() > 50
        digests.add(desk.digest)
    assert len(digests) == 1


@pytest.mark.parametrize("clock", ["local", "two"])
def test_positions_agree_and_the_shutdown_leaves_nothing(clock: str) -> None:
    desk = Desk(2, 3, clock)
    desk.run(market_rows(11, 2000, instruments=2, delay_ns=5 * MS))
    desk.finish()
    for trader, venue in zip(desk.traders, desk.venues, strict=True):
        assert trader.n_open == 0
        assert len(venue.orders()) == 0
        assert trader.state()["position"] == venue.position
        assert trader.state()["n_fills"] == venue.n_fills
    assert desk.ring.lost == 0


def test_a_full_ring_holds_the_loop_and_loses_nothing() -> None:
    rows = market_rows(3, 1500)
    plain, tight = Desk(), Desk(ring=1024)
    plain.run(rows)
    tight.run(rows)
    plain.finish()
    tight.finish()
    assert tight.ring.lost == 0
    assert tight.digest == plain.digest


def test_traders_of_one_market_do_not_see_each_other() -> None:
    rows = market_rows(5, 1500)
    alone, together = Desk(), Desk(traders=3)
    alone.run(rows)
    together.run(rows)
    own = alone.journal
    for i in range(3):
        same = together.journal[together.journal["trader"] == i]
        same["trader"] = 0
        assert same.tobytes() == own.tobytes()


def test_both_clocks_agree_where_rows_reach_both_sides_at_once() -> None:
    # No two rows of one instant: then only the latency between the sides could differ.
    rows = market_rows(9, 1500)
    one, two = Desk(clock="local"), Desk(clock="two")
    for desk in (one, two):
        desk.run(rows)
        desk.finish()
    assert one.digest == two.digest


def test_an_unknown_instrument_and_a_cut_message_are_named() -> None:
    rows = market_rows(1, 3)
    rows["instrument"] = 4
    desk = Desk()
    desk.loop.feed(rows)
    with pytest.raises(ValueError, match="instrument 4 is unknown"):
        desk.loop.run(10)
    for clock in ("local", "two"):
        desk = Desk(clock=clock)
        desk.loop.feed(market_rows(1, 3)[:3])
        with pytest.raises(ValueError, match="row 0: the message is cut off"):
            desk.loop.run(10)


def test_what_does_not_fit_together_is_refused() -> None:
    desk = Desk(2)
    latencies = [Latency(), Latency()]
    with pytest.raises(ValueError, match="as many venues"):
        SimLoop(desk.traders, (), latencies)
    with pytest.raises(ValueError, match="clock"):
        SimLoop(desk.traders, desk.venues, latencies, clock="wall")
    with pytest.raises(ValueError, match="instrument index 0"):
        SimLoop(desk.traders[1:], desk.venues[1:], latencies[1:])
    with pytest.raises(ValueError, match="account of its own"):
        SimLoop(desk.traders, [desk.venues[0]] * 2, latencies)
    desk.loop.feed(market_rows(1, 3))
    with pytest.raises(ValueError, match="not been consumed"):
        desk.loop.feed(market_rows(1, 3))


def test_timers_come_at_whole_periods_and_reach_every_trader() -> None:
    rows = market_rows(2, 10)
    plain, timed = Desk(traders=2), Desk(traders=2, timer_ns=5 * MS)
    for desk in (plain, timed):
        desk.run(rows)
    span = int(rows["ts_local_ns"].max()) - START
    for without, ringing in zip(plain.traders, timed.traders, strict=True):
        more = ringing.state()["n_steps"] - without.state()["n_steps"]
        assert more == (span - 1) // (5 * MS)


def test_time_holds_the_loop() -> None:
    rows = market_rows(2, 100)
    desk = Desk()
    desk.loop.feed(rows)
    assert desk.loop.run(1 << 40, START + 200 * MS) == 21
    assert desk.loop.now_ns <= START + 200 * MS
    assert not desk.loop.consumed
    assert rows["ts_local_ns"][desk.loop.row] > START + 200 * MS
