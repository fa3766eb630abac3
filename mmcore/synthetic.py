"""The synthetic market: presets as data, and the Source that gives their rows.

A preset copies one recorded market: how its touch stands and jumps, how its takers cluster, what
its book looks like behind the touch.  ``bench/acceptance.py`` measures every preset against the
ranges of the recordings.  The model, in one paragraph: a latent price that diffuses, jumps and is
moved by the unexpected part of what takers do; quoters who let it wander inside a dead band and
step at once when it leaves it; takers who excite each other and copy each other's side; touch
queues that grow on the side which the latent price leaves behind; levels behind them drawn anew.

Several markets in one source: a follower's latent price is ``beta`` times the leader's, in
logarithms and ``lag_s`` later, plus a part of its own, which is pulled back (the same coin on
another market: a basis) or not (another coin: correlation).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._synth import Generator
from .events import EVENT, ContractKind
from .instrument import Instrument, known

BLOCK_ROWS = 32_768  # of one block: 2 MB
BLOCK_STEPS = 20_000  # time steps of one block at most,
FIRST_STEPS = 500  # and of the first, so that it is there at once
START_STEPS_MIN = 500  # the book reaches an eighth of the way down to zero
DEPTH_MAX = 3000  # steps; more would not fit the caches of the reader
START_NS = 1_767_225_600_000_000_000  # 2026-01-01 00:00 UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One synthetic market; prices in steps of its grid, quantities in lots, times in seconds.

    tick, lot_size: what a step and a lot are, in quote and base currency.  start: first best bid.
    step_s: time step.  depth_s, depth_chance: a depth message may be sent so often, and is so
    likely.  diffusion: of the latent price, steps per square root of a second.  band: dead band of
    the quoters; lean: share of it that the price keeps leaning on after a move.  jump_rate (per
    second), jump: Student jumps.  heat_add, heat_decay (per second): what a move adds to the
    variance.  impact: steps for an unexpected taker of the size of the queue, growing with the
    root of its size up to impact_cap; push: share of the band that a swept price keeps.
    taker_rate (per second), weights, decays (per second): a self-exciting process.  copy,
    copy_decay, sign_lean: copied signs, and how far the others follow the latent price.  size,
    size_width, big_chance, big, big_exponent, size_max: takers, lognormal with a Pareto tail.
    sweep_chance, chase_chance, burst, prints: what takers do in a move; prints of one taker.
    queue, queue_noise, queue_lean, queue_s, fill, dust_chance, touch_rate (per second): the touch.
    close_fast_chance, close_fast_s, close_slow_s: an open spread
    closes, so many times (hurry) sooner when wider than two steps; strides: of a move.
    draws, draws_width, reach, reach_width, depth: levels looked at per message, and how far out.
    level, level_slope, level_peak, level_width, occupied, occupied_far, occupied_peak, keep: the
    levels behind the touch.  grain_s, event_delay_s, latency_least_s, latency_body_s,
    congestion_s: clocks.  beta, lag_s, pull (per second): ties to a leader.  drift (steps a
    second), leg_s, home (per second), flash (steps), flash_every_s, flash_s, rally_s, scar,
    flash_rate: what `Regime` says.  tick_step, lot: ticks in a step and units in a lot of the
    instrument whose rows are written.
    """

    tick: float
    lot_size: float
    start: int
    step_s: float
    depth_s: float
    depth_chance: float
    diffusion: float
    band: float
    lean: float
    jump_rate: float
    jump: float
    heat_add: float
    heat_decay: float
    impact: float
    impact_cap: float
    push: float
    taker_rate: float
    weights: tuple[float, float, float, float]
    decays: tuple[float, float, float, float]
    copy: float
    copy_decay: float
    sign_lean: float
    size: float
    size_width: float
    big_chance: float
    big: float
    big_exponent: float
    size_max: float
    sweep_chance: float
    chase_chance: float
    burst: float
    prints: float
    queue: float
    queue_noise: float
    queue_lean: float
    queue_s: float
    fill: float
    dust_chance: float
    touch_rate: float
    close_fast_chance: float
    close_fast_s: float
    close_slow_s: float
    strides: float
    draws: float
    draws_width: float
    reach: float
    reach_width: float
    depth: int
    level: float
    level_slope: float
    level_peak: float
    level_width: float
    occupied: float
    occupied_far: float
    occupied_peak: float
    keep: float
    hurry: float = 12.0
    grain_s: float = 0.001
    event_delay_s: float = 0.002
    latency_least_s: float = 0.001
    latency_body_s: float = 0.0008
    congestion_s: tuple[float, float] = (0.005, 0.030)
    beta: float = 0.0
    lag_s: float = 0.0
    pull: float = 0.0
    drift: float = 0.0
    leg_s: float = 0.0
    home: float = 0.0
    flash: float = 0.0
    flash_every_s: float = 0.0
    flash_s: float = 1.0
    rally_s: float = 1.0
    scar: float = 0.0
    flash_rate: float = 1.0
    tick_step: int = 1
    lot: int = 1


