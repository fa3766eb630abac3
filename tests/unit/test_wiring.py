"""Wiring: what the configuration means to the core."""

import pytest

from mmcore._orders import Orders
from mmcore._rate import RateLimiter
from mmcore.config import loads
from mmcore.errors import ConfigError
from mmcore.instrument import known
from mmcore.wiring import CAPABILITIES, build, reserve_of


@pytest.mark.parametrize("limit", range(2, 40))
def test_the_reserve_leaves_room_to_replace_an_order(limit: int) -> None:
    rate = RateLimiter(limit, reserve=reserve_of(limit))
    assert rate.free(0) >= 2
    assert reserve_of(limit) >= (limit >= 5)


def test_every_venue_that_trades_has_its_capabilities() -> None:
    for can in CAPABILITIES.values():
        Orders(amend=can.amend)
        assert 1 <= can.batch <= 20


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("limits.max_position = 1e-9", "limits.max_position = 1e-09 is below one lot, 0.001"),
        ("limits.max_order_size = 0.0009", "limits.max_order_size = 0.0009 is below one lot"),
        (
            """
            strategy = "two_sided"
            two_sided.target_liquidity = 1e-5
            two_sided.max_absolute_position_size = 5e-5
            """,
            "two_sided.max_absolute_position_size = 5e-05 is below one lot",
        ),
    ],
)
def test_a_limit_below_one_lot_is_refused_and_never_taken_for_none(keys: str, words: str) -> None:
    config = loads(f'[[instrument]]\nsymbol = "BTCUSDT"\n{keys}\n')
    with pytest.raises(ConfigError, match=words):
        build(config, (known("synthetic", "BTCUSDT"),))
