"""What trading asks of a venue's adapter: one account, its orders, its private and public streams.

A gateway is made by the adapter's class that is registered for the venue (`mmcore.venue`), so that
a venue stays one entry point.  It lives on one asyncio loop.  What happens at the venue comes back
as event rows (`mmcore.events.EVENT`) through the :class:`Sink`, market data and answers alike, in
the order in which it became known; so the same rows, replayed, lead to the same requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from .errors import MmcoreError, VenueError
from .events import RejectCode
from .instrument import Instrument

Rows = npt.NDArray[np.void]
Environment = Literal["mainnet", "testnet", "loopback"]

PREFIX_DIGITS, EPOCH_DIGITS, SLOT_DIGITS, GENERATION_DIGITS = 12, 8, 4, 8
CLIENT_ID_DIGITS = PREFIX_DIGITS + EPOCH_DIGITS + SLOT_DIGITS + GENERATION_DIGITS
HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class ClientIds:
    """Client order ids: 32 hex digits that fit every venue, and say which order it is.

    prefix: 12 hex digits, random, of this installation; orders that carry it are ours.  epoch: of
    this start, above every earlier one, so that no id is ever used twice.
    """

    prefix: str
    epoch: int

    def __post_init__(self) -> None:
        if len(self.prefix) != PREFIX_DIGITS or not HEX.issuperset(self.prefix):
            raise ValueError(f"prefix {self.prefix!r}: expected {PREFIX_DIGITS} lower-case hex")
        if not 0 <= self.epoch < 16**EPOCH_DIGITS:
            raise ValueError(f"epoch {self.epoch}: expected 0 to {16**EPOCH_DIGITS - 1}")

    def make(self, slot: int, generation: int) -> str:
        """The id of the order in ``slot`` of that generation."""
        return f"{self.prefix}{self.epoch:08x}{slot:04x}{generation:08x}"

    def own(self, client_id: str) -> bool:
        """Whether an order is of this installation, of whatever start."""
        return len(client_id) == CLIENT_ID_DIGITS and client_id.startswith(self.prefix)

    def read(self, client_id: str) -> tuple[int, int] | None:
        """Slot and generation of an order of this very start, else None."""
        if not self.own(client_id) or not HEX.issuperset(client_id):
            return None
        rest = client_id[PREFIX_DIGITS:]
        if int(rest[:EPOCH_DIGITS], 16) != self.epoch:
            return None
        rest = rest[EPOCH_DIGITS:]
        return int(rest[:SLOT_DIGITS], 16), int(rest[SLOT_DIGITS:], 16)


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials of one account; never shown, not even by ``repr``.

    key, secret: of Binance and Bybit.  On Hyperliquid ``secret`` is the private key that signs and
    ``key`` the address of the account it signs for.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)


class Action(Enum):
    """What to do about a venue's refusal."""

    OK = "already so: nothing to do"
    REQUOTE = "quote anew from the present book"
    WAIT = "send nothing of this kind for a while"
    REFRESH = "read the instrument's filters again"
    RESOLVE = "outcome unknown: ask the venue, never send again under a new id"
    REDUCE = "no more orders that add to the position"
    HALT = "stop quoting this instrument"
    STOP = "stop trading"


class VenueFault(VenueError):
    """A venue's refusal, in the house's terms.

    code: the venue's own.  action: what to do about it.  reject: as the engine is told.  wait_s:
    how long the venue asked to wait, 0 where it did not say.
    """

    def __init__(
        self,
        what: str,
        *,
        code: int | str,
        action: Action,
        reject: RejectCode = RejectCode.OTHER,
        wait_s: float = 0.0,
        where: str = "",
        done: str = "",
        todo: str = "",
    ) -> None:
        super().__init__(what, where=where, done=done, todo=todo)
        self.code = code
        self.action = action
        self.reject = reject
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a gateway is told before it connects.

    symbols: to trade; numbers: ``Event.instrument`` of each.  base: "127.0.0.1:PORT" on loopback,
    else "".  keys: None for public data only.  ids: needed with keys.  leverage: of each symbol,
    None to leave it as it is.  stream: "own", the house's supervised sockets; "client", those of
    the vendor's library.  order_entry: "socket" where the venue has it, or "rest".  clock: receive
    time in ns.  seed: of the jitter of back-offs.  dead_man_s: of silence, after which the venue is
    to cancel every order there, where it has a switch for that; 0 for none.  late_s: depth older
    than that on arrival makes a book stale; 0 for what suits the venue.  common: one object for all
    gateways of a run, where those of one account keep what it has only once (the rate limits).
    """

    venue: str
    symbols: tuple[str, ...]
    numbers: tuple[int, ...]
    environment: Environment
    base: str = ""
    keys: Keys | None = None
    ids: ClientIds | None = None
    leverage: tuple[int | None, ...] = ()
    stream: Literal["own", "client"] = "own"
    order_entry: Literal["socket", "rest"] = "socket"
    clock: Callable[[], int]
    seed: int = 0
    dead_man_s: float = 0.0
    late_s: float = 0.0
    common: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """One open order as the venue tells it; quantities in units.

    qty: as placed or last amended; done: filled of it.  own: our prefix.
    """

    instrument: int
    client_id: str
    venue_id: str
    side: int
    tick: int
    qty: int
    done: int
    own: bool


@dataclass(frozen=True, slots=True)
class Balance:
    """Of one asset, in quanta (1e-8).  total: with what open orders hold, without open profit."""

    total: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """The truth at the venue, over REST.

    orders: every open one of our symbols, others' too.  positions: instrument number to units,
    signed; on spot the base balance, what orders hold included.  balances: asset to balance; for
    derivatives the wallet without unrealised profit.
    """

    orders: tuple[VenueOrder, ...]
    positions: Mapping[int, int]
    balances: Mapping[str, Balance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is known before the first stream: the instruments, with the account's own fee rates.

    account: None without keys.  clock_offset_ns: the venue's clock less ours.  notices: sentences
    that the user should read.
    """

    instruments: tuple[Instrument, ...]
    account: AccountState | None
    clock_offset_ns: int
    notices: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Health:
    """How a gateway is, for the screen: ages in ns, shares 0 to 1, counts since the start.

    n_unknown: orders whose fate the venue is being asked.
    """

    links: Mapping[str, str]  # stream name -> "up", "connecting", "down: why"
    clock_offset_ns: int = 0
    budget_left: float = 1.0
    n_unknown: int = 0
    n_reconnects: int = 0
    n_duplicates: int = 0


