"""The quoting pipeline for Python: one strategy on one instrument, a view in, quotes out."""

from libc.stdint cimport INT64_MAX, int64_t
from libc.string cimport memset

from ._quotes cimport GRID, Strategy, grid_ladders, grid_out_of_bounds, strategy_quotes
from ._spec cimport SpecBox, quantity_of
from ._types cimport INVERSE, Grid, Spec, View


cdef class Quoter:
    """One strategy on one instrument, with its own view and result: the pipeline for Python."""

    def __cinit__(self, Strategy strategy, SpecBox spec):
        memset(&self.view, 0, sizeof(View))
        memset(&self.grid, 0, sizeof(Grid))

    def __init__(self, Strategy strategy, SpecBox spec):
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
