"""Scripted faults: what goes wrong, where, and when; every one that fires is written down.

A script is a list of :class:`Fault`, from a TOML file (:func:`mmcore.box.script.load`) or from
Python.  A fault waits for its time (``at_s``) or its count (``after_n``), then acts on the next
``count`` things that match, or on all that match within ``seconds``.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, NamedTuple

log = logging.getLogger(__name__)

FIRED_MAX = 100_000  # lines of the log of what fired; the oldest go


class Do(StrEnum):
    """What a fault does."""

    DROP = "drop"  # a frame is lost; a request is never answered, nor executed
    DUPLICATE = "duplicate"  # a frame comes twice
    REORDER = "reorder"  # a frame changes places with the next of its stream
    DELAY = "delay"  # frames come late, in order; a request is executed late
    FREEZE = "freeze"  # a stream stops, then everything held back comes at once
    CUT = "cut"  # the connection is lost
    HALF_OPEN = "half_open"  # the connection stays, and nothing is ever answered on it
    REPLY = "reply"  # an answer instead of execution
    UNKNOWN_503 = "unknown_503"  # executed, then answered as if nobody knew
    LATE_ACK = "late_ack"  # executed at once, answered late
    LOST_ACK = "lost_ack"  # executed, never answered
    JUMP = "jump"  # the venue's clock
    BALANCE_LAG = "balance_lag"  # balances tell the past
    RACE = "race"  # an order fills just before its cancel is looked at
    RESTART = "restart"  # the venue goes down, and comes back


FRAMES = frozenset({Do.DROP, Do.DUPLICATE, Do.REORDER, Do.DELAY, Do.FREEZE})
REQUESTS = frozenset({Do.DROP, Do.DELAY, Do.REPLY, Do.UNKNOWN_503, Do.LATE_ACK, Do.LOST_ACK})
# The first part of `where` -> what may be done there.
PLACES = {
    "stream": FRAMES,
    "rest": REQUESTS,  # over HTTP
    "call": REQUESTS,  # over a socket of order entry
    "request": REQUESTS,  # over either
    "socket": frozenset({Do.CUT, Do.HALF_OPEN}),
    "order": frozenset({Do.RACE}),
    "account": frozenset({Do.BALANCE_LAG}),
    "clock": frozenset({Do.JUMP}),
    "box": frozenset({Do.RESTART}),
}
NAMED = frozenset({"stream", "rest", "call", "request", "socket"})  # where a name must follow
LASTING = frozenset({Do.FREEZE, Do.BALANCE_LAG, Do.RESTART})  # these need `seconds`
LATE = frozenset({Do.DELAY, Do.LATE_ACK, Do.BALANCE_LAG, Do.JUMP})  # these need `ms`


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of a script.

    do: what happens.  where: ``stream:NAME``, ``rest:NAME``, ``call:NAME``, ``request:NAME``,
    ``socket:KIND``, ``order``, ``account``, ``clock`` or ``box``; a name may hold ``*``.  venue:
    "binance", "bybit", "hyperliquid", "" for all.  at_s: seconds after the start of the box, or
    after :meth:`Faults.apply`.  after_n: so many matching things pass unharmed first.  count: how
    many are hit then, 0 for all; where ``seconds`` is given the default is all within them.
    chance: of each, by the seed.  ms: how late, or how far a clock jumps (negative is back).
    status, code, text, retry_s: of a reply.
    """

    do: Do
    where: str
    venue: str = ""
    at_s: float = 0.0
    after_n: int = 0
    count: int | None = None
    seconds: float = 0.0
    chance: float = 1.0
    ms: float = 0.0
    status: int = 0
    code: int = 0
    text: str = ""
    retry_s: int = 0

    @property
    def place(self) -> str:
        """The first part of ``where``."""
        return self.where.partition(":")[0]

    @property
    def target(self) -> str:
        """The name in ``where``, "*" for everything."""
        return self.where.partition(":")[2] or "*"

    @property
    def hits_max(self) -> int:
        """How many things are hit, 0 for no end."""
        if self.count is not None:
            return self.count
        return 0 if self.seconds else 1


class Fired(NamedTuple):
    """One thing that was done: when (engine time), by which fault, and to what."""

    ts_ns: int
    fault: Fault
    subject: str

    def __str__(self) -> str:
        return f"{self.fault.do} {self.fault.where}: {self.subject}"


