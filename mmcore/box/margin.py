"""Cross margin: what an account needs for what it holds and has asked for.

Of each derivative floor: the notional of the position and of the open orders on the side that
would make it largest, divided by the leverage, is the initial margin; half a percent of the
position's notional at the mark price the maintenance margin.  Reduce-only orders need none.  All
floors of a wallet share its balance.  Money is quanta of the settle asset, rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .accounts import Account, Position, Wallet

MAINTENANCE_DEN = 200  # notional per unit of maintenance margin: 0.5 %


@dataclass(frozen=True, slots=True)
class Margin:
    """What a wallet needs and is worth, quanta of its settle asset.

    position_initial: initial margin of the positions alone; initial: with open orders;
    maintenance: with less than this the venue liquidates; unrealised: open profit; equity: balance
    and open profit.
    """

    position_initial: int
    initial: int
    maintenance: int
    unrealised: int
    equity: int


def initial(position: Position, extra: int = 0, side: int = 0) -> int:
    """Initial margin of one floor, with ``extra`` quanta of notional more asked for on ``side``."""
    buys = position.asked[1] + (extra if side > 0 else 0)
    sells = position.asked[-1] + (extra if side < 0 else 0)
    held = position.notional
    return -(-max(abs(held + buys), abs(held - sells)) // position.leverage)


def maintenance(position: Position) -> int:
    """Maintenance margin of one position."""
    return -(-abs(position.notional) // MAINTENANCE_DEN)


def positions(account: Account, wallet: Wallet) -> Iterator[Position]:
    """The derivative positions that a wallet is collateral for."""
    for floor, position in account.positions.items():
        if not floor.spot and account.wallet(floor) is wallet:
            yield position


def figures(account: Account, wallet: Wallet) -> Margin:
    """All of it for one wallet; zeros where it only trades spot."""
    held = needed = least = profit = 0
    for position in positions(account, wallet):
        held += -(-abs(position.notional) // position.leverage)
        needed += initial(position)
        least += maintenance(position)
        profit += position.unrealised
    balance = wallet.balances.get(account.settle(wallet.name), 0)
    return Margin(held, needed, least, profit, balance + profit)


def liquidation_price(position: Position, wallet: Wallet) -> Decimal:
    """Price at which the wallet's equity equals its maintenance margin; 0 where none is."""
    qty = position.qty
    if qty == 0:
        return Decimal(0)
    now = figures(wallet.account, wallet)
    # Without this position: what would be left over.  Then price * (qty - |qty| / 200) makes up.
    spare = now.equity - position.unrealised - now.maintenance + maintenance(position)
    per_one = position.floor.quanta_per_qty(1)
    slope = (Decimal(qty) - Decimal(abs(qty)) / MAINTENANCE_DEN) * Decimal(per_one.numerator)
    price = (position.cost - spare) * Decimal(per_one.denominator) / slope
    return max(price, Decimal(0))


__all__ = [
    "MAINTENANCE_DEN",
    "Margin",
    "figures",
    "initial",
    "liquidation_price",
    "maintenance",
    "positions",
]
