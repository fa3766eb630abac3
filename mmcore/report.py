"""What a run was worth, as plain facts: for the page, for JSON, for Parquet and CSV.

`report_of` measures a run directory; the facts are numbers, texts and lists only.  Figures that
could not be measured are None.  Money is in the settle asset that stands beside it.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attribution import ADVERSE_S, Attribution, as_facts, attribute, summed
from .errors import DataError, UsageError
from .events import RecordKind, RejectCode
from .markouts import BAND, HORIZONS_S, RESAMPLES, Curve, curves, markout
from .metrics import (
    ANNUALISE_DAYS,
    DAY_S,
    DAYS_A_YEAR,
    Risk,
    interval_of,
    inventory_of,
    order_figures,
    risk_of,
)
from .rates import rate_facts
from .stretches import stretch_facts
from .traded import REQUESTS, Traded, Trading, quotes_of, read_run
from .words import sentences

OWN_SHARE_WARNED = 0.05  # of the market's volume; beyond it the market would not have stood still
UNLOGGED_NS = 60_000_000_000  # fills may follow the market's end: positions are closed then
QUOTES_SEEN = 4096  # instants at which own quotes are looked at
FILL_COLUMNS = (
    "time_ns", "seen_ns", "name", "venue", "symbol", "trader", "side", "level", "maker", "price",
    "quantity", "value", "fee", "currency", "position", "mid_before", "imbalance", "rested_s",
    "spread_captured", *(f"markout_{h:g}s" for h in HORIZONS_S),
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """One trader's figures, with what they were made of."""

    trading: Trading
    terms: Attribution
    risk: Risk
    curves: list[Curve]
    equity_ns: NDArray[np.int64]
    equity: NDArray[np.float64]


@dataclass(frozen=True)
class Report:
    """A run directory, measured.  facts: JSON-able, nan as None."""

    run: Traded
    interval_s: float
    measured: tuple[Measured, ...]
    facts: dict[str, Any]


def report_of(directory: Path | str) -> Report:
    """Measure a run directory.  Raises DataError where it cannot be; see `mmcore.traded`."""
    run = read_run(directory)
    interval_s = interval_of(max(each.path.seconds for each in run.tradings))
    measured = tuple(_measure(each, interval_s) for each in run.tradings)
    facts = clean(_facts(run, measured, interval_s))
    facts["sentences"] = sentences(facts)
    return Report(run, interval_s, measured, facts)


def _measure(trading: Trading, interval_s: float) -> Measured:
    grid, series = trading.equity(interval_s)
    return Measured(
        trading,
        attribute(trading.fills, trading.path, trading.scale, trading.account),
        risk_of(_whole(grid, series), interval_s),
        curves(trading.fills, trading.path) if len(trading.fills) else [],
        grid,
        series,
    )


def _whole(grid: NDArray[np.int64], series: NDArray[np.float64]) -> NDArray[np.float64]:
    """The series without its last step where the end of the run cut that short."""
    even = len(grid) < 3 or grid[-1] - grid[-2] == grid[1] - grid[0]
    return series if even else series[:-1]


# -- facts -----------------------------------------------------------------------------------


def _facts(run: Traded, measured: tuple[Measured, ...], interval_s: float) -> dict[str, Any]:
    days = max(each.trading.path.seconds for each in measured) / DAY_S
    return {
        "ok": True,
        "run": _run_facts(run),
        "sampling": {
            "seconds": days * DAY_S,
            "interval_s": interval_s,
            "annualised": days >= ANNUALISE_DAYS,
            "days_a_year": DAYS_A_YEAR,
            "days": days,
            "markout_band": list(BAND),
            "markout_resamples": RESAMPLES,
            "adverse_selection_s": ADVERSE_S,
        },
        "totals": _totals(measured, interval_s),
        "exposure": None,
        "rates": rate_facts(run.tradings, run.config),
        "instruments": [_instrument_facts(each) for each in measured],
    }


def _run_facts(run: Traded) -> dict[str, Any]:
    kept = ("mode", "environment", "started", "config_path", "config_hash", "seed", "mmcore")
    facts = {name: run.facts.get(name) for name in kept}
    ended = ("cause", "exit_code", "journal_hash", "market_s", "wall_s", "events")
    facts |= {name: run.summary.get(name) for name in ended}
    place = {"directory": str(run.directory), "title": _title(run.directory)}
    late_ns = max(_last_ns(each) - each.path.end_ns for each in run.tradings)
    unlogged_s = late_ns / 1e9 if late_ns > UNLOGGED_NS else 0.0
    return {**place, **facts, "unseen": list(run.unseen), "unlogged_s": unlogged_s}


