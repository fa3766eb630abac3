"""A client of the Binance dialect without a network: requests go in as bytes, replies come out."""

import hashlib
import hmac
import itertools
from urllib.parse import quote_plus

import orjson

from mmcore.box.dialects import Reply, Request
from mmcore.box.options import Options
from mmcore.box.server import Box

ACCOUNTS = 60


class Answer(dict):
    """Status, headers and body of a reply; the body's names as items where it is an object."""

    def __init__(self, reply: Reply) -> None:
        self.status = reply.status
        self.headers = dict(reply.headers)
        self.body = orjson.loads(reply.raw())
        super().__init__(self.body if isinstance(self.body, dict) else {})

    @property
    def error(self) -> tuple[int, int]:
        return self.status, self["code"]


class Client:
    """One account of a box that does not listen; ``others`` are the accounts beside it."""

    def __init__(self, box: Box, account: int = 0) -> None:
        self.box = box
        self.n = account
        self.ip = f"10.0.0.{account}"  # so that no two clients share a limit
        self.dialect = next(each for each in box.dialects if each.name == "binance")
        self.account = box.exchange.accounts_of("binance")[account]
        self.key = self.account.credentials.key
        self.secret = self.account.credentials.secret
        self.ids = itertools.count(1)

    @classmethod
    def fresh(cls, **choices) -> "Client":
        """A client of a box of its own, whose market has begun."""
        box = Box.build(Options(**choices))
        box.exchange.advance(box.clock.engine_ns())
        return cls(box)

    def peer(self) -> "Client":
        """The next account."""
        return Client(self.box, self.n + 1)

    def raw(self, method, path, query="", body="", headers=None) -> Answer:
        data = body if isinstance(body, bytes) else body.encode()
        asked = Request(method, path, query, data, headers or {}, self.ip)
        answering = self.dialect.http(asked)
        try:
            answering.send(None)
        except StopIteration as end:
            return Answer(end.value)
        raise AssertionError("the dialect waited")

    def public(self, path, **params) -> Answer:
        return self.raw("GET", path, form(params))

    def signed(self, method, path, *, stamp=0, in_body=False, **params) -> Answer:
        """stamp: ms to add to the venue's clock."""
        now = self.box.clock.now_ns() // 1_000_000 + stamp
        text = form({**params, "timestamp": now})
        text += "&signature=" + self.sign(text)
        query, body = ("", text) if in_body else (text, "")
        return self.raw(method, path, query, body, {"X-MBX-APIKEY": self.key})

    def sign(self, text) -> str:
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    # -- figures of one futures symbol

    def floor(self, symbol="BTCUSDT", venue="binance-usdm"):
        return self.box.exchange.floor(venue, symbol)

    def price(self, ticks, symbol="BTCUSDT", venue="binance-usdm") -> str:
        """A price so many ticks above (negative: below) the best bid."""
        floor = self.floor(symbol, venue)
        return floor.instrument.price_text(floor.best(1)[0] + ticks)

    def order(self, **changes) -> dict:
        """Parameters of a futures bid well below the market; None takes one away."""
        values = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTX",
            "quantity": "0.010",
            "price": self.price(-1000),
            "newClientOrderId": f"t{next(self.ids)}",
            **changes,
        }
        return {name: value for name, value in values.items() if value is not None}

    def place(self, **changes) -> Answer:
        return self.signed("POST", "/fapi/v1/order", in_body=True, **self.order(**changes))

    def spot_order(self, **changes) -> dict:
        values = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT_MAKER",
            "quantity": "0.00100",
            "price": self.price(-10_000, venue="binance-spot"),
            "newClientOrderId": f"s{next(self.ids)}",
            **changes,
        }
        return {name: value for name, value in values.items() if value is not None}

    def place_spot(self, **changes) -> Answer:
        return self.signed("POST", "/api/v3/order", in_body=True, **self.spot_order(**changes))


def form(params) -> str:
    """A query of parameters; lists and objects as JSON."""
    return "&".join(f"{name}={quote_plus(text(value))}" for name, value in params.items())


def text(value) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


class Pool:
    """Clients that nobody has used, two accounts apart; making a box takes a tenth of a second."""

    def __init__(self) -> None:
        self._unused: list[Client] = []

    def draw(self) -> Client:
        if not self._unused:
            first = Client.fresh(accounts=ACCOUNTS)
            self._unused = [Client(first.box, n) for n in range(0, ACCOUNTS, 2)]
        client = self._unused.pop()
        client.box.exchange.advance(client.box.clock.engine_ns())
        return client


def cover(client: Client, rival: Client, **changes) -> tuple[Answer, Answer]:
    """A resting bid of ``client`` at the best bid that ``rival`` sells into, all of it."""
    bid = client.place(price=client.price(0), **changes)
    floor = client.floor()
    tick = floor.instrument.to_tick(bid["price"])
    ahead = sum(qty for level, qty in floor.top(1, 50) if level >= tick)
    sell = rival.place(
        side="SELL",
        timeInForce="IOC",
        price=bid["price"],
        quantity=floor.instrument.quantity_text(ahead),
        newOrderRespType="RESULT",
    )
    return bid, sell
