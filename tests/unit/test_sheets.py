"""Tables of other people: Tardis, archives, book images; and what may be wrong in them."""

import contextlib
import random
import re

import numpy as np
import pytest

from mmcore.errors import DataError, NoDataError
from mmcore.events import LEVEL, Flag, Kind
from mmcore.instrument import known
from mmcore.recording import heads_of, levels_of
from mmcore.tape import TapeSource
from mmcore.tape_info import tape_facts

BTC = known("binance-usdm", "BTCUSDT")
BOOK = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
T = 1_700_000_000_000_000
AGGREGATES = (
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
    "5,100.1,2,1,2,1700000000000,true\n"
)


def book(t, side, price, amount="1", *, whole=False, late=5):
    flag = str(whole).lower()
    return f"binance-futures,BTCUSDT,{t},{t + late},{flag},{side},{price},{amount}\n"


GOOD = BOOK + "".join(
    [
        book(T, "bid", "100.0", whole=True),
        book(T, "ask", "100.1", "2.5", whole=True),
        book(T, "bid", "99.9", "0.001", whole=True),
        book(T + 9, "ask", "100.1", "0"),
        book(T + 9, "ask", "100.2", "3"),
        book(T + 11, "bid", "100.0", "4"),
    ]
)


def rows_in(path, wanted=None):
    source = TapeSource([path] if not isinstance(path, list) else path, wanted)
    blocks = []
    while (block := source.next_block()) is not None:
        blocks.append(block.copy())
    return np.concatenate(blocks), source


