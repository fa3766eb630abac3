"""ccxt and ccxt.pro bybit, unmodified, against the exchange in the box."""

import asyncio
import logging
from contextlib import asynccontextmanager
from itertools import count
from urllib.parse import urlsplit

import ccxt
import ccxt.pro
import pytest

from mmcore.box.server import Box

PERP, SPOT = "BTC/USDT:USDT", "BTC/USDT"
LINKS = count(1)
BOTH = pytest.mark.parametrize("symbol", [PERP, pytest.param(SPOT, marks=pytest.mark.slow)])


def pointed(exchange, port):
    """Every address of the client with scheme and host replaced, paths kept."""

    def move(value):
        if isinstance(value, dict):
            return {key: move(each) for key, each in value.items()}
        parts = urlsplit(value)
        scheme = "ws" if parts.scheme == "wss" else "http"
        return f"{scheme}://127.0.0.1:{port}{parts.path}"

    exchange.urls["api"] = move(exchange.urls["api"])
    return exchange


@asynccontextmanager
async def opened(**choices):
    """A box and a client of its first account."""
    options = {"seed": 17, "limits_scale": 100.0, **choices}
    async with asyncio.timeout(25), Box.open(**options) as box:
        box.exchange.advance(box.clock.engine_ns())
        held = box.exchange.accounts_of("bybit")[0].credentials
        exchange = ccxt.pro.bybit({
            "apiKey": held.key, "secret": held.secret, "enableRateLimit": False,
        })  # fmt: skip
        try:
            yield box, pointed(exchange, box.port)
        finally:
            await exchange.close()


def run(test, **choices):
    async def main():
        async with opened(**choices) as (box, exchange):
            await test(box, exchange)

    logging.getLogger("ccxt").setLevel(logging.ERROR)
    asyncio.run(main())


async def far_bid(exchange, symbol):
    book = await exchange.fetch_order_book(symbol, 1)
    return round(book["bids"][0][0] * 0.97, 1)


async def place(exchange, symbol, **params):
    return await exchange.create_order(
        symbol,
        "limit",
        "buy",
        0.01,
        await far_bid(exchange, symbol),
        {"postOnly": True, "clientOrderId": f"ccxt{next(LINKS)}", **params},
    )


def test_markets_and_books():
    async def test(box, exchange):
        markets = await exchange.load_markets()
        assert {PERP, SPOT, "ETH/USDT:USDT", "ETH/USDT"} <= set(markets)
        assert markets[PERP]["precision"] == {
            **markets[PERP]["precision"], "amount": 0.001, "price": 0.1,
        }  # fmt: skip
        for symbol in (PERP, SPOT):
            book = await exchange.fetch_order_book(symbol, 25)
            assert book["bids"][0][0] < book["asks"][0][0]
            assert (await exchange.fetch_ticker(symbol))["last"] > 0
            await exchange.fetch_trades(symbol)
        assert (await exchange.fetch_funding_rate(PERP))["fundingRate"] == pytest.approx(1e-4)
        assert abs(await exchange.fetch_time() - box.clock.now_ns() // 10**6) < 1000

    run(test)


@BOTH
def test_place_edit_cancel(symbol):
    async def test(box, exchange):
        made = await place(exchange, symbol)
        (row,) = await exchange.fetch_open_orders(symbol)
        assert (row["id"], row["status"], row["symbol"]) == (made["id"], "open", symbol)
        await exchange.edit_order(made["id"], symbol, "limit", "buy", 0.02, row["price"])
        (row,) = await exchange.fetch_open_orders(symbol)
        assert row["amount"] == 0.02
        assert (await exchange.cancel_order(made["id"], symbol))["id"] == made["id"]
        assert await exchange.fetch_open_orders(symbol) == []
        with pytest.raises(ccxt.OrderNotFound if symbol == PERP else ccxt.BaseError):
            await exchange.cancel_order(made["id"], symbol)
        (closed,) = await exchange.fetch_canceled_orders(symbol)
        assert (closed["id"], closed["status"]) == (made["id"], "canceled")

    run(test)


@BOTH
def test_batches_with_one_bad_item(symbol):
    async def test(box, exchange):
        await exchange.load_markets()
        price = await far_bid(exchange, symbol)
        asked = [
            {"symbol": symbol, "type": "limit", "side": "buy", "amount": 0.01, "price": price}
            for _ in range(3)
        ]
        asked[1]["amount"] = 1000.0
        made = await exchange.create_orders(asked)
        assert [one["status"] == "rejected" for one in made] == [False, True, False]
        idents = [one["id"] for one in made if one["id"]]
        gone = await exchange.cancel_orders([*idents, "nobody"], symbol)
        assert [one["id"] for one in gone[:2]] == idents
        assert await exchange.fetch_open_orders(symbol) == []
        for _ in range(2):
            await place(exchange, symbol)
        assert len(await exchange.cancel_all_orders(symbol)) == 2

    run(test)


def test_positions_balances_and_settings():
    async def test(box, exchange):
        await exchange.load_markets()
        bought = await exchange.create_order(PERP, "market", "buy", 0.05)
        (held,) = await exchange.fetch_positions([PERP])
        assert (held["side"], held["contracts"]) == ("long", 0.05)
        balance = await exchange.fetch_balance()
        wallet = box.exchange.accounts_of("bybit")[0].wallets["unified"]
        assert balance["USDT"]["total"] == pytest.approx(
            (wallet.balances["USDT"] + wallet.margin().unrealised) / 1e8, abs=5.0
        )
        assert balance["BTC"]["total"] == wallet.balances["BTC"] / 1e8
        trades = await exchange.fetch_my_trades(PERP)
        assert sum(one["amount"] for one in trades) == pytest.approx(0.05)
        assert {one["order"] for one in trades} == {bought["id"]}
        await exchange.set_leverage(11, PERP)
        with pytest.raises(ccxt.BadRequest):
            await exchange.set_leverage(11, PERP)
        fee = await exchange.fetch_trading_fee(PERP)
        assert fee["maker"] == 0.0002

    run(test)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"secret": "wrong"}, ccxt.AuthenticationError),
        ({"apiKey": "nobody"}, ccxt.AuthenticationError),
    ],
)
@pytest.mark.slow
def test_wrong_keys(changed, error):
    async def test(box, exchange):
        for name, value in changed.items():
            setattr(exchange, name, value)
        with pytest.raises(error):
            await exchange.fetch_balance()

    run(test)


