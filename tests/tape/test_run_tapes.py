"""`run` over the recordings: no gap, the same journal hash twice, quick."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DAY = "2024080[89].gz"
GRID = '[[instrument]]\nvenue = "{}"\nsymbol = "{}"\n[instrument.grid]\nasset = 10000.0\n'
TWO = (
    '[[instrument]]\nvenue = "{}"\nsymbol = "{}"\nstrategy = "two_sided"\n'
    "[instrument.two_sided]\ntarget_liquidity = {}\nhalf_spread = 2.0\n"
    "max_absolute_position_size = {}\n[instrument.two_sided.inventory_skew_config]\n"
)
SIX = [
    ("binance-usdm", "BTCUSDT"),
    ("binance-usdm", "ETHUSDT"),
    ("binance-spot", "BTCUSDT"),
    ("binance-spot", "ETHUSDT"),
    ("binance-coinm", "BTCUSD_PERP"),
    ("binance-coinm", "ETHUSD_PERP"),
]
BYBIT = [("bybit-linear", symbol) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")]

RUNS = {
    "BTCUSDT, grid": ("binance/usdm/BTCUSDT/*0240808.gz", GRID.format("binance-usdm", "BTCUSDT")),
    "BTCUSDT, two_sided": (
        "binance/usdm/BTCUSDT/*0240808.gz",
        TWO.format("binance-usdm", "BTCUSDT", 0.01, 0.05),
    ),
    "NEXOUSDT, 24 hours": (
        "binance/spot/NEXOUSDT/*.dat.gz",
        TWO.format("binance-spot", "NEXOUSDT", 100, 500),
    ),
    "ten files, six instruments": (
        f"binance/*/*/*{DAY}",
        "".join(GRID.format(*each) for each in SIX),
    ),
    "images of a minute each": (
        "hyperliquid/ETH/parquet_*/*/*.parquet",
        GRID.format("hyperliquid", "ETH"),
    ),
    "images of a thousand levels": (
        "binance/usdm/BTCUSDT/parquet_*/*.parquet",
        GRID.format("binance-usdm", "BTCUSDT"),
    ),
    "Bybit": ("bybit/v5_public_*/*.zst", "".join(GRID.format(*each) for each in BYBIT)),
}


def run(folder: Path, files: list[str], instruments: str) -> dict[str, object]:
    head = f'[market]\nsource = "tape"\nfiles = {json.dumps(files)}\n[run]\nevent_log = false\n'
    (folder / "config.toml").write_text(head + instruments)
    done = subprocess.run(
        [sys.executable, "-m", "mmcore", "run", "config.toml", "--json"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    facts: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return facts


@pytest.mark.parametrize("name", RUNS)
def test_a_recording_runs_without_a_gap_and_twice_the_same(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    pattern, instruments = RUNS[name]
    files = sorted(map(str, shared_data.glob(pattern)))
    assert files
    first = run(tmp_path, files, instruments)
    assert first["gaps"] == first["problems"] == first["remaining"] == 0
    assert first["messages"] > 1000
    assert all(trader["quotes"] > 0 for trader in first["traders"])
    assert first["wall_s"] < 3.0 or len(files) > 2
    again = run(tmp_path, files, instruments)
    assert again["journal_hash"] == first["journal_hash"]
