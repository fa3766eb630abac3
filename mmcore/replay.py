"""The command `replay`: a run directory's decisions made again, its fills beside simulated ones.

First the engine: the same records, bit for bit, or the first that differs.  Then, for a run that
traded at a venue, the simulation: its own requests sent to the simulated venue, and the difference
between realised and simulated fills told by its cause.

* latency: it goes away where requests travel as long as they did in the run.
* queue: the market did trade at the order's price, the model thought us further ahead or behind.
* refused: the venue never let the order rest, or expired it; the simulated one did.
* missed: nothing in the recorded market would have filled the order.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from . import __version__
from .band import model_of
from .errors import ExitCode
from .events import BID, Kind
from .instrument import Instrument
from .paper import PaperDesk
from .progress import money, plural, total_net, trader_facts
from .retrace import LogSource, Recorded, Retraced, retrace, simulate
from .shadow import GRACE_NS, Fills, Rows, Shadow
from .tape import market_rows
from .views import names_of, record_line
from .words import duration

LACKING_S = 10.0  # from here on an event log that ends before the journal is told


@dataclass(frozen=True, slots=True)
class Explained:
    """Realised beside simulated fills of one instrument; quantities in units.

    both: filled in both.  realised_only, simulated_only: by cause.  orders: how many differ.
    late_ns: median of how much later the simulated fill came, of orders filled in both.  round_ns:
    median time until a request was answered; configured_ns: what the configuration says.
    """

    n_orders: int
    realised: int
    simulated: int
    both: int
    realised_only: dict[str, int]
    simulated_only: dict[str, int]
    orders: int
    late_ns: int
    round_ns: int
    configured_ns: int


def explain(shadow: Shadow, recorded: Recorded) -> Explained:
    """Send a run's requests to the simulated venue and account for every difference in fills."""
    orders, model = shadow.orders, model_of(recorded.config)
    n = len(orders)
    said, measured = shadow.configured(), shadow.measured()
    fills = shadow.send(model, said)
    simulated, there = fills.by_order(n), shadow.send(model, measured).by_order(n)
    real = orders.filled
    more, less = np.maximum(real - simulated, 0), np.maximum(simulated - real, 0)
    by_latency = np.minimum(np.maximum(there - simulated, 0), more)
    too_soon = np.minimum(np.maximum(simulated - there, 0), less)
    traded = _traded(shadow)
    refused = orders.refused
    realised_only = {
        "latency": int(by_latency.sum()),
        "queue": int((more - by_latency)[traded].sum()),
        "missed": int((more - by_latency)[~traded].sum()),
    }
    simulated_only = {
        "latency": int(too_soon[~refused].sum()),
        "queue": int((less - too_soon)[~refused].sum()),
        "refused": int(less[refused].sum()),
    }
    entry, response = measured
    return Explained(
        n_orders=n,
        realised=int(real.sum()),
        simulated=int(simulated.sum()),
        both=int(np.minimum(real, simulated).sum()),
        realised_only=realised_only,
        simulated_only=simulated_only,
        orders=int((real != simulated).sum()),
        late_ns=_late_ns(shadow, fills),
        round_ns=int(np.median(entry)) + response if len(entry) else 0,
        configured_ns=int(np.median(said[0])) + said[1] if len(said[0]) else 0,
    )


