"""Signals: what the book and the prints say about the next move.

Every signal is computed once per book message, from the levels down to the deepest configured
depth and the state of the message before; prints are summed as they come.  Rolling windows are ten
blocks of sums each, so that nothing is stored per row, nothing drifts, and a window moves by a
tenth of its length.  A signal that has not seen its samples contributes 0.

Sources: Shen 2015 (volume order imbalance); Cont, Kukanov and Stoikov 2014 (order flow imbalance);
the rest and every departure from the originals: docs/strategy.md, section 5.
"""

from libc.math cimport exp, fabs, isfinite, log, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memset

from ._book cimport Book
from ._depth cimport CBook, CTouch, book_top, touch_ofi, touch_voi
from ._types cimport ASK, BID, Event, Level


# ---- pieces ------------------------------------------------------------------------------------

cdef inline double _sign(double x) noexcept nogil:
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0)


cpdef double imbalance_ratio(double bid, double ask) noexcept nogil:
    """(bid - ask) / (bid + ask), in [-1, 1]; 0 where both are 0."""
    cdef double total = bid + ask
    return (bid - ask) / total if total > 0.0 else 0.0


cpdef double dead_banded(double x, double band) noexcept nogil:
    """``x``, or 0 where |x| <= ``band``."""
    return x if fabs(x) > band else 0.0


cpdef double microprice(double bid, double ask, double bid_qty, double ask_qty) noexcept nogil:
    """(bid_qty * ask + ask_qty * bid) / (bid_qty + ask_qty); the mid where both are 0."""
    cdef double total = bid_qty + ask_qty
    if not total > 0.0:
        return 0.5 * (bid + ask)
    return bid + (ask - bid) * (bid_qty / total)


cpdef double forecast_vote(double log_return, double closer, double gate, int vote) noexcept nogil:
    """The forecast's vote in [-1, 1].  log_return: ln(predicted / mid); closer: +1 where the
    microprice lies nearer the ask, -1 nearer the bid, 0 between; vote: VoteKind."""
    cdef double u = 0.0
    if log_return >= gate:
        u = 1.0
    elif log_return <= -gate:
        u = -1.0
    if vote == VOTE_HALVES:
        return 0.5 * (u + closer)
    if u > 0.0 or closer > 0.0:         # first match: up beats down, as the original's order has it
        return 1.0 if u > 0.0 and closer > 0.0 else 0.5
    if u < 0.0 or closer < 0.0:
        return -1.0 if u < 0.0 and closer < 0.0 else -0.5
    return 0.0


# ---- volatility --------------------------------------------------------------------------------

cdef void _volatility(CSignals* s, double seconds) noexcept nogil:
    # Deviation of log returns per square root of a second of elapsed time: n var / T.
    cdef Moments* m = &s.moments[s.moments_at]
    cdef double n, total, squares, span
    m.returns += s.expected_return
    m.squares += s.expected_return * s.expected_return
    m.seconds += seconds
    m.count += 1
    n = <double>(s.moments_sum.count + m.count)
    if n >= <double>s.volatility_samples:
        total = s.moments_sum.returns + m.returns
        squares = s.moments_sum.squares + m.squares - total * total / n
        span = s.moments_sum.seconds + m.seconds
        s.volatility = sqrt(squares / span) if squares > 0.0 and span > 0.0 else 0.0
    if m.count < s.volatility_block:
        return
    s.moments_at = (s.moments_at + 1) % BLOCKS
    memset(&s.moments[s.moments_at], 0, sizeof(Moments))
    _sum_moments(s)


cdef void _sum_moments(CSignals* s) noexcept nogil:
    # The complete blocks; summed anew each time, so that rounding never accumulates.
    cdef Moments* t = &s.moments_sum
    cdef int i
    memset(t, 0, sizeof(Moments))
    for i in range(BLOCKS):
        t.returns += s.moments[i].returns
        t.squares += s.moments[i].squares
        t.seconds += s.moments[i].seconds
        t.count += s.moments[i].count


