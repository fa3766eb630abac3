"""The charts of a report's page, as plain plotly figures: dictionaries, no plotly needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fills import Floats, Ints, MidPath
from .markouts import markout
from .metrics import drawdowns
from .report import Measured, Report, together
from .stretches import Stretch, longest, seen_until, stretches_of, word
from .traded import Trading, quotes_of
from .words import MARKOUT_S, counted, duration, signed

POINTS = 1500  # of a line; a bin keeps its lowest and its highest point
FILLS_DRAWN = 4000
STRETCHES_DRAWN = 500
# Colours that people tell apart whatever they see of red and green; shapes differ too.
BUY, SELL, LINE, FAINT, WARN = "#1b81c2", "#d55e00", "#1b81c2", "#8f9baa", "#e69f00"
TOTAL = "#5f6c7b"
COLORS = (BUY, WARN, "#009e73", "#cc79a7", SELL, "#56b4e9", "#8c6d31", "#6a51a3")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross", "triangle-down")
Figure = dict[str, Any]


def charts(report: Report) -> dict[str, Figure]:
    """Every figure of the page by the id of its place there."""
    found: dict[str, Figure] = {}
    for n, total in enumerate(report.facts["totals"]):
        parts = [m for m in report.measured if m.trading.item.settle == total["currency"]]
        found[f"equity-{n}"] = _equity(parts, total["currency"])
        if total["fills"] or total["attribution"]["net"]:
            found[f"terms-{n}"] = _terms(total["attribution"], total["currency"])
    for n, measured in enumerate(report.measured):
        facts = report.facts["instruments"][n]
        found[f"price-{n}"] = _price(measured.trading)
        found[f"inventory-{n}"] = _inventory(measured.trading, facts)
        found[f"calls-{n}"] = _calls(measured.trading)
        if len(report.measured) > 1 and (facts["fills"]["count"] or facts["attribution"]["net"]):
            found[f"own-terms-{n}"] = _terms(facts["attribution"], facts["currency"])
        for by in dict.fromkeys(curve["by"] for curve in facts["markouts"]):
            mine = [curve for curve in facts["markouts"] if curve["by"] == by]
            found[f"markout-{n}-{by}"] = _hours(mine) if by == "hour" else _markouts(mine)
        if len(measured.trading.fills):
            found[f"waiting-{n}"] = _waiting(measured.trading)
        if told := facts["exposure"]:
            found[f"exposure-{n}"] = _exposure(report.facts["exposure"], facts)
            if told["markouts"]:
                found[f"markout-{n}-queue"] = _markouts(told["markouts"])
        elif facts["band"]:
            found[f"band-{n}"] = _band(facts["band"])
    return found


# -- making lines shorter --------------------------------------------------------------------


def thin(ts_ns: Ints, values: Floats, points: int = POINTS) -> tuple[Ints, Floats]:
    """At most about 2 * points of a line: the lowest and the highest of each stretch of time.

    A gap (nan) is kept where it fills a stretch: shorter ones could not be seen.
    """
    if len(ts_ns) <= 2 * points:
        return ts_ns, values
    edges = np.linspace(ts_ns[0], ts_ns[-1], points + 1)[1:-1]
    starts = np.unique(np.concatenate([[0], np.searchsorted(ts_ns, edges)]))
    starts = starts[starts < len(ts_ns)]
    kept = [0, len(ts_ns) - 1]
    for first, end in zip(starts, np.append(starts[1:], len(ts_ns)), strict=True):
        part = values[first:end]
        gap = np.isnan(part)
        if gap.all():
            kept.append(int(first))
            continue
        lowest, highest = np.where(gap, np.inf, part), np.where(gap, -np.inf, part)
        kept += [first + int(np.argmin(lowest)), first + int(np.argmax(highest))]
    rows = np.unique(kept)
    return ts_ns[rows], values[rows]


def _ms(ts_ns: Any) -> list[float]:
    """Times as plotly's dates: milliseconds."""
    return [float(ms) for ms in (np.asarray(ts_ns) / 1e6).round(3)]


