"""What a book does with a message, and the signals that are read off it: free functions on CBook.

A message is judged by its sequence, checked, and only then applied; a book that cannot be trusted
says so in ``health`` and ignores everything until the next snapshot.
"""

from libc.math cimport NAN
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint64_t
from libc.string cimport memset

from ._ids cimport IDS_FULL, ids_apply, ids_clear
from ._side cimport (
    BookSide, side_clear, side_load, side_put, side_qty, side_run, side_span, side_tick_units,
    side_top, side_units, side_weighted_units,
)
from ._types cimport (
    BID, EV_CLEAR, EV_DEPTH, EV_LINK_DOWN, EV_ORDER_ADD, EV_TRADE, FLAG_CONT, FLAG_MORE,
    FLAG_SNAPSHOT, LEVELS_MAX, ST_CROSSED, ST_FULL, ST_GAP, ST_OK, ST_ONE_SIDED, ST_STALE,
    ST_WARMUP, Event, Level,
)

cdef enum:
    TICK_BITS = 60          # of a tick: keys and window bases stay far from the ends of int64


# -- messages ------------------------------------------------------------------------------------

cdef void book_block(CBook* c, int status) noexcept nogil:
    c.blocked = status
    c.health = status


cdef inline bint _well_formed(const Level* levels, int64_t n) noexcept nogil:
    # Gathered without a branch: sizes must not be negative, ticks within 1 to 2**TICK_BITS - 1.
    cdef uint64_t ticks = 0
    cdef uint64_t signs = 0
    cdef int64_t i
    if n > LEVELS_MAX:
        return False
    for i in range(n):
        ticks |= <uint64_t>levels[i].tick
        signs |= <uint64_t>levels[i].qty | (<uint64_t>levels[i].tick - 1)
    return ticks >> TICK_BITS == 0 and <int64_t>signs >= 0


cdef void book_publish(CBook* c) noexcept nogil:
    cdef BookSide* b = &c.bids
    cdef BookSide* a = &c.asks
    if b.best >= 0:
        c.bid_tick = b.base + b.best
        c.bid_qty = b.slots[b.best]
    else:
        c.bid_tick = INT64_MIN
        c.bid_qty = 0
    if a.best >= 0:
        c.ask_tick = -(a.base + a.best)
        c.ask_qty = a.slots[a.best]
    else:
        c.ask_tick = INT64_MAX
        c.ask_qty = 0
    c.n_bids = <int32_t>b.count
    c.n_asks = <int32_t>a.count


cdef inline void _judge_health(CBook* c) noexcept nogil:
    if c.blocked != ST_OK:
        c.health = c.blocked
    elif c.n_bids == 0 or c.n_asks == 0:
        c.health = ST_ONE_SIDED
    elif c.bid_tick >= c.ask_tick:
        c.health = ST_CROSSED
        c.n_crossed += 1
    else:
        c.health = ST_OK


cdef inline int _judge_sequence(CBook* c, const Event* e) noexcept nogil:
    # What becomes of a message that starts, before its levels are looked at.
    if e.flags & FLAG_SNAPSHOT:
        return BK_OK
    if c.blocked != ST_OK:
        if c.blocked == ST_WARMUP:
            return BK_OK if e.seq == 0 else BK_EMPTY
        return BK_FULL if c.blocked == ST_FULL else BK_GAP
    if e.seq == 0:
        return BK_OK
    if e.seq <= c.last_seq:
        c.n_old += 1
        return BK_OLD
    if e.aux == c.last_seq or (c.fresh and e.aux < c.last_seq):
        return BK_OK
    c.n_gaps += 1
    book_block(c, ST_GAP)
    return BK_GAP


cdef bint _load(CBook* c, const Level* levels, int64_t n_bids, int64_t n_asks) noexcept nogil:
    # The window is resized only when the snapshot's span asks for more slots, or for far fewer.
    cdef int64_t span = max(side_span(&c.bids, levels, n_bids),
                            side_span(&c.asks, levels + n_bids, n_asks))
    cdef int64_t width = c.width_min
    while width < 2 * span and width < c.bids.width_max:
        width *= 2
    if width < c.bids.width < 8 * width:
        width = c.bids.width
    return (side_load(&c.bids, levels, n_bids, width)
            and side_load(&c.asks, levels + n_bids, n_asks, width))


