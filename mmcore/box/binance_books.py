"""Book updates and prints of one floor, numbered and gathered as Binance numbers and gathers them.

Binance lets a client join a book in the middle: it buffers depth events, asks for a snapshot, and
goes on from the event that spans the snapshot's ``lastUpdateId``.  So snapshots and events count
with one counter, and every snapshot takes a number of its own from it: whatever event comes next
spans it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from .floor import Floor, Levels
from .orders import Trade

PRINTS = 1_000
GATHER_NS = 100_000_000  # prints of one taker at one price, within this, are one aggregate
RESTATED = 20  # an event that would be empty says this level of the book again
WHOLE = 1_000  # levels that replace a book


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The book's first levels, best first, as of update ``id``."""

    id: int
    bids: Levels
    asks: Levels
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Update:
    """What changed in updates ``first`` to ``last``; ``previous`` is the last one told before."""

    first: int
    last: int
    previous: int
    bids: Levels
    asks: Levels
    ts_ns: int


@dataclass(slots=True)
class Aggregate:
    """Consecutive prints of one aggressor at one price.  first, last: ids of its prints."""

    id: int
    tick: int
    qty: int
    side: int
    first: int
    last: int
    ts_ns: int


class Numbers:
    """The counter of one floor's updates: the floor's own, and one for each snapshot."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self._extra = 0

    @property
    def now(self) -> int:
        """The last number given."""
        return self.floor.update_id + self._extra

    def give(self) -> int:
        """A number of its own, for what is not a change of the floor's."""
        self._extra += 1
        return self.now

    def snapshot(self, n: int) -> Snapshot:
        """The first n levels of each side, under a number that the next event spans."""
        floor = self.floor
        return Snapshot(self.give(), floor.top(1, n), floor.top(-1, n), floor.ts_ns)


class Cursor:
    """Where one stream of depth events stands in a floor's book."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self._seen = numbers.floor.update_id
        self._told = numbers.now

    def update(self) -> Update:
        """Everything since the last update; a far level again, where nothing changed.

        Where the floor replaced its book, the update does not follow on the one before: whoever
        checks the numbers takes a new snapshot.
        """
        floor, numbers = self.numbers.floor, self.numbers
        changes = floor.changes(self._seen)
        self._seen = floor.update_id
        if changes is None:
            numbers.give()
            self._told = numbers.now
            bids, asks = floor.top(1, WHOLE), floor.top(-1, WHOLE)
        else:
            bids, asks = changes.bids, changes.asks
        if not bids and not asks:
            bids = floor.top(1, RESTATED)[-1:]
        if numbers.now <= self._told:
            numbers.give()
        first, previous = self._told + 1, self._told
        self._told = numbers.now
        return Update(first, self._told, previous, bids, asks, floor.ts_ns)


class Prints:
    """The prints of one floor, gathered.  before: those that there were already."""

    def __init__(self, before: Iterable[Trade] = ()) -> None:
        self.aggregates: deque[Aggregate] = deque(maxlen=PRINTS)
        self._open: Aggregate | None = None
        self._taker = 0
        self._n = 0
        for trade in before:
            self.add(trade)

    def add(self, trade: Trade) -> Aggregate | None:
        """Take a print in; the aggregate that it closed, if any."""
        taker = trade.buy_order_id if trade.side > 0 else trade.sell_order_id
        held = self._open
        if (
            held is not None
            and (held.tick, held.side, self._taker) == (trade.tick, trade.side, taker)
            and trade.ts_ns - held.ts_ns < GATHER_NS
            and (taker or trade.ts_ns == held.ts_ns)
        ):
            held.qty += trade.qty
            held.last = trade.id
            return None
        closed = self.close()
        self._n += 1
        self._taker = taker
        self._open = Aggregate(
            self._n, trade.tick, trade.qty, trade.side, trade.id, trade.id, trade.ts_ns
        )
        return closed

    def close(self) -> Aggregate | None:
        """End the aggregate that is being gathered, and give it."""
        closed, self._open = self._open, None
        if closed is not None:
            self.aggregates.append(closed)
        return closed


__all__ = ["Aggregate", "Cursor", "Numbers", "Prints", "Snapshot", "Update"]
