# The orders of a market by their ids, where a feed tells each: what holds which place in the line.
from libc.stdint cimport int32_t, int64_t, uint64_t

from ._types cimport Event

cdef enum IdsReturn:        # what became of a row
    IDS_OK = 0
    IDS_UNKNOWN = 1         # of an order that is not there: left out
    IDS_TWICE = 2           # added, and is there already: taken as a change
    IDS_OVER = 3            # more of it traded than it holds
    IDS_BAD = 4             # a side, price or quantity that cannot be: left out
    IDS_FULL = 5            # the table is full: left out

ctypedef struct MarketOrder:
    int64_t id
    int64_t tick
    int64_t qty             # units
    int64_t done            # of it, traded since a row said what it holds
    uint64_t rank           # arrival, counted over all prices; 0: this place of the table is free
    int32_t side

cdef struct CIds:
    MarketOrder* table      # open addressing, a power of two of places, half of them used at most
    int32_t shift           # 64 less the bits of an index
    int64_t mask
    int64_t n
    int64_t n_max
    uint64_t rank_last
    int64_t n_unknown       # rows that ended so, see IdsReturn
    int64_t n_twice
    int64_t n_over
    int64_t n_bad
    int64_t n_full

# For the owner of the memory: room for n_max orders, those that are there kept; False: no memory.
cdef bint ids_alloc(CIds* t, int64_t n_max) noexcept nogil
cdef void ids_free(CIds* t) noexcept nogil

cdef MarketOrder* ids_find(const CIds* t, int64_t id) noexcept nogil     # NULL: not there
cdef int ids_apply(CIds* t, const Event* e) noexcept nogil
# Orders of a side (0: all) at prices up to and including `tick` from the touch; 0: at any.
cdef void ids_clear(CIds* t, int side, int64_t tick) noexcept nogil
