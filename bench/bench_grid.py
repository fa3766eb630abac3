"""How long does one grid of 2 x 20 orders take: compiled, in plain Python, and in numpy?

All three answer the same question from the same numbers: geometric prices and sizes, prices rounded
outwards to ticks, sizes down to lots, minimum notional, never through the touch.  Their answers are
compared before anything is timed.  The rivals are written as a careful author of each would: the
weights are prepared, nothing is looked up twice; they know one kind of contract and no room limits.
"""

import argparse
import math
import random
import statistics
import timeit

import numpy as np

from mmcore._quoter import Quoter
from mmcore._quotes import GridStrategy
from mmcore.instrument import known

N = 20
DISTANCE = 10.0
LEAST = 27e-4
MOST = 5e7
RATIOS = 0.9, 0.8  # mild, so that all forty orders are above the minimum
KAPPA = 0.63
TICK = 0.1
LOT = 0.001
WORTH = 100.0
SLACK = 1e-9


def weights(ratio: float) -> list[float]:
    raw = [ratio**i for i in range(N)][::-1]
    return [w / sum(raw) for w in raw]


FAVOURED, OTHER = weights(RATIOS[0]), weights(RATIOS[1])
STEPS = np.arange(N) / (N - 1)
ARRAYS = np.array(FAVOURED), np.array(OTHER)


def inner(bid: int, ask: int, signal: float, value: float) -> tuple[float, float, float, bool]:
    """Innermost bid and ask, spread, and whether buying is favoured."""
    mid = (bid + ask) / 2 * TICK
    spread = min(max((ask - bid) * TICK, LEAST * mid), 3.7 * LEAST * mid)
    f = math.copysign(math.sqrt(abs(value / MOST)), value)
    skew = min(max(signal * (1 - abs(f)) - KAPPA * f, -1.0), 1.0)
    retreat = spread / 2 * (1 - math.sqrt(abs(skew)))
    if skew >= 0:
        return mid - retreat, mid - retreat + spread, spread, True
    return mid + retreat - spread, mid + retreat, spread, False


def in_python(bid: int, ask: int, signal: float, value: float):
    first_bid, first_ask, spread, up = inner(bid, ask, signal, value)
    sides = []
    for side, start, shares in (
        (1, first_bid, FAVOURED if up else OTHER),
        (-1, first_ask, OTHER if up else FAVOURED),
    ):
        budget = MOST / 2 - side * value
        x = start / TICK
        step = ((start - side * DISTANCE * spread) / start) ** (1 / (N - 1))
        limit = ask - 1 if side > 0 else bid + 1
        levels = []
        for share in shares:
            if side > 0:
                tick = min(int(x + SLACK), limit)
                limit = tick - 1
            else:
                tick = max(int(x - SLACK) + 1, limit)
                limit = tick + 1
            x *= step
            price = tick * TICK
            lots = int(share * budget / (price * LOT) + SLACK)
            if lots * LOT * price >= WORTH:
                levels.append((tick, lots))
        sides.append(levels)
    return sides


def in_numpy(bid: int, ask: int, signal: float, value: float):
    first_bid, first_ask, spread, up = inner(bid, ask, signal, value)
    sides = []
    for side, start in ((1, first_bid), (-1, first_ask)):
        shares = ARRAYS[0 if up == (side > 0) else 1]
        budget = MOST / 2 - side * value
        x = start / TICK * ((start - side * DISTANCE * spread) / start) ** STEPS
        if side > 0:
            ticks = np.minimum(np.floor(x + SLACK), ask - 1)
        else:
            ticks = np.maximum(np.ceil(x - SLACK), bid + 1)
        prices = ticks * TICK
        lots = np.floor(shares * budget / (prices * LOT) + SLACK)
        kept = lots * LOT * prices >= WORTH
        sides.append((ticks[kept].astype(np.int64), lots[kept].astype(np.int64)))
    return sides


def compare(quoter: Quoter, inputs) -> tuple[int, int]:
    """Raises where the three differ; returns grids and levels compared, fences left out."""
    grids = levels = 0
    for bid, ask, signal, lots in inputs:
        value = lots * LOT * (bid + ask) / 2 * TICK
        plain = in_python(bid, ask, signal, value)
        wide = [list(zip(*map(np.ndarray.tolist, s), strict=True)) for s in
                in_numpy(bid, ask, signal, value)]  # fmt: skip
        quoter.quote(bid, ask, signal, lots)
        ours = [quoter.bids, quoter.asks]
        for got in (plain, wide):
            for a, b in zip(ours, got, strict=True):
                assert len(a) == len(b), (bid, ask, signal, lots)
                # the three walk the ladder with different last bits: a price or a size that falls
                # within them of a rounding edge may land on either side of it
                off = sum(x != tuple(y) for x, y in zip(a, b, strict=True))
                assert off == 0 or all(
                    abs(x[0] - y[0]) <= 1 and abs(x[1] - y[1]) <= 1
                    for x, y in zip(a, b, strict=True)
                ), (bid, ask, signal, lots)
                assert off <= 1, (bid, ask, signal, lots)
                levels += len(a)
        grids += 1
    return grids, levels


def nanoseconds(call, inputs, rounds: int) -> float:
    """Best of several rounds, per call, the loop around it included."""

    def run() -> None:
        for arguments in inputs:
            call(*arguments)

    return min(timeit.repeat(run, number=1, repeat=rounds)) / len(inputs) * 1e9


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--grids", type=int, default=2_000)
    options.add_argument("--rounds", type=int, default=7)
    options = options.parse_args()
    quoter = Quoter(
        GridStrategy(
            max_position_usd=MOST,
            orders_per_side=N,
            final_order_distance=DISTANCE,
            size_ratio_favoured=RATIOS[0],
            size_ratio_other=RATIOS[1],
        ),
        known("binance-usdm", "BTCUSDT").spec(),
    )
    draw = random.Random(7)
    inputs = []
    for _ in range(options.grids):
        bid = draw.randrange(400_000, 800_000)
        inputs.append((bid, bid + draw.randrange(1, 5), draw.uniform(-1, 1),
                       draw.randrange(-10_000, 10_000)))  # fmt: skip
    print("compared: {} grids, {} levels, the same".format(*compare(quoter, inputs)))
    valued = [
        (bid, ask, signal, lots * LOT * (bid + ask) / 2 * TICK) for bid, ask, signal, lots in inputs
    ]
    rows = [
        ("compiled, one Python call", nanoseconds(quoter.quote, inputs, options.rounds)),
        ("plain Python", nanoseconds(in_python, valued, options.rounds)),
        ("numpy, weights prepared", nanoseconds(in_numpy, valued, options.rounds)),
    ]
    for name, ns in rows:
        print(f"{name:<28} {ns:>9,.0f} ns a grid   {ns / rows[0][1]:>6.1f} x")
    print(f"levels a grid: {statistics.mean(quoter.quote(*i) for i in inputs):.1f}")


if __name__ == "__main__":
    main()
