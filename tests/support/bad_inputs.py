"""Tries everything that a user may get wrong, through the command line.

``python tests/support/bad_inputs.py`` runs every case in this process, with ``--processes`` each
as a process of its own; prints what fell short and ``N passed, M failed``; exit status 1 if any
failed.

Of every case it is asked: the right exit code, no traceback, at most 2 s, at most 40 lines, and a
message that names what the case says it must (place, key, rule, repair).
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

SECONDS_MAX = 2.0  # of processor time: a busy machine must not fail the program
HANG_S = 30.0  # of wall time
LINES_MAX = 40
DATA = Path(__file__).parents[2].parent / "shared" / "data"


class Case(NamedTuple):
    """One bad input.

    name: unique.  arguments: of the command line, run in a folder that holds ``files`` (name to
    text or bytes).  code: exit code.  says: what the output must contain.
    """

    name: str
    arguments: list[str]
    files: dict[str, str | bytes]
    code: int
    says: tuple[str, ...]


SMALL = '[[instrument]]\nsymbol = "BTCUSDT"\n'
GRID = SMALL + "[instrument.grid]\n"
TWO = SMALL + 'strategy = "two_sided"\n[instrument.two_sided]\n'
SKEW = TWO + "[instrument.two_sided.inventory_skew_config]\n"
LIMITS = SMALL + "[instrument.limits]\n"
SPEC = SMALL + "[instrument.spec]\n"
BAD_NUMBERS = ("nan", "inf", "-inf", "-1", '"1"', "true", "[]", "{}", "1e400", "1979-05-27")

# Tables and keys that take a number of which none of BAD_NUMBERS is right.
NUMBER_KEYS = [
    (GRID, "grid.asset"),
    (GRID, "grid.minimum_spread"),
    (GRID, "grid.kappa"),
    (GRID, "grid.final_order_distance"),
    (GRID, "grid.orders_per_side"),
    (GRID, "grid.tick_window"),
    (TWO, "two_sided.half_spread"),
    (TWO, "two_sided.max_bps_diff"),
    (SKEW, "two_sided.inventory_skew_config.inventory_skew_factor"),
    (LIMITS, "limits.max_loss"),
    ("[simulation]\n", "simulation.entry_latency_ms"),
    ("[run]\n", "run.seconds"),
    ("[market]\n", "market.speed"),
    ("[account]\n", "account.max_open_notional"),
]


def configuration_cases() -> Iterator[Case]:
    """Configurations that cannot be used."""
    for table, key in NUMBER_KEYS:
        name = key.rpartition(".")[2]
        for value in BAD_NUMBERS:
            text = f"{table}{name} = {value}\n"
            if not table.startswith("[["):
                text += SMALL
            says = (f"c.toml:{table.count(chr(10)) + 1}:1:", key, "rule:", "repair:", name)
            yield Case(f"{key} = {value}", ["check", "c.toml"], {"c.toml": text}, 2, says)
    for name, text, *says in MISTAKES:
        yield Case(name, ["run", "c.toml"], {"c.toml": text}, 2, ("c.toml", *says))
    yield Case(
        "five faults at once",
        ["run", "c.toml"],
        {
            "c.toml": 'mode = "live"\n[markt]\nseed = -4\n[run]\nsecnds = 3\n'
            + GRID
            + "minimum_spread = nan\nkapa = 0.3\n"
        },
        2,
        ("c.toml:1:1", "c.toml:2:1", "c.toml:3:1", "c.toml:5:1", "c.toml:9:1", "c.toml:10:1"),
    )
    yield Case(
        "a hundred faults",
        ["check", "c.toml"],
        {"c.toml": SMALL + "".join(f"wrong{i} = 1\n" for i in range(100))},
        2,
        ("100 problems", "more"),
    )
    yield Case(
        "faults for machines",
        ["check", "c.toml", "--json"],
        {"c.toml": GRID + "kapa = 1\n"},
        2,
        ('"line": 4', '"column": 1', "kappa", '"exit_code": 2'),
    )


MISTAKES = [
    ("key", GRID + "minimun_spread = 9", "c.toml:4:1", "minimum_spread"),
    ("key of another table", GRID + "post_only = true", "move it to [[instrument]]"),
    ("section", "[simulaton]\n" + SMALL, "did you mean simulation"),
    ("no instrument", "", "[[instrument]]"),
    ("only a comment", "# nothing\n", "[[instrument]]"),
    ("no symbol", "[[instrument]]\n", "symbol", "missing"),
    ("one bracket", '[instrument]\nsymbol = "BTCUSDT"', "double brackets"),
    ("venue", SMALL + 'venue = "binnance-usdm"', "binance-usdm"),
    ("venue unknown", SMALL + 'venue = "ftx"', "one of"),
    ("symbol with hyphen", '[[instrument]]\nsymbol = "BTC-USDT"', 'symbol = "BTCUSDT"'),
    ("symbol with stroke", '[[instrument]]\nsymbol = "BTC/USDT"', 'symbol = "BTCUSDT"'),
    ("symbol in small letters", '[[instrument]]\nsymbol = "ethusdt"', 'symbol = "ETHUSDT"'),
    ("symbol unknown", '[[instrument]]\nsymbol = "PEPEUSDT"', "tick and lot"),
    ("strategy", SMALL + 'strategy = "two-sided"', '"two_sided"'),
    ("preset", 'market = { preset = "bussy" }\n' + SMALL, '"busy"'),
    ("queue model", 'simulation = { queue_model = "powr" }\n' + SMALL, '"power"'),
    ("source", 'market = { source = "tapes" }\n' + SMALL, '"tape"'),
    ("mode live", 'mode = "live"\n' + SMALL, "where orders go"),
    ("main-net", 'mode = "live"\nlive = { environment = "mainnet" }\n' + SMALL, "order truth"),
    ("no files", 'market = { source = "tape" }\n' + SMALL, "files"),
    ("files without tape", 'market = { files = ["x"] }\n' + SMALL, '"tape"'),
    ("same file twice", 'market = { source = "tape", files = ["x", "x"] }\n' + SMALL, "once"),
    ("same instrument twice", SMALL * 2, "one trader"),
    ("both strategies", TWO + "[instrument.grid]\n", "read only with"),
    ("largest below least spread", GRID + "maximum_spread = 5", "minimum_spread"),
    ("ladder below zero", GRID + "minimum_spread = 900", "below zero"),
    ("distance from the mid", GRID + 'final_order_distance_from = "mid"\n'
     "final_order_distance = 0.2", "at least 1"),
    ("position beyond money", GRID + "max_position_usd = 1e6", "asset x leverage"),
    ("weights above one", GRID + "weights = { ofi = 0.9 }", "at most 1"),
    ("falling depths", GRID + "depths = [9, 3]", "rising"),
    ("nine depths", GRID + "depths = [1, 2, 3, 4, 5, 6, 7, 8, 9]", "at most 8"),
    ("ratio range", GRID + "size_ratio_range = [0.9, 0.1]", "lower one first"),
    ("position below one order", TWO + "max_absolute_position_size = 3", "one order"),
    ("other asset", TWO + 'asset = "HYPE"', "BTCUSDT"),
    ("spot on a perpetual", TWO + 'asset_type = "spot"', '"perp"'),
    ("skew above one", SKEW + "inventory_skew_factor = 1.01", "0 to 1"),
    ("skew without depth", SKEW + "depth_analysis_levels = 0", "1 to 1000"),
    ("fewer orders than the grid", LIMITS + "max_orders = 3", "2 x 4"),
    ("limit below one order", TWO + "[instrument.limits]\nmax_position = 1", "one order"),
    ("zero tick", SPEC + "tick = 0", "above 0"),
    ("negative tick", SPEC + "tick = -0.1", "above 0"),
    ("tick of no number", SPEC + 'tick = "a tenth"', "above 0"),
    ("zero lot", SPEC + "lot = 0.0", "above 0"),
    ("largest below smallest order", SPEC + "min_qty = 2\nmax_qty = 1", "min_qty 2"),
    ("lot finer than sizes", SPEC + "lot = 0.001\nqty_decimals = 2", "lot 0.001"),
    ("minimum above the budget", SPEC + "min_notional = 1e6", "budget"),
    ("leverage on spot", SMALL + 'venue = "binance-spot"\ngrid = { leverage = 3 }', "1 on spot"),
    ("short on spot", SMALL + 'venue = "binance-spot"\nstart_position = -1', "at least 0"),
    ("balance on a perpetual", SMALL + "quote_balance = 5", "only for spot"),
    ("refused position", SMALL + 'existing_position = "refuse"\nstart_position = 1', "refuse"),
    ("exponent without power", "simulation = { queue_exponent = 3 }\n" + SMALL, "no exponent"),
    ("seed too large", "market = { seed = 99999999999999999999 }\n" + SMALL, "seed"),
    ("start near zero", SMALL + "synthetic = { start_price = 0.5 }", "start price"),
    ("credential", SMALL + 'api_secret = "hunter2"', "(hidden)", "remove the line"),
    ("control characters", '[[instrument]]\nsymbol = "BTC\\u001b[31m"', "c.toml:2"),
    ("text without quotes", SMALL + "strategy = grid", 'strategy = "grid"', "c.toml:3"),
    ("capital True", SMALL + "post_only = True", "post_only = true"),
    ("open quote", SMALL + 'venue = "bybit', "close the quote"),
    ("open bracket", "[market\n" + SMALL, "close the bracket"),
    ("open list", GRID + "depths = [4, 13", "close the bracket"),
    ("key twice", SMALL + 'symbol = "ETHUSDT"', "one of the two"),
    ("table twice", "[run]\n[run]\n" + SMALL, "keep one"),
    ("two on a line", SMALL + 'venue = "synthetic" strategy = "grid"', "one key"),
    ("deep brackets", "x = " + "[" * 20_000, "fewer"),
    ("endless number", "x = " + "9" * 10_000, "shorter"),
    ("json instead", '{"instrument": 3}', "c.toml:1"),
    ("decimal comma", GRID + "asset = 1,5", "c.toml:4"),
]  # fmt: skip


def usage_cases() -> Iterator[Case]:
    """Command lines that do not fit together, and files that are no configuration."""
    good = {"c.toml": SMALL}
    table: list[tuple[str, list[str], dict[str, str | bytes], tuple[str, ...]]] = [
        ("command", ["rnu", "c.toml"], good, ("did you mean `run`",)),
        ("command far off", ["frobnicate"], good, ("commands are",)),
        ("file for command", ["c.toml"], good, ("run c.toml",)),
        ("command chek", ["chek", "c.toml"], good, ("`check`",)),
        ("tape command", ["tape", "inf", "x"], good, ("`info`",)),
        ("run nothing", ["run"], good, ("CONFIG",)),
        ("check nothing", ["check"], good, ("CONFIG",)),
        ("tape nothing", ["tape", "info"], good, ("FILE",)),
        ("two files", ["run", "c.toml", "d.toml"], good, ("d.toml",)),
        ("option", ["run", "c.toml", "--secnds", "3"], good, ("--seconds",)),
        ("seconds nan", ["run", "c.toml", "--seconds", "nan"], good, ("--seconds",)),
        ("seconds negative", ["run", "c.toml", "--seconds", "-1"], good, ("--seconds",)),
        ("seconds text", ["run", "c.toml", "--seconds", "ten"], good, ("--seconds",)),
        ("seconds infinite", ["run", "c.toml", "--seconds", "inf"], good, ("--seconds",)),
        ("log level", ["run", "c.toml", "--log-level", "loud"], good, ("'debug'",)),
        ("missing file", ["run", "confg.toml"], {"config.toml": SMALL}, ("did you mean",)),
        ("missing, none near", ["check", "x.toml"], {}, ("init",)),
        ("empty name", ["check", ""], good, ("folder",)),
        ("folder", ["run", "."], good, ("folder",)),
        ("device", ["check", "/dev/zero"], good, ("plain file",)),
        ("binary", ["check", "b.gz"], {"b.gz": b"\x1f\x8b\x08\xff\xfe"}, ("UTF-8",)),
        ("latin-1", ["check", "l.toml"], {"l.toml": b"# \xe9t\xe9\n"}, ("UTF-8", "line 1")),
        ("huge", ["check", "h.toml"], {"h.toml": b"#" * (2 << 20)}, ("at most",)),
        ("init exists", ["init", "c.toml"], good, ("--force",)),
        ("init venue", ["init", "n.toml", "--venue", "bybit"], good, ("bybit-linear", "-spot")),
        ("init symbol", ["init", "n.toml", "--symbol", "BTCUSD"], good, ("BTCUSDT",)),
        ("init nowhere", ["init", "no/where.toml"], good, ("cannot be written",)),
        ("machines", ["run", "--json"], good, ('"exit_code": 2', "CONFIG")),
    ]
    for name, arguments, files, says in table:
        yield Case(f"usage: {name}", arguments, files, 2, says)


def below_minimum_cases() -> Iterator[Case]:
    """Configurations that load, but cannot work at the market's price."""
    yield Case(
        "orders below the venue's minimum",
        ["check", "c.toml"],
        {"c.toml": GRID + "asset = 200\n"},
        2,
        ("< venue minimum 100 USDT", "raise asset to >="),
    )
    yield Case(
        "target below the venue's minimum",
        ["check", "c.toml"],
        {"c.toml": TWO + "target_liquidity = 0.0001\n"},
        2,
        ("< venue minimum 100 USDT", "raise target_liquidity to >="),
    )


