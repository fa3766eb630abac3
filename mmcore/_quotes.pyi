from typing_extensions import disjoint_base

from ._signals import Weights

INVENTORY: dict[str, int]
PROFILES: dict[str, int]
ANCHORS: dict[str, int]
DISTANCES: dict[str, int]
SKEW_USES: dict[str, int]
ASSET_TYPES: tuple[str, ...]

def nbsqrt(x: float) -> float:
    """sgn(x) * sqrt(|x|)."""

def round_step(x: float, step: float) -> float:
    """The multiple of ``step`` nearest to ``x``, halves away from zero; nan for a step of 0."""

def final_skew(inventory: int, strict: bool, kappa: float, signal: float, delta: float) -> float:
    """The signal after inventory control, in [-1, 1].

    inventory: a value of INVENTORY.  strict: bend the signal only where position and signal agree.
    kappa: pull of a full position.  signal: [-1, 1].  delta: position value over the largest
    position value, clipped to [-1, 1].
    """

def quoted_spread(
    price: float, market_spread: float, least: float, most: float, growth: float
) -> float:
    """The spread to quote, quote currency.

    market_spread: best ask - best bid.  least, most: bounds, fractions of the price.  growth:
    factor for volatility, applied within the bounds.
    """

def bps_diff(target: float, resting: float) -> float:
    """|resting - target| in basis points of the target; infinite where the target is 0."""

def position_component(
    position: float, max_position: float, factor: float, half_spread: float
) -> float:
    """-(position / max_position) * factor * half_spread, the ratio clipped to [-1, 1]; bps.

    0 where ``max_position`` is not above 0.
    """

def book_component(imbalance: float, factor: float, half_spread: float) -> float:
    """imbalance * factor * half_spread; bps."""

def skewed_price(price: float, skew_bps: float) -> float:
    """price * (1 + skew_bps / 10000); bid and ask alike, so that both shift together."""

@disjoint_base
class Strategy:
    """What a trader quotes by; immutable.  Made as one of the two classes below."""

    @property
    def kind(self) -> str:
        """ "grid" or "two_sided"."""

@disjoint_base
class GridStrategy(Strategy):
    """A ladder of orders on each side.

    asset: quote currency given to the instrument; leverage; margin: share of their product used;
    max_position_usd: M, instead of the three.  orders_per_side: 1 to 32.  final_order_distance: of
    the outermost order, in spreads, from the innermost (``final_order_distance_from="inner"``) or
    from the centre ("mid").  minimum_spread: bps, 0 means 27.  maximum_spread: bps, default 3.7
    times the least.  edge_bps: the least spread also covers two maker fees and this.
    volatility_factor: the spread grows by 1 + factor * volatility (per square root of a second).
    anchor: "mid" or "microprice".  requote_spreads: out of bounds beyond so many spreads.
    inventory: "mean_reverting", "trend_following", "plain", "damped" or "neutral"; kappa: its
    strength, default 0.63 (trend_following 0.5); inventory_strict: bend the signal only where
    position and signal agree.  stop_delta: a side stops when the position is that share of M, 0
    never.  size_profile: "outer_heavy", "inner_heavy" or "flat".  size_ratio_favoured,
    size_ratio_other: geometric ratio of sizes on the side the skew favours and on the other.
    size_ratio_range: the favoured ratio follows |skew| within it.  weights: of the skew signal.

    Raises ValueError naming the argument, its value and the rule.
    """

    def __init__(
        self,
        *,
        asset: float | None = None,
        leverage: float = 1.0,
        margin: float = 0.93,
        max_position_usd: float | None = None,
        orders_per_side: int = 4,
        final_order_distance: float = 10.0,
        final_order_distance_from: str = "inner",
        minimum_spread: float = 0.0,
        maximum_spread: float | None = None,
        edge_bps: float | None = None,
        volatility_factor: float = 0.0,
        anchor: str = "mid",
        requote_spreads: float = 1.0,
        inventory: str = "mean_reverting",
        kappa: float | None = None,
        inventory_strict: bool = False,
        stop_delta: float = 0.5,
        size_profile: str = "outer_heavy",
        size_ratio_favoured: float = 0.63,
        size_ratio_other: float = 0.37,
        size_ratio_range: tuple[float, float] | None = None,
        weights: Weights | None = None,
    ) -> None: ...
    @property
    def max_position_usd(self) -> float:
        """M, quote currency."""

    @property
    def weights(self) -> tuple[list[float], list[float]]:
        """Shares of a side's budget, innermost first: (favoured side, other side)."""

class TwoSidedStrategy(Strategy):
    """One bid and one ask that shift with position and book.

    target_liquidity: quantity per side (contracts on inverse markets).  half_spread: bps of the
    price.  max_bps_diff: a resting order this near its target stays, bps.
    max_absolute_position_size: quantity; sizes shrink to 0 at it.  asset_type: "perp" or "spot".
    inventory_skew_factor, book_imbalance_factor: [0, 1], shares of half_spread;
    depth_analysis_levels: of the book's imbalance.  With none of these three there is no skew; with
    any, the others default to 0.5, 0.3 and 5.  max_skew_bps: cap of the skew, default half_spread.
    skew_application: "shift", or "width" as the original code had it.  anchor: "mid" or
    "microprice".

    Raises ValueError naming the argument, its value and the rule.
    """

    def __init__(
        self,
        *,
        target_liquidity: float,
        half_spread: float,
        max_bps_diff: float,
        max_absolute_position_size: float,
        asset_type: str = "perp",
        inventory_skew_factor: float | None = None,
        book_imbalance_factor: float | None = None,
        depth_analysis_levels: int | None = None,
        max_skew_bps: float | None = None,
        skew_application: str = "shift",
        anchor: str = "mid",
    ) -> None: ...
    @property
    def max_bps_diff(self) -> float: ...
    @property
    def depth_analysis_levels(self) -> int: ...
