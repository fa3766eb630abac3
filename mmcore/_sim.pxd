# The loop: events from a source, compiled traders, simulated venues, in one order of time.
from libc.stdint cimport int32_t, int64_t
from ._channel cimport CLatency, EntryChannel, ResponseChannel
from ._matching cimport CVenue
from ._trader cimport CMarket, CRing, CTrader
from ._types cimport Event

# One trader and the venue account it trades at.
cdef struct CSeat:
    CTrader* trader
    CVenue* venue
    CLatency* latency
    EntryChannel* entry
    ResponseChannel* response

cdef struct CLoop:
    const Event* rows       # the block under way
    int64_t n_rows
    int64_t local_row       # next row for us, and its time; INT64_MAX behind the last
    int64_t local_ns
    int64_t venue_row       # next row for the venues
    int64_t venue_ns
    int32_t two_clocks
    int32_t n_markets
    int32_t n_seats
    int32_t overflow        # 1: a channel ran full
    int64_t timer_step_ns   # 0: no timer events
    int64_t timer_ns        # next one; INT64_MAX before the first event
    int64_t now_ns          # latest time processed
    int64_t entry_ns        # earliest arrival of any request at its venue
    int64_t response_ns     # earliest delivery of any answer
    int64_t n_events        # market rows given to the traders
    int64_t n_requests
    int64_t n_answers
    int64_t room_min        # records that must fit before a step
    CRing* ring
    CMarket** markets
    CSeat* seats            # by market, in the order of construction
    int32_t* first          # first[i] .. first[i + 1]: seats of market i

cdef int64_t loop_run(CLoop* c, int64_t events, int64_t until_ns) noexcept nogil

cdef class SimLoop:
    cdef CLoop c
    cdef readonly tuple traders
    cdef readonly tuple venues
    cdef tuple latencies
    cdef tuple channels
    cdef object block
