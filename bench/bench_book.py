"""How much faster is the book than the usual Python ones?  Prints ratios.

    python bench/bench_book.py [--rounds 7] [--messages 1000]

One call per message from Python: apply the changes, then best bid and ask, top-5 imbalance and
microprice.  Rivals: sortedcontainers' SortedDict (prices as floats), and a dict sorted per message.
All books must agree on every signal before anything is timed.  The contestants take turns, so that
a busy machine slows all of them; a ratio is the median over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import islice

import numpy as np
from book_tape import Levels, Tape, make_tape
from sortedcontainers import SortedDict

from mmcore._book import Book
from mmcore.events import ASK, BID

DEPTH = 5
Signals = tuple[float, float]


def read_off(bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> Signals:
    """Imbalance and microprice of the first levels, best first."""
    k = min(len(bids), len(asks))
    b = sum(qty for _, qty in bids[:k])
    a = sum(qty for _, qty in asks[:k])
    (bid, bid_qty), (ask, ask_qty) = bids[0], asks[0]
    return (b - a) / (b + a), (bid_qty * ask + ask_qty * bid) / (bid_qty + ask_qty)


class SortedDictBook:
    def __init__(self) -> None:
        self.bids, self.asks = SortedDict(), SortedDict()

    def apply(self, bids: Levels, asks: Levels) -> Signals:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, qty in levels:
                if qty:
                    side[price] = qty
                else:
                    side.pop(price, None)
        best_bids = [(p, self.bids[p]) for p in islice(reversed(self.bids), DEPTH)]
        return read_off(best_bids, list(islice(self.asks.items(), DEPTH)))


class DictBook:
    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}

    def apply(self, bids: Levels, asks: Levels) -> Signals:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, qty in levels:
                if qty:
                    side[price] = qty
                else:
                    side.pop(price, None)
        best_bids = sorted(self.bids.items(), reverse=True)[:DEPTH]
        return read_off(best_bids, sorted(self.asks.items())[:DEPTH])


def contestants(tape: Tape) -> dict[str, Callable[[], list[Signals]]]:
    """Each runs the whole tape on a fresh book and returns the signals; the snapshot is untimed."""
    floats = [
        tuple([(tick / 10, qty / 1000) for tick, qty in levels] for levels in message)
        for message in tape.messages
    ]
    starts = tape.starts[1:]

    def rival(kind: type[SortedDictBook] | type[DictBook]) -> Callable[[], list[Signals]]:
        def run() -> list[Signals]:
            book = kind()
            book.apply(*floats[0])
            return timed(lambda: [book.apply(bids, asks) for bids, asks in floats[1:]])

        return run

    def ours() -> list[Signals]:
        book = Book()
        book.bind(tape.rows)
        book.update(0)
        update, imbalance, microprice = book.update, book.imbalance, book.microprice

        def message(row: int) -> Signals:
            update(row)
            return imbalance(DEPTH), microprice()

        return timed(lambda: [message(row) for row in starts])

    def block() -> list[Signals]:
        book = Book()
        book.bind(tape.rows)
        book.update(0)
        book.bind(tape.rows[starts[0] :])
        return timed(lambda: list(zip(*map(np.ndarray.tolist, book.signals(DEPTH)), strict=True)))

    return {
        "mmcore, one call a message": ours,
        "mmcore, one call a block": block,
        f"sortedcontainers {version('sortedcontainers')}": rival(SortedDictBook),
        "dict and sorted()": rival(DictBook),
    }


elapsed_s: list[float] = []


def timed(work: Callable[[], list[Signals]]) -> list[Signals]:
    """Runs the timed part; its process time is left in ``elapsed_s``."""
    before = time.process_time()
    result = work()
    elapsed_s.append(time.process_time() - before)
    return result


def agree(tape: Tape, runs: dict[str, Callable[[], list[Signals]]]) -> None:
    answers = {name: np.array(run()) for name, run in runs.items()}
    first = answers["mmcore, one call a message"]
    for name, answer in answers.items():
        if "mmcore" not in name:
            answer[:, 1] *= 10  # rivals hold prices, ours has no spec and holds ticks
        if not np.allclose(answer, first, rtol=1e-9, atol=1e-9):
            raise SystemExit(f"{name} disagrees with {next(iter(answers))}")
    book = Book()
    book.bind(tape.rows)
    book.run()
    last = first[-1]
    print(
        f"all agree on {len(first)} messages; last: {book.n_bids} bids, {book.n_asks} asks, "
        f"touch {book.levels(BID, 1)[0]['tick']}/{book.levels(ASK, 1)[0]['tick']}, "
        f"imbalance {last[0]:+.4f}, microprice {last[1]:.3f} ticks"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=1000)
    arguments = parser.parse_args()
    tape = make_tape(arguments.messages)
    runs = contestants(tape)
    agree(tape, runs)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            run()
            times[name].append(elapsed_s[-1])
    ours = times["mmcore, one call a message"]
    print(f"{'':32}{'ns a level':>12}{'us a message':>14}{'x slower':>10}")
    for name, seconds in times.items():
        ratio = statistics.median(other / own for other, own in zip(seconds, ours, strict=True))
        each = statistics.median(seconds)
        print(
            f"{name:32}{each / tape.n_levels * 1e9:12.1f}"
            f"{each / arguments.messages * 1e6:14.2f}{ratio:10.2f}"
        )


if __name__ == "__main__":
    main()
