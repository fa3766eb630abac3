"""Values of a configuration that are right one by one but cannot hold together.

Each rule here needs two or more keys and nothing else: no venue, no market, no file.  What needs a
price is judged by ``python -m mmcore check`` (:mod:`mmcore.check`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from .contradictions_venue import of_fees, of_simulation
from .faults import Contradiction
from .places import Path
from .schema import (
    Config,
    GridConfig,
    InstrumentConfig,
    SpecConfig,
    TwoSidedConfig,
)
from .spelling import nearest
from .symbols import CONNECTED_VENUES, SYMBOLS

DEPTHS_MAX = 8  # depths that the signals keep
BPS = 10_000.0
MONEY_MAX = 9e10  # quote currency, of which 64 bits count 1e-8
DEAD_MAN_LEAST_S = 10
LOOPBACK_PLACE = re.compile(r"(?:127\.0\.0\.1|localhost):(\d{1,5})")
PORTS = 65_536

LIVE_REFUSED = (
    "main-net orders are refused by this version: its work on order truth and safety (durable "
    "intents, reconciliation, verified kill, dead-man switch) is not complete"
)


def contradictions(config: Config, data: dict[str, Any]) -> Iterator[Contradiction]:
    """Every contradiction of a configuration; ``data`` is the document it was made from."""
    yield from _market(config, data)
    yield from _live(config, data)
    yield from of_simulation(config, _section(data, "simulation"))
    seen: dict[tuple[str, str], int] = {}
    for index, item in enumerate(config.instruments):
        path: Path = ("instrument", index)
        given = _given(data, index)
        first = seen.setdefault((item.venue, item.symbol), index)
        if first != index:
            yield Contradiction(
                (*path, "symbol"),
                f"one trader an instrument: instrument[{first}] trades {item.symbol} already, "
                "and the two would trade against each other",
                "remove one, or run two configurations",
                ((*path, "venue"), ("instrument", first)),
            )
        yield from _symbol(item, path, "venue" if config.needs_venue else config.market.source)
        yield from _spot(item, path)
        yield from _tables(
            item, path, given, "venue" if config.needs_venue else config.market.source
        )
        yield from _traded(config, item, path, given)
        yield from _spec(item.spec, (*path, "spec"))
        yield from of_fees(item, path, given)
        if item.strategy == "grid":
            yield from _grid(item, item.grid, path)
        else:
            yield from _two_sided(item, item.two_sided, path)
        yield from _order_limits(config, item, path)


def _given(data: dict[str, Any], index: int) -> dict[str, Any]:
    tables = data.get("instrument")
    table: object = tables[index] if isinstance(tables, list) and index < len(tables) else None
    return table if isinstance(table, dict) else {}


def _market(config: Config, data: dict[str, Any]) -> Iterator[Contradiction]:
    market = config.market
    files: Path = ("market", "files")
    source: Path = ("market", "source")
    if market.source == "tape" and not market.files:
        yield Contradiction(
            source,
            'source = "tape" needs at least one file',
            'add files = ["capture.gz"] to [market], or source = "synthetic"',
            (files,),
        )
    if market.source != "tape" and market.files:
        yield Contradiction(
            files, 'files are read only with source = "tape"', 'source = "tape"', (source,)
        )
    elsewhere = market.source == "venue" and config.environment != "loopback"
    if (market.source == "tape" or elsewhere) and "preset" in _section(data, "market"):
        yield Contradiction(
            ("market", "preset"),
            'a preset describes a market with source = "synthetic"',
            "remove preset",
            (source, ("live", "environment")),
        )
    if (market.source != "synthetic" or config.needs_venue) and market.regime != "none":
        yield Contradiction(
            ("market", "regime"),
            "a regime is one of the synthetic market on paper",
            "remove regime",
            (source, ("mode",)),
        )
    if config.needs_venue and market.speed not in {0.0, 1.0}:
        yield Contradiction(
            ("market", "speed"),
            "market seconds a second: a venue's time is real time",
            "remove speed",
            (source, ("mode",)),
        )
    for index, name in enumerate(market.files):
        if name in market.files[:index]:
            yield Contradiction((*files, index), "each file once", "remove the second mention")


def _section(data: dict[str, Any], name: str) -> dict[str, Any]:
    table = data.get(name)
    return table if isinstance(table, dict) else {}


def _live(config: Config, data: dict[str, Any]) -> Iterator[Contradiction]:
    environment: Path = ("live", "environment")
    source: Path = ("market", "source")
    mode: Path = ("mode",)
    if not config.needs_venue:
        if "live" in data:
            yield Contradiction(
                ("live",),
                'this table is read only with mode = "live", or with market.source = "venue"',
                'mode = "live", or remove the table',
                (mode, source),
            )
        return
    if config.mode == "live":
        yield from _orders(config, data)
    if config.live.box is not None:
        yield from _box(config)
    if config.live.faults is not None and (
        config.environment != "loopback" or config.live.box is not None
    ):
        yield Contradiction(
            ("live", "faults"),
            "read only where the run starts the exchange in the box itself",
            "remove faults",
            (environment, ("live", "box")),
        )
    if 0 < config.live.dead_man_seconds < DEAD_MAN_LEAST_S:
        yield Contradiction(
            ("live", "dead_man_seconds"),
            f"too short to be renewed in time at every venue: at least {DEAD_MAN_LEAST_S}, or 0 "
            "for no switch",
            f"dead_man_seconds = {DEAD_MAN_LEAST_S}",
        )
    if config.live.keys_file is not None and (
        config.mode == "paper" or (config.live.environment == "loopback" and not config.live.box)
    ):
        needless = (
            "public data need no keys" if config.mode == "paper" else "it has keys of its own"
        )
        yield Contradiction(
            ("live", "keys_file"),
            f"read only where orders go to a test-net: {needless}",
            "remove keys_file",
            (mode, environment),
        )


def _box(config: Config) -> Iterator[Contradiction]:
    place: Path = ("live", "box")
    if config.live.environment != "loopback":
        yield Contradiction(
            place,
            'read only with environment = "loopback"',
            "remove box",
            (("live", "environment"),),
        )
    elif (found := LOOPBACK_PLACE.fullmatch(config.live.box or "")) is None or not (
        0 < int(found[1]) < PORTS
    ):
        yield Contradiction(
            place,
            "the address that `python -m mmcore venue` printed, on this machine",
            'box = "127.0.0.1:8765"',
        )


def _orders(config: Config, data: dict[str, Any]) -> Iterator[Contradiction]:
    environment: Path = ("live", "environment")
    named = config.live.environment
    if named is None:
        yield Contradiction(
            environment,
            'with mode = "live" it must be said where orders go',
            '[live] environment = "loopback", or "testnet"',
            (("mode",),),
        )
    elif named == "mainnet":
        yield Contradiction(
            environment, LIVE_REFUSED, 'environment = "testnet", or "loopback"', (("mode",),)
        )
    elif named == "testnet" and config.market.source != "venue":
        yield Contradiction(
            ("market", "source"),
            "orders at a test-net follow its own market",
            'source = "venue"',
            (("mode",), environment),
        )
    if "simulation" in data:
        yield Contradiction(
            ("simulation",),
            'this table is read only with mode = "paper"',
            "remove the table",
            (("mode",),),
        )


def _traded(
    config: Config, item: InstrumentConfig, path: Path, given: dict[str, Any]
) -> Iterator[Contradiction]:
    """What an instrument may say where a venue is talked to."""
    if not config.needs_venue:
        return
    if item.venue not in CONNECTED_VENUES:
        yield Contradiction(
            (*path, "venue"),
            f"mmcore talks to {', '.join(CONNECTED_VENUES)}; {item.venue} is for paper on "
            "synthetic markets and tapes",
            f'venue = "{CONNECTED_VENUES[0]}"',
            (("mode",), ("market", "source")),
        )
    if config.mode == "live":
        for name in ("start_position", "quote_balance", "fees"):
            if name in given:
                yield Contradiction(
                    (*path, name),
                    'only on paper: with mode = "live" the venue is asked',
                    f"remove {name}",
                    (("mode",),),
                )


def _symbol(item: InstrumentConfig, path: Path, source: str) -> Iterator[Contradiction]:
    known = SYMBOLS[item.venue]
    if item.symbol in known or (item.spec.tick is not None and item.spec.lot is not None):
        return
    symbol = (*path, "symbol")
    others = ((*path, "venue"), (*path, "spec"))
    plain = "".join(char for char in item.symbol.partition(":")[0].upper() if char.isalnum())
    near = plain if plain in known else nearest(item.symbol, known)
    own = "give tick and lot in [instrument.spec]"
    if source != "synthetic" and near != plain:
        near = ""  # the venue itself, or the tape, knows what it lists
    if near:
        rule = f"a symbol as {item.venue} writes it; mmcore knows no {item.symbol!r} there"
        yield Contradiction(symbol, rule, f'did you mean symbol = "{near}"? else {own}', others)
    elif source == "synthetic":
        rule = f"mmcore knows {', '.join(known)} on {item.venue}; others need tick and lot"
        yield Contradiction(symbol, rule, f'symbol = "{known[0]}", or {own}', others)
    elif item.venue != "hyperliquid" and item.symbol != item.symbol.upper():
        rule = f"a symbol as {item.venue} writes it, in capital letters"
        yield Contradiction(symbol, rule, f'symbol = "{plain}"', others)


def _spot(item: InstrumentConfig, path: Path) -> Iterator[Contradiction]:
    venue = (*path, "venue")
    kind = (*path, "spec", "kind")
    if item.is_spot:
        if item.start_position < 0:
            yield Contradiction(
                (*path, "start_position"),
                "base, at least 0 on spot: what is not owned cannot be sold",
                "start_position = 0",
                (venue, kind),
            )
        if item.strategy == "grid" and item.leverage != 1.0:
            yield Contradiction(
                (*path, "grid", "leverage"), "1 on spot", "leverage = 1", (venue, kind)
            )
        return
    for name, value in (
        ("target_base", item.target_base or None),
        ("quote_balance", item.quote_balance),
    ):
        if value is not None:
            yield Contradiction(
                (*path, name),
                f"only for spot; {item.symbol} on {item.venue} is a derivative",
                f"remove {name}",
                (venue, kind),
            )


def _tables(
    item: InstrumentConfig, path: Path, given: dict[str, Any], source: str
) -> Iterator[Contradiction]:
    strategy = (*path, "strategy")
    other = "two_sided" if item.strategy == "grid" else "grid"
    if other in given:
        yield Contradiction(
            (*path, other),
            f'this table is read only with strategy = "{other}"',
            f'strategy = "{other}", or remove the table',
            (strategy,),
        )
    if source != "synthetic" and "synthetic" in given:
        yield Contradiction(
            (*path, "synthetic"),
            'this table is read only with market.source = "synthetic"',
            "remove the table",
            (("market", "source"),),
        )
    if item.existing_position == "refuse" and item.start_position:
        yield Contradiction(
            (*path, "existing_position"),
            f'"refuse" stops at once with start_position = {item.start_position:g}',
            'existing_position = "adopt"',
            ((*path, "start_position"),),
        )


def _spec(spec: SpecConfig, path: Path) -> Iterator[Contradiction]:
    if spec.min_qty and spec.max_qty and 0 < Decimal(spec.max_qty) < Decimal(spec.min_qty):
        yield Contradiction(
            (*path, "max_qty"),
            f"base, at least min_qty {spec.min_qty}",
            f"max_qty = {spec.min_qty}, or 0 for none",
            ((*path, "min_qty"),),
        )
    if spec.lot and spec.qty_decimals is not None:
        digits = max(0, -int(Decimal(spec.lot).normalize().as_tuple().exponent))
        if digits > spec.qty_decimals:
            yield Contradiction(
                (*path, "qty_decimals"),
                f"digits, at least those of the lot {spec.lot}",
                f"qty_decimals = {digits}",
                ((*path, "lot"),),
            )


def _grid(item: InstrumentConfig, grid: GridConfig, path: Path) -> Iterator[Contradiction]:
    path = (*path, "grid")
    spread_path = (*path, "minimum_spread")
    if grid.maximum_spread is not None and grid.maximum_spread < grid.minimum_spread:
        yield Contradiction(
            (*path, "maximum_spread"),
            f"bps of the mid, at least minimum_spread {grid.minimum_spread:g}",
            f"maximum_spread = {3.7 * grid.minimum_spread:g}, or leave it out",
            (spread_path,),
        )
    spread_max = grid.minimum_spread * max(grid.spread_cap, 1.0)
    reach = (grid.final_order_distance + 1.0) * spread_max
    if reach >= BPS:
        fitting = max(BPS / spread_max - 1.0, 0.0)
        yield Contradiction(
            (*path, "final_order_distance"),
            f"spreads: at the widest spread of {spread_max:g} bps the last bid would be at or "
            "below zero",
            f"below {fitting:.3g}, or a smaller minimum_spread or maximum_spread",
            (spread_path, (*path, "maximum_spread")),
        )
    if grid.final_order_distance_from == "mid" and grid.final_order_distance < 1.0:
        yield Contradiction(
            (*path, "final_order_distance"),
            "spreads, at least 1 when counted from the mid: the inner order is up to one away",
            'final_order_distance = 10, or final_order_distance_from = "inner"',
            ((*path, "final_order_distance_from"),),
        )
    buying_power = grid.asset * item.leverage
    if grid.max_position_usd is not None and grid.max_position_usd > buying_power:
        yield Contradiction(
            (*path, "max_position_usd"),
            f"quote, at most asset x leverage = {buying_power:g}",
            f"max_position_usd = {buying_power * grid.margin:g}, or leave it out",
            ((*path, "asset"), (*path, "leverage")),
        )
    if item.max_position_usd > MONEY_MAX:
        given = grid.max_position_usd is not None
        yield Contradiction(
            (*path, "max_position_usd" if given else "asset"),
            f"quote: a position may be worth {item.max_position_usd:.6g}, and money is counted to "
            f"1e-8, up to {MONEY_MAX:g}",
            "a smaller one, or a quote currency that is worth more",
            ((*path, "asset"), (*path, "leverage"), (*path, "margin")),
        )
    total = sum(getattr(grid.weights, name) for name in grid.weights.__struct_fields__)
    if total > 1.0 + 1e-9:
        yield Contradiction(
            (*path, "weights"),
            f"shares, together at most 1 so that the signal stays within -1 and 1; sum {total:g}",
            "lower some of them",
        )
    yield from _grid_lists(grid, path)


def _grid_lists(grid: GridConfig, path: Path) -> Iterator[Contradiction]:
    rising = all(a < b for a, b in zip(grid.depths, grid.depths[1:], strict=False))
    if not rising or len(grid.depths) > DEPTHS_MAX:
        depths = sorted(set(grid.depths))[:DEPTHS_MAX]
        yield Contradiction(
            (*path, "depths"),
            f"levels, rising, at most {DEPTHS_MAX} of them",
            f"depths = {depths}",
        )
    if grid.size_ratio_range is not None and grid.size_ratio_range[0] > grid.size_ratio_range[1]:
        low, high = sorted(grid.size_ratio_range)
        yield Contradiction(
            (*path, "size_ratio_range"), "ratios, the lower one first", f"[{low:g}, {high:g}]"
        )


def _two_sided(item: InstrumentConfig, two: TwoSidedConfig, path: Path) -> Iterator[Contradiction]:
    path = (*path, "two_sided")
    if two.target_liquidity > two.max_absolute_position_size:
        yield Contradiction(
            (*path, "max_absolute_position_size"),
            f"base, at least one order: target_liquidity is {two.target_liquidity:g}",
            f"max_absolute_position_size = {5 * two.target_liquidity:g}",
            ((*path, "target_liquidity"),),
        )
    asset = two.asset
    if asset is not None and not item.symbol.upper().startswith(asset.upper()):
        yield Contradiction(
            (*path, "asset"),
            f"the asset of the symbol {item.symbol}",
            f"leave it out, or change the symbol to {asset}",
            ((*path[:-1], "symbol"),),
        )
    kind = "spot" if item.is_spot else "perp"
    if two.asset_type is not None and two.asset_type != kind:
        yield Contradiction(
            (*path, "asset_type"),
            f"{item.symbol} on {item.venue} is {kind}",
            f'asset_type = "{kind}", or another venue',
            ((*path[:-1], "venue"), (*path[:-1], "spec", "kind")),
        )


def _order_limits(config: Config, item: InstrumentConfig, path: Path) -> Iterator[Contradiction]:
    limits, table = item.limits, (*path, "limits")
    smallest = max(Decimal(item.spec.min_qty or 0), Decimal(item.spec.lot or 0))
    for name in ("max_position", "max_order_size"):
        value = getattr(limits, name)
        if value is not None and Decimal(value) < smallest:
            yield Contradiction(
                (*table, name),
                f"base, at least the venue's smallest order {smallest}",
                f"{name} = {smallest}, or leave it out",
                ((*path, "spec"),),
            )
        if value is not None and item.strategy == "two_sided":
            target = item.two_sided.target_liquidity
            if value < target:
                yield Contradiction(
                    (*table, name),
                    f"base, at least one order: target_liquidity is {target:g}",
                    f"{name} = {target:g}, or a smaller target_liquidity",
                    ((*path, "two_sided", "target_liquidity"),),
                )
    if item.strategy == "grid" and limits.max_orders < 2 * item.grid.orders_per_side:
        wanted = 2 * item.grid.orders_per_side
        yield Contradiction(
            (*table, "max_orders"),
            f"orders, at least both sides of the grid: 2 x {item.grid.orders_per_side}",
            f"max_orders = {wanted}, or fewer orders_per_side",
            ((*path, "grid", "orders_per_side"),),
        )
    beyond = abs(item.start_position - item.target_base)
    if limits.max_position is not None and beyond > limits.max_position:
        yield Contradiction(
            (*path, "start_position"),
            f"base, within limits.max_position {limits.max_position:g}",
            "a smaller start_position, or a larger limit",
            ((*table, "max_position"),),
        )
    yield from _value_limits(config, item, path)


def _value_limits(config: Config, item: InstrumentConfig, path: Path) -> Iterator[Contradiction]:
    smallest = float(item.spec.min_notional or 0)
    wanted = (
        ((*path, "limits", "max_open_notional"), item.limits.max_open_notional),
        (("account", "max_open_notional"), config.account.max_open_notional),
        (("account", "max_position_usd"), config.account.max_position_usd),
    )
    for key, value in wanted:
        if value is not None and value < smallest:
            yield Contradiction(
                key,
                f"quote, at least the smallest order value {smallest:g} of {item.symbol}",
                f"{key[-1]} = {smallest:g} or more, or leave it out",
                ((*path, "spec", "min_notional"),),
            )
    if item.strategy == "grid" and item.max_position_usd / 2 < smallest:
        yield Contradiction(
            (*path, "grid", "asset"),
            f"quote: each side's budget is {item.max_position_usd / 2:g}, below one order of "
            f"min_notional {smallest:g}",
            f"asset = {2 * smallest / item.leverage / item.grid.margin:.6g} or more",
            ((*path, "grid"), (*path, "spec", "min_notional")),
        )
