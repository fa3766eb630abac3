"""python-binance's own sockets behind the face of our supervised ones: ``stream = "client"``.

A fallback, and an oracle: messages take the same way from here on.  The library gives up after a
few failed connections and tells of a lost one by an item in its queue only; here every such item is
a gap, and every end a new beginning, with the pauses of our own streams.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import orjson

from ._binance_rest import Rest
from ._stream import Backoff, State

with warnings.catch_warnings():
    # The library imports names that websockets has renamed since.
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance.ws.streams import BinanceSocketManager

# What the library logs is told by on_down, in words; without this it would go to stderr as well.
logging.getLogger("binance").addHandler(logging.NullHandler())

QUEUE_MAX = 100_000  # the library's 100 is less than one busy second
POLL_S = 0.5  # how long the library waits for a message before it looks whether it should end
CLOSE_S = 3.0
STEADY_NS = 10_000_000_000

Open = Callable[[Any], Any]  # one of the library's sockets, from its manager


class ClientStream:
    """The library's socket with the methods of `mmcore.adapters._stream.Stream` that matter.

    open_socket: which socket.  The other parameters are as there; frames are messages written as
    JSON anew.
    """

    def __init__(
        self,
        name: str,
        rest: Rest,
        open_socket: Open,
        *,
        on_frame: Callable[[bytes, int], None],
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[str], None],
        clock: Callable[[], int],
        rng: Random,
    ) -> None:
        self.name = name
        self.state: State = "closed"
        self.why = ""
        self.n_reconnects = 0
        self._rest, self._open_socket = rest, open_socket
        self._on_frame, self._on_up, self._on_down = on_frame, on_up, on_down
        self._clock, self._rng, self._backoff = clock, rng, Backoff()
        self._task: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._recycled: asyncio.Future[str] | None = None

    def start(self) -> None:
        """Begin to connect."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=self.name)

    async def up(self, timeout_s: float) -> bool:
        """Wait until it is connected; False where that takes longer."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    def recycle(self, why: str) -> None:
        """Drop this connection and make a new one."""
        if self._recycled is not None and not self._recycled.done():
            self._recycled.set_result(why)

    async def close(self) -> None:
        """End it for good; idempotent."""
        task, self._task = self._task, None
        if task is not None:
            await _end(task)
        self.state = "closed"

    async def _run(self) -> None:
        failures = 0
        while True:
            self.state, started_ns = "connecting", self._clock()
            socket = self._open_socket(self._library_door())
            for each in (socket, self._rest.client.ws_api):  # spot's user data use the second
                each.TIMEOUT, each.MAX_RECONNECTS = POLL_S, 0  # connecting again is done here
            try:
                try:
                    why = await self._live(socket)
                except Exception as error:  # noqa: BLE001 (a supervisor outlives every failure)
                    why = f"{type(error).__name__}: {str(error)[:200]}"
                self._up.clear()
                self.state, self.why = "down", why
                self.n_reconnects += 1
                self._on_down(why)
            finally:
                await self._hang_up(socket)
            steady = self._clock() - started_ns > STEADY_NS
            failures = 1 if steady else failures + 1
            await asyncio.sleep(self._backoff.pause_s(failures, self._rng))

    def _library_door(self) -> Any:
        """A manager of its own for each socket: the library keeps one socket for each path."""
        address = f"{self._rest.hosts.streams}/"
        places = {"STREAM_URL": address, "FSTREAM_URL": address}
        manager = type("Manager", (BinanceSocketManager,), places)
        return manager(self._rest.client, max_queue_size=QUEUE_MAX)

    async def _live(self, socket: Any) -> str:
        """One socket from its beginning to its end; returns why it ended."""
        recycled = self._recycled = asyncio.get_running_loop().create_future()
        await socket.connect()
        reader = asyncio.create_task(self._read(socket))
        try:
            await self._on_up()
            self.state = "up"
            self._up.set()
            await asyncio.wait({reader, recycled}, return_when=asyncio.FIRST_COMPLETED)
            return recycled.result() if recycled.done() else await reader
        finally:
            await _end(reader)

    async def _read(self, socket: Any) -> str:
        while True:
            message = await socket.recv()
            if message.get("e") == "error":
                return f"{message.get('type')}: {message.get('m')}"
            self._on_frame(orjson.dumps(message), self._clock())

    @staticmethod
    async def _hang_up(socket: Any) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await socket.close()
        except Exception:  # noqa: BLE001 (it is over either way, and why has been said)
            if socket.ws is not None:
                socket.ws.transport.abort()


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel until it ends: the library waits in a way that may lose a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=POLL_S)


__all__ = ["ClientStream"]
