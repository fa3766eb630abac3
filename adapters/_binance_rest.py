"""Binance over REST: python-binance's client, told where to go, paid for, and read in our terms.

The library brings addresses, form encoding, signatures and the HTTP session.  On top: every call is
taken from the account's budget, every answer's own headers correct that budget, every refusal
becomes a `VenueFault`, and a call without an answer an `OutcomeUnknown`.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from mmcore.errors import VenueError
from mmcore.events import RejectCode
from mmcore.gateway import Setup, VenueFault

from ._binance_faults import CLOCK_CODES, refused_answer
from ._binance_requests import ORDERS_10S, ORDERS_LONG, RECV_WINDOW_MS, WEIGHT
from ._budget import Budget, Pool
from ._call import call

with warnings.catch_warnings():
    # The library imports names that websockets has renamed since.
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance.async_client import AsyncClient

DEADLINE_S = 3.0  # of an order; readings get longer
READING_S = 10.0
CLOCK_TRIES = 3
CLOSE_S = 3.0
THROTTLED, TOO_MANY_ORDERS = -1008, -1015

FUTURES_POOLS = {
    WEIGHT: Pool(2400, 60.0, burst=1900, reserve=360),
    ORDERS_10S: Pool(300, 10.0, burst=270),
    ORDERS_LONG: Pool(1200, 60.0, burst=1080),
}
SPOT_POOLS = {
    WEIGHT: Pool(6000, 60.0, burst=4800, reserve=900),
    ORDERS_10S: Pool(100, 10.0, burst=90),
    ORDERS_LONG: Pool(200_000, 86_400.0),
}
# A header's or a rate limit's window -> the pool it is about.
HEADERS = {
    "X-MBX-USED-WEIGHT-1M": WEIGHT,
    "X-MBX-ORDER-COUNT-10S": ORDERS_10S,
    "X-MBX-ORDER-COUNT-1M": ORDERS_LONG,
    "X-MBX-ORDER-COUNT-1D": ORDERS_LONG,
}
INTERVALS = {
    ("REQUEST_WEIGHT", "MINUTE", 1): WEIGHT,
    ("ORDERS", "SECOND", 10): ORDERS_10S,
    ("ORDERS", "MINUTE", 1): ORDERS_LONG,
    ("ORDERS", "DAY", 1): ORDERS_LONG,
}


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where one environment lives.  rest: of both products, "/api" and "/fapi" included."""

    spot: str
    futures: str
    streams: str
    entry: str


FUTURES_HOSTS = {
    "mainnet": Hosts(
        "https://api.binance.com/api", "https://fapi.binance.com/fapi",
        "wss://fstream.binance.com", "wss://ws-fapi.binance.com/ws-fapi/v1",
    ),
    "testnet": Hosts(
        "https://testnet.binance.vision/api", "https://demo-fapi.binance.com/fapi",
        "wss://fstream.binancefuture.com", "wss://testnet.binancefuture.com/ws-fapi/v1",
    ),
}  # fmt: skip
SPOT_HOSTS = {
    "mainnet": Hosts(
        "https://api.binance.com/api", "https://fapi.binance.com/fapi",
        "wss://stream.binance.com:9443", "wss://ws-api.binance.com/ws-api/v3",
    ),
    "testnet": Hosts(
        "https://testnet.binance.vision/api", "https://demo-fapi.binance.com/fapi",
        "wss://stream.testnet.binance.vision", "wss://ws-api.testnet.binance.vision/ws-api/v3",
    ),
}  # fmt: skip


def hosts_of(setup: Setup) -> Hosts:
    """Addresses of a set-up."""
    futures = setup.venue == "binance-usdm"
    if setup.environment != "loopback":
        return (FUTURES_HOSTS if futures else SPOT_HOSTS)[setup.environment]
    entry = "ws-fapi/v1" if futures else "ws-api/v3"
    return Hosts(
        f"http://{setup.base}/api", f"http://{setup.base}/fapi", f"ws://{setup.base}",
        f"ws://{setup.base}/{entry}",
    )  # fmt: skip


class _Client(AsyncClient):  # type: ignore[misc]  # the library ships no types
    """The library's client; answers are judged here, each by its own status and headers."""

    REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=2 * READING_S, sock_connect=2.5)
    REQUEST_RECVWINDOW = RECV_WINDOW_MS

    on_headers: Callable[[Mapping[str, str]], None]

    async def _handle_response(self, response: aiohttp.ClientResponse) -> Any:
        body = await response.read()
        self.on_headers(response.headers)
        path = response.url.path
        if response.status // 100 != 2:
            raise refused_answer(
                response.status, body, response.headers, where=f"{response.method} {path}"
            )
        if path.endswith("/depth"):
            return body  # the decoder reads it, and a recorder keeps it, as it came
        try:
            return orjson.loads(body) if body else {}
        except orjson.JSONDecodeError as error:
            raise VenueError(
                f"Binance's answer is not JSON ({error})", where=f"{response.method} {path}"
            ) from None


