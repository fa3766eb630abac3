"""What the cases of the venue contract share: a venue, a gateway that trades on it, a witness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

from .counterpart import PREFIX, Counterpart, Dealt
from .events import ASK, BID, RejectCode
from .gateway import ClientIds, Gateway, Prepared, Setup
from .witness import Sent, Witness

CASE_S = 60.0  # one case at most
RECOVERY_S = 25.0  # after a link was lost
NEAR_TRIES = 10
EPOCH = 1 << 20  # above those that counterparts give

T = TypeVar("T")


class Contract(Protocol):
    """What opens a venue, and an adapter's gateway to it."""

    def open(self) -> AbstractAsyncContextManager[Counterpart]: ...

    def gateway(self, setup: Setup) -> Gateway: ...


class Trial:
    """What the cases of one class share: a venue, a gateway to it that has started, a witness.

    start, money: position and balances before the first order.
    """

    venue: Counterpart
    gateway: Gateway
    prepared: Prepared
    witness: Witness

    ids: ClientIds

    def __init__(self, contract: Contract, runner: asyncio.Runner) -> None:
        self.contract = contract
        self._runner = runner
        self._stack = AsyncExitStack()
        self.start = 0
        self.money: dict[str, int] = {}

    def run(self, work: Awaitable[T]) -> T:
        """Run something to its end on the loop of the trial, bounded in time."""

        async def bounded() -> T:
            async with asyncio.timeout(CASE_S):
                return await work

        return self._runner.run(bounded())

    async def open(self) -> None:
        """Open the venue, and trade on it."""
        self.venue = await self._stack.enter_async_context(self.contract.open())
        item = self.venue.item
        self.start = self.venue.position()
        self.money = {asset: self.venue.balance(asset) for asset in {item.base, item.quote}}
        self.ids = ClientIds(PREFIX, EPOCH)
        trading = self.another(ids=self.ids)
        self.gateway, self.prepared, self.witness = await self._stack.enter_async_context(trading)

    async def close(self) -> None:
        """Close both."""
        await self._stack.aclose()

    @asynccontextmanager
    async def another(self, **changed: Any) -> AsyncIterator[tuple[Gateway, Prepared, Witness]]:
        """One more gateway to the same account, which has started; closed at the end."""
        setup = self.venue.setup(**changed)
        gateway = self.contract.gateway(setup)
        try:
            prepared = await gateway.prepare()
            witness = Witness(gateway, prepared.instruments[0])
            await gateway.start(witness)
            await witness.until(lambda: witness.healthy, what="a healthy book")
            yield gateway, prepared, witness
        finally:
            await gateway.close()

    async def clean(self) -> None:
        """After a case: no faults, no orders, and nothing to complain of."""
        witness = self.witness
        self.venue.calm()
        await witness.until(lambda: witness.healthy, within_s=RECOVERY_S, what="a healthy book")
        await self.gateway.cancel_all()
        await witness.until(lambda: not witness.open(), within_s=RECOVERY_S, what="no open order")
        assert witness.problems == []
        assert witness.errors == []

    def same_book(self) -> bool:
        """Whether the witness sees the venue's book."""
        witness, venue = self.witness, self.venue
        return witness.healthy and all(
            witness.top(side, 5) == venue.top(side, 5) for side in (BID, ASK)
        )

    def client_id(self, order: Sent) -> str:
        """The client id of an order of the trial's own gateway."""
        return self.ids.make(order.slot, order.generation)

    def dealt(self, order: Sent) -> list[Dealt]:
        """The venue's fills of an order."""
        wanted = self.client_id(order)
        return [fill for fill in self.venue.fills() if fill.client_id == wanted]

    async def rest(self, side: int = BID, times: int = 1) -> Sent:
        """An order of least size, far from the market, that rests."""
        order = self.witness.place(side, self.venue.far_tick(side), self.venue.size(times))
        await self.witness.live(order)
        return order

    async def near(self, side: int = BID, times: int = 1) -> Sent:
        """An order that rests where others can reach it.

        So near, the market may be there first: one that is refused for it is asked for again, at
        the price of then.
        """
        for _ in range(NEAR_TRIES):
            order = self.witness.place(side, self.venue.resting_tick(side), self.venue.size(times))
            await self.witness.until(partial(_known, order), what="an acknowledgement")
            if order.acked or order.code is not RejectCode.POST_ONLY:
                break
        assert order.acked, f"an order near the market was refused: {order.told}"
        return order

    async def recovered(self) -> None:
        """Orders rest again, whatever the last fault did to the line; refusals are told so."""
        witness, venue = self.witness, self.venue
        for _ in range(100):
            order = witness.place(BID, venue.far_tick(BID), venue.size())
            known = partial(_known, order)
            await witness.until(known, within_s=RECOVERY_S, what="an answer")
            if order.acked:
                return
            await asyncio.sleep(0.25)
        raise AssertionError(f"no order rests any more: {witness.notices[-4:]}")

    def fault_orders(self, do: str, **more: Any) -> None:
        """A fault for the next call that places orders, whatever the venue calls it."""
        for word in ("order", "batch"):
            self.venue.fault(do, f"request:{word}", **{"count": 1, **more})

    def agree(self) -> None:
        """Every order that is open here is open there, and the other way round."""
        here = sorted(self.client_id(order) for order in self.witness.open())
        there = sorted(order.client_id for order in self.venue.orders() if order.client_id)
        assert here == there


def _known(order: Sent) -> bool:
    return order.over or order.acked


__all__ = ["Contract", "Trial"]
