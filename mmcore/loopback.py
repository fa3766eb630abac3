"""The exchange in the box as a child process: started for one run, gone with it.

The child ends when its standard input closes, which the system does for us whatever ends this
process; so it never outlives the run that started it.  Ctrl-C at the terminal does not reach it:
orders are cancelled there first.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .errors import VenueError
from .gateway import Keys
from .keyring import family_of
from .schema import Config

READY_S = 20.0  # a cold start compiles nothing, but imports three dialects
STOP_S = 3.0
TOLD_BYTES = 2000  # of what a child that failed has said


class Loopback:
    """One running exchange in the box.  base: "127.0.0.1:PORT"."""

    def __init__(self, process: asyncio.subprocess.Process, facts: Mapping[str, Any]) -> None:
        self._process = process
        self._accounts: list[Mapping[str, str]] = facts["accounts"]
        self.base = f"{facts['host']}:{facts['port']}"

    def __repr__(self) -> str:
        return f"Loopback({self.base})"

    @classmethod
    async def start(cls, config: Config) -> Loopback:
        """Start the box that a configuration asks for, and wait until it is ready.

        Raises VenueError, with what the child said, where it does not come up.
        """
        with tempfile.TemporaryFile() as errors:
            process = await asyncio.create_subprocess_exec(
                *command(config),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
            try:
                assert process.stdout is not None
                line = await asyncio.wait_for(process.stdout.readline(), READY_S)
                return cls(process, json.loads(line))
            except (TimeoutError, ValueError, KeyError):
                await _stop(process)
                errors.seek(0)
                said = errors.read(TOLD_BYTES).decode("utf-8", "replace").split()
                raise VenueError(
                    f"did not come up: {' '.join(said) or 'it said nothing'}",
                    where="the exchange in the box",
                    done="nothing was started",
                    todo="try it by itself: python -m mmcore venue --listen 127.0.0.1:0",
                ) from None
            except BaseException:
                await _stop(process)
                raise

    def keys(self, venue: str) -> Keys:
        """The first account that the box has for a venue.  Raises VenueError where it has none."""
        family = family_of(venue)
        for account in self._accounts:
            if account["venue"] == family:
                if family == "hyperliquid":
                    return Keys(account["address"], account["private_key"])
                return Keys(account["key"], account["secret"])
        raise VenueError(
            f"has no account of {venue}",
            where="the exchange in the box",
            done="nothing was started",
            todo='its Hyperliquid side needs `pip install "mmcore-maker[hyperliquid]"`',
        )

    async def stop(self) -> None:
        """End the child; idempotent."""
        await _stop(self._process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    for end in (process.terminate, process.kill):
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            with suppress(ProcessLookupError):
                end()
        else:
            return
    await process.wait()


def command(config: Config) -> list[str]:
    """The command line of the box that a configuration asks for."""
    market = config.market
    words = [sys.executable, "-m", "mmcore", "venue", "--listen", "127.0.0.1:0"]
    words += ["--until-stdin-closes", "--seed", str(market.seed)]
    if config.live.faults is not None:
        words += ["--faults", config.live.faults]
    if market.source == "tape":
        return [*words, "--market", *market.files]
    return [*words, "--preset", market.preset]


__all__ = ["Loopback", "command"]
