"""Configuration: a TOML file becomes a frozen :class:`Config`, or every fault in it is named.

:func:`load` reads the file once, walks over the schema beside the values, and collects what does
not fit, with the place of each key from :mod:`mmcore.places`; then it looks for values that
contradict each other (:mod:`mmcore.contradictions`).  A syntax error stands alone, because what
follows it cannot be trusted.  Nothing here loads numpy or a compiled module: a mistake is reported
a fraction of a second after Enter.
"""

from __future__ import annotations

import re
import stat
import tomllib
from decimal import Decimal, InvalidOperation
from functools import cache
from math import isfinite
from pathlib import Path as FilePath
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from .contradictions import contradictions
from .errors import ConfigError
from .faults import (
    Fault,
    FaultList,
    bounds_text,
    is_secret,
    looks_secret,
    report,
    toml_text,
)
from .keys import Field, fields
from .places import Path, places
from .quantities import quantity_of
from .schema import (
    AccountConfig,
    Config,
    FeesConfig,
    FeeTierConfig,
    GridConfig,
    InstrumentConfig,
    InventorySkewConfig,
    LimitsConfig,
    LiveConfig,
    MarketConfig,
    RunConfig,
    SimulationConfig,
    SpecConfig,
    SyntheticConfig,
    TwoSidedConfig,
    WeightsConfig,
)
from .spelling import beginning, nearest
from .syntax import syntax_fault

__all__ = [
    "AccountConfig",
    "Config",
    "FeeTierConfig",
    "FeesConfig",
    "GridConfig",
    "InstrumentConfig",
    "InventorySkewConfig",
    "LimitsConfig",
    "LiveConfig",
    "MarketConfig",
    "RunConfig",
    "SimulationConfig",
    "SpecConfig",
    "SyntheticConfig",
    "TwoSidedConfig",
    "WeightsConfig",
    "load",
    "loads",
]

SHORT = 4  # letters: a shorter name is near too many others
BYTES_MAX = 1 << 20  # a configuration is a page of text; anything larger is another file

# Names from other programs and from the strategy documents -> the key that is meant.
_ALIASES = {
    "api_key": "",
    "balance": "asset",
    "balances": "asset",
    "bps": "minimum_spread",
    "commission": "fees",
    "duration": "seconds",
    "exchange": "venue",
    "fee": "fees",
    "hours": "seconds",
    "instruments": "instrument",
    "latency": "entry_latency_ms",
    "latency_ms": "entry_latency_ms",
    "levels": "orders_per_side",
    "maker_bps": "maker",
    "maker_fee": "maker",
    "max_position": "max_position_usd",
    "minutes": "seconds",
    "spread": "minimum_spread",
    "spread_bps": "minimum_spread",
    "symbols": "symbol",
    "taker_bps": "taker",
    "taker_fee": "taker",
    "total_order": "orders_per_side",
}


def load(path: str | FilePath) -> Config:
    """Read and check a configuration file.

    Paths of tapes are taken relative to the file's own folder.  Raises ConfigError, with every
    fault found, for a file that cannot be used.
    """
    path = FilePath(path)
    text = _read(path)
    config = loads(text, file=str(path))
    files = tuple(str(path.parent / _at_home(name)) for name in config.market.files)
    market = msgspec.structs.replace(config.market, files=files)
    named = {"keys_file": config.live.keys_file, "faults": config.live.faults}
    places = {
        name: str(path.parent / _at_home(value))
        for name, value in named.items()
        if value is not None
    }
    live = msgspec.structs.replace(config.live, **places)
    run = msgspec.structs.replace(config.run, directory=str(_at_home(config.run.directory)))
    return msgspec.structs.replace(config, market=market, live=live, run=run, path=str(path))


def _at_home(name: str) -> FilePath:
    """A path with its ``~`` expanded; as it is where nobody of that name has a home here."""
    try:
        return FilePath(name).expanduser()
    except RuntimeError:
        return FilePath(name)


