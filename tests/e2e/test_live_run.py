"""Runs at the exchange in the box, as processes: live, on its public data, and recorded."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from mmcore.events import Kind, RecordKind
from mmcore.gateway import ClientIds
from mmcore.journal import read_facts, read_records, read_summary
from mmcore.own_orders import open_orders
from mmcore.recording import heads_of
from mmcore.retrace import Recorded, retrace
from mmcore.tape import TapeFile
from mmcore.tape_info import tape_facts

if sys.platform == "win32":
    pytest.skip("POSIX signals", allow_module_level=True)

EXAMPLES = Path(__file__).parents[2] / "examples"
SEED, KILLED_SEED, STOPPED_SEED, PAPER_SEED, LEFT_SEED = 7_001, 7_002, 7_003, 7_004, 7_005
GRID = """
[instrument.grid]
asset = 20000
leverage = 5
minimum_spread = 1.2
final_order_distance = 3
requote_spreads = 0.2
requote_bps = 0.1
rate_limit = 30
"""
LIVE = """
mode = "live"
[live]
environment = "loopback"
audit_seconds = 1
[market]
seed = {seed}
[[instrument]]
venue = "bybit-linear"
symbol = "BTCUSDT"
{grid}
[[instrument]]
venue = "binance-usdm"
symbol = "ETHUSDT"
{grid}
"""
PAPER = """
[live]
environment = "loopback"
[market]
source = "venue"
seed = {seed}
[[instrument]]
venue = "bybit-linear"
symbol = "BTCUSDT"
{grid}
"""


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("MMCORE")} | {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)
    }


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mmcore", *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def boxes(folder: Path) -> list[int]:
    """Processes of exchanges in the box that were started in this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"venue" in words and (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def gone(folder: Path, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while boxes(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not boxes(folder)


@dataclass
class Done:
    folder: Path
    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, object]:
        said = json.loads(self.out.splitlines()[-1])
        assert said["type"] == "summary"
        return said

    @property
    def directory(self) -> Path:
        (path,) = [each for each in (self.folder / "runs").iterdir() if each.is_dir()]
        return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """A live run, a run on paper, a recording, and the box's own keys: all at the same time."""
    plans = {
        "live": (LIVE, SEED, ["run", "c.toml", "--seconds", "3", "--log-level", "debug", "--json"]),
        "paper": (PAPER, PAPER_SEED, ["run", "c.toml", "--seconds", "2", "--json"]),
        "record": (PAPER, PAPER_SEED, ["record", "c.toml", "--seconds", "2", "--json"]),
        "keys": (LIVE, SEED, ["venue", "--seed", str(SEED), "--until-stdin-closes"]),
    }
    running = {}
    for name, (text, seed, words) in plans.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "c.toml").write_text(text.format(seed=seed, grid=GRID))
        running[name] = (folder, start(folder, *words))
    ended = {}
    for name, (folder, process) in running.items():
        out, err = process.communicate(input="" if name == "keys" else None, timeout=60)
        ended[name] = Done(folder, process.returncode, out, err)
    return ended


def test_a_live_run_ends_with_both_sides_the_same(done: dict[str, Done]) -> None:
    run = done["live"]
    said = run.summary
    assert run.code == 0, run.err
    assert len(said["verified"]) == 2  # type: ignore[arg-type]
    assert all("0 open orders" in line and "on both sides" in line for line in said["verified"])
    assert said["remaining"] == 0
    assert sum(trader["requests"] for trader in said["traders"]) > 40
    warnings = [line for line in run.out.splitlines() if '"warning"' in line or '"error"' in line]
    assert not [line for line in warnings if json.loads(line)["type"] == "notice"]


def test_the_journal_knows_what_is_open_and_whose_it_was(done: dict[str, Done]) -> None:
    journal = done["live"].directory / "journal.sqlite"
    assert open_orders(journal) == []
    facts = read_facts(journal)
    ids = ClientIds(str(facts["client_prefix"]), int(str(facts["client_epoch"])))
    kept = json.loads((done["live"].folder / "runs" / "installation.json").read_text())
    assert (kept["prefix"], kept["epoch"]) == (ids.prefix, ids.epoch)
    assert facts["environment"] == "loopback" and facts["bybit-linear.position.BTCUSDT"] == 0
    assert "on both sides" in str(read_summary(journal)[-1]["verified"])
    with closing(sqlite3.connect(journal)) as db, db:
        assert db.execute("SELECT count(*) FROM record").fetchone()[0] > 40


def test_the_event_log_holds_market_answers_and_timers(done: dict[str, Done]) -> None:
    tape = TapeFile(done["live"].directory / "events.mmt")
    assert tape.provenance == {"mode": "live"}
    kinds = set(tape.rows["kind"][heads_of(tape.rows)].tolist())
    assert kinds >= {Kind.DEPTH, Kind.TRADE, Kind.ACK, Kind.CANCELLED, Kind.TIMER}
    assert "ack" not in " ".join(tape_facts(str(tape.path))["events"])  # a market, read back


def test_no_key_is_in_anything_that_a_run_leaves(done: dict[str, Done]) -> None:
    accounts = json.loads(done["keys"].out.splitlines()[0])["accounts"]
    secrets = {value for account in accounts for name, value in account.items() if name != "venue"}
    assert len(secrets) >= 8
    run = done["live"]
    places = {"out": run.out.encode(), "err": run.err.encode()}
    places |= {str(p): p.read_bytes() for p in run.folder.rglob("*") if p.is_file()}
    assert len(places) >= 5
    for place, content in places.items():
        for secret in secrets:
            assert secret.encode() not in content, place
            assert secret.removeprefix("0x").encode() not in content, place


def test_the_box_never_outlives_the_run(done: dict[str, Done]) -> None:
    assert all(gone(each.folder) for each in done.values())


def test_paper_on_a_venues_public_data(done: dict[str, Done]) -> None:
    run = done["paper"]
    assert run.code == 0, run.err
    (trader,) = run.summary["traders"]  # type: ignore[misc]
    assert trader["requests"] > 8
    assert run.summary["remaining"] == 0


def test_a_paper_run_is_replayed_from_its_log(done: dict[str, Done], tmp_path: Path) -> None:
    run = done["paper"]
    folder = run.directory
    log = folder / "events.mmt"
    text = PAPER.format(seed=1, grid=GRID).replace('source = "venue"', 'source = "tape"')
    text = text.replace('[live]\nenvironment = "loopback"\n', "")
    text = text.replace("seed = 1", f'files = ["{log}"]')
    (tmp_path / "again.toml").write_text(text)
    process = start(tmp_path, "run", "again.toml", "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    first = read_records(folder / "journal.sqlite")
    again = json.loads(out.splitlines()[-1])["directory"]
    second = read_records(tmp_path / again / "journal.sqlite")
    trading = first[first["kind"] <= 3]
    same = second[second["kind"] <= 3][: len(trading)]
    quotes = trading["code"] != 4  # the cancels of the stop come where each run ends
    assert (trading[quotes] == same[quotes[: len(same)]]).all()


@pytest.mark.parametrize("name", ["live", "paper"])
def test_every_decision_is_made_again(done: dict[str, Done], name: str) -> None:
    recorded = Recorded.open(done[name].directory)
    again = retrace(recorded)
    assert again.same, again.first
    assert len(again.records) == recorded.n_records == len(recorded.records) > 8


def test_a_recording_is_read_back(done: dict[str, Done]) -> None:
    run = done["record"]
    assert run.code == 0, run.err
    (file,) = run.summary["files"]  # type: ignore[misc]
    facts = tape_facts(str(run.folder / file))
    assert facts["damaged_records"] == 0 and facts["snapshots"] >= 1
    assert facts["events"][0].startswith("bybit-linear:BTCUSDT: ")
    assert "0 in the sequence" in facts["gaps"][0]
    assert facts["clock_offset"][0].startswith("bybit-linear:BTCUSDT: receive time at least +")
    assert run.summary["frames"] > 50  # type: ignore[operator]


def quoting(process: subprocess.Popen[str]) -> None:
    """Read lines until fills are told: orders are open then."""
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(r"[1-9]x[1-9] quotes", line) or line.startswith("fill"):
            return
    raise AssertionError(process.communicate()[1])


def test_ctrl_c_cancels_at_the_venue_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(LIVE.format(seed=STOPPED_SEED, grid=GRID))
    process = start(tmp_path, "run", "c.toml")
    quoting(process)
    time.sleep(0.5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    took = time.monotonic() - began
    lines = out.splitlines()
    assert process.returncode == 130, err
    assert any(re.fullmatch(r"Ctrl-C: cancelling [1-9]\d* own orders", line) for line in lines)
    assert any(re.match(r"orders +[1-9]\d* cancelled; the venue holds none", x) for x in lines)
    assert sum("on both sides" in line for line in lines) == 2
    assert took < 3.0 + 2.0, took  # and the end of the process, and of the box
    assert gone(tmp_path)


def test_a_killed_run_leaves_its_open_orders_in_the_journal(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(LIVE.format(seed=KILLED_SEED, grid=GRID))
    process = start(tmp_path, "run", "c.toml")
    quoting(process)
    assert len(boxes(tmp_path)) == 1
    time.sleep(0.3)
    process.kill()
    process.communicate(timeout=30)
    assert gone(tmp_path)  # and its orders with it
    (folder,) = [each for each in (tmp_path / "runs").iterdir() if each.is_dir()]
    orders = open_orders(folder / "journal.sqlite")
    assert orders
    assert {order.instrument for order in orders} <= {0, 1}
    assert len({(order.slot, order.generation) for order in orders}) == len(orders)
    killed = Recorded.open(folder)
    assert not killed.ended
    assert retrace(killed).same


def test_a_reader_that_goes_away_ends_the_run_in_order(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[market]\nspeed = 20\n[[instrument]]\nsymbol = "BTCUSDT"\n')
    process = start(tmp_path, "run", "c.toml")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    (folder,) = (tmp_path / "runs").iterdir()
    said = read_summary(folder / "journal.sqlite")[-1]
    assert "reader" in str(said["cause"]) and said["remaining"] == 0 and said["cancelled"]


def test_a_terminal_that_goes_away_ends_the_run_in_order(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[market]\nspeed = 20\n[[instrument]]\nsymbol = "BTCUSDT"\n')
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mmcore", "run", "c.toml"],
        cwd=tmp_path,
        env=environment() | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while b"Ctrl-C cancels all orders" not in shown:
        shown += os.read(ours, 65_536)
    time.sleep(0.5)
    os.close(ours)
    for _ in range(3):  # the system and a shell may both say so
        process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    assert process.wait(30) == 130
    (folder,) = (tmp_path / "runs").iterdir()
    said = read_summary(folder / "journal.sqlite")[-1]
    assert "the terminal has gone" in str(said["cause"])
    assert said["remaining"] == 0 and said["cancelled"]


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_a_reader_that_goes_away_ends_a_live_run_in_order(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "c.toml").write_text(LIVE.format(seed=LEFT_SEED, grid=GRID))
    process = start(tmp_path, "run", "c.toml", *words)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    (folder,) = [each for each in (tmp_path / "runs").iterdir() if each.is_dir()]
    said = read_summary(folder / "journal.sqlite")[-1]
    assert "reader" in str(said["cause"]) and said["remaining"] == 0 and said["cancelled"]
    assert open_orders(folder / "journal.sqlite") == []
    assert gone(LEFT_SEED)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["binance", "bybit", "hyperliquid", "both"])
def test_two_minutes_of_each_example(tmp_path: Path, name: str) -> None:
    if name == "hyperliquid":
        pytest.importorskip("eth_account")
    process = start(tmp_path, "run", str(EXAMPLES / f"{name}_loopback.toml"), "--json")
    out, err = process.communicate(timeout=200)
    said = json.loads(out.splitlines()[-1])
    assert process.returncode == 0, err
    assert said["remaining"] == 0
    assert all("on both sides" in line for line in said["verified"])
    assert sum(trader["requests"] for trader in said["traders"]) > 300
    assert sum(trader["fills"] for trader in said["traders"]) > 50
    journal = tmp_path / said["directory"] / "journal.sqlite"
    assert open_orders(journal) == []


FAULTS = """
[[fault]]
do = "cut"
where = "socket:private"
at_s = 3
[[fault]]
do = "lost_ack"
where = "request:order"
at_s = 5
[[fault]]
do = "late_ack"
where = "request:amend"
at_s = 6
count = 3
ms = 800
[[fault]]
do = "duplicate"
where = "stream:order"
at_s = 7
seconds = 3
[[fault]]
do = "race"
where = "order"
at_s = 8
count = 3
[[fault]]
do = "restart"
where = "box"
at_s = 11
seconds = 2
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["binance", "bybit", "hyperliquid", "both"])
def test_a_bad_day_ends_with_both_sides_the_same(tmp_path: Path, name: str) -> None:
    """Lost streams and answers, races, and a venue that restarts, under a real run."""
    if name == "hyperliquid":
        pytest.importorskip("eth_account")
    text = (EXAMPLES / f"{name}_loopback.toml").read_text("utf-8")
    text = re.sub(r"(?m)^audit_seconds.*$", 'audit_seconds = 8\nfaults = "faults.toml"', text)
    (tmp_path / "c.toml").write_text(text)
    (tmp_path / "faults.toml").write_text(FAULTS)
    process = start(tmp_path, "run", "c.toml", "--seconds", "22", "--json")
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, f"{err}{out[-3000:]}"
    said = json.loads(out.splitlines()[-1])
    assert said["remaining"] == 0
    assert all("on both sides" in line for line in said["verified"])
    records = read_records(tmp_path / said["directory"] / "journal.sqlite")
    cancels = records[records["kind"] == RecordKind.CANCEL]
    asked = Counter(
        zip(*(cancels[x].tolist() for x in ("trader", "slot", "generation")), strict=True)
    )
    assert max(asked.values()) <= 3  # also while nobody listens
    told = [line for line in out.splitlines() if "connects again" in line]
    assert 1 <= len(told) <= 8, told
