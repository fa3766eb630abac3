"""The touch of one instrument over a tape, for measuring what fills were worth."""

import numpy as np

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t

from ._book cimport Book
from ._depth cimport CBook, book_apply, book_imbalance, event_rows
from ._types cimport (
    EV_CLEAR, EV_DEPTH, EV_LINK_DOWN, EV_TRADE, FLAG_MORE, ST_OK, ST_WARMUP, Event,
)

from .events import EVENT

_ROOM = 65_536      # touches, and prints, between two copies: what stays in the cache
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
                   CPathRow* touches, CPrint* prints, int64_t room, CPathRun* run) noexcept nogil:
    cdef const Event* e
    cdef CPrint* told
    run.n_touches = run.n_prints = 0
    while (run.n_touches < room and run.n_prints < room and run.row < n_rows
           and run.row + event_rows(&rows[run.row]) <= n_rows):
        e = &rows[run.row]
        run.row += event_rows(e)
        if e.instrument != instrument or (flag and not e.flags & flag):
            continue
        if e.kind == EV_TRADE:
            told = &prints[run.n_prints]
            told.ts_venue_ns = e.ts_venue_ns
            told.ts_local_ns = e.ts_local_ns
            told.tick = e.tick
            told.qty = e.qty
            told.side = e.side
            run.n_prints += 1
        elif e.kind == EV_DEPTH or e.kind == EV_CLEAR or e.kind == EV_LINK_DOWN:
            book_apply(c, e)
            if not e.flags & FLAG_MORE and _touch(c, e, depth, &run.last, &touches[run.n_touches]):
                run.n_touches += 1


def path_of(Book book not None, rows, *, int instrument=0, int flag=0, int depth=5):
    """Every touch and every print of one instrument among EVENT rows, in their order."""
    if rows.dtype != EVENT:
        raise ValueError(f"rows of {rows.dtype}, expected events.EVENT")
    cdef const unsigned char[::1] block = np.ascontiguousarray(rows).view(np.uint8)
    cdef int64_t n_rows = len(rows), room = min(n_rows, _ROOM) + 1
    cdef const Event* first = <const Event*>&block[0] if n_rows else NULL
    touches, prints = np.zeros(room, PATH), np.zeros(room, PRINT)
    cdef unsigned char[::1] touch_bytes = touches.view(np.uint8)
    cdef unsigned char[::1] print_bytes = prints.view(np.uint8)
    cdef CPathRun run
    run.row = 0
    run.last.bid_tick = run.last.ask_tick = run.last.bid_qty = run.last.ask_qty = -1
    run.n_touches = room
    kept = [], []
    while run.n_touches == room or run.n_prints == room:    # else the rows came to their end
        with nogil:
            path_run(book.c, first, n_rows, instrument, flag, depth, <CPathRow*>&touch_bytes[0],
                     <CPrint*>&print_bytes[0], room, &run)
        kept[0].append(touches[:run.n_touches].copy())
        kept[1].append(prints[:run.n_prints].copy())
    return np.concatenate(kept[0]), np.concatenate(kept[1])
