"""Kinds of market: the names of made paths, and of the synthetic market's own regimes."""

from collections import Counter

import numpy as np
import pytest

from mmcore._book import Book
from mmcore._path import path_of
from mmcore.events import Flag
from mmcore.fills import MidPath
from mmcore.instrument import known
from mmcore.regimes import NAMES, STEP_S, WORDS, named, regime_at, stretches
from mmcore.synthetic import PRESETS, REGIMES, SyntheticSource, market, together
from mmcore.traded import market_of

GRID = np.arange(0, 301, round(STEP_S), dtype=np.int64) * 10**9
RNG = np.random.default_rng(11)
NOISE = RNG.standard_normal(len(GRID))


def mids(bps):
    return 60_000.0 * np.exp(1e-4 * np.asarray(bps))


@pytest.mark.parametrize(
    ("bps", "name"),
    [
        (np.cumsum(0.8 * NOISE), "quiet"),
        (3.0 * NOISE, "ranging"),
        (np.cumsum(8.0 * NOISE), "volatile"),
        (np.linspace(0, 90, len(GRID)) + NOISE, "trend"),
        (np.linspace(0, -90, len(GRID)) + NOISE, "trend"),
        (np.interp(np.arange(31), [0, 10, 14, 22, 30], [0, 0, -150, -20, -20]) + NOISE, "flash"),
        (np.interp(np.arange(31), [0, 10, 14, 22, 30], [0, 0, 150, 20, 20]) + NOISE, "flash"),
        (np.zeros(len(GRID)), "quiet"),
    ],
)
def test_made_paths_have_their_names(bps, name):
    assert named(GRID, mids(bps)).regime == name


def test_a_fall_that_stays_is_no_flash():
    stays = np.interp(np.arange(31), [0, 10, 14, 30], [0, 0, -150, -150]) + NOISE
    found = named(GRID, mids(stays))
    assert found.regime != "flash"
    assert found.fast_bp == pytest.approx(-150, abs=5)


def test_stretches_cover_a_path_and_the_stub_is_left_out():
    ts = np.arange(0, 700, 1, dtype=np.int64) * 10**9
    bid = np.full(len(ts), 600_000)
    path = MidPath.of(ts, bid, bid + 1)
    found = stretches(path)
    assert [each.start_ns // 10**9 for each in found] == [0, 300]
    times = np.array([0, 299, 300, 599, 650], dtype=np.int64) * 10**9
    assert regime_at(found, times) == ["quiet"] * 4 + [""]
    assert regime_at([], times) == [""] * 5
    assert set(WORDS) == set(NAMES)


def path_in(regime, seconds, seed):
    made = market(known("synthetic", "BTCUSDT"), REGIMES[regime].of(PRESETS["busy"]))
    source = SyntheticSource([made], seconds=seconds, seed=seed)
    book, touches, prints = Book(source.instruments[0].spec(0)), [], []
    while (block := source.next_block()) is not None:
        touch, printed = path_of(book, block, flag=Flag.EXCH)
        touches.append(touch)
        prints.append(printed)
    return market_of(book, np.concatenate(touches), np.concatenate(prints), venue=True)[1]


@pytest.mark.parametrize("regime", ["ranging", "volatile", "trend", "quiet"])
def test_the_synthetic_market_is_called_what_it_was_made_as(regime):
    names = Counter(each.regime for each in stretches(path_in(regime, 900.0, 4)))
    assert names.most_common(1)[0][0] == regime


@pytest.mark.slow
def test_a_synthetic_crash_is_found():
    names = Counter(each.regime for each in stretches(path_in("flash", 1800.0, 1)))
    assert names["flash"] >= 1


def test_no_regime_is_the_preset_itself():
    for preset in PRESETS.values():
        assert REGIMES["none"].of(preset) == preset
    assert set(REGIMES) == {"none", *NAMES}


def test_the_seed_decides_where_a_trend_goes():
    moves = {seed: path_in("trend", 120.0, seed).mid for seed in range(1, 7)}
    assert {np.sign(mid[-1] - mid[0]) for mid in moves.values()} == {-1.0, 1.0}


def test_a_follower_has_its_leaders_regime_only():
    made = [
        market(known("synthetic", symbol), REGIMES["flash"].of(PRESETS["busy"]))
        for symbol in ("BTCUSDT", "ETHUSDT")
    ]
    leader, follower = together(made)
    assert leader.preset.flash > 0
    assert (follower.preset.flash, follower.preset.drift, follower.preset.home) == (0, 0, 0)
