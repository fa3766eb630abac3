"""All that is to be said of compared variants: tables, corrections for their number, verdicts.

Whoever looks at many differences finds some.  The verdicts of all pairs are one family of tests; so
are Sharpe ratio, drawdown and costs beside them; so are the rows of one kind (symbols, days or
stretches, kinds of market).  Within a family p-values are Holm's (`mmcore.bootstrap.holm`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from .bootstrap import BLOCKS_MIN, LEVEL, RESAMPLES, Interval, holm, mean_difference
from .compare import (
    Sides,
    Stretch,
    block_length,
    by_regime,
    by_symbol,
    by_unit,
    everything,
    row_of,
    select,
)
from .errors import DataError
from .repeats import COSTLESS, Assumption, standing
from .verdict import Verdict, verdict

TABLES = ("symbols", "units", "regimes")
BESIDE = ("sharpe", "drawdown", "costs")
Row = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """Two variants.  parts: what was compared; repeats: the same under other assumptions."""

    names: tuple[str, str]
    parts: Sequence[Stretch]
    repeats: Sequence[tuple[Assumption, Sequence[Stretch]]] = ()


def findings_of(pairs: Sequence[Pair], *, simulated: bool, seed: int = 1) -> Row:
    """Everything that is to be said, as plain facts; figures that are not known are nan.

    pairs: that are asked about at once.  simulated: on synthetic markets.  seed: of the bootstrap.
    Raises DataError where the stretches of a pair are sampled differently.
    """
    told = [_pair(pair, seed) for pair in pairs]
    totals = [total for each in told for total in each["totals"]]
    for rows, names in [(totals, ("net",)), (totals, BESIDE)]:
        _correct(rows, names)
    for table in TABLES:
        _correct([row for each in told for row in each[table]], ("net",))
    tests = sum(not math.isnan(total["difference"]["net"].p) for total in totals)
    for each in told:
        for total in each["totals"]:
            _judge(each, total, simulated=simulated, tests=tests)
    return {
        "ok": True,
        "type": "compare",
        "level": LEVEL,
        "resamples": RESAMPLES,
        "simulated": simulated,
        "tests": tests,
        "pairs": told,
    }


def _pair(pair: Pair, seed: int) -> Row:
    parts = pair.parts
    interval_s = parts[0].interval_s
    if any(part.interval_s != interval_s for part in parts):
        raise DataError(
            "the stretches are of very different length",
            done="nothing was compared",
            todo="compare equal lengths",
        )
    facts: Row = {
        "names": list(pair.names),
        "seconds": math.fsum(part.seconds for part in parts),
        "stretches": len(parts),
        "interval_s": interval_s,
        "totals": [],
        **{table: [] for table in TABLES},
    }
    for currency in dict.fromkeys(each.currency for part in parts for each in part.first):
        whole = select(parts, currency, everything)
        block = block_length(parts, whole, currency)
        row = partial(row_of, parts, currency, block, seed)
        total = row("total", everything)
        total["block_s"] = block * interval_s
        total["repeats"] = list(_repeats(pair, whole, block, currency, seed))
        facts["totals"].append(total)
        facts["symbols"] += [row(*each) for each in by_symbol(parts, currency)]
        facts["units"] += [row(*each) for each in by_unit(parts)]
        facts["regimes"] += [row(*each) for each in by_regime(parts, currency)]
    return facts


def _repeats(pair: Pair, whole: Sides, block: float, currency: str, seed: int) -> Iterator[Row]:
    """One row for each other assumption; fees are taken out of the fills that were."""
    for assumption, parts in pair.repeats:
        sides = select(parts, currency, everything)
        yield _repeat(assumption, sides, block_length(parts, sides, currency), seed)
    if whole.first["costs"].any() or whole.second["costs"].any():
        gross = [
            {**side, "net": side["net"] + side["costs"]} for side in (whole.first, whole.second)
        ]
        yield _repeat(COSTLESS, Sides(gross[0], gross[1], whole.capital), block, seed)


def _repeat(assumption: Assumption, sides: Sides, block: float, seed: int) -> Row:
    net = sides.first["net"], sides.second["net"]
    found = mean_difference(*net, block, seed=seed).scaled(sides.points)
    few = sides.points < BLOCKS_MIN * block and found.error > 0
    return {
        "label": assumption.label,
        "where": assumption.where,
        "first": {"net": float(net[0].sum()), "fills": int(sides.first["fills"].sum())},
        "second": {"net": float(net[1].sum()), "fills": int(sides.second["fills"].sum())},
        "difference": {"net": found.bare() if few else found},
    }


def _correct(rows: Sequence[Row], names: Sequence[str]) -> None:
    """Give rows their p-values by Holm's correction, by name of the difference."""
    found: list[Interval] = [row["difference"][name] for row in rows for name in names]
    adjusted = iter(holm([each.p for each in found]))
    for row in rows:
        row.setdefault("p_holm", {}).update({name: next(adjusted) for name in names})


def _judge(facts: Row, total: Row, *, simulated: bool, tests: int) -> None:
    """Add verdict and standing to a total."""
    names = (facts["names"][0], facts["names"][1])
    told: Verdict = verdict(
        total["difference"]["net"],
        seconds=facts["seconds"],
        points=total["points"],
        block=total["block_s"] / facts["interval_s"],
        names=names,
        simulated=simulated,
        active=bool(total["first"]["fills"] or total["second"]["fills"]),
        tests=tests,
        adjusted=total["p_holm"]["net"],
    )
    found = [
        (Assumption(row["label"], row["where"]), row["difference"]["net"])
        for row in total["repeats"]
    ]
    stands = standing(told, found, names)
    total["verdict"], total["standing"] = asdict(told), asdict(stands)


__all__ = ["BESIDE", "TABLES", "Pair", "findings_of"]
