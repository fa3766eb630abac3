"""Calibration: the exponent that made the fills is the one that is found."""

import json
from pathlib import Path

import pytest

from mmcore.backtest import Choices, backtest
from mmcore.band import BAND
from mmcore.calibrate import EVIDENCE_MIN, Calibration, calibrate
from mmcore.config import loads
from mmcore.retrace import Recorded
from mmcore.schema import Config

TRUTH = 2.6
TEXT = """
[market]
preset = "quiet"
seed = {seed}
[run]
seconds = {seconds}
directory = "{folder}"
[simulation]
queue_model = "power"
queue_exponent = {exponent}
[[instrument]]
venue = "binance-spot"
symbol = "NEXOUSDT"
[instrument.grid]
asset = 10000
minimum_spread = 5
final_order_distance = 1
requote_spreads = 0.3
requote_bps = 0.5
orders_per_side = 2
[instrument.limits]
max_position = 1000000
"""


def config(folder: Path, exponent: float, seed: int, seconds: int = 5400) -> Config:
    text = TEXT.format(folder=folder.as_posix(), exponent=exponent, seed=seed, seconds=seconds)
    return loads(text, f"seed {seed}.toml")


def runs(folder: Path, exponent: float, seconds: int = 5400, n: int = 3) -> list[Recorded]:
    for seed in range(1, 1 + n):
        told = config(folder, exponent, seed, seconds)
        assert backtest([told], Choices(json=True, band=False)) == 0
    return [Recorded.open(path) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    return runs(tmp_path_factory.mktemp("own"), TRUTH)


def test_the_true_exponent_is_found(own: list[Recorded]) -> None:
    found = calibrate(own)
    assert found.exponent == pytest.approx(TRUTH, rel=0.12)
    assert found.low <= TRUTH * 1.12
    assert found.high >= TRUTH / 1.12
    assert found.n_evidence >= EVIDENCE_MIN
    assert next(iter(found.apart_s)).startswith("power")
    assert found == calibrate(own)


@pytest.mark.slow
@pytest.mark.parametrize("truth", [0.8, 1.4, 4.5])
def test_other_exponents_are_found_too(tmp_path: Path, truth: float) -> None:
    assert calibrate(runs(tmp_path, truth)).exponent == pytest.approx(truth, rel=0.15)


def test_little_evidence_is_called_little(tmp_path: Path) -> None:
    found = calibrate(runs(tmp_path, 2.0, seconds=600, n=1))
    assert found.exponent is None
    assert found.model is None
    assert "does not suffice" in found.lines()[0]
    assert calibrate([]).facts()["orders"] == 0


def test_a_wide_interval_is_no_answer() -> None:
    wide = Calibration(None, 0.3, 6.0, 900, 300, {"power 2": 1.0})
    assert "anything from 0.3 to 6 fits" in wide.lines()[0]


def test_the_calibrated_model_joins_the_band(
    own: list[Recorded], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tuple(str(run.path) for run in own)
    told = config(tmp_path, 3.0, 9, 600)
    assert backtest([told], Choices(json=True, calibrate=given)) == 0
    said = json.loads(capsys.readouterr().out)
    exponent = said["calibration"]["queue_exponent"]
    assert exponent == pytest.approx(TRUTH, rel=0.12)
    models = said["runs"][0]["band"][0]["models"]
    assert len(models) == len(BAND) + 2
    assert models[-1]["queue_model"] == "power"
    assert models[-1]["queue_exponent"] == pytest.approx(exponent, 0.01)
