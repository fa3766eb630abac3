"""The Bybit gateway against the exchange in the box, with the real engine deciding what to send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import uvloop

from mmcore._book import Book
from mmcore._engine import Account, Market, Ring, Trader
from mmcore._orders import Orders
from mmcore._pump import Pump, restamp
from mmcore._quotes import TwoSidedStrategy
from mmcore._rate import RateLimiter
from mmcore._signals import Signals
from mmcore.adapters import _bybit_account as bybit_account
from mmcore.adapters import _bybit_words as words
from mmcore.box.faults import Do
from mmcore.box.server import Box
from mmcore.errors import MmcoreError, VenueError
from mmcore.events import (
    EVENT,
    REQUEST,
    Kind,
    PaidCode,
    RejectCode,
    RequestKind,
    Status,
    TimeInForce,
)
from mmcore.gateway import ClientIds, Gateway, Keys, Prepared, Rows, Setup
from mmcore.venue import decoder

IDS = ClientIds("0123456789ab", 3)
CLASSES = ("bybit-linear", "bybit-spot")
PLACE, AMEND, CANCEL = RequestKind.PLACE, RequestKind.AMEND, RequestKind.CANCEL


class Shop:
    """A trader, its gateway, and everything that either was told."""

    def __init__(self, quoting: bool) -> None:
        self.quoting = quoting
        self.gateway: Gateway
        self.prepared: Prepared
        self.pump: Pump | None = None
        self.trader: Trader
        self.answers: list[np.void] = []
        self.n_requests: dict[int, int] = {1: 0, 2: 0, 3: 0}
        self.n_answers: dict[str, int] = {}
        self.trades: set[int] = set()
        self.coin_paid = self.fees = 0
        self.notices: list[str] = []
        self.errors: list[MmcoreError] = []
        self.raw_channels: set[str] = set()
        self.touch = (0, 0)

    def take_on(self, prepared: Prepared) -> None:
        """The trader for what was prepared."""
        self.prepared = prepared
        item = prepared.instruments[0]
        spec = item.spec(0)
        assert prepared.account is not None
        start = prepared.account.positions[0]
        spot = item.venue == "bybit-spot"
        self.ring = Ring(1 << 16)
        self.trader = Trader(
            Market(spec, Book(spec), Signals((1, 5), tick_window=100)),
            TwoSidedStrategy(
                target_liquidity=0.02,
                half_spread=0.1,
                max_bps_diff=0.0,
                book_imbalance_factor=1.0,
                max_skew_bps=0.1,
                max_absolute_position_size=0.2,
                asset_type="spot" if spot else "perp",
            ),
            orders=Orders(requote_bps=0.0),
            rate=RateLimiter(60, reserve=10),
            account=Account(),
            ring=self.ring,
            batch=10,
            pause_ns=20_000_000,
            position_start=start,
            base_target=start if spot else 0,
        )
        self.pump = Pump([self.trader])

    # Sink

    def rows(self, rows: Rows) -> None:
        own = np.ascontiguousarray(rows).copy()
        self.note(own)
        assert self.pump is not None
        restamp(own, self.pump.now_ns)
        while len(own):
            asked = self.pump.feed(own).copy()
            own = own[self.pump.taken :]
            drained = np.zeros(1 << 16, np.uint8)
            while self.ring.drain(drained):
                pass
            if len(asked) and self.quoting:
                for kind in (1, 2, 3):
                    self.n_requests[kind] += int((asked["kind"] == kind).sum())
                self.gateway.send(asked)

    def note(self, rows: Rows) -> None:
        i = 0
        while i < len(rows):
            row = rows[i]
            kind = Kind(int(row["kind"]))
            if kind is Kind.DEPTH:
                i += (int(row["n_bids"]) + int(row["n_asks"]) + 3) // 4
            elif Kind.ACK <= kind <= Kind.CANCELLED or kind in {Kind.PAID, Kind.LINK_DOWN}:
                self.answers.append(row.copy())
                self.n_answers[kind.name] = self.n_answers.get(kind.name, 0) + 1
                if kind is Kind.FILL:
                    assert int(row["seq"]) not in self.trades, "a fill was told twice"
                    self.trades.add(int(row["seq"]))
                    self.fees += int(row["aux"])
                elif kind is Kind.PAID and row["code"] == PaidCode.COIN_FEE:
                    self.coin_paid += int(row["qty"])
            i += 1

    def raw(self, channel: str, frame: bytes, ts_local_ns: int) -> None:
        self.raw_channels.add(channel)

    def notice(self, level: str, text: str) -> None:
        self.notices.append(text)

    def fatal(self, error: MmcoreError) -> None:
        self.errors.append(error)

    # by hand

    def send(self, *requests: dict[str, int]) -> None:
        rows = np.zeros(len(requests), REQUEST)
        for row, fields in zip(rows, requests, strict=True):
            for name, value in {"generation": 1, **fields}.items():
                row[name] = value
        self.gateway.send(rows)

    def told(self) -> list[tuple[str, int, int, int]]:
        """Answers since the last look: kind, slot, quantity, code."""
        answers, self.answers = self.answers, []
        return [
            (Kind(int(r["kind"])).name, int(r["slot"]), int(r["qty"]), int(r["code"]))
            for r in answers
        ]

    async def until(self, *kinds: str, n: int = 1) -> list[tuple[str, int, int, int]]:
        """Answers until one of each kind named, and n in all, have come."""
        end = time.monotonic() + 8.0
        found: list[tuple[str, int, int, int]] = []
        while len(found) < n or not set(kinds) <= {kind for kind, *_ in found}:
            assert time.monotonic() < end, f"waited for {kinds}, got {found}; {self.notices}"
            await asyncio.sleep(0.005)
            found += self.told()
        return found

    def best(self) -> tuple[int, int]:
        book = self.trader.market.book
        return int(book.levels(1, 1)["tick"][0]), int(book.levels(-1, 1)["tick"][0])


Play = Callable[[Box, Shop], Awaitable[None]]


def setup_of(box: Box, venue: str, account: int = 0, **more: Any) -> Setup:
    keys = [a for a in box.accounts if a.venue == "bybit"][account].credentials
    given: dict[str, Any] = {
        "venue": venue, "symbols": ("BTCUSDT",), "numbers": (0,), "environment": "loopback",
        "base": f"127.0.0.1:{box.port}", "keys": Keys(keys.key, keys.secret), "ids": IDS,
        "leverage": (10,), "clock": time.time_ns,
    }  # fmt: skip
    return Setup(**given | more)


def gateway_of(venue: str, setup: Setup) -> Gateway:
    adapter: Any = decoder(venue)
    made: Gateway = adapter.gateway(setup)
    return made


def run(
    play: Play,
    venue: str = "bybit-linear",
    *,
    quoting: bool = False,
    scale: float = 20.0,
    **more: Any,
) -> Shop:
    """Play against a box of one's own, and look at the books of both sides at the end."""

    async def main() -> Shop:
        async with asyncio.timeout(45), Box.open(seed=5, limits_scale=scale) as box:
            shop = Shop(quoting)
            shop.gateway = gateway_of(venue, setup_of(box, venue, **more))
            try:
                shop.take_on(await shop.gateway.prepare())
                await shop.gateway.start(shop)
                for _ in range(500):
                    await asyncio.sleep(0.01)
                    if shop.trader.state()["status"] == Status.OK:
                        break
                await play(box, shop)
            finally:
                await shop.gateway.close()
            assert shop.errors == []
            return shop

    # Live runs on uvloop; anything else has to do as well.
    return uvloop.run(main()) if venue == "bybit-linear" else asyncio.run(main())


