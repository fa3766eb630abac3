"""The engine against a capricious venue: late, partial, refusing; the promises still hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mmcore._book import Book
from mmcore._engine import Account, Engine, Market, Ring, Trader
from mmcore._orders import Orders
from mmcore._quotes import GridStrategy, Strategy, TwoSidedStrategy
from mmcore._rate import RateLimiter
from mmcore._signals import Signals
from mmcore._spec import SpecBox
from mmcore.events import EVENT, LEVEL, Flag, Kind, RejectCode, RequestKind, rows_of

Rows = NDArray[np.void]
MS = 1_000_000
POSITION_MAX = 5_000
RATE = 12


class Caprice:
    """A venue in plain Python that answers when and how it likes, from one seed."""

    def __init__(self, seed: int, strategy: Strategy, *, amend: int, batch: int) -> None:
        self.rng = np.random.default_rng(seed)
        spec = SpecBox("0.1", 3, "1", 1, 1, 0, 5 * 10**8, 20_000, 50_000, 0, 0, 0)
        self.ring = Ring(65_536)
        self.trader = Trader(
            Market(spec, Book(spec), Signals((1, 5), tick_window=100)),
            strategy,
            orders=Orders(amend=amend, requote_bps=1.0),
            rate=RateLimiter(RATE, reserve=3),
            account=Account(),
            ring=self.ring,
            batch=batch,
            position_max=POSITION_MAX,
            pause_ns=20 * MS,
        )
        self.engine = Engine(self.trader.market, self.trader)
        self.now, self.seq, self.mid = 10**9, 0, 10_000
        self.inbox: list[tuple[int, ...]] = []
        self.done: dict[tuple[int, int], int] = {}
        self.resting: dict[tuple[int, int], list[int]] = {}  # side, tick, qty
        self.calls: list[int] = []
        self.position = 0
        self.most = 0

    def step(self, rows: Rows) -> None:
        flying = {
            o["slot"] for o in self.trader.orders.open() if o["state"] in ("new", "amend", "cancel")
        }
        if int(rows[0]["slot"]) in flying and rows[0]["kind"] != Kind.DEPTH:
            flying.discard(int(rows[0]["slot"]))
        asked = self.engine.step(rows)
        seen: set[int] = set()
        for q in asked:
            slot = int(q["slot"])
            assert slot not in flying, "a slot in flight was asked again"
            assert slot not in seen, "a slot was asked twice in one step"
            seen.add(slot)
            fields = ("kind", "side", "slot", "generation", "tick", "qty", "done")
            self.inbox.append(tuple(int(q[name]) for name in fields))
        self.calls += [self.now] * len({(int(q["kind"]), int(q["batch"])) for q in asked})
        state = self.trader.state()
        assert state["position"] == self.position
        assert self.position + state["open_buy"] <= POSITION_MAX
        assert -self.position + state["open_sell"] <= POSITION_MAX
        self.most = max(self.most, abs(self.position))

    def event(self, kind: Kind, slot: int, generation: int, **fields: int) -> None:
        rows = np.zeros(1, dtype=EVENT)
        rows[0]["kind"], rows[0]["slot"], rows[0]["generation"] = kind, slot, generation
        rows[0]["ts_local_ns"] = self.now
        for name, value in fields.items():
            rows[0][name] = value
        self.step(rows)

    def book(self) -> None:
        self.seq += 1
        self.mid += int(self.rng.integers(-30, 31))
        levels = [(self.mid - 1 - i, 2000) for i in range(6)]
        levels += [(self.mid + 1 + i, 2000) for i in range(6)]
        rows = np.zeros(1 + rows_of(12), dtype=EVENT)
        rows[0]["kind"], rows[0]["flags"] = Kind.DEPTH, Flag.SNAPSHOT | Flag.LOCAL
        rows[0]["n_bids"] = rows[0]["n_asks"] = 6
        rows[0]["seq"], rows[0]["ts_local_ns"] = self.seq, self.now
        rows[1:].view(LEVEL)[:12] = np.array(levels, dtype=LEVEL)
        self.step(rows)

    def work(self) -> None:
        """Handle one waiting request, or fill something, or do nothing."""
        whim = self.rng.random()
        if self.resting and whim < 0.3:
            self.trade()
        elif self.inbox and whim < 0.9:
            self.handle(*self.inbox.pop(0))

    def trade(self) -> None:
        key = sorted(self.resting)[int(self.rng.integers(len(self.resting)))]
        side, tick, qty = self.resting[key]
        part = qty if self.rng.random() < 0.5 else int(self.rng.integers(1, qty + 1))
        self.resting[key][2] -= part
        if part == qty:
            del self.resting[key]
        self.position += side * part
        self.done[key] += part
        self.event(Kind.FILL, *key, side=side, tick=tick, qty=part)

    def handle(
        self, kind: int, side: int, slot: int, generation: int, tick: int, qty: int, done: int
    ) -> None:
        key = (slot, generation)
        refused = self.rng.random() < 0.1
        if kind == RequestKind.PLACE:
            if refused:
                self.event(Kind.EXPIRED, *key, code=RejectCode.POST_ONLY)
            else:
                self.resting[key] = [side, tick, qty]
                self.done[key] = 0
                self.event(Kind.ACK, *key, tick=tick, qty=qty)
        elif key not in self.resting:
            self.event(Kind.REJECT, *key, code=RejectCode.UNKNOWN_ORDER)
        elif refused:
            self.event(Kind.REJECT, *key, code=RejectCode.OTHER)
        elif kind == RequestKind.AMEND:
            # Asked for a total: what filled while the request travelled comes off.
            remaining = done + qty - self.done[key]
            if remaining > 0:
                self.resting[key] = [side, tick, remaining]
                self.event(Kind.AMENDED, *key, tick=tick, qty=remaining)
            else:
                del self.resting[key]
                self.event(Kind.CANCELLED, *key)
        else:
            del self.resting[key]
            self.event(Kind.CANCELLED, *key)

    def drain(self) -> None:
        """Answer everything there is; time passes so that the rate allows the rest."""
        for _ in range(400):
            while self.inbox:
                self.handle(*self.inbox.pop(0))
            if not self.trader.n_open:
                return
            self.now += 100 * MS
            self.event(Kind.TIMER, 0, 0)


GRID: dict[str, Any] = {"max_position_usd": 8_000.0, "orders_per_side": 4, "minimum_spread": 20.0}
TWO: dict[str, Any] = {
    "target_liquidity": 1.5,
    "half_spread": 8.0,
    "max_bps_diff": 2.0,
    "max_absolute_position_size": 5.0,
}


@pytest.mark.parametrize("kind", ["grid", "two_sided"])
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), amend=st.integers(0, 2), batch=st.sampled_from([1, 3, 10]))
def test_promises_hold_at_every_step(kind: str, seed: int, amend: int, batch: int) -> None:
    strategy: Strategy = GridStrategy(**GRID) if kind == "grid" else TwoSidedStrategy(**TWO)
    venue = Caprice(seed, strategy, amend=amend, batch=batch)
    for _ in range(150):
        venue.now += int(venue.rng.integers(0, 40)) * MS
        venue.book()
        for _ in range(int(venue.rng.integers(0, 6))):
            venue.work()
    venue.trader.stop()
    venue.event(Kind.TIMER, 0, 0)
    venue.drain()
    assert venue.trader.n_open == 0
    assert not venue.resting
    assert venue.ring.lost == 0
    for i, start in enumerate(venue.calls):
        inside = sum(at < start + 10**9 for at in venue.calls[i:])
        assert inside <= RATE, f"{inside} calls within one second of {start}"