TAPE = '[market]\nsource = "tape"\nfiles = ["{file}"]\n[[instrument]]\nvenue = "{venue}"\n'
USDM = TAPE.replace("{venue}", "binance-usdm") + 'symbol = "{symbol}"\n'
SNAPSHOT = (
    '1723161255000000000 {"lastUpdateId":10,"E":1,"T":1,'
    '"bids":[["61000.0","1.000"]],"asks":[["61000.1","1.000"]]}'
)
DELTA = (
    '17231612550{i:02d}000000 {{"stream":"btcusdt@depth@0ms","data":{{"e":"depthUpdate",'
    '"E":1,"T":1,"s":"BTCUSDT","U":{first},"u":{last},"pu":{before},'
    '"b":[["60999.{i}","1.000"]],"a":[]}}}}'
)

PRINT = (
    '1723161255000000000 {"data":{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":1,"p":"61000.0",'
    '"q":"0.001","X":"MARKET","m":true}}'
)
LATE = PRINT.replace("1723161255000", "1723161255950")

ARRAY = b"\x93NUMPY\x01\x00\x76\x00" + (  # three doubles, as numpy saves them without an archive
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }".ljust(117) + b"\n" + bytes(24)
)


def raw_lines(count: int = 20) -> list[str]:
    """A small capture in the form of the recorded ones: a snapshot and updates that follow it."""
    deltas = [
        DELTA.format(i=i, first=10 + i, last=11 + i, before=10 + i - (i == 0)) for i in range(9)
    ]
    return [deltas[0], SNAPSHOT, *deltas[1 : count - 1]]


