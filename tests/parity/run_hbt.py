"""Replays every run of a folder and compares the fills: ``python tests/parity/run_hbt.py DIR``.

Prints for each run the first fill that differs, then ``N passed, M failed``; exit status 1 when
any failed.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from hbt_strategies import STRATEGIES, Strategy
from hbt_tape import Config, Folder

COLUMNS = ("exch_ts", "seen_ts", "order_id", "side", "tick", "qty", "maker")


@dataclass
class Result:
    """One run: the strategy at its end, its fills, what differed ('' nothing)."""

    strategy: Strategy
    fills: np.ndarray
    difference: str


def play(folder: Folder, run: Config) -> tuple[Strategy, np.ndarray]:
    """Run one configuration; the strategy at its end and its fills."""
    kind = STRATEGIES[run["strategy"]["id"]]
    strategy = kind(
        folder.replay(run),
        list(run["strategy"]["params"]),
        int(folder.grid.units(run["order_qty"])),
        partial=run["exchange"] == "partial_fill",
    )
    return strategy, strategy.run()


def replay(folder: Folder, run: Config) -> Result:
    """Run one configuration and compare it with the recorded fills."""
    strategy, fills = play(folder, run)
    return Result(strategy, fills, difference(folder, fills, folder.fills(run)))


def difference(folder: Folder, ours: np.ndarray, theirs: np.ndarray) -> str:
    """The first differing fill in words; '' when all agree."""
    n = min(len(ours), len(theirs))
    bad = np.zeros(n, bool)
    for name in COLUMNS:
        if name == "qty":
            bad |= np.abs(folder.grid.qty(ours[name][:n]) - theirs[name][:n]) > 1e-9
        else:
            bad |= ours[name][:n] != theirs[name][:n]
    if bad.any():
        i = int(np.argmax(bad))
        return f"fill {i}: {describe(folder, ours[i])} instead of {theirs[i].tolist()}"
    if len(ours) > n:
        return f"fill {n}: {describe(folder, ours[n])}, and no further fill was expected"
    if len(theirs) > n:
        return f"fill {n}: none, but {theirs[n].tolist()} was expected"
    return ""


def describe(folder: Folder, fill: np.void) -> list[object]:
    values = list(fill.tolist())
    values[COLUMNS.index("qty")] = float(folder.grid.qty(fill["qty"]))
    return values


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: run_hbt.py DIR", file=sys.stderr)
        return 2
    folder = Folder(Path(arguments[0]))
    passed = failed = 0
    for run in folder.runs:
        result = replay(folder, run)
        if result.difference:
            failed += 1
            print(f"{run['name']}: {result.difference}")
        else:
            passed += 1
            print(f"{run['name']}: {len(result.fills)} fills identical")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
