"""Wiring: what the configuration means to the core."""

import pytest

from mmcore._orders import Orders
from mmcore._rate import RateLimiter
from mmcore.wiring import CAPABILITIES, reserve_of


@pytest.mark.parametrize("limit", range(2, 40))
def test_the_reserve_leaves_room_to_replace_an_order(limit: int) -> None:
    rate = RateLimiter(limit, reserve=reserve_of(limit))
    assert rate.free(0) >= 2
    assert reserve_of(limit) >= (limit >= 5)


def test_every_venue_that_trades_has_its_capabilities() -> None:
    for can in CAPABILITIES.values():
        Orders(amend=can.amend)
        assert 1 <= can.batch <= 20
