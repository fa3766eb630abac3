"""Bybit over HTTP: pybit writes and signs each request, one aiohttp session carries it.

pybit's own transport blocks its thread, sleeps there when it is refused, and sends orders again by
itself; so only what it knows best is used of it: paths, parameters, their order, and the signature
over exactly the bytes that are sent.  Nothing here is sent twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from pybit._http_manager import generate_signature
from pybit.unified_trading import HTTP
from yarl import URL

from mmcore.errors import MmcoreError, VenueError
from mmcore.gateway import Action, Keys, VenueFault

from ._budget import Budget
from ._bybit_words import CODES, MS
from ._call import OutcomeUnknown, call

RECV_WINDOW_MS = 5000
DEADLINE_S = 5.0
CLOCK_S = 2.5  # of the first question: a network that is not there is told soon
BANNED_S = 600.0  # what Bybit asks of an address that it shut out
WAIT_LONGEST_S = 60.0
PAGES_MAX = 100
CONNECTIONS = 16

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A request as pybit wrote it; headers carry the signature and are never shown."""

    method: str
    url: str
    payload: str
    headers: Mapping[str, str] = field(repr=False)


class Writer(HTTP):  # type: ignore[misc]
    """pybit's session with its transport taken out: its methods return what they would send."""

    def __init__(self, base: str, keys: Keys | None, stamp_ms: Callable[[], int]) -> None:
        logging.getLogger("pybit").addHandler(logging.NullHandler())
        super().__init__(
            testnet=False,
            api_key=keys.key if keys else None,
            api_secret=keys.secret if keys else None,
            recv_window=RECV_WINDOW_MS,
        )
        self.endpoint = base
        self.stamp_ms = stamp_ms

    def __repr__(self) -> str:
        return "Writer()"  # the parent's would show key and secret

    def _submit_request(
        self,
        method: str | None = None,
        path: str | None = None,
        query: Any = None,
        auth: bool = False,
    ) -> Written:
        query = {name: value for name, value in (query or {}).items() if value is not None}
        payload = self.prepare_payload(method, query)
        headers = {"Content-Type": "application/json"}
        if auth:
            stamp = self.stamp_ms()
            headers |= {
                "X-BAPI-API-KEY": self.api_key,
                "X-BAPI-SIGN": self._auth(payload, self.recv_window, stamp),
                "X-BAPI-SIGN-TYPE": "2",
                "X-BAPI-TIMESTAMP": str(stamp),
                "X-BAPI-RECV-WINDOW": str(self.recv_window),
            }
        return Written(str(method), str(path), payload, headers)


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Whatever an answer lacks, or has in another form than documented, becomes a VenueError."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        if isinstance(error, MmcoreError):
            raise
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise VenueError(
            f"{what} cannot be understood ({reason})",
            where="bybit",
            todo="tell the developers: Bybit may have changed its answers",
        ) from error