# ---- forecast ----------------------------------------------------------------------------------

cdef bint _solve(double a[TERMS][TERMS], double* b) noexcept nogil:
    # Cholesky; the solution replaces b.  False where the matrix is not positive definite.
    cdef int i, j, k
    cdef double t
    for i in range(TERMS):
        for j in range(i + 1):
            t = a[i][j]
            for k in range(j):
                t -= a[i][k] * a[j][k]
            if i == j:
                if not t > 1e-300:
                    return False
                a[i][i] = sqrt(t)
            else:
                a[i][j] = t / a[j][j]
    for i in range(TERMS):
        for k in range(i):
            b[i] -= a[i][k] * b[k]
        b[i] /= a[i][i]
    for i in range(TERMS - 1, -1, -1):
        for k in range(i + 1, TERMS):
            b[i] -= a[k][i] * b[k]
        b[i] /= a[i][i]
    return True


cdef void _fit(CSignals* s) noexcept nogil:
    # Ridge on the complete blocks.  The penalty of a column is ridge * n * its variance, so it does
    # not depend on the column's unit; the constant is not penalised.
    cdef double a[TERMS][TERMS]
    cdef double b[TERMS]
    cdef double n, mean, spread
    cdef int i, j, k
    memset(a, 0, sizeof(a))
    memset(b, 0, sizeof(b))
    for k in range(BLOCKS):
        for i in range(TERMS):
            b[i] += s.normal[k].xy[i]
            for j in range(i + 1):
                a[i][j] += s.normal[k].xx[i][j]
    n = a[0][0]
    for i in range(1, TERMS):
        mean = a[i][0] / n
        spread = a[i][i] - n * mean * mean
        # a column that never moved would leave the system singular: weigh it down instead
        a[i][i] += s.ridge * spread if spread > 1e-12 * a[i][i] and spread > 0.0 else \
            a[i][i] + 1.0
    s.fitted = n >= <double>s.forecast_samples and _solve(a, b)
    if s.fitted:
        for i in range(TERMS):
            s.beta[i] = b[i]


cdef void _forecast(CSignals* s) noexcept nogil:
    # The row of the message before meets its target, the move of the microprice since, in units of
    # the mid; then the newest row is predicted.
    cdef Normal* m = &s.normal[s.normal_at]
    cdef double target, scale
    cdef int i, j
    if s.has_row:
        target = (s.microprice - s.row_micro) / s.mid
        for i in range(TERMS):
            for j in range(i + 1):
                m.xx[i][j] += s.row[i] * s.row[j]
            m.xy[i] += s.row[i] * target
        m.micro += s.microprice
        m.count += 1
        s.n_rows += 1
        if m.count >= s.forecast_block:
            _fit(s)
            s.normal_at = (s.normal_at + 1) % BLOCKS
            memset(&s.normal[s.normal_at], 0, sizeof(Normal))
    scale = 1.0 / s.spread_bps
    s.row[0] = 1.0
    s.row[1] = s.imbalance[0] * scale
    s.row[2] = s.voi * scale
    s.row[3] = s.ofi * scale
    s.row_micro = s.microprice
    s.has_row = isfinite(s.row[1] + s.row[2] + s.row[3])
    _predict(s)


cdef void _predict(CSignals* s) noexcept nogil:
    cdef double change = 0.0
    cdef double n = 0.0
    cdef int i
    s.predicted = 0.0
    if s.forecast_kind == FORECAST_MEAN:
        if s.n_rows < s.forecast_samples:
            return
        for i in range(BLOCKS):
            change += s.normal[i].micro
            n += <double>s.normal[i].count
        s.predicted = change / n
    elif s.fitted and s.has_row:
        for i in range(TERMS):
            change += s.beta[i] * s.row[i]
        s.predicted = s.microprice + change * s.mid
    if not (isfinite(s.predicted) and s.predicted > 0.0):
        s.predicted = 0.0


# ---- prints ------------------------------------------------------------------------------------

