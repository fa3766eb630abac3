"""How often the intervals hold what is known: many trials, on series like those of a profit."""

import numpy as np
import pytest

from mmcore.bootstrap import block_of, holm, mean_difference, sharpe_difference

TRIALS, RESAMPLES, N = 400, 199, 400
Series = np.ndarray


def ar1(rng: np.random.Generator, phi: float, noise: Series) -> Series:
    """First-order autoregression of the noise, in its stationary state from the start."""
    series = np.empty_like(noise)
    series[0] = noise[0] / np.sqrt(1 - phi**2)
    for i in range(1, len(noise)):
        series[i] = phi * series[i - 1] + noise[i]
    return series


def market(rng: np.random.Generator) -> Series:
    """What happens to both: fat tails, in bursts."""
    volatility = np.exp(0.5 * ar1(rng, 0.9, 0.4 * rng.standard_normal(N)))
    return 5.0 * volatility * rng.standard_t(4, N)


def independent(rng: np.random.Generator) -> tuple[Series, Series]:
    shared = market(rng)
    return shared + rng.standard_normal(N), shared + rng.standard_normal(N)


def fat_tailed(rng: np.random.Generator) -> tuple[Series, Series]:
    shared = market(rng)
    return shared + rng.standard_t(3, N), shared + rng.standard_t(3, N)


def remembering(rng: np.random.Generator) -> tuple[Series, Series]:
    """The difference remembers, as that of two inventories does: half is left after 1.7 steps."""
    shared = market(rng)
    return shared + ar1(rng, 0.67, rng.standard_normal(N)), shared


def rare(rng: np.random.Generator) -> tuple[Series, Series]:
    """The two differ in one increment of ten, as where fills are few."""
    shared = market(rng)
    return shared + rng.standard_normal(N) * (rng.random(N) < 0.1), shared


@pytest.mark.slow
@pytest.mark.parametrize("made", [independent, fat_tailed, remembering, rare])
@pytest.mark.parametrize(("measure", "truth"), [(mean_difference, 0.3), (sharpe_difference, 0.0)])
def test_an_interval_holds_the_truth_as_often_as_it_says(made, measure, truth):
    """19 times in 20; here at least 37 in 40, and noise alone has evenly spread p-values."""
    missed, p = 0, []
    for trial in range(TRIALS):
        one, other = made(np.random.default_rng(trial))
        block = block_of(one - other)
        found = measure(one + truth, other, block, seed=trial, resamples=RESAMPLES)
        missed += not found.low <= truth <= found.high
        if not truth:
            p.append(found.p)
    assert 0.02 <= missed / TRIALS <= 0.1, missed / TRIALS
    for level in (0.2, 0.5, 0.8) if p else ():
        assert np.mean(np.array(p) <= level) == pytest.approx(level, abs=0.07)


@pytest.mark.slow
def test_of_several_comparisons_of_noise_one_in_twenty_families_speaks():
    """Five variants of nothing against one: by themselves one in five families would."""
    families, single, corrected = 150, 0, 0
    for family in range(families):
        rng = np.random.default_rng(10_000 + family)
        shared = market(rng)
        base = shared + rng.standard_normal(N)
        p = []
        for _ in range(5):
            other = shared + rng.standard_normal(N)
            block = block_of(other - base)
            p.append(mean_difference(other, base, block, seed=family, resamples=RESAMPLES).p)
        single += min(p) <= 0.05
        corrected += min(holm(p)) <= 0.05
    assert single / families > 0.1
    assert corrected / families <= 0.09
