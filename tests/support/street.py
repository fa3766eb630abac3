"""A small exchange with a market that a test writes itself, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcore.box.accounts import WALLETS, Account, Credentials
from mmcore.box.exchange import Exchange
from mmcore.box.floor import Floor
from mmcore.box.orders import Event, NewOrder, Order, OrderEvent, TradeEvent
from mmcore.events import EVENT, LEVEL, Flag, Kind, TimeInForce, rows_of
from mmcore.instrument import Instrument, known

GTX, GTC, IOC, FOK = TimeInForce.GTX, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
ONE = 10**8  # quanta
SECOND = 10**9
MIDDLE = 600_000  # every tick that a test writes or reads counts from here: 60,000.0 USDT
START = 1_767_225_600 * SECOND
ASSETS = {"usdm": ("USDT",), "spot": ("USDT", "BTC"), "unified": ("USDT", "BTC"), "perp": ("USDC",)}

Levels = list[tuple[int, int]]
Rows = NDArray[np.void]


class Script:
    """A feed that says what it was told, when it was told."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, Floor, Rows]] = []

    def until(self, ts_ns: int) -> Iterator[tuple[int, Floor, Rows]]:
        while self.messages and self.messages[0][0] <= ts_ns:
            yield self.messages.pop(0)


class Street:
    """One floor, some accounts, and what happens on it; ``floor`` and ``accounts`` are the box's.

    Ticks count from MIDDLE.  The market stands at ``bids`` and ``asks`` when it opens.  money,
    coins: of every account.
    """

    def __init__(
        self,
        venue: str = "binance-usdm",
        symbol: str = "BTCUSDT",
        *,
        item: Instrument | None = None,
        bids: Levels | None = None,
        asks: Levels | None = None,
        n_accounts: int = 3,
        money: int = 1_000_000,
        coins: int = 100,
        **options: Any,
    ) -> None:
        self.floor = Floor(item or known(venue, symbol), 0, **options)
        venue = self.floor.venue
        wallet = WALLETS[venue]
        held = {asset: (coins if asset == "BTC" else money) * ONE for asset in ASSETS[wallet]}
        self.accounts = [
            Account(
                f"account-{n}",
                venue.partition("-")[0],
                [self.floor],
                {wallet: held},
                Credentials(),
            )
            for n in range(n_accounts)
        ]
        self.script = Script()
        self.now = START
        self.exchange = Exchange([self.floor], self.accounts, start_ns=START)
        self.exchange.listen(self.script)  # type: ignore[arg-type]
        self.events: list[Event] = []
        self.exchange.listeners.append(self.events.append)
        self.depth(
            [(-1, 1000), (-2, 800)] if bids is None else bids,
            [(1, 1000), (2, 800)] if asks is None else asks,
            snapshot=True,
        )

    # -- the market

    def depth(self, bids: Levels, asks: Levels, *, snapshot: bool = False, flags: int = 0) -> None:
        n = len(bids) + len(asks)
        rows = np.zeros(1 + rows_of(n), EVENT)
        rows[0]["kind"] = Kind.DEPTH
        rows[0]["flags"] = flags | (Flag.SNAPSHOT if snapshot else 0)
        rows[0]["n_bids"], rows[0]["n_asks"] = len(bids), len(asks)
        levels = [(MIDDLE + tick, qty) for tick, qty in (*bids, *asks)]
        rows[1:].view(LEVEL)[:n] = np.array(levels, LEVEL)
        self._say(rows)

    def prints(self, side: int, tick: int, qty: int) -> None:
        """The market trades with itself: the aggressor's side."""
        rows = np.zeros(1, EVENT)
        rows[0]["kind"], rows[0]["side"] = Kind.TRADE, side
        rows[0]["tick"], rows[0]["qty"] = MIDDLE + tick, qty
        self._say(rows)

    def clear(self, side: int = 0) -> None:
        rows = np.zeros(1, EVENT)
        rows[0]["kind"], rows[0]["side"] = Kind.CLEAR, side
        self._say(rows)

    def _say(self, rows: Rows) -> None:
        self.script.messages.append((self.now, self.floor, rows))
        self.pass_time()

    def pass_time(self, ns: int = 1_000_000) -> None:
        self.now += ns
        self.exchange.advance(self.now)

    # -- orders

    def place(self, n: int, side: int, tick: int, qty: int, **options: Any) -> Order:
        self.now += 1000
        new = NewOrder(floor=self.floor, side=side, tick=MIDDLE + tick, qty=qty, **options)
        return self.exchange.place(self.accounts[n], new, self.now)

    def buy(self, n: int, tick: int, qty: int, **options: Any) -> Order:
        return self.place(n, 1, tick, qty, **options)

    def sell(self, n: int, tick: int, qty: int, **options: Any) -> Order:
        return self.place(n, -1, tick, qty, **options)

    def market(self, n: int, side: int, qty: int, **options: Any) -> Order:
        return self.place(n, side, 0, qty, market=True, tif=IOC, **options)

    def amend(self, order: Order, *, tick: int | None = None, qty: int | None = None) -> Order:
        self.now += 1000
        if tick is not None:
            tick += MIDDLE
        return self.exchange.amend(order.account, order, tick=tick, qty=qty, now_ns=self.now)

    def cancel(self, order: Order) -> Order:
        self.now += 1000
        return self.exchange.cancel(order.account, order, self.now)

    # -- what there is to see

    def book(self, n: int = 10) -> tuple[Levels, Levels]:
        bids, asks = self.floor.top(1, n), self.floor.top(-1, n)
        return [(t - MIDDLE, q) for t, q in bids], [(t - MIDDLE, q) for t, q in asks]

    def fills(self, order: Order) -> Levels:
        return [(fill.tick - MIDDLE, fill.qty) for fill in order.fills]

    def tape(self) -> list[tuple[int, int, int, int, int]]:
        """Public prints: tick, quantity, aggressor, order ids of buyer and seller."""
        return [
            (each.tick - MIDDLE, each.qty, each.side, each.buy_order_id, each.sell_order_id)
            for each in (event.trade for event in self.events if isinstance(event, TradeEvent))
        ]

    def words(self, order: Order) -> list[str]:
        """What was told of an order."""
        return [
            event.what
            for event in self.events
            if isinstance(event, OrderEvent) and event.order is order
        ]

    def balance(self, n: int, asset: str) -> int:
        (wallet,) = self.accounts[n].wallets.values()
        return wallet.balances[asset]

    def position(self, n: int) -> int:
        return self.accounts[n].positions[self.floor].qty
