"""Latency between us and a simulated venue, and the two first-in first-out channels it delays."""

import numpy as np

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from ._types cimport Event, Request

cdef inline uint64_t _mix(uint64_t x) noexcept nogil:
    # SplitMix64 finaliser: every bit of the input moves every bit of the output.
    x += <uint64_t>0x9E3779B97F4A7C15
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef int64_t _jitter(const CLatency* c, int64_t ts_ns, uint64_t stream) noexcept nogil:
    # An exponential-like draw from the bits of one hash of (seed, direction, time): as many whole
    # steps as leading zero bits, plus a uniform part of a step; its mean is 1.5 steps.  Integers
    # only, so it is the same on every machine; a function of the time, so two variants of a
    # strategy that send at the same instant get the same latency.
    cdef uint64_t h = _mix(c.seed ^ _mix(<uint64_t>ts_ns ^ (stream << 63)))
    cdef int64_t whole = 0
    cdef int64_t part = <int64_t>(h & 0xFFFF)
    while whole < 40 and not (h >> 63):
        whole += 1
        h <<= 1
    return (c.jitter_ns * 2 * ((whole << 16) + part) // 3) >> 16


cdef int64_t _interpolate(const int64_t* at, const int64_t* start, const int64_t* end, int n,
                          int32_t* row, int64_t ts_ns) noexcept nogil:
    # end - start at ts_ns, linear between the rows of `at`, flat outside; double arithmetic and
    # truncation towards zero before the first row's value is added, as the parity rules say.
    # Times only move forward, so the row of the last look-up is where this one starts.
    cdef int32_t i = row[0]
    cdef int64_t y, step
    if ts_ns < at[0]:
        return end[0] - start[0]
    while i + 1 < n and at[i + 1] <= ts_ns:
        i += 1
    row[0] = i
    y = end[i] - start[i]
    if i + 1 == n:
        return y
    step = (end[i + 1] - start[i + 1]) - y
    return <int64_t>(<double>step / <double>(at[i + 1] - at[i]) * <double>(ts_ns - at[i])) + y


cdef int64_t latency_entry(CLatency* c, int64_t ts_ns, bint cancel) noexcept nogil:
    cdef int64_t delay = c.entry_ns
    if c.kind == LATENCY_TABLE:
        delay = _interpolate(c.sent_ns, c.sent_ns, c.venue_ns, c.n_rows, &c.entry_row, ts_ns)
    elif c.kind == LATENCY_JITTER:
        delay += _jitter(c, ts_ns, 0)
    if cancel:
        delay += c.cancel_extra_ns
    return delay if delay > 0 else 0


cdef int64_t latency_response(CLatency* c, int64_t ts_ns) noexcept nogil:
    if c.kind == LATENCY_TABLE:
        return _interpolate(c.venue_ns, c.venue_ns, c.answered_ns, c.n_rows, &c.response_row, ts_ns)
    if c.kind == LATENCY_JITTER:
        return c.response_ns + _jitter(c, ts_ns, 1)
    return c.response_ns


cdef bint entry_push(EntryChannel* c, const Request* r, int64_t due_ns) noexcept nogil:
    # False: the channel is full and the request was not taken.
    cdef SentRequest* last
    cdef SentRequest* own
    if c.tail - c.head > c.mask:
        return False
    if c.tail > c.head:
        last = &c.ring[(c.tail - 1) & c.mask]
        if last.due_ns > due_ns:
            due_ns = last.due_ns
    own = &c.ring[c.tail & c.mask]
    own.due_ns = due_ns
    own.request = r[0]
    c.tail += 1
    return True


cdef bint response_push(ResponseChannel* c, const Event* e, int64_t due_ns) noexcept nogil:
    # False: the channel is full and the answer was not taken.
    cdef Event* own
    if c.tail - c.head > c.mask:
        return False
    if c.tail > c.head and c.ring[(c.tail - 1) & c.mask].ts_local_ns > due_ns:
        due_ns = c.ring[(c.tail - 1) & c.mask].ts_local_ns
    own = &c.ring[c.tail & c.mask]
    own[0] = e[0]
    own.ts_local_ns = due_ns
    c.tail += 1
    return True


cdef int64_t entry_due(const EntryChannel* c) noexcept nogil:
    return c.ring[c.head & c.mask].due_ns if c.tail > c.head else INT64_MAX


cdef int64_t response_due(const ResponseChannel* c) noexcept nogil:
    return c.ring[c.head & c.mask].ts_local_ns if c.tail > c.head else INT64_MAX


cdef class Channels:
    """The two channels between one account and its venue; ``capacity`` messages each way.

    capacity: rounded up to a power of two.
    """

    def __cinit__(self, int64_t capacity=4096):
        cdef int64_t size = 2
        memset(&self.entry, 0, sizeof(EntryChannel))
        memset(&self.response, 0, sizeof(ResponseChannel))
        while size < capacity:
            size *= 2
        self.entry.mask = size - 1
        self.response.mask = size - 1
        self.entry.ring = <SentRequest*>malloc(size * sizeof(SentRequest))
        self.response.ring = <Event*>malloc(size * sizeof(Event))
        if self.entry.ring == NULL or self.response.ring == NULL:
            raise MemoryError

    def __init__(self, int64_t capacity=4096):
        pass

    def __dealloc__(self):
        free(self.entry.ring)
        free(self.response.ring)


cdef class Latency:
    """How long requests and answers travel.

    entry_ns, response_ns: constant parts, ns.  jitter_ns: mean of a seeded addition to both, 0 for
    none.  cancel_extra_ns: added to the entry latency of cancels.  table: int64[n, 3], rows of
    (sent, at the venue, answered) in ns, in order of time; the latencies between rows are
    interpolated and the constant parts are not used.  ValueError for negative latencies and for a
    table that is empty, out of order, or whose answers precede their requests.
    """

    def __cinit__(self, int64_t entry_ns=0, int64_t response_ns=0, *, int64_t jitter_ns=0,
                  uint64_t seed=0, int64_t cancel_extra_ns=0, table=None):
        cdef int64_t[:, ::1] view
        cdef int64_t* block
        cdef Py_ssize_t i, n
        memset(&self.c, 0, sizeof(CLatency))
        if entry_ns < 0 or response_ns < 0 or jitter_ns < 0:
            raise ValueError(f"latencies {entry_ns}, {response_ns}, {jitter_ns} ns: below 0")
        self.c.kind = LATENCY_JITTER if jitter_ns else LATENCY_CONSTANT
        self.c.entry_ns = entry_ns
        self.c.response_ns = response_ns
        self.c.jitter_ns = jitter_ns
        self.c.seed = seed
        self.c.cancel_extra_ns = cancel_extra_ns
        if table is None:
            return
        rows = np.ascontiguousarray(table, dtype=np.int64)
        _check_table(rows)
        view = rows
        n = rows.shape[0]
        block = <int64_t*>malloc(3 * n * sizeof(int64_t))
        if block == NULL:
            raise MemoryError
        self.c.kind = LATENCY_TABLE
        self.c.n_rows = <int>n
        self.c.sent_ns = block
        self.c.venue_ns = block + n
        self.c.answered_ns = block + 2 * n
        for i in range(n):
            self.c.sent_ns[i] = view[i, 0]
            self.c.venue_ns[i] = view[i, 1]
            self.c.answered_ns[i] = view[i, 2]

    def __init__(self, int64_t entry_ns=0, int64_t response_ns=0, *, int64_t jitter_ns=0,
                 uint64_t seed=0, int64_t cancel_extra_ns=0, table=None):
        pass

    def __dealloc__(self):
        free(self.c.sent_ns)

    def entry(self, int64_t ts_ns, bint cancel=False):
        """Latency of a request (or a cancel) that leaves at ``ts_ns``, ns."""
        self.c.entry_row = 0
        return latency_entry(&self.c, ts_ns, cancel)

    def response(self, int64_t ts_ns):
        """Latency of an answer that the venue creates at ``ts_ns``, ns."""
        self.c.response_row = 0
        return latency_response(&self.c, ts_ns)

    def copy(self):
        """A latency of its own with the same figures, for another account."""
        if self.c.kind != LATENCY_TABLE:
            return Latency(
                self.c.entry_ns, self.c.response_ns, jitter_ns=self.c.jitter_ns, seed=self.c.seed,
                cancel_extra_ns=self.c.cancel_extra_ns,
            )
        table = np.empty((self.c.n_rows, 3), dtype=np.int64)
        for i in range(self.c.n_rows):
            table[i] = self.c.sent_ns[i], self.c.venue_ns[i], self.c.answered_ns[i]
        return Latency(cancel_extra_ns=self.c.cancel_extra_ns, table=table)


def _check_table(rows):
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows):
        raise ValueError(f"latency table of shape {rows.shape}: expected rows of 3 times")
    if (np.diff(rows[:, 0]) < 0).any() or (np.diff(rows[:, 1]) < 0).any():
        raise ValueError("latency table: sending and venue times must not run backwards")
    early = np.flatnonzero((rows[:, 1] < rows[:, 0]) | (rows[:, 2] < rows[:, 1]))
    if len(early):
        raise ValueError(f"latency table row {early[0]}: {rows[early[0]].tolist()} runs backwards")
