"""The figures of hbt_parity's metrics.json, from its tape and fill lists alone."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from hbt_tape import Config, Folder  # noqa: E402 - a script's folder, not a package

from mmcore._book import Book  # noqa: E402
from mmcore._path import path_of  # noqa: E402
from mmcore.attribution import attribute  # noqa: E402
from mmcore.events import Flag  # noqa: E402
from mmcore.fills import QUANTA, Account, MidPath, Scale, fills_on  # noqa: E402
from mmcore.markouts import markout, mean_of  # noqa: E402
from mmcore.metrics import equity, grid_of, inventory_of, risk_of  # noqa: E402

PUBLIC = HERE.parent / "data" / "hbt_parity"
FOLDER = Folder(PUBLIC)
METRICS: dict[str, Any] = json.loads((PUBLIC / "metrics.json").read_text())["runs"]
RESULTS: dict[str, Any] = json.loads((PUBLIC / "results.json").read_text())
RUNS = [run for run in FOLDER.runs if run["name"] in METRICS]
HORIZONS = {"1s": 1.0, "5s": 5.0, "30s": 30.0, "60s": 60.0}
DAY_NS = 86_400_000_000_000


@pytest.fixture(scope="module")
def path() -> MidPath:
    touches, _ = path_of(Book(), FOLDER.rows, flag=Flag.EXCH)
    return MidPath.of(
        touches["ts_venue_ns"],
        touches["bid_tick"],
        touches["ask_tick"],
        touches["imbalance"],
        end_ns=int(FOLDER.rows["ts_venue_ns"].max()),
    )


@pytest.fixture(params=RUNS, ids=lambda run: str(run["name"]))
def measured(request: pytest.FixtureRequest, path: MidPath) -> dict[str, Any]:
    return measure(request.param, path)


def measure(run: Config, path: MidPath) -> dict[str, Any]:
    listed, scale = (
        FOLDER.fills(run),
        Scale(FOLDER.grid.tick_size, 10.0**-FOLDER.grid.unit_decimals),
    )
    rate = np.where(listed["maker"] == 1, run["fee"]["maker"], run["fee"]["taker"])
    paid = rate * listed["tick"] * FOLDER.grid.tick_size * listed["qty"]
    fills = fills_on(
        path,
        listed["exch_ts"],
        listed["side"],
        listed["tick"],
        FOLDER.grid.units(listed["qty"]),
        maker=listed["maker"] == 1,
        fee=np.rint(paid / QUANTA),
    )
    account, qty = Account.of_fills(fills), listed["qty"]
    start, end = int(FOLDER.rows["ts_venue_ns"].min()), path.end_ns
    risk = risk_of(equity(grid_of(start, end, 60.0), account, path, scale), 60.0)
    terms = attribute(fills, path, scale)
    held = inventory_of(fills["ts_ns"], fills["position"] * scale.unit, start, end)
    turnover = float((scale.worth(fills["tick"]) * fills["qty"]).sum())
    days = (end - start) / DAY_NS
    return {
        "name": run["name"],
        "terms": terms,
        "fills": len(fills),
        "net_pnl": terms.net,
        "spread_capture": terms.spread_capture,
        "inventory_pnl": terms.inventory,
        "fees": terms.fees - terms.rebates,
        "maker_share": float(fills["maker"].mean()),
        "markout_ticks": {
            name: mean_of(markout(fills, path, h), fills["qty"]) for name, h in HORIZONS.items()
        },
        "spread_capture_ticks_per_unit": terms.spread_capture / scale.tick / qty.sum(),
        "turnover": turnover,
        "turnover_per_day": turnover / days,
        "trades_per_day": len(fills) / days,
        "pos_time_mean": held.mean,
        "pos_time_abs_mean": held.mean_abs,
        "pos_max_abs": held.max_abs,
        "sharpe_per_60s": risk.sharpe,
        "sortino_per_60s": risk.sortino,
        "max_drawdown_60s": risk.drawdown,
        "return_over_turnover_bps": 1e4 * terms.net / turnover,
    }


def test_every_figure_agrees(measured: dict[str, Any]) -> None:
    theirs = METRICS[measured["name"]]
    compared = set(theirs) - {"fill_ratio"}  # of orders, which a fill list does not hold
    for name in sorted(compared):
        assert measured[name] == pytest.approx(theirs[name], rel=1e-6, abs=1e-6), name


def test_the_identity_closes(measured: dict[str, Any]) -> None:
    assert measured["terms"].residual_relative < 1e-9


def test_the_fill_ratio_agrees(path: MidPath) -> None:
    for run in RUNS:
        filled = len(np.unique(FOLDER.fills(run)["order_id"]))
        counted = RESULTS[run["name"]]["counters"]
        placed = counted["submits"] + counted["iocs"]
        assert filled / placed == pytest.approx(METRICS[run["name"]]["fill_ratio"])
