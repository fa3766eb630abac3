"""What hung on the latency and on the queue model: a run traded again on the market that it saw.

Half, once and twice the latency of its orders, under every queue model of the fill band, in one
pass over the event log: the same configuration, the same rows, another simulated venue.  The feed
stays as it was received.  A run that was simulated comes out as it did in its own place among
these, to the last fill, or that is told.  Of a live run all are simulations, at the latency that
the run itself measured; what it really made stands beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from msgspec.structs import replace as changed
from numpy.typing import NDArray

from .attribution import attribute
from .band import BAND, Model, model_of, with_model
from .errors import ExitCode, MmcoreError
from .events import RECORD
from .lanes import PassDesk
from .markouts import Curve, curves
from .report import Measured, Report, clean, curve_facts
from .retrace import LogSource, Recorded
from .run import SETTLES_MAX
from .schema import Config
from .tape import market_rows
from .traded import Trading, market_in, simulated_ns, trading_of

LATENCIES = (0.5, 1.0, 2.0)
WORK_EASY = 12_000_000  # event rows times configurations: 0.3 to 2 s, by what the strategy does
WORK_MAX = 100_000_000
CHUNK = 1 << 20  # messages between two looks at the verdict


@dataclass(frozen=True, slots=True)
class Case:
    """One of the simulated venues: its queue model, and how many times the run's latency."""

    model: Model
    latency: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is traded again.  own: the case of the run itself; config: with its latency."""

    config: Config
    own: Case
    cases: tuple[Case, ...]


def exposed(report: Report, *, thorough: bool | None = None) -> Report:
    """The report with what its run would have made elsewhere, by trader.

    thorough: every queue model at every latency, however long that takes; False: none; None: all
    where that takes a second or two, of a long run the run's own model at other latencies and every
    model at its own, of a very long one none.
    """
    if thorough is False:
        return _with(report, _skipped("it was not asked for"), {})
    try:
        recorded = Recorded.open(report.run.directory)
        plan = plan_of(recorded, report, thorough=bool(thorough))
        if not plan.cases:
            return _with(report, _skipped("the run is long; --exposure trades it again"), {})
        again = _trade(recorded, plan, report)
    except MmcoreError as error:
        return _with(report, _skipped(str(error)), {})
    facts = _facts(recorded, plan, report, again)
    return _with(report, facts, {name: _told(plan, mine) for name, mine in again.items()})


def _skipped(why: str) -> dict[str, Any]:
    return {"skipped": why, "same": None}


def _with(report: Report, facts: dict[str, Any], by_trader: dict[int, Any]) -> Report:
    """A report that says these things too."""
    instruments = [
        {**each, "exposure": clean(by_trader.get(measured.trading.trader))}
        for each, measured in zip(report.facts["instruments"], report.measured, strict=True)
    ]
    return replace(
        report, facts={**report.facts, "exposure": clean(facts), "instruments": instruments}
    )


# -- what is traded again --------------------------------------------------------------------


def plan_of(recorded: Recorded, report: Report, *, thorough: bool) -> Plan:
    """Which cases a run is traded again in."""
    config = changed(recorded.config, market=changed(recorded.config.market, speed=0.0))
    if recorded.live:
        config = _measured(config, report.measured)
    own = Case(model_of(config), 1.0)
    models = tuple(dict.fromkeys([own.model, *_models(report), *BAND]))
    said = config.simulation
    lag_ms = said.entry_latency_ms + said.response_latency_ms + said.cancel_extra_ms
    factors = LATENCIES if lag_ms + said.jitter_ms else (own.latency,)  # half of nothing is nothing
    every = tuple(Case(model, factor) for factor in factors for model in models)
    line = tuple(case for case in every if case.model == own.model or case.latency == own.latency)
    rows = len(recorded.tape)
    if thorough or rows * len(every) <= WORK_EASY:
        cases = every
    else:
        cases = line if rows * len(line) <= WORK_MAX else ()
    return Plan(config, own, cases)


def _models(report: Report) -> list[Model]:
    """The queue models that the run itself was traded under, calibrated ones among them."""
    said = next((each["band"] for each in report.facts["instruments"] if each["band"]), None)
    models = said["models"] if said else []
    return [Model(each["queue_model"], each["queue_exponent"]) for each in models]


def _measured(config: Config, parts: Sequence[Measured]) -> Config:
    """A live run's configuration on paper: both ways take half of what an answer took, median."""
    took = [
        (orders["acked_ns"] - orders["placed_ns"])[orders["acked_ns"] >= 0]
        for orders in (each.trading.orders for each in parts)
    ]
    waited = np.concatenate(took)
    model = config.simulation
    if len(waited):
        half_ms = float(np.median(waited)) / 2e6
        model = changed(
            model,
            entry_latency_ms=half_ms,
            response_latency_ms=half_ms,
            jitter_ms=0.0,
            cancel_extra_ms=0.0,
        )
    return changed(config, mode="paper", simulation=model)


def config_of(plan: Plan, case: Case) -> Config:
    """The configuration of one case."""
    model = plan.config.simulation
    names = ("entry_latency_ms", "response_latency_ms", "cancel_extra_ms", "jitter_ms")
    latencies = {name: getattr(model, name) * case.latency for name in names}
    slower = changed(plan.config, simulation=changed(model, **latencies))
    return slower if case.model == plan.own.model else with_model(slower, case.model)


