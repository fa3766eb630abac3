"""Binance's refusals in the house's terms: code -> what to do, what the engine is told.

Sources: the venue's error tables of USD-M futures (2026-05) and spot (2026-07).  Spot answers
-2010 and -2011 for everything its matching engine says, so those two are told apart by text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mmcore.events import RejectCode
from mmcore.gateway import Action, VenueFault

from ._call import Meaning

KEY_ADVICE = (
    "check that the key and the secret are of this environment, that the key may trade this "
    "product (futures are a permission of their own), and that its IP list has this machine"
)
CLOCK_ADVICE = "set this machine's clock by NTP"
SYMBOL_ADVICE = "check the symbol's status at the venue"

_OTHER = Meaning(Action.REQUOTE)
_UNKNOWN = Meaning(Action.RESOLVE)
_FILTER = Meaning(Action.REFRESH, RejectCode.FILTER)
_MARGIN = Meaning(Action.REDUCE, RejectCode.LIMIT)
_KEY = Meaning(Action.STOP, RejectCode.OTHER, KEY_ADVICE)
_CLOCK = Meaning(Action.WAIT, RejectCode.OTHER, CLOCK_ADVICE)
_WAIT = Meaning(Action.WAIT, RejectCode.RATE)
_FAILED = Meaning(Action.WAIT)
_SAME = Meaning(Action.OK)
_HALT = Meaning(Action.HALT, RejectCode.OTHER, SYMBOL_ADVICE)
_GONE = Meaning(Action.RESOLVE, RejectCode.UNKNOWN_ORDER)
_TAKES = Meaning(Action.REQUOTE, RejectCode.POST_ONLY)
_EMPTY = Meaning(Action.REQUOTE, RejectCode.NO_LIQUIDITY)

RULES: Mapping[int, Meaning] = {
    -1000: _FAILED, -1001: _FAILED,
    -1002: _KEY, -1022: _KEY, -2014: _KEY, -2015: _KEY,
    -1003: _WAIT, -1008: _WAIT, -1015: _WAIT,
    -1006: _UNKNOWN, -1007: _UNKNOWN,
    -1013: _FILTER, -1111: _FILTER, -4002: _FILTER, -4003: _FILTER, -4004: _FILTER,
    -4005: _FILTER, -4013: _FILTER, -4014: _FILTER, -4023: _FILTER, -4164: _FILTER,
    -5029: _FILTER, -4016: _FILTER, -4024: _FILTER, -4131: _EMPTY,
    -1021: _CLOCK, -5028: _CLOCK,
    -1099: Meaning(Action.STOP), -4109: Meaning(Action.STOP),
    -1121: _HALT, -1122: _HALT, -4140: _HALT, -4141: _HALT,
    -2011: _GONE, -2013: _GONE,
    -2018: _MARGIN, -2019: _MARGIN, -2027: _MARGIN, -4050: _MARGIN, -4051: _MARGIN,
    -2022: _MARGIN, -4118: _MARGIN,
    -2025: Meaning(Action.REQUOTE, RejectCode.LIMIT),
    -4116: Meaning(Action.RESOLVE),
    -4046: _SAME, -4059: _SAME, -4171: _SAME,
    -4087: _MARGIN, -4088: _MARGIN, -4105: _MARGIN, -4106: _MARGIN, -4107: _MARGIN,
    -4189: _MARGIN, -4400: _MARGIN, -4401: _MARGIN,
    -5021: _EMPTY, -5041: _EMPTY,
    -5022: _TAKES,
    -5026: _OTHER, -5027: Meaning(Action.OK), -5043: Meaning(Action.WAIT),
    -2038: _OTHER,
}  # fmt: skip

# What spot's matching engine says under -2010 and -2011 (and amendments under -2038).
TEXTS: tuple[tuple[str, Meaning], ...] = (
    ("immediately match and take", _TAKES),
    ("unknown order", _GONE),
    ("duplicate order", Meaning(Action.RESOLVE)),
    ("insufficient balance", _MARGIN),
    ("market is closed", _HALT),
    ("max_num_orders", Meaning(Action.REQUOTE, RejectCode.LIMIT)),
    ("filter failure", _FILTER),
)

CLOCK_CODES = frozenset({-1021, -5028})
NO_SUCH_ORDER, NOT_CHANGED = -2013, -5027
LISTEN_KEY_GONE = -1125
MODE_IN_USE = frozenset({-4067, -4068})
IP_BAN, TOO_MANY, FORBIDDEN = 418, 429, 403
RETRY_MAX_S = 3 * 86_400  # the longest ban there is


def rule(code: int, text: str, status: int = 400) -> Meaning:
    """What a refusal means; ``status`` is that of HTTP, which decides where the code does not."""
    if status in {IP_BAN, TOO_MANY, FORBIDDEN}:
        return _WAIT
    lower = text.lower()
    if code in {-2010, -2011, -1013, -2038}:
        for part, found in TEXTS:
            if part in lower:
                return found
    if status == 503 and code not in {-1008, -1003, -1015}:
        return _FAILED if "service unavailable" in lower else _UNKNOWN
    if code in RULES:
        return RULES[code]
    return _UNKNOWN if status >= 500 or status == 408 else _OTHER


def refused(
    code: int, text: str, *, where: str, status: int = 400, wait_s: float = 0.0
) -> VenueFault:
    """A refusal as it is raised.  text: the venue's own words; where: the call and symbol."""
    found = rule(code, text, status)
    said = text.strip().rstrip(".") or "no reason given"
    return VenueFault(
        f"Binance answered {said!r} (code {code}, HTTP {status})",
        code=code, action=found.action, reject=found.reject, wait_s=wait_s,
        where=where, todo=found.todo,
    )  # fmt: skip


def refused_answer(
    status: int, body: bytes, headers: Mapping[str, str], *, where: str
) -> VenueFault:
    """The same from an HTTP answer: a JSON body with code and message, or some proxy's page."""
    code, text = 0, ""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict):
        code, text = _code(answer), str(answer.get("msg", ""))
    else:
        text = body[:120].decode("utf-8", "replace")
    return refused(code, text, where=where, status=status, wait_s=_retry_after(headers))


def refused_item(item: Mapping[str, Any], *, where: str) -> VenueFault | None:
    """The refusal in one item of a batch answer, or None where the item is an order."""
    if "code" not in item or _code(item) == 200:
        return None
    return refused(_code(item), str(item.get("msg", "")), where=where)


def _code(item: Mapping[str, Any]) -> int:
    code = item.get("code", 0)
    return code if isinstance(code, int) else 0


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to stay away, 0 where the venue does not say."""
    said = headers.get("Retry-After", "")
    return float(min(int(said), RETRY_MAX_S)) if said.isdigit() else 0.0


__all__ = [
    "CLOCK_CODES",
    "LISTEN_KEY_GONE",
    "MODE_IN_USE",
    "NOT_CHANGED",
    "NO_SUCH_ORDER",
    "RULES",
    "refused",
    "refused_answer",
    "refused_item",
    "rule",
]
