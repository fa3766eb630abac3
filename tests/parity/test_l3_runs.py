"""hftbacktest 2.4.4 on markets told order by order: digests that ``make_hbt_l3.py`` made."""

import json
import sys
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from l3_tape import LOT_SIZE, TICK_SIZE, tape

from mmcore._channel import Latency
from mmcore._replay import Replay
from mmcore._venue import PARITY_FIFO, Venue
from mmcore.events import ContractKind
from mmcore.instrument import Instrument
from mmcore.tables import read_npz

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from hbt_strategies import STRATEGIES  # noqa: E402 - a script's folder, not a package
from run_hbt import COLUMNS  # noqa: E402

RUNS = json.loads((HERE.parent / "data" / "hbt_l3.json").read_text())["runs"]
FAST = 3  # every so many-th run is in the quick suite
ITEM = Instrument(
    venue="synthetic", symbol="L3", kind=ContractKind.LINEAR, tick=str(TICK_SIZE), qty_decimals=2,
    lot=str(LOT_SIZE),
)  # fmt: skip


@cache
def rows_of(told: str, folder: Path) -> np.ndarray:
    path = folder / "tape.npz"
    np.savez(path, data=tape(**json.loads(told)))
    return read_npz(path, ITEM)


def cases() -> list[object]:
    return [
        pytest.param(run, id=run["name"], marks=[pytest.mark.slow] if i % FAST else [])
        for i, run in enumerate(RUNS)
    ]


@pytest.mark.parametrize("run", cases())
def test_fills_and_accounts(run: dict[str, Any], tmp_path: Path) -> None:
    expected, fee, latency = run["expected"], run["fee"], run["latency"]
    venue = Venue(
        ITEM.spec(0), rules=PARITY_FIFO, queue="fifo", n_slots=1024,
        maker_fee=fee["maker"], taker_fee=fee["taker"],
    )  # fmt: skip
    rows = rows_of(json.dumps(run["tape"]), tmp_path)
    replay = Replay(rows, venue, Latency(latency["entry_ns"], latency["response_ns"]))
    kind = STRATEGIES[run["strategy"]["id"]]
    units = ITEM.to_qty(str(run["order_qty"]))
    fills = kind(replay, list(run["strategy"]["params"]), units).run()
    assert len(fills) == expected["n_fills"]
    whole = fills.copy()
    whole["qty"] = np.rint(fills["qty"] / ITEM.qty_per_one * 1e6)
    table = np.stack([whole[name].astype(np.int64) for name in COLUMNS])
    assert blake2b(table.tobytes(), digest_size=16).hexdigest() == expected["digest"]
    assert replay.position / ITEM.qty_per_one == pytest.approx(expected["position"], abs=1e-9)
    assert replay.balance == pytest.approx(expected["balance"], rel=1e-6, abs=1e-6)
    assert replay.fee == pytest.approx(expected["fee"], rel=1e-6, abs=1e-6)
    counters = venue.book.order_counters
    assert counters[1:] == (0, 0, 0, 0, 0)
