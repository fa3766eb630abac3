"""`report` and `run --report`: from any run directory to a page, JSON and tables."""

import csv
import importlib.util
import json
import re
import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mmcore import exposure, page
from mmcore.commands import execute
from mmcore.config import loads
from mmcore.events import EVENT, Kind
from mmcore.recording import heads_of
from mmcore.session import run_config
from mmcore.tape_file import TapeFile

CONFIG = """
[market]
speed = 0
[run]
seconds = 90.0
directory = "{folder}"
[[instrument]]
venue = "synthetic"
symbol = "BTCUSDT"
[instrument.grid]
minimum_spread = 1.0
orders_per_side = 2
[[instrument]]
venue = "synthetic"
symbol = "ETHUSDT"
strategy = "two_sided"
[instrument.two_sided]
target_liquidity = 0.1
half_spread = 1.0
max_absolute_position_size = 0.5
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with fills of two instruments."""
    folder = tmp_path_factory.mktemp("runs")
    assert run_config(loads(CONFIG.format(folder=folder.as_posix())), json=True) == 0
    (journal,) = folder.glob("*/journal.sqlite")
    return journal.parent


@pytest.fixture
def run(made, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / made.name))


def told(capsys, *arguments, code=0):
    assert execute(["report", *map(str, arguments)]) == code
    return capsys.readouterr()


def facts_of(capsys, run):
    return json.loads(told(capsys, run, "--json").out)


def test_the_facts_agree_with_the_engine_and_close(run, capsys):
    facts = facts_of(capsys, run)
    assert [each["name"] for each in facts["instruments"]] == ["BTCUSDT", "ETHUSDT"]
    for each in facts["instruments"]:
        terms = each["attribution"]
        assert each["fills"]["count"] > 0
        assert terms["residual_relative"] < 1e-9
        assert terms["net"] == pytest.approx(each["engine_net"], abs=1e-6)
        total = terms["spread_capture"] + terms["inventory"] - terms["fees"] + terms["rebates"]
        assert total == pytest.approx(terms["net"], abs=1e-9)
    (total,) = facts["totals"]
    assert total["attribution"]["net"] == pytest.approx(
        sum(each["attribution"]["net"] for each in facts["instruments"])
    )
    assert len(facts["sentences"]) == 3 and not facts["sampling"]["annualised"]


def test_the_page_holds_everything_and_reaches_for_nothing(run, capsys):
    out = told(capsys, run).out
    text = (run / "report.html").read_text("utf-8")
    assert str(run / "report.html") in out
    own = text[: text.index("<script>")] + text[text.rindex("<script>") :]
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", own)
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)[1])
    places = set(re.findall(r'<div id="([\w-]+)" class="figure">', text))
    assert places == set(figures) - {name for name in figures if name.endswith("-hour")}
    assert {"equity-0", "terms-0", "price-1", "inventory-0", "calls-1", "markout-0-all"} <= places
    assert {"exposure-0", "exposure-1", "markout-0-queue"} <= places
    assert "default-src 'none'" in own and "showSendToCloud: false" in own
    assert "the identity closes" in text and "Nothing is annualised" in text


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--no-exposure", "it was not asked for"),
        ("", "the run is long"),
        ("--exposure", "to the last fill"),
    ],
)
def test_the_run_is_traded_again_as_far_as_it_is_asked_for(run, capsys, monkeypatch, option, said):
    monkeypatch.setattr(exposure, "WORK_EASY", 0)
    monkeypatch.setattr(exposure, "WORK_MAX", 0)
    told(capsys, run, *filter(None, [option]))
    assert said in (run / "report.html").read_text("utf-8")


