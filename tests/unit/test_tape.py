"""Tapes: mmcore's own file, and recordings good and bad, made by hand."""

import gzip
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pytest
from made_tapes import drain, heads, read
from zst import zstd

from mmcore._intake import sound_rows
from mmcore.errors import DataError, NoDataError
from mmcore.events import EVENT, LEVEL, Flag, Kind
from mmcore.instrument import known
from mmcore.tape import TapeFile, TapeSource, TapeWriter

BTC = known("binance-usdm", "BTCUSDT")
ETH = known("binance-usdm", "ETHUSDT")
T0 = 1_700_000_000_000_000_000


def frame(i, symbol="BTCUSDT", price="100.0"):
    return (
        f'{{"stream":"x@depth@0ms","data":{{"e":"depthUpdate","E":1,"T":1,"s":"{symbol}","U":{i},'
        f'"u":{i},"pu":{i - 1},"b":[["{price}","1"]],"a":[]}}}}'
    )


def rest(i):
    return f'{{"lastUpdateId":{i},"bids":[["99.0","1"]],"asks":[["101.0","1"]]}}'


def trade(i, symbol="BTCUSDT"):
    return (
        f'{{"data":{{"e":"trade","E":1,"T":1,"s":"{symbol}","t":{i},"p":"100.0","q":"1",'
        f'"X":"MARKET","m":true}}}}'
    )


def raw(*frames, start=0, step=10):
    return "".join(f"{T0 + start + i * step} {each}\n" for i, each in enumerate(frames)).encode()


@pytest.fixture
def file(tmp_path):
    def write(content, name="a.gz", pack=True):
        path = tmp_path / name
        path.write_bytes(gzip.compress(content, 1) if pack else content)
        return path

    return write


GOOD = raw(rest(5), frame(6), trade(1), frame(7))


# ---- mmcore's own file ----------------------------------------------------------------------


def some_rows(n):
    rows = np.zeros(3 * n, EVENT)
    rows["kind"][0::3], rows["kind"][1::3] = Kind.TRADE, Kind.DEPTH
    rows["n_bids"][1::3], rows["seq"] = 3, np.arange(3 * n)
    rows["ts_local_ns"] = T0 + np.arange(3 * n)
    rows.view(LEVEL)["tick"][8::12] = 7
    return rows


def test_what_is_written_is_read_back(tmp_path):
    rows, path = some_rows(50), tmp_path / "x.tape"
    with pytest.raises(ValueError, match="clock"):
        TapeWriter(path, [BTC], clock="three")
    writer = TapeWriter(path, [BTC, ETH], clock="two", provenance={"seed": 3})
    writer.append(rows[:60])
    writer.append(rows[60:])
    writer.sync()
    writer.close()
    writer.close()
    tape = TapeFile(path)
    assert (tape.clock, tape.instruments, tape.provenance) == ("two", (BTC, ETH), {"seed": 3})
    assert tape.rows.tobytes() == rows.tobytes() and len(tape) == writer.row_count == 150
    assert not tape.rows.flags.writeable
    source = TapeSource([path])
    assert (source.clock, source.instruments) == ("two", (BTC, ETH))
    assert read(source).tobytes() == rows.tobytes() and source.progress() == 1.0


def test_a_tape_cut_anywhere_is_whole_up_to_its_last_message(tmp_path):
    rows, path = some_rows(4), tmp_path / "x.tape"
    writer = TapeWriter(path, [BTC])
    writer.append(rows)
    writer.close()
    content = path.read_bytes()
    start = len(content) - rows.nbytes
    assert start % 4096 == 0
    for size in range(start, len(content) + 1, 16):
        path.write_bytes(content[:size])
        whole = (size - start) // 64
        whole -= whole % 3 == 2  # a depth header without its levels
        assert len(TapeFile(path)) == whole
        assert TapeFile(path).rows.tobytes() == rows[:whole].tobytes()


def test_a_tape_never_replaces_another(tmp_path):
    TapeWriter(tmp_path / "x.tape", [BTC]).close()
    with pytest.raises(DataError, match="cannot be written"):
        TapeWriter(tmp_path / "x.tape", [BTC])
    with pytest.raises(DataError, match="cannot be written"):
        TapeWriter(tmp_path / "none" / "x.tape", [BTC])
    with pytest.raises(NoDataError, match="no event"):
        TapeSource([tmp_path / "x.tape"])


