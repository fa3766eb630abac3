"""Bybit's spelling: decimals, sides, ids, and what its lists say of an instrument."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b

from mmcore.events import TimeInForce
from mmcore.instrument import QUANTA_PER_ONE, Instrument

from .bybit_codes import LINEAR, SPOT, bad

NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,18})?", re.ASCII)
LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
SIDES = {"Buy": 1, "Sell": -1}
SIDE_NAMES = {1: "Buy", -1: "Sell", 0: ""}
TIFS = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "PostOnly": TimeInForce.GTX,
    "RPI": TimeInForce.GTX,
}
TIF_NAMES = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.GTX: "PostOnly",
}
VENUES = {LINEAR: "bybit-linear", SPOT: "bybit-spot"}
CATEGORIES = {name: category for category, name in VENUES.items()}
EMPTY_CATEGORIES = frozenset({"inverse", "option"})  # Bybit has them, the box lists nothing there
NS_PER_MS = 1_000_000
SPOT_ORDER_BASE = 1_600_000_000_000_000_000
SPOT_TRADE_BASE = 2_280_000_000_000_000_000
ID_MAX = 16**12
PRICE_TICKS_MAX = 19_999_998  # ``maxPrice``


def decimal(scaled: int, decimals: int, *, strip: bool = True) -> str:
    """``scaled`` / 10^decimals in digits; without superfluous zeros if ``strip``."""
    sign, digits = "-" if scaled < 0 else "", str(abs(scaled)).rjust(decimals + 1, "0")
    if not decimals:
        return sign + digits
    whole, part = digits[:-decimals], digits[-decimals:]
    if strip:
        part = part.rstrip("0")
    return f"{sign}{whole}.{part}" if part else f"{sign}{whole}"


def money(quanta: int) -> str:
    """Quanta of 1e-8 as digits."""
    return decimal(quanta, 8)


def ratio(value: Fraction, decimals: int) -> str:
    """A fraction, rounded half to even, as digits."""
    return decimal(round(value * 10**decimals), decimals)


def number(value: object, name: str) -> Fraction:
    """A decimal string of a request; 10001 where it is none."""
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        raise bad(f"{name} invalid")
    return Fraction(value)


@dataclass(frozen=True, slots=True)
class Listing:
    """How Bybit writes one instrument, and what its list says beside the filters.

    price_decimals: as written, at least those of the tick.  tick_scaled: a tick in those decimals.
    strip: whether zeros at the end are left out.  market_share: largest market order, as a divisor
    of the largest limit order.
    """

    instrument: Instrument
    category: str
    price_decimals: int
    tick_scaled: int
    strip: bool
    symbol_id: int
    launch_ms: int
    band: tuple[str, str]
    market_share: int

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def price(self, tick: int) -> str:
        """A tick as Bybit writes the price."""
        return decimal(tick * self.tick_scaled, self.price_decimals, strip=self.strip)

    def qty(self, units: int) -> str:
        """Units as Bybit writes the quantity."""
        if not units:
            return "0"
        return decimal(units, self.instrument.qty_decimals, strip=self.strip)

    def average(self, value_quanta: int, units: int) -> str:
        """Average price of fills worth so much, to ten decimals."""
        item = self.instrument
        price = Fraction(value_quanta * item.qty_per_one, units * QUANTA_PER_ONE)
        return ratio(price / Fraction(item.contract_size), 10)

    def info(self) -> dict[str, object]:
        """The instrument's entry of ``instruments-info``."""
        return _spot_info(self) if self.category == SPOT else _linear_info(self)


# Symbol -> (decimals of prices, symbol id, launch, price bands, divisor of market orders).
_LINEAR: Mapping[str, tuple[int, int, int, tuple[str, str], int]] = {
    "BTCUSDT": (2, 5, 1584230400000, ("0.01", "0.02"), 10),
    "ETHUSDT": (2, 6, 1615766400000, ("0.02", "0.04"), 5),
}
_SPOT: Mapping[str, tuple[int, int, int, tuple[str, str], int]] = {
    "BTCUSDT": (1, 9, 1617177600000, ("0.005", "0.01"), 2),
    "ETHUSDT": (2, 10, 1617177600000, ("0.005", "0.01"), 3),
}


def listing(item: Instrument) -> Listing:
    """How an instrument of one of Bybit's two products is written."""
    category = CATEGORIES[item.venue]
    table = _SPOT if category == SPOT else _LINEAR
    plain = (item.price_decimals, 100, 1617177600000, ("0.05", "0.1"), 4)
    decimals, symbol_id, launch, band, share = table.get(item.symbol, plain)
    decimals = max(decimals, item.price_decimals)
    tick = (Fraction(item.tick) * 10**decimals).numerator
    return Listing(item, category, decimals, tick, category == SPOT, symbol_id, launch, band, share)


