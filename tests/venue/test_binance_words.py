"""What Binance says of own orders, read: every recorded sample, and the shapes that matter."""

import json
import re

import pytest

from mmcore.adapters._binance_faults import refused_answer, refused_item, rule
from mmcore.adapters._binance_words import (
    futures_event,
    open_order,
    order_answer,
    quanta,
    signed_qty,
    spot_event,
    trade_answer,
)
from mmcore.adapters._decode import Terms
from mmcore.adapters.binance import BinanceSpot, BinanceUsdm
from mmcore.events import ASK, BID, Kind, RejectCode
from mmcore.gateway import Action, ClientIds
from mmcore.instrument import Instrument, known
from mmcore.venue import DecodeError

JKORF = "fixtures/binance/jkorf"
IDS = ClientIds("0123456789ab", 7)


def fine(venue: str, symbol: str = "BTCUSDT") -> Terms:
    """Terms of an instrument that the samples' invented prices fit."""
    item = Instrument(
        venue=venue, symbol=symbol, kind=known(venue, "BTCUSDT").kind, tick="0.00000001",
        qty_decimals=8, lot="0.00000001", base="BTC", quote="USDT",
    )  # fmt: skip
    return Terms(item, 0)


def sample(path) -> object:
    """The JSON of a sample: a file of its own, or the last document of a commented transcript."""
    text = path.read_text(encoding="utf-8").replace("|1|", "1")
    if path.suffix == ".json":
        return json.loads(text)
    _, found, rest = text.partition("\n= \n")
    body = rest if found else text.split("\n", 3)[3]
    return json.loads(re.sub(r"\s//[^\n]*", "", body))


def orders_in(answer: object) -> list[dict]:
    """Order objects of an answer, however it wraps them."""
    if isinstance(answer, list):
        return [order for item in answer for order in orders_in(item)]
    for key in ("result", "amendedOrder"):
        if key in answer:
            return orders_in(answer[key])
    return [answer]


FUTURES_ORDERS = [
    f"{JKORF}/Endpoints/UsdFutures/Trading/{name}.txt"
    for name in ("PlaceMultipleOrders", "EditMultipleOrders", "CancelMultipleOrders", "PlaceOrder",
                 "EditOrder", "CancelOrder", "GetOrder", "GetOrders", "GetOpenOrders",
                 "GetOpenOrder")
] + [
    f"{JKORF}/Socket/UsdFutures/Trading/{name}.txt"
    for name in ("PlaceOrder", "EditOrder", "CancelOrder", "GetOrder")
] + [
    f"wire/binance_usdm/rest_{name}.json"
    for name in ("new_order", "modify_order", "cancel_order", "place_multiple_orders",
                 "modify_multiple_orders", "cancel_multiple_orders", "current_all_open_orders")
]  # fmt: skip
SPOT_ORDERS = [
    f"{JKORF}/Endpoints/Spot/Trading/{name}.txt"
    for name in ("PlaceOrder", "AmendOrder", "CancelOrder", "CancelAllOrders", "GetOrder",
                 "GetOrders", "GetOpenOrders")
] + [
    f"{JKORF}/Socket/Spot/Trading/{name}.txt"
    for name in ("PlaceOrder", "AmendOrder", "CancelOrder", "CancelAllOrders", "GetOrder",
                 "GetOpenOrders")
]  # fmt: skip


@pytest.mark.parametrize("name", FUTURES_ORDERS + SPOT_ORDERS)
def test_every_recorded_order_answer_is_read(shared_data, name):
    terms = fine("binance-spot" if "Spot" in name else "binance-usdm")
    read = 0
    for order in orders_in(sample(shared_data / name)):
        fault = refused_item(order, where="batchOrders")
        if fault is not None:
            assert fault.code == order["code"] and fault.code < 0
            continue
        news = order_answer(terms, order)
        assert news.venue_id == str(order["orderId"])
        assert news.client_id == order.get("origClientOrderId", order["clientOrderId"])
        assert news.side == (BID if order["side"] == "BUY" else ASK)
        assert terms.item.to_qty(order["origQty"]) == news.qty
        assert terms.item.to_qty(order["executedQty"]) == news.done
        assert terms.item.to_tick(order["price"]) == news.tick
        assert news.is_open == (order["status"] in {"NEW", "PARTIALLY_FILLED"})
        ended = (Kind.CANCELLED, RejectCode.NONE) if order["status"] == "CANCELED" else None
        assert news.ending == ended
        assert open_order(terms, order, IDS).own is False
        read += 1
    assert read or "multiple" in name


