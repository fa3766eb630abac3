"""The book against a naive dictionary model: any snapshots, deltas, jumps, clears and gaps."""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mmcore import events
from mmcore._book import Book, Touch, ofi, voi
from mmcore.events import ASK, BID, EVENT, LEVEL, Flag, Kind, Status

OK, OLD, GAP, EMPTY, FULL, BAD = range(6)
TICK_MAX = 2**60
# The market's centre: an ordinary one, one at the bottom of the grid, and one with tiny ticks.
CENTRES = (650_000, 60, 10**13)


def message(bids=(), asks=(), *, kind=Kind.DEPTH, flags=0, **fields):
    """One event with its level rows."""
    levels = [*bids, *asks]
    rows = np.zeros(1 + events.rows_of(len(levels)), EVENT)
    head = {"kind": kind, "flags": flags, "n_bids": len(bids), "n_asks": len(asks), **fields}
    for name, value in head.items():
        rows[0][name] = value
    if levels:
        rows[1:].view(LEVEL)[: len(levels)] = np.array(levels, LEVEL)
    return rows


def give(book, rows):
    book.bind(rows)
    return book.update(0)


@dataclass
class Model:
    """What a book is: two dictionaries and the sequence rule, as plainly as it can be said."""

    sides: dict = field(default_factory=lambda: {BID: {}, ASK: {}})
    blocked: Status = Status.WARMUP
    last: int = 0
    fresh: bool = False

    def judge(self, seq, previous):
        if self.blocked == Status.WARMUP:
            return OK if seq == 0 else EMPTY
        if self.blocked != Status.OK:
            return GAP
        if seq == 0:
            return OK
        if seq <= self.last:
            return OLD
        if previous == self.last or (self.fresh and previous <= self.last):
            return OK
        self.blocked = Status.GAP
        return GAP

    def write(self, bids, asks):
        for side, levels in ((BID, bids), (ASK, asks)):
            for tick, qty in levels:
                self.sides[side].pop(tick, None)
                if qty:
                    self.sides[side][tick] = qty

    def snapshot(self, bids, asks, seq):
        self.sides = {BID: {}, ASK: {}}
        self.write(bids, asks)
        self.blocked, self.last, self.fresh = Status.OK, seq, True
        return OK

    def delta(self, bids, asks, seq, previous):
        verdict = self.judge(seq, previous)
        if verdict == OK and any(q < 0 or not 0 < t < TICK_MAX for t, q in [*bids, *asks]):
            self.blocked = Status.STALE
            return BAD
        if verdict == OK:
            self.write(bids, asks)
            self.blocked = Status.OK
            if seq:
                self.last, self.fresh = seq, False
        return verdict

    def clear(self, side, tick):
        for own in (BID, ASK) if side == 0 else (side,):
            kept = {t: q for t, q in self.sides[own].items() if own * t < own * tick}
            self.sides[own] = kept if side != 0 and tick > 0 else {}
        if side == 0 and self.blocked != Status.WARMUP:
            self.blocked = Status.OK

    def best_first(self, side):
        return sorted(self.sides[side].items(), reverse=side == BID)

    def health(self):
        bids, asks = self.sides[BID], self.sides[ASK]
        if self.blocked != Status.OK:
            return self.blocked
        if not bids or not asks:
            return Status.ONE_SIDED
        return Status.CROSSED if max(bids) >= min(asks) else Status.OK


@st.composite
def sides_of_levels(draw, centre, n_max=24):
    """Changes of both sides: mostly near the touch, some far away, some repeated, some deletes."""
    spread = draw(st.sampled_from((4, 40, 900, 10**6)))
    near = st.integers(0, spread)
    far = st.integers(0, 10**9)
    qty = st.one_of(st.just(0), st.integers(1, 9), st.integers(1, 2**40))
    sides = []
    for side in (BID, ASK):
        distances = draw(st.lists(st.tuples(st.one_of(near, near, far), qty), max_size=n_max))
        sides.append([(max(1, centre - side * away), q) for away, q in distances])
    return sides


