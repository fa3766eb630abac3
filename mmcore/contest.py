"""The command `compare`: configurations on one market, or run directories, the first with each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from . import config as configuration
from .band import Model
from .bootstrap import LEVEL, Interval
from .calibrate import calibrate
from .compare import stretch_of
from .errors import ConfigError, ExitCode, UsageError
from .findings import BESIDE, Pair, findings_of
from .journal import JOURNAL_NAME
from .paired import Market, pairs_of
from .regimes import NAMES, WORDS
from .retrace import Recorded
from .schema import Config
from .traded import read_run
from .words import duration

HEAD_WIDTH = 22
COMMAND = "python -m mmcore compare"
ROWS = (
    ("net", "net", "{:,.4g}"),
    ("return", "return", "{:.3%}"),
    ("sharpe", "Sharpe", "{:.3f}"),
    ("drawdown", "drawdown", "{:,.4g}"),
    ("costs", "costs", "{:,.4g}"),
    ("turnover", "turnover", "{:,.6g}"),
    ("net_bps_of_turnover", "net, bps of turnover", "{:.2f}"),
    ("fills", "fills", "{:,}"),
    ("flips", "position flips", "{:,}"),
)


@dataclass(frozen=True)
class Asked:
    """How a comparison was asked for.

    tapes: instead of the markets that the configurations name.  seeds: so many synthetic markets.
    regimes: each of them in every regime.  seconds: of each, None: as configured.  repeats: under
    other queue models and at twice the latency too, None: where configurations are compared.
    calibrate: run directories whose own fills say which queue model joins these.
    """

    tapes: Sequence[str] = ()
    seeds: int = 1
    regimes: bool = False
    seconds: float | None = None
    repeats: bool | None = None
    calibrate: Sequence[str] = ()

    @property
    def of_market(self) -> bool:
        """Whether anything says which market is traded, or how."""
        return self != Asked()


def run(variants: Sequence[str], asked: Asked | None = None, *, as_json: bool = False) -> int:
    """Compare the first variant with each of the others and say it; the exit code.

    variants: configurations, or run directories.  Raises MmcoreError where they cannot be compared.
    """
    asked = asked or Asked()
    are_runs = [_is_run(each) for each in variants]
    _refuse(are_runs, asked)
    names = _names(variants)
    found = None
    if are_runs[0]:
        pairs, simulated = _of_runs(variants, names)
    else:
        configs = [configuration.load(each) for each in variants]
        if asked.calibrate:
            found = calibrate([Recorded.open(path) for path in asked.calibrate])
        also = None if found is None else found.model
        pairs, simulated = _of_configs(configs, asked, names, also)
    facts = findings_of(pairs, simulated=simulated)
    facts = clean({**facts, "calibration": None if found is None else found.facts()})
    if as_json:
        print(json.dumps(facts, allow_nan=False))
    else:
        print("\n".join([*lines(facts), *(found.lines() if found is not None else ())]))
    return ExitCode.OK


def _refuse(are_runs: Sequence[bool], asked: Asked) -> None:
    """Raise UsageError where what was typed makes no comparison."""
    what, todo = "", "give two of a kind"
    if len(are_runs) < 2:
        what, todo = "one variant", "give at least two"
    elif len(set(are_runs)) > 1:
        what = "a run directory and a configuration"
    elif asked.calibrate and asked.repeats is False:
        what, todo = "--calibrate, which is for repeats, and --no-repeats", "leave one of them out"
    elif are_runs[0] and asked.of_market:
        what = "options of a market, and run directories, whose market is over"
        todo = "leave the options out, or give configurations"
    if what:
        raise UsageError(
            f"{what}: two or more configurations, or run directories by themselves, are compared",
            where=COMMAND,
            done="nothing was compared",
            todo=todo,
        )


def _is_run(name: str) -> bool:
    path = Path(name)
    return path.is_dir() or path.name == JOURNAL_NAME


def _names(variants: Sequence[str]) -> list[str]:
    """The last parts of the paths, and more of them where these are the same."""
    names = [Path(each).name for each in variants]
    if len(set(names)) < len(names):
        names = list(variants)
    if len(set(names)) < len(names):
        return [f"{name} ({place})" for place, name in enumerate(names, 1)]
    return names


# -- what is compared ------------------------------------------------------------------------


def _of_runs(variants: Sequence[str], names: Sequence[str]) -> tuple[list[Pair], bool]:
    first, *others = [read_run(each) for each in variants]
    pairs = []
    for name, other in zip(names[1:], others, strict=True):
        both = (names[0], name)
        pairs.append(Pair(both, [stretch_of(first.tradings, other.tradings, names=both)]))
    return pairs, all(each.config.market.source == "synthetic" for each in (first, *others))


def _of_configs(
    configs: Sequence[Config], asked: Asked, names: Sequence[str], also: Model | None
) -> tuple[list[Pair], bool]:
    markets = list(_markets(configs, asked))
    repeated = asked.repeats is not False
    pairs = pairs_of(markets, names, asked.seconds, repeated=repeated, also=also)
    return pairs, markets[0].configs[0].market.source == "synthetic"


def _markets(configs: Sequence[Config], asked: Asked) -> Iterator[Market]:
    """Every market to be traded."""
    if asked.tapes:
        market: dict[str, Any] = {"source": "tape", "files": tuple(asked.tapes), "regime": "none"}
        configs = [replace(each, market=replace(each.market, **market)) for each in configs]
    if (asked.seeds != 1 or asked.regimes) and configs[0].market.source != "synthetic":
        raise UsageError(
            "--seeds and --regimes are of the synthetic market, and this is a tape",
            where=COMMAND,
            done="nothing was compared",
            todo='leave them out, or set source = "synthetic" under [market]',
        )
    for other in configs[1:]:
        if configs[0].run.seconds != other.run.seconds:
            raise ConfigError(
                f"seconds under [run] differ from {configs[0].path}",
                where=other.path,
                done="nothing was compared",
                todo="give all the same",
            )
    start = configs[0].market.seed
    for regime in NAMES if asked.regimes else ("",):
        for seed in range(start, start + asked.seeds):
            changed: dict[str, Any] = {"regime": regime} if regime else {}
            if asked.seeds > 1:
                changed["seed"] = seed
            made = tuple(replace(each, market=replace(each.market, **changed)) for each in configs)
            words = [regime, f"seed {seed}" if asked.seeds > 1 else ""]
            yield Market(", ".join(filter(None, words)), made, regime)


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
    for place, pair in enumerate(facts["pairs"]):
        if place:
            yield ""
        yield from _pair(pair, facts)
    if facts["tests"] > 1:
        yield ""
        yield (f"{facts['tests']} verdicts at once: p of net is by Holm's correction for so many")


def _pair(pair: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    first, second = pair["names"]
    market = "synthetic market" if facts["simulated"] else "market"
    pieces = f" in {pair['stretches']} stretches" if pair["stretches"] > 1 else ""
    yield f"compare      {first} against {second}: {duration(pair['seconds'])} of {market}{pieces}"
    yield "             paired: the same market, the same draws of latency; first less second"
    for total in pair["totals"]:
        yield ""
        yield from _total(total, pair, facts)
        if total["repeats"]:
            yield ""
            yield from _repeats(total)
        yield ""
        yield f"verdict      {total['verdict']['text']}"
        if total["standing"]["text"]:
            yield f"             {total['standing']['text']}"
    unit = "by stretch" if pair["stretches"] > 1 else "by day"
    for title, key in (("by symbol", "symbols"), (unit, "units"), ("by regime", "regimes")):
        if pair[key]:
            yield ""
            yield from _table(title, pair[key], facts["pairs"], key)


def _total(
    total: Mapping[str, Any], pair: Mapping[str, Any], facts: Mapping[str, Any]
) -> Iterator[str]:
    heads = _heads(pair["names"])
    yield (
        f"{total['currency']:<22} {heads[0]:>22} {heads[1]:>22} {'difference':>12}  "
        f"{'95 % interval':<24} {'p':>6}"
    )
    for key, words, form in ROWS:
        one, other = total["first"][key], total["second"][key]
        gap = total["difference"].get(key)
        told = f"{words:<22} {_cell(one, form):>22} {_cell(other, form):>22}"
        if gap is not None:
            told += f" {_cell(gap['estimate'], form):>12}  {_bounds(gap, form):<24} "
            told += f"{_cell(total['p_holm'][key], '{:.4f}'):>6}"
        elif one is not None and other is not None:
            told += f" {_cell(one - other, form):>12}"
        yield told.rstrip()
    yield (
        f"increments of {pair['interval_s']:g} s, {total['points']:,} of them, in blocks of "
        f"{duration(total['block_s'])} on average; {facts['resamples']:,} draws; p of Sharpe, "
        f"drawdown and costs is Holm's for {len(BESIDE) * _n_totals(facts)}"
    )


def _n_totals(facts: Mapping[str, Any]) -> int:
    return sum(len(pair["totals"]) for pair in facts["pairs"])


def _heads(names: Sequence[str]) -> list[str]:
    """Names that fit over a column: what they begin with in common is cut first."""
    if max(map(len, names)) <= HEAD_WIDTH:
        return list(names)
    same = 0
    while len({name[: same + 1] for name in names}) == 1 and same < len(names[0]):
        same += 1
    start = max(names[0].rfind(each, 0, same) + 1 for each in "/_-.")
    return [f"…{name[start:][-HEAD_WIDTH + 1 :]}" for name in names]


def _repeats(total: Mapping[str, Any]) -> Iterator[str]:
    """The same under other assumptions."""
    yield (
        f"{'net, if it were':<22} {'fills':>11} {'net':>10} {'fills':>11} {'net':>10} "
        f"{'difference':>12}  95 % interval"
    )
    as_is = {"label": "as configured", **{k: total[k] for k in ("first", "second", "difference")}}
    form = "{:,.4g}"
    for row in (as_is, *total["repeats"]):
        sides = [row["first"], row["second"]]
        told = " ".join(f"{s['fills']:>11,} {_cell(s['net'], form):>10}" for s in sides)
        gap = row["difference"]["net"]
        yield (
            f"{row['label']:<22} {told} {_cell(gap['estimate'], form):>12}  {_bounds(gap, form)}"
        )


def _table(
    title: str, rows: Sequence[Mapping[str, Any]], pairs: Sequence[Mapping[str, Any]], key: str
) -> Iterator[str]:
    yield (
        f"{title:<24} {'length':>12} {'net':>10} {'net':>10} {'difference':>11} "
        f"{'95 % interval':>22}  {'costs':>9} {'costs':>9} {'flips':>6} {'flips':>6}"
    )
    several = len({row["currency"] for row in rows}) > 1 and key != "symbols"
    for row in rows:
        one, other, gap = row["first"], row["second"], row["difference"]["net"]
        form = "{:,.4g}"
        label = WORDS.get(row["label"], row["label"])
        label = f"{row['currency']}: {label}" if several else label
        yield (
            f"{label[:24]:<24} {duration(row['seconds']):>12} {_cell(one['net'], form):>10} "
            f"{_cell(other['net'], form):>10} {_cell(one['net'] - other['net'], form):>11} "
            f"{_bounds(gap, form):>22}{'*' if is_sure(row) else ' '} "
            f"{_cell(one['costs'], form):>9} {_cell(other['costs'], form):>9} "
            f"{one['flips']:>6,} {other['flips']:>6,}"
        )
    yield f"  {chance(rows, sum(_tested(row) for pair in pairs for row in pair[key]))}"


def _tested(row: Mapping[str, Any]) -> bool:
    p = row["p_holm"]["net"]
    return p is not None and not math.isnan(p)


def is_sure(row: Mapping[str, Any]) -> bool:
    """Whether the difference of net leaves out zero by Holm's correction too."""
    return _tested(row) and row["p_holm"]["net"] <= 1.0 - LEVEL


def chance(rows: Sequence[Mapping[str, Any]], tests: int) -> str:
    """How many rows leave out zero, and how many still do when so many are looked at at once."""
    tested = [row for row in rows if _tested(row)]
    if not tested:
        return "none is long enough for an interval"
    single = sum(row["difference"]["net"]["p"] <= 1.0 - LEVEL for row in tested)
    if len(tested) == 1:
        return f"the one interval {'leaves out' if single else 'holds'} zero"
    if not single:
        return f"none of {len(tested)} intervals leaves out zero"
    sure = sum(map(is_sure, tested))
    still = "none does" if not sure else f"{sure} {'does' if sure == 1 else 'do'}, marked *"
    return (
        f"{single} of {len(tested)} {'leaves' if single == 1 else 'leave'} out zero, each by "
        f"itself; by Holm's correction for {tests} tests {still}"
    )


def _bounds(gap: Mapping[str, Any], form: str) -> str:
    if gap["low"] is None:
        return "-"
    return f"{_cell(gap['low'], form)} to {_cell(gap['high'], form)}"


def _cell(value: float | Interval | None, form: str) -> str:
    return "-" if value is None else form.format(value)
