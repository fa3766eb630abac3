"""Every formula of both strategies by its name, numbers in and numbers out, for notebooks.

Where the core computes a formula, the function here is the core's own or a thin face of it; what
only a notebook needs is plain Python.  ``docs/strategy.md`` lists formula, function and test.

Prices and money are in quote currency, sizes in base currency (contracts on inverse markets),
spreads and skews of ``two_sided`` in basis points, signals and skews of ``grid`` within [-1, 1].
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from ._book import Book, BookAnalysis, Touch
from ._book import ofi as order_flow_imbalance
from ._book import voi as volume_order_imbalance
from ._quoter import Quoter, geometric_weights, inner_quotes, two_sided_prices
from ._quotes import (
    INVENTORY,
    GridStrategy,
    TwoSidedStrategy,
    book_component,
    bps_diff,
    final_skew,
    nbsqrt,
    position_component,
    quoted_spread,
    round_step,
    skewed_price,
)
from ._rate import RateLimiter
from ._signals import (
    Signals,
    Weights,
    dead_banded,
    forecast_vote,
    imbalance_ratio,
    microprice,
    skew_signal,
)
from .formulas import (
    Ema,
    average_trade_price,
    bps_to_decimal,
    calculate_exponent,
    clip,
    count_decimal_places,
    depth_weighted,
    ema,
    expected_return,
    expected_value,
    geomspace,
    historical_aggression,
    imbalance,
    linspace,
    mid_average,
    mid_change,
    mid_difference,
    mid_price_basis,
    price_fluctuation,
    price_impact,
    round_to,
    spread_price_in_bps,
    trade_imbalance,
    volatility,
    weighted_mid,
)
from .instrument import Instrument

__all__ = [
    "BatchOrder",
    "BookAnalysis",
    "Ema",
    "GridStrategy",
    "InventorySkewConfig",
    "LiveOrder",
    "MarketMakerInput",
    "Quoter",
    "RateLimiter",
    "Signals",
    "SkewResult",
    "Touch",
    "TwoSidedStrategy",
    "Weights",
    "adjusted_spread",
    "analyse_book",
    "average_trade_price",
    "book_component",
    "bounds_spread",
    "bps_diff",
    "bps_diff_whole",
    "bps_to_decimal",
    "calculate_exponent",
    "calculate_skew",
    "clip",
    "close_out_price",
    "count_decimal_places",
    "damped_skew",
    "dead_banded",
    "depth_weighted",
    "ema",
    "expected_return",
    "expected_value",
    "final_skew",
    "forecast_vote",
    "generate_quotes",
    "geometric_weights",
    "geomspace",
    "historical_aggression",
    "imbalance",
    "imbalance_ratio",
    "inner_quotes",
    "inventory_delta",
    "ladder_prices",
    "legal_price",
    "legal_quantity",
    "linspace",
    "max_position_usd",
    "mean_reverting_skew",
    "microprice",
    "mid_average",
    "mid_change",
    "mid_difference",
    "mid_price_basis",
    "nbsqrt",
    "needs_requote",
    "negative_skew_orders",
    "neutral_skew",
    "order_flow_imbalance",
    "outer_prices",
    "plain_skew",
    "position_component",
    "positive_skew_orders",
    "price_fluctuation",
    "price_impact",
    "quoted_spread",
    "round_step",
    "round_to",
    "side_budgets",
    "skew_signal",
    "skewed_price",
    "spread_price_in_bps",
    "trade_imbalance",
    "trend_following_skew",
    "two_sided_prices",
    "two_sided_sizes",
    "volatility",
    "volume_order_imbalance",
    "weighted_mid",
    "wire_decimal",
]

MARGIN = 0.93  # share of asset * leverage that is used
SPREAD_BPS = 27.0  # least spread where none is given
SPREAD_CAP = 3.7  # largest spread, multiples of the least


# ---- system A: budget, spread, inventory (2.2 to 2.4) ------------------------------------------


def max_position_usd(asset: float, leverage: float, margin: float = MARGIN) -> float:
    """M, the largest position value: asset * leverage * margin."""
    return asset * leverage * margin


def inventory_delta(position: float, price: float, max_position: float) -> float:
    """Position value over M; position in base currency, marked at ``price``."""
    return position * price / max_position


def side_budgets(position_value: float, max_position: float) -> tuple[float, float]:
    """What may still be bought and sold: M/2 -+ position value, not below 0."""
    half = 0.5 * max_position
    return max(half - position_value, 0.0), max(half + position_value, 0.0)


def adjusted_spread(
    bid: float,
    ask: float,
    minimum_spread: float = 0.0,
    maximum_spread: float | None = None,
    volatility_factor: float = 0.0,
    volatility: float = 0.0,
) -> float:
    """The market's spread within [least, most], quote currency.

    minimum_spread: bps of the mid, 0 means 27.  maximum_spread: bps, default 3.7 times the least.
    volatility: per square root of a second; widens by 1 + factor * volatility within the bounds.
    """
    return bounds_spread(
        0.5 * (bid + ask),
        bid,
        ask,
        minimum_spread,
        maximum_spread,
        1.0 + volatility_factor * volatility,
    )


def bounds_spread(
    price: float,
    bid: float,
    ask: float,
    minimum_spread: float = 0.0,
    maximum_spread: float | None = None,
    growth: float = 1.0,
) -> float:
    """As :func:`adjusted_spread`, but of ``price``: that of the last quote, it is the half-width
    of the band the mid must leave before a grid is built anew."""
    least = (minimum_spread or SPREAD_BPS) * 1e-4
    most = SPREAD_CAP * least if maximum_spread is None else maximum_spread * 1e-4
    return quoted_spread(price, ask - bid, least, max(least, most), growth)


def mean_reverting_skew(
    signal: float, delta: float, kappa: float = 0.63, *, strict: bool = False
) -> float:
    """clip(s (1 - |f|) - kappa f), f the signed root of delta.

    strict: the signal is damped only where it would add to the position.
    """
    return final_skew(INVENTORY["mean_reverting"], strict, kappa, signal, delta)


def trend_following_skew(
    signal: float, delta: float, kappa: float = 0.5, *, strict: bool = False
) -> float:
    """clip(s (1 + |f s|) +- kappa f), plus where position and signal agree.

    strict: the signal is boosted only where they agree.
    """
    return final_skew(INVENTORY["trend_following"], strict, kappa, signal, delta)


def plain_skew(signal: float, delta: float) -> float:
    """clip(s - f)."""
    return final_skew(INVENTORY["plain"], False, 0.0, signal, delta)


def damped_skew(signal: float, delta: float) -> float:
    """clip(s (1 - f)); for shorts the original's sign has it the wrong way round."""
    return final_skew(INVENTORY["damped"], False, 0.0, signal, delta)


