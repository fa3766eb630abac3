"""Figures of the last 24 hours of one instrument, from its prints."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from .floor import Floor
from .orders import Trade

MINUTE_NS = 60_000_000_000
MINUTES = 24 * 60


@dataclass(slots=True)
class Minute:
    """Prints of one minute, or of several: prices in ticks, quantities in units, values in quanta.

    bought_qty, bought_value: of those whose aggressor bought.
    """

    begin_ns: int
    first: int
    high: int
    low: int
    last: int
    first_id: int
    last_id: int
    n: int = 0
    qty: int = 0
    value: int = 0
    bought_qty: int = 0
    bought_value: int = 0

    def add(self, other: Minute) -> None:
        """Take in what came after."""
        self.high, self.low = max(self.high, other.high), min(self.low, other.low)
        self.last, self.last_id = other.last, other.last_id
        self.n += other.n
        self.qty += other.qty
        self.value += other.value
        self.bought_qty += other.bought_qty
        self.bought_value += other.bought_value


@dataclass(frozen=True, slots=True)
class DayFigures:
    """Prices in ticks, qty in units, value in quanta; zeros before the first print.

    n: how many prints; first_id, last_id: of the first and the last of them.  direction: of the
    last print against the one before, as Bybit names it.
    """

    last: int = 0
    first: int = 0
    high: int = 0
    low: int = 0
    qty: int = 0
    value: int = 0
    hour_ago: int = 0
    n: int = 0
    first_id: int = 0
    last_id: int = 0
    direction: str = "ZeroPlusTick"


class Day:
    """Counts prints in minutes, and forgets those older than a day."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.last = 0
        self.rising = True
        self.direction = "ZeroPlusTick"
        self._minutes: deque[Minute] = deque()
        for trade in floor.trades:
            self.add(trade)

    def add(self, trade: Trade) -> str:
        """Count a print; its direction against the one before."""
        if self.last and trade.tick != self.last:
            self.rising = trade.tick > self.last
            self.direction = "PlusTick" if self.rising else "MinusTick"
        else:
            self.direction = "ZeroPlusTick" if self.rising else "ZeroMinusTick"
        self.last = trade.tick
        begin_ns = trade.ts_ns // MINUTE_NS * MINUTE_NS
        value = self.floor.notional(trade.tick, trade.qty)
        bought = (trade.qty, value) if trade.side > 0 else (0, 0)
        tick = trade.tick
        one = Minute(
            begin_ns, tick, tick, tick, tick, trade.id, trade.id, 1, trade.qty, value, *bought
        )
        minutes = self._minutes
        if minutes and minutes[-1].begin_ns >= begin_ns:
            minutes[-1].add(one)
        else:
            minutes.append(one)
        while minutes[0].begin_ns <= begin_ns - MINUTES * MINUTE_NS:
            minutes.popleft()
        return self.direction

    def spans(self, minutes: int) -> list[Minute]:
        """Prints by so many minutes, spans that begin at whole ones of them; oldest first."""
        found: list[Minute] = []
        span_ns = minutes * MINUTE_NS
        for minute in self._minutes:
            begin_ns = minute.begin_ns // span_ns * span_ns
            if found and found[-1].begin_ns == begin_ns:
                found[-1].add(minute)
            else:
                found.append(replace(minute, begin_ns=begin_ns))
        return found

    def figures(self) -> DayFigures:
        """Of the minutes that are remembered."""
        minutes = self._minutes
        if not minutes:
            return DayFigures()
        hour_ns = minutes[-1].begin_ns - 60 * MINUTE_NS
        return DayFigures(
            last=self.last,
            first=minutes[0].first,
            high=max(minute.high for minute in minutes),
            low=min(minute.low for minute in minutes),
            qty=sum(minute.qty for minute in minutes),
            value=sum(minute.value for minute in minutes),
            n=sum(minute.n for minute in minutes),
            first_id=minutes[0].first_id,
            last_id=self.floor.last_trade_id,
            hour_ago=next(m.first for m in minutes if m.begin_ns >= hour_ns),
            direction=self.direction,
        )


__all__ = ["MINUTE_NS", "Day", "DayFigures", "Minute"]