def test_fills_as_csv_and_parquet_are_the_same(run, tmp_path, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    told(capsys, run, "--csv", tmp_path / "fills.csv", "--parquet", tmp_path)
    with (tmp_path / "fills.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "fills.parquet").to_pylist()
    assert [float(row["price"]) for row in rows] == [row["price"] for row in table]
    assert [int(row["time_ns"]) for row in rows] == sorted(row["time_ns"] for row in table)
    assert not (run / "report.html").exists()
    facts = facts_of(capsys, run)
    captured = sum(row["spread_captured"] for row in table)
    assert captured == pytest.approx(facts["totals"][0]["attribution"]["spread_capture"])
    equity = parquet.read_table(tmp_path / "equity.parquet").to_pylist()
    last = {row["name"]: row["profit"] for row in equity}
    assert last == pytest.approx(
        {each["name"]: each["attribution"]["net"] for each in facts["instruments"]}, abs=1e-6
    )


def test_a_killed_run_is_reported_as_such(run, capsys):
    with closing(sqlite3.connect(run / "journal.sqlite")) as db, db:
        db.execute("DELETE FROM summary")
    assert facts_of(capsys, run)["run"]["exit_code"] is None
    told(capsys, run)
    assert "never wrote its end" in (run / "report.html").read_text("utf-8")


def test_a_run_without_fills_says_so(run, capsys):
    with closing(sqlite3.connect(run / "journal.sqlite")) as db, db:
        db.execute("DELETE FROM record WHERE kind = 12")
        db.execute("UPDATE record SET position = 0")
    sentences = facts_of(capsys, run)["sentences"]
    assert "traded nothing" in sentences[0] and "cannot be said" in sentences[2]
    told(capsys, run)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (shutil.rmtree, "this is no run directory"),
        (lambda run: (run / "events.mmt").unlink(), "kept no event log"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(run, capsys, damage, said):
    damage(run)
    error = told(capsys, run, code=3).err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("command", ["report", "replay"])
def test_a_damaged_event_log_is_told_with_its_row(run, capsys, command):
    log = run / "events.mmt"
    whole = TapeFile(log)
    heads = heads_of(whole.rows)
    row = int(heads[np.flatnonzero(whole.rows["kind"][heads] == Kind.TRADE)[-1]])
    data = bytearray(log.read_bytes())
    data[whole.start + row * EVENT.itemsize + EVENT.fields["kind"][1]] = 250
    log.write_bytes(data)
    assert execute([command, str(run)]) == 3
    said = capsys.readouterr().err
    assert f"events.mmt, record {row + 1}: column kind: 250 is no kind of event" in said
    assert "take a whole copy of the run directory" in said


def test_a_run_may_be_named_by_its_journal(run, capsys):
    assert str(run / "report.html") in told(capsys, run / "journal.sqlite").out
    assert (run / "report.html").exists()


def test_a_folder_of_runs_names_the_newest(run, capsys):
    assert str(run) in told(capsys, run.parent, code=3).err


def test_without_the_extra_one_sentence_names_it_and_json_works(run, capsys, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(page, "find_spec", lambda name: None if name == "plotly" else real(name))
    error = told(capsys, run, code=2).err
    assert 'python -m pip install "mmcore-maker[report]"' in error
    assert facts_of(capsys, run)["ok"]


def test_run_writes_its_page_at_the_end(tmp_path, capsys):
    config = tmp_path / "my.toml"
    config.write_text(CONFIG.format(folder=(tmp_path / "runs").as_posix()), encoding="utf-8")
    place = tmp_path / "deep" / "out.html"
    assert execute(["run", str(config), "--seconds", "5", "--report", str(place)]) == 0
    assert str(place) in capsys.readouterr().out.splitlines()[-1]
    assert place.stat().st_size > 1_000_000


def test_a_backtest_has_a_page_for_every_configuration_and_its_band(tmp_path, capsys):
    config = tmp_path / "my.toml"
    config.write_text(CONFIG.format(folder=(tmp_path / "runs").as_posix()), encoding="utf-8")
    out = tmp_path / "out.html"
    arguments = ["backtest", str(config), "--seconds", "20", "--report", str(out)]
    assert execute(arguments) == 0
    text = out.read_text("utf-8")
    assert "Latency and queue" in text and "to the last fill" in text
    assert execute([*arguments, str(config)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("out-2.html")
    assert (tmp_path / "out-2.html").exists()


@pytest.mark.parametrize("command", ["run", "backtest"])
def test_the_last_line_of_a_run_is_the_command_that_reports_it(command, tmp_path, capsys):
    config = tmp_path / "my.toml"
    config.write_text(CONFIG.format(folder=(tmp_path / "two words").as_posix()), encoding="utf-8")
    assert execute([command, str(config), "--seconds", "20"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("next:        python -m mmcore report ")
    _, name, place, *_ = shlex.split(last.partition("-m ")[2])
    told(capsys, place)
    assert (Path(place) / "report.html").exists() and name == "report"
    arguments = [command, str(config), "--seconds", "20", "--report", str(tmp_path / "x.html")]
    assert execute(arguments) == 0
    assert "mmcore report" not in capsys.readouterr().out
    kept = config.read_text("utf-8").replace("[run]", "[run]\nevent_log = false")
    config.write_text(kept, encoding="utf-8")
    assert execute(arguments[:-2]) == 0
    assert f"next:        python -m mmcore check {config} says" in capsys.readouterr().out


def test_a_run_that_lost_too_much_is_traded_again_until_it_was_stopped(tmp_path, capsys):
    config = tmp_path / "my.toml"
    text = CONFIG.format(folder=(tmp_path / "runs").as_posix())
    one = text[: text.rindex("[[instrument]]")] + "[instrument.limits]\nmax_loss = 1.0\n"
    config.write_text(one, encoding="utf-8")
    assert execute(["run", str(config), "--seconds", "600"]) == 5
    said = " ".join(capsys.readouterr().out.split())
    place = Path(shlex.split(said[said.index("next: python -m mmcore report ") :])[5])
    assert "says what led to it" in said
    facts = facts_of(capsys, place)
    assert facts["exposure"]["same"]
    (killed,) = facts["instruments"][0]["market"]["stretches"]["by_state"]
    assert killed["state"] == "killed" and facts["run"]["exit_code"] == 5
