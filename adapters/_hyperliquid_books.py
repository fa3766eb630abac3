"""Hyperliquid's market data: whole books, best quotes, prints, marks, and when books are true.

Every depth message is the whole book, so a lost one heals with the next; but quoting also needs
the private stream, and while that is away no depth goes out: the books stay stale.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from mmcore.events import Kind
from mmcore.gateway import Rows
from mmcore.venue import DecodeError

from ._decode import JsonDecoder
from ._lateness import Lateness

BELIEVE_NS = 2_000_000_000  # books of an earlier time for so long: the venue's clock was set back
TRADES_KEPT = 20_000  # ids of prints, against repetition after a subscription


class Books:
    """See the module's first lines.

    emit: takes rows at once.  notice: gets a sentence for the user.  lateness: whose books come
    late.
    """

    def __init__(
        self,
        decoder: JsonDecoder,
        *,
        emit: Callable[[Rows], None],
        notice: Callable[[str], None],
        lateness: Lateness,
    ) -> None:
        self._decoder = decoder
        self._lateness = lateness
        self._emit, self._notice = emit, notice
        self._terms = {terms.number: terms for terms in decoder.terms}
        self._older_ns: dict[int, int] = {}  # receive time of the first book that was older
        self._image_ns = dict.fromkeys(self._terms, 0)  # venue's time of the last book
        self._heard_ns = dict.fromkeys(self._terms, 0)  # our time of it
        self._missing = set(self._terms)
        self._held: dict[int, Rows] = {}  # the last books of this connection while shut
        self._halted: set[int] = set()
        self._trades: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._trades_from_ns = 0
        self._is_open = False
        self._whole = asyncio.Event()

    def frame(self, frame: bytes, ts_local_ns: int) -> None:
        """One frame of the market connection."""
        try:
            rows = self._decoder.decode(frame, ts_local_ns)
        except DecodeError as error:
            self._damaged(error, ts_local_ns)
            return
        if len(rows) == 0:
            return
        kind = rows["kind"][0]
        if kind == Kind.DEPTH:
            self._image(rows)
        elif kind == Kind.TRADE:
            self._prints(rows)
        elif kind != Kind.BEST or self._is_open:
            self._emit(rows)

    def subscribed(self, now_ms: int) -> None:
        """A new connection, at this time of the venue: what it repeats from before is not news."""
        self._held.clear()
        self._trades_from_ns = now_ms * 1_000_000

    def open(self) -> None:
        """Both connections are whole: the books count, from the last ones that came."""
        self._is_open = True
        held, self._held = self._held, {}
        for rows in held.values():
            self._image(rows)

    def shut(self, ts_local_ns: int) -> None:
        """A connection is lost: no book is true any more."""
        self._held.clear()
        if not self._is_open:
            return
        self._is_open = False
        for number in self._terms:
            self._down(number, ts_local_ns)

    def halt(self, number: int, ts_local_ns: int) -> None:
        """This instrument is not quoted any more: its book is stale for good."""
        self._halted.add(number)
        self._down(number, ts_local_ns)

    def silent(self, ts_local_ns: int, most_ns: int) -> str:
        """Books that were good and have not come for so long are stale from here; their names.

        A book comes twice a second whether it changed or not, so silence is never a quiet market.
        """
        quiet = [
            number
            for number, heard_ns in self._heard_ns.items()
            if number not in self._missing and ts_local_ns - heard_ns > most_ns
        ]
        for number in quiet:
            self._down(number, ts_local_ns)
        return ", ".join(self._terms[number].item.symbol for number in quiet)

    def late(self) -> str:
        """Why the connection is to be replaced, where books come late for long; see `Lateness`."""
        return self._lateness.look()

    async def whole(self, timeout_s: float) -> bool:
        """Wait until every book has its image; False where it takes longer."""
        try:
            await asyncio.wait_for(self._whole.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def _image(self, rows: Rows) -> None:
        number, stamp = int(rows["instrument"][0]), int(rows["ts_venue_ns"][0])
        if number in self._halted or (stamp < self._image_ns[number] and self._doubts(rows)):
            return
        if not self._is_open:
            self._held[number] = rows.copy()
            return
        now = int(rows["ts_local_ns"][0])
        self._image_ns[number], self._heard_ns[number] = stamp, now
        self._older_ns.pop(number, None)
        if self._lateness.judge(number, now - stamp):
            if number not in self._missing:
                self._down(number, now)
            return
        self._emit(rows)
        self._missing.discard(number)
        if not self._missing:
            self._whole.set()

    def _doubts(self, rows: Rows) -> bool:
        """An older book than the last: of another server that lags, or the venue's clock was set
        back.  Either way the book shown is no longer the latest; in time the new clock is believed.
        """
        number, now = int(rows["instrument"][0]), int(rows["ts_local_ns"][0])
        since = self._older_ns.setdefault(number, now)
        if now - since < BELIEVE_NS:
            if since == now and self._is_open:
                self._down(number, now)
            return True
        self._trades_from_ns = 0
        return False

    def _prints(self, rows: Rows) -> None:
        fresh = np.fromiter((self._is_fresh(row) for row in rows), dtype=np.bool_, count=len(rows))
        if fresh.any():
            self._emit(rows[fresh])

    def _is_fresh(self, row: np.void) -> bool:
        key = int(row["instrument"]), int(row["seq"])
        if int(row["ts_venue_ns"]) < self._trades_from_ns or key in self._trades:
            return False
        self._trades[key] = None
        if len(self._trades) > TRADES_KEPT:
            self._trades.popitem(last=False)
        return True

    def _damaged(self, error: DecodeError, ts_local_ns: int) -> None:
        if error.harmless:
            self._notice(f"a message was left out: {error}")
            return
        self._notice(f"a damaged message: {error}; the book waits for the next one")
        for number in (error.instrument,) if error.instrument in self._terms else self._terms:
            self._down(number, ts_local_ns)

    def _down(self, number: int, ts_local_ns: int) -> None:
        self._missing.add(number)
        self._whole.clear()
        self._emit(self._terms[number].row(Kind.LINK_DOWN, 0, ts_local_ns))


__all__ = ["Books"]
