"""What do ten configurations in one pass over a day cost, against one?

    python bench/bench_pass.py [--files FILE...] [--venue binance-spot --symbol NEXOUSDT] [--n 10]

Strategy grid on a recorded tape, from the configuration of examples/tape_day.toml; the others of
the pass differ in spread, inventory rule and queue model, so that each trades differently.  Printed
are engine time (the compiled loop), wall time with the recording's decoding in it, and the ratios.
Before that, every configuration's requests in the pass are compared with those that it makes alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from mmcore.config import loads
from mmcore.lanes import PassDesk
from mmcore.schema import Config, GridConfig

EXAMPLE = Path(__file__).parents[1] / "examples" / "tape_day.toml"
ROUNDS = 7
SETTLES = 1200


def variants(config: Config, n: int) -> list[Config]:
    """So many configurations that trade differently."""
    made = []
    for i in range(n):
        grid: GridConfig = config.instruments[0].grid
        grid = replace(
            grid,
            minimum_spread=grid.minimum_spread * (1 + i / 4),
            inventory=("mean_reverting", "trend_following", "plain")[i % 3],
        )
        queue = replace(config.simulation, queue_model=("risk_averse", "log")[i // 3 % 2])
        item = replace(config.instruments[0], grid=grid)
        made.append(replace(config, instruments=(item,), simulation=queue))
    return made


def _keep(kept: list[np.ndarray], rows: np.ndarray) -> None:
    kept.append(rows.copy())


def one_pass(configs: list[Config]) -> tuple[float, float, int, list[bytes]]:
    """Engine and wall seconds, events, and the records of every configuration."""
    began = time.perf_counter()
    with closing(PassDesk(configs, "bench", 0.0)) as desk:
        kept: list[list[np.ndarray]] = [[] for _ in configs]
        for lane, mine in zip(desk.lanes, kept[1:], strict=True):
            lane.records = partial(_keep, mine)
        while not desk.over:
            desk.advance(1 << 20, 0)
            kept[0].append(desk.drain())
        desk.stop()
        for _ in range(SETTLES):
            settled = desk.settle()
            kept[0].append(desk.drain())
            if settled:
                break
        records = [b"".join(each.tobytes() for each in mine) for mine in kept]
        return desk.engine_s, time.perf_counter() - began, desk.n_events, records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", nargs="+", help="recordings (default: those of the example)")
    parser.add_argument("--venue", default="binance-spot")
    parser.add_argument("--symbol", default="NEXOUSDT")
    parser.add_argument("--n", type=int, default=10)
    options = parser.parse_args()
    config = loads(EXAMPLE.read_text(encoding="utf-8"), str(EXAMPLE))
    files = options.files or [str(EXAMPLE.parent / name) for name in config.market.files]
    if not all(Path(name).exists() for name in files):
        print("no recording: name one with --files")
        sys.exit(0)
    item = replace(config.instruments[0], venue=options.venue, symbol=options.symbol)
    config = replace(config, market=replace(config.market, files=tuple(files)), instruments=(item,))
    many = variants(config, options.n)
    *_, together = one_pass(many)
    alone = [one_pass([each])[3][0] for each in many]
    assert together == alone, "a configuration does not do in the pass what it does alone"
    print(f"{len(set(alone))} different sets of records, each as alone")
    first, second = [], []
    for _ in range(ROUNDS):  # interleaved: both see the same disturbances
        first.append(one_pass(many[:1])[:3])
        second.append(one_pass(many)[:3])
    (engine, wall, events), (engine_n, wall_n, _) = min(first), min(second)
    print(f"one configuration: engine {engine:.3f}s, wall {wall:.3f}s, {events:,} events")
    print(f"{options.n} configurations: engine {engine_n:.3f}s, wall {wall_n:.3f}s")
    print(f"ratio: engine {engine_n / engine:.2f}, wall {wall_n / wall:.2f}")


if __name__ == "__main__":
    main()
