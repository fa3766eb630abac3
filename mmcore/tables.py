"""hftbacktest's event array as event rows.

The array is a two-clock tape: each row says by its bits whether the venue's side, ours or both
process it, and both orders are kept.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .arrays import ArrayFile
from .errors import DataError
from .events import ASK, BID, EVENT, LEVEL, LEVELS_MAX, Flag, Kind
from .instrument import Instrument, whole_steps
from .streams import hint
from .venue import Rows

EXCH_BIT, LOCAL_BIT, BUY_BIT, SELL_BIT = 1 << 31, 1 << 30, 1 << 29, 1 << 28
KINDS = {1: Kind.DEPTH, 2: Kind.TRADE, 3: Kind.CLEAR, 4: Kind.DEPTH}
CHAINED = Flag.SNAPSHOT | Flag.MORE | Flag.CONT


# ---- hftbacktest ----------------------------------------------------------------------------


def read_npz(path: Path, item: Instrument, number: int = 0) -> Rows:
    """EVENT rows of a whole hftbacktest event array, in its own order, one row each.

    A depth row is one inline level without update id (a snapshot row sets its price like any
    other), a trade's side is the aggressor's, a clear without side empties both.  Raises DataError
    naming the row for a kind that is not market data, a price off the grid or a time out of order.
    """
    with closing(ArrayFile(path)) as array:
        rows = np.zeros(array.count, EVENT)
        order = _Order()
        for first, data in array.pieces():
            piece = rows[first - 1 : first - 1 + len(data)]
            piece[:] = array_rows(_Piece(path, first, data, item), number)
            order.check(path, first, piece)
    return rows


class ArraySource:
    """Event rows of an array file and of those that continue it, a piece in memory at a time.

    The levels of one instant are one message (:func:`grouped`): whoever decides between them would
    decide on half of an update, and on a book that is crossed until the other half is there.
    paths: in their order.  item: whose they are; number: its Event.instrument.
    """

    def __init__(self, paths: Sequence[Path], item: Instrument, number: int = 0) -> None:
        self._paths, self._item, self._number = list(paths), item, number
        self._sizes = [path.stat().st_size for path in paths]
        self._place, self._within = 0, 0
        self._rows = self._read()

    def done(self) -> tuple[int, int]:
        """Bytes read and bytes in all."""
        return sum(self._sizes[: self._place]) + self._within, sum(self._sizes)

    def next_block(self) -> Rows | None:
        """The next rows; DataError, with file, row and column, where one cannot be true."""
        return next(self._rows, None)

    def _read(self) -> Generator[Rows, None, None]:
        order = _Order()
        open_rows = np.zeros(0, EVENT)  # of an instant that the next piece may continue
        for path in self._paths:
            with closing(ArrayFile(path)) as array:
                for first, data in array.pieces():
                    rows = array_rows(_Piece(path, first, data, self._item), self._number)
                    order.check(path, first, rows)
                    self._within = array.read_bytes()
                    rows = np.concatenate((open_rows, rows))
                    ends = int(np.flatnonzero(_starts(rows))[-1]) if len(rows) else 0
                    open_rows = rows[ends:].copy()
                    if ends:
                        yield grouped(rows[:ends])
            self._place, self._within = self._place + 1, 0
        if len(open_rows):
            yield grouped(open_rows)

    def close(self) -> None:
        """Let go of the file that is open."""
        self._rows.close()


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of an array file.  first: number of the first of them, from 1."""

    path: Path
    first: int
    data: npt.NDArray[np.void]
    item: Instrument

    def refuse(self, bad: npt.NDArray[np.bool_], column: str, what: str, todo: str = "") -> None:
        """Raise DataError for the first row that is bad, with its value."""
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"column {column}: {self.data[column][row]} {what}",
                file=self.path, record=self.first + row, todo=todo or "leave the row out",
            )  # fmt: skip

    def steps(self, column: str, used: npt.NDArray[np.bool_], name: str) -> npt.NDArray[np.int64]:
        """A column in whole ticks or units; 0 where it is not used."""
        step = float(self.item.tick) if name == "tick" else 1.0 / self.item.qty_per_one
        taken = np.where(used, self.data[column], 0.0)
        self.refuse(~(taken >= 0) | (taken > 2**60), column, "is no price or quantity")
        near, bad = whole_steps(taken, step)
        self.refuse(bad, column, f"is no multiple of {self.item}'s {name} {step:g}", hint(name))
        return near


def array_rows(piece: _Piece, number: int) -> Rows:
    """EVENT rows of some rows of an event array; DataError where one is no market data."""
    data = piece.data
    rows = np.zeros(len(data), EVENT)
    event = data["ev"].astype(np.uint64)
    low = (event & np.uint64(0xFF)).astype(np.uint8)
    piece.refuse(~np.isin(low, list(KINDS)), "ev", "is a kind of event that is not market data")
    for code, kind in KINDS.items():
        rows["kind"][low == code] = kind
    rows["flags"] |= np.where(event & np.uint64(EXCH_BIT), int(Flag.EXCH), 0).astype(np.uint8)
    rows["flags"] |= np.where(event & np.uint64(LOCAL_BIT), int(Flag.LOCAL), 0).astype(np.uint8)
    rows["side"] += np.where(event & np.uint64(BUY_BIT), BID, 0).astype(np.int8)
    rows["side"] += np.where(event & np.uint64(SELL_BIT), ASK, 0).astype(np.int8)
    piece.refuse(rows["flags"] == 0, "ev", "is a row for neither side")
    sideless = (rows["side"] == 0) & (rows["kind"] != Kind.CLEAR)
    piece.refuse(sideless, "ev", "is a level or trade without a side")
    rows["instrument"] = number
    rows["ts_venue_ns"], rows["ts_local_ns"] = data["exch_ts"], data["local_ts"]
    sized = rows["kind"] != Kind.CLEAR
    rows["tick"] = piece.steps("px", sized | (rows["side"] != 0), "tick")
    rows["qty"] = piece.steps("qty", sized, "lot")
    return rows


