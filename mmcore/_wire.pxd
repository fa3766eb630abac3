# What one frame of a venue says: its depth, trade or best quote, read into a CScan.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from ._json cimport Cursor, Span
from ._types cimport Level

cdef enum:
    SIDE_MAX = 8192         # levels of one side in one frame; REST snapshots hold up to 5,000
    SCALES_MAX = 1024       # instruments of one scanner
    SYMBOL_MAX = 40         # bytes of a symbol

cdef enum Dialect:
    BINANCE_FUTURES = 1     # USD-M and COIN-M
    BINANCE_SPOT = 2
    BYBIT = 3
    HYPERLIQUID = 4

# How one instrument's decimals become integers.
ctypedef struct Scale:
    int64_t tick_mul        # tick in units of 10^-price_decimals
    int32_t price_decimals
    int32_t qty_decimals
    int32_t instrument      # Event.instrument
    int32_t symbol_len
    char symbol[SYMBOL_MAX]

# One scanner: its table, and what the last frame said.
ctypedef struct CScan:
    int32_t dialect         # Dialect
    int32_t n_scales
    Scale* scales           # [n_scales]
    Level* bids             # [SIDE_MAX]
    Level* asks             # [SIDE_MAX]
    int32_t kind            # EventKind: EV_DEPTH, EV_TRADE or EV_BEST (all but depth: Binance only)
    int32_t scale           # index into scales, -1 while unknown
    int32_t n_bids
    int32_t n_asks
    int32_t snapshot
    int32_t side            # trade: aggressor
    int64_t ts_venue_ns     # 0: the message does not say
    int64_t seq
    int64_t aux
    int64_t tick            # trade; best: bid
    int64_t qty
    int64_t ask_tick        # best
    int64_t ask_qty
    uint32_t seen           # keys met
    Span name               # "e" of Binance, topic of Bybit
    Span form               # "type" of Bybit
    Span text[6]            # decimals of p, q, b, B, a, A
    Span late[2]            # bid and ask arrays met before the symbol
    int64_t number[8]       # E, T, U, u, pu, id, lastUpdateId, maker

cdef int wire_read(CScan* s, const uint8_t* frame, int64_t n, int hint) noexcept nogil
