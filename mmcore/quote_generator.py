"""The first document's `QuoteGenerator`: one grid on one symbol, against a client in memory.

The trading session runs on the compiled engine, not on this class.  This one has the document's
names and shape, for notebooks and for comparing by hand: the quotes come from the same compiled
pipeline, the bookkeeping around them is plain Python, and time is the book's own clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ._quoter import Quoter
from ._quotes import GridStrategy
from ._rate import RateLimiter
from .events import Status
from .instrument import Instrument
from .strategy import BatchOrder, LiveOrder

ORDERS_PER_BATCH = 10
STALE_NS = 180 * 1_000_000_000


class Execution(NamedTuple):
    """A fill of one of our orders; side +1 bought, -1 sold; fee in quote currency."""

    execution_id: str
    order_id: str
    symbol: str
    side: int
    quantity: float
    price: float
    fee: float = 0.0


class Placed(NamedTuple):
    """The venue's answer to one order of a batch: the live order, or why there is none."""

    order: LiveOrder | None
    reason: str = ""


class OrderBook(Protocol):
    """What a generator reads of a book; :class:`mmcore._book.Book` has it."""

    @property
    def best_bid(self) -> float: ...
    @property
    def best_ask(self) -> float: ...
    @property
    def health(self) -> int: ...
    @property
    def ts_local_ns(self) -> int: ...


class OrderManagement(Protocol):
    """What a generator asks of an exchange client."""

    def instrument(self, symbol: str) -> Instrument:
        """The filters of a symbol; LookupError for one the client does not know."""

    def batch_place(self, orders: Sequence[BatchOrder]) -> list[Placed]:
        """Sends post-only limit orders; one answer for each, in order."""

    def batch_cancel(self, symbol: str, order_ids: Sequence[str]) -> None:
        """Asks for cancels; what became of them is seen in :meth:`open_orders`."""

    def open_orders(self, symbol: str) -> list[LiveOrder]:
        """What is live at the venue now."""


def side_of(text: str | int) -> int:
    """A venue's word for a side: "Buy", "BUY", "B", 1 -> +1; "Sell", "SELL", "A", -1 -> -1.

    Raises ValueError for anything else: a side that is guessed books a buy as a sell.
    """
    word = str(text).strip().lower()
    if word in ("buy", "b", "bid", "1", "+1"):
        return 1
    if word in ("sell", "s", "a", "ask", "-1"):
        return -1
    raise ValueError(f"side {text!r}: expected buy or sell")


class SimulatedClient:
    """An exchange in memory, for examples and tests: post-only orders, fills by hand.

    instruments: by symbol.  maker_fee: fraction of the notional.  refuse: called with every order,
    a text refuses it.  Cancels of unknown orders have no effect.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        *,
        maker_fee: float = 0.0,
        refuse: Callable[[BatchOrder], str] | None = None,
    ) -> None:
        self.instruments = dict(instruments)
        self.maker_fee = maker_fee
        self.refuse = refuse
        self.executions: list[Execution] = []
        self.calls: list[str] = []
        self._touch: dict[str, tuple[float, float]] = {}
        self._open: dict[str, tuple[BatchOrder, LiveOrder]] = {}
        self._count = 0

    def set_touch(self, symbol: str, bid: float, ask: float) -> None:
        """The market's best prices, against which post-only is judged."""
        self._touch[symbol] = (bid, ask)

    def instrument(self, symbol: str) -> Instrument:
        """See :class:`OrderManagement`."""
        return self.instruments[symbol]

    def batch_place(self, orders: Sequence[BatchOrder]) -> list[Placed]:
        """See :class:`OrderManagement`."""
        self.calls.append("place")
        return [self._place(order) for order in orders]

    def batch_cancel(self, symbol: str, order_ids: Sequence[str]) -> None:
        """See :class:`OrderManagement`."""
        self.calls.append("cancel")
        for order_id in order_ids:
            if order_id in self._open and self._open[order_id][0].symbol == symbol:
                del self._open[order_id]

    def open_orders(self, symbol: str) -> list[LiveOrder]:
        """See :class:`OrderManagement`."""
        return sorted(live for order, live in self._open.values() if order.symbol == symbol)

    def trade(self, symbol: str, side: int, price: float, quantity: float) -> None:
        """A print: the aggressor's side, price, quantity; fills our orders at it or better.

        Our orders fill best price first, oldest first, at their own price.
        """
        resting = [
            (order, live)
            for order, live in self._open.values()
            if order.symbol == symbol and order.side == -side and (order.price - price) * side <= 0
        ]
        resting.sort(key=lambda pair: pair[0].price * side)
        for order, live in resting:
            quantity -= self._fill(order, live, quantity)
            if quantity <= 0.0:
                return

    def _place(self, order: BatchOrder) -> Placed:
        bid, ask = self._touch[order.symbol]
        crossing = order.price >= ask if order.side > 0 else order.price <= bid
        reason = "would take" if crossing else ""
        if not reason and self.refuse is not None:
            reason = self.refuse(order)
        if reason:
            return Placed(None, reason)
        self._count += 1
        live = LiveOrder(order.price, order.quantity, str(self._count))
        self._open[live.order_id] = (order, live)
        return Placed(LiveOrder(order.price, order.quantity, live.order_id))

    def _fill(self, order: BatchOrder, live: LiveOrder, quantity: float) -> float:
        instrument = self.instruments[order.symbol]
        left = instrument.quantity(
            round((live.quantity - live.filled_qty) * instrument.qty_per_one)
        )
        done = min(left, quantity)
        live.filled_qty += done
        if done == left:
            del self._open[live.order_id]
        fee = done * order.price * self.maker_fee
        self._count += 1
        self.executions.append(
            Execution(
                str(self._count), live.order_id, order.symbol, order.side, done, order.price, fee
            )
        )
        return done


