"""Both Binance gateways against the exchange in the box: orders, accounts, and what is refused."""

import asyncio
import logging
from random import Random

import pytest
from binance_trader import PREFIX, settle, setup_of, trading

from mmcore.box.orders import NewOrder
from mmcore.box.server import Box
from mmcore.errors import NetworkError, VenueError
from mmcore.events import ASK, BID, Kind, RejectCode, TimeInForce
from mmcore.gateway import ClientIds, Keys
from mmcore.venue import decoder

USDM, SPOT = "binance-usdm", "binance-spot"
BOTH = pytest.mark.parametrize("venue", [USDM, SPOT])
CLIENT = pytest.param({"stream": "client"}, id="client", marks=pytest.mark.slow)
WAYS = pytest.mark.parametrize(
    "way", [pytest.param({}, id="socket"), pytest.param({"order_entry": "rest"}, id="rest"), CLIENT]
)


@pytest.fixture(autouse=True)
def quiet():
    """The vendor's library logs what it survives."""
    logging.getLogger("binance").setLevel(logging.CRITICAL)


def run(test, venue: str = USDM, *, box=None, **changes) -> None:
    """One trader on the first account of a fresh box."""

    async def go() -> None:
        async with (
            Box.open(**({"seed": 1} | (box or {}))) as exchange,
            trading(exchange, venue, **changes) as trader,
        ):
            await test(exchange, trader)

    asyncio.run(go())


# --- orders ---------------------------------------------------------------------------------------


@BOTH
@WAYS
def test_an_order_is_placed_changed_and_cancelled(venue, way):
    async def check(box, trader):
        order = trader.place(BID, trader.best(BID) - 50, 2 * trader.size())
        await trader.live(order)
        smaller = order.qty - trader.items[0].lot_qty
        price = order.tick if venue == SPOT else order.tick - 5
        trader.amend(order, price, smaller)
        await trader.live(order)
        assert (order.tick, order.qty) == (price, smaller)
        floor = box.exchange.floor(venue, "BTCUSDT")
        (theirs,) = box.exchange.accounts_of("binance")[0].orders(floor)
        assert (theirs.tick, theirs.qty, theirs.filled) == (price, smaller, 0)
        trader.cancel(order)
        await trader.over(order)
        assert order.why == Kind.CANCELLED and order.said[-1].startswith("CANCELLED")
        await settle(box, trader)

    run(check, venue, **way)


@BOTH
def test_a_taking_order_fills_and_the_money_agrees(venue):
    async def check(box, trader):
        high, low = trader.best(ASK) * 1001 // 1000, trader.best(BID) * 999 // 1000
        buy = trader.place(BID, high, trader.size(), tif=TimeInForce.IOC)
        await trader.over(buy)
        assert buy.why == Kind.FILL and buy.done == buy.done + buy.qty
        sell = trader.place(ASK, low, buy.done, tif=TimeInForce.IOC, reduce=True)
        await trader.over(sell)
        assert trader.ledgers[0].position == (0 if venue == USDM else trader.ledgers[0].position)
        await settle(box, trader)

    run(check, venue)


@BOTH
def test_two_accounts_trade_with_each_other(venue):
    async def check(box, trader):
        rich = box.exchange.accounts_of("binance")[1]
        box.exchange.transfer(rich, "spot", "BTC", 500 * 10**8, box.clock.now_ns())
        async with trading(box, venue, account=1) as other:
            price = trader.best(BID)
            bid = trader.place(BID, price, 2 * trader.size())
            await trader.until(lambda: bid.acked)
            lot = trader.items[0].lot_qty
            for _ in range(20):  # the market moves between a look and an order
                levels = trader.books[0].levels(BID, 50)
                ahead = int(levels["qty"][levels["tick"] >= price].sum()) // lot * lot
                hit = other.place(ASK, price - 5, 3 * ahead + lot, tif=TimeInForce.IOC)
                await other.over(hit)
                if bid.state == "over":
                    break
            await trader.over(bid)
            await settle(box, other, account=1)
        await settle(box, trader)

    run(check, venue)


@BOTH
def test_a_post_only_order_that_would_take_is_refused_as_such(venue):
    async def check(box, trader):
        order = trader.place(BID, trader.best(ASK) + 2_000, trader.size())
        await trader.over(order)
        assert (order.why, order.code) == (Kind.REJECT, RejectCode.POST_ONLY)
        assert not trader.notices

    run(check, venue)


def test_a_post_only_order_may_also_be_taken_first_and_expire():
    async def check(box, trader):
        order = trader.place(BID, trader.best(ASK) + 2_000, trader.size())
        await trader.over(order)
        assert (order.why, order.code) == (Kind.EXPIRED, RejectCode.POST_ONLY)

    run(check, box={"late_post_only": True})


