"""Hyperliquid's WebSocket: subscriptions, what they are sent and when, and posted requests."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import orjson

from . import hyperliquid_forms as forms
from .accounts import Account
from .dialects import Failure
from .floor import Floor
from .hyperliquid_actions import Actions, n_items
from .hyperliquid_forms import Malformed
from .hyperliquid_info import Info
from .hyperliquid_state import State
from .orders import AccountEvent, Ending, Event, OrderEvent, TradeEvent
from .sockets import Socket

log = logging.getLogger(__name__)

BOOK_NS = 500_000_000  # a book goes out no more often
SLOW_NS = 1_000_000_000  # middles and contexts
STATE_NS = 5_000_000_000  # an account's state, where nothing changed it
IDLE_NS = 60_000_000_000  # a connection that was sent nothing for so long is closed
TRADES_FIRST = 10  # prints that a new subscription begins with
SUBSCRIPTIONS_MAX = 1_000
USERS_MAX = 10
POSTS_MAX = 100  # in flight on one connection
FRAMES_PER_MINUTE = 2_000
POOL = "hyperliquid.frames"
BY_VENUE = frozenset({Ending.LIQUIDATION, Ending.SELF_TRADE, Ending.REDUCE_ONLY, Ending.MARGIN})

# Subscription -> what names it beside its type, and its name in fault scripts.
PUBLIC: Mapping[str, tuple[tuple[str, ...], str]] = {
    "l2Book": (("coin", "nSigFigs", "mantissa"), "depth"),
    "bbo": (("coin",), "best"),
    "trades": (("coin",), "trades"),
    "activeAssetCtx": (("coin",), "mark"),
    "allMids": ((), "mark"),
}
PRIVATE: Mapping[str, str] = {
    "orderUpdates": "order",
    "userFills": "fill",
    "userEvents": "account",
    "userFundings": "account",
    "userNonFundingLedgerUpdates": "account",
    "clearinghouseState": "account",
    "spotState": "account",
}
CHANNELS = {"userEvents": "user"}  # where it differs from the subscription's type

Key = tuple[Any, ...]  # type, and the values that name it


class Link:
    """One connection: what it subscribed to, and when it was last sent anything."""

    def __init__(self, ws: Socket, now_ns: int) -> None:
        self.ws = ws
        self.keys: set[Key] = set()
        self.sent_ns = now_ns
        self.n_posts = 0

    def send(self, message: Any, stream: str, now_ns: int) -> None:
        """Queue one message."""
        self.sent_ns = now_ns
        self.ws.send(message, stream)


class Streams:
    """All connections.  Market data goes out on a timer, what happens to accounts at once."""

    def __init__(self, state: State, info: Info, actions: Actions) -> None:
        self.state, self.info, self.actions = state, info, actions
        self.links: list[Link] = []
        self._of: dict[Key, list[Link]] = {}
        self._due: dict[Key, int] = {}
        self._said: dict[Key, Any] = {}
        self._orders: dict[Account, list[Any]] = defaultdict(list)
        self._fills: dict[Account, list[Any]] = defaultdict(list)
        self._others: dict[Account, list[Any]] = defaultdict(list)  # of the channel "user"
        self._dirty: set[Account] = set()
        self._trades: dict[Floor, list[Any]] = defaultdict(list)
        self._paid: dict[Account, int] = {}  # id of the last payment told
        self._closing: set[asyncio.Task[None]] = set()
        state.box.limits.declare(POOL, FRAMES_PER_MINUTE, 60 * 10**9)
        state.exchange.listeners.append(self._hear)

    # -- what comes in

    async def serve(self, ws: Socket) -> None:
        """One connection, to its end."""
        link = Link(ws, self._now_ns())
        ws.kind = "public"
        self.links.append(link)
        try:
            async for frame in ws:
                self._take(link, frame)
        finally:
            self.links.remove(link)
            for key in list(link.keys):
                self._leave(link, key)

    def _take(self, link: Link, frame: str | bytes) -> None:
        now_ns = self._now_ns()
        engine_ns = self.state.box.clock.engine_ns()
        if not self.state.box.limits.take(POOL, link.ws.ip, 1, engine_ns).ok:
            self._refuse(link, "Too many websocket messages.")
            return
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        try:
            message = orjson.loads(frame)
            method = message["method"]
            take = self._METHODS[method]
        except (KeyError, TypeError, ValueError):
            self._refuse(link, f"Error parsing JSON into valid websocket request: {text}")
            return
        try:
            take(self, link, message, now_ns)
        except Malformed:
            self._refuse(link, f"Invalid {method} {text}")

    def _ping(self, link: Link, message: Mapping[str, Any], now_ns: int) -> None:
        del message
        link.send({"channel": "pong"}, "ack", now_ns)

    def _subscribe(self, link: Link, message: Mapping[str, Any], now_ns: int) -> None:
        key, shown = self._key(message.get("subscription"))
        if key in link.keys:
            self._refuse(link, f"Already subscribed: {orjson.dumps(shown).decode()}")
            return
        others = [each for each in self.links if each.ws.ip == link.ws.ip]
        if sum(len(each.keys) for each in others) >= SUBSCRIPTIONS_MAX:
            self._refuse(link, f"Cannot have more than {SUBSCRIPTIONS_MAX} subscriptions.")
            return
        if key[0] in PRIVATE:
            users = {each[1] for one in others for each in one.keys if each[0] in PRIVATE}
            if len(users | {key[1]}) > USERS_MAX:
                self._refuse(link, f"Cannot track more than {USERS_MAX} total users.")
                return
            link.ws.kind = "private"
            link.ws.account = self.state.accounts.get(key[1])
        link.keys.add(key)
        self._of.setdefault(key, []).append(link)
        said = {"method": "subscribe", "subscription": shown}
        link.send({"channel": "subscriptionResponse", "data": said}, "ack", now_ns)
        self.flush()  # what came before is not for this subscription
        if len(self._of[key]) == 1 and key[0] in PUBLIC:
            self._put_off(key, now_ns)
        first = self._first(key)
        if first is not None:
            link.send(self._message(key, first), self._stream(key), now_ns)

    def _unsubscribe(self, link: Link, message: Mapping[str, Any], now_ns: int) -> None:
        key, shown = self._key(message.get("subscription"))
        if key not in link.keys:
            self._refuse(link, f"Already unsubscribed: {orjson.dumps(shown).decode()}")
            return
        self._leave(link, key)
        said = {"method": "unsubscribe", "subscription": shown}
        link.send({"channel": "subscriptionResponse", "data": said}, "ack", now_ns)

    def _leave(self, link: Link, key: Key) -> None:
        link.keys.discard(key)
        links = self._of[key]
        links.remove(link)
        if not links:
            del self._of[key]
            self._due.pop(key, None)
            self._said.pop(key, None)

    def _post(self, link: Link, message: Mapping[str, Any], now_ns: int) -> None:
        number, request = message.get("id"), message.get("request")
        forms.integer(number)
        if not isinstance(request, Mapping) or request.get("type") not in ("info", "action"):
            raise Malformed("request is neither info nor action")
        kind, payload = request["type"], request.get("payload")

        def reply(of: str, said: Any) -> dict[str, Any]:
            response = {"type": of, "payload": said}
            return {"channel": "post", "data": {"id": number, "response": response}}

        def execute() -> dict[str, Any]:
            link.n_posts -= 1
            link.sent_ns = self._now_ns()
            try:
                if kind == "action":
                    said = self.actions.answer(payload)
                    self.flush()
                    return reply("action", said)
                answer = self.info.answer(payload)
            except Malformed as malformed:
                return reply("error", f"Failed to deserialize the request: {malformed}")
            asked = payload["type"] if isinstance(payload, Mapping) else None
            return reply("info", {"type": asked, "data": answer})

        def failed(failure: Failure) -> dict[str, Any]:
            return reply("error", failure.text or f"{failure.status} error")

        if link.n_posts >= POSTS_MAX:
            link.send(reply("error", f"More than {POSTS_MAX} posts in flight."), "ack", now_ns)
            return
        link.n_posts += 1
        link.ws.call(route(kind, payload), execute, failed)

    _METHODS: ClassVar[Mapping[str, Callable[..., None]]] = {
        "ping": _ping,
        "subscribe": _subscribe,
        "unsubscribe": _unsubscribe,
        "post": _post,
    }

    def _refuse(self, link: Link, text: str) -> None:
        link.send({"channel": "error", "data": text}, "ack", self._now_ns())

    # -- subscriptions

    def _key(self, wanted: object) -> tuple[Key, dict[str, Any]]:
        """What names a subscription, and how the venue repeats it."""
        kind = wanted.get("type") if isinstance(wanted, Mapping) else None
        if not isinstance(wanted, Mapping) or not isinstance(kind, str):
            raise Malformed("no subscription")
        if kind in PRIVATE:
            user = forms.address(wanted.get("user"))
            dex = {"dex": ""} if kind == "clearinghouseState" else {}
            return (kind, user), {"type": kind, "user": user} | dex
        if kind not in PUBLIC:
            raise Malformed(f"unknown subscription {kind!r}")
        names, _ = PUBLIC[kind]
        shown = {name: wanted.get(name) for name in names}
        if "coin" in shown and self.state.floor(shown["coin"]) is None:
            raise Malformed("unknown coin")
        if kind == "l2Book":
            self.info.book(shown)  # raises where the figures make no sense
            return (kind, *shown.values()), {"type": kind} | shown | {"fast": False}
        return (kind, *shown.values()), {"type": kind} | shown

    def _first(self, key: Key) -> Any:
        """What a new subscription is sent at once, None for nothing."""
        kind = key[0]
        if kind in {"l2Book", "activeAssetCtx", "allMids", "bbo"}:
            return self._market(key)
        if kind == "trades":
            floor = self._floor(key)
            return [self._trade(floor, done) for done in list(floor.trades)[-TRADES_FIRST:]]
        user, account = key[1], self.state.accounts.get(key[1])
        if kind == "userFills":
            fills = [] if account is None else self.info.fills(account)
            return {"isSnapshot": True, "user": user, "fills": fills}
        if kind in {"userFundings", "userNonFundingLedgerUpdates"}:
            name = "fundings" if kind == "userFundings" else "nonFundingLedgerUpdates"
            paid = account.payments if account is not None and kind == "userFundings" else ()
            rows = [forms.funding(each, self.state.ms(each.ts_ns)) for each in paid]
            return {"isSnapshot": True, "user": user, name: rows}
        if kind in {"clearinghouseState", "spotState"}:
            return self._account_state(kind, user)
        return None

    def _account_state(self, kind: str, user: str) -> dict[str, Any]:
        if kind == "spotState":
            held = self.info.answer({"type": "spotClearinghouseState", "user": user})
            return {"user": user, "spotState": held}
        held = forms.clearinghouse(self.state.accounts.get(user), self.state.now_ms())
        return {"dex": "", "user": user, "clearinghouseState": held}

    def _market(self, key: Key) -> Any:
        kind = key[0]
        if kind == "allMids":
            return {"mids": self.info.all_mids({})}
        floor = self._floor(key)
        if kind == "l2Book":
            return self.info.book(dict(zip(PUBLIC["l2Book"][0], key[1:], strict=True)))
        if kind == "activeAssetCtx":
            return {"coin": floor.symbol, "ctx": self.info.context(floor)}
        sides = [forms.best(floor, side) for side in (1, -1)]
        return {"coin": floor.symbol, "time": self.state.now_ms(), "bbo": sides}

    def _floor(self, key: Key) -> Floor:
        floor = self.state.floor(key[1])
        assert floor is not None  # a key was made of a coin that exists
        return floor

    def _trade(self, floor: Floor, done: Any) -> dict[str, Any]:
        users = [self.state.user_of(done.buy_order_id), self.state.user_of(done.sell_order_id)]
        return forms.trade(floor, done, self.state.ms(done.ts_ns), users)

    # -- what goes out

    def tick(self) -> None:
        """Send what is due, and close who has been sent nothing for a minute."""
        self.flush()
        now_ns = self._now_ns()
        for key in list(self._of):
            if key[0] in PUBLIC:
                self._publish(key, now_ns)
            elif key[0] == "clearinghouseState" and now_ns >= self._due.get(key, 0):
                self._due[key] = now_ns + STATE_NS
                self._send(key, self._account_state(*key))
        for link in self.links:
            if now_ns - link.sent_ns > IDLE_NS:
                link.sent_ns = now_ns
                closing = asyncio.get_running_loop().create_task(link.ws.close(1000, "Inactive"))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    def _publish(self, key: Key, now_ns: int) -> None:
        kind = key[0]
        if kind == "trades":
            return
        if kind == "bbo":
            floor = self._floor(key)
            best = floor.best(1), floor.best(-1)
            if best == self._said.get(key):
                return
            self._said[key] = best
        elif now_ns < self._due.get(key, 0):
            return
        self._put_off(key, now_ns)
        self._send(key, self._market(key))

    def _put_off(self, key: Key, now_ns: int) -> None:
        self._due[key] = now_ns + (BOOK_NS if key[0] == "l2Book" else SLOW_NS)

    def flush(self) -> None:
        """Tell what has happened to accounts, and the prints."""
        trades, self._trades = self._trades, defaultdict(list)
        for floor, done in trades.items():
            key = ("trades", floor.symbol)
            if key in self._of:
                self._send(key, [self._trade(floor, each) for each in done])
        if not (self._orders or self._fills or self._others or self._dirty):
            return
        orders, self._orders = self._orders, defaultdict(list)
        fills, self._fills = self._fills, defaultdict(list)
        others, self._others = self._others, defaultdict(list)
        dirty, self._dirty = self._dirty, set()
        for account, rows in orders.items():
            self._tell("orderUpdates", account, rows)
        for account, rows in fills.items():
            user = self.state.addresses[account]
            self._tell("userFills", account, {"user": user, "fills": rows})
            self._tell("userEvents", account, {"fills": rows})
        for account, rows in others.items():
            for row in rows:
                self._tell("userEvents", account, row)
        for account in dirty:
            self._tell_fundings(account)
            user = self.state.addresses[account]
            for kind in ("clearinghouseState", "spotState"):
                if (kind, user) in self._of:
                    self._tell(kind, account, self._account_state(kind, user))

    def _tell_fundings(self, account: Account) -> None:
        told = self._paid.get(account, 0)
        fresh = [each for each in account.payments if each.id > told]
        if not fresh:
            return
        self._paid[account] = fresh[-1].id
        rows = [forms.funding(each, self.state.ms(each.ts_ns)) for each in fresh]
        user = self.state.addresses[account]
        self._tell("userFundings", account, {"user": user, "fundings": rows})
        for row in rows:
            self._tell("userEvents", account, {"funding": row})

    def _tell(self, kind: str, account: Account, data: Any) -> None:
        self._send((kind, self.state.addresses[account]), data)

    def _send(self, key: Key, data: Any) -> None:
        links = self._of.get(key)
        if not links:
            return
        frame, stream, now_ns = self._message(key, data), self._stream(key), self._now_ns()
        for link in links:
            link.send(frame, stream, now_ns)

    def _message(self, key: Key, data: Any) -> bytes:
        return orjson.dumps({"channel": CHANNELS.get(key[0], key[0]), "data": data})

    def _stream(self, key: Key) -> str:
        return PRIVATE[key[0]] if key[0] in PRIVATE else PUBLIC[key[0]][1]

    def _now_ns(self) -> int:
        return self.state.box.clock.engine_ns()

    # -- what the exchange says

    def _hear(self, event: Event) -> None:
        if isinstance(event, OrderEvent):
            if event.order.account in self.state.addresses:
                self._hear_order(event)
        elif isinstance(event, TradeEvent):
            if event.floor.venue == "hyperliquid":
                self._trades[event.floor].append(event.trade)
        elif isinstance(event, AccountEvent) and event.account in self.state.addresses:
            self._dirty.add(event.account)

    def _hear_order(self, event: OrderEvent) -> None:
        order, state = event.order, self.state
        account, ms = order.account, state.ms(event.ts_ns)
        self._orders[account].append({
            "order": forms.basic_order(order, state.ms(order.created_ns)),
            "status": forms.status_word(order),
            "statusTimestamp": ms,
        })  # fmt: skip
        if event.fill is not None:
            self._fills[account].append(forms.fill(event.fill, ms))
        if order.ending in BY_VENUE:
            gone = {"coin": order.floor.symbol, "oid": order.id}
            self._others[account].append({"nonUserCancel": [gone]})


def route(kind: object, payload: object) -> str:
    """The word of fault scripts for a request."""
    body = payload if isinstance(payload, Mapping) else {}
    if kind != "action":
        said = body.get("type")
        return ROUTES.get(said, "info") if isinstance(said, str) else "info"
    action = body.get("action")
    said = action.get("type") if isinstance(action, Mapping) else None
    name = ROUTES.get(said, "account") if isinstance(said, str) else "account"
    return "batch" if isinstance(action, Mapping) and n_items(action) > 1 else name


ROUTES: Mapping[str, str] = {
    "order": "order",
    "modify": "amend",
    "batchModify": "amend",
    "cancel": "cancel",
    "cancelByCloid": "cancel",
    "l2Book": "depth",
    "clearinghouseState": "balance",
    "openOrders": "open_orders",
    "frontendOpenOrders": "open_orders",
    "orderStatus": "query",
    "userFills": "fills",
    "userFillsByTime": "fills",
}

__all__ = [
    "Streams",
    "route",
]
