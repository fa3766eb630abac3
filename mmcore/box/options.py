"""What can be chosen about an exchange in the box."""

from __future__ import annotations

from dataclasses import dataclass

from .faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Choices, each with the default of the command line.

    seed: of market, keys and faults.  tapes: recorded files that the market is played from, none
    for a synthetic one; instruments that no tape holds are synthetic.  preset: of the synthetic
    market.  script: faults.  accounts: of each venue.  usd: what each wallet has in its quote
    currency.  funding_s: seconds between funding stamps, 0 for each venue's own hours.
    listen_key_s: life of a listen key that is not refreshed.  reply_ms: how late an answer on a
    socket is: a client must have begun to wait for it.  late_post_only: Binance futures accept a
    post-only order that would take, and expire it.  rejected_status: what Bybit calls a post-only
    order that it acknowledged and then refused, "Cancelled" or "Rejected".  limits_scale: factor
    on every rate limit.  lenient: signatures over percent-decoded text pass too.  random_keys: keys
    that nobody can know, not those of the seed.  connections_max: open at a time, of all kinds.
    """

    seed: int = 1
    tapes: tuple[str, ...] = ()
    preset: str = "busy"
    script: tuple[Fault, ...] = ()
    accounts: int = 2
    usd: int = 1_000_000
    funding_s: int = 0
    listen_key_s: float = 3600.0
    reply_ms: float = 1.5
    late_post_only: bool = False
    rejected_status: str = "Cancelled"
    limits_scale: float = 1.0
    lenient: bool = False
    random_keys: bool = False
    connections_max: int = 4096
