"""Venues and symbols by name: what a configuration may say before anything is loaded or asked."""

from __future__ import annotations

from typing import Literal

Venue = Literal[
    "binance-usdm",
    "binance-coinm",
    "binance-spot",
    "bybit-linear",
    "bybit-spot",
    "hyperliquid",
    "synthetic",
]
SPOT_VENUES = frozenset({"binance-spot", "bybit-spot"})
# Venues that mmcore talks to; of the others it reads tapes, or knows the rules only.
CONNECTED_VENUES = (
    "binance-usdm",
    "binance-spot",
    "bybit-linear",
    "bybit-spot",
    "hyperliquid",
)

# Symbols whose filters mmcore knows without asking the venue (mmcore/instrument.py has the figures;
# a test compares).  Here as bare names, so that a misspelt one is reported without loading numpy.
SYMBOLS: dict[str, tuple[str, ...]] = {
    "binance-usdm": ("BTCUSDT", "ETHUSDT", "TRXUSDT"),
    "binance-coinm": ("BTCUSD_PERP", "ETHUSD_PERP"),
    "binance-spot": ("BTCUSDT", "ETHUSDT", "NEXOUSDT", "TRXUSDT"),
    "bybit-linear": ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT"),
    "bybit-spot": ("BTCUSDT", "ETHUSDT"),
    "hyperliquid": ("BTC", "ETH", "SOL", "WLFI"),
    "synthetic": ("BTCUSDT", "ETHUSDT"),
}

# Where a synthetic market of an asset starts, quote currency: about what it cost when the tapes
# were recorded.  Others start at their preset's own price.
START_PRICES = {
    "BTC": 61_716.7,
    "DOGE": 0.105,
    "ETH": 2_681.39,
    "NEXO": 1.225,
    "SOL": 152.0,
    "TRX": 0.128,
    "WLFI": 0.21,
}
