"""What a run shows while it goes and when it ends: snapshots, and the plain and JSON displays.

The session fills a frozen `Snapshot` a few times a second; a `Display` draws it.  Three exist:
`Lines` here for logs and pipes, `JsonLines` for machines, `mmcore.screen.Screen` for terminals.
Money is in quanta (1e-8 of the asset) until it is written, so that parts add up to their total.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

from .events import Status, Suppressed

QUANTA_PER_ONE = 100_000_000
SPOKEN_TRADERS = 2  # more have one status line together
PACED_S = 0.5  # before a run has gone on so long, its pace is not told
WIDTH, LABEL_WIDTH = 80, 12  # columns of the summary, and of the words before its figures
CENT_CURRENCIES = frozenset({"USD", "USDT", "USDC", "FDUSD", "BUSD", "EUR"})

STATUS_WORDS = {
    Status.OK: "quoting",
    Status.WARMUP: "waiting for the first book",
    Status.GAP: "sequence gap: waiting for a snapshot",
    Status.CROSSED: "book is crossed",
    Status.ONE_SIDED: "book has one side only",
    Status.STALE: "market data are stale",
    Status.FULL: "a fixed capacity is full",
    Status.LIMIT: "a limit holds quotes back",
    Status.KILLED: "stopped for good",
    Status.STOPPING: "stopping",
}
SUPPRESSED_WORDS = {
    Suppressed.NO_BOOK: "no healthy book",
    Suppressed.NO_BUDGET: "position budget used up",
    Suppressed.NO_MIN_QTY: "below minimum quantity",
    Suppressed.NO_MIN_NOTIONAL: "below minimum notional",
    Suppressed.NO_ROOM: "hard limit or balance",
    Suppressed.NO_FILTERS: "filters missing",
    Suppressed.NO_PRICE: "guard left no legal price",
    Suppressed.NO_RATE: "rate limit holds it back",
}

NOTHING = Suppressed(0)

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Rung:
    """One price of the ladder: what the market shows there, and what we rest there."""

    price: float
    quantity: float
    own: float = 0.0


@dataclass(frozen=True, slots=True)
class TraderView:
    """One trader at one moment."""

    name: str  # the symbol; with its venue where two are called the same
    strategy: str
    base: str
    currency: str  # of the money below
    price_decimals: int
    quantity_decimals: int
    status: Status
    bids: tuple[Rung, ...] = ()  # best first, own prices included however far out
    asks: tuple[Rung, ...] = ()
    position: float = 0.0
    position_max: float = 0.0  # same unit; 0 = none known
    gross: int = 0  # quanta: realised and unrealised, before fees
    fees: int = 0  # quanta, negative = rebates received
    skew: float = 0.0
    skew_position: float = 0.0
    skew_book: float = 0.0
    skew_unit: str = ""  # "bps", or nothing for [-1, 1]
    signal: float = math.nan
    why_bid: Suppressed = NOTHING
    why_ask: Suppressed = NOTHING
    n_bids: int = 0  # own orders resting or in flight
    n_asks: int = 0
    n_quotes: int = 0
    n_requests: int = 0
    n_fills: int = 0
    requests_per_s: float = 0.0  # of market time, over the last seconds
    rate_limit: float = 0.0  # per second, 0 = none
    age_s: float = 0.0  # market time since the last message of this instrument

    @property
    def net(self) -> int:
        """Profit after fees, quanta."""
        return self.gross - self.fees


@dataclass(frozen=True, slots=True)
class VenueView:
    """One venue that is talked to, at one moment."""

    name: str  # with its environment
    links_up: int
    links: int
    down: str = ""  # the first link that is not up, and why
    budget_left: float = 1.0  # share of what may be asked
    n_unknown: int = 0  # orders whose fate the venue is being asked for
    n_reconnects: int = 0
    clock_offset_ms: float = 0.0  # the venue's clock less ours


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment."""

    title: str
    market: str
    wall_s: float
    market_s: float
    events: int  # of every kind
    messages: int  # about the book
    updates: int  # levels in them
    gaps: int
    problems: int
    events_per_s: float  # of wall time, over the last second or so
    share: float = math.nan  # of the tape, or of --seconds; nan = endless
    left_s: float = math.nan  # wall time
    traders: tuple[TraderView, ...] = ()
    venues: tuple[VenueView, ...] = ()
    crossed: int = 0  # messages that left a book crossed: nothing is quoted then


