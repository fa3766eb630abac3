"""A grid and a two-sided maker on the synthetic market: what backtests and replays run."""

from __future__ import annotations

from pathlib import Path

from mmcore.config import loads
from mmcore.schema import Config

TEXT = """
[market]
seed = {seed}
speed = {speed}
[run]
seconds = {seconds}
directory = "{folder}"
[simulation]
jitter_ms = 1
queue_model = "{queue}"
[[instrument]]
venue = "synthetic"
symbol = "BTCUSDT"
[instrument.grid]
minimum_spread = {spread}
maximum_spread = {widest}
final_order_distance = 2
requote_spreads = 0.3
depths = {depths}
[[instrument]]
venue = "synthetic"
symbol = "ETHUSDT"
strategy = "two_sided"
[instrument.two_sided]
target_liquidity = 0.5
half_spread = 0.2
max_bps_diff = 0.2
max_absolute_position_size = 10
"""


def config(folder: Path, **changes: object) -> Config:
    values: dict[str, object] = {
        "seed": 5,
        "speed": 0,
        "seconds": 40,
        "queue": "risk_averse",
        "spread": 0.5,
        "depths": [20],
        "folder": folder.as_posix(),
    }
    return loads(
        TEXT.format(
            **{**values, **changes, "widest": 2 * float(str({**values, **changes}["spread"]))}
        ),
        str(changes.get("name", "a.toml")),
    )


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/journal.sqlite"))
