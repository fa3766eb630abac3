"""Where the rows of a run come from: the synthetic market, or the tapes of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ConfigError
from .instrument import Instrument
from .listing import instrument_of
from .symbols import START_PRICES

if TYPE_CHECKING:
    from .schema import Config
    from .synthetic import SyntheticSource
    from .tape import Source, TapeSource


def source_of(config: Config, *, seconds: float) -> Source:
    """The source of a run; its instruments stand in the order of the configuration.

    seconds: market time that a synthetic market is made for, 0 for endless.  Raises ConfigError for
    an instrument that nothing is known of, DataError for a tape that cannot be read.
    """
    return _tape(config) if config.market.source == "tape" else _synthetic(config, seconds)


def _synthetic(config: Config, seconds: float) -> SyntheticSource:
    from .synthetic import PRESETS, REGIMES, SyntheticSource, market, together

    regime = REGIMES[config.market.regime]
    markets = []
    for item in config.instruments:
        preset = item.synthetic.preset or config.market.preset
        instrument = instrument_of(item)
        price = item.synthetic.start_price or START_PRICES.get(instrument.base)
        try:
            markets.append(market(instrument, regime.of(PRESETS[preset]), price))
        except ValueError as error:
            name = f"{item.venue}:{item.symbol}"
            raise ConfigError(
                str(error).removeprefix(f"{name}: "),
                where=f"{config.path}: {name}",
                done="nothing was started",
                todo="change start_price in [instrument.synthetic], or the tick",
            ) from None
    return SyntheticSource(together(markets), seconds=seconds, seed=config.market.seed)


def _tape(config: Config) -> TapeSource:
    from .tape import TapeSource

    plans = config.instruments

    def figures(place: int, said: Instrument | None) -> Instrument:
        return instrument_of(plans[place], {said.symbol: said} if said else None)

    wanted = [(item.venue, item.symbol) for item in plans]
    return TapeSource(config.market.files, wanted, figures=figures)
