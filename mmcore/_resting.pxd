# What rests at a simulated venue: one instrument, the orders of one or several accounts.
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from ._depth cimport CBook
from ._fees cimport CFees
from ._ids cimport MarketOrder
from ._queue cimport CQueue, Place
from ._types cimport ST_OK, ST_ONE_SIDED, Event, Level, Spec

# What the parity mode, and the exchange in the box, do differently from the default: one switch
# each.
cdef enum VenueRule:
    RULE_DOUBLE_QUEUE = 1       # queue estimates in double quantities, unrounded
    RULE_HALF_LOT = 2           # half a lot beyond the queue fills; smaller excess accumulates
    RULE_WHOLE_PRINT = 4        # each own order sees the whole print
    RULE_WHOLE_THROUGH = 8      # a print through our price fills us completely
    RULE_WHOLE_CROSS = 16       # a touch that crosses our price fills us completely
    RULE_TAKE_UNLIMITED = 32    # taking fills any size at the best price
    RULE_TAKE_REMAINDER = 64    # a good-till-cancelled taker gets what is not displayed as well
    RULE_FORGET_TAKEN = 128     # liquidity that we took is there again at once
    RULE_MODIFY_KEEPS_LEFT = 256  # a re-entered modify keeps the old remaining quantity
    RULE_FILL_UNHEALTHY = 512   # fills go on while the book is not to be trusted
    RULE_NO_PARTIAL = 1024      # orders fill whole or not at all
    RULE_NO_FILTERS = 2048      # no check of tick, lot, size and notional
    RULE_MEET = 4096            # orders of several owners, which meet each other: see _meeting
    RULE_LEVELS_APART = 8192    # each level of a message is judged as a message of its own
    RULE_NO_FUNDING = 16384     # funding stamps pass unpaid
    RULE_AMEND_RESTS = 32768    # an amend that would take rests where it is
    RULE_CLEAR_EXPIRES = 65536  # own orders end when their side of the book is cleared
    RULE_CROSS_ONCE = 131072    # a touch fills what it crosses as it moves there, and not later
    RULE_SKIP_INSIDE = 262144   # an execution passes by own orders better than the touch
    RULES_PARITY = 1 | 2 | 4 | 8 | 16 | 64 | 128 | 256 | 512 | 2048 | 8192 | 16384
    RULES_PARITY_WHOLE = 1 | 2 | 4 | 8 | 16 | 32 | 128 | 256 | 512 | 1024 | 2048 | 8192 | 16384
    RULES_PARITY_FIFO = (4 | 8 | 16 | 32 | 128 | 512 | 1024 | 2048 | 16384 | 32768 | 65536 | 131072
                         | 262144)

cdef enum:
    TAKE_LEVELS = 256           # levels one order may take through
    TAKEN_MAX = 128             # levels whose taken quantity is remembered
    MEET_LEVELS = 4096          # both, where orders meet each other
    MARKS = 1024                # buckets of the price filter, a power of two

ctypedef struct VenueOrder:
    int64_t tick
    int64_t placed              # units, as first asked for
    int64_t left                # units
    int64_t done                # filled so far, units
    int64_t shown               # displayed at its price before the snapshot being loaded
    double left_qty             # the same as a quantity, by the arithmetic of the parity rules
    Place place
    uint64_t rank               # arrival: time priority
    uint32_t generation
    uint16_t slot
    uint16_t owner              # whose: 0 where there is one account
    int8_t side
    uint8_t tif                 # TimeInForce
    uint8_t live
    uint8_t reduce_only

# Displayed liquidity that own orders took, until the feed sets the level again.
ctypedef struct Taken:
    int64_t tick
    int64_t qty                 # units
    int32_t side                # of the book

# A level of the message under way that own orders or taken liquidity stand at.
ctypedef struct Touched:
    int64_t tick
    int64_t before
    int64_t now
    int32_t side

