"""Queue position of a resting order, estimated from prints and displayed quantities.

A level shows only its total, so what a decrease took away, orders ahead of us or behind us, is an
assumption: the queue model.  Risk averse says behind whenever it can be; the probability models
(after R. Rigtorp, "Estimating order queue position", 2013) share a decrease out by what is ahead
and behind.  Increases join behind us.  Prints always come from ahead.
"""

from libc.math cimport ceil, floor, fmin, isinf, isnan, log, pow, round
from libc.stdint cimport int64_t


cdef double _behind(const CQueue* q, double front, double back) noexcept nogil:
    # Share of a decrease that came from behind us; NaN where the model has no answer.
    cdef double n = q.exponent
    if q.model == QUEUE_POWER:
        return pow(back, n) / (pow(back, n) + pow(front, n))
    if q.model == QUEUE_POWER2:
        return pow(back, n) / pow(back + front, n)
    if q.model == QUEUE_POWER3:
        return 1.0 - pow(front / (front + back), n)
    if q.model == QUEUE_LOG:
        return log(1.0 + back) / (log(1.0 + back) + log(1.0 + front))
    return log(1.0 + back) / log(1.0 + back + front)


cdef double _front_after(const CQueue* q, double front, double before, double now,
                         double printed) noexcept nogil:
    # What is ahead after the level went from `before` to `now`, `printed` of it already seen.
    cdef double change = before - now - printed
    cdef double back, p
    if change < 0.0:
        return fmin(front, now)
    back = before - front
    p = _behind(q, front, back)
    if isinf(p):
        p = 1.0
    if isnan(p):
        return now
    return fmin(front - (1.0 - p) * change + fmin(back - p * change, 0.0), now)


cdef void queue_join(const CQueue* q, Place* p, int64_t displayed) noexcept nogil:
    p.front = displayed
    p.printed = 0
    p.front_qty = <double>displayed / q.qty_div
    p.printed_qty = 0.0


cdef int64_t queue_print(const CQueue* q, Place* p, int64_t qty) noexcept nogil:
    # A print at our price: what of it, in whole lots, is left for us after the queue ahead.
    cdef int64_t lots
    cdef double x
    if q.doubles:
        x = <double>qty / q.qty_div
        p.front_qty -= x
        p.printed_qty += x
        x = -p.front_qty / q.lot_qty
        # A billionth of a lot of slack: sums of decimal quantities miss whole lots by rounding.
        lots = <int64_t>(round(x) if q.half_lot else floor(x + 1e-9))
        if lots > 0 or (p.front_qty < 0.0 and not q.half_lot):
            p.front_qty = 0.0
        return lots * q.lot if lots > 0 else 0
    p.front -= qty
    p.printed += qty
    if p.front >= 0:
        return 0
    lots = -p.front // q.lot
    if q.half_lot and 2 * (-p.front - lots * q.lot) >= q.lot:
        lots += 1
    if lots > 0 or not q.half_lot:
        p.front = 0
    return lots * q.lot


cdef void queue_level(const CQueue* q, Place* p, int64_t before, int64_t now) noexcept nogil:
    # The displayed quantity at our price was set from `before` to `now` (also when equal).
    cdef double front
    if q.model == QUEUE_FIFO:
        return
    if q.doubles:
        if q.model == QUEUE_RISK_AVERSE:
            p.front_qty = fmin(p.front_qty, <double>now / q.qty_div)
        else:
            p.front_qty = _front_after(q, p.front_qty, <double>before / q.qty_div,
                                       <double>now / q.qty_div, p.printed_qty)
        p.printed_qty = 0.0
        return
    if q.model != QUEUE_RISK_AVERSE and before - now - p.printed >= 0:
        if p.front > before:
            p.front = before
        front = _front_after(q, <double>p.front / q.qty_div, <double>before / q.qty_div,
                             <double>now / q.qty_div, <double>p.printed / q.qty_div) * q.qty_div
        # Rounded away from us; the slack absorbs the division, not a unit.
        front = ceil(front - 1e-6)
        p.front = <int64_t>front if front > 0.0 else 0
    if p.front > now:
        p.front = now
    p.printed = 0


cdef void queue_resync(const CQueue* q, Place* p, int64_t now) noexcept nogil:
    # A snapshot after a stretch in which the level was unknown: no estimate of what left.
    if p.front > now:
        p.front = now
    p.front_qty = fmin(p.front_qty, <double>now / q.qty_div)
    p.printed = 0
    p.printed_qty = 0.0


cdef double queue_ahead(const CQueue* q, const Place* p) noexcept nogil:
    # Quantity ahead of us, for the eye.
    return p.front_qty if q.doubles else <double>p.front / q.qty_div
