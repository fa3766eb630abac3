"""What Binance says about an instrument, and its figures as Binance writes them.

:class:`Terms` stands between a floor's integers (ticks, units, quanta) and the decimal texts of the
wire, for USD-M futures and for spot, whose texts have other lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal

from mmcore.instrument import QUANTA_PER_ONE, Instrument

from .binance_words import SPOT_PRECISION, Params, Refused, has_decimals
from .floor import Floor

Market = Literal["usdm", "spot"]
VENUES: dict[Market, str] = {"usdm": "binance-usdm", "spot": "binance-spot"}

SPOT_DECIMALS = 8
USDM_PRICE_DECIMALS_MIN = 2
SPOT_AMENDS_MAX = 10
USDM_AMENDS_MAX = 10_000
NO_BAND = 900  # percent around the mark that is shown where a floor has no band
TICKS_MAX = 50_000_000  # highest price, in ticks
NEVER_MS = 4_133_404_800_000  # delivery of a perpetual, as the venue writes it
ONBOARD_MS = 1_569_398_400_000
DEFAULT_MAX_QTY = "9000000"


def money_text(quanta: int, decimals: int = 8) -> str:
    """An amount of money as a decimal string, rounded half-even to ``decimals``."""
    if decimals < 8:
        scale = 10 ** (8 - decimals)
        quotient, rest = divmod(abs(quanta), scale)
        quotient += rest * 2 > scale or (rest * 2 == scale and quotient % 2 == 1)
        quanta = quotient if quanta >= 0 else -quotient
    return scaled_text(quanta, decimals)


def scaled_text(scaled: int, decimals: int) -> str:
    """An integer of so many decimals as a decimal string: (12345, 2) is "123.45"."""
    sign, digits = "-" if scaled < 0 else "", str(abs(scaled)).rjust(decimals + 1, "0")
    return sign + (f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits)


def fixed(value: Decimal, decimals: int) -> str:
    """A number with so many decimals, rounded half-even."""
    return f"{value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN):f}"


def padded(text: str, decimals: int) -> str:
    """A decimal text with at least so many decimals."""
    head, _, tail = text.partition(".")
    return f"{head}.{tail.ljust(decimals, '0')}" if decimals or tail else head


class Terms:
    """One listed instrument: texts both ways, checks before an order is made, and its listing."""

    def __init__(self, floor: Floor, market: Market) -> None:
        self.floor = floor
        self.market = market
        self.spot = market == "spot"
        self.instrument: Instrument = floor.instrument
        self.symbol: str = floor.symbol
        item = self.instrument
        self._tick = Decimal(item.tick)
        self._unit = Decimal(1).scaleb(-item.qty_decimals)
        if self.spot:
            self.price_decimals = SPOT_DECIMALS
            self.qty_decimals = SPOT_DECIMALS
        else:
            self.price_decimals = max(item.price_decimals, USDM_PRICE_DECIMALS_MIN)
            self.qty_decimals = item.qty_decimals
        self.max_price = self._tick * TICKS_MAX
        self._price_step = int(self._tick.scaleb(self.price_decimals))
        self._qty_step = int(10 ** (self.qty_decimals - item.qty_decimals))

    def price(self, tick: int) -> str:
        """A price in ticks, as the venue writes it."""
        return scaled_text(tick * self._price_step, self.price_decimals)

    def qty(self, units: int) -> str:
        """A quantity in units, as the venue writes it."""
        return scaled_text(units * self._qty_step, self.qty_decimals)

    def levels(self, side: Sequence[tuple[int, int]]) -> list[list[str]]:
        """Levels of a book as pairs of texts."""
        return [[self.price(tick), self.qty(units)] for tick, units in side]

    def value(self, tick: int, units: int) -> Decimal:
        """Price times quantity, exactly."""
        return self._tick * tick * self._unit * units

    def average(self, value: int, units: int) -> Decimal:
        """Average price of fills worth ``value`` quanta; 0 where nothing is filled."""
        if not units:
            return Decimal(0)
        return Decimal(value) / QUANTA_PER_ONE / (self._unit * units)

    def read_price(self, params: Params, name: str = "price") -> int:
        """Ticks of a mandatory price that keeps to the filters."""
        value = params.need_decimal(name)
        if self.spot:
            self._precise(value, name)
            if value % self._tick or not 0 < value <= self.max_price:
                raise Refused(-1013, filter="PRICE_FILTER")
        else:
            if has_decimals(value) > self.price_decimals:
                raise Refused(-1111)
            if value <= 0:
                raise Refused(-4001)
            if value < self._tick:
                raise Refused(-4013)
            if value > self.max_price:
                raise Refused(-4002)
            if value % self._tick:
                raise Refused(-4014)
        return int(value / self._tick)

    def read_qty(self, params: Params, name: str = "quantity") -> int:
        """Units of a mandatory quantity that keeps to the filters."""
        value = params.need_decimal(name)
        step, low = Decimal(self.instrument.lot), Decimal(self.instrument.min_qty)
        high = Decimal(self.max_qty)
        if self.spot:
            self._precise(value, name)
            if value % step or not max(low, step) <= value <= high:
                raise Refused(-1013, filter="LOT_SIZE")
        else:
            if has_decimals(value) > self.instrument.qty_decimals:
                raise Refused(-1111)
            if value <= 0:
                raise Refused(-4003)
            if value < low:
                raise Refused(-4004)
            if value > high:
                raise Refused(-4005)
            if value % step:
                raise Refused(-4023)
        return int(value / self._unit)

    def _precise(self, value: Decimal, name: str) -> None:
        if has_decimals(value) > SPOT_DECIMALS:
            raise Refused(-1111, SPOT_PRECISION.format(name=name))

    @property
    def max_qty(self) -> str:
        item = self.instrument
        return item.max_qty if Decimal(item.max_qty) else DEFAULT_MAX_QTY

    @property
    def min_notional(self) -> str:
        return padded(self.instrument.min_notional, 0)

    def usdm_entry(self) -> dict[str, Any]:
        """The instrument in the futures' ``exchangeInfo``."""
        item = self.instrument
        band = Decimal(self.floor.band_percent or NO_BAND) / 100
        lot = {"minQty": item.min_qty, "maxQty": self.max_qty, "stepSize": item.lot}
        return {
            "symbol": self.symbol,
            "pair": self.symbol,
            "contractType": "PERPETUAL",
            "deliveryDate": NEVER_MS,
            "onboardDate": ONBOARD_MS,
            "status": "TRADING",
            "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000",
            "baseAsset": item.base,
            "quoteAsset": item.quote,
            "marginAsset": item.quote,
            "pricePrecision": self.price_decimals,
            "quantityPrecision": item.qty_decimals,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "underlyingSubType": ["PoW"],
            "triggerProtect": "0.0500",
            "liquidationFee": "0.012500",
            "marketTakeBound": "0.05",
            "maxMoveOrderLimit": USDM_AMENDS_MAX,
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": padded(item.tick, self.price_decimals),
                    "maxPrice": fixed(self.max_price, self.price_decimals),
                    "tickSize": padded(item.tick, self.price_decimals),
                },
                {"filterType": "LOT_SIZE", **lot},
                {"filterType": "MARKET_LOT_SIZE", **lot},
                {"filterType": "MAX_NUM_ORDERS", "limit": self.floor.orders_max},
                {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
                {"filterType": "MIN_NOTIONAL", "notional": self.min_notional},
                {
                    "filterType": "PERCENT_PRICE",
                    "multiplierUp": fixed(1 + band, 4),
                    "multiplierDown": fixed(max(1 - band, Decimal(0)), 4),
                    "multiplierDecimal": "4",
                },
            ],
            "orderTypes": ["LIMIT", "MARKET"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
            "permissionSets": ["GRID", "COPY"],
        }

    def spot_entry(self) -> dict[str, Any]:
        """The instrument in the spot ``exchangeInfo``."""
        item = self.instrument
        return {
            "symbol": self.symbol,
            "status": "TRADING",
            "baseAsset": item.base,
            "baseAssetPrecision": 8,
            "quoteAsset": item.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
            "icebergAllowed": False,
            "ocoAllowed": False,
            "otoAllowed": False,
            "opoAllowed": False,
            "quoteOrderQtyMarketAllowed": False,
            "allowTrailingStop": False,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "pegInstructionsAllowed": False,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": self._spot_filters(),
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": [
                "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "NONE",
            ],
        }  # fmt: skip

    def _spot_filters(self) -> list[dict[str, Any]]:
        item = self.instrument
        lot = {
            "minQty": padded(item.min_qty, 8),
            "maxQty": padded(self.max_qty, 8),
            "stepSize": padded(item.lot, 8),
        }
        band = Decimal(self.floor.band_percent or NO_BAND) / 100
        return [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": padded(item.tick, 8),
                "maxPrice": fixed(self.max_price, 8),
                "tickSize": padded(item.tick, 8),
            },
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            # Bids may be as low as they like, asks as high.
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": fixed(1 + band, 4),
                "bidMultiplierDown": "0.0001",
                "askMultiplierUp": fixed(1 + Decimal(NO_BAND) / 100, 4),
                "askMultiplierDown": fixed(max(1 - band, Decimal(0)), 4),
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": padded(item.min_notional, 8),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": self.floor.orders_max},
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": SPOT_AMENDS_MAX},
        ]


__all__ = [
    "NEVER_MS",
    "SPOT_AMENDS_MAX",
    "USDM_AMENDS_MAX",
    "VENUES",
    "Market",
    "Terms",
    "fixed",
    "money_text",
    "padded",
    "scaled_text",
]
