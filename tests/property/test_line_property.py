"""Own orders among orders with ids: the compiled line and the levels, beside naive queues."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from l3_tape import LOT_SIZE, TICK_SIZE, tape
from numpy.typing import NDArray

from mmcore._book import Book
from mmcore._spec import SpecBox
from mmcore._tally import Tally
from mmcore._venue import Venue
from mmcore.events import ASK, BID, EVENT, REQUEST, Flag, Kind, RequestKind, TimeInForce

Rows = NDArray[np.void]
BOTH = int(Flag.EXCH | Flag.LOCAL)
LOT, DIV = 10, 1000
FAR = ((BID, 50, 90), (ASK, 150, 91))  # keep both sides of the book filled


def spec() -> SpecBox:
    return SpecBox("0.1", 3, "1", LOT, 0, 0, 0, 0, 0, 0, 0, 0)


# ---- what happens

ids = st.integers(1, 9)
qtys = st.integers(1, 60)
sides = st.sampled_from([BID, ASK])
behind = st.integers(0, 3)  # ticks from the best price an order of a side can have
told = st.tuples(ids, sides, behind, qtys)
slots = st.integers(0, 4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), told),
        st.tuples(st.just("change"), told),
        st.tuples(st.just("cancel"), told),
        st.tuples(st.just("execute"), told),
        st.tuples(st.just("execute"), told),
        st.tuples(
            st.just("clear"),
            st.sampled_from([BID, ASK, 0]),
            st.lists(told, max_size=6),
            st.one_of(st.none(), behind),
        ),
        st.tuples(st.just("place"), slots, sides, behind, st.integers(1, 6)),
        st.tuples(st.just("place"), slots, sides, behind, st.integers(1, 6)),
        st.tuples(st.just("amend"), slots, behind, st.integers(1, 6)),
        st.tuples(st.just("drop"), slots),
    ),
    max_size=60,
)
KINDS = {
    "add": Kind.ORDER_ADD,
    "change": Kind.ORDER_CHANGE,
    "cancel": Kind.ORDER_CANCEL,
    "execute": Kind.ORDER_EXECUTE,
}


def market_tick(side: int, away: int) -> int:
    return 99 - away if side == BID else 101 + away


def own_tick(side: int, away: int) -> int:
    """From one tick better than the market's best on."""
    return 100 - side * away


def cleared(side: int, tick: int, of_side: int, at_tick: int) -> bool:
    """Whether a clear of a side, down to a tick unless that is 0, concerns a price."""
    return side == 0 or (side == of_side and (tick == 0 or (at_tick - tick) * side >= 0))


# ---- the naive model


@dataclass
class Theirs:
    side: int
    tick: int
    qty: int
    done: int = 0


@dataclass
class Own:
    slot: int
    side: int
    tick: int
    left: int
    done: int = 0


