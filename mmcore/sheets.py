"""Sheets: recordings of one row a level, a trade or a book image, as columns, a batch at a time.

A sheet is a CSV file (plain, gzip, zstandard, or alone in a zip) or a Parquet file.  What it is
shows in the names of its columns; which instrument it is of, in its columns, its name or folders.
Nothing here knows ticks: :mod:`mmcore.shapes` turns batches into event rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DataError, NoDataError
from .instrument import known_instruments

Column = npt.NDArray[Any]
PARQUET_MAGIC = b"PAR1"
INSTALL = "install it with `python -m pip install 'mmcore-maker[parquet]'`"
ROWS_AT_ONCE, IMAGES_AT_ONCE = 8_192, 128
IMAGE_COLUMN = re.compile(r"(bid|ask)_(price|size)_(\d+)")

# Shape -> the columns that it must have.  The first that fits is it.
SHAPES: dict[str, tuple[str, ...]] = {
    "tardis book": (
        "exchange", "symbol", "timestamp", "local_timestamp", "is_snapshot", "side", "price",
        "amount",
    ),
    "tardis trades": (
        "exchange", "symbol", "timestamp", "local_timestamp", "id", "side", "price", "amount",
    ),
    "image columns": (
        "timestamp", "exchange_timestamp", "bid_price_0", "bid_size_0", "ask_price_0",
        "ask_size_0",
    ),
    "image lists": (
        "ts_ms", "exch_ts_ms", "venue", "market_type", "symbol", "bids_px", "bids_qty",
        "asks_px", "asks_qty",
    ),
    "list trades": (
        "ts_ms", "exch_ts_ms", "venue", "market_type", "symbol", "trade_id", "price", "qty", "side",
    ),
    "flat trades": ("timestamp", "price", "size", "side", "trade_id", "exchange_timestamp"),
    "flat quotes": ("timestamp", "price", "size", "side", "exchange_timestamp"),
    "archive trades": ("agg_id", "ts", "price", "qty", "is_buyer_maker", "symbol"),
    "bybit trades": (
        "timestamp", "symbol", "side", "size", "price", "tickDirection", "trdMatchID",
    ),
    "binance trades": ("id", "price", "qty", "time", "is_buyer_maker"),
    "binance aggTrades": ("agg_trade_id", "price", "quantity", "transact_time", "is_buyer_maker"),
    "binance bookTicker": (
        "update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty",
        "transaction_time", "event_time",
    ),
    "binance bookDepth": ("timestamp", "percentage", "depth", "notional"),
}  # fmt: skip

# Archives of Binance without a line of names: (fields, place of the time) -> their names.
_SPOT = ("is_best_match",)
_TRADE = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker")
_AGGREGATE = (
    "agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time",
    "is_buyer_maker",
)  # fmt: skip
NAMELESS = {
    (6, 4): _TRADE,
    (7, 4): _TRADE + _SPOT,
    (7, 5): _AGGREGATE,
    (8, 5): _AGGREGATE + _SPOT,
}
TARDIS_VENUES = {
    "binance": "binance-spot",
    "binance-futures": "binance-usdm",
    "binance-delivery": "binance-coinm",
    "bybit": "bybit-linear",
    "bybit-spot": "bybit-spot",
    "hyperliquid": "hyperliquid",
}
MARKETS = {
    ("binance", "fut"): "binance-usdm",
    ("binance", "spot"): "binance-spot",
    ("bybit", "fut"): "bybit-linear",
    ("bybit", "spot"): "bybit-spot",
}


@dataclass(slots=True)
class Batch:
    """Some rows of a sheet.  first: number of the first row, the line in a CSV file, else the
    record.  columns: name -> texts (CSV) or values; a list column is a pair (offsets, values).
    """

    first: int
    count: int
    columns: dict[str, Any]


@dataclass(slots=True)
class Sheet:
    """A file of columns.  shape: a key of :data:`SHAPES`.  nameless: has no line of names.

    venue, symbol: of its instrument, "" where the file does not say.  first: its first row.
    """

    path: Path
    parquet: bool
    columns: tuple[str, ...]
    shape: str
    nameless: bool = False
    venue: str = ""
    symbol: str = ""
    first: dict[str, Any] = field(default_factory=dict)

    def where(self, row: int) -> dict[str, Any]:
        """The place of a row, as DataError takes it."""
        return {"file": self.path, "record" if self.parquet else "line": row}

    @property
    def ts_first_ns(self) -> int:
        """Time of the first row, to put files in order; 0 where it is no number."""
        names = ("local_timestamp", "timestamp", "ts_ms", "ts", "time", "transact_time")
        text = next((str(self.first[name]) for name in names if name in self.first), "")
        try:
            value = float(text)
        except ValueError:
            return 0
        return int(value * 10 ** (18 - int(math.log10(value)))) if value >= 1 else 0


# ---- what is it ------------------------------------------------------------------------------


def csv_sheet(path: Path, chunk: bytes) -> Sheet | None:
    """The sheet that a CSV file's first text shows; None where it is no table at all.

    Raises DataError, naming what is missing, for a table of columns that mmcore does not know.
    """
    lines = chunk[:65_536].decode("utf-8", "replace").split("\n", 2)
    names = tuple(name.strip() for name in lines[0].split(","))
    nameless = _nameless(names)
    shape = shape_of(nameless or names)
    if not shape:
        if len(names) < 3 or chunk[:1] in b'{["' or not names[0].replace("_", "").isalpha():
            return None
        raise unknown_columns(path, names, line=1)
    body = lines[0 if nameless else 1 :]
    first = body[0].strip().split(",") if body else []
    if not first or first == [""]:
        raise NoDataError(
            "a line of names and no row under it", file=path, line=1, todo="fetch the file again"
        )
    columns = nameless or names
    sheet = Sheet(path, False, columns, shape, nameless=bool(nameless))
    sheet.first = dict(zip(columns, first, strict=False))
    _whose(sheet)
    return sheet


def parquet_sheet(path: Path) -> Sheet:
    """The sheet that a Parquet file is.

    Raises DataError for one that is damaged or of other columns, and where pyarrow is missing.
    """
    file = _parquet(path)
    columns = tuple(file.schema_arrow.names)
    shape = shape_of(columns)
    if not shape:
        raise unknown_columns(path, columns, line=0)
    if not file.metadata.num_rows:
        raise NoDataError("the file holds no row", file=path, todo="record or fetch it again")
    sheet = Sheet(path, True, columns, shape)
    import pyarrow as pa

    try:
        head = next(file.iter_batches(batch_size=1))
        sheet.first = {name: head.column(name)[0].as_py() for name in columns}
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error, 1) from None
    _whose(sheet)
    return sheet


def shape_of(columns: Sequence[str]) -> str:
    """The shape whose columns are all there, "" for none."""
    have = set(columns)
    return next((shape for shape, needed in SHAPES.items() if have.issuperset(needed)), "")


def unknown_columns(path: Path, names: Sequence[str], *, line: int) -> DataError:
    """What to say about a table of no known shape: the nearest one, and what it lacks of that."""
    have = set(names)
    shape, needed = max(SHAPES.items(), key=lambda item: len(have & set(item[1])) / len(item[1]))
    lacks = [name for name in needed if name not in have]
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return DataError(
        f"a table of other columns ({shown}); nearest is {shape!r}, which also has "
        f"{', '.join(lacks)}",
        file=path,
        line=line,
        todo="docs/data.md lists the tables that mmcore reads",
    )


def _nameless(fields: Sequence[str]) -> tuple[str, ...]:
    if not fields[0].isdecimal():
        return ()
    for (count, place), names in NAMELESS.items():
        if len(fields) == count and fields[place].isdecimal() and len(fields[place]) >= 13:
            return names
    return ()


def _whose(sheet: Sheet) -> None:
    first = {name: str(value) for name, value in sheet.first.items() if isinstance(value, str)}
    sheet.symbol = first.get("symbol", "")
    if sheet.shape.startswith("tardis"):
        sheet.venue = TARDIS_VENUES.get(first["exchange"], "")
    elif sheet.shape == "bybit trades":
        sheet.venue = "bybit-linear"
    elif "market_type" in first:
        sheet.venue = MARKETS.get((first["venue"].lower(), first["market_type"]), "")
    elif sheet.shape.startswith("binance"):
        sheet.symbol = re.split(r"-(?:agg)?[tT]rades|-book", sheet.path.name)[0].upper()
        sheet.venue = _binance_product(sheet)
        if sheet.symbol == sheet.path.name.upper():
            sheet.symbol = ""
    else:
        sheet.venue = _venue_of(sheet)
        if not sheet.symbol and sheet.venue:
            names = known_instruments(sheet.venue)
            words = [re.split(r"[_.\-]", part) for part in reversed(sheet.path.parts)]
            found = [word for part in words for word in part if word in names]
            sheet.symbol = found[0] if found else ""


def _binance_product(sheet: Sheet) -> str:
    if "is_best_match" in sheet.columns:
        return "binance-spot"
    coin = "base_qty" in sheet.columns or "_" in sheet.symbol
    return "binance-coinm" if coin else "binance-usdm"


def _venue_of(sheet: Sheet) -> str:
    """By the folders: "bybit/linear/..."; the flat tables come from Hyperliquid's recorders."""
    words = {word for part in sheet.path.parts for word in re.split(r"[_.=\-]", part.lower())}
    if "bybit" in words:
        return "bybit-spot" if "spot" in words else "bybit-linear"
    if "binance" in words and words & {"usdm", "um", "futures"}:
        return "binance-usdm"
    if "binance" in words and "spot" in words:
        return "binance-spot"
    return "hyperliquid" if sheet.shape != "archive trades" else ""


