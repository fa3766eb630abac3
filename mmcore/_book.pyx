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
    """See the stub for the manual."""

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
        free(self.c)
        free(self.scratch)

    def reserve(self, *, int64_t window_max=WIDTH_MAX, int64_t far_levels=65536):
        _check_sizes(self.c.width_min, window_max, far_levels)
        _sides_alloc(self, min(window_max, self.c.bids.width), window_max, far_levels)

    # -- changes

    def load(self, bids, asks, *, int64_t seq=0, int64_t ts_venue_ns=0, int64_t ts_local_ns=0):
        return _submit(self, bids, asks, FLAG_SNAPSHOT, (seq, 0, ts_venue_ns, ts_local_ns))

    def apply(self, bids=(), asks=(), *, int64_t seq=0, int64_t previous=0,
              int64_t ts_venue_ns=0, int64_t ts_local_ns=0):
        return _submit(self, bids, asks, 0, (seq, previous, ts_venue_ns, ts_local_ns))

    def bind(self, rows):
        if rows.dtype != EVENT:
            raise ValueError(f"rows of dtype {rows.dtype}: expected events.EVENT")
        self.release()
        PyObject_GetBuffer(rows, &self.view, PyBUF_SIMPLE)
        self.rows = <const Event*>self.view.buf
        self.n_rows = self.view.len // sizeof(Event)

    def release(self):
        if self.rows != NULL:
            PyBuffer_Release(&self.view)
        self.rows = NULL
        self.n_rows = 0

    def update(self, int64_t row):
        if not 0 <= row < self.n_rows or row + event_rows(&self.rows[row]) > self.n_rows:
            raise IndexError(f"row {row}: no whole message there in {self.n_rows} bound rows")
        return book_apply(self.c, &self.rows[row])

    def run(self):
        return book_run(self.c, self.rows, self.n_rows, 0, NULL, NULL)

    def signals(self, int depth=5):
        cdef double[::1] imbalance = np.empty(self.n_rows)
        cdef double[::1] microprice = np.empty(self.n_rows)
        cdef int64_t n = 0
        if self.n_rows > 0:
            n = book_run(self.c, self.rows, self.n_rows, depth, &imbalance[0], &microprice[0])
        return np.asarray(imbalance)[:n], np.asarray(microprice)[:n]

    # -- levels

    def levels(self, int side, n=None):
        cdef int64_t count = (self.c.bids.count if side == BID else self.c.asks.count)
        out = np.empty(count if n is None else min(max(n, 0), count), LEVEL)
        if len(out) > 0:
            book_top(self.c, side, <int>len(out), _levels_of(out))
        return out

    def top(self, int side, out):
        cdef Py_buffer view
        cdef int n
        PyObject_GetBuffer(out, &view, PyBUF_WRITABLE)
        n = book_top(self.c, side, <int>(view.len // sizeof(Level)), <Level*>view.buf)
        PyBuffer_Release(&view)
        return n

    def bids(self, n=None):
        return _prices(self, 1, n)

    def asks(self, n=None):
        return _prices(self, -1, n)

    def qty(self, int side, int64_t tick):
        return book_qty(self.c, side, tick)

    # -- signals

    def imbalance(self, int depth):
        return book_imbalance(self.c, depth)

    def weighted_imbalance(self, int depth):
        return book_imbalance_weighted(self.c, depth)

    def weight(self, int side, int depth):
        return book_weight(self.c, side, depth)

    def microprice(self, int depth=0):
        return book_microprice_depth(self.c, depth) if depth > 0 else book_microprice(self.c)

    def vwap(self, int side, int n):
        return book_vwap(self.c, side, n)

    def analysis(self, int depth):
        cdef CBookAnalysis a
        if not book_analysis(self.c, depth, &a):
            return None
        return BookAnalysis(
            a.bid_depth, a.ask_depth, a.weighted_bid_price, a.weighted_ask_price, a.imbalance
        )

    def touch(self, int depth=0):
        cdef CTouch t
        book_touch(self.c, depth, &t)
        return Touch(t.bid_tick, t.ask_tick, t.bid_size, t.ask_size)

    # -- state

    @property
    def best_bid(self):
        return book_price(self.c, self.c.bid_tick) if self.c.n_bids > 0 else NAN

    @property
    def best_ask(self):
        return book_price(self.c, self.c.ask_tick) if self.c.n_asks > 0 else NAN

    @property
    def mid(self):
        return book_mid(self.c)

    @property
    def spread_bps(self):
        return book_spread_bps(self.c)

    @property
    def health(self):
        return self.c.health

    @property
    def last_seq(self):
        return self.c.last_seq

    @property
    def ts_venue_ns(self):
        return self.c.ts_venue_ns

    @property
    def ts_local_ns(self):
        return self.c.ts_local_ns

    @property
    def counters(self):
        return BookCounters(
            self.c.n_messages, self.c.n_levels, self.c.n_gaps, self.c.n_old, self.c.n_bad,
            self.c.n_crossed,
        )

    @property
    def n_bids(self):
        return self.c.n_bids

    @property
    def n_asks(self):
        return self.c.n_asks

    @property
    def window(self):
        return self.c.bids.width

    def sound(self):
        return (side_sound(&self.c.bids) and side_sound(&self.c.asks)
                and self.c.n_bids == self.c.bids.count and self.c.n_asks == self.c.asks.count)
