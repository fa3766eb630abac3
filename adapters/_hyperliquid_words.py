"""What Hyperliquid's answers and account messages say, in the house's terms: pure, no I/O.

Orders are followed by client id ("0x" and ours): a modification gives an order a new number (oid),
and the sizes of the new number count from there.  Instruments are by coin.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, NamedTuple

from mmcore.events import ASK, BID, Kind, RejectCode
from mmcore.gateway import Action, Balance
from mmcore.venue import DecodeError

from ._call import Meaning
from ._decode import Terms, venue_ns, whole
from ._own import VenueFill

SIDES = {"B": BID, "A": ASK}
QUANTA = 10**8
CLIENT_ID_DIGITS = 32
CHAINED_MAX = 64  # fills of one time that are put in order
MONEY_MAX = Decimal(10**10)  # quanta of more do not fit 64 bits
ASSET = "USDC"

# How an answer's text begins -> what it means here.
TEXTS: tuple[tuple[str, Meaning], ...] = (
    ("Post only order would have", Meaning(Action.REQUOTE, RejectCode.POST_ONLY)),
    ("Order must have minimum value", Meaning(Action.REQUOTE, RejectCode.FILTER)),
    ("Insufficient margin", Meaning(Action.REDUCE, RejectCode.LIMIT)),
    ("Price must be divisible", Meaning(Action.REFRESH, RejectCode.FILTER)),
    ("Order has invalid", Meaning(Action.REFRESH, RejectCode.FILTER)),
    ("Order has zero size", Meaning(Action.REFRESH, RejectCode.FILTER)),
    ("Invalid asset", Meaning(Action.REFRESH, RejectCode.FILTER)),
    ("Reduce only order would", Meaning(Action.REDUCE, RejectCode.LIMIT)),
    ("Order could not immediately", Meaning(Action.REQUOTE, RejectCode.NO_LIQUIDITY)),
    ("No liquidity available", Meaning(Action.REQUOTE, RejectCode.NO_LIQUIDITY)),
    ("Order price too far", Meaning(Action.REQUOTE, RejectCode.FILTER)),
    ("Order price cannot be", Meaning(Action.REQUOTE, RejectCode.FILTER)),
    ("Order was never placed", Meaning(Action.RESOLVE, RejectCode.UNKNOWN_ORDER)),
    ("Cannot modify canceled", Meaning(Action.RESOLVE, RejectCode.UNKNOWN_ORDER)),
    ("Order would increase open interest", Meaning(Action.REDUCE, RejectCode.LIMIT)),
    ("Order price is more aggressive", Meaning(Action.REDUCE, RejectCode.LIMIT)),
    ("Order would cause position", Meaning(Action.REDUCE, RejectCode.LIMIT)),
    ("Too many open orders", Meaning(Action.REDUCE, RejectCode.LIMIT)),
    ("Only post-only orders", Meaning(Action.WAIT, RejectCode.OTHER)),
    ("Too many cumulative requests", Meaning(Action.WAIT, RejectCode.RATE)),
    ("Too many", Meaning(Action.WAIT, RejectCode.RATE)),
    ("More than", Meaning(Action.WAIT, RejectCode.RATE)),
    ("Invalid nonce", Meaning(Action.WAIT, RejectCode.OTHER)),
    (
        "User or API Wallet",
        Meaning(
            Action.STOP,
            todo="check that the private key is the account's, or an API wallet's it approved",
        ),
    ),
    ("Must deposit", Meaning(Action.STOP, todo="deposit USDC to the account")),
    ("Vault not registered", Meaning(Action.STOP, todo="name an account of your own")),
)
OTHER = Meaning(Action.REQUOTE)
# State words of orders that never came to rest -> how the engine is told.
REJECTED: Mapping[str, RejectCode] = {
    "rejected": RejectCode.OTHER,
    "badAloPxRejected": RejectCode.POST_ONLY,
    "iocCancelRejected": RejectCode.NO_LIQUIDITY,
    "marketOrderNoLiquidityRejected": RejectCode.NO_LIQUIDITY,
    "tickRejected": RejectCode.FILTER,
    "minTradeNtlRejected": RejectCode.FILTER,
    "oracleRejected": RejectCode.FILTER,
    "perpMarginRejected": RejectCode.LIMIT,
    "perpMaxPositionRejected": RejectCode.LIMIT,
    "insufficientSpotBalanceRejected": RejectCode.LIMIT,
    "reduceOnlyRejected": RejectCode.LIMIT,
    "positionIncreaseAtOpenInterestCapRejected": RejectCode.LIMIT,
    "positionFlipAtOpenInterestCapRejected": RejectCode.LIMIT,
    "tooAggressiveAtOpenInterestCapRejected": RejectCode.LIMIT,
    "openInterestIncreaseRejected": RejectCode.LIMIT,
    "badTriggerPxRejected": RejectCode.OTHER,
}


def is_untimely(text: str) -> bool:
    """Whether an action was refused for its number or its times alone: it may go once more."""
    return text.startswith("Invalid nonce") or "expire" in text.lower()


def meaning_of(text: str) -> Meaning:
    """What a refusal's text means."""
    return next((meaning for begin, meaning in TEXTS if text.startswith(begin)), OTHER)


