"""Tables as tapes: hftbacktest's event array, and levels and trades with update ids."""

import gzip
import zipfile

import numpy as np
import pytest
from made_tapes import drain, heads, read
from zst import zstd

from mmcore._book import Book
from mmcore.errors import DataError
from mmcore.events import LEVEL, Flag, Kind
from mmcore.instrument import known
from mmcore.recording import heads_of
from mmcore.streams import Text
from mmcore.tables import read_npz
from mmcore.tape import TapeSource

BTC = known("binance-usdm", "BTCUSDT")
ETH = known("binance-usdm", "ETHUSDT")


@pytest.fixture
def file(tmp_path):
    def write(content, name):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


HBT = np.dtype([("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"),
                ("qty", "<f8"), ("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8")])  # fmt: skip
EXCH, LOCAL, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28


def npz(tmp_path, *rows):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, data=np.array([(*row, 0, 0, 0.0) for row in rows], HBT))
    return path


def test_an_event_array_keeps_both_orders(tmp_path):
    path = npz(
        tmp_path,
        (EXCH | LOCAL | 3, 1, 2, np.nan, 0.0),
        (EXCH | LOCAL | BUY | 4, 1, 2, 100.1, 0.003),
        (EXCH | SELL | 2, 5, 9, 100.2, 1.0),
        (LOCAL | BUY | 1, 3, 8, 100.0, 0.0),
        (EXCH | LOCAL | SELL | 3, 7, 9, 100.3, 0.0),
    )
    source = TapeSource([path], [BTC])
    rows = read(source)
    assert source.clock == "two" and source.instruments == (BTC,)
    kinds = [Kind.CLEAR, Kind.DEPTH, Kind.TRADE, Kind.DEPTH, Kind.CLEAR]
    assert rows["kind"].tolist() == kinds
    assert rows["side"].tolist() == [0, 1, -1, 1, -1]
    assert rows["flags"].tolist() == [3, 3, 1, 2, 3]
    assert rows["tick"].tolist() == [0, 1001, 1002, 1000, 1003]
    assert rows["qty"].tolist() == [0, 3, 1000, 0, 0]
    assert not rows["seq"].any()
    both = TapeSource([path, path], [BTC])
    with pytest.raises(
        DataError, match=r"exch_ts: the file begins before .*x.npz ends \(1 and 7\); name each"
    ):
        read(both)
    with pytest.raises(DataError, match="2 are wanted"):
        TapeSource([path], [BTC, ETH])


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (
            (EXCH | BUY | 1, 3, 3, 100.05, 1.0),
            "column px: 100.05 is no multiple of .* tick 0.1; give the tick",
        ),
        (
            (EXCH | BUY | 1, 3, 3, 100.0, 0.0005),
            "column qty: 0.0005 is no multiple of .* lot 0.001",
        ),
        ((EXCH | BUY | 1, 3, 3, 61_800.35, 1.0), "column px: 61800.35 is no multiple"),
        ((EXCH | BUY | 1, 3, 3, -1.0, 1.0), "column px: -1.0 is no price"),
        ((EXCH | BUY | 1, 3, 3, np.nan, 1.0), "column px: nan is no price"),
        ((EXCH | BUY | 9, 3, 3, 100.0, 1.0), "kind of event"),
        ((BUY | 1, 3, 3, 100.0, 1.0), "neither side"),
        ((EXCH | 1, 3, 3, 100.0, 1.0), "without a side"),
        ((EXCH | BUY | 1, 0, 3, 100.0, 1.0), "column exch_ts: 0 comes before 2"),
    ],
)
def test_a_bad_row_of_an_event_array_is_named(tmp_path, row, what):
    path = npz(tmp_path, (EXCH | LOCAL | BUY | 1, 2, 2, 100.0, 1.0), row)
    source = TapeSource([path], [BTC])
    with pytest.raises(DataError, match=what) as caught:
        read(source)
    assert caught.value.record == 2
    with pytest.raises(DataError, match=what):
        read_npz(path, BTC)


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros((3, 6)), "lacks the columns ev, .* plain float64"),
        (np.zeros(3, [("ev", "u8"), ("px", "f8")]), "lacks the columns exch_ts, local_ts, qty; it"),
        (
            np.zeros(3, [(n, "f8") for n in ("ev", "exch_ts", "local_ts", "px", "qty")]),
            "column ev is of float64, expected whole numbers",
        ),
        (
            np.zeros(
                3,
                [(n, "<u8" if n == "ev" else "<i8" if "ts" in n else "<f4") for n in HBT.names[:5]],
            ),
            "column px is of float32, expected doubles",
        ),
        (np.zeros(0, HBT), "the array is empty"),
        (np.array([{}, {}]), "lacks the columns"),
    ],
)
def test_an_array_of_other_fields_is_refused(tmp_path, array, what):
    np.savez(tmp_path / "x.npz", data=array)
    with pytest.raises(DataError, match=what):
        TapeSource([tmp_path / "x.npz"], [BTC])


