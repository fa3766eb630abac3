"""Request budget: a token bucket that smooths, under a sliding window that never gives way.

A bucket alone lets up to burst + limit calls into one window, and a fixed window lets twice the
limit across its edge.  Venues count in windows of their own phase, so the ring of send times is the
promise (never more than ``limit`` calls in any window) and the bucket only spreads them.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free


cdef void _advance(CRate* r, int64_t now_ns) noexcept nogil:
    cdef int64_t passed = now_ns - r.now_ns
    if passed > 0:
        # Compared before adding: a pause of years must not overflow.
        if passed >= r.burst_ns - r.credit_ns:
            r.credit_ns = r.burst_ns
        else:
            r.credit_ns += passed
        r.now_ns = now_ns
    while r.count > 0 and r.times[r.head] <= r.now_ns - r.window_ns:
        r.head = r.head + 1 if r.head + 1 < r.limit else 0
        r.count -= 1


cdef int32_t rate_free(CRate* r, int64_t now_ns, bint cancel) noexcept nogil:
    # A cancel may use the whole window at once: smoothing never delays what reduces risk.
    cdef int64_t tokens
    cdef int32_t room
    _advance(r, now_ns)
    room = r.limit - r.count
    if cancel:
        return room
    room -= r.reserve
    tokens = r.credit_ns * r.limit / r.window_ns
    if tokens < room:
        room = <int32_t>tokens
    return room if room > 0 else 0


cdef bint rate_take(CRate* r, int64_t now_ns, int32_t calls, bint cancel) noexcept nogil:
    cdef int32_t _i, at
    if calls > rate_free(r, now_ns, cancel):
        r.n_held += calls
        return False
    for _i in range(calls):
        at = r.head + r.count
        r.times[at if at < r.limit else at - r.limit] = r.now_ns
        r.count += 1
    # Rounded down, so that a full bucket gives all its calls; the window keeps the promise.
    r.credit_ns -= calls * r.window_ns / r.limit
    if r.credit_ns < 0:     # cancels may overdraw the bucket; the window still holds
        r.credit_ns = 0
    r.n_taken += calls
    return True


cdef int64_t rate_wait(CRate* r, int64_t now_ns, int32_t calls, bint cancel) noexcept nogil:
    # Time until `calls` calls would be let through; -1 when they never will.
    cdef int32_t room, need, at
    cdef int64_t by_window = 0
    cdef int64_t by_bucket = 0
    if calls <= rate_free(r, now_ns, cancel):
        return 0
    room = r.limit if cancel else r.limit - r.reserve
    if calls > room:
        return -1
    need = r.count + calls - room
    if need > 0:            # wait until the `need` oldest sends leave the window
        at = r.head + need - 1
        by_window = r.times[at if at < r.limit else at - r.limit] + r.window_ns - r.now_ns
    if not cancel:
        by_bucket = (calls * r.window_ns + r.limit - 1) / r.limit - r.credit_ns
        if calls * r.window_ns > r.burst_ns * r.limit:
            return -1
    if by_bucket > by_window:
        return by_bucket
    return by_window


cdef class RateLimiter:
    """Never more than ``limit`` calls in any ``window_ns``, smoothed by a token bucket.

    limit: calls per window, 1 to 4096.  burst: calls the full bucket allows at once (default:
    limit).  reserve: calls of each window that only cancels may use.  Times are nanoseconds on one
    clock of the caller's choice, passed in; a time before the latest seen counts as the latest.
    """

    def __cinit__(self, int limit, int64_t window_ns=1_000_000_000, *, int burst=0, int reserve=0):
        if not 1 <= limit <= RATE_LIMIT_MAX:
            raise ValueError(f"limit {limit}: expected 1 to {RATE_LIMIT_MAX} calls")
        if not limit <= window_ns <= 86_400_000_000_000:
            raise ValueError(f"window_ns {window_ns}: expected up to one day, 1 ns a call at least")
        if not 0 <= burst <= limit:
            raise ValueError(f"burst {burst}: expected 1 to the limit of {limit}, 0 for the limit")
        if not 0 <= reserve < limit:
            raise ValueError(f"reserve {reserve}: expected 0 to below the limit of {limit}")
        self.c.times = <int64_t*>calloc(limit, sizeof(int64_t))
        if self.c.times == NULL:
            raise MemoryError("rate limiter")
        self.c.limit = limit
        self.c.reserve = reserve
        self.c.window_ns = window_ns
        self.c.burst_ns = ((burst if burst else limit) * window_ns + limit - 1) / limit
        self.c.credit_ns = self.c.burst_ns

    def __init__(self, int limit, int64_t window_ns=1_000_000_000, *, int burst=0, int reserve=0):
        pass

    def __dealloc__(self):
        free(self.c.times)

    def take(self, int64_t now_ns, int calls=1, *, bint cancel=False):
        """Take ``calls`` calls at ``now_ns``; False, and nothing taken, when they do not fit."""
        return rate_take(&self.c, now_ns, calls, cancel)

    def free(self, int64_t now_ns, *, bint cancel=False):
        """Calls that would be let through at ``now_ns``."""
        return rate_free(&self.c, now_ns, cancel)

    def wait_ns(self, int64_t now_ns, int calls=1, *, bint cancel=False):
        """Nanoseconds until ``calls`` calls fit; -1 when they never will."""
        return rate_wait(&self.c, now_ns, calls, cancel)

    def correct(self, int64_t now_ns, int used):
        """The venue reports ``used`` calls in its window: count at least as many from now on."""
        cdef int32_t at
        _advance(&self.c, now_ns)
        while self.c.count < used and self.c.count < self.c.limit:
            at = self.c.head + self.c.count
            self.c.times[at if at < self.c.limit else at - self.c.limit] = self.c.now_ns
            self.c.count += 1

    @property
    def limit(self):
        """Calls per window."""
        return self.c.limit

    @property
    def n_taken(self):
        """Calls let through since the start."""
        return self.c.n_taken

    @property
    def n_held(self):
        """Calls held back since the start."""
        return self.c.n_held
