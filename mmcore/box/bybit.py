"""Bybit v5 in the box: linear and spot over REST, and its public, private and trade sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from .accounts import Account
from .bybit_account import Office
from .bybit_auth import allow, http_account
from .bybit_codes import LINEAR, SPOT, Fault, bad, no_path, shut_out, too_often
from .bybit_desk import Desk
from .bybit_entry import Entry
from .bybit_limits import Taken, Tolls
from .bybit_market import Market
from .bybit_orders import Books
from .bybit_private import Private
from .bybit_public import Public
from .bybit_script import Race
from .bybit_socket import Line
from .bybit_words import EMPTY_CATEGORIES, NS_PER_MS
from .dialects import Dialect, Failure, Reply, Request

if TYPE_CHECKING:
    from .server import Box
    from .sockets import Socket

PREFIX = "/v5/"
PUBLIC_PATHS = {f"/v5/public/{category}": category for category in (LINEAR, SPOT)}
PUBLIC_PATHS |= {f"/v5/public/{category}": category for category in EMPTY_CATEGORIES}
PRIVATE_PATH, TRADE_PATH = "/v5/private", "/v5/trade"
GROUPS: Mapping[str, str] = {
    "/v5/order/realtime": "orders",
    "/v5/order/history": "history",
    "/v5/execution/list": "executions",
    "/v5/position/list": "positions",
    "/v5/account/transaction-log": "transactions",
    "/v5/user/query-api": "key",
    "/v5/account/info": "account",
    "/v5/account/wallet-balance": "balance",
    "/v5/account/fee-rate": "fee-rate",
    "/v5/account/query-dcp-info": "dcp",
    "/v5/asset/coin/query-info": "coins",
    "/v5/order/disconnected-cancel-all": "dcp",
    "/v5/order/pre-check": "pre-check",
    "/v5/position/set-leverage": "set-leverage",
    "/v5/position/switch-mode": "switch-mode",
    "/v5/account/set-margin-mode": "set-margin-mode",
}
TRADES = {f"/v5/order/{name}": name for name in ("create", "amend", "cancel", "cancel-all")}
BATCHES = {f"/v5/order/{name}-batch": name for name in ("create", "amend", "cancel")}
# Path -> the word of fault scripts.
WORDS: Mapping[str, str] = {
    "/v5/market/time": "time",
    "/v5/market/instruments-info": "instruments",
    "/v5/market/orderbook": "depth",
    "/v5/market/tickers": "prices",
    "/v5/market/recent-trade": "trades",
    "/v5/order/create": "order",
    "/v5/order/amend": "amend",
    "/v5/order/cancel": "cancel",
    "/v5/order/cancel-all": "cancel_all",
    **dict.fromkeys(BATCHES, "batch"),
    "/v5/order/realtime": "open_orders",
    "/v5/order/history": "history",
    "/v5/execution/list": "fills",
    "/v5/position/list": "positions",
    "/v5/account/wallet-balance": "balance",
    "/v5/account/info": "account",
    "/v5/account/transaction-log": "income",
    "/v5/account/fee-rate": "fees",
    "/v5/order/disconnected-cancel-all": "countdown",
    "/v5/position/set-leverage": "settings",
    "/v5/position/switch-mode": "settings",
    "/v5/account/set-margin-mode": "settings",
}
SAID = {"/v5/order/disconnected-cancel-all": "success", "/v5/system/status": ""}
# HTTP status of a failure that is not the request's own -> retCode, sentence.
FAILURES: Mapping[int, tuple[int, str]] = {
    403: (403, "access too frequent"),
    404: (404, "Request path not found"),
    413: (10001, "request body too large"),
    418: (10429, "System level frequency protection"),
    429: (10429, "System level frequency protection"),
    500: (10016, "Internal server error."),
    503: (10000, "Server Timeout"),
}

Act = Callable[["Asked"], tuple[Any, Any]]


@dataclass(slots=True)
class Asked:
    """One signed request."""

    path: str
    account: Account
    params: dict[str, Any]
    now_ns: int
    taken: Taken | None = None


class Bybit(Dialect):
    """Bybit v5.  ``desk.post_only_acked`` says, by category, when post-only orders are refused."""

    name = "bybit"

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        exchange, clock = box.exchange, box.clock
        self.tolls = Tolls(box.limits, clock)
        self.desk = Desk(exchange, race=Race(box))
        self.market = Market(self.desk, clock)
        self.books = Books(self.desk, self.market, box.options.rejected_status)
        self.office = Office(self.desk, self.market, clock, box.balances)
        self.public = Public(self.market, clock)
        self.private = Private(self.desk, self.market, self.books, self.office, clock)
        self.desk.lost = self.private.lost
        self.entry = Entry(self.desk, self.tolls, clock)
        self._lines = 0

    # -- REST

    def claims(self, method: str, path: str) -> bool:  # noqa: ARG002 - the path says it all
        return path.startswith(PREFIX)

    def route(self, request: Request) -> str:
        return WORDS.get(request.path, "query")

    async def http(self, request: Request) -> Reply:
        """One REST request."""
        taken: list[Taken] = []
        try:
            if not self.tolls.admit(request.ip):
                raise shut_out()
            result, ext = self._answer(request, taken)
        except Fault as fault:
            return self._reply(fault.code, fault.text, {}, {}, taken, status=fault.http)
        text = SAID.get(request.path, "OK")
        return self._reply(0, text, result, ext, taken)

    def failure(self, request: Request, failure: Failure) -> Reply:  # noqa: ARG002 - any request
        code, text = FAILURES.get(failure.status, (10016, "Internal server error."))
        # An unknown outcome comes as a plain answer; Bybit keeps HTTP statuses for its front door.
        status = 200 if failure.unknown else failure.status
        reply = self._reply(failure.code or code, failure.text or text, {}, {}, [], status=status)
        if failure.retry_s:
            reply.headers = {**reply.headers, "Retry-After": str(failure.retry_s)}
        return reply

    def _reply(
        self, code: int, text: str, result: Any, ext: Any, taken: list[Taken], *, status: int = 200
    ) -> Reply:
        body = {
            "retCode": code,
            "retMsg": text,
            "result": result,
            "retExtInfo": ext,
            "time": self.box.clock.now_ns() // NS_PER_MS,
        }
        return Reply(body, status, taken[0].headers() if taken else {})

    def _answer(self, request: Request, taken: list[Taken]) -> tuple[Any, Any]:
        path, method = request.path, request.method
        if method == "GET" and path in self.market.routes:
            return self.market.routes[path](_query(request)), {}
        reads = path in self.office.reads or path in self.books.routes
        writes = path in self.office.writes or path in TRADES or path in BATCHES
        if not (method == "GET" and reads) and not (method == "POST" and writes):
            raise no_path()
        payload = request.query.encode() if reads else request.body
        now_ms = self.box.clock.now_ns() // NS_PER_MS
        account = http_account(
            self.private.accounts,
            request.headers,
            payload,
            now_ms,
            lenient=self.box.options.lenient,
        )
        allow(account, "read" if reads else "trade")
        params = _query(request) if reads else _body(request)
        asked = Asked(path, account, params, self.box.clock.engine_ns())
        if path in TRADES or path in BATCHES:
            return self._trade(asked, taken)
        one = self.tolls.take(account.name, GROUPS[path])
        taken.append(one)
        if not one.granted:
            raise too_often()
        if path in self.office.writes:
            return self.office.writes[path](account, params, asked.now_ns), {}
        read = self.office.reads.get(path) or self.books.routes[path]
        return read(account, params), {}

    def _trade(self, asked: Asked, taken: list[Taken]) -> tuple[Any, Any]:
        account, params, desk = asked.account, asked.params, self.desk
        if asked.path in BATCHES:
            name = BATCHES[asked.path]
            category, items = desk.items(params)
            some = self.tolls.take(account.name, f"{name}-batch:{category}", len(items))
            taken.append(some)
            return desk.batch(name, account, params, some.granted, asked.now_ns)
        name, category = TRADES[asked.path], desk.category(params)
        one = self.tolls.take(account.name, f"{name}:{category}")
        taken.append(one)
        if not one.granted:
            raise too_often()
        act = getattr(desk, name.replace("-", "_"))
        return act(account, category, params, asked.now_ns), {}

    # -- sockets

    def claims_socket(self, path: str) -> bool:
        return path in PUBLIC_PATHS or path in {PRIVATE_PATH, TRADE_PATH}

    async def socket(self, ws: Socket) -> None:
        """One WebSocket until its end."""
        self._lines += 1
        late_s = self.box.options.reply_ms / 1e3
        if ws.path == TRADE_PATH:
            ws.kind = "trade"
            await self.entry.serve(Line(ws, self._lines, 0.0))
        elif ws.path == PRIVATE_PATH:
            ws.kind = "private"
            await self.private.serve(Line(ws, self._lines, late_s))
        else:
            ws.kind = "public"
            await self.public.serve(Line(ws, self._lines, late_s), PUBLIC_PATHS[ws.path])

    def tick(self, now_ns: int) -> None:
        self.public.tick(now_ns)
        self.private.tick(now_ns)

    def restarted(self, now_ns: int) -> None:  # noqa: ARG002 - counts begin anew, whenever
        self.market.ladders.restart()


def _query(request: Request) -> dict[str, Any]:
    return dict(parse_qsl(request.query, keep_blank_values=True))


def _body(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError:
        raise bad("request body is not JSON") from None
    if not isinstance(body, dict):
        raise bad("request body is not an object")
    return body


__all__ = ["Bybit"]
