"""The commands, and the one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from shlex import quote
from typing import Any

import click

from . import __version__
from .errors import DataError, ExitCode, MmcoreError, UsageError

FILE = click.Path(dir_okay=False)  # to be written
EPILOG = "Exit codes: 0 ok, 2 configuration or usage, 3 data, 4 venue, 5 safety stop, 130 Ctrl-C."
COMPILED = ("_spec", "_book", "_quotes", "_engine", "_sim")  # the core, as --version asks for it


def execute(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code, whatever happens inside."""
    as_json = "--json" in arguments
    _open_streams()
    try:
        # Not click's `main`: that ends with status 1 where the reader of our output has gone.
        with mmcore.make_context("python -m mmcore", list(arguments)) as context:
            code = mmcore.invoke(context)
        sys.stdout.flush()
        return int(code or ExitCode.OK)
    except MmcoreError as error:
        return _fail(error, as_json=as_json)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        return _fail(_usage(error), as_json=as_json)
    except (KeyboardInterrupt, click.Abort):
        print("\nstopped by Ctrl-C", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.OK
    except Exception as defect:  # noqa: BLE001 - the last line of defence: no traceback on screen
        return _fail(_defect(defect), as_json=as_json)


def _open_streams() -> None:
    """Give a process that was started without streams (``>&-``, some daemons) the empty ones.

    Without this, a file of the run could get descriptor 1, and the prints go into it; and an event
    loop that got descriptor 0 would not live.
    """
    if sys.stdin is None:
        empty = os.open(os.devnull, os.O_RDONLY)
        if empty != 0:
            os.dup2(empty, 0)
            os.close(empty)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            empty = os.open(os.devnull, os.O_WRONLY)
            if empty != number:
                os.dup2(empty, number)
                os.close(empty)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def _fail(error: MmcoreError, *, as_json: bool) -> int:
    faults = getattr(error, "faults", ())
    try:
        if as_json:
            answer = {
                "ok": False,
                "exit_code": int(error.exit_code),
                "error": {"what": error.what, "where": error.where, "todo": error.todo},
                "faults": [fault._asdict() for fault in faults],
            }
            print(json.dumps(answer, ensure_ascii=False), flush=True)
        else:
            print(f"error: {error}", file=sys.stderr, flush=True)
    except OSError:  # nobody can be told; the exit code still says it
        return error.exit_code
    return error.exit_code


def _usage(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "python -m mmcore"
    what = " ".join(error.format_message().split()).rstrip(".")
    return UsageError(
        what[:1].lower() + what[1:],
        where=command,
        done="nothing was done",
        todo=f"see `{command} --help`",
    )


def _defect(defect: Exception) -> MmcoreError:
    last = traceback.extract_tb(defect.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119 - no path object here
    if isinstance(defect, OSError) and defect.strerror:
        what = f"{defect.strerror}{f' ({defect.filename})' if defect.filename else ''}"
        return DataError(what, done="stopped", todo="free or name another place, and try again")
    if isinstance(defect, ModuleNotFoundError) and (defect.name or "").startswith("mmcore._"):
        return UsageError(
            f"the compiled core is not built for this Python ({defect.name} is missing)",
            done="nothing was done",
            todo="run `python -m pip install -e .` in the checkout, or install mmcore-maker",
        )
    if isinstance(defect, ModuleNotFoundError):
        return UsageError(
            f"{defect.name} is not installed for this Python, and mmcore needs it",
            done="nothing was done",
            todo="install mmcore-maker again, without --no-deps",
        )
    todo = "please report it"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="mmcore-", suffix=".traceback", delete=False, encoding="utf-8"
        ) as file:
            traceback.print_exception(defect, file=file)
        todo = f"please report it with {file.name}, which holds the traceback"
    except OSError:
        todo = "please report it; no place to write the traceback to"
    first_line = (str(defect).splitlines() or [""])[0][:120]
    what = f"a defect of mmcore itself: {type(defect).__name__} {first_line}".rstrip()
    return MmcoreError(what, where=where, done="stopped", todo=todo)


class Commands(click.Group):
    """The group of all commands; a mistyped one is answered with the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, but the error names what was probably meant."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from .spelling import nearest

            near = nearest(name, self.list_commands(ctx))
            if near:
                hint = f"did you mean `{near}`?"
            elif name.endswith(".toml"):
                hint = f"did you mean `run {name}`?"
            else:
                hint = f"commands are {', '.join(self.list_commands(ctx))}"
            raise click.UsageError(f"no command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which a user meets them."""
        return list(self.commands)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``, the same on every command."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object for machines.")(
        command
    )


def report_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--report FILE``, the same on every command that makes a run directory."""
    return click.option(
        "--report", metavar="FILE", type=FILE, help="At the end write the page of the run."
    )(command)


def log_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--log-level``, or MMCORE_LOG."""
    return click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        envvar="MMCORE_LOG",
        help="How much to say (default info; or MMCORE_LOG).",
    )(command)


