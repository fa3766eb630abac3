"""Who we are at a venue: the prefix of our client order ids, and the number of this start.

Both are kept beside the runs of an installation.  The epoch of a start is on the disk before the
first order may leave, so that no id is used twice, whatever dies when.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import ConfigError
from .gateway import EPOCH_DIGITS, PREFIX_DIGITS, ClientIds

NAME = "installation.json"
LOCK_NAME = ".installation.lock"
WRITABLE = "name a writable folder with `directory` under [run]"


def claim(root: Path, now_s: int) -> ClientIds:
    """The ids of a new start: the installation's prefix, an epoch above every earlier one.

    root: where the runs are kept.  now_s: unix seconds.  Raises ConfigError where it cannot be
    written, or is damaged: a guess could use an id twice.
    """
    path = root / NAME
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / LOCK_NAME):
            prefix, last = _read(path)
            ids = ClientIds(prefix, max(last + 1, now_s))
            _write(path, {"prefix": ids.prefix, "epoch": ids.epoch})
    except OSError as error:
        raise ConfigError(
            f"the number of this start cannot be kept ({error.strerror or error})",
            where=str(path),
            done="nothing was started",
            todo=WRITABLE,
        ) from None
    return ids


def _read(path: Path) -> tuple[str, int]:
    """Prefix and last epoch; new ones where there is no file yet."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return secrets.token_hex(PREFIX_DIGITS // 2), 0
    try:
        said = json.loads(text)
        ids = ClientIds(said["prefix"], said["epoch"])
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            "is damaged: it holds the prefix of our orders and the number of the last start",
            where=str(path),
            done="nothing was started",
            todo="restore it, or, when no order of ours can be open anywhere, remove it",
        ) from None
    if ids.epoch >= 16**EPOCH_DIGITS - 1:
        raise ConfigError(
            "the number of starts is used up", where=str(path), done="nothing was started"
        )
    return ids.prefix, ids.epoch


def _write(path: Path, facts: dict[str, object]) -> None:
    beside = path.with_suffix(".new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    with suppress(OSError):  # not every file system lets a folder be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; freed by the system when its holder dies."""
    with path.open("a") as file:
        try:
            import fcntl
        except ImportError:  # Windows: runs there start one at a time by hand
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


__all__ = ["claim"]
