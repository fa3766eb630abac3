"""Fee tiers: settled at midnight UTC by the whole days before, exact, rebates included."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore._channel import Latency
from mmcore._replay import Replay
from mmcore._venue import MEET, Venue
from mmcore.events import BID, EVENT, REQUEST, Flag, Kind, RequestKind

from .test_sim import message
from .test_venue import GTC, GTX, IOC, Market, spec

DAY = 86_400 * 10**9
TIERS = [(0, "0.0002", "0.0005"), (100, "0.0001", "0.0004"), ("250.5", "-0.00005", "0.0003")]


def buy(venue: Venue, day: int, qty: int) -> tuple[int, int]:
    """A maker's fill at 99.9 on a day; its fee in quanta and the tier."""
    now = day * DAY + 1
    order = np.zeros(1, REQUEST)
    order["kind"], order["side"], order["tick"] = RequestKind.PLACE, BID, 999
    order["qty"], order["tif"] = qty, GTX
    venue.request(order, now)
    sale = np.zeros(1, EVENT)
    sale["kind"], sale["flags"], sale["side"] = Kind.TRADE, Flag.EXCH | Flag.LOCAL, -1
    sale["tick"], sale["qty"], sale["ts_venue_ns"] = 990, qty, now
    (fill,) = venue.market(sale)
    assert fill["kind"] == Kind.FILL
    return int(fill["aux"]), venue.tier


def test_what_was_traded_yesterday_counts_today_and_not_what_is_traded_today() -> None:
    venue = Market(tiers=TIERS, tier_days=2).venue
    assert buy(venue, 10, 20_000) == (3_996_000, 0)  # 199.8 of volume
    assert buy(venue, 10, 20_000) == (3_996_000, 0)
    assert buy(venue, 11, 10_000) == (-499_500, 2)  # 399.6 yesterday: a rebate
    assert buy(venue, 12, 10_000) == (-499_500, 2)
    assert buy(venue, 13, 10_000) == (999_000, 1)  # 199.8 in two days
    assert buy(venue, 99, 10_000) == (1_998_000, 0)


def test_what_was_traded_before_the_start_counts_and_grows_old() -> None:
    venue = Market(tiers=TIERS, traded="250.5", tier_days=1).venue
    assert venue.tier == 2
    assert buy(venue, 10, 10) == (-500, 2)  # 499.5 quanta, half to even
    assert buy(venue, 11, 10)[1] == 0


def test_takers_have_a_rate_of_their_own_and_inverse_counts_in_the_quote() -> None:
    market = Market(tiers=TIERS, tier_days=1, spec=spec(kind=1, contract_size="100"))
    market.now = 10 * DAY
    market.place(1, BID, 1001, 1000, IOC)  # 0.1 contracts: 10 of the quote currency
    assert buy(market.venue, 11, 100_000)[1] == 0
    assert buy(market.venue, 12, 100)[1] == 2


def test_accounts_in_doubles_follow_the_tier_of_each_fill() -> None:
    days = [message(day * DAY, [(999, 90_000)], [(1001, 90_000)]) for day in (9, 10, 11, 12)]
    replay = Replay(np.concatenate(days), Venue(spec(), tiers=TIERS, tier_days=1), Latency(1, 1))
    for order_id in (1, 2):
        replay.elapse(DAY)
        replay.submit(order_id, BID, 1001, 20_000, int(GTC))
        replay.elapse(10)
    fees = replay.fills()["fee"].tolist()
    assert fees == [10_010_000, 8_008_000]
    assert replay.fee == pytest.approx(sum(fees) / 1e8)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tiers": []}, "at least one"),
        ({"tiers": [(5, 0, 0)]}, "the first from volume 0"),
        ({"tiers": [(0, 0, 0), (0, 0, 0)]}, "volumes rising"),
        ({"tiers": TIERS, "maker_fee": 0}, "one or the other"),
        ({"tiers": TIERS, "rules": MEET, "n_owners": 2}, "tiers are of one account"),
        ({"tiers": TIERS, "tier_days": 0}, "tier_days 0: expected 1 to 366"),
        ({"tiers": TIERS, "traded": -1}, "volume -1: expected 0"),
    ],
)
def test_what_is_no_schedule_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Venue(spec(), **options)


@given(
    first=st.sampled_from([0, 1, 20]),
    days=st.integers(1, 5),
    traded=st.integers(0, 400),
    fills=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3_000)), min_size=1, max_size=25),
)
def test_against_a_diary(first: int, days: int, traded: int, fills: list[tuple[int, int]]) -> None:
    """One entry a fill, looked through from the first page each time."""
    venue = Market(tiers=TIERS, tier_days=days, traded=traded).venue
    diary: list[tuple[int, Fraction]] = []
    day = first
    for gap, lots in fills:
        day += gap
        diary = diary or [(day - 1, Fraction(traded))]
        volume = sum(worth for when, worth in diary if day - days <= when < day)
        maker = [Fraction(rate) for least, rate, _ in TIERS if volume >= Fraction(least)][-1]
        worth = Fraction(lots * 10, 10_000) * Fraction("99.9")
        assert buy(venue, day, lots * 10)[0] == round(worth * maker * 10**8)
        diary.append((day, worth))
