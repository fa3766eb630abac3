"""The instrument that an ``[[instrument]]`` table means: what is known of it, and overrides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from .errors import ConfigError
from .events import ContractKind
from .instrument import VENUE_FEES_BPS, Instrument, UnknownInstrument, find, known
from .schema import InstrumentConfig, SpecConfig

_KINDS = {
    "linear": ContractKind.LINEAR,
    "inverse": ContractKind.INVERSE,
    "spot": ContractKind.SPOT,
}


def instrument_of(
    item: InstrumentConfig, listed: Mapping[str, Instrument] | None = None
) -> Instrument:
    """The instrument of one table of the configuration.

    listed: what the venue itself said, symbol to instrument (a capture may hold its answer); it
    goes before mmcore's own table, and ``[instrument.spec]`` goes before both.  Raises ConfigError
    where nothing is known of the symbol, or the figures contradict each other.
    """
    where = f"{item.venue}:{item.symbol}"
    try:
        base = _base(item, listed or {})
        instrument = replace(base, **_overrides(item, base))
        instrument.spec()  # its figures must fit the core's integers
        return instrument
    except OverflowError:
        raise ConfigError(
            "a size or step of the instrument is more than 64 bits can count",
            where=where,
            done="nothing was started",
            todo="repair [instrument.spec]",
        ) from None
    except UnknownInstrument as unknown:
        near = f'symbol = "{unknown.nearest}" if that is meant, else ' if unknown.nearest else ""
        raise ConfigError(
            "nothing is known of this instrument",
            where=where,
            done="nothing was started",
            todo=f"{near}give tick and lot in [instrument.spec]",
        ) from None
    except ValueError as error:
        raise ConfigError(
            str(error).removeprefix(f"{where}: "),
            where=where,
            done="nothing was started",
            todo="repair [instrument.spec]",
        ) from None


def _base(item: InstrumentConfig, listed: Mapping[str, Instrument]) -> Instrument:
    spec = item.spec
    try:
        return find(item.venue, item.symbol, listed) if listed else known(item.venue, item.symbol)
    except UnknownInstrument:
        if spec.tick is None or spec.lot is None:
            raise
    maker, taker = VENUE_FEES_BPS[item.venue]
    return Instrument(
        venue=item.venue,
        symbol=item.symbol,
        kind=ContractKind.SPOT if item.is_spot else ContractKind.LINEAR,
        tick=spec.tick,
        qty_decimals=_decimals(spec),
        lot=spec.lot,
        min_qty=spec.lot,
        maker_fee_bps=maker,
        taker_fee_bps=taker,
        base=item.symbol,
        quote="USD",
    )


def _overrides(item: InstrumentConfig, base: Instrument) -> dict[str, Any]:
    spec = item.spec
    given = {name: getattr(spec, name) for name in spec.__struct_fields__}
    if item.fees.kind == "value":
        maker, taker = item.fees.at_start
        given["maker_fee_bps"] = spec.maker_fee_bps if maker is None else maker
        given["taker_fee_bps"] = spec.taker_fee_bps if taker is None else taker
    changes = {name: value for name, value in given.items() if value is not None}
    if "kind" in changes:
        changes["kind"] = _KINDS[changes["kind"]]
    if "lot" in changes and "qty_decimals" not in changes:
        # A lot is what our orders are whole multiples of; what is recorded may be finer.
        changes["qty_decimals"] = max(base.qty_decimals, _decimals(spec))
    return changes


def _decimals(spec: SpecConfig) -> int:
    """Decimals of the finest size that the table names."""
    if spec.qty_decimals is not None:
        return spec.qty_decimals
    sizes = [Decimal(text) for text in (spec.lot, spec.min_qty, spec.max_qty) if text is not None]
    return max(0, *(-int(size.normalize().as_tuple().exponent) for size in sizes))
