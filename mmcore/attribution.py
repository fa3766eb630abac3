"""Where a profit came from: spread captured, adverse selection, holding, fees, rebates, funding.

For one instrument, in its settle asset, by the mid just before each fill and the final mid:

    net = spread capture + inventory - fees + rebates + funding
    inventory = adverse selection at 5 s + holding

Net is computed on its own, from cash, position and the final mid; what the terms leave over is in
``residual``, and is rounding: below 1e-9 of the sum of their absolute values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fills import Account, MidPath, Scale

ADVERSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Attribution:
    """Terms of a profit, settle asset; what costs is negative, but in ``fees``.

    spread_capture: fills against the mid just before them; taker_slippage: the part of it that
    taking cost.  adverse_selection: what the mid then did within ADVERSE_S.  holding: from there to
    the end, with what was held at the start.  fees: paid.  rebates, funding: received.  net:
    final worth, computed without the other terms.
    """

    spread_capture: float
    taker_slippage: float
    adverse_selection: float
    holding: float
    fees: float
    rebates: float
    funding: float
    net: float

    @property
    def inventory(self) -> float:
        """What the position earned by the moves of the mid."""
        return self.adverse_selection + self.holding

    @property
    def gross(self) -> float:
        """Net before fees, rebates and funding."""
        return self.spread_capture + self.inventory

    @property
    def terms(self) -> tuple[float, ...]:
        """What adds up to net."""
        costs = (-self.fees, self.rebates, self.funding)
        return (self.spread_capture, self.adverse_selection, self.holding, *costs)

    @property
    def residual(self) -> float:
        """Net less the sum of its terms."""
        return self.net - math.fsum(self.terms)

    @property
    def residual_relative(self) -> float:
        """The residual as a share of the sum of the terms' absolute values; 0 without terms."""
        total = math.fsum(abs(term) for term in self.terms)
        return abs(self.residual) / total if total else abs(self.residual)


def attribute(
    fills: NDArray[np.void],
    path: MidPath,
    scale: Scale,
    account: Account | None = None,
    *,
    adverse_s: float = ADVERSE_S,
) -> Attribution:
    """Where the profit of one instrument's FILLS came from, marked at the last mid of the path.

    account: with the payments beside fills; of the fills alone by default.
    """
    account = Account.of_fills(fills) if account is None else account
    signed = fills["side"] * fills["qty"].astype(np.float64)
    final = path.mid[-1]
    later = path.mid[path.at(fills["ts_ns"] + round(adverse_s * 1e9))]
    captured = signed * scale.gain(fills["tick"], fills["mid"])
    adverse = signed * scale.gain(fills["mid"], later)
    held = signed * scale.gain(later, final)
    # Fees taken in the coin are sales at their own price: no fill, but they change what is held.
    other = account.coin_fee
    beside = account.qty[other] * scale.gain(account.tick[other], final)
    start = account.start_qty * scale.gain(path.mid[0], final)
    return Attribution(
        spread_capture=math.fsum(captured),
        taker_slippage=math.fsum(captured[~fills["maker"]]),
        adverse_selection=math.fsum(adverse),
        holding=math.fsum([*held, *beside, float(start)]),
        fees=math.fsum(account.fee[account.fee > 0]),
        rebates=math.fsum(-account.fee[account.fee < 0]),
        funding=math.fsum(account.funding),
        net=net_of(account, path, scale),
    )


def net_of(account: Account, path: MidPath, scale: Scale) -> float:
    """Final worth less what was paid for it: cash and position at the last mid, after fees."""
    cash = -account.qty * scale.worth(np.maximum(account.tick, 1))
    held = account.start_qty + int(account.qty.sum())
    entered = -account.start_qty * float(scale.worth(path.mid[0]))
    value = held * float(scale.worth(path.mid[-1]))
    return math.fsum([*cash, entered, value, *-account.fee, *account.funding])


def summed(parts: Sequence[Attribution]) -> Attribution:
    """The attribution of several instruments that settle in one asset."""
    return Attribution(
        **{
            each.name: math.fsum(getattr(p, each.name) for p in parts)
            for each in fields(Attribution)
        }
    )


def as_facts(terms: Attribution) -> dict[str, Any]:
    """The terms by name, with inventory, gross and what the identity leaves over."""
    facts: dict[str, Any] = {each.name: getattr(terms, each.name) for each in fields(terms)}
    for name in ("inventory", "gross", "residual", "residual_relative"):
        facts[name] = getattr(terms, name)
    return facts
