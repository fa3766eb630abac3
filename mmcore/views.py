"""Traders and records in the words of people: what the displays and the log are told."""

import math
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import logs
from ._engine import Market, Trader
from ._quotes import GridStrategy
from .events import BID, ContractKind, Reason, RecordKind, RejectCode, Status, Suppressed
from .instrument import Instrument
from .progress import STATUS_WORDS, Fill, Rung, TraderView
from .schema import InstrumentConfig
from .wiring import position_max_of

if TYPE_CHECKING:  # names of the stubs only
    from ._engine import TraderState
    from ._orders import OpenOrder

RUNGS = 24  # levels of the market read for the ladder; the display picks from them
REQUEST_WORDS = {RecordKind.PLACE: "place", RecordKind.AMEND: "amend", RecordKind.CANCEL: "cancel"}


def names_of(items: Sequence[Instrument]) -> tuple[str, ...]:
    """What to call each instrument: its symbol; with its venue where two have the same."""
    counts = Counter(item.symbol for item in items)
    return tuple(item.symbol if counts[item.symbol] == 1 else str(item) for item in items)


def trader_view(
    name: str,
    item: Instrument,
    plan: InstrumentConfig,
    trader: Trader,
    market: Market,
    age_s: float,
    calls_per_s: float,
) -> TraderView:
    """One trader as the displays want it.  age_s: of its market data; calls_per_s: to the venue."""
    state, own = trader.state(), trader.orders.open()
    grid = plan.strategy == "grid"
    return TraderView(
        name=name,
        strategy=plan.strategy,
        base="contracts" if item.kind == ContractKind.INVERSE else item.base,
        currency=item.settle,
        price_decimals=item.price_decimals,
        quantity_decimals=-int(Decimal(item.lot).normalize().as_tuple().exponent),
        status=Status(state["status"]),
        bids=_rungs(item, market, own, 1),
        asks=_rungs(item, market, own, -1),
        position=item.quantity(state["position"]),
        position_max=position_max(item, plan, trader, state),
        gross=state["equity"] + state["fees"],
        fees=state["fees"],
        skew=state["skew"],
        skew_position=state["skew_position"],
        skew_book=state["skew_book"],
        skew_unit="" if grid else "bps",
        signal=state["signal"] if grid else math.nan,
        why_bid=Suppressed(state["why_bid"]),
        why_ask=Suppressed(state["why_ask"]),
        n_bids=sum(order["side"] > 0 for order in own),
        n_asks=sum(order["side"] < 0 for order in own),
        n_quotes=state["n_quotes"],
        n_requests=state["n_placed"] + state["n_amended"] + state["n_cancelled"],
        n_fills=state["n_fills"],
        requests_per_s=calls_per_s,
        rate_limit=plan.grid.rate_limit if grid else plan.two_sided.rate_limit,
        age_s=age_s,
    )


def position_max(
    item: Instrument, plan: InstrumentConfig, trader: Trader, state: "TraderState"
) -> float:
    """The largest position a trader may hold, as a quantity; 0 where none is known yet."""
    units = position_max_of(plan, item)
    if units:
        return item.quantity(units)
    strategy, mid2 = trader.strategy, state["mid2"]
    if not isinstance(strategy, GridStrategy) or not mid2:
        return 0.0
    size = float(item.contract_size)
    inverse = item.kind == ContractKind.INVERSE
    return strategy.max_position_usd / (size if inverse else size * float(item.tick) * mid2 / 2)


def _rungs(
    item: Instrument, market: Market, own: "Sequence[OpenOrder]", side: int
) -> tuple[Rung, ...]:
    levels = {tick: [qty, 0] for tick, qty in market.book.levels(side, RUNGS).tolist()}
    for order in own:
        if order["side"] == side:
            tick = order["tick"]
            level = levels.setdefault(tick, [market.book.qty(side, tick), 0])
            level[1] += order["qty"]
    return tuple(
        Rung(item.price(tick), item.quantity(qty), item.quantity(own_qty))
        for tick, (qty, own_qty) in sorted(levels.items(), reverse=side == BID)
    )


def state_lines(
    name: str, item: Instrument, plan: InstrumentConfig, trader: Trader, market: Market
) -> list[str]:
    """Book and skew of one trader, for log level debug."""
    state, lines = trader.state(), []
    skew_config = plan.two_sided.inventory_skew_config
    grid = plan.strategy == "grid"
    depth = plan.grid.depths[0] if grid else 5
    if not grid and skew_config is not None:
        depth = skew_config.depth_analysis_levels
    book = market.book.analysis(depth)
    if book is not None:
        mid, spread_bps = market.book.mid, market.book.spread_bps
        lines.append(
            logs.book_line(name, mid, book.bid_depth, book.ask_depth, book.imbalance, spread_bps)
        )
    most = position_max(item, plan, trader, state)
    used = item.quantity(state["position"]) / most if most else 0.0
    parts = state["skew"], state["skew_position"], state["skew_book"]
    return [*lines, logs.skew_line(name, *parts, "" if grid else "bps", used)]


def fills_of(
    records: NDArray[np.void], items: Sequence[Instrument], names: Sequence[str]
) -> list[Fill]:
    """The fills among ``records``, in order."""
    fills = []
    for row in records[records["kind"] == RecordKind.FILL]:
        item = items[row["instrument"]]
        fills.append(
            Fill(
                int(row["ts_ns"]),
                names[row["instrument"]],
                int(row["side"]),
                item.quantity_text(int(row["qty"])),
                item.price_text(int(row["tick"])),
                item.quantity_text(int(row["position"])),
            )
        )
    return fills


def record_line(row: np.void, item: Instrument, name: str) -> str:
    """One journal record, for log level debug."""
    kind, side = RecordKind(row["kind"]), int(row["side"])
    quantity, price = item.quantity_text(int(row["qty"])), item.price_text(int(row["tick"]))
    if kind in REQUEST_WORDS:
        reason = Reason(row["code"]).name.lower()
        return logs.request_line(REQUEST_WORDS[kind], side, quantity, name, price, reason)
    if kind in (RecordKind.ACK, RecordKind.AMENDED):
        return logs.resting_line(side, quantity, name, price)
    if kind == RecordKind.FILL:
        position = item.quantity_text(int(row["position"]))
        return logs.fill_line(side, quantity, name, price, position)
    if kind == RecordKind.STATUS:
        return f"{name} state: {STATUS_WORDS[Status(row['code'])]}"
    code = f" ({RejectCode(row['code']).name.lower()})" if row["code"] else ""
    return f"{name} slot {row['slot']}: {kind.name.lower()}{code}"
