"""Binance spot in the box, request by request."""

import pytest
from binance_rest import Pool

POOL = Pool()

ORDER = "/api/v3/order"
VENUE = "binance-spot"


@pytest.fixture
def client():
    return POOL.draw()


def failed(name):
    return (-1013, f"Filter failure: {name}")


def test_the_listing_has_every_filter(client):
    info = client.public("/api/v3/exchangeInfo")
    (btc,) = [each for each in info["symbols"] if each["symbol"] == "BTCUSDT"]
    kinds = {each["filterType"]: each for each in btc["filters"]}
    assert kinds["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert kinds["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert kinds["NOTIONAL"]["minNotional"] == "5.00000000"
    assert {"PERCENT_PRICE_BY_SIDE", "MAX_NUM_ORDERS", "MAX_NUM_ORDER_AMENDS"} <= kinds.keys()
    assert btc["permissionSets"] == [["SPOT"]] and "LIMIT_MAKER" in btc["orderTypes"]
    one = client.public("/api/v3/exchangeInfo", symbol="ETHUSDT")
    assert [each["symbol"] for each in one["symbols"]] == ["ETHUSDT"]
    both = client.public("/api/v3/exchangeInfo", symbols='["BTCUSDT","ETHUSDT"]')
    assert len(both["symbols"]) == 2
    assert client.public("/api/v3/exchangeInfo", symbols='["X"]').error == (400, -1121)


def test_market_data(client):
    book = client.public("/api/v3/depth", symbol="BTCUSDT", limit=5)
    assert book.keys() == {"lastUpdateId", "bids", "asks"} and len(book["bids"]) == 5
    assert all(len(text.partition(".")[2]) == 8 for level in book["asks"] for text in level)
    assert client.public("/api/v3/ticker/bookTicker", symbol="BTCUSDT")["symbol"] == "BTCUSDT"
    assert len(client.public("/api/v3/ticker/price").body) == 2
    assert client.public("/api/v3/trades", symbol="BTCUSDT", limit=3).status == 200
    assert client.public("/api/v3/aggTrades", symbol="BTCUSDT").status == 200
    assert client.public("/api/v3/avgPrice", symbol="BTCUSDT")["mins"] == 5


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"type": "STOP_LOSS"}, -1116, "Invalid orderType."),
        ({"type": "LIMIT"}, -1102, None),
        ({"type": "LIMIT", "timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
        ({"timeInForce": "GTC"}, -1106, None),
        ({"price": "61000.001"}, *failed("PRICE_FILTER")),
        ({"price": "0"}, *failed("PRICE_FILTER")),
        ({"price": "1.123456789"}, -1111, "Parameter 'price' has too much precision."),
        ({"price": "90000"}, *failed("PERCENT_PRICE_BY_SIDE")),
        ({"quantity": "0.000015"}, *failed("LOT_SIZE")),
        ({"quantity": "99999999"}, *failed("LOT_SIZE")),
        ({"quantity": "0.00001"}, *failed("NOTIONAL")),
        ({"quantity": "1000"}, -2010, "Account has insufficient balance for requested action."),
        ({"newClientOrderId": "a b"}, -1100, None),
        ({"newOrderRespType": "SHORT"}, -1136, None),
    ],
)
def test_what_is_refused_and_in_which_words(client, changes, code, text):
    answer = client.place_spot(**changes)
    assert answer.error == (400, code), answer.body
    if text is not None:
        assert answer["msg"] == text


def test_a_post_only_order_that_would_take(client):
    answer = client.place_spot(price=client.price(500, venue=VENUE))
    assert answer.error == (400, -2010)
    assert answer["msg"] == "Order would immediately match and take."


def test_a_duplicate(client):
    client.place_spot(newClientOrderId="one")
    answer = client.place_spot(newClientOrderId="one")
    assert (answer["code"], answer["msg"]) == (-2010, "Duplicate order sent.")


def test_the_forms_of_an_answer(client):
    ack = client.place_spot()
    assert ack.keys() == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    result = client.place_spot(newOrderRespType="RESULT")
    assert (result["status"], result["origQty"]) == ("NEW", "0.00100000")
    full = client.place_spot(type="MARKET", price=None)
    assert full["status"] == "FILLED" and full["fills"][0]["commissionAsset"] == "BTC"
    money = client.place_spot(type="MARKET", price=None, quantity=None, quoteOrderQty="100")
    assert 90 < float(money["cummulativeQuoteQty"]) <= 100
    assert float(money["origQuoteOrderQty"]) == 100


def test_an_order_locks_its_money_until_it_is_cancelled(client):
    def locked():
        account = client.signed("GET", "/api/v3/account")
        return {each["asset"]: each["locked"] for each in account["balances"]}["USDT"]

    order = client.place_spot()
    assert float(locked()) == pytest.approx(0.001 * float(client.price(-10_000, venue=VENUE)))
    cancel = client.signed(
        "DELETE", ORDER, symbol="BTCUSDT", orderId=order["orderId"], newClientOrderId="gone"
    )
    assert (cancel["clientOrderId"], cancel["origClientOrderId"]) == (
        "gone", order["clientOrderId"],
    )  # fmt: skip
    assert locked() == "0.00000000"
    found = client.signed("GET", ORDER, symbol="BTCUSDT", orderId=order["orderId"])
    assert (found["status"], found["type"]) == ("CANCELED", "LIMIT_MAKER")


