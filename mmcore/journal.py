"""The durable memory of a run: its directory, its journal, its event log.

A run directory ``<root>/<UTC time>-<name>-<4 hex>/`` holds

    journal.sqlite   what was asked, answered and filled (tables ``run``, ``instrument``,
                     ``record``, ``summary``); SQLite in WAL mode, readable while it is written
    events.mmt       the market as the engine saw it (`mmcore.tape`)

One thread writes both, off the loop; what queued up while one commit ran becomes the next commit.
A committed record survives the death of the process at any instant.

The journal hash is BLAKE2b-256 run over the records in engine order, 64 bytes each, little-endian
as in `mmcore.events.RECORD`, with the venue's trade id (``seq``) zeroed.  Engine time is in it;
wall time, epochs, venue ids and paths are not: the same events give the same hash on any machine.
"""

import json
import os
import queue
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, DataError, NoDataError
from .events import RECORD

JOURNAL_NAME = "journal.sqlite"
EVENTS_NAME = "events.mmt"
BALLAST_NAME = ".ballast"
BALLAST_BYTES = 1 << 20  # room for the cancels and the summary of a run that met a full disk
QUEUE_ITEMS = 16  # of at most one block (4 MiB) each
HASH_BYTES = 32

_FIELDS = tuple(RECORD.names or ())
_SCHEMA = f"""
CREATE TABLE run (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE instrument (
    instrument INTEGER PRIMARY KEY, venue TEXT NOT NULL, symbol TEXT NOT NULL, facts TEXT NOT NULL
);
CREATE TABLE record (n INTEGER PRIMARY KEY, {", ".join(f"{f} INTEGER NOT NULL" for f in _FIELDS)});
CREATE TABLE summary (
    trader INTEGER NOT NULL, key TEXT NOT NULL, value, PRIMARY KEY (trader, key)
) WITHOUT ROWID;
"""
_MARKS = ", ".join("?" * (len(_FIELDS) + 1))
_INSERT = f"INSERT INTO record VALUES ({_MARKS})"  # noqa: S608  question marks only

Value = int | float | str | None


class EventLog(Protocol):
    """Where market rows go; `mmcore.tape.TapeWriter` is one."""

    def append(self, rows: NDArray[np.void]) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """A directory that exists, is writable and belongs to one run."""

    path: Path

    @property
    def journal(self) -> Path:
        return self.path / JOURNAL_NAME

    @property
    def events(self) -> Path:
        return self.path / EVENTS_NAME

    @property
    def log(self) -> Path:
        return self.path / "run.log"

    @classmethod
    def create(cls, root: Path, name: str, now: datetime | None = None) -> "RunDirectory":
        """Make ``<root>/<UTC time>-<name>-<4 hex>`` and prove that it can be written.

        Raises ConfigError with one sentence when it cannot: before a run starts, not after it.
        """
        stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
        word = (
            "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:40].strip("-") or "run"
        )
        path = root / f"{stamp}-{word}"
        try:
            root.mkdir(parents=True, exist_ok=True)
            while True:
                path = root / f"{stamp}-{word}-{secrets.token_hex(2)}"
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    if not path.exists():  # the root itself is in the way, not an earlier run
                        raise
            _write_ballast(path / BALLAST_NAME)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(
                f"the run directory cannot be written ({reason})",
                where=str(path),
                done="nothing was started",
                todo="start in a writable folder, or name one with `directory` under [run]",
            ) from error
        return cls(path)


def _write_ballast(path: Path) -> None:
    with path.open("wb") as file:
        file.write(bytes(BALLAST_BYTES))
        file.flush()
        os.fsync(file.fileno())


def record_bytes(rows: NDArray[np.void]) -> bytes:
    """The bytes of ``rows`` (RECORD[n]) that the journal hash runs over."""
    facts = rows.copy()
    facts["seq"] = 0
    return facts.tobytes()


