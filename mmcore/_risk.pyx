"""What may go out: hard limits, the rate, the order of requests; and the record of it.

Every limit holds at every instant with all open orders counted as filled, those in flight and of
unknown fate included.  Surplus orders are cancelled first and may use the reserve of the rate
limit; of the rest as much is sent as limits and rate allow, from the inside of the market outwards,
and what had to wait is compared again at the next event.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint32_t
from libc.string cimport memset

from ._ledger cimport ledger_equity
from ._orders cimport (
    OS_LIVE, COrders, Order, Plan, orders_amend, orders_cancel, orders_free_slot, orders_place,
    orders_plan,
)
from ._rate cimport CRate, rate_free, rate_take
from ._spec cimport notional, price_ceil, price_floor, price_of, quantity_of
from ._trader cimport CAccount
from ._types cimport (
    ASK, BID, GRID_MAX, INVERSE, NO_RATE, NO_ROOM, RQ_AMEND, RQ_CANCEL, RQ_PLACE, SLOTS_MAX, SPOT,
    ST_OK, TIF_IOC, WHY_FLATTEN, WHY_MOVE, WHY_QUOTE, WHY_SURPLUS, Level, Record, Request, Spec,
)


cdef double CLOSE_REACH = 0.005     # of the mid: how far a closing order may go


cdef int64_t ring_room(const CRing* r) noexcept nogil:
    return r.capacity - (r.written - r.read)


cdef Record* trader_record(CTrader* t, int kind) noexcept nogil:
    # The next record, with the fields that all kinds share.  The loop stops before the ring can
    # fill up; a trader that finds it full all the same stops for good, see the health check.
    cdef CRing* ring = t.ring
    cdef Record* r
    if ring.written - ring.read >= ring.capacity:
        ring.lost += 1
        return NULL
    r = &ring.rows[ring.written & (ring.capacity - 1)]
    ring.written += 1
    memset(r, 0, sizeof(Record))
    r.kind = kind
    r.instrument = t.market.spec.instrument
    r.trader = t.id
    r.ts_ns = t.now_ns
    r.position = t.ledger.position
    return r


cdef double worth(const Spec* s, int64_t qty, double price) noexcept nogil:
    if s.kind == INVERSE:
        return quantity_of(s, qty) * s.contract_size
    return quantity_of(s, qty) * s.contract_size * price


cdef int64_t trader_room(const CTrader* t, int side) noexcept nogil:
    # From the present position, own open orders left aside: the new grid replaces them.
    cdef const Spec* s = &t.market.spec
    cdef int64_t held = t.ledger.position if side == BID else -t.ledger.position
    cdef int64_t room = INT64_MAX
    cdef int64_t have = INT64_MAX
    cdef double most
    if t.limits.position_max:
        room = t.limits.position_max - held
    if t.limits.position_notional_max > 0.0:
        most = t.limits.position_notional_max / worth(s, 1, t.view.mid) - <double>held
        if most < <double>room:
            room = <int64_t>most if most > 0.0 else 0
    if s.kind == SPOT and side == ASK:
        have = t.base_target + t.ledger.position
    elif s.kind == SPOT and t.quote_start >= 0:
        most = <double>(t.quote_start + t.ledger.cash - t.ledger.fees)
        most /= worth(s, 1, t.view.mid) * 1e8
        if most < 9e18:         # much money buys more units of a cheap coin than 64 bits hold
            have = <int64_t>most
    if have < room:
        room = have
    return room if room > 0 else 0


cdef double _quote_equity(const CTrader* t) noexcept nogil:
    # Profit in quote currency, so that linear and inverse instruments add up.
    cdef int64_t mid2 = t.market.book.bid_tick + t.market.book.ask_tick
    cdef double equity
    if t.market.book.health != ST_OK:
        return t.equity         # its mid is no price to judge a loss by
    equity = <double>ledger_equity(&t.ledger, &t.market.spec, mid2) / 1e8
    if t.market.spec.kind == INVERSE:
        equity *= 0.5 * t.market.spec.tick_size * <double>mid2
    return equity


cdef double _at_prices(const Spec* s, int64_t qty, double value) noexcept nogil:
    # Quote value of orders of `qty` units, `value` ticks x units.
    if s.kind == INVERSE:
        return worth(s, qty, 0.0)
    return quantity_of(s, 1) * s.contract_size * s.tick_size * value


cdef double _open_worth(const CTrader* t) noexcept nogil:
    return _at_prices(&t.market.spec, t.orders.open_buy + t.orders.open_sell,
                      t.orders.value_buy + t.orders.value_sell)


cdef void trader_share(CTrader* t) noexcept nogil:
    cdef const Spec* s = &t.market.spec
    cdef CAccount* account = t.account
    cdef int64_t held = t.ledger.position if t.ledger.position > 0 else -t.ledger.position
    cdef double position = worth(s, held, t.view.mid)
    cdef int64_t bought = t.ledger.position + t.orders.open_buy
    cdef int64_t sold = t.orders.open_sell - t.ledger.position
    cdef double worst = worth(s, bought if bought > sold else sold, t.view.mid)
    cdef double open_worth = _open_worth(t)
    cdef double equity = _quote_equity(t)
    account.position_worth += position - t.position_worth
    account.worst_worth += worst - t.worst_worth
    account.open_worth += open_worth - t.open_worth
    account.equity += equity - t.equity
    t.position_worth = position
    t.worst_worth = worst
    t.open_worth = open_worth
    t.equity = equity
    if account.equity > account.equity_high:
        account.equity_high = account.equity
    if account.loss_max > 0.0 and -account.equity > account.loss_max:
        account.killed = 1
    if account.drawdown_max > 0.0:
        if account.equity_high - account.equity > account.drawdown_max:
            account.killed = 1


cdef bint _has_balance(const CTrader* t, int side, int64_t qty, double value) noexcept nogil:
    # Spot sells need the coins, buys the money, every order at its own price.
    cdef const Spec* s = &t.market.spec
    if side == ASK:
        return qty <= t.base_target + t.ledger.position
    if t.quote_start < 0:
        return True
    return (value * <double>s.money_num / <double>s.money_den
            <= <double>(t.quote_start + t.ledger.cash - t.ledger.fees))


cdef bint _account_may_add(const CTrader* t, int side, int64_t worst, double price,
                           double open_worth) noexcept nogil:
    # The other traders' orders count as filled too: all may fill together.
    cdef const CAccount* account = t.account
    cdef int64_t other = (t.orders.open_sell - t.ledger.position if side == BID
                          else t.orders.open_buy + t.ledger.position)
    if account.open_max > 0.0:
        if account.open_worth - t.open_worth + open_worth > account.open_max:
            return False
    if account.position_max > 0.0 and worst > other:    # else the other side is the worse one
        if account.worst_worth - t.worst_worth + worth(&t.market.spec, worst, price) \
                > account.position_max:
            return False
    return True


cdef bint _may_add(const CTrader* t, int side, int64_t added, double value,
                   int64_t tick) noexcept nogil:
    # Would the worst case still be inside every limit with `added` units, and `value` ticks x
    # units, more open on this side?
    cdef const Spec* s = &t.market.spec
    cdef double price = price_of(s, tick)
    cdef bint buys = side == BID
    cdef int64_t side_open = (t.orders.open_buy if buys else t.orders.open_sell) + added
    cdef int64_t worst = (t.ledger.position if buys else -t.ledger.position) + side_open
    cdef double open_worth
    if added == 0 and value == 0.0:
        return True
    if added and t.limits.position_max and worst > t.limits.position_max:
        return False
    if t.limits.position_notional_max > 0.0 and worst > 0:
        if worth(s, worst, price) > t.limits.position_notional_max:
            return False
    open_worth = _open_worth(t) + _at_prices(s, added, value)
    if t.limits.open_notional_max > 0.0 and open_worth > t.limits.open_notional_max:
        return False
    if s.kind == SPOT and not _has_balance(
            t, side, side_open, value + (t.orders.value_buy if buys else t.orders.value_sell)):
        return False
    return _account_may_add(t, side, worst, price, open_worth)


cdef bint _may_amend(const CTrader* t, const Order* a, const Level* w) noexcept nogil:
    cdef double value = (<double>w.tick * <double>w.qty) - (<double>a.tick * <double>a.qty)
    return _may_add(t, a.side, max(w.qty - a.qty, 0), max(value, 0.0), w.tick)


cdef inline int32_t _calls(int32_t n, int32_t batch) noexcept nogil:
    return (n + batch - 1) / batch


cdef int32_t _free_calls(CTrader* t, bint cancel) noexcept nogil:
    # Calls that the trader's own limit and the account's leave now.
    cdef int32_t mine = rate_free(t.rate, t.now_ns, cancel)
    cdef int32_t ours
    if t.account.rate == NULL:
        return mine
    ours = rate_free(t.account.rate, t.now_ns, cancel)
    return ours if ours < mine else mine


cdef void _take_calls(CTrader* t, int32_t cancels, int32_t others) noexcept nogil:
    if cancels:
        rate_take(t.rate, t.now_ns, cancels, True)
        if t.account.rate != NULL:
            rate_take(t.account.rate, t.now_ns, cancels, True)
    if others:
        rate_take(t.rate, t.now_ns, others, False)
        if t.account.rate != NULL:
            rate_take(t.account.rate, t.now_ns, others, False)
    t.n_calls += cancels + others


cdef void _request(CTrader* t, int kind, const Order* a, int reason, int call,
                   int tif) noexcept nogil:
    # Appends a request and its record.  REQUESTS_MAX cannot be passed: each slot has at most one
    # request of its own in a step.
    cdef Request* q = &t.requests[t.n_requests]
    cdef Record* r
    t.n_requests += 1
    q.kind = kind
    q.side = a.side
    q.tif = tif
    q.reason = reason
    q.instrument = t.market.spec.instrument
    q.slot = a.slot
    q.generation = a.generation
    q.level = a.level
    q.reduce_only = reason == WHY_FLATTEN
    q.batch = call
    q.ts_ns = t.now_ns
    q.tick = a.tick_next if kind == RQ_AMEND else a.tick
    q.qty = a.qty_next if kind == RQ_AMEND else a.qty
    q.done = a.done
    r = trader_record(t, kind)
    if r != NULL:
        r.side = q.side
        r.flags = q.tif
        r.code = reason
        r.slot = q.slot
        r.level = q.level
        r.generation = q.generation
        r.tick = q.tick
        r.qty = q.qty


cdef void trader_pull(CTrader* t, int reason) noexcept nogil:
    # As far as the window allows; the rest follows at later events, and orders in flight are
    # cancelled when they land.
    cdef COrders* o = t.orders
    cdef int32_t room, i
    cdef int32_t n = 0
    if o.n_open == o.n_flight:
        return
    room = _free_calls(t, True) * t.batch
    for i in range(o.n_slots):
        if o.slots[i].state != OS_LIVE:
            continue
        if n >= room:
            t.n_held += 1
            break
        orders_cancel(o, i, t.now_ns)
        _request(t, RQ_CANCEL, &o.slots[i], reason, n / t.batch, t.tif)
        n += 1
    _take_calls(t, _calls(n, t.batch), 0)
    t.n_cancelled += n


cdef int64_t trader_to_close(const CTrader* t) noexcept nogil:
    # Whole lots, no more than one order may be; 0: nothing is left that can be closed now.
    cdef const Spec* s = &t.quoted
    cdef int64_t held = t.ledger.position if t.ledger.position > 0 else -t.ledger.position
    if s.qty_max and held > s.qty_max:
        held = s.qty_max
    held -= held % s.lot
    if held < s.qty_min or t.market.book.health != ST_OK:
        return 0
    # Reduce-only orders are exempt from the least value; on spot there is no such thing.
    if s.kind == SPOT and notional(s, _mid_tick(t), held) < s.notional_min:
        return 0
    return held


cdef inline int64_t _mid_tick(const CTrader* t) noexcept nogil:
    return (t.market.book.bid_tick + t.market.book.ask_tick) // 2


cdef void trader_flatten(CTrader* t) noexcept nogil:
    # After the cancels of a stop: whole lots of the position through the touch, immediate or
    # cancelled, reduce-only, at most CLOSE_REACH beyond the mid (venues refuse prices that are far
    # from it); again at later events until it is off.
    cdef const Spec* s = &t.market.spec
    cdef int64_t qty = trader_to_close(t)
    cdef int side = ASK if t.ledger.position > 0 else BID
    cdef double mid = 0.5 * s.tick_size * <double>(t.market.book.bid_tick + t.market.book.ask_tick)
    cdef int64_t tick
    cdef int slot
    if t.orders.n_open or qty == 0:
        return
    if _free_calls(t, True) < 1 or t.now_ns < t.pause_until_ns:
        return
    if side == ASK:
        tick = price_floor(s, mid * (1.0 - CLOSE_REACH))
    else:
        tick = price_ceil(s, mid * (1.0 + CLOSE_REACH))
    slot = orders_free_slot(t.orders)
    orders_place(t.orders, slot, side, 0, tick, qty, t.now_ns)
    _request(t, RQ_PLACE, &t.orders.slots[slot], WHY_FLATTEN, 0, TIF_IOC)
    _take_calls(t, 1, 0)
    t.n_placed += 1
    t.pause_until_ns = t.now_ns + t.pause_ns    # a venue that fills nothing is not hammered


# One wanted change.
cdef struct _Action:
    int32_t kind            # RQ_PLACE, RQ_AMEND, or RQ_CANCEL for cancel + place
    int32_t side
    int32_t slot            # of the order amended or replaced; then of the new order
    int32_t level


# What one step sends, while it is being put together.
cdef struct _Sheet:
    _Action todo[2 * SLOTS_MAX]
    int32_t n               # actions
    int32_t n_cancel
    int32_t n_amend
    int32_t n_place
    int32_t surplus         # of the cancels, those that nothing replaces: they may use the reserve
    int32_t free_calls


cdef int _actions(Plan* bids, Plan* asks, _Action* out) noexcept nogil:
    # Both plans merged by level: the inside of the market first, bid before ask.
    cdef int n = 0
    cdef int level, k, side
    cdef Plan* p
    for level in range(GRID_MAX):
        for side in range(BID, ASK - 1, -2):
            p = bids if side == BID else asks
            for k in range(p.n_amend + p.n_replace):
                if p.new[k] == level:
                    out[n].kind = RQ_AMEND if k < p.n_amend else RQ_CANCEL
                    out[n].side = side
                    out[n].slot = p.old[k]
                    out[n].level = level
                    n += 1
            for k in range(p.n_place):
                if p.place[k] == level:
                    out[n].kind = RQ_PLACE
                    out[n].side = side
                    out[n].slot = -1
                    out[n].level = level
                    n += 1
    return n


cdef void _cancel_surplus(CTrader* t, const Plan* p, _Sheet* sheet, int32_t room) noexcept nogil:
    cdef int k
    for k in range(p.n_cancel):
        if sheet.n_cancel >= room:
            t.unfinished = 1
            t.n_held += 1
            return
        _remove(t, sheet, p.cancel[k], WHY_SURPLUS)


cdef bint _affordable(const CTrader* t, const _Sheet* sheet, int kind) noexcept nogil:
    # Calls this step would take with one more action, against what the rate limit leaves.
    cdef int32_t calls = _calls(sheet.n_cancel + (kind == RQ_CANCEL), t.batch)
    calls += _calls(sheet.n_amend + (kind == RQ_AMEND), t.batch)
    calls += _calls(sheet.n_place + (kind != RQ_AMEND), t.batch)
    return calls - _calls(sheet.surplus, t.batch) <= sheet.free_calls


cdef void _remove(CTrader* t, _Sheet* sheet, int slot, int reason) noexcept nogil:
    orders_cancel(t.orders, slot, t.now_ns)
    _request(t, RQ_CANCEL, &t.orders.slots[slot], reason, sheet.n_cancel / t.batch, t.tif)
    sheet.n_cancel += 1


cdef inline bint _pair_fits(const CRate* r) noexcept nogil:
    return r == NULL or r.limit - r.reserve >= 2


cdef void _remove_alone(CTrader* t, _Sheet* sheet, const _Action* a) noexcept nogil:
    # A limit under which cancel and place never fit together must not leave an old quote behind:
    # the cancel goes alone, the place follows when the rate allows.
    if a.kind != RQ_CANCEL or (_pair_fits(t.rate) and _pair_fits(t.account.rate)):
        return
    if sheet.n_amend + sheet.n_place == 0 and \
            _calls(sheet.n_cancel + 1, t.batch) <= _free_calls(t, True):
        _remove(t, sheet, a.slot, WHY_MOVE)


cdef bint _admit(CTrader* t, _Sheet* sheet, _Action* a, const Level* w) noexcept nogil:
    # Books one action if it may go now.  An order that limits keep from moving is cancelled, and
    # a replaced one even where its successor must wait: it is not where it should be.
    cdef const Order* old
    cdef bint crosses = (w.tick >= t.market.book.ask_tick if a.side == BID
                         else w.tick <= t.market.book.bid_tick)
    if crosses or (t.limits.order_qty_max and w.qty > t.limits.order_qty_max):
        return False
    if a.kind == RQ_AMEND:
        old = &t.orders.slots[a.slot]
        if t.now_ns < t.pause_until_ns and t.now_ns - old.ts_ns < t.pause_ns:
            return False        # what was refused a moment ago is not asked for again at once
        if _may_amend(t, old, w):
            orders_amend(t.orders, a.slot, a.level, w.tick, w.qty, t.now_ns)
            sheet.n_amend += 1
            return True
        if w.tick == old.tick or not _affordable(t, sheet, RQ_CANCEL):
            return False
        a.kind = RQ_CANCEL
    if t.now_ns < t.pause_until_ns:
        return False
    if a.kind == RQ_CANCEL:
        _remove(t, sheet, a.slot, WHY_MOVE)
    if t.limits.orders_max and t.orders.n_open >= t.limits.orders_max:
        return False
    a.slot = orders_free_slot(t.orders)
    if a.slot < 0:
        return False
    if not _may_add(t, a.side, w.qty, <double>w.tick * <double>w.qty, w.tick):
        return False
    orders_place(t.orders, a.slot, a.side, a.level, w.tick, w.qty, t.now_ns)
    sheet.n_place += 1
    return True


cdef void _hold(CTrader* t, int side, uint32_t why) noexcept nogil:
    t.unfinished = 1
    if side == BID:
        t.grid.why_bid |= why
    else:
        t.grid.why_ask |= why


cdef void _emit(CTrader* t, const _Sheet* sheet) noexcept nogil:
    # Amends, then places, each with the ordinal of the call that will carry it.
    cdef int32_t first = _calls(sheet.n_cancel, t.batch)
    cdef int32_t k = 0
    cdef int i
    for i in range(sheet.n):
        if sheet.todo[i].kind == RQ_AMEND:
            _request(t, RQ_AMEND, &t.orders.slots[sheet.todo[i].slot], WHY_MOVE,
                     first + k / t.batch, t.tif)
            k += 1
    first += _calls(sheet.n_amend, t.batch)
    k = 0
    for i in range(sheet.n):
        if sheet.todo[i].kind != RQ_AMEND:
            _request(t, RQ_PLACE, &t.orders.slots[sheet.todo[i].slot],
                     WHY_MOVE if sheet.todo[i].kind == RQ_CANCEL else WHY_QUOTE,
                     first + k / t.batch, t.tif)
            k += 1


cdef void _settle(CTrader* t, const _Sheet* sheet) noexcept nogil:
    # The calls of this step into the rate limiter, and the counters.
    _take_calls(
        t,
        _calls(sheet.n_cancel, t.batch),
        _calls(sheet.n_amend, t.batch) + _calls(sheet.n_place, t.batch),
    )
    t.n_cancelled += sheet.n_cancel
    t.n_amended += sheet.n_amend
    t.n_placed += sheet.n_place


cdef void trader_send(CTrader* t) noexcept nogil:
    cdef Plan bids, asks
    cdef _Sheet sheet
    cdef _Action* a
    cdef const Level* w
    cdef int n = 0
    cdef int i
    cdef int32_t room
    t.unfinished = 0
    t.grid.why_bid &= ~<uint32_t>(NO_RATE | NO_ROOM)
    t.grid.why_ask &= ~<uint32_t>(NO_RATE | NO_ROOM)
    orders_plan(t.orders, BID, t.grid.bids, t.grid.n_bids, &bids)
    orders_plan(t.orders, ASK, t.grid.asks, t.grid.n_asks, &asks)
    if bids.n_waiting or asks.n_waiting:
        t.unfinished = 1
    sheet.n = sheet.n_cancel = sheet.n_amend = sheet.n_place = 0
    if bids.n_cancel or asks.n_cancel:
        room = _free_calls(t, True) * t.batch
        _cancel_surplus(t, &bids, &sheet, room)
        _cancel_surplus(t, &asks, &sheet, room)
    sheet.surplus = sheet.n_cancel
    if t.fill_pending:
        t.unfinished = 1        # what was wanted before the fill is not placed again
    else:
        n = _actions(&bids, &asks, sheet.todo)
    if n:
        sheet.free_calls = _free_calls(t, False) - _calls(sheet.surplus, t.batch)
    for i in range(n):
        a = &sheet.todo[i]
        w = &t.grid.bids[a.level] if a.side == BID else &t.grid.asks[a.level]
        if not _affordable(t, &sheet, a.kind):
            _remove_alone(t, &sheet, a)
            _hold(t, a.side, NO_RATE)
            t.n_held += 1
            break
        if _admit(t, &sheet, a, w):
            sheet.todo[sheet.n] = a[0]
            sheet.n += 1
        else:
            _hold(t, a.side, NO_ROOM)
    _emit(t, &sheet)
    _settle(t, &sheet)
