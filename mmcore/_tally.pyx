"""Orders told by their ids become orders and the levels they sum to.

A feed that tells each order (market by order, level 3) does not say what a price level holds.  The
tally adds it up once, where a tape is read, and puts behind every row of an order the depth row
that follows from it: books, signals, reports and the queue models that need levels see the tape
that they know, and the queue model that knows orders reads their rows.

On a tape of two clocks the venue's side and ours have a sum of their own; where both come to the
same, one depth row serves both.  Orders told in the instant in which the tape begins, or the whole
book is cleared, are one book: its levels come as a snapshot when that instant is over.  So do the
changes of any other instant where they are wanted together.
"""

from collections import namedtuple

import numpy as np

from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy, memset

from ._book cimport Book, book_apply, book_qty, book_top
from ._depth cimport CBook
from ._ids cimport IDS_OK, MarketOrder, ids_apply, ids_find
from ._types cimport (
    ASK, BID, EV_CLEAR, EV_DEPTH, EV_ORDER_ADD, FLAG_CONT, FLAG_EXCH, FLAG_LOCAL, FLAG_MORE,
    FLAG_SNAPSHOT, LEVELS_MAX, ST_FULL, Event, Level,
)

from .events import EVENT, LEVEL

FAR_LEVELS = 1 << 18        # price levels away from the touch, a side
WORDS = (
    "", "an order that is not there: left out", "an order that is there already: taken as a change",
    "more traded than the order holds: the excess left out",
    "a side, price or quantity that cannot be: left out",
)
Doubt = namedtuple("Doubt", "row what")


# ---- what a row does to the levels of one clock


cdef void _level(Clock* c, int side, int64_t tick, int64_t change) noexcept nogil:
    # A level holds so much more; it is told when the message is over.
    cdef Event one
    cdef int i
    memset(&one, 0, sizeof(Event))
    one.kind = EV_DEPTH
    one.side = side
    one.tick = tick
    one.qty = book_qty(c.book, side, tick) + change
    book_apply(c.book, &one)
    if c.whole:
        return
    for i in range(c.n_changed):
        if c.changed[i].tick == tick and c.changed[i].side == side:
            return
    c.changed[c.n_changed].tick = tick
    c.changed[c.n_changed].side = side
    c.n_changed += 1


cdef MarketOrder _order(const CBook* b, int64_t id) noexcept nogil:
    cdef const MarketOrder* o = ids_find(b.ids, id)
    cdef MarketOrder none
    if o != NULL:
        return o[0]
    memset(&none, 0, sizeof(MarketOrder))
    return none


cdef int _take_in(Clock* c, const Event* e) noexcept nogil:
    cdef MarketOrder x = _order(c.book, e.aux)
    cdef MarketOrder y
    cdef int result = ids_apply(c.book.ids, e)
    y = _order(c.book, e.aux)
    if x.rank and y.rank and x.side == y.side and x.tick == y.tick:
        if x.qty != y.qty:
            _level(c, y.side, y.tick, y.qty - x.qty)
    else:
        if x.rank:
            _level(c, x.side, x.tick, -x.qty)
        if y.rank:
            _level(c, y.side, y.tick, y.qty)
    return result


cdef void _message(Clock* c) noexcept nogil:
    # The levels of the message to come, bids first.
    cdef int i, k, side
    cdef int n = 0
    if c.whole:
        c.n_bids = book_top(c.book, BID, c.book.n_bids, c.levels)
        c.n_asks = book_top(c.book, ASK, c.book.n_asks, c.levels + c.n_bids)
        return
    for k in range(2):
        side = BID if k == 0 else ASK
        for i in range(c.n_changed):
            if c.changed[i].side == side:
                c.levels[n].tick = c.changed[i].tick
                c.levels[n].qty = book_qty(c.book, side, c.changed[i].tick)
                n += 1
        if side == BID:
            c.n_bids = n
    c.n_asks = n - c.n_bids


cdef bint _same(const CTally* t) noexcept nogil:
    # Have both clocks the same message?
    cdef const Clock* a = &t.clocks[0]
    cdef const Clock* b = &t.clocks[1]
    if a.whole or b.whole:
        return a.whole and b.whole and t.twin
    if a.n_bids != b.n_bids or a.n_asks != b.n_asks:
        return False
    if a.last.ts_venue_ns != b.last.ts_venue_ns or a.last.ts_local_ns != b.last.ts_local_ns:
        return False
    return memcmp(a.levels, b.levels, (a.n_bids + a.n_asks) * sizeof(Level)) == 0