async def even(box: Box, shop: Shop) -> None:
    """Stop the trader, and compare: the engine, the box, and REST."""
    shop.trader.stop()
    timer = np.zeros(1, EVENT)
    timer["kind"] = Kind.TIMER
    shop.rows(timer)
    account = next(a for a in box.accounts if a.venue == "bybit")
    item = shop.prepared.instruments[0]
    floor = next(f for f in box.exchange.floors if (f.venue, f.symbol) == (item.venue, item.symbol))
    for _ in range(200):
        await asyncio.sleep(0.05)
        if shop.trader.n_open == 0 and position(shop, account, floor) == held(shop):
            break
    assert shop.trader.orders.open() == []
    assert await shop.gateway.cancel_all() == 0
    assert account.orders() == []
    assert held(shop) == position(shop, account, floor)
    mine = {fill.trade_id for fill in account.fills}
    assert len(shop.trades) == len(mine), "fills lost or doubled"
    truth = await shop.gateway.account()
    assert truth.orders == ()
    assert truth.positions[0] == held(shop)
    assert shop.prepared.account is not None
    before, after = shop.prepared.account.balances["USDT"], truth.balances["USDT"]
    state = shop.trader.state()
    if item.venue == "bybit-linear":
        gained = state["realised"] - state["fees"] + state["funding"]
        assert after.total - before.total == gained, "money"
        assert state["fees"] == sum(fill.fee for fill in account.fills)
    else:
        value = sum(fill.order.side * fill.value for fill in account.fills)
        paid = sum(fill.fee for fill in account.fills if fill.fee_asset == "USDT")
        assert before.total - after.total == value + paid
        assert shop.fees == paid


