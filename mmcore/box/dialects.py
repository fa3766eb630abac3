"""What the server hands to a venue's dialect, what it asks of one, and which there are."""

from __future__ import annotations

import abc
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from .server import Box
    from .sockets import Socket

# Venue -> where its dialect is, and the package that it cannot do without ("" for none).
DIALECTS: Mapping[str, tuple[str, str]] = {
    "binance": ("mmcore.box.binance:Binance", ""),
    "bybit": ("mmcore.box.bybit:Bybit", ""),
    "hyperliquid": ("mmcore.box.hyperliquid:Hyperliquid", "eth_account"),
}

# What fault scripts call requests, over HTTP ("rest:") and sockets ("call:"), at every venue ...
REQUEST_WORDS = (
    "time", "instruments", "depth", "trades", "prices",
    "order", "amend", "cancel", "batch", "cancel_all", "replace", "countdown",
    "query", "open_orders", "history", "fills", "positions", "balance", "account", "income",
    "fees", "settings", "limits", "permissions", "listen_key", "subscribe",
    "connect",  # the handshake of a socket
    "public", "info", "other", "malformed",  # what has no word of its own
)  # fmt: skip
# ... and streams of frames, and kinds of sockets.
STREAM_WORDS = (
    "depth", "best", "trades", "mark", "order", "fill", "position", "account", "ack",
    "config", "listen_key",
)  # fmt: skip
SOCKET_KINDS = ("public", "market", "private", "trade")


@dataclass(slots=True)
class Request:
    """One HTTP request, undecoded: signatures are over these very bytes.

    path: as sent, percent signs and all, without the query.  query: raw text after the question
    mark.  headers: names in any case.  ip: of the client.
    """

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    ip: str = "127.0.0.1"

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path})"  # query and headers hold keys and signatures


@dataclass(slots=True)
class Reply:
    """An answer.  body: any JSON value, or bytes that are sent as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def raw(self) -> bytes:
        """The body as it goes out."""
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that goes wrong in front of, or behind, the venue's own rules.

    status: of HTTP.  code: the venue's own, 0 where the dialect chooses the one that fits status.
    text: what the script or the server says, "" for the venue's usual words.  unknown: the request
    was, or may have been, executed.  retry_s: what a Retry-After should say, 0 for none.
    """

    status: int
    code: int = 0
    text: str = ""
    unknown: bool = False
    retry_s: int = 0


class Dialect(abc.ABC):
    """A venue's wire format.  One instance serves all of a venue's connections.

    A dialect holds no order and no balance: those are the exchange's.  It hears of changes through
    ``box.exchange.listeners`` and answers at once.  Nothing in it may block.  An exception that
    leaves it is logged, and the client is answered by :meth:`failure`; the server lives on.
    """

    name: str  # "binance", "bybit", "hyperliquid"

    def __init__(self, box: Box) -> None:
        self.box = box

    @abc.abstractmethod
    def claims(self, method: str, path: str) -> bool:
        """Whether this request is for this venue; of several, the first of DIALECTS has it."""

    @abc.abstractmethod
    async def http(self, request: Request) -> Reply:
        """Answer one request, errors of the client included."""

    def route(self, request: Request) -> str:  # noqa: ARG002 - by venues that know more
        """The word of fault scripts for it, one of :data:`REQUEST_WORDS`."""
        return ""

    def failure(self, request: Request, failure: Failure) -> Reply:  # noqa: ARG002 - as above
        """The venue's form of a failure that is not the request's own."""
        headers = {"Retry-After": str(failure.retry_s)} if failure.retry_s else {}
        return Reply(
            {"code": failure.code or -failure.status, "msg": failure.text}, failure.status, headers
        )

    @abc.abstractmethod
    def claims_socket(self, path: str) -> bool:
        """Whether a WebSocket on this path is, or may be, for this venue."""

    def claims_frame(self, path: str, frame: str | bytes) -> bool:  # noqa: ARG002 - as above
        """Whether a first frame is for this venue, asked where several claim the path."""
        return True

    @abc.abstractmethod
    async def socket(self, ws: Socket) -> None:
        """Serve one WebSocket; its end is the return."""

    def tick(self, now_ns: int) -> None:  # noqa: B027 - not every venue publishes on a timer
        """Called at least every 10 ms: publish market data, expire listen keys.  Shown time."""

    def restarted(self, now_ns: int) -> None:  # noqa: B027 - not every venue counts from anew
        """The venue's processes came back: every socket is gone, book updates count from anew."""


def dialects(box: Box) -> tuple[list[Dialect], list[str]]:
    """The dialects that can be served here, and a sentence for each that cannot."""
    found: list[Dialect] = []
    missing: list[str] = []
    for venue, (place, needs) in DIALECTS.items():
        if needs and importlib.util.find_spec(needs) is None:
            missing.append(
                f"{venue} is not served: {needs} is not installed; "
                f'`python -m pip install "mmcore-maker[{venue}]"` brings it'
            )
            continue
        module, name = place.split(":")
        found.append(getattr(importlib.import_module(module), name)(box))
    return found, missing
