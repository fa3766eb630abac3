"""The journal keeps what it was given, in order, whatever happens to the process or the disk."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mmcore import journal as module
from mmcore.errors import ConfigError, DataError
from mmcore.events import RECORD, RecordKind
from mmcore.journal import (
    BALLAST_NAME,
    Journal,
    RunDirectory,
    journal_hash,
    no_run,
    read_facts,
    read_records,
    read_summary,
)


def records(n: int, start: int = 0) -> np.ndarray:
    rows = np.zeros(n, RECORD)
    rows["kind"] = RecordKind.FILL
    rows["side"] = -1
    rows["ts_ns"] = np.arange(start, start + n)
    rows["tick"] = 10**12 + np.arange(n)
    rows["qty"] = 2**62
    rows["money"] = -5
    rows["seq"] = 1000 + np.arange(start, start + n)
    return rows


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "runs", "unit")


def test_run_directories_of_one_second_do_not_meet(tmp_path: Path) -> None:
    made = {RunDirectory.create(tmp_path, "same name/..").path for _ in range(20)}
    assert len(made) == 20
    assert all(path.parent == tmp_path and "same-name" in path.name for path in made)


@pytest.mark.parametrize("obstacle", ["file", "missing parent of a file"])
def test_an_unwritable_root_is_one_sentence_before_the_run(tmp_path: Path, obstacle: str) -> None:
    (tmp_path / "taken").write_text("in the way")
    root = tmp_path / "taken" if obstacle == "file" else tmp_path / "taken" / "deeper"
    with pytest.raises(ConfigError, match="nothing was started") as caught:
        RunDirectory.create(root, "x")
    assert str(root) in str(caught.value) and "\n" not in str(caught.value)


def test_records_come_back_bit_for_bit_and_in_order(directory: RunDirectory) -> None:
    journal = Journal(directory)
    parts = [records(7), records(0), records(5, 7), records(1, 12)]
    for rows in parts:
        assert journal.append(rows)
    journal.close()
    back = read_records(directory.journal)
    assert back.tobytes() == np.concatenate(parts).tobytes()
    assert journal.n_records == 13 and journal.failure is None
    assert not (directory.path / BALLAST_NAME).exists()
    assert sorted(p.name for p in directory.path.iterdir()) == ["journal.sqlite"]


def test_the_hash_depends_on_records_not_on_batches_or_venue_ids(tmp_path: Path) -> None:
    hashes = []
    for cuts in ([100], [1, 99], [33, 33, 34]):
        run = RunDirectory.create(tmp_path, "h")
        journal = Journal(run)
        rows = records(100)
        rows["seq"] += len(cuts)
        for part in np.split(rows, np.cumsum(cuts)[:-1]):
            journal.append(part)
        journal.close()
        assert journal.hash == journal_hash(run.journal)
        hashes.append(journal.hash)
    assert len(set(hashes)) == 1
    run = RunDirectory.create(tmp_path, "h")
    journal = Journal(run)
    journal.append(records(100, start=1))
    journal.close()
    assert journal.hash not in hashes


def test_the_journal_owns_a_copy_of_what_it_was_given(directory: RunDirectory) -> None:
    journal = Journal(directory)
    rows = records(50)
    journal.append(rows)
    rows["tick"] = 0
    journal.close()
    assert (read_records(directory.journal)["tick"] != 0).all()


def test_a_journal_that_may_not_be_opened_is_told(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal(directory).close()

    def connected(path: Path) -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(module, "_connected", connected)
    with pytest.raises(DataError, match=r"cannot be read \(unable to open") as caught:
        read_facts(directory.journal)
    assert str(directory.journal) in str(caught.value)


def test_a_damaged_text_of_the_journal_is_told_without_it(directory: RunDirectory) -> None:
    journal = Journal(directory)
    journal.describe({"config": "a = 1\n"})
    journal.close()
    with closing(sqlite3.connect(directory.journal)) as db, db:
        db.execute("UPDATE run SET value = CAST(x'61203d20318c0a' AS TEXT)")
    with pytest.raises(DataError, match=r"cannot be read \([^\n]*\); take a whole copy") as caught:
        read_facts(directory.journal)
    assert "a = 1" not in str(caught.value)


def test_facts_and_summary_are_plain_tables(directory: RunDirectory) -> None:
    journal = Journal(directory)
    journal.describe({"seed": 7, "config": "a = 1\n", "version": None})
    journal.describe_instruments([(0, "synthetic", "BTCUSDT", {"tick": "0.1"})])
    journal.summarise(-1, {"fills": 3})
    journal.summarise(0, {"net": -1.5})
    journal.close()
    journal.close()
    assert read_facts(directory.journal) == {"seed": 7, "config": "a = 1\n", "version": None}
    assert read_summary(directory.journal) == {-1: {"fills": 3}, 0: {"net": -1.5}}


class StuckLog:
    """An event log that waits until it is let go."""

    def __init__(self) -> None:
        import threading

        self.go = threading.Event()
        self.n = 0

    def append(self, rows: np.ndarray) -> None:
        self.go.wait()
        self.n += len(rows)

    def close(self) -> None:
        return


def test_a_journal_is_read_where_nothing_can_be_written(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(directory)
    journal.append(records(3))
    journal.flush()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write wherever it likes
    assert len(read_records(directory.journal)) == 3  # what a run that was killed leaves
    journal.close()
    left = sorted(directory.path.iterdir())
    assert len(read_records(directory.journal)) == 3
    assert sorted(directory.path.iterdir()) == left


def test_a_folder_of_runs_is_answered_with_the_newest(directory: RunDirectory) -> None:
    Journal(directory).close()
    assert directory.path.name in str(no_run(directory.path.parent))
    assert "name a folder under runs/" in str(no_run(directory.path))


def test_a_full_queue_refuses_in_real_time_and_waits_otherwise(directory: RunDirectory) -> None:
    log = StuckLog()
    journal = Journal(directory, log)
    accepted = 0
    while journal.log_events(records(3), wait=False):
        accepted += 1
        assert accepted < 1000
    assert not journal.append(records(1), wait=False)
    log.go.set()
    assert journal.append(records(1), wait=True)
    journal.close()
    assert log.n == 3 * accepted and journal.n_records == 1


class FullLog(StuckLog):
    def append(self, rows: np.ndarray) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_under_the_event_log_is_a_failure_with_the_records_kept(
    directory: RunDirectory,
) -> None:
    journal = Journal(directory, FullLog())
    journal.append(records(4))
    journal.log_events(records(2))
    journal.append(records(4, 4))
    journal.flush()
    assert journal.failure is not None and "No space left on device" in journal.failure
    journal.close()
    assert len(read_records(directory.journal)) == 8


class BrokenLog(StuckLog):
    def append(self, rows: np.ndarray) -> None:
        raise TypeError("a defect")


def test_a_defect_in_the_writer_is_raised_at_close_and_blocks_nobody(
    directory: RunDirectory,
) -> None:
    journal = Journal(directory, BrokenLog())
    journal.log_events(records(2))
    journal.append(records(3))
    journal.flush()
    assert journal.failure is not None
    with pytest.raises(TypeError, match="a defect"):
        journal.close()


LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_journal import records
from mmcore.journal import Journal, RunDirectory
run = RunDirectory.create(Path(sys.argv[1]), "limited")
journal = Journal(run)
journal.append(records(10)); journal.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, resource.RLIM_INFINITY))
i = 1
while journal.failure is None:
    journal.append(records(5000, 5000 * i)); journal.flush(); i += 1
    assert i < 100
journal.append(records(5)); journal.flush()
print(journal.n_records, journal.n_unwritten, run.path, flush=True)
journal.close()
print(journal.n_records, journal.hash, flush=True)
"""


