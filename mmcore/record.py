"""The command `record`: public frames of the venues of a configuration, as they come, to disk.

Every instrument has connections and files of its own (:mod:`mmcore.raw_tape`); `run` and `tape
info` read them back.  Exit codes: 0 the time asked for is over; 2 not as configured; 4 a venue
refused or cannot be reached; 5 the disk failed; 130 Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from contextlib import aclosing, closing, suppress
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from .connect import Connection, Connections, connect, steady_clock
from .errors import ConfigError, ExitCode, MmcoreError
from .events import Kind
from .progress import Level, notice_text, plural
from .raw_tape import LINK_DOWN, RawTapes
from .run import SIGNALS
from .schema import Config
from .venue import Rows

PRIVATE = ("private", "trade", "user")  # channels that are nobody's business
TOLD_S = 10.0  # between two lines about the progress
LOOK_S = 0.1


def record_config(config: Config, directory: Path, *, seconds: float, as_json: bool = False) -> int:
    """Record until ``seconds`` are over (0: until Ctrl-C); the exit code.

    Raises ConfigError for a configuration that names no venue's data, and MmcoreError for whatever
    keeps the recording from starting.
    """
    if not config.needs_venue:
        raise ConfigError(
            "there is nothing to record: its market is synthetic, or a tape",
            where=config.path,
            done="nothing was started",
            todo='write source = "venue" under [market]',
        )
    recorder = Recorder(config, directory, seconds, as_json=as_json)
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(recorder.run())
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(recorder.run())


class Recorder:
    """One recording, from the first connection to the last line on the screen."""

    def __init__(self, config: Config, directory: Path, seconds: float, *, as_json: bool) -> None:
        self._config = config
        self._directory = directory
        self._seconds = seconds
        self._json = as_json
        self._began = time.monotonic()
        self._signal = ""
        self._fault: MmcoreError | None = None

    async def run(self) -> int:
        """Connect, record, close; the exit code."""
        clock = steady_clock()
        connections = await connect(self._config, keys={}, ids=None, clock=clock, alone=True)
        async with aclosing(connections):
            with closing(RawTapes(self._directory, connections.instruments)) as tapes:
                code, cause = await self._record(connections, tapes)
            self._summary(tapes, code, cause)
        return code

    async def _record(self, connections: Connections, tapes: RawTapes) -> tuple[int, str]:
        loop = asyncio.get_running_loop()
        for number, name in SIGNALS.items():
            with suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, self._stop, name)
        try:
            await asyncio.gather(
                *(each.gateway.start(_Tap(self, each, tapes)) for each in connections.all)
            )
            self._began = time.monotonic()
            return await self._until_end(tapes)
        except MmcoreError as error:
            return error.exit_code, str(error)
        finally:
            for number in SIGNALS:
                with suppress(NotImplementedError):
                    loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)

    def _stop(self, name: str) -> None:
        self._signal = name

    async def _until_end(self, tapes: RawTapes) -> tuple[int, str]:
        told = 0.0
        while True:
            passed = time.monotonic() - self._began
            if tapes.failure:
                return ExitCode.SAFETY, tapes.failure
            if self._fault is not None:
                return self._fault.exit_code, str(self._fault)
            if self._signal:
                return ExitCode.INTERRUPTED, f"by {self._signal}"
            if self._seconds and passed >= self._seconds:
                return ExitCode.OK, "the time asked for is over"
            if passed >= told:
                told = passed + TOLD_S
                self._tell(tapes, passed)
            await asyncio.sleep(LOOK_S)

    def fail(self, error: MmcoreError) -> None:
        """The recording cannot go on."""
        self._fault = self._fault or error

    def say(self, level: Level, text: str) -> None:
        """One sentence of a gateway."""
        if self._json:
            self._put({"type": "notice", "level": level, "text": text})
        else:
            print(notice_text(level, text), flush=True)

    def _tell(self, tapes: RawTapes, passed: float) -> None:
        facts = {
            "type": "status",
            "seconds": round(passed, 1),
            "frames": tapes.n_frames,
            "bytes": tapes.n_bytes,
            "bytes_written": tapes.n_packed,
        }
        if self._json:
            self._put(facts)
            return
        print(
            f"{passed:>7.1f}s  {plural(tapes.n_frames, 'frame')}, {_size(tapes.n_bytes)}, "
            f"{_size(tapes.n_packed)} on disk",
            flush=True,
        )

    def _summary(self, tapes: RawTapes, code: int, cause: str) -> None:
        paths = [str(path) for path in tapes.paths]
        step = f"python -m mmcore tape info {quote(paths[0])}" if paths else "python -m mmcore demo"
        if self._json:
            self._put(
                {
                    "type": "summary",
                    "ok": code == ExitCode.OK,
                    "exit_code": int(code),
                    "cause": cause,
                    "frames": tapes.n_frames,
                    "bytes": tapes.n_bytes,
                    "bytes_written": tapes.n_packed,
                    "files": paths,
                    "next": step,
                }
            )
            return
        print(f"ended        {cause}")
        print(f"recorded     {plural(tapes.n_frames, 'frame')}, {_size(tapes.n_bytes)}")
        for path in paths:
            print(f"saved        {path}")
        print(f"next:        {step}", flush=True)

    def _put(self, facts: dict[str, Any]) -> None:
        print(json.dumps(facts), flush=True)


class _Tap:
    """Where one gateway delivers; a `mmcore.gateway.Sink` that keeps the frames only."""

    def __init__(self, recorder: Recorder, connection: Connection, tapes: RawTapes) -> None:
        self._recorder = recorder
        self._name = connection.name
        (self._number,) = connection.numbers
        self._put: Callable[[int, int, bytes], None] = tapes.put

    def rows(self, rows: Rows) -> None:
        """What is decoded is decoded again when it is read; that a stream was lost is noted."""
        if rows["kind"][0] == Kind.LINK_DOWN:
            self._put(self._number, int(rows["ts_local_ns"][0]), LINK_DOWN)

    def raw(self, channel: str, frame: bytes, ts_local_ns: int) -> None:
        """A frame as it came."""
        if not channel.startswith(PRIVATE):
            self._put(self._number, ts_local_ns, bytes(frame))

    def notice(self, level: Literal["info", "warning", "error"], text: str) -> None:
        """One sentence for the user."""
        self._recorder.say(level, f"{self._name}: {text}")

    def fatal(self, error: MmcoreError) -> None:
        """The data cannot go on."""
        self._recorder.fail(error)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


__all__ = ["Recorder", "record_config"]
