"""The desk of a paper run: a market source, the traders, and the simulated venues they trade at.

Everything here is deterministic: the same configuration and the same market give the same records,
whatever the pace, the size of the chunks or the machine.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ._channel import Latency
from ._sim import SimLoop
from ._venue import Venue
from .errors import ExitCode
from .events import EVENT, RECORD, RecordKind, RejectCode, Status, Suppressed
from .progress import Fill, Snapshot, TraderView, plural, why
from .run import Verdict
from .schema import Config
from .sources import source_of
from .views import fills_of, names_of, record_line, state_lines, trader_view
from .wiring import Wiring, build, start_of

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
FOR_EVER = 2**63 - 1
TIMER_NS = 100 * NS_PER_MS  # a silent market is noticed, held requests are sent, so often
SETTLE_STEP_NS = 50 * NS_PER_MS
RECORDS = 65_536  # moved from the ring at a time
RATE_NS = NS_PER_S  # shortest span over which calls per second are measured
PROBLEMS_TOLD_MAX = 10  # damaged records told one by one; the rest only count
UNUSABLE = {
    Status.WARMUP: "no snapshot ever came, so its book was never usable",
    Status.GAP: "the sequence broke and no snapshot came after it",
    Status.STALE: "the stream was lost or damaged and no snapshot came after it",
    Status.FULL: "its book outgrew its memory and no snapshot came after it",
}


class PaperDesk:
    """A `mmcore.run.Desk` on a simulated venue.

    config: what to trade on what.  title: name of the run.  seconds: market time after which the
    run ends, 0 = open.  Raises MmcoreError where the configuration or the market cannot be used.
    """

    def __init__(self, config: Config, title: str, seconds: float) -> None:
        self.title = title
        self.market = _market_words(config)
        self.now_ns = self.start_ns = self.end_ns = 0
        self.over = False
        self.log_rows: Callable[[NDArray[np.void]], object] = len
        self._plans = config.instruments
        self._source = source_of(config, seconds=seconds)
        self.instruments = self._source.instruments
        self._names = names_of(self.instruments)
        self._wiring = build(config, self.instruments)
        self._loop = _loop(config, self._wiring, self._source.clock)
        self._length_ns = round(seconds * NS_PER_S)
        self._block = np.zeros(0, EVENT)
        self._logged = 0  # rows of the block that the event log has
        self._records = np.zeros(RECORDS, RECORD)
        self._until_ns = 0
        self._n_problems = 0
        self._refusals: Counter[int] = Counter()
        # of each trader: engine time and calls when the rate was last measured, the rate
        self._calls = [(0, 0, 0.0)] * len(self.instruments)

    # -- the market --------------------------------------------------------------------------

    def advance(self, events: int, until_ns: int) -> int:
        """Process up to ``events`` messages not after ``until_ns`` (0: any); how many were."""
        self._until_ns = until_ns
        if self._loop.consumed and not self._feed():
            return 0
        limit_ns = min(until_ns or FOR_EVER, self.end_ns or FOR_EVER)
        count = self._loop.run(events, limit_ns)
        self._log()
        self.now_ns = self._loop.now_ns
        # the ring is empty and the block is not: only time can have held the loop back
        self.over = count == 0 and limit_ns == self.end_ns and not self._loop.consumed
        return count

    def _feed(self) -> bool:
        """Bind the next block; False at the end of the market."""
        block = self._source.next_block()
        if block is None:
            self._loop.end()
            self.over = self._loop.consumed
            return not self.over
        if not self.start_ns:
            self.start_ns = int(block["ts_local_ns"][0])
            self.end_ns = self.start_ns + self._length_ns if self._length_ns else 0
        self._block, self._logged = block, 0
        self._loop.feed(block)
        return True

    def _log(self) -> None:
        seen = self._loop.row
        if seen > self._logged:
            self.log_rows(self._block[self._logged : seen])
            self._logged = seen

    def drain(self) -> NDArray[np.void]:
        """The records since the last call, RECORD[n] in engine order; valid until the next."""
        count = self._wiring.ring.drain(self._records.view(np.uint8))
        records = self._records[:count]
        refused = (records["kind"] == RecordKind.REJECT) | (records["kind"] == RecordKind.EXPIRED)
        self._refusals.update(records["code"][refused].tolist())
        return records

    def stop(self) -> None:
        """Ask every trader to cancel all and to quote no more."""
        for trader in self._wiring.traders:
            trader.stop()

    def settle(self) -> bool:
        """Let time pass without market data; True when nothing is open, under way or to close.

        Call again, with the records drained between, until it is.
        """
        self._loop.idle(SETTLE_STEP_NS)
        self.now_ns = self._loop.now_ns
        settled = all(trader.settled for trader in self._wiring.traders)
        return settled and self.n_open == 0 and self._loop.under_way == 0

    @property
    def n_events(self) -> int:
        """Market messages processed."""
        return sum(market.n_events for market in self._wiring.markets)

    @property
    def n_open(self) -> int:
        """Own orders that are not known to be gone: at the trader, or resting at the venue."""
        seats = zip(self._wiring.traders, self._loop.venues, strict=True)
        return sum(max(trader.n_open, len(venue.orders())) for trader, venue in seats)

    def share(self) -> float:
        """How much of the market is behind us, 0 to 1; nan when it has no end."""
        if self.end_ns:
            return min(max(self.now_ns - self.start_ns, 0) / (self.end_ns - self.start_ns), 1.0)
        return 1.0 if self.over else self._source.progress()

    def close(self) -> None:
        """Release the files of the market."""
        self._source.close()

    # -- what is said ------------------------------------------------------------------------

    def fills(self, records: NDArray[np.void]) -> list[Fill]:
        """The fills among ``records``."""
        return fills_of(records, self.instruments, self._names)

    def details(self, records: NDArray[np.void]) -> list[str]:
        """What happened, order by order, for log level debug."""
        return [
            record_line(row, self.instruments[row["instrument"]], self._names[row["instrument"]])
            for row in records
        ]

    def states(self) -> list[str]:
        """Book and skew of every trader, for log level debug."""
        traders, markets = self._wiring.traders, self._wiring.markets
        wires = zip(self._names, self.instruments, self._plans, traders, markets, strict=True)
        return [line for wire in wires for line in state_lines(*wire)]

    def problems(self) -> list[str]:
        """What the market data suffered since the last call, in words."""
        first = self._n_problems
        new = self._source.problems[first:PROBLEMS_TOLD_MAX]
        self._n_problems += len(new)
        told = [str(problem) for problem in new]
        if first < self._n_problems == PROBLEMS_TOLD_MAX:
            told.append("further damaged records are counted, not told one by one")
        return told

    def snapshot(self, wall_s: float, events_per_s: float, left_s: float) -> Snapshot:
        """The run as it is now."""
        markets = self._wiring.markets
        counters = [market.book.counters for market in markets]
        return Snapshot(
            title=self.title,
            market=self.market,
            wall_s=wall_s,
            market_s=max(self.now_ns - self.start_ns, 0) / NS_PER_S,
            events=self.n_events,
            messages=sum(each.messages for each in counters),
            updates=sum(each.levels for each in counters),
            gaps=sum(each.gaps for each in counters),
            problems=self._source.problem_count,
            events_per_s=events_per_s,
            share=self.share(),
            left_s=left_s,
            traders=tuple(self._view(i) for i in range(len(markets))),
        )

    def _view(self, i: int) -> TraderView:
        market, trader = self._wiring.markets[i], self._wiring.traders[i]
        now_ns = max(self.now_ns, self._until_ns)
        age_s = (now_ns - market.ts_local_ns) / NS_PER_S if market.n_events else float("nan")
        calls_per_s = self._call_rate(i, trader.state()["n_calls"])
        item, plan = self.instruments[i], self._plans[i]
        return trader_view(self._names[i], item, plan, trader, market, age_s, calls_per_s)

    def _call_rate(self, i: int, calls: int) -> float:
        """Calls per second of market time, over the last second or more."""
        since_ns, before, rate = self._calls[i]
        passed_ns = self.now_ns - since_ns
        if since_ns == 0 or passed_ns >= RATE_NS:
            rate = (calls - before) * NS_PER_S / passed_ns if since_ns else 0.0
            self._calls[i] = (self.now_ns, calls, rate)
        return rate

    # -- the verdict -------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        """What is to be said of the run: a stop, faulty data, nothing filled, or nothing."""
        wiring = self._wiring
        if wiring.ring.lost:
            return Verdict(
                ExitCode.SAFETY, "one step left more records than fit: mmcore stopped quoting"
            )
        for trader, item in zip(wiring.traders, self.instruments, strict=True):
            if trader.status == Status.KILLED:
                who = "the account" if wiring.account.killed else str(item)
                return Verdict(
                    ExitCode.SAFETY, f"{who} lost more than its limits allow: mmcore stopped"
                )
        return self._outcome() if self.over else Verdict()

    def _outcome(self) -> Verdict:
        """Of a market that is over."""
        markets = self._wiring.markets
        if not self.n_events:
            return Verdict(ExitCode.DATA, "the market holds no event: nothing to trade on")
        for market, item in zip(markets, self.instruments, strict=True):
            if market.book.health in UNUSABLE:
                return Verdict(ExitCode.DATA, f"{item}: {UNUSABLE[Status(market.book.health)]}")
        if not any(trader.state()["n_fills"] for trader in self._wiring.traders):
            return Verdict(ExitCode.OK, f"no fills: {self._no_fills()}")
        return Verdict()

    def _no_fills(self) -> str:
        """The first reason why nothing was filled, with its count."""
        states = [trader.state() for trader in self._wiring.traders]
        placed = sum(state["n_placed"] for state in states)
        if not placed:
            bits = Suppressed(0)
            for state in states:
                bits |= Suppressed(state["why_bid"] | state["why_ask"])
            return f"no order was placed ({', '.join(why(bits)) or 'no healthy book'})"
        if sum(self._refusals.values()) >= placed:
            code, count = self._refusals.most_common(1)[0]
            word = RejectCode(code).name.lower().replace("_", "-")
            return f"all {placed:,} orders were refused, {count:,} of them as {word}"
        return f"the market never reached any of {placed:,} orders"


def _market_words(config: Config) -> str:
    """Where the events come from, for a title."""
    market = config.market
    if market.source == "synthetic":
        return f"synthetic {market.preset}, seed {market.seed}"
    return plural(len(market.files), "tape")


def _loop(config: Config, wiring: Wiring, clock: str) -> SimLoop:
    """The compiled loop, with a simulated venue and its latency for each trader."""
    model = config.simulation
    venues, latencies = [], []
    for i, instrument in enumerate(wiring.instruments):
        venues.append(
            Venue(
                instrument.spec(i),
                queue=model.queue_model,
                exponent=model.exponent,
                position=start_of(config.instruments[i], instrument),
            )
        )
        latencies.append(
            Latency(
                round(model.entry_latency_ms * NS_PER_MS),
                round(model.response_latency_ms * NS_PER_MS),
                jitter_ns=round(model.jitter_ms * NS_PER_MS),
                seed=config.market.seed + i,
                cancel_extra_ns=round(model.cancel_extra_ms * NS_PER_MS),
            )
        )
    return SimLoop(wiring.traders, venues, latencies, clock=clock, timer_ns=TIMER_NS)
