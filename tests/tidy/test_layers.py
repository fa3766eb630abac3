"""Imports go downwards only, by the table of docs/architecture.md."""

import ast
import re
from pathlib import Path

import pytest

ROW = re.compile(r"^\| (?P<layer>\d+) \| (?P<names>`[^|]+) \|", re.MULTILINE)
CIMPORT = re.compile(
    r"^\s*from\s+(?:mmcore)?\.(?P<module>\w+)\s+c?import\b"
    r"|^\s*from\s+(?:mmcore|\.)\s+c?import\s+(?P<names>[\w, ]+)"
    r"|^\s*c?import\s+mmcore\.(?P<direct>\w+)",
    re.MULTILINE,
)
# What a venue's decoder may know of the house: border types and the scanner.
ADAPTERS_MAY_USE = {
    "_intake", "_rate", "_scan", "errors", "events", "gateway", "instrument", "venue",
}  # fmt: skip


@pytest.fixture(scope="module")
def layers(root: Path) -> dict[str, int]:
    """Module name to layer, as the page says."""
    text = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    return {
        name: int(row["layer"])
        for row in ROW.finditer(text)
        for name in re.findall(r"`(\w+)(?:\.\w+)?`", row["names"])
    }


def uses(source) -> set[str]:
    """The modules of mmcore that a source imports or cimports, wherever in the file it does."""
    found = set()
    if source.suffix in {".pyx", ".pxd"}:
        for match in CIMPORT.finditer(source.text):
            found |= {match["module"], match["direct"]} - {None}
            found |= {name.strip() for name in (match["names"] or "").split(",")} - {""}
        return found
    depth = source.name.count("/") if source.name.startswith("mmcore/") else 0
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.ImportFrom):
            found |= _from(node, depth)
        elif isinstance(node, ast.Import):
            parts = (alias.name.split(".") for alias in node.names)
            found |= {part[1] for part in parts if part[0] == "mmcore" and len(part) > 1}
    return found


def _from(node: ast.ImportFrom, depth: int) -> set[str]:
    """depth: dots that lead to mmcore itself, 0 from outside of it."""
    path = (node.module or "").split(".")
    if node.level == 0:
        if path[0] != "mmcore":
            return set()
        path = path[1:]
    elif node.level != depth:
        return set()  # a sibling within adapters/ or mmcore/box/
    path = [part for part in path if part]
    return {path[0]} if path else {alias.name for alias in node.names}


def test_every_module_stands_in_the_table_and_every_row_exists(package, layers):
    modules = {
        source.module
        for source in package
        if source.name.startswith("mmcore/") and not source.module.startswith("__init__")
    }
    assert modules == set(layers)


def test_a_module_uses_only_lower_layers(package, layers):
    problems = [
        f"{source.name} (layer {layers[source.module]}) uses {used} (layer {layers[used]})"
        for source in package
        if source.name.startswith("mmcore/") and source.module in layers
        for used in sorted(uses(source) & set(layers))
        if used != source.module and layers[used] >= layers[source.module]
    ]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_the_core_is_compiled_without_the_shell(package, layers):
    compiled = {source.module for source in package if source.suffix in {".pyx", ".pxd"}}
    shell = set(layers) - compiled - {"errors", "events"}
    problems = [
        f"{source.name} uses {sorted(uses(source) & shell)}"
        for source in package
        if source.suffix in {".pyx", ".pxd"} and uses(source) & shell
    ]
    assert not problems


def test_nothing_in_mmcore_imports_the_adapters(package):
    """Venues arrive by entry point; see docs/architecture.md."""
    by_text = re.compile(r"import_module\([^)]*adapters")
    problems = [
        source.name
        for source in package
        if source.name.startswith("mmcore/")
        and ("adapters" in uses(source) or by_text.search(source.text))
    ]
    assert not problems


def test_adapters_use_the_border_types_only(package):
    problems = {
        source.name: sorted(extra)
        for source in package
        if source.name.startswith("adapters/") and (extra := uses(source) - ADAPTERS_MAY_USE)
    }
    assert not problems
