"""What Binance tells everybody over REST and on request sockets: instruments, books, prices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .binance_access import Access
from .binance_books import Aggregate, Numbers, Prints, Snapshot
from .binance_candles import Candles
from .binance_candles import usdm_weight as candles_weight
from .binance_desk import FUNDING_POOL, Ask, Desk, Route
from .binance_terms import Terms, fixed, money_text
from .binance_words import INTEGER_PATTERN, Params, Refused
from .day import Day
from .floor import Floor
from .orders import Trade

ALL = Access.PUBLIC
USDM_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
SPOT_DEPTH_MAX = 5_000
TRADES_MAX = 1_000
INTEREST_RATE = "0.00010000"
FUNDING_DIGITS = 12  # of the rate, as floors hold it


def rate_text(rate: int, digits: int = FUNDING_DIGITS) -> str:
    """A share that is held as an integer of so many decimals, with eight of them."""
    return money_text(rate // 10 ** (digits - 8))


class Fundings:
    """What each floor's funding was: a line for every stamp that passed."""

    MAX = 1_000

    def __init__(self) -> None:
        self._next: dict[Floor, int] = {}
        self.lines: dict[Floor, list[tuple[int, int, int]]] = {}

    def look(self, floor: Floor) -> None:
        """Note a stamp when the floor has moved on to the next one."""
        due = self._next.get(floor, 0)
        if floor.next_funding_ns != due:
            if due:
                lines = self.lines.setdefault(floor, [])
                lines.append((due, floor.funding_rate, floor.mark))
                del lines[: -self.MAX]
            self._next[floor] = floor.next_funding_ns


