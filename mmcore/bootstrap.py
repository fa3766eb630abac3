"""Whether a difference between two series is more than chance: the stationary block bootstrap.

Increments of a profit follow each other, so that single ones cannot be drawn: blocks of them are,
of random length, wrapped at the end (Politis and Romano 1994).  The mean length is the one of
Politis and White (2004, corrected 2009) and never below what the caller knows of the memory.  Means
and Sharpe ratios are studentised: each draw is measured in standard errors of its own, taken from
sums over blocks, after Ledoit and Wolf (2008).  Everything is paired: both series are drawn at the
same places.  Where several differences are looked at, Holm's step-down (1979) says which of them
are still more than chance.  Pure functions on arrays; the seed is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fills import Floats, Ints

RESAMPLES = 2000
LEVEL = 0.95
BLOCKS_MIN = 10.0  # mean blocks in a series; below it no interval deserves its level
POINTS_MIN = 30  # increments; below it nothing is drawn
CELLS = 2_000_000  # of one chunk of draws: what fits the memory of a small machine
ROUNDING = 1e-9  # of the largest increment
POWER_Z = 1.959964 + 0.841621  # seen at 95 %, four times in five

Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference and what it may be by chance; nan where it cannot be measured.

    estimate: as observed, first less second.  low, high: at ``level``.  error: standard error.
    p: share of draws without a difference that lie as far out; at most 1 - level exactly where the
    interval leaves out zero.
    """

    estimate: float
    low: float
    high: float
    error: float
    level: float = LEVEL
    p: float = math.nan

    @property
    def decided(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0.0 or self.high < 0.0

    def bare(self) -> Interval:
        """The estimate without bounds."""
        return Interval(self.estimate, math.nan, math.nan, math.nan, self.level)

    def scaled(self, by: float) -> Interval:
        """The same in other units; by: above 0."""
        return Interval(
            self.estimate * by, self.low * by, self.high * by, self.error * by, self.level, self.p
        )


UNKNOWN = Interval(math.nan, math.nan, math.nan, math.nan)


# -- blocks ----------------------------------------------------------------------------------


def autocovariances(series: Floats, lags: int) -> Floats:
    """Autocovariances at lags 0 to ``lags``, divided by the length at every lag."""
    centred = series - series.mean()
    n = len(series)
    return np.array([(centred[: n - k] * centred[k:]).sum() / n for k in range(lags + 1)])


def automatic_block(series: Floats) -> float:
    """Mean block length after Politis and White for the stationary bootstrap, at least 1.

    A series without variance has no memory: 1.
    """
    n = len(series)
    if n < 8:
        return 1.0
    quiet_run = max(5, math.ceil(math.sqrt(math.log10(n))))
    longest = math.ceil(math.sqrt(n)) + quiet_run
    covariance = autocovariances(series, min(longest, n - 1))
    if not covariance[0] > 1e-300:
        return 1.0
    small = np.abs(covariance[1:] / covariance[0]) < 2.0 * math.sqrt(math.log10(n) / n)
    reach = _lags_until_quiet(small, quiet_run)
    lags = np.arange(1, min(2 * max(reach, 1), len(covariance) - 1) + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - lags / (2.0 * max(reach, 1))))
    weighted = window * covariance[lags]
    spectrum = covariance[0] + 2.0 * float(weighted.sum())
    slope = 2.0 * float((weighted * lags).sum())
    if spectrum <= 0.0:
        return 1.0
    longest_block = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    block = (slope**2 / spectrum**2) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return float(min(max(block, 1.0), longest_block))


def _lags_until_quiet(small: NDArray[np.bool_], run: int) -> int:
    """The last lag before ``run`` small correlations in a row, or the last that is not small."""
    quiet = 0
    for i, each in enumerate(small.tolist()):
        quiet = quiet + 1 if each else 0
        if quiet == run:
            return i + 1 - run
    large = np.flatnonzero(~small)
    return int(large[-1]) + 1 if len(large) else 1


