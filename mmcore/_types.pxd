# The words of the core: every struct and enum that two compiled modules share.  No code.
# Integers inside: price in ticks, quantity in units (the finest decimal the venue writes),
# money in quanta (1e-8 of the asset), time in nanoseconds.  Doubles only in models.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    LEVELS_MAX = 4096       # levels in one message; the decoder splits larger ones
    GRID_MAX = 32           # desired quotes per side
    SLOTS_MAX = 160         # own orders per trader: two per desired level and side, and spares
    REQUESTS_MAX = 256      # requests that one step may leave
    BID = 1                 # sides: bid/buy is +1, ask/sell is -1
    ASK = -1

cdef enum EventKind:
    EV_NONE = 0
    EV_DEPTH = 1            # book levels: a delta, or the whole book with FLAG_SNAPSHOT
    EV_TRADE = 2            # public print; side is the aggressor's
    EV_CLEAR = 3            # levels removed: side 0 both, else `side` up to and including `tick`
    EV_BEST = 4             # best quote of one side: side, tick, qty (two rows a message)
    EV_MARK = 5             # mark price: nearest tick, aux = price in 1e-8 (0: it is the tick's)
    EV_FUNDING = 6          # funding: aux = rate in 1e-12, seq = time of the stamp in ns, 0 unsaid
    EV_BALANCE = 7          # balance: qty = base units, aux = quote quanta (free amounts)
    EV_ACK = 8              # own order rests: slot, generation, tick, qty = remaining
    EV_REJECT = 9           # own request refused: slot, generation, code; prev state stands
    EV_AMENDED = 10         # own order amended: slot, generation, tick, qty = remaining
    EV_EXPIRED = 11         # own order ended by the venue (post-only would take, IOC remainder)
    # own fill: slot, generation, side, tick, qty, aux = fee quanta, seq = trade id
    EV_FILL = 12
    EV_CANCELLED = 13       # own order cancelled: slot, generation, qty = remaining at that moment
    EV_TIMER = 14           # nothing but the time
    EV_LINK_UP = 15         # stream (re)connected
    EV_LINK_DOWN = 16       # stream lost or damaged: the book is stale until the next snapshot
    EV_CONFIG = 17          # a new configuration takes effect
    EV_RATE = 18            # the venue reported a request budget
    EV_OTHER = 19           # anything else on the feed; wakes a feed-driven strategy
    # own money moved beside a fill's price and fee: code = PaidCode; aux = quanta of the settle
    # asset received (negative: paid); qty = units of the coin paid, at the price of tick; funding:
    # seq = the venue's number of the payment, of a simulated venue the stamp in ns
    EV_PAID = 20
    # Orders of the market by their ids, where a feed tells them: aux = order id.  The depth rows
    # behind each say what its levels then hold; who needs levels only passes these by.
    EV_ORDER_ADD = 21       # rests now, behind all at its price: side, tick, qty
    EV_ORDER_CANCEL = 22    # is gone
    # holds this now: side, tick, qty; place kept at the same price and not more
    EV_ORDER_CHANGE = 23
    # traded: side of the resting order, tick, qty; what it holds then, a change or cancel says
    EV_ORDER_EXECUTE = 24

cdef enum EventFlag:
    FLAG_EXCH = 1           # the venue side of a simulation processes this row
    FLAG_LOCAL = 2          # our side processes this row
    FLAG_SNAPSHOT = 4       # depth: replaces the whole book
    FLAG_MORE = 8           # depth, orders: more rows of the message follow; do not quote yet
    FLAG_CONT = 16          # depth: continues the message before it; no sequence check
    FLAG_MAKER = 32         # fill: we were the maker
    FLAG_LAST = 64          # fill: nothing of the order is left, whatever we thought it held

