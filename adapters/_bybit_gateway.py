"""The Bybit gateway: one account, linear perpetuals or spot; the parts are in the files beside it.

Streams come up in this order: private (log-in, subscriptions, a reading over REST), order entry,
public.  While the private stream is down nothing is known for sure of own orders, so every book is
told to be stale, and asked for anew once it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from mmcore.errors import NetworkError, VenueError
from mmcore.gateway import (
    AccountState,
    Action,
    Health,
    Prepared,
    Setup,
    Sink,
    VenueFault,
)
from mmcore.instrument import Instrument
from mmcore.venue import DecodeError

from ._budget import Budget
from ._bybit_account import Account
from ._bybit_desk import Desk, pools
from ._bybit_market import Market
from ._bybit_private import Private, log_in
from ._bybit_rest import Rest, understood
from ._bybit_words import CATEGORIES, CLOCK_CODES, servers
from ._dead_man import DeadMan
from ._decode import JsonDecoder, Terms
from ._delivery import Delivery
from ._lateness import Lateness
from ._own import OwnOrders
from ._stream import Heartbeat, Stream

PING = b'{"op":"ping"}'
PUBLIC_BEAT = Heartbeat("text", 10.0, 5.0, PING)
PRIVATE_BEAT = Heartbeat("text", 2.5, 2.5, PING)  # order truth hangs on it
STALE_S = 10.0
LATE_S = 1.0  # depth is pushed every 20 ms, and takes tens
UP_S = 15.0
RESOLVE_S = 0.1
CHECK_S = 0.25
REFILL_S = 10.0
SWITCH_S = 5.0  # until a dead man's switch that could not be set is tried again
CLOCK_S = 60.0
QUIET_NS = 1_000_000_000
READINGS = 5  # of the account, until nothing is filled meanwhile
SWEEPS = 20  # looks at what is open before cancel_all gives up
SWEEP_S = 0.1


class _Product(NamedTuple):
    """What the dead man's switch calls a category, where it listens, and what it cancels."""

    product: str
    topic: str
    whose: str


DCP = {
    "linear": _Product("DERIVATIVES", "dcp.future", "every derivatives order of the account"),
    "spot": _Product("SPOT", "dcp.spot", "every spot order of the account"),
}


