"""From the columns of a sheet to event rows: what every known table means.

All of them hold market data in order of receive time.  A row that cannot be true ends the reading
with an error that names file, row and column: such files are made by programs, and one wrong row
says that the tick, the lot or the file itself is not what it was taken for.  What may well happen
on a good day (a repeated print, a hole between two images) is counted and told.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._intake import whole_rows
from .errors import DataError
from .events import ASK, BID, EVENT, LEVEL, LEVELS_MAX, Flag, Kind
from .instrument import Instrument, whole_steps
from .sheets import IMAGE_COLUMN, Batch, Column, Sheet, csv_batches, parquet_batches, parquet_rows
from .streams import Faults, Text, hint
from .venue import Rows

BOTH = int(Flag.EXCH | Flag.LOCAL)
BLOCK_ROWS = 32_768
HOLE_NS = 5 * 10**9  # between two images of one instrument: the recorder was away
IDS_KEPT = 65_536  # trade ids remembered against repetition
BUY_WORDS, SELL_WORDS = (b"buy", b"bid"), (b"sell", b"ask")
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Reading:
    """One sheet being read: its columns as integers, every value checked."""

    def __init__(self, sheet: Sheet, item: Instrument, number: int, faults: Faults) -> None:
        self.sheet, self.item, self.number, self.faults = sheet, item, number, faults
        self.batch = Batch(0, 0, {})
        self.last_ns = 0
        self.n_repeated = 0
        self.image_ns = 0  # of the last image, against holes
        self.n_orphans = 0  # changes of a book that was never seen whole
        self.n_levels = {BID: 0, ASK: 0}
        self.tail: tuple[Column, ...] | None = None  # of a message that may go on
        self._ids = np.zeros(0, np.int64)

    def refuse(self, bad: npt.NDArray[np.bool_], column: str, what: str, todo: str = "") -> None:
        """Raise DataError for the first row that is bad, with its value."""
        if not bad.any():
            return
        row = int(bad.argmax())
        values = self.batch.columns[column]
        value = values[row] if not isinstance(values, tuple) else "a list"
        shown = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        raise DataError(
            f"column {column}: {shown} {what}",
            **self.sheet.where(self.batch.first + row),
            todo=todo or "fetch the file again, or leave it out",
        )

    def floats(self, column: str) -> Floats:
        """A column of decimal numbers; nan where a cell is empty."""
        values: Column = self.batch.columns[column]
        if values.dtype.kind == "f":
            return values.astype(np.float64)
        if values.dtype.kind in "iu":
            return values.astype(np.float64)
        try:
            return np.where(values == b"", b"nan", values).astype(np.float64)
        except ValueError:
            bad = np.array([not _is_number(text) for text in values.tolist()])
            self.refuse(bad, column, "is no number")
            raise

    def whole(self, column: str) -> Ints:
        """A column of whole numbers; 0 where the text is none (ids of letters)."""
        values: Column = self.batch.columns[column]
        if values.dtype.kind in "iu":
            return values.astype(np.int64)
        fits = np.char.isdigit(values) & (np.char.str_len(values) < 19)
        return np.where(fits, values, b"0").astype(np.int64)

    def times(self, column: str) -> Ints:
        """A column of unix times in ns; seconds, ms, us or ns are told apart by their size."""
        values: Column = self.batch.columns[column]
        if values.dtype.kind == "S" and values[0].isdigit() and len(values[0]) > 10:
            size = np.char.str_len(values)
            fits = np.char.isdigit(values) & ((size < 19) | (size == 19) & (values < b"92"))
            self.refuse(~fits, column, "is no time")
            values = values.astype(np.int64)
        if values.dtype.kind not in "iu":
            seconds = self.floats(column)
            self.refuse(~((seconds > 0) & (seconds < 9e9)), column, "is no time")
            return np.rint(seconds * 1e6).astype(np.int64) * 1000  # what a double holds of it
        stamps = values.astype(np.int64)
        self.refuse(stamps <= 0, column, "is no time")
        factor = np.select(
            [stamps < 10**11, stamps < 10**14, stamps < 10**17], [10**9, 10**6, 1000]
        )
        return stamps * np.where(factor == 0, 1, factor)

    def receive(self, column: str) -> Ints:
        """Receive times, which must not run backwards, not even from file to file."""
        stamps = self.times(column)
        before = np.concatenate([[self.last_ns], stamps[:-1]])
        self.refuse(
            stamps < before, column, "runs backwards: the rows are not in order of time",
            "sort the file by that column, and give files that follow each other, none twice",
        )  # fmt: skip
        self.last_ns = int(stamps[-1]) if len(stamps) else self.last_ns
        return stamps

    def ticks(self, column: str) -> Ints:
        """Prices in ticks."""
        return self._steps(column, self.floats(column), float(self.item.tick), "tick")

    def qtys(self, column: str) -> Ints:
        """Quantities in units."""
        return self._steps(column, self.floats(column), 1.0 / self.item.qty_per_one, "lot")

    def _steps(self, column: str, values: Floats, step: float, name: str) -> Ints:
        self.refuse(~(values >= 0), column, "is no price or quantity")
        if name == "tick":
            self.refuse(values == 0, column, "is no price")
        near, bad = whole_steps(values, step)
        self.refuse(bad, column, f"is no multiple of {self.item}'s {name} {step:g}", hint(name))
        return near

    def is_buy(self, column: str) -> npt.NDArray[np.bool_]:
        """A column of sides: buy or bid, sell or ask."""
        values = np.char.lower(self.batch.columns[column])
        buy, sell = np.isin(values, BUY_WORDS), np.isin(values, SELL_WORDS)
        self.refuse(~(buy | sell), column, "is no side")
        return buy

    def is_true(self, column: str) -> npt.NDArray[np.bool_]:
        """A column of true and false."""
        values: Column = self.batch.columns[column]
        if values.dtype.kind == "b":
            return values.astype(np.bool_)
        lower = np.char.lower(values)
        true, false = np.isin(lower, [b"true", b"1"]), np.isin(lower, [b"false", b"0"])
        self.refuse(~(true | false), column, "is neither true nor false")
        return true

    def check_symbol(self) -> None:
        """Every row is of the instrument that the first was of."""
        if "symbol" in self.batch.columns and self.sheet.symbol:
            other = self.batch.columns["symbol"] != self.sheet.symbol.encode()
            self.refuse(
                other, "symbol", f"is not {self.sheet.symbol}, as in the rows before",
                "split the file by symbol",
            )  # fmt: skip

    def fresh(self, ids: Ints) -> npt.NDArray[np.bool_]:
        """Which trade ids were not met before; those that were are counted."""
        new = np.zeros(len(ids), np.bool_)
        new[np.unique(ids, return_index=True)[1]] = True
        new &= ~np.isin(ids, self._ids)
        new |= ids == 0
        self.n_repeated += int(np.count_nonzero(~new))
        self._ids = np.concatenate([self._ids, ids[new]])[-IDS_KEPT:]
        return new

    # -- rows

    def rows(self, kind: Kind, local_ns: Ints, venue_ns: Ints) -> Rows:
        """As many rows of one kind as there are times."""
        rows = np.zeros(len(local_ns), EVENT)
        rows["kind"], rows["flags"], rows["instrument"] = kind, BOTH, self.number
        rows["ts_local_ns"], rows["ts_venue_ns"] = local_ns, venue_ns
        return rows

    def trades(
        self, local_ns: Ints, venue_ns: Ints, buy: npt.NDArray[np.bool_], ids: Ints, price: str,
        quantity: str,
    ) -> Rows:  # fmt: skip
        """Prints, each id once."""
        rows = self.rows(Kind.TRADE, local_ns, venue_ns)
        rows["side"], rows["seq"] = np.where(buy, BID, ASK), ids
        rows["tick"], rows["qty"] = self.ticks(price), self.qtys(quantity)
        self.refuse(rows["qty"] == 0, quantity, "is no quantity of a trade")
        kept: Rows = rows[self.fresh(ids)]
        return kept


@dataclass(slots=True)
class Levels:
    """Levels of several messages: each level's message, side, tick and quantity."""

    message: Ints
    is_ask: npt.NDArray[np.bool_]
    tick: Ints
    qty: Ints


