"""Fills, the touch around them and the orders behind them, as arrays for measuring.

Everything is plain numpy, so that a notebook, a run directory and a tape of somebody else's with
its fills can be measured by the same functions (`attribution`, `markouts`, `metrics`).  Prices are
ticks, quantities units, times nanoseconds; a mid is a float of ticks, since it may lie on a half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .events import RecordKind

QUANTA = 1e-8
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: One row a fill.  ts_ns: when the venue made it, on the clock of the path.  seen_ns: when we were
#: told.  order: number of the order in ORDERS, -1 unknown.  fee: quanta of the settle asset.
#: position: units after it.  mid: just before it, ticks.  imbalance: likewise, [-1, 1].  rested_ns:
#: since the order was acknowledged, -1 unknown.
FILLS = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("seen_ns", "<i8"),
        ("order", "<i8"),
        ("instrument", "<u2"),
        ("trader", "<u2"),
        ("level", "<u2"),
        ("side", "i1"),
        ("maker", "?"),
        ("tick", "<i8"),
        ("qty", "<i8"),
        ("fee", "<i8"),
        ("position", "<i8"),
        ("mid", "<f8"),
        ("imbalance", "<f8"),
        ("rested_ns", "<i8"),
    ]
)
#: One row an order; times of the engine, -1 where it did not happen.  qty: filled and left at the
#: end.  ending: RecordKind FILL, CANCELLED, EXPIRED or REJECT, 0 while it was open at the end.
ORDERS = np.dtype(
    [
        ("placed_ns", "<i8"),
        ("acked_ns", "<i8"),
        ("first_fill_ns", "<i8"),
        ("ended_ns", "<i8"),
        ("instrument", "<u2"),
        ("trader", "<u2"),
        ("level", "<u2"),
        ("side", "i1"),
        ("ending", "u1"),
        ("tick", "<i8"),
        ("qty", "<i8"),
        ("filled", "<i8"),
        ("amends", "<i8"),
    ]
)


@dataclass(frozen=True, slots=True)
class Scale:
    """What ticks and units are worth.

    tick: quote currency a tick.  unit: quantity a unit.  contract: base currency per 1.0 of
    quantity, quote currency a contract where ``inverse``.
    """

    tick: float
    unit: float = 1.0
    contract: float = 1.0
    inverse: bool = False

    def worth(self, ticks: Any) -> Floats:
        """Settle asset that one unit held counts for at a price; negative for inverse contracts.

        A unit bought at one price and sold at another earns the difference of the two worths.
        """
        price = np.asarray(ticks, dtype=np.float64) * self.tick
        if self.inverse:
            return -self.contract * self.unit / price
        return self.contract * self.unit * price

    def gain(self, before: Any, after: Any) -> Floats:
        """Settle asset that one unit bought earns from one price to another, both in ticks.

        The difference of two worths, without the cancellation of subtracting them.
        """
        before = np.asarray(before, dtype=np.float64)
        after = np.asarray(after, dtype=np.float64)
        if self.inverse:
            scale = self.contract * self.unit / self.tick
            return np.asarray(scale * (after - before) / (before * after))
        return np.asarray(self.contract * self.unit * self.tick * (after - before))


@dataclass(frozen=True, slots=True)
class MidPath:
    """The touch over time: row i holds from ts_ns[i] until the next.

    ts_ns: never decreasing.  mid: ticks; where the book could not be used, the last one that
    could.  usable: false there.  spread: ticks.  imbalance: [-1, 1].  end_ns: of the tape, which
    may go on after the last change.
    """

    ts_ns: Ints
    mid: Floats
    spread: Floats
    imbalance: Floats
    usable: NDArray[np.bool_]
    end_ns: int

    @classmethod
    def of(
        cls, ts_ns: NDArray[Any], bid: Any, ask: Any, imbalance: Any = None, *, end_ns: int = 0
    ) -> MidPath:
        """From best ticks after each message; a bid of 0 says that the book could not be used.

        end_ns: of the tape, the time of the last row by default.

        Raises ValueError where no row can be used.
        """
        bid, ask = np.asarray(bid, dtype=np.float64), np.asarray(ask, dtype=np.float64)
        usable = bid != 0
        if not usable.any():
            raise ValueError("the book was never usable: there is no mid to measure against")
        first = int(np.argmax(usable))
        bid, ask, usable = bid[first:], ask[first:], usable[first:]
        last = np.maximum.accumulate(np.where(usable, np.arange(len(bid)), 0))
        tilt = np.zeros(len(bid)) if imbalance is None else np.asarray(imbalance)[first:][last]
        times = np.maximum.accumulate(np.asarray(ts_ns, dtype=np.int64)[first:])
        return cls(
            times,
            ((bid + ask) / 2)[last],
            (ask - bid)[last],
            tilt,
            usable,
            max(end_ns, int(times[-1])),
        )

    def at(self, ts_ns: Any) -> Ints:
        """Rows in force at these times, everything of that instant included."""
        return np.asarray(np.maximum(np.searchsorted(self.ts_ns, ts_ns, "right") - 1, 0))

    def before(self, ts_ns: Any) -> Ints:
        """Rows in force just before these times."""
        return np.asarray(np.maximum(np.searchsorted(self.ts_ns, ts_ns, "left") - 1, 0))

    @property
    def seconds(self) -> float:
        """From the first row to the end."""
        return float(self.end_ns - self.ts_ns[0]) / 1e9

    @property
    def seconds_unusable(self) -> float:
        """How long the book could not be used."""
        spans = np.diff(np.append(self.ts_ns, self.end_ns))
        return float(spans[~self.usable].sum()) / 1e9


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that changed what is held, of one instrument, in order of time.

    ts_ns, qty (units, signed: bought less sold), tick: of fills, and of fees taken in the coin,
    which are sales of it and no fill (``coin_fee``).  fee, funding: settle asset; a fee is paid,
    funding received.  start_qty: held before the first, entered at the first mid of the path.
    """

    ts_ns: Ints
    qty: Ints
    tick: Ints
    fee: Floats
    funding: Floats
    coin_fee: NDArray[np.bool_]
    start_qty: int = 0

    @classmethod
    def of_fills(cls, fills: NDArray[Any]) -> Account:
        """Of FILLS without other payments."""
        order = np.argsort(fills["ts_ns"], kind="stable")
        fills = fills[order]
        return cls(
            fills["ts_ns"],
            fills["side"] * fills["qty"],
            fills["tick"],
            fills["fee"] * QUANTA,
            np.zeros(len(fills)),
            np.zeros(len(fills), bool),
        )

    def positions(self) -> Ints:
        """Units held after each change."""
        return np.asarray(self.start_qty + np.cumsum(self.qty), dtype=np.int64)


