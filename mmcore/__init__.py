"""mmcore: a market maker for crypto perpetuals and spot on a compiled, deterministic core."""

import signal as _signal
import sys as _sys

if _sys.orig_argv[1:3] == ["-m", "mmcore"] and _signal.getsignal(_signal.SIGINT) is (
    _signal.default_int_handler
):
    # Ctrl-C before the command line is loaded ends it without a traceback; `__main__` takes over.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from importlib import import_module as _import_module
from pathlib import Path as _Path
from pkgutil import extend_path as _extend_path

# `python -m mmcore` in a checkout finds ./mmcore before any installed copy.  Only an installed
# copy is complete (a checkout keeps adapters/ beside this folder), so a checkout steps aside, as a
# whole, for an installed one; without one (`pip install -e .`) it is the package itself.
_installed = [p for p in _extend_path(__path__, __name__) if _Path(p, "adapters").is_dir()]
__path__ = _installed[:1] or __path__

__version__ = "0.1.0"

# Public name -> module that defines it.  Loaded on first use, so that `--help` stays quick.
_EXPORTS: dict[str, str] = {
    "Account": "_engine",
    "BatchOrder": "strategy",
    "Book": "_book",
    "BookAnalysis": "_book",
    "ConfigError": "errors",
    "DataError": "errors",
    "Engine": "_engine",
    "GridStrategy": "_quotes",
    "Instrument": "instrument",
    "InventorySkewConfig": "strategy",
    "Latency": "_channel",
    "Ledger": "_ledger",
    "LiveOrder": "strategy",
    "Market": "_engine",
    "MarketMaker": "maker",
    "MarketMakerInput": "strategy",
    "MmcoreError": "errors",
    "OrderManagement": "quote_generator",
    "Orders": "_orders",
    "QuoteGenerator": "quote_generator",
    "Quoter": "_quoter",
    "RateLimiter": "_rate",
    "Replay": "_replay",
    "Ring": "_engine",
    "SafetyStop": "errors",
    "Signals": "_signals",
    "SimLoop": "_sim",
    "SimulatedClient": "quote_generator",
    "SkewResult": "strategy",
    "Source": "tape",
    "Strategy": "_quotes",
    "SyntheticSource": "synthetic",
    "TapeSource": "tape",
    "TapeWriter": "tape",
    "Trader": "_engine",
    "TwoSidedStrategy": "_quotes",
    "Venue": "_venue",
    "VenueError": "errors",
    "Weights": "_signals",
}

__all__ = sorted(["__version__", *_EXPORTS])


def __getattr__(name: str) -> object:
    module = _EXPORTS.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(_import_module(f"{__name__}.{module}"), name)
    except ImportError as error:
        raise ImportError(
            f"mmcore's compiled core is not built for this Python ({error}); "
            "run `python -m pip install -e .` in the checkout, or install the mmcore-maker wheel"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
