"""Formulas of both strategies that are plain arithmetic: small tools, and single features.

The tools are those of system A (docs/strategy.md 2.1), the features those of its engine
(section 5).  :mod:`mmcore.strategy` has them all under one roof.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from ._quotes import nbsqrt
from ._signals import dead_banded, imbalance_ratio

__all__ = [
    "Ema",
    "average_trade_price",
    "bps_to_decimal",
    "calculate_exponent",
    "clip",
    "count_decimal_places",
    "depth_weighted",
    "ema",
    "expected_return",
    "expected_value",
    "geomspace",
    "historical_aggression",
    "imbalance",
    "linspace",
    "mid_average",
    "mid_change",
    "mid_difference",
    "mid_price_basis",
    "price_fluctuation",
    "price_impact",
    "round_to",
    "spread_price_in_bps",
    "trade_imbalance",
    "volatility",
    "weighted_mid",
]


# ---- small tools (2.1) -------------------------------------------------------------------------


def clip(x: float, low: float, high: float) -> float:
    """``x`` within [low, high]."""
    return min(max(x, low), high)


def linspace(start: float, end: float, n: int) -> list[float]:
    """``n`` equal steps from ``start`` to ``end``, both included; [start] for n of 1 or less."""
    if n <= 1:
        return [start]
    return [start + i * (end - start) / (n - 1) for i in range(n - 1)] + [end]


def geomspace(start: float, end: float, n: int) -> list[float]:
    """``n`` equal ratios from ``start`` to ``end``, both exact; [start] for n of 1 or less.

    Raises ValueError where an end is not above 0.
    """
    if start <= 0.0 or end <= 0.0:
        raise ValueError(f"geomspace from {start!r} to {end!r}: expected both above 0")
    if n <= 1:
        return [start]
    return [start * (end / start) ** (i / (n - 1)) for i in range(n - 1)] + [end]


def round_to(x: float, decimals: int) -> float:
    """``x`` cut, not rounded, to so many decimals of its shortest decimal print."""
    step = Decimal(1).scaleb(-decimals)
    return float(Decimal(repr(x)).quantize(step, rounding="ROUND_DOWN"))


def count_decimal_places(x: float) -> int:
    """Digits behind the point in the shortest decimal print: 1e-06 -> 6, 5.0 -> 0."""
    exponent = Decimal(repr(x)).normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def bps_to_decimal(bps: float) -> float:
    """Basis points as a fraction."""
    return bps / 1e4


def spread_price_in_bps(spread: float, price: float) -> float:
    """A spread in basis points of the price; real, where the original cut it to a whole number."""
    return spread / price * 1e4


def calculate_exponent(k: float) -> float:
    """e^(-k/2): the weight of the k-th level behind the touch."""
    return math.exp(-0.5 * k)


@dataclass(slots=True)
class Ema:
    """Exponential mean; alpha 2 / (window + 1) where not given; starts with its first sample."""

    window: int
    alpha: float = 0.0
    value: float = math.nan

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"window is {self.window!r}: expected at least 1")
        self.alpha = self.alpha or 2.0 / (self.window + 1)

    def update(self, x: float) -> float:
        """Takes a sample; returns the mean."""
        fresh = math.isnan(self.value)
        self.value = x if fresh else self.alpha * x + (1.0 - self.alpha) * self.value
        return self.value


def ema(values: Iterable[float], window: int, alpha: float = 0.0) -> list[float]:
    """Running exponential mean of a series."""
    mean = Ema(window, alpha)
    return [mean.update(x) for x in values]


# ---- feature engine (section 5) ----------------------------------------------------------------


def depth_weighted(quantities: Sequence[float], depth: int) -> float:
    """Sum of e^(-i/2) * quantity over the first ``depth`` levels, best first."""
    return math.fsum(calculate_exponent(i) * q for i, q in enumerate(quantities[:depth]))


def imbalance(
    bids: Sequence[float], asks: Sequence[float], depth: int = 1, dead_band: float = 0.20
) -> float:
    """Depth-weighted imbalance of quantities, best first; 0 inside the dead band."""
    return dead_banded(
        imbalance_ratio(depth_weighted(bids, depth), depth_weighted(asks, depth)), dead_band
    )


def weighted_mid(bid: float, ask: float, imbalance: float) -> float:
    """Nearer the ask the more is bid: bid (1 - w) + ask w with w = (1 + imbalance) / 2."""
    w = 0.5 * (1.0 + imbalance)
    return bid * (1.0 - w) + ask * w


def trade_imbalance(bought: float, sold: float, *, literal: bool = False) -> float:
    """2 B / (B + S) - 1 within [-1, 1], 0 without trades; literal: B / (B + S)."""
    if literal:
        return bought / (bought + sold) if bought + sold > 0.0 else 0.0
    return imbalance_ratio(bought, sold)


def average_trade_price(turnover: float, volume: float, before: float) -> float:
    """Turnover over volume of the new trades; ``before`` (or the mid) where there are none."""
    return turnover / volume if volume > 0.0 else before


def mid_price_basis(average_price: float, mid_before: float, mid: float) -> float:
    """Average trade price less the mean of the last two mids."""
    return average_price - 0.5 * (mid_before + mid)


def expected_return(price: float, before: float) -> float:
    """ln(price / before)."""
    return math.log(price / before)


def price_fluctuation(mids: Sequence[float]) -> float:
    """Mean |change| of consecutive mids, bps; 0 for fewer than two."""
    moves = [abs(b - a) / b * 1e4 for a, b in pairwise(mids)]
    return math.fsum(moves) / len(moves) if moves else 0.0


def price_impact(bid: float, bid_before: float, ask: float, ask_before: float) -> float:
    """Change of the bid less change of the ask: positive where the spread closed."""
    return (bid - bid_before) - (ask - ask_before)


def mid_change(mid: float, before: float, tick: float) -> float:
    """Change of the mid in ticks."""
    return (mid - before) / tick


def mid_difference(mid: float, before: float) -> float:
    """Change of the mid."""
    return mid - before


def mid_average(mid: float, before: float) -> float:
    """Mean of two mids."""
    return 0.5 * (mid + before)


def expected_value(price: float, before: float, imbalance: float, exponent: float = 1.0) -> float:
    """The last move goes on by the share |imbalance|^exponent; "improved" has exponent 1.5."""
    return float(price + (price - before) * abs(imbalance) ** exponent)


def volatility(mids: Sequence[float], times_ns: Sequence[int]) -> float:
    """Deviation of log returns per square root of a second of elapsed time; 0 without any."""
    returns = [math.log(b / a) for a, b in pairwise(mids)]
    seconds = (times_ns[-1] - times_ns[0]) * 1e-9 if len(times_ns) > 1 else 0.0
    if not returns or seconds <= 0.0:
        return 0.0
    mean = math.fsum(returns) / len(returns)
    return math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / seconds)


def historical_aggression(imbalance: float, signal: float) -> float:
    """The rule of June 2024, kept for comparison: 0.6, 0.23 or 0.1 by |imbalance|, times the
    signed root of the signal.  Negative signals gave a negative aggression: a wider quote."""
    factor = 0.6 if abs(imbalance) >= 0.6 else 0.23 if imbalance != 0.0 else 0.1
    return factor * nbsqrt(signal)
