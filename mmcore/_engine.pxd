# The one strategy core: a market that events build up, and traders that answer with requests.
from libc.stdint cimport int64_t

from ._book cimport Book
from ._orders cimport Orders
from ._quotes cimport Strategy
from ._rate cimport RateLimiter
from ._signals cimport Signals
from ._trader cimport CAccount, CMarket, CRing, CTrader
from ._types cimport Event

# Applies one market event to the book and the signals; returns BookReturn for depth, else 0.
cdef int market_apply(CMarket* m, const Event* e) noexcept nogil
# One step of one trader, after market_apply for market events; own-order events go to the trader
# concerned only.  Returns the number of requests left in t.requests.
cdef int trader_step(CTrader* t, const Event* e) noexcept nogil
cdef void trader_stop(CTrader* t, int status) noexcept nogil

cdef inline bint trader_sleeps(CTrader* t, int64_t ts_ns) noexcept nogil:
    # A timer for which a step would do nothing but note the time, which is done here.
    if ts_ns >= t.wake_ns or t.account.killed or t.ring.lost:
        return False
    t.n_steps += 1
    if ts_ns > t.now_ns:
        t.now_ns = ts_ns
    return True

cdef class Ring:
    cdef CRing c

cdef class Account:
    cdef CAccount c
    cdef readonly RateLimiter rate

cdef class Market:
    cdef CMarket c
    cdef readonly Book book
    cdef readonly Signals signals

cdef class Trader:
    cdef CTrader* c
    cdef readonly Market market
    cdef readonly Strategy strategy
    cdef readonly Orders orders
    cdef readonly RateLimiter rate
    cdef readonly Account account
    cdef readonly Ring ring
