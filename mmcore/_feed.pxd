# The wire of the synthetic market: messages wait here, in the order in which they were made, until
# their receive time has come.  One stream is first in, first out; streams overtake each other.
from libc.stdint cimport int32_t, int64_t
from ._rng cimport Rng
from ._types cimport Event

cdef enum:
    STREAMS = 3             # per instrument
    DEPTH_STREAM = 0
    TRADE_STREAM = 1
    TOUCH_STREAM = 2

ctypedef struct Delay:      # how a message gets from the matching engine to us
    int64_t grain_ns        # exchange time is floored to it
    int64_t event_ns        # sent up to so long after the exchange time
    int64_t least_ns        # the line's minimum
    double body_ns          # scale of the gamma (shape 2) body
    int64_t congested_least_ns  # added while the market is busy, from least to most
    int64_t congested_most_ns

ctypedef struct Mail:       # one message on the wire
    int64_t ts_local_ns
    int64_t order           # generation order over all instruments
    int64_t row             # first row, counted from the stream's beginning
    int64_t n_rows

ctypedef struct Stream:
    Mail* mails             # ring
    Event* rows             # ring
    int64_t mail_mask
    int64_t row_mask
    int64_t mail_head       # next to be read
    int64_t mail_tail       # next to be written
    int64_t row_head
    int64_t row_tail
    int64_t ts_venue_ns     # of the newest message; neither goes back
    int64_t ts_local_ns

ctypedef struct Feed:
    Stream* streams         # Stream[n_streams]
    int32_t n_streams
    int64_t order           # messages made so far
    int64_t floor_ns        # receive time of the newest message handed out

cdef int64_t feed_stamp(Stream* s, const Feed* f, const Delay* d, Rng* r, int64_t ts_ns,
                        bint congested, int64_t* venue_ns) noexcept nogil   # receive time
cdef Event* feed_row(Stream* s, int64_t k) noexcept nogil   # k-th of the message written
cdef void feed_send(Feed* f, Stream* s, int64_t n_rows, int64_t ts_local_ns) noexcept nogil
cdef int64_t feed_room(const Stream* s) noexcept nogil          # rows that may still be written
# the stream of the earliest message due by then, or NULL; rows copied, 0 where they do not fit
cdef Stream* feed_next(Feed* f, int64_t until_ns) noexcept nogil
cdef int64_t feed_take(Feed* f, Stream* s, Event* out, int64_t room) noexcept nogil