class MarketData:
    """Routes of public data of one product."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.numbers = {floor: Numbers(floor) for floor in desk.by_floor}
        self.prints = {floor: Prints(floor.trades) for floor in desk.by_floor}
        self.days = {floor: Day(floor) for floor in desk.by_floor}
        self.candles = Candles(desk, self.days)
        self.fundings = Fundings()

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """(method, path) -> route."""
        return self._spot_routes() if self.desk.spot else self._usdm_routes()

    def _usdm_routes(self) -> Mapping[tuple[str, str], Route]:
        v1 = "/fapi/v1/"
        table = {
            "ping": Route(self.ping, word="time"),
            "time": Route(self.time, word="time"),
            "exchangeInfo": Route(self.exchange_info, word="instruments"),
            "depth": Route(self.depth, weight=usdm_depth_weight, word="depth"),
            "trades": Route(self.trades, weight=5, word="trades"),
            "historicalTrades": Route(self.trades, weight=20, word="trades"),
            "aggTrades": Route(self.agg_trades, weight=20, word="trades"),
            "klines": Route(self.candles.answer, weight=candles_weight, word="prices"),
            "premiumIndex": Route(self.premium_index, ALL, either(1, 10), word="prices"),
            "fundingRate": Route(self.funding_rate, weight=0, pool=FUNDING_POOL),
            "openInterest": Route(self.open_interest),
            "fundingInfo": Route(self.funding_info, weight=0, pool=FUNDING_POOL),
            "ticker/24hr": Route(self.day_ticker, ALL, either(1, 40), word="prices"),
            "ticker/bookTicker": Route(self.book_ticker, ALL, either(2, 5), word="prices"),
            "ticker/price": Route(self.ticker_price, ALL, either(1, 2), word="prices"),
        }
        found = {("GET", v1 + name): route for name, route in table.items()}
        found["GET", "/fapi/v2/ticker/price"] = table["ticker/price"]
        return found

    def _spot_routes(self) -> Mapping[tuple[str, str], Route]:
        table = {
            "ping": Route(self.ping, word="time"),
            "time": Route(self.time, word="time"),
            "exchangeInfo": Route(self.exchange_info, weight=20, word="instruments"),
            "depth": Route(self.depth, weight=spot_depth_weight, word="depth"),
            "trades": Route(self.trades, weight=25, word="trades"),
            "historicalTrades": Route(self.trades, weight=25, word="trades"),
            "aggTrades": Route(self.agg_trades, weight=4, word="trades"),
            "klines": Route(self.candles.answer, weight=2, word="prices"),
            "avgPrice": Route(self.average_price, weight=2, word="prices"),
            "ticker/24hr": Route(self.day_ticker, ALL, either(2, 80), word="prices"),
            "ticker/bookTicker": Route(self.book_ticker, ALL, either(2, 4), word="prices"),
            "ticker/price": Route(self.ticker_price, ALL, either(2, 4), word="prices"),
        }
        return {("GET", "/api/v3/" + name): route for name, route in table.items()}

    def calls(self) -> Mapping[str, Route]:
        """Method of a request socket -> route."""
        routes = self.routes()
        prefix = "/api/v3/" if self.desk.spot else "/fapi/v1/"
        names = {
            "ping": "ping",
            "time": "time",
            "exchangeInfo": "exchangeInfo",
            "depth": "depth",
            "ticker.price": "ticker/price",
            "ticker.book": "ticker/bookTicker",
            "ticker.24hr": "ticker/24hr",
        }
        if self.desk.spot:
            names |= {"trades.recent": "trades", "trades.aggregate": "aggTrades"}
            names |= {"avgPrice": "avgPrice", "trades.historical": "historicalTrades"}
            names |= {"klines": "klines"}
        return {method: routes["GET", prefix + name] for method, name in names.items()}

    def ping(self, ask: Ask) -> Any:
        del ask  # says only that somebody is there
        return {}

    def time(self, ask: Ask) -> Any:
        del ask
        return {"serverTime": self.desk.now_ms}

    def exchange_info(self, ask: Ask) -> Any:
        desk = self.desk
        chosen = self._chosen(ask.params) if desk.spot else list(desk.terms.values())
        answer: dict[str, Any] = {
            "timezone": "UTC",
            "serverTime": desk.now_ms,
            "rateLimits": desk.rate_limits(),
            "exchangeFilters": [],
        }
        if desk.spot:
            answer["symbols"] = [each.spot_entry() for each in chosen]
            return answer
        answer["futuresType"] = "U_MARGINED"
        assets = sorted({each.instrument.quote for each in chosen})
        answer["assets"] = [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for asset in assets
        ]
        answer["symbols"] = [each.usdm_entry() for each in chosen]
        return answer

    def _chosen(self, params: Params) -> list[Terms]:
        """Instruments by ``symbol`` or ``symbols``; all where neither is sent."""
        terms = self.desk.terms
        if "symbol" in params:
            return [params.symbol(terms)]
        if "symbols" not in params:
            return list(terms.values())
        names = params.text("symbols").strip("[]").replace('"', "").split(",")
        if not all(name.strip() in terms for name in names):
            raise Refused(-1121)
        return [terms[name.strip()] for name in names]

    def depth(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        return self.depth_answer(terms, self.numbers[terms.floor].snapshot(self._depth(ask.params)))

    def depth_answer(self, terms: Terms, shot: Snapshot) -> dict[str, Any]:
        """A snapshot as REST and partial books have it."""
        answer: dict[str, Any] = {"lastUpdateId": shot.id}
        if not self.desk.spot:
            answer |= {"E": self.desk.now_ms, "T": self.desk.shown_ms(shot.ts_ns)}
        return answer | {"bids": terms.levels(shot.bids), "asks": terms.levels(shot.asks)}

    def _depth(self, params: Params) -> int:
        spot = self.desk.spot
        limit = params.integer("limit", 100 if spot else 500)
        assert limit is not None
        if spot:
            if not limit:
                raise Refused(-1130, name="limit")
            return min(limit, SPOT_DEPTH_MAX)
        if limit not in USDM_DEPTHS:
            raise Refused(-4021)
        return limit

    def trades(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        found = list(terms.floor.trades)
        since = ask.params.integer("fromId")
        if since is not None:
            found = [each for each in found if each.id >= since][: limit_of(ask.params)]
        return [self.trade_answer(terms, each) for each in found[-limit_of(ask.params) :]]

    def trade_answer(self, terms: Terms, trade: Trade) -> dict[str, Any]:
        """One print as REST has it."""
        decimals = 8 if terms.spot else 2
        answer = {
            "id": trade.id,
            "price": terms.price(trade.tick),
            "qty": terms.qty(trade.qty),
            "quoteQty": fixed(terms.value(trade.tick, trade.qty), decimals),
            "time": self.desk.shown_ms(trade.ts_ns),
            "isBuyerMaker": trade.side < 0,
        }
        if terms.spot:
            answer["isBestMatch"] = True
        return answer

    def agg_trades(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        start, end = ask.params.span_ms(1 / 24, Refused(-1127, hours=1))
        since = ask.params.integer("fromId", 0)
        assert since is not None
        found = [
            each
            for each in self.prints[terms.floor].aggregates
            if each.id >= since and start <= self.desk.shown_ms(each.ts_ns) <= end
        ]
        limit = limit_of(ask.params)
        found = found[:limit] if since or start else found[-limit:]
        return [self.aggregate_answer(terms, each) for each in found]

    def aggregate_answer(self, terms: Terms, each: Aggregate) -> dict[str, Any]:
        """One gathered print: the same words over REST and on the stream."""
        answer = {
            "a": each.id,
            "p": terms.price(each.tick),
            "q": terms.qty(each.qty),
            "f": each.first,
            "l": each.last,
            "T": self.desk.shown_ms(each.ts_ns),
            "m": each.side < 0,
        }
        if terms.spot:
            answer["M"] = True
        return answer

    def average_price(self, ask: Ask) -> Any:
        terms = ask.params.symbol(self.desk.terms)
        price = money_text(terms.floor.mark)
        return {"mins": 5, "price": price, "closeTime": self.desk.now_ms}

    def premium_index(self, ask: Ask) -> Any:
        return self._one_or_all(ask.params, self._premium)

    def _premium(self, terms: Terms) -> dict[str, Any]:
        floor = terms.floor
        return {
            "symbol": terms.symbol,
            "markPrice": money_text(floor.mark),
            "indexPrice": money_text(floor.index_price),
            "estimatedSettlePrice": money_text(floor.index_price),
            "lastFundingRate": rate_text(floor.funding_rate),
            "interestRate": INTEREST_RATE,
            "nextFundingTime": self.desk.shown_ms(floor.next_funding_ns),
            "time": self.desk.now_ms,
        }

    def funding_rate(self, ask: Ask) -> Any:
        terms = self._some(ask.params)
        start = ask.params.integer("startTime", 0) or 0
        end = ask.params.integer("endTime", 2**63) or 0
        found: list[dict[str, Any]] = [
            {
                "symbol": each.symbol,
                "fundingTime": self.desk.shown_ms(ts_ns),
                "fundingRate": rate_text(rate),
                "markPrice": money_text(mark),
                "rateType": "Regular",
            }
            for each in terms
            for ts_ns, rate, mark in self.fundings.lines.get(each.floor, ())
            if start <= self.desk.shown_ms(ts_ns) <= end
        ]
        found.sort(key=lambda line: line["fundingTime"])
        limit = limit_of(ask.params, 100)
        return found[:limit] if start else found[-limit:]

    def funding_info(self, ask: Ask) -> Any:
        del ask  # it always lists all
        return [
            {
                "symbol": each.symbol,
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": max(1, each.floor.funding_interval_ns // 3_600_000_000_000),
                "disclaimer": False,
            }
            for each in self.desk.terms.values()
        ]

    def open_interest(self, ask: Ask) -> Any:
        """What is held: each contract has a long side and a short one, here or in the market."""
        terms = ask.params.symbol(self.desk.terms)
        held = [each.position(terms.floor).qty for each in self.desk.accounts()]
        longs = sum(qty for qty in held if qty > 0)
        interest = max(longs, longs - sum(held))
        return {
            "symbol": terms.symbol,
            "openInterest": terms.qty(interest),
            "time": self.desk.now_ms,
        }

    def book_ticker(self, ask: Ask) -> Any:
        return self._one_or_all(ask.params, self._best)

    def _best(self, terms: Terms) -> dict[str, Any]:
        floor = terms.floor
        bid, ask = floor.best(1) or (0, 0), floor.best(-1) or (0, 0)
        answer: dict[str, Any] = {
            "symbol": terms.symbol,
            "bidPrice": terms.price(bid[0]),
            "bidQty": terms.qty(bid[1]),
            "askPrice": terms.price(ask[0]),
            "askQty": terms.qty(ask[1]),
        }
        if not terms.spot:
            answer |= {
                "time": self.desk.shown_ms(floor.ts_ns),
                "lastUpdateId": self.numbers[floor].now,
            }
        return answer

    def day_ticker(self, ask: Ask) -> Any:
        return self._one_or_all(ask.params, self._day)

    def _day(self, terms: Terms) -> dict[str, Any]:
        answer = {"symbol": terms.symbol, **self.day_figures(terms)}
        if terms.spot:
            answer |= {**self._best(terms), "prevClosePrice": answer["openPrice"]}
        return answer

    def day_figures(self, terms: Terms) -> dict[str, Any]:
        """Figures of the last 24 hours under the names that REST has for them."""
        floor, now = terms.floor, self.desk.now_ms
        day = self.days[floor].figures()
        change = day.last - day.first
        return {
            "priceChange": terms.price(change),
            "priceChangePercent": f"{100 * change / day.first if day.first else 0:.3f}",
            "weightedAvgPrice": fixed(terms.average(day.value, day.qty), terms.price_decimals),
            "lastPrice": terms.price(day.last),
            "lastQty": terms.qty(floor.trades[-1].qty if floor.trades else 0),
            "openPrice": terms.price(day.first),
            "highPrice": terms.price(day.high),
            "lowPrice": terms.price(day.low),
            "volume": terms.qty(day.qty),
            "quoteVolume": money_text(day.value, 8 if terms.spot else 2),
            "openTime": now - 86_400_000,
            "closeTime": now,
            "firstId": day.first_id,
            "lastId": day.last_id,
            "count": day.n,
        }

    def printed(self, floor: Floor, trade: Trade) -> Aggregate | None:
        """Take a print in; the aggregate that it closed, if any."""
        self.days[floor].add(trade)
        return self.prints[floor].add(trade)

    def ticker_price(self, ask: Ask) -> Any:
        return self._one_or_all(ask.params, self._last)

    def _last(self, terms: Terms) -> dict[str, Any]:
        floor = terms.floor
        last = floor.trades[-1].tick if floor.trades else (floor.best(1) or (0, 0))[0]
        answer: dict[str, Any] = {"symbol": terms.symbol, "price": terms.price(last)}
        if not terms.spot:
            answer["time"] = self.desk.shown_ms(floor.ts_ns)
        return answer

    def _some(self, params: Params) -> Iterable[Terms]:
        if params.text("symbol"):
            return [params.symbol(self.desk.terms)]
        return self._chosen(params) if self.desk.spot else self.desk.terms.values()

    def _one_or_all(self, params: Params, answer: Any) -> Any:
        if params.text("symbol"):
            return answer(params.symbol(self.desk.terms))
        return [answer(each) for each in self._some(params)]


def limit_of(params: Params, default: int = 500) -> int:
    """How many lines are asked for, at most what the venue gives."""
    limit = params.integer("limit", default)
    if not limit:
        raise Refused(-1100, name="limit", pattern=INTEGER_PATTERN)
    return min(limit, TRADES_MAX)


def either(one: int, every: int) -> Callable[[Params], int]:
    """Weight of a route that is cheaper for one symbol."""
    return lambda params: one if params.text("symbol") else every


def _asked_depth(params: Params, default: int) -> int:
    text = params.text("limit")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def usdm_depth_weight(params: Params) -> int:
    limit = _asked_depth(params, 500)
    return next((w for top, w in ((50, 2), (100, 5), (500, 10)) if limit <= top), 20)


def spot_depth_weight(params: Params) -> int:
    limit = _asked_depth(params, 100)
    return next((w for top, w in ((100, 5), (500, 25), (1000, 50)) if limit <= top), 250)


__all__ = ["Fundings", "MarketData", "either", "limit_of", "rate_text"]
