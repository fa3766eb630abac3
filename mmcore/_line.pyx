"""Own orders in a line of market orders that are known by their ids: price, then time.

Every market order has a rank, its arrival; an own order remembers the last rank given out when it
came to rest.  Orders of a rank up to that one stand ahead at the same price, all others behind: no
list of the line is kept, and nobody's place is estimated.  An execution of an order behind us, or
at a worse price, says that we would have traded first: by default as much as was executed, shared
by own orders, best price first, then by arrival.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t

from ._ids cimport CIds, MarketOrder, ids_find
from ._queue cimport QUEUE_FIFO
from ._resting cimport *
from ._types cimport EV_ORDER_EXECUTE, RJ_OTHER, Event


cdef void line_before(CVenue* v, const Event* e) noexcept nogil:
    cdef const MarketOrder* x
    if v.queue.model != QUEUE_FIFO:
        return
    x = ids_find(v.book.ids, e.aux)
    if x == NULL:
        v.seen.rank = 0
    else:
        v.seen = x[0]


cdef bint _passed(const CVenue* v, const VenueOrder* o, int64_t tick, int n_own) noexcept nogil:
    # An own order is better by price than an executed one: does it fill?
    cdef int64_t touch = v.book.bid_tick if o.side > 0 else v.book.ask_tick
    cdef int64_t span = (touch - tick) * o.side - 1     # prices between the touch and the execution
    if not v.rules & RULE_SKIP_INSIDE:
        return True
    # The parity rules go through the prices from the touch on, and through own orders, wherever
    # they stand, only where these are fewer.
    return span >= 0 and ((o.tick - touch) * o.side <= 0 or n_own < span)


cdef void _execute(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil:
    cdef const MarketOrder* x = &v.seen
    cdef int side = x.side if x.rank else e.side
    cdef int64_t tick = x.tick if x.rank else e.tick
    cdef int64_t qty = min(e.qty, x.qty - x.done) if x.rank else e.qty
    cdef int64_t used = 0
    cdef int64_t past, got
    cdef int s = side_row(side)
    cdef int n_own = v.n[0] + v.n[1]
    cdef int i = 0
    cdef VenueOrder* o
    if side == 0 or qty <= 0:
        return
    while i < v.n[s]:
        o = &v.orders[v.index[s][i]]
        past = (o.tick - tick) * side
        if past < 0:
            return
        got = 0
        if past > 0 and _passed(v, o, tick, n_own):
            got = INT64_MAX if v.rules & RULE_WHOLE_THROUGH else qty - used
        elif past == 0 and x.rank > o.place.rank:
            got = qty if v.rules & RULE_WHOLE_PRINT else qty - used
        if got > 0 and v.rules & RULE_NO_PARTIAL:
            got = INT64_MAX
        if order_serve(v, o, got, &used, ts_ns):
            i += 1


cdef void _step_up(CVenue* v, const MarketOrder* x, int64_t qty) noexcept nogil:
    # So much less of a market order stands in line.
    cdef int s = side_row(x.side)
    cdef int i
    cdef VenueOrder* o
    if v.marks[s][x.tick & (MARKS - 1)] == 0:
        return
    for i in range(v.n[s]):
        o = &v.orders[v.index[s][i]]
        if o.tick == x.tick and x.rank <= o.place.rank:
            o.place.front -= qty


cdef void _stood_before(CVenue* v, const MarketOrder* x) noexcept nogil:
    # An order told in the instant of a clear was there before it: ahead of own orders there.
    cdef int s = side_row(x.side)
    cdef int i
    cdef VenueOrder* o
    for i in range(v.n[s]):
        o = &v.orders[v.index[s][i]]
        if o.tick == x.tick:
            o.place.rank = x.rank
            o.place.front += x.qty


cdef bint _told_anew(const CVenue* v, const MarketOrder* x, int64_t ts_ns) noexcept nogil:
    # Was the price of this order cleared in this instant?
    cdef int s = side_row(x.side)
    return ts_ns == v.cleared_ns[s] and x.tick * x.side >= v.cleared_to[s]


cdef void line_after(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil:
    cdef const MarketOrder* x = &v.seen
    cdef const MarketOrder* y
    if v.queue.model != QUEUE_FIFO:
        return
    if e.kind == EV_ORDER_EXECUTE:
        _execute(v, e, ts_ns)
        return
    y = ids_find(v.book.ids, e.aux)
    if x.rank:
        _step_up(v, x, x.qty - y.qty if y != NULL and y.rank == x.rank else x.qty)
    if y != NULL and y.rank != x.rank and _told_anew(v, y, ts_ns):
        _stood_before(v, y)


cdef void line_cleared(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil:
    cdef int64_t to = e.tick * e.side if e.side and e.tick > 0 else INT64_MIN
    cdef int i, s
    cdef VenueOrder* o
    for s in range(2):
        if e.side and side_row(e.side) != s:
            continue
        if v.cleared_ns[s] != ts_ns or to < v.cleared_to[s]:
            v.cleared_to[s] = to
        v.cleared_ns[s] = ts_ns
        i = 0
        while i < v.n[s]:
            o = &v.orders[v.index[s][i]]
            if v.rules & RULE_CLEAR_EXPIRES:
                order_expire(v, o, RJ_OTHER, ts_ns)
                order_remove(v, o)
            else:
                i += 1
    line_resync(v)


cdef void line_resync(CVenue* v) noexcept nogil:
    # What stands ahead is counted anew, for all own orders in one pass over the table.
    cdef const CIds* t = v.book.ids
    cdef int64_t k
    cdef int i, s
    for s in range(2):
        for i in range(v.n[s]):
            v.orders[v.index[s][i]].place.front = 0
    for k in range(t.mask + 1 if t.n and v.n[0] + v.n[1] else 0):
        if t.table[k].rank:
            _step_up(v, &t.table[k], -t.table[k].qty)


cdef void line_cross(CVenue* v, int side, int64_t ts_ns) noexcept nogil:
    # As in _passed: the parity rules go through the prices that the touch moved over, or through
    # own orders where these are fewer or the other side was empty before.
    cdef int s = side_row(side)
    cdef int64_t touch = v.book.ask_tick if side > 0 else v.book.bid_tick
    cdef int64_t before = v.touch[1 - s]
    cdef bint none = before == INT64_MAX or before == INT64_MIN
    cdef int64_t span = 0 if none else (before - touch) * side - 1  # prices beyond the new touch
    cdef int n_own = v.n[0] + v.n[1]
    cdef int i = 0
    cdef int64_t used = 0
    cdef VenueOrder* o
    if span < 0:
        return
    while i < v.n[s]:
        o = &v.orders[v.index[s][i]]
        if (o.tick - touch) * side < 0:
            return
        if not none and n_own >= span and (before - o.tick) * side <= 0:
            i += 1                  # stood beyond the touch already
        elif order_serve(v, o, INT64_MAX, &used, ts_ns):
            i += 1