class Journal:
    """Writes one run's records and market rows; see the module for the files.

    ``append`` and ``log_events`` copy what they are given and return at once; when the writer is
    behind they wait for it (back-pressure), unless ``wait=False``: then they refuse by returning
    False, and the caller must stop quoting.  A failing disk never raises here: it appears as
    ``failure``, a sentence; everything committed before it stays readable, and what was not yet
    written is tried again with every later batch and at ``close``.  Without ``keep_records`` the
    records are counted and hashed only.  durable: a commit survives the loss of power.
    """

    def __init__(
        self,
        directory: RunDirectory,
        event_log: EventLog | None = None,
        *,
        keep_records: bool = True,
        durable: bool = False,
    ) -> None:
        self.failure: str | None = None
        self.n_records = 0  # committed
        self.n_event_rows = 0
        self._hash = blake2b(digest_size=HASH_BYTES)
        self._directory = directory
        self._event_log = event_log
        self._keep_records = keep_records
        self._pending: list[NDArray[np.void]] = []  # taken from the queue, not committed
        self._values: list[tuple[str, tuple[Value, ...]]] = []
        self._defect: Exception | None = None  # of ours, not of the disk; raised by `close`
        self._queue: queue.Queue[_Item] = queue.Queue(QUEUE_ITEMS)
        try:
            self._db = sqlite3.connect(
                directory.journal, check_same_thread=False, isolation_level=None
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            # NORMAL: a commit survives the death of the process; of the machine, up to the last
            # checkpoint.  FULL: of the machine too.
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise ConfigError(
                f"the journal cannot be written ({error})",
                where=str(directory.journal),
                done="nothing was started",
                todo="free some space or name another `directory` under [run]",
            ) from error
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    # -- called by the session ---------------------------------------------------------------

    def describe(self, facts: Mapping[str, Value]) -> None:
        """Set keys of table ``run``; waits for the commit."""
        self._put_values("INSERT OR REPLACE INTO run VALUES (?, ?)", list(facts.items()))

    def describe_instruments(
        self, rows: Iterable[tuple[int, str, str, Mapping[str, object]]]
    ) -> None:
        """Fill table ``instrument``: index, venue, symbol and every other fact as JSON."""
        self._put_values(
            "INSERT OR REPLACE INTO instrument VALUES (?, ?, ?, ?)",
            [(i, venue, symbol, json.dumps(facts)) for i, venue, symbol, facts in rows],
        )

    def summarise(self, trader: int, facts: Mapping[str, Value]) -> None:
        """Set keys of table ``summary`` for one trader; -1 is the whole run."""
        self._put_values(
            "INSERT OR REPLACE INTO summary VALUES (?, ?, ?)",
            [(trader, key, value) for key, value in facts.items()],
        )

    def append(self, rows: NDArray[np.void], wait: bool = True) -> bool:
        """Hand over ``rows`` (RECORD[n], engine order); copied.  False: refused, writer behind."""
        return not len(rows) or self._put(_Item(records=rows.copy()), wait)

    def log_events(self, rows: NDArray[np.void], wait: bool = True) -> bool:
        """Hand over market rows (EVENT[n]) for the event log; copied.  False: refused."""
        return self._event_log is None or self._put(_Item(events=rows.copy()), wait)

    def flush(self) -> None:
        """Wait until everything handed over is committed, or has failed."""
        done = threading.Event()
        self._put(_Item(done=done), True)
        done.wait()

    @property
    def n_unwritten(self) -> int:
        """Records that the disk has refused so far; 0 unless ``failure`` is set."""
        return sum(map(len, self._pending))

    @property
    def hash(self) -> str:
        """Journal hash of the committed records, hex."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """Commit what is left, fold the WAL into the file, stop the thread; may be called twice."""
        if self._thread.is_alive():
            self._put(_Item(last=True), True)
            self._thread.join()
        if self._defect is not None:
            raise self._defect

    # -- the writer thread -------------------------------------------------------------------

    def _put_values(self, statement: str, rows: Iterable[tuple[Value, ...]]) -> None:
        done = threading.Event()
        self._put(_Item(values=[(statement, row) for row in rows], done=done), True)
        done.wait()

    def _put(self, item: "_Item", wait: bool) -> bool:
        try:
            self._queue.put(item, block=wait)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        last = False
        while not last:
            items = [self._queue.get()]
            while not self._queue.empty():
                items.append(self._queue.get_nowait())
            last = any(item.last for item in items)
            try:
                self._write(items)
                if last:
                    self._finish()
            except Exception as defect:  # noqa: BLE001  it is kept and raised by `close`
                # nobody may wait for ever on a thread that died: keep answering, tell at `close`
                self._defect = self._defect or defect
                self._fail(self._directory.path, f"{type(defect).__name__}: {defect}")
            for item in items:
                if item.done is not None:
                    item.done.set()

    def _write(self, items: "list[_Item]") -> None:
        for item in items:
            if item.records is not None:
                self._pending.append(item.records)
            self._values.extend(item.values)
        self._log([item.events for item in items if item.events is not None])
        self._commit_or_fail()

    def _commit_or_fail(self) -> None:
        try:
            self._commit()
        except sqlite3.Error as error:
            first = self.failure is None
            self._fail(self._directory.journal, str(error))
            if first:  # the ballast has just been given back: try the same batch in its place
                self._commit_again()

    def _commit_again(self) -> None:
        try:
            self._commit()
        except sqlite3.Error:  # said already; the batch stays pending and is tried with the next
            return

    def _commit(self) -> None:
        if not self._pending and not self._values:
            return
        digest = self._hash.copy()
        n = self.n_records
        try:
            self._db.execute("BEGIN")
            for rows in self._pending:
                if self._keep_records:
                    numbered = ((n + i, *row) for i, row in enumerate(rows.tolist()))
                    self._db.executemany(_INSERT, numbered)
                digest.update(record_bytes(rows))
                n += len(rows)
            for statement, values in self._values:
                self._db.execute(statement, values)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._pending.clear()
        self._values.clear()
        self._hash, self.n_records = digest, n

    def _log(self, blocks: list[NDArray[np.void]]) -> None:
        for rows in blocks:
            if self._event_log is None:
                return
            try:
                self._event_log.append(rows)
                self.n_event_rows += len(rows)
            except OSError as error:
                self._fail(self._directory.events, error.strerror or str(error))
                self._close_log()

    def _close_log(self) -> None:
        log, self._event_log = self._event_log, None
        if log is None:
            return
        try:
            log.close()
        except OSError as error:
            self._fail(self._directory.events, error.strerror or str(error))

    def _fail(self, path: Path, reason: str) -> None:
        if self.failure is not None:
            return
        try:
            (self._directory.path / BALLAST_NAME).unlink(missing_ok=True)
        except OSError as error:
            reason = f"{reason}; {error.strerror}"
        self.failure = (
            f"{path} cannot be written any more ({reason}): mmcore stopped quoting and cancelled "
            f"its orders; what was committed stays readable; free some space and start again"
        )

    def _finish(self) -> None:
        self._close_log()
        try:
            if self.failure is None:
                (self._directory.path / BALLAST_NAME).unlink(missing_ok=True)
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()
        except (OSError, sqlite3.Error) as error:
            self._fail(self._directory.journal, str(error))


@dataclass(slots=True)
class _Item:
    """One thing for the writer to do."""

    records: NDArray[np.void] | None = None
    events: NDArray[np.void] | None = None
    values: Iterable[tuple[str, tuple[Value, ...]]] = ()
    done: threading.Event | None = None
    last: bool = False


# -- reading ---------------------------------------------------------------------------------


def read_records(path: Path) -> NDArray[np.void]:
    """The records of a journal file, RECORD[n] in engine order; of a killed run too."""
    with _Opened(path) as db:
        rows = [row[1:] for row in db.execute("SELECT * FROM record ORDER BY n")]
    return np.array(rows, dtype=RECORD)


def read_facts(path: Path) -> dict[str, Value]:
    """Table ``run`` of a journal file."""
    with _Opened(path) as db:
        return dict(db.execute("SELECT key, value FROM run"))


def read_summary(path: Path) -> dict[int, dict[str, Value]]:
    """Table ``summary`` of a journal file by trader, -1 the whole run; empty: it never ended."""
    found: dict[int, dict[str, Value]] = {}
    with _Opened(path) as db:
        for trader, key, value in db.execute("SELECT trader, key, value FROM summary"):
            found.setdefault(trader, {})[key] = value
    return found


def journal_hash(path: Path) -> str:
    """The journal hash, computed again from the records of a journal file."""
    return blake2b(record_bytes(read_records(path)), digest_size=HASH_BYTES).hexdigest()


def no_run(place: Path) -> NoDataError:
    """What to raise for a folder that is no run directory; names the newest run in it, if any."""
    runs = sorted(path.parent for path in place.glob(f"*/{JOURNAL_NAME}"))
    todo = f"name one run: the newest is {runs[-1]}" if runs else "name a folder under runs/"
    return NoDataError(f"this is no run directory: it has no {JOURNAL_NAME}", file=place, todo=todo)


def _connected(path: Path) -> sqlite3.Connection:
    """For reading, also where nothing can be written: an archive, a folder of somebody else.

    A database in WAL mode wants to make two files beside itself.  Where it cannot, they are
    either there, left by a run that was killed, or not needed.
    """
    if os.access(path.parent, os.W_OK):
        return sqlite3.connect(path)
    left = path.with_name(f"{path.name}-wal").exists()
    how = "mode=ro" if left else "immutable=1"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)


_DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)


class _Opened:
    """A journal opened for reading and closed again (sqlite3's own `with` only commits).

    What SQLite cannot read leaves as a DataError.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"there is no journal at {path}")
        self._path = path
        try:
            self._db = _connected(path)
        except _DAMAGE as error:
            raise self._unreadable(error) from error

    def __enter__(self) -> sqlite3.Connection:
        return self._db

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._db.close()
        if isinstance(error, _DAMAGE):
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> DataError:
        reason = str(error).partition(" with text ")[0]  # behind it a whole value may stand
        todo = "take a whole copy of the run directory"
        if not os.access(self._path, os.R_OK):
            todo = "have the right to read it given to you"
        return DataError(f"the journal cannot be read ({reason})", file=self._path, todo=todo)
