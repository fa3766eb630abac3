"""The truth about own orders, between an engine that counts slots and a venue that sends news.

News comes late, twice, in any order or never: an answer, the order stream, the fill stream and a
REST reading tell the same story in different words.  :class:`OwnOrders` takes all of it and tells
the engine each thing once: one ACK, every fill once, one ending, and that only after the last fill.
It sends nothing: what has to be asked for stands in :meth:`OwnOrders.unresolved`.

Quantities are units; ``total`` and ``done`` count from when the order was placed, as venues do,
``remaining`` in rows is ``total`` less the fills that were *told*, so that the engine's arithmetic
comes out whatever arrives first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mmcore.events import REQUEST, Flag, Kind, RejectCode, RequestKind
from mmcore.gateway import ClientIds, Rows, VenueOrder

from ._decode import Terms
from ._own_rows import ORPHAN_SLOT, Own, Tale, VenueFill

SECOND = 1_000_000_000
PAST_MAX = 20_000  # ended orders remembered, for news that comes late
HOLD_NS = 15 * SECOND  # at most, fills wait for a reading of all of them
TRADES_MAX = 200_000  # trade ids remembered
STRAYS_MAX = 1_000  # fills kept whose order is not known yet
ASK_FIRST_NS = 200_000_000  # what is merely late gets this long
ASK_LONGEST_NS = 5 * SECOND
ABSENT_TIMES = 2  # an order that did rest is given up at the second "no such order"

# Places of a request's fields in the tuple that numpy makes of a row, ten times as fast as by name.
_SIDE, _TIF, _INSTRUMENT, _SLOT, _GENERATION, _REDUCE_ONLY, _TICK, _QTY, _DONE = map(
    (REQUEST.names or ()).index,
    ("side", "tif", "instrument", "slot", "generation", "reduce_only", "tick", "qty", "done"),
)

LAST = int(Flag.LAST)


class OwnOrders:
    """Own orders of one gateway; see the module's first lines.

    ids: names orders.  terms: by instrument number.  emit: gets rows, last thing in each call, and
    may come back with new requests.  clock: receive time, ns.  notice: gets a sentence that a user
    should read.  answer_ns: a request unanswered for so long is asked for.  settle_ns: from then
    on a request can no longer arrive at the venue (its receive window, and a margin): "no such
    order" and "unchanged" count from here.
    """

    def __init__(
        self,
        ids: ClientIds,
        terms: Mapping[int, Terms],
        emit: Callable[[Rows], None],
        clock: Callable[[], int],
        *,
        notice: Callable[[str], None] = lambda text: None,  # noqa: ARG005
        answer_ns: int = 2 * SECOND,
        settle_ns: int = 6 * SECOND,
    ) -> None:
        self.ids = ids
        self.emit = emit
        self.clock = clock
        self.answer_ns = answer_ns
        self.settle_ns = settle_ns
        self.live: dict[str, Own] = {}
        self.n_unknown = 0
        self.n_duplicates = 0
        self.n_orphans = 0
        self.n_lost = 0
        self._past: OrderedDict[str, Own] = OrderedDict()
        self._by_venue: dict[str, Own] = {}
        self._trades: OrderedDict[tuple[int, int, int], None] = OrderedDict()
        self._strays: OrderedDict[str, list[VenueFill]] = OrderedDict()
        self._held: dict[tuple[int, int, int], VenueFill] = {}  # until they can be put in order
        self._hold_until_ns = 0
        self._tale = Tale(terms, clock, notice)

    # --- requests ---------------------------------------------------------------------------------

    def placing(self, request: np.void) -> Own:
        """A new order is about to be sent; its client id is ``own.client_id``."""
        fields: Any = request.item()
        slot, generation = fields[_SLOT], fields[_GENERATION]
        own = Own(
            instrument=fields[_INSTRUMENT],
            slot=slot,
            generation=generation,
            client_id=self.ids.make(slot, generation),
            side=fields[_SIDE],
            tick=fields[_TICK],
            total=fields[_QTY],
            tif=fields[_TIF],
            reduce_only=bool(fields[_REDUCE_ONLY]),
            sent_ns=self.clock(),
        )
        self.live[own.client_id] = own
        return own

    def amending(self, request: np.void) -> Own | None:
        """An amend to ``own.op_tick``, ``own.op_total``; None where the order is gone already."""
        return self._asking_for(request, RequestKind.AMEND)

    def cancelling(self, request: np.void) -> Own | None:
        """A cancel; None where the order is gone already, and its ending told or on its way."""
        return self._asking_for(request, RequestKind.CANCEL)

    def _asking_for(self, request: np.void, op: RequestKind) -> Own | None:
        fields: Any = request.item()
        own = self.live.get(self.ids.make(fields[_SLOT], fields[_GENERATION]))
        if own is None:
            return None
        own.op = op
        if op is RequestKind.AMEND:
            own.op_tick = fields[_TICK]
            own.op_total = fields[_DONE] + fields[_QTY]
        own.sent_ns, own.void = self.clock(), False
        if own.final is not None:
            return None
        own.asking = own.done > own.told
        own.n_asked = own.n_absent = 0
        return own

    # --- what the venue says ----------------------------------------------------------------------

    def acked(self, own: Own, venue_id: str) -> None:
        """The venue took the order and calls it so; whether it rests is another matter.

        To be called first with any news that names the order: fills may name nothing else.
        """
        if venue_id and own.venue_id != venue_id:
            own.venue_id = venue_id
            self._by_venue[venue_id] = own
            for fill in self._strays.pop(venue_id, ()):
                self._fill(fill, own)
        self._flush()

    def resting(
        self, own: Own, tick: int, qty_total: int, done: int, *, asked: bool = False, ts_ns: int = 0
    ) -> bool:
        """The order is in the book with these figures; ``asked``: an answer to a question.

        False where it should not be there: its ending has been told.  After a question that means
        that the gateway must cancel it.
        """
        if not own.ended and own.final is None:
            self._resting(own, tick, qty_total, done, asked, ts_ns)
            self._flush()
        return not own.ended

    def amended(self, own: Own, tick: int, qty_total: int, done: int, *, ts_ns: int = 0) -> None:
        """The venue confirms an amend to these figures."""
        self.resting(own, tick, qty_total, done, ts_ns=ts_ns)

    def hold(self) -> None:
        """The stream is gone: fills wait a while for the next refill, and are told in order."""
        self._hold_until_ns = self.clock() + HOLD_NS

    def filled(self, fill: VenueFill, *, again: bool = False) -> bool:
        """One fill, from a stream or a reading.  False for one that was known already.

        again: of a reading that overlaps what was told before, so that it is no news that it was.
        """
        if again and (fill.instrument, fill.side, fill.trade_id) in self._trades:
            return False
        if self.clock() < self._hold_until_ns:
            return self._hold(fill) not in self._trades
        self._release()
        own = self.find(client_id=fill.client_id, venue_id=fill.venue_id)
        told = self._fill(fill, own)
        self._flush()
        return told

    def ended(
        self, own: Own, how: Kind, code: RejectCode, done: int | None, *, ts_ns: int = 0
    ) -> None:
        """The order is gone: ``how`` is CANCELLED, EXPIRED, or FILL for one filled whole.

        done: what was filled of it in all; None where this news does not say, then it is asked for.
        The engine hears of it when the fills up to there have been told.
        """
        if own.ended:
            return
        own.heard_ns = self.clock()
        if done is None:
            self._ask(own, ASK_FIRST_NS)
        else:
            own.done = max(own.done, done)
            own.final = (how, int(code), max(done, own.told))
            if own.told >= done:
                self._end(own, ts_ns)
            else:
                self._ask(own, ASK_FIRST_NS)
        self._flush()

    def refused(self, own: Own, op: RequestKind, code: RejectCode, *, ts_ns: int = 0) -> None:
        """The venue refused a request.

        "Unknown order" in answer to an amend or a cancel is not told: the order is asked for, and
        what became of it is.
        """
        if own.ended or own.op is not op or (op is RequestKind.PLACE and own.acked):
            return
        if op is not RequestKind.PLACE and code is RejectCode.UNKNOWN_ORDER:
            self._ask(own, ASK_FIRST_NS)
        else:
            self._refuse(own, code, ts_ns)
        self._flush()

    def not_sent(self, own: Own, op: RequestKind) -> None:
        """A request surely never left: no line to the venue.

        A new order, or a change, is refused with this.  A cancel is still wanted: it counts as
        under way, so that nobody asks for it again and again, and goes out when the venue is asked
        about the order.
        """
        if op is RequestKind.CANCEL:
            self.unknown(own, op)
        else:
            self.refused(own, op, RejectCode.OTHER)

    def unknown(self, own: Own, op: RequestKind) -> None:
        """Nobody knows what became of a request: it is asked for, at once."""
        if not own.ended and own.op is op:
            self.n_unknown += 1
            self._ask(own, 0)

    def void(self, own: Own) -> None:
        """What was sent for it never arrived, and never will: the venue itself has seen to that.

        A new order is refused with this.  Of another request the next reading says how the order
        stands, and is believed at once.
        """
        if own.ended or own.op is None:
            return
        own.void = True
        if own.op is RequestKind.PLACE and not own.acked and own.told == 0:
            self._refuse(own, RejectCode.OTHER, 0)
        else:
            self._ask(own, 0)
        self._flush()

    def settled(self, own: Own, asked_ns: int) -> bool:
        """Whether a reading of then must show the effect of what was sent."""
        wait_ns = self.settle_ns if own.op is not None and not own.void else 0
        return asked_ns >= own.sent_ns + wait_ns

    def absent(self, own: Own) -> None:
        """The venue, asked as :meth:`unresolved` wanted, knows no such order."""
        if own.ended or own.final is not None:
            return
        if not self.settled(own, own.asked_ns):
            self._ask(own, 0)
        elif not own.acked and own.told == 0:
            self._refuse(own, RejectCode.OTHER, 0)
        else:
            own.n_absent += 1
            if own.n_absent < ABSENT_TIMES:
                self._ask(own, 0)
            else:
                self.n_lost += 1
                own.final = (Kind.CANCELLED, 0, own.told)
                self._end(own, 0)
        self._flush()

    # --- what to ask, and what a reading says -----------------------------------------------------

    def find(self, *, client_id: str = "", venue_id: str = "") -> Own | None:
        """An order of this start, ended ones included for a while."""
        own = self.live.get(client_id) or self._past.get(client_id) if client_id else None
        return own or (self._by_venue.get(venue_id) if venue_id else None)

    @property
    def n_in_doubt(self) -> int:
        """Orders that the venue is being asked about."""
        return sum(own.asking and own.n_asked > 0 for own in self.live.values())

    def unresolved(self, now_ns: int) -> list[Own]:
        """Orders to be asked for by now, with their fills where ``done`` is ahead of ``told``.

        Each is named again, later and later, until what it lacks has come.  The answers to one call
        must be in, or given up, before the next call: they are judged by when they were asked.
        """
        wanted = []
        for own in self.live.values():
            if own.op is not None and not own.asking and now_ns - own.sent_ns >= self.answer_ns:
                self.n_unknown += 1
                self._ask(own, 0)
            if own.asking and own.ask_ns <= now_ns:
                own.asked_ns = now_ns
                own.n_asked += 1
                wait = min(ASK_FIRST_NS << min(own.n_asked, 10), ASK_LONGEST_NS)
                own.ask_ns = now_ns + wait
                wanted.append(own)
        return wanted

    def refill(
        self,
        open_orders: Iterable[VenueOrder],
        fills: Iterable[VenueFill],
        complete: bool = True,
        *,
        asked_ns: int,
    ) -> list[VenueOrder]:
        """A REST reading begun at ``asked_ns``: what happened while nobody listened.

        complete: every open order is in it, so that one that is missing is asked for.  Returns
        orders of our prefix that should not be there: the gateway cancels them.
        """
        unwanted, seen = [], set()
        for fill in fills:
            self._hold(fill)
        self._release()
        for order in open_orders:
            own = self.find(client_id=order.client_id, venue_id=order.venue_id)
            if own is None or own.ended:
                unwanted += [order] if order.own else []
                continue
            seen.add(own.client_id)
            own.asked_ns = asked_ns
            self.acked(own, order.venue_id)
            if own.final is None:
                self._resting(own, order.tick, order.qty, order.done, True, 0)
        for own in self.live.values():
            if complete and own.client_id not in seen and own.sent_ns < asked_ns:
                self._ask(own, 0)
            if own.asking:  # the line is there: no need to wait for a pause that grew without it
                own.n_asked, own.ask_ns = 0, min(own.ask_ns, self.clock())
        self._flush()
        return unwanted

    def coin_dust(self, instrument: int, balance: int) -> None:
        """The coin balance (quanta) before the first order: its part below a unit absorbs fees."""
        self._tale.coin_dust(instrument, balance)

    def _hold(self, fill: VenueFill) -> tuple[int, int, int]:
        key = (fill.instrument, fill.side, fill.trade_id)
        self._held[key] = self._held.pop(key, fill)  # a reading that names it again knows its place
        return key

    def _release(self) -> None:
        """Tell what was held back, as it happened."""
        held, self._held, self._hold_until_ns = self._held, {}, 0
        for fill in sorted(held.values(), key=lambda fill: fill.ts_ns):
            self._fill(fill, self.find(client_id=fill.client_id, venue_id=fill.venue_id))

    # --- inside -----------------------------------------------------------------------------------

    def _resting(self, own: Own, tick: int, total: int, done: int, asked: bool, ts_ns: int) -> None:
        now = self.clock()
        own.done = max(own.done, done)
        if own.op is RequestKind.PLACE or not own.acked:
            self._ack(own, tick, total, ts_ns)
        elif own.op is RequestKind.AMEND and (tick, total) == (own.op_tick, own.op_total):
            self._amend(own, tick, total, ts_ns)
        elif asked and self.settled(own, own.asked_ns) and own.heard_ns <= own.asked_ns:
            # Whatever was sent has arrived or never will: this is how it stands.
            if (tick, total) != (own.tick, own.total):
                self._amend(own, tick, total, ts_ns)
            elif own.op is not None:
                self._refuse(own, RejectCode.OTHER, ts_ns)
            else:
                own.asking = False
        elif asked or (own.op is None and (tick, total) != (own.tick, own.total)):
            self._ask(own, 0)  # old news, or something nobody here asked for
        if own.done > own.told:
            self._ask(own, ASK_FIRST_NS)
        if not asked:
            own.heard_ns = now

    def _ask(self, own: Own, delay_ns: int) -> None:
        due = self.clock() + delay_ns
        if own.asking and own.n_asked:
            return  # its next turn is set
        own.ask_ns = min(own.ask_ns, due) if own.asking else due
        own.asking = True

    def _answered(self, own: Own) -> None:
        own.op = None
        own.asking = own.done > own.told
        own.n_asked = own.n_absent = 0
        own.heard_ns = self.clock()

    def _ack(self, own: Own, tick: int, total: int, ts_ns: int) -> None:
        own.acked = True
        own.tick, own.total = tick, total
        if own.op is RequestKind.PLACE:
            self._answered(own)
        self._tale.tell(own, Kind.ACK, ts_ns, tick=own.tick, qty=own.remaining)

    def _amend(self, own: Own, tick: int, total: int, ts_ns: int) -> None:
        if total <= own.told:  # nothing of it is left: the venue is about to say that it ended
            self._ask(own, ASK_FIRST_NS)
            return
        own.tick, own.total = tick, total
        self._answered(own)
        self._tale.tell(own, Kind.AMENDED, ts_ns, tick=tick, qty=own.remaining)

    def _refuse(self, own: Own, code: RejectCode, ts_ns: int) -> None:
        placing = own.op is RequestKind.PLACE
        self._answered(own)
        self._tale.tell(own, Kind.REJECT, ts_ns, tick=own.tick, qty=own.remaining, code=int(code))
        if placing or own.remaining == 0:
            self._bury(own)

    def _fill(self, fill: VenueFill, own: Own | None) -> bool:
        key = (fill.instrument, fill.side, fill.trade_id)
        if key in self._trades:
            self.n_duplicates += 1
            return False
        if own is None and not fill.forced and not self.ids.own(fill.client_id):
            self._stray(fill)
            return False
        self._trades[key] = None
        if len(self._trades) > TRADES_MAX:
            self._trades.popitem(last=False)
        if own is None or own.ended:
            self.n_orphans += 1
            self._tale.fill(fill, own, 0)
            return True
        if fill.venue_id and not own.venue_id:
            own.venue_id = fill.venue_id
            self._by_venue[fill.venue_id] = own
        if not own.acked:
            self._ack(own, own.tick, own.total, fill.ts_ns)
        self._book(fill, own)
        return True

    def _book(self, fill: VenueFill, own: Own) -> None:
        own.told += fill.qty
        own.done = max(own.done, own.told, fill.done or 0)
        if fill.last and own.final is None:
            whole = own.told if own.op is RequestKind.AMEND else own.total
            own.final = (Kind.FILL, 0, max(own.told, whole if fill.done is None else fill.done))
        elif own.final is None and own.told >= own.most:
            own.final = (Kind.FILL, 0, own.told)
        own.heard_ns = self.clock()
        if own.final is None or own.told < own.final[2]:
            self._tale.fill(fill, own, 0)
            if own.done > own.told:
                self._ask(own, ASK_FIRST_NS)
            elif own.op is None:
                own.asking = False
        elif own.final[0] is Kind.FILL:
            self._tale.fill(fill, own, LAST)
            self._bury(own)
        else:
            self._tale.fill(fill, own, 0)
            self._end(own, fill.ts_ns)

    def _stray(self, fill: VenueFill) -> None:
        """A fill of an order whose venue id is still to come, or of somebody else."""
        if not fill.venue_id or fill.client_id:
            return
        kept = self._strays.setdefault(fill.venue_id, [])
        if all(other.trade_id != fill.trade_id for other in kept):
            kept.append(fill)
        if len(self._strays) > STRAYS_MAX:
            self._strays.popitem(last=False)

    def _end(self, own: Own, ts_ns: int) -> None:
        assert own.final is not None
        how, code, _ = own.final
        remaining = own.remaining
        if how is Kind.FILL and own.op is RequestKind.AMEND and remaining == 0:
            # The fills emptied what the engine knew of it: only the amend still wants an answer.
            how, code = Kind.REJECT, int(RejectCode.UNKNOWN_ORDER)
        elif how is Kind.FILL:
            how = Kind.CANCELLED
        self._tale.tell(own, how, ts_ns, tick=own.tick, qty=remaining, code=code)
        self._bury(own)

    def _bury(self, own: Own) -> None:
        own.ended = True
        own.op = None
        own.asking = False
        self.live.pop(own.client_id, None)
        self._past[own.client_id] = own
        if len(self._past) > PAST_MAX:
            old = self._past.popitem(last=False)[1]
            self._by_venue.pop(old.venue_id, None)

    def _flush(self) -> None:
        """Out with the rows, after everything is in order: the engine may answer at once."""
        if self._tale:
            self.emit(self._tale.take())


__all__ = ["ORPHAN_SLOT", "Own", "OwnOrders", "VenueFill"]
