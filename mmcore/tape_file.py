"""mmcore's own file of event rows::

    mmcore tape\\n                     magic
    {"version": 1, ...}\\n             JSON: clock, instruments, provenance, bytes of this header
    (blanks up to a multiple of 4096)
    64-byte rows as in mmcore.events.EVENT, until the end of the file

There is no trailer and no count: rows are appended block by block, so a file whose writer was
killed is whole up to its last complete message, and the reader stops there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from ._intake import sound_rows, whole_rows
from .errors import DataError
from .events import EVENT, ContractKind, Flag, Kind
from .instrument import Instrument
from .recording import heads_of
from .venue import Rows

TAPE_MAGIC = b"mmcore tape\n"
VERSION = 1
ALIGN_BYTES = 4096
HEADER_BYTES_MAX = 1 << 24
BLOCK_ROWS = 32_768
KIND_END = max(Kind) + 1
CLOCKS = ("ts_local_ns", "ts_venue_ns")
FAULTS = {1: "kind", 2: "instrument", 4: CLOCKS[0], 5: CLOCKS[1]}  # RowFault -> the column
ZEROS_ROWS = 4096  # looked at together, from the end of a file
OWN_KINDS = [*range(Kind.ACK, Kind.TIMER + 1), Kind.PAID, Kind.BALANCE]


class TapeWriter:
    """Appends event rows to a new tape file; what was appended survives the death of the process.

    path: must not exist.  instruments: by Event.instrument.  clock: see :class:`Source`.
    provenance: where the rows come from, anything JSON can say.  Raises DataError where the file
    cannot be made; :meth:`append` raises OSError as the system does (a full disk).
    """

    def __init__(
        self,
        path: Path | str,
        instruments: Sequence[Instrument],
        *,
        clock: str = "local",
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        if clock not in {"local", "two"}:
            raise ValueError(f'clock {clock!r}: expected "local" or "two"')
        self.path = Path(path)
        self.row_count = 0
        try:
            self._file: BinaryIO = self.path.open("xb", buffering=0)
        except OSError as error:
            raise DataError(
                f"the tape cannot be written ({error.strerror})", file=self.path
            ) from None
        self._write(_header(instruments, clock, provenance or {}))

    @classmethod
    def resume(cls, path: Path | str) -> TapeWriter:
        """Go on with a tape file behind its last whole message; what is torn after it is cut off.

        ``row_count`` starts at the rows that are there.  Raises DataError as :class:`TapeFile`.
        """
        tape = TapeFile(path)
        writer = cls.__new__(cls)
        writer.path, writer.row_count = tape.path, len(tape)
        end = tape.start + len(tape) * EVENT.itemsize
        writer._file = tape.path.open("r+b", buffering=0)
        del tape  # its map must be gone before the file is cut
        writer._file.truncate(end)
        writer._file.seek(end)
        return writer

    def append(self, rows: Rows) -> None:
        """Append whole messages; they are with the operating system when this returns."""
        if rows.dtype != EVENT:
            raise ValueError(f"rows of {rows.dtype}, expected events.EVENT")
        self._write(np.ascontiguousarray(rows).tobytes())
        self.row_count += len(rows)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def sync(self) -> None:
        """Put what was appended on the disk itself, against a loss of power."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()


def _header(instruments: Sequence[Instrument], clock: str, provenance: Mapping[str, Any]) -> bytes:
    said = {
        "version": VERSION,
        "clock": clock,
        "instruments": [asdict(item) for item in instruments],
        "provenance": dict(provenance),
    }
    text = TAPE_MAGIC + msgspec.json.encode(said) + b"\n"
    return text + b" " * (-len(text) % ALIGN_BYTES)


def market_rows(rows: Rows) -> Rows:
    """The messages of a live run's event log that are about the market, as new rows."""
    return _only(rows, lambda heads: ~np.isin(heads["kind"], OWN_KINDS))


def received_rows(rows: Rows) -> Rows:
    """The messages that reached us, as new rows: of two clocks not those of the venue alone."""
    return _only(rows, lambda heads: heads["flags"] & (Flag.EXCH | Flag.LOCAL) != Flag.EXCH)


def _only(rows: Rows, which: Callable[[Rows], npt.NDArray[np.bool_]]) -> Rows:
    heads = heads_of(rows)
    sizes = np.diff(np.append(heads, len(rows)))
    kept: Rows = rows[np.repeat(which(rows[heads]), sizes)]
    return kept


