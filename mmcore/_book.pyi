from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from ._spec import SpecBox

_Number: TypeAlias = int | float | str | Decimal
_Rows: TypeAlias = NDArray[np.void]

class BookAnalysis(NamedTuple):
    """Depth of a book, over the same number of levels on both sides.

    Depths in quantity, weighted prices (sum of price * size / sum of size) in quote currency,
    imbalance = (bids - asks) / (bids + asks) within [-1, 1], unweighted.
    """

    bid_depth: float
    ask_depth: float
    weighted_bid_price: float
    weighted_ask_price: float
    imbalance: float

class BookCounters(NamedTuple):
    """What a book has seen: applied messages and level changes, breaks of the sequence, messages
    it already held, malformed messages, and messages that left it crossed."""

    messages: int
    levels: int
    gaps: int
    old: int
    bad: int
    crossed: int

class Touch(NamedTuple):
    """Best ticks and the sizes there (quantity); ticks are the ends of int64 where a side is
    empty."""

    bid_tick: int
    ask_tick: int
    bid_size: float
    ask_size: float

class OrderCounters(NamedTuple):
    """Market orders that are remembered by their ids, and rows about orders that could not be
    true: of an order that is not there, of one added twice, more traded than there was, impossible
    values, and orders for which there was no room."""

    resting: int
    unknown: int
    twice: int
    over: int
    bad: int
    full: int

def ofi(before: Touch, after: Touch) -> float:
    """Order flow imbalance between two touches, quantity; 0 where either lacks a side.

    Cont, Kukanov and Stoikov (2014), "The price impact of order book events", equation 4: a side
    that retreats counts the size it had before.
    """

def voi(before: Touch, after: Touch) -> float:
    """Volume order imbalance between two touches, quantity; 0 where either lacks a side.

    Shen (2015), "Order imbalance based strategy in high frequency trading": a side that retreats
    counts nothing.
    """

