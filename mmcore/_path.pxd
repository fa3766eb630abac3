# What a market's touch was after each message, and what was traded.
from libc.stdint cimport int64_t

from ._depth cimport CBook
from ._types cimport Event

# One state of the touch; both ticks 0 while the book cannot be used.
cdef struct CPathRow:
    int64_t ts_venue_ns
    int64_t ts_local_ns
    int64_t bid_tick
    int64_t ask_tick
    int64_t bid_qty         # units
    int64_t ask_qty
    double imbalance        # [-1, 1]

cdef struct CPrint:
    int64_t ts_venue_ns
    int64_t ts_local_ns
    int64_t tick
    int64_t qty             # units
    int64_t side            # the aggressor's

# Where a run over rows stands: the next row, how many touches and prints it has left, and the last
# touch.
cdef struct CPathRun:
    int64_t row
    int64_t n_touches
    int64_t n_prints
    CPathRow last

# Applies messages of one instrument that carry `flag` (0: any) to the book, and leaves the touch
# wherever it changed and every print, until the rows end or one of the two has no room left.
cdef void path_run(CBook* c, const Event* rows, int64_t n_rows, int instrument, int flag, int depth,
                   CPathRow* touches, CPrint* prints, int64_t room, CPathRun* run) noexcept nogil
