"""Two variants on the same market, side by side: what differs, and by more than chance or not.

Everything additive (profit, costs, turnover, fills, position flips) is binned on one grid of time
for both, so that a day, a symbol or a kind of market is a selection of the same increments.  Ratios
and drawdowns are made from the sums.  All differences are the first less the second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bootstrap import (
    BLOCKS_MIN,
    POINTS_MIN,
    UNKNOWN,
    Interval,
    block_of,
    drawdown_difference,
    mean_difference,
    sharpe_difference,
)
from .errors import DataError
from .fills import Floats, Ints
from .metrics import (
    ANNUALISE_DAYS,
    DAY_S,
    DAYS_A_YEAR,
    INTERVALS_S,
    equity,
    grid_of,
    interval_of,
    inventory_of,
    risk_of,
)
from .regimes import NAMES, regime_at, stretches
from .traded import Trading
from .words import duration

COLUMNS = ("net", "costs", "funding", "turnover", "fills", "flips")
HALF_LIVES = 3.0  # of the inventory, that a block is at least as long as
DAYS_AS_BLOCKS = 30.0  # from so many days on, a block is at least a day
MIDS_ALIKE = 0.9  # share of the samples at which two runs must have seen the same price,
SPREADS_APART = 2.0  # within so many spreads


@dataclass(frozen=True)
class Series:
    """One variant on one instrument over one stretch of market, by increments of one grid.

    columns: by name in COLUMNS, money in the settle asset; costs: fees less rebates.  regime: name
    of the market in each increment.  counts: increments in which this instrument had a market that
    both saw; in the others all columns are 0.  capital: 0 where none is stated.  half_life_s: of
    the inventory, nan where it does not revert.
    """

    symbol: str
    currency: str
    grid_ns: Ints
    columns: dict[str, Floats]
    regime: NDArray[np.str_]
    counts: NDArray[np.bool_]
    capital: float
    half_life_s: float


@dataclass(frozen=True)
class Stretch:
    """One piece of market on which both traded, instrument by instrument in the same order.

    label: "seed 3"; "" where it is the only one, and its days are told instead.
    """

    label: str
    interval_s: float
    first: tuple[Series, ...]
    second: tuple[Series, ...]

    @property
    def seconds(self) -> float:
        """Of market compared."""
        grid = self.first[0].grid_ns
        return float(grid[-1] - grid[0]) / 1e9


def stretch_of(
    first: Sequence[Trading],
    second: Sequence[Trading],
    *,
    label: str = "",
    regime: str = "",
    names: tuple[str, str] = ("the first", "the second"),
    interval_s: float = 0.0,
) -> Stretch:
    """Pair what two variants did.

    regime: what the market was made as; by default each stretch is named from its mid.
    interval_s: of the grid, by :func:`sampling`; 0: by the length of this stretch alone.  Raises
    DataError for different instruments, different markets, no common time, or too little of it.
    """
    partners = _partners(first, second, names)
    windows = [_window(pair) for pair in partners]
    if any(start >= end for start, end in windows):
        apart = f"{names[0]} covers {_when(first)}, {names[1]} {_when(second)}"
        raise _unfit(f"the two runs do not overlap in time: {apart}",
                     "compare runs of the same hours")  # fmt: skip
    start, end = min(each[0] for each in windows), max(each[1] for each in windows)
    seconds = (end - start) / 1e9
    interval_s = interval_s or sampling(seconds)
    if seconds / interval_s < POINTS_MIN:
        raise _unfit(
            f"{duration(seconds)} of market in common are too short to compare",
            f"at least {POINTS_MIN * interval_s:.0f} s are needed, and days are better",
        )
    grid = grid_of(start, end, interval_s)
    if grid[-1] < end:
        grid = np.append(grid, end)
    for (one, other), window in zip(partners, windows, strict=True):
        shared = np.unique(grid.clip(*window))
        _same_market(one, other, shared, names)
    pairs = [
        [series_of(each, grid, regime, window) for each in pair]
        for pair, window in zip(partners, windows, strict=True)
    ]
    return Stretch(label, interval_s, *(tuple(side) for side in zip(*pairs, strict=True)))


def _window(pair: Sequence[Trading]) -> tuple[int, int]:
    """From when to when both saw the market of one instrument, ns."""
    start = max(int(each.path.ts_ns[0]) for each in pair)
    return start, min(each.path.end_ns for each in pair)


def sampling(seconds: float, stretches_n: int = 1) -> float:
    """Sampling interval for so many stretches of this length.

    By the length of all, but short enough for one of them.
    """
    wanted = interval_of(seconds * stretches_n)
    fitting = [each for each in INTERVALS_S if seconds / each >= 2 * POINTS_MIN]
    return min(wanted, fitting[-1]) if fitting else INTERVALS_S[0]


def _partners(
    first: Sequence[Trading], second: Sequence[Trading], names: tuple[str, str]
) -> list[tuple[Trading, Trading]]:
    ours, theirs = ({str(each.item): each for each in side} for side in (first, second))
    if set(ours) != set(theirs):
        told = [", ".join(sorted(side)) for side in (ours, theirs)]
        raise _unfit(
            f"different instruments: {names[0]} traded {told[0]}, {names[1]} {told[1]}",
            "compare runs of the same instruments",
        )
    return [(ours[name], theirs[name]) for name in ours]


def _same_market(one: Trading, other: Trading, grid: Ints, names: tuple[str, str]) -> None:
    mids = [each.path.mid[each.path.at(grid)] * each.scale.tick for each in (one, other)]
    spread = float(np.median(one.path.spread)) * one.scale.tick
    apart = np.abs(mids[0] - mids[1])
    if float((apart <= SPREADS_APART * max(spread, one.scale.tick)).mean()) >= MIDS_ALIKE:
        return
    raise _unfit(
        f"different tapes: at the same times {names[0]} and {names[1]} saw prices of {one.item} "
        f"that are {1e4 * float(np.median(apart / mids[0])):.1f} bps apart",
        "compare runs on the same market",
    )


def _when(side: Sequence[Trading]) -> str:
    start = min(int(each.path.ts_ns[0]) for each in side)
    end = max(each.path.end_ns for each in side)
    return f"{_stamp(start)} to {_stamp(end)}"


def _stamp(ts_ns: int) -> str:
    return str(np.datetime64(ts_ns, "ns").astype("datetime64[s]")).replace("T", " ")


def _unfit(what: str, todo: str) -> DataError:
    return DataError(what, done="nothing was compared", todo=todo)


def series_of(
    trading: Trading, grid: Ints, regime: str = "", window: tuple[int, int] | None = None
) -> Series:
    """Increments of one trader on a grid.

    window: from when to when it counts, ns, by default always; what happened outside is left out.
    """
    start, end = window or (int(grid[0]), int(grid[-1]))
    account, scale, path = trading.account, trading.scale, trading.path
    fills, held = trading.fills, account.positions()
    signs = np.sign(np.concatenate([[account.start_qty], held]))
    moving = np.flatnonzero(signs)
    turned = moving[1:][signs[moving[1:]] != signs[moving[:-1]]] - 1
    value = np.abs(scale.worth(fills["tick"])) * fills["qty"]
    binned = _binner(grid, start, end)
    figures = inventory_of(account.ts_ns, held * np.float64(scale.unit), start, end)
    names = regime_at(stretches(path), grid[:-1]) if not regime else [regime] * (len(grid) - 1)
    return Series(
        symbol=str(trading.item),
        currency=trading.item.settle,
        grid_ns=grid,
        columns={
            "net": np.diff(equity(grid.clip(start, end), account, path, scale)),
            "costs": binned(account.ts_ns, account.fee),
            "funding": binned(account.ts_ns, account.funding),
            "turnover": binned(fills["ts_ns"], value),
            "fills": binned(fills["ts_ns"], np.ones(len(fills))),
            "flips": binned(account.ts_ns[turned], np.ones(len(turned))),
        },
        regime=np.array(names),
        counts=(grid[1:] > start) & (grid[:-1] < end),
        capital=trading.capital,
        half_life_s=figures.half_life_s,
    )


def _binner(grid: Ints, start: int, end: int) -> Callable[[Ints, Floats], Floats]:
    """Sums by increment; what happens at an edge belongs to the increment that it ends."""

    def binned(ts_ns: Ints, weight: Floats) -> Floats:
        place = np.searchsorted(grid, ts_ns, "left") - 1
        inside = (ts_ns > start) & (ts_ns <= end)
        return np.bincount(place[inside], weight[inside], len(grid) - 1).astype(np.float64)

    return binned


# -- what is selected ------------------------------------------------------------------------


@dataclass(frozen=True)
class Sides:
    """The increments of both variants, selected and summed over instruments."""

    first: dict[str, Floats]
    second: dict[str, Floats]
    capital: tuple[float, float]

    @property
    def points(self) -> int:
        """Paired increments."""
        return len(self.first["net"])


Chosen = Callable[[Stretch, Series], "NDArray[np.bool_] | None"]


def select(parts: Sequence[Stretch], currency: str, chosen: Chosen) -> Sides:
    """Of all stretches, one after the other.

    chosen: which increments of a series count, None: it is left out.
    """
    columns: tuple[dict[str, list[Floats]], ...] = tuple({n: [] for n in COLUMNS} for _ in "12")
    capital = [0.0, 0.0]
    for part in parts:
        # The second is chosen by what the first says: both are cut at the same places.
        masks = [chosen(part, each) for each in part.first]
        for i, side in enumerate((part.first, part.second)):
            mine = [
                (each, mask)
                for each, mask in zip(side, masks, strict=True)
                if mask is not None and each.currency == currency
            ]
            capital[i] = max(capital[i], math.fsum(each.capital for each, _ in mine))
            any_of = np.any([mask for _, mask in mine], axis=0) if mine else None
            for name in COLUMNS:
                kept = [np.where(mask, each.columns[name], 0.0) for each, mask in mine]
                total = np.sum(kept, axis=0) if kept else np.zeros(0)
                columns[i][name].append(total[any_of] if any_of is not None else total)
    first, second = ({n: np.concatenate(v) for n, v in side.items()} for side in columns)
    return Sides(first, second, (capital[0], capital[1]))


def everything(_: Stretch, series: Series) -> NDArray[np.bool_]:
    """Every increment of its market."""
    return series.counts


# -- what is measured ------------------------------------------------------------------------


def figures_of(columns: dict[str, Floats], capital: float, interval_s: float) -> dict[str, Any]:
    """One variant's figures over selected increments."""
    net, turnover = float(columns["net"].sum()), float(columns["turnover"].sum())
    risk = risk_of(np.concatenate([[0.0], np.cumsum(columns["net"])]), interval_s)
    return {
        "net": net,
        "return": net / capital if capital else math.nan,
        "sharpe": risk.sharpe,
        "drawdown": risk.drawdown,
        "costs": float(columns["costs"].sum()),
        "funding": float(columns["funding"].sum()),
        "turnover": turnover,
        "net_bps_of_turnover": 1e4 * net / turnover if turnover else math.nan,
        "fills": int(columns["fills"].sum()),
        "flips": int(columns["flips"].sum()),
    }


