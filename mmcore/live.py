"""The desk of a live run: gateways deliver rows, the compiled traders answer, requests go out.

Everything between a frame and an order happens in the socket's own callback: rows into the pump,
requests to the gateway that trades their instrument.  The run only looks in every 50 ms: a timer
row, the journal, the display, from time to time the venue's own account beside ours.  All rows go
to the event log in the order in which the engine saw them, so a run can be replayed.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from math import nan
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ._pump import Pump
from .audit import Audit, Comparison
from .connect import Connection, Connections
from .desk import NS_PER_MS, NS_PER_S, TradingDesk
from .errors import MmcoreError, SafetyStop
from .events import EVENT, RECORD, Flag, Kind
from .gateway import AccountState, Balance, ClientIds
from .instrument import Instrument
from .keyring import family_of
from .logs import log
from .progress import Level, VenueView
from .run import Verification
from .schema import Config, InstrumentConfig
from .wiring import build

TIMER_NS = 100 * NS_PER_MS  # a silent market is noticed, held requests are sent, so often
LOG_ROWS = 16_384  # rows kept until the next look, 1 MiB
SETTLE_NS = 1_500 * NS_PER_MS  # for the answers to the last cancels, on the way they were asked
FLATTEN_NS = 10 * NS_PER_S  # and for a position to be closed
VERIFY_S = 10.0  # for the venue to say that nothing is open
AGAIN_S = 2.0  # from a comparison that failed to the next
LAST_LOOK_S, LAST_PAUSE_S = 2.0, 0.2  # for the last comparison: a venue's books may lag a little
QUANTA_PER_ONE = 100_000_000


class LiveDesk(TradingDesk):
    """A `mmcore.run.Desk` at real venues, or at the exchange in the box.

    config: what to trade.  title: name of the run.  seconds: after which the run ends, 0 = open.
    connections: prepared, with keys; closed by who made them.  ids: of this start.  clock: receive
    time, ns, the gateways' own.
    """

    real_time = True

    def __init__(
        self,
        config: Config,
        title: str,
        seconds: float,
        connections: Connections,
        ids: ClientIds,
        clock: Callable[[], int],
    ) -> None:
        config, self._said = adopt(config, connections)
        self._adopted = json.dumps(
            [[plan.start_position, plan.quote_balance] for plan in config.instruments]
        )
        places = ", ".join(each.name for each in connections.all)
        super().__init__(
            config,
            title,
            build(config, connections.instruments),
            market=places,
            place=places,
        )
        self._connections = connections
        self._clock = clock
        self._length_ns = round(seconds * NS_PER_S)
        self._pump = Pump(self._wiring.traders)
        self._gateways = {
            number: each.gateway for each in connections.all for number in each.numbers
        }
        self._busy = False  # a row is being applied: what comes meanwhile waits its turn
        self._waiting: deque[NDArray[np.void]] = deque()
        self._log = np.zeros(LOG_ROWS, EVENT)
        self._n_log = 0
        self._kept: list[NDArray[np.void]] = []  # records that the ring had no room for
        self._timer_ns = 0
        self._patience_ns = 0
        self._flattens = any(item.flatten_at_stop for item in config.instruments)
        self._counted = self._n_rows = 0  # messages told of; rows applied
        self._fault: MmcoreError | None = None
        self._wallets = wallets_of(connections, ids)
        self._audit_ns = round(config.live.audit_seconds * NS_PER_S)
        self._next_audit_ns = 0
        self._auditing: asyncio.Task[None] | None = None
        self._differed = False
        self.n_audits = 0

    # -- rows in, requests out ---------------------------------------------------------------

    async def open(self) -> None:
        """Start every gateway; rows flow from here on."""
        await asyncio.gather(
            *(each.gateway.start(_Port(self, each)) for each in self._connections.all)
        )
        self.start_ns = self._clock()
        self.end_ns = self.start_ns + self._length_ns if self._length_ns else 0
        self._next_audit_ns = self.start_ns + self._audit_ns

    def receive(self, rows: NDArray[np.void]) -> None:
        """Apply EVENT rows and send what the traders ask; what comes meanwhile is queued."""
        if self._busy:
            self._waiting.append(rows.copy())
            return
        self._busy = True
        try:
            self._apply(rows)
            while self._waiting:
                self._apply(self._waiting.popleft())
        except Exception as defect:  # noqa: BLE001 - of ours: the orders must not outlive it
            log.error("a row could not be applied", exc_info=True)
            self._waiting.clear()
            self.fail(MmcoreError(f"a defect of mmcore itself: {type(defect).__name__}: {defect}"))
        finally:
            self._busy = False

    def _apply(self, rows: NDArray[np.void]) -> None:
        if not rows.flags.writeable or not rows.flags.c_contiguous:
            rows = np.array(rows)  # late rows are stamped anew, in place
        pump, done = self._pump, 0
        while done < len(rows):
            requests = pump.feed(rows[done:])
            done += pump.taken
            if len(requests):
                self._send(requests.copy())
            elif not pump.taken:
                self._collect()
        self._note(rows)

    def _send(self, requests: NDArray[np.void]) -> None:
        numbers = requests["instrument"]
        if numbers[0] == numbers[-1]:
            self._gateways[int(numbers[0])].send(requests)
            return
        cuts = np.flatnonzero(np.diff(numbers)) + 1  # a timer: trader by trader
        for mine in np.split(requests, cuts):
            self._gateways[int(mine["instrument"][0])].send(mine)

    def _note(self, rows: NDArray[np.void]) -> None:
        """Keep rows for the event log."""
        self._n_rows += len(rows)
        if self._n_log + len(rows) > LOG_ROWS:
            self._flush()
        if len(rows) > LOG_ROWS:
            self.log_rows(rows)
            return
        self._log[self._n_log : self._n_log + len(rows)] = rows
        self._n_log += len(rows)

    def _flush(self) -> None:
        if self._n_log:
            self.log_rows(self._log[: self._n_log])
            self._n_log = 0

    def notice(self, level: Level, text: str) -> None:
        """Keep a sentence for the user until the next look."""
        self._said.append((level, text))

    def fail(self, error: MmcoreError) -> None:
        """Trading cannot go on: the run ends in order, with this as its cause."""
        self._fault = self._fault or error

    # -- a look, every 50 ms -----------------------------------------------------------------

    def advance(self, events: int, until_ns: int) -> int:  # noqa: ARG002 - time is not ours
        """A timer row when it is due, rows to the log; messages that came since the last look."""
        now_ns = self._clock()
        if now_ns - self._timer_ns >= TIMER_NS:
            self._tick(now_ns)
        self._flush()
        self.now_ns = max(self._pump.now_ns, self.now_ns)
        self.over = bool(self.end_ns) and now_ns >= self.end_ns
        if self._fault is not None:
            raise self._fault
        if self.start_ns and now_ns >= self._next_audit_ns and self._auditing is None:
            self._next_audit_ns = now_ns + self._audit_ns
            self._auditing = asyncio.ensure_future(self._audit())
        count = self._pump.n_events - self._counted
        self._counted += count
        return 0 if count == 0 else min(count, events)

    def _tick(self, now_ns: int) -> None:
        self._timer_ns = now_ns
        row = np.zeros(1, EVENT)
        row["kind"], row["flags"] = Kind.TIMER, Flag.LOCAL
        row["ts_venue_ns"] = row["ts_local_ns"] = now_ns
        self.receive(row)

    def drain(self) -> NDArray[np.void]:
        """The records since the last call, RECORD[n] in engine order."""
        self._collect()
        records = np.concatenate(self._kept) if self._kept else np.zeros(0, RECORD)
        self._kept.clear()
        return records

    def _collect(self) -> None:
        """Take the records out of the ring; the audit sees them at once, the journal later."""
        records = super().drain()
        if len(records):
            self._kept.append(records.copy())
            for _, audit in self._wallets:
                audit.see(records)

    @property
    def n_open(self) -> int:
        """Own orders that are not known to be gone."""
        return sum(trader.n_open for trader in self._wiring.traders)

    def share(self) -> float:
        """How much of the time asked for is behind us; nan for a run without end."""
        if not self.end_ns:
            return nan
        return min(max(self._clock() - self.start_ns, 0) / self._length_ns, 1.0)

    def problems(self) -> list[tuple[Level, str]]:
        """What the gateways, and the comparison with the venue, had to say."""
        said, self._said = self._said, []
        return said

    def venues(self) -> tuple[VenueView, ...]:
        """The venues that are talked to, for the screen."""
        return tuple(each.view() for each in self._connections.all)

    def facts(self) -> dict[str, str | int | float | None]:
        """What every venue said before the first order."""
        said: dict[str, str | int | float | None] = {"adopted": self._adopted}
        for each in self._connections.all:
            state = _account(each)
            said[f"{each.venue}.clock_offset_ns"] = each.prepared.clock_offset_ns
            for number, item in zip(each.numbers, each.instruments, strict=True):
                said[f"{each.venue}.position.{item.symbol}"] = state.positions.get(number, 0)
            for asset, balance in sorted(state.balances.items()):
                said[f"{each.venue}.balance.{asset}"] = balance.total
        return said

    # -- both sides --------------------------------------------------------------------------

    async def _audit(self) -> None:
        """Compare every wallet with the venue's; twice in a row different is a stop.

        While a stream is away, or an order's fate is asked for, a difference is no news: later.
        """
        try:
            whole = all(map(_whole, self._connections.all))
            compared = [await self._compared(*wallet) for wallet in self._wallets if whole]
            if not whole or not all(map(_whole, self._connections.all)):
                self._next_audit_ns = self._clock() + round(AGAIN_S * NS_PER_S)
                return
        except (MmcoreError, TimeoutError) as error:
            self.notice("warning", f"the venue's account could not be read ({_why(error)})")
        else:
            self.n_audits += 1
            self._judge([text for each in compared for text in each.differences])
        finally:
            self._auditing = None

    async def _compared(self, connections: Sequence[Connection], audit: Audit) -> Comparison:
        self._collect()
        audit.open_window()
        async with asyncio.timeout(VERIFY_S):
            states = await asyncio.gather(*(each.gateway.account() for each in connections))
        self._collect()
        comparison = audit.compare(merged(states))
        numbers = [number for each in connections for number in each.numbers]
        own = [order for n in numbers for order in self._wiring.traders[n].orders.open()]
        odd = audit.against({(order["slot"], order["generation"]) for order in own})
        return Comparison((*comparison.differences, *odd), comparison.ours)

    def _judge(self, differences: list[str]) -> None:
        if not differences:
            self._differed = False
            return
        text = "; ".join(differences)
        if self._differed:
            stop = SafetyStop(
                f"mmcore and the venue disagree twice in a row: {text}",
                done="mmcore stopped quoting",
                todo="compare both by hand before the next start",
            )
            self.fail(stop)
            return
        self._differed = True
        self._next_audit_ns = self._clock() + round(AGAIN_S * NS_PER_S)
        self.notice("warning", f"mmcore and the venue differ, a second look follows: {text}")

    # -- the end -----------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask every trader to cancel all and to quote no more."""
        self.stopped_row = self._n_rows
        super().stop()
        patience_ns = FLATTEN_NS if self._flattens else SETTLE_NS
        self._patience_ns = self._clock() + patience_ns
        if self._auditing is not None:
            self._auditing.cancel()

    def settle(self) -> bool:
        """A timer row; True when all is answered and closed, or has had its time."""
        now_ns = self._clock()
        self._tick(now_ns)
        self._flush()
        if all(trader.settled for trader in self._wiring.traders):
            return True
        if now_ns < self._patience_ns:
            return False
        seats = zip(self._wiring.traders, self.instruments, self._plans, strict=True)
        for trader, item, plan in seats:
            position = trader.state()["position"]
            if plan.flatten_at_stop and position and not trader.settled:
                held = item.quantity_text(position)
                self.notice("warning", f"{item}: a position of {held} could not be closed")
        return True

    async def verify(self) -> Verification:
        """Cancel at every venue what is still ours, see that nothing is, and compare both sides."""
        swept = await asyncio.gather(*(self._sweep(each) for each in self._connections.all))
        faults = [text for _, text in swept if text]
        lines = []
        for connections, audit in self._wallets:
            name = ", ".join(each.name for each in connections)
            text, agree = await self._last_look(connections, audit)
            lines.append(f"{name}: {text}")
            if not agree:
                faults.append(f"{name}: {text}")
        self._flush()
        return Verification(
            cancelled=sum(count for count, _ in swept),
            remaining=self.n_open if faults else 0,
            lines=tuple(lines),
            fault="; ".join(faults),
        )

    async def _sweep(self, connection: Connection) -> tuple[int, str]:
        """How many were cancelled, and what kept the venue from saying that none is left."""
        try:
            async with asyncio.timeout(VERIFY_S):
                return await connection.gateway.cancel_all(), ""
        except (MmcoreError, TimeoutError) as error:
            return 0, f"{connection.name}: orders may remain ({_why(error)})"

    async def _last_look(self, connections: Sequence[Connection], audit: Audit) -> tuple[str, bool]:
        """What was compared at the end, in words, and whether both sides agree."""
        differences: tuple[str, ...] = ()
        patience = VERIFY_S if not all(map(_whole, connections)) else LAST_LOOK_S
        deadline_ns = self._clock() + round(patience * NS_PER_S)
        while not differences or self._clock() < deadline_ns:
            try:
                comparison = await self._compared(connections, audit)
            except (MmcoreError, TimeoutError) as error:
                return f"not compared with the venue ({_why(error)})", False
            differences = comparison.differences
            if not differences:
                return f"{comparison.ours}, on both sides", True
            await asyncio.sleep(LAST_PAUSE_S)
        return f"mmcore and the venue differ: {'; '.join(differences)}", False


