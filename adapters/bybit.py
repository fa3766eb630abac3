"""Bybit v5: linear perpetuals and spot.

Source: the venue's v5 documents (2026-07).  Depth: one ``snapshot`` in the stream, then ``delta``
messages whose update id ``u`` rises by one; any later snapshot replaces the book.  Time: ``cts``,
the matching engine's, else ``ts``.  Trades: ``S`` is the aggressor's side; ids are numbers on spot
and UUIDs on linear, of which the first 63 bits serve as the trade id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

import numpy as np

from mmcore.events import ASK, BID, Kind
from mmcore.gateway import Gateway, Setup
from mmcore.instrument import Instrument, from_bybit
from mmcore.venue import DecodeError, Rows

from ._decode import NO_ROWS, JsonDecoder, pair, venue_ns, whole

SIDES = {"Buy": BID, "Sell": ASK}


class _Bybit(JsonDecoder):
    dialect = 3
    hosts: ClassVar = {"mainnet": "api.bybit.com", "testnet": "api-testnet.bybit.com"}

    def read(self, message: Mapping[str, Any], ts_local_ns: int, hint: int) -> Rows:  # noqa: ARG002
        """Rows of one message; every frame of this venue names its instrument."""
        topic = message.get("topic")
        reader = self._READERS.get(topic.split(".")[0]) if isinstance(topic, str) else None
        if reader is None or "data" not in message:
            return NO_ROWS  # acknowledgements, pongs, candles
        data = message["data"]
        if reader is not _Bybit._trades and not isinstance(data, dict):
            raise DecodeError(f"data of {topic} is not an object")
        return reader(self, message, data, ts_local_ns)

    def _depth(self, message: Mapping[str, Any], data: Mapping[str, Any], ts_local_ns: int) -> Rows:
        terms = self.book_of(data.get("s"))
        form = str(message.get("type"))
        with terms.naming():
            if form not in {"snapshot", "delta"}:
                raise DecodeError(f"type {form!r} is neither snapshot nor delta")
            sent = whole(message, "ts")
            stamp = venue_ns(whole(message, "cts") if "cts" in message else sent)
            seq = whole(data, "u")
            bids, asks = (terms.levels(data.get(key), pair) for key in ("b", "a"))
        return terms.depth(
            bids, asks, stamp, ts_local_ns,
            seq=seq, aux=0 if form == "snapshot" else seq - 1, snapshot=form == "snapshot",
        )  # fmt: skip

    def _trades(self, message: Mapping[str, Any], data: object, ts_local_ns: int) -> Rows:
        if not isinstance(data, list) or not all(isinstance(trade, dict) for trade in data):
            raise DecodeError(f"trades of {message['topic']} are not a list of objects")
        rows = [self._trade(trade, ts_local_ns) for trade in data]
        return np.concatenate(rows) if rows else NO_ROWS

    def _trade(self, trade: Mapping[str, Any], ts_local_ns: int) -> Rows:
        terms = self.book_of(trade.get("s"))
        with terms.naming(harmless=True):
            side = SIDES.get(str(trade.get("S")))
            if side is None:
                raise DecodeError(f"side {trade.get('S')!r} is neither Buy nor Sell")
            tick, qty = terms.price(trade.get("p")), terms.qty(trade.get("v"))
            if tick == 0:
                raise DecodeError("a trade at price 0")
            return terms.row(
                Kind.TRADE, venue_ns(whole(trade, "T")), ts_local_ns,
                side=side, tick=tick, qty=qty, seq=trade_id(trade.get("i")),
            )  # fmt: skip

    def _ticker(
        self, message: Mapping[str, Any], data: Mapping[str, Any], ts_local_ns: int
    ) -> Rows:
        # Linear tickers are one snapshot and then only what changed; spot has no best quote here.
        terms = self.book_of(data.get("symbol"))
        with terms.naming(harmless=True):
            stamp = venue_ns(whole(message, "ts")) if "ts" in message else 0
            seq = whole(message, "cs") if "cs" in message else 0
            rows = [
                terms.best(side, data[p], data[q], stamp, ts_local_ns, seq)
                for side, p, q in (
                    (BID, "bid1Price", "bid1Size"),
                    (ASK, "ask1Price", "ask1Size"),
                )
                if data.get(p) and data.get(q)
            ]
            if data.get("markPrice"):
                rows.append(terms.mark(data["markPrice"], stamp, ts_local_ns))
            if data.get("fundingRate"):
                due = _stamp_text(data.get("nextFundingTime"))
                rows.append(terms.funding(data["fundingRate"], due, stamp, ts_local_ns))
        return np.concatenate(rows) if rows else NO_ROWS

    _READERS: ClassVar[Mapping[str, Callable[..., Rows]]] = {
        "orderbook": _depth,
        "publicTrade": _trades,
        "tickers": _ticker,
    }

    @classmethod
    def list_instruments(cls, answer: Mapping[str, Any]) -> dict[str, Instrument]:
        """Instruments of an ``instruments-info`` answer."""
        return from_bybit(cls.venue, answer)

    @classmethod
    def gateway(cls, setup: Setup) -> Gateway:
        """A gateway to this product; loads the vendor's client."""
        from ._bybit_gateway import BybitGateway

        return BybitGateway(setup, cls)


def trade_id(text: object) -> int:
    """The number of a trade or an execution: its own, or 63 bits of its UUID."""
    if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= 18 + 1:
        return min(int(text), 2**63 - 1)
    try:
        return UUID(str(text)).int >> 65
    except ValueError:
        raise DecodeError(f"trade id {text!r} is neither a number nor a UUID") from None


def _stamp_text(text: object) -> int:
    if text is None or text == "":
        return 0
    if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= 16:
        return venue_ns(int(text))
    raise DecodeError(f"time {text!r} is not a whole number")


class BybitLinear(_Bybit):
    """Linear perpetuals; symbols as "BTCUSDT"."""

    venue = "bybit-linear"


class BybitSpot(_Bybit):
    """Spot; symbols as "BTCUSDT"."""

    venue = "bybit-spot"


__all__ = ["BybitLinear", "BybitSpot", "trade_id"]
