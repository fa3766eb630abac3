"""What a recording holds, read to its end: for ``mmcore tape info``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ._book import Book
from ._intake import select
from .events import Flag, Kind, Status
from .instrument import Instrument
from .recording import heads_of
from .tape import FINEST, TapeSource, Wanted
from .tape_file import received_rows
from .venue import Rows

NS_PER_S = 1_000_000_000
KINDS = [kind.name.lower() for kind in Kind]
DAMAGE_TOLD_MAX = 10


class _Track:
    """One instrument of a recording: counts, gaps, silence, and how late its rows arrive."""

    def __init__(self, item: Instrument, number: int) -> None:
        self.item = item
        self.number = number
        self._book = Book(item.spec(number))
        self._counts = np.zeros(len(Kind), np.int64)
        self._last_ns = 0
        self._silence_ns = 0
        self._late_ns: int | None = None  # least of receive time less venue time
        self._links_lost = 0

    def see(self, block: Rows, heads: Rows, n_instruments: int) -> None:
        """Take in one block; ``heads``: the headers of its messages."""
        mine = heads[heads["instrument"] == self.number]
        if not len(mine):
            return
        self._counts += np.bincount(mine["kind"], minlength=len(Kind))
        self._links_lost += int(np.count_nonzero(mine["kind"] == Kind.LINK_DOWN))
        times = np.concatenate([[self._last_ns or mine["ts_local_ns"][0]], mine["ts_local_ns"]])
        self._silence_ns = max(self._silence_ns, int(np.diff(times).max()))
        self._last_ns = int(times[-1])
        stamped = mine[mine["ts_venue_ns"] > 0]
        if len(stamped):
            late_ns = int((stamped["ts_local_ns"] - stamped["ts_venue_ns"]).min())
            self._late_ns = late_ns if self._late_ns is None else min(self._late_ns, late_ns)
        numbers = [-1] * n_instruments
        numbers[self.number] = self.number
        self._book.bind(select(block, numbers) if n_instruments > 1 else block)
        self._book.run()
        self._book.release()

    def events(self) -> str:
        """How many messages of each kind."""
        counts = zip(self._counts.tolist(), KINDS, strict=True)
        return f"{self.item}: " + (", ".join(f"{n} {name}" for n, name in counts if n) or "none")

    def gaps(self) -> str:
        """What is missing: breaks of the sequence, lost connections, the longest silence."""
        return (
            f"{self.item}: {self._book.counters.gaps} in the sequence, {self._links_lost} lost "
            f"connections, longest silence {self._silence_ns / NS_PER_S:.3f} s"
        )

    def warnings(self) -> list[str]:
        """What a run on this recording would lack, or would leave out."""
        said = []
        counters, book = self._book.counters, self._counts
        if self.item.tick == FINEST:
            said.append("tick and lot are not known: a run needs them in [instrument.spec]")
        if not book[Kind.DEPTH]:
            said.append("no book: nothing can be quoted on it without a file that holds the depth")
        elif not counters.messages:
            said.append("no whole book to begin with: nothing can be quoted on it")
        elif self._book.health in {Status.ONE_SIDED, Status.WARMUP}:
            said.append("a side of the book is empty at the end")
        elif self._book.health in {Status.GAP, Status.STALE, Status.FULL}:
            said.append("no whole book came after the last break: nothing is quoted from there on")
        if not book[Kind.TRADE]:
            said.append("no trades: orders fill only where the book goes through their price")
        if counters.crossed:
            said.append(f"{counters.crossed} messages left the book crossed: not quoted then")
        return [f"{self.item}: {each}" for each in said]

    def offset(self) -> str:
        """The least time from the venue's stamp to ours: the way of a message and the clocks'
        difference together; below zero our clock was behind.
        """
        if self._late_ns is None:
            return f"{self.item}: unknown, no row has the venue's time"
        said = f"{self.item}: receive time at least {self._late_ns / 1e6:+.3f} ms after the venue's"
        if self._late_ns >= 0:
            return said
        behind = -self._late_ns / 1e6
        return (
            f"{said}: our clock was behind by {behind:.3f} ms or more; a conversion to npz moves it"
        )


def tape_facts(file: str, wanted: Sequence[Wanted] | None = None) -> dict[str, Any]:
    """Venue and instruments, span, counts, gaps and clocks of one recording.

    wanted: as for :class:`TapeSource`; needed where the file does not say whose it is.  Raises
    DataError where it cannot be read.
    """
    with closing(TapeSource([file], wanted, unknown=True)) as source:
        tracks = [_Track(item, number) for number, item in enumerate(source.instruments)]
        snapshots, first_ns, last_ns = 0, 0, 0
        while (block := source.next_block()) is not None:
            if source.clock == "two":
                block = received_rows(block)
            heads = block[heads_of(block)]
            if not len(heads):
                continue
            for track in tracks:
                track.see(block, heads, len(tracks))
            snapshots += int(np.count_nonzero(heads["flags"] & Flag.SNAPSHOT))
            first_ns = first_ns or int(heads["ts_local_ns"][0])
            last_ns = int(heads["ts_local_ns"][-1])
        begin = datetime.fromtimestamp(first_ns / NS_PER_S, UTC)
        return {
            "file": file,
            "clock": source.clock,
            "begins": begin.isoformat(timespec="milliseconds"),
            "seconds": round((last_ns - first_ns) / NS_PER_S, 3),
            "events": [track.events() for track in tracks],
            "snapshots": snapshots,
            "gaps": [track.gaps() for track in tracks],
            "clock_offset": [track.offset() for track in tracks],
            "warnings": [*_whole(source), *(line for track in tracks for line in track.warnings())],
            "damaged_records": source.problem_count,
            "damage": [str(problem) for problem in source.problems[:DAMAGE_TOLD_MAX]],
        }


def _whole(source: TapeSource) -> list[str]:
    """What a run would refuse of the file as a whole."""
    said = []
    if source.one_sided:
        said.append(f"{source.one_sided} from the first row to the last: no run can use it")
    if source.foreseen:
        said.append(f"{source.foreseen}: no run uses it; a conversion to npz moves our clock")
    return said


__all__ = ["tape_facts"]
