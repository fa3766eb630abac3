"""Depth of all symbols of one connection: chains, snapshots, and whether they are still true.

Futures and spot give the book as a stream of differences and a snapshot over REST.  A chain
(`mmcore._intake`) holds differences back until the snapshot is there; this module fetches it,
fetches it again while it is older than the stream, and whenever a chain breaks.

A book may be used only while its stream and the private stream are whole: :meth:`Books.shut`
makes every book stale, :meth:`Books.open` reads them anew.

Silence is not staleness: a quiet market sends nothing.  Where no depth came for a while, a small
snapshot says whether there should have been some; only then the connection is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import orjson

from mmcore._intake import Intake
from mmcore.errors import VenueError
from mmcore.events import Flag, Kind, rows_of
from mmcore.gateway import Rows
from mmcore.venue import DecodeError

from ._decode import JsonDecoder
from ._lateness import Lateness

SNAPSHOT_LIMIT, PROBE_LIMIT = 1000, 5
WATCH_S = 0.1
SILENCE_NS, SILENCE_MAX_NS = 2_000_000_000, 30_000_000_000
SETTLE_S = 0.3  # what the venue's stream may lag behind its REST interface
RETRY_S, RETRY_MAX_S = 0.2, 5.0

Fetch = Callable[[str, int], Awaitable[bytes]]


@dataclass(slots=True)
class _Watch:
    """One instrument's chain as it was looked at last.

    newest: the last update id that went out with a difference; a snapshot below it is old.
    seen_ns: when depth came last; silence_ns: for how long none may come before the venue is asked;
    busy: a snapshot is under way.
    """

    n_deltas: int = 0
    newest: int = 0
    seen_ns: int = 0
    silence_ns: int = SILENCE_NS
    busy: bool = False


class Books:
    """See the module's first lines.

    fetch: a depth snapshot's body, by symbol and number of levels.  emit: takes rows at once.
    raw: frames and snapshots as they came.  recycle: gives the public connection up, with why.
    lateness: whose depth comes late.
    """

    def __init__(
        self,
        decoder: JsonDecoder,
        *,
        fetch: Fetch,
        emit: Callable[[Rows], None],
        raw: Callable[[str, bytes, int], None],
        notice: Callable[[str], None],
        recycle: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        clock: Callable[[], int],
        lateness: Lateness,
    ) -> None:
        self._decoder = decoder
        self._lateness = lateness
        self._intake = Intake(decoder.scanner, max(decoder.numbers) + 1, 8192, 8192)
        self._fetch, self._emit, self._raw = fetch, emit, raw
        self._notice, self._recycle, self._spawn = notice, recycle, spawn
        self._clock = clock
        self._watches = {number: _Watch() for number in decoder.numbers}
        self._places = {number: place for place, number in enumerate(decoder.numbers)}
        self._is_open = False
        self._opened = 0  # how often: what was fetched for an earlier opening is thrown away
        self._halted: set[int] = set()
        self._whole = asyncio.Event()

    def frame(self, frame: bytes, ts_local_ns: int) -> None:
        """One frame of the public or the market connection."""
        try:
            self._feed(frame, ts_local_ns)
        except DecodeError as error:
            self._damaged(error, ts_local_ns)

    def open(self) -> None:
        """Both connections are whole: read the books."""
        self._is_open = True
        self._opened += 1
        now = self._clock()
        for number, watch in self._watches.items():
            watch.seen_ns, watch.silence_ns = now, SILENCE_NS
            watch.newest, watch.busy = 0, False
            self._resync(number)

    def shut(self) -> None:
        """A connection is lost: no book is true any more."""
        if self._is_open:
            self._is_open = False
            self._whole.clear()
            self._down(list(self._watches))

    def halt(self, number: int) -> None:
        """The venue closed this instrument: its book is stale for good."""
        self._halted.add(number)
        self._down([number])

    async def whole(self, timeout_s: float) -> bool:
        """Wait until every book has its snapshot; False where it takes longer."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._whole.wait()
        except TimeoutError:
            return False
        return True

    async def watch(self) -> None:
        """Look after the chains, until cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            if self._is_open:
                now = self._clock()
                for number, watch in self._watches.items():
                    self._look(number, watch, now)
                if why := self._lateness.look():
                    self._recycle(why)

    def _feed(self, frame: bytes, ts_local_ns: int) -> None:
        if self._intake.frame(frame, ts_local_ns) != 0:
            rows = self._decoder.decode_json(frame, ts_local_ns)
            if len(rows) == 0:
                return
            self._intake.put(rows)
        self._flush()

    def _flush(self) -> None:
        rows = self._intake.take()
        if len(rows):
            self._remember(rows)
            self._emit(rows)

    def _remember(self, rows: Rows) -> None:
        """Note the differences that go out; the rows behind a header are levels."""
        i = 0
        while i < len(rows):
            head = rows[i]
            if head["kind"] != Kind.DEPTH:
                return  # a message of one row, or two of a best quote
            watch = self._watches[int(head["instrument"])]
            if not head["flags"] & Flag.SNAPSHOT:
                watch.newest = max(watch.newest, int(head["seq"]))
            i += 1 + rows_of(int(head["n_bids"]) + int(head["n_asks"]))

    def _image(self, body: bytes, place: int, watch: _Watch) -> None:
        """A snapshot; one that is older than what has gone out is left out."""
        now = self._clock()
        self._raw(f"rest:{self._decoder.instruments[place].symbol}", body, now)
        rows = self._decoder.decode(body, now, place)
        if len(rows) and rows["seq"][0] >= watch.newest:
            self._intake.put(rows)
            self._flush()

    def _damaged(self, error: DecodeError, ts_local_ns: int) -> None:
        if error.harmless:
            self._notice(f"Binance: {error}; mmcore left the message out")
            return
        numbers = [error.instrument] if error.instrument in self._watches else list(self._watches)
        self._notice(f"Binance: {error}; mmcore reads the book again")
        self._down(numbers, ts_local_ns)
        if self._is_open:
            for number in numbers:
                self._resync(number)

    def _down(self, numbers: list[int], ts_local_ns: int = 0) -> None:
        now = ts_local_ns or self._clock()
        for number in numbers:
            self._intake.link_down(number, now)
        self._flush()

    def _look(self, number: int, watch: _Watch, now_ns: int) -> None:
        chain = self._intake.chain(number)
        if chain["deltas"] != watch.n_deltas:
            watch.n_deltas, watch.seen_ns, watch.silence_ns = chain["deltas"], now_ns, SILENCE_NS
            before = number in self._lateness
            if self._lateness.judge(number, chain["lag_ns"]) and not before:
                self._down([number])  # a snapshot would be true for a moment only: none until then
        elif number in self._lateness and now_ns - watch.seen_ns > SILENCE_NS:
            self._lateness.forgive(number)
        if watch.busy or number in self._halted or number in self._lateness:
            return
        if chain["waiting"]:
            self._down([number])
            self._resync(number)
        elif now_ns - watch.seen_ns > watch.silence_ns:
            watch.busy = True
            self._spawn(self._probe(number, watch))

    def _resync(self, number: int) -> None:
        watch = self._watches[number]
        if not watch.busy and number not in self._halted and number not in self._lateness:
            watch.busy = True
            self._spawn(self._read_book(number, self._opened))

    async def _read_book(self, number: int, opened: int) -> None:
        """Fetch snapshots until one is young enough for the differences that wait."""
        watch, place = self._watches[number], self._places[number]
        symbol = self._decoder.instruments[place].symbol
        pause_s = RETRY_S
        while self._is_wanted(number, opened):
            try:
                body = await self._fetch(symbol, SNAPSHOT_LIMIT)
                if not self._is_wanted(number, opened):
                    break
                self._image(body, place, watch)
            except (VenueError, DecodeError) as error:
                self._notice(f"Binance: no book of {symbol} ({error}); mmcore asks again")
                pause_s = min(2 * pause_s, RETRY_MAX_S)
            else:
                if not self._intake.chain(number)["waiting"]:
                    watch.seen_ns, watch.busy = self._clock(), False
                    self._settle()
                    return
            await asyncio.sleep(pause_s)
        if self._is_current(opened):
            watch.busy = False

    def _is_wanted(self, number: int, opened: int) -> bool:
        in_order = number not in self._halted and number not in self._lateness
        return in_order and self._is_current(opened)

    def _is_current(self, opened: int) -> bool:
        return self._is_open and opened == self._opened

    def _settle(self) -> None:
        if not any(self._intake.chain(number)["waiting"] for number in self._watches):
            self._whole.set()

    async def _probe(self, number: int, watch: _Watch) -> None:
        """No depth for a while: ask whether there should have been some."""
        symbol = self._decoder.instruments[self._places[number]].symbol
        opened, n_deltas = self._opened, watch.n_deltas
        try:
            newest = _last_update(await self._fetch(symbol, PROBE_LIMIT))
            await asyncio.sleep(SETTLE_S)
            missed = newest > self._intake.chain(number)["last"]
        except (VenueError, DecodeError):
            missed = True
        if not self._is_current(opened):
            return
        watch.busy = False
        if self._intake.chain(number)["deltas"] != n_deltas:
            return
        if missed:
            silent_s = (self._clock() - watch.seen_ns) / 1e9
            self._down([number])
            self._recycle(f"no depth of {symbol} for {silent_s:.1f} s, but its book has moved")
        else:
            watch.seen_ns = self._clock()
            watch.silence_ns = min(2 * watch.silence_ns, SILENCE_MAX_NS)


def _last_update(body: bytes) -> int:
    try:
        last = orjson.loads(body)["lastUpdateId"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise DecodeError("a depth snapshot without its update id") from None
    if not isinstance(last, int):
        raise DecodeError(f"update id {last!r} is not a whole number")
    return last


__all__ = ["Books"]
