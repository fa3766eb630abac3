"""ccxt and its watch methods, unmodified, against Hyperliquid of the exchange in the box."""

import asyncio
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("eth_account", reason="needs the extra `hyperliquid`")

from ccxt import pro
from ccxt.base.errors import ExchangeError, InvalidOrder, OrderNotFound

from mmcore.box.server import Box

SYMBOL = "BTC/USDC:USDC"
LIMIT_S = 10.0


def to_loopback(urls, port):
    """Every address of the client, scheme and host replaced."""
    if isinstance(urls, dict):
        return {key: to_loopback(value, port) for key, value in urls.items()}
    scheme = "ws" if urls.startswith("ws") else "http"
    path = urls.partition("://")[2].partition("/")[2]
    return f"{scheme}://127.0.0.1:{port}" + (f"/{path}" if path else "")


@asynccontextmanager
async def client(box, number=0, **options):
    held = box.exchange.accounts_of("hyperliquid")[number].credentials
    found = pro.hyperliquid({
        "walletAddress": held.address,
        "privateKey": held.private_key,
        "enableRateLimit": False,
        "options": options,
    })  # fmt: skip
    found.urls["api"] = to_loopback(found.urls["api"], box.port)
    try:
        yield found
    finally:
        await found.close()


def run(story, **choices):
    """One story of a client in a box of its own, bounded in time."""

    async def main():
        async with Box.open(seed=4, limits_scale=100.0, **choices) as box, client(box) as found:
            async with asyncio.timeout(LIMIT_S):
                await found.load_markets()
                await story(box, found)

    asyncio.run(main())


async def deep(found, share=0.01):
    """A bid that rests."""
    bids = (await found.fetch_order_book(SYMBOL))["bids"]
    return round(bids[0][0] * (1 - share))


def test_markets_book_and_account():
    async def story(box, found):
        market = found.markets[SYMBOL]
        assert (market["precision"]["amount"], market["limits"]["cost"]["min"]) == (1e-05, 10)
        book = await found.fetch_order_book(SYMBOL)
        assert book["bids"][0][0] < book["asks"][0][0]
        assert (await found.fetch_ticker(SYMBOL))["last"] > 0
        assert abs(await found.fetch_time() - found.milliseconds()) < 60_000
        assert (await found.fetch_balance())["USDC"]["total"] > 0
        assert await found.fetch_positions([SYMBOL]) == []
        assert await found.fetch_open_orders(SYMBOL) == []
        assert await found.fetch_my_trades(SYMBOL) == []
        assert (await found.fetch_trading_fee(SYMBOL))["maker"] == 0.00015
        assert SYMBOL in await found.fetch_funding_rates([SYMBOL])

    run(story)


def test_an_order_is_placed_changed_and_cancelled():
    async def story(box, found):
        price = await deep(found)
        name = "0x" + "0" * 31 + "a"
        order = await found.create_order(
            SYMBOL, "limit", "buy", 0.001, price, {"postOnly": True, "clientOrderId": name}
        )
        shown = await found.fetch_order(order["id"], SYMBOL)
        assert (shown["status"], shown["clientOrderId"], shown["timeInForce"]) == (
            "open", name, "ALO",
        )  # fmt: skip
        changed = await found.edit_order(order["id"], SYMBOL, "limit", "buy", 0.002, price - 10)
        assert changed["id"] != order["id"]
        (only,) = await found.fetch_open_orders(SYMBOL)
        assert (only["id"], only["amount"], only["price"]) == (changed["id"], 0.002, price - 10)
        await found.cancel_order(changed["id"], SYMBOL)
        assert (await found.fetch_order(changed["id"], SYMBOL))["status"] == "canceled"
        with pytest.raises(OrderNotFound):
            await found.cancel_order(changed["id"], SYMBOL)
        with pytest.raises(InvalidOrder, match="minimum value"):
            await found.create_order(SYMBOL, "limit", "buy", 0.0001, price)
        with pytest.raises(InvalidOrder, match="Post only"):
            await found.create_order(
                SYMBOL, "limit", "buy", 0.001, price * 1.02 // 1, {"postOnly": True}
            )

    run(story)


def test_batches_and_one_bad_item():
    async def story(box, found):
        price = await deep(found)
        good = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.001, "price": price}
        made = await found.create_orders([good, good | {"price": price - 10}])
        assert len({order["id"] for order in made}) == 2
        with pytest.raises(InvalidOrder):  # the client raises for one; the venue took the other
            await found.create_orders([good | {"price": price - 20}, good | {"amount": 0.0001}])
        ids = [order["id"] for order in await found.fetch_open_orders(SYMBOL)]
        assert len(ids) == 3
        await found.cancel_orders(ids, SYMBOL)
        assert await found.fetch_open_orders(SYMBOL) == []
        with pytest.raises(OrderNotFound):
            await found.cancel_orders([ids[0], "1"], SYMBOL)
        await found.set_leverage(7, SYMBOL)
        await found.set_margin_mode("isolated", SYMBOL, {"leverage": 7})

    run(story)


def test_watching_books_trades_orders_fills_and_positions():
    async def story(box, found):
        async with client(box, 1, builderFee=False) as other:
            await other.load_markets()
            book = await found.watch_order_book(SYMBOL)
            assert book["bids"][0][0] < book["asks"][0][0]
            watches = [
                asyncio.ensure_future(watch)
                for watch in (
                    found.watch_orders(SYMBOL), found.watch_my_trades(SYMBOL),
                    found.watch_ticker(SYMBOL),
                )
            ]  # fmt: skip
            await asyncio.sleep(0.1)
            best = book["bids"][0][0]
            order = await found.create_order(SYMBOL, "limit", "buy", 0.5, best, {"postOnly": True})
            (told,) = await watches[0]
            assert (told["id"], told["status"]) == (order["id"], "open")
            await other.create_order(
                SYMBOL, "limit", "sell", 60, round(best * 0.98), {"timeInForce": "IOC"}
            )
            (trade,) = await watches[1]
            assert (trade["order"], trade["amount"], trade["side"]) == (order["id"], 0.5, "buy")
            assert (await watches[2])["symbol"] == SYMBOL
            assert all(each["symbol"] == SYMBOL for each in await found.watch_trades(SYMBOL))
            (position,) = await found.fetch_positions([SYMBOL])
            assert (position["contracts"], position["side"]) == (0.5, "long")
            watched = await found.watch_positions([SYMBOL])
            assert watched[0]["contracts"] == 0.5
            (told,) = (o for o in await found.fetch_closed_orders(SYMBOL))
            assert told["status"] == "closed"

    run(story)


def test_orders_over_the_socket():
    async def story(box, found):
        price = await deep(found)
        order = await found.create_order_ws(SYMBOL, "limit", "buy", 0.001, price)
        changed = await found.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 0.002, price - 1)
        await found.cancel_order_ws(changed["id"], SYMBOL)
        assert await found.fetch_open_orders(SYMBOL) == []
        with pytest.raises(ExchangeError, match="minimum value"):
            await found.create_order_ws(SYMBOL, "limit", "buy", 0.0001, price)

    run(story)
