"""Every key of a configuration file: type, unit, bounds, default and the reason for it.

One struct is one TOML table; they are frozen, and built only by :func:`mmcore.config.load`, which
has checked what the :class:`mmcore.keys.Key` of each field says.  ``docs/configuration.md`` prints
this module as tables, and a test compares the two.

Names are those of the two strategy documents wherever they have one.  Prices, sizes and money are
in the instrument's own currencies: *base* is what is bought and sold (contracts on inverse
markets), *quote* is what it is priced in.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct, field

from .keys import Key
from .symbols import SPOT_VENUES, Venue


class MarketConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where market data come from."""

    source: Annotated[
        Literal["synthetic", "tape", "venue"],
        Key("choice", "runs without network, keys or files; venue: its public data, see [live]"),
    ] = "synthetic"
    preset: Annotated[
        Literal["busy", "busy_eth", "block", "quiet"],
        Key("choice", "a small-tick perpetual; block: book images; quiet: large-tick spot"),
    ] = "busy"
    regime: Annotated[
        Literal["none", "ranging", "volatile", "trend", "quiet", "flash"],
        Key("choice", "what the synthetic market is going through; none: the preset as it is"),
    ] = "none"
    seed: Annotated[
        int, Key("number", "the same seed gives the same market", least=0, most=2**63 - 1)
    ] = 1
    files: Annotated[
        tuple[str, ...],
        Key("paths", "captures to replay, in order; relative to the configuration file"),
    ] = ()
    speed: Annotated[
        float, Key("market seconds a second", "0: as fast as possible", least=0, most=1e6)
    ] = 0.0


Environment = Literal["loopback", "testnet", "mainnet"]


class LiveConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The venue's servers: for mode = "live", and for its public data on paper."""

    environment: Annotated[
        Environment | None,
        Key(
            "choice",
            "loopback: the exchange in the box, started by the run",
            auto='mainnet for public data on paper; needed with mode = "live"',
        ),
    ] = None
    box: Annotated[
        str | None,
        Key(
            "host:port",
            "a box that runs already; its keys as for a test-net",
            auto="one of its own",
        ),
    ] = None
    faults: Annotated[
        str | None,
        Key(
            "path",
            "what goes wrong in the box, and when; relative to the configuration file",
            auto="nothing goes wrong",
        ),
    ] = None
    stream: Annotated[
        Literal["own", "client"], Key("choice", "client: the sockets of the vendor's library")
    ] = "own"
    order_entry: Annotated[
        Literal["socket", "rest"], Key("choice", "the faster one, where the venue has it")
    ] = "socket"
    keys_file: Annotated[
        str | None,
        Key(
            "path",
            "for you alone (chmod 600); relative to the configuration file",
            auto="environment variables",
        ),
    ] = None
    audit_seconds: Annotated[
        float,
        Key("s", "between two comparisons with the venue's own account", least=1, most=3600),
    ] = 30.0


class RunConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to run, and what to keep."""

    seconds: Annotated[
        float,
        Key("market seconds", "0: to the end of the tape, or until Ctrl-C", least=0, most=1e8),
    ] = 0.0
    directory: Annotated[
        str, Key("path", "every run gets a folder of its own in it; relative to where you stand")
    ] = "runs"
    event_log: Annotated[bool, Key("yes or no", "what the run saw can be replayed exactly")] = True
    journal: Annotated[bool, Key("yes or no", "requests and fills survive whatever happens")] = True


QueueModel = Literal["risk_averse", "power", "power2", "power3", "log", "log2"]


class SimulationConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simulated venue that our orders go to."""

    entry_latency_ms: Annotated[
        float, Key("ms", "order to matching engine, from a server near it", least=0, most=60_000)
    ] = 5.0
    response_latency_ms: Annotated[
        float, Key("ms", "matching engine back to us", least=0, most=60_000)
    ] = 5.0
    cancel_extra_ms: Annotated[
        float, Key("ms", "added to entry_latency_ms for cancels", least=0, most=60_000)
    ] = 0.0
    jitter_ms: Annotated[
        float, Key("ms", "mean of a seeded addition to each latency", least=0, most=60_000)
    ] = 0.0
    queue_model: Annotated[
        QueueModel, Key("choice", "the most careful: only trades move us up in the queue")
    ] = "risk_averse"
    queue_exponent: Annotated[
        float | None,
        Key("number", "higher: cancels happen more behind us", least=0.1, most=20, auto="3"),
    ] = None
    funding: Annotated[bool, Key("yes or no", "perpetuals pay at the stamps of the feed")] = True

    @property
    def exponent(self) -> float:
        """Exponent of the power models."""
        return 3.0 if self.queue_exponent is None else self.queue_exponent


class AccountConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits shared by all instruments of the run; they hold beside each instrument's own."""

    max_position_usd: Annotated[
        float | None,
        Key("quote", "sum of all positions' values", above=0, most=1e12, auto="no limit"),
    ] = None
    max_open_notional: Annotated[
        float | None,
        Key("quote", "sum of all open orders at their prices", above=0, most=1e12, auto="no limit"),
    ] = None
    max_loss: Annotated[
        float | None,
        Key("quote", "stops the run (exit 5) when lost since start", above=0, auto="no limit"),
    ] = None
    max_drawdown: Annotated[
        float | None,
        Key("quote", "stops the run (exit 5) when lost from the peak", above=0, auto="no limit"),
    ] = None
    rate_limit: Annotated[
        int | None,
        Key("requests/s", "all instruments together", least=1, most=4096, auto="no limit"),
    ] = None


class LimitsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hard limits of one instrument; live, travelling and unknown orders count as filled."""

    max_position: Annotated[
        float | None,
        Key("base", "no order may lead beyond it", above=0, most=1e15, auto="the strategy's own"),
    ] = None
    max_open_notional: Annotated[
        float | None,
        Key("quote", "all open orders at their prices", above=0, most=1e12, auto="no limit"),
    ] = None
    max_order_size: Annotated[
        float | None, Key("base", "one order", above=0, most=1e15, auto="the venue's")
    ] = None
    max_orders: Annotated[
        int, Key("orders", "own orders open at once, both sides", least=2, most=160)
    ] = 160
    max_loss: Annotated[
        float | None,
        Key("quote", "stops the run (exit 5) when lost since start", above=0, auto="no limit"),
    ] = None
    max_drawdown: Annotated[
        float | None,
        Key("quote", "stops the run (exit 5) when lost from the peak", above=0, auto="no limit"),
    ] = None
    book_age_seconds_max: Annotated[
        float,
        Key("s", "an older book is stale: quotes are pulled; 0: never", least=0, most=86_400),
    ] = 60.0


class SpecConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the venue would say about the instrument; needed where mmcore does not know it.

    Decimals are kept as text, so that 0.1 stays exactly 0.1.
    """

    tick: Annotated[str | None, Key("quote", "price step", above=0, auto="table")] = None
    lot: Annotated[str | None, Key("base", "size step of orders", above=0, auto="table")] = None
    qty_decimals: Annotated[
        int | None,
        Key("digits", "of the finest size on the wire", least=0, most=18, auto="those of the lot"),
    ] = None
    min_qty: Annotated[str | None, Key("base", "smallest order", least=0, auto="one lot")] = None
    max_qty: Annotated[str | None, Key("base", "largest; 0: none", least=0, auto="table")] = None
    min_notional: Annotated[
        str | None, Key("quote", "smallest order value; 0: none", least=0, auto="table")
    ] = None
    contract_size: Annotated[
        str | None,
        Key("base, or quote a contract (inverse)", "worth of 1.0 of size", above=0, auto="1"),
    ] = None
    kind: Annotated[
        Literal["linear", "inverse", "spot"] | None,
        Key("choice", "how money is counted", auto="table"),
    ] = None
    sig_figs: Annotated[
        int | None,
        Key("digits", "significant figures of a price; 0: any", least=0, most=12, auto="table"),
    ] = None
    price_step: Annotated[str | None, Key("quote", "step of orders", above=0, auto="tick")] = None
    base: Annotated[str | None, Key("name", "asset that is bought and sold", auto="table")] = None
    quote: Annotated[str | None, Key("name", "asset of the price", auto="table")] = None
    maker_fee_bps: Annotated[
        float | None,
        Key("bps of the notional", "negative is a rebate", least=-100, most=1000, auto="base tier"),
    ] = None
    taker_fee_bps: Annotated[
        float | None,
        Key("bps of the notional", "as maker_fee_bps", least=-100, most=1000, auto="base tier"),
    ] = None


class SyntheticConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One instrument of a synthetic market."""

    preset: Annotated[
        Literal["busy", "busy_eth", "block", "quiet"] | None,
        Key("choice", "as market.preset, for this instrument", auto="market.preset"),
    ] = None
    start_price: Annotated[
        float | None,
        Key(
            "quote",
            "the preset is scaled to it",
            above=0,
            most=1e9,
            auto="the asset's usual, or the preset's",
        ),
    ] = None


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
        float, Key("share", "part of asset x leverage that is used", above=0, most=1)
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
        float, Key("s", "an older grid is built anew", above=0, most=86_400)
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


class InstrumentConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One instrument and the strategy that trades it."""

    venue: Annotated[Venue, Key("choice", "whose rules and fees hold")] = "synthetic"
    symbol: Annotated[str, Key("name", "as the venue writes it; needed")]
    strategy: Annotated[Literal["grid", "two_sided"], Key("choice", "see the two tables")] = "grid"
    post_only: Annotated[
        bool, Key("yes or no", "no order may take; false: GTC, may pay the taker fee")
    ] = True
    existing_position: Annotated[
        Literal["adopt", "ignore", "refuse"],
        Key("choice", "what to do with a position found at start"),
    ] = "adopt"
    start_position: Annotated[
        float, Key("base", "position found at start, signed (paper)", least=-1e15, most=1e15)
    ] = 0.0
    target_base: Annotated[
        float, Key("base", "spot: holding that counts as flat", least=0, most=1e15)
    ] = 0.0
    quote_balance: Annotated[
        float | None,
        Key("quote", "spot, paper: money to buy with", least=0, most=1e15, auto="enough"),
    ] = None
    flatten_at_stop: Annotated[
        bool, Key("yes or no", "take the position off at the end; pays taker fees")
    ] = False
    grid: Annotated[GridConfig, Key("table", "strategy grid")] = field(default_factory=GridConfig)
    two_sided: Annotated[TwoSidedConfig, Key("table", "strategy two_sided")] = field(
        default_factory=TwoSidedConfig
    )
    limits: Annotated[LimitsConfig, Key("table", "hard limits")] = field(
        default_factory=LimitsConfig
    )
    spec: Annotated[SpecConfig, Key("table", "what the venue would say")] = field(
        default_factory=SpecConfig
    )
    synthetic: Annotated[SyntheticConfig, Key("table", "its synthetic market")] = field(
        default_factory=SyntheticConfig
    )

    @property
    def is_spot(self) -> bool:
        """Whether the instrument is spot: by ``spec.kind``, else by its venue."""
        if self.spec.kind is not None:
            return self.spec.kind == "spot"
        return self.venue in SPOT_VENUES

    @property
    def leverage(self) -> float:
        """Of strategy grid: as given, else 12, and 1 on spot."""
        if self.grid.leverage is not None:
            return self.grid.leverage
        return 1.0 if self.is_spot else 12.0

    @property
    def max_position_usd(self) -> float:
        """Of strategy grid, quote currency: as given, else asset x leverage x margin."""
        if self.grid.max_position_usd is not None:
            return self.grid.max_position_usd
        return self.grid.asset * self.leverage * self.grid.margin


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration file.

    ``[[instrument]]`` tables are ``instruments`` here, in the order of the file; an instrument's
    index is its place.  path: the file, "" where the text came from elsewhere.  text: what was
    read, for the run directory.  The last two are no keys.
    """

    instruments: Annotated[tuple[InstrumentConfig, ...], Key("tables", "at least one")] = field(
        name="instrument"
    )
    mode: Annotated[
        Literal["paper", "live"], Key("choice", "simulated orders; live: at the venue, see [live]")
    ] = "paper"
    market: Annotated[MarketConfig, Key("table", "where data come from")] = field(
        default_factory=MarketConfig
    )
    live: Annotated[LiveConfig, Key("table", "the venue's servers")] = field(
        default_factory=LiveConfig
    )
    run: Annotated[RunConfig, Key("table", "how long, what to keep")] = field(
        default_factory=RunConfig
    )
    simulation: Annotated[SimulationConfig, Key("table", "the simulated venue")] = field(
        default_factory=SimulationConfig
    )
    account: Annotated[AccountConfig, Key("table", "limits over all instruments")] = field(
        default_factory=AccountConfig
    )
    path: str = ""
    text: str = ""

    @property
    def environment(self) -> Environment:
        """Whose servers: as given, else the main-net, for public data."""
        return self.live.environment or "mainnet"

    @property
    def needs_venue(self) -> bool:
        """Whether a run talks to a venue, the exchange in the box included."""
        return self.mode == "live" or self.market.source == "venue"
