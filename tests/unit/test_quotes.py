"""Both strategies at named points: the documents' figures, every option, every refusal."""

import math

import pytest

from mmcore._quoter import Quoter, geometric_weights, inner_quotes, two_sided_prices
from mmcore._quotes import GridStrategy, Strategy, TwoSidedStrategy
from mmcore._signals import Weights
from mmcore._spec import SpecBox
from mmcore.events import ContractKind, Suppressed
from mmcore.instrument import known

BTC = known("binance-usdm", "BTCUSDT").spec()
FINE = SpecBox("0.01", 3, "1", 1, 1, 0, 0, 20_000, 50_000, 0, 0, 0)


def grid(spec=BTC, **arguments):
    arguments.setdefault("max_position_usd", 1e6)
    return Quoter(GridStrategy(**arguments), spec)


def two_sided(spec=FINE, **arguments):
    arguments = {
        "target_liquidity": 2, "half_spread": 10, "max_bps_diff": 10,
        "max_absolute_position_size": 5, **arguments,
    }  # fmt: skip
    return Quoter(TwoSidedStrategy(**arguments), spec)


def test_worked_example_of_the_second_document():
    quoter = two_sided(inventory_skew_factor=0.5, book_imbalance_factor=0.3)
    quoter.quote(2549, 2551, position_qty=3_000, imbalance=0.2)
    assert quoter.skew == pytest.approx((-2.4, -3.0, 0.6), abs=1e-12)
    shift = 1 - 2.4e-4
    assert quoter.bids == [(math.floor(2550 * 0.999 * shift), 2_000)]
    assert quoter.asks == [(math.ceil(2550 * 1.001 * shift), 2_000)]


def test_without_a_skew_configuration_nothing_skews():
    quoter = two_sided()
    quoter.quote(60_000, 60_001, position_qty=3_000, imbalance=1.0)
    assert quoter.skew == (0.0, 0.0, 0.0)


def test_the_skew_is_capped_at_the_half_spread_and_where_told():
    for cap, most in ((None, 10.0), (4.0, 4.0)):
        quoter = two_sided(inventory_skew_factor=1.0, book_imbalance_factor=1.0, max_skew_bps=cap)
        quoter.quote(60_000, 60_001, position_qty=-5_000, imbalance=1.0)
        assert quoter.skew[0] == most
        assert quoter.skew[1] + quoter.skew[2] == 20.0


def test_the_original_code_changed_the_width():
    shifted = two_sided_prices(100.0, 10.0, -2.0)
    widened = two_sided_prices(100.0, 10.0, -2.0, "width")
    assert shifted == pytest.approx((99.9 * 0.9998, 100.1 * 0.9998))
    assert widened == pytest.approx((99.92, 100.08))
    with pytest.raises(ValueError, match="shift or width"):
        two_sided_prices(100.0, 10.0, 0.0, "both")


@pytest.mark.parametrize("position", [-5_000, 5_000])
def test_no_size_at_the_cap(position):
    quoter = two_sided()
    quoter.quote(60_000, 60_001, position_qty=position)
    sides = (quoter.bids, quoter.asks) if position > 0 else (quoter.asks, quoter.bids)
    assert sides[0] == [] and sides[1] == [(sides[1][0][0], 2_000)]
    assert Suppressed.NO_BUDGET in quoter.why


def test_a_skew_through_the_touch_stops_one_tick_before_it():
    quoter = two_sided(
        half_spread=1, inventory_skew_factor=1.0, book_imbalance_factor=1.0, max_skew_bps=50
    )
    quoter.quote(60_000, 60_010, position_qty=-5_000, imbalance=1.0)
    assert quoter.bids[0][0] <= 60_009
    quoter.quote(60_000, 60_010, position_qty=5_000, imbalance=-1.0)
    assert quoter.asks[0][0] >= 60_001


def test_inner_quotes_move_from_half_a_spread_to_the_centre():
    assert inner_quotes(100.0, 2.0, 0.0) == (99.0, 101.0)
    assert inner_quotes(100.0, 2.0, 1.0) == (100.0, 102.0)
    assert inner_quotes(100.0, 2.0, -1.0) == (98.0, 100.0)
    assert inner_quotes(100.0, 2.0, 0.25) == (99.5, 101.5)
    with pytest.raises(ValueError, match="skew"):
        inner_quotes(100.0, 2.0, 1.5)