def tape_cases() -> Iterator[Case]:
    """Recordings that cannot be used."""
    whole = "\n".join(raw_lines()).encode() + b"\n"
    packed = gzip.compress(whole * 50)
    bad: list[tuple[str, str, bytes | None, str, tuple[str, ...]]] = [
        ("missing", "x.gz", None, "BTCUSDT", ("x.gz",)),
        ("empty", "x.gz", b"", "BTCUSDT", ("x.gz",)),
        ("empty inside", "x.gz", gzip.compress(b""), "BTCUSDT", ("x.gz",)),
        ("head only", "x.gz", packed[:12], "BTCUSDT", ("x.gz",)),
        ("no gzip at all", "x.gz", b"\x00\x01\x02" * 400, "BTCUSDT", ("x.gz",)),
        ("a picture", "x.png", b"\x89PNG\r\n\x1a\n" * 40, "BTCUSDT", ("x.png",)),
        ("prose", "x.txt", b"It was a dark and stormy night.\n" * 9, "BTCUSDT", ("x.txt",)),
        ("other symbol", "x.gz", packed, "ETHUSDT", ("x.gz", "ETHUSDT")),
        ("npz of nothing", "x.npz", b"PK\x05\x06" + b"\0" * 18, "BTCUSDT", ("x.npz",)),
        ("one bare array", "x.npz", ARRAY, "BTCUSDT", ("x.npz",)),
        ("no npz", "x.npz", b"PK\x03\x04garbage", "BTCUSDT", ("x.npz",)),
        ("torn own tape", "x.tape", b"mmcore tape\n{", "BTCUSDT", ("x.tape",)),
        ("own tape of no rows", "x.tape", b"mmcore tape\n", "BTCUSDT", ("x.tape",)),
        ("zstandard torn", "x.jsonl.zst", b"\x28\xb5\x2f\xfd\x00", "BTCUSDT", ("x.jsonl.zst",)),
    ]
    for name, file, content, symbol, says in bad:
        files: dict[str, str | bytes] = {"c.toml": USDM.format(file=file, symbol=symbol)}
        if content is not None:
            files[file] = content
        for command in (["run", "c.toml"], ["check", "c.toml"], ["tape", "info", file]):
            if command[0] == "tape" and name == "other symbol":
                continue
            yield Case(f"tape: {name}, {command[0]}", command, files, 3, says)


