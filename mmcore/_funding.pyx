"""Funding of one market, as its feed tells it: rate, stamp and mark price.

The rate that stands when the stamp comes is the one that is paid, on the position held then, at the
mark price that stands then.  A feed that never says when (Hyperliquid) pays at whole hours; one
that leaves the stamp out of some messages (changes only) means the one it said before.
"""

from libc.math cimport round
from libc.stdint cimport INT64_MAX, int64_t

from ._depth cimport CBook
from ._spec cimport funding_quanta
from ._types cimport EV_FUNDING, EV_MARK, SPOT, ST_OK, Event, Spec

cdef int64_t HOUR_NS = 3_600_000_000_000
cdef int64_t RATE_ONE = 1_000_000_000_000


cdef void funding_start(CFunding* f) noexcept nogil:
    f.due_ns = INT64_MAX
    f.paid_ns = 0
    f.rate = 0
    f.mark = 0
    f.said = False


cdef void funding_see(CFunding* f, const Spec* s, const Event* e, int64_t ts_ns) noexcept nogil:
    cdef int64_t stamp_ns = e.seq
    if s.kind == SPOT:
        return
    if e.kind == EV_MARK:
        f.mark = e.aux if e.aux else <int64_t>round(<double>e.tick * s.tick_size * 1e8)
        return
    if e.kind != EV_FUNDING or not -RATE_ONE < e.aux < RATE_ONE:
        return
    f.rate = e.aux
    if stamp_ns:
        f.said = True
    elif not f.said:
        stamp_ns = (ts_ns // HOUR_NS + 1) * HOUR_NS
    # One that is over, told again by a message that comes late, is not paid twice.
    if stamp_ns > ts_ns and stamp_ns > f.paid_ns:
        f.due_ns = stamp_ns


cdef int64_t funding_of(const CFunding* f, const Spec* s, const CBook* book,
                        int64_t position) noexcept nogil:
    cdef int64_t mark = f.mark
    if mark == 0 and book.health == ST_OK:
        mark = <int64_t>round(<double>(book.bid_tick + book.ask_tick) * s.tick_size * 0.5e8)
    return funding_quanta(s, mark, position, f.rate)


cdef void funding_passed(CFunding* f) noexcept nogil:
    f.paid_ns = f.due_ns
    f.due_ns = INT64_MAX
