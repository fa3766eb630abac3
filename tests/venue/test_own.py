"""Own orders: whatever is lost, doubled, late or out of order, each thing is told once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_desk import AMEND, CANCEL, IDS, PLACE, SECOND, SPOT, Desk, request

from mmcore._orders import Orders
from mmcore.adapters._own import Own, VenueFill
from mmcore.events import Flag, Kind, PaidCode, RejectCode
from mmcore.gateway import Rows, VenueOrder

ENDINGS = {Kind.CANCELLED, Kind.EXPIRED}


# --- one thing at a time --------------------------------------------------------------------------


def test_an_ending_waits_for_the_fills_it_speaks_of():
    desk = Desk()
    own = desk.place()
    desk.own.resting(own, 100, 5, 0)
    desk.own.ended(own, Kind.CANCELLED, RejectCode.NONE, 3)
    assert desk.told() == [("ACK", 5)]
    desk.now += SECOND
    assert desk.own.unresolved(desk.now) == [own], "the missing fills must be asked for"
    desk.fill(own, 1, 3)
    assert desk.told()[1:] == [("FILL", 3), ("CANCELLED", 2)]
    desk.fill(own, 1, 3)
    desk.own.resting(own, 100, 5, 0)
    desk.own.ended(own, Kind.CANCELLED, RejectCode.NONE, 3)
    assert len(desk.rows) == 3
    assert desk.own.n_duplicates == 1


def test_a_fill_proves_that_the_order_was_placed():
    desk = Desk()
    own = desk.place()
    desk.fill(own, 1, 2)
    desk.own.resting(own, 100, 5, 0)
    desk.fill(own, 2, 3)
    assert desk.told() == [("ACK", 5), ("FILL", 2), ("FILL", 3)]
    assert desk.rows[-1]["flags"] & Flag.LAST
    assert not desk.own.live


def test_fills_of_a_time_without_the_stream_are_told_as_they_happened():
    desk = Desk()
    buy, sell = desk.place(0), desk.place(1, side=-1)
    for own in (buy, sell):
        desk.own.resting(own, own.tick, 5, 0)
    desk.rows.clear()
    desk.own.hold()
    assert desk.fill(sell, 12, 5, ts_ns=9 * SECOND)  # the order that was asked for first
    desk.own.ended(sell, Kind.FILL, RejectCode.NONE, 5)
    assert desk.rows == []
    early = [
        VenueFill(
            instrument=0, client_id=buy.client_id, venue_id="", side=1, trade_id=i, tick=100,
            qty=1, fee=0, fee_asset="USDT", maker=True, ts_ns=i * SECOND,
        )
        for i in (7, 8)
    ]  # fmt: skip
    desk.own.refill((), early, False, asked_ns=desk.now)
    assert [int(row["seq"]) for row in desk.rows] == [7, 8, 12]
    assert not sell.ended or sell.told == 5
    desk.fill(buy, 13, 1)
    assert int(desk.rows[-1]["seq"]) == 13  # the stream is trusted again


def test_fills_are_not_held_for_ever():
    desk = Desk()
    own = desk.place()
    desk.own.hold()
    assert desk.fill(own, 1, 2)
    assert desk.rows == []
    desk.now += 60 * SECOND
    desk.fill(own, 2, 3, ts_ns=SECOND)
    assert desk.told() == [("ACK", 5), ("FILL", 2), ("FILL", 3)]


def test_a_fill_that_names_only_the_venues_id_waits_for_it():
    desk = Desk()
    own = desk.place()
    assert not desk.fill(own, 1, 5, client_id="", venue_id="v9")
    desk.own.acked(own, "v9")
    assert desk.told() == [("ACK", 5), ("FILL", 5)]


def test_a_last_fill_that_overtakes_another_does_not_end_the_order():
    desk = Desk()
    own = desk.place()
    desk.fill(own, 2, 3, done=5, last=True)
    assert own.client_id in desk.own.live
    desk.fill(own, 1, 2, done=2)
    assert [bool(r["flags"] & Flag.LAST) for r in desk.rows] == [False, False, True]


def test_unknown_order_is_asked_for_not_told():
    desk = Desk()
    own = desk.place()
    desk.own.resting(own, 100, 5, 0)
    assert desk.own.cancelling(request(CANCEL, 0, 1)) is own
    desk.own.refused(own, CANCEL, RejectCode.UNKNOWN_ORDER)
    assert desk.told() == [("ACK", 5)]
    desk.now += SECOND
    assert desk.own.unresolved(desk.now) == [own]
    desk.own.ended(own, Kind.FILL, RejectCode.NONE, 5)
    desk.fill(own, 1, 5)
    assert desk.told()[1:] == [("FILL", 5)]


def test_an_amend_that_lost_against_the_fill_is_refused():
    desk = Desk()
    own = desk.place()
    desk.own.resting(own, 100, 5, 0)
    desk.own.amending(request(AMEND, 0, 1, tick=101, qty=9))
    desk.fill(own, 1, 5)
    desk.own.ended(own, Kind.FILL, RejectCode.NONE, 5)
    assert desk.told()[1:] == [("FILL", 5), ("REJECT", 0)]
    assert desk.rows[-1]["code"] == RejectCode.UNKNOWN_ORDER


def test_an_amend_asks_for_what_is_filled_and_the_rest():
    desk = Desk()
    own = desk.place()
    desk.own.resting(own, 100, 5, 0)
    desk.fill(own, 1, 2)
    assert desk.own.amending(request(AMEND, 0, 1, tick=101, qty=4, done=2)) is own
    assert (own.op_tick, own.op_total) == (101, 6)
    desk.own.amended(own, 100, 5, 2)  # the answer to something older
    assert desk.told()[-1] == ("FILL", 2)
    desk.own.amended(own, 101, 6, 3)  # a fill of 1 is on its way
    assert desk.told()[-1] == ("AMENDED", 4)
    desk.fill(own, 2, 1)
    assert own.remaining == 3


def test_no_such_order_counts_once_nothing_can_arrive_any_more():
    desk = Desk(settle_ns=5 * SECOND)
    own = desk.place()
    desk.own.unknown(own, PLACE)
    while not desk.rows:
        assert desk.now < 12 * SECOND
        for asked in desk.own.unresolved(desk.now):
            desk.own.absent(asked)
        desk.now += SECOND // 5
    assert desk.now >= 6 * SECOND
    assert desk.told() == [("REJECT", 5)]


def test_a_request_without_an_answer_is_asked_for():
    desk = Desk(answer_ns=2 * SECOND)
    own = desk.place()
    assert desk.own.unresolved(desk.now + SECOND) == []
    desk.now += 2 * SECOND
    assert desk.own.unresolved(desk.now) == [own]
    desk.own.resting(own, 100, 5, 0, asked=True)
    assert desk.told() == [("ACK", 5)]
    assert desk.own.unresolved(desk.now + SECOND) == []


def test_fees_in_the_coin_are_told_in_whole_units_against_us():
    desk = Desk(SPOT)
    desk.own.coin_dust(0, 1_000_000_030)  # thirty quanta below a unit
    own = desk.place(qty=1000)
    desk.fill(own, 1, 500, fee=50, fee_asset="BTC")
    desk.fill(own, 2, 500, fee=250, fee_asset="BTC")
    paid = [int(r["qty"]) for r in desk.rows if r["kind"] == Kind.PAID]
    # Thirty are covered by the dust; of the 270 beyond it three units of a hundred are gone.
    assert paid == [1, 2]
    codes = {int(r["code"]) for r in desk.rows if r["kind"] == Kind.PAID}
    assert codes == {PaidCode.COIN_FEE}
    assert all(r["aux"] == 0 for r in desk.rows if r["kind"] == Kind.FILL)


def test_a_fee_in_a_third_asset_is_said_once():
    desk = Desk()
    own = desk.place()
    desk.fill(own, 1, 1, fee_asset="BNB")
    desk.fill(own, 2, 1, fee_asset="BNB")
    assert len(desk.notices) == 1 and "BNB" in desk.notices[0]


def test_a_fill_of_an_earlier_start_is_booked():
    desk = Desk()
    old = replace(IDS, epoch=6).make(3, 9)
    desk.fill(desk.place(), 1, 2, client_id=old, venue_id="x")
    assert desk.told() == [("FILL", 2)]
    assert desk.rows[0]["slot"] == 0xFFFF
    assert desk.own.n_orphans == 1


def test_somebody_elses_fill_is_not_ours():
    desk = Desk()
    assert not desk.fill(desk.place(), 1, 2, client_id="by-hand", venue_id="x")
    assert desk.rows == []


def test_a_reading_names_what_should_not_be_there():
    desk = Desk()
    own = desk.place()
    ghost = VenueOrder(
        instrument=0,
        client_id=IDS.make(9, 9),
        venue_id="g",
        side=1,
        tick=1,
        qty=1,
        done=0,
        own=True,
    )
    desk.now += 1
    mine = replace(ghost, client_id=own.client_id, venue_id="v", tick=100, qty=5)
    assert desk.own.refill([ghost, mine], [], asked_ns=desk.now) == [ghost]
    assert desk.told() == [("ACK", 5)]


# --- a naive venue behind a bad line --------------------------------------------------------------


@dataclass(eq=False)
class Order:
    """The venue's truth."""

    client_id: str
    venue_id: str
    side: int
    tick: int
    total: int
    done: int = 0
    state: str = "open"
    fills: list[VenueFill] = field(default_factory=list)


