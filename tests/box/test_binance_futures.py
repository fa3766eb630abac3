"""USD-M futures in the box, request by request: what Binance answers, with which code."""

import orjson
import pytest
from binance_rest import Client, Pool, cover, form

from mmcore.box import binance_streams, binance_user, dialects

POOL = Pool()

ORDER = "/fapi/v1/order"
BATCH = "/fapi/v1/batchOrders"


@pytest.fixture
def client():
    return POOL.draw()


# -- who may ask


def test_time_and_ping_need_nothing(client):
    assert client.public("/fapi/v1/ping").body == {}
    now = client.box.clock.now_ns() // 1_000_000
    assert abs(client.public("/fapi/v1/time")["serverTime"] - now) < 1000


def test_an_unknown_path_is_not_found(client):
    assert client.public("/fapi/v1/nothing").error == (404, -5000)


def test_keys(client):
    assert client.raw("GET", "/fapi/v3/balance").error == (401, -2014)
    wrong = client.raw("GET", "/fapi/v3/balance", "timestamp=1", headers={"X-MBX-APIKEY": "no"})
    assert wrong.error == (401, -2015)


@pytest.mark.parametrize("in_body", [False, True])
def test_the_signature_is_over_the_bytes_that_were_sent(client, in_body):
    text = form({**client.order(), "timestamp": client.box.clock.now_ns() // 1_000_000})
    headers = {"X-MBX-APIKEY": client.key}
    for signature, expected in ((client.sign(text), 200), (client.sign(text + " "), 400)):
        sent = f"{text}&signature={signature}"
        query, body = ("", sent) if in_body else (sent, "")
        answer = client.raw("POST", ORDER, query, body, headers)
        assert answer.status == expected
    assert answer.error == (400, -1022)


def test_query_and_body_are_signed_together_and_the_query_wins(client):
    query = form({"symbol": "BTCUSDT", "timestamp": client.box.clock.now_ns() // 1_000_000})
    body = form({k: v for k, v in client.order().items() if k != "symbol"} | {"symbol": "NOPE"})
    body += "&signature=" + client.sign(query + body)
    answer = client.raw("POST", ORDER, query, body, {"X-MBX-APIKEY": client.key})
    assert (answer.status, answer["symbol"]) == (200, "BTCUSDT")


def test_a_signature_over_decoded_text_passes_where_the_box_is_lenient():
    for lenient, status in ((True, 200), (False, 400)):
        client = Client.fresh(lenient=lenient)
        now = client.box.clock.now_ns() // 1_000_000
        items = orjson.dumps([client.order()]).decode()
        signature = client.sign(f"batchOrders={items}&timestamp={now}")
        body = form({"batchOrders": items, "timestamp": now}) + f"&signature={signature}"
        answer = client.raw("POST", BATCH, "", body, {"X-MBX-APIKEY": client.key})
        assert answer.status == status


@pytest.mark.parametrize(
    ("stamp", "window", "code"),
    [(0, None, 0), (500, None, 0), (1500, None, -1021), (-4000, None, 0), (-5500, None, -1021),
     (-5500, 10_000, 0), (-50, 10, -1021), (0, 60_001, -1131), (0, "x", -1100)],
)  # fmt: skip
def test_a_time_stamp_lies_in_its_window(client, stamp, window, code):
    extra = {} if window is None else {"recvWindow": window}
    answer = client.signed("GET", "/fapi/v3/balance", stamp=stamp, **extra)
    assert answer.get("code", 0) == code


def test_the_same_millisecond_may_be_used_again(client):
    query = form({"timestamp": client.box.clock.now_ns() // 1_000_000})
    query += "&signature=" + client.sign(query)
    for _ in range(3):
        answer = client.raw("GET", "/fapi/v3/balance", query, headers={"X-MBX-APIKEY": client.key})
        assert answer.status == 200


def test_a_key_that_may_only_read(client):
    client.account.permissions.discard("trade")
    assert client.signed("GET", "/fapi/v3/balance").status == 200
    assert client.place().error == (401, -2015)


# -- limits


def test_weight_is_counted_and_refused_beyond_the_limit(client):
    first = client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
    assert first.headers["X-MBX-USED-WEIGHT-1M"] == "20"
    for _ in range(130):
        answer = client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
        if answer.status != 200:
            break
    assert answer.error == (429, -1003)
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    for _ in range(30):
        answer = client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=1000)
    assert answer.error == (418, -1003)
    assert "banned until" in answer["msg"]


def test_orders_are_counted_in_both_windows(client):
    answer = client.place()
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert answer.headers["X-MBX-ORDER-COUNT-1M"] == "1"
    answer = client.signed("POST", BATCH, batchOrders=[client.order(), client.order()])
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "6"
    assert answer.headers["X-MBX-ORDER-COUNT-1M"] == "2"
    cancel = client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert "X-MBX-ORDER-COUNT-10S" not in cancel.headers
    counts = client.signed("GET", "/fapi/v1/rateLimit/order").body
    assert [(c["interval"], c["intervalNum"], c["limit"]) for c in counts] == [
        ("SECOND", 10, 300), ("MINUTE", 1, 1200),
    ]  # fmt: skip


def test_too_many_orders():
    client = Client.fresh(limits_scale=0.01)  # three in ten seconds
    answers = [client.place() for _ in range(5)]
    assert answers[-1].error == (429, -1015)
    assert "Retry-After" in answers[-1].headers


# -- orders


def test_an_order_is_accepted_and_can_be_found(client):
    ack = client.place(newClientOrderId="abc")
    assert (ack["status"], ack["clientOrderId"], ack["timeInForce"]) == ("NEW", "abc", "GTX")
    assert isinstance(ack["orderId"], int)
    found = client.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="abc")
    assert found["orderId"] == ack["orderId"] and found["time"] > 0
    one = client.signed("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=ack["orderId"])
    assert one.body == found.body
    assert client.signed("GET", "/fapi/v1/openOrders").body == [found.body]
    level = client.floor().instrument.to_tick(ack["price"])
    assert client.floor().qty(1, level) >= 10


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": None}, -1102),
        ({"symbol": "NOPE"}, -1121),
        ({"symbol": "btcusdt"}, -1100),
        ({"symbol": "BTC USDT"}, -1100),
        ({"symbol": "\u65b0USDT"}, -1121),
        ({"side": "UP"}, -1117),
        ({"side": None}, -1102),
        ({"type": "STOP_MARKET"}, -4120),
        ({"type": "ICEBERG"}, -1116),
        ({"timeInForce": None}, -1102),
        ({"timeInForce": "DAY"}, -1115),
        ({"quantity": None}, -1102),
        ({"quantity": ""}, -1102),
        ({"quantity": "1e-2"}, -1100),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "0.0105"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "5000"}, -4005),
        ({"quantity": "0.001"}, -4164),
        ({"price": "61000.05"}, -4014),
        ({"price": "61000.055"}, -1111),
        ({"price": "0"}, -4001),
        ({"price": "0.01"}, -4013),
        ({"price": "99999999.9"}, -4002),
        ({"price": "price"}, -1100),
        ({"price": "90000"}, -4016),
        ({"price": "30000", "side": "SELL"}, -4024),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "a b"}, -4015),
        ({"reduceOnly": "true"}, -2022),
        ({"reduceOnly": "maybe"}, -1130),
        ({"positionSide": "LONG"}, -4061),
        ({"positionSide": "UP"}, -4060),
        ({"newOrderRespType": "FULL"}, -1136),
        ({"quantity": "1000"}, -2019),
        ({"priceMatch": "QUEUE"}, -1106),
        ({"priceMatch": "FIRST", "price": None}, -5037),
        ({"selfTradePreventionMode": "NEVER"}, -5039),
        ({"timeInForce": "GTD", "goodTillDate": "1"}, -5040),
    ],
)
def test_what_is_refused_with_which_code(client, changes, code):
    answer = client.place(**changes)
    assert answer.error == (401 if code == -2015 else 400, code), answer.body
    assert client.signed("GET", "/fapi/v1/openOrders").body == []


