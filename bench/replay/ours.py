"""Plays jobs on mmcore, with the compiled strategies: ``python ours.py FOLDER``.

FOLDER holds the module that ``build.py`` made; without it the strategies are the plain Python ones
of the parity tests.
"""

import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [*sys.argv[1:2], str(HERE), str(HERE.parents[1] / "tests" / "parity")]

from hbt_strategies import STRATEGIES  # noqa: E402
from hbt_tape import Grid, events  # noqa: E402
from job import COLUMNS, Job, serve  # noqa: E402

from mmcore._channel import Latency  # noqa: E402
from mmcore._replay import Replay  # noqa: E402
from mmcore._venue import PARITY_WHOLE, Venue  # noqa: E402
from mmcore.tables import grouped  # noqa: E402

if len(sys.argv) > 1:
    import strategies


@cache
def tape(job: Job) -> tuple[Grid, Any, int]:
    """Grid and messages of a tape, and how many rows it has in hftbacktest's form."""
    data = np.load(job.tape)["data"]
    quantities = np.concatenate([data["qty"], [job.order_qty]])
    grid = Grid.of(job.tick_size, job.lot_size, quantities)
    rows = grouped(events(data, grid))
    return grid, rows, len(data)


def play(job: Job) -> dict[str, Any]:
    """Seconds of one run, and its fills in the file asked for."""
    key = Job(job.tape, job.tick_size, job.lot_size, job.order_qty, 0, ())
    grid, rows, n_rows = tape(key)
    venue = Venue(
        grid.spec("linear", 1.0), rules=PARITY_WHOLE, queue="risk_averse", fee="value",
        maker_fee=job.fee[0], taker_fee=job.fee[1], n_slots=1024,
    )  # fmt: skip
    replay = Replay(rows, venue, Latency(*job.latency_ns))
    qty = int(grid.units(job.order_qty))
    start = time.perf_counter()
    if len(sys.argv) > 1:
        fills = strategies.run(replay, job.strategy, job.params, qty)
    else:
        fills = STRATEGIES[job.strategy](replay, list(job.params), qty).run()
    took = time.perf_counter() - start
    if job.fills:
        table = {name: fills[name].astype(np.float64) for name in COLUMNS[2:]}
        table |= {name: fills[name] for name in COLUMNS[:2]}
        table["qty"] = grid.qty(fills["qty"])
        np.savez(job.fills, **table)
    money = {"balance": replay.balance, "fee": replay.fee}
    return {"seconds": took, "fills": len(fills), "rows": n_rows, "bytes": rows.nbytes, **money}


if __name__ == "__main__":
    serve(play)
