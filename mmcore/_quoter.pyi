from typing_extensions import disjoint_base

from ._quotes import Strategy
from ._spec import SpecBox

def geometric_weights(ratio: float, n: int, reverse: bool = False) -> list[float]:
    """``n`` shares ratio^i / sum, largest first, or smallest first when ``reverse``.

    Raises ValueError for a ratio outside [0, 1] or n outside 1 to 32.
    """

def inner_quotes(price: float, spread: float, skew: float) -> tuple[float, float]:
    """(bid, ask) of the innermost orders of a grid, before rounding.

    price: the centre.  spread: between the two, quote currency.  skew: final, [-1, 1]; without any
    both are half a spread away, at 1 the bid and at -1 the ask is at the centre.
    """

def two_sided_prices(
    price: float, half_spread: float, skew_bps: float = 0.0, skew_application: str = "shift"
) -> tuple[float, float]:
    """(bid, ask) of two_sided, before rounding; half_spread in bps of the price.

    skew_application: "shift" multiplies both by 1 + skew_bps / 10000; "width" moves them apart, as
    the original code did.
    """

@disjoint_base
class Quoter:
    """One strategy on one instrument, with its own view and result: the pipeline for Python.

    The result stands until the next :meth:`quote`.  Nothing is allocated by it.
    """

    def __init__(self, strategy: Strategy, spec: SpecBox) -> None: ...
    @property
    def strategy(self) -> Strategy: ...
    @property
    def spec(self) -> SpecBox: ...
    def quote(
        self,
        bid_tick: int,
        ask_tick: int,
        signal: float = 0.0,
        position_qty: int = 0,
        imbalance: float = 0.0,
        volatility: float = 0.0,
        microprice: float = 0.0,
        buy_room: int = ...,
        sell_room: int = ...,
    ) -> int:
        """Computes the quotes for a touch and returns how many there are.

        bid_tick, ask_tick: the market's best.  signal: skew signal, [-1, 1] (grid).  position_qty:
        units, signed.  imbalance: of the book, [-1, 1] (two-sided).  volatility: per square root of
        a second.  microprice: quote currency, 0 none.  buy_room, sell_room: units that may still be
        bought and sold, all levels together.
        """

    def ladders(
        self,
        bid_tick: int,
        ask_tick: int,
        spread: float,
        skew: float,
        position_qty: int = 0,
    ) -> int:
        """Both ladders of a grid for a spread (quote currency) and a final skew; their count.

        The positive grid for a skew of at least 0, else the negative one.  No room limits.
        Raises ValueError for another strategy, a spread not above 0 or a skew outside [-1, 1].
        """

    def bounds(self, bid_tick: int, ask_tick: int, last_mid: float) -> float:
        """Half-width of the band around ``last_mid`` that a grid stays for, quote currency.

        bid_tick, ask_tick: the market's best now.  0 for another strategy or without a last mid.
        """

    def out_of_bounds(self, last_mid: float) -> bool:
        """Whether the mid of the last call left the band around ``last_mid`` (0: always)."""

    @property
    def bids(self) -> list[tuple[int, int]]:
        """(tick, units), best first; a copy."""

    @property
    def asks(self) -> list[tuple[int, int]]:
        """(tick, units), best first; a copy."""

    @property
    def fair(self) -> float:
        """Centre of the quotes, quote currency."""

    @property
    def spread(self) -> float:
        """Spread before rounding, quote currency."""

    @property
    def skew(self) -> tuple[float, float, float]:
        """Final skew, its position part, its book part: [-1, 1] for grid, bps for two_sided.

        For two_sided the first is the sum of the others unless ``max_skew_bps`` capped it.
        """

    @property
    def why(self) -> tuple[int, int]:
        """Suppressed bits of bid and ask: why a side, or some of its levels, are missing."""
