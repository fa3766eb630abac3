"""Hyperliquid perpetuals as the exchange in the box speaks them: ``/info``, ``/exchange``, ``/ws``.

An account is an address, and whoever can sign for it may trade; signatures of test-net and main-net
clients are both good.  Every order has a number of its own, so a modification gives a new one.
What this venue's clients never ask of a market maker is not here: spot, vaults of many, triggers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from .dialects import Dialect, Failure, Reply, Request
from .hyperliquid_actions import Actions, n_items
from .hyperliquid_forms import Malformed
from .hyperliquid_info import Info, weight_of
from .hyperliquid_state import State
from .hyperliquid_streams import Streams, route

if TYPE_CHECKING:
    from .server import Box
    from .sockets import Socket

WEIGHT_PER_MINUTE = 1_200  # of an IP
ITEMS_PER_WEIGHT = 40  # of an action
POOL = "hyperliquid.weight"
METHODS = ("ping", "subscribe", "unsubscribe", "post")
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


class Hyperliquid(Dialect):
    """The venue's wire format; see the module's first lines."""

    name = "hyperliquid"

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        self.state = State(box)
        self.info = Info(self.state)
        self.actions = Actions(self.state)
        self.streams = Streams(self.state, self.info, self.actions)
        box.limits.declare(POOL, WEIGHT_PER_MINUTE, 60 * 10**9, sliding=True)

    def lead(self, sub_account: str, leader: str) -> None:
        """Let one account trade for another: requests name it as ``vaultAddress``."""
        self.state.leaders[sub_account.lower()] = leader.lower()

    # -- HTTP

    def claims(self, method: str, path: str) -> bool:
        """Two paths, both asked with POST."""
        return method == "POST" and path in {"/info", "/exchange"}

    def route(self, request: Request) -> str:
        """The word of fault scripts for a request."""
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return "malformed"
        return route("action" if request.path == "/exchange" else "info", body)

    async def http(self, request: Request) -> Reply:
        """Answer one request."""
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            return _said(400, f"Failed to parse the request body as JSON: {error}")
        now_ns = self.box.clock.engine_ns()
        acting = request.path == "/exchange"
        action = body.get("action") if isinstance(body, dict) else None
        items = n_items(action) if isinstance(action, dict) else 1
        weight = 1 + items // ITEMS_PER_WEIGHT if acting else weight_of(body)
        if not self.box.limits.take(POOL, request.ip, weight, now_ns).ok:
            return Reply(None, 429)
        try:
            if acting:
                answer = self.actions.answer(body)
                self.streams.flush()
                return Reply(answer)
            answer = self.info.answer(body)
        except Malformed as malformed:
            return _said(
                422, f"Failed to deserialize the JSON body into the target type: {malformed}"
            )
        self.box.limits.take(POOL, request.ip, self.info.extra_weight(body, answer), now_ns)
        return Reply(answer)

    def failure(self, request: Request, failure: Failure) -> Reply:  # noqa: ARG002 - all alike
        """What the venue's front answers when the request does not reach the venue."""
        headers = {"Retry-After": str(failure.retry_s)} if failure.retry_s else {}
        if failure.status == 429 and not failure.text:
            return Reply(None, 429, headers)
        reply = _said(failure.status, failure.text or "error")
        reply.headers = {**reply.headers, **headers}
        return reply

    # -- WebSocket

    def claims_socket(self, path: str) -> bool:
        """One path, shared with other venues."""
        return path == "/ws"

    def claims_frame(self, path: str, frame: str | bytes) -> bool:  # noqa: ARG002 - one path
        """Whether a first frame is of this venue: its methods are lower-case."""
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return False
        return isinstance(message, dict) and message.get("method") in METHODS

    async def socket(self, ws: Socket) -> None:
        """Serve one connection."""
        await self.streams.serve(ws)

    def tick(self, now_ns: int) -> None:  # noqa: ARG002 - it looks at both clocks itself
        """Publish what is due."""
        self.info.tick()
        self.streams.tick()


def _said(status: int, text: str) -> Reply:
    return Reply(text.encode(), status, TEXT)


__all__ = ["Hyperliquid"]
