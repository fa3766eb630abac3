"""The Hyperliquid gateway and the venue contract."""

import pytest

from mmcore.testing import VenueContract


@pytest.mark.slow
class TestPerps(VenueContract):
    venue = "hyperliquid"
    symbol = "BTC"
    chained = False
