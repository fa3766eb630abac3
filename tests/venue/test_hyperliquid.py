"""The Hyperliquid gateway against the exchange in the box, order by order, to the last unit."""

import sys
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("eth_account", reason="needs the extra `hyperliquid`")

from hyperliquid_trader import (
    PREFIX,
    VENUE,
    Trader,
    account_of,
    run,
    sell_into,
    settle,
    setup_of,
    trading,
)

from mmcore.box.hyperliquid_signing import address_of
from mmcore.errors import VenueError
from mmcore.events import ASK, BID, EVENT, Kind, RejectCode, TimeInForce
from mmcore.gateway import ClientIds, Keys, Setup
from mmcore.venue import decoder

# --- before the streams ---------------------------------------------------------------------------


def test_instruments_fees_and_account_are_the_venues():
    async def story(box):
        theirs = account_of(box)
        floor = box.exchange.floor(VENUE, "BTC")
        theirs.fee_rates[floor] = (-2000, 40000)
        gateway = decoder(VENUE).gateway(setup_of(box, leverage=(7, None)))
        prepared = await gateway.prepare()
        await gateway.close()
        btc, eth = prepared.instruments
        assert (btc.symbol, btc.tick, btc.lot, eth.lot) == ("BTC", "0.1", "0.00001", "0.0001")
        assert (btc.maker_fee_bps, btc.taker_fee_bps) == (-0.2, 4.0)
        assert theirs.position(floor).leverage == 7
        assert prepared.account.positions == {0: 0, 1: 0}
        assert prepared.account.balances["USDC"].total == theirs.wallets["perp"].balances["USDC"]
        assert abs(prepared.clock_offset_ns) < 200_000_000

    run(story)


def test_what_would_keep_trading_from_working_is_refused_with_a_sentence():
    async def story(box):
        held = account_of(box).credentials
        other = account_of(box, 1).credentials
        agent = "0x" + "99" * 32
        dialect = next(each for each in box.dialects if each.name == VENUE)
        dialect.state.agents[address_of(agent)] = held.address
        cases = [
            (Keys(held.address, other.private_key), "may not sign for"),
            (Keys("", agent), f"give the address of its account, {held.address}"),
            (Keys("", "0x" + "88" * 32), "does not know"),
        ]
        for keys, text in cases:
            gateway = decoder(VENUE).gateway(setup_of(box, keys=keys))
            with pytest.raises(VenueError, match=text):
                await gateway.prepare()
            await gateway.close()
        gateway = decoder(VENUE).gateway(setup_of(box, symbols=("BTV",)))
        with pytest.raises(VenueError, match="did you mean 'BTC'"):
            await gateway.prepare()
        await gateway.close()
        gateway = decoder(VENUE).gateway(setup_of(box, leverage=(70, None)))
        with pytest.raises(VenueError, match="leverage 70 was refused: Invalid leverage value"):
            await gateway.prepare()
        await gateway.close()
        async with trading(box, keys=Keys(held.address, agent)) as trader:
            order = trader.place(BID, trader.away(BID, 30), trader.size())
            await trader.live(order)
            await settle(box, trader)

    run(story)


@pytest.mark.parametrize("keys", [Keys("", "secret"), Keys("0x12", "0x" + "11" * 32)])
def test_keys_that_cannot_be_keys_are_not_repeated(keys):
    setup = Setup(
        venue=VENUE, symbols=("BTC",), numbers=(0,), environment="loopback", base="127.0.0.1:1",
        keys=keys, ids=ClientIds(PREFIX, 1), clock=time.time_ns,
    )  # fmt: skip
    with pytest.raises(VenueError) as caught:
        decoder(VENUE).gateway(setup)
    assert keys.secret not in str(caught.value)
    assert caught.value.todo


