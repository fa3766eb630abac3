"""What a configuration means, in words and figures, before anything runs.

The ladder that each strategy would quote is computed by the compiled strategy itself, at the touch
that the configured market shows in its first seconds.  Every statement is one of three: ``ok``, a
``note`` (works, but look at it), or a ``fault`` (cannot work as written, with the repair).  A
report with a fault ends the command with exit code 2, or 3 where the market data are to blame.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

from ._quoter import Quoter
from ._quotes import GridStrategy
from .box import script
from .errors import ConfigError, ExitCode
from .events import ContractKind
from .instrument import Instrument
from .keyring import keys_of
from .progress import plural
from .sample import Sample, look
from .schema import Config, InstrumentConfig
from .sources import source_of
from .wiring import CAPABILITIES, build, position_max_of, strategy_of, venue_of

SECONDS = 20.0  # of market time that are looked at
FINER = 4  # decimals added to sizes to see what the strategy wants before lots and minima

COLORS = {"ok": "\033[32m", "note": "\033[33m", "fault": "\033[31m"}


class Finding(NamedTuple):
    """One statement: status ``ok``, ``note`` or ``fault``; the repair, "" where none is needed.

    exit_code: of the command, where this is a fault.
    """

    status: str
    about: str
    text: str
    repair: str = ""
    exit_code: ExitCode = ExitCode.CONFIG


class Order(NamedTuple):
    """One order of the ladder as wanted: price and worth in quote currency, size as the venue would
    get it, bps and market spreads from the mid.
    """

    side: str
    level: int
    price: str
    quantity: str
    worth: float
    bps: float
    spreads: float
    fits: bool


@dataclass(slots=True)
class Report:
    """Everything that ``check`` found.  ladders: orders by name of instrument."""

    path: str
    flag: str = ""  # that `run` needs for it
    findings: list[Finding] = field(default_factory=list)
    ladders: dict[str, list[Order]] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """0, or that of the first fault: 2 for the configuration, 3 for the market's data."""
        codes = [finding.exit_code for finding in self.findings if finding.status == "fault"]
        return codes[0] if codes else ExitCode.OK

    @property
    def next(self) -> str:
        """What to type now."""
        if self.exit_code:
            return f"repair the lines marked fault, then python -m mmcore check {quote(self.path)}"
        return f"python -m mmcore run {quote(self.path)}{self.flag}"

    def as_dict(self) -> dict[str, Any]:
        """The report for machines."""
        return {
            "ok": self.exit_code == ExitCode.OK,
            "exit_code": int(self.exit_code),
            "findings": [finding._asdict() for finding in self.findings],
            "ladders": {
                name: [order._asdict() for order in orders] for name, orders in self.ladders.items()
            },
            "next": self.next,
        }

    def text(self, *, color: bool = False) -> str:
        """The report for people: each instrument's ladder, then its findings."""
        lines, shown = [], set()
        for finding in self.findings:
            if finding.about not in shown:
                shown.add(finding.about)
                lines += ["", finding.about, *map(_order_line, self.ladders.get(finding.about, ()))]
            mark = f"{finding.status:<5}"
            if color:
                mark = f"{COLORS[finding.status]}{mark}\033[0m"
            repair = f": {finding.repair}" if finding.repair else ""
            lines.append(f"  {mark}  {finding.text}{repair}")
        return "\n".join([*lines[1:], "", f"next: {self.next}"])


def _order_line(order: Order) -> str:
    return (
        f"    {order.side} {order.level}  {order.price:>12}  size {order.quantity:>10}  "
        f"= {order.worth:10.2f}  {order.bps:6.1f} bps = {order.spreads:6.1f} market spreads"
    )


