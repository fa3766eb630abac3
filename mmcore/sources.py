"""Where the rows of a run come from: the synthetic market, or the tapes of a configuration."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from .errors import ConfigError
from .instrument import Instrument
from .listing import instrument_of
from .symbols import START_PRICES

if TYPE_CHECKING:
    from .schema import Config, InstrumentConfig
    from .synthetic import SyntheticSource
    from .tape import Source, TapeSource
    from .venue import Rows


def source_of(config: Config, *, seconds: float) -> Source:
    """The source of a run; its instruments stand in the order of the configuration.

    seconds: market time that a synthetic market is made for, 0 for endless.  Raises ConfigError for
    an instrument that nothing is known of, DataError for a tape that cannot be read.
    """
    return _tape(config) if config.market.source == "tape" else _synthetic(config, seconds)


def _synthetic(config: Config, seconds: float) -> SyntheticSource:
    from .synthetic import SyntheticSource, market, together

    markets = []
    for item in config.instruments:
        preset = item.synthetic.preset or config.market.preset
        instrument = instrument_of(item)
        price = item.synthetic.start_price or START_PRICES.get(instrument.base)
        try:
            markets.append(market(instrument, preset, price))
        except ValueError as error:
            raise ConfigError(
                str(error),
                where=f"{config.path}: {item.venue}:{item.symbol}",
                done="nothing was started",
                todo="change start_price in [instrument.synthetic], or the tick",
            ) from None
    return SyntheticSource(together(markets), seconds=seconds, seed=config.market.seed)


def _tape(config: Config) -> TapeSource:
    from .tape import TapeSource

    files = config.market.files
    wanted = [_wanted(item) for item in config.instruments]
    source = TapeSource(files, wanted)
    final = [
        instrument_of(item, {known.symbol: known}) if _overrides(item) else known
        for item, known in zip(config.instruments, source.instruments, strict=True)
    ]
    if tuple(final) == tuple(source.instruments):
        return source
    source.close()  # ticks and sizes are decoded with the figures that the source was opened with
    return TapeSource(files, final)


def _wanted(item: InstrumentConfig) -> Instrument | tuple[str, str]:
    complete = item.spec.tick is not None and item.spec.lot is not None
    return instrument_of(item) if complete else (item.venue, item.symbol)


def _overrides(item: InstrumentConfig) -> bool:
    return any(getattr(item.spec, name) is not None for name in item.spec.__struct_fields__)


def tape_facts(file: str) -> dict[str, Any]:
    """What a recording holds, read to its end: for ``mmcore tape info``.

    Raises DataError where it cannot be read.
    """
    from datetime import UTC, datetime

    import numpy as np

    from .events import Flag, Kind
    from .tape import TapeSource

    with closing(TapeSource([file])) as source:
        counts = np.zeros((len(source.instruments), len(Kind)), np.int64)
        snapshots, first_ns, last_ns = 0, 0, 0
        while (block := source.next_block()) is not None:
            heads = block[_heads(block)]
            np.add.at(counts, (heads["instrument"], heads["kind"]), 1)
            snapshots += int(np.count_nonzero(heads["flags"] & Flag.SNAPSHOT))
            first_ns = first_ns or int(heads["ts_local_ns"][0])
            last_ns = int(heads["ts_local_ns"][-1])
        names = [kind.name.lower() for kind in Kind]
        held = [
            f"{item}: "
            + (", ".join(f"{n} {name}" for n, name in zip(row, names, strict=True) if n) or "none")
            for item, row in zip(source.instruments, counts.tolist(), strict=True)
        ]
        begin = datetime.fromtimestamp(first_ns / 1e9, UTC).isoformat(timespec="milliseconds")
        return {
            "file": file,
            "clock": source.clock,
            "begins": begin,
            "seconds": round((last_ns - first_ns) / 1e9, 3),
            "events": held,
            "snapshots": snapshots,
            "damaged_records": source.problem_count,
            "damage": [str(problem) for problem in source.problems[:10]],
        }


def _heads(block: Rows) -> list[int]:
    """Indexes of the rows that begin a message."""
    from .events import Kind, rows_of

    kinds, bids, asks = (block[name].tolist() for name in ("kind", "n_bids", "n_asks"))
    heads, row = [], 0
    while row < len(kinds):
        heads.append(row)
        row += 1 + (rows_of(bids[row] + asks[row]) if kinds[row] == Kind.DEPTH else 0)
    return heads
