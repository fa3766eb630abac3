"""The words of the core for Python: the enums and numpy dtypes that mirror ``_types.pxd``.

A test compares every size, offset and value here with the compiled structs.
"""

from enum import IntEnum, IntFlag

import numpy as np


class Kind(IntEnum):
    """What an event row says; see ``_types.pxd`` for the fields each kind uses."""

    NONE = 0
    DEPTH = 1
    TRADE = 2
    CLEAR = 3
    BEST = 4
    MARK = 5
    FUNDING = 6
    BALANCE = 7
    ACK = 8
    REJECT = 9
    AMENDED = 10
    EXPIRED = 11
    FILL = 12
    CANCELLED = 13
    TIMER = 14
    LINK_UP = 15
    LINK_DOWN = 16
    CONFIG = 17
    RATE = 18
    OTHER = 19
    PAID = 20
    ORDER_ADD = 21
    ORDER_CANCEL = 22
    ORDER_CHANGE = 23
    ORDER_EXECUTE = 24


class Flag(IntFlag):
    """Bits of ``flags``."""

    EXCH = 1
    LOCAL = 2
    SNAPSHOT = 4
    MORE = 8
    CONT = 16
    MAKER = 32
    LAST = 64


class RequestKind(IntEnum):
    PLACE = 1
    AMEND = 2
    CANCEL = 3


class TimeInForce(IntEnum):
    GTX = 0
    GTC = 1
    IOC = 2
    FOK = 3


class RejectCode(IntEnum):
    NONE = 0
    POST_ONLY = 1
    UNKNOWN_ORDER = 2
    NO_LIQUIDITY = 3
    FILTER = 4
    LIMIT = 5
    RATE = 6
    OTHER = 7


class PaidCode(IntEnum):
    """What a PAID event is for."""

    COIN_FEE = 1
    FUNDING = 2


class Reason(IntEnum):
    """Why a request was made."""

    QUOTE = 0
    MOVE = 1
    SURPLUS = 2
    HALT = 3
    STOP = 4
    FLATTEN = 5


class RecordKind(IntEnum):
    """Kinds of journal record: requests as in RequestKind, answers as in Kind, and status."""

    PLACE = 1
    AMEND = 2
    CANCEL = 3
    ACK = 8
    REJECT = 9
    AMENDED = 10
    EXPIRED = 11
    FILL = 12
    CANCELLED = 13
    PAID = 20
    STATUS = 32


class Status(IntEnum):
    """Health of a trader."""

    OK = 0
    WARMUP = 1
    GAP = 2
    CROSSED = 3
    ONE_SIDED = 4
    STALE = 5
    FULL = 6
    LIMIT = 7
    KILLED = 8
    STOPPING = 9


class Suppressed(IntFlag):
    """Why a quote is missing."""

    NO_BOOK = 1
    NO_BUDGET = 2
    NO_MIN_QTY = 4
    NO_MIN_NOTIONAL = 8
    NO_ROOM = 16
    NO_FILTERS = 32
    NO_PRICE = 64
    NO_RATE = 128


class ContractKind(IntEnum):
    LINEAR = 0
    INVERSE = 1
    SPOT = 2


BID = 1
ASK = -1
LEVELS_MAX = 4096

EVENT = np.dtype(
    [
        ("kind", "u1"),
        ("side", "i1"),
        ("flags", "u1"),
        ("code", "u1"),
        ("instrument", "<u2"),
        ("n_bids", "<u2"),
        ("n_asks", "<u2"),
        ("slot", "<u2"),
        ("generation", "<u4"),
        ("ts_venue_ns", "<i8"),
        ("ts_local_ns", "<i8"),
        ("seq", "<i8"),
        ("aux", "<i8"),
        ("tick", "<i8"),
        ("qty", "<i8"),
    ]
)
LEVEL = np.dtype([("tick", "<i8"), ("qty", "<i8")])
REQUEST = np.dtype(
    [
        ("kind", "u1"),
        ("side", "i1"),
        ("tif", "u1"),
        ("reason", "u1"),
        ("instrument", "<u2"),
        ("slot", "<u2"),
        ("generation", "<u4"),
        ("level", "<u2"),
        ("reduce_only", "u1"),
        ("batch", "u1"),
        ("ts_ns", "<i8"),
        ("tick", "<i8"),
        ("qty", "<i8"),
        ("done", "<i8"),
    ]
)
RECORD = np.dtype(
    [
        ("kind", "u1"),
        ("side", "i1"),
        ("flags", "u1"),
        ("code", "u1"),
        ("instrument", "<u2"),
        ("trader", "<u2"),
        ("slot", "<u2"),
        ("level", "<u2"),
        ("generation", "<u4"),
        ("ts_ns", "<i8"),
        ("tick", "<i8"),
        ("qty", "<i8"),
        ("money", "<i8"),
        ("seq", "<i8"),
        ("position", "<i8"),
    ]
)


def rows_of(n_levels: int) -> int:
    """Rows that ``n_levels`` depth levels take behind their header."""
    return (n_levels + 3) // 4
