"""pybit's own sockets under our supervisor: ``stream = "client"``.

A fallback, and an oracle: the vendor's client connects, authenticates, keeps the link alive and
takes frames apart in its thread; each message is written as JSON anew, and takes the same way from
there on.  pybit's own reconnecting is switched off: it gives up in silence, and it hides gaps.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Literal

import orjson
from pybit.unified_trading import WebSocket

from mmcore.gateway import Keys

from ._bybit_words import Servers
from ._stream import Heartbeat, Stream

NEVER_S = 1e6  # pybit sends the pings, and keeps the answers to itself
AUTH_AHEAD_S = 10
ATTEMPTS = 2  # of pybit's for one of ours; with one it reports failure even when connected

logging.getLogger("pybit").addHandler(logging.NullHandler())
logging.getLogger("websocket").addHandler(logging.NullHandler())


class _Socket(WebSocket):  # type: ignore[misc]
    """pybit's socket: to any address, and with its end told.

    on_end: gets the reason, in pybit's thread.
    """

    def __init__(
        self, address: str, on_end: Callable[[_Socket, str], None], **options: Any
    ) -> None:
        self._address = address
        self._on_end = on_end
        super().__init__(**options)

    def _connect(self, url: str) -> None:
        super()._connect(self._address + url[url.index("/v5/") :])

    def _on_error(self, error: Exception) -> None:
        self.exited = True
        self._on_end(self, f"{type(error).__name__}: {str(error)[:200]}")

    def _on_close(self) -> None:
        self._on_end(self, "the connection was lost")


class _Link:
    """What the supervisor needs of a connection."""

    def __init__(self, socket: _Socket) -> None:
        self._socket = socket

    @property
    def is_disconnected(self) -> bool:
        return not self._socket.is_connected()

    def send(self, _kind: object, data: bytes) -> None:
        self._socket.ws.send(data.decode())

    def send_close(self, _code: object) -> None:
        """pybit closes by itself."""

    def disconnect(self) -> None:
        """End it, in a thread: pybit waits there for as long as it takes."""
        threading.Thread(target=self._socket.exit, daemon=True).start()


class ClientStream(Stream):
    """A :class:`Stream` on pybit's WebSocket.

    channel: of pybit's, "linear", "spot" or "private".  keys: for "private".  The other parameters
    are as there.
    """

    def __init__(
        self,
        name: str,
        servers: Servers,
        channel: Literal["linear", "spot", "private"],
        keys: Keys | None,
        **options: Any,
    ) -> None:
        super().__init__(
            name, servers.sockets, **options | {"beat": Heartbeat("protocol", NEVER_S, NEVER_S)}
        )
        self._channel = channel
        self._keys = keys
        self._link: _Link | None = None

    async def _connect(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        made: asyncio.Future[_Socket] = loop.create_future()

        def deliver(outcome: _Socket | Exception) -> None:
            if made.done():  # nobody waits any more
                if isinstance(outcome, _Socket):
                    _Link(outcome).disconnect()
            elif isinstance(outcome, Exception):
                made.set_exception(ConnectionError(f"pybit: {outcome}"))
            else:
                made.set_result(outcome)

        def message(text: Any) -> None:
            now = self.clock()
            self._told(loop, self._take, orjson.dumps(text), now)

        def make() -> None:
            try:
                socket = _Socket(
                    url,
                    lambda which, why: self._told(loop, self._ended, which, why),
                    channel_type=self._channel,
                    testnet=False,
                    api_key=self._keys.key if self._keys else None,
                    api_secret=self._keys.secret if self._keys else None,
                    callback_function=message,
                    retries=ATTEMPTS,
                    restart_on_error=False,
                    private_auth_expire=AUTH_AHEAD_S,
                )
            except Exception as error:  # noqa: BLE001 (told by deliver; a thread has nobody else)
                self._told(loop, deliver, error)
            else:
                self._told(loop, deliver, socket)

        threading.Thread(target=make, name=f"{self.name} connects", daemon=True).start()
        async with asyncio.timeout(self._connect_s):
            socket = await made
        self._link = _Link(socket)
        self.connected(self._link)

    @staticmethod
    def _told(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *args: Any) -> None:
        """From pybit's thread onto the loop; a loop that is gone wants nothing."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(what, *args)

    def _take(self, frame: bytes, ts_local_ns: int) -> None:
        self.last_frame_ns = self.last_data_ns = ts_local_ns
        if self.state == "closed":
            return
        try:
            self.on_frame(frame, ts_local_ns)
        except Exception as error:  # noqa: BLE001 (told through on_down; the stream starts anew)
            self.drop(f"a frame could not be used: {error}")

    def _ended(self, which: _Socket, why: str) -> None:
        if self._link is not None and which is self._link._socket:
            self.drop(why)


__all__ = ["ClientStream"]
