"""A simulated venue: resting orders of one account in one instrument, their queues and fills.

The recorded book is never edited: own orders are invisible in it, queue rules decide fills.  Two
rule sets: the default, and parity with hftbacktest 2.4.4, bit for bit; every difference between
the two is a bit of VenueRule.  A resting order fills

* when a print passes its price (through), or reaches it after the queue ahead (at price);
* when a depth message leaves the opposite touch at or beyond its price (cross);

always at its own price, as a maker.  By default own fills on one print never exceed the print,
best price and earliest order first, and crossing or taking never exceeds what is displayed less
what own orders took since the feed last set that level.  While the book is not healthy nothing
fills; orders that join then stand behind whatever the next snapshot shows at their price.
"""

from libc.math cimport round
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint16_t
from libc.string cimport memmove, memset

from ._depth cimport BK_OK, book_apply, book_qty, book_top
from ._queue cimport queue_join, queue_level, queue_print, queue_resync
from ._spec cimport mul_div, notional_quote, tick_floor
from ._types cimport *

# ---- answers


cdef Event* _answer(CVenue* v, int kind, const VenueOrder* o, int64_t ts_ns) noexcept nogil:
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


cdef void _refuse(CVenue* v, const Request* r, int code, int64_t ts_ns) noexcept nogil:
    # aux: when the request was made, so that a late refusal is told from a fresh one.
    cdef Event* e = &v.out[v.n_out]
    v.n_out += 1
    memset(e, 0, sizeof(Event))
    e.kind = EV_REJECT
    e.side = r.side
    e.code = code
    e.instrument = v.spec.instrument
    e.slot = r.slot
    e.generation = r.generation
    e.ts_venue_ns = ts_ns
    e.tick = r.tick
    e.qty = r.qty
    e.aux = r.ts_ns


cdef void _expire(CVenue* v, const VenueOrder* o, int code, int64_t ts_ns) noexcept nogil:
    cdef Event* e = _answer(v, EV_EXPIRED, o, ts_ns)
    e.code = code


cdef int64_t _fee(const CVenue* v, int64_t tick, int64_t qty, bint maker) noexcept nogil:
    # Quanta, one rounding, half-even.
    cdef const Fee* f = &v.maker if maker else &v.taker
    if v.fee_kind == FEE_FLAT:
        return f.num
    if v.fee_kind == FEE_QTY:
        return mul_div(qty, f.num, 1, f.den)
    if v.spec.kind == INVERSE:
        return mul_div(qty, f.num, 1, tick * f.den) if tick > 0 else 0
    return mul_div(tick, qty, f.num, f.den)


# ---- resting orders


cdef inline int _row(int side) noexcept nogil:
    return 0 if side > 0 else 1


cdef inline bint _trusted(const CVenue* v) noexcept nogil:
    return (
        v.book.health == ST_OK or v.book.health == ST_ONE_SIDED
        or (v.rules & RULE_FILL_UNHEALTHY) != 0
    )


cdef void _insert(CVenue* v, VenueOrder* o) noexcept nogil:
    # Into its side, behind every order of a better or equal price.
    cdef int s = _row(o.side)
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
    v.marks[s][o.tick & (MARKS - 1)] += 1


cdef void _remove(CVenue* v, VenueOrder* o) noexcept nogil:
    cdef int s = _row(o.side)
    cdef uint16_t* index = v.index[s]
    cdef int i = 0
    while index[i] != o.slot:
        i += 1
    v.n[s] -= 1
    memmove(index + i, index + i + 1, (v.n[s] - i) * sizeof(uint16_t))
    v.marks[s][o.tick & (MARKS - 1)] -= 1
    o.live = 0


cdef void _join(CVenue* v, VenueOrder* o) noexcept nogil:
    # Rest at its price, behind what the book shows there.
    if _trusted(v):
        queue_join(&v.queue, &o.place, book_qty(v.book, o.side, o.tick))
    else:
        queue_join(&v.queue, &o.place, INT64_MAX)
    _insert(v, o)


cdef int64_t _wanted(const CVenue* v, const VenueOrder* o) noexcept nogil:
    # What may still fill: all of it, or what reduces the position.
    cdef int64_t room
    if not o.reduce_only:
        return o.left
    room = -v.position * o.side
    if room <= 0:
        return 0
    return room if room < o.left else o.left


