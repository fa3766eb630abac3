"""Market data as tables: hftbacktest's event array (.npz) and Binance CSV files.

The array is a two-clock tape: each row says by its bits whether the venue's side, ours or both
process it, and both orders are kept.  A CSV file has one row a level or a trade; every damaged row
is named with its line and with what is wrong in it, all the rest is used.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ._intake import whole_rows
from .errors import DataError, NoDataError
from .events import ASK, BID, EVENT, LEVEL, LEVELS_MAX, Flag, Kind, rows_of
from .instrument import Instrument, whole_steps
from .streams import Faults
from .venue import Rows

BLOCK_ROWS = 32_768
EXCH_BIT, LOCAL_BIT, BUY_BIT, SELL_BIT = 1 << 31, 1 << 30, 1 << 29, 1 << 28
KINDS = {1: Kind.DEPTH, 2: Kind.TRADE, 3: Kind.CLEAR, 4: Kind.DEPTH}
CHAINED = Flag.SNAPSHOT | Flag.MORE | Flag.CONT
FIELDS = {"ev": "ui", "exch_ts": "i", "local_ts": "i", "px": "f", "qty": "f"}
EXPECTED = {"ui": "whole numbers", "i": "whole numbers of ns", "f": "doubles"}
DAY_NS = 86_400 * 10**9
ORIGIN, MARKET = "XUnknownParameter", "MARKET"
FIRST_ID, LAST_ID, PREVIOUS_ID = "FirstUpdateId", "FinalUpdateId", "FinalUpdateIdInLastStream"


# ---- hftbacktest ----------------------------------------------------------------------------


def read_npz(path: Path, item: Instrument, number: int = 0) -> Rows:
    """EVENT rows of an hftbacktest event array, in its own order, one row each.

    A depth row is one inline level without update id (a snapshot row sets its price like any
    other), a trade's side is the aggressor's, a clear without side empties both.  Raises DataError
    naming the row for a kind that is not market data, a price off the grid or a time out of order.
    """
    data = _array(path)
    rows = np.zeros(len(data), EVENT)
    event = data["ev"].astype(np.uint64)
    low = (event & np.uint64(0xFF)).astype(np.uint8)
    known = np.isin(low, list(KINDS))
    _refuse(path, ~known, "column ev: a kind of event that is not market data", data["ev"])
    for code, kind in KINDS.items():
        rows["kind"][low == code] = kind
    rows["flags"] |= np.where(event & np.uint64(EXCH_BIT), int(Flag.EXCH), 0).astype(np.uint8)
    rows["flags"] |= np.where(event & np.uint64(LOCAL_BIT), int(Flag.LOCAL), 0).astype(np.uint8)
    rows["side"] += np.where(event & np.uint64(BUY_BIT), BID, 0).astype(np.int8)
    rows["side"] += np.where(event & np.uint64(SELL_BIT), ASK, 0).astype(np.int8)
    _refuse(path, rows["flags"] == 0, "column ev: a row for neither side", data["ev"])
    sideless = (rows["side"] == 0) & (rows["kind"] != Kind.CLEAR)
    _refuse(path, sideless, "column ev: a level or trade without a side", data["ev"])
    rows["instrument"] = number
    rows["ts_venue_ns"], rows["ts_local_ns"] = data["exch_ts"], data["local_ts"]
    priced = (rows["kind"] != Kind.CLEAR) | (rows["side"] != 0)
    rows["tick"] = _whole(path, data["px"], priced, float(item.tick), "px", "price")
    sized = rows["kind"] != Kind.CLEAR
    rows["qty"] = _whole(path, data["qty"], sized, 1.0 / item.qty_per_one, "qty", "quantity")
    _in_order(path, rows)
    return rows


def _array(path: Path) -> npt.NDArray[np.void]:
    try:
        # opened here, because np.load leaves it open where it is no archive
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = archive.files
            data: npt.NDArray[np.void] | bytes = archive["data" if "data" in names else names[0]]
    except (OSError, ValueError, TypeError, zipfile.BadZipFile, KeyError, IndexError) as error:
        raise DataError(f"not a readable .npz archive ({error})", file=path) from None
    if isinstance(data, bytes):
        raise DataError(
            f"an archive of {names[0]}, not of an array", file=path, todo="unpack it and name that"
        )
    _check_fields(path, data.dtype)
    if not len(data):
        raise NoDataError("the array is empty", file=path)
    return data


def _check_fields(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype.names is None:
        raise DataError(
            f"the array lacks the columns {', '.join(FIELDS)}: it is of plain {dtype}",
            file=path,
            todo="an array of hftbacktest 1 is converted by hftbacktest 2's own migration",
        )
    lacks = [name for name in FIELDS if name not in dtype.names]
    if lacks:
        raise DataError(
            f"the array lacks the columns {', '.join(lacks)}; it has {', '.join(dtype.names)}",
            file=path,
            todo="make it with hftbacktest 2, or with `python -m mmcore tape convert`",
        )
    for name, kinds in FIELDS.items():
        if dtype[name].kind not in kinds:
            raise DataError(
                f"column {name} is of {dtype[name]}, expected {EXPECTED[kinds]}",
                file=path,
                todo="make it with hftbacktest 2, or with `python -m mmcore tape convert`",
            )


def _refuse(
    path: Path, bad: npt.NDArray[np.bool_], what: str, values: npt.NDArray[np.generic]
) -> None:
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"{what} ({values[row]})", file=path, record=row + 1)


def _whole(
    path: Path,
    values: npt.NDArray[np.float64],
    used: npt.NDArray[np.bool_],
    step: float,
    name: str,
    what: str,
) -> npt.NDArray[np.int64]:
    taken = np.where(used, values, 0.0)
    _refuse(path, ~(taken >= 0) | (taken > 2**60), f"column {name}: {what} is no number", values)
    near, bad = whole_steps(taken, step)
    _refuse(path, bad, f"column {name}: {what} is off the grid of {step:g}", values)
    return near


def _in_order(path: Path, rows: Rows) -> None:
    for flag, clock, column in (
        (Flag.EXCH, "ts_venue_ns", "exch_ts"),
        (Flag.LOCAL, "ts_local_ns", "local_ts"),
    ):
        at = np.flatnonzero(rows["flags"] & int(flag))
        back = np.flatnonzero(np.diff(rows[clock][at]) < 0)
        if len(back):
            row = int(at[back[0] + 1])
            raise DataError(f"column {column}: {clock} runs backwards", file=path, record=row + 1)


def grouped(rows: Rows) -> Rows:
    """The levels of one instant as one message: a quarter of the memory, and one step for the book.

    rows: as :func:`read_npz` gives them, one level each.  Depth rows that follow each other with
    both times, instrument and flags alike become one message, bids first, each side in its order.
    A research replay gives the same fills; it counts fewer messages.
    """
    plain = (rows["kind"] == Kind.DEPTH) & (rows["flags"] & int(CHAINED) == 0)
    plain &= (rows["n_bids"] == 0) & (rows["n_asks"] == 0) & (rows["seq"] == 0)
    starts = np.ones(len(rows), np.bool_)
    starts[1:] = ~(plain[1:] & plain[:-1])
    for name in ("ts_venue_ns", "ts_local_ns", "instrument", "flags"):
        starts[1:] |= rows[name][1:] != rows[name][:-1]
    first = np.flatnonzero(starts)
    count = np.diff(np.append(first, len(rows)))
    first, count = _capped(first, count)
    several = count > 1
    sizes = np.where(several, 1 + (count + 3) // 4, 1)
    place = np.cumsum(sizes) - sizes
    out = np.zeros(int(sizes.sum()), EVENT)
    out[place] = rows[first]
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


# ---- Binance CSV ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    good: bool
    receive_ns: int
    event_ns: int
    venue_ns: int
    tick: int
    qty: int
    fields: Mapping[str, str]

    def whole(self, name: str) -> int:
        return int(self.fields[name])


class _Csv:
    """One CSV file's rows, checked one by one."""

    def __init__(self, path: Path, item: Instrument, number: int, faults: Faults) -> None:
        self.path, self.item, self.number, self.faults = path, item, number, faults
        self.columns: list[str] = []
        self.stamp_ns = 0  # receive time of the last row that could be read
        self.day = 0

    def lines(self) -> Iterator[_Line]:
        """Every row; one that is not ``good`` is in the faults."""
        with self.path.open(encoding="utf-8", errors="replace") as file:
            self.columns = file.readline().strip().split(",")
            for number, text in enumerate(file, 2):
                if not text.strip():
                    continue
                faults: list[str] = []
                line = self._line(number, text.rstrip("\r\n").split(","), faults)
                if faults:
                    self.refuse(number, "; ".join(faults))
                yield line

    def refuse(self, number: int, what: str) -> None:
        """Note what is wrong with a row."""
        self.faults.add(self.path, number, what)

    def _line(self, number: int, values: list[str], faults: list[str]) -> _Line:
        fields = dict(zip(self.columns, values, strict=False))
        if len(values) != len(self.columns):
            faults.append(f"{len(values)} fields, the header has {len(self.columns)}")
            return _Line(number, False, 0, 0, 0, 0, 0, fields)
        receive_ns = self._time(fields, "TimestampOfReceive", faults)
        event_ns = venue_ns = self._time(fields, "EventTime", faults)
        if "TransactionTime" in fields:
            venue_ns = self._time(fields, "TransactionTime", faults)
        if fields.get("Symbol") != self.item.symbol:
            faults.append(f"symbol {fields.get('Symbol')!r} is not {self.item.symbol}")
        tick = self._decimal(fields, "Price", self.item.to_tick, faults)
        qty = self._decimal(fields, "Quantity", self.item.to_qty, faults)
        if tick == 0 and fields.get(ORIGIN, MARKET) == MARKET:
            faults.append("price 0")
        if receive_ns:
            self._clock(receive_ns, faults)
        return _Line(number, not faults, receive_ns, event_ns, venue_ns, tick, qty, fields)

    def _clock(self, receive_ns: int, faults: list[str]) -> None:
        day = receive_ns // DAY_NS
        self.day = self.day or day
        if day != self.day:
            faults.append("receive time lies on another day than the file's first row")
        elif receive_ns < self.stamp_ns:
            faults.append("receive time runs backwards")
        else:
            self.stamp_ns = receive_ns

    @staticmethod
    def _time(fields: Mapping[str, str], name: str, faults: list[str]) -> int:
        text = fields.get(name, "")
        if not (text.isascii() and text.isdecimal() and len(text) in {13, 16}):
            faults.append(f"{name} {text} is neither milliseconds nor microseconds")
            return 0
        return int(text.ljust(19, "0"))

    @staticmethod
    def _decimal(
        fields: Mapping[str, str], name: str, convert: Callable[[str], int], faults: list[str]
    ) -> int:
        text = fields.get(name, "")
        try:
            value = convert(text)
        except ValueError:
            faults.append(f"{name} {text!r} is off the grid or no number")
            return -1
        if value < 0:
            faults.append(f"{name} {text} is negative")
        return value

    def row(self, kind: Kind, line: _Line, **fields: int) -> Rows:
        row = np.zeros(1, EVENT)
        row["kind"], row["flags"], row["instrument"] = kind, Flag.EXCH | Flag.LOCAL, self.number
        row["ts_venue_ns"], row["ts_local_ns"] = line.venue_ns, line.receive_ns
        for name, value in fields.items():
            row[name] = value
        return row


