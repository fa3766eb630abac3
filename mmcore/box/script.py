"""Fault scripts as files: TOML, one ``[[fault]]`` table a fault, every mistake with its line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

from mmcore.errors import ConfigError
from mmcore.faults import Fault as Mistake
from mmcore.faults import FaultList, report
from mmcore.places import places
from mmcore.spelling import nearest
from mmcore.syntax import syntax_fault

from .faults import Do, Fault, nameless, wrong

BYTES_MAX = 1 << 20
VENUES = ("binance", "bybit", "hyperliquid")

# Field -> what it may be, and an example of it.
_KINDS: Mapping[str, tuple[type | tuple[type, ...], str, str]] = {
    "do": (str, f"one of {', '.join(Do)}", '"drop"'),
    "where": (str, "a place, as text", '"stream:depth"'),
    "venue": (str, f"one of {', '.join(VENUES)}, or left out for all", '"binance"'),
    "at_s": ((int, float), "seconds, a number", "5.0"),
    "after_n": (int, "a whole number", "100"),
    "count": (int, "a whole number, 0 for all", "1"),
    "seconds": ((int, float), "seconds, a number", "2.0"),
    "chance": ((int, float), "a probability, 0 to 1", "0.5"),
    "ms": ((int, float), "milliseconds, a number", "500"),
    "status": (int, "an HTTP status", "429"),
    "code": (int, "the venue's own code, a whole number", "-1003"),
    "text": (str, "text", '"Too many requests."'),
    "retry_s": (int, "seconds, a whole number", "5"),
}
assert set(_KINDS) == {field.name for field in fields(Fault)}


def load(path: str | Path) -> tuple[Fault, ...]:
    """The faults of a file, in its order.

    Raises ConfigError, with every mistake and its line, for a file that cannot be used.
    """
    path = Path(path)
    try:
        size = path.stat().st_size if path.is_file() else 0
        if size > BYTES_MAX:
            raise _unreadable(path, f"has {size} bytes, a script at most {BYTES_MAX}")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise _unreadable(path, "is not text (UTF-8)") from None
    return loads(text, file=str(path))


def loads(text: str, file: str = "fault script") -> tuple[Fault, ...]:
    """The faults of a script given as text; ``file`` is what mistakes name.  Raises ConfigError."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refusal(file, [syntax_fault(file, text, error)]) from None
    mistakes = FaultList(file, places(text))
    for name in data:
        if name != "fault":
            mistakes.add((name,), "a script holds [[fault]] tables", "write [[fault]]")
    tables = data.get("fault", [])
    if not isinstance(tables, list):
        mistakes.add(("fault",), "a list of tables", "write [[fault]], with two brackets")
        tables = []
    script = [_fault(table, i, mistakes) for i, table in enumerate(tables)]
    if mistakes.faults:
        raise _refusal(file, mistakes.in_order())
    return tuple(fault for fault in script if fault is not None)


def _fault(table: Any, i: int, mistakes: FaultList) -> Fault | None:
    at = ("fault", i)
    if not isinstance(table, dict):
        mistakes.add(at, "a table of keys", "write [[fault]] and the keys below it")
        return None
    before = len(mistakes.faults)
    for name, value in table.items():
        _check(name, value, (*at, name), mistakes)
    for name in ("do", "where"):
        if name not in table:
            rule, example = _KINDS[name][1:]
            mistakes.add(at, rule, f"write {name} = {example}", missing=name)
    if len(mistakes.faults) > before:
        return None
    fault = Fault(**{**table, "do": Do(table["do"])})
    for name, rule, repair in chain(wrong(fault), nameless(fault)):
        if name in table:
            mistakes.add((*at, name), rule, repair)
        else:
            mistakes.add(at, rule, repair, missing=name)
    return fault


def _check(name: str, value: Any, path: tuple[str | int, ...], mistakes: FaultList) -> None:
    if name not in _KINDS:
        near = nearest(name, _KINDS)
        repair = f"write {near}" if near else "take it out"
        mistakes.add(path, f"keys are {', '.join(_KINDS)}", repair)
        return
    kind, rule, example = _KINDS[name]
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if fits and isinstance(value, float):
        fits = isfinite(value) and abs(value) < 1e9
    if fits and isinstance(value, int):
        fits = abs(value) < 1e9
    choices = {"do": tuple(Do), "venue": VENUES}.get(name)
    if fits and choices and value not in choices:
        near = nearest(value, choices)
        mistakes.add(
            path, rule, f'write {name} = "{near}"' if near else f"write {name} = {example}"
        )
    elif not fits:
        mistakes.add(path, rule, f"write {name} = {example}")


def _refusal(file: str, mistakes: list[Mistake]) -> ConfigError:
    count = "1 problem" if len(mistakes) == 1 else f"{len(mistakes)} problems"
    return ConfigError(
        count,
        where=file,
        done="nothing was started",
        todo="repair the lines below",
        faults=mistakes,
        details=report(mistakes),
    )


def _unreadable(path: Path, what: str) -> ConfigError:
    return ConfigError(
        what, where=str(path), done="nothing was started", todo="name a fault script"
    )
