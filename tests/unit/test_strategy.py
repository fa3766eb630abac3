"""Every formula by its name, against figures worked out by hand."""

import math

import pytest

from mmcore import strategy as s
from mmcore.instrument import known

BTC = known("binance-usdm", "BTCUSDT")
ETH = known("hyperliquid", "ETH")


def test_every_name_is_there_once():
    assert len(set(s.__all__)) == len(s.__all__)
    assert all(hasattr(s, name) for name in s.__all__)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (s.nbsqrt(-4.0), -2.0), (s.nbsqrt(0.0), 0.0),
        (s.round_step(0.25, 0.1), 0.30000000000000004), (s.round_step(-2.5, 1.0), -3.0),
        (s.clip(5, 0, 3), 3), (s.round_to(-1.239, 2), -1.23), (s.round_to(0.29, 2), 0.29),
        (s.count_decimal_places(1e-6), 6), (s.count_decimal_places(5.0), 0),
        (s.count_decimal_places(0.25), 2), (s.bps_to_decimal(27), 0.0027),
        (s.spread_price_in_bps(0.1, 60_000.0), 0.1 / 6.0), (s.calculate_exponent(2), math.exp(-1)),
        (s.max_position_usd(100, 12), 1_116.0), (s.inventory_delta(0.5, 100, 1_000), 0.05),
        (s.mid_average(3, 4), 3.5), (s.mid_difference(3, 4), -1), (s.mid_change(3, 4, 0.5), -2),
        (s.expected_return(math.e, 1.0), 1.0), (s.price_impact(101, 100, 101, 102), 2),
        (s.expected_value(102, 100, -0.25), 102.5), (s.expected_value(102, 100, 0.25, 1.5), 102.25),
        (s.trade_imbalance(3, 1), 0.5), (s.trade_imbalance(3, 1, literal=True), 0.75),
        (s.trade_imbalance(0, 0), 0.0), (s.average_trade_price(300, 2, 90), 150),
        (s.average_trade_price(0, 0, 90), 90), (s.mid_price_basis(101, 99, 100), 1.5),
        (s.price_fluctuation([100, 100, 125]), 1_000.0), (s.price_fluctuation([1]), 0.0),
        (s.weighted_mid(100, 102, 0.0), 101), (s.weighted_mid(100, 102, -1.0), 100),
        (s.depth_weighted([2, math.e**0.5], 5), 3.0), (s.imbalance([3], [1]), 0.5),
        (s.imbalance([1.2], [1]), 0.0), (s.historical_aggression(0.7, 0.25), 0.3),
        (s.historical_aggression(0.3, -0.25), -0.115), (s.historical_aggression(0, 1), 0.1),
        (s.volatility([1, 2, 1], [0, 10**9, 4 * 10**9]), math.log(2) * math.sqrt(0.5)),
        (s.volatility([1], [0]), 0.0), (s.bps_diff(100, 101), 100.0), (s.bps_diff(0, 1), math.inf),
        (s.bps_diff_whole(100.0, 100.109), 10), (s.bps_diff_whole(0.0, 1.0), 10_001),
        (s.bps_diff_whole(1.0, 99.0), 65_535), (s.close_out_price(100, 2), 95.0),
        (s.close_out_price(100, -2), 105.0),
    ],
)  # fmt: skip
def test_small_formulas(value, expected):
    assert value == pytest.approx(expected, rel=1e-12)


def test_spaces_have_exact_ends():
    assert s.linspace(1.0, 2.0, 5) == [1.0, 1.25, 1.5, 1.75, 2.0]
    assert s.geomspace(1.0, 16.0, 5) == pytest.approx([1, 2, 4, 8, 16])
    assert s.geomspace(61_837.63, 60_000.07, 7)[-1] == 60_000.07
    assert s.linspace(3.0, 9.0, 1) == s.geomspace(3.0, 9.0, 0) == [3.0]
    assert s.ladder_prices(100.0, 90.0, 2) == [100.0, 90.0]
    with pytest.raises(ValueError, match="above 0"):
        s.geomspace(0.0, 1.0, 3)


def test_exponential_means_start_with_their_first_sample():
    assert s.ema([4.0, 8.0], 3) == [4.0, 6.0]
    assert s.ema([4.0, 8.0], 3, alpha=0.25) == [4.0, 5.0]
    with pytest.raises(ValueError, match="window"):
        s.Ema(0)


