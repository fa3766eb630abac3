"""Orders between Binance's words and the exchange's: what was asked for, refused, and became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mmcore.events import TimeInForce

from .accounts import Account
from .binance_desk import Desk
from .binance_terms import Terms, fixed, money_text
from .binance_words import (
    SPOT_BALANCE,
    SPOT_DUPLICATE,
    SPOT_NO_DEPTH,
    SPOT_POST_ONLY,
    Params,
    Refused,
)
from .orders import Ending, NewOrder, Order, Refusal, RefusalKind, Status

SIDES: Mapping[str, int] = {"BUY": 1, "SELL": -1}
SIDE_WORDS: Mapping[int, str] = {side: word for word, side in SIDES.items()}
TIFS: Mapping[str, TimeInForce] = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "GTX": TimeInForce.GTX,
    "GTD": TimeInForce.GTC,  # the desk cancels it when its date has come
}
SPOT_TIFS = {word: TIFS[word] for word in ("GTC", "IOC", "FOK")}
ALGO_TYPES = frozenset(
    {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
)
TYPES = {word: word for word in ("LIMIT", "MARKET")}
SPOT_TYPES = {word: word for word in ("LIMIT", "MARKET", "LIMIT_MAKER")}
RESPONSES = {word: word for word in ("ACK", "RESULT")}
SPOT_RESPONSES = {word: word for word in ("ACK", "RESULT", "FULL")}
POSITION_SIDES = {word: word for word in ("BOTH", "LONG", "SHORT")}
# The box expires the resting order of an account that would trade with itself, and nothing else.
SELF_TRADE_MODES = {word: word for word in ("EXPIRE_MAKER", "NONE")}
# Price match -> own side of the book or the other one, and which level.
PRICE_MATCHES: Mapping[str, tuple[int, int]] = {
    "OPPONENT": (-1, 1), "OPPONENT_5": (-1, 5), "OPPONENT_10": (-1, 10), "OPPONENT_20": (-1, 20),
    "QUEUE": (1, 1), "QUEUE_5": (1, 5), "QUEUE_10": (1, 10), "QUEUE_20": (1, 20),
}  # fmt: skip
NEITHER = "Param '{1}' or '{0}' must be sent, but both were empty/null!"
GTD_AHEAD_MS, GTD_MS_MAX = 600_000, 253_402_300_799_000

STATUS_WORDS: Mapping[Status, str] = {
    Status.NEW: "NEW",
    Status.PARTIAL: "PARTIALLY_FILLED",
    Status.FILLED: "FILLED",
    Status.CANCELED: "CANCELED",
    Status.REJECTED: "EXPIRED",  # a post-only order that was told so late
    Status.EXPIRED: "EXPIRED",
}
USDM_CODES: Mapping[RefusalKind, int] = {
    RefusalKind.TICK: -4014,
    RefusalKind.LOT: -4023,
    RefusalKind.MIN_QTY: -4004,
    RefusalKind.MAX_QTY: -4005,
    RefusalKind.MARGIN: -2019,
    RefusalKind.BALANCE: -2018,
    RefusalKind.REDUCE_ONLY: -2022,
    RefusalKind.POST_ONLY: -5022,
    RefusalKind.NO_LIQUIDITY: -2020,
    RefusalKind.UNKNOWN_ORDER: -2011,
    RefusalKind.DUPLICATE_CLIENT_ID: -4116,
    RefusalKind.TOO_MANY_ORDERS: -2025,
    RefusalKind.NOT_CHANGED: -5027,
    RefusalKind.ALREADY_DONE: -2011,
    RefusalKind.LEVERAGE: -2027,
    RefusalKind.POSITION_MODE: -4061,
}
# Code, and the name of the filter or the sentence.
SPOT_CODES: Mapping[RefusalKind, tuple[int, str]] = {
    RefusalKind.TICK: (-1013, "Filter failure: PRICE_FILTER"),
    RefusalKind.LOT: (-1013, "Filter failure: LOT_SIZE"),
    RefusalKind.MIN_QTY: (-1013, "Filter failure: LOT_SIZE"),
    RefusalKind.MAX_QTY: (-1013, "Filter failure: LOT_SIZE"),
    RefusalKind.NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    RefusalKind.PRICE_BAND: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    RefusalKind.TOO_MANY_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    RefusalKind.MARGIN: (-2010, SPOT_BALANCE),
    RefusalKind.BALANCE: (-2010, SPOT_BALANCE),
    RefusalKind.POST_ONLY: (-2010, SPOT_POST_ONLY),
    RefusalKind.NO_LIQUIDITY: (-2010, SPOT_NO_DEPTH),
    RefusalKind.DUPLICATE_CLIENT_ID: (-2010, SPOT_DUPLICATE),
    RefusalKind.UNKNOWN_ORDER: (-2011, ""),
    RefusalKind.ALREADY_DONE: (-2011, ""),
    RefusalKind.NOT_CHANGED: (-2038, "The requested action would change no state; rejecting."),
    RefusalKind.QTY_BELOW_DONE: (-2038, "Invalid amend request as quantity is too small."),
}


@dataclass(slots=True)
class Wanted:
    """A request for an order, read: what the exchange needs, and how to answer."""

    new: NewOrder
    terms: Terms
    response: str


def refused(desk: Desk, refusal: Refusal, terms: Terms, side: int = 0) -> Refused:
    """The venue's refusal for one of the exchange's."""
    kind = refusal.kind
    if desk.spot:
        code, text = SPOT_CODES.get(kind, (-1013, f"Filter failure: {kind}"))
        return Refused(code, text)
    if kind is RefusalKind.NOTIONAL:
        return Refused(-4164, notional=terms.min_notional)
    if kind is RefusalKind.PRICE_BAND:
        far = Decimal(terms.floor.band_percent * (1 if side > 0 else -1)) / 100
        limit = Decimal(terms.floor.mark).scaleb(-8) * (1 + far)
        return Refused(-4016 if side > 0 else -4024, limit=fixed(limit, terms.price_decimals))
    if kind in USDM_CODES:
        return Refused(USDM_CODES[kind])
    return Refused(-1130, name="quantity")


def read_usdm(desk: Desk, account: Account, params: Params) -> Wanted:
    """A futures order from its parameters; raises Refused."""
    terms = params.symbol(desk.terms)
    side = params.word("side", SIDES, -1117)
    check_position_side(account, params)
    kind = params.need("type")
    if kind in ALGO_TYPES:
        raise Refused(-4120)
    if kind not in TYPES:
        raise Refused(-1116)
    market = kind == "MARKET"
    for name in ("price", "timeInForce") if market else ():
        if params.text(name):
            raise Refused(-1106, name=name)
    word = "GTC" if market else params.need("timeInForce")
    if word not in TIFS:
        raise Refused(-1115)
    extra: dict[str, Any] = {"type": kind, "tif": word, "stp": "EXPIRE_MAKER", "match": "NONE"}
    qty = terms.read_qty(params)
    tick = 0 if market else read_limit(terms, params, side, extra)
    if word == "GTD":
        extra["gtd"] = _good_till(desk, params)
    if "selfTradePreventionMode" in params:
        extra["stp"] = params.word("selfTradePreventionMode", SELF_TRADE_MODES, -5039)
    reduce_only = params.flag("reduceOnly") or False
    if params.flag("closePosition"):
        raise Refused(-4120)  # goes with stop types only
    response = "ACK"
    if params.text("newOrderRespType"):
        response = params.word("newOrderRespType", RESPONSES, -1136)
    new = NewOrder(
        floor=terms.floor,
        side=side,
        qty=qty,
        tick=tick,
        tif=TimeInForce.IOC if market else TIFS[word],
        market=market,
        reduce_only=reduce_only,
        client_id=params.client_id("newClientOrderId", -4015) or desk.fresh_id(),
        extra=extra,
    )
    return Wanted(new, terms, response)


def check_position_side(account: Account, params: Params) -> None:
    """The parameters of hedge mode must fit the account's mode."""
    side = "BOTH"
    if params.text("positionSide"):
        side = params.word("positionSide", POSITION_SIDES, -4060)
    if (side == "BOTH") == account.hedge_mode:
        raise Refused(-4061)
    if account.hedge_mode and "reduceOnly" in params:
        raise Refused(-1106, name="reduceOnly")


