"""Configurations on one market, paired: the same rows, the same draws of latency, own accounts.

What one does changes nothing for another (`mmcore.lanes`), so that all of them, and the same under
other assumptions, share one pass.  Nothing is written: the touch is kept as it changes, and the
records of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ._book import Book
from ._path import path_of
from .band import Model
from .compare import Stretch, sampling, stretch_of
from .errors import ConfigError, ExitCode, NoDataError, UsageError
from .events import RECORD
from .findings import Pair
from .lanes import LANES_MAX, PassDesk
from .repeats import Assumption, repeats_of
from .run import SETTLES_MAX
from .schema import Config
from .traded import Market as Seen
from .traded import Trading, market_of, simulated_ns, trading_of, venue_flag

CHUNK = 1 << 20  # messages between two looks at the verdict
Tradings = tuple[Trading, ...]


class Market(NamedTuple):
    """One market and who trades there.  label: "seed 3"; regime: as which it was made, if any."""

    label: str
    configs: tuple[Config, ...]
    regime: str = ""


def pairs_of(
    markets: Sequence[Market],
    names: Sequence[str],
    seconds: float | None = None,
    *,
    repeated: bool = True,
    also: Model | None = None,
) -> list[Pair]:
    """The first configuration paired with each of the others, over all markets.

    names: of the configurations.  seconds: of each market, None: as configured.  repeated: under
    every queue model of the fill band, ``also``, and at twice the latency too, in the same pass.
    Raises what :func:`trade` and `mmcore.compare.stretch_of` do.
    """
    parts: dict[tuple[int, Assumption | None], list[Stretch]] = {}
    interval_s = 0.0
    for label, configs, regime in markets:
        repeats = repeats_of(configs, also) if repeated else []
        groups = [(None, configs), *repeats]
        found = trade([config for _, group in groups for config in group], seconds)
        if not interval_s:
            interval_s = sampling(max(each.path.seconds for each in found[0]), len(markets))
        for assumption, _ in groups:
            first, *others = (found.pop(0) for _ in names)
            for place, other in enumerate(others, 1):
                stretch = stretch_of(
                    first, other, label=label, regime=regime,
                    names=(names[0], names[place]), interval_s=interval_s,
                )  # fmt: skip
                parts.setdefault((place, assumption), []).append(stretch)
    pairs = []
    for place, name in enumerate(names[1:], 1):
        under = [
            (assumption, stretches)
            for (at, assumption), stretches in parts.items()
            if at == place and assumption is not None
        ]
        pairs.append(Pair((names[0], name), parts[place, None], under))
    return pairs


def trade(configs: Sequence[Config], seconds: float | None = None) -> list[Tradings]:
    """What every configuration did on the market of the first, configuration by configuration.

    seconds: market time; None: as the first says.  Raises ConfigError where they cannot share a
    market or have no end, DataError where the market cannot be read.
    """
    if len(configs) > LANES_MAX:
        raise UsageError(
            f"{len(configs)} configurations, queue models and latencies in one pass",
            where="python -m mmcore compare",
            done="nothing was compared",
            todo=f"at most {LANES_MAX} fit: give fewer configurations, or --no-repeats",
        )
    plain = [_plain(config) for config in configs]
    length = plain[0].run.seconds if seconds is None else seconds
    if not length and plain[0].market.source == "synthetic":
        raise ConfigError(
            "a synthetic market has no end of its own",
            where=plain[0].path,
            done="nothing was compared",
            todo="give --seconds, or seconds under [run]",
        )
    with closing(PassDesk(plain, "compare", length)) as desk:
        eyes = [_Eye(i, desk) for i in range(len(desk.instruments))]

        def see(rows: NDArray[np.void]) -> None:
            for eye in eyes:
                eye.see(rows)

        desk.log_rows = see
        kept = _run(desk)
        markets = [eye.market() for eye in eyes]
        items = desk.instruments
    found = []
    for config, parts in zip(plain, kept, strict=True):
        records = np.concatenate([np.zeros(0, RECORD), *parts])
        made = []
        for i, (item, market) in enumerate(zip(items, markets, strict=True)):
            mine = records[records["trader"] % len(items) == i]
            venue_ns = simulated_ns(mine, config)
            made.append(trading_of(i, mine, item, market, config, venue_ns, {}))
        found.append(tuple(made))
    return found


def _plain(config: Config) -> Config:
    if config.needs_venue:
        raise ConfigError(
            'mode = "live", or public data of a venue, cannot be traded twice',
            where=config.path,
            done="nothing was compared",
            todo="run both side by side on paper, and compare their run directories",
        )
    return replace(config, market=replace(config.market, speed=0.0))


def _run(desk: PassDesk) -> list[list[NDArray[np.void]]]:
    """The records of every configuration, piece by piece."""
    kept: list[list[NDArray[np.void]]] = [[] for _ in range(1 + len(desk.lanes))]
    for lane, mine in zip(desk.lanes, kept[1:], strict=True):
        lane.records = partial(_keep, mine)
    while not desk.over and desk.verdict().exit_code != ExitCode.SAFETY:
        desk.advance(CHUNK, 0)
        kept[0].append(desk.drain())
    desk.stop()
    for _ in range(SETTLES_MAX):
        settled = desk.settle()
        kept[0].append(desk.drain())
        if settled:
            break
    return kept


def _keep(kept: list[NDArray[np.void]], records: NDArray[np.void]) -> None:
    kept.append(records.copy())


class _Eye:
    """Follows the touch of one instrument through the rows of a pass."""

    def __init__(self, index: int, desk: PassDesk) -> None:
        self._index = index
        self._item = desk.instruments[index]
        self._book = Book(self._item.spec(index))
        self._touches: list[NDArray[np.void]] = []
        self._prints: list[NDArray[np.void]] = []
        self._two = desk.clock == "two"
        self._flag: int | None = None

    def see(self, rows: NDArray[np.void]) -> None:
        if not len(rows):
            return
        if self._flag is None:
            self._flag = venue_flag(rows)
        touches, prints = path_of(self._book, rows, instrument=self._index, flag=self._flag)
        self._touches.append(touches.copy())
        self._prints.append(prints.copy())

    def market(self) -> Seen:
        """What was seen.  Raises NoDataError where the book was never usable."""
        if self._touches:
            touches, prints = np.concatenate(self._touches), np.concatenate(self._prints)
            if (touches["bid_tick"] > 0).any():
                return market_of(self._book, touches, prints, venue=self._two)
        raise NoDataError(
            f"{self._item}: the book was never usable: there is no price to compare at",
            todo="name a tape that begins with a snapshot of this instrument",
        )