# ---- rows out


cdef Event* _depth(CTally* t, const Clock* c, int flags) noexcept nogil:
    # The next row out: the header of a depth message at the times of the last order.
    cdef Event* out = &t.out[t.n_out]
    t.n_out += 1
    memset(out, 0, sizeof(Event))
    out.kind = EV_DEPTH
    out.flags = flags
    out.instrument = c.last.instrument
    out.ts_venue_ns = c.last.ts_venue_ns
    out.ts_local_ns = c.last.ts_local_ns
    return out


cdef void _put(CTally* t, Clock* c, int flags) noexcept nogil:
    # The message, in as many parts as it takes.
    cdef int n = c.n_bids + c.n_asks
    cdef int at = 0
    cdef int piece, rows
    cdef Event* out
    if n == 1 and not c.whole:
        out = _depth(t, c, flags)
        out.side = BID if c.n_bids else ASK
        out.tick = c.levels[0].tick
        out.qty = c.levels[0].qty
        return
    while at < n:
        piece = min(n - at, LEVELS_MAX)
        out = _depth(t, c, flags | (FLAG_SNAPSHOT if c.whole else 0))
        out.flags |= (FLAG_CONT if at else 0) | (FLAG_MORE if at + piece < n else 0)
        out.n_bids = max(0, min(c.n_bids - at, piece))
        out.n_asks = piece - out.n_bids
        rows = (piece + 3) >> 2
        memset(&t.out[t.n_out], 0, rows * sizeof(Event))
        memcpy(&t.out[t.n_out], c.levels + at, piece * sizeof(Level))
        t.n_out += rows
        at += piece


cdef void _tell(CTally* t, bint venue, bint ours) noexcept nogil:
    # What the orders of one clock, or both, have come to.
    cdef Clock* a = &t.clocks[0]
    cdef Clock* b = &t.clocks[1]
    if venue:
        _message(a)
    if ours:
        _message(b)
    if venue and ours and _same(t):
        _put(t, a, FLAG_EXCH | FLAG_LOCAL)
    else:
        if venue:
            _put(t, a, FLAG_EXCH)
        if ours:
            _put(t, b, FLAG_LOCAL)
    if venue:
        a.whole = False
        a.n_changed = 0
    if ours:
        b.whole = False
        b.n_changed = 0
    t.twin = False


# ---- rows in


cdef inline int _flag(int clock) noexcept nogil:
    return FLAG_EXCH if clock == 0 else FLAG_LOCAL


cdef inline int64_t _ns(const Event* e, int clock) noexcept nogil:
    return e.ts_venue_ns if clock == 0 else e.ts_local_ns


cdef inline bint _waits(const CTally* t, int clock) noexcept nogil:
    cdef const Clock* c = &t.clocks[clock]
    return (c.whole or c.n_changed > 0) and c.last.kind != 0


cdef inline bint _over(const CTally* t, const Event* e, int clock) noexcept nogil:
    # Is the instant under way over, by this row?
    cdef const Clock* c = &t.clocks[clock]
    if not e.flags & _flag(clock) or not _waits(t, clock):
        return False
    if _ns(e, clock) != c.ns or e.kind == EV_CLEAR or c.n_changed > CHANGED_MAX - 2:
        return True
    return c.whole and e.kind != EV_ORDER_ADD


cdef void _cleared(CTally* t, const Event* e) noexcept nogil:
    cdef int k
    for k in range(2):
        if e.flags & _flag(k):
            book_apply(t.clocks[k].book, e)
            if e.side == 0:
                t.clocks[k].whole = True
                t.clocks[k].ns = _ns(e, k)
                t.clocks[k].last = e[0]
    t.twin = e.side == 0 and e.flags & FLAG_EXCH and e.flags & FLAG_LOCAL


cdef void _ordered(CTally* t, const Event* e) noexcept nogil:
    cdef Clock* c
    cdef int what = IDS_OK
    cdef int k
    cdef bint more = False
    cdef Event* out = &t.out[t.n_out]
    out[0] = e[0]
    t.n_out += 1
    if not (e.flags & FLAG_EXCH and e.flags & FLAG_LOCAL):
        t.twin = False
    for k in range(2):
        if e.flags & _flag(k):
            c = &t.clocks[k]
            what = max(what, _take_in(c, e))
            c.ns = _ns(e, k)
            c.last = e[0]
            more = more or _waits(t, k)
    if more:
        out.flags |= FLAG_MORE
        if not t.together and t.clocks[0].n_changed + t.clocks[1].n_changed:
            _tell(t, t.clocks[0].n_changed, t.clocks[1].n_changed)
    if what != IDS_OK:
        if t.n_noted < NOTED_MAX:
            t.noted[t.n_noted].row = t.n_rows
            t.noted[t.n_noted].what = what
        t.n_noted += 1


