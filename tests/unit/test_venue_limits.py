"""What a simulated venue turns away: too many orders, too large calls, what would open."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore._venue import MEET, PARITY, PARITY_WHOLE, Venue
from mmcore.events import ASK, BID

from .test_venue import FOK, GTC, IOC, Market, spec

SECOND = 10**9
BOTH_RULES = pytest.mark.parametrize("bits", [0, PARITY, PARITY_WHOLE])


def test_orders_beyond_the_rate_are_refused_until_a_second_has_passed() -> None:
    m = Market(order_rate=2)
    assert m.place(1, BID, 990, 100)[0][0] == "ack"
    assert m.place(2, BID, 990, 100)[0][0] == "ack"
    assert m.place(3, BID, 990, 100) == [("reject rate", 3, 990, 100)]
    assert m.amend(1, 991, 100) == [("reject rate", 1, 991, 100)]
    assert m.left() == {1: 100, 2: 100}
    assert m.cancel(1)[0][0] == "cancelled", "the way out is open"
    m.now += SECOND - 6
    assert m.place(3, BID, 990, 100)[0][0] == "reject rate"
    assert m.place(3, BID, 990, 100)[0][0] == "ack"


def test_a_call_holds_so_many_orders() -> None:
    m = Market(batch_max=2)
    answers = [m.place(slot, BID, 990, 100, ts_ns=50, batch=0)[0][0] for slot in range(3)]
    assert answers == ["ack", "ack", "reject limit"]
    assert m.place(2, BID, 990, 100, ts_ns=50, batch=1)[0][0] == "ack"
    assert m.place(3, BID, 990, 100, ts_ns=51, batch=1)[0][0] == "ack"


@given(
    rate=st.integers(1, 6),
    waits=st.lists(st.integers(0, SECOND), min_size=1, max_size=60),
)
def test_against_a_look_back_over_everything(rate: int, waits: list[int]) -> None:
    m = Market(order_rate=rate)
    passed: list[int] = []
    for slot, wait in enumerate(waits):
        m.now += wait
        now = m.now + 1
        room = sum(now - at < SECOND for at in passed) < rate
        assert (m.place(slot, BID, 990, 100)[0][0] == "ack") == room
        if room:
            passed.append(now)


def test_what_is_no_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="order_rate -1, batch_max 0: expected 0 to 65535"):
        Venue(spec(), order_rate=-1)
    with pytest.raises(ValueError, match="2 owners: order_rate and batch_max are of one account"):
        Venue(spec(), rules=MEET, n_owners=2, batch_max=1)


@BOTH_RULES
def test_fill_or_kill_fills_whole_or_expires(bits: int) -> None:
    m = Market(bits=bits)
    told = m.place(1, BID, 1002, 1500, FOK)
    assert Counter(answer[0] for answer in told)["ack"] == 0
    assert sum(answer[3] for answer in told if answer[0] == "took") == 1500
    assert m.place(2, BID, 1000, 100, FOK) == [("expired no_liquidity", 2, 1000, 100)]
    assert m.left() == {}


@pytest.mark.parametrize("bits", [0, PARITY])
def test_fill_or_kill_of_more_than_is_shown_expires_untouched(bits: int) -> None:
    m = Market(bits=bits)
    assert m.place(1, BID, 1002, 1810, FOK) == [("expired no_liquidity", 1, 1002, 1810)]
    assert m.venue.position == 0


@BOTH_RULES
def test_reduce_only_never_opens_whatever_reaches_it(bits: int) -> None:
    m = Market(bits=bits)
    m.place(1, BID, 1001, 300, IOC)
    assert m.place(2, ASK, 1003, 500, reduce_only=1)[0][3] == 300
    assert m.place(3, ASK, 1004, 300, reduce_only=1)[0][3] == 300
    m.place(4, ASK, 999, 100, IOC)
    crossed = m.depth([(1005, 5000)], [(1001, 0), (1002, 0), (1006, 500)])
    assert [answer[:3] for answer in crossed] == [
        ("made", 2, 1003),
        ("expired limit", 2, 1003),
        ("expired limit", 3, 1004),
    ]
    assert m.venue.position == 0
    assert m.left() == {}


@BOTH_RULES
def test_a_reduce_only_order_amended_through_the_touch_takes_what_is_held(bits: int) -> None:
    m = Market(bits=bits)
    m.place(1, BID, 1001, 300, IOC)
    m.place(2, ASK, 1003, 300, GTC, reduce_only=1)
    m.place(3, ASK, 999, 200, IOC)
    told = m.amend(2, 998, 300)
    assert [(answer[0], answer[3]) for answer in told if answer[0] == "took"] == [("took", 100)]
    assert m.venue.position == 0


@BOTH_RULES
def test_a_reduce_only_order_expires_with_what_it_was_to_reduce(bits: int) -> None:
    m = Market(bits=bits)
    m.place(1, BID, 1001, 300, IOC)
    m.place(2, ASK, 1003, 300, GTC, reduce_only=1)
    m.place(4, ASK, 1003, 300, GTC)
    told = m.place(3, ASK, 999, 300, IOC)
    assert told[-1] == ("expired limit", 2, 1003, 300), "at once, not when something reaches it"
    assert sum(answer[3] for answer in told if answer[0] == "took") == 300
    assert m.left() == {4: 300}, "what may open stays"
    assert m.amend(2, 1004, 300) == [("reject unknown_order", 2, 1004, 300)]


def test_a_position_that_turns_ends_the_orders_that_were_to_close_it() -> None:
    m = Market()
    m.place(1, BID, 1001, 300, IOC)
    m.place(2, ASK, 1003, 300, GTC, reduce_only=1)
    m.place(3, ASK, 1002, 500, GTC)
    told = m.buy(1004, 1000)
    assert told == [("made", 3, 1002, 500), ("expired limit", 2, 1003, 300)]
    assert m.venue.position == -200
    assert m.left() == {}
