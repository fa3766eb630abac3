"""Where orders go out and news of them comes in: one account's desk at Binance.

A single request goes over the WebSocket interface, at once where the budget has room; several of
one call go as a batch over REST (futures only).  Outcomes that nobody knows, endings that are ahead
of their fills and orders gone missing are asked for by client id, and nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mmcore.errors import MmcoreError, NetworkError, VenueError
from mmcore.events import Kind, RejectCode, RequestKind, TimeInForce
from mmcore.gateway import Action, VenueFault, VenueOrder, by_call
from mmcore.venue import DecodeError

from ._binance_account import Account
from ._binance_entry import Entry
from ._binance_faults import CLOCK_CODES, NO_SUCH_ORDER, NOT_CHANGED, refused_item
from ._binance_requests import Params, Product, batch_text, cancel
from ._binance_rest import Rest
from ._binance_words import OrderNews, order_answer
from ._call import NotSent, OutcomeUnknown
from ._decode import Terms
from ._own import Own, OwnOrders

PATIENCE_S = 0.25  # a quote that has to wait longer for the budget is no quote any more
ASK_EVERY_S = 0.05
ASKERS = 8  # questions on their way at the same time
CANCEL_ROUND_S, CANCEL_ALL_S = 0.1, 10.0

AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})

Pair = tuple[Own, Params]


class Desk:
    """See the module's first lines.

    spawn: runs a coroutine beside.  on_fault: gets each refusal that somebody may have to act on.
    on_foreign: gets news of orders that are not of this start.
    """

    def __init__(
        self,
        product: Product,
        account: Account,
        own: OwnOrders,
        terms: Mapping[int, Terms],
        *,
        entry: Entry | None,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_fault: Callable[[MmcoreError, int], None],
        on_foreign: Callable[[OrderNews], None],
        clock: Callable[[], int],
    ) -> None:
        self._product, self._account, self.own, self._terms = product, account, own, terms
        self._rest: Rest = account.rest
        self._entry = entry
        self._spawn, self._on_fault, self._on_foreign = spawn, on_fault, on_foreign
        self._clock = clock
        self._askers = asyncio.Semaphore(ASKERS)
        self._asked: set[str] = set()  # client ids of questions on their way
        self._reading = asyncio.Lock()
        self._read_up_to: dict[int, int] = {}  # trade id by instrument: REST has told all of these

    # --- out --------------------------------------------------------------------------------------

    def send(self, requests: npt.NDArray[np.void]) -> None:
        """REQUEST rows of one step; see `Gateway.send`."""
        for call in by_call(requests):
            op = RequestKind(int(call["kind"][0]))
            pairs = [pair for row in call if (pair := self._pair(op, row)) is not None]
            size = self._product.batch_sizes.get(op, 1)
            if len(pairs) == 1 or size == 1:
                for own, params in pairs:
                    self._single(op, own, params)
            elif op is RequestKind.CANCEL:
                for group in _by_symbol(pairs):
                    self._batches(op, group, size)
            else:
                self._batches(op, pairs, size)

    def _pair(self, op: RequestKind, row: np.void) -> Pair | None:
        terms = self._terms[int(row["instrument"])]
        own: Own | None
        if op is RequestKind.PLACE:
            own = self.own.placing(row)
            return own, self._product.place(terms, row, own.client_id)
        if op is RequestKind.AMEND:
            own = self.own.amending(row)
            if own is None:
                return None
            return own, self._product.amend(terms, row, own.client_id, int(row["done"]))
        own = self.own.cancelling(row)
        return None if own is None else (own, cancel(terms, own.client_id))

    def _single(self, op: RequestKind, own: Own, params: Params) -> None:
        paid = self._rest.budget.take(self._product.costs[op], op is RequestKind.CANCEL) == 0.0
        if not (paid and self._ask(op, own, params)):
            self._spawn(self._later(op, own, params, paid))

    async def _pay(self, op: RequestKind, cost: Mapping[str, int]) -> bool:
        """Take a call from the budget; False for a quote that would have to wait too long."""
        budget, cancels = self._rest.budget, op is RequestKind.CANCEL
        wait_s = budget.take(cost, cancels)
        if wait_s == 0.0:
            return True
        if wait_s > PATIENCE_S and not cancels:
            return False
        try:
            async with asyncio.timeout(None if cancels else PATIENCE_S):
                await budget.acquire(cost, cancels)
        except TimeoutError:
            return False
        return True

    def _batches(self, op: RequestKind, pairs: list[Pair], size: int) -> None:
        for start in range(0, len(pairs), size):
            self._spawn(self._batch(op, pairs[start : start + size]))

    def _ask(self, op: RequestKind, own: Own, params: Params, *, again: bool = True) -> bool:
        """Send it over the WebSocket interface; False where that is not there."""
        return self._entry is not None and self._entry.ask(
            self._product.methods[op],
            params,
            partial(self._answered, op, own),
            partial(self._failed_here, op, own, params, again),
        )

    def _failed_here(
        self, op: RequestKind, own: Own, params: Params, again: bool, error: MmcoreError
    ) -> None:
        """On the WebSocket interface; a request refused for its time alone goes once more."""
        if again and isinstance(error, VenueFault) and error.code in CLOCK_CODES:
            self._spawn(self._after_clock(op, own, params))
        else:
            self._failed(op, own, error)

    async def _after_clock(self, op: RequestKind, own: Own, params: Params) -> None:
        try:
            await self._rest.sync_clock()
        except VenueError as error:
            self._failed(op, own, error)
            return
        if not self._ask(op, own, params, again=False):
            await self._over_rest(op, own, params)

    async def _later(self, op: RequestKind, own: Own, params: Params, paid: bool) -> None:
        """A single request that could not leave at once."""
        if not paid:
            if not await self._pay(op, self._product.costs[op]):
                self.own.refused(own, op, RejectCode.RATE)
                return
            if self._ask(op, own, params):
                return
        await self._over_rest(op, own, params)

    async def _over_rest(self, op: RequestKind, own: Own, params: Params) -> None:
        verb, path = self._product.calls[op]
        try:
            answer = await self._rest.send(
                verb, path, self._product.costs[op], data=params, paid=True,
                cancel=op is RequestKind.CANCEL,
            )  # fmt: skip
        except VenueError as error:
            self._failed(op, own, error)
        else:
            self._answered(op, own, answer)

    async def _batch(self, op: RequestKind, pairs: list[Pair]) -> None:
        verb, cost = self._product.calls[op][0], self._product.batch_costs[op]
        if not await self._pay(op, cost):
            for own, _ in pairs:
                self.own.refused(own, op, RejectCode.RATE)
            return
        cancels = op is RequestKind.CANCEL
        if cancels:
            data = _cancels(pairs[0][1]["symbol"], [own.client_id for own, _ in pairs])
        else:
            data = {"batchOrders": batch_text([params for _, params in pairs])}
        try:
            answer = await self._rest.send(
                verb, "batchOrders", cost, data=data, paid=True, cancel=cancels, encoded=True
            )
            if not isinstance(answer, list) or len(answer) != len(pairs):
                raise OutcomeUnknown("a batch's answer does not match it", where=_route(verb))
        except VenueError as error:
            for own, _ in pairs:
                self._failed(op, own, error)
            return
        for (own, _), item in zip(pairs, answer, strict=True):
            fault = refused_item(item, where=_route(verb))
            if fault is None:
                self._answered(op, own, item)
            else:
                self._failed(op, own, fault)

    # --- in ---------------------------------------------------------------------------------------

    def _answered(self, op: RequestKind, own: Own, answer: Any) -> None:
        order = answer.get("amendedOrder", answer) if isinstance(answer, dict) else answer
        try:
            news = order_answer(self._terms[own.instrument], order)
        except (DecodeError, AttributeError, TypeError) as error:
            self._failed(op, own, OutcomeUnknown(f"an answer that cannot be read ({error})"))
        else:
            if op is RequestKind.PLACE and own.tif in AT_ONCE:
                # Taken, but whether it found anybody only the fills and the ending say.
                self.own.acked(own, news.venue_id)
            else:
                self._heard(own, news, asked=False)

    def _failed(self, op: RequestKind, own: Own, error: MmcoreError) -> None:
        if isinstance(error, OutcomeUnknown):
            self.own.unknown(own, op)
        elif isinstance(error, NotSent):
            self.own.not_sent(own, op)
        elif not isinstance(error, VenueFault):
            self.own.unknown(own, op)
            self._on_fault(error, own.instrument)
        elif error.code == NOT_CHANGED:
            self.own.amended(own, own.op_tick, own.op_total, own.done)
        elif error.action is Action.RESOLVE and error.reject is not RejectCode.UNKNOWN_ORDER:
            self.own.unknown(own, op)
        else:
            self.own.refused(own, op, error.reject)
            self._on_fault(error, own.instrument)

    def news(self, news: OrderNews) -> None:
        """What a private stream says of an order."""
        own = self.own.find(client_id=news.client_id, venue_id=news.venue_id)
        if news.fill is not None:
            self.own.filled(news.fill)
        if own is None:
            self._on_foreign(news)
        else:
            self._heard(own, news, asked=False)

    def _heard(self, own: Own, news: OrderNews, *, asked: bool) -> bool:
        """False where it rests and should not."""
        self.own.acked(own, news.venue_id)
        if news.done is None:
            return True
        if news.is_open:
            return self.own.resting(
                own, news.tick, news.qty, news.done, asked=asked, ts_ns=news.ts_ns
            )
        if news.is_filled:
            self.own.ended(own, Kind.FILL, RejectCode.NONE, news.done, ts_ns=news.ts_ns)
        elif news.ending is not None:
            self.own.ended(own, *news.ending, news.done, ts_ns=news.ts_ns)
        return True

    # --- questions --------------------------------------------------------------------------------

    async def resolve(self) -> None:
        """Ask for what is not known, until cancelled."""
        while True:
            await asyncio.sleep(ASK_EVERY_S)
            for own in self.own.unresolved(self._clock()):
                if own.client_id not in self._asked:  # else its turn at the budget is still to come
                    self._asked.add(own.client_id)
                    self._spawn(self._question(own))

    async def _question(self, own: Own) -> None:
        terms = self._terms[own.instrument]
        try:
            async with self._askers:
                wanted = await self._ask_venue(own, terms)
        finally:
            self._asked.discard(own.client_id)
        if not wanted:
            with suppress(NetworkError):  # it is asked for again, later
                await self._cancel(terms, [own.client_id])

    async def _ask_venue(self, own: Own, terms: Terms) -> bool:
        """False for an order that rests and should not: not known here, or to be cancelled."""
        try:
            news = await self._account.order(terms, own.client_id)
            if (news.done or 0) > own.told:
                await self._read_fills(terms)
        except VenueFault as fault:
            if fault.code == NO_SUCH_ORDER:
                self.own.absent(own)
            else:
                self._on_fault(fault, own.instrument)
            return True
        except VenueError as error:
            self._on_fault(error, own.instrument)  # it is asked for again, later
            return True
        return self._heard(own, news, asked=True) and own.op is not RequestKind.CANCEL

    async def mark(self) -> None:
        """Remember the latest fills: what comes later is news."""
        for number, terms in self._terms.items():
            self._read_up_to[number] = await self._account.newest_trade(terms)

    async def _read_fills(self, terms: Terms) -> None:
        """Tell the fills of an instrument since the last such reading.

        Of the whole instrument and not of one order, so that they are told in the venue's order:
        which fill closed which depends on it.
        """
        number = terms.number
        for fill in await self._account.fills_after(terms, self._read_up_to[number]):
            self.own.filled(fill)
            self._read_up_to[number] = max(self._read_up_to[number], fill.trade_id)

    async def refill(self) -> None:
        """Read orders and fills over REST: what the private stream did not tell is told."""
        async with self._reading:
            asked_ns = self._clock()
            orders: list[VenueOrder] = []
            for terms in self._terms.values():
                orders += await self._account.open_orders(terms)
            for terms in self._terms.values():
                await self._read_fills(terms)
            unwanted = self.own.refill(orders, (), asked_ns=asked_ns)
        for terms in self._terms.values():
            lost = [order.client_id for order in unwanted if order.instrument == terms.number]
            if lost:
                await self._cancel(terms, lost)

    # --- the end ----------------------------------------------------------------------------------

    async def cancel_all(self) -> int:
        """Every own order, of earlier starts too; returns how many there were.

        Raises VenueError when some may remain.
        """
        now = asyncio.get_running_loop().time
        deadline, cancelled, why = now() + CANCEL_ALL_S, set[str](), ""
        while now() < deadline:
            try:
                left = await self._cancel_round(cancelled)
            except NetworkError as error:
                left, why = 1, f" ({error.what})"
            coming = sum(own.op is RequestKind.PLACE for own in self.own.live.values())
            if left == 0 and coming == 0:
                return len(cancelled)
            await asyncio.sleep(CANCEL_ROUND_S)
        raise VenueError(
            f"own orders may remain open{why}", where=self._account.venue,
            done=f"mmcore cancelled {len(cancelled)} and gave up after {CANCEL_ALL_S:g} s",
            todo="cancel them on Binance's own page",
        )  # fmt: skip

    async def _cancel_round(self, cancelled: set[str]) -> int:
        """Look at each instrument once; how many own orders were still open."""
        left = 0
        for terms in self._terms.values():
            orders = await self._account.open_orders(terms, urgent=True)
            ours = [order.client_id for order in orders if order.own]
            cancelled.update(ours)
            left += len(ours)
            await self._cancel(terms, ours)
        return left

    async def _cancel(self, terms: Terms, client_ids: Sequence[str]) -> None:
        """Cancel by id, in the venue's batches; what is gone already is no matter here."""
        size = self._product.batch_sizes.get(RequestKind.CANCEL, 1)
        groups = (client_ids[start : start + size] for start in range(0, len(client_ids), size))
        await asyncio.gather(*(self._cancel_some(terms, list(group)) for group in groups))

    async def _cancel_some(self, terms: Terms, client_ids: list[str]) -> None:
        single = len(client_ids) == 1
        symbol, cost = terms.item.symbol, self._product.costs[RequestKind.CANCEL]
        data = cancel(terms, client_ids[0]) if single else _cancels(symbol, client_ids)
        async with self._askers:
            try:
                await self._rest.send(
                    "delete", "order" if single else "batchOrders", cost, data=data, cancel=True,
                    encoded=not single,
                )  # fmt: skip
            except (VenueFault, OutcomeUnknown) as error:
                gone = isinstance(error, VenueFault) and error.reject is RejectCode.UNKNOWN_ORDER
                if not gone:
                    self._on_fault(error, terms.number)


def _route(verb: str) -> str:
    return f"{verb.upper()} batchOrders"


def _cancels(symbol: str, client_ids: list[str]) -> Params:
    # In lower case, as both well-known clients write it.
    return {"symbol": symbol, "origclientorderidlist": batch_text(client_ids)}


def _by_symbol(pairs: list[Pair]) -> list[list[Pair]]:
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair[1]["symbol"], []).append(pair)
    return list(groups.values())


__all__ = ["Desk"]
