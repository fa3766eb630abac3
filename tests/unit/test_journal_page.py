"""docs/running.md names every key that a journal has."""

import re
from pathlib import Path

import pytest

from mmcore.backtest import Choices, backtest
from mmcore.config import load
from mmcore.events import RECORD, RecordKind
from mmcore.journal import read_facts, read_summary
from mmcore.session import run_config

PAGE = (Path(__file__).parents[2] / "docs" / "running.md").read_text("utf-8")
SECTION = PAGE.partition("### What the journal holds")[2].partition("\n#")[0]
TABLES = SECTION.split("Table `")
CONFIG = """
[run]
seconds = 5
directory = "{folder}"
[[instrument]]
symbol = "BTCUSDT"
grid.minimum_spread = 1
"""


def named(text: str) -> set[str]:
    """What stands in the first column, or between ticks where there is none."""
    rows = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    return set(re.findall(r"`([\w.]+)`", " ".join(rows) or text))


@pytest.fixture(scope="module")
def journals(tmp_path_factory) -> list[Path]:
    found = []
    for name, trade in (
        ("run", run_config),
        ("backtest", lambda config: backtest([config], Choices())),
    ):
        folder = tmp_path_factory.mktemp(name)
        path = folder / "c.toml"
        path.write_text(CONFIG.format(folder=folder.as_posix()))
        assert trade(load(path)) == 0
        found += folder.glob("*/journal.sqlite")
    assert len(found) == 2
    return found


def test_every_key_of_a_run_is_named(journals):
    for journal in journals:
        assert set(read_facts(journal)) <= named(TABLES[1])
    assert [read_facts(journal).get("command") for journal in journals] == [None, "backtest"]


def test_every_key_of_the_summary_is_named(journals):
    for journal in journals:
        for facts in read_summary(journal).values():
            assert set(facts) <= named(TABLES[-1])
    assert any("band" in read_summary(journal)[0] for journal in journals)


def test_every_column_and_kind_of_a_record_is_named():
    columns = SECTION.partition("| column |")[2].partition("Table `summary`")[0]
    assert set(RECORD.names or ()) == set(re.findall(r"`([a-z_]+)`", columns)) - {"mmcore.events"}
    kinds = columns.partition("`kind` |")[2].partition("\n")[0]
    assert [int(n) for n in re.findall(r"\d+", kinds)] == [int(kind) for kind in RecordKind]
