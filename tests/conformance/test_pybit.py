"""pybit, unmodified, against the exchange in the box."""

import queue
import time
from urllib.parse import urlsplit

import pytest
from bybit_served import served
from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP, WebSocket, WebSocketTrading

WAIT_S = 5.0


@pytest.fixture(scope="module")
def box():
    with served() as box:
        yield box


def http(box, account=0, **options):
    key, secret = box.accounts[account]
    client = HTTP(api_key=key, api_secret=secret, **options)
    client.endpoint = box.http
    return client


@pytest.fixture
def session(box):
    client = http(box)
    yield client
    for category in ("linear", "spot"):
        client.cancel_all_orders(category=category, symbol="BTCUSDT")
    client.client.close()


def pointed(client_class, box):
    """The socket class, with scheme and host of every address replaced; nothing else."""

    class Pointed(client_class):
        def _connect(self, url):
            path = urlsplit(url.replace("{", "").replace("}", "")).path
            super()._connect(f"{box.ws}{path}")

    return Pointed


@pytest.fixture
def sockets(box):
    opened = []

    def open_socket(client_class, account=None, **options):
        if account is not None:
            key, secret = box.accounts[account]
            options |= {"api_key": key, "api_secret": secret}
        client = pointed(client_class, box)(testnet=False, **options)
        opened.append(client)
        return client

    yield open_socket
    for client in opened:
        client.exit()
        client.wst.join(0.2)  # a daemon; some versions of its library end it late


def order(session, category="linear", **changed):
    book = session.get_orderbook(category=category, symbol="BTCUSDT", limit=1)["result"]
    far = float(book["b"][0][0]) * 0.97
    return {
        "category": category,
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.01",
        "price": f"{far:.1f}",
        "timeInForce": "PostOnly",
        **changed,
    }