def fills_on(
    path: MidPath, ts_ns: Any, side: Any, tick: Any, qty: Any, *, maker: Any = True, fee: Any = 0
) -> NDArray[np.void]:
    """FILLS from columns, with mid and imbalance just before each; sorted by time."""
    ts_ns = np.asarray(ts_ns, dtype=np.int64)
    fills = np.zeros(len(ts_ns), FILLS)
    columns = {"ts_ns": ts_ns, "seen_ns": ts_ns, "side": side, "tick": tick, "qty": qty}
    for name, column in {**columns, "maker": maker, "fee": fee, "order": -1}.items():
        fills[name] = column
    fills["rested_ns"] = -1
    fills = fills[np.argsort(ts_ns, kind="stable")]
    fills["position"] = np.cumsum(fills["side"] * fills["qty"])
    return with_market(fills, path)


def with_market(fills: NDArray[np.void], path: MidPath) -> NDArray[np.void]:
    """The same fills with mid and imbalance just before each."""
    rows = path.before(fills["ts_ns"])
    fills["mid"], fills["imbalance"] = path.mid[rows], path.imbalance[rows]
    return fills


# -- from a journal's records ----------------------------------------------------------------


def orders_of(records: NDArray[np.void]) -> tuple[NDArray[np.void], Ints]:
    """ORDERS of a journal, by time of placing, and for each record its order (-1: none)."""
    placed = np.flatnonzero(records["kind"] == RecordKind.PLACE)
    key = _key(records)
    names, first = np.unique(key[placed], return_index=True)
    by_time = np.argsort(placed[first], kind="stable")
    place_of = np.empty(len(names), dtype=np.int64)
    place_of[by_time] = np.arange(len(names))
    found = np.searchsorted(names, key).clip(max=max(len(names) - 1, 0))
    own = np.isin(records["kind"], [RecordKind.PAID, RecordKind.STATUS], invert=True)
    known = own & (names[found] == key) if len(names) else np.zeros(len(records), bool)
    number = np.where(known, place_of[found] if len(names) else 0, -1)
    orders = np.zeros(len(names), ORDERS)
    rows = records[placed[first][by_time]]
    for name in ("instrument", "trader", "level", "side", "tick"):
        orders[name] = rows[name]
    orders["placed_ns"] = rows["ts_ns"]
    _answers(orders, records, number)
    return orders, number


