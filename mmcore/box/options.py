"""What can be chosen about an exchange in the box."""

from __future__ import annotations

from dataclasses import dataclass

from .faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Choices, each with the default of the command line.

    seed: of market, keys and faults.  preset: of the synthetic market.  tapes: recorded files
    instead of it.  script: faults.  accounts: of each venue.  usd: what each has in its quote
    currency; coins: how many of each coin its spot wallet holds.  funding_s: seconds between
    funding stamps, 0 for each venue's own hours.  listen_key_s: life of a listen key.  reply_ms:
    how late an answer on a socket is (a client must have begun to wait).  limits_scale: factor on
    every rate limit.  lenient: signatures over decoded text pass too.  connections_max: sockets
    open at a time.
    """

    seed: int = 1
    preset: str = "busy"
    tapes: tuple[str, ...] = ()
    script: tuple[Fault, ...] = ()
    accounts: int = 2
    usd: int = 100_000
    coins: int = 10
    funding_s: int = 0
    listen_key_s: float = 3600.0
    reply_ms: float = 1.5
    limits_scale: float = 1.0
    lenient: bool = False
    connections_max: int = 4096
