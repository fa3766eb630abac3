"""Plays jobs on hftbacktest, in the interpreter that has it: ``PYTHON theirs.py``."""

import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tests" / "parity")]

from hbt_oracle import FILLS, fixed_offset, grid5, skewed  # noqa: E402
from hftbacktest import BacktestAsset, ROIVectorMarketDepthBacktest  # noqa: E402
from job import COLUMNS, Job, serve  # noqa: E402
from numba import njit  # noqa: E402

STRATEGIES = {1: fixed_offset, 2: grid5, 3: skewed}


@njit
def bare(hbt, step):  # type: ignore[no-untyped-def]
    while hbt.elapse(step) == 0:
        pass


@cache
def tape(path: str) -> Any:
    return np.load(path)["data"]


def play(job: Job) -> dict[str, Any]:
    """Seconds of one run, and its fills in the file asked for."""
    data = tape(job.tape)
    asset = (
        BacktestAsset().data([data]).linear_asset(1.0).tick_size(job.tick_size)
        .lot_size(job.lot_size).constant_order_latency(*job.latency_ns)
        .risk_adverse_queue_model().no_partial_fill_exchange()
        .trading_value_fee_model(*job.fee)
        .roi_lb(job.price_range[0]).roi_ub(job.price_range[1])
    )  # fmt: skip
    hbt = ROIVectorMarketDepthBacktest([asset])
    table = np.zeros((1_000_000, len(FILLS)))
    stamps = np.zeros((1_000_000, 2), np.int64)
    params = np.array(job.params, np.int64)
    start = time.perf_counter()
    if job.strategy:
        n, _ = STRATEGIES[job.strategy](hbt, params, job.order_qty, False, table, stamps)
    else:
        n = 0
        bare(hbt, job.params[0])
    took = time.perf_counter() - start
    state = hbt.state_values(0)
    money = {"balance": float(state.balance), "fee": float(state.fee)}
    hbt.close()
    if job.fills:
        rows = {name: table[:n, i] for i, (name, _) in enumerate(FILLS)}
        rows["exch_ts"], rows["seen_ts"] = stamps[:n, 0], stamps[:n, 1]
        order = np.lexsort((rows["order_id"], rows["exch_ts"]))
        np.savez(job.fills, **{name: rows[name][order] for name in COLUMNS})
    return {"seconds": took, "fills": int(n), "rows": len(data), "bytes": data.nbytes, **money}


if __name__ == "__main__":
    serve(play)
