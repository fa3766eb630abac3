"""The loop against a plain one in which every timer steps every trader.

The compiled loop passes over traders for whom a timer has nothing to do, and computes the skew of a
market once for all that weigh it alike; here every step is taken, one by one, and the traders have
a market each.  Records, requests and states must be the same to the last bit.
"""

from collections import deque
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcore._book import Book
from mmcore._channel import Latency
from mmcore._engine import Account, Market, Ring, Trader
from mmcore._orders import Orders
from mmcore._quotes import GridStrategy, Strategy, TwoSidedStrategy
from mmcore._rate import RateLimiter
from mmcore._signals import Signals, Weights
from mmcore._sim import SimLoop
from mmcore._spec import SpecBox
from mmcore._venue import Venue
from mmcore.events import ASK, BID, EVENT, LEVEL, RECORD, REQUEST, Flag, Kind, rows_of

MS = 1_000_000
START = 1_700_000_000_000_000_000
TIMER = 10 * MS
ENTRY, RESPONSE = 3 * MS, 2 * MS
BOTH = int(Flag.EXCH | Flag.LOCAL)
SPEC = SpecBox("0.1", 3, "1", 1, 1, 0, 0, -5_000, 70_000, 0, 0, 0)
STALE = st.sampled_from([5 * MS, 60 * MS, 10**12])
FACTS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["grid", "grid", "two_sided"]),
        "stale_ns": STALE,
        "debounce_ns": st.sampled_from([0, 25 * MS]),
        "age_ns_max": st.sampled_from([35 * MS, 200 * MS, 2**62]),
        "pause_ns": st.sampled_from([0, 30 * MS]),
        "rate": st.sampled_from([3, 1000]),
        "loss_max": st.sampled_from([0.0, 0.5]),
        "weight": st.sampled_from([0.3, 0.3, 0.6]),
    }
)


def tape(seed: int, n: int) -> np.ndarray:
    """A wandering book, prints through both sides, half messages, broken links, silence."""
    rng = np.random.default_rng(seed)
    parts, mid, now = [], 10_000, START
    for _ in range(n):
        now += int(rng.choice([0, MS, 4 * MS, 20 * MS, 170 * MS]))
        mid += int(rng.integers(-3, 4))
        kind = rng.choice(["book", "book", "trade", "trade", "half", "down"], p=PARTS)
        if kind in ("book", "half"):
            sizes = rng.integers(1, 4000, 8).tolist()
            levels = [(mid - 1 - j, sizes[j]) for j in range(4)]
            levels += [(mid + 1 + j, sizes[4 + j]) for j in range(4)]
            rows = np.zeros(1 + rows_of(8), EVENT)
            rows[1:].view(LEVEL)[:8] = np.array(levels, LEVEL)
            rows[0]["n_bids"], rows[0]["n_asks"], rows[0]["kind"] = 4, 4, Kind.DEPTH
            rows[0]["flags"] = BOTH | Flag.SNAPSHOT | (Flag.MORE if kind == "half" else 0)
        else:
            rows = np.zeros(1, EVENT)
            side = int(rng.choice([BID, ASK]))
            rows[0]["kind"] = Kind.LINK_DOWN if kind == "down" else Kind.TRADE
            rows[0]["flags"], rows[0]["side"] = BOTH, side
            rows[0]["tick"] = mid + side * int(rng.integers(1, 5))
            rows[0]["qty"] = int(rng.integers(1, 3000))
        rows[0]["ts_venue_ns"] = rows[0]["ts_local_ns"] = now
        parts.append(rows)
    return np.concatenate(parts)


PARTS = (0.25, 0.25, 0.2, 0.2, 0.06, 0.04)


class Side:
    """Traders of one account, their venues and markets."""

    def __init__(self, facts: list[dict[str, Any]], account_loss: float, shared: bool) -> None:
        self.ring, account = Ring(), Account(loss_max=account_loss)
        self.markets = [self.market() for _ in facts]
        if shared:
            self.markets = self.markets[:1] * len(facts)
        self.venues = [Venue(SPEC) for _ in facts]
        self.traders = [
            Trader(
                self.markets[i], strategy(each), orders=Orders(requote_bps=0.2),
                rate=RateLimiter(each["rate"]), account=account, ring=self.ring, number=i,
                position_max=20_000, loss_max=each["loss_max"], stale_ns=each["stale_ns"],
                debounce_ns=each["debounce_ns"], age_ns_max=each["age_ns_max"],
                pause_ns=each["pause_ns"],
            )
            for i, each in enumerate(facts)
        ]  # fmt: skip

    @staticmethod
    def market() -> Market:
        return Market(SPEC, Book(SPEC), Signals((1, 3), tick_window=100, trade_window=10))

    def records(self) -> bytes:
        out = np.zeros(65_536, RECORD)
        return out[: self.ring.drain(out.view(np.uint8))].tobytes()


