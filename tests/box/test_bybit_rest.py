"""Bybit's REST routes in the box, called without a network."""

import asyncio

import bybit_client as client
import pytest

from mmcore.box.bybit_limits import RATES
from mmcore.instrument import from_bybit, known


@pytest.fixture
def pair():
    box, dialect = client.built()
    return client.Caller(box, dialect, 0), client.Caller(box, dialect, 1)


@pytest.fixture
def caller(pair):
    return pair[0]


# -- public ------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", ["bybit-linear", "bybit-spot"])
def test_instruments_are_those_of_the_table(caller, venue):
    answer = caller.public("/v5/market/instruments-info", category=venue.removeprefix("bybit-"))
    for symbol in ("BTCUSDT", "ETHUSDT"):
        assert from_bybit(venue, answer)[symbol] == known(venue, symbol)


@pytest.mark.parametrize(
    "params",
    [
        {"category": "option", "baseCoin": "BTC"},
        {"category": "inverse", "limit": "1000"},
        {"category": "inverse", "limit": "1000", "status": "PreLaunch"},
        {"category": "linear", "limit": "1000", "status": "PreLaunch"},
    ],
)
def test_lists_without_instruments_are_empty(caller, params):
    answer = caller.public("/v5/market/instruments-info", **params)
    assert answer["retCode"] == 0
    assert answer["result"]["list"] == []
    assert answer["result"]["nextPageCursor"] == ""


def test_time_is_the_shown_clock(caller):
    caller.box.clock.jump(5_000_000_000)
    answer = caller.public("/v5/market/time")
    assert abs(int(answer["result"]["timeNano"]) - caller.box.clock.now_ns()) < 10**9
    assert answer["time"] // 1000 == int(answer["result"]["timeSecond"])


def test_what_happens_is_stamped_by_the_shown_clock(caller):
    caller.box.clock.jump(60_000_000_000)
    before = caller.box.clock.now_ns() // 10**6
    caller.place(orderType="Market", timeInForce="IOC", price="", orderLinkId="jumped")
    (row, *_) = caller.orders(orderLinkId="jumped")
    assert before <= int(row["createdTime"]) <= before + 5000
    params = {"category": "linear", "symbol": "BTCUSDT", "startTime": str(before)}
    rows = caller.get("/v5/execution/list", **params)["result"]["list"]
    assert {row["orderLinkId"] for row in rows} == {"jumped"}
    assert caller.get("/v5/order/history", **params)["result"]["list"]


def test_the_book_is_the_floors(caller):
    floor = caller.dialect.desk.places["linear", "BTCUSDT"].floor
    book = caller.public("/v5/market/orderbook", category="linear", symbol="BTCUSDT", limit="3")
    result = book["result"]
    wanted = [[f"{floor.price(t):.2f}", f"{q / 1000:.3f}"] for t, q in floor.top(1, 3)]
    assert result["b"] == wanted
    assert len(result["a"]) == 3
    assert result["s"] == "BTCUSDT"
    assert {"ts", "u", "seq", "cts"} <= set(result)


def test_tickers_of_both_products(caller):
    row = caller.public("/v5/market/tickers", category="linear", symbol="BTCUSDT")["result"]["list"]
    assert {"markPrice", "indexPrice", "fundingRate", "nextFundingTime", "fundingIntervalHour"} <= (
        set(row[0])
    )
    assert row[0]["fundingRate"] == "0.0001"
    assert float(row[0]["bid1Price"]) < float(row[0]["ask1Price"])
    rows = caller.public("/v5/market/tickers", category="spot")["result"]["list"]
    assert [row["symbol"] for row in rows] == ["BTCUSDT", "ETHUSDT"]
    assert "fundingRate" not in rows[0]


def test_recent_trades_and_funding_answer(caller):
    rows = caller.public("/v5/market/recent-trade", category="linear", symbol="BTCUSDT", limit="5")
    assert len(rows["result"]["list"]) <= 5
    answer = caller.public("/v5/market/funding/history", category="linear", symbol="BTCUSDT")
    assert answer["result"]["list"] == []
    assert caller.public("/v5/system/status")["result"] == {"list": []}


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/v5/market/tickers", {}, 10001),
        ("/v5/market/tickers", {"category": "linear", "symbol": "XUSDT"}, 10001),
        ("/v5/market/orderbook", {"category": "spot", "symbol": "XUSDT"}, 170121),
        ("/v5/market/orderbook", {"category": "linear", "symbol": "BTCUSDT", "limit": "x"}, 10001),
        ("/v5/market/funding/history", {"category": "spot", "symbol": "BTCUSDT"}, 10001),
    ],
)
def test_bad_public_requests(caller, path, params, code):
    assert caller.public(path, **params)["retCode"] == code


