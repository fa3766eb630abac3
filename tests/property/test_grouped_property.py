"""Levels of one instant as one message: the same book, and the same fills in a research replay."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmcore._book import Book
from mmcore._channel import Latency
from mmcore._replay import Replay
from mmcore._spec import SpecBox
from mmcore._venue import PARITY, PARITY_WHOLE, Venue
from mmcore.events import ASK, BID, EVENT, Flag, Kind, TimeInForce
from mmcore.tables import grouped

BOTH = int(Flag.EXCH | Flag.LOCAL)
ROWS = st.lists(
    st.tuples(
        st.sampled_from([Kind.DEPTH] * 6 + [Kind.TRADE]),
        st.sampled_from([BID, ASK]),
        st.integers(1, 12),  # ticks behind the middle
        st.integers(0, 5),
        st.sampled_from([0, 0, 0, 1, 7]),  # ns since the row before
        st.sampled_from([BOTH, BOTH, BOTH, int(Flag.EXCH), int(Flag.LOCAL)]),
    ),
    min_size=1,
    max_size=80,
)
MIDDLE = 1_000


def tape(facts: list[tuple[Kind, int, int, int, int, int]]) -> np.ndarray:
    rows = np.zeros(len(facts), EVENT)
    now = 1_000
    for row, (kind, side, away, qty, wait, flags) in zip(rows, facts, strict=True):
        now += wait
        row["kind"], row["side"], row["flags"] = kind, side, flags
        row["tick"] = MIDDLE - side * away
        row["qty"] = 10 * max(qty, kind == Kind.TRADE)
        row["ts_venue_ns"], row["ts_local_ns"] = now, now + 5
    return rows


def spec() -> SpecBox:
    return SpecBox("0.1", 3, "1", 1, 1, 0, 0, 0, 0, 0, 0, 0)


def played(rows: np.ndarray, rules: int, orders: list[tuple[int, int]]) -> np.ndarray:
    replay = Replay(rows, Venue(spec(), rules=rules), Latency(1, 1))
    for number, (side, away) in enumerate(orders):
        replay.elapse(3)
        replay.submit(number + 1, side, MIDDLE - side * away, 20, int(TimeInForce.GTC))
    replay.elapse(10**6)
    return replay.fills()


@given(ROWS)
def test_the_book_is_the_same(facts: list[tuple[Kind, int, int, int, int, int]]) -> None:
    rows = tape(facts)
    books = []
    for form in (rows, grouped(rows)):
        book = Book(spec())
        book.bind(form)
        book.run()
        books.append(book)
    one, other = books
    for side in (BID, ASK):
        assert one.levels(side).tolist() == other.levels(side).tolist()
    assert other.sound()
    assert one.counters.levels == other.counters.levels


@given(
    ROWS,
    st.lists(st.tuples(st.sampled_from([BID, ASK]), st.integers(-3, 12)), min_size=1, max_size=4),
    st.sampled_from([PARITY, PARITY_WHOLE]),
)
def test_fills_are_the_same(
    facts: list[tuple[Kind, int, int, int, int, int]], orders: list[tuple[int, int]], rules: int
) -> None:
    rows = tape(facts)
    one, other = played(rows, rules, orders), played(grouped(rows), rules, orders)
    assert sorted(one.tolist()) == sorted(other.tolist())


def test_more_levels_than_a_message_holds_are_chained_and_count_as_one() -> None:
    rows = tape([(Kind.DEPTH, BID, 1, 1, 0, BOTH)] * 9_000)
    rows["tick"] = np.arange(1, 9_001)
    heads = grouped(rows)
    book = Book(spec())
    book.bind(heads)
    book.run()
    assert book.n_bids == 9_000
    assert book.counters.messages == 1
