"""The second document's maker as one object: an input, and ``start()``.

For notebooks and small scripts; a configuration file with ``strategy = "two_sided"`` says the same
and more, and runs through the same session.
"""

from __future__ import annotations

from .schema import (
    Config,
    InstrumentConfig,
    InventorySkewConfig,
    MarketConfig,
    RunConfig,
    SimulationConfig,
    SpecConfig,
    SyntheticConfig,
    TwoSidedConfig,
)
from .session import run_config
from .strategy import MarketMakerInput
from .symbols import Venue


class MarketMaker:
    """Quotes one bid and one ask around the mid, as :class:`MarketMakerInput` says.

    input: what to quote.  venue, symbol: the instrument; symbol defaults to the input's asset.
    spec: what the venue says of it, where mmcore does not know it.  market, simulation, run: where
    the data come from, the simulated venue, how long and where to keep records.  start_price: of a
    synthetic market, quote currency.  Orders are simulated; nothing leaves this machine.
    """

    def __init__(
        self,
        input: MarketMakerInput,  # noqa: A002 - the document's name
        *,
        venue: Venue = "hyperliquid",
        symbol: str = "",
        spec: SpecConfig | None = None,
        market: MarketConfig | None = None,
        simulation: SimulationConfig | None = None,
        run: RunConfig | None = None,
        start_price: float | None = None,
    ) -> None:
        skew = input.inventory_skew_config
        self.config = Config(
            market=market or MarketConfig(preset="block"),
            simulation=simulation or SimulationConfig(),
            run=run or RunConfig(),
            instruments=(
                InstrumentConfig(
                    venue=venue,
                    symbol=symbol or input.asset,
                    strategy="two_sided",
                    two_sided=TwoSidedConfig(
                        asset=input.asset,
                        asset_type="spot" if input.asset_type == "spot" else "perp",
                        target_liquidity=input.target_liquidity,
                        half_spread=input.half_spread,
                        max_bps_diff=input.max_bps_diff,
                        max_absolute_position_size=input.max_absolute_position_size,
                        inventory_skew_config=None
                        if skew is None
                        else InventorySkewConfig(
                            inventory_skew_factor=skew.inventory_skew_factor,
                            book_imbalance_factor=skew.book_imbalance_factor,
                            depth_analysis_levels=skew.depth_analysis_levels,
                        ),
                    ),
                    spec=spec or SpecConfig(),
                    synthetic=SyntheticConfig(start_price=start_price),
                ),
            ),
        )

    def start(self, *, seconds: float | None = None, json: bool = False) -> int:
        """Run to the end of the market or for ``seconds`` of it; the exit code.

        Prints what `python -m mmcore run` prints.  Raises MmcoreError for what keeps it from
        starting.
        """
        return run_config(self.config, seconds=seconds, json=json, title="maker")
