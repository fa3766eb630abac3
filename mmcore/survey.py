"""What the streams of a tape held, counted while they are read: is something missing, or twice?

Counting is one walk over the headers of a block.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._intake import survey
from .events import Kind
from .instrument import Instrument
from .venue import Rows

KIND_END = max(Kind) + 1
NEVER = np.iinfo(np.int64)
TOLD_ONCE = {Kind.DEPTH: "the depth", Kind.TRADE: "trades", Kind.ORDER_ADD: "orders"}


class Survey:
    """What one stream held so far, by instrument.

    instruments: by Event.instrument.  counts: messages by kind.  sides: levels of bids and of asks.
    late_ns: least time from the venue's stamp to ours.
    """

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        n = len(instruments)
        self.instruments = tuple(instruments)
        self.counts = np.zeros((n, KIND_END), np.int64)
        self.sides = np.zeros((n, 2), np.int64)
        self.late_ns = np.full(n, NEVER.max, np.int64)
        self._first = np.full((n, KIND_END), NEVER.max, np.int64)  # receive times
        self._last = np.full((n, KIND_END), NEVER.min, np.int64)

    def see(self, rows: Rows) -> None:
        """Take in a block of whole messages."""
        raw = rows.view(np.uint8)
        survey(raw, self.counts, self.sides, self._first, self._last, self.late_ns)

    def twice(self, other: Survey) -> str:
        """What both streams tell of one instrument at the same time, in words; "" for nothing."""
        kinds = list(TOLD_ONCE)
        both = (self._first[:, kinds] < other._last[:, kinds]) & (
            other._first[:, kinds] < self._last[:, kinds]
        )
        if not both.any():
            return ""
        i, kind = np.argwhere(both)[0].tolist()
        return f"{TOLD_ONCE[kinds[kind]]} of {self.instruments[i]}"


def empty_side(surveys: Sequence[Survey]) -> str:
    """The side of a book of which there never was a level, in words; "" where there is none."""
    for i, item in enumerate(surveys[0].instruments if surveys else ()):
        bids, asks = sum(each.sides[i] for each in surveys).tolist()
        if bids + asks and not (bids and asks):
            return f"not one {'ask' if bids else 'bid'} of {item}"
    return ""


def no_trade(surveys: Sequence[Survey]) -> bool:
    """Whether there is depth, and not one trade of any instrument."""
    depth = sum(int(each.counts[:, Kind.DEPTH].sum()) for each in surveys)
    return depth > 0 and not any(each.counts[:, Kind.TRADE].any() for each in surveys)


__all__ = ["Survey", "empty_side", "no_trade"]
