"""How often an address or an account may ask: windows with counts, as venues report them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

KEYS_MAX = 10_000  # addresses and accounts that one pool remembers
SECOND_NS = 1_000_000_000


class Verdict(NamedTuple):
    """What a pool says to one request.

    ok: it may pass, and was counted.  used: tokens of the window, this request included where it
    passed.  left: tokens that remain.  limit: of the window.  reset_ns: when the window ends
    (fixed), or when enough of it has slid away for this request (sliding).  banned_until_ns: end of
    a ban, 0 for none.
    """

    ok: bool
    used: int
    left: int
    limit: int
    reset_ns: int
    banned_until_ns: int = 0


@dataclass(slots=True)
class _Window:
    begin_ns: int = 0
    used: int = 0
    strikes: int = 0
    banned_until_ns: int = 0
    taken: deque[tuple[int, int]] = field(default_factory=deque)  # when, how many; sliding only


class Pool:
    """One rule: so many tokens in so long, for each key.

    sliding: any window of that length; else the clock's own (each full minute, each full 10 s).
    strikes: requests over the limit within one window that earn a ban of ``ban_ns``, 0 for none.
    """

    def __init__(
        self, limit: int, window_ns: int, *, sliding: bool, strikes: int, ban_ns: int
    ) -> None:
        self.limit = limit
        self.window_ns = window_ns
        self.sliding = sliding
        self.strikes = strikes
        self.ban_ns = ban_ns
        self._windows: dict[str, _Window] = {}

    def take(self, key: str, n: int, now_ns: int) -> Verdict:
        """Count ``n`` tokens of ``key``, or refuse and count nothing."""
        window = self._window(key, now_ns)
        if now_ns < window.banned_until_ns:
            return self._verdict(window, now_ns, n, ok=False)
        if window.used + n > self.limit:
            window.strikes += 1
            if self.strikes and window.strikes >= self.strikes:
                window.banned_until_ns = now_ns + self.ban_ns
                window.strikes = 0
            return self._verdict(window, now_ns, n, ok=False)
        window.used += n
        if self.sliding and n:
            window.taken.append((now_ns, n))
        return self._verdict(window, now_ns, 0, ok=True)

    def give(self, key: str, n: int, now_ns: int) -> None:
        """Give ``n`` tokens back: a count of orders falls when they fill."""
        window = self._window(key, now_ns)
        back = min(n, window.used)
        window.used -= back
        while back and window.taken:
            when, taken = window.taken.pop()
            if taken > back:
                window.taken.append((when, taken - back))
            back -= min(taken, back)

    def look(self, key: str, now_ns: int) -> Verdict:
        """The state of a key, with nothing counted."""
        window = self._window(key, now_ns)
        banned = now_ns < window.banned_until_ns
        return self._verdict(window, now_ns, 0, ok=not banned and window.used < self.limit)

    def ban(self, key: str, until_ns: int, now_ns: int) -> None:
        """Refuse everything of a key until then."""
        self._window(key, now_ns).banned_until_ns = until_ns

    def _window(self, key: str, now_ns: int) -> _Window:
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= KEYS_MAX:
                self._forget(now_ns)
            window = self._windows[key] = _Window(now_ns // self.window_ns * self.window_ns)
        if self.sliding:
            edge_ns = now_ns - self.window_ns
            while window.taken and window.taken[0][0] <= edge_ns:
                window.used -= window.taken.popleft()[1]
            if not window.used:
                window.strikes = 0
        elif now_ns >= window.begin_ns + self.window_ns:
            window.begin_ns = now_ns // self.window_ns * self.window_ns
            window.used = window.strikes = 0
        return window

    def _forget(self, now_ns: int) -> None:
        """Keys that say nothing any more go; where all still count, the oldest does."""
        idle = [
            key
            for key, window in self._windows.items()
            if window.banned_until_ns <= now_ns
            and (window.taken[-1][0] if window.taken else window.begin_ns) + self.window_ns
            <= now_ns
        ]
        for key in idle or [next(iter(self._windows))]:
            del self._windows[key]

    def _verdict(self, window: _Window, now_ns: int, n: int, *, ok: bool) -> Verdict:
        banned_ns = window.banned_until_ns if now_ns < window.banned_until_ns else 0
        reset_ns = self._slid_ns(window, now_ns, n) if self.sliding else self._end_ns(window)
        left = max(0, self.limit - window.used)
        return Verdict(ok, window.used, left, self.limit, max(reset_ns, banned_ns), banned_ns)

    def _end_ns(self, window: _Window) -> int:
        return window.begin_ns + self.window_ns

    def _slid_ns(self, window: _Window, now_ns: int, n: int) -> int:
        short = window.used + n - self.limit
        if short <= 0:
            return now_ns
        for when_ns, taken in window.taken:
            short -= taken
            if short <= 0:
                return when_ns + self.window_ns
        return now_ns + self.window_ns


class Limits:
    """All pools of the box; a dialect declares its own, then takes from them.

    scale: factor on every limit: 10 makes the box ten times as patient as the venue.
    """

    def __init__(self, scale: float = 1.0) -> None:
        if not scale > 0:
            raise ValueError(f"limits scale {scale}: must be positive")
        self.scale = scale
        self._pools: dict[str, Pool] = {}

    def declare(
        self,
        pool: str,
        limit: int,
        window_ns: int,
        *,
        sliding: bool = False,
        strikes: int = 0,
        ban_ns: int = 120 * SECOND_NS,
    ) -> None:
        """Add the pool, e.g. ``declare("binance-usdm.weight", 2400, 60 * SECOND_NS)``."""
        if limit <= 0 or window_ns <= 0:
            raise ValueError(f"pool {pool}: limit and window must be positive")
        scaled = max(1, round(limit * self.scale))
        self._pools[pool] = Pool(scaled, window_ns, sliding=sliding, strikes=strikes, ban_ns=ban_ns)

    def take(self, pool: str, key: str, n: int, now_ns: int) -> Verdict:
        """Ask for ``n`` tokens of ``key`` (an address or an account's name)."""
        return self._pools[pool].take(key, n, now_ns)

    def give(self, pool: str, key: str, n: int, now_ns: int) -> None:
        """Give tokens back."""
        self._pools[pool].give(key, n, now_ns)

    def look(self, pool: str, key: str, now_ns: int) -> Verdict:
        """Counts of a key, for headers, with nothing taken."""
        return self._pools[pool].look(key, now_ns)

    def ban(self, pool: str, key: str, until_ns: int, now_ns: int) -> None:
        """Refuse the key until then, as a venue does after too many refusals."""
        self._pools[pool].ban(key, until_ns, now_ns)

    def limit(self, pool: str) -> int:
        """Tokens of one window, the scale applied: what a venue's rules page should show."""
        return self._pools[pool].limit
