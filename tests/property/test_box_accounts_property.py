"""Whatever happens on a floor: money and coins are conserved, margin holds, and it repeats."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from street import FOK, GTC, GTX, IOC, MIDDLE, ONE, Street

from mmcore.box.orders import NewOrder, Refusal

SECOND = 10**9
COINS = 1
# venue -> money of an account, so that about two large orders exhaust it
MONEY = {"binance-usdm": 200, "bybit-linear": 200, "binance-spot": 500, "bybit-spot": 5_000}
LOTS = {"binance-usdm": 1, "bybit-linear": 1, "binance-spot": 100_000, "bybit-spot": 1_000}
N = 3


class Play:
    """A street on which anything is tried; what is refused is refused."""

    def __init__(self, venue):
        self.street = Street(
            venue,
            bids=[(-1, 40 * LOTS[venue])],
            asks=[(1, 40 * LOTS[venue])],
            n_accounts=N,
            money=MONEY[venue],
            coins=COINS,
            funding_interval_ns=SECOND // 50,
        )
        self.lot = LOTS[venue]
        self.money = N * MONEY[venue] * ONE
        self.orders = []

    def depth(self, levels):
        by_side = {s: {t: q * self.lot for side, t, q in levels if side == s} for s in (1, -1)}
        self.street.depth(list(by_side[1].items()), list(by_side[-1].items()))

    def leap(self, away, lots):
        bids, asks = [(away - 1, lots * self.lot)], [(away + 1, lots * self.lot)]
        self.street.depth(bids, asks, snapshot=True)

    def prints(self, aggressor, tick, lots):
        self.street.prints(aggressor, tick, lots * self.lot)

    def wait(self, ms):
        self.street.pass_time(ms * 1_000_000)

    def place(self, owner, side, tick, lots, tif, market, reduce_only):
        held = self.wallet(owner)
        street = self.street
        street.pass_time(1_000)
        before = held.margin()
        spare = self.spare(owner)
        new = NewOrder(
            floor=street.floor,
            side=side,
            qty=lots * self.lot,
            tick=0 if market else MIDDLE + tick,
            tif=IOC if market else tif,
            market=market,
            reduce_only=reduce_only and not street.floor.spot,
        )
        try:
            order = street.exchange.place(street.accounts[owner], new, street.now)
        except Refusal:
            assert self.spare(owner) == spare
            return
        self.orders.append(order)
        if held.margin().initial > before.initial:
            assert self.spare(owner) >= -1 - len(order.fills)

    def amend(self, pick, tick, lots):
        order = self.live(pick)
        if order:
            with suppress(Refusal):
                self.street.amend(order, tick=tick, qty=order.filled + lots * self.lot)

    def cancel(self, pick):
        order = self.live(pick)
        if order:
            self.street.cancel(order)

    def live(self, pick):
        live = [each for each in self.orders if each.open]
        return live[pick % len(live)] if live else None

    def wallet(self, n):
        (held,) = self.street.accounts[n].wallets.values()
        return held

    def spare(self, n):
        held = self.wallet(n)
        figures = held.margin()
        return (
            figures.equity
            - figures.initial
            - held.locked.get(self.street.floor.instrument.quote, 0)
        )

    def check(self):
        floor, accounts = self.street.floor, self.street.accounts
        for account in accounts:
            held = self.wallet(accounts.index(account))
            self.check_reservations(account, held)
            position = account.positions[floor]
            assert position.ledger.cash == position.realised - position.cost
            for fill in account.fills:
                assert fill.order.account is account
        for order in self.orders:
            assert order.filled == sum(fill.qty for fill in order.fills)
            assert order.value == sum(fill.value for fill in order.fills)
            assert order.open == (order.id in order.account.open)
        self.check_conservation()

    def check_reservations(self, account, held):
        floor = self.street.floor
        item = floor.instrument
        for side, asset in ((1, item.quote), (-1, item.base)):
            reserved = sum(each.reserved for each in account.open.values() if each.side == side)
            if floor.spot:
                assert held.locked[asset] == reserved
                assert 0 <= reserved <= held.balances[asset]
            else:
                assert account.positions[floor].asked[side] == reserved
        for order in account.open.values():
            assert order.reserved == (
                0 if order.reduce_only
                else floor.coin_quanta(order.left) if floor.spot and order.side < 0
                else floor.notional(order.tick, order.left)
            )  # fmt: skip
            if order.reduce_only:
                assert 0 < order.left <= -account.positions[floor].qty * order.side

    def check_conservation(self):
        # The market is one more account: what it bought and sold is in the public prints.
        floor, accounts = self.street.floor, self.street.accounts
        coins = money = 0
        for trade in floor.trades:
            if bool(trade.buy_order_id) != bool(trade.sell_order_id):
                side = 1 if trade.sell_order_id else -1
                coins += side * trade.qty
                money -= side * floor.notional(trade.tick, trade.qty)
        item = floor.instrument
        fees = {item.base: 0, item.quote: 0}
        for account in accounts:
            for fill in account.fills:
                fees[fill.fee_asset] += fill.fee
        if floor.spot:
            held = [self.wallet(n).balances for n in range(N)]
            assert (
                sum(each[item.base] for each in held) + floor.coin_quanta(coins) + fees[item.base]
                == N * COINS * ONE
            )
            assert sum(each[item.quote] for each in held) + money + fees[item.quote] == self.money
            return
        positions = [account.positions[floor] for account in accounts]
        assert sum(each.qty for each in positions) + coins == 0
        assert sum(each.ledger.cash for each in positions) + money == 0
        paid = sum(each.quanta for account in accounts for each in account.payments)
        realised = sum(each.realised for each in positions)
        insured = self.street.exchange.insurance.get(item.quote, 0)
        held = sum(self.wallet(n).balances[item.quote] for n in range(N))
        assert held == self.money + realised - fees[item.quote] + paid + insured


sides = st.sampled_from([1, -1])
ticks = st.integers(-3, 3)
sizes = st.integers(2, 60)
levels = st.tuples(sides, ticks, st.integers(0, 50))
acts = st.one_of(
    st.tuples(st.just("depth"), st.lists(levels, min_size=1, max_size=6)),
    st.tuples(st.just("leap"), st.sampled_from([-60_000, -20_000, 0, 0, 20_000, 60_000]), sizes),
    st.tuples(st.just("prints"), sides, ticks, st.integers(1, 60)),
    st.tuples(
        st.just("place"), st.integers(0, N - 1), sides, ticks, sizes,
        st.sampled_from([GTC, GTC, GTX, IOC, FOK]), st.sampled_from([False, False, True]),
        st.sampled_from([False, False, True]),
    ),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("amend"), st.integers(0, 9), ticks, sizes),
    st.tuples(st.just("wait"), st.integers(1, 60)),
)  # fmt: skip
stories = st.lists(acts, min_size=8, max_size=40)


@pytest.mark.parametrize("venue", list(LOTS))
@settings(max_examples=50)
@given(story=stories)
def test_money_and_coins_are_conserved_to_the_unit(venue, story):
    play = Play(venue)
    for what, *details in story:
        getattr(play, what)(*details)
        play.check()
