# The pit of one synthetic instrument: its book, and the messages that the book speaks.
# Inside, a price is a step of the legal grid and a quantity a lot; rows carry ticks and units.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from ._feed cimport Delay, Feed, Stream
from ._rng cimport Rng
from ._types cimport Level

cdef enum:
    ROWS_OF_A_STEP = 8192   # more than one time step can add to a stream of prints or touches

ctypedef struct Side:
    int64_t* lots           # ring by step: what rests
    int64_t* shown          # what the published messages say
    int64_t* changed        # steps whose lots may differ from what is shown
    uint8_t* marked         # is in changed
    int32_t n_changed
    int64_t best
    int64_t best_shown      # at the last message
    int64_t relaxed_ns      # when the touch queue was last looked at

ctypedef struct Pit:
    Side sides[2]           # bids, asks
    Level* scratch          # levels of the message being written
    Delay delay
    Rng rng
    Feed* feed
    Stream* streams         # Stream[STREAMS]
    uint16_t instrument
    bint busy               # lines are congested
    int64_t tick_step       # ticks in a step of the legal grid
    int64_t lot             # units in a lot
    int64_t mask            # of the rings by step
    int64_t window          # levels farther behind the touch than this are gone
    int64_t now_ns
    int64_t update_id
    int64_t depth_id        # of the last depth message
    int64_t trade_id

# k: 0 bids, 1 asks.  rest: so many lots rest there.  behind: next occupied step, 0 for none.
# reachable: the nearest step that the rings can hold.  move: the best is there.  touch, publish,
# print: messages of the best, of every level that differs, of a trade (returns the next free row).
# room: one more time step fits the streams.
cdef int64_t pit_lots(const Pit* p, int k, int64_t step) noexcept nogil
cdef void pit_rest(Pit* p, int k, int64_t step, int64_t lots) noexcept nogil
cdef int64_t pit_behind(const Pit* p, int k) noexcept nogil
cdef int64_t pit_reachable(const Pit* p, int k, int64_t step) noexcept nogil
cdef void pit_move(Pit* p, int k, int64_t step) noexcept nogil
cdef void pit_touch(Pit* p, int64_t ts_ns) noexcept nogil
cdef void pit_publish(Pit* p, int flags) noexcept nogil
cdef int64_t pit_print(Pit* p, int64_t row, int side, int64_t step, int64_t lots, int pieces,
                       int64_t venue_ns, int64_t local_ns) noexcept nogil
cdef bint pit_room(const Pit* p) noexcept nogil
