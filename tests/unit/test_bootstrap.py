"""The block bootstrap against distributions whose answers are known."""

import math

import numpy as np
import pytest

from mmcore.bootstrap import (
    UNKNOWN,
    Interval,
    automatic_block,
    block_error,
    block_of,
    deepest,
    drawdown_difference,
    draws,
    mean_difference,
    mean_influence,
    sharpe_difference,
    times_longer,
)
from mmcore.verdict import DAY_S, verdict

NAMES = ("a.toml", "b.toml")


def ar1(rng, n, phi):
    """A first-order autoregression that has forgotten its start."""
    noise = rng.standard_normal(n + 200)
    series = np.zeros(n + 200)
    for i in range(1, n + 200):
        series[i] = phi * series[i - 1] + noise[i]
    return series[200:]


def test_blocks_have_the_mean_length_and_wrap():
    rows = np.concatenate(list(draws(500, 20.0, 400, 3)))
    assert rows.shape == (400, 500)
    follows = rows[:, 1:] == (rows[:, :-1] + 1) % 500
    assert (~follows).mean() == pytest.approx((1 / 20) * (499 / 500), rel=0.06)
    counts = np.bincount(rows.ravel(), minlength=500)
    assert counts.min() > 0.6 * counts.mean()  # every place is as likely, the last ones too
    assert np.any((rows[:, :-1] == 499) & (rows[:, 1:] == 0))


def test_draws_are_those_of_their_seed_and_come_in_chunks():
    first, again, other = (np.concatenate(list(draws(100, 5.0, 50, s))) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert [len(part) for part in draws(1_000_000, 10.0, 5, 1)] == [2, 2, 1]


def test_the_automatic_block_is_the_known_one_of_an_autoregression():
    rng = np.random.default_rng(5)
    n, phi = 4000, 0.5
    known = (2 * phi / (1 - phi**2)) ** (2 / 3) * n ** (1 / 3)
    found = np.median([automatic_block(ar1(rng, n, phi)) for _ in range(15)])
    assert found == pytest.approx(known, rel=0.25)
    independent = np.median([automatic_block(rng.standard_normal(n)) for _ in range(15)])
    assert independent < 5
    assert automatic_block(np.zeros(100)) == 1.0
    assert automatic_block(np.arange(5.0)) == 1.0


def test_the_block_is_never_below_what_is_known_of_the_memory():
    noise = np.random.default_rng(1).standard_normal(1000)
    assert block_of(noise) == pytest.approx(10, rel=0.5)
    assert block_of(noise, 77.0) == 77.0
    assert block_of(noise[:50], 77.0) == 50.0


def test_the_error_of_a_mean_is_that_of_independent_increments():
    rng = np.random.default_rng(2)
    series = rng.standard_normal((300, 900)) * 3.0
    errors = block_error(mean_influence(series), 1.0)
    assert errors.mean() == pytest.approx(3.0 / 30.0, rel=0.02)


@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.90), (0.5, 0.87)])
def test_the_interval_of_a_mean_covers_it_as_often_as_it_says(phi, least):
    rng = np.random.default_rng(7)
    trials, covered = 120, 0
    for trial in range(trials):
        series = ar1(rng, 400, phi) + 0.3
        found = mean_difference(series, np.zeros(400), block_of(series), seed=trial, resamples=250)
        covered += found.low <= 0.3 <= found.high
    assert least <= covered / trials <= 1.0


def test_the_interval_of_a_sharpe_difference_covers_it_and_has_the_known_error():
    rng = np.random.default_rng(8)
    trials, n, covered, errors = 120, 400, 0, []
    for trial in range(trials):
        one, other = 0.2 + rng.standard_normal(n), rng.standard_normal(n)
        found = sharpe_difference(one, other, block_of(one), seed=trial, resamples=250)
        covered += found.low <= 0.2 <= found.high
        errors.append(found.error)
    assert 0.90 <= covered / trials <= 1.0
    assert np.median(errors) == pytest.approx(math.sqrt((2 + 0.2**2 / 2) / n), rel=0.1)


def test_pairing_takes_the_common_noise_out():
    rng = np.random.default_rng(9)
    market = 10.0 * rng.standard_normal(500)
    one, other = market + 0.2 + 0.5 * rng.standard_normal(500), market
    paired = mean_difference(one, other, 8.0)
    assert paired.decided
    assert paired.estimate == pytest.approx(0.2, abs=0.1)
    shuffled = mean_difference(one, rng.permutation(other), 8.0)
    assert not shuffled.decided
    assert shuffled.error > 10 * paired.error


