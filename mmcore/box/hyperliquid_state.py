"""What Hyperliquid knows beyond orders and balances: who may sign for whom, and request budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .accounts import Account
from .exchange import Exchange
from .floor import Floor
from .hyperliquid_forms import MS, NO_ADDRESS
from .hyperliquid_signing import Nonces
from .orders import Ending, Event, Order, OrderEvent

if TYPE_CHECKING:
    from .server import Box

QUANTA = 10**8
BUDGET_BASE = 10_000  # requests of an address before it has traded
CANCELS_MORE = 100_000  # cancels may exceed the budget by so many, but by no more than its double
SLOW_NS = 10 * 10**9  # one action in so long once the budget is spent
FIRINGS_PER_DAY = 10  # of scheduled cancels
DAY_NS = 86_400 * 10**9
SIGNERS_MAX = 10_000


class Overspent(Exception):
    """An address has used up its requests; the text is the venue's."""


class Budget:
    """Requests of one address: so many, plus one for each USDC it ever traded.

    base: requests that need no trading.  used: so far.  reserved: bought.  volume: quanta traded.
    """

    def __init__(self, base: int) -> None:
        self.base = base
        self.used = 0
        self.reserved = 0
        self.volume = 0
        self._slow_ns = -SLOW_NS

    @property
    def cap(self) -> int:
        """Requests allowed, reserved ones included."""
        return self.base + self.volume // QUANTA + self.reserved

    def take(self, n: int, now_ns: int, *, cancel: bool) -> None:
        """Count ``n`` requests.  Raises Overspent, with nothing counted."""
        limit = min(self.cap + CANCELS_MORE, 2 * self.cap) if cancel else self.cap
        if self.used + n > limit:
            if now_ns - self._slow_ns < SLOW_NS:
                raise Overspent(
                    f"Too many cumulative requests sent ({self.used + n} > {limit}) for cumulative "
                    f"volume traded ${self.volume / QUANTA:.2f}. Place taker orders to free up 1 "
                    "request per USDC traded."
                )
            self._slow_ns = now_ns
        self.used += n


class State:
    """Floors by number, accounts by address, and what is counted for each of them.

    agents: wallet that signs -> account it signs for.  leaders: sub-account -> account that trades
    for it.  Addresses are lower-case.
    """

    def __init__(self, box: Box) -> None:
        self.box = box
        exchange: Exchange = box.exchange
        self.exchange = exchange
        self.floors = [each for each in exchange.floors if each.venue == "hyperliquid"]
        self.assets = {floor.symbol: i for i, floor in enumerate(self.floors)}
        mine = exchange.accounts_of("hyperliquid")
        self.accounts: dict[str, Account] = {
            each.credentials.address.lower(): each for each in mine
        }
        self.addresses: dict[Account, str] = {
            account: address for address, account in self.accounts.items()
        }
        self.agents: dict[str, str] = {}
        self.leaders: dict[str, str] = {}
        self._nonces: dict[str, Nonces] = {}
        base = max(1, round(BUDGET_BASE * box.options.limits_scale))
        self.budgets = {account: Budget(base) for account in mine}
        self._firings: dict[Account, list[int]] = {}
        exchange.listeners.append(self._hear)

    def now_ms(self) -> int:
        """The venue's clock as it shows it."""
        return self.box.clock.now_ns() // MS

    def ms(self, engine_ns: int) -> int:
        """A time of the exchange as the venue shows it."""
        return (engine_ns + self.box.clock.offset_ns) // MS

    def floor(self, coin: object) -> Floor | None:
        """The floor of a coin."""
        place = self.assets.get(coin) if isinstance(coin, str) else None
        return None if place is None else self.floors[place]

    def nonces(self, signer: str) -> Nonces:
        """Those of one signer."""
        if len(self._nonces) >= SIGNERS_MAX:
            del self._nonces[next(iter(self._nonces))]
        return self._nonces.setdefault(signer, Nonces())

    def signs_for(self, signer: str) -> str | None:
        """The address of the account a signer stands for: its own, or its agent's; else None."""
        if signer in self.accounts:
            return signer
        return self.agents.get(signer)

    def user_of(self, order_id: int) -> str:
        """Whose order it is that traded; a constant for the market's own."""
        for account in self.accounts.values() if order_id else ():
            if order_id in account.open or order_id in account.recent:
                return self.addresses[account]
        return NO_ADDRESS

    def find(self, account: Account, oid: int | str) -> Order | None:
        """An order by its number, or by its client id without 0x."""
        if isinstance(oid, int):
            return self.exchange.find(account, order_id=oid)
        return self.exchange.find(account, client_id=oid)

    def may_schedule(self, account: Account, now_ns: int) -> bool:
        """Whether a scheduled cancel may still fire today."""
        fired = self._firings.get(account, [])
        return sum(each // DAY_NS == now_ns // DAY_NS for each in fired) < FIRINGS_PER_DAY

    def _hear(self, event: Event) -> None:
        if not isinstance(event, OrderEvent) or event.order.account not in self.budgets:
            return
        order = event.order
        if event.fill is not None:
            self.budgets[order.account].volume += event.fill.value
        elif order.ending is Ending.COUNTDOWN:
            fired = self._firings.setdefault(order.account, [])
            if not fired or fired[-1] != event.ts_ns:
                self._firings[order.account] = [*fired[-FIRINGS_PER_DAY:], event.ts_ns]