cdef void signals_trade(CSignals* s, const CBook* book, const Event* e) noexcept nogil:
    cdef Flow* f = &s.flow[s.flow_at]
    cdef double qty = <double>e.qty
    cdef double weight, bought, sold
    cdef int i
    s.skew_kept = 0
    if e.qty <= 0 or e.tick <= 0 or e.side == 0:
        return
    # An inverse contract is a fixed sum of quote money: price averages weigh by coin.
    weight = qty / <double>e.tick if s.inverse else qty
    s.turnover_new += weight * <double>e.tick
    s.volume_new += weight
    if e.side == BID:
        f.bought += qty
    else:
        f.sold += qty
    f.count += 1
    if s.flow_sum.count + f.count >= s.trade_samples:
        bought = s.flow_sum.bought + f.bought
        sold = s.flow_sum.sold + f.sold
        s.trade_imbalance = imbalance_ratio(bought, sold)
    if f.count < s.trade_block:
        return
    s.flow_at = (s.flow_at + 1) % BLOCKS
    memset(&s.flow[s.flow_at], 0, sizeof(Flow))
    memset(&s.flow_sum, 0, sizeof(Flow))
    for i in range(BLOCKS):
        s.flow_sum.bought += s.flow[i].bought
        s.flow_sum.sold += s.flow[i].sold
        s.flow_sum.count += s.flow[i].count


cdef void _trade_price(CSignals* s) noexcept nogil:
    if s.volume_new > 0.0:
        s.average_trade_price = s.turnover_new / s.volume_new
    elif s.average_trade_price == 0.0:
        s.average_trade_price = s.mid
    s.turnover_new = s.volume_new = 0.0
    s.basis = s.average_trade_price - 0.5 * (s.mid_before + s.mid)


# ---- book --------------------------------------------------------------------------------------

cdef void _depths(CSignals* s, const Level* bids, int n_bids, const Level* asks,
                  int n_asks) noexcept nogil:
    # Depth-weighted sizes and what follows from them, one pass over the levels.
    cdef double cum_bid[DEPTH_LEVELS_MAX]
    cdef double cum_ask[DEPTH_LEVELS_MAX]
    cdef double bid = 0.0
    cdef double ask = 0.0
    cdef CTouch now = s.touch
    cdef int i, k
    for i in range(s.depth_max):
        if i < n_bids:
            bid += s.decay[i] * <double>bids[i].qty
        if i < n_asks:
            ask += s.decay[i] * <double>asks[i].qty
        cum_bid[i] = bid
        cum_ask[i] = ask
    for k in range(s.n_depths):
        now.bid_size = cum_bid[s.depths[k] - 1]
        now.ask_size = cum_ask[s.depths[k] - 1]
        s.imbalance[k] = imbalance_ratio(now.bid_size, now.ask_size)
        s.ofi_deep[k] = touch_ofi(&s.deep[k], &now) if s.linked else 0.0
        s.deep[k] = now


cdef void signals_levels(CSignals* s, const Level* bids, int n_bids, const Level* asks, int n_asks,
                         int64_t ts_ns) noexcept nogil:
    cdef CTouch now
    cdef int64_t dt_ns
    s.skew_kept = 0
    if n_bids <= 0 or n_asks <= 0 or asks[0].tick <= bids[0].tick or bids[0].tick <= 0:
        signals_break(s)
        return
    now.bid_tick = bids[0].tick
    now.ask_tick = asks[0].tick
    now.bid_size = <double>bids[0].qty
    now.ask_size = <double>asks[0].qty
    s.mid_before = s.mid if s.n_books > 0 else 0.5 * <double>(now.bid_tick + now.ask_tick)
    s.mid = 0.5 * <double>(now.bid_tick + now.ask_tick)
    s.spread_bps = <double>(now.ask_tick - now.bid_tick) / s.mid * 1e4
    s.microprice = microprice(
        <double>now.bid_tick, <double>now.ask_tick, now.bid_size, now.ask_size)
    s.voi = s.ofi = s.expected_return = s.price_impact = 0.0
    if s.linked:
        s.voi = touch_voi(&s.touch, &now)
        s.ofi = touch_ofi(&s.touch, &now)
        s.price_impact = <double>(
            (now.bid_tick - s.touch.bid_tick) - (now.ask_tick - s.touch.ask_tick))
        if s.mid != s.mid_before:       # most messages leave the mid: no logarithm for them
            s.expected_return = log(s.mid / s.mid_before)
        dt_ns = ts_ns - s.ts_ns
        _volatility(s, 1e-9 * <double>dt_ns if dt_ns > 0 else 0.0)
    s.touch = now
    _depths(s, bids, n_bids, asks, n_asks)
    _trade_price(s)
    _forecast(s)
    s.ts_ns = ts_ns
    s.n_books += 1
    s.linked = 1


