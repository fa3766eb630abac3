"""A brief look at a market before a run: its touch over the first seconds, for ``check``."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from ._book import Book
from .events import Flag, Kind, Status, rows_of
from .instrument import Instrument

ROWS_MAX = 400_000  # of events; more says nothing new about a spread
WALL_S_MAX = 1.0


@dataclass(slots=True)
class Sample:
    """Touches of one instrument, one after every message that left the book in order.

    bid_ticks, ask_ticks: best ticks.  ts_ns: receive times.  price: quote currency per tick.
    """

    instrument: Instrument
    bid_ticks: list[int] = field(default_factory=list)
    ask_ticks: list[int] = field(default_factory=list)
    ts_ns: list[int] = field(default_factory=list)

    @property
    def touch(self) -> tuple[int, int]:
        """Last best bid and ask, ticks."""
        return self.bid_ticks[-1], self.ask_ticks[-1]

    @property
    def mid(self) -> float:
        """Last mid, quote currency."""
        return self.mids()[-1]

    @property
    def seconds(self) -> float:
        """Market time that was looked at."""
        return (self.ts_ns[-1] - self.ts_ns[0]) / 1e9

    @property
    def spread_ticks(self) -> float:
        """Median of ask less bid, ticks."""
        return median(a - b for b, a in zip(self.bid_ticks, self.ask_ticks, strict=True))

    def mids(self) -> list[float]:
        """Mid after every message, quote currency."""
        half_tick = float(self.instrument.tick) / 2
        return [(b + a) * half_tick for b, a in zip(self.bid_ticks, self.ask_ticks, strict=True)]

    def exits_per_s(self, band_bps: float) -> float:
        """How often a second the mid leaves a band of so many bps around where it last left one."""
        count, centre = 0, 0.0
        for mid in self.mids():
            if centre == 0.0 or abs(mid - centre) * 1e4 > band_bps * centre:
                count, centre = count + 1, mid
        return (count - 1) / self.seconds if self.seconds > 0 else 0.0

    def volatility_bps(self) -> float:
        """Of log returns, bps per square root of a second; 0 with too little to go by."""
        mids = self.mids()
        squares = sum(math.log(after / before) ** 2 for before, after in pairwise(mids))
        return 1e4 * math.sqrt(squares / self.seconds) if self.seconds > 0 else 0.0


def look(source: Any, seconds: float) -> list[Sample]:
    """Touches of every instrument of a ``Source`` over so many seconds of market time.

    Reads at most ROWS_MAX rows and about WALL_S_MAX of wall time; the source is left open.  An
    instrument that never had a usable book gets an empty sample.
    """
    samples = [Sample(instrument) for instrument in source.instruments]
    books = [Book(instrument.spec(index)) for index, instrument in enumerate(source.instruments)]
    began, rows_seen, start_ns = time.perf_counter(), 0, 0
    while rows_seen < ROWS_MAX and time.perf_counter() - began < WALL_S_MAX:
        block = source.next_block()
        if block is None:
            break
        start_ns = start_ns or int(block["ts_local_ns"][0])
        for book in books:
            book.bind(block)
        if _follow(block, books, samples, start_ns + int(seconds * 1e9)):
            break
        rows_seen += len(block)
    for book in books:
        book.release()
    return samples


def _follow(block: Any, books: list[Book], samples: list[Sample], end_ns: int) -> bool:
    """Apply one block; True once its time is past ``end_ns``."""
    names = ("kind", "flags", "instrument", "n_bids", "n_asks", "ts_local_ns")
    kinds, flags, instruments, n_bids, n_asks, times = (block[name].tolist() for name in names)
    row = 0
    while row < len(kinds):
        at, index = row, instruments[row]
        row += 1 + (rows_of(n_bids[at] + n_asks[at]) if kinds[at] == Kind.DEPTH else 0)
        if times[at] > end_ns:
            return True
        book = books[index]
        book.update(at)
        if kinds[at] != Kind.DEPTH or flags[at] & Flag.MORE or book.health != Status.OK:
            continue
        touch = book.touch()
        sample = samples[index]
        sample.bid_ticks.append(touch.bid_tick)
        sample.ask_ticks.append(touch.ask_tick)
        sample.ts_ns.append(times[at])
    return False
