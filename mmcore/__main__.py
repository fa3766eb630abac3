"""The command line: ``python -m mmcore`` and ``mmcore``.

This file holds what must be in place before anything is imported: Ctrl-C while modules load ends
quietly, and no failure that a user can meet shows a traceback.  The commands are in
:mod:`mmcore.commands`; the exit codes in :mod:`mmcore.errors`.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

TYPE_CHECKING = False  # the module `typing` costs 2 ms in which Ctrl-C would end without a word
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

# mmcore.errors.ExitCode, before that module is loaded
USAGE = 2
VENUE = 4
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; ``arguments`` default to sys.argv."""
    before = {number: signal.signal(number, _leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        from .commands import execute

        code = execute(sys.argv[1:] if arguments is None else list(arguments))
    except ModuleNotFoundError as error:  # a checkout that nobody has installed
        todo = "run `make demo`, or `python -m pip install -e .`, in the checkout"
        print(f"error: {error.name} is not installed for this Python; {todo}", file=sys.stderr)
        code = USAGE
    finally:
        for number, action in before.items():
            signal.signal(number, action)
    if code == VENUE:  # a thread may still wait for a name server, and would hold the process
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    # Not an exception: raised inside the import of a compiled module it would come out as an
    # ImportError.  Nothing is running yet that would have to be ended in order; a session that is
    # running has a handler of its own in place of this one.
    name = signal.Signals(number).name
    os.write(2, f"\n{name}: stopped; no order was open and no run had begun\n".encode())
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
