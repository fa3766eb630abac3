"""The research replay against the plainest loop there is: one event after the other, in order.

The compiled replay passes whole stretches of the tape at once; the loop here looks for whatever
comes next, gives it to a book or a venue by itself, and looks again.  Tapes, orders, latencies and
the times at which a strategy wakes are drawn.
"""

from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcore._book import Book
from mmcore._channel import Latency
from mmcore._replay import Outcome, Replay
from mmcore._spec import SpecBox
from mmcore._venue import PARITY, PARITY_WHOLE, RULES, Venue
from mmcore.events import (
    ASK,
    BID,
    EVENT,
    LEVEL,
    REQUEST,
    Flag,
    Kind,
    RequestKind,
    TimeInForce,
    rows_of,
)
from mmcore.tables import grouped

MIDDLE = 1_000
NEVER = 2**62
EXCH, LOCAL = int(Flag.EXCH), int(Flag.LOCAL)
BOTH = EXCH | LOCAL
MORE = int(Flag.MORE)
CONT = int(Flag.CONT)
SNAPSHOT = int(Flag.SNAPSHOT)
LEVELS = st.tuples(
    st.sampled_from([BID, ASK]),
    st.sampled_from([1, 1, 2, 2, 3, 3, 5, 8, 70, -1, 900]),  # ticks behind the middle
    st.integers(0, 4),
)
ROW = st.tuples(
    st.sampled_from(
        ["level"] * 24 + ["trade"] * 12 + ["many"] * 6 + ["snapshot", "clear", "down", "mark"]
    ),
    LEVELS,
    st.sampled_from([0, 0, 1, 2, 7, 30]),  # ns since the row before
    st.sampled_from([BOTH] * 5 + [EXCH, LOCAL]),
    st.sampled_from([0] * 12 + [MORE, CONT]),
)
ROWS = st.lists(ROW, min_size=40, max_size=120)
WAKE = st.tuples(
    st.sampled_from(["elapse", "elapse", "wait"]),
    st.sampled_from([0, 1, 3, 20, 40]),
    st.sampled_from(["", "place", "place", "place", "modify", "cancel"]),
    st.sampled_from([BID, ASK]),
    st.sampled_from([-2, 0, 1, 1, 2, 2, 3, 3, 5, 8]),
    st.sampled_from([TimeInForce.GTX] * 3 + [TimeInForce.GTC] * 3 + list(TimeInForce)),
)
STEPS = st.lists(WAKE, min_size=8, max_size=25)


def spec() -> SpecBox:
    return SpecBox("0.1", 3, "1", 10, 0, 0, 0, 20_000, 50_000, 0, 0, 0)


def message(name: str, level: tuple[int, int, int], flags: int) -> np.ndarray:
    side, away, qty = level
    inside = [(MIDDLE - side * (away + k), 10 * (qty + k)) for k in range(3)]
    other = [(MIDDLE + side * (1 + k), 10 * k) for k in range(2)]
    wide = name in ("many", "snapshot")
    rows = np.zeros(1 + rows_of(5) if wide else 1, EVENT)
    head = rows[0]
    head["kind"] = {
        "trade": Kind.TRADE, "clear": Kind.CLEAR, "down": Kind.LINK_DOWN, "mark": Kind.MARK,
    }.get(name, Kind.DEPTH)  # fmt: skip
    if wide:
        bids, asks = (inside, other) if side == BID else (other, inside)
        head["n_bids"], head["n_asks"] = len(bids), len(asks)
        rows[1:].view(LEVEL)[:5] = np.array(bids + asks, LEVEL)
        head["flags"] = flags | (SNAPSHOT if name == "snapshot" else 0)
        return rows
    head["side"], head["tick"], head["qty"] = side, inside[0][0], 10 * max(qty, name == "trade")
    head["flags"] = flags & ~MORE & ~CONT
    if name == "clear" and qty == 0:
        head["side"] = 0
    return rows


def tape(facts: list[tuple[str, tuple[int, int, int], int, int, int]], lag: int) -> np.ndarray:
    """A book that starts with one level a side; we see rows `lag` ns after the venue."""
    parts = [message("level", (side, 1, 3), BOTH) for side in (BID, ASK)]
    waits = [0, 0, *(wait for _, _, wait, _, _ in facts)]
    parts += [message(name, level, who | more) for name, level, _, who, more in facts]
    for part, now in zip(parts, 1_000 + np.cumsum(waits), strict=True):
        part[0]["ts_venue_ns"], part[0]["ts_local_ns"] = now, now + lag
    return np.concatenate(parts)


