"""The recorded tables: counts as their README has them, and books that never cross."""

from pathlib import Path

import numpy as np
import pytest

from mmcore.events import Kind
from mmcore.recording import heads_of
from mmcore.tape import TapeSource
from mmcore.tape_info import tape_facts

pytest.importorskip("pyarrow")
HYPERLIQUID = "hyperliquid/ETH/parquet_2025-12-10"
COUNTS = {
    "binance/usdm/BTCUSDT/parquet_2026-02-16/lobdeep_btc_fut_2026-02-16_04.parquet": "2559 depth",
    "binance/spot/BTCUSDT/parquet_2026-02-16/trades_btc_spot_2026-02-16_04.parquet": "10215 trade",
    "bybit/linear/BTCUSDT/trades_2025-12-04_parquet/part-001.parquet": "234635 trade",
    "hyperliquid/BTC/csv_2025-09-03/orderbooks_BTC.csv": "446 depth, 2 link_down",
    "hyperliquid/BTC/csv_2025-09-03/trades_BTC.csv": "1467 trade",
    "hyperliquid/WLFI/csv_2025-09-03/prices_WLFI.csv": "1592 best",
}


@pytest.mark.parametrize("name", COUNTS)
def test_every_row_of_a_recorded_table_is_read(name: str, shared_data: Path) -> None:
    facts = tape_facts(str(shared_data / name))
    assert facts["events"][0].partition(": ")[2] == COUNTS[name]


def test_files_of_a_minute_each_are_one_recording(shared_data: Path) -> None:

    files = sorted((shared_data / HYPERLIQUID).glob("*/*.parquet"))
    source = TapeSource(files[::-1])  # in whatever order they are given
    counts, last_ns = np.zeros(len(Kind), np.int64), 0
    while (block := source.next_block()) is not None:
        heads = block[heads_of(block)]
        assert heads["ts_local_ns"][0] >= last_ns
        assert (np.diff(heads["ts_local_ns"]) >= 0).all()
        last_ns = int(heads["ts_local_ns"][-1])
        counts += np.bincount(heads["kind"], minlength=len(Kind))
    assert counts[Kind.DEPTH] == 2081
    assert counts[Kind.TRADE] == 6385
    assert counts[Kind.BEST] == 19_934
    assert not source.problems


ALTS = {
    "binance/usdm/alts_2021-07-22/BINANCE_FUTURES.jsonl.zst": ("CTKUSDT", "0.00001", "0.001"),
    "binance/spot/alts_2021-10-12/BINANCE.jsonl.zst": ("NKNUSDT", "0.00001", "0.0001"),
}


@pytest.mark.parametrize("name", ALTS)
def test_levels_finer_than_the_tick_of_their_day_are_kept(name: str, shared_data: Path) -> None:
    symbol, tick, step = ALTS[name]
    source = TapeSource([shared_data / name])
    (item,) = (item for item in source.instruments if item.symbol == symbol)
    assert (item.tick, item.price_step) == (tick, step)
    while source.next_block() is not None:
        pass
    assert not source.problems
