"""The book's sequence rule, borders, statuses and conversions."""

import math
from decimal import Decimal

import numpy as np
import pytest

from mmcore._book import Book, BookAnalysis
from mmcore._spec import SpecBox
from mmcore.events import ASK, BID, EVENT, LEVEL, LEVELS_MAX, ContractKind, Flag, Kind, Status

OK, OLD, GAP, EMPTY, FULL, BAD = range(6)


@pytest.fixture
def spec() -> SpecBox:
    """BTCUSDT perpetual: tick 0.1, units of 0.001."""
    return SpecBox("0.1", 3, "1", 1, 1, 0, 0, 0, 0, ContractKind.LINEAR, 0, 0)


@pytest.fixture
def book(spec) -> Book:
    return Book(spec)


def header(**fields):
    row = np.zeros(1, EVENT)
    for name, value in fields.items():
        row[0][name] = value
    return row


def give(book, **fields):
    book.bind(header(**fields))
    return book.update(0)


# -- the sequence rule: (seq, previous) of each message, as the decoders normalise them


def follow(*messages, snapshot):
    book = Book()
    book.load([(99, 1)], [(101, 1)], seq=snapshot)
    return [book.apply([(98, i + 1)], seq=s, previous=p) for i, (s, p) in enumerate(messages)], book


def test_binance_futures_drops_old_messages_and_starts_across_the_snapshot():
    # The first message reaches across the snapshot's id: its pu lies before it, its u after it.
    verdicts, book = follow((90, 80), (100, 90), (110, 95), (125, 110), snapshot=100)
    assert verdicts == [OLD, OLD, OK, OK]
    assert (book.last_seq, book.health) == (125, Status.OK)


def test_binance_futures_breaks_where_pu_is_not_the_last_u():
    verdicts, book = follow((110, 100), (125, 111), (140, 125), snapshot=100)
    assert verdicts == [OK, GAP, GAP]
    assert (book.last_seq, book.health, book.counters.gaps) == (110, Status.GAP, 1)


def test_a_first_message_behind_a_hole_breaks():
    verdicts, book = follow((120, 101), snapshot=100)
    assert verdicts == [GAP]
    assert book.health == Status.GAP


def test_binance_spot_ids_are_dense():
    # U - 1 stands before a message: U = 96 .. u = 103, then U = 104.
    verdicts, _ = follow((95, 90), (103, 95), (104, 103), (110, 104), (112, 111), snapshot=100)
    assert verdicts == [OLD, OK, OK, OK, GAP]


def test_bybit_ids_rise_by_one():
    verdicts, book = follow((101, 100), (102, 101), (102, 101), (104, 103), snapshot=100)
    assert verdicts == [OK, OK, OLD, GAP]
    assert book.counters.old == 1


def test_a_bybit_snapshot_restarts_the_count():
    _, book = follow((101, 100), snapshot=100)
    assert book.load([(50, 1)], [(60, 1)], seq=1) == OK
    assert book.apply([(51, 1)], seq=2, previous=1) == OK
    assert (book.last_seq, book.best_bid) == (2, 51.0)


def test_a_snapshot_mends_a_gap():
    verdicts, book = follow((120, 110), snapshot=100)
    assert verdicts == [GAP]
    book.load([(99, 1)], [(101, 1)], seq=130)
    assert book.apply([(98, 1)], seq=131, previous=130) == OK
    assert book.health == Status.OK


def test_a_gap_leaves_the_levels_as_they_were():
    _, book = follow((110, 100), (125, 111), snapshot=100)
    assert book.bids().tolist() == [[99, 1], [98, 1]]


def test_before_a_snapshot_only_messages_without_sequence_apply():
    book = Book()
    assert book.health == Status.WARMUP
    assert book.apply([(99, 1)], seq=7, previous=6) == EMPTY
    assert book.n_bids == 0
    assert book.apply([(99, 1)]) == OK
    assert book.health == Status.ONE_SIDED
    assert book.apply([], [(101, 1)]) == OK
    assert book.health == Status.OK


# -- statuses


def test_a_crossed_book_says_so_and_recovers(book):
    book.load([("100.0", 1)], [("100.1", 1)])
    book.apply([("100.1", 1)])
    assert (book.health, book.counters.crossed) == (Status.CROSSED, 1)
    assert book.spread_bps == 0.0
    book.apply([("100.1", 0)])
    assert (book.health, book.counters.crossed) == (Status.OK, 1)


