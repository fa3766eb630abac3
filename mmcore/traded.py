"""A run directory as arrays: what each trader was asked, was filled with, and saw of its market.

The venue's time of a fill, which decides what the mid before it was, is known exactly where the
event log has the venue's own message (live), and where the simulated response latency is constant
(paper, backtest).  With simulated jitter the fill is dated JITTERS times its mean earlier: the mid
is then certain to be one from before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import config as configuration
from ._book import Book
from ._path import path_of
from .errors import ConfigError, DataError, NoDataError
from .events import ContractKind, Flag, Kind, PaidCode, RecordKind
from .fills import FILLS, QUANTA, Account, Ints, MidPath, Scale, orders_of, with_market
from .instrument import Instrument
from .journal import EVENTS_NAME, JOURNAL_NAME, no_run, read_facts, read_records, read_summary
from .metrics import equity, grid_of
from .schema import Config, InstrumentConfig
from .tape import TapeFile
from .wiring import CAPABILITIES

JITTERS = 4.0
NS_PER_MS = 1_000_000
#: The book after the last message, the path of its touch, and the prints.
Market = tuple[Book, MidPath, NDArray[np.void]]
REQUESTS = (RecordKind.PLACE, RecordKind.AMEND, RecordKind.CANCEL)


@dataclass(frozen=True)
class Trading:
    """One trader of a run: its instrument, its market, and what it did there.

    book: of its market, after the last message.  prints: public trades (`mmcore._path.PRINT`).
    number: of each record, its order.
    """

    trader: int
    name: str
    item: Instrument
    plan: InstrumentConfig
    scale: Scale
    book: Book
    path: MidPath
    prints: NDArray[np.void]
    fills: NDArray[np.void]
    orders: NDArray[np.void]
    account: Account
    records: NDArray[np.void]
    number: Ints
    summary: dict[str, Any]

    @property
    def call_ns(self) -> Ints:
        """When calls were sent to the venue."""
        return calls_of(self.records, REQUESTS, self.batch)

    @property
    def batch(self) -> int:
        """Requests that one call may carry."""
        if self.plan.strategy != "grid":
            return 1
        return min(self.plan.grid.batch_size, CAPABILITIES[self.item.venue].batch)

    @property
    def rate_limit(self) -> int:
        """Requests a second that the configuration allows."""
        own = self.plan.grid if self.plan.strategy == "grid" else self.plan.two_sided
        return own.rate_limit

    @property
    def capital(self) -> float:
        """What a return is measured on, settle asset; see ``capital_basis``."""
        price = self.path.mid[0] * self.scale.tick
        if self.plan.strategy == "grid":
            return self.plan.grid.asset / price if self.scale.inverse else self.plan.grid.asset
        worth = abs(float(self.scale.worth(self.path.mid[0]))) / self.scale.unit
        return self.position_max * worth

    @property
    def capital_basis(self) -> str:
        """What its capital is: "asset", the balance given to it; "limit", its largest position."""
        return "asset" if self.plan.strategy == "grid" else "limit"

    @property
    def position_max(self) -> float:
        """The largest position that the strategy aims at, quantity."""
        price = self.path.mid[0] * self.scale.tick
        if self.plan.strategy == "grid":
            size = self.scale.contract if self.scale.inverse else price * self.scale.contract
            return self.plan.max_position_usd / size
        return self.plan.two_sided.max_absolute_position_size / self.scale.contract

    @cached_property
    def turnover(self) -> float:
        """Value traded, settle asset."""
        return float((np.abs(self.scale.worth(self.fills["tick"])) * self.fills["qty"]).sum())

    def equity(self, interval_s: float) -> tuple[Ints, NDArray[np.float64]]:
        """Times from the start, one an interval and the last, and the profit then."""
        grid = grid_of(int(self.path.ts_ns[0]), self.path.end_ns, interval_s)
        if grid[-1] < self.path.end_ns:
            grid = np.append(grid, self.path.end_ns)
        return grid, equity(grid, self.account, self.path, self.scale)


@dataclass(frozen=True)
class Traded:
    """A run directory.  facts: table ``run`` of its journal; summary: of the whole run.

    unseen: instruments whose book was never usable, so that nothing of them can be measured.
    """

    directory: Path
    facts: dict[str, Any]
    summary: dict[str, Any]
    config: Config
    tradings: tuple[Trading, ...]
    unseen: tuple[str, ...] = ()


def read_run(directory: Path | str) -> Traded:
    """Read a run directory, of a killed run too.

    Raises NoDataError where there is none, and DataError where it lacks what measuring needs: the
    event log, the records where any were made, a usable book of one instrument at least.
    """
    place = Path(directory)
    place = place.parent if place.name == JOURNAL_NAME else place
    journal, events = _files(place)
    facts, summary = read_facts(journal), read_summary(journal)
    records = read_records(journal)
    plan = _plan(facts, journal)
    if not len(records) and not (plan.run.journal or facts.get("mode") == "live"):
        raise NoDataError(
            "the run kept no records of its orders and fills",
            file=journal,
            todo="set `journal = true` under [run] and run again",
        )
    tape = TapeFile(events)
    tape.check()
    tradings, unseen = [], []
    for trader in _traders(records, plan):
        try:
            tradings.append(_trading(trader, records, tape, plan, summary.get(trader, {})))
        except NoDataError as error:
            unseen.append(error)
    if not tradings:
        raise unseen[0]
    names = tuple(error.what for error in unseen)
    return Traded(place, facts, summary.get(-1, {}), plan, _named(tuple(tradings)), names)


def _plan(facts: dict[str, Any], journal: Path) -> Config:
    """The configuration as the journal holds it."""
    try:
        return configuration.loads(str(facts.get("config", "")), str(facts.get("config_path", "")))
    except ConfigError as error:
        raise DataError(
            f"the configuration that it holds cannot be read ({error.what})",
            file=journal,
            todo="report it with the mmcore that made the run",
        ) from error


def _files(place: Path) -> tuple[Path, Path]:
    journal, events = place / JOURNAL_NAME, place / EVENTS_NAME
    if not journal.is_file():
        raise no_run(place)
    if not events.is_file():
        raise DataError(
            "the run kept no event log, so there is no mid to measure its fills against",
            file=place,
            todo="set `event_log = true` under [run] and run again",
        )
    return journal, events


def _traders(records: NDArray[np.void], plan: Config) -> range:
    told = int(records["trader"].max()) + 1 if len(records) else 0
    return range(max(len(plan.instruments), told))


def _named(tradings: tuple[Trading, ...]) -> tuple[Trading, ...]:
    """The same, with the venue in the name where two have the same symbol."""
    symbols = [each.item.symbol for each in tradings]
    return tuple(
        replace(each, name=str(each.item)) if symbols.count(each.item.symbol) > 1 else each
        for each in tradings
    )


def _trading(
    trader: int,
    records: NDArray[np.void],
    tape: TapeFile,
    plan: Config,
    summary: dict[str, Any],
) -> Trading:
    mine = records[records["trader"] == trader]
    index = int(mine["instrument"][0]) if len(mine) else trader
    item = tape.instruments[index]
    live = tape.provenance.get("mode") == "live"
    market = market_in(tape, index, item, live=live)
    venue_ns = _venue_ns(mine, tape, plan, live=live)
    return trading_of(trader, mine, item, market, plan, venue_ns, summary)


def trading_of(
    trader: int,
    records: NDArray[np.void],
    item: Instrument,
    market: Market,
    plan: Config,
    venue_ns: Ints,
    summary: dict[str, Any],
) -> Trading:
    """A trader's own records, against its market.

    venue_ns: when the venue made each fill of the records.  summary: its own.
    """
    scale = scale_of(item)
    book, path, prints = market
    orders, number = orders_of(records)
    fills = _fills(records, number, orders)
    fills["ts_ns"] = venue_ns
    order = np.argsort(fills["ts_ns"], kind="stable")
    fills = with_market(fills[order], path)
    return Trading(
        trader=trader,
        name=item.symbol,
        item=item,
        plan=plan.instruments[min(trader, len(plan.instruments) - 1)],
        scale=scale,
        book=book,
        path=path,
        prints=prints,
        fills=fills,
        orders=orders,
        account=_account(records, fills, scale),
        records=records,
        number=number,
        summary=summary,
    )


def calls_of(records: NDArray[np.void], kinds: Sequence[int], batch: int) -> Ints:
    """When calls of these kinds were sent: requests of one kind and instant share them."""
    requests = records[np.isin(records["kind"], kinds)]
    together = np.stack([requests["ts_ns"], requests["kind"].astype(np.int64)], axis=1)
    instants, count = np.unique(together, axis=0, return_counts=True)
    return np.asarray(np.repeat(instants[:, 0], -(-count // batch)))


def scale_of(item: Instrument) -> Scale:
    """The scale of an instrument."""
    inverse = item.kind == ContractKind.INVERSE
    return Scale(float(item.tick), 1 / item.qty_per_one, float(item.contract_size), inverse)


def market_in(tape: TapeFile, index: int, item: Instrument, *, live: bool) -> Market:
    """The market of one instrument of an event log, on the clock of the fills.

    live: those of a venue.  Raises NoDataError where its book was never usable.
    """
    book = Book(item.spec(index))
    flag = venue_flag(tape.rows)
    touches, prints = path_of(book, tape.rows, instrument=index, flag=flag)
    try:
        return market_of(book, touches, prints, venue=live or tape.clock == "two")
    except ValueError as error:
        raise NoDataError(f"{item}: {error}", file=tape.path) from None


def venue_flag(rows: NDArray[np.void]) -> int:
    """The flag of the rows that a venue processes; 0 where rows do not say who does."""
    return Flag.EXCH if len(rows) and rows["flags"][0] & (Flag.EXCH | Flag.LOCAL) else 0


def market_of(
    book: Book, touches: NDArray[np.void], prints: NDArray[np.void], *, venue: bool
) -> Market:
    """A market from what `mmcore._path.path_of` gives.

    venue: whether its times are the venue's; else they are those of receipt, as the fills of a
    simulation with one clock are, however far the venue's clock is from ours.  Raises ValueError
    where the book was never usable.
    """
    times, ends = _times(touches, venue=venue), _times(prints, venue=venue)
    path = MidPath.of(
        times,
        touches["bid_tick"],
        touches["ask_tick"],
        touches["imbalance"],
        end_ns=int(ends.max()) if len(ends) else 0,
    )
    return book, path, prints


def _times(rows: NDArray[np.void], *, venue: bool) -> Ints:
    """When rows happened: at the venue, or here.

    Messages without a time of the venue (Binance spot's snapshots) are as old as others usually
    are when they arrive.
    """
    stamps = rows["ts_venue_ns"] if venue else rows["ts_local_ns"]
    stamped = stamps > 0
    if stamped.all() or not stamped.any():
        return np.asarray(stamps if stamped.any() else rows["ts_local_ns"])
    late = np.median(rows["ts_local_ns"][stamped] - stamps[stamped])
    return np.where(stamped, stamps, rows["ts_local_ns"] - int(late))


def _fills(records: NDArray[np.void], number: Ints, orders: NDArray[np.void]) -> NDArray[np.void]:
    """FILLS of the records, in their order, without times at the venue and market."""
    chosen = records["kind"] == RecordKind.FILL
    rows, order = records[chosen], number[chosen]
    fills = np.zeros(len(rows), FILLS)
    for name in ("instrument", "trader", "level", "side", "tick", "qty", "position"):
        fills[name] = rows[name]
    fills["seen_ns"] = rows["ts_ns"]
    fills["order"] = order
    fills["fee"] = rows["money"]
    fills["maker"] = (rows["flags"] & Flag.MAKER) != 0
    fills["rested_ns"] = -1
    known = order >= 0
    acked = np.where(known, orders["acked_ns"][order] if len(orders) else -1, -1)
    fills["rested_ns"] = np.where(acked >= 0, fills["seen_ns"] - acked, -1)
    return fills


def _venue_ns(records: NDArray[np.void], tape: TapeFile, plan: Config, *, live: bool) -> Ints:
    """When the venue made each fill of the records."""
    if not live:
        return simulated_ns(records, plan)
    rows = records[records["kind"] == RecordKind.FILL]
    names = ["instrument", "slot", "generation", "tick", "qty", "seq"]
    told = tape.rows[tape.rows["kind"] == Kind.FILL]
    stamped = zip(_packed(told, names), told["ts_venue_ns"].tolist(), strict=True)
    stamps = {row.tobytes(): ts_ns for row, ts_ns in stamped}
    keys = _packed(rows, names)
    found = [stamps.get(key.tobytes(), 0) for key in keys]
    return np.where(np.array(found, dtype=np.int64) > 0, found, rows["ts_ns"]).astype(np.int64)


def simulated_ns(records: NDArray[np.void], plan: Config) -> Ints:
    """When the simulated venue made each fill of the records."""
    rows = records[records["kind"] == RecordKind.FILL]
    model = plan.simulation
    late_ms = model.response_latency_ms + JITTERS * model.jitter_ms
    return np.asarray(rows["ts_ns"] - round(late_ms * NS_PER_MS))


def _packed(rows: NDArray[np.void], names: list[str]) -> NDArray[np.int64]:
    """The named fields as one row of integers each."""
    return np.stack([rows[name].astype(np.int64) for name in names], axis=1)


def _account(records: NDArray[np.void], fills: NDArray[np.void], scale: Scale) -> Account:
    """The fills and what was paid beside them, in order of time."""
    paid = records[records["kind"] == RecordKind.PAID]
    coin = paid["code"] == PaidCode.COIN_FEE
    # A payment happens with, or after, the fill before it: it is dated as the engine heard of it.
    late = np.median(fills["seen_ns"] - fills["ts_ns"]) if len(fills) else 0
    ts_ns = np.concatenate([fills["ts_ns"], paid["ts_ns"] - int(late)])
    n, zeros = len(fills), np.zeros(len(paid), np.int64)
    qty = np.concatenate([fills["side"] * fills["qty"], np.where(coin, -paid["qty"], zeros)])
    tick = np.concatenate([fills["tick"], np.where(coin, paid["tick"], 1)])
    coin_fees = np.where(coin, scale.worth(np.where(coin, paid["tick"], 1)) * paid["qty"], 0.0)
    order = np.argsort(ts_ns, kind="stable")
    return Account(
        ts_ns[order],
        qty[order],
        tick[order],
        np.concatenate([fills["fee"] * QUANTA, coin_fees])[order],
        np.concatenate([np.zeros(n), np.where(coin, 0, paid["money"]) * QUANTA])[order],
        np.concatenate([np.zeros(n, bool), coin])[order],
        _start_qty(records),
    )


def _start_qty(records: NDArray[np.void]) -> int:
    """Units held before the first request; a position that was found enters before it."""
    begun = records["kind"] != RecordKind.STATUS
    if not begun.any():
        return int(records["position"][-1]) if len(records) else 0
    first = records[int(np.argmax(begun))]
    change = int(first["side"]) * int(first["qty"]) if first["kind"] == RecordKind.FILL else 0
    return int(first["position"]) - change


def quotes_of(trading: Trading, grid_ns: Ints) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Own best bid and ask in force at these times of the engine, ticks; nan without one."""
    records, number, orders = trading.records, trading.number, trading.orders
    kinds = [RecordKind.ACK, RecordKind.AMENDED, RecordKind.CANCELLED, RecordKind.EXPIRED]
    rows = np.flatnonzero((number >= 0) & np.isin(records["kind"], kinds))
    rows = rows[np.argsort(number[rows], kind="stable")]
    best = np.full(len(grid_ns), -np.inf), np.full(len(grid_ns), np.inf)
    if not len(rows):
        return np.full(len(grid_ns), np.nan), np.full(len(grid_ns), np.nan)
    order, start = number[rows], records["ts_ns"][rows]
    ended = orders["ended_ns"][order]
    end = np.where(ended >= 0, ended, np.iinfo(np.int64).max)
    follows = order[1:] == order[:-1]
    end[:-1] = np.where(follows, np.minimum(start[1:], end[:-1]), end[:-1])
    rests = np.isin(records["kind"][rows], kinds[:2])
    first, last = np.searchsorted(grid_ns, start), np.searchsorted(grid_ns, end)
    side, tick = orders["side"][order], records["tick"][rows]
    for i in np.flatnonzero(rests & (last > first)).tolist():
        span = slice(first[i], last[i])
        if side[i] > 0:
            np.maximum(best[0][span], tick[i], out=best[0][span])
        else:
            np.minimum(best[1][span], tick[i], out=best[1][span])
    bid, ask = (np.where(np.isfinite(each), each, np.nan) for each in best)
    return bid, ask
