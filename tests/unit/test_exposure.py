"""A run traded again at other latencies and queue models, against the same done one by one."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from mmcore import _path, exposure
from mmcore._book import Book
from mmcore._path import path_of
from mmcore.config import loads
from mmcore.events import RecordKind
from mmcore.exposure import LATENCIES, Case, config_of, exposed, plan_of
from mmcore.markouts import curves
from mmcore.paper import PaperDesk
from mmcore.report import report_of
from mmcore.retrace import LogSource, Recorded, simulate
from mmcore.session import run_config
from mmcore.traded import simulated_ns, trading_of
from mmcore.words import exposure_words

CONFIG = """
[market]
speed = 0
preset = "{preset}"
[simulation]
entry_latency_ms = {lag}
response_latency_ms = {lag}
jitter_ms = {jitter}
[run]
seconds = 40.0
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


def run(folder, *, lag=20, jitter=5, preset="busy"):
    text = CONFIG.format(folder=folder.as_posix(), lag=lag, jitter=jitter, preset=preset)
    assert run_config(loads(text), json=True) == 0
    (journal,) = folder.glob("*/journal.sqlite")
    return journal.parent


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return run(tmp_path_factory.mktemp("runs"))


def alone(recorded, plan, case, measured):
    """The same case without the others beside it."""
    config = config_of(plan, case)
    source = LogSource(recorded.tape, recorded.tape.rows, recorded.stopped or 0)
    with closing(PaperDesk(config, "alone", 0.0, source)) as desk:
        records = simulate(desk, recorded.stopped)
    found = []
    for each in measured:
        mine = each.trading
        own = records[records["trader"] == mine.trader]
        market = mine.book, mine.path, mine.prints
        times = simulated_ns(own, config)
        found.append(trading_of(mine.trader, own, mine.item, market, config, times, {}))
    return found


def test_every_case_is_what_a_run_of_its_own_would_have_been(made):
    report = exposed(report_of(made))
    recorded = Recorded.open(made)
    plan = plan_of(recorded, report, thorough=False)
    assert len(plan.cases) == 15 and report.facts["exposure"]["same"]
    nets = set()
    for number, case in enumerate(plan.cases):
        tradings = alone(recorded, plan, case, report.measured)
        for trading, facts in zip(tradings, report.facts["instruments"], strict=True):
            told = facts["exposure"]["cases"][number]
            assert (told["model"], told["latency"]) == (str(case.model), case.latency)
            assert told["fills"] == len(trading.fills)
            assert told["net"] == pytest.approx(trading.equity(1.0)[1][-1], abs=1e-9)
            nets.add(told["net"])
            if case.latency == 1 and len(trading.fills):
                by_model = {each["name"]: each for each in facts["exposure"]["markouts"]}
                mean = curves(trading.fills, trading.path)[0].mean
                said = np.array(by_model[str(case.model)]["mean"], dtype=float)
                assert np.allclose(said, mean, equal_nan=True)
    assert len(nets) > 4  # the latency does matter on this market


@pytest.mark.parametrize("room", [1, 7, 100])
def test_a_touch_is_the_same_however_often_it_is_copied(made, monkeypatch, room):
    tape = Recorded.open(made).tape
    spec = tape.instruments[0].spec(0)
    touches, prints = path_of(Book(spec), tape.rows)
    assert len(touches) > 100 < len(prints)
    monkeypatch.setattr(_path, "_ROOM", room)
    again = path_of(Book(spec), tape.rows)
    assert (again[0] == touches).all() and (again[1] == prints).all()
    for rows in (tape.rows[:0], tape.rows[: int(tape.rows[0]["n_bids"]) // 8]):  # none; torn
        nothing = path_of(Book(spec), rows)
        assert [len(each) for each in nothing] == [0, 0]


def test_the_run_itself_is_one_of_the_cases(made):
    report = exposed(report_of(made))
    for facts in report.facts["instruments"]:
        (own,) = [
            each
            for each in facts["exposure"]["cases"]
            if (each["latency"], each["model"]) == (1.0, report.facts["exposure"]["own"])
        ]
        assert own["net"] == pytest.approx(facts["attribution"]["net"], abs=1e-9)
        assert own["fills"] == facts["fills"]["count"] > 0
        for band in facts["exposure"]["bands"]:
            nets = [
                each["net"]
                for each in facts["exposure"]["cases"]
                if each["latency"] == band["latency"]
            ]
            assert (band["low"], band["high"]) == (min(nets), max(nets))


def test_a_long_run_is_traded_again_in_fewer_cases_and_a_very_long_one_when_asked(
    made, monkeypatch
):
    report, recorded = report_of(made), Recorded.open(made)
    rows = len(recorded.tape)
    monkeypatch.setattr(exposure, "WORK_EASY", 15 * rows - 1)
    line = plan_of(recorded, report, thorough=False)
    assert len(line.cases) == 7 and line.own in line.cases
    assert {case.latency for case in line.cases if case.model == line.own.model} == set(LATENCIES)
    monkeypatch.setattr(exposure, "WORK_MAX", 7 * rows - 1)
    said = exposed(report).facts
    assert "--exposure" in said["exposure"]["skipped"]
    assert said["instruments"][0]["exposure"] is None
    assert len(plan_of(recorded, report, thorough=True).cases) == 15
    assert exposed(report, thorough=False).facts["exposure"]["skipped"]


def test_without_latency_only_the_queue_is_varied(tmp_path):
    place = run(tmp_path, lag=0, jitter=0)
    report = exposed(report_of(place))
    assert report.facts["exposure"]["latencies"] == [1.0]
    assert len(report.facts["instruments"][0]["exposure"]["cases"]) == 5


def test_a_run_that_comes_out_differently_is_told(tmp_path):
    place = run(tmp_path)
    with closing(sqlite3.connect(place / "journal.sqlite")) as db, db:
        db.execute(
            "DELETE FROM record WHERE n = (SELECT max(n) FROM record WHERE kind = ?)",
            (int(RecordKind.FILL),),
        )
    assert exposed(report_of(place)).facts["exposure"]["same"] is False
    with closing(sqlite3.connect(place / "journal.sqlite")) as db, db:
        db.execute("DELETE FROM summary")  # killed: what it would have come to is not known
    assert exposed(report_of(place)).facts["exposure"]["same"] is None


@pytest.mark.parametrize(
    ("nets", "said"),
    [
        ([1.0, 2.0], "it earns in every one"),
        ([-1.0, -2.0], "it loses in every one"),
        ([1.0, -2.0], "hangs on what is assumed"),
        ([-1.0, -1.001], "All 2 cases come to the same"),
        ([0.0, 0.0], "No case fills anything"),
    ],
)
def test_the_words_say_whether_the_sign_holds(nets, said):
    cases = [
        {"model": str(exposure.BAND[0]), "latency": factor, "net": net, "fills": int(net != 0)}
        for factor, net in zip((0.5, 2.0), nets, strict=True)
    ]
    text = exposure_words({"own": str(Case(exposure.BAND[0], 1.0).model)}, {"cases": cases}, "USDT")
    assert said in text and text.startswith("Under risk_averse:")
