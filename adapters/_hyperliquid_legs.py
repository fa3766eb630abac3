"""One order under several numbers: each modification at Hyperliquid makes a new one.

The house counts an order's quantity and fills from its placing; the venue counts under each number
anew.  A leg is what one number stands for; its base is what was filled before it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from ._hyperliquid_words import OrderNews

ORDERS_MAX = 20_000


@dataclass(slots=True)
class Leg:
    """size, done: units placed and filled under this number; base: filled before it; over: done is
    final; filled: over because nothing was left."""

    oid: str
    size: int
    base: int
    done: int = 0
    over: bool = False
    filled: bool = False

    @property
    def total(self) -> int:
        """Units of the order in all, counted from its placing."""
        return self.base + self.size

    def learn(self, news: OrderNews) -> None:
        """What the venue says of this number."""
        self.done = max(self.done, news.done)
        self.over = self.over or not news.open
        self.filled = self.filled or news.word == "filled"


@dataclass(slots=True)
class Chain:
    """An order's numbers, oldest first.

    heir: news of a new number whose base is not known yet.  modified: the number that the latest
    modification was sent for.  born_ms: when it was placed, by the venue's clock.  nonce: of the
    last action that was sent for it, 0 once that is known to have arrived.
    """

    legs: list[Leg] = field(default_factory=list)
    heir: OrderNews | None = None
    modified: str = ""
    born_ms: int = 0
    nonce: int = 0

    @property
    def last(self) -> Leg | None:
        """The number it has now."""
        return self.legs[-1] if self.legs else None

    def leg(self, oid: str) -> Leg | None:
        """What a number stands for."""
        return next((leg for leg in reversed(self.legs) if leg.oid == oid), None)

    def meet(self, news: OrderNews) -> Leg | None:
        """The leg that news is of; None where its base must be found out first.

        A new number becomes the last leg as soon as the one before it is over.
        """
        known = self.leg(news.oid)
        if known is not None:
            known.learn(news)
            return known
        last = self.last
        if last is not None and not last.over:
            if self.heir is None or self.heir.open:  # what it became is not forgotten
                self.heir = news
            return None
        leg = Leg(news.oid, news.size, 0 if last is None else last.base + last.done)
        leg.learn(news)
        self.legs.append(leg)
        return leg


class Chains:
    """Chains of all orders of this start, by client id; the oldest are forgotten."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, Chain] = OrderedDict()

    def of(self, client_id: str) -> Chain:
        """The chain of an order, made if it is new."""
        chain = self._of.get(client_id)
        if chain is None:
            chain = self._of[client_id] = Chain()
            if len(self._of) > ORDERS_MAX:
                self._of.popitem(last=False)
        return chain


__all__ = ["Chain", "Chains", "Leg"]
