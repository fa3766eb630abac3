"""The command ``venue`` as a process: its ready line, its venues, and how it ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from mmcore.box.options import Options
from mmcore.box.serve import ready
from mmcore.box.server import Box
from mmcore.commands import execute

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
}
COMMAND = [sys.executable, "-m", "mmcore", "venue"]
VENUES = ("binance-usdm", "binance-spot", "bybit-linear", "bybit-spot", "hyperliquid")
WAIT_S = 20


@contextmanager
def box(*arguments, **options):
    """The process, and what its ready line says."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield process, json.loads(line)
    finally:
        process.kill()
        process.wait(WAIT_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def refused(capfd, *arguments):
    """Exit code and words of a command that does not start; no process needed for that."""
    code = execute(["venue", *arguments])
    said = capfd.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return code, said.err


@pytest.fixture(scope="module")
def running():
    with box("--listen", "127.0.0.1:0", "--seed", "5") as (process, said):
        yield process, said


def test_the_ready_line_says_what_a_client_needs(running):
    _, said = running
    assert list(said) == ["host", "port", "accounts", "instruments"]
    assert said["host"] == "127.0.0.1"
    assert said["port"] > 0
    by_venue = {}
    for account in said["accounts"]:
        by_venue.setdefault(account["venue"], []).append(account)
    assert set(by_venue) == {"binance", "bybit", "hyperliquid"}
    for venue, accounts in by_venue.items():
        named = ["private_key", "address"] if venue == "hyperliquid" else ["key", "secret"]
        assert len(accounts) >= 2
        assert all(list(account) == ["venue", *named] for account in accounts)
        assert len({account[named[0]] for account in accounts}) == len(accounts)
        assert all(account[name] for account in accounts for name in named)
    listed = {(item["venue"], item["symbol"]) for item in said["instruments"]}
    for venue in VENUES:
        quote = "" if venue == "hyperliquid" else "USDT"
        assert {(venue, f"BTC{quote}"), (venue, f"ETH{quote}")} <= listed


def test_every_venue_tells_the_time_and_answers_a_ping(running):
    _, said = running

    async def main():
        base = f"http://{said['host']}:{said['port']}"
        timeout = aiohttp.ClientTimeout(total=WAIT_S)
        async with aiohttp.ClientSession(base, timeout=timeout) as session:

            async def get(path):
                async with session.get(path) as answer:
                    assert answer.status == 200
                    return await answer.json()

            now_ms = time.time() * 1e3
            assert await get("/fapi/v1/ping") == {}
            assert await get("/api/v3/ping") == {}
            for path in ("/fapi/v1/time", "/api/v3/time"):
                assert (await get(path))["serverTime"] == pytest.approx(now_ms, abs=5000)
            bybit = await get("/v5/market/time")
            assert int(bybit["result"]["timeNano"]) == pytest.approx(now_ms * 1e6, abs=5e9)
            async with session.post("/info", json={"type": "exchangeStatus"}) as answer:
                assert (await answer.json())["time"] == pytest.approx(now_ms, abs=5000)
            async with session.get("/no/such/venue") as answer:
                assert answer.status == 404
            async with session.ws_connect("/v5/public/linear") as ws:
                await ws.send_str('{"op":"ping"}')
                assert (await ws.receive_json(timeout=WAIT_S))["ret_msg"] == "pong"
            async with session.ws_connect("/ws") as ws:
                await ws.send_str('{"method":"ping"}')
                assert await ws.receive_json(timeout=WAIT_S) == {"channel": "pong"}
            async with session.ws_connect("/ws") as ws:
                await ws.send_str('{"method":"LIST_SUBSCRIPTIONS","id":7}')
                assert await ws.receive_json(timeout=WAIT_S) == {"result": [], "id": 7}

    asyncio.run(main())


def test_a_script_and_a_tape_of_the_command_line_are_used(tmp_path, shared_data):
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\ndo = "reply"\nwhere = "rest:depth"\nstatus = 418\n')
    tape = shared_data / "binance" / "usdm" / "BTCUSDT" / "btcusdt_20240808.gz"

    async def main(said):
        base = f"http://{said['host']}:{said['port']}"
        async with aiohttp.ClientSession(base) as session:
            url = "/fapi/v1/depth?symbol=BTCUSDT&limit=5"
            async with session.get(url) as answer:
                assert answer.status == 418
            async with session.get(url) as answer:
                return float((await answer.json())["bids"][0][0])

    with box("--faults", str(script), "--market", str(tape)) as (_, said):
        assert asyncio.run(main(said)) == pytest.approx(61_800, abs=100)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_even_with_clients(number):
    async def main(process, said):
        base = f"http://{said['host']}:{said['port']}"
        async with aiohttp.ClientSession(base) as session, session.ws_connect("/ws"):
            began = time.monotonic()
            process.send_signal(number)
            code = await asyncio.to_thread(process.wait, WAIT_S)
            return code, time.monotonic() - began

    with box() as (process, said):
        code, took_s = asyncio.run(main(process, said))
        assert code == 130
        assert took_s < 3.0
        assert process.stdout.read() == ""
        assert "Traceback" not in process.stderr.read()


def test_it_ends_with_the_process_that_started_it():
    with box("--until-stdin-closes") as (process, _):
        assert process.poll() is None
        process.stdin.close()
        process.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - closed with the process
        assert process.wait(WAIT_S) == 0


def test_the_same_seed_gives_the_same_accounts(running):
    _, at_first = running
    assert ready(Box.build(Options(seed=5)))["accounts"] == at_first["accounts"]
    other = ready(Box.build(Options(seed=6, accounts=3)))["accounts"]
    assert len(other) == 9
    for choices in ({"seed": 6}, {"seed": 5, "random_keys": True}):
        other = ready(Box.build(Options(**choices)))["accounts"]
        assert not {str(each) for each in other} & {str(each) for each in at_first["accounts"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "0.0.0.0:0"], "listens on this machine only"),
        (["--listen", "here"], "is no address"),
        (["--listen", "127.0.0.1:99999"], "is no address"),
        (["--faults", "missing.toml"], "missing.toml: cannot be read"),
        (["--market", "missing.gz"], "missing.gz"),
        (["--market", "synthetic", "a.gz"], "synthetic or played from tapes"),
        (["--preset", "wild"], "wild"),
        (["--limits-scale", "0"], "--limits-scale"),
        (["--listen-key-life", "nan"], "--listen-key-life"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, said, capfd):
    code, stderr = refused(capfd, *arguments)
    assert code in {2, 3}
    assert said in stderr


def test_a_port_that_is_taken_is_named(running, capfd):
    _, said = running
    code, stderr = refused(capfd, "--listen", f"127.0.0.1:{said['port']}")
    assert code == 2
    assert f"127.0.0.1:{said['port']}: cannot listen there" in stderr


def test_a_wrong_fault_script_is_refused_with_its_lines(tmp_path, capfd):
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\ndo = "freeze"\nwhere = "stream:depth"\nsecond = 3\n')
    code, stderr = refused(capfd, "--faults", str(script))
    assert code == 2
    assert f"{script}:4:1: fault[0].second = 3" in stderr
    assert "write seconds" in stderr