def differences(sides: Sides, interval_s: float, block: float, seed: int) -> dict[str, Interval]:
    """Intervals of the differences: profit, Sharpe ratio, drawdown, costs; first less second.

    Without bounds where there are fewer than BLOCKS_MIN blocks.
    """
    net = sides.first["net"], sides.second["net"]
    n = sides.points
    if n < POINTS_MIN:
        return dict.fromkeys(("net", "sharpe", "drawdown", "costs"), UNKNOWN)
    long = n * interval_s >= ANNUALISE_DAYS * DAY_S
    year = math.sqrt(DAYS_A_YEAR * DAY_S / interval_s) if long else 1.0
    costs = mean_difference(sides.first["costs"], sides.second["costs"], block, seed=seed)
    found = {
        "net": mean_difference(*net, block, seed=seed).scaled(n),
        "sharpe": sharpe_difference(*net, block, seed=seed).scaled(year),
        "drawdown": drawdown_difference(*net, block, seed=seed),
        "costs": costs.scaled(n),
    }
    few = n < BLOCKS_MIN * block
    return {k: each.bare() if few and each.error > 0 else each for k, each in found.items()}


def block_length(parts: Sequence[Stretch], sides: Sides, currency: str) -> float:
    """Mean block, in increments: see `mmcore.bootstrap.block_of`.

    At least HALF_LIVES of the slower inventory, but not longer than one stretch, since stretches
    know nothing of each other; and at least a day from DAYS_AS_BLOCKS days on.
    """
    interval_s = parts[0].interval_s
    least = max(1.0, HALF_LIVES * _half_life_s(parts, currency) / interval_s)
    if len(parts) > 1:
        least = min(least, sides.points / len(parts))
    if sides.points * interval_s >= DAYS_AS_BLOCKS * DAY_S:
        least = max(least, DAY_S / interval_s)
    return block_of(sides.first["net"] - sides.second["net"], least)