def _last_ns(trading: Trading) -> int:
    fills = trading.fills["ts_ns"]
    return int(fills[-1]) if len(fills) else 0


def _title(directory: Path) -> str:
    """The word of a run directory between its time and its four digits: run, demo, backtest."""
    parts = directory.resolve().name.split("-")
    return "-".join(parts[1:-1]) or directory.name


def _totals(measured: tuple[Measured, ...], interval_s: float) -> list[dict[str, Any]]:
    """Sums over the instruments that settle in one asset, asset by asset."""
    found = []
    for currency in dict.fromkeys(each.trading.item.settle for each in measured):
        mine = [each for each in measured if each.trading.item.settle == currency]
        terms = summed([each.terms for each in mine])
        capital = math.fsum(each.trading.capital for each in mine)
        bases = {each.trading.capital_basis for each in mine}
        grid, series = together(mine)
        found.append(
            {
                "currency": currency,
                "instruments": len(mine),
                "fills": sum(len(each.trading.fills) for each in mine),
                "turnover": math.fsum(each.trading.turnover for each in mine),
                "capital": capital or None,
                "capital_basis": bases.pop() if len(bases) == 1 else "both",
                "return": terms.net / capital if capital else None,
                "return_gross": terms.gross / capital if capital else None,
                "attribution": as_facts(terms),
                "risk": asdict(risk_of(_whole(grid, series), interval_s)),
            }
        )
    return found