def child(source: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", source, *arguments, str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_a_file_that_may_not_grow_loses_nothing_committed(tmp_path: Path) -> None:
    process = child(LIMITED, str(tmp_path))
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    n, unwritten, path = out.splitlines()[0].split()
    n_end, digest = out.splitlines()[1].split()
    assert int(unwritten) > 0 and int(n_end) >= int(n) > 10
    journal = Path(path) / "journal.sqlite"
    back = read_records(journal)
    assert len(back) == int(n_end) and journal_hash(journal) == digest
    assert (np.diff(back["ts_ns"][10:]) == 1).all()


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_journal import records
from mmcore.journal import Journal, RunDirectory
run = RunDirectory.create(Path(sys.argv[1]), "killed")
journal = Journal(run)
print(run.path, flush=True)
i = 0
while True:
    journal.append(records(100, 100 * i)); i += 1
    if i % 7 == 0:
        journal.flush(); print(100 * i, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_nothing_flushed_is_lost_to_sigkill(tmp_path: Path) -> None:
    process = child(KILLED, str(tmp_path))
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    flushed = 0
    while flushed < 5000:
        flushed = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    flushed = int(rest[-1]) if rest else flushed
    back = read_records(path / "journal.sqlite")
    assert len(back) >= flushed and len(back) % 100 == 0
    assert (back["ts_ns"] == np.arange(len(back))).all()
    with closing(sqlite3.connect(path / "journal.sqlite")) as db, db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") is not None and (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )
    if not mounted:
        pytest.skip("no right to mount a small tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_still_takes_the_last_records_and_the_summary(small_disk: Path) -> None:
    run = RunDirectory.create(small_disk, "full")
    journal = Journal(run)
    start = 0
    while journal.failure is None and start < 10**6:
        journal.append(records(2000, start))
        journal.flush()
        start += 2000
    assert journal.failure is not None and "full" in journal.failure
    journal.append(records(20, start))  # the cancels of the stop
    journal.summarise(-1, {"exit_code": 5})
    journal.close()
    assert journal.n_unwritten == 0
    back = read_records(run.journal)
    assert (back["ts_ns"] == np.arange(start + 20)).all()
    assert journal.hash == journal_hash(run.journal)
    assert read_summary(run.journal) == {-1: {"exit_code": 5}}
