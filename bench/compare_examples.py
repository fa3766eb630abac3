"""The tables of docs/compare.md: the three example pairs, on the synthetic market and on tapes.

    python bench/compare_examples.py [DATA] [--seeds N] [--seconds S]

DATA: a folder with the recordings; without it, the synthetic market only.  Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mmcore.compare import compare, sampling, stretch_of
from mmcore.config import load
from mmcore.paired import trade
from mmcore.regimes import NAMES, WORDS
from mmcore.schema import Config

EXAMPLES = Path(__file__).parents[1] / "examples"
PAIRS = (
    ("mean_reverting against trend_following", "inventory", "mean_reverting", "trend_following"),
    ("κ 0.63 against 0.50", "kappa", "063", "050"),
    ("skew on against off", "skew", "on", "off"),
)
TAPES = (
    ("BTCUSDT USD-M, 2024-08-08", ("binance/usdm/BTCUSDT/btcusdt_20240808.gz",), "", 0.0),
    (
        "NEXOUSDT spot, 2024-07-23/24",
        (
            "binance/spot/NEXOUSDT/nexousdt_20240723.dat.gz",
            "binance/spot/NEXOUSDT/nexousdt_20240724.dat.gz",
        ),
        "NEXOUSDT",
        40.0,
    ),
)
HEAD = (
    "| market | length | fills | flips | turnover | fees | net | drawdown | Sharpe "
    "| difference of net, 95 % |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1800.0)
    asked = parser.parse_args()
    for title, stem, *names in PAIRS:
        configs = [load(EXAMPLES / f"compare_{stem}_{name}.toml") for name in names]
        print(f"\n### {title}\n\n{HEAD}", flush=True)
        verdicts = []
        for label, facts in results(configs, asked.data, asked.seeds, asked.seconds):
            rows = facts["regimes"] if facts["stretches"] > 1 else ()
            for row in (*rows, facts["totals"][0]):
                place = WORDS.get(row["label"], label)
                print(line(place, row), flush=True)
            verdicts.append(f"* {label}: {facts['totals'][0]['verdict']['text']}.")
        print("\n" + "\n".join(verdicts), flush=True)


def results(
    configs: Sequence[Config], data: Path | None, seeds: int, seconds: float
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every market with what `compare` says of it."""
    parts = []
    for regime in NAMES:
        for seed in range(1, seeds + 1):
            changed = [
                replace(c, market=replace(c.market, regime=regime, seed=seed)) for c in configs
            ]
            label = f"{regime}, seed {seed}"
            pair = trade(changed, seconds)
            step = sampling(seconds, seeds * len(NAMES))
            parts.append(stretch_of(*pair, label=label, regime=regime, interval_s=step))
    yield "all synthetic", compare(parts, ("the first", "the second"), simulated=True)
    for label, files, symbol, spread in TAPES if data else ():
        made = [on_tape(c, [str(data / name) for name in files], symbol, spread) for c in configs]
        part = stretch_of(*trade(made, 0.0))
        yield label, compare([part], ("the first", "the second"), simulated=False)


def on_tape(config: Config, files: Sequence[str], symbol: str, spread: float) -> Config:
    """The configuration on recorded files; with a symbol, on a wide spot market instead."""
    market = replace(config.market, source="tape", files=tuple(files))
    item = config.instruments[0]
    if symbol:
        item = replace(
            item,
            venue="binance-spot",
            symbol=symbol,
            grid=replace(item.grid, minimum_spread=spread),
            two_sided=replace(
                item.two_sided,
                half_spread=spread / 2,
                target_liquidity=100.0,
                max_absolute_position_size=1000.0,
            ),
            limits=replace(item.limits, book_age_seconds_max=120.0),
        )
    return replace(config, market=market, instruments=(item,))


def line(label: str, row: Mapping[str, Any]) -> str:
    """One row of a table: both variants, and the interval."""
    one, other, gap = row["first"], row["second"], row["difference"]["net"]

    def both(key: str, form: str) -> str:
        return " / ".join("-" if math.isnan(v[key]) else f"{v[key]:{form}}" for v in (one, other))

    between = f"{one['net'] - other['net']:.2f}"
    if math.isfinite(gap.low):
        between += f" ({gap.low:.2f} to {gap.high:.2f})"
    hours = row["seconds"] / 3600
    length = f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
    return (
        f"| {label} | {length} | {both('fills', ',')} | {both('flips', ',')} "
        f"| {both('turnover', ',.0f')} | {both('costs', '.2f')} | {both('net', '.2f')} "
        f"| {both('drawdown', '.2f')} | {both('sharpe', '.3f')} | {between} |"
    )


if __name__ == "__main__":
    main()
