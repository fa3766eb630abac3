"""Binance in the box: USD-M futures and spot, REST and sockets; who answers what.

Futures are at ``/fapi``, ``/public``, ``/market``, ``/private``, ``/fstream`` and ``/ws-fapi/v1``;
spot at ``/api/v3``, ``/ws``, ``/stream`` and ``/ws-api/v3``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .accounts import Account
from .binance_access import Access
from .binance_account import FuturesAccount
from .binance_desk import Ask, Desk, Route
from .binance_futures import Futures
from .binance_market import MarketData
from .binance_sockets import (
    HANDSHAKE_WEIGHT,
    PATH,
    CallSocket,
    StreamSocket,
    Talk,
    asked_streams,
)
from .binance_spot import Spot
from .binance_streams import Category, Hub
from .binance_terms import money_text
from .binance_user import ListenKeys, SpotEvents, UsdmEvents
from .binance_words import Refused, scripted
from .dialects import Dialect, Failure, Reply, Request
from .orders import Event, TradeEvent
from .sockets import Socket

if TYPE_CHECKING:
    from .server import Box

HTTP = ("/fapi/", "/api/", "/sapi/", "/dapi/")
USDM_CALLS, SPOT_CALLS = "/ws-fapi/v1", "/ws-api/v3"
POLICY_VIOLATION = 1008
# Methods in capitals; the other venue with a bare /ws writes its own in lower case.
OURS = re.compile(r'"method"\s*:\s*"[A-Z]')


class Binance(Dialect):
    """The dialect; its parts are in the modules whose names begin with ``binance_``."""

    name = "binance"

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        self.usdm, self.spot = Desk(box, "usdm"), Desk(box, "spot")
        self.keys = ListenKeys(self.usdm)
        usdm_data, spot_data = MarketData(self.usdm), MarketData(self.spot)
        self.futures = Futures(self.usdm)
        account, trading = FuturesAccount(self.usdm), Spot(self.spot)
        self.hubs = {
            self.usdm: Hub(self.usdm, usdm_data),
            self.spot: Hub(self.spot, spot_data),
        }
        self.talks = {desk: Talk(desk) for desk in self.hubs}
        self.usdm_events = UsdmEvents(self.usdm, self.keys)
        self.spot_events = SpotEvents(self.spot)
        extras = Extras(self)
        tables = (
            (self.usdm, usdm_data.routes()),
            (self.usdm, self.futures.routes()),
            (self.usdm, account.routes()),
            (self.usdm, extras.usdm_routes()),
            (self.spot, spot_data.routes()),
            (self.spot, trading.routes()),
            (self.spot, extras.spot_routes()),
        )
        self._routes: Mapping[tuple[str, str], tuple[Desk, Route]] = {
            key: (desk, route) for desk, table in tables for key, route in table.items()
        }
        usdm_calls = {**usdm_data.calls(), **self.futures.calls(), **account.calls()}
        self._calls: Mapping[Desk, Mapping[str, Route]] = {
            self.usdm: {**usdm_calls, **extras.usdm_calls()},
            self.spot: {**spot_data.calls(), **trading.calls()},
        }
        box.exchange.listeners.append(self._hear)

    # -- HTTP

    def claims(self, method: str, path: str) -> bool:
        del method  # a path is ours, or it is not
        return path.startswith(HTTP)

    def route(self, request: Request) -> str:
        found = self._routes.get((request.method, request.path))
        return found[1].word if found is not None else "other"

    async def http(self, request: Request) -> Reply:
        found = self._routes.get((request.method, request.path))
        if found is None:
            text = f"Path {_shown(request.path)}, Method {request.method} is invalid"
            return Reply({"code": -5000, "msg": text}, 404)
        desk, route = found
        account: Account | None = None
        try:
            ask = desk.admit(route, request)
            account = ask.account
            body = route.call(ask)
        except Refused as problem:
            headers = desk.headers(request.ip, None, orders=False)
            return _refusal(problem, headers)
        headers = desk.headers(request.ip, account, orders=bool(route.orders[0]))
        return Reply(body, 200, headers)

    def failure(self, request: Request, failure: Failure) -> Reply:
        del request  # said the same way everywhere
        return _refusal(scripted(failure), {})

    # -- sockets

    def claims_socket(self, path: str) -> bool:
        return path in {USDM_CALLS, SPOT_CALLS} or PATH.fullmatch(path) is not None

    def claims_frame(self, path: str, frame: str | bytes) -> bool:
        del path  # both venues have the bare one
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        return OURS.search(text) is not None

    async def socket(self, ws: Socket) -> None:
        calls = ws.path in {USDM_CALLS, SPOT_CALLS}
        desk = self._desk(ws)
        talk = self.talks[desk]
        if not desk.take_weight(ws.ip, HANDSHAKE_WEIGHT[desk.market] if calls else 0).ok:
            await ws.close(POLICY_VIOLATION, "Too many requests")
            return
        served = self._calls_on(desk, ws) if calls else self._streams_on(desk, ws)
        talk.alive.add(ws)
        name = talk.name()
        try:
            async for frame in ws:
                if not calls and not talk.allowed(name):
                    await ws.close(POLICY_VIOLATION, "Too many requests")
                    return
                served.frame(frame)
        finally:
            talk.alive.drop(ws)
            served.close()

    def _desk(self, ws: Socket) -> Desk:
        if ws.path in {USDM_CALLS, SPOT_CALLS}:
            return self.usdm if ws.path == USDM_CALLS else self.spot
        match = PATH.fullmatch(ws.path)
        assert match is not None
        return self.spot if match["place"] in {None, "stream"} else self.usdm

    def _calls_on(self, desk: Desk, ws: Socket) -> CallSocket:
        spot = desk is self.spot
        return CallSocket(
            desk, self._calls[desk], ws, None if spot else self.keys,
            self.spot_events if spot else None,
        )  # fmt: skip

    def _streams_on(self, desk: Desk, ws: Socket) -> StreamSocket:
        match = PATH.fullmatch(ws.path)
        assert match is not None
        places: Mapping[str | None, Category] = {
            "public": "public", "market": "market", "private": "private", "fstream": "public",
        }  # fmt: skip
        served = StreamSocket(
            self.hubs[desk],
            self.keys,
            ws,
            places.get(match["place"], "all"),
            combined=match["mode"] == "stream",
        )
        names, only = asked_streams(ws)
        for name in names:
            served.join(name, only)
        return served

    # -- what happens

    def tick(self, now_ns: int) -> None:
        del now_ns  # streams keep time by the clock that does not jump
        engine_ns = self.box.clock.engine_ns()
        self.keys.expire(engine_ns)
        self.futures.expire(self.usdm.now_ms, engine_ns)
        for desk, hub in self.hubs.items():
            hub.tick(engine_ns)
            self.talks[desk].alive.tick(engine_ns)
        fundings = self.hubs[self.usdm].data.fundings
        for floor in self.usdm.by_floor:
            fundings.look(floor)

    def restarted(self, now_ns: int) -> None:
        del now_ns
        for hub in self.hubs.values():
            hub.restarted()

    def _hear(self, event: Event) -> None:
        if isinstance(event, TradeEvent):
            for desk, hub in self.hubs.items():
                terms = desk.by_floor.get(event.floor)
                if terms is not None:
                    hub.printed(terms, event.trade)
            return
        self.usdm_events.hear(event)
        self.spot_events.hear(event)


class Extras:
    """Routes beside trading: listen keys, and what clients ask of other hosts before they begin."""

    def __init__(self, dialect: Binance) -> None:
        self.dialect = dialect

    def usdm_routes(self) -> Mapping[tuple[str, str], Route]:
        """(method, path) -> route."""
        path = "/fapi/v1/listenKey"
        return {
            ("POST", path): Route(self.open_key, Access.KEY, word="listen_key"),
            ("PUT", path): Route(self.extend_key, Access.KEY, word="listen_key"),
            ("DELETE", path): Route(self.close_key, Access.KEY, word="listen_key"),
        }

    def usdm_calls(self) -> Mapping[str, Route]:
        """Method of the request socket -> route."""
        routes = self.usdm_routes()
        path = "/fapi/v1/listenKey"
        return {
            "userDataStream.start": routes["POST", path],
            "userDataStream.ping": routes["PUT", path],
            "userDataStream.stop": routes["DELETE", path],
        }

    def spot_routes(self) -> Mapping[tuple[str, str], Route]:
        """(method, path) -> route, of hosts that share a limit with spot."""
        read = Access.READ
        routes = {
            "/sapi/v1/system/status": Route(self.status),
            "/sapi/v1/capital/config/getall": Route(self.nothing, read, 10),
            "/sapi/v1/margin/allPairs": Route(self.nothing, Access.PUBLIC),
            "/sapi/v1/margin/isolated/allPairs": Route(self.nothing, Access.PUBLIC),
            "/sapi/v1/account/status": Route(self.account_status, read),
            "/sapi/v1/account/apiRestrictions": Route(self.permissions, read, word="permissions"),
            "/sapi/v1/asset/tradeFee": Route(self.fees, read, word="fees"),
            "/dapi/v1/exchangeInfo": Route(self.no_instruments, word="instruments"),
        }
        return {("GET", path): route for path, route in routes.items()}

    def open_key(self, ask: Ask) -> Any:
        return {"listenKey": self.dialect.keys.open(ask.who, ask.now_ns)}

    def extend_key(self, ask: Ask) -> Any:
        return {"listenKey": self.dialect.keys.extend(ask.who, ask.now_ns)}

    def close_key(self, ask: Ask) -> Any:
        self.dialect.keys.close(ask.who)
        return {}

    def status(self, ask: Ask) -> Any:
        del ask
        return {"status": 0, "msg": "normal"}

    def account_status(self, ask: Ask) -> Any:
        del ask
        return {"data": "Normal"}

    def nothing(self, ask: Ask) -> Any:
        """Margin pairs and deposits: there are none here."""
        del ask
        return []

    def no_instruments(self, ask: Ask) -> Any:
        """Coin-margined futures, of which none is listed."""
        del ask
        desk = self.dialect.usdm
        return {
            "timezone": "UTC",
            "serverTime": desk.now_ms,
            "rateLimits": desk.rate_limits(),
            "exchangeFilters": [],
            "symbols": [],
        }

    def permissions(self, ask: Ask) -> Any:
        """What the key may do."""
        may = ask.who.permissions
        return {
            "ipRestrict": False,
            "createTime": self.dialect.spot.now_ms,
            "enableReading": "read" in may,
            "enableWithdrawals": "withdraw" in may,
            "enableInternalTransfer": "withdraw" in may,
            "enableMargin": False,
            "enableFutures": "trade" in may,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": "trade" in may,
            "enablePortfolioMarginTrading": False,
        }

    def fees(self, ask: Ask) -> Any:
        desk = self.dialect.spot
        chosen = list(desk.terms.values())
        if ask.params.text("symbol"):
            chosen = [ask.params.symbol(desk.terms)]
        rates = ((each.symbol, ask.who.fee_rates[each.floor]) for each in chosen)
        return [
            {
                "symbol": symbol,
                "makerCommission": money_text(maker),
                "takerCommission": money_text(taker),
            }
            for symbol, (maker, taker) in rates
        ]


def _shown(path: str) -> str:
    """A path as a sentence may hold it."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in path[:200])


def _refusal(problem: Refused, headers: Mapping[str, str]) -> Reply:
    wait = {"Retry-After": str(problem.retry_s)} if problem.retry_s else {}
    return Reply(problem.body, problem.status, {**headers, **wait})


__all__ = ["Binance"]