def test_a_batch_is_answered_item_by_item():
    async def check(box, trader):
        size, best = trader.size(), trader.best(BID)
        wanted = [(BID, best - 50 - i, size) for i in range(6)]
        wanted[2] = (BID, best - 52, 1)  # below the smallest notional
        wanted[4] = (BID, trader.best(ASK) + 2_000, size)  # would take
        orders = trader.place_all(wanted)
        good = [order for i, order in enumerate(orders) if i not in {2, 4}]
        await trader.live(*good)
        await trader.over(orders[2], orders[4])
        assert (orders[2].why, orders[2].code) == (Kind.REJECT, RejectCode.FILTER)
        assert (orders[4].why, orders[4].code) == (Kind.REJECT, RejectCode.POST_ONLY)
        trader.amend_all([(order, order.tick - 7, size + 1) for order in good])
        await trader.live(*good)
        assert {order.qty for order in good} == {size + 1}
        gone = good[0]
        floor = box.exchange.floor(USDM, "BTCUSDT")
        account = box.exchange.accounts_of("binance")[0]
        theirs = box.exchange.find(account, client_id=own_id(trader, gone), floor=floor)
        box.exchange.cancel(account, theirs, box.clock.now_ns())  # by hand, meanwhile
        trader.cancel(*good)
        await trader.over(*good)
        await settle(box, trader)

    run(check)


def by_hand(floor, qty, tick, client_id) -> NewOrder:
    return NewOrder(floor=floor, side=BID, qty=qty, tick=tick, client_id=client_id)


def own_id(trader, order) -> str:
    return trader.gateway._setup.ids.make(order.slot, order.generation)


def test_an_amend_to_what_it_is_already_is_no_refusal():
    async def check(box, trader):
        order = trader.place(BID, trader.best(BID) - 50, trader.size())
        await trader.live(order)
        trader.amend(order, order.tick, order.qty)
        await trader.live(order)
        assert order.said[-1].startswith("AMENDED")

    run(check)


@pytest.mark.slow
@BOTH
@WAYS
def test_random_trading_ends_equal_to_the_last_unit(venue, way):
    async def check(box, trader):
        assert await trader.churn(Random(5), 1.0) > 20
        await settle(box, trader)
        assert trader.orphans == 0

    run(check, venue, **way)


@BOTH
def test_a_little_random_trading(venue):
    async def check(box, trader):
        await trader.churn(Random(9), 0.4)
        await settle(box, trader)

    run(check, venue)


# --- the end, the account -------------------------------------------------------------------------


@BOTH
def test_cancel_all_takes_own_orders_of_earlier_starts_and_no_others(venue):
    async def check(box, trader):
        account, floor = (
            box.exchange.accounts_of("binance")[0],
            box.exchange.floor(venue, "BTCUSDT"),
        )
        lots = trader.size()
        tick = trader.best(BID) - 80
        earlier = ClientIds(PREFIX, 0).make(1, 2)
        for client_id in ("by-hand-1", earlier):
            box.exchange.place(account, by_hand(floor, lots, tick, client_id), box.clock.now_ns())
        orders = trader.place_all([(BID, tick - i, lots) for i in range(3)])
        await trader.live(*orders)
        state = await trader.gateway.account()
        assert sorted(order.own for order in state.orders) == [False, True, True, True, True]
        assert await trader.gateway.cancel_all() == 4
        await trader.over(*orders)
        assert [order.client_id for order in account.orders(floor)] == ["by-hand-1"]
        assert await trader.gateway.cancel_all() == 0

    run(check, venue)


def test_an_account_is_prepared_for_trading():
    async def go():
        async with Box.open(seed=1) as box:
            account = box.exchange.accounts_of("binance")[0]
            floor = box.exchange.floor(USDM, "BTCUSDT")
            box.exchange.set_hedge_mode(account, True, box.clock.now_ns())
            box.exchange.set_margin_mode(account, floor, "isolated", box.clock.now_ns())
            account.fee_rates[floor] = (-1_000, 45_000)
            gateway = decoder(USDM).gateway(setup_of(box, USDM, leverage=(7, None)))
            prepared = await gateway.prepare()
            await gateway.close()
            assert not account.hedge_mode
            position = account.position(floor)
            assert (position.margin_mode, position.leverage) == ("cross", 7)
            item = prepared.instruments[0]
            assert (item.maker_fee_bps, item.taker_fee_bps) == (-0.1, 4.5)
            assert prepared.account.balances["USDT"].total == 10**14
            assert abs(prepared.clock_offset_ns) < 50_000_000

    asyncio.run(go())