def depth_rows(heads: Rows, levels: Levels) -> tuple[Rows, Ints]:
    """Depth messages: ``heads`` has one header a message, in order, ``levels`` what is in them.

    A message of more levels than fit goes out as several that continue each other.  Returns the
    rows, and where in them each message begins.
    """
    order = np.lexsort((levels.is_ask, levels.message))
    message, ask = levels.message[order], levels.is_ask[order]
    start = np.searchsorted(message, np.arange(len(heads)))
    place = np.arange(len(message)) - start[message]
    part = place // LEVELS_MAX
    parts = np.maximum(np.bincount(message, minlength=len(heads)) - 1, 0) // LEVELS_MAX + 1
    first_part = np.concatenate([[0], np.cumsum(parts)[:-1]])
    n_parts = int(parts.sum())
    piece = first_part[message] + part
    n_asks = np.bincount(piece[ask], minlength=n_parts)
    n_levels = np.bincount(piece, minlength=n_parts)
    room = 1 + (n_levels + 3) // 4
    at = np.concatenate([[0], np.cumsum(room)[:-1]])
    rows = np.zeros(int(room.sum()), EVENT)
    owner = np.repeat(np.arange(len(heads)), parts)
    pieces = heads[owner]
    nth = np.arange(n_parts) - first_part[owner]
    pieces["flags"] |= np.where(nth > 0, int(Flag.CONT), 0).astype(np.uint8)
    pieces["flags"] |= np.where(nth < parts[owner] - 1, int(Flag.MORE), 0).astype(np.uint8)
    pieces["n_bids"], pieces["n_asks"] = n_levels - n_asks, n_asks
    rows[at] = pieces
    into = rows.view(LEVEL)
    where = 4 * (at[piece] + 1) + place % LEVELS_MAX
    into["tick"][where], into["qty"][where] = levels.tick[order], levels.qty[order]
    return rows, at[first_part]


