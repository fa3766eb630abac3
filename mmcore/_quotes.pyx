"""Quotes: both strategies on one pipeline, compiled and without allocation.

fair price -> spread -> skew -> ladder -> rounding -> guards.  `grid` is a ladder of orders per side
around a spread that follows the market; `two_sided` is one bid and one ask that move together.
Formulas, their sources and what differs from the originals: docs/strategy.md.

Prices are rounded outwards (bids down, asks up) to legal ticks, sizes down to whole lots, after all
caps.  Each level lies at least one legal tick farther out than the one before it: where the ladder
is finer than the tick, levels shift outwards, so no price ever carries two orders.
"""

from libc.math cimport INFINITY, NAN, fabs, floor, isfinite, pow, sqrt
from libc.stdint cimport INT64_MAX, int64_t, uint32_t
from libc.string cimport memset

from ._signals cimport Weights, weights_default
from ._spec cimport notional_quote, tick_ceil, tick_down, tick_floor, tick_up
from ._types cimport (
    ASK, BID, GRID_MAX, INVERSE, NO_BOOK, NO_BUDGET, NO_FILTERS, NO_MIN_NOTIONAL, NO_MIN_QTY,
    NO_PRICE, NO_ROOM, Grid, Level, Spec, View,
)

cdef double MARGIN = 0.93           # share of asset * leverage that is used
cdef double SPREAD_BPS = 27.0       # least spread where none is given
cdef double SPREAD_CAP = 3.7        # largest spread, multiples of the least


# ---- formulas ----------------------------------------------------------------------------------

cdef inline double _clip(double x, double low, double high) noexcept nogil:
    return low if x < low else (high if x > high else x)


cpdef double nbsqrt(double x) noexcept nogil:
    """sgn(x) * sqrt(|x|)."""
    return sqrt(x) if x >= 0.0 else -sqrt(-x)


cpdef double round_step(double x, double step) noexcept nogil:
    """The multiple of ``step`` nearest to ``x``, halves away from zero; nan for a step of 0."""
    cdef double steps
    if step == 0.0:
        return NAN
    steps = x / step
    return (floor(steps + 0.5) if steps >= 0.0 else -floor(0.5 - steps)) * step


cpdef double final_skew(int inventory, bint strict, double kappa, double signal,
                        double delta) noexcept nogil:
    """The signal after inventory control, in [-1, 1].  inventory: InventoryKind; delta: position
    value over the largest position value, clipped to [-1, 1] (an adopted one may exceed it)."""
    cdef double f = nbsqrt(_clip(delta, -1.0, 1.0))
    cdef double aligned = f * signal
    cdef double x
    if inventory == MEAN_REVERTING:
        x = signal if strict and aligned <= 0.0 else signal * (1.0 - fabs(f))
        x -= kappa * f
    elif inventory == TREND_FOLLOWING:
        x = signal if strict and aligned <= 0.0 else signal * (1.0 + fabs(aligned))
        x += kappa * f if aligned > 0.0 else -kappa * f
    elif inventory == PLAIN:
        x = signal - f
    elif inventory == DAMPED:
        x = signal * (1.0 - f)
    else:
        x = -f
    return _clip(x, -1.0, 1.0)


cpdef double quoted_spread(double price, double market_spread, double least, double most,
                           double growth) noexcept nogil:
    """The spread to quote, quote currency: the market's, within the fractions ``least`` and
    ``most`` of the price, then grown by ``growth`` >= 1 for volatility, within them again."""
    cdef double low = least * price
    cdef double high = most * price
    return _clip(_clip(market_spread, low, high) * growth, low, high)


cpdef double bps_diff(double target, double resting) noexcept nogil:
    """|resting - target| in basis points of the target; infinite where the target is 0."""
    if target == 0.0:
        return INFINITY
    return fabs(resting - target) / fabs(target) * 1e4


