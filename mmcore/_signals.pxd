# Signals: what the book and the prints say about the next move.  Prices in ticks, quantities in
# units, both as doubles (models); time in nanoseconds.  Formulas: docs/strategy.md, section 5.
from libc.stdint cimport int32_t, int64_t

from ._depth cimport CBook, CTouch
from ._types cimport Event, Level

cdef enum:
    DEPTHS_MAX = 8          # configured depths
    DEPTH_LEVELS_MAX = 128  # the deepest one
    BLOCKS = 10             # of sums in a rolling window: no row is kept, none drifts
    TERMS = 4               # of the forecast: one, imbalance, VOI, OFI (over the spread)

cdef enum ForecastKind:
    FORECAST_NEXT = 0       # one step ahead, ridge, applied to the newest row
    FORECAST_MEAN = 1       # the original: mean microprice of the window

cdef enum VoteKind:
    VOTE_HALVES = 0         # half for the forecast's side, half for the microprice's
    VOTE_LADDER = 1         # the original: first match of four rules

cdef struct SkewWeights:
    double imbalance        # weight of the imbalance at the first depth
    double deep_imbalance   # of its mean over all depths
    double trade            # of the trade imbalance
    double voi              # of the sign of the volume order imbalance
    double ofi              # of the sign of the order flow imbalance
    double deep_ofi         # of the mean order flow imbalance over all depths
    double predict          # of the forecast
    double dead_band        # imbalances within +- this count as 0
    double gate             # log return from which the forecast votes
    int32_t deep_magnitude  # deep_ofi by size over depth-weighted volume, in [-1, 1], not by sign
    int32_t vote            # VoteKind

cdef struct Moments:        # sums of one block of mid returns
    double returns
    double squares
    double seconds
    int64_t count

cdef struct Normal:         # normal equations of one block of the forecast
    double xx[TERMS][TERMS]
    double xy[TERMS]
    double micro            # sum of microprices
    int64_t count

cdef struct Flow:           # prints of one block
    double bought           # units taken from asks
    double sold             # units given to bids
    int64_t count

cdef struct CSignals:
    # construction
    int32_t n_depths
    int32_t depth_max
    int32_t depths[DEPTHS_MAX]
    double decay[DEPTH_LEVELS_MAX]      # e^(-i/2)
    int32_t inverse                     # prints are weighed in coin: contracts / price
    int32_t forecast_kind               # ForecastKind
    double ridge                        # penalty per sample, on standardised columns
    int64_t forecast_block              # rows in a block: tick_window / BLOCKS
    int64_t volatility_block
    int64_t trade_block
    int64_t forecast_samples            # samples before a signal is ready
    int64_t volatility_samples
    int64_t trade_samples
    # the newest book
    int64_t n_books
    int32_t linked                      # the newest book follows the one before it without a break
    int64_t ts_ns
    CTouch touch                        # sizes in units
    CTouch deep[DEPTHS_MAX]             # sizes depth-weighted
    double mid                          # ticks
    double mid_before
    double microprice                   # ticks, from the touch
    double spread_bps
    double imbalance[DEPTHS_MAX]        # without dead band
    double ofi_deep[DEPTHS_MAX]
    double voi
    double ofi
    double expected_return              # ln(mid / mid before)
    double price_impact                 # change of bid - change of ask, ticks
    # prints
    double turnover_new                 # since the last book: price * weight, ticks
    double volume_new
    double average_trade_price          # ticks, 0 before the first book
    double basis                        # average trade price - mean of the last two mids, ticks
    Flow flow[BLOCKS]
    Flow flow_sum                       # complete blocks
    int32_t flow_at
    double trade_imbalance              # [-1, 1], 0 while not ready
    # volatility
    Moments moments[BLOCKS]
    Moments moments_sum
    int32_t moments_at
    double volatility                   # per square root of a second, 0 while not ready
    # forecast
    Normal normal[BLOCKS]
    int32_t normal_at
    int64_t n_rows
    int32_t has_row
    int32_t fitted
    double row[TERMS]                   # newest row, waiting for its target
    double row_micro
    double beta[TERMS]
    double predicted                    # ticks, 0: no forecast
    # the skew that was asked for last; several traders of a market mostly weigh alike
    int32_t skew_kept
    SkewWeights skew_weights
    double skew

cdef void signals_book(CSignals* s, const CBook* book, int64_t ts_ns) noexcept nogil
cdef void signals_levels(CSignals* s, const Level* bids, int n_bids, const Level* asks, int n_asks,
                         int64_t ts_ns) noexcept nogil      # the same from levels, best first
cdef void signals_trade(CSignals* s, const CBook* book, const Event* e) noexcept nogil
cdef void signals_break(CSignals* s) noexcept nogil         # the next book does not follow this one
cdef double signals_skew(const CSignals* s, const SkewWeights* w) noexcept nogil    # [-1, 1]
cdef double signals_skew_kept(CSignals* s, const SkewWeights* w) noexcept nogil     # the same
cdef void weights_default(SkewWeights* w) noexcept nogil

cdef class Signals:
    cdef CSignals* c

cdef class Weights:
    cdef SkewWeights c
