"""What the exchange in the box lists, and for whom: floors, accounts and their market, in one call.

Five products of three venues, each with BTC and ETH; accounts with money on every wallet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mmcore.box.exchange import Exchange
from mmcore.box.floor import FUNDING_INTERVAL_NS, FUNDING_RATE
from mmcore.instrument import QUANTA_PER_ONE

SYMBOLS: Mapping[str, tuple[str, ...]] = {
    "binance-usdm": ("BTCUSDT", "ETHUSDT"),
    "binance-spot": ("BTCUSDT", "ETHUSDT"),
    "bybit-linear": ("BTCUSDT", "ETHUSDT"),
    "bybit-spot": ("BTCUSDT", "ETHUSDT"),
    "hyperliquid": ("BTC", "ETH"),
}
VENUES = tuple(SYMBOLS)

# wallet -> asset -> quanta of every account at the start
BALANCES: Mapping[str, Mapping[str, int]] = {
    "usdm": {"USDT": 1_000_000 * QUANTA_PER_ONE},
    "spot": {
        "USDT": 1_000_000 * QUANTA_PER_ONE,
        "BTC": 10 * QUANTA_PER_ONE,
        "ETH": 200 * QUANTA_PER_ONE,
    },
    "unified": {
        "USDT": 1_000_000 * QUANTA_PER_ONE,
        "BTC": 10 * QUANTA_PER_ONE,
        "ETH": 200 * QUANTA_PER_ONE,
    },
    "perp": {"USDC": 1_000_000 * QUANTA_PER_ONE},
}


def open_exchange(
    seed: int,
    *,
    start_ns: int,
    market: str | Sequence[Path | str] = "synthetic",
    venues: Sequence[str] = VENUES,
    funding_interval_ns: int = FUNDING_INTERVAL_NS,
    funding_rate: int = FUNDING_RATE,
    band_percent: int = 0,
    accounts_per_venue: int = 2,
    balances: Mapping[str, Mapping[str, int]] = BALANCES,
    random_credentials: bool = False,
    address_of: Callable[[str], str] | None = None,
) -> Exchange:
    """An exchange with floors, accounts and a market.

    seed: of the synthetic market and, unless ``random_credentials``, of the accounts' keys.
    start_ns: when the market's first row happens.  market: "synthetic", or tapes; floors that no
    tape holds stay synthetic.  funding_rate: 1e-12 per interval.  address_of: the address of a
    private key; without it addresses stay empty.
    """
    raise NotImplementedError
