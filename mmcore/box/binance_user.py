"""What Binance tells an account about itself: orders, fills, balances, positions, settings.

Futures accounts listen by listen key on a private stream; spot accounts subscribe on the request
socket.  An :class:`Outlet` is one such listener.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .accounts import Account
from .binance_desk import Desk
from .binance_orders import SIDE_WORDS, hidden, status_word, words
from .binance_terms import Terms, fixed, money_text
from .binance_words import Refused
from .orders import AccountEvent, Ending, Event, Fill, Order, OrderEvent
from .sockets import Socket

# Why the venue ended an order, as futures write it.
EXPIRY_REASONS = {
    Ending.SELF_TRADE: "1",
    Ending.NO_LIQUIDITY: "2",
    Ending.REDUCE_ONLY: "4",
    Ending.LIQUIDATION: "5",
}
UPDATE_REASONS = {
    "funding": "FUNDING_FEE",
    "transfer": "DEPOSIT",
    "liquidation": "INSURANCE_CLEAR",  # of what was left below zero
}
EXECUTIONS = {
    "new": "NEW",
    "fill": "TRADE",
    "amended": "AMENDMENT",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
}
# Event -> what fault scripts call it; order events that carry a fill are "fill".
STREAM_WORDS = {
    "ORDER_TRADE_UPDATE": "order",
    "TRADE_LITE": "fill",
    "executionReport": "order",
    "listenKeyExpired": "listen_key",
    "ACCOUNT_CONFIG_UPDATE": "config",
}


@dataclass(slots=True, eq=False)
class Outlet:
    """One listener.  wrap: puts an event into its frame.  only: events it wants, all if empty."""

    socket: Socket
    wrap: Callable[[dict[str, Any]], Any]
    only: frozenset[str] = frozenset()

    def send(self, event: dict[str, Any]) -> None:
        """Queue an event, if it is wanted."""
        if not self.only or event["e"] in self.only:
            self.socket.send(self.wrap(event), stream_word(event))


def stream_word(event: dict[str, Any]) -> str:
    """What fault scripts call an event."""
    body = event["o"] if event["e"] == "ORDER_TRADE_UPDATE" else event
    if body.get("x") == "TRADE":
        return "fill"
    return STREAM_WORDS.get(event["e"], "account")


@dataclass(slots=True)
class ListenKey:
    """A futures account's key to its private stream."""

    account: Account
    key: str
    until_ns: int
    outlets: set[Outlet] = field(default_factory=set)


class ListenKeys:
    """The live listen keys, one an account."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._live: dict[str, ListenKey] = {}  # by key
        self._n = 0

    def open(self, account: Account, now_ns: int) -> str:
        """The account's key, made or extended."""
        held = self._of(account)
        if held is None:
            self._n += 1
            seed = f"{self.desk.box.options.seed} {account.name} {self._n}"
            digest = hashlib.blake2b(seed.encode(), digest_size=32).hexdigest()
            held = self._live[digest] = ListenKey(account, digest, 0)
        held.until_ns = now_ns + self._life_ns
        return held.key

    def extend(self, account: Account, now_ns: int) -> str:
        """The account's key, extended; Refused -1125 where it has none."""
        held = self._of(account)
        if held is None:
            raise Refused(-1125)
        held.until_ns = now_ns + self._life_ns
        return held.key

    def close(self, account: Account) -> None:
        """End the account's key; its streams fall silent."""
        held = self._of(account)
        if held is not None:
            del self._live[held.key]

    def get(self, key: str) -> ListenKey | None:
        return self._live.get(key)

    def outlets(self, account: Account) -> Iterable[Outlet]:
        """Who listens to an account."""
        held = self._of(account)
        return tuple(held.outlets) if held is not None else ()

    def expire(self, now_ns: int) -> None:
        """End keys whose time is over, and tell their listeners so."""
        for held in [each for each in self._live.values() if each.until_ns <= now_ns]:
            del self._live[held.key]
            event = {"e": "listenKeyExpired", "E": self.desk.now_ms, "listenKey": held.key}
            for outlet in held.outlets:
                outlet.send(event)

    @property
    def _life_ns(self) -> int:
        return round(self.desk.box.options.listen_key_s * 1e9)

    def _of(self, account: Account) -> ListenKey | None:
        return next((each for each in self._live.values() if each.account is account), None)


