from collections.abc import Sequence
from typing import TypedDict, type_check_only

from typing_extensions import disjoint_base

from ._book import Book

VOTES: dict[str, int]
FORECASTS: dict[str, int]

def imbalance_ratio(bid: float, ask: float) -> float:
    """(bid - ask) / (bid + ask), in [-1, 1]; 0 where both are 0."""

def dead_banded(x: float, band: float) -> float:
    """``x``, or 0 where |x| <= ``band``."""

def microprice(bid: float, ask: float, bid_qty: float, ask_qty: float) -> float:
    """The price between the touches, nearer the side with less behind it.

    bid, ask: prices in any one unit; bid_qty, ask_qty: sizes there, or depth-weighted sizes.
    (bid_qty * ask + ask_qty * bid) / (bid_qty + ask_qty); the mid where both sizes are 0.
    """

def forecast_vote(log_return: float, closer: float, gate: float, vote: int) -> float:
    """What a forecast says, in [-1, 1].

    log_return: ln(predicted / mid).  closer: +1 where the microprice lies nearer the ask, -1 nearer
    the bid.  gate: log return from which the forecast counts.  vote: 0 half for each of the two,
    1 the original's first match of four rules.
    """

@type_check_only
class SignalValues(TypedDict):
    """Every signal; prices in ticks, quantities in units, lists by depth."""

    mid: float
    microprice: float
    spread_bps: float
    imbalance: list[float]
    weight_bid: list[float]
    weight_ask: list[float]
    voi: float
    ofi: float
    ofi_deep: list[float]
    trade_imbalance: float
    average_trade_price: float
    basis: float
    expected_return: float
    price_impact: float
    volatility: float
    predicted: float
    fitted: bool
    n_books: int

@disjoint_base
class Weights:
    """Weights of the skew signal, each in [0, 1], together at most 1.

    imbalance: of the depth-weighted imbalance at the first depth.  deep_imbalance: of its mean over
    all depths.  trade: of the trade imbalance.  voi, ofi: of the signs of those flows.  deep_ofi:
    of the sign of the mean flow over all depths, or of its size over the weighted volume where
    ``deep_magnitude``.  predict: of the forecast's vote.  dead_band: imbalances within +- this
    count as 0.  forecast_gate_bps: smaller forecasts do not vote.  vote: "halves" or "ladder" (the
    original's rules).

    Raises ValueError naming the argument.
    """

    def __init__(
        self,
        *,
        imbalance: float = 0.25,
        deep_imbalance: float = 0.10,
        trade: float = 0.0,
        voi: float = 0.10,
        ofi: float = 0.10,
        deep_ofi: float = 0.10,
        predict: float = 0.35,
        dead_band: float = 0.20,
        forecast_gate_bps: float = 5.0,
        deep_magnitude: bool = False,
        vote: str = "halves",
    ) -> None: ...

def skew_signal(
    imbalances: Sequence[float],
    *,
    voi: float = 0.0,
    ofi: float = 0.0,
    deep_ofi: Sequence[float] = (),
    trade_imbalance: float = 0.0,
    mid: float = 1.0,
    microprice: float = 1.0,
    predicted: float = 0.0,
    weights: Weights | None = None,
) -> float:
    """The skew signal from its parts, in [-1, 1]; the same code as :meth:`Signals.skew`.

    imbalances, deep_ofi: by depth, the first is the near one.  mid, microprice, predicted: prices
    in one unit; predicted 0: no forecast.  Raises ValueError for no depth or too many.
    """

@disjoint_base
class Signals:
    """The feature engine of one market.

    depths: levels of the imbalances, at most 8 different ones of at most 128 levels; the first is
    the near one, all of them are the deep ones.  tick_window: messages the forecast is fitted on,
    refitted every tenth of it.  inverse: prints are weighed in coin.  forecast: "next" (one message
    ahead, ridge regression) or "mean" (the original: mean microprice of the window).  ridge:
    penalty on standardised columns.  volatility_window: messages.  trade_window: prints.
    *_samples: how many a signal needs before it counts (forecast_samples 0: a tenth of the window,
    at most 100).

    Memory is taken once, here.  One owner thread.  Raises ValueError naming the argument.
    """

    def __init__(
        self,
        depths: Sequence[int] = (4, 13, 32),
        *,
        tick_window: int = 8000,
        inverse: bool = False,
        forecast: str = "next",
        ridge: float = 0.01,
        volatility_window: int = 1000,
        trade_window: int = 1000,
        volatility_samples: int = 100,
        trade_samples: int = 1,
        forecast_samples: int = 0,
    ) -> None: ...
    def book(self, book: Book, ts_ns: int) -> None:
        """Takes the book as it stands after a message; ts_ns: time of the message."""

    def levels(
        self, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]], ts_ns: int
    ) -> None:
        """The same from (tick, units), best first; an empty or crossed book breaks the chain."""

    def trade(self, side: int, tick: int, qty: int) -> None:
        """Takes a print: the aggressor's side (+1 buy, -1 sell), tick, units."""

    def gap(self) -> None:
        """The next book does not follow the one before it: flows start anew."""

    def skew(self, weights: Weights | None = None) -> float:
        """The skew signal, in [-1, 1]; signals that are not ready contribute 0."""

    @property
    def values(self) -> SignalValues: ...
    @property
    def beta(self) -> list[float]:
        """Forecast coefficients: constant, and imbalance, VOI, OFI each over the spread in bps."""
