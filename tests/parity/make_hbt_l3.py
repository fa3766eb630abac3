"""What hftbacktest makes of a market told order by order: ``make_hbt_l3.py OUT.json``.

Needs hftbacktest 2.4.4 (and numba) in the interpreter that runs it.  Writes one digest of the fills
for each run, with the accounts; ``tests/data/hbt_l3.json`` is such a file.
"""

import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from hbt_oracle import FILLS, blind, fixed_offset, grid5, skewed
from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest
from make_hbt import END, digest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from l3_tape import LOT_SIZE, TICK_SIZE, tape

PLAYS = {
    1: ("fixed_offset", fixed_offset, ([50_000_000, 6, 0], [20_000_000, 6, 2])),
    2: ("grid5", grid5, ([50_000_000, 20, 1, 5], [25_000_000, 30, 2, 3])),
    3: ("skewed", skewed, ([1_000_000_000, 5, 3, 1, 1], [1_000_000_000, 4, 0, 2, 1])),
    4: ("blind", blind, ([7_000_000, 5], [30_000_000, 6])),
}
LATENCIES = ((3_000_000, 2_000_000), (40_000_000, 15_000_000), (200_000, 100_000))
TAPES = ({"steps": 6000, "seed": 11, "clears": 2}, {"steps": 6000, "seed": 12, "clears": 0})
FEE = {"model": "value", "maker": -5e-05, "taker": 0.0007}
ORDER_QTY = 0.2


def runs() -> list[dict[str, Any]]:
    """Strategies by their parameters, latencies and tapes."""
    found = []
    for strategy, (entry_ns, response_ns), told in product(PLAYS, LATENCIES, TAPES):
        name, _, variants = PLAYS[strategy]
        for params in variants:
            found.append(
                {
                    "name": f"l{len(found):03d}_{name}",
                    "strategy": {"id": strategy, "name": name, "params": params},
                    "latency": {
                        "model": "constant", "entry_ns": entry_ns, "response_ns": response_ns,
                    },
                    "fee": FEE,
                    "order_qty": ORDER_QTY,
                    "tape": told,
                }
            )  # fmt: skip
    return found


def play(run: dict[str, Any]) -> dict[str, Any]:
    """One run of hftbacktest: its fills as a digest, and its accounts."""
    latency, fee = run["latency"], run["fee"]
    rows = tape(**run["tape"])
    asset = (
        BacktestAsset()
        .data(rows)
        .tick_size(TICK_SIZE)
        .lot_size(LOT_SIZE)
        .linear_asset(1.0)
        .constant_order_latency(latency["entry_ns"], latency["response_ns"])
        .l3_fifo_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(fee["maker"], fee["taker"])
    )
    engine = HashMapMarketDepthBacktest([asset])
    table = np.zeros((50_000, len(FILLS)), np.float64)
    stamps = np.zeros((50_000, 2), np.int64)
    params = np.array(run["strategy"]["params"], np.int64)
    strategy = PLAYS[run["strategy"]["id"]][1]
    n, code = strategy(engine, params, run["order_qty"], False, table, stamps)
    fills = np.zeros(n, [(name, kind) for name, kind in FILLS])
    fills["exch_ts"], fills["seen_ts"] = stamps[:n, 0], stamps[:n, 1]
    for column, (name, _) in enumerate(FILLS[2:], 2):
        fills[name] = table[:n, column]
    fills = fills[np.lexsort((fills["order_id"], fills["exch_ts"]))]
    state = engine.state_values(0)
    return {
        "code": code,
        "n_fills": n,
        "digest": digest(fills),
        "position": float(state.position),
        "balance": float(state.balance),
        "fee": float(state.fee),
        "fills": fills,
    }


def main(arguments: list[str]) -> int:
    made = []
    for run in runs():
        found = play(run)
        fills = found.pop("fills")
        print(run["name"], found["n_fills"], found["code"], int(fills["maker"].sum()), flush=True)
        if found.pop("code") == END:
            made.append({**run, "expected": found})
        if len(arguments) > 1:
            np.save(Path(arguments[1]) / f"{run['name']}.npy", fills)
    Path(arguments[0]).write_text(json.dumps({"runs": made}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