def held(shop: Shop) -> int:
    return shop.trader.state()["position"]


def position(shop: Shop, account: Any, floor: Any) -> int:
    if floor.venue == "bybit-linear":
        return int(account.position(floor).qty)
    item = shop.prepared.instruments[0]
    return int(account.wallets["unified"].balances["BTC"] * item.qty_per_one // 10**8)


# --- one thing at a time --------------------------------------------------------------------------


@pytest.mark.parametrize("venue", CLASSES)
@pytest.mark.parametrize("entry", ["socket", "rest"])
def test_place_amend_cancel_fill(venue: str, entry: str):
    async def play(box: Box, shop: Shop) -> None:
        item = shop.prepared.instruments[0]
        qty = item.to_qty("0.01")
        bid, ask = shop.best()
        shop.send(*({"kind": PLACE, "slot": i, "side": 1, "tick": bid - 900 - i, "qty": qty,
                     "batch": 1 if i else 0} for i in range(4)))  # fmt: skip
        told = await shop.until(n=4)
        assert sorted(told) == [("ACK", i, qty, 0) for i in range(4)]
        shop.send(
            {"kind": AMEND, "slot": 0, "side": 1, "tick": bid - 800, "qty": 2 * qty},
            {"kind": CANCEL, "slot": 1, "side": 1},
        )
        told = await shop.until("AMENDED", "CANCELLED")
        assert sorted(told) == [("AMENDED", 0, 2 * qty, 0), ("CANCELLED", 1, qty, 0)]
        shop.send({"kind": PLACE, "slot": 5, "side": 1, "tick": ask + 500, "qty": qty})
        assert await shop.until("EXPIRED") == [("EXPIRED", 5, qty, RejectCode.POST_ONLY)]
        shop.send({"kind": PLACE, "slot": 6, "side": 1, "tick": ask + 500, "qty": qty,
                   "tif": TimeInForce.IOC})  # fmt: skip
        told = await shop.until("FILL")
        assert told[0] == ("ACK", 6, qty, 0) and sum(q for k, _, q, _ in told if k == "FILL") == qty
        shop.send({"kind": AMEND, "slot": 0, "side": 1, "tick": bid - 800, "qty": 2 * qty})
        assert await shop.until("AMENDED") == [("AMENDED", 0, 2 * qty, 0)]  # already so
        assert await shop.gateway.cancel_all() == 3
        assert (await shop.gateway.account()).orders == ()

    shop = run(play, venue, order_entry=entry)
    assert shop.raw_channels == {"public", "private", *(["trade"] if entry == "socket" else [])}


def test_a_batch_with_a_bad_item_fails_by_item():
    async def play(box: Box, shop: Shop) -> None:
        qty = 10
        bid, _ = shop.best()
        shop.send(
            {"kind": PLACE, "slot": 0, "side": 1, "tick": bid - 900, "qty": qty},
            {"kind": PLACE, "slot": 1, "side": 1, "tick": 100, "qty": qty},
            {"kind": PLACE, "slot": 2, "side": 1, "tick": bid - 901, "qty": 10**9},
            {"kind": PLACE, "slot": 3, "side": 1, "tick": bid - 902, "qty": qty},
        )
        told = await shop.until(n=4)
        assert [(kind, slot) for kind, slot, _, _ in sorted(told)] == [
            ("ACK", 0), ("ACK", 3), ("REJECT", 1), ("REJECT", 2),
        ]  # fmt: skip

    run(play)


def test_orders_of_an_earlier_start_are_swept():
    async def play(box: Box, shop: Shop) -> None:
        shop.send({"kind": PLACE, "slot": 0, "side": 1, "tick": shop.best()[0] - 900, "qty": 10})
        await shop.until("ACK")
        later = gateway_of("bybit-linear", setup_of(box, "bybit-linear", ids=replace(IDS, epoch=4)))
        found = (await later.prepare()).account.orders
        assert [(o.own, o.qty, o.done) for o in found] == [(True, 10, 0)]
        assert await later.cancel_all() == 1
        await later.close()
        assert await shop.until("CANCELLED") == [("CANCELLED", 0, 10, 0)]

    run(play)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda a: a.permissions.discard("trade"), "trading permission"),
        (lambda a: setattr(a, "hedge_mode", True), ""),
    ],
)
def test_what_would_keep_trading_from_working(spoil: Callable[[Any], None], said: str):
    async def main() -> None:
        async with asyncio.timeout(20), Box.open(seed=5) as box:
            spoil(next(a for a in box.accounts if a.venue == "bybit"))
            gateway = gateway_of("bybit-linear", setup_of(box, "bybit-linear"))
            try:
                if said:
                    with pytest.raises(VenueError, match=said):
                        await gateway.prepare()
                else:
                    await gateway.prepare()  # switched to one-way
            finally:
                await gateway.close()

    asyncio.run(main())


