"""The paper desk on bad days: positions found at the start, and closing them at the stop."""

from __future__ import annotations

import pytest

from mmcore.paper import PaperDesk
from mmcore.schema import (
    Config,
    InstrumentConfig,
    MarketConfig,
    SpecConfig,
    SyntheticConfig,
    TwoSidedConfig,
)

SPEC = SpecConfig(tick="0.1", lot="0.001", min_notional="5", base="BTC", quote="USDT")


def desk_of(**changes: object) -> PaperDesk:
    item = InstrumentConfig(
        symbol="BTCUSDT",
        strategy="two_sided",
        two_sided=TwoSidedConfig(
            target_liquidity=0.01,
            half_spread=10,
            max_bps_diff=10,
            max_absolute_position_size=1.0,
            rate_limit=2,
        ),
        spec=SPEC,
        synthetic=SyntheticConfig(),
        **changes,  # type: ignore[arg-type]
    )
    return PaperDesk(Config(market=MarketConfig(seed=3), instruments=(item,)), "desk", 20.0)


def run(desk: PaperDesk) -> int:
    """To the end and through the stop; the position that is left, units."""
    while not desk.over:
        desk.advance(100_000, 0)
        desk.drain()
    desk.stop()
    for _ in range(1_200):
        settled = desk.settle()
        desk.drain()
        if settled:
            break
    assert desk.n_open == 0
    position: int = desk._wiring.traders[0].state()["position"]
    desk.close()
    return position


@pytest.mark.parametrize("start", [0.25, -0.25])
def test_a_position_found_at_the_start_can_be_closed_at_the_stop(start: float) -> None:
    assert run(desk_of(start_position=start)) != 0
    assert run(desk_of(start_position=start, flatten_at_stop=True)) == 0


@pytest.mark.parametrize(
    ("start", "target", "existing", "position", "sellable"),
    [
        (2.0, 2.0, "adopt", 0, 2000),
        (0.0, 2.0, "adopt", -2000, 0),
        (3.0, 2.0, "adopt", 1000, 3000),
        (3.0, 2.0, "ignore", 0, 0),
    ],
)
def test_spot_counts_from_its_target_and_sells_only_what_is_there(
    start: float, target: float, existing: str, position: int, sellable: int
) -> None:
    desk = PaperDesk(
        Config(
            market=MarketConfig(seed=3),
            instruments=(
                InstrumentConfig(
                    symbol="BTCUSDT",
                    strategy="two_sided",
                    existing_position=existing,  # type: ignore[arg-type]
                    start_position=start,
                    target_base=target,
                    two_sided=TwoSidedConfig(
                        target_liquidity=9.0,
                        half_spread=500,
                        max_bps_diff=10,
                        max_absolute_position_size=20.0,
                        asset_type="spot",
                    ),
                    spec=SpecConfig(
                        kind="spot",
                        tick="0.1",
                        lot="0.001",
                        min_notional="5",
                        base="BTC",
                        quote="USDT",
                    ),
                ),
            ),
        ),
        "desk",
        1.0,
    )
    while not desk.over:
        desk.advance(100_000, 0)
        desk.drain()
    trader = desk._wiring.traders[0]
    state = trader.state()
    assert state["n_fills"] == 0
    assert state["position"] == position
    assert state["open_sell"] == sellable
    desk.close()