def loads(text: str, file: str = "configuration") -> Config:
    """Check a configuration given as text; ``file`` is what faults name.  Raises ConfigError."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        data = tomllib.loads(text, parse_float=_decimal)
    except (ValueError, RecursionError) as error:
        raise _refusal(file, [syntax_fault(file, text, error)]) from None
    faults = FaultList(file, places(text))
    values = _table(Config, data, (), faults)
    config: Config = msgspec.convert(values, Config, strict=True)
    for found in contradictions(config, data):
        if not any(faults.touched(path) for path in (found.path, *found.others)):
            faults.add(found.path, found.rule, found.repair)
    if faults.faults:
        raise _refusal(file, faults.in_order())
    return msgspec.structs.replace(config, text=text, path=file)


def _refusal(file: str, faults: list[Fault]) -> ConfigError:
    count = "1 problem" if len(faults) == 1 else f"{len(faults)} problems"
    return ConfigError(
        count,
        where=file,
        done="nothing was started",
        todo="repair the lines below",
        faults=faults,
        details=report(faults),
    )


def _read(path: FilePath) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "is a folder" if stat.S_ISDIR(status.st_mode) else "is not a plain file"
            raise _unreadable(path, what, "name a TOML file")
        if status.st_size > BYTES_MAX:
            raise _unreadable(
                path,
                f"has {status.st_size} bytes, a configuration at most {BYTES_MAX}",
                "name a TOML file; a tape is named inside it, under market.files",
            )
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise _unreadable(path, "does not exist", _missing_repair(path)) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _unreadable(
            path,
            f"is not text in UTF-8 (byte {error.start + 1}, line {line})",
            "save it as UTF-8 text; a tape is named inside it, under market.files",
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise _unreadable(path, f"cannot be read: {why}", "check the name and its rights") from None


def _unreadable(path: FilePath, what: str, todo: str) -> ConfigError:
    return ConfigError(what, where=str(path), done="nothing was started", todo=todo)


def _missing_repair(path: FilePath) -> str:
    beside = sorted(p.name for p in path.parent.glob("*.toml")) if path.parent.is_dir() else []
    near = nearest(path.name, beside)
    if near:
        return f"did you mean {path.with_name(near)}?"
    return "write one with `python -m mmcore init`"


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond anything: refused as not finite
        return Decimal("inf")


# -- the walk over the schema --------------------------------------------------------------------


def _table(table: type[Struct], data: dict[str, Any], path: Path, faults: FaultList) -> Any:
    """Values of one table that are right; wrong ones are left out, and noted in ``faults``."""
    known = {field.name: field for field in fields(table)}
    values: dict[str, Any] = {}
    for name, raw in data.items():
        field = known.get(name) or _unknown(table, name, raw, path, faults)
        if field is None:
            continue
        value = _value(field, field.kind, raw, (*path, name), faults)
        if value is not None:
            values.setdefault(field.name, value)
    for field in known.values():
        if field.needed and field.name not in values:
            _missing(field, path, faults)
            values[field.name] = _stand_in(field.kind)
    return values


def _stand_in(kind: Any) -> Any:
    """A value of a type, for a needed one that is not there; it is never traded on."""
    if get_origin(kind) is tuple:
        return [_stand_in(get_args(kind)[0])]
    if issubclass(kind, Struct):
        return {field.name: _stand_in(field.kind) for field in fields(kind) if field.needed}
    return "?" if kind is str else 0


def _missing(field: Field, path: Path, faults: FaultList) -> None:
    if faults.touched((*path, field.name)):
        return
    if field.name == "instrument":
        rule = "at least one [[instrument]] table: what to trade"
        repair = 'add a line [[instrument]] and below it symbol = "BTCUSDT"'
    else:
        rule = f"{field.key.unit}, {field.key.why}"
        repair = f"add {field.name} = {field.key.example}"
    faults.add(path, rule, repair, missing=field.name)


def _unknown(
    table: type[Struct], name: str, raw: Any, path: Path, faults: FaultList
) -> Field | None:
    """Note an unknown key; returns the field probably meant, so that its value is checked too."""
    here = (*path, name)
    if is_secret(name):
        faults.add(
            here,
            "credentials never stand in this file; paper and loopback need none",
            "remove the line; test-net keys come from environment variables or live.keys_file",
        )
        return None
    known = {field.name: field for field in fields(table)}
    rule = f"no key of {_section(path)} has this name"
    home = _home(name, table)
    alias = _ALIASES.get(name, "")
    near = alias if alias in known else "" if home else nearest(name, known)
    if near:
        faults.add(here, rule, f"did you mean {near}?")
        return known[near]
    meant = _header_meant(name, raw) if isinstance(raw, dict) else ""
    home = home or _home_nearby(name, table)
    repair = f"move it to {home}" if home else f"remove it, or use one of {', '.join(known)}"
    faults.add(here, rule, f"did you mean {meant}?" if meant else repair)
    return None


def _header_meant(name: str, keys: dict[str, Any]) -> str:
    """The header of the table probably meant: of that name, else the one that has these keys."""
    known = {header: [field.name for field in fields(kind)] for header, kind in _sections().items()}
    named = [header for header in known if header.strip("[]").rpartition(".")[2] == name]
    if named:
        return named[0]
    shared = {header: len(set(keys) & set(names)) for header, names in known.items()}
    best = max(shared, key=lambda header: shared[header])
    return best if shared[best] else ""


def _section(path: Path) -> str:
    names = [part for part in path if isinstance(part, str)]
    if not names:
        return "the file's top"
    name = ".".join(names)
    return f"[[{name}]]" if isinstance(path[-1], int) or name == "instrument" else f"[{name}]"


@cache
def _sections() -> dict[str, type[Struct]]:
    """Every table by its header as written, those of an instrument last."""
    found: dict[str, type[Struct]] = {}

    def below(table: type[Struct], names: str) -> None:
        for field in fields(table):
            many = get_origin(field.kind) is tuple
            kind = get_args(field.kind)[0] if many else field.kind
            if isinstance(kind, type) and issubclass(kind, Struct):
                name = f"{names}.{field.name}" if names else field.name
                found[f"[[{name}]]" if many else f"[{name}]"] = kind
                below(kind, name)

    below(Config, "")
    return dict(sorted(found.items(), key=lambda item: "instrument" in item[0]))


def _home(name: str, table: type[Struct]) -> str:
    """The section, other than ``table``, that holds a key of that very name, or ""."""
    for section, struct in _sections().items():
        if struct is not table and name in [field.name for field in fields(struct)]:
            return section
    return ""


def _home_nearby(name: str, table: type[Struct]) -> str:
    """The section that holds the key probably meant, and that key, or ""."""
    for section, struct in _sections().items():
        names = [field.name for field in fields(struct)]
        alias = _ALIASES.get(name, "")
        near = alias if alias in names else nearest(name, names) if len(name) > SHORT else ""
        if struct is not table and near:
            return f"{section}, as {near}"
    return ""


def _value(field: Field, kind: Any, raw: Any, path: Path, faults: FaultList) -> Any:
    """The value as the struct wants it, or None where it does not fit (noted in ``faults``)."""
    origin = get_origin(kind)
    if origin is Literal:
        return _choice(field, get_args(kind), raw, path, faults)
    if origin is tuple:
        return _sequence(field, get_args(kind), raw, path, faults)
    if isinstance(kind, type) and issubclass(kind, Struct):
        if isinstance(raw, dict):
            return _table(kind, raw, path, faults)
        faults.add(
            path, f"a table: {field.key.why}", f"write [{_header(path)}] on a line of its own"
        )
        return None
    if kind is bool:
        if isinstance(raw, bool):
            return raw
        meant = {"true": "true", "yes": "true", "1": "true"}.get(str(raw).lower(), "false")
        faults.add(path, "true or false, without quotes", f"{field.name} = {meant}")
        return None
    if kind is str and bounds_text(field):
        return _decimal_text(field, raw, path, faults)
    if kind is str:
        if isinstance(raw, str) and looks_secret(raw):
            faults.add(
                path,
                "this looks like a key; credentials never stand in this file",
                "remove it, and have it replaced at the venue if others may have seen it",
            )
            return None
        if isinstance(raw, str) and raw.strip() and raw.isprintable():
            return raw
        many = field.name == "symbol" and isinstance(raw, list)
        repair = "an [[instrument]] table for each symbol" if many else _repair(field)
        faults.add(path, f"text in quotes: {field.key.unit}, not empty, printable", repair)
        return None
    return _number(field, kind, raw, path, faults)


def _header(path: Path) -> str:
    return ".".join(part for part in path if isinstance(part, str))


def _one_of(choices: tuple[str, ...]) -> str:
    return "one of " + ", ".join(f'"{choice}"' for choice in choices)


def _choice(
    field: Field, choices: tuple[str, ...], raw: Any, path: Path, faults: FaultList
) -> str | None:
    if raw in choices and isinstance(raw, str):
        return raw
    rule = _one_of(choices)
    if field.name == "mode":  # nothing near is guessed where orders are at stake
        hint = f", with `python -m mmcore {raw}`" if raw in {"backtest", "forward"} else ""
        faults.add(path, rule, f'mode = "paper"{hint}')
        return None
    near = nearest(str(raw), choices)
    first_word = re.split(r"[-_ .:]", str(raw), maxsplit=1)[0]
    meant = [near] if near else beginning(str(raw), choices) or beginning(first_word, choices)
    element = isinstance(path[-1], int)
    repair = "one of these, or remove it" if element else _repair(field)
    if raw == "no_funding":
        repair = "remove it, and write funding = false"
    elif meant:
        repair = f"did you mean {_named(field, path)}{' or '.join(map(toml_text, meant))}?"
    faults.add(path, rule, repair, guessed=bool(near))
    return near or None


def _sequence(
    field: Field, kinds: tuple[Any, ...], raw: Any, path: Path, faults: FaultList
) -> list[Any] | None:
    kind = kinds[0]
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _tables(kind, raw, path, faults)
    count = len(kinds) if Ellipsis not in kinds else None
    if not isinstance(raw, list) or (count is not None and len(raw) != count):
        what = "a list" if count is None else f"a list of {count} values"
        known = get_args(kind) if get_origin(kind) is Literal else (raw,)
        one = isinstance(raw, str) and raw in known and count is None and not looks_secret(raw)
        repair = f"{field.name} = [{toml_text(raw)}]" if one else _repair(field)
        faults.add(path, f"{what} in brackets: {_rule(field, kind)}", repair)
        return None
    if count is None and field.default and not raw:
        faults.add(path, f"at least one value: {_rule(field, kind)}", _repair(field))
        return None
    values = [_value(field, kind, item, (*path, index), faults) for index, item in enumerate(raw)]
    return None if any(value is None for value in values) else values


def _tables(kind: type[Struct], raw: Any, path: Path, faults: FaultList) -> list[Any] | None:
    if isinstance(raw, dict):
        faults.add(path, "a list of tables: double brackets", f"write [[{_header(path)}]]")
        return [_table(kind, raw, path, faults)]
    if not isinstance(raw, list) or not raw or not all(isinstance(item, dict) for item in raw):
        faults.add(path, "a list of tables: double brackets", f"write [[{_header(path)}]]")
        return None
    return [_table(kind, item, (*path, index), faults) for index, item in enumerate(raw)]


def _decimal_text(field: Field, raw: Any, path: Path, faults: FaultList) -> str | None:
    try:
        number = Decimal(raw.strip() if isinstance(raw, str) else raw)
    except (InvalidOperation, TypeError, ValueError):
        number = None
    if number is None or isinstance(raw, bool) or not _within(field, number):
        faults.add(path, f"a number: {field.key.unit}, {bounds_text(field)}", _repair(field))
        return None
    return format(number, "f")


def _number(
    field: Field, kind: type, raw: Any, path: Path, faults: FaultList
) -> int | float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        repair = _quantity(field, kind, raw, path) if isinstance(raw, str) else ""
    elif not _within(field, raw):
        # -1 is how others say none
        opposite = field.default is None and _within(field, -raw) and raw < 0 and raw != -1
        repair = f"without the sign: {field.name} = {-raw}" if opposite else ""
    elif kind is int and isinstance(raw, Decimal):
        repair = f"{_named(field, path)}{int(raw)}" if raw == int(raw) else ""
    else:
        return int(raw) if kind is int else float(raw)
    faults.add(path, _rule(field, kind), repair or _repair(field))
    return None


def _named(field: Field, path: Path) -> str:
    """What stands before a value: nothing within a list."""
    return "" if isinstance(path[-1], int) else f"{field.name} = "


def _quantity(field: Field, kind: type, raw: str, path: Path) -> str:
    """The repair of a number in quotes, with or without a unit; "" where it is unclear or wrong."""
    meant = quantity_of(raw, field.key.unit)
    if not meant or not _within(field, Decimal(meant)) or (kind is int and "." in meant):
        return ""
    if meant == raw.strip():
        return f"without quotes: {_named(field, path)}{meant}"
    return f"a plain number of {field.key.unit}: {_named(field, path)}{meant}"


def _within(field: Field, number: int | Decimal) -> bool:
    key = field.key
    try:
        value = float(number)
    except OverflowError:
        return False
    return (
        isfinite(value)
        and (key.least is None or value >= key.least)
        and (key.most is None or value <= key.most)
        and (key.above is None or value > key.above)
        and (key.below is None or value < key.below)
    )


def _rule(field: Field, kind: Any) -> str:
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind))
    word = {int: "a whole number", float: "a finite number", str: "text in quotes"}[kind]
    bounds = bounds_text(field)
    unit = "" if field.key.unit == "number" else f", {field.key.unit}"
    return f"{word}{unit}" + (f": {bounds}" if bounds else "")


def _repair(field: Field) -> str:
    if field.key.example:
        return f"{field.name} = {field.key.example}"
    if field.default is None:
        value = "one of these" if get_origin(field.kind) is Literal else "a value within the rule"
        return f"{value}, or leave {field.name} out ({field.key.auto})"
    return f"{field.name} = {toml_text(field.default)}   (the default)"
