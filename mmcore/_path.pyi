import numpy as np
from numpy.typing import NDArray

from ._book import Book

#: Rows of a path: ts_venue_ns, ts_local_ns, bid_tick, ask_tick, bid_qty, ask_qty (units),
#: imbalance.  Both ticks are 0 while the book cannot be used.
PATH: np.dtype[np.void]
#: Public trades: ts_venue_ns, ts_local_ns, tick, qty (units), side of the aggressor.
PRINT: np.dtype[np.void]

def path_of(
    book: Book,
    rows: NDArray[np.void],
    *,
    instrument: int = 0,
    flag: int = 0,
    depth: int = 5,
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Every touch and every print of one instrument among EVENT rows, in their order.

    book: not used before, or left by the rows before these; its messages are counted there.
    flag: only messages that carry this bit of ``events.Flag``.  depth: levels of the imbalance.  A
    touch is left when prices or quantities at the best prices change.  Raises ValueError for rows
    of another dtype.
    """
