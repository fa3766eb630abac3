"""What rests at a simulated venue: orders, what fills them does, and the liquidity they took.

The words in which :mod:`mmcore._matching` and :mod:`mmcore._meeting` are written.
"""

from libc.math cimport round
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint16_t
from libc.string cimport memmove, memset

from ._depth cimport CBook, book_qty, book_top
from ._fees cimport fee_quanta, fees_day, fees_traded
from ._queue cimport QUEUE_FIFO, queue_join
from ._types cimport EV_EXPIRED, EV_FILL, FLAG_LAST, FLAG_MAKER, RJ_LIMIT, Event, Level

# ---- answers


cdef Event* order_answer(CVenue* v, int kind, const VenueOrder* o, int64_t ts_ns) noexcept nogil:
    # The next answer, filled in from the order.  Bounded: one call leaves at most one answer per
    # resting order, or one per level taken and one more.
    cdef Event* e = &v.out[v.n_out]
    v.n_out += 1
    memset(e, 0, sizeof(Event))
    e.kind = kind
    e.side = o.side
    e.instrument = v.spec.instrument
    e.slot = o.slot
    e.generation = o.generation
    e.ts_venue_ns = ts_ns
    e.tick = o.tick
    e.qty = o.left
    return e


cdef void order_expire(CVenue* v, const VenueOrder* o, int code, int64_t ts_ns) noexcept nogil:
    cdef Event* e = order_answer(v, EV_EXPIRED, o, ts_ns)
    e.code = code


# ---- resting orders


cdef void _insert(CVenue* v, VenueOrder* o) noexcept nogil:
    # Into its side, behind every order of a better or equal price.
    cdef int s = side_row(o.side)
    cdef uint16_t* index = v.index[s]
    cdef int i = v.n[s]
    v.rank_last += 1
    o.rank = v.rank_last
    o.live = 1
    while i > 0 and (v.orders[index[i - 1]].tick - o.tick) * o.side < 0:
        i -= 1
    memmove(index + i + 1, index + i, (v.n[s] - i) * sizeof(uint16_t))
    index[i] = o.slot
    v.n[s] += 1
    v.n_reduce += o.reduce_only != 0
    v.marks[s][o.tick & (MARKS - 1)] += 1


cdef void order_remove(CVenue* v, VenueOrder* o) noexcept nogil:
    cdef int s = side_row(o.side)
    cdef uint16_t* index = v.index[s]
    cdef int i = 0
    while index[i] != o.slot:
        i += 1
    v.n[s] -= 1
    v.n_reduce -= o.reduce_only != 0
    memmove(index + i, index + i + 1, (v.n[s] - i) * sizeof(uint16_t))
    v.marks[s][o.tick & (MARKS - 1)] -= 1
    o.live = 0


cdef void order_join(CVenue* v, VenueOrder* o) noexcept nogil:
    # Rest at its price, behind what the book shows there.
    cdef int64_t shown
    if book_trusted(v):
        shown = book_qty(v.book, o.side, o.tick)
        if v.rules & RULE_MEET:
            shown = max(0, shown - taken_at(v, o.side, o.tick))
        queue_join(&v.queue, &o.place, shown)
    else:
        queue_join(&v.queue, &o.place, INT64_MAX)
    if v.queue.model == QUEUE_FIFO:
        o.place.rank = v.book.ids.rank_last
    _insert(v, o)


cdef int64_t order_wanted(const CVenue* v, const VenueOrder* o) noexcept nogil:
    # What may still fill: all of it, or what reduces the position.
    cdef int64_t room
    if not o.reduce_only:
        return o.left
    room = -v.held[o.owner] * o.side
    if room <= 0:
        return 0
    return room if room < o.left else o.left


