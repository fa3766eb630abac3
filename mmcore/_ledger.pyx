"""Position, cash, fees and profit of one instrument, in integers.

Money is quanta (1e-8) of the settle asset: the quote currency for linear and spot, the coin for
inverse contracts.  One rounding per fill, half-even.  Two identities hold exactly at all times:
``cash == realised - cost`` (linear, spot) or ``cash == realised + cost`` (inverse), and the cost of
a flat position is zero.  Money saturates at 9.2e10 of the asset.
"""

from libc.stdint cimport int64_t

from ._spec cimport SpecBox, mul_div, notional
from ._types cimport ASK, BID, INVERSE, Spec


cdef int64_t _move(CLedger* l, const Spec* s, int side, int64_t tick,
                   int64_t qty) noexcept nogil:
    # Units change hands at a price; the notional.
    cdef int64_t money = notional(s, tick, qty)
    cdef int64_t flow = money if side == BID else -money
    cdef int64_t delta = qty if side == BID else -qty
    cdef int64_t held = l.position if l.position >= 0 else -l.position
    cdef int64_t closed = 0
    cdef int64_t released, closing
    if (l.position > 0 and side != BID) or (l.position < 0 and side == BID):
        closed = qty if qty < held else held
    if closed:
        # The closed part takes its share of the cost with it; the rest of the money opens.
        released = l.cost if closed == held else mul_div(l.cost, closed, 1, held)
        closing = flow if closed == qty else mul_div(flow, closed, 1, qty)
        if s.kind == INVERSE:
            l.realised += closing + released
        else:
            l.realised -= closing + released
        l.cost += flow - closing - released
    else:
        l.cost += flow
    if s.kind == INVERSE:
        l.cash += flow
    else:
        l.cash -= flow
    l.position += delta
    return money


cdef void ledger_fill(CLedger* l, const Spec* s, int side, int64_t tick, int64_t qty,
                      int64_t fee, bint maker) noexcept nogil:
    l.turnover += _move(l, s, side, tick, qty)
    l.fees += fee
    if side == BID:
        l.bought += qty
    else:
        l.sold += qty
    l.n_fills += 1
    l.n_maker += maker


cdef void ledger_coin_fee(CLedger* l, const Spec* s, int64_t tick, int64_t qty) noexcept nogil:
    # A fee taken in the coin is a sale of it at the fill's price whose proceeds are the fee: the
    # coin held, the money held and the fees stay true at once.  Negative: a rebate, bought.
    if qty > 0:
        l.fees += _move(l, s, ASK, tick, qty)
    elif qty < 0:
        l.fees -= _move(l, s, BID, tick, -qty)


cdef int64_t ledger_value(const CLedger* l, const Spec* s, int64_t tick2) noexcept nogil:
    # Value of the position at tick2 half ticks (bid + ask for the mid), quanta, signed.
    if s.kind == INVERSE:
        return mul_div(l.position, s.money_num, 2, tick2 * s.money_den) if tick2 > 0 else 0
    return mul_div(tick2, l.position, s.money_num, 2 * s.money_den)


cdef int64_t ledger_equity(const CLedger* l, const Spec* s, int64_t tick2) noexcept nogil:
    cdef int64_t value = ledger_value(l, s, tick2)
    if s.kind == INVERSE:
        return l.cash - value - l.fees + l.funding
    return l.cash + value - l.fees + l.funding


cdef void ledger_mark(CLedger* l, const Spec* s, int64_t tick2) noexcept nogil:
    cdef int64_t equity = ledger_equity(l, s, tick2)
    if equity > l.equity_high:
        l.equity_high = equity
    elif l.equity_high - equity > l.drawdown_max:
        l.drawdown_max = l.equity_high - equity


cdef class Ledger:
    """Books fills of one instrument.  spec: the instrument's :class:`SpecBox`."""

    def __cinit__(self, SpecBox spec not None):
        self.spec = spec.c

    def __init__(self, SpecBox spec not None):
        pass

    def fill(self, int side, int64_t tick, int64_t qty, *, int64_t fee=0, bint maker=True):
        """Book a fill: side +1 or -1, qty in units (> 0), fee in quanta (negative: rebate)."""
        if side not in (1, -1) or tick <= 0 or qty <= 0:
            raise ValueError(
                f"fill side {side}, tick {tick}, qty {qty}: expected +1 or -1, above 0, above 0"
            )
        ledger_fill(&self.c, &self.spec, side, tick, qty, fee, maker)

    def coin_fee(self, int64_t tick, int64_t qty):
        """Book a fee taken in the coin: units worth their price at ``tick`` (negative: rebate)."""
        if tick <= 0:
            raise ValueError(f"fee at tick {tick}: expected above 0")
        ledger_coin_fee(&self.c, &self.spec, tick, qty)

    def receive(self, int64_t quanta):
        """Book funding: quanta received (negative: paid)."""
        self.c.funding += quanta

    def value(self, int64_t bid_tick, int64_t ask_tick):
        """Signed value of the position at the mid, quanta."""
        return ledger_value(&self.c, &self.spec, bid_tick + ask_tick)

    def equity(self, int64_t bid_tick, int64_t ask_tick):
        """Profit since the start marked at the mid, after fees and funding, quanta."""
        return ledger_equity(&self.c, &self.spec, bid_tick + ask_tick)

    @property
    def position(self):
        """Units, signed."""
        return self.c.position

    @property
    def cash(self):
        """Quanta from trading, before fees."""
        return self.c.cash

    @property
    def cost(self):
        """Signed notional of the open position at its entry prices, quanta."""
        return self.c.cost

    @property
    def realised(self):
        """Realised profit before fees, quanta."""
        return self.c.realised

    @property
    def fees(self):
        """Fees paid, quanta; negative is a rebate."""
        return self.c.fees

    @property
    def funding(self):
        """Funding received, quanta; negative: paid."""
        return self.c.funding

    @property
    def turnover(self):
        """Notional traded on both sides, quanta."""
        return self.c.turnover

    @property
    def n_fills(self):
        """Fills booked."""
        return self.c.n_fills
