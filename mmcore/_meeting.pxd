# Orders of several accounts at one simulated venue: how they meet, and the book they are part of.
from libc.stdint cimport int64_t

from ._resting cimport CVenue, VenueOrder
from ._types cimport Level

# The best tick of a side, the market's and resting orders' alike.
cdef int64_t meet_touch(CVenue* v, int side) noexcept nogil
# A marketable order meets the market and resting orders; True when nothing of it may rest.
cdef bint meet_take(CVenue* v, VenueOrder* o, int64_t ts_ns) noexcept nogil
# The public book: units at a price; the first n levels, best first, and how many there are.
cdef int64_t shown_qty(const CVenue* v, int side, int64_t tick) noexcept nogil
cdef int shown_top(CVenue* v, int side, int n, Level* out) noexcept nogil
