"""Where each key of a TOML document stands.

``tomllib`` gives values without positions.  :func:`places` goes over the same text once more and
notes line and column of every table, key and array element.  It reads only documents that
``tomllib`` has accepted, so it need not judge the grammar, only follow it.
"""

from typing import NamedTuple

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Line and column of a key, counted from 1, and its value as written ("" for a table)."""

    line: int
    column: int
    text: str


def places(text: str) -> dict[Path, Place]:
    """Path -> place of everything in a valid TOML document; ``()`` is its beginning.

    A path holds names and, inside arrays, indexes from 0: ``("instrument", 0, "symbol")``.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.found


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, Place] = {(): Place(1, 1, "")}
        self.array_lengths: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while self._skip_blank(newlines=True):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        start = self.at
        is_array = self.text.startswith("[[", start)
        self.at += 2 if is_array else 1
        names = self._names()
        self.at = self.text.index("]", self.at) + (2 if is_array else 1)
        path: Path = ()
        for name in names[:-1]:
            path = (*path, name)
            self._note(path, start)
            if path in self.array_lengths:  # a table inside an array belongs to its newest element
                path = (*path, self.array_lengths[path] - 1)
        path = (*path, names[-1])
        self._note(path, start)
        if is_array:
            index = self.array_lengths.get(path, 0)
            self.array_lengths[path] = index + 1
            path = (*path, index)
            self._note(path, start)
        return path

    def _pair(self, table: Path) -> None:
        start = self.at
        names = self._names()
        path = table
        for name in names:
            path = (*path, name)
            self._note(path, start)
        self.at = self.text.index("=", self.at) + 1
        self._skip_blank(newlines=False)
        self.found[path] = self._place(start)._replace(text=self._value(path))

    def _names(self) -> list[str]:
        names = []
        while True:
            self._skip_blank(newlines=False)
            start = self.at
            if self.text[start] in "\"'":
                names.append(self._string()[1:-1])
            else:
                while self.text[self.at].isalnum() or self.text[self.at] in "_-":
                    self.at += 1
                names.append(self.text[start : self.at])
            self._skip_blank(newlines=False)
            if self.text[self.at] != ".":
                return names
            self.at += 1

    def _value(self, path: Path) -> str:
        start = self.at
        mark = self.text[start]
        if mark in "\"'":
            return self._string()
        if mark == "[":
            self._elements(path)
        elif mark == "{":
            self._inline_table(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\n":
                self.at += 1
        return self.text[start : self.at].rstrip()

    def _elements(self, path: Path) -> None:
        self.at += 1
        index = 0
        while self._skip_blank(newlines=True) and self.text[self.at] != "]":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            start = self.at
            place = self._place(start)
            self.found[(*path, index)] = place._replace(text=self._value((*path, index)))
            index += 1
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while self._skip_blank(newlines=True) and self.text[self.at] != "}":
            if self.text[self.at] == ",":
                self.at += 1
            else:
                self._pair(path)
        self.at += 1

    def _string(self) -> str:
        start = self.at
        quote = self.text[start]
        mark = quote * 3 if self.text.startswith(quote * 3, start) else quote
        self.at += len(mark)
        while not self.text.startswith(mark, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(mark)
        while len(mark) == 3 and self.text.startswith(quote, self.at):
            self.at += 1  # up to two quotes may stand before the closing three
        return self.text[start : self.at]

    def _skip_blank(self, *, newlines: bool) -> bool:
        """Go to the next character that matters; False at the end of the document."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "#" and newlines:
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif char in " \t" or (newlines and char == "\n"):
                self.at += 1
            else:
                return True
        return False

    def _note(self, path: Path, start: int) -> None:
        self.found.setdefault(path, self._place(start))

    def _place(self, start: int) -> Place:
        line_start = self.text.rfind("\n", 0, start) + 1
        return Place(self.text.count("\n", 0, start) + 1, start - line_start + 1, "")