class _Order:
    """Both clocks of an array, which must not run backwards, not even from file to file."""

    def __init__(self) -> None:
        self._last = {"exch_ts": 0, "local_ts": 0}
        self._path: Path | None = None  # of the rows before

    def check(self, path: Path, first: int, rows: Rows) -> None:
        """Raise DataError, naming row and column, where one of them does."""
        for flag, clock, column in (
            (Flag.EXCH, "ts_venue_ns", "exch_ts"),
            (Flag.LOCAL, "ts_local_ns", "local_ts"),
        ):
            at = np.flatnonzero(rows["flags"] & int(flag))
            stamps = np.append(self._last[column], rows[clock][at])
            back = np.flatnonzero(np.diff(stamps) < 0)
            if len(back):
                self._refuse(path, first + int(at[back[0]]), column, stamps[back[0] :])
            self._last[column] = int(stamps[-1])
        self._path = path

    def _refuse(self, path: Path, row: int, column: str, stamps: npt.NDArray[np.int64]) -> None:
        what = f"{stamps[1]} comes before {stamps[0]}, which stands ahead of it"
        todo = "sort the rows by both clocks, as hftbacktest's own converters do"
        if row == 1 and self._path is not None:
            what = f"the file begins before {self._path} ends ({stamps[1]} and {stamps[0]})"
            todo = "name each stretch of time once"
        raise DataError(f"column {column}: {what}", file=path, record=row, todo=todo)


def grouped(rows: Rows) -> Rows:
    """The levels of one instant as one message: a quarter of the memory, and one step for the book.

    rows: as :func:`read_npz` gives them, one level each.  Depth rows that follow each other with
    both times, instrument and flags alike become one message, bids first, each side in its order.
    Of an instant with more of them than a message holds, messages that continue each other.  A
    research replay gives the same fills; it counts fewer messages.
    """
    whole = np.flatnonzero(_starts(rows))
    first, count = _capped(whole, np.diff(np.append(whole, len(rows))))
    several = count > 1
    sizes = np.where(several, 1 + (count + 3) // 4, 1)
    place = np.cumsum(sizes) - sizes
    out = np.zeros(int(sizes.sum()), EVENT)
    out[place] = rows[first]
    continues = ~np.isin(first, whole)
    out["flags"][place[continues]] |= int(Flag.CONT)
    out["flags"][place[:-1][continues[1:]]] |= int(Flag.MORE)
    group = np.repeat(np.arange(len(first)), count)
    bid = rows["side"] > 0
    inside = several[group]
    n_bids = np.bincount(group, weights=bid & inside, minlength=len(first)).astype(np.int64)
    heads = place[several]
    out["n_bids"][heads] = n_bids[several]
    out["n_asks"][heads] = (count - n_bids)[several]
    for name in ("side", "tick", "qty"):
        out[name][heads] = 0
    order = np.lexsort((np.arange(len(rows)), ~bid, group))
    order = order[inside[order]]
    within = np.arange(len(rows)) - np.repeat(first, count)
    slot = (4 * (place[group] + 1) + within)[inside]
    levels = out.view(LEVEL)
    levels["tick"][slot] = rows["tick"][order]
    levels["qty"][slot] = rows["qty"][order]
    return out


def _starts(rows: Rows) -> npt.NDArray[np.bool_]:
    """Which rows begin a message, where the levels of one instant are one."""
    plain = (rows["kind"] == Kind.DEPTH) & (rows["flags"] & int(CHAINED) == 0)
    plain &= (rows["n_bids"] == 0) & (rows["n_asks"] == 0) & (rows["seq"] == 0)
    starts = np.ones(len(rows), np.bool_)
    starts[1:] = ~(plain[1:] & plain[:-1])
    for name in ("ts_venue_ns", "ts_local_ns", "instrument", "flags"):
        starts[1:] |= rows[name][1:] != rows[name][:-1]
    return starts


def _capped(
    first: npt.NDArray[np.int64], count: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Groups of at most as many levels as a message holds."""
    parts = -(-count // LEVELS_MAX)
    if len(parts) == 0 or parts.max() == 1:
        return first, count
    number = np.arange(int(parts.sum())) - np.repeat(np.cumsum(parts) - parts, parts)
    begins = np.repeat(first, parts) + number * LEVELS_MAX
    lengths = np.minimum(np.repeat(first + count, parts) - begins, LEVELS_MAX)
    return begins, lengths


__all__ = ["BUY_BIT", "EXCH_BIT", "LOCAL_BIT", "SELL_BIT", "ArraySource", "grouped", "read_npz"]
