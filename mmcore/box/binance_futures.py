"""Trading on USD-M futures: orders one by one, in batches, and all at once."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from mmcore.events import TimeInForce

from . import checks
from .accounts import Account
from .binance_access import Access
from .binance_desk import Ask, Desk, Route
from .binance_market import either, limit_of
from .binance_orders import (
    NEITHER,
    SIDES,
    find,
    find_open,
    hidden,
    read_limit,
    read_usdm,
    refused,
    usdm_answer,
    usdm_query,
)
from .binance_terms import USDM_AMENDS_MAX, Terms, fixed, money_text
from .binance_words import Params, Refused
from .orders import Ending, Fill, NewOrder, Order, Refusal, RefusalKind

BATCH_MAX = 5
CANCELS_MAX = 10
DAYS_MAX = 7.0
DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


class Futures:
    """Routes of orders and fills."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._dated: list[tuple[int, int, Order]] = []  # good-till-date orders, soonest first

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """(method, path) -> route."""
        trade, read = Access.TRADE, Access.READ
        one, many = (1, 1), (5, 1)  # orders counted, short and long window

        table: dict[tuple[str, str], Route] = {
            ("POST", "order"): Route(self.place, trade, 0, one, "order"),
            ("PUT", "order"): Route(self.amend, trade, 0, one, "amend"),
            ("DELETE", "order"): Route(self.cancel, trade, word="cancel"),
            ("GET", "order"): Route(self.query, read, word="query"),
            ("POST", "order/test"): Route(self.test, trade, word="order"),
            ("POST", "batchOrders"): Route(self.place_batch, trade, 5, many, "batch"),
            ("PUT", "batchOrders"): Route(self.amend_batch, trade, 5, many, "batch"),
            ("DELETE", "batchOrders"): Route(self.cancel_batch, trade, word="batch"),
            ("DELETE", "allOpenOrders"): Route(self.cancel_all, trade, word="cancel_all"),
            ("GET", "openOrders"): Route(self.open_orders, read, either(1, 40), word="open_orders"),
            ("GET", "openOrder"): Route(self.open_order, read, word="query"),
            ("GET", "allOrders"): Route(self.all_orders, read, 5, word="history"),
            ("GET", "userTrades"): Route(self.user_trades, read, 5, word="fills"),
            ("POST", "countdownCancelAll"): Route(self.countdown, trade, 10, word="countdown"),
        }
        return {(method, "/fapi/v1/" + name): route for (method, name), route in table.items()}

    def calls(self) -> Mapping[str, Route]:
        """Method of the request socket -> route."""
        routes = self.routes()
        path = "/fapi/v1/order"
        return {
            "order.place": routes["POST", path],
            "order.modify": routes["PUT", path],
            "order.cancel": routes["DELETE", path],
            "order.status": routes["GET", path],
        }

    # -- one order

    def place(self, ask: Ask) -> Any:
        return self._place(ask.who, ask.params, ask.now_ns)

    def test(self, ask: Ask) -> Any:
        """Reads an order, and leaves it at that."""
        read_usdm(self.desk, ask.who, ask.params)
        return {}

    def _place(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        wanted = read_usdm(self.desk, account, params)
        if wanted.new.tif is TimeInForce.FOK:
            self._whole(account, wanted.new, now_ns)
        try:
            order = self.desk.exchange.place(account, wanted.new, now_ns)
        except Refusal as refusal:
            late = self._accepted_late(refusal)
            if late is None:
                raise refused(self.desk, refusal, wanted.terms, wanted.new.side) from None
            return usdm_answer(self.desk, late, fresh=True)
        if "gtd" in order.extra and order.open:
            heapq.heappush(self._dated, (order.extra["gtd"], order.id, order))
        return usdm_answer(self.desk, order, fresh=wanted.response == "ACK")

    def _whole(self, account: Account, new: NewOrder, now_ns: int) -> None:
        """Refuse what could not be filled whole, so that there never was such an order."""
        self.desk.exchange.advance(now_ns)
        got, _ = checks.sweep(account, new.floor, new.side, new.tick, new.qty)
        if got < new.qty:
            raise Refused(-5021)

    def _accepted_late(self, refusal: Refusal) -> Order | None:
        """The order of a post-only refusal, where the venue says so on the stream only."""
        late = self.desk.box.options.late_post_only and refusal.kind is RefusalKind.POST_ONLY
        return refusal.order if late else None

    def amend(self, ask: Ask) -> Any:
        return self._amend(ask.who, ask.params, ask.now_ns)

    def _amend(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        desk = self.desk
        terms = params.symbol(desk.terms)
        side = params.word("side", SIDES, -1117)
        qty = terms.read_qty(params)
        order = find_open(desk, account, terms, params)
        if order.side != side:
            raise Refused(-1130, name="side")
        if order.amendments >= USDM_AMENDS_MAX:
            raise Refused(-5026)
        tick = read_limit(terms, params, order.side, order.extra)
        if order.filled > 0 and qty <= order.filled:
            desk.exchange.cancel(account, order, now_ns)
        else:
            try:
                desk.exchange.amend(account, order, tick=tick, qty=qty, now_ns=now_ns)
            except Refusal as refusal:
                raise refused(desk, refusal, terms, side) from None
        answer = usdm_answer(desk, order)
        if "modifyId" in params:
            answer["modifyId"] = params.integer("modifyId")
        return answer

    def cancel(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        order = find_open(self.desk, ask.who, terms, ask.params)
        return self._cancel(ask.who, order, ask.now_ns)

    def _cancel(self, account: Account, order: Order, now_ns: int) -> dict[str, Any]:
        try:
            self.desk.exchange.cancel(account, order, now_ns)
        except Refusal as refusal:
            raise refused(self.desk, refusal, self.desk.by_floor[order.floor]) from None
        return usdm_answer(self.desk, order)

    def query(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        return usdm_query(self.desk, find(self.desk, ask.who, terms, ask.params))

    # -- batches

    def place_batch(self, ask: Ask) -> Any:
        return self._each(ask, self._place)

    def amend_batch(self, ask: Ask) -> Any:
        return self._each(ask, self._amend)

    def _each(self, ask: Ask, call: Callable[[Account, Params, int], Any]) -> list[Any]:
        """One answer an item, in their order; one that fails leaves the others alone."""
        answers: list[Any] = []
        for item in read_batch(ask.params, "batchOrders", BATCH_MAX, (dict,)):
            try:
                answers.append(call(ask.who, Params.of_json(item), ask.now_ns))
            except Refused as problem:
                answers.append(problem.body)
        return answers

    def cancel_batch(self, ask: Ask) -> Any:
        params = ask.params
        terms = params.symbol(self.desk.terms)
        by_id = bool(params.text("orderIdList"))
        source = "orderIdList" if by_id else "origClientOrderIdList"
        if not params.text(source):
            raise Refused(-1102, NEITHER.format("orderIdList", "origClientOrderIdList"))
        name = "orderId" if by_id else "origClientOrderId"
        answers: list[Any] = []
        for item in read_batch(params, source, CANCELS_MAX, (int, str) if by_id else (str,)):
            try:
                chosen = Params([(name, str(item))])
                order = find_open(self.desk, ask.who, terms, chosen)
                answers.append(self._cancel(ask.who, order, ask.now_ns))
            except Refused as problem:
                answers.append(problem.body)
        return answers

    # -- all at once

    def cancel_all(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        self.desk.exchange.cancel_all(ask.who, terms.floor, ask.now_ns)
        return DONE

    def countdown(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        ms = ask.params.need_integer("countdownTime")
        if ms > 10 * 86_400_000:
            raise Refused(-1130, name="countdownTime")
        at_ns = ask.now_ns + ms * 1_000_000 if ms else None
        self.desk.exchange.countdown(ask.who, terms.floor, at_ns, ask.now_ns)
        return {"symbol": terms.symbol, "countdownTime": str(ms)}

    def expire(self, now_ms: int, now_ns: int) -> None:
        """Cancel good-till-date orders whose date has come."""
        while self._dated and self._dated[0][0] <= now_ms:
            _, _, order = heapq.heappop(self._dated)
            if order.open:
                self.desk.exchange.cancel(order.account, order, now_ns, Ending.COUNTDOWN)

    # -- what was, and what is

    def open_orders(self, ask: Ask) -> Any:
        floor = ask.params.symbol(self.desk.terms).floor if ask.params.text("symbol") else None
        return [usdm_query(self.desk, each) for each in self.desk.orders(ask.who, floor)]

    def open_order(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        order = find(self.desk, ask.who, terms, ask.params)
        if not order.open:
            raise Refused(-2013)
        return usdm_query(self.desk, order)

    def all_orders(self, ask: Ask) -> Any:
        found = order_history(self.desk, ask, DAYS_MAX, Refused(-4165, days=7))
        return [usdm_query(self.desk, each) for each in found]

    def user_trades(self, ask: Ask) -> Any:
        terms, found = fill_history(self.desk, ask)
        return [self._fill(terms, each) for each in found]

    def _fill(self, terms: Terms, fill: Fill) -> dict[str, Any]:
        return {
            "symbol": terms.symbol,
            "id": fill.trade_id,
            "orderId": fill.order.id,
            "side": "BUY" if fill.order.side > 0 else "SELL",
            "price": terms.price(fill.tick),
            "qty": terms.qty(fill.qty),
            "quoteQty": fixed(terms.value(fill.tick, fill.qty), 8),
            "realizedPnl": money_text(fill.realised),
            "commission": money_text(fill.fee),
            "commissionAsset": fill.fee_asset,
            "marginAsset": terms.instrument.quote,
            "positionSide": "BOTH",
            "maker": fill.maker,
            "buyer": fill.order.side > 0,
            "time": self.desk.shown_ms(fill.ts_ns),
        }


def read_batch(params: Params, name: str, most: int, kinds: tuple[type, ...]) -> list[Any]:
    """The JSON list that one parameter holds: one to ``most`` items of these kinds."""
    try:
        items = orjson.loads(params.need(name).encode("utf-8", "surrogateescape"))
    except orjson.JSONDecodeError:
        raise Refused(-1130, name=name) from None
    if not isinstance(items, list):
        raise Refused(-1130, name=name)
    if not 1 <= len(items) <= most:
        raise Refused(-4082)
    if not all(type(item) in kinds for item in items):
        raise Refused(-1130, name=name)
    return items


def order_history(desk: Desk, ask: Ask, days_max: float, too_long: Refused) -> list[Order]:
    """Orders of one symbol, oldest first, by number or by time; at most so many days."""
    terms = ask.params.symbol(desk.terms)
    start, end = ask.params.span_ms(days_max, too_long)
    since = ask.params.integer("orderId")
    found = [
        each
        for each in [*ask.who.history, *ask.who.orders(terms.floor)]
        if each.floor is terms.floor
        and not hidden(desk, each)
        and (since is None or each.id >= since)
        and start <= desk.shown_ms(each.created_ns) <= end
    ]
    found.sort(key=lambda each: each.id)
    limit = limit_of(ask.params)
    return found[:limit] if since is not None or start else found[-limit:]


def fill_history(desk: Desk, ask: Ask) -> tuple[Terms, list[Fill]]:
    """Fills of one symbol, oldest first, by number or by time."""
    params = ask.params
    terms = params.symbol(desk.terms)
    since = params.integer("fromId")
    if since is not None and ("startTime" in params or "endTime" in params):
        raise Refused(-1128)
    start, end = params.span_ms(DAYS_MAX, Refused(-4165, days=7))
    order_id = params.integer("orderId")
    found = [
        each
        for each in ask.who.fills
        if each.order.floor is terms.floor
        and (since is None or each.trade_id >= since)
        and (order_id is None or each.order.id == order_id)
        and start <= desk.shown_ms(each.ts_ns) <= end
    ]
    limit = limit_of(params)
    return terms, found[:limit] if since is not None or start else found[-limit:]


__all__ = ["Futures", "fill_history", "order_history", "read_batch"]
