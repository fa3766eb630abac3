"""A trader of a few lines on Hyperliquid of the exchange in the box, for the tests beside it."""

import asyncio
import time
from contextlib import asynccontextmanager
from itertools import count

import binance_trader

from mmcore.box.orders import NewOrder
from mmcore.box.server import Box
from mmcore.events import ASK, BID, TimeInForce
from mmcore.gateway import ClientIds, Keys, Setup
from mmcore.venue import decoder

VENUE = "hyperliquid"
PREFIX = "0123456789ab"
EPOCHS = count(1)
LIMIT_S = 20.0


class Trader(binance_trader.Trader):
    """Prices of this venue are legal every tenth tick or so: steps are asked of the instrument."""

    def step(self, tick, n, number=0):
        spec = self.items[number].spec()
        for _ in range(abs(n)):
            tick = spec.tick_up(tick) if n > 0 else spec.tick_down(tick)
        return tick

    def away(self, side, n, number=0):
        """A price n steps behind the best one of a side."""
        return self.step(self.best(side, number), -side * n, number)

    def _one_step(self, rng, number):
        live = [o for o in self.open() if o.state == "live" and o.instrument == number]
        side, choice = rng.choice([BID, ASK]), rng.random()
        if len(live) > 12 or (live and choice < 0.3):
            some = rng.sample(live, min(len(live), rng.randint(1, 4)))
            self.cancel(*some)
        elif live and choice < 0.6:
            some = rng.sample(live, min(len(live), rng.randint(1, 3)))
            self.amend_all([
                (o, self.away(o.side, rng.randint(-1, 8), number), self.size(number))
                for o in some
            ])  # fmt: skip
        elif choice < 0.7:
            some = [self.place(side, self.away(-side, 5, number), self.size(number), number=number,
                               tif=TimeInForce.IOC)]  # fmt: skip
        else:
            some = self.place_all(
                [(side, self.away(side, rng.randint(-1, 6), number), self.size(number))
                 for _ in range(rng.randint(1, 6))], number=number,
            )  # fmt: skip
        return len(some)


def account_of(box, number=0):
    return box.exchange.accounts_of(VENUE)[number]


def setup_of(box, *, account=0, symbols=("BTC", "ETH"), **changes):
    held = account_of(box, account).credentials
    fields = {
        "venue": VENUE, "symbols": symbols, "numbers": tuple(range(len(symbols))),
        "environment": "loopback", "base": f"127.0.0.1:{box.port}",
        "keys": Keys(held.address, held.private_key), "ids": ClientIds(PREFIX, next(EPOCHS)),
        "clock": time.time_ns, "seed": 1,
    }  # fmt: skip
    return Setup(**(fields | changes))


@asynccontextmanager
async def trading(box, **changes):
    """A trader on one of the box's accounts, started, and closed at the end."""
    gateway = decoder(VENUE).gateway(setup_of(box, **changes))
    try:
        prepared = await gateway.prepare()
        trader = Trader(gateway, prepared.instruments)
        trader.prepared = prepared
        await gateway.start(trader)
        yield trader
        assert trader.problems == []
        assert trader.fatal_errors == []
    finally:
        await gateway.close()


async def settle(box, trader, account=0, *, in_order=True):
    """Cancel everything, then compare with the exchange to the last unit.

    in_order: fills came in the order in which they happened; else what was earned and what is held
    are compared together, since which fill closed which is another matter then.
    """
    theirs = account_of(box, account)
    await trader.gateway.cancel_all()
    await trader.until(lambda: not trader.open(), 8.0)
    assert theirs.orders() == []
    await trader.until(lambda: len(theirs.fills) == len(trader.trades), 8.0)
    state = await trader.gateway.account()
    change = 0
    for number, (item, ledger) in enumerate(zip(trader.items, trader.ledgers, strict=True)):
        position = theirs.position(box.exchange.floor(VENUE, item.symbol))
        assert state.positions[number] == position.qty == ledger.position
        assert ledger.realised - ledger.cost == position.realised - position.cost
        assert ledger.fees == sum(
            fill.fee for fill in theirs.fills if fill.order.floor.symbol == item.symbol
        )
        assert position.cost == ledger.cost or not in_order
        change += ledger.realised - ledger.fees + ledger.funding
    before = trader.prepared.account.balances["USDC"].total
    assert state.balances["USDC"].total == theirs.wallets["perp"].balances["USDC"]
    assert state.balances["USDC"].total == before + change or not in_order


def run(story, *, limits_scale=100.0, **choices):
    """One story in a box of its own, bounded in time."""

    async def main():
        async with (
            asyncio.timeout(LIMIT_S),
            Box.open(seed=5, limits_scale=limits_scale, **choices) as box,
        ):
            await story(box)

    asyncio.run(main())


def sell_into(box, qty=1_000_000, symbol="BTC", side=ASK):
    """The other account takes, through every bid in sight."""
    floor = box.exchange.floor(VENUE, symbol)
    tick = floor.spec.tick_ceil(floor.best(-side)[0] * (10 + side) // 10)
    new = NewOrder(floor=floor, side=side, qty=qty, tick=tick, tif=TimeInForce.IOC)
    return box.exchange.place(account_of(box, 1), new, box.clock.engine_ns())


__all__ = [
    "EPOCHS", "PREFIX", "VENUE", "Trader", "account_of", "run", "sell_into", "settle", "setup_of",
    "trading",
]  # fmt: skip
