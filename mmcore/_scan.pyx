"""The frame scanner: raw bytes of one venue message to whole numbers, without an object.

One pass over the frame reads every key, turns decimal strings into ticks and units in integers, and
stages the levels; rows are written only after the last byte was found good, so a damaged tail
changes nothing.  What the scanner is not sure of (an escape, a repeated key, another kind of
message) it leaves to the JSON decoders of the adapters, which are also its oracle in the tests:
where both decide, they agree.
"""

import numpy as np

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from ._json cimport (SC_DIGITS, SC_EXPONENT, SC_FULL, SC_MALFORMED, SC_MISSING, SC_NEGATIVE,
                     SC_OFF_GRID, SC_OK, SC_SYMBOL, SC_UNSURE, SC_ZERO)
from ._types cimport (ASK, BID, EV_BEST, EV_DEPTH, EV_TRADE, FLAG_CONT, FLAG_EXCH, FLAG_LOCAL,
                      FLAG_MORE, FLAG_SNAPSHOT, LEVELS_MAX, Event, Level)
from ._wire cimport (BINANCE_FUTURES, HYPERLIQUID, SCALES_MAX, SIDE_MAX, SYMBOL_MAX, CScan, Scale,
                     wire_read)

from .events import EVENT


cdef int64_t message_rows(const Event* e) noexcept nogil:
    if e.kind != EV_DEPTH:
        return 1
    return 1 + ((<int64_t>e.n_bids + e.n_asks + 3) >> 2)


cdef int64_t scan_rows_count(const CScan* s) noexcept nogil:
    # Rows that scan_rows() will write.
    cdef int64_t n = <int64_t>s.n_bids + s.n_asks
    cdef int64_t groups
    if s.kind == EV_BEST:
        return 2
    if s.kind != EV_DEPTH:
        return 1
    groups = (n + LEVELS_MAX - 1) // LEVELS_MAX if n else 1
    return groups + (n + 3) // 4


cdef void header(const CScan* s, int64_t ts_local_ns, Event* out) noexcept nogil:
    memset(out, 0, sizeof(Event))
    out.kind = <uint8_t>s.kind
    out.flags = FLAG_EXCH | FLAG_LOCAL
    out.instrument = <unsigned short>s.scales[s.scale].instrument
    out.ts_venue_ns = s.ts_venue_ns
    out.ts_local_ns = ts_local_ns
    out.seq = s.seq


cdef int64_t depth_rows(const CScan* s, int64_t ts_local_ns, Event* out) noexcept nogil:
    # A message of more than LEVELS_MAX levels is written as a chain of FLAG_MORE and FLAG_CONT.
    cdef int64_t total = <int64_t>s.n_bids + s.n_asks
    cdef int64_t done = 0
    cdef int64_t n, bids, asks, rows
    cdef int64_t written = 0
    cdef Level* body
    while True:
        n = total - done if total - done < LEVELS_MAX else LEVELS_MAX
        bids = s.n_bids - done if done < s.n_bids else 0
        bids = bids if bids < n else n
        asks = n - bids
        header(s, ts_local_ns, out)
        out.flags |= FLAG_SNAPSHOT if s.snapshot else 0
        out.flags |= FLAG_CONT if done else 0
        out.flags |= FLAG_MORE if done + n < total else 0
        out.aux = s.aux
        out.n_bids = <unsigned short>bids
        out.n_asks = <unsigned short>asks
        rows = (n + 3) // 4
        body = <Level*>(out + 1)
        if bids:
            memcpy(body, s.bids + done, bids * sizeof(Level))
        if asks:
            memcpy(body + bids, s.asks + (done + bids - s.n_bids), asks * sizeof(Level))
        memset(body + n, 0, (rows * 4 - n) * sizeof(Level))
        done += n
        written += 1 + rows
        out += 1 + rows
        if done >= total:
            return written


