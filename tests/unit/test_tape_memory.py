"""Files larger than what reading them may take: the bound that docs/data.md states."""

import gzip
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmcore.convert import EVENT_ARRAY

BOUND_BYTES = 50_000_000  # beyond the program itself
SIZE_BYTES = 64_000_000  # of the files' text or arrays
READ = """
import resource, sys
from mmcore.convert import convert
from mmcore.tape import TapeSource
import mmcore.tables, mmcore.shapes, mmcore.updates
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024
before = peak()
source = TapeSource([sys.argv[1]], [("binance-usdm", sys.argv[2])])
n = 0
while (block := source.next_block()) is not None:
    n += len(block)
print(n, peak() - before)
"""


def array(path):
    n = SIZE_BYTES // EVENT_ARRAY.itemsize
    rows = np.zeros(n, EVENT_ARRAY)
    rows["ev"] = 0xE000_0001  # depth, a bid, for both sides
    rows["exch_ts"] = 10**18 + np.arange(n) * 1000
    rows["local_ts"] = rows["exch_ts"] + 500
    rows["px"], rows["qty"] = 100 + np.arange(n) % 7 / 10, 0.003
    np.savez(path, data=rows)
    return n


def text(head, row, pad):
    """A table of ``SIZE_BYTES``, each row made long by a field that says nothing."""
    n = SIZE_BYTES // pad
    return n, head + "".join(row.format(i, i + 1, "x" * pad) for i in range(1, n + 1))


def tardis(path):
    head = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    row = "binance-futures{2},BTCUSDT,174104640{0:07},174104640{0:07},{1},buy,36000.1,0.2\n"
    n, whole = text(head, row, 2000)
    whole = whole.replace("binance-futures" + "x" * 2000, "binance-futures", 1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("trades.csv", whole)
    return n


def updates(path):
    head = (
        "TimestampOfReceive,Stream,EventType,EventTime,Symbol,FirstUpdateId,FinalUpdateId,IsAsk,"
        "Price,Quantity,FinalUpdateIdInLastStream\n"
    )
    row = "174104640{0:07},{2},u,174104640{0:07},TRXUSDT,{1},{1},0,0.2311,1,{0}\n"
    n, whole = text(head, row, 4000)
    path.write_bytes(gzip.compress(whole.encode(), 1))
    return 2 * n


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says its peak there")
@pytest.mark.parametrize(
    ("make", "name", "symbol"),
    [
        (array, "x.npz", "BTCUSDT"),
        pytest.param(tardis, "trades.zip", "BTCUSDT", marks=pytest.mark.slow),
        pytest.param(updates, "depth.csv.gz", "TRXUSDT", marks=pytest.mark.slow),
    ],
)
def test_reading_takes_less_than_the_file(tmp_path, make, name, symbol):
    rows = make(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / name), symbol],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    n, taken = map(int, done.stdout.split())
    assert n == rows
    assert taken < BOUND_BYTES < SIZE_BYTES