cpdef double position_component(double position, double max_position, double factor,
                                double half_spread) noexcept nogil:
    """-(position / max_position) * factor * half_spread, the ratio within [-1, 1]; bps."""
    if not max_position > 0.0:
        return 0.0
    return -_clip(position / max_position, -1.0, 1.0) * factor * half_spread


cpdef double book_component(double imbalance, double factor, double half_spread) noexcept nogil:
    """imbalance * factor * half_spread; bps."""
    return imbalance * factor * half_spread


cpdef double skewed_price(double price, double skew_bps) noexcept nogil:
    """price * (1 + skew_bps / 10000): the same for bid and ask, so that both shift together."""
    return price * (1.0 + skew_bps * 1e-4)


cdef void grid_inner(double fair, double spread, double skew, double* bid,
                     double* ask) noexcept nogil:
    # Innermost quotes, the spread apart: at the mid for a full skew, half a spread away for none.
    cdef double retreat = 0.5 * spread * (1.0 - sqrt(fabs(skew)))
    if skew >= 0.0:
        bid[0] = fair - retreat
        ask[0] = bid[0] + spread
    else:
        ask[0] = fair + retreat
        bid[0] = ask[0] - spread


cdef void two_sided_both(double fair, double half_spread, double skew_bps, int use, double* bid,
                         double* ask) noexcept nogil:
    # The two quotes of two_sided before rounding; bps in, prices out.
    cdef double h = half_spread * 1e-4
    if use == SKEW_SHIFT:
        bid[0] = skewed_price(fair * (1.0 - h), skew_bps)
        ask[0] = skewed_price(fair * (1.0 + h), skew_bps)
    else:
        bid[0] = fair * (1.0 - h - skew_bps * 1e-4)
        ask[0] = fair * (1.0 + h + skew_bps * 1e-4)


# ---- one level ---------------------------------------------------------------------------------

cdef struct Filters:        # of one instrument, prepared once for all levels of a side
    int64_t room            # units that may still be quoted
    int64_t qty_least       # units
    double lots_most
    double value_low        # tick * units below it is under the minimum notional for certain
    double value_high       # and above it, over


cdef inline void _filters(const Spec* spec, int64_t room, Filters* f) noexcept nogil:
    cdef double value = 0.0
    f.room = room if room > 0 else 0
    f.qty_least = max(spec.qty_min, 1)
    f.lots_most = 9e15 / <double>spec.lot
    if spec.qty_max > 0:
        f.lots_most = min(f.lots_most, <double>(spec.qty_max / spec.lot))
    if spec.notional_min > 0:
        value = <double>spec.notional_min * <double>spec.money_den / <double>spec.money_num
    f.value_low = value * (1.0 - 1e-12)
    f.value_high = value * (1.0 + 1e-12)
    if spec.kind == INVERSE and spec.notional_min > 0:
        f.value_low, f.value_high = -1.0, INFINITY      # counted in contracts: always exactly


cdef inline int64_t _outwards(const Spec* spec, int side, double x) noexcept nogil:
    # Legal tick at or outside `x` ticks; within a billionth of a tick of the grid counts as on it,
    # as in _spec.price_floor, but without the division: the ladder is walked in ticks.
    cdef int64_t tick
    if side == BID:
        tick = <int64_t>(x * (1.0 + 1e-15) + 1e-9)
        return tick if spec.sig_figs == 0 else tick_floor(spec, tick)
    tick = <int64_t>(x * (1.0 - 1e-15) - 1e-9) + 1
    return tick if spec.sig_figs == 0 else tick_ceil(spec, tick)


cdef inline int64_t _beyond(const Spec* spec, int side, int64_t tick) noexcept nogil:
    if spec.sig_figs == 0:
        return tick - side
    return tick_down(spec, tick) if side == BID else tick_up(spec, tick)


