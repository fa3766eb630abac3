"""Depth that flows and comes late: not quoted on, told once, and good again by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import repeat
from typing import Any

import pytest

from mmcore.adapters import _hyperliquid_gateway
from mmcore.adapters._lateness import MEASURE_EVERY_NS, RECYCLE_NS, Lateness
from mmcore.box.faults import Do
from mmcore.box.server import Box
from mmcore.counterpart import BoxCounterpart
from mmcore.errors import VenueError
from mmcore.gateway import Gateway
from mmcore.venue import decoder
from mmcore.witness import Witness

SECOND = 1_000_000_000
VENUES = {
    "binance-usdm": "BTCUSDT",
    "binance-spot": "ETHUSDT",
    "bybit-linear": "BTCUSDT",
    "bybit-spot": "ETHUSDT",
    "hyperliquid": "BTC",
}


class Watched:
    """Two instruments of one connection; time, the venue's clock, and what was said."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * SECOND
        self.offset_ns = self.true_offset_ns = 0
        self.n_measured = 0
        self.said: list[str] = []
        self.works: list[Coroutine[Any, Any, None]] = []
        self.is_deaf = False
        self.lateness = Lateness(
            {3: "BTCUSDT", 4: "ETHUSDT"},
            1.0,
            offset=lambda: self.offset_ns,
            measure=self.measure,
            spawn=self.works.append,
            say=lambda level, text: self.said.append(f"{level}: {text}"),
            clock=lambda: self.now_ns,
        )

    async def measure(self) -> None:
        self.n_measured += 1
        if self.is_deaf:
            raise VenueError("no answer")
        self.offset_ns = self.true_offset_ns

    def depth(self, number: int, age_ms: float) -> bool:
        """Depth of that true age; the clock goes on a little, and what was spawned runs."""
        self.now_ns += SECOND // 100
        late = self.lateness.judge(number, round(age_ms * 1e6) - self.true_offset_ns)
        self.now_ns += 1
        while self.works:
            asyncio.run(self.works.pop())  # type: ignore[arg-type]  # a coroutine it is
        return late


def test_depth_that_lags_more_and_more_is_late_until_it_has_caught_up() -> None:
    watched = Watched()
    ages = [20, 300, 700, 990, 1_010, 1_400, 2_000, 900, 501, 499, 20]
    late = [watched.depth(3, age) for age in ages]
    assert late == [False] * 4 + [True] * 5 + [False] * 2
    assert 4 not in watched.lateness


def test_it_is_told_once_for_all_and_so_is_its_end() -> None:
    watched = Watched()
    for _ in range(3):
        watched.depth(3, 1_500)
        watched.depth(4, 1_600)
        assert watched.lateness.look() == ""
    (said,) = watched.said
    assert "BTCUSDT, ETHUSDT comes more than 1 s late" in said and said.startswith("warning")
    watched.depth(3, 10)
    assert "BTCUSDT is in time again" in watched.said[-1] and watched.lateness
    watched.depth(4, 10)
    assert len(watched.said) == 3 and not watched.lateness


@pytest.mark.parametrize("jump_s", [-5, 5])
def test_a_clock_that_was_set_is_measured_and_nobody_blamed(jump_s: int) -> None:
    watched = Watched()
    assert not watched.depth(3, 20)
    watched.true_offset_ns = jump_s * SECOND
    watched.depth(3, 20)
    assert watched.n_measured == 1
    assert not watched.depth(3, 20)
    watched.lateness.look()
    assert watched.said == []


def test_late_by_the_clock_that_is_known_where_the_venue_does_not_say_the_time() -> None:
    watched = Watched()
    watched.is_deaf = True
    assert watched.depth(3, 1_500)
    watched.lateness.look()
    assert len(watched.said) == 1
    assert watched.depth(3, 1_500)
    assert watched.n_measured == 1  # not for every message
    watched.now_ns += MEASURE_EVERY_NS
    assert watched.depth(3, 1_500)
    assert watched.n_measured == 2