def damage_cases() -> Iterator[Case]:
    """Recordings with a fault in the middle: read up to it, counted, quoting stopped; never quiet.

    The tape ends before the next snapshot, so these runs end with exit code 3; where one follows,
    the run goes on and ends with 0.
    """
    whole = raw_lines()

    def changed(at: int, line: str | None) -> list[str]:
        return [*whole[:at], *([] if line is None else [line]), *whole[at + 1 :]]

    last = whole[-1]
    mended = SNAPSHOT.replace('Id":10', 'Id":30').replace("1723161255000", "1723161255900")
    bad: list[tuple[str, list[str], int, tuple[str, ...]]] = [
        ("a torn line", changed(4, whole[4][:50]), 3, ("x.gz:5", "1 damaged record")),
        ("a line of noise", changed(4, "\x00\x7f" * 30), 3, ("x.gz:5", "1 damaged record")),
        ("a line missing", changed(4, None), 3, ("sequence broke", "1 gap")),
        ("a negative price", changed(4, whole[4].replace("60999", "-9")), 3, ("x.gz:5", "-9")),
        ("a negative size", changed(4, whole[4].replace("1.000", "-1.0")), 3, ("x.gz:5", "-1.0")),
        ("a price off the grid", changed(4, whole[4].replace("60999.", "6.99")), 3, ("x.gz:5",)),
        ("a size off the grid", changed(4, whole[4].replace("1.000", "0.00001")), 3, ("x.gz:5",)),
        ("a price of nan", changed(4, whole[4].replace("60999", "nan")), 3, ("x.gz:5", "nan")),
        ("lines out of order", [*whole[:3], whole[5], whole[4], *whole[6:]], 3, ("x.gz:5",)),
        ("no receive time", changed(4, whole[4].partition(" ")[2]), 3, ("x.gz:5",)),
        ("no snapshot", [line for line in whole if "lastUp" not in line], 3, ("no snapshot",)),
        (
            "a crossed book",
            [PRINT, *whole[:-1], last.replace("60999.8", "61000.5")],
            0,
            ("crossed",),
        ),
        ("mended", [*changed(4, whole[4][:50]), mended, LATE], 0, ("x.gz:5", "1 damaged record")),
        ("no trade", whole, 3, ("x.gz: not one trade from the first row to the last",)),
    ]
    for name, lines, code, says in bad:
        files: dict[str, str | bytes] = {
            "c.toml": USDM.format(file="x.gz", symbol="BTCUSDT"),
            "x.gz": gzip.compress("\n".join(lines).encode() + b"\n"),
        }
        yield Case(f"damage: {name}", ["run", "c.toml"], files, code, says)
    kept = gzip.compress("\n".join(whole).encode())[:-12]
    noise = [*changed(4, whole[4][:50]), *(f"{whole[-1][:19]} noise {i}" for i in range(500))]
    for name, content, says in (
        ("a compressed file cut off", kept, ("x.gz", "cut off")),
        ("five hundred lines of noise", "\n".join(noise), ("x.gz:5", "501 damaged records")),
    ):
        files = {"c.toml": USDM.format(file="x.gz", symbol="BTCUSDT"), "x.gz": content}
        yield Case(f"damage: {name}", ["run", "c.toml"], files, 3, says)


