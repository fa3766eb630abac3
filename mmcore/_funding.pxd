# When a market's next funding falls due, and what a position then receives.
from libc.stdint cimport int64_t

from ._depth cimport CBook
from ._types cimport Event, Spec

cdef struct CFunding:
    int64_t due_ns          # the next stamp; INT64_MAX: none known
    int64_t paid_ns         # the last one that passed
    int64_t rate            # 1e-12
    int64_t mark            # mark price, 1e-8; 0: not said yet
    bint said               # the feed says when: its stamps count, not whole hours

cdef void funding_start(CFunding* f) noexcept nogil
# A row of the market at ts_ns: MARK and FUNDING count, others change nothing.
cdef void funding_see(CFunding* f, const Spec* s, const Event* e, int64_t ts_ns) noexcept nogil
# Quanta that a position receives now; the mid of the book stands in for a mark price never said.
cdef int64_t funding_of(const CFunding* f, const Spec* s, const CBook* book,
                        int64_t position) noexcept nogil
cdef void funding_passed(CFunding* f) noexcept nogil
