"""The exchange in the box: floors, accounts, and what happens between them.

Synchronous and deterministic: time is passed in, and the same seed and the same calls give the same
events.  Every call first brings the market up to its ``now_ns``.  What a venue refuses at once is
raised as :class:`~mmcore.box.orders.Refusal`; everything else is told to the listeners, in the
order in which it happened, before the call returns.  Listeners must not call back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from heapq import merge
from operator import itemgetter

import numpy as np

from mmcore.events import EVENT, Flag, Kind, RejectCode, TimeInForce

from . import checks, clearing
from .accounts import Account, Payment, Position, Wallet
from .feed import Feed
from .floor import Crowded, Floor, Happening, Over
from .margin import positions
from .orders import (
    AccountEvent,
    Ending,
    Event,
    Fill,
    MarkEvent,
    NewOrder,
    Order,
    OrderEvent,
    Refusal,
    RefusalKind,
    Status,
    TradeEvent,
)

LEVERAGE_MAX = 125
MARK_EVERY_NS = 1_000_000_000
NEVER = 1 << 62


class Unique(Enum):
    """Among which of an account's orders a client id may stand once."""

    OPEN = "open"  # of one floor
    EVER = "ever"
    NOT = "not"


CLIENT_IDS: Mapping[str, Unique] = {
    "binance": Unique.OPEN,
    "bybit": Unique.EVER,
    "hyperliquid": Unique.NOT,
}

ENDINGS: Mapping[RejectCode, Ending] = {
    RejectCode.POST_ONLY: Ending.POST_ONLY,
    RejectCode.NO_LIQUIDITY: Ending.NO_LIQUIDITY,
    RejectCode.LIMIT: Ending.REDUCE_ONLY,
    RejectCode.OTHER: Ending.SELF_TRADE,
}


