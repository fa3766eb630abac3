"""Hyperliquid over HTTP: questions, actions where no socket can take them, and what both cost.

The vendor's library signs and makes the actions; its own HTTP session would block the loop, so the
bytes go out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from mmcore.errors import NetworkError, VenueError
from mmcore.events import RejectCode
from mmcore.gateway import Action, Setup, VenueFault

from ._budget import Budget, Pool
from ._call import OutcomeUnknown, call

MS, SECOND = 1_000_000, 1_000_000_000
INFO_S, ACTION_S = 5.0, 3.0
CLOCK_SAMPLES = 3
BACK_OFF_S = 10.0  # after a refusal for too many requests that does not say how long
ITEMS_PER_WEIGHT = 40
ANSWER_MAX = 64 << 20
HOSTS = {"mainnet": "api.hyperliquid.xyz", "testnet": "api.hyperliquid-testnet.xyz"}
WEIGHTS: Mapping[str, int] = dict.fromkeys(
    ("l2Book", "allMids", "clearinghouseState", "orderStatus", "exchangeStatus"), 2
) | {"userRole": 60}
WEIGHT = 20
# Weight is of the address of this machine; messages are those on sockets.
POOLS = {
    "weight": Pool(1_200, 60.0, burst=600, reserve=300),
    "messages": Pool(2_000, 60.0, burst=200, reserve=200),
}
QUOTA_LOW = 200  # requests of the account that only cancels may use
QUOTA_WARN = 2_000


class Quota:
    """Requests that the account may still send: a number the venue gives, less what went since."""

    def __init__(self) -> None:
        self.left = QUOTA_WARN
        self.cap = QUOTA_WARN

    def report(self, answer: Mapping[str, Any]) -> None:
        """What ``userRateLimit`` says."""
        self.cap = int(answer.get("nRequestsCap", 0)) or self.cap
        self.left = self.cap - int(answer.get("nRequestsUsed", 0))

    def take(self, n: int, cancel: bool) -> bool:
        """Count ``n`` orders or cancels; False, and nothing counted, where they must not go."""
        if not cancel and self.left - n < QUOTA_LOW:
            return False
        self.left -= n
        return True


class Rest:
    """One venue's HTTP side; the session is made when first used."""

    def __init__(self, setup: Setup) -> None:
        self.venue = setup.venue
        self.mainnet = setup.environment == "mainnet"
        host = setup.base or HOSTS[setup.environment]
        tail = "" if setup.base else "s"
        self.base, self.socket_url = f"http{tail}://{host}", f"ws{tail}://{host}/ws"
        self.budget: Budget = setup.common.setdefault(  # of the address of this machine
            ("hyperliquid budget", self.base), Budget(POOLS, setup.clock)
        )
        self.quota = Quota()
        self.clock_offset_ns = 0
        self._clock = setup.clock
        self._session: aiohttp.ClientSession | None = None

    def now_ms(self) -> int:
        """The venue's clock."""
        return (self._clock() + self.clock_offset_ns) // MS

    async def info(self, kind: str, *, urgent: bool = False, **fields: Any) -> Any:
        """A question; ``urgent`` may spend what is kept back for cancels.  Raises VenueError.

        One that got no answer is asked once more: a kept connection may have gone meanwhile.
        """
        cost, question = {"weight": WEIGHTS.get(kind, WEIGHT)}, {"type": kind} | fields
        await self.budget.acquire(cost, urgent)
        try:
            status, headers, body = await self._post("/info", question, kind, INFO_S)
        except OutcomeUnknown:
            await self.budget.acquire(cost, urgent)
            status, headers, body = await self._post("/info", question, kind, INFO_S)
        if status != 200:
            raise self._refused(status, headers, body, kind)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise VenueError(f"{kind}: an answer that is not JSON", where=self.base) from None

    async def act(self, payload: Mapping[str, Any], n: int, *, cancel: bool) -> Any:
        """A signed action of ``n`` items.  Raises OutcomeUnknown, NotSent, VenueFault."""
        await self.budget.acquire({"weight": 1 + n // ITEMS_PER_WEIGHT}, cancel)
        what = str(payload["action"]["type"])
        status, headers, body = await self._post("/exchange", payload, what, ACTION_S)
        if status >= 500:
            raise OutcomeUnknown(f"{what}: HTTP {status}", where=self.base)
        if status != 200:
            raise self._refused(status, headers, body, what)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise OutcomeUnknown(f"{what}: an answer that is not JSON", where=self.base) from None

    async def sync_clock(self, *, urgent: bool = False) -> None:
        """Estimate the venue's clock from a few questions, the quickest of which counts."""
        best = None
        for _ in range(CLOCK_SAMPLES):
            begin = self._clock()
            answer = await self.info("exchangeStatus", urgent=urgent)
            end = self._clock()
            time_ms = answer.get("time") if isinstance(answer, Mapping) else None
            if not isinstance(time_ms, int):
                raise VenueError("exchangeStatus does not say the time", where=self.base)
            # The venue writes whole milliseconds: on average it is half of one later.
            offset = time_ms * MS + MS // 2 - (begin + end) // 2
            if best is None or end - begin < best[0]:
                best = (end - begin, offset)
        assert best is not None
        self.clock_offset_ns = best[1]

    async def close(self) -> None:
        """Close the session; idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(
        self, path: str, body: Mapping[str, Any], what: str, deadline_s: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"Content-Type": "application/json"}, trust_env=False
            )
        return await call(
            self._exchange(self._session, path, orjson.dumps(body)),
            deadline_s=deadline_s, what=what, where=self.base,
        )  # fmt: skip

    async def _exchange(
        self, session: aiohttp.ClientSession, path: str, body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        async with session.post(self.base + path, data=body, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.read()

    def _refused(
        self, status: int, headers: Mapping[str, str], body: bytes, what: str
    ) -> VenueError:
        text = body[:200].decode("utf-8", "replace")
        if status in {403, 418, 429}:
            said = headers.get("Retry-After", "")
            wait_s = float(said) if said.isdigit() else BACK_OFF_S
            self.budget.block("weight", wait_s)
            return VenueFault(
                f"{what}: too many requests (HTTP {status})", code=status, action=Action.WAIT,
                reject=RejectCode.RATE, wait_s=wait_s, where=self.base,
                done=f"mmcore waits {wait_s:g} s",
            )  # fmt: skip
        if status >= 500:
            return NetworkError(f"{what}: HTTP {status} {text}".rstrip(), where=self.base)
        return VenueFault(
            f"{what}: HTTP {status} {text}".rstrip(), code=status, action=Action.REQUOTE,
            where=self.base,
        )  # fmt: skip


__all__ = [
    "Quota",
    "Rest",
]