@dataclass(frozen=True, slots=True)
class Fill:
    """One own fill."""

    ts_ns: int
    name: str
    side: int
    quantity: str
    price: str
    position: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What came out of a run; every run ends with one."""

    snapshot: Snapshot
    exit_code: int
    cause: str  # why it ended, a clause
    cancelled: int  # own orders cancelled at the end
    remaining: int  # own orders that the venue still holds: 0, or the run says so
    journal_hash: str
    directory: str
    next: str
    warning: str = ""  # last line, when something is missing
    verified: tuple[str, ...] = ()  # what the venues themselves said at the end, a line each


class Display(Protocol):
    """Where a run shows itself."""

    def update(self, snapshot: Snapshot) -> None: ...
    def fills(self, fills: Sequence[Fill]) -> None: ...
    def notice(self, level: Level, text: str) -> None: ...
    def close(self, summary: Summary | None) -> None: ...


# -- words and numbers -----------------------------------------------------------------------


def money(quanta: int, currency: str) -> str:
    """Quanta as text with sign: cents for dollar-like currencies, the full 1e-8 for coins."""
    if currency in CENT_CURRENCIES:
        return f"{cents(quanta) / 100:+,.2f}"
    return f"{quanta / QUANTA_PER_ONE:+.8f}"


def cents(quanta: int) -> int:
    """Quanta as whole cents, half-even."""
    return round(quanta / (QUANTA_PER_ONE // 100))


def pnl_parts(view: TraderView) -> tuple[str, str, str]:
    """Gross, fees and net as text; gross - fees = net holds in the printed digits too."""
    if view.currency in CENT_CURRENCIES:
        one = QUANTA_PER_ONE // 100
        total = (cents(view.net) + cents(view.fees)) * one
        return (
            money(total, view.currency),
            money(cents(view.fees) * one, view.currency),
            money(cents(view.net) * one, view.currency),
        )
    gross, fees, net = (money(q, view.currency) for q in (view.gross, view.fees, view.net))
    return gross, fees, net


def clock(seconds: float) -> str:
    """A span of time: 12.3s, 04:05, 1:04:05; a dash when unknown."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def age(seconds: float) -> str:
    """A short span of time: 12ms, else as `clock`."""
    return f"{seconds * 1e3:.0f}ms" if 0 <= seconds < 1 else clock(seconds)


def why(bits: Suppressed) -> list[str]:
    """Why a quote is missing, in words; nothing when nothing is."""
    return [word for bit, word in SUPPRESSED_WORDS.items() if bit & bits]


def fill_text(fill: Fill) -> str:
    word = "bought" if fill.side > 0 else "sold"
    return f"{fill.name} {word} {fill.quantity} at {fill.price}, position {fill.position}"


def notice_text(level: Level, text: str) -> str:
    return text if level == "info" else f"{level}: {text}"


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def status_text(snapshot: Snapshot) -> str:
    """A run in one line."""
    parts = [f"{clock(snapshot.market_s)} of market"]
    paced = snapshot.wall_s >= PACED_S
    if math.isfinite(snapshot.share):
        left = f", {clock(snapshot.left_s)} left" if paced else ""
        parts.append(f"{snapshot.share:.0%} done{left}")
    pace = f" ({snapshot.events_per_s:,.0f}/s)" if paced else ""
    parts.append(f"{plural(snapshot.events, 'event')}{pace}")
    fills = sum(view.n_fills for view in snapshot.traders)
    parts.append(f"{plural(fills, 'fill')}")
    views = snapshot.traders
    if len(views) > SPOKEN_TRADERS:
        quoting = sum(view.status == Status.OK for view in views)
        return ", ".join([*parts, f"{quoting} of {len(views)} quoting", f"net {total_net(views)}"])
    parts += [venue_text(venue) for venue in snapshot.venues if venue_trouble(venue)]
    for view in views:
        health = "" if view.status == Status.OK else f" [{STATUS_WORDS[view.status]}]"
        parts.append(
            f"{view.name} {view.n_bids}x{view.n_asks} quotes, "
            f"position {view.position:+.{view.quantity_decimals}f}, "
            f"net {money(view.net, view.currency)} {view.currency}{health}"
        )
    return ", ".join(parts)


def venue_trouble(venue: VenueView) -> bool:
    """Whether there is something to be said of a venue in a line that is short."""
    return venue.links_up < venue.links or venue.n_unknown > 0