def done(order: Order, execution: str, fill: Fill | None) -> tuple[int, int]:
    """Units and quanta filled as of this event; an order may have come further since."""
    if execution == "NEW":
        return 0, 0
    if fill is None or fill is order.fills[-1]:
        return order.filled, order.value
    upto = order.fills[: order.fills.index(fill) + 1]
    return sum(each.qty for each in upto), sum(each.value for each in upto)


def state_word(order: Order, execution: str, filled: int, *, fresh: bool = False) -> str:
    """The order's state as of this event."""
    if fresh or execution == "NEW":
        return "NEW"
    if execution in {"TRADE", "AMENDMENT"}:
        return "FILLED" if filled == order.qty else "PARTIALLY_FILLED" if filled else "NEW"
    return status_word(order)


class Moves:
    """By how much balances of one product have changed since they were asked for last."""

    def __init__(self, desk: Desk) -> None:
        self._wallet = desk.wallet
        self._last = {each: dict(each.wallets[desk.wallet].balances) for each in desk.accounts()}

    def of(self, account: Account) -> dict[str, int]:
        """Asset -> quanta, of those that have changed."""
        last, held = self._last[account], account.wallets[self._wallet].balances
        moved = {
            asset: quanta - last.get(asset, 0)
            for asset, quanta in held.items()
            if quanta != last.get(asset, 0)
        }
        last.update(held)
        return moved


