"""What a trade, a payment or the end of an order does to an account: wallets, positions, records.

Derivatives: the wallet gets what was realised, less the fee; spot: coin against money, the fee of a
purchase in the coin, in whole units of the instrument.  One rounding per fill, half-even, as in
:mod:`mmcore._ledger`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import checks
from .accounts import CLIENT_IDS_MAX, HISTORY
from .floor import FEE_ONE
from .money import half_even
from .orders import ASKED, Ending, Fill, Order, Status, Trade

if TYPE_CHECKING:
    from .accounts import Position

RATE_ONE = 10**12  # of funding rates


def enter(order: Order) -> None:
    """An order is open: findable, and holding what it needs."""
    account = order.account
    account.open[order.id] = order
    if order.client_id:
        account.client_ids[order.floor, order.client_id] = order
    hold(order)


def remember(order: Order) -> None:
    """A client id is used, for ever where the venue says so."""
    used = order.account.used_client_ids
    used[order.client_id] = None
    if len(used) > CLIENT_IDS_MAX:
        del used[next(iter(used))]


def hold(order: Order) -> None:
    """Make what an order holds fit what is left of it; nothing when it is over."""
    account, floor = order.account, order.floor
    needed = 0
    if order.open and not order.market and not order.reduce_only:
        needed = checks.reserve(floor, order.side, order.tick, order.left)
    more = needed - order.reserved
    if floor.spot:
        item = floor.instrument
        account.wallet(floor).lock(item.quote if order.side > 0 else item.base, more)
    else:
        account.positions[floor].asked[order.side] += more
    order.reserved = needed


def leave(order: Order, ending: Ending, ts_ns: int) -> None:
    """An order is over: its reservation is free, and it moves from the open ones to history."""
    account = order.account
    if ending is not Ending.NONE:
        order.status = Status.CANCELED if ending in ASKED else Status.EXPIRED
    order.ending = ending
    order.updated_ns = ts_ns
    hold(order)
    del account.open[order.id]
    key = (order.floor, order.client_id)
    if account.client_ids.get(key) is order:
        del account.client_ids[key]
    archive(order)


def archive(order: Order) -> None:
    """Keep an order that is over among the recent ones."""
    account = order.account
    account.history.append(order)
    account.recent[order.id] = order
    if order.client_id:
        account.recent_client_ids[order.floor, order.client_id] = order
    if len(account.history) > HISTORY:
        old = account.history.popleft()
        del account.recent[old.id]
        key = (old.floor, old.client_id)
        if account.recent_client_ids.get(key) is old:
            del account.recent_client_ids[key]


def book(order: Order, trade: Trade, ts_ns: int, *, maker: bool) -> Fill:
    """One piece of an order traded; it leaves when nothing is left of it."""
    account, floor = order.account, order.floor
    position = account.positions[floor]
    realised = position.realised
    value = floor.notional(trade.tick, trade.qty)
    if floor.spot:
        asset, fee = _spot(order, trade, value, maker=maker)
    else:
        asset = floor.instrument.settle
        fee = floor.fee(trade.tick, trade.qty, account.fee_rates[floor][0 if maker else 1])
        position.ledger.fill(order.side, trade.tick, trade.qty, fee=fee, maker=maker)
        account.wallet(floor).add(asset, position.realised - realised - fee)
    position.updated_ns = ts_ns
    fill = Fill(
        trade_id=trade.id,
        order=order,
        ts_ns=ts_ns,
        tick=trade.tick,
        qty=trade.qty,
        value=value,
        fee=fee,
        fee_asset=asset,
        maker=maker,
        realised=position.realised - realised,
        position_after=position.qty,
    )
    order.filled += trade.qty
    order.value += value
    order.fees[asset] = order.fees.get(asset, 0) + fee
    order.fills.append(fill)
    order.updated_ns = ts_ns
    account.fills.append(fill)
    if order.left:
        order.status = Status.PARTIAL
        hold(order)
    else:
        order.status = Status.FILLED
        leave(order, Ending.NONE, ts_ns)
    return fill


def _spot(order: Order, trade: Trade, value: int, *, maker: bool) -> tuple[str, int]:
    # Coin against money; the asset of the fee, and the fee.
    account, floor = order.account, order.floor
    item, wallet = floor.instrument, account.wallet(floor)
    ledger = account.positions[floor].ledger
    rate = account.fee_rates[floor][0 if maker else 1]
    wallet.add(item.base, order.side * floor.coin_quanta(trade.qty))
    wallet.add(item.quote, -order.side * value)
    if order.side < 0:
        fee = floor.fee(trade.tick, trade.qty, rate)
        ledger.fill(-1, trade.tick, trade.qty, fee=fee, maker=maker)
        wallet.add(item.quote, -fee)
        return item.quote, fee
    units = half_even(trade.qty * rate, FEE_ONE)
    ledger.fill(1, trade.tick, trade.qty, maker=maker)
    ledger.coin_fee(trade.tick, units)
    fee = floor.coin_quanta(units)
    wallet.add(item.base, -fee)
    return item.base, fee


def funding(position: Position) -> int:
    """Pay a position what the funding rate gives it: longs pay a positive rate.  The quanta."""
    floor = position.floor
    quanta = -half_even(floor.value(position.qty) * floor.funding_rate, RATE_ONE)
    position.ledger.receive(quanta)
    position.account.wallet(floor).add(floor.instrument.settle, quanta)
    return quanta


__all__ = ["archive", "book", "enter", "funding", "hold", "leave", "remember"]
