"""Orders out of records, mids around fills, markouts with their bands, ratios: by hand."""

import math

import numpy as np
import pytest

from mmcore.charts import thin
from mmcore.events import RECORD, RecordKind
from mmcore.fills import Account, MidPath, Scale, fills_on, orders_of
from mmcore.markouts import band, block_of, curves, groups, markout, mean_of
from mmcore.metrics import (
    equity,
    grid_of,
    interval_of,
    inventory_of,
    order_figures,
    peak,
    risk_of,
)
from mmcore.words import duration, money

S = 1_000_000_000


def path(bids, **more):
    bids = np.array(bids)
    return MidPath.of(np.arange(len(bids)) * S, bids, np.where(bids > 0, bids + 2, 0), **more)


def records(*rows):
    out = np.zeros(len(rows), RECORD)
    for i, (kind, ts, slot, qty, *more) in enumerate(rows):
        out[i]["kind"], out[i]["ts_ns"], out[i]["slot"], out[i]["qty"] = kind, ts, slot, qty
        for name, value in zip(("side", "tick"), more, strict=False):
            out[i][name] = value
    return out


# -- the path


def test_a_mid_is_the_one_before_the_fill_never_the_one_it_made():
    seen = path([100, 110, 120])
    assert seen.mid[seen.before([S, S + 1])].tolist() == [101.0, 111.0]
    assert seen.mid[seen.at([S, 2 * S, 9 * S])].tolist() == [111.0, 121.0, 121.0]


def test_a_book_that_cannot_be_used_keeps_its_last_mid_and_is_timed():
    seen = path([0, 100, 0, 120], end_ns=5 * S)
    assert seen.mid.tolist() == [101.0, 101.0, 121.0]
    assert (seen.seconds_unusable, seen.seconds) == (1.0, 4.0)


def test_a_book_that_was_never_usable_is_refused():
    with pytest.raises(ValueError, match="never usable"):
        path([0, 0])


def test_a_line_made_shorter_keeps_its_extremes_and_the_gaps_that_can_be_seen():
    values = np.sin(np.arange(100_000) / 700.0)
    values[5::10] = np.nan  # a short gap in every stretch
    values[40_000:60_000] = np.nan
    values[70_001], values[80_001] = 7.0, -7.0
    at, kept = thin(np.arange(100_000) * S, values, points=100)
    assert len(at) <= 202 and (np.diff(at) > 0).all()
    assert (np.nanmax(kept), np.nanmin(kept)) == (7.0, -7.0)
    seconds = at // S
    assert np.isnan(kept[(seconds > 41_000) & (seconds < 59_000)]).all()
    shown = (seconds < 39_000) | ((seconds > 61_000) & (seconds < 99_000))
    assert np.isfinite(kept[shown]).all() and shown.sum() > 100
    same = thin(np.arange(5), np.arange(5.0), points=100)
    assert same[1].tolist() == [0, 1, 2, 3, 4]


# -- orders


def test_an_order_is_followed_from_place_to_its_end():
    kind = RecordKind
    orders, number = orders_of(
        records(
            (kind.PLACE, 0, 0, 10, 1, 500),
            (kind.PLACE, 0, 1, 4, -1, 600),
            (kind.PLACE, 1, 2, 5, 1, 400),
            (kind.ACK, 5, 0, 10, 1, 500),
            (kind.ACK, 5, 1, 4, -1, 600),
            (kind.REJECT, 6, 2, 0, 1, 400),
            (kind.FILL, 7, 0, 6, 1, 500),
            (kind.AMENDED, 8, 0, 9, 1, 501),
            (kind.REJECT, 9, 0, 0, 1, 501),  # of a later amend: the order stands
            (kind.FILL, 10, 0, 9, 1, 501),
            (kind.CANCELLED, 11, 1, 4, -1, 600),
            (kind.STATUS, 12, 0, 0),
        )
    )
    assert number.tolist() == [0, 1, 2, 0, 1, 2, 0, 0, 0, 0, 1, -1]
    assert orders["ending"].tolist() == [kind.FILL, kind.CANCELLED, kind.REJECT]
    assert orders["filled"].tolist() == [15, 0, 0]
    assert orders["qty"].tolist() == [15, 4, 5]
    assert orders["first_fill_ns"].tolist() == [7, -1, -1]
    assert orders["ended_ns"].tolist() == [10, 11, 6]
    assert orders["amends"].tolist() == [1, 0, 0]


def test_an_order_that_was_open_at_the_end_has_no_end():
    orders, _ = orders_of(
        records((RecordKind.PLACE, 0, 0, 10, 1, 5), (RecordKind.FILL, 2, 0, 3, 1, 5))
    )
    assert orders[["ending", "ended_ns", "filled", "qty"]].tolist() == [(0, -1, 3, 10)]


def test_a_journal_without_orders_has_none():
    orders, number = orders_of(records((RecordKind.STATUS, 0, 0, 0)))
    assert (len(orders), number.tolist()) == (0, [-1])


