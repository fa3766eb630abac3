"""Who asks: Bybit's signatures over the raw bytes, its clock window, its keys."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import unquote_to_bytes

from .accounts import Account
from .bybit_codes import Fault, bad, permission

RECV_WINDOW_MS = 5000
AHEAD_MS = 1000  # how far a request may be ahead of the venue's clock
STAMP_DIGITS_MAX = 15


def sign(secret: str, payload: bytes) -> str:
    """HMAC-SHA256 in hex, as both REST and sockets use it."""
    return hmac.new(secret.encode(), payload, sha256).hexdigest()


def whole(value: object) -> int | None:
    """A count of ms that may come as a number or as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit() or len(value) > STAMP_DIGITS_MAX:
            return None
        return int(value)
    if isinstance(value, int) and 0 <= value < 10**STAMP_DIGITS_MAX:
        return value
    return None


def check_clock(stamp: object, window: object, now_ms: int) -> None:
    """Raises 10002 outside the receive window, 10001 where the figures are none."""
    sent = whole(stamp)
    kept = RECV_WINDOW_MS if window is None or window == "" else whole(window)
    if sent is None or kept is None:
        raise bad("timestamp or recv_window is not a number")
    if not now_ms - kept <= sent < now_ms + AHEAD_MS:
        raise Fault(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{sent}],server_timestamp[{now_ms}],recv_window[{kept}]",
        )


def find(accounts: Mapping[str, Account], key: object) -> Account:
    """The account of a key; 10003 where there is none."""
    account = accounts.get(key) if isinstance(key, str) else None
    if account is None:
        raise Fault(
            10003,
            "API key is invalid. Check whether the key and domain are matched, "
            "there are 4 env: mainnet, testnet, mainnet-demo, testnet-demo",
        )
    return account


def check_sign(account: Account, payload: bytes, signature: object) -> None:
    """Raises 10004 where the signature is not that of the account's secret."""
    made = sign(account.credentials.secret, payload)
    if not isinstance(signature, str) or not hmac.compare_digest(
        made.encode(), signature.encode("utf-8", "replace")
    ):
        raise Fault(10004, "Error sign, please check your signature generation algorithm.")


def http_account(
    accounts: Mapping[str, Account],
    headers: Mapping[str, str],
    payload: bytes,
    now_ms: int,
    *,
    lenient: bool = False,
) -> Account:
    """The account that signed a REST request, whose payload is the raw query or the raw body.

    lenient: a signature over the percent-decoded payload passes too.
    """
    stamp = headers.get("X-BAPI-TIMESTAMP", "")
    window = headers.get("X-BAPI-RECV-WINDOW", "") or str(RECV_WINDOW_MS)
    key = headers.get("X-BAPI-API-KEY", "")
    account = find(accounts, key)
    check_clock(stamp, window, now_ms)
    head, signature = f"{stamp}{key}{window}".encode(), headers.get("X-BAPI-SIGN", "")
    if lenient and sign(account.credentials.secret, head + payload) != signature:
        payload = unquote_to_bytes(payload)
    check_sign(account, head + payload, signature)
    return account


def socket_account(accounts: Mapping[str, Account], args: object, now_ms: int) -> Account:
    """The account of an ``auth`` frame: [key, expires in ms as number or text, signature]."""
    if not isinstance(args, list) or len(args) != 3:
        raise bad("auth takes [key, expires, signature]")
    key, expires, signature = args
    until = whole(expires)
    if until is None:
        raise bad("expires is not a number of ms")
    account = find(accounts, key)
    check_sign(account, f"GET/realtime{expires}".encode(), signature)
    if until <= now_ms:
        raise Fault(10004, "Params Error: expires is in the past")
    return account


def allow(account: Account, need: str) -> None:
    """Raises 10005 where the key lacks a permission ("read", "trade")."""
    if need not in account.permissions:
        raise permission()


__all__ = [
    "RECV_WINDOW_MS",
    "allow",
    "check_clock",
    "check_sign",
    "find",
    "http_account",
    "sign",
    "socket_account",
    "whole",
]
