"""python-binance against the box: futures and spot, REST, request sockets and streams."""

import asyncio

import binance_pointed as pointed
import pytest

listening, near, python_binance, until = (
    pointed.listening, pointed.price_near, pointed.python_binance, pointed.until,
)  # fmt: skip
BinanceAPIException = pointed.BinanceAPIException
SERVED = pointed.Served()
run = SERVED.run


@pytest.fixture(scope="module", autouse=True)
def _served():
    yield
    SERVED.close()


def bid(box, **changes):
    """A futures bid well below the market."""
    return {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTX",
        "quantity": "0.010",
        "price": near(box, -1000),
        **changes,
    }


def spot_bid(box, **changes):
    return {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT_MAKER",
        "quantity": "0.00100",
        "price": near(box, -10_000, venue="binance-spot"),
        **changes,
    }


async def code_of(call):
    with pytest.raises(BinanceAPIException) as caught:
        await call
    return caught.value.code


class Book:
    """The venue's own rule of synchronisation, as its documentation has it."""

    def __init__(self, *, spot):
        self.spot = spot
        self.bids, self.asks, self.last = {}, {}, None

    async def begin(self, snapshot, receive):
        """Join: buffer, snapshot, then the event that spans it."""
        event = await receive()
        shot = await snapshot()
        last = shot["lastUpdateId"]
        self.bids = dict(shot["bids"])
        self.asks = dict(shot["asks"])
        while event["u"] < last + self.spot:
            event = await receive()
        assert event["U"] <= last + self.spot <= event["u"]
        self.last = event["u"]
        self.apply(event)

    def follow(self, event):
        assert (event["U"] == self.last + 1) if self.spot else (event["pu"] == self.last)
        self.last = event["u"]
        self.apply(event)

    def apply(self, event):
        for side, levels in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, qty in levels:
                if float(qty):
                    side[price] = qty
                else:
                    side.pop(price, None)

    def top(self, n):
        bids = sorted(self.bids.items(), key=lambda level: -float(level[0]))[:n]
        asks = sorted(self.asks.items(), key=lambda level: float(level[0]))[:n]
        return [list(level) for level in bids], [list(level) for level in asks]


# -- futures


def test_futures_rest():
    async def test(box, n):
        async with python_binance(box, n) as (client, _):
            info = await client.futures_exchange_info()
            assert {each["symbol"] for each in info["symbols"]} == {"BTCUSDT", "ETHUSDT"}
            book = await client.futures_order_book(symbol="BTCUSDT", limit=1000)
            assert len(book["bids"]) > 100
            order = await client.futures_create_order(**bid(box, newClientOrderId="a1"))
            assert (order["status"], order["clientOrderId"]) == ("NEW", "a1")
            changed = await client.futures_modify_order(
                symbol="BTCUSDT", side="BUY", origClientOrderId="a1", quantity="0.020",
                price=near(box, -1100),
            )  # fmt: skip
            assert (changed["orderId"], changed["origQty"]) == (order["orderId"], "0.020")
            open_orders = await client.futures_get_open_orders(symbol="BTCUSDT")
            assert [each["orderId"] for each in open_orders] == [order["orderId"]]
            gone = await client.futures_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert gone["status"] == "CANCELED"
            again = client.futures_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert await code_of(again) == -2011
            assert await code_of(client.futures_create_order(**bid(box, price="1.05"))) == -4014
            crossing = bid(box, price=near(box, 300))
            assert await code_of(client.futures_create_order(**crossing)) == -5022

    run(test)


def test_futures_batches_with_one_bad_item():
    async def test(box, n):
        async with python_binance(box, n) as (client, _):
            items = [bid(box), bid(box, price="1.05"), bid(box)]
            placed = await client.futures_place_batch_order(batchOrders=items)
            assert [each.get("code", each.get("status")) for each in placed] == [
                "NEW", -4014, "NEW",
            ]  # fmt: skip
            one, two = placed[0], placed[2]
            gone = await client.futures_cancel_orders(
                symbol="BTCUSDT", orderidlist=[one["orderId"], 424242]
            )
            assert [each.get("code", each.get("status")) for each in gone] == ["CANCELED", -2011]
            gone = await client.futures_cancel_orders(
                symbol="BTCUSDT", origclientorderidlist=[two["clientOrderId"]]
            )
            assert gone[0]["status"] == "CANCELED"

    run(test)


