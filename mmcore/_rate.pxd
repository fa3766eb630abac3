# Request budget: a token bucket with an exact sliding-window cap.
from libc.stdint cimport int32_t, int64_t

cdef enum:
    RATE_LIMIT_MAX = 4096

cdef struct CRate:
    int64_t window_ns       # length of the window
    int64_t now_ns          # latest time seen; a clock that jumps back does not refill
    int64_t credit_ns       # tokens in the bucket, each worth window_ns / limit
    int64_t burst_ns        # size of the bucket, same unit
    int32_t limit           # calls in any window, exact
    int32_t reserve         # of these, kept for cancels
    int32_t head            # ring of the last `limit` send times, oldest at head
    int32_t count
    int64_t n_taken         # calls let through since the start
    int64_t n_held          # calls held back
    int64_t* times

cdef int32_t rate_free(CRate* r, int64_t now_ns, bint cancel) noexcept nogil    # calls possible now
cdef bint rate_take(CRate* r, int64_t now_ns, int32_t calls, bint cancel) noexcept nogil
cdef int64_t rate_wait(CRate* r, int64_t now_ns, int32_t calls, bint cancel) noexcept nogil

cdef class RateLimiter:
    cdef CRate c
