"""A client of Bybit's dialect, without a network: signs, asks, and reads what sockets are sent."""

import asyncio
import json
from contextlib import asynccontextmanager
from itertools import count
from urllib.parse import urlencode

import orjson

from mmcore.box.bybit import Bybit
from mmcore.box.bybit_auth import sign
from mmcore.box.clock import Clock
from mmcore.box.dialects import Request
from mmcore.box.listing import open_exchange
from mmcore.box.options import Options
from mmcore.box.server import Box

NUMBERS = count(1)


def built(**choices):
    """A box of Bybit's floors alone that does not listen yet, and its dialect."""
    options = Options(**{"seed": 3, "reply_ms": 0.0, "limits_scale": 1000.0, **choices})
    clock = Clock()
    exchange = open_exchange(
        options.seed,
        start_ns=clock.engine_ns(),
        venues=("bybit-linear", "bybit-spot"),
        funding_interval_ns=options.funding_s * 10**9,
    )
    box = Box(exchange, options, clock=clock, make=[Bybit])
    return box, box.dialects[0]


@asynccontextmanager
async def opened(**choices):
    """The same, listening."""
    box, _ = built(**{"reply_ms": 1.5, **choices})
    await box.start()
    try:
        yield box
    finally:
        await box.stop()


class Caller:
    """One account's requests."""

    def __init__(self, box, dialect, account=0):
        self.box = box
        self.dialect = dialect
        self.account = box.exchange.accounts_of("bybit")[account]
        self.headers = {}
        self.reply = None

    def signed(self, payload, **changed):
        held = self.account.credentials
        stamp = str(changed.get("stamp", self.box.clock.now_ns() // 10**6))
        window = str(changed.get("window", 5000))
        key = changed.get("key", held.key)
        text = f"{stamp}{key}{window}".encode() + payload
        return {
            "X-BAPI-API-KEY": key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": changed.get("signature", sign(held.secret, text)),
        }

    def ask(self, method, path, *, query="", body=b"", headers=None, ip="127.0.0.1"):
        request = Request(method, path, query, body, headers or {}, ip)
        self.reply = asyncio.run(self.dialect.http(request))
        return json.loads(self.reply.raw())

    def public(self, path, **params):
        return self.ask("GET", path, query=urlencode(params))

    def get(self, path, **params):
        query = urlencode(params)
        return self.ask("GET", path, query=query, headers=self.signed(query.encode()))

    def post(self, path, **params):
        body = json.dumps(params).encode()
        return self.ask("POST", path, body=body, headers=self.signed(body))

    def place(self, category="linear", **params):
        return self.post("/v5/order/create", **self.order(category, **params))

    def order(self, category="linear", **params):
        """A post-only bid for the least quantity, ten ticks below the best bid."""
        place = self.dialect.desk.places["spot" if category == "spot" else "linear", "BTCUSDT"]
        floor, listed = place.floor, place.listed
        return {
            "category": category,
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "0.01",
            "price": listed.price(floor.best(1)[0] - 10),
            "timeInForce": "PostOnly",
            "orderLinkId": f"t{next(NUMBERS)}",
            **params,
        }

    def orders(self, category="linear", **params):
        params = {"category": category, "symbol": "BTCUSDT", **params}
        return self.get("/v5/order/realtime", **params)["result"]["list"]


class Ear:
    """A socket that keeps what it is sent."""

    def __init__(self, path="/v5/private", query="", ip="127.0.0.1"):
        self.path = path
        self.query = query
        self.ip = ip
        self.kind = ""
        self.account = None
        self.closed = False
        self.said = []
        self.incoming = asyncio.Queue()

    def send(self, message, stream):
        frame = orjson.dumps(message) if not isinstance(message, bytes) else message
        self.said.append((stream, orjson.loads(frame)))

    def call(self, name, execute, failed):
        self.send(execute(), "ack")

    async def close(self, code=1000, reason=""):
        self.closed = True
        self.incoming.put_nowait(None)

    async def __aiter__(self):
        while (frame := await self.incoming.get()) is not None:
            yield frame

    def topic(self, name):
        """Messages of one topic."""
        return [message for _, message in self.said if message.get("topic") == name]

    def last(self):
        return self.said[-1][1]


async def settle():
    """Let everything that was put down be sent."""
    for _ in range(5):
        await asyncio.sleep(0)