def test_futures_account_and_settings():
    async def test(box, n):
        async with python_binance(box, n) as (client, _):
            balance = await client.futures_account_balance()
            assert [each["asset"] for each in balance] == ["USDT"]
            filled = await client.futures_create_order(
                symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010"
            )
            account = await client.futures_account()
            position = next(p for p in account["positions"] if p["symbol"] == "BTCUSDT")
            assert position["positionAmt"] == "0.010"
            risk = await client.futures_position_information(symbol="BTCUSDT")
            assert risk[0]["positionAmt"] == "0.010"
            trades = await client.futures_account_trades(symbol="BTCUSDT")
            assert {each["orderId"] for each in trades} == {filled["orderId"]}
            income = await client.futures_income_history(incomeType="COMMISSION")
            assert len(income) == len(trades)
            leverage = await client.futures_change_leverage(symbol="BTCUSDT", leverage=5)
            assert leverage["leverage"] == 5
            cross = client.futures_change_margin_type(symbol="BTCUSDT", marginType="CROSSED")
            assert await code_of(cross) == -4046
            mode = await client.futures_get_position_mode()
            assert mode == {"dualSidePosition": False}
            same = client.futures_change_position_mode(dualSidePosition="false")
            assert await code_of(same) == -4059
            armed = await client.futures_countdown_cancel_all(
                symbol="BTCUSDT", countdownTime=60_000
            )
            assert armed["countdownTime"] == "60000"
            fees = await client.futures_commission_rate(symbol="BTCUSDT")
            assert fees["makerCommissionRate"] == "0.000200"
            assert (await client.futures_cancel_all_open_orders(symbol="BTCUSDT"))["code"] == 200

    run(test)


def test_futures_request_socket():
    async def test(box, n):
        async with python_binance(box, n) as (client, _):
            order = await client.ws_futures_create_order(**bid(box, newClientOrderId="w1"))
            assert order["status"] == "NEW"
            changed = await client.ws_futures_edit_order(
                symbol="BTCUSDT", side="BUY", orderId=order["orderId"], quantity="0.020",
                price=order["price"],
            )  # fmt: skip
            assert changed["origQty"] == "0.020"
            found = await client.ws_futures_get_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert found["origQty"] == "0.020"
            gone = await client.ws_futures_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert gone["status"] == "CANCELED"
            again = client.ws_futures_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert await code_of(again) == -2011
            balance = await client.ws_futures_v2_account_balance()
            assert balance[0]["asset"] == "USDT"
            book = await client.ws_futures_get_order_book(symbol="BTCUSDT", limit=5)
            assert len(book["bids"]) == 5

    run(test)


def test_futures_book_stays_the_venues_own():
    async def test(box, n):
        async with python_binance(box, n) as (client, streams):
            name = "btcusdt@depth@100ms"
            async with listening(
                streams.futures_multiplex_socket([name], category="public")
            ) as stream:

                async def receive():
                    message = await stream.recv()
                    assert message["stream"] == name
                    return message["data"]

                book = Book(spot=False)
                await book.begin(
                    lambda: client.futures_order_book(symbol="BTCUSDT", limit=1000), receive
                )
                for _ in range(5):
                    event = await receive()
                    book.follow(event)
                floor = box.exchange.floor("binance-usdm", "BTCUSDT")
                # The floor may have moved on since: then the next event catches up with it.
                for _ in range(20):
                    shown = [[[float(p), float(q)] for p, q in side] for side in book.top(10)]
                    levels = [
                        [[floor.instrument.price(t), floor.instrument.quantity(q)] for t, q in
                         floor.top(side, 10)]
                        for side in (1, -1)
                    ]  # fmt: skip
                    if shown == levels:
                        return
                    book.follow(await receive())
                pytest.fail("the book never was the venue's")

    run(test)