def _key(records: NDArray[np.void]) -> NDArray[np.uint64]:
    """Trader, slot and generation in one number."""
    parts = (records[name].astype(np.uint64) for name in ("trader", "slot", "generation"))
    trader, slot, generation = parts
    return np.asarray((trader << np.uint64(48)) | (slot << np.uint64(32)) | generation)


def _answers(orders: NDArray[np.void], records: NDArray[np.void], number: Ints) -> None:
    """Fill in what became of the orders."""
    for name in ("acked_ns", "first_fill_ns", "ended_ns"):
        orders[name] = -1
    kind, ts_ns, qty = records["kind"], records["ts_ns"], records["qty"]
    mine = number >= 0

    def of(what: int) -> Ints:
        return np.flatnonzero(mine & (kind == what))

    np.add.at(orders["amends"], number[of(RecordKind.AMENDED)], 1)
    acks, fills = of(RecordKind.ACK), of(RecordKind.FILL)
    orders["acked_ns"][number[acks]] = ts_ns[acks]
    orders["first_fill_ns"][number[fills[::-1]]] = ts_ns[fills[::-1]]
    np.add.at(orders["filled"], number[fills], qty[fills])
    ends = np.flatnonzero(mine & np.isin(kind, [RecordKind.CANCELLED, RecordKind.EXPIRED]))
    refused = of(RecordKind.REJECT)
    refused = refused[orders["acked_ns"][number[refused]] < 0]  # others only refuse a change
    size = _asked(orders, records, number)
    orders["ended_ns"][number[refused]] = ts_ns[refused]
    orders["ending"][number[refused]] = RecordKind.REJECT
    whole = fills[(orders["filled"] >= size)[number[fills]]]
    for rows in (whole, ends):
        orders["ended_ns"][number[rows]] = ts_ns[rows]
        orders["ending"][number[rows]] = kind[rows]
    left = np.maximum(size - orders["filled"], 0)
    cancelled = of(RecordKind.CANCELLED)
    left[number[cancelled]] = qty[cancelled]
    orders["qty"] = orders["filled"] + left


def _asked(orders: NDArray[np.void], records: NDArray[np.void], number: Ints) -> Ints:
    """Units that each order was for in the end: as placed, or filled by then and amended to."""
    size = np.zeros(len(orders), np.int64)
    placed = np.flatnonzero((records["kind"] == RecordKind.PLACE) & (number >= 0))
    size[number[placed]] = records["qty"][placed]
    told = np.isin(records["kind"], [RecordKind.FILL, RecordKind.AMENDED]) & (number >= 0)
    rows = np.flatnonzero(told)
    rows = rows[np.argsort(number[rows], kind="stable")]
    if not len(rows):
        return size
    filled = np.where(records["kind"][rows] == RecordKind.FILL, records["qty"][rows], 0)
    total = np.cumsum(filled)
    starts = np.flatnonzero(np.diff(number[rows], prepend=-1))
    before = np.repeat(total[starts] - filled[starts], np.diff(np.append(starts, len(rows))))
    amended = records["kind"][rows] == RecordKind.AMENDED
    size[number[rows[amended]]] = (records["qty"][rows] + total - before)[amended]
    return size
