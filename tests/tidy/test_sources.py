"""House rules that a reader of the sources can check line by line; see CONTRIBUTING.md."""

import ast
import re
from collections.abc import Iterable

import pytest

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 600
COLUMNS_MAX = 100
BANNED_NAMES = {"manager", "handler", "helper", "helpers", "util", "utils", "dummy"}

# Split, so that this file does not trip over itself.
UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", r"for " + r"now\b")))
OF_A_MACHINE = re.compile(
    "|".join(
        (
            r"/wo" + r"rk/",
            r"/ro" + r"ot/",
            r"/ho" + r"me/\w",
            r"/tm" + r"p/\w",
            r"\.libr" + r"ary\b",
            r"\bpypi\." + r"org",
            r"pythonhosted\." + r"org",
            r"deb\." + r"debian\.org",
        )
    )
)
ALLOCATION = re.compile(r"\b(?:malloc|calloc|realloc|aligned_alloc|posix_memalign)\s*\(")
MAY_ALLOCATE = re.compile(r"^(?:__cinit__|reserve(?:_orders)?)$|_(?:alloc|new)$")
CALL_OF_ALLOCATOR = re.compile(r"\b(\w+_(?:alloc|new))\s*\(")


def words(name: str) -> set[str]:
    """The words of an identifier, in snake or camel case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def fail_on(problems: Iterable[str]) -> None:
    if found := list(problems):
        pytest.fail("\n".join(found), pytrace=False)


def test_a_function_fits_one_screen(code):
    fail_on(
        f"{source.name}:{function.line}: {function.name} has {len(function.lines)} lines, "
        f"at most {FUNCTION_LINES_MAX}"
        for source in code
        for function in source.functions()
        if len(function.lines) > FUNCTION_LINES_MAX
    )


def test_a_file_holds_one_idea(code):
    fail_on(
        f"{source.name}: {len(source.lines)} lines, at most {FILE_LINES_MAX}"
        for source in code
        if len(source.lines) > FILE_LINES_MAX
    )


def test_a_line_fits_the_columns(code):
    fail_on(
        f"{source.name}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"
        for source in code
        for number, line in enumerate(source.lines, 1)
        if len(line) > COLUMNS_MAX
    )


def test_names_are_nouns_of_the_trade(code):
    named = [(source.name, 1, source.module) for source in code]
    for source in code:
        named += [(source.name, function.line, function.name) for function in source.functions()]
        if source.suffix == ".py":
            tree = ast.walk(ast.parse(source.text))
            named += [(source.name, n.lineno, n.name) for n in tree if isinstance(n, ast.ClassDef)]
        else:
            classes = re.finditer(r"^\s*(?:cdef )?class (\w+)", source.text, re.MULTILINE)
            named += [(source.name, 0, match[1]) for match in classes]
    fail_on(
        f"{file}:{line}: {name}: {', '.join(banned)} says nothing; name what it is"
        for file, line, name in named
        if (banned := sorted(words(name) & BANNED_NAMES))
    )


def test_nothing_is_left_unfinished(files):
    fail_on(
        f"{source.name}:{number}: {line.strip()}"
        for source in files
        for number, line in enumerate(source.lines, 1)
        if UNFINISHED.search(line)
    )


def test_nothing_names_a_machine_or_a_registry(files):
    fail_on(
        f"{source.name}:{number}: {match[0]}"
        for source in files
        for number, line in enumerate(source.lines, 1)
        if (match := OF_A_MACHINE.search(line))
    )


def test_memory_is_taken_at_construction_only(package):
    """Allocation stands in ``__cinit__``, ``reserve…``, or ``*_alloc`` and ``*_new`` they call."""
    problems = []
    for source in package:
        if source.suffix != ".pyx":
            continue
        for function in source.functions():
            if MAY_ALLOCATE.search(function.name):
                continue
            for number, line in enumerate(function.lines, function.line):
                statement = line.split("#")[0]
                if ALLOCATION.search(statement) or CALL_OF_ALLOCATOR.search(statement):
                    problems.append(f"{source.name}:{number}: {function.name}: {line.strip()}")
    fail_on(problems)


def test_the_core_keeps_to_the_plain_constructs(package):
    """No fused types, textual include, C++, DEF, nor taking the GIL back below the shell."""
    fancy = re.compile(
        r"^\s*(?:ctypedef fused|include\s+['\"]|DEF |IF )|distutils: language|\bwith gil\b"
    )
    fail_on(
        f"{source.name}:{number}: {line.strip()}"
        for source in package
        if source.suffix in {".pyx", ".pxd"}
        for number, line in enumerate(source.lines, 1)
        if fancy.search(line)
    )