def neutral_skew(delta: float) -> float:
    """-f: back to no position, whatever the signal."""
    return final_skew(INVENTORY["neutral"], False, 0.0, 0.0, delta)


# ---- system A: orders (2.5) --------------------------------------------------------------------


@dataclass(slots=True)
class BatchOrder:
    """An order to send: base quantity, price, symbol, side (+1 buy, -1 sell)."""

    quantity: float
    price: float
    symbol: str
    side: int


@dataclass(slots=True, order=True)
class LiveOrder:
    """An accepted order.  Sorted by price; the same order means the same id."""

    price: float
    quantity: float = field(compare=False)
    order_id: str = field(compare=False)
    filled_qty: float = field(default=0.0, compare=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LiveOrder) and self.order_id == other.order_id

    def __hash__(self) -> int:
        return hash(self.order_id)


def outer_prices(
    bid: float, ask: float, spread: float, final_order_distance: float
) -> tuple[float, float]:
    """Outermost bid and ask: so many spreads beyond the innermost ones."""
    reach = final_order_distance * spread
    return bid - reach, ask + reach


def ladder_prices(inner: float, outer: float, n: int) -> list[float]:
    """Prices of a side before rounding, innermost first: a geometric ladder."""
    return geomspace(inner, outer, n)


def positive_skew_orders(
    strategy: GridStrategy,
    instrument: Instrument,
    bid: float,
    ask: float,
    spread: float,
    aggression: float,
    position: float = 0.0,
) -> list[BatchOrder]:
    """The grid that favours buying; aggression within [0, 1], spread in quote currency."""
    return _grid_orders(strategy, instrument, bid, ask, spread, aggression, position)