def test_a_missing_extra_is_named_with_the_command_that_brings_it(monkeypatch):
    for name in [name for name in sys.modules if "_hyperliquid_" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hyperliquid", None)
    monkeypatch.setitem(sys.modules, "hyperliquid.utils.signing", None)
    keys = Keys("", "0x" + "11" * 32)
    setup = Setup(
        venue=VENUE, symbols=("BTC",), numbers=(0,), environment="testnet", keys=keys,
        ids=ClientIds(PREFIX, 1), clock=time.time_ns,
    )  # fmt: skip
    with pytest.raises(VenueError, match=r"pip install 'mmcore-maker\[hyperliquid\]'"):
        decoder(VENUE).gateway(setup)
    assert decoder(VENUE).gateway(replace(setup, keys=None))  # to look on, it is not needed


# --- orders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ["socket", "rest"])
def test_orders_are_placed_amended_cancelled_and_filled(entry):
    async def story(box):
        async with trading(box, order_entry=entry) as trader:
            size = trader.size()
            one, two, three = trader.place_all(
                [(BID, trader.away(BID, n), size) for n in (0, 10, 20)]
            )
            await trader.live(one, two, three)
            trader.amend(two, trader.away(BID, 12), 2 * size)
            await trader.live(two)
            assert (two.tick, two.qty) == (trader.orders[two.slot, two.generation].tick, 2 * size)
            assert [order.left for order in account_of(box).orders()] == [size, size, 2 * size]
            trader.cancel(three)
            await trader.over(three)
            assert three.why == Kind.CANCELLED
            sell_into(box)
            await trader.over(one)
            assert one.why == Kind.FILL
            await settle(box, trader)
            assert trader.ledgers[0].position > 0

    run(story)


def test_each_item_of_a_batch_has_its_own_answer():
    async def story(box):
        async with trading(box) as trader:
            size = trader.size()
            deep, crossing, small = trader.place_all([
                (BID, trader.away(BID, 20), size), (BID, trader.away(ASK, 20), size),
                (BID, trader.away(BID, 21), 1),
            ])  # fmt: skip
            await trader.over(crossing, small)
            await trader.live(deep)
            assert crossing.code == RejectCode.POST_ONLY
            assert small.code == RejectCode.FILTER
            far = trader.place(BID, trader.step(trader.best(ASK), -2), size, tif=TimeInForce.IOC)
            taker = trader.place(BID, trader.away(ASK, 50), size, tif=TimeInForce.IOC)
            await trader.over(far, taker)
            assert (far.code, taker.why) == (RejectCode.NO_LIQUIDITY, Kind.FILL)
            none = trader.place(BID, trader.away(BID, 5), size, tif=TimeInForce.FOK)
            more = trader.place(BID, trader.away(BID, 5), size, reduce=True)
            await trader.over(none, more)
            assert (none.code, more.code) == (RejectCode.OTHER, RejectCode.LIMIT)
            trader.amend(deep, trader.away(ASK, 10), size)  # would take: it stays as it was
            await trader.live(deep)
            assert deep.code == RejectCode.POST_ONLY
            await settle(box, trader)

    run(story)


def test_an_amended_order_keeps_what_was_filled_of_it():
    async def story(box):
        async with trading(box) as trader:
            size = trader.size(times=4)
            tick = trader.best(BID)
            order = trader.place(BID, tick, size)
            await trader.live(order)
            floor = box.exchange.floor(VENUE, "BTC")
            ahead = floor.qty(BID, floor.best(BID)[0]) - size
            sell_into(box, ahead + size // 4)
            await trader.until(lambda: order.done > 0)
            left = order.qty
            trader.amend(order, trader.away(BID, 30), left)
            await trader.live(order)
            (theirs,) = account_of(box).orders()
            assert (theirs.qty, theirs.filled) == (left, 0)
            assert order.qty == left
            await settle(box, trader)

    run(story)


def test_a_fill_in_front_of_an_amend_is_neither_lost_nor_doubled():
    async def story(box):
        async with trading(box) as trader:
            for _ in range(10):
                order = trader.place(BID, trader.best(BID), trader.size(times=4))
                await trader.live(order)
                sell_into(box, 800_000)  # its news and the amend cross each other
                trader.amend(order, trader.away(BID, 15), trader.size(times=2))
                await trader.until(lambda order=order: order.state in {"live", "over"})
                trader.cancel_open()
                await trader.until(lambda: not trader.open())
            await settle(box, trader)

    Trader.cancel_open = lambda self: [
        self.cancel(order) for order in self.open() if order.state == "live"
    ]
    run(story)


def test_orders_of_an_earlier_start_are_swept_and_their_fills_told():
    async def story(box):
        async with trading(box) as trader:
            order = trader.place(BID, trader.away(BID, 30), trader.size())
            await trader.live(order)
        async with trading(box) as trader:
            assert account_of(box).orders() == []  # it was nobody's any more
            assert await trader.gateway.cancel_all() == 0

    run(story)


def test_a_scheduled_cancel_is_the_venues():
    async def story(box):
        async with trading(box) as trader:
            order = trader.place(BID, trader.away(BID, 30), trader.size())
            await trader.live(order)
            with pytest.raises(VenueError, match="too early"):
                await trader.gateway.schedule_cancel(1.0)
            await trader.gateway.schedule_cancel(6.0)
            box.exchange.advance(box.clock.engine_ns() + 7 * 10**9)
            await trader.over(order)
            assert order.why == Kind.CANCELLED

    run(story)


def test_funding_is_paid_once():
    async def story(box):
        async with trading(box) as trader:
            order = trader.place(BID, trader.away(ASK, 50), trader.size(times=20),
                                 tif=TimeInForce.IOC)  # fmt: skip
            await trader.over(order)
            await trader.until(lambda: account_of(box).payments, 4.0)
            await trader.until(lambda: trader.ledgers[0].funding != 0)
            trader.gateway._streams["private"].recycle("again")  # its history comes again
            await trader.until(lambda: trader.gateway.health().n_reconnects)
            await trader.until(lambda: trader.gateway.health().links["private"] == "up")
            paid = sum(payment.quanta for payment in account_of(box).payments)
            await trader.until(
                lambda: (
                    trader.ledgers[0].funding
                    == sum(payment.quanta for payment in account_of(box).payments)
                )
            )
            assert paid < 0

    run(story, funding_s=2)


# --- market data alone ---


def test_a_public_gateway_needs_no_keys():
    async def story(box):
        async with trading(box, keys=None, ids=None) as trader:
            await trader.until(lambda: trader.usable(0) and trader.usable(1))
            assert trader.prepared.account is None
            assert trader.raws["market"] > 0

    run(story)


def test_damaged_market_messages_leave_the_book_stale_until_the_next():
    async def story(box):
        async with trading(box, keys=None, ids=None) as trader:
            await trader.until(lambda: trader.usable(0))
            books = trader.gateway._books
            books.frame(b'{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":[[]]}}', 1)
            assert trader.down[0]
            await trader.until(lambda: trader.usable(0))
            seen = []
            books._emit = seen.append
            trader.gateway._rest.clock_offset_ns = -4 * 10**9  # as it is measured then
            old = b'{"channel":"l2Book","data":{"coin":"BTC","time":%d,"levels":[[],[]]}}'
            books.frame(old % 1, 10**9)  # older than what was shown: which one is right?
            books.frame(old % 2, 2 * 10**9)
            books.frame(old % 3, 4 * 10**9)  # for so long: the venue's clock was set back
            books.frame(b'{"channel":"trades","data":[{"coin":"BTC"}]}', 1)
            books.frame(b"no json", 1)
            kinds = [int(rows["kind"][0]) for rows in seen]
            assert kinds == [Kind.LINK_DOWN, Kind.DEPTH, Kind.LINK_DOWN, Kind.LINK_DOWN]
            assert all(rows.dtype == EVENT and len(rows) == 1 for rows in seen)
            assert np.all([rows["instrument"][0] in {0, 1} for rows in seen])

    run(story)


def test_a_book_that_stops_coming_is_stale_though_prints_go_on():
    async def story(box):
        async with trading(box, keys=None, ids=None) as trader:
            await trader.until(lambda: trader.usable(0) and trader.usable(1))
            books, now = trader.gateway._books, time.time_ns()
            seen = []
            books._emit = seen.append
            books._heard_ns = {0: now - 4 * 10**9, 1: now}
            assert books.silent(now, 3 * 10**9) == "BTC"
            assert books.silent(now, 3 * 10**9) == ""  # told once, until it is there again
            (down,) = seen
            assert (int(down["kind"][0]), int(down["instrument"][0])) == (Kind.LINK_DOWN, 0)

    run(story)
