"""What mmcore sends to Binance: parameters, batches and signatures."""

import hashlib
import hmac
import json
from urllib.parse import unquote

import numpy as np
import pytest

from mmcore.adapters._binance_requests import (
    FUTURES,
    SPOT,
    Signer,
    batch_text,
    cancel,
)
from mmcore.adapters._decode import Terms
from mmcore.events import ASK, BID, REQUEST, RequestKind, TimeInForce
from mmcore.gateway import Keys
from mmcore.instrument import known

USDM = Terms(known("binance-usdm", "BTCUSDT"), 0)
SPOT_BTC = Terms(known("binance-spot", "BTCUSDT"), 0)


def request(**fields) -> np.void:
    row = np.zeros(1, REQUEST)
    for name, value in {"side": BID, "tick": 610_001, "qty": 3, **fields}.items():
        row[name] = value
    return row[0]


def test_a_post_only_order_on_futures():
    assert FUTURES.place(USDM, request(), "abc") == {
        "symbol": "BTCUSDT", "side": "BUY", "price": "61000.1", "quantity": "0.003",
        "newClientOrderId": "abc", "newOrderRespType": "ACK", "type": "LIMIT",
        "timeInForce": "GTX",
    }  # fmt: skip


def test_reduce_only_is_a_text():
    taking = request(side=ASK, tif=TimeInForce.IOC, reduce_only=1)
    params = FUTURES.place(USDM, taking, "abc")
    assert (params["side"], params["timeInForce"], params["reduceOnly"]) == ("SELL", "IOC", "true")


def test_post_only_on_spot_is_a_type_without_time_in_force():
    params = SPOT.place(SPOT_BTC, request(tick=6_100_010, qty=2_000_000), "abc")
    assert (params["type"], params["price"], params["quantity"]) == (
        "LIMIT_MAKER", "61000.10", "0.02000000",
    )  # fmt: skip
    assert "timeInForce" not in params
    taking = SPOT.place(SPOT_BTC, request(tif=TimeInForce.IOC), "abc")
    assert (taking["type"], taking["timeInForce"]) == ("LIMIT", "IOC")


def test_an_amend_counts_in_what_is_filled():
    amend = request(kind=RequestKind.AMEND, qty=5, done=2)
    params = FUTURES.amend(USDM, amend, "abc", 2)
    assert (params["quantity"], params["price"], params["side"]) == ("0.007", "61000.1", "BUY")
    assert params["origClientOrderId"] == "abc"
    reduce = SPOT.amend(SPOT_BTC, request(qty=1_000_000), "abc", 500_000)
    assert reduce == {
        "symbol": "BTCUSDT", "newQty": "0.01500000", "origClientOrderId": "abc",
        "newClientOrderId": "abc",
    }  # fmt: skip


@pytest.mark.parametrize(("tick", "text"), [(1, "0.1"), (10, "1.0"), (618_370, "61837.0")])
def test_decimals_are_exact(tick, text):
    assert FUTURES.place(USDM, request(tick=tick), "a")["price"] == text
    assert USDM.item.to_tick(text) == tick


def test_a_batch_is_percent_encoded_json_of_texts():
    text = batch_text([cancel(USDM, "a1"), FUTURES.place(USDM, request(reduce_only=1), "b2")])
    assert "{" not in text and " " not in text and "+" not in text
    items = json.loads(unquote(text))
    assert all(isinstance(value, str) for item in items for value in item.values())
    assert json.loads(unquote(batch_text(["a1", "a2"]))) == ["a1", "a2"]


def test_a_signature_is_over_the_sorted_parameters():
    signed = Signer(Keys("key", "secret")).sign({"symbol": "BTCUSDT", "side": "BUY"}, 1_700_000)
    assert signed["apiKey"] == "key" and signed["timestamp"] == 1_700_000
    text = "apiKey=key&recvWindow=5000&side=BUY&symbol=BTCUSDT&timestamp=1700000"
    assert signed["signature"] == hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()


def test_the_same_signature_as_the_vendors_library(shared_data):
    lines = (shared_data / "wire/client_requests/python_binance.jsonl").read_text().splitlines()
    sent = [json.loads(line) for line in lines if '"ws_send"' in line]
    frames = [json.loads(entry["text"]) for entry in sent]
    signed = [frame["params"] for frame in frames if "signature" in frame["params"]]
    assert signed
    for params in signed:
        rest = {k: v for k, v in params.items() if k not in {"signature", "timestamp", "apiKey"}}
        ours = Signer(Keys(params["apiKey"], "secret"))
        text = "&".join(f"{k}={params[k]}" for k in sorted(params) if k != "signature")
        assert params["signature"] == hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()
        assert ours.sign(rest, params["timestamp"]).keys() == params.keys() | {"recvWindow"}


def test_a_signer_shows_no_secret():
    assert "secret" not in repr(Signer(Keys("key", "secret")))


def test_sizes_of_batches():
    assert [FUTURES.batch_sizes[kind] for kind in RequestKind] == [5, 5, 10]
    assert not SPOT.batch_sizes
