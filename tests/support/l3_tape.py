"""A market told order by order, with ids: the tape of the order-by-order parity runs.

A matching engine of its own (price, then time) fed by seeded whole-number noise, so that the same
tape comes out everywhere.  Each side of the book has a feed of its own, which makes the order of
the rows differ between the venue's clock and ours.  Rows are hftbacktest's, one event each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

CLEAR, TRADE, ADD, CANCEL, MODIFY, FILL = 3, 2, 10, 11, 12, 13
EXCH, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
TICK_SIZE, LOT_SIZE = 0.1, 0.01
START_NS = 1_700_000_000_000_000_000
EVENT = np.dtype(
    [
        ("ev", "<u8"),
        ("exch_ts", "<i8"),
        ("local_ts", "<i8"),
        ("px", "<f8"),
        ("qty", "<f8"),
        ("order_id", "<u8"),
        ("ival", "<i8"),
        ("fval", "<f8"),
    ]
)
Row = tuple[int, int, int, int, int]  # event with side, ns, tick, lots, id


@dataclass
class Noise:
    """Whole numbers from a 64-bit linear congruential sequence."""

    state: int

    def below(self, n: int) -> int:
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n


@dataclass
class Market:
    """Resting orders by side and tick, each a queue of [id, lots]; what is told of them."""

    noise: Noise
    now_ns: int = START_NS
    last_id: int = 2**40
    rows: list[Row] = field(default_factory=list)
    queues: dict[int, dict[int, list[list[int]]]] = field(default_factory=lambda: {1: {}, -1: {}})

    def tell(self, code: int, side: int, tick: int, lots: int, order: int) -> None:
        bit = {1: BUY, -1: SELL, 0: 0}[side]
        self.rows.append((code | bit, self.now_ns, tick, lots, order))

    def best(self, side: int) -> int:
        ticks = self.queues[side]
        if not ticks:
            return 1000 - 5 * side
        return max(ticks) if side > 0 else min(ticks)

    def add(self, side: int, tick: int, lots: int) -> None:
        self.last_id += 1 + self.noise.below(9)
        self.queues[side].setdefault(tick, []).append([self.last_id, lots])
        self.tell(ADD, side, tick, lots, self.last_id)

    def take_off(self, side: int, tick: int, place: int) -> list[int]:
        queue = self.queues[side][tick]
        order = queue.pop(place)
        if not queue:
            del self.queues[side][tick]
        return order

    def any_order(self, side: int) -> tuple[int, int] | None:
        """Tick and place of some order, more often one near the touch."""
        ticks = sorted(self.queues[side], reverse=side > 0)
        if not ticks:
            return None
        tick = ticks[min(self.noise.below(len(ticks)), self.noise.below(len(ticks)))]
        return tick, self.noise.below(len(self.queues[side][tick]))

    def cancel(self, side: int) -> None:
        if (found := self.any_order(side)) is not None:
            order, lots = self.take_off(side, *found)
            self.tell(CANCEL, side, found[0], lots, order)

    def modify(self, side: int) -> None:
        """Less at its place, more at the back, or another price."""
        if (found := self.any_order(side)) is None:
            return
        tick, place = found
        chance = self.noise.below(3)
        order = self.queues[side][tick][place]
        if chance == 0 and order[1] > 1:
            order[1] -= 1 + self.noise.below(order[1] - 1)
            self.tell(MODIFY, side, tick, order[1], order[0])
            return
        order = self.take_off(side, tick, place)
        if chance == 1:
            order[1] += 1 + self.noise.below(40)
        else:
            tick = self.quote(side)
        self.queues[side].setdefault(tick, []).append(order)
        self.tell(MODIFY, side, tick, order[1], order[0])

    def quote(self, side: int) -> int:
        """A price that does not take: up to one tick better than the touch, or behind it."""
        tick = self.best(side) + side - side * min(self.noise.below(12), self.noise.below(12))
        limit = self.best(-side) - side
        return min(tick, limit) if side > 0 else max(tick, limit)

    def take(self, side: int, lots: int) -> None:
        """An aggressor of `side` trades with the other side, at most three prices deep."""
        limit = self.best(-side) + 2 * side
        while lots and self.queues[-side] and (limit - self.best(-side)) * side >= 0:
            tick = self.best(-side)
            order = self.queues[-side][tick][0]
            got = min(lots, order[1])
            self.tell(TRADE, side, tick, got, 0)
            self.tell(FILL, -side, tick, got, order[0])
            lots -= got
            order[1] -= got
            if order[1]:
                self.tell(MODIFY, -side, tick, order[1], order[0])
            else:
                self.take_off(-side, tick, 0)
                self.tell(CANCEL, -side, tick, 0, order[0])

    def clear(self) -> None:
        """All orders anew, as a venue does between two sessions."""
        self.tell(CLEAR, 0, 0, 0, 0)
        for side in (1, -1):
            for tick in sorted(self.queues[side]):
                for order, lots in self.queues[side][tick]:
                    self.tell(ADD, side, tick, lots, order)

    def step(self) -> None:
        self.now_ns += 200_000 + self.noise.below(30_000_000) * (1 + 3 * (self.noise.below(8) == 0))
        side = 1 - 2 * self.noise.below(2)
        what = self.noise.below(100)
        if what < 45 or len(self.queues[side]) < 6:
            self.add(side, self.quote(side), 1 + self.noise.below(60))
        elif what < 72:
            self.cancel(side)
        elif what < 86:
            self.modify(side)
        else:
            self.take(side, 1 + self.noise.below(120))


def told(steps: int, seed: int, clears: int) -> list[Row]:
    """The venue's rows, in its order.  clears: times that the book is told anew."""
    market = Market(Noise(seed))
    for side in (1, -1):
        for k in range(40):
            market.add(side, 1000 - side * (1 + k // 3), 1 + market.noise.below(60))
    for step in range(steps):
        market.step()
        if clears and step and step % (steps // (clears + 1)) == 0:
            market.clear()
    return market.rows


def _received(rows: list[Row], seed: int) -> list[int]:
    """When we hear of each row: two feeds, each in order, of different delay."""
    noise = Noise(seed + 1)
    last = {1: 0, -1: 0}
    stamps = []
    for event, ns, *_ in rows:
        feed = -1 if event & SELL else 1
        if event & 0xFF == TRADE:
            feed = -feed  # prints travel with the side that was hit
        delay = 1_000_000 + noise.below(4_000_000) + 25_000_000 * (noise.below(40) == 0)
        feeds = (1, -1) if event & 0xFF == CLEAR else (feed,)
        stamp = max(ns + delay, *(last[each] for each in feeds))
        for each in feeds:
            last[each] = stamp
        if event & 0xFF == CLEAR:
            last = {1: stamp, -1: stamp}
        stamps.append(stamp)
    return stamps


def _in_two_orders(local_ns: list[int]) -> Iterator[tuple[int, int]]:
    """Row numbers and flags: the venue's order and ours, in one list."""
    ours = sorted(range(len(local_ns)), key=lambda i: (local_ns[i], i))
    seen, heard = [False] * len(ours), [False] * len(ours)
    i = j = 0
    while i < len(ours) or j < len(ours):
        if i < len(ours) and j < len(ours) and ours[j] == i:
            yield i, EXCH | LOCAL
            seen[i] = heard[i] = True
            i, j = i + 1, j + 1
        elif j == len(ours) or (i < len(ours) and (heard[i] or not seen[ours[j]])):
            yield i, EXCH
            seen[i] = True
            i += 1
        else:
            yield ours[j], LOCAL
            heard[ours[j]] = True
            j += 1


def tape(steps: int, seed: int = 11, clears: int = 2) -> np.ndarray:
    """The event array that hftbacktest reads."""
    rows = told(steps, seed, clears)
    local_ns = _received(rows, seed)
    found = list(_in_two_orders(local_ns))
    out = np.zeros(len(found), EVENT)
    for place, (i, flags) in enumerate(found):
        event, ns, tick, lots, order = rows[i]
        price, qty = round(tick * TICK_SIZE, 1), round(lots * LOT_SIZE, 2)
        out[place] = (event | flags, ns, local_ns[i], price, qty, order, 0, 0.0)
    return out