def test_a_connection_that_stays_late_is_replaced_less_and_less_often() -> None:
    watched = Watched()
    watched.depth(3, 1_500)
    when = []
    began = watched.now_ns
    for _ in range(40):
        watched.now_ns += SECOND
        if watched.lateness.look():
            when.append((watched.now_ns - began) // SECOND)
    assert when == [RECYCLE_NS // SECOND, 15, 35]


def test_what_does_not_flow_is_not_late() -> None:
    watched = Watched()
    watched.depth(3, 1_500)
    watched.lateness.look()
    watched.lateness.forgive(3)
    assert 3 not in watched.lateness and "in time again" in watched.said[-1]


SPOILT_S = 2.4


def spoil(box: Box) -> None:
    """Depth of all venues comes later and later, without a gap, and in the end in time."""
    for at_s, ms in reversed([(0.0, 300), (0.25, 600), (0.5, 1_000), (0.75, 1_400), (1.0, 1_600)]):
        # The first of several that act is taken: the latest to begin.
        box.faults.apply(
            do=Do.DELAY, where="stream:depth", ms=ms, at_s=at_s, seconds=SPOILT_S - at_s
        )


@asynccontextmanager
async def watching(box: Box, venue: str, symbol: str) -> AsyncIterator[Witness]:
    """A gateway that takes nothing older than 0.8 s, with a healthy book."""
    adapter: Any = decoder(venue)
    gateway: Gateway = adapter.gateway(BoxCounterpart(box, venue, symbol).setup(late_s=0.8))
    try:
        prepared = await gateway.prepare()
        witness = Witness(gateway, prepared.instruments[0])
        await gateway.start(witness)
        await witness.until(lambda: witness.healthy, what="a healthy book")
        yield witness
    finally:
        await gateway.close()


async def check(box: Box, witness: Witness, venue: str, symbol: str) -> int:
    """Stale while frames flow late, told once, and the venue's own book in the end.

    Returns how often the book was looked at while they did: on a busy machine it may be told of
    when all is over.
    """
    floor = BoxCounterpart(box, venue, symbol)
    late_until_s = asyncio.get_running_loop().time() + SPOILT_S - 0.05
    await witness.until(
        lambda: any("0.8 s late" in text for text in witness.notices), what="a late book"
    )
    n_looks = 0
    while n_looks < 10 and asyncio.get_running_loop().time() < late_until_s:
        assert not witness.healthy
        n_looks += 1
        await asyncio.sleep(0.05)
    await witness.until(lambda: witness.healthy, within_s=8.0, what="a healthy book again")
    await witness.until(lambda: witness.top(1, 3) == floor.top(1, 3), what="the venue's book")
    for words in ("0.8 s late", f"{symbol} is in time again"):
        assert sum(words in text for text in witness.notices) == 1, (venue, witness.notices)
    assert witness.errors == []
    return n_looks


def test_a_book_that_comes_late_is_stale_at_every_venue() -> None:
    async def story() -> None:
        async with asyncio.timeout(30), AsyncExitStack() as stack:
            box = await stack.enter_async_context(Box.open(seed=31, limits_scale=50.0))
            opening = [stack.enter_async_context(watching(box, *each)) for each in VENUES.items()]
            witnesses = [await each for each in opening]
            checks = map(check, repeat(box), witnesses, VENUES, VENUES.values())
            spoil(box)
            flowed = [sum(each.channels.values()) for each in witnesses]
            n_looks = await asyncio.gather(*checks)
            assert any(n_looks), n_looks
            assert all(
                sum(each.channels.values()) > before
                for each, before in zip(witnesses, flowed, strict=True)
            )

    assert _hyperliquid_gateway.LATE_S > 1.36  # what a recorder far away saw in good times
    asyncio.run(story())
