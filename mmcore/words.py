"""What the figures of a report say, in three sentences for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MARKOUT_S = 5.0  # the horizon that is talked about
FILLS_FEW = 100  # below it a run says little
ROUND_BPS = 0.05  # less is told as nothing


def sentences(facts: Mapping[str, Any]) -> list[str]:
    """Three sentences: what came out, where from, and how good the fills were."""
    return [_outcome(facts), _origin(facts), _fills(facts)]


def duration(seconds: float) -> str:
    """Time as people say it: 2 min 5 s, 3 h 10 min, 2.5 days."""
    if seconds < 0.1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{int(seconds // 60)} min {round(seconds % 60)} s"
    if seconds < 172_800:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
    return f"{seconds / 86400:.1f} days"


def money(value: float, currency: str) -> str:
    """An amount with as many figures as matter, and its asset."""
    size = abs(value)
    decimals = 2 if size >= 0.1 or not size else 4 if size >= 0.001 else 8
    return f"{value:,.{decimals}f} {currency}"


def _outcome(facts: Mapping[str, Any]) -> str:
    seconds = max(each["seconds"] for each in facts["instruments"])
    names = " and ".join(_short([each["name"] for each in facts["instruments"]]))
    parts = []
    for total in facts["totals"]:
        net, currency = total["attribution"]["net"], total["currency"]
        word = "made" if net > 0 else "lost"
        share = (
            f" ({abs(total['return']):.2%} of the {money(total['capital'], currency)} given to it)"
        )
        counted = f" in {total['fills']:,} fills worth {money(total['turnover'], currency)}"
        rest = share if total["return"] is not None else ""
        parts.append(f"{word} {money(abs(net), currency)}{rest}{counted}")
    where = _where(facts["run"])
    said = " and ".join(parts)
    if not any(total["fills"] for total in facts["totals"]):
        said = "traded nothing: no order was filled"
    return f"In {duration(seconds)} of {names} {where} the run {said}."


def _where(run: Mapping[str, Any]) -> str:
    if run["mode"] != "live":
        return "on paper"
    boxed = run["environment"] == "loopback"
    return "at the exchange in the box" if boxed else f"at the {run['environment']}"


def _short(names: list[str]) -> list[str]:
    return names if len(names) < 4 else [", ".join(names[:2]), f"{len(names) - 2} more"]


def _origin(facts: Mapping[str, Any]) -> str:
    said = []
    for total in facts["totals"]:
        terms, currency = total["attribution"], total["currency"]
        captured, inventory = terms["spread_capture"], terms["inventory"]
        first = "captured" if captured >= 0 else "gave up"
        costs = terms["fees"] - terms["rebates"]
        said.append(
            f"its fills {first} {money(abs(captured), currency)} against the mid just before them, "
            f"the position then {'earned' if inventory >= 0 else 'lost'} "
            f"{money(abs(inventory), currency)} ({money(terms['adverse_selection'], currency)} of "
            f"it within {facts['sampling']['adverse_selection_s']:g} s), and fees "
            f"{'cost' if costs >= 0 else 'paid back'} {money(abs(costs), currency)}"
        )
        if terms["funding"]:
            word = "brought" if terms["funding"] > 0 else "took"
            said[-1] += f"; funding {word} {money(abs(terms['funding']), currency)}"
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


def _fills(facts: Mapping[str, Any]) -> str:
    points = [point for each in facts["instruments"] if (point := _point(each))]
    if not points:
        few = "no fill lies far enough from the end to be followed"
        return f"How good its prices were cannot be said: {few}."
    name, bps, low, high, count = max(points, key=lambda each: each[-1])
    whose = f" of {name}" if len(facts["instruments"]) > 1 else ""
    if abs(bps) < ROUND_BPS:
        stood = "stood at its price"
    else:
        stood = f"stood {abs(bps):.2f} bps {'for' if bps > 0 else 'against'} us"
    band = ""
    if low is not None and high is not None:
        band = f" (90 % band {low:+.2f} to {high:+.2f})"
    text = f"{MARKOUT_S:g} s after a fill{whose} the mid {stood}{band}"
    if count < FILLS_FEW:
        text += f"; {count:,} fills are too few to decide anything on"
    elif low is not None and high is not None and low < 0 < high:
        text += "; the band holds zero, so that the run does not say which"
    return f"{text}."


def _point(
    instrument: Mapping[str, Any],
) -> tuple[str, float, float | None, float | None, int] | None:
    """Name, markout in bps with its band, and fills, at MARKOUT_S of all fills."""
    for curve in instrument["markouts"]:
        if curve["by"] != "all" or MARKOUT_S not in curve["horizons_s"]:
            continue
        i = curve["horizons_s"].index(MARKOUT_S)
        mean, bps = curve["mean"][i], curve["mean_bps"][i]
        if mean is None or bps is None:
            return None
        ratio = bps / mean if mean else 0.0
        low, high = (None if v is None else v * ratio for v in (curve["low"][i], curve["high"][i]))
        return instrument["name"], bps, low, high, curve["fills"][i]
    return None
