"""Own orders of one trader: fixed slots, their state machine, the difference to what is wanted.

A slot is held until the venue has said that its order is gone.  While a request is in flight the
order counts with the larger of its old and new quantity, and nothing else is sent for its slot.
"""

from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport calloc, free

from ._types cimport (
    BID, EV_ACK, EV_AMENDED, EV_CANCELLED, EV_EXPIRED, EV_FILL, EV_REJECT, FLAG_LAST,
    FLAG_MAKER, RJ_UNKNOWN_ORDER, SLOTS_MAX, Event, Level,
)


cdef inline int64_t _exposure(const Order* a) noexcept nogil:
    if a.state == OS_FREE:
        return 0
    if a.state == OS_AMEND and a.qty_next > a.qty:
        return a.qty_next
    return a.qty


cdef inline double _value(const Order* a) noexcept nogil:
    # Ticks x units, the larger of old and new.
    cdef double value = <double>a.tick * <double>a.qty
    if a.state == OS_AMEND:
        return max(value, <double>a.tick_next * <double>a.qty_next)
    return value


cdef inline void _count(COrders* o, const Order* a, int sign) noexcept nogil:
    # Adds (sign +1) or removes (-1) one order's share of the totals, around every change to it.
    cdef int64_t qty = sign * _exposure(a)
    if a.state == OS_FREE:
        return
    o.n_open += sign
    if a.state == OS_NEW or a.state == OS_AMEND or a.state == OS_CANCEL:
        o.n_flight += sign
    if a.side == BID:
        o.open_buy += qty
        o.value_buy += sign * _value(a)
    else:
        o.open_sell += qty
        o.value_sell += sign * _value(a)
    if o.n_open == 0:           # what rounding of very large sums may have left
        o.value_buy = o.value_sell = 0.0


cdef int orders_free_slot(const COrders* o) noexcept nogil:
    cdef int i
    if o.n_open >= o.n_slots:
        return -1
    for i in range(o.n_slots):
        if o.slots[i].state == OS_FREE:
            return i
    return -1


cdef void orders_place(COrders* o, int slot, int side, int level, int64_t tick, int64_t qty,
                       int64_t ts_ns) noexcept nogil:
    cdef Order* a = &o.slots[slot]
    a.state = OS_NEW
    a.generation += 1       # with the slot it names the order; 0 is never used
    a.side = side
    a.level = level
    a.partly = 0
    a.tick = tick
    a.qty = qty
    a.done = 0
    a.tick_next = tick
    a.qty_next = qty
    a.ts_ns = ts_ns
    _count(o, a, 1)


cdef void orders_amend(COrders* o, int slot, int level, int64_t tick, int64_t qty,
                       int64_t ts_ns) noexcept nogil:
    cdef Order* a = &o.slots[slot]
    _count(o, a, -1)
    a.state = OS_AMEND
    a.level = level
    a.tick_next = tick
    a.qty_next = qty
    a.ts_ns = ts_ns
    _count(o, a, 1)


cdef void orders_cancel(COrders* o, int slot, int64_t ts_ns) noexcept nogil:
    cdef Order* a = &o.slots[slot]
    _count(o, a, -1)
    a.state = OS_CANCEL
    a.ts_ns = ts_ns
    _count(o, a, 1)


cdef Order* orders_find(COrders* o, const Event* e) noexcept nogil:
    cdef Order* a
    if e.slot >= o.n_slots:
        return NULL
    a = &o.slots[e.slot]
    if a.state == OS_FREE or a.generation != e.generation:
        return NULL
    return a