class TapeFile:
    """A tape file, memory-mapped.

    clock, instruments, provenance: as written.  start: offset of the first row.  rows: EVENT[n],
    up to the last whole message, read-only.  torn: bytes behind it, of a message that a dying
    writer did not finish, or zeros that a loss of power left.  Opening steps over every message
    once.  Raises DataError for a file that is no tape or of a later version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        said, self.start = self._read_header()
        try:
            self.clock: str = said["clock"]
            self.provenance: dict[str, Any] = said["provenance"]
            self.instruments = tuple(_instrument(each) for each in said["instruments"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the tape's header is damaged ({error})", file=self.path) from None
        self.rows = self._map(self.start)
        end = self.start + len(self.rows) * EVENT.itemsize
        self.torn = max(self.path.stat().st_size - end, 0)

    def _read_header(self) -> tuple[dict[str, Any], int]:
        try:
            with self.path.open("rb") as file:
                magic, line = file.readline(64), file.readline(HEADER_BYTES_MAX)
                end = file.tell()
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", file=self.path) from None
        if magic != TAPE_MAGIC:
            raise DataError("not a tape of mmcore", file=self.path)
        try:
            said = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError:
            raise DataError("the tape's header is cut off or damaged", file=self.path) from None
        if said.get("version") != VERSION:
            raise DataError(
                f"tape version {said.get('version')}, this mmcore reads {VERSION}",
                file=self.path,
                todo="update mmcore",
            )
        return said, end + -end % ALIGN_BYTES

    def _map(self, start: int) -> Rows:
        count = (self.path.stat().st_size - start) // EVENT.itemsize
        if count <= 0:
            return np.zeros(0, EVENT)
        rows = np.memmap(self.path, EVENT, "r", start, (count,))
        count = whole_rows(rows.view(np.uint8), count)
        written = _written(rows[:count])
        if written < count:
            count = whole_rows(rows.view(np.uint8), written)
        whole: Rows = rows[:count]
        return whole

    def check(self) -> None:
        """Step over all rows of an event log.  Raises DataError for one that cannot be true."""
        stream = TapeStream([self], [None], lambda *_: None)
        try:
            while stream.next_block() is not None:
                pass
        except DataError as error:
            raise DataError(
                error.what, file=self.path, record=error.record,
                done="nothing of the run was used", todo="take a whole copy of the run directory",
            ) from None  # fmt: skip

    def __len__(self) -> int:
        return len(self.rows)


def _written(rows: Rows) -> int:
    """Rows up to the last one that is not all zeros."""
    end = len(rows)
    while end:
        start = max(end - ZEROS_ROWS, 0)
        used = np.flatnonzero(rows[start:end].view(np.uint8).reshape(-1, EVENT.itemsize).any(1))
        if len(used):
            return start + int(used[-1]) + 1
        end = start
    return 0


def _instrument(said: Mapping[str, Any]) -> Instrument:
    return Instrument(**{**said, "kind": ContractKind(said["kind"])})


# ---- reading it as a market -------------------------------------------------------------------


class TapeStream:
    """Rows of a tape and of those that continue it, in blocks; nothing but a block is copied.

    tapes: in their order, all with one clock or all with two.  changes: for each, what is made of
    its blocks, such as its instruments' other numbers; None for nothing.  told: takes file, row
    and what was damaged there.
    """

    def __init__(
        self,
        tapes: Sequence[TapeFile],
        changes: Sequence[Callable[[Rows], Rows] | None],
        told: Callable[[Path, int, str], None],
    ) -> None:
        self._tapes, self._changes, self._told = list(tapes), list(changes), told
        self._place = self._next = 0
        self._clocks = np.zeros(2, np.int64)  # ours and the venue's, at the rows before

    def done(self) -> tuple[int, int]:
        """Bytes read and bytes in all."""
        sizes = [len(tape) * EVENT.itemsize for tape in self._tapes]
        return sum(sizes[: self._place]) + self._next * EVENT.itemsize, sum(sizes)

    def next_block(self) -> Rows | None:
        """The next rows, whole messages; DataError, with its row, for one that cannot be true."""
        while self._place < len(self._tapes):
            tape, change = self._tapes[self._place], self._changes[self._place]
            while self._next < len(tape):
                rows = tape.rows[self._next :]
                count, fault, row = sound_rows(
                    rows.view(np.uint8), BLOCK_ROWS, KIND_END, len(tape.instruments),
                    tape.clock == "two", self._clocks,
                )  # fmt: skip
                if not count:
                    raise self._fault(tape, fault, self._next + row)
                self._next += count
                block = rows[:count] if change is None else change(rows[:count])
                if len(block):
                    return block
            if tape.torn:
                what = f"the last {tape.torn:,} bytes are no whole message"
                self._told(tape.path, 0, f"cut off at record {len(tape) + 1:,}: {what}")
            self._place, self._next = self._place + 1, 0
        return None

    def _fault(self, tape: TapeFile, fault: int, row: int) -> DataError:
        head, two = tape.rows[row], tape.clock == "two"
        column = FAULTS.get(fault, "n_bids")
        todo = "make the file again: it is damaged"
        if column in CLOCKS:
            last = int(self._clocks[CLOCKS.index(column)])
            what = f"{head[column]} comes before {last}, which stands ahead of it"
            todo = "sort the rows by both clocks" if two else "sort the rows by it"
            if row == 0 and self._place:
                before = self._tapes[self._place - 1].path
                what = f"the file begins before {before} ends ({head[column]} and {last})"
                todo = "name each stretch of time once"
        elif column == "instrument":
            what = f"{head[column]}, and the tape has {len(tape.instruments)}"
        elif column == "kind":
            what = f"{head[column]} is no kind of event"
        else:
            what = f"{head['n_bids']} bids and {head['n_asks']} asks are no message"
        return DataError(
            f"column {column}: {what}", file=tape.path, record=row + 1,
            done="everything before was used", todo=todo,
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is open."""


__all__ = ["TAPE_MAGIC", "TapeFile", "TapeStream", "TapeWriter", "market_rows", "received_rows"]