def until(received, wanted):
    """The first message that is wanted."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        try:
            message = received.get(timeout=0.2)
        except queue.Empty:
            continue
        if wanted(message):
            return message
    raise AssertionError("never came")


# -- HTTP --------------------------------------------------------------------------------------


def test_markets(session):
    assert session.get_server_time()["retCode"] == 0
    for category in ("linear", "spot"):
        listed = session.get_instruments_info(category=category)["result"]["list"]
        assert {"BTCUSDT", "ETHUSDT"} <= {row["symbol"] for row in listed}
        book = session.get_orderbook(category=category, symbol="BTCUSDT", limit=50)["result"]
        assert len(book["b"]) == len(book["a"]) == 50
        assert session.get_tickers(category=category, symbol="BTCUSDT")["result"]["list"]
        assert (
            "list"
            in session.get_public_trade_history(category=category, symbol="BTCUSDT")["result"]
        )
    assert session.get_funding_rate_history(category="linear", symbol="BTCUSDT")["retCode"] == 0


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_place_edit_cancel(session, category):
    placed = session.place_order(**order(session, category, orderLinkId=f"pybit-{category}"))
    ident = placed["result"]["orderId"]
    target = {"category": category, "symbol": "BTCUSDT", "orderId": ident}
    (row,) = session.get_open_orders(**target)["result"]["list"]
    assert row["orderStatus"] == "New"
    session.amend_order(**target, qty="0.02")
    assert float(session.get_open_orders(**target)["result"]["list"][0]["qty"]) == 0.02
    assert session.cancel_order(**target)["result"]["orderId"] == ident
    rows = session.get_order_history(**target)["result"]["list"]
    assert [row["orderStatus"] for row in rows] == ["Cancelled"]
    with pytest.raises(InvalidRequestError) as caught:
        session.cancel_order(**target)
    assert caught.value.status_code in {110001, 170142}


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_batches_with_one_bad_item(session, category):
    items = [order(session, category, orderLinkId=f"b{category}{n}") for n in range(3)]
    items[1]["qty"] = "0.00000001"
    for item in items:
        del item["category"]
    answer = session.place_batch_order(category=category, request=items)
    codes = [one["code"] for one in answer["retExtInfo"]["list"]]
    assert [bool(code) for code in codes] == [False, True, False]
    names = [
        {"symbol": "BTCUSDT", "orderId": row["orderId"] or "0"} for row in answer["result"]["list"]
    ]
    changed = [{**name, "qty": "0.02"} for name in names]
    answer = session.amend_batch_order(category=category, request=changed)
    assert [bool(one["code"]) for one in answer["retExtInfo"]["list"]] == [False, True, False]
    answer = session.cancel_batch_order(category=category, request=names)
    assert [bool(one["code"]) for one in answer["retExtInfo"]["list"]] == [False, True, False]


def test_fills_positions_and_balances(session):
    before = session.get_positions(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    bought = order(session, orderType="Market", timeInForce="IOC")
    del bought["price"]
    ident = session.place_order(**bought)["result"]["orderId"]
    rows = session.get_executions(category="linear", orderId=ident)["result"]["list"]
    assert sum(float(row["execQty"]) for row in rows) == pytest.approx(0.01)
    after = session.get_positions(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    assert float(after["size"]) - float(before["size"]) == pytest.approx(0.01)
    wallet = session.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]
    assert float(wallet["totalInitialMargin"]) > 0
    log = session.get_transaction_log(category="linear")["result"]["list"]
    assert log[0]["cashBalance"] == next(
        row["walletBalance"] for row in wallet["coin"] if row["coin"] == "USDT"
    )


def test_settings(session):
    assert session.get_account_info()["result"]["unifiedMarginStatus"] == 5
    assert session.get_api_key_information()["result"]["readOnly"] == 0
    assert session.get_fee_rates(category="linear", symbol="BTCUSDT")["result"]["list"]
    with pytest.raises(InvalidRequestError) as caught:
        session.switch_position_mode(category="linear", symbol="BTCUSDT", mode=0)
    assert caught.value.status_code == 110025
    session.set_leverage(category="linear", symbol="ETHUSDT", buyLeverage="9", sellLeverage="9")
    with pytest.raises(InvalidRequestError) as caught:
        session.set_leverage(category="linear", symbol="ETHUSDT", buyLeverage="9", sellLeverage="9")
    assert caught.value.status_code == 110043
    assert session.set_dcp(product="SPOT", timeWindow=40)["retCode"] == 0
    infos = session.query_dcp_info()["result"]["dcpInfos"]
    assert {"product": "SPOT", "dcpStatus": "ON", "timeWindow": "40"} in infos


def test_wrong_keys_and_clocks(box):
    key, _ = box.accounts[0]
    for name, secret, code in ((key, "wrong", 10004), ("nobody", "x", 10003)):
        client = HTTP(api_key=name, api_secret=secret)
        client.endpoint = box.http
        with pytest.raises(InvalidRequestError) as caught:
            client.get_account_info()
        assert caught.value.status_code == code
        assert "wrong" not in str(caught.value)
        client.client.close()
    late = http(box, recv_window=1000, max_retries=1, retry_delay=0.01)
    box.call(lambda: box.box.clock.jump(60_000_000_000))
    try:
        with pytest.raises(FailedRequestError):  # pybit's own retries are used up
            late.get_account_info()
    finally:
        box.call(lambda: box.box.clock.jump(-60_000_000_000))
        late.client.close()


def test_headers_of_limits(box):
    client = http(box, return_response_headers=True)
    _, _, headers = client.get_open_orders(category="spot")
    assert int(headers["X-Bapi-Limit-Status"]) < int(headers["X-Bapi-Limit"])
    assert int(headers["X-Bapi-Limit-Reset-Timestamp"]) > 0
    client.client.close()


@pytest.mark.slow
def test_a_limit_is_waited_for():
    """pybit sleeps until the stamp that it is told, and gets through."""
    with served(limits_scale=1.0) as box:
        client = http(box)
        began = time.monotonic()
        for _ in range(7):  # five a second
            client.get_fee_rates(category="linear")
        assert 0.5 < time.monotonic() - began < 4.0
        client.client.close()


# -- streams -----------------------------------------------------------------------------------


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_public_streams(sockets, category):
    received = queue.Queue()
    ws = sockets(WebSocket, channel_type=category)
    ws.orderbook_stream(50, "BTCUSDT", received.put)
    book = until(received, lambda got: got["type"] == "snapshot")
    for _ in range(10):  # pybit applies the deltas itself, and would raise at an unknown level
        book = until(received, lambda got: True)
    assert float(book["data"]["b"][0][0]) > 0
    assert book["data"]["u"] > 0
    tickers, prints = queue.Queue(), queue.Queue()
    ws.ticker_stream("BTCUSDT", tickers.put)
    ws.trade_stream("BTCUSDT", prints.put)
    for _ in range(3):
        assert until(tickers, lambda got: True)["data"]["symbol"] == "BTCUSDT"
    assert until(prints, lambda got: True)["data"][0]["s"] == "BTCUSDT"
    assert ws.is_connected()


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_private_streams(session, sockets, category):
    received = queue.Queue()
    ws = sockets(WebSocket, 0, channel_type="private", private_auth_expire=5)
    ws.order_stream(received.put)
    ws.execution_stream(received.put)
    ws.position_stream(received.put)
    ws.wallet_stream(received.put)
    ws.fast_execution_stream(received.put)
    time.sleep(0.2)
    placed = session.place_order(**order(session, category, orderLinkId=f"stream-{category}"))
    ident = placed["result"]["orderId"]

    def of(status):
        return lambda got: (
            got["topic"] == "order"
            and (got["data"][0]["orderId"] == ident and got["data"][0]["orderStatus"] == status)
        )

    until(received, of("New"))
    if category == "linear":
        until(received, lambda got: got["topic"] == "position")
    until(received, lambda got: got["topic"] == "wallet")
    session.cancel_order(category=category, symbol="BTCUSDT", orderId=ident)
    until(received, of("Cancelled"))
    taking = order(session, category, orderType="Market", timeInForce="IOC", marketUnit="baseCoin")
    del taking["price"]
    ident = session.place_order(**taking)["result"]["orderId"]
    fill = until(received, lambda got: got["topic"] == "execution")
    assert fill["data"][0]["orderId"] == ident
    assert until(received, lambda got: got["topic"] == "execution.fast")
    until(received, of("Filled"))


def test_categorised_and_switch_topics(session, sockets):
    received = queue.Queue()
    ws = sockets(WebSocket, 0, channel_type="private", private_auth_expire=5)
    ws.subscribe("order.{symbol}", received.put, "linear")
    ws.subscribe("dcp.{symbol}", received.put, "future")
    time.sleep(0.2)
    session.place_order(**order(session, "spot"))
    session.place_order(**order(session, "linear", orderLinkId="only-this"))
    got = until(received, lambda got: True)
    assert got["topic"] == "order.linear"
    assert got["data"][0]["orderLinkId"] == "only-this"


def test_a_post_only_order_that_takes_dies_on_the_stream(session, sockets):
    received = queue.Queue()
    ws = sockets(WebSocket, 0, channel_type="private", private_auth_expire=5)
    ws.order_stream(received.put)
    time.sleep(0.2)
    price = session.get_tickers(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    high = f"{float(price['ask1Price']) * 1.001:.1f}"
    ident = session.place_order(**order(session, price=high))["result"]["orderId"]
    row = until(received, lambda got: got["data"][0]["orderId"] == ident)["data"][0]
    assert row["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"


# -- order entry over a socket -----------------------------------------------------------------


def test_trading_over_a_socket(session, sockets):
    ws = sockets(WebSocketTrading, 0, private_auth_expire=5)
    good, refused = queue.Queue(), queue.Queue()
    asked = order(session, orderLinkId="wst-1")
    ws.place_order(good.put, refused.put, **asked)
    answer = until(good, lambda got: True)
    assert answer["data"]["orderLinkId"] == "wst-1"
    target = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "wst-1"}
    ws.amend_order(good.put, refused.put, **target, qty="0.02")
    assert until(good, lambda got: True)["op"] == "order.amend"
    ws.cancel_order(good.put, refused.put, **target)
    assert until(good, lambda got: True)["op"] == "order.cancel"
    ws.cancel_order(good.put, refused.put, **target)
    assert until(refused, lambda got: True)["retCode"] == 110001
    ws.place_order(good.put, refused.put, **asked)
    assert until(refused, lambda got: True)["retCode"] == 110072


def test_batches_over_a_socket(session, sockets):
    ws = sockets(WebSocketTrading, 0, private_auth_expire=5)
    good = queue.Queue()
    items = [order(session, orderLinkId=f"wsb-{n}") for n in range(3)]
    items[2]["price"] = "1.00001"
    ws.place_batch_order(good.put, category="linear", request=items)
    answer = until(good, lambda got: True)
    assert [bool(one["code"]) for one in answer["retExtInfo"]["list"]] == [False, False, True]
    names = [{"symbol": "BTCUSDT", "orderLinkId": f"wsb-{n}"} for n in range(3)]
    ws.amend_batch_order(
        good.put, category="linear", request=[{**name, "qty": "0.02"} for name in names]
    )
    answer = until(good, lambda got: True)
    assert [bool(one["code"]) for one in answer["retExtInfo"]["list"]] == [False, False, True]
    ws.cancel_batch_order(good.put, category="linear", request=names)
    answer = until(good, lambda got: True)
    assert [bool(one["code"]) for one in answer["retExtInfo"]["list"]] == [False, False, True]
