"""What the figures of a report say, in three sentences for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MARKOUT_S = 5.0  # the horizon that is talked about
FILLS_FEW = 100  # below it a run says little
IDLE_TOLD = 4  # instruments of which it is said why nothing was filled
IDLE_SHARE = 0.1  # of the time in one state without quotes: part of why
ROUND_BPS = 0.05  # less is told as nothing


def sentences(facts: Mapping[str, Any]) -> list[str]:
    """Three sentences: what came out, where from, and how good the fills were."""
    return [_outcome(facts), _origin(facts), _fills(facts)]


def exposures(facts: Mapping[str, Any]) -> list[str]:
    """A line for each instrument with fills: what latency and queue model decide."""
    return [
        f"{each['name']}: {exposure_words(facts['exposure'], each['exposure'], each['currency'])}"
        for each in facts["instruments"]
        if each["exposure"] and each["fills"]["count"]
    ]


def exposure_words(exposure: Mapping[str, Any], told: Mapping[str, Any], currency: str) -> str:
    """What latency and queue model decide, of one trader: its own model first, then all cases."""
    cases = told["cases"]
    own = [each for each in cases if each["model"] == exposure["own"]]
    parts = [f"{money(each['net'], currency)} at {_times(each['latency'])}" for each in own]
    text = f"Under {exposure['own']}: {', '.join(parts)}."
    low, high = min(each["net"] for each in cases), max(each["net"] for each in cases)
    if not any(each["fills"] for each in cases):
        return f"{text} No case fills anything."
    least, most = money(low, currency), money(high, currency)
    if least == most:
        return f"{text} All {len(cases)} cases come to the same: latency and queue decide nothing."
    among = f"Of all {len(cases)} cases the least is {least} and the most {most}"
    if low > 0 or high < 0:
        word = "earns" if low > 0 else "loses"
        return f"{text} {among}: it {word} in every one."
    return f"{text} {among}: whether it earns hangs on what is assumed here."


def _times(factor: float) -> str:
    return {0.5: "half the latency", 1.0: "its own", 2.0: "twice"}.get(factor, f"{factor:g} x")


def cut_off(facts: Mapping[str, Any]) -> list[str]:
    """A warning where the event log ends long before the last fill; nothing otherwise."""
    short_s = facts["run"]["unlogged_s"]
    if not short_s:
        return []
    ends = f"the event log ends {duration(short_s)} before the last fill"
    why = "it was cut, or could not be written"
    what = "fills behind its end are measured against its last mid: the figures above do not hold"
    return [f"warning: {ends}: {why}; {what}"]


def duration(seconds: float) -> str:
    """Time as people say it: 2 min 5 s, 3 h 10 min, 2.5 days."""
    if seconds < 0.1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return _two(round(seconds), 60, "min", "s")
    if seconds < 172_800:
        return _two(round(seconds / 60), 60, "h", "min")
    return f"{seconds / 86400:.1f} days"


def counted(count: int, noun: str) -> str:
    """As 1 fill, 1,200 fills."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _two(small: int, ratio: int, large_name: str, small_name: str) -> str:
    large, rest = divmod(small, ratio)
    return f"{large} {large_name} {rest} {small_name}" if rest else f"{large} {large_name}"


def money(value: float, currency: str) -> str:
    """An amount with as many figures as matter, and its asset."""
    return f"{value:,.{_decimals(value)}f} {currency}"


def signed(value: float) -> str:
    """An amount with its sign, without its asset."""
    return f"{value:+,.{_decimals(value)}f}"


def _decimals(value: float) -> int:
    size = abs(value)
    return 2 if size >= 0.1 or not size else 4 if size >= 0.001 else 8


def _outcome(facts: Mapping[str, Any]) -> str:
    seconds = max(each["seconds"] for each in facts["instruments"])
    names = " and ".join(_short([each["name"] for each in facts["instruments"]]))
    begun = f"In {duration(seconds)} of {names} {_where(facts['run'])} the run"
    fills = sum(total["fills"] for total in facts["totals"])
    nets = [_net(total) for total in facts["totals"]]
    if not fills:
        held = any(total["attribution"]["net"] for total in facts["totals"])
        beside = f"; what it held from the start {_and(nets)}" if held else ""
        return f"{begun} traded nothing: no order was filled{beside}."
    if len(facts["totals"]) > 1:
        return f"{begun} {_and(nets)} in {counted(fills, 'fill')}."
    (total,) = facts["totals"]
    currency = total["currency"]
    share = ""
    if total["return"] is not None:
        capital = money(total["capital"], currency)
        share = f" ({abs(total['return']):.2%} of {_capital(capital, total['capital_basis'])})"
    worth = money(total["turnover"], currency)
    return f"{begun} {nets[0]}{share} in {counted(fills, 'fill')} worth {worth}."


