"""When a trader did not quote, and why: its own states over a run, and what happened within them.

A state is what the engine said of itself when it changed.  In the states of BOOK the book cannot
be trusted, and only cancels leave: that no order was placed in one of them is counted here, record
by record, not assumed.  Fills can happen in one: the cancels are on their way then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .events import RecordKind, Status
from .traded import Trading

BOOK = (Status.WARMUP, Status.GAP, Status.CROSSED, Status.ONE_SIDED, Status.STALE, Status.FULL)
LISTED = 1000  # stretches told one by one, the longest of them


class Stretch(NamedTuple):
    """A time without quotes."""

    start_ns: int
    end_ns: int
    status: Status


def stretches_of(trading: Trading) -> list[Stretch]:
    """Every stretch in which this trader did not quote; the orderly stop at the end is none."""
    records, path = trading.records, trading.path
    told = records[records["kind"] == RecordKind.STATUS]
    if not len(told):
        asked = np.isin(records["kind"], [RecordKind.PLACE, RecordKind.AMEND]).any()
        whole = Stretch(int(path.ts_ns[0]), path.end_ns, Status.WARMUP)
        return [] if asked else [whole]
    end_ns = max(int(records["ts_ns"][-1]), path.end_ns)
    edges = np.append(told["ts_ns"], end_ns).tolist()
    found = zip(edges[:-1], edges[1:], map(Status, told["code"].tolist()), strict=True)
    idle = (Stretch(*each) for each in found)
    return [each for each in idle if each.status not in (Status.OK, Status.STOPPING)]


def stretch_facts(trading: Trading) -> dict[str, Any]:
    """The stretches by state, the longest one by one, and orders and fills of the bad states.

    placed, fills: while the book could not be trusted, by the order of the records.
    """
    found = stretches_of(trading)
    seen_s = (seen_until(trading, found) - int(trading.path.ts_ns[0])) / 1e9
    by_status = []
    for status in sorted({each.status for each in found}):
        spans = [(e.end_ns - e.start_ns) / 1e9 for e in found if e.status == status]
        total = sum(spans)
        by_status.append(
            {
                "state": word(status),
                "count": len(spans),
                "seconds": total,
                "longest_s": max(spans),
                "share": total / seen_s if seen_s else None,
            }
        )
    return {
        "by_state": by_status,
        "count": len(found),
        "longest": [
            {"start_ns": each.start_ns, "end_ns": each.end_ns, "state": word(each.status)}
            for each in longest(found, LISTED)
        ],
        "placed": _within(trading, [RecordKind.PLACE, RecordKind.AMEND]),
        "fills": _within(trading, [RecordKind.FILL]),
    }


def seen_until(trading: Trading, found: Sequence[Stretch]) -> int:
    """The end of the market, or of the last stretch: a feed that died is waited for."""
    return max([trading.path.end_ns, *(each.end_ns for each in found)])


def longest(found: Sequence[Stretch], most: int) -> list[Stretch]:
    """The longest of them, in order of time."""
    chosen = sorted(found, key=lambda each: each.start_ns - each.end_ns)[:most]
    return sorted(chosen)


def word(status: Status) -> str:
    """A state in words."""
    return status.name.lower().replace("_", " ")


def _within(trading: Trading, kinds: Sequence[RecordKind]) -> int:
    """How many records of these kinds came while the book could not be trusted."""
    return int((np.isin(trading.records["kind"], kinds) & _untrusted(trading.records)).sum())


def _untrusted(records: NDArray[np.void]) -> NDArray[np.bool_]:
    """Of each record, whether the last state before it is one of BOOK."""
    told = np.flatnonzero(records["kind"] == RecordKind.STATUS)
    bad = np.isin(records["code"][told], BOOK)
    place = np.searchsorted(told, np.arange(len(records)), "right") - 1
    return np.asarray((place >= 0) & np.append(bad, False)[place])


__all__ = ["BOOK", "Stretch", "longest", "seen_until", "stretch_facts", "stretches_of", "word"]
