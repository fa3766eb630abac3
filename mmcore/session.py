"""The commands `run` and `demo`: from a configuration to a run, its directory and its summary.

``seconds`` is market time.  Exit codes: 0 the market, or the time asked for, is over; 2 it could
not start as configured; 3 no data, or a book that was not in order at the end; 4 a venue refused,
or cannot be reached; 5 a limit, the disk or a disagreement with the venue stopped it; 130 Ctrl-C,
SIGTERM or SIGHUP.
"""

import logging
import os
import platform
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager, closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from . import __version__
from .errors import ExitCode

if TYPE_CHECKING:  # numpy, sqlite and rich cost 0.2 s: the first line is on the screen before them
    from .desk import TradingDesk
    from .gateway import ClientIds, Keys
    from .journal import Journal, RunDirectory
    from .progress import Display, Snapshot, Summary
    from .run import Ending, Run
    from .schema import Config


@dataclass(frozen=True, slots=True)
class _Options:
    """How one run was asked for, beside its configuration."""

    seconds: float | None = None
    json: bool = False
    log_level: str | None = None
    require_fills: bool = False
    live: bool = False
    title: str = "run"
    next_step: str = ""
    report: str | None = None


def run_config(
    config: "Config",
    *,
    seconds: float | None = None,
    json: bool = False,
    log_level: str | None = None,
    require_fills: bool = False,
    live: bool = False,
    title: str = "run",
    next_step: str = "",
    report: str | None = None,
) -> int:
    """Run ``config`` to its end; the exit code.

    seconds: market time, instead of the configuration's; 0 = no end.  json: one object a line on
    standard output.  log_level: see `mmcore.logs`.  require_fills: a run without fills ends with
    exit code 3.  live: orders may go to a test-net; without it a configuration that sends them
    there is refused.  title: names the run directory.  next_step: for the last lines; the default
    fits `run`.  report: where the page of the run is written at the end.  Raises MmcoreError for
    whatever keeps the run from starting.
    """
    options = _Options(seconds, json, log_level, require_fills, live, title, next_step, report)
    if report is not None:
        from .page import require_extra

        require_extra()
    keys: dict[str, Keys] = {}
    if config.needs_venue or live:
        from .connect import keys_for

        keys = keys_for(config, os.environ, live=live)
    if config.live.faults is not None:
        from .box import script

        script.load(config.live.faults)  # its mistakes are told here, not by the box's process
    if not json:
        print(f"mmcore {title}: {_opening(config)}", flush=True)
    return _on_loop(_session, config, options, keys)


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
    origin = f"synthetic market {market.preset}" if market.source != "tape" else files
    if config.mode == "live" and config.environment == "loopback":
        return f"{names}; orders at the exchange in the box, {origin}, no network"
    if config.mode == "live":
        return f"{names}; LIVE orders at the {config.environment}"
    if config.needs_venue:
        return f"{names}; public data of the {config.environment}, simulated orders"
    return f"{names}; {origin}, simulated orders, no network"


async def _session(config: "Config", options: _Options, keys: "dict[str, Keys]") -> int:
    from . import logs
    from .run import Run

    level = logs.level_named(options.log_level)
    async with _desk(config, options, keys) as (desk, ids):
        directory = _directory(config, options.title)
        journal = open_journal(config, desk, directory, ids)
        terminal = not options.json and _is_terminal()
        handler = logs.open_log(level, directory.log if terminal else None)
        output = Output()
        try:
            display = _display(options.json, terminal, level, output)
            run = Run(
                desk, display, journal, speed=config.market.speed, debug=level <= logging.DEBUG
            )
            output.gone = run.end
            try:
                ending = await run.until_end()
                journal.describe({"stopped_ns": desk.stopped_ns, "stopped_row": desk.stopped_row})
                conclude(run, journal, ending, options.require_fills)
                next_step = _next_step(ending, config, options, directory.path)
                summary = summarise(run, journal, ending, directory.path, next_step)
            except BaseException:
                display.close(None)
                raise
            display.close(summary)
            if options.report is not None:
                _report(directory.path, options)
            return summary.exit_code
        finally:
            journal.close()
            logs.close_log(handler)


