from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

_Rows: TypeAlias = NDArray[np.void]

FAR_LEVELS: int
WORDS: tuple[str, ...]

class Doubt(NamedTuple):
    """A row that could not be true: its number, and what is wrong with it."""

    row: int
    what: str

@disjoint_base
class Tally:
    """Orders told by their ids become orders and the levels they sum to.

    The orders of one instrument, block by block.  Behind every row of an order come the depth rows
    that follow from it; on a tape of two clocks the venue's side and ours are summed apart.  Orders
    told in the instant in which the tape begins, or the whole book is cleared, give one snapshot.
    A row that cannot be true is left out of the sums and noted.  together: the levels that change
    in one instant are one message, so that nobody decides on half of it; else each order's own.
    """

    def __init__(self, together: bool = False) -> None: ...
    def run(self, rows: _Rows) -> _Rows:
        """EVENT rows of orders, prints and clears, each with the depth rows that follow from it.

        Takes the memory for what they may add.  Raises ValueError for a depth row, which has no
        place among orders, and OverflowError for more price levels than a book holds.
        """

    def end(self) -> _Rows:
        """No further row will come: the depth rows that waited for it."""

    @property
    def n_doubts(self) -> int:
        """Rows so far that could not be true."""

    @property
    def doubts(self) -> list[Doubt]:
        """The first hundred of them: the row's number, over all blocks from 0, and what it says."""
