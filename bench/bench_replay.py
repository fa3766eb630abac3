"""Is a backtest as fast as it should be?  Beside hftbacktest, turn by turn, fills compared first.

    python bench/bench_replay.py --hftbacktest /path/to/python [--tape FILE.npz ...] [--rounds 31]
    python bench/bench_replay.py --hftbacktest /path/to/python --real DATA_DIR [--rounds 0]

The rival runs in an interpreter of its own (hftbacktest 2.4.4 with its fastest depth, warm).  Both
sides play the three parity strategies, compiled, and the bare replay, by the same rules; every fill
must be the same (ids, times, ticks, quantities, maker flags) before anything is timed.  Tapes are
the parity tape of ``tests/data`` or the folder given with ``--parity``, and npz files in
hftbacktest's form, as its converters write them; with --real the recordings of Binance futures
under a folder, converted by hftbacktest's own converter first.  Money must agree within 1e-6.
Ratios are medians over the rounds, speeds those of the fastest; 0 rounds only compare.  Then how
long a first result takes, from nothing: interpreter, imports, compilation.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "replay"))

from job import COLUMNS, Job

from build import build

HERE = Path(__file__).parent / "replay"
MS = 1_000_000
DEPTH, SNAPSHOT = 1, 4  # kinds of rows
MONEY = ("balance", "fee")
MONEY_OFF_MAX = 1e-6
REAL = ("usdm/*/*.gz", "coinm/*/*_20240808.gz")  # recordings that hold their snapshot
WORK = {  # name: strategy, parameters, what the ratio is to be
    "bare replay": (0, (100 * MS,), 2.0),
    "quotes every 100 ms": (1, (100 * MS, 6, 1), 2.5),
    "every feed event": (3, (1000 * MS, 5, 3, 1, 2), 2.5),
    "10-order grid every 50 ms": (2, (50 * MS, 20, 2, 5), 2.5),
}


class Player:
    """One side: a process that plays jobs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def play(self, job: Job) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(job.line(), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def player(*command: str) -> Iterator[Player]:
    # Both sides may keep their bytecode, as a user's Python does, whatever this shell says.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        yield Player(process)
        assert process.stdin is not None
        process.stdin.close()


def difference(one: Path, two: Path) -> str:
    """The first fill that differs, in words; "" for none."""
    a, b = np.load(one), np.load(two)
    if len(a["tick"]) != len(b["tick"]):
        return f"{len(a['tick'])} fills against {len(b['tick'])}"
    bad = np.zeros(len(a["tick"]), bool)
    for name in COLUMNS:
        bad |= np.abs(a[name] - b[name]) > (1e-9 if name == "qty" else 0)
    if not bad.any():
        return ""
    i = int(np.argmax(bad))
    return f"fill {i}: {[a[n][i] for n in COLUMNS]} against {[b[n][i] for n in COLUMNS]}"


def job_of(path: Path, folder: Path) -> Job:
    """A tape's job without a strategy.  The steps are read off the data, the range too."""
    data = np.load(path)["data"]
    low_byte = data["ev"] & np.uint64(0xFF)
    depth = data[(low_byte == DEPTH) | (low_byte == SNAPSHOT)]
    prices, sizes = depth["px"], depth["qty"][depth["qty"] > 0]
    tick, lot = _step(prices), _step(sizes)
    copy = folder / f"{path.stem}.npz"
    np.savez(copy, data=data)
    low, high = float(prices.min()), float(prices.max())
    return Job(str(copy), tick, lot, _size(sizes, lot), 0, (), price_range=(low, high))


def _step(values: Any) -> float:
    for digits in range(12):
        if np.abs(np.round(values, digits) - values).max() < 1e-11:
            return float(round(10.0**-digits, digits))
    raise SystemExit("prices or sizes have more than eleven decimals")


def _size(sizes: Any, lot: float) -> float:
    """An order that small markets can fill: a tenth of a usual level, in lots."""
    return round(max(round(float(np.median(sizes)) / 10 / lot), 1) * lot, 11)


def measure(name: str, job: Job, sides: tuple[Player, Player], rounds: int, target: float) -> bool:
    """Compare, then time in turns; print one line."""
    ours, theirs = sides
    folder = Path(job.tape).parent
    files = folder / "ours.npz", folder / "theirs.npz"
    answers = [
        side.play(replace(job, fills=str(file))) for side, file in zip(sides, files, strict=True)
    ]
    wrong = difference(*files)
    for what in MONEY:
        one, other = (answer[what] for answer in answers)
        if not wrong and not abs(one - other) <= MONEY_OFF_MAX:
            wrong = f"{what} {one!r} against {other!r}"
    if wrong:
        print(f"  {name:27} NOT THE SAME: {wrong}")
        return False
    same = f"{answers[0]['fills']:,} fills and the money, all the same"
    if not rounds:
        print(f"  {name:27} {same}")
        return True
    a, b = [], []
    for _ in range(rounds):
        a.append(ours.play(job)["seconds"])
        b.append(theirs.play(job)["seconds"])
    rows = answers[0]["rows"]
    ratio = statistics.median(y / x for x, y in zip(a, b, strict=True))
    fast, slow = (rows / min(times) / 1e6 for times in (a, b))
    print(
        f"  {name:27} {fast:6.1f} M rows/s  hftbacktest {slow:5.1f}  {ratio:5.1f}x (goal {target}x)"
        f"  {same}"
    )
    return True


def first_result(job: Job, rival: str, module: Path) -> None:
    """From nothing to the first result, seconds: one process each, nothing warm."""
    number, params, _ = WORK["quotes every 100 ms"]
    job = replace(job, strategy=number, params=params)
    ways = {
        "mmcore, Python strategy": [sys.executable, str(HERE / "ours.py")],
        "mmcore, compiled before": [sys.executable, str(HERE / "ours.py"), str(module.parent)],
        "hftbacktest, compiling": [rival, str(HERE / "theirs.py")],
    }
    took = {}
    for name, command in ways.items():
        start = time.perf_counter()
        with player(*command) as side:
            side.play(job)
            took[name] = time.perf_counter() - start
    last = took["hftbacktest, compiling"]
    print("first result, from nothing:")
    for name, seconds in took.items():
        print(f"  {name:27} {seconds:6.2f} s   {last / seconds:5.1f}x sooner")
    with tempfile.TemporaryDirectory() as fresh:
        start = time.perf_counter()
        build(Path(fresh))
        print(f"  {'compiling a strategy':27} {time.perf_counter() - start:6.2f} s   once")


def converted(data: Path, rival: str, folder: Path) -> list[Path]:
    """Recordings under a folder in hftbacktest's form, by its own converter."""
    files = [str(path) for pattern in REAL for path in sorted((data / "binance").glob(pattern))]
    out = folder / "real"
    out.mkdir()
    subprocess.run([rival, str(HERE / "tapes.py"), str(out), *files], check=True)
    return sorted(out.glob("*.npz"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hftbacktest", metavar="PYTHON", help="interpreter that has hftbacktest")
    parser.add_argument("--tape", action="append", default=[], type=Path)
    parser.add_argument("--real", type=Path, metavar="DATA_DIR", help="recordings to convert")
    parser.add_argument("--rounds", type=int, default=31)
    given = parser.parse_args()
    if not given.hftbacktest or not (given.tape or given.real):
        print(
            "needs --hftbacktest PYTHON, and --tape FILE.npz or --real DATA_DIR: nothing was done"
        )
        return 0
    same = True
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        module = build(folder / "built")
        sides = (
            stack.enter_context(player(sys.executable, str(HERE / "ours.py"), str(module.parent))),
            stack.enter_context(player(given.hftbacktest, str(HERE / "theirs.py"))),
        )
        tapes = list(given.tape)
        if given.real:
            tapes += converted(given.real, given.hftbacktest, folder)
        for path in tapes:
            job = job_of(path, folder)
            facts = sides[0].play(replace(job, strategy=0, params=(10**18,)))
            each = facts["bytes"] / facts["rows"]
            print(f"{path.name}: {facts['rows']:,} rows, {each:.0f} bytes each")
            for name, (number, params, target) in WORK.items():
                work = replace(job, strategy=number, params=params)
                same &= measure(name, work, sides, given.rounds, target)
        if given.rounds:
            first_result(job_of(tapes[0], folder), given.hftbacktest, module)
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
