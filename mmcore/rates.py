"""How often a run asked a venue, against how often that venue lets one ask.

The rules are those that each venue publishes for an account of the lowest tier; an account's own
may allow more.  Instruments of one venue share its account, so their requests count together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .events import RecordKind
from .fills import Ints
from .metrics import peak
from .schema import Config
from .traded import REQUESTS, Trading, calls_of

ORDERS = (RecordKind.PLACE, RecordKind.AMEND)
DAY_S = 86_400.0
FOR_EVER_S = 1e9


@dataclass(frozen=True, slots=True)
class Rule:
    """A venue's limit.  what: is counted.  calls: with their orders together, else one by one.

    most: in any window of so many seconds.
    """

    what: str
    most: int
    window_s: float
    kinds: tuple[RecordKind, ...] = ORDERS
    calls: bool = False


def _each(places: int, amends: int, cancels: int) -> tuple[Rule, ...]:
    return (
        Rule("orders placed in 1 s", places, 1.0, (RecordKind.PLACE,)),
        Rule("orders amended in 1 s", amends, 1.0, (RecordKind.AMEND,)),
        Rule("orders cancelled in 1 s", cancels, 1.0, (RecordKind.CANCEL,)),
    )


_FUTURES = (
    Rule("orders placed or amended in 10 s", 300, 10.0),
    Rule("calls that place or amend in 1 min", 1_200, 60.0, calls=True),
)
RULES: dict[str, tuple[Rule, ...]] = {
    "binance-usdm": _FUTURES,
    "binance-coinm": _FUTURES,
    "binance-spot": (
        Rule("orders placed or amended in 10 s", 100, 10.0),
        Rule("orders placed or amended in a day", 200_000, DAY_S),
    ),
    "bybit-linear": _each(10, 10, 10),
    "bybit-spot": _each(20, 10, 20),
    "hyperliquid": (Rule("calls in 1 min", 1_200, 60.0, REQUESTS, calls=True),),
}
ACTIONS_FREE = 10_000  # Hyperliquid: for every address, and one more for each USDC it has traded


def rate_facts(tradings: Sequence[Trading], config: Config) -> list[dict[str, Any]]:
    """Every limit of every venue of a run, and the most that was asked in any such window.

    The configuration's own for the whole account, and those of its simulated venue, are among them.
    """
    found = []
    if config.account.rate_limit is not None:
        rule = Rule("calls in 1 s by [account]", config.account.rate_limit, 1.0, REQUESTS, True)
        found.append(_fact("all venues", rule, tradings))
    for venue in dict.fromkeys(each.item.venue for each in tradings):
        mine = [each for each in tradings if each.item.venue == venue]
        found += [_fact(venue, rule, mine) for rule in RULES.get(venue, ())]
        if venue == "hyperliquid":
            earned = ACTIONS_FREE + sum(int(each.turnover) for each in mine)
            rule = Rule("actions, of those that its volume earns", earned, FOR_EVER_S, REQUESTS)
            found.append(_fact(venue, rule, mine))
    simulated = config.simulation.order_rate if config.mode == "paper" else None
    if simulated is not None:
        rule = Rule("orders placed or amended in 1 s by [simulation]", simulated, 1.0)
        found += [_fact(str(each.item), rule, [each]) for each in tradings]
    return found


def _fact(whose: str, rule: Rule, tradings: Sequence[Trading]) -> dict[str, Any]:
    most = peak(_times(tradings, rule), rule.window_s)
    share = most / rule.most
    return {"whose": whose, "what": rule.what, "limit": rule.most, "most": most, "share": share}


def _times(tradings: Sequence[Trading], rule: Rule) -> Ints:
    """When what a rule counts was sent, in order of time."""
    times: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for each in tradings:
        if rule.calls:
            times.append(calls_of(each.records, rule.kinds, each.batch))
        else:
            times.append(each.records["ts_ns"][np.isin(each.records["kind"], rule.kinds)])
    return np.sort(np.concatenate(times))


__all__ = ["RULES", "Rule", "rate_facts"]
