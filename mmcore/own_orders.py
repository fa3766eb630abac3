"""Which own orders are open, told from journal records alone.

The engine keeps its orders in slots; this is the same knowledge from what was written down, so that
a journal without its process still says what may rest at the venue.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .events import Flag, RecordKind, RejectCode
from .journal import read_records

Key = tuple[int, int, int]  # trader, slot, generation


@dataclass(slots=True)
class RestingOrder:
    """One own order that is not known to be gone.

    tick, qty: as last known, qty remaining in units.  tick_next, qty_next: asked for by an amend
    that has not been answered, else the same.  request: the last one that waits for its answer, or
    None.
    """

    trader: int
    instrument: int
    slot: int
    generation: int
    side: int
    tick: int
    qty: int
    tick_next: int
    qty_next: int
    request: RecordKind | None

    @property
    def at_rest(self) -> bool:
        """Whether nothing about it is under way."""
        return self.request is None


class Resting:
    """Open orders after the records seen so far: ``orders`` by trader, slot and generation."""

    def __init__(self) -> None:
        self.orders: dict[Key, RestingOrder] = {}

    def see(self, records: NDArray[np.void]) -> None:
        """Take in RECORD rows, in engine order."""
        for row in records[records["kind"] != RecordKind.STATUS]:
            self._see(row)

    def _see(self, row: np.void) -> None:
        kind = RecordKind(row["kind"])
        key = (int(row["trader"]), int(row["slot"]), int(row["generation"]))
        tick, qty = int(row["tick"]), int(row["qty"])
        if kind == RecordKind.PLACE:
            number, side = int(row["instrument"]), int(row["side"])
            self.orders[key] = RestingOrder(
                key[0], number, key[1], key[2], side, tick, qty, tick, qty, kind
            )
            return
        order = self.orders.get(key)
        if order is None or kind == RecordKind.PAID:
            return
        if kind in {RecordKind.AMEND, RecordKind.CANCEL}:
            order.request = kind
            if kind == RecordKind.AMEND:
                order.tick_next, order.qty_next = tick, qty
        elif kind in {RecordKind.CANCELLED, RecordKind.EXPIRED}:
            del self.orders[key]
        elif kind == RecordKind.FILL:
            self._fill(key, order, qty, last=bool(row["flags"] & Flag.LAST))
        elif kind == RecordKind.REJECT:
            if order.request == RecordKind.PLACE or order.qty <= 0:
                del self.orders[key]
            elif row["code"] != RejectCode.UNKNOWN_ORDER:  # then its end is still to be told
                order.request = None
                order.tick_next, order.qty_next = order.tick, order.qty
        elif kind == RecordKind.ACK:
            if order.request == RecordKind.PLACE:
                order.request = None
            order.tick = order.tick_next = tick
            order.qty = order.qty_next = min(order.qty, qty)  # a fill may have overtaken it
        elif kind == RecordKind.AMENDED:
            if order.request == RecordKind.AMEND:
                order.request = None
            order.tick = order.tick_next = tick
            order.qty = order.qty_next = qty

    def _fill(self, key: Key, order: RestingOrder, qty: int, *, last: bool) -> None:
        order.qty = max(order.qty - qty, 0)
        amending = order.request == RecordKind.AMEND
        order.qty_next = max(order.qty_next - qty, 0) if amending else order.qty
        if last or (order.qty == 0 and (not amending or order.qty_next == 0)):
            del self.orders[key]


def open_orders(journal: Path) -> list[RestingOrder]:
    """The own orders that a journal file leaves open, of a killed run too.

    Their client ids are made of the facts ``client_prefix`` and ``client_epoch`` of the same file
    (:func:`mmcore.journal.read_facts`), slot and generation.  Raises FileNotFoundError.
    """
    resting = Resting()
    resting.see(read_records(journal))
    return list(resting.orders.values())


__all__ = ["Resting", "RestingOrder", "open_orders"]
