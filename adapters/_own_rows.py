"""One own order, one fill of it, and the rows in which the engine is told of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mmcore.events import EVENT, Flag, Kind, PaidCode, RequestKind
from mmcore.gateway import Rows
from mmcore.instrument import QUANTA_PER_ONE

from ._decode import Terms

ORPHAN_SLOT = 0xFFFF  # of fills whose order no slot of this start stands for
BOTH = int(Flag.EXCH | Flag.LOCAL)
MAKER = int(Flag.MAKER)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueFill:
    """One fill as a venue tells it.

    client_id, venue_id: of the order, either may be "".  trade_id: unique with instrument and side.
    fee: quanta of fee_asset, negative for a rebate.  done: filled of the order in all, None where
    the venue does not say.  last: nothing of the order is left.  forced: the venue's own doing (a
    liquidation), booked whatever order it names.  ts_ns: the venue's time.
    """

    instrument: int
    client_id: str
    venue_id: str
    side: int
    trade_id: int
    tick: int
    qty: int
    fee: int
    fee_asset: str
    maker: bool
    done: int | None = None
    last: bool = False
    forced: bool = False
    ts_ns: int = 0


@dataclass(slots=True, eq=False, kw_only=True)
class Own:
    """One order of this start.

    tick, total: as last told by the venue (at first as asked for).  told: filled, as told to the
    engine.  done: filled, as far as the venue has said.  op: the request in flight; op_tick,
    op_total: what it asks for; sent_ns: when; void: it never arrived, and never will.  ended: its
    ending has been told.
    """

    instrument: int
    slot: int
    generation: int
    client_id: str
    side: int
    tick: int
    total: int
    tif: int
    reduce_only: bool
    sent_ns: int
    venue_id: str = ""
    told: int = 0
    done: int = 0
    acked: bool = False
    ended: bool = False
    op: RequestKind | None = RequestKind.PLACE
    op_tick: int = 0
    op_total: int = 0
    void: bool = False
    final: tuple[Kind, int, int] | None = None  # how it ended, code, filled in all
    asking: bool = False
    ask_ns: int = 0  # not before
    asked_ns: int = 0  # when the venue was asked last
    n_asked: int = 0
    n_absent: int = 0
    heard_ns: int = 0  # when something about its state was last learnt

    @property
    def remaining(self) -> int:
        """As the engine sees it."""
        return max(self.total - self.told, 0)

    @property
    def most(self) -> int:
        """What its total may be, an amend in flight included."""
        amending = self.op is RequestKind.AMEND
        return max(self.total, self.op_total) if amending else self.total


class Tale:
    """Rows in the order in which they are told, until they are taken.

    terms: by instrument number.  clock: receive time, ns.  notice: gets a sentence about fees in an
    asset that cannot be booked, once for each.
    """

    def __init__(
        self,
        terms: Mapping[int, Terms],
        clock: Callable[[], int],
        notice: Callable[[str], None],
    ) -> None:
        self._terms = terms
        self._clock = clock
        self._notice = notice
        self._rows: list[tuple[int, ...]] = []
        self._coin_paid: dict[int, int] = {}  # quanta of coin fees not yet told, by instrument
        self._odd_fees: set[str] = set()

    def __len__(self) -> int:
        return len(self._rows)

    def take(self) -> Rows:
        """What has been told since the last time."""
        rows, self._rows = self._rows, []
        return np.array(rows, EVENT)

    def tell(self, own: Own, kind: Kind, ts_ns: int, **fields: int) -> None:
        """An answer about an order."""
        self._row(
            kind, own.instrument, ts_ns,
            slot=own.slot, generation=own.generation, side=own.side, **fields,
        )  # fmt: skip

    def fill(self, fill: VenueFill, own: Own | None, flags: int) -> None:
        """A fill, with its fee; own: None where no order here stands for it."""
        slot, generation = (own.slot, own.generation) if own else (ORPHAN_SLOT, 0)
        item = self._terms[fill.instrument].item
        settled = fill.fee if fill.fee_asset == item.settle else 0
        self._row(
            Kind.FILL, fill.instrument, fill.ts_ns,
            slot=slot, generation=generation, side=fill.side, tick=fill.tick, qty=fill.qty,
            aux=settled, seq=fill.trade_id, flags=BOTH | flags | (MAKER if fill.maker else 0),
        )  # fmt: skip
        if not fill.fee or fill.fee_asset == item.settle:
            return
        if fill.fee_asset == item.base:
            self._coin_fee(fill)
        elif fill.fee_asset not in self._odd_fees:
            self._odd_fees.add(fill.fee_asset)
            self._notice(
                f"{item}: fees are taken in {fill.fee_asset}, which mmcore does not convert; "
                "they are left out of the result"
            )

    def coin_dust(self, instrument: int, balance: int) -> None:
        """The coin balance (quanta) before the first order: its part below a unit absorbs fees."""
        self._coin_paid[instrument] = -(balance % self._coin_unit(instrument))

    def _coin_fee(self, fill: VenueFill) -> None:
        """Whole units are told; what is less waits for the next fee (rounded against us)."""
        unit = self._coin_unit(fill.instrument)
        paid = self._coin_paid.get(fill.instrument, 0) + fill.fee
        units = -(-paid // unit)
        self._coin_paid[fill.instrument] = paid - units * unit
        if units:
            self._row(
                Kind.PAID, fill.instrument, fill.ts_ns, code=int(PaidCode.COIN_FEE),
                tick=fill.tick, qty=units, seq=fill.trade_id,
            )  # fmt: skip

    def _coin_unit(self, instrument: int) -> int:
        """Quanta of the coin in one unit."""
        return max(QUANTA_PER_ONE // self._terms[instrument].item.qty_per_one, 1)

    def _row(
        self, kind: Kind, instrument: int, ts_ns: int, *, side: int = 0, flags: int = BOTH,
        code: int = 0, slot: int = 0, generation: int = 0, seq: int = 0, aux: int = 0,
        tick: int = 0, qty: int = 0,
    ) -> None:  # fmt: skip
        # As EVENT has its fields; levels (n_bids, n_asks) belong to depth alone.
        self._rows.append((
            kind, side, flags, code, instrument, 0, 0, slot, generation, ts_ns, self._clock(), seq,
            aux, tick, qty,
        ))  # fmt: skip


__all__ = ["ORPHAN_SLOT", "Own", "Tale", "VenueFill"]
