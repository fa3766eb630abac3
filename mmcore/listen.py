"""Paper trading on a venue's public data: what the gateways deliver, as a source of rows.

The orders stay simulated; the market is real and in real time.  Where nothing comes, a heartbeat
row lets time pass at the simulated venue, so that answers arrive in a quiet market too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import nan
from typing import Literal

import numpy as np

from ._pump import restamp
from .connect import Connection, Connections
from .errors import MmcoreError
from .events import EVENT, Flag, Kind
from .paper import PaperDesk
from .progress import Level, VenueView
from .schema import Config
from .streams import Problem
from .venue import Rows

HEARTBEAT_NS = 50_000_000  # between two rows of a silent market


class VenueSource:
    """Public data of one or several venues as a `mmcore.tape.Source` that has no end.

    connections: prepared, without keys.  clock: receive time, ns, the gateways' own.
    """

    clock = "local"

    def __init__(self, connections: Connections, clock: Callable[[], int]) -> None:
        self.instruments = connections.instruments
        self.said: list[tuple[Level, str]] = [("info", text) for text in connections.notices]
        self.fault: MmcoreError | None = None
        self.connections = connections
        self._time = clock
        self._blocks: list[Rows] = []
        self._last_ns = 0

    @property
    def problems(self) -> Sequence[Problem]:
        """What is damaged is told by the gateways, as notices."""
        return ()

    @property
    def problem_count(self) -> int:
        """Damaged records: the gateways resynchronise by themselves."""
        return 0

    async def start(self) -> None:
        """Start every gateway; rows flow from here on."""
        await asyncio.gather(
            *(each.gateway.start(_Ear(self, each)) for each in self.connections.all)
        )

    def receive(self, rows: Rows) -> None:
        """Keep EVENT rows until they are asked for."""
        mine = np.array(rows)
        self._last_ns = restamp(mine, self._last_ns)
        self._blocks.append(mine)

    def next_block(self) -> Rows | None:
        """What has come since the last call; a heartbeat when that is long ago; else no row."""
        if self._blocks:
            rows = np.concatenate(self._blocks)
            self._blocks.clear()
            return rows
        now_ns = self._time()
        if now_ns - self._last_ns < HEARTBEAT_NS:
            return np.zeros(0, EVENT)
        self._last_ns = now_ns
        row = np.zeros(1, EVENT)
        row["kind"], row["flags"] = Kind.TIMER, Flag.LOCAL
        row["ts_venue_ns"] = row["ts_local_ns"] = now_ns
        return row

    def progress(self) -> float:
        """There is no end."""
        return nan

    def close(self) -> None:
        """The connections are closed by who made them."""


class _Ear:
    """Where one gateway delivers; a `mmcore.gateway.Sink`."""

    def __init__(self, source: VenueSource, connection: Connection) -> None:
        self._source = source
        self._name = connection.name
        self.rows = source.receive

    def raw(self, channel: str, frame: bytes, ts_local_ns: int) -> None:
        """Frames are for recorders."""

    def notice(self, level: Literal["info", "warning", "error"], text: str) -> None:
        """One sentence for the user."""
        self._source.said.append((level, f"{self._name}: {text}"))

    def fatal(self, error: MmcoreError) -> None:
        """The data cannot go on."""
        self._source.fault = self._source.fault or error


class ListeningDesk(PaperDesk):
    """A paper desk in real time, on a :class:`VenueSource`."""

    real_time = True

    def __init__(self, config: Config, title: str, seconds: float, source: VenueSource) -> None:
        super().__init__(config, title, seconds, source)
        self._listen_to(source)

    def _listen_to(self, source: VenueSource) -> None:
        names = ", ".join(each.name for each in source.connections.all)
        self.market = f"public data of {names}"
        self._venue_source = source

    async def open(self) -> None:
        """Start listening."""
        await self._venue_source.start()

    def advance(self, events: int, until_ns: int) -> int:  # noqa: ARG002 - time is not ours
        """Process what has come; how many messages that were."""
        if self._venue_source.fault is not None:
            raise self._venue_source.fault
        return super().advance(events, 0)

    def problems(self) -> list[tuple[Level, str]]:
        """What the gateways had to say."""
        said, self._venue_source.said = self._venue_source.said, []
        return said

    def venues(self) -> tuple[VenueView, ...]:
        """The venues that are listened to, for the screen."""
        return tuple(each.view() for each in self._venue_source.connections.all)


__all__ = ["ListeningDesk", "VenueSource"]
