"""The one strategy core: events in, order requests out.

The same compiled step serves backtest, paper and live: it takes one event, keeps the book, the own
orders and the ledger, asks the strategy what it wants, and leaves the smallest set of requests that
leads there.  The same events give the same requests, bit for bit.
"""

from numpy import frombuffer as _frombuffer

from .events import REQUEST as _REQUEST

from libc.stdint cimport INT64_MIN, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from ._book cimport BK_OK, Book, book_apply, book_imbalance
from ._ledger cimport (
    ledger_coin_fee, ledger_equity, ledger_fill, ledger_mark, ledger_value,
)
from ._orders cimport Order, Orders, orders_answer, orders_find
from ._quotes cimport TWO_SIDED, Strategy, grid_out_of_bounds, strategy_quotes
from ._rate cimport RateLimiter
from ._risk cimport (
    trader_flatten, trader_pull, trader_record, trader_room, trader_send, trader_share,
    trader_to_close, worth,
)
from ._signals cimport Signals, signals_book, signals_break, signals_skew_kept, signals_trade
from ._spec cimport SpecBox, quantity_of
from ._types cimport (
    ASK, BID, EV_ACK, EV_CANCELLED, EV_CLEAR, EV_DEPTH, EV_EXPIRED, EV_FILL, EV_LINK_DOWN,
    EV_PAID, EV_REJECT, EV_TIMER, EV_TRADE, FLAG_LAST, FLAG_MAKER, FLAG_MORE, INVERSE,
    PAID_COIN_FEE, RC_PAID, RC_STATUS, RJ_UNKNOWN_ORDER, SPOT, ST_KILLED, ST_OK, ST_STALE,
    ST_STOPPING, ST_WARMUP, TIF_GTC, TIF_GTX, WHY_HALT, WHY_STOP, Event, Grid, Record, Request,
    Spec, View,
)


# --- market -------------------------------------------------------------------------------------

cdef int market_apply(CMarket* m, const Event* e) noexcept nogil:
    cdef int result = 0
    m.n_events += 1
    if e.kind != EV_TIMER:
        m.ts_local_ns = e.ts_local_ns
    if e.kind == EV_DEPTH:
        m.n_messages += 1
        result = book_apply(m.book, e)
        if m.book.health != ST_OK:
            signals_break(m.signals)    # flow across a hole means nothing
        elif result == BK_OK and not (e.flags & FLAG_MORE):
            signals_book(m.signals, m.book, e.ts_local_ns)
    elif e.kind == EV_TRADE:
        m.n_trades += 1
        signals_trade(m.signals, m.book, e)
    elif e.kind == EV_CLEAR or e.kind == EV_LINK_DOWN:
        result = book_apply(m.book, e)
        signals_break(m.signals)
    return result


# --- the step -----------------------------------------------------------------------------------

cdef inline bint _is_answer(int kind) noexcept nogil:
    return EV_ACK <= kind <= EV_CANCELLED


cdef void _answer(CTrader* t, const Event* e) noexcept nogil:
    # A venue's answer or a fill: order state, ledger, journal.  A fill for an order that is not in
    # a slot any more is booked all the same: the position is real.
    cdef const Order* a = orders_find(t.orders, e)
    cdef int level = a.level if a != NULL else 0
    cdef int side = a.side if a != NULL else e.side
    cdef bint known = orders_answer(t.orders, e)
    cdef Record* r
    if e.kind == EV_FILL:
        ledger_fill(&t.ledger, &t.market.spec, e.side, e.tick, e.qty, e.aux,
                    (e.flags & FLAG_MAKER) != 0)
        if not t.fill_pending:
            t.fill_pending = 1
            t.fill_ns = t.now_ns
    elif e.kind == EV_REJECT or e.kind == EV_EXPIRED:
        if e.kind == EV_REJECT:
            t.n_rejected += 1
        else:
            t.n_expired += 1
        if e.code != RJ_UNKNOWN_ORDER:      # a race lost against a fill says nothing of the next
            t.pause_until_ns = t.now_ns + t.pause_ns
    if known or e.kind == EV_FILL:
        t.unfinished = 1        # something to compare again
    r = trader_record(t, e.kind)
    if r != NULL:
        r.side = side
        r.flags = e.flags & (FLAG_MAKER | FLAG_LAST)
        r.code = e.code
        r.slot = e.slot
        r.level = level
        r.generation = e.generation
        r.tick = e.tick
        r.qty = e.qty
        if e.kind == EV_FILL:
            r.money = e.aux
            r.seq = e.seq


