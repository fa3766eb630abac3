"""Scripted faults: what goes wrong, where, and when; every one that fires is written down.

A script is a list of :class:`Fault`, from a TOML file (:func:`mmcore.box.script.load`) or from
Python.  A fault waits for its time (``at_s``) or its count (``after_n``), then acts on the next
``count`` things that match, or on all that match within ``seconds``.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, NamedTuple

from mmcore.spelling import nearest

from .dialects import REQUEST_WORDS, SOCKET_KINDS, STREAM_WORDS, Failure

log = logging.getLogger(__name__)

FIRED_MAX = 100_000  # lines of the log of what fired; the oldest go


class Do(StrEnum):
    """What a fault does."""

    DROP = "drop"  # a frame is lost; a request is never executed, nor answered
    DUPLICATE = "duplicate"  # a frame comes twice
    REORDER = "reorder"  # a frame changes places with the next of its stream
    DELAY = "delay"  # frames come late, in order; a request is executed late
    FREEZE = "freeze"  # a stream stops, then everything held back comes at once
    CUT = "cut"  # the connection is lost
    HALF_OPEN = "half_open"  # the connection stays, and nothing is ever answered on it
    REPLY = "reply"  # an answer instead of execution
    UNKNOWN_503 = "unknown_503"  # executed, then answered as if nobody knew
    LATE_ACK = "late_ack"  # executed at once, answered late
    LOST_ACK = "lost_ack"  # executed, then the connection is lost
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
WORDS: Mapping[str, Sequence[str]] = {  # what things at a place are called, at the real venues
    "stream": STREAM_WORDS,
    "socket": SOCKET_KINDS,
    **dict.fromkeys(("rest", "call", "request"), REQUEST_WORDS),
}
ONCE = frozenset({Do.JUMP, Do.RESTART})  # they happen once; `seconds` is how long they last
LASTING = frozenset({Do.FREEZE, Do.BALANCE_LAG, Do.RESTART})  # these need `seconds`
LATE = frozenset({Do.DELAY, Do.LATE_ACK, Do.BALANCE_LAG, Do.JUMP})  # these need `ms`


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of a script.

    do: what happens.  where: ``stream:NAME``, ``rest:NAME``, ``call:NAME``, ``request:NAME``,
    ``socket:KIND``, ``order``, ``account``, ``clock`` or ``box``; a name may hold ``*``.  venue:
    "binance", "bybit", "hyperliquid", "" for all.  at_s: seconds after the start of the box, or
    after :meth:`Faults.apply`.  after_n: so many matching things pass unharmed first.  count: how
    many are hit then; by default one, or where ``seconds`` are given all within them; 0 for all.
    chance: of each, by the seed.  ms: how late; how far a clock jumps (negative is back); how long
    a connection hangs before it is lost (drop and lost_ack of requests).  status, code, text,
    retry_s: of a reply.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "do", Do(self.do))  # its plain word will do

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
        return f"{self.fault.do} at {self.fault.where}: {self.subject}"


class Strike(NamedTuple):
    """A fault that acts on one thing, and for how long it goes on acting."""

    fault: Fault
    left_s: float

    @property
    def do(self) -> Do:
        """What it does."""
        return self.fault.do

    @property
    def late_s(self) -> float:
        """How late it makes the thing."""
        return self.fault.ms / 1e3

    def failure(self) -> Failure:
        """What a dialect is to say."""
        unknown = self.do is Do.UNKNOWN_503
        status = 503 if unknown else self.fault.status
        return Failure(status, self.fault.code, self.fault.text, unknown, self.fault.retry_s)


class _Armed:
    """A fault of the script and how far it has come."""

    __slots__ = ("begin_ns", "fault", "hits", "passed", "serial", "until_ns")

    def __init__(self, fault: Fault, serial: int, now_ns: int) -> None:
        self.fault = fault
        self.serial = serial
        self.begin_ns = now_ns + round(fault.at_s * 1e9)
        self.until_ns = 0  # the end of `seconds`, 0 while that is not known
        if fault.seconds and not fault.after_n:
            self.until_ns = self.begin_ns + round(fault.seconds * 1e9)
        self.passed = 0
        self.hits = 0

    def matches(self, place: str, venue: str, name: str) -> bool:
        fault = self.fault
        if fault.place != place and not (fault.place == "request" and place in {"rest", "call"}):
            return False
        return (not fault.venue or fault.venue == venue) and fnmatch.fnmatchcase(name, fault.target)

    def hit(self, now_ns: int, rng: Random) -> bool:
        """Count one thing that matches; whether it is acted on."""
        fault = self.fault
        if now_ns < self.begin_ns:
            return False
        self.passed += 1
        if self.passed <= fault.after_n:
            return False
        if fault.seconds and not self.until_ns:
            self.until_ns = now_ns + round(fault.seconds * 1e9)
        if fault.chance < 1.0 and rng.random() >= fault.chance:
            return False
        self.hits += 1
        return True

    def over(self, now_ns: int) -> bool:
        most = self.fault.hits_max
        if self.fault.do in ONCE:
            return self.hits > 0
        return bool((most and self.hits >= most) or (self.until_ns and now_ns >= self.until_ns))


class Faults:
    """The script at work.  ``fired`` tells what was done, in order.

    seed: of every choice by chance.  now_ns: the engine's clock.  strict: names that no venue
    uses are refused.
    """

    def __init__(self, seed: int, now_ns: Callable[[], int], *, strict: bool = False) -> None:
        self._strict = strict
        self.fired: list[Fired] = []
        self._now_ns = now_ns
        self._rng = Random(f"faults {seed}")
        self._armed: list[_Armed] = []
        self._n_applied = 0

    @property
    def quiet(self) -> bool:
        """Whether nothing is armed: the whole gate costs one look."""
        return not self._armed

    def apply(self, fault: Fault | None = None, **line: Any) -> Fault:
        """Arm one more fault, from now on: ``apply(do=Do.CUT, where="socket:private")``.

        Raises ValueError where it cannot be meant.
        """
        fault = fault or Fault(**line)
        mistakes = [*wrong(fault), *(nameless(fault) if self._strict else ())]
        if mistakes:
            field, rule, repair = mistakes[0]
            raise ValueError(f"{field}: {rule}; {repair}")
        self._n_applied += 1
        self._armed.append(_Armed(fault, self._n_applied, self._now_ns()))
        return fault

    def clear(self) -> None:
        """Disarm everything; what fired stays written down."""
        self._armed.clear()

    def strike(self, place: str, venue: str, name: str, subject: str = "") -> Strike | None:
        """The fault that acts on this thing, or None.  Each thing is shown here once.

        place: "stream", "rest", "call", "order" or "account".  Every fault that matches counts it;
        of several that would act the first in the script does.
        """
        return self._strike(self._live(), place, venue, name, subject)

    def occasion(self, place: str, venue: str, name: str) -> Strike | None:
        """As :meth:`strike`, for what a fault hits by count on the occasion of a frame or request.

        place: "socket", "clock" or "box".
        """
        counting = [armed for armed in self._live() if armed.fault.after_n]
        return self._strike(counting, place, venue, name, "")

    def due(self, place: str, venue: str, name: str, seen: set[int]) -> Strike | None:
        """As :meth:`strike`, for what a fault hits because its time has come.

        place: "socket", "clock" or "box".  seen: what is remembered of this thing: a fault
        looks at it once.
        """
        now_ns = self._now_ns()
        fresh = [
            armed
            for armed in self._live()
            if not armed.fault.after_n
            and armed.begin_ns <= now_ns
            and armed.serial not in seen
            and armed.matches(place, venue, name)
        ]
        seen.update(armed.serial for armed in fresh)
        return self._strike(fresh, place, venue, name, "")

    def lag_ns(self, venue: str) -> int:
        """How far behind the balances of a venue are to be shown, 0 for not at all."""
        now_ns = self._now_ns()
        lags = (
            round(armed.fault.ms * 1e6)
            for armed in self._live()
            if armed.begin_ns <= now_ns and armed.matches("account", venue, "")
        )
        return max(lags, default=0)

    def _live(self) -> list[_Armed]:
        now_ns = self._now_ns()
        if any(armed.over(now_ns) for armed in self._armed):
            self._armed = [armed for armed in self._armed if not armed.over(now_ns)]
        return self._armed

    def _strike(
        self, among: Iterable[_Armed], place: str, venue: str, name: str, subject: str
    ) -> Strike | None:
        now_ns = self._now_ns()
        struck: Strike | None = None
        for armed in among:
            acts = armed.matches(place, venue, name) and armed.hit(now_ns, self._rng)
            if acts and struck is None:
                left_ns = max(0, armed.until_ns - now_ns)
                struck = Strike(armed.fault, left_ns / 1e9)
                self._note(armed, subject or f"{venue} {name}".strip())
        return struck

    def _note(self, armed: _Armed, subject: str) -> None:
        fired = Fired(self._now_ns(), armed.fault, subject)
        if len(self.fired) >= FIRED_MAX:
            del self.fired[: FIRED_MAX // 10]
        self.fired.append(fired)
        log.log(logging.INFO if armed.hits == 1 else logging.DEBUG, "fault: %s", fired)


def wrong(fault: Fault) -> Iterator[tuple[str, str, str]]:
    """What cannot be meant: field, the rule that holds, and how it is put right."""
    if fault.place not in PLACES:
        yield "where", f"begins with one of {', '.join(PLACES)}", 'write where = "stream:depth"'
        return
    if fault.place in NAMED and not fault.where.partition(":")[2]:
        yield "where", "a name follows, * for all", f'write where = "{fault.place}:*"'
    if fault.place not in NAMED and ":" in fault.where:
        yield "where", f"{fault.place} has no names", f'write where = "{fault.place}"'
    if fault.do not in PLACES[fault.place]:
        may = ", ".join(sorted(PLACES[fault.place]))
        yield "do", f"at {fault.place} it is one of {may}", "change do, or where"
    if fault.venue and fault.place in {"clock", "box"}:
        yield "venue", "all venues share the clock, and the box", "leave venue out"
    if fault.do in LASTING and not fault.seconds > 0:
        yield "seconds", f"{fault.do} lasts for seconds above 0", "write seconds = 2.0"
    if fault.do in LATE and not fault.ms:
        yield "ms", f"{fault.do} needs milliseconds", "write ms = 500"
    if fault.ms < 0 and fault.do is not Do.JUMP:
        yield "ms", "only a clock jumps back", "write a positive ms"
    if fault.do is Do.REPLY and not 200 <= fault.status <= 599:
        yield "status", "a reply has an HTTP status, 200 to 599", "write status = 429"
    if not 0 <= fault.chance <= 1:
        yield "chance", "a probability, 0 to 1", "write chance = 0.5"
    for field in ("at_s", "after_n", "count", "seconds", "retry_s"):
        if (getattr(fault, field) or 0) < 0:
            yield field, "not negative", "write 0 or more"


def nameless(fault: Fault) -> Iterator[tuple[str, str, str]]:
    """As :func:`wrong`: a name that nothing is called by, so that the fault would never act."""
    words = WORDS.get(fault.place, ())
    if words and not fnmatch.filter(words, fault.target):
        near = nearest(fault.target, words)
        repair = f'write where = "{fault.place}:{near}"' if near else "choose one of them"
        yield "where", f"{fault.place} names are {', '.join(words)}", repair
