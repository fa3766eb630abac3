"""The three quoting strategies of the parity runs, on the research interface.

Each polls before it decides: fills of own orders are noted in ascending id with the time of the
poll, finished orders are dropped.  ``partial`` runs poll after every feed row in between as well,
so that each piece of an order is noted.
"""

from dataclasses import dataclass, field
from math import ceil, floor
from typing import Any

import numpy as np

from mmcore._replay import Outcome, Replay, Status
from mmcore.events import ASK, BID, TimeInForce

FILLS = np.dtype(
    [
        ("exch_ts", "<i8"),
        ("seen_ts", "<i8"),
        ("order_id", "<i8"),
        ("side", "<i8"),
        ("tick", "<i8"),
        ("qty", "<i8"),
        ("maker", "<i8"),
    ]
)
NO_BID, NO_ASK = -(2**63), 2**63 - 1


@dataclass
class Quote:
    side: int
    tick: int
    ioc: bool = False


@dataclass
class Strategy:
    """What the three have in common: polling, positions, orders."""

    replay: Replay
    params: list[int]
    order_qty: int  # units
    partial: bool = False
    live: dict[int, Quote] = field(default_factory=dict)
    fills: list[tuple[int, ...]] = field(default_factory=list)
    position: int = 0
    last_id: int = 0
    counters: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("submits", "cancels", "modifies", "expired", "decisions", "iocs"), 0
        )
    )
    seen: int = 0

    def run(self) -> np.ndarray:
        """Until the end of the data; FILLS rows by (exch_ts, order_id)."""
        while self.wait():
            self.poll()
            self.decide_if_two_sided()
        self.poll()
        rows = np.array(self.fills, FILLS)
        return rows[np.lexsort((rows["order_id"], rows["exch_ts"]))]

    def wait(self) -> bool:
        step = self.params[0]
        if not self.partial:
            return self.replay.elapse(step) != Outcome.END
        target = self.replay.now_ns + step
        while self.replay.now_ns < target:
            if self.replay.wait_feed(target - self.replay.now_ns) == Outcome.END:
                return False
            self.poll()
        return True

    def poll(self) -> None:
        replay = self.replay
        if replay.n_answers == self.seen:
            return
        self.seen = replay.n_answers
        new = replay.fills(self.n_raw)
        self.n_raw += len(new)
        pieces: dict[int, list[Any]] = {}
        for row in new:
            pieces.setdefault(int(row["order_id"]), []).append(row)
        for order in sorted(pieces):
            last = pieces[order][-1]
            qty = sum(int(row["qty"]) for row in pieces[order])
            side = int(last["side"])
            self.position += side * qty
            self.fills.append(
                (
                    int(last["exch_ts"]),
                    replay.now_ns,
                    order,
                    side,
                    int(last["tick"]),
                    qty,
                    int(last["maker"]),
                )
            )
        for order in list(self.live):
            status = replay.status(order)
            if status in (Status.EXPIRED, Status.FILLED, Status.CANCELED):
                self.counters["expired"] += status == Status.EXPIRED
                del self.live[order]
        replay.clear_inactive()

    n_raw: int = 0

    def decide_if_two_sided(self) -> None:
        bid, ask = self.replay.best_bid_tick, self.replay.best_ask_tick
        if bid == NO_BID or ask == NO_ASK:
            return
        self.counters["decisions"] += 1
        self.decide(bid, ask, round(self.position / self.order_qty))

    def decide(self, bid: int, ask: int, units: int) -> None:
        raise NotImplementedError

    def submit(self, side: int, tick: int, tif: TimeInForce = TimeInForce.GTX) -> None:
        self.last_id += 1
        outcome = self.replay.submit(self.last_id, side, tick, self.order_qty, tif)
        assert outcome == Outcome.OK, outcome
        self.live[self.last_id] = Quote(side, tick, tif == TimeInForce.IOC)
        self.counters["iocs" if tif == TimeInForce.IOC else "submits"] += 1

    def cancel_if_active(self, order: int) -> None:
        if self.replay.active(order):
            assert self.replay.cancel(order) == Outcome.OK
            self.counters["cancels"] += 1

    def quote_of(self, side: int) -> int | None:
        for order, quote in self.live.items():
            if quote.side == side and not quote.ioc:
                return order
        return None


