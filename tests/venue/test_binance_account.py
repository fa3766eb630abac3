"""Readings of an account on Binance: pages of fills, and answers that are not as documented."""

import asyncio
from contextlib import suppress

import pytest

from mmcore.adapters import _binance_account
from mmcore.adapters._binance_account import FuturesAccount, SpotAccount
from mmcore.adapters._decode import Terms
from mmcore.errors import VenueError
from mmcore.gateway import ClientIds
from mmcore.instrument import known

IDS = ClientIds("0123456789ab", 1)
USDM, SPOT = (Terms(known(v, "BTCUSDT"), 0) for v in ("binance-usdm", "binance-spot"))


class Answers:
    """A REST client that gives what it is told, and remembers what it was asked."""

    futures = True

    def limits(self, entries) -> None:
        """Nothing to count here."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict]] = []

    async def read(self, path, **words):
        self.asked.append((path, words))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def trade(number: int) -> dict:
    return {
        "id": number, "orderId": 1, "price": "61000.0", "qty": "0.001", "commission": "0.01",
        "commissionAsset": "USDT", "buyer": True, "maker": True, "time": 1700000000000,
    }  # fmt: skip


def test_fills_are_read_page_by_page_from_the_last_one_known(monkeypatch):
    monkeypatch.setattr(_binance_account, "TRADES_PAGE", 2)
    rest = Answers([trade(5), trade(7)], [trade(9), trade(12)], [])
    account = FuturesAccount(rest, IDS)
    fills = asyncio.run(account.fills_after(USDM, 4))
    assert [fill.trade_id for fill in fills] == [5, 7, 9, 12]
    assert [words["fromId"] for _, words in rest.asked] == ["5", "8", "13"]


@pytest.mark.parametrize(("answer", "newest"), [([], -1), ([trade(77)], 77)])
def test_the_latest_fill_of_an_account(answer, newest):
    assert asyncio.run(FuturesAccount(Answers(answer), IDS).newest_trade(USDM)) == newest


BAD = [{}, [], None, [1], {"symbols": 3}, [{"asset": "USDT"}], [{"symbol": "BTCUSDT"}], "text", 7]


@pytest.mark.parametrize("answer", BAD, ids=str)
@pytest.mark.parametrize("account", [FuturesAccount, SpotAccount])
def test_an_answer_that_is_not_as_documented_is_told_so(account, answer):
    terms = USDM if account is FuturesAccount else SPOT

    async def go() -> None:
        made = account(Answers(answer), IDS)
        for reading in (
            lambda: made.instruments(["BTCUSDT"]), lambda: made.state([terms]),
            lambda: made.order(terms, "abc"), lambda: made.open_orders(terms),
            lambda: made.fills_after(terms, 1), lambda: made.newest_trade(terms),
        ):  # fmt: skip
            with suppress(VenueError):  # and nothing else
                await reading()

    asyncio.run(go())


def test_an_instrument_that_is_halted_is_refused():
    entry = {
        "symbol": "BTCUSDT", "status": "BREAK", "contractType": "PERPETUAL",
        "quantityPrecision": 3, "baseAsset": "BTC", "quoteAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "10"},
        ],
    }  # fmt: skip
    rest = Answers({"symbols": [entry], "rateLimits": []})
    with pytest.raises(VenueError, match="status BREAK"):
        asyncio.run(FuturesAccount(rest, IDS).instruments(["BTCUSDT"]))
