"""What one account may still send: a venue's pools of calls, weights and orders, counted here.

Each pool is a :class:`mmcore._rate.RateLimiter`: a bucket that smooths under a sliding window that
never gives way.  The venue's own figures correct it, a refusal blocks it, and cancels go first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mmcore._rate import RateLimiter

SECOND = 1_000_000_000
CALLS_MAX = 4096  # what one limiter counts; a larger pool is counted in lots
NEVER_S = 3600.0  # the wait for what no window can hold


@dataclass(frozen=True, slots=True)
class Pool:
    """One of a venue's limits.

    limit: what may be spent in window_s.  burst: at once, 0 for the whole limit.  reserve: what
    only cancels may spend.
    """

    limit: int
    window_s: float
    burst: int = 0
    reserve: int = 0


class _Counter:
    """One pool's limiter; amounts beyond what it counts are counted in lots of ``lot``."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.lot = -(-pool.limit // CALLS_MAX)
        # Lots may hide less than one lot at each edge of a window.
        limit = pool.limit if self.lot == 1 else pool.limit // self.lot - 1
        reserve = min(pool.reserve // self.lot, limit - 1)
        self.limiter = RateLimiter(
            limit,
            round(pool.window_s * SECOND),
            burst=max(pool.burst // self.lot, 1) if pool.burst else 0,
            reserve=max(reserve, 0),
        )
        self.spent = 0
        self.blocked_ns = 0
        self.cancels_blocked_ns = 0

    def lots(self, amount: int) -> int:
        return -(-(self.spent % self.lot + amount) // self.lot) - (self.spent % self.lot > 0)

    def wait_ns(self, now_ns: int, amount: int, cancel: bool) -> int:
        blocked = (self.cancels_blocked_ns if cancel else self.blocked_ns) - now_ns
        wait = self.limiter.wait_ns(now_ns, self.lots(amount), cancel=cancel)
        return max(blocked, round(NEVER_S * SECOND) if wait < 0 else wait, 0)

    def take(self, now_ns: int, amount: int, cancel: bool) -> None:
        self.limiter.take(now_ns, self.lots(amount), cancel=cancel)
        self.spent += amount

    def used(self, now_ns: int) -> int:
        return (self.limiter.limit - self.limiter.free(now_ns, cancel=True)) * self.lot


class Budget:
    """Pools by name; a call names what it costs in each.

    clock: ns, rising.
    """

    def __init__(self, pools: Mapping[str, Pool], clock: Callable[[], int]) -> None:
        self._pools = {name: _Counter(pool) for name, pool in pools.items()}
        self._clock = clock
        self._cancels_waiting = 0

    def take(self, cost: Mapping[str, int], cancel: bool = False) -> float:
        """Spend it from all pools at once: 0.0, or the seconds to wait, and nothing is spent.

        cancel: may use the reserves; while one waits (:meth:`acquire`), nothing else goes.
        """
        now = self._clock()
        charged = [(self._pools[name], amount) for name, amount in cost.items() if amount]
        wait = max((pool.wait_ns(now, amount, cancel) for pool, amount in charged), default=0)
        if wait == 0 and charged and self._cancels_waiting and not cancel:
            wait = SECOND // 1000
        if wait > 0:
            return wait / SECOND
        for pool, amount in charged:
            pool.take(now, amount, cancel)
        return 0.0

    async def acquire(self, cost: Mapping[str, int], cancel: bool = False) -> None:
        """Wait until it can be spent, and spend it."""
        wait = self.take(cost, cancel)
        if wait == 0.0:
            return
        self._cancels_waiting += cancel
        try:
            while wait > 0.0:
                await asyncio.sleep(min(wait, 1.0))
                wait = self.take(cost, cancel)
        finally:
            self._cancels_waiting -= cancel

    def free(self, pool: str, cancel: bool = False) -> int:
        """What could be spent of a pool now."""
        counter, now = self._pools[pool], self._clock()
        if (counter.cancels_blocked_ns if cancel else counter.blocked_ns) > now:
            return 0
        return counter.limiter.free(now, cancel=cancel) * counter.lot

    def report(
        self,
        pool: str,
        *,
        used: int | None = None,
        left: int | None = None,
        limit: int | None = None,
        wait_s: float = 0.0,
    ) -> None:
        """What the venue says of a pool: spent or left of the present window, and its size.

        A larger figure than ours holds.  wait_s: until the window begins anew, where it says so;
        with nothing left, nothing is sent before.
        """
        now, counter = self._clock(), self._pools[pool]
        if limit is not None and 0 < limit != counter.pool.limit:
            counter = self._resize(pool, limit)
        if left is not None:
            used = counter.pool.limit - left
        if used is not None:
            counter.limiter.correct(now, -(-used // counter.lot))
        if left is not None and left <= 0 and wait_s > 0.0:
            self.block(pool, wait_s)

    def _resize(self, name: str, limit: int) -> _Counter:
        """The account's own limit, where it is not the usual one; what was spent stays spent."""
        old, now = self._pools[name], self._clock()
        scale = limit / old.pool.limit
        counter = _Counter(
            Pool(
                limit,
                old.pool.window_s,
                round(old.pool.burst * scale),
                min(round(old.pool.reserve * scale), limit - 1),
            )
        )
        counter.limiter.correct(now, -(-old.used(now) // counter.lot))
        counter.blocked_ns, counter.cancels_blocked_ns = old.blocked_ns, old.cancels_blocked_ns
        self._pools[name] = counter
        return counter

    def block(self, pool: str | None, wait_s: float, *, cancels: bool = True) -> None:
        """Send nothing of a pool (None: of any) for so long; ``cancels``: not even those."""
        until = self._clock() + round(wait_s * SECOND)
        for counter in self._pools.values() if pool is None else (self._pools[pool],):
            counter.blocked_ns = max(counter.blocked_ns, until)
            if cancels:
                counter.cancels_blocked_ns = max(counter.cancels_blocked_ns, until)

    @property
    def left(self) -> float:
        """The smallest share, 0 to 1, that is left of any pool."""
        now = self._clock()
        shares = (
            0.0 if c.blocked_ns > now else 1.0 - c.used(now) / c.pool.limit
            for c in self._pools.values()
        )
        return max(min(shares, default=1.0), 0.0)


__all__ = ["Budget", "Pool"]
