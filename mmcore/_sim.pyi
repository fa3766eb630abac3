"""The loop: events from a source, compiled traders, simulated venues, in one order of time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from ._channel import Latency
from ._engine import Trader
from ._venue import Venue

@disjoint_base
class SimLoop:
    """Runs traders against simulated venues over the rows of a source; single-threaded.

    traders: several may share one Market, and several Markets with signals of their own may be of
    one instrument; they are known by their instrument's index.  venues, latencies: one each, same
    order, each venue used here alone; venues of one instrument may share their book (``beside=``).
    clock: "local", the venue sees a row right after we do, or "two".
    timer_ns: a timer event for every trader so often, at whole multiples, 0 for none.  All traders
    must share one Ring.  Raises ValueError where these do not fit together.

    Within one instant: local data, local answers, venue data, requests at the venue, timers.
    Blocks and chunks change nothing.
    """

    traders: tuple[Trader, ...]
    venues: tuple[Venue, ...]
    latencies: tuple[Latency, ...]
    def __init__(
        self,
        traders: Sequence[Trader],
        venues: Sequence[Venue],
        latencies: Sequence[Latency],
        *,
        clock: str = "local",
        timer_ns: int = 0,
    ) -> None: ...
    def feed(self, rows: NDArray[np.void]) -> None:
        """Bind the next block: EVENT rows, whole messages.  The one before must be consumed.

        The array is kept until the next call and must not change meanwhile.
        """

    def run(self, events: int, until_ns: int = ...) -> int:
        """Give up to ``events`` market messages not after ``until_ns``; how many were given.

        Releases the GIL.  Fewer than asked: the block is consumed, the time is reached, or the
        journal's ring must be drained first.  ValueError for a message that is cut off or of an
        unknown instrument, OverflowError when more is under way than a channel holds.
        """

    def end(self) -> None:
        """No further block will come: with two clocks, what waited for it may now happen.

        Run on until the loop is consumed.
        """

    def idle(self, duration_ns: int, step_ns: int = 10_000_000) -> None:
        """Let ``duration_ns`` pass without market data: requests and answers under way arrive.

        Every ``step_ns`` the traders get a timer event.  Stops short when the journal's ring must
        be drained first.
        """

    @property
    def consumed(self) -> bool:
        """True when the loop needs the next block; at the end, when every row has happened."""

    @property
    def row(self) -> int:
        """Rows of the block that the traders have seen; with two clocks, that were taken up."""

    @property
    def now_ns(self) -> int:
        """Engine time: of the latest event on our side, ns; 0 before the first."""

    @property
    def n_events(self) -> int:
        """Market messages given to the traders."""

    @property
    def n_requests(self) -> int:
        """Requests sent."""

    @property
    def n_answers(self) -> int:
        """Answers and fills that the venues sent."""

    @property
    def under_way(self) -> int:
        """Requests and answers that have not arrived yet."""
