"""What Binance's private messages and REST answers say about own orders, in integers.

One reading for all of them: the order events of the two products (``ORDER_TRADE_UPDATE``,
``executionReport``) and the order objects of REST and WebSocket answers become :class:`OrderNews`,
trades become `VenueFill`.  Numbers are exact decimals; keys that an answer may lack (its documents
dropped several in 2026) are optional here.

TRADE_LITE, the early word of a fill on USD-M, is not read: it carries no fee, and a fill is booked
once, with everything that belongs to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from mmcore.events import ASK, BID, Kind, RejectCode
from mmcore.gateway import ClientIds, VenueOrder
from mmcore.venue import DecodeError

from ._decode import Terms
from ._own import VenueFill

QUANTA = Decimal(10**8)
SIDES = {"BUY": BID, "SELL": ASK}
OPEN = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW"})
POST_ONLY = frozenset({"GTX", "LIMIT_MAKER"})
AT_ONCE = frozenset({"IOC", "FOK"})
LIQUIDATION_IDS = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
# Reasons of an expiry that are not the order's own: 1 and 3 self-trade, 4 reduce-only, 5
# liquidation, 6 to 8 the venue's; 2 and 9 are the rest of an order that takes.
EXPIRY_OF_REST = frozenset({"2", "9"})
EXPIRY_PLAIN = frozenset({"0", "", "NONE"})
# What spot says of an order that its matching engine refused.
REJECTIONS = {
    "WOULD_MATCH_IMMEDIATELY": RejectCode.POST_ONLY,
    "INSUFFICIENT_BALANCE": RejectCode.LIMIT,
    "INSUFFICIENT_BALANCES": RejectCode.LIMIT,
}


@dataclass(frozen=True, slots=True)
class OrderNews:
    """One order as the venue tells it.

    qty: as placed or last amended; done: filled of it, None where the message leaves out the
    figures (then ``tick`` and ``qty`` are 0).  status: "" in the shortest acknowledgement.
    ending: None while it is open or filled.
    """

    instrument: int
    client_id: str
    venue_id: str
    side: int
    tick: int
    qty: int
    done: int | None
    status: str
    ending: tuple[Kind, RejectCode] | None
    fill: VenueFill | None
    ts_ns: int

    @property
    def is_open(self) -> bool:
        """Whether it still rests."""
        return self.status in OPEN

    @property
    def is_filled(self) -> bool:
        """Whether nothing is left of it."""
        return self.status == "FILLED"

    @property
    def is_forced(self) -> bool:
        """Whether the venue itself closes our position: liquidation, deleveraging, delisting."""
        return self.client_id.startswith(LIQUIDATION_IDS)


def futures_event(terms: Terms, o: Mapping[str, Any]) -> OrderNews:
    """The ``o`` object of an ORDER_TRADE_UPDATE."""
    return _event(terms, o, client_id=_text(o, "c"), reason=str(o.get("er", "")))


def spot_event(terms: Terms, event: Mapping[str, Any]) -> OrderNews:
    """An executionReport; a cancel carries the order's own client id in ``C``."""
    original = event.get("C")
    client = original if isinstance(original, str) and original else _text(event, "c")
    return _event(terms, event, client_id=client, reason=str(event.get("r", "")))


def _event(terms: Terms, o: Mapping[str, Any], *, client_id: str, reason: str) -> OrderNews:
    side, what, status = side_of(o.get("S")), _text(o, "x"), _text(o, "X")
    venue_id, ts_ns = str(_number(o, "i")), _number(o, "T") * 1_000_000
    done = terms.qty(o.get("z"))
    fill = None
    if what in {"TRADE", "CALCULATED"} and terms.qty(o.get("l")) > 0:
        fill = VenueFill(
            instrument=terms.number, client_id=client_id, venue_id=venue_id, side=side,
            trade_id=_number(o, "t"), tick=terms.price(o.get("L")), qty=terms.qty(o.get("l")),
            fee=quanta(o.get("n")), fee_asset=_asset(o.get("N")), maker=o.get("m") is True,
            done=done, last=status == "FILLED", ts_ns=ts_ns,
        )  # fmt: skip
    return OrderNews(
        terms.number, client_id, venue_id, side, terms.price(o.get("p")), terms.qty(o.get("q")),
        done, status, _ending(status, (str(o.get("f", "")), str(o.get("o", ""))), reason), fill,
        ts_ns,
    )  # fmt: skip


