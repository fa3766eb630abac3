"""The Binance gateways and the venue contract."""

from dataclasses import replace

import pytest

from mmcore.testing import VenueContract


class TestUsdm(VenueContract):
    venue = "binance-usdm"


@pytest.mark.slow
class TestSpot(VenueContract):
    venue = "binance-spot"


@pytest.mark.slow
class TestUsdmOverRest(VenueContract):
    venue = "binance-usdm"

    def gateway(self, setup):
        return super().gateway(replace(setup, order_entry="rest"))


@pytest.mark.slow
class TestUsdmWithTheClientsStreams(VenueContract):
    venue = "binance-usdm"

    def gateway(self, setup):
        return super().gateway(replace(setup, stream="client"))


@pytest.mark.slow
class TestSpotOverRest(VenueContract):
    venue = "binance-spot"

    def gateway(self, setup):
        return super().gateway(replace(setup, order_entry="rest"))
