"""The project's own files, as text and as functions, for the tests that read them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

CODE_FOLDERS = ("mmcore", "adapters", "tests", "bench", "docs", "examples", ".ci", ".github")
CODE_SUFFIXES = {".py", ".pyx", ".pxd", ".pyi"}
TEXT_SUFFIXES = CODE_SUFFIXES | {".c", ".md", ".toml", ".yml", ".txt", ".in", ""}

CYTHON_FUNCTION = re.compile(
    r"^(?P<indent>[ ]*)(?:cdef|cpdef|def|async def)\s+"
    r"(?!class\b|struct\b|enum\b|extern\b|union\b)[^=#\n]*?(?P<name>\w+)\s*\("
)


@dataclass(frozen=True)
class Function:
    """A function's name, first line number (1-based) and its lines, signature included."""

    name: str
    line: int
    lines: list[str]


@dataclass(frozen=True)
class Source:
    """One file of the project; ``name`` is its path from the root."""

    root: Path
    name: str

    @cached_property
    def text(self) -> str:
        return (self.root / self.name).read_text(encoding="utf-8")

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    @property
    def module(self) -> str:
        """The short name: ``_book`` for mmcore/_book.pyx, ``box`` for all of mmcore/box."""
        path = Path(self.name)
        return "box" if path.parent.as_posix() == "mmcore/box" else path.stem

    def functions(self) -> Iterator[Function]:
        """Every function with a body, methods and nested ones too."""
        yield from self._python() if self.suffix in {".py", ".pyi"} else self._cython()

    def _python(self) -> Iterator[Function]:
        for node in ast.walk(ast.parse(self.text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                start, end = node.lineno, node.end_lineno
                yield Function(node.name, start, self.lines[start - 1 : end])

    def _cython(self) -> Iterator[Function]:
        lines = self.lines
        for start, line in enumerate(lines):
            match = CYTHON_FUNCTION.match(line)
            if match is None:
                continue
            body = self._signature_end(start)
            if body is None:
                continue
            end = last = body
            while end + 1 < len(lines):
                end += 1
                text = lines[end]
                if text.strip() and len(text) - len(text.lstrip()) <= len(match["indent"]):
                    break
                if text.strip():
                    last = end
            yield Function(match["name"], start + 1, lines[start : last + 1])

    def _signature_end(self, start: int) -> int | None:
        """Index of the line on which the signature ends with a colon; None for a declaration."""
        depth = 0
        for index in range(start, len(self.lines)):
            line = self.lines[index].split("#")[0].rstrip()
            depth += line.count("(") - line.count(")")
            if depth == 0:
                return index if line.endswith(":") or ": " in line.rsplit(")", 1)[-1] else None
        return None


@pytest.fixture(scope="session")
def files(root: Path) -> list[Source]:
    """Every file of text that belongs to the project."""
    paths = [path for path in root.iterdir() if path.is_file()]
    for folder in CODE_FOLDERS:
        paths += (path for path in (root / folder).rglob("*") if path.is_file())
    names = (path.relative_to(root) for path in paths if "__pycache__" not in path.parts)
    generated = {name.with_suffix(".c") for name in map(Path, _pyx(root))}
    return [
        Source(root, name.as_posix())
        for name in sorted(set(names) - generated)
        if name.suffix in TEXT_SUFFIXES and "mmcore/adapters" not in name.as_posix()
    ]


def _pyx(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in (root / "mmcore").glob("*.pyx")]


@pytest.fixture(scope="session")
def code(files: list[Source]) -> list[Source]:
    """Python and Cython sources, tests and benchmarks too."""
    return [source for source in files if source.suffix in CODE_SUFFIXES]


@pytest.fixture(scope="session")
def package(code: list[Source]) -> list[Source]:
    """The sources that are shipped: mmcore/ and adapters/."""
    return [source for source in code if source.name.startswith(("mmcore/", "adapters/"))]
