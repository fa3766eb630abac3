# Own orders in a line of market orders that are known by their ids: price, then time, no estimate.
from libc.stdint cimport int64_t

from ._resting cimport CVenue
from ._types cimport Event

# A row about a market order: before and after the book's table takes it in.
cdef void line_before(CVenue* v, const Event* e) noexcept nogil
cdef void line_after(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil
# The book was cleared; it is trusted again after a stretch in which rows were missed.
cdef void line_cleared(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil
cdef void line_resync(CVenue* v) noexcept nogil
# Fills by a touch that moved to own orders of a side, where only its move counts.
cdef void line_cross(CVenue* v, int side, int64_t ts_ns) noexcept nogil
