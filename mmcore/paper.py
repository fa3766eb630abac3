"""The desk of a paper run: a market source, the traders, and the simulated venues they trade at.

Everything here is deterministic: the same configuration and the same market give the same records,
whatever the pace, the size of the chunks or the machine.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from . import logs
from ._engine import Market, Trader, TraderState
from ._sim import SimLoop
from .errors import ExitCode
from .events import RECORD, Kind, Reason, RecordKind, RejectCode, Status, Suppressed
from .instrument import Instrument
from .progress import QUANTA_PER_ONE, STATUS_WORDS, Fill, Rung, Snapshot, TraderView, why
from .run import Verdict
from .schema import Config, InstrumentConfig
from .sources import Source, open_source, venues_of
from .wiring import build, position_max_of

NS_PER_S = 1_000_000_000
RUNGS = 24  # levels of the market read for the ladder; the display picks from them
RECORDS = 65_536  # moved from the ring at a time
RATE_NS = NS_PER_S  # shortest span over which calls per second are measured
REQUEST_WORDS = {RecordKind.PLACE: "place", RecordKind.AMEND: "amend", RecordKind.CANCEL: "cancel"}
UNUSABLE = {
    Status.WARMUP: "no snapshot ever came, so its book was never usable",
    Status.GAP: "the sequence broke and no snapshot came after it",
    Status.STALE: "the stream was lost or damaged and no snapshot came after it",
    Status.FULL: "its book outgrew its memory and no snapshot came after it",
}


class Reel:
    """The rows of a source, handed out in whole messages up to a moment.

    seconds: market time after which nothing is handed out any more, 0 = all.
    """

    def __init__(self, source: Source, seconds: float) -> None:
        self._source = source
        self._length_ns = round(seconds * NS_PER_S)
        self._block: NDArray[np.void] | None = None
        self._used = 0
        self._starts = self._times = np.zeros(0, np.int64)
        self.start_ns = self.end_ns = 0
        self.ended = False

    def rows(self, until_ns: int) -> NDArray[np.void]:
        """What is left of the present block up to ``until_ns`` (0: any); empty: nothing yet, or
        ``ended``.  Valid until the next call."""
        if self._block is None and not self.ended:
            self._load()
        if self._block is None:
            return np.zeros(0, np.void)
        stop = len(self._block)
        if until_ns or self.end_ns:
            self._index()
            stop = self._stop(until_ns)
            if stop < len(self._block) and stop == self._stop(0) == self._used:
                self.ended = True
        return self._block[self._used : stop]

    def use(self, count: int) -> None:
        """``count`` rows of the last answer are done with."""
        self._used += count
        if self._block is not None and self._used == len(self._block):
            self._block = None

    def _load(self) -> None:
        self._block = self._source.next_block()
        self._used = 0
        self._times = np.zeros(0, np.int64)
        if self._block is None:
            self.ended = True
        elif not self.start_ns:
            self.start_ns = int(self._block["ts_local_ns"][0])
            self.end_ns = self.start_ns + self._length_ns if self._length_ns else 0

    def _index(self) -> None:
        """Find the messages of the block: level rows carry no time, only headers do."""
        block = self._block
        if block is None or len(self._times):
            return
        levels = block["n_bids"].astype(np.int64) + block["n_asks"]
        steps = np.where(block["kind"] == Kind.DEPTH, 1 + (levels + 3) // 4, 1).tolist()
        starts, at = [], 0
        while at < len(steps):
            starts.append(at)
            at += steps[at]
        self._starts = np.array(starts, np.int64)
        self._times = np.maximum.accumulate(block["ts_local_ns"][self._starts])

    def _stop(self, until_ns: int) -> int:
        """First row after ``until_ns`` and ``end_ns``, whichever comes first."""
        block = self._block
        assert block is not None  # `rows` has loaded one
        limit = min(until_ns or 2**62, self.end_ns or 2**62)
        place = int(np.searchsorted(self._times, limit, "right"))
        stop = int(self._starts[place]) if place < len(self._starts) else len(block)
        return max(stop, self._used)


class PaperDesk:
    """A `mmcore.run.Desk` on a simulated venue.

    config: what to trade on what.  title: name of the run.  seconds: market time after which the
    run ends, 0 = open.  Raises MmcoreError where the configuration or the market cannot be used.
    """

    def __init__(self, config: Config, title: str, seconds: float) -> None:
        self.title = title
        self.now_ns = 0
        self.log_rows: Callable[[NDArray[np.void]], None] = len
        self._config = config
        self._source = open_source(config, seconds)
        self._reel = Reel(self._source, seconds)
        self.market = _market_words(config)
        self.instruments = self._source.instruments
        self._wiring = build(config, self.instruments)
        self._loop = SimLoop(
            self._wiring.markets,
            self._wiring.traders,
            venues_of(config, self.instruments),
            clock=self._source.clock,
        )
        self._records = np.zeros(RECORDS, RECORD)
        self._until_ns = 0
        self._n_problems = 0
        self._refusals: Counter[int] = Counter()
        # of each trader: engine time and calls when the rate was last measured, the rate
        self._calls = [(0, 0, 0.0)] * len(self.instruments)

    # -- the market --------------------------------------------------------------------------

    @property
    def start_ns(self) -> int:
        return self._reel.start_ns

    @property
    def end_ns(self) -> int:
        return self._reel.end_ns

    @property
    def over(self) -> bool:
        """The market has no more events, or ``end_ns`` is reached."""
        return self._reel.ended

    def advance(self, events: int, until_ns: int) -> int:
        """Process up to ``events`` rows not after ``until_ns`` (0: any); how many were."""
        self._until_ns = until_ns
        rows = self._reel.rows(until_ns)
        if not len(rows):
            return 0
        self._loop.feed(rows)
        count = self._loop.run(events)
        self.log_rows(rows[:count])
        self._reel.use(count)
        self.now_ns = self._loop.now_ns
        return count

    def drain(self) -> NDArray[np.void]:
        """The records since the last call, RECORD[n] in engine order."""
        count = self._wiring.ring.drain(self._records.view(np.uint8))
        return self._records[:count]

    def stop(self) -> None:
        """Ask every trader to cancel all and to quote no more."""
        for trader in self._wiring.traders:
            trader.stop()

    def settle(self) -> None:
        """Let time pass at the venue, without market data, until every request is answered."""
        self._loop.finish()
        self.now_ns = self._loop.now_ns

    @property
    def n_open(self) -> int:
        """Own orders that are not known to be gone: at the trader or at the venue."""
        return sum(trader.n_open for trader in self._wiring.traders)

    def share(self) -> float:
        """How much of the market is behind us, 0 to 1; nan when it has no end."""
        return 1.0 if self.over else self._source.progress()

    def close(self) -> None:
        self._source.close()

    # -- what is said ------------------------------------------------------------------------

    def fills(self, records: NDArray[np.void]) -> list[Fill]:
        """The fills among ``records``; counts refusals on the way."""
        refused = (records["kind"] == RecordKind.REJECT) | (records["kind"] == RecordKind.EXPIRED)
        self._refusals.update(records["code"][refused].tolist())
        return [
            Fill(
                int(row["ts_ns"]),
                item.symbol,
                int(row["side"]),
                item.quantity_text(int(row["qty"])),
                item.price_text(int(row["tick"])),
                item.quantity_text(int(row["position"])),
            )
            for row in records[records["kind"] == RecordKind.FILL]
            for item in (self.instruments[row["instrument"]],)
        ]

    def details(self, records: NDArray[np.void]) -> list[str]:
        """What happened, order by order, for log level debug."""
        return [line for row in records if (line := self._detail(row))]

    def _detail(self, row: np.void) -> str:
        item = self.instruments[row["instrument"]]
        kind, side = RecordKind(row["kind"]), int(row["side"])
        quantity, price = item.quantity_text(int(row["qty"])), item.price_text(int(row["tick"]))
        if kind in REQUEST_WORDS:
            reason = Reason(row["code"]).name.lower()
            return logs.request_line(
                REQUEST_WORDS[kind], side, quantity, item.symbol, price, reason
            )
        if kind in (RecordKind.ACK, RecordKind.AMENDED):
            return logs.resting_line(side, quantity, item.symbol, price)
        if kind == RecordKind.FILL:
            position = item.quantity_text(int(row["position"]))
            return logs.fill_line(side, quantity, item.symbol, price, position)
        if kind == RecordKind.STATUS:
            return f"{item.symbol} state: {STATUS_WORDS[Status(row['code'])]}"
        code = f" ({RejectCode(row['code']).name.lower()})" if row["code"] else ""
        return f"{item.symbol} slot {row['slot']}: {kind.name.lower()}{code}"

    def state_lines(self) -> list[str]:
        """Book and skew of every trader, for log level debug."""
        lines = []
        for i, market in enumerate(self._wiring.markets):
            state, item = self._wiring.traders[i].state(), self.instruments[i]
            depth = _depth(self._config.instruments[i])
            book = market.book.analysis(depth)
            if book is not None:
                lines.append(
                    logs.book_line(
                        item.symbol,
                        market.book.mid,
                        book.bid_depth,
                        book.ask_depth,
                        book.imbalance,
                        market.book.spread_bps,
                    )
                )
            most = self._position_max(i, state)
            used = item.quantity(state["position"]) / most if most else 0.0
            lines.append(
                logs.skew_line(
                    item.symbol,
                    state["skew"],
                    state["skew_position"],
                    state["skew_book"],
                    _skew_unit(self._config.instruments[i]),
                    used,
                )
            )
        return lines

    def problems(self) -> list[str]:
        """What the market data suffered since the last call, in words."""
        new = self._source.problems[self._n_problems :]
        self._n_problems += len(new)
        return [str(problem) for problem in new]

    def verdict(self) -> Verdict:
        """What is to be said of the run: a stop, faulty data, nothing filled, or nothing."""
        for trader, item in zip(self._wiring.traders, self.instruments, strict=True):
            if trader.status == Status.KILLED or self._wiring.account.killed:
                return Verdict(ExitCode.SAFETY, self._stop_words(item))
        if not self.over:
            return Verdict()
        if not any(market.n_events for market in self._wiring.markets):
            return Verdict(ExitCode.DATA, "the market held no event: there was nothing to trade on")
        for market, item in zip(self._wiring.markets, self.instruments, strict=True):
            if market.book.health in UNUSABLE:
                return Verdict(ExitCode.DATA, f"{item}: {UNUSABLE[Status(market.book.health)]}")
        if not any(trader.state()["n_fills"] for trader in self._wiring.traders):
            return Verdict(ExitCode.OK, f"no fills: {self._no_fills_words()}")
        return Verdict()

    def _stop_words(self, item: Instrument) -> str:
        if self._wiring.ring.lost:
            return "more was recorded in one step than the ring holds: mmcore stopped quoting"
        if self._wiring.account.killed:
            return "the account lost more than max_loss or max_drawdown allow: mmcore stopped"
        return f"{item} lost more than max_loss or max_drawdown allow: mmcore stopped"

    def _no_fills_words(self) -> str:
        states = [trader.state() for trader in self._wiring.traders]
        placed = sum(state["n_placed"] for state in states)
        refused = sum(self._refusals.values())
        if not placed:
            bits = Suppressed(0)
            for state in states:
                bits |= Suppressed(state["why_bid"] | state["why_ask"])
            return f"no order was placed ({', '.join(why(bits)) or 'no healthy book'})"
        if refused >= placed:
            code, count = self._refusals.most_common(1)[0]
            return f"all {placed:,} orders were refused, {count:,} as {RejectCode(code).name}"
        return f"the market never reached any of {placed:,} orders"

    # -- snapshots ---------------------------------------------------------------------------

    def snapshot(self, wall_s: float, events_per_s: float, left_s: float) -> Snapshot:
        markets = self._wiring.markets
        counters = [market.book.counters for market in markets]
        passed_ns = max(self.now_ns - self.start_ns, 0)
        share = self.share()
        if self.end_ns:
            share = min(passed_ns / (self.end_ns - self.start_ns), 1.0)
        return Snapshot(
            title=self.title,
            market=self.market,
            wall_s=wall_s,
            market_s=passed_ns / NS_PER_S,
            events=sum(market.n_events for market in markets),
            updates=sum(each.n_levels for each in counters),
            gaps=sum(each.n_gaps for each in counters),
            problems=len(self._source.problems),
            events_per_s=events_per_s,
            share=share,
            left_s=left_s,
            traders=tuple(
                self._view(i, trader, market)
                for i, (trader, market) in enumerate(zip(self._wiring.traders, markets, strict=True))
            ),
        )

    def _view(self, i: int, trader: Trader, market: Market) -> TraderView:
        item, plan, state = self.instruments[i], self._config.instruments[i], trader.state()
        own = trader.orders.open()
        now_ns = max(self.now_ns, self._until_ns)
        return TraderView(
            symbol=item.symbol,
            strategy=plan.strategy,
            base="contracts" if item.kind == 1 else item.base,
            currency=item.settle,
            price_decimals=item.price_decimals,
            quantity_decimals=item.qty_decimals,
            status=Status(state["status"]),
            bids=self._rungs(item, market, own, 1),
            asks=self._rungs(item, market, own, -1),
            position=item.quantity(state["position"]),
            position_max=self._position_max(i, state),
            gross=state["equity"] + state["fees"],
            fees=state["fees"],
            skew=state["skew"],
            skew_position=state["skew_position"],
            skew_book=state["skew_book"],
            skew_unit=_skew_unit(plan),
            signal=state["signal"] if plan.strategy == "grid" else math.nan,
            why_bid=Suppressed(state["why_bid"]),
            why_ask=Suppressed(state["why_ask"]),
            n_bids=sum(order["side"] > 0 for order in own),
            n_asks=sum(order["side"] < 0 for order in own),
            n_quotes=state["n_quotes"],
            n_requests=state["n_placed"] + state["n_amended"] + state["n_cancelled"],
            n_fills=state["n_fills"],
            requests_per_s=self._call_rate(i, state),
            rate_limit=plan.grid.rate_limit
            if plan.strategy == "grid"
            else plan.two_sided.rate_limit,
            age_s=max(now_ns - market.ts_local_ns, 0) / NS_PER_S if market.n_events else math.nan,
        )