class Exchange:
    """All floors and accounts of one box.

    start_ns: when it opens.  now_ns: up to when everything has happened.  feeds: the market, in
    order of time each; books without one stand still.  listeners: called with every
    :class:`~mmcore.box.orders.Event`.  before_cancel: called with an order whose cancel has
    arrived, before it is looked at.  insurance: asset -> quanta that liquidations left unpaid.
    """

    def __init__(
        self,
        floors: Sequence[Floor],
        accounts: Sequence[Account],
        *,
        start_ns: int = 0,
    ) -> None:
        self.floors = tuple(floors)
        self.accounts = tuple(accounts)
        self.feeds: list[Feed] = []
        self.now_ns = start_ns
        self.listeners: list[Callable[[Event], None]] = []
        self.before_cancel: list[Callable[[Order], None]] = []
        self.insurance: dict[str, int] = {}
        self._by_name = {(each.venue, each.symbol): each for each in floors}
        self._last_order_id = 0
        self._last_payment_id = 0
        self._countdowns: dict[tuple[Account, Floor | None], int] = {}
        self._mark_ns = start_ns
        for floor in floors:
            if floor.funding_interval_ns:
                passed = start_ns // floor.funding_interval_ns
                floor.next_funding_ns = (passed + 1) * floor.funding_interval_ns

    def floor(self, venue: str, symbol: str) -> Floor | None:
        """The floor of a venue ("binance-usdm") by symbol as the venue writes it, or None."""
        return self._by_name.get((venue, symbol))

    def listen(self, feed: Feed) -> None:
        """Let floors hear a market; what it said before now happens with the next call."""
        self.feeds.append(feed)

    def close(self) -> None:
        """Let go of the files that the market is read from."""
        for feed in self.feeds:
            feed.close()

    def accounts_of(self, venue: str) -> list[Account]:
        """Accounts of "binance", "bybit" or "hyperliquid"."""
        return [each for each in self.accounts if each.venue == venue]

    # -- orders

    def place(self, account: Account, new: NewOrder, now_ns: int) -> Order:
        """Place an order; it has met what it could meet when this returns.

        The order may be over already: FILLED, or EXPIRED with NO_LIQUIDITY (IOC, FOK and market
        orders, filled in part or not at all).  Raises Refusal for what a venue refuses at once.  A
        post-only order that would take is one of them; the refusal then carries an order that is
        REJECTED with Ending.POST_ONLY and can be found, and listeners hear of it as "rejected": a
        dialect that answers later turns that round.  A reduce-only order is cut to the position.
        """
        self.advance(now_ns)
        floor = new.floor
        self._admit(account, new)
        order = Order(
            id=self._last_order_id + 1,
            account=account,
            floor=floor,
            client_id=new.client_id,
            side=new.side,
            tick=0 if new.market else new.tick,
            qty=new.qty,
            tif=new.tif,
            market=new.market,
            reduce_only=new.reduce_only,
            created_ns=self.now_ns,
            updated_ns=self.now_ns,
            extra=new.extra,
        )
        if new.reduce_only:
            order.qty = checks.reducing(account, floor, new.side, new.qty)
        checks.funds(account, order, floor.band(new.side) if new.market else new.tick, order.qty)
        try:
            happened = floor.place(order, self.now_ns)
        except Crowded:
            raise Refusal(RefusalKind.TOO_MANY_ORDERS, "no more orders fit here") from None
        self._last_order_id = order.id
        if CLIENT_IDS[account.venue] is Unique.EVER and order.client_id:
            clearing.remember(order)
        if happened and happened[0] == Over(order, RejectCode.POST_ONLY):
            self._reject(order)
        clearing.enter(order)
        self._tell(order, "new")
        self._tell_account(account, "order", floor)
        self._settle(happened)
        return order

    def _admit(self, account: Account, new: NewOrder) -> None:
        floor = new.floor
        if account.positions.get(floor) is None:
            raise Refusal(RefusalKind.BAD_PARAM, f"{account.name} does not trade on {floor}")
        if account.hedge_mode and not floor.spot:
            raise Refusal(RefusalKind.POSITION_MODE, "the account is in hedge mode")
        checks.shape(new)
        if new.market:
            checks.quantity(floor, new.qty)
            best = floor.best(-new.side)
            if best is None:
                raise Refusal(RefusalKind.NO_LIQUIDITY, "nobody stands on the other side")
            worth = floor.notional(best[0], new.qty)
            if not new.reduce_only and worth < floor.min_notional:
                raise Refusal(RefusalKind.NOTIONAL, "the order's value is below the least one")
        else:
            checks.filters(floor, new.side, new.tick, new.qty, reduce_only=new.reduce_only)
        self._admit_client_id(account, new)
        if len(account.orders(floor)) >= floor.orders_max:
            raise Refusal(RefusalKind.TOO_MANY_ORDERS, f"{floor.orders_max} orders are open")

    def _admit_client_id(self, account: Account, new: NewOrder) -> None:
        rule = CLIENT_IDS[account.venue]
        if not new.client_id or rule is Unique.NOT:
            return
        old = self.find(account, client_id=new.client_id, floor=new.floor)
        if rule is Unique.EVER:
            used = new.client_id in account.used_client_ids
        else:
            used = old is not None and old.open
        if used:
            raise Refusal(
                RefusalKind.DUPLICATE_CLIENT_ID, f"client id {new.client_id} is used", old
            )

    def _reject(self, order: Order) -> None:
        order.status = Status.REJECTED
        order.ending = Ending.POST_ONLY
        clearing.archive(order)
        self._tell(order, "rejected")
        raise Refusal(RefusalKind.POST_ONLY, "the order would have taken", order)

    def amend(
        self,
        account: Account,
        order: Order,
        *,
        tick: int | None = None,
        qty: int | None = None,
        now_ns: int,
    ) -> Order:
        """Change price and quantity (the new total, filled part included) of an open order.

        The place in the queue is kept at the same price with no more quantity, else lost; the order
        may trade.  A post-only order that would take at its new price is over (EXPIRED, POST_ONLY).
        Raises Refusal and leaves the order as it was: NOT_CHANGED, QTY_BELOW_DONE where nothing
        would be left, ALREADY_DONE, UNKNOWN_ORDER for another account's, and as for a new order.
        """
        self.advance(now_ns)
        self._open(account, order)
        floor = order.floor
        tick = order.tick if tick is None else tick
        qty = order.qty if qty is None else qty
        if tick == order.tick and qty == order.qty:
            raise Refusal(RefusalKind.NOT_CHANGED, "nothing would change", order)
        try:
            checks.filters(floor, order.side, tick, qty, reduce_only=order.reduce_only)
            if qty <= order.filled:
                raise Refusal(RefusalKind.QTY_BELOW_DONE, "no more than has filled already")
            if order.reduce_only:
                left = qty - order.filled
                qty = order.filled + checks.reducing(account, floor, order.side, left)
            checks.funds(account, order, tick, qty - order.filled)
        except Refusal as refusal:
            refusal.order = order
            raise
        happened = floor.amend(order, tick, qty, self.now_ns)
        order.amendments += 1
        order.updated_ns = self.now_ns
        first = happened[0] if happened else None
        if not (isinstance(first, Over) and first.order is order):
            order.tick, order.qty = tick, qty
            clearing.hold(order)
            self._tell(order, "amended")
            self._tell_account(account, "order", floor)
        self._settle(happened)
        return order

    def cancel(
        self, account: Account, order: Order, now_ns: int, ending: Ending = Ending.USER
    ) -> Order:
        """Cancel an open order.

        Raises Refusal: ALREADY_DONE where it filled or ended before, UNKNOWN_ORDER for another
        account's.
        """
        self.advance(now_ns)
        for called in self.before_cancel:
            called(order)
        self._open(account, order)
        self._remove(order, ending)
        return order

    def _open(self, account: Account, order: Order) -> None:
        if order.account is not account:
            raise Refusal(RefusalKind.UNKNOWN_ORDER, "no such order")
        if not order.open:
            raise Refusal(RefusalKind.ALREADY_DONE, f"the order is {order.status}", order)

    def _remove(self, order: Order, ending: Ending) -> None:
        order.floor.remove(order, self.now_ns)
        self._end(order, ending)

    def _end(self, order: Order, ending: Ending) -> None:
        clearing.leave(order, ending, self.now_ns)
        self._tell(order, "canceled" if order.status is Status.CANCELED else "expired")
        self._tell_account(order.account, "order", order.floor)

    def cancel_all(self, account: Account, floor: Floor | None, now_ns: int) -> list[Order]:
        """Cancel the open orders of an account, on one floor or on all; those it cancelled."""
        self.advance(now_ns)
        orders = account.orders(floor)
        for order in orders:
            self._remove(order, Ending.USER)
        return orders

    def find(
        self,
        account: Account,
        *,
        order_id: int | None = None,
        client_id: str | None = None,
        floor: Floor | None = None,
    ) -> Order | None:
        """An order of the account, open or recent, by id (which wins) or client id.

        Of several with the same client id the latest open one, else the latest.  floor: only there;
        by client id, None looks on every floor.
        """
        if order_id is not None:
            order = account.open.get(order_id) or account.recent.get(order_id)
            return order if order and floor in {None, order.floor} else None
        if not client_id:
            return None
        floors = account.positions if floor is None else (floor,)
        for held in (account.client_ids, account.recent_client_ids):
            for each in floors:
                if (each, client_id) in held:
                    return held[each, client_id]
        return None

    # -- what happened, told and booked

    def _tell(self, order: Order, what: str, fill: Fill | None = None) -> None:
        self._say(OrderEvent(order, what, fill, self.now_ns))

    def _tell_account(self, account: Account, why: str, floor: Floor) -> None:
        item = floor.instrument
        assets = (item.base, item.quote) if floor.spot else (item.settle,)
        self._say(AccountEvent(account, why, assets, (floor,), self.now_ns))

    def _say(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def _settle(self, happened: Sequence[Happening]) -> None:
        moved: dict[tuple[Account, Floor], None] = {}
        for each in happened:
            if isinstance(each, Over):
                self._end(each.order, ENDINGS[each.code])
                continue
            for order, maker in each.parts:
                fill = clearing.book(order, each.trade, self.now_ns, maker=maker)
                self._tell(order, "fill", fill)
                self._tell_account(order.account, "fill", order.floor)
                moved[order.account, order.floor] = None
            floor = each.floor
            floor.trades.append(each.trade)
            self._say(TradeEvent(floor, each.trade))
        for account, floor in moved:
            if not floor.spot:
                self._trim(account, floor)

    def _trim(self, account: Account, floor: Floor) -> None:
        # Reduce-only orders end when nothing is left to reduce, and never ask for more than is.
        held = account.positions[floor].qty
        for order in account.orders(floor):
            if not order.reduce_only:
                continue
            room = -held * order.side
            if room <= 0:
                self._remove(order, Ending.REDUCE_ONLY)
            elif order.left > room:
                floor.amend(order, order.tick, order.filled + room, self.now_ns)
                order.qty = order.filled + room
                self._tell(order, "amended")

    def print(self, floor: Floor, side: int, tick: int, qty: int, now_ns: int) -> None:
        """Let somebody of the market buy (+1) or sell (-1) so many units down or up to a price.

        Accounts' orders better than that price, or at it and next in line, share the print.
        """
        self.advance(now_ns)
        rows = np.zeros(1, EVENT)
        row = rows[0]
        row["kind"], row["side"], row["flags"] = Kind.TRADE, side, Flag.EXCH | Flag.LOCAL
        row["ts_venue_ns"] = row["ts_local_ns"] = self.now_ns
        row["tick"], row["qty"] = tick, qty
        self._settle(floor.hear(rows, self.now_ns))

    # -- settings

    def set_leverage(self, account: Account, floor: Floor, leverage: int, now_ns: int) -> None:
        """Set the leverage of a derivative floor.

        Raises Refusal: LEVERAGE out of 1 to 125, MARGIN where positions and orders would need more
        than there is, NOT_CHANGED, BAD_PARAM on spot.
        """
        self.advance(now_ns)
        position = self._derivative(account, floor)
        if not 1 <= leverage <= LEVERAGE_MAX:
            raise Refusal(RefusalKind.LEVERAGE, f"leverage {leverage}: 1 to {LEVERAGE_MAX}")
        if leverage == position.leverage:
            raise Refusal(RefusalKind.NOT_CHANGED, "that is the leverage already")
        before, position.leverage = position.leverage, leverage
        figures = account.wallet(floor).margin()
        if leverage < before and figures.initial > figures.equity:
            position.leverage = before
            raise Refusal(RefusalKind.MARGIN, "positions and orders need more at that leverage")
        self._tell_account(account, "config", floor)

    def set_margin_mode(self, account: Account, floor: Floor, mode: str, now_ns: int) -> None:
        """Note "cross" or "isolated" for a floor; margin stays that of the whole wallet.

        Raises Refusal: POSITION_MODE with open orders or a position there, NOT_CHANGED, BAD_PARAM.
        """
        self.advance(now_ns)
        position = self._derivative(account, floor)
        if mode not in {"cross", "isolated"}:
            raise Refusal(RefusalKind.BAD_PARAM, f"margin mode {mode}")
        if mode == position.margin_mode:
            raise Refusal(RefusalKind.NOT_CHANGED, "that is the margin mode already")
        if position.qty or account.orders(floor):
            raise Refusal(RefusalKind.POSITION_MODE, "there are open orders or a position")
        position.margin_mode = mode
        self._tell_account(account, "config", floor)

    def _derivative(self, account: Account, floor: Floor) -> Position:
        if floor.spot or floor not in account.positions:
            raise Refusal(RefusalKind.BAD_PARAM, f"{account.name} holds no positions on {floor}")
        return account.positions[floor]

    def set_hedge_mode(self, account: Account, on: bool, now_ns: int) -> None:
        """Two positions a floor, or one.  While it is on, orders on derivatives are refused.

        Raises Refusal: POSITION_MODE with open orders or positions, NOT_CHANGED.
        """
        self.advance(now_ns)
        self._mode_change(account, account.hedge_mode == on)
        account.hedge_mode = on
        self._say(AccountEvent(account, "config", (), (), self.now_ns))

    def set_multi_assets(self, account: Account, on: bool, now_ns: int) -> None:
        """Note whether several assets may serve as margin; the settle asset alone does.

        Raises Refusal: POSITION_MODE with open orders or positions, NOT_CHANGED.
        """
        self.advance(now_ns)
        self._mode_change(account, account.multi_assets == on)
        account.multi_assets = on
        self._say(AccountEvent(account, "config", (), (), self.now_ns))

    def _mode_change(self, account: Account, same: bool) -> None:
        if same:
            raise Refusal(RefusalKind.NOT_CHANGED, "that is so already")
        for floor, position in account.positions.items():
            if not floor.spot and (position.qty or account.orders(floor)):
                raise Refusal(RefusalKind.POSITION_MODE, "there are open orders or positions")

    def countdown(
        self, account: Account, floor: Floor | None, at_ns: int | None, now_ns: int
    ) -> None:
        """A dead man's switch: cancel all at ``at_ns`` (Ending.COUNTDOWN), on a floor or on all.

        A later call for the same floor replaces it; None takes it away.
        """
        self.advance(now_ns)
        if at_ns is None:
            self._countdowns.pop((account, floor), None)
        else:
            self._countdowns[account, floor] = at_ns

    def transfer(self, account: Account, wallet: str, asset: str, quanta: int, now_ns: int) -> None:
        """Bring money in from outside, negative: take it out.

        Raises Refusal: BALANCE where more would leave than is available, BAD_PARAM.
        """
        self.advance(now_ns)
        if wallet not in account.wallets:
            raise Refusal(RefusalKind.BAD_PARAM, f"{account.name} has no wallet {wallet}")
        held = account.wallets[wallet]
        if -quanta > min(held.free(asset), held.available(asset)):
            raise Refusal(RefusalKind.BALANCE, f"not so much {asset} is available")
        held.add(asset, quanta)
        self._say(AccountEvent(account, "transfer", (asset,), (), self.now_ns))

    # -- time

    def advance(self, now_ns: int) -> None:
        """Bring everything up to a time: market rows, funding, countdowns, liquidations.

        A time that has passed already changes nothing.
        """
        while (due := self._due()) <= now_ns:
            self._hear(due)
            self._fire(due, now_ns)
        self._hear(now_ns)
        if now_ns >= self._mark_ns:
            self._mark_ns = now_ns - now_ns % MARK_EVERY_NS + MARK_EVERY_NS
            for floor in self.floors:
                self._say(MarkEvent(floor, self.now_ns))
        self._watch()

    def _due(self) -> int:
        stamps = [each.next_funding_ns for each in self.floors if each.funding_interval_ns]
        return min([*stamps, *self._countdowns.values()], default=NEVER)

    def _hear(self, ts_ns: int) -> None:
        heard = [feed.until(ts_ns) for feed in self.feeds]
        messages = heard[0] if len(heard) == 1 else merge(*heard, key=itemgetter(0))
        for at_ns, floor, rows in messages:
            self.now_ns = max(self.now_ns, at_ns)
            happened = floor.hear(rows, self.now_ns)
            if happened:
                self._settle(happened)
        self.now_ns = max(self.now_ns, ts_ns)

    def _fire(self, due: int, until: int) -> None:
        for key in [each for each, at_ns in self._countdowns.items() if at_ns <= due]:
            del self._countdowns[key]
            account, floor = key
            for order in account.orders(floor):
                self._remove(order, Ending.COUNTDOWN)
        for floor in self.floors:
            if floor.funding_interval_ns and floor.next_funding_ns <= due:
                self._fund(floor, until)

    def _fund(self, floor: Floor, until: int) -> None:
        paid = False
        for account in self.accounts:
            position = account.positions.get(floor)
            if position is None or not position.qty:
                continue
            quanta = clearing.funding(position)
            self._last_payment_id += 1
            account.payments.append(
                Payment(
                    id=self._last_payment_id,
                    floor=floor,
                    ts_ns=floor.next_funding_ns,
                    quanta=quanta,
                    qty=position.qty,
                    rate=floor.funding_rate,
                    mark=floor.mark,
                )
            )
            self._tell_account(account, "funding", floor)
            paid = True
        # Nobody to pay: stamps long past are passed over at once.
        from_ns = floor.next_funding_ns if paid else max(floor.next_funding_ns, until)
        passed = from_ns // floor.funding_interval_ns
        floor.next_funding_ns = (passed + 1) * floor.funding_interval_ns

    # -- liquidation

    def _watch(self) -> None:
        for account in self.accounts:
            for wallet in account.wallets.values():
                held = [each for each in positions(account, wallet) if each.qty]
                if held:
                    figures = wallet.margin()
                    if figures.equity < figures.maintenance:
                        self._liquidate(account, wallet, held)

    def _liquidate(self, account: Account, wallet: Wallet, held: Sequence[Position]) -> None:
        # Orders first, then every position against the book; what nobody takes is tried again.
        for floor in account.positions:
            if not floor.spot and account.wallet(floor) is wallet:
                for order in account.orders(floor):
                    self._remove(order, Ending.LIQUIDATION)
        for position in held:
            side = -1 if position.qty > 0 else 1
            best = position.floor.best(-side)
            if best is not None and (best[0] - position.floor.band(side)) * side <= 0:
                self._close(account, position, side)
        asset = account.settle(wallet.name)
        balance = wallet.balances.get(asset, 0)
        if balance < 0 and not any(each.qty for each in held):
            wallet.add(asset, -balance)
            self.insurance[asset] = self.insurance.get(asset, 0) - balance
            self._say(AccountEvent(account, "liquidation", (asset,), (), self.now_ns))

    def _close(self, account: Account, position: Position, side: int) -> None:
        self._last_order_id += 1
        order = Order(
            id=self._last_order_id,
            account=account,
            floor=position.floor,
            client_id=f"autoclose-{self._last_order_id}",
            side=side,
            tick=0,
            qty=abs(position.qty),
            tif=TimeInForce.IOC,
            market=True,
            reduce_only=True,
            created_ns=self.now_ns,
            updated_ns=self.now_ns,
            extra={"liquidation": True},
        )
        happened = position.floor.place(order, self.now_ns)
        clearing.enter(order)
        self._tell(order, "new")
        self._settle(happened)
        self._tell_account(account, "liquidation", position.floor)


__all__ = ["CLIENT_IDS", "LEVERAGE_MAX", "Exchange", "Unique"]
