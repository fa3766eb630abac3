"""The desk of a paper run: a market source, the traders, and the simulated venues they trade at.

Everything here is deterministic: the same configuration and the same market give the same records,
whatever the pace, the size of the chunks or the machine.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np

from ._channel import Latency
from ._engine import Trader
from ._sim import SimLoop
from ._venue import Venue
from .desk import NS_PER_MS, NS_PER_S, TradingDesk
from .errors import DataError, ExitCode
from .events import EVENT
from .progress import Level, plural
from .run import Verdict
from .schema import Config, SimulationConfig
from .sources import source_of
from .tape import Source, TapeSource
from .wiring import Shared, Wiring, build, venue_of

FOR_EVER = 2**63 - 1
TIMER_NS = 100 * NS_PER_MS  # a silent market is noticed, held requests are sent, so often
SETTLE_STEP_NS = 50 * NS_PER_MS
EVENTS_MAX = 1 << 40
EVENTS_LOOK = 1024  # messages between two looks at the loss limits
PROBLEMS_TOLD_MAX = 10  # damaged records told one by one; the rest only count


class PaperDesk(TradingDesk):
    """A `mmcore.run.Desk` on a simulated venue.

    config: what to trade on what.  title: name of the run.  seconds: market time after which the
    run ends, 0 = open.  source: of the market, the configuration's by default.  shared: with other
    configurations on the same market.  Raises MmcoreError where the configuration or the market
    cannot be used.

    ``limits_end``: whether loss limits end the run; where they do not, it goes on to its market's
    end, as a replay does to the place where the run ended.
    """

    limits_end = True

    def __init__(
        self,
        config: Config,
        title: str,
        seconds: float,
        source: Source | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._source = source_of(config, seconds=seconds) if source is None else source
        self._check_orders(config)
        wiring = build(config, self._source.instruments, shared)
        super().__init__(
            config, title, wiring, market=_market_words(config), place="the simulated venue"
        )
        self.clock = self._source.clock
        self.files = self._source.names if isinstance(self._source, TapeSource) else ""
        self._loop = self._make_loop(Seats.of(config, wiring))
        self.engine_s = 0.0  # wall time in the compiled loop
        self._length_ns = round(seconds * NS_PER_S)
        self._block = np.zeros(0, EVENT)
        self._logged = 0  # rows of the block that the event log has
        self._until_ns = 0
        self._looked = -1  # n_events at the last look at the loss limits
        self._halted = False  # by them
        self._n_problems = 0
        self._full = False  # a venue's table of orders ran full

    def _check_orders(self, config: Config) -> None:
        """Raise DataError where the queue model needs ids that the tape does not tell."""
        if config.simulation.queue_model != "fifo" or not isinstance(self._source, TapeSource):
            return
        if not self._source.by_order:
            raise DataError(
                'the tape tells levels, and queue_model = "fifo" needs the ids of the orders',
                file=config.market.files[0],
                done="nothing was started",
                todo='give a tape of orders with ids, or queue_model = "risk_averse"',
            )

    def _make_loop(self, seats: "Seats") -> SimLoop:
        return SimLoop(*seats, clock=self.clock, timer_ns=TIMER_NS)

    # -- the market --------------------------------------------------------------------------

    def advance(self, events: int, until_ns: int) -> int:
        """Process up to ``events`` messages not after ``until_ns`` (0: any); how many were.

        Whether a loss limit ends the run is looked at once after whole multiples of EVENTS_LOOK
        messages, so that it ends at the same place however it is cut into chunks; in real time
        whenever this is called.
        """
        done = self.n_events
        into = done % EVENTS_LOOK
        if self.limits_end and (self.real_time or (not into and done != self._looked)):
            self._looked = done
            self._halted = self._all_killed()
        if self._halted:
            return 0
        return self._advance(min(events, EVENTS_LOOK - into), until_ns)

    def _all_killed(self) -> bool:
        """Whether loss limits leave nothing to go on for."""
        return super().verdict().exit_code == ExitCode.SAFETY

    def verdict(self) -> Verdict:
        """As of every desk; a loss limit counts once the run has come to its end by it."""
        verdict = super().verdict()
        ended = self.over or self._halted or self._wiring.ring.lost
        return verdict if ended else Verdict()

    def _advance(self, events: int, until_ns: int) -> int:
        self._until_ns = until_ns
        if self._loop.consumed and not self._feed():
            return 0
        limit_ns = min(until_ns or FOR_EVER, self.end_ns or FOR_EVER)
        began = perf_counter()
        count = self._loop.run(events, limit_ns)
        self.engine_s += perf_counter() - began
        self._log()
        self.now_ns = self._loop.now_ns
        # the ring is empty and the block is not: only time can have held the loop back
        self.over = count == 0 and limit_ns == self.end_ns and not self._loop.consumed
        return count

    def _feed(self) -> bool:
        """Bind the next block; False at the end of the market."""
        block = self._source.next_block()
        if block is None:
            if isinstance(self._source, TapeSource):
                self.lacking = self._source.lacking
            self._loop.end()
            self.over = self._loop.consumed
            return not self.over
        if isinstance(self._source, TapeSource) and self._source.foreseen:
            raise DataError(
                f"{self._source.foreseen}: the clock of the recorder was behind",
                file=self._source.paths[0],
                done="nothing is traded on the future",
                todo="`python -m mmcore tape convert` to .npz moves that clock: use what it writes",
            )
        if not self.start_ns and len(block):
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

    def stop(self) -> None:
        """Ask every trader to cancel all and to quote no more, as of a definite instant.

        ``stopped_ns`` says before which market time everything has happened, so that a replay
        stops at the same place; 0: at the end of the market.
        """
        if self._loop.consumed and self.over:
            self.stopped_ns = 0
        else:
            self.stopped_ns = self.end_ns if self.over else self.now_ns + 1
            while self._loop.run(EVENTS_MAX, self.stopped_ns):
                self._log()
            # In a pass the last event may be an answer to another configuration: time goes on from
            # the stop, so that each leaves the records that it leaves alone.
            rest_ns = max(self.stopped_ns - self._loop.now_ns, 0)
            self._loop.idle(rest_ns, rest_ns + 1)
        self._log()
        self.now_ns = self._loop.now_ns
        super().stop()

    def settle(self) -> bool:
        """Let time pass without market data; True when nothing is open, under way or to close.

        Call again, with the records drained between, until it is.
        """
        self._loop.idle(SETTLE_STEP_NS)
        self.now_ns = self._loop.now_ns
        settled = all(trader.settled for trader in self._loop.traders)
        return settled and self.n_open == 0 and self._loop.under_way == 0

    @property
    def n_open(self) -> int:
        """Own orders that are not known to be gone: at the trader, or resting at the venue."""
        seats = zip(self._loop.traders, self._loop.venues, strict=True)
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

    def problems(self) -> list[tuple[Level, str]]:
        """What the market data suffered since the last call, in words."""
        first = self._n_problems
        new = self._source.problems[first:PROBLEMS_TOLD_MAX]
        self._n_problems += len(new)
        told = [str(problem) for problem in new]
        if first < self._n_problems == PROBLEMS_TOLD_MAX:
            told.append("further damaged records are counted, not told one by one")
        told += self._overflowed()
        return [("warning", text) for text in told]

    def _overflowed(self) -> list[str]:
        """What a venue's table of orders had no room for, told once."""
        if self._full:
            return []
        kept = [venue.book.order_counters for venue in self._loop.venues]
        full = [counters for counters in kept if counters is not None and counters.full]
        self._full = bool(full)
        return [
            f"more than {counters.resting} orders rest at once: the simulated venue fills nothing "
            "until the tape clears the book; another queue model needs no room for orders"
            for counters in full[:1]
        ]

    @property
    def problem_count(self) -> int:
        """Damaged records or frames met so far."""
        return self._source.problem_count

    def _time_ns(self) -> int:
        return max(self.now_ns, self._until_ns)


