"""The Bybit gateways and the venue contract."""

from dataclasses import replace

import pytest

from mmcore.testing import VenueContract


class TestLinear(VenueContract):
    venue = "bybit-linear"


@pytest.mark.slow
class TestSpot(VenueContract):
    venue = "bybit-spot"


@pytest.mark.slow
class TestLinearOverRest(VenueContract):
    venue = "bybit-linear"

    def gateway(self, setup):
        return super().gateway(replace(setup, order_entry="rest"))


@pytest.mark.slow
class TestLinearWithTheClientsStreams(VenueContract):
    venue = "bybit-linear"

    def gateway(self, setup):
        return super().gateway(replace(setup, stream="client"))