def test_funding_reaches_the_ledger():
    async def check(box, trader):
        buy = trader.place(BID, trader.best(ASK) + 2_000, trader.size(), tif=TimeInForce.IOC)
        await trader.over(buy)
        await trader.until(lambda: trader.ledgers[0].funding != 0, 6.0)
        account = box.exchange.accounts_of("binance")[0]
        await trader.until(
            lambda: trader.ledgers[0].funding == sum(p.quanta for p in account.payments)
        )
        sell = trader.place(ASK, trader.best(BID) - 20, buy.done, tif=TimeInForce.IOC, reduce=True)
        await trader.over(sell)
        await settle(box, trader)

    run(check, box={"funding_s": 1})


# --- what is refused at the start -----------------------------------------------------------------


def refusal(venue=USDM, prepare=None, **changes) -> str:
    """The sentence with which a start is refused."""

    async def go() -> str:
        async with Box.open(seed=1) as box:
            if prepare is not None:
                prepare(box)
            gateway = decoder(venue).gateway(setup_of(box, venue, **changes))
            try:
                with pytest.raises(VenueError) as caught:
                    await gateway.prepare()
            finally:
                await gateway.close()
            return str(caught.value)

    return asyncio.run(go())


@BOTH
def test_a_wrong_key_or_secret_is_refused_with_what_to_do(venue):
    text = refusal(venue, keys=Keys("x" * 64, "y" * 64))
    assert "-2015" in text or "-2014" in text
    assert "check that the key and the secret" in text and "y" * 64 not in text


def test_a_wrong_secret_is_not_shown():
    async def go():
        async with Box.open(seed=1) as box:
            key = box.exchange.accounts_of("binance")[0].credentials.key
            gateway = decoder(USDM).gateway(setup_of(box, USDM, keys=Keys(key, "z" * 64)))
            with pytest.raises(VenueError) as caught:
                await gateway.prepare()
            await gateway.close()
            assert "-1022" in str(caught.value) and "z" * 64 not in str(caught.value)
            assert "z" * 64 not in repr(caught.value)

    asyncio.run(go())


@BOTH
def test_a_key_that_may_only_read_is_refused(venue):
    def change(box):
        box.exchange.accounts_of("binance")[0].permissions = {"read"}

    text = refusal(venue, change)
    assert "may read but not trade" in text or "check that the key" in text


@BOTH
def test_an_unknown_symbol_is_answered_with_the_nearest(venue):
    text = refusal(venue, symbols=("BTCUSTD",))
    assert "'BTCUSTD'" in text and "BTCUSDT" in text


def test_hedge_mode_that_cannot_be_left_is_refused():
    def change(box):
        account = box.exchange.accounts_of("binance")[0]
        floor = box.exchange.floor(USDM, "BTCUSDT")
        tick = floor.best(BID)[0] - 50
        box.exchange.place(account, by_hand(floor, 5, tick, "a"), box.clock.now_ns())
        account.hedge_mode = True

    assert "hedge mode" in refusal(prepare=change)


def test_leverage_that_the_venue_refuses():
    assert "leverage 500 of BTCUSDT" in refusal(leverage=(500, None))


def test_a_private_key_file_is_refused_in_words():
    assert "HMAC" in refusal(keys=Keys("k", "-----BEGIN PRIVATE KEY-----\nabc"))


def test_nobody_there_is_told_within_seconds():
    async def go():
        async with Box.open(seed=1) as box:
            setup = setup_of(box, USDM)
        gateway = decoder(USDM).gateway(setup)
        with pytest.raises(NetworkError, match="no connection"):
            await gateway.prepare()
        await gateway.close()
        await gateway.close()

    asyncio.run(go())


def test_a_venue_clock_that_is_elsewhere_is_followed():
    async def go():
        async with Box.open(seed=1) as box:
            box.clock.jump(-30_000_000_000)
            async with trading(box, USDM) as trader:
                assert trader.prepared.clock_offset_ns == pytest.approx(-30e9, abs=1e8)
                assert "+30.0 s off" in trader.prepared.notices[0]
                order = trader.place(BID, trader.best(BID) - 50, trader.size())
                await trader.live(order)
                box.clock.jump(20_000_000_000)  # and now: -1021, measured anew, sent once more
                trader.cancel(order)
                await trader.over(order)
                assert order.why == Kind.CANCELLED

    asyncio.run(go())


def test_public_data_needs_no_keys():
    async def go():
        async with Box.open(seed=1) as box:
            for venue in (USDM, SPOT):
                async with trading(box, venue, keys=None, ids=None) as trader:
                    assert trader.prepared.account is None
                    assert trader.usable(0) and trader.usable(1)

    asyncio.run(go())
