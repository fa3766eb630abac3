"""The loop: events from a source, compiled traders, simulated venues, in one order of time.

Every trader has a seat: the venue account it trades at, the latency between them, and a first-in
first-out channel each way.  The earliest thing happens next; at equal times market data reach us
first, then answers, then the venues see market data, then requests arrive.  On a tape with one
clock both sides see a row at the time we received it; on a tape with two, each in its own clock.
"""

import numpy as np

from .events import EVENT

from libc.stdint cimport INT64_MAX, int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from ._book cimport book_apply
from ._channel cimport (
    Channels, Latency, entry_due, entry_push, latency_entry, latency_response, response_due,
    response_push,
)
from ._engine cimport Market, Ring, Trader, market_apply, trader_step
from ._matching cimport venue_after, venue_before, venue_request
from ._risk cimport ring_room
from ._types cimport (
    EV_DEPTH, EV_TIMER, FLAG_EXCH, FLAG_LOCAL, REQUESTS_MAX, RQ_CANCEL, Event, Request,
)
from ._venue cimport Venue


cdef inline int64_t _next(const CLoop* c, int64_t row) noexcept nogil:
    # The row behind the message at `row`.
    cdef const Event* e = &c.rows[row]
    if e.kind == EV_DEPTH:
        return row + 1 + ((<int64_t>e.n_bids + <int64_t>e.n_asks + 3) >> 2)
    return row + 1


cdef void _seek_local(CLoop* c, int64_t row) noexcept nogil:
    while row < c.n_rows and not (c.rows[row].flags & FLAG_LOCAL):
        row = _next(c, row)
    c.local_row = row
    c.local_ns = c.rows[row].ts_local_ns if row < c.n_rows else INT64_MAX


cdef void _seek_venue(CLoop* c, int64_t row) noexcept nogil:
    while row < c.n_rows and not (c.rows[row].flags & FLAG_EXCH):
        row = _next(c, row)
    c.venue_row = row
    if row >= c.n_rows:
        c.venue_ns = INT64_MAX
    elif c.two_clocks:
        c.venue_ns = c.rows[row].ts_venue_ns
    else:
        c.venue_ns = c.rows[row].ts_local_ns


cdef void _send(CLoop* c, CSeat* s, int n) noexcept nogil:
    # The trader's requests leave now.
    cdef const Request* r
    cdef int64_t due
    cdef int i
    for i in range(n):
        r = &s.trader.requests[i]
        due = c.now_ns + latency_entry(s.latency, c.now_ns, r.kind == RQ_CANCEL)
        if not entry_push(s.entry, r, due):
            c.overflow = 1
    c.n_requests += n
    due = entry_due(s.entry)
    if due < c.entry_ns:
        c.entry_ns = due


cdef void _answer(CLoop* c, CSeat* s, int64_t ts_ns) noexcept nogil:
    # What the venue just left goes on its way to us.
    cdef int64_t due
    cdef int i
    for i in range(s.venue.n_out):
        if not response_push(s.response, &s.venue.out[i],
                             ts_ns + latency_response(s.latency, ts_ns)):
            c.overflow = 1
    c.n_answers += s.venue.n_out
    s.venue.n_out = 0
    due = response_due(s.response)
    if due < c.response_ns:
        c.response_ns = due


cdef void _local(CLoop* c) noexcept nogil:
    # One market message reaches us.
    cdef const Event* e = &c.rows[c.local_row]
    cdef int i, n
    cdef CSeat* s
    if e.instrument < c.n_markets:
        market_apply(c.markets[e.instrument], e)
        for i in range(c.first[e.instrument], c.first[e.instrument + 1]):
            s = &c.seats[i]
            n = trader_step(s.trader, e)
            if n:
                _send(c, s, n)
    c.n_events += 1
    _seek_local(c, _next(c, c.local_row))


cdef void _timer(CLoop* c) noexcept nogil:
    cdef Event e
    cdef int i, n
    memset(&e, 0, sizeof(Event))
    e.kind = EV_TIMER
    e.ts_local_ns = c.now_ns
    e.ts_venue_ns = c.now_ns
    for i in range(c.n_seats):
        n = trader_step(c.seats[i].trader, &e)
        if n:
            _send(c, &c.seats[i], n)
    c.timer_ns = c.now_ns + c.timer_step_ns


cdef void _responses(CLoop* c) noexcept nogil:
    # Every answer that is due, seat by seat; their requests leave at once.
    cdef int64_t next_ns = INT64_MAX
    cdef int64_t due
    cdef int i, n
    cdef CSeat* s
    for i in range(c.n_seats):
        s = &c.seats[i]
        while response_due(s.response) <= c.now_ns:
            if ring_room(c.ring) < c.room_min:
                break
            n = trader_step(s.trader, &s.response.ring[s.response.head & s.response.mask])
            s.response.head += 1
            if n:
                _send(c, s, n)
        due = response_due(s.response)
        if due < next_ns:
            next_ns = due
    c.response_ns = next_ns


