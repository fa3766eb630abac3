"""Trading on Binance USD-M futures: four connections, a listen key, and funding."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import numpy as np
import orjson

from mmcore.errors import NetworkError, VenueError
from mmcore.events import Kind, PaidCode
from mmcore.gateway import Setup, VenueFault
from mmcore.venue import DecodeError

from ._binance_account import FuturesAccount
from ._binance_faults import LISTEN_KEY_GONE
from ._binance_gateway import BinanceGateway
from ._binance_requests import FUTURES, WEIGHT
from ._binance_words import futures_event, signed_qty
from ._dead_man import DeadMan
from ._decode import JsonDecoder, Terms

KEEP_ALIVE_S = 25 * 60.0
COMPARE_S = 0.5
COUNTDOWN_WEIGHT = 10
SILENT_S = 30.0  # without any frame at all; depth alone is looked after sooner


class FuturesGateway(BinanceGateway):
    """USD-M futures."""

    product = FUTURES
    account_type = FuturesAccount

    def __init__(self, setup: Setup, decoder: type[JsonDecoder]) -> None:
        super().__init__(setup, decoder)
        self._listen_key = ""
        self._told: dict[int, int] = {}  # positions as the private stream said them last
        self._comparing = False
        self._funding_since_ms = 0
        self._funding_seen: set[tuple[str, int]] = set()

    def _open_public(self) -> None:
        depth, trades = ("depth@100ms", "bookTicker"), ("aggTrade", "markPrice@1s")
        self._open_market("public", depth, self._public_up, self._public_down)
        self._open_market("market", trades, _nothing, lambda _: None)

    def _open_market(
        self, part: str, kinds: tuple[str, ...], on_up: Callable[[], Coroutine[Any, Any, None]],
        on_down: Callable[[str], None],
    ) -> None:  # fmt: skip
        feeds = [f"{item.symbol.lower()}@{kind}" for item in self._items for kind in kinds]
        self._open(
            part, f"{self._rest.hosts.streams}/{part}/stream?streams={'/'.join(feeds)}",
            lambda manager: manager.futures_multiplex_socket(feeds, category=part),
            on_frame=self._market_frame(part), on_up=on_up, on_down=on_down, stale_s=SILENT_S,
        )  # fmt: skip

    def _open_private(self) -> None:
        super()._open_private()
        self._funding_since_ms = self._rest.now_ms
        self._open(
            "private", self._private_url, lambda manager: manager.futures_user_socket(),
            on_frame=self._private_frame, on_up=self._futures_up, on_down=self._private_down,
        )  # fmt: skip

    async def _arm(self) -> None:
        window_s = self._setup.dead_man_s
        if window_s:
            self._switch = DeadMan(
                window_s, window_s / 3, self._count_down, "every order on these symbols", self._say
            )
            await self._switch.arm()
            self._spawn(self._switch.keep())

    async def _count_down(self, seconds: float) -> None:
        """Have the venue cancel every order on our symbols after so long; 0: no more."""
        data = {"countdownTime": str(round(seconds * 1000))}
        await asyncio.gather(
            *(
                self._rest.send(
                    "post", "countdownCancelAll", {WEIGHT: COUNTDOWN_WEIGHT}, cancel=True,
                    data={"symbol": item.symbol, **data},
                )
                for item in self._items
            )
        )  # fmt: skip

    async def _private_url(self) -> str:
        answer = await self._rest.send("post", "listenKey", {WEIGHT: 1}, data={}, signed=False)
        self._listen_key = str(answer["listenKey"])
        return f"{self._rest.hosts.streams}/private/ws?listenKey={self._listen_key}"

    async def _futures_up(self) -> None:
        await self._private_up()
        self._spawn(self._read_funding())

    async def _keep_alive(self) -> None:
        if self._desk is not None:
            self._spawn(self._keep_key())
        await super()._keep_alive()

    async def _keep_key(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            try:
                await self._rest.send("put", "listenKey", {WEIGHT: 1}, data={}, signed=False)
            except VenueFault as fault:
                if fault.code == LISTEN_KEY_GONE:
                    self._streams["private"].recycle("the listen key is gone")
                else:
                    self._say("warning", f"the listen key was not renewed: {fault}")
            except NetworkError as error:
                self._say("warning", f"the listen key was not renewed: {error}")

    def _private_frame(self, frame: bytes, ts_local_ns: int) -> None:  # noqa: ARG002 (own times)
        message = orjson.loads(frame)
        if isinstance(message, dict):
            event = message.get("data", message)
            if isinstance(event, dict):
                self._private_news(event)

    def _private_event(self, event: Mapping[str, Any]) -> None:
        name = event.get("e")
        if name == "ORDER_TRADE_UPDATE":
            order = event.get("o")
            if not isinstance(order, dict):
                raise DecodeError("an ORDER_TRADE_UPDATE without its order")
            terms = self._ours(order.get("s"))
            if terms is not None:
                self._order_news(futures_event(terms, order))
        elif name == "ACCOUNT_UPDATE":
            change = event.get("a")
            if isinstance(change, dict):
                self._account_news(change)
        elif name == "listenKeyExpired":
            self._streams["private"].recycle("the listen key expired")
        elif name == "MARGIN_CALL":
            self._say("error", "binance-usdm: margin call: positions are near liquidation")
        elif name == "ACCOUNT_CONFIG_UPDATE":
            self._say("warning", "binance-usdm: leverage or margin mode was changed elsewhere")

    def _account_news(self, change: Mapping[str, Any]) -> None:
        if change.get("m") == "FUNDING_FEE":
            self._spawn(self._read_funding())
        changed = False
        for entry in change.get("P") or ():
            terms = self._ours(entry.get("s"))
            if terms is not None and entry.get("ps", "BOTH") == "BOTH":
                self._told[terms.number] = signed_qty(terms, entry.get("pa"))
                changed = True
        if changed and not self._comparing:
            self._comparing = True
            self._spawn(self._compare())

    async def _compare(self) -> None:
        """Once the fills had time to come, the venue's position must be ours.

        The account's news goes before the order's: what is apart by the same after a reading, and
        still after a while, is no fill on its way.
        """
        assert self._desk is not None
        await asyncio.sleep(COMPARE_S)
        apart: dict[int, int] = {}
        if self._apart():
            await self._read_again(self._desk)
            apart = self._apart()
        if apart:
            await asyncio.sleep(COMPARE_S)
        self._comparing = False
        for number in dict(apart.items() & self._apart().items()):
            self._say(
                "warning",
                f"{self._terms[number].item}: the position at the venue differs from what mmcore "
                "counts: somebody else trades on this account",
            )
            self._positions[number] = self._told[number]

    def _apart(self) -> dict[int, int]:
        """By how much positions differ, of the instruments where they do."""
        gaps = {n: qty - self._positions[n] for n, qty in self._told.items()}
        return {n: gap for n, gap in gaps.items() if gap}

    def _ours(self, symbol: object) -> Terms | None:
        place = self._decoder.places.get(symbol) if isinstance(symbol, str) else None
        return None if place is None else self._decoder.terms[place]

    async def _read_funding(self) -> None:
        """Payments since the last reading; the account event does not say for which symbol."""
        assert isinstance(self._account, FuturesAccount)
        try:
            payments = await self._account.funding(self._funding_since_ms)
        except VenueError as error:
            self._say("warning", f"funding payments were not read: {error}")
            return
        rows = []
        for payment in payments:
            terms, key = self._ours(payment.symbol), (payment.symbol, payment.number)
            if terms is None or key in self._funding_seen:
                continue
            self._funding_seen.add(key)
            self._funding_since_ms = max(self._funding_since_ms, payment.time_ms)
            rows.append(
                terms.row(
                    Kind.PAID, payment.time_ms * 1_000_000, self._setup.clock(),
                    code=PaidCode.FUNDING, aux=payment.quanta, seq=payment.number,
                )
            )  # fmt: skip
        if rows:
            self._emit(np.concatenate(rows))


async def _nothing() -> None:
    """Nothing to do on this connection."""


__all__ = ["FuturesGateway"]
