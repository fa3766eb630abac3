"""An instrument as the core sees it: legal prices, exact money, conversions.

Prices are ticks, quantities units, money quanta of 1e-8.  One rounding per conversion, half-even
for money, outwards for prices (bids down, asks up), towards zero for quantities.
"""

from fractions import Fraction

from libc.math cimport ceil, fabs, floor
from libc.stdint cimport INT64_MAX, int64_t
from libc.string cimport memset

from ._types cimport INVERSE, LINEAR, SPOT, Event, Level, Record, Request, Spec

cdef extern from *:
    """
    typedef __int128 mm_i128;
    """
    ctypedef long long mm_i128  # 128 bits in C; the declaration here only names it


cdef int64_t QUANTA_ONE = 100_000_000           # of 1.0 of an asset
cdef int64_t RATE_ONE = 1_000_000_000_000       # of a rate of 100 %


cdef int64_t _rounded(mm_i128 n, mm_i128 den) noexcept nogil:
    # n / den, half-even, within 64 bits.
    cdef mm_i128 q, r
    if den < 0:
        n = -n
        den = -den
    q = n / den
    r = n - q * den
    if r < 0:               # floor division
        q -= 1
        r += den
    r += r
    if r > den or (r == den and (q & 1)):
        q += 1
    if q > <mm_i128>INT64_MAX:
        return INT64_MAX
    if q < -<mm_i128>INT64_MAX:
        return -INT64_MAX
    return <int64_t>q


cdef int64_t mul_div(int64_t a, int64_t b, int64_t c, int64_t d) noexcept nogil:
    # a * b must fit 64 bits times c 128: callers keep |a * b| < 2^63 (tick * units of real markets)
    return _rounded(<mm_i128>a * <mm_i128>b * <mm_i128>c, <mm_i128>d)


cdef inline int64_t _step(const Spec* s, int64_t tick) noexcept nogil:
    # The legal step at `tick` where only so many significant figures are allowed; an integer price
    # is always legal, so the step never exceeds 1.0.
    cdef int64_t step = 1
    cdef int64_t bound = 10
    cdef int _i
    if s.sig_figs == 0:
        return 1
    if s.sig_figs < 0:          # a fixed step of orders, coarser than the book's tick
        return s.tick_per_one
    for _i in range(1, s.sig_figs):
        bound *= 10
    while tick >= bound and step < s.tick_per_one:
        step *= 10
        bound *= 10
    return step


cdef int64_t tick_floor(const Spec* s, int64_t tick) noexcept nogil:
    cdef int64_t step = _step(s, tick)
    return tick - tick % step


cdef int64_t tick_ceil(const Spec* s, int64_t tick) noexcept nogil:
    cdef int64_t step = _step(s, tick)
    cdef int64_t rest = tick % step
    return tick if rest == 0 else tick - rest + step


cdef int64_t tick_down(const Spec* s, int64_t tick) noexcept nogil:
    return tick_floor(s, tick - 1)


cdef int64_t tick_up(const Spec* s, int64_t tick) noexcept nogil:
    return tick_ceil(s, tick + 1)


cdef int64_t price_floor(const Spec* s, double price) noexcept nogil:
    # A price within a billionth of a tick's grid point counts as on it: it came from a model whose
    # last bits are noise, and losing a whole tick to them is the defect A4 of the originals.
    cdef double x = price / s.tick_size
    cdef double near = floor(x + 0.5)
    if not (fabs(x) < 9e15):
        return 0
    if fabs(x - near) <= 1e-9 * (1.0 + fabs(x) * 1e-6):
        return tick_floor(s, <int64_t>near)
    return tick_floor(s, <int64_t>floor(x))


cdef int64_t price_ceil(const Spec* s, double price) noexcept nogil:
    cdef double x = price / s.tick_size
    cdef double near = floor(x + 0.5)
    if not (fabs(x) < 9e15):
        return 0
    if fabs(x - near) <= 1e-9 * (1.0 + fabs(x) * 1e-6):
        return tick_ceil(s, <int64_t>near)
    return tick_ceil(s, <int64_t>ceil(x))


cdef int64_t qty_floor(const Spec* s, double quantity) noexcept nogil:
    cdef double x = quantity * s.qty_div / <double>s.lot
    cdef double near
    if not (x > 0.0) or not (x < 9e15):
        return 0
    near = floor(x + 0.5)
    if fabs(x - near) <= 1e-9 * (1.0 + x * 1e-6):
        return <int64_t>near * s.lot
    return <int64_t>floor(x) * s.lot


cdef double price_of(const Spec* s, int64_t tick) noexcept nogil:
    return <double>tick * s.tick_size


