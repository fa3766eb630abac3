"""A seeded tape like a busy perpetual future's: the input of the book's benchmarks and gate.

Tick 0.1 at 65,000, about 1,000 levels a side over about 3,000 ticks, about 20 levels a message (5
to 60): 55 % within a few ticks of the touch, 30 % within a few hundred, 15 % anywhere; about a
third of the changes are deletes.
"""

import random
from dataclasses import dataclass, field

import numpy as np

from mmcore.events import ASK, BID, EVENT, LEVEL, Flag, Kind, rows_of

TICKS_DEEP = 3000
Levels = list[tuple[int, int]]


@dataclass
class Tape:
    """The messages twice: as (bids, asks) lists and as one block of EVENT rows.

    ``starts`` are the rows of the headers; the first message is the snapshot.
    """

    messages: list[tuple[Levels, Levels]] = field(default_factory=list)
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, EVENT))
    starts: list[int] = field(default_factory=list)

    @property
    def n_levels(self) -> int:
        """Level changes behind the snapshot."""
        return sum(len(bids) + len(asks) for bids, asks in self.messages[1:])


def pack(bids: Levels, asks: Levels, seq: int, flags: int = 0) -> np.ndarray:
    """One depth message as EVENT rows."""
    n = len(bids) + len(asks)
    rows = np.zeros(1 + rows_of(n), EVENT)
    rows[0]["kind"] = Kind.DEPTH
    rows[0]["flags"] = flags | Flag.EXCH | Flag.LOCAL
    rows[0]["n_bids"], rows[0]["n_asks"] = len(bids), len(asks)
    rows[0]["seq"], rows[0]["aux"] = seq, seq - 1
    if n:
        rows[1:].view(LEVEL)[:n] = np.array(bids + asks, LEVEL)
    return rows


class Market:
    """The state behind the tape: the levels of both sides and a mid that walks."""

    def __init__(self, seed: int, deep: float, tick_scale: int) -> None:
        self.random = random.Random(seed)
        self.deep = deep
        self.scale = tick_scale
        self.mid = 650_000 * tick_scale
        self.sides: dict[int, dict[int, int]] = {BID: {}, ASK: {}}
        for side in (BID, ASK):
            for away in self.random.sample(range(1, TICKS_DEEP), 1000):
                self.sides[side][self.mid - side * away * tick_scale] = self.size()

    def size(self) -> int:
        return self.random.randint(1, 50_000)

    def distance(self) -> int:
        zone = self.random.random()
        if zone < 0.85 - self.deep:
            return 1 + int(self.random.expovariate(0.3))
        if zone < 1 - self.deep:
            return self.random.randint(1, 300)
        return self.random.randint(1, TICKS_DEEP)

    def change(self, side: int) -> tuple[int, int]:
        """One change of a side: an update, an insert or a delete, each about a third."""
        levels = self.sides[side]
        kind = self.random.random()
        if kind >= 0.68 and len(levels) > 1000:  # full enough: update instead of inserting
            kind = 0.5
        for _ in range(6):
            away = self.distance() * self.scale
            if self.scale > 1:
                away -= self.random.randrange(self.scale)
            tick = self.mid - side * away
            if (tick in levels) == (kind < 0.68):
                break
        if tick in levels and kind < 0.32:
            del levels[tick]
            return tick, 0
        levels[tick] = self.size()
        return tick, levels[tick]

    def message(self) -> tuple[Levels, Levels]:
        out: dict[int, Levels] = {BID: [], ASK: []}
        if self.random.random() < 0.3:
            self.mid += self.random.choice((-2, -1, 1, 2)) * self.scale
            for side in (BID, ASK):
                for tick in [t for t in self.sides[side] if side * (t - self.mid) >= 0]:
                    del self.sides[side][tick]
                    out[side].append((tick, 0))
        for _ in range(min(60, 5 + int(self.random.expovariate(1 / 15)))):
            side = BID if self.random.random() < 0.5 else ASK
            out[side].append(self.change(side))
        for side in (BID, ASK):  # somebody always quotes at the touch of a busy market
            tick = self.mid - side
            if tick not in self.sides[side]:
                self.sides[side][tick] = self.size()
                out[side].append((tick, self.sides[side][tick]))
        return out[BID], out[ASK]


def make_tape(n_messages: int, seed: int = 7, deep: float = 0.15, tick_scale: int = 1) -> Tape:
    """A snapshot and ``n_messages`` deltas; ``deep`` is the share of changes put anywhere."""
    market = Market(seed, deep, tick_scale)
    tape = Tape()
    best_first = [sorted(market.sides[side].items(), reverse=side == BID) for side in (BID, ASK)]
    tape.messages.append((best_first[0], best_first[1]))
    tape.messages += [market.message() for _ in range(n_messages)]
    blocks = [
        pack(bids, asks, 1000 + i, Flag.SNAPSHOT if i == 0 else 0)
        for i, (bids, asks) in enumerate(tape.messages)
    ]
    tape.starts = np.cumsum([0] + [len(block) for block in blocks[:-1]]).tolist()
    tape.rows = np.concatenate(blocks)
    return tape
