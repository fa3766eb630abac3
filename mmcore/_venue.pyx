"""A simulated venue for one instrument, owned by Python.

The rules are in :mod:`mmcore._matching`; here are their switches by name, the queue models, the
fees, and a door for tests and notebooks.
"""

from fractions import Fraction

import numpy as np

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from ._book cimport Book
from ._fees cimport *
from ._matching cimport venue_market, venue_request
from ._meeting cimport shown_qty, shown_top
from ._queue cimport QUEUE_FIFO, queue_ahead
from ._resting cimport *
from ._spec cimport SpecBox
from ._types cimport *

from .events import EVENT, LEVEL, REQUEST

ORDER = np.dtype(
    [
        ("slot", "<i4"), ("generation", "<u4"), ("side", "<i4"), ("tick", "<i8"), ("left", "<i8"),
        ("ahead", "<f8"),
    ]
)
QUEUE_MODELS = ("risk_averse", "power", "power2", "power3", "log", "log2", "fifo")
FEE_KINDS = ("value", "qty", "flat")
RULES = {
    "double_queue": RULE_DOUBLE_QUEUE,
    "half_lot": RULE_HALF_LOT,
    "whole_print": RULE_WHOLE_PRINT,
    "whole_through": RULE_WHOLE_THROUGH,
    "whole_cross": RULE_WHOLE_CROSS,
    "take_unlimited": RULE_TAKE_UNLIMITED,
    "take_remainder": RULE_TAKE_REMAINDER,
    "forget_taken": RULE_FORGET_TAKEN,
    "modify_keeps_left": RULE_MODIFY_KEEPS_LEFT,
    "fill_unhealthy": RULE_FILL_UNHEALTHY,
    "no_partial": RULE_NO_PARTIAL,
    "no_filters": RULE_NO_FILTERS,
    "levels_apart": RULE_LEVELS_APART,
    "no_funding": RULE_NO_FUNDING,
    "amend_rests": RULE_AMEND_RESTS,
    "clear_expires": RULE_CLEAR_EXPIRES,
    "cross_once": RULE_CROSS_ONCE,
    "skip_inside": RULE_SKIP_INSIDE,
}
PARITY = RULES_PARITY
PARITY_WHOLE = RULES_PARITY_WHOLE
PARITY_FIFO = RULES_PARITY_FIFO
MEET = RULE_MEET | RULE_FILL_UNHEALTHY


def _fee_terms(rate, kind, SpecBox spec):
    # Fee quanta = measure * num / den, reduced so that both fit.
    if kind == FEE_QTY:
        terms = rate * 10**8 / int(spec.c.qty_div)
    elif kind == FEE_FLAT:
        terms = rate * 10**8
    else:
        terms = rate * Fraction(spec.c.money_num, spec.c.money_den)
    if abs(terms.numerator) >= 2**62 or terms.denominator >= 2**40:
        raise ValueError(f"fee rate {float(rate)}: fee quanta do not fit 64 bits")
    return terms.numerator, terms.denominator


def _rate(rate, int64_t default):
    # Exactly what was written: a float is taken as its shortest decimal.
    return Fraction(default, 10**8) if rate is None else Fraction(str(rate))


def _volume(volume):
    quanta = round(Fraction(str(volume)) * 10**8)
    if not 0 <= quanta < 2**63:
        raise ValueError(f"volume {volume}: expected 0 to 9.2e10 of the quote currency")
    return quanta


def _schedule(SpecBox spec, maker_fee, taker_fee, tiers):
    # Rows of (trailing volume in quanta, maker rate, taker rate); one where no tiers are given.
    if tiers is None:
        return [(0, _rate(maker_fee, spec.c.maker_fee), _rate(taker_fee, spec.c.taker_fee))]
    if maker_fee is not None or taker_fee is not None:
        raise ValueError("tiers beside a maker_fee or taker_fee: expected one or the other")
    rows = [(_volume(volume), Fraction(str(maker)), Fraction(str(taker)))
            for volume, maker, taker in tiers]
    volumes = [row[0] for row in rows]
    if not rows or volumes[0] or volumes != sorted(set(volumes)):
        raise ValueError("tiers: expected at least one, the first from volume 0, volumes rising")
    return rows


