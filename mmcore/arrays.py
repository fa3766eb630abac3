"""hftbacktest's event array in its file, a piece at a time: a ``.npz`` archive, or a bare ``.npy``.

Only the header is read when a file is opened; a piece is unpacked when it is asked for, so that an
array may be larger than the memory.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .errors import DataError, NoDataError

PIECE_ROWS = 1 << 15
FIELDS = {"ev": "ui", "exch_ts": "i", "local_ts": "i", "px": "f", "qty": "f"}
EXPECTED = {"ui": "whole numbers", "i": "whole numbers of ns", "f": "doubles"}
WIDTH = 8  # bytes of each of them: narrower ones cannot hold a time or a price
MAKE_IT = "make it with hftbacktest 2, or with `python -m mmcore tape convert`"
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
DAMAGE: tuple[type[Exception], ...] = (
    OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zlib.error,
    zipfile.BadZipFile,
)  # fmt: skip


class ArrayFile:
    """An event array that is open for reading.

    path: the file.  count: rows in it.  Raises DataError for a file that is none, or of other
    fields, NoDataError for one without a row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._disk: IO[bytes] = _opened(path)
        try:
            self._archive = None if _is_bare(self._disk) else zipfile.ZipFile(self._disk)
            self._file = self._disk if self._archive is None else self._member(self._archive)
            self.count, self._dtype = self._header()
        except BaseException as error:
            self._disk.close()
            if isinstance(error, DAMAGE):
                raise _unreadable(path, error) from None
            raise

    def _member(self, archive: zipfile.ZipFile) -> IO[bytes]:
        names = archive.namelist()
        arrays = [name for name in names if name.endswith(".npy")]
        if not arrays:
            held = f"an archive of {names[0]}" if names else "an empty archive"
            raise DataError(f"{held}, not of an array", file=self.path, todo=MAKE_IT)
        return archive.open("data.npy" if "data.npy" in arrays else arrays[0])

    def _header(self) -> tuple[int, np.dtype[Any]]:
        version = np.lib.format.read_magic(self._file)
        if version not in HEADERS:
            raise ValueError(f"version {version} of the format")
        shape, _, dtype = HEADERS[version](self._file)
        _check_fields(self.path, dtype, shape)
        if not shape[0]:
            raise NoDataError("the array is empty", file=self.path, todo=MAKE_IT)
        return shape[0], dtype

    def first_stamp(self) -> int:
        """Our clock at the first row, in ns; nothing can be read after it."""
        return int(np.frombuffer(self._read(1, self._dtype.itemsize), self._dtype)["local_ts"][0])

    def pieces(self) -> Iterator[tuple[int, npt.NDArray[np.void]]]:
        """The rows in order: the number of a piece's first row, from 1, and the piece.

        Raises DataError, naming the row, where the file is cut off or damaged.
        """
        first = 1
        while first <= self.count:
            rows = min(PIECE_ROWS, self.count - first + 1)
            yield first, np.frombuffer(self._read(first, rows * self._dtype.itemsize), self._dtype)
            first += rows

    def _read(self, first: int, size: int) -> bytearray:
        data, fault = bytearray(), "it ends there"
        try:
            while len(data) < size and (more := self._file.read(size - len(data))):
                data += more
        except DAMAGE as error:
            fault = str(error)
        if len(data) < size:
            raise DataError(
                f"the array is cut off or damaged ({fault})",
                file=self.path,
                record=first + len(data) // self._dtype.itemsize,
                done="everything before was used",
                todo="fetch the file again",
            )
        return data

    def read_bytes(self) -> int:
        """Bytes of the file that were read so far."""
        return self._disk.tell()

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()
        if self._archive is not None:
            self._archive.close()
        self._disk.close()


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None


def _is_bare(file: IO[bytes]) -> bool:
    magic = file.read(len(np.lib.format.MAGIC_PREFIX))
    file.seek(0)
    return magic == np.lib.format.MAGIC_PREFIX


def _unreadable(path: Path, error: BaseException) -> DataError:
    return DataError(
        f"not a readable .npz archive ({error})", file=path, todo="fetch the file again"
    )


def _check_fields(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if dtype.names is None or len(shape) != 1:
        raise DataError(
            f"the array lacks the columns {', '.join(FIELDS)}: it is of plain {dtype}, "
            f"shape {shape}",
            file=path,
            todo="an array of hftbacktest 1 is converted by hftbacktest 2's own migration",
        )
    lacks = [name for name in FIELDS if name not in dtype.names]
    if lacks:
        raise DataError(
            f"the array lacks the columns {', '.join(lacks)}; it has {', '.join(dtype.names)}",
            file=path,
            todo=MAKE_IT,
        )
    for name, kinds in FIELDS.items():
        if dtype[name].kind not in kinds or dtype[name].itemsize != WIDTH:
            raise DataError(
                f"column {name} is of {dtype[name]}, expected {EXPECTED[kinds]}",
                file=path,
                todo=MAKE_IT,
            )


__all__ = ["ArrayFile"]
