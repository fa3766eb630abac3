"""The research interface: a strategy of one's own against a tape and a simulated venue."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from ._book import Book
from ._channel import Latency
from ._venue import Venue

#: Rows of :meth:`Replay.fills`: exch_ts, seen_ts (ns), order_id, side, tick, qty (units), maker
#: (0 or 1), fee (quanta).
FILL: np.dtype[np.void]
#: Rows of :meth:`Replay.orders`.
LOCAL_ORDER: np.dtype[np.void]

class Outcome(IntEnum):
    """What became of a call."""

    OK = 0
    END = 1
    FEED = 2
    RESPONSE = 3
    ID_EXISTS = 10
    PENDING = 11
    NOT_FOUND = 12
    BAD_REQUEST = 13
    BAD_STATUS = 14

class Status(IntEnum):
    """State of an order as we know it, or what is pending."""

    NONE = 0
    NEW = 1
    EXPIRED = 2
    FILLED = 3
    CANCELED = 4
    PARTIALLY_FILLED = 5
    REJECTED = 6
    REPLACED = 7

@disjoint_base
class Replay:
    """A tape, a venue and the strategy's own view of both; single-threaded.

    rows: EVENT[n], whole messages; kept by reference.  venue, latency: not used before.
    clock: "two", or "local" to let the venue see every row when we do.  snapshot: EVENT rows that
    both books hold before the first row.  fills_max: fills kept.  Orders at once: the venue's
    ``n_slots``.
    TypeError for rows of another dtype; ValueError for an unknown clock and for a last message that
    is cut off.

    Two clocks: a row reaches the venue at its venue time and us at its local time; requests and
    answers travel with these latencies, first in, first out.  Within one instant: local data,
    local answers, venue data, requests at the venue.

    ``elapse`` and ``wait_feed`` raise ValueError for a negative duration and where the tape runs
    backwards in one of its clocks, and OverflowError where a fixed capacity ran out.
    """

    venue: Venue
    latency: Latency
    book: Book
    def __init__(
        self,
        rows: NDArray[np.void],
        venue: Venue,
        latency: Latency,
        *,
        clock: str = "two",
        snapshot: NDArray[np.void] | None = None,
        fills_max: int = 1_000_000,
    ) -> None: ...
    def elapse(self, duration_ns: int) -> int:
        """Let ``duration_ns`` pass, events at its last instant included.

        OK, or END when no event of any kind is left: the clock then stands.
        """

    def wait_feed(self, timeout_ns: int) -> int:
        """Until the next local data row (FEED) or answer (RESPONSE), ``timeout_ns`` at most (OK).

        Everything else of that instant has happened too.  END as for :meth:`elapse`.
        """

    def submit(self, order_id: int, side: int, tick: int, qty: int, tif: int = 0) -> int:
        """Send a new limit order; ``side`` +1 buys, ``qty`` in units, ``tif`` a TimeInForce.

        OK, ID_EXISTS or BAD_REQUEST; OverflowError when all slots are in use.  TypeError for a tick
        or quantity that is no whole number: a price is ``price / tick size`` ticks, rounded by you.
        """

    def modify(self, order_id: int, tick: int, qty: int) -> int:
        """Ask for another price and remaining quantity.

        OK, PENDING while another request for it is under way, NOT_FOUND, BAD_STATUS when it is
        finished or not acknowledged yet, BAD_REQUEST.
        """

    def cancel(self, order_id: int) -> int:
        """Ask for a cancel; returns as :meth:`modify`."""

    def clear_inactive(self) -> None:
        """Forget orders that are expired, filled or cancelled; their ids are free again."""

    def status(self, order_id: int) -> int:
        """Status of an order by the answers received; NONE before the first, and when unknown."""

    def active(self, order_id: int) -> bool:
        """May this order be cancelled or modified now?"""

    def order(self, order_id: int) -> np.void | None:
        """One order, a LOCAL_ORDER row; None when unknown."""

    def orders(self) -> NDArray[np.void]:
        """All orders not cleared yet, by id: LOCAL_ORDER rows, a copy."""

    def fills(self, start: int = 0) -> NDArray[np.void]:
        """Fills received so far from number ``start`` on, in order: FILL rows, a copy."""

    def equity(self, mid: float) -> float:
        """Worth at a price: quote currency, or coin for inverse contracts."""

    @property
    def now_ns(self) -> int:
        """Local time, ns."""

    @property
    def best_bid_tick(self) -> int:
        """Of our book; the smallest int64 without bids."""

    @property
    def best_ask_tick(self) -> int:
        """Of our book; the largest int64 without asks."""

    @property
    def position(self) -> int:
        """By the fills received, units."""

    @property
    def balance(self) -> float:
        """Money received less money paid, before fees."""

    @property
    def fee(self) -> float:
        """Fees paid, negative for rebates."""

    @property
    def volume(self) -> float:
        """Quantity traded."""

    @property
    def turnover(self) -> float:
        """Value traded."""

    @property
    def n_fills(self) -> int:
        """Fills received."""

    @property
    def n_answers(self) -> int:
        """Answers received."""

    @property
    def n_orders(self) -> int:
        """Orders not cleared yet."""

    @property
    def n_messages(self) -> tuple[int, int]:
        """Messages processed on our side and on the venue's."""
