"""One websocket that is kept up: picows underneath, a supervisor on top, nothing lost in silence.

The supervisor connects, lets the owner log in and subscribe, and watches: a socket that answers no
ping, or brings no data, is dropped and replaced; so is one that is about to reach the age at which
the venue cuts it.  Whatever goes wrong is told once, in words, and tried again after a pause that
grows.  Only :meth:`Stream.close` ends it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Literal
from urllib.parse import urlsplit

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSListener,
    WSMsgType,
    WSParsedURL,
    WSTransport,
    ws_connect,
)

from mmcore._rate import RateLimiter
from mmcore.errors import MmcoreError, UsageError

SECOND = 1_000_000_000
FRAME_MAX = 32 << 20  # bytes of one message, fragments together
STEADY_S = 10.0  # a socket that lived so long starts the pauses anew
UP_S = 10.0  # what logging in and subscribing may take
ATTEMPTS, ATTEMPTS_S = 60, 300  # connections of one stream in a window

State = Literal["closed", "connecting", "up", "down"]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How a link is proved alive: a ping every every_s, and any frame within answer_s of it.

    kind: "protocol", the websocket's own ping; "text", a message of the venue's (``text``).
    """

    kind: Literal["protocol", "text"] = "protocol"
    every_s: float = 15.0
    answer_s: float = 10.0
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses before a new connection: first_s, doubled each time up to max_s.

    Each is drawn between half of itself and the whole, so that many streams do not come at once.
    """

    first_s: float = 0.1
    max_s: float = 15.0

    def pause_s(self, failures: int, rng: Random) -> float:
        """The pause after so many failures in a row; none after none."""
        if failures <= 0:
            return 0.0
        whole: float = min(self.first_s * 2.0 ** min(failures - 1, 30), self.max_s)
        return whole * (0.5 + 0.5 * rng.random())


class _Down(Exception):
    """Why a connection ended; ``orderly``: nobody's fault, so that no pause is due."""

    def __init__(self, why: str, *, orderly: bool = False) -> None:
        super().__init__(why)
        self.orderly = orderly