@dataclass(slots=True)
class _Change:
    """From what is live to what is wanted: orders to cancel and orders to place."""

    surplus: list[LiveOrder] = field(default_factory=list)
    missing: list[BatchOrder] = field(default_factory=list)

    def calls(self) -> int:
        """Batches it takes."""
        return sum(math.ceil(len(part) / ORDERS_PER_BATCH) for part in (self.surplus, self.missing))


class QuoteGenerator:
    """A grid of post-only orders around the market; the document's constructor arguments.

    client: the exchange.  asset: quote currency given to the symbol.  leverage.  orders_per_side.
    final_order_distance: spreads.  rate_limit: batches in any second, at least 2;
    a fifth, one at least, is kept for cancels.
    options: any other argument of :class:`GridStrategy`.

    live_buys_orders and live_sells_orders are best first.  cash: quote currency received less paid
    and less fees, so equity is cash + position * mid.  One symbol a generator.
    """

    def __init__(
        self,
        client: OrderManagement,
        asset: float,
        leverage: float,
        orders_per_side: int,
        final_order_distance: float,
        rate_limit: int,
        **options: object,
    ) -> None:
        self.client = client
        self.strategy = GridStrategy(
            asset=asset,
            leverage=leverage,
            orders_per_side=orders_per_side,
            final_order_distance=final_order_distance,
            **options,  # type: ignore[arg-type]
        )
        self.max_position_usd = self.strategy.max_position_usd
        self.total_order = orders_per_side
        self.final_order_distance = final_order_distance
        self.initial_limit = rate_limit
        # A limit of two is one cancel and one batch: with a reserve nothing could be replaced.
        self.rate = RateLimiter(rate_limit, reserve=max(rate_limit // 5, 1) * (rate_limit > 2))
        self.live_buys_orders: list[LiveOrder] = []
        self.live_sells_orders: list[LiveOrder] = []
        self.refused: list[tuple[BatchOrder, str]] = []
        self.cash = 0.0
        self.inventory_delta = 0.0
        self.bounds_spread = 0.0
        self.last_update_price = 0.0
        self.last_update_ns = 0
        self._position_qty = 0
        self._now_ns = 0
        self._seen: set[str] = set()
        self._quoter: Quoter | None = None
        self._instrument: Instrument | None = None

    @property
    def position(self) -> float:
        """Base currency, signed."""
        return self._instrument.quantity(self._position_qty) if self._instrument else 0.0

    def adopt(self, symbol: str, position: float) -> None:
        """Starts from a position the account already has."""
        self._position_qty = self._of(symbol).to_qty(position)

    def generate_quotes(
        self, order_book: OrderBook, skew: float, symbol: str, volatility: float = 0.0
    ) -> list[BatchOrder]:
        """The wanted orders, inside out: bid 0, ask 0, bid 1, ask 1...; skew is the signal."""
        instrument, quoter = self._of(symbol), self._pipeline(symbol)
        quoter.quote(
            instrument.to_tick(order_book.best_bid),
            instrument.to_tick(order_book.best_ask),
            signal=skew,
            position_qty=self._position_qty,
            volatility=volatility,
        )
        bids = [(level, 1) for level in enumerate(quoter.bids)]
        asks = [(level, -1) for level in enumerate(quoter.asks)]
        levels = sorted(bids + asks, key=lambda item: (item[0][0], -item[1]))
        return [
            BatchOrder(instrument.quantity(qty), instrument.price(tick), symbol, side)
            for (_, (tick, qty)), side in levels
        ]

    def send_batch_orders(self, orders: Sequence[BatchOrder]) -> list[BatchOrder]:
        """Sends in batches of ten while the rate limit allows; returns what was not sent.

        Each order has its own answer: accepted ones become live, the others go to ``refused``.
        """
        for start in range(0, len(orders), ORDERS_PER_BATCH):
            batch = orders[start : start + ORDERS_PER_BATCH]
            if not self.rate.take(self._now_ns):
                return list(orders[start:])
            for order, answer in zip(batch, self.client.batch_place(batch), strict=True):
                if answer.order is None:
                    self.refused.append((order, answer.reason))
                else:
                    self._side(order.side).append(answer.order)
        self._sort()
        return []

    def check_for_fills(self, private_data: Iterable[Execution]) -> int:
        """Books executions, whatever part of an order they fill; returns how many were new.

        An execution is booked once, however often it is shown; one of an order that is not live
        (cancelled on its way, or of an earlier run) is booked, too.  Other symbols are ignored.
        """
        new = 0
        instrument = self._instrument
        for fill in private_data:
            if instrument is None or fill.symbol != instrument.symbol:
                continue
            if fill.execution_id in self._seen or fill.quantity <= 0.0:
                continue
            self._seen.add(fill.execution_id)
            self._position_qty += fill.side * instrument.to_qty(fill.quantity)
            self.cash -= fill.side * fill.quantity * fill.price + fill.fee
            self._fill_live(fill, instrument)
            new += 1
        return new

    def out_of_bounds(self, order_book: OrderBook) -> bool:
        """Whether the mid left the band around the last quotes, or nothing is live."""
        if self._instrument is None or not self._live():
            return True
        to_tick = self._instrument.to_tick
        self.bounds_spread = self._pipeline(self._instrument.symbol).bounds(
            to_tick(order_book.best_bid), to_tick(order_book.best_ask), self.last_update_price
        )
        mid = 0.5 * (order_book.best_bid + order_book.best_ask)
        return abs(mid - self.last_update_price) > self.bounds_spread

    def update_grid(
        self,
        private_data: Iterable[Execution],
        skew: float,
        order_book: OrderBook,
        symbol: str,
    ) -> bool:
        """One round: fills, bounds, and where needed the smallest change to a new grid.

        private_data: executions, new ones among them.  skew: the signal, [-1, 1].  Returns whether
        the grid was built anew.  A book that is not healthy pulls all quotes; a change that the
        rate limit cannot carry whole is not begun, so quotes are never cancelled for nothing.
        """
        instrument = self._of(symbol)
        self._now_ns = max(self._now_ns, order_book.ts_local_ns)
        filled = self.check_for_fills(private_data)
        if order_book.health != Status.OK:
            self._apply(_Change(surplus=self._live()), symbol)
            return False
        mid = 0.5 * (order_book.best_bid + order_book.best_ask)
        self.inventory_delta = instrument.quantity(self._position_qty) * mid / self.max_position_usd
        stale = self._now_ns - self.last_update_ns > STALE_NS
        if not (filled or stale or self.out_of_bounds(order_book)):
            return False
        change = self._change(self.generate_quotes(order_book, skew, symbol))
        if change.calls() > self.rate.free(self._now_ns):
            return False
        self._apply(change, symbol)
        self.last_update_price = mid
        self.last_update_ns = self._now_ns
        return True

    def _of(self, symbol: str) -> Instrument:
        if self._instrument is None:
            self._instrument = self.client.instrument(symbol)
        if self._instrument.symbol != symbol:
            raise ValueError(f"this generator quotes {self._instrument.symbol}, not {symbol}")
        return self._instrument

    def _pipeline(self, symbol: str) -> Quoter:
        if self._quoter is None:
            self._quoter = Quoter(self.strategy, self._of(symbol).spec())
        return self._quoter

    def _side(self, side: int) -> list[LiveOrder]:
        return self.live_buys_orders if side > 0 else self.live_sells_orders

    def _live(self) -> list[LiveOrder]:
        return self.live_buys_orders + self.live_sells_orders

    def _sort(self) -> None:
        self.live_buys_orders.sort(reverse=True)
        self.live_sells_orders.sort()

    def _fill_live(self, fill: Execution, instrument: Instrument) -> None:
        side = self._side(fill.side)
        for live in side:
            if live.order_id == fill.order_id:
                live.filled_qty += fill.quantity
                left = (live.quantity - live.filled_qty) * instrument.qty_per_one
                if round(left) <= 0:
                    side.remove(live)
                return

    def _change(self, wanted: Sequence[BatchOrder]) -> _Change:
        # Same price keeps its order, and its place in the queue, unless it is to shrink: an order
        # that is partly filled is not topped up.
        change = _Change(surplus=self._live())
        for order in wanted:
            for live in self._side(order.side):
                if live.price == order.price and live.quantity - live.filled_qty <= order.quantity:
                    change.surplus.remove(live)
                    break
            else:
                change.missing.append(order)
        return change

    def _apply(self, change: _Change, symbol: str) -> None:
        # Cancels first.  A side on which a cancelled order is still live gets no new ones: two
        # orders would stand where one is wanted.
        ids = [live.order_id for live in change.surplus]
        for start in range(0, len(ids), ORDERS_PER_BATCH):
            if not self.rate.take(self._now_ns, cancel=True):
                return
            self.client.batch_cancel(symbol, ids[start : start + ORDERS_PER_BATCH])
        if ids:
            still = {live.order_id for live in self.client.open_orders(symbol)}
            self.live_buys_orders = [o for o in self.live_buys_orders if o.order_id in still]
            self.live_sells_orders = [o for o in self.live_sells_orders if o.order_id in still]
        held = {side for side in (1, -1) if any(o in self._side(side) for o in change.surplus)}
        self.send_batch_orders([order for order in change.missing if order.side not in held])
