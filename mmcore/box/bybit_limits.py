"""Bybit's rate limits: a rolling second per account and route group, five per address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .bybit_codes import LINEAR, SPOT
from .bybit_words import NS_PER_MS
from .clock import Clock
from .limits import Limits

SECOND_NS = 1_000_000_000
IP_REQUESTS, IP_WINDOW_NS, IP_BAN_NS = 600, 5 * SECOND_NS, 600 * SECOND_NS
SOCKET_REQUESTS = 3000  # a second, of one address, over trade sockets

# Route group -> requests a second of one account, base tier; orders have one a category.
RATES: Mapping[str, int] = {
    f"create:{LINEAR}": 10,
    f"amend:{LINEAR}": 10,
    f"cancel:{LINEAR}": 10,
    f"cancel-all:{LINEAR}": 10,
    f"create:{SPOT}": 20,
    f"amend:{SPOT}": 10,
    f"cancel:{SPOT}": 20,
    f"cancel-all:{SPOT}": 20,
    f"create-batch:{LINEAR}": 10,
    f"amend-batch:{LINEAR}": 10,
    f"cancel-batch:{LINEAR}": 10,
    f"create-batch:{SPOT}": 20,
    f"amend-batch:{SPOT}": 10,
    f"cancel-batch:{SPOT}": 20,
    "pre-check": 10,
    "account": 50,
    "balance": 50,
    "positions": 50,
    "orders": 50,
    "history": 50,
    "executions": 50,
    "fee-rate": 5,
    "transactions": 25,
    "dcp": 5,
    "set-leverage": 10,
    "switch-mode": 10,
    "set-margin-mode": 5,
    "key": 10,
    "coins": 5,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What a call was granted of what it costs, and what its answer's headers say."""

    granted: int
    limit: int
    left: int
    reset_ms: int

    def headers(self) -> dict[str, str]:
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class Tolls:
    """Bybit's pools within the limits of the box."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        for group, rate in RATES.items():
            limits.declare(f"bybit.{group}", rate, SECOND_NS, sliding=True)
        limits.declare(
            "bybit.ip", IP_REQUESTS, IP_WINDOW_NS, sliding=True, strikes=1, ban_ns=IP_BAN_NS
        )
        limits.declare("bybit.socket", SOCKET_REQUESTS, SECOND_NS, sliding=True)

    def take(self, account: str, group: str, cost: int = 1) -> Taken:
        """Take ``cost`` from an account's pool, or as much of it as there is.

        The reset stamp is now unless something was refused, then when it would be granted.
        """
        pool, now_ns = f"bybit.{group}", self._clock.engine_ns()
        granted = min(cost, self._limits.look(pool, account, now_ns).left)
        verdict = self._limits.take(pool, account, granted, now_ns)
        reset_ns = now_ns
        if granted < cost:
            refused = self._limits.take(pool, account, min(cost - granted, verdict.limit), now_ns)
            reset_ns = refused.reset_ns
        shown_ns = reset_ns + self._clock.offset_ns
        return Taken(granted, verdict.limit, verdict.left, -(-shown_ns // NS_PER_MS))

    def admit(self, ip: str) -> bool:
        """Whether an address may call REST; one that asks too often is shut out for a while."""
        return self._limits.take("bybit.ip", ip, 1, self._clock.engine_ns()).ok

    def admit_frame(self, ip: str) -> bool:
        """Whether an address may send one more request over trade sockets."""
        return self._limits.take("bybit.socket", ip, 1, self._clock.engine_ns()).ok


__all__ = ["RATES", "Taken", "Tolls"]