# The busy small-tick perpetual: USD-M BTCUSDT, 2024-08-08.
BUSY = Preset(
    tick=0.1, lot_size=0.001, start=617167, step_s=0.001, depth_s=0.05, depth_chance=1.0,
    diffusion=36.0, band=72.0, lean=0.35, jump_rate=0.25, jump=60.0, heat_add=6.0, heat_decay=8.0,
    impact=34.0, impact_cap=5.0, push=0.1, taker_rate=2.8,
    weights=(0.10, 0.12, 0.30, 0.20), decays=(0.03, 0.3, 10.5, 330.0),
    copy=0.77, copy_decay=0.9, sign_lean=0.6,
    size=26.0, size_width=2.0, big_chance=0.07, big=700.0, big_exponent=1.1, size_max=70_000.0,
    sweep_chance=0.95, chase_chance=0.95, burst=1.2, prints=3.5,
    queue=3300.0, queue_noise=0.5, queue_lean=1.5, queue_s=0.25, fill=0.9, dust_chance=0.2,
    touch_rate=190.0, close_fast_chance=0.93, close_fast_s=0.0012, close_slow_s=0.03, strides=3.0,
    draws=110.0, draws_width=0.85, reach=230.0, reach_width=1.45, depth=1500,
    level=45.0, level_slope=0.45, level_peak=300.0, level_width=1.7,
    occupied=0.13, occupied_far=0.66, occupied_peak=180.0, keep=0.05,
)  # fmt: skip

# Its neighbour with a coarser tick: USD-M ETHUSDT, 2024-08-08.
BUSY_ETH = Preset(
    tick=0.01, lot_size=0.001, start=268139, step_s=0.001, depth_s=0.05, depth_chance=1.0,
    diffusion=17.0, band=33.0, lean=0.35, jump_rate=0.25, jump=16.0, heat_add=5.0, heat_decay=8.0,
    impact=14.0, impact_cap=4.0, push=0.1, taker_rate=2.2,
    weights=(0.10, 0.12, 0.25, 0.20), decays=(0.1, 1.0, 10.5, 250.0),
    copy=0.66, copy_decay=1.3, sign_lean=0.7,
    size=210.0, size_width=1.9, big_chance=0.13, big=6000.0, big_exponent=1.1, size_max=460_000.0,
    sweep_chance=0.95, chase_chance=0.95, burst=1.0, prints=3.3,
    queue=16_000.0, queue_noise=0.5, queue_lean=1.7, queue_s=0.25, fill=0.6, dust_chance=0.1,
    touch_rate=170.0, close_fast_chance=0.93, close_fast_s=0.0012, close_slow_s=0.03, strides=2.6,
    draws=75.0, draws_width=0.8, reach=130.0, reach_width=1.4, depth=1500,
    level=1500.0, level_slope=0.35, level_peak=110.0, level_width=1.5,
    occupied=0.26, occupied_far=0.95, occupied_peak=60.0, keep=0.1,
)  # fmt: skip