class _Port:
    """Where one gateway delivers; a `mmcore.gateway.Sink`."""

    def __init__(self, desk: LiveDesk, connection: Connection) -> None:
        self._desk = desk
        self._connection = connection
        self.rows = desk.receive  # no call in between: this is the road of every frame

    def raw(self, channel: str, frame: bytes, ts_local_ns: int) -> None:
        """Frames are for recorders."""

    def notice(self, level: Literal["info", "warning", "error"], text: str) -> None:
        """One sentence for the user; who says it is said once."""
        connection = self._connection
        text = text.removeprefix(connection.venue).removeprefix(":").lstrip()
        self._desk.notice(level, f"{connection.name}: {text}")

    def fatal(self, error: MmcoreError) -> None:
        """Trading cannot go on."""
        self._desk.fail(error)


# -- accounts --------------------------------------------------------------------------------


def merged(states: Sequence[AccountState]) -> AccountState:
    """The account of one wallet, which several gateways have read: each its own instruments."""
    positions: dict[int, int] = {}
    balances: dict[str, Balance] = {}
    for state in states:
        positions |= state.positions
        balances |= state.balances
    orders = tuple(order for state in states for order in state.orders)
    return AccountState(orders=orders, positions=positions, balances=balances)


def wallets_of(connections: Connections, ids: ClientIds) -> list[tuple[list[Connection], Audit]]:
    """Gateways by wallet, with the comparison of each: both products of Bybit share one."""
    groups: dict[str, list[Connection]] = {}
    for each in connections.all:
        family = family_of(each.venue)
        groups.setdefault(family if family == "bybit" else each.venue, []).append(each)
    made = []
    for group in groups.values():
        items = {
            number: item
            for each in group
            for number, item in zip(each.numbers, each.instruments, strict=True)
        }
        made.append((group, Audit(items, merged([_account(each) for each in group]), ids)))
    return made