def test_a_path_that_is_not_there(caller):
    assert caller.public("/v5/market/nothing")["retCode"] == 404
    assert caller.reply.status == 404
    assert caller.get("/v5/order/create")["retCode"] == 404


# -- who asks ----------------------------------------------------------------------------------


def asked(caller, **changed):
    query = "accountType=UNIFIED"
    headers = caller.signed(query.encode(), **changed)
    answer = caller.ask("GET", "/v5/account/wallet-balance", query=query, headers=headers)
    return answer["retCode"]


def test_keys_signatures_clocks_and_permissions(caller):
    now_ms = caller.box.clock.now_ns() // 10**6
    assert asked(caller) == 0
    assert asked(caller, key="nobody") == 10003
    assert asked(caller, signature="0" * 64) == 10004
    assert asked(caller, signature="ü") == 10004
    assert asked(caller, stamp=now_ms - 6000) == 10002
    assert asked(caller, stamp=now_ms - 6000, window=7000) == 0
    assert asked(caller, stamp=now_ms + 2000) == 10002
    assert asked(caller, stamp="x") == 10001
    caller.account.permissions.discard("trade")
    assert asked(caller) == 0
    assert caller.place()["retCode"] == 10005
    assert caller.get("/v5/user/query-api")["result"]["readOnly"] == 1
    caller.account.permissions.clear()
    assert asked(caller) == 10005


def test_the_signature_is_over_the_bytes_that_were_sent(caller):
    body = b'{"category":"linear",   "symbol":"BTCUSDT","settleCoin":"USDT"}'
    headers = caller.signed(body)
    assert caller.ask("POST", "/v5/order/cancel-all", body=body, headers=headers)["retCode"] == 0
    respaced = body.replace(b"   ", b" ")
    answer = caller.ask("POST", "/v5/order/cancel-all", body=respaced, headers=headers)
    assert answer["retCode"] == 10004


def test_lenient_boxes_take_signatures_over_decoded_text():
    for lenient, code in ((False, 10004), (True, 0)):
        caller = client.Caller(*client.built(lenient=lenient))
        headers = caller.signed(b"accountType=UNIFIED&coin=BTC,ETH")
        query = "accountType=UNIFIED&coin=BTC%2CETH"
        answer = caller.ask("GET", "/v5/account/wallet-balance", query=query, headers=headers)
        assert answer["retCode"] == code


def test_nothing_that_is_answered_holds_a_secret(caller):
    secret = caller.account.credentials.secret
    for path in ("/v5/user/query-api", "/v5/account/info"):
        caller.get(path)
        assert secret.encode() not in caller.reply.raw()
    headers = caller.signed(b"", signature="1")
    caller.ask("GET", "/v5/account/info", headers=headers)
    assert secret.encode() not in caller.reply.raw()


# -- orders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_an_orders_life(caller, category):
    answer = caller.place(category, orderLinkId="life")
    assert answer["retCode"] == 0
    assert set(answer["result"]) == {"orderId", "orderLinkId"}
    (row,) = caller.orders(category)
    assert row["orderStatus"] == "New"
    assert row["orderLinkId"] == "life"
    assert row["leavesQty"] == row["qty"] == ("0.010" if category == "linear" else "0.01")
    assert ("tpslMode" in row) is (category == "linear")

    target = {"category": category, "symbol": "BTCUSDT", "orderLinkId": "life"}
    assert caller.post("/v5/order/amend", **target, qty="0.02")["retCode"] == 0
    assert caller.orders(category)[0]["qty"] == ("0.020" if category == "linear" else "0.02")
    assert caller.post("/v5/order/amend", **target, qty="0.02")["retCode"] == 10001

    assert caller.post("/v5/order/cancel", **target)["retCode"] == 0
    assert caller.orders(category) == []
    again = caller.post("/v5/order/cancel", **target)["retCode"]
    assert again == (110001 if category == "linear" else 170142)
    history = caller.get("/v5/order/history", category=category, symbol="BTCUSDT")
    (row,) = history["result"]["list"]
    assert row["orderStatus"] == "Cancelled"
    assert row["cancelType"] == "CancelByUser"
    assert row["leavesQty"] == "0"
    assert caller.orders(category, orderLinkId="life")[0]["orderStatus"] == "Cancelled"
    assert caller.orders(category, openOnly="1")[0]["orderLinkId"] == "life"


