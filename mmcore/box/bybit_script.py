"""What fault scripts do behind Bybit's doors: an order fills just before its cancel."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mmcore.events import TimeInForce

from .accounts import Account
from .orders import NewOrder, Order, Refusal

if TYPE_CHECKING:
    from .server import Box

log = logging.getLogger(__name__)

WALK_LEVELS = 1000


class Race:
    """Lets another account fill an order just before its cancel is looked at."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def __call__(self, account: Account, order: Order, now_ns: int) -> None:
        faults = self._box.faults
        if faults.quiet or not order.open:
            return
        struck = faults.strike("order", "bybit", "cancel", f"order {order.id}")
        rivals = [one for one in self._box.exchange.accounts_of("bybit") if one is not account]
        if struck is None or not rivals:
            return
        levels = order.floor.top(order.side, WALK_LEVELS)
        ahead = sum(qty for tick, qty in levels if (tick - order.tick) * order.side >= 0)
        new = NewOrder(
            floor=order.floor,
            side=-order.side,
            qty=ahead,
            tick=order.tick,
            tif=TimeInForce.IOC,
        )
        try:
            self._box.exchange.place(rivals[0], new, now_ns)
        except Refusal as refusal:
            log.info("order %d could not be filled before its cancel: %s", order.id, refusal.text)


__all__ = ["Race"]
