# Rows in, requests out, at the moment they come: the live side's twin of the loop in _sim.
from libc.stdint cimport int64_t

from ._trader cimport CMarket, CRing, CTrader
from ._types cimport Event

cdef struct CPump:
    CTrader** traders       # by instrument
    CMarket** markets
    CRing* ring
    int n_traders
    int64_t now_ns          # engine time: never runs backwards
    int64_t n_events        # market messages
    int64_t bad_row         # cut off, or of an unknown instrument; -1: none

# Applies messages from `row` on until one leaves requests, records must be fetched, or all are
# used; returns the row behind the last one applied.
cdef int64_t pump_run(CPump* c, Event* rows, int64_t row, int64_t n_rows, int* n_out) noexcept nogil

cdef class Pump:
    cdef CPump c
    cdef readonly tuple traders
    cdef readonly int64_t taken
    cdef object out
    cdef unsigned char[::1] room
