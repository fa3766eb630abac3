"""Keys of the simulated venue: how it fills, what it refuses, what it charges."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from .keys import Key

QueueModel = Literal["risk_averse", "power", "power2", "power3", "log", "log2", "fifo"]
Rule = Literal[
    "parity",
    "parity_whole",
    "parity_fifo",
    "double_queue",
    "half_lot",
    "whole_print",
    "whole_through",
    "whole_cross",
    "take_unlimited",
    "take_remainder",
    "forget_taken",
    "modify_keeps_left",
    "fill_unhealthy",
    "no_partial",
    "no_filters",
    "amend_rests",
    "clear_expires",
    "cross_once",
    "skip_inside",
]


class SimulationConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simulated venue that our orders go to."""

    entry_latency_ms: Annotated[
        float, Key("ms", "order to matching engine, from a server near it", least=0, most=60_000)
    ] = 5.0
    response_latency_ms: Annotated[
        float, Key("ms", "matching engine back to us", least=0, most=60_000)
    ] = 5.0
    cancel_extra_ms: Annotated[
        float, Key("ms", "added to entry_latency_ms for cancels", least=0, most=60_000)
    ] = 0.0
    jitter_ms: Annotated[
        float, Key("ms", "mean of a seeded addition to each latency", least=0, most=60_000)
    ] = 0.0
    queue_model: Annotated[
        QueueModel, Key("choice", "the most careful: only trades move us up in the queue")
    ] = "risk_averse"
    queue_exponent: Annotated[
        float | None,
        Key("number", "higher: cancels happen more behind us", least=0.1, most=20, auto="3"),
    ] = None
    rules: Annotated[
        tuple[Rule, ...],
        Key(
            "choices",
            "switches of docs/simulation.md; parity and the like: all of hftbacktest's",
            example='["parity"]',
        ),
    ] = ()
    order_rate: Annotated[
        int | None,
        Key(
            "orders and amends/s",
            "an instrument; what is more in any second is refused",
            least=1,
            most=65_535,
            auto="no limit",
        ),
    ] = None
    batch_max: Annotated[
        int | None,
        Key(
            "orders and amends",
            "in one call; what is more is refused",
            least=1,
            most=65_535,
            auto="no limit",
        ),
    ] = None
    funding: Annotated[bool, Key("yes or no", "perpetuals pay at the stamps of the feed")] = True

    @property
    def exponent(self) -> float:
        """Exponent of the power models."""
        return 3.0 if self.queue_exponent is None else self.queue_exponent


FEE_UNIT = "bps, or settle currency (qty, flat)"


class FeeTierConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is charged from a trailing volume on."""

    volume: Annotated[
        float,
        Key(
            "quote", "traded on the days before; the first tier 0", least=0, most=9e10, example="0"
        ),
    ]
    maker: Annotated[
        float, Key(FEE_UNIT, "negative is a rebate", least=-1e9, most=1e9, example="2.0")
    ]
    taker: Annotated[float, Key(FEE_UNIT, "as maker", least=-1e9, most=1e9, example="5.0")]


class FeesConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the simulated venue charges for a fill; without the table: as [instrument.spec] says."""

    kind: Annotated[
        Literal["value", "qty", "flat"],
        Key("choice", "bps of the notional; qty: money per 1.0 of size; flat: money per fill"),
    ] = "value"
    maker: Annotated[
        float | None,
        Key(
            FEE_UNIT,
            "negative is a rebate",
            least=-1e9,
            most=1e9,
            auto="spec.maker_fee_bps; needed with qty, flat",
        ),
    ] = None
    taker: Annotated[
        float | None,
        Key(
            FEE_UNIT,
            "as maker",
            least=-1e9,
            most=1e9,
            auto="spec.taker_fee_bps; needed with qty, flat",
        ),
    ] = None
    tiers: Annotated[
        tuple[FeeTierConfig, ...], Key("tables", "instead of maker and taker: by trailing volume")
    ] = ()
    tier_days: Annotated[
        int, Key("days", "whole UTC days that the volume looks back", least=1, most=366)
    ] = 30
    traded: Annotated[
        float, Key("quote", "traded on those days before the start", least=0, most=9e10)
    ] = 0.0

    @property
    def at_start(self) -> tuple[float | None, float | None]:
        """Maker and taker fee that hold first; None where the instrument's do."""
        reached = [tier for tier in self.tiers if tier.volume <= self.traded]
        if reached:
            best = max(reached, key=lambda tier: tier.volume)
            return best.maker, best.taker
        return self.maker, self.taker