def _together(parts: Sequence[Levels]) -> Levels:
    return Levels(
        np.concatenate([part.message for part in parts]),
        np.concatenate([part.is_ask for part in parts]),
        np.concatenate([part.tick for part in parts]),
        np.concatenate([part.qty for part in parts]),
    )


def _is_number(text: bytes) -> bool:
    try:
        float(text or b"nan")
    except ValueError:
        return False
    return True


# ---- the shapes ------------------------------------------------------------------------------


def _tardis_trades(reading: Reading) -> Rows:
    return reading.trades(
        reading.receive("local_timestamp"), reading.times("timestamp"), reading.is_buy("side"),
        reading.whole("id"), "price", "amount",
    )  # fmt: skip


def _flat_trades(reading: Reading) -> Rows:
    return reading.trades(
        reading.receive("timestamp"), reading.times("exchange_timestamp"), reading.is_buy("side"),
        reading.whole("trade_id"), "price", "size",
    )  # fmt: skip


def _bybit_trades(reading: Reading) -> Rows:
    stamps = reading.receive("timestamp")
    ids = np.zeros(len(stamps), np.int64)  # the venue's are no numbers
    return reading.trades(stamps, stamps, reading.is_buy("side"), ids, "price", "size")


def _list_trades(reading: Reading) -> Rows:
    return reading.trades(
        reading.receive("ts_ms"), reading.times("exch_ts_ms"), reading.is_buy("side"),
        reading.whole("trade_id"), "price", "qty",
    )  # fmt: skip


def _archived(time: str, ids: str, quantity: str) -> Callable[[Reading], Rows]:
    # Archives hold no receive time: both clocks show the venue's.
    def rows(reading: Reading) -> Rows:
        stamps = reading.receive(time)
        buy = ~reading.is_true("is_buyer_maker")
        return reading.trades(stamps, stamps, buy, reading.whole(ids), "price", quantity)

    return rows


