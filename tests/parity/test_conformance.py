"""Micro scenarios and queue probes, answered as hftbacktest 2.4.4 answered them."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from hbt_tape import QUEUES  # noqa: E402 - a script's folder, not a package

from mmcore._channel import Latency  # noqa: E402
from mmcore._replay import Outcome, Replay, Status  # noqa: E402
from mmcore._spec import SpecBox  # noqa: E402
from mmcore._venue import PARITY, PARITY_WHOLE, Venue  # noqa: E402
from mmcore.events import ASK, BID, EVENT, Flag, Kind, TimeInForce  # noqa: E402

CASES: dict[str, Any] = json.loads(
    (HERE.parent / "data" / "hbt_parity" / "conformance.json").read_text()
)
BASE = CASES["meta"]["base_tick"]
UNITS_A_LOT = 10  # fine enough for the 0.4 lots of the scenarios
UNIT = CASES["meta"]["unit_lots"] * UNITS_A_LOT
SPEC = SpecBox("0.1", 4, "1", UNITS_A_LOT, 0, 0, 0, 0, 0, 0, 0, 0)
NAMES = {
    Status.NONE: "None",
    Status.NEW: "New",
    Status.EXPIRED: "Expired",
    Status.FILLED: "Filled",
    Status.CANCELED: "Canceled",
    Status.PARTIALLY_FILLED: "PartiallyFilled",
    Status.REPLACED: "Replaced",
}
# Defects of hftbacktest that the README says not to copy: its position counts the last piece only.
PIECES_UNCOUNTED = {
    "excess_pf",
    "pf_state_bug",
    "gtc_taker_pf",
    "ioc_taker_pf",
    "ioc_sell_taker_pf",
}


def tape(events: list[list[Any]]) -> np.ndarray:
    """Rows of ``[kind, exch_ts, local_ts, tick - base, quantity in units]``."""
    rows = np.zeros(len(events), EVENT)
    for row, (kind, exch_ts, local_ts, tick, qty) in zip(rows, events, strict=True):
        row["kind"] = Kind.DEPTH if kind in ("bid", "ask") else Kind.TRADE
        row["side"] = BID if kind in ("bid", "buy") else ASK
        row["flags"] = Flag.EXCH | Flag.LOCAL
        row["ts_venue_ns"], row["ts_local_ns"] = exch_ts, local_ts
        row["tick"], row["qty"] = BASE + tick, round(qty * UNIT)
    return rows


class Player:
    """Plays the actions of a scenario and logs every change of an order, as the probe did."""

    def __init__(self, case: dict[str, Any]) -> None:
        options = case["options"]
        latency = Latency(*options["lat"])
        if "table" in options:
            latency = Latency(table=np.array(options["table"])[:, :3])
        model = case["queue"][0].removesuffix("_queue_model")
        rules = PARITY if options["exch"] == "pf" else PARITY_WHOLE
        venue = Venue(
            SPEC, rules=rules, queue=QUEUES[model], exponent=float((*case["queue"], 1)[1])
        )
        self.replay = Replay(tape(case["events"]), venue, latency)
        self.log: list[dict[str, Any]] = []
        self.last: dict[int, dict[str, Any]] = {}

    def note(self) -> None:
        replay = self.replay
        for row in replay.orders():
            order = int(row["id"])
            status = Status(row["status"])
            entry: dict[str, Any] = {
                "id": order,
                "status": NAMES[status],
                "pending": NAMES[Status(row["pending"])],
                "tick": int(row["tick"]) - BASE,
                "leaves": int(row["left"]) / UNIT,
                "exch_ts": int(row["ts_venue_ns"]),
            }
            if status in (Status.FILLED, Status.PARTIALLY_FILLED):
                entry["exec_tick"] = int(row["exec_tick"]) - BASE
                entry["exec_qty"] = int(row["exec_qty"]) / UNIT
                entry["maker"] = bool(row["maker"])
            if self.last.get(order) != entry:
                self.last[order] = entry
                self.log.append({"seen_ts": replay.now_ns, **entry})

    def until(self, ts_ns: int) -> None:
        while self.replay.now_ns < ts_ns:
            if self.replay.wait_feed(ts_ns - self.replay.now_ns) == Outcome.END:
                self.note()
                return
            self.note()

    def act(self, ts_ns: int, verb: str, order: int, *rest: Any) -> None:
        # After the end of the data time still passes for the strategy's own calls.
        self.until(ts_ns)
        if verb in ("buy", "sell"):
            tick, units, tif = rest
            side = BID if verb == "buy" else ASK
            outcome = self.replay.submit(
                order, side, BASE + tick, round(units * UNIT), TimeInForce[tif]
            )
        elif verb == "modify":
            tick, units = rest
            outcome = self.replay.modify(order, BASE + tick, round(units * UNIT))
        else:
            outcome = self.replay.cancel(order)
        if outcome != Outcome.OK:
            entry = {"seen_ts": self.replay.now_ns, "call": verb, "error": int(outcome)}
            self.log.append(entry)
        self.note()


def with_end(events: list[list[Any]]) -> list[list[Any]]:
    """A last far bid update, so that time reaches the last action."""
    return [*events, ["bid", 90_000, 90_005, -50, 1]]


@pytest.mark.parametrize("case", CASES["scenarios"], ids=lambda case: str(case["name"]))
def test_scenario(case: dict[str, Any]) -> None:
    player = Player({**case, "events": with_end(case["events"])})
    for action in case["actions"]:
        player.act(*action)
    player.until(100_000)
    assert player.log == case["result"]["log"]
    if case["name"] not in PIECES_UNCOUNTED:
        assert player.replay.position / UNIT == case["result"]["hbt_position"]


def probe_cases() -> list[Any]:
    return [
        pytest.param(probe, model, lots, id=f"{probe['name']}-{model.replace(' ', '-')}")
        for probe in CASES["queue_probes"]
        for model, lots in probe["min_filling_sell_lots_at_5000"].items()
    ]


@pytest.mark.parametrize(("probe", "model", "lots"), probe_cases())
def test_queue_probe(probe: dict[str, Any], model: str, lots: int) -> None:
    name, _, exponent = model.partition(" n=")
    for sold, filled in ((lots - 1, False), (lots, True)):
        events = [*probe["events"], ["sell", 5000, 5005, -1, sold / CASES["meta"]["unit_lots"]]]
        venue = Venue(
            SPEC,
            rules=PARITY_WHOLE,
            queue=QUEUES[name],
            exponent=float(exponent or 1),
        )
        replay = Replay(tape(with_end(events)), venue, Latency(10, 20))
        ts, _, order, tick, units, tif = probe["action"]
        replay.elapse(ts - replay.now_ns)
        replay.submit(order, BID, BASE + tick, units * UNIT, TimeInForce[tif])
        replay.elapse(20_000)
        assert (replay.status(order) == Status.FILLED) == filled, sold
