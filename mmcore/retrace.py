"""The decisions of a run, made again from its run directory.

The event log holds what the engine saw, in the order in which it saw it.  A paper run or backtest
is simulated again from the market rows; a live run's log also holds the venue's answers, fills and
timers, so the engine alone is stepped.  Either way the same records come out, bit for bit, and the
journal hash says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import cast

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ._intake import whole_rows
from ._pump import Pump
from .config import loads
from .errors import DataError, NoDataError
from .events import EVENT, RECORD, Flag, Kind
from .journal import (
    EVENTS_NAME,
    HASH_BYTES,
    JOURNAL_NAME,
    Value,
    no_run,
    read_facts,
    read_records,
    read_summary,
    record_bytes,
)
from .paper import PaperDesk
from .run import SETTLES_MAX
from .schema import Config
from .streams import Problem
from .tape import TapeFile
from .wiring import Wiring, build

Rows = NDArray[np.void]
BLOCK_ROWS = 65_536
AFTER_NS = 1_000_000_000  # the market goes on behind the place where a run was stopped
RECORDS = 65_536


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run directory.

    config: as the run had it, with what a live run found at its venues.  tape: its event log.
    records: of its journal.  facts, summary: tables of its journal.
    """

    path: Path
    config: Config
    tape: TapeFile
    records: Rows
    facts: dict[str, Value]
    summary: dict[int, dict[str, Value]]

    @classmethod
    def open(cls, path: Path | str) -> Recorded:
        """Read a run directory.  Raises DataError where it is not one, or lacks its event log."""
        path = Path(path)
        journal, events = path / JOURNAL_NAME, path / EVENTS_NAME
        if not journal.is_file():
            raise no_run(path)
        facts = read_facts(journal)
        if not events.is_file():
            raise NoDataError(
                f"has no {EVENTS_NAME}: what the run saw was not kept",
                file=path,
                todo="run again with event_log = true under [run]",
            )
        text = str(facts.get("config", ""))
        if not text:
            raise DataError("the journal does not hold the configuration", file=journal)
        config = loads(text, str(facts["config_path"]))
        tape = TapeFile(events)
        tape.check()
        return cls(
            path, _adopted(config, facts), tape, read_records(journal), facts, read_summary(journal)
        )

    @property
    def live(self) -> bool:
        """Whether the orders went to a venue."""
        return self.config.mode == "live"

    @property
    def stopped(self) -> int | None:
        """Where the stop was asked for: live a row, else market time; None: the run was killed."""
        found = self.facts.get("stopped_row" if self.live else "stopped_ns")
        return None if found is None or int(found) < 0 else int(found)

    @property
    def ended(self) -> bool:
        """Whether the run came to its end: only then every record is in the journal."""
        return bool(self.summary) and self.stopped is not None

    @property
    def n_records(self) -> int:
        """How many records the run left; those of a killed run as far as they were kept."""
        said = self.summary.get(-1, {}).get("records")
        return len(self.records) if said is None else int(said)

    @property
    def hash(self) -> str:
        """The journal hash that the run told, or that of what it kept."""
        said = self.summary.get(-1, {}).get("journal_hash")
        return hash_of(self.records) if said is None else str(said)


def _adopted(config: Config, facts: dict[str, Value]) -> Config:
    found = facts.get("adopted")
    if found is None:
        return config
    pairs = zip(config.instruments, json.loads(str(found)), strict=True)
    instruments = tuple(
        replace(item, start_position=start, quote_balance=money) for item, (start, money) in pairs
    )
    return replace(config, instruments=instruments)


