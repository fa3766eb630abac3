"""Binance's depth and trades with their update ids as CSV, one row a level or a trade.

Every damaged row is named with its line and with what is wrong in it, all the rest is used.  The
file is read as a stream: what is in memory is a piece of text and the rows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np

from .errors import DataError, NoDataError
from .events import ASK, BID, EVENT, LEVEL, Flag, Kind, rows_of
from .instrument import Instrument
from .streams import Faults, Text
from .venue import Rows

BLOCK_ROWS = 4_096
DECIMALS_KEPT = 16_384
DAY_NS = 86_400 * 10**9
ORIGIN, MARKET = "XUnknownParameter", "MARKET"
FIRST_ID, LAST_ID, PREVIOUS_ID = "FirstUpdateId", "FinalUpdateId", "FinalUpdateIdInLastStream"


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
        self.n_lines = 1
        # The same prices and sizes come again and again.
        self._to_tick = lru_cache(DECIMALS_KEPT)(item.to_tick)
        self._to_qty = lru_cache(DECIMALS_KEPT)(item.to_qty)

    def lines(self, text: Text) -> Generator[_Line, None, None]:
        """Every row; one that is not ``good`` is in the faults."""
        for number, raw in enumerate(_lines(text), 1):
            values = raw.rstrip(b"\r").decode("utf-8", "replace").split(",")
            if number == 1:
                self.columns = [name.strip() for name in values]
                continue
            if values == [""]:
                continue
            faults: list[str] = []
            line = self._line(number, values, faults)
            if faults:
                self.refuse(number, "; ".join(faults))
            self.n_lines = number
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
        tick = self._decimal(fields, "Price", self._to_tick, faults)
        qty = self._decimal(fields, "Quantity", self._to_qty, faults)
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

    def rows(
        self, kind: Kind, line: _Line, *, n_bids: int = 0, n_asks: int = 0, **fields: int
    ) -> Rows:
        """A message at the times of a line, with room for its levels behind the header."""
        rows = np.zeros(1 + rows_of(n_bids + n_asks), EVENT)
        head = rows[0]
        head["kind"], head["flags"], head["instrument"] = kind, Flag.EXCH | Flag.LOCAL, self.number
        head["ts_venue_ns"], head["ts_local_ns"] = line.venue_ns, line.receive_ns
        head["n_bids"], head["n_asks"] = n_bids, n_asks
        for name, value in fields.items():
            head[name] = value
        return rows


def _lines(text: Text) -> Iterator[bytes]:
    rest = b""
    while chunk := text.next_chunk():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest and not text.fault:  # what stands before a cut is no row
        yield rest


class UpdateStream:
    """Event rows of one file of depth updates or trades.

    Damaged rows go to ``faults``, each with its line and everything that is wrong in it.  A depth
    update with a damaged row is left out whole and a LINK_DOWN row stands for it; a damaged trade
    is left out.
    """

    def __init__(self, path: Path, item: Instrument, faults: Faults, number: int = 0) -> None:
        self._csv = _Csv(path, item, number, faults)
        self._size, self._within = path.stat().st_size, 0
        self._blocks = self._read()

    def done(self) -> tuple[int, int]:
        """Bytes read and bytes in all."""
        return self._within, self._size

    def next_block(self) -> Rows | None:
        """The next rows; DataError where the file cannot be read on, or holds none to use."""
        return next(self._blocks, None)

    def close(self) -> None:
        """Let go of the file, if it is open."""
        self._blocks.close()

    def _read(self) -> Generator[Rows, None, None]:
        n_blocks = 0
        with closing(Text(self._csv.path)) as text:
            with closing(self._blocks_of(text)) as blocks:
                for block in blocks:
                    n_blocks, self._within = n_blocks + 1, text.read_bytes
                    yield block
            if text.fault:
                raise DataError(
                    text.fault, file=self._csv.path, line=self._csv.n_lines,
                    done="everything before was used", todo="fetch the file again",
                )  # fmt: skip
        if not n_blocks:
            raise NoDataError("no row that can be used", file=self._csv.path)
        self._within = self._size

    def _blocks_of(self, text: Text) -> Generator[Rows, None, None]:
        waiting = bytearray()  # joining arrays of records one by one takes longer than their lines
        for rows in self._messages(text):
            waiting += rows.tobytes()
            if len(waiting) >= BLOCK_ROWS * EVENT.itemsize:
                yield np.frombuffer(waiting, EVENT)
                waiting = bytearray()
        if waiting:
            yield np.frombuffer(waiting, EVENT)

    def _messages(self, text: Text) -> Iterator[Rows]:
        csv = self._csv
        with closing(csv.lines(text)) as lines:
            first = next(lines, None)
            if first is None:
                return
            make = _trades if "TradeId" in csv.columns else _updates
            yield from make(csv, chain([first], lines))


def _trades(csv: _Csv, lines: Iterable[_Line]) -> Iterator[Rows]:
    last = 0
    for line in lines:
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
            yield csv.rows(Kind.TRADE, line, side=side, tick=line.tick, qty=line.qty, seq=last)


def _updates(csv: _Csv, lines: Iterable[_Line]) -> Iterator[Rows]:
    """One message per run of rows with the same last update id."""
    group: list[_Line] = []
    before = 0
    for line in lines:
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
        side = line.fields.get("IsAsk", "")  # a torn row may end before it
        if (line.event_ns, _id(line, FIRST_ID)) != (end.event_ns, _id(end, FIRST_ID)):
            faults.append("event time or first update id differs within one update")
        if not (_id(line, FIRST_ID) and _id(line, LAST_ID) and _id(line, name)):
            faults.append("an update id is no number")
        elif side not in {"0", "1"}:
            faults.append(f"IsAsk {side!r} is neither 0 nor 1")
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
    rows = csv.rows(
        Kind.DEPTH, group[0], seq=_id(end, LAST_ID), aux=_id(end, name) - back,
        n_bids=len(bids), n_asks=len(asks),
    )  # fmt: skip
    levels = [(line.tick, line.qty) for line in bids + asks]
    rows[1:].view(LEVEL)[: len(levels)] = levels
    yield rows


__all__ = ["UpdateStream"]