cdef void signals_book(CSignals* s, const CBook* book, int64_t ts_ns) noexcept nogil:
    cdef Level bids[DEPTH_LEVELS_MAX]
    cdef Level asks[DEPTH_LEVELS_MAX]
    cdef int n_bids = book_top(book, BID, s.depth_max, bids)
    cdef int n_asks = book_top(book, ASK, s.depth_max, asks)
    signals_levels(s, bids, n_bids, asks, n_asks, ts_ns)


cdef void signals_break(CSignals* s) noexcept nogil:
    s.skew_kept = 0
    s.linked = 0
    s.has_row = 0
    s.predicted = 0.0
    s.voi = s.ofi = 0.0
    memset(s.ofi_deep, 0, sizeof(s.ofi_deep))


# ---- skew --------------------------------------------------------------------------------------

cdef void weights_default(SkewWeights* w) noexcept nogil:
    memset(w, 0, sizeof(SkewWeights))
    w.imbalance = 0.25
    w.deep_imbalance = 0.10
    w.voi = 0.10
    w.ofi = 0.10
    w.deep_ofi = 0.10
    w.predict = 0.35
    w.dead_band = 0.20
    w.gate = 5e-4


cdef double signals_skew(const CSignals* s, const SkewWeights* w) noexcept nogil:
    cdef double deep = 0.0
    cdef double flow = 0.0
    cdef double volume = 0.0
    cdef double x = 0.0
    cdef int k
    if s.n_books == 0:
        return 0.0
    for k in range(s.n_depths):
        deep += s.imbalance[k]
        flow += s.ofi_deep[k]
        volume += s.deep[k].bid_size + s.deep[k].ask_size
    if w.deep_magnitude:
        flow = max(-1.0, min(1.0, flow / volume)) if volume > 0.0 else 0.0
    else:
        flow = _sign(flow)
    x = w.imbalance * dead_banded(s.imbalance[0], w.dead_band)
    x += w.deep_imbalance * dead_banded(deep / s.n_depths, w.dead_band)
    x += w.trade * s.trade_imbalance
    x += w.voi * _sign(s.voi) + w.ofi * _sign(s.ofi) + w.deep_ofi * flow
    if w.predict != 0.0 and s.predicted > 0.0:
        x += w.predict * forecast_vote(
            log(s.predicted / s.mid), _sign(s.microprice - s.mid), w.gate, w.vote)
    return max(-1.0, min(1.0, x)) if isfinite(x) else 0.0


# ---- owners ------------------------------------------------------------------------------------

VOTES = {"halves": VOTE_HALVES, "ladder": VOTE_LADDER}
FORECASTS = {"next": FORECAST_NEXT, "mean": FORECAST_MEAN}


cdef double signals_skew_kept(CSignals* s, const SkewWeights* w) noexcept nogil:
    # Computed once for all that weigh alike, until a book, a print or a break changes it.
    if not s.skew_kept or memcmp(&s.skew_weights, w, sizeof(SkewWeights)):
        s.skew = signals_skew(s, w)
        s.skew_weights = w[0]
        s.skew_kept = 1
    return s.skew


