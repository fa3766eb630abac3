"""What people write instead of TOML and plain numbers, and the line they meant."""

import tomllib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore.quantities import quantity_of

from .test_config import FEES, GRID, SMALLEST, only_fault

MEANT = [
    # what people write, and the repair that can be taken as it stands
    (GRID + 'minimum_spread = "12 bps"', "a plain number of bps of the mid: minimum_spread = 12"),
    (GRID + 'minimum_spread = "0.12%"', "minimum_spread = 12"),
    (GRID + 'asset = "10k"', "asset = 10000"),
    (GRID + 'asset = "$1,000.50"', "asset = 1000.50"),
    (GRID + 'kappa = "63 %"', "kappa = 0.63"),
    (GRID + 'orders_per_side = "1.5"', "orders_per_side = 4   (the default)"),
    (GRID + 'grid_stale_seconds = "2m"', "grid_stale_seconds = 120"),
    (GRID + 'leverage = "3x"', "leverage = 3"),
    (GRID + 'leverage = "300x"', "a value within the rule, or leave leverage out (12; on spot 1)"),
    (GRID + 'kappa = "a lot"', "a value within the rule, or leave kappa out"),
    (GRID + "depths = [4.0, 13]", "4"),
    (GRID + 'depths = ["4", 13]', "without quotes: 4"),
    ("simulation = { entry_latency_ms = '250us' }\n" + SMALLEST, "entry_latency_ms = 0.25"),
    ("simulation = { rules = ['no_funding'] }\n" + SMALLEST, "funding = false"),
    ("simulation = { rules = 'hftbacktest' }\n" + SMALLEST, 'rules = ["parity"]'),
    ("run = { seconds = '1h' }\n" + SMALLEST, "seconds = 3600"),
    ("account = { max_loss = -200 }\n" + SMALLEST, "without the sign: max_loss = 200"),
    ("account = { rate_limit = -1 }\n" + SMALLEST, "leave rate_limit out (no limit)"),
    (SMALLEST + 'venue = "binance-futures"', '"binance-usdm" or "binance-coinm" or "binance-spot"'),
    ('[[instrument]]\nsymbol = ["BTCUSDT", "ETHUSDT"]', "an [[instrument]] table for each symbol"),
    ('mode = "backtest"\n' + SMALLEST, 'mode = "paper", with `python -m mmcore backtest`'),
    (FEES + "maker = 0.0002", "maker = 2, or 0"),
    (FEES + "taker = -0.00005", "taker = -0.5, or 0"),
    (GRID + "asset = 1e11", "a smaller one"),
]


@pytest.mark.parametrize(("text", "repair"), MEANT)
def test_what_was_meant_is_the_repair(text, repair):
    assert repair in only_fault(text).repair


SYNTAX = [
    ("a = b", 1, 'a = "b"'),
    (SMALLEST + "strategy = grid # c", 3, 'strategy = "grid"'),
    (SMALLEST + "post_only = True", 3, "post_only = true"),
    (SMALLEST + "post_only = yes", 3, "post_only = true"),
    (SMALLEST + "kappa = 0,63", 3, "kappa = 0.63"),
    (SMALLEST + "asset = 1,000  # quote", 3, "asset = 1000"),
    (SMALLEST + "kappa = .63", 3, "kappa = 0.63"),
    (SMALLEST + "kappa = 63.", 3, "kappa = 63"),
    (SMALLEST + "kappa: 0.63", 3, "kappa = 0.63"),
    (SMALLEST + "kappa = 0.63;", 3, "kappa = 0.63"),
    (SMALLEST + "n = 010", 3, "n = 10"),
    (SMALLEST + "venue = \u201cbinance-usdm\u201d", 3, 'venue = "binance-usdm"'),
    (SMALLEST + 'path = "C:\\data\\x.gz"', 3, "path = 'C:\\data\\x.gz'"),
    (SMALLEST + "grid = { asset = 3, }", 3, "grid = { asset = 3 }"),
    (SMALLEST + "grid = { asset = 3,\n kappa = 1 }", 3, "stays on one line"),
    (SMALLEST + "gr\u00f6\u00dfe = 3", 3, "letters a to z"),
    (SMALLEST + "[run]\n[run]", 4, "keep one of the two"),
    ("[instrument]\n" + SMALLEST, 2, "write [[instrument]] wherever it stands"),
    ('{"instrument": [{"symbol": "BTCUSDT"}]}', 1, "this is JSON"),
    ("{" * 5000, 1, "one key"),
    ("[!]", 1, "one key"),
    ('files = ["a",\n"b"\n[run]\n', 1, "close the bracket"),
    (SMALLEST + 'x = "open', 3, "quote"),
    (SMALLEST + "x = [1,\n2\n", 3, "bracket"),
    (SMALLEST + "[instrument.grid\n", 3, "bracket"),
    (SMALLEST + 'symbol = "ETHUSDT"', 3, "one of the two"),
    (SMALLEST + "x = 1 y = 2", 3, "one key"),
    (SMALLEST + "just words", 3, "key = value"),
    (SMALLEST + "x = " + "9" * 5000, 3, "shorter"),
    ("x = " + "[" * 5000, 1, "fewer"),
    ("x = 1\x00", 1, "one key"),
]


@pytest.mark.parametrize(("text", "line", "repair"), SYNTAX)
def test_syntax_error_stands_alone_with_its_place(text, line, repair):
    fault = only_fault(text)
    assert "TOML" in fault.rule
    assert repair in fault.repair
    assert fault.line == line


@given(st.from_regex(r"[$]?[-+]?[0-9.,_e]{1,40} ?[a-z%]{0,3}", fullmatch=True), st.data())
def test_a_quantity_is_a_number_of_toml_or_nothing(text, data):
    unit = data.draw(st.sampled_from(["ms", "s", "bps of the mid", "quote", "share", "levels"]))
    meant = quantity_of(text, unit)
    assert not meant or "n" in tomllib.loads(f"n = {meant}")


@given(st.integers(0, 10**12), st.sampled_from(["", "us", "ms", "s", "min", "h"]))
def test_a_time_is_the_same_in_every_unit(n, unit):
    scale = {"": "1", "us": "0.001", "ms": "1", "s": "1e3", "min": "6e4", "h": "3.6e6"}[unit]
    assert Decimal(quantity_of(f"{n:,}{unit}", "ms")) == n * Decimal(scale)
