"""The command ``venue``: the box as a process, from the ready line to the last signal."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import uvloop

from mmcore.errors import ExitCode, UsageError
from mmcore.logs import close_log, level_named, open_log
from mmcore.synthetic import PRESETS

from .accounts import Account
from .options import Options
from .script import load
from .server import Box, check_host


def address(listen: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``[::1]:PORT`` or ``PORT``; UsageError."""
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]") if colon else "127.0.0.1"
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise UsageError(
            f"{listen!r} is no address",
            where="--listen",
            done="nothing was started",
            todo="write --listen 127.0.0.1:0 (port 0: any free one)",
        )
    return host, int(port)


def run(
    tapes: Sequence[str],
    *,
    listen: str,
    market: str,
    faults: str | None,
    funding: int,
    listen_key_life: float,
    anywhere: bool,
    until_stdin_closes: bool,
    log_level: str | None,
    **choices: Any,
) -> int:
    """The command line's words as :class:`Options`, then :func:`serve`.

    choices: fields of Options under the same name.  Raises MmcoreError where it cannot start.
    """
    if choices["preset"] not in PRESETS:
        raise UsageError(
            f"there is no market {choices['preset']!r}",
            where="--preset",
            done="nothing was started",
            todo=f"choose one of {', '.join(PRESETS)}",
        )
    if market == "synthetic" and tapes:
        raise UsageError(
            "a market is synthetic or played from tapes, not both",
            where=f"--market synthetic {tapes[0]}",
            done="nothing was started",
            todo="leave out one of them",
        )
    options = Options(
        tapes=() if market == "synthetic" else (market, *tapes),
        script=load(faults) if faults else (),
        funding_s=funding,
        listen_key_s=_positive("--listen-key-life", listen_key_life),
        random_keys=anywhere,
        **choices,
    )
    _positive("--limits-scale", options.limits_scale)
    _positive("--reply-ms", options.reply_ms + 1)
    log = open_log(level_named(log_level))
    try:
        return serve(options, listen, anywhere=anywhere, until_stdin_closes=until_stdin_closes)
    finally:
        close_log(log)


def _positive(name: str, value: float) -> float:
    if not 0 < value < 1e9:
        raise UsageError(
            f"{value:g} is out of range",
            where=name,
            done="nothing was started",
            todo="give a number above 0",
        )
    return value


def serve(options: Options, listen: str, *, anywhere: bool, until_stdin_closes: bool) -> int:
    """Run the box until it is told to stop; returns the exit code.

    Prints one line of JSON to standard output when it can be reached, nothing else ever.
    INTERRUPTED after SIGINT or SIGTERM, OK after standard input has closed.  Raises MmcoreError
    where it cannot start.
    """
    host, port = address(listen)
    check_host(host, anywhere=anywhere)
    _raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(options, host, port, anywhere, until_stdin_closes))


async def _serve(
    options: Options, host: str, port: int, anywhere: bool, until_stdin_closes: bool
) -> int:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[ExitCode] = loop.create_future()

    def stop(code: ExitCode) -> None:
        if not stopped.done():
            stopped.set_result(code)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, ExitCode.INTERRUPTED)
    box = Box.build(options)
    for note in box.notes:
        print(f"note: {note}", file=sys.stderr, flush=True)
    await box.start(host, port, anywhere=anywhere)
    try:
        print(json.dumps(ready(box)), flush=True)
        if until_stdin_closes:
            _watch_stdin(loop, stop)
        code = await stopped
    finally:
        await box.stop()
    if code == ExitCode.INTERRUPTED:
        print("\nstopped; orders and accounts of the box are gone with it", file=sys.stderr)
    return code


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: Any) -> None:
    # A thread, because standard input may be a file, a pipe or a terminal.
    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        with suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(stop, ExitCode.OK)

    threading.Thread(target=watch, name="stdin", daemon=True).start()


def ready(box: Box) -> dict[str, Any]:
    """What a client needs: where, as whom, and what there is to trade."""
    served = {dialect.name for dialect in box.dialects}
    floors = box.exchange.floors
    return {
        "host": box.host,
        "port": box.port,
        "accounts": [_account(each) for each in box.accounts if each.venue in served],
        "instruments": [
            {"venue": floor.venue, "symbol": floor.symbol}
            for floor in floors
            if floor.venue.partition("-")[0] in served
        ],
    }


def _account(account: Account) -> dict[str, str]:
    held = account.credentials
    if held.private_key:
        return {
            "venue": account.venue,
            "private_key": held.private_key,
            "address": held.address,
        }
    return {"venue": account.venue, "key": held.key, "secret": held.secret}


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(hard, 16_384)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
