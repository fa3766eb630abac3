"""The loop: events from a source, compiled traders, simulated venues, in one order of time.

Every trader has a seat: the venue account it trades at, the latency between them, and a first-in
first-out channel each way.  Events of one instant happen in this order: local data, local answers,
venue data, requests at the venue, timers; within one kind by the order of the seats.  A funding
stamp comes before whatever else happens at the venue in its instant.

Clock "local": the venue sees a row right after we do, so one cursor serves both.  Clock "two": rows
reach the venue at their venue time and us at their local time; the loop then goes only as far as
the next row of both sides is known, and keeps rows that one side has not passed.

Blocks and chunks change nothing: answers, requests and timers are processed when a later row proves
that nothing comes before them, or when time passes without market data.
"""

import numpy as np

from libc.stdint cimport INT64_MAX, int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from ._channel cimport (
    Channels,
    Latency,
    entry_due,
    entry_push,
    latency_entry,
    latency_response,
    response_due,
    response_push,
)
from ._depth cimport book_apply
from ._engine cimport Market, Ring, Trader, market_apply, trader_sleeps, trader_step
from ._funding cimport funding_of, funding_passed, funding_see, funding_start
from ._matching cimport venue_after, venue_before, venue_request
from ._risk cimport ring_room
from ._resting cimport RULE_NO_FUNDING
from ._types cimport (
    EV_DEPTH, EV_FUNDING, EV_MARK, EV_PAID, EV_TIMER, FLAG_EXCH, FLAG_LOCAL, PAID_FUNDING,
    REQUESTS_MAX, RQ_CANCEL, Event,
)
from ._venue cimport Venue

from .events import EVENT


# ---- channels


cdef void _soonest(CLoop* c) noexcept nogil:
    cdef int64_t due_ns
    cdef int i
    c.response_ns = INT64_MAX
    c.entry_ns = INT64_MAX
    for i in range(c.n_seats):
        due_ns = response_due(c.seats[i].response)
        if due_ns < c.response_ns:
            c.response_ns = due_ns
        due_ns = entry_due(c.seats[i].entry)
        if due_ns < c.entry_ns:
            c.entry_ns = due_ns
    if c.funding_ns < c.entry_ns:
        c.entry_ns = c.funding_ns


cdef void _send(CLoop* c, CSeat* s, int n) noexcept nogil:
    # The trader's requests leave now.
    cdef int64_t due_ns
    cdef int i
    for i in range(n):
        due_ns = c.now_ns + latency_entry(s.latency, c.now_ns,
                                          s.trader.requests[i].kind == RQ_CANCEL)
        if not entry_push(s.entry, &s.trader.requests[i], due_ns):
            c.overflow = True
    c.n_requests += n
    due_ns = entry_due(s.entry)
    if due_ns < c.entry_ns:
        c.entry_ns = due_ns


cdef void _answer(CLoop* c, CSeat* s, int64_t ts_ns) noexcept nogil:
    # What the venue just left goes on its way to us.
    cdef int64_t due_ns = ts_ns + latency_response(s.latency, ts_ns)
    cdef int i
    for i in range(s.venue.n_out):
        if not response_push(s.response, &s.venue.out[i], due_ns):
            c.overflow = True
    c.n_answers += s.venue.n_out
    s.venue.n_out = 0
    due_ns = response_due(s.response)
    if due_ns < c.response_ns:
        c.response_ns = due_ns


# ---- funding


cdef void _stamps(CLoop* c, int64_t ts_ns) noexcept nogil:
    # Funding stamps up to ts_ns: every account pays or receives on what it holds.
    cdef int64_t quanta, due_ns
    cdef int i, k
    cdef CSeat* s
    cdef Event* e
    for i in range(c.n_markets):
        due_ns = c.funding[i].due_ns
        if due_ns > ts_ns:
            continue
        for k in range(c.first[i], c.first[i + 1]):
            s = &c.seats[k]
            if s.venue.rules & RULE_NO_FUNDING:
                continue
            quanta = funding_of(&c.funding[i], &s.venue.spec, s.venue.book, s.venue.held[0])
            if quanta == 0:
                continue
            e = &s.venue.out[s.venue.n_out]
            s.venue.n_out += 1
            memset(e, 0, sizeof(Event))
            e.kind = EV_PAID
            e.code = PAID_FUNDING
            e.instrument = i
            e.ts_venue_ns = due_ns
            e.seq = due_ns
            e.aux = quanta
            _answer(c, s, due_ns)
        funding_passed(&c.funding[i])
    _next_stamp(c)