def check(config: Config) -> Report:
    """Look at the market, lay out every ladder, and judge it.

    Raises ConfigError for an instrument nothing is known of, for a fault script with mistakes and
    for whatever else a run would refuse at its start; DataError for a tape that cannot be read.
    """
    flag = " --live" if config.mode == "live" and config.environment == "testnet" else ""
    report = Report(config.path, flag)
    report.findings += _place(config)
    report.findings += _directory(config)
    source = source_of(config, seconds=SECONDS)
    with closing(source):
        _put_together(config, source.instruments)
        samples = look(source, SECONDS)
        damage = source.problem_count
    for item, sample in zip(config.instruments, samples, strict=True):
        about = f"{item.venue}:{item.symbol}, strategy {item.strategy}"
        if not sample.ts_ns:
            text = "the market shows no usable book in its beginning"
            repair = "begin the tape where a snapshot is"
            report.findings.append(Finding("fault", about, text, repair, ExitCode.DATA))
            continue
        ladder = Ladder(item, sample)
        report.ladders[about] = ladder.orders
        for status, text, repair in _statements(config, ladder):
            report.findings.append(Finding(status, about, text, repair))
    if damage:
        first = f"{damage} damaged record(s) in the beginning, first: {source.problems[0]}"
        report.findings.append(Finding("note", "data", first, "they will be skipped and counted"))
    report.findings += _account(config, samples)
    return report


def _place(config: Config) -> Iterator[Finding]:
    """Where orders would go, and whether the keys for it are there; nothing is sent."""
    if not config.needs_venue:
        return
    about = "venue"
    where = config.environment
    if config.mode == "paper":
        text = f"listens to public data ({where}) without keys; orders stay simulated"
        yield Finding("ok", about, text)
    elif where == "loopback":
        text = "orders go to the exchange in the box, which the run starts and stops; no keys"
        yield Finding("ok", about, text)
        if config.live.faults is not None:
            count = plural(len(script.load(config.live.faults)), "fault")
            yield Finding("ok", about, f"{count} in {config.live.faults}")
        yield _switch(config)
    else:
        yield Finding("note", about, f"orders go to the {where}: run it with --live")
        for venue in dict.fromkeys(item.venue for item in config.instruments):
            try:
                keys_of(venue, os.environ, config.live.keys_file)
            except ConfigError as error:
                yield Finding("note", about, f"{venue}: {error.what}", error.todo)
            else:
                yield Finding("ok", about, f"{venue}: keys are there, written as they should be")
        yield _switch(config)


def _put_together(config: Config, instruments: tuple[Instrument, ...]) -> None:
    """Raise ConfigError where the parts of the run cannot be made."""
    build(config, instruments)
    if config.mode == "paper":
        for index, instrument in enumerate(instruments):
            venue_of(config, index, instrument)


def _switch(config: Config) -> Finding:
    """What becomes of orders when mmcore dies."""
    window_s = config.live.dead_man_seconds
    if not window_s:
        text = "dead_man_seconds = 0: if mmcore dies, its orders stay at the venue"
        return Finding("note", "venue", text, "set dead_man_seconds, 30 for instance")
    text = (
        f"{window_s:g} s after mmcore falls silent, the venue cancels every order there, also "
        "those of others"
    )
    venues = {item.venue for item in config.instruments}
    gaps = ["Binance spot has no such switch"] if "binance-spot" in venues else []
    if config.environment != "loopback" and venues & {"bybit-linear", "bybit-spot"}:
        gaps.append("Bybit has it for institutional accounts only")
    return Finding("note" if gaps else "ok", "venue", "; ".join([text, *gaps]))


