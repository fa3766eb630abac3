"""The research interface: a strategy of one's own against a tape and a simulated venue.

How time passes is in :mod:`mmcore._playback`, whose functions compiled strategies call directly.
"""

from enum import IntEnum
from operator import index

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint16_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from ._book cimport Book
from ._channel cimport Channels, Latency
from ._depth cimport event_rows
from ._playback cimport *
from ._types cimport INVERSE, TIF_GTX, Event, Spec
from ._venue cimport Venue

from .events import EVENT

FILL = np.dtype(
    [
        ("exch_ts", "<i8"), ("seen_ts", "<i8"), ("order_id", "<i8"), ("side", "<i8"),
        ("tick", "<i8"), ("qty", "<i8"), ("maker", "<i8"), ("fee", "<i8"),
    ]
)
LOCAL_ORDER = np.dtype(
    [
        ("id", "<i8"), ("tick", "<i8"), ("placed", "<i8"), ("qty", "<i8"), ("left", "<i8"),
        ("filled", "<i8"), ("exec_tick", "<i8"), ("exec_qty", "<i8"), ("ts_venue_ns", "<i8"),
        ("ts_request_ns", "<i8"),
        ("generation", "<u4"), ("side", "i1"), ("tif", "u1"), ("status", "u1"), ("pending", "u1"),
        ("maker", "u1"), ("used", "u1"), ("_end", "V6"),
    ]
)


class Outcome(IntEnum):
    """What became of a call."""

    OK = OUTCOME_OK
    END = OUTCOME_END
    FEED = OUTCOME_FEED
    RESPONSE = OUTCOME_RESPONSE
    ID_EXISTS = OUTCOME_ID_EXISTS
    PENDING = OUTCOME_PENDING
    NOT_FOUND = OUTCOME_NOT_FOUND
    BAD_REQUEST = OUTCOME_BAD_REQUEST
    BAD_STATUS = OUTCOME_BAD_STATUS


class Status(IntEnum):
    """State of an order as we know it, or what is pending."""

    NONE = LOCAL_NONE
    NEW = LOCAL_NEW
    EXPIRED = LOCAL_EXPIRED
    FILLED = LOCAL_FILLED
    CANCELED = LOCAL_CANCELED
    PARTIALLY_FILLED = LOCAL_PARTIALLY_FILLED
    REJECTED = LOCAL_REJECTED
    REPLACED = LOCAL_REPLACED