cdef bint order_fill(CVenue* v, VenueOrder* o, int64_t tick, int64_t qty, bint maker,
                     int64_t ts_ns) noexcept nogil:
    # One piece; True when nothing of the order is left.  The caller takes it off the book.
    cdef Event* e
    cdef bint last
    if v.queue.doubles:
        # The parity rules' arithmetic: pieces of a print are whole lots times the lot size, and
        # an order is finished when the rest rounds to no lot.
        if qty >= o.left:
            o.left_qty = 0.0
        elif maker:
            o.left_qty -= <double>(qty // v.queue.lot) * v.queue.lot_qty
        else:
            o.left_qty -= <double>qty / v.queue.qty_div
        last = not (round(o.left_qty / v.queue.lot_qty) > 0.0)
    else:
        last = qty >= o.left
    v.trade_id += 1
    v.n_fills += 1
    v.held[o.owner] += qty * o.side
    e = order_answer(v, EV_FILL, o, ts_ns)
    e.flags = (FLAG_MAKER if maker else 0) | (FLAG_LAST if last else 0)
    e.tick = tick
    e.qty = qty
    fees_day(&v.fees, ts_ns)
    e.aux = fee_quanta(&v.fees, &v.spec, tick, qty, maker)
    fees_traded(&v.fees, &v.spec, tick, qty)
    e.seq = v.trade_id
    o.left -= qty
    o.done += qty
    return last


cdef bint order_serve(CVenue* v, VenueOrder* o, int64_t got, int64_t* used,
                      int64_t ts_ns) noexcept nogil:
    cdef int64_t wanted = order_wanted(v, o)
    if wanted == 0:
        order_expire(v, o, RJ_LIMIT, ts_ns)
        order_remove(v, o)
        return False
    if got > wanted:
        got = wanted
    elif got > 0:
        got -= got % v.spec.lot
    if got <= 0:
        return True
    used[0] += got
    if not order_fill(v, o, o.tick, got, True, ts_ns):
        return True
    order_remove(v, o)
    return False


# ---- liquidity that own orders took


cdef int64_t taken_at(const CVenue* v, int side, int64_t tick) noexcept nogil:
    cdef int i
    for i in range(v.n_taken):
        if v.taken[i].tick == tick and v.taken[i].side == side:
            return v.taken[i].qty
    return 0


cdef void taken_drop(CVenue* v, int i) noexcept nogil:
    v.marks[side_row(v.taken[i].side)][v.taken[i].tick & (MARKS - 1)] -= 1
    v.n_taken -= 1
    memmove(&v.taken[i], &v.taken[i + 1], (v.n_taken - i) * sizeof(Taken))


cdef void taken_add(CVenue* v, int side, int64_t tick, int64_t qty) noexcept nogil:
    cdef int i
    if v.rules & RULE_FORGET_TAKEN:
        return
    for i in range(v.n_taken):
        if v.taken[i].tick == tick and v.taken[i].side == side:
            v.taken[i].qty += qty
            return
    if v.n_taken == v.taken_max:
        taken_drop(v, 0)           # the oldest: most likely to have been set by the feed since
    v.taken[v.n_taken].tick = tick
    v.taken[v.n_taken].qty = qty
    v.taken[v.n_taken].side = side
    v.n_taken += 1
    v.marks[side_row(side)][tick & (MARKS - 1)] += 1


cdef void taken_refresh(CVenue* v, int side, int64_t tick) noexcept nogil:
    cdef int i
    for i in range(v.n_taken):
        if v.taken[i].tick == tick and v.taken[i].side == side:
            taken_drop(v, i)
            return


cdef bint _hidden(const CVenue* v, int side, int64_t tick) noexcept nogil:
    # Where orders are part of a public book that is never crossed: the levels by which the market's
    # own book is, and what is beyond the levels that can be remembered as taken.
    cdef const CBook* b = v.book
    if b.bid_tick >= b.ask_tick and (tick >= b.ask_tick if side > 0 else tick <= b.bid_tick):
        return True
    return v.n_taken == v.taken_max and not taken_at(v, side, tick)


cdef int64_t level_offered(const CVenue* v, int side, const Level* level) noexcept nogil:
    # What one level offers: displayed less taken, in whole lots.
    cdef int64_t qty = level.qty
    if v.rules & RULE_MEET and _hidden(v, side, level.tick):
        return 0
    if v.n_taken:
        qty -= taken_at(v, side, level.tick)
    if qty <= 0:
        return 0
    if v.rules & RULE_NO_FILTERS:
        return qty
    return qty - qty % v.spec.lot


cdef int64_t side_touch(const CVenue* v, int side) noexcept nogil:
    # The best tick of a side that still has something on offer.
    cdef int i, n
    if v.n_taken == 0:
        return v.book.bid_tick if side > 0 else v.book.ask_tick
    n = book_top(v.book, side, v.ladder_max, v.ladder)
    for i in range(n):
        if v.ladder[i].qty > taken_at(v, side, v.ladder[i].tick):
            return v.ladder[i].tick
    return INT64_MIN if side > 0 else INT64_MAX
