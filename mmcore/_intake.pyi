"""From frames to a stream of event rows: depth chains, raw lines, merging by receive time."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from ._scan import Scanner

@disjoint_base
class Intake:
    """Rows of one connection, with the depth chain of each of its instruments.

    A delta waits until a snapshot of its instrument has gone out, then follows it with the
    snapshot's receive time; updates the snapshot already holds are dropped.  The delta that breaks
    a chain still goes out (the book counts the gap); later ones wait for the next snapshot.

    n_instruments: one more than the highest instrument number of the scanner's table.  block_rows:
    a block is full from here.  held_rows: room of one chain; when it runs out the oldest go, which
    shows as a gap later, never as a wrong book.
    """

    def __init__(
        self,
        scanner: Scanner,
        n_instruments: int,
        block_rows: int = 32768,
        held_rows: int = 32768,
    ) -> None: ...
    @property
    def line(self) -> int:
        """Number of the last line read, counted from 1."""

    @property
    def pos(self) -> int:
        """Offset behind the last line read."""

    @property
    def ts_local_ns(self) -> int:
        """Receive time of the last line, ns."""

    @property
    def frame_start(self) -> int:
        """Where the frame of the last line starts in the text."""

    @property
    def frame_end(self) -> int:
        """Where it ends."""

    @property
    def status(self) -> int:
        """Scanner's status of the last frame."""

    @property
    def full(self) -> bool:
        """True when the block must be taken before more is fed."""

    def take(self) -> npt.NDArray[np.void]:
        """Rows fed since the last take: a view, valid until the intake is fed again."""

    def frame(self, frame: bytes | bytearray | memoryview, ts_local_ns: int, hint: int = -1) -> int:
        """Scan one frame; where the status is 0 its rows went through the chains."""

    def put(self, rows: npt.NDArray[np.void]) -> None:
        """Rows of one frame decoded elsewhere: whole messages, at most 8,192 rows.

        Raises ValueError for more, or for rows that end inside a message.
        """

    def link_down(self, instrument: int, ts_local_ns: int) -> None:
        """Something of this instrument's stream was lost: its book is stale from here."""

    def lines(
        self, text: bytes | bytearray | memoryview, pos: int, final: bool, hint: int = -1
    ) -> int:
        """Read raw lines, ``<receive time> <frame>``, from ``pos`` on.

        final: the last line may lack its line feed.  hint: as for :meth:`frame`.  Returns 0: every
        whole line is read; 1: the block is full; 2: the frame of this line is for the JSON decoder
        (``status`` says why); 3: receive time runs backwards here; 4: the line does not start with
        a receive time of 19 (ns), 16 or 13 digits.  ``pos`` has moved behind the line reported.
        """

    def chain(self, instrument: int) -> dict[str, int]:
        """How one depth chain stands: whether it waits, its last update id, its counters, and
        ``lag_ns``: of the stream's newest depth, receive time less the venue's."""

@disjoint_base
class Merge:
    """Streams of rows into one, by receive time; of equal times the lower stream goes first.

    n_streams: at most 256.  block_rows: size of the merged blocks.
    """

    def __init__(self, n_streams: int, block_rows: int = 32768) -> None: ...
    @property
    def wanted(self) -> int:
        """The stream that must be fed before the merge can go on, or -1."""

    def feed(self, stream: int, rows: npt.NDArray[np.void] | None) -> None:
        """Give one stream its next block (kept until it is used up), or None at its end."""

    def run(self) -> npt.NDArray[np.void]:
        """Merge on: a view, valid until the next run; shorter than a block where one is wanted."""

def whole_rows(raw: npt.NDArray[np.uint8], limit: int) -> int:
    """Rows, at most ``limit``, up to the last message that is complete within them.

    raw: the bytes of C-contiguous EVENT rows.
    """

def sound_rows(
    raw: npt.NDArray[np.uint8],
    limit: int,
    n_kinds: int,
    n_instruments: int,
    two: bool,
    clocks: npt.NDArray[np.int64],
) -> tuple[int, int, int]:
    """Rows of whole messages, about ``limit``, that can be true; and what the next one suffers.

    raw: the bytes of C-contiguous EVENT rows.  n_kinds: one more than the highest kind.  two:
    whether the venue's order is one of its own.  clocks: ours and the venue's at the rows before,
    in ns; moved on to the last of the rows returned, where there are none to the one ahead of the
    fault.  Returns the rows, 0 or the RowFault of the message behind them (see
    ``_intake.pxd``), and that message's row.
    """

def survey(
    raw: npt.NDArray[np.uint8],
    counts: npt.NDArray[np.int64],
    sides: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    late: npt.NDArray[np.int64],
) -> None:
    """Add whole messages to ``counts[instrument, kind]``, their levels to ``sides[instrument]``.

    raw: the bytes of C-contiguous EVENT rows.  sides: bids and asks; of single levels those that
    are not taken away.  first, last: receive times by instrument and kind, in ns, widened.  late:
    the least receive time less venue time of what reached us, by instrument, in ns, lowered.
    Raises ValueError for an instrument or a kind that has no place.
    """

def select(rows: npt.NDArray[np.void], numbers: Sequence[int]) -> npt.NDArray[np.void]:
    """The messages of some instruments, as new rows under other numbers.

    numbers: by the old number, the new one, or -1 for an instrument that is left out.  Raises
    ValueError for rows that end inside a message or name an instrument beyond ``numbers``.
    """