def test_size_weights_of_the_reference():
    outward = [0.1098, 0.1743, 0.2767, 0.4392], [0.0325, 0.0879, 0.2376, 0.6420]
    for ratio, shares in zip((0.63, 0.37), outward, strict=True):
        assert geometric_weights(ratio, 4, reverse=True) == pytest.approx(shares, abs=5e-5)
        assert geometric_weights(ratio, 4) == pytest.approx(shares[::-1], abs=5e-5)
    assert geometric_weights(0.0, 3) == [1.0, 0.0, 0.0]
    assert geometric_weights(1.0, 4) == [0.25] * 4
    for ratio, n in ((1.1, 4), (0.5, 0), (0.5, 33), (math.nan, 4)):
        with pytest.raises(ValueError, match="weights"):
            geometric_weights(ratio, n)


@pytest.mark.parametrize(
    ("profile", "first", "last"),
    [("outer_heavy", 0.0325, 0.6420), ("inner_heavy", 0.6420, 0.0325), ("flat", 0.25, 0.25)],
)
def test_size_profiles(profile, first, last):
    strategy = GridStrategy(asset=1, size_profile=profile)
    assert strategy.weights[1][0] == pytest.approx(first, abs=5e-5)
    assert strategy.weights[1][-1] == pytest.approx(last, abs=5e-5)


def test_the_favoured_side_is_flatter():
    quoter = grid(FINE)
    quoter.quote(6_000_000, 6_000_001, signal=0.5)
    bids, asks = ([qty for _, qty in side] for side in (quoter.bids, quoter.asks))
    assert bids[0] > 3 * asks[0] and bids[-1] < asks[-1]


def test_the_favoured_ratio_can_follow_the_aggression():
    quoter = grid(FINE, size_ratio_range=(0.10, 0.63), orders_per_side=2)
    quoter.quote(6_000_000, 6_000_001, signal=0.5)
    sizes = [qty * tick for tick, qty in quoter.bids]
    assert sizes[0] / sizes[1] == pytest.approx(0.5, rel=2e-3)
    quoter.quote(6_000_000, 6_000_001, signal=-0.2)
    sizes = [qty * tick for tick, qty in quoter.asks]
    assert sizes[0] / sizes[1] == pytest.approx(0.2, rel=4e-3)


def test_the_spread_follows_the_market_between_its_bounds():
    quoter = grid(FINE, minimum_spread=10)
    for width, bps in ((1, 10), (12_000, 20), (60_000, 37)):
        quoter.quote(6_000_000, 6_000_000 + width)
        mid = 60_000 + width / 200
        assert quoter.spread == pytest.approx(bps * 1e-4 * mid, rel=2e-3)
    capped = grid(FINE, minimum_spread=10, maximum_spread=15)
    capped.quote(6_000_000, 6_060_000)
    assert capped.spread == pytest.approx(15e-4 * 60_300)


def test_volatility_and_fees_widen_the_spread_within_its_cap():
    quoter = grid(FINE, minimum_spread=10, volatility_factor=200)
    for volatility, bps in ((0.0, 10), (1e-3, 12), (1.0, 37)):
        quoter.quote(6_000_000, 6_000_001, volatility=volatility)
        assert quoter.spread == pytest.approx(bps * 1e-4 * 60_000, rel=1e-5)
    fees = grid(FINE, minimum_spread=1, edge_bps=0.5)  # maker fee 2 bps, twice, and the edge
    fees.quote(6_000_000, 6_000_001)
    assert fees.spread == pytest.approx(4.5e-4 * 60_000, rel=1e-5)


def test_final_order_distance_from_the_inner_quote_or_from_the_mid():
    inner, mid = (
        grid(FINE, minimum_spread=10, final_order_distance=5, final_order_distance_from=origin)
        for origin in ("inner", "mid")
    )
    for quoter, spreads in ((inner, 5.5), (mid, 5.0)):
        quoter.quote(6_000_000, 6_000_002)
        assert 6_000_001 - quoter.bids[-1][0] == pytest.approx(spreads * 6_000, abs=2)


def test_the_endpoints_of_a_ladder_are_exact():
    # 60,000 with a spread of 60: inner quotes on the tick at 59,970 and 60,030, nothing lost.
    quoter = grid(FINE, minimum_spread=10, final_order_distance=10)
    quoter.quote(5_999_999, 6_000_001)
    assert [quoter.bids[0][0], quoter.bids[-1][0]] == [5_997_000, 5_937_000]
    assert [quoter.asks[0][0], quoter.asks[-1][0]] == [6_003_000, 6_063_000]


