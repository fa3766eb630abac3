"""Logging: level, destination, and the per-order lines that appear at level debug.

One logger, ``mmcore``, on the standard library.  The level comes from ``--log-level`` or the
environment variable ``MMCORE_LOG``.  Nothing of the compiled core logs: it counts, and the shell
says what the counters mean.
"""

import logging
import os
import sys
import time
from pathlib import Path

from .errors import UsageError

LEVELS = ("debug", "info", "warning", "error")
DEFAULT_LEVEL = "info"
ENVIRONMENT = "MMCORE_LOG"

log = logging.getLogger("mmcore")


def level_named(level: str | None) -> int:
    """The numeric level of ``--log-level``, else of MMCORE_LOG, else info.

    Raises UsageError naming the value and where it came from.
    """
    origin, word = ("--log-level", level) if level else (ENVIRONMENT, os.environ.get(ENVIRONMENT))
    word = word or DEFAULT_LEVEL
    if word.lower() not in LEVELS:
        raise UsageError(
            f"{word!r} is not a log level",
            where=origin,
            done="nothing was started",
            todo=f"use one of {', '.join(LEVELS)}",
        )
    return int(getattr(logging, word.upper()))


def open_log(level: int, file: Path | None = None) -> logging.Handler:
    """Send log lines of ``level`` and above to ``file``, or to standard error without one.

    A terminal that shows the live screen needs the file: lines would tear its pictures.
    """
    handler = (
        logging.StreamHandler(sys.stderr) if file is None else logging.FileHandler(file, delay=True)
    )
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(message)s", "%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    log.setLevel(level)
    log.propagate = False
    log.addHandler(handler)
    return handler


def close_log(handler: logging.Handler) -> None:
    """Undo ``open_log``."""
    log.removeHandler(handler)
    log.propagate = True
    handler.close()


# -- the lines of level debug ----------------------------------------------------------------


def book_line(
    symbol: str, mid: float, bid_depth: float, ask_depth: float, imbalance: float, spread_bps: float
) -> str:
    """State of a book: mid in quote currency, depths in quantity, spread in bps."""
    return (
        f"{symbol} book: mid {mid:.10g}, bid depth {bid_depth:.10g}, ask depth {ask_depth:.10g}, "
        f"imbalance {imbalance:+.3f}, spread {spread_bps:.1f} bps"
    )


def skew_line(
    symbol: str, skew: float, position: float, book: float, unit: str, used: float
) -> str:
    """The skew and its parts in ``unit``; ``used`` is position over its maximum, signed."""
    return (
        f"{symbol} skew: total {skew:+.2f} {unit} "
        f"(position {position:+.2f} {unit} [{used:.1%} of the maximum], book {book:+.2f} {unit})"
    )


def resting_line(side: int, quantity: str, symbol: str, price: str) -> str:
    """An own order that the venue has accepted."""
    return f"{'buy' if side > 0 else 'sell'} {quantity} {symbol} rests at {price}"


def request_line(word: str, side: int, quantity: str, symbol: str, price: str, reason: str) -> str:
    """A request as it left the engine."""
    return f"{word} {'buy' if side > 0 else 'sell'} {quantity} {symbol} at {price} ({reason})"


def fill_line(side: int, quantity: str, symbol: str, price: str, position: str) -> str:
    """An own fill and the position after it."""
    return f"{'bought' if side > 0 else 'sold'} {quantity} {symbol} at {price}, position {position}"
