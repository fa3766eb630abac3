"""The rows of a source, handed out by time."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .events import Kind
from .instrument import Instrument

NS_PER_S = 1_000_000_000


class Source(Protocol):
    """Market rows, block by block; `mmcore.synthetic` and `mmcore.tape` each have one."""

    clock: str  # "local": one order of rows; "two": venue and receive order by flags
    instruments: tuple[Instrument, ...]

    problems: Sequence[object]  # damage met so far, each as one readable line

    def next_block(self) -> NDArray[np.void] | None:
        """EVENT rows, whole messages, valid until the next call; None at the end."""

    def progress(self) -> float: ...
    def close(self) -> None: ...


class Reel:
    """The rows of a source, handed out in whole messages up to a moment.

    seconds: market time after which nothing is handed out any more, 0 = all.
    """

    def __init__(self, source: Source, seconds: float) -> None:
        self._source = source
        self._length_ns = round(seconds * NS_PER_S)
        self._block: NDArray[np.void] | None = None
        self._used = 0
        self._starts = self._times = np.zeros(0, np.int64)
        self.start_ns = self.end_ns = 0
        self.ended = False

    def rows(self, until_ns: int) -> NDArray[np.void] | None:
        """What is left of the present block up to ``until_ns`` (0: any), valid until the next call.

        None: nothing up to then, or nothing at all any more (``ended``).
        """
        if self._block is None and not self.ended:
            self._load()
        block = self._block
        if block is None:
            return None
        stop = len(block)
        if until_ns or self.end_ns:
            self._index(block)
            stop = self._stop(block, min(until_ns or 2**62, self.end_ns or 2**62))
            if self.end_ns and self._stop(block, self.end_ns) == self._used:
                self.ended = True
        return block[self._used : stop] if stop > self._used else None

    def use(self, count: int) -> None:
        """``count`` rows of the last answer are done with."""
        self._used += count
        if self._block is not None and self._used == len(self._block):
            self._block = None

    def _load(self) -> None:
        self._block = self._source.next_block()
        self._used = 0
        self._times = np.zeros(0, np.int64)
        if self._block is None:
            self.ended = True
        elif not self.start_ns:
            self.start_ns = int(self._block["ts_local_ns"][0])
            self.end_ns = self.start_ns + self._length_ns if self._length_ns else 0

    def _index(self, block: NDArray[np.void]) -> None:
        """Find the messages of the block: level rows carry no time, only headers do."""
        if len(self._times):
            return
        levels = block["n_bids"].astype(np.int64) + block["n_asks"]
        steps = np.where(block["kind"] == Kind.DEPTH, 1 + (levels + 3) // 4, 1).tolist()
        starts, at = [], 0
        while at < len(steps):
            starts.append(at)
            at += steps[at]
        self._starts = np.array(starts, np.int64)
        self._times = np.maximum.accumulate(block["ts_local_ns"][self._starts])

    def _stop(self, block: NDArray[np.void], limit_ns: int) -> int:
        """First row after ``limit_ns``, not before what is used already."""
        place = int(np.searchsorted(self._times, limit_ns, "right"))
        stop = int(self._starts[place]) if place < len(self._starts) else len(block)
        return max(stop, self._used)
