"""The requests of a run, sent again to a simulated venue: what would have been filled?

Own orders are taken from the journal as they were sent, so that nothing differs but the venue: how
long a request travelled, and where in the queue it stood.  An order that was filled in the run is
left at the simulated venue for another second, so that a later fill counts as late, not as missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._intake import select
from ._venue import Venue
from .band import Model
from .events import REQUEST, Flag, Kind, Reason, RecordKind, RequestKind
from .paper import latency_of
from .recording import heads_of
from .retrace import Recorded
from .wiring import rules_of, start_of

Rows = NDArray[np.void]
Ints = NDArray[np.int64]
GRACE_NS = 1_000_000_000
SLOTS = 65_535
OVER = (RecordKind.CANCELLED, RecordKind.EXPIRED, RecordKind.REJECT)
ASKS = (RecordKind.PLACE, RecordKind.AMEND, RecordKind.CANCEL)


@dataclass(frozen=True, slots=True)
class Fills:
    """Fills: by number of the order, when they were known, how many units."""

    order: Ints
    ts_ns: Ints
    qty: Ints

    def by_order(self, n: int) -> Ints:
        """Units filled of each of ``n`` orders."""
        return np.bincount(self.order, self.qty, n).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders of one instrument in a run, in the order in which they were placed.

    placed_ns: when each was sent.  ended_ns: when its end was known, or the run was over.  filled:
    units that were filled.  refused: whether the venue never let it rest, or expired it.  side,
    tick: where it stood last.  fills: of the run.  requests: REQUEST rows, their generation the
    order's number, from which the slot follows; answered_ns: when each was answered, 0 never.
    """

    placed_ns: Ints
    ended_ns: Ints
    filled: Ints
    refused: NDArray[np.bool_]
    side: Ints
    tick: Ints
    fills: Fills
    requests: Rows
    answered_ns: Ints

    def __len__(self) -> int:
        return len(self.placed_ns)


@dataclass(slots=True)
class _Order:
    placed_ns: int
    ended_ns: int
    filled: int = 0
    refused: bool = False
    side: int = 0
    tick: int = 0
    asked: int = -1  # its last request


class _Reader:
    """Puts orders together from records."""

    def __init__(self, end_ns: int) -> None:
        self._end_ns = end_ns
        self._numbers: dict[tuple[int, int], int] = {}
        self.orders: list[_Order] = []
        self.fills: list[tuple[int, int, int]] = []
        self.requests: list[Rows] = []
        self.answered: list[int] = []

    def read(self, record: dict[str, int]) -> None:
        """Take the next record."""
        key, kind, ts_ns = (record["slot"], record["generation"]), record["kind"], record["ts_ns"]
        if kind == RecordKind.PLACE:
            self._numbers[key] = len(self.orders)
            self.orders.append(_Order(ts_ns, self._end_ns))
        number = self._numbers.get(key)
        if number is None:  # a status, a payment, or a fill of an order from before the run
            return
        order = self.orders[number]
        if kind in (RecordKind.PLACE, RecordKind.AMEND, RecordKind.FILL):
            order.side, order.tick = record["side"], record["tick"]
        if kind in ASKS:
            order.asked = len(self.requests)
            self.requests.append(_request(record, number, order.filled))
            self.answered.append(0)
        else:
            self._answer(order, number, record)

    def _answer(self, order: _Order, number: int, record: dict[str, int]) -> None:
        kind, ts_ns = record["kind"], record["ts_ns"]
        placing = bool(self.requests[order.asked]["kind"][0] == RequestKind.PLACE)
        if not self.answered[order.asked]:
            self.answered[order.asked] = ts_ns
        if kind == RecordKind.FILL:
            order.filled += record["qty"]
            self.fills.append((number, ts_ns, record["qty"]))
            if record["flags"] & Flag.LAST:
                order.ended_ns = ts_ns
        elif kind in OVER and (kind != RecordKind.REJECT or placing):
            order.ended_ns = ts_ns
            order.refused = kind != RecordKind.CANCELLED


def orders_of(records: Rows, instrument: int) -> Orders:
    """The orders of one instrument, from the records of a run."""
    mine = records[records["instrument"] == instrument]
    names = mine.dtype.names or ()
    reader = _Reader(int(mine["ts_ns"][-1]) if len(mine) else 0)
    for row in mine.tolist():
        reader.read(dict(zip(names, row, strict=True)))
    made = reader.orders
    fills = np.array(reader.fills, np.int64).reshape(-1, 3).T.copy()
    return Orders(
        placed_ns=np.array([order.placed_ns for order in made], np.int64),
        ended_ns=np.array([order.ended_ns for order in made], np.int64),
        filled=np.array([order.filled for order in made], np.int64),
        refused=np.array([order.refused for order in made], np.bool_),
        side=np.array([order.side for order in made], np.int64),
        tick=np.array([order.tick for order in made], np.int64),
        fills=Fills(fills[0], fills[1], fills[2]),
        requests=np.concatenate(reader.requests) if made else np.zeros(0, REQUEST),
        answered_ns=np.array(reader.answered, np.int64),
    )


