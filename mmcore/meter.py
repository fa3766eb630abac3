"""The meter: the facts by which a market is told from a fake, one number each.

The same code measures recorded tapes and the synthetic market; ``bench/acceptance.py`` prints both
beside the accepted range.  Words: a *taker* is all prints of one aggressor side at one exchange
time; a *move* is mid changes less than ``Scale.join_s`` apart taken together; I1 is
(bid - ask) / (bid + ask) of the quantity at the best price; *behind d* is d grid steps from the
best price of the same side.  Moves are in basis points, times in seconds unless named otherwise.

Analysis with numpy, off the hot path: a recording is held in memory as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .recording import Recording

Array = NDArray[np.float64]

BEHIND_MAX = 20  # steps behind the touch that are measured
NEAR_STEPS = 50  # adds, cancels and executions are counted within it
CLOCK_S = 0.001  # streams of one venue agree on the time of an event to about this
EVENTS_MIN = 20  # of a distance, to take part in the fit of the fill decay


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Windows in which a class of market is read, all in seconds.

    grid_s: sampling of imbalance.  join_s: mid changes closer than this are one move.  fano_s:
    short and long window of taker counts.  quote_every_s, quote_life_s: hypothetical resting
    quotes.  passage_every_s, passage_s: starts and horizon of the fill decay.
    """

    grid_s: float = 0.1
    join_s: float = 0.02
    fano_s: tuple[float, float] = (1.0, 10.0)
    quote_every_s: float = 0.5
    quote_life_s: float = 5.0
    passage_every_s: float = 1.0
    passage_s: float = 30.0


SMALL_TICK = Scale()
BLOCK_VENUE = Scale(join_s=0.2)
LARGE_TICK = Scale(
    grid_s=1.0,
    join_s=1.0,
    fano_s=(10.0, 60.0),
    quote_every_s=5.0,
    quote_life_s=60.0,
    passage_every_s=10.0,
    passage_s=600.0,
)


@dataclass(frozen=True, slots=True)
class Takers:
    """Takers of a recording, in time order: time, side, lots, first and last trade index."""

    t: Array
    side: Array
    lots: Array
    prints: Array


class Touch:
    """The touch over time, asked at any time: a step function."""

    def __init__(self, recording: Recording) -> None:
        r = recording
        self.t = r.touch_t
        self.bid, self.ask = r.bid.astype(float), r.ask.astype(float)
        self.bid_qty, self.ask_qty = r.bid_qty.astype(float), r.ask_qty.astype(float)
        self.mid = 0.5 * (self.bid + self.ask)
        self.imbalance = (self.bid_qty - self.ask_qty) / (self.bid_qty + self.ask_qty)
        self.bp = 1e4 * r.step / float(np.median(self.mid))  # of one step
        self.step = r.step
        self.held = np.diff(self.t, append=self.t[-1])

    def at(self, t: Array) -> NDArray[np.intp]:
        """Index of the touch that stands at each time, changes at that time included."""
        return np.maximum(np.searchsorted(self.t, t, side="right") - 1, 0)

    def before(self, t: Array) -> NDArray[np.intp]:
        """Index of the touch that stood just before each time."""
        return np.maximum(np.searchsorted(self.t, t, side="left") - 1, 0)

    def grid(self, every_s: float) -> Array:
        """Times from the first touch to the last, so far apart."""
        times: Array = np.arange(self.t[0], self.t[-1], every_s)
        return times

    def basis_points(self, start: Array, end: Array) -> Array:
        """Mid move between two times."""
        steps: Array = (self.mid[self.at(end)] - self.mid[self.at(start)]) / self.step
        bp: Array = steps * self.bp
        return bp


def _weighted_quantiles(x: Array, weight: Array, levels: list[float]) -> Array:
    order = np.argsort(x, kind="stable")
    share = np.cumsum(weight[order])
    at = np.searchsorted(share, np.array(levels) * share[-1]).clip(0, len(x) - 1)
    chosen: Array = x[order][at]
    return chosen


def _acf(x: Array, lag: int) -> float:
    if len(x) <= lag + 1 or np.std(x) == 0.0:
        return float("nan")
    return float(np.mean((x[lag:] - x.mean()) * (x[:-lag] - x.mean())) / np.var(x))


