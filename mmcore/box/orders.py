"""Orders of the exchange in the box: what is asked for, what becomes of it, and why it is refused.

Prices are ticks, quantities units of the floor's instrument, money quanta (1e-8), times
nanoseconds since the epoch.  A venue's own words (its names of types and modes) stay in ``extra``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mmcore.events import TimeInForce

if TYPE_CHECKING:
    from .accounts import Account
    from .floor import Floor


class Status(StrEnum):
    """Where an order is in its life.  EXPIRED: the venue ended it; CANCELED: somebody asked."""

    NEW = "NEW"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


OPEN = frozenset({Status.NEW, Status.PARTIAL})


class Ending(StrEnum):
    """Why an order is no longer open; NONE while it is, and after it filled."""

    NONE = "NONE"
    USER = "USER"
    POST_ONLY = "POST_ONLY"
    NO_LIQUIDITY = "NO_LIQUIDITY"
    REDUCE_ONLY = "REDUCE_ONLY"
    SELF_TRADE = "SELF_TRADE"
    LIQUIDATION = "LIQUIDATION"
    COUNTDOWN = "COUNTDOWN"
    REPLACED = "REPLACED"
    MARGIN = "MARGIN"


# Endings that somebody asked for: the order is CANCELED; every other one makes it EXPIRED.
ASKED = frozenset({Ending.USER, Ending.COUNTDOWN, Ending.REPLACED, Ending.LIQUIDATION})


class RefusalKind(StrEnum):
    """What was wrong with a request."""

    TICK = "TICK"
    LOT = "LOT"
    MIN_QTY = "MIN_QTY"
    MAX_QTY = "MAX_QTY"
    NOTIONAL = "NOTIONAL"
    PRICE_BAND = "PRICE_BAND"
    MARGIN = "MARGIN"
    BALANCE = "BALANCE"
    REDUCE_ONLY = "REDUCE_ONLY"
    POST_ONLY = "POST_ONLY"
    NO_LIQUIDITY = "NO_LIQUIDITY"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    DUPLICATE_CLIENT_ID = "DUPLICATE_CLIENT_ID"
    TOO_MANY_ORDERS = "TOO_MANY_ORDERS"
    NOT_CHANGED = "NOT_CHANGED"
    ALREADY_DONE = "ALREADY_DONE"
    QTY_BELOW_DONE = "QTY_BELOW_DONE"
    BAD_PARAM = "BAD_PARAM"
    LEVERAGE = "LEVERAGE"
    POSITION_MODE = "POSITION_MODE"


class Refusal(Exception):
    """A request that a venue refuses.

    kind: what was wrong.  text: the same in words, for the eye.  order: the order it is about: the
    open one, or the one that never rested (POST_ONLY), or None.
    """

    def __init__(self, kind: RefusalKind, text: str, order: Order | None = None) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text
        self.order = order


@dataclass(slots=True, kw_only=True)
class NewOrder:
    """A request for an order.

    side: +1 buys, -1 sells.  qty: units.  tick: limit, 0 for a market order.  extra: what the
    dialect wants to find again in the order.
    """

    floor: Floor
    side: int
    qty: int
    tick: int = 0
    tif: TimeInForce = TimeInForce.GTC
    market: bool = False
    reduce_only: bool = False
    client_id: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, frozen=True, kw_only=True)
class Fill:
    """One piece of an order that traded.

    trade_id: of the public print, rising by one per floor.  fee: quanta of ``fee_asset``, negative
    for a rebate.  value: notional, quanta of quote currency.  realised: profit of what this piece
    closed, quanta of the settle asset, before fees.  position_after: units, signed.
    """

    trade_id: int
    order: Order = field(repr=False)
    ts_ns: int
    tick: int
    qty: int
    value: int
    fee: int
    fee_asset: str
    maker: bool
    realised: int
    position_after: int


@dataclass(slots=True, kw_only=True, eq=False)
class Order:
    """An order and what became of it.

    id: rising, of the whole exchange.  qty: units asked for in all, as last amended.  filled: units
    of them.  value: quanta of quote currency of the fills.  fees: asset -> quanta.
    amendments: how many changed it.  reserved: quanta it holds: of a spot wallet, or notional that
    counts towards the initial margin.  slot: where it rests in its floor's matching.
    """

    id: int
    account: Account = field(repr=False)
    floor: Floor = field(repr=False)
    client_id: str
    side: int
    tick: int
    qty: int
    tif: TimeInForce
    market: bool
    reduce_only: bool
    created_ns: int
    updated_ns: int
    filled: int = 0
    value: int = 0
    fees: dict[str, int] = field(default_factory=dict)
    status: Status = Status.NEW
    ending: Ending = Ending.NONE
    fills: list[Fill] = field(default_factory=list, repr=False)
    amendments: int = 0
    reserved: int = 0
    slot: int = -1
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Units not filled; of an order that is over, what it never got."""
        return self.qty - self.filled

    @property
    def open(self) -> bool:
        """Whether it can still fill."""
        return self.status in OPEN

    @property
    def avg_price(self) -> Decimal:
        """Average price of the fills in quote currency, 0 without fills; exact to 28 figures."""
        return self.floor.average(self.value, self.filled)


@dataclass(slots=True, frozen=True, kw_only=True)
class Trade:
    """One public print.

    side: of the aggressor.  buy_order_id, sell_order_id: 0 where the market stood on that side.
    """

    id: int
    tick: int
    qty: int
    side: int
    ts_ns: int
    buy_order_id: int = 0
    sell_order_id: int = 0


@dataclass(slots=True, frozen=True)
class OrderEvent:
    """what: "new", "amended", "fill", "canceled", "expired" or "rejected"; fill: of a fill."""

    order: Order
    what: str
    fill: Fill | None
    ts_ns: int


@dataclass(slots=True, frozen=True)
class AccountEvent:
    """why: "order", "fill", "funding", "liquidation", "config" or "transfer"; what it touched."""

    account: Account
    why: str
    assets: tuple[str, ...]
    floors: tuple[Floor, ...]
    ts_ns: int


@dataclass(slots=True, frozen=True)
class TradeEvent:
    """A public print of a floor."""

    floor: Floor
    trade: Trade


@dataclass(slots=True, frozen=True)
class MarkEvent:
    """Mark price and funding of a floor were looked at anew: once a second."""

    floor: Floor
    ts_ns: int


Event = OrderEvent | AccountEvent | TradeEvent | MarkEvent

__all__ = [
    "ASKED",
    "OPEN",
    "AccountEvent",
    "Ending",
    "Event",
    "Fill",
    "MarkEvent",
    "NewOrder",
    "Order",
    "OrderEvent",
    "Refusal",
    "RefusalKind",
    "Status",
    "Trade",
    "TradeEvent",
]
