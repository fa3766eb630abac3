"""``mmcore init``: the packaged configuration, made to fit a venue and a symbol."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import get_args

from .config import loads
from .errors import UsageError
from .spelling import beginning, nearest
from .symbols import SPOT_VENUES, START_PRICES, SYMBOLS, Venue


def text_for(venue: str = "synthetic", symbol: str = "BTCUSDT") -> str:
    """The template for one instrument that mmcore knows; it passes ``check`` as it is."""
    text = files("mmcore").joinpath("template.toml").read_text("utf-8")
    text = _set(text, "venue", f'"{venue}"')
    text = _set(text, "symbol", f'"{symbol}"')
    text = _set(text, "preset", f'"{_preset(venue, symbol)}"')
    if venue == "synthetic" and symbol == "BTCUSDT":
        return text
    price = START_PRICES[_base(symbol)]
    start = (
        f"\n[instrument.synthetic]\nstart_price = {price:<13g} # quote currency: where it begins\n"
    )
    if venue in SPOT_VENUES:
        text = _set(text, "minimum_spread", "30")
    return text + start


def write(
    path: str, *, venue: str | None = None, symbol: str | None = None, force: bool = False
) -> dict[str, str]:
    """Write the template to ``path``; returns what was done, for the screen.

    Symbols may be spelt in any common way.  Raises UsageError for a venue or symbol that mmcore
    does not know, and for a file that exists unless ``force``.
    """
    chosen_venue = _venue(venue)
    chosen = _symbol(chosen_venue, symbol)
    text = text_for(chosen_venue, chosen)
    loads(text, path)
    target = Path(path)
    try:
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(
            "exists already",
            where=path,
            done="nothing was written",
            todo="name another path, or replace it with --force",
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"cannot be written: {why}",
            where=path,
            done="nothing was written",
            todo="name another path",
        ) from None
    return {
        "wrote": path,
        "instrument": f"{chosen_venue}:{chosen}, strategy grid, synthetic market",
    }


def _set(text: str, name: str, value: str) -> str:
    """Replace the value of one key, keeping its comment where it stands."""

    def line(match: re.Match[str]) -> str:
        return f"{f'{name} = {value}':<{len(match[1])}}{match[2]}"

    return re.sub(rf"^({name} = \S+ *)(#.*)$", line, text, count=1, flags=re.MULTILINE)


def _venue(name: str | None) -> str:
    known = get_args(Venue)
    if name is None:
        return "synthetic"
    if name in known:
        return name
    near = nearest(name, known)
    meant = [near] if near else beginning(name, known)
    hint = f"did you mean --venue {' or '.join(meant)}?" if meant else f"one of {', '.join(known)}"
    raise UsageError(
        f"no venue {name!r}", where="mmcore init", done="nothing was written", todo=hint
    )


def _symbol(venue: str, name: str | None) -> str:
    known = SYMBOLS[venue]
    if name is None:
        return known[0]
    plain = "".join(char for char in name.partition(":")[0].upper() if char.isalnum())
    for symbol in known:
        if symbol in (plain, name):
            return symbol
    near = nearest(name, known)
    own = f"or take --symbol {known[0]} and give tick and lot in [instrument.spec]"
    hint = (
        f"did you mean --symbol {near}? {own}"
        if near
        else f"mmcore knows {', '.join(known)}; {own}"
    )
    raise UsageError(
        f"no symbol {name!r} on {venue}",
        where="mmcore init",
        done="nothing was written",
        todo=hint,
    )


def _base(symbol: str) -> str:
    return symbol.removesuffix("_PERP").removesuffix("USDT").removesuffix("USD")


def _preset(venue: str, symbol: str) -> str:
    if venue == "hyperliquid":
        return "block"
    if _base(symbol) in {"NEXO", "TRX", "WLFI", "DOGE"}:
        return "quiet"
    return "busy_eth" if _base(symbol) == "ETH" else "busy"
