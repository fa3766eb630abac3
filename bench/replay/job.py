"""What one measurement is, for both sides: read from a line of JSON, answered with one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

COLUMNS = ("exch_ts", "seen_ts", "order_id", "side", "tick", "qty", "maker")


@dataclass(frozen=True)
class Job:
    """One strategy on one tape by one set of rules.

    tape: an npz of hftbacktest's rows.  strategy: 1, 2, 3, or 0 for the bare replay; params as in
    the parity runs, times in ns.  fills: where the fill list goes, "" for nowhere.
    """

    tape: str
    tick_size: float
    lot_size: float
    order_qty: float
    strategy: int
    params: tuple[int, ...]
    fills: str = ""
    latency_ns: tuple[int, int] = (10_000_000, 8_000_000)
    fee: tuple[float, float] = (-5e-05, 0.0007)
    price_range: tuple[float, float] = field(default=(0.0, 0.0))  # what a depth of fixed size needs

    def line(self) -> str:
        """As it travels."""
        return json.dumps(asdict(self))


def serve(play: Callable[[Job], dict[str, Any]]) -> None:
    """Answer jobs until the input ends."""
    for line in sys.stdin:
        facts = json.loads(line)
        for name in ("params", "latency_ns", "fee", "price_range"):
            facts[name] = tuple(facts[name])
        print(json.dumps(play(Job(**facts))), flush=True)