cdef int64_t scan_rows(const CScan* s, int64_t ts_local_ns, Event* out) noexcept nogil:
    # Writes the staged message; `out` has room for scan_rows_count() rows.
    if s.kind == EV_DEPTH:
        return depth_rows(s, ts_local_ns, out)
    header(s, ts_local_ns, out)
    out.side = <signed char>(s.side if s.kind == EV_TRADE else BID)
    out.tick = s.tick
    out.qty = s.qty
    if s.kind != EV_BEST:
        return 1
    header(s, ts_local_ns, out + 1)
    out[1].side = ASK
    out[1].tick = s.ask_tick
    out[1].qty = s.ask_qty
    return 2


STATUS_TEXT = {
    SC_OK: "ok",
    SC_UNSURE: "not a shape of the fast path",
    SC_MALFORMED: "not the JSON this kind of message has",
    SC_MISSING: "a key is missing",
    SC_SYMBOL: "unknown symbol",
    SC_OFF_GRID: "price or quantity off the grid",
    SC_NEGATIVE: "negative number",
    SC_EXPONENT: "number with an exponent",
    SC_DIGITS: "number with too many digits",
    SC_ZERO: "price 0",
    SC_FULL: "too many levels",
}


cdef class Scanner:
    """Scans the frames of one venue connection; see the stub for the contract."""

    def __cinit__(self, int dialect, scales):
        memset(&self.c, 0, sizeof(CScan))
        self.c.scales = <Scale*>calloc(max(len(scales), 1), sizeof(Scale))
        self.c.bids = <Level*>malloc(SIDE_MAX * sizeof(Level))
        self.c.asks = <Level*>malloc(SIDE_MAX * sizeof(Level))
        if self.c.scales == NULL or self.c.bids == NULL or self.c.asks == NULL:
            raise MemoryError("no memory for a frame scanner")

    def __init__(self, int dialect, scales):
        cdef Scale* scale
        cdef bytes name
        if not BINANCE_FUTURES <= dialect <= HYPERLIQUID:
            raise ValueError(f"dialect {dialect}: expected 1 to 4")
        if len(scales) > SCALES_MAX:
            raise ValueError(f"{len(scales)} instruments: at most {SCALES_MAX} in one scanner")
        self.c.dialect = dialect
        self.c.n_scales = len(scales)
        self.c.scale = -1
        for i, (symbol, price_decimals, tick_mul, qty_decimals, instrument) in enumerate(scales):
            name = symbol.encode()
            if not 0 < len(name) <= SYMBOL_MAX:
                raise ValueError(f"symbol {symbol!r}: expected 1 to {SYMBOL_MAX} bytes")
            if not (0 <= price_decimals <= 17 and 0 <= qty_decimals <= 17 and tick_mul > 0):
                raise ValueError(f"{symbol}: at most 17 decimals, and a positive tick")
            scale = &self.c.scales[i]
            memcpy(scale.symbol, <const char*>name, len(name))
            scale.symbol_len = len(name)
            scale.price_decimals = price_decimals
            scale.tick_mul = tick_mul
            scale.qty_decimals = qty_decimals
            scale.instrument = instrument

    def __dealloc__(self):
        free(self.c.scales)
        free(self.c.bids)
        free(self.c.asks)

    def scan(self, const uint8_t[::1] frame not None, int hint=-1):
        """Status of one frame: 0 when its rows are staged."""
        if hint >= self.c.n_scales:
            raise ValueError(f"hint {hint}: the table holds {self.c.n_scales} instruments")
        if frame.shape[0] == 0:
            self.c.kind = 0
            return SC_MALFORMED
        status = wire_read(&self.c, &frame[0], frame.shape[0], hint)
        if status != SC_OK:
            self.c.kind = 0
        return status

    def rows(self, int64_t ts_local_ns):
        """The staged message as a new array of EVENT rows; none when the last scan failed."""
        if self.c.kind == 0:
            return np.zeros(0, EVENT)
        out = np.zeros(scan_rows_count(&self.c), EVENT)
        scan_rows(&self.c, ts_local_ns, <Event*><size_t>out.ctypes.data)
        return out
