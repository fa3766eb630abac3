"""Every key of a configuration file: type, unit, bounds, default and the reason for it.

One struct is one TOML table; they are frozen, and built only by :func:`mmcore.config.load`, which
has checked what the :class:`mmcore.keys.Key` of each field says.  Here are the whole file and the
instrument; the modules ``schema_*`` hold the other tables, one subject each.
``docs/configuration.md`` prints all of them, and a test compares the two.

Names are those of the two strategy documents wherever they have one.  Prices, sizes and money are
in the instrument's own currencies: *base* is what is bought and sold (contracts on inverse
markets), *quote* is what it is priced in.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct, field

from .keys import Key
from .schema_limits import AccountConfig, LimitsConfig
from .schema_simulation import FeesConfig, FeeTierConfig, QueueModel, Rule, SimulationConfig
from .schema_sources import Environment, LiveConfig, MarketConfig, RunConfig, SyntheticConfig
from .schema_spec import SpecConfig
from .schema_strategies import (
    GridConfig,
    Inventory,
    InventorySkewConfig,
    TwoSidedConfig,
    WeightsConfig,
)
from .symbols import SPOT_VENUES, Venue

__all__ = [
    "AccountConfig",
    "Config",
    "Environment",
    "FeeTierConfig",
    "FeesConfig",
    "GridConfig",
    "InstrumentConfig",
    "Inventory",
    "InventorySkewConfig",
    "LimitsConfig",
    "LiveConfig",
    "MarketConfig",
    "QueueModel",
    "Rule",
    "RunConfig",
    "SimulationConfig",
    "SpecConfig",
    "SyntheticConfig",
    "TwoSidedConfig",
    "WeightsConfig",
]


class InstrumentConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One instrument and the strategy that trades it."""

    venue: Annotated[Venue, Key("choice", "whose rules and fees hold")] = "synthetic"
    symbol: Annotated[str, Key("name", "as the venue writes it; needed", example='"BTCUSDT"')]
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
        Key("quote", "spot, paper: money to buy with", least=0, most=9e10, auto="enough"),
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
    fees: Annotated[FeesConfig, Key("table", "of the simulated venue")] = field(
        default_factory=FeesConfig
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

    instruments: Annotated[
        tuple[InstrumentConfig, ...], Key("tables", "at least one", example="[[instrument]]")
    ] = field(name="instrument")
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
