# What a simulated venue charges for a fill.
from libc.stdint cimport int32_t, int64_t

from ._types cimport Spec

cdef enum FeeKind:
    FEE_VALUE = 0               # rate times notional
    FEE_QTY = 1                 # rate times quantity
    FEE_FLAT = 2                # per fill

ctypedef struct Fee:
    int64_t num                 # quanta = measure * num / den; negative: a rebate
    int64_t den
    double rate                 # as configured

ctypedef struct Tier:
    int64_t volume              # from this trailing volume on, quanta of the quote currency
    Fee maker
    Fee taker

cdef struct CFees:
    int32_t kind                # FeeKind
    int32_t n_tiers             # at least 1
    int32_t at                  # the tier that counts now
    int32_t n_days              # whole days that the trailing volume looks back
    Tier* tiers                 # in order of volume
    int64_t* traded             # quanta of the quote currency by UTC day modulo n_days + 1
    int64_t before              # of the window at the start
    int64_t day                 # the one under way; -1 before the first fill

# Quanta, one rounding, half-even.
cdef int64_t fee_quanta(const CFees* f, const Spec* s, int64_t tick, int64_t qty,
                        bint maker) noexcept nogil
# A fill at ts_ns: the tier of its day counts from here on; then what it adds to the volume.
cdef void fees_day(CFees* f, int64_t ts_ns) noexcept nogil
cdef void fees_traded(CFees* f, const Spec* s, int64_t tick, int64_t qty) noexcept nogil
cdef void fees_tier(CFees* f, int64_t volume) noexcept nogil