def test_no_difference_is_no_difference():
    series = np.random.default_rng(3).standard_normal(100)
    assert mean_difference(series, series, 5.0) == Interval(0.0, 0.0, 0.0, 0.0, p=1.0)
    assert sharpe_difference(series, np.zeros(100), 5.0) == UNKNOWN
    few = np.zeros(100)
    few[50] = 1.0
    found = sharpe_difference(few, series, 5.0)
    assert found.low < found.estimate < found.high


def test_drawdowns():
    steps = np.array([[1.0, -3.0, 1.0, -1.0], [1.0, 1.0, 1.0, 1.0], [-2.0, 5.0, -1.0, -0.5]])
    assert deepest(steps).tolist() == [3.0, 0.0, 2.0]
    rng = np.random.default_rng(4)
    calm, wild = rng.standard_normal(400), 5.0 * rng.standard_normal(400)
    found = drawdown_difference(calm, wild, 6.0)
    assert found.estimate == deepest(calm) - deepest(wild)
    assert found.high < 0


@pytest.mark.parametrize("measure", [mean_difference, sharpe_difference, drawdown_difference])
def test_interval_and_p_value_say_the_same(measure):
    """Also where they barely do: an interval leaves out zero where p is at most 5 %."""
    rng = np.random.default_rng(12)
    answers = set()
    for resamples in (19, 20, 99, 100, 199):
        for seed in range(30):
            one, other = 0.12 + rng.standard_normal(120), rng.standard_normal(120)
            found = measure(one, other, 4.0, seed=seed, resamples=resamples)
            # Of a drawdown one half lies on each side: fewer than 40 draws prove nothing.
            if measure is drawdown_difference and resamples < 40:
                continue
            assert found.decided == (found.p <= 0.05), (found, resamples)
            assert 1 / (resamples + 1) <= found.p <= 1.0
            answers.add(found.decided)
    assert answers == {False, True}


def test_rounding_is_no_difference():
    noise = np.random.default_rng(6).standard_normal(200)
    found = mean_difference((noise - 0.4) + 0.4, noise, 5.0)
    assert (found.estimate, found.error, found.p) == (0.0, 0.0, 1.0)


def test_how_much_longer():
    assert times_longer(Interval(1.0, 0, 2, 0.5)) == pytest.approx(7.849 / 4, rel=1e-3)
    assert times_longer(Interval(0.0, -1, 1, 0.5)) == math.inf
    assert math.isnan(times_longer(UNKNOWN))


def said(mean, *, seconds=DAY_S, points=288, block=10.0, **more):
    return verdict(mean, seconds=seconds, points=points, block=block, names=NAMES, **more)


def test_verdicts():
    better = Interval(1.0, 0.5, 1.5, 0.25)
    day = said(better)
    assert day.answer == "first"
    assert not day.beyond
    assert "record at least 10 days" in day.text
    assert better.scaled(2.0) == Interval(2.0, 1.0, 3.0, 0.5)
    worse = said(Interval(-1.0, -1.5, -0.5, 0.25), seconds=20 * DAY_S)
    assert (worse.answer, worse.beyond) == ("second", True)
    assert worse.text == "b.toml earned more than a.toml, by more than chance; over 20.0 days"
    made = said(better, seconds=20 * DAY_S, simulated=True)
    assert not made.beyond
    assert "says nothing of a venue" in made.text


def test_evidence_that_does_not_suffice_says_how_much_longer():
    open_ = said(Interval(1.0, -0.2, 2.2, 0.6))
    assert open_.answer == "undecided"
    assert "the evidence does not suffice" in open_.text
    assert open_.longer_s == pytest.approx(7.849 * 0.36 * DAY_S, rel=1e-3)
    assert "2.8 days in all" in open_.text
    tiny = said(Interval(1e-6, -1.0, 1.0, 0.5))
    assert "would not show in a year" in tiny.text
    near = said(Interval(1.0, -0.1, 2.1, 0.3))
    assert "twice as much, 2.0 days in all" in near.text
    short = said(Interval(1.0, 0.5, 1.5, 0.2), seconds=60.0, points=60, block=20.0)
    assert short.answer == "short"
    assert short.longer_s == 200.0
    assert "compare at least 3 min 20 s" in short.text
    assert said(Interval(0, 0, 0, 0)).answer == "same"
    assert "neither had a fill" in said(Interval(0, 0, 0, 0), active=False).text
