"""From a configuration to gateways: keys before any network, one sentence for whatever is wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from mmcore import connect as module
from mmcore.connect import Connections, connect, keys_for, steady_clock
from mmcore.errors import ConfigError, NetworkError, UsageError, VenueError
from mmcore.gateway import (
    AccountState,
    Balance,
    ClientIds,
    Health,
    Keys,
    Prepared,
    Setup,
    VenueOrder,
)
from mmcore.instrument import known
from mmcore.loopback import Loopback, command
from mmcore.schema import Config, GridConfig, InstrumentConfig, LiveConfig, MarketConfig

IDS = ClientIds("0123456789ab", 7)
ENVIRON = {
    "MMCORE_BYBIT_KEY": "k" * 17 + "1",
    "MMCORE_BYBIT_SECRET": "s" * 35 + "1",
}


def config_of(*venues: tuple[str, str], mode: str = "live", environment: str = "testnet") -> Config:
    return Config(
        mode=mode,  # type: ignore[arg-type]
        market=MarketConfig(source="venue", seed=5),
        live=LiveConfig(environment=environment),  # type: ignore[arg-type]
        instruments=tuple(
            InstrumentConfig(
                venue=venue,  # type: ignore[arg-type]
                symbol=symbol,
                grid=GridConfig(leverage=None if "spot" in venue else 3.0),
            )
            for venue, symbol in venues
        ),
        path="c.toml",
    )


class Quiet:
    """A gateway that prepares as it is told."""

    made: list[Quiet]

    def __init__(self, setup: Setup, trouble: Callable[[], Any]) -> None:
        self.setup = setup
        self.trouble = trouble
        self.closed = 0
        self.n_cancelled = 0
        self.orders: tuple[VenueOrder, ...] = ()

    async def prepare(self) -> Prepared:
        answer = self.trouble()
        if asyncio.iscoroutine(answer):
            await answer
        return Prepared(
            instruments=tuple(known(self.setup.venue, symbol) for symbol in self.setup.symbols),
            account=await self.account() if self.setup.keys else None,
            clock_offset_ns=5,
            notices=("hello",),
        )

    async def account(self) -> AccountState:
        return AccountState(orders=self.orders, positions={}, balances={"USDT": Balance(1, 1)})

    async def cancel_all(self) -> int:
        count, self.orders = len(self.orders), ()
        self.n_cancelled += count
        return count

    async def close(self) -> None:
        self.closed += 1

    def health(self) -> Health:
        return Health(links={"a": "up", "b": "connecting"}, n_unknown=2)


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> type[Quiet]:
    """Every venue's adapter makes `Quiet` gateways; `trouble` is what they meet."""

    class Adapter:
        hosts = {"testnet": "nobody.example"}  # noqa: RUF012
        trouble: Callable[[], Any] = staticmethod(lambda: None)
        orders: tuple[VenueOrder, ...] = ()
        made: list[Quiet] = []  # noqa: RUF012

        @classmethod
        def gateway(cls, setup: Setup) -> Quiet:
            gateway = Quiet(setup, cls.trouble)
            gateway.orders = cls.orders
            cls.made.append(gateway)
            return gateway

    async def reach(host: str) -> None:
        return

    monkeypatch.setattr(module, "decoder", lambda name: Adapter)
    monkeypatch.setattr(module, "_reach", reach)
    return Adapter  # type: ignore[return-value]


def connected(config: Config, **options: Any) -> Connections:
    keys = {"bybit-linear": Keys("k", "s"), "bybit-spot": Keys("k", "s")}
    given: dict[str, Any] = {"keys": keys, "ids": IDS, "clock": time.time_ns, **options}
    return asyncio.run(connect(config, **given))


def test_one_gateway_a_venue_with_the_numbers_of_its_instruments(venue: Any) -> None:
    config = config_of(
        ("bybit-linear", "BTCUSDT"), ("bybit-spot", "ETHUSDT"), ("bybit-linear", "ETHUSDT")
    )
    connections = connected(config)
    setups = [gateway.setup for gateway in venue.made]
    assert [setup.numbers for setup in setups] == [(0, 2), (1,)]
    assert [setup.symbols for setup in setups] == [("BTCUSDT", "ETHUSDT"), ("ETHUSDT",)]
    assert [setup.leverage for setup in setups] == [(3, 3), (None,)]
    assert setups[0].common is setups[1].common  # one account's budget is kept there
    assert {setup.dead_man_s for setup in setups} == {30.0}
    assert [str(item) for item in connections.instruments] == [
        "bybit-linear:BTCUSDT", "bybit-spot:ETHUSDT", "bybit-linear:ETHUSDT",
    ]  # fmt: skip
    assert connections.notices[0] == "bybit-linear testnet: hello"
    view = connections.all[0].view()
    assert (view.links_up, view.links, view.down, view.n_unknown) == (1, 2, "b connecting", 2)
    asyncio.run(connections.aclose())
    asyncio.run(connections.aclose())
    assert [gateway.closed for gateway in venue.made] == [1, 1]


