"""Which kind of market a stretch was: the same measures for tapes and for the synthetic market.

Five minutes at a time are named from the mid alone, sampled every ten seconds.  The bounds are
absolute, in basis points, so that a name means the same on every instrument:

    flash      within a minute the price fell, or rose, by more than FLASH_BP and by FLASH_SIGMAS of
               what is usual, and half of that was taken back within the stretch
    trend      the move over the stretch is TREND_SIGMAS of what its own noise explains, and a line
               explains LINE_SHARE of the price
    quiet      volatility below QUIET_BP a root second: about 15 % a year
    volatile   volatility above VOLATILE_BP a root second, about 85 % a year, without a trend
    ranging    the rest: neither far nor fast
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .fills import Floats, Ints, MidPath

STRETCH_S = 300.0
STEP_S = 10.0
FAST_S = 60.0
FLASH_BP = 60.0
FLASH_SIGMAS = 4.0
TREND_SIGMAS = 2.5
LINE_SHARE = 0.8
QUIET_BP = 0.27
VOLATILE_BP = 1.5
SHARE_MIN = 0.5  # of a stretch: a shorter one at the end is left out

NAMES = ("ranging", "volatile", "trend", "quiet", "flash")
WORDS = {
    "ranging": "ranging",
    "volatile": "volatile, with reversals",
    "trend": "sustained trend",
    "quiet": "very quiet",
    "flash": "flash crash, or spike, and its reversal",
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """One named stretch, from start to end.

    volatility_bp: of ten-second moves, per root second.  move_bp: from start to end.  sigmas: the
    move against the noise.  line: share of the price's variance on a line.  fast_bp: the largest
    fall or rise within a minute, signed.  regime: its name.
    """

    start_ns: int
    end_ns: int
    regime: str
    volatility_bp: float
    move_bp: float
    sigmas: float
    line: float
    fast_bp: float


def stretches(path: MidPath, stretch_s: float = STRETCH_S) -> list[Stretch]:
    """The stretches of a market, in order; none where it is too short for one."""
    size = round(stretch_s * 1e9)
    start, end = int(path.ts_ns[0]), path.end_ns
    edges = [*range(start, end, size), end]
    found = []
    for first, last in pairwise(edges):
        if last - first >= SHARE_MIN * size:
            grid = np.arange(first, last + 1, round(STEP_S * 1e9), dtype=np.int64)
            found.append(named(grid, path.mid[path.at(grid)]))
    return found


def named(grid_ns: Ints, mid: Floats) -> Stretch:
    """The name of one stretch from mids on an even grid of STEP_S."""
    price = 1e4 * np.log(mid / mid[0])
    moves = np.diff(price)
    spread = float(moves.std()) if len(moves) else 0.0
    volatility = spread / math.sqrt(STEP_S)
    move = float(price[-1])
    usual = spread * math.sqrt(max(len(moves), 1))
    sigmas = abs(move) / usual if usual else 0.0
    fast, back = _fastest(price)
    line = _line(price)
    flash = abs(fast) >= FLASH_BP and back >= 0.5 and _sudden(price, fast)
    regime = "ranging"
    if flash:
        regime = "flash"
    elif sigmas >= TREND_SIGMAS and line >= LINE_SHARE:
        regime = "trend"
    elif volatility < QUIET_BP:
        regime = "quiet"
    elif volatility > VOLATILE_BP:
        regime = "volatile"
    return Stretch(int(grid_ns[0]), int(grid_ns[-1]), regime, volatility, move, sigmas, line, fast)


def _fastest(price: Floats) -> tuple[float, float]:
    """The largest signed move within FAST_S, and the share of it taken back afterwards."""
    width = round(FAST_S / STEP_S)
    best, back = 0.0, 0.0
    for lag in range(1, min(width, len(price) - 1) + 1):
        moves = price[lag:] - price[:-lag]
        at = int(np.argmax(np.abs(moves)))
        if abs(moves[at]) > abs(best):
            best = float(moves[at])
            after = price[at + lag :] - price[at + lag]
            returned = float((-math.copysign(1.0, best) * after).max())
            back = returned / abs(best)
    return best, back


def _sudden(price: Floats, fast: float) -> bool:
    """Whether a move of this size within FAST_S is beyond what the usual step explains."""
    usual = 1.4826 * float(np.median(np.abs(np.diff(price))))
    return abs(fast) >= FLASH_SIGMAS * usual * math.sqrt(FAST_S / STEP_S)


def _line(price: Floats) -> float:
    """Share of the variance that a straight line explains."""
    total = float(((price - price.mean()) ** 2).sum())
    if not total or len(price) < 3:
        return 0.0
    at = np.arange(len(price)) - (len(price) - 1) / 2
    slope = float((at * price).sum() / (at**2).sum())
    return slope**2 * float((at**2).sum()) / total


def regime_at(found: Sequence[Stretch], ts_ns: Ints) -> list[str]:
    """The name in force at each time; "" where no stretch reaches."""
    if not found:
        return [""] * len(ts_ns)
    starts = np.array([each.start_ns for each in found])
    ends = np.array([each.end_ns for each in found])
    rows = np.searchsorted(starts, ts_ns, "right") - 1
    names = [each.regime for each in found]
    # Grids end up to one step before their stretch does.
    inside = (rows >= 0) & (ts_ns < ends[rows.clip(0)] + round(STEP_S * 1e9))
    pairs = zip(rows.tolist(), inside.tolist(), strict=True)
    return [names[row] if here else "" for row, here in pairs]
