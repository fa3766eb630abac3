"""Who may ask Binance for what: keys, signatures over the very bytes, and the clock."""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import Enum
from urllib.parse import unquote_plus

from .binance_words import (
    RECV_WINDOW_LONG,
    TIMESTAMP_AHEAD,
    TIMESTAMP_LATE,
    Params,
    Refused,
)

RECV_WINDOW_MS = 5_000
RECV_WINDOW_MS_MAX = 60_000
AHEAD_MS_MAX = 1_000
_WINDOW = re.compile(r"^[0-9]{1,8}(\.[0-9]{1,3})?$", re.ASCII)
_MICROSECONDS_FROM = 10**15  # a timestamp this large counts microseconds (spot)


class Access(Enum):
    """What a route asks of who calls it."""

    PUBLIC = "nothing"
    KEY = "a known key"
    READ = "a signature"
    TRADE = "a signature, and the permission to trade"


def signed_bytes(query: str, body: str) -> tuple[bytes, str]:
    """What a request's signature is over, and the signature ("" where there is none).

    Query, then body, as they were sent and with nothing between them, without ``signature``.
    """
    signature = ""
    texts = []
    for raw in (query, body):
        kept = []
        for part in raw.split("&"):
            if part.startswith("signature="):
                signature = signature or part.removeprefix("signature=")
            else:
                kept.append(part)
        texts.append("&".join(kept))
    return "".join(texts).encode("utf-8", "surrogateescape"), signature


def socket_bytes(params: Params) -> tuple[bytes, str]:
    """As :func:`signed_bytes`, for a request on a socket: sorted by name, joined like a query."""
    items = sorted((name, value) for name, value in params.sent() if name != "signature")
    text = "&".join(f"{name}={value}" for name, value in items)
    return text.encode("utf-8", "surrogatepass"), params.text("signature")


def check_signature(secret: str, payload: bytes, signature: str, *, lenient: bool) -> None:
    """Raises :class:`Refused` unless ``signature`` is the payload's HMAC-SHA256.

    lenient: one over the percent-decoded payload is accepted too; a client that signs before it
    encodes sends such a one.
    """
    if not signature:
        raise Refused(-1102, name="signature")
    given = unquote_plus(signature).lower().encode("utf-8", "surrogateescape")
    payloads = [payload]
    if lenient:
        decoded = unquote_plus(payload.decode("utf-8", "surrogateescape"))
        payloads.append(decoded.encode("utf-8", "surrogateescape"))
    key = secret.encode()
    for text in payloads:
        if hmac.compare_digest(hmac.new(key, text, hashlib.sha256).hexdigest().encode(), given):
            return
    raise Refused(-1022)


def check_clock(params: Params, now_ms: int) -> None:
    """Raises :class:`Refused` unless the request's time stamp lies in its receive window."""
    window = params.text("recvWindow") or str(RECV_WINDOW_MS)
    if not _WINDOW.match(window):
        raise Refused(-1100, name="recvWindow", pattern=_WINDOW.pattern)
    if float(window) > RECV_WINDOW_MS_MAX:
        raise Refused(-1131, RECV_WINDOW_LONG)
    stamp: float = params.need_integer("timestamp")
    if stamp >= _MICROSECONDS_FROM:
        stamp /= 1000
    if stamp >= now_ms + AHEAD_MS_MAX:
        raise Refused(-1021, TIMESTAMP_AHEAD)
    if now_ms - stamp > float(window):
        raise Refused(-1021, TIMESTAMP_LATE)


__all__ = [
    "AHEAD_MS_MAX",
    "RECV_WINDOW_MS",
    "Access",
    "check_clock",
    "check_signature",
    "signed_bytes",
    "socket_bytes",
]