class Naive:
    """A venue, the two lines to it, and an engine's order table that is told what OwnOrders tells.

    Requests and news wait in bags out of which anything may be taken next, lost or doubled.
    """

    def __init__(self, rng: Random, lossy: float) -> None:
        self.rng, self.lossy = rng, lossy
        self.desk = Desk(answer_ns=2 * SECOND, settle_ns=5 * SECOND)
        self.own = self.desk.own
        self.own.emit = self.told
        self.table = Orders(6)
        self.orders: dict[str, Order] = {}
        self.sent: list[tuple[int, Callable[[], None]]] = []  # latest arrival, what it does
        self.news: list[Callable[[], None]] = []
        self.n_trades = 0
        self.position = self.seen_position = 0
        self.acks: Counter[tuple[int, int]] = Counter()
        self.ends: Counter[tuple[int, int]] = Counter()
        self.trades: Counter[int] = Counter()

    # the engine's side

    def told(self, rows: Rows) -> None:
        for row in rows:
            kind, name = Kind(row["kind"]), (int(row["slot"]), int(row["generation"]))
            before = {o["slot"]: o["state"] for o in self.table.open()}
            known_order = self.table.answer(
                kind, *name, tick=int(row["tick"]), qty=int(row["qty"]), code=int(row["code"]),
                last=bool(row["flags"] & Flag.LAST),
            )  # fmt: skip
            assert known_order, f"{kind.name} for an order that has ended"
            gone = name[0] not in {o["slot"] for o in self.table.open()}
            if kind is Kind.ACK:
                self.acks[name] += 1
                assert before[name[0]] == "new"
            elif kind is Kind.FILL:
                self.trades[int(row["seq"])] += 1
                self.seen_position += int(row["side"]) * int(row["qty"])
            ending = kind in ENDINGS or bool(row["flags"] & Flag.LAST) or kind is Kind.REJECT
            assert not gone or ending, "an order ended without an ending"
            self.ends[name] += gone
        assert max(self.acks.values(), default=0) <= 1
        assert max(self.trades.values(), default=0) <= 1
        assert max(self.ends.values(), default=0) <= 1

    def ask_for_something(self) -> None:
        rng, live = self.rng, [o for o in self.table.open() if o["state"] == "live"]
        if live and rng.random() < 0.7:
            order = rng.choice(live)
            name = order["slot"], order["generation"]
            if rng.random() < 0.6:
                tick, qty = rng.randint(90, 110), rng.randint(1, 9)
                own = self.own.find(client_id=IDS.make(*name))
                assert own is not None
                self.table.amend(name[0], tick, qty)
                row = request(AMEND, *name, tick=tick, qty=qty, done=own.told)
                if self.own.amending(row) is own:
                    self.line(lambda a=own.op_tick, b=own.op_total: self.amend(own, a, b))
            else:
                self.table.cancel(name[0])
                own = self.own.cancelling(request(CANCEL, *name))
                if own is not None:
                    self.line(lambda: self.cancel(own))
        else:
            side, tick, qty = rng.choice((1, -1)), rng.randint(90, 110), rng.randint(1, 9)
            place = self.table.place(side, tick, qty)
            if place is not None:
                own = self.own.placing(request(PLACE, *place, side=side, tick=tick, qty=qty))
                self.line(lambda: self.place(own, tick, qty))

    def line(self, arrival: Callable[[], None]) -> None:
        if self.rng.random() >= self.lossy:
            self.sent.append((self.desk.now + 4 * SECOND, arrival))

    # the venue's side

    def tell(self, news: Callable[[], None]) -> None:
        copies = 0 if self.rng.random() < self.lossy else 2 if self.rng.random() < 0.15 else 1
        self.news += [news] * copies

    @staticmethod
    def to(own: Own, answer: Callable[[], None]) -> Callable[[], None]:
        """An answer is matched to its request, whatever else has come meanwhile."""
        sent = own.op, own.op_tick, own.op_total, own.sent_ns
        return lambda: (
            answer() if sent == (own.op, own.op_tick, own.op_total, own.sent_ns) else None
        )

    def place(self, own: Own, tick: int, qty: int) -> None:
        fate = self.rng.random()
        order = Order(own.client_id, f"v{len(self.orders)}", own.side, tick, qty)
        if fate < 0.1:
            self.tell(self.to(own, lambda: self.own.refused(own, PLACE, RejectCode.LIMIT)))
            return
        self.orders[own.client_id] = order
        self.tell(lambda: self.own.acked(own, order.venue_id))
        if fate < 0.2:
            order.state = "expired"
        self.stream(own, order)

    def stream(self, own: Own, order: Order) -> None:
        """The order as it stands, on the order stream."""
        tick, total, done, state = order.tick, order.total, order.done, order.state
        if state == "open":
            self.tell(lambda: self.own.resting(own, tick, total, done))
        else:
            how = {"filled": Kind.FILL, "expired": Kind.EXPIRED}.get(state, Kind.CANCELLED)
            code = RejectCode.POST_ONLY if state == "expired" else RejectCode.NONE
            said = done if state == "filled" or self.rng.random() < 0.8 else None
            self.tell(lambda: self.own.ended(own, how, code, said))
        self.tell(lambda: self.own.acked(own, order.venue_id))

    def amend(self, own: Own, tick: int, total: int) -> None:
        order = self.orders.get(own.client_id)
        if order is None or order.state != "open":
            self.tell(self.to(own, lambda: self.own.refused(own, AMEND, RejectCode.UNKNOWN_ORDER)))
        elif self.rng.random() < 0.15:
            self.tell(self.to(own, lambda: self.own.refused(own, AMEND, RejectCode.FILTER)))
        elif total <= order.done:
            order.state = "cancelled"
            self.stream(own, order)
        else:
            order.tick, order.total = tick, total
            if self.rng.random() < 0.5:
                done = order.done
                self.tell(lambda: self.own.amended(own, tick, total, done))
            self.stream(own, order)

    def cancel(self, own: Own) -> None:
        order = self.orders.get(own.client_id)
        if order is None or order.state != "open":
            self.tell(self.to(own, lambda: self.own.refused(own, CANCEL, RejectCode.UNKNOWN_ORDER)))
        else:
            order.state = "cancelled"
            self.stream(own, order)

    def trade(self) -> None:
        book = [o for o in self.orders.values() if o.state == "open"]
        if not book:
            return
        order = self.rng.choice(book)
        own = self.own.find(client_id=order.client_id)
        assert own is not None
        qty = self.rng.randint(1, order.total - order.done)
        order.done += qty
        self.position += order.side * qty
        self.n_trades += 1
        last = order.done == order.total
        fill = VenueFill(
            instrument=0, client_id=order.client_id if self.rng.random() < 0.8 else "",
            venue_id=order.venue_id, side=order.side, trade_id=self.n_trades, tick=order.tick,
            qty=qty, fee=1, fee_asset="USDT", maker=True,
            done=order.done if self.rng.random() < 0.5 else None, last=last,
        )  # fmt: skip
        if fill.done is None:
            fill = replace(fill, last=False)
        order.fills.append(fill)
        if last:
            order.state = "filled"
        self.tell(lambda: self.own.filled(fill))
        self.stream(own, order)

    # the world

    def deliver(self, bag: list[Any]) -> None:
        if bag:
            bag.pop(self.rng.randrange(len(bag)))()

    def wait(self, ns: int) -> None:
        """Time goes on; a request that is still on its way by its end never arrives."""
        self.desk.now += ns
        self.sent = [entry for entry in self.sent if entry[0] > self.desk.now]

    def resolve(self) -> None:
        """Ask for what is missing; the answer is the truth of the moment, and may get lost."""
        answers: list[Callable[[], None]] = []
        for own in self.own.unresolved(self.desk.now):
            order = self.orders.get(own.client_id)
            if self.rng.random() < self.lossy:
                continue
            if order is None:
                answers.append(lambda own=own: self.own.absent(own))
            else:
                copy = replace(order)
                answers.append(lambda own=own, copy=copy: self.answer(own, copy))
        while answers:
            self.deliver(answers)
            if self.rng.random() < 0.5:
                self.something()

    def answer(self, own: Own, order: Order) -> None:
        self.own.acked(own, order.venue_id)
        for fill in list(order.fills):
            self.own.filled(fill)
        if order.state == "open":
            self.own.resting(own, order.tick, order.total, order.done, asked=True)
        else:
            how = {"filled": Kind.FILL, "expired": Kind.EXPIRED}.get(order.state, Kind.CANCELLED)
            code = RejectCode.POST_ONLY if order.state == "expired" else RejectCode.NONE
            self.own.ended(own, how, code, order.done)

    def refill(self) -> None:
        asked_ns = self.desk.now
        fills = [fill for order in self.orders.values() for fill in order.fills]
        orders = [
            VenueOrder(
                instrument=0, client_id=o.client_id, venue_id=o.venue_id, side=o.side, tick=o.tick,
                qty=o.total, done=o.done, own=True,
            )
            for o in self.orders.values()
            if o.state == "open"
        ]  # fmt: skip
        if self.lossy >= 0.0 and self.rng.random() < 0.5:
            self.something()
        for order in self.own.refill(orders, fills, asked_ns=asked_ns):
            assert self.orders[order.client_id].state != "open", "a live order was given up"

    def something(self) -> None:
        pick = self.rng.random()
        if pick < 0.25:
            self.ask_for_something()
        elif pick < 0.5 and self.sent:
            self.sent.pop(self.rng.randrange(len(self.sent)))[1]()
        elif pick < 0.8:
            self.deliver(self.news)
        elif pick < 0.95:
            self.trade()
        else:
            self.wait(self.rng.choice((SECOND // 100, SECOND, 3 * SECOND)))

    def settle(self) -> None:
        """The line is good again: everything is found out."""
        self.lossy = -1.0
        while self.sent or self.news:
            if self.sent:
                self.sent.pop(self.rng.randrange(len(self.sent)))[1]()
            self.deliver(self.news)
        for _ in range(12):
            self.wait(SECOND)
            self.refill()
            for own in self.own.unresolved(self.desk.now):
                order = self.orders.get(own.client_id)
                if order is None:
                    self.own.absent(own)
                else:
                    self.answer(own, order)
            self.sent.clear()

    def check(self) -> None:
        mine = {
            IDS.make(o["slot"], o["generation"]): (o["side"], o["tick"], o["qty"], o["state"])
            for o in self.table.open()
        }
        venues = {
            o.client_id: (o.side, o.tick, o.total - o.done, "live")
            for o in self.orders.values()
            if o.state == "open"
        }
        assert mine == venues
        assert set(self.own.live) == set(venues)
        assert self.seen_position == self.position
        assert set(self.trades) == set(range(1, self.n_trades + 1))
        assert self.table.n_orphans == 0


@given(
    seed=st.integers(0, 2**32), lossy=st.sampled_from((0.0, 0.05, 0.3)), steps=st.integers(1, 400)
)
@settings(max_examples=150)
def test_whatever_the_line_does_the_engine_learns_the_truth(seed: int, lossy: float, steps: int):
    venue = Naive(Random(seed), lossy)
    for _ in range(steps):
        venue.something()
        if venue.rng.random() < 0.1:
            venue.resolve()
        if venue.rng.random() < 0.02:
            venue.refill()
        if venue.rng.random() < 0.02:
            venue.own.hold()  # the stream of fills is gone
    venue.settle()
    venue.check()


@pytest.mark.slow
@pytest.mark.parametrize("lossy", [0.0, 0.1, 0.4])
def test_the_same_for_thousands_of_days(lossy: float):
    for seed in range(1500):
        venue = Naive(Random(seed), lossy)
        for _ in range(300):
            venue.something()
            if venue.rng.random() < 0.1:
                venue.resolve()
        venue.settle()
        venue.check()
