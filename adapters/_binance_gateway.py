"""Trading on Binance: one account at one product, its streams, and when its books may be used.

USD-M futures have four connections: public (depth, best quotes), market (trades, mark prices),
private (orders and account, found by a listen key) and the WebSocket interface for orders.  Spot
has two: one for market data, one for orders and user data.

A book is true while both the public and the private connection are whole.  Whenever the private one
is new, orders and fills are read over REST before anything is quoted again; what arrives meanwhile
waits, so that fills are told in the venue's order.  The same reading is made from time to time, and
when the venue's position is not ours: a stream may lose a message and say nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mmcore.errors import MmcoreError, NetworkError, VenueError
from mmcore.events import Kind
from mmcore.gateway import (
    AccountState,
    Action,
    Health,
    Prepared,
    Rows,
    Setup,
    Sink,
    VenueFault,
)
from mmcore.instrument import Instrument

from ._binance_account import Account
from ._binance_books import Books
from ._binance_client import ClientStream, Open
from ._binance_desk import Desk
from ._binance_entry import BEAT, Entry
from ._binance_requests import Product, Signer
from ._binance_rest import Rest
from ._binance_words import OrderNews
from ._dead_man import NONE_HERE, DeadMan
from ._decode import JsonDecoder, Terms
from ._delivery import Delivery
from ._lateness import Lateness
from ._own import OwnOrders
from ._stream import Stream

START_S = 15.0
LATE_S = 1.0  # depth is pushed every 100 ms, and takes tens
CLOCK_EVERY_S = 600.0
CLOCK_NOTICE_NS = 1_000_000_000
AUDIT_EVERY_S = 10.0
HELD_MAX = 100_000  # private events that wait for a reading
FILTERS_EVERY_NS = 60_000_000_000
DUST_NOTICE = (
    "an order that is not of this run was filled: positions differ from what mmcore counts"
)


class BinanceGateway(Delivery):
    """What both products have in common; see `mmcore.gateway.Gateway` for the methods."""

    product: ClassVar[Product]
    account_type: ClassVar[type[Account]]

    # Made by prepare().
    _rest: Rest
    _account: Account
    _items: tuple[Instrument, ...]
    _terms: dict[int, Terms]
    _decoder: JsonDecoder

    def __init__(self, setup: Setup, decoder: type[JsonDecoder]) -> None:
        super().__init__(setup)
        self._decoder_type = decoder
        self._rng = Random(setup.seed)
        self._books: Books | None = None
        self._desk: Desk | None = None  # with keys only
        self._entry: Entry | None = None
        self._streams: dict[str, Stream | ClientStream] = {}
        self._whole = {"public": False, "private": setup.keys is None}
        self._held: deque[Mapping[str, Any]] | None = deque(maxlen=HELD_MAX)  # None: nothing waits
        self._positions: dict[int, int] = {}  # by instrument, from the fills told
        self._is_prepared = False
        self._switch: DeadMan | None = None

    # --- before the streams -----------------------------------------------------------------------

    async def prepare(self) -> Prepared:
        """Clock, instruments, permissions, modes, account; see `Gateway.prepare`."""
        setup = self._setup
        if setup.keys is not None and setup.keys.secret.lstrip().startswith("-----BEGIN"):
            raise VenueError(
                "this secret is a private key file; mmcore signs with HMAC keys", where=setup.venue,
                todo='make a key of the type "system generated" in Binance\'s API management',
            )  # fmt: skip
        self._rest = Rest(setup, self._rng)
        self._is_prepared = True
        account = self._account = self.account_type(self._rest, setup.ids)
        await self._rest.sync_clock()
        items = await account.instruments(setup.symbols)
        notices: list[str] = []
        if setup.keys is not None:
            items, notices = await account.set_up(items, setup.leverage or (None,) * len(items))
        if abs(offset_ns := self._rest.clock_offset_ns) > CLOCK_NOTICE_NS:
            notices.append(
                f"{setup.venue}: this machine's clock is {-offset_ns / 1e9:+.1f} s off; mmcore "
                "reckons with that; set it by NTP"
            )
        self._items = items
        self._decoder = self._decoder_type(items, setup.numbers)
        self._terms = {terms.number: terms for terms in self._decoder.terms}
        state = None
        if setup.keys is not None:
            await self._open_desk(account).mark()
            state = await self.account()
        return Prepared(
            instruments=items, account=state, notices=tuple(notices),
            clock_offset_ns=self._rest.clock_offset_ns,
        )  # fmt: skip

    def _open_desk(self, account: Account) -> Desk:
        setup = self._setup
        assert setup.keys is not None
        assert setup.ids is not None
        own = OwnOrders(
            setup.ids, self._terms, self._own_rows, setup.clock,
            notice=lambda text: self._say("warning", text),
        )  # fmt: skip
        if setup.order_entry == "socket" or not self._rest.futures:
            self._entry = Entry(
                self._rest, Signer(setup.keys), name=f"{setup.venue} orders",
                on_event=self._private_news, on_up=self._entry_up, on_down=self._entry_down,
                clock=setup.clock, rng=self._rng,
            )  # fmt: skip
            self._streams["orders"] = self._entry.stream
        desk = self._desk = Desk(
            self.product, account, own, self._terms,
            entry=self._entry if setup.order_entry == "socket" else None, spawn=self._spawn,
            on_fault=self._fault, on_foreign=self._foreign, clock=setup.clock,
        )  # fmt: skip
        return desk

    async def account(self) -> AccountState:
        """The truth over REST, now."""
        state = await self._account.state(list(self._terms.values()))
        if self._sink is None:  # from here on the fills count
            self._positions = dict(state.positions)
        return state

    # --- streams ----------------------------------------------------------------------------------

    async def start(self, sink: Sink) -> None:
        """Open the streams; see `Gateway.start`."""
        self._sink = sink
        self._books = Books(
            self._decoder, fetch=self._rest.depth, emit=self._emit, raw=sink.raw,
            notice=lambda text: self._say("warning", text),
            recycle=self._recycle_public, spawn=self._spawn,
            clock=self._setup.clock, lateness=self._lateness(),
        )  # fmt: skip
        if self._desk is not None:
            self._open_private()
            await self._wait_up()
            await self._arm()
            self._spawn(self._desk.resolve())
            self._spawn(self._audit(self._desk))
        self._open_public()
        await self._wait_up()
        self._spawn(self._books.watch())
        if not await self._books.whole(START_S):
            raise NetworkError(
                f"no book within {START_S:g} s", where=self._setup.venue,
                todo="look at the network, and at Binance's status page",
            )  # fmt: skip
        self._spawn(self._keep_alive())

    def _lateness(self) -> Lateness:
        setup, rest = self._setup, self._rest
        return Lateness(
            {number: terms.item.symbol for number, terms in self._terms.items()},
            setup.late_s or LATE_S, offset=lambda: rest.clock_offset_ns, measure=rest.sync_clock,
            spawn=self._spawn, say=self._say, clock=setup.clock,
        )  # fmt: skip

    async def _arm(self) -> None:
        """Set the dead man's switch before the first order; spot has none."""
        if self._setup.dead_man_s:
            self._say("info", NONE_HERE)

    async def _wait_up(self) -> None:
        for stream in self._streams.values():
            if not await stream.up(START_S):
                raise NetworkError(
                    f"{stream.name} is not up within {START_S:g} s ({stream.why or 'no reason'})",
                    where=self._setup.venue, todo="look at the network, and at the keys",
                )  # fmt: skip

    def _open_private(self) -> None:
        """Start what carries orders and account news."""
        if self._entry is not None:
            self._entry.stream.start()

    def _open_public(self) -> None:
        raise NotImplementedError

    def _recycle_public(self, why: str) -> None:
        self._streams["public"].recycle(why)

    def _open(
        self, part: str, url: str | Callable[[], Coroutine[Any, Any, str]], client: Open, *,
        on_frame: Callable[[bytes, int], None], on_up: Callable[[], Coroutine[Any, Any, None]],
        on_down: Callable[[str], None], stale_s: float = 0.0,
    ) -> None:  # fmt: skip
        """Open one connection: ours to ``url``, or ``client`` of the vendor's library."""
        setup, name = self._setup, f"{self._setup.venue} {part}"

        async def up(_: Stream | None = None) -> None:
            await on_up()
            self._link_up(part)

        def down(why: str) -> None:
            self._link_down(part, why)
            on_down(why)

        stream: Stream | ClientStream
        if setup.stream == "client":
            stream = ClientStream(
                name, self._rest, client, on_frame=on_frame, on_up=up, on_down=down,
                clock=setup.clock, rng=self._rng,
            )  # fmt: skip
        else:
            stream = Stream(
                name, url, on_frame=on_frame, on_up=up, on_down=down,
                beat=BEAT, clock=setup.clock,
                rng=self._rng, stale_s=stale_s,
            )  # fmt: skip
        self._streams[part] = stream
        stream.start()

    def _market_frame(self, channel: str) -> Callable[[bytes, int], None]:
        assert self._books is not None
        assert self._sink is not None
        books, raw = self._books, self._sink.raw

        def frame(text: bytes, ts_local_ns: int) -> None:
            raw(channel, text, ts_local_ns)
            books.frame(text, ts_local_ns)

        return frame

    async def _public_up(self) -> None:
        self._gate("public", True)

    def _public_down(self, why: str) -> None:  # noqa: ARG002 (said by the stream's own notice)
        self._gate("public", False)

    async def _private_up(self) -> None:
        assert self._desk is not None
        await self._desk.refill()
        held, self._held = self._held or (), None
        for event in held:
            self._private_event(event)
        self._gate("private", True)

    def _private_down(self, why: str) -> None:  # noqa: ARG002 (as above)
        self._held = deque(maxlen=HELD_MAX)  # what came before is in the reading to come
        self._gate("private", False)

    def _private_news(self, event: Mapping[str, Any]) -> None:
        if self._held is None:
            self._private_event(event)
        else:
            self._held.append(event)

    async def _audit(self, desk: Desk) -> None:
        """Compare with the venue from time to time, until cancelled."""
        while True:
            await asyncio.sleep(AUDIT_EVERY_S)
            if self._whole["private"]:
                await self._read_again(desk)

    async def _read_again(self, desk: Desk) -> None:
        try:
            await desk.refill()
        except VenueError as error:
            self._say("warning", f"orders and fills were not read: {error}")

    def _gate(self, part: str, whole: bool) -> None:
        """The books follow: open while everything that quoting stands on is whole."""
        self._whole[part] = whole
        if self._books is None:
            return
        if all(self._whole.values()):
            self._books.open()
        else:
            self._books.shut()

    async def _entry_up(self) -> None:
        """Nothing to ask: each request is signed on its own."""
        self._link_up("orders")

    def _entry_down(self, why: str) -> None:
        self._link_down("orders", why)

    def _private_event(self, event: Mapping[str, Any]) -> None:
        raise NotImplementedError

    async def _keep_alive(self) -> None:
        """What has to be done from time to time, until cancelled."""
        while True:
            await asyncio.sleep(CLOCK_EVERY_S)
            try:
                await self._rest.sync_clock()
            except VenueError as error:
                self._say("warning", f"the venue's clock was not read: {error}")

    # --- orders -----------------------------------------------------------------------------------

    def send(self, requests: npt.NDArray[np.void]) -> None:
        """Send REQUEST rows of one step; see `Gateway.send`."""
        assert self._desk is not None, "a gateway without keys takes no orders"
        self._desk.send(requests)

    async def cancel_all(self) -> int:
        """Cancel every own order and verify; see `Gateway.cancel_all`."""
        assert self._desk is not None, "a gateway without keys has no orders"
        return await self._desk.cancel_all()

    def _order_news(self, news: OrderNews) -> None:
        assert self._desk is not None
        self._desk.news(news)

    def _foreign(self, news: OrderNews) -> None:
        """An order that no slot of this start stands for."""
        if news.fill is None:
            return
        item = self._terms[news.instrument].item
        if news.is_forced:
            self._fatal(
                VenueError(
                    f"Binance closed {item.quantity_text(news.fill.qty)} of the position itself "
                    f"(order {news.client_id!r})",
                    where=str(item), done="mmcore stops",
                    todo="look at the account's margin before the next start",
                )
            )  # fmt: skip
        else:
            self._say(
                "warning",
                f"{item}: an order that is not of this run was filled: the position differs from "
                "what mmcore counts",
            )

    def _fault(self, error: MmcoreError, number: int) -> None:
        """A refusal, or an answer that cannot be used: what somebody has to know or do."""
        if isinstance(error, NetworkError) and self._lost:
            return  # the line about the connections says it
        if not isinstance(error, VenueFault):
            self._say("warning", str(error))
        elif error.action is Action.STOP:
            self._fatal(error)
        elif error.action is Action.HALT:
            if self._books is not None:
                self._books.halt(number)
            self._say("error", f"{error}; mmcore quotes {self._terms[number].item} no more")
        elif error.action is Action.REFRESH:
            self._say("warning", str(error))
            self._spawn(self._check_filters())
        elif error.action in {Action.REDUCE, Action.WAIT}:
            self._say("warning", str(error))

    async def _check_filters(self) -> None:
        """A filter was hit: the instruments may have changed since the start."""
        now = self._setup.clock()
        if now - self._said.get("filters", -FILTERS_EVERY_NS) < FILTERS_EVERY_NS:
            return
        self._said["filters"] = now
        try:
            present = await self._account.instruments(self._setup.symbols)
        except VenueError as error:
            self._say("warning", str(error))
            return
        for old, new in zip(self._items, present, strict=True):
            if old.scale() != new.scale() or (old.lot, old.min_qty, old.min_notional) != (
                new.lot, new.min_qty, new.min_notional,
            ):  # fmt: skip
                self._fatal(
                    VenueError(
                        "the venue changed tick, lot or smallest order", where=str(old),
                        done="mmcore stops", todo="start again: the new ones are read then",
                    )
                )  # fmt: skip

    # --- to the sink ------------------------------------------------------------------------------

    def _own_rows(self, rows: Rows) -> None:
        for row in rows[rows["kind"] == Kind.FILL]:
            number = int(row["instrument"])
            self._positions[number] += int(row["side"]) * int(row["qty"])
        self._emit(rows)

    async def close(self) -> None:
        """Close everything; idempotent."""
        await self._end_tasks()
        if self._switch is not None and self._desk is not None and not self._desk.own.live:
            await self._switch.disarm()
        for stream in self._streams.values():
            await stream.close()
        if self._is_prepared:
            await self._rest.close()

    def health(self) -> Health:
        """How the connections and the budget are."""
        links = {
            part: f"down: {stream.why}" if stream.state == "down" else stream.state
            for part, stream in self._streams.items()
        }
        own = self._desk.own if self._desk else None
        return Health(
            links=links,
            clock_offset_ns=self._rest.clock_offset_ns if self._is_prepared else 0,
            budget_left=self._rest.budget.left if self._is_prepared else 1.0,
            n_unknown=own.n_in_doubt if own else 0,
            n_reconnects=sum(stream.n_reconnects for stream in self._streams.values()),
            n_duplicates=own.n_duplicates if own else 0,
        )


__all__ = ["BinanceGateway"]
