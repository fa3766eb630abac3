"""What fault scripts do behind Bybit's doors: a fill before a cancel, balances that lag."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mmcore.events import TimeInForce

from .accounts import Account
from .faults import Do
from .orders import AccountEvent, Event, NewOrder, Order, Refusal

if TYPE_CHECKING:
    from .server import Box

log = logging.getLogger(__name__)

PAST = 4096  # wallets remembered of an account while a script is armed
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


class Lag:
    """Answers about balances that tell the past, while a script says so.

    render: the wallet of an account as it is now.
    """

    def __init__(self, box: Box, render: Callable[[Account], Any]) -> None:
        self._box = box
        self._render = render
        self._past: dict[str, deque[tuple[int, Any]]] = {}
        box.exchange.listeners.append(self.hear)

    def hear(self, event: Event) -> None:
        """Remember a wallet as an event left it."""
        if self._box.faults.quiet or not isinstance(event, AccountEvent):
            return
        if event.account.venue == "bybit":
            self._keep(event.account)

    def wallet(self, account: Account) -> Any:
        """The wallet to be shown now."""
        if self._box.faults.quiet:
            return self._render(account)
        self._keep(account)
        struck = self._box.faults.strike("account", "bybit", "balance", account.name)
        if struck is None or struck.do is not Do.BALANCE_LAG:
            return self._render(account)
        then_ns = self._box.clock.engine_ns() - round(struck.late_s * 1e9)
        past = self._past[account.name]
        older = [wallet for ts_ns, wallet in past if ts_ns <= then_ns]
        return older[-1] if older else past[0][1]

    def _keep(self, account: Account) -> None:
        past = self._past.setdefault(account.name, deque(maxlen=PAST))
        past.append((self._box.clock.engine_ns(), self._render(account)))


__all__ = ["Lag", "Race"]
