"""A venue's dead man's switch: it cancels every order there when this process falls silent.

It is set before the first order, renewed while the loop runs, and taken away at the end where no
own order is left.  What could not be cancelled by then, the venue cancels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

from mmcore.errors import NetworkError, VenueError

RETRY_S = 1.0  # after a renewal that did not arrive: time is running at the venue
END_S = 2.0
NONE_HERE = (
    "the venue has no dead man's switch: if mmcore dies, its orders stay until they are filled or "
    "somebody cancels them"
)

Say = Callable[[Literal["info", "warning", "error"], str], None]


class DeadMan:
    """One switch, or one a symbol, set by one call.

    window_s: of silence, after which the venue cancels.  every_s: from one renewal to the next.
    set_to: sets it to go off after so many seconds from now, 0 takes it away; raises VenueError.
    whose: orders that it cancels, for the sentence.  say: one sentence for the user.
    """

    def __init__(
        self,
        window_s: float,
        every_s: float,
        set_to: Callable[[float], Awaitable[None]],
        whose: str,
        say: Say,
    ) -> None:
        self._window_s = window_s
        self._every_s = self._pause_s = every_s
        self._set_to = set_to
        self._whose = whose
        self._say = say
        self._is_set: bool | None = None  # None: not tried yet

    async def arm(self) -> None:
        """Set it, or set it anew; what became of it is told when that changes."""
        before = self._is_set
        try:
            await self._set_to(self._window_s)
        except VenueError as error:
            self._is_set = False
            self._pause_s = RETRY_S if isinstance(error, NetworkError) else self._every_s
            if before is not False:
                self._say("warning", self._not_set(error, before))
            return
        self._is_set, self._pause_s = True, self._every_s
        if not before:
            again = "" if before is None else "again "
            self._say(
                "info",
                f"the dead man's switch is set {again}there: {self._window_s:g} s after mmcore "
                f"falls silent, the venue cancels {self._whose}",
            )

    def _not_set(self, error: VenueError, before: bool | None) -> str:
        if before:
            return (
                f"the dead man's switch was not renewed ({error.what}): within {self._window_s:g} s"
                f" the venue cancels {self._whose}; mmcore tries again"
            )
        return (
            f"the dead man's switch could not be set ({error.what}): if mmcore dies, its orders "
            "stay; mmcore goes on, and tries again"
        )

    async def again(self) -> None:
        """Set it, where it was tried and failed; for one that needs no renewal."""
        if self._is_set is False:
            await self.arm()

    async def keep(self) -> None:
        """Renew it, until cancelled."""
        while True:
            await asyncio.sleep(self._pause_s)
            await self.arm()

    async def disarm(self) -> None:
        """Take it away; where that fails it goes off over an empty book."""
        if self._is_set is None:
            return
        with suppress(VenueError, TimeoutError):
            async with asyncio.timeout(END_S):
                await self._set_to(0.0)


__all__ = ["NONE_HERE", "DeadMan"]
