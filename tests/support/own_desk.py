"""Own orders with a clock to push, and every row they told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mmcore.adapters._decode import Terms
from mmcore.adapters._own import Own, OwnOrders, VenueFill
from mmcore.events import REQUEST, Kind, RequestKind
from mmcore.gateway import ClientIds, Rows
from mmcore.instrument import Instrument, known

SECOND = 1_000_000_000
IDS = ClientIds("0123456789ab", 7)
BTC = known("bybit-linear", "BTCUSDT")
SPOT = known("bybit-spot", "BTCUSDT")
PLACE, AMEND, CANCEL = RequestKind.PLACE, RequestKind.AMEND, RequestKind.CANCEL


def request(kind: RequestKind, slot: int, generation: int, **fields: int) -> np.void:
    row = np.zeros(1, REQUEST)
    row["kind"], row["slot"], row["generation"] = kind, slot, generation
    for name, value in fields.items():
        row[name] = value
    return row[0]


class Desk:
    """OwnOrders with a clock to push, and every row it told."""

    def __init__(self, item: Instrument = BTC, **options: Any) -> None:
        self.now = SECOND
        self.rows: list[np.void] = []
        self.notices: list[str] = []
        self.own = OwnOrders(
            IDS, {0: Terms(item, 0)}, self.take, lambda: self.now,
            notice=self.notices.append, **options,
        )  # fmt: skip

    def take(self, rows: Rows) -> None:
        self.rows += list(rows)

    def place(self, slot: int = 0, *, side: int = 1, tick: int = 100, qty: int = 5) -> Own:
        return self.own.placing(request(PLACE, slot, 1, side=side, tick=tick, qty=qty))

    def told(self) -> list[tuple[str, int]]:
        return [(Kind(r["kind"]).name, int(r["qty"])) for r in self.rows]

    def fill(self, own: Own, trade_id: int, qty: int, **fields: Any) -> bool:
        fill = VenueFill(
            instrument=0, client_id=own.client_id, venue_id=own.venue_id, side=own.side,
            trade_id=trade_id, tick=own.tick, qty=qty, fee=3, fee_asset="USDT", maker=True,
        )  # fmt: skip
        return self.own.filled(replace(fill, **fields))
