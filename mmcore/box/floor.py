"""One instrument of the exchange in the box: the venue's book, what it shows of it, its prints.

Behind a floor stands the compiled simulated venue of paper trading (:mod:`mmcore._venue`) with the
rule ``MEET``: the market's book comes from event rows, the orders of all accounts rest in one
venue, and meet the market and each other by price and time.  The public book is the market's less
what accounts took (until the feed sets the level again) plus the accounts' orders, in whole lots.

Prices are ticks, quantities units, money quanta (1e-8).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmcore._venue import MEET, Venue
from mmcore.events import (
    LEVEL,
    REQUEST,
    ContractKind,
    Flag,
    Kind,
    RejectCode,
    RequestKind,
    TimeInForce,
)
from mmcore.gateway import Rows
from mmcore.instrument import FEE_PER_BPS, QUANTA_PER_ONE, Instrument

from .money import half_even, up
from .orders import Order, Trade

if TYPE_CHECKING:
    from .accounts import Account

Levels = list[tuple[int, int]]
Ticks = npt.NDArray[np.int64]

TRADES = 1_000  # public prints a floor remembers
UPDATES = 4_096  # and changes of its book,
LOG_TICKS = 400_000  # of so many levels all together
SLOTS = 2_048  # orders that can rest
OWNERS = 64  # accounts that can trade here
FUNDING_INTERVAL_NS = 8 * 3600 * 10**9
FUNDING_RATE = 100_000_000  # 1e-12: 0.01 % per interval
FEE_ONE = 10**8  # fee rates are 1e-8 of the notional
FAR_TICK = 1 << 59  # where a buyer has no limit
NO_TICKS: Ticks = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Changes:
    """What the public book became between two updates: absolute sizes, 0 removes.

    first_id: the first update in it, one above the subscriber's last; last_id: the last one.
    """

    first_id: int
    last_id: int
    bids: Levels
    asks: Levels
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Print:
    """A trade, and the orders in it: each with whether it was the maker."""

    floor: Floor
    trade: Trade
    parts: tuple[tuple[Order, bool], ...]


@dataclass(frozen=True, slots=True)
class Over:
    """An order that the matching ended: post-only, no liquidity, reduce-only, or self-trade."""

    order: Order
    code: RejectCode


Happening = Print | Over
Answer = tuple[int, ...]  # an EVENT row

GONE = frozenset({Kind.EXPIRED, Kind.CANCELLED})


class Crowded(Exception):
    """No more orders can rest on a floor."""


class Floor:
    """One instrument's trading floor; see the module's first lines.

    venue: as in ``mmcore.instrument``; symbol; index: its place in the exchange.  update_id: of the
    public book, rising by one with every change.  last_trade_id: of the last print.  ts_ns: of
    the last change.  trades: the latest prints, oldest first.  fee_rates: maker and taker, 1e-8 of
    the notional.  band_percent: how far beyond the mark a limit price may be, 0: no band.
    funding_rate: 1e-12 per interval; stamps are whole intervals since the epoch, none on spot.
    orders_max: open orders of one account.
    """

    def __init__(
        self,
        instrument: Instrument,
        index: int,
        *,
        funding_interval_ns: int = FUNDING_INTERVAL_NS,
        funding_rate: int = FUNDING_RATE,
        band_percent: int = 0,
        orders_max: int = 200,
    ) -> None:
        if instrument.kind == ContractKind.INVERSE:
            raise ValueError(f"{instrument}: inverse contracts are not traded in the box")
        if QUANTA_PER_ONE % instrument.qty_per_one:
            raise ValueError(f"{instrument}: a unit is finer than a quantum of its base asset")
        self.instrument = instrument
        self.index = index
        self.venue = instrument.venue
        self.symbol = instrument.symbol
        self.spot = instrument.kind == ContractKind.SPOT
        self.spec = instrument.spec(index)
        self.fee_rates = (
            round(instrument.maker_fee_bps * FEE_PER_BPS),
            round(instrument.taker_fee_bps * FEE_PER_BPS),
        )
        self.min_notional = round(Fraction(instrument.min_notional) * QUANTA_PER_ONE)
        self.min_qty = instrument.to_qty(instrument.min_qty)
        self.max_qty = instrument.to_qty(instrument.max_qty)
        self.orders_max = orders_max
        self.band_percent = band_percent
        self.funding_rate = 0 if self.spot else funding_rate
        self.funding_interval_ns = 0 if self.spot else funding_interval_ns
        self.next_funding_ns = 0
        self.update_id = 0
        self.last_trade_id = 0
        self.ts_ns = 0
        self.trades: deque[Trade] = deque(maxlen=TRADES)
        self._unit = Fraction(instrument.contract_size) * Fraction(
            QUANTA_PER_ONE, instrument.qty_per_one
        )
        half_tick = Fraction(instrument.tick) / 2
        self._half_price = half_tick * QUANTA_PER_ONE
        self._half_money = half_tick * self._unit  # quanta of one unit at half a tick
        self._mid2 = 0  # best bid and ask of the market together, ticks
        self._venue = Venue(self.spec, rules=MEET, n_slots=SLOTS, n_owners=OWNERS)
        self._orders: dict[int, Order] = {}  # by slot
        self._free = list(range(SLOTS))[::-1]
        self._owners: dict[Account, int] = {}  # numbers of accounts here
        self._request = np.zeros(1, REQUEST)
        self._log: deque[tuple[Ticks, Ticks]] = deque()
        self._log_ticks = 0
        self._bids: list[Ticks] = []  # touched by the message under way
        self._asks: list[Ticks] = []
        self._loading = False  # a snapshot, maybe of several messages, is under way
        self._overlap: tuple[Ticks, Ticks] = (NO_TICKS, NO_TICKS)  # by which the market is crossed

    def __repr__(self) -> str:
        return f"Floor({self.venue}:{self.symbol})"

    # -- the public book

    def top(self, side: int, n: int) -> Levels:
        """The first n levels of a side (+1 bids, -1 asks), best first: (tick, units)."""
        levels: Levels = self._venue.shown(side, n).tolist()
        return levels

    def best(self, side: int) -> tuple[int, int] | None:
        """The best level of a side, None where it is empty."""
        levels = self.top(side, 1)
        return levels[0] if levels else None

    def qty(self, side: int, tick: int) -> int:
        """Units shown at a price."""
        return int(self._venue.shown_at(side, [tick])[0])

    def changes(self, since_update_id: int) -> Changes | None:
        """Every level that changed after an update, as it is now: bids and asks best first.

        None where that update is too long ago: the subscriber needs a snapshot (:meth:`top` and
        ``update_id``).  No levels where nothing changed.
        """
        n = self.update_id - since_update_id
        if n > len(self._log):
            return None
        if n <= 0:
            return Changes(since_update_id + 1, self.update_id, [], [], self.ts_ns)
        wanted = list(islice(reversed(self._log), n))
        bids = self._now(1, [each[0] for each in wanted])
        asks = self._now(-1, [each[1] for each in wanted])
        return Changes(since_update_id + 1, self.update_id, bids[::-1], asks, self.ts_ns)

    def _now(self, side: int, ticks: list[Ticks]) -> Levels:
        touched = np.unique(np.concatenate(ticks))
        sizes = self._venue.shown_at(side, touched)
        return list(zip(touched.tolist(), sizes.tolist(), strict=True))

    def _publish(self, ts_ns: int) -> None:
        # One update of the public book: everything that the message or request under way touched.
        self.ts_ns = max(self.ts_ns, ts_ns)
        if self._bids or self._asks:
            bids = np.concatenate(self._bids) if self._bids else NO_TICKS
            asks = np.concatenate(self._asks) if self._asks else NO_TICKS
            self._log.append((bids, asks))
            self._log_ticks += len(bids) + len(asks)
            self.update_id += 1
            while len(self._log) > UPDATES or self._log_ticks > LOG_TICKS:
                old = self._log.popleft()
                self._log_ticks -= len(old[0]) + len(old[1])
        self._bids.clear()
        self._asks.clear()

    def _touch(self, side: int, tick: int) -> None:
        (self._bids if side > 0 else self._asks).append(np.array([tick], np.int64))

    # -- prices and money

    @property
    def mark(self) -> int:
        """Mark price, quanta of quote currency: the middle of the market's own best prices.

        Accounts' orders do not move it.  0 before there is a book with two sides.
        """
        return half_even(self._mid2 * self._half_price.numerator, self._half_price.denominator)

    @property
    def index_price(self) -> int:
        """Index price: the same as the mark, since there is one market."""
        return self.mark

    def quanta_per_qty(self, qty: int) -> Fraction:
        """Quanta that ``qty`` units are worth at a price of 1.0."""
        return self._unit * qty

    def average(self, quanta: int, qty: int) -> Decimal:
        """Price at which ``qty`` units are worth so much, quote currency; 0 for none of them."""
        if not qty:
            return Decimal(0)
        return Decimal(quanta) * self._unit.denominator / (self._unit.numerator * qty)

    def notional(self, tick: int, qty: int) -> int:
        """Money of so many units at a price, quanta, half-even as the house's ledger rounds."""
        return self.spec.notional(tick, qty)

    def cost(self, tick: int, qty: int) -> int:
        """The same rounded up: what an order may come to."""
        money = self._half_money
        return up(2 * tick * qty * money.numerator, money.denominator)

    def value(self, qty: int) -> int:
        """Money of so many units at the mark price, quanta, signed like ``qty``."""
        money = self._half_money
        return half_even(self._mid2 * qty * money.numerator, money.denominator)

    def fee(self, tick: int, qty: int, rate: int) -> int:
        """Fee of a fill at a rate (1e-8 of the notional), quanta, rounded once."""
        money = self._half_money
        return half_even(2 * tick * qty * rate * money.numerator, money.denominator * FEE_ONE)

    def coin_quanta(self, qty: int) -> int:
        """Quanta of the base asset in so many units."""
        return qty * QUANTA_PER_ONE // self.instrument.qty_per_one

    def price(self, tick: int) -> Decimal:
        """Price of a tick, exactly."""
        return Decimal(self.instrument.price_text(tick))

    def band(self, side: int) -> int:
        """The last legal tick that an order of a side may ask for, by the mark and the band."""
        if not self.band_percent or not self._mid2:
            return FAR_TICK if side > 0 else 1
        bound = self._mid2 * (100 + side * self.band_percent)
        if side > 0:
            return self.spec.tick_floor(bound // 200)
        return max(1, self.spec.tick_ceil(-(-bound // 200)))

    # -- orders

    def place(self, order: Order, ts_ns: int) -> list[Happening]:
        """Let an order arrive: it meets what it can; what is left of it rests, or is over.

        Raises Crowded where no more orders can rest here.
        """
        if not self._free or (order.account not in self._owners and len(self._owners) == OWNERS):
            raise Crowded
        slot = self._free.pop()
        self._orders[slot] = order
        order.slot = slot
        tick = order.tick
        if order.market:
            tick = self.band(order.side)
        return self._ask(RequestKind.PLACE, order, tick, order.qty, 0, ts_ns)

    def amend(self, order: Order, tick: int, qty: int, ts_ns: int) -> list[Happening]:
        """Change an order to a price and a total quantity above what has filled."""
        self._touch(order.side, order.tick)
        left = qty - order.filled
        return self._ask(RequestKind.AMEND, order, tick, left, order.filled, ts_ns)

    def remove(self, order: Order, ts_ns: int) -> None:
        """Take a resting order off the book."""
        self._ask(RequestKind.CANCEL, order, order.tick, order.left, 0, ts_ns)

    def _ask(
        self, kind: RequestKind, order: Order, tick: int, qty: int, done: int, ts_ns: int
    ) -> list[Happening]:
        owner = self._owners.setdefault(order.account, len(self._owners))
        request = self._request[0]
        request["kind"] = kind
        request["side"] = order.side
        request["tif"] = TimeInForce.IOC if order.market else order.tif
        request["slot"] = order.slot
        request["generation"] = order.id & 0xFFFFFFFF
        request["reduce_only"] = order.reduce_only
        request["ts_ns"] = ts_ns
        request["tick"] = tick
        request["qty"] = qty
        request["done"] = done
        answers = self._venue.request(self._request, ts_ns, owner)
        happened = self._happenings(answers.tolist(), order.side, ts_ns)
        self._publish(ts_ns)
        return happened

    def _happenings(self, answers: list[Answer], side: int, ts_ns: int) -> list[Happening]:
        # side: of the aggressor.  A meeting is two fills with one sequence number, maker first.
        happened: list[Happening] = []
        maker: tuple[int, Order] | None = None
        parts: tuple[tuple[Order, bool], ...]
        for kind, own, flags, code, _, _, _, slot, _, _, _, seq, _, tick, qty in answers:
            order = self._orders[slot]
            if kind == Kind.REJECT:
                raise RuntimeError(f"{self}: order {order.id} refused by the matching, code {code}")
            if kind != Kind.FILL or flags & Flag.MAKER:
                self._touch(own, tick)
            else:
                self._touch(-own, tick)
            if kind in GONE or flags & Flag.LAST:
                del self._orders[slot]
                self._free.append(slot)
            if kind == Kind.EXPIRED:
                happened.append(Over(order, RejectCode(code)))
            elif kind == Kind.FILL:
                is_maker = bool(flags & Flag.MAKER)
                if maker is not None and maker[0] == seq:
                    happened.pop()
                    parts = ((maker[1], True), (order, False))
                else:
                    parts = ((order, is_maker),)
                    self.last_trade_id += 1
                happened.append(self._print(parts, tick, qty, side, ts_ns))
                maker = (seq, order) if is_maker else None
        return happened

    def _print(
        self, parts: tuple[tuple[Order, bool], ...], tick: int, qty: int, side: int, ts_ns: int
    ) -> Print:
        ids = {order.side: order.id for order, _ in parts}
        trade = Trade(
            id=self.last_trade_id,
            tick=tick,
            qty=qty,
            side=side,
            ts_ns=ts_ns,
            buy_order_id=ids.get(1, 0),
            sell_order_id=ids.get(-1, 0),
        )
        return Print(self, trade, parts)

    # -- the market

    def hear(self, rows: Rows, ts_ns: int) -> list[Happening]:
        """Apply one message of the market: a header row and, of depth, its level rows."""
        kind, side, flags, _, _, n_bids, n_asks, *_, tick, qty = rows[0].item()
        if kind == Kind.TRADE:
            return self._hear_print(rows, side or 1, tick, qty, ts_ns)
        if kind == Kind.CLEAR or (flags & Flag.SNAPSHOT and not flags & Flag.CONT):
            self._loading = True
            self._touch_all()
        if not n_bids + n_asks:
            if side:
                self._touch(side, tick)
        else:
            levels = rows[1:].view(LEVEL)["tick"]
            self._bids.append(levels[:n_bids].copy())
            self._asks.append(levels[n_bids : n_bids + n_asks].copy())
        answers = self._venue.market(rows)
        if flags & Flag.MORE:
            return []
        if self._loading:
            self._loading = False
            self._touch_all()
        self._look()
        # Both sides can be crossed at once only by a market that is crossed itself: one by one.
        happened = self._crossings(answers.tolist(), ts_ns)
        self._publish(ts_ns)
        return happened

    def _crossings(self, answers: list[Answer], ts_ns: int) -> list[Happening]:
        happened: list[Happening] = []
        for answer in answers:
            happened += self._happenings([answer], -answer[1], ts_ns)
        return happened

    def _hear_print(
        self, rows: Rows, side: int, tick: int, qty: int, ts_ns: int
    ) -> list[Happening]:
        # Accounts' orders share the print, best price first; the rest of it is the market's own.
        happened = self._happenings(self._venue.market(rows).tolist(), side, ts_ns)
        rest = qty - sum(each.trade.qty for each in happened if isinstance(each, Print))
        if rest > 0:
            self.last_trade_id += 1
            happened.append(self._print((), tick, rest, side, ts_ns))
        self._publish(ts_ns)
        return happened

    def _touch_all(self) -> None:
        self._bids.append(self._venue.book.levels(1)["tick"].copy())
        self._asks.append(self._venue.book.levels(-1)["tick"].copy())

    def _look(self) -> None:
        # The market's middle; where the market crosses itself, the levels that are not shown.
        touch = self._venue.book.touch()
        bid, ask = touch.bid_tick, touch.ask_tick
        if self._overlap[0].size:
            self._bids.append(self._overlap[0])
            self._asks.append(self._overlap[1])
            self._overlap = (NO_TICKS, NO_TICKS)
        if bid < ask:
            if bid > 0 and ask < FAR_TICK:
                self._mid2 = bid + ask
            return
        bids = self._venue.book.levels(1)["tick"]
        asks = self._venue.book.levels(-1)["tick"]
        self._overlap = (bids[bids >= ask].copy(), asks[asks <= bid].copy())
        self._bids.append(self._overlap[0])
        self._asks.append(self._overlap[1])
