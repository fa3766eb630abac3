"""`python -m mmcore run` as a process: outcome, records, signals, full disk, sudden death."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmcore.journal import journal_hash, read_facts, read_records, read_summary

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")

GRID = """
[market]
source = "synthetic"
seed = 5
speed = {speed}

[run]
seconds = {seconds}

[[instrument]]
venue = "synthetic"
symbol = "BTCUSDT"
strategy = "grid"

[instrument.grid]
minimum_spread = {spread}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes config.toml; returns its path."""

    def _write(speed: float = 0.0, seconds: float = 20.0, spread: float = 4.0) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(GRID.format(speed=speed, seconds=seconds, spread=spread))
        return path

    return _write


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "MMCORE_LOG"} | {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)
    }


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "mmcore", *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    return finish(start(folder, *words))


def directory(folder: Path) -> Path:
    (path,) = (folder / "runs").iterdir()
    return path


def facts_of(out: str) -> dict[str, object]:
    """The last JSON line: the summary."""
    facts = json.loads(out.splitlines()[-1])
    assert facts["type"] == "summary"
    return facts


def test_a_run_leaves_its_market_its_records_and_its_summary(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    code, out, err = run(tmp_path, "run", str(write()), "--json")
    assert (code, err) == (0, "")
    said = facts_of(out)
    trader = said["traders"][0]
    folder = tmp_path / said["directory"]
    assert sorted(p.name for p in folder.iterdir()) == ["events.mmt", "journal.sqlite"]
    records = read_records(folder / "journal.sqlite")
    assert said["journal_hash"] == journal_hash(folder / "journal.sqlite")
    assert trader["fills"] == (records["kind"] == 12).sum() > 0
    assert trader["requests"] == (records["kind"] <= 3).sum() > 0
    fills = records[records["kind"] == 12]
    assert fills["position"][-1] == (fills["side"] * fills["qty"]).sum()
    assert round(trader["position"] * 1000) == fills["position"][-1]
    assert trader["pnl_gross"] - trader["fees"] == pytest.approx(trader["pnl_net"], abs=1e-8)
    assert round(trader["fees"] * 1e8) == fills["money"].sum()
    assert said["cancelled"] > 0 and said["remaining"] == 0 and said["gaps"] == 0
    facts = read_facts(folder / "journal.sqlite")
    assert facts["seed"] == 5 and "minimum_spread = 4.0" in facts["config"]
    assert read_summary(folder / "journal.sqlite")[-1]["exit_code"] == 0


def test_every_placed_order_is_answered_and_gone_at_the_end(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    run(tmp_path, "run", str(write()))
    records = read_records(directory(tmp_path) / "journal.sqlite")
    open_orders: dict[tuple[int, int], int] = {}
    for row in records:
        key = (int(row["slot"]), int(row["generation"]))
        if row["kind"] == 1 or (row["kind"] == 10 and key in open_orders):
            open_orders[key] = int(row["qty"])
        elif row["kind"] == 12 and key in open_orders:
            open_orders[key] -= int(row["qty"])
        elif row["kind"] in (9, 11, 13) and row["code"] != 2:
            open_orders.pop(key, None)
    assert {key: left for key, left in open_orders.items() if left > 0} == {}


def test_the_journal_hash_depends_on_the_market_only(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    hashes = []
    for speed in (0.0, 0.0, 40.0):
        _, out, _ = run(tmp_path, "run", str(write(speed=speed)), "--json")
        hashes.append(facts_of(out)["journal_hash"])
    assert len(set(hashes)) == 1
    _, out, _ = run(tmp_path, "run", str(write()), "--seconds", "19", "--json")
    assert facts_of(out)["journal_hash"] not in hashes


def test_the_event_log_replayed_gives_the_same_requests(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    config = write()
    _, out, _ = run(tmp_path, "run", str(config), "--json")
    first = facts_of(out)
    tape = (tmp_path / first["directory"] / "events.mmt").as_posix()
    text = config.read_text().replace('source = "synthetic"\nseed = 5', 'source = "tape"')
    config.write_text(text.replace("speed = 0.0", f'files = ["{tape}"]').replace("= 20.0", "= 0.0"))
    code, out, err = run(tmp_path, "run", str(config), "--json")
    assert (code, err) == (0, "")
    again = facts_of(out)
    for key in ("journal_hash", "events", "updates", "gaps"):
        assert again[key] == first[key]


def test_a_log_is_short_and_starts_at_once(tmp_path: Path, write: Callable[..., Path]) -> None:
    began = time.monotonic()
    process = start(tmp_path, "run", str(write(speed=5.0, seconds=8.0)))
    assert process.stdout is not None
    assert "simulated orders, no network" in process.stdout.readline()
    assert time.monotonic() - began < 2.0  # 0.1 s on a quiet machine
    code, out, err = finish(process)
    lines = out.splitlines()
    assert (code, err) == (0, "") and len(lines) <= 40
    assert lines[-1].startswith("next:") and lines[-2].startswith("saved")
    assert (tmp_path / lines[-2].split()[1]).is_dir()


@POSIX
@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]
)
def test_a_signal_ends_a_run_in_order(
    tmp_path: Path, write: Callable[..., Path], number: int, name: str
) -> None:
    process = start(tmp_path, "run", str(write(speed=5.0, seconds=1000.0)))
    assert process.stdout is not None
    while "4x4 quotes" not in process.stdout.readline():
        pass
    process.send_signal(number)
    sent = time.monotonic()
    code, out, err = finish(process)
    assert code == 130 and err == ""
    assert time.monotonic() - sent < 3.0  # 0.1 s on a quiet machine
    lines = [line for line in out.splitlines() if not line.startswith("fill")]
    assert f"{name}: cancelling" in lines[0]
    assert lines[1].startswith(f"ended        by {name} at ")
    assert "the venue holds none of ours" in out and "next:" in lines[-1]
    records = read_records(directory(tmp_path) / "journal.sqlite")
    assert records["kind"][-1] in (9, 12, 13)
    assert read_summary(directory(tmp_path) / "journal.sqlite")[-1]["exit_code"] == 130


@POSIX
def test_sigkill_loses_nothing_that_was_committed(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    process = start(tmp_path, "run", str(write(speed=20.0, seconds=60.0)))
    journal, seen = None, 0
    while seen < 100:
        time.sleep(0.05)
        for journal in tmp_path.glob("runs/*/journal.sqlite"):
            seen = count(journal)
    process.kill()
    finish(process)
    assert journal is not None
    killed = read_records(journal)
    assert len(killed) >= seen and read_summary(journal) == {}
    code, out, _ = run(tmp_path, "run", str(write(seconds=60.0)), "--json")
    whole = read_records(tmp_path / facts_of(out)["directory"] / "journal.sqlite")
    assert code == 0 and len(whole) > len(killed)
    assert np.array_equal(whole[: len(killed)], killed)


def count(journal: Path) -> int:
    """Records committed so far, seen from another process."""
    db = sqlite3.connect(journal)
    try:
        return int(db.execute("SELECT count(*) FROM record").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are being made
        return 0
    finally:
        db.close()


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, resource.RLIM_INFINITY))
from mmcore.__main__ import main
sys.argv = ["mmcore", "run", "config.toml"]
sys.exit(main())
"""


