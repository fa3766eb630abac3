"""The order book of one instrument, for Python: the owner of the memory and its conversions.

The algorithms are in ``_side`` (levels) and ``_depth`` (messages, signals).  Memory is allocated at
construction and by ``reserve`` only.
"""

from collections import namedtuple
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import numpy as np

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from ._depth cimport (
    BK_OK, CBook, CBookAnalysis, CTouch, book_analysis, book_apply, book_block, book_imbalance,
    book_imbalance_weighted, book_microprice, book_microprice_depth, book_mid, book_price,
    book_publish, book_qty, book_run, book_spread_bps, book_top, book_touch, book_vwap, book_weight,
    event_rows, touch_ofi, touch_voi,
)
from ._ids cimport CIds, ids_alloc, ids_free
from ._side cimport (
    WIDTH_MAX, WIDTH_MIN, BookSide, side_alloc, side_free, side_load, side_sound,
)
from ._spec cimport SpecBox
from ._types cimport (
    BID, EV_DEPTH, FLAG_CONT, FLAG_MORE, FLAG_SNAPSHOT, LEVELS_MAX, ST_WARMUP, Event, Level,
)

from .events import EVENT, LEVEL

cdef int64_t COUNT_MAX = 1 << 60    # largest tick or size in whole steps


BookAnalysis = namedtuple(
    "BookAnalysis",
    "bid_depth ask_depth weighted_bid_price weighted_ask_price imbalance",
)
BookCounters = namedtuple("BookCounters", "messages levels gaps old bad crossed")
OrderCounters = namedtuple("OrderCounters", "resting unknown twice over bad full")
Touch = namedtuple("Touch", "bid_tick ask_tick bid_size ask_size")


cdef _check_sizes(int64_t window, int64_t window_max, int64_t far_levels):
    for name, width in (("window", window), ("window_max", window_max)):
        if not WIDTH_MIN <= width <= WIDTH_MAX or width & (width - 1):
            raise ValueError(
                f"{name} {width}: expected a power of two from {WIDTH_MIN} to {WIDTH_MAX}"
            )
    if window > window_max:
        raise ValueError(f"window {window} is larger than window_max {window_max}")
    if not 0 < far_levels <= 1 << 24:
        raise ValueError(f"far_levels {far_levels}: expected 1 to {1 << 24}")


cdef Level* _levels_of(object rows) except? NULL:
    # The memory of a LEVEL array, which the caller keeps alive.
    cdef int64_t[::1] numbers
    if len(rows) == 0:
        return NULL
    numbers = rows.view(np.int64)
    return <Level*>&numbers[0]


cdef object _count(object value, object step, str what):
    # How many whole steps a number is, exactly; ValueError names what it is and its value.
    cdef object exact
    if isinstance(value, float):
        text = float.__repr__(value)
    elif hasattr(value, "__index__"):
        text = int(value)
    else:
        text = value
    try:
        exact = Decimal(text)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"{what} {value!r} is not a number") from None
    if not exact.is_finite():
        raise ValueError(f"{what} {value!r} is not finite")
    if exact.adjusted() > 30:
        raise ValueError(f"{what} {value!r} is too large")
    if exact < 0:
        raise ValueError(f"{what} {value!r} is negative")
    if exact != 0 and exact.adjusted() < -30:
        raise ValueError(f"{what} {value!r} is not a multiple of {float(step)!r}")
    n = Fraction(exact) / step
    if n.denominator != 1:
        raise ValueError(f"{what} {value!r} is not a multiple of {float(step)!r}")
    if n > COUNT_MAX:
        raise ValueError(f"{what} {value!r} is too large")
    return int(n)


cdef CTouch _c_touch(object touch) except *:
    cdef CTouch t
    t.bid_tick, t.ask_tick, t.bid_size, t.ask_size = touch
    return t


def ofi(before, after):
    """Order flow imbalance between two touches, quantity (Cont, Kukanov, Stoikov 2014)."""
    cdef CTouch a = _c_touch(before)
    cdef CTouch b = _c_touch(after)
    return touch_ofi(&a, &b)


def voi(before, after):
    """Volume order imbalance between two touches, quantity (Shen 2015)."""
    cdef CTouch a = _c_touch(before)
    cdef CTouch b = _c_touch(after)
    return touch_voi(&a, &b)


