"""The recorder's files: what is written is read back, whatever ends the writer."""

from __future__ import annotations

import errno
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mmcore.captures import look
from mmcore.errors import DataError
from mmcore.events import Kind
from mmcore.instrument import Instrument, known
from mmcore.raw_tape import HOUR_NS, LINK_DOWN, RawTapes, header, read_header
from mmcore.recording import heads_of
from mmcore.tape import TapeSource
from mmcore.tape_info import tape_facts

START_NS = 1_795_245_593_064_496_571
SPOT = known("bybit-spot", "BTCUSDT")
USDM = known("binance-usdm", "ETHUSDT")


def book(u: int, *, snapshot: bool = False) -> bytes:
    kind = "snapshot" if snapshot else "delta"
    levels = b'"b":[["61700.0","1.5"]],"a":[["61701.%d","2"]]' % (u % 9)
    return (
        b'{"topic":"orderbook.200.BTCUSDT","ts":%d,"type":"%b","data":{"s":"BTCUSDT",%b,'
        b'"u":%d,"seq":%d},"cts":%d}'
        % (START_NS // 10**6, kind.encode(), levels, u, u, START_NS // 10**6)
    )


def write(folder: Path, item: Instrument, frames: list[tuple[int, bytes]]) -> list[Path]:
    tapes = RawTapes(folder, [item])
    for ts_ns, frame in frames:
        tapes.put(0, ts_ns, frame)
    tapes.close()
    tapes.close()
    assert tapes.failure is None
    assert tapes.n_frames == len(frames)
    return tapes.paths


def rows_of(paths: list[Path]) -> np.ndarray:
    blocks = []
    with closing(TapeSource(paths)) as source:
        while (block := source.next_block()) is not None:
            blocks.append(block.copy())
        assert source.problem_count == 0, source.problems
    return np.concatenate(blocks)


def test_a_recording_says_what_it_is_and_is_read_back(tmp_path: Path) -> None:
    frames = [(START_NS, book(1, snapshot=True))]
    frames += [(START_NS + u * 10**7, book(u)) for u in range(2, 50)]
    (path,) = write(tmp_path / "new", SPOT, frames)
    assert path.name == "bybit-spot-BTCUSDT-20261121T071953Z.raw.zst"
    capture = look(path)
    assert capture.listing == {"bybit-spot": ["BTCUSDT"]}  # by its frames it might be linear
    assert capture.answers == {"bybit-spot": {"BTCUSDT": SPOT}}
    rows = rows_of([path])
    assert (rows["kind"] == Kind.DEPTH).sum() == 49
    facts = tape_facts(str(path))
    assert facts["damaged_records"] == 0
    assert facts["gaps"] == [
        "bybit-spot:BTCUSDT: 0 in the sequence, 0 lost connections, longest silence 0.020 s"
    ]
    assert "+0.497 ms after" in facts["clock_offset"][0] or "after the venue" in str(facts)


def test_every_hour_has_its_file_and_they_continue_each_other(tmp_path: Path) -> None:
    hour = (START_NS // HOUR_NS + 1) * HOUR_NS
    frames = [(hour - 5, book(1, snapshot=True)), (hour - 1, book(2)), (hour, book(3))]
    paths = write(tmp_path, SPOT, frames)
    assert len(paths) == 2
    assert (rows_of(paths)["kind"] == Kind.DEPTH).sum() == 3


def test_a_snapshot_over_rest_starts_the_chain_of_the_file(tmp_path: Path) -> None:
    delta = (
        b'{"e":"depthUpdate","E":1,"T":1,"s":"ETHUSDT","U":%d,"u":%d,"pu":%d,'
        b'"b":[["2680.10","1"]],"a":[["2680.20","1"]]}'
    )
    snapshot = b'{"lastUpdateId":10,"E":1,"T":1,"bids":[["2680.00","1"]],\n"asks":[["2681","1"]]}'
    frames = [
        (START_NS, delta % (9, 11, 8)),
        (START_NS + 1, snapshot),  # its line feed would break the file in two
        (START_NS, delta % (12, 13, 11)),  # stamped a little early
    ]
    rows = rows_of(write(tmp_path, USDM, frames))
    depth = rows[rows["kind"] == Kind.DEPTH]
    assert depth["seq"].tolist() == [10, 11, 13]
    assert (np.diff(depth["ts_local_ns"]) >= 0).all()


def test_a_stream_that_was_lost_is_stale_on_replay_too(tmp_path: Path) -> None:
    frames = [(START_NS, book(1, snapshot=True)), (START_NS + 5, LINK_DOWN)]
    frames += [(START_NS + 10, book(2)), (START_NS + 20, book(7, snapshot=True))]
    (path,) = write(tmp_path, SPOT, frames)
    rows = rows_of([path])
    kinds = rows["kind"][heads_of(rows)].tolist()
    assert kinds == [Kind.DEPTH, Kind.LINK_DOWN, Kind.DEPTH]  # the delta between has no book
    assert "1 lost connections" in tape_facts(str(path))["gaps"][0]


def test_a_writer_that_was_killed_leaves_whole_text(tmp_path: Path) -> None:
    tapes = RawTapes(tmp_path, [SPOT])
    tapes.put(0, START_NS, book(1, snapshot=True))
    tapes.close()
    (path,) = tapes.paths
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut off"):
        rows_of([path])
    path.write_bytes(whole)  # every second ends a whole frame: this is what is left of a kill
    assert len(rows_of([path])) == 2


def test_a_full_disk_is_one_sentence_and_the_file_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tapes = RawTapes(tmp_path, [SPOT])
    tapes.put(0, START_NS, book(1, snapshot=True))
    tapes.close()

    full = RawTapes(tmp_path / "full", [SPOT])
    series = full._series[0]

    def refuse(ts_local_ns: int, frame: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(series, "add", refuse)
    full.put(0, START_NS, book(1))
    full.close()
    assert full.failure is not None and "No space left" in full.failure
    assert "\n" not in full.failure
    full.put(0, START_NS, book(2))  # nothing happens any more
    assert full.n_frames == 1


def test_a_disk_that_is_too_slow_is_not_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmcore.raw_tape.WAITING_BYTES_MAX", 100)
    tapes = RawTapes(tmp_path, [SPOT])
    tapes.put(0, START_NS, b"x" * 500)
    assert tapes.failure is not None and "too slow" in tapes.failure
    tapes.close()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        RawTapes(tmp_path / "file" / "below", [SPOT])


def test_the_first_line_is_read_back_or_refused() -> None:
    assert read_header(header(USDM)) == USDM
    assert read_header(b'{"topic":"x"}') is None
    for bad in (b'{"mmcore":"recording",', b'{"mmcore":"recording","version":9}'):
        with pytest.raises(ValueError, match=r"version 9|JSON|unexpected"):
            read_header(bad)
    with pytest.raises(ValueError, match="damaged"):
        read_header(b'{"mmcore":"recording","version":1,"instrument":{"venue":"x"}}')