class BybitGateway(Delivery):
    """See :class:`mmcore.gateway.Gateway`."""

    def __init__(self, setup: Setup, decoder: type[JsonDecoder]) -> None:
        super().__init__(setup)
        self._decoder_class = decoder
        self._category = CATEGORIES[setup.venue]
        self._servers = servers(setup.environment, setup.base)
        self._clock = setup.clock
        self._rng = Random(setup.seed)
        # Linear and spot are one account at one address, and so are two markets without keys.
        account = ("bybit budget", self._servers.rest, setup.keys)
        self._budget: Budget = setup.common.setdefault(account, Budget(pools(), self._monotonic))
        self._rest = Rest(self._servers.rest, setup.keys, self._budget, setup.clock)
        self._account = Account(setup.venue, self._category, setup.symbols, self._rest)
        self._terms: dict[str, Terms] = {}
        self._instruments: tuple[Instrument, ...] = ()
        self._since_ms = 0
        self._coins: dict[str, int] = {}  # balances before the first order, quanta
        self._own: OwnOrders | None = None
        self._desk: Desk | None = None
        self._private: Private | None = None
        self._market: Market | None = None
        self._streams: dict[str, Stream] = {}
        self._stop: asyncio.Future[VenueFault]  # why trading cannot go on; made by start
        self._started = False
        self._told_ns: dict[int | str, int] = {}
        self._switch: DeadMan | None = None
        self._window = 0  # of the switch, as the account has it since this start, s

    # --- before the first stream ------------------------------------------------------------------

    async def prepare(self) -> Prepared:
        """See the protocol."""
        account, state = self._account, None
        with understood("an answer"):
            offset = await account.clock()
            items = await account.instruments()
            if self._setup.keys is not None:
                await account.permissions()
                if self._category == "linear":
                    await account.modes(self._setup.leverage)
                items = [await account.fees(item) for item in items]
        self._instruments = tuple(items)
        self._terms = {
            item.symbol: Terms(item, number)
            for item, number in zip(items, self._setup.numbers, strict=True)
        }
        if self._setup.keys is not None:
            state = await self.account()
        return Prepared(
            instruments=self._instruments,
            account=state,
            clock_offset_ns=offset,
            notices=tuple(account.notices),
        )

    async def account(self) -> AccountState:
        """See the protocol."""
        if self._private is not None:
            return await self._state()
        for _ in range(READINGS):
            # Fills from here on will be told, so none may be in the position already.
            self._since_ms = self._rest.stamp_ms()
            state = await self._state()
            if await self._account.quiet_since(self._since_ms):
                break
        self._coins = {coin: held.total for coin, held in state.balances.items()}
        return state

    async def _state(self) -> AccountState:
        with understood("the account"):
            reading = await self._account.reading(self._terms, self._clock())
            return await self._account.state(self._terms, reading, self._setup.ids)

    # --- the streams ------------------------------------------------------------------------------

    async def start(self, sink: Sink) -> None:
        """See the protocol."""
        assert self._terms, "prepare comes first"
        self._sink = sink
        self._stop = asyncio.get_running_loop().create_future()
        self._make_market(sink)
        if self._setup.keys is not None:
            self._make_trading(sink)
            await self._bring_up("private")
            self._every(SWITCH_S, self._set_switch)
            if self._setup.order_entry == "socket":
                await self._bring_up("trade")
            self._every(RESOLVE_S, self._resolve)
            self._every(REFILL_S, self._refill)
        await self._bring_up("public")
        self._every(CHECK_S, self._check)
        self._every(CLOCK_S, self._measure)
        self._started = True

    def _make_market(self, sink: Sink) -> None:
        decoder = self._decoder_class(self._instruments, self._setup.numbers)
        market = self._market = Market(
            decoder,
            linear=self._category == "linear",
            emit=sink.rows,
            raw=sink.raw,
            notice=self._warn,
            clock=self._clock,
            lateness=self._lateness(),
        )

        async def up(stream: Stream) -> None:
            await market.on_up(stream)
            self._link_up("public")

        def down(why: str) -> None:
            self._link_down("public", why)
            market.on_down(why)

        market.stream = self._stream(
            "public", f"public/{self._category}", market.on_frame, up, down,
            beat=PUBLIC_BEAT, stale_s=STALE_S,
        )  # fmt: skip

    def _lateness(self) -> Lateness:
        rest = self._rest
        return Lateness(
            {terms.number: terms.item.symbol for terms in self._terms.values()},
            self._setup.late_s or LATE_S, offset=lambda: rest.offset_ns,
            measure=rest.measure_clock, spawn=self._spawn, say=self._say, clock=self._clock,
        )  # fmt: skip

    def _make_trading(self, sink: Sink) -> None:
        ids = self._setup.ids
        assert ids is not None
        by_number = {terms.number: terms for terms in self._terms.values()}
        own = self._own = OwnOrders(ids, by_number, sink.rows, self._clock, notice=self._warn)
        if self._category == "spot":
            for number, terms in by_number.items():
                own.coin_dust(number, self._coins.get(terms.item.base, 0))
        desk = self._desk = Desk(
            self._category, by_number, own, self._rest,
            spawn=self._spawn, on_fault=self._on_fault,
        )  # fmt: skip
        self._private = Private(
            self._account, self._terms, own, desk,
            emit=sink.rows, raw=sink.raw, notice=self._warn, clock=self._clock,
            since_ms=self._since_ms, logs_in=self._setup.stream == "own",
        )  # fmt: skip
        if self._setup.dead_man_s:
            window_s, whose = self._setup.dead_man_s, DCP[self._category].whose
            self._switch = DeadMan(window_s, window_s, self._disconnected, whose, self._note)
        private = self._private
        self._stream(
            "private", "private", private.on_frame, self._private_up, self._private_down,
            beat=PRIVATE_BEAT,
        )  # fmt: skip
        if self._setup.order_entry == "socket":
            desk.trade = self._stream(
                "trade", "trade", self._trade_frame, self._trade_up, self._trade_down,
                beat=PRIVATE_BEAT,
            )  # fmt: skip

    def _stream(
        self,
        name: str,
        path: str,
        on_frame: Callable[[bytes, int], None],
        on_up: Callable[[Stream], Coroutine[Any, Any, None]],
        on_down: Callable[[str], None],
        *,
        beat: Heartbeat,
        stale_s: float = 0.0,
    ) -> Stream:
        options: dict[str, Any] = {
            "on_frame": on_frame, "on_up": on_up, "on_down": on_down, "beat": beat,
            "clock": self._clock, "rng": Random(self._rng.random()), "stale_s": stale_s,
        }  # fmt: skip
        if self._setup.stream == "client" and name != "trade":
            from ._bybit_client import ClientStream

            channel: Any = "private" if name == "private" else self._category
            keys = self._setup.keys if name == "private" else None
            stream: Stream = ClientStream(name, self._servers, channel, keys, **options)
        else:
            stream = Stream(name, f"{self._servers.sockets}/v5/{path}", **options)
        self._streams[name] = stream
        return stream

    async def _bring_up(self, name: str) -> None:
        stream = self._streams[name]
        stream.start()
        up = asyncio.ensure_future(stream.up(UP_S))
        both: tuple[asyncio.Future[Any], ...] = (up, self._stop)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if self._stop.done():
            up.cancel()
            raise self._stop.result()
        if not await up:
            raise NetworkError(
                f"the {name} stream is not up after {UP_S:g} s ({stream.why or 'no answer'})",
                where=self._setup.venue,
                todo="check the network, and the venue's status page",
            )

    async def _private_up(self, stream: Stream) -> None:
        assert self._private is not None
        assert self._market is not None
        try:
            await self._private.on_up(stream)
        except VenueFault as fault:
            self._on_fault(fault)
            raise
        if self._switch is not None:
            await self._switch.arm()
        self._market.renew()
        self._link_up("private")

    def _private_down(self, why: str) -> None:
        assert self._private is not None
        assert self._market is not None
        self._link_down("private", why)
        self._private.on_down(why)
        self._market.open = False
        self._market.stale()

    async def _disconnected(self, seconds: float) -> None:
        """Have the venue cancel every order of the product once this connection, and every other
        that reads the topic, has been away for so long.  Nothing here renews it: being there does.
        """
        assert self._private is not None
        product, topic = DCP[self._category].product, DCP[self._category].topic
        window = round(seconds)
        if window != self._window:
            http = self._rest.http
            await self._rest.ask(http.set_dcp, pool="switch", product=product, timeWindow=window)
            self._window = window
        await self._private.subscribe(self._streams["private"], [topic])

    async def _set_switch(self) -> None:
        """Try again what failed; a connection that comes up tries by itself."""
        if self._switch is not None and self._streams["private"].state == "up":
            await self._switch.again()

    async def _trade_up(self, stream: Stream) -> None:
        assert self._desk is not None
        try:
            await log_in(stream, self._desk.pending, self._rest)
        except VenueFault as fault:
            self._on_fault(fault)
            raise
        self._link_up("trade")

    def _trade_down(self, why: str) -> None:
        assert self._desk is not None
        self._link_down("trade", why)
        self._desk.pending.lost(why)

    def _trade_frame(self, frame: bytes, ts_local_ns: int) -> None:
        assert self._desk is not None
        assert self._sink is not None
        self._sink.raw("trade", frame, ts_local_ns)
        message = orjson.loads(frame)
        if not isinstance(message, dict):
            raise DecodeError("a JSON object was expected")
        self._desk.hear(message)

    # --- trading ----------------------------------------------------------------------------------

    def send(self, requests: npt.NDArray[np.void]) -> None:
        """See the protocol."""
        if self._closed:
            return  # nothing is sent after the end
        assert self._desk is not None, "start, with keys, comes first"
        self._desk.send(requests)

    async def cancel_all(self) -> int:
        """See the protocol."""
        ids, desk = self._setup.ids, self._desk
        assert ids is not None, "keys are needed"
        if desk is None:
            by_number = {terms.number: terms for terms in self._terms.values()}
            own = OwnOrders(ids, by_number, lambda _: None, self._clock)
            desk = Desk(
                self._category, by_number, own, self._rest,
                spawn=self._spawn, on_fault=self._on_fault,
            )  # fmt: skip
        seen: set[str] = set()
        for sweep in range(SWEEPS):
            if sweep:
                await asyncio.sleep(SWEEP_S * min(sweep, 5))
            try:
                with understood("the list of open orders"):
                    reading = await self._account.reading(self._terms, self._clock())
            except VenueError as error:
                if isinstance(error, VenueFault) and error.action is Action.STOP:
                    raise
                continue  # it is asked again
            ours = [one for one in reading.news if ids.own(one.client_id)]
            if not ours:
                return len(seen)
            seen |= {one.client_id for one in ours}
            await desk.sweep([(one.terms, one.client_id) for one in ours])
        raise VenueError(
            f"own orders may remain open after {SWEEPS} attempts to cancel them",
            where=self._setup.venue,
            todo="cancel them on Bybit's page",
        )

    async def close(self) -> None:
        """See the protocol."""
        await self._end_tasks()
        for stream in reversed(self._streams.values()):
            await stream.close()
        await self._rest.close()

    def health(self) -> Health:
        """See the protocol."""
        own = self._own
        return Health(
            links={
                name: f"down: {stream.why}" if stream.state == "down" else stream.state
                for name, stream in self._streams.items()
            },
            clock_offset_ns=self._rest.offset_ns,
            budget_left=self._budget.left,
            n_unknown=own.n_in_doubt if own else 0,
            n_reconnects=sum(stream.n_reconnects for stream in self._streams.values()),
            n_duplicates=own.n_duplicates if own else 0,
        )

    # --- upkeep -----------------------------------------------------------------------------------

    def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def loop() -> None:
            while True:
                await asyncio.sleep(seconds)
                try:
                    with understood("an answer"):
                        await work()
                except NetworkError:
                    continue  # the stream's state says it, and it is tried again
                except VenueFault as fault:
                    self._on_fault(fault)
                except VenueError as error:
                    self._fault(error)

        self._spawn(loop())

    async def _resolve(self) -> None:
        assert self._private is not None
        await self._private.resolve()

    async def _refill(self) -> None:
        assert self._private is not None
        if self._streams["private"].state == "up":
            await self._private.refill()

    async def _check(self) -> None:
        assert self._market is not None
        self._market.check()

    async def _measure(self) -> None:
        await self._rest.measure_clock()

    def _on_fault(self, fault: VenueFault) -> None:
        """A refusal that concerns more than its order; of each kind one is told in a while."""
        now = self._monotonic()
        if now - self._told_ns.get(fault.code, -QUIET_NS) < QUIET_NS:
            return
        self._told_ns[fault.code] = now
        if fault.code in CLOCK_CODES:
            self._spawn(self._measure())
        self._fault(fault)

    def _failed(self, error: VenueError) -> None:
        self._fault(error)

    def _fault(self, error: VenueError) -> None:
        if isinstance(error, VenueFault) and error.action is Action.STOP:
            assert self._sink is not None
            if self._started:
                self._sink.fatal(error)
            elif not self._stop.done():
                self._stop.set_result(error)  # start raises it
        else:
            self._warn(str(error))

    def _warn(self, text: str) -> None:
        self._note("warning", text)

    def _note(self, level: Literal["info", "warning", "error"], text: str) -> None:
        if self._sink is not None:
            self._sink.notice(level, text)

    @staticmethod
    def _monotonic() -> int:
        return round(asyncio.get_running_loop().time() * 1e9)


__all__ = ["BybitGateway"]
