"""Two clocks of the box: the one that venues show and judge by, and the one that runs it."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Time of the exchange in the box, nanoseconds since 1970.

    ``now_ns`` is what clients see and are judged by: server time, receive windows, stamps.  A
    scripted jump moves it, and nothing else.  ``engine_ns`` runs the exchange: market, orders,
    funding, limits; it never jumps and never runs backwards, whatever the machine's clock does.

    wall: where the day comes from, read once.  steady: what counts on from there.
    """

    __slots__ = ("_offset_ns", "_origin_ns", "_steady")

    def __init__(
        self,
        wall: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._steady = steady
        self._origin_ns = wall() - steady()
        self._offset_ns = 0

    def now_ns(self) -> int:
        """The venue's clock as it shows it."""
        return self._origin_ns + self._steady() + self._offset_ns

    def engine_ns(self) -> int:
        """The clock of the exchange itself: pass this one to its methods."""
        return self._origin_ns + self._steady()

    @property
    def offset_ns(self) -> int:
        """How far the shown clock stands from the running one; positive is ahead."""
        return self._offset_ns

    def jump(self, by_ns: int) -> None:
        """Move the shown clock, forwards or back; jumps add up."""
        self._offset_ns += by_ns