def venue_text(venue: VenueView) -> str:
    """A venue in a few words: its links, its budget, what it does not know."""
    links = f"links {venue.links_up} of {venue.links} up"
    down = f" ({venue.down})" if venue.down else ""
    unknown = f", {plural(venue.n_unknown, 'order')} unknown" if venue.n_unknown else ""
    offset = f", clock {venue.clock_offset_ms:+.1f}ms" if venue.clock_offset_ms else ""
    return f"{venue.name}: {links}{down}, budget {venue.budget_left:.0%}{unknown}{offset}"


def total_net(views: Sequence[TraderView]) -> str:
    """Profit after fees of several traders, one figure a currency."""
    sums: Counter[str] = Counter()
    for view in views:
        sums[view.currency] += view.net
    return ", ".join(f"{money(net, currency)} {currency}" for currency, net in sums.items())


def trader_lines(view: TraderView) -> list[str]:
    """The outcome of one trader: one line, more where they would be wider than a terminal."""
    gross, fees, net = pnl_parts(view)
    parts = [
        f"{view.position:+.{view.quantity_decimals}f} {view.base}",
        plural(view.n_fills, "fill"),
        f"gross {gross}",
        f"fees {fees}",
        f"net {net} {view.currency}",
    ]
    return _wrapped(view.name, parts)


def outcome_lines(views: Sequence[TraderView]) -> list[str]:
    """The outcome of every trader, and of all together where there are several."""
    lines = [line for view in views for line in trader_lines(view)]
    if len(views) < 2:
        return lines
    fills = plural(sum(view.n_fills for view in views), "fill")
    return [*lines, *_wrapped("together", [fills, *f"net {total_net(views)}".split(", ")])]


def _wrapped(label: str, parts: Sequence[str]) -> list[str]:
    """Parts behind a label, as many on a line as a terminal is wide."""
    lines = [f"{label:<{LABEL_WIDTH}}"]
    for i, part in enumerate(parts):
        text = part if i == len(parts) - 1 else f"{part},"
        if i and len(lines[-1]) + 1 + len(text) > WIDTH:
            lines.append(" " * LABEL_WIDTH)
        lines[-1] += f" {text}"
    return lines


def summary_lines(summary: Summary) -> list[str]:
    """The end of a run for people."""
    shot = summary.snapshot
    quotes = sum(view.n_quotes for view in shot.traders)
    requests = sum(view.n_requests for view in shot.traders)
    fills = sum(view.n_fills for view in shot.traders)
    rate = shot.events / shot.wall_s if shot.wall_s > 0 else 0.0
    problems = f", {plural(shot.problems, 'damaged record')}" if shot.problems else ""
    crossed = f", crossed after {plural(shot.crossed, 'message')}" if shot.crossed else ""
    book = (
        f"{plural(shot.messages, 'message')}, {plural(shot.updates, 'update')}, "
        f"{plural(shot.gaps, 'gap')}{crossed}{problems}"
    )
    market = (
        f"{clock(shot.market_s)} with {plural(shot.events, 'event')} in {clock(shot.wall_s)} "
        f"({rate:,.0f} events/s)"
    )
    trading = f"{plural(quotes, 'quote')}, {plural(requests, 'request')}, {plural(fills, 'fill')}"
    lines = [
        f"ended        {summary.cause}",
        f"orders       {_cancelled_text(summary)}",
        *(line for text in summary.verified for line in _wrapped("verified", text.split(", "))),
        f"market       {market}",
        f"book         {book}",
        f"trading      {trading}",
        *outcome_lines(shot.traders),
        f"journal      {summary.journal_hash[:32]}",
        f"saved        {summary.directory}",
        f"next:        {summary.next}",
    ]
    return [*lines, f"warning: {summary.warning}"] if summary.warning else lines


def _cancelled_text(summary: Summary) -> str:
    if summary.remaining:
        return (
            f"{summary.cancelled} cancelled, {summary.remaining} NOT confirmed: "
            "they may still rest at the venue"
        )
    return f"{summary.cancelled} cancelled; the venue holds none of ours"


def summary_facts(summary: Summary) -> dict[str, object]:
    """The end of a run for machines."""
    shot = summary.snapshot
    return {
        "type": "summary",
        "ok": summary.exit_code == 0,
        "exit_code": summary.exit_code,
        "cause": summary.cause,
        "cancelled": summary.cancelled,
        "remaining": summary.remaining,
        "events": shot.events,
        "messages": shot.messages,
        "updates": shot.updates,
        "gaps": shot.gaps,
        "crossed": shot.crossed,
        "problems": shot.problems,
        "market_s": shot.market_s,
        "wall_s": shot.wall_s,
        "events_per_s": shot.events / shot.wall_s if shot.wall_s > 0 else 0.0,
        "traders": [trader_facts(view) for view in shot.traders],
        "verified": list(summary.verified),
        "journal_hash": summary.journal_hash,
        "directory": summary.directory,
        "next": summary.next,
        "warning": summary.warning,
    }


