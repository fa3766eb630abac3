"""From REQUEST rows to Binance's calls: parameters, routes, what they cost, and signatures.

Values are texts: numbers and booleans inside a batch must be, and elsewhere they may be.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson

from mmcore.events import BID, RequestKind, TimeInForce
from mmcore.gateway import Keys

from ._decode import Terms

RECV_WINDOW_MS = 5_000
WEIGHT, ORDERS_10S, ORDERS_LONG = "weight", "orders_10s", "orders_long"  # the venue's pools
TIF = {
    TimeInForce.GTX: "GTX",
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
}

Params = dict[str, str]


def futures_place(terms: Terms, request: np.void, client_id: str) -> Params:
    """A new order on USD-M, one-way mode."""
    params = _limit(terms, request, client_id)
    params["type"], params["timeInForce"] = "LIMIT", TIF[TimeInForce(int(request["tif"]))]
    if request["reduce_only"]:
        params["reduceOnly"] = "true"
    return params


def spot_place(terms: Terms, request: np.void, client_id: str) -> Params:
    """A new order on spot, where post-only is a type of its own without time in force."""
    params = _limit(terms, request, client_id)
    tif = TimeInForce(int(request["tif"]))
    params["type"] = "LIMIT_MAKER" if tif == TimeInForce.GTX else "LIMIT"
    if tif != TimeInForce.GTX:
        params["timeInForce"] = TIF[tif]
    return params


def _limit(terms: Terms, request: np.void, client_id: str) -> Params:
    return {
        "symbol": terms.item.symbol,
        "side": _side(request),
        "price": _price(terms, request),
        "quantity": _quantity(terms, int(request["qty"])),
        "newClientOrderId": client_id,
        "newOrderRespType": "ACK",
    }


def futures_amend(terms: Terms, request: np.void, client_id: str, done: int) -> Params:
    """Another price and quantity.  done: filled as known, which the venue counts in."""
    return {
        "symbol": terms.item.symbol,
        "side": _side(request),
        "price": _price(terms, request),
        "quantity": _quantity(terms, done + int(request["qty"])),
        "origClientOrderId": client_id,
    }


def spot_amend(terms: Terms, request: np.void, client_id: str, done: int) -> Params:
    """A smaller quantity, which keeps its place in the queue; spot can amend nothing else.

    The venue gives an amended order another client id unless it is told to keep the one it has.
    """
    return {
        "symbol": terms.item.symbol,
        "newQty": _quantity(terms, done + int(request["qty"])),
        "origClientOrderId": client_id,
        "newClientOrderId": client_id,
    }


def cancel(terms: Terms, client_id: str) -> Params:
    """One order, by our own id."""
    return {"symbol": terms.item.symbol, "origClientOrderId": client_id}


def batch_text(items: list[Params] | list[str]) -> str:
    """A batch as it stands in a form body: JSON, percent-encoded, so that what is signed is
    what is sent."""
    return quote(orjson.dumps(items).decode(), safe="")


def _side(request: np.void) -> str:
    return "BUY" if request["side"] == BID else "SELL"


def _price(terms: Terms, request: np.void) -> str:
    return _decimal(int(request["tick"]) * terms.tick_mul, terms.price_decimals)


def _quantity(terms: Terms, qty: int) -> str:
    return _decimal(qty, terms.qty_decimals)


def _decimal(value: int, places: int) -> str:
    """A whole number of 10^-places as a decimal text; twenty times as quick as by fractions."""
    if places == 0:
        return str(value)
    digits = str(value).zfill(places + 1)
    return f"{digits[:-places]}.{digits[-places:]}"


@dataclass(frozen=True, slots=True)
class Product:
    """How one product takes orders, by kind of request.

    methods: on the WebSocket interface; calls: verb and path over REST.  costs: of one request in
    each pool; batch_costs: of a call for several, at most ``batch_sizes`` of them (missing: none).
    """

    place: Callable[[Terms, np.void, str], Params]
    amend: Callable[[Terms, np.void, str, int], Params]
    methods: Mapping[RequestKind, str]
    calls: Mapping[RequestKind, tuple[str, str]]
    costs: Mapping[RequestKind, Mapping[str, int]]
    batch_costs: Mapping[RequestKind, Mapping[str, int]]
    batch_sizes: Mapping[RequestKind, int]


_ONE_ORDER = {ORDERS_10S: 1, ORDERS_LONG: 1}
_FIVE_ORDERS = {WEIGHT: 5, ORDERS_10S: 5, ORDERS_LONG: 1}

FUTURES = Product(
    place=futures_place,
    amend=futures_amend,
    methods={
        RequestKind.PLACE: "order.place",
        RequestKind.AMEND: "order.modify",
        RequestKind.CANCEL: "order.cancel",
    },
    calls={
        RequestKind.PLACE: ("post", "order"),
        RequestKind.AMEND: ("put", "order"),
        RequestKind.CANCEL: ("delete", "order"),
    },
    costs={
        RequestKind.PLACE: _ONE_ORDER,
        RequestKind.AMEND: _ONE_ORDER,
        RequestKind.CANCEL: {WEIGHT: 1},
    },
    batch_costs={
        RequestKind.PLACE: _FIVE_ORDERS,
        RequestKind.AMEND: _FIVE_ORDERS,
        RequestKind.CANCEL: {WEIGHT: 1},
    },
    batch_sizes={RequestKind.PLACE: 5, RequestKind.AMEND: 5, RequestKind.CANCEL: 10},
)
SPOT = Product(
    place=spot_place,
    amend=spot_amend,
    methods={
        RequestKind.PLACE: "order.place",
        RequestKind.AMEND: "order.amend.keepPriority",
        RequestKind.CANCEL: "order.cancel",
    },
    calls={
        RequestKind.PLACE: ("post", "order"),
        RequestKind.AMEND: ("put", "order/amend/keepPriority"),
        RequestKind.CANCEL: ("delete", "order"),
    },
    costs={
        RequestKind.PLACE: {WEIGHT: 1, **_ONE_ORDER},
        RequestKind.AMEND: {WEIGHT: 4},
        RequestKind.CANCEL: {WEIGHT: 1},
    },
    batch_costs={},
    batch_sizes={},
)


class Signer:
    """HMAC signatures of one key pair; shows neither."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.key
        self._mac = hmac.new(keys.secret.encode(), digestmod=hashlib.sha256)

    def __repr__(self) -> str:
        return "Signer()"

    def sign(self, params: Mapping[str, Any], timestamp_ms: int) -> dict[str, Any]:
        """The parameters with key, time and signature: over all of them, sorted by name."""
        full = {
            **params, "apiKey": self._key, "recvWindow": RECV_WINDOW_MS, "timestamp": timestamp_ms,
        }  # fmt: skip
        text = "&".join([f"{name}={full[name]}" for name in sorted(full)])
        if not text.isascii():  # some symbols are in other scripts
            text = quote(text, safe="=&")
        mac = self._mac.copy()
        mac.update(text.encode())
        full["signature"] = mac.hexdigest()
        return full


__all__ = [
    "Params",
    "Product",
    "Signer",
    "batch_text",
    "cancel",
    "futures_amend",
    "futures_place",
    "spot_amend",
    "spot_place",
]