def _padded(value: str, decimals: int) -> str:
    return decimal(int(Fraction(value) * 10**decimals), decimals, strip=False)


def _linear_info(listed: Listing) -> dict[str, object]:
    item, decimals = listed.instrument, listed.price_decimals
    most = int(item.to_qty(item.max_qty))
    market = most // listed.market_share // item.lot_qty * item.lot_qty
    tick = listed.price(1)
    return {
        "symbol": item.symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": item.base,
        "quoteCoin": item.quote,
        "launchTime": str(listed.launch_ms),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(decimals),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": tick,
            "maxPrice": listed.price(PRICE_TICKS_MAX),
            "tickSize": tick,
        },
        "lotSizeFilter": {
            "maxOrderQty": listed.qty(most),
            "minOrderQty": _padded(item.min_qty, item.qty_decimals),
            "qtyStep": _padded(item.lot, item.qty_decimals),
            "postOnlyMaxOrderQty": listed.qty(most),
            "maxMktOrderQty": listed.qty(market),
            "minNotionalValue": item.min_notional,
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": item.quote,
        "copyTrading": "both",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": listed.band[0], "priceLimitRatioY": listed.band[1]},
        "displayName": "",
        "symbolType": "",
        "forbidUplWithdrawal": False,
        "symbolId": listed.symbol_id,
    }


def _spot_info(listed: Listing) -> dict[str, object]:
    item = listed.instrument
    most = int(item.to_qty(item.max_qty))
    market = most // listed.market_share // item.lot_qty * item.lot_qty
    return {
        "symbolId": listed.symbol_id,
        "symbol": item.symbol,
        "baseCoin": item.base,
        "quoteCoin": item.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": _padded(item.lot, item.qty_decimals),
            "quotePrecision": "0.0000001",
            "minOrderQty": _padded(item.min_qty, item.qty_decimals),
            "maxOrderQty": listed.qty(most),
            "minOrderAmt": item.min_notional,
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": listed.qty(most),
            "maxMarketOrderQty": listed.qty(market),
            "postOnlyMaxLimitOrderSize": listed.qty(most),
        },
        "priceFilter": {"tickSize": listed.price(1)},
        "riskParameters": {"priceLimitRatioX": listed.band[0], "priceLimitRatioY": listed.band[1]},
        "symbolType": "",
        "xstockMultiplier": "1",
    }


def _uuid(space: str, number_: int) -> str:
    """A text in UUID form that carries a number below 16^12 in its last part."""
    head = blake2b(f"{space}:{number_}".encode(), digest_size=10).hexdigest()
    return f"{head[:8]}-{head[8:12]}-4{head[12:15]}-8{head[15:18]}-{number_ % ID_MAX:012x}"


def order_id(category: str, number_: int) -> str:
    """An order's number as Bybit's id: a UUID, on spot nineteen digits."""
    return str(SPOT_ORDER_BASE + number_) if category == SPOT else _uuid("order", number_)


def order_number(category: str, text: object) -> int | None:
    """The order's number behind an id, None for an id that the venue never gave."""
    if not isinstance(text, str):
        return None
    if category == SPOT:
        if len(text) != 19 or not text.isascii() or not text.isdigit():
            return None
        return int(text) - SPOT_ORDER_BASE
    tail = text[-12:]
    if len(text) != 36 or not re.fullmatch("[0-9a-f]{12}", tail):
        return None
    found = int(tail, 16)
    return found if _uuid("order", found) == text else None


def exec_id(category: str, floor: int, trade: int) -> str:
    """A trade's id, the same in the public and in both private streams."""
    if category == SPOT:
        return str(SPOT_TRADE_BASE + floor * 10**12 + trade)
    return _uuid(f"trade{floor}", trade)


def event_id(account: str, number_: int) -> str:
    """The id of one message of a private stream."""
    return _uuid(account, number_)


__all__ = [
    "CATEGORIES",
    "EMPTY_CATEGORIES",
    "LINK_ID",
    "NS_PER_MS",
    "PRICE_TICKS_MAX",
    "SIDES",
    "SIDE_NAMES",
    "TIFS",
    "TIF_NAMES",
    "VENUES",
    "Listing",
    "decimal",
    "event_id",
    "exec_id",
    "listing",
    "money",
    "number",
    "order_id",
    "order_number",
    "ratio",
]