def test_where_the_ladder_is_finer_than_the_tick_levels_shift_outwards():
    quoter = grid(
        FINE, minimum_spread=0.1, maximum_spread=0.1, final_order_distance=0.5, orders_per_side=6
    )
    quoter.quote(6_000, 6_001)
    assert [t for t, _ in quoter.bids] == [6_000 - i for i in range(6)]
    assert [t for t, _ in quoter.asks] == [6_001 + i for i in range(6)]


def test_the_microprice_can_be_the_centre():
    quoter = grid(FINE, anchor="microprice", minimum_spread=10)
    quoter.quote(6_000_000, 6_000_100, microprice=60_000.9)
    assert quoter.fair == 60_000.9
    quoter.quote(6_000_000, 6_000_100)  # none yet: the mid
    assert quoter.fair == 60_000.5


def test_a_used_up_budget_stops_its_side():
    quoter = grid(FINE, max_position_usd=120_000)
    quoter.quote(6_000_000, 6_000_001, position_qty=1_000)
    assert quoter.bids == [] and quoter.asks != [] and quoter.why[0] == Suppressed.NO_BUDGET
    quoter.quote(6_000_000, 6_000_001, position_qty=-1_000)
    assert quoter.asks == [] and quoter.bids != [] and quoter.why[1] == Suppressed.NO_BUDGET
    early = grid(FINE, max_position_usd=120_000, stop_delta=0.2)
    early.quote(6_000_000, 6_000_001, position_qty=400)
    assert early.bids == [] and early.asks != []


def test_minimums_are_inclusive():
    # One level of exactly 100 quote currency on each side, at a minimum of 100.
    for worth, kept in ((100, True), (101, False)):
        spec = SpecBox("1", 3, "1", 1, 1, 0, worth * 10**8, 0, 0, 0, 0, 0)
        quoter = Quoter(GridStrategy(max_position_usd=200, orders_per_side=1,
                                     minimum_spread=4000), spec)  # fmt: skip
        quoter.quote(124, 126)
        assert quoter.bids == ([(100, 1_000)] if kept else [])
        assert bool(quoter.why[0] & Suppressed.NO_MIN_NOTIONAL) != kept
    for least, kept in ((1_000, True), (1_001, False)):
        spec = SpecBox("1", 3, "1", 1, least, 0, 0, 0, 0, 0, 0, 0)
        quoter = Quoter(GridStrategy(max_position_usd=200, orders_per_side=1,
                                     minimum_spread=4000), spec)  # fmt: skip
        quoter.quote(124, 126)
        assert bool(quoter.bids) == kept
        assert bool(quoter.why[0] & Suppressed.NO_MIN_QTY) != kept


def test_sizes_are_floored_to_lots_after_the_cap():
    spec = SpecBox("1", 0, "1", 10, 10, 95, 0, 0, 0, 0, 0, 0)
    quoter = two_sided(spec, target_liquidity=200, max_absolute_position_size=1_000)
    quoter.quote(10_000, 10_001)
    assert quoter.bids[0][1] == 90
    quoter.quote(10_000, 10_001, buy_room=47, sell_room=9)
    assert quoter.bids[0][1] == 40 and quoter.asks == [] and quoter.why[1] == Suppressed.NO_ROOM


def test_inverse_contracts_are_counted_in_contracts():
    spec = SpecBox("0.1", 0, "100", 1, 1, 0, 0, 0, 0, ContractKind.INVERSE, 0, 0)
    quoter = grid(spec, max_position_usd=100_000, size_profile="flat", orders_per_side=5)
    quoter.quote(600_000, 600_001, position_qty=100)  # 100 contracts of 100: 10,000 long
    assert [qty for _, qty in quoter.bids] == [80] * 5  # 50,000 - 10,000 over 5 levels
    assert [qty for _, qty in quoter.asks] == [120] * 5
    assert quoter.skew[1] == pytest.approx(-0.63 * math.sqrt(0.1))


def test_five_significant_figures():
    spec = known("hyperliquid", "ETH").spec()
    quoter = Quoter(GridStrategy(max_position_usd=1e5, orders_per_side=8), spec)
    bid = spec.price_floor(3_456.7)
    quoter.quote(bid, spec.tick_up(bid))
    for side in (quoter.bids, quoter.asks):
        for tick, _ in side:
            text = f"{spec.price(tick):.10f}".rstrip("0").rstrip(".")
            assert len(text.replace(".", "").lstrip("0")) <= 5


