"""The venue's rules, one by one, and each switch between default and parity."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcore._spec import SpecBox
from mmcore._venue import MEET, PARITY, PARITY_FIFO, PARITY_WHOLE, RULES, Venue
from mmcore.events import (
    ASK,
    BID,
    EVENT,
    LEVEL,
    REQUEST,
    Flag,
    Kind,
    RejectCode,
    RequestKind,
    TimeInForce,
    rows_of,
)

Rows = NDArray[np.void]
GTX, GTC, IOC, FOK = TimeInForce.GTX, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
LAST = 64


def spec(**changed: Any) -> SpecBox:
    values = {
        "tick": "0.1",
        "qty_decimals": 4,
        "contract_size": "1",
        "lot": 10,
        "qty_min": 10,
        "qty_max": 0,
        "notional_min": 0,
        "maker_fee": -5_000,
        "taker_fee": 70_000,
        "kind": 0,
        "sig_figs": 0,
        "instrument": 0,
    }
    return SpecBox(*(values | changed).values())


class Market:
    """A venue with a book around tick 1000, and short words for what happens at it."""

    def __init__(self, *rules: str, bids: Any = None, asks: Any = None, **options: Any) -> None:
        bits = options.pop("bits", 0)
        for name in rules:
            bits |= RULES[name]
        self.venue = Venue(options.pop("spec", spec()), rules=bits, **options)
        self.now = 1000
        self.depth(
            bids if bids is not None else [(999, 1000), (998, 800)],
            asks if asks is not None else [(1001, 1000), (1002, 800)],
            Flag.SNAPSHOT,
        )

    def depth(self, bids: Any, asks: Any, flags: int = 0, **fields: int) -> list[Any]:
        n = len(bids) + len(asks)
        rows = np.zeros(1 + rows_of(n), EVENT)
        rows[0]["kind"], rows[0]["flags"] = Kind.DEPTH, Flag.EXCH | Flag.LOCAL | flags
        rows[0]["n_bids"], rows[0]["n_asks"] = len(bids), len(asks)
        rows[1:].view(LEVEL)[:n] = np.array([*bids, *asks], LEVEL)
        for name, value in fields.items():
            rows[0][name] = value
        return self.apply(rows)

    def level(self, side: int, tick: int, qty: int) -> list[Any]:
        return self.event(Kind.DEPTH, side=side, tick=tick, qty=qty)

    def sell(self, tick: int, qty: int) -> list[Any]:
        return self.event(Kind.TRADE, side=ASK, tick=tick, qty=qty)

    def buy(self, tick: int, qty: int) -> list[Any]:
        return self.event(Kind.TRADE, side=BID, tick=tick, qty=qty)

    def event(self, kind: Kind, **fields: int) -> list[Any]:
        rows = np.zeros(1, EVENT)
        rows[0]["kind"], rows[0]["flags"] = kind, Flag.EXCH | Flag.LOCAL
        for name, value in fields.items():
            rows[0][name] = value
        return self.apply(rows)

    def apply(self, rows: Rows) -> list[Any]:
        self.now += 1
        rows[0]["ts_venue_ns"] = rows[0]["ts_local_ns"] = self.now
        return words(self.venue.market(rows))

    def place(
        self, slot: int, side: int, tick: int, qty: int, tif: int = GTX, **fields: int
    ) -> list[Any]:
        return self.request(
            RequestKind.PLACE, slot=slot, side=side, tick=tick, qty=qty, tif=tif, **fields
        )

    def amend(self, slot: int, tick: int, qty: int, done: int = 0) -> list[Any]:
        return self.request(RequestKind.AMEND, slot=slot, tick=tick, qty=qty, done=done)

    def cancel(self, slot: int) -> list[Any]:
        return self.request(RequestKind.CANCEL, slot=slot)

    def request(self, kind: RequestKind, **fields: int) -> list[Any]:
        self.now += 1
        row = np.zeros(1, REQUEST)
        row[0]["kind"], row[0]["ts_ns"] = kind, self.now
        for name, value in fields.items():
            row[0][name] = value
        return words(self.venue.request(row, self.now))

    def ahead(self) -> dict[int, float]:
        """Units ahead of each resting order, by slot."""
        rows = self.venue.orders()
        return {int(row["slot"]): round(float(row["ahead"]) * 10_000, 6) for row in rows}

    def left(self) -> dict[int, int]:
        return {int(row["slot"]): int(row["left"]) for row in self.venue.orders()}


def words(answers: Rows) -> list[Any]:
    """Answers as (kind, slot, tick, qty), fills with who made the price."""
    found: list[Any] = []
    for row in answers:
        name = Kind(row["kind"]).name.lower()
        if row["kind"] == Kind.FILL:
            name = "made" if row["flags"] & Flag.MAKER else "took"
        elif row["kind"] in (Kind.REJECT, Kind.EXPIRED):
            name += " " + RejectCode(row["code"]).name.lower()
        found.append((name, int(row["slot"]), int(row["tick"]), int(row["qty"])))
    return found


# ---- resting and filling


def test_an_order_waits_for_the_queue_ahead_and_then_fills_by_the_excess() -> None:
    m = Market()
    assert m.place(1, BID, 999, 200) == [("ack", 1, 999, 200)]
    assert m.sell(999, 600) == []
    assert m.ahead() == {1: 400}
    assert m.sell(999, 400) == []  # exactly what was ahead
    assert m.sell(999, 50) == [("made", 1, 999, 50)]
    assert m.sell(999, 500) == [("made", 1, 999, 150)]
    assert m.left() == {}
    assert m.venue.position == 200


def test_a_print_through_the_price_fills_no_more_than_the_print() -> None:
    m = Market()
    m.place(1, BID, 999, 200)
    assert m.sell(998, 120) == [("made", 1, 999, 120)]
    whole = Market("whole_through")
    whole.place(1, BID, 999, 200)
    assert whole.sell(998, 120) == [("made", 1, 999, 200)]


def test_own_orders_share_a_print_best_price_first_then_by_arrival() -> None:
    def ladder(*rules: str) -> list[Any]:
        m = Market(*rules, bids=[(999, 100), (998, 100)])
        m.place(1, BID, 998, 50)
        m.place(2, BID, 999, 50)
        m.place(3, BID, 999, 50)
        m.place(4, BID, 1000, 30)
        return m.sell(999, 200)

    # 30 to the better price; of the 100 behind the queue, what those 30 left.
    assert ladder() == [("made", 4, 1000, 30), ("made", 2, 999, 50), ("made", 3, 999, 20)]
    assert ladder("whole_print") == [
        ("made", 4, 1000, 30),
        ("made", 2, 999, 50),
        ("made", 3, 999, 50),
    ]


def test_half_a_lot_fills_by_the_parity_rule_only() -> None:
    for rules, fills in (((), []), (("half_lot",), [("made", 1, 999, 10)])):
        m = Market(*rules)
        m.place(1, BID, 999, 200)
        assert m.sell(999, 1005) == fills


def test_excess_below_half_a_lot_accumulates_by_the_parity_rule_only() -> None:
    for rules, fills in (((), []), (("half_lot",), [("made", 1, 999, 10)])):
        m = Market(*rules)
        m.place(1, BID, 999, 200)
        assert m.sell(999, 1004) == []
        assert m.sell(999, 4) == fills


def test_a_buy_print_never_fills_a_buy() -> None:
    m = Market()
    m.place(1, BID, 999, 200)
    assert m.buy(999, 5000) == []
    assert m.buy(1001, 5000) == []


def test_a_print_of_nobody_knows_which_side_fills_nothing() -> None:
    m = Market()
    m.place(1, BID, 999, 200)
    assert m.event(Kind.TRADE, side=0, tick=990, qty=5000) == []


# ---- crossing


def test_a_crossing_touch_fills_as_much_as_it_shows() -> None:
    m = Market()
    m.place(1, BID, 999, 200)
    m.place(2, BID, 998, 100)
    assert m.depth([(999, 0), (998, 0), (990, 10)], [(999, 150)]) == [("made", 1, 999, 150)]
    # The rest waits until the feed sets the level again.
    assert m.depth([(990, 20)], []) == []
    assert m.depth([], [(999, 30)]) == [("made", 1, 999, 30)]
    assert m.depth([], [(998, 60)]) == [("made", 1, 999, 20), ("made", 2, 998, 40)]


def test_a_crossing_touch_fills_whole_by_the_parity_rule() -> None:
    m = Market("whole_cross")
    m.place(1, BID, 999, 200)
    m.place(2, BID, 998, 100)
    assert m.depth([(999, 0), (998, 0), (990, 10)], [(999, 150)]) == [("made", 1, 999, 200)]
    assert m.left() == {2: 100}


def test_crossings_are_judged_after_the_whole_message() -> None:
    m = Market()
    m.place(1, ASK, 1001, 200)
    # The bids of the message pass our offer before its asks have moved away: a real crossing.
    assert m.depth([(1001, 70)], [(1001, 0), (1002, 0), (1003, 5)]) == [("made", 1, 1001, 70)]


# ---- queue models


@pytest.mark.parametrize(
    ("queue", "exponent", "expected"),
    [
        ("risk_averse", 1.0, 1000),
        ("power", 2.0, 739),
        ("power2", 2.0, 688),
        ("power3", 3.0, 945),
        ("log", 1.0, 869),
        ("log2", 1.0, 926),
    ],
)
def test_integer_queues_are_the_double_ones_rounded_away_from_us(
    queue: str, exponent: float, expected: int
) -> None:
    found = []
    for rules in ((), ("double_queue",)):
        m = Market(*rules, queue=queue, exponent=exponent)
        m.place(1, BID, 999, 200)
        m.level(BID, 999, 3000)
        m.level(BID, 999, 2000)
        found.append(m.ahead()[1])
    whole, double = found
    assert whole == np.ceil(double - 1e-6)
    if queue == "risk_averse":
        assert whole == expected


def test_a_shrinking_level_is_never_behind_what_it_shows() -> None:
    for queue in ("risk_averse", "power", "power2", "power3", "log", "log2"):
        m = Market(queue=queue, exponent=2.0)
        m.place(1, BID, 999, 200)
        m.level(BID, 999, 300)
        assert m.ahead()[1] <= 300
        m.level(BID, 999, 0)
        assert m.ahead()[1] == 0


def test_prints_are_not_taken_off_a_second_time_by_the_level() -> None:
    m = Market(queue="power", exponent=1.0)
    m.place(1, BID, 999, 200)
    m.level(BID, 999, 2000)
    m.sell(999, 500)
    assert m.ahead() == {1: 500}
    m.level(BID, 999, 1500)  # the print, told by the book
    assert m.ahead() == {1: 500}
    m.level(BID, 999, 1500)
    assert m.ahead() == {1: 500}


def test_a_level_twice_in_one_message_counts_step_by_step() -> None:
    m = Market()
    m.place(1, BID, 999, 200)
    m.depth([(999, 400), (999, 900)], [])
    assert m.ahead() == {1: 400}


def test_a_snapshot_moves_queues_like_the_levels_it_sets() -> None:
    m = Market()
    m.place(1, BID, 999, 200)
    m.place(2, BID, 998, 200)
    m.depth([(999, 700)], [(1001, 10)], Flag.SNAPSHOT)
    assert m.ahead() == {1: 700, 2: 0}


def test_a_snapshot_in_two_messages_counts_when_it_is_whole() -> None:
    m = Market()
    m.place(1, BID, 998, 200)
    m.depth([(999, 700)], [], Flag.SNAPSHOT | Flag.MORE)
    m.depth([(998, 600)], [(1001, 10)], Flag.CONT)
    assert m.ahead() == {1: 600}


# ---- taking


def test_taking_walks_the_levels_and_stops_at_what_is_displayed() -> None:
    m = Market()
    assert m.place(1, BID, 1002, 2500, GTC) == [
        ("took", 1, 1001, 1000),
        ("took", 1, 1002, 800),
        ("ack", 1, 1002, 700),
    ]
    m = Market()
    assert m.place(1, BID, 1002, 2500, IOC) == [
        ("took", 1, 1001, 1000),
        ("took", 1, 1002, 800),
        ("expired no_liquidity", 1, 1002, 700),
    ]
    m = Market()
    assert m.place(1, ASK, 999, 1500, IOC)[-1] == ("expired no_liquidity", 1, 999, 500)


def test_parity_takes_any_size_at_the_best_price_or_the_remainder_at_the_limit() -> None:
    m = Market("take_unlimited")
    assert m.place(1, BID, 1002, 2500, GTC) == [("took", 1, 1001, 2500)]
    m = Market("take_remainder")
    assert m.place(1, BID, 1002, 2500, GTC) == [("took", 1, 1001, 1000), ("took", 1, 1002, 1500)]


def test_liquidity_that_we_took_is_gone_until_the_feed_sets_the_level() -> None:
    m = Market()
    assert m.place(1, BID, 1001, 600, IOC) == [("took", 1, 1001, 600)]
    assert m.place(2, BID, 1001, 600, IOC)[0] == ("took", 2, 1001, 400)
    # Now the market we see is offered at 1002, so a post-only bid may stand at 1001.
    assert m.place(3, BID, 1001, 100) == [("ack", 3, 1001, 100)]
    m.level(ASK, 1003, 500)
    assert m.place(4, BID, 1001, 100, IOC)[-1][0] == "expired no_liquidity"
    assert m.level(ASK, 1001, 1000) == [("made", 3, 1001, 100)]
    forgetful = Market("forget_taken")
    for slot in (1, 2, 3):
        assert forgetful.place(slot, BID, 1001, 1000, IOC) == [("took", slot, 1001, 1000)]


def test_fill_or_kill_is_all_or_nothing() -> None:
    m = Market()
    assert m.place(1, BID, 1002, 1801 // 10 * 10 + 10, FOK) == [
        ("expired no_liquidity", 1, 1002, 1810)
    ]
    assert m.place(2, BID, 1002, 1800, FOK) == [("took", 2, 1001, 1000), ("took", 2, 1002, 800)]
    assert m.place(3, BID, 1000, 10, FOK) == [("expired no_liquidity", 3, 1000, 10)]


def test_post_only_expires_where_it_would_take() -> None:
    m = Market()
    assert m.place(1, BID, 1001, 100) == [("expired post_only", 1, 1001, 100)]
    assert m.place(2, ASK, 999, 100) == [("expired post_only", 2, 999, 100)]
    assert m.place(3, BID, 1000, 100) == [("ack", 3, 1000, 100)]


def test_whole_orders_fill_once_anything_reaches_them() -> None:
    m = Market("no_partial")
    m.place(1, BID, 999, 200)
    assert m.sell(999, 1010) == [("made", 1, 999, 200)]
    assert m.place(2, BID, 1002, 1900, IOC) == [("expired no_liquidity", 2, 1002, 1900)]


# ---- amend and cancel


def test_an_amend_down_keeps_the_place_and_anything_else_goes_to_the_back() -> None:
    m = Market()
    m.place(1, BID, 999, 200)
    m.sell(999, 600)
    assert m.amend(1, 999, 100) == [("amended", 1, 999, 100)]
    assert m.ahead() == {1: 400}
    assert m.amend(1, 999, 300) == [("amended", 1, 999, 300)]
    assert m.ahead() == {1: 1000}
    assert m.amend(1, 998, 300) == [("amended", 1, 998, 300)]
    assert m.ahead() == {1: 800}


def test_parity_re_enters_the_old_quantity() -> None:
    m = Market("modify_keeps_left")
    m.place(1, BID, 999, 200)
    assert m.amend(1, 998, 500) == [("amended", 1, 998, 200)]
    assert m.amend(1, 998, 100) == [("amended", 1, 998, 100)]


def test_a_fill_that_crosses_an_amend_is_not_had_twice() -> None:
    m = Market()
    m.place(1, BID, 999, 200)
    assert m.sell(998, 150) == [("made", 1, 999, 150)]
    # Sent when nothing had been filled: 200 in all are wanted, 150 are there.
    assert m.amend(1, 998, 200, done=0) == [("amended", 1, 998, 50)]
    m.sell(997, 20)
    assert m.amend(1, 998, 150, done=0) == [("cancelled", 1, 998, 30)]
    assert m.venue.position == 170


def test_an_amend_through_the_touch_expires_or_takes() -> None:
    m = Market()
    m.place(1, BID, 999, 200)
    assert m.amend(1, 1001, 200) == [("expired post_only", 1, 1001, 200)]
    m.place(2, BID, 999, 200, GTC)
    assert m.amend(2, 1001, 200) == [("took", 2, 1001, 200)]


def test_a_cancel_of_nothing_is_refused_and_says_when_it_was_asked() -> None:
    m = Market()
    assert m.cancel(3) == [("reject unknown_order", 3, 0, 0)]
    m.place(1, BID, 999, 200, generation=5)
    assert m.cancel(1) == [("reject unknown_order", 1, 0, 0)]  # another generation
    assert m.request(RequestKind.CANCEL, slot=1, generation=5) == [("cancelled", 1, 999, 200)]
    row = np.zeros(1, REQUEST)
    row["kind"], row["ts_ns"] = RequestKind.CANCEL, 77
    assert m.venue.request(row, 100)["aux"] == 77


# ---- trust


def gapped(m: Market) -> None:
    m.depth([(999, 1000)], [], seq=20, aux=19)  # the book stands at sequence 10


def sequenced(*rules: str) -> Market:
    m = Market(*rules)
    m.depth([(999, 1000), (998, 800)], [(1001, 1000), (1002, 800)], Flag.SNAPSHOT, seq=10)
    return m


def test_nothing_fills_while_the_book_is_not_to_be_trusted() -> None:
    for spoil in (gapped, lambda m: m.event(Kind.LINK_DOWN)):
        m = sequenced()
        m.place(1, BID, 999, 200)
        spoil(m)
        assert m.sell(990, 5000) == []
        assert m.place(2, BID, 1001, 100, IOC) == [("expired no_liquidity", 2, 1001, 100)]
        # Joined blindly: behind whatever the next snapshot shows.
        assert m.place(3, BID, 998, 100) == [("ack", 3, 998, 100)]
        assert m.depth([(999, 300), (998, 900)], [(1001, 10)], Flag.SNAPSHOT, seq=30) == []
        assert m.ahead() == {1: 300, 3: 900}
        assert m.sell(990, 5000) == [("made", 1, 999, 200), ("made", 3, 998, 100)]


def test_parity_fills_without_asking_for_trust() -> None:
    m = sequenced("fill_unhealthy")
    m.place(1, BID, 999, 200)
    gapped(m)
    assert m.sell(990, 5000) == [("made", 1, 999, 200)]


def test_what_the_market_passed_during_a_gap_fills_with_the_snapshot() -> None:
    m = sequenced()
    m.place(1, BID, 999, 200)
    gapped(m)
    assert m.depth([(990, 5)], [(995, 120)], Flag.SNAPSHOT, seq=30) == [("made", 1, 999, 120)]


def test_an_old_message_moves_no_queue() -> None:
    m = sequenced()
    m.place(1, BID, 999, 200)
    m.depth([(999, 1)], [], seq=9, aux=8)
    assert m.ahead() == {1: 1000}


# ---- filters, fees, accounts


@pytest.mark.parametrize(
    ("changed", "order"),
    [
        ({}, (999, 15)),  # not whole lots
        ({}, (0, 100)),
        ({}, (999, 0)),
        ({"qty_min": 50}, (999, 40)),
        ({"qty_max": 50}, (999, 60)),
        ({"notional_min": 10**8}, (999, 100)),  # 0.999 of 1
        ({"sig_figs": 2}, (999, 100)),
    ],
)
def test_filters_refuse_and_parity_has_none(
    changed: dict[str, int], order: tuple[int, int]
) -> None:
    m = Market(spec=spec(**changed))
    assert m.place(1, BID, *order) == [("reject filter", 1, *order)]
    if order[1] > 0:
        free = Market("no_filters", spec=spec(**changed))
        assert free.place(1, BID, *order)[0][0] == "ack"


def test_reduce_only_never_opens() -> None:
    m = Market()
    assert m.place(1, ASK, 1001, 100, reduce_only=1) == [("reject limit", 1, 1001, 100)]
    m.place(2, BID, 1001, 300, IOC)
    assert m.place(3, ASK, 1003, 500, reduce_only=1) == [("ack", 3, 1003, 300)]
    m.place(4, ASK, 999, 250, IOC)
    assert m.buy(1004, 1000) == [("made", 3, 1003, 50), ("expired limit", 3, 1003, 250)]
    assert m.left() == {}
    assert m.venue.position == 0


@pytest.mark.parametrize(
    ("options", "fee"),
    [
        ({"maker_fee": "0.0002"}, 19_980),  # 99.9 * 0.01 * 0.0002, in 1e-8
        ({"maker_fee": "-0.00005"}, -4_995),
        ({"fee": "qty", "maker_fee": "0.5"}, 500_000),
        ({"fee": "flat", "maker_fee": "0.03"}, 3_000_000),
        ({"spec": spec(kind=1, contract_size="100"), "maker_fee": "0.0002"}, 200),
    ],
)
def test_fees_are_quanta_rounded_once(options: dict[str, Any], fee: int) -> None:
    m = Market(**options)
    m.place(1, BID, 999, 100)
    rows = np.zeros(1, EVENT)
    rows["kind"], rows["side"], rows["tick"], rows["qty"] = Kind.TRADE, ASK, 990, 5000
    (answer,) = m.venue.market(rows)
    assert answer["aux"] == fee
    assert answer["flags"] == Flag.MAKER | LAST
    assert answer["seq"] == 1


def test_accounts_of_one_instrument_share_the_book_alone() -> None:
    m = Market()
    other = Venue(spec(), beside=m.venue)
    assert other.book is m.venue.book
    m.place(1, BID, 999, 200)
    assert len(other.orders()) == 0
    assert other.book.qty(BID, 999) == 1000


def test_slots_are_bounded_and_not_taken_twice() -> None:
    m = Market(n_slots=4)
    assert m.place(4, BID, 999, 100)[0][0] == "reject other"
    m.place(1, BID, 999, 100)
    assert m.place(1, BID, 998, 100)[0][0] == "reject other"


def test_names_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="queue model 'lifo'"):
        Venue(spec(), queue="lifo")
    with pytest.raises(ValueError, match="queue model 'fifo' with the rule MEET"):
        Venue(spec(), queue="fifo", rules=MEET)
    with pytest.raises(ValueError, match="orders_max 0"):
        Venue(spec(), queue="fifo", orders_max=0)
    with pytest.raises(ValueError, match="fee kind 'free'"):
        Venue(spec(), fee="free")
    with pytest.raises(ValueError, match="slots"):
        Venue(spec(), n_slots=0)


def test_the_parity_sets_are_all_the_switches() -> None:
    assert sum(RULES.values()) == PARITY_WHOLE | PARITY | PARITY_FIFO
    assert (
        RULES["take_unlimited"] | RULES["take_remainder"] | RULES["no_partial"]
    ) == PARITY_WHOLE ^ PARITY


# ---- several accounts in one venue (the box's own tests tell the rest)


def test_with_the_rule_meet_orders_of_several_owners_share_one_book():
    market = Market(bits=MEET, n_owners=3, asks=[(1001, 1000)])
    venue = market.venue

    def place(owner: int, slot: int, side: int, tick: int, qty: int) -> list[Any]:
        row = np.zeros(1, REQUEST)
        row["kind"], row["side"], row["tif"] = RequestKind.PLACE, side, GTC
        row["slot"], row["generation"], row["tick"], row["qty"] = slot, 1, tick, qty
        return venue.request(row, 2000, owner).tolist()

    assert [each[0] for each in place(1, 0, ASK, 1000, 30)] == [Kind.ACK]
    assert venue.shown(ASK, 5).tolist() == [(1000, 30), (1001, 1000)]
    assert venue.shown_at(ASK, [1000, 1001, 1002]).tolist() == [30, 1000, 0]
    maker, taker, rest = place(2, 1, BID, 1000, 50)
    assert (maker[0], taker[0], rest[0]) == (Kind.FILL, Kind.FILL, Kind.ACK)
    assert maker[11] == taker[11], "one print"
    assert (maker[2] & Flag.MAKER, taker[2] & Flag.MAKER) == (Flag.MAKER, 0)
    assert [venue.held(owner) for owner in range(3)] == [0, -30, 30]
    assert venue.shown(BID, 1).tolist() == [(1000, 20)]
    assert len(venue.shown(BID, 0)) == 0


def test_owners_are_counted():
    with pytest.raises(ValueError, match="2 owners: expected 1, or up to 65535 with the rule MEET"):
        Venue(spec(), n_owners=2)
    venue = Venue(spec(), rules=MEET, n_owners=2)
    with pytest.raises(ValueError, match="owner 2: expected below 2"):
        venue.held(2)
    with pytest.raises(ValueError, match="owner -1: expected below 2"):
        venue.request(np.zeros(1, REQUEST), 0, -1)