def test_futures_market_streams_and_their_categories():
    async def test(box, n):
        async with python_binance(box, n) as (_, streams):
            names = ["btcusdt@aggTrade", "btcusdt@markPrice@1s"]
            async with listening(streams.futures_multiplex_socket(names)) as stream:
                seen = set()
                while len(seen) < 2:
                    message = await stream.recv()
                    seen.add(message["stream"])
                assert seen == set(names)
            names = ["btcusdt@bookTicker", "btcusdt@aggTrade", "btcusdt@depth5@100ms"]
            async with listening(
                streams.futures_multiplex_socket(names, category="public")
            ) as stream:
                seen = set()
                for _ in range(25):
                    seen.add((await stream.recv())["stream"])
                assert seen == {"btcusdt@bookTicker", "btcusdt@depth5@100ms"}

    run(test)


def test_futures_user_stream():
    async def test(box, n):
        async with (
            python_binance(box, n) as (client, streams),
            listening(streams.futures_user_socket()) as stream,
        ):
            await client.futures_create_order(**bid(box, newClientOrderId="u1"))
            event = await until(stream.recv, lambda m: m["e"] == "ORDER_TRADE_UPDATE")
            assert (event["o"]["c"], event["o"]["x"], event["o"]["X"]) == ("u1", "NEW", "NEW")
            await client.futures_create_order(
                symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.010"
            )
            lite = await until(stream.recv, lambda m: m["e"] == "TRADE_LITE")
            full = await until(stream.recv, lambda m: m["e"] == "ORDER_TRADE_UPDATE")
            assert (full["o"]["x"], full["o"]["t"]) == ("TRADE", lite["t"])
            assert full["o"]["N"] == "USDT" and float(full["o"]["n"]) > 0
            moved = await until(stream.recv, lambda m: m["e"] == "ACCOUNT_UPDATE")
            assert moved["a"]["P"][0]["pa"] == "0.010"
            await client.futures_change_leverage(symbol="ETHUSDT", leverage=7)
            config = await until(stream.recv, lambda m: m["e"] == "ACCOUNT_CONFIG_UPDATE")
            assert config["ac"] == {"s": "ETHUSDT", "l": 7}

    run(test)


def test_a_listen_key_that_runs_out_says_so():
    async def test(box, n):
        async with (
            python_binance(box, n) as (_, streams),
            listening(streams.futures_user_socket()) as stream,
        ):
            event = await stream.recv()
            assert event["e"] == "listenKeyExpired"

    run(test, listen_key_s=0.2)


# -- spot


def test_spot_rest():
    async def test(box, n):
        async with python_binance(box, n) as (client, _):
            info = await client.get_exchange_info()
            assert info["symbols"][0]["permissionSets"] == [["SPOT"]]
            book = await client.get_order_book(symbol="BTCUSDT")
            assert len(book["bids"]) == 100
            order = await client.create_order(**spot_bid(box, newClientOrderId="s1"))
            assert order["clientOrderId"] == "s1"
            found = await client.get_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert (found["status"], found["type"]) == ("NEW", "LIMIT_MAKER")
            gone = await client.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert (gone["status"], gone["origClientOrderId"]) == ("CANCELED", "s1")
            crossing = spot_bid(box, price=near(box, 5000, venue="binance-spot"))
            with pytest.raises(BinanceAPIException) as caught:
                await client.create_order(**crossing)
            assert (caught.value.code, caught.value.message) == (
                -2010, "Order would immediately match and take.",
            )  # fmt: skip
            done = await client.order_market_buy(symbol="BTCUSDT", quantity="0.00100")
            assert done["status"] == "FILLED" and done["fills"][0]["commissionAsset"] == "BTC"
            trades = await client.get_my_trades(symbol="BTCUSDT")
            assert [each["id"] for each in trades] == [f["tradeId"] for f in done["fills"]]
            account = await client.get_account()
            assert {each["asset"] for each in account["balances"]} == {"BTC", "ETH", "USDT"}
            may = await client.get_account_api_permissions()
            assert may["enableFutures"] and not may["enableWithdrawals"]

    run(test)