cdef void _paid(CTrader* t, const Event* e) noexcept nogil:
    # Own money moved beside a fill: a fee in the coin, or funding.
    cdef Record* r
    if e.code == PAID_COIN_FEE:
        ledger_coin_fee(&t.ledger, &t.market.spec, e.tick, e.qty)
    else:
        t.ledger.funding += e.aux
    t.unfinished = 1
    r = trader_record(t, RC_PAID)
    if r != NULL:
        r.code = e.code
        r.tick = e.tick
        r.qty = e.qty
        r.money = e.aux
        r.seq = e.seq


cdef void _look(CTrader* t) noexcept nogil:
    # What the strategy may see.
    cdef CMarket* m = t.market
    cdef View* v = &t.view
    cdef const Spec* s = &m.spec
    cdef double bid = <double>m.book.bid_qty
    cdef double ask = <double>m.book.ask_qty
    v.ts_ns = t.now_ns
    v.bid_tick = m.book.bid_tick
    v.ask_tick = m.book.ask_tick
    v.bid_qty = m.book.bid_qty
    v.ask_qty = m.book.ask_qty
    v.mid = 0.5 * s.tick_size * <double>(v.bid_tick + v.ask_tick)
    v.microprice = s.tick_size * (bid * <double>v.ask_tick + ask * <double>v.bid_tick) / (bid + ask)
    v.imbalance = book_imbalance(m.book, t.strategy.two.depth_analysis_levels)
    v.signal = signals_skew_kept(m.signals, &t.strategy.weights)
    v.volatility = m.signals.volatility
    v.position_qty = t.ledger.position
    v.position = quantity_of(s, t.ledger.position)
    v.position_value = worth(s, t.ledger.position, v.mid)
    v.buy_room = trader_room(t, BID)
    v.sell_room = trader_room(t, ASK)


cdef void _adopt(CTrader* t) noexcept nogil:
    # A position found at the start enters at the first healthy mid: profit counts from there.
    cdef int64_t mid2 = t.market.book.bid_tick + t.market.book.ask_tick
    cdef int64_t value
    t.ledger.position = t.position_start
    value = ledger_value(&t.ledger, &t.market.spec, mid2)
    t.ledger.cost = value
    t.ledger.cash = value if t.market.spec.kind == INVERSE else -value
    t.position_start = 0
    if t.market.spec.kind == SPOT and t.quote_start >= 0:
        t.quote_start += value      # the money counted at the start is what is free without it


cdef int _profit(CTrader* t) noexcept nogil:
    # Loss and drawdown against their limits, at the mid.
    ledger_mark(&t.ledger, &t.market.spec, t.market.book.bid_tick + t.market.book.ask_tick)
    trader_share(t)
    if t.equity > t.equity_high:
        t.equity_high = t.equity
    if t.account.killed:
        return ST_KILLED
    if t.limits.loss_max > 0.0 and -t.equity > t.limits.loss_max:
        return ST_KILLED
    if t.limits.drawdown_max > 0.0 and t.equity_high - t.equity > t.limits.drawdown_max:
        return ST_KILLED
    return ST_OK


cdef int _health(CTrader* t, const Event* e) noexcept nogil:
    # The one place that says whether this trader may quote.
    cdef CMarket* m = t.market
    if t.status == ST_KILLED or t.stop:
        return t.stop if t.stop else ST_KILLED
    if t.ring.lost or t.account.killed:
        return ST_KILLED
    if m.book.health != ST_OK:
        return m.book.health
    if t.now_ns - m.ts_local_ns > t.limits.age_ns_max:
        return ST_STALE
    # Profit moves with the book and with own fills, the one that closes included.
    if e.kind == EV_FILL or e.kind == EV_PAID or (t.ledger.position and e.kind == EV_DEPTH):
        return _profit(t)
    return ST_OK