def read_binance_csv(path: Path, item: Instrument, faults: Faults, number: int = 0) -> Rows:
    """EVENT rows of a Binance CSV file of depth updates or trades.

    Damaged rows go to ``faults``, each with its line and everything that is wrong in it.  A depth
    update with a damaged row is left out whole and a LINK_DOWN row stands for it; a damaged trade
    is left out.  Raises DataError where the header names neither kind.
    """
    csv = _Csv(path, item, number, faults)
    with path.open(encoding="utf-8", errors="replace") as file:
        columns = file.readline().strip().split(",")
    if "TradeId" in columns:
        parts = list(_trades(csv))
    elif LAST_ID in columns:
        parts = list(_updates(csv))
    else:
        raise DataError("the header names neither trades nor depth", file=path, line=1)
    if not parts:
        raise NoDataError("no row that can be used", file=path)
    return np.concatenate(parts)


def _trades(csv: _Csv) -> Iterator[Rows]:
    last = 0
    for line in csv.lines():
        if not line.good or line.fields.get(ORIGIN, MARKET) != MARKET:
            continue  # other origins (insurance fund) are no prints of the book
        trade_id, maker = line.fields["TradeId"], line.fields["IsBuyerMarketMaker"]
        if not trade_id.isdecimal() or maker not in {"0", "1"}:
            csv.refuse(line.number, f"trade id {trade_id!r} or maker flag {maker!r} is no number")
        elif int(trade_id) <= last:
            csv.refuse(line.number, f"trade id {trade_id} does not rise above {last}")
        else:
            last = int(trade_id)
            side = ASK if maker == "1" else BID
            yield csv.row(Kind.TRADE, line, side=side, tick=line.tick, qty=line.qty, seq=last)