class Rest:
    """One account's calls; see the module's first lines.

    Construct it on the loop.  clock_offset_ns: the venue's clock less ours, once it was asked.
    """

    def __init__(self, setup: Setup, rng: Random) -> None:
        self.hosts = hosts_of(setup)
        self.futures = setup.venue == "binance-usdm"
        loop = asyncio.get_running_loop()
        pools = FUTURES_POOLS if self.futures else SPOT_POOLS
        self.budget: Budget = setup.common.setdefault(
            ("budget", setup.venue, setup.base, setup.keys),
            Budget(pools, lambda: round(loop.time() * 1e9)),
        )
        self.clock_offset_ns = 0
        self._venue, self._clock, self._rng = setup.venue, setup.clock, rng
        addresses = {"API_URL": self.hosts.spot, "FUTURES_URL": self.hosts.futures}
        addresses["WS_FUTURES_URL" if self.futures else "WS_API_URL"] = self.hosts.entry
        keys = setup.keys
        self.client = type("Client", (_Client,), addresses)(
            keys.key if keys else None, keys.secret if keys else None
        )
        self.client.on_headers = self._headers

    async def close(self) -> None:
        """Close the session, and what sockets the library opened by itself; idempotent."""
        await self.client.session.close()
        for socket in (self.client.ws_api, self.client.ws_future):
            if socket is not None and socket.ws is not None:
                socket.TIMEOUT = 0.1
                await asyncio.wait({asyncio.ensure_future(socket.close())}, timeout=CLOSE_S)

    @property
    def now_ms(self) -> int:
        """The venue's time."""
        return (self._clock() + self.clock_offset_ns) // 1_000_000

    async def sync_clock(self) -> None:
        """Measure the venue's clock against ours: the quickest of a few answers counts."""
        best_ns = None
        for _ in range(CLOCK_TRIES):
            sent = self._clock()
            answer = await self.read("time")
            received = self._clock()
            stamp = answer.get("serverTime")
            if not isinstance(stamp, int):
                raise VenueError("Binance's time is missing in its answer", where=self._venue)
            if best_ns is None or received - sent < best_ns:
                best_ns = received - sent
                # Stamps are cut to the millisecond: on the average half of one is missing.
                self.clock_offset_ns = stamp * 1_000_000 + 500_000 - (sent + received) // 2
        self.client.timestamp_offset = self.clock_offset_ns / 1e6

    async def read(
        self, path: str, *, weight: int = 1, signed: bool = False, version: int = 1,
        urgent: bool = False, **data: str,
    ) -> Any:  # fmt: skip
        """GET: a reading, which may be asked again.  urgent: it may use the cancels' reserve."""
        return await self.send(
            "get", path, {WEIGHT: weight}, signed=signed, version=version, cancel=urgent,
            deadline_s=READING_S, data=data,
        )  # fmt: skip

    async def send(
        self, method: str, path: str, cost: Mapping[str, int], *, data: Mapping[str, str],
        signed: bool = True, version: int = 1, cancel: bool = False, encoded: bool = False,
        paid: bool = False, deadline_s: float = DEADLINE_S,
    ) -> Any:  # fmt: skip
        """One call, when the budget has room for it.

        encoded: the values are percent-encoded already.  paid: taken from the budget already.
        Raises VenueFault for a refusal, NotSent or OutcomeUnknown where none came.
        """
        if not paid:
            await self.budget.acquire(cost, cancel)
        try:
            return await self._once(method, path, data, signed, version, encoded, deadline_s)
        except VenueFault as fault:
            self.judge(fault)
            if not signed or fault.code not in CLOCK_CODES:
                raise
        # Refused for its time alone: nothing happened, and the same order may go again.
        await self.sync_clock()
        await self.budget.acquire(cost, cancel)
        return await self._once(method, path, data, signed, version, encoded, deadline_s)

    async def _once(
        self, method: str, path: str, data: Mapping[str, str], signed: bool, version: int,
        encoded: bool, deadline_s: float,
    ) -> Any:  # fmt: skip
        where = f"{self._venue} {path} {data.get('symbol', '')}".rstrip()
        sent: dict[str, Any] = {"data": dict(data)} if data or signed else {}
        if encoded:
            sent["force_params"] = True
        if self.futures:
            request = self.client._request_futures_api(method, path, signed, version, **sent)
        else:
            request = self.client._request_api(method, path, signed, **sent)
        return await call(request, deadline_s=deadline_s, what=f"{method.upper()}", where=where)

    def judge(self, fault: VenueFault) -> None:
        """Let a refusal slow us down, whichever way it came."""
        if fault.code == THROTTLED:
            self.budget.block(ORDERS_10S, 0.2 + 0.6 * self._rng.random(), cancels=False)
        elif fault.code == TOO_MANY_ORDERS:
            self.budget.block(ORDERS_10S, fault.wait_s or 10.0, cancels=False)
        elif fault.reject is RejectCode.RATE:
            self.budget.block(None, fault.wait_s or 60.0)

    def limits(self, entries: object) -> None:
        """Rate limits as exchangeInfo (sizes) and WebSocket answers (counts too) write them."""
        for entry in entries if isinstance(entries, list) else ():
            key = (entry.get("rateLimitType"), entry.get("interval"), entry.get("intervalNum"))
            pool = INTERVALS.get(key)
            if pool is not None:
                self.budget.report(pool, used=entry.get("count"), limit=entry.get("limit"))

    def _headers(self, headers: Mapping[str, str]) -> None:
        for header, pool in HEADERS.items():
            used = headers.get(header, "")
            if used.isdigit():
                self.budget.report(pool, used=int(used))

    async def depth(self, symbol: str, limit: int) -> bytes:
        """The body of a depth snapshot."""
        steps = ((50, 2), (100, 5), (500, 10)) if self.futures else ((100, 5), (500, 25))
        weight = next((w for most, w in steps if limit <= most), 20 if self.futures else 50)
        body = await self.read("depth", weight=weight, symbol=symbol, limit=str(limit))
        assert isinstance(body, bytes)
        return body


def symbols_text(symbols: tuple[str, ...]) -> str:
    """A list of symbols as spot's exchangeInfo wants it in the query."""
    return quote(orjson.dumps(symbols).decode(), safe="")


__all__ = [
    "Hosts",
    "Rest",
    "hosts_of",
    "symbols_text",
]