def _numbers(values: Any, digits: int = 10) -> list[float | None]:
    """For JSON: nan becomes a gap."""
    listed = np.asarray(values, dtype=np.float64).tolist()
    return [float(f"{v:.{digits}g}") if v == v else None for v in listed]  # noqa: PLR0124 nan


def _layout(y: str, **more: Any) -> Figure:
    axis = {"title": {"text": y}, "zeroline": True, "exponentformat": "none"}
    base: Figure = {
        "margin": {"l": 64, "r": 16, "t": 8, "b": 36},
        "height": 300,
        "hovermode": "x unified",
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "xaxis": {"type": "date"},
        "yaxis": {**axis, "automargin": True},  # small amounts have long figures
    }
    return {**base, **more}


def _line(name: str, x: Any, y: Any, color: str, **more: Any) -> Figure:
    line = {"color": color, "width": 1.4, **more.pop("line", {})}
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": line, **more}


# -- money -----------------------------------------------------------------------------------


def _equity(parts: Sequence[Measured], currency: str) -> Figure:
    ts_ns, series = together(list(parts))
    at, values = thin(ts_ns, series)
    data = [_line("net", _ms(at), _numbers(values), LINE, line={"width": 2})]
    gross = _costs(parts, ts_ns) + series
    at, values = thin(ts_ns, gross)
    data.append(_line("before fees and funding", _ms(at), _numbers(values), FAINT))
    if len(parts) > 1:
        for each, color in zip(parts, COLORS[1:] * len(parts), strict=False):
            at, values = thin(each.equity_ns, each.equity)
            data.append(_line(each.trading.name, _ms(at), _numbers(values), color))
    at, values = thin(ts_ns, -drawdowns(series))
    below = {"fill": "tozeroy", "yaxis": "y2", "fillcolor": "rgba(213,94,0,0.18)"}
    data.append(_line("drawdown", _ms(at), _numbers(values), SELL, **below))
    layout = _layout(currency, height=400)
    layout["yaxis"] |= {"domain": [0.32, 1]}
    layout["yaxis2"] = {
        "domain": [0, 0.26],
        "title": {"text": "drawdown"},
        "exponentformat": "none",
        "automargin": True,
    }
    layout["xaxis"] |= {"anchor": "y2"}
    return {"data": data, "layout": layout}


def _costs(parts: Sequence[Measured], ts_ns: Ints) -> Floats:
    """Fees less funding up to these times, of all parts together."""
    total = np.zeros(len(ts_ns))
    for each in parts:
        account = each.trading.account
        spent = np.concatenate([[0.0], np.cumsum(account.fee - account.funding)])
        total += spent[np.searchsorted(account.ts_ns, ts_ns, "right")]
    return total


def _terms(terms: dict[str, float], currency: str) -> Figure:
    steps = [
        ("spread<br>captured", terms["spread_capture"]),
        ("adverse<br>selection", terms["adverse_selection"]),
        ("holding", terms["holding"]),
        ("fees", -terms["fees"]),
        ("rebates", terms["rebates"]),
        ("funding", terms["funding"]),
    ]
    steps = [step for step in steps if step[1] or step[0] not in {"rebates", "funding"}]
    values = [value for _, value in steps]
    bars: Figure = {
        "type": "waterfall",
        "x": [name for name, _ in steps] + ["net"],
        "y": _numbers([*values, terms["net"]]),
        "measure": ["relative"] * len(steps) + ["total"],
        "text": [signed(value) for value in [*values, terms["net"]]],
        "textposition": "auto",
        "increasing": {"marker": {"color": BUY}},
        "decreasing": {"marker": {"color": SELL}},
        "totals": {"marker": {"color": TOTAL}},
        "connector": {"line": {"color": FAINT, "width": 1}},
    }
    layout = _layout(currency, hovermode="closest", showlegend=False, xaxis={"type": "category"})
    layout["margin"] = {"l": 64, "r": 16, "t": 20, "b": 48}
    return {"data": [bars], "layout": layout}


