"""Bybit market data: one public socket, its subscriptions, and the books that hang on it.

The depth stream brings its own snapshot, and a new one for the asking; so whatever is wrong with a
book (a gap, silence, a frame that cannot be read, a private stream that is down) is cured by
subscribing anew, and until then its instrument is told to be without a book.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from mmcore._intake import Intake
from mmcore.events import Kind
from mmcore.gateway import Rows
from mmcore.venue import DecodeError, SymbolError

from ._call import Pending
from ._decode import JsonDecoder
from ._lateness import Lateness
from ._stream import Stream

DEPTH = 50  # levels a side, every 20 ms
TRADE, DEPTH_ROW = int(Kind.TRADE), int(Kind.DEPTH)
ARGS_MAX = 10  # topics in one request
ANSWER_S = 5.0
SILENT_S, PATIENCE_S = 1.5, 12.0  # a book without news is asked for: the market may just be quiet
AGAIN_S = 1.5  # a book that is not even told when asked for is stale, and the connection with it
BEHIND_S = 0.5  # trades so long after the last depth: the depth is lost


@dataclass(slots=True)
class _Book:
    symbol: str
    number: int
    breaks: int = 0
    snapshots: int = 0
    deltas: int = 0
    since_s: float = 0.0  # of the last depth, or of the last subscription
    trade_s: float = 0.0  # of the last trade
    patience_s: float = SILENT_S
    asked: bool = False


class Market:
    """The public data of one gateway.

    emit: gets rows; raw: gets frames as they came.  notice: gets a warning.  lateness: whose depth
    comes late.
    """

    def __init__(
        self,
        decoder: JsonDecoder,
        *,
        linear: bool,
        emit: Callable[[Rows], None],
        raw: Callable[[str, bytes, int], None],
        notice: Callable[[str], None],
        clock: Callable[[], int],
        lateness: Lateness,
    ) -> None:
        self.stream: Stream | None = None
        self.open = True  # False: books stay empty, whatever comes
        self._decoder = decoder
        self._linear = linear
        self._emit = emit
        self._raw = raw
        self._notice = notice
        self._clock = clock
        self._lateness = lateness
        self._intake = Intake(decoder.scanner, max(decoder.numbers, default=0) + 1)
        self._pending = Pending("bybit public", ANSWER_S)
        self._books = [
            _Book(item.symbol, number)
            for item, number in zip(decoder.instruments, decoder.numbers, strict=True)
        ]
        self._n_requests = 0
        self._complained: set[str] = set()

    # --- frames -----------------------------------------------------------------------------------

    def on_frame(self, frame: bytes, ts_local_ns: int) -> None:
        """One frame: rows go out at once."""
        self._raw("public", frame, ts_local_ns)
        intake = self._intake
        if not self.open and b'"orderbook' in frame[:64]:
            return
        if intake.frame(frame, ts_local_ns) != 0 and not self._other(frame, ts_local_ns):
            return
        rows = intake.take()
        if len(rows):
            if rows[0]["kind"] == TRADE:
                self._traded(int(rows[0]["instrument"]))
            elif self._lateness and self._is_late(rows[0]):
                return
            self._emit(rows)

    def _is_late(self, head: np.void) -> bool:
        return head["kind"] == DEPTH_ROW and int(head["instrument"]) in self._lateness

    def _traded(self, number: int) -> None:
        for book in self._books:
            if book.number == number:
                book.trade_s = asyncio.get_running_loop().time()

    def _other(self, frame: bytes, ts_local_ns: int) -> bool:
        """What the scanner leaves to JSON.  True where rows may have come of it."""
        try:
            message = orjson.loads(frame)
            if not isinstance(message, dict):
                raise DecodeError("a JSON object was expected")
            if "topic" not in message:
                self._pending.answer(message.get("req_id"), message)
                return False
            self._intake.put(self._decoder.read(message, ts_local_ns, -1))
        except SymbolError:
            return False
        except (orjson.JSONDecodeError, DecodeError) as error:
            self._damaged(error, ts_local_ns)
        return True

    def _damaged(self, error: ValueError, ts_local_ns: int) -> None:
        harmless = isinstance(error, DecodeError) and error.harmless
        if str(error) not in self._complained and len(self._complained) < 100:
            self._complained.add(str(error))
            done = "it was left out" if harmless else "the books it may concern are asked for anew"
            self._notice(f"bybit public: a frame cannot be read ({error}); {done}")
        if harmless:
            return
        number = error.instrument if isinstance(error, DecodeError) else -1
        for book in self._books:
            if number in {-1, book.number}:
                self._intake.link_down(book.number, ts_local_ns)
                self._again(book)

    # --- subscriptions ----------------------------------------------------------------------------

    async def on_up(self, stream: Stream) -> None:
        """Subscribe to everything; the first answers are the books' snapshots."""
        now = asyncio.get_running_loop().time()
        topics = []
        for book in self._books:
            book.since_s, book.asked = now, False
            topics += [f"orderbook.{DEPTH}.{book.symbol}", f"publicTrade.{book.symbol}"]
            if self._linear:
                topics.append(f"tickers.{book.symbol}")
        for start in range(0, len(topics), ARGS_MAX):
            answer = await self._request(stream, "subscribe", topics[start : start + ARGS_MAX])
            if answer.get("success") is not True:
                raise ConnectionError(f"subscription refused: {answer.get('ret_msg')}")

    def on_down(self, why: str) -> None:
        """The connection is gone: no book is good."""
        self._pending.lost(why)
        self.stale()

    def stale(self) -> None:
        """Every book is stale from here, until its next snapshot."""
        now = self._clock()
        for book in self._books:
            self._intake.link_down(book.number, now)
        rows = self._intake.take()
        if len(rows):
            self._emit(rows)

    def renew(self) -> None:
        """Ask for every book anew."""
        self.open = True
        for book in self._books:
            self._again(book)

    def check(self) -> None:
        """Look for gaps and silence; to be called a few times a second."""
        stream, now = self.stream, asyncio.get_running_loop().time()
        if stream is None or stream.state != "up" or not self.open:
            return
        for book in self._books:
            chain = self._intake.chain(book.number)
            self._hear(book, chain, now)
            if book.number in self._lateness:
                book.breaks = chain["breaks"]  # whatever is broken is asked for when in time
            elif chain["breaks"] != book.breaks:
                book.breaks = chain["breaks"]
                self._again(book)
            elif book.asked and now - book.since_s > AGAIN_S:
                self.stale()
                stream.recycle(f"no depth of {book.symbol}, though asked for")
                return
            elif not book.asked and book.trade_s > book.since_s + BEHIND_S:
                self._told_down(book)  # trades without depth: what the book shows is gone
                self._again(book)
            elif not book.asked and now - book.since_s > book.patience_s:
                self._again(book)
        if why := self._lateness.look():
            stream.recycle(why)

    def _judge(self, book: _Book, lag_ns: int) -> None:
        """A book that comes late is stale; one that is in time again is asked for."""
        before = book.number in self._lateness
        if self._lateness.judge(book.number, lag_ns) != before:
            self._told_down(book)
            if before:
                self._again(book)

    def _hear(self, book: _Book, chain: Mapping[str, int], now: float) -> None:
        """Take note of depth that came since the last look."""
        if (chain["snapshots"], chain["deltas"]) != (book.snapshots, book.deltas):
            self._judge(book, chain["lag_ns"])
        elif book.number in self._lateness and now - book.since_s > SILENT_S:
            self._lateness.forgive(book.number)  # nothing flows that could be late
            self._again(book)
        if chain["snapshots"] != book.snapshots:
            # Nothing but what was asked for: a quiet market is asked less and less often.
            quiet = book.asked and chain["deltas"] == book.deltas
            book.patience_s = min(book.patience_s * 2, PATIENCE_S) if quiet else SILENT_S
            book.asked, book.since_s = False, now
        elif chain["deltas"] != book.deltas:
            book.patience_s = SILENT_S
            if not book.asked:
                book.since_s = now
        book.snapshots, book.deltas = chain["snapshots"], chain["deltas"]

    def _told_down(self, book: _Book) -> None:
        self._intake.link_down(book.number, self._clock())
        rows = self._intake.take()
        if len(rows):
            self._emit(rows)

    def _again(self, book: _Book) -> None:
        stream = self.stream
        if stream is None or stream.state != "up":
            return  # the subscription that is about to be made brings a snapshot
        book.asked, book.since_s = True, asyncio.get_running_loop().time()
        topic = [f"orderbook.{DEPTH}.{book.symbol}"]
        for op in ("unsubscribe", "subscribe"):
            self._n_requests += 1
            stream.send(orjson.dumps({"op": op, "req_id": f"p{self._n_requests}", "args": topic}))

    async def _request(self, stream: Stream, op: str, args: Sequence[str]) -> dict[str, Any]:
        self._n_requests += 1
        key = f"p{self._n_requests}"
        frame = orjson.dumps({"op": op, "req_id": key, "args": list(args)})
        answer: dict[str, Any] = await self._pending.ask(key, lambda: stream.send(frame), op)
        return answer


__all__ = ["DEPTH", "Market"]
