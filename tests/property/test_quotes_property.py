"""Both quoting pipelines: their properties, and a naive model of each on random inputs."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmcore._quoter import Quoter
from mmcore._quotes import INVENTORY, GridStrategy, TwoSidedStrategy, final_skew
from mmcore._spec import SpecBox
from mmcore.events import ContractKind

LINEAR = {"tick": "0.1", "decimals": 3, "size": "1", "lot": 1, "least": 1, "most": 0, "worth": 100}
INSTRUMENTS = {
    "linear": LINEAR,
    "coarse": {**LINEAR, "tick": "0.5", "lot": 10, "least": 20, "most": 1000, "worth": 20},
    "spot": {**LINEAR, "tick": "0.01", "decimals": 8, "lot": 1000, "worth": 5},
    "inverse": {**LINEAR, "decimals": 0, "size": "100", "worth": 100},
    "figures": {**LINEAR, "tick": "0.01", "decimals": 4, "worth": 10},
}
KINDS = {"inverse": ContractKind.INVERSE, "spot": ContractKind.SPOT}


def spec_of(name):
    f = INSTRUMENTS[name]
    return SpecBox(
        f["tick"], f["decimals"], f["size"], f["lot"], f["least"], f["most"], f["worth"] * 10**8,
        20_000, 50_000, KINDS.get(name, ContractKind.LINEAR), 5 if name == "figures" else 0, 0,
    )  # fmt: skip


def near(x):
    """The whole number that ``x`` stands for, or None; refuses inputs that sit on the fence."""
    whole = math.floor(x + 0.5)
    off = abs(x - whole)
    if off <= 1e-10:
        return whole
    assume(off > 1e-6 * (1.0 + 1e-6 * abs(x)))
    return None


def whole_down(x):
    exact = near(x)
    return math.floor(x) if exact is None else exact


def whole_up(x):
    exact = near(x)
    return math.ceil(x) if exact is None else exact


class Naive:
    """The pipelines written down once more, slowly, from docs/strategy.md."""

    def __init__(self, name, bid, ask, position, rooms=(10**18, 10**18)):
        self.name, self.f, self.spec = name, INSTRUMENTS[name], spec_of(name)
        self.tick = float(self.f["tick"])
        self.per_one = 10 ** self.f["decimals"]
        self.bid, self.ask = bid, ask
        self.mid = (bid + ask) / 2 * self.tick
        self.position = position
        size = float(self.f["size"])
        quantity = position / self.per_one
        self.value = quantity * size * (1.0 if name == "inverse" else self.mid)
        self.rooms = {1: rooms[0], -1: rooms[1]}

    def legal(self, price, side):
        if side > 0:
            return self.spec.tick_floor(whole_down(price / self.tick))
        return self.spec.tick_ceil(whole_up(price / self.tick))

    def beyond(self, tick, side):
        return self.spec.tick_down(tick) if side > 0 else self.spec.tick_up(tick)

    def worth(self, tick, units):
        size = units / self.per_one * float(self.f["size"])
        return size if self.name == "inverse" else size * tick * self.tick

    def admit(self, tick, quantity, side):
        """Units of a level after lot, caps, room and minimums; 0 for none."""
        lots = whole_down(quantity * self.per_one / self.f["lot"])
        if self.f["most"]:
            lots = min(lots, self.f["most"] // self.f["lot"])
        units = min(lots, self.rooms[side] // self.f["lot"]) * self.f["lot"]
        if units < max(self.f["least"], 1):
            return 0
        worth = self.worth(tick, units)
        assume(abs(worth - self.f["worth"]) > 1e-7)
        if worth < self.f["worth"]:
            return 0
        self.rooms[side] -= units
        return units

    def side(self, prices, budgets, side):
        limit = self.beyond(self.ask if side > 0 else self.bid, side)
        levels = []
        for price, budget in zip(prices, budgets, strict=True):
            tick = self.legal(price, side)
            tick = min(tick, limit) if side > 0 else max(tick, limit)
            limit = self.beyond(tick, side)
            size = float(self.f["size"]) * (1.0 if self.name == "inverse" else tick * self.tick)
            units = self.admit(tick, budget / size, side)
            if units:
                levels.append((tick, units))
        return levels

    def grid(self, n, distance, bps, most, inventory, kappa, signal, profile):
        least = bps * 1e-4 * self.mid
        spread = min(max((self.ask - self.bid) * self.tick, least), 3.7 * least)
        delta = self.value / most
        skew = naive_skew(inventory, kappa, signal, delta)
        a = math.sqrt(abs(skew))
        half = spread / 2
        if skew >= 0:
            bid = self.mid - half * (1 - a)
            ask = bid + spread
        else:
            ask = self.mid + half * (1 - a)
            bid = ask - spread
        ratios = (0.63, 0.37) if skew >= 0 else (0.37, 0.63)
        out = []
        for side, inner, ratio in ((1, bid, ratios[0]), (-1, ask, ratios[1])):
            budget = most / 2 - side * self.value
            if budget <= 0 or side * delta >= 0.5:
                out.append([])
                continue
            outer = inner - side * distance * spread
            prices = [inner * (outer / inner) ** (i / max(n - 1, 1)) for i in range(n)]
            weights = [ratio**i for i in range(n)]
            if profile == "flat":
                weights = [1.0] * n
            if profile == "outer_heavy":
                weights.reverse()
            budgets = [w / sum(weights) * budget for w in weights]
            out.append(self.side(prices, budgets, side))
        return out


def naive_skew(inventory, kappa, signal, delta):
    delta = min(max(delta, -1.0), 1.0)
    f = math.copysign(math.sqrt(abs(delta)), delta)
    if inventory == "mean_reverting":
        x = signal * (1 - abs(f)) - kappa * f
    elif inventory == "trend_following":
        a = f * signal
        x = signal * (1 + abs(a)) + (kappa * f if a > 0 else -kappa * f)
    elif inventory == "plain":
        x = signal - f
    elif inventory == "damped":
        x = signal * (1 - f)
    else:
        x = -f
    return min(max(x, -1.0), 1.0)


names = st.sampled_from(sorted(INSTRUMENTS))
signals = st.floats(-1, 1, allow_subnormal=False).map(lambda x: round(x, 6))
profiles = st.sampled_from(["outer_heavy", "inner_heavy", "flat"])
inventories = st.sampled_from(sorted(INVENTORY))


@st.composite
def markets(draw):
    """A name, a touch on legal ticks and a position in units that M may or may not cover."""
    name = draw(names)
    spec = spec_of(name)
    bid = spec.tick_floor(draw(st.integers(2_000, 900_000)))
    ask = bid
    for _ in range(draw(st.integers(1, 8))):
        ask = spec.tick_up(ask)
    share = draw(st.floats(-0.7, 0.7).map(lambda x: round(x, 3)))
    mid = (bid + ask) / 2 * float(INSTRUMENTS[name]["tick"])
    size = float(INSTRUMENTS[name]["size"]) * (1.0 if name == "inverse" else mid)
    units = round(share * MOST / size * 10 ** INSTRUMENTS[name]["decimals"])
    return name, bid, ask, units


MOST = 50_000.0


@settings(max_examples=400)
@given(
    markets(), signals, st.integers(1, 20), st.sampled_from([0.4, 3.0, 10.0]),
    st.sampled_from([2.0, 27.0, 90.0]), inventories, st.sampled_from([0.0, 0.5, 0.63]), profiles,
    st.sampled_from([10**18, 3_000, 0]),
)  # fmt: skip
def test_grid_equals_the_naive_model(
    market, signal, n, distance, bps, inventory, kappa, profile, room
):
    name, bid, ask, units = market
    strategy = GridStrategy(
        max_position_usd=MOST, orders_per_side=n, final_order_distance=distance,
        minimum_spread=bps, inventory=inventory, kappa=kappa, size_profile=profile,
    )  # fmt: skip
    quoter = Quoter(strategy, spec_of(name))
    quoter.quote(bid, ask, signal=signal, position_qty=units, buy_room=room, sell_room=room)
    naive = Naive(name, bid, ask, units, (room, room))
    wanted = naive.grid(n, distance, bps, MOST, inventory, kappa, signal, profile)
    assert [quoter.bids, quoter.asks] == wanted
    assert quoter.skew[0] == pytest.approx(
        naive_skew(inventory, kappa, signal, naive.value / MOST), abs=1e-12
    )


@settings(max_examples=400)
@given(
    markets(), st.floats(1, 60).map(lambda x: round(x, 2)), st.floats(0, 1), st.floats(0, 1),
    st.floats(-1, 1), st.sampled_from(["shift", "width"]),
)  # fmt: skip
def test_two_sided_equals_the_naive_model(market, half, of_position, of_book, imbalance, use):
    name, bid, ask, units = market
    per_one = 10 ** INSTRUMENTS[name]["decimals"]
    target, most = 300 / per_one, 1_000 / per_one
    units = max(min(units, 1_200), -1_200)
    strategy = TwoSidedStrategy(
        target_liquidity=target, half_spread=half, max_bps_diff=1, max_absolute_position_size=most,
        inventory_skew_factor=of_position, book_imbalance_factor=of_book, skew_application=use,
    )  # fmt: skip
    quoter = Quoter(strategy, spec_of(name))
    quoter.quote(bid, ask, position_qty=units, imbalance=imbalance)
    naive = Naive(name, bid, ask, units)
    ratio = min(max(units / 1_000, -1.0), 1.0)
    skew = -ratio * of_position * half + imbalance * of_book * half
    skew = min(max(skew, -half), half)
    h, s = half * 1e-4, skew * 1e-4
    if use == "shift":
        prices = naive.mid * (1 - h) * (1 + s), naive.mid * (1 + h) * (1 + s)
    else:
        prices = naive.mid * (1 - h - s), naive.mid * (1 + h + s)
    bid_tick = min(naive.legal(prices[0], 1), naive.beyond(ask, 1))
    ask_tick = max(naive.legal(prices[1], -1), naive.beyond(bid, -1))
    wanted = []
    for tick, side in ((bid_tick, 1), (max(ask_tick, naive.beyond(bid_tick, -1)), -1)):
        left = max(min(1_000 - side * units, 300), 0)
        size = naive.admit(tick, left / per_one, side)
        wanted.append([(tick, size)] if size else [])
    assert [quoter.bids, quoter.asks] == wanted
    assert quoter.skew[0] == pytest.approx(skew, abs=1e-9)


@given(inventories, st.booleans(), st.floats(0, 2), signals, st.floats(-3, 3))
def test_the_final_skew_stays_within_its_range(inventory, strict, kappa, signal, delta):
    assert -1.0 <= final_skew(INVENTORY[inventory], strict, kappa, signal, delta) <= 1.0


@given(st.floats(0, 2), signals, st.floats(-1, 1), st.floats(-1, 1), st.booleans())
def test_a_larger_position_never_raises_the_mean_reverting_skew(kappa, signal, low, high, strict):
    low, high = sorted((low, high))
    assume(low * signal >= 0 and high * signal >= 0)
    skews = [final_skew(INVENTORY["mean_reverting"], strict, kappa, signal, d) for d in (low, high)]
    assert skews[1] <= skews[0] + 1e-12


@given(markets(), signals, st.integers(1, 32), profiles, st.sampled_from([0.05, 2.0, 10.0]))
def test_ladders_are_strict_on_tick_and_outside_the_touch(market, signal, n, profile, distance):
    name, bid, ask, units = market
    spec = spec_of(name)
    quoter = Quoter(
        GridStrategy(max_position_usd=1e7, orders_per_side=n, final_order_distance=distance,
                     minimum_spread=1.0, size_profile=profile), spec
    )  # fmt: skip
    quoter.quote(bid, ask, signal=signal, position_qty=units)
    bids, asks = [t for t, _ in quoter.bids], [t for t, _ in quoter.asks]
    assert bids == sorted(set(bids), reverse=True) and asks == sorted(set(asks))
    assert all(spec.tick_floor(t) == t and 0 < t < ask for t in bids)
    assert all(spec.tick_floor(t) == t and t > bid for t in asks)
    assert not bids or not asks or bids[0] < asks[0]


@given(markets(), signals, st.integers(1, 12), profiles)
def test_no_side_costs_more_than_its_budget(market, signal, n, profile):
    name, bid, ask, units = market
    naive = Naive(name, bid, ask, units)
    quoter = Quoter(
        GridStrategy(max_position_usd=MOST, orders_per_side=n, size_profile=profile), spec_of(name)
    )
    quoter.quote(bid, ask, signal=signal, position_qty=units)
    for levels, side in ((quoter.bids, 1), (quoter.asks, -1)):
        cost = sum(naive.worth(tick, qty) for tick, qty in levels)
        assert cost <= max(MOST / 2 - side * naive.value, 0.0) + 1e-6


@given(markets(), signals, st.integers(0, 5_000), st.integers(0, 5_000))
def test_the_room_limits_both_sides_all_levels_together(market, signal, buy, sell):
    name, bid, ask, units = market
    quoter = Quoter(GridStrategy(max_position_usd=1e9, orders_per_side=6), spec_of(name))
    quoter.quote(bid, ask, signal=signal, position_qty=units, buy_room=buy, sell_room=sell)
    assert sum(qty for _, qty in quoter.bids) <= buy
    assert sum(qty for _, qty in quoter.asks) <= sell


@given(st.integers(10_000, 900_000), signals, st.integers(-300, 300))
def test_the_opposite_signal_and_position_give_the_mirror_image(bid, signal, lots):
    # A tick so fine that rounding cannot be seen, and no minimums: only the formulas are left.
    spec = SpecBox("0.000001", 3, "1", 1, 0, 0, 0, 0, 0, 0, 0, 0)
    quoter = Quoter(GridStrategy(max_position_usd=1e6, orders_per_side=5), spec)
    low, high = bid * 10**5, bid * 10**5 + 200_000
    sides = []
    for sign in (1, -1):
        quoter.quote(low, high, signal=sign * signal, position_qty=sign * lots)
        assume(quoter.skew[0] != 0.0 and len(quoter.bids) == len(quoter.asks) == 5)
        sides.append((quoter.bids, quoter.asks))
    centre = low + high
    for own, other in (
        (sides[0][0], sides[1][1]),
        (sides[0][1], sides[1][0]),
    ):
        for i in (0, -1):
            assert abs(own[i][0] + other[i][0] - centre) <= 2
        for (t, q), (u, r) in zip(own, other, strict=True):
            assert q * t == pytest.approx(r * u, abs=2 * max(t, u))


@given(
    st.integers(500_000, 900_000), st.floats(2, 40), st.integers(1, 1_000), st.floats(0.05, 1),
)  # fmt: skip
def test_a_long_position_lowers_both_quotes_and_keeps_their_distance(bid, half, units, factor):
    spec = SpecBox("0.1", 3, "1", 1, 1, 0, 0, 0, 0, 0, 0, 0)
    strategy = TwoSidedStrategy(
        target_liquidity=1, half_spread=half, max_bps_diff=1, max_absolute_position_size=2,
        inventory_skew_factor=factor,
    )  # fmt: skip
    quoter = Quoter(strategy, spec)
    quoter.quote(bid, bid + 1)
    flat = quoter.bids[0][0], quoter.asks[0][0]
    quoter.quote(bid, bid + 1, position_qty=units)
    long = quoter.bids[0][0], quoter.asks[0][0]
    shift_ticks = -quoter.skew[0] * 1e-4 * bid
    assume(shift_ticks > 1.0)
    # the ask's guard, one tick above the best bid, may stop it on its way down
    assume(long[1] > bid + 1)
    assert long[0] < flat[0] and long[1] < flat[1]
    shrunk = 2 * half * 1e-4 * shift_ticks  # the shift is a factor: the distance shrinks with it
    assert abs((long[1] - long[0]) - (flat[1] - flat[0])) <= 1 + math.ceil(shrunk)


@given(st.integers(-3_000, 3_000))
def test_size_shrinks_inside_the_last_target_and_is_none_at_the_cap(units):
    spec = SpecBox("0.1", 3, "1", 1, 1, 0, 0, 0, 0, 0, 0, 0)
    strategy = TwoSidedStrategy(
        target_liquidity=0.7, half_spread=10, max_bps_diff=1, max_absolute_position_size=2.1
    )
    quoter = Quoter(strategy, spec)
    quoter.quote(600_000, 600_001, position_qty=units)
    buy, sell = (max(min(2_100 - s * units, 700), 0) for s in (1, -1))
    assert [q for _, q in quoter.bids] == [buy] * (buy > 0)
    assert [q for _, q in quoter.asks] == [sell] * (sell > 0)
