"""Whatever is asked of the real dialects, in whatever words: an answer of the venue's, no defect.

A defect of a dialect is logged by the server and answered with 500; here it fails the test.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import logging
import os
import time
from urllib.parse import urlencode

import aiohttp
import pytest
from eth_account import Account
from hyperliquid.utils.signing import sign_l1_action
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from mmcore.box.dialects import REQUEST_WORDS, SOCKET_KINDS, STREAM_WORDS
from mmcore.box.faults import Do
from mmcore.box.server import Box

N = int(os.environ.get("BOX_FUZZ_CASES", "25"))
NONCES = itertools.count(time.time_ns() // 10**6)
WORDS = st.sampled_from(
    [
        "", "BTCUSDT", "ETHUSDT", "BTC", "btcusdt", "XYZ", "LIMIT", "MARKET", "Limit", "Market",
        "GTC", "GTX", "IOC", "PostOnly", "Buy", "Sell", "BUY", "SELL", "linear", "spot", "inverse",
        "true", "false", "True", "0", "1", "-1", "0.001", "60000", "1e3", "nan", "inf", "-0",
        "99999999999999999999999", "0.00000000000000000001", "[]", "{}", "null", '["a"]', "[1,2]",
        '[{"symbol":"BTCUSDT"}]', "[null]", "é", "\x00", "a" * 200, "0x" + "00" * 20, "CROSSED",
        "UNIFIED", "USDT", "RESULT", "FULL", "ACK", "NONE", "STOP_ON_FAILURE",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), WORDS,
        st.text(max_size=5),
    ),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=3) | WORDS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
NAMES = {
    "binance": [
        "symbol", "side", "type", "quantity", "price", "timeInForce", "newClientOrderId",
        "orderId", "origClientOrderId", "reduceOnly", "positionSide", "limit", "fromId",
        "startTime", "endTime", "batchOrders", "orderIdList", "origclientorderidlist", "leverage",
        "marginType", "dualSidePosition", "countdownTime", "listenKey", "newOrderRespType",
        "cancelReplaceMode", "cancelOrderId", "cancelOrigClientOrderId", "newQty", "recvWindow",
        "incomeType", "quoteOrderQty", "symbols", "omitZeroBalances",
    ],
    "bybit": [
        "category", "symbol", "side", "orderType", "qty", "price", "timeInForce", "orderLinkId",
        "orderId", "reduceOnly", "positionIdx", "request", "settleCoin", "baseCoin", "limit",
        "cursor", "openOnly", "startTime", "endTime", "buyLeverage", "sellLeverage", "mode",
        "accountType", "coin", "timeWindow", "product", "setMarginMode", "marketUnit", "status",
        "execType", "tradeMode", "orderFilter",
    ],
}  # fmt: skip
ROUTES = {
    "binance": [
        *(
            (method, f"/fapi/v1/{name}")
            for method, names in {
                "GET": (
                    "ping", "time", "exchangeInfo", "depth", "trades", "aggTrades", "premiumIndex",
                    "fundingRate", "ticker/bookTicker", "ticker/price", "openOrders", "openOrder",
                    "order", "allOrders", "userTrades", "income", "commissionRate",
                    "leverageBracket", "rateLimit/order", "positionSide/dual", "klines", "nothing",
                ),
                "POST": (
                    "order", "order/test", "batchOrders", "leverage", "marginType",
                    "positionSide/dual", "multiAssetsMargin", "countdownCancelAll", "listenKey",
                ),
                "PUT": ("order", "batchOrders", "listenKey"),
                "DELETE": ("order", "batchOrders", "allOpenOrders", "listenKey"),
            }.items()
            for name in names
        ),
        ("GET", "/fapi/v3/account"), ("GET", "/fapi/v2/account"), ("GET", "/fapi/v3/balance"),
        ("GET", "/fapi/v3/positionRisk"), ("PATCH", "/fapi/v1/order"),
        *(("GET", f"/api/v3/{name}") for name in (
            "exchangeInfo", "depth", "trades", "order", "openOrders", "allOrders", "account",
            "myTrades", "account/commission", "ticker/bookTicker", "rateLimit/order",
        )),
        *(("POST", f"/api/v3/{name}") for name in ("order", "order/cancelReplace", "order/test")),
        ("DELETE", "/api/v3/order"), ("DELETE", "/api/v3/openOrders"),
        ("PUT", "/api/v3/order/amend/keepPriority"),
    ],
    "bybit": [
        *(("GET", f"/v5/{name}") for name in (
            "market/time", "market/instruments-info", "market/orderbook", "market/tickers",
            "market/recent-trade", "market/funding/history", "market/kline", "order/realtime",
            "order/history", "execution/list", "position/list", "account/wallet-balance",
            "account/info", "account/fee-rate", "account/transaction-log", "user/query-api",
            "account/query-dcp-info", "asset/coin/query-info", "nothing",
        )),
        *(("POST", f"/v5/{name}") for name in (
            "order/create", "order/amend", "order/cancel", "order/create-batch",
            "order/amend-batch", "order/cancel-batch", "order/cancel-all", "order/pre-check",
            "order/disconnected-cancel-all", "position/set-leverage", "position/switch-mode",
            "account/set-margin-mode", "nothing",
        )),
    ],
}  # fmt: skip
INFO = [
    "meta", "spotMeta", "metaAndAssetCtxs", "spotMetaAndAssetCtxs", "perpDexs", "allMids",
    "l2Book", "clearinghouseState", "spotClearinghouseState", "openOrders", "frontendOpenOrders",
    "orderStatus", "userFills", "userFillsByTime", "userFunding", "fundingHistory", "userFees",
    "userRateLimit", "historicalOrders", "exchangeStatus", "candleSnapshot", "nothing",
]  # fmt: skip


@pytest.fixture(scope="module")
def ground():
    """A box, a session and the loop they live in; and what their servers logged as defects."""

    class Defects(logging.Handler):
        def __init__(self):
            super().__init__(logging.ERROR)
            self.seen = []

        def emit(self, record):
            self.seen.append(self.format(record))

    defects = Defects()
    log = logging.getLogger("mmcore.box")
    log.addHandler(defects)
    loop = asyncio.new_event_loop()
    opened = Box.open(seed=1, limits_scale=1e6, reply_ms=0.0)
    box = loop.run_until_complete(opened.__aenter__())
    words = _listen_at_the_gate(box.faults)

    async def session():
        timeout = aiohttp.ClientTimeout(total=10)
        return aiohttp.ClientSession(f"http://127.0.0.1:{box.port}", timeout=timeout)

    client = loop.run_until_complete(session())
    yield loop, box, client, defects.seen
    loop.run_until_complete(client.close())
    loop.run_until_complete(opened.__aexit__(None, None, None))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    log.removeHandler(defects)
    assert words["rest"] | words["call"] <= {*REQUEST_WORDS, ""}
    assert words["stream"] <= set(STREAM_WORDS)
    assert words["socket"] <= {*SOCKET_KINDS, ""}  # "" before a first frame
    assert "connect" in words["rest"]
    assert "ack" in words["stream"]


def _listen_at_the_gate(faults):
    """Arm what never strikes, so that everything is shown to it; the words it is shown under."""
    faults.apply(do=Do.CUT, where="socket:*", at_s=1e6)
    words = {"rest": set(), "call": set(), "stream": set(), "socket": set()}

    def heard(method):
        def strike(place, venue, name, *more):
            words.setdefault(place, set()).add(name)
            return method(place, venue, name, *more)

        return strike

    faults.strike, faults.due = heard(faults.strike), heard(faults.due)
    return words


def ask(ground, method, url, **more):
    """Send one request; its status and body must be an answer, and no defect may be logged."""
    loop, _, session, defects = ground

    async def main():
        async with session.request(method, URL(url, encoded=True), **more) as answer:
            return answer.status, await answer.read()

    status, body = loop.run_until_complete(main())
    assert not defects, defects.pop()
    assert status < 500, body
    if status == 200 or not url.startswith(("/info", "/exchange")):  # which refuse in plain words
        json.loads(body)


# Complete and valid parameters, of which a case changes or leaves out a few: so it gets deep.
ITEM = {
    "binance": {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
        "quantity": "0.01", "price": "61000",
    },
    "bybit": {
        "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "timeInForce": "GTC",
        "qty": "0.01", "price": "61000",
    },
}  # fmt: skip
VALID = {
    "binance": {
        **ITEM["binance"], "leverage": "5", "marginType": "CROSSED", "dualSidePosition": "false",
        "countdownTime": "0", "orderId": "1", "batchOrders": json.dumps([ITEM["binance"]]),
        "orderIdList": "[1]", "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": "1",
        "newQty": "0.005", "multiAssetsMargin": "false",
    },
    "bybit": {
        **ITEM["bybit"], "category": "linear", "buyLeverage": "5", "sellLeverage": "5", "mode": 0,
        "accountType": "UNIFIED", "request": [ITEM["bybit"]], "timeWindow": 10,
        "setMarginMode": "REGULAR_MARGIN", "orderId": "1",
    },
}  # fmt: skip
LEFT_OUT = object()


def changed(venue, values):
    """Valid parameters with a few changed, left out or added."""
    changes = st.dictionaries(st.sampled_from(NAMES[venue]), st.just(LEFT_OUT) | values, max_size=4)
    return changes.map(
        lambda change: {
            name: value
            for name, value in {**VALID[venue], **change}.items()
            if value is not LEFT_OUT
        }
    )


@settings(max_examples=2 * N, deadline=None)
@given(
    st.sampled_from(ROUTES["binance"]),
    changed("binance", WORDS | JSON.map(json.dumps)),
    st.sampled_from([True, True, True, False]),
    st.booleans(),
)
def test_binance_answers_any_parameters(ground, route, query, signed, in_body):
    method, path = route
    who = ground[1].exchange.accounts_of("binance")[0].credentials
    headers = {}
    if signed:
        query = {**query, "timestamp": str(time.time_ns() // 10**6), "recvWindow": "60000"}
        headers["X-MBX-APIKEY"] = who.key
    text = urlencode(query)
    if signed:
        sign = hmac.new(who.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        text += f"&signature={sign}"
    if in_body and method != "GET":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        ask(ground, method, path, data=text.encode(), headers=headers)
    else:
        ask(ground, method, f"{path}?{text}", headers=headers)


@settings(max_examples=2 * N, deadline=None)
@given(st.sampled_from(ROUTES["bybit"]), changed("bybit", WORDS | JSON), JSON, st.integers(0, 9))
def test_bybit_answers_any_parameters(ground, route, query, value, how):
    method, path = route
    who = ground[1].exchange.accounts_of("bybit")[0].credentials
    stamp = str(time.time_ns() // 10**6)
    text = urlencode(query) if method == "GET" else json.dumps(value if how == 0 else query)
    sign = hmac.new(who.secret.encode(), f"{stamp}{who.key}5000{text}".encode(), hashlib.sha256)
    headers = {
        "X-BAPI-API-KEY": who.key,
        "X-BAPI-TIMESTAMP": stamp,
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": sign.hexdigest(),
    }
    if method == "GET":
        ask(ground, method, f"{path}?{text}", headers=headers)
    else:
        ask(ground, method, path, data=text.encode(), headers=headers)


@settings(max_examples=N, deadline=None)
@given(
    st.sampled_from(INFO),
    st.dictionaries(
        st.sampled_from(
            ["coin", "user", "oid", "startTime", "endTime", "nSigFigs", "mantissa", "dex", "req"]
        ),
        JSON | st.just("0x" + "11" * 20),
        max_size=4,
    ),
    JSON,
    st.integers(0, 19),
)
def test_hyperliquid_answers_any_question(ground, kind, change, value, how):
    who = ground[1].exchange.accounts_of("hyperliquid")[0].credentials
    asked = {"type": kind, "coin": "BTC", "user": who.address, "oid": 1, "startTime": 0, **change}
    body = json.dumps(asked)
    if how == 0:
        body = json.dumps(value)
    if how == 1:
        body = body[:-1]
    ask(ground, "POST", "/info", data=body.encode(), headers={"Content-Type": "application/json"})


ORDER = {"a": 0, "b": True, "p": "61000", "s": "0.01", "r": False, "t": {"limit": {"tif": "Gtc"}}}
ORDERS = st.dictionaries(
    st.sampled_from(["a", "b", "p", "s", "r", "t", "c"]),
    st.just(LEFT_OUT)
    | WORDS
    | JSON
    | st.just({"limit": {"tif": "Alo"}})
    | st.just("0x" + "a" * 32),
    max_size=2,
).map(lambda change: {k: v for k, v in {**ORDER, **change}.items() if v is not LEFT_OUT})
SOME = st.lists(ORDERS, max_size=3) | JSON
ACTIONS = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {"type": st.just("order"), "orders": SOME, "grouping": st.just("na") | JSON},
        optional={"builder": JSON},
    ),
    st.fixed_dictionaries({"type": st.just("modify"), "oid": st.just(1) | JSON, "order": ORDERS}),
    st.fixed_dictionaries(
        {
            "type": st.just("batchModify"),
            "modifies": JSON
            | st.lists(st.fixed_dictionaries({"oid": st.integers(1, 9), "order": ORDERS})),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["cancel", "cancelByCloid"]),
            "cancels": JSON | st.lists(st.just({"a": 0, "o": 1}) | JSON, max_size=3),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(
                ["scheduleCancel", "updateLeverage", "updateIsolatedMargin", "noop", "setReferrer",
                 "reserveRequestWeight", "approveBuilderFee", "approveAgent", "usdClassTransfer"]
            )
        },
        optional={
            "time": JSON, "asset": st.just(0) | JSON, "isCross": st.booleans() | JSON,
            "leverage": st.just(5) | JSON, "weight": JSON, "ntli": JSON, "isBuy": JSON,
            "signatureChainId": JSON, "nonce": JSON,
        },
    ),
)  # fmt: skip


@settings(max_examples=N, deadline=None)
@given(ACTIONS, JSON, st.integers(0, 19))
def test_hyperliquid_answers_any_action(ground, action, value, how):
    nonce = next(NONCES)
    wallet = Account.from_key(
        ground[1].exchange.accounts_of("hyperliquid")[0].credentials.private_key
    )
    try:
        signature = sign_l1_action(wallet, action, None, nonce, None, False)
    except (TypeError, ValueError, OverflowError):  # what the client itself cannot pack
        signature = {"r": "0x1", "s": "0x2", "v": 27}
    body = {"action": action, "nonce": nonce, "signature": signature}
    if how == 0:
        body["signature"] = value
    if how == 1:
        body["nonce"] = value
    if how == 2:
        body["vaultAddress"] = value
    text = json.dumps(body).encode()
    ask(ground, "POST", "/exchange", data=text, headers={"Content-Type": "application/json"})


SOCKETS = [
    "/public/ws", "/market/ws", "/private/ws", "/ws", "/stream", "/ws/btcusdt@depth",
    "/public/stream?streams=btcusdt@depth", "/private/ws?listenKey=x", "/ws-fapi/v1", "/ws-api/v3",
    "/v5/public/linear", "/v5/public/spot", "/v5/private", "/v5/trade",
]  # fmt: skip
FRAMES = st.one_of(
    JSON.map(json.dumps),
    st.text(max_size=20),
    st.builds(
        lambda method, value: json.dumps({"method": method, "params": value, "id": value}),
        st.sampled_from(
            [
                "SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "ping",
                "order.place", "order.cancel", "order.modify", "order.status", "session.logon",
                "v2/account.position", "userDataStream.subscribe.signature", "depth", "time",
            ]
        ),
        JSON | st.just(["btcusdt@depth", "!bookTicker", "ethusdt@aggTrade", "x@y"]),
    ),
    st.builds(
        lambda op, value: json.dumps({"op": op, "args": value, "req_id": value, "reqId": "r"}),
        st.sampled_from(["subscribe", "unsubscribe", "auth", "ping", "order.create", "x"]),
        JSON | st.just(["orderbook.50.BTCUSDT", "publicTrade.ETHUSDT", "tickers.X", "order"]),
    ),
    st.builds(
        lambda method, value: json.dumps(
            {"method": method, "subscription": value, "id": 1, "request": value}
        ),
        st.sampled_from(["subscribe", "unsubscribe", "post", "ping"]),
        JSON
        | st.builds(
            lambda kind, user: {"type": kind, "coin": "BTC", "user": user},
            st.sampled_from(["l2Book", "trades", "bbo", "orderUpdates", "userFills", "allMids"]),
            JSON,
        ),
    ),
)  # fmt: skip


@settings(max_examples=N, deadline=None)
@given(st.sampled_from(SOCKETS), st.lists(FRAMES | st.binary(max_size=20), min_size=1, max_size=4))
def test_sockets_take_any_frame(ground, path, frames):
    loop, _, session, defects = ground

    async def main():
        async with session.ws_connect(URL(path, encoded=True)) as ws:
            for frame in frames:
                if ws.closed:
                    break
                send = ws.send_bytes if isinstance(frame, bytes) else ws.send_str
                try:
                    await send(frame)
                    await ws.ping()
                except ConnectionError:
                    break
                try:
                    async with asyncio.timeout(0.005):
                        await ws.receive()
                except TimeoutError:
                    pass

    loop.run_until_complete(main())
    assert not defects, defects.pop()
