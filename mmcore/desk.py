"""What every desk has: markets and traders, and what is said of them.

A desk is what `mmcore.run.Run` runs.  `mmcore.paper` adds simulated venues to this, `mmcore.live`
gateways to real ones.
"""

import abc
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .errors import ExitCode
from .events import RECORD, RecordKind, RejectCode, Status, Suppressed
from .instrument import Instrument
from .progress import Fill, Level, Snapshot, TraderView, VenueView, money, why
from .run import Verdict, Verification
from .schema import AccountConfig, Config, InstrumentConfig, LimitsConfig
from .views import fills_of, names_of, record_line, state_lines, trader_view
from .wiring import Wiring

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
RECORDS = 65_536  # moved from the ring at a time
RATE_NS = NS_PER_S  # shortest span over which calls per second are measured
UNUSABLE = {
    Status.WARMUP: "no snapshot ever came, so its book was never usable",
    Status.GAP: "the sequence broke and no snapshot came after it",
    Status.STALE: "the stream was lost or damaged and no snapshot came after it",
    Status.FULL: "its book outgrew its memory and no snapshot came after it",
}


class TradingDesk(abc.ABC):
    """Markets and traders of one run.

    config: what to trade on what.  title: name of the run.  wiring: made from the configuration.
    market: in words, where the events come from.  place: in words, where orders rest.
    """

    real_time = False  # time is the world's: nothing can be hurried or held back
    clock = "local"  # of the rows that go to the event log, as a tape's header says it
    stopped_ns = -1  # before which market time the stop was asked for; 0: at its end; -1: not yet
    files = ""  # that the market is read from, in words
    lacking = ""  # what the market lacked that a result needs, known at its end
    stopped_row = -1  # live: rows that the event log held then

    def __init__(
        self, config: Config, title: str, wiring: Wiring, *, market: str, place: str
    ) -> None:
        self.title = title
        self.market = market
        self.place = place
        self.now_ns = self.start_ns = self.end_ns = 0
        self.over = False
        self.log_rows: Callable[[NDArray[np.void]], object] = len
        self.instruments: tuple[Instrument, ...] = wiring.instruments
        self._plans: tuple[InstrumentConfig, ...] = config.instruments
        self._account_limits = config.account
        self._names = names_of(self.instruments)
        self._wiring = wiring
        self._records = np.zeros(RECORDS, RECORD)
        self._refusals: Counter[int] = Counter()
        self._killed = -1  # the first trader that a limit stopped
        # of each trader: engine time and calls when the rate was last measured, the rate
        self._calls = [(0, 0, 0.0)] * len(self.instruments)

    @abc.abstractmethod
    def advance(self, events: int, until_ns: int) -> int:
        """Process up to ``events`` events not after ``until_ns`` (0: any); how many were."""

    @property
    @abc.abstractmethod
    def n_open(self) -> int:
        """Own orders that are not known to be gone."""

    @property
    def wiring(self) -> Wiring:
        """Markets and traders."""
        return self._wiring

    # -- records -----------------------------------------------------------------------------

    def drain(self) -> NDArray[np.void]:
        """The records since the last call, RECORD[n] in engine order; valid until the next."""
        count = self._wiring.ring.drain(self._records.view(np.uint8))
        return self._seen(self._records[:count])

    def _seen(self, records: NDArray[np.void]) -> NDArray[np.void]:
        """The same records, their refusals counted."""
        refused = (records["kind"] == RecordKind.REJECT) | (records["kind"] == RecordKind.EXPIRED)
        self._refusals.update(records["code"][refused].tolist())
        return records

    def stop(self) -> None:
        """Ask every trader to cancel all and to quote no more."""
        for trader in self._wiring.traders:
            trader.stop()

    @property
    def n_events(self) -> int:
        """Market messages processed."""
        return sum(market.n_events for market in self._wiring.markets)

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

    @abc.abstractmethod
    def share(self) -> float:
        """How much of the run is behind us, 0 to 1; nan when it has no end."""

    @property
    def problem_count(self) -> int:
        """Damaged records or frames met so far."""
        return 0

    def problems(self) -> list[tuple[Level, str]]:
        """What is to be said since the last call."""
        return []

    def venues(self) -> tuple[VenueView, ...]:
        """The venues that are talked to, for the screen."""
        return ()

    def snapshot(self, wall_s: float, events_per_s: float, left_s: float) -> Snapshot:
        """The run as it is now."""
        markets = self._wiring.markets
        counters = [market.book.counters for market in markets]
        return Snapshot(
            title=self.title,
            market=self.market,
            wall_s=wall_s,
            market_s=max(self.now_ns - self.start_ns, 0) / NS_PER_S if self.start_ns else 0.0,
            events=self.n_events,
            messages=sum(each.messages for each in counters),
            updates=sum(each.levels for each in counters),
            gaps=sum(each.gaps for each in counters),
            crossed=sum(each.crossed for each in counters),
            problems=self.problem_count,
            events_per_s=events_per_s,
            share=self.share(),
            left_s=left_s,
            traders=tuple(self._view(i) for i in range(len(markets))),
            venues=self.venues(),
        )

    def _time_ns(self) -> int:
        """Market time that ages are counted from."""
        return self.now_ns

    def _view(self, i: int) -> TraderView:
        market, trader = self._wiring.markets[i], self._wiring.traders[i]
        age_s = (self._time_ns() - market.ts_local_ns) / NS_PER_S if market.n_events else np.nan
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
        for i, trader in enumerate(wiring.traders):
            if trader.status == Status.KILLED and self._killed < 0:
                self._killed = i
        if self._killed >= 0:
            return Verdict(ExitCode.SAFETY, self._loss(self._killed))
        return self._outcome() if self.over else Verdict()

    def _loss(self, i: int) -> str:
        """Which limit was passed, by what, and what is still held."""
        limits: AccountConfig | LimitsConfig = self._plans[i].limits
        who, views = str(self.instruments[i]), [self._view(i)]
        if self._wiring.account.killed:
            who, limits = "the account", self._account_limits
            views = [self._view(k) for k in range(len(self._names))]
        net = sum(view.net for view in views)
        currency = views[0].currency
        allowed = ", ".join(
            f"{name} {value:g}"
            for name in ("max_loss", "max_drawdown")
            if (value := getattr(limits, name)) is not None
        )
        held = ", ".join(
            f"{view.position:+.{view.quantity_decimals}f} {view.base}"
            for view in views
            if view.position
        )
        return (
            f"{who} lost more than its limits allow ({allowed} {currency}): profit since the "
            f"start {money(net, currency)} {currency}; mmcore stopped with "
            + (f"a position of {held} open" if held else "no position open")
        )

    def _outcome(self) -> Verdict:
        """Of a run that is over."""
        markets = self._wiring.markets
        if not self.n_events:
            return Verdict(ExitCode.DATA, "the market holds no event: nothing to trade on")
        for market, item in zip(markets, self.instruments, strict=True):
            if market.book.health in UNUSABLE:
                files = f"{self.files}: " if self.files else ""
                what = UNUSABLE[Status(market.book.health)]
                return Verdict(ExitCode.DATA, f"{files}{item}: {what}")
        if self.lacking:
            return Verdict(ExitCode.DATA, self.lacking)
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

    def facts(self) -> dict[str, str | int | float | None]:
        """What the journal should say of the run beside its configuration."""
        return {}

    # -- beginning and end -------------------------------------------------------------------

    async def open(self) -> None:
        """Begin: from here on events may come and orders go out."""
        return

    @abc.abstractmethod
    def settle(self) -> bool:
        """Let time pass after `stop`; True when nothing is open, under way or to close."""

    async def verify(self) -> Verification:
        """After the last answer: what the venue itself says."""
        return Verification()

    def close(self) -> None:
        """Release what only this desk holds."""
        return
