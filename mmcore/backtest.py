"""The command `backtest`: configurations on recorded or synthetic data, as fast as possible.

The engine, the simulated venue and the run directory are those of `run`; only the pace differs.
Several configurations, and the queue models of the fill band, share one pass over the data.  Exit
codes are those of `run`, of the worst configuration.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from msgspec.structs import replace

from . import logs
from .band import Outcome, band_facts, band_lines, banded, model_of, outcome
from .calibrate import Calibration, calibrate
from .errors import ConfigError, ExitCode, UsageError
from .forward import desk_of
from .journal import Journal, RunDirectory
from .lanes import LANES_MAX, Lane, PassDesk
from .progress import (
    Fill,
    Lines,
    Snapshot,
    Summary,
    TraderView,
    finite,
    outcome_lines,
    plural,
    summary_facts,
    summary_lines,
    trader_facts,
)
from .retrace import Recorded
from .run import Ending, Run
from .schema import Config
from .session import Output, conclude, keep, open_journal, report_step, summarise


class Choices:
    """How a backtest was asked for, beside its configurations.

    seconds: market time, None: as configured.  band: the queue models of the fill band too; None:
    with one configuration.  json: one object on standard output.  log_level: see `mmcore.logs`.
    require_fills: a run without fills ends with exit code 3.  report: where the page is written;
    several configurations have one each, the second at ``…-2.html``.  calibrate: run directories
    whose own fills say which queue model joins the band.  forward: at the pace, and on the market,
    that the configurations say, a venue's public data too.
    """

    def __init__(
        self,
        *,
        seconds: float | None = None,
        band: bool | None = None,
        json: bool = False,
        log_level: str | None = None,
        require_fills: bool = False,
        report: str | None = None,
        calibrate: Sequence[str] = (),
        forward: bool = False,
    ) -> None:
        self.seconds = seconds
        self.band = band
        self.json = json
        self.level = logs.level_named(log_level)
        self.require_fills = require_fills
        self.report = report
        self.calibrate = tuple(calibrate)
        self.forward = forward
        self.title = "forward" if forward else "backtest"


def backtest(configs: Sequence[Config], choices: Choices) -> int:
    """Trade every configuration to the end of its market, in one pass; the exit code.

    Raises MmcoreError for whatever keeps it from starting.
    """
    plain = list(configs) if choices.forward else [_plain(config) for config in configs]
    found = None
    if choices.calibrate:
        found = calibrate([Recorded.open(path) for path in choices.calibrate])
    also = None if found is None else found.model
    banding = (len(plain) == 1 or found is not None) if choices.band is None else choices.band
    groups = [[config, *(banded(config, also) if banding else ())] for config in plain]
    if sum(map(len, groups)) > LANES_MAX:
        raise UsageError(
            f"{sum(map(len, groups))} configurations and queue models in one pass",
            where="python -m mmcore backtest",
            done="nothing was started",
            todo=f"give at most {LANES_MAX}, or --no-band",
        )
    if choices.report is not None:
        from .page import require_extra

        require_extra()
    if not choices.json:
        names = ", ".join(config.path for config in plain)
        network = "public data of a venue" if plain[0].needs_venue else "no network"
        print(f"mmcore {choices.title}: {names}; simulated orders, {network}", flush=True)
    return asyncio.run(_session(groups, choices, found))


def _plain(config: Config) -> Config:
    """The configuration as a backtest takes it: as fast as possible, never at a venue."""
    if config.needs_venue:
        raise ConfigError(
            'mode = "live", or public data of a venue, cannot be backtested',
            where=config.path,
            done="nothing was started",
            todo='name recorded files: source = "tape" and files = [...] under [market]',
        )
    return replace(config, market=replace(config.market, speed=0.0))


async def _session(
    groups: Sequence[Sequence[Config]], choices: Choices, found: Calibration | None
) -> int:
    flat = [config for group in groups for config in group]
    config = flat[0]
    seconds = config.run.seconds if choices.seconds is None else choices.seconds
    async with desk_of(flat, choices.title, seconds) as desk:
        books = _Books(desk, groups, choices.title, choices.report)
        handler = logs.open_log(choices.level, None)
        output = Output()
        quiet = choices.json or choices.level > logging.INFO
        display = _Display(output, quiet=quiet, silent=choices.json)
        try:
            debug = choices.level <= logging.DEBUG
            run = Run(desk, display, books.first, speed=config.market.speed, debug=debug)
            output.gone = run.end
            ending = await run.until_end()
            results = books.conclude(run, ending, choices.require_fills)
            if choices.json:
                facts = _facts(results, desk, display.notices)
                facts["calibration"] = None if found is None else found.facts()
                output.write(json.dumps(facts, allow_nan=False))
            else:
                display.tell(results, desk)
                for line in found.lines() if found is not None else ():
                    output.write(line)
        finally:
            books.close()
            logs.close_log(handler)
    if choices.report is not None:
        _write_pages(results, choices)
    return max((result.summary.exit_code for result in results), key=_badness)


def _write_pages(results: Sequence[Result], choices: Choices) -> None:
    from .page import write_pages  # what draws is loaded where it is wanted only

    pages = write_pages([each.summary.directory for each in results], Path(choices.report or ""))
    if not choices.json:
        print("\n".join(f"report       {page}" for page in pages), flush=True)


def _badness(code: int) -> int:
    order = (ExitCode.OK, ExitCode.DATA, ExitCode.INTERRUPTED, ExitCode.SAFETY)
    return order.index(ExitCode(code)) if code in order else len(order)


class Result:
    """One configuration's outcome: its summary, and its band by trader where there is one."""

    def __init__(self, config: Config, summary: Summary, band: list[list[Outcome]]) -> None:
        self.config = config
        self.summary = summary
        self.band = band

    @property
    def views(self) -> tuple[TraderView, ...]:
        """The traders at the end."""
        return self.summary.snapshot.traders


