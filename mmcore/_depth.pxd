# What a book does with a message, and the signals that are read off it.
from libc.stdint cimport INT64_MAX, int32_t, int64_t

from ._ids cimport CIds
from ._side cimport BookSide
from ._types cimport EV_DEPTH, Event, Level

cdef enum BookReturn:
    BK_OK = 0               # applied, or an event that does not concern the book
    BK_OLD = 1              # already contained in what the book holds: ignored
    BK_GAP = 2              # the sequence is broken: ignored until the next snapshot
    BK_EMPTY = 3            # no snapshot yet: ignored
    BK_FULL = 4             # capacity ran out: ignored until the next snapshot
    BK_BAD = 5              # malformed: nothing applied, the book is stale until the next snapshot

cdef struct CBook:
    int64_t bid_tick        # INT64_MIN: no bids
    int64_t ask_tick        # INT64_MAX: no asks
    int64_t bid_qty         # units, 0: no bids
    int64_t ask_qty
    int32_t n_bids
    int32_t n_asks
    int32_t health          # EngineStatus: ST_OK, WARMUP, GAP, CROSSED, ONE_SIDED, STALE or FULL
    int32_t blocked         # EngineStatus that only a snapshot or a clear ends, 0: none
    int64_t last_seq        # last update id
    int64_t ts_venue_ns     # of the last applied message
    int64_t ts_local_ns
    int64_t n_messages      # applied
    int64_t n_levels        # level changes applied
    int64_t n_gaps
    int64_t n_old
    int64_t n_bad
    int64_t n_crossed       # messages that left the book crossed
    double tick_num         # price = tick * tick_num / tick_den, quote currency
    double tick_den
    double qty_div          # quantity = units / qty_div
    int64_t width_min       # the window never shrinks below this
    int32_t fresh           # no delta applied since the snapshot
    int32_t part            # BookReturn of the message whose continuation is awaited, -1: none
    BookSide bids
    BookSide asks
    CIds* ids               # the orders that make it up, by id; NULL: not kept

# Best prices and the sizes there, or the depth-weighted sizes behind them.
cdef struct CTouch:
    int64_t bid_tick
    int64_t ask_tick
    double bid_size
    double ask_size

cdef struct CBookAnalysis:  # over the same number of levels on both sides
    double bid_depth        # quantity
    double ask_depth
    double weighted_bid_price
    double weighted_ask_price
    double imbalance        # [-1, 1]

# Applies one event; depth, clear and link loss matter, the rest has no effect.  The level rows of a
# depth message follow it in memory.  The caller routes by instrument.
cdef int book_apply(CBook* c, const Event* e) noexcept nogil
cdef int64_t book_qty(const CBook* c, int side, int64_t tick) noexcept nogil    # units, 0: no level
cdef int book_top(const CBook* c, int side, int n, Level* out) noexcept nogil    # best first; count

# Prices in quote currency; nan without both sides.
cdef double book_price(const CBook* c, int64_t tick) noexcept nogil
cdef double book_mid(const CBook* c) noexcept nogil
cdef double book_spread_bps(const CBook* c) noexcept nogil
cdef double book_microprice(const CBook* c) noexcept nogil
cdef double book_microprice_depth(const CBook* c, int depth) noexcept nogil  # sizes: book_weight
cdef double book_vwap(const CBook* c, int side, int n) noexcept nogil    # nan without levels

# Sum of e^(-i/2) * quantity over the first `depth` levels of a side, i = 0 at the touch.
cdef double book_weight(const CBook* c, int side, int depth) noexcept nogil
# (bids - asks) / (bids + asks), [-1, 1], 0 without both sides.
cdef double book_imbalance(const CBook* c, int depth) noexcept nogil     # min(depth, both sides)
cdef double book_imbalance_weighted(const CBook* c, int depth) noexcept nogil
cdef bint book_analysis(const CBook* c, int depth, CBookAnalysis* out) noexcept nogil  # 0: none

# Flow between two states of the touch, in quantity; 0 where either lacks a side.
cdef void book_touch(const CBook* c, int depth, CTouch* out) noexcept nogil  # depth 0: touch sizes
cdef double touch_ofi(const CTouch* before, const CTouch* after) noexcept nogil
cdef double touch_voi(const CTouch* before, const CTouch* after) noexcept nogil

# Applies every message of a block, in order; signals of each into imbalance and microprice where
# they are not NULL.  Returns the messages seen; one that is cut off at the end is not.
cdef int64_t book_run(CBook* c, const Event* rows, int64_t n_rows, int depth, double* imbalance,
                      double* microprice) noexcept nogil

# Rows of a message, header included.
cdef inline int64_t event_rows(const Event* e) noexcept nogil:
    if e.kind != EV_DEPTH:
        return 1
    return 1 + ((<int64_t>e.n_bids + <int64_t>e.n_asks + 3) >> 2)

# One side's way along a tape in which each row is for the venue, for us, or for both.
ctypedef struct Cursor:
    const Event* rows
    int64_t n_rows
    int64_t row             # of the side's next message
    int64_t ns              # and that one's time; INT64_MAX behind the last
    int64_t n_passed        # messages
    int64_t bad_row         # the first whose time is before the one ahead of it; -1: none
    int clock               # which of a row's two times counts: 0 the venue's, 1 ours
    int flag                # of the side's rows
    int apart               # flags of rows that the book must not be given here

cdef inline void cursor_seek(Cursor* at, int64_t i) noexcept nogil:
    # From row i on, the side's next message.
    cdef int64_t ns = INT64_MAX
    while i < at.n_rows and not at.rows[i].flags & at.flag:
        i += event_rows(&at.rows[i])
    if i < at.n_rows:
        ns = (&at.rows[i].ts_venue_ns)[at.clock]    # the two times lie one behind the other
    if ns < at.ns and at.bad_row < 0:
        at.bad_row = i
    at.row = i
    at.ns = ns

# Applies the side's messages up to a time, and stops ahead of one apart.  0: none but trades.
cdef bint book_follow(CBook* c, Cursor* at, int64_t until_ns) noexcept nogil

# For the owner of the memory: a block status, and the fields that mirror the sides.
cdef void book_block(CBook* c, int status) noexcept nogil
cdef void book_publish(CBook* c) noexcept nogil
