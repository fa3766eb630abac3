"""One run of a desk: chunks of compiled work, and what happens between two of them.

The compiled loop works in chunks of about 50 ms of wall time; between two chunks the records of the
engine go to the journal, the display may draw, and a signal is heard.  Market time is held to
``speed`` market seconds per second of wall time (0: as fast as possible).

The first Ctrl-C (or SIGTERM) says so at once, stops every trader through the engine, lets the
simulated venue answer each cancel and verifies that it holds no order of ours.  A second one leaves
at once and names what may remain.
"""

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import ExitCode, MmcoreError
from .events import RecordKind
from .journal import Journal
from .logs import log
from .progress import Display, Fill, Snapshot

CHUNK_S = 0.05  # of wall time in the compiled loop, between two looks at the world
EVENTS_FIRST = 2_000
EVENTS_MIN, EVENTS_MAX = 16, 1 << 20
SIGNALS: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
SETTLES_MAX = 1200  # a minute of market time for the last answers
SHOW_S = 0.2  # between two snapshots; displays thin them out further
RATE_S = 1.0  # time constant of the events per second shown


class Desk(Protocol):
    """Markets, traders and the venues they trade at; `mmcore.paper.PaperDesk` is one."""

    log_rows: Callable[[NDArray[np.void]], object]  # is given every market row processed

    @property
    def now_ns(self) -> int:
        """Engine time, 0 before the first event."""

    @property
    def start_ns(self) -> int:
        """Receive time of the first event, 0 before it."""

    @property
    def end_ns(self) -> int:
        """Where the run is to end, 0 = open."""

    def advance(self, events: int, until_ns: int) -> int:
        """Process up to ``events`` events not after ``until_ns`` (0: any); how many were."""

    @property
    def over(self) -> bool:
        """The market has no more events, or ``end_ns`` is reached."""

    def drain(self) -> NDArray[np.void]:
        """The records since the last call, RECORD[n] in engine order."""

    def fills(self, records: NDArray[np.void]) -> list[Fill]: ...

    def details(self, records: NDArray[np.void]) -> list[str]:
        """What happened, order by order, for log level debug."""

    def states(self) -> list[str]:
        """Book and skew of every trader, for log level debug."""

    def problems(self) -> list[str]:
        """What the market data suffered since the last call, in words."""

    def stop(self) -> None:
        """Ask every trader to cancel all and to quote no more."""

    def settle(self) -> bool:
        """Let time pass at the venue, without market data; True when every request is answered."""

    @property
    def n_events(self) -> int:
        """Market messages processed."""

    @property
    def n_open(self) -> int:
        """Own orders that are not known to be gone: at the trader or at the venue."""

    def share(self) -> float:
        """How much of the market is behind us, 0 to 1; nan when it has no end."""

    def snapshot(self, wall_s: float, events_per_s: float, left_s: float) -> Snapshot: ...
    def verdict(self) -> "Verdict": ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a run whose market is over: nothing, a warning, or a fault."""

    exit_code: int = ExitCode.OK
    text: str = ""
    fills: int = 0


@dataclass(slots=True)
class Ending:
    """Why a run ends."""

    exit_code: int = ExitCode.OK
    cause: str = ""
    warning: str = ""


class Run:
    """Runs a desk to its end.

    speed: market seconds a second, 0 = as fast as possible.  debug: log what happened, order by
    order.  clock: seconds of wall time, monotonic.
    """

    def __init__(
        self,
        desk: Desk,
        display: Display,
        journal: Journal,
        *,
        speed: float = 0.0,
        debug: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._desk = desk
        self._display = display
        self._journal = journal
        self._speed = speed
        self._debug = debug
        self._clock = clock
        desk.log_rows = self._log_rows
        self._start = clock()
        self._shown = -SHOW_S
        self._counted = 0  # events when the rate was last measured
        self._chunk = EVENTS_FIRST
        self._rate = 0.0
        self._signal = ""
        self._stopping = False
        self._start_pace = 0.0
        self.cancelled = 0
        self.ending = Ending()

    # -- the loop ----------------------------------------------------------------------------

    async def until_end(self) -> Ending:
        """Until the market is over, a signal comes, or something stops the run."""
        loop = asyncio.get_running_loop()
        with _Signals(loop, self.interrupt):
            while not (self._desk.over or self._signal or self.ending.cause):
                wait_s = self._step()
                self._show()
                await asyncio.sleep(wait_s)
            self._wind_down()
        return self.ending

    def interrupt(self, name: str) -> None:
        """A signal: the first ends the run in order, the second at once."""
        if self._signal:
            self._leave()
        self._signal = name
        self._display.notice("info", f"{name}: cancelling {self._desk.n_open} own orders")

    @property
    def n_open(self) -> int:
        """Own orders that are not known to be gone."""
        return self._desk.n_open

    def snapshot(self) -> Snapshot:
        """The run as it is now."""
        wall_s = self._clock() - self._start
        share = self._desk.share()
        left_s = wall_s * (1 - share) / share if share > 0 else float("nan")
        return self._desk.snapshot(wall_s, self._rate, left_s)

    def _step(self) -> float:
        """One chunk; seconds to sleep before the next one."""
        began = self._clock()
        until_ns = done = 0
        try:
            until_ns = self._target_ns(began)
            while done < self._chunk and not self._desk.over:
                n = self._desk.advance(self._chunk - done, until_ns)
                done += n
                self._record()
                if n == 0 or self._clock() - began > CHUNK_S:
                    break
        except MmcoreError as fault:  # the data cannot be read on: keep what was done, say it
            self._end(fault.exit_code, str(fault))
        self._judge()
        took = self._clock() - began
        self._resize(done, took)
        if until_ns == 0:
            return 0.0
        behind = self._desk.now_ns < until_ns and done == self._chunk
        return 0.0 if behind else max(CHUNK_S - took, 0.0)

    def _target_ns(self, now: float) -> int:
        """Market time that the pace allows by now; 0 = as fast as possible."""
        if self._speed <= 0:
            return 0
        if self._desk.start_ns == 0:
            self._desk.advance(1, 0)
            self._start_pace = now
        return self._desk.start_ns + max(int((now - self._start_pace) * self._speed * 1e9), 1)

    def _resize(self, done: int, took: float) -> None:
        if done and took > 0:
            wanted = int(done * CHUNK_S / took)
            self._chunk = min(max(wanted, EVENTS_MIN, self._chunk // 4), 4 * self._chunk)
            self._chunk = min(self._chunk, EVENTS_MAX)

    # -- records, screen, faults -------------------------------------------------------------

    def _record(self) -> None:
        records = self._desk.drain()
        if not len(records):
            return
        if self._stopping:
            self.cancelled += int((records["kind"] == RecordKind.CANCELLED).sum())
        if not self._journal.append(records, wait=self._patient()):
            self._too_slow()
            self._journal.append(records)
        fills = self._desk.fills(records)
        if fills:
            self._display.fills(fills)
        if self._debug:
            self._tell(self._desk.details(records))

    def _log_rows(self, rows: NDArray[np.void]) -> None:
        if not self._journal.log_events(rows, wait=self._patient()):
            self._too_slow()
            self._journal.log_events(rows)

    def _patient(self) -> bool:
        """Whether to wait for the disk: not in real time, unless nothing is quoted any more."""
        return self._speed != 1 or self._stopping

    def _too_slow(self) -> None:
        self._end(
            ExitCode.SAFETY, "the disk is too slow for real time: mmcore stopped quoting to be safe"
        )

    def _tell(self, lines: list[str]) -> None:
        for line in lines:
            log.debug("%s", line)

    def _judge(self) -> None:
        """Notices about the data; the end when the disk or a limit says so."""
        for text in self._desk.problems():
            self._display.notice("warning", text)
        if self._journal.failure:
            self._end(ExitCode.SAFETY, self._journal.failure)
        verdict = self._desk.verdict()
        if verdict.exit_code == ExitCode.SAFETY:
            self._end(verdict.exit_code, verdict.text)

    def _end(self, code: int, cause: str) -> None:
        if not self.ending.cause:
            self.ending = Ending(code, cause)
            # The cause is the first line of the summary: told here too, it would stand twice.
            n = self._desk.n_open
            left = f"cancelling {n} own orders" if n else "no own order is open"
            self._display.notice("error", f"stopping: {left}")

    def _show(self, force: bool = False) -> None:
        now = self._clock() - self._start
        if now - self._shown < SHOW_S and not force:
            return
        passed = now - max(self._shown, 0.0)
        events = self._desk.n_events
        weight = min(passed / RATE_S, 1.0)
        self._rate += weight * ((events - self._counted) / max(passed, 1e-9) - self._rate)
        self._counted = events
        self._shown = now
        if self._debug:
            self._tell(self._desk.states())
        self._display.update(self.snapshot())

    # -- the end -----------------------------------------------------------------------------

    def _wind_down(self) -> None:
        """Stop the traders, wait for every answer, verify; decide how the run ended."""
        self._stopping = True
        self._desk.stop()
        for _ in range(SETTLES_MAX):
            settled = self._desk.settle()
            self._record()
            if settled:
                break
        self._judge()
        self._show(force=True)
        if not self.ending.cause:
            self._conclude()

    def _conclude(self) -> None:
        share = self._desk.share()
        if self._signal:
            at = f" at {share:.0%}" if math.isfinite(share) else ""
            self.ending = Ending(ExitCode.INTERRUPTED, f"by {self._signal}{at}")
            return
        verdict = self._desk.verdict()
        if verdict.exit_code != ExitCode.OK:
            self._end(verdict.exit_code, verdict.text)
            return
        reached = "the time asked for is over" if self._desk.end_ns else "the market is over"
        self.ending = Ending(ExitCode.OK, reached, verdict.text)

    def _leave(self) -> None:
        """The second signal: no more waiting."""
        self._display.close(None)
        self._journal.flush()
        print(f"left at once: {self._desk.n_open} own orders may remain at the simulated venue")
        sys.stdout.flush()
        os._exit(ExitCode.INTERRUPTED)


# -- signals ---------------------------------------------------------------------------------


class _Signals:
    """SIGINT and SIGTERM go to ``handler(name)``, on the loop, while this is entered."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: Callable[[str], None]) -> None:
        self._loop = loop
        self._handler = handler
        self._before = {number: signal.getsignal(number) for number in SIGNALS}

    def __enter__(self) -> None:
        for number, name in SIGNALS.items():
            try:
                self._loop.add_signal_handler(number, self._handler, name)
            except NotImplementedError:  # Windows
                signal.signal(number, self._forward)

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            with suppress(NotImplementedError):  # Windows
                self._loop.remove_signal_handler(number)
            signal.signal(number, before)

    def _forward(self, number: int, _frame: object) -> None:
        self._loop.call_soon_threadsafe(self._handler, SIGNALS[number])