def test_other_dtypes_are_not_appended(tmp_path):
    writer = TapeWriter(tmp_path / "x.tape", [BTC])
    with pytest.raises(ValueError, match=r"events\.EVENT"):
        writer.append(np.zeros(3))
    writer.close()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"other\n", "not a tape"),
        (b"mmcore tape\n{", "cut off"),
        (b'mmcore tape\n{"version":2}\n', "version 2"),
        (b'mmcore tape\n{"version":1}\n', "header is damaged"),
        (b'mmcore tape\n{"version":1,"clock":"local","provenance":{},"instruments":[{}]}\n',
         "header is damaged"),
    ],
)  # fmt: skip
def test_a_damaged_header_is_refused(tmp_path, content, what):
    (tmp_path / "x.tape").write_bytes(content)
    with pytest.raises(DataError, match=what):
        TapeFile(tmp_path / "x.tape")


def test_a_tape_outlives_the_sudden_death_of_its_writer(tmp_path):
    path = tmp_path / "x.tape"
    code = f"""
        import numpy as np
        from mmcore.events import EVENT
        from mmcore.instrument import known
        from mmcore.tape import TapeWriter
        writer = TapeWriter({str(path)!r}, [known("binance-usdm", "BTCUSDT")])
        rows = np.zeros(100, EVENT)
        rows["kind"] = 2
        for i in range(10**9):
            rows["seq"] = i
            writer.append(rows)
            if i == 50:
                print("ready", flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
        time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
    rows = TapeFile(path).rows
    assert len(rows) >= 5100
    assert (rows["seq"] == np.arange(len(rows)) // 100).all()


def test_instruments_of_a_tape_are_selected_and_renumbered(tmp_path):
    rows = some_rows(4)
    rows["instrument"][0::3] = [0, 1, 0, 1]
    writer = TapeWriter(tmp_path / "x.tape", [BTC, ETH])
    writer.append(rows)
    writer.close()
    only = read(TapeSource([tmp_path / "x.tape"], [ETH]))
    assert only["seq"].tolist() == [3, 9] and not only["instrument"].any()
    swapped = read(TapeSource([tmp_path / "x.tape"], [("binance-usdm", "ETH-USDT"), BTC]))
    assert len(swapped) == 12 and swapped["instrument"][0] == 1


def written(path, rows, **facts):
    writer = TapeWriter(path, [BTC], **facts)
    writer.append(rows)
    writer.close()
    return path


def prints(n):
    rows = np.zeros(n, EVENT)
    rows["kind"], rows["flags"], rows["side"], rows["tick"], rows["qty"] = 2, 3, 1, 1000, 1
    rows["ts_local_ns"] = rows["ts_venue_ns"] = T0 + np.arange(n)
    return rows


@pytest.mark.parametrize(("block", "broken"), [(3, False), (9, False), (3, True), (9, True)])
def test_a_chain_cut_by_a_block_is_gone_through_twice(block: int, broken: bool) -> None:
    rows = prints(6)
    rows["kind"][1:5] = Kind.DEPTH
    rows["flags"][1:4] |= np.uint8(Flag.MORE)
    if broken:
        rows["ts_local_ns"][4] = T0
    clocks, found, at = np.zeros(2, np.int64), [], 0
    while at < len(rows):
        told = sound_rows(rows[at:].view(np.uint8), block, max(Kind) + 1, 1, True, clocks)
        found.append(told)
        at += told[0]
        if not told[0]:
            assert (told[1:], at, clocks.tolist()) == ((4, 3), 1, [T0 + 3] * 2)
            return
        assert clocks.tolist() == [T0 + at - 1] * 2
    assert not broken, found


@pytest.mark.parametrize(
    ("clock", "column", "value", "what"),
    [
        ("local", "kind", 0, "column kind: 0 is no kind of event"),
        ("local", "kind", 200, "column kind: 200 is no kind"),
        ("local", "instrument", 1, "column instrument: 1, and the tape has 1"),
        ("local", "ts_local_ns", 5, "column ts_local_ns: 5 comes before 17.*; sort the rows by it"),
        ("two", "ts_local_ns", 5, "column ts_local_ns: 5 comes before 17.*both clocks"),
        ("two", "ts_venue_ns", 5, "column ts_venue_ns: 5 comes before 17.*both clocks"),
    ],
)
def test_a_row_of_a_tape_that_cannot_be_true_is_named(tmp_path, clock, column, value, what):
    rows = prints(40_000)
    rows[column][35_000] = value
    source, blocks = TapeSource([written(tmp_path / "x.mmt", rows, clock=clock)]), []
    with pytest.raises(DataError, match=f"x.mmt, record 35001: {what}"):
        drain(source, blocks)
    assert np.concatenate(blocks).tobytes() == rows[:35_000].tobytes()


def test_a_message_of_too_many_levels_is_named(tmp_path):
    rows = prints(40_000)
    rows["kind"][7], rows["n_bids"][7] = Kind.DEPTH, 5000
    source = TapeSource([written(tmp_path / "x.mmt", rows)])
    assert len(source.next_block()) == 7
    with pytest.raises(DataError, match=r"record 8: column n_bids: 5000 bids and 0 asks"):
        source.next_block()


def test_only_the_order_that_a_row_belongs_to_is_asked_of_it(tmp_path):
    rows = prints(4)
    rows["flags"] = [3, 1, 2, 3]
    rows["ts_local_ns"][1], rows["ts_venue_ns"][2] = 5, 5
    path = written(tmp_path / "x.mmt", rows, clock="two")
    assert read(TapeSource([path])).tobytes() == rows.tobytes()
    rows["ts_venue_ns"] = 0  # with one clock the venue's is a remark
    rows["ts_local_ns"] = T0
    assert len(read(TapeSource([written(tmp_path / "y.mmt", rows)]))) == 4


@pytest.mark.parametrize("rest", [b"x" * 40, bytes(64 * 5000), bytes(64) * 3 + b"x" * 9])
def test_what_a_dying_writer_or_a_loss_of_power_left_is_told(tmp_path, rest):
    rows = some_rows(50)
    path = written(tmp_path / "x.mmt", rows)
    path.write_bytes(path.read_bytes() + rest)
    tape = TapeFile(path)
    assert tape.rows.tobytes() == rows.tobytes() and tape.torn == len(rest)
    source = TapeSource([path])
    assert read(source).tobytes() == rows.tobytes()
    said = [problem.what for problem in source.problems]
    assert said == [f"cut off at record 151: the last {len(rest):,} bytes are no whole message"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"tick": "0.01"}, r"prices of .*BTCUSDT are written with tick 0.1, not 0.01; leave tick"),
        ({"qty_decimals": 4}, r"quantities .* qty_decimals 3, not 4; leave qty_decimals, or a lot"),
    ],
)
def test_a_tape_is_not_read_in_other_steps_than_it_was_written_in(tmp_path, changes, what):
    path = written(tmp_path / "x.mmt", prints(3))
    with pytest.raises(DataError, match=what):
        TapeSource([path], [replace(BTC, **changes)])
    coarser = replace(BTC, price_step="0.5", lot="0.01", min_qty="0.01")
    assert TapeSource([path], [coarser]).instruments == (coarser,)


# ---- raw captures ---------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [True, False])
def test_a_raw_capture(file, pack):
    source = TapeSource([file(GOOD, pack=pack)])
    assert source.instruments == (BTC,) and source.clock == "local"
    rows = read(source)
    assert heads(rows) == [("DEPTH", 5), ("DEPTH", 6), ("TRADE", 1), ("DEPTH", 7)]
    assert rows[0]["flags"] == Flag.EXCH | Flag.LOCAL | Flag.SNAPSHOT
    assert source.problem_count == 0 and source.progress() == 1.0


def test_a_recording_over_midnight_is_put_in_order(file):
    later = file(raw(frame(7), trade(2), start=1000), "b.gz")
    first = file(raw(rest(5), frame(6)), "a.gz")
    source = TapeSource([later, first])
    assert heads(read(source)) == [("DEPTH", 5), ("DEPTH", 6), ("DEPTH", 7), ("TRADE", 2)]


def test_gzip_members_one_behind_the_other(file):
    path = file(gzip.compress(raw(rest(5))) + gzip.compress(raw(frame(6), start=10)), pack=False)
    assert heads(read(TapeSource([path]))) == [("DEPTH", 5), ("DEPTH", 6)]


def test_several_instruments_are_merged_by_receive_time(file):
    one = file(raw(rest(1), trade(1), trade(2)), "a.gz")
    two = file(raw(trade(11, "ETHUSDT"), trade(12, "ETHUSDT"), start=5), "b.gz")
    source = TapeSource([one, two])
    rows = read(source)
    assert source.instruments == (BTC, ETH)
    assert [seq for _, seq in heads(rows)] == [1, 11, 1, 12, 2]
    reverse = TapeSource([two, one], [BTC, ETH])
    assert read(reverse).tobytes() == rows.tobytes()


def test_an_instrument_that_is_not_wanted_is_left_out(file):
    source = TapeSource([file(raw(frame(1), trade(1), trade(11, "ETHUSDT")))], [ETH])
    assert heads(read(source)) == [("TRADE", 11)]
    assert source.problem_count == 0
    # Among several instruments a snapshot that names none is nobody's.
    source = TapeSource([file(raw(rest(1), trade(1), trade(11, "ETHUSDT")))], [ETH])
    assert heads(read(source)) == [("LINK_DOWN", 0), ("TRADE", 11)]
    assert "of which instrument" in source.problems[0].what


@pytest.mark.parametrize(
    ("line", "what", "stale"),
    [
        ("garbage", "not JSON", True),
        (frame(7)[:40], "not JSON", True),
        (frame(7, price="100.05"), r"price 100\.05", True),
        (frame(7, price="-1"), "price '-1'", True),
        (trade(1).replace("100.0", "-1"), "price '-1'", False),
        ("", "no receive time", True),
        ('{"result":null,"id":1}', "", False),
    ],
)
def test_a_damaged_line_is_named_and_the_book_declared_stale(file, line, what, stale):
    path = file(raw(rest(5), frame(6), line, frame(7), rest(9), frame(10)))
    source = TapeSource([path])
    got = heads(read(source))
    if not stale:
        assert ("LINK_DOWN", 0) not in got and len(got) == 5
    else:  # 7 waits for the snapshot, which holds it already
        assert got == [("DEPTH", 5), ("DEPTH", 6), ("LINK_DOWN", 0), ("DEPTH", 9), ("DEPTH", 10)]
    assert source.problem_count == bool(what)
    for problem in source.problems:
        assert (problem.file, problem.line) == (str(path), 3)
        assert str(problem).startswith(f"{path}:3: ")
    if what:
        with pytest.raises(AssertionError, match=what):
            raise AssertionError(source.problems[0].what)


def test_a_line_without_receive_time_is_damage(file):
    source = TapeSource([file(raw(rest(5)) + b"hello\n" + raw(frame(6), start=50))])
    assert heads(read(source)) == [("DEPTH", 5), ("LINK_DOWN", 0)]
    assert "no receive time" in source.problems[0].what
    assert source.problems[0].line == 2


def test_damage_beyond_the_first_hundred_is_counted(file):
    source = TapeSource([file(raw(trade(5), *["x"] * 150))])
    read(source)
    assert (source.problem_count, len(source.problems)) == (150, 100)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_cut_off_file_is_used_to_its_last_line_and_then_refused(file, keep):
    whole = gzip.compress(raw(rest(5), *[frame(i) for i in range(6, 3000)]))
    source = TapeSource([file(whole[: int(len(whole) * keep)], pack=False)])
    rows = source.next_block().copy()
    with pytest.raises(DataError, match="cut off") as caught:
        source.next_block()
    assert caught.value.line == len(heads(rows)) + 1
    source.close()


def test_a_damaged_archive_is_refused(file):
    whole = bytearray(gzip.compress(raw(rest(5), *[frame(i) for i in range(6, 3000)])))
    whole[len(whole) // 2] ^= 0xFF
    with pytest.raises(DataError, match="damaged"):
        TapeSource([file(bytes(whole), pack=False)])


def test_time_that_runs_backwards_within_a_stream_is_refused(file):
    source = TapeSource([file(raw(rest(5), frame(6)) + raw(frame(7)))])
    with pytest.raises(DataError, match="backwards") as caught:
        read(source)
    assert caught.value.line == 3 and "a.gz:3" in str(caught.value)
    source.close()


def test_updates_without_any_snapshot_are_told(file):
    source = TapeSource([file(raw(frame(6), frame(7), trade(1)))])
    assert heads(read(source)) == [("TRADE", 1)]
    assert "2 depth updates of binance-usdm:BTCUSDT but no snapshot" in source.problems[0].what


@pytest.mark.parametrize(
    ("content", "pack", "what"),
    [
        (b"", False, "empty"),
        (b"", True, "no text"),
        (b"\n \n", False, "no text"),
        (b"hello world\n", False, "not a kind of capture"),
        (b'1700000000000000000 {"x":1}\n', False, "no message of a venue"),
        (gzip.compress(GOOD, mtime=0)[:12], False, "cut off"),
        (b"\x28\xb5\x2f\xfdrubbish", False, "damaged|cut off"),
        (b"PK\x03\x04rubbish", False, "archive is cut off or damaged"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(file, content, pack, what):
    path = file(content, pack=pack)
    with pytest.raises(DataError, match=what) as caught:
        TapeSource([path])
    assert str(path) in str(caught.value) and caught.value.exit_code == 3


def test_one_path_is_not_taken_for_a_list_of_letters():
    with pytest.raises(TypeError, match="give a list"):
        TapeSource("none.gz")


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        TapeSource([tmp_path / "none.gz"])
    with pytest.raises(DataError, match="folder"):
        TapeSource([tmp_path])
    with pytest.raises(NoDataError, match="no file"):
        TapeSource([])


def test_symbols_that_nobody_knows_are_named_with_the_nearest(file):
    with pytest.raises(DataError, match="did you mean 'BTCUSDT'"):
        TapeSource([file(raw(trade(1, "BTCUSDTX")))])
    path = file(GOOD)
    with pytest.raises(DataError, match=r"no recording of binance-usdm ETHUSDT.*BTCUSDT"):
        TapeSource([path], [ETH])
    with pytest.raises(DataError, match=r"BTCUSDX is among the files; they hold .*BTCUSDT"):
        TapeSource([path], [("binance-usdm", "BTCUSDX")])
    with pytest.raises(ValueError, match="twice"):
        TapeSource([path], [BTC, BTC])


def test_a_file_without_any_wanted_instrument_is_told(file):
    source = TapeSource([file(GOOD), file(raw(trade(1, "ETHUSDT")), "b.gz")], [BTC])
    assert len(heads(read(source))) == 4
    assert "left out" in source.problems[0].what


# ---- other kinds ----------------------------------------------------------------------------


def record(kind, ts, **fields):
    import orjson

    return orjson.dumps({"t": kind, "conn": "c", "ts": ts, **fields}) + b"\n"


URL = "wss://fstream.binance.com/stream?streams=btcusdt@depth@100ms"
HTTP = "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000"


def test_a_recorders_file_is_put_in_order_of_time(file):
    lines = [
        record("http", 1700000000.5, url=HTTP, data=rest(6)),
        record("connect", 1700000000.0, addr=URL),
        record("recv", 1700000000.25, data=frame(6)),
        record("recv", 1700000000.75, data=frame(7)),
    ]
    path = file(zstd.compress(b"".join(lines)), "a.jsonl.zst", pack=False)
    source = TapeSource([path])
    rows = read(source)
    assert heads(rows) == [("DEPTH", 6), ("DEPTH", 7)]
    assert rows[0]["ts_local_ns"] == T0 + 500_000_000
    path.write_bytes(zstd.compress(b"".join(lines))[:-9])
    with pytest.raises(DataError, match="cut off"):
        TapeSource([path])


def test_damage_in_a_recorders_file(file):
    lines = [
        record("connect", 1700000000.0, addr=URL),
        record("http", 1700000000.1, url=HTTP, data=rest(5)),
        record("recv", 1700000000.2, data=frame(6)),
        b'{"t":"recv","conn":"c"\n',
        record("recv", 1700000000.3, data=frame(7)[:-5]),
    ]
    source = TapeSource([file(b"".join(lines))])
    assert heads(read(source)) == [("DEPTH", 5), ("DEPTH", 6), *[("LINK_DOWN", 0)] * 2]
    assert [problem.line for problem in source.problems] == [4, 5]
    back = [*lines[:3], record("recv", 1700000000.15, data=frame(7))]
    with pytest.raises(DataError, match="backwards"):
        TapeSource([file(b"".join(back), "b.gz")])


def test_the_log_of_a_live_run_is_a_market_without_its_own_orders(tmp_path):
    path = tmp_path / "live.mmt"
    item = known("bybit-linear", "BTCUSDT")
    rows = np.zeros(7, EVENT)
    rows["kind"] = [Kind.TRADE, Kind.ACK, Kind.DEPTH, Kind.FILL, Kind.TIMER, Kind.PAID, Kind.TRADE]
    rows["n_bids"][2] = 1  # the fourth row is its level, whatever it looks like
    rows["ts_local_ns"] = range(1, 8)
    for mode, kinds in (
        ("live", [Kind.TRADE, Kind.DEPTH, Kind.FILL, Kind.TRADE]),
        ("paper", rows["kind"].tolist()),
    ):
        path.unlink(missing_ok=True)
        writer = TapeWriter(path, [item], provenance={"mode": mode})
        writer.append(rows)
        writer.close()
        block = TapeSource([path]).next_block()
        assert block is not None and block["kind"].tolist() == kinds