def test_market_orders_take_neither_price_nor_time_in_force(client):
    kind = {"type": "MARKET", "newOrderRespType": "RESULT"}
    assert client.place(**kind, timeInForce=None).error == (400, -1106)
    assert client.place(**kind, price=None).error == (400, -1106)
    done = client.place(**kind, price=None, timeInForce=None)
    assert (done["status"], done["executedQty"]) == ("FILLED", "0.010")
    assert float(done["avgPrice"]) > 0 and float(done["cumQuote"]) > 0


def test_an_ack_says_new_and_a_result_says_what_became(client):
    take = {"timeInForce": "IOC", "price": client.price(100)}
    assert client.place(**take)["status"] == "NEW"
    assert client.place(**take, newOrderRespType="RESULT")["status"] == "FILLED"


def test_a_post_only_order_that_would_take_leaves_no_trace(client):
    answer = client.place(price=client.price(50), newClientOrderId="poor")
    assert answer.error == (400, -5022)
    assert client.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="poor").error == (
        400, -2013,
    )  # fmt: skip
    assert client.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT").body == []


def test_a_post_only_order_may_expire_late_instead():
    client = Client.fresh(late_post_only=True)
    answer = client.place(price=client.price(50), newClientOrderId="poor")
    assert (answer.status, answer["status"]) == (200, "NEW")
    found = client.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="poor")
    assert found["status"] == "EXPIRED"


