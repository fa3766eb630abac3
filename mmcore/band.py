"""The fill band: the same configuration under several assumptions about the queue.

Where an order stands in its queue cannot be seen; a queue model assumes it.  One result under one
model is a point on a scale that nobody knows, so a backtest trades its configuration under five of
them in the same pass, from the most careful to the most generous, and the profit is an interval.
A strategy reacts to its fills, so the outcome need not rise with the generosity: the interval is
what lies between the least and the most of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from msgspec.structs import replace

from .progress import QUANTA_PER_ONE, TraderView, money, plural
from .schema import Config, QueueModel


class Model(NamedTuple):
    """A queue model and its exponent; None where it has none."""

    queue: str
    exponent: float | None = None

    def __str__(self) -> str:
        return self.queue if self.exponent is None else f"{self.queue} {self.exponent:g}"


CAREFUL = Model("risk_averse")
BAND = (CAREFUL, Model("power3", 3.0), Model("power", 2.0), Model("log"), Model("power2", 2.0))


class Outcome(NamedTuple):
    """What one trader made under one model; money in quanta."""

    model: Model
    net: int
    gross: int
    fees: int
    fills: int
    position: float


def model_of(config: Config) -> Model:
    """The model that a configuration asks for."""
    told = config.simulation
    plain = told.queue_model in ("risk_averse", "log", "log2", "fifo")
    return Model(told.queue_model, None if plain else told.exponent)


def banded(config: Config, also: Model | None = None) -> list[Config]:
    """The configuration under every model of the band, and ``also``, that it has not itself."""
    models = BAND if also is None else (*BAND, also)
    own = model_of(config)
    return [with_model(config, model) for model in dict.fromkeys(models) if model != own]


def with_model(config: Config, model: Model) -> Config:
    """The configuration under another queue model."""
    simulation = replace(
        config.simulation,
        queue_model=cast(QueueModel, model.queue),
        queue_exponent=model.exponent,
    )
    return replace(config, simulation=simulation)


def outcome(model: Model, view: TraderView) -> Outcome:
    """What a trader made, as of its view."""
    return Outcome(model, view.net, view.gross, view.fees, view.n_fills, view.position)


def interval(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """The least and the most net profit, quanta."""
    nets = [each.net for each in outcomes]
    return min(nets), max(nets)


def band_facts(outcomes: Sequence[Outcome], currency: str) -> dict[str, object]:
    """The band of one trader for machines; money in units of its currency."""
    low, high = interval(outcomes)
    return {
        "currency": currency,
        "pnl_net_low": low / QUANTA_PER_ONE,
        "pnl_net_high": high / QUANTA_PER_ONE,
        "models": [
            {
                "queue_model": each.model.queue,
                "queue_exponent": each.model.exponent,
                "pnl_net": each.net / QUANTA_PER_ONE,
                "pnl_gross": each.gross / QUANTA_PER_ONE,
                "fees": each.fees / QUANTA_PER_ONE,
                "fills": each.fills,
                "position": each.position,
            }
            for each in outcomes
        ],
    }


def band_lines(outcomes: Sequence[Outcome], currency: str, name: str = "") -> list[str]:
    """The band of one trader for people; the configured model comes first.

    name: of the trader, where there are several.
    """
    low, high = interval(outcomes)
    who = f"{name} net" if name else "net"
    if len({(each.net, each.fees, each.fills, each.position) for each in outcomes}) == 1:
        what = f"{money(low, currency)} {currency} under each of {len(outcomes)} queue models"
        return [f"fill band    {who} {what}: no fill hung on the queue"]
    span = f"{money(low, currency)} to {money(high, currency)} {currency}"
    return [
        f"fill band    {who} {span}, by {len(outcomes)} queue models",
        *(
            f"  {each.model!s:<14} {plural(each.fills, 'fill'):>13}, "
            f"net {money(each.net, currency):>12}, fees {money(each.fees, currency)}"
            for each in outcomes
        ),
    ]


__all__ = [
    "BAND",
    "Model",
    "Outcome",
    "band_facts",
    "band_lines",
    "banded",
    "interval",
    "model_of",
    "outcome",
    "with_model",
]
