# One side of an order book.  Around the touch a window with one slot per tick and an occupancy
# bitmap of three stages, behind it the far levels, contiguous and sorted, best last.  A key (tick
# for bids, -tick for asks) grows towards the touch, so that one code path serves both sides.
# At rest the window holds the best level; it is empty only when the side is.
from libc.stdint cimport int64_t, uint64_t

from ._types cimport Level

cdef enum:
    WIDTH_MIN = 64          # slots of the smallest and of the largest window, powers of two
    WIDTH_MAX = 262144

cdef struct FarLevel:
    int64_t key
    int64_t qty             # units, > 0

cdef struct BookSide:
    int64_t sign            # key = sign * tick
    int64_t base            # key of slot 0
    int64_t width           # slots in use, a power of two
    int64_t best            # slot of the best level, -1: the window is empty
    int64_t count           # levels, window and far
    int64_t n_far
    int64_t width_max       # slots allocated
    int64_t far_max         # far levels allocated
    int64_t n_changes       # since the window was last fitted
    int64_t n_misses        # of them below it
    uint64_t root           # one bit per sum
    uint64_t* sums          # one bit per word
    uint64_t* words         # one bit per slot
    int64_t* slots          # units per slot, 0: no level
    FarLevel* far           # keys below base, ascending

# Memory: 0 when there is none, with nothing left allocated.  The side is empty afterwards.
cdef bint side_alloc(BookSide* s, int64_t sign, int64_t width, int64_t width_max,
                     int64_t far_max) noexcept nogil
cdef void side_free(BookSide* s) noexcept nogil

# Sets n levels in their order; 0 deletes, and deleting an unknown level is nothing.  The result is
# 0 when the far array has no room: the rest is not applied.
cdef bint side_run(BookSide* s, const Level* levels, int64_t n) noexcept nogil
# Sets one level; otherwise the same.
cdef bint side_set(BookSide* s, int64_t tick, int64_t qty) noexcept nogil
# Replaces the side with n levels in a window of `width` slots; result as above.
cdef bint side_load(BookSide* s, const Level* levels, int64_t n, int64_t width) noexcept nogil
# Removes the levels from the touch down to a tick, inclusive; tick <= 0: all.
cdef void side_clear(BookSide* s, int64_t tick) noexcept nogil
# Ticks behind the touch within which nine tenths of n levels lie (all of them if out of order).
cdef int64_t side_span(const BookSide* s, const Level* levels, int64_t n) noexcept nogil

cdef int64_t side_qty(const BookSide* s, int64_t tick) noexcept nogil       # units, 0: no level
cdef int side_top(const BookSide* s, int n, Level* out) noexcept nogil      # best first; count
cdef double side_units(const BookSide* s, int n) noexcept nogil            # sum over n levels
cdef double side_weighted_units(const BookSide* s, int n) noexcept nogil   # of e^(-i/2) * qty
cdef double side_tick_units(const BookSide* s, int n) noexcept nogil       # of tick * qty
cdef bint side_sound(const BookSide* s) noexcept nogil      # every invariant of the structure holds

cdef extern from *:
    int side_zeros "__builtin_clzll"(unsigned long long) noexcept nogil


cdef inline bint side_put(BookSide* s, int64_t tick, int64_t qty) noexcept nogil:
    # side_set, compiled into the loops that live on it, where all stays within one word of the
    # window: 0, nothing done, where it does not.  What a change is, a new level, another size or a
    # deletion, and whether it is the touch's, cannot be predicted: no branch asks for it.
    cdef int64_t slot = s.sign * tick - s.base
    cdef int64_t word = slot >> 6
    cdef int64_t best = s.best
    cdef int64_t highest
    cdef uint64_t bit = <uint64_t>1 << (slot & 63)
    cdef uint64_t before, after
    if <uint64_t>slot >= <uint64_t>s.width:
        return False
    before = s.words[word]
    after = before | bit if qty else before & ~bit
    if before == 0 or after == 0:
        return False
    highest = (word << 6) + 63 - side_zeros(after)
    best = highest if slot >= best else best
    if best < s.width >> 2:
        return False
    s.best = best
    s.words[word] = after
    s.slots[slot] = qty
    s.count += <int64_t>(after > before) - <int64_t>(after < before)
    s.n_changes += 1
    return True