class _Armed:
    """A fault of the script and how far it has come."""

    __slots__ = ("begin_ns", "fault", "hits", "passed", "until_ns")

    def __init__(self, fault: Fault, now_ns: int) -> None:
        self.fault = fault
        self.begin_ns = now_ns + round(fault.at_s * 1e9)
        self.until_ns = 0  # end of `seconds`, once they have begun
        self.passed = 0
        self.hits = 0

    def matches(self, place: str, venue: str, name: str) -> bool:
        fault = self.fault
        if fault.place != place and not (fault.place == "request" and place in {"rest", "call"}):
            return False
        return (not fault.venue or fault.venue == venue) and fnmatch.fnmatchcase(name, fault.target)

    def hit(self, now_ns: int, rng: Random) -> bool:
        """Whether it acts on this one, which is counted."""
        fault = self.fault
        if now_ns < self.begin_ns:
            return False
        self.passed += 1
        if self.passed <= fault.after_n:
            return False
        if not self.until_ns:
            self.until_ns = now_ns + round(fault.seconds * 1e9)
        if fault.chance < 1.0 and rng.random() >= fault.chance:
            return False
        self.hits += 1
        return True

    def over(self, now_ns: int) -> bool:
        fault = self.fault
        if fault.hits_max and self.hits >= fault.hits_max:
            return True
        return bool(fault.seconds and self.until_ns and now_ns >= self.until_ns)


class Faults:
    """The script at work.  ``fired`` tells what was done, in order.

    now_ns: the engine's clock.  seed: of every choice by chance.
    """

    def __init__(
        self, script: Iterable[Fault] = (), *, seed: int, now_ns: Callable[[], int]
    ) -> None:
        self.fired: list[Fired] = []
        self._now_ns = now_ns
        self._rng = Random(f"faults {seed}")
        self._armed: list[_Armed] = []
        for fault in script:
            self.apply(fault)

    @property
    def quiet(self) -> bool:
        """Whether nothing is armed: the whole gate costs one look."""
        return not self._armed

    def apply(self, fault: Fault | None = None, **line: Any) -> Fault:
        """Arm one more fault, from now on: ``apply(do=Do.CUT, where="socket:private")``."""
        fault = check(fault or Fault(**line))
        self._armed.append(_Armed(fault, self._now_ns()))
        return fault

    def clear(self) -> None:
        """Disarm everything; what fired stays written down."""
        self._armed.clear()

    def strike(self, place: str, venue: str, name: str, subject: str = "") -> Fault | None:
        """The fault that acts on one thing, or None.  Each thing is to be shown here once."""
        now_ns = self._now_ns()
        struck = None
        for armed in self._armed[:]:
            if armed.over(now_ns):
                self._armed.remove(armed)
                continue
            acts = armed.matches(place, venue, name) and armed.hit(now_ns, self._rng)
            if acts and struck is None:
                struck = armed.fault
                self.note(struck, subject or f"{venue}.{name}")
        return struck

    def due(self, place: str, venue: str, name: str) -> Fault | None:
        """As :meth:`strike` for what has no occasion of its own: sockets, clock and box, by time.

        A fault that counts (``after_n``) waits for :meth:`strike`.
        """
        now_ns = self._now_ns()
        for armed in self._armed[:]:
            if armed.over(now_ns):
                self._armed.remove(armed)
                continue
            timed = not armed.fault.after_n and armed.matches(place, venue, name)
            if timed and armed.hit(now_ns, self._rng):
                self.note(armed.fault, f"{venue}.{name}".strip("."))
                return armed.fault
        return None

    def note(self, fault: Fault, subject: str) -> None:
        """Write down that ``fault`` acted."""
        fired = Fired(self._now_ns(), fault, subject)
        if len(self.fired) >= FIRED_MAX:
            del self.fired[: FIRED_MAX // 10]
        self.fired.append(fired)
        log.info("fault: %s", fired)


def check(fault: Fault) -> Fault:
    """The fault itself; ValueError naming the field where it cannot be meant."""
    if fault.place not in PLACES:
        raise ValueError(f"where {fault.where!r}: begins with one of {', '.join(PLACES)}")
    if fault.place in NAMED and not fault.where.partition(":")[2]:
        raise ValueError(f"where {fault.where!r}: a name must follow, as {fault.place}:*")
    if fault.do not in PLACES[fault.place]:
        may = ", ".join(sorted(PLACES[fault.place]))
        raise ValueError(f"do {fault.do!r}: at {fault.place} it may be {may}")
    if fault.do in LASTING and not fault.seconds > 0:
        raise ValueError(f"seconds {fault.seconds:g}: {fault.do} needs seconds above 0")
    if fault.do in LATE and not fault.ms:
        raise ValueError(f"ms {fault.ms:g}: {fault.do} needs ms")
    if fault.ms < 0 and fault.do is not Do.JUMP:
        raise ValueError(f"ms {fault.ms:g}: only a clock jumps back")
    if fault.do is Do.REPLY and not 200 <= fault.status <= 599:
        raise ValueError(f"status {fault.status}: a reply needs one of 200 to 599")
    if not 0 <= fault.chance <= 1:
        raise ValueError(f"chance {fault.chance:g}: expected 0 to 1")
    if fault.at_s < 0 or fault.after_n < 0 or fault.seconds < 0 or (fault.count or 0) < 0:
        raise ValueError("at_s, after_n, count and seconds: none may be negative")
    return fault
