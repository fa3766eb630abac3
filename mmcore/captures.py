"""What a recorded file is and what it holds, found out by looking into it.

Kinds: ``raw`` (one line a message: receive time, blank, frame; gzip or plain), ``records`` (JSON
lines of a recorder that also kept the subscriptions and REST answers, zstandard or plain), ``text``
(the same recorder's older form), ``npz`` (hftbacktest's event array), ``csv`` (one row a level or a
trade, with Binance's update ids), ``sheet`` (other tables, see :mod:`mmcore.sheets`), ``tape``
(mmcore's own).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from .errors import DataError, NoDataError, VenueError
from .instrument import Instrument
from .raw_tape import read_header
from .sheets import PARQUET_MAGIC, Sheet, csv_sheet, parquet_sheet
from .streams import Record, Text
from .tape_file import TAPE_MAGIC
from .venue import decoder

ARRAY_MAGIC = b"\x93NUMPY"
_ROW = ("TimestampOfReceive", "EventTime", "Symbol", "Price", "Quantity")
UPDATES = {  # whether a table with update ids is one of trades -> the columns that it must have
    False: (*_ROW, "FirstUpdateId", "FinalUpdateId", "IsAsk"),
    True: (*_ROW, "TradeId", "IsBuyerMarketMaker"),
}
PROBE_CHUNKS = 4  # pieces of a raw file that are searched for the instruments it holds
RAW_LINE = re.compile(rb"(\d{13}|\d{16}|\d{19}) \S")
TEXT_LINE = re.compile(r"(?P<ts>\d+\.\d+): (?P<frame>.*)", re.DOTALL)
SENT_LINE = re.compile(r"(?P<url>wss?://\S+) <-(?:>)? (?P<ts>\d+\.\d+)(?:: (?P<frame>.*))?")


@dataclass(slots=True)
class Capture:
    """One file and what it holds.

    listing: venue -> symbols, in the order met.  answers: venue -> symbol -> instrument, where the
    capture holds the venue's own list.  ts_first_ns: receive time of its first message.  records:
    venue -> frames in order, for kinds that are read whole.  sheet: the table that the file is.
    streams: which streams of a market it holds, where that differs within a kind; files that hold
    the same of the same instruments continue each other.
    """

    path: Path
    kind: str
    listing: dict[str, list[str]] = field(default_factory=dict)
    answers: dict[str, dict[str, Instrument]] = field(default_factory=dict)
    ts_first_ns: int = 0
    records: dict[str, list[Record]] = field(default_factory=dict)
    sheet: Sheet | None = None
    streams: str = ""

    def hold(self, venue: str, symbol: str) -> None:
        """Note that the capture holds this instrument."""
        symbols = self.listing.setdefault(venue, [])
        if symbol not in symbols:
            symbols.append(symbol)


def look(path: Path) -> Capture:
    """What the file is and holds.

    Raises DataError where it is missing, empty (NoDataError), or of no kind that is known.
    """
    if path.is_dir():
        raise DataError("this is a folder", file=path, todo="name the files in it, in their order")
    try:
        text = Text(path)
    except FileNotFoundError:
        raise DataError(
            "no such file",
            file=path,
            todo="mend the path (one in a configuration is relative to that file)",
        ) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", file=path) from None
    try:
        return _look(path, text)
    finally:
        text.close()


def _look(path: Path, text: Text) -> Capture:
    if text.size == 0:
        raise NoDataError("the file is empty", file=path, todo="record or fetch it again")
    chunk = text.next_chunk()
    if any(name.endswith(".npy") for name in text.members):
        return Capture(path, "npz")
    if text.packed and chunk.startswith((TAPE_MAGIC, ARRAY_MAGIC, PARQUET_MAGIC)):
        raise _in_a_package(path, chunk)
    if chunk.startswith(TAPE_MAGIC):
        return Capture(path, "tape")
    if chunk.startswith(ARRAY_MAGIC):
        return Capture(path, "npz")
    if not text.fault and text.is_archive and len(text.members) != 1:
        raise _several(path, text.members)
    if chunk.startswith(PARQUET_MAGIC):
        return _look_sheet(parquet_sheet(path))
    if not chunk.strip() and not text.fault:
        raise NoDataError("the file holds no text", file=path, todo="record or fetch it again")
    if text.fault and not chunk:
        raise DataError(text.fault, file=path, line=1, todo="fetch the file again")
    if chunk.startswith(b"TimestampOfReceive,"):
        return _look_csv(path, chunk)
    if chunk.lstrip().startswith(b'{"t":'):
        return _records(path, _whole_text(text, chunk, path))
    if SENT_LINE.match(chunk[:200].decode("utf-8", "replace")):
        return _text_records(path, _whole_text(text, chunk, path))
    if any(RAW_LINE.match(line) for line in chunk.splitlines()[:50]):
        return _look_raw(path, text, chunk)
    if sheet := csv_sheet(path, chunk):
        return _look_sheet(sheet)
    raise DataError(
        f"not a kind of capture that mmcore reads; it starts with {chunk[:40]!r}",
        file=path,
        line=1,
        todo="raw lines start with a receive time of 19, 16 or 13 digits and a blank",
    )


def _in_a_package(path: Path, chunk: bytes) -> DataError:
    kinds = {TAPE_MAGIC: "tape of mmcore", ARRAY_MAGIC: "bare array", PARQUET_MAGIC: "Parquet file"}
    what = next(kind for magic, kind in kinds.items() if chunk.startswith(magic))
    return DataError(
        f"a {what} that is packed, and such a file is read in place", file=path,
        todo="unpack it, and name what comes out",
    )  # fmt: skip


def _several(path: Path, members: Sequence[str]) -> DataError:
    shown = ", ".join(members[:4]) + (", ..." if len(members) > 4 else "")
    return DataError(
        f"an archive of {len(members)} files ({shown}), expected one" if members
        else "an archive with nothing in it",
        file=path, todo="unpack it, and name the files that are wanted",
    )  # fmt: skip


def _whole_text(text: Text, chunk: bytes, path: Path) -> bytes:
    # Such a recorder groups its lines by connection, so nothing can be put in order before the end.
    parts = [chunk]
    while chunk := text.next_chunk():
        parts.append(chunk)
    whole = b"".join(parts)
    if text.fault:
        line = whole.count(b"\n") + 1
        raise DataError(text.fault, file=path, line=line, todo="fetch the file again")
    return whole


# ---- raw lines ------------------------------------------------------------------------------


def _look_raw(path: Path, text: Text, chunk: bytes) -> Capture:
    capture = Capture(path, "raw")
    for _ in range(PROBE_CHUNKS):
        for line in chunk.splitlines():
            if not RAW_LINE.match(line):
                continue
            stamp, _, frame = line.partition(b" ")
            if not capture.ts_first_ns:
                capture.ts_first_ns = int(stamp) * 10 ** (19 - len(stamp))
                if item := _named(path, frame):  # our own recorder's: nothing is guessed
                    capture.hold(item.venue, item.symbol)
                    capture.answers[item.venue] = {item.symbol: item}
                    return capture
            for venue, symbol in _about(frame):
                capture.hold(venue, symbol)
        if capture.listing or not (chunk := text.next_chunk()):
            break
    if not capture.listing:
        raise DataError(
            "no message of a venue that mmcore knows", file=path, line=1,
            todo="mmcore reads captures of Binance, Bybit and Hyperliquid streams",
        )  # fmt: skip
    return capture


def _named(path: Path, frame: bytes) -> Instrument | None:
    """The instrument that the first frame of a file names, where our own recorder wrote it."""
    try:
        return read_header(frame)
    except ValueError as error:
        raise DataError(str(error), file=path, line=1, todo="fetch the file again") from None


def _about(frame: bytes) -> Iterator[tuple[str, str]]:
    """The venue and symbol that a frame is about; nothing where it does not say."""
    try:
        message = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return
    if not isinstance(message, dict):
        return
    data = message.get("data", message)
    items = data if isinstance(data, list) else [data]
    for item in items:
        if not isinstance(item, dict):
            continue
        if "channel" in message:
            venue, symbol = "hyperliquid", item.get("coin")
        elif "topic" in message:
            venue, symbol = "bybit-linear", item.get("s", item.get("symbol"))
        else:
            venue, symbol = _binance_product(item), item.get("s")
        if venue and isinstance(symbol, str):
            yield venue, symbol


def _binance_product(item: Mapping[str, Any]) -> str:
    """Which of the three Binance products a message comes from, "" where it does not show."""
    if "ps" in item or "_" in str(item.get("s", "")):
        return "binance-coinm"
    name = item.get("e")
    if name == "depthUpdate":
        return "binance-usdm" if "pu" in item else "binance-spot"
    if name == "trade":
        return "binance-usdm" if "X" in item else "binance-spot"
    if name == "bookTicker":
        return "binance-usdm"
    return "binance-spot" if name is None and {"u", "b", "B"} <= item.keys() else ""


# ---- records --------------------------------------------------------------------------------

PRODUCTS = {
    "fapi.binance.com": "binance-usdm",
    "fstream.binance.com": "binance-usdm",
    "dapi.binance.com": "binance-coinm",
    "dstream.binance.com": "binance-coinm",
    "api.binance.com": "binance-spot",
    "stream.binance.com": "binance-spot",
}


def venue_of(url: str) -> str:
    """The venue behind a REST or stream address, "" for one that is not known."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host.endswith("bybit.com"):
        category = parse_qs(parts.query).get("category", [""])[0]
        product = category or parts.path.rsplit("/", 1)[-1]
        return f"bybit-{product}" if product in {"linear", "spot"} else ""
    if host.endswith("hyperliquid.xyz"):
        return "hyperliquid"
    return PRODUCTS.get(host, "")


