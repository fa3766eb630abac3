"""Every floor at once, as busy as it gets: what the public sees stays true, money is conserved."""

import random
from contextlib import suppress

import pytest

from mmcore.box.listing import open_exchange
from mmcore.box.orders import NewOrder, Refusal, TradeEvent
from mmcore.events import TimeInForce

SECOND = 10**9
START = 1_767_225_600 * SECOND
STEP_NS = 20_000_000
LEVELS = 4_096


class Watcher:
    """Subscribes to one floor's changes and prints, at a cadence of its own."""

    def __init__(self, floor, every):
        self.floor = floor
        self.every = every
        self.seen = floor.update_id
        self.book = {side: dict(floor.top(side, LEVELS)) for side in (1, -1)}
        self.last_trade = floor.last_trade_id

    def look(self):
        changes = self.floor.changes(self.seen)
        assert changes.first_id == self.seen + 1
        self.seen = changes.last_id
        for side, levels in ((1, changes.bids), (-1, changes.asks)):
            for tick, qty in levels:
                if qty:
                    self.book[side][tick] = qty
                else:
                    self.book[side].pop(tick, None)

    def compare(self):
        self.look()
        for side in (1, -1):
            assert sorted(self.book[side].items(), reverse=side > 0) == self.floor.top(side, LEVELS)

    def hear(self, trade):
        assert trade.id == self.last_trade + 1
        assert trade.qty > 0
        self.last_trade = trade.id


def act(rng, exchange, now):
    """One account does something somewhere."""
    account = rng.choice(exchange.accounts)
    floor = rng.choice(list(account.positions))
    orders = account.orders(floor)
    side = rng.choice((1, -1))
    best, lot = floor.best(side), floor.instrument.lot_qty
    qty = round(rng.uniform(20, 400) / floor.mark * 1e8 * floor.instrument.qty_per_one)
    qty = max(lot, qty // lot * lot)
    if orders and rng.random() < 0.4:
        exchange.cancel(account, rng.choice(orders), now)
        return
    if best is None:
        return
    step = floor.spec.tick_up(best[0]) - best[0]
    tick = best[0] - side * step * rng.randint(-1, 3)
    if orders and rng.random() < 0.5:
        exchange.amend(account, rng.choice(orders), tick=tick, qty=qty, now_ns=now)
        return
    exchange.place(
        account,
        NewOrder(
            floor=floor,
            side=side,
            qty=qty,
            tick=tick,
            tif=rng.choice(list(TimeInForce)),
            market=rng.random() < 0.05,
        ),
        now,
    )


def play(seconds, seed):
    rng = random.Random(seed)
    exchange = open_exchange(seed, start_ns=START, funding_interval_ns=SECOND)
    watchers = {floor: Watcher(floor, rng.choice((1, 2, 5))) for floor in exchange.floors}

    def hear(event):
        if isinstance(event, TradeEvent):
            watchers[event.floor].hear(event.trade)

    exchange.listeners.append(hear)
    for n in range(round(seconds * SECOND / STEP_NS)):
        now = START + n * STEP_NS
        exchange.advance(now)
        for _ in range(10):
            with suppress(Refusal):
                act(rng, exchange, now)
        for floor, watcher in watchers.items():
            bid, ask = floor.best(1), floor.best(-1)
            assert bid is None or ask is None or bid[0] < ask[0], floor
            if n % watcher.every == 0:
                watcher.look()
        if n % 50 == 0:
            for watcher in watchers.values():
                watcher.compare()
    return exchange


def check_money(exchange):
    """What accounts of a venue own has only changed by what the market and the venue got."""
    for account in exchange.accounts:
        for floor, position in account.positions.items():
            fills = [fill for fill in account.fills if fill.order.floor is floor]
            assert position.ledger.n_fills == len(fills)
            assert position.qty == fills[-1].position_after if fills else position.qty == 0
        for held in account.wallets.values():
            for asset, locked in held.locked.items():
                assert 0 <= locked <= held.balances[asset]


@pytest.mark.parametrize(
    "seconds", [2, pytest.param(60, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_all_floors_with_orders_everywhere(seconds):
    exchange = play(seconds, seed=7)
    check_money(exchange)
    filled = [fill for account in exchange.accounts for fill in account.fills]
    assert {fill.maker for fill in filled} == {True, False}
    assert len({fill.order.floor for fill in filled}) == len(exchange.floors)
