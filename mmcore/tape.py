"""Tapes: where recorded market data comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ._intake import Merge, select, whole_rows
from .arrays import ArrayFile
from .captures import Capture, chains, look
from .errors import DataError, NoDataError, VenueError
from .events import ContractKind, Kind
from .instrument import Instrument, UnknownInstrument, find, known_instruments, normalise
from .recording import heads_of
from .shapes import SheetStream
from .streams import Continued, Faults, FrameReader, Problem, RawStream, RecordStream, Stream
from .survey import Survey, empty_side, no_trade
from .tables import ArraySource, array_tells_orders, has_orders
from .tape_file import TapeFile, TapeStream, TapeWriter, market_rows
from .updates import UpdateStream
from .venue import Rows, decoder

BLOCK_ROWS = 32_768
FINEST = "0.00000001"  # tick and unit of an instrument of which nothing is known
TWO_CLOCKS = "two clocks"

Wanted = Instrument | tuple[str, str]


class Source(Protocol):
    """Market data as event rows.  clock: "local", or "two" where both orders stand in the flags."""

    clock: str
    instruments: tuple[Instrument, ...]  # by Event.instrument

    @property
    def problems(self) -> Sequence[Problem]:
        """Damaged records met so far: the first hundred of them."""

    @property
    def problem_count(self) -> int:
        """How many damaged records were met so far."""

    def next_block(self) -> Rows | None:
        """EVENT rows, C-contiguous, whole messages; valid until the next call; None at the end."""

    def progress(self) -> float:
        """How much is behind us, 0 to 1; nan when there is no end."""

    def close(self) -> None:
        """Let go of files."""


# ---- recorded captures ----------------------------------------------------------------------


class TapeSource:
    """One or several recordings as one stream of event rows, in order of receive time.

    files: raw captures, recorders' files, .npz, CSV or mmcore's own tapes, as :mod:`captures` tells
    them apart.  Raw files of the same venue and symbols continue each other.  instruments: what is
    wanted of them, each an Instrument or (venue, symbol); every instrument the files hold by
    default.  Their order gives Event.instrument.  unknown: read instruments of which nothing is
    known too, with a tick and a unit of 1e-8: enough to see what a file holds.  figures: says what
    a wanted instrument shall be, from its place in ``instruments`` and what the files, or else
    mmcore's own table, say of it (None: nothing).

    Raises DataError for a file that is missing, empty or of an unknown kind, for a wanted
    instrument that no file holds or that a tape counts in other steps, and from :meth:`next_block`
    where a file cannot be read on.
    """

    def __init__(
        self,
        files: Sequence[Path | str],
        instruments: Sequence[Wanted] | None = None,
        *,
        unknown: bool = False,
        figures: Callable[[int, Instrument | None], Instrument] | None = None,
    ) -> None:
        self._unknown, self._figures = unknown, figures
        if isinstance(files, str | Path):
            raise TypeError(f"files is one path: give a list, TapeSource([{str(files)!r}])")
        if not files:
            raise NoDataError("no file is given")
        self._faults = Faults()
        self._tapes: dict[Path, TapeFile] = {}
        self._captures = [look(Path(file)) for file in files]
        for capture in self._captures:
            self._describe(capture)
        self.clock = self._clock()
        self.instruments = self._resolve(instruments)
        self._numbers = {(item.venue, item.symbol): i for i, item in enumerate(self.instruments)}
        self._streams: list[Stream] = []
        self.paths: list[Path] = []  # of the streams, the first of each
        for chain in chains(self._captures):
            opened = self._open(chain)
            self._streams += opened
            self.paths += [chain[0].path] * len(opened)
        self._surveys = [Survey(self.instruments) for _ in self._streams]
        self._over = False
        self._merge = Merge(len(self._streams)) if len(self._streams) > 1 else None
        self._hungry = list(range(len(self._streams)))

    @property
    def problems(self) -> list[Problem]:
        """The first hundred damaged records met so far."""
        return self._faults.problems

    @property
    def problem_count(self) -> int:
        """How many damaged records were met so far."""
        return self._faults.count

    @property
    def by_order(self) -> bool:
        """Whether the first file tells the market's orders by their ids, by its first rows."""
        first = self._captures[0]
        if first.kind == "npz":
            return array_tells_orders(first.path)
        return first.kind == "tape" and has_orders(self._tapes[first.path].rows[:BLOCK_ROWS])

    def _describe(self, capture: Capture) -> None:
        if capture.kind == "npz":
            with closing(ArrayFile(capture.path)) as array:
                capture.ts_first_ns = array.first_stamp()
            capture.streams = TWO_CLOCKS
        if capture.kind != "tape":
            return
        tape = self._tapes[capture.path] = TapeFile(capture.path)
        for item in tape.instruments:
            capture.hold(item.venue, item.symbol)
            capture.answers.setdefault(item.venue, {})[item.symbol] = item
        if not len(tape):
            raise NoDataError("the tape holds no event", file=capture.path)
        start = tape.rows[: whole_rows(tape.rows.view(np.uint8), BLOCK_ROWS)]
        heads = start[heads_of(start)]
        capture.ts_first_ns = int(heads["ts_local_ns"][0])
        kinds = np.intersect1d(heads["kind"], [Kind.DEPTH, Kind.TRADE, Kind.BEST])
        capture.streams = TWO_CLOCKS if tape.clock == "two" else " ".join(map(str, kinds))

    def _clock(self) -> str:
        two = [capture for capture in self._captures if capture.streams == TWO_CLOCKS]
        if two and len(chains(self._captures)) > 1:
            other = next((each for each in self._captures if each not in two), self._captures[1])
            raise DataError(
                f"a tape with two clocks cannot be merged with {other.path}, only with tapes of "
                "its kind that continue it",
                file=two[0].path,
                todo="replay it by itself",
            )
        return "two" if two else "local"

    # -- which instruments

    def _resolve(self, wanted: Sequence[Wanted] | None) -> tuple[Instrument, ...]:
        if wanted is None:
            found: dict[tuple[str, str], Instrument] = {}
            for capture in self._captures:
                for venue, symbols in capture.listing.items():
                    for symbol in symbols:
                        found.setdefault((venue, symbol), self._lookup(capture, venue, symbol))
            if not found:
                raise DataError(
                    "the file does not say of which instrument it is",
                    file=self._captures[0].path,
                    todo="name it: in an [[instrument]] table of a configuration to run, with "
                    "--instrument VENUE:SYMBOL, or as TapeSource([file], [(venue, symbol)])",
                )
            return tuple(found.values())
        if len(wanted) == 1:
            for capture in self._captures:
                if capture.sheet and not capture.listing:  # names none: taken at our word
                    each = wanted[0]
                    capture.hold(
                        *((each.venue, each.symbol) if isinstance(each, Instrument) else each)
                    )
        items = tuple(self._wanted(place, each) for place, each in enumerate(wanted))
        if len({(item.venue, item.symbol) for item in items}) != len(items):
            raise ValueError("an instrument is wanted twice")
        if self._captures[0].kind == "npz" and len(items) != 1:
            raise DataError(
                f"an event array holds one instrument, {len(items)} are wanted",
                file=self._captures[0].path,
            )
        return items

    def _lookup(self, capture: Capture, venue: str, symbol: str) -> Instrument:
        try:
            return find(
                venue, symbol, {**known_instruments(venue), **capture.answers.get(venue, {})}
            )
        except UnknownInstrument as error:
            if self._unknown:
                return Instrument(
                    venue=venue, symbol=symbol, kind=ContractKind.LINEAR, tick=FINEST,
                    qty_decimals=8, lot=FINEST,
                )  # fmt: skip
            raise DataError(
                str(error), file=capture.path,
                todo="give its tick and lot in [instrument.spec] of a configuration",
            ) from None  # fmt: skip

    def _wanted(self, place: int, each: Wanted) -> Instrument:
        venue, symbol = (each.venue, each.symbol) if isinstance(each, Instrument) else each
        answers: dict[str, Instrument] = {}
        listed: list[str] = []
        for capture in self._captures:
            answers |= capture.answers.get(venue, {})
            listed += capture.listing.get(venue, [])
        # An event array names no instrument: it is taken at our word.
        named = listed or self.clock != "two"
        if named and normalise(venue, symbol, listed) not in listed:
            held = [f"{v} {s}" for c in self._captures for v, ss in c.listing.items() for s in ss]
            raise DataError(
                f"no recording of {venue} {symbol} is among the files; they hold "
                f"{', '.join(dict.fromkeys(held)) or 'nothing'}",
                file=self._captures[0].path,
                todo="name another file or another instrument",
            )
        item = each if isinstance(each, Instrument) else self._said(place, venue, symbol, answers)
        for tape in self._tapes.values():
            _agree(tape, item)
        return item

    def _said(
        self, place: int, venue: str, symbol: str, answers: Mapping[str, Instrument]
    ) -> Instrument:
        """What the files or the table say of an instrument, and its figures make of that."""
        try:
            said = find(venue, symbol, {**known_instruments(venue), **answers})
        except UnknownInstrument as error:
            if self._figures is None:
                raise DataError(str(error), file=self._captures[0].path) from None
            return self._figures(place, None)
        return said if self._figures is None else self._figures(place, said)

    # -- their streams

    def _open(self, chain: Sequence[Capture]) -> list[Stream]:
        if len(chain) == 1 or chain[0].kind in {"raw", "sheet", "npz", "tape"}:
            return self._streams_of(chain)
        paths = [capture.path for capture in chain]
        parts = [self._streams_of([capture]) for capture in chain]
        return [Continued(paths, streams) for streams in zip(*parts, strict=True)]

    def _streams_of(self, chain: Sequence[Capture]) -> list[Stream]:
        capture = chain[0]
        paths = [each.path for each in chain]
        if capture.kind == "tape":
            tapes = [self._tapes[path] for path in paths]
            return [TapeStream(tapes, [self._change(tape) for tape in tapes], self._faults.add)]
        if capture.kind == "npz":
            return [ArraySource(paths, self.instruments[0], 0, self._faults)]
        streams: list[Stream] = []
        for venue, symbols in capture.listing.items():
            mine = [s for s in symbols if (venue, s) in self._numbers]
            if not mine:
                continue
            numbers = [self._numbers[venue, symbol] for symbol in mine]
            items = [self.instruments[number] for number in numbers]
            if capture.sheet:
                sheets = [each.sheet for each in chain if each.sheet]
                streams.append(SheetStream(sheets, items[0], numbers[0], self._faults))
                continue
            if capture.kind == "csv":
                streams.append(UpdateStream(capture.path, items[0], self._faults, numbers[0]))
                continue
            reader = FrameReader(
                _decoder(venue, items, numbers),
                items,
                numbers,
                self._faults,
                alone=len(symbols) == 1,
            )
            if capture.kind == "raw":
                streams.append(RawStream(paths, reader))
            else:
                streams.append(RecordStream(capture.path, capture.records[venue], reader))
        if not streams:
            self._faults.add(capture.path, 0, "holds no instrument of this run: left out")
        return streams

    def _change(self, tape: TapeFile) -> Callable[[Rows], Rows] | None:
        """What becomes of the tape's blocks: rows that are not wanted go, numbers change."""
        # Answers and timers of a live run belong to its orders; a new run has its own.
        live = tape.provenance.get("mode") == "live"
        numbers = [self._numbers.get((item.venue, item.symbol), -1) for item in tape.instruments]
        same = numbers == list(range(len(numbers)))
        if same:
            return market_rows if live else None
        return lambda rows: select(market_rows(rows) if live else rows, numbers)

    # -- reading

    def next_block(self) -> Rows | None:
        """The next rows; DataError where a file cannot be read on."""
        if self._merge is None:
            rows = self._next_of(0) if self._streams else None
        else:
            rows = self._merged(self._merge)
        self._over |= rows is None
        return rows

    def _merged(self, merge: Merge) -> Rows | None:
        while True:
            for place in self._hungry:
                merge.feed(place, self._next_of(place))
            rows = merge.run()
            self._hungry = [merge.wanted] if merge.wanted >= 0 else []
            if len(rows):
                return rows
            if not self._hungry:
                return None

    def _next_of(self, place: int) -> Rows | None:
        """The next rows of one stream, counted; DataError where another tells the same."""
        rows = self._streams[place].next_block()
        if rows is None:
            return None
        mine = self._surveys[place]
        mine.see(rows)
        for path, other in zip(self.paths, self._surveys, strict=True):
            if other is not mine and (what := mine.twice(other)):
                raise DataError(
                    f"{what} are in {path} too, at the same time",
                    file=self.paths[place],
                    todo="name one of the two: every change and every trade would count twice",
                )
        return rows

    @property
    def names(self) -> str:
        """The files, for a message: the first three of them."""
        names = ", ".join(str(capture.path) for capture in self._captures[:3])
        more = len(self._captures) - 3
        return f"{names} and {more} more" if more > 0 else names

    @property
    def one_sided(self) -> str:
        """Of which side of a book there was not one level so far, in words; "" for none."""
        return empty_side(self._surveys)

    @property
    def foreseen(self) -> str:
        """Of two clocks, what stands as received before it happened, in words; "" for nothing.

        Who trades on it knows the future.
        """
        if self.clock != "two":
            return ""
        for survey in self._surveys:
            ahead_ns = -int(survey.late_ns.min())
            if ahead_ns > 0:
                item = survey.instruments[int(survey.late_ns.argmin())]
                return f"{item} is received up to {ahead_ns / 1e6:,.3f} ms before it happens"
        return ""

    @property
    def lacking(self) -> str:
        """Why a run on these files is worth little, once they are read to the end; "" if it is not.

        A book without one of its sides, or no trade at all, names the files.
        """
        what = ""
        if self._over and self.one_sided:
            what = (
                f"{self.one_sided} from the first row to the last; fetch the file again, or name "
                "one that holds both sides"
            )
        elif self._over and no_trade(self._surveys):
            what = (
                "not one trade from the first row to the last, so that orders fill only where the "
                "book goes through their price; name a file that holds the trades too"
            )
        return f"{self.names}: {what}" if what else ""

    def progress(self) -> float:
        """How much of the files is behind us, 0 to 1."""
        done = [stream.done() for stream in self._streams]
        total = sum(size for _, size in done)
        return sum(read for read, _ in done) / total if total else 1.0

    def close(self) -> None:
        """Close the files."""
        for stream in self._streams:
            stream.close()


def _agree(tape: TapeFile, item: Instrument) -> None:
    """Raise DataError where a tape counts an instrument in other steps: its rows are numbers."""
    for mine in tape.instruments:
        if (mine.venue, mine.symbol) != (item.venue, item.symbol):
            continue
        for name, unit, wrong in (
            ("tick", "prices", "tick"),
            ("qty_decimals", "quantities", "qty_decimals, or a lot finer than that,"),
        ):
            said, wanted = getattr(mine, name), getattr(item, name)
            if Decimal(said) != Decimal(wanted):
                raise DataError(
                    f"its {unit} of {item} are written with {name} {said}, not {wanted}",
                    file=tape.path,
                    todo=f"leave {wrong} out of [instrument.spec]: the tape says it; coarser steps "
                    "of own orders are price_step and lot",
                )


def _decoder(venue: str, items: Sequence[Instrument], numbers: Sequence[int]) -> Any:
    try:
        return decoder(venue)(items, numbers)
    except VenueError as error:
        raise DataError(error.what, todo=error.todo) from None


__all__ = ["Source", "TapeFile", "TapeSource", "TapeWriter", "Wanted", "market_rows"]
