"""Binance gateways when things go wrong: nothing is lost, nothing is sent twice, books are true."""

import asyncio
import logging
from random import Random

import pytest
from binance_trader import settle, setup_of, trading

from mmcore.box.faults import Do
from mmcore.box.server import Box
from mmcore.errors import VenueError
from mmcore.events import ASK, BID, Kind, TimeInForce
from mmcore.venue import decoder

USDM, SPOT = "binance-usdm", "binance-spot"
SLOW = pytest.mark.slow
BOTH = pytest.mark.parametrize("venue", [USDM, SPOT])


@pytest.fixture(autouse=True)
def quiet():
    """The vendor's library, and the box, log what goes wrong."""
    for name in ("binance", "mmcore.box"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def run(test, venue: str = USDM, *, box=None, **changes) -> None:
    """One trader on the first account of a fresh box."""

    async def go() -> None:
        async with (
            Box.open(**({"seed": 1} | (box or {}))) as exchange,
            trading(exchange, venue, **changes) as trader,
        ):
            await test(exchange, trader)

    asyncio.run(go())


def theirs(box, venue=USDM):
    """Open orders of the first account."""
    floors = {box.exchange.floor(venue, symbol) for symbol in ("BTCUSDT", "ETHUSDT")}
    return [o for o in box.exchange.accounts_of("binance")[0].orders() if o.floor in floors]


# --- answers that do not come ---------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "do", [pytest.param(Do.LOST_ACK, marks=SLOW), Do.UNKNOWN_503, pytest.param(Do.DROP, marks=SLOW)]
)
def test_an_order_without_an_answer_is_asked_for_and_never_sent_twice(venue, do):
    async def check(box, trader):
        box.faults.apply(do=do, where="request:order", venue="binance")
        box.faults.apply(do=Do.DROP, where="stream:order", venue="binance")  # nor any news
        order = trader.place(BID, trader.best(BID) - 80, trader.size())
        if do is Do.DROP:  # never executed: refused, once it can surely not arrive any more
            await trader.over(order, timeout_s=9.0)
            assert order.why == Kind.REJECT and theirs(box, venue) == []
        else:
            await trader.live(order)
            assert len(theirs(box, venue)) == 1
        await settle(box, trader)

    run(check, venue)


@SLOW
@BOTH
@pytest.mark.parametrize("what", ["amend", "cancel"])
def test_a_change_without_an_answer_is_asked_for(venue, what):
    async def check(box, trader):
        order = trader.place(BID, trader.best(BID) - 80, 2 * trader.size())
        await trader.live(order)
        box.faults.apply(do=Do.LOST_ACK, where=f"request:{what}", venue="binance")
        box.faults.apply(do=Do.DROP, where="stream:order", venue="binance")
        if what == "cancel":
            trader.cancel(order)
            await trader.over(order)
            assert order.why == Kind.CANCELLED
        else:
            less = order.qty - trader.items[0].lot_qty
            trader.amend(order, order.tick, less)
            await trader.live(order, timeout_s=9.0)
            assert order.qty == less
        await settle(box, trader)

    run(check, venue)


def test_a_batch_that_timed_out_at_the_venue_is_asked_for_item_by_item():
    async def check(box, trader):
        box.faults.apply(do=Do.UNKNOWN_503, where="rest:batch", venue="binance")
        orders = trader.place_all(
            [(BID, trader.best(BID) - 60 - i, trader.size()) for i in range(5)]
        )
        await trader.live(*orders)
        assert len(theirs(box)) == 5
        await settle(box, trader)

    run(check)


@SLOW
@BOTH
def test_fills_that_the_stream_lost_are_fetched(venue):
    async def check(box, trader):
        box.faults.apply(do=Do.DROP, where="stream:order", venue="binance", seconds=0.8)
        orders = [
            trader.place(BID, trader.best(ASK) + 20, trader.size(), tif=TimeInForce.IOC)
            for _ in range(3)
        ]
        await trader.over(*orders, timeout_s=8.0)
        assert all(order.done for order in orders)
        await settle(box, trader, ordered=False)

    run(check, venue)


# --- connections ----------------------------------------------------------------------------------