cdef Book _book(SpecBox spec, Venue beside, str queue, uint32_t rules, int64_t orders_max):
    # One of the venue's own, or the one it shares; by orders too, where the queue model needs them.
    cdef Book book = Book(spec) if beside is None else beside.book
    if queue == "fifo":
        if rules & RULE_MEET:
            raise ValueError("queue model 'fifo' with the rule MEET: expected one or the other")
        book.reserve_orders(orders_max)
    return book


cdef void _line_up(CVenue* v, int model, double exponent) noexcept:
    # The queue model, by the rules and the instrument that the venue has.
    v.queue.model = model
    v.queue.exponent = exponent
    v.queue.doubles = (v.rules & RULE_DOUBLE_QUEUE) != 0 and model != QUEUE_FIFO
    v.queue.half_lot = (v.rules & RULE_HALF_LOT) != 0
    v.queue.qty_div = v.spec.qty_div
    v.queue.lot = v.spec.lot
    v.queue.lot_qty = <double>v.spec.lot / v.spec.qty_div
    v.cleared_ns[0] = v.cleared_ns[1] = INT64_MIN


cdef int _charge(CFees* f, SpecBox spec, list rows) except -1:
    cdef Tier* tier
    for i, (volume, maker, taker) in enumerate(rows):
        tier = &f.tiers[<int>i]
        tier.volume = volume
        tier.maker.num, tier.maker.den = _fee_terms(maker, f.kind, spec)
        tier.taker.num, tier.taker.den = _fee_terms(taker, f.kind, spec)
        tier.maker.rate, tier.taker.rate = float(maker), float(taker)
    fees_tier(f, f.before)
    return 0