def test_a_one_sided_book_says_so(book):
    book.load([("100.0", 1)], [])
    assert book.health == Status.ONE_SIDED
    assert math.isnan(book.best_ask)
    assert math.isnan(book.mid)
    assert book.best_bid == 100.0


def test_link_loss_makes_the_book_stale_until_a_snapshot(book):
    book.load([("100.0", 1)], [("100.1", 1)], seq=5)
    assert give(book, kind=Kind.LINK_DOWN) == OK
    assert book.apply([("99", 1)], seq=6, previous=5) == GAP
    give(book, kind=Kind.LINK_UP)
    assert book.health == Status.STALE
    book.load([("100.0", 1)], [("100.1", 1)], seq=9)
    assert book.health == Status.OK


def test_times_are_those_of_the_last_applied_message(book):
    book.load([("100.0", 1)], [("100.1", 1)], seq=5, ts_venue_ns=1, ts_local_ns=2)
    book.apply([("99", 1)], seq=6, previous=5, ts_venue_ns=3, ts_local_ns=4)
    book.apply([("99", 1)], seq=6, previous=5, ts_venue_ns=7, ts_local_ns=8)
    assert (book.ts_venue_ns, book.ts_local_ns) == (3, 4)


@pytest.mark.parametrize(
    "kind", [k for k in Kind if k not in {Kind.DEPTH, Kind.CLEAR, Kind.LINK_DOWN}]
)
def test_other_events_do_not_touch_the_book(book, kind):
    book.load([("100.0", 1)], [("100.1", 1)], seq=5)
    before = book.bids().tolist(), book.asks().tolist(), book.counters, book.health
    assert give(book, kind=kind, side=BID, tick=1005, qty=3, seq=99) == OK
    assert before == (book.bids().tolist(), book.asks().tolist(), book.counters, book.health)


def test_clear_removes_from_the_touch_to_the_tick(book):
    levels = [("100.0", 1), ("99.9", 2), ("99.8", 3)]
    asks = [("100.1", 1), ("100.2", 2), ("100.3", 3)]
    book.load(levels, asks)
    give(book, kind=Kind.CLEAR, side=BID, tick=999)
    give(book, kind=Kind.CLEAR, side=ASK, tick=1001)
    assert book.bids().tolist() == [[99.8, 3]]
    assert book.asks().tolist() == [[100.2, 2], [100.3, 3]]
    give(book, kind=Kind.CLEAR)
    assert (book.n_bids, book.n_asks, book.health) == (0, 0, Status.ONE_SIDED)


def test_a_full_clear_restarts_a_stream_without_sequence():
    book = Book()
    book.load([(99, 1)], [(101, 1)])
    give(book, kind=Kind.LINK_DOWN)
    give(book, kind=Kind.CLEAR)
    book.apply([(98, 1)], [(102, 1)])
    assert (book.health, book.mid) == (Status.OK, 100.0)


# -- messages in parts


def part(flags, levels, seq=0, aux=0):
    rows = np.zeros(2, EVENT)
    rows[0]["kind"], rows[0]["flags"], rows[0]["n_bids"] = Kind.DEPTH, flags, len(levels)
    rows[0]["seq"], rows[0]["aux"] = seq, aux
    rows[1:].view(LEVEL)[: len(levels)] = np.array(levels, LEVEL)
    return rows


def send(book, *rows):
    book.bind(np.concatenate(rows))
    return [book.update(2 * i) for i in range(len(rows))]


def test_the_parts_of_an_ignored_message_are_ignored():
    _, book = follow(snapshot=100)
    old = part(Flag.MORE, [(1, 1)], 90, 80), part(Flag.CONT | Flag.MORE, [(2, 1)])
    assert send(book, *old, part(Flag.CONT, [(3, 1)])) == [OLD, OLD, OLD]
    assert book.bids().tolist() == [[99, 1]]
    assert book.health == Status.OK


def test_a_message_that_never_ends_breaks_the_book():
    _, book = follow(snapshot=100)
    verdicts = send(book, part(Flag.MORE, [(1, 1)], 101, 100), part(0, [(2, 1)], 102, 101))
    assert verdicts == [OK, GAP]
    assert book.health == Status.GAP


def test_a_part_without_a_beginning_is_malformed():
    _, book = follow(snapshot=100)
    assert send(book, part(Flag.CONT, [(2, 1)])) == [BAD]
    assert (book.health, book.n_bids) == (Status.STALE, 1)


