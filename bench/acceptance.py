"""Is the synthetic market believable?  Every preset against the ranges of recorded markets.

    python bench/acceptance.py [preset ...] [--seeds N]

For each preset: so many seeds, the median of each fact over them and its range, "real" (smallest
and largest value over pieces of recordings of that class), "accept" (that range widened by a
quarter to a third, probabilities and correlations by 0.06), and a mark: ``ok``, ``miss``, ``MISS``
for a fact that must hold.  Exit status 1 when a fact that must hold is missed on ``busy``, or more
than a fifth of its others.

Recordings: Binance of 2024-08-08/09 (small tick) and NEXOUSDT of 2024-07-23 (large tick),
Hyperliquid ETH of 2025-12-10 (block venue).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass

from mmcore.instrument import known
from mmcore.meter import BLOCK_VENUE, LARGE_TICK, SMALL_TICK, Scale, measure
from mmcore.recording import record
from mmcore.synthetic import PRESETS, Market, SyntheticSource

Range = tuple[float, float]


@dataclass(frozen=True)
class Fact:
    """One row: name of the meter, words, whether it must hold, and by class real and accepted."""

    name: str
    words: str
    must: bool
    small: tuple[Range, Range]
    block: tuple[Range, Range] | None
    large: tuple[Range, Range] | None


def _fact(name: str, words: str, *ranges: float | None, must: bool = False) -> Fact:
    classes = []
    for i in (0, 4, 8):
        four = ranges[i : i + 4]
        classes.append(None if four[0] is None else ((four[0], four[1]), (four[2], four[3])))
    return Fact(name, words, must, *classes)


NONE = (None, None, None, None)
# name, words, then for small tick, block venue, large tick: real low, high, accepted low, high.
# fmt: off
FACTS = (
    _fact("spread_one", "spread = 1 tick, share of time",
          0.98, 1.00, 0.95, 1.00, 0.88, 0.94, 0.85, 1.00, 0.66, 0.89, 0.63, 1.00, must=True),
    _fact("reclose_ms", "spread reclose median, ms",
          0, 4.00, 0.20, 8.00, 113, 116, 30.0, 200, 0.46, 8.52, 0.10, 60.0),
    _fact("vol_1s", "volatility at 1 s, bp/sqrt(s)",
          0.67, 1.64, 0.50, 2.13, 0.78, 1.99, 0.58, 2.59, 0.84, 1.76, 0.63, 2.29, must=True),
    _fact("vol_10s_100ms", "volatility 10 s / 0.1 s",
          0.83, 1.60, 0.62, 2.08, 1.13, 2.15, 0.85, 2.80, 0.82, 1.04, 0.61, 1.35, must=True),
    _fact("vol_1s_100ms", "volatility 1 s / 0.1 s",
          0.93, 1.27, 0.69, 1.65, 1.08, 1.52, 0.81, 1.97, 0.89, 1.04, 0.67, 1.35),
    _fact("still_1s", "share of seconds with no mid move",
          0.24, 0.73, 0.18, 0.95, 0.33, 0.54, 0.25, 0.70, 0.96, 0.99, 0.72, 1.00, must=True),
    _fact("kurtosis_1s", "kurtosis of 1 s moves",
          3.24, 25.8, 2.43, 33.5, 7.16, 149, 5.37, 194, 128, 1290, 96.0, 1677, must=True),
    _fact("acf_1s", "acf(1) of 1 s moves",
          -0.10, 0.23, -0.16, 0.29, 0.043, 0.22, -0.017, 0.28, -0.10, 0.015, -0.16, 0.075,
          must=True),
    _fact("acf_abs_1s", "acf(1) of absolute 1 s moves",
          -0.032, 0.13, -0.092, 0.19, -0.020, 0.14, -0.080, 0.20, 0.061, 0.14, 0.0008, 0.20),
    _fact("moves_per_s", "moves per s",
          0.58, 1.85, 0.44, 2.41, 0.49, 0.80, 0.37, 1.04, 0.012, 0.033, 0.0088, 0.042, must=True),
    _fact("move_rms", "rms move, bp",
          0.65, 1.47, 0.49, 1.91, 1.05, 2.28, 0.79, 2.96, 5.60, 12.5, 4.20, 16.3, must=True),
    _fact("move_steps", "steps per move",
          3.40, 8.84, 2.55, 11.5, 2.17, 2.49, 1.63, 3.24, 2.11, 3.75, 1.58, 4.88),
    _fact("moves_traded", "moves with a trade",
          0.54, 0.99, 0.48, 1.00, 0.48, 0.65, 0.42, 0.71, 0.56, 0.72, 0.50, 0.78),
    _fact("move_continues", "move continues direction",
          0.62, 0.83, 0.56, 0.89, 0.70, 0.76, 0.64, 0.82, *NONE),
    _fact("takers_per_s", "takers per s",
          1.47, 19.9, 1.10, 25.9, 1.23, 2.60, 0.92, 3.38, 0.041, 0.095, 0.031, 0.12, must=True),
    _fact("prints_per_taker", "prints per taker",
          2.22, 4.47, 1.67, 5.81, 2.22, 4.23, 1.67, 5.50, 1.76, 2.68, 1.32, 3.48),
    _fact("fano_short", "Fano of takers, 1 s (large tick 10 s)",
          3.02, 34.4, 2.27, 44.7, 1.04, 1.70, 0.78, 2.21, 1.76, 12.9, 1.32, 16.8, must=True),
    _fact("fano_long", "Fano of takers, 10 s (large tick 60 s)",
          3.88, 68.5, 2.91, 89.0, 1.28, 3.28, 0.96, 4.26, 2.43, 33.0, 1.82, 42.9),
    _fact("sign_acf_1", "taker sign acf(1)",
          0.19, 0.57, 0.13, 0.63, 0.0032, 0.11, -0.057, 0.17, 0.10, 0.34, 0.043, 0.40, must=True),
    _fact("sign_acf_10", "taker sign acf(10)",
          -0.021, 0.24, -0.081, 0.30, -0.036, 0.18, -0.096, 0.24, -0.028, 0.11, -0.087, 0.17),
    _fact("taker_moves_touch", "taker moves touch",
          0.17, 0.58, 0.13, 0.76, 0.20, 0.23, 0.15, 0.30, 0.15, 0.26, 0.12, 0.34),
    _fact("taker_eats_queue", "taker >= touch queue",
          0.072, 0.46, 0.054, 0.60, 0.21, 0.23, 0.16, 0.30, 0.15, 0.28, 0.11, 0.37),
    _fact("size_q95_q50", "taker size q95/q50",
          12.9, 187, 9.69, 243, 46.2, 145, 34.6, 189, 8.79, 27.2, 6.59, 35.4, must=True),
    _fact("size_hill", "taker size Hill 5 %",
          0.97, 1.73, 0.73, 2.25, 0.53, 0.88, 0.40, 1.15, 0.81, 2.52, 0.61, 3.28, must=True),
    _fact("touch_behind", "touch median / mean of 1-5 behind",
          13.0, 460, 8.00, 599, 0.73, 1.45, 0.55, 1.88, 0.11, 0.29, 0.079, 0.38, must=True),
    _fact("occupied_5", "occupied, 1-5 behind",
          0.051, 0.34, 0, 0.40, 0.84, 0.92, 0.76, 0.98, 0.98, 1.00, 0.90, 1.00, must=True),
    _fact("occupied_20", "occupied, 20 behind", 0.011, 0.46, 0, 0.52, *NONE, *NONE),
    _fact("touch_q95_q50", "touch q95/q50",
          2.34, 5.08, 1.75, 6.61, 6.51, 14.1, 4.88, 18.3, 3.31, 15.1, 2.48, 19.7),
    _fact("levels_per_message", "levels per message, median",
          3.00, 39.0, 2.25, 50.7, 30.0, 40.0, 22.5, 52.0, 1.00, 1.00, 0.75, 1.30),
    _fact("adds_cancels", "adds : cancels within 50",
          0.93, 2.50, 0.70, 3.25, 1.01, 1.07, 0.76, 1.39, 1.06, 1.10, 0.79, 1.43, must=True),
    _fact("executions", "executions within 50",
          0.019, 0.20, 0.0095, 0.32, 0.027, 0.046, 0.013, 0.073, 0.038, 0.065, 0.019, 0.10),
    _fact("i1_extreme", "abs I1 > 0.8, share of time",
          0.25, 0.51, 0.17, 0.57, 0.63, 0.72, 0.55, 0.78, 0.24, 0.45, 0.16, 0.51, must=True),
    _fact("i1_acf_1s", "I1 acf at 1 s",
          0.062, 0.48, 0.0022, 0.54, 0.35, 0.65, 0.29, 0.71, 0.94, 0.97, 0.88, 1.00),
    _fact("i1_r2_1s", "I1 -> 1 s move, R2",
          0.029, 0.19, 0.010, 0.27, 0.025, 0.20, 0.0089, 0.28, 0.0018, 0.0067, 0.00063, 0.027,
          must=True),
    _fact("i1_r2_5s", "I1 -> 5 s move, R2",
          8.4e-06, 0.092, 2.9e-06, 0.17, 2.6e-06, 0.17, 9.2e-07, 0.25, 0.009, 0.026, 0.0031, 0.074),
    _fact("up_given_high", "P(up given I1 > .6)",
          0.51, 0.83, 0.45, 0.89, 0.64, 0.79, 0.58, 0.85, 0.64, 0.88, 0.58, 0.94, must=True),
    _fact("up_given_low", "P(up given I1 < -.6)",
          0.16, 0.47, 0.10, 0.53, 0.11, 0.34, 0.046, 0.40, 0.15, 0.35, 0.090, 0.41, must=True),
    _fact("ofi_r2_1s", "OFI R2 at 1 s",
          0.40, 0.80, 0.14, 0.88, 0.16, 0.50, 0.056, 0.58, 0.14, 0.23, 0.049, 0.31, must=True),
    _fact("volume_r2_1s", "signed volume R2 at 1 s",
          0.01, 0.53, 0.0035, 0.61, 0.0064, 0.13, 0.0022, 0.21, 0.15, 0.63, 0.054, 0.71),
    _fact("response_1s", "response 1 s, bp",
          0.18, 1.15, 0.14, 1.50, 0.27, 0.51, 0.20, 0.66, 1.39, 2.52, 1.04, 3.27),
    _fact("fill_decay", "fill decay k per bp",
          0.23, 0.63, 0.17, 0.82, 0.26, 0.34, 0.20, 0.44, 0.064, 0.17, 0.048, 0.22, must=True),
    _fact("markout_100ms", "touch markout 100 ms, bp",
          -1.52, -0.61, -1.90, -0.23, -1.14, -0.81, -1.42, -0.52, -3.37, -0.53, -4.21, 0),
    _fact("markout_1s", "touch markout 1 s, bp",
          -1.84, -0.85, -2.30, -0.39, -2.03, -1.22, -2.54, -0.71, -3.37, -0.51, -4.21, 0,
          must=True),
    _fact("fill_share", "touch fill share",
          0.36, 0.73, 0.27, 0.95, 0.38, 0.58, 0.29, 0.76, 0.17, 0.36, 0.13, 0.47),
)
# fmt: on

# preset -> class of market, simulated seconds, windows
CLASSES: dict[str, tuple[str, float, Scale]] = {
    "busy": ("small", 300.0, SMALL_TICK),
    "busy_eth": ("small", 300.0, SMALL_TICK),
    "block": ("block", 900.0, BLOCK_VENUE),
    "quiet": ("large", 28_000.0, LARGE_TICK),
}


SEEDS = 4  # whose median the accepted ranges are for


@dataclass(frozen=True)
class Verdict:
    """A fact's median and range over the seeds, and whether the median is accepted."""

    fact: Fact
    real: Range
    accepted: Range
    ours: float
    seeds: Range

    @property
    def holds(self) -> bool:
        return self.accepted[0] <= self.ours <= self.accepted[1]


