"""Counts machine instructions of the book per level change: apply + signals, under callgrind.

    python bench/instructions.py           prints the count
    python bench/instructions.py --gate    exits with status 1 above the limit

Instructions do not depend on the machine's load, so that a build can be refused for them.  Counted
is one C loop over the seeded tape of ``book_tape``: every message is applied, then top-5 imbalance
and microprice are read.  Needs valgrind.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

INSTRUCTIONS_PER_LEVEL_MAX = 80.0
N_MESSAGES = 3000
COUNTED = "*_depth_book_run*"
HERE = Path(__file__).resolve()


def replay(path: Path) -> None:
    """The counted process: loads the snapshot, then runs the deltas."""
    from mmcore._book import Book

    rows = np.load(path)
    book = Book()
    book.bind(rows)
    book.update(0)
    first = 1 + (int(rows[0]["n_bids"]) + int(rows[0]["n_asks"]) + 3) // 4
    book.bind(rows[first:])
    book.signals(5)


def count(n_messages: int) -> float:
    """Instructions per level change."""
    from book_tape import make_tape

    tape = make_tape(n_messages)
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "tape.npy"), Path(folder, "callgrind.out")
        np.save(path, tape.rows)
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no"]
        command += [f"--toggle-collect={COUNTED}", f"--callgrind-out-file={out}"]
        command += [sys.executable, str(HERE), "--replay", str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        report = out.read_text() if done.returncode == 0 and out.exists() else ""
    totals = re.search(r"^(?:totals|summary): (\d+)", report, re.MULTILINE)
    if totals is None or int(totals[1]) == 0:
        raise SystemExit(f"nothing was counted: {COUNTED} did not run\n{done.stderr[-2000:]}")
    return int(totals[1]) / tape.n_levels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gate", action="store_true", help="exit status 1 above the limit")
    parser.add_argument("--messages", type=int, default=N_MESSAGES)
    parser.add_argument("--replay", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.replay is not None:
        replay(arguments.replay)
        return
    per_level = count(arguments.messages)
    print(
        f"book apply + signals: {per_level:.2f} instructions a level "
        f"(limit {INSTRUCTIONS_PER_LEVEL_MAX:g})"
    )
    if arguments.gate and per_level > INSTRUCTIONS_PER_LEVEL_MAX:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