cdef bint orders_answer(COrders* o, const Event* e) noexcept nogil:
    # True when a known order changed.  An answer may come late, twice, or for an order that has
    # ended meanwhile (a cancel that lost the race against a fill): those change nothing here.
    cdef Order* a = orders_find(o, e)
    if a == NULL:
        o.n_orphans += 1
        return False
    _count(o, a, -1)
    if e.kind == EV_FILL:
        a.qty -= e.qty
        a.done += e.qty
        a.partly = 1
        if a.state == OS_AMEND:
            a.qty_next -= e.qty if e.qty < a.qty_next else a.qty_next
        if a.qty <= 0:
            # An amend in flight may have made more of it, and taken: its answer will tell.
            a.qty = 0
            if a.state != OS_AMEND or a.qty_next == 0:
                a.state = OS_FREE
        if e.flags & FLAG_LAST:
            a.state = OS_FREE       # the amend made less of it, and that was taken: no answer comes
    elif e.kind == EV_ACK:
        if a.state == OS_NEW or a.state == OS_UNKNOWN:
            a.state = OS_LIVE
            a.tick = e.tick
            a.qty = min(a.qty, e.qty)   # a fill may have overtaken it
    elif e.kind == EV_AMENDED:
        if a.state == OS_AMEND or a.state == OS_UNKNOWN:
            a.state = OS_LIVE
        a.tick = e.tick
        a.qty = e.qty
        a.partly = 0
    elif e.kind == EV_CANCELLED or e.kind == EV_EXPIRED:
        a.state = OS_FREE
    elif e.kind == EV_REJECT:
        if a.state == OS_NEW or a.qty == 0:
            a.state = OS_FREE
        elif e.code == RJ_UNKNOWN_ORDER:
            a.state = OS_UNKNOWN    # gone at the venue; its fill or cancel is still to be told
        elif a.state == OS_AMEND or a.state == OS_CANCEL:
            a.state = OS_LIVE
    _count(o, a, 1)
    return True


cdef inline bint _better(int side, int64_t a, int64_t b) noexcept nogil:
    return a > b if side == BID else a < b


cdef inline int64_t _tick(const Order* a) noexcept nogil:
    # Where the order stands, or will once its amend has arrived.
    return a.tick_next if a.state == OS_AMEND else a.tick


cdef int _sorted_orders(const COrders* o, int side, int32_t* out) noexcept nogil:
    # Orders of a side that can be matched with a wanted level, best price first: insertion sort,
    # the list is short and nearly sorted.
    cdef int n = 0
    cdef int i, j
    cdef int seen = 0
    cdef const Order* a
    for i in range(o.n_slots):
        if seen == o.n_open:
            break
        a = &o.slots[i]
        if a.state == OS_FREE:
            continue
        seen += 1
        if a.side != side or a.state == OS_CANCEL or a.state == OS_UNKNOWN:
            continue
        j = n
        while j > 0 and _better(side, _tick(a), _tick(&o.slots[out[j - 1]])):
            out[j] = out[j - 1]
            j -= 1
        out[j] = i
        n += 1
    return n


cdef bint _keeps(const COrders* o, const Order* a, const Level* w) noexcept nogil:
    cdef int64_t tick = _tick(a)
    cdef int64_t qty = a.qty_next if a.state == OS_AMEND else a.qty
    cdef double away = fabs(<double>(tick - w.tick)) * 1e4
    if away > o.requote_bps * <double>w.tick:
        return False
    if a.partly and qty <= w.qty:
        return True             # a partial fill is not topped up: it would lose its place
    return fabs(<double>(qty - w.qty)) <= o.size_tolerance * <double>w.qty


