"""Wiring: a configuration becomes markets and traders, ready to be stepped.

One place for what a key of the configuration means to the core: decimals become integers here,
absent limits get the strategy's own, and what a venue can do bounds what we ask of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any, NamedTuple

from ._book import Book
from ._engine import Account, Market, Ring, Trader
from ._orders import Orders
from ._quotes import GridStrategy, Strategy, TwoSidedStrategy
from ._rate import RateLimiter
from ._signals import Signals, Weights
from ._venue import PARITY, PARITY_FIFO, PARITY_WHOLE, RULES, Venue
from .config import (
    Config,
    FeesConfig,
    GridConfig,
    InstrumentConfig,
    SimulationConfig,
    TwoSidedConfig,
)
from .errors import ConfigError
from .events import ContractKind
from .instrument import Instrument

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
UNITS_MAX = 2**62
GENERATION_BITS = 24  # of one slot of one trader: an order a second for half a year


class Capability(NamedTuple):
    """What a venue's order entry can do.  amend: 0 no, 1 quantity down only, 2 price and quantity.

    batch: orders in one call.
    """

    amend: int
    batch: int


CAPABILITIES = {
    "binance-usdm": Capability(2, 5),
    "binance-coinm": Capability(2, 5),
    "binance-spot": Capability(1, 1),
    "bybit-linear": Capability(2, 20),
    "bybit-spot": Capability(2, 10),
    "hyperliquid": Capability(2, 20),
    "synthetic": Capability(2, 10),
}


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything that trades in one run.

    instruments, markets, traders: same order, index = ``Event.instrument``.
    """

    instruments: tuple[Instrument, ...]
    markets: tuple[Market, ...]
    traders: tuple[Trader, ...]
    account: Account
    ring: Ring


class Shared:
    """What several configurations on one market have in common: the journal's ring, and a market
    for every instrument and way of looking at it.

    records: room in the ring, a power of two.
    """

    def __init__(self, records: int = 65_536) -> None:
        self.ring = Ring(records)
        self._markets: dict[tuple[object, ...], Market] = {}

    def market(self, item: InstrumentConfig, instrument: Instrument, index: int) -> Market:
        """The market with the signals that ``item`` asks for, made where there is none yet."""
        grid = item.grid
        key = (index, grid.depths, grid.tick_window, grid.forecast)
        if key not in self._markets:
            self._markets[key] = _market(item, instrument, index)
        return self._markets[key]


def build(
    config: Config,
    instruments: tuple[Instrument, ...],
    shared: Shared | None = None,
    *,
    number: int = 0,
) -> Wiring:
    """Markets and traders for ``config.instruments``, one each, in order.

    instruments: what the source says of them, same order.  shared: with other configurations.
    number: of the first trader in the records.  Raises ConfigError where a figure of the
    configuration does not fit the instrument.
    """
    shared = Shared() if shared is None else shared
    limit = config.account.rate_limit
    account = Account(
        position_max=config.account.max_position_usd or 0.0,
        open_max=config.account.max_open_notional or 0.0,
        loss_max=config.account.max_loss or 0.0,
        drawdown_max=config.account.max_drawdown or 0.0,
        rate=None if limit is None else RateLimiter(limit, reserve=reserve_of(limit)),
    )
    markets, traders = [], []
    for index, (item, instrument) in enumerate(zip(config.instruments, instruments, strict=True)):
        market = shared.market(item, instrument, index)
        markets.append(market)
        # Traders of one account count in ranges of their own: slot and generation are what the
        # client id of an order is made of, and a venue takes no id twice.
        first = index << GENERATION_BITS if config.mode == "live" else 0
        place = number + index
        traders.append(_trader(item, instrument, market, account, shared.ring, place, first))
    return Wiring(instruments, tuple(markets), tuple(traders), account, shared.ring)


def reserve_of(limit: int) -> int:
    """Calls of a rate limit kept for cancels: a fifth, rounded down.

    None below five: where an order cannot be amended, its cancel and its successor are two calls of
    one second, and a limit of two must leave both.
    """
    return limit // 5


def venue_of(
    config: Config, index: int, instrument: Instrument, beside: Venue | None = None
) -> Venue:
    """The simulated venue of one instrument, as ``[simulation]`` and ``[instrument.fees]`` ask.

    beside: another account's venue of the instrument, whose book is shared.  Raises ConfigError for
    fees that the venue cannot count exactly.
    """
    item, model = config.instruments[index], config.simulation
    try:
        return Venue(
            instrument.spec(index),
            beside=beside,
            rules=rules_of(model),
            queue=model.queue_model,
            exponent=model.exponent,
            position=start_of(item, instrument),
            order_rate=model.order_rate or 0,
            batch_max=model.batch_max or 0,
            **_fees(item.fees),
        )
    except ValueError as error:
        raise ConfigError(
            str(error),
            where=f"{config.path}: {item.venue}:{item.symbol}",
            done="nothing was started",
            todo="write the fees of [instrument.fees] with fewer digits",
        ) from None