def trader_facts(view: TraderView) -> dict[str, str | int | float | list[str]]:
    """One trader for machines; money in units of its currency."""
    return {
        "name": view.name,
        "strategy": view.strategy,
        "status": view.status.name,
        "quotes": view.n_quotes,
        "requests": view.n_requests,
        "fills": view.n_fills,
        "position": view.position,
        "currency": view.currency,
        "pnl_gross": view.gross / QUANTA_PER_ONE,
        "fees": view.fees / QUANTA_PER_ONE,
        "pnl_net": view.net / QUANTA_PER_ONE,
        "why_no_bid": why(view.why_bid),
        "why_no_ask": why(view.why_ask),
    }


# -- displays --------------------------------------------------------------------------------


FILLS_SPOKEN = 8  # single fills told before they are folded
FIRST_S = 0.4
STATUS_GROWTH = (
    4.0  # after 4 s a line comes every quarter of the time passed, at most a minute apart
)
STATUS_S_MAX = 60.0
NOTICES_ALIKE = 3  # notices with the same text told before they are only counted


class Lines:
    """Plain lines for a log: few, and fewer the longer the run.

    quiet: only warnings, errors and the summary.
    """

    def __init__(self, write: Callable[[str], None], quiet: bool = False) -> None:
        self._write = write
        self._quiet = quiet
        self._next_s = 0.0
        self._spoken = 0
        self._folded: Counter[str] = Counter()
        self._notices: Counter[str] = Counter()

    def update(self, snapshot: Snapshot) -> None:
        if self._quiet or snapshot.wall_s < self._next_s:
            return
        now = snapshot.wall_s
        if now < FIRST_S and not any(view.n_bids + view.n_asks for view in snapshot.traders):
            return  # the first line shows quotes, if they come soon
        self._next_s = now + min(max(1.0, now / STATUS_GROWTH), STATUS_S_MAX)
        folded = ", ".join(f"{n} {word}" for word, n in sorted(self._folded.items()))
        self._folded.clear()
        self._write(
            f"{clock(now):>6}  {status_text(snapshot)}{f'; since then {folded}' if folded else ''}"
        )

    def fills(self, fills: Sequence[Fill]) -> None:
        for fill in () if self._quiet else fills:
            if self._spoken < FILLS_SPOKEN:
                self._spoken += 1
                last = "; further fills are counted" if self._spoken == FILLS_SPOKEN else ""
                self._write(f"fill    {fill_text(fill)}{last}")
            else:
                self._folded["bought" if fill.side > 0 else "sold"] += 1

    def notice(self, level: Level, text: str) -> None:
        self._notices[text] += 1
        if self._notices[text] <= NOTICES_ALIKE:
            last = " (repeats are counted)" if self._notices[text] == NOTICES_ALIKE else ""
            self._write(f"{notice_text(level, text)}{last}")

    def close(self, summary: Summary | None) -> None:
        for line in repeated(self._notices):
            self._write(line)
        if summary is not None:
            for line in summary_lines(summary):
                self._write(line)


def repeated(notices: Counter[str]) -> list[str]:
    """Lines that say how often the folded notices came."""
    return [f"note: {n} times: {text}" for text, n in notices.items() if n > NOTICES_ALIKE]


class JsonLines:
    """One JSON object a line: status at most once a second, every fill, notices, one summary."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._next_s = 0.0

    def update(self, snapshot: Snapshot) -> None:
        if snapshot.wall_s < self._next_s:
            return
        self._next_s = snapshot.wall_s + 1.0
        facts = asdict(snapshot)
        facts["traders"] = [trader_facts(view) for view in snapshot.traders]
        self._put({"type": "status", **facts})

    def fills(self, fills: Sequence[Fill]) -> None:
        for fill in fills:
            self._put({"type": "fill", **asdict(fill)})

    def notice(self, level: Level, text: str) -> None:
        self._put({"type": "notice", "level": level, "text": text})

    def close(self, summary: Summary | None) -> None:
        if summary is not None:
            self._put(summary_facts(summary))

    def _put(self, facts: dict[str, object]) -> None:
        self._write(json.dumps(finite(facts), allow_nan=False))


def finite(facts: Mapping[str, object]) -> dict[str, object]:
    """The same facts with null for nan and infinity, which JSON does not have."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in facts.items()
    }
