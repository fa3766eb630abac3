"""Instruments: exact borders, names, and what venues say."""

import re
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from mmcore.events import ContractKind
from mmcore.instrument import (
    Instrument,
    UnknownInstrument,
    from_binance,
    from_bybit,
    from_hyperliquid,
    known,
    known_instruments,
    normalise,
    whole_steps,
    with_fees,
)

BTC = known("binance-usdm", "BTCUSDT")


@pytest.mark.parametrize(
    ("venue", "symbol", "tick", "lot", "min_notional"),
    [
        ("binance-usdm", "BTCUSDT", "0.1", "0.001", "100"),
        ("binance-usdm", "ETHUSDT", "0.01", "0.001", "20"),
        ("binance-spot", "BTCUSDT", "0.01", "0.00001", "5"),
        ("binance-spot", "ETHUSDT", "0.01", "0.0001", "5"),
        ("binance-spot", "NEXOUSDT", "0.001", "0.01", "5"),
        ("binance-coinm", "BTCUSD_PERP", "0.1", "1", "0"),
        ("binance-coinm", "ETHUSD_PERP", "0.01", "1", "0"),
        ("hyperliquid", "ETH", "0.01", "0.0001", "10"),
        ("hyperliquid", "BTC", "0.1", "0.00001", "10"),
    ],
)
def test_the_instruments_of_the_recorded_tapes(venue, symbol, tick, lot, min_notional):
    item = known(venue, symbol)
    assert (item.tick, item.lot, item.min_notional) == (tick, lot, min_notional)


def test_every_known_instrument_has_a_compiled_face():
    for venue in ("binance-usdm", "binance-coinm", "binance-spot", "bybit-linear", "hyperliquid"):
        for item in known_instruments(venue).values():
            box = item.spec(7)
            assert box.lot == item.to_qty(item.lot)
            assert box.tick_size == item.price(1)


@pytest.mark.parametrize(
    ("price", "tick"),
    [("61837.63", 6183763), (61837.63, 6183763), (Decimal("61837.630"), 6183763), (61837, 6183700)],
)
def test_prices_become_ticks_exactly(price, tick):
    assert known("binance-spot", "BTCUSDT").to_tick(price) == tick


@pytest.mark.parametrize("price", ["61837.635", 61837.635, "1e-3", "nan", "inf", "x", float("nan")])
def test_a_price_off_the_grid_is_refused_by_name(price):
    with pytest.raises(ValueError, match=re.escape(str(price))):
        known("binance-spot", "BTCUSDT").to_tick(price)


def test_a_quantity_with_too_many_decimals_is_refused_by_name():
    with pytest.raises(ValueError, match=r"0\.0001"):
        known("binance-usdm", "BTCUSDT").to_qty("0.0001")


def test_decimal_texts_round_trip():
    item = known("binance-spot", "BTCUSDT")
    assert item.price_text(6183763) == "61837.63"
    assert item.price_text(-5) == "-0.05"
    assert item.quantity_text(2_000_000) == "0.02000"
    assert item.quantity_text(1) == "0.00000001"
    assert known("bybit-linear", "DOGEUSDT").quantity_text(72) == "72"


@pytest.mark.parametrize(
    ("venue", "written", "name"),
    [
        ("binance-usdm", "BTC-USDT", "BTCUSDT"),
        ("binance-usdm", "btc/usdt:usdt", "BTCUSDT"),
        ("binance-usdm", "BTC-USDT-PERP", "BTCUSDT"),
        ("binance-coinm", "BTCUSD", "BTCUSD_PERP"),
        ("binance-coinm", "btcusd_perp", "BTCUSD_PERP"),
        ("hyperliquid", "ETH-USD", "ETH"),
        ("hyperliquid", "BTC-PERP", "BTC"),
    ],
)
def test_common_spellings_find_the_instrument(venue, written, name):
    assert known(venue, written).symbol == name


def test_normalising_without_a_list_keeps_the_plain_spelling():
    assert normalise("binance-usdm", "kas-usdt") == "KASUSDT"


def test_an_unknown_symbol_names_the_nearest():
    with pytest.raises(UnknownInstrument, match="'BTCUSDT'") as caught:
        known("binance-usdm", "BTCUSD")
    assert caught.value.nearest == "BTCUSDT"
    with pytest.raises(ValueError, match="binance-usdm"):
        known("binance-usd", "BTCUSDT")