def recorded_cases() -> Iterator[Case]:
    """The deliberately damaged files among the recordings, where they are at hand."""
    for venue, symbol, name, says in (
        ("binance-usdm", "TRXUSDT", "usdm/*/*/*negative*.csv", ":2: Price -1 is negative"),
        ("binance-spot", "TRXUSDT", "spot/*/*/*negative*.csv", "Price -1 is negative"),
    ):
        for path in sorted((DATA / "binance").glob(name)):
            text = TAPE.format(file=path, venue=venue) + f'symbol = "{symbol}"\n'
            for command in ("run", "check"):
                said = (says,) if command == "run" else (says, "no usable book")
                arguments = [command, "c.toml"]
                yield Case(f"recorded: {path.name} {command}", arguments, {"c.toml": text}, 3, said)


def cases() -> list[Case]:
    """Every case; names are unique."""
    made = [
        *configuration_cases(),
        *usage_cases(),
        *below_minimum_cases(),
        *tape_cases(),
        *damage_cases(),
        *recorded_cases(),
    ]
    assert len({case.name for case in made}) == len(made)
    return made


def children_s() -> float:
    """Processor seconds of all finished children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def shortcomings(case: Case, code: int, output: str, seconds: float) -> list[str]:
    """What is wrong with the answer to a case; empty when it is as it should be."""
    wrong = []
    if code != case.code:
        wrong.append(f"exit code {code}, expected {case.code}")
    if "Traceback" in output:
        wrong.append("a traceback")
    if "hunter2" in output:
        wrong.append("a credential on the screen")
    if seconds > SECONDS_MAX:
        wrong.append(f"{seconds:.1f} s")
    if len(output.splitlines()) > LINES_MAX:
        wrong.append(f"{len(output.splitlines())} lines")
    wrong += [f"does not say {part!r}" for part in case.says if part not in output]
    return wrong


def lay_out(case: Case, folder: Path) -> None:
    """Write a case's files."""
    for name, content in case.files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)


def try_here(case: Case, folder: Path) -> list[str]:
    """Run a case in this process; returns its shortcomings."""
    from mmcore.commands import execute

    lay_out(case, folder)
    output = StringIO()
    began = time.process_time()
    with chdir(folder), redirect_stdout(output), redirect_stderr(output):
        code = execute(case.arguments)
    return shortcomings(case, code, output.getvalue(), time.process_time() - began)


def try_process(case: Case, folder: Path) -> list[str]:
    """Run a case as a process of its own; returns its shortcomings."""
    lay_out(case, folder)
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109
    began = children_s()
    done = subprocess.run(
        [sys.executable, "-m", "mmcore", *case.arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    seconds = children_s() - began
    return shortcomings(case, done.returncode, done.stdout + done.stderr, seconds)


def main() -> int:
    """Try all; see the module."""
    attempt = try_process if "--processes" in sys.argv else try_here
    failed = 0
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            wrong = attempt(case, Path(folder))
        if wrong:
            failed += 1
            print(f"{case.name}: {json.dumps(wrong)}")
    print(f"{len(cases()) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
