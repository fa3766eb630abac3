"""The market of the exchange in the box: messages of a source, in time, each for its floor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mmcore.events import Flag, Kind
from mmcore.gateway import Rows
from mmcore.tape import Source

if TYPE_CHECKING:
    from .floor import Floor

USED = frozenset({Kind.DEPTH, Kind.TRADE, Kind.CLEAR})


class Feed:
    """Messages of a source that a floor listens to, one after the other.

    source: rows in order of receive time.  floors: by number of the source's instruments; rows of
    others are left out.  start_ns: when the first row happens; the others keep their distance.
    ended: there are no more.
    """

    def __init__(self, source: Source, floors: Mapping[int, Floor], start_ns: int) -> None:
        self.source = source
        self.ended = False
        self._floors = dict(floors)
        self._start_ns = start_ns
        self._messages = self._read()
        self._next: tuple[int, Floor, Rows] | None = None

    def until(self, ts_ns: int) -> Iterator[tuple[int, Floor, Rows]]:
        """What happens up to a time: when, where, and the message's rows.

        The rows are valid until the next one is asked for.
        """
        while True:
            if self._next is None:
                self._next = next(self._messages, None)
            if self._next is None:
                self.ended = True
                return
            if self._next[0] > ts_ns:
                return
            message, self._next = self._next, None
            yield message

    def close(self) -> None:
        """Let go of the source's files."""
        self.source.close()

    def _read(self) -> Iterator[tuple[int, Floor, Rows]]:
        # A recording with two clocks: rows that the venue itself saw, when it saw them.
        two = self.source.clock == "two"
        clock = "ts_venue_ns" if two else "ts_local_ns"
        seen = Flag.EXCH if two else Flag.EXCH | Flag.LOCAL
        shift: int | None = None
        while (rows := self.source.next_block()) is not None:
            kinds = rows["kind"].tolist()
            places = rows["instrument"].tolist()
            levels = (rows["n_bids"].astype("i4") + rows["n_asks"] + 3) // 4
            sizes = levels.tolist()
            times = rows[clock].tolist()
            heard = (rows["flags"] & seen).tolist()
            at = 0
            while at < len(kinds):
                kind = kinds[at]
                end = at + 1 + (sizes[at] if kind == Kind.DEPTH else 0)
                floor = self._floors.get(places[at])
                if floor is not None and heard[at] and kind in USED:
                    if shift is None:
                        shift = self._start_ns - times[at]
                    yield times[at] + shift, floor, rows[at:end]
                at = end


__all__ = ["Feed"]