@click.group(cls=Commands, invoke_without_command=True, epilog=EPILOG)
@click.option(
    "--version", is_flag=True, help="Version, compiled core, other packages named mmcore."
)
@json_option
@click.pass_context
def mmcore(ctx: click.Context, version: bool, as_json: bool) -> None:
    """A market maker for crypto perpetuals and spot.

    First steps: `demo` needs nothing; `init` writes a configuration; `check` says what it means;
    `run` trades it on paper.
    """
    if version:
        _say(_version(), as_json=as_json)
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@mmcore.command()
@log_option
@json_option
def demo(log_level: str | None, as_json: bool) -> int:
    """Trade an embedded market for a few seconds; nothing needed."""
    from .session import run_demo

    return run_demo(json=as_json, log_level=log_level)


@mmcore.command("run", short_help="Trade as CONFIG says: on paper, in the box, at a test-net.")
@click.argument("config")
@click.option("--seconds", type=float, help="Market time to run (default: as configured).")
@log_option
@click.option("--require-fills", is_flag=True, help="A run without fills fails (exit 3).")
@click.option("--live", is_flag=True, help="Orders may go to the test-net that CONFIG names.")
@report_option
@json_option
def run_command(
    config: str,
    seconds: float | None,
    log_level: str | None,
    require_fills: bool,
    live: bool,
    report: str | None,
    as_json: bool,
) -> int:
    """Trade as CONFIG says: on paper, at the exchange in the box, or at a test-net."""
    if seconds is not None and not 0 <= seconds <= 1e8:  # nan fails too
        raise click.UsageError(
            f"--seconds {seconds:g}: market seconds, 0 (no end) to 100000000; say --seconds 60",
            click.get_current_context(),
        )
    from .config import load

    loaded = load(config)
    from .session import run_config

    return run_config(
        loaded,
        seconds=seconds,
        json=as_json,
        log_level=log_level,
        require_fills=require_fills,
        live=live,
        report=report,
    )


@mmcore.command("backtest", short_help="Trade CONFIGs on recorded or synthetic data, in one pass.")
@click.argument("configs", nargs=-1, required=True, metavar="CONFIG...")
@click.option("--seconds", type=click.FloatRange(0, 1e8), help="Market time (default: configured).")
@click.option("--band/--no-band", default=None, help="Five queue models (default: one CONFIG).")
@click.option("--calibrate", multiple=True, metavar="RUN", help="Fit the queue to RUN's own fills.")
@log_option
@click.option("--require-fills", is_flag=True, help="A run without fills fails (exit 3).")
@report_option
@json_option
def backtest_command(
    configs: tuple[str, ...],
    seconds: float | None,
    band: bool | None,
    calibrate: tuple[str, ...],
    log_level: str | None,
    require_fills: bool,
    report: str | None,
    as_json: bool,
) -> int:
    """Trade CONFIGs on recorded or synthetic data, as fast as possible, in one pass."""
    from .config import load

    loaded = [load(config) for config in configs]
    from .backtest import Choices, backtest

    choices = Choices(
        seconds=seconds,
        band=band,
        json=as_json,
        log_level=log_level,
        require_fills=require_fills,
        report=report,
        calibrate=calibrate,
    )
    return backtest(loaded, choices)


