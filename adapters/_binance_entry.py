"""Binance's WebSocket interface: requests and answers on one supervised connection.

Orders of both products go this way; spot's user data arrive on the same connection.  A request is
signed on its own, so the connection needs no log-in, and answers come in any order: the id says
which is whose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import count
from random import Random
from typing import Any

import orjson

from mmcore.errors import MmcoreError, VenueError
from mmcore.gateway import VenueFault

from ._binance_faults import refused
from ._binance_requests import Signer
from ._binance_rest import Rest
from ._call import NotSent, Pending
from ._stream import Heartbeat, Stream

DEADLINE_S = 2.0
BEAT = Heartbeat("protocol", every_s=5.0, answer_s=3.0)  # of all connections to Binance
RATE_STATUS = frozenset({418, 429})

Answered = Callable[[Any], None]
Failed = Callable[[MmcoreError], None]


class Entry:
    """One connection to the WebSocket interface; see the module's first lines.

    on_event: gets the user events that come here on spot.  on_up: what is to be asked on every new
    connection.
    """

    def __init__(
        self,
        rest: Rest,
        signer: Signer,
        *,
        name: str,
        on_event: Callable[[Mapping[str, Any]], None],
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[str], None],
        clock: Callable[[], int],
        rng: Random,
    ) -> None:
        self._rest, self._signer, self._name = rest, signer, name
        self._on_event, self._on_up, self._on_down = on_event, on_up, on_down
        self._pending = Pending(name, DEADLINE_S)
        self._ids = count(1)
        self.stream = Stream(
            name, rest.hosts.entry,
            on_frame=self._frame, on_up=self._up, on_down=self._down,
            beat=BEAT, clock=clock, rng=rng,
            stale_s=0.0,
        )  # fmt: skip

    def ask(
        self, method: str, params: Mapping[str, Any], answered: Answered, failed: Failed
    ) -> bool:
        """Send a signed request now; False, and neither is called, where the link is not up.

        Else one of the two is called, once, on the loop: with the result, or with the refusal
        (VenueFault) or OutcomeUnknown.
        """
        key = next(self._ids)
        if not self.stream.send(self._request(key, method, params)):
            return False
        self._pending.add(key, partial(self._read, method, answered, failed), failed)
        return True

    async def question(self, method: str, params: Mapping[str, Any]) -> Any:
        """The same, awaited; raises what ``failed`` would get, or NotSent."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.ask(method, params, partial(_settle, future), partial(_settle, future)):
            raise NotSent(f"{method}: the connection is down", where=self._name)
        answer = await future
        if isinstance(answer, MmcoreError):
            raise answer
        return answer

    def _request(self, key: int, method: str, params: Mapping[str, Any]) -> bytes:
        signed = self._signer.sign(params, self._rest.now_ms)
        return orjson.dumps({"id": key, "method": method, "params": signed})

    def _frame(self, frame: bytes, ts_local_ns: int) -> None:  # noqa: ARG002 (events carry times)
        message = orjson.loads(frame)
        if not isinstance(message, dict):
            raise VenueError("a message that is no JSON object", where=self._name)
        if "event" in message:
            self._on_event(message["event"])
        elif "status" in message:
            self._rest.limits(message.get("rateLimits"))
            self._pending.answer(message.get("id"), message)
        elif "e" in message:
            self._on_event(message)

    def _read(
        self, method: str, answered: Answered, failed: Failed, message: Mapping[str, Any]
    ) -> None:
        if message["status"] == 200:
            answered(message.get("result"))
            return
        fault = self._refusal(message, f"{self._name} {method}")
        self._rest.judge(fault)
        failed(fault)

    def _refusal(self, message: Mapping[str, Any], where: str) -> VenueFault:
        error = message.get("error")
        error = error if isinstance(error, dict) else {}
        code, status, wait_s = error.get("code"), message["status"], 0.0
        if status in RATE_STATUS:
            data = error.get("data")
            until_ms = data.get("retryAfter") if isinstance(data, dict) else None
            if isinstance(until_ms, int):
                wait_s = max((until_ms - self._rest.now_ms) / 1000, 0.1)
        return refused(
            code if isinstance(code, int) else 0, str(error.get("msg", "")), where=where,
            status=status if isinstance(status, int) else 400, wait_s=wait_s,
        )  # fmt: skip

    async def _up(self, stream: Stream) -> None:  # noqa: ARG002 (there is only this one)
        await self._on_up()

    def _down(self, why: str) -> None:
        self._pending.lost(f"the connection went down ({why})")
        self._on_down(why)


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():
        future.set_result(answer)


__all__ = ["Entry"]
