"""The Bybit gateways and the venue contract."""

import pytest

from mmcore.testing import VenueContract


class TestLinear(VenueContract):
    venue = "bybit-linear"


@pytest.mark.slow
class TestSpot(VenueContract):
    venue = "bybit-spot"
