"""The JSON decoders on messages typed by hand: rows, and refusals that name what is wrong."""

import orjson
import pytest

from mmcore.errors import VenueError
from mmcore.events import ASK, BID, Kind
from mmcore.instrument import known
from mmcore.venue import DecodeError, SymbolError, decoder

NS = 7


def decode(venue, message, symbol="BTCUSDT"):
    made = decoder(venue)([known(venue, symbol)], [3])
    return made.decode(orjson.dumps(message), NS, 0)


def facts(rows):
    names = ("kind", "side", "tick", "qty", "seq", "aux")
    return [tuple(int(row[name]) for name in names) for row in rows]


MARK = {"e": "markPriceUpdate", "E": 5, "s": "BTCUSDT", "p": "11794.17", "r": "-0.0003", "T": 9}
TRADE = {
    "topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 5,
    "data": [
        {"T": 4, "s": "BTCUSDT", "S": "Sell", "v": "0.004", "p": "65114.20", "i": "2290000001"},
        {"T": 4, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "65114.3",
         "i": "a9188a0a-82bc-50de-be60-03eedbe3cdd7"},
    ],
}  # fmt: skip
TICKER = {
    "topic": "tickers.BTCUSDT", "type": "delta", "cs": 77, "ts": 5,
    "data": {
        "symbol": "BTCUSDT", "bid1Price": "1.0", "bid1Size": "2", "ask1Price": "1.1",
        "ask1Size": "3", "markPrice": "1.05", "fundingRate": "0.0001", "nextFundingTime": "9000",
    },
}  # fmt: skip


def test_mark_price_and_funding_of_binance():
    rows = decode("binance-usdm", MARK)
    assert facts(rows) == [
        (Kind.MARK, 0, 117942, 0, 0, 1179417000000),
        (Kind.FUNDING, 0, 0, 0, 9_000_000, -300_000_000),
    ]
    assert set(rows["instrument"].tolist()) == {3}
    assert set(rows["ts_local_ns"].tolist()) == {NS} and rows[0]["ts_venue_ns"] == 5_000_000
    assert len(decode("binance-usdm", {**MARK, "r": ""})) == 1


def test_trades_of_bybit_carry_the_aggressors_side():
    rows = decode("bybit-linear", TRADE)
    uuid_bits = 0xA9188A0A82BC50DE >> 1
    assert facts(rows) == [
        (Kind.TRADE, ASK, 651142, 4, 2290000001, 0),
        (Kind.TRADE, BID, 651143, 1000, uuid_bits, 0),
    ]


def test_tickers_of_bybit_are_best_quotes_mark_and_funding():
    assert facts(decode("bybit-linear", TICKER)) == [
        (Kind.BEST, BID, 10, 2000, 77, 0),
        (Kind.BEST, ASK, 11, 3000, 77, 0),
        (Kind.MARK, 0, 10, 0, 0, 105_000_000),
        (Kind.FUNDING, 0, 0, 0, 9_000_000_000, 100_000_000),
    ]
    partial = {**TICKER, "data": {"symbol": "BTCUSDT", "markPrice": "1.05"}}
    assert [row[0] for row in facts(decode("bybit-linear", partial))] == [Kind.MARK]


def test_trades_quotes_and_context_of_hyperliquid():
    trade = {"coin": "BTC", "side": "A", "px": "105056.0", "sz": "0.00219", "tid": 12, "time": 5}
    rows = decode("hyperliquid", {"channel": "trades", "data": [trade]}, "BTC")
    assert facts(rows) == [(Kind.TRADE, ASK, 1050560, 219, 12, 0)]
    best = {"coin": "BTC", "time": 5, "bbo": [{"px": "1.0", "sz": "2", "n": 1}, None]}
    rows = decode("hyperliquid", {"channel": "bbo", "data": best}, "BTC")
    assert facts(rows) == [(Kind.BEST, BID, 10, 200000, 0, 0), (Kind.BEST, ASK, 0, 0, 0, 0)]
    context = {"coin": "BTC", "ctx": {"markPx": "1.0", "funding": "0.0000125"}}
    rows = decode("hyperliquid", {"channel": "activeAssetCtx", "data": context}, "BTC")
    assert [row[0] for row in facts(rows)] == [Kind.MARK, Kind.FUNDING]


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("binance-usdm", {"result": None, "id": 1}),
        ("binance-usdm", {"stream": "x@kline_1m", "data": {"e": "kline", "s": "BTCUSDT", "k": {}}}),
        ("binance-usdm", {"stream": "x@depth5", "data": {"lastUpdateId": 1, "bids": []}}),
        (
            "binance-usdm",
            {
                "e": "trade",
                "s": "BTCUSDT",
                "t": 1,
                "T": 1,
                "p": "0",
                "q": "0",
                "m": True,
                "X": "NA",
            },
        ),
        ("bybit-linear", {"success": True, "op": "subscribe"}),
        ("bybit-linear", {"topic": "kline.1.BTCUSDT", "data": []}),
        ("bybit-linear", {"topic": "publicTrade.BTCUSDT", "data": []}),
        ("hyperliquid", {"channel": "subscriptionResponse", "data": {}}),
        ("hyperliquid", {"channel": "pong"}),
    ],
)
def test_messages_of_no_interest_are_no_rows(venue, message):
    assert len(decode(venue, message, "BTC" if venue == "hyperliquid" else "BTCUSDT")) == 0


