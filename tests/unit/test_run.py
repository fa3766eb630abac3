"""The loop around a desk: pace, signals, faults, the end; with a desk made of plain numbers."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mmcore.errors import DataError, ExitCode
from mmcore.events import RECORD, RecordKind
from mmcore.journal import Journal, RunDirectory, read_records
from mmcore.progress import Fill, Level, Snapshot, Summary
from mmcore.run import Ending, Run, Verdict, Verification

NS = 1_000_000_000


class PlainDesk:
    """A market of one event a millisecond; ten orders rest from the first event on."""

    title = "plain"
    market = "numbers"
    place = "a place of numbers"
    real_time = False

    def __init__(self, events: int, end_ns: int = 0) -> None:
        self.left = events
        self.events = events
        self.now_ns = self.start_ns = 0
        self.end_ns = end_ns
        self.n_open = 0
        self.n_stopped = self.n_opened = 0
        self.verification = Verification()
        self.records: list[tuple[RecordKind, int]] = []
        self.fault: Exception | None = None
        self.ending = Verdict()
        self.at_event: dict[int, Callable[[], None]] = {}
        self.log_rows: Callable[[np.ndarray], None] = len
        self.trouble: list[str] = []

    def advance(self, events: int, until_ns: int) -> int:
        done = 0
        while done < events and not self.over:
            at = self.now_ns + NS // 1000 if self.start_ns else NS
            if until_ns and at > until_ns:
                break
            if not self.start_ns:
                self.start_ns, self.n_open = at, 10
            self.now_ns = at
            self.left -= 1
            done += 1
            self.records.append((RecordKind.PLACE, at))
            hook = self.at_event.pop(self.events - self.left, None)
            if hook is not None:
                hook()
        if self.fault is not None and self.left < self.events // 2:
            raise self.fault
        return done

    @property
    def over(self) -> bool:
        return self.left == 0 or bool(self.end_ns and self.now_ns >= self.end_ns)

    def drain(self) -> np.ndarray:
        rows = np.zeros(len(self.records), RECORD)
        for i, (kind, ts_ns) in enumerate(self.records):
            rows[i]["kind"], rows[i]["ts_ns"] = kind, ts_ns
        self.records.clear()
        return rows

    def fills(self, records: np.ndarray) -> list[Fill]:
        return [Fill(0, "X", 1, "1", "2", "3") for r in records if r["kind"] == RecordKind.FILL]

    def details(self, records: np.ndarray) -> list[str]:
        return [str(kind) for kind in records["kind"]]

    def states(self) -> list[str]:
        return ["state"]

    @property
    def n_events(self) -> int:
        return self.events - self.left

    def problems(self) -> list[tuple[Level, str]]:
        said, self.trouble = self.trouble, []
        return [("warning", text) for text in said]

    async def open(self) -> None:
        self.n_opened += 1

    async def verify(self) -> Verification:
        return self.verification

    def stop(self) -> None:
        self.n_stopped += 1

    def settle(self) -> bool:
        self.records += [(RecordKind.CANCELLED, self.now_ns)] * self.n_open
        self.n_open = 0
        return True

    def share(self) -> float:
        return 1 - self.left / self.events

    def snapshot(self, wall_s: float, events_per_s: float, left_s: float) -> Snapshot:
        done = self.events - self.left
        return Snapshot(
            "plain",
            "numbers",
            wall_s,
            0.0,
            done,
            done,
            done,
            0,
            0,
            events_per_s,
            self.share(),
            left_s,
        )

    def verdict(self) -> Verdict:
        return self.ending

    def close(self) -> None:
        return


class Said:
    """A display that remembers."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.notices: list[tuple[Level, str]] = []
        self.n_fills = 0

    def update(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)

    def fills(self, fills: list[Fill]) -> None:
        self.n_fills += len(fills)

    def notice(self, level: Level, text: str) -> None:
        self.notices.append((level, text))

    def close(self, summary: Summary | None) -> None:
        return


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(RunDirectory.create(tmp_path, "run"))
    yield made
    made.close()


def end_of(run: Run) -> Ending:
    return asyncio.run(run.until_end())


def test_a_market_runs_to_its_end_and_leaves_no_order(journal: Journal) -> None:
    desk, said = PlainDesk(30_000), Said()
    run = Run(desk, said, journal)
    ending = end_of(run)
    assert (ending.exit_code, ending.cause) == (ExitCode.OK, "the market is over")
    assert run.cancelled == 10 and run.n_open == 0 and desk.n_stopped == 1
    journal.flush()
    assert journal.n_records == 30_010
    assert said.snapshots[-1].events == 30_000


def test_seconds_end_a_run_at_the_same_event_every_time(journal: Journal) -> None:
    desk = PlainDesk(30_000, end_ns=8 * NS)
    assert end_of(Run(desk, Said(), journal)).cause == "the time asked for is over"
    assert desk.now_ns == 8 * NS


