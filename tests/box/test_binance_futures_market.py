"""Market data of USD-M futures in the box, request by request."""

import pytest
from binance_rest import Pool, cover

POOL = Pool()


@pytest.fixture
def client():
    return POOL.draw()


def test_the_listing_has_every_filter(client):
    info = client.public("/fapi/v1/exchangeInfo")
    assert {each["symbol"] for each in info["symbols"]} == {"BTCUSDT", "ETHUSDT"}
    kinds = {each["filterType"]: each for each in info["symbols"][0]["filters"]}
    assert kinds["PRICE_FILTER"]["tickSize"] == "0.10"
    assert kinds["LOT_SIZE"]["stepSize"] == "0.001"
    assert kinds["MIN_NOTIONAL"]["notional"] == "100"
    assert {"MARKET_LOT_SIZE", "MAX_NUM_ORDERS", "PERCENT_PRICE"} <= kinds.keys()
    limits = {(each["rateLimitType"], each["interval"]): each for each in info["rateLimits"]}
    assert limits["REQUEST_WEIGHT", "MINUTE"]["limit"] == 2400


def test_the_book_has_the_depth_that_is_asked_for(client):
    book = client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=5)
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert float(book["bids"][0][0]) < float(book["asks"][0][0])
    assert all(isinstance(each, str) for level in book["bids"] for each in level)
    again = client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=5)
    assert again["lastUpdateId"] > book["lastUpdateId"]
    assert client.public("/fapi/v1/depth", symbol="BTCUSDT", limit=7).error == (400, -4021)
    assert client.public("/fapi/v1/depth").error == (400, -1102)


def test_marks_and_funding(client):
    one = client.public("/fapi/v1/premiumIndex", symbol="BTCUSDT")
    assert one["lastFundingRate"] == "0.00010000" and float(one["markPrice"]) > 0
    assert one["nextFundingTime"] % (8 * 3_600_000) == 0
    assert len(client.public("/fapi/v1/premiumIndex").body) == 2
    assert client.public("/fapi/v1/fundingInfo").body[0]["fundingIntervalHours"] == 8
    assert client.public("/fapi/v1/fundingRate", symbol="BTCUSDT").body == []
    assert float(client.public("/fapi/v1/openInterest", symbol="BTCUSDT")["openInterest"]) >= 0
    best = client.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT")
    assert float(best["bidPrice"]) < float(best["askPrice"])


@pytest.mark.parametrize("root", ["/fapi/v1", "/api/v3"])
def test_figures_of_a_day(client, root):
    day = client.public(f"{root}/ticker/24hr", symbol="BTCUSDT")
    low, last, high = (float(day[name]) for name in ("lowPrice", "lastPrice", "highPrice"))
    assert low <= last <= high and low <= float(day["weightedAvgPrice"]) <= high
    assert day["count"] == day["lastId"] - day["firstId"] + 1 > 1
    assert ("bidPrice" in day) == (root == "/api/v3")
    assert len(client.public(f"{root}/ticker/24hr").body) == 2


@pytest.mark.parametrize("root", ["/fapi/v1", "/api/v3"])
def test_candles(client, root):
    asked = {"symbol": "BTCUSDT", "interval": "1m"}
    minutes = client.public(f"{root}/klines", **asked).body
    for begin, first, high, low, last, qty, end, *_ in minutes:
        assert begin % 60_000 == 0 and end == begin + 59_999
        assert float(low) <= min(float(first), float(last)) <= float(high) and float(qty) > 0
    (day,) = client.public(f"{root}/klines", symbol="BTCUSDT", interval="1d").body[-1:]
    assert day[8] <= client.public(f"{root}/ticker/24hr", symbol="BTCUSDT")["count"]
    assert client.public(f"{root}/klines", symbol="BTCUSDT", interval="7m").error == (400, -1120)
    assert client.public(f"{root}/klines", **asked, startTime=2**62).body == []


def test_prints_are_told_single_and_gathered(client):
    cover(client, client.peer(), quantity="0.100")
    client.dialect.tick(client.box.clock.now_ns())
    trades = client.public("/fapi/v1/trades", symbol="BTCUSDT").body
    ids = [each["id"] for each in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert any(each["isBuyerMaker"] for each in trades)
    gathered = client.public("/fapi/v1/aggTrades", symbol="BTCUSDT").body
    assert gathered[-1]["l"] >= gathered[-1]["f"]
    total = sum(float(each["qty"]) for each in trades)
    assert sum(float(each["q"]) for each in gathered) == pytest.approx(total)