cdef void _become(CTrader* t, int status) noexcept nogil:
    cdef Record* r
    if status == t.status:
        return
    t.status = status
    if status == ST_OK:
        t.quote_ns = INT64_MIN      # whatever was wanted before is out of date
    r = trader_record(t, RC_STATUS)
    if r != NULL:
        r.code = status


cdef bint _due(const CTrader* t, const Event* e) noexcept nogil:
    # Is it time to compute the wanted quotes anew?
    if t.quote_ns == INT64_MIN:
        return True
    if t.strategy.kind == TWO_SIDED:
        return e.kind == EV_DEPTH or e.kind == EV_FILL
    if t.fill_pending and t.now_ns - t.fill_ns >= t.debounce_ns:
        return True
    if t.now_ns - t.quote_ns >= t.stale_ns:
        return True
    return e.kind == EV_DEPTH and \
        grid_out_of_bounds(t.strategy, &t.market.spec, &t.view, t.last_mid)


cdef int64_t _wake(const CTrader* t) noexcept nogil:
    # When time alone next matters to a trader in order: its health, and what makes a quote due.  A
    # fill that is not answered yet leaves something unfinished.
    cdef int64_t wake_ns = t.market.ts_local_ns + t.limits.age_ns_max + 1
    if t.unfinished:
        return INT64_MIN
    if t.strategy.kind != TWO_SIDED:
        wake_ns = min(wake_ns, t.quote_ns + t.stale_ns)
    return wake_ns


cdef int trader_step(CTrader* t, const Event* e) noexcept nogil:
    cdef int status
    t.n_requests = 0
    t.wake_ns = INT64_MIN
    t.n_steps += 1
    if e.ts_local_ns > t.now_ns:
        t.now_ns = e.ts_local_ns
    if _is_answer(e.kind):
        _answer(t, e)
    elif e.kind == EV_PAID:
        _paid(t, e)
    elif e.flags & FLAG_MORE:
        return 0                # the message is not whole yet
    status = _health(t, e)
    _become(t, status)
    if status != ST_OK:
        trader_pull(t, WHY_STOP if t.stop else WHY_HALT)
        if t.stop and t.flatten:
            trader_flatten(t)
        trader_share(t)
        return t.n_requests
    if t.position_start:
        _adopt(t)
    if e.kind == EV_DEPTH or t.quote_ns == INT64_MIN or _is_answer(e.kind):
        _look(t)
    if _due(t, e):
        strategy_quotes(t.strategy, &t.quoted, &t.view, &t.grid)
        t.n_quotes += 1
        t.quote_ns = t.now_ns
        t.last_mid = t.view.mid
        t.fill_pending = 0
        t.unfinished = 1
    if t.unfinished:
        trader_send(t)
        trader_share(t)
    t.wake_ns = _wake(t)
    return t.n_requests


cdef void trader_stop(CTrader* t, int status) noexcept nogil:
    t.stop = status
    t.wake_ns = INT64_MIN


# --- owners -------------------------------------------------------------------------------------

