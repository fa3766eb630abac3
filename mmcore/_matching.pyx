"""A simulated venue: resting orders in one instrument, their queues and fills.

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

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint16_t
from libc.string cimport memset

from ._depth cimport BK_OK, book_apply, book_qty, book_top
from ._line cimport line_after, line_before, line_cleared, line_cross, line_resync
from ._meeting cimport meet_take, meet_touch
from ._queue cimport QUEUE_FIFO, queue_level, queue_print, queue_resync
from ._resting cimport *
from ._spec cimport notional_quote, tick_floor
from ._types cimport *

cdef int64_t SECOND_NS = 1_000_000_000


# ---- the market


cdef void _print(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil:
    # A print fills orders resting opposite the aggressor: best price first, then earliest.
    cdef int side = -e.side
    cdef int s = side_row(side)
    cdef int i = 0
    cdef int64_t used = 0           # of this print, by own orders
    cdef int64_t past, got
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
            if not v.rules & RULE_WHOLE_PRINT:
                got -= used
        if got > 0 and v.rules & RULE_NO_PARTIAL:
            got = INT64_MAX
        if order_serve(v, o, got, &used, ts_ns):
            i += 1


cdef void _cross_whole(CVenue* v, int side, int64_t ts_ns) noexcept nogil:
    cdef int s = side_row(side)
    cdef int64_t touch = v.book.ask_tick if side > 0 else v.book.bid_tick
    cdef VenueOrder* o
    cdef int64_t wanted
    while v.n[s]:
        o = &v.orders[v.index[s][0]]
        if o.tick < touch if side > 0 else o.tick > touch:
            return
        wanted = order_wanted(v, o)
        if wanted == 0:
            order_expire(v, o, RJ_LIMIT, ts_ns)
            order_remove(v, o)
        elif order_fill(v, o, o.tick, wanted, True, ts_ns):
            order_remove(v, o)


cdef void _cross(CVenue* v, int side, int64_t ts_ns) noexcept nogil:
    # The opposite side of the book stands at or beyond resting orders: somebody would have traded
    # with them, as much as is on offer there.
    cdef int s = side_row(side)
    cdef int64_t got, piece, wanted
    cdef int k, n
    cdef VenueOrder* o
    n = book_top(v.book, -side, v.ladder_max, v.ladder)
    while v.n[s]:
        o = &v.orders[v.index[s][0]]
        wanted = order_wanted(v, o)
        if wanted == 0:
            order_expire(v, o, RJ_LIMIT, ts_ns)
            order_remove(v, o)
            continue
        got = 0
        for k in range(n):
            if (o.tick - v.ladder[k].tick) * side < 0 or got == wanted:
                break
            piece = level_offered(v, -side, &v.ladder[k])
            if piece > wanted - got:
                piece = wanted - got
            if piece > 0:
                taken_add(v, -side, v.ladder[k].tick, piece)
                got += piece
        if got == 0:
            return
        if got and v.rules & RULE_NO_PARTIAL:
            got = wanted
        if order_fill(v, o, o.tick, got, True, ts_ns):
            order_remove(v, o)
        elif got < wanted:
            return


cdef void _release(CVenue* v, int64_t ts_ns) noexcept nogil:
    # Reduce-only orders end with what they were to reduce.  Where orders of several owners meet,
    # the exchange ends them itself: it knows every account.
    cdef int i, s
    cdef VenueOrder* o
    for s in range(0 if v.rules & RULE_MEET else 2):
        i = 0
        while i < v.n[s]:
            o = &v.orders[v.index[s][i]]
            if not o.reduce_only or order_wanted(v, o):
                i += 1
            else:
                order_expire(v, o, RJ_LIMIT, ts_ns)
                order_remove(v, o)


cdef void _crossings(CVenue* v, int64_t ts_ns) noexcept nogil:
    # After a whole message: does the touch stand at or beyond own orders?
    if v.n[0] and v.orders[v.index[0][0]].tick >= v.book.ask_tick:
        if v.rules & RULE_CROSS_ONCE:
            line_cross(v, BID, ts_ns)
        elif v.rules & RULE_WHOLE_CROSS:
            _cross_whole(v, BID, ts_ns)
        else:
            _cross(v, BID, ts_ns)
    if v.n[1] and v.orders[v.index[1][0]].tick <= v.book.bid_tick:
        if v.rules & RULE_CROSS_ONCE:
            line_cross(v, ASK, ts_ns)
        elif v.rules & RULE_WHOLE_CROSS:
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
        if e.kind >= EV_ORDER_ADD:
            line_before(v, e)
        return
    if v.rules & RULE_CROSS_ONCE:
        v.touch[0] = v.book.bid_tick
        v.touch[1] = v.book.ask_tick
    if e.flags & FLAG_SNAPSHOT and not e.flags & FLAG_CONT:
        v.in_snapshot = True
        for s in range(2):
            for i in range(v.n[s]):
                v.orders[v.index[s][i]].shown = book_qty(
                    v.book, BID if s == 0 else ASK, v.orders[v.index[s][i]].tick)
        return
    if v.in_snapshot:
        return
    if e.n_bids | e.n_asks == 0:
        if e.side and v.marks[side_row(e.side)][e.tick & (MARKS - 1)]:
            _touch_level(v, e.side, e.tick, e.qty)
        return
    if <int>e.n_bids + <int>e.n_asks > LEVELS_MAX:
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
        s = side_row(t.side)
        for k in range(v.n[s]):
            o = &v.orders[v.index[s][k]]
            if o.tick == t.tick:
                queue_level(&v.queue, &o.place, t.before, t.now)
        if v.n_taken:
            taken_refresh(v, t.side, t.tick)
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
        taken_drop(v, v.n_taken - 1)


cdef void _resync(CVenue* v) noexcept nogil:
    cdef int i, s
    cdef VenueOrder* o
    v.unknown = False
    if v.queue.model == QUEUE_FIFO:
        line_resync(v)
        return
    for s in range(2):
        for i in range(v.n[s]):
            o = &v.orders[v.index[s][i]]
            queue_resync(&v.queue, &o.place, book_qty(v.book, o.side, o.tick))


cdef void venue_after(CVenue* v, const Event* e, int applied, int64_t ts_ns) noexcept nogil:
    # The shared book has applied the event (`applied`: BookReturn); fills follow.
    if e.kind == EV_DEPTH:
        if applied == BK_OK:
            if v.n_touched:
                _queues(v)
            if e.flags & FLAG_MORE:
                return
            if v.in_snapshot and book_trusted(v):
                _loaded(v)
        v.in_snapshot = False
    elif e.kind == EV_CLEAR and v.queue.model == QUEUE_FIFO:
        line_cleared(v, e, ts_ns)
    if not book_trusted(v):
        v.unknown = True
        return
    if v.unknown:
        _resync(v)
    if v.n[0] + v.n[1] == 0:
        return
    if e.kind == EV_DEPTH or (e.kind == EV_CLEAR and v.rules & RULE_MEET):
        _crossings(v, ts_ns)
    elif e.kind == EV_TRADE and e.side and v.queue.model != QUEUE_FIFO:
        _print(v, e, ts_ns)
    elif e.kind >= EV_ORDER_ADD:
        line_after(v, e, ts_ns)
    if v.n_reduce:
        _release(v, ts_ns)


cdef bint _concerns(const CVenue* v, const Event* e) noexcept nogil:
    # Does a level of the message stand at an own order, or reach one of the other side?
    cdef const Level* level = <const Level*>(e + 1)
    cdef int64_t highest = v.orders[v.index[0][0]].tick if v.n[0] else INT64_MIN
    cdef int64_t lowest = v.orders[v.index[1][0]].tick if v.n[1] else INT64_MAX
    cdef int i
    for i in range(e.n_bids):
        if v.marks[0][level[i].tick & (MARKS - 1)] or level[i].tick >= lowest:
            return True
    level += e.n_bids
    for i in range(e.n_asks):
        if v.marks[1][level[i].tick & (MARKS - 1)] or level[i].tick <= highest:
            return True
    return False


cdef void _apart(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil:
    # Bids first, then asks, each side in the order of the message: what happens to orders of one
    # side does not depend on when the other's rows come.
    cdef const Level* level = <const Level*>(e + 1)
    cdef Event one = e[0]
    cdef int i
    cdef int n_bids = e.n_bids
    one.n_bids = 0
    one.n_asks = 0
    for i in range(n_bids + <int>e.n_asks):
        one.side = BID if i < n_bids else ASK
        one.tick = level[i].tick
        one.qty = level[i].qty
        venue_before(v, &one)
        venue_after(v, &one, book_apply(v.book, &one), ts_ns)


cdef void venue_market(CVenue* v, const Event* e, int64_t ts_ns) noexcept nogil:
    if venue_deserted(v) and not e.flags & FLAG_SNAPSHOT:
        if e.kind != EV_TRADE:
            book_apply(v.book, e)
            v.unknown = not book_trusted(v)
        return
    if (v.rules & RULE_LEVELS_APART and e.kind == EV_DEPTH and e.n_bids | e.n_asks
            and v.n[0] + v.n[1] and e.seq == 0
            and not e.flags & (FLAG_SNAPSHOT | FLAG_MORE | FLAG_CONT) and _concerns(v, e)):
        _apart(v, e, ts_ns)
        return
    venue_before(v, e)
    venue_after(v, e, book_apply(v.book, e), ts_ns)


# ---- requests


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


cdef bint _passes(const CVenue* v, const Request* r) noexcept nogil:
    # The venue's filters.
    cdef const Spec* s = &v.spec
    if r.qty <= 0:
        return False
    if v.rules & (RULE_NO_FILTERS | RULE_MEET):
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
        total += level_offered(v, -o.side, &v.ladder[i])
    return total


cdef bint _take(CVenue* v, VenueOrder* o, int64_t ts_ns) noexcept nogil:
    # A marketable order takes what is displayed; True when nothing of it is left.
    cdef int n = book_top(v.book, -o.side, v.ladder_max, v.ladder)
    cdef bint rest = o.tif == TIF_GTC and v.rules & RULE_TAKE_REMAINDER
    cdef bint whole = o.tif == TIF_FOK or v.rules & RULE_NO_PARTIAL
    cdef int64_t piece
    cdef int64_t touch = v.book.ask_tick if o.side > 0 else v.book.bid_tick
    cdef int i
    if v.rules & RULE_TAKE_UNLIMITED:
        return order_fill(v, o, touch, o.left, False, ts_ns)
    if whole and _on_offer(v, o, n) < o.left:
        return False
    for i in range(n):
        if (o.tick - v.ladder[i].tick) * o.side < 0:
            break
        if rest and o.side == BID and v.ladder[i].tick == o.tick:
            break                   # a buyer's last level and the remainder are one piece
        piece = level_offered(v, -o.side, &v.ladder[i])
        if piece > o.left:
            piece = o.left
        if piece > 0:
            taken_add(v, -o.side, v.ladder[i].tick, piece)
            if order_fill(v, o, v.ladder[i].tick, piece, False, ts_ns):
                return True
    return rest and order_fill(v, o, o.tick, o.left, False, ts_ns)


cdef void _arrive(CVenue* v, VenueOrder* o, int answer, int64_t ts_ns) noexcept nogil:
    # A new order, or one re-entered by a modify: expire, take, rest.  `answer`: when it rests.
    cdef bint meet = (v.rules & RULE_MEET) != 0
    cdef int64_t touch = meet_touch(v, -o.side) if meet else side_touch(v, -o.side)
    cdef bint crosses = o.tick >= touch if o.side > 0 else o.tick <= touch
    cdef int64_t wanted = o.left if meet else order_wanted(v, o)
    if wanted < o.left:             # reduce-only, and more than is held
        if wanted == 0:
            order_expire(v, o, RJ_LIMIT, ts_ns)
            return
        o.left = wanted
        o.left_qty = <double>wanted / v.queue.qty_div
    if crosses and book_trusted(v):
        if o.tif == TIF_GTX:
            order_expire(v, o, RJ_POST_ONLY, ts_ns)
            return
        if meet_take(v, o, ts_ns) if meet else _take(v, o, ts_ns):
            return
    if o.tif == TIF_IOC or o.tif == TIF_FOK:
        order_expire(v, o, RJ_NO_LIQUIDITY, ts_ns)
        return
    order_join(v, o)
    order_answer(v, answer, o, ts_ns)


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
    o.owner = v.owner
    o.side = r.side
    o.tif = r.tif
    o.reduce_only = r.reduce_only
    o.tick = r.tick
    o.placed = r.qty
    o.left = r.qty
    o.left = order_wanted(v, o)
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
        order_remove(v, o)
        order_answer(v, EV_CANCELLED, o, ts_ns)
        return
    if r.tick == o.tick and left <= o.left:
        o.left = left
        o.left_qty = <double>left / v.queue.qty_div
        order_answer(v, EV_AMENDED, o, ts_ns)
        return
    order_remove(v, o)
    o.tick = r.tick
    if v.rules & RULE_AMEND_RESTS:
        o.left = left
        o.left_qty = <double>left / v.queue.qty_div
        order_join(v, o)
        order_answer(v, EV_AMENDED, o, ts_ns)
        return
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


cdef int _held_back(CVenue* v, const Request* r, int64_t ts_ns) noexcept nogil:
    # Why the venue's limits on orders and amends turn this one away; RJ_NONE: they do not.  What
    # is turned away does not count.
    cdef int64_t* oldest
    if v.batch_max:
        if r.ts_ns != v.call_ns or r.batch != v.batch:
            v.call_ns = r.ts_ns
            v.batch = r.batch
            v.n_batch = 0
        if v.n_batch == v.batch_max:
            return RJ_LIMIT
        v.n_batch += 1
    if v.order_rate:
        oldest = &v.passed_ns[v.n_passed % v.order_rate]
        if v.n_passed >= v.order_rate and ts_ns - oldest[0] < SECOND_NS:
            return RJ_RATE
        oldest[0] = ts_ns
        v.n_passed += 1
    return RJ_NONE


cdef void venue_request(CVenue* v, const Request* r, int64_t ts_ns) noexcept nogil:
    cdef VenueOrder* o
    cdef int code = RJ_NONE if r.kind == RQ_CANCEL else _held_back(v, r, ts_ns)
    if code:
        _refuse(v, r, code, ts_ns)
        return
    if r.kind == RQ_PLACE:
        _place(v, r, ts_ns)
        if v.n_reduce:
            _release(v, ts_ns)
        return
    o = &v.orders[r.slot] if r.slot < v.n_slots else NULL
    if o == NULL or not o.live or o.generation != r.generation:
        _refuse(v, r, RJ_UNKNOWN_ORDER, ts_ns)
    elif r.kind == RQ_CANCEL:
        order_remove(v, o)
        order_answer(v, EV_CANCELLED, o, ts_ns)
    else:
        _amend(v, o, r, ts_ns)
        if v.n_reduce:
            _release(v, ts_ns)
