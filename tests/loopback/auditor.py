"""The venue's truth, read with nothing of mmcore: plain HTTP, signed here.

What a second pair of eyes would do: ask the exchange over its public interface which orders are
open, what was filled, what is held, and compare with what a run's journal says.
"""

import hashlib
import hmac
import json
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

TIMEOUT_S = 10


@dataclass
class Truth:
    """Of one instrument.  orders: client id -> (side, price, quantity left).

    fills: trade id -> (client id, side, price, quantity, fee, fee asset).  balances: asset ->
    amount, of the wallet that the instrument settles in.
    """

    orders: dict[str, tuple[int, Decimal, Decimal]] = field(default_factory=dict)
    fills: dict[str, tuple[str, int, Decimal, Decimal, Decimal, str]] = field(default_factory=dict)
    position: Decimal = Decimal(0)
    balances: dict[str, Decimal] = field(default_factory=dict)


def _ask(url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}))
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        return json.loads(answer.read())


class Binance:
    """USD-M and spot of one account."""

    def __init__(self, address: str, key: str, secret: str) -> None:
        self._base = f"http://{address}"
        self._key, self._secret = key, secret

    def _get(self, path: str, **parameters: object) -> Any:
        query = urlencode({**parameters, "timestamp": int(time.time() * 1000), "recvWindow": 5000})
        sign = hmac.new(self._secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        url = f"{self._base}{path}?{query}&signature={sign}"
        return _ask(url, headers={"X-MBX-APIKEY": self._key})

    def usdm(self, symbol: str) -> Truth:
        truth = Truth()
        for order in self._get("/fapi/v1/openOrders", symbol=symbol):
            truth.orders[order["clientOrderId"]] = _binance_order(order)
        names = self._names("/fapi/v1/allOrders", symbol)
        for fill in self._pages("/fapi/v1/userTrades", symbol):
            truth.fills[str(fill["id"])] = _binance_fill(fill, names, buyer=fill["side"] == "BUY")
        for row in self._get("/fapi/v3/positionRisk", symbol=symbol):
            truth.position += Decimal(row["positionAmt"])
        for row in self._get("/fapi/v3/balance"):
            truth.balances[row["asset"]] = Decimal(row["balance"])
        return truth

    def spot(self, symbol: str, base: str) -> Truth:
        truth = Truth()
        for order in self._get("/api/v3/openOrders", symbol=symbol):
            truth.orders[order["clientOrderId"]] = _binance_order(order)
        names = self._names("/api/v3/allOrders", symbol)
        for fill in self._pages("/api/v3/myTrades", symbol):
            truth.fills[str(fill["id"])] = _binance_fill(fill, names, buyer=fill["isBuyer"])
        for row in self._get("/api/v3/account")["balances"]:
            truth.balances[row["asset"]] = Decimal(row["free"]) + Decimal(row["locked"])
        truth.position = truth.balances.get(base, Decimal(0))
        return truth

    def _names(self, path: str, symbol: str) -> dict[int, str]:
        names: dict[int, str] = {}
        first = 0
        while True:
            page = self._get(path, symbol=symbol, orderId=first, limit=1000)
            names |= {order["orderId"]: order["clientOrderId"] for order in page}
            if len(page) < 1000:
                return names
            first = page[-1]["orderId"] + 1

    def _pages(self, path: str, symbol: str) -> list[Any]:
        rows: list[Any] = []
        first = 0
        while True:
            page = self._get(path, symbol=symbol, fromId=first, limit=1000)
            rows += page
            if len(page) < 1000:
                return rows
            first = page[-1]["id"] + 1


def _binance_order(order: Mapping[str, Any]) -> tuple[int, Decimal, Decimal]:
    left = Decimal(order["origQty"]) - Decimal(order["executedQty"])
    return 1 if order["side"] == "BUY" else -1, Decimal(order["price"]), left


def _binance_fill(
    fill: Mapping[str, Any], names: Mapping[int, str], *, buyer: bool
) -> tuple[str, int, Decimal, Decimal, Decimal, str]:
    return (
        names[fill["orderId"]],
        1 if buyer else -1,
        Decimal(fill["price"]),
        Decimal(fill["qty"]),
        Decimal(fill["commission"]),
        fill["commissionAsset"],
    )


class Bybit:
    """Linear and spot of one account."""

    def __init__(self, address: str, key: str, secret: str) -> None:
        self._base = f"http://{address}"
        self._key, self._secret = key, secret

    def _get(self, path: str, **parameters: object) -> Any:
        query = urlencode(parameters)
        stamp = str(int(time.time() * 1000))
        text = f"{stamp}{self._key}5000{query}"
        headers = {
            "X-BAPI-API-KEY": self._key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": hmac.new(
                self._secret.encode(), text.encode(), hashlib.sha256
            ).hexdigest(),
        }
        answer = _ask(f"{self._base}{path}?{query}", headers=headers)
        assert answer["retCode"] == 0, answer
        return answer["result"]

    def _all(self, path: str, **parameters: object) -> list[Any]:
        rows: list[Any] = []
        cursor: dict[str, object] = {}
        while True:
            page = self._get(path, **parameters, **cursor)
            rows += page["list"]
            if not page.get("nextPageCursor") or not page["list"]:
                return rows
            cursor = {"cursor": page["nextPageCursor"]}

    def truth(self, category: str, symbol: str, base: str = "") -> Truth:
        truth = Truth()
        where = {"category": category, "symbol": symbol}
        for order in self._all("/v5/order/realtime", **where, openOnly=0, limit=50):
            side = 1 if order["side"] == "Buy" else -1
            left = Decimal(order["leavesQty"])
            truth.orders[order["orderLinkId"]] = side, Decimal(order["price"]), left
        for fill in self._all("/v5/execution/list", **where, limit=100):
            if fill["execType"] != "Trade":
                continue
            truth.fills[fill["execId"]] = (
                fill["orderLinkId"],
                1 if fill["side"] == "Buy" else -1,
                Decimal(fill["execPrice"]),
                Decimal(fill["execQty"]),
                Decimal(fill["execFee"]),
                fill.get("feeCurrency", ""),
            )
        wallet = self._get("/v5/account/wallet-balance", accountType="UNIFIED")["list"][0]
        truth.balances = {row["coin"]: Decimal(row["walletBalance"]) for row in wallet["coin"]}
        if category == "spot":
            truth.position = truth.balances.get(base, Decimal(0))
            return truth
        for row in self._get("/v5/position/list", **where)["list"]:
            sign = {"Buy": 1, "Sell": -1}.get(row["side"], 0)
            truth.position += sign * Decimal(row["size"])
        return truth