@pytest.fixture
def write(tmp_path):
    def write(text, name="x.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_rows_of_one_message_become_one_message(write):
    rows, source = rows_in(write(GOOD))
    assert [str(item) for item in source.instruments] == ["binance-usdm:BTCUSDT"]
    heads = heads_of(rows)
    assert rows["kind"][heads].tolist() == [Kind.DEPTH] * 3
    assert (rows["flags"][heads] & Flag.SNAPSHOT).tolist() == [Flag.SNAPSHOT, 0, 0]
    assert rows["ts_local_ns"][heads].tolist() == [(T + d) * 1000 for d in (5, 14, 16)]
    bids, asks = levels_of(rows, 0)
    assert bids.tolist() == [(1000, 1000), (999, 1)]
    assert asks.tolist() == [(1001, 2500)]
    assert levels_of(rows, int(heads[1]))[1].tolist() == [(1001, 0), (1002, 3000)]


def test_a_snapshot_larger_than_a_message_continues(write):
    n = 5000
    text = BOOK + "".join(book(T, "bid", 1000 - i / 10, whole=True) for i in range(n))
    text += book(T, "ask", 1001, whole=True)
    rows, _ = rows_in(write(text))
    heads = heads_of(rows)
    flags = rows["flags"][heads] & ~np.uint8(Flag.EXCH | Flag.LOCAL)
    assert flags.tolist() == [Flag.SNAPSHOT | Flag.MORE, Flag.SNAPSHOT | Flag.CONT]
    assert [len(side) for head in heads for side in levels_of(rows, int(head))] == [
        4096, 0, n - 4096, 1,
    ]  # fmt: skip


def test_changes_before_the_first_snapshot_are_left_out_and_told(write):
    text = BOOK + book(T - 9, "bid", "100.0") + GOOD.removeprefix(BOOK)
    rows, source = rows_in(write(text))
    assert len(heads_of(rows)) == 3
    assert "1 levels before the first snapshot" in str(source.problems[0])


BAD = [
    (book(T + 20, "ask", "100.25"), "column price: 100.25 is no multiple of .* tick 0.1"),
    (book(T + 20, "ask", "100.2", "0.0005"), "column amount: 0.0005 is no multiple of .* lot"),
    (book(T + 20, "ask", "-1"), "column price: -1 is no price"),
    (book(T + 20, "ask", "x"), "column price: x is no number"),
    (book(T + 20, "ask", "nan"), "column price: nan is no price"),
    (book(T + 20, "buyer", "100.2"), "column side: buyer is no side"),
    (book(T - 20, "ask", "100.2"), "column local_timestamp: .* runs backwards"),
    (book(0, "ask", "100.2", late=T + 20), "column timestamp: 0 is no time"),
    (book(T + 20, "ask", "100.2").replace("BTC", "ETH"), "column symbol: ETHUSDT is not BTCUSDT"),
    (book(T + 20, "ask", "100.2").replace("false", "no"), "column is_snapshot: no is neither"),
    (book(T + 20, "ask", "100.2,7"), "9 fields, the table has 8"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "what"), BAD, ids=[what[:40] for _, what in BAD])
def test_a_row_that_cannot_be_true_is_named_with_its_column(write, line, what):
    path = write(GOOD + line)
    with pytest.raises(DataError, match=what) as caught:
        rows_in(path)
    assert caught.value.line == 8
    assert str(caught.value).startswith(f"{path}:8: ")


def test_a_side_that_is_never_there_is_refused(write):
    with pytest.raises(DataError, match="not one ask"):
        rows_in(write(BOOK + book(T, "bid", "100.0", whole=True)))


def test_prints_come_once_each(write):
    line = "binance-futures,BTCUSDT,{},{},{},{},100.0,0.5\n"
    text = TRADES + "".join(
        line.format(T + i, T + i + 1, trade, side)
        for i, (trade, side) in enumerate([(7, "buy"), (8, "sell"), (7, "buy"), (9, "sell")])
    )
    rows, source = rows_in(write(text))
    assert rows["seq"].tolist() == [7, 8, 9]
    assert rows["side"].tolist() == [1, -1, -1]
    assert "1 trades whose id was there before" in str(source.problems[0])


def test_a_trade_of_nothing_is_refused(write):
    text = TRADES + f"binance-futures,BTCUSDT,{T},{T},1,buy,100.0,0\n"
    with pytest.raises(DataError, match="column amount: 0 is no quantity of a trade"):
        rows_in(write(text))


def test_files_that_overlap_are_refused_with_the_row(write):
    one, two = write(GOOD, "1.csv"), write(GOOD, "2.csv")
    with pytest.raises(DataError, match=re.escape(f"{two}:2: column local_timestamp")):
        rows_in([one, two])


@pytest.mark.parametrize(
    ("name", "text", "venue", "ids"),
    [
        (
            "BTCUSDT-trades-2024-08-08.csv",
            "id,price,qty,quote_qty,time,is_buyer_maker\n5,100.1,0.5,50,1700000000000,true\n",
            "binance-usdm", [5],
        ),
        ("BTCUSDT-trades-2024-08-08.csv", "5,100.1,0.5,50,1700000000000,True,True\n",
         "binance-spot", [5]),
        ("BTCUSDT-aggTrades-2025-08-08.csv", "5,100.1,0.5,1,2,1700000000000000,True,True\n",
         "binance-spot", [5]),
        (
            "BTCUSD_PERP-aggTrades-2024-08.csv",
            AGGREGATES,
            "binance-coinm", [5],
        ),
    ],
)  # fmt: skip
def test_the_archives_of_binance(write, name, text, venue, ids):
    rows, source = rows_in(write(text, name))
    assert source.instruments[0].venue == venue
    assert rows["seq"].tolist() == ids
    assert rows["side"].tolist() == [-1]
    assert rows["ts_local_ns"].tolist() == [1_700_000_000 * 10**9]


def test_the_archive_of_bybit(write):
    text = (
        "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue\n"
        "1700000000.1234,BTCUSDT,Buy,0.5,100.1,PlusTick,a-b-c,5\n"
        "1700000000.1234,BTCUSDT,Sell,0.25,100.0,MinusTick,d-e-f,5\n"
    )
    rows, source = rows_in(write(text, "BTCUSDT2023-11-14.csv"))
    assert str(source.instruments[0]) == "bybit-linear:BTCUSDT"
    assert rows["ts_venue_ns"].tolist() == [1_700_000_000_123_400_000] * 2
    assert rows["side"].tolist() == [1, -1]
    assert rows["seq"].tolist() == [0, 0]


def test_what_a_run_would_lack_is_said(write):
    facts = tape_facts(str(write(GOOD)))
    assert facts["warnings"] == [
        "binance-usdm:BTCUSDT: no trades: orders fill only where the book goes through their price"
    ]
    (line,) = tape_facts(str(write(AGGREGATES, "ABCUSDT-aggTrades-2024-08.csv")))["warnings"][1:]
    assert "no book: nothing can be quoted" in line


def test_what_the_archives_do_not_hold_is_said(write):
    text = "timestamp,percentage,depth,notional\n2024-01-01 00:00:08,-5,9.0,9.0\n"
    with pytest.raises(DataError, match="not for a book or a queue"):
        rows_in(write(text, "BTCUSDT-bookDepth-2024-01-01.csv"))


def test_other_columns_are_told_with_what_is_missing(write):
    path = write("exchange,symbol,timestamp,id,side,price,amount\na,b,1,2,buy,1,1\n")
    with pytest.raises(DataError, match=r"nearest is 'tardis trades'.*local_timestamp"):
        TapeSource([path])
    with pytest.raises(NoDataError, match="no row under it"):
        TapeSource([write(BOOK, "y.csv")])


# ---- Parquet -----------------------------------------------------------------------------------


def image(**changes):
    columns = {
        "ts_ms": [1_700_000_000_100, 1_700_000_000_200],
        "exch_ts_ms": [1_700_000_000_050, 1_700_000_000_150],
        "venue": ["Binance"] * 2, "market_type": ["fut"] * 2, "symbol": ["BTCUSDT"] * 2,
        "seq": [4, 9],
        "bids_px": [[100.0, 99.9], [100.0]], "bids_qty": [[1.0, 2.0], [3.0]],
        "asks_px": [[100.1], [100.1, 100.2]], "asks_qty": [[4.0], [5.0, 6.0]],
    }  # fmt: skip
    return columns | changes


@pytest.fixture
def parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    def write(columns, name="x.parquet"):
        path = tmp_path / name
        files.write_table(arrow.table(columns), path)
        return path

    return write


def test_images_of_the_book(parquet):
    rows, source = rows_in(parquet(image()))
    heads = heads_of(rows)
    assert [str(item) for item in source.instruments] == ["binance-usdm:BTCUSDT"]
    assert rows["seq"][heads].tolist() == [4, 9]
    assert (rows["flags"][heads] & Flag.SNAPSHOT).all()
    assert levels_of(rows, int(heads[1]))[1].tolist() == [(1001, 5000), (1002, 6000)]
    assert rows.view(LEVEL).dtype == LEVEL


def test_a_hole_between_images_makes_the_book_stale(parquet):
    late = image(ts_ms=[1_700_000_000_100, 1_700_000_060_100])
    rows, _ = rows_in(parquet(late))
    heads = heads_of(rows)
    assert rows["kind"][heads].tolist() == [Kind.DEPTH, Kind.LINK_DOWN, Kind.DEPTH]
    assert rows["ts_local_ns"][heads[1]] == 1_700_000_005_100 * 10**6


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"bids_px": [[100.0, 99.9], [100.05]]}, "record 2: column bids_px: 100.05 is no multiple"),
        ({"asks_qty": [[4.0], [5.0]]}, "record 2: column asks_px"),
        ({"ts_ms": [1_700_000_000_100, 1_600_000_000_000]}, "record 2: column ts_ms"),
        ({"bids_px": [[], []], "bids_qty": [[], []]}, "not one bid"),
    ],
)
def test_an_image_that_cannot_be_true_is_named(parquet, changes, what):
    with pytest.raises(DataError, match=what):
        rows_in(parquet(image(**changes)))