def test_large_snapshots_are_taken_in_parts():
    book = Book(window=64, window_max=64)
    bids = [(20_000 - i, i + 1) for i in range(LEVELS_MAX + 100)]
    asks = [(20_001 + i, i + 1) for i in range(LEVELS_MAX + 200)]
    assert book.load(bids, asks, seq=9) == OK
    assert book.levels(BID).tolist() == bids
    assert book.levels(ASK).tolist() == asks
    assert (book.counters.messages, book.last_seq, book.sound()) == (1, 9, True)


# -- malformed


@pytest.mark.parametrize("level", [(0, 1), (-1, 1), (2**60, 1), (5, -1), (-(2**63), 0)])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_malformed_level_anywhere_changes_nothing(level, place):
    _, book = follow(snapshot=100)
    levels = [(97, 5), (99, 0)]
    levels.insert(place, level)
    assert send(book, part(0, levels, 101, 100)) == [BAD]
    assert book.bids().tolist() == [[99, 1]]
    assert (book.health, book.counters.bad, book.last_seq) == (Status.STALE, 1, 100)


def test_too_many_levels_are_malformed():
    rows = np.zeros(1 + (LEVELS_MAX + 4) // 4, EVENT)
    rows[0]["kind"], rows[0]["n_bids"] = Kind.DEPTH, LEVELS_MAX + 1
    rows[1:].view(LEVEL)["tick"] = 5
    book = Book()
    book.bind(rows)
    assert book.update(0) == BAD
    assert book.n_bids == 0


# -- conversions


@pytest.mark.parametrize("kind", [str, float, Decimal])
def test_prices_and_sizes_are_exact_in_every_spelling(book, kind):
    book.load([(kind("65000.3"), kind("0.007"))], [(kind("65000.7"), kind("1e-3"))])
    assert book.levels(BID).tolist() == [(650003, 7)]
    assert book.bids().tolist() == [[65000.3, 0.007]]
    assert book.asks(1).tolist() == [[65000.7, 0.001]]
    assert book.bids().shape == (1, 2)


@pytest.mark.parametrize(
    ("price", "size", "says"),
    [
        ("100.05", 1, "bid price '100.05' is not a multiple of 0.1"),
        (0.1 + 0.2, 1, "bid price 0.30000000000000004 is not a multiple of 0.1"),
        (100.0, "0.0005", "bid size '0.0005' is not a multiple of 0.001"),
        (100.0, -1.0, "bid size -1.0 is negative"),
        (100.0, math.nan, "bid size nan is not finite"),
        (math.inf, 1, "bid price inf is not finite"),
        ("nan", 1, "bid price 'nan' is not finite"),
        (0, 1, "bid price 0 is not positive"),
        (-5, 1, "bid price -5 is negative"),
        ("12,5", 1, "bid price '12,5' is not a number"),
        (None, 1, "bid price None is not a number"),
        (100.0, "1e40", "bid size '1e40' is too large"),
        (100.0, 1e25, "bid size 1e+25 is too large"),
        (100.0, Decimal("1e-99999999"), "bid size Decimal('1E-99999999') is not a multiple"),
    ],
)
def test_a_value_off_the_grid_is_named_and_nothing_is_applied(book, price, size, says):
    book.load([("100.0", 1)], [("100.1", 1)], seq=5)
    for levels in ([(price, size)], [("99.0", 1), (price, size)]):
        with pytest.raises(ValueError, match=r"^bid ") as caught:
            book.apply(levels, [("101", 5)], seq=6, previous=5)
        assert says in str(caught.value)
    assert (book.bids().tolist(), book.n_asks, book.last_seq) == ([[100.0, 1]], 1, 5)


def test_analysis_is_in_quantity_and_price(book):
    book.load([("100", 2), ("99", 1), ("98", 7)], [("101", 1), ("102", 3)])
    expected = BookAnalysis(3.0, 4.0, 299 / 3, 101.75, -1 / 7)
    assert book.analysis(5) == pytest.approx(expected)
    assert book.analysis(0) is None
    assert book.vwap(BID, 3) == pytest.approx(98.5)
    assert book.microprice() == pytest.approx((2 * 101 + 1 * 100) / 3)
    assert book.weight(ASK, 2) == pytest.approx(1 + 3 * math.exp(-0.5))
    assert book.mid == 100.5
    assert book.spread_bps == pytest.approx(1e4 / 100.5)


# -- the owner


def test_a_caller_s_buffer_takes_the_first_levels():
    book = Book()
    book.load([(99, 1), (98, 2), (97, 3)], [(101, 4)])
    out = np.zeros(2, LEVEL)
    assert book.top(BID, out) == 2
    assert out.tolist() == [(99, 1), (98, 2)]
    assert book.top(ASK, out) == 1
    frozen = np.zeros(2, LEVEL)
    frozen.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        book.top(BID, frozen)


def test_a_bound_block_is_walked_message_by_message():
    rows = np.concatenate(
        [
            part(Flag.SNAPSHOT, [(99, 4), (98, 2)]),
            header(kind=Kind.DEPTH, side=ASK, tick=101, qty=4),
            header(kind=Kind.TRADE, side=BID, tick=101, qty=1),
            part(0, [(99, 0), (97, 1)]),
        ]
    )
    book, other = Book(), Book()
    book.bind(rows)
    assert book.run() == 4
    other.bind(rows)
    imbalance, microprice = other.signals(1)
    assert imbalance.tolist() == [0, 0, 0, -1 / 3]
    assert microprice[1:].tolist() == [100, 100, pytest.approx((2 * 101 + 4 * 98) / 6)]
    assert book.levels(BID).tolist() == other.levels(BID).tolist() == [(98, 2), (97, 1)]


def test_a_message_that_is_cut_off_is_not_read():
    book = Book()
    rows = np.concatenate([part(0, [(99, 4)]), part(0, [(98, 4)])[:1]])
    book.bind(rows)
    assert book.run() == 1
    for row in (-1, 2, 3):
        with pytest.raises(IndexError, match=f"row {row}:"):
            book.update(row)
    book.release()
    with pytest.raises(IndexError):
        book.update(0)
    assert book.run() == 0


def test_only_event_rows_can_be_bound():
    with pytest.raises(ValueError, match=r"expected events\.EVENT"):
        Book().bind(np.zeros(4))
    with pytest.raises(ValueError, match="contiguous"):
        Book().bind(np.zeros(8, EVENT)[::2])


def test_the_window_grows_with_the_snapshot_and_shrinks_again():
    book = Book(window=64)
    near = [(1000 - i, 1) for i in range(20)]
    wide = [(100_000 - 1000 * i, 1) for i in range(90)]
    book.load(near, [])
    assert book.window == 64
    book.load(wide, [])
    assert book.window == 262144
    book.load(near, [])
    assert book.window == 64
    assert book.sound()


def test_reserve_keeps_the_levels():
    book = Book(window=64, window_max=64, far_levels=200)
    bids = [(1000 - 3 * i, i + 1) for i in range(100)]
    book.load(bids, [(2000, 1)], seq=4)
    book.reserve(window_max=4096, far_levels=100)
    assert book.levels(BID).tolist() == bids
    assert (book.last_seq, book.health, book.sound()) == (4, Status.OK, True)
    with pytest.raises(ValueError, match="far_levels 99: the book holds 100 levels"):
        book.reserve(far_levels=99)


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"window": 100}, "window 100: expected a power of two from 64 to 262144"),
        ({"window": 32}, "window 32"),
        ({"window_max": 2**19}, "window_max 524288"),
        ({"window": 4096, "window_max": 64}, "window 4096 is larger than window_max 64"),
        ({"far_levels": 0}, "far_levels 0"),
    ],
)
def test_impossible_sizes_are_refused(sizes, says):
    with pytest.raises(ValueError, match=says):
        Book(**sizes)


def test_a_full_book_ignores_deltas_until_the_snapshot():
    book = Book(window=64, window_max=64, far_levels=3)
    assert book.apply([(10_000, 1), (5, 1), (6, 1), (7, 1)]) == OK
    assert book.apply([(8, 1)]) == FULL
    assert book.health == Status.FULL
    assert book.apply([(10_000, 9)]) == FULL
    assert book.qty(BID, 10_000) == 1
    assert book.sound()
    assert book.load([(10, 1)], [(11, 1)]) == OK
    assert book.health == Status.OK


def test_a_window_that_is_too_small_for_the_market_grows() -> None:
    book = Book(window=64)
    levels = {tick: 1 + tick % 7 for tick in range(1_000, 3_000)}
    book.apply(bids=list(levels.items()))
    assert book.window == 64
    rng = np.random.default_rng(1)
    for tick in rng.integers(1_000, 2_900, 5_000).tolist():
        levels[tick] = levels.get(tick, 0) % 5 + 1
        book.apply(bids=[(tick, levels[tick])])
    assert book.window > 64
    assert book.sound()
    assert dict(book.levels(BID).tolist()) == levels