@dataclass
class Line:
    """Every price a list of who stands there: ids of orders and own orders, in their order."""

    orders: dict[int, Theirs] = field(default_factory=dict)
    own: dict[int, Own] = field(default_factory=dict)
    queues: dict[tuple[int, int], list[Any]] = field(default_factory=dict)
    fills: list[tuple[int, int, int]] = field(default_factory=list)

    def queue(self, side: int, tick: int) -> list[Any]:
        return self.queues.setdefault((side, tick), [])

    def enter(self, number: int, order: Theirs, *, at_clear: bool) -> None:
        self.orders[number] = order
        queue = self.queue(order.side, order.tick)
        at = len(queue)
        if at_clear:  # it was there before: ahead of all own orders
            at = next((i for i, each in enumerate(queue) if isinstance(each, Own)), at)
        queue.insert(at, number)

    def leave(self, number: int) -> None:
        order = self.orders.pop(number)
        self.queue(order.side, order.tick).remove(number)

    def tell(
        self, what: str, number: int, side: int, tick: int, qty: int, *, at_clear: bool
    ) -> None:
        known = self.orders.get(number)
        if what == "execute":
            self.execute(number, known, side, tick, qty)
        elif what == "cancel":
            if known:
                self.leave(number)
        elif known and (known.side, known.tick) == (side, tick) and qty <= known.qty:
            known.qty, known.done = qty, 0
        elif known or what == "add":
            if known:
                self.leave(number)
            self.enter(number, Theirs(side, tick, qty), at_clear=at_clear)

    def execute(self, number: int, known: Theirs | None, side: int, tick: int, qty: int) -> None:
        first: list[Own] = []
        if known:
            qty = min(qty, known.qty - known.done)
            known.done += qty
            side, tick = known.side, known.tick
            queue = self.queue(side, tick)
            first = [each for each in queue[: queue.index(number)] if isinstance(each, Own)]
        mine = [own for own in self.own.values() if own.side == side]
        better = [own for own in mine if (own.tick - tick) * side > 0]
        for own in [*self.in_turn(better), *first]:
            got = min(qty - qty % LOT, own.left)
            if got > 0:
                qty -= got
                own.left -= got
                own.done += got
                self.fills.append((own.slot, own.tick, got))
                if own.left == 0:
                    self.drop(own.slot)

    def in_turn(self, own: list[Own]) -> list[Own]:
        """Best price first, then in the order of their queues."""
        return sorted(
            own,
            key=lambda each: (-each.tick * each.side, self.queue(each.side, each.tick).index(each)),
        )

    def clear(self, side: int, tick: int) -> None:
        """A side from its best price to this one, 0: all of it; or both."""
        gone = [n for n, each in self.orders.items() if cleared(side, tick, each.side, each.tick)]
        for number in gone:
            self.leave(number)

    def place(self, slot: int, side: int, tick: int, qty: int) -> None:
        if slot not in self.own:
            self.own[slot] = Own(slot, side, tick, qty)
            self.queue(side, tick).append(self.own[slot])

    def drop(self, slot: int) -> None:
        if own := self.own.pop(slot, None):
            queue = self.queue(own.side, own.tick)
            del queue[next(i for i, each in enumerate(queue) if each is own)]

    def amend(self, slot: int, away: int, qty: int) -> None:
        if not (own := self.own.get(slot)):
            return
        tick = own_tick(own.side, away)
        if tick == own.tick and qty <= own.left:
            own.left = qty
            return
        self.drop(slot)
        self.place(slot, own.side, tick, qty)
        self.own[slot].done = own.done

    def ahead(self, own: Own) -> int:
        total = 0
        for each in self.queue(own.side, own.tick):
            if each is own:
                return total
            total += 0 if isinstance(each, Own) else self.orders[each].qty
        raise AssertionError

    def levels(self, side: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for order in self.orders.values():
            if order.side == side:
                found[order.tick] = found.get(order.tick, 0) + order.qty
        return found


# ---- the compiled one


class Stage:
    """A venue that is told through the tally, an instant a step."""

    def __init__(self, *, together: bool) -> None:
        self.venue = Venue(spec(), queue="fifo")
        self.tally = Tally(together=together)
        self.now = 0
        self.generation = dict.fromkeys(range(5), 0)

    def tell(self, *told: tuple[Kind, int, int, int, int]) -> Rows:
        """Rows of one instant, then the next instant, which ends it."""
        rows = np.zeros(len(told) + 1, EVENT)
        for row, (kind, number, side, tick, qty) in zip(rows, told, strict=False):
            row["kind"], row["aux"], row["side"], row["tick"], row["qty"] = (
                kind, number, side, tick, qty,
            )  # fmt: skip
            row["ts_venue_ns"] = row["ts_local_ns"] = self.now + 1
        self.now += 2
        rows[-1]["kind"] = Kind.OTHER
        rows[-1]["ts_venue_ns"] = rows[-1]["ts_local_ns"] = self.now
        rows["flags"] = BOTH
        return self.venue.market(self.tally.run(rows))

    def request(self, kind: RequestKind, own: Own, tick: int, qty: int) -> None:
        row = np.zeros(1, REQUEST)
        if kind == RequestKind.PLACE:
            self.generation[own.slot] += 1
        row["kind"], row["slot"], row["generation"] = kind, own.slot, self.generation[own.slot]
        row["side"], row["tif"], row["done"] = own.side, TimeInForce.GTX, own.done
        row["tick"], row["qty"], row["ts_ns"] = tick, qty, self.now
        self.venue.request(row, self.now)


def ask(stage: Stage, line: Line, what: str, slot: int, rest: list[Any]) -> None:
    """A request of ours on both."""
    own = line.own.get(slot)
    if what == "place" and own is None:
        side, away, lots = rest
        line.place(slot, side, own_tick(side, away), lots * LOT)
        own = line.own[slot]
        stage.request(RequestKind.PLACE, own, own.tick, own.left)
    elif what == "amend" and own:
        away, lots = rest
        stage.request(RequestKind.AMEND, own, own_tick(own.side, away), lots * LOT)
        line.amend(slot, away, lots * LOT)
    elif what == "drop" and own:
        stage.request(RequestKind.CANCEL, own, own.tick, 0)
        line.drop(slot)


def play(stage: Stage, line: Line, step: tuple[Any, ...]) -> list[tuple[int, int, int]]:
    """One step on both; the venue's fills."""
    what, *rest = step
    line.fills = []
    if what in ("place", "amend", "drop"):
        ask(stage, line, what, rest[0], rest[1:])
        return []
    if what == "clear":
        side, again, to = rest
        to_tick = 0 if side == 0 or to is None else market_tick(side, to)
        rows = [(Kind.CLEAR, 0, side, to_tick, 0)]
        line.clear(side, to_tick)
        if side == 0:
            again = [(90 + i, *far) for i, far in enumerate(FAR)] + again
        for number, each_side, away, qty in again:
            tick = away if number >= 90 else market_tick(each_side, away)
            rows.append((Kind.ORDER_ADD, number, each_side, tick, qty))
            at_clear = cleared(side, to_tick, each_side, tick)
            line.tell("add", number, each_side, tick, qty, at_clear=at_clear)
    else:
        number, side, away, qty = rest[0]
        rows = [(KINDS[what], number, side, market_tick(side, away), qty)]
        line.tell(what, number, side, market_tick(side, away), qty, at_clear=False)
    answers = stage.tell(*rows)
    made = answers[answers["kind"] == Kind.FILL]
    return [(int(r["slot"]), int(r["tick"]), int(r["qty"])) for r in made]


@settings(max_examples=80, deadline=None)
@given(steps, st.booleans())
def test_a_naive_line_answers_alike(tape_of: list[tuple[Any, ...]], together: bool) -> None:
    stage, line = Stage(together=together), Line()
    play(stage, line, ("clear", 0, [], None))
    for step in tape_of:
        fills = play(stage, line, step)
        assert fills == line.fills, step
        resting = {int(row["slot"]): row for row in stage.venue.orders()}
        assert resting.keys() == line.own.keys(), step
        for slot, own in line.own.items():
            assert int(resting[slot]["left"]) == own.left
            assert round(float(resting[slot]["ahead"]) * DIV) == line.ahead(own), step
        for side in (BID, ASK):
            held = {int(r["tick"]): int(r["qty"]) for r in stage.venue.book.levels(side)}
            assert held == line.levels(side), step
    assert stage.venue.book.order_counters.resting == len(line.orders)


# ---- two clocks


def books_by_hand(rows: Rows, flag: Flag, clock: str) -> dict[int, list[dict[int, int]]]:
    """Levels of both sides after each instant of one clock, by ids in a dictionary."""
    orders: dict[int, tuple[int, int, int]] = {}
    after: dict[int, list[dict[int, int]]] = {}
    for row in rows[(rows["flags"] & int(flag)) > 0]:
        number, kind = int(row["aux"]), Kind(row["kind"])
        if kind == Kind.CLEAR:
            orders.clear()
        elif kind == Kind.ORDER_CANCEL:
            del orders[number]
        elif kind in (Kind.ORDER_ADD, Kind.ORDER_CHANGE):
            orders[number] = (int(row["side"]), int(row["tick"]), int(row["qty"]))
        levels: list[dict[int, int]] = [{}, {}]
        for side, tick, qty in orders.values():
            one = levels[side == ASK]
            one[tick] = one.get(tick, 0) + qty
        after[int(row[clock])] = levels
    return after


def raw_rows(data: Rows) -> Rows:
    """Rows of orders, one for one."""
    codes = {2: Kind.TRADE, 3: Kind.CLEAR, 10: Kind.ORDER_ADD, 11: Kind.ORDER_CANCEL,
             12: Kind.ORDER_CHANGE, 13: Kind.ORDER_EXECUTE}  # fmt: skip
    rows = np.zeros(len(data), EVENT)
    event = data["ev"].astype(np.int64)
    rows["kind"] = [codes[int(each)] for each in event & 0xFF]
    rows["flags"] = (event >> 31 & 1) * int(Flag.EXCH) + (event >> 30 & 1) * int(Flag.LOCAL)
    rows["side"] = (event >> 29 & 1) - (event >> 28 & 1)
    rows["ts_venue_ns"], rows["ts_local_ns"] = data["exch_ts"], data["local_ts"]
    rows["aux"], rows["tick"] = data["order_id"], np.rint(data["px"] / TICK_SIZE)
    rows["qty"] = np.rint(data["qty"] / LOT_SIZE)
    return rows


def books_seen(summed: Rows, flag: Flag, clock: str) -> dict[int, list[dict[int, int]]]:
    """The same of a book that is told the levels."""
    book, at = Book(spec()), 0
    book.bind(summed)
    after: dict[int, list[dict[int, int]]] = {}
    last_ns = 0
    while at < len(summed):
        row = summed[at]
        if row["flags"] & int(flag):
            assert int(row[clock]) >= last_ns
            last_ns = int(row[clock])
            book.update(at)
            after[last_ns] = [dict(book.levels(side).tolist()) for side in (BID, ASK)]
        levels = int(row["n_bids"]) + int(row["n_asks"]) if row["kind"] == Kind.DEPTH else 0
        at += 1 + (levels + 3) // 4
    return after


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 200), st.booleans())
def test_both_clocks_see_the_levels_that_their_orders_sum_to(
    seed: int, block: int, together: bool
) -> None:
    rows = raw_rows(tape(steps=120, seed=seed, clears=1))
    tally = Tally(together=together)
    blocks = [tally.run(rows[at : at + block]) for at in range(0, len(rows), block)]
    summed = np.concatenate([*blocks, tally.end()])
    assert tally.n_doubts == 0
    for flag, clock in ((Flag.EXCH, "ts_venue_ns"), (Flag.LOCAL, "ts_local_ns")):
        assert books_seen(summed, flag, clock) == books_by_hand(rows, flag, clock)