class FixedOffset(Strategy):
    """One quote a side, a fixed number of ticks behind the touch."""

    def decide(self, bid: int, ask: int, units: int) -> None:
        _, cap, off = self.params
        for side, want, allowed in (
            (BID, bid - off, units < cap),
            (ASK, ask + off, units > -cap),
        ):
            order = self.quote_of(side)
            if order is not None:
                if not allowed or self.live[order].tick != want:
                    self.cancel_if_active(order)
            elif allowed:
                self.submit(side, want)


class Grid5(Strategy):
    """A ladder a side, moved whenever the middle moves."""

    middle: int | None = None
    bids: tuple[int, ...] = ()
    asks: tuple[int, ...] = ()

    def decide(self, bid: int, ask: int, units: int) -> None:
        _, cap, gap, levels = self.params
        if bid + ask != self.middle:
            self.middle = bid + ask
            self.bids = tuple(bid - k * gap for k in range(levels))
            self.asks = tuple(ask + k * gap for k in range(levels))
        wanted = {
            BID: self.bids if units < cap else (),
            ASK: self.asks if units > -cap else (),
        }
        for order in sorted(self.live):
            quote = self.live[order]
            if quote.tick not in wanted[quote.side]:
                self.cancel_if_active(order)
        for side in (BID, ASK):
            standing = {q.tick for q in self.live.values() if q.side == side}
            for tick in wanted[side]:
                if tick not in standing:
                    self.submit(side, tick)


class Skewed(Strategy):
    """One quote a side, skewed by the position, moved by modify; takes at the limit."""

    def wait(self) -> bool:
        return self.replay.wait_feed(self.params[0]) != Outcome.END

    def decide(self, bid: int, ask: int, units: int) -> None:
        _, cap, half, skew, min_move = self.params
        middle = bid + ask
        wanted = (
            (BID, min(bid, floor((middle - half - skew * units) / 2)), units < cap),
            (ASK, max(ask, ceil((middle + half - skew * units) / 2)), units > -cap),
        )
        for side, want, allowed in wanted:
            order = self.quote_of(side)
            if order is None:
                if allowed:
                    self.submit(side, want)
            elif not allowed:
                self.cancel_if_active(order)
            elif abs(self.live[order].tick - want) >= min_move and self.replay.active(order):
                assert self.replay.modify(order, want, self.order_qty) == Outcome.OK
                self.live[order].tick = want
                self.counters["modifies"] += 1
        if abs(units) >= cap and not any(quote.ioc for quote in self.live.values()):
            if units > 0:
                self.submit(ASK, bid - 3, TimeInForce.IOC)
            else:
                self.submit(BID, ask + 3, TimeInForce.IOC)


class Blind(Strategy):
    """Orders, cancels and changes of price by chance, a few ticks either way of the touch."""

    state: int | None = None

    def drawn(self, n: int) -> int:
        state = self.params[1] if self.state is None else self.state
        self.state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % n

    def decide(self, bid: int, ask: int, units: int) -> None:
        what, away, which = self.drawn(10), self.drawn(15), self.drawn(8)
        if what < 5 and len(self.live) < 8:
            side = BID if which % 2 else ASK
            tif = TimeInForce.GTX if what < 2 else TimeInForce.GTC
            self.submit(side, ask + 3 - away if side == BID else bid - 3 + away, tif)
        elif self.live:
            order = list(self.live)[which % len(self.live)]
            if what < 7:
                self.cancel_if_active(order)
            elif self.replay.active(order):
                tick = ask + 3 - away if self.live[order].side == BID else bid - 3 + away
                assert self.replay.modify(order, tick, self.order_qty) == Outcome.OK


STRATEGIES: dict[int, type[Strategy]] = {1: FixedOffset, 2: Grid5, 3: Skewed, 4: Blind}
