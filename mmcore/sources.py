"""Where the rows of a run come from: the synthetic market, or the tapes of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ConfigError
from .listing import instrument_of

if TYPE_CHECKING:
    from .schema import Config
    from .synthetic import SyntheticSource


def source_of(config: Config, *, seconds: float) -> SyntheticSource:
    """The source of a run; its instruments stand in the order of the configuration.

    seconds: market time that a synthetic market is made for, 0 for endless.
    """
    from .synthetic import SyntheticSource, market, together

    markets = []
    for item in config.instruments:
        preset = item.synthetic.preset or config.market.preset
        try:
            markets.append(market(instrument_of(item), preset, item.synthetic.start_price))
        except ValueError as error:
            raise ConfigError(
                str(error),
                where=f"{item.venue}:{item.symbol}",
                done="nothing was started",
                todo="change start_price in [instrument.synthetic], or the tick",
            ) from None
    return SyntheticSource(together(markets), seconds=seconds, seed=config.market.seed)