cdef inline uint32_t _append(const Spec* spec, Filters* f, Level* level, int64_t tick,
                             double lots) noexcept nogil:
    # Writes the level, whole lots after all caps, and takes it out of the room; or says why not.
    cdef double whole = lots * (1.0 + 1e-15) + 1e-9
    cdef int64_t qty = <int64_t>(whole if whole < f.lots_most else f.lots_most) * spec.lot
    cdef bint tight = qty > f.room
    cdef double value
    if tight:
        qty = f.room - f.room % spec.lot
    if qty < f.qty_least:
        return NO_ROOM if tight else NO_MIN_QTY
    value = <double>tick * <double>qty
    if value <= f.value_high:       # the exact product, 128 bits, only where doubles cannot tell
        if value < f.value_low or notional_quote(spec, tick, qty) < spec.notional_min:
            return NO_ROOM if tight else NO_MIN_NOTIONAL
    level.tick = tick
    level.qty = qty
    f.room -= qty
    return 0


# ---- grid --------------------------------------------------------------------------------------

cdef double _grid_spread(const GridParams* p, const Spec* spec, const View* view,
                         double price) noexcept nogil:
    cdef double growth = 1.0 + p.volatility_factor * view.volatility
    cdef double touch = <double>(view.ask_tick - view.bid_tick) * spec.tick_size
    cdef double least = p.spread_min
    cdef double most
    if p.edge >= 0.0:
        least = max(least, 2e-8 * <double>spec.maker_fee + p.edge)
    most = p.spread_max if p.spread_max > 0.0 else SPREAD_CAP * least
    return quoted_spread(price, touch, least, max(least, most), growth)


cdef double _inventory_term(const GridParams* p, double signal, double f) noexcept nogil:
    # The part of the final skew that the position puts there, for the breakdown on the screen.
    if p.inventory == MEAN_REVERTING:
        return -p.kappa * f
    if p.inventory == TREND_FOLLOWING:
        return p.kappa * f if f * signal > 0.0 else -p.kappa * f
    if p.inventory == DAMPED:
        return -signal * f
    return -f


cdef void size_weights(double ratio, int n, int profile, double* out) noexcept nogil:
    # Shares of a side's budget, innermost first: ratio^i / sum, turned round for outer_heavy.
    cdef double total = 0.0
    cdef double w = 1.0
    cdef int i
    if profile == FLAT:
        ratio = 1.0
    for i in range(n):
        out[n - 1 - i if profile == OUTER_HEAVY else i] = w
        total += w
        w *= ratio
    for i in range(n):
        out[i] /= total


cdef inline int _ladder(const GridParams* p, const Spec* shared, int side, double inner,
                        double outer, const double* weights, double budget, int64_t limit,
                        int64_t room, Level* levels, uint32_t* why) noexcept nogil:
    # One side, from `inner` to `outer` (quote currency) in geometric steps, never inside `limit`.
    cdef Spec spec = shared[0]      # a copy of ours: the compiler keeps it in registers
    cdef Filters f
    cdef double x = inner / spec.tick_size
    cdef double x_end = outer / spec.tick_size
    cdef double step = pow(x_end / x, p.root)
    cdef double value = spec.contract_size * <double>spec.lot / spec.qty_div
    cdef double lots_value = budget / (value if spec.kind == INVERSE else value * spec.tick_size)
    cdef double lots
    cdef int64_t tick
    cdef uint32_t reason
    cdef uint32_t reasons = 0
    cdef int n = 0
    cdef int i
    _filters(&spec, room, &f)
    for i in range(p.n):
        if i > 0 and i == p.n - 1:
            x = x_end
        tick = _outwards(&spec, side, x)
        if (limit - tick) * side < 0:
            tick = limit
        if tick <= 0:
            reasons |= NO_PRICE
            break
        limit = _beyond(&spec, side, tick)
        x *= step
        lots = lots_value * weights[i]
        if spec.kind != INVERSE:
            lots /= <double>tick
        reason = _append(&spec, &f, &levels[n], tick, lots)
        reasons |= reason
        n += reason == 0
    why[0] |= reasons
    return n


