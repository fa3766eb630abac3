"""A simulated venue for one instrument and one account; the manual of ``_venue.pyx``."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from ._book import Book
from ._spec import SpecBox

#: Rows of :meth:`Venue.orders`: slot, generation, side, tick, left (units), ahead (quantity).
ORDER: np.dtype[np.void]
#: Names of the queue models.
QUEUE_MODELS: tuple[str, ...]
#: Names of the fee kinds.
FEE_KINDS: tuple[str, ...]
#: The switches between the default and the parity rules, by name.
RULES: dict[str, int]
#: Parity with hftbacktest 2.4.4: its exchange with partial fills.
PARITY: int
#: Parity with hftbacktest 2.4.4: its exchange without partial fills.
PARITY_WHOLE: int

@disjoint_base
class Venue:
    """Resting orders of one account, their queues and fills, on a book of the venue's own.

    spec: the instrument.  beside: another account's
    venue of the same instrument, whose book this one shares.  rules: bits of RULES, 0 for the
    default.  queue: one of QUEUE_MODELS, exponent its n.  fee: one of FEE_KINDS; maker_fee,
    taker_fee: of the notional, per 1.0 of quantity, or per fill, as number or decimal string,
    negative for a rebate; default the instrument's.  n_slots: own orders that can rest.
    position: units held at the start, signed, for reduce-only orders.
    ValueError names what is not one of these.
    """

    book: Book
    def __init__(
        self,
        spec: SpecBox,
        *,
        beside: Venue | None = None,
        rules: int = 0,
        queue: str = "risk_averse",
        exponent: float = 1.0,
        fee: str = "value",
        maker_fee: float | str | Decimal | Fraction | None = None,
        taker_fee: float | str | Decimal | Fraction | None = None,
        n_slots: int = 160,
        position: int = 0,
    ) -> None: ...
    def market(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        """Apply whole messages, EVENT rows, at their ``ts_venue_ns``; the answers, EVENT[n]."""

    def request(self, request: NDArray[np.void], ts_ns: int) -> NDArray[np.void]:
        """Let one REQUEST row arrive at ``ts_ns``; the answers, EVENT[n]."""

    def orders(self) -> NDArray[np.void]:
        """Resting orders, best first, buys before sells: ORDER rows."""

    @property
    def position(self) -> int:
        """Units bought less units sold."""

    @property
    def n_fills(self) -> int:
        """Fills so far; a taker's levels count one each."""