# A venue that matches in blocks: Hyperliquid ETH, 2025-12-10.
BLOCK = Preset(
    tick=0.1, lot_size=0.0001, start=33538, step_s=0.01, depth_s=0.54, depth_chance=1.0,
    diffusion=3.9, band=5.8, lean=0.5, jump_rate=0.06, jump=6.0, heat_add=0.6, heat_decay=3.0,
    impact=1.4, impact_cap=3.0, push=0.1, taker_rate=0.36,
    weights=(0.60, 0.05, 0.0, 0.0), decays=(0.15, 100.0, 0.0, 0.0),
    copy=0.04, copy_decay=1.1, sign_lean=0.8,
    size=700.0, size_width=2.05, big_chance=0.08, big=12_000.0, big_exponent=0.95,
    size_max=6_000_000.0, sweep_chance=0.2, chase_chance=0.1, burst=0.3, prints=5.0,
    queue=750_000.0, queue_noise=0.55, queue_lean=2.5, queue_s=0.6, fill=1.0, dust_chance=0.3,
    touch_rate=3.2, close_fast_chance=0.12, close_fast_s=0.05, close_slow_s=0.14, strides=0.4,
    draws=70.0, draws_width=0.25, reach=9.0, reach_width=0.8, depth=60,
    level=560_000.0, level_slope=0.15, level_peak=12.0, level_width=0.9,
    occupied=0.86, occupied_far=0.995, occupied_peak=5.0, keep=0.3,
    hurry=1.0, latency_least_s=0.06, latency_body_s=0.0536, congestion_s=(0.0, 0.0),
)  # fmt: skip

# A quiet large-tick spot market: Binance spot NEXOUSDT, 2024-07-23.
QUIET = Preset(
    tick=0.001, lot_size=0.01, start=1225, step_s=0.02, depth_s=0.1, depth_chance=0.09,
    diffusion=0.07, band=1.0, lean=0.0, jump_rate=0.001, jump=1.4, heat_add=6.0, heat_decay=0.3,
    impact=0.1, impact_cap=4.0, push=0.3, taker_rate=0.014,
    weights=(0.45, 0.22, 0.15, 0.0), decays=(0.004, 0.055, 57.0, 0.0),
    copy=0.62, copy_decay=1.2, sign_lean=0.0,
    size=3600.0, size_width=1.2, big_chance=0.05, big=30_000.0, big_exponent=1.35,
    size_max=2_200_000.0, sweep_chance=0.75, chase_chance=0.0, burst=0.0, prints=2.1,
    queue=20_000.0, queue_noise=0.6, queue_lean=1.9, queue_s=60.0, fill=0.3, dust_chance=0.0,
    touch_rate=0.2, close_fast_chance=0.6, close_fast_s=0.005, close_slow_s=28.0, strides=1.0,
    draws=0.8, draws_width=0.8, reach=4.0, reach_width=1.35, depth=200,
    level=120_000.0, level_slope=0.1, level_peak=10.0, level_width=0.9,
    occupied=0.99, occupied_far=0.99, occupied_peak=10.0, keep=0.8,
    grain_s=0.000001,
)  # fmt: skip

