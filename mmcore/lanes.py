"""Several configurations on one market, in one pass over its data.

Books and signals are kept once for all of them; every configuration has a lane: traders, limits and
accounts at the simulated venue of its own.  What one does changes nothing for another: the records
of a lane are those that a run of its configuration alone would leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ._sim import SimLoop
from .desk import TradingDesk
from .errors import ConfigError, ExitCode
from .events import RECORD, RecordKind
from .paper import TIMER_NS, PaperDesk, Seats
from .schema import Config
from .tape import Source
from .wiring import Shared, Wiring, build

RECORDS_PER_SEAT = 1024  # in the ring: a step leaves fewer than a quarter of it
RECORDS_MIN = 65_536
LANES_MAX = 256


class Lane(TradingDesk):
    """One configuration of a pass, beside the first; the pass moves it.

    config, wiring: of this lane.  desk: the pass.  ``records`` is called with its records.
    """

    def __init__(self, config: Config, wiring: Wiring, desk: PassDesk) -> None:
        super().__init__(config, desk.title, wiring, market=desk.market, place=desk.place)
        self.config = config
        self.clock, self.files = desk.clock, desk.files
        self._desk = desk
        self.records: Callable[[NDArray[np.void]], object] = len
        self.cancelled = 0  # own orders, since the stop
        self._stopping = False

    def take(self, records: NDArray[np.void]) -> None:
        """Count this lane's records and hand them on."""
        self.follow()
        if self._stopping:
            self.cancelled += int((records["kind"] == RecordKind.CANCELLED).sum())
        self.records(self._seen(records))

    def follow(self) -> None:
        """Take over where the pass is."""
        desk = self._desk
        self.now_ns, self.start_ns, self.end_ns = desk.now_ns, desk.start_ns, desk.end_ns
        self.over, self.lacking = desk.over, desk.lacking
        self.stopped_ns = desk.stopped_ns

    def stop(self) -> None:
        """Ask every trader of the lane to cancel all and to quote no more."""
        super().stop()
        self._stopping = True

    @property
    def killed(self) -> bool:
        """Whether a loss limit has stopped this lane, also before the stop of the pass."""
        return self.verdict().exit_code == ExitCode.SAFETY

    def advance(self, events: int, until_ns: int) -> int:
        """Lanes are moved by their pass: move that."""
        return self._desk.advance(events, until_ns)

    @property
    def n_open(self) -> int:
        """Own orders that are not known to be gone."""
        return sum(trader.n_open for trader in self._wiring.traders)

    def share(self) -> float:
        """How much of the market is behind us, 0 to 1; nan when it has no end."""
        return self._desk.share()

    def settle(self) -> bool:
        """Lanes are settled by their pass."""
        return self._desk.settle()


class PassDesk(PaperDesk):
    """A `mmcore.run.Desk` that trades several configurations on one market.

    configs: the first one is what the desk itself shows and returns records of; the others are
    ``lanes``, in their order.  All must have the same market and instruments.  title, seconds,
    source: as for `mmcore.paper.PaperDesk`.  Raises ConfigError where they do not fit together.
    """

    def __init__(
        self, configs: Sequence[Config], title: str, seconds: float, source: Source | None = None
    ) -> None:
        first = configs[0]
        for other in configs[1:]:
            _compare(first, other)
        self._others = configs[1:]
        self._shared = Shared(_room(len(configs) * len(first.instruments)))
        self.lanes: tuple[Lane, ...] = ()
        super().__init__(first, title, seconds, source, self._shared)

    def _make_loop(self, seats: Seats) -> SimLoop:
        n = len(self.instruments)
        lanes, together = [], [seats]
        for number, config in enumerate(self._others, 1):
            self._check_orders(config)
            wiring = build(config, self.instruments, self._shared, number=number * n)
            lanes.append(Lane(config, wiring, self))
            together.append(Seats.of(config, wiring, seats.venues))
        self.lanes = tuple(lanes)
        return SimLoop(
            [each for one in together for each in one.traders],
            [each for one in together for each in one.venues],
            [each for one in together for each in one.latencies],
            clock=self.clock,
            timer_ns=TIMER_NS,
        )

    def drain(self) -> NDArray[np.void]:
        """The records of the first configuration since the last call; lanes take their own."""
        kept = [np.zeros(0, RECORD)]
        n = len(self.instruments)
        while count := self._wiring.ring.drain(self._records.view(np.uint8)):
            records = self._records[:count]
            if not self.lanes:
                kept.append(records.copy())
                continue
            lane = records["trader"] // n
            records["trader"] %= n
            kept.append(records[lane == 0])
            for number in np.unique(lane[lane > 0]).tolist():
                self.lanes[number - 1].take(records[lane == number])
        return self._seen(np.concatenate(kept))

    def stop(self) -> None:
        """Ask every trader of every lane to cancel all and to quote no more."""
        super().stop()
        for lane in self.lanes:
            lane.stop()
            lane.follow()

    def _all_killed(self) -> bool:
        # every lane is asked: it remembers a limit that it has met
        return all([super()._all_killed(), *[lane.killed for lane in self.lanes]])


def _room(seats: int) -> int:
    room = RECORDS_MIN
    while room < seats * RECORDS_PER_SEAT:
        room *= 2
    return room


def _compare(first: Config, other: Config) -> None:
    """Raise ConfigError where two configurations cannot share a pass."""
    wrong = ""
    names = ("source", "preset", "regime", "seed", "files")
    if any(getattr(first.market, name) != getattr(other.market, name) for name in names):
        wrong = "[market] differs"
    elif list(map(_instrument, first.instruments)) != list(map(_instrument, other.instruments)):
        wrong = "the instruments, their order, their [instrument.spec] or [instrument.fees] differ"
    if wrong:
        raise ConfigError(
            f"{wrong} from {first.path}",
            where=other.path,
            done="nothing was started",
            todo="give both the same market and instruments, or backtest them one by one",
        )


def _instrument(item: object) -> tuple[object, ...]:
    names = ("venue", "symbol", "spec", "fees", "synthetic")
    return tuple(getattr(item, name) for name in names)


__all__ = ["LANES_MAX", "Lane", "PassDesk"]
