"""A venue seen from its own side: what a test asks it, and makes it do.

:class:`Counterpart` is what :class:`mmcore.testing.VenueContract` needs of the venue behind an
adapter; :class:`BoxCounterpart` is the exchange in the box.  Quantities are units, prices ticks,
money quanta (1e-8), all as :class:`~mmcore.instrument.Instrument` has them.
"""

from __future__ import annotations

import abc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from .box.accounts import Account
from .box.faults import Do
from .box.floor import Floor
from .box.orders import NewOrder, Order, Refusal
from .box.server import Box
from .events import BID, TimeInForce
from .gateway import ClientIds, Keys, Setup
from .instrument import QUANTA_PER_ONE, Instrument

PREFIX = "c0de0badcafe"
QUIET_NOTIONAL = 60_000  # of quote currency, at most so much stands before a resting order
DEPTH = 400

_epochs = count(1)


@dataclass(frozen=True, slots=True)
class Resting:
    """An open order at the venue; client_id as 32 hex digits, "" for one made by hand."""

    client_id: str
    side: int
    tick: int
    qty: int
    done: int


@dataclass(frozen=True, slots=True)
class Dealt:
    """A fill at the venue.  fee: quanta of ``asset``."""

    client_id: str
    tick: int
    qty: int
    fee: int
    asset: str
    maker: bool