def test_a_fee_is_taken_in_the_coin_that_was_bought(client):
    full = client.place_spot(type="MARKET", price=None, quantity="0.01")
    fees = sum(float(each["commission"]) for each in full["fills"])
    assert fees == pytest.approx(0.01 * 0.001, abs=2e-8 * len(full["fills"]))
    account = client.signed("GET", "/api/v3/account")
    coins = {each["asset"]: each["free"] for each in account["balances"]}
    assert float(coins["BTC"]) == pytest.approx(10.01 - fees, abs=1e-9)
    trades = client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT").body
    assert [each["id"] for each in trades] == [each["tradeId"] for each in full["fills"]]


def test_cancel_all_says_which_and_that_there_was_nothing(client):
    path = "/api/v3/openOrders"
    assert client.signed("DELETE", path, symbol="BTCUSDT").error == (400, -2011)
    ids = [client.place_spot()["orderId"] for _ in range(2)]
    gone = client.signed("DELETE", path, symbol="BTCUSDT").body
    assert [(each["orderId"], each["status"]) for each in gone] == [
        (each, "CANCELED") for each in ids
    ]


def replace(client, order_id, mode="STOP_ON_FAILURE", **changes):
    values = client.spot_order(cancelReplaceMode=mode, cancelOrderId=order_id, **changes)
    return client.signed("POST", "/api/v3/order/cancelReplace", in_body=True, **values)


def test_cancel_and_replace(client):
    old = client.place_spot()["orderId"]
    done = replace(client, old)
    assert (done["cancelResult"], done["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    stopped = replace(client, old)
    assert stopped.error == (400, -2022)
    assert stopped["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    assert stopped["data"]["cancelResponse"]["code"] == -2011
    partly = replace(client, old, mode="ALLOW_FAILURE")
    assert partly.error == (409, -2021)
    assert partly["data"]["newOrderResult"] == "SUCCESS"
    new = done["newOrderResponse"]["orderId"]
    taking = replace(client, new, price=client.price(500, venue=VENUE))
    assert taking.error == (409, -2021) and taking["data"]["cancelResult"] == "SUCCESS"
    both = replace(client, new, mode="ALLOW_FAILURE", price=client.price(500, venue=VENUE))
    assert both.error == (400, -2022)


def amend(client, order_id, qty, **more):
    return client.signed(
        "PUT", "/api/v3/order/amend/keepPriority", in_body=True,
        symbol="BTCUSDT", orderId=order_id, newQty=qty, **more,
    )  # fmt: skip


def test_an_order_is_made_smaller_and_may_be_renamed(client):
    order = client.place_spot(newClientOrderId="old", quantity="0.00300")
    less = amend(client, order["orderId"], "0.00200", newClientOrderId="old")
    assert (less["amendedOrder"]["qty"], less["amendedOrder"]["clientOrderId"]) == (
        "0.00200000", "old",
    )  # fmt: skip
    renamed = amend(client, order["orderId"], "0.00100", newClientOrderId="new")
    assert renamed["amendedOrder"]["origClientOrderId"] == "old"
    found = client.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="new")
    assert (found["orderId"], found["origQty"]) == (order["orderId"], "0.00100000")
    assert client.signed("GET", ORDER, symbol="BTCUSDT", origClientOrderId="old").error == (
        400, -2013,
    )  # fmt: skip
    other = client.place_spot()
    for qty, more in (
        ("0.00200", {}),
        ("0.00100", {}),
        ("0.00050", {"newClientOrderId": other["clientOrderId"]}),
    ):
        assert amend(client, order["orderId"], qty, **more).error == (400, -2038)
    assert amend(client, 424242, "0.00100").error == (400, -2038)


def test_orders_count_until_they_fill(client):
    resting = client.place_spot()
    assert resting.headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert resting.headers["X-MBX-ORDER-COUNT-1D"] == "1"
    assert client.place_spot(type="MARKET", price=None).headers["X-MBX-ORDER-COUNT-10S"] == "1"
    counts = client.signed("GET", "/api/v3/rateLimit/order").body
    assert [each["count"] for each in counts] == [1, 1]


def test_a_test_order_changes_nothing(client):
    path = "/api/v3/order/test"
    assert client.signed("POST", path, **client.spot_order()).body == {}
    rates = client.signed("POST", path, **client.spot_order(computeCommissionRates="true"))
    assert rates["standardCommission"]["maker"] == "0.00100000"
    assert client.signed("GET", "/api/v3/openOrders").body == []
    fees = client.signed("GET", "/api/v3/account/commission", symbol="BTCUSDT")
    assert fees["standardCommission"] == rates["standardCommission"]


def test_microseconds_and_fractions_of_a_window(client):
    micros = client.box.clock.now_ns() // 1_000
    text = f"recvWindow=4999.5&timestamp={micros}"
    text += "&signature=" + client.sign(text)
    answer = client.raw("GET", "/api/v3/account", text, headers={"X-MBX-APIKEY": client.key})
    assert answer.status == 200


def test_what_ccxt_asks_of_other_hosts(client):
    assert client.signed("GET", "/sapi/v1/capital/config/getall").body == []
    assert client.signed("GET", "/sapi/v1/margin/allPairs").body == []
    assert client.public("/dapi/v1/exchangeInfo")["symbols"] == []
    may = client.signed("GET", "/sapi/v1/account/apiRestrictions")
    assert may["enableSpotAndMarginTrading"] and not may["enableWithdrawals"]
    client.account.permissions.discard("trade")
    assert not client.signed("GET", "/sapi/v1/account/apiRestrictions")["enableFutures"]
    client.account.permissions.add("trade")
    assert len(client.signed("GET", "/sapi/v1/asset/tradeFee").body) == 2
