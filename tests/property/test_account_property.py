"""Several traders of one account on simulated venues: what they promise together, at every event.

The market gaps, goes silent, breaks and crosses; requests and answers travel for a while, orders
may take.  After every event the limits of the account and of each trader hold with every open order
counted as filled, and after the stop nothing rests anywhere.
"""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mmcore._book import Book
from mmcore._channel import Latency
from mmcore._engine import Account, Market, Ring, Trader
from mmcore._orders import Orders
from mmcore._quotes import GridStrategy, Strategy, TwoSidedStrategy
from mmcore._rate import RateLimiter
from mmcore._signals import Signals
from mmcore._sim import SimLoop
from mmcore._spec import SpecBox
from mmcore._venue import Venue
from mmcore.events import EVENT, LEVEL, RECORD, ContractKind, Flag, Kind, rows_of

Rows = NDArray[np.void]
MS = 1_000_000
POSITION_MAX = 6_000.0
OPEN_MAX = 9_000.0
RATE = 8
TOTAL_RATE = 12


def specs() -> list[SpecBox]:
    linear = SpecBox("0.1", 3, "1", 1, 1, 0, 5 * 10**8, 20_000, 50_000, 0, 0, 0)
    inverse = SpecBox("0.1", 0, "10", 1, 1, 0, 0, 20_000, 50_000, ContractKind.INVERSE, 0, 1)
    return [linear, inverse]


def tape(seed: int, n: int) -> Rows:
    """A market of two instruments: small moves, gaps, breaks, crossed and one-sided books."""
    rng = np.random.default_rng(seed)
    blocks = []
    mids = [10_000, 10_000]
    now = 10**9
    for i in range(n):
        now += int(rng.choice([1, 5, 40, 400])) * MS
        k = int(rng.integers(2))
        whim = rng.random() if i > 3 else 1.0
        mids[k] += int(rng.integers(-8, 9)) * (20 if whim < 0.1 else 1)
        rows = np.zeros(1 + rows_of(12), dtype=EVENT)
        if whim < 0.25:
            rows = np.zeros(1, dtype=EVENT)
            rows[0]["kind"] = Kind.TRADE if whim > 0.03 else Kind.LINK_DOWN
            rows[0]["side"] = rng.choice([1, -1])
            rows[0]["tick"] = mids[k] + int(rng.integers(-30, 31))
            rows[0]["qty"] = rng.integers(1, 4_000)
        else:
            wide = -2 if whim > 0.97 and i > 3 else int(rng.integers(1, 4))
            levels = [(mids[k] - wide - j, int(rng.integers(1, 3_000))) for j in range(6)]
            levels += [(mids[k] + wide + j, int(rng.integers(1, 3_000))) for j in range(6)]
            rows[0]["kind"] = Kind.DEPTH
            rows[0]["n_bids"] = rows[0]["n_asks"] = 6
            rows[1:].view(LEVEL)[:12] = np.array(levels, dtype=LEVEL)
        rows[0]["flags"] = Flag.EXCH | Flag.LOCAL | (Flag.SNAPSHOT if len(rows) > 1 else 0)
        rows[0]["instrument"] = k
        rows[0]["ts_venue_ns"] = rows[0]["ts_local_ns"] = now
        blocks.append(rows)
    return np.concatenate(blocks)


class Floor:
    """Two traders, their venues and the loop, with what is checked at every event."""

    def __init__(self, seed: int, amend: int, post_only: bool, grid: bool) -> None:
        rng = np.random.default_rng(seed)
        self.ring = Ring()
        self.account = Account(
            position_max=POSITION_MAX, open_max=OPEN_MAX, rate=RateLimiter(TOTAL_RATE, reserve=2)
        )
        self.specs = specs()
        self.traders, self.venues, latencies = [], [], []
        for i, spec in enumerate(self.specs):
            self.traders.append(
                Trader(
                    Market(spec, Book(spec), Signals((1, 5), tick_window=100)),
                    self.strategy(grid, i),
                    orders=Orders(amend=amend, requote_bps=1.0),
                    rate=RateLimiter(RATE, reserve=2),
                    account=self.account,
                    ring=self.ring,
                    number=i,
                    batch=int(rng.integers(1, 6)),
                    post_only=post_only,
                    flatten=bool(rng.integers(2)),
                )
            )
            self.venues.append(Venue(spec))
            latencies.append(
                Latency(
                    int(rng.integers(0, 30)) * MS,
                    int(rng.integers(0, 30)) * MS,
                    jitter_ns=int(rng.integers(0, 10)) * MS,
                    seed=seed,
                )
            )
        self.loop = SimLoop(self.traders, self.venues, latencies, timer_ns=100 * MS)

    @staticmethod
    def strategy(grid: bool, i: int) -> Strategy:
        if grid:
            return GridStrategy(
                max_position_usd=8_000.0,
                orders_per_side=4,
                minimum_spread=8.0,
                final_order_distance=4.0,
            )
        return TwoSidedStrategy(
            target_liquidity=2.0 if i == 0 else 200.0,
            half_spread=4.0,
            max_bps_diff=1.0,
            max_absolute_position_size=5.0 if i == 0 else 500.0,
        )

    def worst(self, i: int) -> tuple[float, float]:
        """Of one trader: worst position and open orders, quote currency, at order prices."""
        state = self.traders[i].state()
        orders = self.traders[i].orders.open()
        side = max(state["position"] + state["open_buy"], state["open_sell"] - state["position"])
        if i == 1:
            return side * 10.0, sum(o["qty"] for o in orders) * 10.0
        worth = sum(o["tick"] * o["qty"] for o in orders) * 1e-4
        return side * self.traders[i].state()["last_mid"] * 1e-3, worth

    def check(self, closing: bool = False) -> None:
        out = np.zeros(4096, dtype=RECORD)
        self.ring.drain(out.view("u1"))
        worst, open_worth = zip(*(self.worst(i) for i in range(2)), strict=True)
        assert closing or sum(open_worth) <= OPEN_MAX * 1.0001  # what closes is not held back
        # positions move with the mid after they were taken: a tenth is more than this tape moves
        assert sum(worst) <= POSITION_MAX * 1.1
        for trader, venue in zip(self.traders, self.venues, strict=True):
            known = {(o["slot"], o["generation"]) for o in trader.orders.open()}
            ghosts = {(int(o["slot"]), int(o["generation"])) for o in venue.orders()} - known
            assert not ghosts, "an order rests that its trader has forgotten"

    def settle(self) -> None:
        for trader in self.traders:
            trader.stop()
        for _ in range(400):
            self.loop.idle(50 * MS)
            self.check(closing=True)
            if all(t.settled for t in self.traders) and not self.loop.under_way:
                return


@example(seed=5_766_187, amend=0, post_only=False, grid=False)  # the market ends before it is flat
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32), amend=st.integers(0, 2), post_only=st.booleans(), grid=st.booleans()
)
def test_an_account_keeps_its_promises(seed: int, amend: int, post_only: bool, grid: bool) -> None:
    floor = Floor(seed, amend, post_only, grid)
    floor.loop.feed(tape(seed, 300))
    while not floor.loop.consumed:
        floor.loop.run(1)
        floor.check()
    floor.settle()
    for trader, venue in zip(floor.traders, floor.venues, strict=True):
        position = trader.state()["position"]
        assert not len(venue.orders())
        assert venue.position == position
        if trader.n_open:
            # The tape is over, and all that stood within a closing order's reach has been taken.
            (closing,) = trader.orders.open()
            assert closing["side"] * position < 0 and closing["qty"] <= abs(position)
