"""The same comparison under other assumptions, several at once, and what is said of it."""

import json
import math

import numpy as np
import pytest

from mmcore import contest
from mmcore.band import BAND, Model
from mmcore.bootstrap import Interval
from mmcore.compare import COLUMNS, Series, Stretch
from mmcore.config import loads
from mmcore.errors import UsageError
from mmcore.findings import Pair, findings_of
from mmcore.paired import Market, pairs_of, trade
from mmcore.repeats import COSTLESS, SLOW, Assumption, repeats_of, standing
from mmcore.verdict import Verdict

TEXT = """
[market]
seed = 3
[run]
seconds = 40
[simulation]
queue_model = "{queue}"
entry_latency_ms = {latency}
response_latency_ms = {latency}
[[instrument]]
venue = "synthetic"
symbol = "BTCUSDT"
[instrument.grid]
minimum_spread = {spread}
final_order_distance = 2
"""
NAMES = ("a", "b")
UP, DOWN = Interval(1.0, 0.5, 1.5, 0.2, p=0.0005), Interval(-1.0, -1.5, -0.5, 0.2, p=0.0005)
OPEN, BACK = Interval(1.0, -0.5, 2.5, 0.8, p=0.2), Interval(-1.0, -2.5, 0.5, 0.8, p=0.2)
QUEUES = [Assumption(f"queue {model}") for model in BAND[1:]]


def config(spread: float = 1.0, queue: str = "risk_averse", latency: float = 5.0):
    text = TEXT.format(spread=spread, queue=queue, latency=latency)
    return loads(text, f"{spread}.toml")


def verdict_of(answer: str) -> Verdict:
    return Verdict(answer, beyond=False, longer_s=math.nan, text="")


def stands(answer: str, **changes: Interval):
    """With ``UP`` everywhere but where said."""
    found = [(each, changes.get(each.label.split()[-2], UP)) for each in QUEUES[:1]]
    found += [(each, changes.get(each.label.split()[1], UP)) for each in QUEUES[1:]]
    found += [(SLOW, changes.get("slow", UP)), (COSTLESS, changes.get("costless", UP))]
    return standing(verdict_of(answer), found, NAMES)


def test_what_is_repeated_is_what_is_not_so_already():
    one, other = config(1.0), config(2.0)
    labels = [each.assumption.label for each in repeats_of([one, other])]
    assert labels == [*(f"queue {model}" for model in BAND[1:]), "twice the latency"]
    slow = repeats_of([one, other])[-1].configs
    assert [each.simulation.entry_latency_ms for each in slow] == [10.0, 10.0]
    assert [each.simulation.queue_model for each in slow] == ["risk_averse"] * 2
    log = repeats_of([one, config(queue="log")])
    assert [each.assumption.label for each in log[:5]] == [f"queue {model}" for model in BAND]
    assert SLOW not in [each.assumption for each in repeats_of([config(latency=0.0)] * 2)]
    also = Model("power", 0.7)
    assert "queue power 0.7" in [each.assumption.label for each in repeats_of([one], also)]


def test_a_repeat_is_what_its_configurations_do_alone():
    configs = (config(1.0), config(2.0))
    (pair,) = pairs_of([Market("", configs)], NAMES)
    assert len(pair.repeats) == len(BAND)
    for (assumption, (stretch,)), repeat in zip(pair.repeats, repeats_of(configs), strict=True):
        assert assumption == repeat.assumption
        for side, alone in zip((stretch.first, stretch.second), repeat.configs, strict=True):
            ((trading,),) = trade([alone])
            assert side[0].columns["fills"].sum() == len(trading.fills)
            assert side[0].columns["costs"].sum() == pytest.approx(trading.account.fee.sum())
    (bare,) = pairs_of([Market("", configs)], NAMES, repeated=False)
    assert not bare.repeats
    assert np.array_equal(
        bare.parts[0].first[0].columns["net"], pair.parts[0].first[0].columns["net"]
    )


def test_a_verdict_that_holds_everywhere_is_said_to():
    found = stands("first")
    assert found.kind == "holds"
    assert found.text == (
        "it holds with each of 4 other queue models, at twice the latency and without fees and "
        "rebates"
    )


def test_a_verdict_that_weakens_or_flips_is_said_to():
    weak = stands("first", log=OPEN, slow=BACK)
    assert weak.kind == "weakens"
    assert weak.text == (
        "the verdict does not stand with queue model log and at twice the latency: there the "
        "evidence does not suffice, and b is ahead at twice the latency"
    )
    flipped = stands("first", power2=DOWN)
    assert flipped.kind == "flips"
    assert "flips with queue model power2 2: there b earned more, by more than chance" in (
        flipped.text
    )
    assert stands("second").kind == "flips"
    assert "there a earned more" in stands("second").text


