"""What is wrong with a configuration: one fault a problem, each with its place and its repair."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from .keys import Field
from .places import Path, Place

LINES_MAX = 38  # of all faults together: with heading and last line a report stays within 40
FOUND_MAX = 60  # characters of a value that is quoted back

# Values behind such names are never shown, logged or stored.
_SECRET = re.compile(
    r"secret|passw|token|wallet|mnemonic|seed_phrase|(api|private|sign).*key", re.IGNORECASE
)


# Letters and digits without a break, both of them, longer than any name: how venues write keys.
_KEY = re.compile(r"(?=[A-Za-z0-9]*[0-9])(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{32,}")


class Fault(NamedTuple):
    """One problem of a configuration file.

    line, column: counted from 1.  key: dotted path with indexes, as ``instrument[0].symbol``.
    found: the value as written.  rule: what holds for it, with the unit.  repair: what to write.
    """

    file: str
    line: int
    column: int
    key: str
    found: str
    rule: str
    repair: str

    def __str__(self) -> str:
        return f"{self.head()}\n  rule:   {self.rule}\n  repair: {self.repair}"

    def head(self) -> str:
        """Place, key and value in one line."""
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.key}{' = ' if self.key and self.found else ''}{self.found}"


class Contradiction(NamedTuple):
    """One rule broken by several keys.

    path: the key to repair first.  rule, repair: as in a fault.  others: the other keys it needs;
    where one of them is faulty itself, the rule is not judged.
    """

    path: Path
    rule: str
    repair: str
    others: tuple[Path, ...] = ()


def report(faults: Sequence[Fault], lines_max: int = LINES_MAX) -> str:
    """All faults as text: three lines each, one line each when they are many."""
    if 3 * len(faults) <= lines_max:
        return "\n".join(map(str, faults))
    lines = [f"{fault.head()} -- {fault.rule} -- {fault.repair}" for fault in faults]
    if len(lines) > lines_max:
        rest = len(lines) - lines_max + 1
        lines = [*lines[: lines_max - 1], f"and {rest} more; repair these first"]
    return "\n".join(lines)


class FaultList:
    """Collects faults of one file; knows where everything in it stands."""

    def __init__(self, file: str, places: dict[Path, Place]) -> None:
        self.file = file
        self.places = places
        self.faults: list[Fault] = []
        self.paths: set[Path] = set()

    def add(
        self, path: Path, rule: str, repair: str, *, missing: str = "", guessed: bool = False
    ) -> None:
        """Note a fault at ``path``; ``missing`` names a key that should be in that table.

        guessed: the value that was meant is plain, and stands in for the wrong one from here on.
        """
        at = path
        while at not in self.places:
            at = at[:-1]
        place = self.places[at]
        key = dotted((*path, missing) if missing else path)
        found = "(missing)" if missing or at != path else shown(path, place.text)
        self.faults.append(Fault(self.file, place.line, place.column, key, found, rule, repair))
        if not guessed:
            self.paths.add((*path, missing) if missing else path)

    def touched(self, path: Path) -> bool:
        """Whether a fault stands at ``path``, in it or around it."""
        return any(path[: len(p)] == p or p[: len(path)] == path for p in self.paths)

    def in_order(self) -> list[Fault]:
        """The faults in the order of the file."""
        return sorted(self.faults, key=lambda fault: (fault.line, fault.column))


def is_secret(name: str) -> bool:
    """Whether a key's name says that its value is a credential."""
    return _SECRET.search(name) is not None


def looks_secret(text: str) -> bool:
    """Whether a value as a whole is written as venues write keys."""
    return _KEY.fullmatch(text.strip()) is not None


def masked(text: str) -> str:
    """A line of text without whatever is written as venues write keys."""
    return _KEY.sub("(hidden)", text)


def shown(path: Path, text: str) -> str:
    """A value as written, cut to a readable length; credentials are hidden."""
    if any(isinstance(part, str) and is_secret(part) for part in path):
        return "(hidden)"
    text = masked(text)
    plain = " ".join("".join(c if c.isprintable() else "?" for c in text).split())
    return plain if len(plain) <= FOUND_MAX else plain[: FOUND_MAX - 3] + "..."


def dotted(path: Path) -> str:
    """``("instrument", 0, "symbol")`` as ``instrument[0].symbol``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            short = part if len(part) <= FOUND_MAX else f"{part[:FOUND_MAX]}..."
            name = short if re.fullmatch(r"[\w-]+(\.\.\.)?", short) else repr(short)
            text += f".{name}" if text else name
    return text


def number_text(value: float) -> str:
    """A bound or default in its shortest readable form."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e9):
        return str(int(value))
    return f"{value:g}"


def bounds_text(field: Field) -> str:
    """The bounds of a key in words, "" where it has none."""
    key = field.key
    if key.least is not None and key.most is not None:
        return f"{number_text(key.least)} to {number_text(key.most)}"
    parts = []
    if key.above is not None:
        parts.append(f"above {number_text(key.above)}")
    if key.least is not None:
        parts.append(f"at least {number_text(key.least)}")
    if key.below is not None:
        parts.append(f"below {number_text(key.below)}")
    if key.most is not None:
        parts.append(f"at most {number_text(key.most)}")
    return ", ".join(parts)


def toml_text(value: object) -> str:
    """A default as it would be written in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(toml_text, value)) + "]"
    if isinstance(value, float):
        return number_text(value) if value.is_integer() else repr(value)
    return str(value)
