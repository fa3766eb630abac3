"""Credentials: from environment variables or a private file, checked before any network.

They are held in :class:`mmcore.gateway.Keys`, which shows nothing of them.  What is wrong is said
with the variable's name and every way to supply it, never with its value.
"""

from __future__ import annotations

import re
import stat
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .gateway import Keys
from .spelling import nearest

PREFIX = "MMCORE_"
FILE_BYTES_MAX = 1 << 16
OTHERS = stat.S_IRWXG | stat.S_IRWXO  # what a private file allows to nobody else


@dataclass(frozen=True, slots=True)
class _Part:
    """One half of a venue's credentials: its name in a file, and how the venue writes it."""

    name: str
    form: re.Pattern[str]
    words: str

    def variable(self, owner: str) -> str:
        """The environment variable of this part; ``owner`` as a venue or family is written."""
        return f"{PREFIX}{owner}_{self.name}".upper().replace("-", "_")


_LETTERS = r"[A-Za-z0-9]"
_PARTS: Mapping[str, tuple[_Part, _Part]] = {
    "binance": (
        _Part("key", re.compile(_LETTERS + "{64}"), "64 letters and digits"),
        _Part("secret", re.compile(_LETTERS + "{64}"), "64 letters and digits"),
    ),
    "bybit": (
        _Part("key", re.compile(_LETTERS + "{12,64}"), "12 to 64 letters and digits, often 18"),
        _Part("secret", re.compile(_LETTERS + "{24,64}"), "24 to 64 letters and digits, often 36"),
    ),
    "hyperliquid": (
        _Part("address", re.compile("0x[0-9a-fA-F]{40}"), "0x and 40 hex digits"),
        _Part("private_key", re.compile("(0x)?[0-9a-fA-F]{64}"), "0x and 64 hex digits"),
    ),
}


def family_of(venue: str) -> str:
    """Whose keys a venue takes: "bybit" for both products of Bybit."""
    return venue.partition("-")[0]


def keys_of(venue: str, environ: Mapping[str, str], file: str | None = None) -> Keys:
    """The keys for one venue: of its product ("binance-spot"), else of its family ("binance").

    environ: the environment variables; they go before the file.  file: a TOML file with a table for
    each venue.  Raises ConfigError, saying which variable and all ways to supply it, where a part
    is missing or not as the venue writes it, and for a file that others may read.
    """
    family = family_of(venue)
    tables = read_file(Path(file)) if file is not None else {}
    found = [_part(venue, part, environ, tables, file) for part in _PARTS[family]]
    if found[0] == found[1]:
        first, second = (part.variable(family) for part in _PARTS[family])
        raise _refusal(venue, f"{first} and {second} are the same text: one was copied twice", file)
    return Keys(found[0], found[1])


def _part(
    venue: str,
    part: _Part,
    environ: Mapping[str, str],
    tables: Mapping[str, Any],
    file: str | None,
) -> str:
    for owner in (venue, family_of(venue)):
        name = part.variable(owner)
        if name in environ:
            return _checked(venue, part, environ[name], name, file)
        table = tables.get(owner)
        if isinstance(table, dict) and part.name in table:
            return _checked(venue, part, table[part.name], f"{part.name} in [{owner}]", file)
    name = part.variable(family_of(venue))
    near = nearest(name, [key for key in environ if key.startswith(PREFIX)])
    typo = f", but {near} is: a slip in its name?" if near else ""
    raise _refusal(venue, f"{name} is not set{typo}", file)


def _checked(venue: str, part: _Part, text: object, name: str, file: str | None) -> str:
    if isinstance(text, str) and part.form.fullmatch(text):
        return text
    if not isinstance(text, str) or not text.strip():
        wrong = "is empty"
    elif part.form.fullmatch(text.strip(" \t\r\n'\"")):
        wrong = "has blanks or quotes around it"
    else:
        wrong = f"is not as {family_of(venue)} writes it ({part.words}; it has {len(text)})"
    raise _refusal(venue, f"{name} {wrong}", file)


def _refusal(venue: str, what: str, file: str | None) -> ConfigError:
    family = family_of(venue)
    first, second = _PARTS[family]
    there = f"in {file}" if file else "in a file that live.keys_file names"
    return ConfigError(
        what,
        where=venue,
        done="nothing was started, and no network was used",
        todo=(
            f"export {first.variable(family)} and {second.variable(family)}, or write "
            f"{first.name} and {second.name} under [{family}] {there} (chmod 600)"
        ),
    )


def read_file(path: Path) -> dict[str, Any]:
    """The tables of a keys file.  Raises ConfigError where others may read it, or it is no TOML."""

    def wrong(what: str, todo: str) -> ConfigError:
        return ConfigError(what, where=str(path), done="nothing was started", todo=todo)

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > FILE_BYTES_MAX:
            raise wrong("is not a keys file", "name a small TOML file in live.keys_file")
        if sys.platform != "win32" and status.st_mode & OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            raise wrong(
                f"others on this machine may read or change it (mode {mode:04o})",
                f"type chmod 600 {path}",
            )
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise wrong(
            f"the keys file cannot be read ({error.strerror})", "mend live.keys_file, or its rights"
        ) from None
    except ValueError as error:  # not TOML, or not UTF-8: its text is not repeated here
        line = re.search(r"line \d+", str(error))
        at = f" ({line[0]})" if line else ""
        raise wrong(
            f"the keys file is not valid TOML{at}",
            'write [bybit], key = "..." and secret = "...", a line each',
        ) from None


__all__ = ["family_of", "keys_of", "read_file"]