def test_fill_or_kill_is_filled_whole_or_never_was(client):
    whole = client.place(timeInForce="FOK", newOrderRespType="RESULT", price=client.price(100))
    assert (whole["status"], whole["executedQty"]) == ("FILLED", "0.010")
    assert client.place(timeInForce="FOK").error == (400, -5021)
    many = client.place(timeInForce="FOK", quantity="900", price=client.price(1))
    assert many.error == (400, -5021)
    found = client.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT").body
    assert [each["orderId"] for each in found] == [whole["orderId"]]


def test_a_client_id_is_unique_among_open_orders(client):
    first = client.place(newClientOrderId="one")
    assert client.place(newClientOrderId="one").error == (400, -4116)
    client.signed("DELETE", ORDER, symbol="BTCUSDT", orderId=first["orderId"])
    assert client.place(newClientOrderId="one").status == 200


def test_an_order_without_an_id_gets_one(client):
    ids = {client.place(newClientOrderId=None)["clientOrderId"] for _ in range(3)}
    assert len(ids) == 3 and all(0 < len(each) <= 36 for each in ids)


def test_a_price_match_finds_its_level(client):
    top = client.floor().top(1, 5)
    answer = client.place(price=None, priceMatch="QUEUE_5")
    assert answer["priceMatch"] == "QUEUE_5"
    assert client.floor().instrument.to_tick(answer["price"]) <= top[0][0]