PRESETS: Mapping[str, Preset] = {
    "busy": BUSY,
    "busy_eth": BUSY_ETH,
    "block": BLOCK,
    "quiet": QUIET,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """What a preset becomes in another kind of market; prices in basis points.

    noise: factor on diffusion and jumps.  takers: factor on the rate of takers.  drift_bp_s: of the
    latent price, a second, up or down by the seed; leg_s: mean time until it turns, 0: it stays.
    home: pull back to the start, per second.  flash_bp: depth of a crash, flash_s: how long it
    falls, rally_s: how long it rises again, scar: share of the fall that stays, flash_every_s: mean
    time from one to the next; flash_rate: takers in it, as a multiple.
    """

    noise: float = 1.0
    takers: float = 1.0
    drift_bp_s: float = 0.0
    leg_s: float = 0.0
    home: float = 0.0
    flash_bp: float = 0.0
    flash_every_s: float = 0.0
    flash_s: float = 1.0
    rally_s: float = 1.0
    scar: float = 0.0
    flash_rate: float = 1.0

    def of(self, preset: Preset) -> Preset:
        """The preset in this regime."""
        step = preset.start * 1e-4  # of one basis point
        return replace(
            preset,
            diffusion=preset.diffusion * self.noise,
            jump=preset.jump * self.noise,
            taker_rate=preset.taker_rate * self.takers,
            drift=self.drift_bp_s * step,
            leg_s=self.leg_s,
            home=self.home,
            flash=self.flash_bp * step,
            flash_every_s=self.flash_every_s,
            flash_s=self.flash_s,
            rally_s=self.rally_s,
            scar=self.scar,
            flash_rate=self.flash_rate,
        )


#: `mmcore.regimes` calls each by the same name when it meets it, on any tape.
REGIMES: Mapping[str, Regime] = {
    "none": Regime(),
    "ranging": Regime(noise=0.8, home=0.02),
    "volatile": Regime(noise=1.4, drift_bp_s=0.5, leg_s=40.0),
    "trend": Regime(drift_bp_s=0.25),
    "quiet": Regime(noise=0.1, takers=0.1, home=0.01),
    "flash": Regime(
        flash_bp=120.0, flash_every_s=300.0, flash_s=30.0, rally_s=90.0, scar=0.2, flash_rate=1.5
    ),
}


@dataclass(frozen=True, slots=True)
class Tie:
    """How a follower hangs on its leader.

    beta: slope on the leader's log price.  own: share of its own noise that is left.  pull: its own
    part decays so fast, per second.  lag_s: behind the leader, seconds.
    """

    beta: float
    own: float
    pull: float
    lag_s: float


# Towards six markets recorded at once: another market of the same coin keeps a basis of 0.6 bp that
# lasts 2 s; ETH moves with BTC at a correlation of 0.69 over 1 s and a slope of 0.65.  The own
# shares are smaller than these suggest, because every market's dead band adds noise of its own.
SAME_COIN = Tie(beta=1.0, own=0.15, pull=1.0, lag_s=0.02)
OTHER_COIN = Tie(beta=0.65, own=0.5, pull=0.0, lag_s=0.01)


@dataclass(frozen=True, slots=True)
class Market:
    """One instrument of a synthetic market.

    instrument: whose ticks and units the rows carry.  preset: fitted to it by :func:`market`.
    leader: index of the market it follows, smaller than its own, or -1.
    """

    instrument: Instrument
    preset: Preset
    leader: int = -1


def market(
    instrument: Instrument, preset: str | Preset, start_price: float | None = None
) -> Market:
    """A preset scaled to an instrument: moves in basis points and sizes in money stay the same.

    start_price: in quote currency; None: the preset's own.  Raises ValueError for an unknown
    preset, and for a price so near to zero that the book would reach it.
    """
    if isinstance(preset, str):
        if preset not in PRESETS:
            raise ValueError(f"preset {preset!r}: expected one of {', '.join(PRESETS)}")
        preset = PRESETS[preset]
    old_price = preset.start * preset.tick
    price = old_price if start_price is None else start_price
    if not 0.0 < price < math.inf:
        raise ValueError(f"start price {price}: expected above 0")
    spec = instrument.spec()
    tick = spec.price_floor(price * (1.0 + 1e-12))
    tick_step = spec.tick_up(tick) - tick
    start = tick // tick_step
    if start < START_STEPS_MIN:
        raise ValueError(
            f"{instrument}: start price {price} is {start} steps of its grid above zero: "
            f"expected at least {START_STEPS_MIN}"
        )
    lot_value = instrument.quantity(instrument.lot_qty) * float(instrument.contract_size)
    if instrument.kind != ContractKind.INVERSE:
        lot_value *= price
    finer = start / preset.start
    more = preset.lot_size * old_price / lot_value
    scaled = _scaled(preset, start, finer, more)
    return Market(
        instrument,
        replace(
            scaled,
            tick=tick_step * spec.tick_size,
            lot_size=lot_value / price,
            tick_step=tick_step,
            lot=instrument.lot_qty,
        ),
    )


def _scaled(preset: Preset, start: int, finer: float, more: float) -> Preset:
    # finer: steps of the new grid in one of the old, in basis points; more: new lots in an old one
    if abs(finer - 1.0) < 1e-9 and abs(more - 1.0) < 1e-9:
        return preset
    depth = min(max(round(preset.depth * finer), 60), DEPTH_MAX, start // 8)
    return replace(
        preset,
        start=start,
        diffusion=preset.diffusion * finer,
        band=max(1.0, preset.band * finer),
        jump=preset.jump * finer,
        impact=preset.impact * finer,
        drift=preset.drift * finer,
        flash=preset.flash * finer,
        reach=max(1.0, preset.reach * finer),
        level_peak=max(1.0, preset.level_peak * finer),
        occupied_peak=max(1.0, preset.occupied_peak * finer),
        depth=depth,
        size=max(1.0, preset.size * more),
        big=max(1.0, preset.big * more),
        size_max=max(2.0, preset.size_max * more),
        queue=max(4.0, preset.queue * more),
        level=max(1.0, preset.level * more * finer ** (-1.0 - preset.level_slope)),
    )


def together(markets: Sequence[Market]) -> tuple[Market, ...]:
    """The same markets on one factor: the first leads, the others follow as coin or as pair."""
    tied = list(markets[:1])
    for follower in markets[1:]:
        same = follower.instrument.base == markets[0].instrument.base
        tie = SAME_COIN if same else OTHER_COIN
        preset = replace(
            follower.preset,
            diffusion=follower.preset.diffusion * tie.own,
            jump=follower.preset.jump * tie.own,
            impact=follower.preset.impact * tie.own,
            beta=tie.beta,
            lag_s=tie.lag_s,
            pull=tie.pull,
            drift=0.0,  # the leader's regime comes with its price
            home=0.0,
            flash=0.0,
        )
        tied.append(Market(follower.instrument, preset, 0))
    return tuple(tied)


class SyntheticSource:
    """Rows of a synthetic market, block by block; a ``Source``.

    markets: what :func:`market` and :func:`together` give; index = ``Event.instrument``.  seconds:
    length, 0 for endless.  seed: 0 to 2^63-1; the same arguments give the same bytes.  start_ns:
    exchange time of the first snapshot.  block_steps: time steps of one block at most, which do not
    change the rows.  Raises ValueError for arguments out of range.
    """

    clock = "local"

    def __init__(
        self,
        markets: Sequence[Market],
        *,
        seconds: float = 0.0,
        seed: int = 1,
        start_ns: int = START_NS,
        block_steps: int = BLOCK_STEPS,
    ) -> None:
        if not markets:
            raise ValueError("a synthetic market needs at least one instrument")
        if not 0.0 <= seconds <= 1e8:
            raise ValueError(f"seconds {seconds}: expected 0 (endless) to 1e8")
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed {seed}: expected 0 to 2^63-1")
        self.instruments = tuple(each.instrument for each in markets)
        self.problems: list[Any] = []
        self.problem_count = 0
        self._seconds = seconds
        self._start_ns = start_ns
        self._generator = Generator(
            [each.preset for each in markets],
            [each.leader for each in markets],
            seed=seed,
            start_ns=start_ns,
            end_ns=start_ns + round(seconds * 1e9) if seconds else 0,
        )
        self._rows = np.zeros(BLOCK_ROWS, EVENT)
        self._steps = min(FIRST_STEPS, block_steps)
        self._block_steps = block_steps

    def next_block(self) -> NDArray[Any] | None:
        """EVENT rows in order of receive time, whole messages; valid until the next call.

        None at the end.  The first block is short, so that it is there within milliseconds.
        """
        while not self._generator.ended:
            n = self._generator.fill(self._rows.view(np.uint8), self._steps)
            self._steps = self._block_steps
            if n:
                return self._rows[:n]
        return None

    def progress(self) -> float:
        """Share of the market that has been made, 0 to 1; nan when it is endless."""
        if not self._seconds:
            return math.nan
        return min(1.0, (self._generator.now_ns - self._start_ns) / (self._seconds * 1e9))

    def close(self) -> None:
        """Nothing is held open: there is nothing to release."""

    @property
    def generator(self) -> Generator:
        """The compiled generator behind the rows, for its own book and latent price."""
        return self._generator


def source(
    preset: str | Preset = "busy",
    *,
    symbol: str = "BTCUSDT",
    seconds: float = 0.0,
    seed: int = 1,
) -> SyntheticSource:
    """One instrument in one line: ``source("quiet", seconds=60.0)``."""
    return SyntheticSource([market(known("synthetic", symbol), preset)], seconds=seconds, seed=seed)
