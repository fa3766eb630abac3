"""Whatever is sent to Bybit's routes and sockets is answered as the venue would, and nothing falls.

The dialect is called directly: an exception would come out here, not be caught by the server.
"""

import asyncio
import json
import os
from urllib.parse import urlencode

import bybit_client as client
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmcore.box.bybit import BATCHES, TRADES
from mmcore.box.bybit_entry import OPERATIONS, Trader
from mmcore.box.bybit_private import TOPICS, Watcher
from mmcore.box.bybit_public import Reader
from mmcore.box.bybit_socket import Line

NAMES = [
    "category", "symbol", "side", "orderType", "qty", "price", "timeInForce", "orderLinkId",
    "orderId", "reduceOnly", "positionIdx", "smpType", "marketUnit", "request", "limit", "cursor",
    "settleCoin", "baseCoin", "coin", "accountType", "product", "timeWindow", "mode", "buyLeverage",
    "sellLeverage", "setMarginMode", "startTime", "endTime", "openOnly", "execType", "status",
    "orderStatus", "currency", "type",
]  # fmt: skip
WORDS = [
    "linear", "spot", "inverse", "option", "BTCUSDT", "ETHUSDT", "Buy", "Sell", "Limit", "Market",
    "GTC", "IOC", "FOK", "PostOnly", "0.01", "0", "50000", "70000.1", "1e9", "-1", "99999999999999",
    "0.000000000000000001", "UNIFIED", "USDT", "BTC", "DERIVATIVES", "SPOT", "REGULAR_MARGIN",
    "baseCoin", "quoteCoin", "page_token%3D5", "page_token=", "Trade", "Funding", "x", "",
]  # fmt: skip
LEAVES = st.one_of(
    st.sampled_from(WORDS),
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8)
    ),
    max_leaves=12,
)
PARAMS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=12)
PLAUSIBLE = st.fixed_dictionaries(
    {
        "category": st.sampled_from(["linear", "spot"]),
        "symbol": st.sampled_from(["BTCUSDT", "ETHUSDT"]),
    },
    optional={name: st.sampled_from(WORDS) | VALUES for name in NAMES[2:]},
)
EXAMPLES = int(os.environ.get("MMCORE_FUZZ", "25"))  # more by hand: MMCORE_FUZZ=2000
QUIET = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)


@pytest.fixture(scope="module")
def made():
    return client.built(limits_scale=1e6)


def encoded(params):
    return json.dumps(params, allow_nan=False).encode()


def check(answer):
    assert isinstance(answer["retCode"], int)
    assert isinstance(answer["retMsg"], str)
    assert set(answer) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
    orjson.dumps(answer)


@QUIET
@given(data=st.data())
def test_public_routes(made, data):
    caller = client.Caller(*made)
    path = data.draw(st.sampled_from(sorted(made[1].market.routes)))
    flat = data.draw(PARAMS)
    check(caller.ask("GET", path, query=urlencode({k: str(v) for k, v in flat.items()})))


@QUIET
@given(data=st.data())
def test_private_reads(made, data):
    caller = client.Caller(*made)
    paths = sorted({*made[1].office.reads, *made[1].books.routes})
    path = data.draw(st.sampled_from(paths))
    params = data.draw(PARAMS | PLAUSIBLE)
    check(caller.get(path, **{k: str(v) for k, v in params.items()}))


@QUIET
@given(data=st.data())
def test_writes(made, data):
    caller = client.Caller(*made)
    path = data.draw(st.sampled_from(sorted({*made[1].office.writes, *TRADES, *BATCHES})))
    params = data.draw(PARAMS | PLAUSIBLE)
    if path in BATCHES and data.draw(st.booleans()):
        params = {**params, "request": data.draw(st.lists(PLAUSIBLE | VALUES, max_size=4))}
    body = encoded(params)
    try:
        check(caller.ask("POST", path, body=body, headers=caller.signed(body)))
    finally:
        caller.account.hedge_mode = False


@QUIET
@given(body=st.binary(max_size=60), query=st.text(max_size=40), data=st.data())
def test_raw_bytes_and_headers(made, body, query, data):
    caller = client.Caller(*made)
    path = data.draw(
        st.sampled_from(["/v5/order/create", "/v5/market/tickers", "/v5/account/info"])
    )
    headers = data.draw(
        st.dictionaries(
            st.sampled_from([*caller.signed(b""), "Content-Type"]), st.text(max_size=20), max_size=5
        )
    )
    check(caller.ask(data.draw(st.sampled_from(["GET", "POST", "PUT", ""])), path,
                     query=query, body=body, headers=headers))  # fmt: skip
    check(caller.ask("POST", "/v5/order/create", body=body, headers=caller.signed(body)))


FRAMES = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40),
    VALUES.map(encoded),
    st.fixed_dictionaries(
        {"op": st.sampled_from(["auth", "subscribe", "unsubscribe", "ping", *OPERATIONS]) | VALUES},
        optional={
            "args": VALUES | st.lists(st.sampled_from(sorted(TOPICS)) | VALUES, max_size=4),
            "req_id": VALUES,
            "reqId": VALUES,
            "header": VALUES | st.fixed_dictionaries({"X-BAPI-TIMESTAMP": VALUES}),
        },
    ).map(encoded),
)


@QUIET
@given(frames=st.lists(FRAMES, max_size=8), kind=st.sampled_from(["public", "private", "trade"]))
def test_sockets(made, frames, kind):
    box, dialect = made
    ear = client.Ear()

    async def main():
        for frame in [*frames, b'{"op":"ping"}']:
            ear.incoming.put_nowait(frame)
        ear.incoming.put_nowait(None)
        line = Line(ear, 1, 0.0)
        account = box.exchange.accounts_of("bybit")[0]
        if kind == "public":
            reader = Reader(line, "linear")
            await line.frames(lambda frame: dialect.public.handle(reader, frame))
            for channel in list(reader.topics.values()):
                channel.leave(reader)
        elif kind == "private":
            watcher = Watcher(line, account)
            await line.frames(lambda frame: dialect.private.handle(watcher, frame))
        else:
            trader = Trader(line, account)
            await line.frames(lambda frame: dialect.entry.handle(trader, frame))

    asyncio.run(main())
    answers = [message for _, message in ear.said if "topic" not in message]
    assert len(answers) == len(frames) + 1
    assert answers[-1].get("ret_msg") == "pong" or answers[-1]["op"] == "pong"
