"""Faults of accounts at the real venues: a fill that beats a cancel, balances that come late."""

import asyncio
import hashlib
import hmac
from decimal import Decimal

import aiohttp
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


async def told(box, venue, account):
    """Balance of an account's quote currency as its venue's REST answer tells it, in quanta."""
    who = account.credentials
    stamp = str(box.clock.now_ns() // 10**6)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{box.port}") as session:
        if venue == "hyperliquid":
            asked = {"type": "clearinghouseState", "user": who.address}
            async with session.post("/info", json=asked) as answer:
                state = await answer.json()
            open_profit = sum(
                Decimal(each["position"]["unrealizedPnl"]) for each in state["assetPositions"]
            )
            return Decimal(state["marginSummary"]["accountValue"]) - open_profit
        if venue == "bybit":
            query = "accountType=UNIFIED&coin=USDT"
            sign = _sign(who.secret, f"{stamp}{who.key}5000{query}")
            headers = {
                "X-BAPI-API-KEY": who.key,
                "X-BAPI-TIMESTAMP": stamp,
                "X-BAPI-RECV-WINDOW": "5000",
                "X-BAPI-SIGN": sign,
            }
            url = f"/v5/account/wallet-balance?{query}"
            async with session.get(url, headers=headers) as answer:
                coin = (await answer.json())["result"]["list"][0]["coin"][0]
            return Decimal(coin["walletBalance"])
        query = f"timestamp={stamp}"
        url = f"/fapi/v3/balance?{query}&signature={_sign(who.secret, query)}"
        async with session.get(url, headers={"X-MBX-APIKEY": who.key}) as answer:
            (usdt,) = [row for row in await answer.json() if row["asset"] == "USDT"]
        return Decimal(usdt["balance"])


def _sign(secret, text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("venue", ["binance-usdm", "bybit-linear", "hyperliquid"])
def test_a_balance_is_told_late_over_rest(venue):
    async def main(box):
        exchange = box.exchange
        family = venue.partition("-")[0]
        floor = next(each for each in exchange.floors if each.venue == venue)
        account = exchange.accounts_of(family)[0]
        before = await told(box, family, account)
        box.faults.apply(do=Do.BALANCE_LAG, where="account", venue=family, ms=400, seconds=5.0)
        new = NewOrder(floor=floor, side=1, qty=floor.instrument.lot_qty * 100, market=True)
        began_ns = box.clock.engine_ns()
        assert exchange.place(account, new, began_ns).status is Status.FILLED
        assert min(account.wallet(floor).balances.values()) < 1_000_000 * 10**8  # the fee is paid
        assert abs(await told(box, family, account) - before) < Decimal("0.00001")
        await asyncio.sleep(0.42 - (box.clock.engine_ns() - began_ns) / 1e9)
        assert await told(box, family, account) < before - Decimal("0.001")

    opened(main)