@pytest.mark.parametrize(("rows", "fine"), [([0], True), ([1, 2], False), ([], False)])
def test_a_mode_that_cannot_be_switched_is_looked_at(rows: list[int], fine: bool):
    """Bybit may refuse to confirm a mode while a position is open."""

    class Answers:
        http = Mock()

        async def ask(self, method: Any, **query: Any) -> Any:
            if method is self.http.switch_position_mode:
                raise words.CODES.fault(110024, "existing position", where="bybit")
            return {"result": {"list": [{"positionIdx": each} for each in rows]}}

    account = bybit_account.Account("bybit-linear", "linear", ["BTCUSDT"], Answers())
    if fine:
        asyncio.run(account._one_way("BTCUSDT"))
    else:
        with pytest.raises(VenueError, match="one-way positions"):
            asyncio.run(account._one_way("BTCUSDT"))


@pytest.mark.parametrize("what", ["symbol", "key", "nobody"])
def test_refused_before_anything_is_started(what: str):
    async def main() -> None:
        async with asyncio.timeout(30), Box.open(seed=5) as box:
            setup = setup_of(box, "bybit-linear")
            if what == "symbol":
                setup = replace(setup, symbols=("NOSUCHUSDT",))
            elif what == "key":
                setup = replace(setup, keys=Keys("K" * 18, "S" * 36))
            else:
                setup = replace(setup, base="127.0.0.1:9")
            gateway = gateway_of("bybit-linear", setup)
            with pytest.raises(VenueError) as caught:
                await gateway.prepare()
            assert "S" * 36 not in str(caught.value)
            await gateway.close()

    asyncio.run(main())


def test_public_data_alone_needs_no_keys():
    async def main() -> None:
        async with asyncio.timeout(20), Box.open(seed=5) as box:
            setup = setup_of(box, "bybit-linear", keys=None, ids=None)
            gateway = gateway_of("bybit-linear", setup)
            prepared = await gateway.prepare()
            assert prepared.account is None
            kinds: set[int] = set()

            class Watch(Shop):
                def rows(self, rows: Rows) -> None:
                    kinds.update(rows["kind"].tolist())

            await gateway.start(Watch(False))
            for _ in range(300):
                await asyncio.sleep(0.02)
                if {Kind.DEPTH, Kind.TRADE, Kind.MARK} <= kinds:
                    break
            assert {Kind.DEPTH, Kind.TRADE, Kind.MARK, Kind.FUNDING} <= kinds
            assert gateway.health().links == {"public": "up"}
            await gateway.close()

    asyncio.run(main())


# --- a trader at work, and what goes wrong --------------------------------------------------------


async def work(shop: Shop, seconds: float) -> None:
    await asyncio.sleep(seconds)
    assert sum(shop.n_requests.values()) > 5 * seconds, shop.notices


@pytest.mark.parametrize("venue", CLASSES)
def test_the_books_agree_after_a_few_seconds_of_quoting(venue: str):
    async def play(box: Box, shop: Shop) -> None:
        await work(shop, 1.0)
        await even(box, shop)

    run(play, venue, quoting=True)


@pytest.mark.slow
@pytest.mark.parametrize("venue", CLASSES)
def test_the_vendors_own_sockets_tell_the_same(venue: str):
    async def play(box: Box, shop: Shop) -> None:
        await work(shop, 1.0)
        box.faults.apply(do=Do.CUT, where="socket:*", venue="bybit", count=0, seconds=0.2)
        await asyncio.sleep(1.0)
        await even(box, shop)
        assert shop.gateway.health().n_reconnects >= 2

    run(play, venue, quoting=True, stream="client")


