"""What a gateway tells its owner; and no orders to a main-net, or without ids of their own."""

from __future__ import annotations

import asyncio

import pytest

from mmcore.adapters import _delivery
from mmcore.adapters._delivery import Delivery
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


class Told(Delivery):
    """A gateway of nothing but links; its owner keeps what it says."""

    def __init__(self) -> None:
        self.now = 0
        super().__init__(setup("binance-usdm", keys=None, ids=None, clock=lambda: self.now))
        self._sink = self  # type: ignore[assignment]  # of a sink it is the part that listens
        self.lines: list[str] = []

    def notice(self, level: str, text: str) -> None:
        self.lines.append(f"{level}: {text}")


def test_links_that_go_and_come_together_are_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_delivery, "GATHER_S", 0.01)

    async def story() -> None:
        told = Told()
        told._link_up("public")  # the first time is no news
        for name in ("public", "market", "orders"):
            told._link_down(name, "the connection was lost")
        told._link_down("private", "no answer to a ping within 10 s")
        for _ in range(20):
            told._link_down("public", "no connection (Connection refused)")
        await asyncio.sleep(0.03)
        for _ in range(20):  # it goes on, and no line more is said
            told._link_down("market", "no connection (Connection refused)")
        await asyncio.sleep(0.03)
        lost = "public, market, orders: the connection was lost"
        deaf = "private: no answer to a ping within 10 s"
        assert told.lines == [f"warning: binance-usdm: {lost}; {deaf}; mmcore connects again"]
        for name in ("orders", "public", "market"):
            told._link_up(name)
        told._link_down("market", "the connection was lost")  # not for long
        await asyncio.sleep(0.03)
        assert told.lines[1:] == [
            "info: binance-usdm: orders, public: up again; still down: market, private"
        ]
        told._link_up("market")
        told._link_up("private")
        await asyncio.sleep(0.03)
        assert told.lines[2:] == ["info: binance-usdm: market, private: up again"]
        told.now += 60 * 10**9
        told._link_down("public", "no data for 30.0 s")
        await told._end_tasks()
        await asyncio.sleep(0.03)
        assert len(told.lines) == 3  # after the end nothing is said

    asyncio.run(story())
