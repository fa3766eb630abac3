"""ccxt and ccxt.pro against the box: binanceusdm and binance spot."""

import asyncio

import binance_pointed as pointed
import ccxt.pro as ccxt
import pytest

near, pointed_at = pointed.price_near, pointed.ccxt_client
SERVED = pointed.Served()
run = SERVED.run


@pytest.fixture(scope="module", autouse=True)
def _served():
    yield
    SERVED.close()


PERP, SPOT = "BTC/USDT:USDT", "BTC/USDT"


def bid(box, n=0):
    return float(near(box, -1000 - n))


def spot_bid(box, n=0):
    return float(near(box, -10_000 - n, venue="binance-spot"))


def post_only(name):
    return {"postOnly": True, "clientOrderId": name}


# -- USD-M futures


def test_futures_markets_and_book():
    async def test(box, n):
        async with pointed_at(box, ccxt.binanceusdm, n) as client:
            markets = await client.load_markets()
            assert {PERP, "ETH/USDT:USDT"} == markets.keys()
            perp = markets[PERP]
            assert (perp["precision"]["price"], perp["precision"]["amount"]) == (0.1, 0.001)
            assert perp["limits"]["cost"]["min"] == 100 and perp["active"]
            book = await client.fetch_order_book(PERP)
            assert book["bids"][0][0] < book["asks"][0][0]
            assert (await client.fetch_time()) > 0
            ticker = await client.fetch_ticker(PERP)
            assert ticker["low"] <= ticker["last"] <= ticker["high"]
            candles = await client.fetch_ohlcv(PERP)
            assert candles[-1][3] <= candles[-1][4] <= candles[-1][2]
            trades = await client.fetch_trades(PERP)
            assert trades[-1]["price"] > 0
            funding = await client.fetch_funding_rate(PERP)
            assert funding["fundingRate"] == 0.0001
            fee = await client.fetch_trading_fee(PERP)
            assert (fee["maker"], fee["taker"]) == (0.0002, 0.0005)

    run(test)


def test_futures_orders_and_batches():
    async def test(box, n):
        async with pointed_at(box, ccxt.binanceusdm, n) as client:
            order = await client.create_order(PERP, "limit", "buy", 0.01, bid(box), post_only("c1"))
            assert (order["status"], order["clientOrderId"], order["postOnly"]) == (
                "open", "c1", True,
            )  # fmt: skip
            changed = await client.edit_order(
                order["id"], PERP, "limit", "buy", 0.02, bid(box, 100)
            )
            assert (changed["id"], changed["amount"]) == (order["id"], 0.02)
            found = await client.fetch_order(order["id"], PERP)
            assert found["amount"] == 0.02
            assert [o["id"] for o in await client.fetch_open_orders(PERP)] == [order["id"]]
            gone = await client.cancel_order(order["id"], PERP)
            assert gone["status"] == "canceled"
            with pytest.raises(ccxt.BaseError, match="-2011"):
                await client.cancel_order(order["id"], PERP)
            price = float(near(box, 300))
            with pytest.raises(ccxt.BaseError, match="-5022"):
                await client.create_order(PERP, "limit", "buy", 0.01, price, post_only("c2"))
            items = [
                {"symbol": PERP, "type": "limit", "side": "buy", "amount": amount,
                 "price": bid(box), "params": {"timeInForce": "GTX"}}
                for amount in (0.01, 0.001, 0.01)
            ]  # fmt: skip
            placed = await client.create_orders(items)
            codes = [each["info"].get("code") for each in placed]  # sorted by time, by ccxt
            assert sorted(codes, key=str) == [-4164, None, None]
            gone = await client.cancel_orders([placed[-1]["id"], "424242"], PERP)
            # ccxt leaves out what has no symbol, and so the one that was not there
            assert [each["status"] for each in gone] == ["canceled"]
            await client.cancel_all_orders(PERP)
            assert await client.fetch_open_orders(PERP) == []

    run(test)


def test_futures_positions_and_balance():
    async def test(box, n):
        async with pointed_at(box, ccxt.binanceusdm, n) as client:
            await client.create_order(PERP, "market", "buy", 0.01)
            (position,) = await client.fetch_positions([PERP])
            assert (position["side"], position["contracts"]) == ("long", 0.01)
            balance = await client.fetch_balance()
            assert 999_990 < balance["USDT"]["total"] < 1_000_000
            (trade,) = await client.fetch_my_trades(PERP)
            assert trade["takerOrMaker"] == "taker" and trade["fee"]["currency"] == "USDT"
            await client.set_leverage(7, PERP)
            leverage = await client.fetch_leverage(PERP)
            assert leverage["longLeverage"] == 7

    run(test)


