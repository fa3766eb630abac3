"""The server: one port, all venues, HTTP and WebSocket; dialects answer, this file survives."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from mmcore.errors import UsageError

from .clock import Clock
from .dialects import Dialect, Failure, Reply, Request, dialects
from .faults import Do, Fault, Faults
from .limits import Limits
from .options import Options
from .sockets import Socket

log = logging.getLogger(__name__)

BODY_MAX = 1 << 20
LINE_MAX = 32_768  # batch cancels of some clients are long queries
FRAME_MAX = 1 << 20
STEP_S = 0.005  # of the loop that runs exchange and dialects
HANG_S = 30.0  # a request that is never answered holds its connection so long
SECOND_NS = 1_000_000_000


class Box:
    """Exchange, clock, limits, faults and the dialects in front of them, on one port.

    make: gives a dialect for this box; default: all that can be served here.
    """

    def __init__(
        self,
        exchange: Any,
        options: Options | None = None,
        *,
        clock: Clock | None = None,
        make: Sequence[Callable[[Box], Dialect]] | None = None,
    ) -> None:
        self.options = options or Options()
        self.exchange = exchange
        self.clock = clock or Clock()
        self.limits = Limits(self.options.limits_scale)
        self.faults = Faults((), seed=self.options.seed, now_ns=self.clock.engine_ns)
        self.host = ""
        self.port = 0
        self.sockets: set[Socket] = set()
        self.notes: list[str] = []  # what cannot be served, in sentences
        if make is None:
            self.dialects, self.notes = dialects(self)
        else:
            self.dialects = [one(self) for one in make]
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._steps: asyncio.Task[None] | None = None
        self._restarting: asyncio.Task[None] | None = None

    # -- life --------------------------------------------------------------------------------

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, anywhere: bool = False) -> int:
        """Listen; returns the port.  UsageError for an address beyond this machine.

        anywhere: listen there all the same.
        """
        check_host(host, anywhere=anywhere)
        await self._listen(host, port)
        for fault in self.options.script:
            self.faults.apply(fault)
        self._steps = asyncio.get_running_loop().create_task(self._run())
        return self.port

    async def stop(self) -> None:
        """Close everything; what clients had open is cut."""
        tasks = [task for task in (self._restarting, self._steps) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._down()

    async def restart(self, down_s: float = 0.2) -> None:
        """Go away for so long and come back on the same port.

        Sockets are cut and nobody is listened to; orders and accounts survive, as at a venue.
        """
        await self._down()
        await asyncio.sleep(down_s)
        await self._listen(self.host, self.port)
        for dialect in self.dialects:
            dialect.restarted(self.clock.now_ns())

    @property
    def accounts(self) -> Any:
        """All accounts, with their credentials."""
        return self.exchange.accounts

    async def _listen(self, host: str, port: int) -> None:
        self._server = web.Server(
            self._serve,
            access_log=None,
            max_line_size=LINE_MAX,
            max_field_size=LINE_MAX,
            keepalive_timeout=120.0,
            tcp_keepalive=False,
        )
        listener = await asyncio.get_running_loop().create_server(
            self._server, host, port, backlog=1024
        )
        self._listener = listener
        self.host, self.port = listener.sockets[0].getsockname()[:2]

    async def _down(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        for ws in list(self.sockets):
            ws.cut()
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown(timeout=0.2)
        if listener is not None:
            await listener.wait_closed()

    async def _run(self) -> None:
        while True:
            self.exchange.advance(self.clock.engine_ns())
            now_ns = self.clock.now_ns()
            for dialect in self.dialects:
                try:
                    dialect.tick(now_ns)
                except Exception:  # the server lives on, whatever a dialect does
                    log.exception("%s: a tick failed", dialect.name)
            if not self.faults.quiet:
                self._strike_by_time()
            await asyncio.sleep(STEP_S)

    # -- faults that have no occasion of their own ---------------------------------------------

    def _strike_by_time(self) -> None:
        for ws in list(self.sockets):
            self.strike_socket(ws)
        fault = self.faults.due("clock", "", "clock")
        if fault is not None:
            self.clock.jump(round(fault.ms * 1e6))
            if fault.seconds:
                asyncio.get_running_loop().call_later(
                    fault.seconds, self.clock.jump, -round(fault.ms * 1e6)
                )
        fault = self.faults.due("box", "", "box")
        if fault is not None:
            self._restarting = asyncio.get_running_loop().create_task(self.restart(fault.seconds))

    def strike_socket(self, ws: Socket) -> None:
        """Let a scripted fault act on a whole connection."""
        fault = self.faults.due("socket", ws.venue, ws.kind)
        if fault is None:
            return
        if fault.do is Do.HALF_OPEN:
            ws.mute = True
        else:
            ws.cut()

    # -- requests ----------------------------------------------------------------------------

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        path, _, query = request.raw_path.partition("?")
        asked = Request(request.method, path, query, b"", request.headers, request.remote or "")
        dialect = self._claimed(asked)
        try:
            asked.body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _response(self._failed(dialect, asked, Failure(413)))
        if dialect is None:
            return _response(self._failed(None, asked, Failure(404)))
        reply = await self._answer(dialect, asked)
        if reply is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        return _response(reply)

    def _claimed(self, request: Request) -> Dialect | None:
        claims = (d for d in self.dialects if d.claims(request.method, request.path))
        return next(claims, None)

    async def _answer(self, dialect: Dialect, request: Request) -> Reply | None:
        """The answer, or None where the connection is to be lost."""
        if self.faults.quiet:
            return await self._ask(dialect, request)
        route = dialect.route(request)
        fault = self.faults.strike("rest", dialect.name, route, f"{request!r}")
        if fault is None:
            return await self._ask(dialect, request)
        if fault.do is Do.DROP:
            await asyncio.sleep(fault.seconds)
            return None
        if fault.do is Do.REPLY:
            failure = Failure(fault.status, fault.code, fault.text, retry_s=fault.retry_s)
            return self._failed(dialect, request, failure)
        if fault.do is Do.DELAY:
            await asyncio.sleep(fault.ms / 1e3)
        reply = await self._ask(dialect, request)
        return await self._after(dialect, request, fault, reply)

    async def _after(
        self, dialect: Dialect, request: Request, fault: Fault, reply: Reply
    ) -> Reply | None:
        if fault.do is Do.LOST_ACK:
            await asyncio.sleep(fault.seconds)
            return None
        if fault.do is Do.LATE_ACK:
            await asyncio.sleep(fault.ms / 1e3)
        if fault.do is Do.UNKNOWN_503:
            failure = Failure(503, fault.code, fault.text, unknown=True)
            return self._failed(dialect, request, failure)
        return reply

    async def _ask(self, dialect: Dialect, request: Request) -> Reply:
        try:
            return await dialect.http(request)
        except Exception:  # the server lives on, whatever a dialect does
            log.exception("%s failed at %r", dialect.name, request)
            return self._failed(dialect, request, Failure(500))

    def _failed(self, dialect: Dialect | None, request: Request, failure: Failure) -> Reply:
        if dialect is None:
            return Reply({"error": "no venue answers here"}, failure.status)
        try:
            return dialect.failure(request, failure)
        except Exception:  # as above
            log.exception("%s cannot say %r", dialect.name, failure)
            return Reply({"error": "internal"}, failure.status)

    # -- sockets -----------------------------------------------------------------------------

    async def _serve_socket(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        claims = [dialect for dialect in self.dialects if dialect.claims_socket(path)]
        if not claims:
            return web.Response(status=404)
        response = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=FRAME_MAX
        )
        try:
            await response.prepare(request)
        except web.HTTPException as refused:
            return web.Response(status=refused.status)
        ws = Socket(self, response, request)
        self.sockets.add(ws)
        try:
            await self._converse(ws, claims)
        finally:
            self.sockets.discard(ws)
            await ws.end()
        if not response.closed:
            with suppress(ConnectionError):
                await response.close(drain=False)
        return response

    async def _converse(self, ws: Socket, claims: list[Dialect]) -> None:
        dialect = claims[0]
        if len(claims) > 1:
            frame = await ws.first()
            if frame is None:
                return
            dialect = next((one for one in claims if one.claims_frame(ws.path, frame)), dialect)
        ws.venue = dialect.name
        try:
            await dialect.socket(ws)
        except Exception:  # the server lives on, whatever a dialect does
            log.exception("%s failed on %r", dialect.name, ws)


def check_host(host: str, *, anywhere: bool = False) -> None:
    """Refuse an address beyond this machine (UsageError)."""
    local = host == "localhost"
    with suppress(ValueError):
        local = local or ipaddress.ip_address(host).is_loopback
    if not local and not anywhere:
        raise UsageError(
            "the exchange in the box answers whoever reaches it, and prints the keys of its "
            "accounts, so it listens on this machine only",
            where=f"--listen {host}",
            done="nothing was started",
            todo="use 127.0.0.1, or add --anywhere where others may reach it",
        )


def _response(reply: Reply) -> web.Response:
    return web.Response(
        body=reply.raw(),
        status=reply.status,
        headers={"Content-Type": "application/json", **reply.headers},
    )
