"""hftbacktest's event array as event rows.

The array is a two-clock tape: each row says by its bits whether the venue's side, ours or both
process it, and both orders are kept.  It tells levels, or each order by its id; orders are summed
to levels here, see :mod:`mmcore._tally`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ._intake import whole_rows
from ._tally import Tally
from .arrays import MAKE_IT, PIECE_ROWS, ArrayFile
from .errors import DataError
from .events import ASK, BID, EVENT, LEVEL, LEVELS_MAX, Flag, Kind
from .instrument import Instrument, whole_steps
from .recording import heads_of
from .streams import Faults, hint
from .venue import Rows

EXCH_BIT, LOCAL_BIT, BUY_BIT, SELL_BIT = 1 << 31, 1 << 30, 1 << 29, 1 << 28
KINDS = {1: Kind.DEPTH, 2: Kind.TRADE, 3: Kind.CLEAR, 4: Kind.DEPTH}
ORDER_KINDS = {
    10: Kind.ORDER_ADD, 11: Kind.ORDER_CANCEL, 12: Kind.ORDER_CHANGE, 13: Kind.ORDER_EXECUTE,
}  # fmt: skip
CHAINED = Flag.SNAPSHOT | Flag.MORE | Flag.CONT


# ---- hftbacktest ----------------------------------------------------------------------------


def read_npz(path: Path, item: Instrument, number: int = 0) -> Rows:
    """EVENT rows of a whole hftbacktest event array, in its own order, one row each.

    A depth row is one inline level without update id (a snapshot row sets its price like any
    other), a trade's side is the aggressor's, a clear without side empties both.  Behind a row of
    an order come the depth rows that follow from it.  Raises DataError
    naming the row for a kind that is not market data, a price off the grid or a time out of order.
    """
    with closing(ArrayFile(path)) as array:
        rows = np.zeros(array.count, EVENT)
        order = _Order()
        for first, data in array.pieces():
            piece = rows[first - 1 : first - 1 + len(data)]
            piece[:] = array_rows(_Piece(path, first, data, item), number)
            order.check(path, first, piece)
    if not np.any(rows["kind"] >= Kind.ORDER_ADD):
        return rows
    summed = _Summed(Faults(), together=False)
    blocks = range(0, len(rows), PIECE_ROWS)
    told = [summed.take(path, at + 1, rows[at : at + PIECE_ROWS]) for at in blocks]
    return np.concatenate([*told, summed.end()])


def has_orders(rows: Rows) -> bool:
    """Whether there are rows of orders by their ids among them."""
    heads = rows[heads_of(rows[: whole_rows(rows.view(np.uint8), len(rows))])]
    return bool(np.any(heads["kind"] >= Kind.ORDER_ADD))


def array_tells_orders(path: Path) -> bool:
    """Whether an event array tells orders by their ids, by its first rows."""
    with closing(ArrayFile(path)) as array:
        _, data = next(array.pieces())
    return bool(np.isin(data["ev"].astype(np.uint64) & np.uint64(0xFF), list(ORDER_KINDS)).any())


class ArraySource:
    """Event rows of an array file and of those that continue it, a piece in memory at a time.

    The levels of one instant are one message (:func:`grouped`): whoever decides between them would
    decide on half of an update, and on a book that is crossed until the other half is there.
    paths: in their order.  item: whose they are; number: its Event.instrument.  faults: where rows
    of orders that cannot be true are noted.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        item: Instrument,
        number: int = 0,
        faults: Faults | None = None,
    ) -> None:
        self._paths, self._item, self._number = list(paths), item, number
        self._faults = Faults() if faults is None else faults
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
        order, summed = _Order(), _Summed(self._faults, together=True)
        open_rows = np.zeros(0, EVENT)  # of an instant that the next piece may continue
        for path in self._paths:
            with closing(ArrayFile(path)) as array:
                for first, data in array.pieces():
                    rows = array_rows(_Piece(path, first, data, self._item), self._number)
                    order.check(path, first, rows)
                    self._within = array.read_bytes()
                    rows = np.concatenate((open_rows, summed.take(path, first, rows)))
                    ends = len(rows)
                    if ends and not summed.orders:
                        ends = int(np.flatnonzero(_starts(rows))[-1])
                        rows, open_rows = grouped(rows[:ends]), rows[ends:].copy()
                    else:
                        open_rows = open_rows[:0]
                    if len(rows):
                        yield rows
            self._place, self._within = self._place + 1, 0
        if len(rest := summed.end() if summed.orders else grouped(open_rows)):
            yield rest

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

    def clears_to(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which rows clear a side up to a price."""
        clears: npt.NDArray[np.bool_] = (rows["kind"] == Kind.CLEAR) & (rows["side"] != 0)
        priced: npt.NDArray[np.bool_] = np.isfinite(self.data["px"])
        return clears & priced

    def ids(self, orders: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """The ids of orders; 0 elsewhere."""
        if "order_id" not in (self.data.dtype.names or ()):
            raise DataError(
                "the array tells orders and lacks the column order_id",
                file=self.path, record=self.first + int(orders.argmax()), todo=MAKE_IT,
            )  # fmt: skip
        ids = self.data["order_id"].astype(np.uint64)
        return np.where(orders, ids, 0).astype(np.uint64).view(np.int64)


class _Summed:
    """The rows of an array with the levels that its orders sum to; as they are without orders."""

    def __init__(self, faults: Faults, *, together: bool) -> None:
        self._faults = faults
        self._together = together
        self._tally: Tally | None = None
        self._levels = False  # the array tells levels
        self._n_rows = 0  # given to the tally
        self._n_doubts = 0

    @property
    def orders(self) -> bool:
        """Whether the array tells orders, by what was seen of it."""
        return self._tally is not None

    def take(self, path: Path, first: int, rows: Rows) -> Rows:
        """The next rows, of which the first is the file's row of that number.

        Raises DataError where the array tells both orders and levels, or too many of these.
        """
        orders, levels = rows["kind"] >= Kind.ORDER_ADD, rows["kind"] == Kind.DEPTH
        self._mixed(path, first, orders, levels)
        self._levels = self._levels or bool(levels.any())
        if self._tally is None and not orders.any():
            return rows
        tally = self._tally = self._tally or Tally(together=self._together)
        rows = rows.copy()
        rows["tick"][rows["kind"] == Kind.CLEAR] = 0  # of orders, a whole side is cleared
        try:
            told = tally.run(rows)
        except OverflowError as error:
            raise DataError(str(error), file=path, record=first) from None
        self._note(tally, path, first)
        self._n_rows += len(rows)
        return told

    def _mixed(
        self,
        path: Path,
        first: int,
        orders: npt.NDArray[np.bool_],
        levels: npt.NDArray[np.bool_],
    ) -> None:
        odd = orders if self._levels else levels if self._tally is not None else None
        if odd is None and orders.any() and levels.any():
            odd = levels if orders.argmax() < levels.argmax() else orders
        if odd is not None and odd.any():
            raise DataError(
                "column ev: the array tells both orders by their ids and levels",
                file=path, record=first + int(odd.argmax()),
                todo="leave out one or the other; levels are summed from the orders",
            )  # fmt: skip

    def _note(self, tally: Tally, path: Path, first: int) -> None:
        told = tally.doubts[self._n_doubts :]
        for doubt in told:
            self._faults.add(path, first + doubt.row - self._n_rows, doubt.what)
        self._faults.count += tally.n_doubts - self._n_doubts - len(told)
        self._n_doubts = tally.n_doubts

    def end(self) -> Rows:
        """No further row will come: what waited for it."""
        return np.zeros(0, EVENT) if self._tally is None else self._tally.end()


def array_rows(piece: _Piece, number: int) -> Rows:
    """EVENT rows of some rows of an event array; DataError where one is no market data."""
    data = piece.data
    rows = np.zeros(len(data), EVENT)
    event = data["ev"].astype(np.uint64)
    low = (event & np.uint64(0xFF)).astype(np.uint8)
    kinds = KINDS | ORDER_KINDS
    piece.refuse(~np.isin(low, list(kinds)), "ev", "is a kind of event that is not market data")
    for code, kind in kinds.items():
        rows["kind"][low == code] = kind
    rows["flags"] |= np.where(event & np.uint64(EXCH_BIT), int(Flag.EXCH), 0).astype(np.uint8)
    rows["flags"] |= np.where(event & np.uint64(LOCAL_BIT), int(Flag.LOCAL), 0).astype(np.uint8)
    rows["side"] += np.where(event & np.uint64(BUY_BIT), BID, 0).astype(np.int8)
    rows["side"] += np.where(event & np.uint64(SELL_BIT), ASK, 0).astype(np.int8)
    piece.refuse(rows["flags"] == 0, "ev", "is a row for neither side")
    orders = rows["kind"] >= Kind.ORDER_ADD
    # A print of orders may say no side; a row of a known order need not.
    needed = [Kind.DEPTH, Kind.ORDER_ADD] if orders.any() else [Kind.DEPTH, Kind.TRADE]
    sideless = (rows["side"] == 0) & np.isin(rows["kind"], needed)
    piece.refuse(sideless, "ev", "is a level, order or trade without a side")
    rows["instrument"] = number
    rows["ts_venue_ns"], rows["ts_local_ns"] = data["exch_ts"], data["local_ts"]
    if orders.any():
        rows["aux"] = piece.ids(orders)
    sized = ~np.isin(rows["kind"], [Kind.CLEAR, Kind.ORDER_CANCEL])
    rows["tick"] = piece.steps("px", sized | piece.clears_to(rows), "tick")
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


__all__ = [
    "BUY_BIT",
    "EXCH_BIT",
    "LOCAL_BIT",
    "ORDER_KINDS",
    "SELL_BIT",
    "ArraySource",
    "grouped",
    "read_npz",
]