cdef class Weights:
    """Weights, dead band and gate of the skew signal; arguments in ``_signals.pyi``."""

    def __cinit__(self, *args, **kwargs):
        weights_default(&self.c)

    def __init__(self, *, double imbalance=0.25, double deep_imbalance=0.10, double trade=0.0,
                 double voi=0.10, double ofi=0.10, double deep_ofi=0.10, double predict=0.35,
                 double dead_band=0.20, double forecast_gate_bps=5.0, bint deep_magnitude=False,
                 str vote="halves"):
        shares = (imbalance, deep_imbalance, trade, voi, ofi, deep_ofi, predict)
        if not all(0.0 <= w <= 1.0 for w in shares) or not sum(shares) <= 1.0 + 1e-9:
            raise ValueError(
                f"skew weights {shares}: expected each within 0 to 1 and a sum of at most 1")
        if not 0.0 <= dead_band < 1.0:
            raise ValueError(f"dead_band is {dead_band!r}: expected within 0 to 1, 1 excluded")
        if not forecast_gate_bps >= 0.0:
            raise ValueError(f"forecast_gate_bps is {forecast_gate_bps!r}: expected at least 0")
        if vote not in VOTES:
            raise ValueError(f"vote is {vote!r}: expected one of {', '.join(VOTES)}")
        self.c.imbalance, self.c.deep_imbalance, self.c.trade = imbalance, deep_imbalance, trade
        self.c.voi, self.c.ofi, self.c.deep_ofi, self.c.predict = voi, ofi, deep_ofi, predict
        self.c.dead_band = dead_band
        self.c.gate = forecast_gate_bps * 1e-4
        self.c.deep_magnitude = deep_magnitude
        self.c.vote = VOTES[vote]


def skew_signal(imbalances, *, double voi=0.0, double ofi=0.0, deep_ofi=(),
                double trade_imbalance=0.0, double mid=1.0, double microprice=1.0,
                double predicted=0.0, Weights weights=None):
    """The skew signal from its parts; see ``_signals.pyi``."""
    cdef CSignals s
    cdef SkewWeights w
    cdef int i
    if not 1 <= len(imbalances) <= DEPTHS_MAX or len(deep_ofi) > len(imbalances):
        raise ValueError(f"imbalances has {len(imbalances)} depths: expected 1 to {DEPTHS_MAX}, "
                         f"and no more of deep_ofi ({len(deep_ofi)})")
    memset(&s, 0, sizeof(CSignals))
    s.n_books = 1
    s.n_depths = len(imbalances)
    for i in range(s.n_depths):
        s.imbalance[i] = imbalances[i]
    for i in range(len(deep_ofi)):
        s.ofi_deep[i] = deep_ofi[i]
    s.voi, s.ofi, s.trade_imbalance = voi, ofi, trade_imbalance
    s.mid, s.microprice, s.predicted = mid, microprice, predicted
    weights_default(&w)
    return signals_skew(&s, &w if weights is None else &weights.c)


