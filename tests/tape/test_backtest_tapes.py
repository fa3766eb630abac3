"""Backtests and replays over the recordings: a day in under a second, and every decision again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mmcore.backtest import Choices, backtest
from mmcore.config import loads
from mmcore.lanes import PassDesk
from mmcore.retrace import Recorded, retrace, simulate
from mmcore.schema import Config

GRID = '[[instrument]]\nvenue = "{}"\nsymbol = "{}"\n[instrument.grid]\nasset = 10000.0\n'
ENGINE_S = 1.0
DAY = "binance/spot/NEXOUSDT/*.dat.gz"


def config(shared_data: Path, folder: Path, pattern: str, *items: tuple[str, str]) -> Config:
    files = [str(path) for path in sorted(shared_data.glob(pattern))]
    head = f'[market]\nsource = "tape"\nfiles = {json.dumps(files)}\n'
    head += f'[run]\ndirectory = "{folder.as_posix()}"\n'
    return loads(head + "".join(GRID.format(*item) for item in items), "tape.toml")


@pytest.mark.parametrize(
    ("pattern", "items"),
    [
        (DAY, [("binance-spot", "NEXOUSDT")]),
        (
            "binance/*/*USDT/*20240808.gz",
            [("binance-usdm", "BTCUSDT"), ("binance-spot", "ETHUSDT")],
        ),
    ],
)
def test_a_recording_is_backtested_and_made_again(
    shared_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    pattern: str,
    items: list[tuple[str, str]],
) -> None:
    told = config(shared_data, tmp_path, pattern, *items)
    assert backtest([told], Choices(json=True)) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["traders"][0]["fills"] > 0
    again = retrace(Recorded.open(said["directory"]))
    assert again.same
    assert len(again.records) > 100


@pytest.mark.skipif("CI" in os.environ, reason="wall time")
def test_a_day_takes_less_than_a_second_of_engine_time(shared_data: Path, tmp_path: Path) -> None:
    told = config(shared_data, tmp_path, DAY, ("binance-spot", "NEXOUSDT"))
    times = []
    for n in (1, 10):
        desk = PassDesk([told] * n, "backtest", 0.0)
        simulate(desk, 0)
        times.append(desk.engine_s)
        desk.close()
    assert times[0] < ENGINE_S
    assert times[1] < 10 * times[0]