cdef void _venues(CLoop* c) noexcept nogil:
    # One market message reaches the venue accounts of its instrument; they share one book.
    cdef const Event* e = &c.rows[c.venue_row]
    cdef int64_t ts_ns = c.venue_ns
    cdef int first, last, i, applied
    if e.instrument < c.n_markets:
        first = c.first[e.instrument]
        last = c.first[e.instrument + 1]
        for i in range(first, last):
            venue_before(c.seats[i].venue, e)
        if last > first:
            applied = book_apply(c.seats[first].venue.book, e)
            for i in range(first, last):
                venue_after(c.seats[i].venue, e, applied, ts_ns)
                if c.seats[i].venue.n_out:
                    _answer(c, &c.seats[i], ts_ns)
    _seek_venue(c, _next(c, c.venue_row))


cdef void _requests(CLoop* c) noexcept nogil:
    # Every request that is due at its venue, seat by seat.
    cdef int64_t next_ns = INT64_MAX
    cdef int64_t due
    cdef int i
    cdef CSeat* s
    for i in range(c.n_seats):
        s = &c.seats[i]
        while entry_due(s.entry) <= c.now_ns:
            venue_request(s.venue, &s.entry.ring[s.entry.head & s.entry.mask].request, c.now_ns)
            s.entry.head += 1
            _answer(c, s, c.now_ns)
        due = entry_due(s.entry)
        if due < next_ns:
            next_ns = due
    c.entry_ns = next_ns


cdef int64_t loop_run(CLoop* c, int64_t events, int64_t until_ns) noexcept nogil:
    # Up to `events` market messages, nothing later than until_ns; the messages given.  Stops where
    # the block ends on our side and the venues have seen it too, and before the journal's ring
    # could overflow.
    cdef int64_t start = c.n_events
    cdef int64_t ours, theirs
    while c.n_events - start < events and ring_room(c.ring) >= c.room_min:
        if c.local_row >= c.n_rows and c.venue_row >= c.n_rows:
            break
        ours = c.local_ns if c.local_ns <= c.response_ns else c.response_ns
        theirs = c.venue_ns if c.venue_ns <= c.entry_ns else c.entry_ns
        if c.timer_ns < ours and c.timer_ns <= theirs:
            if c.timer_ns > until_ns:
                break
            c.now_ns = c.timer_ns
            _timer(c)
        elif ours <= theirs:
            if ours > until_ns:
                break
            c.now_ns = ours
            if c.timer_step_ns and c.timer_ns == INT64_MAX:
                c.timer_ns = ours + c.timer_step_ns
            if c.local_ns <= c.response_ns:
                _local(c)
            else:
                _responses(c)
        else:
            if theirs > until_ns:
                break
            c.now_ns = theirs
            if c.venue_ns <= c.entry_ns:
                _venues(c)
            else:
                _requests(c)
    return c.n_events - start


cdef void _idle(CLoop* c, int64_t until_ns, int64_t step_ns) noexcept nogil:
    # Time passes without market data: requests and answers under way arrive, timers ring.
    cdef int64_t tick_ns = c.now_ns + step_ns
    while ring_room(c.ring) >= c.room_min:
        if c.response_ns <= c.entry_ns and c.response_ns <= tick_ns:
            if c.response_ns > until_ns:
                break
            if c.response_ns > c.now_ns:
                c.now_ns = c.response_ns
            _responses(c)
        elif c.entry_ns <= tick_ns:
            if c.entry_ns > until_ns:
                break
            if c.entry_ns > c.now_ns:
                c.now_ns = c.entry_ns
            _requests(c)
        else:
            if tick_ns > until_ns:
                break
            c.now_ns = tick_ns
            _timer(c)
            tick_ns += step_ns


