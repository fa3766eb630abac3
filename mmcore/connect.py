"""From a configuration to gateways that are ready to start: keys, addresses, instruments, accounts.

One gateway serves one product of a venue with all its instruments; several live on one loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import NetworkError, UsageError, VenueError
from .gateway import AccountState, ClientIds, Gateway, Health, Keys, Prepared, Setup
from .instrument import Instrument
from .keyring import keys_of
from .listing import instrument_of
from .loopback import Loopback
from .progress import VenueView
from .schema import Config, InstrumentConfig
from .venue import decoder

PREPARE_S = 30.0  # a slow venue answers within
REACH_S = 1.5  # and its host is connected to within
OFFLINE = "runs without network: demo, check, and run on a synthetic market or a tape"


@dataclass(slots=True)
class Connection:
    """One gateway.  numbers: of its instruments in the run.  account: before the first order."""

    venue: str
    environment: str
    gateway: Gateway
    numbers: tuple[int, ...]
    prepared: Prepared
    instruments: tuple[Instrument, ...]
    account: AccountState | None = None

    @property
    def name(self) -> str:
        """What it is called: "bybit-linear, loopback"."""
        return f"{self.venue} {self.environment}"

    def view(self) -> VenueView:
        """How it is, for the screen."""
        health: Health = self.gateway.health()
        down = [f"{link} {state}" for link, state in health.links.items() if state != "up"]
        return VenueView(
            name=self.name,
            links_up=len(health.links) - len(down),
            links=len(health.links),
            down=down[0] if down else "",
            budget_left=health.budget_left,
            n_unknown=health.n_unknown,
            n_reconnects=health.n_reconnects,
            clock_offset_ms=health.clock_offset_ns / 1e6,
        )


@dataclass(slots=True)
class Connections:
    """Every gateway of a run, and the exchange in the box where there is one."""

    all: list[Connection] = field(default_factory=list)
    box: Loopback | None = None

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """By their number in the run."""
        by_number = {
            number: item
            for connection in self.all
            for number, item in zip(connection.numbers, connection.instruments, strict=True)
        }
        return tuple(by_number[number] for number in range(len(by_number)))

    @property
    def notices(self) -> list[str]:
        """What the user should read before anything else."""
        return [f"{each.name}: {text}" for each in self.all for text in each.prepared.notices]

    async def aclose(self) -> None:
        """Close the gateways, then the box; idempotent."""
        await asyncio.gather(*(each.gateway.close() for each in self.all), return_exceptions=True)
        self.all.clear()
        if self.box is not None:
            await self.box.stop()
            self.box = None


def keys_for(config: Config, environ: Mapping[str, str], *, live: bool) -> dict[str, Keys]:
    """Keys by venue, for orders at a test-net or at a box that runs already; else none are needed.

    live: whether the command line said --live.  Before any network: raises UsageError where orders
    would go to a test-net and it did not, or where it did for a run on paper; ConfigError as
    :func:`mmcore.keyring.keys_of` does.
    """
    where = config.path or "run"
    if config.mode != "live":
        if live:
            raise UsageError(
                'the configuration says mode = "paper"',
                where=where,
                done="nothing was started",
                todo='set mode = "live", or leave --live out',
            )
        return {}
    if config.environment == "loopback" and config.live.box is None:
        return {}
    if not live and config.environment != "loopback":
        raise UsageError(
            f"orders would go to the {config.environment}",
            where=where,
            done="nothing was started",
            todo=f"if that is meant, type python -m mmcore run {where} --live",
        )
    venues = dict.fromkeys(item.venue for item in config.instruments)
    return {venue: keys_of(venue, environ, config.live.keys_file) for venue in venues}


def steady_clock() -> Callable[[], int]:
    """Unix time in ns that only ever goes on: the system's clock when this is called, and the time
    that has passed since.  A clock that is set while a run goes on would stop its engine.
    """
    offset_ns = time.time_ns() - time.monotonic_ns()
    return lambda: time.monotonic_ns() + offset_ns


async def connect(
    config: Config,
    *,
    keys: Mapping[str, Keys],
    ids: ClientIds | None,
    clock: Callable[[], int],
    alone: bool = False,
) -> Connections:
    """Start the box where one is asked for, make the gateways and prepare them, all at once.

    keys: of :func:`keys_for`.  ids: for orders; None listens to public data only.  clock: receive
    time, ns.  alone: a gateway for each instrument.  Raises MmcoreError for whatever keeps trading
    from working; nothing is left open.
    """
    connections = Connections()
    try:
        if config.environment == "loopback":
            connections.box = await Loopback.start(config) if not config.live.box else None
        common: dict[Any, Any] = {}
        setups = [
            _setup(config, numbers, keys, ids, clock, connections.box, common)
            for numbers in _groups(config, alone=alone)
        ]
        gateways = [_gateway(setup) for setup in setups]
        prepared = await _all_prepared(gateways, setups, connections, config)
        for connection in prepared:
            connection.account = await _own_orders_away(connection)
    except BaseException:
        await connections.aclose()
        raise
    return connections


def _groups(config: Config, *, alone: bool) -> list[tuple[int, ...]]:
    """Numbers of the instruments of each gateway: those of a venue, or every one by itself."""
    groups: dict[object, tuple[int, ...]] = {}
    for i, item in enumerate(config.instruments):
        key = i if alone else item.venue
        groups[key] = (*groups.get(key, ()), i)
    return list(groups.values())


def _setup(
    config: Config,
    numbers: tuple[int, ...],
    keys: Mapping[str, Keys],
    ids: ClientIds | None,
    clock: Callable[[], int],
    box: Loopback | None,
    common: dict[Any, Any],
) -> Setup:
    mine = [config.instruments[number] for number in numbers]
    venue = mine[0].venue
    own_keys = None
    if ids is not None:
        own_keys = keys[venue] if box is None else box.keys(venue)
    return Setup(
        venue=venue,
        symbols=tuple(item.symbol for item in mine),
        numbers=numbers,
        environment=config.environment,
        base=config.live.box or "" if box is None else box.base,
        keys=own_keys,
        ids=ids,
        leverage=tuple(_leverage(item) for item in mine),
        stream=config.live.stream,
        order_entry=config.live.order_entry,
        clock=clock,
        seed=config.market.seed,
        dead_man_s=config.live.dead_man_seconds,
        late_s=(config.live.book_late_ms_max or 0.0) / 1000,
        common=common,
    )


def _leverage(item: InstrumentConfig) -> int | None:
    """What the venue is asked to set: only what the configuration names."""
    if item.is_spot or item.strategy != "grid" or item.grid.leverage is None:
        return None
    return max(int(item.grid.leverage), 1)


def _gateway(setup: Setup) -> Gateway:
    adapter: Any = decoder(setup.venue)
    make: Callable[[Setup], Gateway] | None = getattr(adapter, "gateway", None)
    if make is None:
        raise VenueError(
            f"the adapter of {setup.venue} reads tapes only",
            done="nothing was started",
            todo="trade another venue, or run on a tape",
        )
    return make(setup)


async def _all_prepared(
    gateways: Sequence[Gateway],
    setups: Sequence[Setup],
    connections: Connections,
    config: Config,
) -> list[Connection]:
    """Prepare every gateway at once; the first failure ends it for all."""
    tasks = [
        asyncio.ensure_future(_prepared(gateway, setup))
        for gateway, setup in zip(gateways, setups, strict=True)
    ]
    try:
        answers = await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(each.close() for each in gateways), return_exceptions=True)
        raise
    for gateway, setup, prepared in zip(gateways, setups, answers, strict=True):
        listed = {item.symbol: item for item in prepared.instruments}
        plans = [config.instruments[number] for number in setup.numbers]
        connections.all.append(
            Connection(
                setup.venue,
                setup.environment,
                gateway,
                setup.numbers,
                prepared,
                tuple(instrument_of(plan, listed) for plan in plans),
                prepared.account,
            )
        )
    return connections.all


async def _prepared(gateway: Gateway, setup: Setup) -> Prepared:
    where = f"{setup.venue} {setup.environment}"
    try:
        async with asyncio.timeout(PREPARE_S):
            return await _within_reach(gateway, setup)
    except NetworkError as error:
        raise NetworkError(
            error.what,
            where=error.where or where,
            done=error.done or "nothing was started",
            todo=OFFLINE if setup.environment != "loopback" else error.todo,
        ) from None
    except TimeoutError:
        raise NetworkError(
            f"nothing was ready within {PREPARE_S:.0f} s",
            where=where,
            done="nothing was started",
            todo=OFFLINE,
        ) from None


async def _within_reach(gateway: Gateway, setup: Setup) -> Prepared:
    """What :meth:`Gateway.prepare` says; given up early where the venue's host is out of reach.

    A request has the time that a slow venue needs; a machine without network shall not wait for it.
    """
    hosts: Mapping[str, str] = getattr(decoder(setup.venue), "hosts", {})
    host = hosts.get(setup.environment)
    if host is None:
        return await gateway.prepare()
    preparing = asyncio.ensure_future(gateway.prepare())
    reaching = asyncio.ensure_future(_reach(host))
    try:
        await asyncio.wait({preparing, reaching}, return_when=asyncio.FIRST_COMPLETED)
        if not preparing.done():
            await reaching
        return await preparing
    finally:
        preparing.cancel()
        reaching.cancel()
        await asyncio.gather(preparing, reaching, return_exceptions=True)


async def _reach(host: str) -> None:
    """Connect to a host and leave.  Raises NetworkError where that takes too long."""
    try:
        async with asyncio.timeout(REACH_S):
            _, writer = await asyncio.open_connection(host, 443)
        writer.close()
    except TimeoutError:
        raise NetworkError(
            f"{host} cannot be reached within {REACH_S:g} s", done="nothing was started"
        ) from None
    except OSError:  # the gateway's own request says it better
        return


async def _own_orders_away(connection: Connection) -> AccountState | None:
    """Cancel what an earlier start has left; the account after it."""
    state = connection.account
    if state is None or not any(order.own for order in state.orders):
        return state
    count = await connection.gateway.cancel_all()
    notices = (*connection.prepared.notices, f"{count} orders of an earlier start were cancelled")
    prepared = connection.prepared
    connection.prepared = Prepared(
        instruments=prepared.instruments,
        account=prepared.account,
        clock_offset_ns=prepared.clock_offset_ns,
        notices=notices,
    )
    return await connection.gateway.account()


__all__ = ["OFFLINE", "Connection", "Connections", "connect", "keys_for", "steady_clock"]
