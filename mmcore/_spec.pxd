# An instrument as the core sees it: legal prices, money, conversions.
from libc.stdint cimport int64_t
from ._types cimport Spec

cdef int64_t tick_floor(const Spec* s, int64_t tick) noexcept nogil  # largest legal one <= tick
cdef int64_t tick_ceil(const Spec* s, int64_t tick) noexcept nogil  # smallest legal one >= tick
cdef int64_t tick_down(const Spec* s, int64_t tick) noexcept nogil  # next legal one below
cdef int64_t tick_up(const Spec* s, int64_t tick) noexcept nogil    # next legal one above
cdef int64_t price_floor(const Spec* s, double price) noexcept nogil    # legal tick <= price
cdef int64_t price_ceil(const Spec* s, double price) noexcept nogil     # legal tick >= price
cdef int64_t qty_floor(const Spec* s, double quantity) noexcept nogil   # units, whole lots
cdef double price_of(const Spec* s, int64_t tick) noexcept nogil
cdef double quantity_of(const Spec* s, int64_t qty) noexcept nogil
# Quanta of the settle asset; of the quote currency (value); a * b * c / d, half-even.
cdef int64_t notional(const Spec* s, int64_t tick, int64_t qty) noexcept nogil
cdef int64_t notional_quote(const Spec* s, int64_t tick, int64_t qty) noexcept nogil
# Quanta that `units` receive at a funding stamp; mark in 1e-8, rate in 1e-12.
cdef int64_t funding_quanta(const Spec* s, int64_t mark, int64_t units, int64_t rate) noexcept nogil
cdef int64_t mul_div(int64_t a, int64_t b, int64_t c, int64_t d) noexcept nogil

cdef class SpecBox:
    cdef Spec c
