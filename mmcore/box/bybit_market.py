"""Bybit's public REST routes: time, instruments, book, tickers, prints, funding."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mmcore.instrument import QUANTA_PER_ONE

from .bybit_book import FULL_DEPTH, Ladders, seq
from .bybit_codes import LINEAR, SPOT, bad
from .bybit_desk import Answer, Desk, Params, Place
from .bybit_tell import FUNDING_DECIMALS, price_text, stamp
from .bybit_words import (
    EMPTY_CATEGORIES,
    NS_PER_MS,
    SIDE_NAMES,
    decimal,
    exec_id,
    money,
    ratio,
)
from .clock import Clock
from .day import Day
from .floor import Floor
from .orders import Event, MarkEvent, Trade, TradeEvent

PRINTS = 1000
FUNDING_RECORDS = 1000
HOUR_NS = 3_600_000_000_000
MINUTE_NS = 60_000_000_000
DEFAULT_BOOK = {LINEAR: 25, SPOT: 1}


@dataclass(frozen=True, slots=True)
class Print:
    """A public print with its place in the instrument's sequence and its direction."""

    trade: Trade
    seq: int
    direction: str


class Tape:
    """What happened on one instrument: prints, figures of the day, funding stamps."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.day = Day(place.floor)
        self.prints: deque[Print] = deque(maxlen=PRINTS)
        self.fresh: list[Print] = []  # since the stream last took them
        self.funding: deque[tuple[int, int]] = deque(maxlen=FUNDING_RECORDS)
        self._next_ns = place.floor.next_funding_ns
        self._rate = place.floor.funding_rate

    def trade(self, trade: Trade) -> None:
        """Count a print."""
        one = Print(trade, seq(self.place), self.day.add(trade))
        self.prints.append(one)
        self.fresh.append(one)

    def mark(self) -> None:
        """Note a funding stamp that has passed, with the rate it had."""
        floor = self.place.floor
        if self._next_ns and floor.next_funding_ns > self._next_ns:
            self.funding.append((self._next_ns, self._rate))
        self._next_ns, self._rate = floor.next_funding_ns, floor.funding_rate

    def ticker(self) -> dict[str, str]:
        """Every field of the ticker, as REST and a snapshot have it."""
        place, day = self.place, self.day.figures()
        listed, floor = place.listed, place.floor
        price = listed.price
        change = Fraction(day.last - day.first, day.first) if day.first else Fraction(0)
        common = {
            "symbol": listed.symbol,
            "lastPrice": price(day.last) if day.last else price_text(floor.mark, listed),
            "prevPrice24h": price(day.first) if day.first else price_text(floor.mark, listed),
            "price24hPcnt": ratio(change, 6),
            "highPrice24h": price(day.high),
            "lowPrice24h": price(day.low),
            "turnover24h": money(day.value),
            "volume24h": listed.qty(day.qty),
        }
        if place.category == SPOT:
            return {**common, "usdIndexPrice": money(floor.index_price)}
        return {**common, **self._contract(day.hour_ago, day.direction)}

    def _contract(self, hour_ago: int, direction: str) -> dict[str, str]:
        place = self.place
        listed, floor = place.listed, place.floor
        interest = 0  # nobody but the accounts holds positions here
        return {
            "tickDirection": direction,
            "prevPrice1h": listed.price(hour_ago),
            "markPrice": price_text(floor.mark, listed),
            "indexPrice": price_text(floor.index_price, listed),
            "openInterest": listed.qty(interest),
            "openInterestValue": money(interest),
            "singleOpenInterest": listed.qty(interest),
            "singleOpenInterestValue": money(interest),
            "fundingIntervalHour": str(floor.funding_interval_ns // HOUR_NS),
            "fundingCap": "0.005",
            "nextFundingTime": stamp(floor.next_funding_ns),
            "fundingRate": decimal(floor.funding_rate, FUNDING_DECIMALS),
            **self.quotes(),
            "preOpenPrice": "",
            "preQty": "",
            "curPreListingPhase": "",
        }

    def quotes(self) -> dict[str, str]:
        """Best bid and ask."""
        listed, floor = self.place.listed, self.place.floor
        bid, ask = floor.best(1), floor.best(-1)
        return {
            "bid1Price": listed.price(bid[0]) if bid else "",
            "bid1Size": listed.qty(bid[1]) if bid else "",
            "ask1Price": listed.price(ask[0]) if ask else "",
            "ask1Size": listed.qty(ask[1]) if ask else "",
        }


class Market:
    """What Bybit tells everybody; ``routes`` maps path to (parameters, address) -> result."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self.desk = desk
        self.clock = clock
        self.ladders = Ladders(desk)
        self.tapes = {place.floor: Tape(place) for place in desk.places.values()}
        self.routes: Mapping[str, Callable[[Params], Answer]] = {
            "/v5/market/time": self.time,
            "/v5/market/instruments-info": self.instruments,
            "/v5/market/orderbook": self.orderbook,
            "/v5/market/tickers": self.tickers,
            "/v5/market/recent-trade": self.recent_trades,
            "/v5/market/funding/history": self.funding_history,
            "/v5/system/status": self.system_status,
        }
        desk.exchange.listeners.append(self.hear)

    def hear(self, event: Event) -> None:
        """Keep what the streams and the tickers need."""
        if isinstance(event, TradeEvent):
            tape = self.tapes.get(event.floor)
            if tape is not None:
                tape.trade(event.trade)
        elif isinstance(event, MarkEvent):
            tape = self.tapes.get(event.floor)
            if tape is not None:
                tape.mark()

    # -- routes

    def time(self, params: Params) -> Answer:  # noqa: ARG002 - the form of all routes
        """``/v5/market/time``."""
        now_ns = self.clock.now_ns()
        return {"timeSecond": str(now_ns // 10**9), "timeNano": str(now_ns)}

    def instruments(self, params: Params) -> Answer:
        """``/v5/market/instruments-info``: all on one page."""
        category = _category(params)
        symbol, coin = params.get("symbol"), params.get("baseCoin")
        status = params.get("status") or "Trading"
        places = [] if category in EMPTY_CATEGORIES else self.desk.of(category)
        if symbol and category not in EMPTY_CATEGORIES:
            places = [self.desk.place(category, symbol)]
        infos = []
        for place in places:
            if status != "Trading" or (coin and place.floor.instrument.base != coin):
                continue
            info = place.listed.info()
            if "fundingInterval" in info:
                info["fundingInterval"] = max(1, place.floor.funding_interval_ns // MINUTE_NS)
            infos.append(info)
        if category == SPOT:
            return {"category": category, "list": infos}
        return {"category": category, "list": infos, "nextPageCursor": ""}

    def orderbook(self, params: Params) -> Answer:
        """``/v5/market/orderbook``; its ``u`` is that of the stream of a thousand levels."""
        category = _category(params)
        place = self.desk.place(category, params.get("symbol"))
        limit = count(params, "limit", DEFAULT_BOOK.get(category, 1), FULL_DEPTH)
        ladder = self.ladders.get(category, place.floor.symbol, FULL_DEPTH)
        assert ladder is not None  # every place has one
        return ladder.answer(limit, self.clock.now_ns())

    def tickers(self, params: Params) -> Answer:
        """``/v5/market/tickers``."""
        category = _category(params)
        if category in EMPTY_CATEGORIES:
            return {"category": category, "list": []}
        places = self.desk.of(category)
        if params.get("symbol"):
            places = [self.desk.place(category, params["symbol"])]
        rows = []
        for place in places:
            tape = self.tapes[place.floor]
            rows.append({**tape.ticker(), **tape.quotes()})
        return {"category": category, "list": rows}

    def recent_trades(self, params: Params) -> Answer:
        """``/v5/market/recent-trade``: newest first."""
        category = _category(params)
        place = self.desk.place(category, params.get("symbol"))
        limit = count(params, "limit", 60 if category == SPOT else 500, PRINTS)
        prints = list(self.tapes[place.floor].prints)[-limit:]
        return {"category": category, "list": [print_row(place, one) for one in reversed(prints)]}

    def funding_history(self, params: Params) -> Answer:
        """``/v5/market/funding/history``: stamps since the box began, newest first."""
        category = _category(params)
        if category == SPOT:
            raise bad("category only support linear or inverse")
        place = self.desk.place(category, params.get("symbol"))
        limit = count(params, "limit", 200, 200)
        begin = count(params, "startTime", 0, 10**15)
        until = count(params, "endTime", 10**15, 10**15)
        rows = [
            {
                "symbol": place.floor.symbol,
                "fundingRate": decimal(rate, FUNDING_DECIMALS),
                "fundingRateTimestamp": stamp(ts_ns),
            }
            for ts_ns, rate in reversed(self.tapes[place.floor].funding)
            if begin <= ts_ns // NS_PER_MS <= until
        ]
        return {"category": category, "list": rows[:limit]}

    def system_status(self, params: Params) -> Answer:  # noqa: ARG002 - the form of all routes
        """``/v5/system/status``: no maintenance is planned here."""
        return {"list": []}

    def usd_marks(self) -> dict[str, int]:
        """Coin -> its price in quanta, as wallets are valued."""
        marks = {"USDT": QUANTA_PER_ONE, "USDC": QUANTA_PER_ONE}
        for floor in self.tapes:
            marks.setdefault(floor.instrument.base, floor.mark)
        return marks

    def seq_of(self, floor: Floor, trade_id: int = 0) -> int:
        """The sequence number of a print, of the oldest known for older ones; 0: of now."""
        tape = self.tapes[floor]
        prints = tape.prints
        at = trade_id - prints[0].trade.id if prints else 0  # ids rise by one
        if not trade_id or at >= len(prints):
            return seq(tape.place)
        return prints[max(at, 0)].seq


def print_row(place: Place, one: Print) -> dict[str, Any]:
    """A print as REST has it."""
    trade = one.trade
    return {
        "execId": exec_id(place.category, place.floor.index, trade.id),
        "symbol": place.floor.symbol,
        "price": place.listed.price(trade.tick),
        "size": place.listed.qty(trade.qty),
        "side": SIDE_NAMES[trade.side],
        "time": stamp(trade.ts_ns),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(one.seq),
    }


def count(params: Params, name: str, default: int, most: int) -> int:
    """A count of a query, cut to what the venue gives; 10001 where it is none."""
    value = params.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise bad(f"{name} invalid")
    if len(value) > 15:
        raise bad(f"{name} invalid")
    return max(0 if default == 0 else 1, min(most, int(value)))


def _category(params: Params) -> str:
    category = params.get("category")
    if not isinstance(category, str) or category not in {LINEAR, SPOT, *EMPTY_CATEGORIES}:
        raise bad("Illegal category")
    return category


__all__ = ["Market", "Print", "Tape", "count", "print_row"]