cdef void _grid_orders(const GridParams* p, const Spec* spec, const View* view,
                       Grid* out) noexcept nogil:
    # Both ladders for the fair price, spread and final skew in `out`: the positive grid for a skew
    # of at least 0, else the negative one, its mirror image.
    cdef double delta = view.position_value / p.max_position_usd
    cdef double half = 0.5 * p.max_position_usd
    cdef double reach = p.final_order_distance * out.spread
    cdef double bid, ask, bid_end, ask_end
    cdef double scratch[GRID_MAX]
    cdef const double* weights_bid = &p.weights_favoured[0]
    cdef const double* weights_ask = &p.weights_other[0]
    cdef const double* swap
    cdef int64_t inside = view.bid_tick
    if p.ratio == RATIO_AGGRESSION:
        size_weights(_clip(fabs(out.skew), p.ratio_min, p.ratio_max), p.n, p.profile, scratch)
        weights_bid = scratch
    grid_inner(out.fair, out.spread, out.skew, &bid, &ask)
    if out.skew < 0.0:
        swap = weights_bid
        weights_bid = weights_ask
        weights_ask = swap
    bid_end, ask_end = bid - reach, ask + reach
    if p.distance == FROM_MID:
        bid_end = min(bid, out.fair - reach)
        ask_end = max(ask, out.fair + reach)
    if not bid >= spec.tick_size:
        out.why_bid |= NO_PRICE
    elif view.position_value >= half or 0.0 < p.stop_delta <= delta:
        out.why_bid |= NO_BUDGET
    else:
        out.n_bids = _ladder(
            p, spec, BID, bid, max(bid_end, spec.tick_size), weights_bid,
            half - view.position_value, tick_down(spec, view.ask_tick), view.buy_room, out.bids,
            &out.why_bid)
    if -view.position_value >= half or 0.0 < p.stop_delta <= -delta:
        out.why_ask |= NO_BUDGET
        return
    if out.n_bids:                  # a spread of less than a tick: never two own quotes at once
        inside = max(inside, out.bids[0].tick)
    out.n_asks = _ladder(
        p, spec, ASK, ask, ask_end, weights_ask, half + view.position_value,
        tick_up(spec, inside), view.sell_room, out.asks, &out.why_ask)


cdef void _grid_quotes(const GridParams* p, const Spec* spec, const View* view,
                       Grid* out) noexcept nogil:
    cdef double delta = view.position_value / p.max_position_usd
    out.spread = _grid_spread(p, spec, view, view.mid)
    out.skew = final_skew(p.inventory, p.strict, p.kappa, view.signal, delta)
    out.skew_position = _inventory_term(p, view.signal, nbsqrt(_clip(delta, -1.0, 1.0)))
    out.skew_book = out.skew - out.skew_position
    _grid_orders(p, spec, view, out)


# ---- two-sided ---------------------------------------------------------------------------------

cdef inline int64_t _units(const Spec* spec, double quantity) noexcept nogil:
    # whole units at or below; a quantity written in decimals is a unit but for its last bits
    cdef double x = quantity * spec.qty_div
    if not x < 9e15:
        return <int64_t>9e15
    return <int64_t>(x * (1.0 + 1e-15) + 1e-9) if x > 0.0 else 0


cdef uint32_t _two_sided_side(const TwoSidedParams* p, const Spec* spec, int64_t position_qty,
                              int64_t room, int64_t tick, Level* level) noexcept nogil:
    # One quote; position_qty is signed so that this side's fills increase it.
    cdef Filters f
    cdef int64_t left = _units(spec, p.max_absolute_position_size) - position_qty
    if left <= 0:
        return NO_BUDGET
    if tick <= 0:
        return NO_PRICE
    _filters(spec, room, &f)
    left = min(left, _units(spec, p.target_liquidity))
    return _append(spec, &f, level, tick, <double>left / <double>spec.lot)


