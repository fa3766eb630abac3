"""Binance's sockets: market and private streams, and the socket that takes requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from .accounts import Account
from .binance_access import Access
from .binance_desk import Ask, Desk, Route
from .binance_streams import Category, Hub
from .binance_user import ListenKeys, Outlet, SpotEvents
from .binance_words import Params, Refused, pairs, scripted
from .dialects import Failure
from .limits import SECOND_NS
from .sockets import Socket

# /public/ws, /ws, /stream and so on.  One port stands for several hosts here: "/stream/ws" is the
# spot host's, and "/fstream/ws" the futures host's old path, which only carries public streams.
PATH = re.compile(
    r"/(?:(?P<place>public|market|private|fstream|stream)/)?(?P<mode>ws|stream)(?:/(?P<names>.*))?"
)
STREAMS_MAX = 1_024
FRAMES_MAX = {"usdm": 10, "spot": 5}  # of a client, a second
PING_S = {"usdm": 180.0, "spot": 20.0}
LIFE_S = 24 * 3600.0
HANDSHAKE_WEIGHT = {"usdm": 5, "spot": 2}
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
HMAC_ONLY = "HMAC_SHA256 API key is not supported."


def _let_in(ask: Ask) -> Ask:
    return ask


SUBSCRIBE = Route(_let_in, Access.READ, 2, word="subscribe")


class Alive:
    """Sockets of one product that are pinged, and cut when they are a day old."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._open: dict[Socket, tuple[int, int]] = {}  # next ping, end; engine time

    def add(self, ws: Socket) -> None:
        now = self.desk.box.clock.engine_ns()
        self._open[ws] = (now + self._ping_ns, now + round(LIFE_S * 1e9))

    def drop(self, ws: Socket) -> None:
        self._open.pop(ws, None)

    def tick(self, engine_ns: int) -> None:
        """Ping who is due, cut who is too old."""
        for ws, (ping_ns, end_ns) in tuple(self._open.items()):
            if engine_ns >= end_ns:
                ws.cut()
                self.drop(ws)
            elif engine_ns >= ping_ns:
                ws.ping(str(self.desk.now_ms).encode())
                self._open[ws] = (engine_ns + self._ping_ns, end_ns)

    @property
    def _ping_ns(self) -> int:
        return round(PING_S[self.desk.market] * 1e9)


