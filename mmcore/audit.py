"""Two accounts of one thing: what the venue says over REST, and what mmcore has written down.

Our side is made from the journal's records alone (open orders, position, money), so that a
comparison also proves the journal.  The venue is asked while trading goes on; whatever was true at
some moment between the question and the answer counts as agreement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ._ledger import Ledger
from .events import ContractKind, PaidCode, RecordKind
from .gateway import AccountState, ClientIds, VenueOrder
from .instrument import Instrument
from .own_orders import Resting, RestingOrder

QUANTA_PER_ONE = 100_000_000
NAMED_MAX = 3  # orders named in one sentence


@dataclass(slots=True)
class _Seat:
    """One instrument: what the venue held at the start, and what has happened since."""

    item: Instrument
    ledger: Ledger
    start: int  # units at the venue
    positions: set[int] = field(default_factory=set)  # true since the window was opened

    @property
    def position(self) -> int:
        return self.start + self.ledger.position

    @property
    def money(self) -> int:
        """Quanta of the settle asset gained since the start, as the venue's wallet has them."""
        ledger = self.ledger
        if self.item.kind == ContractKind.SPOT:
            return ledger.cash - ledger.fees + ledger.funding
        return ledger.realised - ledger.fees + ledger.funding


@dataclass(slots=True)
class _Purse:
    """One asset of one wallet, and the instruments that move it."""

    asset: str
    start: int  # quanta
    seats: list[_Seat]
    totals: set[int] = field(default_factory=set)  # true since the window was opened

    @property
    def total(self) -> int:
        return self.start + sum(seat.money for seat in self.seats)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out: sentences about what differs, none where both sides agree; and our side."""

    differences: tuple[str, ...]
    ours: str


class Audit:
    """The comparison of one wallet: gateways that share an account are in one.

    instruments: number in the run to instrument, of all of them.  start: the venue's account before
    the first order.  ids: of this start.
    """

    def __init__(
        self, instruments: Mapping[int, Instrument], start: AccountState, ids: ClientIds
    ) -> None:
        self._ids = ids
        self._resting = Resting()
        self._before: dict[tuple[int, int], RestingOrder] = {}
        self._possible: set[tuple[int, int]] = set()
        self._seats = {
            number: _Seat(item, Ledger(item.spec(number)), start.positions.get(number, 0))
            for number, item in instruments.items()
        }
        self._purses = _purses(list(self._seats.values()), start)
        self.open_window()

    def see(self, records: NDArray[np.void]) -> None:
        """Take in RECORD rows, in engine order; those of other accounts are left out."""
        if not len(records):
            return
        mine = records[np.isin(records["instrument"], list(self._seats))]
        self._resting.see(mine)
        for row in mine[mine["kind"] == RecordKind.PLACE]:
            self._possible.add((int(row["slot"]), int(row["generation"])))
        moved = (mine["kind"] == RecordKind.FILL) | (mine["kind"] == RecordKind.PAID)
        for row in mine[moved]:
            self._book(row)

    def _book(self, row: np.void) -> None:
        seat = self._seats[int(row["instrument"])]
        tick, qty, money = int(row["tick"]), int(row["qty"]), int(row["money"])
        if row["kind"] == RecordKind.FILL:
            seat.ledger.fill(int(row["side"]), tick, qty, fee=money)
        elif row["code"] == PaidCode.COIN_FEE:
            seat.ledger.coin_fee(tick, qty)
        else:
            seat.ledger.receive(money)
        seat.positions.add(seat.position)
        for purse in self._purses:
            purse.totals.add(purse.total)

    def open_window(self) -> None:
        """From here on whatever becomes true counts: call before the venue is asked."""
        orders = self._resting.orders.values()
        self._before = {
            (order.slot, order.generation): replace(order) for order in orders if order.at_rest
        }
        self._possible = {(order.slot, order.generation) for order in orders}
        for seat in self._seats.values():
            seat.positions = {seat.position}
        for purse in self._purses:
            purse.totals = {purse.total}

    def compare(self, state: AccountState) -> Comparison:
        """The venue's account against ours, which :meth:`see` has brought up to date."""
        said = [*self._orders(state.orders), *self._positions(state), *self._money(state)]
        return Comparison(tuple(said), self.ours())

    def against(self, engine: set[tuple[int, int]]) -> list[str]:
        """The engine's open orders, by slot and generation, against those of its records."""
        journal = {(order.slot, order.generation) for order in self._resting.orders.values()}
        if engine == journal:
            return []
        odd = sorted(engine ^ journal)
        named = ", ".join(self._ids.make(*key) for key in odd[:NAMED_MAX])
        return [f"{_count(odd)} in the engine or in its journal, and not in both: {named}"]

    def ours(self) -> str:
        """Our side in words."""
        n = len(self._resting.orders)
        parts = [f"{n} open order{'' if n == 1 else 's'}"]
        parts += [
            f"{seat.item.symbol} {seat.item.quantity_text(seat.position)}"
            for seat in self._seats.values()
        ]
        parts += [f"{purse.asset} {_money(purse.total)}" for purse in self._purses]
        return ", ".join(parts)

    def _orders(self, orders: Sequence[VenueOrder]) -> list[str]:
        theirs: dict[tuple[int, int], VenueOrder] = {}
        strange = []
        for order in orders:
            if not order.own:
                continue
            key = self._ids.read(order.client_id)
            if key is None or key not in self._possible:
                strange.append(order)
            else:
                theirs[key] = order
        said = []
        if strange:
            said.append(
                f"{_count(strange)} at the venue that mmcore does not know: {_named(strange)}"
            )
        now = {
            (order.slot, order.generation): order
            for order in self._resting.orders.values()
            if order.at_rest
        }
        steady = {key: order for key, order in now.items() if self._before.get(key) == order}
        missing = [key for key in steady if key not in theirs]
        if missing:
            named = ", ".join(self._ids.make(*key) for key in missing[:NAMED_MAX])
            said.append(f"{_count(missing)} in mmcore that the venue does not hold: {named}")
        said += [
            f"order {theirs[key].client_id} is {self._text(theirs[key])} at the venue and "
            f"{self._own_text(order)} here"
            for key, order in steady.items()
            if key in theirs
            and (order.tick, order.qty) != (theirs[key].tick, theirs[key].qty - theirs[key].done)
        ][:NAMED_MAX]
        return said

    def _text(self, order: VenueOrder) -> str:
        item = self._seats[order.instrument].item
        return f"{item.quantity_text(order.qty - order.done)} at {item.price_text(order.tick)}"

    def _own_text(self, order: RestingOrder) -> str:
        item = self._seats[order.instrument].item
        return f"{item.quantity_text(order.qty)} at {item.price_text(order.tick)}"

    def _positions(self, state: AccountState) -> list[str]:
        said = []
        for number, seat in self._seats.items():
            theirs = state.positions.get(number, 0)
            if theirs not in seat.positions:
                item = seat.item
                said.append(
                    f"position of {item.symbol} is {item.quantity_text(theirs)} at the venue and "
                    f"{item.quantity_text(seat.position)} here"
                )
        return said

    def _money(self, state: AccountState) -> list[str]:
        said = []
        for purse in self._purses:
            balance = state.balances.get(purse.asset)
            theirs = balance.total if balance is not None else 0
            if theirs not in purse.totals:
                said.append(
                    f"balance of {purse.asset} is {_money(theirs)} at the venue and "
                    f"{_money(purse.total)} here"
                )
        return said


def _purses(seats: Sequence[_Seat], start: AccountState) -> list[_Purse]:
    """Assets whose total can be told from our own fills: those of flat derivatives, and of spot.

    Closing a position that was there before us realises a profit against a price that only the
    venue knows.
    """
    by_asset: dict[str, list[_Seat]] = {}
    for seat in seats:
        by_asset.setdefault(seat.item.settle, []).append(seat)
    made = []
    for asset, mine in by_asset.items():
        if any(seat.start and seat.item.kind != ContractKind.SPOT for seat in mine):
            continue
        balance = start.balances.get(asset)
        made.append(_Purse(asset, balance.total if balance is not None else 0, mine))
    return made


def _count(orders: Sequence[object]) -> str:
    return f"{len(orders)} order{'' if len(orders) == 1 else 's'}"


def _named(orders: Sequence[VenueOrder]) -> str:
    return ", ".join(order.client_id or order.venue_id for order in orders[:NAMED_MAX])


def _money(quanta: int) -> str:
    sign = "-" if quanta < 0 else ""
    whole, rest = divmod(abs(quanta), QUANTA_PER_ONE)
    return f"{sign}{whole}.{rest:08d}"


__all__ = ["Audit", "Comparison"]
