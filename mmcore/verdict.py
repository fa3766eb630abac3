"""What a difference between two variants amounts to, in words, and when it amounts to nothing yet.

Whatever the interval says, it says it of the stretch of market that was compared.  Ten days are the
least from which anything follows about other days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .bootstrap import BLOCKS_MIN, LEVEL, POINTS_MIN, Interval, times_longer
from .words import duration

DAY_S = 86_400.0
DAYS_MIN = 10.0  # the unit of evidence is the day
LONGEST_S = 365.0 * DAY_S  # more data than that: the two are the same for all practical purposes

NOTHING = "neither had a fill: there is nothing to compare; trade longer, or quote closer"

Answer = Literal["same", "short", "undecided", "first", "second"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a comparison.

    answer: "same": the two did the same; "short": too short to say; "undecided": the evidence does
    not suffice; "first", "second": that one earned more.  beyond: whether it says something about
    other days too.  longer_s: market seconds in all that would show a difference of the observed
    size four times in five; nan where nothing can be said.
    """

    answer: Answer
    beyond: bool
    longer_s: float
    text: str


def verdict(
    mean: Interval,
    *,
    seconds: float,
    points: int,
    block: float,
    names: tuple[str, str],
    simulated: bool = False,
    active: bool = True,
    tests: int = 1,
    adjusted: float | None = None,
) -> Verdict:
    """The verdict on a difference of mean profit.

    seconds: of market compared.  points, block: paired increments, and mean length of their blocks.
    names: of the variants.  simulated: the market was synthetic.  active: whether anything was
    traded.  tests: verdicts asked for at once; adjusted: p-value of this one by Holm's correction
    for them, by default that of the interval.
    """
    if not active:
        return _none("short", NOTHING)
    if mean.estimate == 0.0 and mean.error == 0.0:
        return _none("same", "the two did the same: there is no difference at all")
    if points < POINTS_MIN or points < BLOCKS_MIN * block:
        blocks = max(1, round(points / block))
        plural = "stretch" if blocks == 1 else "stretches"
        need = math.ceil(max(POINTS_MIN, BLOCKS_MIN * block) / max(points, 1) * seconds)
        return Verdict(
            "short",
            False,
            float(need),
            f"the evidence does not suffice: {duration(seconds)} hold {blocks} "
            f"{plural} independent of each other, and fewer than {BLOCKS_MIN:.0f} give no "
            f"interval; compare at least {duration(need)}",
        )
    longer_s = times_longer(mean) * seconds
    if not mean.decided:
        return Verdict("undecided", False, longer_s, _undecided(seconds, longer_s))
    if adjusted is not None and adjusted > 1.0 - LEVEL:
        return Verdict("undecided", False, longer_s, _one_of(tests, adjusted))
    beyond = seconds >= DAYS_MIN * DAY_S and not simulated
    better = 0 if mean.estimate > 0 else 1
    scope = _scope(seconds, beyond=beyond, simulated=simulated)
    chance = f", by Holm's correction for {tests} comparisons too" if tests > 1 else ""
    text = f"{names[better]} earned more than {names[1 - better]}, by more than chance{chance}"
    text += f"; {scope}"
    return Verdict("second" if better else "first", beyond, longer_s, text)


def _none(answer: Answer, text: str) -> Verdict:
    return Verdict(answer, False, math.nan, text)


def _undecided(seconds: float, longer_s: float) -> str:
    start = "the evidence does not suffice: the interval of the difference contains zero"
    if not math.isfinite(longer_s) or longer_s > max(LONGEST_S, 2 * seconds):
        return f"{start}, and a difference this small would not show in a year"
    if longer_s <= seconds:
        return f"{start}; twice as much, {duration(2 * seconds)} in all, should tell"
    return (
        f"{start}; if the difference is as large as it looks, {duration(longer_s)} in all "
        f"({longer_s / seconds:.1f} times as much) would show it four times in five"
    )


def _one_of(tests: int, adjusted: float) -> str:
    return (
        "the evidence does not suffice: by itself the interval leaves out zero, but it is one of "
        f"{tests}, and by Holm's correction for so many p is {adjusted:.2f}"
    )


def _scope(seconds: float, *, beyond: bool, simulated: bool) -> str:
    if simulated:
        return "on the synthetic market, which says nothing of a venue"
    if beyond:
        return f"over {duration(seconds)}"
    return (
        f"on these {duration(seconds)}; for other days the evidence does not suffice: record at "
        f"least {DAYS_MIN:.0f} days"
    )
