"""The touch of one instrument over a tape, for measuring what fills were worth."""

import numpy as np

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t

from ._book cimport Book
from ._depth cimport CBook, book_apply, book_imbalance, event_rows
from ._types cimport (
    EV_CLEAR, EV_DEPTH, EV_LINK_DOWN, EV_TRADE, FLAG_MORE, ST_OK, ST_WARMUP, Event,
)

from .events import EVENT

PATH = np.dtype(
    [
        ("ts_venue_ns", "<i8"),
        ("ts_local_ns", "<i8"),
        ("bid_tick", "<i8"),
        ("ask_tick", "<i8"),
        ("bid_qty", "<i8"),
        ("ask_qty", "<i8"),
        ("imbalance", "<f8"),
    ]
)
PRINT = np.dtype(
    [
        ("ts_venue_ns", "<i8"),
        ("ts_local_ns", "<i8"),
        ("tick", "<i8"),
        ("qty", "<i8"),
        ("side", "<i8"),
    ]
)


cdef bint _usable(const CBook* c) noexcept nogil:
    # A tape that builds its book from single levels has no snapshot and stays in warm-up.
    return ((c.health == ST_OK or c.health == ST_WARMUP) and c.bid_tick != INT64_MIN
            and c.ask_tick != INT64_MAX and c.bid_tick < c.ask_tick)


cdef bint _touch(const CBook* c, const Event* e, int depth, CPathRow* last,
                 CPathRow* out) noexcept nogil:
    # The state after a message into `out`; False where nothing changed.
    cdef bint usable = _usable(c)
    out.bid_tick = c.bid_tick if usable else 0
    out.ask_tick = c.ask_tick if usable else 0
    out.bid_qty = c.bid_qty if usable else 0
    out.ask_qty = c.ask_qty if usable else 0
    if (out.bid_tick == last.bid_tick and out.ask_tick == last.ask_tick
            and out.bid_qty == last.bid_qty and out.ask_qty == last.ask_qty):
        return False
    out.ts_venue_ns = e.ts_venue_ns
    out.ts_local_ns = e.ts_local_ns
    out.imbalance = book_imbalance(c, depth) if usable else 0.0
    last[0] = out[0]
    return True


cdef void path_run(CBook* c, const Event* rows, int64_t n_rows, int instrument, int flag, int depth,
                   CPathRow* path, CPrint* prints, int64_t* counts) noexcept nogil:
    cdef int64_t row = 0
    cdef const Event* e
    cdef CPathRow last
    last.bid_tick = last.ask_tick = last.bid_qty = last.ask_qty = -1
    counts[0] = counts[1] = 0
    while row < n_rows and row + event_rows(&rows[row]) <= n_rows:
        e = &rows[row]
        row += event_rows(e)
        if e.instrument != instrument or (flag and not e.flags & flag):
            continue
        if e.kind == EV_TRADE:
            prints[counts[1]].ts_venue_ns = e.ts_venue_ns
            prints[counts[1]].ts_local_ns = e.ts_local_ns
            prints[counts[1]].tick = e.tick
            prints[counts[1]].qty = e.qty
            prints[counts[1]].side = e.side
            counts[1] += 1
        elif e.kind == EV_DEPTH or e.kind == EV_CLEAR or e.kind == EV_LINK_DOWN:
            book_apply(c, e)
            if not e.flags & FLAG_MORE and _touch(c, e, depth, &last, &path[counts[0]]):
                counts[0] += 1


cdef void _count(const Event* rows, int64_t n_rows, int64_t* counts) noexcept nogil:
    # Upper bounds of what `path_run` leaves.
    cdef int64_t row = 0
    counts[0] = counts[1] = 0
    while row < n_rows and row + event_rows(&rows[row]) <= n_rows:
        if rows[row].kind == EV_TRADE:
            counts[1] += 1
        else:
            counts[0] += 1
        row += event_rows(&rows[row])


def path_of(Book book not None, rows, *, int instrument=0, int flag=0, int depth=5):
    """Every touch and every print of one instrument among EVENT rows, in their order."""
    if rows.dtype != EVENT:
        raise ValueError(f"rows of {rows.dtype}, expected events.EVENT")
    cdef const unsigned char[::1] block = np.ascontiguousarray(rows).view(np.uint8)
    cdef int64_t n_rows = len(rows)
    cdef const Event* first = <const Event*>&block[0] if n_rows else NULL
    cdef int64_t[2] counts
    _count(first, n_rows, counts)
    path, prints = np.zeros(counts[0] + 1, PATH), np.zeros(counts[1] + 1, PRINT)
    cdef unsigned char[::1] path_bytes = path.view(np.uint8)
    cdef unsigned char[::1] print_bytes = prints.view(np.uint8)
    with nogil:
        path_run(book.c, first, n_rows, instrument, flag, depth, <CPathRow*>&path_bytes[0],
                 <CPrint*>&print_bytes[0], counts)
    return path[:counts[0]], prints[:counts[1]]