class _Books:
    """The run directories of a pass: one for every configuration, none for models of a band."""

    def __init__(
        self, desk: PassDesk, groups: Sequence[Sequence[Config]], title: str, page: str | None
    ) -> None:
        self._desk = desk
        self._title = title
        self._page = page
        self._groups = groups
        starts = [sum(map(len, groups[:i])) - 1 for i in range(len(groups))]
        self._lanes: list[Lane | None] = [None, *(desk.lanes[i] for i in starts[1:])]
        self._bands = [
            desk.lanes[start + 1 : start + len(group)]
            for start, group in zip(starts, groups, strict=True)
        ]
        self._logged = any(config.run.event_log for config, *_ in groups)
        self._directories: list[RunDirectory] = []
        self._journals: list[Journal] = []
        try:
            for (config, *_), lane in zip(groups, self._lanes, strict=True):
                self._open(config, lane)
        except BaseException:
            self.close()
            raise
        self.first = self._journals[0]

    def _open(self, config: Config, lane: Lane | None) -> None:
        directory = RunDirectory.create(Path(config.run.directory), self._title)
        if self._logged:  # the first one keeps the log for all that ask for one
            config = replace(config, run=replace(config.run, event_log=True))
        journal = open_journal(config, lane or self._desk, directory, event_log=lane is None)
        journal.describe({"command": self._title})
        self._directories.append(directory)
        self._journals.append(journal)
        if lane is not None:
            lane.records = journal.append

    def close(self) -> None:
        """Close what is open."""
        for journal in self._journals:
            journal.close()

    def conclude(self, run: Run, ending: Ending, require_fills: bool) -> list[Result]:
        """Write every journal's end; what came out, configuration by configuration."""
        results = []
        for i, journal in enumerate(self._journals):
            journal.describe({"stopped_ns": self._desk.stopped_ns, "stopped_row": -1})
            lane = self._lanes[i]
            shot = run.snapshot() if lane is None else _shot(lane, run.snapshot())
            band = self._band(i, shot)
            for trader, outcomes in enumerate(band):
                facts = band_facts(outcomes, shot.traders[trader].currency)
                journal.summarise(trader, {"band": json.dumps(facts)})
            summary = self._summary(i, run, ending, shot, require_fills)
            results.append(Result(self._groups[i][0], summary, band))
        return results

    def _summary(
        self, i: int, run: Run, ending: Ending, shot: Snapshot, require_fills: bool
    ) -> Summary:
        journal, directory, lane = self._journals[i], self._directories[i], self._lanes[i]
        config = self._groups[i][0]
        step = report_step(directory.path, config, self._page)
        if not step and config.run.event_log:
            step = f"python -m mmcore replay {quote(str(directory.path))}"
        step = step or f"python -m mmcore check {quote(config.path)} says in words what it means"
        if self._title == "forward" and len(self._directories) > 1:
            two = " ".join(quote(str(each.path)) for each in self._directories[:2])
            step = f"python -m mmcore compare {two}"
        if lane is None:
            conclude(run, journal, ending, require_fills)
            return summarise(run, journal, ending, directory.path, step)
        verdict = lane.verdict()
        own = Ending(ending.exit_code, ending.cause)
        if ending.exit_code in (ExitCode.OK, ExitCode.SAFETY):
            over = "the market is over" if ending.exit_code else ending.cause
            cause = verdict.text if verdict.exit_code else over
            own = Ending(verdict.exit_code, cause, "" if verdict.exit_code else verdict.text)
        if (
            require_fills
            and own.exit_code == ExitCode.OK
            and not any(view.n_fills for view in shot.traders)
        ):
            own.exit_code = ExitCode.DATA
        keep(journal, shot, own, cancelled=lane.cancelled, remaining=lane.n_open)
        journal.close()
        if self._groups[i][0].run.event_log:
            self._share_log(directory)
        return Summary(
            snapshot=shot,
            exit_code=own.exit_code,
            cause=own.cause,
            cancelled=lane.cancelled,
            remaining=lane.n_open,
            journal_hash=journal.hash,
            directory=str(directory.path),
            next=step,
            warning=own.warning,
        )

    def _share_log(self, directory: RunDirectory) -> None:
        """Give a directory the market that the first one has."""
        log = self._directories[0].events
        if not log.exists():
            return
        try:
            os.link(log, directory.events)
        except OSError:  # a file system without hard links, or another one
            shutil.copyfile(log, directory.events)

    def _band(self, i: int, shot: Snapshot) -> list[list[Outcome]]:
        lanes = self._bands[i]
        if not lanes:
            return []
        shots = [_shot(lane, shot) for lane in lanes]
        models = [model_of(config) for config in self._groups[i]]
        return [
            [
                outcome(model, each.traders[trader])
                for model, each in zip(models, (shot, *shots), strict=True)
            ]
            for trader in range(len(shot.traders))
        ]


