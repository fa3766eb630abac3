"""Depth chains, raw lines and merging: what goes out, and in which order."""

import numpy as np
import pytest

from mmcore._intake import Intake, Merge, select, whole_rows
from mmcore._scan import Scanner
from mmcore.events import EVENT, LEVEL, Flag, Kind

MORE, FULL, FRAME, BACK, TIME = 0, 1, 2, 3, 4
NS = 1_700_000_000_000_000_000
SCALES = [("X", 0, 1, 0, 0), ("Y", 0, 1, 0, 1)]


def delta(first, last, before, symbol="X"):
    return (
        f'{{"e":"depthUpdate","E":1,"s":"{symbol}","U":{first},"u":{last},"pu":{before},'
        f'"b":[["{last}","1"]],"a":[]}}'
    ).encode()


def rest(last):
    return f'{{"lastUpdateId":{last},"bids":[["1","1"]],"asks":[["2","1"]]}}'.encode()


def fed(intake, *frames):
    """Feed frames one nanosecond apart; (kind, seq, receive time) of what went out."""
    for i, frame in enumerate(frames):
        assert intake.frame(frame, NS + i, 0) == 0
    return heads(intake.take())


def heads(rows):
    out, at = [], 0
    while at < len(rows):
        row = rows[at]
        out.append((Kind(row["kind"]).name, int(row["seq"]), int(row["ts_local_ns"]) - NS))
        at += 1
        if row["kind"] == Kind.DEPTH:
            at += (int(row["n_bids"]) + int(row["n_asks"]) + 3) // 4
    return out


def intake(dialect=1, **sizes):
    return Intake(Scanner(dialect, SCALES), 2, **sizes)


def test_updates_wait_for_the_snapshot_and_follow_it_at_its_time():
    chain = intake()
    out = fed(chain, delta(1, 4, 0), delta(5, 7, 4), delta(8, 9, 7), rest(6), delta(10, 12, 9))
    # 4 is older than the snapshot: dropped.  7 spans it.
    assert out == [("DEPTH", 6, 3), ("DEPTH", 7, 3), ("DEPTH", 9, 3), ("DEPTH", 12, 4)]
    state = chain.chain(0)
    assert (state["deltas"], state["snapshots"], state["old"], state["breaks"]) == (4, 1, 1, 0)


def test_the_breaking_update_goes_out_and_later_ones_wait():
    chain = intake()
    out = fed(chain, rest(5), delta(6, 8, 5), delta(10, 11, 9), delta(12, 13, 11))
    assert out == [("DEPTH", 5, 0), ("DEPTH", 8, 1), ("DEPTH", 11, 2)]
    assert chain.chain(0)["waiting"] and chain.chain(0)["breaks"] == 1
    out = fed(chain, rest(12), delta(14, 15, 13))
    assert out == [("DEPTH", 12, 0), ("DEPTH", 13, 0), ("DEPTH", 15, 1)]


def test_a_snapshot_too_old_for_what_was_held_shows_as_a_break():
    chain = intake()
    out = fed(chain, delta(10, 11, 9), delta(12, 13, 11), rest(5))
    assert out == [("DEPTH", 5, 2), ("DEPTH", 11, 2)]
    assert chain.chain(0)["waiting"]
    assert fed(chain, rest(12)) == [("DEPTH", 12, 0), ("DEPTH", 13, 0)]


def test_a_rest_answer_overtaken_by_the_stream_is_dropped():
    chain = intake()
    assert fed(chain, rest(5), delta(6, 8, 5), rest(7)) == [("DEPTH", 5, 0), ("DEPTH", 8, 1)]


def test_a_repeated_update_goes_out_for_the_book_to_judge():
    chain = intake()
    out = fed(chain, rest(5), delta(6, 8, 5), delta(6, 8, 5), delta(9, 9, 8))
    assert [seq for _, seq, _ in out] == [5, 8, 8, 9]
    assert not chain.chain(0)["waiting"]


def test_a_snapshot_in_the_stream_always_replaces():
    def message(form, u):
        return (
            f'{{"topic":"orderbook.50.X","type":"{form}","ts":1,"data":{{"s":"X","b":[["1","1"]],'
            f'"a":[],"u":{u}}}}}'
        ).encode()

    chain = intake(3)
    frames = [message("snapshot", 90), message("delta", 91), message("snapshot", 1)]
    out = fed(chain, *frames, message("delta", 2), message("delta", 4), message("delta", 5))
    assert [seq for _, seq, _ in out] == [90, 91, 1, 2, 4]