def _directory(config: Config) -> Iterator[Finding]:
    """Whether the folder of the run can be made; nothing is written."""
    root = Path(config.run.directory)
    there = next(path for path in (root, *root.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "cannot be written" if there.is_dir() else "is no folder"
        text = f"run.directory = {config.run.directory}: {there} {what}"
        yield Finding("fault", "run", text, "name another one with `directory` under [run]")


Statement = tuple[str, str, str]


class Ladder:
    """What one instrument's strategy would quote at the last touch of a sample, when flat."""

    def __init__(self, item: InstrumentConfig, sample: Sample) -> None:
        self.item = item
        self.sample = sample
        self.instrument = sample.instrument
        self.strategy = strategy_of(item)
        self.orders: list[Order] = []
        self.misfits: list[tuple[Order, float]] = []  # and by how much it is too small
        fine = Quoter(self.strategy, _finer(self.instrument).spec())
        # Both grids: the side that the signal does not favour has the smallest orders.
        ladders = []
        for signal in (0.0, -1e-9) if item.strategy == "grid" else (0.0,):
            fine.quote(*sample.touch, signal=signal)
            ladders.append((fine.bids, fine.asks))
        self.fair, self.spread = fine.fair, fine.spread
        for side, name in enumerate(("bid", "ask")):
            for level in range(max(len(ladder[side]) for ladder in ladders)):
                sizes = [ladder[side][level] for ladder in ladders if level < len(ladder[side])]
                self._add(name, level, sizes[0][0], min(qty for _, qty in sizes))
        self.bids_worst = max(self._whole_lots(bids) for bids, _ in ladders)

    def _add(self, side: str, level: int, tick: int, fine_qty: int) -> None:
        instrument = self.instrument
        price = instrument.price(tick)
        wanted = fine_qty / _finer(instrument).qty_per_one
        units = instrument.spec().qty_floor(wanted)
        worth = worth_of(instrument, instrument.quantity(units), price)
        least = _least_units(instrument, price)
        distance = abs(price - self.sample.mid)
        tick_worth = float(instrument.tick)
        order = Order(
            side,
            level,
            instrument.price_text(tick),
            instrument.quantity_text(units),
            worth,
            distance / self.sample.mid * 1e4,
            distance / (self.sample.spread_ticks * tick_worth),
            units >= least,
        )
        self.orders.append(order)
        if not order.fits:
            self.misfits.append((order, instrument.quantity(least) / wanted))

    def _whole_lots(self, orders: list[tuple[int, int]]) -> float:
        """Size of all these orders after rounding to lots."""
        spec, fine = self.instrument.spec(), _finer(self.instrument).qty_per_one
        return sum(self.instrument.quantity(spec.qty_floor(qty / fine)) for _, qty in orders)

    @property
    def levels(self) -> int:
        """Orders wanted on each side."""
        return self.item.grid.orders_per_side if self.item.strategy == "grid" else 1

    @property
    def spread_bps(self) -> float:
        """Quoted spread."""
        return self.spread / self.fair * 1e4

    def side_worth(self, side: str) -> float:
        """Quote value of all orders of one side."""
        return sum(order.worth for order in self.orders if order.side == side)

    @property
    def worst_worth(self) -> float:
        """Quote value of the position if every bid fills, with the signal at its worst."""
        return worth_of(self.instrument, self.bids_worst, self.sample.mid)


def worth_of(instrument: Instrument, quantity: float, price: float) -> float:
    """Quote value of a size: price x size, or contracts x their size on inverse markets."""
    size = quantity * float(instrument.contract_size)
    return size if instrument.kind == ContractKind.INVERSE else size * price


def _least_units(instrument: Instrument, price: float) -> int:
    """Units of the smallest order that the venue takes at a price: whole lots."""
    lot = instrument.lot_qty
    worth = worth_of(instrument, instrument.quantity(lot), price)
    by_worth = ceil(float(instrument.min_notional) / worth * (1 - 1e-12))
    return lot * max(1, by_worth, ceil(instrument.to_qty(instrument.min_qty) / lot))


def _finer(instrument: Instrument) -> Instrument:
    """The same instrument with sizes so fine that no lot and no minimum bends the ladder."""
    free = replace(instrument, min_qty="0", max_qty="0", min_notional="0")
    for more in range(FINER, 0, -1):
        digits = instrument.qty_decimals + more
        fine = replace(free, qty_decimals=digits, lot=f"0.{'0' * (digits - 1)}1")
        try:
            fine.spec()
        except (ValueError, OverflowError):  # finer than the core's integers can count
            continue
        return fine
    return free


def _statements(config: Config, ladder: Ladder) -> Iterator[Statement]:
    yield _market(config, ladder)
    yield from _sizes(ladder)
    yield _break_even(ladder)
    yield from _venue(config, ladder)
    yield from _inventory(ladder)
    yield from _limits(ladder)
    yield _rates(config, ladder)


def _market(config: Config, ladder: Ladder) -> Statement:
    sample = ladder.sample
    origin = "tape" if config.market.source == "tape" else f"preset {config.market.preset}"
    if config.market.source == "venue":  # nothing is asked of a venue here
        origin = f"a synthetic stand-in, {origin}"
    spread_bps = sample.spread_ticks * float(sample.instrument.tick) / sample.mid * 1e4
    ticks = "tick" if sample.spread_ticks == 1 else "ticks"
    return (
        "ok",
        (
            f"market ({origin}, {sample.seconds:.0f} s): mid {sample.mid:.10g}, spread "
            f"{sample.spread_ticks:g} {ticks} = {spread_bps:.2f} bps, volatility "
            f"{sample.volatility_bps():.2f} bps per root second"
        ),
        "",
    )


def _sizes(ladder: Ladder) -> Iterator[Statement]:
    instrument, item = ladder.instrument, ladder.item
    minimum = f"{float(instrument.min_notional):g} {instrument.quote}"
    wanted = 2 * ladder.levels
    if len(ladder.orders) < wanted:
        yield (
            "note",
            (
                f"{len(ladder.orders)} of {wanted} orders have a price of their own: the tick is "
                f"{float(instrument.tick) / ladder.sample.mid * 1e4:.2f} bps"
            ),
            "raise minimum_spread or final_order_distance, or lower orders_per_side",
        )
    for order, factor in ladder.misfits:
        yield (
            "fault",
            (
                f"level {order.level} {order.side} = {order.worth:.2f} {instrument.quote} "
                f"< venue minimum {minimum}, lot {instrument.lot}, size {instrument.min_qty}"
            ),
            _larger(item, factor, ladder.levels),
        )
    if ladder.orders and not ladder.misfits:
        smallest = min(ladder.orders, key=lambda order: order.worth)
        yield (
            "ok",
            (
                f"all {len(ladder.orders)} orders reach the venue's minimum of {minimum} and size "
                f"{instrument.min_qty}; the smallest is {smallest.worth:.2f} {instrument.quote}"
            ),
            "",
        )


def _larger(item: InstrumentConfig, factor: float, levels: int) -> str:
    """Repair for an order that is too small by ``factor``."""
    if item.strategy == "two_sided":
        return f"raise target_liquidity to >= {item.two_sided.target_liquidity * factor:.6g}"
    grid = item.grid
    drop = f", or drop the level: orders_per_side = {levels - 1}" if levels > 1 else ""
    if grid.max_position_usd is not None:
        return f"raise max_position_usd to >= {grid.max_position_usd * factor:.0f}{drop}"
    return f"raise asset to >= {ceil(grid.asset * factor):d}{drop}"


def _break_even(ladder: Ladder) -> Statement:
    fee = _maker_bps(ladder)
    needed = round(2 * fee, 6)
    earned = ladder.spread_bps
    most = "of the smallest order" if ladder.item.fees.kind == "flat" else f"of {fee:.6g}"
    text = (
        f"break-even spread {needed:.6g} bps (two maker fees {most}); "
        f"quoted {earned:.1f} bps, {earned - needed:+.1f} a round trip before adverse selection"
    )
    if earned > needed:
        return ("ok", text, "")
    name = "minimum_spread" if ladder.item.strategy == "grid" else "half_spread"
    least = needed if name == "minimum_spread" else needed / 2
    return ("note", text, f"raise {name} above {least:.6g}")


def _maker_bps(ladder: Ladder) -> float:
    """What a maker pays, of the notional; where it is paid by fill, on the smallest order."""
    instrument, fees, mid = ladder.instrument, ladder.item.fees, ladder.sample.mid
    if fees.kind == "value":
        return instrument.maker_fee_bps
    fee = fees.at_start[0] or 0.0
    if instrument.kind == ContractKind.INVERSE:
        fee *= mid
    smallest = min((order.worth for order in ladder.orders), default=0.0)
    worth = worth_of(instrument, 1.0, mid) if fees.kind == "qty" else smallest
    return fee / worth * 1e4 if worth else 0.0


def _venue(config: Config, ladder: Ladder) -> Iterator[Statement]:
    """What the simulated venue does with our orders."""
    if config.mode == "live":
        return
    model, item = config.simulation, ladder.item
    power = f" {model.exponent:g}" if model.queue_model.startswith("power") else ""
    rules = f", rules {', '.join(model.rules)}" if model.rules else ""
    extra = f" (cancels {model.cancel_extra_ms:g} more)" if model.cancel_extra_ms else ""
    jitter = f", jitter {model.jitter_ms:g} ms" if model.jitter_ms else ""
    text = (
        f"simulated venue: {model.entry_latency_ms:g} ms to it{extra}, "
        f"{model.response_latency_ms:g} ms back{jitter}; "
        f"queue {model.queue_model}{power}{rules}; {_fees(ladder)}"
    )
    yield "ok", text, ""
    grid = item.strategy == "grid"
    rate = item.grid.rate_limit if grid else item.two_sided.rate_limit
    batch = _batch(item)
    if model.order_rate is not None and model.order_rate < rate * batch:
        yield (
            "note",
            (
                f"simulated venue: it refuses more than order_rate {model.order_rate} orders/s; "
                f"rate_limit {rate} with {batch} in one request can ask for {rate * batch}"
            ),
            f"rate_limit x orders in one request <= {model.order_rate} is never refused",
        )
    if model.batch_max is not None and model.batch_max < batch:
        yield (
            "note",
            f"simulated venue: it refuses more than batch_max {model.batch_max} orders in a call",
            f"batch_size = {model.batch_max} keeps within it, now {batch}",
        )


def _fees(ladder: Ladder) -> str:
    """Fees that hold first, and by which tier, in words."""
    fees, instrument = ladder.item.fees, ladder.instrument
    maker, taker = fees.at_start
    settle = instrument.base if instrument.kind == ContractKind.INVERSE else instrument.quote
    unit = {"value": "bps", "qty": f"{settle} per 1.0", "flat": f"{settle} a fill"}[fees.kind]
    if fees.kind == "value":
        maker, taker = instrument.maker_fee_bps, instrument.taker_fee_bps
    text = f"fees maker {maker:.10g}, taker {taker:.10g} {unit}"
    if not fees.tiers:
        return text
    reached = sum(tier.volume <= fees.traded for tier in fees.tiers)
    return (
        f"{text}, tier {reached} of {len(fees.tiers)} after {fees.traded:,.10g} {instrument.quote} "
        f"in {fees.tier_days} days"
    )


def _inventory(ladder: Ladder) -> Iterator[Statement]:
    item, instrument = ladder.item, ladder.instrument
    size, worth = ladder.bids_worst, ladder.worst_worth
    base = "contracts" if instrument.kind == ContractKind.INVERSE else instrument.base
    text = (
        f"if every bid fills: {size:.10g} {base} = {worth:.2f} {instrument.quote}, "
        f"a move of 1 % against it costs {worth / 100:.2f}"
    )
    if isinstance(ladder.strategy, GridStrategy):
        most = ladder.strategy.max_position_usd
        text += f"; {worth / most:.0%} of max_position_usd {most:.2f}"
    else:
        most_size = item.two_sided.max_absolute_position_size
        text += f"; {size / most_size:.0%} of max_absolute_position_size {most_size:g}"
    yield "ok", text, ""
    hard = instrument.quantity(position_max_of(item, instrument))
    if 0 < hard < size:
        yield (
            "note",
            f"limits.max_position {hard:g} holds back bids: together they are {size:.10g}",
            f"max_position = {size:.6g}, or smaller orders",
        )
    if item.is_spot and (item.start_position == 0 or item.existing_position == "ignore"):
        yield "note", "spot: nothing to sell at first, so it starts with bids only", ""


def _limits(ladder: Ladder) -> Iterator[Statement]:
    limits, instrument = ladder.item.limits, ladder.instrument
    money = instrument.base if instrument.kind == ContractKind.INVERSE else instrument.quote
    stops = [
        f"{words} {limit:g} {money}"
        for words, limit in (
            ("a loss of", limits.max_loss),
            ("a fall from its high of", limits.max_drawdown),
        )
        if limit is not None
    ]
    if stops:
        yield "ok", f"it stops for good (exit code 5) at {' or '.join(stops)}", ""
    worth = ladder.side_worth("bid") + ladder.side_worth("ask")
    if limits.max_open_notional is not None and limits.max_open_notional < worth:
        yield (
            "note",
            (
                f"limits.max_open_notional {limits.max_open_notional:g} holds outer orders back; "
                f"all together are {worth:.2f}"
            ),
            f"max_open_notional = {ceil(worth)}, or smaller orders",
        )
    largest = max((float(order.quantity) for order in ladder.orders), default=0.0)
    if limits.max_order_size is not None and limits.max_order_size < largest:
        yield (
            "note",
            (
                f"limits.max_order_size {limits.max_order_size:g} cuts orders: the largest is "
                f"{largest:g}"
            ),
            f"max_order_size = {largest:g}",
        )


def _rates(config: Config, ladder: Ladder) -> Statement:
    item = ladder.item
    can = CAPABILITIES[item.venue]
    orders = 2 * ladder.levels
    grid = item.strategy == "grid"
    batch = _batch(item)
    per_quote = ceil(orders / batch) * (1 if can.amend == 2 else 2)
    if grid:
        band, limit = item.grid.requote_spreads * ladder.spread_bps, item.grid.rate_limit
    else:
        band, limit = item.two_sided.max_bps_diff, item.two_sided.rate_limit
    limit = min(limit, config.account.rate_limit or limit)
    rate = per_quote * ladder.sample.exits_per_s(band)
    asked = f"about {rate:.2f} requests/s" if rate else "none in this time"
    text = (
        f"re-quoting takes up to {plural(per_quote, 'request')} ({orders} orders, {batch} in one); "
        f"for price alone this market asks for {asked}, fills come on top; rate_limit is {limit}"
    )
    if rate > limit:
        name = "minimum_spread" if grid else "max_bps_diff"
        return "note", text, f"quotes will lag: raise rate_limit to >= {ceil(rate)}, or {name}"
    if per_quote > limit:
        return "note", f"{text}; one grid takes {per_quote / limit:.1f} s", "raise rate_limit"
    return "ok", text, ""


def _batch(item: InstrumentConfig) -> int:
    """Orders in one request."""
    if item.strategy == "two_sided":
        return 1
    return min(item.grid.batch_size, CAPABILITIES[item.venue].batch)


def _account(config: Config, samples: list[Sample]) -> list[Finding]:
    limit = config.account.max_position_usd
    if limit is None or not all(sample.ts_ns for sample in samples):
        return []
    ladders = [Ladder(i, s) for i, s in zip(config.instruments, samples, strict=True)]
    worth = sum(ladder.worst_worth for ladder in ladders)
    text = (
        f"if every bid of every instrument fills: {worth:.2f}; account.max_position_usd {limit:g}"
    )
    if worth <= limit:
        return [Finding("ok", "account", text)]
    return [Finding("note", "account", text, "the limit holds bids back when it is reached")]
