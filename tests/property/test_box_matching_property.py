"""The floor against a naive one that matches lot by lot, and its stream of changes."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from street import FOK, GTC, GTX, IOC, MIDDLE, Street

from mmcore.box.orders import Refusal
from mmcore.instrument import known

ITEMS = {
    "whole": replace(known("binance-usdm", "BTCUSDT"), min_notional="0"),
    "dust": replace(known("binance-spot", "BTCUSDT"), min_notional="0"),
}
TICKS = range(-1, 2)


@dataclass(eq=False)
class Resting:
    owner: int
    side: int
    tick: int
    left: int
    front: int = 0  # of the market's quantity, ahead of it


class Naive:
    """Price and time by the book: every lot looks anew for whom it meets."""

    def __init__(self, lot):
        self.lot = lot
        self.market = {1: {}, -1: {}}
        self.taken = {1: {}, -1: {}}
        self.resting = []  # in order of arrival
        self.filled = {}

    def offered(self, side, tick):
        bids = [t for t, q in self.market[1].items() if q]
        asks = [t for t, q in self.market[-1].items() if q]
        crossed = bids and asks and max(bids) >= min(asks)
        if crossed and (tick >= min(asks) if side > 0 else tick <= max(bids)):
            return 0
        left = self.market[side].get(tick, 0) - self.taken[side].get(tick, 0)
        return max(0, left // self.lot * self.lot)

    def shown(self, side):
        ticks = {*self.market[side], *(r.tick for r in self.resting if r.side == side)}
        sizes = {
            t: self.offered(side, t)
            + sum(r.left for r in self.resting if (r.side, r.tick) == (side, t))
            for t in ticks
        }
        return sorted(((t, q) for t, q in sizes.items() if q), reverse=side > 0)

    def fill(self, order, lots=1):
        order.left -= self.lot * lots
        self.filled[order] = self.filled.get(order, 0) + self.lot * lots
        if order.left == 0 and order in self.resting:
            self.resting.remove(order)

    def take(self, side, tick):
        self.taken[side][tick] = self.taken[side].get(tick, 0) + self.lot

    def at(self, side, tick):
        return [r for r in self.resting if (r.side, r.tick) == (side, tick)]

    def arrive(self, order, tif):
        side = order.side
        within = [level for level in self.shown(-side) if (order.tick - level[0]) * side >= 0]
        if tif == GTX and within:
            return "post-only"
        if tif == FOK:
            own = sum(
                r.left
                for r in self.resting
                if r.owner == order.owner and r.side == -side and (order.tick - r.tick) * side >= 0
            )
            if sum(q for _, q in within) - own < order.left:
                return "nothing"
        while order.left:
            levels = [t for t, _ in self.shown(-side) if (order.tick - t) * side >= 0]
            if not levels:
                break
            tick = levels[0]
            first = next(iter(self.at(-side, tick)), None)
            offered = self.offered(-side, tick)
            if offered and (first is None or min(first.front, offered) >= self.lot):
                self.take(-side, tick)
                for each in self.at(-side, tick):
                    each.front = max(0, each.front - self.lot)
                self.fill(order)
            elif first.owner == order.owner:
                self.resting.remove(first)
            else:
                self.fill(first)
                self.fill(order)
        if order.left and tif in (GTC, GTX):
            shown = self.market[side].get(order.tick, 0) - self.taken[side].get(order.tick, 0)
            order.front = max(0, shown)
            self.resting.append(order)
        return ""

    def in_line(self, side):
        return sorted((r for r in self.resting if r.side == side), key=lambda r: -r.tick * side)

    def prints(self, aggressor, tick, qty):
        side, used = -aggressor, 0
        for each in self.in_line(side):
            if (each.tick - tick) * side < 0:
                return
            got = qty - used
            if each.tick == tick:
                got = max(0, qty - each.front) // self.lot * self.lot - used
                each.front = max(0, each.front - qty)
            lots = min(got, each.left) // self.lot
            if lots > 0:
                used += lots * self.lot
                self.fill(each, lots)

    def depth(self, levels):
        for side, tick, qty in levels:
            self.market[side][tick] = qty
            self.taken[side].pop(tick, None)
            for each in self.at(side, tick):
                each.front = min(each.front, qty)
        self.cross()

    def clear(self, side):
        for each in (1, -1):
            if side in (each, 0):
                self.market[each].clear()
        self.cross()

    def cross(self):
        for side in (1, -1):
            for each in self.in_line(side):
                while each.left:
                    levels = sorted((t for t in TICKS if self.offered(-side, t)), reverse=side < 0)
                    if not levels or (each.tick - levels[0]) * side < 0:
                        break
                    self.take(-side, levels[0])
                    self.fill(each)
                if each.left:
                    break


class Twin:
    """The floor and the naive one, told the same."""

    def __init__(self, kind):
        self.street = Street(
            item=ITEMS[kind], bids=[], asks=[], n_accounts=3, money=10**9, coins=10**6
        )
        self.floor = self.street.floor
        self.lot = self.floor.instrument.lot_qty
        self.naive = Naive(self.lot)
        self.pairs = []
        self.mirror = {1: {}, -1: {}}
        self.seen = 0

    def depth(self, levels):
        by_side = {s: {t: self.size(q) for side, t, q in levels if side == s} for s in (1, -1)}
        # The market itself is never crossed for long, but it may be for a message.
        self.street.depth(list(by_side[1].items()), list(by_side[-1].items()))
        self.naive.depth([(s, t, q) for s in (1, -1) for t, q in by_side[s].items()])

    def clear(self, side):
        self.street.clear(side)
        self.naive.clear(side)

    def size(self, qty):
        # Thousandths of a lot, or whole lots where that is the unit.
        return qty if self.lot == 1_000 else -(-qty // 1_000)

    def prints(self, aggressor, tick, qty):
        self.street.prints(aggressor, tick, self.size(qty))
        self.naive.prints(aggressor, tick, self.size(qty))

    def place(self, owner, side, tick, lots, tif):
        own = Resting(owner, side, tick, lots * self.lot)
        if self.naive.arrive(own, tif) == "post-only":
            with pytest.raises(Refusal, match="POST_ONLY"):
                self.street.place(owner, side, tick, own.left, tif=tif)
        else:
            order = self.street.place(owner, side, tick, lots * self.lot, tif=tif)
            self.pairs.append((own, order))

    def live(self, pick):
        pairs = [pair for pair in self.pairs if pair[0] in self.naive.resting]
        return pairs[pick % len(pairs)] if pairs else None

    def cancel(self, pick):
        if pair := self.live(pick):
            own, order = pair
            self.naive.resting.remove(own)
            self.street.cancel(order)

    def amend(self, pick, tick, lots):
        if not (pair := self.live(pick)):
            return
        own, order = pair
        left = lots * self.lot
        if (tick, left) == (own.tick, own.left):
            return
        post_only = order.tif == GTX
        if tick == own.tick and left <= own.left:
            own.left = left
        else:
            self.naive.resting.remove(own)
            own.tick, own.left = tick, left
            self.naive.arrive(own, GTX if post_only else GTC)
        self.street.amend(order, tick=tick, qty=order.filled + left)

    def check(self):
        for own, order in self.pairs:
            assert order.filled == self.naive.filled.get(own, 0)
            assert order.open == (own in self.naive.resting)
            assert not order.open or order.left == own.left
        for side in (1, -1):
            ticks = [(t + MIDDLE, q) for t, q in self.naive.shown(side)]
            assert self.floor.top(side, 100) == ticks
            assert self.floor.top(side, 1) == ticks[:1]
        bid, ask = self.floor.best(1), self.floor.best(-1)
        assert bid is None or ask is None or bid[0] < ask[0], "the public book is never crossed"

    def follow(self):
        # A subscriber that applies the changes has the book.
        changes = self.floor.changes(self.seen)
        assert (changes.first_id, changes.last_id) == (self.seen + 1, self.floor.update_id)
        self.seen = changes.last_id
        for side, levels in ((1, changes.bids), (-1, changes.asks)):
            self.mirror[side].update(levels)
            held = sorted(((t, q) for t, q in self.mirror[side].items() if q), reverse=side > 0)
            assert held == self.floor.top(side, 100)


ticks = st.sampled_from(TICKS)
sides = st.sampled_from([1, -1])
sizes = st.integers(1, 30)
levels = st.tuples(sides, ticks, st.one_of(st.just(0), st.integers(1, 30_000)))
acts = st.one_of(
    st.tuples(st.just("depth"), st.lists(levels, min_size=1, max_size=6)),
    st.tuples(st.just("prints"), sides, ticks, st.integers(1, 30_000)),
    st.tuples(
        st.just("place"), st.integers(0, 2), sides, ticks, sizes,
        st.sampled_from([GTC, GTC, GTX, IOC, FOK]),
    ),
    st.tuples(st.just("clear"), st.sampled_from([1, -1, 0])),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("amend"), st.integers(0, 9), ticks, sizes),
)  # fmt: skip


@pytest.mark.parametrize("kind", list(ITEMS))
@settings(max_examples=120)
@given(story=st.lists(acts, min_size=5, max_size=40), cadence=st.integers(1, 5))
def test_price_time_priority_prints_and_the_public_book(kind, story, cadence):
    twin = Twin(kind)
    for n, (what, *details) in enumerate(story):
        getattr(twin, what)(*details)
        twin.check()
        if n % cadence == 0:
            twin.follow()
    twin.follow()
    ids = [trade.id for trade in twin.floor.trades]
    assert ids == list(range(1, len(ids) + 1))