def _r2(x: Array, y: Array) -> float:
    if len(x) < 3 or np.std(x) == 0.0 or np.std(y) == 0.0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1] ** 2)


def spread_facts(touch: Touch) -> dict[str, float]:
    """How long the spread is one step, and how soon it is again."""
    wide = touch.ask - touch.bid > 1.5 * touch.step
    opened = np.flatnonzero(wide[1:] & ~wide[:-1]) + 1
    closed = np.flatnonzero(~wide[1:] & wide[:-1]) + 1
    closed = closed[closed > opened[0]] if len(opened) else closed[:0]
    n = min(len(opened), len(closed))
    lasted = touch.t[closed[:n]] - touch.t[opened[:n]]
    return {
        "spread_one": float(touch.held[~wide].sum() / touch.held.sum()),
        "reclose_ms": float(np.median(lasted) * 1e3) if n else float("nan"),
    }


def price_facts(touch: Touch) -> dict[str, float]:
    """Volatility over windows, standstill, tails and memory of mid moves."""
    moves = {}
    for window_s in (0.1, 1.0, 10.0):
        t = touch.grid(window_s)
        moves[window_s] = touch.basis_points(t[:-1], t[1:])
    vol = {w: float(np.sqrt(np.mean(m**2) / w)) for w, m in moves.items()}
    one = moves[1.0]
    return {
        "vol_1s": vol[1.0],
        "vol_10s_100ms": vol[10.0] / vol[0.1],
        "vol_1s_100ms": vol[1.0] / vol[0.1],
        "still_1s": float(np.mean(one == 0.0)),
        "kurtosis_1s": float(np.mean(one**4) / np.mean(one**2) ** 2),
        "acf_1s": _acf(one, 1),
        "acf_abs_1s": _acf(np.abs(one), 1),
    }


def moves_of(touch: Touch, join_s: float) -> tuple[Array, Array, Array, Array]:
    """First and last time, net size in basis points and number of mid changes of each move."""
    changed = np.flatnonzero(np.diff(touch.mid)) + 1
    t = touch.t[changed]
    first = np.flatnonzero(np.diff(t, prepend=-np.inf) >= join_s)
    last = np.append(first[1:], len(t)) - 1
    net = (touch.mid[changed[last]] - touch.mid[changed[first] - 1]) * touch.bp / touch.step
    return t[first], t[last], net, (last - first + 1).astype(float)


def move_facts(touch: Touch, takers: Takers, scale: Scale) -> dict[str, float]:
    """How often the mid moves, how far, and with whom."""
    first, last, net, steps = moves_of(touch, scale.join_s)
    traded = np.searchsorted(takers.t, last + 2.0 * CLOCK_S, side="right") - np.searchsorted(
        takers.t, first - 2.0 * CLOCK_S, side="left"
    )
    moved = net != 0.0
    sign = np.sign(net[moved])
    return {
        "moves_per_s": float(moved.sum() / (touch.t[-1] - touch.t[0])),
        "move_rms": float(np.sqrt(np.mean(net[moved] ** 2))),
        "move_steps": float(steps.mean()),
        "moves_traded": float(np.mean(traded > 0)),
        "move_continues": float(np.mean(sign[1:] == sign[:-1])),
    }


def takers_of(recording: Recording) -> Takers:
    """Runs of prints of one aggressor side at one exchange time."""
    t, side = recording.trade_t, recording.trade_side
    qty = recording.trade_qty.astype(float)
    ns = recording.trade_ns
    new = np.flatnonzero((np.diff(ns, prepend=-1) != 0) | (np.diff(side, prepend=0) != 0))
    lots = np.add.reduceat(qty, new)
    prints = np.diff(np.append(new, len(t))).astype(float)
    return Takers(t[new], side[new].astype(float), lots, prints)