# ---- its rows --------------------------------------------------------------------------------


def csv_batches(sheet: Sheet, chunks: Iterable[bytes]) -> Iterator[Batch]:
    """The rows of a CSV file, from its text in pieces.

    Raises DataError, naming the line, where a row has another number of fields than the header.
    """
    rest, row = b"", 1
    skip = not sheet.nameless
    for chunk in chunks:
        whole, end, tail = (rest + chunk).rpartition(b"\n")
        rest = tail
        if not end:
            continue
        lines = whole.split(b"\n")
        if skip:
            del lines[0]
            row, skip = row + 1, False
        if lines:
            yield _csv_batch(sheet, lines, row)
        row += len(lines)
    if rest.strip() and not skip:
        yield _csv_batch(sheet, [rest], row, cut=True)


def _csv_batch(sheet: Sheet, lines: list[bytes], first: int, *, cut: bool = False) -> Batch:
    while lines and not lines[-1].strip():
        lines.pop()
    lines = [line.rstrip(b"\r") for line in lines]
    n = len(sheet.columns)
    for number, line in enumerate(lines, first):
        if line.count(b",") != n - 1:
            what = f"{line.count(b',') + 1} fields, the table has {n} columns"
            raise DataError(
                f"the file ends inside this row: {what}" if cut else what,
                file=sheet.path,
                line=number,
                done="everything before was used" if cut else "",
                todo="fetch the file again",
            )
    fields = b",".join(lines).split(b",") if lines else []
    columns = {
        name: np.array(fields[place::n], dtype=np.bytes_)
        for place, name in enumerate(sheet.columns)
        if name != "exchange" and (name in SHAPES[sheet.shape] or _also(sheet.shape, name))
    }
    return Batch(first, len(lines), columns)