def test_speed_holds_the_market_to_the_clock(journal: Journal) -> None:
    desk, said = PlainDesk(600), Said()
    run = Run(desk, said, journal, speed=1.0)
    end_of(run)
    wall_s = run.snapshot().wall_s
    assert 0.59 < wall_s < 1.5
    assert len(said.snapshots) >= 3  # two a second and more
    assert said.snapshots[0].wall_s < 0.3
    middle = said.snapshots[len(said.snapshots) // 2]
    assert middle.left_s == pytest.approx(0.6 - middle.wall_s, abs=0.2)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]
)
def test_a_signal_cancels_everything_and_says_so_at_once(
    journal: Journal, number: int, name: str
) -> None:
    desk, said = PlainDesk(10**9), Said()
    desk.at_event[5000] = lambda: os.kill(os.getpid(), number)
    run = Run(desk, said, journal)
    ending = end_of(run)
    assert ending.exit_code == ExitCode.INTERRUPTED and f"by {name} at 0%" in ending.cause
    assert said.notices == [("info", f"{name}: cancelling 10 own orders")]
    assert run.cancelled == 10 and run.n_open == 0
    journal.flush()
    kinds = read_records_of(journal)["kind"]
    assert (kinds[-10:] == RecordKind.CANCELLED).all()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_handlers_are_as_before_when_the_run_is_over(journal: Journal) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    end_of(Run(PlainDesk(10), Said(), journal))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_a_second_signal_leaves_at_once_and_names_what_may_remain(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    desk = PlainDesk(10)
    run = Run(desk, Said(), journal)
    desk.advance(5, 0)
    run.interrupt("Ctrl-C")
    assert left == []
    run.interrupt("Ctrl-C")
    assert left == [ExitCode.INTERRUPTED]
    assert "left at once: 10 own orders may remain" in capsys.readouterr().out


def read_records_of(journal: Journal) -> np.ndarray:
    return read_records(journal._directory.journal)


def test_a_fault_of_the_data_ends_the_run_in_order(journal: Journal) -> None:
    desk, said = PlainDesk(10_000), Said()
    desk.fault = DataError("the file ends in the middle of a block", file="x.gz", line=17)
    run = Run(desk, said, journal)
    ending = end_of(run)
    assert ending.exit_code == ExitCode.DATA and "x.gz:17" in ending.cause
    assert run.cancelled == 10 and said.notices[0][0] == "error"
    journal.flush()
    assert journal.n_records > 5000


def test_a_full_disk_stops_quoting_with_exit_code_5(journal: Journal) -> None:
    desk, said = PlainDesk(10**9), Said()

    def fail() -> None:
        journal.failure = "the disk is full"

    desk.at_event[3000] = fail
    run = Run(desk, said, journal)
    ending = end_of(run)
    assert (ending.exit_code, ending.cause) == (ExitCode.SAFETY, "the disk is full")
    assert run.cancelled == 10 and run.n_open == 0


def test_a_slow_disk_stops_a_real_time_run_and_only_that(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = journal.append
    monkeypatch.setattr(journal, "append", lambda rows, wait=True: wait and append(rows))
    ending = end_of(Run(PlainDesk(100), Said(), journal, speed=1.0))
    assert ending.exit_code == ExitCode.SAFETY and "too slow" in ending.cause
    assert end_of(Run(PlainDesk(100), Said(), journal, speed=50.0)).exit_code == ExitCode.OK
    journal.flush()


def test_a_limit_of_the_desk_stops_the_run(journal: Journal) -> None:
    desk = PlainDesk(10**9)

    def kill() -> None:
        desk.ending = Verdict(ExitCode.SAFETY, "X lost more than max_loss")

    desk.at_event[4000] = kill
    ending = end_of(Run(desk, Said(), journal))
    assert (ending.exit_code, ending.cause) == (ExitCode.SAFETY, "X lost more than max_loss")


@pytest.mark.parametrize(("code", "kind"), [(ExitCode.DATA, "cause"), (ExitCode.OK, "warning")])
def test_the_verdict_on_a_market_that_is_over(journal: Journal, code: ExitCode, kind: str) -> None:
    desk = PlainDesk(100)
    desk.ending = Verdict(code, "nothing there")
    ending = end_of(Run(desk, Said(), journal))
    assert ending.exit_code == code and getattr(ending, kind) == "nothing there"


def test_problems_are_told_as_they_come(journal: Journal) -> None:
    desk, said = PlainDesk(5000), Said()
    desk.trouble = ["line 7 is damaged"]
    end_of(Run(desk, said, journal))
    assert ("warning", "line 7 is damaged") in said.notices