cdef bint _fill(CVenue* v, VenueOrder* o, int64_t tick, int64_t qty, bint maker,
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
    v.position += qty * o.side
    e = _answer(v, EV_FILL, o, ts_ns)
    e.flags = (FLAG_MAKER if maker else 0) | (FLAG_LAST if last else 0)
    e.tick = tick
    e.qty = qty
    e.aux = _fee(v, tick, qty, maker)
    e.seq = v.trade_id
    o.left -= qty
    o.done += qty
    return last


# ---- liquidity that own orders took


cdef int64_t _taken_at(const CVenue* v, int side, int64_t tick) noexcept nogil:
    cdef int i
    for i in range(v.n_taken):
        if v.taken[i].tick == tick and v.taken[i].side == side:
            return v.taken[i].qty
    return 0


cdef void _drop_taken(CVenue* v, int i) noexcept nogil:
    v.marks[_row(v.taken[i].side)][v.taken[i].tick & (MARKS - 1)] -= 1
    v.n_taken -= 1
    memmove(&v.taken[i], &v.taken[i + 1], (v.n_taken - i) * sizeof(Taken))


cdef void _remember(CVenue* v, int side, int64_t tick, int64_t qty) noexcept nogil:
    cdef int i
    if v.rules & RULE_FORGET_TAKEN:
        return
    for i in range(v.n_taken):
        if v.taken[i].tick == tick and v.taken[i].side == side:
            v.taken[i].qty += qty
            return
    if v.n_taken == TAKEN_MAX:
        _drop_taken(v, 0)           # the oldest: most likely to have been set by the feed since
    v.taken[v.n_taken].tick = tick
    v.taken[v.n_taken].qty = qty
    v.taken[v.n_taken].side = side
    v.n_taken += 1
    v.marks[_row(side)][tick & (MARKS - 1)] += 1


cdef void _refreshed(CVenue* v, int side, int64_t tick) noexcept nogil:
    cdef int i
    for i in range(v.n_taken):
        if v.taken[i].tick == tick and v.taken[i].side == side:
            _drop_taken(v, i)
            return


cdef int64_t _displayed(const CVenue* v, int side, const Level* level) noexcept nogil:
    # What one level offers: displayed less taken, in whole lots.
    cdef int64_t qty = level.qty
    if v.n_taken:
        qty -= _taken_at(v, side, level.tick)
    if qty <= 0:
        return 0
    if v.rules & RULE_NO_FILTERS:
        return qty
    return qty - qty % v.spec.lot


cdef int64_t _touch(const CVenue* v, int side) noexcept nogil:
    # The best tick of a side that still has something on offer.
    cdef int i, n
    if v.n_taken == 0:
        return v.book.bid_tick if side > 0 else v.book.ask_tick
    n = book_top(v.book, side, TAKE_LEVELS, v.ladder)
    for i in range(n):
        if v.ladder[i].qty > _taken_at(v, side, v.ladder[i].tick):
            return v.ladder[i].tick
    return INT64_MIN if side > 0 else INT64_MAX


# ---- the market


cdef void _print(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil:
    # A print fills orders resting opposite the aggressor: best price first, then earliest.
    cdef int side = -e.side
    cdef int s = _row(side)
    cdef int i = 0
    cdef int64_t used = 0           # of this print, by own orders
    cdef int64_t past, got, wanted
    cdef VenueOrder* o
    while i < v.n[s]:
        o = &v.orders[v.index[s][i]]
        past = (o.tick - e.tick) * side
        if past < 0:
            return
        if past > 0:
            got = INT64_MAX if v.rules & RULE_WHOLE_THROUGH else e.qty - used
        else:
            got = queue_print(&v.queue, &o.place, e.qty)
            if got > 0 and v.rules & RULE_NO_PARTIAL:
                got = INT64_MAX
            elif not v.rules & RULE_WHOLE_PRINT:
                got -= used
        wanted = _wanted(v, o)
        if got > wanted:
            got = wanted
        elif got > 0:
            got -= got % v.spec.lot
        if wanted == 0:
            _expire(v, o, RJ_LIMIT, ts_ns)
            _remove(v, o)
        elif got > 0:
            used += got
            if _fill(v, o, o.tick, got, True, ts_ns):
                _remove(v, o)
            else:
                i += 1
        else:
            i += 1


cdef void _cross_whole(CVenue* v, int side, int64_t ts_ns) noexcept nogil:
    cdef int s = _row(side)
    cdef int64_t touch = v.book.ask_tick if side > 0 else v.book.bid_tick
    cdef VenueOrder* o
    while v.n[s]:
        o = &v.orders[v.index[s][0]]
        if o.tick < touch if side > 0 else o.tick > touch:
            return
        _fill(v, o, o.tick, o.left, True, ts_ns)
        _remove(v, o)


cdef void _cross(CVenue* v, int side, int64_t ts_ns) noexcept nogil:
    # The opposite side of the book stands at or beyond resting orders: somebody would have traded
    # with them, as much as is on offer there.
    cdef int s = _row(side)
    cdef int64_t got, piece, wanted
    cdef int k, n
    cdef VenueOrder* o
    n = book_top(v.book, -side, TAKE_LEVELS, v.ladder)
    while v.n[s]:
        o = &v.orders[v.index[s][0]]
        wanted = _wanted(v, o)
        if wanted == 0:
            _expire(v, o, RJ_LIMIT, ts_ns)
            _remove(v, o)
            continue
        got = 0
        for k in range(n):
            if (o.tick - v.ladder[k].tick) * side < 0 or got == wanted:
                break
            piece = _displayed(v, -side, &v.ladder[k])
            if piece > wanted - got:
                piece = wanted - got
            if piece > 0:
                _remember(v, -side, v.ladder[k].tick, piece)
                got += piece
        if got == 0:
            return
        if got and v.rules & RULE_NO_PARTIAL:
            got = wanted
        if not _fill(v, o, o.tick, got, True, ts_ns):
            return
        _remove(v, o)


cdef void _crossings(CVenue* v, int64_t ts_ns) noexcept nogil:
    # After a whole message: does the touch stand at or beyond own orders?
    if v.n[0] and v.orders[v.index[0][0]].tick >= v.book.ask_tick:
        if v.rules & RULE_WHOLE_CROSS:
            _cross_whole(v, BID, ts_ns)
        else:
            _cross(v, BID, ts_ns)
    if v.n[1] and v.orders[v.index[1][0]].tick <= v.book.bid_tick:
        if v.rules & RULE_WHOLE_CROSS:
            _cross_whole(v, ASK, ts_ns)
        else:
            _cross(v, ASK, ts_ns)


cdef void _touch_level(CVenue* v, int side, int64_t tick, int64_t qty) noexcept nogil:
    # Note a level of the message that something of ours stands at, with what it showed before.
    cdef int i = v.n_touched - 1
    cdef Touched* t = &v.touched[v.n_touched]
    t.side = side
    t.tick = tick
    t.now = qty
    while i >= 0 and (v.touched[i].tick != tick or v.touched[i].side != side):
        i -= 1
    t.before = v.touched[i].now if i >= 0 else book_qty(v.book, side, tick)
    v.n_touched += 1


cdef void venue_before(CVenue* v, const Event* e) noexcept nogil:
    # Queue models need what levels showed before; the book alone judges whether the message counts.
    cdef const Level* level = <const Level*>(e + 1)
    cdef const uint16_t* marks
    cdef int i, s
    v.n_touched = 0
    if e.kind != EV_DEPTH or v.n[0] + v.n[1] + v.n_taken == 0:
        return
    if e.flags & FLAG_SNAPSHOT and not e.flags & FLAG_CONT:
        v.in_snapshot = True
        for s in range(2):
            for i in range(v.n[s]):
                v.orders[v.index[s][i]].shown = book_qty(
                    v.book, BID if s == 0 else ASK, v.orders[v.index[s][i]].tick)
        return
    if v.in_snapshot or <int>e.n_bids + <int>e.n_asks > LEVELS_MAX:
        return
    if e.n_bids == 0 and e.n_asks == 0:
        if e.side and v.marks[_row(e.side)][e.tick & (MARKS - 1)]:
            _touch_level(v, e.side, e.tick, e.qty)
        return
    marks = v.marks[0]
    for i in range(e.n_bids):
        if marks[level[i].tick & (MARKS - 1)]:
            _touch_level(v, BID, level[i].tick, level[i].qty)
    level += e.n_bids
    marks = v.marks[1]
    for i in range(e.n_asks):
        if marks[level[i].tick & (MARKS - 1)]:
            _touch_level(v, ASK, level[i].tick, level[i].qty)


cdef void _queues(CVenue* v) noexcept nogil:
    # Queue updates for the levels noted before the message.
    cdef int i, k, s
    cdef Touched* t
    cdef VenueOrder* o
    for i in range(v.n_touched):
        t = &v.touched[i]
        s = _row(t.side)
        for k in range(v.n[s]):
            o = &v.orders[v.index[s][k]]
            if o.tick == t.tick:
                queue_level(&v.queue, &o.place, t.before, t.now)
        if v.n_taken:
            _refreshed(v, t.side, t.tick)
    v.n_touched = 0


cdef void _loaded(CVenue* v) noexcept nogil:
    # A whole snapshot stands in the book: every level was set.
    cdef int i, s
    cdef VenueOrder* o
    for s in range(2):
        for i in range(v.n[s] if not v.unknown else 0):
            o = &v.orders[v.index[s][i]]
            queue_level(&v.queue, &o.place, o.shown, book_qty(v.book, o.side, o.tick))
    while v.n_taken:
        _drop_taken(v, v.n_taken - 1)


cdef void _resync(CVenue* v) noexcept nogil:
    cdef int i, s
    cdef VenueOrder* o
    for s in range(2):
        for i in range(v.n[s]):
            o = &v.orders[v.index[s][i]]
            queue_resync(&v.queue, &o.place, book_qty(v.book, o.side, o.tick))
    v.unknown = False


cdef void venue_after(CVenue* v, const Event* e, int applied, int64_t ts_ns) noexcept nogil:
    # The shared book has applied the event (`applied`: BookReturn); fills follow.
    if e.kind == EV_DEPTH:
        if applied == BK_OK:
            if v.n_touched:
                _queues(v)
            if e.flags & FLAG_MORE:
                return
            if v.in_snapshot and _trusted(v):
                _loaded(v)
        v.in_snapshot = False
    if not _trusted(v):
        v.unknown = True
        return
    if v.unknown:
        _resync(v)
    if v.n[0] + v.n[1] == 0:
        return
    if e.kind == EV_DEPTH:
        _crossings(v, ts_ns)
    elif e.kind == EV_TRADE and e.side:
        _print(v, e, ts_ns)


cdef void venue_market(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil:
    venue_before(v, e)
    venue_after(v, e, book_apply(v.book, e), ts_ns)


# ---- requests


cdef bint _passes(const CVenue* v, const Request* r) noexcept nogil:
    # The venue's filters.
    cdef const Spec* s = &v.spec
    if r.qty <= 0:
        return False
    if v.rules & RULE_NO_FILTERS:
        return True
    if r.tick <= 0 or tick_floor(s, r.tick) != r.tick or r.qty % s.lot or r.qty < s.qty_min:
        return False
    if s.qty_max and r.qty > s.qty_max:
        return False
    return r.reduce_only or notional_quote(s, r.tick, r.qty) >= s.notional_min


cdef int64_t _on_offer(CVenue* v, const VenueOrder* o, int n) noexcept nogil:
    # Quantity displayed within the order's limit, over the first n levels of the ladder.
    cdef int64_t total = 0
    cdef int i
    for i in range(n):
        if (o.tick - v.ladder[i].tick) * o.side < 0:
            break
        total += _displayed(v, -o.side, &v.ladder[i])
    return total


cdef bint _take(CVenue* v, VenueOrder* o, int64_t ts_ns) noexcept nogil:
    # A marketable order takes what is displayed; True when nothing of it is left.
    cdef int n = book_top(v.book, -o.side, TAKE_LEVELS, v.ladder)
    cdef bint rest = o.tif == TIF_GTC and v.rules & RULE_TAKE_REMAINDER
    cdef bint whole = o.tif == TIF_FOK or v.rules & RULE_NO_PARTIAL
    cdef int64_t piece
    cdef int i
    if v.rules & RULE_TAKE_UNLIMITED:
        return _fill(v, o, v.book.ask_tick if o.side > 0 else v.book.bid_tick, o.left, False, ts_ns)
    if whole and _on_offer(v, o, n) < o.left:
        return False
    for i in range(n):
        if (o.tick - v.ladder[i].tick) * o.side < 0:
            break
        if rest and o.side == BID and v.ladder[i].tick == o.tick:
            break                   # a buyer's last level and the remainder are one piece
        piece = _displayed(v, -o.side, &v.ladder[i])
        if piece > o.left:
            piece = o.left
        if piece > 0:
            _remember(v, -o.side, v.ladder[i].tick, piece)
            if _fill(v, o, v.ladder[i].tick, piece, False, ts_ns):
                return True
    return rest and _fill(v, o, o.tick, o.left, False, ts_ns)


cdef void _arrive(CVenue* v, VenueOrder* o, int answer, int64_t ts_ns) noexcept nogil:
    # A new order, or one re-entered by a modify: expire, take, rest.  `answer`: when it rests.
    cdef int64_t touch = _touch(v, -o.side)
    cdef bint crosses = o.tick >= touch if o.side > 0 else o.tick <= touch
    if crosses and _trusted(v):
        if o.tif == TIF_GTX:
            _expire(v, o, RJ_POST_ONLY, ts_ns)
            return
        if _take(v, o, ts_ns):
            return
    if o.tif == TIF_IOC or o.tif == TIF_FOK:
        _expire(v, o, RJ_NO_LIQUIDITY, ts_ns)
        return
    _join(v, o)
    _answer(v, answer, o, ts_ns)


cdef void _place(CVenue* v, const Request* r, int64_t ts_ns) noexcept nogil:
    cdef VenueOrder* o
    if r.slot >= v.n_slots or v.orders[r.slot].live:
        _refuse(v, r, RJ_OTHER, ts_ns)
        return
    if not _passes(v, r):
        _refuse(v, r, RJ_FILTER, ts_ns)
        return
    o = &v.orders[r.slot]
    memset(o, 0, sizeof(VenueOrder))
    o.slot = r.slot
    o.generation = r.generation
    o.side = r.side
    o.tif = r.tif
    o.reduce_only = r.reduce_only
    o.tick = r.tick
    o.placed = r.qty
    o.left = r.qty
    o.left = _wanted(v, o)
    if o.left == 0:
        _refuse(v, r, RJ_LIMIT, ts_ns)
        return
    o.left_qty = <double>o.left / v.queue.qty_div
    v.n_orders += 1
    _arrive(v, o, EV_ACK, ts_ns)


cdef void _amend(CVenue* v, VenueOrder* o, const Request* r, int64_t ts_ns) noexcept nogil:
    # r.qty is the remaining quantity wanted when r.done had been filled: what filled while the
    # request travelled comes off.  Same price and not more: the place is kept.
    cdef int64_t left = r.qty
    if not v.rules & RULE_MODIFY_KEEPS_LEFT:
        left += r.done - o.done
    if not _passes(v, r):
        _refuse(v, r, RJ_FILTER, ts_ns)
        return
    if left <= 0:
        _remove(v, o)
        _answer(v, EV_CANCELLED, o, ts_ns)
        return
    if r.tick == o.tick and left <= o.left:
        o.left = left
        o.left_qty = <double>left / v.queue.qty_div
        _answer(v, EV_AMENDED, o, ts_ns)
        return
    _remove(v, o)
    o.tick = r.tick
    if v.rules & RULE_MODIFY_KEEPS_LEFT:
        # Whatever quantity was asked for, what was left when it was asked for is re-entered: a
        # fill that the request crossed on its way is had twice.
        left = o.placed - r.done
        if left != o.left:
            o.left = left
            o.left_qty = <double>left / v.queue.qty_div
    else:
        o.left = left
        o.left_qty = <double>left / v.queue.qty_div
    _arrive(v, o, EV_AMENDED, ts_ns)


cdef void venue_request(CVenue* v, const Request* r, int64_t ts_ns) noexcept nogil:
    cdef VenueOrder* o
    if r.kind == RQ_PLACE:
        _place(v, r, ts_ns)
        return
    o = &v.orders[r.slot] if r.slot < v.n_slots else NULL
    if o == NULL or not o.live or o.generation != r.generation:
        _refuse(v, r, RJ_UNKNOWN_ORDER, ts_ns)
    elif r.kind == RQ_CANCEL:
        _remove(v, o)
        _answer(v, EV_CANCELLED, o, ts_ns)
    else:
        _amend(v, o, r, ts_ns)
