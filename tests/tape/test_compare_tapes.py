"""Comparisons on recordings: every table against a naive account of the same fills."""

from __future__ import annotations

import bisect
import json
import math
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mmcore.compare import stretch_of
from mmcore.config import loads
from mmcore.events import ContractKind
from mmcore.findings import Pair, findings_of
from mmcore.paired import trade
from mmcore.traded import Trading

GRID = """
[[instrument]]
venue = "{}"
symbol = "{}"
[instrument.grid]
asset = 2000.0
minimum_spread = {}
final_order_distance = 3
[instrument.limits]
book_age_seconds_max = 600.0
"""
SIX = [
    ("binance-usdm", "BTCUSDT"),
    ("binance-spot", "ETHUSDT"),
    ("binance-coinm", "BTCUSD_PERP"),
    ("binance-coinm", "ETHUSD_PERP"),
]
TAPES = {
    "three products over midnight": ("binance/*/*[TP]/*_2024080?.gz", SIX, (1.5, 3.0), 2),
    "a day": ("binance/spot/NEXOUSDT/*.dat.gz", [("binance-spot", "NEXOUSDT")], (30.0, 50.0), 2),
    "bybit": (
        "bybit/v5_public_2026-08-09/BYBIT.jsonl.zst",
        [("bybit-linear", "BTCUSDT"), ("bybit-linear", "ETHUSDT")],
        (0.05, 0.1),
        0,
    ),
}
DAY_NS = 86_400 * 10**9
Tally = dict[tuple[str, str], dict[str, float]]


def tally(trading: Trading, start: int, end: int) -> Tally:
    """Profit, costs, turnover, fills by (symbol, day), fill by fill, from start to end."""
    item, path = trading.item, trading.path
    times, mids = path.ts_ns.tolist(), path.mid.tolist()
    size = float(item.contract_size) / item.qty_per_one

    def worth(tick: float) -> float:
        price = tick * float(item.tick)
        return -size / price if item.kind == ContractKind.INVERSE else size * price

    def mark(ts_ns: int) -> float:
        return worth(mids[max(bisect.bisect_right(times, ts_ns) - 1, 0)])

    def day(ts_ns: int) -> str:
        return datetime.fromtimestamp((ts_ns - 1) // 10**9, UTC).date().isoformat()

    fills = [
        (int(f["ts_ns"]), float(f["side"]) * abs(float(f["qty"])), float(f["tick"]), fee)
        for f, fee in zip(trading.fills, trading.account.fee.tolist(), strict=True)
    ]
    midnights = list(range(start - start % DAY_NS + DAY_NS, end, DAY_NS))
    edges = [start, *midnights, end]
    found: Tally = {}
    held = 0.0
    for begin, stop in pairwise(edges):
        net = -held * mark(begin)
        row = {"net": 0.0, "costs": 0.0, "turnover": 0.0, "fills": 0.0}
        for ts_ns, qty, tick, fee in fills:
            if begin < ts_ns <= stop:
                held += qty
                net -= qty * worth(tick) + fee
                row["costs"] += fee
                row["turnover"] += abs(qty * worth(tick))
                row["fills"] += 1
        row["net"] = net + held * mark(stop)
        found[str(item), day(stop)] = row
    return found


def total(found: list[Tally], key: str, *, symbol: str = "", day: str = "") -> float:
    return math.fsum(
        row[key]
        for each in found
        for (name, when), row in each.items()
        if symbol in ("", name) and day in ("", when)
    )


@pytest.mark.parametrize("name", TAPES)
def test_tables_by_day_and_symbol_are_those_of_a_naive_account(
    shared_data: Path, name: str
) -> None:
    pattern, items, spreads, days = TAPES[name]
    files = json.dumps([str(path) for path in sorted(shared_data.glob(pattern))])
    head = f'[market]\nsource = "tape"\nfiles = {files}\n'
    configs = [
        loads(head + "".join(GRID.format(*item, spread) for item in items), f"{spread}.toml")
        for spread in spreads
    ]
    sides = trade(configs)
    part = stretch_of(*sides)
    (pair,) = findings_of([Pair(("a", "b"), [part])], simulated=False)["pairs"]
    assert len({row["label"] for row in pair["units"]}) == days
    for which, side in zip(("first", "second"), sides, strict=True):
        assert sum(len(each.fills) for each in side) > 5
        # These recorders' clocks were up to 1.3 s behind the venue's: one clock dates both.
        assert all((each.fills["ts_ns"] >= each.path.ts_ns[0]).all() for each in side)
        for row in pair["totals"]:
            mine = [t for t in side if t.item.settle == row["currency"]]
            found = [tally(t, int(t.path.ts_ns[0]), t.path.end_ns) for t in mine]
            check(row[which], found)
            for symbol in pair["symbols"]:
                if symbol["currency"] == row["currency"]:
                    check(symbol[which], found, symbol=symbol["label"])
            for unit in pair["units"]:
                if unit["currency"] == row["currency"]:
                    check(unit[which], found, day=unit["label"])


def check(row: dict[str, Any], found: list[Tally], **where: str) -> None:
    for key in ("net", "costs", "turnover", "fills"):
        expected = total(found, key, **where)
        assert row[key] == pytest.approx(expected, rel=1e-9, abs=1e-9), (key, where)
