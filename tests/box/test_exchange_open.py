"""The builder: what the box lists, whom it knows, and what its market is."""

import time

import numpy as np
import pytest

from mmcore.box.feed import Feed
from mmcore.box.floor import Floor
from mmcore.box.listing import SYMBOLS, VENUES, open_exchange
from mmcore.box.orders import NewOrder, OrderEvent, TradeEvent
from mmcore.errors import NoDataError
from mmcore.events import EVENT, Flag, TimeInForce
from mmcore.instrument import known
from mmcore.synthetic import SyntheticSource, market, source
from mmcore.tape import TapeWriter

SECOND = 10**9
START = 1_767_225_600 * SECOND


def test_five_products_with_two_coins_and_two_accounts_a_venue():
    exchange = open_exchange(1, start_ns=START)
    assert [(each.venue, each.symbol) for each in exchange.floors] == [
        (venue, symbol) for venue in VENUES for symbol in SYMBOLS[venue]
    ]
    assert exchange.floor("hyperliquid", "ETH") is exchange.floors[-1]
    assert exchange.floor("hyperliquid", "SOL") is None
    for venue, wallets in (
        ("binance", ["usdm", "spot"]),
        ("bybit", ["unified"]),
        ("hyperliquid", ["perp"]),
    ):
        accounts = exchange.accounts_of(venue)
        assert len(accounts) == 2
        for each in accounts:
            assert list(each.wallets) == wallets
            assert {floor.venue.partition("-")[0] for floor in each.positions} == {venue}
            assert each.permissions == {"read", "trade"}


def test_every_floor_has_a_book_and_a_mark_when_it_opens():
    exchange = open_exchange(1, start_ns=START)
    assert exchange.now_ns == START
    for floor in exchange.floors:
        assert floor.best(1) is not None, floor
        assert floor.best(-1) is not None, floor
        assert floor.mark > 0


def test_the_same_seed_gives_the_same_keys_another_seed_others():
    held = [
        [each.credentials for each in open_exchange(seed, start_ns=START).accounts]
        for seed in (1, 1, 2)
    ]
    assert held[0] == held[1]
    assert not set(held[0]) & set(held[2])
    for key in held[0][-1:]:
        assert len(key.private_key) == 66
        assert key.private_key.startswith("0x")
    drawn = open_exchange(1, start_ns=START, random_credentials=True).accounts
    assert not {each.credentials for each in drawn} & set(held[0])


def test_addresses_are_made_by_who_can():
    exchange = open_exchange(1, start_ns=START, address_of=lambda key: "0x" + key[-40:])
    for each in exchange.accounts_of("hyperliquid"):
        assert each.credentials.address == "0x" + each.credentials.private_key[-40:]


def test_some_venues_only():
    exchange = open_exchange(1, start_ns=START, venues=["bybit-spot"], accounts_per_venue=3)
    assert [each.venue for each in exchange.floors] == ["bybit-spot"] * 2
    assert [each.name for each in exchange.accounts] == ["bybit-1", "bybit-2", "bybit-3"]
    with pytest.raises(ValueError, match="'kraken': expected one of binance-usdm"):
        open_exchange(1, start_ns=START, venues=["kraken"])


