"""What does each switch of the simulated venue change, on a real tape?

    python bench/rules.py [CONFIG] [--files FILE...] [--half-spread 0.2] [--order-rate 20]

One pass over the tape of a configuration (examples/tape_two_sided.toml) for all lines of the table:
each has a trader and an account at a venue of its own, with one switch set, another queue model,
latency or fee; the first line is the default.  Orders may take.  Printed: fills, notional traded,
net after fees and funding, both in the settle asset, and the difference to the default.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from mmcore._channel import Latency
from mmcore._sim import SimLoop
from mmcore._venue import PARITY, PARITY_WHOLE, RULES, Venue
from mmcore.config import load
from mmcore.events import RECORD
from mmcore.paper import TIMER_NS
from mmcore.schema import Config
from mmcore.sources import source_of
from mmcore.wiring import Shared, build, start_of

EXAMPLE = Path(__file__).parents[1] / "examples" / "tape_two_sided.toml"
MS = 1_000_000
QUANTA = 1e-8
RING = 1 << 17
ELSEWHERE = {"levels_apart", "clear_expires", "skip_inside"}  # of other tapes


def lines(order_rate: int) -> dict[str, dict[str, Any]]:
    """What differs from the default, by name of the line."""
    table: dict[str, dict[str, Any]] = {"default": {}}
    table |= {name: {"rules": RULES[name]} for name in RULES if name not in ELSEWHERE}
    table |= {"parity, partial fills": {"rules": PARITY}}
    table |= {"parity, whole fills": {"rules": PARITY_WHOLE}}
    for queue, exponent in (("power3", 3), ("power", 2), ("log", 1), ("log2", 1), ("power2", 2)):
        name = f"queue {queue} {exponent}" if queue.startswith("power") else f"queue {queue}"
        table[name] = {"queue": queue, "exponent": float(exponent)}
    table |= {f"latency {ms} ms each way": {"latency": ms * MS} for ms in (0, 20, 100)}
    table["maker rebate 0.005 %"] = {"maker_fee": "-0.00005"}
    table[f"{order_rate} orders a second"] = {"order_rate": order_rate}
    return table


def play(config: Config, table: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The state of every line's trader at the end of the tape."""
    with closing(source_of(config, seconds=0.0)) as source:
        shared = Shared(RING)
        traders, venues, latencies = [], [], []
        for number, options in enumerate(table.values()):
            wiring = build(config, source.instruments[:1], shared, number=number)
            traders.append(wiring.traders[0])
            said = dict(options)
            one_way = said.pop("latency", round(config.simulation.entry_latency_ms * MS))
            spec = source.instruments[0].spec(0)
            held = start_of(config.instruments[0], source.instruments[0])
            beside = venues[0] if venues else None
            venues.append(Venue(spec, beside=beside, position=held, **said))
            latencies.append(Latency(one_way, one_way))
        loop = SimLoop(traders, venues, latencies, clock=source.clock, timer_ns=TIMER_NS)
        out = np.zeros(RING, RECORD)
        while (block := source.next_block()) is not None:
            loop.feed(block)
            while not loop.consumed:
                loop.run(1 << 20)
                shared.ring.drain(out.view(np.uint8))
    return [trader.state() for trader in traders]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default=str(EXAMPLE))
    parser.add_argument("--files", nargs="+")
    parser.add_argument("--half-spread", type=float, default=0.2, help="of two_sided, bps")
    parser.add_argument("--order-rate", type=int, default=20)
    options = parser.parse_args()
    config = load(options.config)
    if options.files:
        config = replace(config, market=replace(config.market, files=tuple(options.files)))
    item = replace(config.instruments[0], post_only=False)
    if item.strategy == "two_sided":
        quoted = replace(item.two_sided, half_spread=options.half_spread, max_bps_diff=0.1)
        item = replace(item, two_sided=quoted)
    table = lines(options.order_rate)
    states = play(replace(config, instruments=(item,)), table)
    first = states[0]
    print("| line | fills | traded | net | against the default |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, state in zip(table, states, strict=True):
        more = state["n_fills"] - first["n_fills"]
        gain = (state["equity"] - first["equity"]) * QUANTA
        print(
            f"| {name} | {state['n_fills']:,} | {state['turnover'] * QUANTA:,.0f} "
            f"| {state['equity'] * QUANTA:+,.2f} | {more:+,} fills, {gain:+,.2f} |"
        )


if __name__ == "__main__":
    main()
