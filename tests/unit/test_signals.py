"""The feature engine at named points: dead band, votes, warm-up, breaks, windows, refusals."""

import math

import pytest

from mmcore._book import Book
from mmcore._signals import (
    Signals,
    Weights,
    dead_banded,
    forecast_vote,
    imbalance_ratio,
    microprice,
    skew_signal,
)

S = 10**9
FLAT = ([(100, 5), (99, 5)], [(102, 5), (103, 5)])


def test_pieces():
    assert imbalance_ratio(3, 1) == 0.5 and imbalance_ratio(0, 0) == 0.0
    assert dead_banded(0.2, 0.2) == 0.0 and dead_banded(-0.21, 0.2) == -0.21
    assert microprice(100, 102, 3, 1) == 101.5 and microprice(100, 102, 0, 0) == 101.0


@pytest.mark.parametrize(
    ("log_return", "closer", "halves", "ladder"),
    [
        (6e-4, 1, 1.0, 1.0), (6e-4, -1, 0.0, 0.5), (6e-4, 0, 0.5, 0.5), (0.0, 1, 0.5, 0.5),
        (0.0, -1, -0.5, -0.5), (-6e-4, -1, -1.0, -1.0), (-6e-4, 1, 0.0, 0.5), (0.0, 0, 0.0, 0.0),
    ],
)  # fmt: skip
def test_votes_of_the_forecast(log_return, closer, halves, ladder):
    # With a bearish forecast and a bullish microprice the original voted up: the defect F5.
    assert forecast_vote(log_return, closer, 5e-4, 0) == halves
    assert forecast_vote(log_return, closer, 5e-4, 1) == ladder


def test_the_skew_adds_its_parts_by_weight():
    assert skew_signal([0.5]) == pytest.approx(0.25 * 0.5 + 0.10 * 0.5)
    assert skew_signal([0.2]) == 0.0
    assert skew_signal([0.0], voi=3, ofi=-2, deep_ofi=[-1]) == pytest.approx(-0.1)
    assert skew_signal([0.0], predicted=1.001, microprice=1.0001) == pytest.approx(0.35)
    assert skew_signal([0.0], predicted=0.0, microprice=1.0001) == 0.0  # no forecast, no vote
    assert skew_signal([1.0], voi=1, ofi=1, deep_ofi=[1], predicted=2, microprice=1.1) == 1.0
    only = Weights(imbalance=0, deep_imbalance=0, voi=0, ofi=0, deep_ofi=0, predict=0, trade=0.3)
    assert skew_signal([1.0], trade_imbalance=-0.5, weights=only) == pytest.approx(-0.15)
    with pytest.raises(ValueError, match="depths"):
        skew_signal([])


def test_a_depth_said_twice_counts_once():
    signals = Signals((2, 2, 1))
    signals.levels(*FLAT, S)
    assert len(signals.values["imbalance"]) == 2


def test_from_a_book_or_from_levels_is_the_same():
    book = Book()
    book.load(*FLAT)
    a, b = Signals((1, 2)), Signals((1, 2))
    a.book(book, S)
    b.levels(*FLAT, S)
    assert a.values == b.values


def test_the_first_book_has_no_flow_and_a_break_forgets_the_last():
    signals = Signals((1,))
    signals.levels(*FLAT, S)
    assert (signals.values["voi"], signals.values["ofi"]) == (0.0, 0.0)
    signals.levels([(101, 5)], [(102, 5)], 2 * S)
    assert signals.values["ofi"] == 5.0
    signals.gap()
    signals.levels([(90, 5)], [(91, 5)], 3 * S)
    assert (signals.values["ofi"], signals.values["expected_return"]) == (0.0, 0.0)


@pytest.mark.parametrize("broken", [([], FLAT[1]), (FLAT[0], []), ([(102, 1)], [(102, 1)])])
def test_an_unsound_book_breaks_the_chain(broken):
    signals = Signals((1,))
    signals.levels(*FLAT, S)
    signals.levels(*broken, 2 * S)
    signals.levels([(101, 9)], [(102, 5)], 3 * S)
    assert signals.values["n_books"] == 2 and signals.values["ofi"] == 0.0


def test_flows_take_away_what_stood_there_before():
    signals = Signals((1,))
    signals.levels([(100, 7)], [(102, 5)], S)
    signals.levels([(99, 3)], [(102, 5)], 2 * S)  # the bid fell: its 7 are gone
    assert (signals.values["voi"], signals.values["ofi"]) == (0.0, -7.0)
    signals.levels([(99, 3)], [(103, 4)], 3 * S)  # the ask rose: its 5 are gone
    assert (signals.values["voi"], signals.values["ofi"]) == (0.0, 5.0)