def test_the_order_id_wins_over_the_link_id(caller):
    first = caller.place(orderLinkId="a")["result"]["orderId"]
    caller.place(orderLinkId="b")
    target = {"category": "linear", "symbol": "BTCUSDT", "orderId": first, "orderLinkId": "b"}
    assert caller.post("/v5/order/cancel", **target)["result"]["orderLinkId"] == "a"


@pytest.mark.parametrize(("category", "code"), [("linear", 110072), ("spot", 170141)])
def test_a_link_id_is_used_once_and_for_ever(caller, category, code):
    assert caller.place(category, orderLinkId="once")["retCode"] == 0
    assert caller.place(category, orderLinkId="once")["retCode"] == code
    caller.post("/v5/order/cancel", category=category, symbol="BTCUSDT", orderLinkId="once")
    assert caller.place(category, orderLinkId="once")["retCode"] == code


def test_a_post_only_order_that_would_take_is_acknowledged_and_dies(caller):
    place = caller.dialect.desk.places["linear", "BTCUSDT"]
    price = place.listed.price(place.floor.best(-1)[0] + 500)
    answer = caller.place(price=price, orderLinkId="taker")
    assert answer["retCode"] == 0
    row = caller.orders(orderLinkId="taker")[0]
    assert row["orderStatus"] == "Cancelled"
    assert row["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    other = client.Caller(*client.built(rejected_status="Rejected"))
    assert other.place(price=price, orderLinkId="taker")["retCode"] == 0
    assert other.orders(orderLinkId="taker")[0]["orderStatus"] == "Rejected"
    assert caller.place("spot", price=price, orderLinkId="s")["retCode"] == 0
    caller.dialect.desk.post_only_acked["spot"] = False
    assert caller.place("spot", price=price, orderLinkId="s2")["retCode"] == 170218


def test_an_order_that_takes_is_filled_and_paid_for(caller):
    answer = caller.place(orderType="Market", timeInForce="IOC", price="", orderLinkId="m")
    assert answer["retCode"] == 0
    row = caller.orders(orderLinkId="m")[0]
    assert row["orderStatus"] == "Filled"
    executions = caller.get("/v5/execution/list", category="linear", symbol="BTCUSDT")
    fills = executions["result"]["list"]
    assert sum(float(fill["execQty"]) for fill in fills) == pytest.approx(0.01)
    fee = sum(float(fill["execFee"]) for fill in fills)
    assert fee == pytest.approx(float(row["cumExecValue"]) * 0.00055, abs=1e-6)
    assert row["cumFeeDetail"] == {"USDT": row["cumExecFee"]}
    (held,) = caller.get("/v5/position/list", category="linear", symbol="BTCUSDT")["result"]["list"]
    assert (held["side"], held["size"]) == ("Buy", "0.010")
    rows = caller.get("/v5/position/list", category="linear", settleCoin="USDT")["result"]["list"]
    assert [row["symbol"] for row in rows] == ["BTCUSDT"]
    log = caller.get("/v5/account/transaction-log", category="linear")["result"]["list"]
    assert {row["type"] for row in log} == {"TRADE"}
    wallet = caller.get("/v5/account/wallet-balance", accountType="UNIFIED")["result"]["list"][0]
    usdt = next(row for row in wallet["coin"] if row["coin"] == "USDT")
    assert log[0]["cashBalance"] == usdt["walletBalance"]


def test_a_spot_market_buy_is_in_quote_coin(caller):
    answer = caller.place("spot", orderType="Market", price="", qty="100", orderLinkId="q")
    assert answer["retCode"] == 0
    row = caller.orders("spot", orderLinkId="q")[0]
    assert row["orderStatus"] == "Filled"
    assert 95 < float(row["cumExecValue"]) <= 100
    assert list(row["cumFeeDetail"]) == ["BTC"]
    answer = caller.place(
        "spot", orderType="Market", price="", qty="0.001", marketUnit="baseCoin", orderLinkId="b"
    )
    assert caller.orders("spot", orderLinkId="b")[0]["cumExecQty"] == "0.001"


@pytest.mark.parametrize(
    ("category", "changed", "code"),
    [
        ("linear", {"price": "1000.05"}, 10001),
        ("spot", {"price": "1000.05"}, 170134),
        ("linear", {"qty": "0.0001"}, 10001),
        ("spot", {"qty": "0.0000001"}, 170137),
        ("linear", {"qty": "0"}, 10001),
        ("linear", {"qty": "99999999"}, 10001),
        ("spot", {"qty": "99999999"}, 170135),
        ("linear", {"qty": "0.001", "price": "1000"}, 110094),
        ("spot", {"qty": "0.001", "price": "1000"}, 170140),
        ("linear", {"qty": "1000"}, 110007),
        ("spot", {"qty": "100"}, 170131),
        ("linear", {"reduceOnly": True}, 110017),
        ("linear", {"price": "99999999"}, 110003),
        ("linear", {"side": "buy"}, 10001),
        ("linear", {"orderType": "Stop"}, 10001),
        ("linear", {"timeInForce": "GTX"}, 10001),
        ("linear", {"orderLinkId": "ä"}, 10001),
        ("linear", {"orderLinkId": "x" * 37}, 10001),
        ("linear", {"positionIdx": 1}, 10001),
        ("linear", {"qty": 1}, 10001),
        ("linear", {"symbol": "XUSDT"}, 10001),
        ("spot", {"symbol": "XUSDT"}, 170121),
        ("inverse", {}, 10001),
        ("", {}, 10001),
    ],
)
def test_refused_orders(caller, category, changed, code):
    assert caller.place(category, **changed)["retCode"] == code
    assert caller.account.open == {}


def test_unknown_orders(caller):
    target = {"category": "linear", "symbol": "BTCUSDT"}
    assert caller.post("/v5/order/cancel", **target, orderId="1")["retCode"] == 110001
    assert caller.post("/v5/order/amend", **target, orderLinkId="x", qty="1")["retCode"] == 110001
    assert caller.post("/v5/order/cancel", **target)["retCode"] == 10001
    target["category"] = "spot"
    assert caller.post("/v5/order/cancel", **target, orderId="1")["retCode"] == 170213


def test_an_account_sees_and_touches_its_own_orders_only(pair):
    mine, other = pair
    ident = mine.place()["result"]["orderId"]
    assert other.orders() == []
    target = {"category": "linear", "symbol": "BTCUSDT", "orderId": ident}
    assert other.post("/v5/order/cancel", **target)["retCode"] == 110001
    assert len(mine.orders()) == 1


def test_cancel_all_by_symbol_and_coin(caller):
    for _ in range(3):
        caller.place()
    assert caller.post("/v5/order/cancel-all", category="linear")["retCode"] == 10001
    answer = caller.post("/v5/order/cancel-all", category="linear", settleCoin="USDT")
    assert len(answer["result"]["list"]) == 3
    assert answer["result"]["success"] == "1"
    assert caller.orders() == []
    answer = caller.post("/v5/order/cancel-all", category="linear", symbol="BTCUSDT")
    assert answer["result"]["list"] == []


# -- batches -----------------------------------------------------------------------------------


def test_batches_with_one_bad_item(caller):
    good = [caller.order() for _ in range(3)]
    for item in good:
        del item["category"]
    good[1]["qty"] = "0.0001"
    answer = caller.post("/v5/order/create-batch", category="linear", request=good)
    assert answer["retCode"] == 0
    rows, verdicts = answer["result"]["list"], answer["retExtInfo"]["list"]
    assert [verdict["code"] for verdict in verdicts] == [0, 10001, 0]
    assert [bool(row["orderId"]) for row in rows] == [True, False, True]
    assert rows[1]["orderLinkId"] == good[1]["orderLinkId"]
    assert rows[1]["createAt"] == ""
    assert rows[0]["createAt"] != ""

    changes = [
        {"symbol": "BTCUSDT", "orderId": rows[0]["orderId"], "qty": "0.03"},
        {"symbol": "BTCUSDT", "orderLinkId": "none", "qty": "0.03"},
    ]
    answer = caller.post("/v5/order/amend-batch", category="linear", request=changes)
    assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0, 110001]

    names = [{"symbol": "BTCUSDT", "orderId": row["orderId"] or "x"} for row in rows]
    answer = caller.post("/v5/order/cancel-batch", category="linear", request=names)
    assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0, 110001, 0]
    assert caller.orders() == []


