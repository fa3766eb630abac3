# What may go out: limits, the rate, the order of requests; and the record of it.
from libc.stdint cimport int64_t
from ._trader cimport CRing, CTrader
from ._types cimport Event, Record, Spec

cdef int64_t ring_room(const CRing* r) noexcept nogil           # records that still fit
cdef Record* trader_record(CTrader* t, int kind) noexcept nogil  # NULL (and counted): ring full
cdef double worth(const Spec* s, int64_t qty, double price) noexcept nogil  # quote value
cdef int64_t trader_room(const CTrader* t, int side) noexcept nogil  # units tradable from here
cdef void trader_pull(CTrader* t, int reason) noexcept nogil    # cancel every live order
cdef int64_t trader_to_close(const CTrader* t) noexcept nogil  # units of the next closing order
cdef void trader_flatten(CTrader* t) noexcept nogil             # take the position off
cdef void trader_send(CTrader* t) noexcept nogil                # wanted against live -> requests
cdef void trader_share(CTrader* t) noexcept nogil               # worst case into the account