def _band(band: dict[str, Any]) -> Figure:
    models = band["models"]
    names = [
        f"{m['queue_model']} {m['queue_exponent']:g}" if m["queue_exponent"] else m["queue_model"]
        for m in models
    ]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [model["pnl_net"] for model in models],
        "y": names,
        "text": [f"{signed(model['pnl_net'])} in {model['fills']:,} fills" for model in models],
        "marker": {"color": [BUY if model["pnl_net"] > 0 else SELL for model in models]},
    }
    layout = _layout("", hovermode="closest", showlegend=False, height=230)
    layout["xaxis"] = {"title": {"text": f"net, {band['currency']}"}}
    layout["yaxis"] = {"type": "category", "autorange": "reversed", "automargin": True}
    return {"data": [bars], "layout": layout}


def _exposure(exposure: dict[str, Any], facts: dict[str, Any]) -> Figure:
    """Net by latency: a bar from the least to the most of the queue models, a mark for each."""
    told, currency = facts["exposure"], facts["currency"]
    way = exposure["entry_ms"], exposure["response_ms"]
    rows = {
        factor: f"{factor:g} times<br>{way[0] * factor:.3g} + {way[1] * factor:.3g} ms"
        for factor in exposure["latencies"]
    }
    data: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [band["low"], band["high"]],
            "y": [rows[band["latency"]]] * 2,
            "line": {"color": FAINT, "width": 10},
            "opacity": 0.4,
            "showlegend": False,
            "hoverinfo": "skip",
        }
        for band in told["bands"]
    ]
    looks = zip(exposure["models"], COLORS, SYMBOLS, strict=False)
    for model, color, symbol in looks:
        cases = [case for case in told["cases"] if case["model"] == model]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": model,
                "x": _numbers([case["net"] for case in cases]),
                "y": [rows[case["latency"]] for case in cases],
                "text": [
                    f"{model}: {signed(case['net'])}, {counted(case['fills'], 'fill')}"
                    for case in cases
                ],
                "hoverinfo": "text",
                "marker": {"symbol": symbol, "size": 11, "color": color},
            }
        )
    layout = _layout("", hovermode="closest", height=130 + 50 * len(rows))
    layout["xaxis"] = {"title": {"text": f"net, {currency}"}, "zeroline": True}
    layout["yaxis"] = {"type": "category", "autorange": "reversed", "automargin": True}
    layout["margin"] = {"l": 64, "r": 16, "t": 8, "b": 48}
    if exposure["measured"]:
        layout["shapes"] = [_upright(facts["attribution"]["net"], SELL)]
    return {"data": data, "layout": layout}


def _upright(x: float, color: str) -> Figure:
    line = {"color": color, "dash": "dash", "width": 2}
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x, "line": line}


# -- one instrument --------------------------------------------------------------------------


def _price(trading: Trading) -> Figure:
    path, tick = trading.path, trading.scale.tick
    mid = np.where(path.usable, path.mid, np.nan) * tick
    at, values = thin(np.append(path.ts_ns, path.end_ns), np.append(mid, mid[-1]))
    digits = len(str(int(path.mid[-1]))) + 2
    idle = stretches_of(trading)
    data = _idle(path, idle)
    data.append(_line("mid", _ms(at), _numbers(values, digits), FAINT, line={"shape": "hv"}))
    grid = np.linspace(path.ts_ns[0], path.end_ns, POINTS).astype(np.int64)
    for name, quotes, color in zip(
        ("own bid", "own ask"), quotes_of(trading, grid), (BUY, SELL), strict=True
    ):
        line = {"shape": "hv", "width": 1, "dash": "dot"}
        data.append(_line(name, _ms(grid), _numbers(quotes * tick, digits), color, line=line))
    fills = trading.fills
    drawn = fills[
        np.unique(np.linspace(0, len(fills) - 1, min(len(fills), FILLS_DRAWN)).astype(int))
    ]
    for name, side, color in (("bought", 1, BUY), ("sold", -1, SELL)):
        mine = drawn[drawn["side"] == side]
        if len(mine):
            data.append(_marks(trading, mine, name, color, digits))
    layout = _layout("price", height=420, hovermode="closest")
    layout["yaxis"]["tickformat"] = f",.{trading.item.price_decimals}~f"
    layout["xaxis"]["range"] = _ms([path.ts_ns[0], seen_until(trading, idle)])
    layout["yaxis2"] = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    return {"data": data, "layout": layout}


