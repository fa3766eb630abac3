"""Answers and events have the names and types of the published samples beside the repository."""

import orjson
import pytest
from binance_rest import Client, cover

from mmcore.box.binance_user import Outlet

# Names that samples show for order types, or for account kinds, which the box does not have.
NOT_HERE = {"activatePrice", "priceRate", "AP", "cr", "code", "msg", "notionalCoef", "modifyId",
            "pair", "baseQty"}  # fmt: skip
V1 = "/fapi/v1/"


@pytest.fixture(scope="module")
def client():
    client = Client.fresh()
    client.events = []
    headers = {"X-MBX-APIKEY": client.key}
    client.listen_key = client.raw("POST", V1 + "listenKey", headers=headers)
    held = client.dialect.keys.get(client.listen_key["listenKey"])
    held.outlets.add(Outlet(Wire(client.events), lambda event: event))
    spot = Outlet(Wire(client.events), lambda event: {"subscriptionId": 0, "event": event})
    client.dialect.spot_events.outlets[client.account] = {spot}
    cover(client, client.peer(), quantity="0.100")
    client.place_spot()
    client.box.exchange.transfer(client.account, "spot", "BTC", 10**8, client.box.clock.engine_ns())
    return client


class Wire:
    def __init__(self, events):
        self.events = events

    def send(self, event, stream):
        self.events.append(event)


def order(client):
    return client.place()


def changed(client):
    held = client.place()
    return client.signed(
        "PUT", V1 + "order", symbol="BTCUSDT", side="BUY", orderId=held["orderId"],
        quantity="0.020", price=held["price"],
    )  # fmt: skip


def cancelled(client):
    return client.signed(
        "DELETE", V1 + "order", symbol="BTCUSDT", orderId=client.place()["orderId"]
    )


def get(path, **params):
    return lambda client: client.signed("GET", path, **params)


def post(path, **params):
    return lambda client: client.signed("POST", path, **params)


BTC = {"symbol": "BTCUSDT"}
ANSWERS = {
    "account_information_v3": get("/fapi/v3/account"),
    "account_trade_list": get(V1 + "userTrades", **BTC),
    "auto_cancel_all_open_orders": post(V1 + "countdownCancelAll", **BTC, countdownTime=10**5),
    "cancel_all_open_orders": lambda c: c.signed("DELETE", V1 + "allOpenOrders", symbol="ETHUSDT"),
    "cancel_order": cancelled,
    "change_initial_leverage": post(V1 + "leverage", **BTC, leverage=21),
    "current_all_open_orders": lambda c: (c.place(), get(V1 + "openOrders")(c))[1],
    "exchange_information": get(V1 + "exchangeInfo"),
    "futures_account_balance_v3": get("/fapi/v3/balance"),
    "get_current_position_mode": get(V1 + "positionSide/dual"),
    "get_funding_rate_info": get(V1 + "fundingInfo"),
    "get_income_history": get(V1 + "income"),
    "mark_price": get(V1 + "premiumIndex", **BTC),
    "modify_order": changed,
    "new_order": order,
    "notional_and_leverage_brackets": get(V1 + "leverageBracket"),
    "order_book": get(V1 + "depth", **BTC),
    "place_multiple_orders": lambda c: c.signed(
        "POST", V1 + "batchOrders", batchOrders=[c.order()]
    ),
    "position_information_v3": get("/fapi/v3/positionRisk"),
    "query_user_rate_limit": get(V1 + "rateLimit/order"),
    "start_user_data_stream": lambda c: c.listen_key,
    "symbol_order_book_ticker": get(V1 + "ticker/bookTicker", **BTC),
    "user_commission_rate": get(V1 + "commissionRate", **BTC),
}
EVENTS = {
    "binance_usdm": ("ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE"),
    "binance_spot": ("executionReport", "outboundAccountPosition", "balanceUpdate"),
}


def compare(sample, ours, where):
    """Every name of the sample, with a value of its type; lists by their first items."""
    if isinstance(sample, dict):
        assert isinstance(ours, dict), where
        for name in sample.keys() - NOT_HERE:
            assert name in ours, f"{where}: no {name}"
            compare(sample[name], ours[name], f"{where}.{name}")
    elif isinstance(sample, list):
        assert isinstance(ours, list), where
        if sample and ours and sample[0] != "" and "filterType" not in str(sample[0]):
            compare(sample[0], ours[0], f"{where}[0]")
    elif sample is not None and ours is not None:
        assert type(sample) is type(ours), f"{where}: {sample!r} and {ours!r}"


def sample_of(shared_data, name):
    return orjson.loads((shared_data / "wire" / f"{name}.json").read_bytes())


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_has_the_shape_of_its_sample(client, shared_data, name):
    answer = ANSWERS[name](client)
    assert answer.status == 200
    compare(sample_of(shared_data, f"binance_usdm/rest_{name}"), answer.body, name)


@pytest.mark.parametrize(
    ("product", "name"), [(product, name) for product, names in EVENTS.items() for name in names]
)
def test_an_event_has_the_shape_of_its_sample(client, shared_data, product, name):
    found = [each for each in client.events if each.get("event", each)["e"] == name]
    assert found
    fullest = max(found, key=lambda each: len(str(each)))  # fees stand in fills only
    compare(sample_of(shared_data, f"{product}/ws_{name}"), fullest, name)
