"""python-binance and ccxt, pointed at a box on loopback; nothing else about them is changed."""

import contextlib
import warnings

from binance_served import Served

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the client's own imports
    from binance import AsyncClient, BinanceSocketManager
    from binance.exceptions import BinanceAPIException


__all__ = ["BinanceAPIException", "Served"]


def account(box, n):
    return box.exchange.accounts_of("binance")[n]


@contextlib.asynccontextmanager
async def python_binance(box, n):
    """An AsyncClient of one account, and its socket manager's class with the box's addresses."""
    http, ws = f"http://127.0.0.1:{box.port}", f"ws://127.0.0.1:{box.port}"

    class Client(AsyncClient):
        API_URL = f"{http}/api"
        MARGIN_API_URL = f"{http}/sapi"
        FUTURES_URL = f"{http}/fapi"
        FUTURES_DATA_URL = f"{http}/futures/data"
        WS_API_URL = f"{ws}/ws-api/v3"
        WS_FUTURES_URL = f"{ws}/ws-fapi/v1"

    class Streams(BinanceSocketManager):
        STREAM_URL = f"{ws}/"
        FSTREAM_URL = f"{ws}/"

    who = account(box, n).credentials
    client = await Client.create(who.key, who.secret)
    hurry(client.ws_future)
    hurry(client.ws_api)
    try:
        yield client, Streams(client, max_queue_size=10_000)
    finally:
        await client.ws_future.close()
        await client.close_connection()


def hurry(stream):
    """Let a silent stream end soon: the client looks for the end only as often as this says."""
    stream.TIMEOUT = 0.2


@contextlib.asynccontextmanager
async def listening(stream):
    """A stream of the socket manager, open."""
    hurry(stream)
    async with stream:
        yield stream


@contextlib.asynccontextmanager
async def ccxt_client(box, make, n):
    """A ccxt.pro exchange of one account, every address of it mapped to the box."""
    who = account(box, n).credentials
    client = make({"apiKey": who.key, "secret": who.secret, "enableRateLimit": False})
    client.urls["api"] = here(client.urls["api"], box.port)
    try:
        yield client
    finally:
        await client.close()


def here(url, port):
    """The same path on the box; a spot stream keeps its host's name as the path's first part."""
    if isinstance(url, dict):
        return {name: here(each, port) for name, each in url.items()}
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if scheme == "wss" and host.startswith("stream."):
        path = f"stream/{path}"
    return f"{scheme.removesuffix('s')}://127.0.0.1:{port}{slash}{path}"


def price_near(box, ticks, symbol="BTCUSDT", venue="binance-usdm"):
    """A price so many ticks above the best bid."""
    floor = box.exchange.floor(venue, symbol)
    return floor.instrument.price_text(floor.best(1)[0] + ticks)


async def until(receive, wanted):
    """The first message that ``wanted`` accepts."""
    while True:
        message = await receive()
        if wanted(message):
            return message
