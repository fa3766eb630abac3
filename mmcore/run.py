"""One run of a desk: chunks of compiled work, and what happens between two of them.

The compiled loop works in chunks of about 50 ms of wall time; between two chunks the records of the
engine go to the journal, the display may draw, and a signal is heard.  Market time is held to
``speed`` market seconds per second of wall time (0: as fast as possible).

The first Ctrl-C (or SIGTERM, or the end of the terminal) says so at once, stops every trader
through the engine, waits for the venue's answer to each cancel and verifies that it holds no order
of ours.  A second one leaves at once and names what may remain.
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
from .progress import Display, Fill, Level, Snapshot

CHUNK_S = 0.05  # of wall time in the compiled loop, between two looks at the world
EVENTS_FIRST = 2_000
EVENTS_MIN, EVENTS_MAX = 16, 1 << 20
SOFT = (ExitCode.OK, ExitCode.DATA, ExitCode.INTERRUPTED)  # endings that a fault outweighs
HANGUP = "SIGHUP, the terminal has gone"
SIGNALS: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
if hasattr(signal, "SIGHUP"):  # not on Windows
    SIGNALS[signal.SIGHUP] = HANGUP
SETTLES_MAX = 1200  # a minute of market time for the last answers
SETTLE_S = 0.01  # between two looks at a real venue's answers, after the stop
SHOW_S = 0.2  # between two snapshots; displays thin them out further
RATE_S = 1.0  # time constant of the events per second shown


class Desk(Protocol):
    """Markets, traders and the venues they trade at; `mmcore.paper.PaperDesk` is one."""

    log_rows: Callable[[NDArray[np.void]], object]  # is given every row that the engine saw

    @property
    def real_time(self) -> bool:
        """Whether time is the world's: `advance` then takes what has come and returns."""

    @property
    def place(self) -> str:
        """In words, where the orders rest."""

    async def open(self) -> None:
        """Begin: from here on events may come and orders go out.  Raises MmcoreError."""

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
        """Process up to ``events`` events not after ``until_ns`` (0: any); how many were.

        Raises MmcoreError where the market, or trading, cannot go on.
        """

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

    def problems(self) -> list[tuple[Level, str]]:
        """What is to be said since the last call: of the market data, or by the venue."""

    def stop(self) -> None:
        """Ask every trader to cancel all and to quote no more."""

    def settle(self) -> bool:
        """Let time pass after the stop; True when every request is answered, or none will be."""

    async def verify(self) -> "Verification":
        """After the last answer: ask the venues what they hold, and cancel it."""

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