class _Recording:
    """Builds a capture out of records, one by one."""

    def __init__(self, path: Path, kind: str) -> None:
        self.capture = Capture(path, kind)
        self.venues: dict[str, str] = {}  # connection -> venue
        self.snapshots: list[tuple[str, str, Record]] = []
        self.last: tuple[str, int] = ("", 0)  # venue and time of the last good record
        self.clocks: dict[str, int] = {}

    def connected(self, connection: str, url: str) -> None:
        venue = venue_of(url)
        self.venues[connection] = venue
        streams = parse_qs(urlsplit(url).query).get("streams", [""])[0]
        for stream in streams.split("/"):
            if venue and "@" in stream:
                self.capture.hold(venue, stream.partition("@")[0].upper())

    def sent(self, connection: str, frame: str) -> None:
        """A subscription: Bybit's says "orderbook.200.BTCUSDT", Hyperliquid's names a coin."""
        venue = self.venues.get(connection, "")
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return
        topics = message.get("args", []) if isinstance(message, dict) else []
        for topic in topics:
            if venue and isinstance(topic, str) and topic.count("."):
                self.capture.hold(venue, topic.rsplit(".", 1)[-1])
        coin = message.get("subscription", {}).get("coin") if isinstance(message, dict) else None
        if venue and isinstance(coin, str):
            self.capture.hold(venue, coin)

    def answered(self, url: str, ts_ns: int, line: int, body: str) -> None:
        """A REST answer: a list of instruments, or a depth snapshot."""
        venue = venue_of(url)
        path = urlsplit(url).path
        if not venue:
            return
        if path.endswith("/depth"):
            symbol = parse_qs(urlsplit(url).query).get("symbol", [""])[0]
            self.snapshots.append((venue, symbol, Record(ts_ns, line, body.encode())))
        elif path.endswith(("/exchangeInfo", "/instruments-info", "/info")):
            made = _instruments(venue, body)
            self.capture.answers.setdefault(venue, {}).update(made)

    def received(self, connection: str, ts_ns: int, line: int, frame: str) -> None:
        venue = self.venues.get(connection, "")
        if ts_ns < self.clocks.get(connection, 0):
            raise DataError(
                f"receive time of connection {connection} runs backwards",
                file=self.capture.path,
                line=line,
                todo="record again; a stream whose clock runs backwards cannot be replayed",
            )
        self.clocks[connection] = ts_ns
        self.last = (venue, ts_ns)
        if venue:
            self._keep(venue, Record(ts_ns, line, frame.encode()))

    def damaged(self, line: int, what: str) -> None:
        """A line that is no record: it belongs to the connection before it, as far as one sees."""
        venue, ts_ns = self.last
        for each in [venue] if venue else list(self.capture.records):
            self._keep(each, Record(ts_ns, line, b"", damage=what))

    def _keep(self, venue: str, record: Record) -> None:
        self.capture.records.setdefault(venue, []).append(record)

    def finish(self) -> Capture:
        """Frames and snapshots in order of receive time, each snapshot with its instrument."""
        capture = self.capture
        for venue, symbol, record in self.snapshots:
            capture.hold(venue, symbol)
            self._keep(venue, replace(record, symbol=symbol))
            listed = capture.answers.get(venue, {})
            if symbol in listed:
                listed[symbol] = finer(listed[symbol], record.frame)
        for records in capture.records.values():
            records.sort(key=lambda record: record.ts_local_ns)
        firsts = [records[0].ts_local_ns for records in capture.records.values()]
        if not firsts or not capture.listing:
            raise NoDataError("no market data of a venue that mmcore knows", file=capture.path)
        capture.ts_first_ns = min(firsts)
        return capture


