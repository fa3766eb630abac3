"""Replays: every kind of run directory reproduced, its fills beside simulated ones."""

import asyncio
import json
import os
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from two_makers import config, journals

from mmcore.backtest import Choices, backtest
from mmcore.band import Model, model_of
from mmcore.config import loads
from mmcore.errors import DataError
from mmcore.events import RECORD, Flag, RecordKind
from mmcore.journal import RunDirectory, journal_hash, read_records
from mmcore.paper import PaperDesk
from mmcore.progress import JsonLines
from mmcore.recording import heads_of
from mmcore.replay import explain, replay
from mmcore.retrace import Recorded, retrace
from mmcore.run import Run
from mmcore.session import keep, open_journal, run_config
from mmcore.shadow import Shadow, orders_of
from mmcore.tape import TapeWriter

LIVE = """
mode = "live"
[live]
environment = "loopback"
[market]
seed = 7002
[run]
seconds = 3
directory = "{folder}"
[[instrument]]
venue = "bybit-linear"
symbol = "BTCUSDT"
[instrument.grid]
asset = 20000
leverage = 5
minimum_spread = 0.6
final_order_distance = 3
requote_spreads = 0.2
requote_bps = 0.1
rate_limit = 30
"""


def made(folder: Path, **changes: object) -> Path:
    """The directory of one backtest."""
    assert backtest([config(folder, **changes)], Choices(json=True, band=False)) == 0
    return journals(folder)[-1].parent


