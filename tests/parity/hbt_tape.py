"""Folders of the hbt_parity layout: tapes, latency tables and configurations as mmcore's own."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from mmcore._channel import Latency
from mmcore._replay import Replay
from mmcore._spec import SpecBox
from mmcore._venue import PARITY, PARITY_WHOLE, Venue
from mmcore.events import EVENT, ContractKind, Flag, Kind

DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
EXCH, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
QUEUES = {
    "risk_adverse": "risk_averse",
    "power_prob": "power",
    "power_prob2": "power2",
    "power_prob3": "power3",
    "log_prob": "log",
    "log_prob2": "log2",
}
Config = dict[str, Any]


def decimals(step: float) -> int:
    """Decimals of a number as written."""
    exponent = Decimal(repr(step)).normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


@dataclass(frozen=True)
class Grid:
    """Price and quantity grid of a folder; a unit is fine enough for half a lot."""

    tick_size: float
    lot_size: float
    unit_decimals: int

    @classmethod
    def of(cls, tick_size: float, lot_size: float, quantities: np.ndarray) -> "Grid":
        digits = decimals(lot_size) + 1
        for qty in np.unique(quantities):
            digits = max(digits, decimals(float(qty)))
        return cls(tick_size, lot_size, digits)

    def units(self, qty: Any) -> Any:
        return np.rint(np.asarray(qty) * 10.0**self.unit_decimals).astype(np.int64)

    def qty(self, units: Any) -> Any:
        return np.asarray(units) / 10.0**self.unit_decimals

    def spec(self, kind: str, contract_size: float) -> SpecBox:
        contract = ContractKind.INVERSE if kind == "inverse" else ContractKind.LINEAR
        size = format(Decimal(repr(contract_size)), "f")
        lot = int(self.units(self.lot_size))
        tick = format(Decimal(repr(self.tick_size)), "f")
        return SpecBox(tick, self.unit_decimals, size, lot, 0, 0, 0, 0, 0, int(contract), 0, 0)


def events(data: np.ndarray, grid: Grid) -> np.ndarray:
    """EVENT rows of hftbacktest rows, one for one and in their order."""
    low = data["ev"] & np.uint64(0xFF)
    rows = np.zeros(len(data), EVENT)
    depth = (low == DEPTH) | (low == SNAPSHOT)
    rows["kind"] = np.select(
        [depth, low == TRADE, low == CLEAR],
        [int(Kind.DEPTH), int(Kind.TRADE), int(Kind.CLEAR)],
        int(Kind.OTHER),
    )
    bits = [(data["ev"] & np.uint64(bit)) != 0 for bit in (EXCH, LOCAL, BUY, SELL)]
    rows["flags"] = bits[0] * int(Flag.EXCH) + bits[1] * int(Flag.LOCAL)
    rows["side"] = bits[2] * 1 - bits[3] * 1
    rows["ts_venue_ns"] = data["exch_ts"]
    rows["ts_local_ns"] = data["local_ts"]
    rows["tick"] = np.rint(data["px"] / grid.tick_size)
    rows["qty"] = grid.units(data["qty"])
    return rows


class Folder:
    """One folder: ``tape.npz``, ``configs.json`` and what they refer to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        configs = json.loads((path / "configs.json").read_text())
        self.runs: list[Config] = configs["runs"]
        meta = configs["meta"]
        data = np.load(path / "tape.npz")["data"]
        first = path / "initial_snapshot.npz"
        before = np.load(first)["data"] if first.exists() else data[:0]
        quantities = np.array([run["order_qty"] for run in self.runs])
        quantities = np.concatenate([data["qty"], before["qty"], quantities])
        self.grid = Grid.of(meta["tick_size"], meta["lot_size"], quantities)
        self.rows = events(data, self.grid)
        self.before = events(before, self.grid)

    def latency(self, run: Config) -> Latency:
        model = run["latency"]
        if model["model"] == "constant":
            return Latency(model["entry_ns"], model["response_ns"])
        table = np.load(self.path / model["file"])["data"]
        return Latency(table=np.stack([table[c] for c in ("req_ts", "exch_ts", "resp_ts")], axis=1))

    def venue(self, run: Config) -> Venue:
        queue, fee = run["queue"], run["fee"]
        return Venue(
            self.grid.spec(run["asset"], run["contract_size"]),
            rules=PARITY if run["exchange"] == "partial_fill" else PARITY_WHOLE,
            queue=QUEUES[queue["model"]],
            exponent=float(queue.get("n", 1.0)),
            fee=fee["model"],
            maker_fee=fee["maker"],
            taker_fee=fee["taker"],
            n_slots=1024,
        )

    def replay(self, run: Config) -> Replay:
        return Replay(self.rows, self.venue(run), self.latency(run), snapshot=self.before)

    def fills(self, run: Config) -> np.ndarray:
        """The fill list hftbacktest produced."""
        found: np.ndarray = np.load(self.path / "results" / f"{run['name']}.npz")["fills"]
        return found