cdef void _next_stamp(CLoop* c) noexcept nogil:
    cdef int i
    c.funding_ns = INT64_MAX
    for i in range(c.n_markets):
        if c.funding[i].due_ns < c.funding_ns:
            c.funding_ns = c.funding[i].due_ns
    _soonest(c)


cdef void _funding_row(CLoop* c, const Event* e, int64_t ts_ns) noexcept nogil:
    cdef CSeat* s = &c.seats[c.first[e.instrument]]
    funding_see(&c.funding[e.instrument], &s.venue.spec, e, ts_ns)
    if e.kind == EV_FUNDING:
        _next_stamp(c)


# ---- one event


cdef inline void _step(CLoop* c, CSeat* s, const Event* e) noexcept nogil:
    cdef int n = trader_step(s.trader, e)
    if n:
        _send(c, s, n)


cdef inline void _reach(CLoop* c, int64_t ts_ns) noexcept nogil:
    if ts_ns > c.now_ns:
        c.now_ns = ts_ns


cdef void _local_data(CLoop* c, const Event* e) noexcept nogil:
    cdef int i
    _reach(c, e.ts_local_ns)
    c.n_events += 1
    for i in range(c.first_market[e.instrument], c.first_market[e.instrument + 1]):
        market_apply(c.markets[i], e)
    for i in range(c.first[e.instrument], c.first[e.instrument + 1]):
        _step(c, &c.seats[i], e)


cdef void _venue_data(CLoop* c, const Event* e, int64_t ts_ns) noexcept nogil:
    # Each venue book once, between the looks of the accounts that share it.
    cdef int i = c.first[e.instrument]
    cdef int end = c.first[e.instrument + 1]
    cdef int start, k, applied
    if c.funding_ns <= ts_ns:
        _stamps(c, ts_ns)
    if e.kind == EV_MARK or e.kind == EV_FUNDING:
        _funding_row(c, e, ts_ns)
    while i < end:
        start = i
        while i < end and c.seats[i].venue.book == c.seats[start].venue.book:
            venue_before(c.seats[i].venue, e)
            i += 1
        applied = book_apply(c.seats[start].venue.book, e)
        for k in range(start, i):
            venue_after(c.seats[k].venue, e, applied, ts_ns)
            if c.seats[k].venue.n_out:
                _answer(c, &c.seats[k], ts_ns)


cdef void _responses(CLoop* c) noexcept nogil:
    # The answers due at response_ns, one account after the other, while records fit.
    cdef int64_t ts_ns = c.response_ns
    cdef CSeat* s
    cdef Event e
    cdef int i
    _reach(c, ts_ns)
    for i in range(c.n_seats):
        s = &c.seats[i]
        while response_due(s.response) == ts_ns and ring_room(c.ring) >= c.room_min:
            e = s.response.ring[s.response.head & s.response.mask]
            s.response.head += 1
            _step(c, s, &e)
    _soonest(c)


cdef void _requests(CLoop* c) noexcept nogil:
    # The stamps and the requests that arrive at entry_ns.
    cdef int64_t ts_ns = c.entry_ns
    cdef CSeat* s
    cdef int i
    if c.funding_ns <= ts_ns:
        _stamps(c, ts_ns)
    for i in range(c.n_seats):
        s = &c.seats[i]
        while entry_due(s.entry) == ts_ns:
            venue_request(s.venue, &s.entry.ring[s.entry.head & s.entry.mask].request, ts_ns)
            s.entry.head += 1
            if s.venue.n_out:
                _answer(c, s, ts_ns)
    _soonest(c)


cdef void _timer(CLoop* c, int64_t ts_ns) noexcept nogil:
    cdef Event e
    cdef int i
    memset(&e, 0, sizeof(Event))
    e.kind = EV_TIMER
    e.flags = FLAG_LOCAL
    e.ts_venue_ns = ts_ns
    e.ts_local_ns = ts_ns
    _reach(c, ts_ns)
    for i in range(c.n_seats):
        if not trader_sleeps(c.seats[i].trader, ts_ns):
            e.instrument = c.seats[i].market.spec.instrument
            _step(c, &c.seats[i], &e)


cdef bint _before(CLoop* c, int64_t ts_ns) noexcept nogil:
    # Answers, requests and timers before ts_ns, in order of time; False: the ring is nearly full.
    cdef int64_t due_ns
    while True:
        due_ns = c.response_ns if c.response_ns <= c.entry_ns else c.entry_ns
        if c.timer_ns < due_ns:
            due_ns = c.timer_ns
        if due_ns >= ts_ns:
            return True
        if ring_room(c.ring) < c.room_min:
            return False
        if due_ns == c.response_ns:
            _responses(c)
        elif due_ns == c.entry_ns:
            _requests(c)
        else:
            c.timer_ns += c.timer_step_ns
            _timer(c, due_ns)