@POSIX
def test_a_full_disk_stops_quoting_with_exit_code_5(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    write(seconds=600.0)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 5 and done.stderr == ""
    assert "events.mmt cannot be written any more" in done.stdout
    assert "stopped quoting" in done.stdout and "the venue holds none of ours" in done.stdout
    journal = directory(tmp_path) / "journal.sqlite"
    assert read_summary(journal)[-1]["exit_code"] == 5
    assert read_summary(journal)[-1]["journal_hash"] == journal_hash(journal)


def test_no_fills_is_a_warning_in_the_last_line_or_a_failure_on_request(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    config = str(write(spread=100.0, seconds=5.0))
    code, out, _ = run(tmp_path, "run", config)
    assert code == 0
    assert out.splitlines()[-1].startswith("warning: no fills: the market never reached any of ")
    code, out, _ = run(tmp_path, "run", config, "--require-fills")
    assert code == 3 and out.splitlines()[-1].startswith("warning: no fills")


def test_an_unwritable_directory_is_found_before_the_run(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    (tmp_path / "runs").write_text("in the way")
    code, out, err = run(tmp_path, "run", str(write()))
    assert code == 2 and "cannot be written" in err and "Traceback" not in err
    assert len(out.splitlines()) == 1


def test_debug_tells_orders_book_and_skew(tmp_path: Path, write: Callable[..., Path]) -> None:
    _, out, err = run(tmp_path, "run", str(write(seconds=5.0)), "--log-level", "debug")
    for word in (
        "book: mid",
        "skew: total",
        "% of the maximum]",
        "rests at",
        "place buy",
        "cancel",
    ):
        assert word in err
    assert "ended" in out


def test_a_quiet_level_keeps_the_summary(tmp_path: Path, write: Callable[..., Path]) -> None:
    _, out, _ = run(tmp_path, "run", str(write(seconds=5.0)), "--log-level", "error")
    assert out.splitlines()[1].startswith("ended") and "fill " not in out


def test_a_loss_limit_stops_the_run_with_exit_code_5(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    config = write(seconds=300.0)
    config.write_text(config.read_text() + "\n[instrument.limits]\nmax_loss = 0.5\n")
    code, out, err = run(tmp_path, "run", str(config))
    assert (code, err) == (5, "")
    assert out.count("synthetic:BTCUSDT lost more than its limits allow") == 1
    assert "the venue holds none of ours" in out
