"""Binance: USD-M and COIN-M futures, and spot.

Sources: the venue's documents of USD-M streams (2026-05) and spot (2026-07).  Depth: ``U..u`` are
the update ids of a message; futures say in ``pu`` which id stood before it, spot messages follow
each other without a gap (``U - 1``).  Trades: ``m`` true means that the buyer was the maker, so the
aggressor sold.  Time: ``T``, the matching engine's, where it is given, else ``E``, the event's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from mmcore.events import ASK, BID, Kind
from mmcore.gateway import Gateway, Setup
from mmcore.instrument import Instrument, from_binance
from mmcore.venue import DecodeError, Rows

from ._decode import NO_ROWS, JsonDecoder, Terms, pair, venue_ns, whole

NUMBERS = ("E", "T", "U", "u", "pu", "t", "lastUpdateId")  # whole wherever they stand


class _Binance(JsonDecoder):
    has_previous = True  # depth messages carry "pu"

    def read(self, message: Mapping[str, Any], ts_local_ns: int, hint: int) -> Rows:
        """Rows of one message, wrapped by a combined stream or bare."""
        wrapped = "data" in message
        if wrapped:
            message = message["data"]
            if not isinstance(message, dict):
                return NO_ROWS
        name = message.get("e", "")
        if "lastUpdateId" in message:
            # Inside a stream this is a partial depth image, which no book here is built from.
            if wrapped or name:
                return NO_ROWS
            return self._snapshot(message, ts_local_ns, hint)
        if not name and "B" in message:
            name = "bookTicker"  # spot's best quote carries no event name
        reader = self._READERS.get(name) if isinstance(name, str) else None
        if reader is None:
            return NO_ROWS
        terms = self.book_of(message.get("s"))
        with terms.naming(harmless=name != "depthUpdate"):
            _check_numbers(message)
            return reader(self, terms, message, ts_local_ns)

    def _stamp(self, message: Mapping[str, Any], *, needed: bool) -> int:
        key = "T" if "T" in message else "E"
        return venue_ns(whole(message, key)) if needed or key in message else 0

    def _snapshot(self, message: Mapping[str, Any], ts_local_ns: int, hint: int) -> Rows:
        if "symbol" in message:
            terms = self.book_of(message["symbol"])
            if hint >= 0 and self.instruments[hint].symbol != message["symbol"]:
                raise terms.refuse(f"a snapshot of {self.instruments[hint].symbol} was expected")
        elif hint >= 0:
            terms = self.terms[hint]
        else:
            raise DecodeError("a depth snapshot that does not say of which instrument")
        with terms.naming():
            _check_numbers(message)
            stamp = self._stamp(message, needed=False)
            return self._levels(
                terms, message, ("bids", "asks"), stamp, ts_local_ns,
                seq=whole(message, "lastUpdateId"), aux=0, snapshot=True,
            )  # fmt: skip

    def _levels(
        self, terms: Terms, message: Mapping[str, Any], keys: tuple[str, str],
        ts_venue_ns: int, ts_local_ns: int, *, seq: int, aux: int, snapshot: bool,
    ) -> Rows:  # fmt: skip
        for key in keys:
            if key not in message:
                raise DecodeError(f"key {key!r} is missing")
        bids, asks = (terms.levels(message[key], pair) for key in keys)
        return terms.depth(
            bids, asks, ts_venue_ns, ts_local_ns, seq=seq, aux=aux, snapshot=snapshot
        )

    def _depth(self, terms: Terms, message: Mapping[str, Any], ts_local_ns: int) -> Rows:
        first, last = whole(message, "U"), whole(message, "u")
        if first > last:
            raise DecodeError(f"first update id {first} is above the last, {last}")
        before = whole(message, "pu") if self.has_previous else first - 1
        return self._levels(
            terms, message, ("b", "a"), self._stamp(message, needed=True), ts_local_ns,
            seq=last, aux=before, snapshot=False,
        )  # fmt: skip

    def _trade(self, terms: Terms, message: Mapping[str, Any], ts_local_ns: int) -> Rows:
        number = whole(message, "t" if message["e"] == "trade" else "a")
        maker = message.get("m")
        if not isinstance(maker, bool):
            raise DecodeError(f"key 'm': {maker!r} is not true or false")
        tick, qty = terms.price(message.get("p")), terms.qty(message.get("q"))
        stamp = self._stamp(message, needed=True)
        if message.get("X", "MARKET") != "MARKET":
            return NO_ROWS  # insurance fund and the like: not a print of the book
        if tick == 0:
            raise DecodeError("a trade at price 0")
        return terms.row(
            Kind.TRADE, stamp, ts_local_ns,
            side=ASK if maker else BID, tick=tick, qty=qty, seq=number,
        )  # fmt: skip

    def _best(self, terms: Terms, message: Mapping[str, Any], ts_local_ns: int) -> Rows:
        seq, stamp = whole(message, "u"), self._stamp(message, needed=False)
        sides = ((BID, "b", "B"), (ASK, "a", "A"))
        return np.concatenate(
            [
                terms.best(side, message.get(p), message.get(q), stamp, ts_local_ns, seq)
                for side, p, q in sides
            ]
        )

    def _mark(self, terms: Terms, message: Mapping[str, Any], ts_local_ns: int) -> Rows:
        stamp = venue_ns(whole(message, "E"))
        rows = [terms.mark(message.get("p"), stamp, ts_local_ns)]
        if message.get("r"):
            due = venue_ns(whole(message, "T"))
            rows.append(terms.funding(message["r"], due, stamp, ts_local_ns))
        return np.concatenate(rows)

    _READERS: ClassVar[Mapping[str, Callable[..., Rows]]] = {
        "depthUpdate": _depth,
        "trade": _trade,
        "aggTrade": _trade,
        "bookTicker": _best,
        "markPriceUpdate": _mark,
    }


def _check_numbers(message: Mapping[str, Any]) -> None:
    for key in NUMBERS:
        if key in message:
            whole(message, key)


class BinanceUsdm(_Binance):
    """USD-M futures; symbols as "BTCUSDT"."""

    venue = "binance-usdm"
    dialect = 1
    hosts: ClassVar = {"mainnet": "fapi.binance.com", "testnet": "demo-fapi.binance.com"}

    @classmethod
    def list_instruments(cls, answer: Mapping[str, Any]) -> dict[str, Instrument]:
        """Perpetuals of an ``exchangeInfo`` answer."""
        return from_binance(cls.venue, answer)

    @classmethod
    def gateway(cls, setup: Setup) -> Gateway:
        """Trading on USD-M futures."""
        from ._binance_futures import FuturesGateway

        return FuturesGateway(setup, cls)


class BinanceCoinm(_Binance):
    """COIN-M futures, inverse; symbols as "BTCUSD_PERP", quantities in contracts; data only."""

    venue = "binance-coinm"
    dialect = 1

    @classmethod
    def list_instruments(cls, answer: Mapping[str, Any]) -> dict[str, Instrument]:
        """Perpetuals of an ``exchangeInfo`` answer."""
        return from_binance(cls.venue, answer)


class BinanceSpot(_Binance):
    """Spot; symbols as "BTCUSDT"."""

    venue = "binance-spot"
    dialect = 2
    hosts: ClassVar = {"mainnet": "api.binance.com", "testnet": "testnet.binance.vision"}
    has_previous = False

    @classmethod
    def list_instruments(cls, answer: Mapping[str, Any]) -> dict[str, Instrument]:
        """Pairs of an ``exchangeInfo`` answer."""
        return from_binance(cls.venue, answer)

    @classmethod
    def gateway(cls, setup: Setup) -> Gateway:
        """Trading on spot."""
        from ._binance_spot import SpotGateway

        return SpotGateway(setup, cls)


__all__ = ["BinanceCoinm", "BinanceSpot", "BinanceUsdm"]
