"""A pass that is stopped between two messages: all are stopped at the same instant."""

from types import SimpleNamespace

import numpy as np
import pytest

from mmcore.config import loads
from mmcore.events import RECORD
from mmcore.lanes import PassDesk
from mmcore.recording import heads_of
from mmcore.retrace import LogSource, hash_of
from mmcore.run import SETTLES_MAX
from mmcore.sources import source_of

TEXT = """
[market]
seed = 2
[simulation]
entry_latency_ms = 20
response_latency_ms = 20
[[instrument]]
venue = "synthetic"
symbol = "BTCUSDT"
[instrument.grid]
minimum_spread = {spread}
final_order_distance = 2
requote_spreads = {requote}
"""
BUSY = loads(TEXT.format(spread=1.0, requote=0.05))
CALM = loads(TEXT.format(spread=9.0, requote=0.5))
SILENCE_NS = 45_000_000  # long enough for an answer, too short for a timer of the loop
SECONDS = 4.0


def traded(rows, instruments, *configs) -> list[str]:
    """Journal hashes of configurations that are stopped in the silence after the rows."""
    heads = heads_of(rows)
    first, last = (int(rows["ts_local_ns"][heads[i]]) for i in (0, -1))
    end_ns = last + SILENCE_NS
    tape = SimpleNamespace(clock="local", instruments=instruments)
    source = LogSource(tape, rows, end_ns)
    desk = PassDesk(configs, "pass", (end_ns - first) / 1e9, source)
    kept: list[list[np.ndarray]] = [[] for _ in configs]
    for lane, mine in zip(desk.lanes, kept[1:], strict=True):
        lane.records = lambda records, mine=mine: mine.append(records.copy())
    while not desk.over:
        desk.advance(1 << 20, 0)
        kept[0].append(desk.drain())
    desk.stop()
    for _ in range(SETTLES_MAX):
        settled = desk.settle()
        kept[0].append(desk.drain())
        if settled:
            break
    return [hash_of(np.concatenate([np.zeros(0, RECORD), *parts])) for parts in kept]


@pytest.fixture(scope="module")
def market():
    source = source_of(BUSY, seconds=SECONDS)
    blocks = []
    while (block := source.next_block()) is not None:
        blocks.append(np.array(block))
    return np.concatenate(blocks), source.instruments


@pytest.mark.parametrize("message", [300, 710, 720, 780, 1500])
def test_an_answer_to_one_configuration_does_not_move_the_stop_of_another(market, message):
    """After messages 710, 720 and 780 only one of them has an order on its way."""
    rows, instruments = market
    cut = rows[: heads_of(rows)[message]]
    alone = traded(cut, instruments, BUSY) + traded(cut, instruments, CALM)
    assert traded(cut, instruments, BUSY, CALM) == alone
