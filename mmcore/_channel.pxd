# Latency between us and a simulated venue, and the two FIFO channels it delays.
from libc.stdint cimport int32_t, int64_t, uint64_t

from ._types cimport Event, Request

cdef enum LatencyKind:
    LATENCY_CONSTANT = 0
    LATENCY_TABLE = 1       # interpolated between measured round trips
    LATENCY_JITTER = 2      # constant plus a seeded, heavy-tailed addition

ctypedef struct CLatency:
    int32_t kind            # LatencyKind
    int32_t n_rows          # rows of the table
    int32_t entry_row       # where the last look-up over sent_ns ended
    int32_t response_row    # where the last look-up over venue_ns ended
    int64_t entry_ns        # constant part, us to the venue
    int64_t response_ns     # constant part, the venue to us
    int64_t cancel_extra_ns  # added to the entry latency of cancels
    int64_t jitter_ns       # mean of the addition
    uint64_t seed
    int64_t* sent_ns        # table columns, int64[n_rows]: request leaves us,
    int64_t* venue_ns       # arrives at the venue,
    int64_t* answered_ns    # answer reaches us

cdef int64_t latency_entry(CLatency* c, int64_t ts_ns, bint cancel) noexcept nogil
cdef int64_t latency_response(CLatency* c, int64_t ts_ns) noexcept nogil

ctypedef struct SentRequest:
    int64_t due_ns          # arrival at the venue
    Request request

# Requests on their way to the venue.  A message never overtakes the one ahead of it.
ctypedef struct EntryChannel:
    SentRequest* ring
    int64_t mask            # capacity - 1, capacity a power of two
    int64_t head            # next to arrive
    int64_t tail            # next free

# Answers on their way to us; an event's ts_local_ns is its delivery.
ctypedef struct ResponseChannel:
    Event* ring
    int64_t mask
    int64_t head
    int64_t tail

cdef bint entry_push(EntryChannel* c, const Request* r, int64_t due_ns) noexcept nogil
cdef bint response_push(ResponseChannel* c, const Event* e, int64_t due_ns) noexcept nogil
cdef int64_t entry_due(const EntryChannel* c) noexcept nogil        # INT64_MAX: nothing under way
cdef int64_t response_due(const ResponseChannel* c) noexcept nogil

cdef class Latency:
    cdef CLatency c

cdef class Channels:
    cdef EntryChannel entry
    cdef ResponseChannel response
