"""Candles of Binance: prints of some minutes together, over REST and as a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .binance_desk import Ask, Desk
from .binance_terms import Terms, money_text
from .binance_words import INT64_MAX, Params, Refused
from .day import MINUTE_NS, Day, Minute
from .floor import Floor

INTERVALS: Mapping[str, int] = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360,
    "8h": 480, "12h": 720, "1d": 1_440,
}  # fmt: skip
LIMIT, LIMIT_MAX = 500, 1_500


class Candles:
    """What the days of one product's floors are in candles; a day is all that is remembered."""

    def __init__(self, desk: Desk, days: Mapping[Floor, Day]) -> None:
        self.desk = desk
        self.days = days

    def answer(self, ask: Ask) -> Any:
        """Rows of ``klines``, oldest first."""
        params = ask.params
        terms = params.symbol(self.desk.terms)
        interval = params.need("interval")
        if interval not in INTERVALS:
            raise Refused(-1120)
        start, end = params.integer("startTime", 0), params.integer("endTime", INT64_MAX)
        limit = params.integer("limit", LIMIT)
        if not limit:
            raise Refused(-1130, name="limit")
        rows = [
            self._row(terms, each, INTERVALS[interval])
            for each in self.days[terms.floor].spans(INTERVALS[interval])
        ]
        assert start is not None
        assert end is not None
        rows = [row for row in rows if start <= row[0] <= end]
        limit = min(limit, LIMIT_MAX)
        return rows[:limit] if start else rows[-limit:]

    def _row(self, terms: Terms, candle: Minute, minutes: int) -> list[Any]:
        begin = self.desk.shown_ms(candle.begin_ns)
        return [
            begin,
            terms.price(candle.first),
            terms.price(candle.high),
            terms.price(candle.low),
            terms.price(candle.last),
            terms.qty(candle.qty),
            begin + minutes * 60_000 - 1,
            money_text(candle.value),
            candle.n,
            terms.qty(candle.bought_qty),
            money_text(candle.bought_value),
            "0",
        ]

    def event(self, terms: Terms, interval: str, engine_ns: int) -> dict[str, Any] | None:
        """The last candle as the stream tells it, None before there is one."""
        minutes = INTERVALS[interval]
        found = self.days[terms.floor].spans(minutes)
        if not found:
            return None
        candle, row = found[-1], self._row(terms, found[-1], minutes)
        names = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")
        body = dict(zip(names, row, strict=True))
        body |= {"s": terms.symbol, "i": interval, "f": candle.first_id, "L": candle.last_id}
        body["x"] = engine_ns >= candle.begin_ns + minutes * MINUTE_NS
        return {"e": "kline", "E": self.desk.now_ms, "s": terms.symbol, "k": body}


def usdm_weight(params: Params) -> int:
    """Weight of ``klines`` by how many are asked for."""
    text = params.text("limit")
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else LIMIT
    return next((weight for top, weight in ((99, 1), (499, 2), (1_000, 5)) if limit <= top), 10)


__all__ = ["INTERVALS", "Candles", "usdm_weight"]
