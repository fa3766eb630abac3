"""Streams of one recorder: text as it was written to disk, read back as event rows in blocks.

A stream belongs to one connection (or one file and its continuations) and comes in order of receive
time; :mod:`mmcore.tape` merges several.  What is damaged is named with file and line; the book of
every instrument it may concern is declared stale by a LINK_DOWN row, and the depth chain waits for
the next snapshot.
"""

from __future__ import annotations

import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from ._intake import Intake
from .errors import DataError
from .instrument import Instrument
from .raw_tape import LINK_DOWN, MARK
from .recording import heads_of
from .venue import DecodeError, Decoder, Rows, SymbolError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES = 1 << 18  # read from the file at once
TEXT_BYTES = 1 << 20  # unpacked at once, however well it was packed
PROBLEMS_KEPT = 100  # of them all; the rest are counted
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # a zip archive, and an empty one
ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError)
GZIP_WBITS = 31  # zlib: gzip framing, largest window
LINE_MORE, LINE_FULL, LINE_FRAME, LINE_BACK = 0, 1, 2, 3  # see Intake.lines


@dataclass(frozen=True, slots=True)
class Problem:
    """One damaged record.  file, line (from 1; 0: the file as a whole): where.  what: in words."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass(slots=True)
class Faults:
    """Damage met so far: the first hundred in full, all of them counted."""

    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, file: Path, line: int, what: str) -> None:
        """Note one damaged record."""
        self.count += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(Problem(str(file), line, what))


def hint(name: str) -> str:
    """What to do where a tick or lot does not fit the data."""
    return f"give the {name} of the time of the recording in [instrument.spec] ({name} = ...)"


class Stream(Protocol):
    """Event rows in order of receive time."""

    def next_block(self) -> Rows | None:
        """Rows, whole messages, at least one; valid until the next call.  None at the end."""

    def done(self) -> tuple[int, int]:
        """Bytes read and bytes in all."""

    def close(self) -> None:
        """Let go of files."""


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int) -> bytes: ...


class _Gzip:
    """A member of a gzip file, unpacked in pieces of bounded size; the interface is zstd's."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(GZIP_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        text = self._member.decompress(self._member.unconsumed_tail + data, max_length)
        # What fills the piece may go on without further input.
        self.needs_input = not self._member.unconsumed_tail and len(text) < max_length
        return text