cdef double quantity_of(const Spec* s, int64_t qty) noexcept nogil:
    return <double>qty / s.qty_div


cdef int64_t notional(const Spec* s, int64_t tick, int64_t qty) noexcept nogil:
    if s.kind == INVERSE:
        if tick <= 0:
            return 0
        return mul_div(qty, s.money_num, 1, tick * s.money_den)
    return mul_div(tick, qty, s.money_num, s.money_den)


cdef int64_t funding_quanta(const Spec* s, int64_t mark, int64_t units,
                            int64_t rate) noexcept nogil:
    # Longs pay a positive rate.  Product and divisor fit 128 bits for every position that the
    # ledger can value and rates up to 4 %.
    cdef mm_i128 n = -<mm_i128>units * <mm_i128>rate * <mm_i128>s.mark_num
    cdef mm_i128 den = <mm_i128>s.mark_den * RATE_ONE
    if mark <= 0:
        return 0
    if s.kind == INVERSE:
        return _rounded(n * QUANTA_ONE, den * <mm_i128>mark)
    return _rounded(n * <mm_i128>mark, den)


cdef int64_t notional_quote(const Spec* s, int64_t tick, int64_t qty) noexcept nogil:
    if s.kind == INVERSE:
        return <int64_t>(<double>qty / s.qty_div * s.contract_size * 1e8)
    return notional(s, tick, qty)


cdef class SpecBox:
    """The compiled face of an instrument.  Built by :class:`mmcore.instrument.Instrument`.

    tick: quote currency per tick, decimal string.  qty_decimals: decimals k of the finest quantity
    the venue writes; a unit is 10^-k.  contract_size: decimal string.  lot, qty_min, qty_max:
    units (qty_max 0: none).  notional_min: quanta of the quote currency.  maker_fee, taker_fee:
    1e-8 of the notional.  kind: ContractKind.  sig_figs: 0, or the significant figures a legal
    price may have.  price_step: ticks between legal prices of orders, 1 for every tick.  Raises
    ValueError where a value is not positive or money would not fit.
    """

    def __cinit__(self, str tick, int qty_decimals, str contract_size, int64_t lot, int64_t qty_min,
                  int64_t qty_max, int64_t notional_min, int64_t maker_fee, int64_t taker_fee,
                  int kind, int sig_figs, int instrument, int64_t price_step=1):
        memset(&self.c, 0, sizeof(Spec))

    def __init__(self, str tick, int qty_decimals, str contract_size, int64_t lot, int64_t qty_min,
                 int64_t qty_max, int64_t notional_min, int64_t maker_fee, int64_t taker_fee,
                 int kind, int sig_figs, int instrument, int64_t price_step=1):
        step, size = Fraction(tick), Fraction(contract_size)
        if step <= 0 or size <= 0 or lot <= 0 or not 0 <= qty_decimals <= 18:
            raise ValueError(
                f"tick {tick}, contract size {contract_size} and lot {lot} must be positive, "
                f"quantity decimals {qty_decimals} within 0 to 18"
            )
        if kind not in (LINEAR, INVERSE, SPOT):
            raise ValueError(f"contract kind {kind}: expected 0 linear, 1 inverse or 2 spot")
        units = 10 ** <object>qty_decimals   # a Python int: C's ** would make a double
        unit = Fraction(1, units)
        money = unit * size / step * 10**8 if kind == INVERSE else unit * size * step * 10**8
        if money.numerator > 2**62 or money.denominator > 2**40:
            raise ValueError(f"tick {tick} with contract size {contract_size}: money does not fit")
        mark = unit * size * 10**8 if kind == INVERSE else unit * size
        if mark.numerator > 2**62 or mark.denominator > 2**62:
            raise ValueError(f"contract size {contract_size}: money at mark prices does not fit")
        self.c.tick_size = float(step)
        self.c.qty_div = float(units)
        self.c.contract_size = float(size)
        self.c.money_num = money.numerator
        self.c.money_den = money.denominator
        self.c.mark_num = mark.numerator
        self.c.mark_den = mark.denominator
        self.c.lot = lot
        self.c.qty_min = qty_min
        self.c.qty_max = qty_max
        self.c.notional_min = notional_min
        self.c.maker_fee = maker_fee
        self.c.taker_fee = taker_fee
        self.c.kind = kind
        self.c.sig_figs = sig_figs
        self.c.tick_per_one = int(1 / step) if step <= 1 else 1
        if price_step > 1:
            self.c.sig_figs, self.c.tick_per_one = -1, price_step
        self.c.instrument = instrument

    @property
    def tick_size(self):
        """Quote currency per tick."""
        return self.c.tick_size

    @property
    def qty_div(self):
        """Units per 1.0 of quantity."""
        return self.c.qty_div

    @property
    def lot(self):
        """Order lot, units."""
        return self.c.lot

    @property
    def kind(self):
        """ContractKind."""
        return self.c.kind

    def tick_floor(self, int64_t tick):
        """Largest legal tick at or below ``tick``."""
        return tick_floor(&self.c, tick)

    def tick_ceil(self, int64_t tick):
        """Smallest legal tick at or above ``tick``."""
        return tick_ceil(&self.c, tick)

    def tick_down(self, int64_t tick):
        """Next legal tick below ``tick``."""
        return tick_down(&self.c, tick)

    def tick_up(self, int64_t tick):
        """Next legal tick above ``tick``."""
        return tick_up(&self.c, tick)

    def price_floor(self, double price):
        """Legal tick at or below a price in quote currency (bids)."""
        return price_floor(&self.c, price)

    def price_ceil(self, double price):
        """Legal tick at or above a price in quote currency (asks)."""
        return price_ceil(&self.c, price)

    def qty_floor(self, double quantity):
        """Units of the largest whole number of lots within a quantity; 0 for none."""
        return qty_floor(&self.c, quantity)

    def price(self, int64_t tick):
        """Price of a tick, quote currency."""
        return price_of(&self.c, tick)

    def quantity(self, int64_t qty):
        """Quantity of so many units."""
        return quantity_of(&self.c, qty)

    def notional(self, int64_t tick, int64_t qty):
        """Exact notional in quanta (1e-8) of the settle asset, half-even; signed like ``qty``."""
        return notional(&self.c, tick, qty)

    def funding(self, int64_t mark, int64_t qty, int64_t rate):
        """Quanta that a position of ``qty`` units receives at a funding stamp, half-even.

        mark: price in 1e-8.  rate: in 1e-12; a positive one is paid by who is long.
        """
        return funding_quanta(&self.c, mark, qty, rate)


