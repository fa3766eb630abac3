# Own orders of one trader: fixed slots, their states, the difference to what is wanted.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from ._types cimport SLOTS_MAX, Event, Grid, Level, Request, Spec

cdef enum OrderState:
    OS_FREE = 0
    OS_NEW = 1              # place sent, no answer yet
    OS_LIVE = 2
    OS_AMEND = 3            # amend sent, no answer yet
    OS_CANCEL = 4           # cancel sent, no answer yet
    OS_UNKNOWN = 5          # fate unknown: counts as exposure until the venue says

cdef enum AmendCapability:
    AMEND_NONE = 0
    AMEND_REDUCE = 1        # quantity down only, price kept
    AMEND_FULL = 2

cdef struct Order:
    uint8_t state           # OrderState
    uint8_t level           # place in the grid when last wanted
    uint16_t slot
    uint32_t generation
    int32_t side
    int32_t partly          # 1 after a partial fill: not topped up
    int64_t tick
    int64_t qty             # remaining, units
    int64_t done            # filled so far, units
    int64_t tick_next       # asked for by the amend in flight
    int64_t qty_next
    int64_t ts_ns           # last request

cdef struct COrders:
    int32_t n_slots
    int32_t n_open          # slots not free
    int32_t n_flight        # slots waiting for an answer
    int32_t amend           # AmendCapability
    double requote_bps      # an order this close to a wanted price is kept
    double size_tolerance   # and this close in size, relative
    int64_t open_buy        # worst-case open quantity, units: the larger of old and new in flight
    int64_t open_sell
    double value_buy        # the same at the orders' prices, ticks x units; 0 when none is open
    double value_sell
    int64_t n_orphans       # answers for orders that are not ours to know
    Order slots[SLOTS_MAX]

# What one side of the difference needs; indexes into slots and into the wanted levels.
cdef struct Plan:
    int32_t n_cancel        # surplus orders to cancel
    int32_t n_amend
    int32_t n_replace       # cancel + place pairs
    int32_t n_place
    int32_t n_waiting       # wanted levels that wait for an order in flight
    int32_t n_kept
    uint16_t cancel[SLOTS_MAX]
    uint16_t old[SLOTS_MAX]         # amend, then replace: slot
    uint8_t new[SLOTS_MAX]          # amend, then replace: wanted level
    uint8_t place[SLOTS_MAX]        # wanted level

cdef void orders_plan(const COrders* o, int side, const Level* wanted, int n,
                      Plan* p) noexcept nogil
cdef int orders_free_slot(const COrders* o) noexcept nogil              # -1: none
cdef void orders_place(COrders* o, int slot, int side, int level, int64_t tick, int64_t qty,
                       int64_t ts_ns) noexcept nogil
cdef void orders_amend(COrders* o, int slot, int level, int64_t tick, int64_t qty,
                       int64_t ts_ns) noexcept nogil
cdef void orders_cancel(COrders* o, int slot, int64_t ts_ns) noexcept nogil
cdef Order* orders_find(COrders* o, const Event* e) noexcept nogil      # NULL: not ours
cdef bint orders_answer(COrders* o, const Event* e) noexcept nogil      # apply a venue answer

cdef class Orders:
    cdef COrders* c