cdef void orders_plan(const COrders* o, int side, const Level* wanted, int n,
                      Plan* p) noexcept nogil:
    # Smallest difference: both lists are sorted from the touch outwards, so one pass pairs each
    # wanted level with the nearest order that may stay; what is left over is paired in order.
    cdef int32_t mine[SLOTS_MAX]
    cdef uint8_t taken[SLOTS_MAX]
    cdef uint8_t met[SLOTS_MAX]
    cdef int m = _sorted_orders(o, side, mine)
    cdef int i = 0
    cdef int j = 0
    cdef const Order* a
    p.n_cancel = p.n_amend = p.n_replace = p.n_place = p.n_waiting = p.n_kept = 0
    for i in range(m):
        taken[i] = 0
    for j in range(n):
        met[j] = 0
    i = j = 0
    while i < m and j < n:
        a = &o.slots[mine[i]]
        if _keeps(o, a, &wanted[j]):
            taken[i] = 1
            met[j] = 1
            p.n_kept += 1
            i += 1
            j += 1
        elif _better(side, _tick(a), wanted[j].tick):
            i += 1
        else:
            j += 1
    _pair(o, wanted, mine, taken, m, met, n, p)


cdef void _pair(const COrders* o, const Level* wanted, const int32_t* mine, const uint8_t* taken,
                int m, const uint8_t* met, int n, Plan* p) noexcept nogil:
    cdef int i = 0
    cdef int j = 0
    cdef int k
    cdef const Order* a
    cdef uint16_t replaced[SLOTS_MAX]
    cdef uint8_t by[SLOTS_MAX]
    while i < m:
        a = &o.slots[mine[i]]
        if taken[i]:
            i += 1
            continue
        while j < n and met[j]:
            j += 1
        if a.state != OS_LIVE:
            # In flight and not where it is wanted: one wanted level waits for it to land.
            if j < n:
                p.n_waiting += 1
                j += 1
        elif j < n and _keeps(o, a, &wanted[j]):
            p.n_kept += 1       # of two at one price, the first pass looked at the other
            j += 1
        elif j < n:
            if o.amend == AMEND_FULL or (o.amend == AMEND_REDUCE and a.tick == wanted[j].tick
                                         and wanted[j].qty < a.qty):
                p.old[p.n_amend] = mine[i]
                p.new[p.n_amend] = j
                p.n_amend += 1
            else:
                replaced[p.n_replace] = mine[i]
                by[p.n_replace] = j
                p.n_replace += 1
            j += 1
        else:
            p.cancel[p.n_cancel] = mine[i]
            p.n_cancel += 1
        i += 1
    for k in range(p.n_replace):
        p.old[p.n_amend + k] = replaced[k]
        p.new[p.n_amend + k] = by[k]
    while j < n:
        if not met[j]:
            p.place[p.n_place] = j
            p.n_place += 1
        j += 1


_STATES = ("free", "new", "live", "amend", "cancel", "unknown")