def strategy(facts: dict[str, Any]) -> Strategy:
    if facts["kind"] == "grid":
        weights = Weights(imbalance=facts["weight"], trade=0.1, predict=0.0, voi=0.0)
        return GridStrategy(
            max_position_usd=15_000.0, orders_per_side=3, minimum_spread=1.0, requote_spreads=0.3,
            weights=weights,
        )  # fmt: skip
    return TwoSidedStrategy(
        target_liquidity=2000.0, half_spread=1.5, max_bps_diff=1.0,
        max_absolute_position_size=20.0, asset_type="perp",
    )  # fmt: skip


class PlainLoop:
    """One event after the other; within an instant answers, requests, timers, seat by seat."""

    def __init__(self, side: Side) -> None:
        self.side = side
        n = len(side.traders)
        self.requests: list[deque[tuple[int, np.ndarray]]] = [deque() for _ in range(n)]
        self.answers: list[deque[tuple[int, np.ndarray]]] = [deque() for _ in range(n)]
        self.timer_ns = 0

    def step(self, i: int, rows: np.ndarray, now: int) -> None:
        asked = np.frombuffer(self.side.traders[i].step(rows.view("u1").reshape(-1)), REQUEST)
        self.requests[i].extend((now + ENTRY, row) for row in asked)

    def answered(self, i: int, answers: np.ndarray, now: int) -> None:
        for answer in answers:
            row = np.zeros(1, EVENT)
            row[0] = answer
            row["ts_local_ns"] = now + RESPONSE
            self.answers[i].append((now + RESPONSE, row))

    def before(self, ts_ns: int) -> None:
        while True:
            due = [min((q[0][0] for q in each if q), default=2**63 - 1)
                   for each in (self.answers, self.requests)] + [self.timer_ns]  # fmt: skip
            now = min(due)
            if now >= ts_ns:
                return
            which = due.index(now)
            for i in range(len(self.side.traders)):
                if which == 2:
                    timer = np.zeros(1, EVENT)
                    timer["kind"], timer["flags"] = Kind.TIMER, Flag.LOCAL
                    timer["ts_venue_ns"] = timer["ts_local_ns"] = now
                    self.step(i, timer, now)
                elif which == 0:
                    while self.answers[i] and self.answers[i][0][0] == now:
                        self.step(i, self.answers[i].popleft()[1], now)
                else:
                    while self.requests[i] and self.requests[i][0][0] == now:
                        request = self.requests[i].popleft()[1]
                        self.answered(i, self.side.venues[i].request(request, now), now)
            self.timer_ns += TIMER if which == 2 else 0

    def run(self, rows: np.ndarray) -> None:
        i = 0
        while i < len(rows):
            n = 1
            if rows[i]["kind"] == Kind.DEPTH:
                n += rows_of(int(rows[i]["n_bids"]) + int(rows[i]["n_asks"]))
            message, ts_ns = rows[i : i + n], int(rows[i]["ts_local_ns"])
            self.timer_ns = self.timer_ns or (ts_ns // TIMER + 1) * TIMER
            self.before(ts_ns)
            for market in self.side.markets:
                market.apply(message.view("u1").reshape(-1))
            for k in range(len(self.side.traders)):
                self.step(k, message, ts_ns)
            for k, venue in enumerate(self.side.venues):
                self.answered(k, venue.market(message), ts_ns)
            i += n


@settings(max_examples=100)
@given(
    st.integers(0, 2**32), st.integers(20, 90), st.lists(FACTS, min_size=1, max_size=3),
    st.sampled_from([0.0, 0.0, 0.2, 2.0]), st.sampled_from([1, 7, 10**6]),
)  # fmt: skip
def test_the_same_as_with_every_step(
    seed: int, n: int, facts: list[dict[str, Any]], account_loss: float, chunk: int
) -> None:
    rows = tape(seed, n)
    fast, slow = Side(facts, account_loss, True), Side(facts, account_loss, False)
    latencies = [Latency(ENTRY, RESPONSE) for _ in facts]
    loop = SimLoop(fast.traders, fast.venues, latencies, timer_ns=TIMER)
    loop.feed(rows)
    while not loop.consumed:
        loop.run(chunk)
    plain = PlainLoop(slow)
    plain.run(rows)
    assert fast.records() == slow.records()
    for one, other in zip(fast.traders, slow.traders, strict=True):
        assert str(one.state()) == str(other.state())
        assert one.grid() == other.grid()