cdef class SimLoop:
    """Runs traders against simulated venues over the rows of a source.

    traders: index = place in the run; several may share one Market.  venues, latencies: one each,
    same order; venues of traders on one market must share their book (``beside=``).  clock: "local"
    or "two".  timer_ns: a timer event for every trader so often, 0 for none.  All traders must
    share one Ring.  Raises ValueError where these do not fit together.
    """

    def __cinit__(self, traders, venues, latencies, *, clock="local", int64_t timer_ns=0):
        self.traders = tuple(traders)
        self.venues = tuple(venues)
        self.latencies = tuple(latencies)
        markets = list(dict.fromkeys(t.market for t in self.traders))
        n = len(self.traders)
        if not 1 <= n <= 4096 or len(self.venues) != n or len(self.latencies) != n:
            raise ValueError(f"{n} traders: expected 1 to 4096, and as many venues and latencies")
        if clock not in ("local", "two"):
            raise ValueError(f"clock {clock!r}: expected 'local' or 'two'")
        if timer_ns < 0:
            raise ValueError(f"timer_ns {timer_ns}: must not be negative")
        self.channels = tuple(Channels(1024) for _ in range(n))
        self.c.n_markets = 1 + max((<Market>m).c.spec.instrument for m in markets)
        self.c.n_seats = n
        self.c.two_clocks = clock == "two"
        self.c.timer_step_ns = timer_ns
        self.c.timer_ns = INT64_MAX
        self.c.entry_ns = INT64_MAX
        self.c.response_ns = INT64_MAX
        self.c.local_ns = INT64_MAX
        self.c.venue_ns = INT64_MAX
        self.c.seats = <CSeat*>calloc(n, sizeof(CSeat))
        self.c.markets = <CMarket**>calloc(self.c.n_markets, sizeof(CMarket*))
        self.c.first = <int32_t*>calloc(self.c.n_markets + 1, sizeof(int32_t))
        if not (self.c.seats and self.c.markets and self.c.first):
            raise MemoryError("simulation loop")
        self._seat(markets)

    def __init__(self, traders, venues, latencies, *, clock="local", int64_t timer_ns=0):
        pass

    def __dealloc__(self):
        free(self.c.seats)
        free(self.c.markets)
        free(self.c.first)

    def _seat(self, list markets):
        # Seats in the order of their market's index, then as given.
        cdef int at = 0
        cdef int index, most
        cdef Trader t
        by_index = {(<Market>m).c.spec.instrument: m for m in markets}
        if len(by_index) != len(markets):
            raise ValueError("two markets have the same instrument index")
        rings = {id((<Trader>x).ring) for x in self.traders}
        if len(rings) != 1:
            raise ValueError("all traders of a loop must share one Ring")
        self.c.ring = &(<Ring>(<Trader>self.traders[0]).ring).c
        most = 1
        for index in range(self.c.n_markets):
            self.c.first[index] = at
            market = by_index.get(index)
            if market is None:
                raise ValueError(f"no market has instrument index {index}")
            self.c.markets[index] = &(<Market>market).c
            books = set()
            for i, x in enumerate(self.traders):
                t = x
                if t.market is not market:
                    continue
                self.c.seats[at].trader = t.c
                self.c.seats[at].venue = &(<Venue>self.venues[i]).c
                self.c.seats[at].latency = &(<Latency>self.latencies[i]).c
                self.c.seats[at].entry = &(<Channels>self.channels[i]).entry
                self.c.seats[at].response = &(<Channels>self.channels[i]).response
                books.add(id((<Venue>self.venues[i]).book))
                at += 1
            if len(books) > 1:
                raise ValueError("venues of one instrument must share their book")
            most = max(most, at - self.c.first[index])
        self.c.first[self.c.n_markets] = at
        # A timer steps every trader, a message those of one market, each with a record a request.
        self.c.room_min = <int64_t>(REQUESTS_MAX + 8) * self.c.n_seats
        if self.c.room_min * 2 > self.c.ring.capacity:
            raise ValueError(
                f"a ring of {self.c.ring.capacity} records is too small for {at} traders"
            )

    def feed(self, rows):
        """Bind the next block: EVENT rows, whole messages.  The one before must be consumed.

        The array is kept until the next call and must not change meanwhile.
        """
        cdef const unsigned char[::1] view
        if not self.consumed:
            raise ValueError("the block before has not been consumed")
        if rows.dtype != EVENT or rows.ndim != 1 or not rows.flags.c_contiguous:
            raise ValueError("a block is a contiguous one-dimensional EVENT array")
        self.block = rows
        self.c.n_rows = len(rows)
        if self.c.n_rows:
            view = rows.view("u1")
            self.c.rows = <const Event*>&view[0]
        _seek_local(&self.c, 0)
        _seek_venue(&self.c, 0)

    def run(self, int64_t events, int64_t until_ns=INT64_MAX):
        """Give up to ``events`` market messages not after ``until_ns``; how many were given.

        Releases the GIL.  Fewer than asked: the block is consumed, the time is reached, or the
        journal's ring must be drained first.
        """
        cdef int64_t n
        with nogil:
            n = loop_run(&self.c, events, until_ns)
        if self.c.overflow:
            raise OverflowError("a channel to a simulated venue ran full")
        return n

    def idle(self, int64_t duration_ns, int64_t step_ns=10_000_000):
        """Let ``duration_ns`` pass without market data: requests and answers under way arrive."""
        if duration_ns < 0 or step_ns < 1:
            raise ValueError("duration_ns must not be negative, step_ns must be positive")
        with nogil:
            _idle(&self.c, self.c.now_ns + duration_ns, step_ns)

    @property
    def consumed(self):
        """True when both sides have seen the whole block."""
        return self.c.local_row >= self.c.n_rows and self.c.venue_row >= self.c.n_rows

    @property
    def row(self):
        """Rows of the block that the traders have seen."""
        return self.c.local_row

    @property
    def now_ns(self):
        """Latest time processed, ns; 0 before the first event."""
        return self.c.now_ns

    @property
    def n_events(self):
        """Market messages given to the traders."""
        return self.c.n_events

    @property
    def n_requests(self):
        """Requests sent."""
        return self.c.n_requests

    @property
    def n_answers(self):
        """Answers and fills that the venues sent."""
        return self.c.n_answers

    @property
    def under_way(self):
        """Requests and answers that have not arrived yet."""
        cdef int i
        cdef int64_t n = 0
        for i in range(self.c.n_seats):
            n += self.c.seats[i].entry.tail - self.c.seats[i].entry.head
            n += self.c.seats[i].response.tail - self.c.seats[i].response.head
        return n