class Hyperliquid:
    """Perps of one account."""

    def __init__(self, address: str, account: str) -> None:
        self._url = f"http://{address}/info"
        self._account = account

    def _get(self, kind: str, **parameters: object) -> Any:
        body = json.dumps({"type": kind, "user": self._account, **parameters}).encode()
        return _ask(self._url, body=body, headers={"Content-Type": "application/json"})

    def truth(self, coin: str) -> Truth:
        truth = Truth()
        for order in self._get("frontendOpenOrders"):
            if order["coin"] == coin:
                side = 1 if order["side"] == "B" else -1
                price, left = Decimal(order["limitPx"]), Decimal(order["sz"])
                truth.orders[(order.get("cloid") or "").removeprefix("0x")] = side, price, left
        first = 0
        while True:
            page = self._get("userFillsByTime", startTime=first)
            before = len(truth.fills)
            for fill in page:
                if fill["coin"] == coin:
                    truth.fills[f"{fill['oid']}:{fill['tid']}"] = (
                        (fill.get("cloid") or "").removeprefix("0x"),
                        1 if fill["side"] == "B" else -1,
                        Decimal(fill["px"]),
                        Decimal(fill["sz"]),
                        Decimal(fill["fee"]),
                        fill["feeToken"],
                    )
            if not page or len(truth.fills) == before:
                break
            first = page[-1]["time"]
        state = self._get("clearinghouseState")
        for row in state["assetPositions"]:
            if row["position"]["coin"] == coin:
                truth.position = Decimal(row["position"]["szi"])
        raw = state["marginSummary"]
        profit = sum(
            (Decimal(row["position"]["unrealizedPnl"]) for row in state["assetPositions"]),
            Decimal(0),
        )
        truth.balances = {"USDC": Decimal(raw["accountValue"]) - profit}
        return truth