@pytest.mark.parametrize(
    ("name", "venue"),
    [
        ("wire/binance_usdm/rest_account_trade_list.json", "binance-usdm"),
        (f"{JKORF}/Endpoints/UsdFutures/Trading/GetUserTrades.txt", "binance-usdm"),
        (f"{JKORF}/Endpoints/Spot/Trading/GetUserTrades.txt", "binance-spot"),
        (f"{JKORF}/Socket/Spot/Trading/GetUserTrades.txt", "binance-spot"),
    ],
)
def test_every_recorded_list_of_fills_is_read(shared_data, name, venue):
    terms = fine(venue)
    answer = sample(shared_data / name)
    trades = answer if isinstance(answer, list) else answer["result"]
    for trade in trades:
        fill = trade_answer(terms, trade)
        assert (fill.trade_id, fill.venue_id) == (trade["id"], str(trade["orderId"]))
        assert terms.item.to_qty(trade["qty"]) == fill.qty
        assert fill.fee_asset == trade["commissionAsset"]
        assert fill.fee == round(float(trade["commission"]) * 1e8)


def test_recorded_order_events_are_read(shared_data):
    for name in ("wire/binance_usdm/ws_ORDER_TRADE_UPDATE.json",
                 f"{JKORF}/Subscriptions/UsdFutures/OrderUpdate.txt"):  # fmt: skip
        event = sample(shared_data / name)
        news = futures_event(fine("binance-usdm"), event.get("data", event)["o"])
        assert (news.client_id, news.venue_id, news.side) == ("TEST", "8886774", ASK)
        assert (news.qty, news.done, news.is_open, news.fill) == (100_000, 0, True, None)
    for name in ("wire/binance_spot/ws_executionReport.json",
                 f"{JKORF}/Subscriptions/Spot/Account/Order.txt"):  # fmt: skip
        event = sample(shared_data / name)["event"]
        news = spot_event(fine("binance-spot", "ETHBTC"), event)
        assert (news.client_id, news.venue_id) == ("mUvoqJxFIILMdfAW5iGSOW", "4293153")
        assert (news.side, news.tick, news.qty) == (BID, 10_264_410, 100_000_000)
        assert news.is_open and news.ending is None


def test_recorded_account_figures_are_read(shared_data):
    terms = fine("binance-usdm")
    update = sample(shared_data / f"{JKORF}/Subscriptions/UsdFutures/AccountUpdate.txt")
    positions = [signed_qty(terms, p["pa"]) for p in update["data"]["a"]["P"]]
    assert positions == [0, 2_000_000_000, -1_000_000_000]
    changes = [quanta(b["bc"]) for b in update["data"]["a"]["B"]]
    assert changes == [5_012_345_678, -4_912_345_678]
    spot = sample(shared_data / "wire/binance_spot/ws_outboundAccountPosition.json")
    assert [quanta(b["f"]) for b in spot["event"]["B"]] == [1_000_000_000_000]


