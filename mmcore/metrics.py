"""Figures of a run: return, risk, inventory, orders.  Pure functions on arrays.

Ratios state what they were made of: the sampling interval of the equity, and the days by which they
are annualised.  Below ANNUALISE_DAYS nothing is annualised: a Sharpe ratio of an hour, scaled to a
year, is a large number about nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .events import RecordKind
from .fills import Account, Floats, Ints, MidPath, Scale

DAYS_A_YEAR = 365.0  # these markets do not close
ANNUALISE_DAYS = 5.0
DAY_S = 86_400.0
# Sampling interval by length: the longest that leaves a few hundred points.
INTERVALS_S = (1.0, 10.0, 60.0, 300.0, 3600.0)
POINTS_MIN = 240


def interval_of(seconds: float) -> float:
    """Sampling interval of the equity for a run of this length."""
    fitting = [each for each in INTERVALS_S if seconds / each >= POINTS_MIN]
    return fitting[-1] if fitting else INTERVALS_S[0]


def grid_of(start_ns: int, end_ns: int, interval_s: float) -> Ints:
    """Times from the start, one an interval, to the last that is not after the end."""
    step = round(interval_s * 1e9)
    return np.arange(start_ns, end_ns + 1, step, dtype=np.int64)


def equity(grid_ns: Ints, account: Account, path: MidPath, scale: Scale) -> Floats:
    """Profit after fees and funding at these times, marked at the mid then; settle asset."""
    n = np.searchsorted(account.ts_ns, grid_ns, "right")
    worth = scale.worth(path.mid[path.at(grid_ns)])
    flows = -account.qty * scale.worth(np.maximum(account.tick, 1)) - account.fee + account.funding
    cash = np.concatenate([[0.0], np.cumsum(flows)])
    held = np.concatenate([[account.start_qty], account.positions()])
    entered = account.start_qty * scale.worth(path.mid[0])
    return np.asarray(cash[n] + held[n] * worth - entered)


@dataclass(frozen=True, slots=True)
class Risk:
    """Of an equity series.  Ratios are per interval, and annualised where ``annualised``.

    sharpe: mean over standard deviation of the differences; sortino: over the root mean square of
    the losses, nan without one.  autocorrelation: of the differences at lag 1; well away from 0
    the ratios depend on the interval.  drawdown: the deepest; drawdown_s: from its high to the
    next, or to the end; under_water: share of the time below the last high.
    """

    interval_s: float
    points: int
    annualised: bool
    sharpe: float
    sortino: float
    volatility: float
    autocorrelation: float
    drawdown: float
    drawdown_s: float
    under_water: float


def risk_of(series: Floats, interval_s: float) -> Risk:
    """Risk figures of an equity series sampled every ``interval_s``."""
    steps = np.diff(series)
    seconds = len(steps) * interval_s
    annualised = seconds >= ANNUALISE_DAYS * DAY_S
    scale = math.sqrt(DAYS_A_YEAR * DAY_S / interval_s) if annualised else 1.0
    spread = float(steps.std(ddof=1)) if len(steps) > 1 else 0.0
    mean = float(steps.mean()) if len(steps) else 0.0
    losses = math.sqrt(float((np.minimum(steps, 0) ** 2).mean())) if len(steps) else 0.0
    below = drawdowns(series)
    depth, length = _deepest(below)
    return Risk(
        interval_s=interval_s,
        points=len(series),
        annualised=annualised,
        sharpe=mean / spread * scale if spread else math.nan,
        sortino=mean / losses * scale if losses else math.nan,
        volatility=spread * scale,
        autocorrelation=_autocorrelation(steps),
        drawdown=depth,
        drawdown_s=length * interval_s,
        under_water=float((below > 0).mean()) if len(below) else 0.0,
    )


def drawdowns(series: Floats) -> Floats:
    """How far each point lies below the highest one up to it."""
    return np.asarray(np.maximum.accumulate(series) - series) if len(series) else series


def _deepest(below: Floats) -> tuple[float, int]:
    """Depth of the deepest drawdown, and points from its high to the next high or the end."""
    if not len(below) or not below.max() > 0:
        return 0.0, 0
    worst = int(np.argmax(below))
    highs = np.flatnonzero(below <= 0)
    start = highs[highs < worst][-1]
    after = highs[highs > worst]
    end = after[0] if len(after) else len(below) - 1
    return float(below[worst]), int(end - start)


def _autocorrelation(steps: Floats) -> float:
    if len(steps) < 3:
        return math.nan
    centred = steps - steps.mean()
    total = float((centred**2).sum())
    return float((centred[1:] * centred[:-1]).sum()) / total if total else math.nan


# -- inventory -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inventory:
    """Position over time, in the units it was given in, weighted by time.

    quantiles: 5, 25, 50, 75, 95 %.  at_limit: share of the time at or beyond the limit, nan
    without one.  half_life_s: after which half of a deviation is left by a first-order fit, nan
    where it does not revert.
    """

    mean: float
    mean_abs: float
    max_abs: float
    quantiles: tuple[float, ...]
    at_limit: float
    half_life_s: float
    flips: int


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def inventory_of(
    ts_ns: Ints,
    position: NDArray[np.float64],
    start_ns: int,
    end_ns: int,
    *,
    before: float = 0.0,
    limit: float = 0.0,
) -> Inventory:
    """Of positions that hold from their time to the next, from start to end; 0 limit: none."""
    held = np.concatenate([[before], position])
    edges = np.concatenate([[start_ns], ts_ns, [end_ns]]).clip(start_ns, end_ns)
    spans = np.diff(edges).astype(np.float64)
    total = spans.sum()
    if not total:
        return Inventory(0.0, 0.0, 0.0, (0.0,) * len(QUANTILES), math.nan, math.nan, 0)
    order = np.argsort(held, kind="stable")
    share = np.cumsum(spans[order]) / total
    places = np.searchsorted(share, QUANTILES).clip(max=len(held) - 1)
    signs = np.sign(held[held != 0])
    return Inventory(
        mean=float((held * spans).sum() / total),
        mean_abs=float((np.abs(held) * spans).sum() / total),
        max_abs=float(np.abs(held).max()),
        quantiles=tuple(held[order][places].tolist()),
        at_limit=float(spans[np.abs(held) >= limit].sum() / total) if limit else math.nan,
        half_life_s=_half_life(edges, held),
        flips=int((signs[1:] != signs[:-1]).sum()),
    )


def _half_life(edges: Ints, held: Floats) -> float:
    """From the regression of the position on itself a second before."""
    times = np.arange(edges[0], edges[-1], 1_000_000_000)
    if len(times) < 10:
        return math.nan
    seen = held[(np.searchsorted(edges, times, "right") - 1).clip(0, len(held) - 1)]
    seen = seen - seen.mean()
    total = float((seen[:-1] ** 2).sum())
    kept = float((seen[1:] * seen[:-1]).sum()) / total if total else 0.0
    return -math.log(2) / math.log(kept) if 0 < kept < 1 else math.nan


# -- orders ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderFigures:
    """Of ORDERS and the requests behind them.

    fill_ratio: orders with a fill among those placed; fill_ratio_qty: units filled among units
    asked for.  cancels_per_fill: of orders.  time_to_fill_s: median and 90 % from acknowledgement
    to first fill; rested_s: median life of orders without a fill.  calls: to the venue, each with
    one or several requests; calls_per_s_max: in any one second.
    """

    placed: int
    filled: int
    amends: int
    cancelled: int
    expired: int
    refused: int
    calls: int
    fill_ratio: float
    fill_ratio_qty: float
    cancels_per_fill: float
    time_to_fill_s: tuple[float, float]
    rested_s: float
    calls_per_s: float
    calls_per_s_max: int


def order_figures(orders: NDArray[np.void], call_ns: Ints, seconds: float) -> OrderFigures:
    """call_ns: when each call was sent to the venue, in order; seconds: of the run."""
    filled = orders["filled"] > 0
    waited = orders["first_fill_ns"] - orders["acked_ns"]
    waited = waited[filled & (orders["acked_ns"] >= 0)] / 1e9
    idle = (orders["ended_ns"] - orders["acked_ns"])[
        ~filled & (orders["acked_ns"] >= 0) & (orders["ended_ns"] >= 0)
    ]
    ended = orders["ending"]
    n_filled, n_cancelled = int(filled.sum()), int((ended == RecordKind.CANCELLED).sum())
    asked = int(orders["qty"].sum())
    return OrderFigures(
        placed=len(orders),
        filled=n_filled,
        amends=int(orders["amends"].sum()),
        cancelled=n_cancelled,
        expired=int((ended == RecordKind.EXPIRED).sum()),
        refused=int((ended == RecordKind.REJECT).sum()),
        calls=len(call_ns),
        fill_ratio=n_filled / len(orders) if len(orders) else math.nan,
        fill_ratio_qty=int(orders["filled"].sum()) / asked if asked else math.nan,
        cancels_per_fill=n_cancelled / n_filled if n_filled else math.nan,
        time_to_fill_s=_spread(waited),
        rested_s=float(np.median(idle)) / 1e9 if len(idle) else math.nan,
        calls_per_s=len(call_ns) / seconds if seconds else math.nan,
        calls_per_s_max=peak(call_ns, 1.0),
    )


def _spread(values: Floats) -> tuple[float, float]:
    if not len(values):
        return math.nan, math.nan
    middle, late = np.quantile(values, [0.5, 0.9])
    return float(middle), float(late)


def peak(ts_ns: Ints, window_s: float) -> int:
    """The most events in any window of that length."""
    if not len(ts_ns):
        return 0
    ends = np.searchsorted(ts_ns, ts_ns + round(window_s * 1e9), "left")
    return int((ends - np.arange(len(ts_ns))).max())
