"""Instruments: what a venue says about a contract, and the border of decimals and integers.

Inside mmcore a price is a whole number of ticks and a quantity a whole number of units, the finest
decimal the venue writes for that instrument.  This module is the only place where they are made
from, and turned back into, decimals.  Worked example, Binance spot BTCUSDT (tick 0.01, eight
decimals, lot 0.00001)::

    "61837.63"  -> tick 6183763      tick 6183763 -> "61837.63"
    "0.02000000" -> 2_000_000 units  one lot = 1_000 units
    "61837.635" -> ValueError: off the grid, nothing is rounded

Where the figures come from: the table below (recorded tapes and venue documents of the dates given
there), or a venue's own answer through :func:`from_binance`, :func:`from_bybit` and
:func:`from_hyperliquid`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .events import ContractKind

if TYPE_CHECKING:
    from ._spec import SpecBox

QUANTA_PER_ONE = 10**8  # money: quanta of 1e-8
FEE_PER_BPS = 10**4  # fees: 1e-8 of the notional in one basis point

# Venue -> maker and taker fee in basis points of the notional, base tier.
VENUE_FEES_BPS: Mapping[str, tuple[float, float]] = {
    "binance-usdm": (2.0, 5.0),
    "binance-coinm": (2.0, 5.0),
    "binance-spot": (10.0, 10.0),
    "bybit-linear": (2.0, 5.5),
    "bybit-spot": (10.0, 10.0),
    "hyperliquid": (1.5, 4.5),
    "synthetic": (2.0, 5.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One contract of one venue; immutable.

    venue: one of :data:`VENUE_FEES_BPS`.  symbol: as the venue writes it.  kind: linear, inverse
    or spot.  tick: price step in quote currency.  qty_decimals: decimals of a unit.  lot: step of
    our order quantities.  min_qty, max_qty, min_notional: order filters, "0" for none, the last in
    quote currency.  contract_size: base currency per 1.0 of quantity, quote currency per contract
    for inverse.  sig_figs: significant figures of a legal price, 0 for no such rule.  price_step:
    step of our order prices in quote currency where the book's levels are finer ("0": the tick).
    Fees in basis points of the notional, negative for a rebate.  base, quote: asset names.

    Raises ValueError naming the field for figures that contradict each other.
    """

    venue: str
    symbol: str
    kind: ContractKind
    tick: str
    qty_decimals: int
    lot: str
    min_qty: str = "0"
    max_qty: str = "0"
    min_notional: str = "0"
    contract_size: str = "1"
    sig_figs: int = 0
    price_step: str = "0"
    maker_fee_bps: float = 0.0
    taker_fee_bps: float = 0.0
    base: str = ""
    quote: str = ""

    def __post_init__(self) -> None:
        if self.venue not in VENUE_FEES_BPS:
            raise ValueError(f"venue {self.venue!r}: expected one of {', '.join(VENUE_FEES_BPS)}")
        if not 0 <= self.qty_decimals <= 18:
            raise ValueError(f"{self}: qty_decimals {self.qty_decimals}, expected 0 to 18")
        for field in ("tick", "lot", "contract_size"):
            if _fraction(getattr(self, field), field) <= 0:
                raise ValueError(f"{self}: {field} {getattr(self, field)} must be positive")
        for field in ("min_qty", "max_qty", "min_notional", "price_step"):
            if _fraction(getattr(self, field), field) < 0:
                raise ValueError(f"{self}: {field} {getattr(self, field)} must not be negative")
        for field in ("lot", "min_qty", "max_qty"):
            if (_fraction(getattr(self, field), field) * self.qty_per_one).denominator != 1:
                raise ValueError(
                    f"{self}: {field} {getattr(self, field)} has more than "
                    f"{self.qty_decimals} decimals"
                )
        if self._ticks_per_step.denominator != 1:
            raise ValueError(
                f"{self}: price_step {self.price_step} is no multiple of the tick {self.tick}"
            )
        if self.sig_figs and self._ticks_per_step > 1:
            raise ValueError(f"{self}: price_step and sig_figs are two rules for one price")
        for field in ("maker_fee_bps", "taker_fee_bps"):
            if not abs(getattr(self, field)) <= 1000.0:
                raise ValueError(f"{self}: {field} {getattr(self, field)}, expected within 1000")

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol}"

    @property
    def qty_per_one(self) -> int:
        """Units in a quantity of 1.0."""
        return int(10**self.qty_decimals)

    @property
    def _ticks_per_step(self) -> Fraction:
        step = _fraction(self.price_step, "price_step")
        return step / _fraction(self.tick, "tick") if step else Fraction(1)

    @property
    def price_decimals(self) -> int:
        """Decimals of the tick, 2 for "0.01" and for "0.010"."""
        return _decimals(self.tick)

    @property
    def lot_qty(self) -> int:
        """Units in one lot."""
        return self.to_qty(self.lot)

    @property
    def settle(self) -> str:
        """Asset in which profit is counted: the coin for inverse contracts, else the quote."""
        return self.base if self.kind == ContractKind.INVERSE else self.quote

    def scale(self, index: int = 0) -> tuple[str, int, int, int, int]:
        """Symbol, decimals of the price, tick in those decimals, decimals of a unit, ``index``."""
        decimals = self.price_decimals
        tick_mul = _fraction(self.tick, "tick") * 10**decimals
        return self.symbol, decimals, tick_mul.numerator, self.qty_decimals, index

    def spec(self, index: int = 0) -> SpecBox:
        """The compiled face of this instrument; ``index`` is its place in the run."""
        from ._spec import SpecBox

        return SpecBox(
            self.tick,
            self.qty_decimals,
            self.contract_size,
            self.lot_qty,
            self.to_qty(self.min_qty),
            self.to_qty(self.max_qty),
            int(_fraction(self.min_notional, "min_notional") * QUANTA_PER_ONE),
            round(self.maker_fee_bps * FEE_PER_BPS),
            round(self.taker_fee_bps * FEE_PER_BPS),
            int(self.kind),
            self.sig_figs,
            index,
            int(self._ticks_per_step),
        )

    def to_tick(self, price: str | Decimal | float) -> int:
        """Ticks of a price, exactly.  ValueError, naming the price, where it is off the grid.

        A float stands for the shortest decimal that reads back as it (61800.3 is "61800.3").
        """
        ticks = _fraction(price, "price") / _fraction(self.tick, "tick")
        if ticks.denominator != 1:
            raise ValueError(f"{self}: price {price} is not a multiple of the tick {self.tick}")
        return ticks.numerator

    def to_qty(self, quantity: str | Decimal | float) -> int:
        """Units of a quantity, exactly.  ValueError, naming it, where it has too many decimals."""
        units = _fraction(quantity, "quantity") * self.qty_per_one
        if units.denominator != 1:
            raise ValueError(
                f"{self}: quantity {quantity} has more than {self.qty_decimals} decimals"
            )
        return units.numerator

    def price(self, tick: int) -> float:
        """Price of a tick in quote currency: the double nearest to the exact decimal."""
        return float(_fraction(self.tick, "tick") * tick)

    def quantity(self, qty: int) -> float:
        """Quantity of so many units: the double nearest to the exact decimal."""
        return qty / self.qty_per_one

    def price_text(self, tick: int) -> str:
        """Price of a tick as the venue's decimal string."""
        decimals = self.price_decimals
        scaled = _fraction(self.tick, "tick") * tick * 10**decimals
        return _text(scaled.numerator, decimals)

    def quantity_text(self, qty: int) -> str:
        """Quantity of so many units as a decimal string: the lot's decimals, more if needed."""
        decimals = _decimals(self.lot)
        while decimals < self.qty_decimals and qty % 10 ** (self.qty_decimals - decimals):
            decimals += 1
        return _text(qty // 10 ** (self.qty_decimals - decimals), decimals)


NEAR = 1e-4  # of a step: a number this near to a whole number of steps is that number


def whole_steps(
    values: npt.NDArray[np.float64], per_step: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Doubles as whole numbers of steps, and which of them are none: nan, off the grid, too large.

    per_step: the step, as ``float(item.tick)`` or ``1 / item.qty_per_one``.
    """
    scaled = values / per_step
    fits = np.isfinite(scaled) & (np.abs(scaled) < 2**60)
    near = np.rint(np.where(fits, scaled, 0.0))
    # the second term is what a double cannot hold of a large number
    bad = ~fits | (np.abs(np.where(fits, scaled, 0.0) - near) > NEAR + 1e-14 * np.abs(near))
    return near.astype(np.int64), bad


class UnknownInstrument(LookupError):
    """A symbol that neither the table nor a venue's answer holds.

    venue, symbol: what was asked.  nearest: the most similar known symbol, or "".
    """

    def __init__(self, venue: str, symbol: str, nearest: str) -> None:
        self.venue, self.symbol, self.nearest = venue, symbol, nearest
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        super().__init__(f"{venue} has no instrument {symbol!r} that mmcore knows{hint}")


def known(venue: str, symbol: str) -> Instrument:
    """The instrument of that name from the table; the symbol may be written in any common way.

    Raises UnknownInstrument (with the nearest name) for a symbol that is not there, ValueError for
    a venue that is not.
    """
    if venue not in VENUE_FEES_BPS:
        near = difflib.get_close_matches(venue, VENUE_FEES_BPS, 1, 0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"venue {venue!r}: expected one of {', '.join(VENUE_FEES_BPS)}{hint}")
    return find(venue, symbol, known_instruments(venue))


def find(venue: str, symbol: str, instruments: Mapping[str, Instrument]) -> Instrument:
    """The instrument whose symbol is ``symbol``, written in any common way.

    Raises UnknownInstrument where none is, naming the nearest.
    """
    name = normalise(venue, symbol, instruments)
    if name not in instruments:
        near = difflib.get_close_matches(name, list(instruments), 1, 0.5)
        raise UnknownInstrument(venue, symbol, near[0] if near else "")
    return instruments[name]


def normalise(venue: str, symbol: str, symbols: Iterable[str] = ()) -> str:
    """A symbol as the venue writes it: "btc-usdt", "BTC/USDT:USDT" -> "BTCUSDT".

    symbols: names of which one is preferred where several spellings are possible ("BTCUSD" is
    "BTCUSD_PERP" on binance-coinm).  Returns the plain spelling where none matches.
    """
    names = set(symbols)
    if symbol in names:
        return symbol
    plain = "".join(c for c in symbol.partition(":")[0].upper() if c.isalnum())
    stem = plain.removesuffix("PERP").removesuffix("SWAP")
    if venue == "hyperliquid":
        spellings = [plain, stem]
        spellings += [stem.removesuffix(q) for q in ("USDC", "USDT", "USD") if stem != q]
    elif venue == "binance-coinm":
        spellings = [f"{stem}_PERP", plain]
    else:
        spellings = [plain, stem]
    matches = [name for name in spellings if name in names]
    if matches:
        return matches[0]
    return spellings[-1] if venue == "hyperliquid" else spellings[0]


def known_instruments(venue: str) -> dict[str, Instrument]:
    """Symbol -> instrument of one venue, from the table."""
    return {item.symbol: item for item in _TABLE if item.venue == venue}


def with_fees(
    item: Instrument, maker_fee_bps: float | None = None, taker_fee_bps: float | None = None
) -> Instrument:
    """The same instrument with other fees, in basis points; None keeps the one it has."""
    return replace(
        item,
        maker_fee_bps=item.maker_fee_bps if maker_fee_bps is None else maker_fee_bps,
        taker_fee_bps=item.taker_fee_bps if taker_fee_bps is None else taker_fee_bps,
    )


def from_binance(venue: str, info: Mapping[str, Any]) -> dict[str, Instrument]:
    """Instruments of an ``exchangeInfo`` answer, of any of the three Binance products.

    Symbols without a usable price or lot filter, dated contracts included, are left out.
    Raises ValueError where the answer is not an exchangeInfo.
    """
    entries = info.get("symbols")
    if not entries:
        raise ValueError(f"{venue}: exchangeInfo without a list of symbols")
    made = (_binance_symbol(venue, entry) for entry in entries)
    return {item.symbol: item for item in made if item is not None}


def _binance_symbol(venue: str, entry: Mapping[str, Any]) -> Instrument | None:
    filters = {f["filterType"]: f for f in entry.get("filters", ()) if "filterType" in f}
    price, lot = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
    perpetual = entry.get("contractType", "PERPETUAL") == "PERPETUAL"
    if price is None or lot is None or not perpetual or Decimal(price["tickSize"]) <= 0:
        return None
    floor = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
    spot = venue == "binance-spot"
    decimals = int(entry["baseAssetPrecision"] if spot else entry.get("quantityPrecision", 0))
    maker, taker = VENUE_FEES_BPS[venue]
    inverse = venue == "binance-coinm"
    kind = ContractKind.SPOT if spot else ContractKind.INVERSE if inverse else ContractKind.LINEAR
    return Instrument(
        venue=venue,
        symbol=entry["symbol"],
        kind=kind,
        tick=_plain(price["tickSize"]),
        qty_decimals=max(decimals, _decimals(lot["stepSize"])),
        lot=_plain(lot["stepSize"]),
        min_qty=_plain(lot["minQty"]),
        max_qty=_plain(lot["maxQty"]),
        min_notional=_plain(str(floor.get("minNotional", floor.get("notional", "0")))),
        contract_size=_plain(str(entry.get("contractSize", "1"))),
        maker_fee_bps=maker,
        taker_fee_bps=taker,
        base=entry.get("baseAsset", ""),
        quote=entry.get("quoteAsset", ""),
    )


def from_bybit(venue: str, info: Mapping[str, Any]) -> dict[str, Instrument]:
    """Instruments of a v5 ``instruments-info`` answer (the whole answer or its ``result``).

    Raises ValueError where the answer is not one.
    """
    entries = info.get("result", info).get("list")
    if not entries:
        raise ValueError(f"{venue}: instruments-info without a list")
    maker, taker = VENUE_FEES_BPS[venue]
    spot = venue == "bybit-spot"
    made: dict[str, Instrument] = {}
    for entry in entries:
        lots = entry["lotSizeFilter"]
        step = lots["basePrecision"] if spot else lots["qtyStep"]
        made[entry["symbol"]] = Instrument(
            venue=venue,
            symbol=entry["symbol"],
            kind=ContractKind.SPOT if spot else ContractKind.LINEAR,
            tick=_plain(entry["priceFilter"]["tickSize"]),
            qty_decimals=_decimals(step),
            lot=_plain(step),
            min_qty=_within(lots["minOrderQty"], step),
            max_qty=_within(lots["maxOrderQty"], step),
            min_notional=_plain(lots.get("minOrderAmt" if spot else "minNotionalValue") or "0"),
            maker_fee_bps=maker,
            taker_fee_bps=taker,
            base=entry["baseCoin"],
            quote=entry["quoteCoin"],
        )
    return made


def from_hyperliquid(meta: Mapping[str, Any]) -> dict[str, Instrument]:
    """Perpetuals of an ``info`` answer of type ``meta``: coin -> instrument.

    The base tick is 10^-(6 - szDecimals); legal prices have at most five significant figures.
    Raises ValueError where the answer is not one.
    """
    universe = meta.get("universe")
    if not universe:
        raise ValueError("hyperliquid: meta without a universe")
    return {
        entry["name"]: _hyperliquid(entry["name"], int(entry["szDecimals"])) for entry in universe
    }


def _hyperliquid(coin: str, size_decimals: int) -> Instrument:
    maker, taker = VENUE_FEES_BPS["hyperliquid"]
    lot = _text(1, size_decimals)
    return Instrument(
        venue="hyperliquid",
        symbol=coin,
        kind=ContractKind.LINEAR,
        tick=_text(1, 6 - size_decimals),
        qty_decimals=size_decimals,
        lot=lot,
        min_qty=lot,
        min_notional="10",
        sig_figs=5,
        maker_fee_bps=maker,
        taker_fee_bps=taker,
        base=coin,
        quote="USDC",
    )


def _fraction(value: str | Decimal | float, what: str) -> Fraction:
    try:
        # repr: a float stands for the shortest decimal that reads back as it
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise ValueError(f"{what} {value!r} is not a decimal number") from None
    if not number.is_finite():
        raise ValueError(f"{what} {value!r} is not finite")
    return Fraction(number)


def _decimals(value: str) -> int:
    exponent = Decimal(value).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _plain(value: str) -> str:
    """A decimal string without an exponent and without superfluous zeros."""
    return f"{Decimal(value).normalize():f}"


def _within(value: str, step: str) -> str:
    """A venue's quantity bound cut to whole steps; some venues write bounds finer than the step."""
    whole = Fraction(Decimal(value)) / Fraction(Decimal(step))
    return _plain(str(Decimal(int(whole)) * Decimal(step)))


def _text(scaled: int, decimals: int) -> str:
    sign, digits = "-" if scaled < 0 else "", str(abs(scaled)).rjust(decimals + 1, "0")
    return sign + (f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits)


def _entry(
    venue: str,
    symbol: str,
    tick: str,
    lot: str,
    max_qty: str,
    min_notional: str,
    base: str,
    quote: str = "USDT",
    *,
    decimals: int | None = None,
    kind: ContractKind = ContractKind.LINEAR,
    contract_size: str = "1",
) -> Instrument:
    maker, taker = VENUE_FEES_BPS[venue]
    return Instrument(
        venue=venue,
        symbol=symbol,
        kind=kind,
        tick=tick,
        qty_decimals=_decimals(lot) if decimals is None else decimals,
        lot=lot,
        min_qty=lot,
        max_qty=max_qty,
        min_notional=min_notional,
        contract_size=contract_size,
        maker_fee_bps=maker,
        taker_fee_bps=taker,
        base=base,
        quote=quote,
    )


def _spot(symbol: str, tick: str, lot: str, max_qty: str, base: str, quote: str) -> Instrument:
    # Recorded spot levels are written with eight decimals, finer than the order lot.
    return _entry(
        "binance-spot", symbol, tick, lot, max_qty, "5", base, quote, decimals=8,
        kind=ContractKind.SPOT,
    )  # fmt: skip


def _coin(symbol: str, tick: str, base: str, contract_size: str) -> Instrument:
    return _entry(
        "binance-coinm", symbol, tick, "1", "1000000", "0", base, "USD",
        kind=ContractKind.INVERSE, contract_size=contract_size,
    )  # fmt: skip


# Figures of 2024-08 for Binance, of 2026-08 for Bybit, of 2025 for Hyperliquid.
_TABLE: tuple[Instrument, ...] = (
    _entry("binance-usdm", "BTCUSDT", "0.1", "0.001", "1000", "100", "BTC"),
    _entry("binance-usdm", "ETHUSDT", "0.01", "0.001", "10000", "20", "ETH"),
    _entry("binance-usdm", "TRXUSDT", "0.00001", "1", "10000000", "5", "TRX"),
    _spot("BTCUSDT", "0.01", "0.00001", "9000", "BTC", "USDT"),
    _spot("ETHUSDT", "0.01", "0.0001", "9000", "ETH", "USDT"),
    _spot("NEXOUSDT", "0.001", "0.01", "900000", "NEXO", "USDT"),
    _spot("TRXUSDT", "0.0001", "0.1", "9000000", "TRX", "USDT"),
    _coin("BTCUSD_PERP", "0.1", "BTC", "100"),
    _coin("ETHUSD_PERP", "0.01", "ETH", "10"),
    _entry("bybit-linear", "BTCUSDT", "0.1", "0.001", "1500", "5", "BTC"),
    _entry("bybit-linear", "ETHUSDT", "0.01", "0.01", "10000", "5", "ETH"),
    _entry("bybit-linear", "SOLUSDT", "0.01", "0.1", "96000", "5", "SOL"),
    _entry("bybit-linear", "DOGEUSDT", "0.00001", "1", "43678900", "5", "DOGE"),
    _entry("bybit-spot", "BTCUSDT", "0.1", "0.000001", "230", "5", "BTC", kind=ContractKind.SPOT),
    _entry("bybit-spot", "ETHUSDT", "0.01", "0.00001", "8118", "5", "ETH", kind=ContractKind.SPOT),
    _hyperliquid("BTC", 5),
    _hyperliquid("ETH", 4),
    _hyperliquid("SOL", 2),
    _hyperliquid("WLFI", 0),
    _entry("synthetic", "BTCUSDT", "0.1", "0.001", "1000", "100", "BTC"),
    _entry("synthetic", "ETHUSDT", "0.01", "0.001", "10000", "20", "ETH"),
)
