"""Bybit's private lists: orders, executions, positions, transactions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from .accounts import HISTORY, Account, Payment
from .bybit_codes import LINEAR, SPOT, bad
from .bybit_desk import Answer, Desk, Params
from .bybit_market import Market, count
from .bybit_tell import (
    FUNDING_DECIMALS,
    RATE_DECIMALS,
    execution,
    funding,
    order_message,
    position_row,
    stamp,
    status,
)
from .bybit_words import (
    EMPTY_CATEGORIES,
    NS_PER_MS,
    SIDE_NAMES,
    decimal,
    exec_id,
    money,
    order_id,
    order_number,
)
from .floor import Floor
from .orders import AccountEvent, Event, Fill, Order, OrderEvent

WEEK_MS = 7 * 24 * 3600 * 1000
RECENT_MAX = 500  # closed orders that ``realtime`` still knows
FOREVER_MS = 10**15

Row = dict[str, Any]
T = TypeVar("T")


class Books:
    """What an account asks about its own orders and money.

    rejected: how an order is called that was acknowledged and then refused.
    """

    def __init__(self, desk: Desk, market: Market, rejected: str = "Cancelled") -> None:
        self.desk = desk
        self.market = market
        self.rejected = rejected
        self._log: dict[str, deque[Row]] = {}
        self._written = 0
        self._paid: dict[str, int] = {}
        desk.exchange.listeners.append(self.hear)
        self.routes: Mapping[str, Callable[[Account, Params], Answer]] = {
            "/v5/order/realtime": self.realtime,
            "/v5/order/history": self.history,
            "/v5/execution/list": self.executions,
            "/v5/position/list": self.positions,
            "/v5/account/transaction-log": self.transactions,
        }

    @property
    def shift_ns(self) -> int:
        """How far the shown clock stands from the one that stamps what happens."""
        return self.market.clock.offset_ns

    # -- orders

    def order_row(self, order: Order) -> Row:
        """An order as these lists have it."""
        listed = self.desk.by_floor[order.floor].listed
        return order_message(order, listed, self.rejected, self.shift_ns)

    def realtime(self, account: Account, params: Params) -> Answer:
        """``/v5/order/realtime``: open orders; closed ones by id, or the last 500."""
        category = _listed(params)
        if category in EMPTY_CATEGORIES:
            return _page(category, [], "")
        named = _names(params)
        if category == LINEAR and not named:
            self.desk.selected(category, params)  # one of symbol and coins is needed
        floors = self._floors(category, params)
        only = count(params, "openOnly", 0, 2)
        orders: list[Order] = []
        if not only or named:
            orders += [order for order in account.orders() if order.floor in floors]
        if only or named:
            orders += _closed(account, floors)[-RECENT_MAX:]
        return self._orders(category, orders, params)

    def history(self, account: Account, params: Params) -> Answer:
        """``/v5/order/history``: orders that are over, newest first."""
        category = _listed(params)
        if category in EMPTY_CATEGORIES:
            return _page(category, [], "")
        begin, until = _span(params)
        floors = self._floors(category, params)
        orders = [
            order
            for order in _closed(account, floors)
            if begin <= (order.created_ns + self.shift_ns) // NS_PER_MS <= until
        ]
        return self._orders(category, orders, params)

    def _orders(self, category: str, orders: Iterable[Order], params: Params) -> Answer:
        number = order_number(category, params.get("orderId")) if params.get("orderId") else None
        link, wanted = params.get("orderLinkId"), params.get("orderStatus")
        found = sorted(orders, key=lambda order: order.id, reverse=True)
        if params.get("orderId"):
            found = [order for order in found if order.id == number]
        elif link:
            found = [order for order in found if order.client_id == link]
        if wanted:
            found = [order for order in found if status(order, self.rejected) == wanted]
        page, cursor = _cut(found, params, lambda order: order.id, most=50, default=20)
        return _page(category, [self.order_row(order) for order in page], cursor)

    # -- executions

    def executions(self, account: Account, params: Params) -> Answer:
        """``/v5/execution/list``: trades and funding, newest first, within seven days."""
        category = _listed(params)
        if category in EMPTY_CATEGORIES:
            return _page(category, [], "")
        begin, until = _span(params)
        if until - begin > WEEK_MS and params.get("startTime") and params.get("endTime"):
            raise bad("The time range between startTime and endTime cannot exceed 7 days")
        kind = params.get("execType") or ""
        floors = self._floors(category, params)
        number = order_number(category, params.get("orderId")) if params.get("orderId") else None
        link = params.get("orderLinkId")
        events: list[Fill | Payment] = []
        if kind in {"", "Trade"}:
            events += [fill for fill in account.fills if fill.order.floor in floors]
        if kind in {"", "Funding"} and not _names(params):
            events += [paid for paid in account.payments if paid.floor in floors]
        if params.get("orderId"):
            events = [e for e in events if isinstance(e, Fill) and e.order.id == number]
        elif link:
            events = [e for e in events if isinstance(e, Fill) and e.order.client_id == link]
        shift_ns = self.shift_ns
        events = [e for e in events if begin <= (e.ts_ns + shift_ns) // NS_PER_MS <= until]
        events.sort(key=_event_key, reverse=True)
        page, cursor = _cut(events, params, _event_key, most=100, default=50)
        return _page(category, [self.execution_row(each) for each in page], cursor)

    def execution_row(self, event: Fill | Payment) -> Row:
        """A fill or a funding payment as these lists have it."""
        if isinstance(event, Payment):
            listed = self.desk.by_floor[event.floor].listed
            return funding(event, listed, self.market.seq_of(event.floor), self.shift_ns)
        floor = event.order.floor
        listed = self.desk.by_floor[floor].listed
        count = self.market.seq_of(floor, event.trade_id)
        return execution(event, listed, count, self.shift_ns)

    # -- positions

    def positions(self, account: Account, params: Params) -> Answer:
        """``/v5/position/list``: a symbol's, flat or not, or all that are held in a coin."""
        category = _listed(params)
        if category in {*EMPTY_CATEGORIES, SPOT}:
            if category == SPOT:
                raise bad("category only support linear or option")
            return _page(category, [], "")
        floors = self.desk.selected(category, params)
        rows = []
        for place in self.desk.of(category):
            floor = place.floor
            if floor not in floors:
                continue
            if not params.get("symbol") and not account.position(floor).qty:
                continue
            number = self.market.seq_of(floor)
            rows.append(position_row(account, floor, place.listed, number, self.shift_ns))
        return _page(category, rows, "")

    # -- transactions

    def hear(self, event: Event) -> None:
        """Write down what changed balances, with the balance it left."""
        if isinstance(event, AccountEvent) and event.why == "funding":
            for payment in unseen(event.account, self._paid):
                if payment.floor in self.desk.by_floor:
                    self._pay(event.account, payment)
        if not isinstance(event, OrderEvent) or event.fill is None:
            return
        floor = event.order.floor
        if floor in self.desk.by_floor:
            account, fill = event.order.account, event.fill
            for row in self._of_fill(account, fill):
                self._write(account, row)

    def _pay(self, account: Account, payment: Payment) -> None:
        listed = self.desk.by_floor[payment.floor].listed
        asset = payment.floor.instrument.settle
        row = self._row(account, payment.floor, asset, payment.ts_ns)
        row |= {
            "id": f"{account.name}_{payment.floor.symbol}_{payment.id}",
            "side": SIDE_NAMES[1 if payment.qty > 0 else -1],
            "type": "SETTLEMENT",
            "qty": listed.qty(abs(payment.qty)),
            "size": listed.qty(payment.qty),
            "funding": money(payment.quanta),
            "change": money(payment.quanta),
            "feeRate": decimal(payment.rate, FUNDING_DECIMALS),
            "tradePrice": money(payment.mark),
            "tradeId": exec_id(LINEAR, 1000 + payment.floor.index, payment.id),
        }
        self._write(account, row)

    def _row(self, account: Account, floor: Floor, asset: str, ts_ns: int) -> Row:
        balance = account.wallet(floor).balances.get(asset, 0)
        return {
            "symbol": floor.symbol,
            "category": self.desk.by_floor[floor].category,
            "side": "",
            "transactionTime": stamp(ts_ns + self.shift_ns),
            "type": "TRADE",
            "qty": "",
            "size": "",
            "currency": asset,
            "tradePrice": "",
            "funding": "",
            "fee": "0",
            "cashFlow": "0",
            "change": "0",
            "cashBalance": money(balance),
            "feeRate": "0",
            "bonusChange": "",
            "tradeId": "",
            "orderId": "",
            "orderLinkId": "",
        }

    def _of_fill(self, account: Account, fill: Fill) -> list[Row]:
        """One row for each asset that a fill moved."""
        order, floor = fill.order, fill.order.floor
        place = self.desk.by_floor[floor]
        item, listed = floor.instrument, place.listed
        moved: dict[str, int] = {}
        if floor.spot:
            moved[item.base] = order.side * round(floor.quanta_per_qty(fill.qty))
            moved[item.quote] = -order.side * fill.value
        else:
            moved[item.settle] = fill.realised
        rates = account.fee_rates[floor]
        rows = []
        for asset, flow in moved.items():
            fee = fill.fee if asset == fill.fee_asset else 0
            row = self._row(account, floor, asset, fill.ts_ns)
            row |= {
                "id": f"{account.name}_{floor.symbol}_{fill.trade_id}",
                "side": SIDE_NAMES[order.side],
                "qty": listed.qty(fill.qty),
                "size": "0" if floor.spot else listed.qty(fill.position_after),
                "tradePrice": listed.price(fill.tick),
                "fee": money(fee),
                "cashFlow": money(flow),
                "change": money(flow - fee),
                "feeRate": decimal(rates[0 if fill.maker else 1], RATE_DECIMALS),
                "tradeId": exec_id(place.category, floor.index, fill.trade_id),
                "orderId": order_id(place.category, order.id),
                "orderLinkId": order.client_id,
            }
            rows.append(row)
        return rows

    def _write(self, account: Account, row: Row) -> None:
        self._written += 1
        rows = self._log.setdefault(account.name, deque(maxlen=HISTORY))
        rows.append({**row, "n": self._written})

    def transactions(self, account: Account, params: Params) -> Answer:
        """``/v5/account/transaction-log``: newest first."""
        begin, until = _span(params)
        wanted = {
            name: params[field]
            for field, name in (
                ("category", "category"), ("currency", "currency"), ("type", "type"),
            )
            if params.get(field)
        }  # fmt: skip
        rows = [
            row
            for row in reversed(self._log.get(account.name, ()))
            if begin <= int(row["transactionTime"]) <= until
            and all(row[name] == value for name, value in wanted.items())
        ]
        page, cursor = _cut(rows, params, lambda row: int(row["n"]), most=50, default=20)
        shown = [{name: value for name, value in row.items() if name != "n"} for row in page]
        return {"list": shown, "nextPageCursor": cursor}

    def _floors(self, category: str, params: Params) -> set[Floor]:
        """Those of symbol and coins, all of the category where none is named."""
        if category == LINEAR and not any(
            params.get(key) for key in ("symbol", "baseCoin", "settleCoin")
        ):
            return {place.floor for place in self.desk.of(category)}
        return self.desk.selected(category, params)