class Item(NamedTuple):
    """What became of one item of an action.

    oid: of the order, "" where there is none.  done: units' text filled at once, "" for none.
    error: the venue's text, "" for none.
    """

    oid: str = ""
    done: str = ""
    error: str = ""


def items_of(answer: object, n: int) -> list[Item]:
    """What became of each of ``n`` items; an answer for the whole action counts for each.

    Raises DecodeError where the answer has another form.
    """
    if not isinstance(answer, Mapping):
        raise DecodeError(f"an answer of {type(answer).__name__}")
    response = answer.get("response")
    if answer.get("status") == "err":
        return [Item(error=str(response))] * n
    if answer.get("status") != "ok" or not isinstance(response, Mapping):
        raise DecodeError("an answer that is neither ok nor err")
    data = response.get("data")
    statuses = data.get("statuses") if isinstance(data, Mapping) else None
    if statuses is None:
        return [Item()] * n
    if not isinstance(statuses, list) or len(statuses) not in {1, n}:
        raise DecodeError(f"an answer that does not tell of {n} items")
    items = [_item(status) for status in statuses]
    if len(items) == n:
        return items
    if not items[0].error:
        raise DecodeError(f"one status for {n} items that is no error")
    return items * n


def _item(status: object) -> Item:
    if status == "success":
        return Item()
    if not isinstance(status, Mapping):
        raise DecodeError(f"status {status!r} is not understood")
    if "error" in status:
        return Item(error=str(status["error"]))
    for word in ("resting", "filled"):
        said = status.get(word)
        if isinstance(said, Mapping):
            done = str(said.get("totalSz", "")) if word == "filled" else ""
            return Item(oid=str(whole(said, "oid")), done=done)
    return Item()  # "waitingForFill" and the like: the order stream tells


def money(text: object) -> int:
    """Quanta of a decimal string, half-even where it is finer.  Raises DecodeError."""
    try:
        value = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or abs(value) > MONEY_MAX:
        raise DecodeError(f"amount {text!r} is not a decimal text")
    return int((value * QUANTA).to_integral_value(ROUND_HALF_EVEN))


def client_id(cloid: object) -> str:
    """Our client id of a cloid, "" where it cannot be one of ours."""
    plain = cloid.removeprefix("0x") if isinstance(cloid, str) else ""
    return plain if len(plain) == CLIENT_ID_DIGITS else ""


@dataclass(frozen=True, slots=True)
class OrderNews:
    """One order as the venue tells it, under one of its numbers.

    size, left: units as placed under that number, and not yet filled of them.  word: of its state.
    """

    instrument: int
    client_id: str
    oid: str
    side: int
    tick: int
    size: int
    left: int
    word: str
    ts_ns: int

    @property
    def done(self) -> int:
        """Units filled under this number."""
        return self.size - self.left

    @property
    def open(self) -> bool:
        """Whether it is in the book."""
        return self.word in {"open", "triggered"}

    @property
    def ending(self) -> Kind | None:
        """How it ended: FILL, CANCELLED, EXPIRED (by the venue) or REJECT; None while it is open,
        or where the word is not known."""
        if self.word == "filled":
            return Kind.FILL
        if self.word in REJECTED:
            return Kind.REJECT
        if self.word in {"canceled", "scheduledCancel"}:
            return Kind.CANCELLED
        return Kind.EXPIRED if self.word.endswith("Canceled") else None

    @property
    def code(self) -> RejectCode:
        """Why it was rejected."""
        return REJECTED.get(self.word, RejectCode.NONE)