cdef struct CVenue:
    CBook* book                 # the venue's own book, shared by the accounts of the instrument
    Spec spec
    CQueue queue
    uint32_t rules              # VenueRule bits
    CFees fees
    int32_t n_slots
    int32_t n[2]                # resting orders: buys, sells
    int32_t n_reduce            # of them, those that may only reduce the position
    uint16_t* index[2]          # slots of resting orders, price then time priority
    VenueOrder* orders          # by slot
    uint16_t* marks[2]          # resting orders and taken levels by tick modulo MARKS
    int32_t n_taken
    int32_t taken_max
    int32_t ladder_max
    Taken* taken
    int32_t n_touched
    Touched* touched
    bint in_snapshot            # a snapshot in several messages is being loaded
    bint unknown                # the book has been unhealthy since the last healthy message
    MarketOrder seen            # of the row under way, before it; rank 0: there was none
    int64_t cleared_ns[2]       # when a side of the book was last cleared
    int64_t cleared_to[2]       # and down to which tick * side; INT64_MIN: all of it
    int64_t touch[2]            # of the book before the message under way
    uint64_t rank_last
    int32_t n_owners
    uint16_t owner              # of the request under way
    int64_t* held               # units, signed, by owner
    int64_t* rooms              # scratch, by owner
    int32_t order_rate          # new and amended orders in any second; 0: no limit
    int32_t batch_max           # of them in one call; 0: no limit
    int32_t n_batch             # so far, in the call of `batch` at call_ns
    int32_t batch
    int64_t call_ns
    int64_t n_passed            # orders that the limit let through
    int64_t* passed_ns          # when the last order_rate of them came
    int64_t trade_id            # of the last fill
    int64_t n_fills
    int64_t n_orders
    Level* ladder               # scratch, Level[ladder_max]
    int32_t out_max
    int32_t n_out
    Event* out                  # answers of the last call, ts_venue_ns set

cdef inline int side_row(int side) noexcept nogil:
    return 0 if side > 0 else 1

cdef inline bint book_trusted(const CVenue* v) noexcept nogil:
    return (
        v.book.health == ST_OK or v.book.health == ST_ONE_SIDED
        or (v.rules & RULE_FILL_UNHEALTHY) != 0
    )

cdef inline bint venue_deserted(const CVenue* v) noexcept nogil:
    # Nothing of anybody's stands here, and no snapshot is on its way: only the book matters.
    return v.n[0] + v.n[1] + v.n_taken == 0 and not v.in_snapshot

# The next answer, filled in from the order; an order that is over.
cdef Event* order_answer(CVenue* v, int kind, const VenueOrder* o, int64_t ts_ns) noexcept nogil
cdef void order_expire(CVenue* v, const VenueOrder* o, int code, int64_t ts_ns) noexcept nogil
# Onto the book at its price, and off it.
cdef void order_join(CVenue* v, VenueOrder* o) noexcept nogil
cdef void order_remove(CVenue* v, VenueOrder* o) noexcept nogil
# Units that may still fill; one piece of it: True when nothing is left.
cdef int64_t order_wanted(const CVenue* v, const VenueOrder* o) noexcept nogil
cdef bint order_fill(CVenue* v, VenueOrder* o, int64_t tick, int64_t qty, bint maker,
                     int64_t ts_ns) noexcept nogil
# What reaches a resting order, of which `used` is gone; True while it rests.
cdef bint order_serve(CVenue* v, VenueOrder* o, int64_t got, int64_t* used,
                      int64_t ts_ns) noexcept nogil
# Liquidity that orders took, until the feed sets the level again.
cdef void taken_add(CVenue* v, int side, int64_t tick, int64_t qty) noexcept nogil
cdef void taken_drop(CVenue* v, int i) noexcept nogil
cdef void taken_refresh(CVenue* v, int side, int64_t tick) noexcept nogil
# What one level of the market offers; the best tick of a side that offers something.
cdef int64_t level_offered(const CVenue* v, int side, const Level* level) noexcept nogil
cdef int64_t side_touch(const CVenue* v, int side) noexcept nogil
