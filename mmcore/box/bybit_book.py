"""Bybit's order book streams: a snapshot, then what changed, one count of updates a depth."""

from __future__ import annotations

from typing import Any

import orjson

from .bybit_codes import SPOT
from .bybit_desk import Desk, Place
from .bybit_words import NS_PER_MS
from .floor import Levels

# Depth -> how often it is published, ms.
EVERY_MS = {1: 10, 50: 20, 200: 100, 1000: 200}
FULL_DEPTH = 1000  # whose count of updates the REST book carries
REPEAT_NS = 3_000_000_000  # level 1 is said again when nothing happened for so long
FIRST_UPDATE = 15_000_000
SEQ_BASE = 700_000_000_000


def seq(place: Place) -> int:
    """The sequence number of an instrument's present state, common to all of its streams."""
    return SEQ_BASE + place.floor.update_id


class Ladder:
    """One depth of one instrument's book, as it was last published.

    u: count of its updates; it starts from 1 when the venue's service restarted.  readers: sockets
    that are subscribed; without any, nothing is computed.
    """

    def __init__(self, place: Place, depth: int) -> None:
        self.place = place
        self.depth = depth
        self.every_ns = EVERY_MS[depth] * NS_PER_MS
        self.topic = f"orderbook.{depth}.{place.floor.symbol}"
        self.u = FIRST_UPDATE
        self.readers = 0
        self._levels: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self._seen_id = -1
        self._seq = 0
        self._cts_ms = 0
        self._turn = 0
        self._sent_ns = 0

    def restart(self) -> None:
        """The venue's service came back: the next snapshot has u = 1."""
        self.u = 0
        self._seen_id = -1
        self.readers = 0

    def turn(self, now_ns: int) -> bytes | None:
        """The message that is due, None where none is."""
        turn = now_ns // self.every_ns
        if turn == self._turn:
            return None
        self._turn = turn
        changes = self._look()
        if changes is None:
            if self.depth == 1 and now_ns - self._sent_ns >= REPEAT_NS:
                return self.snapshot(now_ns)
            return None
        if self.depth == 1:
            return self.snapshot(now_ns)
        return self._message("delta", changes[0], changes[1], now_ns)

    def fresh(self) -> None:
        """Look at the floor now, where no reader would miss what changed."""
        if not self.readers:
            self._look()

    def snapshot(self, now_ns: int) -> bytes:
        """All levels as last published."""
        self._sent_ns = now_ns
        bids, asks = self._levels[1], self._levels[-1]
        return self._message("snapshot", list(bids.items()), list(asks.items()), now_ns)

    def answer(self, limit: int, now_ns: int) -> dict[str, Any]:
        """The book as REST tells it."""
        self.fresh()
        return {
            **self._data(
                list(self._levels[1].items())[:limit], list(self._levels[-1].items())[:limit]
            ),
            "ts": now_ns // NS_PER_MS,
            "cts": self._cts_ms,
        }

    def _look(self) -> tuple[Levels, Levels] | None:
        """Take over the floor's levels: what changed, best first, or None."""
        floor = self.place.floor
        if floor.update_id == self._seen_id:
            return None
        first = self._seen_id < 0
        self._seen_id = floor.update_id
        bids, asks = self._changed(1), self._changed(-1)
        if not bids and not asks and not first:
            return None
        self.u += 1
        self._seq = seq(self.place)
        self._cts_ms = floor.ts_ns // NS_PER_MS
        return bids, asks

    def _changed(self, side: int) -> Levels:
        new, old = dict(self.place.floor.top(side, self.depth)), self._levels[side]
        changed = [(tick, qty) for tick, qty in new.items() if old.get(tick) != qty]
        changed += [(tick, 0) for tick in old if tick not in new]
        self._levels[side] = new
        changed.sort(reverse=side > 0)
        return changed

    def _data(self, bids: Levels, asks: Levels) -> dict[str, Any]:
        listed = self.place.listed
        price, qty = listed.price, listed.qty
        return {
            "s": listed.symbol,
            "b": [[price(tick), qty(units)] for tick, units in bids],
            "a": [[price(tick), qty(units)] for tick, units in asks],
            "u": self.u,
            "seq": self._seq,
        }

    def _message(self, kind: str, bids: Levels, asks: Levels, now_ns: int) -> bytes:
        ts, data = now_ns // NS_PER_MS, self._data(bids, asks)
        if self.place.category == SPOT:
            head: dict[str, Any] = {"topic": self.topic, "ts": ts, "type": kind}
        else:
            head = {"topic": self.topic, "type": kind, "ts": ts}
        return orjson.dumps({**head, "data": data, "cts": self._cts_ms})


class Ladders:
    """The ladders of every instrument."""

    def __init__(self, desk: Desk) -> None:
        self._all = {
            (key, depth): Ladder(place, depth)
            for key, place in desk.places.items()
            for depth in EVERY_MS
        }

    def get(self, category: str, symbol: str, depth: int) -> Ladder | None:
        """The ladder of an instrument in one of the venue's depths."""
        return self._all.get(((category, symbol), depth))

    def all(self) -> list[Ladder]:
        """Every ladder."""
        return list(self._all.values())

    def restart(self) -> None:
        """See :meth:`Ladder.restart`."""
        for ladder in self._all.values():
            ladder.restart()


__all__ = ["EVERY_MS", "FULL_DEPTH", "Ladder", "Ladders", "seq"]