def test_a_dated_order_is_cancelled_when_its_date_has_come(client):
    date = client.box.clock.now_ns() // 1_000_000 + 700_000
    order = client.place(timeInForce="GTD", goodTillDate=date)
    assert order["goodTillDate"] == date
    client.dialect.tick(client.box.clock.now_ns())
    found = client.signed("GET", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    assert found["status"] == "NEW"
    client.box.clock.jump(700 * 10**9)
    client.dialect.tick(client.box.clock.now_ns())
    found = client.signed("GET", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    client.box.clock.jump(-700 * 10**9)
    assert found["status"] == "CANCELED"


# -- changing and cancelling


def amend(client, order, **changes):
    values = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "orderId": order["orderId"],
        "quantity": order["origQty"],
        "price": order["price"],
        **changes,
    }
    return client.signed("PUT", ORDER, in_body=True, **values)


def test_an_order_is_changed_and_keeps_its_number(client):
    order = client.place()
    lower = client.price(-1200)
    changed = amend(client, order, price=lower, quantity="0.020", modifyId=7)
    assert (changed["orderId"], changed["origQty"]) == (order["orderId"], "0.020")
    assert float(changed["price"]) == float(lower) and changed["modifyId"] == 7
    assert amend(client, changed).error == (400, -5027)


def test_a_change_that_breaks_a_filter_leaves_the_order(client):
    order = client.place()
    assert amend(client, order, price="61000.05").error == (400, -4014)
    assert amend(client, order, quantity="0.001").error == (400, -4164)
    assert amend(client, order, side="SELL").error == (400, -1130)
    found = client.signed("GET", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    assert (found["status"], found["price"]) == ("NEW", order["price"])


def test_a_post_only_order_changed_to_take_is_over(client):
    order = client.place()
    changed = amend(client, order, price=client.price(100))
    assert changed["status"] == "EXPIRED"
    assert client.signed("GET", "/fapi/v1/openOrders").body == []


def test_a_change_to_no_more_than_was_filled_cancels(client):
    order = client.place(price=client.price(0), quantity="0.100")
    floor, tick = client.floor(), client.floor().instrument.to_tick(order["price"])
    ahead = sum(qty for level, qty in floor.top(1, 50) if level >= tick)
    size = floor.instrument.quantity_text(ahead - 50)
    client.peer().place(side="SELL", timeInForce="IOC", price=order["price"], quantity=size)
    found = client.signed("GET", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    assert found["status"] == "PARTIALLY_FILLED"
    changed = amend(client, order, quantity=found["executedQty"])
    assert changed["status"] == "CANCELED"


def test_what_is_not_open_can_be_neither_changed_nor_cancelled(client):
    order = client.place()
    cancel = {"symbol": "BTCUSDT", "orderId": order["orderId"]}
    assert client.signed("DELETE", ORDER, in_body=True, **cancel)["status"] == "CANCELED"
    assert client.signed("DELETE", ORDER, **cancel).error == (400, -2011)
    assert amend(client, order, price=client.price(-1500)).error == (400, -2011)
    assert client.signed("DELETE", ORDER, symbol="BTCUSDT").error == (400, -1102)
    assert client.peer().signed("DELETE", ORDER, **cancel).error == (400, -2011)


def test_all_orders_of_a_symbol_are_cancelled(client):
    for _ in range(3):
        client.place()
    client.place(symbol="ETHUSDT", price=client.price(-1000, "ETHUSDT"), quantity="1")
    answer = client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    assert answer["code"] == 200
    left = client.signed("GET", "/fapi/v1/openOrders").body
    assert [each["symbol"] for each in left] == ["ETHUSDT"]
    assert client.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")["code"] == 200


def test_the_countdown_cancels_what_is_left_alone(client):
    client.place()
    answer = client.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=1)
    assert answer.body == {"symbol": "BTCUSDT", "countdownTime": "1"}
    client.box.exchange.advance(client.box.clock.engine_ns() + 2_000_000)
    assert client.signed("GET", "/fapi/v1/openOrders").body == []
    client.place()
    client.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=1)
    client.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=0)
    client.box.exchange.advance(client.box.clock.engine_ns() + 2_000_000)
    assert len(client.signed("GET", "/fapi/v1/openOrders").body) == 1


# -- batches


