# A strategy of one's own against a tape and a simulated venue: its clock, orders and accounts.
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t

from ._channel cimport CLatency, EntryChannel, ResponseChannel
from ._depth cimport CBook, Cursor
from ._resting cimport CVenue
from ._types cimport Event

cdef enum LocalStatus:      # of an order, as we know it; also what is pending
    LOCAL_NONE = 0
    LOCAL_NEW = 1
    LOCAL_EXPIRED = 2
    LOCAL_FILLED = 3
    LOCAL_CANCELED = 4
    LOCAL_PARTIALLY_FILLED = 5
    LOCAL_REJECTED = 6
    LOCAL_REPLACED = 7

cdef enum OutcomeCode:      # of a call
    OUTCOME_OK = 0          # the time was reached; the request was sent
    OUTCOME_END = 1         # no event of any kind is left
    OUTCOME_FEED = 2        # a local data row came first
    OUTCOME_RESPONSE = 3    # an answer to a request came first
    OUTCOME_ID_EXISTS = 10
    OUTCOME_PENDING = 11    # a request for this order is under way
    OUTCOME_NOT_FOUND = 12
    OUTCOME_BAD_REQUEST = 13
    OUTCOME_BAD_STATUS = 14  # the order is finished, or not acknowledged yet
    OUTCOME_FULL = 15       # a fixed capacity ran out
    OUTCOME_UNSORTED = 16   # the tape runs backwards in one of its clocks

ctypedef struct LocalOrder:
    int64_t id
    int64_t tick            # as last requested or answered
    int64_t placed          # units, as first asked for
    int64_t qty             # units, as last asked for
    int64_t left            # units, by the answers received
    int64_t filled          # units
    int64_t exec_tick       # of the last fill
    int64_t exec_qty
    int64_t ts_venue_ns     # of the last answer
    int64_t ts_request_ns  # of the last request
    uint32_t generation
    int8_t side
    uint8_t tif
    uint8_t status          # LocalStatus
    uint8_t pending         # LocalStatus asked for; LOCAL_NONE when nothing is under way
    uint8_t maker           # of the last fill
    uint8_t used

ctypedef struct LocalFill:
    int64_t exch_ts
    int64_t seen_ts
    int64_t order_id
    int64_t side
    int64_t tick
    int64_t qty             # units
    int64_t maker
    int64_t fee             # quanta

cdef struct CReplay:
    const Event* rows
    int64_t n_rows
    bint two_clocks
    Cursor local
    Cursor market           # the venue's
    int64_t now_ns
    bint overflow           # a channel or the fill list is full
    CBook* book             # ours
    CVenue* venue
    CLatency* latency
    EntryChannel* entry
    ResponseChannel* response
    int32_t n_slots
    int32_t n_orders        # slots in use
    LocalOrder* orders
    int32_t* ids            # open-addressing table: order id -> slot + 1
    int64_t ids_mask
    uint16_t* free_slots    # stack
    int64_t n_fills
    int64_t fills_max
    LocalFill* fills
    int64_t position        # units
    double balance          # quote currency, or coin for inverse contracts
    double fee
    double volume
    double turnover
    int64_t n_answers       # received

cdef void replay_preload(CReplay* r, const Event* rows, int64_t n_rows) noexcept nogil
cdef void replay_start(CReplay* r) noexcept nogil
cdef int replay_elapse(CReplay* r, int64_t duration_ns) noexcept nogil
cdef int replay_wait(CReplay* r, int64_t timeout_ns) noexcept nogil
cdef int replay_submit(CReplay* r, int64_t id, int side, int64_t tick, int64_t qty,
                       int tif) noexcept nogil
cdef int replay_modify(CReplay* r, int64_t id, int64_t tick, int64_t qty) noexcept nogil
cdef int replay_cancel(CReplay* r, int64_t id) noexcept nogil
cdef void replay_clear_inactive(CReplay* r) noexcept nogil
cdef LocalOrder* replay_order(CReplay* r, int64_t id) noexcept nogil    # NULL: unknown
cdef bint order_active(const LocalOrder* o) noexcept nogil     # may be cancelled or modified
cdef bint order_over(const LocalOrder* o) noexcept nogil       # expired, filled or cancelled