def taker_facts(touch: Touch, takers: Takers, scale: Scale) -> dict[str, float]:
    """Rate, clustering, persistence and size of takers, and what they do to the touch."""
    length = touch.t[-1] - touch.t[0]

    def fano(window_s: float) -> float:
        edges = np.arange(touch.t[0], touch.t[-1], window_s)
        counts = np.histogram(takers.t, edges)[0]
        return float(np.var(counts) / np.mean(counts))

    before = touch.before(takers.t)
    earlier, after = touch.before(takers.t - CLOCK_S), touch.at(takers.t + CLOCK_S)
    buys = takers.side > 0
    moved = np.where(
        buys, touch.ask[after] > touch.ask[earlier], touch.bid[after] < touch.bid[earlier]
    )
    queue = np.where(buys, touch.ask_qty[before], touch.bid_qty[before])
    size = np.sort(takers.lots)
    top = size[-max(2, round(0.05 * len(size))) :]
    q50, q95 = np.quantile(size, [0.5, 0.95])
    return {
        "takers_per_s": len(takers.t) / float(length),
        "prints_per_taker": float(takers.prints.mean()),
        "fano_short": fano(scale.fano_s[0]),
        "fano_long": fano(scale.fano_s[1]),
        "sign_acf_1": _acf(takers.side, 1),
        "sign_acf_10": _acf(takers.side, 10),
        "taker_moves_touch": float(np.mean(moved)),
        "taker_eats_queue": float(np.mean(takers.lots >= queue)),
        "size_q95_q50": float(q95 / q50),
        "size_hill": float(1.0 / np.mean(np.log(top[1:] / top[0]))),
    }


def imbalance_facts(touch: Touch, scale: Scale) -> dict[str, float]:
    """What the touch queues know of the next move."""
    t = touch.grid(scale.grid_s)
    t = t[t < touch.t[-1] - 5.0]
    i1 = touch.imbalance[touch.at(t)]
    lag = round(1.0 / scale.grid_s)
    first, _, net, _ = moves_of(touch, scale.join_s)
    first, net = first[net != 0.0], net[net != 0.0]
    following = np.searchsorted(first, t, side="right")
    known = following < len(first)
    up = net[following[known]] > 0.0
    known_i1 = i1[known]
    held = touch.held
    return {
        "i1_extreme": float(held[np.abs(touch.imbalance) > 0.8].sum() / held.sum()),
        "i1_acf_1s": _acf(i1, lag),
        "i1_r2_1s": _r2(i1, touch.basis_points(t, t + 1.0)),
        "i1_r2_5s": _r2(i1, touch.basis_points(t, t + 5.0)),
        "up_given_high": float(np.mean(up[known_i1 > 0.6])),
        "up_given_low": float(np.mean(up[known_i1 < -0.6])),
    }


def flow_facts(touch: Touch, takers: Takers) -> dict[str, float]:
    """Order flow imbalance (Cont, Kukanov, Stoikov 2014, eq. 4), signed volume, response."""
    bid, ask, bid_qty, ask_qty = touch.bid, touch.ask, touch.bid_qty, touch.ask_qty
    e = (
        (bid[1:] >= bid[:-1]) * bid_qty[1:]
        - (bid[1:] <= bid[:-1]) * bid_qty[:-1]
        - (ask[1:] <= ask[:-1]) * ask_qty[1:]
        + (ask[1:] >= ask[:-1]) * ask_qty[:-1]
    )
    edges = touch.grid(1.0)
    flow = np.histogram(touch.t[1:], edges, weights=e)[0]
    volume = np.histogram(takers.t, edges, weights=takers.side * takers.lots)[0]
    moves = touch.basis_points(edges[:-1], edges[1:])
    known = takers.t < touch.t[-1] - 1.0
    t, side = takers.t[known], takers.side[known]
    later = touch.mid[touch.at(t + 1.0)] - touch.mid[touch.before(t)]
    return {
        "ofi_r2_1s": _r2(flow, moves),
        "volume_r2_1s": _r2(volume, moves),
        "response_1s": float(np.mean(side * later) * touch.bp / touch.step),
    }


