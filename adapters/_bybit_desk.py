"""Bybit order entry: requests of the engine to calls, over the trade socket or REST, and back.

An acknowledgement of Bybit's says that a request was accepted, no more; what became of it comes on
the order stream.  So only refusals are read here, and ids; everything else is OwnOrders' to learn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from mmcore.errors import VenueError
from mmcore.events import RejectCode, RequestKind, TimeInForce
from mmcore.gateway import Action, VenueFault, by_call

from ._budget import Budget, Pool
from ._bybit_rest import RECV_WINDOW_MS, Rest
from ._bybit_words import CLOCK_CODES, CODES, DRAINING, SIDE_TEXT, TIF_TEXT, price_text, qty_text
from ._call import NotSent, OutcomeUnknown, Pending
from ._decode import Terms
from ._own import Own, OwnOrders
from ._stream import Stream

Item = dict[str, Any]

BATCH_MAX = 10  # the documents name 10 and 20: what both allow
ANSWER_S = 2.0
DELAY_S = 0.2  # an order that must wait longer for the budget is refused: its price grows old
VERBS = {
    RequestKind.PLACE: "create",
    RequestKind.AMEND: "amend",
    RequestKind.CANCEL: "cancel",
}
PER_SECOND = {
    "linear": {"create": 10, "amend": 10, "cancel": 10},
    "spot": {"create": 20, "amend": 10, "cancel": 20},
}


def pools() -> dict[str, Pool]:
    """Bybit's limits of the base tier; the account's own are learnt from its answers.

    Orders have theirs by category; questions are counted together, whichever category asks.
    """
    orders = {
        pool_of(category, verb + form): Pool(limit, 1.0)
        for category, limits in PER_SECOND.items()
        for verb, limit in limits.items()
        for form in ("", "-batch")
    }
    return {
        "http": Pool(500, 5.0, burst=400, reserve=100),
        "read": Pool(40, 1.0),
        "setup": Pool(8, 1.0),
        "fees": Pool(4, 1.0),
        "switch": Pool(4, 1.0),
        **orders,
    }


def pool_of(category: str, verb: str) -> str:
    """The pool that a call of order entry is taken from."""
    return f"{category} {verb}"


class Desk:
    """Order entry of one gateway.

    trade: the order socket, None for REST only.  spawn: starts a task that is looked after.
    on_fault: hears of refusals that concern more than their order.
    """

    def __init__(
        self,
        category: str,
        terms: Mapping[int, Terms],
        own: OwnOrders,
        rest: Rest,
        *,
        spawn: Callable[[Any], object],
        on_fault: Callable[[VenueFault], None],
    ) -> None:
        self.trade: Stream | None = None
        self.pending = Pending("bybit trade", ANSWER_S)
        self._category = category
        self._terms = terms
        self._own = own
        self._rest = rest
        self._budget: Budget = rest.budget
        self.spawn = spawn
        self._on_fault = on_fault
        self._n_requests = 0
        http = rest.http
        self._methods = {
            "create": http.place_order,
            "amend": http.amend_order,
            "cancel": http.cancel_order,
            "create-batch": http.place_batch_order,
            "amend-batch": http.amend_batch_order,
            "cancel-batch": http.cancel_batch_order,
        }

    # --- requests ---------------------------------------------------------------------------------

    def send(self, requests: npt.NDArray[np.void]) -> None:
        """REQUEST rows of one step, in the calls they are grouped in."""
        for rows in by_call(requests) if len(requests) > 1 else (requests,):
            kind = RequestKind(int(rows[0]["kind"]))
            owns = [own for row in rows if (own := self._begin(kind, row)) is not None]
            for start in range(0, len(owns), BATCH_MAX):
                self._call(kind, owns[start : start + BATCH_MAX])

    def _begin(self, kind: RequestKind, row: np.void) -> Own | None:
        if kind is RequestKind.PLACE:
            return self._own.placing(row)
        if kind is RequestKind.CANCEL:
            return self._own.cancelling(row)
        own = self._own.amending(row)
        if own is not None and (own.op_tick, own.op_total) == (own.tick, own.total):
            # Bybit refuses a change of nothing; it stands as it was wanted.
            tick, total, done = own.tick, own.total, own.done
            asyncio.get_running_loop().call_soon(self._own.amended, own, tick, total, done)
            return None
        return own

    def cancel(self, owns: Sequence[Own]) -> None:
        """Cancel once more what a cancel was lost for; harmless where it was not."""
        for start in range(0, len(owns), BATCH_MAX):
            self._call(RequestKind.CANCEL, list(owns[start : start + BATCH_MAX]))

    def _call(self, kind: RequestKind, owns: list[Own]) -> None:
        """Now, or a little later where the budget says so, or not at all."""
        owns = [own for own in owns if own.op is kind and own.final is None]
        if not owns:
            return
        verb = VERBS[kind] if len(owns) == 1 else f"{VERBS[kind]}-batch"
        cancel = kind is RequestKind.CANCEL
        wait_s = self._budget.take({self._pool(verb): len(owns)}, cancel)
        loop = asyncio.get_running_loop()
        if wait_s == 0.0:
            self._transmit(kind, verb, owns)
        elif cancel or wait_s <= DELAY_S:
            loop.call_later(wait_s, self._call, kind, owns)
        else:
            loop.call_soon(self._refuse, kind, owns, RejectCode.RATE)

    def _pool(self, verb: str) -> str:
        return pool_of(self._category, verb)

    def _transmit(self, kind: RequestKind, verb: str, owns: list[Own]) -> None:
        items = [self._item(kind, own) for own in owns]
        if len(items) == 1:
            query: Item = {"category": self._category, **items[0]}
        else:
            query = {"category": self._category, "request": items}
        trade = self.trade
        if trade is None or trade.state != "up" or not self._over_socket(kind, verb, query, owns):
            self.spawn(self._over_rest(kind, verb, query, owns))

    def _over_socket(self, kind: RequestKind, verb: str, query: Item, owns: list[Own]) -> bool:
        assert self.trade is not None
        self._n_requests += 1
        key = f"m{self._n_requests}"
        frame = orjson.dumps({
            "reqId": key,
            "header": {
                "X-BAPI-TIMESTAMP": str(self._rest.stamp_ms()),
                "X-BAPI-RECV-WINDOW": str(RECV_WINDOW_MS),
            },
            "op": f"order.{verb}",
            "args": [query],
        })  # fmt: skip
        if not self.trade.send(frame):
            return False
        self.pending.add(
            key,
            lambda answer: self._answered(kind, verb, owns, answer, answer.get("data")),
            lambda _: self._lost(kind, owns),
        )
        return True

    async def _over_rest(self, kind: RequestKind, verb: str, query: Item, owns: list[Own]) -> None:
        try:
            await self._budget.acquire({"http": 1}, kind is RequestKind.CANCEL)
            answer = await self._rest.post(
                self._methods[verb], pool=self._pool(verb), deadline_s=ANSWER_S, **query
            )
        except VenueFault as fault:
            self._fault(kind, owns, fault)
        except NotSent:
            for own in owns:
                self._own.not_sent(own, kind)
        except VenueError:
            self._lost(kind, owns)
        else:
            self._items(kind, owns, answer.get("result"), answer.get("retExtInfo"))

    def _item(self, kind: RequestKind, own: Own) -> Item:
        terms = self._terms[own.instrument]
        item: Item = {"symbol": terms.item.symbol, "orderLinkId": own.client_id}
        if kind is RequestKind.PLACE:
            item["side"] = SIDE_TEXT[own.side]
            item["orderType"] = "Limit"
            item["qty"] = qty_text(terms, own.total)
            item["price"] = price_text(terms, own.tick)
            item["timeInForce"] = TIF_TEXT[TimeInForce(own.tif)]
            if self._category == "linear":
                item["positionIdx"] = 0
                item["reduceOnly"] = own.reduce_only
        elif kind is RequestKind.AMEND:
            if own.op_tick != own.tick:
                item["price"] = price_text(terms, own.op_tick)
            if own.op_total != own.total:
                item["qty"] = qty_text(terms, own.op_total)
        return item

    # --- answers ----------------------------------------------------------------------------------

    def hear(self, message: Mapping[str, Any]) -> None:
        """A frame of the trade socket."""
        key = message.get("reqId") or message.get("op")
        self.pending.answer(key, message)

    def _answered(
        self, kind: RequestKind, verb: str, owns: list[Own], answer: Item, data: object
    ) -> None:
        header = answer.get("header")
        header = header if isinstance(header, dict) else {}
        self._rest.limits(self._pool(verb), header)
        code = answer.get("retCode")
        if code == 0:
            self._items(kind, owns, data, answer.get("retExtInfo"))
            return
        if not isinstance(code, int):
            self._lost(kind, owns)
            return
        if code in DRAINING and self.trade is not None:
            self.trade.recycle(f"the venue asks for a new connection (code {code})")
        text = str(answer.get("retMsg", ""))
        fault = self._rest.refused(code, text, self._pool(verb), verb, header)
        self._fault(kind, owns, fault)

    def _items(self, kind: RequestKind, owns: list[Own], data: object, more: object) -> None:
        """An accepted call: the venue's id of a single order, or what became of each of many."""
        if len(owns) == 1:
            self._accepted(kind, owns[0], data)
            return
        rows = data.get("list") if isinstance(data, dict) else None
        codes = more.get("list") if isinstance(more, dict) else None
        if not isinstance(rows, list) or not isinstance(codes, list):
            self._lost(kind, owns)
            return
        for i, own in enumerate(owns):
            said = codes[i] if i < len(codes) and isinstance(codes[i], dict) else {}
            code = said.get("code")
            if code == 0 and i < len(rows):
                self._accepted(kind, own, rows[i])
            elif isinstance(code, int):
                text = str(said.get("msg", ""))
                where = f"bybit {VERBS[kind]}-batch"
                self._fault(kind, [own], CODES.fault(code, text, where=where))
            else:
                self._lost(kind, [own])

    def _accepted(self, kind: RequestKind, own: Own, data: object) -> None:
        venue_id = data.get("orderId") if isinstance(data, dict) else None
        if kind is RequestKind.PLACE and isinstance(venue_id, str):
            self._own.acked(own, venue_id)

    def _fault(self, kind: RequestKind, owns: list[Own], fault: VenueFault) -> None:
        unclear = fault.action is Action.OK
        unclear |= fault.action is Action.RESOLVE and fault.reject is not RejectCode.UNKNOWN_ORDER
        if unclear:
            self._lost(kind, owns)
        else:
            self._refuse(kind, owns, fault.reject)
        widely = fault.action in {Action.STOP, Action.HALT, Action.REFRESH}
        if widely or fault.code in CLOCK_CODES:
            self._on_fault(fault)

    def _refuse(self, kind: RequestKind, owns: list[Own], code: RejectCode) -> None:
        for own in owns:
            self._own.refused(own, kind, code)

    def _lost(self, kind: RequestKind, owns: list[Own]) -> None:
        for own in owns:
            self._own.unknown(own, kind)

    # --- outside of the engine --------------------------------------------------------------------

    async def sweep(self, client_ids: Sequence[tuple[Terms, str]]) -> None:
        """Cancel orders by their client id over REST; refusals are left to the next look."""
        for start in range(0, len(client_ids), BATCH_MAX):
            part = client_ids[start : start + BATCH_MAX]
            request = [
                {"symbol": terms.item.symbol, "orderLinkId": client_id} for terms, client_id in part
            ]
            try:
                await self._rest.ask(
                    self._methods["cancel-batch"],
                    pool=self._pool("cancel-batch"),
                    cost=len(part),
                    cancel=True,
                    category=self._category,
                    request=request,
                )
            except VenueFault as fault:
                if fault.action is Action.STOP:
                    raise
            except OutcomeUnknown:
                continue  # the caller looks again


__all__ = ["BATCH_MAX", "Desk", "pool_of", "pools"]
