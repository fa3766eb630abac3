"""What a configuration may say, a run does: every choice, and the files of the repository."""

import typing
from pathlib import Path

import pytest

from mmcore import config
from mmcore.commands import execute
from mmcore.faults import toml_text
from mmcore.keys import fields
from mmcore.schema import (
    GridConfig,
    InstrumentConfig,
    MarketConfig,
    SimulationConfig,
    TwoSidedConfig,
)

ROOT = Path(__file__).parents[2]
HEAD = '[[instrument]]\nsymbol = "BTCUSDT"\n'
SPREADS = "minimum_spread = 2\nfinal_order_distance = 2\n"
TWO = "target_liquidity = 0.01\nmax_absolute_position_size = 0.05\nhalf_spread = 1\n"
TABLES = [
    (MarketConfig, "[market]\n{}\n" + HEAD),
    (SimulationConfig, "[simulation]\n{}\n" + HEAD),
    (InstrumentConfig, HEAD + "{}\n"),
    (GridConfig, HEAD + "[instrument.grid]\n" + SPREADS + "{}\n"),
    (TwoSidedConfig, HEAD + 'strategy = "two_sided"\n[instrument.two_sided]\n' + TWO + "{}\n"),
]
# These need more than the one key: a tape, a position, another venue, a market of orders with ids.
LEFT_OUT = {"source", "venue", "strategy", "asset_type", ("queue_model", "fifo")}


def choices():
    for struct, text in TABLES:
        for field in fields(struct):
            values = typing.get_args(field.kind) if field.key.unit == "choice" else ()
            if field.kind is bool:
                values = (True, False)
            for value in values:
                if not LEFT_OUT & {field.name, (field.name, value)}:
                    line = f"{field.name} = {toml_text(value)}"
                    yield pytest.param(text.format(line), id=line)


@pytest.mark.parametrize("text", list(choices()))
def test_every_choice_runs(text, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text(text, "utf-8")
    assert execute(["run", "c.toml", "--seconds", "3"]) == 0, capfd.readouterr().err
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["config.toml", *(f.name for f in ROOT.glob("examples/m*.toml"))])
def test_a_file_of_the_repository_passes_check_and_runs(name, tmp_path, monkeypatch, capfd):
    path = next(iter([*ROOT.glob(name), *ROOT.glob(f"examples/{name}")]), None)
    if path is None:
        pytest.skip("only the tests are here")
    monkeypatch.chdir(tmp_path)
    fast = path.read_text("utf-8").replace("speed =", "speed = 0 #")
    Path("c.toml").write_text(fast, "utf-8")
    assert execute(["check", "c.toml"]) == 0
    assert execute(["run", "c.toml", "--seconds", "60"]) == 0
    assert "next:" in capfd.readouterr().out


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/tape*.toml")), ids=lambda p: p.name)
def test_a_tape_example_passes_check(path, shared_data, capfd):
    assert config.load(path).market.files
    assert execute(["check", str(path)]) == 0
