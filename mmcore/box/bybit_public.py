"""Bybit's public sockets: books, prints and tickers of one category a connection."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from .bybit_book import EVERY_MS, Ladder, seq
from .bybit_codes import SPOT
from .bybit_desk import Place
from .bybit_market import Market, Print, Tape
from .bybit_socket import Frame, Line, topics
from .bybit_words import NS_PER_MS, SIDE_NAMES, exec_id
from .clock import Clock

ARGS_TEXT_MAX = 21_000  # characters of all topics of one connection
SPOT_ARGS_MAX = 10  # topics of one request
PRINTS_MAX = 1024  # of one message
TICKER_MS = {SPOT: 50}
CONTRACT_TICKER_MS = 100
BOOK_TOPIC = re.compile(r"orderbook\.(\d{1,4})\.(\w{1,32})", re.ASCII)
OTHER_TOPIC = re.compile(r"(publicTrade|tickers)\.(\w{1,32})", re.ASCII)
# Fields that say nothing alone: a delta names them with their partner.
PAIRS = (("bid1Price", "bid1Size"), ("ask1Price", "ask1Size"))


@dataclass(eq=False, slots=True)
class Reader:
    """One public connection and what it reads."""

    line: Line
    category: str
    topics: dict[str, Channel] = field(default_factory=dict)


class Channel:
    """One topic of one category and who reads it."""

    stream = ""  # the word of fault scripts

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.readers: dict[Reader, None] = {}

    def join(self, reader: Reader, now_ns: int) -> None:
        """A new reader, who gets the present state first."""
        first = self.first(now_ns)
        self.readers[reader] = None
        if first is not None:
            reader.line.ws.send(first, self.stream)

    def leave(self, reader: Reader) -> None:
        """The reader is gone, or reads it no more."""
        self.readers.pop(reader, None)

    def first(self, now_ns: int) -> bytes | None:  # noqa: ARG002 - some topics begin with nothing
        """What a new reader gets first."""
        return None

    def due(self, now_ns: int) -> Iterable[bytes]:
        """Messages for all readers."""
        raise NotImplementedError

    def publish(self, now_ns: int) -> None:
        """Send what is due."""
        for message in self.due(now_ns):
            for reader in self.readers:
                reader.line.ws.send(message, self.stream)


class BookChannel(Channel):
    """One depth of one book."""

    stream = "depth"

    def __init__(self, ladder: Ladder) -> None:
        super().__init__(ladder.topic)
        self.ladder = ladder

    def join(self, reader: Reader, now_ns: int) -> None:
        super().join(reader, now_ns)
        self.ladder.readers = len(self.readers)

    def leave(self, reader: Reader) -> None:
        super().leave(reader)
        self.ladder.readers = len(self.readers)

    def first(self, now_ns: int) -> bytes | None:
        self.ladder.fresh()
        return self.ladder.snapshot(now_ns)

    def due(self, now_ns: int) -> Iterable[bytes]:
        message = self.ladder.turn(now_ns)
        return () if message is None else (message,)


class TradeChannel(Channel):
    """Prints, as they happen."""

    stream = "trades"

    def __init__(self, tape: Tape) -> None:
        super().__init__(f"publicTrade.{tape.place.floor.symbol}")
        self.tape = tape

    def due(self, now_ns: int) -> Iterable[bytes]:
        place, fresh = self.tape.place, self.tape.fresh
        for at in range(0, len(fresh), PRINTS_MAX):
            rows = [print_entry(place, one) for one in fresh[at : at + PRINTS_MAX]]
            ts = now_ns // NS_PER_MS
            head: dict[str, Any] = {"topic": self.topic, "type": "snapshot", "ts": ts}
            if place.category == SPOT:
                head = {"topic": self.topic, "ts": ts, "type": "snapshot"}
            yield orjson.dumps({**head, "data": rows})


class TickerChannel(Channel):
    """Tickers: on spot always whole, of contracts what changed."""

    stream = "mark"

    def __init__(self, tape: Tape) -> None:
        super().__init__(f"tickers.{tape.place.floor.symbol}")
        self.tape = tape
        self.spot = tape.place.category == SPOT
        self.every_ns = TICKER_MS.get(tape.place.category, CONTRACT_TICKER_MS) * NS_PER_MS
        self._turn = 0
        self._said: dict[str, str] = {}

    def first(self, now_ns: int) -> bytes | None:
        if not self.readers:
            self._said = self.tape.ticker()
        return self._message("snapshot", self._said, now_ns)

    def due(self, now_ns: int) -> Iterable[bytes]:
        turn = now_ns // self.every_ns
        if turn == self._turn:
            return ()
        self._turn = turn
        said, self._said = self._said, self.tape.ticker()
        changed = {name for name, value in self._said.items() if said.get(name) != value}
        if not changed:
            return ()
        if self.spot:
            return (self._message("snapshot", self._said, now_ns),)
        for pair in PAIRS:
            if changed.intersection(pair):
                changed.update(pair)
        changed.add("symbol")
        delta = {name: value for name, value in self._said.items() if name in changed}
        return (self._message("delta", delta, now_ns),)

    def _message(self, kind: str, data: dict[str, str], now_ns: int) -> bytes:
        count, ts = seq(self.tape.place), now_ns // NS_PER_MS
        if self.spot:
            return orjson.dumps(
                {"topic": self.topic, "ts": ts, "type": kind, "cs": count, "data": data}
            )
        return orjson.dumps(
            {"topic": self.topic, "type": kind, "data": data, "cs": count, "ts": ts}
        )


class Public:
    """All public connections."""

    def __init__(self, market: Market, clock: Clock) -> None:
        self.market = market
        self.clock = clock
        self.channels: dict[tuple[str, str], Channel] = {}
        self._tapes: dict[tuple[str, str], Tape] = {}
        for (category, symbol), place in market.desk.places.items():
            tape = market.tapes[place.floor]
            self._tapes[category, symbol] = tape
            for channel in (TradeChannel(tape), TickerChannel(tape)):
                self.channels[category, channel.topic] = channel
            for depth in EVERY_MS:
                ladder = market.ladders.get(category, symbol, depth)
                assert ladder is not None  # every place has one of each
                self.channels[category, ladder.topic] = BookChannel(ladder)

    def tick(self, now_ns: int) -> None:
        """Publish what is due."""
        for channel in self.channels.values():
            if channel.readers:
                channel.publish(now_ns)
        for tape in self._tapes.values():
            tape.fresh.clear()

    async def serve(self, line: Line, category: str) -> None:
        """One connection until its end."""
        reader = Reader(line, category)
        try:
            await line.frames(lambda frame: self.handle(reader, frame))
        finally:
            for channel in list(reader.topics.values()):
                channel.leave(reader)

    def handle(self, reader: Reader, frame: Frame) -> None:
        """Answer one frame."""
        op, req_id = frame.get("op"), frame.get("req_id")
        if op == "ping":
            reader.line.say("ping", req_id, ok=True, text="pong")
        elif op == "subscribe":
            self._subscribe(reader, frame, req_id)
        elif op == "unsubscribe":
            self._unsubscribe(reader, frame, req_id)
        else:
            reader.line.refuse(frame, "error:invalid op")

    def _subscribe(self, reader: Reader, frame: Frame, req_id: object) -> None:
        names = topics(frame)
        fault = self._fault(reader, names)
        if names is None or fault:
            reader.line.say("subscribe", req_id, ok=False, text=fault)
            return
        reader.line.say(
            "subscribe", req_id, ok=True, text="subscribe" if reader.category == SPOT else ""
        )
        now_ns = self.clock.now_ns()
        for name in names:
            channel = self.channels[reader.category, name]
            reader.topics[name] = channel
            channel.join(reader, now_ns)

    def _fault(self, reader: Reader, names: list[str] | None) -> str:
        """What is wrong with a subscription, "" for nothing; one bad topic spoils the request."""
        if names is None:
            return "error:args invalid"
        if reader.category == SPOT and len(names) > SPOT_ARGS_MAX:
            return f"args size >{SPOT_ARGS_MAX}"
        if sum(map(len, (*reader.topics, *names))) > ARGS_TEXT_MAX:
            return f"args length exceeds {ARGS_TEXT_MAX}"
        for at, name in enumerate(names):
            if not BOOK_TOPIC.fullmatch(name) and not OTHER_TOPIC.fullmatch(name):
                return f"error:handler not found,topic:{name[:64]}"
            if (reader.category, name) not in self.channels:
                return f"Invalid symbol :[{name[:64]}]"
            if name in reader.topics or name in names[:at]:
                return f"error:already subscribed,topic:{name}"
        return ""

    def _unsubscribe(self, reader: Reader, frame: Frame, req_id: object) -> None:
        for name in topics(frame) or ():
            channel = reader.topics.pop(name, None)
            if channel is not None:
                channel.leave(reader)
        reader.line.say("unsubscribe", req_id, ok=True)


def print_entry(place: Place, one: Print) -> dict[str, Any]:
    """A print as the stream has it; spot names its fields in another order, and no direction."""
    trade = one.trade
    ident = exec_id(place.category, place.floor.index, trade.id)
    at = trade.ts_ns // NS_PER_MS
    price, qty = place.listed.price(trade.tick), place.listed.qty(trade.qty)
    side = SIDE_NAMES[trade.side]
    if place.category == SPOT:
        return {
            "i": ident, "T": at, "p": price, "v": qty, "S": side, "seq": one.seq,
            "s": place.floor.symbol, "BT": False, "RPI": False,
        }  # fmt: skip
    return {
        "T": at, "s": place.floor.symbol, "S": side, "v": qty, "p": price, "L": one.direction,
        "i": ident, "BT": False, "RPI": False, "seq": one.seq,
    }  # fmt: skip


__all__ = ["Public", "print_entry"]
