"""Binance's words: its error codes, and how it reads what was sent.

A refusal is raised where it is found and answered by whoever took the request: as a body with
``code`` and ``msg`` over REST, as ``error`` on a socket, as one item of a batch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from .dialects import Failure

T = TypeVar("T")

# Code -> sentence.  Braces are filled in by keyword where the code is raised.
TEXTS: Mapping[int, str] = {
    -1000: "An unknown error occurred while processing the request.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1003: (
        "Too many requests; current limit of IP({ip}) is {limit} requests per minute. "
        "Please use the websocket for live updates to avoid polling the API."
    ),
    -1006: ("An unexpected response was received from the message bus. Execution status unknown."),
    -1007: (
        "Timeout waiting for response from backend server. "
        "Send status unknown; execution status unknown."
    ),
    -1008: (
        "Request throttled by system-level protection. "
        "Reduce-only/close-position orders are exempt. Please try again."
    ),
    -1013: "Filter failure: {filter}",
    -1015: "Too many new orders; current limit is {limit} orders per {interval}.",
    -1022: "Signature for this request is not valid.",
    -1100: "Illegal characters found in parameter '{name}'; legal range is '{pattern}'.",
    -1102: "Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
    -1105: "Parameter '{name}' was empty.",
    -1106: "Parameter '{name}' sent when not required.",
    -1111: "Precision is over the maximum defined for this asset.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist.",
    -1127: "More than {hours} hours between startTime and endTime.",
    -1128: "Combination of optional parameters invalid.",
    -1130: "Data sent for parameter '{name}' is not valid.",
    -1136: "Invalid newOrderRespType.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2018: "Balance is insufficient.",
    -2019: "Margin is insufficient.",
    -2020: "Unable to fill.",
    -2022: "ReduceOnly Order is rejected.",
    -2025: "Reach max open order limit.",
    -2027: "Exceeded the maximum allowable position at current leverage.",
    -2028: "Leverage is smaller than permitted: insufficient margin balance.",
    -4001: "Price less than 0.",
    -4002: "Price greater than max price.",
    -4003: "Quantity less than zero.",
    -4004: "Quantity less than min quantity.",
    -4005: "Quantity greater than max quantity.",
    -4013: "Price less than min price.",
    -4014: "Price not increased by tick size.",
    -4015: "Client order id is not valid.",
    -4016: "Limit price can't be higher than {limit}.",
    -4021: "Limit not valid.",
    -4023: "Quantity not increased by step size.",
    -4024: "Limit price can't be lower than {limit}.",
    -4028: "Leverage {leverage} is not valid.",
    -4046: "No need to change margin type.",
    -4047: "Margin type cannot be changed if there exists open orders.",
    -4048: "Margin type cannot be changed if there exists position.",
    -4059: "No need to change position side.",
    -4060: "Invalid position side.",
    -4061: "Order's position side does not match user's setting.",
    -4067: "Position side cannot be changed if there exists open orders.",
    -4068: "Position side cannot be changed if there exists position.",
    -4082: "Invalid number of batch place orders.",
    -4116: "ClientOrderId is duplicated.",
    -4120: (
        "Order type not supported for this endpoint. "
        "Please use the Algo Order API endpoints instead."
    ),
    -4164: "Order's notional must be no smaller than {notional} (unless you choose reduce only).",
    -4165: "Maximum time interval is {days} days.",
    -4171: "No need to change multi-assets mode.",
    -5021: (
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history"
    ),
    -5022: (
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history"
    ),
    -5026: "Exceed maximum modify order limit.",
    -5027: "No need to modify the order.",
    -5037: "Invalid price match",
    -5039: "Invalid self trade prevention mode",
    -5040: (
        "The goodTillDate timestamp must be greater than the current time plus 600 seconds "
        "and smaller than 253402300799000"
    ),
}
# What a failure that is not the request's own is called, by the status of its answer.
FAILURES: Mapping[int, int] = {408: -1007, 418: -1003, 429: -1003}
TOO_MANY = "Too many requests; please use the websocket for live updates."
UNKNOWN = "Unknown error, please check your request or try again later."
# Codes that are not answered with HTTP 400.
STATUSES: Mapping[int, int] = {-1003: 429, -1007: 408, -1015: 429, -2014: 401, -2015: 401}

TIMESTAMP_AHEAD = "Timestamp for this request was 1000ms ahead of the server's time."
TIMESTAMP_LATE = "Timestamp for this request is outside of the recvWindow."
RECV_WINDOW_LONG = "recvWindow must be less than 60000."
SPOT_PRECISION = "Parameter '{name}' has too much precision."
SPOT_POST_ONLY = "Order would immediately match and take."
SPOT_NO_DEPTH = "Order book liquidity is less than LOT_SIZE filter minimum quantity."
SPOT_DUPLICATE = "Duplicate order sent."
SPOT_BALANCE = "Account has insufficient balance for requested action."

DECIMAL_PATTERN = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
INTEGER_PATTERN = r"^[0-9]{1,20}$"
CLIENT_ID_PATTERN = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
SYMBOL_PATTERN = r"^[\w\-._&&[^a-z]]{1,50}$"  # as the venue words it
_DECIMAL = re.compile(DECIMAL_PATTERN, re.ASCII)
_INTEGER = re.compile(INTEGER_PATTERN, re.ASCII)
_CLIENT_ID = re.compile(CLIENT_ID_PATTERN, re.ASCII)
_SYMBOL = re.compile(r"^[\w.-]{1,50}$")  # some are not ASCII
INT64_MAX = 2**63 - 1


class Refused(Exception):
    """What the venue says no with.

    code: its own, negative.  text: its sentence, from the table where none is given; words fill
    its gaps.  status: of the HTTP answer, or of the socket's.
    data: what some refusals carry beside the sentence, None for nothing.  retry_s: how long to
    wait, 0 where the venue does not say.
    """

    def __init__(self, code: int, text: str = "", *, data: object = None, **words: object) -> None:
        self.code = code
        self.text = text or TEXTS[code].format(**words)
        self.status = STATUSES.get(code, 400)
        self.retry_s = 0
        self.data = data
        super().__init__(f"{code}: {self.text}")

    @property
    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        body: dict[str, Any] = {"code": self.code, "msg": self.text}
        if self.data is not None:
            body["data"] = self.data
        return body


def scripted(failure: Failure) -> Refused:
    """A failure that is not the request's own, in the venue's words."""
    code = failure.code or FAILURES.get(failure.status, -1000)
    usual = TEXTS.get(code, TEXTS[-1000])
    if code == -1003:
        usual = TOO_MANY
    elif code == -1000 and failure.status == 503:
        usual = UNKNOWN
    problem = Refused(code, failure.text or usual)
    problem.status = failure.status
    problem.retry_s = failure.retry_s
    return problem


def pairs(raw: str) -> list[tuple[str, str]]:
    """Names and values of a query or a form body, decoded; a part without "=" has an empty value.

    Unencoded JSON, as one client sends it, is read as it stands.
    """
    found = []
    for part in raw.split("&"):
        name, _, value = part.partition("=")
        if name:
            found.append((unquote_plus(name), unquote_plus(value)))
    return found


class Params:
    """The parameters of one request, read by name in any case; what is not asked for is ignored.

    All are texts, as sent; the readers raise :class:`Refused` with the venue's code.
    """

    def __init__(self, items: Iterable[tuple[str, str]]) -> None:
        self._sent = list(items)
        self._values: dict[str, str] = {}
        for name, value in self._sent:
            self._values.setdefault(name.lower(), value)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Params:
        """From the object of a socket's request, or of one item of a batch."""
        return cls((name, json_text(value)) for name, value in values.items() if value is not None)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values

    def sent(self) -> list[tuple[str, str]]:
        """Names and values as they were sent, in that order."""
        return list(self._sent)

    def text(self, name: str, default: str = "") -> str:
        """The value as sent; ``default`` where the parameter is absent."""
        return self._values.get(name.lower(), default)

    def need(self, name: str) -> str:
        """The value of a mandatory parameter."""
        value = self._values.get(name.lower(), "")
        if not value:
            raise Refused(-1102, name=name)
        return value

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A whole number of at most 63 bits."""
        value = self._values.get(name.lower())
        if value is None:
            return default
        if not value:
            raise Refused(-1105, name=name)
        if not _INTEGER.match(value):
            raise Refused(-1100, name=name, pattern=INTEGER_PATTERN)
        number = int(value)
        if number > INT64_MAX:
            raise Refused(-1130, name=name)
        return number

    def need_integer(self, name: str) -> int:
        self.need(name)
        number = self.integer(name)
        assert number is not None
        return number

    def decimal(self, name: str) -> Decimal | None:
        """A decimal without sign or exponent, exactly."""
        value = self._values.get(name.lower())
        if value is None:
            return None
        if not value:
            raise Refused(-1105, name=name)
        if not _DECIMAL.match(value):
            raise Refused(-1100, name=name, pattern=DECIMAL_PATTERN)
        return Decimal(value)

    def need_decimal(self, name: str) -> Decimal:
        self.need(name)
        number = self.decimal(name)
        assert number is not None
        return number

    def word(self, name: str, words: Mapping[str, T], code: int) -> T:
        """One of ``words``, for a parameter that must be there; else ``code``."""
        value = self.need(name)
        if value not in words:
            raise Refused(code, name=name)
        return words[value]

    def flag(self, name: str) -> bool | None:
        """ "true" or "false", in any case; None where the parameter is absent."""
        value = self._values.get(name.lower())
        if value is None:
            return None
        if value.lower() not in {"true", "false"}:
            raise Refused(-1130, name=name)
        return value.lower() == "true"

    def client_id(self, name: str, code: int = -1100) -> str:
        """An order's name as its owner gave it, "" where absent."""
        value = self._values.get(name.lower(), "")
        if value and not _CLIENT_ID.match(value):
            raise Refused(code, name=name, pattern=CLIENT_ID_PATTERN)
        return value

    def symbol(self, known: Mapping[str, T], name: str = "symbol") -> T:
        """What stands behind a mandatory symbol."""
        value = self.need(name)
        if value in known:
            return known[value]
        if not _SYMBOL.match(value) or value != value.upper():
            raise Refused(-1100, name=name, pattern=SYMBOL_PATTERN)
        raise Refused(-1121)

    def span_ms(self, days_max: float, too_long: Refused) -> tuple[int, int]:
        """``startTime`` and ``endTime``, both inclusive; open ends where they are absent."""
        start, end = self.integer("startTime"), self.integer("endTime")
        if start is not None and end is not None and not 0 <= end - start <= days_max * 86_400_000:
            raise too_long
        if start is None:
            start = 0 if end is None else max(0, end - int(days_max * 86_400_000))
        if end is None:
            end = INT64_MAX
        return start, end


def json_text(value: Any) -> str:
    """A JSON value as the text that a form would carry."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, list):
        return "[" + ",".join(f'"{v}"' if isinstance(v, str) else json_text(v) for v in value) + "]"
    return "null" if value is None else str(value)


def has_decimals(value: Decimal) -> int:
    """Decimals of a number, trailing zeros not counted: 1 for 50000.10."""
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


__all__ = [
    "CLIENT_ID_PATTERN",
    "DECIMAL_PATTERN",
    "INT64_MAX",
    "INTEGER_PATTERN",
    "RECV_WINDOW_LONG",
    "SPOT_BALANCE",
    "SPOT_DUPLICATE",
    "SPOT_NO_DEPTH",
    "SPOT_POST_ONLY",
    "SPOT_PRECISION",
    "TEXTS",
    "TIMESTAMP_AHEAD",
    "TIMESTAMP_LATE",
    "Params",
    "Refused",
    "has_decimals",
    "json_text",
    "pairs",
    "scripted",
]
