"""Bybit's words in the house's: servers, codes, orders, executions, balances; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from mmcore.events import ASK, BID, Kind, RejectCode, TimeInForce
from mmcore.gateway import Action, Balance, ClientIds, Environment, VenueOrder
from mmcore.instrument import QUANTA_PER_ONE
from mmcore.venue import DecodeError

from ._call import Codes, Meaning, by_codes
from ._decode import Terms, venue_ns
from ._own import VenueFill
from .bybit import SIDES, trade_id

MS = 1_000_000
DIGITS_MAX = 15  # before the point: an amount in quanta stays exact in Decimal's 28 digits
SIDE_TEXT = {BID: "Buy", ASK: "Sell"}
TIF_TEXT = {
    TimeInForce.GTX: "PostOnly",
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
}
CATEGORIES = {"bybit-linear": "linear", "bybit-spot": "spot"}
OPEN = frozenset({"New", "PartiallyFilled", "Untriggered"})
GONE = frozenset({"Cancelled", "PartiallyFilledCanceled", "Rejected", "Deactivated"})
TRADES = frozenset({"Trade", "AdlTrade", "BustTrade", "Settle", "Delivery"})
FORCED = TRADES - {"Trade"}  # the venue's own doing, without an order of ours


@dataclass(frozen=True, slots=True)
class Servers:
    """Where REST and sockets are."""

    rest: str
    sockets: str


SERVERS: Mapping[str, Servers] = {
    "mainnet": Servers("https://api.bybit.com", "wss://stream.bybit.com"),
    "testnet": Servers("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com"),
}


def servers(environment: Environment, base: str) -> Servers:
    """The servers of an environment; ``base`` is "host:port" on loopback."""
    if environment == "loopback":
        return Servers(f"http://{base}", f"ws://{base}")
    return SERVERS[environment]


# --- codes ----------------------------------------------------------------------------------------

_FUNDS = Meaning(Action.REDUCE, RejectCode.LIMIT)
_KEY = Meaning(
    Action.STOP, todo="make a new key with trading permission, and give key and secret anew"
)
_HALT = Meaning(Action.HALT, RejectCode.OTHER, "see the venue's announcements on this instrument")
_PARAM = Meaning(Action.REFRESH, RejectCode.FILTER)
# fmt: off
_BAND = (
    110003, 110120, 110121, 30208, 30209,
    170132, 170133, 170192, 170193, 170194, 170371, 170372,
)
# fmt: on
_WAIT = Meaning(Action.WAIT, RejectCode.RATE)

CODES = Codes(
    by_codes(
        ((170218,), Meaning(Action.REQUOTE, RejectCode.POST_ONLY)),
        (
            (110001, 170213, 170143, 110008, 110010, 170139, 170142, 170190),
            Meaning(Action.RESOLVE, RejectCode.UNKNOWN_ORDER),
        ),
        ((110064, 170312, 170313, 40004, 110079), Meaning(Action.RESOLVE, RejectCode.OTHER)),
        ((110072, 170141, 10014, 20006), Meaning(Action.RESOLVE, RejectCode.OTHER)),
        ((10000, 10016, 10429, 429, 170007, 170146, 170147), Meaning(Action.RESOLVE)),
        ((110004, 110006, 110007, 110012, 110044, 110045, 110052, 170131, 170033), _FUNDS),
        ((110086, 110090, 110013), Meaning(Action.REDUCE, RejectCode.LIMIT, "lower the leverage")),
        ((110017,), Meaning(Action.REQUOTE, RejectCode.LIMIT)),
        ((110094, 170140), Meaning(Action.REQUOTE, RejectCode.FILTER)),
        (_BAND, Meaning(Action.REQUOTE, RejectCode.FILTER)),
        ((10001, 170134, 170135, 170136, 170137, 170124, 170121), _PARAM),
        ((110020, 170810), Meaning(Action.REDUCE, RejectCode.LIMIT)),
        ((10002, -1), Meaning(Action.WAIT, RejectCode.OTHER, "set this machine's clock")),
        ((10003, 10004, 10005, 10007, 10010, 33004), _KEY),
        ((10006, 10018, 170222, 170005, 20003, 10403, 403), _WAIT),
        ((10019,), Meaning(Action.WAIT, RejectCode.RATE)),
        ((110043, 110025, 110026, 34040), Meaning(Action.OK)),
        ((110023, 110066, 110074, 10027, 170151), _HALT),
    )
)
CLOCK_CODES = frozenset({10002, -1})
DRAINING = frozenset({10016, 10019})  # of the trade socket: open a new one


# --- numbers --------------------------------------------------------------------------------------


def quanta(text: object, what: str) -> int:
    """Quanta (1e-8) of a decimal text, "" as zero; finer decimals are rounded half to even."""
    if text == "" or text is None:
        return 0
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        raise DecodeError(f"{what} {text!r} is not a decimal number") from None
    if not value.is_finite() or value.adjusted() > DIGITS_MAX:
        raise DecodeError(f"{what} {text!r} is not an amount of money")
    return int((value * QUANTA_PER_ONE).to_integral_value(ROUND_HALF_EVEN))


def stamp_ns(text: object) -> int:
    """ns of a time in ms, as text or number; 0 where there is none."""
    if text == "" or text is None:
        return 0
    try:
        return venue_ns(int(str(text)))
    except ValueError:
        raise DecodeError(f"time {text!r} is not a whole number") from None


def price_text(terms: Terms, tick: int) -> str:
    """A tick as the venue writes prices; without the fractions of Instrument.price_text."""
    return _decimal(tick * terms.tick_mul, terms.price_decimals)


def qty_text(terms: Terms, qty: int) -> str:
    """Units as the venue writes quantities."""
    return _decimal(qty, terms.qty_decimals)


def _decimal(value: int, decimals: int) -> str:
    if not decimals:
        return str(value)
    one = 10**decimals
    return f"{value // one}.{value % one:0{decimals}d}"


def _side(row: Mapping[str, Any]) -> int:
    side = SIDES.get(str(row.get("side")))
    if side is None:
        raise DecodeError(f"side {row.get('side')!r} is neither Buy nor Sell")
    return side


# --- orders ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderNews:
    """One order as REST and the order stream tell it.

    how: None while it is open, else as :meth:`OwnOrders.ended` takes it, with code.
    twin: refused because its client id is taken, so that it says nothing of the first.
    """

    terms: Terms
    client_id: str
    venue_id: str
    side: int
    tick: int
    qty: int
    done: int
    how: Kind | None
    code: RejectCode
    twin: bool
    ts_ns: int

    def state(self, ids: ClientIds | None) -> VenueOrder:
        """For a list of open orders."""
        return VenueOrder(
            instrument=self.terms.number,
            client_id=self.client_id,
            venue_id=self.venue_id,
            side=self.side,
            tick=self.tick,
            qty=self.qty,
            done=self.done,
            own=ids is not None and ids.own(self.client_id),
        )


def order_news(row: Mapping[str, Any], terms: Terms) -> OrderNews:
    """An order of /v5/order/realtime, history or the order topic.  Raises DecodeError."""
    status = str(row.get("orderStatus"))
    how, code = _ending(status, row)
    limit = row.get("orderType") != "Market"
    return OrderNews(
        terms=terms,
        client_id=str(row.get("orderLinkId") or ""),
        venue_id=str(row.get("orderId") or ""),
        side=_side(row),
        tick=terms.price(row.get("price")) if limit else 0,
        qty=terms.qty(row.get("qty")),
        done=terms.qty(row.get("cumExecQty") or "0"),
        how=how,
        code=code,
        twin=row.get("rejectReason") == "EC_DuplicatedClOrdID",
        ts_ns=stamp_ns(row.get("updatedTime")),
    )


_REASONS = {
    "EC_PostOnlyWillTakeLiquidity": RejectCode.POST_ONLY,
    "EC_NoImmediateQtyToFill": RejectCode.NO_LIQUIDITY,
    "EC_CancelForNoFullFill": RejectCode.NO_LIQUIDITY,
    "EC_ReachRiskPriceLimit": RejectCode.FILTER,
    "EC_InsufficientBalance": RejectCode.LIMIT,
}


def _ending(status: str, row: Mapping[str, Any]) -> tuple[Kind | None, RejectCode]:
    if status in OPEN:
        return None, RejectCode.NONE
    if status == "Filled":
        return Kind.FILL, RejectCode.NONE
    if status not in GONE:
        raise DecodeError(f"order status {status!r} is not known")
    code = _REASONS.get(str(row.get("rejectReason")))
    if code is not None:
        return Kind.EXPIRED, code
    cancel = str(row.get("cancelType") or "UNKNOWN")
    ours = status != "Rejected" and cancel in {"CancelByUser", "UNKNOWN"}
    return (Kind.CANCELLED, RejectCode.NONE) if ours else (Kind.EXPIRED, RejectCode.OTHER)


# --- executions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Funding:
    """A funding payment: quanta received, negative where paid."""

    terms: Terms
    trade_id: int
    received: int
    ts_ns: int


def execution(row: Mapping[str, Any], terms: Terms) -> VenueFill | Funding | None:
    """A row of /v5/execution/list or the execution topic, None for one that moves nothing.

    Raises DecodeError.
    """
    kind = str(row.get("execType", "Trade"))
    ts_ns = stamp_ns(row.get("execTime"))
    fee = quanta(row.get("execFee"), "fee")
    if kind == "Funding":
        return Funding(terms, trade_id(row.get("execId")), -fee, ts_ns)
    if kind not in TRADES:
        return None
    item, side = terms.item, _side(row)
    asset = str(row.get("feeCurrency") or "")
    if not asset:
        spot_buy = item.venue == "bybit-spot" and side == BID
        asset = item.base if spot_buy else item.quote
    left = row.get("leavesQty")
    return VenueFill(
        instrument=terms.number,
        client_id="" if kind in FORCED else str(row.get("orderLinkId") or ""),
        venue_id=str(row.get("orderId") or ""),
        side=side,
        trade_id=trade_id(row.get("execId")),
        tick=terms.price(row.get("execPrice")),
        qty=terms.qty(row.get("execQty")),
        fee=fee,
        fee_asset=asset,
        maker=bool(row.get("isMaker")),
        last=left is not None and left != "" and terms.qty(left) == 0,
        forced=kind in FORCED,
        ts_ns=ts_ns,
    )


# --- account --------------------------------------------------------------------------------------


def balances(rows: Iterable[Mapping[str, Any]]) -> dict[str, Balance]:
    """Coins of a unified wallet: total, and less what orders and positions hold."""
    found = {}
    for row in rows:
        total = quanta(row.get("walletBalance"), "balance")
        held = sum(
            quanta(row.get(name), name) for name in ("locked", "totalOrderIM", "totalPositionIM")
        )
        found[str(row["coin"])] = Balance(total, max(total - held, 0))
    return found


__all__ = [
    "Funding",
    "OrderNews",
    "Servers",
    "balances",
    "execution",
    "order_news",
    "price_text",
    "qty_text",
    "quanta",
    "servers",
    "stamp_ns",
]
