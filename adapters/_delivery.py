"""What a gateway has toward its owner: a sink, sentences said once in a while, its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal

from mmcore.errors import MmcoreError, UsageError, VenueError
from mmcore.gateway import Rows, Setup, Sink

QUIET_NS = 10_000_000_000  # the same sentence is not said again before
SENTENCES_MAX = 1000  # remembered


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
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


__all__ = ["Delivery"]