def facts(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    return answer


def test_run_backtest_and_replay_ask_for_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_config(config(tmp_path / "run", speed=60), json=True) == 0
    (paced,) = journals(tmp_path / "run")
    fast = made(tmp_path / "back", speed=60)
    again = retrace(Recorded.open(fast))
    theirs, ours = read_records(paced), read_records(fast / "journal.sqlite")
    assert theirs.tobytes() == ours.tobytes() == again.records.tobytes()
    asked = np.isin(ours["kind"], [RecordKind.PLACE, RecordKind.AMEND, RecordKind.CANCEL])
    assert asked.sum() > 100
    for directory in (paced.parent, fast):
        capsys.readouterr()
        assert replay(directory, as_json=True) == 0
        said = facts(capsys)
        assert said["replayed_hash"] == said["journal_hash"] == journal_hash(paced)
        assert said["reproduced"] == len(ours)


def test_a_run_that_was_interrupted_is_reproduced_to_where_it_stopped(tmp_path: Path) -> None:

    told = config(tmp_path, seconds=1000)
    desk = PaperDesk(told, "run", 1000.0)
    directory = RunDirectory.create(tmp_path, "run")
    journal = open_journal(told, desk, directory)
    run = Run(desk, JsonLines(lambda _: None), journal)

    async def session() -> None:
        asyncio.get_running_loop().call_later(0.15, run.interrupt, "Ctrl-C")
        ending = await run.until_end()
        journal.describe({"stopped_ns": desk.stopped_ns})
        keep(journal, run.snapshot(), ending)

    asyncio.run(session())
    journal.close()
    recorded = Recorded.open(directory.path)
    assert recorded.stopped
    assert recorded.ended
    assert retrace(recorded).same


def test_of_a_run_that_was_killed_the_kept_records_are_reproduced(tmp_path: Path) -> None:
    directory = made(tmp_path)
    with closing(sqlite3.connect(directory / "journal.sqlite")) as db, db:
        db.execute("DELETE FROM summary")
        db.execute("DELETE FROM run WHERE key LIKE 'stopped%'")
        db.execute("DELETE FROM record WHERE n >= 60")
    recorded = Recorded.open(directory)
    assert not recorded.ended
    again = retrace(recorded)
    assert again.same
    assert len(again.records) > recorded.n_records == 60


def test_a_difference_is_found_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = made(tmp_path)
    with closing(sqlite3.connect(directory / "journal.sqlite")) as db, db:
        db.execute("UPDATE record SET tick = tick + 1 WHERE n = 7")
    recorded = Recorded.open(directory)
    assert retrace(recorded).same  # the hash was told when the run ended
    with closing(sqlite3.connect(directory / "journal.sqlite")) as db, db:
        db.execute("UPDATE summary SET value = ? WHERE key = 'journal_hash'", ("0" * 64,))
    capsys.readouterr()
    assert replay(directory) == 3
    said = capsys.readouterr().out
    assert "DIFFER at record 7" in said and "event log ends" not in said


def test_an_event_log_that_was_cut_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = made(tmp_path)
    log = directory / "events.mmt"
    os.truncate(log, 4096 + (log.stat().st_size - 4096) // 256 * 64)
    capsys.readouterr()
    assert replay(directory) == 3
    assert "DIFFER" in (said := capsys.readouterr().out)
    assert "s before the journal does: it was cut" in said


def test_a_live_run_is_reproduced_and_its_fills_are_accounted_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = loads(LIVE.format(folder=tmp_path.as_posix()))
    assert run_config(live, live=True, json=True) == 0
    capsys.readouterr()
    (journal,) = journals(tmp_path)
    assert replay(journal.parent, as_json=True) == 0
    said = facts(capsys)
    assert said["reproduced"] == len(read_records(journal)) > 20
    (item,) = said["instruments"]
    only_real, only_made = (
        sum(item[side].values()) for side in ("realised_only", "simulated_only")
    )
    assert item["realised"] == pytest.approx(item["both"] + only_real)
    assert item["simulated"] == pytest.approx(item["both"] + only_made)
    assert 0 < item["round_trip_ms"] < 1000
    assert replay(journal.parent) == 0
    assert "net          realised " in capsys.readouterr().out


def test_own_requests_fill_as_they_did(tmp_path: Path) -> None:
    recorded = Recorded.open(made(tmp_path, spread=0.5, queue="log"))
    for number in range(2):
        shadow = Shadow(recorded, number)
        fills = shadow.send(model_of(recorded.config), shadow.configured())
        assert fills.by_order(len(shadow.orders)).tolist() == shadow.orders.filled.tolist()
        said = explain(shadow, recorded)
        assert said.orders == 0
        assert said.realised == said.simulated == said.both > 0


def test_causes_add_up_to_every_difference(tmp_path: Path) -> None:
    recorded = Recorded.open(made(tmp_path, spread=0.5))
    shadow = Shadow(recorded, 0)
    entry, response = shadow.configured()
    shadow.configured = lambda: (entry + 400_000_000, response)  # type: ignore[method-assign]
    shadow.measured = lambda: (entry, response)  # type: ignore[method-assign]
    said = explain(shadow, recorded)
    assert said.orders > 0
    assert said.realised == said.both + sum(said.realised_only.values())
    assert said.simulated == said.both + sum(said.simulated_only.values())
    assert said.realised_only["latency"] == said.realised - said.both


def test_orders_of_no_records() -> None:

    assert len(orders_of(np.zeros(0, RECORD), 0)) == 0


@pytest.mark.parametrize("broken", ["folder", "log", "config", "cut"])
def test_what_cannot_be_replayed_is_named(tmp_path: Path, broken: str) -> None:
    directory = made(tmp_path) if broken != "folder" else tmp_path
    words = {"folder": "no run directory", "log": "events.mmt", "config": "configuration"}
    if broken == "log":
        (directory / "events.mmt").unlink()
    elif broken == "config":
        with closing(sqlite3.connect(directory / "journal.sqlite")) as db, db:
            db.execute("DELETE FROM run WHERE key = 'config'")
    elif broken == "cut":
        (directory / "events.mmt").write_bytes(struct.pack("<q", 1))
        words["cut"] = "not a tape"
    with pytest.raises(DataError, match=words[broken]):
        replay(directory)


def test_a_model_without_exponent_has_none() -> None:
    assert str(Model("log")) == "log"
    assert str(Model("power", 2.5)) == "power 2.5"


def test_a_tape_with_two_clocks_is_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = made(tmp_path / "seen")
    tape = Recorded.open(directory).tape
    rows = np.array(tape.rows)
    heads = heads_of(rows)
    rows["flags"][heads] |= np.uint8(Flag.EXCH | Flag.LOCAL)
    rows["ts_venue_ns"][heads] = rows["ts_local_ns"][heads] - 3_000_000
    two = TapeWriter(tmp_path / "two.mmt", tape.instruments, clock="two")
    two.append(rows)
    two.close()
    text = config(tmp_path / "two").text.replace("seed = 5", 'seed = 5\nsource = "tape"')
    text = text.replace("speed = 0", f'speed = 0\nfiles = ["{(tmp_path / "two.mmt").as_posix()}"]')
    for seconds in (40, 11):
        told = loads(text.replace("seconds = 40", f"seconds = {seconds}"))
        capsys.readouterr()
        assert backtest([told], Choices(json=True)) == 0
        recorded = Recorded.open(facts(capsys)["directory"])
        assert recorded.tape.clock == "two"
        again = retrace(recorded)
        assert again.same
        assert len(again.records) > 50
        shadow = Shadow(recorded, 0)
        fills = shadow.send(model_of(told), shadow.configured())
        assert fills.by_order(len(shadow.orders)).sum() > 0