def test_a_batch_answers_each_item_in_its_place(client):
    items = [client.order(), client.order(price="1.05"), client.order(quantity="0.030")]
    answer = client.signed("POST", BATCH, in_body=True, batchOrders=items)
    assert answer.status == 200
    assert [each.get("code", each.get("status")) for each in answer.body] == ["NEW", -4014, "NEW"]
    first, _, last = answer.body
    changes = [
        {"symbol": "BTCUSDT", "side": "BUY", "orderId": first["orderId"], "quantity": "0.040",
         "price": first["price"]},
        {"symbol": "BTCUSDT", "side": "BUY", "orderId": 999_999, "quantity": "0.040",
         "price": first["price"]},
    ]  # fmt: skip
    answer = client.signed("PUT", BATCH, in_body=True, batchOrders=changes)
    assert [each.get("code", each.get("origQty")) for each in answer.body] == ["0.040", -2011]
    ids = [first["orderId"], 999_999, last["orderId"]]
    answer = client.signed("DELETE", BATCH, symbol="BTCUSDT", orderIdList=ids)
    codes = [each.get("code", each.get("status")) for each in answer.body]
    assert codes == ["CANCELED", -2011, "CANCELED"]


def test_names_of_a_batch_cancel_are_read_in_any_case(client):
    one, two = client.place(), client.place()
    for name, value in (
        ("orderidlist", [one["orderId"]]),
        ("origclientorderidlist", [two["clientOrderId"]]),
    ):
        answer = client.signed("DELETE", BATCH, symbol="BTCUSDT", **{name: value})
        assert [each["status"] for each in answer.body] == ["CANCELED"]


def test_unencoded_json_in_a_form_is_read_as_it_stands(client):
    now = client.box.clock.now_ns() // 1_000_000
    text = f"timestamp={now}&batchOrders={orjson.dumps([client.order()]).decode()}"
    text += "&signature=" + client.sign(text)
    answer = client.raw("POST", BATCH, "", text, {"X-MBX-APIKEY": client.key})
    assert answer.body[0]["status"] == "NEW"


@pytest.mark.parametrize(
    ("text", "code"),
    [("", -1102), ("[", -1130), ("{}", -1130), ("[]", -4082), ("[1]", -1130),
     ("[{},{},{},{},{},{}]", -4082), ("[True]", -1130)],
)  # fmt: skip
def test_a_batch_that_is_none(client, text, code):
    assert client.signed("POST", BATCH, batchOrders=text).error == (400, code)


def test_a_batch_cancel_has_ten_items_at_most(client):
    answer = client.signed("DELETE", BATCH, symbol="BTCUSDT", orderIdList=list(range(11)))
    assert answer.error == (400, -4082)
    assert client.signed("DELETE", BATCH, symbol="BTCUSDT").error == (400, -1102)


# -- what was


def test_a_fill_is_told_alike_everywhere(client):
    bid, sell = cover(client, client.peer(), quantity="0.100")
    assert sell["status"] == "FILLED"
    (fill,) = client.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT").body
    assert fill["orderId"] == bid["orderId"] and fill["maker"] and fill["buyer"]
    fee = float(fill["price"]) * 0.1 * 0.0002
    assert float(fill["commission"]) == pytest.approx(fee, abs=1e-8)
    (position,) = client.signed("GET", "/fapi/v3/positionRisk").body
    assert position["positionAmt"] == "0.100"
    assert float(position["entryPrice"]) == float(fill["price"])
    lines = client.signed("GET", "/fapi/v1/income", incomeType="COMMISSION").body
    assert [line["income"] for line in lines] == ["-" + fill["commission"]]
    (order,) = client.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT").body
    assert (order["status"], order["executedQty"]) == ("FILLED", "0.100")
    balance = client.signed("GET", "/fapi/v3/balance").body[0]
    assert balance["balance"] == f"{1_000_000 - float(fill['commission']):.8f}"
    account = client.signed("GET", "/fapi/v2/account")
    btc = next(each for each in account["positions"] if each["symbol"] == "BTCUSDT")
    assert btc["positionAmt"] == "0.100" and account["totalWalletBalance"] == balance["balance"]


def test_an_account_does_not_trade_with_itself(client):
    bid, _ = cover(client, client, quantity="0.100")
    found = client.signed("GET", ORDER, symbol="BTCUSDT", orderId=bid["orderId"])
    assert (found["status"], found["executedQty"]) == ("EXPIRED_IN_MATCH", "0.000")


