# The loop: events from a source, compiled traders, simulated venues, in one order of time.
from libc.stdint cimport int32_t, int64_t

from ._channel cimport CLatency, EntryChannel, ResponseChannel
from ._funding cimport CFunding
from ._resting cimport CVenue
from ._trader cimport CMarket, CRing, CTrader
from ._types cimport Event

# One trader and the venue account it trades at.
cdef struct CSeat:
    CTrader* trader
    CMarket* market
    CVenue* venue
    CLatency* latency
    EntryChannel* entry
    ResponseChannel* response

cdef struct CLoop:
    const Event* rows       # the block under way; two clocks: the buffer
    int64_t n_rows
    int64_t local_row       # next row for us
    int64_t venue_row       # two clocks: next row for the venues
    int64_t bad_row         # cut off, or of an unknown instrument; -1: none
    bint two_clocks
    bint last               # no further block will come
    bint overflow           # a channel is full
    int32_t n_markets
    int32_t n_seats
    int64_t now_ns          # engine time
    # earliest arrival of any request at its venue, or funding stamp there; INT64_MAX: none
    int64_t entry_ns
    int64_t funding_ns      # earliest funding stamp of any market
    int64_t response_ns     # earliest delivery of any answer
    int64_t timer_step_ns   # 0: no timer events
    int64_t timer_ns        # the next one; INT64_MAX before the first row
    int64_t n_events        # market messages given to the traders
    int64_t n_requests
    int64_t n_answers
    int64_t room_min        # records that one event may leave
    CRing* ring
    CMarket** markets       # by instrument; several where signals differ
    CSeat* seats            # by instrument; those that share a venue's book are neighbours
    int32_t* first          # first[i] .. first[i + 1]: seats of instrument i
    int32_t* first_market   # and its markets
    CFunding* funding       # by instrument

cdef void loop_run(CLoop* c, int64_t events, int64_t until_ns) noexcept nogil

cdef class SimLoop:
    cdef CLoop c
    cdef readonly tuple traders
    cdef readonly tuple venues
    cdef readonly tuple latencies
    cdef tuple channels
    cdef object block       # the last one fed
    cdef bint taken         # two clocks: the block is in the buffer
    cdef object buffer      # two clocks: rows that one side has not passed yet
    cdef int64_t n_buffer
