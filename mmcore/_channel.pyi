"""Latency between us and a simulated venue; the manual of ``_channel.pyx``."""

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

@disjoint_base
class Latency:
    """How long requests and answers travel.

    entry_ns, response_ns: constant parts, ns.  jitter_ns: mean of a seeded, heavy-tailed addition
    to both, 0 for none; it depends on seed, direction and time alone, so two variants of a
    strategy that send at the same instant get the same latency.  cancel_extra_ns: added to the
    entry latency of cancels.  table: int64[n, 3], rows of (sent, at the venue, answered) in ns, in
    order of time: latencies are interpolated between the rows, flat outside, and the constant
    parts are not used.  ValueError for negative latencies, and for a table that is empty, out of
    order, or whose answers precede their requests.
    """

    def __init__(
        self,
        entry_ns: int = 0,
        response_ns: int = 0,
        *,
        jitter_ns: int = 0,
        seed: int = 0,
        cancel_extra_ns: int = 0,
        table: NDArray[np.int64] | None = None,
    ) -> None: ...
    def entry(self, ts_ns: int, cancel: bool = False) -> int:
        """Latency of a request (or a cancel) that leaves at ``ts_ns``, ns."""

    def response(self, ts_ns: int) -> int:
        """Latency of an answer that the venue creates at ``ts_ns``, ns."""

    def copy(self) -> Latency:
        """A latency of its own with the same figures, for another account."""

@disjoint_base
class Channels:
    """The two first-in first-out channels between one account and its venue.

    capacity: messages each way, rounded up to a power of two.
    """

    def __init__(self, capacity: int = 4096) -> None: ...
