"""Makes a folder of the hbt_parity layout with hftbacktest itself: ``make_hbt.py SOURCE OUT``.

Needs hftbacktest 2.4.4 (and numba) in the interpreter that runs it; SOURCE is a folder with a tape.
The runs cover what the public folder leaves out: every queue model, partial fills, inverse
contracts, fees by quantity and per fill, and a book before the first row.  ``run_hbt.py OUT`` then
compares them with mmcore; ``OUT/digests.json`` says in a few kilobytes what the fills were and is
kept as ``tests/data/hbt_more.json``.
"""

import json
import shutil
import sys
from hashlib import blake2b
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from hbt_oracle import FILLS, build, fixed_offset, grid5, skewed

STRATEGIES = {
    1: ("fixed_offset", fixed_offset, [100_000_000, 6, 1]),
    2: ("grid5", grid5, [50_000_000, 20, 2, 5]),
    3: ("skewed", skewed, [1_000_000_000, 5, 3, 1, 2]),
}
QUEUES: list[dict[str, Any]] = [
    {"model": "risk_adverse"},
    {"model": "power_prob", "n": 2.0},
    {"model": "power_prob2", "n": 2.0},
    {"model": "power_prob3", "n": 3.0},
    {"model": "power_prob3", "n": 0.7},
    {"model": "log_prob"},
    {"model": "log_prob2"},
]
CONSTANT = {"model": "constant", "entry_ns": 10_000_000, "response_ns": 8_000_000}
END = 1
NONE = {"model": "constant", "entry_ns": 0, "response_ns": 1}
TABLE = {"model": "intp", "file": "order_latency.npz"}
FEES: list[dict[str, Any]] = [
    {"model": "value", "maker": -5e-05, "taker": 0.0007},
    {"model": "qty", "maker": 0.5, "taker": 1.25},
    {"model": "flat", "maker": 0.01, "taker": 0.03},
]


def run_of(number: int, strategy: int, **chosen: Any) -> dict[str, Any]:
    """One configuration; what is not chosen is as in the first public run."""
    name, _, params = STRATEGIES[strategy]
    return {
        "name": f"x{number:03d}_{name}",
        "strategy": {"id": strategy, "name": name, "params": params},
        "queue": QUEUES[0],
        "latency": CONSTANT,
        "fee": FEES[0],
        "exchange": "no_partial_fill",
        "asset": "linear",
        "contract_size": 1.0,
        "order_qty": 0.2,
        **chosen,
    }


def runs() -> list[dict[str, Any]]:
    """The matrix: strategies by queues by fill rule, then the rest one at a time."""
    found: list[dict[str, Any]] = []
    for strategy, queue in product(STRATEGIES, QUEUES):
        found.append(run_of(len(found), strategy, queue=queue, latency=TABLE))
        found.append(
            run_of(
                len(found),
                strategy,
                queue=queue,
                latency=TABLE,
                exchange="partial_fill",
                order_qty=(0.2005, 0.3005, 0.0315)[strategy - 1],
            )
        )
    for strategy, fee in product(STRATEGIES, FEES):
        inverse = {"asset": "inverse", "contract_size": 100.0}
        # Feed-driven, without latency and refused, it would ask again every nanosecond.
        latency = CONSTANT if strategy == 3 else NONE
        found.append(run_of(len(found), strategy, fee=fee, latency=latency, **inverse))
        found.append(
            run_of(
                len(found), strategy, fee=fee, exchange="partial_fill", order_qty=3.0005, **inverse
            )
        )
    return found


def digest(rows: np.ndarray) -> str:
    """Hash of a fill list in whole numbers; quantities in millionths."""
    whole = rows.copy()
    whole["qty"] = np.rint(rows["qty"] * 1e6)
    table = np.stack([whole[name].astype(np.int64) for name, _ in FILLS])
    return blake2b(table.tobytes(), digest_size=16).hexdigest()


def main(arguments: list[str]) -> int:
    source, out = Path(arguments[0]), Path(arguments[1])
    (out / "results").mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "order_latency.npz", out)
    meta = json.loads((source / "configs.json").read_text())["meta"]
    data = np.load(source / "tape.npz")["data"]
    # The first snapshot stands before the tape here.
    first = int(np.argmax((data["ev"] & 0xFF) != 4))
    np.savez_compressed(out / "initial_snapshot.npz", data=data[:first])
    np.savez_compressed(out / "tape.npz", data=data[first:])
    configs = {"meta": meta, "runs": runs()}
    states, aborted = {}, []
    for run in configs["runs"]:
        engine = build(out, run, meta)
        play = STRATEGIES[run["strategy"]["id"]][1]
        params = np.array(run["strategy"]["params"], np.int64)
        partial = run["exchange"] == "partial_fill"
        table = np.zeros((200_000, len(FILLS)), np.float64)
        stamps = np.zeros((200_000, 2), np.int64)
        n, code = play(engine, params, run["order_qty"], partial, table, stamps)
        rows = np.zeros(n, [(name, kind) for name, kind in FILLS])
        rows["exch_ts"], rows["seen_ts"] = stamps[:n, 0], stamps[:n, 1]
        for column, (name, _) in enumerate(FILLS[2:], 2):
            rows[name] = table[:n, column]
        rows = rows[np.lexsort((rows["order_id"], rows["exch_ts"]))]
        np.savez_compressed(out / "results" / f"{run['name']}.npz", fills=rows)
        state = engine.state_values(0)
        states[run["name"]] = {
            "n_fills": n,
            "digest": digest(rows),
            "position": float(state.position),
            "balance": float(state.balance),
            "fee": float(state.fee),
        }
        print(run["name"], n, code, flush=True)
        if code != END:
            aborted.append(run["name"])  # hftbacktest's first defect: the rest of the run is lost
    configs["runs"] = [run for run in configs["runs"] if run["name"] not in aborted]
    (out / "configs.json").write_text(json.dumps(configs, indent=1))
    kept = [{**run, "expected": states[run["name"]]} for run in configs["runs"]]
    (out / "digests.json").write_text(json.dumps({"meta": meta, "runs": kept}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