def fill_decay(recording: Recording, touch: Touch, scale: Scale) -> float:
    """Decay per basis point of the rate at which prints reach a distance from the mid.

    First passage of prints of one side beyond mid and distance, from starts
    ``passage_every_s`` apart, over ``passage_s``; log-linear fit weighted by events, both sides.
    """
    far = 400.0 / touch.bp * touch.step
    distance = np.unique(np.round(np.geomspace(0.5, max(far / touch.step, 2.0), 60) * 2.0) / 2.0)
    starts = touch.grid(scale.passage_every_s)
    starts = starts[starts < touch.t[-1] - scale.passage_s]
    mids = touch.mid[touch.at(starts)]
    slopes = []
    for side in (1, -1):
        chosen = recording.trade_side == side
        t, tick = recording.trade_t[chosen], recording.trade_tick[chosen].astype(float)
        events, exposure = np.zeros(len(distance)), np.zeros(len(distance))
        first = np.searchsorted(t, starts, side="right")
        end = np.searchsorted(t, starts + scale.passage_s, side="right")
        for start, mid, a, b in zip(starts, mids, first, end, strict=True):
            reach = np.maximum.accumulate(side * (tick[a:b] - mid) / touch.step)
            hit = np.searchsorted(reach, distance, side="left")
            reached = hit < b - a
            events += reached
            exposure[~reached] += scale.passage_s
            exposure[reached] += t[a:b][hit[reached]] - start
        fitted = events >= EVENTS_MIN
        if fitted.sum() < 3:
            return float("nan")
        weight = np.sqrt(events[fitted])
        rate = np.log(events[fitted] / exposure[fitted])
        slopes.append(-np.polyfit(distance[fitted], rate, 1, w=weight)[0] / touch.bp)
    return float(np.mean(slopes))


def markout_facts(recording: Recording, touch: Touch, scale: Scale) -> dict[str, float]:
    """Hypothetical quotes at the touch, everything displayed ahead, no credit for cancels.

    Filled when that much traded at the price or a print went through; worth what the mid says
    100 ms and 1 s later against the fill price.
    """
    starts = touch.grid(scale.quote_every_s)
    starts = starts[starts < touch.t[-1] - scale.quote_life_s - 1.0]
    at = touch.at(starts)
    fills: list[tuple[float, float, int]] = []
    for side in (1, -1):
        price = touch.bid[at] if side > 0 else touch.ask[at]
        ahead = touch.bid_qty[at] if side > 0 else touch.ask_qty[at]
        chosen = recording.trade_side == -side
        t = recording.trade_t[chosen]
        tick = recording.trade_tick[chosen].astype(float)
        qty = recording.trade_qty[chosen].astype(float)
        first = np.searchsorted(t, starts, side="right")
        end = np.searchsorted(t, starts + scale.quote_life_s, side="right")
        for p, queue, a, b in zip(price, ahead, first, end, strict=True):
            through = side * (p - tick[a:b])
            filled = (through > 0) | (np.cumsum(qty[a:b] * (through == 0)) > queue)
            k = int(np.argmax(filled)) if b > a else 0
            if b > a and filled[k]:
                fills.append((float(t[a + k]), float(p), side))
    if not fills:
        return dict.fromkeys(("markout_100ms", "markout_1s"), float("nan")) | {"fill_share": 0.0}
    t, price, side_of = (np.array(column, dtype=float) for column in zip(*fills, strict=True))
    worth = {
        name: float(np.mean(side_of * (touch.mid[touch.at(t + after)] - price)))
        for name, after in (("markout_100ms", 0.1), ("markout_1s", 1.0))
    }
    worth = {name: value * touch.bp / touch.step for name, value in worth.items()}
    return worth | {"fill_share": len(fills) / (2.0 * len(starts))}


@dataclass(slots=True)
class _BookCounts:
    """What walking through the depth messages counts."""

    messages: int = 0
    added: int = 0
    cancelled: int = 0
    executed: int = 0