def test_budgets_steer_to_half_of_the_largest_position():
    assert s.side_budgets(0.0, 100.0) == (50.0, 50.0)
    assert s.side_budgets(20.0, 100.0) == (30.0, 70.0)
    assert s.side_budgets(60.0, 100.0) == (0.0, 110.0)


def test_spread_of_the_reference():
    assert s.adjusted_spread(99.99, 100.01) == pytest.approx(0.27)
    assert s.adjusted_spread(95.0, 105.0) == pytest.approx(0.27 * 3.7)
    assert s.adjusted_spread(99.8, 100.2, 10) == pytest.approx(10e-4 * 100 * 3.7)
    assert s.adjusted_spread(99.99, 100.01, 10, 20, 200, 1e-3) == pytest.approx(0.12)
    assert s.bounds_spread(0.0, 99.0, 101.0) == 0.0


def test_inventory_variants_of_the_first_document():
    f = math.sqrt(0.25)
    assert s.mean_reverting_skew(0.4, 0.25) == pytest.approx(0.4 * (1 - f) - 0.63 * f)
    assert s.mean_reverting_skew(0.4, 0.25, 0.5) == pytest.approx(0.4 * (1 - f) - 0.5 * f)
    assert s.trend_following_skew(0.4, 0.25) == pytest.approx(0.4 * (1 + 0.4 * f) + 0.5 * f)
    assert s.trend_following_skew(-0.4, 0.25) == pytest.approx(-0.4 * (1 + 0.4 * f) - 0.5 * f)
    assert s.plain_skew(0.4, -0.25) == pytest.approx(0.9)
    assert s.damped_skew(0.4, 0.25) == pytest.approx(0.2)
    assert s.neutral_skew(0.25) == -0.5


def test_strict_variants_bend_only_where_position_and_signal_agree():
    # A28: the literal damping makes a larger long sell less eagerly.
    assert s.mean_reverting_skew(-1.0, 0.81) == pytest.approx(-0.1 - 0.63 * 0.9)
    assert s.mean_reverting_skew(-1.0, 0.81, strict=True) == -1.0
    assert s.mean_reverting_skew(0.5, 0.81, strict=True) == s.mean_reverting_skew(0.5, 0.81)
    # A22: the literal boost works against the position as well.
    assert s.trend_following_skew(-0.4, 0.25, strict=True) == pytest.approx(-0.4 - 0.25)
    assert s.trend_following_skew(0.4, 0.25, strict=True) == s.trend_following_skew(0.4, 0.25)


def test_grids_of_both_directions_are_orders_from_the_inside_out():
    grid = s.GridStrategy(max_position_usd=100_000, orders_per_side=2, final_order_distance=5)
    up = s.positive_skew_orders(grid, BTC, 59_999.9, 60_000.1, 162.0, 1.0)
    assert [order.side for order in up] == [1, -1, 1, -1]
    assert [order.price for order in up] == [60_000.0, 60_162.0, 59_190.0, 60_972.0]
    down = s.negative_skew_orders(grid, BTC, 59_999.9, 60_000.1, 162.0, 1.0)
    assert [order.price for order in down] == [59_838.0, 60_000.0, 59_028.0, 60_810.0]
    assert sum(o.quantity * o.price for o in up if o.side > 0) <= 50_000
    assert s.outer_prices(100.0, 102.0, 2.0, 10) == (80.0, 122.0)


def test_generate_quotes_puts_the_pipeline_together():
    grid = s.GridStrategy(max_position_usd=100_000, orders_per_side=3)
    orders = s.generate_quotes(grid, BTC, 59_999.9, 60_000.1, skew=0.0)
    assert [order.side for order in orders] == [1, -1] * 3
    assert {order.symbol for order in orders} == {"BTCUSDT"}
    assert orders[0].price == 59_919.0 and orders[1].price == 60_081.0
    with pytest.raises(ValueError, match=r"60000\.05"):
        s.generate_quotes(grid, BTC, 60_000.05, 60_001.0)


def test_live_orders_sort_by_price_and_are_the_same_by_id():
    a, b, c = s.LiveOrder(2.0, 1.0, "a"), s.LiveOrder(1.0, 1.0, "b"), s.LiveOrder(9.0, 5.0, "a")
    assert sorted([a, b]) == [b, a] and a == c and a != b and len({a, b, c}) == 2
    assert a != "a"