def depth(**changes):
    return {
        "e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0,
        "b": [["1.0", "1"]], "a": [], **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (depth(b=[["1.05", "1"]]), r"price 1\.05 has more than 1 decimals"),
        (depth(b=[["1.0", "0.0001"]]), r"quantity 0\.0001 has more than 3"),
        (depth(b=[["-1", "1"]]), "price '-1'"),
        (depth(b=[["1e3", "1"]]), "price '1e3'"),
        (depth(b=[[1.0, "1"]]), r"price 1\.0 is not a decimal text"),
        (depth(b=[["1"]]), "is not a pair"),
        (depth(b=[["0", "1"]]), "price 0"),
        (depth(b="x"), "not a list"),
        (depth(u=-2), "'u': -2"),
        (depth(U=9), "above the last"),
        (depth(T="x"), "'T': 'x'"),
        (depth(T=10**13), "neither milliseconds"),
        ({key: value for key, value in depth().items() if key != "pu"}, "'pu' is missing"),
        ({key: value for key, value in depth().items() if key != "a"}, "'a' is missing"),
    ],
)
def test_a_bad_update_is_refused_in_its_instruments_name(message, named):
    with pytest.raises(DecodeError, match=f"binance-usdm:BTCUSDT: .*{named}") as caught:
        decode("binance-usdm", message)
    assert caught.value.instrument == 3 and not caught.value.harmless


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        (
            "binance-usdm",
            {"e": "trade", "s": "BTCUSDT", "t": 1, "T": 1, "p": "-1", "q": "1", "m": 1},
        ),
        ("binance-usdm", {"e": "bookTicker", "s": "BTCUSDT", "u": 1, "b": "1", "B": "1"}),
        ("binance-usdm", {**MARK, "p": "x"}),
        ("binance-usdm", {**MARK, "r": "9" * 30}),
        ("bybit-linear", {**TRADE, "data": [{**TRADE["data"][0], "S": "Up"}]}),
        ("bybit-linear", {**TRADE, "data": [{**TRADE["data"][0], "i": "x"}]}),
        ("bybit-linear", {**TICKER, "ts": "x"}),
        ("hyperliquid", {"channel": "bbo", "data": {"coin": "BTC", "time": 1, "bbo": [None]}}),
    ],
)
def test_what_no_book_depends_on_is_harmless(venue, message):
    with pytest.raises(DecodeError) as caught:
        decode(venue, message, "BTC" if venue == "hyperliquid" else "BTCUSDT")
    assert caught.value.harmless and caught.value.instrument == 3


@pytest.mark.parametrize("frame", [b"", b"{", b"[]", b"7", b'{"e":"depthUpdate"', b"\xff"])
def test_what_is_not_a_json_object_may_have_been_depth(frame):
    with pytest.raises(DecodeError, match="JSON") as caught:
        decoder("binance-usdm")([known("binance-usdm", "BTCUSDT")]).decode(frame, NS)
    assert caught.value.instrument == -1 and not caught.value.harmless


def test_another_symbol_is_told_apart_from_damage():
    with pytest.raises(SymbolError, match="ETHUSDT") as caught:
        decode("binance-usdm", depth(s="ETHUSDT"))
    assert caught.value.symbol == "ETHUSDT"


def test_a_snapshot_needs_to_be_somebodys():
    made = decoder("binance-coinm")([known("binance-coinm", "BTCUSD_PERP")])
    frame = {"lastUpdateId": 1, "bids": [], "asks": [], "symbol": "BTCUSD_PERP"}
    assert len(made.decode(orjson.dumps(frame), NS)) == 1
    del frame["symbol"]
    with pytest.raises(DecodeError, match="of which instrument"):
        made.decode(orjson.dumps(frame), NS)


def test_a_venue_without_an_adapter_says_which_there_are():
    with pytest.raises(VenueError, match="binance-usdm"):
        decoder("nowhere")