def test_an_image_that_goes_back_in_time_is_dropped():
    def image(time):
        return (
            f'{{"channel":"l2Book","data":{{"coin":"X","time":{time},"levels":[[],[]]}}}}'
        ).encode()

    chain = intake(4)
    assert len(fed(chain, image(5), image(5), image(4), image(6))) == 3
    chain.link_down(0, NS)
    assert len(fed(chain, image(3))) == 2


def test_a_lost_link_is_said_and_the_chain_waits():
    chain = intake()
    fed(chain, rest(5))
    chain.link_down(0, NS + 7)
    assert heads(chain.take()) == [("LINK_DOWN", 0, 7)]
    assert fed(chain, delta(6, 8, 5)) == []
    assert fed(chain, rest(9)) == [("DEPTH", 9, 0)]


def test_instruments_have_chains_of_their_own():
    chain = intake()
    out = fed(chain, rest(5), delta(1, 2, 0, "Y"), delta(6, 7, 5))
    assert [seq for _, seq, _ in out] == [5, 7]
    assert chain.chain(1)["held_rows"] == 2


def test_what_does_not_fit_is_lost_and_shows_as_a_gap_never_as_a_wrong_book():
    chain = intake(held_rows=4)
    updates = [delta(i, i, i - 1) for i in range(1, 6)]
    assert fed(chain, *updates) == []
    assert chain.chain(0)["lost"] == 4
    assert fed(chain, rest(3)) == [("DEPTH", 3, 0), ("DEPTH", 5, 0)]  # 5 does not follow 3
    assert chain.chain(0)["breaks"] == 1


def read(text, final=True, **sizes):
    chain = intake(**sizes)
    status = chain.lines(text, 0, final, 0)
    return chain, status


@pytest.mark.parametrize("stamp", [b"1700000000000000000", b"1700000000000000", b"1700000000000"])
def test_receive_times_are_told_apart_by_their_digits(stamp):
    chain, status = read(stamp + b" " + rest(5) + b"\n")
    assert status == MORE
    assert chain.take()[0]["ts_local_ns"] == NS


@pytest.mark.parametrize(
    "line",
    [b"17000000000 {}", b"x {}", b"{}", b"1700000000000000000{}", b"17000000000000000000 {}",
     b"9999999999999999999 {}"],
)  # fmt: skip
def test_a_line_without_receive_time_is_named(line):
    chain, status = read(b"\n1700000000000000000 " + rest(5) + b"\n" + line + b"\n")
    assert (status, chain.line) == (TIME, 3)
    assert len(chain.take()) == 2


def test_time_that_runs_backwards_is_named():
    text = b"1700000000000000001 " + rest(5) + b"\n1700000000000000000 " + rest(6) + b"\n"
    chain, status = read(text)
    assert (status, chain.line) == (BACK, 2)
    assert heads(chain.take()) == [("DEPTH", 5, 1)]


def test_a_frame_the_scanner_leaves_is_handed_over():
    text = b'1700000000000000000 {"result":null}\r\n1700000000000000001 ' + rest(5)
    chain, status = read(text)
    assert status == FRAME
    assert text[chain.frame_start : chain.frame_end] == b'{"result":null}'
    assert chain.lines(text, chain.pos, True, 0) == MORE
    assert len(chain.take()) == 2


def test_a_line_that_is_not_whole_yet_waits_for_the_rest():
    text = b"1700000000000000000 " + rest(5) + b"\n1700000000000000001 " + rest(6)
    chain, status = read(text, final=False)
    assert (status, chain.line) == (MORE, 1)
    assert chain.lines(text[chain.pos :], 0, True, 0) == MORE
    assert len(chain.take()) == 4 and chain.line == 2


