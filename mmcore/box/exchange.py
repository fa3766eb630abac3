"""The exchange in the box: floors, accounts, and what happens between them.

Synchronous and deterministic: time is passed in, and the same seed and the same calls give the same
events.  Every call first brings the market up to its ``now_ns``.  What a venue refuses at once is
raised as :class:`~mmcore.box.orders.Refusal`; everything else is told to the listeners, in the
order in which it happened, before the call returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mmcore.tape import Source

from .accounts import Account
from .floor import Floor
from .orders import Ending, Event, NewOrder, Order


class Exchange:
    """All floors and accounts of one box.

    floors: their index is ``Event.instrument`` of the feed's rows.  feed: market rows in order of
    time, whose times count from the first row, which is taken to happen at ``start_ns``; None for
    books that stand still.  listeners: called with every :class:`~mmcore.box.orders.Event`.
    """

    def __init__(
        self,
        floors: Sequence[Floor],
        accounts: Sequence[Account],
        *,
        feed: Source | None = None,
        start_ns: int = 0,
    ) -> None:
        self.floors = tuple(floors)
        self.accounts = tuple(accounts)
        self.feed = feed
        self.now_ns = start_ns
        self.listeners: list[Callable[[Event], None]] = []

    def floor(self, venue: str, symbol: str) -> Floor | None:
        """The floor of a venue ("binance-usdm") by symbol as the venue writes it, or None."""
        raise NotImplementedError

    def accounts_of(self, venue: str) -> list[Account]:
        """Accounts of "binance", "bybit" or "hyperliquid"."""
        return [each for each in self.accounts if each.venue == venue]

    # -- orders

    def place(self, account: Account, new: NewOrder, now_ns: int) -> Order:
        """Place an order; it has met what it could meet when this returns.

        The order may be over already: FILLED, or EXPIRED with NO_LIQUIDITY (IOC, FOK and market
        orders) or MARGIN.  Raises Refusal for what a venue refuses at once.  A post-only order that
        would take is one of them; the refusal then carries an order that is REJECTED with
        Ending.POST_ONLY and can be found, and listeners hear of it as "rejected": a dialect that
        answers later turns that round.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    def cancel(
        self, account: Account, order: Order, now_ns: int, ending: Ending = Ending.USER
    ) -> Order:
        """Cancel an open order.  Raises Refusal ALREADY_DONE where it filled or ended before."""
        raise NotImplementedError

    def cancel_all(self, account: Account, floor: Floor | None, now_ns: int) -> list[Order]:
        """Cancel the open orders of an account, on one floor or on all; those it cancelled."""
        raise NotImplementedError

    def find(
        self,
        account: Account,
        *,
        order_id: int | None = None,
        client_id: str | None = None,
        floor: Floor | None = None,
    ) -> Order | None:
        """An order of the account, open or recent, by id (which wins) or client id.

        Of several with the same client id the open one, else the latest.
        """
        raise NotImplementedError

    # -- settings

    def set_leverage(self, account: Account, floor: Floor, leverage: int, now_ns: int) -> None:
        """Raises Refusal: LEVERAGE out of 1 to 125, MARGIN where positions and orders would need
        more than there is, NOT_CHANGED."""
        raise NotImplementedError

    def set_margin_mode(self, account: Account, floor: Floor, mode: str, now_ns: int) -> None:
        """mode: "cross" or "isolated".  Raises Refusal: POSITION_MODE with open orders or a
        position on that floor, NOT_CHANGED, BAD_PARAM."""
        raise NotImplementedError

    def set_hedge_mode(self, account: Account, on: bool, now_ns: int) -> None:
        """Raises Refusal: POSITION_MODE with open orders or positions, NOT_CHANGED."""
        raise NotImplementedError

    def set_multi_assets(self, account: Account, on: bool, now_ns: int) -> None:
        """Raises Refusal: POSITION_MODE with open orders or positions, NOT_CHANGED."""
        raise NotImplementedError

    def countdown(
        self, account: Account, floor: Floor | None, at_ns: int | None, now_ns: int
    ) -> None:
        """A dead man's switch: cancel all at ``at_ns`` (Ending.COUNTDOWN), on a floor or on all.

        A later call for the same floor replaces it; None takes it away.
        """
        raise NotImplementedError

    def transfer(self, account: Account, wallet: str, asset: str, quanta: int, now_ns: int) -> None:
        """Bring money in from outside, negative: take it out.  Raises Refusal BALANCE."""
        raise NotImplementedError

    # -- time

    def advance(self, now_ns: int) -> None:
        """Bring everything up to a time: market rows, funding, countdowns, liquidations."""
        raise NotImplementedError