class Sink(Protocol):
    """Where a gateway delivers; called on the loop, never from within :meth:`Gateway.send`."""

    def rows(self, rows: Rows) -> None:
        """EVENT rows, whole messages, market data and answers; used before it returns."""

    def raw(self, channel: str, frame: bytes, ts_local_ns: int) -> None:
        """A frame as it came, before it is decoded; ``channel`` names the stream."""

    def notice(self, level: Literal["info", "warning", "error"], text: str) -> None:
        """One sentence for the user: what happened, what mmcore did."""

    def fatal(self, error: MmcoreError) -> None:
        """Trading cannot go on: the run ends in order, with this as its cause."""


class Gateway(Protocol):
    """One account at one product of a venue; see the module's first lines."""

    def __init__(self, setup: Setup) -> None: ...

    async def prepare(self) -> Prepared:
        """Over REST only: clock, instruments, fees, permissions, modes, leverage, account.

        Whatever would keep trading from working is refused here, with a sentence: raises
        VenueError, or NetworkError where nobody answers within a few seconds.
        """

    async def start(self, sink: Sink) -> None:
        """Open the streams: the private ones first, then a REST reading, then market data.

        Returns once all are up; afterwards they are kept up.  Rows flow from here on.
        """

    def send(self, requests: npt.NDArray[np.void]) -> None:
        """Send REQUEST rows of one step, grouped into calls by their ``batch``; never waits.

        Every request is answered by rows, sooner or later: ACK, AMENDED, CANCELLED, EXPIRED, FILL
        with Flag.LAST, or REJECT; one that the venue never answered is asked for, not guessed.
        """

    async def account(self) -> AccountState:
        """The truth over REST, now."""

    async def cancel_all(self) -> int:
        """Cancel every own order of our symbols, of earlier starts too, and verify over REST.

        How many were cancelled.  Raises VenueError when orders may remain.
        """

    async def close(self) -> None:
        """Close everything; idempotent."""

    def health(self) -> Health: ...


class Adapter(Protocol):
    """What an entry point of the group ``mmcore.venues`` names, beside being a decoder.

    hosts: environment to a host that answers on port 443; where it is given, a machine without
    network is told so within three seconds.
    """

    venue: str
    hosts: ClassVar[Mapping[str, str]]

    @classmethod
    def gateway(cls, setup: Setup) -> Gateway:
        """A gateway to this venue; imports the vendor's client, so call it only to trade."""

    @classmethod
    def list_instruments(cls, answer: Mapping[str, Any]) -> dict[str, Instrument]: ...


def by_call(requests: npt.NDArray[np.void]) -> list[npt.NDArray[np.void]]:
    """REQUEST rows of one step, split into calls: same kind, same ``batch``, order kept."""
    if not len(requests):
        return []
    keys: Sequence[tuple[int, int]] = list(
        zip(requests["kind"].tolist(), requests["batch"].tolist(), strict=True)
    )
    cuts = [i for i in range(1, len(keys)) if keys[i] != keys[i - 1]]
    return np.split(requests, cuts)


__all__ = [
    "AccountState",
    "Action",
    "Adapter",
    "Balance",
    "ClientIds",
    "Environment",
    "Gateway",
    "Health",
    "Keys",
    "Prepared",
    "Rows",
    "Setup",
    "Sink",
    "VenueFault",
    "VenueOrder",
    "by_call",
]
