"""Strategies compiled against the shipped declarations play the public runs, fill by fill."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from hbt_tape import Folder  # noqa: E402 - a script's folder, not a package
from run_hbt import difference  # noqa: E402

BUILD = HERE.parents[1] / "bench" / "replay" / "build.py"


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def strategies(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    build = _load("build_strategies", BUILD).build
    return _load("strategies", build(tmp_path_factory.mktemp("built")))


@pytest.mark.slow
def test_the_public_runs(strategies: ModuleType) -> None:
    folder = Folder(HERE.parent / "data" / "hbt_parity")
    played = 0
    for run in folder.runs:
        if run["exchange"] == "partial_fill":
            continue  # these poll after every feed row: the Python strategies show them
        plan, qty = run["strategy"], int(folder.grid.units(run["order_qty"]))
        fills = strategies.run(folder.replay(run), plan["id"], plan["params"], qty)
        assert difference(folder, fills, folder.fills(run)) == "", run["name"]
        played += 1
    assert played