def test_a_recorder_has_a_gateway_for_each_instrument(venue: Any) -> None:
    config = config_of(("bybit-linear", "BTCUSDT"), ("bybit-linear", "ETHUSDT"), mode="paper")
    connections = connected(config, keys={}, ids=None, alone=True)
    assert [each.numbers for each in connections.all] == [(0,), (1,)]
    assert all(gateway.setup.keys is None for gateway in venue.made)


def test_orders_of_an_earlier_start_are_cancelled_before_the_first(venue: Any) -> None:
    venue.orders = (
        VenueOrder(
            instrument=0, client_id="x", venue_id="1", side=1, tick=1, qty=1, done=0, own=True
        ),
    )
    connections = connected(config_of(("bybit-linear", "BTCUSDT")))
    assert "1 orders of an earlier start were cancelled" in connections.notices[-1]
    assert connections.all[0].account is not None
    assert connections.all[0].account.orders == ()


def test_no_network_is_said_with_what_works_without(venue: Any) -> None:
    def fail() -> None:
        raise NetworkError("no connection", where="api.example")

    venue.trouble = staticmethod(fail)
    with pytest.raises(NetworkError) as info:
        connected(config_of(("bybit-linear", "BTCUSDT"), ("bybit-spot", "BTCUSDT")))
    text = str(info.value)
    assert text.startswith("api.example: no connection; nothing was started; runs without network:")
    assert "\n" not in text
    assert [gateway.closed for gateway in venue.made] == [1, 1]


def test_a_host_out_of_reach_ends_the_waiting(venue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def out_of_reach(host: str) -> None:
        await asyncio.sleep(0.05)
        raise NetworkError(f"{host} cannot be reached")

    monkeypatch.setattr(module, "_reach", out_of_reach)
    venue.trouble = staticmethod(lambda: asyncio.sleep(60))
    began = time.monotonic()
    with pytest.raises(NetworkError, match=r"nobody\.example cannot be reached"):
        connected(config_of(("bybit-linear", "BTCUSDT")))
    assert time.monotonic() - began < 1.0


def test_a_host_that_answers_has_the_time_it_needs(
    venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue.trouble = staticmethod(lambda: asyncio.sleep(0.1))
    assert connected(config_of(("bybit-linear", "BTCUSDT"))).all
    monkeypatch.setattr(module, "PREPARE_S", 0.05)
    with pytest.raises(NetworkError, match="nothing was ready"):
        connected(config_of(("bybit-linear", "BTCUSDT")))


def test_an_adapter_for_tapes_only_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "decoder", lambda name: object)
    with pytest.raises(VenueError, match="reads tapes only"):
        connected(config_of(("bybit-linear", "BTCUSDT")))


def test_keys_are_asked_for_only_where_orders_leave_the_machine() -> None:
    test_net = config_of(("bybit-linear", "BTCUSDT"), ("bybit-spot", "BTCUSDT"))
    assert set(keys_for(test_net, ENVIRON, live=True)) == {"bybit-linear", "bybit-spot"}
    with pytest.raises(UsageError, match="--live"):
        keys_for(test_net, ENVIRON, live=False)
    with pytest.raises(ConfigError, match="MMCORE_BYBIT_KEY is not set"):
        keys_for(test_net, {}, live=True)
    loopback = config_of(("bybit-linear", "BTCUSDT"), environment="loopback")
    assert keys_for(loopback, {}, live=False) == keys_for(loopback, {}, live=True) == {}
    paper = config_of(("bybit-linear", "BTCUSDT"), mode="paper")
    assert keys_for(paper, {}, live=False) == {}
    with pytest.raises(UsageError, match='mode = "paper"'):
        keys_for(paper, {}, live=True)


def test_time_only_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = steady_clock()
    before = clock()
    assert abs(before - time.time_ns()) < 1_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: 0)  # somebody sets the clock
    assert clock() >= before


def test_the_box_is_started_as_the_configuration_says() -> None:
    words = command(config_of(("bybit-linear", "BTCUSDT"), environment="loopback"))
    assert words[1:4] == ["-m", "mmcore", "venue"]
    assert words[-4:] == ["--seed", "5", "--preset", "busy"]
    tape = Config(
        market=MarketConfig(source="tape", files=("a.gz", "b.gz")),
        instruments=(InstrumentConfig(symbol="BTCUSDT"),),
    )
    assert command(tape)[-3:] == ["--market", "a.gz", "b.gz"]


def test_a_box_that_does_not_come_up_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(
        "mmcore.loopback.command",
        lambda config: [sys.executable, "-c", "import sys; sys.exit('no such market')"],
    )
    config = config_of(("bybit-linear", "BTCUSDT"), environment="loopback")
    with pytest.raises(VenueError, match="did not come up: no such market"):
        asyncio.run(Loopback.start(config))
