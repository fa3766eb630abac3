"""The Binance gateways and the venue contract."""

import pytest

from mmcore.testing import VenueContract


class TestUsdm(VenueContract):
    venue = "binance-usdm"


@pytest.mark.slow
class TestSpot(VenueContract):
    venue = "binance-spot"