@pytest.mark.parametrize(("category", "most"), [("linear", 20), ("spot", 10)])
def test_batches_have_a_largest_size(caller, category, most):
    items = [caller.order(category) for _ in range(most + 1)]
    answer = caller.post("/v5/order/create-batch", category=category, request=items)
    assert answer["retCode"] == 10001
    answer = caller.post("/v5/order/create-batch", category=category, request=items[:most])
    assert {one["code"] for one in answer["retExtInfo"]["list"]} == {0}


@pytest.mark.parametrize("items", [None, [], {}, "x", [1], [None], [[]]])
def test_batches_that_are_none(caller, items):
    answer = caller.post("/v5/order/create-batch", category="linear", request=items)
    code = answer["retCode"] or answer["retExtInfo"]["list"][0]["code"]
    assert code == 10001


def test_a_batch_over_the_budget_fails_item_by_item():
    box, dialect = client.built(limits_scale=1.0)
    caller = client.Caller(box, dialect)
    items = [caller.order() for _ in range(15)]
    answer = caller.post("/v5/order/create-batch", category="linear", request=items)
    codes = [one["code"] for one in answer["retExtInfo"]["list"]]
    assert codes == [0] * 10 + [10006] * 5
    assert answer["retCode"] == 0
    assert caller.reply.headers["X-Bapi-Limit-Status"] == "0"
    assert caller.place()["retCode"] == 0  # single calls have a pool of their own