def facts_of(preset: str, seed: int) -> dict[str, float]:
    """The facts of one synthetic tape."""
    _, seconds, scale = CLASSES[preset]
    market = Market(known("synthetic", "BTCUSDT"), PRESETS[preset])
    return measure(record(SyntheticSource([market], seconds=seconds, seed=seed)), scale)


def judge(preset: str, seeds: int = SEEDS) -> list[Verdict]:
    """Every row of the preset's class; the median over seeds 1 to ``seeds``."""
    tapes = [facts_of(preset, seed) for seed in range(1, seeds + 1)]
    verdicts = []
    for fact in FACTS:
        ranges = getattr(fact, CLASSES[preset][0])
        if ranges is None:
            continue
        found = [tape[fact.name] for tape in tapes]
        ours = statistics.median(found)
        verdicts.append(Verdict(fact, ranges[0], ranges[1], ours, (min(found), max(found))))
    return verdicts


def passes(verdicts: list[Verdict]) -> bool:
    """All facts that must hold do, and four fifths of the others."""
    others = [each.holds for each in verdicts if not each.fact.must]
    musts = [each.holds for each in verdicts if each.fact.must]
    return all(musts) and sum(others) >= 0.8 * len(others)


def print_table(preset: str, verdicts: list[Verdict], seconds: float) -> None:
    """The acceptance table of one preset."""
    print(f"\n{preset}: median of the seeds, {seconds:.1f} s of work")
    print(f"  {'fact':<40} {'real':>20} {'accept':>20} {'ours':>10} {'by seed':>20}")
    for each in verdicts:
        mark = "ok" if each.holds else ("MISS" if each.fact.must else "miss")
        star = "*" if each.fact.must else " "
        real, accepted, seeds = (
            f"{low:.3g} .. {high:.3g}" for low, high in (each.real, each.accepted, each.seeds)
        )
        told = f"{real:>20} {accepted:>20} {each.ours:>10.4g} {seeds:>20}"
        print(f"{star} {each.fact.words:<40} {told} {mark}")
    musts = [each.holds for each in verdicts if each.fact.must]
    others = [each.holds for each in verdicts if not each.fact.must]
    print(f"  must hold (*): {sum(musts)}/{len(musts)}; others: {sum(others)}/{len(others)}")


def main() -> int:
    """Print the tables asked for; 1 when ``busy`` falls short."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", metavar="preset", help=", ".join(CLASSES))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    asked = parser.parse_args()
    if unknown := sorted(set(asked.presets) - set(CLASSES)):
        parser.error(f"unknown preset {unknown[0]}: expected one of {', '.join(CLASSES)}")
    failed = False
    for preset in asked.presets or CLASSES:
        start = time.perf_counter()
        verdicts = judge(preset, asked.seeds)
        print_table(preset, verdicts, time.perf_counter() - start)
        if asked.seeds < SEEDS:
            print(f"  fewer than {SEEDS} seeds: what is missed may be the seed's, not the preset's")
        failed |= preset == "busy" and not passes(verdicts)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