class UsdmEvents:
    """The private stream of futures accounts."""

    def __init__(self, desk: Desk, keys: ListenKeys) -> None:
        self.desk = desk
        self.keys = keys
        self._moves = Moves(desk)
        self._multi: dict[Account, bool] = {}  # accounts whose collateral mode was told

    def hear(self, event: Event) -> None:
        """Tell the account of a change of the exchange's."""
        if isinstance(event, OrderEvent):
            if event.order.floor in self.desk.by_floor:
                self._order(event)
        elif isinstance(event, AccountEvent) and self.desk.wallet in event.account.wallets:
            self._account(event)

    def _tell(self, account: Account, events: Iterable[dict[str, Any]]) -> None:
        outlets = self.keys.outlets(account)
        if not outlets:
            return
        for event in events:
            for outlet in outlets:
                outlet.send(event)

    def _order(self, event: OrderEvent) -> None:
        order, fill = event.order, event.fill
        if not self.keys.outlets(order.account):
            return
        if event.what == "rejected":
            if hidden(self.desk, order):
                return
            updates = [
                self._update(order, "NEW", None, event.ts_ns, fresh=True),
                self._update(order, "EXPIRED", None, event.ts_ns),
            ]
        else:
            updates = [self._update(order, EXECUTIONS[event.what], fill, event.ts_ns)]
        if fill is not None:
            updates.insert(0, self._lite(order, fill, event.ts_ns))
        self._tell(order.account, updates)

    def _lite(self, order: Order, fill: Fill, ts_ns: int) -> dict[str, Any]:
        terms = self.desk.by_floor[order.floor]
        return {
            "e": "TRADE_LITE",
            "E": self.desk.now_ms,
            "T": self.desk.shown_ms(ts_ns),
            "s": terms.symbol,
            "q": terms.qty(order.qty),
            "p": terms.price(order.tick),
            "m": fill.maker,
            "c": order.client_id,
            "S": SIDE_WORDS[order.side],
            "L": terms.price(fill.tick),
            "l": terms.qty(fill.qty),
            "t": fill.trade_id,
            "i": order.id,
        }

    def _update(
        self, order: Order, execution: str, fill: Fill | None, ts_ns: int, *, fresh: bool = False
    ) -> dict[str, Any]:
        """One ORDER_TRADE_UPDATE; fresh: of an order as it was accepted."""
        terms, asked = self.desk.by_floor[order.floor], words(order)
        position = order.account.position(order.floor)
        filled, value = done(order, execution, fill)
        status = state_word(order, execution, filled, fresh=fresh)
        body: dict[str, Any] = {
            "s": terms.symbol,
            "c": order.client_id,
            "S": SIDE_WORDS[order.side],
            "o": "LIQUIDATION" if "liquidation" in asked else asked["type"],
            "f": asked["tif"],
            "q": terms.qty(order.qty),
            "p": terms.price(order.tick),
            "ap": fixed(terms.average(value, filled), terms.price_decimals),
            "sp": "0",
            "x": execution,
            "X": status,
            "i": order.id,
            "l": terms.qty(fill.qty if fill else 0),
            "z": terms.qty(filled),
            "L": terms.price(fill.tick) if fill else "0",
        }
        if fill is not None:
            body |= {"n": money_text(fill.fee), "N": fill.fee_asset}
        return {
            "e": "ORDER_TRADE_UPDATE",
            "E": self.desk.now_ms,
            "T": self.desk.shown_ms(ts_ns),
            "o": body
            | {
                "T": self.desk.shown_ms(ts_ns),
                "t": fill.trade_id if fill else 0,
                "b": money_text(position.asked[1], 5),
                "a": money_text(position.asked[-1], 5),
                "m": fill.maker if fill else False,
                "R": order.reduce_only,
                "wt": "CONTRACT_PRICE",
                "ot": asked["type"],
                "ps": "BOTH",
                "cp": False,
                "rp": money_text(fill.realised if fill else 0),
                "pP": False,
                "si": 0,
                "ss": 0,
                "V": asked["stp"],
                "pm": asked["match"],
                "gtd": asked.get("gtd", 0),
                "er": EXPIRY_REASONS.get(order.ending, "0") if execution == "EXPIRED" else "0",
            },
        }

    def _account(self, event: AccountEvent) -> None:
        account = event.account
        if event.why == "config":
            self._tell(account, self._settings(account, self._mine(event)))
            return
        if event.why == "order":
            return  # neither a balance nor a position has changed
        mine, moved = self._mine(event), self._moves.of(account)
        traded = event.why in {"fill", "liquidation"} and bool(mine)
        if not traded and not moved:
            return  # another wallet's matter
        held = account.wallets[self.desk.wallet].balances
        balances = [
            {
                "a": asset,
                "wb": money_text(held.get(asset, 0)),
                "cw": money_text(held.get(asset, 0)),
                "bc": "0" if traded else money_text(moved[asset]),
            }
            for asset in ([account.settle(self.desk.wallet)] if traded else moved)
        ]
        positions = [self._position(account, each) for each in mine] if traded else []
        reason = "ORDER" if traded else UPDATE_REASONS.get(event.why, "ADJUSTMENT")
        update = {"m": reason, "B": balances, "P": positions}
        head = {"e": "ACCOUNT_UPDATE", "E": self.desk.now_ms}
        self._tell(account, [{**head, "T": self.desk.shown_ms(event.ts_ns), "a": update}])

    def _mine(self, event: AccountEvent) -> list[Terms]:
        return [self.desk.by_floor[f] for f in event.floors if f in self.desk.by_floor]

    def _position(self, account: Account, terms: Terms) -> dict[str, Any]:
        position = account.position(terms.floor)
        entry = fixed(position.entry, 8)
        return {
            "s": terms.symbol,
            "pa": terms.qty(position.qty),
            "ep": entry,
            "bep": entry,
            "cr": money_text(position.realised),
            "up": money_text(position.unrealised),
            "mt": position.margin_mode,
            "iw": "0",
            "ps": "BOTH",
            "ma": terms.instrument.quote,
        }

    def _leverage(self, account: Account, terms: Terms) -> dict[str, Any]:
        now = self.desk.now_ms
        setting = {"s": terms.symbol, "l": account.position(terms.floor).leverage}
        return {"e": "ACCOUNT_CONFIG_UPDATE", "E": now, "T": now, "ac": setting}

    def _settings(self, account: Account, terms: list[Terms]) -> list[dict[str, Any]]:
        """The leverage of instruments, or the collateral mode if that is what has changed."""
        if terms:
            return [self._leverage(account, each) for each in terms]
        if self._multi.get(account, False) == account.multi_assets:
            return []  # another venue-wide setting, which the stream does not tell
        self._multi[account] = account.multi_assets
        now = self.desk.now_ms
        setting = {"j": account.multi_assets}
        return [{"e": "ACCOUNT_CONFIG_UPDATE", "E": now, "T": now, "ai": setting}]