def test_skew_of_the_second_document():
    result = s.calculate_skew(3.0, 5.0, 10.0, 0.2)
    assert result == pytest.approx((-2.4, -3.0, 0.6, 0.6))
    assert s.calculate_skew(3.0, 0.0, 10.0).position_ratio == 0.0
    eager = s.InventorySkewConfig(1.0, 1.0, 5)
    assert s.calculate_skew(-9.0, 5.0, 10.0, 1.0, eager).skew_bps == 10.0
    assert s.calculate_skew(-9.0, 5.0, 10.0, 1.0, eager, 15.0).skew_bps == 15.0


def test_sizes_of_the_second_document():
    assert s.two_sided_sizes(0.0, 50.0, 10.0) == (10.0, 10.0)
    assert s.two_sided_sizes(44.0, 50.0, 10.0) == (6.0, 10.0)
    assert s.two_sided_sizes(50.0, 50.0, 10.0) == (0.0, 10.0)
    assert s.two_sided_sizes(-60.0, 50.0, 10.0) == (10.0, 0.0)


def test_the_tolerance_is_a_real_number():
    assert not s.needs_requote(100.0, 1.0, 100.1, 1.0, 10.0 + 1e-9)
    assert s.needs_requote(100.0, 1.0, 100.109, 1.0, 10.0)  # the original cut 10.9 to 10
    assert s.needs_requote(100.0, 1.0, 100.0, 0.5, 10.0)


def test_the_book_is_sorted_on_arrival_and_a_crossed_one_says_nothing():
    bids, asks = [(99.0, 1.0), (100.0, 3.0)], [(102.0, 1.0), (101.0, 1.0), (103.0, 5.0)]
    analysis = s.analyse_book(bids, asks, 2, BTC)
    assert analysis == pytest.approx((4.0, 2.0, 99.75, 101.5, 1 / 3))
    assert s.analyse_book([(101.0, 1.0)], [(101.0, 1.0)], 5, BTC) is None
    assert s.analyse_book([], asks, 5, BTC) is None


@pytest.mark.parametrize(
    ("price", "bid", "ask"), [(3_456.78, 3_456.7, 3_456.8), (123_456.7, 123_456.0, 123_457.0)]
)
def test_legal_prices_of_hyperliquid(price, bid, ask):
    assert s.legal_price(ETH, price, 1) == bid and s.legal_price(ETH, price, -1) == ask


def test_legal_quantities_lose_no_lot_to_binary_fractions():
    assert s.legal_quantity(ETH, 0.29) == 0.29 and s.legal_quantity(ETH, 0.29999) == 0.2999


@pytest.mark.parametrize(
    ("value", "text"), [(1.5, "1.5"), (-0.0, "0"), (1e-9, "0"), (100.0, "100"), (0.1, "0.1")]
)
def test_numbers_on_the_wire(value, text):
    assert s.wire_decimal(value) == text


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((1.1, 0.3, 5), "inventory"), ((0.5, math.nan, 5), "book"), ((0.5, 0.3, 0), "depth")],
)
def test_the_skew_configuration_names_what_it_refuses(arguments, name):
    with pytest.raises(ValueError, match=name):
        s.InventorySkewConfig(*arguments)
    assert s.InventorySkewConfig() == s.InventorySkewConfig(0.5, 0.3, 5)


def test_the_input_of_the_second_document():
    fields = {
        "asset": "HYPE", "target_liquidity": 10.0, "half_spread": 15, "max_bps_diff": 10,
        "max_absolute_position_size": 50.0, "asset_type": "perp", "wallet": "",
    }  # fmt: skip
    plain = s.MarketMakerInput(**fields)
    skewed = s.MarketMakerInput(**fields, inventory_skew_config=s.InventorySkewConfig(0.5, 0.3, 5))
    for given, skew in ((plain, 0.0), (skewed, -4.5)):
        quoter = s.Quoter(given.strategy(), ETH.spec())
        quoter.quote(2_550_000, 2_550_100, position_qty=ETH.to_qty(30))
        assert quoter.skew[0] == skew
    for name, value in (("asset", ""), ("half_spread", 0), ("asset_type", "future")):
        with pytest.raises(ValueError, match=name):
            s.MarketMakerInput(**{**fields, name: value})