cdef class Replay:
    """A tape, a venue and the strategy's own view of both; single-threaded.

    rows: EVENT[n], whole messages; kept by reference.  venue: not used before.  clock: "two", or
    "local" to let the venue see every row when we do.  snapshot: EVENT rows that both books hold
    before the first row.  fills_max: fills kept.  n_slots orders at once: the venue's.
    TypeError for rows of another dtype; ValueError for an unknown clock and for a last message that
    is cut off.

    ``elapse`` and ``wait_feed`` return an Outcome: OK, FEED, RESPONSE or END; they raise
    ValueError where the tape runs backwards and OverflowError where a fixed capacity ran out.
    """

    def __cinit__(self, rows, Venue venue not None, Latency latency not None, *, str clock="two",
                  snapshot=None, int64_t fills_max=1_000_000):
        cdef CReplay* r = &self.c
        cdef int i
        memset(r, 0, sizeof(CReplay))
        r.n_slots = venue.c.n_slots
        r.ids_mask = 7
        while r.ids_mask < 4 * r.n_slots:
            r.ids_mask = 2 * r.ids_mask + 1
        r.orders = <LocalOrder*>calloc(r.n_slots, sizeof(LocalOrder))
        r.ids = <int32_t*>calloc(r.ids_mask + 1, sizeof(int32_t))
        r.free_slots = <uint16_t*>calloc(r.n_slots, sizeof(uint16_t))
        r.fills = <LocalFill*>calloc(fills_max, sizeof(LocalFill))
        if not (r.orders and r.ids and r.free_slots and r.fills):
            raise MemoryError
        r.fills_max = fills_max
        for i in range(r.n_slots):
            r.free_slots[i] = <uint16_t>(r.n_slots - 1 - i)

    def __init__(self, rows, Venue venue not None, Latency latency not None, *, str clock="two",
                 snapshot=None, int64_t fills_max=1_000_000):
        cdef CReplay* r = &self.c
        if clock not in ("two", "local"):
            raise ValueError(f"clock {clock!r}: expected 'two' or 'local'")
        self.rows = _events(rows)
        self.venue = venue
        self.latency = latency
        self.book = Book(venue.book.spec)
        self.channels = Channels(4096)
        r.two_clocks = clock == "two"
        r.book = self.book.c
        r.venue = &venue.c
        r.latency = &latency.c
        r.entry = &self.channels.entry
        r.response = &self.channels.response
        if snapshot is not None and len(snapshot):
            before = _events(snapshot)
            _bind(r, before)
            replay_preload(r, r.rows, r.n_rows)
        r.n_rows = 0
        if len(self.rows):
            _bind(r, self.rows)
        replay_start(r)

    def __dealloc__(self):
        free(self.c.orders)
        free(self.c.ids)
        free(self.c.free_slots)
        free(self.c.fills)

    def elapse(self, int64_t duration_ns):
        """Let ``duration_ns`` pass, events at its last instant included."""
        cdef int outcome
        _duration(duration_ns)
        with nogil:
            outcome = replay_elapse(&self.c, duration_ns)
        return _checked(&self.c, outcome)

    def wait_feed(self, int64_t timeout_ns):
        """Until the next local data row or answer, ``timeout_ns`` at most."""
        cdef int outcome
        _duration(timeout_ns)
        with nogil:
            outcome = replay_wait(&self.c, timeout_ns)
        return _checked(&self.c, outcome)

    def submit(self, int64_t order_id, int side, tick, qty, int tif=TIF_GTX):
        """Send a new limit order: ``side`` +1 buys, ``qty`` in units.  Returns an Outcome."""
        # index(): a price with decimals would be cut to ticks in silence.
        return _checked(
            &self.c, replay_submit(&self.c, order_id, side, index(tick), index(qty), tif)
        )

    def modify(self, int64_t order_id, tick, qty):
        """Ask for another price and remaining quantity.  Returns an Outcome."""
        return _checked(&self.c, replay_modify(&self.c, order_id, index(tick), index(qty)))

    def cancel(self, int64_t order_id):
        """Ask for a cancel.  Returns an Outcome."""
        return _checked(&self.c, replay_cancel(&self.c, order_id))

    def clear_inactive(self):
        """Forget orders that are expired, filled or cancelled; their ids are free again."""
        replay_clear_inactive(&self.c)

    def status(self, int64_t order_id):
        """Status of an order by the answers received; NONE before the first, and when unknown."""
        cdef LocalOrder* o = replay_order(&self.c, order_id)
        return o.status if o != NULL else LOCAL_NONE

    def active(self, int64_t order_id):
        """May this order be cancelled or modified now?"""
        cdef LocalOrder* o = replay_order(&self.c, order_id)
        return o != NULL and order_active(o)

    def order(self, int64_t order_id):
        """One order, a LOCAL_ORDER row; None when unknown."""
        cdef LocalOrder* o = replay_order(&self.c, order_id)
        cdef unsigned char[::1] view
        if o == NULL:
            return None
        rows = np.zeros(1, LOCAL_ORDER)
        view = rows.view("u1")
        memcpy(&view[0], o, sizeof(LocalOrder))
        return rows[0]

    def orders(self):
        """All orders not cleared yet, by id: LOCAL_ORDER rows, a copy."""
        cdef unsigned char[::1] view
        rows = np.zeros(self.c.n_slots, LOCAL_ORDER)
        view = rows.view("u1")
        memcpy(&view[0], self.c.orders, self.c.n_slots * sizeof(LocalOrder))
        rows = rows[rows["used"] == 1]
        return rows[np.argsort(rows["id"])]

    def fills(self, int64_t start=0):
        """Fills received so far from number ``start`` on, in order: FILL rows, a copy."""
        cdef unsigned char[::1] view
        cdef int64_t n = self.c.n_fills - start
        rows = np.zeros(max(n, 0), FILL)
        if n > 0:
            view = rows.view("u1")
            memcpy(&view[0], self.c.fills + start, n * sizeof(LocalFill))
        return rows

    def equity(self, double mid):
        """Worth at a price, quote currency, or coin for inverse contracts."""
        cdef const Spec* s = &self.venue.c.spec
        cdef double value = <double>self.c.position / s.qty_div * s.contract_size
        if s.kind == INVERSE:
            return -self.c.balance - value / mid - self.c.fee
        return self.c.balance + value * mid - self.c.fee

    @property
    def now_ns(self):
        return self.c.now_ns

    @property
    def best_bid_tick(self):
        return self.c.book.bid_tick

    @property
    def best_ask_tick(self):
        return self.c.book.ask_tick

    @property
    def position(self):
        return self.c.position

    @property
    def balance(self):
        return self.c.balance

    @property
    def fee(self):
        return self.c.fee

    @property
    def volume(self):
        return self.c.volume

    @property
    def turnover(self):
        return self.c.turnover

    @property
    def n_fills(self):
        return self.c.n_fills

    @property
    def n_answers(self):
        """Answers received so far."""
        return self.c.n_answers

    @property
    def n_orders(self):
        return self.c.n_orders

    @property
    def n_messages(self):
        """Messages processed on our side and on the venue's."""
        return self.c.local.n_passed, self.c.market.n_passed


cdef int _checked(const CReplay* r, int outcome) except -1:
    if outcome == OUTCOME_UNSORTED:
        bad = r.local.bad_row if r.local.bad_row >= 0 else r.market.bad_row
        raise ValueError(f"tape row {bad}: its time is before the row ahead of it")
    if outcome == OUTCOME_FULL:
        raise OverflowError(f"{r.n_orders} orders, {r.n_fills} fills: a fixed capacity ran out")
    return outcome


cdef int _bind(CReplay* r, rows) except -1:
    # A tape is played without asking where a message ends; so it is asked here.
    cdef const unsigned char[::1] view = rows.view("u1")
    cdef int64_t row = 0
    r.rows = <const Event*>&view[0]
    r.n_rows = len(rows)
    while row < r.n_rows:
        row += event_rows(&r.rows[row])
    if row > r.n_rows:
        r.n_rows = 0
        raise ValueError("the last message is cut off: expected rows of whole messages")
    return 0


def _events(rows):
    # What is no EVENT array would be turned into one, field by field, and be nonsense.
    if getattr(rows, "dtype", None) != EVENT:
        raise TypeError(f"rows: {type(rows).__name__} is no array of mmcore.events.EVENT rows")
    return np.ascontiguousarray(rows)


cdef int64_t _duration(int64_t ns) except -1:
    if ns < 0:
        raise ValueError(f"{ns} ns: time does not go backwards")
    return ns
