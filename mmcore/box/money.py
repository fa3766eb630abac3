"""Exact arithmetic of money: one rounding, half-even, as the house's ledger rounds."""

from __future__ import annotations


def half_even(numerator: int, denominator: int) -> int:
    """The integer nearest to a fraction, the even one of two.  denominator: above 0."""
    whole, rest = divmod(numerator, denominator)
    rest *= 2
    if rest > denominator or (rest == denominator and whole % 2):
        whole += 1
    return whole


def up(numerator: int, denominator: int) -> int:
    """The smallest integer not below a fraction.  denominator: above 0."""
    return -(-numerator // denominator)
