"""Trading on Hyperliquid perpetuals: one account, its two connections, and when books may be used.

The market connection carries books, best quotes, prints and contexts; the private one order and
fill news, funding, and the actions themselves.  Whenever the private one is new, orders and fills
are read over HTTP before anything is quoted again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import orjson

from mmcore.errors import MmcoreError, NetworkError, VenueError
from mmcore.events import Kind, PaidCode
from mmcore.gateway import (
    AccountState,
    Action,
    Health,
    Prepared,
    Setup,
    Sink,
    VenueFault,
)
from mmcore.instrument import Instrument, UnknownInstrument, find, from_hyperliquid, with_fees
from mmcore.venue import DecodeError

from ._dead_man import DeadMan
from ._decode import JsonDecoder, Terms
from ._delivery import Delivery
from ._hyperliquid_account import Account
from ._hyperliquid_books import Books
from ._hyperliquid_rest import Rest
from ._hyperliquid_words import ASSET, Coins, balance, funding, items_of
from ._lateness import Lateness
from ._own import OwnOrders, VenueFill
from ._stream import Heartbeat, Stream

if TYPE_CHECKING:  # the extra is needed to trade, not to look
    from ._hyperliquid_desk import Desk
    from ._hyperliquid_signer import Signer

START_S = 15.0
SUBSCRIBE_S = 5.0
STALE_S = 10.0  # without any data
LATE_S = 2.5  # a book is of the last half second, and takes one more from far away
SILENT_S = 3.0  # without a book of one coin: it comes twice a second
CLOCK_EVERY_S, QUOTA_EVERY_S = 600.0, 60.0
SETTLE_NS = 4_000_000_000  # an action is refused three seconds after it was signed
CLOCK_NOTICE_NS = 1_000_000_000
MARKET = ("l2Book", "bbo", "trades", "activeAssetCtx")
PRIVATE = ("orderUpdates", "userFills", "userFundings", "userEvents")
BEAT = Heartbeat("text", every_s=15.0, answer_s=5.0, text=b'{"method":"ping"}')


class HyperliquidGateway(Delivery):
    """See `mmcore.gateway.Gateway` for the methods."""

    def __init__(self, setup: Setup, decoder: type[JsonDecoder]) -> None:
        super().__init__(setup)
        if setup.stream == "client":
            raise VenueError(
                "the library's own sockets never reconnect, so mmcore does not trade on them",
                where=setup.venue, done="nothing was started", todo='set stream = "own"',
            )  # fmt: skip
        self._decoder_type = decoder
        self._rng = Random(setup.seed)
        self._rest = Rest(setup)
        self._signer: Signer | None = None
        if setup.keys is not None:
            from ._hyperliquid_signer import Signer

            self._signer = Signer(setup.keys, mainnet=self._rest.mainnet, now_ms=self._rest.now_ms)
        self._decoder: JsonDecoder | None = None
        self._coins: Coins | None = None
        self._assets: dict[int, int] = {}
        self._books: Books | None = None
        self._desk: Desk | None = None  # with keys only
        self._streams: dict[str, Stream] = {}
        self._acks: dict[str, int] = {}  # subscriptions not yet confirmed, by connection
        self._acked = asyncio.Event()
        self._whole = {"market": False, "private": setup.keys is None}
        self._paid: set[tuple[str, int]] = set()
        self._switch: DeadMan | None = None

    # --- before the streams -----------------------------------------------------------------------

    async def prepare(self) -> Prepared:
        """Clock, instruments, fees, who signs for whom, leverage, account; see `Gateway`."""
        setup = self._setup
        await self._rest.sync_clock()
        meta = await self._rest.info("meta")
        items = self._instruments(meta)
        notices: list[str] = []
        offset_ns = self._rest.clock_offset_ns
        if abs(offset_ns) > CLOCK_NOTICE_NS:
            notices.append(
                f"this machine's clock is {-offset_ns / 1e9:+.1f} s off the venue's; mmcore allows "
                "for it, but set it right"
            )
        if self._signer is not None:
            await self._check_signer(self._signer)
            items = await self._with_fees(items, self._signer.account)
        self._decoder = self._decoder_type(items, setup.numbers)
        self._coins = Coins(self._decoder.terms)
        state = None
        if self._signer is not None:
            desk = self._open_desk(self._signer, self._coins)
            await desk.account.read_quota()
            await self._set_leverage(self._signer, items)
            state, at_ms = await self._read_account()
            desk.mark(at_ms)
            if state.balances[ASSET].total <= 0:
                notices.append("the perpetuals account holds no USDC: no order will be taken")
        return Prepared(
            instruments=items, account=state, notices=tuple(notices), clock_offset_ns=offset_ns
        )

    def _instruments(self, meta: Any) -> tuple[Instrument, ...]:
        setup = self._setup
        try:
            listed = from_hyperliquid(meta)
            items = tuple(find(setup.venue, symbol, listed) for symbol in setup.symbols)
        except UnknownInstrument as error:
            raise VenueError(
                str(error), where=setup.venue, done="nothing was started",
                todo="name a coin of its perpetuals, as BTC",
            ) from None  # fmt: skip
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise VenueError(f"meta cannot be read ({error})", where=setup.venue) from None
        gone = [entry["name"] for entry in meta["universe"] if entry.get("isDelisted")]
        for item in items:
            if item.symbol in gone:
                raise VenueError(
                    "the venue has delisted it", where=str(item), done="nothing was started",
                    todo="take it out of the configuration",
                )  # fmt: skip
        places = {entry["name"]: place for place, entry in enumerate(meta["universe"])}
        self._assets = {
            number: places[item.symbol] for number, item in zip(setup.numbers, items, strict=True)
        }
        return items

    async def _check_signer(self, signer: Signer) -> None:
        """The key must be the account's, or an API wallet's that the account approved."""
        role = await self._rest.info("userRole", user=signer.address)
        role = role if isinstance(role, dict) else {}
        kind, data = role.get("role"), role.get("data")
        leader = data.get("user") if isinstance(data, dict) else None
        where = self._setup.venue
        if signer.account == signer.address:
            if kind == "agent":
                raise VenueError(
                    "this key is an API wallet's, which holds nothing of its own", where=where,
                    done="nothing was started",
                    todo=f"give the address of its account, {leader}, beside the key",
                )  # fmt: skip
            if kind == "missing":
                raise VenueError(
                    f"the venue does not know {signer.address}", where=where,
                    done="nothing was started", todo="deposit USDC there, or give another key",
                )  # fmt: skip
        elif kind != "agent" or str(leader).lower() != signer.account:
            raise VenueError(
                f"the key of {signer.address} may not sign for {signer.account}", where=where,
                done="nothing was started",
                todo="approve it as an API wallet of that account on the venue's own page",
            )  # fmt: skip

    async def _with_fees(
        self, items: tuple[Instrument, ...], account: str
    ) -> tuple[Instrument, ...]:
        answer = await self._rest.info("userFees", user=account)
        try:
            rates = (float(answer[key]) * 1e4 for key in ("userAddRate", "userCrossRate"))
            maker, taker = (round(rate, 6) for rate in rates)  # 0.00015 is 1.5, not a bit less
        except (KeyError, TypeError, ValueError):
            raise VenueError("userFees cannot be read", where=self._setup.venue) from None
        return tuple(with_fees(item, maker, taker) for item in items)

    async def _set_leverage(self, signer: Signer, items: tuple[Instrument, ...]) -> None:
        from ._hyperliquid_signer import leverage_action

        wanted = self._setup.leverage or (None,) * len(items)
        for item, number, leverage in zip(items, self._setup.numbers, wanted, strict=True):
            if leverage is None:
                continue
            action = leverage_action(self._assets[number], leverage)
            answer = await self._rest.act(signer.payload(action), 1, cancel=False)
            error = items_of(answer, 1)[0].error
            if error:
                raise VenueError(
                    f"leverage {leverage} was refused: {error}", where=str(item),
                    done="nothing was started", todo="choose a leverage that the venue allows",
                )  # fmt: skip

    def _open_desk(self, signer: Signer, coins: Coins) -> Desk:
        from ._hyperliquid_desk import Desk

        setup = self._setup
        assert setup.ids is not None
        terms: dict[int, Terms] = {one.number: one for one in coins.of.values()}
        own = OwnOrders(
            setup.ids, terms, self._emit, setup.clock, settle_ns=SETTLE_NS,
            notice=lambda text: self._say("warning", text),
        )  # fmt: skip
        desk = self._desk = Desk(
            Account(self._rest, signer.account, coins), signer, own, self._assets,
            spawn=self._spawn, on_fault=self._fault, on_foreign=self._foreign,
            socket=self._send_private if setup.order_entry == "socket" else None,
            clock=setup.clock,
        )  # fmt: skip
        return desk

    async def account(self) -> AccountState:
        """The truth over REST, now."""
        state, _ = await self._read_account()
        return state

    async def _read_account(self) -> tuple[AccountState, int]:
        """With the venue's time of the reading, ms."""
        assert self._signer is not None
        assert self._desk is not None
        assert self._coins is not None
        orders = [self._desk.venue_order(news) for news in await self._desk.account.open_orders()]
        held = await self._rest.info("clearinghouseState", user=self._signer.account)
        try:
            state = AccountState(
                orders=tuple(orders),
                positions=self._coins.positions(held),
                balances={ASSET: balance(held)},
            )
            return state, int(held.get("time", self._rest.now_ms()))
        except (DecodeError, TypeError, ValueError) as error:
            raise VenueError(
                f"clearinghouseState cannot be read ({error})", where=self._setup.venue
            ) from None

    # --- streams ----------------------------------------------------------------------------------

    async def start(self, sink: Sink) -> None:
        """Open the streams; see `Gateway.start`."""
        assert self._decoder is not None, "prepare() comes first"
        self._sink = sink
        setup = self._setup
        self._books = Books(
            self._decoder, emit=self._emit, notice=lambda text: self._say("warning", text),
            lateness=self._lateness(),
        )  # fmt: skip
        if self._desk is not None:
            self._open("private", stale_s=0.0)
            await self._wait_up("private")
            await self._arm(setup.dead_man_s)
            self._spawn(self._desk.resolve())
        self._open("market", stale_s=STALE_S)
        await self._wait_up("market")
        self._spawn(self._watch_books())
        if not await self._books.whole(START_S):
            raise NetworkError(
                f"no book within {START_S:g} s", where=setup.venue,
                todo="look at the network, and at Hyperliquid's status page",
            )  # fmt: skip
        self._spawn(self._keep())

    def _lateness(self) -> Lateness:
        assert self._coins is not None
        setup, rest = self._setup, self._rest
        return Lateness(
            {terms.number: coin for coin, terms in self._coins.of.items()},
            setup.late_s or LATE_S, offset=lambda: rest.clock_offset_ns, measure=rest.sync_clock,
            spawn=self._spawn, say=self._say, clock=setup.clock,
        )  # fmt: skip

    def _open(self, part: str, stale_s: float) -> None:
        setup = self._setup
        frame = self._market_frame if part == "market" else self._private_frame

        async def up(stream: Stream) -> None:
            await self._up(part, stream)

        def down(why: str) -> None:
            self._down(part, why)

        stream = self._streams[part] = Stream(
            f"{setup.venue} {part}", self._rest.socket_url, on_frame=frame, on_up=up, on_down=down,
            beat=BEAT, clock=setup.clock, rng=self._rng, stale_s=stale_s,
        )  # fmt: skip
        stream.start()

    async def _wait_up(self, part: str) -> None:
        stream = self._streams[part]
        if not await stream.up(START_S):
            raise NetworkError(
                f"{stream.name} is not up within {START_S:g} s ({stream.why or 'no reason'})",
                where=self._setup.venue, todo="look at the network",
            )  # fmt: skip

    async def _up(self, part: str, stream: Stream) -> None:
        """Subscribe, wait until all is confirmed; on the private side read what was missed."""
        assert self._books is not None
        wanted = self._subscriptions(part)
        self._acks[part] = len(wanted)
        if part == "market":
            self._books.subscribed(self._rest.now_ms())
        for subscription in wanted:
            stream.send(orjson.dumps({"method": "subscribe", "subscription": subscription}))
        async with asyncio.timeout(SUBSCRIBE_S):
            while self._acks[part] > 0:
                self._acked.clear()
                await self._acked.wait()
        if part == "private" and self._desk is not None:
            await self._desk.refill()
        self._gate(part, True)
        self._link_up(part)

    def _subscriptions(self, part: str) -> list[dict[str, Any]]:
        if part == "private":
            assert self._signer is not None
            return [{"type": kind, "user": self._signer.account} for kind in PRIVATE]
        assert self._decoder is not None
        coins = [item.symbol for item in self._decoder.instruments]
        return [{"type": kind, "coin": coin} for kind in MARKET for coin in coins]

    def _down(self, part: str, why: str) -> None:
        self._link_down(part, why)
        if part == "private" and self._desk is not None:
            self._desk.link_lost(why)
        self._gate(part, False)

    def _gate(self, part: str, whole: bool) -> None:
        """The books follow: open while everything that quoting stands on is whole."""
        self._whole[part] = whole
        if self._books is None:
            return
        if all(self._whole.values()):
            self._books.open()
        else:
            self._books.shut(self._setup.clock())

    def _market_frame(self, frame: bytes, ts_local_ns: int) -> None:
        assert self._sink is not None
        assert self._books is not None
        self._sink.raw("market", frame, ts_local_ns)
        if self._acks.get("market", 0) and self._is_ack("market", frame):
            return
        self._books.frame(frame, ts_local_ns)

    def _is_ack(self, part: str, frame: bytes) -> bool:
        """Whether a frame confirms a subscription; what refuses one drops the connection."""
        if b'"subscriptionResponse"' not in frame[:64] and b'"error"' not in frame[:32]:
            return False
        message = orjson.loads(frame)
        if message.get("channel") == "error":
            raise VenueError(f"a subscription was refused: {str(message.get('data'))[:200]}")
        self._acks[part] -= 1
        self._acked.set()
        return True

    def _private_frame(self, frame: bytes, ts_local_ns: int) -> None:
        assert self._sink is not None
        assert self._desk is not None
        self._sink.raw("private", frame, ts_local_ns)
        if self._acks.get("private", 0) and self._is_ack("private", frame):
            return
        message = orjson.loads(frame)
        channel, data = message.get("channel"), message.get("data")
        if channel == "post":
            self._desk.post_answer(data if isinstance(data, dict) else {})
        elif channel == "orderUpdates":
            self._desk.updates(data)
        elif channel == "userFills":
            self._desk.fills(data.get("fills"))
        elif channel == "userFundings":
            self._fundings(data.get("fundings"), ts_local_ns)
        elif channel == "user":
            self._user_event(data if isinstance(data, dict) else {})
        elif channel == "error":
            self._say("warning", f"the venue refused a message: {str(data)[:200]}")

    def _fundings(self, rows: Any, ts_local_ns: int) -> None:
        """Payments since the account was read, each once."""
        assert self._desk is not None
        assert self._coins is not None
        for row in rows if isinstance(rows, list) else ():
            paid = funding(row)
            key = (paid.coin, paid.ms)
            terms = self._coins.of.get(paid.coin)
            late = paid.ms * 1_000_000 > self._desk.since_ns
            if terms is None or key in self._paid or not late:
                continue
            self._paid.add(key)
            self._emit(
                terms.row(
                    Kind.PAID, paid.ms * 1_000_000, ts_local_ns,
                    code=int(PaidCode.FUNDING), aux=paid.quanta, seq=paid.ms,
                )
            )  # fmt: skip

    def _user_event(self, data: Mapping[str, Any]) -> None:
        if "liquidation" in data:
            self._fatal(
                VenueError(
                    "Hyperliquid liquidated the account", where=self._setup.venue,
                    done="mmcore stops",
                    todo="look at the account's margin before the next start",
                )
            )  # fmt: skip
        elif "nonUserCancel" in data:
            n = len(data["nonUserCancel"])
            self._say("info", f"the venue cancelled {n} order{'s' if n != 1 else ''} by itself")

    async def _keep(self) -> None:
        """What has to be asked from time to time, until cancelled."""
        n = 0
        while True:
            await asyncio.sleep(QUOTA_EVERY_S)
            n += 1
            try:
                if self._desk is not None:
                    await self._desk.account.read_quota()
                if n * QUOTA_EVERY_S % CLOCK_EVERY_S == 0:
                    await self._rest.sync_clock()
            except VenueError as error:
                self._say("warning", f"the venue was not asked in time: {error}")

    async def _watch_books(self) -> None:
        """No quotes on a book that stopped coming, whatever else still comes; until cancelled."""
        assert self._books is not None
        while True:
            await asyncio.sleep(SILENT_S / 12)
            names = self._books.silent(self._setup.clock(), round(SILENT_S * 1e9))
            late = self._books.late()
            if names or late:
                why = f"no book of {names} for {SILENT_S:g} s" if names else late
                self._streams["market"].recycle(why)

    # --- orders -----------------------------------------------------------------------------------

    def send(self, requests: npt.NDArray[np.void]) -> None:
        """Send REQUEST rows of one step; see `Gateway.send`."""
        assert self._desk is not None, "a gateway without keys takes no orders"
        self._desk.send(requests)

    async def cancel_all(self) -> int:
        """Cancel every own order and verify; see `Gateway.cancel_all`."""
        assert self._desk is not None, "a gateway without keys has no orders"
        return await self._desk.cancel_all()

    async def _arm(self, window_s: float) -> None:
        """Set the dead man's switch before the first order."""
        if window_s:
            # Each renewal is one of the requests that an account has: not more than needed.
            self._switch = DeadMan(
                window_s, window_s / 2, self.schedule_cancel, "every order of the account",
                self._say,
            )  # fmt: skip
            await self._switch.arm()
            self._spawn(self._switch.keep())

    async def schedule_cancel(self, after_s: float) -> None:
        """Have the venue cancel every order of the account after so long, at least 5 s; 0: no
        more.  Raises VenueError where it refuses: it allows ten such cancels a day."""
        from ._hyperliquid_signer import schedule_action

        assert self._signer is not None, "a gateway without keys has no orders"
        at_ms = self._rest.now_ms() + round(after_s * 1000) if after_s else None
        self._rest.quota.take(1, True)
        payload = self._signer.payload(schedule_action(at_ms))
        answer = await self._rest.act(payload, 1, cancel=True)
        try:
            error = items_of(answer, 1)[0].error
        except DecodeError as unread:
            error = f"an answer that cannot be read ({unread})"
        if error:
            raise VenueError(f"the scheduled cancel was refused: {error}", where=self._setup.venue)

    def _send_private(self, frame: bytes) -> bool:
        stream = self._streams.get("private")
        return stream is not None and stream.state == "up" and stream.send(frame)

    def _foreign(self, fill: VenueFill) -> None:
        """A fill of an order that is nobody's here."""
        assert self._coins is not None
        coin = next(c for c, terms in self._coins.of.items() if terms.number == fill.instrument)
        self._say(
            "warning",
            f"{coin}: an order that is not of this run was filled: the position differs from what "
            "mmcore counts",
        )

    def _failed(self, error: VenueError) -> None:
        self._fault(error)

    def _fault(self, error: MmcoreError) -> None:
        """A refusal, or an answer that cannot be used: what somebody has to know or do."""
        if isinstance(error, NetworkError) and self._lost:
            return  # the line about the connections says it
        if isinstance(error, VenueFault) and error.action is Action.STOP:
            self._fatal(error)
        else:
            self._say("warning", str(error))

    async def close(self) -> None:
        """Close everything; idempotent."""
        await self._end_tasks()
        if self._switch is not None and self._desk is not None and not self._desk.own.live:
            await self._switch.disarm()
        for stream in self._streams.values():
            await stream.close()
        await self._rest.close()

    def health(self) -> Health:
        """How the connections and the budget are."""
        links = {
            part: f"down: {stream.why}" if stream.state == "down" else stream.state
            for part, stream in self._streams.items()
        }
        own = self._desk.own if self._desk else None
        quota = self._rest.quota
        share = quota.left / quota.cap if own and quota.cap else 1.0
        return Health(
            links=links,
            clock_offset_ns=self._rest.clock_offset_ns,
            budget_left=max(min(self._rest.budget.left, share), 0.0),
            n_unknown=own.n_in_doubt if own else 0,
            n_reconnects=sum(stream.n_reconnects for stream in self._streams.values()),
            n_duplicates=own.n_duplicates if own else 0,
        )


__all__ = ["HyperliquidGateway"]
