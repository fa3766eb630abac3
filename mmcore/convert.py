"""Recordings into one file: mmcore's own tape, or hftbacktest's event array.

A tape is written beside its place as ``OUT.part`` and takes its name when it is whole.  Whatever
ends the work before that, the same command goes on where the part ends: the inputs are read again
up to there, not written.  Nothing is held in memory but a block of rows.
"""

from __future__ import annotations

import signal
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DataError, Interrupted, NoDataError
from .events import LEVEL, Flag, Kind
from .instrument import Instrument
from .recording import heads_of
from .tables import BUY_BIT, EXCH_BIT, LOCAL_BIT, ORDER_KINDS, SELL_BIT
from .tape import TapeFile, TapeSource, TapeWriter, Wanted
from .venue import Rows

EVENT_ARRAY = np.dtype(
    [
        ("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8"),
        ("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8"),
    ]
)  # fmt: skip
DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
CHUNK_ROWS = 1 << 18
AFTER = {  # what is left of a conversion that did not end, and how it goes on
    "mmt": ("what was written is kept in its .part", "the same command goes on from there"),
    "npz": ("nothing of it is kept", "the same command starts anew"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """How far a conversion is.  share: of the inputs, 0 to 1.  left_s: estimate, nan at first."""

    share: float
    rows: int
    elapsed_s: float
    left_s: float


Told = Callable[[Step], None]


class _Steps:
    """Tells how far the work is, at most once a second."""

    def __init__(self, told: Told, clock: Callable[[], float]) -> None:
        self._told, self._clock = told, clock
        self._begin = self._last = clock()

    def see(self, share: float, rows: int, *, every_s: float = 1.0) -> None:
        now = self._clock()
        if now - self._last < every_s:
            return
        self._last, elapsed = now, now - self._begin
        left = elapsed * (1 - share) / share if share > 0 else float("nan")
        self._told(Step(share, rows, elapsed, left))


def convert(
    files: Sequence[Path | str],
    out: Path,
    *,
    wanted: Sequence[Wanted] | None = None,
    to: str = "mmt",
    told: Told = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Write the recordings ``files`` into one new file ``out``; what was done, as facts.

    wanted: instruments, every one that is found by default.  to: "mmt" for a tape of mmcore, "npz"
    for hftbacktest's event array (one instrument).  told: called about once a second.  Raises
    DataError where an input cannot be used or ``out`` is already there, Interrupted on Ctrl-C.
    """
    if out.exists():
        raise DataError(
            "the file is already there", file=out, done="nothing was written",
            todo="remove it, or name another",
        )  # fmt: skip
    with closing(TapeSource(files, wanted)) as source:
        steps = _Steps(told, clock)
        signals = _Signals()
        try:
            with signals:
                write = {"mmt": _tape, "npz": _array}[to]
                facts = write(source, files, out, steps)
        except KeyboardInterrupt:
            done, todo = AFTER[to]
            what = f"stopped by {signals.name}"
            raise Interrupted(what, where=str(out), done=done, todo=todo) from None
        except OSError as error:
            done, todo = AFTER[to]
            raise DataError(
                f"cannot be written further ({error.strerror})", file=out, done=done,
                todo=f"make room there, or name another place; {todo}",
            ) from None  # fmt: skip
        return {
            "file": str(out),
            "instruments": [str(item) for item in source.instruments],
            **facts,
            "bytes": out.stat().st_size,
            "damaged_records": source.problem_count,
            "damage": [str(problem) for problem in source.problems[:10]],
        }


class _Signals:
    """Ctrl-C and SIGTERM are a KeyboardInterrupt while this is entered, in the main thread.

    The command line ends at once on them, as nothing is under way; here files are.
    """

    def __init__(self) -> None:
        self.name = "Ctrl-C"
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._interrupt)

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _interrupt(self, number: int, _frame: object) -> None:
        self.name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        raise KeyboardInterrupt


# ---- a tape of mmcore ------------------------------------------------------------------------


def _provenance(files: Sequence[Path | str]) -> dict[str, Any]:
    stats = [(Path(file).name, Path(file).stat()) for file in files]
    inputs = [{"name": n, "bytes": s.st_size, "changed_ns": s.st_mtime_ns} for n, s in stats]
    return {"mode": "converted", "files": inputs}


def _tape(
    source: TapeSource, files: Sequence[Path | str], out: Path, steps: _Steps
) -> dict[str, Any]:  # fmt: skip
    part = out.with_name(out.name + ".part")
    provenance = _provenance(files)
    writer, n_kept = _writer(part, source, provenance)
    n_rows = 0
    with closing(writer):
        while (block := source.next_block()) is not None:
            new = block[max(n_kept - n_rows, 0) :]
            if len(new):
                writer.append(new)
            n_rows += len(block)
            steps.see(source.progress(), n_rows)
        writer.sync()
    if not n_rows:
        part.unlink()
        raise NoDataError("no market data that can be written", file=files[0])
    part.rename(out)
    return {"rows": n_rows, "rows_of_an_earlier_attempt": n_kept, "clock": source.clock}


def _writer(part: Path, source: TapeSource, provenance: dict[str, Any]) -> tuple[TapeWriter, int]:
    """Where to go on: behind the rows of an earlier attempt at the same, else at the start."""
    if part.exists():
        try:
            before = TapeFile(part)
        except DataError:
            part.unlink()  # killed before its header was whole
        else:
            same = (before.provenance, before.instruments, before.clock)
            if same == (provenance, source.instruments, source.clock):
                n_kept = len(before)
                del before
                return TapeWriter.resume(part), n_kept
            part.unlink()
    writer = TapeWriter(part, source.instruments, clock=source.clock, provenance=provenance)
    return writer, 0


# ---- hftbacktest's array ---------------------------------------------------------------------


def event_rows(block: Rows, item: Instrument, *, orders: bool = False) -> Rows:
    """A block's depth, trades and clears as rows of hftbacktest's event array, a level each.

    A whole book is a clear of both sides and its levels.  Where the market is told order by order,
    the orders are written, not the depth that follows from them (orders: it is, though none may be
    in this block).  Times are as recorded.
    """
    heads = heads_of(block)
    head = block[heads]
    ordered = head["kind"] >= Kind.ORDER_ADD
    depth = (head["kind"] == Kind.DEPTH) & (not (orders or ordered.any()))
    inline = depth & (head["n_bids"].astype(int) + head["n_asks"] == 0)
    n_levels = np.where(depth & ~inline, head["n_bids"].astype(np.int64) + head["n_asks"], 0)
    fresh = (head["flags"] & int(Flag.SNAPSHOT | Flag.CONT)) == int(Flag.SNAPSHOT)
    clears = (depth & fresh).astype(np.int64)
    single = np.isin(head["kind"], [Kind.TRADE, Kind.CLEAR]) | (inline & (head["side"] != 0))
    single |= ordered
    count = clears + n_levels + single
    owner = np.repeat(np.arange(len(head)), count)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) - clears[owner]
    mine = head[owner]
    side, tick, qty = mine["side"].astype(np.int64), mine["tick"].copy(), mine["qty"].copy()
    leveled = np.flatnonzero((n_levels[owner] > 0) & (place >= 0))
    levels = block.view(LEVEL)
    at = 4 * (heads[owner[leveled]] + 1) + place[leveled]
    tick[leveled], qty[leveled] = levels["tick"][at], levels["qty"][at]
    side[leveled] = np.where(place[leveled] < mine["n_bids"][leveled], 1, -1)
    code = np.select(
        [mine["kind"] == Kind.TRADE, mine["kind"] == Kind.CLEAR, fresh[owner]],
        [TRADE, CLEAR, SNAPSHOT], DEPTH,
    )  # fmt: skip
    for number, kind in ORDER_KINDS.items():
        code[mine["kind"] == kind] = number
    emptied = place < 0
    code[emptied], side[emptied], tick[emptied], qty[emptied] = CLEAR, 0, 0, 0
    rows = np.zeros(len(owner), EVENT_ARRAY)
    bits = np.where(side > 0, BUY_BIT, 0) + np.where(side < 0, SELL_BIT, 0)
    bits += np.where(mine["flags"] & int(Flag.EXCH), EXCH_BIT, 0)
    bits += np.where(mine["flags"] & int(Flag.LOCAL), LOCAL_BIT, 0)
    rows["ev"] = (code + bits).astype(np.uint64)
    rows["exch_ts"], rows["local_ts"] = mine["ts_venue_ns"], mine["ts_local_ns"]
    rows["order_id"] = np.where(ordered[owner], mine["aux"], 0).astype(np.uint64)
    _, decimals, tick_mul, _, _ = item.scale()
    rows["px"], rows["qty"] = tick * tick_mul / 10**decimals, qty / item.qty_per_one
    return rows


def _array(
    source: TapeSource, files: Sequence[Path | str], out: Path, steps: _Steps
) -> dict[str, Any]:  # fmt: skip
    if len(source.instruments) != 1:
        names = ", ".join(map(str, source.instruments))
        raise DataError(
            f"an event array holds one instrument, the files hold {names}", file=files[0],
            todo="name one with --instrument",
        )  # fmt: skip
    item, raw = source.instruments[0], out.with_name(out.name + ".part")
    n_rows, n_links, orders = 0, 0, False
    try:
        with raw.open("wb") as file:
            while (block := source.next_block()) is not None:
                heads = block["kind"][heads_of(block)]
                orders |= bool((heads >= Kind.ORDER_ADD).any())
                rows = event_rows(block, item, orders=orders)
                unstamped = rows["exch_ts"] <= 0
                rows["exch_ts"][unstamped] = rows["local_ts"][unstamped]
                file.write(rows.tobytes())
                n_rows += len(rows)
                n_links += int(np.count_nonzero(heads == Kind.LINK_DOWN))
                steps.see(0.7 * source.progress(), n_rows)
        if not n_rows:
            raise DataError("no depth and no trade of this instrument", file=files[0])
        shift_ns, order, bits = _orders(raw, two=source.clock == "two")
        _pack(raw, out, shift_ns, order, bits, steps)
    finally:
        raw.unlink(missing_ok=True)
    return {
        "rows": n_rows if order is None else len(order),
        "local_clock_moved_ns": shift_ns,
        "lost_connections_not_shown": n_links,
    }


def _orders(raw: Path, *, two: bool) -> tuple[int, Any, Any]:
    """By how much our clock was behind; and the rows' order, with the bits of who processes them.

    The array is one list for two clocks.  Rows that come in the venue's order too stay one row; the
    others appear twice, once in each order.  None where every row stays as it is.
    """
    rows = np.memmap(raw, EVENT_ARRAY, "r")
    shift_ns = max(0, -_least_ns(rows))
    if two:
        return shift_ns, None, None
    exch = np.array(rows["exch_ts"])
    late = exch < np.maximum.accumulate(exch)
    if not late.any():
        return shift_ns, None, None
    both, apart = np.flatnonzero(~late), np.flatnonzero(late)
    by_venue = apart[np.argsort(exch[apart], kind="stable")]
    # A slot is the number of rows in both orders that come before.
    slots = np.concatenate([
        np.arange(1, len(both) + 1),
        np.searchsorted(exch[both], exch[by_venue], side="right"),
        np.searchsorted(both, apart),
    ])  # fmt: skip
    which = np.concatenate([both, by_venue, apart])
    bits = np.repeat(
        np.array([EXCH_BIT | LOCAL_BIT, EXCH_BIT, LOCAL_BIT], np.uint64),
        [len(both), len(apart), len(apart)],
    )
    order = np.argsort(slots, kind="stable")
    return shift_ns, which[order], bits[order]


def _least_ns(rows: npt.NDArray[np.void]) -> int:
    """The least time from the venue's stamp to ours, of rows that reached us."""
    least_ns = 0
    for i in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[i : i + CHUNK_ROWS]
        late_ns = (chunk["local_ts"] - chunk["exch_ts"])[chunk["ev"] & np.uint64(LOCAL_BIT) > 0]
        least_ns = min(least_ns, int(late_ns.min(initial=0)))
    return least_ns


def _pack(raw: Path, out: Path, shift_ns: int, order: Any, bits: Any, steps: _Steps) -> None:
    rows = np.memmap(raw, EVENT_ARRAY, "r")
    total = len(rows) if order is None else len(order)
    clear = ~np.uint64(EXCH_BIT | LOCAL_BIT)
    part = out.with_name(out.name + ".zip.part")
    header = {"descr": EVENT_ARRAY.descr, "fortran_order": False, "shape": (total,)}
    try:
        with (
            zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("data.npy", "w", force_zip64=True) as file,
        ):
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, total, CHUNK_ROWS):
                stop = min(start + CHUNK_ROWS, total)
                chunk = np.array(rows[start:stop] if order is None else rows[order[start:stop]])
                if order is not None:
                    chunk["ev"] = (chunk["ev"] & clear) | bits[start:stop]
                chunk["local_ts"] += shift_ns
                file.write(chunk.tobytes())
                steps.see(0.7 + 0.3 * stop / total, stop)
        part.rename(out)
    finally:
        part.unlink(missing_ok=True)


__all__ = ["EVENT_ARRAY", "Step", "convert", "event_rows"]
