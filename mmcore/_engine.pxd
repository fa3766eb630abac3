# The one strategy core: a market that events build up, and traders that answer with requests.
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
