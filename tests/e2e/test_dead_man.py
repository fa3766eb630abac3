"""A run that is killed: the venue itself cancels what rests, where it has a switch for that."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mmcore.box.accounts import Account
from mmcore.box.orders import Ending, Order
from mmcore.box.server import Box

if sys.platform == "win32":
    pytest.skip("POSIX signals", allow_module_level=True)
pytest.importorskip("eth_account")

SECOND = 1_000_000_000
WINDOW_S = 20
WAIT_S = 20.0
CONFIG = f"""
mode = "live"
[live]
environment = "loopback"
box = "127.0.0.1:%d"
dead_man_seconds = {WINDOW_S}
"""
ITEM = """
[[instrument]]
venue = "{venue}"
symbol = "{symbol}"
[instrument.grid]
asset = 20000
leverage = 5
minimum_spread = 20
final_order_distance = 2
orders_per_side = 2
rate_limit = 4
"""
WITH_SWITCH = {
    "binance": ("binance-usdm", "BTCUSDT"),
    "bybit": ("bybit-linear", "BTCUSDT"),
    "hyperliquid": ("hyperliquid", "BTC"),
}


def credentials(box: Box) -> Mapping[str, str]:
    """The first account of each family, as the environment gives keys."""
    said = {}
    for family in WITH_SWITCH:
        held = first(box, family).credentials
        if held.private_key:
            pair = ("ADDRESS", held.address), ("PRIVATE_KEY", held.private_key)
        else:
            pair = ("KEY", held.key), ("SECRET", held.secret)
        said |= {f"MMCORE_{family}_{name}".upper(): value for name, value in pair}
    return said


def first(box: Box, family: str) -> Account:
    account: Account = box.exchange.accounts_of(family)[0]
    return account


@asynccontextmanager
async def quoting(
    box: Box, folder: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, list[Order]]]]:
    """A run on this box, with orders at every venue; and which those are."""
    items = [ITEM.format(venue=venue, symbol=symbol) for venue, symbol in WITH_SWITCH.values()]
    (folder / "c.toml").write_text(CONFIG % box.port + "".join(items))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MMCORE")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mmcore", "run", "c.toml", "--json"),
        cwd=folder,
        env={**environment, **credentials(box), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        resting: dict[str, list[Order]] = {}
        async with asyncio.timeout(WAIT_S):
            while len(resting) < len(WITH_SWITCH) and process.returncode is None:
                await asyncio.sleep(0.02)
                resting = {f: orders for f in WITH_SWITCH if (orders := first(box, f).orders())}
        yield process, resting
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_orders_of_a_killed_run_are_cancelled_by_the_venue(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            Box.open(seed=11, limits_scale=50.0) as box,
            quoting(box, tmp_path) as (process, _),
        ):
            process.send_signal(signal.SIGKILL)
            await process.wait()
            left = {family: first(box, family).orders() for family in WITH_SWITCH}
            assert all(left.values()), left
            await asyncio.sleep(1.5)  # Bybit's side looks once a second who is still there
            box.exchange.advance(box.clock.engine_ns() + SECOND)
            assert all(order.open for orders in left.values() for order in orders)
            box.exchange.advance(box.clock.engine_ns() + (WINDOW_S + 1) * SECOND)
            for family, orders in left.items():
                assert first(box, family).orders() == [], family
                assert {order.ending for order in orders} == {Ending.COUNTDOWN}, family

    asyncio.run(story())


def test_a_run_that_ends_in_order_takes_its_switches_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            Box.open(seed=12, limits_scale=50.0) as box,
            quoting(box, tmp_path) as (process, _),
        ):
            process.send_signal(signal.SIGINT)
            said, _ = await process.communicate()
            assert process.returncode == 130, said
            assert not any(first(box, family).orders() for family in WITH_SWITCH)
            counting = {account.venue for account, _ in box.exchange._countdowns}
            assert counting <= {"bybit"}  # its switch is the account's, and stays set

    asyncio.run(story())