@pytest.mark.parametrize(("bid", "ask"), [(100, 100), (101, 100), (-(2**63), 100), (5, 2**63 - 1)])
def test_without_a_sound_touch_nothing_is_quoted(bid, ask):
    for quoter in (grid(), two_sided()):
        assert quoter.quote(bid, ask) == 0
        assert quoter.why == (Suppressed.NO_BOOK, Suppressed.NO_BOOK)


def test_prices_that_fall_below_one_tick_are_left_out():
    quoter = grid(FINE, minimum_spread=5_000, final_order_distance=50, orders_per_side=6)
    quoter.quote(3, 4)
    assert all(tick > 0 for tick, _ in quoter.bids) and quoter.why[0] & Suppressed.NO_PRICE


def test_out_of_bounds_beyond_the_spread_from_the_last_mid():
    quoter = grid(FINE, minimum_spread=10)
    quoter.quote(5_999_999, 6_000_001)
    assert quoter.bounds(5_999_999, 6_000_001, 60_000.0) == pytest.approx(60.0)
    assert not quoter.out_of_bounds(60_000.0) and not quoter.out_of_bounds(59_941.0)
    assert quoter.out_of_bounds(59_939.0) and quoter.out_of_bounds(60_061.0)
    assert quoter.out_of_bounds(0.0)
    assert two_sided().out_of_bounds(60_000.0)


def test_positive_and_negative_ladders_for_a_given_skew():
    quoter = grid(FINE, minimum_spread=10)
    for skew, inner in ((1.0, (6_000_000, 6_006_000)), (-1.0, (5_994_000, 6_000_000))):
        quoter.ladders(5_999_990, 6_000_010, 60.0, skew)
        assert (quoter.bids[0][0], quoter.asks[0][0]) == inner
    with pytest.raises(ValueError, match="ladders"):
        quoter.ladders(5_999_990, 6_000_010, 0.0, 0.5)
    with pytest.raises(ValueError, match="two_sided"):
        two_sided().ladders(1, 2, 1.0, 0.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("asset", 0), ("asset", math.nan), ("leverage", -1), ("margin", 0), ("margin", 1.01),
        ("max_position_usd", 0), ("orders_per_side", 0), ("orders_per_side", 33),
        ("orders_per_side", 4.0), ("orders_per_side", True), ("final_order_distance", 0),
        ("final_order_distance", math.inf), ("minimum_spread", -1), ("maximum_spread", 5),
        ("edge_bps", -1), ("volatility_factor", -1), ("anchor", "touch"), ("requote_spreads", 0),
        ("inventory", "none"), ("kappa", -0.1), ("kappa", math.nan), ("stop_delta", 1.5),
        ("size_profile", "even"), ("size_ratio_favoured", 1.1), ("size_ratio_other", -0.1),
        ("size_ratio_range", (0.6, 0.1)), ("final_order_distance_from", "touch"), ("asset", "many"),
    ],
)  # fmt: skip
def test_a_grid_names_the_argument_it_refuses(name, value):
    with pytest.raises(ValueError, match=name):
        GridStrategy(**{"asset": 1_000, "minimum_spread": 10, name: value})


def test_a_grid_needs_to_know_how_much():
    with pytest.raises(ValueError, match="asset or max_position_usd"):
        GridStrategy()
    assert GridStrategy(asset=100, leverage=12).max_position_usd == pytest.approx(1_116.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_liquidity", 0), ("half_spread", 0), ("half_spread", 10_000),
        ("max_bps_diff", -1), ("max_absolute_position_size", -5), ("asset_type", "option"),
        ("inventory_skew_factor", 1.01), ("inventory_skew_factor", math.nan),
        ("book_imbalance_factor", -0.01), ("depth_analysis_levels", 0), ("max_skew_bps", -1),
        ("skew_application", "none"), ("anchor", ""),
    ],
)  # fmt: skip
def test_two_sided_names_the_argument_it_refuses(name, value):
    with pytest.raises(ValueError, match=name):
        two_sided(**{name: value})


def test_the_common_face_is_not_a_strategy():
    with pytest.raises(TypeError, match="GridStrategy"):
        Strategy()
    assert grid().strategy.kind == "grid" and two_sided().strategy.kind == "two_sided"
    assert GridStrategy(asset=1, weights=Weights(predict=0.0)).kind == "grid"