class Plain:
    """A replay, event by event."""

    def __init__(self, rows: np.ndarray, venue: Venue, entry_ns: int, response_ns: int) -> None:
        self.venue, self.book = venue, Book(venue.book.spec)
        self.entry_ns, self.response_ns = entry_ns, response_ns
        self.requests: deque[tuple[int, np.ndarray]] = deque()
        self.answers: deque[tuple[int, np.void]] = deque()
        self.seen: list[tuple[int, np.void]] = []
        messages = []
        i = 0
        while i < len(rows):
            n = 1
            if rows[i]["kind"] == Kind.DEPTH:
                n += rows_of(int(rows[i]["n_bids"]) + int(rows[i]["n_asks"]))
            messages.append(rows[i : i + n])
            i += n
        self.ours = deque(m for m in messages if m[0]["flags"] & LOCAL)
        self.theirs = deque(m for m in messages if m[0]["flags"] & EXCH)
        self.n_ours = self.n_theirs = 0

    def dues(self) -> list[int]:
        """When each kind of event comes next, in the order of one instant."""
        return [
            int(self.ours[0][0]["ts_local_ns"]) if self.ours else NEVER,
            self.answers[0][0] if self.answers else NEVER,
            int(self.theirs[0][0]["ts_venue_ns"]) if self.theirs else NEVER,
            self.requests[0][0] if self.requests else NEVER,
        ]

    def until(self, target_ns: int) -> None:
        while min(self.dues()) <= target_ns:
            self.step()

    def step(self) -> None:
        dues = self.dues()
        which = dues.index(min(dues))
        if which == 0:
            self.book.bind(self.ours.popleft())
            self.book.update(0)
            self.n_ours += 1
        elif which == 1:
            self.seen.append(self.answers.popleft())
        elif which == 2:
            self.n_theirs += 1
            self.answered(dues[2], self.venue.market(self.theirs.popleft()))
        else:
            due, request = self.requests.popleft()
            self.answered(due, self.venue.request(request[0], due))

    def answered(self, now: int, answers: np.ndarray) -> None:
        for answer in answers:
            due = now + self.response_ns
            self.answers.append((max(due, self.answers[-1][0] if self.answers else due), answer))

    def send(self, now: int, **fields: int) -> None:
        """Let a request leave."""
        request = np.zeros(1, REQUEST)
        for name, value in fields.items():
            request[name] = value
        request["ts_ns"] = now
        self.requests.append((now + self.entry_ns, request))

    def fills(self) -> list[tuple[int, ...]]:
        """As the columns of FILL; order n has slot n - 1."""
        return [
            (
                int(a["ts_venue_ns"]), seen, int(a["slot"]) + 1, int(a["side"]), int(a["tick"]),
                int(a["qty"]), int(a["flags"] & Flag.MAKER != 0), int(a["aux"]),
            )
            for seen, a in self.seen
            if a["kind"] == Kind.FILL
        ]  # fmt: skip


def same(replay: Replay, plain: Plain) -> None:
    for one, other in ((replay.book, plain.book), (replay.venue.book, plain.venue.book)):
        for side in (BID, ASK):
            assert one.levels(side).tolist() == other.levels(side).tolist()
        assert (one.health, one.counters) == (other.health, other.counters)
        assert str((one.best_bid, one.best_ask)) == str((other.best_bid, other.best_ask))
        assert one.sound()
    assert replay.fills().tolist() == plain.fills()
    assert replay.n_messages == (plain.n_ours, plain.n_theirs)
    assert replay.n_answers == len(plain.seen)
    assert replay.venue.orders().tolist() == plain.venue.orders().tolist()


class Player:
    """Does on both sides what a strategy would."""

    def __init__(self, replay: Replay, plain: Plain, keeps_left: bool) -> None:
        self.replay, self.plain, self.keeps_left = replay, plain, keeps_left
        self.n = 0

    def act(self, what: str, side: int, away: int, tif: TimeInForce) -> None:
        tick = MIDDLE - side * away
        if what == "place":
            self.n += 1
            assert self.replay.submit(self.n, side, tick, 30, int(tif)) == Outcome.OK
            self.send(RequestKind.PLACE, self.n, side, tif, tick=tick, qty=30)
            return
        number = away % self.n + 1
        order = self.replay.order(number)
        assert order is not None
        kept = order["placed"] - order["left"] if self.keeps_left else order["filled"]
        if what == "modify":
            if self.replay.modify(number, tick, 20) == Outcome.OK:
                self.send(RequestKind.AMEND, number, order["side"], order["tif"],
                          tick=tick, qty=20, done=int(kept))  # fmt: skip
        elif self.replay.cancel(number) == Outcome.OK:
            self.send(RequestKind.CANCEL, number, order["side"], order["tif"])

    def send(self, kind: RequestKind, number: int, side: int, tif: int, **fields: int) -> None:
        """As the replay numbers slots: the first order the first."""
        fields |= {"kind": kind, "side": side, "tif": tif, "slot": number - 1, "generation": 1}
        self.plain.send(self.replay.now_ns, **fields)


@settings(max_examples=100)
@given(
    ROWS, STEPS, st.sampled_from([0, PARITY, PARITY_WHOLE]), st.booleans(),
    st.sampled_from([(0, 0), (1, 1), (4, 3), (40, 9)]), st.sampled_from(["two", "local"]),
    st.sampled_from(["risk_averse", "power3", "log"]),
)  # fmt: skip
def test_the_same_as_event_by_event(
    facts: list[tuple[str, tuple[int, int, int], int, int, int]],
    steps: list[tuple[str, int, str, int, int, TimeInForce]],
    rules: int,
    joined: bool,
    latency: tuple[int, int],
    clock: str,
    queue: str,
) -> None:
    rows = tape(facts, 0 if clock == "local" else 5)
    if joined:
        rows = grouped(rows)
    one, other = (Venue(spec(), rules=rules, queue=queue, n_slots=64) for _ in range(2))
    replay = Replay(rows, one, Latency(*latency), clock=clock)
    plain = Plain(rows, other, *latency)
    player = Player(replay, plain, bool(rules & RULES["modify_keeps_left"]))
    outcome = int(Outcome.OK)
    for how, wait, what, side, away, tif in steps:
        outcome = replay.elapse(wait) if how == "elapse" else replay.wait_feed(wait)
        plain.until(NEVER - 1 if outcome == Outcome.END else replay.now_ns)
        same(replay, plain)
        if what == "place" or (what and player.n):
            player.act(what, side, away, tif)
    replay.elapse(10**9)
    plain.until(NEVER - 1)
    same(replay, plain)
