"""What is wrong with a text that is no TOML, where, and what was probably meant."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable

from .faults import Fault, is_secret, masked
from .quantities import number_of

SHOWN_MAX = 80  # characters of a line that is quoted back
STATEMENT_MAX = 200  # lines that one statement may go over and still be found

_REPAIRS = {
    "Invalid value": 'text in quotes ("grid"), numbers as 1.5, yes and no as true and false',
    "Expected '='": "write key = value, one on a line",
    "Cannot overwrite": "remove one of the two",
    "Cannot declare": "keep one of the two; a list of tables has double brackets",
    "Cannot mutate": "remove one of the two",
    "Unterminated string": "close the quote",
    "Illegal character": "close the quote, or remove the unprintable character",
    "Unclosed array": "close the bracket",
    "Unclosed inline table": "close the brace on the same line",
    "Expected newline": "one key = value on a line; nothing but a comment behind it",
    "Expected ']'": "close the bracket",
    "Exceeds the limit": "write a shorter number",
    "maximum recursion": "write fewer brackets inside each other",
}
_OPEN = ("Unclosed array", "Unterminated string")  # what is wrong began earlier than it is noticed
_NAME = re.compile(r"[^\s,']+")
_PAIR = re.compile(r"(?P<key>[\w.-]+)(?P<mark>\s*[=:]\s*)(?P<value>.+?)(?P<note>\s+#.*)?")
_WORDS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false"}
_DOUBLE, _SINGLE = "\u201c\u201d\u201e\u201f\u00ab\u00bb", "\u2018\u2019"  # as editors write them
_QUOTES = str.maketrans(_DOUBLE + _SINGLE, '"' * len(_DOUBLE) + "'" * len(_SINGLE))


def syntax_fault(file: str, text: str, error: Exception) -> Fault:
    """The fault of a text that ``tomllib`` has refused with ``error``."""
    what, _, where = str(error).partition(" (at ")
    position = re.match(r"line (\d+), column (\d+)", where)
    if position and not what.startswith(_OPEN):
        line, column = int(position[1]), int(position[2])
    elif position:
        line, column = _statement(text, int(position[1])), 1
    else:
        line, column = _statement(text, text.rstrip("\n").count("\n") + 1), 1
    lines = text.split("\n")
    written = lines[line - 1].strip() if line <= len(lines) else ""
    name = re.split(r"[=:]", written, maxsplit=1)[0].strip()
    found = _shown(written)
    if is_secret(written):
        found = f"{name} = (hidden)" if is_secret(name) else "(hidden)"
    twice = re.match(r"Cannot declare \((.*)\) twice", what)
    if twice:
        what = f"[{'.'.join(_NAME.findall(twice[1]))}] stands twice"
        repair = _REPAIRS["Cannot declare"]
        return Fault(file, line, column, "", found, f"valid TOML: {what}", repair)
    if what.startswith("Cannot overwrite") and written.startswith("[["):
        rule = f"valid TOML: {written.strip('[]')} is a single table already"
        return Fault(file, line, column, "", found, rule, f"write {written} wherever it stands")
    rule = "valid TOML: " + (what[:1].lower() + what[1:] if what else type(error).__name__)
    return Fault(file, line, column, "", found, rule, _repair(text, written, what))


def _repair(text: str, written: str, what: str) -> str:
    if text.lstrip().startswith("{") and _is_json(text):
        return "this is JSON; `python -m mmcore init` writes a configuration, in TOML"
    meant = "" if is_secret(written) else _meant(written)
    if meant:
        return masked(meant)
    if what.startswith("Invalid initial character") and "{" in written:
        return "a table in braces stays on one line, without a comma at its end"
    if not written.isascii() and what.startswith("Expected '='"):
        return "write key = value; a key has letters a to z, digits, _ and -"
    for start, repair in _REPAIRS.items():
        if what.startswith(start):
            return repair
    return "one key = value on a line, see toml.io"


def _shown(line: str) -> str:
    return masked("".join(c if c.isprintable() else "?" for c in line[:SHOWN_MAX]))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


# -- what was meant ------------------------------------------------------------------------------


def _meant(line: str) -> str:
    """The statement that a line was probably meant to be, "" where none is plain."""
    pair = _PAIR.fullmatch(line)
    if pair is None or _parses(line):  # by itself it is right: what is wrong stands elsewhere
        return ""
    value = pair["value"].translate(_QUOTES).rstrip(";, ")
    for reading in _READINGS:
        said = f"{pair['key']} = {reading(value)}"
        if _parses(said):
            return said
    return ""


def _parses(line: str) -> bool:
    try:
        tomllib.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _number(value: str) -> str:
    return number_of(value) if re.fullmatch(r"[+-]?[\d.,_]+(?:[eE][+-]?\d+)?", value) else ""


def _word(value: str) -> str:
    if not re.fullmatch(r"[^\W\d][\w.:/-]*", value):
        return ""
    return _WORDS.get(value.lower(), f'"{value}"')


def _path(value: str) -> str:
    """A path of Windows: in single quotes a backslash is a backslash."""
    return value.replace('"', "'") if "\\" in value and "'" not in value else ""


def _braces(value: str) -> str:
    return re.sub(r",\s*}$", " }", value)


_READINGS: tuple[Callable[[str], str], ...] = (str, _number, _word, _path, _braces)


def _statement(text: str, line: int) -> int:
    """Where the statement begins that cannot be read on at ``line``."""
    lines = text.split("\n")
    for count in range(min(line, len(lines)) - 1, max(-1, line - STATEMENT_MAX), -1):
        try:
            tomllib.loads("\n".join(lines[:count]))
        except (ValueError, RecursionError):
            continue
        return count + 1
    return 1 if line <= STATEMENT_MAX else line