# One message is one step: this header (64 bytes), followed for depth by n_bids + n_asks levels of
# 16 bytes, bids first, four to a row of 64 bytes, the last row padded with zeros.
# A depth header with n_bids = n_asks = 0 and side != 0 carries its one level in tick and qty.
ctypedef struct Event:
    uint8_t kind            # EventKind
    int8_t side             # BID, ASK or 0
    uint8_t flags           # EventFlag bits
    uint8_t code            # RejectCode for EV_REJECT and EV_EXPIRED, else 0
    uint16_t instrument     # index into the run's instruments
    uint16_t n_bids         # levels behind the header
    uint16_t n_asks
    uint16_t slot           # own-order events
    uint32_t generation     # own-order events
    int64_t ts_venue_ns
    int64_t ts_local_ns
    int64_t seq             # depth: last update id (0: the stream has none); trade, fill: trade id
    int64_t aux             # depth: update id that must stand before; others: see EventKind
    int64_t tick
    int64_t qty             # units

ctypedef struct Level:
    int64_t tick
    int64_t qty             # units; 0 deletes

cdef enum RequestKind:
    RQ_PLACE = 1
    RQ_AMEND = 2
    RQ_CANCEL = 3

cdef enum TimeInForce:
    TIF_GTX = 0             # post-only
    TIF_GTC = 1
    TIF_IOC = 2
    TIF_FOK = 3

cdef enum RejectCode:
    RJ_NONE = 0
    RJ_POST_ONLY = 1        # would have taken
    RJ_UNKNOWN_ORDER = 2    # cancel or amend of an order that is not there
    RJ_NO_LIQUIDITY = 3     # IOC or FOK found nothing
    RJ_FILTER = 4           # tick, lot, size or notional filter
    RJ_LIMIT = 5            # venue-side count, margin or balance
    RJ_RATE = 6             # rate limit
    RJ_OTHER = 7

cdef enum PaidCode:
    PAID_COIN_FEE = 1       # a fill's fee taken in the coin: qty units, worth their price at tick
    PAID_FUNDING = 2        # funding: aux quanta

cdef enum Reason:           # why a request was made
    WHY_QUOTE = 0           # the desired grid
    WHY_MOVE = 1            # quote moved beyond tolerance
    WHY_SURPLUS = 2         # not wanted any more
    WHY_HALT = 3            # book unhealthy, limit or stop: pull
    WHY_STOP = 4            # shutdown
    WHY_FLATTEN = 5

ctypedef struct Request:
    uint8_t kind            # RequestKind
    int8_t side
    uint8_t tif             # TimeInForce
    uint8_t reason          # Reason
    uint16_t instrument
    uint16_t slot
    uint32_t generation
    uint16_t level          # place in the grid, 0 = innermost
    uint8_t reduce_only
    uint8_t batch           # ordinal of the call that carries this request within the step
    int64_t ts_ns           # engine time
    int64_t tick
    int64_t qty             # units; amend: desired remaining
    # amend: units of the order filled so far, as known here.  The venue is asked for a total of
    # done + qty, so that a fill on its way is not bought twice
    int64_t done

# What the journal keeps, 64 bytes, in engine order.
cdef enum RecordKind:
    RC_PLACE = 1            # requests, as emitted (equal to RequestKind)
    RC_AMEND = 2
    RC_CANCEL = 3
    RC_ACK = 8              # venue answers (equal to EventKind)
    RC_REJECT = 9
    RC_AMENDED = 10
    RC_EXPIRED = 11
    RC_FILL = 12
    RC_CANCELLED = 13
    RC_PAID = 20
    RC_STATUS = 32          # health of the trader changed: code = EngineStatus

ctypedef struct Record:
    uint8_t kind            # RecordKind
    int8_t side
    uint8_t flags           # FLAG_MAKER, FLAG_LAST on fills; tif on requests
    uint8_t code            # Reason, RejectCode or EngineStatus
    uint16_t instrument
    uint16_t trader
    uint16_t slot
    uint16_t level
    uint32_t generation
    int64_t ts_ns           # engine time
    int64_t tick
    int64_t qty             # units
    int64_t money           # fill: fee in quanta; paid: quanta received
    int64_t seq             # fill: trade id
    int64_t position        # fill: position after it, in units