def _request(record: dict[str, int], number: int, done: int) -> Rows:
    row = np.zeros(1, REQUEST)
    row["kind"], row["side"], row["tif"] = record["kind"], record["side"], record["flags"]
    row["reason"], row["slot"], row["generation"] = record["code"], number % SLOTS, number
    row["reduce_only"] = record["code"] == Reason.FLATTEN and record["kind"] == RequestKind.PLACE
    row["ts_ns"], row["tick"], row["qty"] = record["ts_ns"], record["tick"], record["qty"]
    row["done"] = done
    return row


class Shadow:
    """One instrument's orders of a run, ready to be sent to simulated venues.

    recorded: the run.  instrument: its number.
    """

    def __init__(self, recorded: Recorded, instrument: int) -> None:
        tape = recorded.tape
        self._spec = tape.instruments[instrument].spec(0)
        plan = recorded.config.instruments[instrument]
        self._position = start_of(plan, tape.instruments[instrument])
        self._model = recorded.config.simulation
        self._seed = recorded.config.market.seed + instrument
        self._live = recorded.live
        self.orders = orders_of(recorded.records, instrument)
        numbers = [0 if i == instrument else -1 for i in range(len(tape.instruments))]
        self.market, self._head_ns, self.heads = _market(tape.rows, numbers, tape.clock)

    def measured(self) -> tuple[Ints, int]:
        """How long every request travelled, ns, and how long answers do.

        A live run's: half of what passed until it was answered, of those that never were, the
        median half.  A paper run's latency is known.
        """
        if not self._live:
            return self.configured()
        sent, answered = self.orders.requests["ts_ns"], self.orders.answered_ns
        known = answered > 0
        half = int(np.median((answered - sent)[known])) // 2 if known.any() else 0
        return np.where(known, (answered - sent) // 2, half), half

    def configured(self) -> tuple[Ints, int]:
        """As `measured`, by the table [simulation] of the configuration."""
        latency = latency_of(self._model, self._seed)
        rows = self.orders.requests
        cancels = (rows["kind"] == RequestKind.CANCEL).tolist()
        pairs = zip(rows["ts_ns"].tolist(), cancels, strict=True)
        entry = [latency.entry(ts_ns, cancel) for ts_ns, cancel in pairs]
        return np.array(entry, np.int64), latency.response(0)

    def send(self, model: Model, travel: tuple[Ints, int]) -> Fills:
        """What a simulated venue with this queue model fills of the orders."""
        entry_ns, response_ns = travel
        venue = Venue(
            self._spec,
            rules=rules_of(self._model),
            order_rate=self._model.order_rate or 0,
            queue=model.queue,
            exponent=model.exponent or 1.0,
            position=self._position,
            n_slots=min(len(self.orders) + 1, SLOTS),
        )
        due, requests = self._script(entry_ns)
        places = np.append(self.heads, len(self.market))
        cuts = places[np.searchsorted(self._head_ns, due, side="right")].tolist()
        told, done = [], 0
        for request, due_ns, cut in zip(requests, due.tolist(), cuts, strict=True):
            if cut > done:
                told.append(venue.market(self.market[done:cut]))
                done = cut
            told.append(venue.request(request, due_ns))
        told.append(venue.market(self.market[done:]))
        answers = np.concatenate(told)
        fills = answers[answers["kind"] == Kind.FILL]
        return Fills(
            fills["generation"].astype(np.int64), fills["ts_venue_ns"] + response_ns, fills["qty"]
        )

    def _script(self, entry_ns: Ints) -> tuple[Ints, Rows]:
        """All requests and the ends of the orders, in order of arrival at the venue."""
        sent = self.orders.requests
        due = np.maximum.accumulate(sent["ts_ns"] + entry_ns) if len(sent) else sent["ts_ns"]
        n = len(self.orders)
        ends = np.zeros(n, REQUEST)
        ends["kind"] = RequestKind.CANCEL
        ends["generation"] = np.arange(n)
        ends["slot"] = np.arange(n) % SLOTS
        late = np.where(self.orders.filled > 0, GRACE_NS, 0)
        after = np.concatenate([due, np.maximum(self.orders.ended_ns, 0) + late])
        order = np.argsort(after, kind="stable")
        return after[order], np.concatenate([sent, ends])[order]


def _market(rows: Rows, numbers: list[int], clock: str) -> tuple[Rows, Ints, Ints]:
    """Market rows of one instrument at the venue's times; time and place of every message."""
    mine = select(np.ascontiguousarray(rows), numbers)
    heads = heads_of(mine)
    kinds = mine["kind"][heads]
    market = ~(((kinds >= Kind.ACK) & (kinds <= Kind.TIMER)) | (kinds == Kind.PAID))
    if clock == "two":
        market &= (mine["flags"][heads] & Flag.EXCH) > 0
    sizes = np.diff(np.append(heads, len(mine)))
    kept = mine[np.repeat(market, sizes)]
    heads = np.append(0, np.cumsum(sizes[market]))[:-1]
    if clock == "local":
        kept["ts_venue_ns"][heads] = kept["ts_local_ns"][heads]
    return kept, kept["ts_venue_ns"][heads].copy(), heads


__all__ = ["GRACE_NS", "Fills", "Orders", "Shadow", "orders_of"]