def _flat_quotes(reading: Reading) -> Rows:
    rows = reading.rows(
        Kind.BEST, reading.receive("timestamp"), reading.times("exchange_timestamp")
    )
    rows["side"] = np.where(reading.is_buy("side"), BID, ASK)
    rows["tick"], rows["qty"] = reading.ticks("price"), reading.qtys("size")
    return rows


def _book_ticker(reading: Reading) -> Rows:
    local_ns, venue_ns = reading.receive("event_time"), reading.times("transaction_time")
    rows = np.zeros(2 * len(local_ns), EVENT)
    for start, side, name in ((0, BID, "best_bid"), (1, ASK, "best_ask")):
        one = reading.rows(Kind.BEST, local_ns, venue_ns)
        one["side"], one["seq"] = side, reading.whole("update_id")
        one["tick"], one["qty"] = reading.ticks(f"{name}_price"), reading.qtys(f"{name}_qty")
        rows[start::2] = one
    return rows


def _image_columns(reading: Reading) -> Rows:
    local_ns, venue_ns = reading.receive("timestamp"), reading.times("exchange_timestamp")
    _check_levels(reading)
    parts: list[Levels] = []
    for side, is_ask in (("bid", False), ("ask", True)):
        place = 0
        while f"{side}_price_{place}" in reading.batch.columns:
            parts.append(_column_level(reading, side, place, is_ask=is_ask))
            place += 1
    levels = _together(parts)
    return _images(reading, local_ns, venue_ns, levels, np.zeros(len(local_ns), np.int64))


def _check_levels(reading: Reading) -> None:
    names = {name for name in reading.batch.columns if IMAGE_COLUMN.fullmatch(name)}
    depth = sum(name.startswith("bid_price_") for name in names)
    whole = {
        f"{side}_{what}_{place}"
        for side in ("bid", "ask")
        for what in ("price", "size")
        for place in range(depth)
    }
    if names != whole:
        odd = ", ".join(sorted(names ^ whole)[:4])
        raise DataError(
            f"the columns of the levels are not complete or not in pairs ({odd})",
            **reading.sheet.where(1),
            todo="fetch the file again",
        )


def _column_level(reading: Reading, side: str, place: int, *, is_ask: bool) -> Levels:
    price, size = f"{side}_price_{place}", f"{side}_size_{place}"
    used = np.flatnonzero(reading.floats(price) > 0)  # an empty cell: the side is not that deep
    whole = reading.batch
    columns = {name: whole.columns[name][used] for name in (price, size)}
    reading.batch = Batch(whole.first, len(used), columns)
    try:
        tick, qty = reading.ticks(price), reading.qtys(size)
    finally:
        reading.batch = whole
    return Levels(used, np.full(len(used), is_ask), tick, qty)


def _image_lists(reading: Reading) -> Rows:
    local_ns, venue_ns = reading.receive("ts_ms"), reading.times("exch_ts_ms")
    parts = []
    for side, is_ask in (("bids", False), ("asks", True)):
        (offsets, prices), (_, sizes) = (
            reading.batch.columns[f"{side}_{n}"] for n in ("px", "qty")
        )
        if len(prices) != len(sizes):
            short = np.diff(offsets) != np.diff(reading.batch.columns[f"{side}_qty"][0])
            reading.refuse(short, f"{side}_px", "has another length than the quantities")
        message = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        tick = _list_steps(reading, f"{side}_px", message, prices, "tick")
        qty = _list_steps(reading, f"{side}_qty", message, sizes, "lot")
        parts.append(Levels(message, np.full(len(tick), is_ask), tick, qty))
    levels = _together(parts)
    seq = reading.whole("seq") if "seq" in reading.batch.columns else np.zeros(len(local_ns))
    return _images(reading, local_ns, venue_ns, levels, seq.astype(np.int64))


