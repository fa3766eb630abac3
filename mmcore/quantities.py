"""The number that was probably meant by a quantity in words: "12 bps", "5ms", "10k", "0,63"."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_QUANTITY = re.compile(r"\$?\s*([+-]?[\d.,_]+(?:[eE][+-]?\d+)?)\s*([A-Za-zµ%/$]*)")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_TIMES = {
    "ns": "1e-9", "us": "1e-6", "µs": "1e-6", "ms": "0.001", "s": "1", "sec": "1", "seconds": "1",
    "m": "60", "min": "60", "minutes": "60", "h": "3600", "hours": "3600", "d": "86400",
    "days": "86400",
}  # fmt: skip
_MONEY = {"$": "1", "usd": "1", "usdt": "1", "usdc": "1", "k": "1e3", "m": "1e6", "b": "1e9"}
# A key's unit, by how it begins -> what may stand behind its number, and how many units that is.
_UNITS: dict[str, dict[str, str]] = {
    "market seconds a second": {"x": "1"},
    "market seconds": _TIMES,
    "ms": {name: f"{Decimal(seconds) * 1000:f}" for name, seconds in _TIMES.items()},
    "s": _TIMES,
    "days": {"d": "1", "days": "1"},
    "bps": {"bps": "1", "bp": "1", "%": "100"},
    "share": {"%": "0.01"},
    "ratio": {"%": "0.01"},
    "times": {"x": "1"},
    "requests/s": {"/s": "1", "rps": "1"},
    "orders and amends/s": {"/s": "1"},
    "quote": _MONEY,
}


def number_of(text: str) -> str:
    """A number as people write it, as TOML writes it; "" where it is none.

    A comma before three digits parts thousands, any other is a decimal point.
    """
    plain = text.replace(",", "") if _THOUSANDS.fullmatch(text) else text.replace(",", ".")
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return ""
    return format(number, "f") if number.is_finite() and abs(number.adjusted()) < 30 else ""


def quantity_of(text: str, unit: str) -> str:
    """A quantity, with or without its unit, as TOML writes it in the key's; "" if unclear."""
    match = _QUANTITY.fullmatch(text.strip())
    number = number_of(match[1]) if match else ""
    if not match or not number:
        return ""
    if not match[2]:
        return number
    begins = max((name for name in _UNITS if unit.startswith(name)), key=len, default="")
    scale = _UNITS.get(begins, {}).get(match[2].lower())
    if scale is None:
        return ""
    return format((Decimal(number) * Decimal(scale)).normalize(), "f")