def rules_of(model: SimulationConfig) -> int:
    """The switches of the simulated venue as bits."""
    sets = RULES | {
        "parity": PARITY, "parity_whole": PARITY_WHOLE, "parity_fifo": PARITY_FIFO,
    }  # fmt: skip
    bits = 0 if model.funding else RULES["no_funding"]
    for name in model.rules:
        bits |= sets[name]
    return bits


def _fees(fees: FeesConfig) -> dict[str, Any]:
    """Fees as the venue takes them: fractions of the notional, or money; none: the instrument's."""
    scale = Decimal("0.0001") if fees.kind == "value" else Decimal(1)

    def exact(fee: float) -> Decimal:
        return Decimal(repr(fee)) * scale

    if fees.tiers:
        rows = [(tier.volume, exact(tier.maker), exact(tier.taker)) for tier in fees.tiers]
        days = {"traded": fees.traded, "tier_days": fees.tier_days}
        return {"fee": fees.kind, "tiers": rows, **days}
    one = {"maker_fee": fees.maker, "taker_fee": fees.taker}
    given = {name: exact(fee) for name, fee in one.items() if fee is not None}
    return {"fee": fees.kind, **given}


def strategy_of(item: InstrumentConfig) -> Strategy:
    """The compiled strategy that an ``[[instrument]]`` table asks for."""
    return _grid(item, item.grid) if item.strategy == "grid" else _two_sided(item.two_sided)


def position_max_of(item: InstrumentConfig, instrument: Instrument) -> int:
    """The hard position limit in units, 0 where only the grid's value limit holds.

    Raises ConfigError for a limit below one lot: to the core 0 is none.
    """
    most = item.limits.max_position
    if most is not None:
        return _limit(instrument, "limits.max_position", most)
    if item.strategy == "grid":
        return 0
    name = "two_sided.max_absolute_position_size"
    return _limit(instrument, name, item.two_sided.max_absolute_position_size)


def _limit(instrument: Instrument, name: str, most: float) -> int:
    """Units of a limit that somebody has set."""
    units = whole_units(instrument, most)
    if units < instrument.lot_qty:
        raise ConfigError(
            f"{name} = {most:.15g} is below one lot, {instrument.lot}",
            where=str(instrument),
            done="nothing was started",
            todo=f"{name.partition('.')[2]} = {instrument.lot} or more",
        )
    return units


def whole_units(instrument: Instrument, quantity: float) -> int:
    """Units of a configured quantity, rounded down: limits never grow by rounding.

    Raises ConfigError for more than can be counted.
    """
    scaled = Decimal(repr(quantity)).scaleb(instrument.qty_decimals)
    if abs(scaled) >= UNITS_MAX:
        raise ConfigError(
            f"a size of {quantity:g} does not fit: units of 1e-{instrument.qty_decimals} are "
            f"counted up to {UNITS_MAX / instrument.qty_per_one:.2g}",
            where=str(instrument),
            done="nothing was started",
            todo="write a smaller size, or leave the limit out",
        )
    return int(scaled.to_integral_value(ROUND_FLOOR))


def _grid(item: InstrumentConfig, grid: GridConfig) -> GridStrategy:
    weights = grid.weights
    return GridStrategy(
        asset=grid.asset,
        leverage=item.leverage,
        margin=grid.margin,
        max_position_usd=grid.max_position_usd,
        orders_per_side=grid.orders_per_side,
        final_order_distance=grid.final_order_distance,
        final_order_distance_from=grid.final_order_distance_from,
        minimum_spread=grid.minimum_spread,
        maximum_spread=grid.maximum_spread,
        edge_bps=grid.edge_bps,
        volatility_factor=grid.volatility_factor,
        anchor=grid.anchor,
        requote_spreads=grid.requote_spreads,
        inventory=grid.inventory,
        kappa=grid.kappa,
        inventory_strict=grid.inventory_strict,
        stop_delta=grid.stop_delta,
        size_profile=grid.size_profile,
        size_ratio_favoured=grid.size_ratio_favoured,
        size_ratio_other=grid.size_ratio_other,
        size_ratio_range=grid.size_ratio_range,
        weights=Weights(
            imbalance=weights.imbalance,
            deep_imbalance=weights.deep_imbalance,
            trade=weights.trade,
            voi=weights.voi,
            ofi=weights.ofi,
            deep_ofi=weights.deep_ofi,
            predict=weights.predict,
            dead_band=grid.dead_band,
            forecast_gate_bps=grid.forecast_gate_bps,
            deep_magnitude=grid.deep_magnitude,
            vote=grid.vote,
        ),
    )