class BookAgainstModel(RuleBasedStateMachine):
    """Small windows and few far levels to spare, so that every path is walked."""

    @initialize(
        centre=st.sampled_from(CENTRES),
        window=st.sampled_from((64, 128, 4096)),
        widest=st.sampled_from((0, 6)),
    )
    def start(self, centre, window, widest):
        self.centre = centre
        self.book = Book(window=window, window_max=window << widest)
        self.model = Model()

    @rule(data=st.data(), gap=st.sampled_from((0, 0, 0, 0, 1)), chained=st.booleans())
    def delta(self, data, gap, chained):
        bids, asks = data.draw(sides_of_levels(self.centre))
        seq = self.model.last + 3 if chained else 0
        previous = self.model.last + gap
        got = give(self.book, message(bids, asks, seq=seq, aux=previous))
        assert got == self.model.delta(bids, asks, seq, previous)

    @rule(data=st.data(), ordered=st.booleans(), seq=st.integers(0, 2**40))
    def snapshot(self, data, ordered, seq):
        bids, asks = data.draw(sides_of_levels(self.centre, n_max=80))
        if ordered:
            bids = sorted(dict(bids).items(), reverse=True)
            asks = sorted(dict(asks).items())
        got = give(self.book, message(bids, asks, flags=Flag.SNAPSHOT, seq=seq))
        assert got == self.model.snapshot(bids, asks, seq)

    @rule(side=st.sampled_from((BID, ASK)), n=st.integers(1, 60))
    def delete_the_touch(self, side, n):
        gone = [(tick, 0) for tick, _ in self.model.best_first(side)[:n]]
        bids, asks = (gone, []) if side == BID else ([], gone)
        got = give(self.book, message(bids, asks))
        assert got == self.model.delta(bids, asks, 0, 0)

    @rule(side=st.sampled_from((BID, ASK)), tick=st.integers(1, 2**59), qty=st.integers(0, 2**40))
    def inline_level_anywhere(self, side, tick, qty):
        bids, asks = ([(tick, qty)], []) if side == BID else ([], [(tick, qty)])
        got = give(self.book, message(side=side, tick=tick, qty=qty))
        assert got == self.model.delta(bids, asks, 0, 0)

    @rule(data=st.data(), chained=st.booleans())
    def inline_levels_near_the_touch(self, data, chained):
        bids, asks = data.draw(sides_of_levels(self.centre, n_max=8))
        for side, levels in ((BID, bids), (ASK, asks)):
            for tick, qty in levels:
                seq = self.model.last + 1 if chained else 0
                given = {"seq": seq, "aux": self.model.last}
                got = give(self.book, message(side=side, tick=tick, qty=qty, **given))
                own = ([(tick, qty)], []) if side == BID else ([], [(tick, qty)])
                assert got == self.model.delta(*own, seq, self.model.last)

    @rule(factor=st.sampled_from((0.5, 0.99, 1.001, 2, 1000)))
    def the_market_jumps(self, factor):
        self.centre = min(max(30, int(self.centre * factor)), 10**15)

    @rule(seq=st.integers(-3, 0))
    def an_old_message(self, seq):
        if self.model.last + seq > 0:
            bids = [(self.centre, 7)]
            seq += self.model.last
            got = give(self.book, message(bids, seq=seq, aux=seq - 1))
            assert got == self.model.delta(bids, [], seq, seq - 1)

    @rule(
        side=st.sampled_from((BID, ASK)),
        level=st.sampled_from(((0, 1), (-5, 1), (TICK_MAX, 1), (-(2**63), 1), (100, -1))),
        place=st.integers(0, 2),
    )
    def a_malformed_message(self, side, level, place):
        levels = [(self.centre, 1), (self.centre + 1, 2)]
        levels.insert(place, level)
        bids, asks = (levels, []) if side == BID else ([], levels)
        got = give(self.book, message(bids, asks))
        assert got == self.model.delta(bids, asks, 0, 0)

    @rule(side=st.sampled_from((BID, 0, ASK)), n=st.integers(0, 40), whole=st.booleans())
    def clear(self, side, n, whole):
        levels = self.model.best_first(side)[n:] if side and not whole else []
        tick = levels[0][0] if levels else 0
        give(self.book, message(kind=Kind.CLEAR, side=side, tick=tick))
        self.model.clear(side, tick)

    @rule()
    def the_link_goes_down(self):
        give(self.book, message(kind=Kind.LINK_DOWN))
        self.model.blocked = Status.STALE

    @rule(window_max=st.sampled_from((4096, 2**18)))
    def reserve(self, window_max):
        self.book.reserve(window_max=window_max)

    @invariant()
    def equal(self):
        for side in (BID, ASK):
            expected = self.model.best_first(side)
            assert self.book.levels(side).tolist() == expected
            assert self.book.levels(side, 5).tolist() == expected[:5]
            for tick, _ in expected[:10]:
                assert self.book.qty(side, tick) == self.model.sides[side][tick]
                assert self.book.qty(side, tick + 1) == self.model.sides[side].get(tick + 1, 0)
        assert (self.book.n_bids, self.book.n_asks) == tuple(map(len, self.model.sides.values()))
        assert self.book.health == self.model.health()

    def teardown(self):
        assert self.book.sound()


TestBookAgainstModel = BookAgainstModel.TestCase


