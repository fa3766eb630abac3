"""What the JSON decoders of all venues share: exact decimals, rows, and refusals by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import orjson

from mmcore._scan import Scanner
from mmcore.events import EVENT, LEVEL, LEVELS_MAX, Flag, Kind, rows_of
from mmcore.instrument import Instrument
from mmcore.venue import DecodeError, Rows, SymbolError

DIGITS_MAX = 18  # digits of a number, kept decimals included: what fits 64 bits with room
SIDE_MAX = 8192  # levels of one side in one frame
MS_MAX = 9_200_000_000_000  # milliseconds that still fit 64 bits of nanoseconds
US_MIN, US_MAX = 100_000_000_000_000, 9_200_000_000_000_000
BOTH = int(Flag.EXCH | Flag.LOCAL)
NO_ROWS: Rows = np.zeros(0, EVENT)
DECIMAL = re.compile(r"(\d+)(?:\.(\d+))?", re.ASCII)

Levels = list[tuple[int, int]]


class JsonDecoder:
    """A decoder whose subclass says what a JSON message means; see mmcore.venue.Decoder."""

    venue: ClassVar[str]
    dialect: ClassVar[int]

    def __init__(
        self, instruments: Sequence[Instrument], numbers: Sequence[int] | None = None
    ) -> None:
        self.instruments = tuple(instruments)
        self.numbers = tuple(range(len(self.instruments)) if numbers is None else numbers)
        self.places = {item.symbol: i for i, item in enumerate(self.instruments)}
        pairs = list(zip(self.instruments, self.numbers, strict=True))
        self.scanner = Scanner(self.dialect, [item.scale(n) for item, n in pairs])
        self.terms = tuple(Terms(item, n) for item, n in pairs)

    def decode(self, frame: bytes, ts_local_ns: int, hint: int = -1) -> Rows:
        """EVENT rows of one frame; DecodeError where it cannot be used."""
        if self.scanner.scan(frame, hint) == 0:
            return self.scanner.rows(ts_local_ns)
        return self.decode_json(frame, ts_local_ns, hint)

    def decode_json(self, frame: bytes, ts_local_ns: int, hint: int = -1) -> Rows:
        """The same without the compiled scanner."""
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError as error:
            raise DecodeError(f"not JSON: {error}") from None
        if not isinstance(message, dict):
            raise DecodeError(f"a JSON object was expected, not {type(message).__name__}")
        return self.read(message, ts_local_ns, hint)

    def read(self, message: Mapping[str, Any], ts_local_ns: int, hint: int) -> Rows:
        """Rows of one JSON message."""
        raise NotImplementedError

    def book_of(self, symbol: object) -> Terms:
        """Scales and number of a symbol; SymbolError where it is not ours."""
        if not isinstance(symbol, str):
            raise DecodeError(f"symbol {symbol!r} is not a text")
        place = self.places.get(symbol)
        if place is None:
            raise SymbolError(symbol)
        return self.terms[place]


class Terms:
    """One instrument's exact conversions, and the rows that carry them."""

    def __init__(self, item: Instrument, number: int) -> None:
        self.item = item
        self.number = number
        _, self.price_decimals, self.tick_mul, self.qty_decimals, _ = item.scale(number)

    def refuse(self, what: str, *, harmless: bool = False) -> DecodeError:
        """An error about this instrument."""
        return DecodeError(f"{self.item}: {what}", instrument=self.number, harmless=harmless)

    @contextmanager
    def naming(self, *, harmless: bool = False) -> Iterator[None]:
        """Whatever is refused inside is refused in this instrument's name."""
        try:
            yield
        except DecodeError as error:
            what = error.what.removeprefix(f"{self.item}: ")
            raise self.refuse(what, harmless=harmless) from None

    def price(self, text: object) -> int:
        """Ticks of a decimal string."""
        value = self._whole(text, self.price_decimals, "price")
        if value % self.tick_mul:
            raise self.refuse(f"price {text} is not a multiple of the tick {self.item.tick}")
        return value // self.tick_mul

    def qty(self, text: object) -> int:
        """Units of a decimal string."""
        return self._whole(text, self.qty_decimals, "quantity")

    def _whole(self, text: object, decimals: int, what: str) -> int:
        if not isinstance(text, str):
            raise self.refuse(f"{what} {text!r} is not a decimal text")
        match = DECIMAL.fullmatch(text)
        if match is None:
            raise self.refuse(f"{what} {text!r} is not a plain decimal without sign or exponent")
        whole, rest = match[1], match[2] or ""
        if len(whole) + decimals > DIGITS_MAX:
            raise self.refuse(f"{what} {text} has too many digits")
        if rest[decimals:].strip("0"):
            raise self.refuse(f"{what} {text} has more than {decimals} decimals")
        return int(whole + rest[:decimals].ljust(decimals, "0"))

    def levels(self, pairs: object, split: Callable[[object], tuple[object, object]]) -> Levels:
        """Ticks and units of a side; ``split`` takes one level apart."""
        if not isinstance(pairs, list):
            raise self.refuse(f"levels are not a list but {type(pairs).__name__}")
        if len(pairs) > SIDE_MAX:
            raise self.refuse(f"{len(pairs)} levels on one side, at most {SIDE_MAX}")
        side = []
        for pair in pairs:
            price, quantity = split(pair)
            tick = self.price(price)
            if tick == 0:
                raise self.refuse("a level at price 0")
            side.append((tick, self.qty(quantity)))
        return side

    def row(self, kind: Kind, ts_venue_ns: int, ts_local_ns: int, **fields: int) -> Rows:
        """One row of this instrument for both sides of a simulation."""
        row = np.zeros(1, EVENT)
        row["kind"], row["flags"], row["instrument"] = kind, BOTH, self.number
        row["ts_venue_ns"], row["ts_local_ns"] = ts_venue_ns, ts_local_ns
        for name, value in fields.items():
            row[name] = value
        return row

    def depth(
        self, bids: Levels, asks: Levels, ts_venue_ns: int, ts_local_ns: int, *,
        seq: int, aux: int, snapshot: bool,
    ) -> Rows:  # fmt: skip
        """Header and levels of a depth message, in chained groups where it is too large for one."""
        both = bids + asks
        parts = []
        for start in range(0, len(both) or 1, LEVELS_MAX):
            group = both[start : start + LEVELS_MAX]
            n_bids = min(max(len(bids) - start, 0), len(group))
            flags = BOTH | (Flag.SNAPSHOT if snapshot else 0) | (Flag.CONT if start else 0)
            flags |= Flag.MORE if start + len(group) < len(both) else 0
            head = self.row(
                Kind.DEPTH, ts_venue_ns, ts_local_ns, seq=seq, aux=aux, flags=int(flags),
                n_bids=n_bids, n_asks=len(group) - n_bids,
            )  # fmt: skip
            body = np.zeros(rows_of(len(group)), EVENT)
            body.view(LEVEL)[: len(group)] = group
            parts += [head, body]
        return np.concatenate(parts)

    def best(
        self, side: int, price: object, quantity: object, ts_venue_ns: int, ts_local_ns: int,
        seq: int,
    ) -> Rows:  # fmt: skip
        """The best quote of one side; price 0 with quantity 0 is an empty side."""
        tick, qty = self.price(price), self.qty(quantity)
        return self.row(Kind.BEST, ts_venue_ns, ts_local_ns, side=side, tick=tick, qty=qty, seq=seq)

    def mark(self, price: object, ts_venue_ns: int, ts_local_ns: int) -> Rows:
        """Mark price: ``tick`` is the nearest tick, ``aux`` the price in quanta (1e-8), cut there.

        A mark price is an average and lies between ticks; it is the one price that may.
        """
        value = Fraction(self._plain(price, "mark price"))
        if value >= 10**9:
            raise self.refuse(f"mark price {price} has too many digits", harmless=True)
        tick = round(value / Fraction(self.item.tick))
        quanta = int(value * 10**8)
        return self.row(Kind.MARK, ts_venue_ns, ts_local_ns, tick=tick, aux=quanta)

    def funding(self, rate: object, stamp_ns: int, ts_venue_ns: int, ts_local_ns: int) -> Rows:
        """Funding rate in 1e-12 in ``aux``, time it falls due in ``seq`` (0: not said)."""
        if not isinstance(rate, str):
            raise self.refuse(f"funding rate {rate!r} is not a decimal text", harmless=True)
        value = Fraction(self._plain(rate.removeprefix("-"), "funding rate"))
        if value >= 10**3:
            raise self.refuse(f"funding rate {rate} has too many digits", harmless=True)
        scaled = round(-value * 10**12 if rate.startswith("-") else value * 10**12)
        return self.row(Kind.FUNDING, ts_venue_ns, ts_local_ns, aux=scaled, seq=stamp_ns)

    def _plain(self, text: object, what: str) -> str:
        if not isinstance(text, str) or DECIMAL.fullmatch(text) is None or len(text) > 40:
            raise self.refuse(f"{what} {text!r} is not a plain decimal", harmless=True)
        return text


def whole(message: Mapping[str, Any], key: str) -> int:
    """A non-negative integer of at most 18 digits; DecodeError naming the key."""
    if key not in message:
        raise DecodeError(f"key {key!r} is missing")
    value = message[key]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**DIGITS_MAX:
        raise DecodeError(f"key {key!r}: {value!r} is not a whole number")
    return value


def venue_ns(stamp: int) -> int:
    """Milliseconds, or microseconds where a venue was asked for them, as ns."""
    if stamp <= MS_MAX:
        return stamp * 1_000_000
    if US_MIN <= stamp <= US_MAX:
        return stamp * 1_000
    raise DecodeError(f"time {stamp} is neither milliseconds nor microseconds")


def pair(level: object) -> tuple[object, object]:
    """A level written as [price, quantity]."""
    if not isinstance(level, list) or len(level) != 2:
        raise DecodeError(f"level {level!r} is not a pair")
    return level[0], level[1]