FAULTS: dict[str, list[dict[str, Any]]] = {
    "private frames lost": [{"do": Do.DROP, "where": "stream:order", "count": 5, "after_n": 2},
                            {"do": Do.DROP, "where": "stream:fill", "count": 3}],
    "private frames doubled": [{"do": Do.DUPLICATE, "where": "stream:*", "count": 0, "seconds": 3.0,
                                "chance": 0.3}],
    "private frames out of order": [{"do": Do.REORDER, "where": "stream:order", "seconds": 3.0},
                                    {"do": Do.REORDER, "where": "stream:fill", "seconds": 3.0}],
    "private frames late": [{"do": Do.DELAY, "where": "stream:order", "ms": 400.0, "seconds": 3.0},
                            {"do": Do.FREEZE, "where": "stream:fill", "seconds": 1.0}],
    "acknowledgements lost": [{"do": Do.LOST_ACK, "where": "request:*", "count": 4, "after_n": 5}],
    "acknowledgements late": [{"do": Do.LATE_ACK, "where": "request:*", "ms": 700.0, "count": 4}],
    "requests lost": [{"do": Do.DROP, "where": "call:*", "count": 3, "after_n": 5}],
    "depth doubled": [{"do": Do.DUPLICATE, "where": "stream:depth", "count": 9, "after_n": 20}],
    "depth out of order": [{"do": Do.REORDER, "where": "stream:depth", "count": 5, "after_n": 20}],
    "depth lost": [{"do": Do.DROP, "where": "stream:depth", "count": 3, "after_n": 20}],
    "every socket cut": [{"do": Do.CUT, "where": "socket:*", "at_s": 0.7, "count": 3}],
    "half-open private": [{"do": Do.HALF_OPEN, "where": "socket:*private*", "at_s": 0.5}],
    "a clock that jumps": [{"do": Do.JUMP, "where": "clock", "at_s": 0.5, "ms": -20_000.0}],
    "too many requests": [{"do": Do.REPLY, "where": "request:*", "status": 200, "code": 10006,
                           "count": 5, "after_n": 5}],
    "a race against a cancel": [{"do": Do.RACE, "where": "order", "count": 5}],
    "a restart": [{"do": Do.RESTART, "where": "box", "at_s": 0.7, "seconds": 1.0}],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("venue", CLASSES)
@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_survived(name: str, venue: str):
    async def play(box: Box, shop: Shop) -> None:
        for line in FAULTS[name]:
            everywhere = line["where"] in {"clock", "box"}
            box.faults.apply(**line, venue="" if everywhere else "bybit")
        await asyncio.sleep(6.0)
        await even(box, shop)
        assert box.faults.fired, "the fault never fired"

    run(play, venue, quoting=True)


@pytest.mark.slow
@pytest.mark.parametrize("venue", CLASSES)
def test_within_the_limits_of_the_base_tier(venue: str):
    async def play(box: Box, shop: Shop) -> None:
        await asyncio.sleep(20.0)
        await even(box, shop)
        late = [text for text in shop.notices if "10006" in text]
        assert late == [], "the venue had to say that it was too much"

    run(play, venue, quoting=True, scale=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("venue", CLASSES)
@pytest.mark.parametrize("seed", range(3))
def test_a_bad_day(venue: str, seed: int):
    async def play(box: Box, shop: Shop) -> None:
        rng = Random(seed)
        for _ in range(8):
            for line in FAULTS[rng.choice(sorted(FAULTS))]:
                everywhere = line["where"] in {"clock", "box"}
                box.faults.apply(**line, venue="" if everywhere else "bybit")
            await asyncio.sleep(2.0 * rng.random())
        await asyncio.sleep(3.0)
        await even(box, shop)

    run(play, venue, quoting=True)


@pytest.mark.slow
def test_a_frozen_book_is_not_quoted_on():
    async def play(box: Box, shop: Shop) -> None:
        box.faults.apply(do=Do.FREEZE, where="stream:depth", venue="bybit", seconds=4.0)
        began, stale_s = time.monotonic(), 0.0
        while time.monotonic() < began + 3.0:
            await asyncio.sleep(0.05)
            if not stale_s and shop.trader.state()["status"] != Status.OK:
                stale_s = time.monotonic() - began
        assert 0.0 < stale_s < 2.5
        assert shop.trader.n_open == 0
        await asyncio.sleep(4.0)
        assert shop.trader.state()["status"] == Status.OK
        await even(box, shop)

    run(play, quoting=True)
