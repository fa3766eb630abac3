"""Accounts of the exchange in the box: who, what they own, hold and have asked for.

Money is quanta (1e-8) of the asset named, quantities units of the instrument, rates 1e-8 of the
notional.  What an account may do with it is in :mod:`mmcore.box.exchange`, what it needs for it in
:mod:`mmcore.box.margin`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from mmcore._ledger import Ledger

from . import margin
from .margin import Margin

if TYPE_CHECKING:
    from .floor import Floor
    from .orders import Fill, Order

HISTORY = 10_000  # ended orders, fills and payments that an account remembers of each
CLIENT_IDS_MAX = 1_000_000  # client ids remembered where a venue never accepts one twice
LEVERAGE = 20  # of a floor, until it is changed
PERMISSIONS = frozenset({"read", "trade", "withdraw"})

# venue -> which wallet each of its products uses
WALLETS: Mapping[str, str] = {
    "binance-usdm": "usdm",
    "binance-spot": "spot",
    "bybit-linear": "unified",
    "bybit-spot": "unified",
    "hyperliquid": "perp",
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """How an account proves itself; never shown, not even by ``repr``.

    key, secret: of Binance and Bybit.  private_key, address: of Hyperliquid, hex with 0x.
    """

    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Payment:
    """Funding received (negative: paid) by a position of ``qty`` units.  rate: 1e-12."""

    id: int
    floor: Floor
    ts_ns: int
    quanta: int
    qty: int
    rate: int
    mark: int


class Position:
    """What an account holds on one floor, booked by the house's own ledger.

    leverage: of cross margin; margin_mode: "cross" or "isolated" (a setting only: margin is always
    that of the whole wallet).  asked: by side, notional of the open orders that may add to it.
    """

    def __init__(self, account: Account, floor: Floor) -> None:
        self.account = account
        self.floor = floor
        self.ledger = Ledger(floor.instrument.spec())
        self.leverage = LEVERAGE
        self.margin_mode = "cross"
        self.asked = {1: 0, -1: 0}
        self.updated_ns = 0

    @property
    def qty(self) -> int:
        """Units, signed; on spot what was bought less what was sold."""
        return self.ledger.position

    @property
    def cost(self) -> int:
        """Signed notional of it at its entry prices, quanta."""
        return self.ledger.cost

    @property
    def realised(self) -> int:
        """Profit of what was closed, quanta, before fees."""
        return self.ledger.realised

    @property
    def entry(self) -> Decimal:
        """Average entry price in quote currency, 0 when flat."""
        return self.floor.average(self.cost, self.qty)

    @property
    def notional(self) -> int:
        """Signed value at the mark price, quanta."""
        return self.floor.value(self.qty)

    @property
    def unrealised(self) -> int:
        """Profit of closing at the mark price, quanta, before fees."""
        return self.notional - self.cost

    @property
    def initial_margin(self) -> int:
        """Quanta that it and its open orders need."""
        return margin.initial(self)

    @property
    def maintenance_margin(self) -> int:
        """Quanta below which the venue closes it."""
        return margin.maintenance(self)

    def liquidation_price(self, wallet: Wallet) -> Decimal:
        """Price at which the wallet's equity meets its maintenance margin, all else unchanged.

        0 when flat, and where no price does that.
        """
        return margin.liquidation_price(self, wallet)


class Wallet:
    """Balances that serve as collateral together.

    balances: asset -> quanta, without open profit.  locked: asset -> quanta that open spot orders
    hold; always within the balance.
    """

    def __init__(self, name: str, account: Account, balances: Mapping[str, int]) -> None:
        self.name = name
        self.account = account
        self.balances: dict[str, int] = dict(balances)
        self.locked: dict[str, int] = dict.fromkeys(balances, 0)

    def add(self, asset: str, quanta: int) -> None:
        """Change a balance."""
        self.balances[asset] = self.balances.get(asset, 0) + quanta

    def lock(self, asset: str, quanta: int) -> None:
        """Set so much more (negative: less) of a balance aside for an open order."""
        self.locked[asset] = self.locked.get(asset, 0) + quanta

    def free(self, asset: str) -> int:
        """Balance less what open spot orders hold."""
        return self.balances.get(asset, 0) - self.locked.get(asset, 0)

    def available(self, asset: str) -> int:
        """What new orders may use, never negative: free, and within what margin leaves over."""
        free = self.free(asset)
        if asset == self.account.settle(self.name):
            figures = self.margin()
            free += figures.unrealised - figures.initial
        return max(0, free)

    def margin(self) -> Margin:
        """What the positions and orders on this wallet need and are worth."""
        return margin.figures(self.account, self)


class Account:
    """One account of one venue.

    venue: "binance", "bybit" or "hyperliquid".  floors: those it may trade on.  open: orders by id;
    client_ids: those of them that carry one, by (floor, client id).  recent: ended ones by id.
    history, fills, payments: the latest, oldest first.  fee_rates: floor -> (maker, taker), 1e-8
    of the notional.  hedge_mode: orders are refused while it is on, the box trades one-way.
    """

    def __init__(
        self,
        name: str,
        venue: str,
        floors: Sequence[Floor],
        balances: Mapping[str, Mapping[str, int]],
        credentials: Credentials,
        permissions: frozenset[str] = frozenset({"read", "trade"}),
    ) -> None:
        self.name = name
        self.venue = venue
        self.credentials = credentials
        self.permissions = set(permissions)
        self.wallets = {each: Wallet(each, self, held) for each, held in balances.items()}
        self.positions = {floor: Position(self, floor) for floor in floors}
        self.fee_rates = {floor: floor.fee_rates for floor in floors}
        self.hedge_mode = False
        self.multi_assets = False
        self.open: dict[int, Order] = {}
        self.client_ids: dict[tuple[Floor, str], Order] = {}
        self.recent: dict[int, Order] = {}
        self.recent_client_ids: dict[tuple[Floor, str], Order] = {}
        self.used_client_ids: dict[str, None] = {}
        self.history: deque[Order] = deque()
        self.fills: deque[Fill] = deque(maxlen=HISTORY)
        self.payments: deque[Payment] = deque(maxlen=HISTORY)

    def __repr__(self) -> str:
        return f"Account({self.name!r}, {self.venue!r})"

    def wallet(self, floor: Floor) -> Wallet:
        """The wallet that orders on a floor draw on."""
        return self.wallets[WALLETS[floor.venue]]

    def settle(self, wallet: str) -> str:
        """The asset in which a wallet's margin is counted; "" for one that only trades spot."""
        for floor in self.positions:
            if WALLETS[floor.venue] == wallet and not floor.spot:
                return floor.instrument.settle
        return ""

    def position(self, floor: Floor) -> Position:
        """Its position on a floor, flat ones too."""
        return self.positions[floor]

    def orders(self, floor: Floor | None = None) -> list[Order]:
        """Open orders, oldest first; of one floor or of all."""
        return [each for each in self.open.values() if floor is None or each.floor is floor]


__all__ = [
    "HISTORY",
    "LEVERAGE",
    "PERMISSIONS",
    "WALLETS",
    "Account",
    "Credentials",
    "Payment",
    "Position",
    "Wallet",
]
