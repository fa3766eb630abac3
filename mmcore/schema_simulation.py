"""Keys of the simulated venue."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from .keys import Key

QueueModel = Literal["risk_averse", "power", "power2", "power3", "log", "log2"]


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
    funding: Annotated[bool, Key("yes or no", "perpetuals pay at the stamps of the feed")] = True

    @property
    def exponent(self) -> float:
        """Exponent of the power models."""
        return 3.0 if self.queue_exponent is None else self.queue_exponent