def unseen(account: Account, last: dict[str, int]) -> list[Payment]:
    """Funding payments after the one that ``last`` has of the account, oldest first."""
    after = last.get(account.name, 0)
    fresh = [payment for payment in account.payments if payment.id > after]
    if fresh:
        last[account.name] = fresh[-1].id
    return fresh


def _event_key(event: Fill | Payment) -> int:
    """By time, then by number; no two events of an account share it."""
    if isinstance(event, Fill):
        number, kind = event.trade_id, event.order.floor.index << 1
    else:
        number, kind = event.id, event.floor.index << 1 | 1
    return event.ts_ns << 48 | (number & 0xFFFFFFFF) << 16 | kind


def _closed(account: Account, floors: set[Floor]) -> list[Order]:
    return [order for order in account.history if order.floor in floors]


def _names(params: Params) -> bool:
    return bool(params.get("orderId") or params.get("orderLinkId"))


def _listed(params: Params) -> str:
    category = params.get("category")
    if not isinstance(category, str) or category not in {LINEAR, SPOT, *EMPTY_CATEGORIES}:
        raise bad("Illegal category")
    return category


def _span(params: Params) -> tuple[int, int]:
    begin = count(params, "startTime", 0, FOREVER_MS)
    return begin, count(params, "endTime", FOREVER_MS, FOREVER_MS)


def _page(category: str, rows: list[Row], cursor: str) -> Answer:
    return {"category": category, "list": rows, "nextPageCursor": cursor}


def _cut(
    found: Sequence[T], params: Params, key: Callable[[T], int], *, most: int, default: int
) -> tuple[list[T], str]:
    """One page of what was found, newest first, and the cursor of the next, "" at the end."""
    limit = count(params, "limit", default, most)
    cursor = params.get("cursor") or ""
    if cursor:
        head, _, number = str(cursor).partition("%3D")
        if not number:
            head, _, number = str(cursor).partition("=")
        if head != "page_token" or not number.isascii() or not number.isdigit():
            raise bad("cursor invalid")
        found = [each for each in found if key(each) < int(number[:40])]
    page = list(found[:limit])
    more = len(found) > limit
    return page, f"page_token%3D{key(page[-1])}" if more else ""


__all__ = ["Books", "unseen"]
