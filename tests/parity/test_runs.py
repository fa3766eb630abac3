"""hftbacktest 2.4.4, fill by fill: the public runs, and its own accounts of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from hbt_tape import Config, Folder  # noqa: E402 - a script's folder, not a package
from run_hbt import Result, main, replay  # noqa: E402

PUBLIC = HERE.parent / "data" / "hbt_parity"
FOLDER = Folder(PUBLIC)
RESULTS: dict[str, Any] = json.loads((PUBLIC / "results.json").read_text())


@pytest.fixture(scope="module", params=FOLDER.runs, ids=lambda run: str(run["name"]))
def played(request: pytest.FixtureRequest) -> tuple[Config, Result]:
    return request.param, replay(FOLDER, request.param)


def test_fills_are_identical(played: tuple[Config, Result]) -> None:
    _, result = played
    assert result.difference == ""


def test_messages_are_counted_alike(played: tuple[Config, Result]) -> None:
    run, result = played
    theirs = RESULTS[run["name"]]["counters"]
    ours = dict(result.strategy.counters)
    assert ours == theirs


def test_accounts_agree(played: tuple[Config, Result]) -> None:
    run, result = played
    theirs = RESULTS[run["name"]]["from_fills"]
    replay = result.strategy.replay
    ours = {
        "position": float(FOLDER.grid.qty(replay.position)),
        "balance": replay.balance,
        "fee": replay.fee,
        "num_trades": replay.n_fills,
        "trading_volume": replay.volume,
        "trading_value": replay.turnover,
    }
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, rel=1e-6, abs=1e-6), name
    equity = replay.equity(RESULTS[run["name"]]["final_mid"])
    assert equity == pytest.approx(RESULTS[run["name"]]["equity_at_final_mid"], rel=1e-6, abs=1e-6)


def test_fees_in_quanta_agree_with_the_doubles(played: tuple[Config, Result]) -> None:
    _, result = played
    fees = result.strategy.replay.fills()["fee"]
    assert fees.sum() / 1e8 == pytest.approx(result.strategy.replay.fee, abs=1e-8 * len(fees))


def test_a_wrong_fill_is_found_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    (folder / "results").mkdir(parents=True)
    (folder / "tape.npz").symlink_to(PUBLIC / "tape.npz")
    configs = json.loads((PUBLIC / "configs.json").read_text())
    configs["runs"] = configs["runs"][:1]
    (folder / "configs.json").write_text(json.dumps(configs))
    name = configs["runs"][0]["name"]
    fills = np.load(PUBLIC / "results" / f"{name}.npz")["fills"].copy()
    fills["tick"][17] += 1
    np.savez(folder / "results" / f"{name}.npz", fills=fills)
    assert main([str(folder)]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{name}: fill 17: ")
    assert printed[-1] == "0 passed, 1 failed"


def test_the_script_runs_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "run_hbt.py"), str(PUBLIC)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "6 passed, 0 failed"