def _capital(amount: str, basis: str) -> str:
    if basis == "limit":
        return f"the {amount} that its largest position is worth"
    both = " or that its largest position is worth" if basis == "both" else ""
    return f"the {amount} given to it{both}"


def _net(total: Mapping[str, Any]) -> str:
    net = total["attribution"]["net"]
    return f"{'lost' if net < 0 else 'made'} {money(abs(net), total['currency'])}"


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def _where(run: Mapping[str, Any]) -> str:
    if run["title"] == "backtest":
        return "in a backtest"
    if run["mode"] != "live":
        return "on paper"
    boxed = run["environment"] == "loopback"
    return "at the exchange in the box" if boxed else f"at the {run['environment']}"


def _short(names: list[str]) -> list[str]:
    return names if len(names) < 4 else [", ".join(names[:2]), f"{len(names) - 2} more"]


def _origin(facts: Mapping[str, Any]) -> str:
    if not any(total["fills"] for total in facts["totals"]):
        return " ".join(_idle(each) for each in facts["instruments"][:IDLE_TOLD])
    if len(facts["totals"]) > 1:
        return f"In {'; in '.join(_briefly(total) for total in facts['totals'])}."
    (total,) = facts["totals"]
    terms, currency = total["attribution"], total["currency"]
    captured, inventory = terms["spread_capture"], terms["inventory"]
    costs = terms["fees"] - terms["rebates"]
    text = (
        f"Its fills {'captured' if captured >= 0 else 'gave up'} {money(abs(captured), currency)} "
        f"against the mid just before them, the position then "
        f"{'earned' if inventory >= 0 else 'lost'} {money(abs(inventory), currency)} "
        f"({money(terms['adverse_selection'], currency)} of it within "
        f"{facts['sampling']['adverse_selection_s']:g} s), and fees "
        f"{'cost' if costs >= 0 else 'paid back'} {money(abs(costs), currency)}"
    )
    if terms["funding"]:
        word = "brought" if terms["funding"] > 0 else "took"
        text += f"; funding {word} {money(abs(terms['funding']), currency)}"
    return f"{text}."


def _idle(instrument: Mapping[str, Any]) -> str:
    """Why one instrument had no fill, as far as its orders say."""
    orders, quoting = instrument["orders"], instrument["quoting"]
    name = instrument["name"]
    idle = instrument["market"]["stretches"]["by_state"]
    state = max(idle, key=lambda each: each["seconds"]) if idle else None
    text = f"for {duration(state['seconds'])} its state was {state['state']}" if state else ""
    if not orders["placed"]:
        return f"{name}: no order was sent{'; ' if text else ''}{text}."
    lasting = f"; {text}" if state and (state["share"] or 0) > IDLE_SHARE else ""
    text = f"{name}: {counted(orders['placed'], 'order')} sent"
    if orders["refused"]:
        reason = max(orders["refusals"], key=lambda each: orders["refusals"][each])
        text += f", {orders['refused']:,} refused (most: {reason.lower().replace('_', ' ')})"
    if quoting["distance_bps"] is None:
        return f"{text}, none was seen in the book{lasting}."
    stood = f"{quoting['distance_bps']:.3g} bps from the mid"
    return f"{text}; its nearest quotes stood {stood} and were not reached{lasting}."


def _briefly(total: Mapping[str, Any]) -> str:
    """The terms of one asset of several."""
    terms = total["attribution"]
    parts = [("spread", terms["spread_capture"]), ("position", terms["inventory"])]
    parts += [("fees", terms["rebates"] - terms["fees"]), ("funding", terms["funding"])]
    told = [f"{name} {signed(value)}" for name, value in parts if value or name != "funding"]
    return f"{total['currency']}: {', '.join(told)}"


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
        text += f"; {counted(count, 'fill')} {'is' if count == 1 else 'are'} too few to decide on"
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