cdef void _two_sided_quotes(const TwoSidedParams* p, const Spec* spec, const View* view,
                            Grid* out) noexcept nogil:
    cdef double bid, ask
    cdef int64_t bid_tick, ask_tick
    if p.skewed:
        out.skew_position = position_component(
            view.position, p.max_absolute_position_size, p.inventory_skew_factor, p.half_spread)
        out.skew_book = book_component(view.imbalance, p.book_imbalance_factor, p.half_spread)
        out.skew = _clip(out.skew_position + out.skew_book, -p.max_skew_bps, p.max_skew_bps)
    two_sided_both(out.fair, p.half_spread, out.skew, p.use, &bid, &ask)
    out.spread = ask - bid
    bid_tick = min(_outwards(spec, BID, bid / spec.tick_size), tick_down(spec, view.ask_tick))
    ask_tick = max(_outwards(spec, ASK, ask / spec.tick_size), tick_up(spec, view.bid_tick))
    if bid_tick >= ask_tick:        # SKEW_WIDTH can turn the quotes inside out
        ask_tick = tick_up(spec, bid_tick)
    out.why_bid = _two_sided_side(
        p, spec, view.position_qty, view.buy_room, bid_tick, &out.bids[0])
    out.why_ask = _two_sided_side(
        p, spec, -view.position_qty, view.sell_room, ask_tick, &out.asks[0])
    out.n_bids = out.why_bid == 0
    out.n_asks = out.why_ask == 0


# ---- pipeline ----------------------------------------------------------------------------------

cdef bint _open(int anchor, const Spec* spec, const View* view, Grid* out) noexcept nogil:
    # Clears the result, sets the fair price; False where there is nothing to quote by.
    cdef uint32_t why = 0
    out.n_bids = out.n_asks = 0
    out.spread = out.skew = out.skew_position = out.skew_book = 0.0
    out.fair = view.mid
    if anchor == ANCHOR_MICROPRICE and view.microprice > 0.0:
        out.fair = view.microprice
    if spec.lot <= 0 or not spec.tick_size > 0.0 or not spec.qty_div > 0.0 \
            or not spec.contract_size > 0.0:
        why = NO_FILTERS
    elif view.bid_tick <= 0 or view.ask_tick <= view.bid_tick or view.ask_tick == INT64_MAX \
            or not (view.mid > 0.0 and isfinite(view.mid)):
        why = NO_BOOK
    out.why_bid = out.why_ask = why
    return why == 0


cdef void strategy_quotes(const CStrategy* c, const Spec* spec, const View* view,
                          Grid* out) noexcept nogil:
    if c.kind == GRID:
        if _open(c.grid.anchor, spec, view, out):
            _grid_quotes(&c.grid, spec, view, out)
    elif _open(c.two.anchor, spec, view, out):
        _two_sided_quotes(&c.two, spec, view, out)


cdef void grid_ladders(const CStrategy* c, const Spec* spec, const View* view, double spread,
                       double skew, Grid* out) noexcept nogil:
    if _open(c.grid.anchor, spec, view, out):
        out.spread = spread
        out.skew = skew
        _grid_orders(&c.grid, spec, view, out)


cdef double grid_bounds(const CStrategy* c, const Spec* spec, const View* view,
                        double last_mid) noexcept nogil:
    if c.kind != GRID or not last_mid > 0.0:
        return 0.0
    return c.grid.bounds_factor * _grid_spread(&c.grid, spec, view, last_mid)


cdef bint grid_out_of_bounds(const CStrategy* c, const Spec* spec, const View* view,
                             double last_mid) noexcept nogil:
    if c.kind != GRID or not last_mid > 0.0:
        return True
    return fabs(view.mid - last_mid) > grid_bounds(c, spec, view, last_mid)


# ---- owners ------------------------------------------------------------------------------------

INVENTORY = {
    "mean_reverting": MEAN_REVERTING, "trend_following": TREND_FOLLOWING, "plain": PLAIN,
    "damped": DAMPED, "neutral": NEUTRAL,
}
PROFILES = {"outer_heavy": OUTER_HEAVY, "inner_heavy": INNER_HEAVY, "flat": FLAT}
ANCHORS = {"mid": ANCHOR_MID, "microprice": ANCHOR_MICROPRICE}
DISTANCES = {"inner": FROM_INNER, "mid": FROM_MID}
SKEW_USES = {"shift": SKEW_SHIFT, "width": SKEW_WIDTH}
ASSET_TYPES = ("perp", "spot")