def test_futures_watching():
    async def test(box, n):
        async with pointed_at(box, ccxt.binanceusdm, n) as client:
            for _ in range(4):
                book = await client.watch_order_book(PERP)
            assert book["bids"][0][0] < book["asks"][0][0]
            trades = await client.watch_trades(PERP)
            assert trades[0]["symbol"] == PERP
            best = await client.watch_bids_asks([PERP])
            assert best[PERP]["bid"] < best[PERP]["ask"]
            await client.load_markets()

            async def place():
                await asyncio.sleep(0.3)
                await client.create_order(PERP, "limit", "buy", 0.01, bid(box), post_only("w1"))

            placing = asyncio.create_task(place())
            (order,) = await client.watch_orders(PERP)
            assert (order["clientOrderId"], order["status"]) == ("w1", "open")
            await placing

            async def take():
                await asyncio.sleep(0.3)
                await client.create_order(PERP, "market", "buy", 0.01)

            taking = asyncio.create_task(take())
            fills = await client.watch_my_trades(PERP)
            assert fills[0]["amount"] == 0.01
            await taking
            positions = await client.fetch_positions([PERP])
            assert positions[0]["contracts"] == 0.01

    run(test)


def test_futures_request_socket():
    async def test(box, n):
        async with pointed_at(box, ccxt.binanceusdm, n) as client:
            order = await client.create_order_ws(
                PERP, "limit", "buy", 0.01, bid(box), post_only("r1")
            )
            assert order["clientOrderId"] == "r1"
            changed = await client.edit_order_ws(
                order["id"], PERP, "limit", "buy", 0.02, bid(box, 50)
            )
            assert changed["amount"] == 0.02
            gone = await client.cancel_order_ws(order["id"], PERP)
            assert gone["status"] == "canceled"
            assert (await client.fetch_balance_ws())["USDT"]["total"] == 1_000_000

    run(test)


# -- spot


def test_spot_markets_orders_and_balance():
    async def test(box, n):
        async with pointed_at(box, ccxt.binance, n) as client:
            markets = await client.load_markets()
            assert {SPOT, PERP} <= markets.keys()
            assert markets[SPOT]["precision"]["amount"] == 1e-5
            book = await client.fetch_order_book(SPOT)
            assert book["bids"][0][0] < book["asks"][0][0]
            order = await client.create_order(
                SPOT, "limit", "buy", 0.001, spot_bid(box), post_only("s1")
            )
            assert (order["clientOrderId"], order["type"]) == ("s1", "limit")
            changed = await client.edit_order(
                order["id"], SPOT, "limit", "buy", 0.002, spot_bid(box, 100)
            )
            assert changed["amount"] == 0.002
            (held,) = await client.fetch_open_orders(SPOT)
            assert held["id"] == changed["id"]
            await client.cancel_order(held["id"], SPOT)
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_order(held["id"], SPOT)
            price = float(near(box, 5000, venue="binance-spot"))
            with pytest.raises(ccxt.OrderImmediatelyFillable):
                await client.create_order(SPOT, "limit", "buy", 0.001, price, post_only("s2"))
            with pytest.raises(ccxt.InsufficientFunds):
                await client.create_order(SPOT, "limit", "sell", 90, 100_000, post_only("s3"))
            done = await client.create_order(SPOT, "market", "buy", 0.001)
            assert done["status"] == "closed" and done["fees"][0]["currency"] == "BTC"
            balance = await client.fetch_balance()
            assert balance["BTC"]["total"] == pytest.approx(10.001 - 1e-6)
            await client.create_order(SPOT, "limit", "buy", 0.001, spot_bid(box), post_only("s4"))
            await client.cancel_all_orders(SPOT)
            assert await client.fetch_open_orders(SPOT) == []

    run(test)


def test_spot_watching():
    async def test(box, n):
        async with pointed_at(box, ccxt.binance, n) as client:
            for _ in range(3):
                book = await client.watch_order_book(SPOT)
            assert book["bids"][0][0] < book["asks"][0][0]
            ticker = await client.watch_ticker(SPOT)
            assert ticker["low"] <= ticker["last"] <= ticker["high"]

            async def place():
                await asyncio.sleep(0.3)
                await client.create_order(
                    SPOT, "limit", "buy", 0.001, spot_bid(box), post_only("w1")
                )

            placing = asyncio.create_task(place())
            (order,) = await client.watch_orders(SPOT)
            assert (order["clientOrderId"], order["status"]) == ("w1", "open")
            await placing
            balance = await client.watch_balance()
            assert balance["USDT"]["used"] > 0

    run(test)
