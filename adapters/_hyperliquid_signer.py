"""Actions for Hyperliquid, made and signed by the vendor's library.

An action is signed over its very key order, with a number that was never used before.  Importing
this module needs the extra ``hyperliquid``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eth_account import Account
from hyperliquid.utils.signing import (
    order_request_to_order_wire,
    order_wires_to_order_action,
    sign_l1_action,
)
from hyperliquid.utils.types import Cloid

from mmcore.errors import VenueError
from mmcore.events import BID, TimeInForce
from mmcore.gateway import Keys
from mmcore.instrument import Instrument

EXPIRES_MS = (
    4_000  # an action that arrives later than this is refused, so that none comes as a ghost
)
JUMP_MS = 1_000  # ahead, where the venue says that a number was used
TIFS = {TimeInForce.GTX: "Alo", TimeInForce.GTC: "Gtc", TimeInForce.IOC: "Ioc"}


class Signer:
    """Signs for one account, with its own key or that of an API wallet it approved.

    account: address that is traded for.  address: of the key that signs.  Both lower-case.
    now_ms: the venue's clock.
    """

    def __init__(self, keys: Keys, *, mainnet: bool, now_ms: Callable[[], int]) -> None:
        try:
            self._wallet = Account.from_key(keys.secret.strip())
        except Exception:  # noqa: BLE001 (whatever the library says of a key is not repeated)
            raise VenueError(
                "the private key is not 64 hex digits", where="hyperliquid",
                done="nothing was sent",
                todo="give the key of the account, or of an API wallet it approved",
            ) from None  # fmt: skip
        self.address: str = self._wallet.address.lower()
        self.account = keys.key.strip().lower() or self.address
        if len(self.account) != 42 or not self.account.startswith("0x"):
            raise VenueError(
                f"account {self.account!r} is not an address", where="hyperliquid",
                done="nothing was sent", todo="give 0x and 40 hex digits",
            )  # fmt: skip
        self._mainnet = mainnet
        self._now_ms = now_ms
        self._nonce = 0

    def __repr__(self) -> str:
        return f"Signer({self.account})"

    def payload(self, action: Mapping[str, Any]) -> dict[str, Any]:
        """An action signed, as ``/exchange`` and posts take it."""
        self._nonce = max(self._now_ms(), self._nonce + 1)
        return self._signed(action, self._nonce)

    def void(self, nonce: int) -> dict[str, Any]:
        """An action that does nothing and uses up a number: what was signed with it, and has not
        arrived, will be refused."""
        return self._signed({"type": "noop"}, nonce)

    def _signed(self, action: Mapping[str, Any], nonce: int) -> dict[str, Any]:
        expires_ms = self._now_ms() + EXPIRES_MS
        signature = sign_l1_action(self._wallet, action, None, nonce, expires_ms, self._mainnet)
        return {
            "action": action,
            "nonce": nonce,
            "signature": signature,
            "vaultAddress": None,
            "expiresAfter": expires_ms,
        }

    def jump(self) -> None:
        """The venue knows our numbers already: go on from well ahead of them."""
        self._nonce = max(self._nonce, self._now_ms()) + JUMP_MS


def cloid(client_id: str) -> str:
    """A client id as the venue writes it."""
    return f"0x{client_id}"


def order_wire(
    item: Instrument, asset: int, client_id: str, *, side: int, tick: int, qty: int, tif: int,
    reduce_only: bool,
) -> dict[str, Any]:  # fmt: skip
    """One order of an action; price and size are exact before they become numbers."""
    wire: dict[str, Any] = order_request_to_order_wire(
        {
            "coin": item.symbol,
            "is_buy": side == BID,
            "sz": item.quantity(qty),
            "limit_px": item.price(tick),
            "order_type": {"limit": {"tif": TIFS[TimeInForce(tif)]}},
            "reduce_only": reduce_only,
            "cloid": Cloid(cloid(client_id)),
        },
        asset,
    )
    return wire


def place_action(wires: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """New orders."""
    action: dict[str, Any] = order_wires_to_order_action(list(wires))
    return action


def modify_action(wires: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Orders in the place of others: each {"oid": number or cloid, "order": wire}."""
    return {"type": "batchModify", "modifies": list(wires)}


def cancel_action(wires: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """No more of these: each {"asset": number, "cloid": …}."""
    return {"type": "cancelByCloid", "cancels": list(wires)}


def schedule_action(at_ms: int | None) -> dict[str, Any]:
    """Cancel everything of the account then; None takes that back."""
    return {"type": "scheduleCancel"} | ({} if at_ms is None else {"time": at_ms})


def leverage_action(asset: int, leverage: int) -> dict[str, Any]:
    """Cross margin with this leverage."""
    return {"type": "updateLeverage", "asset": asset, "isCross": True, "leverage": leverage}


__all__ = [
    "EXPIRES_MS",
    "Signer",
    "cancel_action",
    "cloid",
    "leverage_action",
    "modify_action",
    "order_wire",
    "place_action",
    "schedule_action",
]
