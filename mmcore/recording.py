"""A recording: one instrument's rows as columns, for measuring.

Times are seconds from the first trade, on the exchange's clock where the best quotes carry it.
Where they do not (Binance spot), every stream is on the receive clock, moved by the running
difference of the trades' two clocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .events import LEVEL, Flag, Kind, rows_of

OFFSET_WINDOW_S = 600.0  # over which a recorder's drifting clock is taken as steady


class Rows(Protocol):
    """Where rows come from: the part of a ``Source`` that is needed here."""

    def next_block(self) -> NDArray[Any] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Columns of one instrument, each in time order; prices in ticks, quantities in units.

    touch_t, bid, bid_qty, ask, ask_qty: best quotes.  trade_t, trade_side (+1 buyer), trade_tick,
    trade_qty: prints, and trade_ns, their exchange time.  message_t, message_first,
    message_snapshot: depth messages; the levels of message m are level_side, level_tick and
    level_qty from message_first[m] to message_first[m + 1].
    step: ticks in a step of the legal grid.  reach: steps around the touch that are looked at.
    """

    touch_t: NDArray[np.float64]
    bid: NDArray[np.int64]
    bid_qty: NDArray[np.int64]
    ask: NDArray[np.int64]
    ask_qty: NDArray[np.int64]
    trade_t: NDArray[np.float64]
    trade_ns: NDArray[np.int64]
    trade_side: NDArray[np.int64]
    trade_tick: NDArray[np.int64]
    trade_qty: NDArray[np.int64]
    message_t: NDArray[np.float64]
    message_first: NDArray[np.int64]
    message_snapshot: NDArray[np.bool_]
    level_side: NDArray[np.int64]
    level_tick: NDArray[np.int64]
    level_qty: NDArray[np.int64]
    step: int = 1
    reach: int = 4000


def heads_of(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Indices of the message headers among rows that start with one."""
    kinds, bids, asks = rows["kind"].tolist(), rows["n_bids"].tolist(), rows["n_asks"].tolist()
    heads, i = [], 0
    while i < len(kinds):
        heads.append(i)
        i += 1
        if kinds[i - 1] == Kind.DEPTH:
            i += rows_of(bids[i - 1] + asks[i - 1])
    return np.array(heads, dtype=np.int64)


def levels_of(rows: NDArray[Any], head: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bids and asks (LEVEL arrays, copies) of the depth message whose header is ``rows[head]``."""
    header = rows[head]
    n_bids, n_asks = int(header["n_bids"]), int(header["n_asks"])
    if n_bids + n_asks == 0 and header["side"]:
        level = np.array([(header["tick"], header["qty"])], dtype=LEVEL)
        return (level, level[:0]) if header["side"] > 0 else (level[:0], level)
    last = head + 1 + rows_of(n_bids + n_asks)
    levels = rows[head + 1 : last].view(LEVEL)[: n_bids + n_asks].copy()
    return levels[:n_bids], levels[n_bids:]


def record(source: Rows, instrument: int = 0, *, step: int = 1, reach: int = 4000) -> Recording:
    """Read a source to its end and keep one instrument.

    Raises ValueError where it holds no best quotes, no trades or no depth of that instrument.
    """
    blocks = []
    while (block := source.next_block()) is not None:
        blocks.append(_chosen(block, instrument))
    rows = np.concatenate(blocks) if blocks else np.zeros(0)
    return recorded(rows, step=step, reach=reach)


def _chosen(block: NDArray[Any], instrument: int) -> NDArray[Any]:
    # whole messages of one instrument, copied out of a block that will be overwritten
    heads = heads_of(block)
    ends = np.append(heads[1:], len(block))
    mine = block["instrument"][heads] == instrument
    if mine.all():
        return block.copy()
    kept: NDArray[Any] = block[np.repeat(mine, ends - heads)]
    return kept


def recorded(rows: NDArray[Any], *, step: int = 1, reach: int = 4000) -> Recording:
    """The recording that EVENT rows of one instrument hold."""
    heads = heads_of(rows) if len(rows) else np.zeros(0, np.int64)
    kinds = rows["kind"][heads] if len(rows) else np.zeros(0)
    for kind in (Kind.BEST, Kind.TRADE, Kind.DEPTH):
        if not np.any(kinds == kind):
            raise ValueError(f"no {kind.name} rows of this instrument: nothing to measure")
    trades, best = rows[heads[kinds == Kind.TRADE]], rows[heads[kinds == Kind.BEST]]
    bids, asks = best[best["side"] > 0], best[best["side"] < 0]
    if len(bids) != len(asks):
        raise ValueError(f"{len(bids)} best bids and {len(asks)} best asks: expected pairs")
    depth = heads[kinds == Kind.DEPTH]
    clock = _Clock(trades, venue=bool(np.all(bids["ts_venue_ns"] > 0)))
    first, sides, ticks, qtys = _level_columns(rows, depth)
    return Recording(
        touch_t=clock.seconds(bids),
        bid=bids["tick"].copy(),
        bid_qty=bids["qty"].copy(),
        ask=asks["tick"].copy(),
        ask_qty=asks["qty"].copy(),
        trade_t=clock.seconds(trades),
        trade_ns=trades["ts_venue_ns"].copy(),
        trade_side=trades["side"].astype(np.int64),
        trade_tick=trades["tick"].copy(),
        trade_qty=trades["qty"].copy(),
        message_t=clock.seconds(rows[depth]),
        message_first=first,
        message_snapshot=(rows["flags"][depth] & Flag.SNAPSHOT) != 0,
        level_side=sides,
        level_tick=ticks,
        level_qty=qtys,
        step=step,
        reach=reach,
    )


class _Clock:
    """Seconds from the first trade: the exchange's, or ours less the trades' running offset."""

    def __init__(self, trades: NDArray[Any], *, venue: bool) -> None:
        self.venue = venue
        self.zero = int(trades["ts_venue_ns"][0])
        late = (trades["ts_local_ns"] - trades["ts_venue_ns"]) * 1e-9
        window = self._window(trades)
        self.windows = np.unique(window)
        self.late = np.array([np.median(late[window == w]) for w in self.windows])

    def _window(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        local = (rows["ts_local_ns"] - self.zero) * 1e-9
        windows: NDArray[np.int64] = (local // OFFSET_WINDOW_S).astype(np.int64)
        return windows

    def seconds(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Times of the rows, never decreasing."""
        if self.venue:
            t = (rows["ts_venue_ns"] - self.zero) * 1e-9
        else:
            last = len(self.windows) - 1
            window = np.searchsorted(self.windows, self._window(rows)).clip(0, last)
            t = (rows["ts_local_ns"] - self.zero) * 1e-9 - self.late[window]
        ordered: NDArray[np.float64] = np.maximum.accumulate(t)
        return ordered


def _level_columns(
    rows: NDArray[Any], depth: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    first, sides, parts = [0], [], []
    for head in depth:
        bids, asks = levels_of(rows, int(head))
        first.append(first[-1] + len(bids) + len(asks))
        sides.append(np.repeat([1, -1], [len(bids), len(asks)]))
        parts += [bids, asks]
    levels = np.concatenate(parts)
    return np.array(first), np.concatenate(sides), levels["tick"], levels["qty"]