def _list_steps(
    reading: Reading, column: str, message: Ints, values: Floats, name: str
) -> Ints:  # fmt: skip
    item = reading.item
    near, bad = whole_steps(values, float(item.tick) if name == "tick" else 1.0 / item.qty_per_one)
    bad |= near <= 0
    if bad.any():
        at = int(bad.argmax())
        raise DataError(
            f"column {column}: {values[at]} is no multiple of {item}'s {name}",
            **reading.sheet.where(reading.batch.first + int(message[at])),
            todo=hint(name),
        )
    return near


def _images(
    reading: Reading, local_ns: Ints, venue_ns: Ints, levels: Levels, seq: Ints
) -> Rows:  # fmt: skip
    """Whole books; where the recorder was away for long, the book is stale until the next."""
    filled = np.isin(np.arange(len(local_ns)), levels.message)
    reading.refuse(~filled, reading.sheet.columns[0], "has an image without any level")
    _count_sides(reading, levels)
    heads = reading.rows(Kind.DEPTH, local_ns, venue_ns)
    heads["flags"] |= int(Flag.SNAPSHOT)
    heads["seq"] = seq
    rows, begins = depth_rows(heads, levels)
    before = np.concatenate([[reading.image_ns], local_ns[:-1]])
    reading.image_ns = int(local_ns[-1])
    holes = np.flatnonzero((before > 0) & (local_ns - before > HOLE_NS))
    down = reading.rows(Kind.LINK_DOWN, before[holes] + HOLE_NS, np.zeros(len(holes), np.int64))
    return np.insert(rows, begins[holes], down) if len(holes) else rows


def _count_sides(reading: Reading, levels: Levels) -> None:
    n_asks = int(np.count_nonzero(levels.is_ask))
    reading.n_levels[ASK] += n_asks
    reading.n_levels[BID] += len(levels.is_ask) - n_asks


def _tardis_book(reading: Reading) -> Rows:
    """Rows of one message share its times; the last message of a batch may go on in the next."""
    columns: tuple[Column, ...] = (
        reading.receive("local_timestamp"),
        reading.times("timestamp"),
        reading.is_true("is_snapshot"),
        ~reading.is_buy("side"),
        reading.ticks("price"),
        reading.qtys("amount"),
    )
    if reading.tail is not None:
        columns = tuple(np.concatenate(pair) for pair in zip(reading.tail, columns, strict=True))
    starts = _starts(columns)
    last = int(starts[-1])
    reading.tail = tuple(column[last:] for column in columns)
    return _tardis_messages(reading, tuple(column[:last] for column in columns))


def _starts(columns: Sequence[Column]) -> Ints:
    local_ns, _, whole = columns[:3]
    new = np.ones(len(local_ns), np.bool_)
    new[1:] = (np.diff(local_ns) != 0) | (whole[1:] != whole[:-1])
    return np.flatnonzero(new)


def _tardis_messages(reading: Reading, columns: tuple[Column, ...]) -> Rows:
    if reading.image_ns == 0:  # no whole book was seen yet
        first = int(columns[2].argmax()) if columns[2].any() else len(columns[2])
        reading.n_orphans += first
        columns = tuple(column[first:] for column in columns)
    if not len(columns[0]):
        return np.zeros(0, EVENT)
    local_ns, venue_ns, whole, is_ask, tick, qty = columns
    starts = _starts(columns)
    message = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(local_ns))))
    levels = Levels(message, is_ask, tick, qty)
    _count_sides(reading, levels)
    reading.image_ns = int(local_ns[-1])
    heads = reading.rows(Kind.DEPTH, local_ns[starts], venue_ns[starts])
    heads["flags"] |= np.where(whole[starts], int(Flag.SNAPSHOT), 0).astype(np.uint8)
    return depth_rows(heads, levels)[0]


def _no_book(reading: Reading) -> Rows:
    raise DataError(
        "Binance's bookDepth holds what rests within 1 to 5 per cent of the price, summed, twice a "
        "minute: enough for statistics of liquidity, not for a book or a queue",
        file=reading.sheet.path,
        todo="record the depth with `python -m mmcore record`; see docs/data.md",
    )