def _idle(path: MidPath, idle: Sequence[Stretch]) -> list[Figure]:
    """The stretches that were not quoted on, as upright bands, a colour for every state."""
    least = (path.end_ns - int(path.ts_ns[0])) // POINTS  # what is shorter could not be seen
    found = longest(idle, STRETCHES_DRAWN)
    bands = []
    for status in sorted({each.status for each in found}):
        x: list[float | None] = []
        for each in found:
            if each.status == status:
                start, end = _ms([each.start_ns, max(each.end_ns, each.start_ns + least)])
                x += [start, start, end, end, start, None]
        band = {"type": "scatter", "mode": "none", "fill": "toself", "yaxis": "y2", "x": x}
        band |= {"y": [0, 1, 1, 0, 0, None] * (len(x) // 6), "name": f"no quotes: {word(status)}"}
        bands.append(
            {**band, "fillcolor": _pale(COLORS[status % len(COLORS)]), "hoverinfo": "name"}
        )
    return bands


def _pale(color: str) -> str:
    """A colour through which the lines can be seen."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.25)"


def _marks(trading: Trading, fills: NDArray[np.void], name: str, color: str, digits: int) -> Figure:
    item, later = trading.item, markout(fills, trading.path, MARKOUT_S)
    after = [
        f"{ticks:+.1f} ticks after {MARKOUT_S:g} s" if np.isfinite(ticks) else "too near the end"
        for ticks in later.tolist()
    ]
    texts = [
        f"{name} {item.quantity_text(qty)} at {item.price_text(tick)}, level {level}<br>{gained}"
        for qty, tick, level, gained in zip(
            fills["qty"].tolist(),
            fills["tick"].tolist(),
            fills["level"].tolist(),
            after,
            strict=True,
        )
    ]
    up = name == "bought"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": _ms(fills["ts_ns"]),
        "y": _numbers(fills["tick"] * trading.scale.tick, digits),
        "text": texts,
        "hoverinfo": "text+x",
        "marker": {"symbol": "triangle-up" if up else "triangle-down", "size": 9, "color": color},
    }


def _inventory(trading: Trading, facts: dict[str, Any]) -> Figure:
    account, path, unit = trading.account, trading.path, trading.scale.unit
    ts_ns = np.concatenate([[path.ts_ns[0]], account.ts_ns, [path.end_ns]])
    held = np.concatenate([[account.start_qty], account.positions()]) * unit
    at, values = thin(ts_ns, np.append(held, held[-1]))
    shape = {"fill": "tozeroy", "fillcolor": "rgba(27,129,194,0.15)", "line": {"shape": "hv"}}
    data = [_line("position", _ms(at), _numbers(values), LINE, **shape)]
    layout = _layout(facts["base"], height=220, showlegend=False)
    layout["xaxis"]["range"] = _ms([path.ts_ns[0], path.end_ns])
    limit, most = facts["inventory"]["limit"], facts["inventory"]["max_abs"]
    if limit and most > limit / 3:
        layout["shapes"] = [_level(limit, SELL), _level(-limit, SELL)]
    return {"data": data, "layout": layout}


def _level(y: float, color: str) -> Figure:
    line = {"color": color, "dash": "dash", "width": 1}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}


def _calls(trading: Trading) -> Figure:
    path, calls = trading.path, trading.call_ns
    first = int(path.ts_ns[0])
    last = max([path.end_ns, *calls[-1:].tolist()])  # orders are cancelled after the market's end
    seconds = (last - first) // 1_000_000_000 + 1
    span = -(-seconds // POINTS)  # seconds a bar
    second = ((calls - first) // 1_000_000_000).clip(0)
    counts = np.bincount(second, minlength=span * (-(-seconds // span)))
    most = counts.reshape(-1, span).max(axis=1)
    times = first + np.arange(len(most)) * span * 1_000_000_000
    bars = {"type": "bar", "x": _ms(times), "y": most.tolist(), "marker": {"color": LINE}}
    title = "calls in a second" if span == 1 else f"most calls in a second of {span} s"
    layout = _layout(title, height=200, showlegend=False, bargap=0)
    layout["shapes"] = [_level(trading.rate_limit, SELL)]
    return {"data": [{**bars, "name": "calls"}], "layout": layout}


def _markouts(curves: Sequence[dict[str, Any]]) -> Figure:
    data = []
    looks = zip(COLORS * len(curves), SYMBOLS * len(curves), strict=True)
    for curve, (color, symbol) in zip(curves, looks, strict=False):
        x = [f"{horizon:g} s" for horizon in curve["horizons_s"]]
        name = f"{curve['name']} ({curve['fills'][0]:,})"
        bars = {**_bars(curve["mean"], curve["low"], curve["high"]), "color": color}
        texts = [f"{count:,} fills" for count in curve["fills"]]
        more: Figure = {"mode": "lines+markers", "error_y": bars, "text": texts}
        more |= {"connectgaps": False, "marker": {"symbol": symbol, "size": 7}}
        data.append(_line(name, x, _numbers(_or_nan(curve["mean"]), 5), color, **more))
    layout = _layout("ticks a fill", height=280, hovermode="closest", xaxis={"type": "category"})
    # Side by side at their horizon: bars that lie on each other cannot be read.
    layout |= {"scattermode": "group", "scattergap": 0.6}
    return {"data": data, "layout": layout}


def _hours(curves: Sequence[dict[str, Any]]) -> Figure:
    """One horizon by the hour: curves of each hour could not be told apart."""
    place = curves[0]["horizons_s"].index(MARKOUT_S)
    mean, low, high = ([each[name][place] for each in curves] for name in ("mean", "low", "high"))
    points = {
        "type": "scatter",
        "mode": "markers",
        "name": f"after {MARKOUT_S:g} s",
        "x": [curve["name"].split()[0] for curve in curves],
        "y": mean,
        "error_y": _bars(mean, low, high),
        "text": [f"{curve['fills'][place]:,} fills" for curve in curves],
        "marker": {"color": LINE, "size": 8},
    }
    layout = _layout("ticks a fill", height=280, hovermode="closest", xaxis={"type": "category"})
    return {"data": [points], "layout": layout}


def _bars(
    mean: Sequence[float | None], low: Sequence[float | None], high: Sequence[float | None]
) -> Figure:
    """Error bars from a band; none where there is none."""
    above = [
        h - m if h is not None and m is not None else None for m, h in zip(mean, high, strict=True)
    ]
    below = [
        m - v if v is not None and m is not None else None for m, v in zip(mean, low, strict=True)
    ]
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "thickness": 1,
        "width": 3,
    }


def _or_nan(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _waiting(trading: Trading) -> Figure:
    rested = trading.fills["rested_ns"]
    rested = np.maximum(rested[rested >= 0] / 1e9, 1e-3)
    edges = np.linspace(-3, 5, 41)  # decades
    counts, _ = np.histogram(np.log10(rested), edges)
    bars = {
        "type": "bar",
        "x": _numbers((edges[:-1] + edges[1:]) / 2, 4),
        "y": counts.tolist(),
        "width": 0.19,
        "marker": {"color": LINE},
        "hovertext": [
            f"{duration(low)} to {duration(low * 10**0.2)}" for low in (10**edges).tolist()
        ],
        "hoverinfo": "y+text",
    }
    layout = _layout("fills", height=240, showlegend=False, hovermode="closest")
    decades = range(-3, 6)
    used = np.flatnonzero(counts)
    layout["xaxis"] = {
        "tickvals": list(decades),
        "ticktext": [duration(10.0**decade) for decade in decades],
        "range": _numbers([edges[used[0]] - 0.2, edges[used[-1] + 1] + 0.2])
        if len(used)
        else [-3, 5],
        "title": {"text": "in the book before the fill"},
    }
    return {"data": [bars], "layout": layout}