cdef class Ring:
    """Journal records of all traders of a run, in engine order, until the shell drains them.

    capacity: records, a power of two from 1,024.  A step writes fewer than 512.
    """

    def __cinit__(self, int64_t capacity=65_536):
        if capacity < 1024 or capacity & (capacity - 1):
            raise ValueError(f"capacity {capacity}: expected a power of two from 1,024")
        self.c.rows = <Record*>calloc(capacity, sizeof(Record))
        if self.c.rows == NULL:
            raise MemoryError("journal ring")
        self.c.capacity = capacity

    def __init__(self, int64_t capacity=65_536):
        pass

    def __dealloc__(self):
        free(self.c.rows)

    def drain(self, unsigned char[::1] out not None):
        """Move waiting records into ``out`` (the bytes of a RECORD array); the number moved."""
        cdef int64_t room = out.shape[0] // <Py_ssize_t>sizeof(Record)
        cdef int64_t n = self.c.written - self.c.read
        cdef int64_t i
        if n > room:
            n = room
        for i in range(n):
            memcpy(&out[i * <Py_ssize_t>sizeof(Record)],
                   &self.c.rows[(self.c.read + i) & (self.c.capacity - 1)], sizeof(Record))
        self.c.read += n
        return n

    @property
    def waiting(self):
        """Records not drained yet."""
        return self.c.written - self.c.read

    @property
    def lost(self):
        """Records that found the ring full: always 0 unless the shell failed to drain."""
        return self.c.lost


cdef class Account:
    """Limits shared by several traders, in quote currency; 0: none.

    position_max: values of all positions, open orders counted as filled.  open_max: all open orders
    at their prices.  loss_max, drawdown_max: profit of all together; passing one kills every trader
    of the account.  rate: calls of all together, or None.
    """

    def __cinit__(self, *, double position_max=0.0, double open_max=0.0, double loss_max=0.0,
                  double drawdown_max=0.0, RateLimiter rate=None):
        if not min(position_max, open_max, loss_max, drawdown_max) >= 0.0:
            raise ValueError("account limits must not be negative")
        self.c.position_max = position_max
        self.c.open_max = open_max
        self.c.loss_max = loss_max
        self.c.drawdown_max = drawdown_max
        self.rate = rate
        self.c.rate = &rate.c if rate is not None else NULL

    def __init__(self, *, double position_max=0.0, double open_max=0.0, double loss_max=0.0,
                 double drawdown_max=0.0, RateLimiter rate=None):
        pass

    @property
    def position_worth(self):
        """Values of all positions, quote currency."""
        return self.c.position_worth

    @property
    def open_worth(self):
        """All open orders at their prices, quote currency."""
        return self.c.open_worth

    @property
    def equity(self):
        """Profit of all traders since the start, after fees, quote currency."""
        return self.c.equity

    @property
    def killed(self):
        """True once loss or drawdown has passed its limit."""
        return bool(self.c.killed)


cdef class Market:
    """One instrument's book, signals and counters; several traders may share it.

    spec: the instrument.  book, signals: fed by the events that :meth:`apply` is given.
    """

    def __cinit__(self, SpecBox spec not None, Book book not None, Signals signals not None):
        self.book = book
        self.signals = signals
        self.c.spec = spec.c
        self.c.book = book.c
        self.c.signals = signals.c

    def __init__(self, SpecBox spec not None, Book book not None, Signals signals not None):
        pass

    def apply(self, const unsigned char[::1] rows not None):
        """Apply the first message of ``rows`` (bytes of EVENT rows); its BookReturn."""
        return market_apply(&self.c, <const Event*>_rows(rows))

    @property
    def n_messages(self):
        """Depth messages seen."""
        return self.c.n_messages

    @property
    def n_trades(self):
        """Public prints seen."""
        return self.c.n_trades

    @property
    def n_events(self):
        """Events of every kind seen."""
        return self.c.n_events

    @property
    def ts_local_ns(self):
        """Local time of the last market event, ns; 0 before the first."""
        return self.c.ts_local_ns


cdef const unsigned char* _rows(const unsigned char[::1] rows) except NULL:
    # The first message of a buffer of EVENT rows, checked to be whole.
    cdef Py_ssize_t size = rows.shape[0]
    cdef const Event* e
    if size < <Py_ssize_t>sizeof(Event):
        raise ValueError(f"{size} bytes: shorter than one event row of {sizeof(Event)}")
    e = <const Event*>&rows[0]
    cdef Py_ssize_t more = (e.n_bids + e.n_asks + 3) // 4 if e.kind == EV_DEPTH else 0
    if size < <Py_ssize_t>sizeof(Event) * (1 + more):
        raise ValueError(f"depth message of {e.n_bids} + {e.n_asks} levels is cut short")
    return &rows[0]


