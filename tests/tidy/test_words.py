"""The words of the core say the same in C and in Python: structs, enums, exported names."""

import ast
import re
from enum import EnumType
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import mmcore
from mmcore import _spec, events

C_TYPES = {
    "uint8_t": "|u1",
    "int8_t": "|i1",
    "uint16_t": "<u2",
    "int16_t": "<i2",
    "uint32_t": "<u4",
    "int32_t": "<i4",
    "uint64_t": "<u8",
    "int64_t": "<i8",
    "double": "<f8",
}
STRUCTS = {"Event": "EVENT", "Level": "LEVEL", "Request": "REQUEST", "Record": "RECORD"}
# C enum -> Python enum, and the prefix that C needs and Python does not.
ENUMS = {
    "EventKind": ("Kind", "EV_"),
    "EventFlag": ("Flag", "FLAG_"),
    "RequestKind": ("RequestKind", "RQ_"),
    "TimeInForce": ("TimeInForce", "TIF_"),
    "RejectCode": ("RejectCode", "RJ_"),
    "PaidCode": ("PaidCode", "PAID_"),
    "Reason": ("Reason", "WHY_"),
    "RecordKind": ("RecordKind", "RC_"),
    "EngineStatus": ("Status", "ST_"),
    "ContractKind": ("ContractKind", ""),
    "Suppressed": ("Suppressed", ""),
}


@pytest.fixture(scope="module")
def words(root: Path) -> str:
    return (root / "mmcore" / "_types.pxd").read_text(encoding="utf-8")


def block(text: str, head: str) -> str:
    """The indented lines below ``head``."""
    match = re.search(rf"^{re.escape(head)}:[^\n]*\n((?:[ ]+[^\n]*\n|\n)+)", text, re.MULTILINE)
    assert match, head
    return match[1]


def constants(text: str) -> dict[str, int]:
    return {m[1]: int(m[2]) for m in re.finditer(r"^\s+(\w+)\s*=\s*(-?\d+)", text, re.MULTILINE)}


@pytest.mark.parametrize(("struct", "dtype"), STRUCTS.items())
def test_a_struct_has_the_fields_of_its_dtype(words, struct, dtype):
    fields = re.findall(r"^\s+(\w+) (\w+)", block(words, f"ctypedef struct {struct}"), re.MULTILINE)
    assert [(name, C_TYPES[kind]) for kind, name in fields] == getattr(events, dtype).descr


@pytest.mark.parametrize("name", STRUCTS.values())
def test_a_dtype_has_the_size_and_offsets_that_the_compiler_chose(name):
    size, offsets = _spec.layout()[name]
    dtype: np.dtype = getattr(events, name)
    assert (dtype.itemsize, {key: dtype.fields[key][1] for key in dtype.names}) == (size, offsets)


@pytest.mark.parametrize(("enum", "python"), ENUMS.items())
def test_an_enum_has_the_values_of_its_python_twin(words, enum, python):
    name, prefix = python
    values = constants(block(words, f"cdef enum {enum}"))
    assert {key.removeprefix(prefix): value for key, value in values.items()} == {
        member.name: member.value for member in getattr(events, name)
    }


def test_every_enum_has_a_python_twin(words):
    assert set(re.findall(r"^cdef enum (\w+):", words, re.MULTILINE)) == set(ENUMS)
    here = {name for name, value in vars(events).items() if isinstance(value, EnumType)}
    assert here - {"IntEnum", "IntFlag"} == {name for name, _ in ENUMS.values()}


def test_shared_constants_agree(words):
    values = constants(block(words, "cdef enum"))
    assert {"BID", "ASK", "LEVELS_MAX"} <= values.keys()
    shared = {key: value for key, value in values.items() if hasattr(events, key)}
    assert shared == {key: getattr(events, key) for key in shared}


def test_the_public_names_are_sorted_and_can_be_imported():
    assert list(mmcore._EXPORTS) == sorted(mmcore._EXPORTS)
    assert mmcore.__all__ == sorted(["__version__", *mmcore._EXPORTS])
    for name in mmcore.__all__:
        assert getattr(mmcore, name) is not None, name


def test_type_checkers_see_the_same_public_names_in_the_same_places(root):
    stub = ast.parse((root / "mmcore" / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    assert {a.name: node.module for node in imports for a in node.names} == mmcore._EXPORTS
    (names,) = (node.value for node in stub.body if isinstance(node, ast.Assign))
    assert ast.literal_eval(names) == mmcore.__all__


def test_what_a_module_exports_is_there(package):
    """Their order is the linter's affair (RUF022)."""
    for source in package:
        if source.suffix != ".py" or source.name.endswith("__.py"):
            continue
        path = source.name.removesuffix(".py").replace("/", ".")
        module = import_module(path if path.startswith("mmcore.") else f"mmcore.{path}")
        names = getattr(module, "__all__", [])
        assert [name for name in names if not hasattr(module, name)] == [], source.name


def test_every_compiled_module_has_its_table_of_contents_and_its_manual(package):
    names = {source.name for source in package}
    for source in package:
        if source.suffix == ".pyx":
            assert source.name.replace(".pyx", ".pxd") in names, f"{source.name} has no .pxd"
            assert source.name.replace(".pyx", ".pyi") in names, f"{source.name} has no .pyi"


def test_the_manual_documents_every_public_name(package):
    undocumented = [
        f"{source.name}:{node.lineno}: {node.name}"
        for source in package
        if source.suffix == ".pyi"
        for node in ast.parse(source.text).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node) is None
    ]
    assert not undocumented
