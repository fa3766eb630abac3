"""The three quoting strategies of the parity runs, compiled against mmcore's declarations.

What a strategy of one's own looks like when it decides millions of times a minute: it reads the
replay's structs, calls its functions, and touches no Python object between two decisions.  The
rules are those of ``tests/parity/hbt_strategies.py``, which is easier to read.
"""

import numpy as np

from libc.math cimport ceil, floor, rint
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t

from mmcore._playback cimport (
    OUTCOME_END, CReplay, LocalFill, LocalOrder, order_active, order_over, replay_cancel,
    replay_clear_inactive, replay_elapse, replay_modify, replay_order, replay_submit, replay_wait,
)
from mmcore._replay cimport Replay
from mmcore._types cimport ASK, BID, TIF_GTX, TIF_IOC

FILL = np.dtype(
    [(name, "<i8") for name in ("exch_ts", "seen_ts", "order_id", "side", "tick", "qty", "maker")]
)

cdef enum:
    QUOTES_MAX = 256

cdef struct Quote:
    int64_t id
    int64_t tick            # as last asked for
    int side
    bint taker

cdef struct Desk:
    CReplay* r
    int64_t order_qty
    int64_t position
    int64_t last_id
    int64_t n_seen          # answers noted
    int64_t n_raw           # fills noted
    int n_quotes
    Quote quotes[QUOTES_MAX]
    int64_t n_out
    int64_t out_max
    int64_t* out            # rows of FILL


cdef void _note(Desk* d, const LocalFill* f) noexcept nogil:
    # One fill; pieces of one order that are seen together are one row.
    cdef int64_t* row
    d.position += f.side * f.qty
    row = d.out + 7 * (d.n_out - 1)
    if d.n_out and row[2] == f.order_id and row[1] == d.r.now_ns:
        row[0] = f.exch_ts
        row[4] = f.tick
        row[5] += f.qty
        row[6] = f.maker
        return
    if d.n_out == d.out_max:
        return
    row += 7
    row[0] = f.exch_ts
    row[1] = d.r.now_ns
    row[2] = f.order_id
    row[3] = f.side
    row[4] = f.tick
    row[5] = f.qty
    row[6] = f.maker
    d.n_out += 1


cdef void _poll(Desk* d) noexcept nogil:
    cdef int i
    cdef int kept = 0
    cdef LocalOrder* o
    if d.r.n_answers == d.n_seen:
        return
    d.n_seen = d.r.n_answers
    while d.n_raw < d.r.n_fills:
        _note(d, &d.r.fills[d.n_raw])
        d.n_raw += 1
    for i in range(d.n_quotes):
        o = replay_order(d.r, d.quotes[i].id)
        if o != NULL and not order_over(o):
            d.quotes[kept] = d.quotes[i]
            kept += 1
    d.n_quotes = kept
    replay_clear_inactive(d.r)


cdef void _submit(Desk* d, int side, int64_t tick, int tif) noexcept nogil:
    cdef Quote* q = &d.quotes[d.n_quotes]
    d.last_id += 1
    replay_submit(d.r, d.last_id, side, tick, d.order_qty, tif)
    q.id = d.last_id
    q.tick = tick
    q.side = side
    q.taker = tif == TIF_IOC
    d.n_quotes += 1


cdef void _cancel(Desk* d, const Quote* q) noexcept nogil:
    cdef LocalOrder* o = replay_order(d.r, q.id)
    if o != NULL and order_active(o):
        replay_cancel(d.r, q.id)


cdef Quote* _mine(Desk* d, int side) noexcept nogil:
    cdef int i
    for i in range(d.n_quotes):
        if d.quotes[i].side == side and not d.quotes[i].taker:
            return &d.quotes[i]
    return NULL


cdef inline int64_t _units(const Desk* d) noexcept nogil:
    return <int64_t>rint(<double>d.position / <double>d.order_qty)


cdef inline bint _two_sided(const CReplay* r) noexcept nogil:
    return r.book.bid_tick != INT64_MIN and r.book.ask_tick != INT64_MAX


cdef inline bint _allowed(int side, int64_t units, int64_t cap) noexcept nogil:
    return units < cap if side > 0 else units > -cap


# ---- one quote a side, a fixed number of ticks behind the touch


cdef void _fixed_offset(Desk* d, int64_t step, int64_t cap, int64_t off) noexcept nogil:
    cdef int64_t units, want
    cdef int side, i
    cdef Quote* q
    while replay_elapse(d.r, step) != OUTCOME_END:
        _poll(d)
        if not _two_sided(d.r):
            continue
        units = _units(d)
        for i in range(2):
            side = BID if i == 0 else ASK
            want = d.r.book.bid_tick - off if side > 0 else d.r.book.ask_tick + off
            q = _mine(d, side)
            if q == NULL:
                if _allowed(side, units, cap):
                    _submit(d, side, want, TIF_GTX)
            elif q.tick != want or not _allowed(side, units, cap):
                _cancel(d, q)