def _half_life_s(parts: Sequence[Stretch], currency: str) -> float:
    """Of the slower variant: the median over its instruments and stretches; 0: not known."""
    sides = ([part.first for part in parts], [part.second for part in parts])
    slowest = 0.0
    for side in sides:
        lives = [s.half_life_s for series in side for s in series if s.currency == currency]
        known = [each for each in lives if math.isfinite(each)]
        slowest = max(slowest, float(np.median(known)) if known else 0.0)
    return slowest


def row_of(
    parts: Sequence[Stretch], currency: str, block: float, seed: int, label: str, chosen: Chosen
) -> dict[str, Any]:
    """One selection: both variants' figures, and their differences.

    block: mean block in increments, cut to the selection; seed: of the bootstrap.
    """
    interval_s = parts[0].interval_s
    sides = select(parts, currency, chosen)
    first, second = (
        figures_of(columns, capital, interval_s)
        for columns, capital in zip((sides.first, sides.second), sides.capital, strict=True)
    )
    fitting = max(1.0, min(block, sides.points))
    return {
        "label": label,
        "currency": currency,
        "seconds": sides.points * interval_s,
        "points": sides.points,
        "first": first,
        "second": second,
        "difference": differences(sides, interval_s, fitting, seed),
    }


def by_symbol(parts: Sequence[Stretch], currency: str) -> Iterator[tuple[str, Chosen]]:
    """Instruments where there are several."""
    names = dict.fromkeys(
        each.symbol for part in parts for each in part.first if each.currency == currency
    )
    for name in names if len(names) > 1 else ():
        yield name, partial(_of_symbol, name)