def test_recorded_market_messages_become_rows(shared_data):
    usdm, spot = BinanceUsdm([fine("binance-usdm").item]), BinanceSpot([fine("binance-spot").item])
    book = (shared_data / "wire/binance_usdm/rest_order_book.json").read_bytes()
    (head, *_) = usdm.decode(book, 5, 0)
    assert (head["kind"], head["seq"], head["n_bids"]) == (Kind.DEPTH, 1027024, 1)
    for name, kind in (("wire/binance_usdm/ws_depthUpdate.json", Kind.DEPTH),
                       ("wire/binance_usdm/ws_markPriceUpdate.json", Kind.MARK),
                       (f"{JKORF}/Subscriptions/UsdFutures/AggTrades.txt", Kind.TRADE),
                       (f"{JKORF}/Subscriptions/UsdFutures/MarkPrice.txt", Kind.MARK)):  # fmt: skip
        message = sample(shared_data / name)
        (message.get("data", message))["s"] = "BTCUSDT"
        assert usdm.decode(json.dumps(message).encode(), 5)["kind"][0] == kind
    for name, kind in (("AggregatedTrades", Kind.TRADE), ("BookTicker", Kind.BEST)):
        message = sample(shared_data / f"{JKORF}/Subscriptions/Spot/ExchangeData/{name}.txt")
        message["data"]["s"] = "BTCUSDT"
        assert spot.decode(json.dumps(message).encode(), 5)["kind"][0] == kind


def test_a_recorded_error_of_the_socket_interface_names_the_code(shared_data):
    error = sample(shared_data / "wire/binance_usdm/wsapi_error.json")
    fault = refused_item(error["error"], where="order.place")
    assert fault is not None and fault.code == -1102 and "quantity" in str(fault)


def futures(**changes) -> dict:
    order = {
        "s": "BTCUSDT", "c": IDS.make(3, 9), "S": "BUY", "o": "LIMIT", "f": "GTX", "q": "0.003",
        "p": "61000.1", "ap": "0", "x": "NEW", "X": "NEW", "i": 12, "l": "0", "z": "0", "L": "0",
        "T": 1700000000000, "t": 0, "m": False, "er": "0",
    }  # fmt: skip
    return order | changes


BTC = Terms(known("binance-usdm", "BTCUSDT"), 4)


def test_a_fill_carries_fee_trade_id_and_role():
    news = futures_event(
        BTC,
        futures(x="TRADE", X="PARTIALLY_FILLED", l="0.001", L="61000.0", z="0.002", t=77, m=True,
                N="USDT", n="-0.00122000"),
    )  # fmt: skip
    fill = news.fill
    assert fill is not None
    assert (fill.instrument, fill.trade_id, fill.tick, fill.qty) == (4, 77, 610_000, 1)
    assert (fill.fee, fill.fee_asset, fill.maker, fill.done) == (-122_000, "USDT", True, 2)
    assert not fill.last and news.is_open
    whole = futures_event(BTC, futures(x="TRADE", X="FILLED", l="0.003", L="61000.0", z="0.003"))
    assert whole.fill is not None and whole.fill.last and whole.is_filled
    assert (whole.fill.fee, whole.fill.fee_asset) == (0, "")


@pytest.mark.parametrize(
    ("changes", "ending"),
    [
        ({"x": "CANCELED", "X": "CANCELED"}, (Kind.CANCELLED, RejectCode.NONE)),
        ({"x": "EXPIRED", "X": "EXPIRED"}, (Kind.EXPIRED, RejectCode.POST_ONLY)),
        ({"x": "EXPIRED", "X": "EXPIRED", "er": "4"}, (Kind.EXPIRED, RejectCode.OTHER)),
        ({"x": "EXPIRED", "X": "EXPIRED", "f": "IOC"}, (Kind.EXPIRED, RejectCode.NO_LIQUIDITY)),
        ({"x": "EXPIRED", "X": "EXPIRED", "f": "IOC", "er": "2"},
         (Kind.EXPIRED, RejectCode.NO_LIQUIDITY)),
        ({"x": "EXPIRED", "X": "EXPIRED_IN_MATCH", "er": "1"}, (Kind.EXPIRED, RejectCode.OTHER)),
        ({"x": "AMENDMENT", "X": "NEW", "q": "0.005"}, None),
    ],
)  # fmt: skip
def test_how_an_order_ended(changes, ending):
    assert futures_event(BTC, futures(**changes)).ending == ending


def test_a_cancel_on_spot_names_the_order_in_its_original_id():
    event = futures(
        C=IDS.make(3, 9), c="made-up-by-the-venue", x="CANCELED", X="CANCELED", r="NONE"
    )
    assert spot_event(BTC, event).client_id == IDS.make(3, 9)
    refused = futures(C="", x="REJECTED", X="REJECTED", r="WOULD_MATCH_IMMEDIATELY")
    assert spot_event(BTC, refused).ending == (Kind.EXPIRED, RejectCode.POST_ONLY)