class SpotEvents:
    """User data of spot accounts, on the request sockets that subscribed to it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.outlets: dict[Account, set[Outlet]] = {}
        self._moves = Moves(desk)

    def hear(self, event: Event) -> None:
        """Tell the account of a change of the exchange's."""
        if isinstance(event, OrderEvent):
            if event.order.floor in self.desk.by_floor:
                self._order(event)
        elif isinstance(event, AccountEvent) and self.desk.wallet in event.account.wallets:
            self._account(event)

    def _tell(self, account: Account, event: dict[str, Any]) -> None:
        for outlet in tuple(self.outlets.get(account, ())):
            outlet.send(event)

    def _order(self, event: OrderEvent) -> None:
        order = event.order
        if event.what == "rejected":
            return  # refused at once: there is no order to tell of
        if event.what == "fill" and event.fill is order.fills[0]:
            self.desk.give_order_back(order.account, event.ts_ns)
        if self.outlets.get(order.account):
            self._tell(order.account, self._report(event))

    def _report(self, event: OrderEvent) -> dict[str, Any]:
        order, fill = event.order, event.fill
        terms, asked = self.desk.by_floor[order.floor], words(order)
        execution = EXECUTIONS[event.what]
        name, original = order.client_id, ""
        if event.what == "amended":
            execution, original = "REPLACED", order.client_id
            name = asked.get("amend_id", order.client_id)
        elif event.what == "canceled" and "cancel_id" in asked:
            name, original = asked["cancel_id"], order.client_id
        elif order.ending is Ending.SELF_TRADE:
            execution = "TRADE_PREVENTION"
        stamp = self.desk.shown_ms(event.ts_ns)
        filled, value = done(order, EXECUTIONS[event.what], fill)
        return {
            "e": "executionReport",
            "E": self.desk.now_ms,
            "s": terms.symbol,
            "c": name,
            "S": SIDE_WORDS[order.side],
            "o": asked["type"],
            "f": asked["tif"],
            "q": terms.qty(order.qty),
            "p": terms.price(order.tick),
            "P": "0.00000000",
            "F": "0.00000000",
            "g": -1,
            "C": original,
            "x": execution,
            "X": state_word(order, EXECUTIONS[event.what], filled),
            "r": "NONE",
            "i": order.id,
            "l": terms.qty(fill.qty if fill else 0),
            "z": terms.qty(filled),
            "L": terms.price(fill.tick if fill else 0),
            "n": money_text(fill.fee) if fill else "0",
            "N": fill.fee_asset if fill else None,
            "T": stamp,
            "t": fill.trade_id if fill else -1,
            "v": 0,
            "I": order.id,
            "w": order.open,
            "m": fill.maker if fill else False,
            "M": False,
            "O": self.desk.shown_ms(order.created_ns),
            "Z": money_text(value),
            "Y": fixed(terms.value(fill.tick, fill.qty) if fill else Decimal(0), 8),
            "Q": fixed(asked.get("quote", Decimal(0)), 8),
            "W": self.desk.shown_ms(order.created_ns),
            "V": asked["stp"],
        }

    def _account(self, event: AccountEvent) -> None:
        account = event.account
        wallet = account.wallets[self.desk.wallet]
        spot = [floor for floor in event.floors if floor in self.desk.by_floor]
        if event.floors and not spot:
            return  # a futures matter
        stamp, moved = self.desk.shown_ms(event.ts_ns), self._moves.of(account)
        if event.why == "transfer":
            for asset, quanta in moved.items():
                head = {"e": "balanceUpdate", "E": self.desk.now_ms}
                self._tell(account, {**head, "a": asset, "d": money_text(quanta), "T": stamp})
            if not moved:
                return  # another wallet's
        balances = [
            {
                "a": asset,
                "f": money_text(wallet.free(asset)),
                "l": money_text(wallet.locked.get(asset, 0)),
            }
            for asset in event.assets
            if asset in wallet.balances
        ]
        if balances and event.why != "config":
            head = {"e": "outboundAccountPosition", "E": self.desk.now_ms}
            self._tell(account, {**head, "u": stamp, "B": balances})


__all__ = ["ListenKey", "ListenKeys", "Outlet", "SpotEvents", "UsdmEvents"]