def _choice(str name, dict table, value):
    if value not in table:
        raise ValueError(f"{name} is {value!r}: expected one of {', '.join(table)}")
    return table[value]


def _within(str name, value, double low, double high, str unit=""):
    # A number in [low, high]; nan is in no interval.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        rule = f"at least {low:g}" if high == INFINITY else f"within {low:g} to {high:g}"
        raise ValueError(f"{name} is {value!r}: expected a number {rule}{unit and ' ' + unit}")
    return float(value)


def _positive(str name, value, str unit=""):
    if isinstance(value, bool) or not isinstance(value, (int, float)) \
            or not 0.0 < value < INFINITY:
        raise ValueError(f"{name} is {value!r}: expected a number above 0{unit and ' ' + unit}")
    return float(value)


def _whole(str name, value, int low, int high):
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}: expected a whole number within {low} to {high}")
    return value


cdef class Strategy:
    """What a trader quotes by: :class:`GridStrategy` or :class:`TwoSidedStrategy`."""

    def __cinit__(self, *args, **kwargs):
        memset(&self.c, 0, sizeof(CStrategy))
        weights_default(&self.c.weights)

    def __init__(self):
        raise TypeError("Strategy is the common face: make a GridStrategy or a TwoSidedStrategy")

    @property
    def kind(self):
        """"grid" or "two_sided"."""
        return "grid" if self.c.kind == GRID else "two_sided"


cdef class GridStrategy(Strategy):
    """A ladder of orders on each side; arguments and units in ``_quotes.pyi``."""

    def __init__(self, *, asset=None, leverage=1.0, margin=MARGIN, max_position_usd=None,
                 orders_per_side=4, final_order_distance=10.0, final_order_distance_from="inner",
                 minimum_spread=0.0, maximum_spread=None, edge_bps=None, volatility_factor=0.0,
                 anchor="mid", requote_spreads=1.0, inventory="mean_reverting", kappa=None,
                 inventory_strict=False, stop_delta=0.5, size_profile="outer_heavy",
                 size_ratio_favoured=0.63, size_ratio_other=0.37, size_ratio_range=None,
                 Weights weights=None):
        cdef GridParams* p = &self.c.grid
        self.c.kind = GRID
        if weights is not None:
            self.c.weights = weights.c
        if max_position_usd is None:
            if asset is None:
                raise ValueError("grid needs asset or max_position_usd")
            max_position_usd = (_positive("asset", asset) * _positive("leverage", leverage)
                                * _within("margin", margin, 0.001, 1.0))
        p.max_position_usd = _positive("max_position_usd", max_position_usd)
        p.n = _whole("orders_per_side", orders_per_side, 1, GRID_MAX)
        p.root = 1.0 / (p.n - 1) if p.n > 1 else 0.0
        p.final_order_distance = _positive("final_order_distance", final_order_distance, "spreads")
        p.distance = _choice("final_order_distance_from", DISTANCES, final_order_distance_from)
        p.spread_min = (_within("minimum_spread", minimum_spread, 0.0, 5e3, "bps")
                        or SPREAD_BPS) * 1e-4
        p.spread_max = 0.0 if maximum_spread is None else 1e-4 * _within(
            "maximum_spread", maximum_spread, p.spread_min * 1e4, 5e3, "bps")
        p.edge = -1.0 if edge_bps is None else 1e-4 * _within("edge_bps", edge_bps, 0.0, 5e3)
        p.volatility_factor = _within("volatility_factor", volatility_factor, 0.0, 1e6)
        p.anchor = _choice("anchor", ANCHORS, anchor)
        p.bounds_factor = _positive("requote_spreads", requote_spreads)
        p.inventory = _choice("inventory", INVENTORY, inventory)
        if kappa is None:
            kappa = 0.5 if p.inventory == TREND_FOLLOWING else 0.63
        p.kappa = _within("kappa", kappa, 0.0, 10.0)
        p.strict = bool(inventory_strict)
        p.stop_delta = _within("stop_delta", stop_delta, 0.0, 1.0)
        self._sizes(size_profile, size_ratio_favoured, size_ratio_other, size_ratio_range)

    cdef int _sizes(self, profile, favoured, other, bounds) except -1:
        cdef GridParams* p = &self.c.grid
        p.profile = _choice("size_profile", PROFILES, profile)
        size_weights(
            _within("size_ratio_favoured", favoured, 0.0, 1.0), p.n, p.profile, p.weights_favoured)
        size_weights(
            _within("size_ratio_other", other, 0.0, 1.0), p.n, p.profile, p.weights_other)
        if bounds is not None:
            p.ratio = RATIO_AGGRESSION
            p.ratio_min, p.ratio_max = (_within("size_ratio_range", r, 0.0, 1.0) for r in bounds)
            if p.ratio_min > p.ratio_max:
                raise ValueError(f"size_ratio_range is {bounds!r}: expected the smaller one first")
        return 0

    @property
    def max_position_usd(self):
        """M: asset * leverage * margin where not given; quote currency."""
        return self.c.grid.max_position_usd

    @property
    def weights(self):
        """Shares of a side's budget, innermost first: (favoured side, other side)."""
        cdef GridParams* p = &self.c.grid
        return ([p.weights_favoured[i] for i in range(p.n)],
                [p.weights_other[i] for i in range(p.n)])


