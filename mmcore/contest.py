"""The command `compare`: two configurations on one market, or two run directories."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from . import config as configuration
from .bootstrap import Interval
from .compare import Stretch, compare, sampling, stretch_of
from .errors import ConfigError, ExitCode, UsageError
from .journal import JOURNAL_NAME
from .paired import trade
from .regimes import NAMES, WORDS
from .schema import Config
from .traded import read_run
from .words import duration

COMMAND = "python -m mmcore compare"
ROWS = (
    ("net", "net", "{:,.4g}"),
    ("return", "return", "{:.3%}"),
    ("sharpe", "Sharpe", "{:.3f}"),
    ("drawdown", "drawdown", "{:,.4g}"),
    ("costs", "costs", "{:,.4g}"),
    ("turnover", "turnover", "{:,.0f}"),
    ("net_bps_of_turnover", "net, bps of turnover", "{:.2f}"),
    ("fills", "fills", "{:,}"),
    ("flips", "position flips", "{:,}"),
)


def run(
    first: str,
    second: str,
    *,
    tapes: Sequence[str] = (),
    seeds: int = 1,
    regimes: bool = False,
    seconds: float | None = None,
    as_json: bool = False,
) -> int:
    """Compare and say it; the exit code.

    tapes: instead of the markets that the configurations name.  seeds: so many synthetic markets.
    regimes: each of them in every regime.  seconds: of each, None: as configured.  Raises
    MmcoreError where the two cannot be compared.
    """
    asked = bool(tapes) or seeds != 1 or regimes or seconds is not None
    runs = [_is_run(each) for each in (first, second)]
    if runs[0] != runs[1] or (runs[0] and asked):
        what = (
            "a run directory and a configuration" if runs[0] != runs[1] else "options of a market"
        )
        raise UsageError(
            f"{what}: two configurations, or two run directories by themselves, are compared",
            where=COMMAND,
            done="nothing was compared",
            todo="give two of a kind",
        )
    names = _names(first, second)
    if runs[0]:
        parts, simulated = _of_runs(first, second, names)
    else:
        configs = [configuration.load(each) for each in (first, second)]
        markets = list(_markets(configs, tapes, seeds, regimes=regimes))
        simulated = markets[0][1][0].market.source == "synthetic"
        parts = _of_markets(markets, names, seconds)
    facts = clean(compare(parts, names, simulated=simulated))
    if as_json:
        print(json.dumps(facts, allow_nan=False))
    else:
        print("\n".join(lines(facts)))
    return ExitCode.OK


def _is_run(name: str) -> bool:
    path = Path(name)
    return path.is_dir() or path.name == JOURNAL_NAME


def _names(first: str, second: str) -> tuple[str, str]:
    """The last parts of two paths, and more of them where these are the same."""
    one, other = Path(first), Path(second)
    if one.name != other.name:
        return one.name, other.name
    if first != second:
        return first, second
    return f"{first} (first)", f"{second} (second)"


# -- what is compared ------------------------------------------------------------------------


def _of_runs(first: str, second: str, names: tuple[str, str]) -> tuple[list[Stretch], bool]:
    runs = [read_run(each) for each in (first, second)]
    part = stretch_of(runs[0].tradings, runs[1].tradings, names=names)
    return [part], all(each.config.market.source == "synthetic" for each in runs)


def _markets(
    configs: Sequence[Config], tapes: Sequence[str], seeds: int, *, regimes: bool
) -> Iterator[tuple[str, list[Config], str]]:
    """Label, configurations and regime of every market to be traded."""
    if tapes:
        market: dict[str, Any] = {"source": "tape", "files": tuple(tapes), "regime": "none"}
        configs = [replace(each, market=replace(each.market, **market)) for each in configs]
    if (seeds != 1 or regimes) and configs[0].market.source != "synthetic":
        raise UsageError(
            "--seeds and --regimes are of the synthetic market, and this is a tape",
            where=COMMAND,
            done="nothing was compared",
            todo='leave them out, or set source = "synthetic" under [market]',
        )
    if configs[0].run.seconds != configs[1].run.seconds:
        raise ConfigError(
            f"seconds under [run] differ from {configs[0].path}",
            where=configs[1].path,
            done="nothing was compared",
            todo="give both the same",
        )
    start = configs[0].market.seed
    for regime in NAMES if regimes else ("",):
        for seed in range(start, start + seeds):
            changed: dict[str, Any] = {"regime": regime} if regime else {}
            if seeds > 1:
                changed["seed"] = seed
            made = [replace(each, market=replace(each.market, **changed)) for each in configs]
            words = [regime, f"seed {seed}" if seeds > 1 else ""]
            yield ", ".join(filter(None, words)), made, regime


def _of_markets(
    markets: Sequence[tuple[str, list[Config], str]],
    names: tuple[str, str],
    seconds: float | None,
) -> list[Stretch]:
    parts: list[Stretch] = []
    for label, configs, regime in markets:
        one, other = trade(configs, seconds)
        length = min(each.path.seconds for each in one)
        interval_s = parts[0].interval_s if parts else sampling(length, len(markets))
        parts.append(
            stretch_of(one, other, label=label, regime=regime, names=names, interval_s=interval_s)
        )
    return parts


# -- what is said ----------------------------------------------------------------------------


def clean(value: Any) -> Any:
    """The same for JSON: nan and infinity become None."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [clean(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """A comparison for people."""
    first, second = facts["names"]
    market = "synthetic market" if facts["simulated"] else "market"
    pieces = f" in {facts['stretches']} stretches" if facts["stretches"] > 1 else ""
    yield f"compare      {first} against {second}: {duration(facts['seconds'])} of {market}{pieces}"
    yield "             paired: the same market, the same draws of latency; first less second"
    for total in facts["totals"]:
        yield ""
        yield from _total(total, facts)
        yield ""
        yield f"verdict      {total['verdict']['text']}"
    for title, key in (("by symbol", "symbols"), ("by stretch", "units"), ("by regime", "regimes")):
        if facts[key]:
            yield ""
            yield from _table(title, facts[key])


def _total(total: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    heads = [name[-22:] for name in facts["names"]]
    yield f"{total['currency']:<22} {heads[0]:>22} {heads[1]:>22} {'difference':>12}  95 % interval"
    for key, words, form in ROWS:
        one, other = total["first"][key], total["second"][key]
        gap = total["difference"].get(key)
        told = f"{words:<22} {_cell(one, form):>22} {_cell(other, form):>22}"
        if gap is not None:
            told += f" {_cell(gap['estimate'], form):>12}  {_bounds(gap, form)}"
        elif one is not None and other is not None:
            told += f" {_cell(one - other, form):>12}"
        yield told
    yield (
        f"increments of {facts['interval_s']:g} s, {total['points']:,} of them, in blocks of "
        f"{duration(total['block_s'])} on average; {facts['resamples']:,} draws"
    )


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield (
        f"{title:<24} {'length':>12} {'net':>10} {'net':>10} {'difference':>11} "
        f"{'95 % interval':>22} {'costs':>9} {'costs':>9} {'flips':>6} {'flips':>6}"
    )
    for row in rows:
        one, other, gap = row["first"], row["second"], row["difference"]["net"]
        form = "{:,.4g}"
        label = WORDS.get(row["label"], row["label"])
        yield (
            f"{label[:24]:<24} {duration(row['seconds']):>12} {_cell(one['net'], form):>10} "
            f"{_cell(other['net'], form):>10} {_cell(one['net'] - other['net'], form):>11} "
            f"{_bounds(gap, form):>22} "
            f"{_cell(one['costs'], form):>9} {_cell(other['costs'], form):>9} "
            f"{one['flips']:>6,} {other['flips']:>6,}"
        )


def _bounds(gap: Mapping[str, Any], form: str) -> str:
    if gap["low"] is None:
        return "-"
    return f"{_cell(gap['low'], form)} to {_cell(gap['high'], form)}"


def _cell(value: float | Interval | None, form: str) -> str:
    return "-" if value is None else form.format(value)
