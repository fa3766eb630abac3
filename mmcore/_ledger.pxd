# Position, cash, fees and profit of one instrument, in integers.
from libc.stdint cimport int64_t
from ._types cimport Spec

cdef struct CLedger:
    int64_t position        # units, signed (spot: base balance less target)
    int64_t cash            # quanta of the settle asset, from trading only
    int64_t cost            # signed notional of the open position at its entry prices, quanta
    int64_t realised        # quanta, before fees
    int64_t fees            # quanta paid, negative = rebates received
    int64_t funding         # quanta received
    int64_t turnover        # quanta traded, both sides
    int64_t bought          # units
    int64_t sold            # units
    int64_t n_fills
    int64_t n_maker
    int64_t equity_high     # highest equity seen, quanta
    int64_t drawdown_max    # deepest fall below it, quanta

cdef void ledger_fill(CLedger* l, const Spec* s, int side, int64_t tick, int64_t qty,
                      int64_t fee, bint maker) noexcept nogil
cdef void ledger_coin_fee(CLedger* l, const Spec* s, int64_t tick, int64_t qty) noexcept nogil
cdef int64_t ledger_value(const CLedger* l, const Spec* s, int64_t tick2) noexcept nogil
cdef int64_t ledger_equity(const CLedger* l, const Spec* s, int64_t tick2) noexcept nogil
cdef void ledger_mark(CLedger* l, const Spec* s, int64_t tick2) noexcept nogil

cdef class Ledger:
    cdef CLedger c
    cdef Spec spec
