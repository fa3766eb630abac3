"""Bybit's private sockets: own orders, executions, positions, wallet, and the dead man's switch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from .accounts import Account
from .bybit_account import DCP_PRODUCTS, Office
from .bybit_auth import allow, socket_account
from .bybit_codes import LINEAR, SPOT, Fault
from .bybit_desk import Desk
from .bybit_market import Market
from .bybit_orders import Books, unseen
from .bybit_socket import Frame, Line, topics
from .bybit_tell import execution, execution_fast, funding, position_message
from .bybit_words import EMPTY_CATEGORIES, NS_PER_MS, event_id
from .clock import Clock
from .floor import Floor
from .orders import AccountEvent, Event, Order, OrderEvent

CATEGORIES = (LINEAR, SPOT, *sorted(EMPTY_CATEGORIES))
KINDS = ("order", "execution", "execution.fast", "position")
DCP_TOPICS = {"dcp.future": LINEAR, "dcp.spot": SPOT, "dcp.option": "option"}
QUIET_TOPICS = frozenset({"greeks", "spread.order", "spread.execution"})  # never say anything here
STREAMS = {  # topic -> the word of fault scripts
    "order": "order",
    "execution": "fill",
    "execution.fast": "fill",
    "position": "position",
    "wallet": "account",
}
ALL_IN_ONE = frozenset(KINDS)
CATEGORISED = {f"{kind}.{category}": kind for kind in KINDS for category in CATEGORIES}
TOPICS = frozenset({*ALL_IN_ONE, *CATEGORISED, *DCP_TOPICS, *QUIET_TOPICS, "wallet"})
SILENCE_S = 30.0  # beyond a switch's window, after which a line that says nothing is gone
SECOND_NS = 1_000_000_000


@dataclass(eq=False, slots=True)
class Watcher:
    """One private connection: whose, and what it reads."""

    line: Line
    account: Account | None = None
    topics: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Burst:
    """What happened to one account within one call, until it is sent.

    lists: every execution, by (topic, category).  orders: the latest state of each order, by
    category.  floors: of positions to be told, wallet: whether it is.
    """

    lists: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    orders: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    floors: dict[Floor, None] = field(default_factory=dict)
    wallet: bool = False

    def add(self, kind: str, category: str, entry: dict[str, Any]) -> None:
        """One more execution."""
        self.lists.setdefault((kind, category), []).append(entry)


class Private:
    """All private connections."""

    def __init__(
        self, desk: Desk, market: Market, books: Books, office: Office, clock: Clock
    ) -> None:
        self.desk = desk
        self.market = market
        self.books = books
        self.office = office
        self.clock = clock
        self.accounts = {
            account.credentials.key: account for account in desk.exchange.accounts_of("bybit")
        }
        self.watchers: dict[str, dict[Watcher, None]] = {name: {} for name in office.settings}
        self._bursts: dict[str, Burst] = {}
        self._paid: dict[str, int] = {}
        self._sent = 0
        self._held: dict[tuple[str, str], bool] = {}  # whether a switch has a line to watch
        self._looked_ns = 0
        office.dcp_set = self.check_switches
        desk.exchange.listeners.append(self.hear)

    # -- frames

    async def serve(self, line: Line) -> None:
        """One connection until its end."""
        watcher = Watcher(line)
        try:
            await line.frames(lambda frame: self.handle(watcher, frame))
        finally:
            if watcher.account is not None:
                self.watchers[watcher.account.name].pop(watcher, None)
                self.check_switches()

    def handle(self, watcher: Watcher, frame: Frame) -> None:
        """Answer one frame."""
        op, req_id, line = frame.get("op"), frame.get("req_id"), watcher.line
        if op == "ping":
            pong: Frame = {} if req_id is None else {"req_id": req_id}
            stamp = str(self.clock.now_ns() // NS_PER_MS)
            line.ws.send({**pong, "op": "pong", "args": [stamp], "conn_id": line.conn_id}, "ack")
        elif op == "auth":
            self._auth(watcher, frame, req_id)
        elif isinstance(op, str) and op in {"subscribe", "unsubscribe"}:
            if watcher.account is None:
                line.say(op, req_id, ok=False, text="Request not authorized")
            elif op == "subscribe":
                self._subscribe(watcher, frame, req_id)
            else:
                for name in topics(frame) or ():
                    watcher.topics.pop(name, None)
                line.say("unsubscribe", req_id, ok=True)
                self.check_switches()
        else:
            line.refuse(frame, "error:invalid op")

    def _auth(self, watcher: Watcher, frame: Frame, req_id: object) -> None:
        now_ms = self.clock.now_ns() // NS_PER_MS
        try:
            account = socket_account(self.accounts, frame.get("args"), now_ms)
            allow(account, "read")
        except Fault as fault:
            watcher.line.say("auth", req_id, ok=False, text=fault.text)
            return
        if watcher.account not in {None, account}:
            watcher.line.say("auth", req_id, ok=False, text="Repeat auth")
            return
        watcher.account = watcher.line.ws.account = account
        self.watchers[account.name][watcher] = None
        watcher.line.say("auth", req_id, ok=True)

    def _subscribe(self, watcher: Watcher, frame: Frame, req_id: object) -> None:
        names = topics(frame)
        text = _fault(watcher, names)
        if names is None or text:
            watcher.line.say("subscribe", req_id, ok=False, text=text)
            return
        watcher.topics.update(dict.fromkeys(names))
        watcher.line.say("subscribe", req_id, ok=True)
        self.check_switches()

    # -- events

    def hear(self, event: Event) -> None:
        """Put down what a listener of the account will be told."""
        if isinstance(event, OrderEvent):
            if event.order.floor in self.desk.by_floor:
                self._hear_order(event)
        elif isinstance(event, AccountEvent) and event.account.name in self.watchers:
            self._hear_account(event)

    def _hear_order(self, event: OrderEvent) -> None:
        order = event.order
        name = order.account.name
        if not self.watchers[name]:
            return
        burst = self._burst(name)
        place = self.desk.by_floor[order.floor]
        if event.fill is not None:
            count = self.market.seq_of(order.floor, event.fill.trade_id)
            category, listed = place.category, place.listed
            shift_ns = self.books.shift_ns
            fast = execution_fast(event.fill, listed, count, shift_ns)
            burst.add("execution", category, execution(event.fill, listed, count, shift_ns))
            burst.add("execution.fast", category, fast)
        burst.orders.setdefault(place.category, {})[order.id] = self.books.order_row(order)
        if place.category == LINEAR:
            burst.floors[order.floor] = None
        burst.wallet = True

    def lost(self, order: Order) -> None:
        """A cancel came too late for an order that filled: told once more, with the reason."""
        name = order.account.name
        if not self.watchers[name]:
            return
        row = {**self.books.order_row(order), "rejectReason": "EC_OrigClOrdIDDoesNotExist"}
        category = self.desk.by_floor[order.floor].category
        self.flush()
        self._burst(name).orders[category] = {order.id: row}

    def _hear_account(self, event: AccountEvent) -> None:
        name = event.account.name
        fresh = unseen(event.account, self._paid) if event.why == "funding" else []
        if not self.watchers[name]:
            return
        burst = self._burst(name)
        for payment in fresh:
            listed = self.desk.by_floor[payment.floor].listed
            count = self.market.seq_of(payment.floor)
            entry = funding(payment, listed, count, self.books.shift_ns)
            burst.add("execution", LINEAR, entry)
        burst.floors.update(dict.fromkeys(floor for floor in event.floors if not floor.spot))
        burst.wallet = True

    def _burst(self, name: str) -> Burst:
        burst = self._bursts.get(name)
        if burst is None:
            burst = self._bursts[name] = Burst()
            asyncio.get_running_loop().call_soon(self.flush)
        return burst

    def flush(self) -> None:
        """Send what was put down."""
        bursts, self._bursts = self._bursts, {}
        for name, burst in bursts.items():
            watchers = [each for each in self.watchers[name] if each.topics]
            if not watchers or watchers[0].account is None:
                continue
            account = watchers[0].account
            for (kind, category), entries in burst.lists.items():
                self._push(watchers, kind, category, entries)
            for category, orders in burst.orders.items():
                self._push(watchers, "order", category, list(orders.values()))
            if burst.floors:
                entries = [self._position(account, floor) for floor in burst.floors]
                self._push(watchers, "position", LINEAR, entries)
            if burst.wallet and any("wallet" in each.topics for each in watchers):
                self._push(watchers, "wallet", "", [self.office.wallet(account, late=False)])

    def _position(self, account: Account, floor: Floor) -> dict[str, Any]:
        listed = self.desk.by_floor[floor].listed
        count = self.market.seq_of(floor)
        return position_message(account, floor, listed, count, self.books.shift_ns)

    def _push(
        self, watchers: list[Watcher], kind: str, category: str, entries: list[dict[str, Any]]
    ) -> None:
        topic_names = (kind, f"{kind}.{category}") if category else (kind,)
        for topic in topic_names:
            readers = [each for each in watchers if topic in each.topics]
            if not readers:
                continue
            self._sent += 1
            message: Frame = {
                "id": event_id("push", self._sent),
                "topic": topic,
                "creationTime": self.clock.now_ns() // NS_PER_MS,
                "data": entries,
            }
            if kind == "execution.fast":
                del message["id"]
            for reader in readers:
                reader.line.ws.send(message, STREAMS[kind])

    # -- the dead man's switch

    def tick(self, now_ns: int) -> None:
        """Once a second, look for lines that have fallen silent."""
        if abs(now_ns - self._looked_ns) >= SECOND_NS:
            self._looked_ns = now_ns
            self.check_switches()

    def check_switches(self) -> None:
        """Start a switch's countdown when its last line is gone, stop it when one is back."""
        for account in self.accounts.values():
            settings = self.office.settings[account.name]
            for product, seconds in settings.dcp.items():
                category = DCP_PRODUCTS[product]
                key = account.name, category
                there = self._watched(account, category, seconds)
                if there is self._held.get(key, False):
                    continue
                self._held[key] = there
                now_ns = self.clock.engine_ns()
                at_ns = None if there else now_ns + seconds * SECOND_NS
                for place in self.desk.of(category):
                    self.desk.exchange.countdown(account, place.floor, at_ns, now_ns)

    def _watched(self, account: Account, category: str, seconds: int) -> bool:
        """Whether a living connection of the account reads the switch's topic."""
        for watcher in self.watchers[account.name]:
            names = [name for name in watcher.topics if DCP_TOPICS.get(name) == category]
            if not names or watcher.line.ws.closed:
                continue
            silent_s = asyncio.get_running_loop().time() - watcher.line.heard_s
            if silent_s < seconds + SILENCE_S:
                return True
        return False


def _fault(watcher: Watcher, names: list[str] | None) -> str:
    """What is wrong with a subscription, "" for nothing."""
    if names is None:
        return "error:args invalid"
    for at, name in enumerate(names):
        if name not in TOPICS:
            return f"error:handler not found,topic:{name[:64]}"
        if name in watcher.topics or name in names[:at]:
            return f"error:already subscribed,topic:{name}"
    if ALL_IN_ONE.intersection(names) and any(name in CATEGORISED for name in names):
        return "error:all-in-one and categorised topics in one request"
    return ""


__all__ = ["Private", "Watcher"]