def test_a_position_can_be_reduced_only_by_what_it_is(client):
    client.place(type="MARKET", price=None, timeInForce=None, quantity="0.050")
    assert client.place(reduceOnly="true").error == (400, -2022)
    close = client.place(
        side="SELL", type="MARKET", price=None, timeInForce=None, quantity="0.080",
        reduceOnly="true", newOrderRespType="RESULT",
    )  # fmt: skip
    assert close["executedQty"] == "0.050"
    assert client.signed("GET", "/fapi/v3/positionRisk").body == []
    assert len(client.signed("GET", "/fapi/v2/positionRisk").body) == 2


@pytest.mark.parametrize("path", ["/fapi/v1/allOrders", "/fapi/v1/userTrades"])
def test_history_reaches_over_a_week_at_most(client, path):
    answer = client.signed("GET", path, symbol="BTCUSDT", startTime=1, endTime=8 * 86_400_000)
    assert answer.error == (400, -4165)


# -- settings


def test_leverage(client):
    answer = client.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5)
    assert (answer["leverage"], answer["symbol"]) == (5, "BTCUSDT")
    same = client.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5)
    assert same.status == 200
    high = client.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=126)
    assert high.error == (400, -4028)
    config = client.signed("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT").body
    assert config[0]["leverage"] == 5


def test_margin_type(client):
    path = "/fapi/v1/marginType"
    assert client.signed("POST", path, symbol="BTCUSDT", marginType="CROSSED").error == (400, -4046)
    order = client.place()
    isolated = {"symbol": "BTCUSDT", "marginType": "ISOLATED"}
    assert client.signed("POST", path, **isolated).error == (400, -4047)
    client.signed("DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    assert client.signed("POST", path, **isolated)["code"] == 200


def test_position_mode(client):
    path = "/fapi/v1/positionSide/dual"
    assert client.signed("GET", path).body == {"dualSidePosition": False}
    assert client.signed("POST", path, dualSidePosition="false").error == (400, -4059)
    order = client.place()
    assert client.signed("POST", path, dualSidePosition="true").error == (400, -4067)
    client.signed("DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    assert client.signed("POST", path, dualSidePosition="true")["code"] == 200
    assert client.place().error == (400, -4061)
    assert client.place(positionSide="LONG", reduceOnly="true").error == (400, -1106)


def test_collateral_mode_and_fees_and_tiers(client):
    path = "/fapi/v1/multiAssetsMargin"
    assert client.signed("GET", path).body == {"multiAssetsMargin": False}
    assert client.signed("POST", path, multiAssetsMargin="false").error == (400, -4171)
    fees = client.signed("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")
    assert (fees["makerCommissionRate"], fees["takerCommissionRate"]) == ("0.000200", "0.000500")
    tiers = client.signed("GET", "/fapi/v1/leverageBracket").body
    assert {each["symbol"] for each in tiers} == {"BTCUSDT", "ETHUSDT"}
    assert tiers[0]["brackets"][0]["maintMarginRatio"] == 0.005


def test_listen_keys(client):
    path, headers = "/fapi/v1/listenKey", {"X-MBX-APIKEY": client.key}
    assert client.raw("PUT", path, headers=headers).error == (400, -1125)
    key = client.raw("POST", path, headers=headers)["listenKey"]
    assert client.raw("POST", path, headers=headers)["listenKey"] == key
    assert client.raw("PUT", path, headers=headers).status == 200
    assert client.raw("DELETE", path, headers=headers).body == {}
    assert client.raw("POST", path, headers=headers)["listenKey"] != key
    assert client.raw("POST", path).error == (401, -2014)


# -- fault scripts


def test_every_request_and_event_has_a_word_of_fault_scripts(client):
    words = {route.word for _, route in client.dialect._routes.values()}
    assert words <= set(dialects.REQUEST_WORDS)
    told = {kind[2] for kind in binance_streams.KINDS.values()}
    told |= set(binance_user.STREAM_WORDS.values())
    assert told <= set(dialects.STREAM_WORDS)