# -- limits ------------------------------------------------------------------------------------


def test_limits_are_told_and_kept():
    box, dialect = client.built(limits_scale=1.0)
    caller = client.Caller(box, dialect)
    most = RATES["create:linear"]
    for left in reversed(range(most)):
        assert caller.place()["retCode"] == 0
        assert caller.reply.headers["X-Bapi-Limit"] == str(most)
        assert caller.reply.headers["X-Bapi-Limit-Status"] == str(left)
    assert caller.place()["retCode"] == 10006
    reset_ms = int(caller.reply.headers["X-Bapi-Limit-Reset-Timestamp"])
    assert 0 < reset_ms - box.clock.now_ns() // 10**6 <= 1000
    assert caller.post("/v5/order/cancel-all", category="linear", symbol="BTCUSDT")["retCode"] == 0
    assert client.Caller(box, dialect, 1).place()["retCode"] == 0


def test_an_address_that_asks_too_often_is_shut_out():
    box, dialect = client.built(limits_scale=1.0)
    caller = client.Caller(box, dialect)
    for _ in range(600):
        caller.public("/v5/market/time")
    assert caller.public("/v5/market/time")["retCode"] == 403
    assert caller.reply.status == 403
    assert caller.ask("GET", "/v5/market/time", ip="127.0.0.2")["retCode"] == 0


# -- account -----------------------------------------------------------------------------------


def test_what_clients_ask_before_they_trade(caller):
    assert caller.get("/v5/user/query-api")["result"]["uta"] == 1
    assert caller.get("/v5/account/info")["result"]["unifiedMarginStatus"] == 5
    coins = caller.get("/v5/asset/coin/query-info")["result"]["rows"]
    assert {"BTC", "ETH", "USDT"} <= {row["coin"] for row in coins}
    rates = caller.get("/v5/account/fee-rate", category="linear", symbol="BTCUSDT")["result"]
    assert rates["list"][0]["makerFeeRate"] == "0.0002"
    assert rates["list"][0]["takerFeeRate"] == "0.00055"
    inverse = caller.get("/v5/position/list", category="inverse")
    assert inverse["result"]["list"] == []


