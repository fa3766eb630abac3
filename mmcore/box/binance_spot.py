"""Trading on Binance spot, and the spot account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .accounts import Account
from .binance_access import Access
from .binance_desk import Ask, Desk, Route
from .binance_futures import order_history
from .binance_market import either, limit_of
from .binance_orders import (
    SIDE_WORDS,
    Wanted,
    find,
    find_open,
    read_spot,
    refused,
    spot_answer,
    spot_cancelled,
    spot_query,
    words,
)
from .binance_terms import SPOT_AMENDS_MAX, Terms, fixed, money_text
from .binance_words import SPOT_DUPLICATE, Params, Refused
from .orders import Fill, Order, Refusal

DAYS_MAX = 1.0
REPLACE_MODES = {word: word for word in ("STOP_ON_FAILURE", "ALLOW_FAILURE")}
REPLACE_PARTLY, REPLACE_FAILED = -2021, -2022
NO_INCREASE = "Order amend (quantity increase) is not supported."
NO_COMMISSION = {"maker": "0.00000000", "taker": "0.00000000"} | {
    "buyer": "0.00000000", "seller": "0.00000000",
}  # fmt: skip


class Spot:
    """Routes of orders, fills and balances."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """(method, path) -> route."""
        trade, read = Access.TRADE, Access.READ
        one = (1, 1)  # orders counted, short and long window

        def fills(p: Params) -> int:
            return 5 if p.text("orderId") else 20

        table: dict[tuple[str, str], Route] = {
            ("POST", "order"): Route(self.place, trade, 1, one, "order"),
            ("POST", "order/test"): Route(self.test, trade, word="order"),
            ("DELETE", "order"): Route(self.cancel, trade, word="cancel"),
            ("GET", "order"): Route(self.query, read, 4, word="query"),
            ("POST", "order/cancelReplace"): Route(self.replace, trade, 1, one, "replace"),
            ("PUT", "order/amend/keepPriority"): Route(self.amend, trade, 4, word="amend"),
            ("GET", "openOrders"): Route(self.open_orders, read, either(6, 80), word="open_orders"),
            ("DELETE", "openOrders"): Route(self.cancel_all, trade, word="cancel_all"),
            ("GET", "allOrders"): Route(self.all_orders, read, 20, word="history"),
            ("GET", "account"): Route(self.account, read, 20, word="balance"),
            ("GET", "account/commission"): Route(self.commission, read, 20, word="fees"),
            ("GET", "myTrades"): Route(self.my_trades, read, fills, word="fills"),
            ("GET", "rateLimit/order"): Route(self.order_limits, read, 40, word="limits"),
        }
        return {(method, "/api/v3/" + name): route for (method, name), route in table.items()}

    def calls(self) -> Mapping[str, Route]:
        """Method of the request socket -> route."""
        routes = self.routes()
        names = {
            "order.place": ("POST", "order"),
            "order.test": ("POST", "order/test"),
            "order.cancel": ("DELETE", "order"),
            "order.status": ("GET", "order"),
            "order.cancelReplace": ("POST", "order/cancelReplace"),
            "order.amend.keepPriority": ("PUT", "order/amend/keepPriority"),
            "openOrders.status": ("GET", "openOrders"),
            "openOrders.cancelAll": ("DELETE", "openOrders"),
            "allOrders": ("GET", "allOrders"),
            "account.status": ("GET", "account"),
            "account.commission": ("GET", "account/commission"),
            "account.rateLimits.orders": ("GET", "rateLimit/order"),
            "myTrades": ("GET", "myTrades"),
        }
        return {name: routes[method, "/api/v3/" + path] for name, (method, path) in names.items()}

    # -- orders

    def place(self, ask: Ask) -> Any:
        return self._place(ask, read_spot(self.desk, ask.who, ask.params))

    def _place(self, ask: Ask, wanted: Wanted) -> dict[str, Any]:
        try:
            order = self.desk.exchange.place(ask.who, wanted.new, ask.now_ns)
        except Refusal as refusal:
            raise refused(self.desk, refusal, wanted.terms) from None
        return spot_answer(self.desk, order, wanted.response)

    def test(self, ask: Ask) -> Any:
        wanted = read_spot(self.desk, ask.who, ask.params)
        if not ask.params.flag("computeCommissionRates"):
            return {}
        return self._commission(ask.who, wanted.terms)

    def cancel(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        order = find_open(self.desk, ask.who, terms, ask.params)
        return self._cancel(ask, order, ask.params.client_id("newClientOrderId"))

    def _cancel(self, ask: Ask, order: Order, cancel_id: str = "") -> dict[str, Any]:
        order.extra["cancel_id"] = cancel_id or self.desk.fresh_id()
        try:
            self.desk.exchange.cancel(ask.who, order, ask.now_ns)
        except Refusal as refusal:
            raise refused(self.desk, refusal, self.desk.by_floor[order.floor]) from None
        return spot_cancelled(self.desk, order, order.extra["cancel_id"])

    def query(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        return spot_query(self.desk, find(self.desk, ask.who, terms, ask.params))

    def replace(self, ask: Ask) -> Any:
        """Cancel one order, then place another; what failed is told of each."""
        params = ask.params
        mode = params.word("cancelReplaceMode", REPLACE_MODES, -1130)
        wanted = read_spot(self.desk, ask.who, params)
        answer: dict[str, Any] = {
            "cancelResult": "SUCCESS",
            "newOrderResult": "NOT_ATTEMPTED",
            "cancelResponse": None,
            "newOrderResponse": None,
        }
        try:
            order = find_open(self.desk, ask.who, wanted.terms, params, "cancel")
            cancel_id = params.client_id("cancelNewClientOrderId")
            answer["cancelResponse"] = self._cancel(ask, order, cancel_id)
        except Refused as problem:
            answer |= {"cancelResult": "FAILURE", "cancelResponse": problem.body}
        cancelled = answer["cancelResult"] == "SUCCESS"
        if cancelled or mode == "ALLOW_FAILURE":
            try:
                answer["newOrderResponse"] = self._place(ask, wanted)
                answer["newOrderResult"] = "SUCCESS"
            except Refused as problem:
                answer |= {"newOrderResult": "FAILURE", "newOrderResponse": problem.body}
        placed = answer["newOrderResult"] == "SUCCESS"
        if cancelled and placed:
            return answer
        if cancelled or placed:
            partly = Refused(REPLACE_PARTLY, "Order cancel-replace partially failed.", data=answer)
            partly.status = 409
            raise partly
        raise Refused(REPLACE_FAILED, "Order cancel-replace failed.", data=answer)

    def amend(self, ask: Ask) -> Any:
        """Make an open order smaller; it keeps its place, and may get another name."""
        desk, params = self.desk, ask.params
        terms = params.symbol(desk.terms)
        qty = terms.read_qty(params, "newQty")
        try:
            order = find_open(desk, ask.who, terms, params)
        except Refused as problem:
            raise (Refused(-2038, problem.text) if problem.code == -2011 else problem) from None
        if order.amendments >= SPOT_AMENDS_MAX:
            raise Refused(-1013, filter="MAX_NUM_ORDER_AMENDS")
        if qty > order.qty:
            raise Refused(-2038, NO_INCREASE)
        old, new = order.client_id, params.client_id("newClientOrderId") or desk.fresh_id()
        named = ask.who.client_ids.get((terms.floor, new))
        if named is not None and named is not order:
            raise Refused(-2038, SPOT_DUPLICATE)
        order.extra["amend_id"] = new
        try:
            desk.exchange.amend(ask.who, order, qty=qty, now_ns=ask.now_ns)
        except Refusal as refusal:
            raise refused(desk, refusal, terms) from None
        finally:
            del order.extra["amend_id"]
        rename(ask.who, order, new)
        asked = words(order)
        return {
            "transactTime": desk.shown_ms(order.updated_ns),
            "executionId": order.id,
            "amendedOrder": {
                "symbol": terms.symbol,
                "orderId": order.id,
                "orderListId": -1,
                "origClientOrderId": old,
                "clientOrderId": order.client_id,
                "price": terms.price(order.tick),
                "qty": terms.qty(order.qty),
                "executedQty": terms.qty(order.filled),
                "preventedQty": terms.qty(0),
                "quoteOrderQty": "0.00000000",
                "cumulativeQuoteQty": money_text(order.value),
                "status": "PARTIALLY_FILLED" if order.filled else "NEW",
                "timeInForce": asked["tif"],
                "type": asked["type"],
                "side": SIDE_WORDS[order.side],
                "workingTime": desk.shown_ms(order.created_ns),
                "selfTradePreventionMode": asked["stp"],
            },
        }

    def cancel_all(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        for order in ask.who.orders(terms.floor):
            order.extra["cancel_id"] = self.desk.fresh_id()
        ended = self.desk.exchange.cancel_all(ask.who, terms.floor, ask.now_ns)
        if not ended:
            raise Refused(-2011)
        return [spot_cancelled(self.desk, each, each.extra["cancel_id"]) for each in ended]

    def open_orders(self, ask: Ask) -> Any:
        floor = ask.params.symbol(self.desk.terms).floor if ask.params.text("symbol") else None
        return [spot_query(self.desk, each) for each in self.desk.orders(ask.who, floor)]

    def all_orders(self, ask: Ask) -> Any:
        found = order_history(self.desk, ask, DAYS_MAX, Refused(-1127, hours=24))
        return [spot_query(self.desk, each) for each in found]

    # -- account

    def account(self, ask: Ask) -> Any:
        account = ask.who
        wallet = self.desk.told(account)
        terms = next(iter(self.desk.terms.values()))
        maker, taker = account.fee_rates[terms.floor]
        balances = [
            {
                "asset": asset,
                "free": money_text(wallet.free(asset)),
                "locked": money_text(wallet.locked.get(asset, 0)),
            }
            for asset, held in sorted(wallet.balances.items())
            if held or not ask.params.flag("omitZeroBalances")
        ]
        return {
            "makerCommission": maker // 10_000,
            "takerCommission": taker // 10_000,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": _rates(maker, taker),
            "canTrade": "trade" in account.permissions,
            "canWithdraw": "withdraw" in account.permissions,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self.desk.now_ms,
            "accountType": "SPOT",
            "balances": balances,
            "permissions": ["SPOT"],
            "uid": 1 + self.desk.accounts().index(account),
        }

    def commission(self, ask: Ask) -> Any:
        return self._commission(ask.who, ask.params.symbol(self.desk.terms))

    def _commission(self, account: Account, terms: Terms) -> dict[str, Any]:
        maker, taker = account.fee_rates[terms.floor]
        return {
            "symbol": terms.symbol,
            "standardCommission": _rates(maker, taker),
            "specialCommission": NO_COMMISSION,
            "taxCommission": NO_COMMISSION,
            "discount": {
                "enabledForAccount": False,
                "enabledForSymbol": False,
                "discountAsset": "BNB",
                "discount": "0.00000000",
            },
        }

    def my_trades(self, ask: Ask) -> Any:
        params = ask.params
        terms = params.symbol(self.desk.terms)
        since, order_id = params.integer("fromId"), params.integer("orderId")
        if since is not None and ("startTime" in params or "endTime" in params):
            raise Refused(-1128)
        start, end = params.span_ms(DAYS_MAX, Refused(-1127, hours=24))
        found = [
            each
            for each in ask.who.fills
            if each.order.floor is terms.floor
            and (since is None or each.trade_id >= since)
            and (order_id is None or each.order.id == order_id)
            and start <= self.desk.shown_ms(each.ts_ns) <= end
        ]
        limit = limit_of(params)
        chosen = found[:limit] if since is not None or start else found[-limit:]
        return [self._fill(terms, each) for each in chosen]

    def _fill(self, terms: Terms, fill: Fill) -> dict[str, Any]:
        return {
            "symbol": terms.symbol,
            "id": fill.trade_id,
            "orderId": fill.order.id,
            "orderListId": -1,
            "price": terms.price(fill.tick),
            "qty": terms.qty(fill.qty),
            "quoteQty": fixed(terms.value(fill.tick, fill.qty), 8),
            "commission": money_text(fill.fee),
            "commissionAsset": fill.fee_asset,
            "time": self.desk.shown_ms(fill.ts_ns),
            "isBuyer": fill.order.side > 0,
            "isMaker": fill.maker,
            "isBestMatch": True,
        }

    def order_limits(self, ask: Ask) -> Any:
        return self.desk.order_limits(ask.who)


def rename(account: Account, order: Order, client_id: str) -> None:
    """Give an open order another client id."""
    account.client_ids.pop((order.floor, order.client_id), None)
    order.client_id = client_id
    account.client_ids[order.floor, client_id] = order


def _rates(maker: int, taker: int) -> dict[str, str]:
    return {
        "maker": money_text(maker),
        "taker": money_text(taker),
        "buyer": "0.00000000",
        "seller": "0.00000000",
    }


__all__ = ["Spot"]