def depth_facts(recording: Recording, touch: Touch) -> dict[str, float]:
    """Levels behind the touch, and what happens to them."""
    r = recording
    counts = _BookCounts()
    mean = np.zeros(BEHIND_MAX + 1)
    occupied = np.zeros(BEHIND_MAX + 1)
    traded = _trades_by_message(r)
    low = int(min(r.bid.min(), r.ask.min())) - r.reach * r.step
    size = (int(max(r.bid.max(), r.ask.max())) + r.reach * r.step - low) // r.step + 1
    books = {1: np.zeros(size, np.int64), -1: np.zeros(size, np.int64)}
    best = {1: -1, -1: size}
    for m in range(len(r.message_t)):
        a, b = r.message_first[m], r.message_first[m + 1]
        where = (r.level_tick[a:b] - low) // r.step
        inside = (where >= 0) & (where < size)
        for side in (1, -1):
            mine = inside & (r.level_side[a:b] == side)
            at, qty = where[mine], r.level_qty[a:b][mine]
            if not len(at):
                continue
            book = books[side]
            if not r.message_snapshot[m]:
                _count(counts, book[at], qty, np.abs(at - best[side]), at, traded[m].get(side))
            else:
                book[:] = 0
            book[at] = qty
            best[side] = _best(book, side, best[side], at, qty)
        counts.messages += 1
        for side in (1, -1):
            line = _behind(books[side], best[side], side)
            mean += line
            occupied += line > 0
    mean /= max(1, 2 * counts.messages)
    occupied /= max(1, 2 * counts.messages)
    weight = np.concatenate([touch.held, touch.held])
    queues = np.concatenate([touch.bid_qty, touch.ask_qty])
    q50, q95 = _weighted_quantiles(queues, weight, [0.5, 0.95])
    sizes = np.diff(r.message_first)[~r.message_snapshot]
    changes = max(1, counts.added + counts.cancelled + counts.executed)
    return {
        "touch_behind": float(q50 / mean[1:6].mean()),
        "occupied_5": float(occupied[1:6].mean()),
        "occupied_20": float(occupied[20]),
        "touch_q95_q50": float(q95 / q50),
        "levels_per_message": float(np.median(sizes)),
        "adds_cancels": counts.added / max(1, counts.cancelled),
        "executions": counts.executed / changes,
    }


def _trades_by_message(r: Recording) -> list[dict[int, set[int]]]:
    # for each message, by side of the book, the prices that traded since the message before it
    low = int(min(r.bid.min(), r.ask.min())) - r.reach * r.step
    found: list[dict[int, set[int]]] = [{} for _ in range(len(r.message_t))]
    message = np.searchsorted(r.message_t, r.trade_t, side="left")
    for m, side, tick in zip(message, r.trade_side, r.trade_tick, strict=True):
        if m < len(found):
            found[m].setdefault(-int(side), set()).add((int(tick) - low) // r.step)
    return found


def _count(
    counts: _BookCounts,
    old: NDArray[np.int64],
    new: NDArray[np.int64],
    distance: NDArray[np.int64],
    at: NDArray[np.int64],
    traded: set[int] | None,
) -> None:
    near = (distance <= NEAR_STEPS) & (old != new)
    counts.added += int(np.sum(near & (new > old)))
    fewer = near & (new < old)
    n = int(np.sum(fewer))
    executed = sum(int(where) in traded for where in at[fewer]) if traded and n else 0
    counts.executed += executed
    counts.cancelled += n - executed


def _best(
    book: NDArray[np.int64],
    side: int,
    best: int,
    at: NDArray[np.int64],
    qty: NDArray[np.int64],
) -> int:
    # place of the best level of a side after a message that wrote `qty` at `at`
    resting = at[qty > 0]
    if len(resting):
        best = max(best, int(resting.max())) if side > 0 else min(best, int(resting.min()))
    if 0 <= best < len(book) and book[best]:
        return best
    left = np.flatnonzero(book[: max(best, 0)] if side > 0 else book[best:])
    if not len(left):
        return -1 if side > 0 else len(book)
    return int(left[-1]) if side > 0 else best + int(left[0])


def _behind(book: NDArray[np.int64], best: int, side: int) -> NDArray[np.int64]:
    # lots at the best and behind it, BEHIND_MAX + 1 of them
    line = book[max(0, best - BEHIND_MAX) : best + 1][::-1] if side > 0 else book[best:]
    line = line[: BEHIND_MAX + 1]
    return np.pad(line, (0, BEHIND_MAX + 1 - len(line)))


def measure(recording: Recording, scale: Scale) -> dict[str, float]:
    """Every fact of a recording by name; nan where it holds too little to say."""
    touch = Touch(recording)
    takers = takers_of(recording)
    facts = spread_facts(touch) | price_facts(touch)
    facts |= move_facts(touch, takers, scale) | taker_facts(touch, takers, scale)
    facts |= depth_facts(recording, touch) | imbalance_facts(touch, scale)
    facts |= flow_facts(touch, takers)
    facts["fill_decay"] = fill_decay(recording, touch, scale)
    return facts | markout_facts(recording, touch, scale)
