"""The frame scanner: raw bytes of one venue message to event rows, without an object."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

STATUS_TEXT: Mapping[int, str]
"""What each status of :meth:`Scanner.scan` means, in words."""

@disjoint_base
class Scanner:
    """Scans the frames of one venue connection.

    dialect: 1 Binance futures, 2 Binance spot, 3 Bybit v5, 4 Hyperliquid.  scales: one row per
    instrument, as :meth:`mmcore.instrument.Instrument.scale` gives it: symbol, decimals of the
    price, tick in those decimals, decimals of a quantity unit, number of the instrument in the run.
    At most 1,024 instruments.  Raises ValueError for figures that do not fit.  One thread at a
    time.
    """

    def __init__(self, dialect: int, scales: Sequence[tuple[str, int, int, int, int]]) -> None: ...
    def scan(self, frame: bytes | bytearray | memoryview, hint: int = -1) -> int:
        """Stage one frame and return its status; it never raises over what the frame holds.

        hint: place in ``scales`` of a frame that does not name its instrument (a REST snapshot).
        0: staged.  1: not a shape of the fast path.  Others: refused, in the words of STATUS_TEXT.
        Whatever is not 0 goes to the JSON decoder, which names the value; nothing is staged then
        and nothing was rounded.  Reads no byte outside ``frame``.  O(bytes), about a nanosecond
        each.
        """

    def rows(self, ts_local_ns: int) -> npt.NDArray[np.void]:
        """The staged message as a new array of EVENT rows; empty after a scan that failed.

        Depth is one header and its levels, bids first (more than 4,096 levels: a chain of headers
        with FLAG_MORE and FLAG_CONT); a trade one row; a best quote two, bid and ask.
        """