class Talk:
    """What all sockets of one product share: how many frames a client may send."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.alive = Alive(desk)
        self._pool = f"binance-{desk.market}.frames"
        self._n = 0
        limit = FRAMES_MAX[desk.market]
        desk.box.limits.declare(self._pool, limit, SECOND_NS, sliding=True)

    def name(self) -> str:
        """A key of its own for each socket."""
        self._n += 1
        return str(self._n)

    def allowed(self, name: str) -> bool:
        """Whether one more frame may come."""
        return self.desk.box.limits.take(self._pool, name, 1, self.desk.box.clock.engine_ns()).ok


class StreamSocket:
    """One client of the market streams, and of private ones where the path has them."""

    def __init__(
        self, hub: Hub, keys: ListenKeys | None, ws: Socket, category: Category, *, combined: bool
    ) -> None:
        self.hub = hub
        self.keys = keys
        self.ws = ws
        self.category: Category = category
        self.combined = combined
        self.names: list[str] = []
        self._outlets: dict[str, Outlet] = {}
        ws.kind = "public" if category == "all" else category

    def data(self, name: str, raw: bytes, word: str) -> None:
        """Send one event of a stream."""
        if self.combined:
            raw = b'{"stream":' + orjson.dumps(name) + b',"data":' + raw + b"}"
        self.ws.send(raw, word)

    def join(self, name: str, only: frozenset[str] = frozenset()) -> None:
        """Take a stream, by name or by listen key."""
        if name in self.names or len(self.names) >= STREAMS_MAX:
            return
        self.names.append(name)
        if self.category == "private":
            self._listen(name, only)
        else:
            self.hub.join(self, name, self.category)

    def _listen(self, key: str, only: frozenset[str]) -> None:
        """Attach to a listen key; an unknown one is taken, and says nothing."""
        held = self.keys.get(key) if self.keys is not None else None
        if held is None:
            return
        self.ws.account = held.account
        outlet = Outlet(self.ws, lambda event: self._wrapped(key, event), only)
        held.outlets.add(outlet)
        self._outlets[key] = outlet

    def _wrapped(self, key: str, event: dict[str, Any]) -> Any:
        return {"stream": key, "data": event} if self.combined else event

    def leave(self, name: str) -> None:
        """Give a stream up."""
        if name not in self.names:
            return
        self.names.remove(name)
        self.hub.leave(self, name)
        outlet = self._outlets.pop(name, None)
        held = self.keys.get(name) if self.keys is not None else None
        if outlet is not None and held is not None:
            held.outlets.discard(outlet)

    def close(self) -> None:
        """Give everything up."""
        for name in tuple(self.names):
            self.leave(name)

    def frame(self, frame: str | bytes) -> None:
        """Do what a client's frame says, and answer it."""
        try:
            asked = orjson.loads(frame)
        except orjson.JSONDecodeError:
            self._fail(3, "Invalid JSON: expected value at line 1 column 1", None)
            return
        if not isinstance(asked, dict):
            self._fail(2, "Invalid request: expected an object", None)
            return
        number = asked.get("id")
        if not _good_id(number):
            self._fail(2, "Invalid request: request ID must be an unsigned integer", None)
            return
        method = asked.get("method")
        if method is None:
            self._fail(2, "Invalid request: missing field `method` at line 1 column 1", number)
        elif method not in METHODS:
            expected = ", ".join(f"`{each}`" for each in METHODS)
            shown = method if isinstance(method, str) and method.isprintable() else "?"
            text = f"Invalid request: unknown variant `{shown[:50]}`, expected one of {expected}"
            self._fail(2, text, number)
        else:
            self._do(method, asked.get("params"), number)

    def _do(self, method: str, params: Any, number: Any) -> None:
        params = [] if params is None else params
        if not isinstance(params, list):
            self._fail(2, "Invalid request: params must be a list", number)
        elif method == "LIST_SUBSCRIPTIONS":
            self._answer(self.names, number)
        elif method.endswith("PROPERTY"):
            self._property(method, params, number)
        elif not params or not all(isinstance(each, str) for each in params):
            self._fail(2, "Invalid request: stream name must be a string", number)
        elif method == "UNSUBSCRIBE":
            for name in params:
                self.leave(name)
            self._answer(None, number)
        elif len(self.names) + len(params) > STREAMS_MAX:
            self._fail(2, "Invalid request: too many parameters", number)
        else:
            self._answer(None, number)
            for name in params:
                self.join(name)

    def _property(self, method: str, params: list[Any], number: Any) -> None:
        if not params or not isinstance(params[0], str):
            self._fail(2, "Invalid request: property name must be a string", number)
        elif params[0] != "combined":
            self._fail(0, "Unknown property", number)
        elif method == "GET_PROPERTY":
            self._answer(self.combined, number)
        elif len(params) < 2 or not isinstance(params[1], bool):
            self._fail(1, "Invalid value type: expected Boolean", number)
        else:
            self.combined = params[1]
            self._answer(None, number)

    def _answer(self, result: Any, number: Any) -> None:
        self.ws.send({"result": result, "id": number}, "ack")

    def _fail(self, code: int, text: str, number: Any) -> None:
        answer: dict[str, Any] = {"code": code, "msg": text}
        self.ws.send(answer if number is None else {**answer, "id": number}, "ack")


def _good_id(number: Any) -> bool:
    if isinstance(number, bool):
        return False
    if isinstance(number, int):
        return number >= 0
    return number is None or (isinstance(number, str) and len(number) <= 36 and _plain(number))


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def asked_streams(ws: Socket) -> tuple[list[str], frozenset[str]]:
    """Stream names and listen keys of a handshake, and the events that are wanted of the latter."""
    match = PATH.fullmatch(ws.path)
    assert match is not None
    query = dict(pairs(ws.query))
    names = [unquote(name) for name in (match["names"] or "").split("/")]
    names += query.get("streams", "").split("/")
    names.append(query.get("listenKey", ""))
    return [name for name in names if name], frozenset(query.get("events", "").split("/")) - {""}


