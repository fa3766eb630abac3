# What a market and a trader are made of: structs only, shared by what decides and what sends.
from libc.stdint cimport int32_t, int64_t
from ._depth cimport CBook
from ._ledger cimport CLedger
from ._orders cimport COrders
from ._quotes cimport CStrategy
from ._rate cimport CRate
from ._signals cimport CSignals
from ._types cimport REQUESTS_MAX, Event, Grid, Record, Request, Spec, View

# Journal records on their way to the shell: one ring for all traders of a run, so that their order
# is the engine's order.
cdef struct CRing:
    int64_t capacity        # a power of two
    int64_t written         # records ever written
    int64_t read            # records ever drained
    int64_t lost            # records that found the ring full; any is a stop
    Record* rows

# Sums over the traders of one account, in quote currency; checked synchronously, so that two
# instruments cannot pass a common limit together.
cdef struct CAccount:
    double position_max     # values of all positions with open orders as filled, 0 = none
    double open_max         # open orders at their prices, 0 = none
    double loss_max         # 0 = none
    double drawdown_max     # 0 = none
    double position_worth   # now
    double worst_worth      # positions with the worse side of the open orders filled
    double open_worth       # open orders at their prices
    double equity           # profit since the start, marked at the mids
    double equity_high
    int32_t killed          # 1: loss or drawdown passed its limit
    CRate* rate             # calls of all traders together; NULL = no limit

cdef struct CMarket:
    CBook* book
    CSignals* signals
    Spec spec
    int64_t ts_local_ns     # last message of any kind
    int64_t n_messages      # depth messages
    int64_t n_trades
    int64_t n_events

cdef struct CLimits:
    int64_t position_max        # units, 0 = none
    int64_t order_qty_max       # units, 0 = none
    double loss_max             # quote currency, 0 = none
    double drawdown_max         # quote currency, 0 = none
    double position_notional_max    # quote currency, 0 = none
    double open_notional_max    # quote currency, open orders at their prices, 0 = none
    int32_t orders_max          # open orders, 0 = none
    int64_t age_ns_max          # quotes are pulled when the market is silent for longer

cdef struct CTrader:
    CMarket* market
    const CStrategy* strategy
    COrders* orders
    CRate* rate
    CAccount* account
    CRing* ring
    CLimits limits
    Spec quoted             # the instrument, its largest order within order_qty_max
    CLedger ledger
    View view
    Grid grid               # what was last wanted
    int32_t id
    int32_t status          # EngineStatus
    int32_t stop            # EngineStatus asked for from outside: ST_STOPPING, ST_KILLED or 0
    int32_t unfinished      # 1: the last difference could not be sent whole
    int32_t fill_pending    # 1: a fill has not been answered by a re-quote yet
    int32_t batch           # requests in one call
    int64_t now_ns
    # Until when a timer has nothing to do here, unless the account is killed or a record was lost;
    # INT64_MIN: each may have
    int64_t wake_ns
    int64_t quote_ns        # last re-quote; INT64_MIN before the first
    int64_t fill_ns         # first fill since then
    int64_t pause_until_ns  # no new orders before: after a refusal
    int64_t stale_ns        # re-quote at least this often
    int64_t debounce_ns     # re-quote this long after a fill
    int64_t pause_ns
    double last_mid         # mid at the last re-quote, quote currency
    int64_t base_target     # spot: holding that counts as flat, units
    int64_t quote_start     # spot: quote balance at the start, quanta; -1 = not checked
    int32_t tif             # TimeInForce of quotes
    int32_t flatten         # 1: take the position off after the cancels of a stop
    int64_t position_start  # units, booked at the first healthy mid
    double position_worth   # this trader's share of the account's sums
    double worst_worth
    double open_worth
    double equity               # profit since the start after fees, at the mid
    double equity_high
    int64_t n_steps
    int64_t n_quotes        # grids computed
    int64_t n_placed
    int64_t n_amended
    int64_t n_cancelled
    int64_t n_calls         # batches sent
    int64_t n_rejected
    int64_t n_expired
    int64_t n_held          # steps in which the rate limit held requests back
    int32_t n_requests
    Request requests[REQUESTS_MAX]