def negative_skew_orders(
    strategy: GridStrategy,
    instrument: Instrument,
    bid: float,
    ask: float,
    spread: float,
    aggression: float,
    position: float = 0.0,
) -> list[BatchOrder]:
    """The grid that favours selling, its mirror image."""
    return _grid_orders(strategy, instrument, bid, ask, spread, -aggression, position)


def generate_quotes(
    strategy: GridStrategy | TwoSidedStrategy,
    instrument: Instrument,
    bid: float,
    ask: float,
    *,
    skew: float = 0.0,
    position: float = 0.0,
    imbalance: float = 0.0,
    volatility: float = 0.0,
) -> list[BatchOrder]:
    """The orders a strategy wants, in the order of the document: bid 0, ask 0, bid 1, ask 1...

    bid, ask: the market's best, on the grid.  skew: the signal, [-1, 1].  position: base
    currency, signed.  imbalance: of the book, for two_sided.
    """
    quoter = Quoter(strategy, instrument.spec())
    quoter.quote(
        instrument.to_tick(bid),
        instrument.to_tick(ask),
        signal=skew,
        position_qty=instrument.to_qty(position),
        imbalance=imbalance,
        volatility=volatility,
    )
    return _orders(quoter, instrument)


def _grid_orders(
    strategy: GridStrategy,
    instrument: Instrument,
    bid: float,
    ask: float,
    spread: float,
    skew: float,
    position: float,
) -> list[BatchOrder]:
    quoter = Quoter(strategy, instrument.spec())
    quoter.ladders(
        instrument.to_tick(bid), instrument.to_tick(ask), spread, skew, instrument.to_qty(position)
    )
    return _orders(quoter, instrument)


def _orders(quoter: Quoter, instrument: Instrument) -> list[BatchOrder]:
    bids, asks = quoter.bids, quoter.asks
    pairs = [
        (levels[i], side)
        for i in range(max(len(bids), len(asks)))
        for levels, side in ((bids, 1), (asks, -1))
        if i < len(levels)
    ]
    return [
        BatchOrder(instrument.quantity(qty), instrument.price(tick), instrument.symbol, side)
        for (tick, qty), side in pairs
    ]


# ---- system B (section 3) ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InventorySkewConfig:
    """How strongly position and book shift the quotes.

    inventory_skew_factor, book_imbalance_factor: within [0, 1], shares of the half spread.
    depth_analysis_levels: of the book's imbalance.  Raises ValueError out of range.
    """

    inventory_skew_factor: float = 0.5
    book_imbalance_factor: float = 0.3
    depth_analysis_levels: int = 5

    def __post_init__(self) -> None:
        for name in ("inventory_skew_factor", "book_imbalance_factor"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)!r}: expected within 0 to 1")
        if self.depth_analysis_levels < 1:
            raise ValueError(
                f"depth_analysis_levels is {self.depth_analysis_levels!r}: expected at least 1"
            )