def order_answer(terms: Terms, order: Mapping[str, Any]) -> OrderNews:
    """An order object of REST or of the WebSocket interface, of either product."""
    original = order.get("origClientOrderId")
    client = original if isinstance(original, str) else _text(order, "clientOrderId")
    status = order.get("status", "")
    stamp = order.get("updateTime", order.get("transactTime", 0))
    kinds = (str(order.get("timeInForce", "")), str(order.get("type", "")))
    qty = order.get("origQty", order.get("qty"))  # spot's amended orders have the short name
    whole = "price" in order and "executedQty" in order and qty is not None
    return OrderNews(
        terms.number, client, str(_number(order, "orderId")),
        side_of(order["side"]) if "side" in order else 0,
        terms.price(order["price"]) if whole else 0,
        terms.qty(qty) if whole else 0,
        terms.qty(order["executedQty"]) if whole else None,
        status if isinstance(status, str) else "", _ending(str(status), kinds, ""), None,
        stamp * 1_000_000 if isinstance(stamp, int) else 0,
    )  # fmt: skip


def open_order(terms: Terms, order: Mapping[str, Any], ids: ClientIds | None) -> VenueOrder:
    """One item of ``openOrders``."""
    news = order_answer(terms, order)
    return VenueOrder(
        instrument=terms.number, client_id=news.client_id, venue_id=news.venue_id, side=news.side,
        tick=news.tick, qty=news.qty, done=news.done or 0,
        own=ids is not None and ids.own(news.client_id),
    )  # fmt: skip


def trade_answer(terms: Terms, trade: Mapping[str, Any]) -> VenueFill:
    """One item of ``userTrades`` or ``myTrades``; it carries no client id."""
    buyer = trade.get("buyer", trade.get("isBuyer"))
    maker = trade.get("maker", trade.get("isMaker"))
    if not isinstance(buyer, bool) or not isinstance(maker, bool):
        raise DecodeError(f"{terms.item}: a trade without its side or role")
    return VenueFill(
        instrument=terms.number, client_id="", venue_id=str(_number(trade, "orderId")),
        side=BID if buyer else ASK, trade_id=_number(trade, "id"),
        tick=terms.price(trade.get("price")), qty=terms.qty(trade.get("qty")),
        fee=quanta(trade.get("commission")), fee_asset=_asset(trade.get("commissionAsset")),
        maker=maker, ts_ns=_number(trade, "time") * 1_000_000,
    )  # fmt: skip


def _ending(status: str, kinds: tuple[str, str], reason: str) -> tuple[Kind, RejectCode] | None:
    if status == "CANCELED":
        return Kind.CANCELLED, RejectCode.NONE
    if status == "REJECTED":
        return Kind.EXPIRED, REJECTIONS.get(reason, RejectCode.OTHER)
    if status not in {"EXPIRED", "EXPIRED_IN_MATCH"}:
        return None
    if reason in EXPIRY_OF_REST:
        return Kind.EXPIRED, RejectCode.NO_LIQUIDITY
    if status == "EXPIRED" and reason in EXPIRY_PLAIN:
        if not POST_ONLY.isdisjoint(kinds):
            return Kind.EXPIRED, RejectCode.POST_ONLY
        if not AT_ONCE.isdisjoint(kinds):
            return Kind.EXPIRED, RejectCode.NO_LIQUIDITY
    return Kind.EXPIRED, RejectCode.OTHER


def side_of(word: object) -> int:
    """BID or ASK."""
    side = SIDES.get(word) if isinstance(word, str) else None
    if side is None:
        raise DecodeError(f"side {word!r} is neither BUY nor SELL")
    return side


def quanta(text: object) -> int:
    """1e-8 of an asset from a signed decimal text; 0 where the venue says nothing."""
    if text is None:
        return 0
    if not isinstance(text, str):
        raise DecodeError(f"amount {text!r} is not a decimal text")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise DecodeError(f"amount {text!r} is not a decimal") from None
    if not amount.is_finite() or abs(amount) >= 10**10:
        raise DecodeError(f"amount {text!r} has too many digits")
    return int((amount * QUANTA).to_integral_value(ROUND_HALF_EVEN))


def signed_qty(terms: Terms, text: object) -> int:
    """Units of a signed quantity, as positions are told."""
    if not isinstance(text, str):
        raise DecodeError(f"{terms.item}: quantity {text!r} is not a decimal text")
    return -terms.qty(text[1:]) if text.startswith("-") else terms.qty(text)


def _text(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise DecodeError(f"key {key!r}: {value!r} is not a text")
    return value


def _number(message: Mapping[str, Any], key: str) -> int:
    value = message.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**18:
        raise DecodeError(f"key {key!r}: {value!r} is not a whole number")
    return value


def _asset(value: object) -> str:
    return value if isinstance(value, str) else ""


__all__ = [
    "OrderNews",
    "futures_event",
    "open_order",
    "order_answer",
    "quanta",
    "side_of",
    "signed_qty",
    "spot_event",
    "trade_answer",
]