# -- trading it ------------------------------------------------------------------------------


def _trade(recorded: Recorded, plan: Plan, report: Report) -> dict[int, list[tuple[Case, Trading]]]:
    """What every case did, by trader."""
    configs = [config_of(plan, case) for case in plan.cases]
    kept = _pass(recorded, configs)
    found: dict[int, list[tuple[Case, Trading]]] = {}
    for measured in report.measured:
        mine = measured.trading
        market = mine.book, mine.path, mine.prints
        if recorded.live:  # simulated fills are on the clock on which the rows were received
            index = recorded.tape.instruments.index(mine.item)
            market = market_in(recorded.tape, index, mine.item, live=False)
        found[mine.trader] = made = []
        for case, config, records in zip(plan.cases, configs, kept, strict=True):
            own = records[records["trader"] == mine.trader]
            venue_ns = simulated_ns(own, config)
            trading = trading_of(mine.trader, own, mine.item, market, config, venue_ns, {})
            made.append((case, trading))
    return found


def _pass(recorded: Recorded, configs: Sequence[Config]) -> list[NDArray[np.void]]:
    """The records of every configuration on the market of a run, until where that was stopped."""
    rows, until_ns = recorded.tape.rows, recorded.stopped
    if recorded.live:
        if until_ns is not None:  # a row
            until_ns = int(rows["ts_local_ns"][until_ns]) if until_ns < len(rows) else 0
        rows = market_rows(rows)
    source = LogSource(recorded.tape, rows, until_ns or 0)
    kept: list[list[NDArray[np.void]]] = [[np.zeros(0, RECORD)] for _ in configs]
    with closing(PassDesk(configs, "report", 0.0, source)) as desk:
        for lane, mine in zip(desk.lanes, kept[1:], strict=True):
            lane.records = partial(_keep, mine)
        desk.advance(0, 0)
        desk.end_ns = until_ns or 0
        while not desk.over and desk.verdict().exit_code != ExitCode.SAFETY:
            desk.advance(CHUNK, 0)
            _keep(kept[0], desk.drain())
        if until_ns is not None:
            desk.stop()
            for _ in range(SETTLES_MAX):
                settled = desk.settle()
                _keep(kept[0], desk.drain())
                if settled:
                    break
    return [np.concatenate(parts) for parts in kept]


def _keep(kept: list[NDArray[np.void]], records: NDArray[np.void]) -> None:
    kept.append(records.copy())


# -- what is told ----------------------------------------------------------------------------


def _facts(
    recorded: Recorded,
    plan: Plan,
    report: Report,
    again: dict[int, list[tuple[Case, Trading]]],
) -> dict[str, Any]:
    model = plan.config.simulation
    place = plan.cases.index(plan.own)
    same = None
    if recorded.ended and not recorded.live:
        same = all(
            np.array_equal(each.trading.fills, again[each.trading.trader][place][1].fills)
            for each in report.measured
        )
    return {
        "skipped": None,
        "same": same,
        "measured": recorded.live,
        "entry_ms": model.entry_latency_ms,
        "response_ms": model.response_latency_ms,
        "latencies": sorted({case.latency for case in plan.cases}),
        "models": list(dict.fromkeys(str(case.model) for case in plan.cases)),
        "own": str(plan.own.model),
    }


def _told(plan: Plan, made: Sequence[tuple[Case, Trading]]) -> dict[str, Any]:
    """Of one trader: every case in figures, and the markouts of every queue model."""
    found = [_case_facts(case, trading) for case, trading in made]
    at_own = [
        (case, trading)
        for case, trading in made
        if case.latency == plan.own.latency and len(trading.fills)
    ]
    markouts = [
        curve_facts(_named(_whole(trading), str(case.model)), trading.scale.tick)
        for case, trading in at_own
    ]
    return {"cases": found, "markouts": markouts, "bands": _bands(found)}


def _whole(trading: Trading) -> Curve:
    return curves(trading.fills, trading.path, by=())[0]


def _named(curve: Curve, model: str) -> Curve:
    return replace(curve, by="queue", name=model)


def _case_facts(case: Case, trading: Trading) -> dict[str, Any]:
    terms = attribute(trading.fills, trading.path, trading.scale, trading.account)
    held = trading.account.start_qty + int(trading.account.qty.sum())
    return {
        "latency": case.latency,
        "model": str(case.model),
        "queue_model": case.model.queue,
        "queue_exponent": case.model.exponent,
        "fills": len(trading.fills),
        "turnover": trading.turnover,
        "net": terms.net,
        "gross": terms.gross,
        "spread_capture": terms.spread_capture,
        "adverse_selection": terms.adverse_selection,
        "fees": terms.fees - terms.rebates,
        "position": held * trading.scale.unit,
    }


def _bands(cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The least and the most net of the queue models, latency by latency."""
    bands = []
    for latency in sorted({case["latency"] for case in cases}):
        nets = [case["net"] for case in cases if case["latency"] == latency]
        bands.append({"latency": latency, "low": min(nets), "high": max(nets), "models": len(nets)})
    return bands


__all__ = ["LATENCIES", "Case", "Plan", "config_of", "exposed", "plan_of"]
