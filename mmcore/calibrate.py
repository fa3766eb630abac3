"""Which queue model do our own fills speak for?

The requests of recorded runs are sent to the simulated venue again, under one exponent of the power
model after the other, with the latency that the run had.  For every order one number says how far
model and reality are apart: the seconds, by quantity, for which one of them had filled it and the
other had not.  The exponent with the smallest sum is the answer.  Orders that every exponent fills
at the same time say nothing about the queue; only the others are evidence, and they are resampled
in blocks to say how much of it there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .band import Model
from .retrace import Recorded
from .shadow import GRACE_NS, Fills, Orders, Shadow

Floats = NDArray[np.float64]
COARSE = tuple(np.geomspace(0.25, 8.0, 11).tolist())
FINE = 9  # exponents between the neighbours of the best coarse one
OTHERS = (Model("risk_averse"), Model("log"), Model("log2"))
RESAMPLES = 400
EVIDENCE_MIN = 20  # orders
SPAN_MAX = 4.0  # of the interval, as a factor: beyond it the data say little
ALIKE = 1e-9


@dataclass(frozen=True, slots=True)
class Calibration:
    """The exponent of the power model that own fills speak for.

    exponent: None where the evidence does not suffice; low, high: nine of ten resamples lie within.
    n_orders: of the runs; n_evidence: of them, those whose fills depend on the exponent.  apart_s:
    mean seconds an order of evidence by which model and reality differ, by model, best first.
    """

    exponent: float | None
    low: float
    high: float
    n_orders: int
    n_evidence: int
    apart_s: dict[str, float]

    def facts(self) -> dict[str, object]:
        """For machines."""
        return {
            "queue_model": "power",
            "queue_exponent": self.exponent,
            "queue_exponent_low": self.low if self.n_evidence else None,
            "queue_exponent_high": self.high if self.n_evidence else None,
            "orders": self.n_orders,
            "orders_of_evidence": self.n_evidence,
            "seconds_apart": self.apart_s,
        }

    def lines(self) -> list[str]:
        """For people."""
        seen = f"{self.n_evidence:,} of {self.n_orders:,} orders depend on the queue"
        if self.exponent is None:
            why = f"anything from {self.low:.2g} to {self.high:.2g} fits"
            if self.n_evidence < EVIDENCE_MIN:
                why = f"fewer than {EVIDENCE_MIN}"
            return [f"calibration  the evidence does not suffice: {seen}, {why}"]
        apart = ", ".join(f"{name} {value:.2f}s" for name, value in self.apart_s.items())
        return [
            f"calibration  power {self.exponent:.2f} ({self.low:.2f} to {self.high:.2f}); {seen}",
            f"  fills apart, mean an order: {apart}",
        ]

    @property
    def model(self) -> Model | None:
        """The calibrated model."""
        return None if self.exponent is None else Model("power", round(self.exponent, 3))


def calibrate(runs: Sequence[Recorded], *, seed: int = 1) -> Calibration:
    """Find the exponent that fits the fills of ``runs`` best.

    seed: of the resampling.
    """
    shadows = [Shadow(run, i) for run in runs for i in range(len(run.tape.instruments))]
    shadows = [shadow for shadow in shadows if len(shadow.orders)]
    n_orders = sum(len(shadow.orders) for shadow in shadows)
    exponents = np.array(COARSE)
    apart = _apart(shadows, [Model("power", x) for x in COARSE])
    evidence = np.ptp(apart, axis=0) > ALIKE
    if not evidence.any():
        return Calibration(None, COARSE[0], COARSE[-1], n_orders, 0, {})
    best = int(np.argmin(apart.sum(axis=1)))
    around = exponents[max(best - 1, 0)], exponents[min(best + 1, len(exponents) - 1)]
    fine = np.geomspace(*around, FINE + 2)[1:-1]
    apart = np.concatenate([apart, _apart(shadows, [Model("power", x) for x in fine.tolist()])])
    order = np.argsort(np.concatenate([exponents, fine]), kind="stable")
    exponents = np.concatenate([exponents, fine])[order]
    apart = apart[order][:, evidence]
    draws = _resampled(exponents, apart, seed)
    low, high = (float(x) for x in np.quantile(draws, [0.05, 0.95]))
    n = int(evidence.sum())
    fitted = _fit(exponents, apart.sum(axis=1))
    inside = exponents[0] < fitted < exponents[-1]
    enough = n >= EVIDENCE_MIN and high / low <= SPAN_MAX and inside
    means = {f"power {fitted:.2f}": float(apart.sum(axis=1).min()) / n}
    others = _apart(shadows, OTHERS)[:, evidence].mean(axis=1)
    means |= {str(model): float(mean) for model, mean in zip(OTHERS, others, strict=True)}
    ranked = dict(sorted(means.items(), key=lambda item: item[1]))
    return Calibration(fitted if enough else None, low, high, n_orders, n, ranked)


def _fit(exponents: Floats, sums: Floats) -> float:
    """The exponent of the least sum; of several alike, the geometric middle."""
    alike = exponents[sums <= sums.min() + ALIKE]
    return float(np.exp(np.log(alike[[0, -1]]).mean()))


def _resampled(exponents: Floats, apart: Floats, seed: int) -> Floats:
    """The best exponent of every resample, in circular blocks of neighbouring orders."""
    n = apart.shape[1]
    length = max(round(n ** (1 / 3)), 1)
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n, (RESAMPLES, -(-n // length)))
    taken = ((starts[:, :, None] + np.arange(length)) % n).reshape(RESAMPLES, -1)[:, :n]
    return np.array([_fit(exponents, apart[:, each].sum(axis=1)) for each in taken])


def _apart(shadows: Sequence[Shadow], models: Sequence[Model]) -> Floats:
    """Seconds by which model and reality differ: a row a model, a column an order of any run."""
    columns = [np.zeros((len(models), 0))]
    for shadow in shadows:
        orders, travel = shadow.orders, shadow.measured()
        real = _held(orders, orders.fills)
        made = [_held(orders, shadow.send(model, travel)) for model in models]
        columns.append(np.abs(np.array(made) - real))
    return np.concatenate(columns, axis=1)


def _held(orders: Orders, fills: Fills) -> Floats:
    """Seconds for which each order was filled, up to its end, weighted by quantity."""
    n = len(orders)
    asked = np.zeros(n, np.int64)
    sent = orders.requests
    np.maximum.at(asked, sent["generation"].astype(np.int64), sent["done"] + sent["qty"])
    end = orders.ended_ns + np.where(orders.filled > 0, GRACE_NS, 0)
    spans = np.maximum(end[fills.order] - fills.ts_ns, 0) * 1e-9
    held = np.bincount(fills.order, fills.qty * spans, n)
    return np.asarray(held / np.maximum(asked, 1), np.float64)


__all__ = ["Calibration", "calibrate"]