@pytest.mark.slow
def test_errors_have_their_classes():
    async def test(box, exchange):
        await exchange.load_markets()
        with pytest.raises(ccxt.InsufficientFunds):
            await exchange.create_order(PERP, "limit", "buy", 1000.0, 60000.0)
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order("00000000-0000-4000-8000-000000000000", PERP)
        await place(exchange, PERP, clientOrderId="twice")
        with pytest.raises(ccxt.BaseError):
            await place(exchange, PERP, clientOrderId="twice")
        box.exchange.accounts_of("bybit")[0].permissions.discard("trade")
        with pytest.raises(ccxt.PermissionDenied):
            await place(exchange, PERP)

    run(test)


@pytest.mark.slow
@BOTH
def test_watch_the_market(symbol):
    async def test(box, exchange):
        for _ in range(5):
            book = await exchange.watch_order_book(symbol, 50)
        assert book["bids"][0][0] < book["asks"][0][0]
        assert (await exchange.watch_ticker(symbol))["symbol"] == symbol
        assert (await exchange.watch_trades(symbol))[0]["symbol"] == symbol

    run(test)


@BOTH
def test_watch_orders_fills_and_balance(symbol):
    async def test(box, exchange):
        await exchange.load_markets()
        await exchange.fetch_balance()

        async def seen(watch, wanted):
            while True:
                for one in reversed(await watch()):
                    if wanted(one):
                        return one

        orders = asyncio.create_task(
            seen(exchange.watch_orders, lambda one: one["status"] == "open")
        )
        await asyncio.sleep(0.2)
        made = await place(exchange, symbol)
        opened_ = await orders
        assert (opened_["id"], opened_["symbol"]) == (made["id"], symbol)
        orders = asyncio.create_task(
            seen(exchange.watch_orders, lambda one: one["status"] == "canceled")
        )
        await exchange.cancel_order(made["id"], symbol)
        assert (await orders)["id"] == made["id"]

        trades = asyncio.create_task(exchange.watch_my_trades())
        balance = asyncio.create_task(exchange.watch_balance())
        await asyncio.sleep(0.2)
        side = "buy" if symbol == PERP else "sell"
        taken = await exchange.create_order(symbol, "market", side, 0.01)
        assert (await trades)[-1]["order"] == taken["id"]
        assert (await balance)["USDT"]["total"] > 0
        if symbol == PERP:
            exchange.options["watchPositions"]["fetchPositionsSnapshot"] = False
            held = asyncio.create_task(exchange.watch_positions([PERP]))
            await asyncio.sleep(0.2)
            await exchange.create_order(PERP, "market", "buy", 0.01)
            assert (await held)[0]["contracts"] == pytest.approx(0.02)

    run(test)


@pytest.mark.slow
def test_watch_positions_with_its_own_snapshot():
    async def test(box, exchange):
        await exchange.load_markets()
        await exchange.create_order(PERP, "market", "buy", 0.01)
        held = await exchange.watch_positions([PERP])
        assert held[0]["contracts"] == 0.01

    run(test)


def test_orders_over_the_trade_socket():
    async def test(box, exchange):
        await exchange.load_markets()
        price = await far_bid(exchange, PERP)
        made = await exchange.create_order_ws(PERP, "limit", "buy", 0.01, price)
        await exchange.edit_order_ws(made["id"], PERP, "limit", "buy", 0.02, price)
        (row,) = await exchange.fetch_open_orders(PERP)
        assert row["amount"] == 0.02
        await exchange.cancel_order_ws(made["id"], PERP)
        assert await exchange.fetch_open_orders(PERP) == []
        with pytest.raises(ccxt.BaseError):
            await exchange.cancel_order_ws(made["id"], PERP)

    run(test)
