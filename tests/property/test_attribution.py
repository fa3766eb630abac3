"""The terms of a profit add up to what the compiled ledger says, for every kind of contract."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore._ledger import Ledger
from mmcore.attribution import as_facts, attribute, summed
from mmcore.fills import QUANTA, Account, MidPath, fills_on
from mmcore.instrument import known
from mmcore.metrics import equity
from mmcore.traded import scale_of

KINDS = {
    "linear": known("binance-usdm", "BTCUSDT"),
    "inverse": known("binance-coinm", "BTCUSD_PERP"),
    "spot": known("binance-spot", "BTCUSDT"),
}
S = 1_000_000_000
MOVES = st.lists(st.integers(-40, 40), min_size=2, max_size=30)
TRADES = st.lists(
    st.tuples(
        st.integers(0, 40),  # seconds
        st.sampled_from([1, -1]),
        st.integers(-30, 30),  # ticks from the start
        st.integers(1, 50),  # lots
        st.integers(-50_000, 200_000),  # fee, quanta
        st.booleans(),
    ),
    max_size=30,
)


def path_over(moves: list[int]) -> MidPath:
    bids = 600_000 + np.cumsum(moves)
    return MidPath.of(np.arange(len(bids)) * S, bids, bids + 1)


@pytest.mark.parametrize("kind", KINDS)
@given(moves=MOVES, trades=TRADES)
def test_the_identity_closes_and_net_is_the_ledgers(kind, moves, trades):
    item, path = KINDS[kind], path_over(moves)
    ledger = Ledger(item.spec())
    rows = sorted(trades, key=lambda trade: trade[0])
    for _, side, tick, lots, fee, maker in rows:
        ledger.fill(side, 600_000 + tick, lots * item.lot_qty, fee=fee, maker=maker)
    columns = [np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)] or (
        [np.zeros(0, np.int64)] * 6
    )
    ts, side, tick, lots, fee, maker = columns
    fills = fills_on(
        path, ts * S, side, 600_000 + tick, lots * item.lot_qty, maker=maker > 0, fee=fee
    )
    terms = attribute(fills, path, scale_of(item))
    assert terms.residual_relative < 1e-9
    bid = 600_000 + int(np.sum(moves))
    told = ledger.equity(bid, bid + 1) * QUANTA
    assert terms.net == pytest.approx(told, abs=(len(rows) + 2) * QUANTA)
    series = equity(path.ts_ns[-1:] + 100 * S, Account.of_fills(fills), path, scale_of(item))
    assert series[-1] == pytest.approx(terms.net, abs=1e-6)
    assert terms.gross - terms.fees + terms.rebates == pytest.approx(terms.net, abs=1e-6)


@given(moves=MOVES, trades=TRADES)
def test_fees_in_the_coin_funding_and_a_start_position_keep_the_identity(moves, trades):
    item, path = KINDS["spot"], path_over(moves)
    scale, n = scale_of(item), len(trades)
    ledger = Ledger(item.spec())
    start = 7 * item.lot_qty
    rows = sorted(trades, key=lambda trade: trade[0])
    for _, side, tick, lots, _, _ in rows:
        ledger.fill(side, 600_000 + tick, lots * item.lot_qty)
        ledger.coin_fee(600_000 + tick, lots)
        ledger.receive(-321)
    ts = np.array([row[0] * S for row in rows], dtype=np.int64)
    side = np.array([row[1] for row in rows], dtype=np.int64)
    tick = np.array([600_000 + row[2] for row in rows], dtype=np.int64)
    lots = np.array([row[3] for row in rows], dtype=np.int64)
    fills = fills_on(path, ts, side, tick, lots * item.lot_qty)
    coin = np.arange(2 * n) >= n
    account = Account(
        np.tile(ts, 2),
        np.concatenate([side * lots * item.lot_qty, -lots]),
        np.tile(tick, 2),
        np.concatenate([np.zeros(n), scale.worth(tick) * lots]),
        np.where(coin, -321 * QUANTA, 0.0),
        coin,
        start,
    )
    terms = attribute(fills, path, scale, account)
    assert terms.residual_relative < 1e-9
    bid = 600_000 + int(np.sum(moves))
    held = start * float(scale.gain(path.mid[0], path.mid[-1]))
    told = ledger.equity(bid, bid + 1) * QUANTA + held
    assert terms.net == pytest.approx(told, abs=(2 * n + 3) * QUANTA)
    assert terms.funding == pytest.approx(-321 * QUANTA * n)


def test_sums_and_facts_keep_every_term():
    path = path_over([0, 3])
    fills = fills_on(path, [S], [1], [600_000], [1000], maker=False, fee=-5)
    terms = attribute(fills, path, scale_of(KINDS["linear"]))
    twice = summed([terms, terms])
    assert twice.net == 2 * terms.net
    assert twice.rebates == pytest.approx(1e-7)
    assert as_facts(twice)["gross"] == pytest.approx(twice.spread_capture + twice.inventory)
    assert terms.taker_slippage == terms.spread_capture
    assert math.isclose(terms.spread_capture, 0.5 * 0.1)