def hash_of(records: Rows) -> str:
    """The journal hash of records."""
    return blake2b(record_bytes(records), digest_size=HASH_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class Retraced:
    """The records made again, beside those of the run.

    wiring: markets and traders at the end.  same: whether they are those of the run, bit for bit;
    of a run that was killed, as far as its records were kept.  first: that differs, -1 none.
    """

    records: Rows
    wiring: Wiring
    same: bool
    first: int
    hash: str


def retrace(recorded: Recorded) -> Retraced:
    """Make every decision of a run again.  Raises DataError for a log that cannot be read on."""
    records, wiring = _stepped(recorded) if recorded.live else _simulated(recorded)
    mine = records if recorded.ended else records[: recorded.n_records]
    same = hash_of(mine) == recorded.hash and len(mine) == recorded.n_records
    return Retraced(records, wiring, same, -1 if same else _first(mine, recorded), hash_of(mine))


def _first(mine: Rows, recorded: Recorded) -> int:
    theirs = recorded.records
    n = min(len(mine), len(theirs))
    if not len(theirs) and recorded.n_records:
        return 0
    a, b = (np.frombuffer(record_bytes(each[:n]), "V64") for each in (mine, theirs))
    other = np.flatnonzero(a != b)
    return int(other[0]) if len(other) else n


def blocks(rows: Rows) -> Iterator[Rows]:
    """Event rows, block by block, whole messages."""
    done = 0
    while done < len(rows):
        part = rows[done : done + BLOCK_ROWS]
        n = whole_rows(part.view(np.uint8), len(part))
        yield rows[done : done + n]
        done += n


class LogSource:
    """Market rows of an event log as a `mmcore.tape.Source`.

    rows: EVENT.  until_ns: the market goes on behind this time, 0: it ends with the rows.
    """

    def __init__(self, tape: TapeFile, rows: Rows, until_ns: int = 0) -> None:
        self.clock = tape.clock
        self.instruments = tape.instruments
        self.problems: list[Problem] = []
        self.problem_count = 0
        self._blocks = self._all(rows, until_ns)

    def _all(self, rows: Rows, until_ns: int) -> Iterator[Rows]:
        yield from blocks(rows)
        if until_ns:
            row = np.zeros(1, EVENT)
            row["kind"], row["flags"] = Kind.OTHER, Flag.LOCAL | Flag.EXCH
            row["ts_venue_ns"] = row["ts_local_ns"] = until_ns + AFTER_NS
            yield row

    def next_block(self) -> Rows | None:
        """The next rows, None at the end."""
        return next(self._blocks, None)

    def progress(self) -> float:
        """Not measured."""
        return float("nan")

    def close(self) -> None:
        """The tape is closed by who opened it."""


def _simulated(recorded: Recorded) -> tuple[Rows, Wiring]:
    source = LogSource(recorded.tape, recorded.tape.rows, recorded.stopped or 0)
    with closing(PaperDesk(recorded.config, "replay", 0.0, source)) as desk:
        return simulate(desk, recorded.stopped), desk.wiring


def simulate(desk: PaperDesk, until_ns: int | None) -> Rows:
    """Run a desk to the end of its market; its records.

    until_ns: stopped there, as a run stops; 0: at the end of the market; None: not stopped.
    """
    kept = [np.zeros(0, RECORD)]
    desk.limits_end = False
    desk.advance(0, 0)
    desk.end_ns = until_ns or 0
    while not desk.over:
        desk.advance(1 << 20, 0)
        kept.append(desk.drain().copy())
    if until_ns is not None:
        desk.stop()
        for _ in range(SETTLES_MAX):
            settled = desk.settle()
            kept.append(desk.drain().copy())
            if settled:
                break
    return np.concatenate(kept)


def _stepped(recorded: Recorded) -> tuple[Rows, Wiring]:
    wiring = build(recorded.config, recorded.tape.instruments)
    pump = Pump(wiring.traders)
    kept = [np.zeros(0, RECORD)]
    buffer = np.zeros(RECORDS, RECORD)

    def take() -> None:
        n = wiring.ring.drain(buffer.view(np.uint8))
        kept.append(buffer[:n].copy())

    def step(rows: Rows) -> None:
        for block in blocks(rows):
            mine, done = np.array(block), 0
            while done < len(mine):
                pump.feed(mine[done:])
                done += pump.taken
                if not pump.taken:
                    take()
            take()

    rows = recorded.tape.rows
    cut = len(rows) if recorded.stopped is None else recorded.stopped
    step(rows[:cut])
    for trader in wiring.traders if recorded.stopped is not None else ():
        trader.stop()
    step(rows[cut:])
    return cast("Rows", np.concatenate(kept)), wiring


__all__ = ["LogSource", "Recorded", "Retraced", "blocks", "hash_of", "retrace", "simulate"]
