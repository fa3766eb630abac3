"""Raw frames to disk: lines of receive time and frame, compressed, a new file every hour.

A file is one instrument's frames in order of receive time, REST snapshots among them, so that its
depth chain can be rebuilt.  Its first line says which instrument that is, with every figure that
the venue gave, so nothing has to be guessed when it is read back::

    1795245593064496571 {"mmcore":"recording","version":1,"instrument":{"venue":"bybit-spot",...}}
    1795245593071103223 {"topic":"orderbook.200.BTCUSDT",...}

Where a stream was lost, a line of ours says so, and the book is stale there on replay too.

The text is written in whole zstandard frames, one a second or a few MiB: a file whose writer was
killed is whole up to the last of them.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import orjson

from .errors import DataError
from .events import ContractKind
from .instrument import Instrument

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MARK = b'{"mmcore":'  # how every line begins that no venue wrote
HEADER_MARK = MARK + b'"recording",'
LINK_DOWN = MARK + b'"link down"}'  # the stream was lost or damaged: the book is stale from here
VERSION = 1
HOUR_NS = 3_600 * 1_000_000_000
FLUSH_S = 1.0
FLUSH_BYTES = 4 << 20
WAITING_BYTES_MAX = 256 << 20  # of frames that the disk has not taken: then it is too slow
LEVEL = 3  # of compression: a busy market costs a few per cent of a core
SUFFIX = ".raw.zst"


def header(item: Instrument) -> bytes:
    """The frame of a file's first line."""
    facts = {"mmcore": "recording", "version": VERSION, "instrument": asdict(item)}
    return orjson.dumps(facts)


def read_header(frame: bytes) -> Instrument | None:
    """The instrument that a file's first frame names; None where it is an ordinary frame.

    Raises ValueError where it is damaged, or of a later version.
    """
    if not frame.startswith(HEADER_MARK):
        return None
    said = orjson.loads(frame)
    if said.get("version") != VERSION:
        raise ValueError(f"recording version {said.get('version')}, this mmcore reads {VERSION}")
    try:
        facts = said["instrument"]
        return Instrument(**{**facts, "kind": ContractKind(facts["kind"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"the recording's first line is damaged ({error})") from None


class _Series:
    """The files of one instrument: text waits here until it is compressed and written."""

    def __init__(self, folder: Path, item: Instrument) -> None:
        self.item = item
        self.paths: list[Path] = []
        self._folder = folder
        self._lines: list[bytes] = []
        self._n_bytes = 0
        self._hour = -1
        self._last_ns = 0
        self._file: BinaryIO | None = None

    def add(self, ts_local_ns: int, frame: bytes) -> int:
        """Take one frame; the bytes written because of it.  Raises OSError."""
        # One callback after the other, but stamps are taken a little earlier: never backwards.
        self._last_ns = ts_ns = max(ts_local_ns, self._last_ns)
        written = 0
        if ts_ns // HOUR_NS != self._hour:
            written = self.flush()
            self._open(ts_ns)
        if b"\n" in frame:  # between the words of JSON it means nothing
            frame = frame.replace(b"\n", b" ")
        line = b"%d %b\n" % (ts_ns, frame)
        self._lines.append(line)
        self._n_bytes += len(line)
        return written + (self.flush() if self._n_bytes >= FLUSH_BYTES else 0)

    def _open(self, ts_ns: int) -> None:
        if self._file is not None:
            self._file.close()
        self._hour = ts_ns // HOUR_NS
        stamp = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
        path = self._folder / f"{self.item.venue}-{self.item.symbol}-{stamp}{SUFFIX}"
        self._file = path.open("xb", buffering=0)
        self.paths.append(path)
        self._lines.append(b"%d %b\n" % (ts_ns, header(self.item)))

    def flush(self) -> int:
        """Write what waits as one whole zstandard frame; its bytes.  Raises OSError.

        A frame that the disk takes only in part is taken back: the file ends where it was whole.
        """
        if not self._lines or self._file is None:
            return 0
        packed = zstd.compress(b"".join(self._lines), LEVEL)
        before, view = self._file.tell(), memoryview(packed)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self._file.truncate(before)
            raise
        self._lines.clear()
        self._n_bytes = 0
        return len(packed)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class RawTapes:
    """Writes the frames of several instruments, on a thread of its own.

    folder: where the files go; made if it is not there.  instruments: as :meth:`put` numbers them.
    A disk that fails, or is too slow, never raises here: it appears as ``failure``, a sentence.
    Raises DataError where the folder cannot be written.
    """

    def __init__(self, folder: Path, instruments: Sequence[Instrument]) -> None:
        self.failure: str | None = None
        self.n_frames = 0
        self.n_bytes = 0  # of text taken
        self.n_packed = 0  # of files written
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".probe"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise DataError(
                f"the recording cannot be written ({error.strerror})",
                file=folder,
                done="nothing was started",
                todo="name a writable folder with --directory",
            ) from None
        self._folder = folder
        self._series = [_Series(folder, item) for item in instruments]
        self._queue: queue.SimpleQueue[tuple[int, int, bytes] | None] = queue.SimpleQueue()
        self._n_taken = 0  # bytes that the thread has taken over
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def paths(self) -> list[Path]:
        """The files written so far, instrument by instrument."""
        return [path for series in self._series for path in series.paths]

    def put(self, number: int, ts_local_ns: int, frame: bytes) -> None:
        """Take one frame of an instrument; returns at once."""
        if self.failure is not None:
            return
        self.n_frames += 1
        self.n_bytes += len(frame)
        self._queue.put((number, ts_local_ns, frame))
        if self.n_bytes - self._n_taken > WAITING_BYTES_MAX:
            self._fail("the disk is too slow for this market")

    def close(self) -> None:
        """Write what is left and close the files; may be called twice."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while self._turn():
            pass
        self._flush()
        for series in self._series:
            series.close()

    def _turn(self) -> bool:
        """Frames of about one flush; False at the end."""
        deadline = time.monotonic() + FLUSH_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                item = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if item is None:
                return False
            number, ts_local_ns, frame = item
            self._n_taken += len(frame)
            if self.failure is None:
                self._write(number, ts_local_ns, frame)
        self._flush()
        return True

    def _write(self, number: int, ts_local_ns: int, frame: bytes) -> None:
        try:
            self.n_packed += self._series[number].add(ts_local_ns, frame)
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _flush(self) -> None:
        for series in self._series:
            if self.failure is not None:
                return
            try:
                self.n_packed += series.flush()
            except OSError as error:
                self._fail(error.strerror or str(error))

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or (
            f"{self._folder}: the recording cannot go on ({reason}); mmcore stopped, and what was "
            f"written stays readable; free some space and start again"
        )


__all__ = ["LINK_DOWN", "MARK", "RawTapes", "header", "read_header"]
