"""Whatever the schema lets through runs, or is refused in one sentence; never a traceback."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any, get_args, get_origin

import pytest
from msgspec import Struct

from mmcore.check import check
from mmcore.config import loads
from mmcore.errors import MmcoreError
from mmcore.keys import Field, fields
from mmcore.listing import instrument_of
from mmcore.paper import PaperDesk
from mmcore.schema import (
    AccountConfig,
    FeesConfig,
    GridConfig,
    InstrumentConfig,
    InventorySkewConfig,
    LimitsConfig,
    MarketConfig,
    RunConfig,
    SimulationConfig,
    SpecConfig,
    SyntheticConfig,
    TwoSidedConfig,
    WeightsConfig,
)
from mmcore.wiring import build, venue_of

TABLES: dict[str, type[Struct]] = {
    "market": MarketConfig,
    "run": RunConfig,
    "simulation": SimulationConfig,
    "account": AccountConfig,
    "instrument": InstrumentConfig,
    "instrument.limits": LimitsConfig,
    "instrument.spec": SpecConfig,
    "instrument.fees": FeesConfig,
    "instrument.synthetic": SyntheticConfig,
    "instrument.grid": GridConfig,
    "instrument.grid.weights": WeightsConfig,
    "instrument.two_sided": TwoSidedConfig,
    "instrument.two_sided.inventory_skew_config": InventorySkewConfig,
}
KINDS = {
    "linear": ("synthetic", "BTCUSDT", "grid"),
    "two_sided": ("synthetic", "BTCUSDT", "two_sided"),
    "spot": ("binance-spot", "BTCUSDT", "grid"),
    "inverse": ("binance-coinm", "BTCUSD_PERP", "grid"),
    "figures": ("hyperliquid", "BTC", "grid"),
}
PLAIN = ("1", "7", "0.3")
SAID = {"venue", "symbol", "strategy", "source"}


def extremes(field: Field) -> list[str]:
    """The ends of a key's range, what lies close to them, and every choice."""
    key, kind = field.key, field.kind
    if get_origin(kind) is tuple:
        ends = [end for end in (key.least, key.most) if end is not None]
        return [f"[{end:g}]" for end in ends] if get_args(kind)[0] is int else []
    if kind is bool:
        return ["true", "false"]
    if get_args(kind):
        return [f'"{choice}"' for choice in get_args(kind)]
    bounds = (key.least, key.most, key.above, key.below)
    if kind is str and bounds == (None,) * 4:
        return []
    found = [
        str(int(end)) if end == int(end) else repr(end) for end in bounds[:2] if end is not None
    ]
    if key.above is not None:
        found += ["1e-300", "1e-12", "1e-6"]
    if key.below is not None:
        found.append(repr(key.below - 1e-12))
    if key.most is None and key.below is None:
        found += ["1e300", "1e18", "1e9"]
    return found


def texts(name: str, values: Any) -> list[str]:
    """One configuration for each key of each table at each of its extremes."""
    venue, symbol, strategy = KINDS[name]
    base = f'[[instrument]]\nvenue = "{venue}"\nsymbol = "{symbol}"\nstrategy = "{strategy}"\n'
    found = []
    for table, struct in TABLES.items():
        other = "instrument.grid" if strategy == "two_sided" else "instrument.two_sided"
        if table.startswith(other):
            continue
        for field in fields(struct):
            for value in values(field) if field.name not in SAID else ():
                line = f"{field.name} = {value}\n"
                if table == "instrument":
                    found.append(base + line)
                elif table.startswith("instrument"):
                    found.append(f"{base}[{table}]\n{line}")
                else:
                    found.append(f"[{table}]\n{line}{base}")
    return found


@pytest.mark.parametrize("name", ["linear", "two_sided", "inverse"])
def test_what_loads_can_be_built(name: str) -> None:
    built = 0
    for text in texts(name, extremes):
        with suppress(MmcoreError):
            config = loads(text)
            instrument = instrument_of(config.instruments[0])
            build(config, (instrument,))
            venue_of(config, 0, instrument)
            built += 1
    assert built > 100


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_what_loads_can_be_checked_and_traded(name: str) -> None:
    for text in texts(name, lambda field: [*extremes(field), *PLAIN]):
        with suppress(MmcoreError):
            config = loads(text)
            check(config).text()
            with closing(PaperDesk(config, "test", 3.0)) as desk:
                play(desk)
                assert desk.n_open == 0, text


def play(desk: PaperDesk) -> None:
    """Trade to the end, and stop in order."""
    while desk.advance(1 << 20, 0):
        desk.drain()
    desk.stop()
    for _ in range(8_000):  # of 50 ms: the slowest way there and back takes some minutes
        desk.drain()
        if desk.settle():
            return