cdef class Trader:
    """Quotes, own orders, ledger and limits of one configuration on one market.

    strategy: what to quote.  orders: the slots, with tolerances and the venue's amend capability.
    rate: the user's limit on calls.  account, ring: shared with the run's other traders.  number:
    names the trader in the journal.  batch: requests in a call.  Times in ns, quantities in units,
    notionals, loss and drawdown in quote currency; 0 switches a limit off.
    position_start: found at the start, enters at the first healthy mid.  base_target: spot holding
    that counts as flat.  quote_start: spot money to buy with, quanta, -1: enough.
    """

    def __cinit__(self, Market market not None, Strategy strategy not None, *,
                  Orders orders not None, RateLimiter rate not None, Account account not None,
                  Ring ring not None, int number=0, int batch=10, bint post_only=True,
                  bint flatten=False, int64_t stale_ns=180_000_000_000,
                  int64_t debounce_ns=50_000_000, int64_t pause_ns=100_000_000,
                  int64_t age_ns_max=60_000_000_000, int64_t position_max=0,
                  double position_notional_max=0.0, double open_notional_max=0.0,
                  int64_t order_qty_max=0, int orders_max=0, double loss_max=0.0,
                  double drawdown_max=0.0, int64_t position_start=0, int64_t base_target=0,
                  int64_t quote_start=-1):
        if batch < 1 or stale_ns < 1 or debounce_ns < 0 or pause_ns < 0 or age_ns_max < 1:
            raise ValueError("batch, stale_ns, age_ns_max: must be positive; others not negative")
        if min(position_max, order_qty_max, orders_max) < 0 or not min(
            position_notional_max, open_notional_max, loss_max, drawdown_max
        ) >= 0.0:
            raise ValueError("limits must not be negative")
        self.c = <CTrader*>calloc(1, sizeof(CTrader))
        if self.c == NULL:
            raise MemoryError("trader")
        self.market, self.strategy, self.orders = market, strategy, orders
        self.rate, self.account, self.ring = rate, account, ring
        self.c.market = &market.c
        self.c.strategy = &strategy.c
        self.c.orders = orders.c
        self.c.rate = &rate.c
        self.c.account = &account.c
        self.c.ring = &ring.c
        self.c.id = number
        self.c.status = ST_WARMUP
        self.c.batch = batch
        self.c.tif = TIF_GTX if post_only else TIF_GTC
        self.c.flatten = flatten
        self.c.wake_ns = INT64_MIN
        self.c.quote_ns = INT64_MIN
        self.c.stale_ns = stale_ns
        self.c.debounce_ns = debounce_ns
        self.c.pause_ns = pause_ns
        self.c.limits.age_ns_max = age_ns_max
        self.c.limits.position_max = position_max
        self.c.limits.position_notional_max = position_notional_max
        self.c.limits.open_notional_max = open_notional_max
        self.c.limits.order_qty_max = order_qty_max
        self.c.limits.orders_max = orders_max
        self.c.limits.loss_max = loss_max
        self.c.limits.drawdown_max = drawdown_max
        self.c.quoted = market.c.spec
        if order_qty_max and not 0 < market.c.spec.qty_max <= order_qty_max:
            self.c.quoted.qty_max = order_qty_max
        self.c.position_start = position_start
        self.c.base_target = base_target
        self.c.quote_start = quote_start

    def __init__(self, Market market not None, Strategy strategy not None, *,
                 Orders orders not None, RateLimiter rate not None, Account account not None,
                 Ring ring not None, int number=0, int batch=10, bint post_only=True,
                 bint flatten=False, int64_t stale_ns=180_000_000_000,
                 int64_t debounce_ns=50_000_000, int64_t pause_ns=100_000_000,
                 int64_t age_ns_max=60_000_000_000, int64_t position_max=0,
                 double position_notional_max=0.0, double open_notional_max=0.0,
                 int64_t order_qty_max=0, int orders_max=0, double loss_max=0.0,
                 double drawdown_max=0.0, int64_t position_start=0, int64_t base_target=0,
                 int64_t quote_start=-1):
        pass

    def __dealloc__(self):
        free(self.c)

    def step(self, const unsigned char[::1] rows not None):
        """One step for the first message of ``rows``; the requests as bytes of REQUEST rows.

        Market events must have been given to :meth:`Market.apply` first.  The engine's loop calls
        the compiled step directly; this door is for tests and notebooks, and allocates.
        """
        cdef int n = trader_step(self.c, <const Event*>_rows(rows))
        return (<const char*>&self.c.requests[0])[: n * <Py_ssize_t>sizeof(Request)]

    def stop(self, bint kill=False):
        """Cancel everything from the next step on and quote no more."""
        trader_stop(self.c, ST_KILLED if kill else ST_STOPPING)

    def state(self):
        """Everything a person may want to see of this trader, as a dict of plain numbers."""
        cdef CTrader* t = self.c
        cdef int64_t mid2 = 0
        if t.market.book.n_bids and t.market.book.n_asks:
            mid2 = t.market.book.bid_tick + t.market.book.ask_tick
        return {
            "status": t.status, "now_ns": t.now_ns, "position": t.ledger.position,
            "cash": t.ledger.cash, "realised": t.ledger.realised, "cost": t.ledger.cost,
            "fees": t.ledger.fees, "funding": t.ledger.funding, "turnover": t.ledger.turnover,
            "n_fills": t.ledger.n_fills,
            "n_maker": t.ledger.n_maker, "bought": t.ledger.bought, "sold": t.ledger.sold,
            "equity": ledger_equity(&t.ledger, &t.market.spec, mid2) if mid2 else 0,
            "drawdown_max": t.ledger.drawdown_max, "mid2": mid2,
            "open_buy": t.orders.open_buy, "open_sell": t.orders.open_sell,
            "n_open": t.orders.n_open, "n_flight": t.orders.n_flight,
            "n_orphans": t.orders.n_orphans, "n_steps": t.n_steps, "n_quotes": t.n_quotes,
            "n_placed": t.n_placed, "n_amended": t.n_amended, "n_cancelled": t.n_cancelled,
            "n_calls": t.n_calls, "n_rejected": t.n_rejected, "n_expired": t.n_expired,
            "n_held": t.n_held, "fair": t.grid.fair, "spread": t.grid.spread,
            "skew": t.grid.skew, "skew_position": t.grid.skew_position,
            "skew_book": t.grid.skew_book, "why_bid": t.grid.why_bid, "why_ask": t.grid.why_ask,
            "signal": t.view.signal, "imbalance": t.view.imbalance,
            "volatility": t.view.volatility, "last_mid": t.last_mid, "unfinished": t.unfinished,
        }

    def grid(self):
        """What was last wanted: (bids, asks), each [(tick, qty)], best first."""
        cdef int i
        cdef Grid* g = &self.c.grid
        return (
            [(g.bids[i].tick, g.bids[i].qty) for i in range(g.n_bids)],
            [(g.asks[i].tick, g.asks[i].qty) for i in range(g.n_asks)],
        )

    @property
    def status(self):
        """EngineStatus."""
        return self.c.status

    @property
    def n_open(self):
        """Order slots in use."""
        return self.c.orders.n_open

    @property
    def settled(self):
        """True when nothing is open and, after a stop that flattens, nothing is left to close."""
        if self.c.orders.n_open:
            return False
        return not (self.c.stop and self.c.flatten and trader_to_close(self.c))


class Engine:
    """One market with one trader, for tests and notebooks: rows in, requests out."""

    def __init__(self, market, trader):
        self.market = market
        self.trader = trader

    def step(self, rows):
        """Apply the first message of ``rows`` (an EVENT array); the requests as a REQUEST array."""
        data = rows.view("u1").reshape(-1)
        kind = rows[0]["kind"]
        if not EV_ACK <= kind <= EV_CANCELLED and kind != EV_PAID:
            self.market.apply(data)
        return _frombuffer(self.trader.step(data), dtype=_REQUEST)
