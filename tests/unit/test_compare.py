"""Two variants side by side: what is binned, what is refused, and what is said."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmcore import contest
from mmcore.backtest import Choices, backtest
from mmcore.compare import COLUMNS, select, series_of, stretch_of
from mmcore.config import load, loads
from mmcore.contest import Asked
from mmcore.errors import ConfigError, DataError, UsageError
from mmcore.findings import Pair, findings_of
from mmcore.paired import trade
from mmcore.recording import heads_of
from mmcore.report import report_of
from mmcore.sources import source_of
from mmcore.traded import market_in, read_run

TEXT = """
[market]
seed = {seed}
regime = "{regime}"
[run]
seconds = {seconds}
directory = "{folder}"
[[instrument]]
venue = "synthetic"
symbol = "{symbol}"
[instrument.grid]
minimum_spread = {spread}
final_order_distance = 2
requote_spreads = 0.3
"""


def text(folder: Path, **changes: object) -> str:
    values = {"seed": 3, "regime": "none", "seconds": 60, "symbol": "BTCUSDT", "spread": 1.0}
    return TEXT.format(**{**values, "folder": (folder / "runs").as_posix(), **changes})


def written(folder: Path, name: str, **changes: object) -> str:
    path = folder / name
    path.write_text(text(folder, **changes))
    return str(path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A configuration and a wider one: what they did."""
    folder = tmp_path_factory.mktemp("pair")
    configs = [loads(text(folder, spread=s), f"{s}.toml") for s in (1.0, 2.0)]
    return trade(configs)


