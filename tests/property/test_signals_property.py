"""The feature engine against a naive model that keeps every row, on random books and prints."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcore._signals import Signals, Weights, skew_signal

DEPTHS = (2, 1, 4)
WINDOW = 40
BLOCK = WINDOW // 10


class Naive:
    """Formulas of docs/strategy.md, section 5, over lists of everything that happened."""

    def __init__(self):
        self.books, self.rows, self.returns, self.prints = [], [], [], []
        self.new, self.average, self.beta, self.linked, self.row = [], 0.0, None, False, None

    def book(self, bids, asks, ts):
        before = self.books[-1] if self.books else None
        depth = {
            d: [sum(math.exp(-i / 2) * q for i, (_, q) in enumerate(side[:d]))
                for side in (bids, asks)]
            for d in DEPTHS
        }  # fmt: skip
        now = {
            "bid": bids[0], "ask": asks[0], "depth": depth, "ts": ts,
            "mid": (bids[0][0] + asks[0][0]) / 2,
        }  # fmt: skip
        (bid, bq), (ask, aq) = bids[0], asks[0]
        now["micro"] = (bq * ask + aq * bid) / (bq + aq)
        now["imbalance"] = [(b - a) / (b + a) for b, a in depth.values()]
        now["voi"] = now["ofi"] = 0.0
        now["deep"] = [0.0] * len(DEPTHS)
        if self.linked:
            flows = [
                self.flows(before, now, before[s], now[s], t) for s, t in (("bid", 1), ("ask", -1))
            ]
            now["voi"] = flows[0][0] - flows[1][0]
            now["ofi"] = flows[0][1] - flows[1][1]
            now["deep"] = [self.deep(before, now, d) for d in DEPTHS]
            gone = max(ts - before["ts"], 0) * 1e-9
            self.returns.append((math.log(now["mid"] / before["mid"]), gone))
        self.forecast(now)
        if self.new:
            self.average = sum(p * q for p, q in self.new) / sum(q for _, q in self.new)
        elif not self.average:
            self.average = now["mid"]
        now["basis"] = self.average - ((before or now)["mid"] + now["mid"]) / 2
        self.new = []
        self.books.append(now)
        self.linked = True
        return now

    @staticmethod
    def flows(before, now, was, is_, sign):
        move = (is_[0] - was[0]) * sign  # towards the other side is positive
        size, old = is_[1], was[1]
        voi = 0 if move < 0 else size if move > 0 else size - old
        ofi = -old if move < 0 else size if move > 0 else size - old
        return voi, ofi

    def deep(self, before, now, d):
        total = 0.0
        for k, (side, sign) in enumerate((("bid", 1), ("ask", -1))):
            was = (before[side][0], before["depth"][d][k])
            is_ = (now[side][0], now["depth"][d][k])
            total += sign * self.flows(before, now, was, is_, sign)[1]
        return total

    def forecast(self, now):
        if self.row is not None:
            x, micro = self.row
            self.rows.append((x, (now["micro"] - micro) / now["mid"]))
            if len(self.rows) % BLOCK == 0:
                self.fit()
        bps = (now["ask"][0] - now["bid"][0]) / now["mid"] * 1e4
        self.row = ([1, now["imbalance"][0] / bps, now["voi"] / bps, now["ofi"] / bps],
                    now["micro"])  # fmt: skip
        now["predicted"] = 0.0
        if self.beta is not None:
            now["predicted"] = now["micro"] + np.dot(self.beta, self.row[0]) * now["mid"]

    def fit(self):
        rows = self.rows[-WINDOW:]
        x = np.array([r[0] for r in rows], dtype=float)
        y = np.array([r[1] for r in rows])
        a = x.T @ x
        for i in range(1, 4):
            spread = a[i, i] - len(rows) * x[:, i].mean() ** 2
            if spread > 1e-12 * a[i, i]:
                a[i, i] += 0.01 * spread
            else:
                a[i, i] += a[i, i] + 1
        self.beta = np.linalg.solve(a, x.T @ y)

    def volatility(self, window):
        block = window // 10
        full = len(self.returns) // block * block
        part = self.returns[max(full - 9 * block, 0):] if len(self.returns) > full else \
            self.returns[max(full - 10 * block, 0):]  # fmt: skip
        r = np.array([v for v, _ in part])
        return math.sqrt(((r - r.mean()) ** 2).sum() / sum(t for _, t in part))


@st.composite
def books(draw):
    bid = draw(st.integers(995, 1_005))
    ask = bid + draw(st.integers(1, 3))
    sizes = st.integers(1, 50)
    count = st.integers(1, 6)
    bids = [(bid - i, draw(sizes)) for i in range(draw(count))]
    asks = [(ask + i, draw(sizes)) for i in range(draw(count))]
    prints = draw(
        st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(990, 1_010), sizes), max_size=3)
    )
    return bids, asks, prints, draw(st.integers(0, 10**9))


@settings(max_examples=60)
@given(st.lists(books(), min_size=1, max_size=70))
def test_every_signal_equals_the_naive_model(steps):
    signals = Signals(DEPTHS, tick_window=WINDOW, forecast_samples=1, volatility_samples=2)
    naive, ts = Naive(), 10**9
    for bids, asks, prints, gap in steps:
        ts += gap
        for side, tick, qty in prints:
            signals.trade(side, tick, qty)
            naive.prints.append((side, qty))
            naive.new.append((tick, qty))
        signals.levels(bids, asks, ts)
        want, got = naive.book(bids, asks, ts), signals.values
        assert got["mid"] == want["mid"]
        assert got["microprice"] == pytest.approx(want["micro"], rel=1e-12)
        assert got["imbalance"] == pytest.approx(want["imbalance"], abs=1e-12)
        assert (got["voi"], got["ofi"]) == (want["voi"], want["ofi"])
        assert got["ofi_deep"] == pytest.approx(want["deep"], abs=1e-9)
        assert got["average_trade_price"] == pytest.approx(naive.average, rel=1e-12)
        assert got["basis"] == pytest.approx(want["basis"], abs=1e-9)
        if got["fitted"] and len(naive.rows) >= 20:
            assert got["predicted"] == pytest.approx(want["predicted"], rel=1e-6)
        bought = sum(q for s, q in naive.prints if s > 0)
        sold = sum(q for s, q in naive.prints if s < 0)
        total = bought + sold
        assert got["trade_imbalance"] == pytest.approx((bought - sold) / total if total else 0.0)
        assert -1.0 <= signals.skew() <= 1.0
    if len(naive.returns) >= 2 and sum(t for _, t in naive.returns) > 0:
        want = naive.volatility(1_000)
        assert signals.values["volatility"] == pytest.approx(want, rel=1e-6, abs=1e-12)


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=8), st.floats(-1e9, 1e9),
    st.floats(-1e9, 1e9), st.floats(-1, 1), st.floats(0.5, 2), st.floats(0.5, 2),
)  # fmt: skip
def test_the_skew_stays_within_its_range(imbalances, voi, ofi, trade, micro, predicted):
    weights = Weights(trade=0.0)
    for w in (weights, Weights(trade=0.3, predict=0.05, vote="ladder")):
        x = skew_signal(
            imbalances, voi=voi, ofi=ofi, deep_ofi=imbalances, trade_imbalance=trade,
            microprice=micro, predicted=predicted, weights=w,
        )  # fmt: skip
        assert -1.0 <= x <= 1.0
