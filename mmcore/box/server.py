"""The server: one port, all venues, HTTP and WebSocket; dialects answer, this file survives."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import logging
import resource
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mmcore.errors import UsageError
from mmcore.instrument import QUANTA_PER_ONE

from .clock import Clock
from .dialects import DIALECTS, Dialect, Failure, Reply, Request, dialects
from .faults import Do, Faults, Strike
from .lag import Balances
from .limits import Limits
from .listing import BALANCES, open_exchange
from .options import Options
from .sockets import CLOSE_S, Socket

if TYPE_CHECKING:
    from .accounts import Account
    from .exchange import Exchange
    from .orders import Order

log = logging.getLogger(__name__)

BODY_MAX = 1 << 20
LINE_MAX = 32_768  # batch cancels of some clients are long queries
FRAME_MAX = 1 << 20
BODY_S = 10.0  # for a client to send what it has announced
KEEPALIVE_S = 120.0
DOWN_S = 0.2  # for answers under way when the box goes down
FILES_SPARE = 64  # descriptors for everything that is not a connection
OPENING_S = 2.0
STEPS_PER_COMPLAINT = 2000
STEP_S = 0.005  # of the loop that runs exchange and dialects


class Box:
    """Exchange, clock, limits, faults and the dialects in front of them, on one port.

    balances: the wallets as accounts are told of them; dialects read figures from its ``wallet``.
    make: gives a dialect for this box; default: all that can be served here.
    """

    def __init__(
        self,
        exchange: Exchange,
        options: Options | None = None,
        *,
        clock: Clock | None = None,
        make: Sequence[Callable[[Box], Dialect]] | None = None,
    ) -> None:
        self.options = options or Options()
        self.exchange = exchange
        self.clock = clock or Clock()
        self.limits = Limits(self.options.limits_scale)
        self.faults = Faults(self.options.seed, self.clock.engine_ns, strict=make is None)
        self.balances = Balances(exchange.accounts, self.faults, self.clock.engine_ns)
        exchange.listeners.append(self.balances.hear)
        exchange.before_cancel.append(self._race)
        self._seen: set[int] = set()  # faults that have looked at clock and box
        self.host = ""
        self.port = 0
        self.sockets: set[Socket] = set()
        self.failed_steps: Counter[str] = Counter()  # of the loop, by who failed
        self.notes: list[str] = []  # what cannot be served, in sentences
        if make is None:
            self.dialects, self.notes = dialects(self)
        else:
            self.dialects = [one(self) for one in make]
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._place: socket.socket | None = None  # bound, never listening: keeps the port ours
        self._connections_max = min(self.options.connections_max, _files_max() - FILES_SPARE)
        self._steps: asyncio.Task[None] | None = None
        self._restarting: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, **choices: Any) -> AsyncIterator[Self]:
        """A box on a free port of loopback: ``async with Box.open(seed=1) as box:``, for tests.

        choices: of :class:`Options`.
        """
        box = cls.build(Options(**choices))
        await box.start()
        try:
            yield box
        finally:
            await box.stop()

    @classmethod
    def build(cls, options: Options) -> Self:
        """A box with the exchange and the dialects that ``options`` ask for, not yet listening."""
        clock = Clock()
        exchange = open_exchange(
            options.seed,
            start_ns=clock.engine_ns(),
            market=options.tapes or "synthetic",
            accounts_per_venue=options.accounts,
            balances=_balances(options.usd),
            preset=options.preset,
            funding_interval_ns=options.funding_s * 10**9,
            random_credentials=options.random_keys,
            address_of=_address_of(),
        )
        return cls(exchange, options, clock=clock)

    # -- life --------------------------------------------------------------------------------

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, anywhere: bool = False) -> int:
        """Listen, and wait for the books; returns the port.

        anywhere: beyond this machine too.  Raises UsageError for an address that is, where it was
        not said, and for a port that cannot be had.
        """
        check_host(host, anywhere=anywhere)
        await self._listen(host, port)
        for fault in self.options.script:
            self.faults.apply(fault)
        self._steps = asyncio.get_running_loop().create_task(self._run())
        await self._opening()
        return self.port

    async def _opening(self) -> None:
        """Wait, not for ever, until every floor has a book of two sides."""
        waits = round(OPENING_S / STEP_S)
        while waits and not all(floor.mark for floor in self.exchange.floors):
            await asyncio.sleep(STEP_S)
            waits -= 1

    async def stop(self) -> None:
        """Close everything; what clients had open is cut."""
        tasks = [task for task in (self._restarting, self._steps) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._down()
        if self._place is not None:
            self._place.close()
            self._place = None

    async def restart(self, down_s: float = 0.2) -> None:
        """Go away for so long and come back on the same port.

        Sockets are cut and nobody is listened to; orders and accounts survive, as at a venue.
        """
        await self._down()
        await asyncio.sleep(down_s)
        await self._listen(self.host, self.port)
        for dialect in self.dialects:
            self._step(dialect.name, dialect.restarted, self.clock.now_ns())

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All accounts, with their credentials."""
        return self.exchange.accounts

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._server.connections) if self._server is not None else 0

    async def _listen(self, host: str, port: int) -> None:
        self._server = web.Server(
            self._serve,
            access_log=None,
            logger=_Clients(logging.getLogger(f"{__name__}.http")),
            max_line_size=LINE_MAX,
            max_field_size=LINE_MAX,
            keepalive_timeout=KEEPALIVE_S,
            tcp_keepalive=False,
        )
        loop = asyncio.get_running_loop()
        try:
            if self._place is None:
                _bound(host, port, shared=False).close()  # somebody else's port is refused
                self._place = _bound(host, port)
                self.host, self.port = self._place.getsockname()[:2]
            door = _bound(self.host, self.port)
            self._listener = await loop.create_server(self._connect, sock=door, backlog=1024)
        except OSError as error:
            raise UsageError(
                f"cannot listen there ({error.strerror or error})",
                where=f"{host}:{port}",
                done="nothing was started",
                todo="free the port, or let the system choose one with port 0",
            ) from None

    def _connect(self) -> asyncio.BaseProtocol:
        server = self._server
        if server is None or self.connections >= self._connections_max:
            log.warning("%d connections are open: one more is refused", self._connections_max)
            return _Refusing()
        return server()

    async def _down(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        for ws in list(self.sockets):
            ws.cut()
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown(timeout=DOWN_S)
        if listener is not None:
            with suppress(TimeoutError):  # a client that reads nothing keeps its connection open
                async with asyncio.timeout(DOWN_S):
                    await listener.wait_closed()

    async def _run(self) -> None:
        while True:
            self._step("exchange", self.exchange.advance, self.clock.engine_ns())
            for dialect in self.dialects:
                self._step(dialect.name, dialect.tick, self.clock.now_ns())
            if not self.faults.quiet:
                self._strike_by_time()
            await asyncio.sleep(STEP_S)

    def _step(self, who: str, step: Callable[[int], None], now_ns: int) -> None:
        try:
            step(now_ns)
        except Exception:  # the server lives on, whatever fails
            self.failed_steps[who] += 1
            if self.failed_steps[who] % STEPS_PER_COMPLAINT == 1:
                log.exception("%s failed, %d times so far", who, self.failed_steps[who])

    # -- faults that strike a whole connection, the clock or everything ------------------------

    def occasion(self, ws: Socket | None = None) -> None:
        """A frame or request has come or goes: faults that count them may act."""
        if self.faults.quiet:
            return
        if ws is not None:
            self._lose(ws, self.faults.occasion("socket", ws.venue, ws.kind))
        self._upset(self.faults.occasion("clock", "", ""))
        self._upset(self.faults.occasion("box", "", ""))

    def _strike_by_time(self) -> None:
        for ws in list(self.sockets):
            self._lose(ws, self.faults.due("socket", ws.venue, ws.kind, ws.seen))
        self._upset(self.faults.due("clock", "", "", self._seen))
        self._upset(self.faults.due("box", "", "", self._seen))

    def _lose(self, ws: Socket, strike: Strike | None) -> None:
        if strike is None:
            return
        if strike.do is Do.HALF_OPEN:
            ws.mute = True
        else:
            ws.cut()

    def _race(self, order: Order) -> None:
        """A cancel has arrived; a scripted fault lets the market take the order first."""
        if self.faults.quiet or not order.open:
            return
        subject = f"{order.account.name} order {order.id}"
        if self.faults.strike("order", order.account.venue, "", subject) is None:
            return
        before = [
            each.left
            for account in self.exchange.accounts
            for each in account.orders(order.floor)
            if each.side == order.side and (each.tick - order.tick) * order.side >= 0
        ]
        self.exchange.print(
            order.floor, -order.side, order.tick - order.side, sum(before), self.clock.engine_ns()
        )

    def _upset(self, strike: Strike | None) -> None:
        if strike is None:
            return
        loop = asyncio.get_running_loop()
        if strike.do is Do.RESTART:
            self._restarting = loop.create_task(self.restart(strike.fault.seconds))
            return
        by_ns = round(strike.fault.ms * 1e6)
        self.clock.jump(by_ns)
        if strike.fault.seconds:
            loop.call_later(strike.fault.seconds, self.clock.jump, -by_ns)

    # -- requests ----------------------------------------------------------------------------

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        asked = _asked(request)
        dialect = next((d for d in self.dialects if d.claims(asked.method, asked.path)), None)
        status = await _read_body(request, asked)
        if status or dialect is None:
            return _response(self._failed(dialect, asked, Failure(status or 404)))
        reply = await self._answer(dialect, asked)
        return _response(reply) if reply is not None else _lost(request)

    async def _answer(self, dialect: Dialect, request: Request) -> Reply | None:
        """The answer, or None where the connection is to be lost."""
        self.occasion()
        if self.faults.quiet:
            return await self._ask(dialect, request)
        route = dialect.route(request)
        strike = self.faults.strike("rest", dialect.name, route, f"{dialect.name} {request!r}")
        if strike is None:
            return await self._ask(dialect, request)
        if strike.do is Do.REPLY:
            return self._failed(dialect, request, strike.failure())
        if strike.do is Do.DELAY:
            await asyncio.sleep(strike.late_s)
        reply = await self._ask(dialect, request) if strike.do is not Do.DROP else None
        if strike.do is Do.LATE_ACK:
            await asyncio.sleep(strike.late_s)
        if strike.do is Do.UNKNOWN_503:
            return self._failed(dialect, request, strike.failure())
        if strike.do in {Do.DROP, Do.LOST_ACK}:
            await asyncio.sleep(strike.late_s)
            return None
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
        refused = await self._refuse_socket(claims[0], request)
        if refused is not None:
            return refused
        response = web.WebSocketResponse(
            autoping=False,
            autoclose=False,
            compress=False,
            max_msg_size=FRAME_MAX,
            timeout=CLOSE_S,
        )
        try:
            await response.prepare(request)
        except web.HTTPException as bad:
            return web.Response(status=bad.status)
        ws = Socket(self, response, request)
        self.sockets.add(ws)
        try:
            await self._converse(ws, claims)
        finally:
            self.sockets.discard(ws)
            await ws.end()
        return response

    async def _refuse_socket(
        self, dialect: Dialect, request: web.BaseRequest
    ) -> web.StreamResponse | None:
        """What a scripted fault answers to a handshake, which is a request named "connect"."""
        if self.faults.quiet:
            return None
        asked = _asked(request)
        strike = self.faults.strike("rest", dialect.name, "connect", f"{dialect.name} {asked!r}")
        if strike is None:
            return None
        if strike.do is Do.REPLY:
            return _response(self._failed(dialect, asked, strike.failure()))
        if strike.do in {Do.DELAY, Do.LATE_ACK}:
            await asyncio.sleep(strike.late_s)
            return None
        await asyncio.sleep(strike.late_s)
        return _lost(request)

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


def _balances(usd: int) -> dict[str, dict[str, int]]:
    money = {"USDT", "USDC"}
    return {
        wallet: {
            asset: usd * QUANTA_PER_ONE if asset in money else quanta
            for asset, quanta in held.items()
        }
        for wallet, held in BALANCES.items()
    }


class _Clients(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp has to say is what clients did wrong: of interest to those who look for it."""

    def exception(self, msg: object, *args: object, **words: Any) -> None:
        self.debug(msg, *args, **words)


class _Refusing(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _bound(host: str, port: int, *, shared: bool = True) -> socket.socket:
    # Two sockets share the port: one that listens, and one that holds the place while the box is
    # down, so that no outgoing connection of the machine is given that number meanwhile.
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    place = socket.socket(family, socket.SOCK_STREAM)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.setblocking(False)
    try:
        place.bind(address)
    except OSError:
        place.close()
        raise
    return place


def _files_max() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _address_of() -> Callable[[str], str] | None:
    """Addresses of private keys, where the packages for them are installed."""
    if importlib.util.find_spec(DIALECTS["hyperliquid"][1]) is None:
        return None
    from .hyperliquid_signing import address_of

    return address_of


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


def _asked(request: web.BaseRequest) -> Request:
    path, _, query = request.raw_path.partition("?")
    return Request(request.method, path, query, b"", request.headers, request.remote or "")


async def _read_body(request: web.BaseRequest, asked: Request) -> int:
    """Take in the body; returns the HTTP status that refuses it, 0 for none."""
    try:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        async with asyncio.timeout(BODY_S):
            asked.body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return 413
    except TimeoutError:
        return 408
    except (ValueError, web.RequestPayloadError, HttpProcessingError):
        return 400  # chunks or compression that make no sense
    return 0


def _lost(request: web.BaseRequest) -> web.Response:
    """An answer that never arrives, because its connection does not exist any more."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def _response(reply: Reply) -> web.Response:
    return web.Response(
        body=reply.raw(),
        status=reply.status,
        headers={"Content-Type": "application/json", **reply.headers},
    )