cdef class Signals:
    """The feature engine of one market; arguments and properties in ``_signals.pyi``."""

    def __cinit__(self, *args, **kwargs):
        self.c = <CSignals*>calloc(1, sizeof(CSignals))
        if self.c == NULL:
            raise MemoryError

    def __init__(self, depths=(4, 13, 32), *, int64_t tick_window=8000, bint inverse=False,
                 str forecast="next", double ridge=0.01, int64_t volatility_window=1000,
                 int64_t trade_window=1000, int64_t volatility_samples=100,
                 int64_t trade_samples=1, int64_t forecast_samples=0):
        cdef CSignals* s = self.c
        cdef int i
        wanted = list(dict.fromkeys(depths))    # a depth said twice would count twice in the means
        if not 1 <= len(wanted) <= DEPTHS_MAX or \
                not all(type(d) is int and 1 <= d <= DEPTH_LEVELS_MAX for d in wanted):
            raise ValueError(
                f"depths {tuple(depths)}: expected 1 to {DEPTHS_MAX} whole numbers "
                f"within 1 to {DEPTH_LEVELS_MAX}")
        for name, value in (("tick_window", tick_window), ("volatility_window", volatility_window),
                            ("trade_window", trade_window)):
            if value < BLOCKS:
                raise ValueError(f"{name} is {value}: expected at least {BLOCKS}")
        if forecast not in FORECASTS:
            raise ValueError(f"forecast is {forecast!r}: expected one of {', '.join(FORECASTS)}")
        if not ridge >= 0.0:
            raise ValueError(f"ridge is {ridge!r}: expected at least 0")
        memset(s, 0, sizeof(CSignals))
        s.n_depths = len(wanted)
        for i in range(s.n_depths):
            s.depths[i] = wanted[i]
        s.depth_max = max(wanted)
        for i in range(DEPTH_LEVELS_MAX):
            s.decay[i] = exp(-0.5 * i)
        s.inverse = inverse
        s.forecast_kind = FORECASTS[forecast]
        s.ridge = ridge
        s.forecast_block = tick_window // BLOCKS
        s.volatility_block = volatility_window // BLOCKS
        s.trade_block = trade_window // BLOCKS
        s.forecast_samples = forecast_samples or min(tick_window // BLOCKS, 100)
        s.volatility_samples = max(volatility_samples, 2)
        s.trade_samples = max(trade_samples, 1)

    def __dealloc__(self):
        free(self.c)

    def book(self, Book book, int64_t ts_ns):
        """Takes the book as it stands after a message."""
        signals_book(self.c, book.c, ts_ns)

    def levels(self, bids, asks, int64_t ts_ns):
        """The same from [(tick, units)], best first, at most the deepest depth."""
        cdef Level left[DEPTH_LEVELS_MAX]
        cdef Level right[DEPTH_LEVELS_MAX]
        cdef int n_bids = 0
        cdef int n_asks = 0
        for tick, qty in bids[:DEPTH_LEVELS_MAX]:
            left[n_bids].tick, left[n_bids].qty = tick, qty
            n_bids += 1
        for tick, qty in asks[:DEPTH_LEVELS_MAX]:
            right[n_asks].tick, right[n_asks].qty = tick, qty
            n_asks += 1
        signals_levels(self.c, left, n_bids, right, n_asks, ts_ns)

    def trade(self, int side, int64_t tick, int64_t qty):
        """Takes a print; side: the aggressor's, +1 buy, -1 sell."""
        cdef Event e
        memset(&e, 0, sizeof(Event))
        e.side, e.tick, e.qty = side, tick, qty
        signals_trade(self.c, NULL, &e)

    def gap(self):
        """The next book does not follow the one before it."""
        signals_break(self.c)

    def skew(self, Weights weights=None):
        """The skew signal, in [-1, 1]."""
        cdef SkewWeights w
        weights_default(&w)
        return signals_skew(self.c, &w if weights is None else &weights.c)

    @property
    def values(self):
        """Every signal by name, prices in ticks; a copy."""
        cdef CSignals* s = self.c
        n = s.n_depths
        return {
            "mid": s.mid, "microprice": s.microprice, "spread_bps": s.spread_bps,
            "imbalance": [s.imbalance[i] for i in range(n)],
            "weight_bid": [s.deep[i].bid_size for i in range(n)],
            "weight_ask": [s.deep[i].ask_size for i in range(n)],
            "voi": s.voi, "ofi": s.ofi, "ofi_deep": [s.ofi_deep[i] for i in range(n)],
            "trade_imbalance": s.trade_imbalance, "average_trade_price": s.average_trade_price,
            "basis": s.basis, "expected_return": s.expected_return,
            "price_impact": s.price_impact, "volatility": s.volatility,
            "predicted": s.predicted, "fitted": bool(s.fitted), "n_books": s.n_books,
        }

    @property
    def beta(self):
        """Coefficients of the forecast: constant, imbalance, VOI, OFI over the spread in bps."""
        return [self.c.beta[i] for i in range(TERMS)]