def _two_sided(two: TwoSidedConfig) -> TwoSidedStrategy:
    skew = two.inventory_skew_config
    return TwoSidedStrategy(
        target_liquidity=two.target_liquidity,
        half_spread=two.half_spread,
        max_bps_diff=two.max_bps_diff,
        max_absolute_position_size=two.max_absolute_position_size,
        asset_type=two.asset_type or "perp",
        inventory_skew_factor=None if skew is None else skew.inventory_skew_factor,
        book_imbalance_factor=None if skew is None else skew.book_imbalance_factor,
        depth_analysis_levels=None if skew is None else skew.depth_analysis_levels,
        max_skew_bps=None if skew is None else skew.max_skew_bps,
        skew_application=two.skew_application,
        anchor=two.anchor,
    )


def _market(item: InstrumentConfig, instrument: Instrument, index: int) -> Market:
    inverse = instrument.kind == ContractKind.INVERSE
    spec = instrument.spec(index)
    grid = item.grid
    signals = Signals(
        grid.depths, tick_window=grid.tick_window, inverse=inverse, forecast=grid.forecast
    )
    return Market(spec, Book(spec), signals)


def _trader(
    item: InstrumentConfig,
    instrument: Instrument,
    market: Market,
    account: Account,
    ring: Ring,
    number: int,
    generation: int,
) -> Trader:
    can = CAPABILITIES[instrument.venue]
    grid = item.strategy == "grid"
    strategy = strategy_of(item)
    rate_limit = item.grid.rate_limit if grid else item.two_sided.rate_limit
    limits = item.limits
    notional = 0.0
    if isinstance(strategy, GridStrategy) and limits.max_position is None:
        notional = strategy.max_position_usd
    return Trader(
        market,
        strategy,
        orders=Orders(
            amend=can.amend,
            requote_bps=item.grid.requote_bps if grid else item.two_sided.max_bps_diff,
            size_tolerance=item.grid.size_tolerance if grid else 0.0,
            generation=generation,
        ),
        rate=RateLimiter(rate_limit, reserve=reserve_of(rate_limit)),
        account=account,
        ring=ring,
        number=number,
        batch=min(item.grid.batch_size, can.batch) if grid else 1,
        post_only=item.post_only,
        flatten=item.flatten_at_stop,
        stale_ns=int(item.grid.grid_stale_seconds * NS_PER_S),
        debounce_ns=int(item.grid.fill_debounce_ms * NS_PER_MS),
        age_ns_max=int(limits.book_age_seconds_max * NS_PER_S) or 2**62,
        position_max=position_max_of(item, instrument),
        position_notional_max=notional,
        open_notional_max=limits.max_open_notional or 0.0,
        order_qty_max=_order_max(item, instrument),
        orders_max=limits.max_orders,
        loss_max=limits.max_loss or 0.0,
        drawdown_max=limits.max_drawdown or 0.0,
        position_start=start_of(item, instrument),
        base_target=_target(item, instrument),
        quote_start=-1 if item.quote_balance is None else round(item.quote_balance * 1e8),
    )


def _order_max(item: InstrumentConfig, instrument: Instrument) -> int:
    most = item.limits.max_order_size
    venue = instrument.to_qty(instrument.max_qty)
    if most is None:
        return venue
    units = _limit(instrument, "limits.max_order_size", most)
    return min(units, venue) if venue else units


def start_of(item: InstrumentConfig, instrument: Instrument) -> int:
    """The position taken over at the start, signed units; on spot what is held beyond the target.

    Raises ConfigError where one was found and the configuration refuses it.
    """
    if item.existing_position == "ignore":
        return 0
    if item.existing_position == "refuse" and item.start_position:
        raise ConfigError(
            f'a position of {item.start_position} was found and existing_position is "refuse"',
            where=str(instrument),
            done="mmcore has not started",
            todo='close the position, or set existing_position to "adopt"',
        )
    sign = -1 if item.start_position < 0 else 1
    held = sign * whole_units(instrument, abs(item.start_position))
    return held - _target(item, instrument)


def _target(item: InstrumentConfig, instrument: Instrument) -> int:
    """Spot units that count as flat; what is ignored is not ours to sell either."""
    if item.existing_position == "ignore":
        return 0
    return whole_units(instrument, item.target_base)