def test_spot_book_follows_its_own_rule():
    async def test(box, n):
        async with (
            python_binance(box, n) as (client, streams),
            listening(streams.depth_socket("BTCUSDT", interval=100)) as stream,
        ):
            book = Book(spot=True)
            await book.begin(
                lambda: client.get_order_book(symbol="BTCUSDT", limit=1000), stream.recv
            )
            for _ in range(5):
                book.follow(await stream.recv())

    run(test)


def test_spot_user_stream_and_request_socket():
    async def test(box, n):
        async with (
            python_binance(box, n) as (client, streams),
            listening(streams.user_socket()) as stream,
        ):
            order = await client.ws_create_order(**spot_bid(box, newClientOrderId="w1"))
            report = await until(stream.recv, lambda m: m["e"] == "executionReport")
            assert (report["c"], report["x"], report["i"]) == ("w1", "NEW", order["orderId"])
            held = await until(stream.recv, lambda m: m["e"] == "outboundAccountPosition")
            locked = {each["a"]: float(each["l"]) for each in held["B"]}
            assert locked["USDT"] == pytest.approx(float(report["q"]) * float(report["p"]))
            await client.ws_cancel_order(
                symbol="BTCUSDT", orderId=order["orderId"], newClientOrderId="x1"
            )
            report = await until(stream.recv, lambda m: m["e"] == "executionReport")
            assert (report["c"], report["C"], report["X"]) == ("x1", "w1", "CANCELED")
            assert await code_of(
                client.ws_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            ) == -2011  # fmt: skip

    run(test)


def test_spot_cancel_and_replace():
    async def test(box, n):
        async with python_binance(box, n) as (client, _):
            order = await client.ws_create_order(**spot_bid(box))
            replaced = await client.ws_cancel_and_replace_order(
                cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=order["orderId"],
                **spot_bid(box),
            )  # fmt: skip
            assert replaced["newOrderResult"] == "SUCCESS"
            assert await code_of(
                client.ws_cancel_and_replace_order(
                    cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=order["orderId"],
                    **spot_bid(box),
                )
            ) == -2022  # fmt: skip

    run(test)


def test_two_clients_at_once_lose_nothing():
    """Fills and orders of two accounts that trade with each other agree with what they asked."""

    async def test(box, n):
        async with python_binance(box, n) as (one, _), python_binance(box, n + 1) as (two, _):
            asks = [
                one.futures_create_order(**bid(box, side="SELL", price=near(box, 2000 + n)))
                for n in range(10)
            ]
            bids = [two.futures_create_order(**bid(box, price=near(box, -2000 - n))) for n in
                    range(10)]  # fmt: skip
            orders = await asyncio.gather(*asks, *bids)
            assert len({each["orderId"] for each in orders}) == 20
            for client in (one, two):
                assert len(await client.futures_get_open_orders()) == 10

    run(test)


@pytest.mark.slow
def test_the_client_finds_its_streams_again_after_a_restart():
    async def test(box, n):
        async with (
            python_binance(box, n) as (client, streams),
            listening(streams.futures_user_socket()) as stream,
        ):
            await client.futures_create_order(**bid(box, newClientOrderId="before"))
            await until(stream.recv, lambda m: m.get("e") == "ORDER_TRADE_UPDATE")
            await box.restart(0.3)
            await until(stream.recv, lambda m: m.get("e") == "error")
            await asyncio.sleep(3.0)
            await client.futures_create_order(**bid(box, newClientOrderId="after"))
            event = await until(stream.recv, lambda m: m.get("e") == "ORDER_TRADE_UPDATE")
            assert event["o"]["c"] == "after"
            names = {each["clientOrderId"] for each in await client.futures_get_open_orders()}
            assert names == {"before", "after"}

    run(test, seed=3)