def finer(item: Instrument, snapshot: bytes) -> Instrument:
    """The instrument with the tick of the finest level in a depth snapshot.

    A venue that makes its tick coarser leaves the orders where they are: the book keeps finer
    levels for days.  Orders still go out on the steps of the tick that the venue names.
    """
    try:
        book = orjson.loads(snapshot)
        prices = [Decimal(level[0]) for side in ("bids", "asks") for level in book[side]]
        step = Decimal(item.tick)
        if item.sig_figs or not any(price % step for price in prices):
            return item
        digits = max(-int(price.normalize().as_tuple().exponent) for price in prices)
        return replace(item, tick=f"{Decimal(1).scaleb(-digits):f}", price_step=item.tick)
    except (ValueError, KeyError, TypeError, IndexError, ArithmeticError):
        return item  # the decoder will say what is wrong with it


def _instruments(venue: str, body: str) -> dict[str, Instrument]:
    try:
        return decoder(venue).list_instruments(orjson.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # an answer of another kind; the table then has to know the symbols
    except VenueError as error:
        raise DataError(error.what, todo=error.todo) from None


def _nanoseconds(seconds: str) -> int:
    """Unix seconds as written, exactly."""
    return int(Decimal(seconds).scaleb(9))


def _records(path: Path, text: bytes) -> Capture:
    recording = _Recording(path, "records")
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
            kind, ts_ns = record["t"], 0
            if kind != "header":
                ts_ns = _nanoseconds(repr(record["ts"]))
            data = record.get("data", "")
            if kind == "connect":
                recording.connected(record["conn"], record["addr"])
            elif kind == "send":
                recording.sent(record["conn"], data)
            elif kind == "http":
                recording.answered(record["url"], ts_ns, number, data)
            elif kind == "recv":
                recording.received(record["conn"], ts_ns, number, data)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            recording.damaged(number, f"not a record of this recorder ({error})")
    return recording.finish()


def _text_records(path: Path, text: bytes) -> Capture:
    recording = _Recording(path, "text")
    connection = ""
    for number, line in enumerate(text.decode("utf-8", "replace").split("\n"), 1):
        if not line.strip():
            continue
        if match := SENT_LINE.fullmatch(line):
            connection = match["url"]
            if connection not in recording.venues:
                recording.connected(connection, connection)
            if match["frame"]:
                recording.sent(connection, match["frame"])
        elif match := TEXT_LINE.fullmatch(line):
            recording.received(connection, _nanoseconds(match["ts"]), number, match["frame"])
        else:
            recording.damaged(number, f"not a line of this recorder: {line[:40]!r}")
    return recording.finish()


def _look_csv(path: Path, chunk: bytes) -> Capture:
    lines = chunk.split(b"\n", 2)
    columns = lines[0].decode("ascii", "replace").strip().split(",")
    futures = {"FinalUpdateIdInLastStream", "XUnknownParameter"} & set(columns)
    capture = Capture(path, "csv")
    first = lines[1].decode("ascii", "replace").strip().split(",") if len(lines) > 1 else []
    named = "TradeId" in columns
    lacks = [name for name in UPDATES[named] if name not in columns]
    if lacks:
        raise DataError(
            f"a table of {'trades' if named else 'depth'} that lacks the columns "
            f"{', '.join(lacks)}", file=path, line=1,
            todo="docs/data.md lists the tables that mmcore reads",
        )  # fmt: skip
    if len(first) != len(columns):
        raise DataError(
            "a line of names and no whole row under it", file=path, line=min(len(lines), 2),
            todo="fetch the file again",
        )  # fmt: skip
    stamp = first[columns.index("TimestampOfReceive")]
    capture.ts_first_ns = int(stamp.ljust(19, "0")) if stamp.isdecimal() else 0
    capture.streams = "trades" if named else "depth"
    capture.hold("binance-usdm" if futures else "binance-spot", first[columns.index("Symbol")])
    return capture


def _look_sheet(sheet: Sheet) -> Capture:
    capture = Capture(
        sheet.path, "sheet", sheet=sheet, ts_first_ns=sheet.ts_first_ns, streams=sheet.shape
    )
    if sheet.venue and sheet.symbol:
        capture.hold(sheet.venue, sheet.symbol)
    return capture


def chains(captures: Sequence[Capture]) -> list[list[Capture]]:
    """Captures that continue each other, together: the same streams of the same instruments."""
    groups: dict[object, list[Capture]] = {}
    for capture in captures:
        names = tuple((venue, tuple(sorted(s))) for venue, s in capture.listing.items())
        groups.setdefault((capture.kind, capture.streams, names), []).append(capture)
    return [sorted(group, key=lambda capture: capture.ts_first_ns) for group in groups.values()]