@pytest.mark.parametrize(
    ("field", "value"),
    [("tick", "0"), ("lot", "-1"), ("lot", "0.0001"), ("min_qty", "x"), ("qty_decimals", 19),
     ("venue", "nowhere"), ("maker_fee_bps", float("nan"))],
)  # fmt: skip
def test_contradicting_figures_are_refused(field, value):
    figures = {
        "venue": "binance-usdm", "symbol": "X", "kind": ContractKind.LINEAR, "tick": "0.1",
        "qty_decimals": 3, "lot": "0.001",
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"X|nowhere|x"):
        Instrument(**{**figures, field: value})


def test_fees_can_be_overridden_one_by_one():
    item = with_fees(known("binance-usdm", "BTCUSDT"), maker_fee_bps=-0.5)
    assert (item.maker_fee_bps, item.taker_fee_bps) == (-0.5, 5.0)


def test_exchange_info_of_binance():
    entry = {
        "symbol": "BTCUSDT", "contractType": "PERPETUAL", "baseAsset": "BTC", "quoteAsset": "USDT",
        "quantityPrecision": 3, "baseAssetPrecision": 8,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
    }  # fmt: skip
    made = from_binance("binance-usdm", {"symbols": [entry, {"symbol": "NOFILTERS"}]})
    assert list(made) == ["BTCUSDT"]
    assert made["BTCUSDT"] == known("binance-usdm", "BTCUSDT")
    spot = from_binance("binance-spot", {"symbols": [entry]})["BTCUSDT"]
    assert (spot.kind, spot.qty_decimals, spot.to_qty("0.00000001")) == (ContractKind.SPOT, 8, 1)
    coin = {**entry, "contractSize": 100, "quantityPrecision": 0, "quoteAsset": "USD"}
    coin["filters"] = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.1"},
        {"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1", "maxQty": "1000000"},
    ]
    inverse = from_binance("binance-coinm", {"symbols": [coin]})["BTCUSDT"]
    assert (inverse.contract_size, inverse.settle) == ("100", "BTC")
    with pytest.raises(ValueError, match="symbols"):
        from_binance("binance-usdm", {"code": -1121})


def test_instruments_info_of_bybit():
    entry = {
        "symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT",
        "priceFilter": {"tickSize": "0.10"},
        "lotSizeFilter": {
            "qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "1500.000",
            "minNotionalValue": "5",
        },
    }  # fmt: skip
    made = from_bybit("bybit-linear", {"retCode": 0, "result": {"list": [entry]}})
    assert made["BTCUSDT"] == known("bybit-linear", "BTCUSDT")
    with pytest.raises(ValueError, match="list"):
        from_bybit("bybit-linear", {"retCode": 10001, "result": {}})


def test_meta_of_hyperliquid():
    made = from_hyperliquid({"universe": [{"name": "BTC", "szDecimals": 5}]})
    assert made["BTC"] == known("hyperliquid", "BTC")
    with pytest.raises(ValueError, match="universe"):
        from_hyperliquid({})


def test_orders_stand_on_steps_coarser_than_the_book():
    fine = replace(BTC, tick="0.01", price_step="0.25")
    spec = fine.spec()
    assert [spec.tick_floor(100), spec.tick_floor(124), spec.tick_floor(125)] == [100, 100, 125]
    assert [spec.tick_ceil(101), spec.tick_ceil(125)] == [125, 125]
    assert [spec.tick_down(125), spec.tick_up(125)] == [100, 150]
    assert spec.price_floor(1.4) == 125
    assert [replace(BTC, price_step="0.1").spec().tick_floor(7)] == [7]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"price_step": "0.25"}, "no multiple of the tick 0.1"),
        ({"price_step": "1", "sig_figs": 5}, "two rules"),
        ({"price_step": "-1"}, "must not be negative"),
    ],
)
def test_steps_that_contradict_the_tick_are_refused(changes, what):
    with pytest.raises(ValueError, match=what):
        replace(BTC, **changes)


def test_doubles_are_whole_steps_or_not():
    values = np.array([61_800.3, 61_800.35, np.nan, 1e30, 0.1 * 3, -0.1])
    steps, bad = whole_steps(values, 0.1)
    assert bad.tolist() == [False, True, True, True, False, False]
    assert steps[~bad].tolist() == [618_003, 3, -1]