def many(n, start=0):
    """An array of ``n`` rows, one a millisecond."""
    array = np.zeros(n, HBT)
    array["ev"] = EXCH | LOCAL | BUY | 1
    array["exch_ts"] = np.arange(start, start + n) * 10**6 + 1
    array["local_ts"] = array["exch_ts"] + 500
    array["px"], array["qty"] = 100.0 + np.arange(n) % 7 / 10, 0.003
    return array


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_an_array_is_read_in_pieces_and_arrays_continue_each_other(tmp_path, save):
    suffix = ".npy" if save is np.save else ".npz"
    for name, start in (("b", 70_000), ("a", 0)):
        save(tmp_path / f"{name}{suffix}", many(70_000, start))
    paths = [tmp_path / f"{name}{suffix}" for name in "ba"]
    source = TapeSource(paths, [BTC])
    blocks = []
    while (block := source.next_block()) is not None:
        assert len(block) <= 32_768
        blocks.append(block)
        assert 0 < source.progress() <= 1
    rows = np.concatenate(blocks)
    assert len(rows) == 140_000 and (np.diff(rows["ts_local_ns"]) > 0).all()
    whole = read_npz(paths[1], BTC)
    assert whole.tobytes() == rows[:70_000].tobytes()


@pytest.mark.parametrize("per_instant", [3, 40_000])
def test_the_levels_of_an_instant_are_one_message_wherever_the_pieces_end(tmp_path, per_instant):
    array = many(100_000)
    for name in ("exch_ts", "local_ts"):
        array[name] = array[name][np.arange(100_000) // per_instant * per_instant]
    array["px"] = 100.0 + np.arange(100_000) % per_instant / 10
    np.save(tmp_path / "x.npy", array)
    rows = read(TapeSource([tmp_path / "x.npy"], [BTC]))
    chain = rows["flags"][heads_of(rows)] & (Flag.MORE | Flag.CONT)
    n_messages = -(-100_000 // per_instant)
    assert np.count_nonzero(~chain & Flag.CONT) == n_messages
    assert np.count_nonzero(~chain & Flag.MORE) == n_messages
    book = Book(BTC.spec(), window=65_536)
    book.bind(rows)
    book.run()
    assert book.counters.messages == n_messages and book.counters.levels == 100_000
    assert book.n_bids == per_instant


def test_a_cut_array_is_used_up_to_the_cut(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, many(40_000))
    path.write_bytes(path.read_bytes()[: -64 * 100 - 7])
    source = TapeSource([path], [BTC])
    assert len(source.next_block()) == 32_767  # the last row waits for others of its instant
    with pytest.raises(DataError, match="cut off or damaged") as caught:
        source.next_block()
    assert caught.value.record == 39_900 and "everything before" in str(caught.value)


def test_two_clocks_and_one_are_not_merged(tmp_path, file):
    np.savez(tmp_path / "x.npz", data=many(3))
    text = CSV + csv_row(1741046400000, 1, 1, 0, "0.2311")
    other = file(text.encode(), "b.csv")
    with pytest.raises(DataError, match=r"cannot be merged with .*b.csv, only with"):
        TapeSource([tmp_path / "x.npz", other], [BTC])


def zipped(tmp_path, **files):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.csv", text)
    return tmp_path / "x.zip"


def test_a_zip_is_read_without_unpacking_it(tmp_path):
    text = CSV + "".join(csv_row(1741046400000 + i, i, i, 0, "0.2311") for i in range(1, 9000))
    (tmp_path / "x.csv").write_text(text)
    plain = read(TapeSource([tmp_path / "x.csv"]))
    source = TapeSource([zipped(tmp_path, x=text)])
    assert read(source).tobytes() == plain.tobytes() and source.progress() == 1
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[4000:4040] = bytes(40)
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(DataError, match="the archive is damaged"):
        read(TapeSource([tmp_path / "x.zip"]))


def test_a_zip_of_none_or_of_several_files_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"an archive of 2 files \(a.csv, b.csv\), expected one"):
        TapeSource([zipped(tmp_path, a="1,2", b="1,2")])
    with pytest.raises(DataError, match="nothing in it; unpack"):
        TapeSource([zipped(tmp_path)])


CSV = (
    "TimestampOfReceive,Stream,EventType,EventTime,Symbol,FirstUpdateId,FinalUpdateId,IsAsk,Price,"
    "Quantity\n"
)


def csv_row(ts, first, last, ask, price, quantity="1.0", event=None):
    event = ts if event is None else event
    return (
        f"{ts},trxusdt@depth,depthUpdate,{event},TRXUSDT,{first},{last},{ask},{price},{quantity}\n"
    )


def test_a_packed_csv_file_gives_the_same_rows_and_tells_where_it_is_cut(file):
    text = CSV + "".join(csv_row(1741046400000 + i, i, i, 0, "0.2311") for i in range(1, 9000))
    plain = read(TapeSource([file(text.encode(), "x.csv")]))
    assert len(plain) == 2 * 8999
    packed = zstd.compress(text.encode())
    assert read(TapeSource([file(packed, "x.csv.zst")])).tobytes() == plain.tobytes()
    packed = gzip.compress(text.encode())
    path = file(packed, "x.csv.gz")
    assert read(TapeSource([path])).tobytes() == plain.tobytes()
    path.write_bytes(packed[:-200])
    source, rows = TapeSource([path]), []
    with pytest.raises(DataError, match=r"is cut off; everything before was used") as caught:
        drain(source, rows)
    assert 0 < sum(map(len, rows)) == 2 * (caught.value.line - 1) < len(plain)
    assert not source.problem_count


@pytest.mark.parametrize(
    ("inside", "what"),
    [
        (b"mmcore tape\n{}", "a tape of mmcore that is packed"),
        (b"\x93NUMPY\x01", "a bare array that is packed"),
        (b"PAR1" + bytes(40), "a Parquet file that is packed"),
    ],
)
def test_what_is_read_in_place_cannot_be_packed(tmp_path, file, inside, what):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("inside", inside)
    for path in (file(gzip.compress(inside), "x.gz"), tmp_path / "x.zip"):
        with pytest.raises(DataError, match=f"{what}, .*; unpack it"):
            TapeSource([path], [BTC])


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_text_that_was_packed_very_well_is_unpacked_in_pieces(file, pack):
    whole = [b"7" * 3_000_000, b"", bytes(range(256)) * 40, b"x" * (1 << 20), b"y"]
    text = Text(file(b"".join(map(pack, whole)), "x"))
    pieces = list(iter(text.next_chunk, b""))
    text.close()
    assert b"".join(pieces) == b"".join(whole) and not text.fault
    assert max(map(len, pieces)) <= 1 << 20 < len(whole[0])


@pytest.mark.parametrize("lost", ["Price", "Symbol", "IsAsk", "FinalUpdateId"])
def test_a_csv_file_that_lacks_a_column_is_refused(file, lost):
    text = CSV.replace(f",{lost}", ",Else") + csv_row(1741046400000, 1, 1, 0, "0.2311")
    with pytest.raises(DataError, match=f"a table of depth that lacks the columns {lost};"):
        TapeSource([file(text.encode(), "x.csv")])


def test_every_damaged_row_of_a_csv_file_is_named(file):
    t = 1741046400000000
    text = CSV + "".join(
        [
            csv_row(t, 1, 4, 1, "0.2313"),
            csv_row(t, 1, 4, 0, "0.2311"),
            csv_row(t + 1, 5, 6, 0, -1, event=0),
            csv_row(t + 1, 5, 6, 1, "0.2313"),
            csv_row(t + 2, 7, 7, 0, "0.23111"),
            csv_row(t + 3, 8, 8, 0, "0.2311", "x"),
            "1,2,3\n",
            csv_row(t + 5, 10, 11, 0, "0.2311"),
            csv_row(t + 4, 12, 12, 0, "0.2311"),
            csv_row(t + 6, 13, 13, 0, "0.2311"),
            csv_row(t + 86_400_000_000, 14, 14, 0, "0.2311"),
            csv_row(t + 8, 15, 15, "yes", "0.2311"),
        ]
    )
    source = TapeSource([file(text.encode(), "x.csv")])
    rows = read(source)
    said = {problem.line: problem.what for problem in source.problems}
    assert sorted(said) == [4, 6, 7, 8, 9, 10, 12, 13]
    assert "EventTime 0" in said[4] and "-1 is negative" in said[4]
    assert "'0.23111'" in said[6] and "'x'" in said[7] and "3 fields" in said[8]
    assert "follows update 9, not 8" in said[9] and "backwards" in said[10]
    assert "another day" in said[12] and "IsAsk 'yes' is neither 0 nor 1" in said[13]
    names = [name for name, _ in heads(rows)]
    down = ["LINK_DOWN"]
    assert names == ["DEPTH", *down * 3, "DEPTH", *down, "DEPTH", *down * 2]
    assert rows[1:2].view(LEVEL)["tick"].tolist()[:2] == [2311, 2313]


def test_a_row_that_is_torn_anywhere_is_named_and_left_out(file):
    rows = [csv_row(1741046400000 + i, i, i, 0, "0.2311") for i in (10, 11, 12, 13)]
    for end in range(1, len(rows[2].rpartition(",")[0])):
        text = CSV + "".join([*rows[:2], rows[2][:end], "\n", rows[3]])
        source = TapeSource([file(text.encode(), "x.csv")])
        names = [name for name, _ in heads(read(source))]
        assert names[0] == names[-1] == "DEPTH" and names[-2] == "LINK_DOWN", rows[2][:end]
        assert source.problems[0].line == 4


def test_trades_of_a_csv_file(file):
    header = (
        "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,TradeId,Price,"
        "Quantity,IsBuyerMarketMaker,XUnknownParameter\n"
    )
    row = "1741046404352,x@trade,trade,1741046404349,1741046404348,TRXUSDT,{},{},243.0,{},{}\n"
    text = header + "".join(
        [
            row.format(5, "0.23103", 0, "MARKET"),
            row.format(5, "0.23103", 0, "MARKET"),
            row.format(6, "-1", 0, "MARKET"),
            row.format(7, "0.0", 0, ""),
            row.format(8, "0.23103", "y", "MARKET"),
            row.format(9, "0.23104", 1, "MARKET"),
        ]
    )
    source = TapeSource([file(text.encode(), "x.csv")])
    rows = read(source)
    assert source.instruments[0].venue == "binance-usdm"
    assert rows["seq"].tolist() == [5, 9] and rows["side"].tolist() == [1, -1]
    assert rows["tick"].tolist() == [23103, 23104]
    assert rows["ts_venue_ns"][0] == 1741046404348_000_000
    assert [problem.line for problem in source.problems] == [3, 4, 6]