@disjoint_base
class Book:
    """The order book of one instrument: absolute quantities by price, best first on demand.

    spec: ticks and units of the instrument; without one, prices are ticks and sizes units.
    window: slots (one a tick) kept densely around the touch of each side, a power of two from 64
    to 262,144; a snapshot that spans more ticks gets a larger one, up to ``window_max``.
    far_levels: levels a side may hold outside its window.  Nothing is ever dropped: when they run
    out, ``health`` becomes ``Status.FULL`` until the next snapshot.  Memory is reserved here and in
    :meth:`reserve`, never by a message; pages that no level reaches cost nothing.

    One owner thread.  Raises ValueError where a size is not as said.

    The sequence rule is the same for all venues, since decoders normalise: ``seq`` is the last
    update id of a message, ``previous`` the id that must stand before it (Binance futures ``pu``,
    Binance spot ``U - 1``, Bybit ``u - 1``), 0: no sequence.  After a snapshot with id L a message
    with ``seq <= L`` is old, the first one applied needs ``previous <= L``, each later one the id
    of the one before.  A break sets ``Status.GAP``, and everything is ignored until a snapshot.
    """

    spec: SpecBox | None

    def __init__(
        self,
        spec: SpecBox | None = None,
        *,
        window: int = 4096,
        window_max: int = 262144,
        far_levels: int = 65536,
    ) -> None: ...
    def reserve(self, *, window_max: int = 262144, far_levels: int = 65536) -> None:
        """Allocates new capacities; the levels stay.  Not for the hot path.

        Raises ValueError where a side holds more levels than ``far_levels``.
        """

    def reserve_orders(self, orders_max: int) -> None:
        """Remembers the market's orders by their ids too, ``orders_max`` at once; more than before.

        Rows of orders then count (``events.Kind.ORDER_ADD`` and the like); without room for one,
        ``health`` is ``Status.FULL`` until the book is cleared.  Allocates: not for the hot path.
        Raises ValueError for fewer than 1.
        """

    def load(
        self,
        bids: Iterable[tuple[_Number, _Number]],
        asks: Iterable[tuple[_Number, _Number]],
        *,
        seq: int = 0,
        ts_venue_ns: int = 0,
        ts_local_ns: int = 0,
    ) -> int:
        """Replaces the whole book with (price, size) pairs in any order; returns a BookReturn.

        BookReturn: 0 applied, 1 old, 2 sequence broken, 3 no snapshot yet, 4 full, 5 malformed.
        Prices and sizes are taken exactly: ValueError names the value that is not on the grid, not
        finite or negative, and then nothing has been applied.
        """

    def apply(
        self,
        bids: Iterable[tuple[_Number, _Number]] = (),
        asks: Iterable[tuple[_Number, _Number]] = (),
        *,
        seq: int = 0,
        previous: int = 0,
        ts_venue_ns: int = 0,
        ts_local_ns: int = 0,
    ) -> int:
        """Sets sizes by price, 0 deletes (an unknown level, too); otherwise like :meth:`load`."""

    def bind(self, rows: _Rows) -> None:
        """Takes a C-contiguous block of ``events.EVENT`` rows for :meth:`update` and :meth:`run`.

        The array is kept alive, and read in place, until :meth:`release` or the next ``bind``.  All
        rows must concern this instrument.  Raises ValueError for another dtype.
        """

    def release(self) -> None:
        """Lets go of the bound block."""

    def update(self, row: int) -> int:
        """Applies the message whose header is a row of the bound block; returns a BookReturn.

        The fast way from Python: no object is made.  Raises IndexError where no whole message is.
        """

    def run(self) -> int:
        """Applies every message of the bound block in order; returns their number."""

    def signals(self, depth: int = 5) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Like :meth:`run`; returns imbalance over ``depth`` levels and microprice after each."""

    def levels(self, side: int, n: int | None = None) -> _Rows:
        """The first n levels (all) of side 1 (bids) or -1 (asks), best first, ``events.LEVEL``."""

    def top(self, side: int, out: _Rows) -> int:
        """Writes the first levels into a caller's ``events.LEVEL`` array; returns how many."""

    def bids(self, n: int | None = None) -> NDArray[np.float64]:
        """float64[k, 2]: price and size of the first n (all) bids, best first."""

    def asks(self, n: int | None = None) -> NDArray[np.float64]:
        """float64[k, 2]: price and size of the first n (all) asks, best first."""

    def qty(self, side: int, tick: int) -> int:
        """Units at a tick, 0 where there is no level."""

    def imbalance(self, depth: int) -> float:
        """(bids - asks) / (bids + asks) over min(depth, both sides) levels, unweighted; 0: none."""

    def weighted_imbalance(self, depth: int) -> float:
        """The same over sizes weighted e^(-i/2), i = 0 at the touch; 0 without both sides."""

    def weight(self, side: int, depth: int) -> float:
        """Sum of e^(-i/2) * quantity over the first levels of a side."""

    def microprice(self, depth: int = 0) -> float:
        """Touch prices weighted by the other side's size, quote currency; nan without both sides.

        depth 0: touch sizes, else :meth:`weight`.
        """

    def vwap(self, side: int, n: int) -> float:
        """Size-weighted mean price of the first n levels; nan without levels."""

    def analysis(self, depth: int) -> BookAnalysis | None:
        """Depths and depth-weighted prices over min(depth, both sides) levels; None if empty."""

    def touch(self, depth: int = 0) -> Touch:
        """Best ticks with touch sizes (depth 0) or depth-weighted sizes, for ofi and voi."""

    @property
    def best_bid(self) -> float:
        """Quote currency; nan without bids."""

    @property
    def best_ask(self) -> float:
        """Quote currency; nan without asks."""

    @property
    def mid(self) -> float:
        """Quote currency; nan without both sides."""

    @property
    def spread_bps(self) -> float:
        """Spread over mid in 1e-4, negative while crossed; nan without both sides."""

    @property
    def health(self) -> int:
        """``events.Status``: OK, WARMUP, GAP, CROSSED, ONE_SIDED, STALE or FULL."""

    @property
    def last_seq(self) -> int:
        """Last update id applied, 0: none."""

    @property
    def ts_venue_ns(self) -> int:
        """Venue time of the last applied message."""

    @property
    def ts_local_ns(self) -> int:
        """Receive time of the last applied message; the book's age counts from it."""

    @property
    def counters(self) -> BookCounters: ...
    @property
    def order_counters(self) -> OrderCounters | None:
        """Market orders that rest, and rows that could not be true; None where none are kept."""

    @property
    def n_bids(self) -> int: ...
    @property
    def n_asks(self) -> int: ...
    @property
    def window(self) -> int:
        """Slots of each side's window now."""

    def sound(self) -> bool:
        """Whether every invariant of the structure holds; walks all of the memory."""