class Rest:
    """Questions to one account.

    base: the server.  budget: with pools "http", "read", "setup", "fees" and those of orders.
    clock: ns; ``offset_ns``, the venue's clock less ours, is added to it in what is signed.
    """

    def __init__(
        self, base: str, keys: Keys | None, budget: Budget, clock: Callable[[], int]
    ) -> None:
        self.base = base
        self.budget = budget
        self.offset_ns = 0
        self._clock = clock
        self.http = Writer(base, keys, self.stamp_ms)
        self._session: aiohttp.ClientSession | None = None

    def stamp_ms(self) -> int:
        """The venue's time, ms."""
        return (self._clock() + self.offset_ns) // MS

    def sign(self, text: str) -> str:
        """The account's signature, as sockets want it."""
        return str(generate_signature(False, self.http.api_secret, text))

    async def ask(
        self,
        method: Callable[..., Any],
        *,
        pool: str = "read",
        cost: int = 1,
        cancel: bool = False,
        deadline_s: float = DEADLINE_S,
        already: bool = False,
        **query: Any,
    ) -> Answer:
        """The whole answer to one of pybit's methods.

        already: "not modified" is success.  Raises VenueFault with the code's meaning,
        OutcomeUnknown, NotSent, or VenueError for what is no answer of Bybit's.
        """
        await self.budget.acquire({"http": 1, pool: cost}, cancel)
        return await self.post(method, pool=pool, deadline_s=deadline_s, already=already, **query)

    async def post(
        self,
        method: Callable[..., Any],
        *,
        pool: str,
        deadline_s: float = DEADLINE_S,
        already: bool = False,
        **query: Any,
    ) -> Answer:
        """The same for a call that the budget has let through already."""
        written: Written = method(**query)
        what = f"{written.method} {written.url.removeprefix(self.base)}"
        status, headers, body = await call(
            self._send(written), deadline_s=deadline_s, what=what, where="bybit"
        )
        self.limits(pool, headers)
        answer = self._read(status, body, what)
        code = answer.get("retCode")
        if not isinstance(code, int):
            raise VenueError("the answer has no retCode", where=f"bybit {what}")
        if code == 0 or (already and CODES[code].action is Action.OK):
            return answer
        raise self.refused(code, str(answer.get("retMsg", "")), pool, what, headers)

    async def pages(self, method: Callable[..., Any], **query: Any) -> list[Mapping[str, Any]]:
        """The rows of every page of a list."""
        rows: list[Mapping[str, Any]] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            result = (await self.ask(method, cursor=cursor, **query))["result"]
            rows += result["list"]
            cursor = result.get("nextPageCursor")
            if not cursor or not result["list"]:
                return rows
        raise VenueError(f"a list of more than {PAGES_MAX} pages", where="bybit")

    def refused(
        self, code: int, text: str, pool: str, what: str, headers: Mapping[str, str]
    ) -> VenueFault:
        """The exception for a code, after the budget has heard of it."""
        meaning, wait_s = CODES[code], 0.0
        if code == 403:
            wait_s = BANNED_S
            self.budget.block(None, wait_s)
        elif meaning.action is Action.WAIT and code not in {10002, -1}:
            wait_s = min(max(self._until(headers), 0.1), WAIT_LONGEST_S)
            self.budget.block(pool, wait_s)
        return CODES.fault(code, text, where=f"bybit {what}", wait_s=wait_s)

    def limits(self, pool: str, headers: Mapping[str, str]) -> None:
        """What the venue says is left of a pool; headers of HTTP or of a socket's answer."""
        left, limit = headers.get("X-Bapi-Limit-Status"), headers.get("X-Bapi-Limit")
        if pool == "http" or not left or not limit:
            return
        if left.isdecimal() and limit.isdecimal():
            wait_s = min(self._until(headers), 1.0)
            self.budget.report(pool, left=int(left), limit=int(limit), wait_s=wait_s)

    def _until(self, headers: Mapping[str, str]) -> float:
        text = headers.get("X-Bapi-Limit-Reset-Timestamp", "")
        return max((int(text) - self.stamp_ms()) / 1000, 0.0) if text.isdecimal() else 0.0

    async def _send(self, written: Written) -> tuple[int, Mapping[str, str], bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=60.0)
            )
        get = written.method == "GET"
        url = f"{written.url}?{written.payload}" if get and written.payload else written.url
        async with self._session.request(
            written.method,
            URL(url, encoded=True),  # the bytes that were signed, not quoted again
            data=None if get else written.payload.encode(),
            headers=written.headers,
            allow_redirects=False,
        ) as response:
            return response.status, response.headers, await response.read()

    def _read(self, status: int, body: bytes, what: str) -> Answer:
        if status in {403, 429}:
            return {"retCode": status, "retMsg": "too many requests from this address"}
        if status >= 500:
            raise OutcomeUnknown(f"{what}: HTTP {status}", where="bybit")
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise VenueError(f"HTTP {status} without a JSON object", where=f"bybit {what}")
        return answer

    async def measure_clock(self, times: int = 3) -> int:
        """Read the venue's clock, keep the offset of the quickest answer, and return it, ns."""
        best: tuple[int, int] | None = None
        for _ in range(times):
            sent = self._clock()
            answer = await self.ask(self.http.get_server_time, pool="http", deadline_s=CLOCK_S)
            took = self._clock() - sent
            with understood("the venue's time"):
                offset = int(answer["result"]["timeNano"]) - sent - took // 2
            if best is None or took < best[0]:
                best = took, offset
        assert best is not None
        self.offset_ns = best[1]
        return self.offset_ns

    async def close(self) -> None:
        """Close the connections; idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            await asyncio.sleep(0)


__all__ = ["Answer", "Rest", "Writer", "Written", "understood"]
