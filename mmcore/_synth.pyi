"""The synthetic market, compiled: seeded, deterministic, memory fixed at construction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

@disjoint_base
class Generator:
    """Rows of a synthetic market of several instruments, in order of receive time.

    presets: a ``synthetic.Preset`` for each instrument, index = ``Event.instrument``.  leaders: for
    each, the index of the instrument whose latent price it follows (smaller than its own), or -1.
    seed: 0 to 2^64-1; the same seed, presets and times give the same rows, in every process on one
    machine.
    start_ns: exchange time of the first snapshot.  end_ns: no step is taken beyond it; 0 for ever.

    Raises ValueError where a preset starts too near to zero or follows a later one, MemoryError.
    """

    def __init__(
        self,
        presets: Sequence[Any],
        leaders: Sequence[int],
        *,
        seed: int,
        start_ns: int,
        end_ns: int,
    ) -> None: ...
    def fill(self, rows: NDArray[np.uint8], steps: int) -> int:
        """Write the next rows into ``rows``, taking at most so many time steps.

        rows: uint8[n], contiguous, a view of EVENT rows, at least 16,384 of them (ValueError); it
        gets whole messages only.  Returns the rows written; 0 when nothing was received in those
        steps, or at the end (see ``ended``).  How a market is cut into calls does not change it.
        """
    @property
    def ended(self) -> bool:
        """Whether the market has ended and every row was handed out."""
    @property
    def now_ns(self) -> int:
        """Present of the instrument that is furthest behind."""
    def levels(self, instrument: int, side: int) -> NDArray[Any]:
        """The generator's own book of one side: LEVEL[n], best first, a copy.  IndexError."""
    def latent(self, instrument: int) -> float:
        """Latent price in steps of the legal grid, what the quoters follow.  IndexError."""
