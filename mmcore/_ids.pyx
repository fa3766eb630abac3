"""The orders of a market by their ids: open addressing in memory taken at construction.

A row that cannot be true is counted and left out, or taken for what it must have meant; nothing
here fails.  Ranks say who stands ahead of whom: of two orders at one price, the lower came first.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from ._types cimport (
    ASK, BID, EV_ORDER_ADD, EV_ORDER_CANCEL, EV_ORDER_EXECUTE, Event,
)

cdef int64_t TICK_MAX = 1 << 60


cdef inline int64_t _home(const CIds* t, int64_t id) noexcept nogil:
    # Fibonacci hashing: ids are mostly consecutive.
    return <int64_t>((<uint64_t>id * <uint64_t>0x9E3779B97F4A7C15) >> t.shift)


cdef inline int64_t _place_of(const CIds* t, int64_t id) noexcept nogil:
    # Where an id stands, or the free place where it would.
    cdef int64_t i = _home(t, id)
    while t.table[i].rank and t.table[i].id != id:
        i = (i + 1) & t.mask
    return i


cdef MarketOrder* ids_find(const CIds* t, int64_t id) noexcept nogil:
    cdef int64_t i = _place_of(t, id)
    return &t.table[i] if t.table[i].rank else NULL


cdef void _drop(CIds* t, int64_t gap) noexcept nogil:
    # Entries behind move up, so that no gap hides them.
    cdef int64_t i = gap
    cdef int64_t home
    while True:
        i = (i + 1) & t.mask
        if t.table[i].rank == 0:
            break
        home = _home(t, t.table[i].id)
        if ((i - home) & t.mask) >= ((i - gap) & t.mask):
            t.table[gap] = t.table[i]
            gap = i
    t.table[gap].rank = 0
    t.n -= 1


cdef void _set(CIds* t, MarketOrder* o, const Event* e, int side) noexcept nogil:
    # Side, price and quantity as the row says; in line behind all, unless the order is known at
    # this price and becomes no larger.
    if o.rank == 0 or side != o.side or e.tick != o.tick or e.qty > o.qty:
        t.rank_last += 1
        o.rank = t.rank_last
    o.id = e.aux
    o.side = side
    o.tick = e.tick
    o.qty = e.qty
    o.done = 0


cdef inline bint _sound(const Event* e, int side) noexcept nogil:
    return (side == BID or side == ASK) and 0 < e.tick < TICK_MAX and e.qty > 0


cdef int _add(CIds* t, const Event* e, int64_t i) noexcept nogil:
    cdef bint there = t.table[i].rank != 0
    if not _sound(e, e.side):
        t.n_bad += 1
        return IDS_BAD
    if not there and t.n == t.n_max:
        t.n_full += 1
        return IDS_FULL
    t.n += not there
    t.n_twice += there
    _set(t, &t.table[i], e, e.side)
    return IDS_TWICE if there else IDS_OK


cdef int _execute(CIds* t, const Event* e, MarketOrder* o) noexcept nogil:
    if e.qty <= 0:
        t.n_bad += 1
        return IDS_BAD
    o.done += e.qty
    if o.done <= o.qty:
        return IDS_OK
    o.done = o.qty
    t.n_over += 1
    return IDS_OVER


cdef int ids_apply(CIds* t, const Event* e) noexcept nogil:
    cdef int64_t i = _place_of(t, e.aux)
    cdef MarketOrder* o = &t.table[i]
    if e.kind == EV_ORDER_ADD:
        return _add(t, e, i)
    if o.rank == 0:
        t.n_unknown += 1
        return IDS_UNKNOWN
    if e.kind == EV_ORDER_EXECUTE:
        return _execute(t, e, o)
    if e.kind == EV_ORDER_CANCEL or e.qty == 0:
        _drop(t, i)
        return IDS_OK
    if not _sound(e, e.side if e.side else o.side):
        t.n_bad += 1
        return IDS_BAD
    _set(t, o, e, e.side if e.side else o.side)
    return IDS_OK


cdef void ids_clear(CIds* t, int side, int64_t tick) noexcept nogil:
    cdef int64_t i = 0
    if side == 0:
        memset(t.table, 0, (t.mask + 1) * sizeof(MarketOrder))
        t.n = 0
        return
    while i <= t.mask:
        if (t.table[i].rank and t.table[i].side == side
                and (tick <= 0 or (t.table[i].tick - tick) * side >= 0)):
            _drop(t, i)             # what moved up to here is looked at next
        else:
            i += 1


cdef bint ids_alloc(CIds* t, int64_t n_max) noexcept nogil:
    cdef CIds old = t[0]
    cdef int64_t i
    cdef int bits = 3
    while (<int64_t>1 << bits) < 2 * n_max:
        bits += 1
    t.table = <MarketOrder*>calloc(<size_t>1 << bits, sizeof(MarketOrder))
    if t.table == NULL:
        t[0] = old
        return False
    t.mask = (<int64_t>1 << bits) - 1
    t.shift = 64 - bits
    t.n_max = n_max
    if old.table != NULL:
        for i in range(old.mask + 1):
            if old.table[i].rank:
                t.table[_place_of(t, old.table[i].id)] = old.table[i]
        free(old.table)
    return True


cdef void ids_free(CIds* t) noexcept nogil:
    free(t.table)
    t.table = NULL
