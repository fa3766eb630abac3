"""What the streams told an account adds up to what REST says in the end, to the last unit."""

import asyncio
import random
from decimal import Decimal

import binance_pointed as pointed
import pytest

Refused = pointed.BinanceAPIException
SERVED = pointed.Served()

START = Decimal(1_000_000)
LAST = "the-last-one"
SPOT_NORMAL = {-1013, -2010, -2011, -2021, -2022}
NORMAL = {-2011, -2025, -5022, -5027, -2019, -4164}  # races, and prices that were too good


@pytest.fixture(scope="module", autouse=True)
def _served():
    yield
    SERVED.close()


class Told:
    """The account as its private stream tells it; fills once each."""

    def __init__(self):
        self.open, self.fills = {}, {}
        self.balance, self.position = START, Decimal(0)
        self.told_balance, self.told_position = START, Decimal(0)

    def futures(self, event):
        if event["e"] == "ACCOUNT_UPDATE":
            self.told_balance = Decimal(event["a"]["B"][0]["wb"])
            for each in event["a"]["P"]:
                self.told_position = Decimal(each["pa"])
        if event["e"] != "ORDER_TRADE_UPDATE":
            return
        order = event["o"]
        if order["X"] in {"NEW", "PARTIALLY_FILLED"}:
            self.open[order["i"]] = (Decimal(order["q"]), Decimal(order["p"]), Decimal(order["z"]))
        else:
            self.open.pop(order["i"], None)
        if order["x"] == "TRADE" and order["t"] not in self.fills:
            self.fills[order["t"]] = order
            sign = 1 if order["S"] == "BUY" else -1
            self.position += sign * Decimal(order["l"])
            self.balance += Decimal(order["rp"]) - Decimal(order["n"])


class ToldSpot:
    """A spot account as the request socket tells it: balances, and what fills make of them."""

    def __init__(self, account):
        self.open, self.fills = {}, set()
        held = account.wallets["spot"].balances
        self.sums = {asset: Decimal(quanta) / 10**8 for asset, quanta in held.items()}
        self.told = {}

    def spot(self, event):
        if event["e"] == "outboundAccountPosition":
            for each in event["B"]:
                self.told[each["a"]] = (Decimal(each["f"]), Decimal(each["l"]))
        if event["e"] != "executionReport":
            return
        if event["X"] in {"NEW", "PARTIALLY_FILLED"}:
            self.open[event["i"]] = (Decimal(event["q"]), Decimal(event["z"]))
        else:
            self.open.pop(event["i"], None)
        if event["x"] == "TRADE" and event["t"] not in self.fills:
            self.fills.add(event["t"])
            sign = 1 if event["S"] == "BUY" else -1
            self.sums["BTC"] += sign * Decimal(event["l"])
            self.sums["USDT"] -= sign * Decimal(event["Y"])
            self.sums[event["N"]] -= Decimal(event["n"])


async def trade_spot(client, rng, seconds, price):
    """Place, replace and cancel at random around the market."""
    orders, end = [], asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.012)  # within the venue's limit of orders
        side, do = rng.choice(["BUY", "SELL"]), rng.random()
        away = rng.randrange(-50, 400) * (-1 if side == "BUY" else 1)
        order = {"symbol": "BTCUSDT", "side": side, "type": "LIMIT_MAKER", "price": price(away),
                 "quantity": f"{rng.randrange(10, 300) / 1e5:.5f}"}  # fmt: skip
        if do < 0.3:
            order |= {"type": "LIMIT", "timeInForce": rng.choice(["GTC", "IOC"])}
        try:
            if do < 0.5 or not orders:
                orders.append(await client.ws_create_order(**order))
                continue
            chosen = orders.pop(rng.randrange(len(orders)))
            if do < 0.7:
                done = await client.ws_cancel_and_replace_order(
                    **order, cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=chosen["orderId"]
                )
                orders.append(done["newOrderResponse"])
            else:
                await client.ws_cancel_order(symbol="BTCUSDT", orderId=chosen["orderId"])
        except Refused as refused:
            if refused.code not in SPOT_NORMAL:
                raise


async def trade(client, rng, seconds, price):
    """Place, change and cancel at random around the market, singly and in batches."""
    orders, n_calls = [], 0
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        n_calls += 1
        try:
            orders = await step(client, rng, orders, price)
        except Refused as refused:
            if refused.code not in NORMAL:
                raise
    return n_calls


def new_order(rng, price):
    side = rng.choice(["BUY", "SELL"])
    away = rng.randrange(-5, 40) * (-1 if side == "BUY" else 1)
    return {
        "symbol": "BTCUSDT",
        "side": side,
        "type": "LIMIT",
        "timeInForce": rng.choice(["GTC", "GTX", "GTX", "IOC"]),
        "quantity": f"{rng.randrange(2, 60) / 1000:.3f}",
        "price": price(away),
    }


async def step(client, rng, orders, price):
    do = rng.random()
    if do < 0.4 or not orders:
        order = await client.futures_create_order(**new_order(rng, price))
        return [*orders, order]
    if do < 0.5:
        batch = [new_order(rng, price) for _ in range(5)]
        placed = await client.futures_place_batch_order(batchOrders=batch)
        assert all(each.get("code", -2011) in NORMAL for each in placed)
        return [*orders, *(each for each in placed if "orderId" in each)]
    chosen = orders.pop(rng.randrange(len(orders)))
    if do < 0.7:
        away = rng.randrange(2, 40) * (-1 if chosen["side"] == "BUY" else 1)
        changed = await client.futures_modify_order(
            symbol="BTCUSDT", side=chosen["side"], orderId=chosen["orderId"],
            quantity=chosen["origQty"], price=price(away),
        )  # fmt: skip
        return [*orders, changed]
    await client.futures_cancel_order(symbol="BTCUSDT", orderId=chosen["orderId"])
    return orders