def together(parts: list[Measured]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The equity of several instruments on the grid of the one that was seen longest."""
    longest = max(parts, key=lambda each: len(each.equity_ns)).equity_ns
    total = np.zeros(len(longest))
    for each in parts:
        place = np.searchsorted(each.equity_ns, longest, "right") - 1
        total += np.where(place >= 0, each.equity[place.clip(0)], 0.0)
    return longest, total


def _instrument_facts(measured: Measured) -> dict[str, Any]:
    trading = measured.trading
    item, scale, path = trading.item, trading.scale, trading.path
    net, days = measured.terms.net, path.seconds / DAY_S
    capital, turnover = trading.capital, trading.turnover
    return {
        "name": trading.name,
        "venue": item.venue,
        "symbol": item.symbol,
        "strategy": trading.plan.strategy,
        "currency": item.settle,
        "base": "contracts" if scale.inverse else item.base,
        "tick": scale.tick,
        "price_decimals": item.price_decimals,
        "seconds": path.seconds,
        "capital": capital or None,
        "capital_basis": trading.capital_basis,
        "return": net / capital if capital else None,
        "return_gross": measured.terms.gross / capital if capital else None,
        "attribution": as_facts(measured.terms),
        "engine_net": trading.summary.get("pnl_net"),
        "risk": asdict(measured.risk),
        "turnover": turnover,
        "turnover_a_day": turnover / days if days else None,
        "fills_a_day": len(trading.fills) / days if days else None,
        "net_bps_of_turnover": 1e4 * net / turnover if turnover else None,
        "fills": _fill_facts(trading),
        "orders": _order_facts(trading),
        "quoting": _quoting_facts(trading),
        "inventory": _inventory_facts(trading),
        "markouts": [curve_facts(curve, scale.tick) for curve in measured.curves],
        "market": _market_facts(trading),
        "band": json.loads(trading.summary.get("band") or "null"),
        "exposure": None,
    }


def _fill_facts(trading: Trading) -> dict[str, Any]:
    fills = trading.fills
    value = np.abs(trading.scale.worth(fills["tick"])) * fills["qty"]
    total = float(value.sum())
    return {
        "count": len(fills),
        "buys": int((fills["side"] > 0).sum()),
        "sells": int((fills["side"] < 0).sum()),
        "maker_share": float(value[fills["maker"]].sum()) / total if total else None,
        "quantity": float(fills["qty"].sum()) * trading.scale.unit,
        "spread_captured_bps": (1e4 * math.fsum(_captured(trading)) / total if total else None),
    }


def _captured(trading: Trading) -> NDArray[np.float64]:
    """Spread captured by each fill, settle asset."""
    fills = trading.fills
    return np.asarray(
        fills["side"] * fills["qty"] * trading.scale.gain(fills["tick"], fills["mid"])
    )


def _order_facts(trading: Trading) -> dict[str, Any]:
    figures = asdict(order_figures(trading.orders, trading.call_ns, trading.path.seconds))
    refused = trading.records[
        np.isin(trading.records["kind"], [RecordKind.REJECT, RecordKind.EXPIRED])
    ]
    reasons = Counter(RejectCode(code).name for code in refused["code"].tolist())
    levels = []
    for level in np.unique(trading.orders["level"]).tolist():
        mine = trading.orders[trading.orders["level"] == level]
        part = order_figures(mine, trading.call_ns[:0], trading.path.seconds)
        levels.append(
            {
                "level": level,
                "placed": part.placed,
                "filled": part.filled,
                "fill_ratio": part.fill_ratio,
                "time_to_fill_s": list(part.time_to_fill_s),
            }
        )
    return {
        **figures,
        "time_to_fill_s": list(figures["time_to_fill_s"]),
        "requests": int(np.isin(trading.records["kind"], REQUESTS).sum()),
        "rate_limit": trading.rate_limit,
        "refusals": dict(reasons),
        "levels": levels,
    }


def _quoting_facts(trading: Trading) -> dict[str, Any]:
    """Shares of the time with an own quote in the book, and how far the nearer one stood."""
    path = trading.path
    grid = np.linspace(path.ts_ns[0], path.end_ns, QUOTES_SEEN).astype(np.int64)
    bid, ask = quotes_of(trading, grid)
    mid = path.mid[path.at(grid)]
    near = np.fmin(mid - bid, ask - mid)
    known = np.isfinite(near)
    bps = float(np.median(near[known] / mid[known])) * 1e4 if known.any() else None
    has = np.isfinite(bid), np.isfinite(ask)
    shares = {"bid": has[0], "ask": has[1], "both": has[0] & has[1]}
    return {**{name: float(seen.mean()) for name, seen in shares.items()}, "distance_bps": bps}


def _inventory_facts(trading: Trading) -> dict[str, Any]:
    account, path = trading.account, trading.path
    figures = inventory_of(
        account.ts_ns,
        account.positions() * np.float64(trading.scale.unit),
        int(path.ts_ns[0]),
        path.end_ns,
        before=account.start_qty * trading.scale.unit,
        limit=trading.position_max,
    )
    facts = asdict(figures)
    facts["quantiles"] = list(facts["quantiles"])
    last = int(account.start_qty + account.qty.sum())
    left = {"final": last * trading.scale.unit, "closing_cost": _closing_cost(trading, last)}
    return {**facts, "limit": trading.position_max, **left, **_margin_facts(trading)}


def _margin_facts(trading: Trading) -> dict[str, Any]:
    """The largest position's value at the mid then, and the margin that it took, settle asset.

    margin: None where there is none, or the configuration states no leverage.
    """
    account, path, plan = trading.account, trading.path, trading.plan
    held = np.concatenate([[account.start_qty], account.positions()])
    rows = np.concatenate([[0], path.at(account.ts_ns)])
    most = float(np.abs(held * trading.scale.worth(path.mid[rows])).max())
    lent = plan.strategy == "grid" and not plan.is_spot
    margin = most / plan.leverage if lent else None
    return {"value_max": most, "margin_max": margin}


def _closing_cost(trading: Trading, qty: int) -> float:
    """What taking the other side of a position would cost at the end: half a spread and a fee."""
    scale, mid = trading.scale, trading.path.mid[-1]
    touch = mid - np.sign(qty) * trading.path.spread[-1] / 2
    lost = -qty * float(scale.gain(mid, touch))
    return lost + _taker_fee(trading, abs(qty) * scale.unit, abs(qty * float(scale.worth(touch))))


def _taker_fee(trading: Trading, size: float, worth: float) -> float:
    """What one taker's fill costs, as the fees stand at the start."""
    fees = trading.plan.fees
    if fees.kind == "value" or not size:
        return worth * trading.item.taker_fee_bps / 1e4
    return (fees.at_start[1] or 0.0) * (size if fees.kind == "qty" else 1.0)


def _market_facts(trading: Trading) -> dict[str, Any]:
    path, counters = trading.path, trading.book.counters
    volume = float(trading.prints["qty"].sum()) * trading.scale.unit
    own = float(trading.fills["qty"].sum()) * trading.scale.unit
    share = own / volume if volume else None
    return {
        "mid_first": float(path.mid[0]) * trading.scale.tick,
        "mid_last": float(path.mid[-1]) * trading.scale.tick,
        "spread_ticks": float(np.median(path.spread)),
        "volume": volume,
        "own_share": share,
        "own_share_large": share is not None and share > OWN_SHARE_WARNED,
        "gaps": counters.gaps,
        "crossed": counters.crossed,
        "malformed": counters.bad,
        "unusable_s": path.seconds_unusable,
        "stretches": stretch_facts(trading),
    }


def curve_facts(curve: Curve, tick: float) -> dict[str, Any]:
    """A curve for machines.  tick: what one is worth, quote currency."""
    columns = {name: getattr(curve, name).tolist() for name in ("mean", "low", "high", "mean_bps")}
    return {
        "by": curve.by,
        "name": curve.name,
        "horizons_s": list(curve.horizons_s),
        "fills": curve.fills.tolist(),
        "tick": tick,
        **columns,
    }


def clean(value: Any) -> Any:
    """The same without nan and numpy's numbers, which JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [clean(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else None
    return value


# -- tables ----------------------------------------------------------------------------------


def fill_table(report: Report) -> dict[str, list[Any]]:
    """Every fill with what was measured of it, as columns in the order of FILL_COLUMNS."""
    table: dict[str, list[Any]] = {name: [] for name in FILL_COLUMNS}
    for measured in report.measured:
        for name, column in _fill_columns(measured).items():
            table[name] += column
    order = np.argsort(np.array(table["time_ns"], dtype=np.int64), kind="stable").tolist()
    return {name: [column[i] for i in order] for name, column in table.items()}


def _fill_columns(measured: Measured) -> dict[str, list[Any]]:
    trading = measured.trading
    fills, scale, item, n = trading.fills, trading.scale, trading.item, len(trading.fills)
    rested = fills["rested_ns"]
    columns: dict[str, Any] = {
        "time_ns": fills["ts_ns"],
        "seen_ns": fills["seen_ns"],
        "name": [trading.name] * n,
        "venue": [item.venue] * n,
        "symbol": [item.symbol] * n,
        "trader": fills["trader"],
        "side": np.where(fills["side"] > 0, "buy", "sell"),
        "level": fills["level"],
        "maker": fills["maker"],
        "price": [item.price(tick) for tick in fills["tick"].tolist()],
        "quantity": [item.quantity(qty) for qty in fills["qty"].tolist()],
        "value": np.abs(scale.worth(fills["tick"])) * fills["qty"],
        "fee": fills["fee"] / 1e8,
        "currency": [item.settle] * n,
        "position": [item.quantity(qty) for qty in fills["position"].tolist()],
        "mid_before": [
            item.price(half) / 2 for half in np.rint(2 * fills["mid"]).astype(int).tolist()
        ],
        "imbalance": fills["imbalance"],
        "rested_s": np.where(rested >= 0, rested / 1e9, np.nan),
        "spread_captured": _captured(trading),
    }
    for horizon in HORIZONS_S:
        gained = markout(fills, trading.path, horizon)
        columns[f"markout_{horizon:g}s"] = np.round(gained * scale.tick, item.price_decimals + 1)
    return {
        name: list(column) if isinstance(column, list) else column.tolist()
        for name, column in columns.items()
    }


def equity_rows(report: Report) -> Iterator[tuple[int, str, str, float, float]]:
    """(time_ns, name, currency, profit, position) at every sample of every instrument."""
    for measured in report.measured:
        account, trading = measured.trading.account, measured.trading
        held = np.concatenate([[account.start_qty], account.positions()]) * trading.scale.unit
        held = held[np.searchsorted(account.ts_ns, measured.equity_ns, "right")]
        for ts, value, position in zip(
            measured.equity_ns.tolist(), measured.equity.tolist(), held.tolist(), strict=True
        ):
            yield ts, trading.name, trading.item.settle, value, position


def write_csv(report: Report, path: Path) -> None:
    """The fills as CSV with a header; an empty cell where nothing was measured."""
    table = fill_table(report)
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table)
            for row in zip(*table.values(), strict=True):
                writer.writerow(["" if cell != cell else cell for cell in row])  # noqa: PLR0124 nan
    except OSError as error:
        raise cannot_write(path, error) from error


def write_parquet(report: Report, folder: Path) -> list[Path]:
    """``fills.parquet`` and ``equity.parquet`` into a folder.  UsageError without pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise missing("Parquet", "pyarrow", "parquet") from error
    names = ("time_ns", "name", "currency", "profit", "position")
    rows = list(zip(*equity_rows(report), strict=True)) or [()] * len(names)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in (
            ("fills", fill_table(report)),
            ("equity", dict(zip(names, map(list, rows), strict=True))),
        ):
            written.append(folder / f"{name}.parquet")
            pq.write_table(pa.table(table), written[-1])
    except OSError as error:
        raise cannot_write(folder, error) from error
    return written


def missing(what: str, package: str, extra: str) -> UsageError:
    """The error for a package that an extra brings."""
    return UsageError(
        f"{what} needs {package}, which is not installed",
        done="nothing was written",
        todo=f'run `python -m pip install "mmcore-maker[{extra}]"`',
    )


def cannot_write(path: Path, error: OSError) -> DataError:
    """The error for a place that cannot be written."""
    return DataError(f"cannot be written ({error.strerror})", file=path, todo="name another place")
