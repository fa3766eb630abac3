"""hftbacktest 2.4.4 beyond the public runs: digests that ``make_hbt.py`` made with it.

All queue models with whole and partial fills, inverse contracts, fees by value, quantity and fill,
and the first snapshot before the tape.
"""

import json
import sys
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from hbt_tape import SNAPSHOT, Config, Folder  # noqa: E402 - a script's folder, not a package
from run_hbt import COLUMNS, play  # noqa: E402

PUBLIC = HERE.parent / "data" / "hbt_parity"
MORE = json.loads((HERE.parent / "data" / "hbt_more.json").read_text())
FAST = 3  # every so many-th run is in the quick suite


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("more")
    data = np.load(PUBLIC / "tape.npz")["data"]
    first = int(np.argmax((data["ev"] & np.uint64(0xFF)) != SNAPSHOT))
    np.savez(path / "initial_snapshot.npz", data=data[:first])
    np.savez(path / "tape.npz", data=data[first:])
    (path / "order_latency.npz").symlink_to(PUBLIC / "order_latency.npz")
    (path / "configs.json").write_text(json.dumps(MORE))
    return Folder(path)


def cases() -> list[object]:
    return [
        pytest.param(run, id=run["name"], marks=[pytest.mark.slow] if i % FAST else [])
        for i, run in enumerate(MORE["runs"])
    ]


@pytest.mark.parametrize("run", cases())
def test_fills_and_accounts(folder: Folder, run: Config) -> None:
    strategy, fills = play(folder, run)
    expected = run["expected"]
    assert len(fills) == expected["n_fills"]
    whole = fills.copy()
    whole["qty"] = np.rint(folder.grid.qty(fills["qty"]) * 1e6)
    table = np.stack([whole[name].astype(np.int64) for name in COLUMNS])
    assert blake2b(table.tobytes(), digest_size=16).hexdigest() == expected["digest"]
    if run["exchange"] == "partial_fill":
        return  # hftbacktest's own accounts miss pieces there
    replay = strategy.replay
    assert folder.grid.qty(replay.position) == pytest.approx(expected["position"], abs=1e-9)
    assert replay.balance == pytest.approx(expected["balance"], rel=1e-6, abs=1e-6)
    assert replay.fee == pytest.approx(expected["fee"], rel=1e-6, abs=1e-6)