cdef bint _ready(CLoop* c, int64_t ts_ns, int64_t until_ns) noexcept nogil:
    # May what is due at ts_ns happen now?  All that comes before it has happened then.
    if c.timer_step_ns and c.timer_ns == INT64_MAX:
        # At whole multiples of the period, so that two runs of one tape have the same timers.
        c.timer_ns = (ts_ns // c.timer_step_ns + 1) * c.timer_step_ns
    if ts_ns > until_ns:
        _before(c, until_ns)
        return False
    return _before(c, ts_ns) and ring_room(c.ring) >= c.room_min


# ---- the two clocks


cdef inline int64_t _rows(const Event* e) noexcept nogil:
    # Rows of a message; as event_rows, which a call per row would cost too much.
    if e.kind != EV_DEPTH:
        return 1
    return 1 + ((<int64_t>e.n_bids + <int64_t>e.n_asks + 3) >> 2)


cdef inline bint _whole(CLoop* c, int64_t row) noexcept nogil:
    # A message that is all there, and of a known instrument.
    if c.rows[row].instrument < c.n_markets and row + _rows(&c.rows[row]) <= c.n_rows:
        return True
    c.bad_row = row
    return False


cdef void _run_local(CLoop* c, int64_t events_end, int64_t until_ns) noexcept nogil:
    cdef const Event* e
    while c.local_row < c.n_rows and c.n_events < events_end:
        e = &c.rows[c.local_row]
        if not _whole(c, c.local_row) or not _ready(c, e.ts_local_ns, until_ns):
            return
        if e.flags & FLAG_LOCAL:
            _local_data(c, e)
        if e.flags & FLAG_EXCH:
            _venue_data(c, e, e.ts_local_ns)
        c.local_row += _rows(e)


cdef int64_t _seek(CLoop* c, int64_t row, int flag) noexcept nogil:
    # From `row` on, the next message of a side; n_rows: not known yet.
    while row < c.n_rows and _whole(c, row) and not c.rows[row].flags & flag:
        row += _rows(&c.rows[row])
    return row


cdef bint _stalled(CLoop* c) noexcept nogil:
    # Two clocks: further rows must be known first; at the end, nothing is left.
    c.local_row = _seek(c, c.local_row, FLAG_LOCAL)
    c.venue_row = _seek(c, c.venue_row, FLAG_EXCH)
    if c.last:
        return c.local_row >= c.n_rows and c.venue_row >= c.n_rows
    return c.local_row >= c.n_rows or c.venue_row >= c.n_rows


cdef void _run_two(CLoop* c, int64_t events_end, int64_t until_ns) noexcept nogil:
    cdef int64_t local_ns, venue_ns
    while c.n_events < events_end and not _stalled(c) and c.bad_row < 0:
        local_ns = venue_ns = INT64_MAX
        if c.local_row < c.n_rows:
            local_ns = c.rows[c.local_row].ts_local_ns
        if c.venue_row < c.n_rows:
            venue_ns = c.rows[c.venue_row].ts_venue_ns
        if local_ns <= venue_ns:
            if not _ready(c, local_ns, until_ns):
                return
            _local_data(c, &c.rows[c.local_row])
            c.local_row += _rows(&c.rows[c.local_row])
        elif not _ready(c, venue_ns, until_ns):
            return
        elif c.response_ns == venue_ns:
            _responses(c)           # at one instant answers come first
        else:
            _venue_data(c, &c.rows[c.venue_row], venue_ns)
            c.venue_row += _rows(&c.rows[c.venue_row])


cdef void loop_run(CLoop* c, int64_t events, int64_t until_ns) noexcept nogil:
    cdef int64_t end = c.n_events + events
    if c.two_clocks:
        _run_two(c, end, until_ns)
    else:
        _run_local(c, end, until_ns)


cdef void _idle(CLoop* c, int64_t until_ns, int64_t step_ns) noexcept nogil:
    # Time passes without market data, with a timer every step.
    cdef int64_t tick_ns = c.now_ns + step_ns
    c.timer_ns = INT64_MAX
    while tick_ns <= until_ns and _before(c, tick_ns) and ring_room(c.ring) >= c.room_min:
        _timer(c, tick_ns)
        tick_ns += step_ns
    if tick_ns > until_ns and _before(c, until_ns):
        _reach(c, until_ns)


# ---- the owner


cdef class SimLoop:
    """Runs traders against simulated venues over the rows of a source; single-threaded.

    traders: several may share one Market, and several Markets with signals of their own may be of
    one instrument; they are known by their instrument's index.  venues,
    latencies: one each, same order, each venue used here alone; venues of one instrument may share
    their book (``beside=``).  clock: "local" or "two".  timer_ns: a timer event for every trader
    so often, at whole multiples, 0 for none.  All traders must share one Ring.  Raises ValueError
    where these do not fit together.
    """

    def __cinit__(self, traders, venues, latencies, *, str clock="local", int64_t timer_ns=0):
        cdef CLoop* c = &self.c
        memset(c, 0, sizeof(CLoop))
        self.traders, self.venues = tuple(traders), tuple(venues)
        self.latencies = tuple(latencies)
        c.n_seats = <int>len(self.traders)
        c.n_markets = max((1 + (<Trader>t).market.c.spec.instrument for t in self.traders),
                          default=0)
        c.seats = <CSeat*>calloc(c.n_seats + 1, sizeof(CSeat))
        c.markets = <CMarket**>calloc(c.n_seats + 1, sizeof(CMarket*))
        c.first = <int32_t*>calloc(c.n_markets + 1, sizeof(int32_t))
        c.first_market = <int32_t*>calloc(c.n_markets + 1, sizeof(int32_t))
        c.funding = <CFunding*>calloc(c.n_markets + 1, sizeof(CFunding))
        if not (c.seats and c.markets and c.first and c.first_market and c.funding):
            raise MemoryError

    def __init__(self, traders, venues, latencies, *, str clock="local", int64_t timer_ns=0):
        cdef CLoop* c = &self.c
        n = len(self.traders)
        if not 1 <= n <= 4096 or len(self.venues) != n or len(self.latencies) != n:
            raise ValueError(f"{n} traders: expected 1 to 4096, and as many venues and latencies")
        if clock not in ("local", "two"):
            raise ValueError(f"clock {clock!r}: expected 'local' or 'two'")
        if timer_ns < 0:
            raise ValueError(f"timer_ns {timer_ns}: must not be negative")
        c.two_clocks = clock == "two"
        c.bad_row = -1
        c.timer_step_ns = timer_ns
        c.timer_ns = c.entry_ns = c.response_ns = c.funding_ns = INT64_MAX
        for i in range(c.n_markets):
            funding_start(&c.funding[i])
        self.channels = tuple(Channels(4096) for _ in self.traders)
        self.block = self.buffer = np.empty(0, EVENT)
        self.taken = True
        _ring(self)
        _seat(self)

    def __dealloc__(self):
        free(self.c.seats)
        free(self.c.markets)
        free(self.c.first)
        free(self.c.first_market)
        free(self.c.funding)

    def feed(self, rows):
        """Bind the next block: EVENT rows, whole messages.  The one before must be consumed.

        The array is kept until the next call and must not change meanwhile.
        """
        if not self.consumed:
            raise ValueError("the block before has not been consumed")
        if rows.dtype != EVENT or rows.ndim != 1 or not rows.flags.c_contiguous:
            raise ValueError("a block is a contiguous one-dimensional EVENT array")
        self.block = rows
        self.taken = False
        if not self.c.two_clocks:
            self.c.local_row = 0
            _bind(&self.c, rows)

    def run(self, int64_t events, int64_t until_ns=INT64_MAX):
        """Give up to ``events`` market messages not after ``until_ns``; how many were given.

        Releases the GIL.  Fewer than asked: the block is consumed, the time is reached, or the
        journal's ring must be drained first.  ValueError for a message that is cut off or of an
        unknown instrument, OverflowError when more is under way than a channel holds.
        """
        cdef int64_t before = self.c.n_events
        if self.c.two_clocks and not self.taken:
            _take(self)
        with nogil:
            loop_run(&self.c, events, until_ns)
        _check(&self.c)
        return self.c.n_events - before

    def end(self):
        """No further block will come: with two clocks, what waited for it may now happen.

        Run on until the loop is consumed.
        """
        self.c.last = True

    def idle(self, int64_t duration_ns, int64_t step_ns=10_000_000):
        """Let ``duration_ns`` pass without market data: requests and answers under way arrive.

        Every ``step_ns`` the traders get a timer event.  Stops short when the journal's ring must
        be drained first.
        """
        if duration_ns < 0 or step_ns < 1:
            raise ValueError("duration_ns must not be negative, step_ns must be positive")
        with nogil:
            _idle(&self.c, self.c.now_ns + duration_ns, step_ns)
        _check(&self.c)

    @property
    def consumed(self):
        """True when the loop needs the next block; at the end, when every row has happened."""
        if self.c.two_clocks:
            return self.taken and _stalled(&self.c)
        return self.c.local_row >= self.c.n_rows

    @property
    def row(self):
        """Rows of the block that the traders have seen; with two clocks, that were taken up."""
        if self.c.two_clocks:
            return len(self.block) if self.taken else 0
        return self.c.local_row

    @property
    def now_ns(self):
        """Engine time: of the latest event on our side, ns; 0 before the first."""
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
        cdef int64_t n = 0
        cdef int i
        for i in range(self.c.n_seats):
            n += self.c.seats[i].entry.tail - self.c.seats[i].entry.head
            n += self.c.seats[i].response.tail - self.c.seats[i].response.head
        return n


cdef int _check(const CLoop* c) except -1:
    if c.bad_row >= 0:
        raise ValueError(
            f"row {c.bad_row}: the message is cut off, or its instrument "
            f"{c.rows[c.bad_row].instrument} is unknown"
        )
    if c.overflow:
        raise OverflowError("a channel to a simulated venue ran full")
    return 0


cdef int _ring(SimLoop loop) except -1:
    cdef CLoop* c = &loop.c
    if len({id((<Trader>trader).ring) for trader in loop.traders}) != 1:
        raise ValueError("all traders of a loop must share one Ring")
    c.ring = &(<Ring>(<Trader>loop.traders[0]).ring).c
    # A timer steps every trader, and each may leave a record a request.
    c.room_min = <int64_t>(REQUESTS_MAX + 8) * c.n_seats
    if c.ring.capacity < 2 * c.room_min:
        raise ValueError(
            f"a ring of {c.ring.capacity} records is too small for {c.n_seats} traders"
        )
    return 0


cdef int _seat(SimLoop loop) except -1:
    # Seats by instrument, those that share a venue's book beside each other, else as given.
    cdef CLoop* c = &loop.c
    cdef Trader trader
    cdef Venue venue
    cdef CSeat* s
    cdef int at = 0
    cdef int n_markets = 0
    if len({id(venue) for venue in loop.venues}) != c.n_seats:
        raise ValueError("every trader needs a venue account of its own")
    for index in range(c.n_markets):
        books = {}
        for i, trader in enumerate(loop.traders):
            if trader.market.c.spec.instrument == index:
                books.setdefault(id((<Venue>loop.venues[i]).book), []).append(i)
        markets = {}
        for i in [i for mine in books.values() for i in mine]:
            trader, venue, s = loop.traders[i], loop.venues[i], &c.seats[at]
            if venue.book is trader.market.book:
                raise ValueError(f"venue {i} uses the trader's book: it needs its own")
            markets.setdefault(id(trader.market), trader.market)
            s.trader = trader.c
            s.market = &trader.market.c
            s.venue = &venue.c
            s.latency = &(<Latency>loop.latencies[i]).c
            s.entry = &(<Channels>loop.channels[i]).entry
            s.response = &(<Channels>loop.channels[i]).response
            at += 1
        if not books:
            raise ValueError(f"no market has instrument index {index}")
        c.first[index + 1] = at
        for market in markets.values():
            c.markets[n_markets] = &(<Market>market).c
            n_markets += 1
        c.first_market[index + 1] = n_markets
    return 0


cdef int _bind(CLoop* c, rows) except -1:
    cdef const unsigned char[::1] view
    c.n_rows = len(rows)
    if c.n_rows:
        view = rows.view("u1")
        c.rows = <const Event*>&view[0]
    return 0


cdef int _take(SimLoop loop) except -1:
    # The block goes behind the rows that one side has not passed; room for both is made here,
    # once a block, outside the hot path.
    cdef CLoop* c = &loop.c
    cdef int64_t passed = min(c.local_row, c.venue_row)
    waiting = loop.buffer[passed:loop.n_buffer].copy()
    loop.n_buffer = len(waiting) + len(loop.block)
    if loop.n_buffer > len(loop.buffer):
        loop.buffer = np.empty(2 * loop.n_buffer, EVENT)
    loop.buffer[:len(waiting)] = waiting
    loop.buffer[len(waiting):loop.n_buffer] = loop.block
    c.local_row -= passed
    c.venue_row -= passed
    loop.taken = True
    return _bind(c, loop.buffer[:loop.n_buffer])