@mmcore.command("report", short_help="Say what a run was worth, and where that came from.")
@click.argument("run")
@click.option("--out", metavar="FILE", type=FILE, help="The page (default: report.html in RUN).")
@click.option("--csv", "csv_file", metavar="FILE", type=FILE, help="The fills as CSV too.")
@click.option("--parquet", metavar="FOLDER", help="Fills and equity as Parquet too.")
@click.option(
    "--exposure/--no-exposure",
    default=None,
    help="Trade it again at other latencies and queues (default: unless the run is very long).",
)
@json_option
def report_command(
    run: str,
    out: str | None,
    csv_file: str | None,
    parquet: str | None,
    exposure: bool | None,
    as_json: bool,
) -> None:
    """Say what a run was worth, and where that came from: a page, JSON, tables.

    RUN is a run directory, whatever made it.  With --json, --csv or --parquet the page is only
    written where --out names it.
    """
    from pathlib import Path

    from .report import report_of, write_csv, write_parquet

    paged = out is not None or not (as_json or csv_file or parquet)
    if paged:
        from .page import require_extra

        require_extra()
    report = report_of(run)
    if paged and out is None:
        out = str(report.run.directory / "report.html")
    if exposure is not None or paged or as_json:
        from .exposure import exposed

        report = exposed(report, thorough=exposure)
    written = []
    if out is not None:
        from .page import write_page

        write_page(report, Path(out))
        written.append(out)
    if csv_file is not None:
        write_csv(report, Path(csv_file))
        written.append(csv_file)
    if parquet is not None:
        written += map(str, write_parquet(report, Path(parquet)))
    if as_json:
        click.echo(json.dumps({**report.facts, "written": written}, ensure_ascii=False))
        return
    from .words import cut_off, exposures

    said = [*report.facts["sentences"], *exposures(report.facts), *cut_off(report.facts)]
    for line in [*said, *(f"written: {path}" for path in written)]:
        click.echo(line)


@mmcore.command("replay", short_help="Make the decisions of RUN again; compare its fills.")
@click.argument("run")
@json_option
def replay_command(run: str, as_json: bool) -> int:
    """Make the decisions of run directory RUN again; compare its fills with simulated ones."""
    from .replay import replay

    return replay(run, as_json=as_json)


@mmcore.command("forward", short_help="Run CONFIGs side by side on paper, on one feed.")
@click.argument("configs", nargs=-1, required=True, metavar="CONFIG...")
@click.option("--seconds", type=click.FloatRange(0, 1e8), help="Market time (default: configured).")
@log_option
@json_option
def forward_command(
    configs: tuple[str, ...], seconds: float | None, log_level: str | None, as_json: bool
) -> int:
    """Run CONFIGs side by side on paper, on one feed; `compare` takes their run directories."""
    from .backtest import Choices, backtest
    from .config import load

    loaded = [load(config) for config in configs]
    choices = Choices(seconds=seconds, band=False, json=as_json, log_level=log_level, forward=True)
    return backtest(loaded, choices)


