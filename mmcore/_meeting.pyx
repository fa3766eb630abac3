"""Orders of several accounts at one simulated venue: how they meet, and the book they are part of.

With RULE_MEET the orders of all accounts rest in one venue, each with its owner, and are part of
the public book: the market's levels less what was taken, in whole lots, plus what rests.  An
arriving order meets both by price, and at one price by time: the market's quantity that stands
ahead of a resting order goes first, then the order, then the rest of the market's quantity.  A
meeting of two orders is one print, told as the maker's fill and the taker's, with one trade id.  An
order that would meet one of its own account ends that one instead.  The caller has checked the
venue's filters.

The public book is never crossed: what the market's own book shows at or beyond a resting order has
traded with it, and levels by which the market crosses itself are not shown.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t
from libc.string cimport memcpy

from ._depth cimport book_qty, book_top
from ._resting cimport (
    MARKS, CVenue, VenueOrder, level_offered, order_expire, order_fill, order_remove, order_wanted,
    side_row, taken_add,
)
from ._types cimport RJ_LIMIT, RJ_NO_LIQUIDITY, RJ_OTHER, TIF_FOK, Level


cdef int FEW = 16   # levels that are looked at before all are


# ---- the public book


cdef inline const VenueOrder* _first(const CVenue* v, int side) noexcept nogil:
    cdef int s = side_row(side)
    return &v.orders[v.index[s][0]] if v.n[s] else NULL


cdef int64_t shown_qty(const CVenue* v, int side, int64_t tick) noexcept nogil:
    cdef int s = side_row(side)
    cdef int i
    cdef int64_t qty
    cdef const VenueOrder* o
    cdef Level level
    level.tick = tick
    level.qty = book_qty(v.book, side, tick)
    qty = level_offered(v, side, &level)
    if v.marks[s][tick & (MARKS - 1)] == 0:
        return qty
    for i in range(v.n[s]):
        o = &v.orders[v.index[s][i]]
        if (o.tick - tick) * side < 0:
            break
        if o.tick == tick:
            qty += o.left
    return qty


cdef int _offered_top(CVenue* v, int side, int n) noexcept nogil:
    # The market's first n levels that offer something, packed at the front of the ladder.
    cdef int looked = min(v.ladder_max, n + FEW)
    cdef int i, found, got
    cdef int64_t qty
    while True:
        got = book_top(v.book, side, looked, v.ladder)
        found = 0
        for i in range(got):
            qty = level_offered(v, side, &v.ladder[i])
            if qty > 0 and found < n:
                v.ladder[found].tick = v.ladder[i].tick
                v.ladder[found].qty = qty
                found += 1
        if found == n or got < looked or looked == v.ladder_max:
            return found
        looked = min(v.ladder_max, 4 * looked)


cdef int shown_top(CVenue* v, int side, int n, Level* out) noexcept nogil:
    cdef int s = side_row(side)
    cdef int n_market = _offered_top(v, side, min(n, v.ladder_max))
    cdef int i = 0      # of the ladder
    cdef int k = 0      # of the resting orders
    cdef int found = 0
    cdef int64_t tick
    while found < n and (i < n_market or k < v.n[s]):
        if k == v.n[s]:
            tick = v.ladder[i].tick
        else:
            tick = v.orders[v.index[s][k]].tick
            if i < n_market and (v.ladder[i].tick - tick) * side > 0:
                tick = v.ladder[i].tick
        out[found].tick = tick
        out[found].qty = 0
        if i < n_market and v.ladder[i].tick == tick:
            out[found].qty += v.ladder[i].qty
            i += 1
        while k < v.n[s] and v.orders[v.index[s][k]].tick == tick:
            out[found].qty += v.orders[v.index[s][k]].left
            k += 1
        found += 1
    return found


cdef int64_t meet_touch(CVenue* v, int side) noexcept nogil:
    cdef const VenueOrder* o = _first(v, side)
    cdef int64_t market = INT64_MIN if side > 0 else INT64_MAX
    if _offered_top(v, side, 1):
        market = v.ladder[0].tick
    if o == NULL:
        return market
    return max(market, o.tick) if side > 0 else min(market, o.tick)


# ---- meetings


cdef bint _enough(CVenue* v, const VenueOrder* o, int n) noexcept nogil:
    # Whether all of a fill-or-kill order would fill now: at the market's first n levels, and with
    # resting orders of others, each reduce-only one as far as its owner's position then goes.
    cdef int s = side_row(-o.side)
    cdef int64_t total = 0
    cdef int64_t piece
    cdef int i
    cdef const VenueOrder* other
    for i in range(n):
        if (o.tick - v.ladder[i].tick) * o.side < 0:
            break
        total += level_offered(v, -o.side, &v.ladder[i])
    memcpy(v.rooms, v.held, v.n_owners * sizeof(int64_t))
    for i in range(v.n[s]):
        other = &v.orders[v.index[s][i]]
        if (o.tick - other.tick) * o.side < 0:
            break
        if other.owner == o.owner:
            continue
        piece = other.left
        if other.reduce_only:
            piece = max(0, min(piece, -v.rooms[other.owner] * other.side))
        v.rooms[other.owner] += piece * other.side
        total += piece
    return total >= o.left


cdef bint _take_market(CVenue* v, VenueOrder* o, int64_t tick, int64_t qty,
                       int64_t ts_ns) noexcept nogil:
    # From the front of the market's queue at a price: orders resting there move up.
    cdef int s = side_row(-o.side)
    cdef int i
    cdef VenueOrder* other
    taken_add(v, -o.side, tick, qty)
    for i in range(v.n[s]):
        other = &v.orders[v.index[s][i]]
        if other.tick != tick:
            break
        other.place.front = max(0, other.place.front - qty)
    return order_fill(v, o, tick, qty, False, ts_ns)


cdef bint _meet(CVenue* v, VenueOrder* o, VenueOrder* other, int64_t ts_ns) noexcept nogil:
    # One print of two orders; the resting one is off the book when it is over.
    cdef int64_t tick = other.tick
    cdef int64_t qty = min(o.left, order_wanted(v, other))
    if other.owner == o.owner or qty == 0:
        order_expire(v, other, RJ_OTHER if other.owner == o.owner else RJ_LIMIT, ts_ns)
        order_remove(v, other)
        return False
    if order_fill(v, other, tick, qty, True, ts_ns):
        order_remove(v, other)
    v.trade_id -= 1         # one print, two sides
    return order_fill(v, o, tick, qty, False, ts_ns)


cdef bint meet_take(CVenue* v, VenueOrder* o, int64_t ts_ns) noexcept nogil:
    cdef int s = side_row(-o.side)
    cdef int n = book_top(v.book, -o.side, v.ladder_max, v.ladder)
    cdef int i = 0
    cdef int64_t offered, ahead, better
    cdef VenueOrder* other
    if o.tif == TIF_FOK and not _enough(v, o, n):
        return False
    while True:
        offered = 0
        while i < n and offered == 0:
            offered = level_offered(v, -o.side, &v.ladder[i])
            i += offered == 0
        other = &v.orders[v.index[s][0]] if v.n[s] else NULL
        if other != NULL and (o.tick - other.tick) * o.side >= 0:
            better = (v.ladder[i].tick - other.tick) * o.side if i < n else 1
            if better == 0:
                ahead = min(offered, other.place.front)
                offered = ahead - ahead % v.spec.lot
            if better > 0 or (better == 0 and offered == 0):
                if _meet(v, o, other, ts_ns):
                    return True
                continue
        if i == n or (o.tick - v.ladder[i].tick) * o.side < 0:
            break
        if _take_market(v, o, v.ladder[i].tick, min(offered, o.left), ts_ns):
            return True
    if n == v.ladder_max and i == n:
        order_expire(v, o, RJ_NO_LIQUIDITY, ts_ns)      # more levels than can be gone through
        return True
    return False