def test_leverage_and_modes(caller):
    path, target = "/v5/position/set-leverage", {"category": "linear", "symbol": "BTCUSDT"}
    assert caller.post(path, **target, buyLeverage="7", sellLeverage="7")["retCode"] == 0
    assert caller.post(path, **target, buyLeverage="7", sellLeverage="7")["retCode"] == 110043
    assert caller.post(path, **target, buyLeverage="7", sellLeverage="8")["retCode"] == 10001
    assert caller.post(path, **target, buyLeverage="500", sellLeverage="500")["retCode"] == 110013
    held = caller.get("/v5/position/list", **target)["result"]["list"][0]
    assert held["leverage"] == "7"

    path = "/v5/position/switch-mode"
    assert caller.post(path, **target, mode=0)["retCode"] == 110025
    caller.place(orderLinkId="open")
    assert caller.post(path, **target, mode=3)["retCode"] == 110028
    caller.post("/v5/order/cancel", **target, orderLinkId="open")
    assert caller.post(path, **target, mode=3)["retCode"] == 0
    assert caller.place()["retCode"] == 10001
    assert caller.post(path, category="linear", coin="USDT", mode=0)["retCode"] == 0

    path = "/v5/account/set-margin-mode"
    assert caller.post(path, setMarginMode="REGULAR_MARGIN")["retCode"] == 0
    assert caller.post(path, setMarginMode="ISOLATED_MARGIN")["retCode"] == 3400045
    assert caller.post(path, setMarginMode="x")["retCode"] == 10001


def test_pre_check_places_nothing(caller):
    answer = caller.post("/v5/order/pre-check", **caller.order(qty="1"))
    assert answer["retCode"] == 0
    assert answer["result"]["postImrE4"] > answer["result"]["preImrE4"] == 0
    assert caller.orders() == []
    assert caller.post("/v5/order/pre-check", **caller.order(qty="1400"))["retCode"] == 110007


def test_dead_mans_switch_settings(caller):
    path = "/v5/order/disconnected-cancel-all"
    assert caller.post(path, product="DERIVATIVES", timeWindow=2)["retCode"] == 10001
    assert caller.post(path, product="MOON", timeWindow=10)["retCode"] == 10001
    answer = caller.post(path, product="DERIVATIVES", timeWindow=12)
    assert (answer["retCode"], answer["retMsg"]) == (0, "success")
    infos = caller.get("/v5/account/query-dcp-info")["result"]["dcpInfos"]
    row = next(info for info in infos if info["product"] == "DERIVATIVES")
    assert row == {"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": "12"}
    assert caller.get("/v5/account/info")["result"]["dcpStatus"] == "ON"


def test_lists_come_in_pages(caller):
    for _ in range(5):
        caller.place()
    seen, cursor = [], ""
    for _ in range(4):
        answer = caller.get(
            "/v5/order/realtime", category="linear", symbol="BTCUSDT", limit="2", cursor=cursor
        )
        seen += [row["orderLinkId"] for row in answer["result"]["list"]]
        cursor = answer["result"]["nextPageCursor"].replace("%3D", "=")
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 5
    answer = caller.get("/v5/order/realtime", category="linear", symbol="BTCUSDT", cursor="x")
    assert answer["retCode"] == 10001


def test_lists_of_derivatives_want_a_symbol_or_a_coin(caller):
    assert caller.get("/v5/order/realtime", category="linear")["retCode"] == 10001
    assert caller.get("/v5/order/realtime", category="linear", settleCoin="USDT")["retCode"] == 0
    assert caller.get("/v5/order/realtime", category="spot")["retCode"] == 0
    assert caller.get("/v5/position/list", category="linear")["retCode"] == 10001


def test_scripted_failures_speak_bybit(caller):
    from mmcore.box.dialects import Failure, Request

    request = Request("POST", "/v5/order/create")
    reply = caller.dialect.failure(request, Failure(503, unknown=True))
    assert (reply.status, reply.body["retCode"]) == (200, 10000)
    reply = caller.dialect.failure(request, Failure(429, retry_s=3))
    assert (reply.status, reply.body["retCode"], reply.headers["Retry-After"]) == (429, 10429, "3")
    assert caller.dialect.route(request) == "order"
    assert asyncio.run(caller.dialect.http(Request("GET", "/v5/market/time"))).status == 200
