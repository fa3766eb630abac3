"""Recorded captures decoded whole: the counts of the page beside the data, and touch by touch.

Where a best quote carries the update id of a depth update, the book's touch after that update must
equal it; the page says on how many occasions.  A book must see no gap, no crossing and, after its
first snapshot, be sound to the end.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from mmcore._book import Book
from mmcore._intake import select
from mmcore.captures import look
from mmcore.events import BID, LEVEL, Flag, Kind, Status
from mmcore.instrument import known
from mmcore.recording import heads_of
from mmcore.tape import TapeSource

PAIR = "binance/{0}/{1}/{2}_20240808.gz", "binance/{0}/{1}/{2}_20240809.gz"
NEXO = ["binance/spot/NEXOUSDT/nexousdt_20240723.dat.gz",
        "binance/spot/NEXOUSDT/nexousdt_20240724.dat.gz"]  # fmt: skip


def pair(product, symbol):
    return [name.format(product, symbol, symbol.lower()) for name in PAIR]


@dataclass
class Sight:
    """What one instrument showed: messages by kind, and its book."""

    book: Book
    kinds: Counter = field(default_factory=Counter)
    levels: int = 0
    bests: dict = field(default_factory=dict)  # update id -> best quotes with it, as sent
    touches: dict = field(default_factory=dict)  # update id -> touch of the book after it
    last_best: int = 0  # update id of the last best quote
    met: int = 0  # updates with the id of the best quote received last, as the page counts
    trades: list = field(default_factory=list)

    def feed(self, rows):
        """All messages of a block; rows of this instrument only."""
        self.book.bind(rows)
        at, n = 0, len(rows)
        while at < n:
            row = rows[at]
            kind = Kind(row["kind"])
            self.kinds["snapshot" if row["flags"] & Flag.SNAPSHOT else kind.name] += 1
            size = int(row["n_bids"]) + int(row["n_asks"])
            if kind == Kind.DEPTH:
                self.levels += 0 if row["flags"] & Flag.SNAPSHOT else size
                assert self.book.update(at) in (0, 1)
                if self.book.last_seq == row["seq"]:
                    self.met += self.last_best == row["seq"]
                    self.touches[int(row["seq"])] = self.touch()
            elif kind == Kind.BEST:
                best = self.bests.setdefault(int(row["seq"]), {})
                best.setdefault(int(row["side"]), set()).add((int(row["tick"]), int(row["qty"])))
                self.last_best = int(row["seq"])
            elif kind == Kind.TRADE:
                self.trades.append(int(row["seq"]))
            at += 1 + ((size + 3) // 4 if kind == Kind.DEPTH else 0)
        self.book.release()

    def touch(self):
        out = np.zeros(1, LEVEL)
        sides = {}
        for side in (BID, -BID):
            sides[side] = out[0].item() if self.book.top(side, out) else (0, 0)
        return sides

    def compared(self):
        """Best quotes that carry the id of an update: how many equal the touch, and of how many."""
        common = self.bests.keys() & self.touches.keys()
        equal = sum(
            self.bests[u] == {side: {level} for side, level in self.touches[u].items()}
            for u in common
        )
        return equal, len(common)

    def sound(self):
        seen = self.book.counters
        assert (seen.gaps, seen.bad, seen.crossed) == (0, 0, 0)
        assert self.book.health == Status.OK and self.book.sound()


def watch(shared_data, files, wanted=None, every=None):
    source = TapeSource([shared_data / file for file in files], wanted)
    sights = [Sight(Book(item.spec(i))) for i, item in enumerate(source.instruments)]
    last = 0
    while (rows := source.next_block()) is not None:
        for number, sight in enumerate(sights):
            if every is None or number in every:
                table = [-1] * len(sights)
                table[number] = number
                sight.feed(select(rows, table))
        assert rows["ts_local_ns"][0] >= last
        last = rows["ts_local_ns"][0]
    assert source.problem_count == 0, source.problems
    source.close()
    return dict(zip(source.instruments, sights, strict=True))


# files, depth updates, trades, best quotes, comparable best quotes
BUSY = {
    "usdm BTCUSDT": (["binance/usdm/BTCUSDT/btcusdt_20240808.gz"], 6551, 21313, 66089, 447),
    "spot ETHUSDT": (pair("spot", "ETHUSDT"), 6470, 14515, 58758, 992),
    "spot NEXOUSDT": (NEXO, 68182, 12458, 33437, 12117),
}
BUSIER = {
    "usdm ETHUSDT": (["binance/usdm/ETHUSDT/ethusdt_20240808.gz"], 6586, 14076, 53992, 426),
    "spot BTCUSDT": (pair("spot", "BTCUSDT"), 6495, 19904, 73174, 1059),
    "coinm BTCUSD_PERP": (pair("coinm", "BTCUSD_PERP"), 44795, 5235, 48355, 1885),
    "coinm ETHUSD_PERP": (pair("coinm", "ETHUSD_PERP"), 39155, 3595, 35563, 2278),
}


def check(shared_data, files, updates, trades, bests, comparable):
    ((_, sight),) = watch(shared_data, files).items()
    assert sight.kinds["snapshot"] == 1
    # Updates that the snapshot already holds never leave the chain.
    assert updates - 60 <= sight.kinds["DEPTH"] <= updates
    assert (sight.kinds["TRADE"], sight.kinds["BEST"]) == (trades, 2 * bests)
    assert np.all(np.diff(sight.trades) == 1)
    assert sight.met == comparable
    equal, common = sight.compared()  # wherever in the stream the two stand
    assert equal == common >= comparable
    sight.sound()


@pytest.mark.parametrize("name", BUSY)
def test_a_binance_capture(shared_data, name):
    check(shared_data, *BUSY[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", BUSIER)
def test_another_binance_capture(shared_data, name):
    check(shared_data, *BUSIER[name])


def test_six_instruments_at_once_are_what_each_is_alone(shared_data):
    files = [file for row in {**BUSY, **BUSIER}.values() for file in row[0] if "NEXO" not in file]
    assert len(files) == 10
    source = TapeSource([shared_data / file for file in files])
    assert len(source.instruments) == 6
    kinds = np.zeros((6, len(Kind)), np.int64)
    last = 0
    while (rows := source.next_block()) is not None:
        heads, at = [], 0
        sizes = (rows["n_bids"].astype(np.int64) + rows["n_asks"] + 3) // 4
        sizes = np.where(rows["kind"] == Kind.DEPTH, sizes, 0).tolist()
        while at < len(rows):
            heads.append(at)
            at += 1 + sizes[at]
        times = rows["ts_local_ns"][heads]
        assert times[0] >= last and np.all(np.diff(times) >= 0)
        last = times[-1]
        np.add.at(kinds, (rows["instrument"][heads], rows["kind"][heads]), 1)
    assert source.problem_count == 0 and source.progress() == 1.0
    for row, item in zip(kinds, source.instruments, strict=True):
        product = item.venue.removeprefix("binance-")
        _, _, trades, bests, _ = {**BUSY, **BUSIER}[f"{product} {item.symbol}"]
        assert (row[Kind.TRADE], row[Kind.BEST]) == (trades, 2 * bests)


def test_the_bybit_capture(shared_data):
    file = "bybit/v5_public_2026-08-09/BYBIT.jsonl.zst"
    sights = watch(shared_data, [file])
    assert sorted(str(item) for item in sights) == [
        "bybit-linear:BTCUSDT", "bybit-linear:DOGEUSDT", "bybit-linear:ETHUSDT",
        "bybit-linear:SOLUSDT", "bybit-spot:BTCUSDT", "bybit-spot:ETHUSDT",
    ]  # fmt: skip
    assert sum(sight.kinds["snapshot"] for sight in sights.values()) == 6
    assert sum(sight.kinds["DEPTH"] for sight in sights.values()) == 2142
    assert sum(sight.kinds["TRADE"] for sight in sights.values()) == 347
    for item, sight in sights.items():
        sight.sound()
        assert len(set(sight.trades)) == len(sight.trades)
        if item.symbol in {"SOLUSDT", "DOGEUSDT"} or item.venue == "bybit-spot":
            continue
        assert item.tick == known(item.venue, item.symbol).tick
    assert look(shared_data / file).answers["bybit-spot"]["BTCUSDT"].qty_decimals == 6


def test_level_one_of_bybit_is_a_snapshot_every_time(shared_data):
    figures = [("SNTUSDT", "0.00001"), ("BANDUSDT", "0.0001"), ("AIOZUSDT", "0.0001"),
               ("RADUSDT", "0.0001")]  # fmt: skip
    base = known("bybit-linear", "SOLUSDT")
    wanted = [replace(base, symbol=symbol, tick=tick) for symbol, tick in figures]
    sights = watch(shared_data, ["bybit/v5_linear_l1_2025-06-13/BYBIT.ws.1.0"], wanted)
    assert all(sight.kinds.keys() == {"snapshot"} for sight in sights.values())
    assert all(sight.book.n_bids == sight.book.n_asks == 1 for sight in sights.values())


def finer(item, tick):
    # Levels older than the last change of the tick stay on the finer grid until they are taken.
    return replace(item, tick=tick)


def test_the_recorders_files_of_binance(shared_data):
    futures = "binance/usdm/alts_2021-07-22/BINANCE_FUTURES.jsonl.zst"
    items = look(shared_data / futures).answers["binance-usdm"]
    names = ["SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"]
    wanted = [finer(items[name], "0.00001") for name in names]
    sights = watch(shared_data, [futures], wanted)
    assert sum(sight.kinds["TRADE"] for sight in sights.values()) == 91
    assert sum(sight.kinds["BEST"] for sight in sights.values()) == 2 * 613
    assert [sight.kinds["snapshot"] for sight in sights.values()] == [1] * 4
    compared = [sight.compared() for sight in sights.values()]
    assert tuple(map(sum, zip(*compared, strict=True))) == (50, 50)
    for sight in sights.values():
        sight.sound()
    spot = "binance/spot/alts_2021-10-12/BINANCE.jsonl.zst"
    items = look(shared_data / spot).answers["binance-spot"]
    names = ["NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"]
    sights = watch(shared_data, [spot], [finer(items[name], "0.00000001") for name in names])
    for sight in sights.values():
        equal, comparable = sight.compared()
        assert equal == comparable
        sight.sound()


def test_the_hyperliquid_capture(shared_data):
    file = "hyperliquid/BTC/raw_2025-01-26/btcusd_20250126.gz"
    ((item, sight),) = watch(shared_data, [file]).items()
    assert str(item) == "hyperliquid:BTC"
    assert sight.kinds["snapshot"] == 46
    assert sight.book.n_bids == sight.book.n_asks == 20
    sight.sound()


def test_the_damaged_csv_files(shared_data):
    folder = "binance/{}/TRXUSDT/csv_2025-03-04/test_{}_binance_{}_trxusdt_04-03-2025.csv"
    spot, futures = "difference_depth_stream_spot", "trade_stream_usd_m_futures"
    said = {}
    for product, kind in (("spot", spot), ("usdm", futures)):
        for quality in ("positive", "negative"):
            source = TapeSource([shared_data / folder.format(product, quality, kind)])
            while source.next_block() is not None:
                pass
            said[product, quality] = {problem.line for problem in source.problems}
    assert said == {
        ("spot", "positive"): set(),
        ("spot", "negative"): {2, 9, 10, 10001},
        ("usdm", "positive"): set(),
        ("usdm", "negative"): {2},
    }


def test_the_parity_tape(shared_data):
    source = TapeSource([shared_data / "hbt_parity" / "tape.npz"], [("binance-usdm", "BTCUSDT")])
    blocks = []
    while (block := source.next_block()) is not None:
        blocks.append(block.copy())
    rows = np.concatenate(blocks)
    heads = rows[heads_of(rows)]
    assert source.clock == "two"
    assert np.count_nonzero(heads["kind"] == Kind.TRADE) == 15591
    assert np.count_nonzero(heads["kind"] == Kind.CLEAR) == 1
    depth = heads[heads["kind"] == Kind.DEPTH]
    n_levels = depth["n_bids"].astype(int) + depth["n_asks"]
    assert int(np.maximum(n_levels, 1).sum()) == 46526  # one alone stands in its row
    assert len(heads) == 62118 - 46526 + len(depth)
