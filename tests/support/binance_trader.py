"""A trader of a few lines for the Binance tests: the engine's side of a gateway, checked.

It sends REQUEST rows and keeps from the answers what an engine keeps: one state per order, and a
ledger per instrument.  Whatever an engine could not live with (two acknowledgements, a fill twice,
news after the end) fails the test at once.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from random import Random

import numpy as np

from mmcore import Book
from mmcore._ledger import Ledger
from mmcore.box.server import Box
from mmcore.events import (
    ASK,
    BID,
    REQUEST,
    Flag,
    Kind,
    PaidCode,
    RejectCode,
    RequestKind,
    Status,
    TimeInForce,
    rows_of,
)
from mmcore.gateway import ClientIds, Keys, Setup
from mmcore.venue import decoder

PREFIX = "0123456789ab"
_epochs = count(1)


@dataclass
class Order:
    """One order as the engine would know it.  state: new, live, amend, cancel, unknown, over."""

    instrument: int
    slot: int
    generation: int
    side: int
    tick: int
    qty: int
    state: str = "new"
    done: int = 0
    acked: bool = False
    why: Kind | None = None
    code: int = 0
    said: list[str] = field(default_factory=list)


class Trader:
    """A sink and the requests of one gateway; ``orders`` by (slot, generation)."""

    def __init__(self, gateway, instruments) -> None:
        self.gateway = gateway
        self.items = instruments
        self.ledgers = [Ledger(item.spec()) for item in instruments]
        self.books = [Book(item.spec()) for item in instruments]
        self.down = [True] * len(instruments)
        self.orders: dict[tuple[int, int], Order] = {}
        self.trades: set[tuple[int, int, int]] = set()
        self.notices: list[str] = []
        self.fatal_errors: list[Exception] = []
        self.raws: dict[str, int] = {}
        self.problems: list[str] = []
        self.n_links_down = 0
        self.orphans = 0
        self._slots = count()
        self._news = asyncio.Event()

    # --- sink -------------------------------------------------------------------------------------

    def rows(self, rows: np.ndarray) -> None:
        i = 0
        while i < len(rows):
            head = rows[i]
            kind = int(head["kind"])
            n = 1
            if kind == Kind.DEPTH:
                n += rows_of(int(head["n_bids"]) + int(head["n_asks"]))
            number = int(head["instrument"])
            if Kind.ACK <= kind <= Kind.CANCELLED:
                self._answer(head)
            elif kind == Kind.PAID:
                self._paid(head)
            else:
                if kind == Kind.LINK_DOWN:
                    self.down[number] = True
                    self.n_links_down += 1
                elif kind == Kind.DEPTH and head["flags"] & Flag.SNAPSHOT:
                    self.down[number] = False
                book = self.books[number]
                book.bind(rows[i : i + n].copy())
                book.run()
                book.release()
            i += n
        self._news.set()

    def raw(self, channel: str, frame: bytes, ts_local_ns: int) -> None:
        assert isinstance(frame, bytes)
        self.raws[channel] = self.raws.get(channel, 0) + 1

    def notice(self, level: str, text: str) -> None:
        self.notices.append(f"{level}: {text}")

    def fatal(self, error: Exception) -> None:
        self.fatal_errors.append(error)
        self._news.set()

    def _paid(self, head) -> None:
        ledger = self.ledgers[int(head["instrument"])]
        if head["code"] == PaidCode.COIN_FEE:
            ledger.coin_fee(int(head["tick"]), int(head["qty"]))
        else:
            ledger.receive(int(head["aux"]))

    def _answer(self, head) -> None:
        kind = Kind(int(head["kind"]))
        order = self.orders.get((int(head["slot"]), int(head["generation"])))
        number, side = int(head["instrument"]), int(head["side"])
        if kind == Kind.FILL:
            key = (number, side, int(head["seq"]))
            if key in self.trades:
                self.problems.append(f"fill told twice: {key}")
            self.trades.add(key)
            self.ledgers[number].fill(
                side, int(head["tick"]), int(head["qty"]), fee=int(head["aux"]),
                maker=bool(head["flags"] & Flag.MAKER),
            )  # fmt: skip
        if order is None:
            if kind != Kind.FILL:
                self.problems.append(f"{kind.name} of an order nobody sent")
            self.orphans += 1
            return
        said = f"{kind.name} {int(head['qty'])} {RejectCode(int(head['code'])).name}"
        order.said.append(said)
        if order.state == "over" and kind != Kind.FILL:
            self.problems.append(f"after the end: {order}")
        self._move(order, kind, head)

    def _move(self, order: Order, kind: Kind, head) -> None:
        if kind == Kind.ACK:
            if order.acked:
                self.problems.append(f"acknowledged twice: {order}")
            order.acked = True
            if order.state == "new":
                order.state = "live"
        elif kind == Kind.AMENDED:
            order.tick, order.qty, order.state = int(head["tick"]), int(head["qty"]), "live"
        elif kind == Kind.FILL:
            if order.state == "over":
                self.problems.append(f"a fill after the end: {order}")
            order.done += int(head["qty"])
            order.qty -= int(head["qty"])
            if order.qty < 0 and order.state != "amend":
                self.problems.append(f"more filled than asked for: {order}")
            amending = order.state == "amend"
            if head["flags"] & Flag.LAST or (order.qty <= 0 and not amending):
                order.state, order.why = "over", kind
        elif kind in {Kind.CANCELLED, Kind.EXPIRED}:
            order.state, order.why, order.code = "over", kind, int(head["code"])
        else:
            order.code = int(head["code"])
            if order.state == "new" or order.qty <= 0:
                order.state, order.why = "over", kind
            else:
                order.state = "live"

    # --- requests ---------------------------------------------------------------------------------

    def place(self, side, tick, qty, *, number=0, tif=TimeInForce.GTX, reduce=False) -> Order:
        (order,) = self.place_all([(side, tick, qty)], number=number, tif=tif, reduce=reduce)
        return order

    def place_all(self, wanted, *, number=0, tif=TimeInForce.GTX, reduce=False) -> list[Order]:
        orders = []
        for side, tick, qty in wanted:
            order = Order(number, next(self._slots) % 160, next(self._slots), side, tick, qty)
            self.orders[order.slot, order.generation] = order
            orders.append(order)
        self.send(RequestKind.PLACE, orders, tif=tif, reduce_only=reduce)
        return orders

    def amend(self, order: Order, tick: int, qty: int) -> None:
        self.amend_all([(order, tick, qty)])

    def amend_all(self, wanted) -> None:
        rows = []
        for order, tick, qty in wanted:
            order.state = "amend"
            rows.append((order, {"tick": tick, "qty": qty}))
        self.send(RequestKind.AMEND, [o for o, _ in rows], each=[r for _, r in rows])

    def cancel(self, *orders: Order) -> None:
        for order in orders:
            order.state = "cancel"
        self.send(RequestKind.CANCEL, list(orders))

    def send(self, kind, orders, *, tif=TimeInForce.GTX, reduce_only=False, each=None) -> None:
        rows = np.zeros(len(orders), REQUEST)
        for i, order in enumerate(orders):
            row = {
                "kind": kind, "side": order.side, "instrument": order.instrument,
                "slot": order.slot, "generation": order.generation, "tick": order.tick,
                "qty": order.qty, "done": order.done, "tif": tif, "reduce_only": reduce_only,
                "batch": 1, "ts_ns": time.time_ns(),
            }  # fmt: skip
            for name, value in (row | (each[i] if each else {})).items():
                rows[i][name] = value
        self.gateway.send(rows)

    # --- looking on -------------------------------------------------------------------------------

    def best(self, side: int, number: int = 0) -> int:
        levels = self.books[number].levels(side, 1)
        return int(levels["tick"][0])

    def usable(self, number: int = 0) -> bool:
        """Whether an engine would quote on this book."""
        return not self.down[number] and self.books[number].health == Status.OK

    def open(self) -> list[Order]:
        return [order for order in self.orders.values() if order.state != "over"]

    async def until(self, condition, timeout_s: float = 15.0):
        """Wait for a condition, looked at whenever something came."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not (found := condition()):
            left = deadline - asyncio.get_running_loop().time()
            assert left > 0, f"not within {timeout_s} s: {self.open()} {self.notices[-5:]}"
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), min(left, 0.05))
            except TimeoutError:
                continue
        return found

    async def over(self, *orders: Order, timeout_s: float = 15.0) -> None:
        await self.until(lambda: all(o.state == "over" for o in orders), timeout_s)

    async def live(self, *orders: Order, timeout_s: float = 15.0) -> None:
        await self.until(lambda: all(o.state == "live" for o in orders), timeout_s)

    def size(self, number: int = 0, times: int = 1) -> int:
        """Units that pass the notional filter with room."""
        item = self.items[number]
        notional = float(item.min_notional) * 3 * times
        lots = int(notional / (item.price(self.best(BID, number)) * item.quantity(item.lot_qty)))
        return max(lots + 1, 1) * item.lot_qty

    async def churn(self, rng: Random, seconds: float) -> int:
        """Trade at random for so long; how many requests were made."""
        end, n = asyncio.get_running_loop().time() + seconds, 0
        while asyncio.get_running_loop().time() < end:
            number = rng.randrange(len(self.items))
            if self.usable(number):
                n += self._one_step(rng, number)
            await asyncio.sleep(rng.uniform(0.0, 0.06))
        return n

    def _one_step(self, rng: Random, number: int) -> int:
        live = [o for o in self.open() if o.state == "live" and o.instrument == number]
        side = rng.choice([BID, ASK])
        best, choice = self.best(side, number), rng.random()
        if len(live) > 12 or (live and choice < 0.3):
            some = rng.sample(live, min(len(live), rng.randint(1, 4)))
            self.cancel(*some)
            return len(some)
        if live and choice < 0.6 and self.items[number].venue == "binance-usdm":
            some = rng.sample(live, min(len(live), rng.randint(1, 3)))
            self.amend_all(
                [(o, self.best(o.side, number) - o.side * rng.randint(-1, 8), self.size(number))
                 for o in some]
            )  # fmt: skip
            return len(some)
        if choice < 0.7:
            self.place(side, self.best(-side, number) + side * 5, self.size(number), number=number,
                       tif=TimeInForce.IOC)  # fmt: skip
            return 1
        wanted = [
            (side, best - side * rng.randint(-1, 6), self.size(number, rng.randint(1, 2)))
            for _ in range(rng.randint(1, 6))
        ]
        self.place_all(wanted, number=number)
        return len(wanted)


