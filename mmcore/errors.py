"""What can go wrong, as one tree; the exit status of the command line stands in brackets.

    MmcoreError                 [1]    a defect of mmcore itself; everything below is foreseen
    ├── ConfigError             [2]    the configuration file is wrong; carries every fault found
    ├── UsageError              [2]    the command line, or a call of the library, is wrong
    ├── DataError               [3]    a tape or another input cannot be used
    │   └── NoDataError         [3]    there is nothing in it to run on
    ├── VenueError              [4]    a venue refused, or answered what cannot be understood
    │   └── NetworkError        [4]    a venue cannot be reached
    ├── SafetyStop              [5]    mmcore stopped itself: a limit, a loss, an unknown order
    └── Interrupted             [130]  the user asked for the end (Ctrl-C, SIGTERM)

Every message is one sentence in the same order: where, what happened, what mmcore did about it,
what to do now.  :class:`ExitCode` is the only place that holds the numbers.
"""

from collections.abc import Sequence
from enum import IntEnum
from os import PathLike, fspath
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit status of every command, safe for a supervisor to act on."""

    OK = 0
    DEFECT = 1
    CONFIG = 2
    DATA = 3
    VENUE = 4
    SAFETY = 5
    INTERRUPTED = 130


class MmcoreError(Exception):
    """Root of the tree.

    what: what happened, no capital letter and no full stop.  where: file, line, order, address.
    done: what mmcore did about it.  todo: what the user can do now.  Parts left out are left out
    of the sentence.  Instances survive pickling, so they cross process borders whole.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.DEFECT

    def __init__(self, what: str, *, where: str = "", done: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.done = done
        self.todo = todo

    def __str__(self) -> str:
        sentence = f"{self.where}: {self.what}" if self.where else self.what
        return "; ".join(part for part in (sentence, self.done, self.todo) if part)


class ConfigError(MmcoreError):
    """The configuration cannot be used.

    faults: every problem found, in the order of the file; details: the same as text, shown below
    the sentence.
    """

    exit_code = ExitCode.CONFIG

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        done: str = "",
        todo: str = "",
        faults: Sequence[object] = (),
        details: str = "",
    ) -> None:
        super().__init__(what, where=where, done=done, todo=todo)
        self.faults = tuple(faults)
        self.details = details

    def __str__(self) -> str:
        return "\n".join(part for part in (super().__str__(), self.details) if part)


class UsageError(MmcoreError):
    """The command line, or a call of the library, does not fit together."""

    exit_code = ExitCode.CONFIG


class DataError(MmcoreError):
    """An input cannot be used.

    file: the input; line: its line, counted from 1, 0 where lines have no meaning; record: the
    message or row, counted from 1, 0 where unknown.  They become the ``where`` of the sentence.
    """

    exit_code = ExitCode.DATA

    def __init__(
        self,
        what: str,
        *,
        file: str | PathLike[str] = "",
        line: int = 0,
        record: int = 0,
        done: str = "",
        todo: str = "",
    ) -> None:
        place = fspath(file)
        if line:
            place = f"{place}:{line}" if place else f"line {line}"
        if record:
            place = f"{place}, record {record}" if place else f"record {record}"
        super().__init__(what, where=place, done=done, todo=todo)
        self.file = fspath(file)
        self.line = line
        self.record = record


class NoDataError(DataError):
    """The input is readable but holds nothing to run on."""


class VenueError(MmcoreError):
    """A venue refused a request, or its answer cannot be understood."""

    exit_code = ExitCode.VENUE


class NetworkError(VenueError):
    """A venue cannot be reached."""


class SafetyStop(MmcoreError):
    """mmcore stopped itself before harm was done."""

    exit_code = ExitCode.SAFETY


class Interrupted(MmcoreError):
    """The user asked for the end; what was finished until then is kept."""

    exit_code = ExitCode.INTERRUPTED
