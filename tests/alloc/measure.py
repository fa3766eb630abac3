"""Prints what a process with the preloaded counter counts, as JSON; test_allocations.py starts it.

usage: measure.py COUNTER STEPS_FOLDER
"""

import ctypes
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmcore._book import Book
from mmcore._channel import Latency
from mmcore._engine import Account, Market, Ring, Trader
from mmcore._orders import Orders
from mmcore._quotes import GridStrategy, Strategy, TwoSidedStrategy
from mmcore._rate import RateLimiter
from mmcore._signals import Signals
from mmcore._sim import SimLoop
from mmcore._spec import SpecBox
from mmcore._venue import Venue
from mmcore.events import ContractKind
from mmcore.instrument import Instrument
from mmcore.synthetic import source
from mmcore.tables import read_npz

sys.path.insert(0, sys.argv[2])
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from l3_tape import LOT_SIZE, TICK_SIZE, tape
from steps import Loop

counter = ctypes.CDLL(sys.argv[1]).counter_taken
counter.restype = ctypes.c_long

market = source("busy", seconds=120.0, seed=7)
blocks = []
while (block := market.next_block()) is not None:
    blocks.append(block.copy())
ROWS = np.concatenate(blocks)
SPEC = market.instruments[0].spec(0)


def taken(call: Callable[..., object], *args: object) -> int:
    """Allocations of one call."""
    before = counter()
    call(*args)
    return int(counter() - before)


def of_the_book() -> dict[str, int]:
    """The book alone, in one call: the whole tape against its first half."""
    # Not against no row at all: a small number of messages is returned without making an object.
    half = np.concatenate(blocks[: len(blocks) // 2])
    book = Book(SPEC)
    book.bind(half)
    book.run()
    some = taken(book.run)
    book.bind(ROWS)
    return {"half": some, "all": taken(book.run), "messages": book.run()}


def new_trader(strategy: Strategy, spec: SpecBox = SPEC) -> Trader:
    return Trader(
        Market(spec, Book(spec), Signals((1, 5), tick_window=100)),
        strategy,
        orders=Orders(),
        rate=RateLimiter(1000),
        account=Account(),
        ring=Ring(1 << 20),
    )


def requests(trader: Trader) -> int:
    state = trader.state()
    return state["n_placed"] + state["n_amended"] + state["n_cancelled"]


def of_the_engine(strategy: Strategy) -> dict[str, int]:
    """Book, signals, strategy, orders, limits, ledger and records, with answers and fills."""
    trader = new_trader(strategy)
    loop = Loop(trader.market, trader, ROWS.view(np.uint8))
    loop.run(0)
    none, everything = taken(loop.run, 0), taken(loop.run, len(ROWS))
    return {
        "none": none,
        "all": everything,
        "requests": requests(trader),
        "filled": loop.n_filled,
        "messages": trader.market.n_messages,
        "leak": taken(loop.run, len(ROWS), True),
    }


def of_the_loop(strategy: Strategy) -> dict[str, int]:
    """The run's own loop, with the simulated venue and the way there and back."""
    trader = new_trader(strategy)
    return of_a_loop(trader, Venue(SPEC), ROWS, "local")


def of_the_line(strategy: Strategy) -> dict[str, int]:
    """The same on a market told order by order, by a queue model that knows the orders."""
    item = Instrument(
        venue="synthetic", symbol="L3", kind=ContractKind.LINEAR, tick=str(TICK_SIZE),
        qty_decimals=2, lot=str(LOT_SIZE),
    )  # fmt: skip
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file, data=tape(steps=12_000, clears=2))
        file.flush()
        rows = read_npz(Path(file.name), item)
    trader = new_trader(strategy, item.spec(0))
    return of_a_loop(trader, Venue(item.spec(0), queue="fifo"), rows, "two")


def of_a_loop(trader: Trader, venue: Venue, rows: np.ndarray, clock: str) -> dict[str, int]:
    loop = SimLoop([trader], [venue], [Latency(5_000_000, 5_000_000)], clock=clock)
    loop.feed(rows)
    loop.run(5_000)
    some = taken(loop.run, 10_000)
    loop.end()
    return {
        "none": some,
        "all": taken(loop.run, len(rows)),
        "requests": requests(trader),
        "filled": trader.state()["n_fills"],
        "messages": trader.market.n_messages,
        "consumed": loop.consumed,
    }


GRID = GridStrategy(asset=10_000.0, orders_per_side=10, minimum_spread=0.5, requote_spreads=0.1)
TWO_SIDED = TwoSidedStrategy(
    target_liquidity=1_000.0,
    half_spread=1.0,
    max_bps_diff=0.05,
    max_absolute_position_size=50_000.0,
)
WIDE = TwoSidedStrategy(
    target_liquidity=1.0, half_spread=80.0, max_bps_diff=5.0, max_absolute_position_size=500.0
)
print(
    json.dumps(
        {
            "book": of_the_book(),
            "grid": of_the_engine(GRID),
            "two_sided": of_the_engine(TWO_SIDED),
            "grid, simulated venue": of_the_loop(GRID),
            "two_sided, simulated venue": of_the_loop(TWO_SIDED),
            "two_sided, orders with ids": of_the_line(WIDE),
        }
    )
)