def _traded(shadow: Shadow) -> NDArray[np.bool_]:
    """Of every order, whether the recorded market traded at its price, or beyond, in its life.

    Its end may be known a little before the print is.
    """
    orders = shadow.orders
    trades = shadow.market[shadow.heads]
    trades = trades[trades["kind"] == Kind.TRADE]
    first = np.searchsorted(trades["ts_venue_ns"], orders.placed_ns)
    last = np.searchsorted(trades["ts_venue_ns"], orders.ended_ns + GRACE_NS, side="right")
    found = np.zeros(len(orders), np.bool_)
    for i, (start, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        side, tick = int(orders.side[i]), int(orders.tick[i])
        against = trades["tick"][start:end][trades["side"][start:end] == -side]
        found[i] = bool((against <= tick).any() if side == BID else (against >= tick).any())
    return found


def _late_ns(shadow: Shadow, fills: Fills) -> int:
    """Median of simulated less realised time of the first fill, of orders filled in both."""
    orders = shadow.orders
    real, at_real = np.unique(orders.fills.order, return_index=True)
    made, at_made = np.unique(fills.order, return_index=True)
    _, a, b = np.intersect1d(real, made, return_indices=True)
    if not len(a):
        return 0
    return int(np.median(fills.ts_ns[at_made[b]] - orders.fills.ts_ns[at_real[a]]))


# -- the command -----------------------------------------------------------------------------


def replay(path: Path | str, *, as_json: bool = False) -> int:
    """Make a run's decisions again and explain its fills; the exit code, 3 where they differ.

    Raises DataError for what is no run directory, or one without an event log.
    """
    recorded = Recorded.open(path)
    again = retrace(recorded)
    facts = _facts(recorded, again)
    if recorded.live:
        facts["instruments"] = [
            _compare(recorded, i) for i in range(len(recorded.tape.instruments))
        ]
        facts["resimulated"], net = _resimulated(recorded)
        facts["resimulated_net"] = net
    if as_json:
        print(json.dumps(facts, allow_nan=False))
    else:
        for line in _lines(recorded, again, facts):
            print(line)
    return ExitCode.OK if again.same else ExitCode.DATA


def _facts(recorded: Recorded, again: Retraced) -> dict[str, object]:
    return {
        "type": "replay",
        "ok": again.same,
        "exit_code": int(ExitCode.OK if again.same else ExitCode.DATA),
        "directory": str(recorded.path),
        "mode": recorded.config.mode,
        "ended": recorded.ended,
        "records": recorded.n_records,
        "reproduced": recorded.n_records if again.same else again.first,
        "journal_hash": recorded.hash,
        "replayed_hash": again.hash,
        "first_difference": None if again.same else _difference(recorded, again),
    }


def _difference(recorded: Recorded, again: Retraced) -> str:
    """The first record that differs, as it was and as it is made again."""
    instruments = recorded.tape.instruments
    names = names_of(instruments)

    def told(rows: Rows) -> str:
        if again.first >= len(rows):
            return "nothing"
        row = rows[again.first]
        return record_line(row, instruments[row["instrument"]], names[row["instrument"]])

    said = "" if len(recorded.records) else " (the journal kept no records)"
    return f"record {again.first}{said}: {told(recorded.records)}; now {told(again.records)}"


def _compare(recorded: Recorded, number: int) -> dict[str, object]:
    shadow = Shadow(recorded, number)
    item = recorded.tape.instruments[number]
    said = explain(shadow, recorded)

    def quantities(units: dict[str, int]) -> dict[str, float]:
        return {cause: item.quantity(value) for cause, value in units.items()}

    return {
        "instrument": str(item),
        "orders": said.n_orders,
        "orders_that_differ": said.orders,
        "realised": item.quantity(said.realised),
        "simulated": item.quantity(said.simulated),
        "both": item.quantity(said.both),
        "realised_only": quantities(said.realised_only),
        "simulated_only": quantities(said.simulated_only),
        "simulated_later_ms": said.late_ns / 1e6,
        "round_trip_ms": said.round_ns / 1e6,
        "configured_round_trip_ms": said.configured_ns / 1e6,
    }


def _resimulated(recorded: Recorded) -> tuple[list[dict[str, object]], str]:
    """The run on paper, on the market that it saw, as a backtest would have it."""
    rows = recorded.tape.rows
    until = 0
    if recorded.stopped is not None and recorded.stopped < len(rows):
        until = int(rows["ts_local_ns"][recorded.stopped])
    config = replace(recorded.config, mode="paper")
    source = LogSource(recorded.tape, market_rows(rows), until)
    with closing(PaperDesk(config, "replay", 0.0, source)) as desk:
        simulate(desk, until)
        views = desk.snapshot(0.0, 0.0, 0.0).traders
    return [dict(trader_facts(view)) for view in views], total_net(views)


def _lines(recorded: Recorded, again: Retraced, facts: dict[str, Any]) -> list[str]:
    lines = [f"run          {recorded.path} ({recorded.config.mode})"]
    if again.same:
        count = plural(recorded.n_records, "record")
        whole = "" if recorded.ended else " that the journal kept: the run was killed"
        lines.append(f"decisions    {count}{whole}, made again bit for bit")
    else:
        lines.append(f"decisions    DIFFER at {facts['first_difference']}")
        made = recorded.facts.get("mmcore")
        if made != __version__:
            lines.append(f"             the run was made by mmcore {made}, this is {__version__}")
        lacking_s = _last_s(recorded.records) - _last_s(again.records)
        if lacking_s > LACKING_S:
            short = f"the event log ends {duration(lacking_s)} before the journal does"
            lines.append(f"             {short}: it was cut, or could not be written")
    lines.append(f"journal      {recorded.hash[:32]}, now {again.hash[:32]}")
    if not recorded.live:
        return [*lines, "fills        simulated then and now: the same"] if again.same else lines
    for number, item in enumerate(recorded.tape.instruments):
        lines += _told(item, facts["instruments"][number])
    net = _realised_net(recorded)
    return [*lines, f"net          realised {net}, on paper {facts['resimulated_net']}"]


def _last_s(records: Rows) -> float:
    return float(records["ts_ns"][-1]) / 1e9 if len(records) else 0.0


def _realised_net(recorded: Recorded) -> str:
    sums: Counter[str] = Counter()
    for trader, facts in recorded.summary.items():
        if trader >= 0:
            sums[str(facts["currency"])] += round(float(facts["pnl_net"] or 0) * 1e8)
    return ", ".join(f"{money(net, name)} {name}" for name, net in sums.items()) or "not known"


def _told(item: Instrument, said: dict[str, Any]) -> list[str]:
    def causes(parts: dict[str, float]) -> str:
        told = [f"{value:g} by {cause}" for cause, value in parts.items() if value]
        return ", ".join(told) or "none"

    return [
        (
            f"{item.symbol:<12} {said['orders']} orders, filled {said['realised']:g} {item.base}, "
            f"simulated {said['simulated']:g}, in both {said['both']:g}"
        ),
        f"  only in the run     {causes(said['realised_only'])}",
        f"  only simulated      {causes(said['simulated_only'])}",
        (
            f"  round trip          {said['round_trip_ms']:.1f}ms, configured "
            f"{said['configured_round_trip_ms']:.1f}ms; simulated fills "
            f"{abs(said['simulated_later_ms']):.1f}ms "
            f"{'earlier' if said['simulated_later_ms'] < 0 else 'later'}"
        ),
    ]


__all__ = ["Explained", "explain", "replay"]