cdef class Venue:
    """A simulated venue for one instrument; see the module's first lines.

    spec: the instrument.  beside: another account's venue of the same instrument, whose book this
    one shares.  rules: bits of VenueRule, 0 for the default.  queue: one of QUEUE_MODELS, exponent
    its n.  fee: one of FEE_KINDS; maker_fee, taker_fee: of the notional, per 1.0 of quantity, or
    per fill, as number or decimal string, negative for a rebate; default the instrument's.  tiers:
    instead, rows of (trailing volume, maker_fee, taker_fee), see the manual; traded: the volume of
    the tier_days before the start.  n_slots: own orders that can rest.  position: units held at the
    start, signed, for reduce-only orders, of the first owner.  n_owners: accounts whose orders meet
    here, with the rule MEET.  order_rate, batch_max: orders and amends in any second, and in one
    call, beyond which they are refused; 0 for no limit.  orders_max: market orders that the queue
    model fifo remembers at once; a book with more is not trusted until it is cleared.
    ValueError names what is not one of these.
    """

    def __cinit__(self, SpecBox spec not None, *, Venue beside=None, uint32_t rules=0,
                  str queue="risk_averse", double exponent=1.0, str fee="value", maker_fee=None,
                  taker_fee=None, tiers=None, traded=0, int tier_days=30,
                  int n_slots=SLOTS_MAX, int64_t position=0, int n_owners=1,
                  int order_rate=0, int batch_max=0, int64_t orders_max=262_144):
        cdef CVenue* v = &self.c
        memset(v, 0, sizeof(CVenue))
        if queue not in QUEUE_MODELS:
            raise ValueError(f"queue model {queue!r}: expected one of {', '.join(QUEUE_MODELS)}")
        if fee not in FEE_KINDS:
            raise ValueError(f"fee kind {fee!r}: expected one of {', '.join(FEE_KINDS)}")
        if not 1 <= n_slots <= 65535 or exponent <= 0.0:
            raise ValueError(f"{n_slots} slots, exponent {exponent}: expected 1 to 65535, above 0")
        if not 1 <= n_owners <= 65535 or (n_owners > 1 and not rules & RULE_MEET):
            raise ValueError(f"{n_owners} owners: expected 1, or up to 65535 with the rule MEET")
        if not 0 <= order_rate <= 65535 or not 0 <= batch_max <= 65535:
            raise ValueError(f"order_rate {order_rate}, batch_max {batch_max}: expected 0 to 65535")
        if n_owners > 1 and (order_rate or batch_max):
            raise ValueError(f"{n_owners} owners: order_rate and batch_max are of one account")
        self.book = _book(spec, beside, queue, rules, orders_max)
        v.book = self.book.c
        v.spec = spec.c
        v.rules = rules
        _line_up(v, QUEUE_MODELS.index(queue), exponent)
        v.fees.kind = FEE_KINDS.index(fee)
        rows = _schedule(spec, maker_fee, taker_fee, tiers)
        if n_owners > 1 and len(rows) > 1:
            raise ValueError(f"{len(rows)} tiers, {n_owners} owners: tiers are of one account")
        if not 1 <= tier_days <= 366:
            raise ValueError(f"tier_days {tier_days}: expected 1 to 366")
        v.fees.n_tiers, v.fees.n_days = <int32_t>len(rows), tier_days
        v.fees.before, v.fees.day = _volume(traded), -1
        v.n_slots = n_slots
        v.n_owners = n_owners
        v.order_rate = order_rate
        v.batch_max = batch_max
        v.ladder_max = MEET_LEVELS if rules & RULE_MEET else TAKE_LEVELS
        v.taken_max = MEET_LEVELS if rules & RULE_MEET else TAKEN_MAX
        v.out_max = (4 if rules & RULE_MEET else 1) * n_slots + v.ladder_max + 8
        v.fees.tiers = <Tier*>calloc(v.fees.n_tiers, sizeof(Tier))
        v.fees.traded = <int64_t*>calloc(tier_days + 1, sizeof(int64_t))
        v.passed_ns = <int64_t*>calloc(order_rate + 1, sizeof(int64_t))
        v.held = <int64_t*>calloc(2 * n_owners, sizeof(int64_t))
        v.taken = <Taken*>calloc(v.taken_max, sizeof(Taken))
        v.orders = <VenueOrder*>calloc(n_slots, sizeof(VenueOrder))
        v.index[0] = <uint16_t*>calloc(2 * n_slots + 2 * MARKS, sizeof(uint16_t))
        v.touched = <Touched*>calloc(LEVELS_MAX + 1, sizeof(Touched))
        v.ladder = <Level*>calloc(v.ladder_max, sizeof(Level))
        v.out = <Event*>calloc(v.out_max, sizeof(Event))
        if not (v.orders and v.index[0] and v.touched and v.ladder and v.out and v.held
                and v.taken and v.fees.tiers and v.fees.traded and v.passed_ns):
            raise MemoryError
        _charge(&v.fees, spec, rows)
        v.held[0] = position
        v.rooms = v.held + n_owners
        v.index[1] = v.index[0] + n_slots
        v.marks[0] = v.index[1] + n_slots
        v.marks[1] = v.marks[0] + MARKS

    def __init__(self, SpecBox spec not None, *, Venue beside=None, uint32_t rules=0,
                 str queue="risk_averse", double exponent=1.0, str fee="value", maker_fee=None,
                 taker_fee=None, tiers=None, traded=0, int tier_days=30,
                 int n_slots=SLOTS_MAX, int64_t position=0, int n_owners=1,
                 int order_rate=0, int batch_max=0, int64_t orders_max=262_144):
        pass

    def __dealloc__(self):
        free(self.c.orders)
        free(self.c.index[0])
        free(self.c.touched)
        free(self.c.ladder)
        free(self.c.out)
        free(self.c.held)
        free(self.c.taken)
        free(self.c.passed_ns)
        free(self.c.fees.tiers)
        free(self.c.fees.traded)

    def market(self, rows):
        """Apply whole messages, EVENT rows, at their ``ts_venue_ns``; the answers, EVENT[n]."""
        return _market(self, rows)

    def request(self, request, int64_t ts_ns, int owner=0):
        """Let one REQUEST row of an owner arrive at ``ts_ns``; the answers, EVENT[n]."""
        cdef const unsigned char[::1] view
        if not 0 <= owner < self.c.n_owners:
            raise ValueError(f"owner {owner}: expected below {self.c.n_owners}")
        self.c.owner = owner
        view = np.ascontiguousarray(request, REQUEST).reshape(1).view("u1")
        self.c.n_out = 0
        venue_request(&self.c, <const Request*>&view[0], ts_ns)
        return _answers(&self.c)

    def orders(self):
        """Resting orders, best first, buys before sells: ORDER rows."""
        cdef VenueOrder* o
        cdef int i, s
        rows = np.zeros(self.c.n[0] + self.c.n[1], ORDER)
        for s in range(2):
            for i in range(self.c.n[s]):
                o = &self.c.orders[self.c.index[s][i]]
                rows[i + s * self.c.n[0]] = (
                    o.slot, o.generation, o.side, o.tick, o.left,
                    queue_ahead(&self.c.queue, &o.place),
                )
        return rows

    def shown(self, int side, int n):
        """The first n levels of the public book, market and orders, best first: LEVEL rows."""
        cdef int64_t[::1] view
        if n < 1:
            return np.empty(0, LEVEL)
        rows = np.empty(min(n, self.c.ladder_max), LEVEL)
        view = rows.view(np.int64)
        return rows[:shown_top(&self.c, side, len(rows), <Level*>&view[0])]

    def shown_at(self, int side, ticks):
        """Units of the public book at each of so many ticks, int64[n]."""
        cdef const int64_t[::1] wanted = np.ascontiguousarray(ticks, np.int64)
        cdef int64_t[::1] qty
        cdef Py_ssize_t i
        rows = np.empty(len(wanted), np.int64)
        qty = rows
        for i in range(len(wanted)):
            qty[i] = shown_qty(&self.c, side, wanted[i])
        return rows

    def held(self, int owner):
        """Units held by an owner, signed."""
        if not 0 <= owner < self.c.n_owners:
            raise ValueError(f"owner {owner}: expected below {self.c.n_owners}")
        return self.c.held[owner]

    @property
    def position(self):
        """Units held by the first owner: at the start, plus bought, less sold."""
        return self.c.held[0]

    @property
    def tier(self):
        """Which row of ``tiers`` counts, from 0."""
        return self.c.fees.at

    @property
    def n_fills(self):
        """Fills so far; a taker's levels count one each."""
        return self.c.n_fills


cdef _answers(CVenue* v):
    rows = np.empty(v.n_out, EVENT)
    cdef unsigned char[::1] view
    if v.n_out:
        view = rows.view("u1")
        memcpy(&view[0], v.out, v.n_out * sizeof(Event))
        v.n_out = 0
    return rows


cdef _market(Venue venue, rows):
    cdef const unsigned char[::1] view
    cdef const Event* e
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t n = len(rows)
    answers = [np.empty(0, EVENT)]
    if n == 0:
        return answers[0]
    view = np.ascontiguousarray(rows, EVENT).view("u1")
    while i < n:
        e = <const Event*>&view[0] + i
        venue.c.n_out = 0
        venue_market(&venue.c, e, e.ts_venue_ns)
        if venue.c.n_out:
            answers.append(_answers(&venue.c))
        i += 1
        if e.kind == EV_DEPTH:
            i += (<int>e.n_bids + <int>e.n_asks + 3) >> 2
    return np.concatenate(answers)
