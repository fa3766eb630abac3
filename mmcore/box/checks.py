"""What a venue refuses: the filters of a floor, and what an account cannot afford.

Every function returns, or raises :class:`~mmcore.box.orders.Refusal`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmcore.events import TimeInForce

from . import margin
from .floor import FEE_ONE
from .money import up
from .orders import NewOrder, Refusal, RefusalKind

if TYPE_CHECKING:
    from .accounts import Account
    from .floor import Floor
    from .orders import Order

TICK_MAX, QTY_MAX = 1 << 40, 1 << 50  # beyond them nothing is legal: money stays within 64 bits
FEW, LEVELS = 32, 4_096  # levels of the book that an order is priced by: first, and at most


def filters(floor: Floor, side: int, tick: int, qty: int, *, reduce_only: bool) -> None:
    """Quantity and limit price of an order, or of what an amended one becomes."""
    quantity(floor, qty)
    if not 0 < tick < TICK_MAX or floor.spec.tick_floor(tick) != tick:
        raise Refusal(RefusalKind.TICK, f"price {floor.price(tick)} is not on the grid")
    bound = floor.band(side)
    if (tick - bound) * side > 0:
        raise Refusal(
            RefusalKind.PRICE_BAND,
            f"price {floor.price(tick)} is beyond {floor.price(bound)}",
        )
    if not reduce_only and floor.notional(tick, qty) < floor.min_notional:
        raise Refusal(RefusalKind.NOTIONAL, "the order's value is below the least one")


def quantity(floor: Floor, qty: int) -> None:
    """Quantity alone: positive, whole lots, within the bounds."""
    text = floor.instrument.quantity_text(qty)
    if qty <= 0 or qty < floor.min_qty:
        raise Refusal(RefusalKind.MIN_QTY, f"quantity {text} is below the least one")
    if qty % floor.instrument.lot_qty:
        raise Refusal(RefusalKind.LOT, f"quantity {text} is not a whole number of lots")
    if qty > (floor.max_qty or QTY_MAX):
        raise Refusal(RefusalKind.MAX_QTY, f"quantity {text} is above the largest one")


def shape(new: NewOrder) -> None:
    """What is asked for, before its figures are looked at."""
    if new.side not in {1, -1}:
        raise Refusal(RefusalKind.BAD_PARAM, f"side {new.side}: expected 1 or -1")
    if new.market and new.tif == TimeInForce.GTX:
        raise Refusal(RefusalKind.BAD_PARAM, "a market order cannot be post-only")
    if new.reduce_only and new.floor.spot:
        raise Refusal(RefusalKind.BAD_PARAM, "spot orders cannot be reduce-only")


def reducing(account: Account, floor: Floor, side: int, qty: int) -> int:
    """Units of a reduce-only order: as many of them as there are to reduce."""
    room = -account.positions[floor].qty * side
    if room <= 0:
        raise Refusal(RefusalKind.REDUCE_ONLY, "the order would add to the position")
    return min(qty, room)


def sweep(account: Account, floor: Floor, side: int, tick: int, qty: int) -> tuple[int, int]:
    """What an order would take at once, units and their money; the account's own orders apart."""
    for n in (FEW, LEVELS):
        levels = floor.top(-side, n)
        if len(levels) < n or (tick - levels[-1][0]) * side < 0:
            break
    own: dict[int, int] = {}
    for each in account.orders(floor):
        if each.side != side:
            own[each.tick] = own.get(each.tick, 0) + each.left
    got = money = 0
    for level, shown in levels:
        if (tick - level) * side < 0 or got == qty:
            break
        piece = min(qty - got, shown - own.get(level, 0))
        got += piece
        money += floor.notional(level, piece)
    return got, money


def reserve(floor: Floor, side: int, tick: int, qty: int) -> int:
    """Quanta that a resting order of so many units holds of its wallet; notional on derivatives."""
    if not floor.spot:
        return floor.notional(tick, qty)
    return floor.cost(tick, qty) if side > 0 else floor.coin_quanta(qty)


def funds(account: Account, order: Order, tick: int, qty: int) -> None:
    """Whether the account can pay for so many units up to ``tick``.

    order: the new one, or the open one that would become this; what it holds is free for it.
    """
    if order.floor.spot:
        _balance(account, order, tick, qty)
    elif not order.reduce_only:
        _margin(account, order, tick, qty)


def _balance(account: Account, order: Order, tick: int, qty: int) -> None:
    floor, wallet = order.floor, account.wallet(order.floor)
    if order.side < 0:
        asset, needed = floor.instrument.base, floor.coin_quanta(qty)
    else:
        asset = floor.instrument.quote
        needed = sweep(account, floor, 1, tick, qty)[1] if order.market else floor.cost(tick, qty)
    free = min(wallet.free(asset), wallet.available(asset)) + order.reserved
    if needed > free:
        raise Refusal(RefusalKind.BALANCE, f"the order needs more {asset} than is free")


def _margin(account: Account, order: Order, tick: int, qty: int) -> None:
    floor, side, wallet = order.floor, order.side, account.wallet(order.floor)
    position = account.positions[floor]
    got = worth = 0
    if order.tif != TimeInForce.GTX:
        got, worth = sweep(account, floor, side, tick, qty)
    loss = max(0, (worth - floor.value(got)) * side)
    fee = up(worth * max(0, account.fee_rates[floor][1]), FEE_ONE)
    if not order.market:
        worth += floor.notional(tick, qty - got)
    before = margin.initial(position)
    after = margin.initial(position, worth - order.reserved, side)
    now = wallet.margin()
    locked = wallet.locked.get(account.settle(wallet.name), 0)
    if after > before and now.initial - before + after > now.equity - locked - loss - fee:
        raise Refusal(RefusalKind.MARGIN, "the order needs more margin than is available")


__all__ = ["filters", "funds", "quantity", "reducing", "reserve", "shape", "sweep"]
