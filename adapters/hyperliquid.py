"""Hyperliquid perpetuals.

Source: the venue's documents of its WebSocket (``l2Book``, ``bbo``, ``trades``,
``activeAssetCtx``).  Depth: every message is the whole book, 20 levels a side, with a time and no
update id; there are no deltas.  Trades: ``side`` is the aggressor's, "B" or "A"; the first message
after a subscription repeats older trades.  Funding is paid every hour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from mmcore.errors import VenueError
from mmcore.events import ASK, BID, Kind
from mmcore.gateway import Gateway, Setup
from mmcore.instrument import Instrument, from_hyperliquid
from mmcore.venue import DecodeError, Rows

from ._decode import NO_ROWS, JsonDecoder, venue_ns, whole

SIDES = {"B": BID, "A": ASK}
EXTRA = {"eth_account", "eth_utils", "hyperliquid", "msgpack"}  # packages of the extra


def _named(level: object) -> tuple[object, object]:
    """A level written as {"px": price, "sz": quantity}."""
    if not isinstance(level, dict) or "px" not in level or "sz" not in level:
        raise DecodeError(f"level {level!r} has no px and sz")
    return level["px"], level["sz"]


class Hyperliquid(JsonDecoder):
    """Perpetuals; symbols are coins, as "BTC"."""

    venue = "hyperliquid"
    dialect = 4
    hosts: ClassVar = {
        "mainnet": "api.hyperliquid.xyz",
        "testnet": "api.hyperliquid-testnet.xyz",
    }

    def read(self, message: Mapping[str, Any], ts_local_ns: int, hint: int) -> Rows:  # noqa: ARG002
        """Rows of one message; every frame of this venue names its coin."""
        reader = self._READERS.get(str(message.get("channel")))
        if reader is None or "data" not in message:
            return NO_ROWS  # acknowledgements, pongs, account channels
        data = message["data"]
        if reader is not Hyperliquid._trades and not isinstance(data, dict):
            raise DecodeError(f"data of {message['channel']} is not an object")
        return reader(self, data, ts_local_ns)

    def _image(self, data: Mapping[str, Any], ts_local_ns: int) -> Rows:
        terms = self.book_of(data.get("coin"))
        with terms.naming():
            stamp = venue_ns(whole(data, "time"))
            sides = data.get("levels")
            if not isinstance(sides, list) or len(sides) != 2:
                raise DecodeError("levels are not two sides")
            bids, asks = (terms.levels(side, _named) for side in sides)
        return terms.depth(bids, asks, stamp, ts_local_ns, seq=0, aux=0, snapshot=True)

    def _trades(self, data: object, ts_local_ns: int) -> Rows:
        if not isinstance(data, list) or not all(isinstance(trade, dict) for trade in data):
            raise DecodeError("trades are not a list of objects")
        rows = [self._trade(trade, ts_local_ns) for trade in data]
        return np.concatenate(rows) if rows else NO_ROWS

    def _trade(self, trade: Mapping[str, Any], ts_local_ns: int) -> Rows:
        terms = self.book_of(trade.get("coin"))
        with terms.naming(harmless=True):
            side = SIDES.get(str(trade.get("side")))
            if side is None:
                raise DecodeError(f"side {trade.get('side')!r} is neither B nor A")
            tick, qty = terms.price(trade.get("px")), terms.qty(trade.get("sz"))
            if tick == 0:
                raise DecodeError("a trade at price 0")
            return terms.row(
                Kind.TRADE, venue_ns(whole(trade, "time")), ts_local_ns,
                side=side, tick=tick, qty=qty, seq=whole(trade, "tid"),
            )  # fmt: skip

    def _best(self, data: Mapping[str, Any], ts_local_ns: int) -> Rows:
        terms = self.book_of(data.get("coin"))
        with terms.naming(harmless=True):
            stamp = venue_ns(whole(data, "time"))
            sides = data.get("bbo")
            if not isinstance(sides, list) or len(sides) != 2:
                raise DecodeError("bbo is not two sides")
            rows = []
            for side, level in zip((BID, ASK), sides, strict=True):
                price, quantity = ("0", "0") if level is None else _named(level)
                rows.append(terms.best(side, price, quantity, stamp, ts_local_ns, 0))
        return np.concatenate(rows)

    def _context(self, data: Mapping[str, Any], ts_local_ns: int) -> Rows:
        terms = self.book_of(data.get("coin"))
        context = data.get("ctx")
        if not isinstance(context, dict):
            raise terms.refuse("ctx is not an object", harmless=True)
        rows = []
        if context.get("markPx"):
            rows.append(terms.mark(context["markPx"], 0, ts_local_ns))
        if context.get("funding"):
            rows.append(terms.funding(context["funding"], 0, 0, ts_local_ns))
        return np.concatenate(rows) if rows else NO_ROWS

    _READERS: ClassVar[Mapping[str, Callable[..., Rows]]] = {
        "l2Book": _image,
        "trades": _trades,
        "bbo": _best,
        "activeAssetCtx": _context,
    }

    @classmethod
    def list_instruments(cls, answer: Mapping[str, Any]) -> dict[str, Instrument]:
        """Perpetuals of an ``info`` answer of type ``meta``."""
        return from_hyperliquid(answer)

    @classmethod
    def gateway(cls, setup: Setup) -> Gateway:
        """Trading on perpetuals; with keys it needs the vendor's library (VenueError)."""
        from ._hyperliquid_gateway import HyperliquidGateway

        try:
            return HyperliquidGateway(setup, cls)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in EXTRA:
                raise
            raise VenueError(
                f"Hyperliquid signs orders with a library that is not installed ({error.name})",
                where=cls.venue, done="nothing was started",
                todo="run `python -m pip install 'mmcore-maker[hyperliquid]'`",
            ) from None  # fmt: skip


__all__ = ["Hyperliquid"]