def test_a_full_block_is_taken_first():
    text = b"".join(b"17000000000000000%02d " % i + rest(5 + i) + b"\n" for i in range(9))
    chain, status = read(text, block_rows=3)
    seqs = []
    while status == FULL:
        with pytest.raises(ValueError, match="take it first"):
            chain.frame(rest(50), NS, 0)
        seqs += [seq for _, seq, _ in heads(chain.take())]
        status = chain.lines(text, chain.pos, True, 0)
    seqs += [seq for _, seq, _ in heads(chain.take())]
    assert seqs == list(range(5, 14))


def trades(*times, number=0):
    rows = np.zeros(len(times), EVENT)
    rows["kind"], rows["instrument"], rows["ts_local_ns"] = Kind.TRADE, number, times
    return rows


def message(time, n, flags=0):
    rows = np.zeros(1 + (n + 3) // 4, EVENT)
    rows[0]["kind"], rows[0]["n_bids"], rows[0]["ts_local_ns"] = Kind.DEPTH, n, time
    rows[0]["flags"] = flags
    rows[1:].view(LEVEL)["tick"] = 9
    return rows


def test_rows_decoded_elsewhere_pass_the_chains_too():
    chain = intake()
    rows = np.concatenate([trades(NS), message(NS, 5, Flag.MORE), message(NS, 2, Flag.CONT)])
    chain.put(rows)
    assert chain.take().tobytes() == rows.tobytes()
    with pytest.raises(ValueError, match="inside a message"):
        chain.put(rows[:-1])
    with pytest.raises(ValueError, match="at most"):
        chain.put(np.zeros(8193, EVENT))


def test_streams_are_merged_by_time_and_the_lower_goes_first():
    merge = Merge(3, 100)
    merge.feed(0, trades(1, 5, 5, 9))
    merge.feed(1, trades(2, 5, number=1))
    merge.feed(2, None)
    rows = merge.run()
    assert merge.wanted == 1
    assert list(zip(rows["ts_local_ns"].tolist(), rows["instrument"].tolist(), strict=True)) == [
        (1, 0), (2, 1), (5, 0), (5, 0), (5, 1),
    ]  # fmt: skip
    merge.feed(1, None)
    assert merge.run()["ts_local_ns"].tolist() == [9]
    assert merge.wanted == 0
    merge.feed(0, None)
    assert len(merge.run()) == 0 and merge.wanted == -1


def test_a_chain_of_groups_is_not_torn_apart_by_another_stream():
    merge = Merge(2, 100)
    chained = np.concatenate([message(5, 3, Flag.MORE), message(5, 1, Flag.CONT)])
    merge.feed(1, chained)
    merge.feed(0, trades(5, 6))
    rows = merge.run()
    assert rows["kind"].tolist()[0] == Kind.TRADE
    assert rows[1:5].tobytes() == chained.tobytes()


def test_a_merged_block_keeps_to_its_size():
    merge = Merge(2, 10)
    merge.feed(0, trades(*range(100)))
    merge.feed(1, None)
    assert len(merge.run()) == 10
    assert merge.run()["ts_local_ns"].tolist() == list(range(10, 20))


def test_a_torn_tail_is_left_out():
    rows = np.concatenate([trades(1), message(2, 5), message(3, 9, Flag.MORE), message(3, 1)])
    raw = rows.view(np.uint8)
    ends = [whole_rows(raw[: 64 * n], 100) for n in range(1, len(rows) + 1)]
    assert ends == [1, 1, 1, 4, 4, 4, 4, 4, 4, len(rows)][: len(rows)]
    assert whole_rows(raw, 3) == 1


def test_instruments_are_selected_and_renumbered():
    rows = np.concatenate([trades(1, number=2), message(2, 5), trades(3, number=1)])
    kept = select(rows, [4, -1, 7])
    assert kept["instrument"][[0, 1]].tolist() == [7, 4] and len(kept) == 4
    with pytest.raises(ValueError, match="an instrument too many"):
        select(rows, [0])


@pytest.mark.parametrize("make", [
    lambda: Intake(Scanner(1, SCALES), 0), lambda: Intake(Scanner(1, SCALES), 1, 0),
    lambda: Merge(0), lambda: Merge(257), lambda: intake().link_down(-1, 0),
    lambda: intake().chain(2), lambda: intake().lines(b"", 1, True), lambda: Merge(1).feed(1, None),
])  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(make):
    with pytest.raises(ValueError, match=r"positive|expected|outside|this"):
        make()