class _Listener(WSListener):
    """The face to picows: stamps, joins fragments, hands on."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._clock = stream.clock
        self._on_frame = stream.on_frame
        self._parts: list[bytes] = []
        self._size = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._stream.connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now = self._clock()
        stream = self._stream
        stream.last_frame_ns = now
        kind = frame.msg_type
        try:
            if kind is WSMsgType.TEXT or kind is WSMsgType.BINARY:
                stream.last_data_ns = now
                if frame.fin:
                    self._on_frame(frame.get_payload_as_bytes(), now)
                else:
                    self._parts = [frame.get_payload_as_bytes()]
                    self._size = frame.payload_size
            elif kind is WSMsgType.CONTINUATION:
                stream.last_data_ns = now
                self._join(frame, now)
            elif kind is WSMsgType.CLOSE:
                code = getattr(frame.get_close_code(), "value", "no code")
                reason = frame.get_close_reason() or "no reason given"
                stream.drop(f"the venue closed it ({code}: {reason})", of=transport)
        except Exception as error:  # noqa: BLE001 (told through on_down; the stream starts anew)
            stream.drop(f"a frame could not be used: {_sentence(error)}", of=transport)

    def _join(self, frame: WSFrame, now: int) -> None:
        self._size += frame.payload_size
        if self._size > FRAME_MAX:
            self._parts = []
            self._stream.drop(f"a message of more than {FRAME_MAX} bytes")
            return
        self._parts.append(frame.get_payload_as_bytes())
        if frame.fin:
            whole, self._parts = b"".join(self._parts), []
            self._on_frame(whole, now)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._stream.drop("the connection was lost", of=transport)

    def pause_writing(self) -> None:
        self._stream.choked = True

    def resume_writing(self) -> None:
        self._stream.choked = False


class Stream:
    """One supervised socket.

    name: in messages.  url: or a coroutine that finds it before each connection (a listen key).
    on_frame: gets each text or binary message, whole, with its receive time; called on the loop.
    on_up: logs in and subscribes; frames flow meanwhile; what it raises drops the connection.
    on_down: gets the reason, once for each connection or attempt that failed.  clock: receive time,
    ns.  rng: of the jitter.  stale_s: without any data for so long the connection is replaced, 0
    for streams that may be silent.  rotate_s: age at which it is.

    Raises UsageError for an address in the clear that is not loopback.
    """

    def __init__(
        self,
        name: str,
        url: str | Callable[[], Awaitable[str]],
        *,
        on_frame: Callable[[bytes, int], None],
        on_up: Callable[[Stream], Awaitable[None]],
        on_down: Callable[[str], None],
        beat: Heartbeat,
        clock: Callable[[], int],
        rng: Random,
        stale_s: float,
        rotate_s: float = 23.5 * 3600,
        backoff: Backoff = Backoff(),
        connect_s: float = 10.0,
        attempts: RateLimiter | None = None,
    ) -> None:
        if isinstance(url, str):
            check_address(url)
        self.name = name
        self.on_frame = on_frame
        self.clock = clock
        self.state: State = "closed"
        self.why = ""
        self.n_reconnects = 0
        self.last_frame_ns = 0
        self.last_data_ns = 0
        self.choked = False
        self._url = url
        self._on_up = on_up
        self._on_down = on_down
        self._beat = beat
        self._rng = rng
        self._stale_s = stale_s
        self._rotate_s = rotate_s
        self._backoff = backoff
        self._connect_s = connect_s
        self._attempts = attempts or RateLimiter(ATTEMPTS, ATTEMPTS_S * SECOND)
        self._task: asyncio.Task[None] | None = None
        self._transport: WSTransport | None = None
        self._socket: socket.socket | None = None
        self._gone: asyncio.Future[_Down] | None = None
        self._up = asyncio.Event()

    # --- for the owner ----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect; at once, and for good."""
        if self._task is None:
            self.state = "connecting"
            self._task = asyncio.get_running_loop().create_task(self._run(), name=self.name)

    async def up(self, timeout_s: float) -> bool:
        """Wait until it is logged in and subscribed; False where that takes longer."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    def send(self, frame: bytes | str) -> bool:
        """Send a text message; False, and surely nothing sent, where the link is not there."""
        transport = self._transport
        if transport is None or self.choked or transport.is_disconnected:
            return False
        transport.send(WSMsgType.TEXT, frame.encode() if isinstance(frame, str) else frame)
        return True

    def recycle(self, why: str) -> None:
        """Drop this connection and make a new one, without a pause."""
        self.drop(why, orderly=True)

    async def close(self) -> None:
        """End it for good; idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self.state = "closed"
        self._up.clear()

    # --- the supervisor ---------------------------------------------------------------------------

    def connected(self, transport: Any) -> None:
        """The handshake is through; frames may come before the connecting call returns."""
        self._transport = transport
        self.last_frame_ns = self.last_data_ns = self.clock()

    def drop(self, why: str, *, orderly: bool = False, of: WSTransport | None = None) -> None:
        """This connection is over; a later reason, or one of an older connection, is ignored."""
        gone = self._gone
        if gone is None or gone.done() or (of is not None and of is not self._transport):
            return
        gone.set_result(_Down(why, orderly=orderly))

    async def _run(self) -> None:
        failures = 0
        while True:
            started_ns = self._now_ns()
            try:
                await self._pace()
                await self._live()
            except _Down as end:
                why, orderly = str(end), end.orderly
            except Exception as error:  # noqa: BLE001 (a supervisor outlives every failure)
                why, orderly = _sentence(error), False
            finally:
                self._up.clear()
                self._hang_up()
            steady = self._now_ns() - started_ns > STEADY_S * SECOND
            failures = 0 if orderly else 1 if steady else failures + 1
            self.state, self.why = "down", why
            self._report(why)
            self.n_reconnects += 1
            await asyncio.sleep(self._backoff.pause_s(failures, self._rng))
            self.state = "connecting"

    def _report(self, why: str) -> None:
        try:
            self._on_down(why)
        except Exception as error:  # noqa: BLE001 (told to the loop; the stream goes on)
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"{self.name}: on_down failed", "exception": error}
            )

    async def _pace(self) -> None:
        """Connections are bounded in number, whatever goes wrong."""
        while not self._attempts.take(self._now_ns()):
            wait_ns = self._attempts.wait_ns(self._now_ns())
            await asyncio.sleep(wait_ns / SECOND)

    async def _live(self) -> None:
        """One connection, from the address to its end; always raises."""
        loop = asyncio.get_running_loop()
        url = self._url if isinstance(self._url, str) else await self._address()
        self._gone = loop.create_future()
        self.choked = False
        await self._connect(url)
        watch = loop.create_task(self._watch(), name=f"{self.name} watch")
        login = loop.create_task(self._login(), name=f"{self.name} login")
        try:
            await _first(self._gone, watch, login)
            if login.done() and not self._gone.done():
                login.result()
                self.state = "up"
                self._up.set()
                await _first(self._gone, watch)
            if not self._gone.done():
                watch.result()
            raise await self._gone
        finally:
            for task in (watch, login):
                task.cancel()
            await asyncio.gather(watch, login, return_exceptions=True)

    async def _address(self) -> str:
        assert not isinstance(self._url, str)
        async with asyncio.timeout(self._connect_s):
            url = await self._url()
        check_address(url)
        return url

    async def _connect(self, url: str) -> None:
        secure = url.startswith("wss:")
        async with asyncio.timeout(self._connect_s):
            await ws_connect(
                lambda: _Listener(self),
                url,
                ssl_context=ssl.create_default_context() if secure else None,
                websocket_handshake_timeout=self._connect_s,
                disconnect_on_exception=True,
                enable_auto_ping=False,
                enable_auto_pong=True,
                max_frame_size=FRAME_MAX,
                max_redirects=0,
                socket_factory=self._dial,
            )

    async def _dial(self, url: WSParsedURL) -> socket.socket:
        """A connected socket, which is kept: a handshake that is given up must not linger."""
        loop = asyncio.get_running_loop()
        reason: OSError = OSError(f"no address for {url.host}")
        for family, kind, protocol, _, address in await loop.getaddrinfo(
            url.host, url.port, type=socket.SOCK_STREAM
        ):
            dialled = socket.socket(family, kind, protocol)
            dialled.setblocking(False)
            try:
                await loop.sock_connect(dialled, address)
            except OSError as error:
                dialled.close()
                reason = error
            except asyncio.CancelledError:
                dialled.close()
                raise
            else:
                dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket = dialled
                return dialled
        raise reason

    async def _login(self) -> None:
        try:
            async with asyncio.timeout(UP_S):
                await self._on_up(self)
        except TimeoutError:
            raise _Down(f"not logged in and subscribed within {UP_S:g} s") from None

    async def _watch(self) -> None:
        """Heartbeat, silence and age; ends by dropping the connection."""
        born = pinged = self._now_ns()
        beat = self._beat
        step_s = min(beat.every_s, beat.answer_s, self._stale_s or beat.every_s) / 4
        answered_by = 0  # frames from this receive time on answer the ping on its way; 0: none is
        while True:
            await asyncio.sleep(step_s)
            now = self._now_ns()
            if now - born >= self._rotate_s * SECOND:
                raise _Down("renewed before the venue cuts it", orderly=True)
            silent_ns = self.clock() - self.last_data_ns
            if self._stale_s and silent_ns >= self._stale_s * SECOND:
                raise _Down(f"no data for {silent_ns / SECOND:.1f} s")
            if answered_by and self.last_frame_ns >= answered_by:
                answered_by = 0
            if answered_by and now - pinged >= beat.answer_s * SECOND:
                raise _Down(f"no answer to a ping within {beat.answer_s:g} s")
            if not answered_by and now - pinged >= beat.every_s * SECOND:
                pinged, answered_by = now, self.clock()
                self._ping()

    def _ping(self) -> None:
        if self._beat.kind == "text":
            self.send(self._beat.text)
        elif self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_ping(b"")

    def _hang_up(self) -> None:
        transport, self._transport = self._transport, None
        gone, self._gone = self._gone, None
        if gone is not None and not gone.done():
            gone.cancel()
        dialled, self._socket = self._socket, None
        if transport is None and dialled is not None and dialled.fileno() >= 0:
            with suppress(OSError):  # it may have gone meanwhile
                dialled.shutdown(socket.SHUT_RDWR)  # whoever holds it sees its end, and closes it
        if transport is not None and not transport.is_disconnected:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    @staticmethod
    def _now_ns() -> int:
        return round(asyncio.get_running_loop().time() * SECOND)


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def check_address(url: str) -> None:
    """Raise UsageError for an address that is neither encrypted nor loopback."""
    parts = urlsplit(url)
    if parts.scheme == "wss" and parts.hostname:
        return
    if parts.scheme != "ws" or not _loopback(parts.hostname or ""):
        place = f"{parts.scheme}://{parts.hostname}"
        raise UsageError(f"address {place}: only wss is allowed, or ws to this very machine")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _sentence(error: BaseException) -> str:
    if isinstance(error, MmcoreError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, OSError):
        return f"no connection ({os.strerror(error.errno) if error.errno else str(error)[:200]})"
    if isinstance(error, WSError):
        return f"no connection ({str(error)[:200]})"
    return f"{type(error).__name__}: {str(error)[:200]}"


__all__ = ["Backoff", "Heartbeat", "State", "Stream", "check_address"]