def test_funding_hours_are_each_venues_own_or_set_for_all():
    own = open_exchange(1, start_ns=START)
    hours = {each.venue: each.funding_interval_ns // (3600 * SECOND) for each in own.floors}
    assert hours == {
        "binance-usdm": 8,
        "binance-spot": 0,
        "bybit-linear": 8,
        "bybit-spot": 0,
        "hyperliquid": 1,
    }
    short = open_exchange(1, start_ns=START, funding_interval_ns=10 * SECOND)
    assert {each.next_funding_ns for each in short.floors if not each.spot} == {START + 10 * SECOND}


def played(seed, cadence_ns):
    """Everything that is told in two seconds of one market with some orders in it."""
    exchange = open_exchange(seed, start_ns=START, venues=["binance-usdm"])
    told = []

    def hear(event):
        if isinstance(event, TradeEvent):
            told.append(event.trade)
        elif isinstance(event, OrderEvent):
            order = event.order
            told.append((order.id, event.what, order.filled, event.ts_ns, dict(order.fees)))

    exchange.listeners.append(hear)
    floor = exchange.floors[0]
    for now_ns in range(START, START + 2 * SECOND, 100_000_000):
        for account, side in zip(exchange.accounts, (1, -1), strict=True):
            tick, _ = floor.best(side)
            new = NewOrder(floor=floor, side=side, qty=20, tick=tick, tif=TimeInForce.GTX)
            exchange.place(account, new, now_ns)
        for at in range(now_ns, now_ns + 100_000_000, cadence_ns):
            exchange.advance(at)
    return told


def test_the_same_seed_and_the_same_calls_give_the_same_events():
    first = played(5, 10_000_000)
    assert first == played(5, 10_000_000)
    assert first == played(5, 50_000_000), "however often the market is brought up to date"
    assert first != played(6, 10_000_000)
    assert any(isinstance(each, tuple) and each[1] == "fill" for each in first)


def test_ten_instruments_cost_a_small_part_of_a_core():
    exchange = open_exchange(1, start_ns=START)
    began = time.process_time()
    for now_ns in range(START, START + 4 * SECOND, 5_000_000):
        exchange.advance(now_ns)
    assert time.process_time() - began < 1.0, "a quarter of the time that it plays"


# ---- tapes


def tape(path, items, seed=3):
    """A tape file of a synthetic market, as if it had been recorded there."""
    made = source("busy", seconds=5.0, seed=seed)
    writer = TapeWriter(path, items)
    while (rows := made.next_block()) is not None:
        writer.append(rows)
    writer.close()
    return path


def test_a_tape_plays_on_its_own_floor_from_its_own_beginning(tmp_path):
    path = tape(tmp_path / "a.tape", [known("bybit-linear", "BTCUSDT")])
    exchange = open_exchange(1, start_ns=START, market=[path])
    floor = exchange.floor("bybit-linear", "BTCUSDT")
    assert floor.update_id > 20
    for each in exchange.floors:
        assert each.best(1) is not None, "the others are synthetic"
    exchange.advance(START + 5 * SECOND)
    ended = [feed.ended for feed in exchange.feeds]
    assert ended == [True, False]
    standing = floor.best(1)
    exchange.advance(START + 6 * SECOND)
    assert floor.best(1) == standing
    exchange.close()


def test_a_tape_of_something_else_is_refused(tmp_path):
    path = tape(tmp_path / "a.tape", [known("hyperliquid", "SOL")])
    with pytest.raises(NoDataError, match="none of the box's instruments, only hyperliquid SOL"):
        open_exchange(1, start_ns=START, market=str(path))


class Rows:
    """A source of given blocks."""

    def __init__(self, blocks, clock="local"):
        self.blocks = list(blocks)
        self.clock = clock
        self.closed = False

    def next_block(self):
        return self.blocks.pop(0) if self.blocks else None

    def close(self):
        self.closed = True


def prints(*rows):
    block = np.zeros(len(rows), EVENT)
    for row, (instrument, venue_ns, local_ns, flags) in zip(block, rows, strict=True):
        row["kind"], row["instrument"], row["flags"] = 2, instrument, flags
        row["ts_venue_ns"], row["ts_local_ns"] = venue_ns, local_ns
    return block


def test_a_feed_starts_when_it_is_told_and_keeps_the_distances():
    floor = Floor(known("binance-usdm", "BTCUSDT"), 0)
    both = Flag.EXCH | Flag.LOCAL
    feed = Feed(
        Rows([prints((0, 0, 100, both), (1, 0, 150, both)), prints((0, 0, 300, both))]),
        {0: floor},
        1_000,
    )
    assert [at for at, _, _ in feed.until(999)] == []
    assert [(at, place) for at, place, _ in feed.until(1_199)] == [(1_000, floor)]
    assert not feed.ended
    assert [at for at, _, _ in feed.until(5_000)] == [1_200]
    assert feed.ended
    feed.close()
    assert feed.source.closed


def test_of_two_clocks_the_venues_own_counts():
    floor = Floor(known("binance-usdm", "BTCUSDT"), 0)
    rows = prints((0, 100, 140, Flag.EXCH), (0, 100, 140, Flag.LOCAL), (0, 130, 150, Flag.EXCH))
    feed = Feed(Rows([rows], clock="two"), {0: floor}, 0)
    assert [at for at, _, _ in feed.until(1_000)] == [0, 30]


def test_inverse_contracts_are_refused():
    with pytest.raises(ValueError, match="inverse contracts"):
        Floor(known("binance-coinm", "BTCUSD_PERP"), 0)


def test_a_synthetic_market_beside_a_tape_starts_where_the_tape_stands(tmp_path):
    item = known("bybit-linear", "BTCUSDT")
    made = SyntheticSource([market(item, "busy", 95_000.0)], seconds=5.0)
    writer = TapeWriter(tmp_path / "a.tape", [item])
    while (rows := made.next_block()) is not None:
        writer.append(rows)
    writer.close()
    exchange = open_exchange(1, start_ns=START, market=[tmp_path / "a.tape"])
    marks = {str(each.instrument): each.mark / 1e8 for each in exchange.floors}
    for name, mark in marks.items():
        assert mark == pytest.approx(95_000.0 if "BTC" in name else 2_681.39, rel=0.01), name


def test_the_same_coin_keeps_its_basis_on_every_venue():
    exchange = open_exchange(3, start_ns=START)
    exchange.advance(START + 20 * SECOND)
    for base in ("BTC", "ETH"):
        marks = [each.mark for each in exchange.floors if each.instrument.base == base]
        assert len(marks) == 5
        assert max(marks) < min(marks) * 1.002
