"""What does the live desk cost between a decoded message and the gateway's door?

    python bench/bench_live.py [--seconds 60] [--preset busy]

One synthetic market, message by message, three times: through the compiled engine alone, through
the pump (late rows stamped, requests collected), and through the desk (event log, requests handed
to a gateway that only counts).  Prints microseconds a message: median, 99th percentile, and of the
messages that led to requests.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mmcore._engine import Engine
from mmcore._pump import Pump
from mmcore.connect import Connection, Connections
from mmcore.events import EVENT, Kind, RequestKind
from mmcore.gateway import AccountState, ClientIds, Health, Prepared
from mmcore.instrument import known
from mmcore.live import LiveDesk
from mmcore.recording import heads_of
from mmcore.schema import Config, GridConfig, InstrumentConfig, LiveConfig, MarketConfig
from mmcore.synthetic import SyntheticSource, market, together
from mmcore.wiring import build

Rows = NDArray[np.void]
ITEM = known("bybit-linear", "BTCUSDT")
CONFIG = Config(
    mode="live",
    market=MarketConfig(source="venue"),
    live=LiveConfig(environment="loopback"),
    instruments=(
        InstrumentConfig(
            venue="bybit-linear",
            symbol="BTCUSDT",
            grid=GridConfig(asset=20_000, minimum_spread=1.5, requote_spreads=0.3, rate_limit=100),
        ),
    ),
)
ANSWERS = {
    RequestKind.PLACE: Kind.ACK,
    RequestKind.AMEND: Kind.AMENDED,
    RequestKind.CANCEL: Kind.CANCELLED,
}


class Counter:
    """A gateway that takes requests, and remembers them for an answer."""

    def __init__(self) -> None:
        self.sent: list[Rows] = []

    def send(self, requests: Rows) -> None:
        self.sent.append(requests)

    def health(self) -> Health:
        return Health(links={})


def messages(seconds: float, preset: str) -> Iterator[Rows]:
    source = SyntheticSource(together([market(ITEM, preset, None)]), seconds=seconds, seed=1)
    while (block := source.next_block()) is not None:
        heads = heads_of(block)
        for first, end in zip(heads, [*heads[1:], len(block)], strict=True):
            yield block[first:end].copy()


def answers(requests: Rows, ts_ns: int) -> Rows:
    rows = np.zeros(len(requests), EVENT)
    for name in ("instrument", "slot", "generation", "side", "tick", "qty"):
        rows[name] = requests[name]
    rows["kind"] = [ANSWERS[RequestKind(kind)] for kind in requests["kind"]]
    rows["ts_local_ns"] = ts_ns
    return rows


def timed(name: str, feed: Callable[[Rows], list[Rows]], tape: list[Rows]) -> None:
    """Feed the tape and the answers to what it leads to; ``feed`` returns the requests sent."""
    times, asked = [], []
    for message in tape:
        began = time.perf_counter_ns()
        sent = feed(message)
        took = time.perf_counter_ns() - began
        times.append(took)
        if sent:
            asked.append(took)
        for requests in sent:
            feed(answers(requests, int(message["ts_local_ns"][0])))
    half, most = (np.percentile(times, share) / 1e3 for share in (50, 99))
    with_orders = np.median(asked) / 1e3 if asked else float("nan")
    print(
        f"{name:<8} {half:7.2f} us median  {most:7.2f} us p99  {with_orders:7.2f} us with requests "
        f"({len(asked):,} of {len(times):,} messages)"
    )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--preset", default="busy")
    chosen = options.parse_args()
    tape = list(messages(chosen.seconds, chosen.preset))

    wiring = build(CONFIG, (ITEM,))
    engine = Engine(wiring.markets[0], wiring.traders[0])

    def by_engine(rows: Rows) -> list[Rows]:
        sent = [engine.step(rows[i : i + 1]) for i in range(len(rows))] if is_answer(rows) else []
        sent = sent or [engine.step(rows)]
        return [requests for requests in sent if len(requests)]

    timed("engine", by_engine, tape)

    pump = Pump(build(CONFIG, (ITEM,)).traders)

    def by_pump(rows: Rows) -> list[Rows]:
        sent, done = [], 0
        while done < len(rows):
            requests = pump.feed(rows[done:])
            done += pump.taken
            if len(requests):
                sent.append(requests.copy())
        return sent

    timed("pump", by_pump, [rows.copy() for rows in tape])

    gateway = Counter()
    account = AccountState(orders=(), positions={}, balances={})
    prepared = Prepared(instruments=(ITEM,), account=account, clock_offset_ns=0)
    connection = Connection("bybit-linear", "loopback", gateway, (0,), prepared, (ITEM,), account)
    ids = ClientIds("0" * 12, 1)
    desk = LiveDesk(CONFIG, "bench", 0.0, Connections([connection]), ids, time.time_ns)

    def by_desk(rows: Rows) -> list[Rows]:
        desk.receive(rows)
        sent, gateway.sent = gateway.sent, []
        return sent

    timed("desk", by_desk, [rows.copy() for rows in tape])


def is_answer(rows: Rows) -> bool:
    return bool(Kind.ACK <= rows["kind"][0] <= Kind.CANCELLED)


if __name__ == "__main__":
    main()
