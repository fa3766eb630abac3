"""The venue under random markets and requests: promises, and a naive model beside it."""

from dataclasses import dataclass, field
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mmcore._spec import SpecBox
from mmcore._venue import QUEUE_MODELS, RULES, Venue
from mmcore.events import (
    ASK,
    BID,
    EVENT,
    LEVEL,
    REQUEST,
    Flag,
    Kind,
    RequestKind,
    Status,
    TimeInForce,
    rows_of,
)

Rows = NDArray[np.void]
LOT = 10
LOW, HIGH = 96, 105
GTX, GTC, IOC, FOK = TimeInForce.GTX, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK


# What happens is a tuple of a name and its figures: depth has bids and asks, trade a side, tick and
# size, place a slot, side, tick, size and time in force, amend a slot, tick and size, cancel a
# slot; gap and snapshot have none.


def mostly(low: int, high: int, strange: int) -> st.SearchStrategy[int]:
    """Usually between two ticks, now and then anywhere."""
    usual, any_tick = st.integers(low, high), st.integers(LOW, HIGH)
    return st.integers(0, strange).flatmap(lambda n: usual if n else any_tick)


sizes = st.integers(0, 60)
bid_levels = st.lists(st.tuples(mostly(97, 100, 12), sizes), max_size=3)
ask_levels = st.lists(st.tuples(mostly(101, 104, 12), sizes), max_size=3)
switches = st.sets(st.sampled_from(sorted(RULES.values()))).map(sum)
slots = st.integers(0, 5)
quantities = st.integers(1, 8).map(lambda lots: lots * LOT)
tifs = st.sampled_from([GTX, GTX, GTX, GTC, GTC, IOC, FOK])
depth = st.tuples(st.just("depth"), bid_levels, ask_levels)
sold = st.tuples(st.just("trade"), st.just(ASK), mostly(97, 100, 6), st.integers(1, 120))
bought = st.tuples(st.just("trade"), st.just(BID), mostly(101, 104, 6), st.integers(1, 120))
bid = st.tuples(st.just("place"), slots, st.just(BID), mostly(97, 100, 4), quantities, tifs)
ask = st.tuples(st.just("place"), slots, st.just(ASK), mostly(101, 104, 4), quantities, tifs)
amend = st.tuples(st.just("amend"), slots, mostly(98, 102, 4), quantities)
calls = st.one_of(bid, ask, amend, st.tuples(st.just("cancel"), slots))
breaks = st.tuples(st.sampled_from(["gap", "snapshot", "snapshot"]))
steps = st.integers(0, 19).flatmap(
    lambda n: breaks if n == 0 else [depth, sold, bought, bid, ask, calls][n % 6]
)
tapes = st.lists(steps, min_size=20, max_size=80)


def spec() -> SpecBox:
    return SpecBox("0.1", 4, "1", LOT, LOT, 0, 0, 20_000, 50_000, 0, 0, 0)