class SkewResult(NamedTuple):
    """A skew and its parts, bps; position_ratio within [-1, 1]."""

    skew_bps: float
    position_component_bps: float
    book_component_bps: float
    position_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketMakerInput:
    """What the two-sided maker is told; validated here, ValueError names the field.

    asset: name.  target_liquidity: base size per side.  half_spread, max_bps_diff: bps.
    max_absolute_position_size: base.  asset_type: "perp" or "spot".  wallet: name of the account
    whose credentials are used, never the key itself; "" on a simulated venue.
    inventory_skew_config: None for traditional quotes without skew.
    """

    asset: str
    target_liquidity: float
    half_spread: float
    max_bps_diff: float
    max_absolute_position_size: float
    asset_type: str = "perp"
    wallet: str = ""
    inventory_skew_config: InventorySkewConfig | None = None

    def __post_init__(self) -> None:
        if not self.asset:
            raise ValueError("asset is empty: expected the asset's name, such as HYPE")
        self.strategy()

    def strategy(self) -> TwoSidedStrategy:
        """The compiled strategy of this input."""
        skew = self.inventory_skew_config
        return TwoSidedStrategy(
            target_liquidity=self.target_liquidity,
            half_spread=self.half_spread,
            max_bps_diff=self.max_bps_diff,
            max_absolute_position_size=self.max_absolute_position_size,
            asset_type=self.asset_type,
            inventory_skew_factor=None if skew is None else skew.inventory_skew_factor,
            book_imbalance_factor=None if skew is None else skew.book_imbalance_factor,
            depth_analysis_levels=None if skew is None else skew.depth_analysis_levels,
        )


def analyse_book(
    bids: Iterable[tuple[float, float]],
    asks: Iterable[tuple[float, float]],
    depth_levels: int,
    instrument: Instrument,
) -> BookAnalysis | None:
    """Depths, depth-weighted prices and imbalance of (price, size) levels in any order.

    None where a side is empty or the book is crossed: nothing can be concluded from it.
    """
    book = Book(instrument.spec(), window=64)
    book.load(bids, asks)
    return book.analysis(depth_levels) if book.best_bid < book.best_ask else None


def calculate_skew(
    position: float,
    max_position: float,
    half_spread: float,
    imbalance: float = 0.0,
    config: InventorySkewConfig | None = None,
    max_skew_bps: float | None = None,
) -> SkewResult:
    """Position part + book part, capped at +-max_skew_bps (default: the half spread); bps."""
    config = config or InventorySkewConfig()
    of_position = position_component(
        position, max_position, config.inventory_skew_factor, half_spread
    )
    of_book = book_component(imbalance, config.book_imbalance_factor, half_spread)
    most = half_spread if max_skew_bps is None else max_skew_bps
    ratio = clip(position / max_position, -1.0, 1.0) if max_position > 0.0 else 0.0
    return SkewResult(clip(of_position + of_book, -most, most), of_position, of_book, ratio)


def two_sided_sizes(position: float, max_position: float, target: float) -> tuple[float, float]:
    """(buy, sell): the target, less inside the last ``target`` before the cap, 0 at it."""
    return clip(max_position - position, 0.0, target), clip(max_position + position, 0.0, target)


def legal_price(instrument: Instrument, price: float, side: int) -> float:
    """The nearest price the venue accepts that is not better: bids down (+1), asks up (-1)."""
    spec = instrument.spec()
    return instrument.price(spec.price_floor(price) if side > 0 else spec.price_ceil(price))


def legal_quantity(instrument: Instrument, quantity: float) -> float:
    """The largest whole number of lots within a quantity."""
    return instrument.quantity(instrument.spec().qty_floor(quantity))


def bps_diff_whole(target: float, resting: float) -> int:
    """The original's difference: cut to whole bps, 16 bits, 10001 for a target of almost 0."""
    if abs(target) < 1e-9:
        return 10001
    return int(min(bps_diff(target, resting), 65535.0))


def needs_requote(
    target_price: float,
    target_size: float,
    resting_price: float,
    remaining: float,
    max_bps_diff: float,
) -> bool:
    """Whether a resting order is replaced: its size differs, or its price by more than allowed."""
    if abs(target_size - remaining) > 1e-9:
        return True
    return bps_diff(target_price, resting_price) > max_bps_diff


def close_out_price(mid: float, position: float, slippage: float = 0.05) -> float:
    """Limit of the reduce-only order that closes a position: so far through the mid."""
    return mid * (1.0 - slippage if position > 0.0 else 1.0 + slippage)


def wire_decimal(x: float) -> str:
    """A number as Hyperliquid wants it: at most 8 decimals, no trailing zeros, no "-0"."""
    text = f"{Decimal(repr(x)):.8f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