cdef _sides_alloc(Book book, int64_t window, int64_t window_max, int64_t far_levels):
    # Both sides anew with the levels they hold; the old memory goes only when all is well.
    cdef BookSide bids, asks
    cdef int64_t n_most = max(book.c.bids.count, book.c.asks.count)
    if n_most > far_levels:
        raise ValueError(f"far_levels {far_levels}: the book holds {n_most} levels on a side")
    held = (book.levels(1), book.levels(-1))
    if not side_alloc(&bids, 1, window, window_max, far_levels):
        raise MemoryError
    if not side_alloc(&asks, -1, window, window_max, far_levels):
        side_free(&bids)
        raise MemoryError
    side_load(&bids, _levels_of(held[0]), len(held[0]), window)
    side_load(&asks, _levels_of(held[1]), len(held[1]), window)
    side_free(&book.c.bids)
    side_free(&book.c.asks)
    book.c.bids = bids
    book.c.asks = asks


cdef _ids_alloc(Book book, int64_t orders_max):
    # Room for orders by id; those that are there stay.
    cdef CIds* ids = book.c.ids
    if ids == NULL:
        ids = <CIds*>calloc(1, sizeof(CIds))
        if ids == NULL or not ids_alloc(ids, orders_max):
            free(ids)
            raise MemoryError
        book.c.ids = ids
    elif orders_max > ids.n_max and not ids_alloc(ids, orders_max):
        raise MemoryError


cdef tuple _level(Book book, str side, object price, object size):
    tick = _count(price, book.tick, f"{side} price")
    if tick == 0:
        raise ValueError(f"{side} price {price!r} is not positive")
    return tick, _count(size, book.unit, f"{side} size")


cdef int _submit(Book book, object bids, object asks, int flags, tuple header) except -1:
    # Everything is converted, and may raise, before anything is applied.
    cdef Event* e = book.scratch
    cdef Level* levels = <Level*>(book.scratch + 1)
    cdef Py_ssize_t i, first, n_bids
    cdef Py_ssize_t n = 0
    cdef int verdict = BK_OK
    pairs = [_level(book, "bid", price, size) for price, size in bids]
    n_bids = len(pairs)
    pairs += [_level(book, "ask", price, size) for price, size in asks]
    memset(e, 0, sizeof(Event))
    e.kind = EV_DEPTH
    e.seq, e.aux, e.ts_venue_ns, e.ts_local_ns = header
    for first in range(0, max(len(pairs), 1), LEVELS_MAX):
        n = min(len(pairs) - first, LEVELS_MAX)
        for i in range(n):
            levels[i].tick, levels[i].qty = pairs[first + i]
        e.n_bids = <uint16_t>max(min(n_bids - first, n), 0)
        e.n_asks = <uint16_t>(n - e.n_bids)
        e.flags = <uint8_t>(flags | (FLAG_CONT if first > 0 else 0)
                            | (FLAG_MORE if first + n < len(pairs) else 0))
        verdict = book_apply(book.c, e)
    return verdict


cdef object _prices(Book book, int side, object n):
    cdef int64_t[:, ::1] levels
    cdef double[:, ::1] out
    cdef Py_ssize_t i
    rows = book.levels(side, n)
    prices = np.empty((len(rows), 2))
    if len(rows) > 0:
        levels = rows.view(np.int64).reshape(-1, 2)
        out = prices
        for i in range(len(rows)):
            out[i, 0] = book_price(book.c, levels[i, 0])
            out[i, 1] = <double>levels[i, 1] / book.c.qty_div
    return prices


