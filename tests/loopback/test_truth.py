"""Runs against an exchange of their own, and at the end a second pair of eyes on both sides.

The exchange is started first, by itself; a run trades at it as it would at any venue; then the
exchange is asked, by plain signed HTTP, what happened, and the run's journal has to say the same to
the last unit.  The quick form runs seconds, the slow one the two minutes of the examples.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mmcore.events import PaidCode, RecordKind
from mmcore.instrument import Instrument
from mmcore.journal import read_records

from . import auditor
from .auditor import Truth

ROOT = Path(__file__).parents[2]
UNIT = Decimal("0.00000001")  # money is counted in these
QUICK_S, WHOLE_S, SPARE_S = 8, 120, 60

EXAMPLES = ("binance_loopback", "bybit_loopback", "hyperliquid_loopback", "both_loopback")


@contextmanager
def exchange(*options: str) -> Iterator[dict[str, Any]]:
    """The exchange in the box as a process; what its ready line says."""
    command = [sys.executable, "-m", "mmcore", "venue", "--until-stdin-closes", *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)


def environment(facts: Mapping[str, Any]) -> dict[str, str]:
    """The keys of the first account of each venue, where a run looks for them."""
    names: dict[str, str] = {}
    for account in reversed(facts["accounts"]):
        owner = f"MMCORE_{account['venue'].upper()}"
        parts = {key: value for key, value in account.items() if key != "venue"}
        names |= {f"{owner}_{part.upper()}": value for part, value in parts.items()}
    return {**os.environ, **names}


def configured(example: str, folder: Path, address: str) -> Path:
    """The example, trading at the exchange that runs there."""
    text = (ROOT / "examples" / f"{example}.toml").read_text("utf-8")
    assert "[live]" in text
    file = folder / "my.toml"
    text = text.replace("[live]", f'[live]\nbox = "{address}"', 1)
    file.write_text(text.replace("[run]", f'[run]\ndirectory = "{folder.as_posix()}"', 1), "utf-8")
    return file


def truth_of(facts: Mapping[str, Any], item: Instrument) -> Truth:
    address = f"{facts['host']}:{facts['port']}"
    family = item.venue.partition("-")[0]
    account = next(each for each in facts["accounts"] if each["venue"] == family)
    if family == "hyperliquid":
        return auditor.Hyperliquid(address, account["address"]).truth(item.symbol)
    if family == "bybit":
        category = item.venue.partition("-")[2]
        client = auditor.Bybit(address, account["key"], account["secret"])
        return client.truth(category, item.symbol, item.base)
    binance = auditor.Binance(address, account["key"], account["secret"])
    return (
        binance.spot(item.symbol, item.base)
        if item.venue == "binance-spot"
        else binance.usdm(item.symbol)
    )


def compare(journal: Path, facts: Mapping[str, Any]) -> dict[str, int]:
    """Fills, fees, positions and balances, one by one; how many fills and orders there were."""
    records = read_records(journal)
    with closing(sqlite3.connect(journal)) as base:
        rows = base.execute("SELECT facts FROM instrument ORDER BY instrument").fetchall()
        notes = dict(base.execute("SELECT key, value FROM run").fetchall())
    items = [Instrument(**json.loads(row[0])) for row in rows]
    flows: dict[tuple[str, str], int] = {}  # quanta by wallet and asset
    seen: dict[tuple[str, str], Decimal] = {}
    count = 0
    for number, item in enumerate(items):
        mine = records[records["instrument"] == number]
        truth = truth_of(facts, item)
        assert not truth.orders, f"{item}: open at the exchange after the run"
        count += _fills(mine, truth, item)
        _holdings(mine, truth, item, notes, flows, seen)
    for (wallet, asset), flow in flows.items():
        name = next(key for key in sorted(notes) if key.startswith(wallet) and _is(key, asset))
        start = int(notes[name])
        assert seen[wallet, asset] == (start + flow) * UNIT, f"{wallet} {asset}"
    kinds = records["kind"]
    return {
        "fills": count,
        "placed": int((kinds == RecordKind.PLACE).sum()),
        "amended": int((kinds == RecordKind.AMENDED).sum()),
        "cancelled": int((kinds == RecordKind.CANCELLED).sum()),
    }


def _is(note: str, asset: str) -> bool:
    return note.endswith(f".balance.{asset}")


def _fills(mine: Any, truth: Truth, item: Instrument) -> int:
    fills = mine[mine["kind"] == RecordKind.FILL]
    coin = mine[(mine["kind"] == RecordKind.PAID) & (mine["code"] == PaidCode.COIN_FEE)]
    ours = sorted(
        (
            int(row["side"]),
            Decimal(item.price_text(int(row["tick"]))),
            Decimal(item.quantity_text(int(row["qty"]))),
            int(row["money"]) * UNIT,
        )
        for row in fills
    )
    theirs = sorted(
        (side, price, quantity, fee if asset != item.base else Decimal(0))
        for _, side, price, quantity, fee, asset in truth.fills.values()
    )
    assert ours == theirs, f"{item}: fills differ"
    paid = sum((fee for *_, fee, asset in truth.fills.values() if asset == item.base), Decimal(0))
    ours_paid = Decimal(item.quantity_text(int(coin["qty"].sum())))
    step = Decimal(1).scaleb(-item.qty_decimals)
    assert 0 <= ours_paid - paid < step, f"{item}: fees in the coin"  # whole units are booked
    return len(fills)


def _holdings(
    mine: Any,
    truth: Truth,
    item: Instrument,
    notes: Mapping[str, Any],
    flows: dict[tuple[str, str], int],
    seen: dict[tuple[str, str], Decimal],
) -> None:
    """Position now; the money that moved goes to ``flows``, what the exchange says to ``seen``."""
    fills = mine[mine["kind"] == RecordKind.FILL]
    paid = mine[mine["kind"] == RecordKind.PAID]
    start = int(notes[f"{item.venue}.position.{item.symbol}"])
    spot = item.venue.endswith("-spot")
    bought = int((fills["side"] * fills["qty"]).sum())
    coin = int(paid["qty"][paid["code"] == PaidCode.COIN_FEE].sum())
    ours = Decimal(start + bought - coin).scaleb(-item.qty_decimals)
    step = Decimal(1).scaleb(-item.qty_decimals)
    assert (0 <= truth.position - ours < step) if spot else truth.position == ours, item
    wallet = "bybit-" if item.venue.startswith("bybit") else item.venue  # one for all its products
    key = wallet, item.settle
    seen[key] = truth.balances[item.settle]
    flow = -int(fills["money"].sum()) + int(paid["money"].sum())
    if spot:
        flow -= sum(
            int(row["side"]) * _notional(item, int(row["tick"]), int(row["qty"])) for row in fills
        )
    else:
        from mmcore._ledger import Ledger

        ledger = Ledger(item.spec())
        for row in fills:
            ledger.fill(int(row["side"]), int(row["tick"]), int(row["qty"]))
        flow += ledger.realised
    flows[key] = flows.get(key, 0) + flow


def _notional(item: Instrument, tick: int, qty: int) -> int:
    worth = Decimal(item.price_text(tick)) * Decimal(item.quantity_text(qty)) / UNIT
    return int(worth.to_integral_value())


def trade(example: str, folder: Path, seconds: int) -> dict[str, int]:
    seed = tomllib.loads((ROOT / "examples" / f"{example}.toml").read_text("utf-8"))
    options = ["--seed", str(seed.get("market", {}).get("seed", 1))]
    with exchange(*options) as facts:
        file = configured(example, folder, f"{facts['host']}:{facts['port']}")
        command = [sys.executable, "-m", "mmcore", "run", str(file), "--seconds", str(seconds)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(facts), capture_output=True, text=True,
            timeout=seconds + SPARE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        (journal,) = folder.glob("*/journal.sqlite")
        return compare(journal, facts)


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_few_seconds(example: str, tmp_path: Path) -> None:
    counts = trade(example, tmp_path, QUICK_S)
    assert counts["placed"]


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_two_minutes(example: str, tmp_path: Path) -> None:
    counts = trade(example, tmp_path, WHOLE_S)
    print(example, counts)
    assert counts["placed"] + counts["amended"] >= 200
    assert counts["fills"] >= 100
    assert counts["cancelled"]