def test_volatility_is_per_square_root_of_real_time_and_needs_its_samples():
    signals = Signals((1,), volatility_samples=4)
    mids = [100, 102, 100, 102, 100]
    for i, mid in enumerate(mids):
        assert signals.values["volatility"] == 0.0
        signals.levels([(mid - 1, 1)], [(mid + 1, 1)], (1 + 4 * i) * S)
    assert signals.values["volatility"] == pytest.approx(math.log(1.02) / 2, rel=1e-12)


def test_time_that_runs_backwards_adds_no_time():
    signals = Signals((1,), volatility_samples=2)
    for i, ts in enumerate((5 * S, 6 * S, 3 * S, 4 * S)):
        signals.levels([(99 + i % 2, 1)], [(101 + i % 2, 1)], ts)
    assert signals.values["volatility"] > 0.0


def test_prints_average_by_size_and_by_coin_for_inverse_contracts():
    linear, inverse = Signals((1,)), Signals((1,), inverse=True)
    for signals in (linear, inverse):
        signals.trade(1, 100, 100)
        signals.trade(-1, 200, 100)
        signals.trade(1, 0, 5)  # no price: ignored
        signals.trade(0, 100, 5)  # no side: ignored
        signals.levels(*FLAT, S)
    assert linear.values["average_trade_price"] == 150.0
    assert inverse.values["average_trade_price"] == pytest.approx(200 / 1.5)
    assert linear.values["trade_imbalance"] == 0.0
    linear.levels(*FLAT, 2 * S)  # nothing new: unchanged
    assert linear.values["average_trade_price"] == 150.0


def test_the_trade_imbalance_waits_for_its_samples_and_forgets_old_prints():
    signals = Signals((1,), trade_samples=3, trade_window=10)
    for expected in (0.0, 0.0, 1.0):
        signals.trade(1, 100, 2)
        assert signals.values["trade_imbalance"] == expected
    for _ in range(10):
        signals.trade(-1, 100, 2)
    assert signals.values["trade_imbalance"] == -1.0


def alternating(signals, n):
    """Books on which a full bid is always followed by a rise and a full ask by a fall."""
    for i in range(n):
        up = i % 2
        signals.levels([(1_000 + up, 1 + 8 * (1 - up))], [(1_002 + up, 1 + 8 * up)], (i + 1) * S)


def test_the_forecast_learns_what_always_happens_next():
    signals = Signals((1,), tick_window=100, forecast_samples=10)
    alternating(signals, 5)
    assert signals.values["predicted"] == 0.0 and not signals.values["fitted"]
    alternating(signals, 101)
    now = signals.values
    assert now["fitted"]
    # The last book leans to the bid (microprice 1001.8); the next one's leans to the ask at 1001.2.
    assert now["predicted"] == pytest.approx(1_001.2, abs=0.02)


def test_the_original_forecast_is_the_mean_of_the_window():
    signals = Signals((1,), tick_window=20, forecast="mean", forecast_samples=2)
    for i, mid in enumerate((1_000, 1_010, 1_020, 1_030)):
        signals.levels([(mid - 1, 1)], [(mid + 1, 1)], (i + 1) * S)
    assert signals.values["predicted"] == pytest.approx(1_020.0)


def test_a_market_that_stands_still_gives_no_nonsense():
    signals = Signals((1, 2), tick_window=20)
    for i in range(200):
        signals.levels(*FLAT, (i + 1) * S)
    now = signals.values
    assert now["volatility"] == 0.0 and signals.skew() == 0.0
    assert now["predicted"] == pytest.approx(101.0) and all(map(math.isfinite, signals.beta))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depths", ()), ("depths", (0,)), ("depths", (129,)), ("depths", (1.5,)),
        ("depths", tuple(range(1, 10))), ("tick_window", 9), ("volatility_window", 9),
        ("trade_window", 1), ("forecast", "last"), ("ridge", -1.0), ("ridge", math.nan),
    ],
)  # fmt: skip
def test_signals_name_the_argument_they_refuse(name, value):
    with pytest.raises(ValueError, match=name):
        Signals(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("imbalance", 0.5), ("trade", -0.1), ("predict", math.nan), ("dead_band", 1.0),
        ("forecast_gate_bps", -1.0), ("vote", "loud"),
    ],
)  # fmt: skip
def test_weights_name_the_argument_they_refuse(name, value):
    with pytest.raises(ValueError, match=name if name not in ("imbalance", "trade", "predict")
                       else "skew weights"):  # fmt: skip
        Weights(**{name: value})


def test_deep_flow_by_size_instead_of_sign():
    signals = Signals((1,))
    signals.levels([(100, 10)], [(102, 10)], S)
    signals.levels([(100, 20)], [(102, 10)], 2 * S)
    only = {"imbalance": 0, "deep_imbalance": 0, "voi": 0, "ofi": 0, "deep_ofi": 1, "predict": 0}
    assert signals.skew(Weights(**only)) == 1.0
    assert signals.skew(Weights(**only, deep_magnitude=True)) == pytest.approx(10 / 30)
