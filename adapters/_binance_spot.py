"""Trading on Binance spot: market data on one connection, orders and user data on another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from mmcore.gateway import Prepared

from ._binance_account import SpotAccount
from ._binance_gateway import BinanceGateway
from ._binance_requests import SPOT
from ._binance_words import spot_event

SILENT_S = 60.0  # without any frame at all; depth alone is looked after sooner


class SpotGateway(BinanceGateway):
    """Spot."""

    product = SPOT
    account_type = SpotAccount

    async def prepare(self) -> Prepared:
        """As for futures, without modes; coin balances below a unit absorb coin fees."""
        prepared = await super().prepare()
        if prepared.account is not None and self._desk is not None:
            for terms in self._terms.values():
                balance = prepared.account.balances.get(terms.item.base)
                if balance is not None:
                    self._desk.own.coin_dust(terms.number, balance.total)
        return prepared

    def _open_private(self) -> None:
        super()._open_private()
        if self._setup.stream == "client":
            self._open(
                "private", "", lambda manager: manager.user_socket(),
                on_frame=self._client_frame, on_up=self._private_up, on_down=self._private_down,
            )  # fmt: skip

    def _open_public(self) -> None:
        feeds = [
            f"{item.symbol.lower()}@{feed}"
            for item in self._items
            for feed in ("depth@100ms", "bookTicker", "aggTrade")
        ]
        self._open(
            "public", f"{self._rest.hosts.streams}/stream?streams={'/'.join(feeds)}",
            lambda manager: manager.multiplex_socket(feeds),
            on_frame=self._spot_frame(), on_up=self._public_up, on_down=self._public_down,
            stale_s=SILENT_S,
        )  # fmt: skip

    def _client_frame(self, frame: bytes, ts_local_ns: int) -> None:  # noqa: ARG002 (own times)
        self._private_news(orjson.loads(frame))

    def _spot_frame(self) -> Callable[[bytes, int], None]:
        inner = self._market_frame("public")

        def frame(text: bytes, ts_local_ns: int) -> None:
            if b'"serverShutdown"' in text[:120]:
                self._streams["public"].recycle("the venue announces a restart")
            else:
                inner(text, ts_local_ns)

        return frame

    async def _entry_up(self) -> None:
        """User data on this very connection; then what happened before."""
        if self._setup.stream == "own" and self._entry is not None:
            await self._entry.question("userDataStream.subscribe.signature", {})
            await self._private_up()
        await super()._entry_up()

    def _entry_down(self, why: str) -> None:
        super()._entry_down(why)
        if self._setup.stream == "own":
            self._private_down(why)

    def _private_event(self, event: Mapping[str, Any]) -> None:
        name = event.get("e")
        if name == "executionReport":
            place = self._decoder.places.get(str(event.get("s")))
            if place is not None:
                self._order_news(spot_event(self._decoder.terms[place], event))
        elif name in {"eventStreamTerminated", "serverShutdown"}:
            part = "orders" if self._setup.stream == "own" else "private"
            self._streams[part].recycle("the venue ends the stream")
        elif name == "balanceUpdate":
            self._say(
                "warning",
                f"binance-spot: {event.get('a')} was moved in or out of the account; mmcore's "
                "position does not know of it",
            )


__all__ = ["SpotGateway"]