def _market_words(config: Config) -> str:
    """Where the events come from, for a title."""
    market = config.market
    if market.source == "venue":
        return f"public data, {config.environment}"
    if market.source == "synthetic":
        return f"synthetic {market.preset}, seed {market.seed}"
    return plural(len(market.files), "tape")


class Seats(NamedTuple):
    """Who sits at the simulated venues: a trader, its account there and the latency between."""

    traders: tuple[Trader, ...]
    venues: tuple[Venue, ...]
    latencies: tuple[Latency, ...]

    @classmethod
    def of(cls, config: Config, wiring: Wiring, beside: Sequence[Venue] = ()) -> "Seats":
        """The seats of one configuration.

        beside: venues of the same instruments whose books are shared; none: books of their own.
        """
        venues, latencies = [], []
        for i, instrument in enumerate(wiring.instruments):
            venues.append(venue_of(config, i, instrument, beside[i] if beside else None))
            latencies.append(latency_of(config.simulation, config.market.seed + i))
        return cls(wiring.traders, tuple(venues), tuple(latencies))


def latency_of(model: SimulationConfig, seed: int) -> Latency:
    """The latency that a table ``[simulation]`` asks for."""
    return Latency(
        round(model.entry_latency_ms * NS_PER_MS),
        round(model.response_latency_ms * NS_PER_MS),
        jitter_ns=round(model.jitter_ms * NS_PER_MS),
        seed=seed,
        cancel_extra_ns=round(model.cancel_extra_ms * NS_PER_MS),
    )
