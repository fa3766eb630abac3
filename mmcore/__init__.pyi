"""The public names, as type checkers see them; at run time each is imported on first use."""

from ._book import Book, BookAnalysis
from ._channel import Latency
from ._engine import Account, Engine, Market, Ring, Trader
from ._ledger import Ledger
from ._orders import Orders
from ._quoter import Quoter
from ._quotes import GridStrategy, Strategy, TwoSidedStrategy
from ._rate import RateLimiter
from ._replay import Replay
from ._signals import Signals, Weights
from ._sim import SimLoop
from ._venue import Venue
from .errors import ConfigError, DataError, MmcoreError, SafetyStop, VenueError
from .instrument import Instrument
from .maker import MarketMaker
from .quote_generator import OrderManagement, QuoteGenerator, SimulatedClient
from .strategy import BatchOrder, InventorySkewConfig, LiveOrder, MarketMakerInput, SkewResult
from .synthetic import SyntheticSource
from .tape import Source, TapeSource, TapeWriter

__version__: str
__all__ = [
    "Account",
    "BatchOrder",
    "Book",
    "BookAnalysis",
    "ConfigError",
    "DataError",
    "Engine",
    "GridStrategy",
    "Instrument",
    "InventorySkewConfig",
    "Latency",
    "Ledger",
    "LiveOrder",
    "Market",
    "MarketMaker",
    "MarketMakerInput",
    "MmcoreError",
    "OrderManagement",
    "Orders",
    "QuoteGenerator",
    "Quoter",
    "RateLimiter",
    "Replay",
    "Ring",
    "SafetyStop",
    "Signals",
    "SimLoop",
    "SimulatedClient",
    "SkewResult",
    "Source",
    "Strategy",
    "SyntheticSource",
    "TapeSource",
    "TapeWriter",
    "Trader",
    "TwoSidedStrategy",
    "Venue",
    "VenueError",
    "Weights",
    "__version__",
]