DECODERS: dict[str, Callable[[Reading], Rows]] = {
    "tardis book": _tardis_book,
    "tardis trades": _tardis_trades,
    "image columns": _image_columns,
    "image lists": _image_lists,
    "list trades": _list_trades,
    "flat trades": _flat_trades,
    "flat quotes": _flat_quotes,
    "archive trades": _archived("ts", "agg_id", "qty"),
    "bybit trades": _bybit_trades,
    "binance trades": _archived("time", "id", "qty"),
    "binance aggTrades": _archived("transact_time", "agg_trade_id", "quantity"),
    "binance bookTicker": _book_ticker,
    "binance bookDepth": _no_book,
}
BOOKS = ("tardis book", "image columns", "image lists")


class SheetStream:
    """Event rows of one sheet and of those that continue it, a batch in memory at a time."""

    def __init__(
        self, sheets: Sequence[Sheet], item: Instrument, number: int, faults: Faults
    ) -> None:
        self._sheets = list(sheets)
        self._reading = Reading(sheets[0], item, number, faults)
        self._sizes = [sheet.path.stat().st_size for sheet in sheets]
        self._place, self._within = 0, 0
        self._blocks = self._read()
        self._rows = np.zeros(0, EVENT)

    def done(self) -> tuple[int, int]:
        """Bytes read and bytes in all."""
        return sum(self._sizes[: self._place]) + self._within, sum(self._sizes)

    def next_block(self) -> Rows | None:
        """The next rows, whole messages; DataError, with its place, where one cannot be true."""
        while not len(self._rows):
            rows = next(self._blocks, None)
            if rows is None:
                return None
            self._rows = rows
        # Whole, and at least one message however long it is.
        n = whole_rows(self._rows.view(np.uint8), BLOCK_ROWS)
        block, self._rows = self._rows[:n], self._rows[n:]
        return block

    def close(self) -> None:
        """Let go of the file that is open."""
        self._blocks.close()

    def _read(self) -> Generator[Rows, None, None]:
        reading = self._reading
        decode = DECODERS[self._sheets[0].shape]
        for sheet in self._sheets:
            reading.sheet, self._within = sheet, 0
            for batch in self._batches(sheet):
                if batch.count:
                    reading.batch = batch
                    reading.check_symbol()
                    yield decode(reading)
            self._place += 1
        self._within = 0
        if reading.tail is not None:
            yield _tardis_messages(reading, reading.tail)
        self._finish()

    def _batches(self, sheet: Sheet) -> Iterator[Batch]:
        if sheet.parquet:
            total = parquet_rows(sheet)
            for batch in parquet_batches(sheet):
                yield batch
                self._within = self._sizes[self._place] * (batch.first + batch.count - 1) // total
            return
        with closing(Text(sheet.path)) as text:
            yield from csv_batches(sheet, self._chunks(text))

    def _chunks(self, text: Text) -> Iterator[bytes]:
        while chunk := text.next_chunk():
            self._within = text.read_bytes
            yield chunk
        if text.fault:  # before the torn line is taken for a row
            batch = self._reading.batch
            raise DataError(
                text.fault, file=text.path, line=batch.first + batch.count,
                done="everything before was used", todo="fetch the file again",
            )  # fmt: skip

    def _finish(self) -> None:
        reading, path = self._reading, self._sheets[0].path
        if self._sheets[0].shape in BOOKS:
            for side, word in ((BID, "bid"), (ASK, "ask")):
                if not reading.n_levels[side] and (reading.image_ns or not reading.n_orphans):
                    raise DataError(
                        f"not one {word} from the first row to the last", file=path,
                        todo="fetch the file again, or name one that holds both sides",
                    )  # fmt: skip
        if reading.n_repeated:
            what = f"{reading.n_repeated} trades whose id was there before left out"
            reading.faults.add(path, 0, what)
        if reading.n_orphans:
            what = "levels before the first snapshot left out"
            reading.faults.add(path, 0, f"{reading.n_orphans} {what}: no book until then")


__all__ = ["Levels", "Reading", "SheetStream", "depth_rows"]