def _updates(csv: _Csv) -> Iterator[Rows]:
    """One message per run of rows with the same last update id."""
    group: list[_Line] = []
    before = 0
    for line in csv.lines():
        key = line.fields.get(LAST_ID, "")
        if group and key and key != group[0].fields.get(LAST_ID):
            yield from _update(csv, group, before)
            before = _id(group[0], LAST_ID) or before
            group = []
        group.append(line)
    if group:
        yield from _update(csv, group, before)


def _id(line: _Line, name: str) -> int:
    text = line.fields.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else 0


def _update(csv: _Csv, group: list[_Line], before: int) -> Iterator[Rows]:
    name, back = (PREVIOUS_ID, 0) if PREVIOUS_ID in csv.columns else (FIRST_ID, 1)
    end, spoilt = group[-1], False
    for line in group:
        faults = [] if line.good else [""]
        if (line.event_ns, _id(line, FIRST_ID)) != (end.event_ns, _id(end, FIRST_ID)):
            faults.append("event time or first update id differs within one update")
        if not (_id(line, FIRST_ID) and _id(line, LAST_ID) and _id(line, name)):
            faults.append("an update id is no number")
        elif before and _id(line, name) - back != before:
            # Told, but no damage of the row: the book judges a gap.
            csv.refuse(line.number, f"follows update {_id(line, name) - back}, not {before}")
        if line.good and faults:
            csv.refuse(line.number, "; ".join(faults))
        spoilt |= bool(faults)
    if spoilt:
        row = np.zeros(1, EVENT)
        row["kind"], row["flags"] = Kind.LINK_DOWN, Flag.EXCH | Flag.LOCAL
        row["instrument"], row["ts_local_ns"] = csv.number, csv.stamp_ns
        yield row
        return
    asks = [line for line in group if line.fields["IsAsk"] == "1"]
    bids = [line for line in group if line.fields["IsAsk"] != "1"]
    body = np.zeros(rows_of(len(group)), EVENT)
    body.view(LEVEL)[: len(group)] = [(line.tick, line.qty) for line in bids + asks]
    seq, aux = _id(end, LAST_ID), _id(end, name) - back
    head = csv.row(
        Kind.DEPTH, group[0], seq=seq, aux=aux, n_bids=len(bids), n_asks=len(asks)
    )  # fmt: skip
    yield np.concatenate([head, body])


class ArrayStream:
    """Rows of an array or of a mapped file, in blocks; nothing but a block is copied.

    change: what is made of each block, such as its instruments' other numbers; none by default.
    """

    def __init__(self, rows: Rows, size: int, change: Callable[[Rows], Rows] | None = None) -> None:
        self._rows = rows
        self._size = size
        self._change = change
        self._next = 0

    def done(self) -> tuple[int, int]:
        """Bytes read and bytes in all, in proportion to the rows."""
        return self._size * self._next // max(len(self._rows), 1), self._size

    def next_block(self) -> Rows | None:
        """The next rows, whole messages."""
        while self._next < len(self._rows):
            rest = self._rows[self._next :]
            n = whole_rows(rest.view(np.uint8), BLOCK_ROWS)
            self._next += n
            block = rest[:n] if self._change is None else self._change(rest[:n])
            if len(block):
                return block
        return None

    def close(self) -> None:
        """Nothing is open."""