def layout():
    """Size and field offsets of the shared structs, for the test against the numpy dtypes."""
    cdef Event e
    cdef Level v
    cdef Request r
    cdef Record c
    cdef char* p = <char*>&e
    events = {
        "kind": <char*>&e.kind - p, "side": <char*>&e.side - p, "flags": <char*>&e.flags - p,
        "code": <char*>&e.code - p, "instrument": <char*>&e.instrument - p,
        "n_bids": <char*>&e.n_bids - p, "n_asks": <char*>&e.n_asks - p, "slot": <char*>&e.slot - p,
        "generation": <char*>&e.generation - p, "ts_venue_ns": <char*>&e.ts_venue_ns - p,
        "ts_local_ns": <char*>&e.ts_local_ns - p, "seq": <char*>&e.seq - p,
        "aux": <char*>&e.aux - p, "tick": <char*>&e.tick - p, "qty": <char*>&e.qty - p,
    }
    p = <char*>&v
    levels = {"tick": <char*>&v.tick - p, "qty": <char*>&v.qty - p}
    p = <char*>&r
    requests = {
        "kind": <char*>&r.kind - p, "side": <char*>&r.side - p, "tif": <char*>&r.tif - p,
        "reason": <char*>&r.reason - p, "instrument": <char*>&r.instrument - p,
        "slot": <char*>&r.slot - p, "generation": <char*>&r.generation - p,
        "level": <char*>&r.level - p, "reduce_only": <char*>&r.reduce_only - p,
        "batch": <char*>&r.batch - p, "ts_ns": <char*>&r.ts_ns - p, "tick": <char*>&r.tick - p,
        "qty": <char*>&r.qty - p, "done": <char*>&r.done - p,
    }
    p = <char*>&c
    records = {
        "kind": <char*>&c.kind - p, "side": <char*>&c.side - p, "flags": <char*>&c.flags - p,
        "code": <char*>&c.code - p, "instrument": <char*>&c.instrument - p,
        "trader": <char*>&c.trader - p, "slot": <char*>&c.slot - p, "level": <char*>&c.level - p,
        "generation": <char*>&c.generation - p, "ts_ns": <char*>&c.ts_ns - p,
        "tick": <char*>&c.tick - p, "qty": <char*>&c.qty - p, "money": <char*>&c.money - p,
        "seq": <char*>&c.seq - p, "position": <char*>&c.position - p,
    }
    return {
        "EVENT": (sizeof(Event), events), "LEVEL": (sizeof(Level), levels),
        "REQUEST": (sizeof(Request), requests), "RECORD": (sizeof(Record), records),
    }