cdef class TwoSidedStrategy(Strategy):
    """One bid and one ask that shift with inventory; arguments and units in ``_quotes.pyi``."""

    def __init__(self, *, target_liquidity, half_spread, max_bps_diff, max_absolute_position_size,
                 asset_type="perp", inventory_skew_factor=None, book_imbalance_factor=None,
                 depth_analysis_levels=None, max_skew_bps=None, skew_application="shift",
                 anchor="mid"):
        cdef TwoSidedParams* p = &self.c.two
        skew = (inventory_skew_factor, book_imbalance_factor, depth_analysis_levels)
        self.c.kind = TWO_SIDED
        if asset_type not in ASSET_TYPES:
            raise ValueError(f"asset_type is {asset_type!r}: expected one of perp, spot")
        p.target_liquidity = _positive("target_liquidity", target_liquidity)
        p.half_spread = _positive("half_spread", half_spread, "bps")
        if p.half_spread >= 1e4:
            raise ValueError(f"half_spread is {half_spread!r}: expected a number below 10000 bps")
        p.max_bps_diff = _within("max_bps_diff", max_bps_diff, 0.0, 1e4, "bps")
        p.max_absolute_position_size = _positive(
            "max_absolute_position_size", max_absolute_position_size)
        p.skewed = skew != (None, None, None)
        p.inventory_skew_factor = _within("inventory_skew_factor", _or(skew[0], 0.5), 0.0, 1.0)
        p.book_imbalance_factor = _within("book_imbalance_factor", _or(skew[1], 0.3), 0.0, 1.0)
        p.depth_analysis_levels = _whole("depth_analysis_levels", _or(skew[2], 5), 1, 4096)
        p.max_skew_bps = _within("max_skew_bps", _or(max_skew_bps, half_spread), 0.0, 1e4)
        p.use = _choice("skew_application", SKEW_USES, skew_application)
        p.anchor = _choice("anchor", ANCHORS, anchor)

    @property
    def max_bps_diff(self):
        """Re-quote tolerance, bps."""
        return self.c.two.max_bps_diff

    @property
    def depth_analysis_levels(self):
        """Levels of the book behind the imbalance."""
        return self.c.two.depth_analysis_levels


cdef object _or(value, default):
    return default if value is None else value
