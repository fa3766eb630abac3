from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from ._channel import Latency
from ._engine import Trader
from ._venue import Venue

@disjoint_base
class SimLoop:
    """Runs traders against simulated venues over the rows of a source.

    traders: index = place in the run; several may share one Market.  venues, latencies: one each,
    same order; venues of traders on one market must share their book (``beside=``).  clock: "local"
    or "two".  timer_ns: a timer event for every trader so often, 0 for none.  All traders must
    share one Ring.  Raises ValueError where these do not fit together.
    """

    traders: tuple[Trader, ...]
    venues: tuple[Venue, ...]
    def __init__(
        self,
        traders: Sequence[Trader],
        venues: Sequence[Venue],
        latencies: Sequence[Latency],
        *,
        clock: str = "local",
        timer_ns: int = 0,
    ) -> None: ...
    def feed(self, rows: NDArray[np.void]) -> None: ...
    def run(self, events: int, until_ns: int = ...) -> int: ...
    def idle(self, duration_ns: int, step_ns: int = 10_000_000) -> None: ...
    @property
    def consumed(self) -> bool: ...
    @property
    def row(self) -> int: ...
    @property
    def now_ns(self) -> int: ...
    @property
    def n_events(self) -> int: ...
    @property
    def n_requests(self) -> int: ...
    @property
    def n_answers(self) -> int: ...
    @property
    def under_way(self) -> int: ...