def by_unit(parts: Sequence[Stretch]) -> Iterator[tuple[str, Chosen]]:
    """Stretches where there are several, else days in UTC."""
    if len(parts) > 1:
        for part in parts:
            yield part.label, partial(_of_stretch, part)
        return
    days = np.unique(_days(parts[0].first[0]))
    for day in days if len(days) > 1 else ():
        yield str(day), partial(_of_day, day)


def by_regime(parts: Sequence[Stretch], currency: str) -> Iterator[tuple[str, Chosen]]:
    """Kinds of market that occurred."""
    for name in NAMES:
        if any((s.regime == name).any() for p in parts for s in p.first if s.currency == currency):
            yield name, partial(_of_regime, name)


def _days(series: Series) -> NDArray[Any]:
    return series.grid_ns[:-1].astype("datetime64[ns]").astype("datetime64[D]")


def _of_symbol(name: str, part: Stretch, series: Series) -> NDArray[np.bool_] | None:
    return everything(part, series) if series.symbol == name else None


def _of_stretch(wanted: Stretch, part: Stretch, series: Series) -> NDArray[np.bool_] | None:
    return everything(part, series) if part is wanted else None


def _of_day(day: np.datetime64, _: Stretch, series: Series) -> NDArray[np.bool_]:
    return np.asarray(series.counts & (_days(series) == day))


def _of_regime(name: str, _: Stretch, series: Series) -> NDArray[np.bool_]:
    return np.asarray(series.counts & (series.regime == name))
