"""Rows in, requests out, at the moment they come."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from ._engine import Trader

@disjoint_base
class Pump:
    """Feeds traders with rows as they arrive.

    traders: one an instrument, in the order of the instruments; all share one Ring.  Raises
    ValueError where they do not.
    """

    traders: tuple[Trader, ...]
    taken: int
    def __init__(self, traders: Sequence[Trader]) -> None: ...
    def feed(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        """Apply messages until one leaves requests; those, as a view valid until the next call.

        rows: EVENT, contiguous, writable, whole messages.  ``taken`` says how many rows were used:
        give the rest again once the requests are sent.  Where none was used and no request is
        there, the ring must be drained first.  A timer row reaches every trader, and its requests
        come trader by trader.  Raises ValueError, at the message concerned, for one that is cut off
        or of an unknown instrument.
        """

    @property
    def now_ns(self) -> int:
        """Engine time: the latest receive time seen, ns; 0 before the first row."""

    @property
    def n_events(self) -> int:
        """Market messages applied."""

def restamp(rows: NDArray[np.void], now_ns: int) -> int:
    """Stamp messages that are late anew, in place: none is before ``now_ns`` or its predecessor.

    rows: EVENT, contiguous, writable, whole messages.  Returns the receive time of the last.
    """
