"""Tapes that cannot be used, or only in part, through every door that takes one."""

import json
import re
import zipfile
from contextlib import chdir

import numpy as np
import pytest

from mmcore.commands import execute
from mmcore.convert import EVENT_ARRAY
from mmcore.events import EVENT, LEVEL, Flag, Kind
from mmcore.instrument import known
from mmcore.tape import TapeWriter

BTC = known("binance-usdm", "BTCUSDT")
T = 1_700_000_000 * 10**9
MS = 10**6
BOOK = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"


# ---- a small market in three forms ------------------------------------------------------------


def depth(at, bids, asks, seq, before, *, whole=False):
    rows = np.zeros(1 + (len(bids) + len(asks) + 3) // 4, EVENT)
    head = rows[:1]
    head["kind"], head["flags"] = Kind.DEPTH, 3 | (Flag.SNAPSHOT if whole else 0)
    head["n_bids"], head["n_asks"], head["seq"], head["aux"] = len(bids), len(asks), seq, before
    head["ts_local_ns"], head["ts_venue_ns"] = T + at * MS, T + at * MS - MS
    rows[1:].view(LEVEL)[: len(bids) + len(asks)] = bids + asks
    return rows


def print_(at):
    row = np.zeros(1, EVENT)
    row["kind"], row["flags"], row["side"], row["tick"], row["qty"] = Kind.TRADE, 3, 1, 360_001, 5
    row["ts_local_ns"], row["ts_venue_ns"] = T + at * MS, T + at * MS - MS
    return row


def market(start=0):
    """Messages: a whole book, then every 100 ms an update and a trade."""
    bids, asks = [(360_000 - i, 900) for i in range(9)], [(360_001 + i, 900) for i in range(9)]
    parts = [depth(start, bids, asks, 10, 0, whole=True)]
    for i in range(1, 60):
        parts.append(depth(start + 100 * i, [(359_990, i)], [(360_015, i)], 10 + i, 9 + i))
        parts.append(print_(start + 100 * i + 1))
    return parts


def tape(path, parts, **facts):
    writer = TapeWriter(path, [BTC], **facts)
    writer.append(np.concatenate(parts))
    writer.close()


def array(change=None):
    """The same as an event array."""
    rows = [(3, 0, 0.0, 0.0)]
    rows += [(4 | 1 << 29, 0, 36_000 - i / 10, 0.9) for i in range(9)]
    rows += [(4 | 1 << 28, 0, 36_000.1 + i / 10, 0.9) for i in range(9)]
    for i in range(1, 60):
        rows += [(1 | 1 << 29, 100 * i, 35_999.0, 0.1), (2 | 1 << 29, 100 * i, 36_000.1, 0.005)]
    data = np.zeros(len(rows), EVENT_ARRAY)
    data["ev"] = [row[0] | 3 << 30 for row in rows]
    data["exch_ts"] = [T + row[1] * MS for row in rows]
    data["local_ts"] = data["exch_ts"] + MS
    data["px"], data["qty"] = [row[2] for row in rows], [row[3] for row in rows]
    made = None if change is None else change(data)
    return data if made is None else made


def book(change=None):
    """The same as a table."""
    row = "binance-futures,BTCUSDT,{0},{0},{1},{2},{3:.1f},{4}"
    lines = [row.format(T // 1000, "true", "bid", 36_000 - i / 10, 0.9) for i in range(9)]
    lines += [row.format(T // 1000, "true", "ask", 36_000.1 + i / 10, 0.9) for i in range(9)]
    for i in range(1, 60):
        lines.append(row.format(T // 1000 + 100_000 * i, "false", "bid", 35_999, 0.1))
    made = None if change is None else change(lines)
    return BOOK + "\n".join(lines if made is None else made) + "\n"


def trades():
    row = "binance-futures,BTCUSDT,{0},{0},{1},buy,36000.1,0.005"
    lines = [row.format(T // 1000 + 100_000 * i + 9, i) for i in range(1, 60)]
    return TRADES + "\n".join(lines) + "\n"


def swapped(parts):
    parts[20], parts[24] = parts[24], parts[20]
    return parts


def changed(column, row, value):
    def change(data):
        data[column][row] = value

    return change


def line(number, old, new):
    def change(lines):
        lines[number - 2] = lines[number - 2].replace(old, new)

    return change


def late(lines):
    lines[28], lines[30] = lines[30], lines[28]


def dropped(names):
    return lambda data: data[[name for name in data.dtype.names if name not in names]].copy()


def of_type(column, kind):
    def change(data):
        fields = [(n, kind if n == column else data.dtype[n]) for n in data.dtype.names]
        return data.astype(fields)

    return change


# ---- the doors --------------------------------------------------------------------------------


@pytest.fixture
def door(tmp_path, capsys):
    """Type a command in the folder of the files; exit status and everything it said."""

    def door(*command):
        with chdir(tmp_path):
            code = execute([str(word) for word in command])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out + said.err

    return door


def configure(tmp_path, files, spec=""):
    text = (
        f'[market]\nsource = "tape"\nfiles = {json.dumps(files)}\nspeed = 0\n[[instrument]]\n'
        'venue = "binance-usdm"\nsymbol = "BTCUSDT"\n[instrument.grid]\nasset = 10000\n'
    )
    (tmp_path / "c.toml").write_text(text + spec)


RUNS = (("run", "c.toml"), ("backtest", "c.toml", "--no-band"))
NAMED = ("--instrument", "binance-usdm:BTCUSDT")


@pytest.mark.parametrize("command", RUNS, ids=["run", "backtest"])
def test_the_market_itself_is_sound_in_all_three_forms(tmp_path, door, command):
    tape(tmp_path / "a.mmt", market())
    np.savez(tmp_path / "a.npz", data=array())
    (tmp_path / "b.csv").write_text(book())
    (tmp_path / "t.csv").write_text(trades())
    for files in (["a.mmt"], ["a.npz"], ["b.csv", "t.csv"]):
        configure(tmp_path, files)
        code, said = door(*command)
        assert code == 0, said


ARRAYS = [
    ("no such column", dropped(["px"]), "a.npz: the array lacks the columns px; it has ev,"),
    ("no columns", lambda _: np.zeros((4, 6)), "a.npz: the array lacks the columns ev, exch_ts"),
    ("text for a time", of_type("exch_ts", "<f8"), "column exch_ts is of float64, expected whole"),
    ("short prices", of_type("px", "<f4"), "column px is of float32, expected doubles"),
    ("unknown event", changed("ev", 30, (3 << 30) + 77), "a.npz, record 31: column ev: "),
    ("for nobody", changed("ev", 30, 1 + (1 << 29)), "record 31: column ev: .* neither side"),
    ("off the tick", changed("px", 31, 36_000.13), "record 32: column px: 36000.13 is no multiple"),
    ("off the lot", changed("qty", 31, 0.00012), "record 32: column qty: .* lot 0.001; give the"),
    ("nan", changed("px", 31, np.nan), "record 32: column px: nan is no price"),
    ("venue back", changed("exch_ts", 31, T), "record 32: column exch_ts: .* comes before"),
    ("ours back", changed("local_ts", 31, T), "record 32: column local_ts: .* comes before"),
    ("empty", lambda data: data[:0], "a.npz: the array is empty"),
]


@pytest.mark.parametrize(("change", "says"), [c[1:] for c in ARRAYS], ids=[c[0] for c in ARRAYS])
def test_an_event_array_that_cannot_be_true(tmp_path, door, change, says):
    np.savez(tmp_path / "a.npz", data=array(change))
    configure(tmp_path, ["a.npz"])
    for command in (*RUNS, ("tape", "info", "a.npz", *NAMED),
                    ("tape", "convert", "a.npz", "o.mmt", *NAMED)):  # fmt: skip
        code, said = door(*command)
        assert code == 3
        assert_says(said, says)


def assert_says(said, says):
    flat = " ".join(said.split())  # the end of a run is wrapped to the screen
    assert re.search(says, flat), said


TABLES = [
    ("other column", lambda _: None, ("is_snapshot", "snap"), r"b.csv:1: a table of other columns"),
    ("out of order", late, None, r"b.csv:31: column local_timestamp: \d+ runs backwards"),
    ("off the tick", line(30, "35999.0", "35999.07"), None, r"b.csv:30: column price: 35999.07"),
    ("off the lot", line(30, ",0.1", ",0.10007"), None, r"b.csv:30: column amount: 0.10007"),
    ("no side", line(30, "bid", "bud"), None, r"b.csv:30: column side: bud is no side"),
    ("no price", line(30, "35999.0", "many"), None, r"b.csv:30: column price: many is no number"),
    ("no flag", line(30, "false", "no"), None, r"b.csv:30: column is_snapshot: no is neither"),
    ("other symbol", line(30, "BTC", "ETH"), None, r"b.csv:30: column symbol: ETHUSDT is not"),
    ("a field more", line(30, "bid", "bid,7"), None, r"b.csv:30: 9 fields, the table has 8"),
    ("one side", lambda lines: [x for x in lines if "ask" not in x], None, r"b.csv: not one ask"),
    ("no rows", lambda _: [], None, r"b.csv:1: a line of names and no row under it"),
]


@pytest.mark.parametrize(
    ("change", "head", "says"), [c[1:] for c in TABLES], ids=[c[0] for c in TABLES]
)
def test_a_table_that_cannot_be_true(tmp_path, door, change, head, says):
    text = book(change).replace(*head) if head else book(change)
    (tmp_path / "b.csv").write_text(text)
    (tmp_path / "t.csv").write_text(trades())
    configure(tmp_path, ["b.csv", "t.csv"])
    doors = (("tape", "info", "b.csv"), ("tape", "convert", "b.csv", "t.csv", "o.mmt"))
    for command in (*RUNS, *doors):
        code, said = door(*command)
        assert code == 3
        assert_says(said, says)


@pytest.mark.parametrize("command", RUNS, ids=["run", "backtest"])
class TestRunsOnTapes:
    """Tapes of mmcore that a run refuses, or says the worth of."""

    def says(self, door, command, says, code=3):
        got, said = door(*command)
        assert got == code, said
        assert_says(said, says)

    def test_out_of_order(self, tmp_path, door, command):
        tape(tmp_path / "a.mmt", swapped(market()))
        configure(tmp_path, ["a.mmt"])
        self.says(door, command, r"a.mmt, record \d+: column ts_local_ns: \d+ comes before \d+")

    def test_overlapping(self, tmp_path, door, command):
        tape(tmp_path / "a.mmt", market())
        tape(tmp_path / "b.mmt", market(3000))
        configure(tmp_path, ["a.mmt", "b.mmt"])
        self.says(door, command, r"b.mmt, record 1: .* the file begins before .*a.mmt ends")

    def test_told_twice(self, tmp_path, door, command):
        tape(tmp_path / "a.mmt", market())
        (tmp_path / "t.csv").write_text(trades())
        configure(tmp_path, ["a.mmt", "t.csv"])
        self.says(door, command, r"trades of binance-usdm:BTCUSDT are in .* too, at the same time")

    def test_other_tick(self, tmp_path, door, command):
        tape(tmp_path / "a.mmt", market())
        configure(tmp_path, ["a.mmt"], '[instrument.spec]\ntick = "0.01"\n')
        self.says(door, command, r"a.mmt: its prices .* with tick 0.1, not 0.01; leave tick out")

    def test_finer_lot(self, tmp_path, door, command):
        tape(tmp_path / "a.mmt", market())
        configure(tmp_path, ["a.mmt"], '[instrument.spec]\nlot = "0.0001"\n')
        self.says(door, command, r"quantities .* qty_decimals 3, not 4")
        configure(tmp_path, ["a.mmt"], '[instrument.spec]\nlot = "0.01"\nmin_qty = "0.01"\n')
        self.says(door, command, "the market is over", code=0)

    def test_no_snapshot(self, tmp_path, door, command):
        tape(tmp_path / "a.mmt", market()[1:])
        configure(tmp_path, ["a.mmt"])
        self.says(door, command, r"a.mmt: binance-usdm:BTCUSDT: no snapshot ever came")

    def test_a_gap_to_the_end(self, tmp_path, door, command):
        parts = market()
        del parts[41]
        tape(tmp_path / "a.mmt", parts)
        configure(tmp_path, ["a.mmt"])
        self.says(door, command, r"a.mmt: .* the sequence broke and no snapshot came after it")

    def test_a_crossed_stretch(self, tmp_path, door, command):
        parts = market()
        for i in (41, 43, 45):
            parts[i][1:].view(LEVEL)["tick"][0] = 360_003
        parts[47][1:].view(LEVEL)[0] = (360_003, 0)
        tape(tmp_path / "a.mmt", parts)
        configure(tmp_path, ["a.mmt"])
        self.says(door, command, r"0 gaps, crossed after 3 messages", code=0)

    def test_zero_trades(self, tmp_path, door, command):
        tape(tmp_path / "a.mmt", [part for part in market() if part["kind"][0] == Kind.DEPTH])
        configure(tmp_path, ["a.mmt"])
        self.says(door, command, r"a.mmt: not one trade from the first row to the last")

    def test_cut_off(self, tmp_path, door, command):
        tape(tmp_path / "a.mmt", market())
        path = tmp_path / "a.mmt"
        path.write_bytes(path.read_bytes()[:-70])
        configure(tmp_path, ["a.mmt"])
        self.says(door, command, r"a.mmt: cut off at record \d+: the last 122 bytes", code=0)


def test_a_zip_is_a_file_like_any_other(tmp_path, door):
    for name, text in (("b", book()), ("t", trades())):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}.csv", text)
    configure(tmp_path, ["b.zip", "t.zip"])
    for command in (*RUNS, ("tape", "convert", "b.zip", "t.zip", "o.mmt")):
        code, said = door(*command)
        assert code == 0, said
    code, said = door("tape", "info", "o.mmt")
    assert code == 0 and "60 depth, 59 trade" in said


def test_two_days_of_arrays_continue_each_other(tmp_path, door):
    def later(data):
        for column in ("exch_ts", "local_ts"):
            data[column] += 60_000 * MS

    np.savez(tmp_path / "a.npz", data=array())
    np.savez(tmp_path / "b.npz", data=array(later))
    configure(tmp_path, ["b.npz", "a.npz"])
    for command in RUNS:
        code, said = door(*command)
        assert code == 0 and "01:05" in said, said
    configure(tmp_path, ["b.npz", "b2.npz"])
    (tmp_path / "b2.npz").write_bytes((tmp_path / "b.npz").read_bytes())
    for command in RUNS:
        code, said = door(*command)
        assert code == 3
        assert_says(said, r"npz, record 1: column exch_ts: the file begins before .*b2?.npz ends")