cdef class Book:
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

    def __cinit__(self, SpecBox spec=None, *, int64_t window=4096, int64_t window_max=WIDTH_MAX,
                  int64_t far_levels=65536):
        _check_sizes(window, window_max, far_levels)
        self.c = <CBook*>calloc(1, sizeof(CBook))
        self.scratch = <Event*>calloc(1 + LEVELS_MAX // 4, sizeof(Event))
        if self.c == NULL or self.scratch == NULL:
            raise MemoryError
        _sides_alloc(self, window, window_max, far_levels)

    def __init__(self, SpecBox spec=None, *, int64_t window=4096, int64_t window_max=WIDTH_MAX,
                 int64_t far_levels=65536):
        self.spec = spec
        # The shortest decimal of the tick's double is the decimal the instrument was made from.
        self.tick = Fraction(repr(spec.tick_size)) if spec is not None else Fraction(1)
        self.unit = Fraction(1, int(spec.qty_div)) if spec is not None else Fraction(1)
        self.c.tick_num = self.tick.numerator
        self.c.tick_den = self.tick.denominator
        self.c.qty_div = self.unit.denominator
        self.c.width_min = window
        self.c.part = -1
        book_block(self.c, ST_WARMUP)
        book_publish(self.c)

    def __dealloc__(self):
        if self.rows != NULL:
            PyBuffer_Release(&self.view)
        if self.c != NULL:
            side_free(&self.c.bids)
            side_free(&self.c.asks)
            if self.c.ids != NULL:
                ids_free(self.c.ids)
            free(self.c.ids)
        free(self.c)
        free(self.scratch)

    def reserve(self, *, int64_t window_max=WIDTH_MAX, int64_t far_levels=65536):
        """Allocates new capacities; the levels stay.  Not for the hot path.

        Raises ValueError where a side holds more levels than ``far_levels``.
        """
        _check_sizes(self.c.width_min, window_max, far_levels)
        _sides_alloc(self, min(window_max, self.c.bids.width), window_max, far_levels)

    def reserve_orders(self, int64_t orders_max):
        """Remembers the market's orders by their ids too, ``orders_max`` at once; more than before.

        Rows of orders then count (``events.Kind.ORDER_ADD`` and the like).  Allocates: not for the
        hot path.  Raises ValueError for fewer than 1.
        """
        if not 1 <= orders_max <= 1 << 40:
            raise ValueError(f"orders_max {orders_max}: expected 1 to {1 << 40}")
        _ids_alloc(self, orders_max)

    # -- changes

    def load(self, bids, asks, *, int64_t seq=0, int64_t ts_venue_ns=0, int64_t ts_local_ns=0):
        """Replaces the whole book with (price, size) pairs in any order; returns a BookReturn.

        BookReturn: 0 applied, 1 old, 2 sequence broken, 3 no snapshot yet, 4 full, 5 malformed.
        Prices and sizes are taken exactly: ValueError names the value that is not on the grid, not
        finite or negative, and then nothing has been applied.
        """
        return _submit(self, bids, asks, FLAG_SNAPSHOT, (seq, 0, ts_venue_ns, ts_local_ns))

    def apply(self, bids=(), asks=(), *, int64_t seq=0, int64_t previous=0,
              int64_t ts_venue_ns=0, int64_t ts_local_ns=0):
        """Sets sizes by price, 0 deletes (an unknown level, too); otherwise like :meth:`load`."""
        return _submit(self, bids, asks, 0, (seq, previous, ts_venue_ns, ts_local_ns))

    def bind(self, rows):
        """Takes a C-contiguous block of ``events.EVENT`` rows for :meth:`update` and :meth:`run`.

        The array is kept alive, and read in place, until :meth:`release` or the next ``bind``.  All
        rows must concern this instrument.  Raises ValueError for another dtype.
        """
        if rows.dtype != EVENT:
            raise ValueError(f"rows of dtype {rows.dtype}: expected events.EVENT")
        self.release()
        PyObject_GetBuffer(rows, &self.view, PyBUF_SIMPLE)
        self.rows = <const Event*>self.view.buf
        self.n_rows = self.view.len // sizeof(Event)

    def release(self):
        """Lets go of the bound block."""
        if self.rows != NULL:
            PyBuffer_Release(&self.view)
        self.rows = NULL
        self.n_rows = 0

    def update(self, int64_t row):
        """Applies the message whose header is a row of the bound block; returns a BookReturn.

        The fast way from Python: no object is made.  Raises IndexError where no whole message is.
        """
        if not 0 <= row < self.n_rows or row + event_rows(&self.rows[row]) > self.n_rows:
            raise IndexError(f"row {row}: no whole message there in {self.n_rows} bound rows")
        return book_apply(self.c, &self.rows[row])

    def run(self):
        """Applies every message of the bound block in order; returns their number."""
        return book_run(self.c, self.rows, self.n_rows, 0, NULL, NULL)

    def signals(self, int depth=5):
        """Like :meth:`run`; returns imbalance over ``depth`` levels and microprice after each."""
        cdef double[::1] imbalance = np.empty(self.n_rows)
        cdef double[::1] microprice = np.empty(self.n_rows)
        cdef int64_t n = 0
        if self.n_rows > 0:
            n = book_run(self.c, self.rows, self.n_rows, depth, &imbalance[0], &microprice[0])
        return np.asarray(imbalance)[:n], np.asarray(microprice)[:n]

    # -- levels

    def levels(self, int side, n=None):
        """The first n levels (all) of side 1 (bids) or -1 (asks), best first, ``events.LEVEL``."""
        cdef int64_t count = (self.c.bids.count if side == BID else self.c.asks.count)
        out = np.empty(count if n is None else min(max(n, 0), count), LEVEL)
        if len(out) > 0:
            book_top(self.c, side, <int>len(out), _levels_of(out))
        return out

    def top(self, int side, out):
        """Writes the first levels into a caller's ``events.LEVEL`` array; returns how many."""
        cdef Py_buffer view
        cdef int n
        PyObject_GetBuffer(out, &view, PyBUF_WRITABLE)
        n = book_top(self.c, side, <int>(view.len // sizeof(Level)), <Level*>view.buf)
        PyBuffer_Release(&view)
        return n

    def bids(self, n=None):
        """float64[k, 2]: price and size of the first n (all) bids, best first."""
        return _prices(self, 1, n)

    def asks(self, n=None):
        """float64[k, 2]: price and size of the first n (all) asks, best first."""
        return _prices(self, -1, n)

    def qty(self, int side, int64_t tick):
        """Units at a tick, 0 where there is no level."""
        return book_qty(self.c, side, tick)

    # -- signals

    def imbalance(self, int depth):
        """(bids - asks) / (bids + asks) over min(depth, both sides) levels, unweighted; 0: none."""
        return book_imbalance(self.c, depth)

    def weighted_imbalance(self, int depth):
        """The same over sizes weighted e^(-i/2), i = 0 at the touch; 0 without both sides."""
        return book_imbalance_weighted(self.c, depth)

    def weight(self, int side, int depth):
        """Sum of e^(-i/2) * quantity over the first levels of a side."""
        return book_weight(self.c, side, depth)

    def microprice(self, int depth=0):
        """Touch prices weighted by the other side's size, quote currency; nan without both sides.

        depth 0: touch sizes, else :meth:`weight`.
        """
        return book_microprice_depth(self.c, depth) if depth > 0 else book_microprice(self.c)

    def vwap(self, int side, int n):
        """Size-weighted mean price of the first n levels; nan without levels."""
        return book_vwap(self.c, side, n)

    def analysis(self, int depth):
        """Depths and depth-weighted prices over min(depth, both sides) levels; None if empty."""
        cdef CBookAnalysis a
        if not book_analysis(self.c, depth, &a):
            return None
        return BookAnalysis(
            a.bid_depth, a.ask_depth, a.weighted_bid_price, a.weighted_ask_price, a.imbalance
        )

    def touch(self, int depth=0):
        """Best ticks with touch sizes (depth 0) or depth-weighted sizes, for ofi and voi."""
        cdef CTouch t
        book_touch(self.c, depth, &t)
        return Touch(t.bid_tick, t.ask_tick, t.bid_size, t.ask_size)

    # -- state

    @property
    def best_bid(self):
        """Quote currency; nan without bids."""
        return book_price(self.c, self.c.bid_tick) if self.c.n_bids > 0 else NAN

    @property
    def best_ask(self):
        """Quote currency; nan without asks."""
        return book_price(self.c, self.c.ask_tick) if self.c.n_asks > 0 else NAN

    @property
    def mid(self):
        """Quote currency; nan without both sides."""
        return book_mid(self.c)

    @property
    def spread_bps(self):
        """Spread over mid in 1e-4, negative while crossed; nan without both sides."""
        return book_spread_bps(self.c)

    @property
    def health(self):
        """``events.Status``: OK, WARMUP, GAP, CROSSED, ONE_SIDED, STALE or FULL."""
        return self.c.health

    @property
    def last_seq(self):
        """Last update id applied, 0: none."""
        return self.c.last_seq

    @property
    def ts_venue_ns(self):
        """Venue time of the last applied message."""
        return self.c.ts_venue_ns

    @property
    def ts_local_ns(self):
        """Receive time of the last applied message; the book's age counts from it."""
        return self.c.ts_local_ns

    @property
    def counters(self):
        return BookCounters(
            self.c.n_messages, self.c.n_levels, self.c.n_gaps, self.c.n_old, self.c.n_bad,
            self.c.n_crossed,
        )

    @property
    def order_counters(self):
        """Market orders that rest, and rows that could not be true; None where none are kept."""
        cdef const CIds* t = self.c.ids
        if t == NULL:
            return None
        return OrderCounters(t.n, t.n_unknown, t.n_twice, t.n_over, t.n_bad, t.n_full)

    @property
    def n_bids(self):
        return self.c.n_bids

    @property
    def n_asks(self):
        return self.c.n_asks

    @property
    def window(self):
        """Slots of each side's window now."""
        return self.c.bids.width

    def sound(self):
        """Whether every invariant of the structure holds; walks all of the memory."""
        return (side_sound(&self.c.bids) and side_sound(&self.c.asks)
                and self.c.n_bids == self.c.bids.count and self.c.n_asks == self.c.asks.count)
