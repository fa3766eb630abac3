"""Keys of the two strategies."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct, field

from .keys import Key


class WeightsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights of the skew signal; together at most 1, so that the signal stays within -1 and 1."""

    imbalance: Annotated[
        float, Key("share", "depth-weighted imbalance, first depth", least=0, most=1)
    ] = 0.25
    deep_imbalance: Annotated[float, Key("share", "its mean over depths", least=0, most=1)] = 0.10
    trade: Annotated[
        float, Key("share", "bought against sold; later version: 0.30", least=0, most=1)
    ] = 0.0
    voi: Annotated[float, Key("share", "volume order imbalance", least=0, most=1)] = 0.10
    ofi: Annotated[float, Key("share", "order flow imbalance", least=0, most=1)] = 0.10
    deep_ofi: Annotated[float, Key("share", "its mean over depths", least=0, most=1)] = 0.10
    predict: Annotated[float, Key("share", "price forecast", least=0, most=1)] = 0.35


Inventory = Literal["mean_reverting", "trend_following", "plain", "damped", "neutral"]


class GridConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Strategy `grid`: a ladder of orders on each side, bent by signal and position."""

    asset: Annotated[
        float, Key("quote", "balance given to this instrument", above=0, most=1e12)
    ] = 1000.0
    leverage: Annotated[
        float | None,
        Key("times", "the document's example", above=0, most=125, auto="12; on spot 1"),
    ] = None
    margin: Annotated[
        float, Key("share", "part of asset x leverage that is used", least=0.001, most=1)
    ] = 0.93
    max_position_usd: Annotated[
        float | None,
        Key("quote", "each side's budget is half of it", above=0, auto="asset x leverage x margin"),
    ] = None
    orders_per_side: Annotated[int, Key("orders", "the document's example", least=1, most=32)] = 4
    final_order_distance: Annotated[
        float, Key("spreads", "outermost from innermost order", above=0, most=1000)
    ] = 10.0
    final_order_distance_from: Annotated[
        Literal["inner", "mid"], Key("choice", "mid: the document's sentence taken literally")
    ] = "inner"
    rate_limit: Annotated[
        int,
        Key(
            "requests/s", "never more in any second; a part is kept for cancels", least=1, most=4096
        ),
    ] = 10
    batch_size: Annotated[int, Key("orders", "in one request", least=1, most=20)] = 10
    minimum_spread: Annotated[
        float, Key("bps of the mid", "the document's default", above=0, most=5000)
    ] = 27.0
    maximum_spread: Annotated[
        float | None,
        Key(
            "bps of the mid",
            "cap of the quoted spread",
            above=0,
            most=5000,
            auto="3.7 x minimum_spread",
        ),
    ] = None
    edge_bps: Annotated[
        float | None,
        Key(
            "bps of the mid",
            "least spread also covers two maker fees and this",
            least=0,
            most=1000,
            auto="fees not looked at",
        ),
    ] = None
    volatility_factor: Annotated[
        float,
        Key(
            "1 / volatility a second",
            "spread x (1 + factor x volatility); 0: off",
            least=0,
            most=1e6,
        ),
    ] = 0.0
    anchor: Annotated[
        Literal["mid", "microprice"], Key("choice", "price that the grid is centred on")
    ] = "mid"
    requote_spreads: Annotated[
        float, Key("spreads", "mid moves that far: new grid", above=0, most=100)
    ] = 1.0
    requote_bps: Annotated[
        float, Key("bps", "an order this near a wanted price is kept", least=0, most=1000)
    ] = 1.0
    size_tolerance: Annotated[float, Key("share", "and this near in size", least=0, most=1)] = 0.1
    grid_stale_seconds: Annotated[
        float, Key("s", "an older grid is built anew", least=0.001, most=86_400)
    ] = 180.0
    fill_debounce_ms: Annotated[
        float, Key("ms", "from a fill to the new grid", least=0, most=60_000)
    ] = 50.0
    inventory: Annotated[
        Inventory, Key("choice", "position pulls back; trend_following: the other variant")
    ] = "mean_reverting"
    kappa: Annotated[
        float | None,
        Key(
            "share of a full skew",
            "pull of a full position",
            least=0,
            most=2,
            auto="0.63; trend_following 0.5",
        ),
    ] = None
    inventory_strict: Annotated[
        bool, Key("yes or no", "bend the signal only where position and signal agree")
    ] = False
    stop_delta: Annotated[
        float,
        Key("share of max_position_usd", "no more buys (sells) beyond it; 0: off", least=0, most=1),
    ] = 0.5
    size_profile: Annotated[
        Literal["outer_heavy", "inner_heavy", "flat"], Key("choice", "where a side's size lies")
    ] = "outer_heavy"
    size_ratio_favoured: Annotated[
        float, Key("ratio", "geometric, of the favoured side", above=0, most=1)
    ] = 0.63
    size_ratio_other: Annotated[
        float, Key("ratio", "geometric, of the other side", above=0, most=1)
    ] = 0.37
    size_ratio_range: Annotated[
        tuple[float, float] | None,
        Key(
            "ratios",
            "favoured ratio follows the aggression within it",
            above=0,
            most=1,
            auto="fixed ratios",
        ),
    ] = None
    depths: Annotated[
        tuple[int, ...], Key("levels", "of the signal's imbalances", least=1, most=128)
    ] = (4, 13, 32)
    tick_window: Annotated[
        int, Key("updates", "window of the forecast", least=10, most=10_000_000)
    ] = 8000
    dead_band: Annotated[
        float, Key("share", "smaller imbalances count as none", least=0, below=1)
    ] = 0.20
    forecast_gate_bps: Annotated[
        float, Key("bps", "smaller forecasts do not vote", least=0, most=1000)
    ] = 5.0
    forecast: Annotated[
        Literal["next", "mean"],
        Key("choice", "next: one message ahead; mean: the original, mean price of the window"),
    ] = "next"
    vote: Annotated[
        Literal["halves", "ladder"],
        Key("choice", "forecast and microprice half each; ladder: the original's four rules"),
    ] = "halves"
    deep_magnitude: Annotated[
        bool, Key("yes or no", "deep_ofi counts by its size, not only by its sign")
    ] = False
    weights: Annotated[WeightsConfig, Key("table", "of the skew signal")] = field(
        default_factory=WeightsConfig
    )

    @property
    def spread_cap(self) -> float:
        """Largest spread in multiples of the least."""
        if self.maximum_spread is None:
            return 3.7
        return self.maximum_spread / self.minimum_spread

    @property
    def inventory_strength(self) -> float:
        """``kappa``, or the default of the inventory variant."""
        if self.kappa is not None:
            return self.kappa
        return 0.5 if self.inventory == "trend_following" else 0.63


class InventorySkewConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shift of both quotes by position and book; leave the table out for none."""

    inventory_skew_factor: Annotated[
        float, Key("share of half_spread", "at a full position", least=0, most=1)
    ] = 0.5
    book_imbalance_factor: Annotated[
        float, Key("share of half_spread", "at a one-sided book", least=0, most=1)
    ] = 0.3
    depth_analysis_levels: Annotated[
        int, Key("levels", "more gives little more", least=1, most=1000)
    ] = 5
    max_skew_bps: Annotated[
        float | None, Key("bps", "cap of the shift", least=0, most=5000, auto="half_spread")
    ] = None


class TwoSidedConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Strategy `two_sided`: one bid and one ask around the mid."""

    asset: Annotated[
        str | None, Key("name", "as in the document; must fit the symbol", auto="the symbol's base")
    ] = None
    asset_type: Annotated[
        Literal["perp", "spot"] | None, Key("choice", "must fit the venue", auto="the venue's")
    ] = None
    target_liquidity: Annotated[
        float, Key("base", "size on each side; the document's example", above=0, most=1e15)
    ] = 10.0
    half_spread: Annotated[
        float, Key("bps of the mid", "the document's example", above=0, most=5000)
    ] = 15.0
    max_bps_diff: Annotated[
        float, Key("bps", "an order this near its target is kept", least=0, most=5000)
    ] = 10.0
    max_absolute_position_size: Annotated[
        float, Key("base", "sizes shrink to 0 at it; the document's example", above=0, most=1e15)
    ] = 50.0
    rate_limit: Annotated[int, Key("requests/s", "as in grid", least=1, most=4096)] = 10
    anchor: Annotated[
        Literal["mid", "microprice"], Key("choice", "price that quotes are centred on")
    ] = "mid"
    skew_application: Annotated[
        Literal["shift", "width"],
        Key("choice", "width: the original code, both quotes move apart or together"),
    ] = "shift"
    inventory_skew_config: Annotated[
        InventorySkewConfig | None, Key("table", "the document's None", auto="no skew")
    ] = None
