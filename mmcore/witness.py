"""What an engine would know of one instrument, kept by a sink that forgives nothing.

A :class:`Witness` sends requests to a gateway and keeps what comes back: the book, one state for
each order, a ledger.  Whatever an engine could not live with (two acknowledgements, a fill told
twice, news after the end) is written down in ``problems``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from ._book import Book
from ._ledger import Ledger
from .errors import MmcoreError
from .events import (
    ASK,
    BID,
    REQUEST,
    Flag,
    Kind,
    PaidCode,
    RejectCode,
    RequestKind,
    Status,
    TimeInForce,
    rows_of,
)
from .gateway import Gateway, Rows
from .instrument import Instrument

PATIENCE_S = 6.0
ANSWERS = frozenset(range(Kind.ACK, Kind.CANCELLED + 1))


class State(Enum):
    """Of an order, as its sender knows it; LIVE rests, the two after it wait for an answer."""

    SENT = "sent"
    LIVE = "live"
    CHANGING = "changing"
    ENDING = "ending"
    OVER = "over"


@dataclass(eq=False, slots=True)
class Sent:
    """One order.

    tick, left: as last told; done: filled of it, units.  fees: quanta in the settle asset, coins:
    units of fees taken in the coin.  end, code: the kind that ended it and its reject code.
    refusals: codes of requests on it that were refused.  told: every answer, in words.
    """

    slot: int
    generation: int
    side: int
    tick: int
    left: int
    state: State = State.SENT
    acked: bool = False
    done: int = 0
    makers: int = 0
    fees: int = 0
    coins: int = 0
    end: Kind | None = None
    code: RejectCode = RejectCode.NONE
    refusals: list[RejectCode] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return self.state is State.OVER


class Witness:
    """A sink (:class:`mmcore.gateway.Sink`) for one instrument, and the requests of a trader.

    links_down: how often LINK_DOWN came.  spells: how often a book that was healthy ceased to be,
    by a gap or with its link.  kinds: how often each kind of row came.  channels: how
    many raw frames each channel had.
    """

    def __init__(self, gateway: Gateway, item: Instrument) -> None:
        self.gateway = gateway
        self.item = item
        self.spec = item.spec(0)
        self.book = Book(self.spec)
        self.ledger = Ledger(self.spec)
        self.usable = False
        self.links_down = 0
        self.spells = 0
        self.orders: dict[tuple[int, int], Sent] = {}
        self.trades: set[tuple[int, int]] = set()
        self.kinds: dict[Kind, int] = {}
        self.channels: dict[str, int] = {}
        self.notices: list[str] = []
        self.problems: list[str] = []
        self.errors: list[MmcoreError] = []
        self._traded: dict[int, Sent] = {}  # by the number of a trade
        self._count = 0
        self._news = asyncio.Event()

    # -- sink

    def rows(self, rows: Rows) -> None:
        """Rows as they come, whole messages."""
        i = 0
        while i < len(rows):
            head = rows[i]
            kind = Kind(int(head["kind"]))
            n = 1
            if kind is Kind.DEPTH:
                n += rows_of(int(head["n_bids"]) + int(head["n_asks"]))
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            if kind in ANSWERS:
                self._answer(kind, head)
            elif kind is Kind.PAID:
                self._paid(head)
            else:
                self._market(kind, rows[i : i + n])
            i += n
        self._news.set()

    def raw(self, channel: str, frame: bytes, ts_local_ns: int) -> None:  # noqa: ARG002 - a sink
        """A frame as it came; only counted."""
        self.channels[channel] = self.channels.get(channel, 0) + 1

    def notice(self, level: str, text: str) -> None:
        """A sentence for the user; kept."""
        self.notices.append(f"{level}: {text}")

    def fatal(self, error: MmcoreError) -> None:
        """Trading cannot go on; kept."""
        self.errors.append(error)
        self._news.set()

    def _market(self, kind: Kind, rows: Rows) -> None:
        healthy = self.healthy
        if kind is Kind.LINK_DOWN:
            self.usable = False
            self.links_down += 1
        elif kind is Kind.DEPTH and rows[0]["flags"] & Flag.SNAPSHOT:
            self.usable = True
        self.book.bind(np.ascontiguousarray(rows).copy())
        self.book.run()
        self.book.release()
        self.spells += healthy and not self.healthy

    def _paid(self, head: Any) -> None:
        if head["code"] == PaidCode.COIN_FEE:
            self.ledger.coin_fee(int(head["tick"]), int(head["qty"]))
            order = self._traded.get(int(head["seq"]))
            if order is not None:
                order.coins += int(head["qty"])
        else:
            self.ledger.receive(int(head["aux"]))

    def _answer(self, kind: Kind, head: Any) -> None:
        order = self.orders.get((int(head["slot"]), int(head["generation"])))
        if kind is Kind.FILL:
            self._fill(order, head)
        if order is None:
            if kind is not Kind.FILL:
                self.problems.append(f"{kind.name} of an order that nobody sent")
            return
        code = RejectCode(int(head["code"]))
        order.told.append(f"{kind.name} {int(head['qty'])} {code.name}")
        if order.over and kind is not Kind.REJECT:
            self.problems.append(f"news after the end: {order}")
            return
        if kind is Kind.ACK:
            if order.acked:
                self.problems.append(f"acknowledged twice: {order}")
            order.acked = True
            order.left = int(head["qty"])
            if order.state is State.SENT:
                order.state = State.LIVE
        elif kind is Kind.AMENDED:
            order.tick, order.left, order.state = int(head["tick"]), int(head["qty"]), State.LIVE
        elif kind is Kind.FILL:
            self._filled(order, head)
        elif kind is Kind.REJECT:
            order.refusals.append(code)
            if order.state is State.SENT:
                self._end(order, kind, code)
            elif not order.over:
                order.state = State.LIVE
        else:
            order.left = int(head["qty"])
            self._end(order, kind, code)

    def _fill(self, order: Sent | None, head: Any) -> None:
        side, seq = int(head["side"]), int(head["seq"])
        if (side, seq) in self.trades:
            self.problems.append(f"fill {seq} told twice: {order}")
        self.trades.add((side, seq))
        maker = bool(head["flags"] & Flag.MAKER)
        fee = int(head["aux"])
        self.ledger.fill(side, int(head["tick"]), int(head["qty"]), fee=fee, maker=maker)
        if order is not None:
            self._traded[seq] = order
            order.makers += maker
            order.fees += fee

    def _filled(self, order: Sent, head: Any) -> None:
        qty = int(head["qty"])
        order.done += qty
        order.left -= qty
        if order.left < 0 and order.state is not State.CHANGING:
            self.problems.append(f"more filled than asked for: {order}")
        if head["flags"] & Flag.LAST:
            self._end(order, Kind.FILL, RejectCode.NONE)

    @staticmethod
    def _end(order: Sent, kind: Kind, code: RejectCode) -> None:
        order.state, order.end, order.code = State.OVER, kind, code

    # -- requests

    def place(self, side: int, tick: int, qty: int, *, tif: TimeInForce = TimeInForce.GTX) -> Sent:
        """Place one order."""
        return self.place_all([(side, tick, qty)], tif=tif)[0]

    def place_all(
        self, wanted: list[tuple[int, int, int]], *, tif: TimeInForce = TimeInForce.GTX
    ) -> list[Sent]:
        """Place orders, (side, tick, qty) each, in one call where the venue takes so many."""
        orders = []
        for side, tick, qty in wanted:
            self._count += 1
            order = Sent(self._count % 200, self._count, side, tick, qty)
            self.orders[order.slot, order.generation] = order
            orders.append(order)
        self._send(RequestKind.PLACE, orders, tif=tif)
        return orders

    def amend(self, order: Sent, tick: int, left: int) -> None:
        """Ask for another price, and for so much to be left of it."""
        order.state = State.CHANGING
        self._send(RequestKind.AMEND, [order], tick=tick, qty=left)

    def cancel(self, *orders: Sent) -> None:
        """Cancel orders, in one call where the venue takes so many."""
        for order in orders:
            if not order.over:
                order.state = State.ENDING
        self._send(RequestKind.CANCEL, list(orders))

    def _send(
        self,
        kind: RequestKind,
        orders: list[Sent],
        *,
        tif: TimeInForce = TimeInForce.GTX,
        **changed: int,
    ) -> None:
        rows = np.zeros(len(orders), REQUEST)
        for row, order in zip(rows, orders, strict=True):
            row["kind"] = kind
            row["side"] = order.side
            row["tif"] = tif
            row["slot"] = order.slot
            row["generation"] = order.generation
            row["batch"] = 1 if len(orders) > 1 else 0
            row["ts_ns"] = time.time_ns()
            row["tick"] = changed.get("tick", order.tick)
            row["qty"] = changed.get("qty", order.left)
            row["done"] = order.done
        self.gateway.send(rows)

    # -- looking on

    def touch(self) -> tuple[int, int]:
        """Best bid and ask, ticks."""
        return self.top(BID, 1)[0][0], self.top(ASK, 1)[0][0]

    def top(self, side: int, n: int) -> list[tuple[int, int]]:
        """The first n levels of a side, (tick, qty)."""
        levels: list[tuple[int, int]] = self.book.levels(side, n).tolist()
        return levels

    @property
    def healthy(self) -> bool:
        """Whether an engine would quote on this book."""
        return self.usable and self.book.health == Status.OK

    def open(self) -> list[Sent]:
        """Orders that are not known to be over."""
        return [order for order in self.orders.values() if not order.over]

    async def until(
        self, met: Callable[[], object], *, within_s: float = PATIENCE_S, what: str = ""
    ) -> None:
        """Wait until something holds; AssertionError, with what is known, where it never does."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while not met():
            if loop.time() > end_s:
                raise AssertionError(
                    f"not within {within_s:g} s: {what or 'what was waited for'}; open "
                    f"{self.open()}; notices {self.notices[-4:]}; errors {self.errors}"
                )
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), 0.02)
            except TimeoutError:
                continue

    async def live(self, *orders: Sent) -> None:
        """Wait until orders rest."""
        await self.until(
            lambda: all(order.state in {State.LIVE, State.OVER} for order in orders), what="live"
        )
        for order in orders:
            assert order.state is State.LIVE, f"expected to rest: {order}"

    async def over(self, *orders: Sent, within_s: float = PATIENCE_S) -> None:
        """Wait until orders are over."""
        await self.until(
            lambda: all(order.over for order in orders), within_s=within_s, what="the end"
        )


__all__ = ["PATIENCE_S", "Sent", "State", "Witness"]
