"""Configuration: a TOML file becomes a frozen :class:`Config`, or every fault in it is named."""

from .schema import (
    AccountConfig,
    Config,
    GridConfig,
    InstrumentConfig,
    InventorySkewConfig,
    LimitsConfig,
    MarketConfig,
    RunConfig,
    SimulationConfig,
    SpecConfig,
    SyntheticConfig,
    TwoSidedConfig,
    WeightsConfig,
)

__all__ = [
    "AccountConfig",
    "Config",
    "GridConfig",
    "InstrumentConfig",
    "InventorySkewConfig",
    "LimitsConfig",
    "MarketConfig",
    "RunConfig",
    "SimulationConfig",
    "SpecConfig",
    "SyntheticConfig",
    "TwoSidedConfig",
    "WeightsConfig",
]
