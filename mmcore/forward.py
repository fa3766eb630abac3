"""Several configurations on paper, on one venue's public data: the forward test.

One feed, one pass, as in a backtest of several configurations; the time is real.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, closing

from .connect import connect, keys_for, steady_clock
from .errors import ConfigError
from .lanes import PassDesk
from .listen import ListeningDesk, VenueSource
from .schema import Config


class ForwardDesk(ListeningDesk, PassDesk):
    """A pass in real time, on a `mmcore.listen.VenueSource`."""

    def __init__(
        self, configs: Sequence[Config], title: str, seconds: float, source: VenueSource
    ) -> None:
        PassDesk.__init__(self, configs, title, seconds, source)
        self._listen_to(source)


@asynccontextmanager
async def desk_of(configs: Sequence[Config], title: str, seconds: float) -> AsyncIterator[PassDesk]:
    """The desk that trades them side by side on paper.

    Raises ConfigError where one sends orders to a venue, or they listen to different ones.
    """
    first = configs[0]
    for config in configs:
        if config.mode == "live" or config.live != first.live:
            wrong = (
                'mode = "live"' if config.mode == "live" else f"[live] differs from {first.path}"
            )
            raise ConfigError(
                f"{wrong}: side by side is on paper, on one feed",
                where=config.path,
                done="nothing was started",
                todo='give all mode = "paper" and the same [live] and [market]',
            )
    if not first.needs_venue:
        with closing(PassDesk(configs, title, seconds)) as desk:
            yield desk
        return
    keys = keys_for(first, os.environ, live=False)
    clock = steady_clock()
    async with aclosing(await connect(first, keys=keys, ids=None, clock=clock)) as connections:
        yield ForwardDesk(configs, title, seconds, VenueSource(connections, clock))


__all__ = ["ForwardDesk", "desk_of"]