def read_limit(terms: Terms, params: Params, side: int, extra: dict[str, Any]) -> int:
    """Ticks of the price, as sent or as ``priceMatch`` finds it in the book."""
    match = params.text("priceMatch")
    if not match or match == "NONE":
        return terms.read_price(params)
    if match not in PRICE_MATCHES:
        raise Refused(-5037)
    if params.text("price"):
        raise Refused(-1106, name="price")
    own, n = PRICE_MATCHES[match]
    levels = terms.floor.top(side * own, n)
    if len(levels) < n:
        raise Refused(-5041, "No depth matches this BBO order")
    extra["match"] = match
    return levels[-1][0]


def _good_till(desk: Desk, params: Params) -> int:
    date = params.need_integer("goodTillDate")
    if not desk.now_ms + GTD_AHEAD_MS < date < GTD_MS_MAX:
        raise Refused(-5040)
    return date


def read_spot(desk: Desk, account: Account, params: Params) -> Wanted:
    """A spot order from its parameters; raises Refused."""
    del account  # futures ask it for its position mode
    terms = params.symbol(desk.terms)
    side = params.word("side", SIDES, -1117)
    kind = params.word("type", SPOT_TYPES, -1116)
    word = "GTC"
    if kind == "LIMIT":
        word = params.need("timeInForce")
        if word not in SPOT_TIFS:
            raise Refused(-1115)
    elif params.text("timeInForce"):
        raise Refused(-1106, name="timeInForce")
    extra: dict[str, Any] = {"type": kind, "tif": word, "stp": "EXPIRE_MAKER"}
    if "selfTradePreventionMode" in params:
        extra["stp"] = params.word("selfTradePreventionMode", SELF_TRADE_MODES, -1130)
    market = kind == "MARKET"
    if market:
        if params.text("price"):
            raise Refused(-1106, name="price")
        tick, qty = 0, _market_qty(terms, params, side, extra)
    else:
        tick, qty = terms.read_price(params), terms.read_qty(params)
    response = "ACK" if kind == "LIMIT_MAKER" else "FULL"
    if params.text("newOrderRespType"):
        response = params.word("newOrderRespType", SPOT_RESPONSES, -1136)
    maker = kind == "LIMIT_MAKER"
    new = NewOrder(
        floor=terms.floor,
        side=side,
        qty=qty,
        tick=tick,
        tif=TimeInForce.GTX if maker else TimeInForce.IOC if market else SPOT_TIFS[word],
        market=market,
        client_id=params.client_id("newClientOrderId") or desk.fresh_id(),
        extra=extra,
    )
    return Wanted(new, terms, response)