@SLOW
@BOTH
@pytest.mark.parametrize("way", [{}, {"stream": "client"}], ids=["own", "client"])
@pytest.mark.parametrize("kind", ["public", "private", "trade", "market"])
def test_trading_survives_a_cut_connection(venue, kind, way):
    async def check(box, trader):
        rng = Random(7)
        box.faults.apply(do=Do.CUT, where=f"socket:{kind}", venue="binance", at_s=0.2)
        box.faults.apply(do=Do.CUT, where=f"socket:{kind}", venue="binance", at_s=0.7)
        await trader.churn(rng, 1.0)
        await trader.until(lambda: trader.usable(0) and trader.usable(1), 8.0)
        await trader.churn(rng, 0.3)
        await settle(box, trader)
        watched = {USDM: {"public", "private"}, SPOT: {"public", "trade"}}[venue]
        if kind in watched and not way:
            assert trader.n_links_down > 0

    run(check, venue, **way)


@BOTH
def test_what_happened_while_nobody_listened_is_told(venue):
    async def check(box, trader):
        ask = trader.place(ASK, trader.best(ASK) + 1, trader.size())
        far = trader.place(BID, trader.best(BID) * 999 // 1000, trader.size())
        await trader.until(lambda: far.acked and (ask.acked or ask.state == "over"))
        account = box.exchange.accounts_of("binance")[0]
        kind = "private" if venue == USDM else "trade"
        box.faults.apply(do=Do.CUT, where=f"socket:{kind}", venue="binance")
        (order,) = [o for o in theirs(box, venue) if o.side == BID]
        await trader.until(lambda: not trader.usable())
        box.exchange.cancel(account, order, box.clock.now_ns())
        await trader.over(far)
        assert far.why == Kind.CANCELLED
        await trader.until(trader.usable, 8.0)
        await settle(box, trader)

    run(check, venue)


@SLOW
def test_a_listen_key_that_expires_is_replaced():
    async def check(box, trader):
        before = trader.gateway.health().n_reconnects
        await trader.churn(Random(3), 2.5)
        await trader.until(lambda: trader.usable(0), 5.0)
        assert trader.gateway.health().n_reconnects > before
        await settle(box, trader)

    run(check, box={"listen_key_s": 1.0})


@SLOW
@BOTH
def test_a_restart_of_the_venue_in_the_middle_of_everything(venue):
    async def check(box, trader):
        rng = Random(11)
        await trader.churn(rng, 0.5)
        box.faults.apply(do=Do.RESTART, where="box", seconds=0.5)
        await trader.churn(rng, 0.8)
        await trader.until(lambda: trader.usable(0) and trader.usable(1), 15.0)
        await trader.churn(rng, 0.4)
        await settle(box, trader, timeout_s=12.0)

    run(check, venue)


@SLOW
@BOTH
@pytest.mark.parametrize("kind", ["public", "private", "trade"])
def test_a_half_open_connection_is_found_out(venue, kind):
    async def check(box, trader):
        box.faults.apply(do=Do.HALF_OPEN, where=f"socket:{kind}", venue="binance")
        await trader.churn(Random(3), 18.0)
        await trader.until(lambda: trader.usable(0) and trader.usable(1), 15.0)
        await settle(box, trader, timeout_s=12.0)

    run(check, venue)


# --- books ----------------------------------------------------------------------------------------


@SLOW
@BOTH
def test_depth_that_freezes_makes_the_book_stale(venue):
    async def check(box, trader):
        box.faults.apply(do=Do.FREEZE, where="stream:depth", venue="binance", seconds=30.0)
        await trader.until(lambda: not trader.usable(0) and not trader.usable(1), 5.0)
        box.faults.clear()
        await trader.until(lambda: trader.usable(0) and trader.usable(1), 8.0)
        await settle(box, trader)

    run(check, venue)


@SLOW
@BOTH
@pytest.mark.parametrize("do", [Do.DROP, Do.DUPLICATE, Do.REORDER])
def test_depth_that_is_damaged_is_repaired(venue, do):
    async def check(box, trader):
        box.faults.apply(do=do, where="stream:depth", venue="binance", chance=0.2, count=10)
        for _ in range(25):
            await asyncio.sleep(0.1)
            for number in range(2):
                assert trader.books[number].counters.crossed == 0
        await trader.until(lambda: trader.usable(0) and trader.usable(1), 5.0)
        await check_books(box, trader)

    run(check, venue)


async def check_books(box, trader) -> None:
    """Our books become the venue's own, level by level."""
    for number, item in enumerate(trader.items):
        floor = box.exchange.floor(item.venue, item.symbol)

        def same(number=number, floor=floor) -> bool:
            return all(
                [tuple(level) for level in trader.books[number].levels(side, 20)]
                == floor.top(side, 20)
                for side in (BID, ASK)
            )

        await trader.until(same, 5.0)


# --- limits, and cancels that race ----------------------------------------------------------------


@SLOW
@BOTH
def test_a_venue_that_says_wait_is_left_alone(venue):
    async def check(box, trader):
        box.faults.apply(
            do=Do.REPLY, where="request:order", venue="binance", status=429, code=-1003,
            text="Too many requests", retry_s=1,
        )  # fmt: skip
        order = trader.place(BID, trader.best(BID) - 80, trader.size())
        await trader.over(order)
        again = trader.place(BID, trader.best(BID) - 80, trader.size())
        await trader.over(again)
        assert again.said == [f"REJECT {again.qty} RATE"]
        assert trader.gateway.health().budget_left == 0.0
        await asyncio.sleep(1.1)
        third = trader.place(BID, trader.best(BID) - 80, trader.size())
        await trader.live(third)
        await settle(box, trader)

    run(check, venue)


@BOTH
def test_a_cancel_that_loses_the_race_against_a_fill(venue):
    async def check(box, trader):
        box.faults.apply(do=Do.RACE, where="order", venue="binance")
        order = trader.place(BID, trader.best(BID) - 30, trader.size())
        await trader.live(order)
        trader.cancel(order)
        await trader.over(order)
        assert order.why == Kind.FILL and order.qty == 0
        await settle(box, trader)

    run(check, venue)


@SLOW
def test_overload_of_the_venue_is_a_sure_failure():
    async def check(box, trader):
        box.faults.apply(
            do=Do.REPLY, where="request:order", venue="binance", status=503, code=-1008,
            text="Request throttled by system-level protection.",
        )  # fmt: skip
        order = trader.place(BID, trader.best(BID) - 80, trader.size())
        await trader.over(order)
        assert order.why == Kind.REJECT and trader.gateway.health().n_unknown == 0
        await asyncio.sleep(0.9)
        again = trader.place(BID, trader.best(BID) - 80, trader.size())
        await trader.live(again)

    run(check)


def test_a_key_that_is_taken_away_ends_the_run():
    async def go():
        async with Box.open(seed=1) as box:
            gateway = decoder(USDM).gateway(setup_of(box, USDM))
            try:
                await gateway.prepare()
                async with trading(box, USDM) as trader:
                    box.faults.apply(
                        do=Do.REPLY, where="request:order", venue="binance", status=401,
                        code=-2015, text="Invalid API-key, IP, or permissions for action.",
                    )  # fmt: skip
                    trader.place(BID, trader.best(BID) - 80, trader.size())
                    await trader.until(lambda: trader.fatal_errors)
                    (error,) = trader.fatal_errors
                    assert isinstance(error, VenueError) and "permissions" in str(error)
                    trader.fatal_errors.clear()
            finally:
                await gateway.close()

    asyncio.run(go())


@SLOW
@BOTH
@pytest.mark.parametrize("seed", [1, 2])
def test_everything_at_once(venue, seed):
    async def check(box, trader):
        rng = Random(seed)
        for do, where in (
            (Do.LOST_ACK, "request:order"), (Do.UNKNOWN_503, "rest:*"), (Do.LATE_ACK, "request:*"),
            (Do.DROP, "stream:order"), (Do.DUPLICATE, "stream:order"), (Do.DELAY, "stream:order"),
            (Do.REORDER, "stream:order"), (Do.DROP, "stream:depth"), (Do.DROP, "request:cancel"),
            (Do.LOST_ACK, "request:amend"), (Do.RACE, "order"),
        ):  # fmt: skip
            box.faults.apply(
                do=do, where=where, venue="binance", chance=0.1, seconds=12.0, ms=300.0
            )
        for kind in ("public", "private", "trade"):
            box.faults.apply(
                do=Do.CUT, where=f"socket:{kind}", venue="binance", at_s=rng.uniform(1, 9)
            )
        await trader.churn(rng, 12.0)
        box.faults.clear()
        await trader.until(lambda: trader.usable(0) and trader.usable(1), 15.0)
        await settle(box, trader, timeout_s=20.0, ordered=False)

    run(check, venue, box={"limits_scale": 10.0})