@dataclass(frozen=True, slots=True)
class Verification:
    """What the venues themselves said after the last order.

    cancelled: own orders that were cancelled there beyond those that the traders had cancelled.
    remaining: own orders that may still rest.  lines: what was compared, a line a venue.  fault:
    why the run did not end as it should, a clause.
    """

    cancelled: int = 0
    remaining: int = 0
    lines: tuple[str, ...] = ()
    fault: str = ""


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
        self._stopped = False  # by the desk's own verdict
        self._start_pace = 0.0
        self.cancelled = 0
        self.verification = Verification()
        self.ending = Ending()

    # -- the loop ----------------------------------------------------------------------------

    async def until_end(self) -> Ending:
        """Until the market is over, a signal comes, or something stops the run."""
        loop = asyncio.get_running_loop()
        with _Signals(loop, self.interrupt):
            await self._begin()
            while not (self._desk.over or self._signal or self.ending.cause):
                wait_s = self._step()
                self._show()
                await asyncio.sleep(wait_s)
            await self._wind_down()
        return self.ending

    def end(self, cause: str, code: int = ExitCode.OK) -> None:
        """End the run in order, at the next look; ``cause`` is a clause."""
        self._end(code, cause)

    def interrupt(self, name: str) -> None:
        """A signal: the first ends the run in order, the second at once.

        A terminal that goes may say so more than once: that is no wish to hurry.
        """
        if self._signal:
            if name == HANGUP:
                return
            self._leave()
        self._signal = name
        self._display.notice("info", f"{name}: cancelling {self._desk.n_open} own orders")

    @property
    def n_open(self) -> int:
        """Own orders that are not known to be gone."""
        return max(self._desk.n_open, self.verification.remaining)

    def snapshot(self) -> Snapshot:
        """The run as it is now."""
        wall_s = self._clock() - self._start
        share = self._desk.share()
        left_s = wall_s * (1 - share) / share if share > 0 else float("nan")
        return self._desk.snapshot(wall_s, self._rate, left_s)

    async def _begin(self) -> None:
        """Open the desk; a signal does not wait for it."""
        opening = asyncio.ensure_future(self._desk.open())
        while not opening.done() and not self._signal:
            await asyncio.wait({opening}, timeout=CHUNK_S)
            self._record()
        opening.cancel()
        try:
            await opening
        except asyncio.CancelledError:
            return
        except MmcoreError as fault:
            self._end(fault.exit_code, str(fault))

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
        if self._desk.real_time:
            return max(CHUNK_S - took, 0.0)
        if until_ns == 0:
            return 0.0
        behind = self._desk.now_ns < until_ns and done == self._chunk
        return 0.0 if behind else max(CHUNK_S - took, 0.0)

    def _target_ns(self, now: float) -> int:
        """Market time that the pace allows by now; 0 = as fast as possible."""
        if self._speed <= 0 or self._desk.real_time:
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
        return self._stopping or not (self._desk.real_time or self._speed == 1)

    def _too_slow(self) -> None:
        self._end(
            ExitCode.SAFETY, "the disk is too slow for real time: mmcore stopped quoting to be safe"
        )

    def _tell(self, lines: list[str]) -> None:
        for line in lines:
            log.debug("%s", line)

    def _judge(self) -> None:
        """Notices about the data; the end when the disk or a limit says so."""
        for level, text in self._desk.problems():
            self._display.notice(level, text)
        if self._journal.failure:
            self._end(ExitCode.SAFETY, self._journal.failure)
        verdict = self._desk.verdict()
        if verdict.exit_code == ExitCode.SAFETY and not self.ending.cause:
            self._stopped = True
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

    async def _wind_down(self) -> None:
        """Stop the traders, wait for every answer, verify; decide how the run ended."""
        self._stopping = True
        self._desk.stop()
        for _ in range(SETTLES_MAX):
            settled = self._desk.settle()
            self._record()
            if settled:
                break
            if self._desk.real_time:
                await asyncio.sleep(SETTLE_S)
        before = self.cancelled
        self.verification = await self._desk.verify()
        self._record()
        # What was cancelled there is told by the venue's own stream too, where that still works.
        self.cancelled = max(self.cancelled, before + self.verification.cancelled)
        self._judge()
        self._show(force=True)
        if not self.ending.cause:
            self._conclude()
        elif self.ending.exit_code == ExitCode.SAFETY and self._stopped:
            self.ending.cause = self._desk.verdict().text  # with what is held now
        if self.verification.fault and self.ending.exit_code in SOFT:
            self.ending = Ending(ExitCode.SAFETY, self.verification.fault)

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
        print(f"left at once: {self._desk.n_open} own orders may remain at {self._desk.place}")
        sys.stdout.flush()
        os._exit(ExitCode.INTERRUPTED)


# -- signals ---------------------------------------------------------------------------------


class _Signals:
    """SIGNALS go to ``handler(name)``, on the loop, while this is entered."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: Callable[[str], None]) -> None:
        self._loop = loop
        self._handler = handler
        self._hung_up: set[int] = set()
        before = {number: signal.getsignal(number) for number in SIGNALS}
        # Under nohup the end of the terminal is to be ignored, and is.
        self._before = {
            number: action
            for number, action in before.items()
            if SIGNALS[number] != HANGUP or action is not signal.SIG_IGN
        }

    def __enter__(self) -> None:
        for number in self._before:
            try:
                self._loop.add_signal_handler(number, self._heard, number)
            except NotImplementedError:  # Windows
                signal.signal(number, self._forward)

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            with suppress(NotImplementedError):  # Windows
                self._loop.remove_signal_handler(number)
            # One that came may come again, and what is left to be written must not die of it.
            signal.signal(number, signal.SIG_IGN if number in self._hung_up else before)

    def _heard(self, number: int) -> None:
        if SIGNALS[number] == HANGUP:
            self._hung_up.add(number)
        self._handler(SIGNALS[number])

    def _forward(self, number: int, _frame: object) -> None:
        self._loop.call_soon_threadsafe(self._heard, number)
