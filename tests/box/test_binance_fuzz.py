"""Whatever is sent to the Binance dialect, it answers in the venue's form and lives on."""

import orjson
import pytest
from binance_rest import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcore.box.binance_sockets import CallSocket, StreamSocket

STATUSES = {200, 400, 401, 404, 408, 409, 418, 429}
NAMES = (
    "symbol", "symbols", "side", "type", "timeInForce", "quantity", "price", "newClientOrderId",
    "orderId", "origClientOrderId", "batchOrders", "orderIdList", "origClientOrderIdList",
    "reduceOnly", "positionSide", "newOrderRespType", "priceMatch", "selfTradePreventionMode",
    "goodTillDate", "recvWindow", "limit", "fromId", "startTime", "endTime", "leverage",
    "marginType", "dualSidePosition", "multiAssetsMargin", "countdownTime", "incomeType",
    "cancelReplaceMode", "cancelOrderId", "cancelOrigClientOrderId", "newQty", "quoteOrderQty",
    "interval", "closePosition", "modifyId", "computeCommissionRates", "omitZeroBalances",
)  # fmt: skip
# What a route might well be sent, so that the deeper rules are reached too.
PLAUSIBLE = {
    "symbol": ["BTCUSDT", "ETHUSDT", "btcusdt", "NOPE", "\u65b0USDT"],
    "symbols": ['["BTCUSDT"]', "[]", '["X"]'],
    "side": ["BUY", "SELL"],
    "type": ["LIMIT", "MARKET", "LIMIT_MAKER", "STOP"],
    "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    "quantity": ["0.01", "0.010", "1", "1000"],
    "price": ["61000.0", "50000", "70000", "0.1", "99999999999"],
    "batchOrders": ['[{"symbol":"BTCUSDT"}]', "[{}]", "[null]", '[{"symbol":1.5e300}]', "[[]]"],
    "orderIdList": ["[1]", '["1"]', "[true]", "[1.5]", "[99999999999999999999999]"],
    "newOrderRespType": ["ACK", "RESULT", "FULL"],
    "cancelReplaceMode": ["STOP_ON_FAILURE", "ALLOW_FAILURE"],
    "priceMatch": ["QUEUE", "OPPONENT_20", "NONE"],
    "marginType": ["CROSSED", "ISOLATED"],
    "dualSidePosition": ["true", "false"],
    "startTime": ["0", "1", "9223372036854775807", "99999999999999999999"],
}
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "0", "-1", "1e9", "NaN", "null", "true", "\u0660", "1" * 25, "0." + "1" * 21]
    ),
    st.integers().map(str),
)
PARAMS = st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=8)
PLAUSIBLES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in PLAUSIBLE.items()}
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from([*NAMES, "id", "method", "params"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def client():
    return Client.fresh(limits_scale=1e9)


def check(answer):
    assert answer.status in STATUSES, answer.body
    if answer.status != 200:
        assert isinstance(answer["code"], int) and answer["code"] < 0
        assert isinstance(answer["msg"], str) and answer["msg"]


@settings(max_examples=80)
@given(data=st.data())
def test_every_route_answers_whatever_it_is_sent(client, data):
    method, path = data.draw(st.sampled_from(sorted(client.dialect._routes)))
    params = {**data.draw(PLAUSIBLES), **data.draw(PARAMS)}
    check(client.signed(method, path, in_body=data.draw(st.booleans()), **params))


def test_every_route_answers_nothing_at_all(client):
    for method, path in sorted(client.dialect._routes):
        check(client.signed(method, path))
        check(client.signed(method, path, symbol="BTCUSDT"))


@settings(max_examples=40)
@given(
    query=st.text(max_size=60), body=st.binary(max_size=60), key=st.text(max_size=10),
    n=st.integers(0, 10_000), kind=st.sampled_from(["", "application/json", "text/plain"]),
)  # fmt: skip
def test_any_bytes_are_answered(client, query, body, key, n, kind):
    routes = sorted(client.dialect._routes)
    method, path = routes[n % len(routes)]
    for sent in (key, client.key):
        headers = {"X-MBX-APIKEY": sent, "Content-Type": kind}
        check(client.raw(method, path, query, body, headers))
    check(client.raw("PATCH", path + query, query, body))


class Wire:
    """A socket that keeps what is sent to it."""

    def __init__(self):
        self.sent, self.kind, self.account = [], "", None
        self.path, self.query, self.ip = "/ws-fapi/v1", "", "127.0.0.1"

    def send(self, message, stream):
        text = message if isinstance(message, bytes) else orjson.dumps(message)
        self.sent.append(orjson.loads(text))

    def call(self, name, execute, failed):
        self.send(execute(), "ack")


FRAMES = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40),
    JSON.map(orjson.dumps),
    st.fixed_dictionaries(
        {"id": JSON},
        optional={
            "method": st.sampled_from(
                ["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"]
            ),
            "params": st.one_of(JSON, st.lists(st.sampled_from(["btcusdt@depth", "combined"]))),
        },
    ).map(orjson.dumps),
)


@settings(max_examples=80)
@given(frames=st.lists(FRAMES, max_size=5))
def test_a_stream_socket_answers_every_frame(client, frames):
    dialect, wire = client.dialect, Wire()
    hub = dialect.hubs[dialect.usdm]
    served = StreamSocket(hub, dialect.keys, wire, "public", combined=False)
    for frame in frames:
        served.frame(frame)
    assert len(wire.sent) == len(frames)
    hub.tick(client.box.clock.engine_ns())
    served.close()
    assert not hub.feeds


@settings(max_examples=80)
@given(data=st.data())
def test_a_request_socket_answers_every_request(client, data):
    dialect, wire = client.dialect, Wire()
    spot = data.draw(st.booleans())
    desk = dialect.spot if spot else dialect.usdm
    events = dialect.spot_events if spot else None
    served = CallSocket(desk, dialect._calls[desk], wire, None, events)
    methods = st.sampled_from([*dialect._calls[desk], *served._own, "order.nothing"])
    frame = data.draw(
        st.one_of(
            FRAMES,
            st.fixed_dictionaries(
                {"id": JSON, "method": methods, "params": st.one_of(JSON, PLAUSIBLES, PARAMS)}
            ).map(orjson.dumps),
        )
    )
    served.frame(frame)
    (answer,) = wire.sent
    assert answer["status"] in STATUSES
    assert ("result" in answer) != ("error" in answer)
    served.close()


@settings(max_examples=80)
@given(data=st.data())
def test_a_signed_request_on_a_socket_is_answered(client, data):
    dialect, wire = client.dialect, Wire()
    spot = data.draw(st.booleans())
    desk = dialect.spot if spot else dialect.usdm
    served = CallSocket(desk, dialect._calls[desk], wire, None, None)
    method = data.draw(st.sampled_from(sorted(dialect._calls[desk])))
    values = {**data.draw(PLAUSIBLES), **data.draw(PARAMS)}
    values |= {"apiKey": client.key, "timestamp": client.box.clock.now_ns() // 1_000_000}
    signed = "&".join(f"{name}={value}" for name, value in sorted(values.items()))
    values["signature"] = client.sign(signed)
    served.frame(orjson.dumps({"id": 1, "method": method, "params": values}))
    (answer,) = wire.sent
    assert answer["status"] in STATUSES and answer["id"] == 1
    assert answer.get("error", {}).get("code") != -1022