@mmcore.command("compare", short_help="Compare CONFIGs, or runs: is it more than chance?")
@click.argument("variants", nargs=-1, required=True, metavar="FIRST SECOND...")
@click.option("--tape", "tapes", multiple=True, help="Recorded market, instead of the configured.")
@click.option("--seeds", default=1, type=click.IntRange(1, 10_000), help="So many markets.")
@click.option("--regimes", is_flag=True, help="Synthetic: every kind of market.")
@click.option("--seconds", type=click.FloatRange(0, 1e8), help="Of each (default: configured).")
@click.option("--repeats/--no-repeats", default=None, help="Other queue models, latency (default).")
@click.option("--calibrate", multiple=True, metavar="RUN", help="Repeat with the queue RUN met.")
@json_option
def compare_command(variants: tuple[str, ...], as_json: bool, **choices: Any) -> int:
    """Compare FIRST with each of the others, on one market: is it more than chance?

    Configurations, or run directories by themselves.
    """
    from .contest import Asked, run

    return run(variants, Asked(**choices), as_json=as_json)


@mmcore.command()
@click.argument("config")
@json_option
def check(config: str, as_json: bool) -> int:
    """Say in words what CONFIG means, and what would not work."""
    from .config import load

    loaded = load(config)
    from .check import check as examine

    report = examine(loaded)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        click.echo(report.text(color=sys.stdout.isatty()))
    return report.exit_code


