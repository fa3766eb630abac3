"""Recordings into one file: the same rows, resumed where it was torn, and hftbacktest's array."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from made_tapes import read

from mmcore.commands import execute
from mmcore.convert import EVENT_ARRAY, Step, convert
from mmcore.errors import DataError, Interrupted
from mmcore.events import EVENT, LEVEL, Flag, Kind
from mmcore.instrument import known
from mmcore.recording import heads_of
from mmcore.tables import BUY_BIT, EXCH_BIT, LOCAL_BIT, SELL_BIT
from mmcore.tape import TapeFile, TapeSource, TapeWriter
from mmcore.tape_info import tape_facts

BTC = known("binance-usdm", "BTCUSDT")
BOTH = int(Flag.EXCH | Flag.LOCAL)
T = 1_700_000_000 * 10**9


def depth(local, venue, bids, asks, *, whole=False):
    n = len(bids) + len(asks)
    rows = np.zeros(1 + (n + 3) // 4, EVENT)
    head = rows[:1]
    head["kind"], head["flags"] = Kind.DEPTH, BOTH | (Flag.SNAPSHOT if whole else 0)
    head["n_bids"], head["n_asks"] = len(bids), len(asks)
    head["ts_local_ns"], head["ts_venue_ns"] = T + local, T + venue
    rows[1:].view(LEVEL)[:n] = bids + asks
    return rows


def trade(local, venue, side, tick):
    row = np.zeros(1, EVENT)
    row["kind"], row["flags"], row["side"], row["tick"], row["qty"] = (
        Kind.TRADE, BOTH, side, tick, 500,
    )  # fmt: skip
    row["ts_local_ns"], row["ts_venue_ns"] = T + local, T + venue
    return row


def prints(n):
    rows = np.repeat(trade(0, 0, 1, 1000), n)
    rows["ts_local_ns"] += np.arange(n)
    rows["tick"] += np.arange(n) % 7
    return rows


MARKET = [
    depth(10, 4, [(1000, 7), (999, 8)], [(1001, 9)], whole=True),
    trade(20, 15, 1, 1001),
    depth(30, 12, [(1000, 5)], []),  # stands behind the trade, happened before it
    depth(40, 20, [], [(1001, 0), (1002, 3)]),
    trade(50, 30, -1, 1000),
]


@pytest.fixture
def tape(tmp_path):
    def tape(parts, name="in.mmt"):
        writer = TapeWriter(tmp_path / name, [BTC])
        writer.append(np.concatenate(parts))
        writer.close()
        return tmp_path / name

    return tape


def test_a_tape_of_a_tape_holds_the_same_rows(tape, tmp_path):
    path = tape(MARKET)
    facts = convert([path], tmp_path / "out.mmt")
    assert TapeFile(tmp_path / "out.mmt").rows.tobytes() == np.concatenate(MARKET).tobytes()
    assert facts["rows"] == len(np.concatenate(MARKET))
    assert not (tmp_path / "out.mmt.part").exists()
    with pytest.raises(DataError, match="already there"):
        convert([path], tmp_path / "out.mmt")


def interrupted(path, out, monkeypatch, *, after):
    """A conversion that is stopped once ``after`` blocks are written."""
    taken = []
    append = TapeWriter.append

    def stop(writer, rows):
        if len(taken) == after:
            raise KeyboardInterrupt
        taken.append(len(rows))
        append(writer, rows)

    with monkeypatch.context() as patch:
        patch.setattr(TapeWriter, "append", stop)
        with pytest.raises(Interrupted, match="goes on from there"):
            convert([path], out)
    return sum(taken)


def test_an_interrupted_conversion_goes_on(tape, tmp_path, monkeypatch):
    many = prints(70_000)
    path, out = tape([many]), tmp_path / "out.mmt"
    written = interrupted(path, out, monkeypatch, after=1)
    assert 0 < written < len(many)
    part = tmp_path / "out.mmt.part"
    part.write_bytes(part.read_bytes() + b"x" * 40)  # a row that the death of the process tore
    assert not out.exists()
    facts = convert([path], out)
    assert facts["rows_of_an_earlier_attempt"] == written
    assert TapeFile(out).rows.tobytes() == many.tobytes()


def test_a_market_told_order_by_order_keeps_its_orders(tmp_path):
    both, buy, sell = EXCH_BIT | LOCAL_BIT, BUY_BIT, SELL_BIT
    said = [
        (3 | both, 0, 0.0, 0.0), (10 | both | buy, 7, 99.9, 0.5),
        (10 | both | sell, 8, 100.1, 0.4), (10 | both | buy, 9, 99.8, 0.3),
        (12 | both | buy, 9, 99.9, 0.2), (2 | both | sell, 0, 99.9, 0.1),
        (13 | both | buy, 7, 99.9, 0.1), (11 | both | sell, 8, 100.1, 0.4),
        (11 | both | buy, 9, 0.0, 0.0),
    ]  # fmt: skip
    rows = np.zeros(len(said), EVENT_ARRAY)
    for name, values in zip(("ev", "order_id", "px", "qty"), zip(*said, strict=True), strict=True):
        rows[name] = values
    rows["exch_ts"] = T + np.arange(len(said)) * 1000
    rows["local_ts"] = rows["exch_ts"] + 500
    np.savez(tmp_path / "a.npz", data=rows)
    convert([tmp_path / "a.npz"], tmp_path / "b.mmt", wanted=[BTC])
    convert([tmp_path / "b.mmt"], tmp_path / "c.npz", to="npz")
    made = np.load(tmp_path / "c.npz")["data"]
    assert made["ev"].tolist() == rows["ev"].tolist()
    assert made["order_id"].tolist() == rows["order_id"].tolist()
    for source in (tmp_path / "b.mmt", tmp_path / "c.npz"):
        again = read_rows(source)
        assert again.tobytes() == read_rows(tmp_path / "a.npz").tobytes()


def read_rows(path):
    return read(TapeSource([path], [BTC]))


FULL = """
import resource, sys
from mmcore.commands import execute
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
sys.exit(execute(["tape", "convert", *sys.argv[1:]]))
"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("out.mmt", "kept in its .part; make room there, or name another place; the same command"),
        ("out.npz", "nothing of it is kept; make room there"),
    ],
)
def test_a_disk_that_is_full_ends_it_in_order_and_it_goes_on_later(tape, tmp_path, name, says):
    path, out = tape([prints(9_000)]), tmp_path / name
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert f"{out}: cannot be written further (File too large); " in done.stderr
    assert says in done.stderr
    left = sorted(each.name for each in tmp_path.iterdir())
    assert left == (["in.mmt", "out.mmt.part"] if name == "out.mmt" else ["in.mmt"])
    facts = convert([path], out, to=out.suffix[1:])
    assert facts["rows"] == 9_000
    assert facts.get("rows_of_an_earlier_attempt", 1) > 0
    if name == "out.mmt":
        assert TapeFile(out).rows.tobytes() == prints(9_000).tobytes()


