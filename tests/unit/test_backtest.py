"""Backtests: the run's own decisions, several configurations and queue models in one pass."""

import json
from pathlib import Path
from typing import Any

import pytest
from two_makers import config, journals

from mmcore.backtest import Choices, backtest
from mmcore.band import BAND, Model, Outcome, band_lines, banded, interval, model_of
from mmcore.config import loads
from mmcore.errors import ConfigError, UsageError
from mmcore.journal import journal_hash, read_facts, read_records, read_summary
from mmcore.retrace import Recorded, retrace
from mmcore.session import run_config


def facts(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    said = capsys.readouterr().out.strip().splitlines()
    assert len(said) == 1
    answer: dict[str, Any] = json.loads(said[0])
    return answer


def hash_of_run(folder: Path, **changes: object) -> str:
    assert run_config(config(folder, **changes), json=True) == 0
    return journal_hash(journals(folder)[-1])


def test_a_backtest_decides_as_the_run_does_at_any_pace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paced = hash_of_run(tmp_path / "run", speed=40)
    capsys.readouterr()
    assert backtest([config(tmp_path / "back", speed=40)], Choices(json=True)) == 0
    said = facts(capsys)
    assert said["type"] == "backtest"
    (journal,) = journals(tmp_path / "back")
    assert said["journal_hash"] == journal_hash(journal) == paced
    assert len(read_records(journal)) > 100
    assert read_facts(journal)["command"] == "backtest"
    assert read_summary(journal)[-1]["journal_hash"] == paced


def test_configurations_of_one_pass_decide_as_each_does_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes: list[dict[str, object]] = [
        {"spread": 0.5},
        {"spread": 6},
        {"spread": 0.5, "queue": "log"},
        {"spread": 4, "depths": [5, 40]},
    ]
    alone = [hash_of_run(tmp_path / str(i), **change) for i, change in enumerate(changes)]
    capsys.readouterr()
    together = [config(tmp_path / "all", **change) for change in changes]
    assert backtest(together, Choices(json=True)) == 0
    said = facts(capsys)
    assert [run["journal_hash"] for run in said["runs"]] == alone
    assert len(set(alone)) == len(alone)
    for run in said["runs"]:
        folder = Path(run["directory"])
        assert journal_hash(folder / "journal.sqlite") == run["journal_hash"]
        assert (folder / "events.mmt").stat().st_size > 4096
        assert run["band"] == []
        summary = read_summary(folder / "journal.sqlite")[-1]
        assert summary["remaining"] == 0
        assert summary["cancelled"] == said["cancelled"] == 8 + 2


def test_the_band_holds_every_model_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest([config(tmp_path)], Choices(json=True)) == 0
    said = facts(capsys)
    assert backtest([config(tmp_path)], Choices(json=True, band=False)) == 0
    plain = facts(capsys)
    assert plain["journal_hash"] == said["journal_hash"]
    (run,) = said["runs"]
    band = run["band"][0]
    nets = [model["pnl_net"] for model in band["models"]]
    assert len(nets) == len(BAND)
    assert (band["pnl_net_low"], band["pnl_net_high"]) == (min(nets), max(nets))
    assert band["models"][0]["pnl_net"] == run["traders"][0]["pnl_net"]
    assert len({model["fills"] for model in band["models"]}) > 1
    kept = json.loads(str(read_summary(Path(run["directory"]) / "journal.sqlite")[0]["band"]))
    assert kept == band


def test_the_band_is_told_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest([config(tmp_path), config(tmp_path, spread=5)], Choices(band=True)) == 0
    said = capsys.readouterr().out
    assert said.count("fill band    BTCUSDT net ") == said.count("fill band    ETHUSDT net ") == 2
    assert said.count("together     ") == 2
    assert "10 configurations in one pass" in said
    assert "next:        python -m mmcore report" in said


def test_a_model_of_its_own_joins_the_band(tmp_path: Path) -> None:
    own = config(tmp_path, queue="log2")
    assert model_of(own) == Model("log2")
    assert len(banded(own)) == len(BAND)
    assert model_of(banded(own)[0]) == BAND[0]
    assert len(banded(config(tmp_path))) == len(BAND) - 1


@pytest.mark.parametrize(("changes", "word"), [({"seed": 6}, "market"), ({}, "instruments")])
def test_what_cannot_share_a_pass_is_refused(
    tmp_path: Path, changes: dict[str, object], word: str
) -> None:
    other = config(tmp_path, name="b.toml", **changes)
    if not changes:
        other = loads(other.text + "[instrument.spec]\nmaker_fee_bps = 1\n", "b.toml")
    with pytest.raises(ConfigError, match=word) as refusal:
        backtest([config(tmp_path), other], Choices(json=True))
    assert refusal.value.where == "b.toml"
    assert not journals(tmp_path)


def test_a_live_configuration_and_a_crowd_are_refused(tmp_path: Path) -> None:
    text = config(tmp_path).text.replace("[market]", '[market]\nsource = "venue"')
    text = text.replace('venue = "synthetic"', 'venue = "bybit-linear"')
    with pytest.raises(ConfigError, match="cannot be backtested"):
        backtest([loads(text)], Choices(json=True))
    with pytest.raises(UsageError, match="260 configurations"):
        backtest([config(tmp_path)] * 52, Choices(json=True, band=True))


def test_without_fills_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = config(tmp_path, spread=100)
    single = loads(quiet.text.split('[[instrument]]\nvenue = "synthetic"\nsymbol = "ETH')[0])
    assert backtest([single], Choices(json=True)) == 0
    assert "no fills" in str(facts(capsys)["warning"])
    assert backtest([single, single], Choices(json=True, require_fills=True)) == 3


@pytest.mark.parametrize("speed", [0, 60])
def test_a_loss_limit_ends_a_run_where_it_ends_the_backtest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], speed: float
) -> None:
    """The second instrument quotes on until then: not for as long as the wall clock says."""
    text = config(tmp_path, speed=speed).text + "[instrument.limits]\nmax_loss = 0.5\n"
    assert run_config(loads(text, "strict.toml"), json=True) == 5
    (journal,) = journals(tmp_path)
    capsys.readouterr()
    assert backtest([loads(text, "strict.toml")], Choices(json=True, band=False)) == 5
    assert facts(capsys)["journal_hash"] == journal_hash(journal)
    assert retrace(Recorded.open(journal.parent)).same


