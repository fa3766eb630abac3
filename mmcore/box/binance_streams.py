"""Binance's market streams: what each is called, who listens, and when it says what."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import orjson

from .binance_books import Aggregate, Cursor
from .binance_candles import INTERVALS
from .binance_desk import Desk
from .binance_market import MarketData, rate_text
from .binance_terms import Terms, money_text
from .orders import Trade

Category = Literal["public", "market", "private", "all"]

MS = 1_000_000
DEPTH_MS = {"usdm": 250, "spot": 1_000}  # where the name does not say
RPI_MS = 500
MARK_MS = 3_000
BEST = re.compile(r"bookTicker")
DEPTH = re.compile(r"depth(?P<levels>5|10|20)?(?:@(?P<ms>100|250|500|1000)ms)?")
RPI = re.compile(r"rpiDepth(?:@(?P<ms>500)ms)?")
TRADE = re.compile(r"trade")
AGGREGATE = re.compile(r"aggTrade")
MARK = re.compile(r"markPrice(?P<second>@1s)?")
CANDLE = re.compile(rf"kline_(?P<interval>{'|'.join(INTERVALS)})")
CANDLE_MS = {"usdm": 250, "spot": 1_000}
TICKER = re.compile(r"ticker")
MINI = re.compile(r"miniTicker")
DAY_MS = {"usdm": 2_000, "spot": 1_000}
# What the streams call the figures of a day; the small one has some of them.
DAY_WORDS: Mapping[str, str] = {
    "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "c": "lastPrice",
    "Q": "lastQty", "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume",
    "q": "quoteVolume", "O": "openTime", "C": "closeTime", "F": "firstId", "L": "lastId",
    "n": "count",
}  # fmt: skip
MINI_WORDS = "cohlvq"


class Listener(Protocol):
    """A socket that takes market streams."""

    def data(self, name: str, raw: bytes, word: str) -> None:
        """One event of a stream it joined, as JSON."""


@dataclass(slots=True, eq=False)
class Feed:
    """One stream.  every_ns: at most so often, 0: as it happens.  word: of fault scripts.

    terms: its instruments, more than one for names that begin with "!".
    """

    name: str
    kind: str
    terms: tuple[Terms, ...]
    word: str
    every_ns: int = 0
    levels: int = 0
    interval: str = ""
    due_ns: int = 0
    cursor: Cursor | None = None
    told: dict[Terms, Any] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)

    def say(self, event: Any) -> None:
        """Send an event to everybody who listens."""
        raw = orjson.dumps(event)
        for listener in tuple(self.listeners):
            listener.data(self.name, raw, self.word)


# Kind -> what follows the symbol in its name, on which futures path it is, its fault word.
KINDS: Mapping[str, tuple[re.Pattern[str], Category, str]] = {
    "depth": (DEPTH, "public", "depth"),
    "rpi": (RPI, "public", "depth"),
    "best": (BEST, "public", "best"),
    "trade": (TRADE, "public", "trades"),
    "aggregate": (AGGREGATE, "market", "trades"),
    "mark": (MARK, "market", "mark"),
    "candle": (CANDLE, "market", "trades"),
    "day": (TICKER, "market", "best"),
    "mini": (MINI, "market", "best"),
}
SPOT_KINDS = frozenset({"depth", "best", "trade", "aggregate", "candle", "day", "mini"})
OF_ALL = frozenset({"best", "mark", "day", "mini"})  # kinds that have a stream of every symbol


class Hub:
    """All market streams of one product, made when somebody joins, ended when nobody is left."""

    def __init__(self, desk: Desk, data: MarketData) -> None:
        self.desk = desk
        self.data = data
        self.feeds: dict[str, Feed] = {}
        self._timed: Mapping[str, Callable[[Feed], None]] = {
            "depth": self._depth,
            "rpi": self._depth,
            "partial": self._partial,
            "best": self._best,
            "mark": self._mark,
            "candle": self._candle,
            "day": self._day,
            "mini": self._day,
        }

    # -- who listens

    def join(self, listener: Listener, name: str, category: Category) -> None:
        """Begin to send a stream.  A name that means nothing here is taken, and stays silent."""
        feed = self.feeds.get(name) or self._make(name)
        if feed is None or not self._served(feed, category):
            return
        self.feeds[name] = feed
        if listener not in feed.listeners:
            feed.listeners.append(listener)

    def leave(self, listener: Listener, name: str) -> None:
        """Stop sending a stream."""
        feed = self.feeds.get(name)
        if feed is not None and listener in feed.listeners:
            feed.listeners.remove(listener)
            if not feed.listeners:
                del self.feeds[name]

    def _served(self, feed: Feed, category: Category) -> bool:
        kind = "depth" if feed.kind == "partial" else feed.kind
        return category in {"all", KINDS[kind][1]}

    def _make(self, name: str) -> Feed | None:
        symbol, _, rest = name.partition("@")
        if symbol.startswith("!"):
            rest, terms = name[1:].replace("@arr", "", 1), tuple(self.desk.terms.values())
        elif symbol == symbol.lower() and symbol.upper() in self.desk.terms:
            terms = (self.desk.terms[symbol.upper()],)
        else:
            return None
        for kind, (pattern, _, word) in KINDS.items():
            match = pattern.fullmatch(rest)
            if match is None or (self.desk.spot and kind not in SPOT_KINDS):
                continue
            if len(terms) > 1 and kind not in OF_ALL:
                return None
            return self._shape(Feed(name, kind, terms, word), match.groupdict())
        return None

    def _shape(self, feed: Feed, parts: Mapping[str, str | None]) -> Feed | None:
        if feed.kind in {"depth", "rpi"}:
            default = RPI_MS if feed.kind == "rpi" else DEPTH_MS[self.desk.market]
            ms = int(parts.get("ms") or default)
            if self.desk.spot and ms not in {100, 1000}:
                return None
            feed.every_ns = ms * MS
            feed.levels = int(parts.get("levels") or 0)
            feed.kind = "partial" if feed.levels else feed.kind
            feed.cursor = Cursor(self.data.numbers[feed.terms[0].floor])
        elif feed.kind == "candle":
            feed.every_ns = CANDLE_MS[self.desk.market] * MS
            feed.interval = str(parts["interval"])
        elif feed.kind in {"day", "mini"}:
            feed.every_ns = DAY_MS[self.desk.market] * MS
        elif feed.kind == "mark":
            feed.every_ns = (1_000 if parts["second"] else MARK_MS) * MS
        return feed

    def restarted(self) -> None:
        """Every socket is gone."""
        self.feeds.clear()

    # -- on the clock

    def tick(self, engine_ns: int) -> None:
        """Say what is due."""
        for floor, prints in self.data.prints.items():
            closed = prints.close()
            if closed is not None:
                self._aggregate(self.desk.by_floor[floor], closed)
        for feed in tuple(self.feeds.values()):
            say = self._timed.get(feed.kind)
            if say is None or engine_ns < feed.due_ns:
                continue
            if feed.every_ns:
                feed.due_ns = engine_ns - engine_ns % feed.every_ns + feed.every_ns
            say(feed)

    def _depth(self, feed: Feed) -> None:
        assert feed.cursor is not None
        update, terms, desk = feed.cursor.update(), feed.terms[0], self.desk
        event: dict[str, Any] = {"e": "depthUpdate", "E": desk.now_ms}
        if not desk.spot:
            event["T"] = desk.shown_ms(update.ts_ns)
        event |= {"s": terms.symbol, "U": update.first, "u": update.last}
        if not desk.spot:
            event["pu"] = update.previous
        feed.say(event | {"b": terms.levels(update.bids), "a": terms.levels(update.asks)})

    def _partial(self, feed: Feed) -> None:
        assert feed.cursor is not None
        update, terms, desk = feed.cursor.update(), feed.terms[0], self.desk
        bids = terms.levels(terms.floor.top(1, feed.levels))
        asks = terms.levels(terms.floor.top(-1, feed.levels))
        if desk.spot:
            feed.say({"lastUpdateId": update.last, "bids": bids, "asks": asks})
            return
        feed.say(
            {
                "e": "depthUpdate",
                "E": desk.now_ms,
                "T": desk.shown_ms(update.ts_ns),
                "s": terms.symbol,
                "U": update.first,
                "u": update.last,
                "pu": update.previous,
                "b": bids,
                "a": asks,
            }
        )

    def _best(self, feed: Feed) -> None:
        for terms in feed.terms:
            bid, ask = terms.floor.best(1), terms.floor.best(-1)
            if bid is None or ask is None or feed.told.get(terms) == (bid, ask):
                continue
            feed.told[terms] = (bid, ask)
            event: dict[str, Any] = {"u": self.data.numbers[terms.floor].now}
            if not self.desk.spot:
                stamp = self.desk.shown_ms(terms.floor.ts_ns)
                event = {"e": "bookTicker", **event, "E": self.desk.now_ms, "T": stamp}
            event |= {"s": terms.symbol, "b": terms.price(bid[0]), "B": terms.qty(bid[1])}
            feed.say(event | {"a": terms.price(ask[0]), "A": terms.qty(ask[1])})

    def _mark(self, feed: Feed) -> None:
        self._each(feed, self._mark_event)

    def _each(self, feed: Feed, event: Callable[[Terms], dict[str, Any]]) -> None:
        """Say an event of the one instrument, or a list of them of all."""
        events = [event(terms) for terms in feed.terms]
        feed.say(events if feed.name.startswith("!") else events[0])

    def _day(self, feed: Feed) -> None:
        self._each(feed, self._mini_event if feed.kind == "mini" else self._day_event)

    def _candle(self, feed: Feed) -> None:
        now_ns = self.desk.box.clock.engine_ns()
        event = self.data.candles.event(feed.terms[0], feed.interval, now_ns)
        if event is not None:
            feed.say(event)

    def _mini_event(self, terms: Terms) -> dict[str, Any]:
        figures = self.data.day_figures(terms)
        head = {"e": "24hrMiniTicker", "E": self.desk.now_ms, "s": terms.symbol}
        return head | {letter: figures[DAY_WORDS[letter]] for letter in MINI_WORDS}

    def _day_event(self, terms: Terms) -> dict[str, Any]:
        figures = self.data.day_figures(terms)
        event: dict[str, Any] = {"e": "24hrTicker", "E": self.desk.now_ms, "s": terms.symbol}
        event |= {letter: figures[name] for letter, name in DAY_WORDS.items()}
        if terms.spot:
            bid, ask = terms.floor.best(1) or (0, 0), terms.floor.best(-1) or (0, 0)
            event |= {"x": event["o"], "b": terms.price(bid[0]), "B": terms.qty(bid[1])}
            event |= {"a": terms.price(ask[0]), "A": terms.qty(ask[1])}
        return event

    def _mark_event(self, terms: Terms) -> dict[str, Any]:
        floor = terms.floor
        mark, index = money_text(floor.mark), money_text(floor.index_price)
        return {
            "e": "markPriceUpdate",
            "E": self.desk.now_ms,
            "s": terms.symbol,
            "p": mark,
            "ap": mark,
            "i": index,
            "P": index,
            "r": rate_text(floor.funding_rate),
            "T": self.desk.shown_ms(floor.next_funding_ns),
        }

    # -- as it happens

    def printed(self, terms: Terms, trade: Trade) -> None:
        """A print of a floor."""
        closed = self.data.printed(terms.floor, trade)
        if closed is not None:
            self._aggregate(terms, closed)
        feed = self.feeds.get(f"{terms.symbol.lower()}@trade")
        if feed is not None:
            feed.say(self._trade_event(terms, trade))

    def _trade_event(self, terms: Terms, trade: Trade) -> dict[str, Any]:
        event: dict[str, Any] = {
            "e": "trade",
            "E": self.desk.now_ms,
            "T": self.desk.shown_ms(trade.ts_ns),
            "s": terms.symbol,
            "t": trade.id,
            "p": terms.price(trade.tick),
            "q": terms.qty(trade.qty),
            "m": trade.side < 0,
        }
        return event | ({"M": True} if self.desk.spot else {"X": "MARKET"})

    def _aggregate(self, terms: Terms, closed: Aggregate) -> None:
        feed = self.feeds.get(f"{terms.symbol.lower()}@aggTrade")
        if feed is not None:
            head = {"e": "aggTrade", "E": self.desk.now_ms, "s": terms.symbol}
            feed.say({**head, **self.data.aggregate_answer(terms, closed)})


__all__ = ["Category", "Feed", "Hub", "Listener"]
