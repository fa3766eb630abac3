"""The quoting pipeline for Python: one strategy on one instrument, a view in, quotes out.

Beside it those of its formulas that answer with more than one number.
"""

from libc.stdint cimport INT64_MAX, int64_t
from libc.string cimport memset

from ._quotes cimport (
    GRID, INNER_HEAVY, OUTER_HEAVY, SKEW_SHIFT, SKEW_WIDTH, Strategy, grid_bounds, grid_inner,
    grid_ladders, grid_out_of_bounds, size_weights, strategy_quotes, two_sided_both,
)
from ._spec cimport SpecBox, quantity_of
from ._types cimport GRID_MAX, INVERSE, Grid, Spec, View


def geometric_weights(double ratio, int n, bint reverse=False):
    """Shares of a budget by a geometric ratio; see ``_quoter.pyi``."""
    cdef double out[GRID_MAX]
    if not 0.0 <= ratio <= 1.0 or not 1 <= n <= GRID_MAX:
        raise ValueError(f"{n} weights of ratio {ratio!r}: expected 1 to {GRID_MAX}, within 0 to 1")
    size_weights(ratio, n, OUTER_HEAVY if reverse else INNER_HEAVY, out)
    return [out[i] for i in range(n)]


def inner_quotes(double price, double spread, double skew):
    """(bid, ask) of the innermost orders of a grid; see ``_quoter.pyi``."""
    cdef double bid, ask
    if not -1.0 <= skew <= 1.0:
        raise ValueError(f"skew is {skew!r}: expected within -1 to 1")
    grid_inner(price, spread, skew, &bid, &ask)
    return (bid, ask)


def two_sided_prices(double price, double half_spread, double skew_bps=0.0,
                     str skew_application="shift"):
    """(bid, ask) of two_sided before rounding; see ``_quoter.pyi``."""
    cdef double bid, ask
    if skew_application not in ("shift", "width"):
        raise ValueError(f"skew_application is {skew_application!r}: expected shift or width")
    two_sided_both(price, half_spread, skew_bps,
                   SKEW_SHIFT if skew_application == "shift" else SKEW_WIDTH, &bid, &ask)
    return (bid, ask)


cdef class Quoter:
    """One strategy on one instrument, with its own view and result: the pipeline for Python."""

    def __cinit__(self, Strategy strategy not None, SpecBox spec not None):
        memset(&self.view, 0, sizeof(View))
        memset(&self.grid, 0, sizeof(Grid))

    def __init__(self, Strategy strategy not None, SpecBox spec not None):
        self.strategy = strategy
        self.spec = spec

    cdef int _look(self, int64_t bid_tick, int64_t ask_tick, int64_t position_qty) except -1:
        cdef View* v = &self.view
        cdef Spec* s = &self.spec.c
        v.bid_tick = bid_tick
        v.ask_tick = ask_tick
        v.mid = 0.5 * (<double>bid_tick + <double>ask_tick) * s.tick_size
        v.position_qty = position_qty
        v.position = quantity_of(s, position_qty)
        v.position_value = v.position * s.contract_size * (1.0 if s.kind == INVERSE else v.mid)
        return 0

    def quote(self, int64_t bid_tick, int64_t ask_tick, double signal=0.0, int64_t position_qty=0,
              double imbalance=0.0, double volatility=0.0, double microprice=0.0,
              int64_t buy_room=INT64_MAX, int64_t sell_room=INT64_MAX):
        """Computes the quotes and returns how many there are; see ``_quotes.pyi``."""
        cdef View* v = &self.view
        self._look(bid_tick, ask_tick, position_qty)
        v.signal = signal
        v.imbalance = imbalance
        v.volatility = volatility
        v.microprice = microprice
        v.buy_room = buy_room
        v.sell_room = sell_room
        strategy_quotes(&self.strategy.c, &self.spec.c, v, &self.grid)
        return self.grid.n_bids + self.grid.n_asks

    def ladders(self, int64_t bid_tick, int64_t ask_tick, double spread, double skew,
                int64_t position_qty=0):
        """Both ladders of a grid for a spread and a final skew; see ``_quotes.pyi``."""
        if self.strategy.c.kind != GRID or not spread > 0.0 or not -1.0 <= skew <= 1.0:
            raise ValueError(
                f"ladders of a {self.strategy.kind} strategy with spread {spread!r} and skew "
                f"{skew!r}: expected a grid, a spread above 0 and a skew within -1 to 1")
        self._look(bid_tick, ask_tick, position_qty)
        self.view.buy_room = self.view.sell_room = INT64_MAX
        grid_ladders(&self.strategy.c, &self.spec.c, &self.view, spread, skew, &self.grid)
        return self.grid.n_bids + self.grid.n_asks

    def bounds(self, int64_t bid_tick, int64_t ask_tick, double last_mid):
        """Half-width of the band around ``last_mid`` that a grid stays for, at this touch."""
        self._look(bid_tick, ask_tick, self.view.position_qty)
        return grid_bounds(&self.strategy.c, &self.spec.c, &self.view, last_mid)

    def out_of_bounds(self, double last_mid):
        """Whether the mid of the last view left the band around ``last_mid``."""
        return grid_out_of_bounds(&self.strategy.c, &self.spec.c, &self.view, last_mid)

    @property
    def bids(self):
        """[(tick, units)], best first; a copy."""
        return [(self.grid.bids[i].tick, self.grid.bids[i].qty) for i in range(self.grid.n_bids)]

    @property
    def asks(self):
        """[(tick, units)], best first; a copy."""
        return [(self.grid.asks[i].tick, self.grid.asks[i].qty) for i in range(self.grid.n_asks)]

    @property
    def fair(self):
        """Centre of the quotes, quote currency."""
        return self.grid.fair

    @property
    def spread(self):
        """Spread before rounding, quote currency."""
        return self.grid.spread

    @property
    def skew(self):
        """(final, position part, book part): [-1, 1] for grid, bps for two_sided."""
        return (self.grid.skew, self.grid.skew_position, self.grid.skew_book)

    @property
    def why(self):
        """(bid, ask) Suppressed bits: why a side or some of its levels are missing."""
        return (self.grid.why_bid, self.grid.why_ask)
