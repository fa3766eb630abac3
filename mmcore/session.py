"""The commands `run` and `demo`: from a configuration to a run, its directory and its summary.

``seconds`` is market time.  Exit codes: 0 the market, or the time asked for, is over; 2 it could
not start as configured; 3 no data, or a book that was not in order at the end; 5 a limit or the
disk stopped it; 130 Ctrl-C or SIGTERM.
"""

import logging
import os
import platform
import sys
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from . import __version__
from .errors import ExitCode

if TYPE_CHECKING:  # numpy, sqlite and rich cost 0.2 s: the first line is on the screen before them
    from .journal import Journal, RunDirectory
    from .paper import PaperDesk
    from .progress import Display, Snapshot, Summary
    from .run import Ending, Run
    from .schema import Config


def run_config(
    config: "Config",
    *,
    seconds: float | None = None,
    json: bool = False,
    log_level: str | None = None,
    require_fills: bool = False,
    title: str = "run",
    next_step: str = "",
) -> int:
    """Run ``config`` to its end; the exit code.

    seconds: market time, instead of the configuration's; 0 = no end.  json: one object a line on
    standard output.  log_level: see `mmcore.logs`.  require_fills: a run without fills ends with
    exit code 3.  title: names the run directory.  next_step: for the last lines; the default fits
    `run`.  Raises MmcoreError for whatever keeps the run from starting.
    """
    if not json:
        print(f"mmcore {title}: {_opening(config)}", flush=True)
    return _run(config, seconds, json, log_level, require_fills, title, next_step)


def run_demo(*, json: bool = False, log_level: str | None = None) -> int:
    """The packaged demonstration: no network, no keys, ends by itself; the exit code."""
    from importlib.resources import files

    from .config import loads

    text = files("mmcore").joinpath("demo.toml").read_text("utf-8")
    return run_config(
        loads(text, "demo.toml"),
        json=json,
        log_level=log_level,
        title="demo",
        next_step="python -m mmcore init, then check config.toml, then run config.toml",
    )


def _opening(config: "Config") -> str:
    names = ", ".join(
        f"{item.venue} {item.symbol} ({item.strategy})" for item in config.instruments
    )
    market = config.market
    files = f"{len(market.files)} tape{'' if len(market.files) == 1 else 's'}"
    origin = f"synthetic market {market.preset}" if market.source == "synthetic" else files
    return f"{names}; {origin}, simulated orders, no network"


def _run(
    config: "Config",
    seconds: float | None,
    json: bool,
    log_level: str | None,
    require_fills: bool,
    title: str,
    next_step: str,
) -> int:
    from . import logs
    from .journal import RunDirectory
    from .paper import PaperDesk
    from .run import Run

    level = logs.level_named(log_level)
    with closing(
        PaperDesk(config, title, config.run.seconds if seconds is None else seconds)
    ) as desk:
        directory = RunDirectory.create(Path(config.run.directory), title)
        journal = _journal(config, desk, directory)
        terminal = not json and _is_terminal()
        handler = logs.open_log(level, directory.log if terminal else None)
        try:
            display = _display(json, terminal, level)
            run = Run(
                desk, display, journal, speed=config.market.speed, debug=level <= logging.DEBUG
            )
            try:
                ending = _drive(run)
                _conclude(run, journal, ending, require_fills)
                summary = _summary(
                    run, journal, ending, directory.path, next_step or _next_step(ending, config)
                )
            except BaseException:
                display.close(None)
                raise
            display.close(summary)
            return summary.exit_code
        finally:
            journal.close()
            logs.close_log(handler)


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _display(json: bool, terminal: bool, level: int) -> "Display":
    if terminal:
        from .screen import Screen

        return Screen()
    from .progress import JsonLines, Lines

    if json:
        return JsonLines(_write)
    return Lines(_write, quiet=level > logging.INFO)


def _write(line: str) -> None:
    print(line, flush=True)


def _drive(run: "Run") -> "Ending":
    """Run on uvloop where there is one (not on Windows), else on plain asyncio."""
    import asyncio

    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(run.until_end())
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(run.until_end())


def _journal(config: "Config", desk: "PaperDesk", directory: "RunDirectory") -> "Journal":
    """The journal, with everything said that is needed to make the run again."""
    from .journal import Journal
    from .tape import TapeWriter

    log = TapeWriter(directory.events, desk.instruments) if config.run.event_log else None
    journal = Journal(directory, log, keep_records=config.run.journal)
    journal.describe(
        {
            "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "config_path": config.path,
            "config": config.text,
            "config_hash": blake2b(config.text.encode(), digest_size=16).hexdigest(),
            "seed": config.market.seed,
            "mode": config.mode,
            "mmcore": __version__,
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "platform": platform.platform(),
        }
    )
    journal.describe_instruments(
        (i, item.venue, item.symbol, asdict(item)) for i, item in enumerate(desk.instruments)
    )
    return journal


def _conclude(run: "Run", journal: "Journal", ending: "Ending", require_fills: bool) -> None:
    """Change how the run ended where only its result, or its journal, says so."""
    filled = any(view.n_fills for view in run.snapshot().traders)
    if require_fills and not filled and ending.exit_code == ExitCode.OK:
        ending.exit_code = ExitCode.DATA
    journal.flush()
    if journal.failure and ending.exit_code in (ExitCode.OK, ExitCode.DATA):
        ending.exit_code, ending.cause = ExitCode.SAFETY, journal.failure


def _summary(
    run: "Run", journal: "Journal", ending: "Ending", directory: Path, next_step: str
) -> "Summary":
    """Write the end of the run into its journal and close that; what is to be told."""
    from .progress import Summary

    shot = run.snapshot()
    _keep(journal, shot, ending)
    journal.close()
    return Summary(
        snapshot=shot,
        exit_code=ending.exit_code,
        cause=ending.cause,
        cancelled=run.cancelled,
        remaining=run.n_open,
        journal_hash=journal.hash,
        directory=str(directory),
        next=next_step,
        warning=ending.warning,
    )


def _keep(journal: "Journal", shot: "Snapshot", ending: "Ending") -> None:
    """Fill table ``summary``: trader by trader, and -1 for the whole run."""
    from .progress import trader_facts

    for i, view in enumerate(shot.traders):
        facts = trader_facts(view)
        journal.summarise(i, {k: v for k, v in facts.items() if not isinstance(v, list)})
    journal.summarise(
        -1,
        {
            "events": shot.events,
            "messages": shot.messages,
            "updates": shot.updates,
            "gaps": shot.gaps,
            "market_s": shot.market_s,
            "wall_s": shot.wall_s,
            "records": journal.n_records,
            "journal_hash": journal.hash,
            "exit_code": int(ending.exit_code),
            "cause": ending.cause,
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
        },
    )


def _next_step(ending: "Ending", config: "Config") -> str:
    check, again = (f"python -m mmcore {word} {quote(config.path)}" for word in ("check", "run"))
    if ending.warning:
        return f"{check} says how far its orders stand from the market"
    if ending.exit_code == ExitCode.OK:
        return f"{check} says in words what it means"
    if ending.exit_code == ExitCode.INTERRUPTED:
        return f"{again} starts anew, in a directory of its own"
    return f"mend what the line `ended` names, then {again}"