cdef int _depth(CBook* c, const Event* e) noexcept nogil:
    cdef const Level* levels = <const Level*>(e + 1)
    cdef int64_t n_bids = e.n_bids
    cdef int64_t n_asks = e.n_asks
    cdef int verdict
    cdef bint room
    if n_bids == 0 and n_asks == 0 and e.side != 0:
        levels = <const Level*>&e.tick      # tick and qty of the header are laid out like a level
        if e.side > 0:
            n_bids = 1
        else:
            n_asks = 1
    if e.flags & FLAG_CONT:
        verdict = c.part if c.part >= 0 else BK_BAD
    else:
        if c.part == BK_OK:                 # the message before this one never ended
            c.n_gaps += 1
            book_block(c, ST_GAP)
        verdict = _judge_sequence(c, e)
    if verdict == BK_OK and not _well_formed(levels, n_bids + n_asks):
        verdict = BK_BAD
    if verdict == BK_BAD:
        c.n_bad += 1
        book_block(c, ST_STALE)
    c.part = verdict if e.flags & FLAG_MORE else -1
    if verdict != BK_OK:
        return verdict
    if e.flags & FLAG_CONT or not e.flags & FLAG_SNAPSHOT:
        room = (side_run(&c.bids, levels, n_bids)
                and side_run(&c.asks, levels + n_bids, n_asks))
        c.fresh = c.fresh and (e.seq == 0 or e.flags & FLAG_CONT)
    else:
        room = _load(c, levels, n_bids, n_asks)
        c.fresh = True
    return _finish(c, e, n_bids + n_asks, room)


cdef int _finish(CBook* c, const Event* e, int64_t n_levels, bint room) noexcept nogil:
    # Books an applied part of a message: sequence, times, counters, touch and health.
    c.n_levels += n_levels
    c.ts_venue_ns = e.ts_venue_ns
    c.ts_local_ns = e.ts_local_ns
    book_publish(c)
    if not e.flags & FLAG_CONT:
        c.n_messages += 1
        if e.flags & FLAG_SNAPSHOT:
            c.last_seq = e.seq
        elif e.seq != 0:
            c.last_seq = e.seq
        if e.flags & FLAG_SNAPSHOT or c.blocked == ST_WARMUP:
            c.blocked = ST_OK
    if not room:
        c.part = BK_FULL if e.flags & FLAG_MORE else -1
        book_block(c, ST_FULL)
        return BK_FULL
    if not e.flags & FLAG_MORE:             # half a message says nothing about health
        _judge_health(c)
    return BK_OK


cdef int _clear(CBook* c, const Event* e) noexcept nogil:
    # An empty book is a known book: clearing both sides ends a block for streams without sequence;
    # in the others the next delta still has to fit the last update id.
    if e.side >= 0:
        side_clear(&c.bids, e.tick if e.side != 0 else 0)
    if e.side <= 0:
        side_clear(&c.asks, e.tick if e.side != 0 else 0)
    if c.ids != NULL:
        ids_clear(c.ids, e.side, e.tick if e.side != 0 else 0)
    if e.side == 0 and c.blocked != ST_WARMUP:
        c.blocked = ST_OK
        c.part = -1
    if e.side == 0 and e.seq != 0:
        c.last_seq = e.seq
    c.ts_venue_ns = e.ts_venue_ns
    c.ts_local_ns = e.ts_local_ns
    book_publish(c)
    _judge_health(c)
    return BK_OK


cdef inline int64_t _oddities(const Event* e) noexcept nogil:
    # All that a depth message of one level in the header, without sequence, has not; gathered
    # without a branch.
    cdef int64_t found = (e.tick - 1 | e.tick | e.qty) >> TICK_BITS
    found |= e.n_bids | e.n_asks | (e.flags & (FLAG_SNAPSHOT | FLAG_MORE | FLAG_CONT))
    return found | (e.side == 0) | (e.seq != 0)


cdef inline bint _in_order(const CBook* c) noexcept nogil:
    # Both sides stand in their windows, and nothing but the next message is awaited.
    return c.blocked == ST_OK and c.part < 0 and c.bids.best >= 0 and c.asks.best >= 0


cdef inline void _passed(CBook* c, const Event* e, int64_t n) noexcept nogil:
    # What n messages of one level leave beside the sides; e: the last of them.
    c.n_levels += n
    c.n_messages += n
    c.ts_venue_ns = e.ts_venue_ns
    c.ts_local_ns = e.ts_local_ns
    book_publish(c)
    c.health = ST_CROSSED if c.bid_tick >= c.ask_tick else ST_OK


