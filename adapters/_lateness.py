"""Depth that flows and comes late: a book that is whole, and of the past.

Neither a gap nor a silence shows it, only the event's time against the venue's clock.  Whose books
they are keeps them stale while this says so.

A clock that was set looks the same.  So whoever is late first loses its book, then the venue's
clock is measured anew, and only who is late by that too is told of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from mmcore.errors import VenueError

SECOND = 1_000_000_000
MEASURE_EVERY_NS = 5 * SECOND  # while somebody is late, or ahead of the venue's clock
RECYCLE_NS, RECYCLE_MAX_NS = 5 * SECOND, 80 * SECOND  # a new connection may take a better way

Say = Callable[[Literal["info", "warning", "error"], str], None]


@dataclass(slots=True)
class _Late:
    """One instrument that is late: since when, and whether the user knows."""

    since_ns: int
    told: bool = False


class Lateness:
    """Of the instruments of one connection.

    names: by instrument number.  late_s: beyond so much depth is late, and in time again below half
    of it.  offset: the venue's clock less ours, ns; measure: reads it anew.  spawn: runs that
    beside.  say: one sentence for the user.  clock: ns, of receive times.
    """

    def __init__(
        self,
        names: Mapping[int, str],
        late_s: float,
        *,
        offset: Callable[[], int],
        measure: Callable[[], Awaitable[Any]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        say: Say,
        clock: Callable[[], int],
    ) -> None:
        self._names = names
        self._late_s = late_s
        self._late_ns = round(late_s * SECOND)
        self._offset, self._measure = offset, measure
        self._spawn, self._say, self._clock = spawn, say, clock
        self._late: dict[int, _Late] = {}
        self._measured_ns = 0  # when the venue's clock was read last
        self._asked_ns = -MEASURE_EVERY_NS
        self._recycle_ns = RECYCLE_NS
        self._recycled_ns = 0

    def __contains__(self, number: int) -> bool:
        return number in self._late

    def __bool__(self) -> bool:
        return bool(self._late)

    def judge(self, number: int, lag_ns: int) -> bool:
        """Whether an instrument is late, by its newest depth: receive time less event time."""
        age_ns = lag_ns + self._offset()
        late = self._late.get(number)
        if late is None and age_ns > self._late_ns:
            self._late[number] = _Late(self._clock())
        elif late is not None and age_ns < self._late_ns // 2:
            self.forgive(number)
        if abs(age_ns) > self._late_ns:
            self._doubt()
        return number in self._late

    def forgive(self, number: int) -> None:
        """An instrument is in time again, or nothing of it flows that could be late."""
        late = self._late.pop(number)
        if late.told:
            self._say("info", f"the depth of {self._names[number]} is in time again")
        if not self._late:
            self._recycle_ns = RECYCLE_NS

    def look(self) -> str:
        """Tell of who is late by a clock that was measured lately; to be called now and then.

        Why the connection is to be replaced, where it has been late for long, else "".
        """
        now = self._clock()
        known_ns = self._measured_ns + MEASURE_EVERY_NS
        found = {n: late for n, late in self._late.items() if late.since_ns < known_ns}
        fresh = [self._names[n] for n, late in found.items() if not late.told]
        if fresh:
            self._say(
                "warning",
                f"the depth of {', '.join(fresh)} comes more than {self._late_s:g} s late: mmcore "
                "does not quote on it until it is in time again",
            )
        for late in found.values():
            late.told = True
        since = min((late.since_ns for late in found.values()), default=now)
        if now - max(since, self._recycled_ns) < self._recycle_ns:
            return ""
        self._recycled_ns = now
        self._recycle_ns = min(2 * self._recycle_ns, RECYCLE_MAX_NS)
        return f"depth came late for {(now - since) / SECOND:.0f} s"

    def _doubt(self) -> None:
        now = self._clock()
        if now - self._asked_ns >= MEASURE_EVERY_NS:
            self._asked_ns = now
            self._spawn(self._read())

    async def _read(self) -> None:
        with suppress(VenueError):  # who is late by the clock that is known stays so
            await self._measure()
        self._measured_ns = self._clock()


__all__ = ["Lateness"]