@asynccontextmanager
async def _desk(
    config: "Config", options: _Options, keys: "dict[str, Keys]"
) -> "AsyncIterator[tuple[TradingDesk, ClientIds | None]]":
    """The desk that a configuration asks for, and the ids of its orders at a venue."""
    seconds = config.run.seconds if options.seconds is None else options.seconds
    if not config.needs_venue:
        from .paper import PaperDesk

        with closing(PaperDesk(config, options.title, seconds)) as paper:
            yield paper, None
        return
    from .connect import connect, steady_clock
    from .identity import claim

    clock = steady_clock()
    ids = None
    if config.mode == "live":
        ids = claim(Path(config.run.directory), clock() // 1_000_000_000)
    async with aclosing(await connect(config, keys=keys, ids=ids, clock=clock)) as connections:
        if ids is None:
            from .listen import ListeningDesk, VenueSource

            yield (
                ListeningDesk(config, options.title, seconds, VenueSource(connections, clock)),
                ids,
            )
        else:
            from .live import LiveDesk

            yield LiveDesk(config, options.title, seconds, connections, ids, clock), ids


def _report(directory: Path, options: _Options) -> None:
    from .page import write_pages

    (place,) = write_pages([directory], Path(options.report or ""))
    if not options.json:
        print(f"report       {place}", flush=True)


def _directory(config: "Config", title: str) -> "RunDirectory":
    from .journal import RunDirectory

    return RunDirectory.create(Path(config.run.directory), title)


class Output:
    """Standard output; a reader or a terminal that goes away ends the run in order."""

    def __init__(self) -> None:
        self.gone: Callable[[str], object] = len  # what to do then; gets why, a clause

    def write(self, line: str) -> None:
        """One line."""
        try:
            print(line, flush=True)
        except OSError as error:
            self.lost(error)

    def lost(self, error: OSError) -> None:
        """It cannot be written any more: what follows goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            self.gone("the reader of its output has gone")
        else:
            self.gone(f"its output cannot be written ({error.strerror})")


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _display(json: bool, terminal: bool, level: int, output: Output) -> "Display":
    if terminal:
        from .screen import Screen

        return Screen(lost=output.lost)
    from .progress import JsonLines, Lines

    if json:
        return JsonLines(output.write)
    return Lines(output.write, quiet=level > logging.INFO)


def _on_loop(
    session: "Callable[[Config, _Options, dict[str, Keys]], Coroutine[None, None, int]]",
    config: "Config",
    options: _Options,
    keys: "dict[str, Keys]",
) -> int:
    """Run on uvloop where there is one (not on Windows), else on plain asyncio."""
    import asyncio

    from .errors import NetworkError

    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):
        from uvloop import new_event_loop as factory
    runner = asyncio.Runner(loop_factory=factory)
    try:
        code = runner.run(session(config, options, keys))
    except NetworkError:  # a thread may wait for a name server: closing would wait for it too
        raise
    except BaseException:
        runner.close()
        raise
    runner.close()
    return code


def open_journal(
    config: "Config",
    desk: "TradingDesk",
    directory: "RunDirectory",
    ids: "ClientIds | None" = None,
    *,
    event_log: bool = True,
) -> "Journal":
    """The journal, with everything said that is needed to make the run again.

    event_log: whether the market goes into this directory, where the configuration asks for it.
    """
    from .journal import Journal
    from .tape import TapeWriter

    live = ids is not None
    log = None
    if config.run.event_log and event_log:
        log = TapeWriter(
            directory.events,
            desk.instruments,
            clock=desk.clock,
            provenance={"mode": config.mode},
        )
    journal = Journal(directory, log, keep_records=live or config.run.journal, durable=live)
    if ids is not None:
        journal.describe(
            {
                "environment": config.environment,
                "client_prefix": ids.prefix,
                "client_epoch": ids.epoch,
                **desk.facts(),
            }
        )
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


def conclude(run: "Run", journal: "Journal", ending: "Ending", require_fills: bool) -> None:
    """Change how the run ended where only its result, or its journal, says so."""
    filled = any(view.n_fills for view in run.snapshot().traders)
    if require_fills and not filled and ending.exit_code == ExitCode.OK:
        ending.exit_code = ExitCode.DATA
    journal.flush()
    if journal.failure and ending.exit_code in (ExitCode.OK, ExitCode.DATA):
        ending.exit_code, ending.cause = ExitCode.SAFETY, journal.failure


def summarise(
    run: "Run", journal: "Journal", ending: "Ending", directory: Path, next_step: str
) -> "Summary":
    """Write the end of the run into its journal and close that; what is to be told."""
    from .progress import Summary

    shot = run.snapshot()
    keep(
        journal,
        shot,
        ending,
        cancelled=run.cancelled,
        remaining=run.n_open,
        verified=run.verification.lines,
    )
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
        verified=run.verification.lines,
    )


def keep(
    journal: "Journal",
    shot: "Snapshot",
    ending: "Ending",
    *,
    cancelled: int = 0,
    remaining: int = 0,
    verified: Sequence[str] = (),
) -> None:
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
            "crossed": shot.crossed,
            "market_s": shot.market_s,
            "wall_s": shot.wall_s,
            "records": journal.n_records,
            "journal_hash": journal.hash,
            "exit_code": int(ending.exit_code),
            "cause": ending.cause,
            "cancelled": cancelled,
            "remaining": remaining,
            "verified": "\n".join(verified),
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
        },
    )


def report_step(directory: Path, config: "Config", page: str | None) -> str:
    """The command that reports a run; empty where it has been, or kept nothing to report.

    page: where the page of the run has just been written.
    """
    kept = config.run.event_log and (config.run.journal or config.mode == "live")
    return f"python -m mmcore report {quote(str(directory))}" if kept and page is None else ""


def _next_step(ending: "Ending", config: "Config", options: _Options, directory: Path) -> str:
    file = quote(config.path) if Path(config.path).is_file() else "CONFIG"  # it came as text
    check, again = (f"python -m mmcore {word} {file}" for word in ("check", "run"))
    report = report_step(directory, config, options.report)
    if options.next_step:
        return f"{report}; then {options.next_step}" if report else options.next_step
    if ending.warning:
        return f"{check} says how far its orders stand from the market"
    if ending.exit_code in (ExitCode.OK, ExitCode.INTERRUPTED) and report:
        return f"{report} says where that came from"
    if ending.exit_code == ExitCode.OK:
        return f"{check} says in words what it means"
    if ending.exit_code == ExitCode.INTERRUPTED:
        return f"{again} starts anew, in a directory of its own"
    mend = f"mend what the line `ended` names, then {again}"
    if ending.exit_code == ExitCode.SAFETY and report:
        return f"{report} says what led to it; {mend}"
    return mend