def block_of(series: Floats, least: float = 1.0) -> float:
    """Mean block length: automatic, at least the cube root of the length, and at least ``least``.

    least: of what the caller knows of the memory, in increments.
    """
    n = max(len(series), 1)
    return float(min(max(automatic_block(series), n ** (1.0 / 3.0), least), n))


def draws(n: int, block: float, resamples: int, seed: int) -> Iterator[Ints]:
    """Chunks of rows of indices, each row a stationary resample of 0 to n - 1.

    A row goes on to the next index, the first after the last, or starts anew anywhere with
    probability 1 / block.
    """
    rng = np.random.default_rng(seed)
    rows = max(1, CELLS // max(n, 1))
    place = np.arange(n)
    for first in range(0, resamples, rows):
        shape = (min(rows, resamples - first), n)
        anew = rng.random(shape) * block < 1.0
        anew[:, 0] = True
        start = rng.integers(0, n, shape)
        last = np.maximum.accumulate(np.where(anew, place, 0), axis=1)
        began = np.take_along_axis(start, last, axis=1)
        yield (began + place - last) % n


def outside(resamples: int, share: float) -> int:
    """How many of so many draws lie outside an interval that leaves out ``share`` of them.

    By the rule of (1 + draws beyond) / (1 + draws) for a p-value, so that interval and p-value
    agree (Davison and Hinkley 1997, 4.2.5); at least 1: fewer draws than that prove nothing.
    """
    return max(1, int(share * (resamples + 1) + 1e-9))


# -- differences -----------------------------------------------------------------------------


def mean_influence(series: Floats) -> Floats:
    """What each increment does to the mean; rows of a matrix are series."""
    return np.asarray(series - series.mean(axis=-1, keepdims=True))


def sharpe_of(series: Floats) -> Floats:
    """Mean over standard deviation of increments; nan without variance."""
    spread = series.std(axis=-1)
    mean = series.mean(axis=-1)
    flat = spread <= 1e-12 * np.abs(series).max(axis=-1, initial=0.0)
    return np.asarray(np.where(flat, np.nan, mean / np.where(flat, 1.0, spread)))


def sharpe_influence(series: Floats) -> Floats:
    """What each increment does to the Sharpe ratio, to first order."""
    spread = np.maximum(series.std(axis=-1, keepdims=True), 1e-300)
    score = (series - series.mean(axis=-1, keepdims=True)) / spread
    ratio = series.mean(axis=-1, keepdims=True) / spread
    return np.asarray(score - 0.5 * ratio * (score**2 - 1.0))


def block_error(influence: Floats, block: float) -> Floats:
    """Standard error of a statistic from the sums of its influence over whole blocks."""
    n = influence.shape[-1]
    width = max(1, min(round(block), n // 2))
    count = n // width
    sums = influence[..., : count * width].reshape(*influence.shape[:-1], count, width).sum(-1)
    return np.asarray(np.sqrt((sums**2).sum(axis=-1) / (count * width) / n))


def _studentised(
    first: Floats,
    second: Floats,
    block: float,
    seed: int,
    resamples: int,
    of: tuple[Statistic, Statistic],
) -> Interval:
    """Symmetric studentised interval of statistic(first) - statistic(second)."""
    statistic, influence = of
    estimate = float(statistic(first) - statistic(second))
    error = float(block_error(influence(first) - influence(second), block))
    if not math.isfinite(estimate):
        return UNKNOWN
    if error <= 1e-300:
        certain = 1.0 if estimate == 0.0 else 1.0 / (resamples + 1)
        return Interval(estimate, estimate, estimate, 0.0, p=certain)
    seen = []
    for rows in draws(len(first), block, resamples, seed):
        one, other = first[rows], second[rows]
        gap = np.abs(statistic(one) - statistic(other) - estimate)
        own = block_error(influence(one) - influence(other), block)
        # A draw that is all alike has no error of its own: it counts with the observed one.
        seen.append(gap / np.where(own > 1e-3 * error, own, error))
    score = np.concatenate(seen)
    score = np.sort(score[np.isfinite(score)])
    if not len(score):
        return UNKNOWN
    beyond = len(score) - int(np.searchsorted(score, abs(estimate) / error, "left"))
    reach = float(score[-outside(len(score), 1.0 - LEVEL)]) * error
    p = (1 + beyond) / (len(score) + 1)
    return Interval(estimate, estimate - reach, estimate + reach, error, p=p)


def mean_difference(
    first: Floats, second: Floats, block: float, *, seed: int = 1, resamples: int = RESAMPLES
) -> Interval:
    """Of the means of paired increments; what rounding made of equal ones is no difference."""
    difference = first - second
    largest = max(np.abs(first).max(initial=0.0), np.abs(second).max(initial=0.0))
    difference = np.where(np.abs(difference) <= ROUNDING * largest, 0.0, difference)
    zero = np.zeros_like(difference)
    of = (lambda x: x.mean(axis=-1), mean_influence)
    return _studentised(difference, zero, block, seed, resamples, of)


def sharpe_difference(
    first: Floats, second: Floats, block: float, *, seed: int = 1, resamples: int = RESAMPLES
) -> Interval:
    """Of the Sharpe ratios of paired increments, per increment; unknown where one is flat."""
    return _studentised(first, second, block, seed, resamples, (sharpe_of, sharpe_influence))


def deepest(increments: Floats) -> Floats:
    """The deepest drawdown of the sums of increments, row by row; 0 at the start counts."""
    total = np.cumsum(increments, axis=-1)
    high = np.maximum.accumulate(np.maximum(total, 0.0), axis=-1)
    return np.asarray((high - total).max(axis=-1, initial=0.0))


def drawdown_difference(
    first: Floats, second: Floats, block: float, *, seed: int = 1, resamples: int = RESAMPLES
) -> Interval:
    """Of the deepest drawdowns: the observed one, and the middle of what paths so drawn have.

    A drawdown belongs to one order of events; the interval is that of other orders of the same
    blocks, and need not be centred on the estimate.
    """
    estimate = float(deepest(first) - deepest(second))
    seen = [
        deepest(first[rows]) - deepest(second[rows])
        for rows in draws(len(first), block, resamples, seed)
    ]
    values = np.sort(np.concatenate(seen))
    tail = outside(len(values), (1.0 - LEVEL) / 2.0)
    rarer = min(int((values <= 0.0).sum()), int((values >= 0.0).sum()))
    p = min(1.0, 2.0 * (1 + rarer) / (len(values) + 1))
    low, high = float(values[tail - 1]), float(values[-tail])
    return Interval(estimate, low, high, float(values.std()), p=p)


def times_longer(interval: Interval) -> float:
    """How many times as much data would show a difference of the observed size.

    At the level of the interval, four times in five; 1 and less: it is there already.  inf for no
    difference, nan for an unknown one.
    """
    if not math.isfinite(interval.estimate) or not math.isfinite(interval.error):
        return math.nan
    if interval.estimate == 0.0:
        return math.inf
    return (POWER_Z * interval.error / interval.estimate) ** 2


# -- several at once -------------------------------------------------------------------------


def holm(p: Sequence[float]) -> list[float]:
    """P-values adjusted for their number: at most a level where Holm's step-down rejects at it.

    The chance that any true nought is called a difference is then at most the level, however the
    tests depend on each other.  Values that are not known (nan) are no tests, and stay so.
    """
    known = sorted((value, i) for i, value in enumerate(p) if not math.isnan(value))
    adjusted = [math.nan] * len(p)
    least = 0.0
    for rank, (value, i) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * value))
        adjusted[i] = least
    return adjusted
