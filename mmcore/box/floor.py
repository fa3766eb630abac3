"""One instrument of the exchange in the box: the venue's book, what it shows of it, its prints.

Behind a floor stands the compiled simulated venue of paper trading (:mod:`mmcore._matching`) with
the rule ``meet``: the market's book comes from event rows, the orders of all accounts rest in one
venue, and meet the market and each other by price and time.  The public book is the market's less
what accounts took (until the feed sets the level again) plus the accounts' orders, in whole lots.

Prices are ticks, quantities units, money quanta (1e-8).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from mmcore.events import ContractKind
from mmcore.instrument import QUANTA_PER_ONE, Instrument

from .orders import Trade

Levels = list[tuple[int, int]]

TRADES = 1_000  # public prints a floor remembers
FUNDING_INTERVAL_NS = 8 * 3600 * 10**9
FUNDING_RATE = 100_000_000  # 1e-12: 0.01 % per interval


@dataclass(frozen=True, slots=True)
class Changes:
    """What the public book became between two updates: absolute sizes, 0 removes.

    first_id: the first update in it, one above the subscriber's last; last_id: the last one.
    """

    first_id: int
    last_id: int
    bids: Levels
    asks: Levels
    ts_ns: int


class Floor:
    """One instrument's trading floor; see the module's first lines.

    venue: as in ``mmcore.instrument``; symbol; index: its place in the exchange.  update_id: of the
    public book, rising by one with every change.  last_trade_id: of the last print.  ts_ns: of
    the last change.  trades: the latest prints, oldest first.  fee_rates: maker and taker, 1e-8 of
    the notional.  band: a limit price may be so far from the mark, in percent, 0: no band.
    """

    def __init__(
        self,
        instrument: Instrument,
        index: int,
        *,
        funding_interval_ns: int = FUNDING_INTERVAL_NS,
        funding_rate: int = FUNDING_RATE,
        band_percent: int = 0,
    ) -> None:
        self.instrument = instrument
        self.index = index
        self.venue = instrument.venue
        self.symbol = instrument.symbol
        self.spot = instrument.kind == ContractKind.SPOT
        self.spec = instrument.spec(index)
        self.update_id = 0
        self.last_trade_id = 0
        self.ts_ns = 0
        self.trades: deque[Trade] = deque(maxlen=TRADES)
        self.funding_rate = 0 if self.spot else funding_rate
        self.funding_interval_ns = funding_interval_ns
        self.next_funding_ns = 0
        self.band_percent = band_percent
        tick = Fraction(instrument.tick) * Fraction(instrument.contract_size)
        self._per_tick_unit = tick * QUANTA_PER_ONE / instrument.qty_per_one

    def __repr__(self) -> str:
        return f"Floor({self.venue}:{self.symbol})"

    # -- the public book

    def top(self, side: int, n: int) -> Levels:
        """The first n levels of a side (+1 bids, -1 asks), best first: (tick, units)."""
        raise NotImplementedError

    def best(self, side: int) -> tuple[int, int] | None:
        """The best level of a side, None where it is empty."""
        levels = self.top(side, 1)
        return levels[0] if levels else None

    def qty(self, side: int, tick: int) -> int:
        """Units shown at a price."""
        raise NotImplementedError

    def changes(self, since_update_id: int) -> Changes | None:
        """Every level that changed after an update, as it is now.

        None where that update is too long ago, or the whole book was replaced since: the subscriber
        needs a snapshot (:meth:`top` and ``update_id``).  No levels where nothing changed.
        """
        raise NotImplementedError

    # -- prices and money

    @property
    def mark(self) -> int:
        """Mark price, quanta of quote currency: the middle of the market's own best prices.

        Accounts' orders do not move it.  0 before there is a book.
        """
        raise NotImplementedError

    @property
    def index_price(self) -> int:
        """Index price: the same as the mark, since there is one market."""
        return self.mark

    def quanta_per_qty(self, qty: int) -> Fraction:
        """Quanta that ``qty`` units are worth at a price of 1.0."""
        return Fraction(qty * QUANTA_PER_ONE, self.instrument.qty_per_one) * Fraction(
            self.instrument.contract_size
        )

    def notional(self, tick: int, qty: int) -> int:
        """Money of so many units at a price, quanta, half-even as the house's ledger rounds."""
        return self.spec.notional(tick, qty)

    def value(self, qty: int) -> int:
        """Money of so many units at the mark price, quanta, signed like ``qty``."""
        raise NotImplementedError

    def price(self, tick: int) -> Decimal:
        """Price of a tick, exactly."""
        return Decimal(self.instrument.price_text(tick))