class Counterpart(abc.ABC):
    """One account at one instrument of a venue, which does what it is told.

    venue, symbol: as the adapter is asked for them.  item: the instrument as the venue has it.  A
    method that a venue cannot do raises NotImplementedError: the cases that need it are skipped.
    """

    venue: str
    symbol: str
    item: Instrument

    @abc.abstractmethod
    def setup(self, **changed: Any) -> Setup:
        """What a gateway is to be told, with ids of an epoch of its own."""

    @abc.abstractmethod
    def top(self, side: int, n: int) -> list[tuple[int, int]]:
        """The first n levels of the public book, (tick, qty)."""

    @abc.abstractmethod
    def orders(self) -> list[Resting]:
        """Open orders of the account on the instrument."""

    @abc.abstractmethod
    def fills(self) -> list[Dealt]:
        """Every fill of the account on the instrument so far."""

    @abc.abstractmethod
    def position(self) -> int:
        """Signed units; on spot what the account has of the coin."""

    @abc.abstractmethod
    def balance(self, asset: str) -> int:
        """Of an asset, without open profit."""

    def place(self, side: int, tick: int, qty: int) -> str:
        """An order of the account that the adapter knows nothing of; a name for :meth:`cancel`."""
        raise NotImplementedError

    def cancel(self, name: str) -> None:
        """Cancel an order of the account, by client id, behind the adapter's back."""
        raise NotImplementedError

    def fill(self, client_id: str, qty: int) -> None:
        """Let somebody trade so much with an order that rests, and with all that is before it."""
        raise NotImplementedError

    def spoil(self, what: str) -> None:
        """Take the "trade" permission away, or put the account in "hedge" mode."""
        raise NotImplementedError

    def jump(self, by_ns: int) -> None:
        """Move the venue's clock."""
        raise NotImplementedError

    def fault(self, do: str, where: str, **more: Any) -> None:
        """Let something go wrong, in the words of :mod:`mmcore.box.faults`."""
        raise NotImplementedError

    @abc.abstractmethod
    def calm(self) -> None:
        """No fault from now on."""

    async def restart(self, down_s: float) -> None:
        """Go away for so long, and come back."""
        raise NotImplementedError

    def resting_tick(self, side: int) -> int:
        """A price at which an order rests, near enough to be reached by :meth:`fill`."""
        levels, spec = self.top(side, DEPTH), self.item.spec(0)
        money = 0.0
        for tick, qty in levels:
            money += self.item.price(tick) * self.item.quantity(qty)
            if money > QUIET_NOTIONAL:
                break
        best = levels[0][0]
        step = min(abs(tick - best), best // 1000)  # a thin book has far levels
        bound = best - side * max(step, 1)
        return spec.tick_floor(bound) if side > 0 else spec.tick_ceil(bound)

    def far_tick(self, side: int) -> int:
        """A legal price three percent away from the best: an order there stays alone."""
        best, spec = self.top(side, 1)[0][0], self.item.spec(0)
        return spec.tick_floor(best * (100 - 3 * side) // 100)

    def size(self, times: int = 1) -> int:
        """Units that pass the venue's filters with room, as many times."""
        item = self.item
        price = item.price(self.top(BID, 1)[0][0])
        lots = 3 * max(float(item.min_notional), 10.0) / (price * item.quantity(item.lot_qty))
        least = max(int(lots) + 1, -(-item.to_qty(item.min_qty) // item.lot_qty))
        return least * item.lot_qty * times


class BoxCounterpart(Counterpart):
    """The exchange in the box, in this very process."""

    def __init__(self, box: Box, venue: str, symbol: str) -> None:
        floor = box.exchange.floor(venue, symbol)
        if floor is None:
            raise ValueError(f"the box has no {symbol!r} of {venue!r}")
        self.box = box
        self.venue = venue
        self.symbol = symbol
        self.floor: Floor = floor
        self.item = floor.instrument
        self.family = venue.partition("-")[0]
        self.account: Account
        self.rival: Account
        self.account, self.rival = box.exchange.accounts_of(self.family)[:2]

    @classmethod
    @asynccontextmanager
    async def open(cls, venue: str, symbol: str, **choices: Any) -> AsyncIterator[BoxCounterpart]:
        """A box of one's own on a free port.  choices: of :class:`mmcore.box.options.Options`."""
        async with Box.open(**{"seed": 23, "limits_scale": 50.0, **choices}) as box:
            yield cls(box, venue, symbol)

    def setup(self, **changed: Any) -> Setup:
        held = self.account.credentials
        keys = Keys(held.key, held.secret)
        if held.private_key:
            keys = Keys(held.address, held.private_key)
        given: dict[str, Any] = {
            "venue": self.venue,
            "symbols": (self.symbol,),
            "numbers": (0,),
            "environment": "loopback",
            "base": f"127.0.0.1:{self.box.port}",
            "keys": keys,
            "ids": ClientIds(PREFIX, next(_epochs)),
            "clock": time.time_ns,
            "seed": 1,
        }
        return Setup(**(given | changed))

    def top(self, side: int, n: int) -> list[tuple[int, int]]:
        return [(int(tick), int(qty)) for tick, qty in self.floor.top(side, n)]

    def orders(self) -> list[Resting]:
        return [
            Resting(one.client_id, one.side, one.tick, one.qty, one.filled)
            for one in self.account.orders(self.floor)
        ]

    def fills(self) -> list[Dealt]:
        return [
            Dealt(one.order.client_id, one.tick, one.qty, one.fee, one.fee_asset, one.maker)
            for one in self.account.fills
            if one.order.floor is self.floor
        ]

    def position(self) -> int:
        if not self.floor.spot:
            return self.account.position(self.floor).qty
        quanta = self.account.wallet(self.floor).balances[self.item.base]
        return quanta * self.item.qty_per_one // QUANTA_PER_ONE

    def balance(self, asset: str) -> int:
        return self.account.wallet(self.floor).balances.get(asset, 0)

    def place(self, side: int, tick: int, qty: int) -> str:
        exchange = self.box.exchange
        new = NewOrder(floor=self.floor, side=side, tick=tick, qty=qty)
        return f"#{exchange.place(self.account, new, exchange.now_ns).id}"

    def cancel(self, name: str) -> None:
        exchange = self.box.exchange
        exchange.cancel(self.account, self._order(name), exchange.now_ns)

    def _order(self, name: str) -> Order:
        find = self.box.exchange.find
        if name.startswith("#"):
            found = find(self.account, order_id=int(name[1:]))
        else:
            found = find(self.account, client_id=name, floor=self.floor)
        assert found is not None, f"the venue has no order {name}"
        return found

    def fill(self, client_id: str, qty: int) -> None:
        exchange, order = self.box.exchange, self._order(client_id)
        if not order.open:
            return  # the market was there first
        levels = self.floor.top(order.side, DEPTH)
        shown = sum(size for tick, size in levels if (tick - order.tick) * order.side >= 0)
        wanted = shown - order.left + min(qty, order.left)
        new = NewOrder(
            floor=self.floor,
            side=-order.side,
            tick=order.tick,
            qty=wanted,
            tif=TimeInForce.IOC,
        )
        self._provide(-order.side, levels[0][0], wanted)
        try:
            exchange.place(self.rival, new, exchange.now_ns)
        except Refusal as refusal:
            raise AssertionError(f"the rival cannot trade: {refusal}") from refusal

    def _provide(self, side: int, tick: int, qty: int) -> None:
        """Give the rival what a spot order needs."""
        floor, item = self.floor, self.item
        if floor.spot:
            asset = item.quote if side > 0 else item.base
            needed = floor.cost(tick, qty) if side > 0 else floor.coin_quanta(qty)
            wallet = self.rival.wallet(floor).name
            exchange = self.box.exchange
            exchange.transfer(self.rival, wallet, asset, 2 * needed, exchange.now_ns)

    def spoil(self, what: str) -> None:
        if what == "trade" and self.family != "hyperliquid":
            self.account.permissions.discard("trade")
        elif what == "hedge" and not self.floor.spot and self.family != "hyperliquid":
            self.box.exchange.set_hedge_mode(self.account, True, self.box.exchange.now_ns)
        else:
            raise NotImplementedError

    def jump(self, by_ns: int) -> None:
        self.box.clock.jump(by_ns)

    def fault(self, do: str, where: str, **more: Any) -> None:
        self.box.faults.apply(do=Do(do), where=where, venue=self.family, **more)

    def calm(self) -> None:
        self.box.faults.clear()

    async def restart(self, down_s: float) -> None:
        await self.box.restart(down_s)


__all__ = ["BoxCounterpart", "Counterpart", "Dealt", "Resting"]
