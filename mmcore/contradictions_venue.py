"""Contradictions about the simulated venue: its rules, its limits and its fees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .faults import Contradiction
from .places import Path
from .schema import Config, FeesConfig, InstrumentConfig

FEE_BPS_LEAST, FEE_BPS_MOST = -100, 1000  # as in [instrument.spec]
FEE_BPS_TINY = 0.001  # nobody charges so little: it was meant as a fraction
BY_ORDER = ("parity_fifo", "clear_expires", "skip_inside")  # about markets of orders with ids
PARITY = ("parity", "parity_whole", "parity_fifo")


def of_simulation(config: Config, given: dict[str, Any]) -> Iterator[Contradiction]:
    """Of the table ``[simulation]``; ``given`` is the table as written."""
    simulation, table = config.simulation, ("simulation",)
    if simulation.queue_exponent is not None and not simulation.queue_model.startswith("power"):
        yield Contradiction(
            (*table, "queue_exponent"),
            f"queue model {simulation.queue_model} has no exponent; power, power2 and power3 have",
            'remove it, or queue_model = "power"',
            ((*table, "queue_model"),),
        )
    rules = simulation.rules
    for index, name in enumerate(rules):
        if name in rules[:index]:
            yield Contradiction((*table, "rules", index), "each switch once", f'remove "{name}"')
    if "take_remainder" in rules and {"take_unlimited", "parity_whole"} & set(rules):
        yield Contradiction(
            (*table, "rules"),
            "a taker that fills whole (take_unlimited, parity_whole) leaves no remainder",
            'remove "take_remainder"',
        )
    chosen = [name for name in rules if name in PARITY]
    if len(set(chosen)) > 1:
        yield Contradiction(
            (*table, "rules"),
            "parity is hftbacktest with partial fills, parity_whole is it without them, "
            "parity_fifo is it on tapes of orders with ids",
            'rules = ["parity"], or ["parity_whole"]',
        )
    yield from _fifo(config)
    if chosen and given.get("funding") is True:
        yield Contradiction(
            (*table, "funding"),
            f"hftbacktest, and so the rules {chosen[0]}, pay no funding",
            "funding = false, or other rules",
            ((*table, "rules"),),
        )


def _fifo(config: Config) -> Iterator[Contradiction]:
    model, rules = ("simulation", "queue_model"), ("simulation", "rules")
    if config.simulation.queue_model != "fifo":
        for index, name in enumerate(config.simulation.rules):
            if name in BY_ORDER:
                yield Contradiction(
                    (*rules, index),
                    f"{name} goes with the queue model fifo",
                    'queue_model = "fifo", or remove it',
                    (model,),
                )
        return
    if config.market.source != "tape":
        yield Contradiction(
            model,
            "fifo needs the ids of the market's orders, which only a tape can tell",
            'queue_model = "risk_averse", or source = "tape" with a tape of orders',
            (("market", "source"),),
        )
    if "parity" in config.simulation.rules or "parity_whole" in config.simulation.rules:
        yield Contradiction(
            rules, "with the queue model fifo, hftbacktest's rules are parity_fifo",
            'rules = ["parity_fifo"]', (model,),
        )  # fmt: skip


def of_fees(item: InstrumentConfig, path: Path, given: dict[str, Any]) -> Iterator[Contradiction]:
    """Of one ``[instrument.fees]`` table; ``given`` is the instrument's as written."""
    fees, table = item.fees, (*path, "fees")
    written = given.get("fees")
    if not isinstance(written, dict):
        return
    kind = (*table, "kind")
    if fees.tiers:
        yield from _tiers(fees, table)
    else:
        for name in ("tier_days", "traded"):
            if name in written:
                yield Contradiction(
                    (*table, name),
                    "read only with tiers",
                    f"remove {name}, or add [[instrument.fees.tiers]]",
                    ((*table, "tiers"),),
                )
    for name in ("maker", "taker"):
        yield from _given_once(item, table, name)
    if fees.kind == "value":
        yield from _in_bps(fees, table)
    elif item.strategy == "grid" and item.grid.edge_bps is not None:
        yield Contradiction(
            (*path, "grid", "edge_bps"),
            f'bps of the mid, over fees in bps: fees of kind "{fees.kind}" are none',
            'remove edge_bps, or kind = "value"',
            (kind,),
        )


def _given_once(item: InstrumentConfig, table: Path, name: str) -> Iterator[Contradiction]:
    """A fee stands in one place, and is there where no other place can say it."""
    fees = item.fees
    fee = getattr(fees, name)
    place = (*table, name)
    spec_name = f"{name}_fee_bps"
    if fee is not None and fees.tiers:
        yield Contradiction(
            place, "the tiers say the fees", f"remove {name}, or the tiers", ((*table, "tiers"),)
        )
    if getattr(item.spec, spec_name) is not None and (fee is not None or fees.tiers):
        yield Contradiction(
            (*table[:-1], "spec", spec_name),
            "[instrument.fees] says this fee already",
            f"remove {spec_name}, or the one in [instrument.fees]",
            (table,),
        )
    if fee is None and not fees.tiers and fees.kind != "value":
        what = "per 1.0 of size" if fees.kind == "qty" else "per fill"
        yield Contradiction(
            place,
            f'needed with kind = "{fees.kind}": settle currency {what}',
            f"add {name} = 0.1",
            ((*table, "kind"),),
        )


def _tiers(fees: FeesConfig, table: Path) -> Iterator[Contradiction]:
    volumes = [tier.volume for tier in fees.tiers]
    if volumes[0] != 0:
        yield Contradiction(
            (*table, "tiers", 0, "volume"),
            "quote, 0 in the first tier: something must hold from the start",
            "volume = 0",
        )
    for index in range(1, len(volumes)):
        if volumes[index] <= volumes[index - 1]:
            yield Contradiction(
                (*table, "tiers", index, "volume"),
                f"quote, above the tier before it, {volumes[index - 1]:.15g}",
                "put the tiers in order of volume",
                ((*table, "tiers", index - 1),),
            )


def _in_bps(fees: FeesConfig, table: Path) -> Iterator[Contradiction]:
    told = [((*table, name), getattr(fees, name)) for name in ("maker", "taker")]
    for index, tier in enumerate(fees.tiers):
        place = (*table, "tiers", index)
        told += [((*place, "maker"), tier.maker), ((*place, "taker"), tier.taker)]
    for place, fee in told:
        if fee is not None and 0 < abs(fee) <= FEE_BPS_TINY:
            yield Contradiction(
                place,
                f"bps of the notional: {fee:g} of the notional is {fee * 1e4:g} bps",
                f"{place[-1]} = {fee * 1e4:g}, or 0",
                ((*table, "kind"),),
            )
        if fee is not None and not FEE_BPS_LEAST <= fee <= FEE_BPS_MOST:
            yield Contradiction(
                place,
                f"bps of the notional: {FEE_BPS_LEAST} to {FEE_BPS_MOST}",
                f"{place[-1]} = 2.0",
                ((*table, "kind"),),
            )
