"""Where orders go out and news of them comes in: one account at Hyperliquid.

Orders of one step go as one action, post-only ones apart from others, over the socket where it is
up and HTTP otherwise.  A modification gives the order a new number and the client id stays, so that
orders are followed by client id.  What nobody knows is asked for, and nothing is sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from mmcore.errors import MmcoreError, VenueError
from mmcore.events import Kind, RejectCode, RequestKind, TimeInForce
from mmcore.gateway import Action, VenueFault, VenueOrder, by_call
from mmcore.venue import DecodeError

from ._call import NotSent, OutcomeUnknown, Pending
from ._hyperliquid_account import Account
from ._hyperliquid_legs import Chain, Chains, Leg
from ._hyperliquid_signer import (
    TIFS,
    Signer,
    cancel_action,
    cloid,
    modify_action,
    order_wire,
    place_action,
)
from ._hyperliquid_void import Voids
from ._hyperliquid_words import (
    Item,
    OrderNews,
    in_order,
    is_untimely,
    items_of,
    meaning_of,
)
from ._own import Own, OwnOrders, VenueFill

BATCH = 40  # an action of more costs more weight
POSTS_MAX = 90  # on their way; the venue takes 100
DEADLINE_S = 2.0
PATIENCE_S = 0.25  # a quote that has to wait longer for the budget is no quote any more
ASK_EVERY_S = 0.05
ASKERS = 8  # questions on their way at the same time
HEIR_S = 0.1  # after a modification, the end of the old number gets so long to arrive by itself
OVERLAP_MS = 5_000
CANCEL_ROUND_S, CANCEL_ALL_S = 0.1, 10.0
MESSAGE = {"messages": 1}
ACTIONS = {
    RequestKind.PLACE: place_action,
    RequestKind.AMEND: modify_action,
    RequestKind.CANCEL: cancel_action,
}


class Sent(NamedTuple):
    """One item of an action.

    wire: what goes out for the order.  tick, size: what that asks for.  sent_ns: of the request, so
    that an answer that comes after the order has moved on is not taken for the next one's.
    """

    own: Own
    wire: dict[str, Any]
    tick: int
    size: int
    sent_ns: int

    def current(self, op: RequestKind) -> bool:
        """Whether the order still waits for this answer."""
        return self.own.op is op and self.own.sent_ns == self.sent_ns


class Desk:
    """See the module's first lines.

    assets: number of each instrument at the venue.  spawn: runs a coroutine beside.  on_fault: gets
    each refusal that somebody may have to act on.  on_foreign: gets fills that are of no order of
    this start.  socket: takes a frame, False where it surely did not leave; None: HTTP only.
    """

    def __init__(
        self,
        account: Account,
        signer: Signer,
        own: OwnOrders,
        assets: Mapping[int, int],
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_fault: Callable[[MmcoreError], None],
        on_foreign: Callable[[VenueFill], None],
        socket: Callable[[bytes], bool] | None,
        clock: Callable[[], int],
    ) -> None:
        self.account, self.own = account, own
        self._rest, self._coins = account.rest, account.coins
        self._signer, self._assets = signer, assets
        self._spawn, self._on_fault, self._on_foreign = spawn, on_fault, on_foreign
        self._socket, self._clock = socket, clock
        self._terms = {terms.number: terms for terms in account.coins.of.values()}
        self._chains = Chains()
        self._voids = Voids(account.rest, signer, self._chains, own)
        self._pending = Pending(f"{account.rest.venue} orders", DEADLINE_S)
        self._keys = count(1)
        self._askers = asyncio.Semaphore(ASKERS)
        self._asked: set[str] = set()  # client ids of questions on their way
        self._reading_fills = asyncio.Lock()
        self._read_ms = 0  # fills up to here are known
        self.since_ns = 0  # of the account's first reading: earlier fills are in its position

    # --- out --------------------------------------------------------------------------------------

    def send(self, requests: npt.NDArray[np.void]) -> None:
        """REQUEST rows of one step; see `Gateway.send`."""
        for call in by_call(requests):
            op = RequestKind(int(call["kind"][0]))
            items = [item for row in call if (item := self._item_of(op, row)) is not None]
            alo = [item for item in items if item.own.tif == TimeInForce.GTX]
            others = [item for item in items if item.own.tif != TimeInForce.GTX]
            for group in (items,) if op is RequestKind.CANCEL else (alo, others):
                for start in range(0, len(group), BATCH):
                    self._submit(op, group[start : start + BATCH])

    def _item_of(self, op: RequestKind, row: np.void) -> Sent | None:
        number = int(row["instrument"])
        asset = self._assets[number]
        own: Own | None
        if op is RequestKind.CANCEL:
            own = self.own.cancelling(row)
            if own is not None:
                self._chains.of(own.client_id).nonce = 0
            wire = {"asset": asset, "cloid": cloid(own.client_id)} if own else {}
            return Sent(own, wire, own.tick, 0, own.sent_ns) if own else None
        own = self.own.placing(row) if op is RequestKind.PLACE else self.own.amending(row)
        if own is None:
            return None
        placing = op is RequestKind.PLACE
        tick = own.tick if placing else own.op_tick
        # What filled since the engine decided is not asked for again.
        qty = own.total if placing else own.op_total - own.done
        if own.tif not in TIFS or qty <= 0:
            refused = Sent(own, {}, tick, qty, own.sent_ns)
            self._spawn(self._refuse_later([refused], op, RejectCode.OTHER))
            return None
        wire = order_wire(
            self._terms[number].item, asset, own.client_id, side=own.side, tick=tick, qty=qty,
            tif=own.tif, reduce_only=own.reduce_only,
        )  # fmt: skip
        if placing:
            self._chains.of(own.client_id).born_ms = self._rest.now_ms()
            return Sent(own, wire, tick, qty, own.sent_ns)
        chain = self._chains.of(own.client_id)
        chain.nonce = 0  # that of the request before must not stand for one that still waits here
        last = chain.last
        chain.modified = last.oid if last else ""
        modified = {"oid": int(last.oid) if last else cloid(own.client_id), "order": wire}
        return Sent(own, modified, tick, qty, own.sent_ns)

    async def _refuse_later(self, items: Sequence[Sent], op: RequestKind, code: RejectCode) -> None:
        """Rows are not told from within `send`."""
        for item in items:
            if item.current(op):
                self.own.refused(item.own, op, code)

    def _submit(self, op: RequestKind, items: list[Sent]) -> None:
        cancels = op is RequestKind.CANCEL
        if not self._rest.quota.take(len(items), cancels):
            self._spawn(self._refuse_later(items, op, RejectCode.RATE))
            return
        wait_s = self._rest.budget.take(MESSAGE, cancels) if self._socket else 0.0
        if wait_s == 0.0 and self._post(op, items, again=True):
            return
        self._spawn(self._later(op, items, wait_s))

    def _post(self, op: RequestKind, items: list[Sent], *, again: bool) -> bool:
        """Over the socket; False, and nothing sent, where it cannot take it."""
        if self._socket is None or len(self._pending) >= POSTS_MAX:
            return False
        key = next(self._keys)
        payload = self._payload(op, items)
        request = {"type": "action", "payload": payload}
        frame = orjson.dumps({"method": "post", "id": key, "request": request})
        if not self._socket(frame):
            return False
        self._pending.add(
            key,
            partial(self._answered, op, items, again),
            partial(self._failed, op, items),
        )
        return True

    def _payload(self, op: RequestKind, items: Sequence[Sent]) -> dict[str, Any]:
        payload = self._signer.payload(ACTIONS[op]([item.wire for item in items]))
        for item in items:
            self._chains.of(item.own.client_id).nonce = payload["nonce"]
        return payload

    async def _later(self, op: RequestKind, items: list[Sent], wait_s: float) -> None:
        """What could not leave at once."""
        cancels = op is RequestKind.CANCEL
        if wait_s > PATIENCE_S and not cancels:
            await self._refuse_later(items, op, RejectCode.RATE)
            return
        if wait_s > 0.0:
            await self._rest.budget.acquire(MESSAGE, cancels)
            if self._post(op, items, again=True):
                return
        await self._over_rest(op, items, again=True)

    async def _over_rest(self, op: RequestKind, items: list[Sent], *, again: bool) -> None:
        payload = self._payload(op, items)
        try:
            answer = await self._rest.act(payload, len(items), cancel=op is RequestKind.CANCEL)
        except VenueError as error:
            self._failed(op, items, error)
        else:
            self._outcome(op, items, answer, again)

    # --- answers ----------------------------------------------------------------------------------

    def post_answer(self, data: Mapping[str, Any]) -> None:
        """A message of the channel "post"."""
        self._pending.answer(data.get("id"), data.get("response"))

    def link_lost(self, why: str) -> None:
        """The socket is gone, and with it every answer on its way."""
        self._pending.lost(f"the connection went down ({why})")
        self.own.hold()

    def _answered(self, op: RequestKind, items: list[Sent], again: bool, response: Any) -> None:
        said = response if isinstance(response, dict) else {}
        if said.get("type") == "action":
            self._outcome(op, items, said.get("payload"), again)
            return
        text = str(said.get("payload"))
        meaning = meaning_of(text)
        if meaning.reject is RejectCode.RATE:
            self._outcome(op, items, {"status": "err", "response": text}, again)
        else:
            self._failed(op, items, OutcomeUnknown(f"the venue answered {text[:200]!r}"))

    def _outcome(self, op: RequestKind, items: list[Sent], answer: Any, again: bool) -> None:
        try:
            outcomes = items_of(answer, len(items))
        except DecodeError as error:
            self._failed(op, items, OutcomeUnknown(f"an answer that cannot be read ({error})"))
            return
        if again and is_untimely(outcomes[0].error):
            self._spawn(self._once_more(op, items))
            return
        for item, outcome in zip(items, outcomes, strict=True):
            self._item(op, item, outcome)

    async def _once_more(self, op: RequestKind, items: list[Sent]) -> None:
        """An action that was refused for its number or its times: with others it may pass.

        Not what was made void here: that is why it was refused.
        """
        items = [item for item in items if item.current(op) and not item.own.void]
        if not items:
            return
        self._signer.jump()
        try:
            await self._rest.sync_clock(urgent=True)
        except VenueError as error:
            self._failed(op, items, error)
            return
        if not self._post(op, items, again=False):
            await self._over_rest(op, items, again=False)

    def _item(self, op: RequestKind, sent: Sent, item: Item) -> None:
        own, size = sent.own, sent.size
        if item.error:
            if sent.current(op):
                self._refused(op, own, item.error)
        elif op is RequestKind.CANCEL:
            self.own.ended(own, Kind.CANCELLED, RejectCode.NONE, None)  # how far, the stream says
        elif item.oid:
            done = self._terms[own.instrument].qty(item.done) if item.done else 0
            word = "open" if not item.done else "filled" if done >= size else "iocCanceled"
            self._heard(
                own,
                OrderNews(
                    own.instrument, own.client_id, item.oid, own.side, sent.tick, size,
                    size - done, word, 0,
                ),
                asked=False,
            )  # fmt: skip

    def _refused(self, op: RequestKind, own: Own, text: str) -> None:
        meaning = meaning_of(text)
        last = self._chains.of(own.client_id).last
        if op is RequestKind.AMEND and last is not None and last.over and not last.filled:
            # The old number ended beside the modification, which waited for its answer.
            done = last.base + last.done
            self.own.ended(own, Kind.CANCELLED, RejectCode.NONE, done)
        else:
            self.own.refused(own, op, meaning.reject)
        if meaning.reject is RejectCode.RATE and not self.account.is_reading_quota:
            self._spawn(self.account.read_quota())
        if meaning.action is not Action.REQUOTE and meaning.action is not Action.RESOLVE:
            self._on_fault(
                VenueFault(
                    f"the venue refused: {text[:300]}", code=text.partition(".")[0][:60],
                    action=meaning.action, reject=meaning.reject, todo=meaning.todo,
                    where=self._rest.venue,
                )
            )  # fmt: skip

    def _failed(self, op: RequestKind, items: Sequence[Sent], error: MmcoreError) -> None:
        for item in items:
            own = item.own
            if not item.current(op):
                continue
            if isinstance(error, NotSent):
                self.own.not_sent(own, op)
            elif isinstance(error, VenueFault):
                self.own.refused(own, op, error.reject)
            else:
                self.own.unknown(own, op)
        if not isinstance(error, OutcomeUnknown):
            self._on_fault(error)

    # --- news -------------------------------------------------------------------------------------

    def updates(self, rows: Any) -> None:
        """The channel "orderUpdates".  Raises DecodeError."""
        for row in rows if isinstance(rows, list) else ():
            news = self._coins.update(row)
            own = self._find(news)
            if news is not None and own is not None:
                self._heard(own, news, asked=False)

    def fills(self, rows: Any) -> None:
        """Fills of the stream or of a reading.  Raises DecodeError."""
        for row in in_order(rows) if isinstance(rows, list) else ():
            fill = self._coins.fill(row)
            if fill is not None:
                self._read_ms = max(self._read_ms, fill.ts_ns // 1_000_000)
                self._fill(fill)

    def _fill(self, fill: VenueFill) -> None:
        """Those of this start, and what filled of earlier orders since the account was read."""
        known = self.own.find(client_id=fill.client_id, venue_id=fill.venue_id) is not None
        if known or fill.ts_ns > self.since_ns:
            self.own.filled(fill)
            if not known and not self.own.ids.own(fill.client_id):
                self._on_foreign(fill)

    def _find(self, news: OrderNews | None) -> Own | None:
        if news is None:
            return None
        return self.own.find(client_id=news.client_id, venue_id=news.oid)

    def _heard(self, own: Own, news: OrderNews, *, asked: bool) -> bool:
        """What the venue says of an order; False where it rests and should not."""
        chain = self._chains.of(own.client_id)
        if news.ending is Kind.REJECT and not chain.legs:
            self.own.refused(own, RequestKind.PLACE, news.code, ts_ns=news.ts_ns)
            return True
        leg = chain.meet(news)
        if leg is None:
            self._spawn(self._find_base(own, chain))
            return True
        resting = self._tell(own, chain, leg, news, asked)
        if chain.heir is not None and chain.legs[-1].over:
            heir, chain.heir = chain.heir, None
            return self._heard(own, heir, asked=False)
        return resting

    def _tell(self, own: Own, chain: Chain, leg: Leg, news: OrderNews, asked: bool) -> bool:
        if leg is not chain.last:
            return True  # an old number: its end has been counted
        self.own.acked(own, leg.oid)
        done = leg.base + leg.done
        if news.open:
            if leg.over:
                return True  # old news
            modifying = self._modifying(own, chain, leg.oid)
            if modifying and not (asked and self.own.settled(own, own.asked_ns)):
                return True  # of the number that goes: whether it does, only a new one says
            self._adopt(own, chain, leg)
            rests = self.own.resting(own, news.tick, leg.total, done, asked=asked, ts_ns=news.ts_ns)
            if not rests and not asked:
                self._spawn(self._cancel([(own.instrument, own.client_id)]))  # nobody wants it
            return rests
        ending = news.ending
        if ending is Kind.FILL:
            self.own.ended(own, Kind.FILL, RejectCode.NONE, leg.total, ts_ns=news.ts_ns)
        elif ending is Kind.REJECT:
            self.own.ended(own, Kind.EXPIRED, news.code, done, ts_ns=news.ts_ns)
        elif chain.heir is None and not asked and self._modifying(own, chain, leg.oid):
            # In favour of a new number, most likely: its answer will say, or has been lost.
            if own.asking:
                self._inquire(own)
        elif chain.heir is None:
            how = ending or Kind.EXPIRED  # a word nobody knows: it is not open
            self.own.ended(own, how, RejectCode.NONE, done, ts_ns=news.ts_ns)
        return True

    def _modifying(self, own: Own, chain: Chain, oid: str) -> bool:
        """Whether a modification of this number is on its way."""
        return own.op is RequestKind.AMEND and oid == chain.modified

    def _adopt(self, own: Own, chain: Chain, leg: Leg) -> None:
        """A new number is what the modification in flight asked for.

        What filled between the two is on top of what was asked for in all.
        """
        if own.op is RequestKind.AMEND and leg.oid != chain.modified:
            own.op_total = leg.total

    async def _find_base(self, own: Own, chain: Chain) -> None:
        """A new number is there and the old one's end is not: ask for it."""
        await asyncio.sleep(HEIR_S)
        last = chain.last
        if last is None or last.over or chain.heir is None:
            return
        try:
            await self._ask_leg(own, last)
        except VenueError as error:
            self._on_fault(error)  # the order itself is asked for again, later

    async def _ask_leg(self, own: Own, leg: Leg) -> None:
        news = await self.account.order(int(leg.oid))
        if news is not None and not news.open:
            self._heard(own, news, asked=False)

    # --- questions --------------------------------------------------------------------------------

    async def resolve(self) -> None:
        """Ask for what is not known, until cancelled."""
        while True:
            await asyncio.sleep(ASK_EVERY_S)
            for own in self.own.unresolved(self._clock()):
                self._inquire(own)

    def _inquire(self, own: Own) -> None:
        if own.client_id not in self._asked:
            self._asked.add(own.client_id)
            self._spawn(self._question(own))

    async def _question(self, own: Own) -> None:
        try:
            async with self._askers:
                await self._ask(own)
        except (DecodeError, VenueError) as error:
            fault = error if isinstance(error, VenueError) else VenueError(str(error))
            self._on_fault(fault)  # it is asked for again, later
        finally:
            self._asked.discard(own.client_id)

    async def _ask(self, own: Own) -> None:
        news = await self.account.order(cloid(own.client_id))
        if news is None:
            await self._voids.make([own])
            self.own.absent(own)
            return
        chain = self._chains.of(own.client_id)
        if news.open and self._modifying(own, chain, news.oid):
            await self._voids.make([own])
        last = chain.last
        if last is not None and last.oid != news.oid and not last.over:
            chain.heir = chain.heir or news
            await self._ask_leg(own, last)
        unwanted = not self._heard(own, news, asked=True)
        if own.done > own.told and not own.ended:
            await self._read_missing(own, chain)
        if unwanted or (news.open and own.op is RequestKind.CANCEL):
            await self._cancel([(own.instrument, own.client_id)])  # twice does no harm

    async def _read_missing(self, own: Own, chain: Chain) -> None:
        """Fills that the stream owes; one reading serves all who wait for it."""
        async with self._reading_fills:
            if own.done > own.told and not own.ended:
                self.fills(await self.account.fills(chain.born_ms - OVERLAP_MS))

    async def refill(self) -> None:
        """Read orders and fills after the private stream was away; see `OwnOrders.refill`."""
        asked_ns = self._clock()
        news = await self.account.open_orders(urgent=True)
        self.fills(await self.account.fills(self._read_ms - OVERLAP_MS))
        orders = []
        for each in news:
            own = self._find(each)
            leg = None
            if own is not None:
                chain = self._chains.of(own.client_id)
                last = chain.last
                if last is not None and last.oid != each.oid and not last.over:
                    await self._ask_leg(own, last)
                leg = chain.meet(each)
                if leg is not None:
                    self._adopt(own, chain, leg)
            if own is None or leg is not None:
                orders.append(self.venue_order(each, leg.base if leg is not None else 0))
        # Where a base is still missing the order is asked for, as everything that is not told here.
        unwanted = self.own.refill(orders, (), asked_ns=asked_ns)
        if unwanted:
            await self._cancel([(order.instrument, order.client_id) for order in unwanted])

    def mark(self, at_ms: int) -> None:
        """Fills up to this time of the venue are in the account's position."""
        self.since_ns = at_ms * 1_000_000
        self._read_ms = max(self._read_ms, at_ms)

    def venue_order(self, news: OrderNews, base: int = 0) -> VenueOrder:
        """An open order in the house's form; base: units filled under earlier numbers."""
        return VenueOrder(
            instrument=news.instrument,
            client_id=news.client_id,
            venue_id=news.oid,
            side=news.side,
            tick=news.tick,
            qty=base + news.size,
            done=base + news.done,
            own=self.own.ids.own(news.client_id),
        )

    # --- the end ----------------------------------------------------------------------------------

    async def cancel_all(self) -> int:
        """Every own order, of earlier starts too; returns how many there were.

        Raises VenueError when some may remain.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CANCEL_ALL_S
        cancelled: set[str] = set()
        pause_s = CANCEL_ROUND_S
        while True:
            left = "some own orders"
            try:
                orders = await self.account.open_orders(urgent=True)
            except VenueError as error:
                if loop.time() > deadline:
                    raise
                self._on_fault(error)
            else:
                ours = [each for each in orders if self.own.ids.own(each.client_id)]
                cancelled.update(each.client_id for each in ours)
                await self._cancel([(each.instrument, each.client_id) for each in ours])
                coming = self._coming()
                if not ours and not coming:
                    return len(cancelled)
                left = f"{len(ours) + len(coming)} own orders"
                await self._hasten(coming)
            if loop.time() > deadline:
                raise VenueError(
                    f"{left} may remain open", where=self._rest.venue,
                    done=f"mmcore cancelled {len(cancelled)} and gave up after {CANCEL_ALL_S:g} s",
                    todo="cancel them on Hyperliquid's own page",
                )  # fmt: skip
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)  # a reading is dear, and rarely are there more than two

    def _coming(self) -> list[Own]:
        """New orders that may have arrived, and may yet."""
        return [own for own in self.own.live.values() if own.op is RequestKind.PLACE]

    async def _hasten(self, coming: Sequence[Own]) -> None:
        """What has not arrived yet does not have to; what has, is asked for."""
        try:
            await self._voids.make(coming)
        except (DecodeError, VenueError) as error:
            self._on_fault(error if isinstance(error, VenueError) else VenueError(str(error)))
        for own in coming:
            self._inquire(own)

    async def _cancel(self, orders: Sequence[tuple[int, str]]) -> None:
        """Cancel by client id over HTTP; what is gone already is no matter here."""
        for start in range(0, len(orders), BATCH):
            some = orders[start : start + BATCH]
            action = cancel_action([
                {"asset": self._assets[number], "cloid": cloid(name)} for number, name in some
            ])  # fmt: skip
            self._rest.quota.take(len(some), True)
            try:
                answer = await self._rest.act(self._signer.payload(action), len(some), cancel=True)
                errors = {item.error for item in items_of(answer, len(some))} - {""}
            except (DecodeError, VenueError) as error:
                self._on_fault(error if isinstance(error, VenueError) else VenueError(str(error)))
                continue
            for text in errors:
                if meaning_of(text).reject is not RejectCode.UNKNOWN_ORDER:
                    self._on_fault(VenueError(f"a cancel was refused: {text[:200]}"))


__all__ = ["Desk"]