# ---- a ladder a side, moved whenever the middle moves


cdef bint _on_ladder(int64_t touch, int64_t tick, int side, int64_t gap,
                     int64_t levels) noexcept nogil:
    cdef int64_t away = (touch - tick) * side
    return 0 <= away < gap * levels and away % gap == 0


cdef void _grid(Desk* d, int64_t step, int64_t cap, int64_t gap, int64_t levels) noexcept nogil:
    cdef int64_t bid = 0
    cdef int64_t ask = 0
    cdef int64_t units, want, k
    cdef int side, s, i
    cdef bint there
    cdef Quote* q
    while replay_elapse(d.r, step) != OUTCOME_END:
        _poll(d)
        if not _two_sided(d.r):
            continue
        if d.r.book.bid_tick + d.r.book.ask_tick != bid + ask or bid == 0:
            bid = d.r.book.bid_tick
            ask = d.r.book.ask_tick
        units = _units(d)
        for i in range(d.n_quotes):
            q = &d.quotes[i]
            if not _allowed(q.side, units, cap) or not _on_ladder(
                    bid if q.side > 0 else ask, q.tick, q.side, gap, levels):
                _cancel(d, q)
        for s in range(2):
            side = BID if s == 0 else ASK
            if not _allowed(side, units, cap):
                continue
            for k in range(levels):
                want = bid - k * gap if side > 0 else ask + k * gap
                there = False
                for i in range(d.n_quotes):
                    if d.quotes[i].tick == want and d.quotes[i].side == side:
                        there = True
                        break
                if not there:
                    _submit(d, side, want, TIF_GTX)


# ---- one quote a side, skewed by the position, moved by modify; takes at the limit


cdef void _skewed_side(Desk* d, int side, int64_t want, bint allowed,
                       int64_t min_move) noexcept nogil:
    cdef Quote* q = _mine(d, side)
    cdef LocalOrder* o
    if q == NULL:
        if allowed:
            _submit(d, side, want, TIF_GTX)
        return
    if not allowed:
        _cancel(d, q)
        return
    if -min_move < q.tick - want < min_move:
        return
    o = replay_order(d.r, q.id)
    if o != NULL and order_active(o):
        replay_modify(d.r, q.id, want, d.order_qty)
        q.tick = want


cdef void _skewed(Desk* d, int64_t timeout, int64_t cap, int64_t half, int64_t skew,
                  int64_t min_move) noexcept nogil:
    cdef int64_t bid, ask, units, middle
    cdef int i
    cdef bint taking
    while replay_wait(d.r, timeout) != OUTCOME_END:
        _poll(d)
        if not _two_sided(d.r):
            continue
        bid = d.r.book.bid_tick
        ask = d.r.book.ask_tick
        units = _units(d)
        middle = bid + ask
        _skewed_side(d, BID, min(bid, <int64_t>floor((middle - half - skew * units) / 2.0)),
                     _allowed(BID, units, cap), min_move)
        _skewed_side(d, ASK, max(ask, <int64_t>ceil((middle + half - skew * units) / 2.0)),
                     _allowed(ASK, units, cap), min_move)
        if -cap < units < cap:
            continue
        taking = False
        for i in range(d.n_quotes):
            taking = taking or d.quotes[i].taker
        if not taking:
            _submit(d, ASK if units > 0 else BID, bid - 3 if units > 0 else ask + 3, TIF_IOC)


# ---- from Python


def run(Replay replay, int number, params, int64_t order_qty, int64_t fills_max=1_000_000):
    """Play strategy 1, 2 or 3 (0: none, the bare replay) to the end; FILL rows by time and id."""
    cdef Desk d
    cdef int64_t[:, ::1] view
    cdef int64_t p[5]
    cdef int i
    rows = np.zeros((fills_max, 7), np.int64)
    view = rows
    d.r = &replay.c
    d.order_qty = order_qty
    d.position = d.last_id = d.n_seen = d.n_raw = d.n_out = 0
    d.n_quotes = 0
    d.out = &view[0, 0]
    d.out_max = fills_max
    for i in range(5):
        p[i] = params[i] if i < len(params) else 0
    with nogil:
        if number == 1:
            _fixed_offset(&d, p[0], p[1], p[2])
        elif number == 2:
            _grid(&d, p[0], p[1], p[2], p[3])
        elif number == 3:
            _skewed(&d, p[0], p[1], p[2], p[3], p[4])
        else:
            while replay_elapse(d.r, p[0]) != OUTCOME_END:
                pass
        _poll(&d)
    found = rows[: d.n_out].copy().view(FILL).reshape(-1)
    return found[np.lexsort((found["order_id"], found["exch_ts"]))]