cdef class Orders:
    """The slots of one trader, for tests and notebooks; the engine works on the struct inside.

    n_slots: 1 to 160.  amend: 0 the venue cannot, 1 quantity down only, 2 price and quantity.
    requote_bps, size_tolerance: an order within both of a wanted level is kept.  generation: that
    of a slot's first order is the next; traders of one account count in ranges of their own, so
    that slot and generation name an order of any of them.
    """

    def __cinit__(self, int n_slots=SLOTS_MAX, *, int amend=AMEND_FULL, double requote_bps=0.0,
                  double size_tolerance=0.0, uint32_t generation=0):
        cdef int i
        if not 1 <= n_slots <= SLOTS_MAX:
            raise ValueError(f"n_slots {n_slots}: expected 1 to {SLOTS_MAX}")
        if not 0 <= amend <= 2 or not requote_bps >= 0.0 or not size_tolerance >= 0.0:
            raise ValueError("amend must be 0, 1 or 2; tolerances must not be negative")
        self.c = <COrders*>calloc(1, sizeof(COrders))
        if self.c == NULL:
            raise MemoryError("order slots")
        self.c.n_slots = n_slots
        self.c.amend = amend
        self.c.requote_bps = requote_bps
        self.c.size_tolerance = size_tolerance
        for i in range(n_slots):
            self.c.slots[i].slot = i
            self.c.slots[i].generation = generation

    def __init__(self, int n_slots=SLOTS_MAX, *, int amend=AMEND_FULL, double requote_bps=0.0,
                 double size_tolerance=0.0, uint32_t generation=0):
        pass

    def __dealloc__(self):
        free(self.c)

    def place(self, int side, int64_t tick, int64_t qty, *, int level=0, int64_t ts_ns=0):
        """Take a free slot for a new order; its (slot, generation), or None when none is free."""
        cdef int slot = orders_free_slot(self.c)
        if slot < 0:
            return None
        orders_place(self.c, slot, side, level, tick, qty, ts_ns)
        return slot, self.c.slots[slot].generation

    def amend(self, int slot, int64_t tick, int64_t qty, *, int64_t ts_ns=0):
        """Mark an amend as sent.  Raises ValueError unless the slot is live."""
        self._live(slot)
        orders_amend(self.c, slot, self.c.slots[slot].level, tick, qty, ts_ns)

    def cancel(self, int slot, *, int64_t ts_ns=0):
        """Mark a cancel as sent.  Raises ValueError unless the slot is live."""
        self._live(slot)
        orders_cancel(self.c, slot, ts_ns)

    def _live(self, int slot):
        if not 0 <= slot < self.c.n_slots or self.c.slots[slot].state != OS_LIVE:
            raise ValueError(f"slot {slot}: no live order")

    def answer(self, int kind, int slot, int generation, *, int64_t tick=0, int64_t qty=0,
               int code=0, bint maker=True, bint last=False):
        """Apply a venue answer (Kind); True when a known order changed."""
        cdef Event e
        if kind not in (EV_ACK, EV_REJECT, EV_AMENDED, EV_EXPIRED, EV_FILL, EV_CANCELLED):
            raise ValueError(f"kind {kind}: not an answer to an own order")
        e.kind = kind
        e.slot = slot
        e.generation = generation
        e.tick = tick
        e.qty = qty
        e.code = code
        e.flags = (FLAG_MAKER if maker else 0) | (FLAG_LAST if last else 0)
        return bool(orders_answer(self.c, &e))

    def plan(self, int side, levels):
        """The difference between the slots and ``levels`` ([(tick, qty)], best first): a dict."""
        cdef Level wanted[SLOTS_MAX]
        cdef Plan p
        cdef int i
        rows = list(levels)
        if len(rows) > SLOTS_MAX:
            raise ValueError(f"{len(rows)} levels: at most {SLOTS_MAX}")
        for i in range(len(rows)):
            wanted[i].tick, wanted[i].qty = rows[i]
        orders_plan(self.c, side, wanted, len(rows), &p)
        return {
            "cancel": [p.cancel[i] for i in range(p.n_cancel)],
            "amend": [(p.old[i], p.new[i]) for i in range(p.n_amend)],
            "replace": [
                (p.old[p.n_amend + i], p.new[p.n_amend + i]) for i in range(p.n_replace)
            ],
            "place": [p.place[i] for i in range(p.n_place)],
            "waiting": p.n_waiting,
            "kept": p.n_kept,
        }

    def open(self):
        """Every slot in use: dicts of slot, generation, state, side, tick, qty and level."""
        cdef int i
        return [
            {
                "slot": self.c.slots[i].slot, "generation": self.c.slots[i].generation,
                "state": _STATES[self.c.slots[i].state], "side": self.c.slots[i].side,
                "tick": self.c.slots[i].tick, "qty": self.c.slots[i].qty,
                "level": self.c.slots[i].level,
            }
            for i in range(self.c.n_slots)
            if self.c.slots[i].state != OS_FREE
        ]

    @property
    def open_buy(self):
        """Worst-case open buy quantity, units."""
        return self.c.open_buy

    @property
    def open_sell(self):
        """Worst-case open sell quantity, units."""
        return self.c.open_sell

    @property
    def n_flight(self):
        """Slots waiting for an answer."""
        return self.c.n_flight

    @property
    def n_orphans(self):
        """Answers for orders that are not in a slot."""
        return self.c.n_orphans
