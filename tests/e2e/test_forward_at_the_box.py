"""The forward test at the exchange in the box: two variants on one connection, then compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mmcore.errors import ExitCode
from mmcore.events import Flag, Kind, RecordKind
from mmcore.journal import read_facts, read_records
from mmcore.recording import heads_of
from mmcore.retrace import Recorded, retrace
from mmcore.tape import TapeFile

if sys.platform == "win32":
    pytest.skip("POSIX signals", allow_module_level=True)

SEED, LONG_SEED = 7_101, 7_102
TEXT = """
[live]
environment = "loopback"
{faults}
[market]
source = "venue"
seed = {seed}
[[instrument]]
venue = "bybit-linear"
symbol = "BTCUSDT"
[instrument.grid]
asset = 20000
leverage = 5
minimum_spread = {spread}
final_order_distance = 3
requote_spreads = 0.2
rate_limit = 30
[[instrument]]
venue = "binance-usdm"
symbol = "ETHUSDT"
[instrument.grid]
asset = 20000
leverage = 5
minimum_spread = {spread}
final_order_distance = 3
rate_limit = 30
"""
SPREADS = (1.2, 2.4)
CUT = """
[[fault]]
do = "cut"
where = "socket:public"
venue = "binance"
at_s = 8.0
"""


@dataclass
class Forward:
    """What `forward` left."""

    folder: Path
    said: dict

    @property
    def runs(self) -> list[Path]:
        return [self.folder / each["directory"] for each in self.said["runs"]]


def mmcore(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith("MMCORE")}
    plain["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    return subprocess.run(
        [sys.executable, "-m", "mmcore", *words],
        cwd=folder,
        env=plain,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def forward(folder: Path, seed: int, seconds: float, faults: str = "") -> Forward:
    if faults:
        (folder / "faults.toml").write_text(faults)
        faults = 'faults = "faults.toml"'
    names = []
    for spread in SPREADS:
        names.append(f"{spread}.toml")
        (folder / names[-1]).write_text(TEXT.format(seed=seed, spread=spread, faults=faults))
    done = mmcore(folder, "forward", *names, "--seconds", str(seconds), "--json")
    assert done.returncode == 0, done.stderr
    return Forward(folder, json.loads(done.stdout.splitlines()[-1]))


def compared(folder: Path, *words: str) -> dict:
    done = mmcore(folder, "compare", *words, "--json")
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads(done.stdout)["pairs"]
    return pair


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Forward:
    return forward(tmp_path_factory.mktemp("short"), SEED, 2.0)


def test_both_trade_on_one_feed(short: Forward) -> None:
    first, second = (TapeFile(run / "events.mmt").rows for run in short.runs)
    assert np.array_equal(first, second)
    heads = first[heads_of(first)]
    assert {Kind.DEPTH, Kind.TRADE} <= set(heads["kind"].tolist())
    images = heads[(heads["kind"] == Kind.DEPTH) & ((heads["flags"] & Flag.SNAPSHOT) != 0)]
    counts = np.bincount(images["instrument"], minlength=2)
    assert counts.tolist() == [1, 1], "one connection for both: each book is built once"
    placed = [read_records(run / "journal.sqlite")["kind"] for run in short.runs]
    assert all((each == RecordKind.PLACE).sum() > 8 for each in placed)
    assert len({each["journal_hash"] for each in short.said["runs"]}) == 2
    assert {each["cause"] for each in short.said["runs"]} == {"the time asked for is over"}
    assert {read_facts(run / "journal.sqlite")["command"] for run in short.runs} == {"forward"}


def test_every_decision_of_the_second_one_too_is_made_again(short: Forward) -> None:
    for run in short.runs:
        recorded = Recorded.open(run)
        again = retrace(recorded)
        assert again.same, again.first
        assert len(again.records) == len(recorded.records) > 8


def test_seconds_are_too_short_to_compare_and_it_says_so(short: Forward) -> None:
    done = mmcore(short.folder, "compare", *map(str, short.runs))
    assert done.returncode == ExitCode.DATA
    assert "of market in common are too short to compare" in done.stderr


@pytest.mark.slow
def test_what_ran_side_by_side_is_compared_and_repeated(tmp_path: Path) -> None:
    """Their directories say what the configurations do on the market that was received.

    A connection is lost on the way: that happens to both.
    """
    done = forward(tmp_path, LONG_SEED, 36.0, CUT)
    rows = TapeFile(done.runs[0] / "events.mmt").rows
    heads = rows[heads_of(rows)]
    images = heads[(heads["kind"] == Kind.DEPTH) & ((heads["flags"] & Flag.SNAPSHOT) != 0)]
    assert np.bincount(images["instrument"], minlength=2).max() >= 2
    pair = compared(tmp_path, *map(str, done.runs))
    log = str(done.runs[0] / "events.mmt")
    again = compared(tmp_path, *(f"{spread}.toml" for spread in SPREADS), "--tape", log)
    for one, other in zip(pair["totals"], again["totals"], strict=True):
        assert one["first"]["fills"] > 10 < one["second"]["fills"]
        for side in ("first", "second"):
            assert one[side] == pytest.approx(other[side], nan_ok=True)
        assert [each["label"] for each in one["repeats"]] == ["no fees, no rebates"]
        assert len(other["repeats"]) == 6
    assert [row["label"] for row in pair["symbols"]] == [
        "bybit-linear:BTCUSDT",
        "binance-usdm:ETHUSDT",
    ]
    net = sum(row["first"]["net"] for row in pair["symbols"])
    assert net == pytest.approx(pair["totals"][0]["first"]["net"])
    text = mmcore(tmp_path, "compare", *map(str, done.runs)).stdout
    assert "36 s of market" in text
    assert "verdict " in text