def test_a_damaged_or_foreign_parquet_file(parquet, tmp_path):
    with pytest.raises(DataError, match="other columns"):
        TapeSource([parquet({"a": [1], "b": [2]})])
    with pytest.raises(NoDataError, match="no row"):
        TapeSource([parquet({name: values[:0] for name, values in image().items()}, "y.parquet")])
    whole = parquet(image()).read_bytes()
    (tmp_path / "z.parquet").write_bytes(whole[:-20])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        TapeSource([tmp_path / "z.parquet"])


def test_without_pyarrow_one_sentence_says_how_to_get_it(parquet, monkeypatch):
    path = parquet(image())
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'mmcore-maker\[parquet\]'"):
        TapeSource([path])


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_damaged_ends_in_a_sentence(write, parquet, seed):
    dice = random.Random(seed)
    images = "timestamp,exchange_timestamp,bid_price_0,bid_size_0,ask_price_0,ask_size_0\n"
    images += "1756904112.5,1756904112212,100.5,1,100.6,2\n" * 3
    archive = "id,price,qty,quote_qty,time,is_buyer_maker\n"
    archive += "".join(f"{i},100.1,0.5,50,{1_700_000_000_000 + i},true\n" for i in range(1, 9))
    sources = [GOOD.encode(), images.encode(), archive.encode(), parquet(image()).read_bytes()]
    for turn in range(60):
        spoilt = bytearray(dice.choice(sources))
        for _ in range(dice.choice([1, 2, 4])):
            at = dice.randrange(len(spoilt))
            spoilt[at : at + dice.choice([0, 1, 9])] = dice.choice(
                [b"", b"7", b",", b"\n", b"\xff"]
            )
        path = write("", f"BTCUSDT-trades-{turn}.csv")
        path.write_bytes(spoilt)
        with contextlib.suppress(DataError):  # anything else is a defect
            rows_in(path, [BTC])
