"""A strategy of one's own against a tape and a simulated venue: its clock, orders and accounts.

Two clocks: every row of the tape reaches the venue at its venue time and us at its local time.
Requests and answers travel through two first-in first-out channels.  Events of one instant happen
in this order: local data, local answers, venue data, requests at the venue.  Since nothing can be
decided between two calls, the venue's side of an interval runs first as one batch, then ours: the
venue hears of us through requests alone, and we of it through answers alone.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint16_t
from libc.string cimport memset

from ._channel cimport (
    entry_due,
    entry_push,
    latency_entry,
    latency_response,
    response_due,
    response_push,
)
from ._depth cimport book_apply, book_follow, cursor_seek, event_rows
from ._matching cimport venue_market, venue_request
from ._fees cimport FEE_QTY, FEE_VALUE, Tier
from ._resting cimport RULE_MODIFY_KEEPS_LEFT, book_trusted, venue_deserted
from ._types cimport *

# ---- orders as we know them


cdef inline int64_t _hash(const CReplay* r, int64_t id) noexcept nogil:
    # Fibonacci hashing: ids are mostly consecutive.
    return <int64_t>(((<unsigned long long>id * <unsigned long long>0x9E3779B97F4A7C15) >> 32)
                     & <unsigned long long>r.ids_mask)


cdef int64_t _place_of(const CReplay* r, int64_t id) noexcept nogil:
    # Where an id stands in the table, or the free place where it would.
    cdef int64_t i = _hash(r, id)
    while r.ids[i] and r.orders[r.ids[i] - 1].id != id:
        i = (i + 1) & r.ids_mask
    return i


cdef LocalOrder* replay_order(CReplay* r, int64_t id) noexcept nogil:
    cdef int64_t i = _place_of(r, id)
    return &r.orders[r.ids[i] - 1] if r.ids[i] else NULL


cdef void _forget(CReplay* r, int slot) noexcept nogil:
    # Out of the table: entries behind move up, so that no gap hides them.
    cdef int64_t gap = _place_of(r, r.orders[slot].id)
    cdef int64_t i = gap
    cdef int64_t home
    while True:
        i = (i + 1) & r.ids_mask
        if r.ids[i] == 0:
            break
        home = _hash(r, r.orders[r.ids[i] - 1].id)
        if ((i - home) & r.ids_mask) >= ((i - gap) & r.ids_mask):
            r.ids[gap] = r.ids[i]
            gap = i
    r.ids[gap] = 0
    r.orders[slot].used = 0
    r.n_orders -= 1
    r.free_slots[r.n_slots - r.n_orders - 1] = <uint16_t>slot


cdef bint order_active(const LocalOrder* o) noexcept nogil:
    return o.pending == LOCAL_NONE and (
        o.status == LOCAL_NEW or o.status == LOCAL_PARTIALLY_FILLED)


cdef bint order_over(const LocalOrder* o) noexcept nogil:
    return (
        o.status == LOCAL_EXPIRED or o.status == LOCAL_FILLED or o.status == LOCAL_CANCELED
    )


cdef void replay_clear_inactive(CReplay* r) noexcept nogil:
    cdef int i
    cdef int seen = 0
    cdef int n = r.n_orders
    for i in range(r.n_slots):
        if seen == n:
            return
        if r.orders[i].used:
            seen += 1
            if order_over(&r.orders[i]):
                _forget(r, i)


cdef void _book_fill(CReplay* r, const LocalOrder* o, const Event* e) noexcept nogil:
    # Accounts in doubles, by the rules of the parity runs; every piece counts.
    cdef const Spec* s = &r.venue.spec
    cdef double qty = <double>e.qty / s.qty_div
    cdef double price = <double>e.tick * s.tick_size
    cdef double amount = s.contract_size * (qty / price if s.kind == INVERSE else price * qty)
    cdef const Tier* tier = &r.venue.fees.tiers[0]
    cdef double rate = tier.maker.rate if e.flags & FLAG_MAKER else tier.taker.rate
    cdef LocalFill* f
    r.position += e.side * e.qty
    r.balance -= e.side * amount
    r.volume += qty
    r.turnover += amount
    if r.venue.fees.n_tiers > 1:        # the venue's tier may have moved on since the fill
        r.fee += <double>e.aux / 1e8
    elif r.venue.fees.kind == FEE_VALUE:
        r.fee += rate * amount
    elif r.venue.fees.kind == FEE_QTY:
        r.fee += rate * qty
    else:
        r.fee += rate
    if r.n_fills == r.fills_max:
        r.overflow = True
        return
    f = &r.fills[r.n_fills]
    r.n_fills += 1
    f.exch_ts = e.ts_venue_ns
    f.seen_ts = e.ts_local_ns
    f.order_id = o.id
    f.side = e.side
    f.tick = e.tick
    f.qty = e.qty
    f.maker = 1 if e.flags & FLAG_MAKER else 0
    f.fee = e.aux


cdef void _answered(CReplay* r, const Event* e) noexcept nogil:
    cdef LocalOrder* o = &r.orders[e.slot]
    r.n_answers += 1
    if not o.used or o.generation != e.generation:
        return                      # a refusal that comes after the order's end says nothing new
    if e.kind == EV_REJECT:
        if e.aux == o.ts_request_ns:
            if o.pending == LOCAL_NEW:
                o.status = LOCAL_EXPIRED
            o.pending = LOCAL_NONE
        return
    o.ts_venue_ns = e.ts_venue_ns
    o.pending = LOCAL_NONE
    if e.kind == EV_FILL:
        o.left -= e.qty
        o.filled += e.qty
        o.exec_tick = e.tick
        o.exec_qty = e.qty
        o.maker = 1 if e.flags & FLAG_MAKER else 0
        if o.maker:
            o.tick = e.tick
        o.status = LOCAL_FILLED if e.flags & FLAG_LAST else LOCAL_PARTIALLY_FILLED
        _book_fill(r, o, e)
        return
    o.tick = e.tick
    o.left = e.qty
    if e.kind == EV_EXPIRED:
        o.status = LOCAL_EXPIRED
    elif e.kind == EV_CANCELLED:
        o.status = LOCAL_CANCELED
    else:
        o.status = LOCAL_NEW


# ---- time


cdef void _send_answers(CReplay* r, int64_t ts_ns) noexcept nogil:
    cdef int64_t due_ns = ts_ns + latency_response(r.latency, ts_ns)
    cdef int i
    for i in range(r.venue.n_out):
        if not response_push(r.response, &r.venue.out[i], due_ns):
            r.overflow = True
    r.venue.n_out = 0


cdef void _venue_until(CReplay* r, int64_t target_ns) noexcept nogil:
    # Market data at the venue up to the target, while nothing is answered.
    cdef Cursor* at = &r.market
    cdef const Event* e
    cdef int64_t ts_ns
    if venue_deserted(r.venue) and book_follow(r.venue.book, at, target_ns):
        r.venue.unknown = not book_trusted(r.venue)
    while at.ns <= target_ns and at.row < r.n_rows:
        e = &at.rows[at.row]
        ts_ns = at.ns
        venue_market(r.venue, e, ts_ns)
        at.n_passed += 1
        cursor_seek(at, at.row + event_rows(e))
        if r.venue.n_out:
            _send_answers(r, ts_ns)
            return


cdef bint _venue_step(CReplay* r, int64_t target_ns) noexcept nogil:
    # The venue's next doings up to the target, market data before requests, until it answers;
    # False: there is nothing to do.
    cdef int64_t due_ns = entry_due(r.entry)
    if r.market.row < r.n_rows and r.market.ns <= due_ns:
        if r.market.ns > target_ns:
            return False
        _venue_until(r, due_ns if due_ns < target_ns else target_ns)
        return True
    if r.entry.head == r.entry.tail or due_ns > target_ns:
        return False
    venue_request(r.venue, &r.entry.ring[r.entry.head & r.entry.mask].request, due_ns)
    r.entry.head += 1
    if r.venue.n_out:
        _send_answers(r, due_ns)
    return True


cdef void _local_until(CReplay* r, int64_t target_ns) noexcept nogil:
    if r.local.ns <= target_ns:
        book_follow(r.book, &r.local, target_ns)
    while r.response.head < r.response.tail and response_due(r.response) <= target_ns:
        _answered(r, &r.response.ring[r.response.head & r.response.mask])
        r.response.head += 1


cdef int _reached(CReplay* r, int64_t target_ns, int outcome) noexcept nogil:
    _local_until(r, target_ns)
    if r.local.bad_row >= 0 or r.market.bad_row >= 0:
        return OUTCOME_UNSORTED
    if r.overflow:
        return OUTCOME_FULL
    if (
        r.local.row >= r.n_rows and r.market.row >= r.n_rows
        and r.entry.head == r.entry.tail and r.response.head == r.response.tail
    ):
        return OUTCOME_END          # the clock stands: nothing will ever happen again
    r.now_ns = target_ns
    return outcome


cdef inline int64_t _later(int64_t now_ns, int64_t duration_ns) noexcept nogil:
    return INT64_MAX if duration_ns > INT64_MAX - now_ns else now_ns + duration_ns


cdef int replay_elapse(CReplay* r, int64_t duration_ns) noexcept nogil:
    cdef int64_t target_ns = _later(r.now_ns, duration_ns)
    while _venue_step(r, target_ns):
        pass
    return _reached(r, target_ns, OUTCOME_OK)


cdef int replay_wait(CReplay* r, int64_t timeout_ns) noexcept nogil:
    cdef int64_t target_ns = _later(r.now_ns, timeout_ns)
    cdef int outcome = OUTCOME_OK
    if r.local.row < r.n_rows and r.local.ns <= target_ns:
        target_ns = r.local.ns
        outcome = OUTCOME_FEED
    while True:
        if response_due(r.response) < target_ns or (
            outcome == OUTCOME_OK and response_due(r.response) == target_ns
        ):
            target_ns = response_due(r.response)
            outcome = OUTCOME_RESPONSE
        if not _venue_step(r, target_ns):
            return _reached(r, target_ns, outcome)


# ---- requests


cdef int _send(CReplay* r, LocalOrder* o, int slot, int kind, int64_t tick,
               int64_t qty) noexcept nogil:
    cdef Request q
    memset(&q, 0, sizeof(Request))
    q.kind = kind
    q.side = o.side
    q.tif = o.tif
    q.slot = <uint16_t>slot
    q.generation = o.generation
    q.instrument = r.venue.spec.instrument
    q.ts_ns = r.now_ns
    q.tick = tick
    q.qty = qty
    # By the parity rules a modify re-enters what is left as we know it, which is not what a fill or
    # another modify on its way will have made of it.
    q.done = o.placed - o.left if r.venue.rules & RULE_MODIFY_KEEPS_LEFT else o.filled
    if not entry_push(r.entry, &q,
                      r.now_ns + latency_entry(r.latency, r.now_ns, kind == RQ_CANCEL)):
        return OUTCOME_FULL
    o.ts_request_ns = r.now_ns
    return OUTCOME_OK


cdef int replay_submit(CReplay* r, int64_t id, int side, int64_t tick, int64_t qty,
                       int tif) noexcept nogil:
    cdef int64_t place = _place_of(r, id)
    cdef LocalOrder* o
    cdef int slot
    if r.ids[place]:
        return OUTCOME_ID_EXISTS
    if qty <= 0 or (side != BID and side != ASK) or tif < TIF_GTX or tif > TIF_FOK:
        return OUTCOME_BAD_REQUEST
    if r.n_orders == r.n_slots or r.entry.tail - r.entry.head > r.entry.mask:
        return OUTCOME_FULL
    slot = r.free_slots[r.n_slots - r.n_orders - 1]
    r.n_orders += 1
    r.ids[place] = slot + 1
    o = &r.orders[slot]
    o.id = id
    o.tick = tick
    o.placed = qty
    o.qty = qty
    o.left = qty
    o.filled = 0
    o.exec_tick = 0
    o.exec_qty = 0
    o.ts_venue_ns = 0
    o.generation += 1
    o.side = side
    o.tif = tif
    o.status = LOCAL_NONE
    o.pending = LOCAL_NEW
    o.maker = 0
    o.used = 1
    return _send(r, o, slot, RQ_PLACE, tick, qty)


cdef int _change(CReplay* r, int64_t id, int kind, int64_t tick, int64_t qty) noexcept nogil:
    cdef LocalOrder* o = replay_order(r, id)
    cdef int outcome
    if o == NULL:
        return OUTCOME_NOT_FOUND
    if o.pending != LOCAL_NONE:
        return OUTCOME_PENDING
    if not order_active(o):
        return OUTCOME_BAD_STATUS
    outcome = _send(r, o, <int>(o - r.orders), kind, tick, qty)
    if outcome == OUTCOME_OK:
        if kind == RQ_CANCEL:
            o.pending = LOCAL_CANCELED
        else:
            o.pending = LOCAL_REPLACED
            o.tick = tick
            o.qty = qty
    return outcome


cdef int replay_modify(CReplay* r, int64_t id, int64_t tick, int64_t qty) noexcept nogil:
    if qty <= 0:
        return OUTCOME_BAD_REQUEST
    return _change(r, id, RQ_AMEND, tick, qty)


cdef int replay_cancel(CReplay* r, int64_t id) noexcept nogil:
    return _change(r, id, RQ_CANCEL, 0, 0)


# ---- the start


cdef void replay_preload(CReplay* r, const Event* rows, int64_t n_rows) noexcept nogil:
    # What both books hold before the first row.
    cdef int64_t i = 0
    while i < n_rows:
        book_apply(r.book, &rows[i])
        venue_market(r.venue, &rows[i], rows[i].ts_venue_ns)
        i += event_rows(&rows[i])
    r.venue.n_out = 0


cdef inline void _start(CReplay* r, Cursor* at, int flag, int clock) noexcept nogil:
    at.rows = r.rows
    at.n_rows = r.n_rows
    at.flag = flag
    at.clock = clock
    at.ns = INT64_MIN
    at.bad_row = -1
    cursor_seek(at, 0)


cdef void replay_start(CReplay* r) noexcept nogil:
    _start(r, &r.local, FLAG_LOCAL, 1)
    _start(r, &r.market, FLAG_EXCH, 0 if r.two_clocks else 1)
    r.market.apart = FLAG_SNAPSHOT
    r.now_ns = r.local.ns if r.local.ns < r.market.ns else r.market.ns
