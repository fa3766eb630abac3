"""A fault that reaches into the exchange: a fill that wins the race against a cancel."""

import asyncio

import pytest

from mmcore.box.faults import Do
from mmcore.box.orders import NewOrder, Refusal, RefusalKind, Status
from mmcore.box.server import Box
from mmcore.events import TimeInForce


def opened(test):
    async def main():
        async with asyncio.timeout(20), Box.open(seed=3) as box:
            assert all(floor.mark for floor in box.exchange.floors)
            return await test(box)

    return asyncio.run(main())


@pytest.mark.parametrize("venue", ["binance-usdm", "binance-spot", "bybit-linear", "hyperliquid"])
@pytest.mark.parametrize("side", [1, -1])
def test_an_order_fills_just_before_its_cancel_is_looked_at(venue, side):
    async def main(box):
        exchange = box.exchange
        floor = next(each for each in exchange.floors if each.venue == venue)
        one, two = exchange.accounts_of(venue.partition("-")[0])[:2]
        lot = floor.instrument.lot_qty
        # far enough from the market to rest, near enough for the price bands
        tick = floor.spec.tick_floor(floor.best(side)[0] * (1000 - 2 * side) // 1000)
        qty = -(-floor.min_notional * 2 // floor.notional(tick, lot)) * lot

        def rest(account, at):
            new = NewOrder(floor=floor, side=side, qty=qty, tick=at, tif=TimeInForce.GTX)
            return exchange.place(account, new, box.clock.engine_ns())

        better = floor.spec.tick_up(tick) if side > 0 else floor.spec.tick_down(tick)
        other, order = rest(two, better), rest(one, tick)
        box.faults.apply(do=Do.RACE, where="order", venue=one.venue)
        with pytest.raises(Refusal) as refused:
            exchange.cancel(one, order, box.clock.engine_ns())
        assert refused.value.kind is RefusalKind.ALREADY_DONE
        assert (order.status, order.left) == (Status.FILLED, 0)
        assert other.status is Status.FILLED  # it stood before it
        assert [str(fired.subject) for fired in box.faults.fired] == [
            f"{one.name} order {order.id}"
        ]
        again = rest(one, tick)
        exchange.cancel(one, again, box.clock.engine_ns())
        assert again.status is Status.CANCELED

    opened(main)
