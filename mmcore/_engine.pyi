from typing import TypedDict, type_check_only

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from ._book import Book
from ._orders import Orders
from ._quotes import Strategy
from ._rate import RateLimiter
from ._signals import Signals
from ._spec import SpecBox

@type_check_only
class TraderState(TypedDict):
    """Plain numbers: ns, units, quanta of the settle asset, counts; grid fields as in ``Grid``."""

    status: int
    now_ns: int
    position: int
    cash: int
    realised: int
    cost: int
    fees: int
    funding: int
    turnover: int
    n_fills: int
    n_maker: int
    bought: int
    sold: int
    equity: int
    drawdown_max: int
    mid2: int
    open_buy: int
    open_sell: int
    n_open: int
    n_flight: int
    n_orphans: int
    n_steps: int
    n_quotes: int
    n_placed: int
    n_amended: int
    n_cancelled: int
    n_calls: int
    n_rejected: int
    n_expired: int
    n_held: int
    fair: float
    spread: float
    skew: float
    skew_position: float
    skew_book: float
    why_bid: int
    why_ask: int
    signal: float
    imbalance: float
    volatility: float
    last_mid: float
    unfinished: int

@disjoint_base
class Ring:
    """Journal records of all traders of a run, in engine order, until the shell drains them."""

    def __init__(self, capacity: int = 65_536) -> None: ...
    def drain(self, out: NDArray[np.uint8]) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def lost(self) -> int: ...

@disjoint_base
class Account:
    """Limits shared by several traders, in quote currency; 0: none."""

    rate: RateLimiter | None
    def __init__(
        self,
        *,
        position_max: float = 0.0,
        open_max: float = 0.0,
        loss_max: float = 0.0,
        drawdown_max: float = 0.0,
        rate: RateLimiter | None = None,
    ) -> None: ...
    @property
    def position_worth(self) -> float: ...
    @property
    def open_worth(self) -> float: ...
    @property
    def equity(self) -> float: ...
    @property
    def killed(self) -> bool: ...

@disjoint_base
class Market:
    """One instrument's book, signals and counters; several traders may share it."""

    book: Book
    signals: Signals
    def __init__(self, spec: SpecBox, book: Book, signals: Signals) -> None: ...
    def apply(self, rows: NDArray[np.uint8]) -> int: ...
    @property
    def n_messages(self) -> int: ...
    @property
    def n_trades(self) -> int: ...
    @property
    def n_events(self) -> int: ...
    @property
    def ts_local_ns(self) -> int: ...

@disjoint_base
class Trader:
    """Quotes, own orders, ledger and limits of one configuration on one market.

    strategy: what to quote.  orders: the slots, with tolerances and the venue's amend capability.
    rate: the user's limit on calls.  account, ring: shared with the run's other traders.  number:
    names the trader in the journal.  batch: requests in a call.  Times in ns, quantities in units,
    notionals, loss and drawdown in quote currency; 0 switches a limit off.
    position_start: found at the start, enters at the first healthy mid.  base_target: spot holding
    that counts as flat.  quote_start: spot money to buy with, quanta, -1: enough.
    Raises ValueError on arguments out of range.
    """

    market: Market
    strategy: Strategy
    orders: Orders
    rate: RateLimiter
    account: Account
    ring: Ring
    def __init__(
        self,
        market: Market,
        strategy: Strategy,
        *,
        orders: Orders,
        rate: RateLimiter,
        account: Account,
        ring: Ring,
        number: int = 0,
        batch: int = 10,
        post_only: bool = True,
        flatten: bool = False,
        stale_ns: int = 180_000_000_000,
        debounce_ns: int = 50_000_000,
        pause_ns: int = 100_000_000,
        age_ns_max: int = 60_000_000_000,
        position_max: int = 0,
        position_notional_max: float = 0.0,
        open_notional_max: float = 0.0,
        order_qty_max: int = 0,
        orders_max: int = 0,
        loss_max: float = 0.0,
        drawdown_max: float = 0.0,
        position_start: int = 0,
        base_target: int = 0,
        quote_start: int = -1,
    ) -> None: ...
    def step(self, rows: NDArray[np.uint8]) -> bytes: ...
    def stop(self, kill: bool = False) -> None: ...
    def state(self) -> TraderState: ...
    def grid(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]: ...
    @property
    def status(self) -> int: ...
    @property
    def n_open(self) -> int: ...
    @property
    def settled(self) -> bool: ...

class Engine:
    """One market with one trader, for tests and notebooks: rows in, requests out."""

    market: Market
    trader: Trader
    def __init__(self, market: Market, trader: Trader) -> None: ...
    def step(self, rows: NDArray[np.void]) -> NDArray[np.void]: ...
