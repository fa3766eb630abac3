"""A simulated venue for one instrument; the manual of ``_venue.pyx``."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

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
#: The switches between the default and the parity rules, by name: a set bit means
#: double_queue: queue estimates in double quantities, unrounded (default: whole units);
#: half_lot: half a lot beyond the queue fills, smaller excess accumulates (whole lots);
#: whole_print: each own order sees the whole print (own orders share it, first in, first out);
#: whole_through: a print through our price fills us completely (at most the print);
#: whole_cross: a touch that crosses our price fills us completely (at most what is displayed);
#: take_unlimited: taking fills any size at the best price (what is displayed, level by level);
#: take_remainder: a good-till-cancelled taker gets the rest at its limit (the rest stays);
#: forget_taken: what we took is there again at once (when the feed sets the level again);
#: modify_keeps_left: a re-entered modify keeps the quantity left when it was asked for (gets the
#: quantity asked for, less what filled on the way);
#: fill_unhealthy: fills go on while the book is not to be trusted (nothing fills);
#: no_partial: an order fills whole or not at all (in pieces);
#: no_filters: no check of tick, lot, size and notional (the instrument's);
#: levels_apart: each level of a message without update id is judged as a message of its own, which
#: is how research tapes are recorded (orders are judged when the whole message stands);
#: no_funding: funding stamps pass unpaid (a perpetual pays at the stamps that its feed says);
#: amend_rests: an amend that would take rests where it is (takes, or expires where post-only);
#: clear_expires: own orders end when their side of the book is cleared (they stay);
#: cross_once: a touch fills what it crosses as it moves there (and as long as it stands there);
#: skip_inside: an execution passes by own orders better than the touch (they fill first).
RULES: dict[str, int]
#: Parity with hftbacktest 2.4.4: its exchange with partial fills.
PARITY: int
#: Parity with hftbacktest 2.4.4: its exchange without partial fills.
PARITY_WHOLE: int
#: Parity with hftbacktest 2.4.4: its exchange for markets told order by order; queue="fifo".
PARITY_FIFO: int
#: The exchange in the box: orders of several owners in one venue, which meet each other and are
#: part of a public book, the market's levels less what was taken plus the orders.  The caller has
#: checked the filters.  What the market's book last showed goes on trading while it is not healthy.
MEET: int

#: A number as written: a float counts as its shortest decimal.
_Rate: TypeAlias = float | str | Decimal | Fraction

@disjoint_base
class Venue:
    """Resting orders, their queues and fills, on a book of the venue's own.

    spec: the instrument.  beside: another account's
    venue of the same instrument, whose book this one shares.  rules: bits of RULES, 0 for the
    default.  queue: one of QUEUE_MODELS, exponent its n.  fee: one of FEE_KINDS; maker_fee,
    taker_fee: of the notional, per 1.0 of quantity, or per fill, as number or decimal string,
    negative for a rebate; default the instrument's.

    tiers: instead of the two, rows of (trailing volume from which it counts, in the quote currency,
    maker_fee, taker_fee), the first from 0, volumes rising.  Which one counts is settled at
    midnight UTC by what this account traded here on the ``tier_days`` whole days before; traded:
    what of that lies before the start, counted as of the day before the first fill.

    n_slots: own orders that can rest.
    position: units held at the start, signed, for reduce-only orders, of the first owner.
    n_owners: accounts whose orders meet here, with the rule MEET.

    order_rate: orders and amends in any second beyond which they are refused with RejectCode.RATE,
    0 for no limit; batch_max: of them in one call (equal ``ts_ns`` and ``batch``), beyond which
    they are refused with RejectCode.LIMIT.  Cancels always pass, what is refused does not count.

    orders_max: market orders that the queue model ``fifo`` remembers at once, 48 to 96 bytes each;
    a book with more is not trusted until it is cleared, and nothing fills.

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
        maker_fee: _Rate | None = None,
        taker_fee: _Rate | None = None,
        tiers: Sequence[tuple[_Rate, _Rate, _Rate]] | None = None,
        traded: _Rate = 0,
        tier_days: int = 30,
        n_slots: int = 160,
        position: int = 0,
        n_owners: int = 1,
        order_rate: int = 0,
        batch_max: int = 0,
        orders_max: int = 262144,
    ) -> None: ...
    def market(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        """Apply whole messages, EVENT rows, at their ``ts_venue_ns``; the answers, EVENT[n]."""

    def request(self, request: NDArray[np.void], ts_ns: int, owner: int = 0) -> NDArray[np.void]:
        """Let one REQUEST row of an owner arrive at ``ts_ns``; the answers, EVENT[n].

        With the rule MEET two orders that meet give two FILL rows with one ``seq``, the maker's
        first; an order ended by one of its own account is EXPIRED with RejectCode.OTHER.
        """

    def orders(self) -> NDArray[np.void]:
        """Resting orders, best first, buys before sells: ORDER rows."""

    def shown(self, side: int, n: int) -> NDArray[np.void]:
        """The first n levels of the public book, market and orders, best first: LEVEL rows."""

    def shown_at(self, side: int, ticks: NDArray[np.int64] | list[int]) -> NDArray[np.int64]:
        """Units of the public book at each of so many ticks, int64[n]."""

    def held(self, owner: int) -> int:
        """Units held by an owner, signed."""

    @property
    def position(self) -> int:
        """Units bought less units sold, of the first owner."""

    @property
    def tier(self) -> int:
        """Which row of ``tiers`` counts, from 0."""

    @property
    def n_fills(self) -> int:
        """Fills so far; a taker's levels count one each."""
