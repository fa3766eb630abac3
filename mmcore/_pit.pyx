"""The pit of one synthetic instrument: what rests, and the messages that say so.

A ring of lots by grid step for each side; a list of the steps whose lots changed since the last
depth message; the three streams that it speaks on.  Nothing here is random but the line's delay and
how a trade falls into prints.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport qsort
from libc.string cimport memset

from ._feed cimport (
    DEPTH_STREAM, TOUCH_STREAM, TRADE_STREAM, Stream, feed_room, feed_row, feed_send, feed_stamp,
)
from ._rng cimport rng_uniform
from ._types cimport (
    ASK, BID, EV_BEST, EV_DEPTH, EV_TRADE, FLAG_CONT, FLAG_EXCH, FLAG_LOCAL, FLAG_MORE, LEVELS_MAX,
    Event, Level,
)


cdef int64_t pit_lots(const Pit* p, int k, int64_t step) noexcept nogil:
    return p.sides[k].lots[step & p.mask]


cdef void pit_rest(Pit* p, int k, int64_t step, int64_t lots) noexcept nogil:
    # from now on `lots` rest there
    cdef Side* s = &p.sides[k]
    cdef int64_t slot = step & p.mask
    if s.lots[slot] == lots:
        return
    s.lots[slot] = lots
    p.update_id += 1
    if not s.marked[slot]:
        s.marked[slot] = 1
        s.changed[s.n_changed] = step
        s.n_changed += 1


cdef int64_t pit_behind(const Pit* p, int k) noexcept nogil:
    # the first occupied step behind the best, or 0 where none is in the window
    cdef int away = -1 if k == 0 else 1
    cdef int64_t _, step = p.sides[k].best
    for _ in range(p.window):
        step += away
        if pit_lots(p, k, step):
            return step
    return 0


cdef int64_t pit_reachable(const Pit* p, int k, int64_t step) noexcept nogil:
    # the rings by step hold one window around the last message's touch on either side
    cdef int64_t shown = p.sides[k].best_shown
    if step > shown + p.window:
        return shown + p.window
    if step < shown - p.window:
        return shown - p.window
    return step


cdef void pit_move(Pit* p, int k, int64_t step) noexcept nogil:
    # the best of a side is elsewhere: what stood better is gone, and what is now too far behind
    cdef Side* s = &p.sides[k]
    cdef int away = -1 if k == 0 else 1
    cdef int64_t old = s.best
    cdef int64_t t
    if (step - old) * away > 0:
        t = old
        while t != step:
            pit_rest(p, k, t, 0)
            t += away
    else:
        t = step + away * (p.window + 1)
        while t != old + away * (p.window + 1):
            pit_rest(p, k, t, 0)
            t += away
    s.best = step


cdef inline void header(Pit* p, Event* e, int kind, int side, int64_t venue_ns,
                        int64_t local_ns) noexcept nogil:
    memset(e, 0, sizeof(Event))
    e.kind = kind
    e.side = side
    e.flags = FLAG_EXCH | FLAG_LOCAL
    e.instrument = p.instrument
    e.ts_venue_ns = venue_ns
    e.ts_local_ns = local_ns


cdef void pit_touch(Pit* p, int64_t ts_ns) noexcept nogil:
    cdef Stream* s = &p.streams[TOUCH_STREAM]
    cdef Event* e
    cdef int64_t venue_ns
    cdef int64_t local_ns = feed_stamp(s, p.feed, &p.delay, &p.rng, ts_ns, p.busy, &venue_ns)
    cdef int k
    for k in range(2):
        e = feed_row(s, k)
        header(p, e, EV_BEST, BID if k == 0 else ASK, venue_ns, local_ns)
        e.seq = p.update_id
        e.tick = p.sides[k].best * p.tick_step
        e.qty = pit_lots(p, k, p.sides[k].best) * p.lot
    feed_send(p.feed, s, 2, local_ns)


cdef int better_first(const void* a, const void* b) noexcept nogil:
    # bids are given with their steps negated, so the lower comes first on both sides
    cdef int64_t x = (<const Level*>a).tick, y = (<const Level*>b).tick
    return -1 if x < y else (1 if x > y else 0)


cdef int32_t gather(Pit* p, int k, Level* out) noexcept nogil:
    # the levels of one side that differ from what is shown, best first; they are shown from now on
    cdef Side* s = &p.sides[k]
    cdef int sign = -1 if k == 0 else 1
    cdef int32_t i, n = 0
    cdef int64_t slot
    for i in range(s.n_changed):
        slot = s.changed[i] & p.mask
        s.marked[slot] = 0
        if s.lots[slot] == s.shown[slot]:
            continue
        s.shown[slot] = s.lots[slot]
        out[n].tick = sign * s.changed[i]
        out[n].qty = s.lots[slot]
        n += 1
    s.n_changed = 0
    s.best_shown = s.best
    qsort(out, n, sizeof(Level), better_first)
    for i in range(n):
        out[i].tick *= sign * p.tick_step
        out[i].qty *= p.lot
    return n


cdef void pit_publish(Pit* p, int flags) noexcept nogil:
    # one message, in parts of LEVELS_MAX levels where it is larger
    cdef Stream* s = &p.streams[DEPTH_STREAM]
    cdef int32_t n_bids = gather(p, 0, p.scratch)
    cdef int32_t n = n_bids + gather(p, 1, p.scratch + n_bids)
    cdef int32_t done = 0, part, i
    cdef int64_t venue_ns, local_ns, row = 0
    cdef Event* e
    if n == 0:
        return
    local_ns = feed_stamp(s, p.feed, &p.delay, &p.rng, p.now_ns, p.busy, &venue_ns)
    while done < n:
        part = min(n - done, <int32_t>LEVELS_MAX)
        e = feed_row(s, row)
        header(p, e, EV_DEPTH, 0, venue_ns, local_ns)
        e.flags |= flags
        if done:
            e.flags |= FLAG_CONT
        if done + part < n:
            e.flags |= FLAG_MORE
        e.n_bids = max(0, min(part, n_bids - done))
        e.n_asks = part - e.n_bids
        e.seq = p.update_id
        e.aux = p.depth_id
        row += 1
        for i in range(0, part, 4):
            e = feed_row(s, row)
            memset(e, 0, sizeof(Event))
            (<Level*>e)[0] = p.scratch[done + i]
            if i + 1 < part:
                (<Level*>e)[1] = p.scratch[done + i + 1]
            if i + 2 < part:
                (<Level*>e)[2] = p.scratch[done + i + 2]
            if i + 3 < part:
                (<Level*>e)[3] = p.scratch[done + i + 3]
            row += 1
        done += part
    feed_send(p.feed, s, row, local_ns)
    p.depth_id = p.update_id


cdef int64_t print_row(Pit* p, int64_t row, int side, int64_t step, int64_t lots,
                       int64_t venue_ns, int64_t local_ns) noexcept nogil:
    cdef Event* e = feed_row(&p.streams[TRADE_STREAM], row)
    p.trade_id += 1
    header(p, e, EV_TRADE, side, venue_ns, local_ns)
    e.seq = p.trade_id
    e.tick = step * p.tick_step
    e.qty = lots * p.lot
    return row + 1


cdef int64_t pit_print(Pit* p, int64_t row, int side, int64_t step, int64_t lots, int pieces,
                       int64_t venue_ns, int64_t local_ns) noexcept nogil:
    # `lots` traded at one price, in up to so many prints: one for each order that rested there
    cdef int64_t piece
    while pieces > 1 and lots > 1:
        piece = 1 + <int64_t>(rng_uniform(&p.rng) * 2.0 * lots / pieces)
        if piece >= lots:
            break
        row = print_row(p, row, side, step, piece, venue_ns, local_ns)
        lots -= piece
        pieces -= 1
    return print_row(p, row, side, step, lots, venue_ns, local_ns)


cdef bint pit_room(const Pit* p) noexcept nogil:
    return (feed_room(&p.streams[TRADE_STREAM]) >= ROWS_OF_A_STEP
            and feed_room(&p.streams[TOUCH_STREAM]) >= ROWS_OF_A_STEP
            and feed_room(&p.streams[DEPTH_STREAM]) >= p.mask // 2 + 64)
