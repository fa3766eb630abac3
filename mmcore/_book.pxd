# The order book of one instrument: the owner, and by re-export every function on it.
from libc.stdint cimport int64_t

from ._depth cimport (
    BK_BAD, BK_EMPTY, BK_FULL, BK_GAP, BK_OK, BK_OLD, BookReturn, CBook, CBookAnalysis, CTouch,
    book_analysis, book_apply, book_imbalance, book_imbalance_weighted, book_microprice,
    book_microprice_depth, book_mid, book_price, book_qty, book_run, book_spread_bps, book_top,
    book_touch, book_vwap, book_weight, event_rows, touch_ofi, touch_voi,
)
from ._types cimport Event

cdef class Book:
    cdef CBook* c
    cdef readonly object spec   # SpecBox or None
    cdef object tick            # exact price of a tick, Fraction
    cdef object unit            # exact quantity of a unit, Fraction
    cdef Event* scratch         # one message of LEVELS_MAX levels
    cdef const Event* rows      # the bound block
    cdef int64_t n_rows
    cdef Py_buffer view