def _shot(lane: Lane, of: Snapshot) -> Snapshot:
    return lane.snapshot(of.wall_s, of.events_per_s, of.left_s)


# -- what is said ----------------------------------------------------------------------------


class _Display(Lines):
    """The lines of a run; its end is told once all directories are written."""

    def __init__(self, output: Output, *, quiet: bool, silent: bool) -> None:
        self._output = output
        self._silent = silent
        self.notices: list[str] = []
        super().__init__(self._write_line, quiet=quiet)

    def _write_line(self, line: str) -> None:
        if self._silent:
            self.notices.append(line)
        else:
            self._output.write(line)

    def fills(self, fills: Sequence[Fill]) -> None:
        """Fills only count: a backtest has too many to be read."""

    def close(self, summary: Summary | None) -> None:
        """The end is told by `tell`."""

    def tell(self, results: Sequence[Result], desk: PassDesk) -> None:
        """The end of the pass for people."""
        first = results[0]
        lines = summary_lines(first.summary)
        at = next(i for i, line in enumerate(lines) if line.startswith("journal"))
        middle = _bands(first)
        lanes = plural(1 + len(desk.lanes), "configuration")
        middle.append(f"engine       {desk.engine_s:.3f}s for {lanes} in one pass")
        for line in [*lines[:at], *middle, *lines[at:]]:
            self._output.write(line)
        for result in results[1:]:
            for line in _other(result):
                self._output.write(line)


def _bands(result: Result) -> list[str]:
    several = len(result.views) > 1
    return [
        line
        for view, outcomes in zip(result.views, result.band, strict=False)
        for line in band_lines(outcomes, view.currency, view.name if several else "")
    ]


def _other(result: Result) -> list[str]:
    lines = [f"{result.config.path}: {result.summary.cause}"]
    lines += outcome_lines(result.views)
    lines += _bands(result)
    lines += [f"journal      {result.summary.journal_hash[:32]}"]
    return [*lines, f"saved        {result.summary.directory}"]


def _facts(results: Sequence[Result], desk: PassDesk, notices: Sequence[str]) -> dict[str, object]:
    """The end of the pass for machines."""
    runs = []
    for result in results:
        bands = [
            band_facts(outcomes, view.currency)
            for view, outcomes in zip(result.views, result.band, strict=False)
        ]
        runs.append(
            {
                "config": result.config.path,
                "directory": result.summary.directory,
                "journal_hash": result.summary.journal_hash,
                "exit_code": int(result.summary.exit_code),
                "cause": result.summary.cause,
                "traders": [finite(dict(trader_facts(view))) for view in result.views],
                "band": bands,
            }
        )
    code = max((result.summary.exit_code for result in results), key=_badness)
    return {
        **finite(summary_facts(results[0].summary)),
        "type": desk.title,
        "ok": code == ExitCode.OK,
        "exit_code": int(code),
        "engine_s": desk.engine_s,
        "lanes": 1 + len(desk.lanes),
        "notices": list(notices),
        "runs": runs,
    }


__all__ = ["Choices", "backtest"]