class CallSocket:
    """One client of the request socket (ws-fapi, ws-api)."""

    def __init__(
        self,
        desk: Desk,
        calls: Mapping[str, Route],
        ws: Socket,
        keys: ListenKeys | None,
        events: SpotEvents | None,
    ) -> None:
        self.desk = desk
        self.calls = calls
        self.ws = ws
        self.keys = keys
        self.events = events
        self.since_ms = desk.now_ms
        self._subscriptions: dict[int, tuple[Account, Outlet]] = {}
        self._n = 0
        self._counts = dict(pairs(ws.query)).get("returnRateLimits", "true").lower() != "false"
        self._own: Mapping[str, Callable[[Params], Any]] = {
            "session.status": self._session,
            "session.logout": self._session,
            "session.logon": self._logon,
            "session.subscriptions": self._list,
            "userDataStream.subscribe.signature": self._subscribe,
            "userDataStream.unsubscribe": self._unsubscribe,
        }
        ws.kind = "trade"

    def frame(self, frame: str | bytes) -> None:
        """Answer one request."""
        try:
            asked = orjson.loads(frame)
        except orjson.JSONDecodeError:
            asked = None
        if not isinstance(asked, dict):
            problem = Refused(-1135, "Invalid JSON Request.")
            self.ws.send(self._failed(None, problem, None), "ack")
            return
        number, method = asked.get("id"), asked.get("method")
        values = asked.get("params") or {}
        if not isinstance(values, dict) or not isinstance(method, str):
            name = "method" if isinstance(values, dict) else "params"
            problem = Refused(-1102, name=name)
            self.ws.send(self._failed(number, problem, None), "ack")
            return
        params = Params.of_json(values)
        if method in self._own and not (method.startswith("userData") and self.events is None):
            self._answer_own(number, method, params)
        elif method in self.calls:
            route = self.calls[method]
            self.ws.call(
                route.word,
                lambda: self._execute(number, route, params),
                lambda failure: self._scripted(number, failure),
            )
        else:
            problem = Refused(-1020, "This operation is not supported.")
            self.ws.send(self._failed(number, problem, None), "ack")

    def close(self) -> None:
        """End what it subscribed to."""
        for account, outlet in self._subscriptions.values():
            if self.events is not None:
                self.events.outlets.get(account, set()).discard(outlet)
        self._subscriptions.clear()

    def _execute(self, number: Any, route: Route, params: Params) -> dict[str, Any]:
        try:
            ask = self.desk.admit_call(route, params, self.ws.ip)
            result = route.call(ask)
        except Refused as problem:
            return self._failed(number, problem, None)
        return self._done(number, result, ask.account, orders=bool(route.orders[0]))

    def _done(
        self, number: Any, result: Any, account: Account | None = None, *, orders: bool = False
    ) -> dict[str, Any]:
        answer = {"id": number, "status": 200, "result": result}
        return self._counted(answer, account, orders=orders)

    def _failed(self, number: Any, problem: Refused, account: Account | None) -> dict[str, Any]:
        error = problem.body
        if problem.retry_s:
            now = self.desk.now_ms
            error["data"] = {"serverTime": now, "retryAfter": now + problem.retry_s * 1_000}
        answer = {"id": number, "status": problem.status, "error": error}
        return self._counted(answer, account, orders=False)

    def _counted(
        self, answer: dict[str, Any], account: Account | None, *, orders: bool
    ) -> dict[str, Any]:
        if self._counts:
            answer["rateLimits"] = self.desk.counted_limits(self.ws.ip, account, orders=orders)
        return answer

    def _scripted(self, number: Any, failure: Failure) -> dict[str, Any]:
        return self._failed(number, scripted(failure), None)

    # -- about the connection itself: answered at once, so that no event comes before

    def _answer_own(self, number: Any, method: str, params: Params) -> None:
        try:
            answer = self._done(number, self._own[method](params))
        except Refused as problem:
            answer = self._failed(number, problem, None)
        self.ws.send(answer, "ack")
        for account, outlet in self._subscriptions.values():
            if self.events is not None:
                self.events.outlets.setdefault(account, set()).add(outlet)

    def _session(self, params: Params) -> Any:
        del params
        return {
            "apiKey": None,
            "authorizedSince": None,
            "connectedSince": self.since_ms,
            "returnRateLimits": self._counts,
            "serverTime": self.desk.now_ms,
            "userDataStream": bool(self._subscriptions),
        }

    def _logon(self, params: Params) -> Any:
        del params  # only Ed25519 keys log on, and the box gives out none
        raise Refused(-4056, HMAC_ONLY)

    def _list(self, params: Params) -> Any:
        del params
        return [{"subscriptionId": each} for each in self._subscriptions]

    def _subscribe(self, params: Params) -> Any:
        ask = self.desk.admit_call(SUBSCRIBE, params, self.ws.ip)
        number, self._n = self._n, self._n + 1
        outlet = Outlet(self.ws, lambda event: {"subscriptionId": number, "event": event})
        self._subscriptions[number] = (ask.who, outlet)
        self.ws.account = ask.who
        return {"subscriptionId": number}

    def _unsubscribe(self, params: Params) -> Any:
        chosen = params.integer("subscriptionId")
        ended = list(self._subscriptions) if chosen is None else [chosen]
        for number in ended:
            if number not in self._subscriptions:
                raise Refused(-1130, name="subscriptionId")
            account, outlet = self._subscriptions.pop(number)
            assert self.events is not None
            self.events.outlets.get(account, set()).discard(outlet)
        return {}


__all__ = ["CallSocket", "StreamSocket", "Talk", "asked_streams"]
