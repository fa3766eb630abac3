"""The same comparison under other assumptions, and whether the verdict stands there too.

Where an order stands in its queue cannot be seen, tomorrow's latency is not today's, and fees
change with the tier.  A difference counts when it is there under all of these.  That it holds
everywhere asks for each of them by itself, so nothing has to be corrected for their number; that it
turns somewhere is one find among several, and is corrected (`mmcore.bootstrap.holm`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from msgspec.structs import replace

from .band import BAND, Model, model_of, with_model
from .bootstrap import LEVEL, Interval, holm
from .schema import Config
from .verdict import Verdict

SLOWER = 2.0
LATENCIES = ("entry_latency_ms", "response_latency_ms", "cancel_extra_ms", "jitter_ms")


class Assumption(NamedTuple):
    """What is assumed instead.  label: for a table; where: for a sentence, "" for a queue model."""

    label: str
    where: str = ""


COSTLESS = Assumption("no fees, no rebates", "without fees and rebates")
SLOW = Assumption("twice the latency", "at twice the latency")

Kind = Literal["holds", "weakens", "flips", "hangs", "open"]


class Repeat(NamedTuple):
    """An assumption, and the configurations with it."""

    assumption: Assumption
    configs: tuple[Config, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a verdict stands under other assumptions.

    kind: "holds": under every one; "weakens": somewhere the evidence does not suffice; "flips":
    somewhere the other one earned more, by more than chance; "hangs": only somewhere anything is
    said; "open": nowhere.  text: "" where there is nothing to add.
    """

    kind: Kind
    text: str


def repeats_of(configs: Sequence[Config], also: Model | None = None) -> list[Repeat]:
    """Every queue model of the fill band, and ``also``, for all; and twice the latency of each.

    What all have already is left out, a latency of nothing too.
    """
    models = BAND if also is None else (*BAND, also)
    own = {model_of(each) for each in configs}
    found = [
        Repeat(Assumption(f"queue {model}"), tuple(with_model(each, model) for each in configs))
        for model in dict.fromkeys(models)
        if own != {model}
    ]
    slow = tuple(_slower(each) for each in configs)
    if slow != tuple(configs):
        found.append(Repeat(SLOW, slow))
    return found


def _slower(config: Config) -> Config:
    told = config.simulation
    doubled = {name: SLOWER * getattr(told, name) for name in LATENCIES}
    return replace(config, simulation=replace(told, **doubled))


def standing(
    answer: Verdict, found: Sequence[tuple[Assumption, Interval]], names: tuple[str, str]
) -> Standing:
    """How a verdict fares under other assumptions.

    found: the difference of profit under each; without bounds where these are not known.
    """
    if answer.answer == "same" or not found:
        return Standing("open", "")
    adjusted = holm([each.p for _, each in found])
    sure = [
        (assumption, _sign(each))
        for (assumption, each), p in zip(found, adjusted, strict=True)
        if p <= 1.0 - LEVEL
    ]
    if answer.answer in ("first", "second"):
        return _of_decided(1 if answer.answer == "first" else -1, found, sure, names)
    ahead = [[a for a, sign in sure if sign == side] for side in (1, -1)]
    if all(ahead):
        told = "; ".join(
            f"{_where(those, found)} {name} earned more"
            for those, name in zip(ahead, names, strict=True)
        )
        return Standing("flips", f"it hangs on what is assumed: {told}, each by more than chance")
    if any(ahead):
        those, name = (ahead[0], names[0]) if ahead[0] else (ahead[1], names[1])
        return Standing(
            "hangs",
            f"{_where(those, found)} {name} earned more, by more than chance: it hangs on what is "
            "assumed",
        )
    return Standing("open", _of_open(found))


def _of_decided(
    side: int,
    found: Sequence[tuple[Assumption, Interval]],
    sure: Sequence[tuple[Assumption, int]],
    names: tuple[str, str],
) -> Standing:
    other = names[1] if side > 0 else names[0]
    against = [assumption for assumption, sign in sure if sign == -side]
    if against:
        return Standing(
            "flips",
            f"the verdict flips {_where(against, found)}: there {other} earned more, by more than "
            "chance",
        )
    lacking = [a for a, each in found if not (each.p <= 1.0 - LEVEL and _sign(each) == side)]
    if not lacking:
        return Standing("holds", f"it holds {_where([a for a, _ in found], found)}")
    text = (
        f"the verdict does not stand {_where(lacking, found)}: there the evidence does not suffice"
    )
    turned = [a for a, each in found if _sign(each) == -side]
    if turned:
        text += f", and {other} is ahead {_where(turned, found)}"
    return Standing("weakens", text)


def _of_open(found: Sequence[tuple[Assumption, Interval]]) -> str:
    """Words where nothing is sure: what would be by itself, and signs."""
    text = "nor does it under any other assumption"
    single = [a for a, each in found if each.p <= 1.0 - LEVEL]
    if single:
        text += (
            f"; by itself the interval {_where(single, found)} leaves out zero, but by Holm's "
            f"correction for {len(found)} that is not enough"
        )
    plus, minus = ([a for a, each in found if _sign(each) == side] for side in (1, -1))
    if plus and minus:
        fewer = min(plus, minus, key=len)
        text += f"; the sign of the difference turns {_where(fewer, found)}"
    return text


def _sign(found: Interval) -> int:
    return (found.estimate > 0) - (found.estimate < 0)


def _where(chosen: Sequence[Assumption], found: Sequence[tuple[Assumption, Interval]]) -> str:
    """ "with queue model log or power2 2, and at twice the latency"."""
    models = [a.label.removeprefix("queue ") for a in chosen if not a.where]
    every = sum(not assumption.where for assumption, _ in found)
    told = []
    if len(models) == every > 1:
        told.append(f"with each of {every} other queue models")
    elif models:
        told.append(f"with queue model {_listed(models, 'or')}")
    told += [assumption.where for assumption in chosen if assumption.where]
    return _listed(told, "and")


def _listed(words: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


__all__ = [
    "COSTLESS",
    "SLOW",
    "Assumption",
    "Repeat",
    "Standing",
    "repeats_of",
    "standing",
]