def stopped_in_the_middle(path, out, part, number):
    """Exit code and errors of a conversion that gets a signal when its part has begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mmcore", "tape", "convert", str(path), str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 100_000) and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    return process.returncode, errors


@pytest.mark.parametrize(
    ("number", "name", "says"),
    [
        (signal.SIGINT, "out.mmt", "stopped by Ctrl-C; what was written is kept in its .part; the"),
        (signal.SIGTERM, "out.npz", "stopped by SIGTERM; nothing of it is kept; the same command"),
    ],
)
def test_a_signal_ends_the_command_in_order(tmp_path, number, name, says):
    path, out = tmp_path / "t.csv", tmp_path / name
    row = "binance-futures,BTCUSDT,{0},{0},{1},buy,36000.1,0.2\n"
    path.write_text(
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
        + "".join(row.format(T // 1000 + i, i) for i in range(1, 300_000))
    )
    part = out.with_name(f"{name}.part")
    for _ in range(5):  # on a busy machine the conversion may be over before the signal
        out.unlink(missing_ok=True)
        code, errors = stopped_in_the_middle(path, out, part, number)
        if code:
            break
    assert code == 130, errors
    assert f"error: {out}: {says}" in errors
    assert part.exists() == (name == "out.mmt") and not out.exists()
    assert len(list(tmp_path.iterdir())) == 1 + part.exists()


def test_a_part_made_of_other_files_is_not_gone_on_with(tape, tmp_path, monkeypatch):
    out = tmp_path / "out.mmt"
    interrupted(tape([prints(40_000)]), out, monkeypatch, after=1)
    other = tape(MARKET, "other.mmt")
    assert convert([other], out)["rows_of_an_earlier_attempt"] == 0
    assert TapeFile(out).rows.tobytes() == np.concatenate(MARKET).tobytes()


def test_progress_tells_share_and_time_left(tape, tmp_path):
    steps: list[Step] = []
    ticks = iter(range(100))
    convert([tape(MARKET)], tmp_path / "o.mmt", told=steps.append, clock=lambda: next(ticks))
    assert [step.share for step in steps] == [1.0]
    assert steps[0].left_s == 0.0


def test_the_array_keeps_both_orders(tape, tmp_path):
    out = tmp_path / "x.npz"
    facts = convert([tape(MARKET)], out, to="npz")
    data = np.load(out)["data"]
    assert data.dtype == EVENT_ARRAY
    assert facts["local_clock_moved_ns"] == 0
    said = [
        (int(ev) & 0xFF, bool(ev & EXCH_BIT), bool(ev & LOCAL_BIT), exch - T, round(px * 10))
        for ev, exch, px in zip(
            data["ev"].tolist(), data["exch_ts"].tolist(), data["px"].tolist(), strict=True
        )
    ]
    assert said == [
        (3, True, True, 4, 0),
        (4, True, True, 4, 1000),
        (4, True, True, 4, 999),
        (4, True, True, 4, 1001),
        (1, True, False, 12, 1000),
        (2, True, True, 15, 1001),
        (1, False, True, 12, 1000),
        (1, True, True, 20, 1001),
        (1, True, True, 20, 1002),
        (2, True, True, 30, 1000),
    ]
    for bit, clock in ((EXCH_BIT, "exch_ts"), (LOCAL_BIT, "local_ts")):
        assert (np.diff(data[clock][(data["ev"] & np.uint64(bit)) > 0]) >= 0).all()
    sides = (data["ev"] & np.uint64(BUY_BIT | SELL_BIT)) == 0
    assert (sides == ((data["ev"] & np.uint64(0xFF)) == 3)).all()


def test_a_clock_that_is_behind_is_moved_and_said(tape, tmp_path):
    out = tmp_path / "x.npz"
    facts = convert([tape([depth(0, 1000, [(1, 1)], [(2, 1)], whole=True), trade(5, 900, 1, 2)])],
                    out, to="npz")  # fmt: skip
    data = np.load(out)["data"]
    assert facts["local_clock_moved_ns"] == 1000
    assert (data["local_ts"] - data["exch_ts"]).min() == 0


def test_an_array_reads_back_as_the_same_market(tape, tmp_path):
    path = tape(MARKET)
    convert([path], tmp_path / "x.npz", to="npz")
    convert([tmp_path / "x.npz"], tmp_path / "two.mmt", wanted=[BTC])
    again = TapeFile(tmp_path / "two.mmt")
    assert again.clock == "two"
    convert([tmp_path / "two.mmt"], tmp_path / "y.npz", to="npz")
    one, two = (np.load(tmp_path / name)["data"] for name in ("x.npz", "y.npz"))
    assert (one["px"] == two["px"]).all()
    assert (one["exch_ts"] == two["exch_ts"]).all()
    source = TapeSource([path])
    block = source.next_block()
    assert block is not None
    assert len(heads_of(block)) == len(MARKET)


def test_the_command(tape, tmp_path, capsys):
    path = tape(MARKET)
    assert execute(["tape", "convert", str(path), str(tmp_path / "o.npz"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["instruments"] == ["binance-usdm:BTCUSDT"]
    assert execute(["tape", "info", str(tmp_path / "o.npz")]) == 3
    assert "--instrument VENUE:SYMBOL" in capsys.readouterr().err
    named = ["--instrument", "binance-usdm:BTCUSDT"]
    assert execute(["tape", "info", str(tmp_path / "o.npz"), *named]) == 0
    assert execute(["tape", "info", str(path), "--instrument", "BTCUSDT"]) == 2
    assert execute(["tape", "convert", str(path)]) == 2


def test_a_two_clock_tape_is_told_by_what_was_received(tape, tmp_path):
    # Received in another order than they happened, so that the array has the rows once for each.
    path = tape([trade(50, 49, 1, 1000), trade(60, 40, 1, 1000), trade(70, 69, 1, 1000)])
    convert([path], tmp_path / "o.npz", to="npz")
    assert len(np.load(tmp_path / "o.npz")["data"]) > 3
    facts = tape_facts(str(tmp_path / "o.npz"), [("binance-usdm", "BTCUSDT")])
    assert facts["events"] == ["binance-usdm:BTCUSDT: 3 trade"]


def test_tapes_continue_each_other_but_never_overlap(tape, tmp_path):
    spans = {"late": 100, "early": 50, "across": 52}
    files = {
        name: tape([trade(start + i, start, 1, 1000) for i in range(4)], name)
        for name, start in spans.items()
    }
    convert([files["late"], files["early"]], tmp_path / "both.mmt")
    both = TapeFile(tmp_path / "both.mmt").rows["ts_local_ns"] - T
    assert both.tolist() == [50, 51, 52, 53, 100, 101, 102, 103]
    with pytest.raises(
        DataError,
        match=r"across, record 1: column ts_local_ns: the file begins before .*early ends",
    ):
        convert([files["early"], files["across"]], tmp_path / "x.mmt")
    with pytest.raises(DataError, match=r"begins before .* name each"):
        convert([files["early"], files["early"]], tmp_path / "y.mmt")
