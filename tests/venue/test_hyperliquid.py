"""The Hyperliquid gateway against the exchange in the box, order by order, to the last unit."""

import asyncio
import importlib.util
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

import numpy as np
import pytest

pytest.importorskip("eth_account", reason="needs the extra `hyperliquid`")

from mmcore.box.faults import Do
from mmcore.box.hyperliquid_signing import address_of
from mmcore.box.orders import NewOrder
from mmcore.box.server import Box
from mmcore.errors import VenueError
from mmcore.events import ASK, BID, EVENT, Kind, RejectCode, TimeInForce
from mmcore.gateway import ClientIds, Keys, Setup
from mmcore.venue import decoder

_spec = importlib.util.spec_from_file_location(
    "venue_trader", Path(__file__).parent / "binance_trader.py"
)
_trader = sys.modules.setdefault("venue_trader", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(_trader)

VENUE = "hyperliquid"
PREFIX = "0123456789ab"
EPOCHS = count(1)
LIMIT_S = 20.0


class Trader(_trader.Trader):
    """Prices of this venue are legal every tenth tick or so: steps are asked of the instrument."""

    def step(self, tick, n, number=0):
        spec = self.items[number].spec()
        for _ in range(abs(n)):
            tick = spec.tick_up(tick) if n > 0 else spec.tick_down(tick)
        return tick

    def away(self, side, n, number=0):
        """A price n steps behind the best one of a side."""
        return self.step(self.best(side, number), -side * n, number)

    def _one_step(self, rng, number):
        live = [o for o in self.open() if o.state == "live" and o.instrument == number]
        side, choice = rng.choice([BID, ASK]), rng.random()
        if len(live) > 12 or (live and choice < 0.3):
            some = rng.sample(live, min(len(live), rng.randint(1, 4)))
            self.cancel(*some)
        elif live and choice < 0.6:
            some = rng.sample(live, min(len(live), rng.randint(1, 3)))
            self.amend_all([
                (o, self.away(o.side, rng.randint(-1, 8), number), self.size(number))
                for o in some
            ])  # fmt: skip
        elif choice < 0.7:
            some = [self.place(side, self.away(-side, 5, number), self.size(number), number=number,
                               tif=TimeInForce.IOC)]  # fmt: skip
        else:
            some = self.place_all(
                [(side, self.away(side, rng.randint(-1, 6), number), self.size(number))
                 for _ in range(rng.randint(1, 6))], number=number,
            )  # fmt: skip
        return len(some)


def account_of(box, number=0):
    return box.exchange.accounts_of(VENUE)[number]


def setup_of(box, *, account=0, symbols=("BTC", "ETH"), **changes):
    held = account_of(box, account).credentials
    fields = {
        "venue": VENUE, "symbols": symbols, "numbers": tuple(range(len(symbols))),
        "environment": "loopback", "base": f"127.0.0.1:{box.port}",
        "keys": Keys(held.address, held.private_key), "ids": ClientIds(PREFIX, next(EPOCHS)),
        "clock": time.time_ns, "seed": 1,
    }  # fmt: skip
    return Setup(**(fields | changes))


@asynccontextmanager
async def trading(box, **changes):
    """A trader on one of the box's accounts, started, and closed at the end."""
    gateway = decoder(VENUE).gateway(setup_of(box, **changes))
    try:
        prepared = await gateway.prepare()
        trader = Trader(gateway, prepared.instruments)
        trader.prepared = prepared
        await gateway.start(trader)
        yield trader
        assert trader.problems == []
        assert trader.fatal_errors == []
    finally:
        await gateway.close()


async def settle(box, trader, account=0, *, in_order=True):
    """Cancel everything, then compare with the exchange to the last unit.

    in_order: fills came in the order in which they happened; else what was earned and what is held
    are compared together, since which fill closed which is another matter then.
    """
    theirs = account_of(box, account)
    await trader.gateway.cancel_all()
    await trader.until(lambda: not trader.open(), 8.0)
    assert theirs.orders() == []
    await trader.until(lambda: len(theirs.fills) == len(trader.trades), 8.0)
    state = await trader.gateway.account()
    change = 0
    for number, (item, ledger) in enumerate(zip(trader.items, trader.ledgers, strict=True)):
        position = theirs.position(box.exchange.floor(VENUE, item.symbol))
        assert state.positions[number] == position.qty == ledger.position
        assert ledger.realised - ledger.cost == position.realised - position.cost
        assert ledger.fees == sum(
            fill.fee for fill in theirs.fills if fill.order.floor.symbol == item.symbol
        )
        assert position.cost == ledger.cost or not in_order
        change += ledger.realised - ledger.fees + ledger.funding
    before = trader.prepared.account.balances["USDC"].total
    assert state.balances["USDC"].total == theirs.wallets["perp"].balances["USDC"]
    assert state.balances["USDC"].total == before + change or not in_order


def run(story, *, limits_scale=100.0, **choices):
    """One story in a box of its own, bounded in time."""

    async def main():
        async with (
            asyncio.timeout(LIMIT_S),
            Box.open(seed=5, limits_scale=limits_scale, **choices) as box,
        ):
            await story(box)

    asyncio.run(main())


def sell_into(box, qty=1_000_000, symbol="BTC", side=ASK):
    """The other account takes, through every bid in sight."""
    floor = box.exchange.floor(VENUE, symbol)
    tick = floor.band(side) if side == BID else floor.spec.tick_ceil(floor.best(BID)[0] * 9 // 10)
    new = NewOrder(floor=floor, side=side, qty=qty, tick=tick, tif=TimeInForce.IOC)
    return box.exchange.place(account_of(box, 1), new, box.clock.engine_ns())


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


# --- bad days -------------------------------------------------------------------------------------


def test_an_unknown_outcome_is_asked_for_and_nothing_is_sent_twice():
    async def story(box):
        async with trading(box) as trader:
            box.faults.apply(do=Do.DROP, where="stream:order", venue=VENUE, seconds=10)
            for name in ("order", "amend", "cancel"):
                box.faults.apply(do=Do.UNKNOWN_503, where=f"call:{name}", venue=VENUE)
            order = trader.place(BID, trader.away(BID, 30), trader.size())
            await trader.live(order)
            trader.amend(order, trader.away(BID, 31), trader.size())
            await trader.live(order)
            trader.cancel(order)
            await trader.over(order)
            assert trader.gateway._desk.own.n_unknown == 3
            assert trader.gateway.health().n_unknown == 0  # nothing is in doubt any more
            assert len(account_of(box).history) == 2  # one order under two numbers
            await settle(box, trader)

    run(story)


@pytest.mark.parametrize("same", [False, True])
def test_a_late_answer_is_not_taken_for_the_next_ones(same):
    async def story(box):
        async with trading(box) as trader:
            order = trader.place(BID, trader.away(BID, 30), trader.size())
            await trader.live(order)
            box.faults.apply(do=Do.LATE_ACK, where="call:amend", venue=VENUE, ms=100)
            trader.amend(order, trader.away(BID, 31), trader.size())
            await trader.live(order)  # its stream is ahead of the answer
            box.faults.apply(do=Do.DELAY, where="call:amend", venue=VENUE, ms=250)
            wanted = order.tick if same else trader.away(BID, 32)
            trader.amend(order, wanted, order.qty)
            await asyncio.sleep(0.18)
            assert order.state == "amend"
            await trader.live(order)
            assert order.tick == wanted
            await asyncio.sleep(0.05)
            assert order.state == "live"
            await settle(box, trader)

    run(story)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["order", "amend", "cancel"])
@pytest.mark.parametrize("do", [Do.DROP, Do.LOST_ACK])
def test_a_request_or_an_answer_that_is_lost(name, do):
    async def story(box):
        async with trading(box) as trader:
            box.faults.apply(do=do, where=f"call:{name}", venue=VENUE)
            order = trader.place(BID, trader.away(BID, 30), trader.size())
            await trader.until(lambda: order.state in {"live", "over"}, 8.0)
            if order.state == "live":
                trader.amend(order, trader.away(BID, 31), trader.size())
                await trader.live(order, timeout_s=8.0)
                trader.cancel(order)
                await trader.until(lambda: order.state in {"live", "over"}, 8.0)
            assert (order.why is Kind.REJECT) == (do is Do.DROP and name == "order")
            if do is Do.DROP and name == "cancel":
                assert order.state == "live"
            if order.state == "live":  # the engine was told that its cancel did not go through
                assert order.code == RejectCode.OTHER
            await settle(box, trader)

    run(story)


def test_cut_connections_lose_nothing():
    async def story(box):
        async with trading(box) as trader:
            size = trader.size()
            orders = trader.place_all([(BID, trader.away(BID, n), size) for n in (0, 1, 40)])
            await trader.live(*orders)
            for ws in list(box.sockets):
                ws.cut()
            sell_into(box, 3_000_000)  # while nobody listens
            await trader.over(*orders[:2])
            await trader.until(lambda: trader.n_links_down >= 2)
            await trader.until(lambda: trader.usable(0) and trader.usable(1))
            assert orders[2].state == "live"
            await settle(box, trader)

    run(story)


def test_no_depth_goes_out_while_the_private_connection_is_away():
    async def story(box):
        async with trading(box) as trader:
            box.faults.apply(do=Do.CUT, where="socket:private", venue=VENUE, seconds=0.6, count=0)
            await trader.until(lambda: trader.down[0])
            before = time.monotonic()
            while time.monotonic() - before < 0.3:
                assert trader.down == [True, True]
                await asyncio.sleep(0.02)
            await trader.until(lambda: trader.usable(0) and trader.usable(1))

    run(story)


@pytest.mark.slow
def test_a_restart_of_the_venue_in_the_middle_of_everything():
    async def story(box):
        async with trading(box) as trader:
            churn = asyncio.create_task(trader.churn(Random(3), 1.5))
            await asyncio.sleep(0.3)
            await box.restart(0.2)
            assert await churn > 10
            await settle(box, trader)

    run(story)


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
def test_equal_to_the_last_unit_after_trading_at_random(seed):
    async def story(box):
        async with trading(box) as trader:
            rng = Random(seed)
            churn = asyncio.create_task(trader.churn(rng, 1.2))
            while not churn.done():
                await asyncio.sleep(0.1)
                sell_into(box, 400_000, side=rng.choice([BID, ASK]))
            assert await churn > 10
            await settle(box, trader)
            assert trader.gateway.health().n_unknown == 0

    run(story)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_equal_to_the_last_unit_after_a_bad_day(seed):
    async def story(box):
        box.faults.apply(do=Do.DROP, where="stream:order", venue=VENUE, chance=0.1, seconds=6)
        box.faults.apply(do=Do.DROP, where="stream:fill", venue=VENUE, chance=0.1, seconds=6)
        box.faults.apply(do=Do.DUPLICATE, where="stream:fill", venue=VENUE, chance=0.3, seconds=6)
        box.faults.apply(do=Do.REORDER, where="stream:*", venue=VENUE, chance=0.1, seconds=6)
        box.faults.apply(do=Do.UNKNOWN_503, where="call:*", venue=VENUE, chance=0.1, seconds=6)
        box.faults.apply(do=Do.LOST_ACK, where="call:*", venue=VENUE, chance=0.05, seconds=6)
        async with trading(box) as trader:
            rng = Random(seed)
            churn = asyncio.create_task(trader.churn(rng, 6.0))
            while not churn.done():
                await asyncio.sleep(0.1)
                sell_into(box, 400_000, side=rng.choice([BID, ASK]))
            assert await churn > 10
            await asyncio.sleep(2.5)
            await settle(box, trader, in_order=False)

    run(story)


def test_a_clock_that_jumps_costs_no_more_than_a_second_try():
    async def story(box):
        async with trading(box) as trader:
            for seconds in (30, -60):
                box.clock.jump(seconds * 10**9)
                order = trader.place(BID, trader.away(BID, 30), trader.size())
                await trader.until(lambda order=order: order.acked)
                trader.cancel(order)
                await trader.over(order)
                await trader.until(lambda: trader.usable(0) and trader.usable(1))
            await settle(box, trader)

    run(story)


def test_a_number_used_before_costs_no_more_than_a_second_try():
    async def story(box):
        async with trading(box) as trader:
            signer = trader.gateway._signer
            dialect = next(each for each in box.dialects if each.name == VENUE)
            used = signer._nonce + 60_000
            dialect.state.nonces(signer.address).take(used, used)
            signer._nonce = used - 1
            order = trader.place(BID, trader.away(BID, 30), trader.size())
            await trader.live(order)
            assert signer._nonce > used
            await settle(box, trader)

    run(story)


def test_a_spent_budget_stops_quotes_and_lets_cancels_go():
    async def story(box):
        async with trading(box) as trader:
            order = trader.place(BID, trader.away(BID, 30), trader.size())
            await trader.live(order)
            dialect = next(each for each in box.dialects if each.name == VENUE)
            budget = dialect.state.budgets[account_of(box)]
            budget.used = budget.cap
            budget.take(1, box.clock.engine_ns(), cancel=False)  # the one of these ten seconds
            refused = trader.place(BID, trader.away(BID, 31), trader.size())
            await trader.over(refused)
            assert refused.code == RejectCode.RATE
            quota = trader.gateway._rest.quota
            await trader.until(lambda: quota.left <= 0)  # asked for at once
            n = len(account_of(box).history) + len(account_of(box).orders())
            again = trader.place(BID, trader.away(BID, 31), trader.size())
            await trader.over(again)
            assert again.code == RejectCode.RATE
            assert len(account_of(box).history) + len(account_of(box).orders()) == n
            trader.cancel(order)
            await trader.over(order)
            assert order.why == Kind.CANCELLED

    run(story)


def test_too_many_requests_are_a_reason_to_wait():
    async def story(box):
        async with trading(box) as trader:
            box.faults.apply(do=Do.REPLY, where="rest:balance", venue=VENUE, status=429, retry_s=1)
            with pytest.raises(VenueError, match=r"too many requests.*mmcore waits 1 s"):
                await trader.gateway.account()
            begin = time.monotonic()
            assert (await trader.gateway.account()).positions == {0: 0, 1: 0}
            assert time.monotonic() - begin > 0.9

    run(story)


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