def test_a_loss_limit_ends_a_pass_only_when_all_have_met_theirs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = config(tmp_path).text
    strict = loads(text + "[instrument.limits]\nmax_loss = 0.01\n", "strict.toml")
    assert backtest([strict, loads(text, "free.toml")], Choices(json=True)) == 5
    first, second = facts(capsys)["runs"]
    assert first["exit_code"] == 5
    assert second["exit_code"] == 0
    assert backtest([loads(text, "free.toml"), strict], Choices(json=True)) == 5
    free, last = facts(capsys)["runs"]
    assert (free["exit_code"], last["exit_code"]) == (0, 5)
    assert "lost more than its limits allow" in last["cause"]
    assert (free["journal_hash"], last["journal_hash"]) == (
        second["journal_hash"],
        first["journal_hash"],
    )
    assert backtest([strict], Choices(json=True)) == 5
    alone = facts(capsys)
    monkeypatch.setattr("mmcore.run.EVENTS_FIRST", 16)
    assert backtest([strict], Choices(json=True)) == 5
    assert facts(capsys)["journal_hash"] == alone["journal_hash"]
    assert retrace(Recorded.open(alone["directory"])).same
    assert "lost more than its limits allow" in alone["cause"]
    assert alone["market_s"] < 40
    assert backtest([loads(text, "free.toml")], Choices(json=True, band=False)) == 0
    assert second["journal_hash"] == facts(capsys)["journal_hash"]


def test_a_band_without_width_is_one_line_that_says_why() -> None:
    same = [Outcome(model, -5, -5, 0, 1, 0.0) for model in BAND]
    (line,) = band_lines(same, "USDT", "BTCUSDT")
    assert line.startswith("fill band    BTCUSDT net ") and "no fill hung on the queue" in line
    wide = band_lines([same[0], Outcome(BAND[1], -4, -5, 0, 12, 0.0)], "USDT")
    assert " 1 fill, " in wide[1] and " 12 fills, " in wide[2]


def test_an_interval_is_from_least_to_most() -> None:
    nets = zip(BAND, (3, -2, 5), strict=False)
    made = [Outcome(model, net, net, 0, 1, 0.0) for model, net in nets]
    assert interval(made) == (-2, 5)
