"""Fees of a simulated venue: by value, quantity or fill, in tiers by trailing volume.

Which tier counts is settled once a day, at midnight UTC, by what the account traded on the whole
days before: nobody reaches a better one in the middle of a day, as at the venues.
"""

from libc.stdint cimport INT64_MAX, int64_t

from ._spec cimport mul_div, notional_quote
from ._types cimport INVERSE, Spec

cdef int64_t DAY_NS = 86_400_000_000_000


cdef int64_t fee_quanta(const CFees* f, const Spec* s, int64_t tick, int64_t qty,
                        bint maker) noexcept nogil:
    cdef const Fee* fee = &f.tiers[f.at].maker if maker else &f.tiers[f.at].taker
    if f.kind == FEE_FLAT:
        return fee.num
    if f.kind == FEE_QTY:
        return mul_div(qty, fee.num, 1, fee.den)
    if s.kind == INVERSE:
        return mul_div(qty, fee.num, 1, tick * fee.den) if tick > 0 else 0
    return mul_div(tick, qty, fee.num, fee.den)


cdef void fees_tier(CFees* f, int64_t volume) noexcept nogil:
    f.at = f.n_tiers - 1
    while f.at > 0 and f.tiers[f.at].volume > volume:
        f.at -= 1


cdef inline int64_t _plus(int64_t a, int64_t b) noexcept nogil:
    return a + b if a <= INT64_MAX - b else INT64_MAX


cdef inline int64_t* _of_day(CFees* f, int64_t day) noexcept nogil:
    # The day before the first one of the epoch is -1.
    cdef int64_t slots = f.n_days + 1
    return &f.traded[(day + slots) % slots]


cdef void fees_day(CFees* f, int64_t ts_ns) noexcept nogil:
    cdef int64_t day = ts_ns // DAY_NS
    cdef int64_t volume = 0
    cdef int slots = f.n_days + 1
    cdef int i, _day
    if f.n_tiers == 1 or day <= f.day:
        return
    if f.day < 0:
        # What was traded before the start counts as traded on the day before it.
        f.day = day - 1
        _of_day(f, f.day)[0] = f.before
    for _day in range(slots):
        if f.day < day:
            f.day += 1
            _of_day(f, f.day)[0] = 0
    f.day = day
    _of_day(f, day)[0] = 0
    for i in range(slots):
        volume = _plus(volume, f.traded[i])
    fees_tier(f, volume)


cdef void fees_traded(CFees* f, const Spec* s, int64_t tick, int64_t qty) noexcept nogil:
    cdef int64_t* today
    if f.n_tiers > 1:
        today = _of_day(f, f.day)
        today[0] = _plus(today[0], notional_quote(s, tick, qty))