def test_one_turn_among_many_is_not_believed_at_once():
    """Of six assumptions one at p = 0.02 is what chance gives; a verdict does not flip by it."""
    maybe = Interval(-1.0, -1.9, -0.1, 0.45, p=0.02)
    changes = dict.fromkeys(("power3", "power", "power2", "slow", "costless"), OPEN)
    assert stands("first", **changes, log=maybe).kind == "weakens"
    still = stands("undecided", **changes, log=maybe)
    assert still.kind == "open"
    assert "the interval with queue model log leaves out zero, but by Holm's" in still.text


def test_what_is_open_stays_open_or_hangs_on_an_assumption():
    changes = dict.fromkeys(("power3", "power", "log", "power2", "slow", "costless"), OPEN)
    still = stands("undecided", **changes)
    assert (still.kind, still.text) == ("open", "nor does it under any other assumption")
    turned = stands("short", **{**changes, "slow": BACK.bare()})
    assert turned.text.endswith("the sign of the difference turns at twice the latency")
    hangs = stands("undecided", **{**changes, "log": DOWN})
    assert hangs.kind == "hangs"
    assert hangs.text.startswith("with queue model log b earned more, by more than chance")
    both = stands("undecided", **{**changes, "log": DOWN, "costless": UP})
    assert both.kind == "flips"
    assert "without fees and rebates a earned more; with queue model log b" in both.text
    assert standing(verdict_of("same"), [(SLOW, UP)], NAMES).text == ""


# -- several at once -------------------------------------------------------------------------

STEP = 1_000_000_000


def made(net: np.ndarray, costs: float = 0.0, regime: str = "ranging") -> Series:
    n = len(net)
    columns = {name: np.zeros(n) for name in COLUMNS}
    columns |= {"net": net, "fills": np.ones(n), "costs": np.full(n, costs)}
    grid = np.arange(n + 1, dtype=np.int64) * STEP
    names, counts = np.full(n, regime), np.ones(n, bool)
    return Series("v:S", "USDT", grid, columns, names, counts, 0.0, math.nan)


def pair_of(name: str, shift: float, seed: int) -> Pair:
    noise = np.random.default_rng(seed).standard_normal(400)
    sides = (made(shift + noise),), (made(np.zeros(400)),)
    return Pair(("base", name), [Stretch("", 1.0, *sides)])


def total_of(*pairs: Pair) -> dict:
    """The total of the first."""
    (total,) = findings_of(pairs, simulated=False)["pairs"][0]["totals"]
    return total


def test_several_pairs_are_corrected_for_their_number():
    lucky = pair_of("lucky", 0.0, 60)  # of a hundred seeds of noise alone, one at p = 0.03
    alone = total_of(lucky)
    assert alone["verdict"]["answer"] in ("first", "second")
    others = [pair_of(f"y{seed}", 0.0, 1000 + seed) for seed in range(2)]
    facts = findings_of([lucky, *others], simulated=False)
    assert facts["tests"] == 3
    (total,) = facts["pairs"][0]["totals"]
    assert total["difference"]["net"] == alone["difference"]["net"]
    assert total["verdict"]["answer"] == "undecided"
    assert "it is one of 3, and by Holm's correction for so many p is" in total["verdict"]["text"]
    total = total_of(pair_of("z", 0.5, 7), others[0])
    assert "by Holm's correction for 2 comparisons too" in total["verdict"]["text"]


def test_costs_are_taken_out_of_the_fills_that_were():
    noise = np.random.default_rng(2).standard_normal(400)
    rich, poor = made(noise - 0.4, costs=0.4), made(noise, costs=0.0)
    pair = Pair(("a", "b"), [Stretch("", 1.0, (rich,), (poor,))])
    (total,) = findings_of([pair], simulated=False)["pairs"][0]["totals"]
    assert total["verdict"]["answer"] == "second"
    (free,) = total["repeats"]
    assert free["label"] == COSTLESS.label
    assert free["difference"]["net"].estimate == pytest.approx(0.0, abs=1e-9)
    assert total["standing"]["kind"] == "weakens"


def test_three_configurations_are_told_pair_by_pair(tmp_path, capsys):
    paths = []
    for spread in (1.0, 2.0, 3.0):
        path = tmp_path / f"a_long_name_for_a_configuration_{spread:g}.toml"
        path.write_text(TEXT.format(spread=spread, queue="risk_averse", latency=5.0))
        paths.append(str(path))
    assert contest.run(paths, as_json=True) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [each["names"][1][-6] for each in facts["pairs"]] == ["2", "3"]
    assert facts["pairs"][0]["totals"][0]["first"]["fills"] > 0
    assert len(facts["pairs"][0]["totals"][0]["repeats"]) == len(BAND) + 1
    assert contest.run(paths, contest.Asked(seeds=2, repeats=False)) == 0
    said = capsys.readouterr().out
    assert said.count("verdict ") == 2
    assert "…1.toml" in said
    assert "queue power" not in said


def test_more_than_one_pass_holds_is_refused(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(TEXT.format(spread=1.0, queue="risk_averse", latency=5.0))
    with pytest.raises(UsageError, match="300 configurations, queue models"):
        contest.run([str(path)] * 50)