def _market_qty(terms: Terms, params: Params, side: int, extra: dict[str, Any]) -> int:
    """Units of a market order, whose size may be told in money."""
    if not params.text("quoteOrderQty"):
        return terms.read_qty(params)
    if params.text("quantity"):
        raise Refused(-1128)
    money = params.need_decimal("quoteOrderQty")
    extra["quote"] = money
    found, left = 0, money
    for tick, units in terms.floor.top(-side, 5_000):
        worth = terms.value(tick, units)
        if worth >= left:
            found += int(left / terms.value(tick, 1))
            break
        found += units
        left -= worth
    lot = terms.instrument.lot_qty
    qty = found // lot * lot
    if qty <= 0:
        raise Refused(-1013, filter="NOTIONAL")
    return qty


def words(order: Order) -> dict[str, Any]:
    """What was asked for, in the venue's words; an order of the venue's own has the plain ones."""
    kind = "MARKET" if order.market else "LIMIT"
    tif = "IOC" if order.tif is TimeInForce.IOC and not order.market else "GTC"
    plain = {"type": kind, "tif": tif, "stp": "EXPIRE_MAKER", "match": "NONE"}
    return {**plain, **order.extra}


def status_word(order: Order) -> str:
    """The order's state in the venue's word."""
    if order.ending is Ending.SELF_TRADE:
        return "EXPIRED_IN_MATCH"
    return STATUS_WORDS[order.status]


def hidden(desk: Desk, order: Order) -> bool:
    """Whether the venue keeps no record of it: a post-only order that was refused at once."""
    return order.status is Status.REJECTED and not (
        desk.box.options.late_post_only and not desk.spot
    )


def usdm_answer(desk: Desk, order: Order, *, fresh: bool = False) -> dict[str, Any]:
    """A futures order as the answer to placing, changing or cancelling it.

    fresh: as it was accepted, before it met anything.
    """
    terms, extra = desk.by_floor[order.floor], words(order)
    filled = 0 if fresh else order.filled
    value = 0 if fresh else order.value
    return {
        "orderId": order.id,
        "symbol": terms.symbol,
        "status": "NEW" if fresh else status_word(order),
        "clientOrderId": order.client_id,
        "price": terms.price(order.tick),
        "avgPrice": fixed(terms.average(value, filled), terms.price_decimals),
        "origQty": terms.qty(order.qty),
        "executedQty": terms.qty(filled),
        "cumQty": terms.qty(filled),
        "cumQuote": money_text(value, 5),
        "timeInForce": extra["tif"],
        "type": extra["type"],
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": SIDE_WORDS[order.side],
        "positionSide": "BOTH",
        "stopPrice": "0.00",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": extra["type"],
        "priceMatch": extra["match"],
        "selfTradePreventionMode": extra["stp"],
        "goodTillDate": extra.get("gtd", 0),
        "updateTime": desk.shown_ms(order.created_ns if fresh else order.updated_ns),
    }