class Text:
    """A file's text in chunks: plain, gzip, zstandard or zip, told apart by its first bytes.

    ``fault`` says in words why the text ended before its time, "" while all is well.  members:
    names in a zip archive; its text is that of the only one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fault = ""
        self.size = path.stat().st_size
        self._file = path.open("rb")
        magic = self._file.read(4)
        self._file.seek(0)
        self._packing: Callable[[], _Inflater] | None = None
        self._member: IO[bytes] | None = None
        self.members: tuple[str, ...] = ()
        self.is_archive = magic in ZIP_MAGICS
        if self.is_archive:
            self._open_archive()
        elif magic[:2] == b"\x1f\x8b":
            self._packing = _Gzip
        elif magic == b"\x28\xb5\x2f\xfd":
            self._packing = zstd.ZstdDecompressor
        self._inflater: _Inflater | None = None  # of the member being read
        self._packed = b""

    @property
    def packed(self) -> bool:
        """Whether what is read is not what stands in the file."""
        return self._packing is not None or self._member is not None

    @property
    def read_bytes(self) -> int:
        """Bytes of the file read so far."""
        return self._file.tell()

    def next_chunk(self) -> bytes:
        """The next piece of text; empty at the end, or where ``fault`` says why not."""
        if self._member is not None:
            return self._next_of(self._member)
        if self._packing is None:
            return self._file.read(CHUNK_BYTES)
        while not self.fault:
            inflater, packed = self._inflater, b""
            if inflater is None or inflater.needs_input:
                packed = self._packed or self._file.read(CHUNK_BYTES)
                self._packed = b""
                if not packed:
                    self.fault = "the compressed file is cut off" if inflater else ""
                    break
            if text := self._inflate(inflater or self._packing(), packed):
                return text
        return b""

    def _open_archive(self) -> None:
        try:
            archive = zipfile.ZipFile(self._file)
            self.members = tuple(archive.namelist())
            if len(self.members) == 1:
                self._member = archive.open(self.members[0])
        except ZIP_DAMAGE as error:
            self.fault = f"the archive is cut off or damaged ({error})"

    def _next_of(self, member: IO[bytes]) -> bytes:
        try:
            return b"" if self.fault else member.read(CHUNK_BYTES)
        except ZIP_DAMAGE as error:
            self.fault = f"the archive is damaged ({error})"
            return b""

    def _inflate(self, inflater: _Inflater, packed: bytes) -> bytes:
        try:
            text = inflater.decompress(packed, max_length=TEXT_BYTES)
        except (zlib.error, zstd.ZstdError) as error:
            self.fault = f"the compressed file is damaged ({error})"
            return b""
        self._inflater = inflater
        if inflater.eof:
            self._packed, self._inflater = inflater.unused_data, None
        return text

    def close(self) -> None:
        """Close the file."""
        if self._member is not None:
            self._member.close()
        self._file.close()


class FrameReader:
    """What both kinds of stream share: frames to rows, and what to do about bad ones.

    alone: the recording holds one instrument only, so that a frame without a name is its own.
    """

    def __init__(
        self,
        decoder: Decoder,
        instruments: Sequence[Instrument],
        numbers: Sequence[int],
        faults: Faults,
        *,
        alone: bool,
    ) -> None:
        self.decoder = decoder
        self.instruments = tuple(instruments)
        self.places = {item.symbol: place for place, item in enumerate(instruments)}
        self.numbers = tuple(numbers)
        self.faults = faults
        self.intake = Intake(decoder.scanner, max(numbers) + 1)
        self.hint = 0 if alone else -1

    def json_frame(self, frame: bytes, ts_local_ns: int, hint: int, file: Path, line: int) -> None:
        """A frame that the scanner left or refused: rows, or a problem and stale books."""
        if frame.startswith(MARK):
            if frame == LINK_DOWN:
                for number in self.numbers:
                    self.intake.link_down(number, ts_local_ns)
            return  # else the first line of our own recorder's file
        try:
            self.intake.put(self.decoder.decode_json(frame, ts_local_ns, hint))
        except SymbolError:
            return  # a capture may hold more than the run trades
        except DecodeError as error:
            self.damage(file, line, error.what, ts_local_ns, error)

    def damage(
        self, file: Path, line: int, what: str, ts_local_ns: int, error: DecodeError | None = None
    ) -> None:
        """Note a damaged record; stale from here is every book that it may concern."""
        self.faults.add(file, line, what)
        if error is not None and error.harmless:
            return
        concerned = error is not None and error.instrument >= 0
        for number in [error.instrument] if error and concerned else self.numbers:
            self.intake.link_down(number, ts_local_ns)

    def unready(self, file: Path) -> None:
        """At the end: name the instruments whose depth never had a snapshot to stand on."""
        for number, item in zip(self.numbers, self.instruments, strict=True):
            chain = self.intake.chain(number)
            if chain["deltas"] and not chain["snapshots"]:
                what = f"{chain['deltas']} depth updates of {item} but no snapshot: no book"
                self.faults.add(file, 0, what)


class RawStream:
    """Raw lines, ``<receive time> <frame>``, of one file and the files that continue it."""

    def __init__(self, paths: Sequence[Path], reader: FrameReader) -> None:
        self._paths = list(paths)
        self._reader = reader
        self._total = sum(path.stat().st_size for path in paths)
        self._behind = 0  # bytes of files that are closed
        self._lines_behind = 0
        self._next_file = 0
        self._text: Text | None = None
        self._path = self._paths[0]
        self._chunk = b""
        self._pos = 0
        self._final = False
        self._over = False

    def done(self) -> tuple[int, int]:
        """Bytes read and bytes in all."""
        return self._behind + (self._text.read_bytes if self._text else 0), self._total

    def next_block(self) -> Rows | None:
        """The next rows; DataError, naming file and line, where the text cannot go on."""
        intake = self._reader.intake
        while True:
            status = intake.lines(self._chunk, self._pos, self._final, self._reader.hint)
            self._pos = intake.pos
            if status == LINE_FULL:
                return intake.take()
            if status == LINE_MORE:
                if not self._advance():
                    rows = intake.take()
                    if not len(rows):
                        self._end()
                    return rows if len(rows) else None
            elif status == LINE_BACK:
                raise DataError(
                    "receive time runs backwards within one stream",
                    file=self._path,
                    line=self._line,
                    todo="give the files of one recording in their order, or record again",
                )
            else:
                self._odd_line(status)

    @property
    def _line(self) -> int:
        return self._reader.intake.line - self._lines_behind

    def _odd_line(self, status: int) -> None:
        intake = self._reader.intake
        frame = self._chunk[intake.frame_start : intake.frame_end]
        if status == LINE_FRAME:
            self._reader.json_frame(
                frame, intake.ts_local_ns, self._reader.hint, self._path, self._line
            )
            return
        what = f"no receive time of 19, 16 or 13 digits at its start: {frame[:40]!r}"
        self._reader.damage(self._path, self._line, what, intake.ts_local_ns)

    def _advance(self) -> bool:
        """More text: the next chunk, or the next file; False when there is none."""
        rest = self._chunk[self._pos :]
        self._chunk, self._pos, self._final = rest, 0, False
        if self._text is not None:
            chunk = self._text.next_chunk()
            if chunk:
                self._chunk = rest + chunk
                return True
            if self._text.fault:
                return False
            if rest:
                self._final = True  # a last line without a line feed
                return True
            self._behind += self._text.size
            self._lines_behind = self._reader.intake.line
            self._text.close()
            self._text = None
        if self._next_file == len(self._paths):
            return False
        self._path = self._paths[self._next_file]
        self._next_file += 1
        self._text = Text(self._path)
        return True

    def _end(self) -> None:
        if self._text is not None and self._text.fault:
            raise DataError(
                self._text.fault,
                file=self._path,
                line=self._line + 1,
                done="everything before that line was used",
                todo="fetch the file again",
            )
        if not self._over:
            self._over = True
            self._reader.unready(self._paths[0])

    def close(self) -> None:
        """Close the file that is open."""
        if self._text is not None:
            self._text.close()
            self._text = None


@dataclass(frozen=True, slots=True)
class Record:
    """One frame.  symbol: whose it is, where it does not say; damage: why it is none."""

    ts_local_ns: int
    line: int
    frame: bytes
    symbol: str = ""
    damage: str = ""


class RecordStream:
    """Frames that were taken out of a capture and put in order of receive time."""

    def __init__(self, path: Path, records: Sequence[Record], reader: FrameReader) -> None:
        self._path = path
        self._records = records
        self._reader = reader
        self._next = 0
        self._size = path.stat().st_size
        self._over = False

    def done(self) -> tuple[int, int]:
        """Bytes read and bytes in all, in proportion to the records."""
        return self._size * self._next // max(len(self._records), 1), self._size

    def next_block(self) -> Rows | None:
        """The next rows."""
        intake, reader = self._reader.intake, self._reader
        while self._next < len(self._records) and not intake.full:
            record = self._records[self._next]
            self._next += 1
            hint = reader.places.get(record.symbol, -1)
            if record.damage:
                reader.damage(self._path, record.line, record.damage, record.ts_local_ns)
            elif record.symbol and hint < 0:
                continue  # a snapshot of an instrument that the run does not trade
            elif intake.frame(record.frame, record.ts_local_ns, hint):
                reader.json_frame(record.frame, record.ts_local_ns, hint, self._path, record.line)
        rows = intake.take()
        if len(rows):
            return rows
        if not self._over:
            self._over = True
            reader.unready(self._path)
        return None

    def close(self) -> None:
        """Nothing is open."""


class Continued:
    """Streams of files that continue each other, in their order.

    Raises DataError where one begins before the one ahead of it has ended.
    """

    def __init__(self, paths: Sequence[Path], streams: Sequence[Stream]) -> None:
        self._paths, self._streams = list(paths), list(streams)
        self._place = 0
        self._last_ns = 0

    def done(self) -> tuple[int, int]:
        """Bytes read and bytes in all."""
        parts = [stream.done() for stream in self._streams]
        return sum(read for read, _ in parts), sum(size for _, size in parts)

    def next_block(self) -> Rows | None:
        """The next rows of the file whose turn it is."""
        while self._place < len(self._streams):
            block = self._streams[self._place].next_block()
            if block is not None:
                stamps = block["ts_local_ns"][heads_of(block)]
                if stamps[0] < self._last_ns:
                    raise DataError(
                        f"begins before {self._paths[self._place - 1]} ends",
                        file=self._paths[self._place],
                        todo="name each stretch of time once",
                    )
                self._last_ns = int(stamps[-1])
                return block
            self._place += 1
        return None

    def close(self) -> None:
        """Let go of files."""
        for stream in self._streams:
            stream.close()
