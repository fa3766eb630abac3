"""What the house expects of a venue's adapter, and how it finds one.

Adapters are not imported: they register under the entry point group ``mmcore.venues``, one name per
product ("binance-usdm"), so that a venue can live in any installed package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ._scan import Scanner
from .errors import VenueError
from .instrument import Instrument

GROUP = "mmcore.venues"

Rows = npt.NDArray[np.void]


class DecodeError(ValueError):
    """A frame that cannot be used.

    what: what is wrong with it, naming the value.  instrument: number of the instrument it is
    about, -1 where that cannot be told.  harmless: True where the frame is surely not depth, so
    that no book depends on it.
    """

    def __init__(self, what: str, *, instrument: int = -1, harmless: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.instrument = instrument
        self.harmless = harmless


class SymbolError(DecodeError):
    """A frame of an instrument that the decoder was not given.  ``symbol`` names it."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"symbol {symbol!r} is not among the instruments", harmless=True)
        self.symbol = symbol


class Decoder(Protocol):
    """Frames of one product of a venue to event rows: pure, synchronous, no I/O.

    instruments: what the frames may be about.  numbers: the number of each in the run
    (Event.instrument), 0, 1, 2 … by default.
    """

    scanner: Scanner

    def __init__(
        self, instruments: Sequence[Instrument], numbers: Sequence[int] | None = None
    ) -> None: ...

    def decode(self, frame: bytes, ts_local_ns: int, hint: int = -1) -> Rows:
        """EVENT rows of one frame, none for a frame that carries nothing of interest.

        Depth goes through the compiled scanner, the rest through JSON.  hint: place in
        ``instruments`` of a frame that does not name its own.  Raises DecodeError.
        """

    def decode_json(self, frame: bytes, ts_local_ns: int, hint: int = -1) -> Rows:
        """The same through JSON only: the scanner's fallback, and its oracle."""

    @classmethod
    def list_instruments(cls, answer: Mapping[str, Any]) -> dict[str, Instrument]:
        """Symbol -> instrument, from the venue's own answer about its instruments."""


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def decoder(venue: str) -> type[Decoder]:
    """The decoder class registered for a venue.

    Raises VenueError where none is: the package is not installed, or its entry points are older
    than the venue.
    """
    point = _points().get(venue)
    if point is None:
        raise VenueError(
            f"no adapter for {venue!r} is installed (entry points {GROUP}: "
            f"{', '.join(sorted(_points())) or 'none'})",
            todo="run `python -m pip install -e .` in the checkout, or install mmcore-maker",
        )
    loaded: type[Decoder] = point.load()
    return loaded