class Coins:
    """Exact conversions by coin, for the coins that are traded here."""

    def __init__(self, terms: Sequence[Terms]) -> None:
        self.of = {one.item.symbol: one for one in terms}

    def get(self, row: Mapping[str, Any]) -> Terms | None:
        """Of a row's coin, None where it is not traded here."""
        coin = row.get("coin")
        if not isinstance(coin, str):
            raise DecodeError(f"coin {coin!r} is not a text")
        return self.of.get(coin)

    def fill(self, row: object) -> VenueFill | None:
        """A fill of ``userFills``; None for another coin's.  Raises DecodeError."""
        row = _object(row, "a fill")
        terms = self.get(row)
        if terms is None:
            return None
        return VenueFill(
            instrument=terms.number,
            client_id=client_id(row.get("cloid")),
            venue_id=str(whole(row, "oid")),
            side=_side(row),
            trade_id=_trade_id(row),
            tick=terms.price(row.get("px")),
            qty=terms.qty(row.get("sz")),
            fee=money(row.get("fee", "0")),
            fee_asset=str(row.get("feeToken", ASSET)),
            maker=not row.get("crossed", True),
            ts_ns=venue_ns(whole(row, "time")),
        )

    def order(self, row: object, word: str = "open", stamp: int | None = None) -> OrderNews | None:
        """An order of ``openOrders``, or within other answers; None for another coin's."""
        row = _object(row, "an order")
        terms = self.get(row)
        if terms is None:
            return None
        left = terms.qty(row.get("sz"))
        size = terms.qty(row["origSz"]) if "origSz" in row else left
        return OrderNews(
            instrument=terms.number,
            client_id=client_id(row.get("cloid")),
            oid=str(whole(row, "oid")),
            side=_side(row),
            tick=terms.price(row.get("limitPx")),
            size=max(size, left),
            left=0 if word == "filled" else left,
            word=word,
            ts_ns=venue_ns(whole(row, "timestamp") if stamp is None else stamp),
        )

    def update(self, row: object) -> OrderNews | None:
        """An entry of ``orderUpdates`` or ``historicalOrders``, or inside ``orderStatus``."""
        row = _object(row, "an order update")
        word = row.get("status")
        if not isinstance(word, str):
            raise DecodeError(f"status {word!r} is not a text")
        return self.order(row.get("order"), word, whole(row, "statusTimestamp"))

    def status(self, answer: object) -> OrderNews | None:
        """An ``orderStatus`` answer; None where the venue knows no such order."""
        answer = _object(answer, "an order status")
        if answer.get("status") == "unknownOid":
            return None
        return self.update(answer.get("order"))

    def positions(self, answer: object) -> dict[int, int]:
        """Signed units by instrument number, of a ``clearinghouseState``."""
        held = {terms.number: 0 for terms in self.of.values()}
        for entry in _list(_object(answer, "a clearinghouseState").get("assetPositions")):
            row = _object(_object(entry, "a position").get("position"), "a position")
            terms = self.get(row)
            if terms is not None:
                text = str(row.get("szi"))
                qty = terms.qty(text.removeprefix("-"))
                held[terms.number] = -qty if text.startswith("-") else qty
        return held


def balance(answer: object) -> Balance:
    """USDC without open profit, and what of it is free, of a ``clearinghouseState``."""
    answer = _object(answer, "a clearinghouseState")
    summary = _object(answer.get("marginSummary"), "a margin summary")
    total = money(summary.get("accountValue"))
    for entry in _list(answer.get("assetPositions")):
        row = _object(_object(entry, "a position").get("position"), "a position")
        total -= money(row.get("unrealizedPnl"))
    return Balance(total, min(money(answer.get("withdrawable")), total))


def in_order(rows: list[Any]) -> list[Any]:
    """Fills as they happened: by time, and within one time each where the last one left off.

    Answers begin with the newest or the oldest; a block has one time for all of its fills.
    """
    if len(rows) < 2 or not all(isinstance(row, Mapping) for row in rows):
        return rows
    times: dict[Any, list[Any]] = {}
    for row in sorted(rows, key=lambda row: whole(row, "time")):
        times.setdefault(row["time"], []).append(row)
    return [row for same in times.values() for row in _chained(same)]


def _chained(rows: list[Any]) -> list[Any]:
    said = all("startPosition" in row for row in rows)
    if not said or not 1 < len(rows) <= CHAINED_MAX:
        return rows
    ends = {id(row): _ends(row) for row in rows}
    left, found = list(rows), []
    while left:
        reached = {ends[id(row)][1] for row in left}
        first = next((row for row in left if ends[id(row)][0] not in reached), left[0])
        left.remove(first)
        found.append(first)
    return found


def _ends(row: Mapping[str, Any]) -> tuple[object, object]:
    """The position before and after a fill, with its coin."""
    coin, begin = row.get("coin"), money(row.get("startPosition"))
    return (coin, begin), (coin, begin + _side(row) * money(row.get("sz")))


class Funding(NamedTuple):
    """A funding payment.  quanta: received, negative for paid; ms: its stamp."""

    coin: str
    quanta: int
    ms: int


def funding(row: object) -> Funding:
    """One of ``userFundings``, or of a ``userFunding`` answer, which wraps it."""
    row = _object(row, "a funding payment")
    inner = row.get("delta")
    inner = inner if isinstance(inner, Mapping) else row
    return Funding(str(inner.get("coin")), money(inner.get("usdc")), whole(row, "time"))


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DecodeError(f"{what} that is no object but {type(value).__name__}")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise DecodeError(f"a list was expected, not {type(value).__name__}")
    return value


def _side(row: Mapping[str, Any]) -> int:
    side = SIDES.get(str(row.get("side")))
    if side is None:
        raise DecodeError(f"side {row.get('side')!r} is neither B nor A")
    return side


def _trade_id(row: Mapping[str, Any]) -> int:
    """``tid``; fills from before the venue gave them one are told apart by all they say."""
    if "tid" in row:
        return whole(row, "tid")
    said = [row.get(key) for key in ("time", "coin", "oid", "startPosition", "px", "sz")]
    return zlib.crc32(repr(said).encode())


__all__ = [
    "ASSET",
    "Coins",
    "Funding",
    "Item",
    "OrderNews",
    "balance",
    "client_id",
    "funding",
    "in_order",
    "is_untimely",
    "items_of",
    "meaning_of",
    "money",
]