def parquet_batches(sheet: Sheet) -> Iterator[Batch]:
    """The rows of a Parquet file; DataError, with the row, where it is damaged."""
    import pyarrow as pa

    file = _parquet(sheet.path)
    wanted = [
        name for name in sheet.columns if name in SHAPES[sheet.shape] or _also(sheet.shape, name)
    ]
    size = IMAGES_AT_ONCE if sheet.shape == "image lists" else ROWS_AT_ONCE
    row = 1
    try:
        for group in file.iter_batches(batch_size=size, columns=wanted):
            columns = {name: _values(group.column(name)) for name in wanted}
            yield Batch(row, group.num_rows, columns)
            row += group.num_rows
    except (OSError, pa.ArrowException) as error:
        raise _damaged(sheet.path, error, row) from None


def _damaged(path: Path, error: Exception, row: int) -> DataError:
    return DataError(
        f"the file is damaged ({str(error).splitlines()[0]})",
        file=path,
        record=row,
        done="nothing from that row on was used",
        todo="fetch the file again",
    )


def _also(shape: str, name: str) -> bool:
    return (shape == "image columns" and IMAGE_COLUMN.fullmatch(name) is not None) or name == "seq"


def _values(column: Any) -> Any:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        offsets = np.asarray(column.offsets, np.int64)
        return offsets - offsets[0], column.flatten().to_numpy(zero_copy_only=False).astype(float)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array([text or "" for text in column.to_pylist()]).astype(np.bytes_)
    return column.to_numpy(zero_copy_only=False)


def parquet_rows(sheet: Sheet) -> int:
    """How many rows a Parquet file has."""
    return int(_parquet(sheet.path).metadata.num_rows)


def _parquet(path: Path) -> Any:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise DataError(
            "a Parquet file, and pyarrow, which reads them, is not installed", file=path,
            todo=INSTALL,
        ) from None  # fmt: skip
    try:
        return parquet.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"not a whole Parquet file ({first})", file=path, todo="fetch the file again"
        ) from None


__all__ = [
    "PARQUET_MAGIC",
    "Batch",
    "Sheet",
    "csv_batches",
    "csv_sheet",
    "parquet_batches",
    "parquet_rows",
    "parquet_sheet",
]