def test_the_shortest_acknowledgement_of_spot():
    answer = {"symbol": "BTCUSDT", "orderId": 28, "orderListId": -1, "clientOrderId": "abc",
              "transactTime": 1507725176595}  # fmt: skip
    news = order_answer(BTC, answer)
    assert (news.venue_id, news.status, news.done) == ("28", "", None)


def test_liquidations_are_told_from_own_orders():
    assert futures_event(BTC, futures(c="autoclose-1700000000000")).is_forced
    assert futures_event(BTC, futures(c="adl_autoclose")).is_forced
    assert not futures_event(BTC, futures()).is_forced


@pytest.mark.parametrize(
    "changes",
    [{"S": "LONG"}, {"i": "12"}, {"z": None}, {"q": "1e-3"}, {"p": "61000.05"}, {"T": True},
     {"x": None}, {"x": "TRADE", "l": "0.001", "L": "61000.0", "n": "nan"},
     {"x": "TRADE", "l": "0.001", "L": "61000.0", "n": 0.1}],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(changes):
    with pytest.raises(DecodeError):
        futures_event(BTC, futures(**changes))


@pytest.mark.parametrize(
    ("code", "text", "status", "action", "reject"),
    [
        (-5022, "Due to the order could not be executed as maker", 400, Action.REQUOTE,
         RejectCode.POST_ONLY),
        (-2010, "Order would immediately match and take.", 400, Action.REQUOTE,
         RejectCode.POST_ONLY),
        (-2010, "Account has insufficient balance for requested action.", 400, Action.REDUCE,
         RejectCode.LIMIT),
        (-2010, "Duplicate order sent.", 400, Action.RESOLVE, RejectCode.OTHER),
        (-2011, "Unknown order sent.", 400, Action.RESOLVE, RejectCode.UNKNOWN_ORDER),
        (-1013, "Filter failure: LOT_SIZE", 400, Action.REFRESH, RejectCode.FILTER),
        (-2019, "Margin is insufficient.", 400, Action.REDUCE, RejectCode.LIMIT),
        (-1000, "Unknown error, please check your request or try again later.", 503,
         Action.RESOLVE, RejectCode.OTHER),
        (-1000, "Service Unavailable.", 503, Action.WAIT, RejectCode.OTHER),
        (-1008, "Request throttled by system-level protection.", 503, Action.WAIT,
         RejectCode.RATE),
        (-1007, "Timeout waiting for response from backend server.", 408, Action.RESOLVE,
         RejectCode.OTHER),
        (0, "<html>", 502, Action.RESOLVE, RejectCode.OTHER),
        (-1003, "Way too many requests", 418, Action.WAIT, RejectCode.RATE),
        (-2015, "Invalid API-key, IP, or permissions for action.", 401, Action.STOP,
         RejectCode.OTHER),
        (-9999, "something new", 400, Action.REQUOTE, RejectCode.OTHER),
    ],
)  # fmt: skip
def test_what_a_refusal_means(code, text, status, action, reject):
    found = rule(code, text, status)
    assert (found.action, found.reject) == (action, reject)


def test_how_long_to_stay_away():
    body = b'{"code":-1003,"msg":"Too many requests"}'
    fault = refused_answer(429, body, {"Retry-After": "7"}, where="GET /fapi/v1/depth")
    assert (fault.code, fault.wait_s, fault.reject) == (-1003, 7.0, RejectCode.RATE)
    assert refused_answer(418, b"banned", {}, where="").reject is RejectCode.RATE
    assert refused_answer(400, b'{"code":-2019,"msg":"Margin"}', {}, where="").wait_s == 0.0
    assert "Margin" in str(refused_answer(400, b'{"code":-2019,"msg":"Margin"}', {}, where="x"))


def test_an_item_of_a_batch_that_is_an_order_is_no_refusal():
    assert refused_item({"orderId": 1}, where="") is None
    assert refused_item({"code": 200, "msg": "done"}, where="") is None