def test_figures_of_orders():
    kind = RecordKind
    orders, _ = orders_of(
        records(
            (kind.PLACE, 0, 0, 10, 1, 5),
            (kind.PLACE, 0, 1, 10, 1, 4),
            (kind.ACK, 0, 0, 10, 1, 5),
            (kind.ACK, 0, 1, 10, 1, 4),
            (kind.FILL, 2 * S, 0, 10, 1, 5),
            (kind.CANCELLED, 3 * S, 1, 10, 1, 4),
        )
    )
    figures = order_figures(orders, np.array([0, 0, S // 2, 3 * S]), 10.0)
    assert (figures.fill_ratio, figures.fill_ratio_qty, figures.cancels_per_fill) == (0.5, 0.5, 1)
    assert (figures.time_to_fill_s, figures.rested_s) == ((2.0, 2.0), 3.0)
    assert (figures.calls_per_s, figures.calls_per_s_max) == (0.4, 3)
    assert peak(np.zeros(0, np.int64), 1.0) == 0


# -- markouts


def test_a_markout_ends_with_the_tape():
    seen = path([100, 110, 90])
    fills = fills_on(seen, [S // 2, S // 2], [1, -1], [101, 101], [3, 1])
    assert markout(fills, seen, 1.0).tolist() == [10.0, -10.0]
    assert np.isnan(markout(fills, seen, 5.0)).all()
    assert mean_of(markout(fills, seen, 1.0), fills["qty"]) == 5.0


def test_groups_hold_every_fill_once_for_each_way_of_telling_them_apart():
    seen = path([100] * 8)
    fills = fills_on(seen, np.arange(6) * S, [1, 1, 1, -1, -1, -1], [101] * 6, [1] * 6)
    fills["imbalance"] = [0.9, 0, -0.9, 0.9, 0, -0.9]
    fills["level"] = [0, 0, 1, 1, 2, 2]
    by = {}
    for kind, name, mask in groups(fills):
        by.setdefault(kind, []).append((name, int(mask.sum())))
    assert {kind: sum(count for _, count in found) for kind, found in by.items()} == dict.fromkeys(
        by, 6
    )
    assert by["imbalance"] == [("against us", 2), ("balanced", 2), ("for us", 2)]


def test_bands_are_seeded_hold_the_mean_and_want_enough_fills():
    rng = np.random.default_rng(7)
    values, weights = rng.normal(3, 1, 400), np.ones(400)
    low, high = band(values, weights, 8)
    assert low < values.mean() < high < low + 0.5
    assert band(values, weights, 8) == (low, high)
    assert all(map(math.isnan, band(values[:4], weights[:4], 1)))


def test_blocks_grow_with_the_fills_that_share_a_horizon():
    ts = np.arange(1000) * S
    assert (block_of(ts, 0.1), block_of(ts, 60.0)) == (10, 60)
    assert block_of(ts[:8], 60.0) == 2


def test_a_group_without_a_followed_fill_has_no_figures():
    seen = path([100, 101])
    fills = fills_on(seen, [S], [1], [101], [1])
    everything = curves(fills, seen, horizons_s=(5.0,))[0]
    assert everything.fills.tolist() == [0]
    assert np.isnan([everything.mean, everything.low, everything.mean_bps]).all()


# -- risk and inventory


def test_drawdown_has_depth_length_and_time_under_water():
    risk = risk_of(np.array([0.0, 5, 3, 1, 4, 6, 5]), 10.0)
    assert (risk.drawdown, risk.drawdown_s, risk.annualised) == (4.0, 40.0, False)
    assert risk.under_water == pytest.approx(4 / 7)
    unhurt = risk_of(np.array([0.0, 1, 2, 3]), 10.0)
    assert (unhurt.drawdown, unhurt.drawdown_s) == (0, 0)
    assert math.isnan(unhurt.sharpe) and math.isnan(unhurt.sortino)


def test_nothing_is_annualised_below_five_days():
    rng = np.random.default_rng(3)
    for days, annualised in ((4.9, False), (5.1, True)):
        series = rng.normal(0.1, 1, int(days * 1440)).cumsum()
        risk = risk_of(series, 60.0)
        steps = np.diff(series)
        factor = math.sqrt(365 * 1440) if annualised else 1
        assert risk.annualised is annualised
        assert risk.sharpe == pytest.approx(steps.mean() / steps.std(ddof=1) * factor)


def test_the_interval_leaves_enough_points():
    assert [interval_of(s) for s in (10, 345, 3600, 86_400, 10 * 86_400)] == [1, 1, 10, 300, 3600]


def test_equity_follows_the_mid_of_what_is_held():
    seen, scale = path([100, 110, 90]), Scale(tick=0.5, unit=0.1)
    fills = fills_on(seen, [S // 2], [1], [101], [20], fee=100_000_000)
    series = equity(grid_of(0, 2 * S, 1.0), Account.of_fills(fills), seen, scale)
    assert series.tolist() == pytest.approx([0.0, 9.0, -11.0])


def test_inventory_is_weighted_by_time():
    held = inventory_of(
        np.array([2, 6]) * S, np.array([4.0, -2.0]), 0, 10 * S, before=0.0, limit=4.0
    )
    assert (held.mean, held.mean_abs, held.max_abs) == (0.8, 2.4, 4.0)
    assert (held.at_limit, held.flips) == (0.4, 1)
    assert held.quantiles[0] == -2.0 and held.quantiles[-1] == 4.0


# -- words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.01, "10 ms"),
        (20.4, "20.4 s"),
        (300, "5 min"),
        (345, "5 min 45 s"),
        (87_600, "24 h 20 min"),
        (259_200, "3.0 days"),
    ],
)
def test_time_is_said_as_people_do(seconds, said):
    assert duration(seconds) == said


def test_money_has_as_many_figures_as_matter():
    assert [money(value, "X") for value in (1234.5, 0.0123, 0.00000123, 0.0)] == [
        "1,234.50 X", "0.0123 X", "0.00000123 X", "0.00 X",
    ]  # fmt: skip