@given(st.data(), st.sampled_from(CENTRES), st.integers(1, 30))
def test_signals_equal_their_formulas(data, centre, depth):
    bids, asks = data.draw(sides_of_levels(centre))
    book, model = Book(window=64, window_max=64), Model()
    give(book, message(bids, asks, flags=Flag.SNAPSHOT))
    model.snapshot(bids, asks, 0)
    b, a = model.best_first(BID), model.best_first(ASK)
    k = min(depth, len(b), len(a))
    if k == 0:
        assert math.isnan(book.mid)
        assert math.isnan(book.microprice())
        assert book.imbalance(depth) == book.weighted_imbalance(depth) == 0.0
        assert book.analysis(depth) is None
        return
    close = lambda x: pytest.approx(x, rel=1e-12, abs=1e-9)  # noqa: E731 - short for a table
    sums = [sum(q for _, q in side[:k]) for side in (b, a)]
    weighted = [sum(math.exp(-i / 2) * q for i, (_, q) in enumerate(s[:depth])) for s in (b, a)]
    assert book.mid == (b[0][0] + a[0][0]) / 2
    assert book.spread_bps == close((a[0][0] - b[0][0]) / book.mid * 1e4)
    assert book.imbalance(depth) == close((sums[0] - sums[1]) / (sums[0] + sums[1]))
    assert book.weighted_imbalance(depth) == close(
        (weighted[0] - weighted[1]) / (weighted[0] + weighted[1])
    )
    assert [book.weight(side, depth) for side in (BID, ASK)] == close(weighted)
    assert book.microprice() == close((b[0][1] * a[0][0] + a[0][1] * b[0][0]) / (b[0][1] + a[0][1]))
    assert book.microprice(depth) == close(
        (weighted[0] * a[0][0] + weighted[1] * b[0][0]) / sum(weighted)
    )
    vwap = [sum(t * q for t, q in s[:k]) / n for s, n in zip((b, a), sums, strict=True)]
    assert book.vwap(BID, k) == close(vwap[0])
    assert book.analysis(depth) == close((*sums, *vwap, book.imbalance(depth)))


TOUCH = st.builds(
    Touch, st.integers(95, 100), st.integers(101, 105), st.integers(1, 9), st.integers(1, 9)
)


@given(TOUCH, TOUCH)
def test_flow_equals_the_table_of_cases(before, after):
    """Rise, equal, fall of each side, as the papers list them."""

    def case(new, old, values):
        return values[(new > old) - (new < old) + 1]

    vb, vb0, va, va0 = after.bid_size, before.bid_size, after.ask_size, before.ask_size
    bid_moves = (after.bid_tick, before.bid_tick)
    ask_moves = (after.ask_tick, before.ask_tick)
    assert ofi(before, after) == case(*bid_moves, (-vb0, vb - vb0, vb)) + case(
        *ask_moves, (-va, va0 - va, va0)
    )
    assert voi(before, after) == case(*bid_moves, (0, vb - vb0, vb)) - case(
        *ask_moves, (va, va - va0, 0)
    )


@given(TOUCH, TOUCH)
def test_flow_mirrors_with_the_market(before, after):
    def mirror(t):
        return Touch(-t.ask_tick, -t.bid_tick, t.ask_size, t.bid_size)

    assert ofi(mirror(before), mirror(after)) == -ofi(before, after)
    assert voi(mirror(before), mirror(after)) == -voi(before, after)


@given(st.data(), st.sampled_from(CENTRES))
def test_parts_of_a_message_equal_the_whole(data, centre):
    whole, parts = Book(window=64), Book(window=64)
    bids, asks = data.draw(sides_of_levels(centre, n_max=60))
    cut = data.draw(st.integers(0, len(bids)))
    give(whole, message(bids, asks, flags=Flag.SNAPSHOT, seq=5))
    give(parts, message(bids[:cut], flags=Flag.SNAPSHOT | Flag.MORE, seq=5))
    assert parts.health == Status.WARMUP
    give(parts, message(bids[cut:], asks, flags=Flag.CONT, seq=5))
    for side in (BID, ASK):
        assert parts.levels(side).tolist() == whole.levels(side).tolist()
    assert (parts.health, parts.last_seq) == (whole.health, whole.last_seq)


@given(st.data(), st.integers(1, 40))
def test_a_book_that_runs_out_of_room_stops_and_says_so(data, far_levels):
    """No level is dropped: either the book equals the model, or it is full until a snapshot."""
    book, model = Book(window=64, window_max=64, far_levels=far_levels), Model()
    give(book, message(flags=Flag.SNAPSHOT))
    model.snapshot((), (), 0)
    for _ in range(data.draw(st.integers(1, 6))):
        bids, asks = data.draw(sides_of_levels(10**6))
        verdict = give(book, message(bids, asks))
        if verdict == FULL:
            assert book.health == Status.FULL
            assert give(book, message([(10**6, 5)])) == FULL
            assert book.sound()
            assert give(book, message([(99, 1)], [(101, 2)], flags=Flag.SNAPSHOT)) == OK
            assert book.health == Status.OK
            return
        assert model.delta(bids, asks, 0, 0) == verdict == OK
        assert book.levels(BID).tolist() == model.best_first(BID)
        assert book.levels(ASK).tolist() == model.best_first(ASK)
