"""Rows in, requests out, at the moment they come: the live side's twin of the loop in _sim.

Gateways deliver market data and answers as event rows; each goes to the trader whose instrument it
names, by the same compiled step as in backtest and paper.  Engine time follows the rows' receive
times and never runs backwards: a row that is late is stamped anew, in place, so that the event log
holds what the engine saw and a replay of it leads to the same requests.
"""

import numpy as np

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from ._engine cimport Ring, Trader, market_apply, trader_step
from ._risk cimport ring_room
from ._types cimport (
    EV_ACK, EV_CANCELLED, EV_DEPTH, EV_PAID, EV_TIMER, REQUESTS_MAX, Event, Request,
)

from .events import EVENT, REQUEST

cdef enum:
    RECORDS_MAX = REQUESTS_MAX + 8      # that one step of one trader may leave


cdef inline int64_t _rows(const Event* e) noexcept nogil:
    if e.kind != EV_DEPTH:
        return 1
    return 1 + ((<int64_t>e.n_bids + <int64_t>e.n_asks + 3) >> 2)


cdef inline bint _is_answer(int kind) noexcept nogil:
    return EV_ACK <= kind <= EV_CANCELLED or kind == EV_PAID


cdef int _message(CPump* c, const Event* e) noexcept nogil:
    # One message; how many requests it left, in the requests of the traders concerned.
    cdef int n = 0
    cdef int i
    if e.kind == EV_TIMER:
        for i in range(c.n_traders):
            n += trader_step(c.traders[i], e)
        return n
    if not _is_answer(e.kind):
        c.n_events += 1
        market_apply(c.markets[e.instrument], e)
    return trader_step(c.traders[e.instrument], e)


cdef inline void _reach(CPump* c, Event* e) noexcept nogil:
    if e.ts_local_ns > c.now_ns:
        c.now_ns = e.ts_local_ns
    else:
        e.ts_local_ns = c.now_ns


cdef int64_t pump_run(CPump* c, Event* rows, int64_t row, int64_t n_rows,
                      int* n_out) noexcept nogil:
    cdef Event* e
    cdef int64_t end
    n_out[0] = 0
    while row < n_rows and n_out[0] == 0:
        if ring_room(c.ring) < <int64_t>RECORDS_MAX * c.n_traders:
            break
        e = &rows[row]
        end = row + _rows(e)
        if e.instrument >= c.n_traders or end > n_rows:
            c.bad_row = row
            break
        _reach(c, e)
        n_out[0] = _message(c, e)
        row = end
    return row


cdef class Pump:
    """Feeds traders with rows as they arrive.

    traders: one an instrument, in the order of the instruments; all share one Ring.  Raises
    ValueError where they do not.
    """

    def __cinit__(self, traders):
        cdef CPump* c = &self.c
        memset(c, 0, sizeof(CPump))
        self.traders = tuple(traders)
        c.n_traders = <int>len(self.traders)
        c.bad_row = -1
        c.traders = <CTrader**>calloc(c.n_traders + 1, sizeof(CTrader*))
        c.markets = <CMarket**>calloc(c.n_traders + 1, sizeof(CMarket*))
        if not (c.traders and c.markets):
            raise MemoryError("pump")
        self.out = np.zeros(c.n_traders * REQUESTS_MAX + 1, REQUEST)
        self.room = self.out.view("u1")

    def __init__(self, traders):
        cdef CPump* c = &self.c
        cdef Trader trader
        cdef int i
        if not 1 <= c.n_traders <= 4096:
            raise ValueError(f"{c.n_traders} traders: expected 1 to 4096")
        for i, trader in enumerate(self.traders):
            if trader.market.c.spec.instrument != i:
                raise ValueError(
                    f"trader {i} trades instrument {trader.market.c.spec.instrument}: "
                    "expected one trader an instrument, in their order"
                )
            if trader.ring is not self.traders[0].ring:
                raise ValueError("all traders must share one Ring")
            c.traders[i] = trader.c
            c.markets[i] = &trader.market.c
        c.ring = &(<Ring>self.traders[0].ring).c
        if c.ring.capacity < 2 * <int64_t>RECORDS_MAX * c.n_traders:
            raise ValueError(
                f"a ring of {c.ring.capacity} records is too small for {c.n_traders} traders"
            )

    def __dealloc__(self):
        free(self.c.traders)
        free(self.c.markets)

    def feed(self, rows):
        """Apply messages until one leaves requests; those, as a view valid until the next call.

        rows: EVENT, contiguous, writable, whole messages.  ``taken`` says how many rows were used:
        give the rest again once the requests are sent.  Where none was used and no request is
        there, the ring must be drained first.  A timer row reaches every trader, and its requests
        come trader by trader.  Raises ValueError, at the message concerned, for one that is cut off
        or of an unknown instrument.
        """
        cdef unsigned char[::1] view
        cdef int n = 0
        cdef int64_t n_rows = len(rows)
        self.taken = 0
        if n_rows == 0:
            return self.out[:0]
        if rows.dtype != EVENT:
            raise ValueError(f"rows of {rows.dtype}, expected events.EVENT")
        view = rows.view("u1")
        self.taken = pump_run(&self.c, <Event*>&view[0], 0, n_rows, &n)
        if self.c.bad_row >= 0:
            bad, self.c.bad_row = self.c.bad_row, -1
            raise ValueError(
                f"row {bad}: the message is cut off, or its instrument "
                f"{rows['instrument'][bad]} is unknown"
            )
        if n:
            n = _collect(self)
        return self.out[:n]

    @property
    def now_ns(self):
        """Engine time: the latest receive time seen, ns; 0 before the first row."""
        return self.c.now_ns

    @property
    def n_events(self):
        """Market messages applied."""
        return self.c.n_events


cdef int _collect(Pump pump) noexcept:
    # The requests of every trader, one after the other: only those just stepped have any.
    cdef Request* out = <Request*>&pump.room[0]
    cdef CTrader* t
    cdef int n = 0
    cdef int i
    for i in range(pump.c.n_traders):
        t = pump.c.traders[i]
        if t.n_requests:
            memcpy(&out[n], &t.requests[0], t.n_requests * sizeof(Request))
            n += t.n_requests
            t.n_requests = 0
    return n


def restamp(rows, int64_t now_ns):
    """Stamp messages that are late anew, in place: none is before ``now_ns`` or its predecessor.

    rows: EVENT, contiguous, writable, whole messages.  Returns the receive time of the last.
    """
    cdef unsigned char[::1] view
    cdef Event* e
    cdef int64_t row = 0
    cdef int64_t n_rows = len(rows)
    if n_rows == 0:
        return now_ns
    view = rows.view("u1")
    while row < n_rows:
        e = &(<Event*>&view[0])[row]
        if e.ts_local_ns > now_ns:
            now_ns = e.ts_local_ns
        else:
            e.ts_local_ns = now_ns
        row += _rows(e)
    return now_ns
