"""The tables of docs/compare.md: the three example pairs, on the synthetic market and on tapes.

    python bench/compare_examples.py [DATA] [--seeds N] [--seconds S] [--into docs/compare.md]

DATA: a folder with the recordings; without it, the synthetic market only.  Prints Markdown; --into
puts it between the two marks of a page instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mmcore.config import load
from mmcore.contest import chance, clean, is_sure
from mmcore.findings import findings_of
from mmcore.paired import Market, pairs_of
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


BEGIN, END = "<!-- tables: bench/compare_examples.py -->", "<!-- end of tables -->"


def main() -> None:
    """Print every table, or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--into", type=Path)
    asked = parser.parse_args()
    if asked.into is None:
        for part in tables(asked.data, asked.seeds, asked.seconds):
            print(part, flush=True)
        return
    page = asked.into.read_text("utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        parser.error(f"{asked.into} lacks the marks {BEGIN} and {END}")
    made = "\n".join(tables(asked.data, asked.seeds, asked.seconds))
    asked.into.write_text(put_into(page, made), "utf-8")


def put_into(page: str, made: str) -> str:
    """The page with the tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{made}\n{END}{rest.partition(END)[2]}"


def tables(data: Path | None, seeds: int, seconds: float) -> Iterator[str]:
    """The section of every pair, piece by piece."""
    for title, stem, *names in PAIRS:
        configs = [load(EXAMPLES / f"compare_{stem}_{name}.toml") for name in names]
        yield f"\n### {title}\n\n{HEAD}"
        found = []
        for label, facts in results(configs, data, seeds, seconds):
            (pair,) = facts["pairs"]
            (total,) = pair["totals"]
            rows = pair["regimes"] if pair["stretches"] > 1 else ()
            yield "\n".join(line(WORDS.get(row["label"], label), row) for row in (*rows, total))
            found.append((label, rows, total))
        yield "\n" + "\n".join(says(*each) for each in found)
        yield "\n" + "\n".join(repeated([(label, total) for label, _, total in found]))


def results(
    configs: Sequence[Config], data: Path | None, seeds: int, seconds: float
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every market with what `compare` says of it."""
    names = ("the first", "the second")
    made = []
    for regime in NAMES:
        for seed in range(1, seeds + 1):
            changed = [
                replace(c, market=replace(c.market, regime=regime, seed=seed)) for c in configs
            ]
            made.append(Market(f"{regime}, seed {seed}", tuple(changed), regime))
    yield "all synthetic", clean(findings_of(pairs_of(made, names, seconds), simulated=True))
    for label, files, symbol, spread in TAPES if data else ():
        taped = [on_tape(c, [str(data / name) for name in files], symbol, spread) for c in configs]
        pairs = pairs_of([Market("", tuple(taped))], names, 0.0)
        yield label, clean(findings_of(pairs, simulated=False))


def says(label: str, rows: Sequence[Mapping[str, Any]], total: Mapping[str, Any]) -> str:
    """The verdict in words, whether it stands, and what Holm leaves of the rows."""
    told = [total["verdict"]["text"], total["standing"]["text"]]
    if rows:
        told.append(f"of the kinds of market {chance(rows, len(rows))}")
    return f"* {label}: {'; '.join(filter(None, told))}."


def repeated(found: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """A table of the differences of net under other assumptions, a market a column."""
    yield f"| difference of net, if it were | {' | '.join(label for label, _ in found)} |"
    yield f"| --- |{' --- |' * len(found)}"
    told = [
        {row["label"]: difference(row["difference"]["net"]) for row in total["repeats"]}
        for _, total in found
    ]
    for label in dict.fromkeys(label for cells in told for label in cells):
        yield f"| {label} | {' | '.join(cells.get(label, '-') for cells in told)} |"


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
        return " / ".join("-" if v[key] is None else f"{v[key]:{form}}" for v in (one, other))

    between = f"{difference(gap)}{' *' if is_sure(row) else ''}"
    hours = row["seconds"] / 3600
    length = f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
    return (
        f"| {label} | {length} | {both('fills', ',')} | {both('flips', ',')} "
        f"| {both('turnover', ',.0f')} | {both('costs', '.2f')} | {both('net', '.2f')} "
        f"| {both('drawdown', '.2f')} | {both('sharpe', '.3f')} | {between} |"
    )


def difference(gap: Mapping[str, Any]) -> str:
    """An estimate with its bounds, where there are any."""
    bounds = "" if gap["low"] is None else f" ({gap['low']:.2f} to {gap['high']:.2f})"
    return f"{gap['estimate']:.2f}{bounds}"


if __name__ == "__main__":
    main()