class Stage:
    """Turns steps into rows for a venue; keeps the sequence of the book."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.seq = 0
        self.now = 0
        self.step(("snapshot",))

    def step(self, what: tuple[object, ...]) -> Rows:
        self.now += 1
        name = what[0]
        if name in ("place", "cancel", "amend"):
            return self.venue.request(self.request(what), self.now)
        return self.venue.market(self.rows(what))

    def request(self, what: tuple[object, ...]) -> Rows:
        row = np.zeros(1, REQUEST)
        names: tuple[str, ...] = ("slot", "side", "tick", "qty", "tif")
        kind = {"place": RequestKind.PLACE, "amend": RequestKind.AMEND}.get(
            str(what[0]), RequestKind.CANCEL
        )
        if kind == RequestKind.AMEND:
            names = ("slot", "tick", "qty")
            row["done"] = self.done(int(str(what[1])))
        row["kind"], row["ts_ns"] = kind, self.now
        for field_name, value in zip(names, what[1:], strict=False):
            row[field_name] = value
        row["reduce_only"] = kind == RequestKind.PLACE and int(row["slot"][0]) in self.reducing
        return row

    def done(self, slot: int) -> int:
        return self.filled.get(slot, 0)

    filled: dict[int, int] = {}  # noqa: RUF012 - replaced by the tests that amend
    reducing: frozenset[int] = frozenset()  # slots whose orders may only reduce

    def rows(self, what: tuple[object, ...]) -> Rows:
        if what[0] == "trade":
            row = np.zeros(1, EVENT)
            row["kind"], row["flags"] = Kind.TRADE, Flag.EXCH | Flag.LOCAL
            row["side"], row["tick"], row["qty"] = what[1:]
        else:
            bids: list[tuple[int, int]] = [(99, 40), (98, 30), (97, 20)]
            asks: list[tuple[int, int]] = [(101, 40), (102, 30), (103, 20)]
            if what[0] == "depth":
                bids, asks = what[1], what[2]  # type: ignore[assignment]
            row = np.zeros(1 + rows_of(len(bids) + len(asks)), EVENT)
            row[0]["kind"], row[0]["flags"] = Kind.DEPTH, Flag.EXCH | Flag.LOCAL
            row[0]["n_bids"], row[0]["n_asks"] = len(bids), len(asks)
            row[1:].view(LEVEL)[: len(bids) + len(asks)] = np.array([*bids, *asks], LEVEL)
            self.seq += 1
            row[0]["aux"] = self.seq - 1
            if what[0] == "gap":
                self.seq += 5
                row[0]["aux"] = self.seq - 1
            row[0]["seq"] = self.seq
            if what[0] == "snapshot":
                row[0]["flags"] |= int(Flag.SNAPSHOT)
        row[0]["ts_venue_ns"] = row[0]["ts_local_ns"] = self.now
        return row


def fills(answers: Rows) -> Rows:
    return answers[answers["kind"] == Kind.FILL]


def shown(venue: Venue, side: int) -> dict[int, int]:
    return {int(row["tick"]): int(row["qty"]) for row in venue.book.levels(side)}


@settings(max_examples=80, deadline=None)
@given(tapes, st.sampled_from(QUEUE_MODELS), st.floats(0.3, 4.0))
def test_promises(tape: list[tuple[object, ...]], queue: str, exponent: float) -> None:
    stage = Stage(Venue(spec(), queue=queue, exponent=exponent))
    venue = stage.venue
    position = 0
    for what in tape:
        before = venue.orders()
        answers = stage.step(what)
        own = fills(answers)
        position += int((own["qty"] * own["side"]).sum())
        assert venue.position == position
        assert (own["qty"] % LOT == 0).all() and (own["qty"] > 0).all()
        healthy = venue.book.health in (Status.OK, Status.ONE_SIDED)
        assert healthy or not len(own)
        if what[0] == "trade":
            _, side, tick, qty = what
            assert own["qty"].sum() <= qty
            assert (own["side"] == -int(str(side))).all()
            assert ((own["tick"] - tick) * own["side"] >= 0).all()
        elif what[0] in ("depth", "snapshot"):
            crossed(venue, own)
        elif what[0] in ("place", "amend"):
            limit = int(answers[-1]["tick"])
            assert ((limit - own["tick"]) * own["side"] >= 0).all()
        if what[0] not in ("place", "amend"):
            in_turn(before, own)
        for row in venue.orders():
            assert row["left"] > 0
            assert row["ahead"] >= 0


def crossed(venue: Venue, own: Rows) -> None:
    """Fills by a crossing touch: never more than is displayed at or beyond the price."""
    for side in (BID, ASK):
        mine = own[own["side"] == side]
        if not len(mine):
            continue
        best = int(mine["tick"].max() if side == BID else mine["tick"].min())
        there = sum(q for t, q in shown(venue, -side).items() if (best - t) * side >= 0)
        assert mine["qty"].sum() <= there


def in_turn(before: Rows, own: Rows) -> None:
    """Of two orders at one price the earlier is full before the later gets anything."""
    got = {int(row["slot"]): int(row["qty"]) for row in own}
    for i, late in enumerate(before):
        if int(late["slot"]) not in got:
            continue
        for early in before[:i]:
            if early["side"] == late["side"] and early["tick"] == late["tick"]:
                assert got.get(int(early["slot"]), 0) == early["left"]


@settings(max_examples=40, deadline=None)
@given(tapes, st.sampled_from(QUEUE_MODELS), switches)
def test_the_same_events_give_the_same_answers_under_any_rules(
    tape: list[tuple[object, ...]], queue: str, rules: int
) -> None:
    both = [Stage(Venue(spec(), queue=queue, exponent=2.0, rules=rules)) for _ in range(2)]
    for what in tape:
        one, two = (stage.step(what) for stage in both)
        assert one.tobytes() == two.tobytes()
        assert len({(int(r["slot"]), int(r["generation"])) for r in one}) <= len(one)


@settings(max_examples=60, deadline=None)
@given(tapes, st.sets(slots, min_size=1), st.integers(-3, 3), switches)
def test_a_reduce_only_order_rests_only_while_it_reduces(
    tape: list[tuple[object, ...]], reducing: set[int], lots: int, rules: int
) -> None:
    stage = Stage(Venue(spec(), rules=rules, position=lots * LOT))
    stage.reducing = frozenset(reducing)
    venue = stage.venue
    for what in tape:
        before = {int(row["slot"]): row for row in venue.orders()}
        position = venue.position
        answers = stage.step(what)
        for row in venue.orders():
            assert int(row["slot"]) not in reducing or venue.position * int(row["side"]) < 0
        over = answers[(answers["kind"] == Kind.EXPIRED) | (answers["kind"] == Kind.CANCELLED)]
        ended = [int(slot) for slot in over["slot"]] + [
            int(row["slot"]) for row in fills(answers) if row["flags"] & Flag.LAST
        ]
        gone = set(before) - {int(row["slot"]) for row in venue.orders()}
        assert gone <= set(ended), "an order that goes is told of"
        if position == venue.position and what[0] in ("depth", "trade"):
            assert not gone & reducing or len(fills(answers))


@settings(max_examples=60, deadline=None)
@given(tapes, st.sampled_from(QUEUE_MODELS), switches)
def test_without_partial_fills_an_order_rests_whole_or_not_at_all(
    tape: list[tuple[object, ...]], queue: str, rules: int
) -> None:
    stage = Stage(Venue(spec(), queue=queue, exponent=2.0, rules=rules | RULES["no_partial"]))
    for what in tape:
        before = {int(row["slot"]): int(row["left"]) for row in stage.venue.orders()}
        answers = stage.step(what)
        if what[0] in ("place", "amend", "cancel"):
            continue
        after = {int(row["slot"]): int(row["left"]) for row in stage.venue.orders()}
        assert after.items() <= before.items()
        own = fills(answers)
        assert own["qty"].tolist() == [before[int(slot)] for slot in own["slot"]]


# ---- a naive model of the default rules


@dataclass
class Order:
    slot: int
    side: int
    tick: int
    left: int
    tif: int
    front: float
    printed: int = 0
    done: int = 0


@dataclass
class Naive:
    """The default rules in plain Python, by dictionaries, for the risk-averse and power queues."""

    power: float | None
    books: dict[int, dict[int, int]] = field(default_factory=lambda: {BID: {}, ASK: {}})
    orders: list[Order] = field(default_factory=list)
    taken: dict[tuple[int, int], int] = field(default_factory=dict)
    healthy: bool = False
    resync: bool = False
    unhealthy: bool = True
    chain: bool = False
    out: list[tuple[str, int, int, int]] = field(default_factory=list)

    def queue(self, side: int) -> list[Order]:
        mine = [order for order in self.orders if order.side == side]
        return sorted(mine, key=lambda order: -order.tick * side)  # stable: by arrival

    def offered(self, side: int) -> list[tuple[int, int]]:
        """Levels of a side with what they still offer, best first."""
        found = [
            (tick, qty - self.taken.get((side, tick), 0)) for tick, qty in self.books[side].items()
        ]
        return sorted(found, key=lambda level: -level[0] * side)

    def fill(self, order: Order, tick: int, qty: int, word: str) -> None:
        order.left -= qty
        order.done += qty
        self.out.append((word, order.slot, tick, qty))
        if order.left == 0 and order in self.orders:
            self.orders.remove(order)

    def consume(self, order: Order, word: str, at_own_price: bool) -> None:
        """What the other side offers within the order's price."""
        total = 0
        for tick, qty in self.offered(-order.side):
            piece = min(max(qty, 0) // LOT * LOT, order.left - total)
            if (order.tick - tick) * order.side < 0 or piece <= 0:
                continue
            key = (-order.side, tick)
            self.taken[key] = self.taken.get(key, 0) + piece
            if at_own_price:
                total += piece
            else:
                self.fill(order, tick, piece, word)
        if total:
            self.fill(order, order.tick, total, word)

    def set_level(self, side: int, tick: int, qty: int) -> None:
        before = self.books[side].get(tick, 0)
        for order in self.orders:
            if order.side == side and order.tick == tick:
                self.move(order, before, qty)
        self.taken.pop((side, tick), None)
        if qty:
            self.books[side][tick] = qty
        else:
            self.books[side].pop(tick, None)

    def move(self, order: Order, before: int, now: int) -> None:
        change = before - now - order.printed
        if self.power is not None and change >= 0:
            order.front = min(order.front, before)
            # In quantities, as the venue: the power share itself does not depend on the unit.
            front, back = order.front / 1e4, before / 1e4 - order.front / 1e4
            change_q = before / 1e4 - now / 1e4 - order.printed / 1e4
            whole = back**self.power + front**self.power
            if change_q < 0:
                front = min(front, now / 1e4)
            elif whole == 0:
                front = now / 1e4
            else:
                p = back**self.power / whole
                front = min(front - (1 - p) * change_q + min(back - p * change_q, 0), now / 1e4)
            order.front = max(ceil(front * 1e4 - 1e-6), 0)
        order.front = min(order.front, now)
        order.printed = 0

    def depth(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        for side, levels in ((BID, bids), (ASK, asks)):
            for tick, qty in levels:
                self.set_level(side, tick, qty)
        self.settle()

    def settle(self) -> None:
        best = [max(self.books[BID], default=-1), min(self.books[ASK], default=10**6)]
        self.healthy = best[0] < best[1] and bool(self.books[BID] or self.books[ASK])
        if not self.healthy:
            self.unhealthy = True
            return
        if self.unhealthy:
            for order in self.orders:
                order.front = min(order.front, self.books[order.side].get(order.tick, 0))
                order.printed = 0
            self.unhealthy = False
        for side in (BID, ASK):
            for order in self.queue(side):
                self.consume(order, "made", at_own_price=True)
                if order.left:
                    break

    def snapshot(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        books = {BID: dict(bids), ASK: dict(asks)}
        for order in self.orders if not self.unhealthy else []:
            before = self.books[order.side].get(order.tick, 0)
            self.move(order, before, books[order.side].get(order.tick, 0))
        self.books = books
        self.taken.clear()
        self.chain = True
        self.settle()

    def gap(self) -> None:
        self.chain = self.healthy = False
        self.unhealthy = True

    def trade(self, side: int, tick: int, qty: int) -> None:
        if not self.healthy:
            return
        used = 0
        for order in self.queue(-side):
            past = (order.tick - tick) * order.side
            if past < 0:
                continue
            reach = qty
            if past == 0:
                excess = max(qty - int(order.front), 0)
                order.front = max(order.front - qty, 0)
                order.printed += qty
                reach = excess // LOT * LOT
            got = min(max(reach - used, 0) // LOT * LOT, order.left)
            if got:
                used += got
                self.fill(order, order.tick, got, "made")

    def place(self, slot: int, side: int, tick: int, qty: int, tif: int) -> None:
        if any(order.slot == slot for order in self.orders):
            self.out.append(("refused", slot, tick, qty))
            return
        self.arrive(Order(slot, side, tick, qty, tif, 0.0), "ack")

    def arrive(self, order: Order, answer: str) -> None:
        offers = [t for t, q in self.offered(-order.side) if q > 0]
        crosses = bool(offers) and (order.tick - offers[0]) * order.side >= 0
        if crosses and self.healthy:
            if order.tif == GTX:
                self.out.append(("expired", order.slot, order.tick, order.left))
                return
            within = [
                q // LOT * LOT
                for t, q in self.offered(-order.side)
                if q > 0 and (order.tick - t) * order.side >= 0
            ]
            if order.tif != FOK or sum(within) >= order.left:
                self.consume(order, "took", at_own_price=False)
            if order.left == 0:
                return
        if order.tif in (IOC, FOK):
            self.out.append(("expired", order.slot, order.tick, order.left))
            return
        there = self.books[order.side].get(order.tick, 0)
        order.front = there if self.healthy else float(2**62)
        order.printed = 0
        self.orders.append(order)
        self.out.append((answer, order.slot, order.tick, order.left))

    def cancel(self, slot: int) -> None:
        for order in self.orders:
            if order.slot == slot:
                self.orders.remove(order)
                self.out.append(("cancelled", slot, order.tick, order.left))
                return
        self.out.append(("refused", slot, 0, 0))

    def amend(self, slot: int, tick: int, qty: int, done: int) -> None:
        for order in self.orders:
            if order.slot != slot:
                continue
            left = qty + done - order.done
            if left <= 0:
                self.cancel(slot)
            elif tick == order.tick and left <= order.left:
                order.left = left
                self.out.append(("amended", slot, tick, left))
            else:
                self.orders.remove(order)
                order.tick, order.left = tick, left
                self.arrive(order, "amended")
            return
        self.out.append(("refused", slot, tick, qty))


def told(answers: Rows) -> list[tuple[str, int, int, int]]:
    words = {
        Kind.ACK: "ack",
        Kind.REJECT: "refused",
        Kind.EXPIRED: "expired",
        Kind.CANCELLED: "cancelled",
        Kind.AMENDED: "amended",
    }
    found = []
    for row in answers:
        word = words.get(Kind(row["kind"]), "made" if row["flags"] & Flag.MAKER else "took")
        found.append((word, int(row["slot"]), int(row["tick"]), int(row["qty"])))
    return found


def naive_step(
    model: Naive, what: tuple[object, ...], done: int
) -> list[tuple[str, int, int, int]]:
    model.out = []
    if what[0] == "snapshot":
        model.snapshot([(99, 40), (98, 30), (97, 20)], [(101, 40), (102, 30), (103, 20)])
    elif what[0] == "depth" and not model.chain:
        model.gap()
    elif what[0] == "amend":
        model.amend(*what[1:], done)  # type: ignore[arg-type]
    else:
        getattr(model, str(what[0]))(*what[1:])
    return model.out


@pytest.mark.parametrize("power", [None, 2.0])
@settings(max_examples=80, deadline=None)
@given(tape=tapes)
def test_a_naive_venue_answers_alike(power: float | None, tape: list[tuple[object, ...]]) -> None:
    venue = Venue(spec(), queue="risk_averse" if power is None else "power", exponent=power or 1.0)
    stage = Stage(venue)
    model = Naive(power)
    naive_step(model, ("snapshot",), 0)
    for what in tape:
        done = 0
        if what[0] == "amend":
            # Known when the amend was sent: everything, or nothing of what has filled.
            slot = int(str(what[1]))
            done = next((o.done for o in model.orders if o.slot == slot), 0) * (stage.now % 2)
            stage.filled = {slot: done}
        expected = naive_step(model, what, done)
        assert told(stage.step(what)) == expected, what
