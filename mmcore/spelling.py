"""The name that was probably meant: for keys, sections, choices, symbols and commands."""

from collections.abc import Iterable

PART = 4  # letters: a shorter part says nothing


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name most like ``word``, or "" where none is near.

    Case, and everything but letters and digits, is left out of the comparison: "BTC-USDT" is
    "BTCUSDT".  Otherwise up to two slips (a letter wrong, missing, added, or two swapped) are
    forgiven, more in long words, and a word that is a part of just one name, or has just one as a
    part, stands for it.
    """
    names = list(known)
    plain = _plain(word)
    if not plain:
        return ""
    slips_max = max(2, len(plain) // 4)
    ranked = sorted(
        (slips, _plain(name)[:1] != plain[:1], place)
        for place, name in enumerate(names)
        if (slips := slip_count(plain, _plain(name), slips_max)) <= slips_max
        and slips < max(len(plain), 2)
    )
    if ranked:
        return names[ranked[0][2]]
    for parts in (
        [name for name in names if len(plain) >= PART and plain in _plain(name)],
        [name for name in names if len(_plain(name)) >= PART and _plain(name) in plain],
    ):
        if parts:
            return parts[0] if len(parts) == 1 else ""
    return ""


def beginning(word: str, known: Iterable[str]) -> list[str]:
    """The known names that begin with ``word``: "bybit" stands for two venues, and is neither."""
    plain = _plain(word)
    return [name for name in known if plain and _plain(name).startswith(plain)]


def slip_count(a: str, b: str, most: int) -> int:
    """Slips between two words: edit distance with neighbour swaps; ``most + 1`` when beyond it."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, other in enumerate(b, 1):
            slips = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                slips = min(slips, last[j - 2] + 1)
            row.append(slips)
        if min(row) > most:
            return most + 1
    return row[-1]


def _plain(word: str) -> str:
    return "".join(char for char in word.lower() if char.isalnum())
