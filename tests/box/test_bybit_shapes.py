"""What the box says of Bybit has the fields that Bybit's own samples and recordings have."""

import asyncio
import json

import bybit_client as client
import pytest
from zst import zstd

from mmcore.box.bybit_private import Watcher
from mmcore.box.bybit_socket import Line


@pytest.fixture(scope="module")
def told():
    """Messages of the private topics after one order that rested and one that took."""
    box, dialect = client.built()
    caller = client.Caller(box, dialect)
    ear = client.Ear()

    async def main():
        watcher = Watcher(Line(ear, 1, 0.0), caller.account)
        dialect.private.watchers[caller.account.name][watcher] = None
        topics = ["order", "execution", "execution.fast", "position", "wallet"]
        dialect.private.handle(watcher, {"op": "subscribe", "args": topics})
        taking = caller.order(orderType="Market", timeInForce="IOC")
        del taking["price"]
        now_ns = box.clock.engine_ns()
        dialect.desk.create(caller.account, "linear", taking, now_ns)
        await client.settle()

    asyncio.run(main())
    return {message["topic"]: message for _, message in ear.said if "topic" in message}


@pytest.mark.parametrize("topic", ["order", "execution", "execution.fast", "position", "wallet"])
def test_private_messages_have_the_fields_of_the_samples(told, shared_data, topic):
    name = f"ws_{topic.replace('.', '_')}.json"
    sample = json.loads((shared_data / "wire" / "bybit" / name).read_text(encoding="utf-8"))
    ours = told[topic]
    assert set(sample) <= set(ours)
    assert set(sample["data"][0]) <= set(ours["data"][0])
    if topic == "wallet":
        assert set(sample["data"][0]["coin"][0]) <= set(ours["data"][0]["coin"][0])
    for field, value in sample["data"][0].items():
        assert type(ours["data"][0][field]) is type(value), field


@pytest.mark.parametrize(
    ("name", "path", "params"),
    [
        ("GetOrders", "/v5/order/realtime", {"category": "linear", "symbol": "BTCUSDT"}),
        ("GetUserTrades", "/v5/execution/list", {"category": "linear"}),
        ("GetPositions", "/v5/position/list", {"category": "linear", "symbol": "BTCUSDT"}),
        ("GetBalances", "/v5/account/wallet-balance", {"accountType": "UNIFIED"}),
        ("GetTransactionHistory", "/v5/account/transaction-log", {}),
        ("GetFeeRate", "/v5/account/fee-rate", {"category": "linear"}),
        ("GetApiKeyInfo", "/v5/user/query-api", {}),
        ("GetMarginAccountInfo", "/v5/account/info", {}),
    ],
)
def test_rest_answers_have_the_fields_of_the_samples(shared_data, name, path, params):
    folder = shared_data / "fixtures" / "bybit" / "jkorf" / "Endpoints" / "V5Api"
    (file,) = folder.rglob(f"{name}.txt")
    text = file.read_text(encoding="utf-8-sig")
    sample = json.loads(text[text.index("{") :])["result"]
    caller = client.Caller(*client.built())
    caller.place(orderType="Market", timeInForce="IOC", price="")
    caller.place(price="50000.0")
    result = caller.get(path, **params)["result"]
    assert set(sample) <= set(result)
    if "list" in sample:
        # The sample of positions alone spells one field without its d.
        assert set(sample["list"][0]) - set(result["list"][0]) <= {"mmrSysUpdateTime"}


def test_public_messages_have_the_fields_of_the_recording(shared_data):
    file = shared_data / "bybit" / "v5_public_2026-08-09" / "BYBIT.jsonl.zst"
    text = zstd.decompress(file.read_bytes()).decode()
    recorded = {}
    for line in text.splitlines():
        record = json.loads(line)
        if record["t"] == "recv" and '"topic"' in record["data"]:
            message = json.loads(record["data"])
            kind = (record["conn"] == "BYBIT.ws.3", message["topic"], message["type"])
            recorded.setdefault(kind, message)
    box, dialect = client.built()
    now_ns = box.clock.now_ns()
    seen = 0
    for (spot, topic, kind), message in recorded.items():
        channel = dialect.public.channels.get(("spot" if spot else "linear", topic))
        if channel is None or kind != "snapshot":
            continue
        made = channel.first(now_ns)
        if made is None:
            channel.tape.trade(channel.tape.place.floor.trades[-1])
            (made,) = channel.due(now_ns)
        ours = json.loads(made)
        assert list(ours) == list(message), topic
        theirs, mine = message["data"], ours["data"]
        if isinstance(theirs, list):
            theirs, mine = theirs[0], mine[0]
        assert set(theirs) <= set(mine)
        seen += 1
    assert seen >= 6
