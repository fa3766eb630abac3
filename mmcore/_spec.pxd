# An instrument as the core sees it: legal prices, money, conversions.
from libc.stdint cimport int64_t
from ._types cimport Spec

cdef int64_t tick_floor(const Spec* s, int64_t tick) noexcept nogil     # largest legal tick <= tick
cdef int64_t tick_ceil(const Spec* s, int64_t tick) noexcept nogil      # smallest legal tick >= tick
cdef int64_t tick_down(const Spec* s, int64_t tick) noexcept nogil      # next legal tick below
cdef int64_t tick_up(const Spec* s, int64_t tick) noexcept nogil        # next legal tick above
cdef int64_t price_floor(const Spec* s, double price) noexcept nogil    # legal tick at or below a price
cdef int64_t price_ceil(const Spec* s, double price) noexcept nogil
cdef int64_t qty_floor(const Spec* s, double quantity) noexcept nogil   # units, whole lots, towards 0
cdef double price_of(const Spec* s, int64_t tick) noexcept nogil
cdef double quantity_of(const Spec* s, int64_t qty) noexcept nogil
cdef int64_t notional(const Spec* s, int64_t tick, int64_t qty) noexcept nogil  # quanta of the settle asset
cdef int64_t notional_quote(const Spec* s, int64_t tick, int64_t qty) noexcept nogil  # quanta of quote (USD) value
cdef int64_t mul_div(int64_t a, int64_t b, int64_t c, int64_t d) noexcept nogil  # a*b*c/d, half-even

cdef class SpecBox:
    cdef Spec c