@mmcore.command()
@click.argument("path", default="config.toml")
@click.option("--venue", help="Whose rules and fees (default synthetic).")
@click.option("--symbol", help="What to trade, as BTCUSDT.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@json_option
def init(path: str, venue: str | None, symbol: str | None, force: bool, as_json: bool) -> None:
    """Write a commented configuration to PATH (config.toml)."""
    from .template import write

    lines = write(path, venue=venue, symbol=symbol, force=force)
    _say({**lines, "next": f"python -m mmcore check {quote(path)}"}, as_json=as_json)


@mmcore.command(short_help="An exchange on this machine: Binance, Bybit, Hyperliquid.")
@click.argument("tapes", nargs=-1, metavar="[TAPE]...")
@click.option("--listen", default="127.0.0.1:0", help="HOST:PORT; port 0 is any free one.")
@click.option("--market", default="synthetic", help="synthetic, or TAPE files to play.")
@click.option("--preset", default="busy", help="Kind of synthetic market: busy, block, quiet.")
@click.option("--seed", default=1, type=click.IntRange(0), help="Of market, keys and faults.")
@click.option("--faults", help="TOML file with what goes wrong, and when.")
@click.option("--accounts", default=2, type=click.IntRange(2, 100), help="Of each venue.")
@click.option("--usd", default=1_000_000, type=click.IntRange(0), help="Each account's money.")
@click.option("--funding", default=0, type=click.IntRange(0), help="Seconds between stamps.")
@click.option("--listen-key-life", default=3600.0, help="Seconds without a refresh.")
@click.option("--reply-ms", default=1.5, help="Delay of answers on sockets.")
@click.option("--limits-scale", default=1.0, help="Factor on the venues' rate limits.")
@click.option("--lenient", is_flag=True, help="Accept signatures over decoded text too.")
@click.option("--until-stdin-closes", is_flag=True, help="End with the process that started it.")
@click.option("--anywhere", is_flag=True, help="Allow an address beyond this machine.")
@log_option
def venue(tapes: tuple[str, ...], log_level: str | None, **choices: Any) -> int:
    """Run an exchange on this machine: Binance, Bybit and Hyperliquid on one port.

    When ready it prints one JSON line with port, accounts and instruments.
    """
    from .box.serve import run

    return run(tapes, log_level=log_level, **choices)


@mmcore.command()
@click.argument("config")
@click.option("--seconds", default=0.0, type=click.FloatRange(0, 1e8), help="0: until Ctrl-C.")
@click.option("--directory", default="tapes", help="Where the files go (default tapes).")
@json_option
def record(config: str, seconds: float, directory: str, as_json: bool) -> int:
    """Record the public data of CONFIG's instruments, frame by frame."""
    from pathlib import Path

    from .config import load

    loaded = load(config)
    from .record import record_config

    return record_config(loaded, Path(directory), seconds=seconds, as_json=as_json)


@mmcore.group(cls=Commands, invoke_without_command=True)
@click.pass_context
def tape(ctx: click.Context) -> None:
    """Recorded market data."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def instrument_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--instrument``, for files that do not say whose they are, or hold more than is wanted."""
    return click.option(
        "--instrument", "names", multiple=True, help="VENUE:SYMBOL, where the file names none."
    )(command)


def _named(names: tuple[str, ...]) -> list[tuple[str, str]] | None:
    pairs = [tuple(name.partition(":")[::2]) for name in names]
    for name, (place, symbol) in zip(names, pairs, strict=True):
        if not place or not symbol:
            raise click.UsageError(
                f"--instrument {name}: expected VENUE:SYMBOL, as binance-usdm:BTCUSDT",
                click.get_current_context(),
            )
    return [(place, symbol) for place, symbol in pairs] or None


@tape.command()
@click.argument("file")
@instrument_option
@json_option
def info(file: str, names: tuple[str, ...], as_json: bool) -> None:
    """Say what FILE holds: instruments, time, messages, damage."""
    from .tape_info import tape_facts

    facts = tape_facts(file, _named(names))
    _say({**facts, "next": "name it in [market] files, then python -m mmcore run"}, as_json=as_json)


@tape.command(short_help="Write recordings IN into one file OUT: a tape, or npz.")
@click.argument("files", nargs=-1, required=True, metavar="IN... OUT")
@click.option("--to", type=click.Choice(["mmt", "npz"]), help="Default: as OUT ends, else mmt.")
@instrument_option
@json_option
def convert(files: tuple[str, ...], to: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Write recordings IN into one file OUT: mmcore's tape, or hftbacktest's array (npz).

    A conversion to a tape that was interrupted goes on when the same command is given again.
    """
    from pathlib import Path

    from .convert import Step
    from .convert import convert as write

    if len(files) < 2:
        raise click.UsageError(
            "one file is named, expected inputs and an output", click.get_current_context()
        )
    *inputs, out = files

    def tell(step: Step) -> None:
        left = f"about {step.left_s:.0f} s left" if step.left_s == step.left_s else "just begun"
        print(f"{step.share:6.1%}, {step.rows:,} rows, {left}", file=sys.stderr, flush=True)

    kind = to or ("npz" if out.endswith(".npz") else "mmt")
    facts = write(inputs, Path(out), wanted=_named(names), to=kind, told=tell)
    _say({**facts, "next": f"python -m mmcore tape info {quote(out)}"}, as_json=as_json)


def _say(facts: dict[str, Any], *, as_json: bool) -> None:
    """Facts as one JSON object, or a line each."""
    if as_json:
        click.echo(json.dumps({"ok": True, **facts}, ensure_ascii=False))
        return
    for name, value in facts.items():
        lines = value if isinstance(value, list) else [value]
        for line in lines:
            click.echo(f"{name.replace('_', ' ')}: {line}")


def _version() -> dict[str, Any]:
    import platform
    from importlib import metadata, util

    missing = [name for name in COMPILED if util.find_spec(f"{__package__}.{name}") is None]
    core = "active" if not missing else f"missing {', '.join(missing)}; run `pip install -e .`"
    if not missing:
        try:
            from . import _spec  # noqa: F401 - loads only if built for this very Python
        except ImportError as error:
            core = f"built for another Python ({error}); run `pip install -e .`"
    facts = {
        "mmcore": f"{__version__} (distribution mmcore-maker)",
        "python": platform.python_version(),
        "compiled_core": core,
    }
    try:
        other = metadata.distribution("mmcore")
        facts["warning"] = (
            f"another distribution named mmcore ({other.version}) is installed here and may hide "
            "this one; `pip uninstall mmcore`, then reinstall mmcore-maker"
        )
    except metadata.PackageNotFoundError:
        facts["other_mmcore"] = "none"
    facts["next"] = "python -m mmcore demo"
    return facts