cdef inline bint _put(CBook* c, const Event* e) noexcept nogil:
    # Which side it is cannot be predicted: one lies behind the other, and is indexed.
    if not side_put(&c.bids + (e.side < 0), e.tick, e.qty):
        return False
    c.n_crossed += c.bids.base + c.bids.best + c.asks.base + c.asks.best >= 0
    return True


cdef int _note(CBook* c, const Event* e) noexcept nogil:
    # What is no depth message, and apart from these, whose way it would make longer.
    if e.kind == EV_CLEAR:
        return _clear(c, e)
    if e.kind == EV_LINK_DOWN:
        book_block(c, ST_STALE)
        c.part = -1
    elif e.kind >= EV_ORDER_ADD and c.ids != NULL and ids_apply(c.ids, e) == IDS_FULL:
        book_block(c, ST_FULL)
        return BK_FULL
    return BK_OK


cdef int book_apply(CBook* c, const Event* e) noexcept nogil:
    if e.kind == EV_DEPTH:
        if _oddities(e) == 0 and _in_order(c) and _put(c, e):
            _passed(c, e, 1)
            return BK_OK
        return _depth(c, e)
    return _note(c, e)


# -- reading -------------------------------------------------------------------------------------

cdef inline const BookSide* _side(const CBook* c, int side) noexcept nogil:
    return &c.bids if side == BID else &c.asks


cdef int64_t book_qty(const CBook* c, int side, int64_t tick) noexcept nogil:
    return side_qty(_side(c, side), tick)


cdef int book_top(const CBook* c, int side, int n, Level* out) noexcept nogil:
    return side_top(_side(c, side), n, out)


cdef double book_price(const CBook* c, int64_t tick) noexcept nogil:
    return <double>tick * c.tick_num / c.tick_den


cdef inline bint _two_sided(const CBook* c) noexcept nogil:
    return c.n_bids > 0 and c.n_asks > 0


cdef double book_mid(const CBook* c) noexcept nogil:
    if not _two_sided(c):
        return NAN
    return 0.5 * <double>(c.bid_tick + c.ask_tick) * c.tick_num / c.tick_den


cdef double book_spread_bps(const CBook* c) noexcept nogil:
    if not _two_sided(c):
        return NAN
    return 2e4 * <double>(c.ask_tick - c.bid_tick) / <double>(c.ask_tick + c.bid_tick)


cdef inline double _between(const CBook* c, double bid_size, double ask_size) noexcept nogil:
    # The touch prices, each weighted by the other side's size.
    return ((ask_size * <double>c.bid_tick + bid_size * <double>c.ask_tick)
            / (bid_size + ask_size) * c.tick_num / c.tick_den)


cdef double book_microprice(const CBook* c) noexcept nogil:
    if not _two_sided(c):
        return NAN
    return _between(c, <double>c.bid_qty, <double>c.ask_qty)


cdef double book_microprice_depth(const CBook* c, int depth) noexcept nogil:
    if not _two_sided(c) or depth < 1:
        return NAN
    return _between(c, side_weighted_units(&c.bids, depth), side_weighted_units(&c.asks, depth))


cdef double book_vwap(const CBook* c, int side, int n) noexcept nogil:
    cdef double units = side_units(_side(c, side), n)
    if units == 0.0:
        return NAN
    return side_tick_units(_side(c, side), n) / units * c.tick_num / c.tick_den


cdef double book_weight(const CBook* c, int side, int depth) noexcept nogil:
    return side_weighted_units(_side(c, side), depth) / c.qty_div


cdef double book_imbalance(const CBook* c, int depth) noexcept nogil:
    cdef int n = min(depth, c.n_bids, c.n_asks)
    cdef double bids, asks
    if n < 1:
        return 0.0
    bids = side_units(&c.bids, n)
    asks = side_units(&c.asks, n)
    return (bids - asks) / (bids + asks)


cdef double book_imbalance_weighted(const CBook* c, int depth) noexcept nogil:
    cdef double bids, asks
    if not _two_sided(c) or depth < 1:
        return 0.0
    bids = side_weighted_units(&c.bids, depth)
    asks = side_weighted_units(&c.asks, depth)
    return (bids - asks) / (bids + asks)


cdef bint book_analysis(const CBook* c, int depth, CBookAnalysis* out) noexcept nogil:
    cdef int n = min(depth, c.n_bids, c.n_asks)
    cdef double bids, asks
    memset(out, 0, sizeof(CBookAnalysis))
    if n < 1:
        return False
    bids = side_units(&c.bids, n)
    asks = side_units(&c.asks, n)
    out.bid_depth = bids / c.qty_div
    out.ask_depth = asks / c.qty_div
    out.weighted_bid_price = side_tick_units(&c.bids, n) / bids * c.tick_num / c.tick_den
    out.weighted_ask_price = side_tick_units(&c.asks, n) / asks * c.tick_num / c.tick_den
    out.imbalance = (bids - asks) / (bids + asks)
    return True


