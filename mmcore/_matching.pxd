# The matching of a simulated venue: what the market and requests do to what rests.
from libc.stdint cimport int64_t

from ._resting cimport CVenue
from ._types cimport Event, Request

# The market: before and after the shared book applies the same event; or all three in one.
cdef void venue_before(CVenue* v, const Event* e) noexcept nogil
cdef void venue_after(CVenue* v, const Event* e, int applied, int64_t ts_ns) noexcept nogil
cdef void venue_market(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil
# A request that arrives at ts_ns.
cdef void venue_request(CVenue* v, const Request* r, int64_t ts_ns) noexcept nogil
