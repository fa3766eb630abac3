"""What Bybit answers when it refuses: codes and sentences, of derivatives and of spot."""

from __future__ import annotations

from .orders import Order, Refusal, RefusalKind, Status

LINEAR, SPOT = "linear", "spot"


class Fault(Exception):
    """A refusal in Bybit's words.

    code: ``retCode``.  text: ``retMsg``.  http: status of the answer; Bybit refuses with 200, but
    for a path that does not exist and an address that it has shut out.
    """

    def __init__(self, code: int, text: str, *, http: int = 200) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.http = http


def bad(what: str) -> Fault:
    """A parameter that is missing, or of a wrong form."""
    return Fault(10001, f"params error: {what}")


def permission() -> Fault:
    return Fault(10005, "Permission denied, please check your API key permissions.")


def too_often() -> Fault:
    return Fault(10006, "Too many visits. Exceeded the API Rate Limit.")


def shut_out() -> Fault:
    return Fault(403, "access too frequent", http=403)


def no_path() -> Fault:
    return Fault(404, "Request path not found", http=404)


def unknown_symbol(category: str) -> Fault:
    if category == SPOT:
        return Fault(170121, "Invalid symbol.")
    return Fault(10001, "params error: symbol invalid")


# RefusalKind -> (code, sentence) on linear, (code, sentence) on spot.
REFUSALS: dict[RefusalKind, tuple[tuple[int, str], tuple[int, str]]] = {
    RefusalKind.TICK: (
        (10001, "params error: price invalid, not a multiple of the tick size"),
        (170134, "Order price has too many decimals."),
    ),
    RefusalKind.LOT: (
        (10001, "Qty invalid"),
        (170137, "Order quantity has too many decimals."),
    ),
    RefusalKind.MIN_QTY: (
        (10001, "The number of contracts below minimum limit allowed"),
        (170136, "Order quantity exceeded lower limit."),
    ),
    RefusalKind.MAX_QTY: (
        (10001, "The number of contracts exceeds maximum limit allowed: too large"),
        (170135, "Order quantity exceeded upper limit."),
    ),
    RefusalKind.NOTIONAL: (
        (110094, "Order does not meet minimum order value 5USDT"),
        (170140, "Order value exceeded lower limit."),
    ),
    RefusalKind.PRICE_BAND: (
        (110003, "Order price exceeds the allowable range."),
        (170132, "Order price too high."),
    ),
    RefusalKind.MARGIN: (
        (110007, "ab not enough for new order"),
        (170131, "Insufficient balance."),
    ),
    RefusalKind.BALANCE: (
        (110007, "ab not enough for new order"),
        (170131, "Insufficient balance."),
    ),
    RefusalKind.REDUCE_ONLY: (
        (110017, "current position is zero, cannot fix reduce-only order qty"),
        (170136, "Order quantity exceeded lower limit."),
    ),
    RefusalKind.POST_ONLY: (
        (110079, "The order would take liquidity"),
        (170218, "The LIMIT-MAKER order is rejected due to invalid price."),
    ),
    RefusalKind.NO_LIQUIDITY: (
        (110079, "The order cannot be filled at once"),
        (170032, "Market order was cancelled: no liquidity."),
    ),
    RefusalKind.UNKNOWN_ORDER: (
        (110001, "order not exists or too late to cancel"),
        (170213, "Order does not exist."),
    ),
    RefusalKind.DUPLICATE_CLIENT_ID: (
        (110072, "OrderLinkedID is duplicate"),
        (170141, "Duplicate clientOrderId"),
    ),
    RefusalKind.TOO_MANY_ORDERS: (
        (110020, "Not allowed to have more than 500 active orders"),
        (170810, "Cannot exceed maximum of 500 conditional, TP/SL and active orders."),
    ),
    RefusalKind.NOT_CHANGED: (
        (10001, "The order remains unchanged as the parameters entered match the existing ones."),
        (10001, "The order remains unchanged as the parameters entered match the existing ones."),
    ),
    RefusalKind.ALREADY_DONE: (
        (110001, "order not exists or too late to cancel"),
        (170139, "Order has been filled."),
    ),
    RefusalKind.QTY_BELOW_DONE: (
        (10001, "The amended quantity is not above the executed quantity"),
        (170312, "The amended quantity is not above the executed quantity."),
    ),
    RefusalKind.BAD_PARAM: (
        (10001, "params error"),
        (10001, "params error"),
    ),
    RefusalKind.LEVERAGE: (
        (110013, "Cannot set leverage due to risk limit level."),
        (110013, "Cannot set leverage due to risk limit level."),
    ),
    RefusalKind.POSITION_MODE: (
        (10001, "position idx not match position mode"),
        (10001, "position idx not match position mode"),
    ),
}


def refused(refusal: Refusal, category: str, order: Order | None = None) -> Fault:
    """The venue's words for a refusal of the exchange."""
    if category == SPOT and refusal.kind is RefusalKind.ALREADY_DONE:
        order = refusal.order or order
        if order is not None and order.status is not Status.FILLED:
            return Fault(170142, "Order has been canceled.")
    code, text = REFUSALS[refusal.kind][category == SPOT]
    return Fault(code, text)


# Order.ending -> (cancelType, rejectReason) of an order that did not fill.
ENDINGS: dict[str, tuple[str, str]] = {
    "NONE": ("UNKNOWN", "EC_NoError"),
    "USER": ("CancelByUser", "EC_PerCancelRequest"),
    "POST_ONLY": ("UNKNOWN", "EC_PostOnlyWillTakeLiquidity"),
    "NO_LIQUIDITY": ("UNKNOWN", "EC_NoImmediateQtyToFill"),
    "REDUCE_ONLY": ("CancelByReduceOnly", "EC_PerCancelRequest"),
    "SELF_TRADE": ("CancelBySmp", "EC_BySelfMatch"),
    "LIQUIDATION": ("CancelAllBeforeLiq", "EC_PerCancelRequest"),
    "COUNTDOWN": ("CancelByDCP", "EC_PerCancelRequest"),
    "REPLACED": ("CancelByUser", "EC_PerCancelRequest"),
    "MARGIN": ("UNKNOWN", "EC_InsufficientBalance"),
}

__all__ = [
    "ENDINGS",
    "LINEAR",
    "REFUSALS",
    "SPOT",
    "Fault",
    "bad",
    "no_path",
    "permission",
    "refused",
    "shut_out",
    "too_often",
    "unknown_symbol",
]