# -- flow ----------------------------------------------------------------------------------------

cdef void book_touch(const CBook* c, int depth, CTouch* out) noexcept nogil:
    out.bid_tick = c.bid_tick
    out.ask_tick = c.ask_tick
    if depth == 0:
        out.bid_size = <double>c.bid_qty / c.qty_div
        out.ask_size = <double>c.ask_qty / c.qty_div
    else:
        out.bid_size = side_weighted_units(&c.bids, depth) / c.qty_div
        out.ask_size = side_weighted_units(&c.asks, depth) / c.qty_div


cdef inline bint _comparable(const CTouch* before, const CTouch* after) noexcept nogil:
    return (before.bid_tick != INT64_MIN and before.ask_tick != INT64_MAX
            and after.bid_tick != INT64_MIN and after.ask_tick != INT64_MAX)


cdef double touch_ofi(const CTouch* before, const CTouch* after) noexcept nogil:
    # Cont, Kukanov, Stoikov (2014), eq. 4: a side that retreats loses the size it had before.
    cdef double flow = 0.0
    if not _comparable(before, after):
        return 0.0
    if after.bid_tick >= before.bid_tick:
        flow += after.bid_size
    if after.bid_tick <= before.bid_tick:
        flow -= before.bid_size
    if after.ask_tick <= before.ask_tick:
        flow -= after.ask_size
    if after.ask_tick >= before.ask_tick:
        flow += before.ask_size
    return flow


cdef double touch_voi(const CTouch* before, const CTouch* after) noexcept nogil:
    # Shen (2015): a side that retreats counts nothing.
    cdef double flow = 0.0
    if not _comparable(before, after):
        return 0.0
    if after.bid_tick >= before.bid_tick:
        flow += after.bid_size
        if after.bid_tick == before.bid_tick:
            flow -= before.bid_size
    if after.ask_tick <= before.ask_tick:
        flow -= after.ask_size
        if after.ask_tick == before.ask_tick:
            flow += before.ask_size
    return flow


# -- tapes ---------------------------------------------------------------------------------------

cdef bint book_follow(CBook* c, Cursor* at, int64_t until_ns) noexcept nogil:
    # The same as book_apply and cursor_seek in turns.  Most rows of a tape recorded level by level
    # are single levels and trades: what a run of them leaves is written down at its end.
    cdef const Event* rows = at.rows
    cdef const Event* e
    cdef const Event* last = NULL       # of the run under way
    cdef int64_t n_rows = at.n_rows
    cdef int64_t i = at.row
    cdef int64_t ns = at.ns
    cdef int64_t ts_ns
    cdef int64_t n = 0                  # single levels of the run
    cdef bint plain = _in_order(c)
    cdef bint seen = False
    while i < n_rows:
        e = &rows[i]
        if not e.flags & at.flag:
            i += event_rows(e)
            continue
        ts_ns = (&e.ts_venue_ns)[at.clock]
        if ts_ns < ns and at.bad_row < 0:
            at.bad_row = i
        ns = ts_ns
        if ns > until_ns or e.flags & at.apart:
            break
        at.n_passed += 1
        i += 1
        if e.kind == EV_DEPTH and plain and _oddities(e) == 0 and _put(c, e):
            last = e
            n += 1
        elif e.kind != EV_TRADE:
            if n:
                _passed(c, last, n)
                n = 0
            i += event_rows(e) - 1
            if e.kind == EV_DEPTH:
                book_apply(c, e)
            else:
                _note(c, e)
            plain = _in_order(c)
            seen = True
    if n:
        _passed(c, last, n)
        seen = True
    at.row = i
    at.ns = ns if i < n_rows else INT64_MAX
    return seen


cdef int64_t book_run(CBook* c, const Event* rows, int64_t n_rows, int depth, double* imbalance,
                      double* microprice) noexcept nogil:
    cdef int64_t row = 0
    cdef int64_t n = 0
    while row < n_rows and row + event_rows(&rows[row]) <= n_rows:
        book_apply(c, &rows[row])
        if imbalance != NULL:
            imbalance[n] = book_imbalance(c, depth)
        if microprice != NULL:
            microprice[n] = book_microprice(c)
        row += event_rows(&rows[row])
        n += 1
    return n
