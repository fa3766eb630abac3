"""The documents' second usage example, with and without skew."""

import json
from pathlib import Path

import pytest

from mmcore.errors import ExitCode
from mmcore.maker import MarketMaker
from mmcore.schema import MarketConfig, RunConfig, SpecConfig
from mmcore.strategy import InventorySkewConfig, MarketMakerInput


@pytest.mark.parametrize("skew", [None, InventorySkewConfig(0.5, 0.3, 5)], ids=["plain", "skew"])
def test_the_documents_maker_starts_and_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], skew: InventorySkewConfig | None
) -> None:
    maker = MarketMaker(
        MarketMakerInput(
            asset="HYPE",
            target_liquidity=10.0,
            half_spread=15,
            max_bps_diff=10,
            max_absolute_position_size=50.0,
            inventory_skew_config=skew,
        ),
        spec=SpecConfig(
            tick="0.0001", lot="0.01", min_notional="10", sig_figs=5, base="HYPE", quote="USDC"
        ),
        market=MarketConfig(preset="block", seed=7),
        run=RunConfig(directory=str(tmp_path)),
        start_price=25.5,
    )
    assert maker.start(seconds=120, json=True) == ExitCode.OK
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["gaps"] == 0
    assert summary["traders"][0]["quotes"] > 0
    assert summary["remaining"] == 0