cdef void _run(CTally* t, const Event* rows, int64_t n) noexcept nogil:
    cdef const Event* e
    cdef int64_t i
    cdef bint venue, ours
    for i in range(n):
        e = &rows[i]
        if e.kind == EV_DEPTH:
            t.bad_row = t.n_rows
            return
        venue = _over(t, e, 0)
        ours = _over(t, e, 1)
        if venue or ours:
            _tell(t, venue, ours)
        if e.kind >= EV_ORDER_ADD:
            _ordered(t, e)
        else:
            t.out[t.n_out] = e[0]
            t.n_out += 1
            if e.kind == EV_CLEAR:
                _cleared(t, e)
        t.n_rows += 1


cdef class Tally:
    """The orders of one instrument, block by block; see the module's first lines.

    together: the levels that change in one instant are one message, so that nobody decides on half
    of it; else each order's own.
    """

    cdef CTally c
    cdef Book venue
    cdef Book ours

    def __cinit__(self, bint together=False):
        self.venue = Book(far_levels=FAR_LEVELS)
        self.ours = Book(far_levels=FAR_LEVELS)
        self.c.clocks[0].book = self.venue.c
        self.c.clocks[1].book = self.ours.c
        self.c.clocks[0].whole = self.c.clocks[1].whole = self.c.twin = True
        self.c.together = together
        self.c.bad_row = -1

    def __init__(self, bint together=False):
        pass

    def run(self, rows):
        """EVENT rows of orders, prints and clears, each with the depth rows that follow from it.

        Takes the memory for what they may add.  Raises ValueError for a depth row, which has no
        place among orders, and OverflowError for more price levels than a book holds.
        """
        cdef const unsigned char[::1] view
        cdef int64_t n = len(rows)
        room = _room(self, n)
        if n:
            view = np.ascontiguousarray(rows, EVENT).view("u1")
            with nogil:
                _run(&self.c, <const Event*>&view[0], n)
        return _taken(self, room)

    def end(self):
        """No further row will come: the depth rows that waited for it."""
        room = _room(self, 0)
        _tell(&self.c, _waits(&self.c, 0), _waits(&self.c, 1))
        return _taken(self, room)

    @property
    def n_doubts(self):
        """Rows so far that could not be true."""
        return self.c.n_noted

    @property
    def doubts(self):
        """The first hundred of them: the row's number, over all blocks from 0, and what it says."""
        cdef int i
        return [Doubt(self.c.noted[i].row, WORDS[self.c.noted[i].what])
                for i in range(min(self.c.n_noted, NOTED_MAX))]


cdef _room(Tally tally, int64_t n):
    # Every row may come with two messages of two levels, and a whole book before it.
    cdef unsigned char[::1] out
    cdef int64_t[::1] levels
    cdef Book book
    cdef int64_t held = 0
    cdef int k
    kept = []
    for k, book in enumerate((tally.venue, tally.ours)):
        resting = book.order_counters.resting if book.order_counters else 0
        book.reserve_orders(1 << int(max(1024, resting + n)).bit_length())
        held += book.n_bids + book.n_asks
        kept.append(np.empty(book.n_bids + book.n_asks + 2 * n + CHANGED_MAX, LEVEL))
        levels = kept[k].view(np.int64)
        tally.c.clocks[k].levels = <Level*>&levels[0]
    rows = np.empty(6 * n + held + 2 * CHANGED_MAX, EVENT)
    out = rows.view("u1")
    tally.c.n_out = 0
    tally.c.out = <Event*>&out[0]
    return rows, kept


cdef _taken(Tally tally, room):
    cdef Book book
    if tally.c.bad_row >= 0:
        raise ValueError(f"row {tally.c.bad_row}: a level among orders")
    for book in (tally.venue, tally.ours):
        if book.c.health == ST_FULL:
            raise OverflowError(f"more than {FAR_LEVELS} price levels away from the touch")
    return room[0][:tally.c.n_out].copy()
