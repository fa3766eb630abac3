"""Requests to Hyperliquid that got no answer: seeing to it that they do not arrive after all.

Every action carries a number, which the venue takes once.  Whoever uses up the number of an action
that has not arrived keeps it from ever being carried out; where the number was used already, the
action has arrived, and what became of it can be asked for.  Either way there is no need to wait.
"""

from __future__ import annotations

from collections.abc import Iterable

from ._hyperliquid_legs import Chains
from ._hyperliquid_rest import Rest
from ._hyperliquid_signer import Signer
from ._hyperliquid_words import items_of
from ._own import Own, OwnOrders


class Voids:
    """Of one account; ``chains`` know the number of what was last sent for each order."""

    def __init__(self, rest: Rest, signer: Signer, chains: Chains, own: OwnOrders) -> None:
        self._rest, self._signer, self._chains, self._own = rest, signer, chains, own

    async def make(self, owns: Iterable[Own]) -> None:
        """What was sent for these, and has not arrived, never will.

        Raises VenueError or DecodeError where the venue does not answer as it should: then nothing
        is known, as before.
        """
        for nonce in dict.fromkeys(self._nonce(own) for own in owns):
            if nonce:
                await self._use_up(nonce)

    def _nonce(self, own: Own) -> int:
        waits = own.op is not None and not own.void
        return self._chains.of(own.client_id).nonce if waits else 0

    async def _use_up(self, nonce: int) -> None:
        self._rest.quota.take(1, True)
        answer = await self._rest.act(self._signer.void(nonce), 1, cancel=True)
        was_free = not items_of(answer, 1)[0].error
        for own in [own for own in self._own.live.values() if self._nonce(own) == nonce]:
            self._chains.of(own.client_id).nonce = 0
            if was_free:
                self._own.void(own)


__all__ = ["Voids"]
