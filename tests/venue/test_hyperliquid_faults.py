"""Bad days of the Hyperliquid gateway: lost answers, cut lines, limits, clocks; nothing is lost."""

import asyncio
import time
from random import Random

import pytest

pytest.importorskip("eth_account", reason="needs the extra `hyperliquid`")

from hyperliquid_trader import (
    VENUE,
    account_of,
    run,
    sell_into,
    settle,
    trading,
)

from mmcore.adapters import _hyperliquid_desk
from mmcore.box.faults import Do
from mmcore.errors import VenueError
from mmcore.events import ASK, BID, Kind, RejectCode


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
                trader.cancel(order)  # a lost one is sent again
                await trader.over(order, timeout_s=8.0)
            assert (order.why is Kind.REJECT) == (do is Do.DROP and name == "order")
            await settle(box, trader)

    run(story)


@pytest.mark.parametrize("do", [Do.DROP, Do.DELAY])
def test_an_order_that_does_not_arrive_is_unknown_and_then_never_arrives(do, monkeypatch):
    monkeypatch.setattr(_hyperliquid_desk, "DEADLINE_S", 0.3)

    async def story(box):
        async with trading(box) as trader:
            began = time.monotonic()
            box.faults.apply(do=do, where="call:batch", venue=VENUE, ms=700)
            size = trader.size()
            orders = trader.place_all([(BID, trader.away(BID, n), size) for n in (30, 31, 32)])
            await asyncio.sleep(0.25)
            assert trader.open() == orders  # until it is known, they count as open
            await trader.over(*orders)
            assert time.monotonic() - began < 0.65  # and not when time has made it impossible
            assert trader.gateway._desk.own.n_unknown == 3
            assert trader.gateway.health().n_unknown == 0
            assert {order.why for order in orders} == {Kind.REJECT}
            await asyncio.sleep(0.4)  # one that is late is late for good
            assert not account_of(box).history
            assert account_of(box).orders() == []
            await settle(box, trader)

    run(story)


def test_cancel_all_does_not_wait_for_what_never_arrived():
    async def story(box):
        async with trading(box) as trader:
            resting = trader.place(BID, trader.away(BID, 30), trader.size())
            await trader.live(resting)
            box.faults.apply(do=Do.DROP, where="call:order", venue=VENUE)
            lost = trader.place(BID, trader.away(BID, 31), trader.size())
            began = time.monotonic()
            assert await trader.gateway.cancel_all() == 1
            assert time.monotonic() - began < 1.0
            await trader.over(resting, lost)
            assert (resting.why, lost.why) == (Kind.CANCELLED, Kind.REJECT)

    run(story)


@pytest.mark.parametrize("name", ["amend", "cancel"])
def test_a_lost_change_is_asked_for_and_told_soon(name, monkeypatch):
    monkeypatch.setattr(_hyperliquid_desk, "DEADLINE_S", 0.3)

    async def story(box):
        async with trading(box) as trader:
            order = trader.place(BID, trader.away(BID, 30), trader.size())
            await trader.live(order)
            before = order.tick
            box.faults.apply(do=Do.DROP, where=f"call:{name}", venue=VENUE)
            if name == "amend":
                trader.amend(order, trader.away(BID, 31), trader.size())
                await trader.until(lambda: order.state == "live", 1.0)
                assert (order.tick, order.code) == (before, RejectCode.OTHER)
            else:
                trader.cancel(order)
                await trader.over(order, timeout_s=1.5)
                assert order.why is Kind.CANCELLED
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


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_equal_to_the_last_unit_after_cut_lines_races_and_a_restart(seed):
    async def story(box):
        async with trading(box) as trader:
            rng, n = Random(seed), 0
            churn = asyncio.create_task(trader.churn(rng, 6.0))
            while not churn.done():
                await asyncio.sleep(0.1)
                sell_into(box, 600_000, symbol=rng.choice(["BTC", "ETH"]),
                          side=rng.choice([BID, ASK]))  # fmt: skip
                n += 1
                for ws in list(box.sockets) if n % 9 == 0 else ():
                    if rng.random() < 0.7:
                        ws.cut()
                if n % 11 == 0:
                    box.faults.apply(do=Do.LOST_ACK, where="request:*", venue=VENUE)
                if n % 13 == 0:
                    box.faults.apply(do=Do.RACE, where="order", venue=VENUE)
                if n == 30:
                    await box.restart(0.2)
            assert await churn > 10
            await settle(box, trader)

    run(story)
