"""What a gateway has toward its owner: a sink, sentences said once in a while, its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal

from mmcore.errors import MmcoreError, UsageError, VenueError
from mmcore.gateway import Rows, Setup, Sink

QUIET_NS = 10_000_000_000  # the same sentence is not said again before
SENTENCES_MAX = 1000  # remembered
GATHER_S = 0.4  # connections of one venue go down, and come back, together: told in one line


class Delivery:
    """The base of a gateway.

    Raises UsageError for keys without client ids, and for orders on a main-net: whatever asks for
    them, no adapter of this version sends any.
    """

    def __init__(self, setup: Setup) -> None:
        if setup.keys is not None and setup.ids is None:
            raise UsageError("a gateway with keys needs ids for its orders", where=setup.venue)
        if setup.keys is not None and setup.environment == "mainnet":
            raise UsageError(
                "orders on a main-net are refused by this version", where=setup.venue,
                done="nothing was sent",
                todo="trade a test-net, or the exchange in the box",
            )  # fmt: skip
        self._setup = setup
        self._sink: Sink | None = None
        self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._said: dict[str, int] = {}
        self._lost: dict[str, str] = {}  # connections that are down, and why they went
        self._untold: set[str] = set()  # of these, who has not been told of
        self._back: list[str] = []  # up again, not told yet
        self._gathering: asyncio.TimerHandle | None = None

    def _emit(self, rows: Rows) -> None:
        if self._sink is not None:
            self._sink.rows(rows)

    def _say(self, level: Literal["info", "warning", "error"], text: str) -> None:
        """A sentence for the user, not the same one again within seconds."""
        now = self._setup.clock()
        if self._sink is None or now - self._said.get(text, -QUIET_NS) < QUIET_NS:
            return
        if len(self._said) > SENTENCES_MAX:
            self._said.clear()
        self._said[text] = now
        self._sink.notice(level, text)

    # --- connections ------------------------------------------------------------------------------

    def _link_down(self, name: str, why: str) -> None:
        """A connection was lost, or could not be made; the first reason is told, once a spell."""
        if name in self._back:
            self._back.remove(name)
        elif name not in self._lost:
            self._lost[name] = why
            self._untold.add(name)
            self._gather()

    def _link_up(self, name: str) -> None:
        """A connection is whole."""
        if name in self._lost and name not in self._back:
            self._back.append(name)
            self._gather()

    def _gather(self) -> None:
        if self._gathering is None and not self._closed:
            loop = asyncio.get_running_loop()
            self._gathering = loop.call_later(GATHER_S, self._tell_links)

    def _tell_links(self) -> None:
        self._gathering = None
        reasons: dict[str, list[str]] = {}
        for name, why in self._lost.items():
            if name in self._untold:
                reasons.setdefault(why, []).append(name)
        self._untold.clear()
        if reasons:
            lost = "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
            self._say("warning", f"{self._setup.venue}: {lost}; mmcore connects again")
        back, self._back = self._back, []
        for name in back:
            self._lost.pop(name, None)
        if back:
            left = f"; still down: {', '.join(self._lost)}" if self._lost else ""
            self._say("info", f"{self._setup.venue}: {', '.join(back)}: up again{left}")

    def _fatal(self, error: MmcoreError) -> None:
        if self._sink is not None:
            self._sink.fatal(error)

    # --- tasks ------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run it until it ends, or this gateway does; how it fails is not lost."""
        if self._closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None or self._closed:
            return
        if isinstance(error, VenueError):
            self._failed(error)
        elif isinstance(error, MmcoreError):
            self._fatal(error)
        else:
            defect = MmcoreError(
                f"{type(error).__name__}: {error}", where=self._setup.venue, done="mmcore stops"
            )
            defect.__cause__ = error
            self._fatal(defect)

    def _failed(self, error: VenueError) -> None:
        """What a task's failure at the venue means: here, the end."""
        self._fatal(error)

    async def _end_tasks(self) -> None:
        """Nothing runs any more, and nothing is begun; idempotent."""
        self._closed = True
        if self._gathering is not None:
            self._gathering.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


__all__ = ["Delivery"]
