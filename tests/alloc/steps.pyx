"""The path from event to requests in one compiled call, with a venue that agrees to everything.

It stands outside the package and uses the shipped declarations, as anybody's loop would.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from mmcore._depth cimport event_rows
from mmcore._engine cimport CMarket, CTrader, Market, Trader, market_apply, trader_step
from mmcore._types cimport (
    EV_ACK, EV_AMENDED, EV_CANCELLED, EV_FILL, FLAG_LOCAL, FLAG_MAKER, RQ_CANCEL, RQ_PLACE, Event,
    Request,
)

cdef enum:
    ANSWERS_MAX = 4096      # answers that wait; more than one event can ever cause
    FILL_EVERY = 7          # one placed or amended order in so many is filled at once

cdef struct Answers:
    int64_t n_resting
    int64_t n_filled
    int32_t n
    void* leaked            # kept, or the compiler sees through a malloc that is freed at once
    Event waiting[ANSWERS_MAX]


cdef void answer(Answers* a, int64_t ts_ns, const Request* q) noexcept nogil:
    cdef Event* e
    if a.n + 2 > ANSWERS_MAX:
        return
    e = &a.waiting[a.n]
    memset(e, 0, 2 * sizeof(Event))
    e.kind = EV_ACK if q.kind == RQ_PLACE else EV_CANCELLED if q.kind == RQ_CANCEL else EV_AMENDED
    e.flags = FLAG_LOCAL
    e.side = q.side
    e.instrument = q.instrument
    e.slot = q.slot
    e.generation = q.generation
    e.ts_venue_ns = ts_ns
    e.ts_local_ns = ts_ns
    e.tick = q.tick
    e.qty = q.qty
    a.n += 1
    if q.kind == RQ_CANCEL:
        return
    a.n_resting += 1
    if a.n_resting % FILL_EVERY == 0:
        a.n_filled += 1
        a.waiting[a.n] = e[0]
        a.waiting[a.n].kind = EV_FILL
        a.waiting[a.n].flags = FLAG_LOCAL | FLAG_MAKER
        a.waiting[a.n].seq = a.n_filled
        a.n += 1


cdef void step(CTrader* t, const Event* e, Answers* a) noexcept nogil:
    cdef int i, n = trader_step(t, e)
    for i in range(n):
        answer(a, e.ts_local_ns, &t.requests[i])


cdef void run_rows(CMarket* m, CTrader* t, const Event* rows, int64_t n_rows, Answers* a,
                   bint leak) noexcept nogil:
    cdef int64_t row = 0
    cdef int i
    while row < n_rows:
        a.n = 0
        market_apply(m, &rows[row])
        step(t, &rows[row], a)
        i = 0
        while i < a.n:
            step(t, &a.waiting[i], a)
            i += 1
        if leak:
            free(a.leaked)
            a.leaked = malloc(64)
        row += event_rows(&rows[row])


cdef class Loop:
    """Rows of a synthetic market through one market and one trader."""

    cdef Answers answers
    cdef Market market
    cdef Trader trader
    cdef const uint8_t[::1] rows

    def __init__(self, Market market, Trader trader, rows):
        self.market = market
        self.trader = trader
        self.rows = rows

    def run(self, int64_t n_rows, bint leak=False):
        """The first ``n_rows`` rows.  leak: the negative control, one allocation an event."""
        run_rows(&self.market.c, self.trader.c, <const Event*>&self.rows[0], n_rows,
                 &self.answers, leak)

    def __dealloc__(self):
        free(self.answers.leaked)

    @property
    def n_filled(self):
        """Orders that were filled."""
        return self.answers.n_filled
