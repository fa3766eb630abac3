# Quotes: from what a strategy may see (View) to what it wants (Grid).
# One pipeline: fair price -> spread -> skew -> ladder -> rounding -> guards.  No allocation.
from libc.stdint cimport int32_t, int64_t

from ._signals cimport SkewWeights
from ._types cimport GRID_MAX, Grid, Spec, View

cdef enum StrategyKind:
    GRID = 0
    TWO_SIDED = 1

cdef enum InventoryKind:    # how the position bends the signal; f = signed root of delta
    MEAN_REVERTING = 0      # s (1 - |f|) - kappa f
    TREND_FOLLOWING = 1     # s (1 + |f s|) + or - kappa f
    PLAIN = 2               # s - f
    DAMPED = 3              # s (1 - f)
    NEUTRAL = 4             # -f

cdef enum ProfileKind:      # where a side's size lies
    OUTER_HEAVY = 0
    INNER_HEAVY = 1
    FLAT = 2

cdef enum RatioKind:        # the geometric ratio of the favoured side's sizes
    RATIO_FIXED = 0
    RATIO_AGGRESSION = 1    # clip(aggression, ratio_min, ratio_max)

cdef enum AnchorKind:
    ANCHOR_MID = 0
    ANCHOR_MICROPRICE = 1

cdef enum DistanceKind:     # from where final_order_distance counts
    FROM_INNER = 0
    FROM_MID = 1

cdef enum SkewUse:
    SKEW_SHIFT = 0          # both quotes move together
    SKEW_WIDTH = 1          # the original code: both move apart or together

cdef struct GridParams:
    double max_position_usd         # M, quote currency
    double spread_min               # least spread, fraction of the price
    double spread_max               # largest, fraction of the price; 0: SPREAD_CAP x the least
    double edge                     # least spread covers two maker fees and this fraction; < 0 off
    double volatility_factor        # spread grows by 1 + factor * volatility; 0 off
    double kappa                    # strength of the inventory term
    double final_order_distance     # D, multiples of the spread
    double bounds_factor            # out of bounds: so many spreads from the last mid
    double stop_delta               # a side stops at this |delta|; 0 off
    double ratio_min                # geometric ratio of sizes, RATIO_AGGRESSION
    double ratio_max
    double weights_favoured[GRID_MAX]   # innermost first, sum 1
    double weights_other[GRID_MAX]
    double root                     # 1 / (n - 1): exponent of one step of the price ladder
    int32_t n                       # orders per side
    int32_t inventory               # InventoryKind
    int32_t strict                  # boost or damp only where inventory and signal agree
    int32_t profile                 # ProfileKind
    int32_t ratio                   # RatioKind
    int32_t anchor                  # AnchorKind
    int32_t distance                # DistanceKind

cdef struct TwoSidedParams:
    double target_liquidity         # quantity per side (contracts for inverse)
    double half_spread              # bps
    double max_bps_diff             # re-quote tolerance, bps
    double max_absolute_position_size   # quantity
    double inventory_skew_factor    # [0, 1]
    double book_imbalance_factor    # [0, 1]
    double max_skew_bps             # cap of the skew
    int32_t depth_analysis_levels
    int32_t skewed                  # 0: no skew at all
    int32_t use                     # SkewUse
    int32_t anchor                  # AnchorKind

cdef struct CStrategy:
    int32_t kind                    # StrategyKind
    GridParams grid
    TwoSidedParams two
    SkewWeights weights

# The whole pipeline; fills `out`.
cdef void strategy_quotes(const CStrategy* c, const Spec* spec, const View* view,
                          Grid* out) noexcept nogil
# Both ladders of a grid for a given spread (quote currency) and final skew.
cdef void grid_ladders(const CStrategy* c, const Spec* spec, const View* view, double spread,
                       double skew, Grid* out) noexcept nogil
# Grid: the mid left the band around `last_mid` (0: never quoted, true).  Two-sided: always true,
# because max_bps_diff judges each order.
cdef bint grid_out_of_bounds(const CStrategy* c, const Spec* spec, const View* view,
                             double last_mid) noexcept nogil
# Half-width of that band, quote currency; 0 where there is none.
cdef double grid_bounds(const CStrategy* c, const Spec* spec, const View* view,
                        double last_mid) noexcept nogil

# The formulas, each also a Python function.
cpdef double nbsqrt(double x) noexcept nogil                # signed square root
cpdef double round_step(double x, double step) noexcept nogil   # nearest multiple, half away from 0
cpdef double final_skew(int inventory, bint strict, double kappa, double signal,
                        double delta) noexcept nogil        # [-1, 1]
cpdef double quoted_spread(double price, double market_spread, double least, double most,
                           double growth) noexcept nogil
cpdef double bps_diff(double target, double resting) noexcept nogil
cpdef double position_component(double position, double max_position, double factor,
                                double half_spread) noexcept nogil      # bps
cpdef double book_component(double imbalance, double factor, double half_spread) noexcept nogil
cpdef double skewed_price(double price, double skew_bps) noexcept nogil
cdef void size_weights(double ratio, int n, int profile, double* out) noexcept nogil  # sum 1
cdef void grid_inner(double fair, double spread, double skew, double* bid,
                     double* ask) noexcept nogil            # innermost quotes of a grid
cdef void two_sided_both(double fair, double half_spread, double skew_bps, int use, double* bid,
                         double* ask) noexcept nogil        # both quotes of two_sided

cdef class Strategy:
    cdef CStrategy c

cdef class GridStrategy(Strategy):
    cdef int _sizes(self, profile, favoured, other, bounds) except -1

cdef class TwoSidedStrategy(Strategy):
    pass