def usdm_query(desk: Desk, order: Order) -> dict[str, Any]:
    """A futures order as the answer to a query."""
    return {**usdm_answer(desk, order), "time": desk.shown_ms(order.created_ns)}


def spot_answer(desk: Desk, order: Order, response: str) -> dict[str, Any]:
    """A spot order as the answer to placing it."""
    terms = desk.by_floor[order.floor]
    answer: dict[str, Any] = {
        "symbol": terms.symbol,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "transactTime": desk.shown_ms(order.created_ns),
    }
    if response == "ACK":
        return answer
    answer |= spot_state(desk, order)
    answer["workingTime"] = desk.shown_ms(order.created_ns)
    if response == "FULL":
        answer["fills"] = [
            {
                "price": terms.price(fill.tick),
                "qty": terms.qty(fill.qty),
                "commission": money_text(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in order.fills
        ]
    return answer


def spot_state(desk: Desk, order: Order) -> dict[str, Any]:
    """What of a spot order changes while it lives, and what it was asked to be."""
    terms, extra = desk.by_floor[order.floor], words(order)
    return {
        "price": terms.price(order.tick),
        "origQty": terms.qty(order.qty),
        "executedQty": terms.qty(order.filled),
        "origQuoteOrderQty": fixed(extra.get("quote", Decimal(0)), 8),
        "cummulativeQuoteQty": money_text(order.value),
        "status": status_word(order),
        "timeInForce": extra["tif"],
        "type": extra["type"],
        "side": SIDE_WORDS[order.side],
        "selfTradePreventionMode": extra["stp"],
    }


def spot_query(desk: Desk, order: Order) -> dict[str, Any]:
    """A spot order as the answer to a query."""
    terms = desk.by_floor[order.floor]
    created = desk.shown_ms(order.created_ns)
    return {
        "symbol": terms.symbol,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        **spot_state(desk, order),
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": created,
        "updateTime": desk.shown_ms(order.updated_ns),
        "isWorking": True,
        "workingTime": created,
    }


def spot_cancelled(desk: Desk, order: Order, cancel_id: str) -> dict[str, Any]:
    """A spot order as the answer to cancelling it, under the name that the cancel has."""
    terms = desk.by_floor[order.floor]
    return {
        "symbol": terms.symbol,
        "origClientOrderId": order.client_id,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": cancel_id,
        "transactTime": desk.shown_ms(order.updated_ns),
        **spot_state(desk, order),
    }


def find(desk: Desk, account: Account, terms: Terms, params: Params, prefix: str = "") -> Order:
    """The order that ``orderId`` (which wins) or ``origClientOrderId`` names, open or not.

    prefix: "cancel" for the names that cancel-replace uses.  Raises Refused -1102 where neither is
    sent, -2013 where there is none.
    """
    names = ("cancelOrderId", "cancelOrigClientOrderId") if prefix else (
        "orderId", "origClientOrderId",
    )  # fmt: skip
    order_id = params.integer(names[0]) if params.text(names[0]) else None
    client_id = params.text(names[1])
    if order_id is None and not client_id:
        raise Refused(-1102, NEITHER.format(*names))
    order = desk.exchange.find(
        account,
        order_id=order_id,
        client_id=client_id if order_id is None else None,
        floor=terms.floor,
    )
    if order is None or order.floor is not terms.floor or hidden(desk, order):
        raise Refused(-2013)
    return order


def find_open(
    desk: Desk, account: Account, terms: Terms, params: Params, prefix: str = ""
) -> Order:
    """As :func:`find`, for an order that must be open: else Refused -2011."""
    try:
        order = find(desk, account, terms, params, prefix)
    except Refused as problem:
        raise Refused(-2011) if problem.code == -2013 else problem from None
    if not order.open:
        raise Refused(-2011)
    return order


__all__ = [
    "NEITHER",
    "SIDES",
    "SIDE_WORDS",
    "Wanted",
    "check_position_side",
    "find",
    "find_open",
    "hidden",
    "read_limit",
    "read_spot",
    "read_usdm",
    "refused",
    "spot_answer",
    "spot_cancelled",
    "spot_query",
    "status_word",
    "usdm_answer",
    "usdm_query",
    "words",
]
