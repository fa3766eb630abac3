"""Balances as clients are told them: as they are, or while a scripted lag lasts, as they were."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .accounts import Account, Wallet
from .faults import Faults
from .orders import AccountEvent, Event


class _State(NamedTuple):
    """Balances and what is locked of them, by wallet, told from ``from_ns`` on."""

    from_ns: int
    held: dict[str, tuple[dict[str, int], dict[str, int]]]


class Balances:
    """What each account is told of its wallets.

    Listens to the exchange.  now_ns: the engine's clock.
    """

    def __init__(
        self, accounts: Iterable[Account], faults: Faults, now_ns: Callable[[], int]
    ) -> None:
        self._faults = faults
        self._now_ns = now_ns
        self._last = {account: _held(account) for account in accounts}
        self._past: dict[Account, deque[_State]] = {}

    def hear(self, event: Event) -> None:
        """Something happened at the exchange; a listener of it."""
        if not isinstance(event, AccountEvent):
            return
        account, now_ns = event.account, self._now_ns()
        before, after = self._last[account], _held(account)
        self._last[account] = after
        strike = None
        if not self._faults.quiet:
            subject = f"{account.name} {event.why}"
            strike = self._faults.strike("account", account.venue, account.name, subject)
        past = self._past.get(account)
        if strike is None and past is None:
            return
        if past is None:
            past = self._past[account] = deque([_State(now_ns, before)])
        late_ns = round(strike.late_s * 1e9) if strike is not None else 0
        past.append(_State(max(now_ns + late_ns, past[-1].from_ns), after))

    def wallet(self, account: Account, name: str) -> Wallet:
        """A wallet of the account to read figures from, never to change."""
        wallet = account.wallets[name]
        past = self._past.get(account)
        if past is None:
            return wallet
        now_ns = self._now_ns()
        while len(past) > 1 and past[1].from_ns <= now_ns:
            past.popleft()
        if len(past) == 1:  # the present is known
            del self._past[account]
            return wallet
        told = copy.copy(wallet)
        told.balances, told.locked = (dict(held) for held in past[0].held[name])
        return told


def _held(account: Account) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
    return {
        name: (dict(wallet.balances), dict(wallet.locked))
        for name, wallet in account.wallets.items()
    }