async def settle(client, price):
    """Leave a few orders far from the market, and an end that the stream tells."""
    await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010")
    await client.futures_cancel_all_open_orders(symbol="BTCUSDT")
    far = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTX",
           "quantity": "0.010"}  # fmt: skip
    for n in range(3):
        await client.futures_create_order(**far, price=price(-3000 - n))
    last = await client.futures_create_order(**far, price=price(-3100), newClientOrderId=LAST)
    await client.futures_cancel_order(symbol="BTCUSDT", orderId=last["orderId"])


async def agree(client, told):
    """Compare what was told with REST."""
    listed = {
        each["orderId"]: (
            Decimal(each["origQty"]), Decimal(each["price"]), Decimal(each["executedQty"]),
        )
        for each in await client.futures_get_open_orders(symbol="BTCUSDT")
    }  # fmt: skip
    assert told.open == listed and len(listed) == 3
    account = await client.futures_account()
    (position,) = [each for each in account["positions"] if each["symbol"] == "BTCUSDT"]
    assert told.position == told.told_position == Decimal(position["positionAmt"])
    assert told.balance == told.told_balance == Decimal(account["totalWalletBalance"])
    fills = await client.futures_account_trades(symbol="BTCUSDT", limit=1000)
    assert {each["id"]: each["commission"] for each in fills} == {
        number: order["n"] for number, order in list(told.fills.items())[-1000:]
    }


async def listen(stream, told):
    while True:
        event = await stream.recv()
        told.futures(event)
        order = event.get("o", {})
        if (order.get("c"), order.get("X")) == (LAST, "CANCELED"):
            return


@pytest.mark.parametrize("seconds", [0.5, pytest.param(30.0, marks=pytest.mark.slow)])
def test_streams_and_rest_agree(seconds):
    async def test(box, n):
        floor = box.exchange.floor("binance-usdm", "BTCUSDT")

        def price(ticks):
            return floor.instrument.price_text(floor.best(1)[0] + ticks)

        one, two = pointed.python_binance(box, n), pointed.python_binance(box, n + 1)
        async with one as (first, streams), two as (second, others):
            mine = pointed.listening(streams.futures_user_socket())
            theirs = pointed.listening(others.futures_user_socket())
            async with mine as stream, theirs as other:
                books = Told(), Told()
                pairs = list(zip((stream, other), books, strict=True))
                reading = [asyncio.create_task(listen(*pair)) for pair in pairs]
                calls = await asyncio.gather(
                    trade(first, random.Random(1), seconds, price),
                    trade(second, random.Random(2), seconds, price),
                )
                await settle(first, price)
                await settle(second, price)
                await asyncio.gather(*reading)
                await agree(first, books[0])
                await agree(second, books[1])
                assert min(calls) > 5 * seconds
                assert all(book.fills for book in books)

    SERVED.run(test, limit_s=seconds + 15)


async def listen_spot(stream, told):
    while True:
        event = await stream.recv()
        told.spot(event)
        if (event.get("C"), event.get("X")) == (LAST, "CANCELED"):
            held = await stream.recv()  # what the end of the last order set free
            return told.spot(held)


@pytest.mark.parametrize("seconds", [0.5, pytest.param(15.0, marks=pytest.mark.slow)])
def test_spot_streams_and_rest_agree(seconds):
    async def test(box, n):
        floor = box.exchange.floor("binance-spot", "BTCUSDT")
        told = ToldSpot(pointed.account(box, n))

        def price(ticks):
            return floor.instrument.price_text(floor.best(1)[0] + ticks)

        one, two = pointed.python_binance(box, n), pointed.python_binance(box, n + 1)
        async with one as (client, streams), two as (other, _):
            listening = pointed.listening(streams.user_socket())
            async with listening as stream:
                reading = asyncio.create_task(listen_spot(stream, told))
                await asyncio.gather(
                    trade_spot(client, random.Random(3), seconds, price),
                    trade_spot(other, random.Random(4), seconds, price),
                )
                far = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER",
                       "quantity": "0.00100"}  # fmt: skip
                await client.create_order(**far, price=price(-20_200))
                await client.order_market_buy(symbol="BTCUSDT", quantity="0.00200")
                await client.cancel_all_open_orders(symbol="BTCUSDT")
                await client.create_order(**far, price=price(-20_000))
                await client.create_order(**far, price=price(-20_100), newClientOrderId=LAST)
                await client.cancel_order(symbol="BTCUSDT", origClientOrderId=LAST)
                await reading
                listed = await client.get_open_orders(symbol="BTCUSDT")
                assert told.open == {
                    each["orderId"]: (Decimal(each["origQty"]), Decimal(each["executedQty"]))
                    for each in listed
                }
                account = await client.get_account()
                for each in account["balances"]:
                    free, locked = Decimal(each["free"]), Decimal(each["locked"])
                    if each["asset"] in told.told:
                        assert told.told[each["asset"]] == (free, locked)
                    assert told.sums[each["asset"]] == free + locked
                assert told.fills

    SERVED.run(test, limit_s=seconds + 15)
