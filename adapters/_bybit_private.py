"""Bybit's private side: the account stream, the readings that fill its gaps, and open questions.

The stream has no snapshot and no numbers to count by.  So after every login, and every few seconds
in any case, open orders and executions are read over REST; executions are told apart by their id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import orjson

from mmcore.errors import VenueError
from mmcore.events import EVENT, Flag, Kind, PaidCode
from mmcore.gateway import Rows, VenueOrder
from mmcore.venue import DecodeError

from ._bybit_account import Account
from ._bybit_desk import Desk
from ._bybit_rest import Rest
from ._bybit_words import CODES, MS, Funding, OrderNews, execution, order_news
from ._call import OutcomeUnknown, Pending
from ._decode import Terms
from ._own import Own, OwnOrders, VenueFill
from ._stream import Stream

AUTH_AHEAD_MS = 10_000
ANSWER_S = 5.0
OVERLAP_MS = 10_000  # executions are read again from so long before the last one
PAGE = 100
PAID_MAX = 10_000
BOTH = int(Flag.EXCH | Flag.LOCAL)

Row = Mapping[str, Any]


async def log_in(stream: Stream, pending: Pending, rest: Rest) -> None:
    """Authenticate a private or trade socket.  Raises VenueFault for a key that will not do."""
    key = rest.http.api_key
    expires = rest.stamp_ms() + AUTH_AHEAD_MS
    signature = rest.sign(f"GET/realtime{expires}")
    frame = orjson.dumps({"op": "auth", "args": [key, expires, signature]})
    answer = await pending.ask("auth", lambda: stream.send(frame), "log-in")
    code = answer.get("retCode", 0 if answer.get("success") is True else 10004)
    if code not in {0, 20001}:
        text = str(answer.get("retMsg") or answer.get("ret_msg") or "")
        raise CODES.fault(code, text, where=f"bybit {stream.name} log-in")


class Private:
    """The account stream of one gateway, and what is asked beside it.

    own: gets the news.  emit: gets rows of funding payments.  raw: gets frames as they came.
    since_ms: venue time from which executions count; what was before is in the position.
    logs_in: whether the stream does not authenticate by itself.
    """

    def __init__(
        self,
        account: Account,
        terms: Mapping[str, Terms],
        own: OwnOrders,
        desk: Desk,
        *,
        emit: Callable[[Rows], None],
        raw: Callable[[str, bytes, int], None],
        notice: Callable[[str], None],
        clock: Callable[[], int],
        since_ms: int,
        logs_in: bool,
    ) -> None:
        self.pending = Pending("bybit private", ANSWER_S)
        self.n_refills = 0
        self._account = account
        self._rest = account.rest
        self._terms = terms
        self._own = own
        self._desk = desk
        self._emit = emit
        self._raw = raw
        self._notice = notice
        self._clock = clock
        self._since_ms = self._last_ms = since_ms
        self._logs_in = logs_in
        self._paid: dict[int, None] = {}
        self._reading = asyncio.Lock()

    # --- the stream -------------------------------------------------------------------------------

    def on_frame(self, frame: bytes, ts_local_ns: int) -> None:
        """One frame.  Raises DecodeError for one that cannot be read: the stream starts anew."""
        self._raw("private", frame, ts_local_ns)
        message = orjson.loads(frame)
        if not isinstance(message, dict):
            raise DecodeError("a JSON object was expected")
        topic = message.get("topic")
        if topic is None:
            self.pending.answer(message.get("req_id") or message.get("op"), message)
            return
        rows = message.get("data")
        if not isinstance(rows, list) or not isinstance(topic, str):
            raise DecodeError(f"data of {topic} is not a list")
        name = topic.partition(".")[0]
        if name == "order":
            for news in self._news(rows):
                self._tell(news)
        elif name == "execution":
            self._execute(rows)

    async def on_up(self, stream: Stream) -> None:
        """Log in, subscribe, and read what happened meanwhile."""
        if self._logs_in:
            await log_in(stream, self.pending, self._rest)
        category = self._account.category
        topics = [f"order.{category}", f"execution.{category}"]
        for args in (topics, ["wallet"]):
            await self.subscribe(stream, args)
        await self.refill()

    async def subscribe(self, stream: Stream, topics: Sequence[str]) -> None:
        """Ask for topics, and wait for the answer.  Raises VenueError where it is no.

        That a topic is read already is a yes: an earlier answer was lost.
        """
        key = f"s {topics[0]}"
        frame = orjson.dumps({"op": "subscribe", "req_id": key, "args": topics})
        answer = await self.pending.ask(key, partial(stream.send, frame), "subscription")
        said = str(answer.get("ret_msg"))
        if answer.get("success") is not True and "already subscribed" not in said:
            raise VenueError(f"subscription refused: {said}", where="bybit")

    def on_down(self, why: str) -> None:
        """Whoever waits for an answer is told; fills wait for the next reading."""
        self.pending.lost(why)
        self._own.hold()

    # --- news -------------------------------------------------------------------------------------

    def _news(self, rows: Iterable[object]) -> list[OrderNews]:
        """Orders of our symbols and category."""
        return [order_news(row, terms) for row, terms in self._ours(rows)]

    def _ours(self, rows: Iterable[object]) -> list[tuple[Row, Terms]]:
        found: list[tuple[Row, Terms]] = []
        for row in rows:
            if not isinstance(row, dict):
                raise DecodeError(f"a row is not an object but {type(row).__name__}")
            terms = self._terms.get(str(row.get("symbol")))
            if terms is not None and row.get("category", self._account.category) == (
                self._account.category
            ):
                found.append((row, terms))
        return found

    def _tell(self, news: OrderNews, own: Own | None = None, *, asked: bool = False) -> None:
        own = own or self._own.find(client_id=news.client_id, venue_id=news.venue_id)
        if own is None:
            return  # somebody else's, or of an earlier start
        if news.twin:
            if own.op is not None:
                self._own.unknown(own, own.op)
            return
        if own.venue_id and news.venue_id != own.venue_id:
            return
        self._own.acked(own, news.venue_id)
        if news.how is not None:
            self._own.ended(own, news.how, news.code, news.done, ts_ns=news.ts_ns)
        elif not self._own.resting(
            own, news.tick, news.qty, news.done, asked=asked, ts_ns=news.ts_ns
        ):
            if asked:
                self._sweep(news)
        elif asked and own.op is not None and own.op.name == "CANCEL":
            self._desk.cancel([own])  # it may have been lost: it does no harm twice

    def _sweep(self, news: OrderNews) -> None:
        self._desk.spawn(self._desk.sweep([(news.terms, news.client_id)]))

    def _execute(self, rows: Iterable[object], *, again: bool = False) -> None:
        """Tell fills and payments; ``again``: of a reading, so that most are known."""
        for row, terms in self._ours(rows):
            what = execution(row, terms)
            if what is None or (what.ts_ns // MS < self._since_ms and not self._mine(what)):
                continue
            self._last_ms = max(self._last_ms, what.ts_ns // MS)
            if isinstance(what, Funding):
                self._pay(what)
                continue
            if what.forced:
                self._notice(f"{terms.item}: Bybit itself closed {what.qty} units of the position")
            self._own.filled(what, again=again)

    def _mine(self, what: VenueFill | Funding) -> bool:
        """Whether it is of this start, whatever the venue's clock says."""
        return isinstance(what, VenueFill) and (
            self._own.find(client_id=what.client_id, venue_id=what.venue_id) is not None
        )

    def _pay(self, paid: Funding) -> None:
        if paid.trade_id in self._paid:
            return
        self._paid[paid.trade_id] = None
        if len(self._paid) > PAID_MAX:
            self._paid.pop(next(iter(self._paid)))
        row = np.zeros(1, EVENT)
        row["kind"], row["code"], row["flags"] = Kind.PAID, PaidCode.FUNDING, BOTH
        row["instrument"], row["aux"] = paid.terms.number, paid.received
        row["seq"], row["ts_venue_ns"], row["ts_local_ns"] = (
            paid.trade_id,
            paid.ts_ns,
            self._clock(),
        )
        self._emit(row)

    # --- readings ---------------------------------------------------------------------------------

    async def refill(self) -> None:
        """Read open orders and executions; what they show that nobody told, is told."""
        async with self._reading:
            asked_ns = self._clock()
            reading = await self._account.reading(self._terms, asked_ns)
            http = self._rest.http
            # The venue's clock may have been set back meanwhile.
            start = min(max(self._since_ms, self._last_ms), self._rest.stamp_ms()) - OVERLAP_MS
            rows = await self._rest.pages(
                http.get_executions,
                category=self._account.category,
                startTime=start,
                limit=PAGE,
            )
            self._execute(reversed(rows), again=True)
            orders = [one.state(self._own.ids) for one in reading.news]
            unwanted = self._own.refill(orders, (), asked_ns=asked_ns)
            self.n_refills += 1
            await self._clear(unwanted)

    async def _clear(self, orders: list[VenueOrder]) -> None:
        if not orders:
            return
        by_number = {terms.number: terms for terms in self._terms.values()}
        self._notice(
            f"Bybit holds {len(orders)} orders of ours that nothing here stands for; they are "
            "cancelled"
        )
        await self._desk.sweep([(by_number[one.instrument], one.client_id) for one in orders])

    async def resolve(self) -> None:
        """Ask for every order whose state is open to doubt."""
        async with self._reading:
            wanted = self._own.unresolved(self._clock())
            if wanted:
                await asyncio.gather(*(self._ask(own) for own in wanted))

    async def _ask(self, own: Own) -> None:
        symbol = next(s for s, terms in self._terms.items() if terms.number == own.instrument)
        query = {
            "category": self._account.category,
            "symbol": symbol,
            "orderLinkId": own.client_id,
        }
        try:
            rows = await self._find(query)
            if not rows:
                self._own.absent(own)
                return
            news = self._news(rows)[0]
            if news.done > own.told:
                self._execute(await self._fills(query), again=True)
            self._tell(news, own, asked=True)
        except OutcomeUnknown:
            return  # it is asked for again

    async def _find(self, query: dict[str, Any]) -> list[Row]:
        http = self._rest.http
        for method in (http.get_open_orders, http.get_order_history):
            rows: list[Row] = (await self._rest.ask(method, **query))["result"]["list"]
            if rows:
                return rows
        return []

    async def _fills(self, query: dict[str, Any]) -> list[Row]:
        return await self._rest.pages(self._rest.http.get_executions, limit=PAGE, **query)


__all__ = ["Private", "log_in"]
