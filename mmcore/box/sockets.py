"""One WebSocket of a client: what comes in as an iterator, what goes out through the faults."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import orjson
from aiohttp import WSMsgType, web

from .dialects import Failure
from .faults import Do, Strike

if TYPE_CHECKING:
    from .server import Box

log = logging.getLogger(__name__)

QUEUE_FRAMES = 20_000  # of one slow reader, then it is cut off
QUEUE_BYTES = 8 << 20
CLOSE_S = 2.0  # for the client to answer a closing frame
REASON_BYTES = 123  # of a closing frame, by the protocol
MUTE_STEP_S = 0.05
SWAP_S = 0.25  # a frame that waits to change places waits so long at most


class _Lane:
    """Frames of one stream that a fault holds back.

    They stay in order: timers of one instant do not go off in the order in which they were set, so
    each lets go of what has waited longest.
    """

    __slots__ = ("due_s", "held", "swapped")

    def __init__(self) -> None:
        self.due_s = 0.0
        self.held: deque[list[bytes]] = deque()
        self.swapped: bytes | None = None


class Socket:
    """A client's WebSocket, as its dialect sees it.

    path, query, ip: of its handshake, raw.  kind: what fault scripts call it; the dialect says
    "public", "market", "private" or "trade" as soon as it knows.  venue: of the dialect.  account:
    whose it is, None until known.  ``async for frame in ws`` gives str and bytes until the end.
    """

    def __init__(self, box: Box, ws: web.WebSocketResponse, request: web.BaseRequest) -> None:
        path, _, query = request.raw_path.partition("?")
        self.path = path
        self.query = query
        self.headers = request.headers
        self.ip = request.remote or ""
        self.kind = ""
        self.venue = ""
        self.account: Any = None
        self.mute = False  # half-open: takes everything, says nothing
        self.seen: set[int] = set()  # faults that have looked at it
        self._box = box
        self._ws = ws
        self._transport = request.transport
        self._queue: deque[tuple[bytes, WSMsgType]] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._lanes: dict[str, _Lane] = {}
        self._unread: deque[str | bytes] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._writer = asyncio.get_running_loop().create_task(self._write())

    def __repr__(self) -> str:
        return f"Socket({self.venue} {self.kind or self.path})"  # a query may hold a listen key

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._ws.closed or self._transport is None or self._transport.is_closing()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        frame = self._unread.popleft() if self._unread else await self._receive()
        if frame is None:
            raise StopAsyncIteration
        return frame

    async def first(self) -> str | bytes | None:
        """The first frame, which the iterator gives again; None at the end."""
        frame = await self._receive()
        if frame is not None:
            self._unread.append(frame)
        return frame

    async def _receive(self) -> str | bytes | None:
        while True:
            message = await self._ws.receive()
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                if not self.mute:
                    frame: str | bytes = message.data
                    return frame
            elif message.type is WSMsgType.PING:
                if not self.mute:
                    self._put(message.data, WSMsgType.PONG)
            elif message.type is not WSMsgType.PONG:  # close, closed, closing, error
                # half-open: not even a goodbye is answered
                while self.mute and not self.closed:  # noqa: ASYNC110 - no event tells of its end
                    await asyncio.sleep(MUTE_STEP_S)
                return None

    # -- out ---------------------------------------------------------------------------------

    def send(self, message: Any, stream: str) -> None:
        """Queue one text frame: an object becomes JSON, str and bytes go out as they are.

        stream: what fault scripts call it, a word of :data:`mmcore.box.dialects.STREAM_WORDS`.
        """
        if isinstance(message, bytes):
            frame = message
        else:
            frame = message.encode() if isinstance(message, str) else orjson.dumps(message)
        faults = self._box.faults
        if faults.quiet and not self._lanes:
            self._put(frame)
            return
        self._box.occasion(self)
        self._through(frame, stream, faults.strike("stream", self.venue, stream))

    def ping(self, data: bytes = b"") -> None:
        """A ping of the server's own."""
        self._put(data, WSMsgType.PING)

    def shut(self, code: int = 1000, reason: str = "") -> None:
        """Close it once everything queued has gone out; the iterator ends."""
        self._put(code.to_bytes(2, "big") + reason.encode()[:REASON_BYTES], WSMsgType.CLOSE)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """As :meth:`shut`, and wait for it."""
        self.shut(code, reason)
        if not self.closed and not self.mute:
            await asyncio.wait({self._writer}, timeout=CLOSE_S)

    def cut(self) -> None:
        """Lose the connection, with no closing frame."""
        if self._transport is not None:
            self._transport.abort()

    def _through(self, frame: bytes, stream: str, strike: Strike | None) -> None:
        do = strike.do if strike is not None else None
        if do is Do.DROP:
            return
        late_s = self._box.faults.lag_ns(self.venue) / 1e9 if stream == "account" else 0.0
        if strike is not None and do is Do.DELAY:
            late_s = max(late_s, strike.late_s)
        elif strike is not None and do is Do.FREEZE:
            late_s = max(late_s, strike.left_s)
        frames = [frame, frame] if do is Do.DUPLICATE else [frame]
        lane = self._lanes.get(stream)
        if lane is not None or late_s or do is Do.REORDER:
            lane = lane or self._lanes.setdefault(stream, _Lane())
            self._hold(lane, stream, frames, late_s, swap=do is Do.REORDER)
            return
        for each in frames:
            self._put(each)

    def _hold(
        self, lane: _Lane, stream: str, frames: list[bytes], late_s: float, *, swap: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        if swap and lane.swapped is None:
            lane.swapped = frames[0]
            loop.call_later(SWAP_S, self._swap_back, lane, stream)
            return
        if lane.swapped is not None:
            frames.append(lane.swapped)
            lane.swapped = None
        lane.due_s = max(lane.due_s, loop.time() + late_s)
        lane.held.append(frames)
        loop.call_at(lane.due_s, self._release, lane, stream)

    def _swap_back(self, lane: _Lane, stream: str) -> None:
        if lane.swapped is not None:
            frame, lane.swapped = lane.swapped, None
            self._put(frame)
            self._forget(lane, stream)

    def _release(self, lane: _Lane, stream: str) -> None:
        for frame in lane.held.popleft():
            self._put(frame)
        self._forget(lane, stream)

    def _forget(self, lane: _Lane, stream: str) -> None:
        if not lane.held and lane.swapped is None:
            self._lanes.pop(stream, None)

    def _put(self, frame: bytes, kind: WSMsgType = WSMsgType.TEXT) -> None:
        if self.mute or self.closed:
            return
        self._queued_bytes += len(frame)
        if len(self._queue) >= QUEUE_FRAMES or self._queued_bytes > QUEUE_BYTES:
            log.warning("%r reads too slowly: cut off", self)
            self.cut()
            return
        self._queue.append((frame, kind))
        self._wake.set()

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    frame, kind = self._queue.popleft()
                    self._queued_bytes -= len(frame)
                    if kind is WSMsgType.CLOSE:
                        code = int.from_bytes(frame[:2], "big")
                        await self._ws.close(code=code, message=frame[2:], drain=False)
                        return
                    await self._ws.send_frame(frame, kind)
        except ConnectionError:
            return  # the reader sees the end too

    # -- order entry -------------------------------------------------------------------------

    def call(self, name: str, execute: Callable[[], Any], failed: Callable[[Failure], Any]) -> None:
        """Answer one request of order entry on this socket, as late as a venue does.

        name: of the operation, as :meth:`Dialect.route` would say.  execute: does it and gives the
        message that answers.  failed: gives the message for a scripted failure instead.
        """
        task = asyncio.get_running_loop().create_task(self._call(name, execute, failed))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _call(
        self, name: str, execute: Callable[[], Any], failed: Callable[[Failure], Any]
    ) -> None:
        faults = self._box.faults
        self._box.occasion(self)
        strike = None if faults.quiet else faults.strike("call", self.venue, name)
        answer = await self._execute(name, execute, failed, strike)
        do = strike.do if strike is not None else None
        if do is Do.DROP:
            return
        if strike is not None and do is Do.LOST_ACK:
            await asyncio.sleep(strike.late_s)
            self.cut()
            return
        late_s = self._box.options.reply_ms / 1e3
        if strike is not None and do is Do.LATE_ACK:
            late_s += strike.late_s
        if late_s:
            await asyncio.sleep(late_s)
        if answer is not None:
            self.send(answer, "ack")

    async def _execute(
        self,
        name: str,
        execute: Callable[[], Any],
        failed: Callable[[Failure], Any],
        strike: Strike | None,
    ) -> Any:
        do = strike.do if strike is not None else None
        if do is Do.DROP:
            return None
        if strike is not None and do is Do.REPLY:
            return failed(strike.failure())
        if strike is not None and do is Do.DELAY:
            await asyncio.sleep(strike.late_s)
        try:
            answer = execute()
        except Exception:  # the server lives on, whatever a dialect does
            log.exception("%s failed at %s", self.venue, name)
            return failed(Failure(500))
        if strike is not None and do is Do.UNKNOWN_503:
            return failed(strike.failure())
        return answer

    async def end(self) -> None:
        """The dialect has returned: what it said goes out, and nothing of this socket goes on."""
        await self.close()
        tasks = [*self._calls, self._writer]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
