"""A venue's dead man's switch: set, renewed, taken away, and what is said when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mmcore.adapters import _bybit_gateway, _dead_man
from mmcore.adapters._dead_man import DeadMan
from mmcore.box.orders import Ending, Order
from mmcore.counterpart import BoxCounterpart
from mmcore.errors import NetworkError, VenueError
from mmcore.events import BID
from mmcore.gateway import Gateway
from mmcore.venue import decoder
from mmcore.witness import Witness

SECOND = 1_000_000_000


class Switch:
    """A venue's end of it, and what the user was told."""

    def __init__(self, *, every_s: float = 0.01) -> None:
        self.set_to: list[float] = []
        self.said: list[str] = []
        self.fault: VenueError | None = None
        self.dead_man = DeadMan(
            30.0, every_s, self.set, "every order there", lambda _, text: self.said.append(text)
        )

    async def set(self, seconds: float) -> None:
        if self.fault is not None:
            raise self.fault
        self.set_to.append(seconds)


def test_it_is_told_once_and_renewed_until_cancelled() -> None:
    async def story() -> None:
        switch = Switch()
        await switch.dead_man.arm()
        keeping = asyncio.ensure_future(switch.dead_man.keep())
        await asyncio.sleep(0.1)
        keeping.cancel()
        assert len(switch.set_to) > 3
        assert set(switch.set_to) == {30.0}
        (said,) = switch.said
        assert "30 s after mmcore falls silent" in said
        await switch.dead_man.disarm()
        assert switch.set_to[-1] == 0.0

    asyncio.run(story())


@pytest.mark.parametrize("fault", [NetworkError("no route"), VenueError("not for you")])
def test_trouble_is_told_once_and_tried_again(
    fault: VenueError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_dead_man, "RETRY_S", 0.01)

    async def story() -> None:
        switch = Switch()
        switch.fault = fault
        await switch.dead_man.arm()
        keeping = asyncio.ensure_future(switch.dead_man.keep())
        await asyncio.sleep(0.05)
        assert switch.set_to == []
        switch.fault = None
        await asyncio.sleep(0.05)
        switch.fault = fault
        await asyncio.sleep(0.05)
        keeping.cancel()
        first, second, third = switch.said
        assert "could not be set" in first and fault.what in first and "goes on" in first
        assert "is set" in second
        assert "was not renewed" in third and "within 30 s" in third
        await switch.dead_man.disarm()  # what cannot be taken away is no matter any more

    asyncio.run(story())


def test_what_was_never_tried_is_not_taken_away() -> None:
    async def story() -> None:
        switch = Switch()
        await switch.dead_man.disarm()
        assert switch.set_to == []

    asyncio.run(story())


@asynccontextmanager
async def quoting(counterpart: BoxCounterpart) -> AsyncIterator[Witness]:
    """A gateway with a switch of ten seconds."""
    adapter: Any = decoder(counterpart.venue)
    gateway: Gateway = adapter.gateway(counterpart.setup(dead_man_s=10.0))
    try:
        prepared = await gateway.prepare()
        witness = Witness(gateway, prepared.instruments[0])
        await gateway.start(witness)
        await witness.until(lambda: witness.healthy, what="a healthy book")
        yield witness
    finally:
        await gateway.close()


async def rest(counterpart: BoxCounterpart, witness: Witness) -> Order:
    """An order that rests, as the venue has it."""
    sent = witness.place(BID, counterpart.far_tick(BID), counterpart.size())
    await witness.live(sent)
    (order,) = counterpart.account.orders()
    return order


def told(witness: Witness, words: str) -> int:
    """How many sentences say so."""
    return sum(words in text for text in witness.notices)


@pytest.mark.parametrize("venue", ["binance-usdm", "bybit-linear"])
def test_a_gateway_that_leaves_an_order_behind_leaves_its_switch_set(venue: str) -> None:
    async def story() -> None:
        async with BoxCounterpart.open(venue, "BTCUSDT") as counterpart:
            async with quoting(counterpart) as witness:
                order = await rest(counterpart, witness)
                assert told(witness, "dead man's switch is set") == 1
            box = counterpart.box
            assert order.open
            if venue.startswith("bybit"):
                await asyncio.sleep(1.2)  # that side looks once a second who is still there
            box.exchange.advance(box.clock.engine_ns() + 11 * SECOND)
            assert (order.open, order.ending) == (False, Ending.COUNTDOWN)

    asyncio.run(story())


@pytest.mark.parametrize("venue", ["binance-usdm", "bybit-linear"])
def test_a_refused_switch_does_not_keep_from_trading(venue: str) -> None:
    async def story() -> None:
        async with BoxCounterpart.open(venue, "BTCUSDT") as counterpart:
            counterpart.fault("reply", "rest:countdown", status=400, code=10005, text="not for you")
            async with quoting(counterpart) as witness:
                assert (await rest(counterpart, witness)).open
                assert told(witness, "could not be set") == told(witness, "not for you") == 1

    asyncio.run(story())


def test_spot_at_binance_says_that_it_has_none() -> None:
    async def story() -> None:
        async with (
            BoxCounterpart.open("binance-spot", "BTCUSDT") as counterpart,
            quoting(counterpart) as witness,
        ):
            assert told(witness, "has no dead man's switch") == 1

    asyncio.run(story())


def test_at_bybit_a_switch_that_could_not_be_set_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_bybit_gateway, "SWITCH_S", 0.05)

    async def story() -> None:
        async with BoxCounterpart.open("bybit-linear", "BTCUSDT") as counterpart:
            counterpart.fault("reply", "rest:countdown", status=503)
            async with quoting(counterpart) as witness:
                await witness.until(
                    lambda: told(witness, "dead man's switch is set again") == 1,
                    what="the switch is set",
                )
                assert told(witness, "could not be set") == 1
                await asyncio.sleep(0.2)
                assert told(witness, "dead man's switch is set") == 1

    asyncio.run(story())
