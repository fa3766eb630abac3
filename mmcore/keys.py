"""How a configuration key is described beside its type, and how the descriptions are read."""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields as struct_fields


class Key(NamedTuple):
    """What a field's annotation says about its key.

    unit: unit of the value, or the choice it makes.  why: the reason for the default.  Bounds are
    inclusive (``least``, ``most``) or not (``above``, ``below``).  auto: what an absent key stands
    for, where the default is None.  example: a value as it is written, where no default shows one.
    """

    unit: str
    why: str
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    auto: str = ""
    example: str = ""


class Field(NamedTuple):
    """One key of a table, as :func:`fields` lists them.

    name: the key.  attribute: the struct's field.  kind: its type without annotation and None.
    default: None where the key may be absent (``key.auto`` says what it then stands for).
    """

    name: str
    attribute: str
    kind: Any
    key: Key
    default: object
    needed: bool


@cache
def fields(table: type[Struct]) -> tuple[Field, ...]:
    """The keys of one table in the order of the struct."""
    hints = get_type_hints(table, include_extras=True)
    found = []
    for item in struct_fields(table):
        hint = hints[item.name]
        if get_origin(hint) is not Annotated:
            continue  # filled in by the loader, no key
        kind, key = get_args(hint)
        if NoneType in get_args(kind):
            kind = next(part for part in get_args(kind) if part is not NoneType)
        default = item.default
        if default is NODEFAULT and item.default_factory is not NODEFAULT:
            default = item.default_factory()
        found.append(
            Field(item.encode_name, item.name, kind, key, default, needed=default is NODEFAULT)
        )
    return tuple(found)
