"""The live screen: book ladder with our own quotes in it, position, profit, skew, rates.

Drawn with rich on the terminal's second screen, so that what stood there comes back afterwards;
notices are then printed again, so that none is lost.  A picture is a list of lines of the
terminal's exact size: it is right at 80x24, shows more levels on a taller one, and is cut, never
wrapped, on a narrower one.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.live import Live
from rich.text import Text

from .events import Status, Suppressed
from .progress import (
    STATUS_WORDS,
    Fill,
    Level,
    Rung,
    Snapshot,
    Summary,
    TraderView,
    age,
    clock,
    fill_text,
    money,
    notice_text,
    plural,
    pnl_parts,
    repeated,
    summary_lines,
    venue_trouble,
    why,
)

LADDER_WIDTH = 44
BAR_WIDTH = 9
TABLE_ROWS_MAX = 6
VALUE_WIDTH = 25  # of a figure in the panel, at 80 columns
NOTICE_ROWS = 2
VENUE_ROWS = 2
FOCUS_S = 5.0  # each of several instruments has the ladder for so long
REFRESH_S = 0.45
LEVEL_STYLES = {"info": "", "warning": "yellow", "error": "bold red"}


class Screen:
    """Draws snapshots on a terminal; a `mmcore.progress.Display`.

    lost: what to do at the end where the terminal has gone; before, pictures of it are not drawn.
    """

    def __init__(
        self, console: Console | None = None, lost: Callable[[OSError], object] = str
    ) -> None:
        self._console = console or Console()
        self._lost = lost
        self._notices: Counter[str] = Counter()
        self._recent: deque[tuple[Level, str]] = deque(maxlen=NOTICE_ROWS)
        self._kept: dict[str, Level] = {}  # to be printed again at the end
        self._next_s = 0.0
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()

    def update(self, snapshot: Snapshot) -> None:
        """Draw ``snapshot``, unless the last picture is younger than REFRESH_S."""
        if snapshot.wall_s < self._next_s:
            return
        self._next_s = snapshot.wall_s + REFRESH_S
        size = self._console.size
        lines = picture(snapshot, tuple(self._recent), size.width, size.height)
        self._live.update(Text("\n", no_wrap=True, end="").join(lines), refresh=True)

    def fills(self, fills: Sequence[Fill]) -> None:
        if fills:
            more = f" (and {len(fills) - 1} more)" if len(fills) > 1 else ""
            self._recent.append(("info", f"{fill_text(fills[-1])}{more}"))

    def notice(self, level: Level, text: str) -> None:
        self._notices[text] += 1
        self._recent.append((level, text))
        self._kept[text] = level

    def close(self, summary: Summary | None) -> None:
        try:
            self._leave(summary)
        except OSError as error:  # what was to be said stands in the run directory
            self._lost(error)

    def _leave(self, summary: Summary | None) -> None:
        self._live.stop()
        for text, level in self._kept.items():
            self._print(notice_text(level, text), LEVEL_STYLES[level])
        for line in repeated(self._notices):
            self._print(line)
        for line in summary_lines(summary) if summary is not None else ():
            self._print(line, "yellow" if line.startswith("warning:") else "")

    def _print(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style=style), soft_wrap=True, highlight=False)


# -- one picture -----------------------------------------------------------------------------


def picture(
    snapshot: Snapshot, notices: Sequence[tuple[Level, str]], width: int, height: int
) -> list[Text]:
    """``height`` lines of at most ``width`` columns."""
    views = snapshot.traders
    table = _table(snapshot, _focus(snapshot)) if len(views) > 1 else []
    head = [_title(snapshot), *_venues(snapshot)]
    if len(head) == 1 and not table:
        head.append(Text(""))
    rows = max(height - len(head) - len(table) - NOTICE_ROWS - 2, 3)
    lines = head
    if views:
        lines += _body(views[_focus(snapshot)], rows)
    else:
        lines += [Text("waiting for the market")] + [Text("")] * (rows - 1)
    lines += table
    lines.append(_progress(snapshot, width))
    said = [Text(text, style=LEVEL_STYLES[level]) for level, text in notices]
    lines += [*said, *[Text("")] * (NOTICE_ROWS - len(said))]
    lines.append(Text("Ctrl-C cancels all orders and ends the run", style="dim"))
    for line in lines:
        line.no_wrap = True
        line.truncate(width)
    return lines[:height]


def _focus(snapshot: Snapshot) -> int:
    return int(snapshot.wall_s / FOCUS_S) % max(len(snapshot.traders), 1)


def _title(snapshot: Snapshot) -> Text:
    line = Text.assemble(
        (f"mmcore {snapshot.title}", "bold"),
        f"  {snapshot.market}  {clock(snapshot.market_s)} of market",
        f"  {snapshot.events:,} events  {snapshot.events_per_s:,.0f}/s",
    )
    if snapshot.gaps or snapshot.problems:
        line.append(f"  {plural(snapshot.gaps, 'gap')}, {snapshot.problems} damaged", "yellow")
    return line


def _venues(snapshot: Snapshot) -> list[Text]:
    """A line for each venue that is talked to, those in trouble first."""
    shown = sorted(snapshot.venues, key=lambda venue: not venue_trouble(venue))[:VENUE_ROWS]
    lines = []
    for venue in shown:
        line = Text.assemble(
            (venue.name, "bold"),
            f"  links {venue.links_up}/{venue.links}  budget {venue.budget_left:.0%}",
            f"  unknown {venue.n_unknown}  clock {venue.clock_offset_ms:+.1f}ms",
        )
        if venue.n_reconnects:
            line.append(f"  {plural(venue.n_reconnects, 'reconnect')}")
        if venue.down:
            line.append(f"  {venue.down}")
        line.stylize("yellow" if venue_trouble(venue) else "")
        lines.append(line)
    return lines


def _body(view: TraderView, rows: int) -> list[Text]:
    """Ladder on the left, figures on the right, ``rows`` lines."""
    ladder = _ladder(view, rows)
    panel = _panel(view)
    lines = []
    for i in range(rows):
        left = ladder[i] if i < len(ladder) else Text("")
        left.truncate(LADDER_WIDTH, pad=True)
        lines.append(left.append_text(panel[i]) if i < len(panel) else left)
    return lines


def pick(rungs: Sequence[Rung], count: int) -> list[Rung]:
    """At most ``count`` of ``rungs`` (best first): the touch, every own price, then the nearest."""
    wanted = sorted(range(len(rungs)), key=lambda i: (i > 0, rungs[i].own == 0, i))[:count]
    return [rungs[i] for i in sorted(wanted)]


def _ladder(view: TraderView, rows: int) -> list[Text]:
    side_rows = (rows - 2) // 2
    asks, bids = pick(view.asks, side_rows), pick(view.bids, side_rows)
    most = max((rung.quantity for rung in (*asks, *bids)), default=0.0)
    head = Text(f"{'own':>9} {'price':>12} {'quantity':>11} ", style="dim")
    lines = [head, *[Text("")] * (side_rows - len(asks))]
    lines += [_rung(view, rung, most, "red") for rung in reversed(asks)]
    lines.append(_middle(view))
    lines += [_rung(view, rung, most, "green") for rung in bids]
    return lines


def _rung(view: TraderView, rung: Rung, most: float, colour: str) -> Text:
    own = f"{rung.own:.{view.quantity_decimals}f}" if rung.own else ""
    bar = "█" * math.ceil(BAR_WIDTH * rung.quantity / most) if most and rung.quantity else ""
    quantity = f"{rung.quantity:.{view.quantity_decimals}f}" if rung.quantity else "-"
    return Text.assemble(
        (f"{own:>9} ", "bold yellow"),
        (f"{rung.price:>12.{view.price_decimals}f}", f"bold {colour}" if rung.own else colour),
        f" {quantity:>11} ",
        (bar, f"dim {colour}"),
    )


def _middle(view: TraderView) -> Text:
    name = view.name if len(view.name) > 12 else f"{view.name} {view.strategy}"
    if not view.bids or not view.asks:
        return Text(f"{name}  {STATUS_WORDS[view.status]}", style="yellow")
    bid, ask = view.bids[0].price, view.asks[0].price
    mid = (bid + ask) / 2
    spread = f"{(ask - bid) / mid * 1e4:.2f} bps" if mid else "-"
    return Text.assemble((f"{name}", "bold"), f"  mid {mid:.{view.price_decimals + 1}f}  {spread}")


def _panel(view: TraderView) -> list[Text]:
    """Twelve lines of figures about one trader, then further reasons for missing quotes."""
    gross, fees, net = pnl_parts(view)
    used = f" ({abs(view.position) / view.position_max:.0%} of max)" if view.position_max else ""
    limit = f" of {view.rate_limit:g}/s" if view.rate_limit else "/s"
    unit = f" {view.skew_unit}" if view.skew_unit else ""
    signal = f"  signal {view.signal:+.2f}" if math.isfinite(view.signal) else ""
    lines = [
        _status(view),
        _pair("position", f"{view.position:+.{view.quantity_decimals}f} {view.base}{used}"),
        _pair("PnL gross", gross),
        _pair("fees", fees),
        _pair("net", f"{net} {view.currency}", "green" if view.net >= 0 else "red"),
        _pair("skew", f"{view.skew:+.2f}{unit}"),
        _pair("position", f"{view.skew_position:+.2f}{unit}", name_style="dim"),
        _pair("book", f"{view.skew_book:+.2f}{unit}{signal}", name_style="dim"),
        _pair("fills", f"{view.n_fills:,} of {view.n_requests:,} requests"),
        _pair("requests", f"{view.requests_per_s:.1f}{limit}"),
    ]
    bid, *more_bid = _side("bids", view.n_bids, view.why_bid, view.status)
    ask, *more_ask = _side("asks", view.n_asks, view.why_ask, view.status)
    return [*lines, bid, ask, *more_bid, *more_ask]


def _pair(name: str, value: str, style: str = "", name_style: str = "") -> Text:
    return Text.assemble((f"{name:>9}  ", name_style or "cyan"), (value, style))


def _status(view: TraderView) -> Text:
    good = view.status == Status.OK
    words = STATUS_WORDS[view.status]
    aged = f"{words}, data {age(view.age_s)} old"
    shown = aged if len(aged) <= VALUE_WIDTH else words
    return _pair("state", shown, "green" if good else "bold yellow")


def _side(name: str, count: int, bits: Suppressed, status: Status) -> list[Text]:
    """Our orders of one side, or the first reason why there are none; then the other reasons."""
    if count:
        return [_pair(name, plural(count, "order"))]
    if status != Status.OK:
        return [_pair(f"no {name}", "see state", "yellow")]
    reasons = why(bits) or ["on their way"]
    more = f" +{len(reasons) - 1}" if len(reasons) > 1 else ""
    first = _pair(f"no {name}", f"{reasons[0]}{more}", "yellow")
    return [first, *(_pair(f"no {name}", reason, "yellow") for reason in reasons[1:])]


def _table(snapshot: Snapshot, focus: int) -> list[Text]:
    """A line for each of several traders."""
    views = snapshot.traders
    shown = views if len(views) <= TABLE_ROWS_MAX else views[: TABLE_ROWS_MAX - 1]
    lines = [
        Text(
            f"  {'instrument':<20}{'position':>13} {'net':>18} {'fills':>6} {'req/s':>6}  state",
            style="dim",
        )
    ]
    for i, view in enumerate(shown):
        net = f"{money(view.net, view.currency)} {view.currency}"
        lines.append(
            Text.assemble(
                ("> " if i == focus else "  ", "bold"),
                f"{view.name:<20}{view.position:>+13.{view.quantity_decimals}f} {net:>18} ",
                f"{view.n_fills:>6} {view.requests_per_s:>6.1f}  ",
                ("ok" if view.status == Status.OK else view.status.name.lower(), "dim"),
            )
        )
    if len(shown) < len(views):
        lines.append(Text(f"  and {len(views) - len(shown)} more in the summary", style="dim"))
    return lines


def _progress(snapshot: Snapshot, width: int) -> Text:
    if not math.isfinite(snapshot.share):
        return Text(f"running for {clock(snapshot.wall_s)}, no end set", style="dim")
    tail = f" {snapshot.share:4.0%}, {clock(snapshot.left_s)} left"
    room = max(width - len(tail) - 2, 0)
    done = int(room * min(max(snapshot.share, 0.0), 1.0))
    return Text.assemble(
        ("█" * done, "cyan"), ("░" * (room - done), "dim"), (tail, "bold"), no_wrap=True
    )
