# Where a resting order of ours stands in the queue of its price level, estimated from L2 data.
from libc.stdint cimport int32_t, int64_t, uint64_t

cdef enum QueueModel:
    QUEUE_RISK_AVERSE = 0   # only prints move us forward
    QUEUE_POWER = 1         # share of a decrease taken from behind us: b^n / (b^n + f^n)
    QUEUE_POWER2 = 2        # b^n / (b + f)^n
    QUEUE_POWER3 = 3        # 1 - (f / (f + b))^n
    QUEUE_LOG = 4           # ln(1+b) / (ln(1+b) + ln(1+f))
    QUEUE_LOG2 = 5          # ln(1+b) / ln(1+b+f)
    QUEUE_FIFO = 6          # no estimate: market orders have ids, see _line


ctypedef struct CQueue:
    int32_t model           # QueueModel
    bint doubles            # rule: estimate in double quantities, unrounded
    bint half_lot           # rule: half a lot beyond the queue fills, smaller excess accumulates
    double exponent         # n of the power models
    double qty_div          # units per 1.0 of quantity
    double lot_qty          # lot as a quantity
    int64_t lot             # units

ctypedef struct Place:
    int64_t front           # units ahead of us
    int64_t printed         # units printed at our price since its last depth level
    double front_qty        # the same as quantities, used instead where `doubles`
    double printed_qty
    uint64_t rank           # of the market order that came last before us, where they have ids

cdef void queue_join(const CQueue* q, Place* p, int64_t displayed) noexcept nogil
cdef int64_t queue_print(const CQueue* q, Place* p, int64_t qty) noexcept nogil
cdef void queue_level(const CQueue* q, Place* p, int64_t before, int64_t now) noexcept nogil
cdef void queue_resync(const CQueue* q, Place* p, int64_t now) noexcept nogil
cdef double queue_ahead(const CQueue* q, const Place* p) noexcept nogil