cdef enum EngineStatus:
    ST_OK = 0
    ST_WARMUP = 1           # no snapshot yet
    ST_GAP = 2              # sequence broken: stale until the next snapshot
    ST_CROSSED = 3
    ST_ONE_SIDED = 4
    ST_STALE = 5            # too old, or the link is down
    ST_FULL = 6             # a fixed capacity ran out
    ST_LIMIT = 7            # a limit holds quotes back
    ST_KILLED = 8           # stopped for good
    ST_STOPPING = 9         # shutdown asked for

cdef enum ContractKind:
    LINEAR = 0
    INVERSE = 1
    SPOT = 2

# What the core knows of an instrument.
ctypedef struct Spec:
    double tick_size        # quote currency per tick
    double qty_div          # units per 1.0 of quantity (10^k); quantity = units / qty_div
    double contract_size    # base per 1.0 of quantity (linear, spot); quote per contract (inverse)
    int64_t money_num       # linear, spot: quanta = tick * units * money_num / money_den
    int64_t money_den       # inverse:      quanta = units * money_num / (tick * money_den)
    int64_t mark_num        # linear, spot: quanta = mark * units * mark_num / mark_den; in 1e-8
    int64_t mark_den        # inverse:      quanta = units * 1e8 * mark_num / (mark * mark_den)
    int64_t lot             # order lot in units
    int64_t qty_min         # units
    int64_t qty_max         # units, 0 = none
    int64_t notional_min    # quanta of the quote currency, 0 = none
    int64_t maker_fee       # 1e-8 of the notional, negative = rebate
    int64_t taker_fee       # 1e-8 of the notional
    int32_t kind            # ContractKind
    # Which ticks are legal: 0 all; above 0 those of so many significant figures (5: Hyperliquid),
    # and every multiple of tick_per_one; below 0 only multiples of tick_per_one.
    int32_t sig_figs
    int64_t tick_per_one    # ticks in 1.0 of price (sig_figs > 0), or in a step (sig_figs < 0)
    uint16_t instrument
    uint16_t pad0
    uint32_t pad1

# What a strategy may see; filled by the engine before every quote.
ctypedef struct View:
    int64_t ts_ns
    int64_t bid_tick
    int64_t ask_tick
    int64_t bid_qty
    int64_t ask_qty
    double mid              # quote currency
    double microprice
    double imbalance        # unweighted, over the trader's depth_analysis_levels, [-1, 1]
    double signal           # skew signal of the feature engine, [-1, 1]; 0 while not ready
    double volatility       # per square root of a second, of log returns; 0 while not ready
    double position         # quantity, signed (spot: against target_base)
    double position_value   # signed, quote currency: position * mid; inverse: contracts * size
    int64_t position_qty    # units, signed
    int64_t buy_room        # units that may still be bought: hard limit and free balance
    int64_t sell_room

# What a strategy wants: best first on each side.
ctypedef struct Grid:
    int32_t n_bids
    int32_t n_asks
    Level bids[GRID_MAX]
    Level asks[GRID_MAX]
    double fair             # centre of the quotes, quote currency
    double spread           # total spread, quote currency
    double skew             # final skew: [-1, 1] for grid, bps for two_sided
    double skew_position    # its components, same unit
    double skew_book
    uint32_t why_bid        # Suppressed bits: why a side or level is missing
    uint32_t why_ask

cdef enum Suppressed:
    NO_BOOK = 1
    NO_BUDGET = 2           # max position or budget used up
    NO_MIN_QTY = 4
    NO_MIN_NOTIONAL = 8
    NO_ROOM = 16            # hard limit or balance
    NO_FILTERS = 32         # filters missing or invalid
    NO_PRICE = 64           # the guard left no legal price
    NO_RATE = 128           # held back by the rate limit