def setup_of(box: Box, venue: str, *, account: int = 0, symbols=("BTCUSDT", "ETHUSDT"), **changes):
    """A set-up for one of the box's accounts."""
    credentials = box.exchange.accounts_of("binance")[account].credentials
    fields = {
        "venue": venue, "symbols": tuple(symbols), "numbers": tuple(range(len(symbols))),
        "environment": "loopback", "base": f"127.0.0.1:{box.port}",
        "keys": Keys(credentials.key, credentials.secret),
        "ids": ClientIds(PREFIX, next(_epochs)), "clock": time.time_ns, "seed": 1,
    }  # fmt: skip
    return Setup(**(fields | changes))


@asynccontextmanager
async def trading(box: Box, venue: str, **changes):
    """A trader on one of the box's accounts, started, and closed at the end."""
    gateway = decoder(venue).gateway(setup_of(box, venue, **changes))
    try:
        prepared = await gateway.prepare()
        trader = Trader(gateway, prepared.instruments)
        trader.prepared = prepared
        await gateway.start(trader)
        yield trader
        assert trader.problems == []
        assert trader.fatal_errors == []
    finally:
        await gateway.close()


async def settle(
    box: Box, trader: Trader, account: int = 0, timeout_s: float = 8.0, *, ordered: bool = True
) -> None:
    """Cancel everything, then compare with the exchange to the last unit.

    ordered: no news of a fill was lost on a connection that stayed.
    """
    await trader.gateway.cancel_all()
    theirs = box.exchange.accounts_of("binance")[account]
    venue = trader.items[0].venue
    await trader.until(lambda: not trader.open(), timeout_s)
    floors = [box.exchange.floor(venue, item.symbol) for item in trader.items]
    assert [order for floor in floors for order in theirs.orders(floor)] == []
    await trader.until(lambda: _equal(trader, theirs, floors), timeout_s)
    state = await trader.gateway.account()
    for number, (ledger, floor) in enumerate(zip(trader.ledgers, floors, strict=True)):
        start = trader.prepared.account.positions[number]
        assert state.positions[number] == start + ledger.position
        if not floor.spot:
            assert theirs.position(floor).qty == start + ledger.position
            # Which fill closed which is a matter of their order; what was paid is not.
            position = theirs.position(floor)
            assert position.realised - position.cost == ledger.cash
            assert not ordered or position.cost == ledger.cost
    quote = floors[0].instrument.quote
    change = state.balances[quote].total - trader.prepared.account.balances[quote].total
    assert not ordered or change == sum(money(trader, number) for number in range(len(floors)))


def _equal(trader: Trader, theirs, floors) -> bool:
    fills = sum(fill.order.floor in floors for fill in theirs.fills)
    return fills == len(trader.trades)


def money(trader: Trader, number: int) -> int:
    """Quanta of quote currency that this run gained or lost on one instrument."""
    ledger = trader.ledgers[number]
    if trader.items[number].venue == "binance-spot":
        return ledger.cash - ledger.fees
    return ledger.realised - ledger.fees + ledger.funding


__all__ = ["PREFIX", "Order", "Trader", "settle", "setup_of", "trading"]
