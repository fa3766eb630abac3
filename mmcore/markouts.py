"""Markouts: what a fill was worth some time after it, against the mid then, before fees.

side * (mid(t + h) - price), weighted by quantity, over the fills whose horizon lies inside the
tape.  The bands come from a circular block bootstrap: fills follow each other and share moves of
the market, so that blocks of consecutive fills are drawn, as long as what happens within the
horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fills import Floats, MidPath

HORIZONS_S = (0.1, 1.0, 5.0, 30.0, 60.0)
RESAMPLES = 500
BAND = (0.05, 0.95)
BLOCKS_MAX = 1000
FILLS_MIN = 5  # below it no band is given: there is nothing to draw from
GROUPS = ("side", "level", "imbalance", "hour")  # hour: of the day, UTC
IMBALANCE_EDGES = (-1 / 3, 1 / 3)
IMBALANCE_WORDS = ("against us", "balanced", "for us")  # of the book, seen from the fill's side


@dataclass(frozen=True, slots=True)
class Curve:
    """Markouts of one group of fills at each horizon; nan where no fill reaches it.

    name: "all", or a value of ``by``: side, level, imbalance, hour.  mean, low, high: ticks.
    mean_bps: the mean against the fills' prices.  fills: that reach the horizon.
    """

    by: str
    name: str
    horizons_s: tuple[float, ...]
    mean: Floats
    low: Floats
    high: Floats
    mean_bps: Floats
    fills: NDArray[np.int64]


def markout(fills: NDArray[np.void], path: MidPath, horizon_s: float) -> Floats:
    """side * (mid(t + horizon) - price) of each fill, ticks; nan beyond the end of the path."""
    then = fills["ts_ns"] + round(horizon_s * 1e9)
    mid = path.mid[path.at(then)]
    gained = fills["side"] * (mid - fills["tick"])
    return np.where(then <= path.end_ns, gained, np.nan)


def mean_of(values: Floats, weights: NDArray[np.float64]) -> float:
    """Weighted mean of the values that are not nan; nan without any."""
    known = np.isfinite(values)
    total = float(weights[known].sum())
    return float((values[known] * weights[known]).sum()) / total if total else float("nan")


def curves(
    fills: NDArray[np.void],
    path: MidPath,
    *,
    horizons_s: Sequence[float] = HORIZONS_S,
    by: Sequence[str] = GROUPS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Curve]:
    """The curve of all FILLS of one instrument, then those ``by`` some of GROUPS."""
    values = [markout(fills, path, horizon) for horizon in horizons_s]
    blocks = [block_of(fills["ts_ns"], horizon) for horizon in horizons_s]
    found = []
    chosen = [each for each in groups(fills) if each[0] == "all" or each[0] in by]
    for word, name, mask in chosen:
        rows = [
            _point(fills, gained, block, mask, resamples, seed)
            for gained, block in zip(values, blocks, strict=True)
        ]
        mean, low, high, bps, count = (np.array(column) for column in zip(*rows, strict=True))
        found.append(Curve(word, name, tuple(horizons_s), mean, low, high, bps, count))
    return found


def groups(fills: NDArray[np.void]) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """How fills are told apart: (by, name, mask), those with a fill, "all" first."""
    found = [("all", "all", np.ones(len(fills), bool))]
    found += [("side", word, fills["side"] == side) for word, side in (("buys", 1), ("sells", -1))]
    levels = np.unique(fills["level"]).tolist()
    if len(levels) > 1:
        found += [("level", f"level {n}", fills["level"] == n) for n in levels]
    leaning = np.digitize(fills["side"] * fills["imbalance"], IMBALANCE_EDGES)
    found += [("imbalance", word, leaning == n) for n, word in enumerate(IMBALANCE_WORDS)]
    hours = fills["ts_ns"] // 3_600_000_000_000 % 24
    found += [("hour", f"{n:02d} h UTC", hours == n) for n in np.unique(hours).tolist()]
    return [each for each in found if each[2].any()]


def _point(
    fills: NDArray[np.void],
    values: Floats,
    block: int,
    mask: NDArray[np.bool_],
    resamples: int,
    seed: int,
) -> tuple[float, float, float, float, int]:
    known = mask & np.isfinite(values)
    count = int(known.sum())
    weights = np.where(known, fills["qty"], 0).astype(np.float64)
    if not count:
        return (float("nan"),) * 4 + (0,)
    filled = np.where(known, values, 0.0)
    mean = float((filled * weights).sum() / weights.sum())
    price = float((fills["tick"] * weights).sum() / weights.sum())
    low = high = float("nan")
    if count >= FILLS_MIN:
        low, high = band(filled, weights, block, resamples, seed)
    return mean, low, high, 1e4 * mean / price, count


def block_of(ts_ns: NDArray[np.int64], horizon_s: float) -> int:
    """Fills in a block: as many as usually share a horizon, at least n^(1/3), at most n / 4.

    Above BLOCKS_MAX blocks they grow, which loses nothing: there are enough to draw from.
    """
    n = len(ts_ns)
    sharing = np.searchsorted(ts_ns, ts_ns + round(horizon_s * 1e9), "right") - np.arange(n)
    wanted = max(float(sharing.mean()) if n else 1.0, n ** (1 / 3), n / BLOCKS_MAX)
    return int(min(np.ceil(wanted), max(n // 4, 1)))


def band(
    values: Floats, weights: Floats, block: int, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The BAND quantiles of the weighted mean over drawn circular blocks of so many values."""
    n = len(values)
    if n < FILLS_MIN:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n, (resamples, -(-n // block)))
    sums = [
        _block_sums(column, block)[starts].sum(axis=1) for column in (values * weights, weights)
    ]
    drawn = sums[1] > 0
    if not drawn.any():
        return float("nan"), float("nan")
    low, high = np.quantile(sums[0][drawn] / sums[1][drawn], BAND)
    return float(low), float(high)


def _block_sums(column: Floats, block: int) -> Floats:
    """Sum of the block that starts at each place, going round."""
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([column, column[:block]]))])
    return np.asarray(total[block : block + len(column)] - total[: len(column)])