def _whole(connection: Connection) -> bool:
    """Whether a gateway hears everything, and knows what became of every request."""
    health = connection.gateway.health()
    return not health.n_unknown and all(state == "up" for state in health.links.values())


def _account(connection: Connection) -> AccountState:
    if connection.account is None:
        raise ValueError(f"{connection.name} was prepared without keys")
    return connection.account


def adopt(config: Config, connections: Connections) -> tuple[Config, list[tuple[Level, str]]]:
    """The configuration with what the venues hold at the start, and what is said about it."""
    plans = list(config.instruments)
    said: list[tuple[Level, str]] = [("info", text) for text in connections.notices]
    for each in connections.all:
        state = _account(each)
        for number, item in zip(each.numbers, each.instruments, strict=True):
            plan = plans[number]
            held = item.quantity(state.positions.get(number, 0))
            changes: dict[str, float] = {"start_position": held}
            if plan.is_spot:
                sharers = sum(
                    other.is_spot and item.quote == each.instruments[k].quote
                    for k, other in enumerate(plans[n] for n in each.numbers)
                )
                balance = state.balances.get(item.quote)
                free = 0 if balance is None else balance.free
                changes["quote_balance"] = free / sharers / QUANTA_PER_ONE
            plans[number] = msgspec.structs.replace(plan, **changes)
            said += _about(plan, item, held)
    return msgspec.structs.replace(config, instruments=tuple(plans)), said


def _about(plan: InstrumentConfig, item: Instrument, held: float) -> list[tuple[Level, str]]:
    beyond = held - plan.target_base
    if not beyond:
        return []
    word = "adopted" if plan.existing_position == "adopt" else "left alone"
    text = item.quantity_text(round(held * item.qty_per_one))
    return [("info", f"{item}: a position of {text} {item.base} was found and is {word}")]


def _why(error: Exception) -> str:
    return str(error) or "no answer in time"


__all__ = ["LiveDesk", "adopt", "merged", "wallets_of"]