def answer(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def compared(capsys, *variants: str, **asked: object) -> dict:
    """What `compare` says of two, for machines."""
    assert contest.run(variants, Asked(**asked), as_json=True) == 0
    (told,) = answer(capsys)["pairs"]
    return told


def test_what_is_binned_adds_up(pair):
    (one,), (other,) = pair
    part = stretch_of([one], [other])
    for trading, series in ((one, part.first[0]), (other, part.second[0])):
        columns = series.columns
        assert set(columns) == set(COLUMNS)
        assert columns["fills"].sum() == len(trading.fills) > 0
        assert columns["turnover"].sum() == pytest.approx(trading.turnover)
        assert columns["costs"].sum() == pytest.approx(trading.account.fee.sum())
        assert columns["net"].sum() == pytest.approx(trading.equity(1.0)[1][-1])
        held = trading.account.positions()
        signs = np.sign(held[held != 0])
        assert columns["flips"].sum() == (np.diff(signs) != 0).sum()


def test_a_variant_does_not_change_what_the_other_does(pair, tmp_path):
    alone = trade([loads(text(tmp_path, spread=1.0), "a.toml")])[0][0]
    assert np.array_equal(alone.fills, pair[0][0].fills)


def test_the_same_twice_is_the_same(pair):
    both = Pair(("a", "b"), [stretch_of(pair[0], pair[0])])
    (total,) = findings_of([both], simulated=True)["pairs"][0]["totals"]
    assert total["verdict"]["answer"] == "same"
    assert total["difference"]["net"].estimate == 0.0
    assert total["first"] == total["second"]


def test_a_selection_is_cut_alike_on_both_sides(pair):
    part = stretch_of(*pair)
    sides = select([part, part], "USDT", lambda _, s: s.grid_ns[:-1] < s.grid_ns[20])
    assert sides.points == 40
    assert np.array_equal(sides.first["net"][:20], part.first[0].columns["net"][:20])
    assert select([part], "USDC", lambda _, s: s.grid_ns[:-1] > 0).points == 0


def test_run_directories_give_what_their_configurations_give(tmp_path, capsys):
    a, b = written(tmp_path, "a.toml"), written(tmp_path, "b.toml", spread=2.0)
    backtest([load(a), load(b)], Choices(json=True))
    runs = [each["directory"] for each in answer(capsys)["runs"]]
    of_runs = compared(capsys, *runs)
    of_configs = compared(capsys, a, b)
    for key in ("totals", "regimes", "units"):
        for one, other in zip(of_runs[key], of_configs[key], strict=True):
            assert one["first"] == other["first"]
            assert one["second"] == other["second"]
    reported = report_of(runs[0]).facts["totals"][0]
    first = of_runs["totals"][0]["first"]
    assert first["net"] == pytest.approx(reported["attribution"]["net"])
    assert first["turnover"] == pytest.approx(reported["turnover"])
    assert first["fills"] == reported["fills"]


def test_seeds_and_regimes_are_told_one_by_one(tmp_path, capsys):
    a, b = written(tmp_path, "a.toml"), written(tmp_path, "b.toml", spread=2.0)
    facts = compared(capsys, a, b, seeds=2, seconds=40.0)
    assert [row["label"] for row in facts["units"]] == ["seed 3", "seed 4"]
    total = facts["totals"][0]
    assert total["points"] == 80
    assert total["first"]["net"] == pytest.approx(sum(u["first"]["net"] for u in facts["units"]))
    assert contest.run([a, b], Asked(regimes=True, seconds=31.0, repeats=False)) == 0
    said = capsys.readouterr().out
    assert "flash crash" in said
    assert "by regime" in said
    assert "verdict" in said


def test_the_market_is_cut_and_told_by_symbol(tmp_path, capsys):
    more = '[[instrument]]\nvenue = "synthetic"\nsymbol = "ETHUSDT"\n'
    for name, spread in (("a.toml", 1.0), ("b.toml", 2.0)):
        (tmp_path / name).write_text(text(tmp_path, seconds=40, spread=spread) + more)
    facts = compared(capsys, str(tmp_path / "a.toml"), str(tmp_path / "b.toml"))
    assert [row["label"] for row in facts["symbols"]] == ["synthetic:BTCUSDT", "synthetic:ETHUSDT"]
    nets = [row["first"]["net"] for row in facts["symbols"]]
    assert sum(nets) == pytest.approx(facts["totals"][0]["first"]["net"])


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"symbol": "ETHUSDT"}, ConfigError, "the instruments, their order"),
        ({"seed": 9}, ConfigError, r"\[market\] differs"),
        ({"regime": "trend"}, ConfigError, r"\[market\] differs"),
        ({"seconds": 61}, ConfigError, "seconds under"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(tmp_path, changes, error, words):
    a, b = written(tmp_path, "a.toml"), written(tmp_path, "b.toml", **changes)
    with pytest.raises(error, match=words):
        contest.run([a, b])


def test_what_cannot_be_compared_is_named(tmp_path):
    a, b = written(tmp_path, "a.toml"), written(tmp_path, "b.toml")
    with pytest.raises(DataError, match="too short to compare"):
        contest.run([a, b], Asked(seconds=20.0))
    with pytest.raises(UsageError, match="a run directory and a configuration"):
        contest.run([a, str(tmp_path)])
    with pytest.raises(UsageError, match="options of a market"):
        contest.run([str(tmp_path), str(tmp_path)], Asked(seeds=2))
    with pytest.raises(DataError, match="no run directory"):
        contest.run([str(tmp_path), str(tmp_path)])
    with pytest.raises(ConfigError, match="no end of its own"):
        contest.run([written(tmp_path, name, seconds=0) for name in ("c.toml", "d.toml")])
    with pytest.raises(UsageError, match="this is a tape"):
        contest.run([a, b], Asked(tapes=("x.gz",), seeds=2))
    with pytest.raises(UsageError, match="one variant: two or more"):
        contest.run([a])
    with pytest.raises(UsageError, match="--calibrate, which is for repeats"):
        contest.run([a, b], Asked(calibrate=("runs/x",), repeats=False))


def runs_of(folder: Path, *changes: dict) -> list:
    for change in changes:
        backtest([loads(text(folder, **change), "a.toml")], Choices(json=True, band=False))
    return [read_run(path).tradings for path in sorted((folder / "runs").iterdir())]


def test_runs_on_other_markets_are_refused(tmp_path, pair):
    one, other = runs_of(tmp_path / "a", {}), runs_of(tmp_path / "b", {"seed": 4, "seconds": 90})
    with pytest.raises(DataError, match="different tapes"):
        stretch_of(one[0], other[0])
    (third,) = runs_of(tmp_path / "c", {"symbol": "ETHUSDT", "seconds": 40})
    with pytest.raises(DataError, match="different instruments: a traded synthetic:BTCUSDT"):
        stretch_of(one[0], third, names=("a", "b"))
    later = one[0][0]
    path = later.path
    shifted = type(path)(
        path.ts_ns + 10**13, path.mid, path.spread, path.imbalance, path.usable,
        path.end_ns + 10**13,
    )  # fmt: skip
    from dataclasses import replace

    with pytest.raises(DataError, match="do not overlap in time: the first covers 2026-01-01"):
        stretch_of(pair[0], [replace(later, path=shifted)])


def test_side_by_side_on_paper_leaves_runs_that_are_compared(tmp_path, capsys):
    configs = [loads(text(tmp_path, spread=s), f"{s}.toml") for s in (1.0, 2.0)]
    forward, back = Choices(json=True, forward=True), Choices(json=True, band=False)
    assert backtest(configs, forward) == 0
    said = answer(capsys)
    runs = said["runs"]
    assert len({each["cause"] for each in runs}) == 1
    places = " ".join(each["directory"] for each in runs)
    assert said["next"] == f"python -m mmcore compare {places}"
    backtest(configs[:1], back)
    assert runs[0]["journal_hash"] == answer(capsys)["runs"][0]["journal_hash"]
    assert all("-forward-" in each["directory"] for each in runs)
    assert contest.run([each["directory"] for each in runs]) == 0
    assert "verdict" in capsys.readouterr().out


def test_side_by_side_is_on_paper_and_on_one_feed(tmp_path):
    listening = '[live]\nenvironment = "loopback"\n[market]\nsource = "venue"\n'
    item = '[[instrument]]\nvenue = "binance-usdm"\nsymbol = "BTCUSDT"\n'
    paper = loads(listening + item, "paper.toml")
    live = loads('mode = "live"\n[live]\nenvironment = "loopback"\n' + item, "live.toml")
    other = loads(listening.replace("loopback", "testnet") + item, "other.toml")
    for second, words in ((live, 'mode = "live"'), (other, "differs from paper.toml")):
        with pytest.raises(ConfigError, match=words):
            backtest([paper, second], Choices(json=True, forward=True))


def test_series_keep_their_regime(pair):
    (one,), _ = pair
    grid = np.arange(one.path.ts_ns[0], one.path.end_ns, 10**9)
    assert set(series_of(one, grid, "trend").regime.tolist()) == {"trend"}


def test_a_market_of_one_clock_is_dated_by_receipt_and_of_two_by_the_venue():
    """The venue's clock may be seconds ahead of ours; fills of a simulation are on ours."""
    source = source_of(
        loads('[[instrument]]\nvenue = "synthetic"\nsymbol = "BTCUSDT"\n'), seconds=2.0
    )
    rows = np.array(source.next_block())
    heads = heads_of(rows)
    ahead = 1_300_000_000
    rows["ts_venue_ns"][heads] = rows["ts_local_ns"][heads] + ahead
    starts = []
    for clock in ("local", "two"):
        tape = SimpleNamespace(clock=clock, rows=rows, path="events.mmt")
        _, path, _ = market_in(tape, 0, source.instruments[0], live=False)
        starts.append(int(path.ts_ns[0]))
    assert starts[1] - starts[0] == ahead
