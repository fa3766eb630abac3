"""No adapter sends an order to a main-net, or one whose answers it could not tell apart."""

from __future__ import annotations

import pytest

from mmcore.errors import UsageError
from mmcore.gateway import ClientIds, Keys, Setup
from mmcore.venue import decoder

KEYS = Keys("AKEYNOTTOBESHOWN", "0x" + "5ec2e7" * 10 + "beef")
VENUES = {
    "binance-usdm": "BTCUSDT",
    "binance-spot": "BTCUSDT",
    "bybit-linear": "BTCUSDT",
    "bybit-spot": "BTCUSDT",
    "hyperliquid": "BTC",
}


def setup(venue: str, **told: object) -> Setup:
    fields: dict[str, object] = {
        "venue": venue,
        "symbols": (VENUES[venue],),
        "numbers": (0,),
        "environment": "testnet",
        "keys": KEYS,
        "ids": ClientIds("0123456789ab", 1),
        "clock": lambda: 0,
    } | told
    return Setup(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"environment": "mainnet"}, "orders on a main-net are refused"),
        ({"ids": None}, "needs ids for its orders"),
    ],
)
def test_a_gateway_that_must_not_trade_is_not_made(
    venue: str, told: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        decoder(venue).gateway(setup(venue, **told))
    assert KEYS.key not in str(caught.value)
    assert KEYS.secret not in str(caught.value)


@pytest.mark.parametrize("venue", VENUES)
def test_public_data_of_a_main_net_needs_no_keys(venue: str) -> None:
    decoder(venue).gateway(setup(venue, environment="mainnet", keys=None, ids=None))
