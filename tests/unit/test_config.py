"""Configuration: what loads, what is refused, and that every fault is named at its place."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore import config
from mmcore.errors import ConfigError
from mmcore.faults import LINES_MAX
from mmcore.keys import fields
from mmcore.schema import GridConfig
from mmcore.spelling import nearest, slip_count
from mmcore.symbols import SYMBOLS

ROOT = Path(__file__).parents[2]
SMALLEST = '[[instrument]]\nsymbol = "BTCUSDT"\n'


def faults_of(text, name="c.toml"):
    with pytest.raises(ConfigError) as caught:
        config.loads(text, name)
    return caught.value.faults


def only_fault(text):
    faults = faults_of(text)
    assert len(faults) == 1, [str(fault) for fault in faults]
    return faults[0]


# -- what loads ----------------------------------------------------------------------------------


def test_the_smallest_file_has_every_default():
    item = config.loads(SMALLEST).instruments[0]
    assert (item.venue, item.strategy, item.grid.orders_per_side) == ("synthetic", "grid", 4)
    assert item.max_position_usd == pytest.approx(1000 * 12 * 0.93)


def test_spot_has_no_leverage():
    item = config.loads(SMALLEST + 'venue = "binance-spot"').instruments[0]
    assert item.leverage == 1.0 and item.is_spot


def test_decimals_keep_their_digits():
    spec = config.loads(SMALLEST + "spec = { tick = 0.10, lot = 1e-8 }").instruments[0].spec
    assert (spec.tick, spec.lot) == ("0.10", "0.00000001")


def test_tapes_are_found_beside_the_file(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('market = { source = "tape", files = ["a.gz"] }\n' + SMALLEST)
    assert config.load(path).market.files == (str(tmp_path / "a.gz"),)


def test_windows_line_ends_and_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode())
    assert config.load(path).instruments[0].symbol == "BTCUSDT"


@pytest.mark.parametrize(
    "path",
    [ROOT / "config.toml", *sorted((ROOT / "examples").glob("*.toml"))],
    ids=lambda p: p.name,
)
def test_every_file_of_the_repository_loads(path):
    if not path.is_file():
        pytest.skip("only the tests are here")
    assert config.load(path).instruments


def test_skew_table_is_none_unless_given():
    text = SMALLEST + 'strategy = "two_sided"\n'
    assert config.loads(text).instruments[0].two_sided.inventory_skew_config is None
    text += "[instrument.two_sided.inventory_skew_config]\n"
    skew = config.loads(text).instruments[0].two_sided.inventory_skew_config
    assert (skew.inventory_skew_factor, skew.book_imbalance_factor) == (0.5, 0.3)
    assert skew.depth_analysis_levels == 5


def test_inventory_strength_follows_the_variant():
    assert GridConfig().inventory_strength == 0.63
    assert GridConfig(inventory="trend_following").inventory_strength == 0.5
    assert GridConfig(inventory="trend_following", kappa=0.1).inventory_strength == 0.1


def test_symbols_are_those_of_the_instrument_table():
    from mmcore.instrument import known_instruments

    assert {venue: set(names) for venue, names in SYMBOLS.items()} == {
        venue: set(known_instruments(venue)) for venue in SYMBOLS
    }


# -- faults: place, value, rule, repair -----------------------------------------------------------

LIVE = SMALLEST + 'venue = "bybit-linear"\n'
GRID = SMALLEST + "[instrument.grid]\n"
TWO = SMALLEST + 'strategy = "two_sided"\n[instrument.two_sided]\n'

FEES = SMALLEST + "[instrument.fees]\n"
TIER = "[[instrument.fees.tiers]]\n"

ONE_FAULT = [
    # text, line, key, found, part of the rule, part of the repair
    (GRID + "minimum_spread = -3", 4, "minimum_spread", "-3", "bps of the mid", "27"),
    (GRID + "minimum_spread = nan", 4, "minimum_spread", "nan", "finite", "27"),
    (GRID + "asset = inf", 4, "asset", "inf", "quote", "1000"),
    (GRID + "asset = 1e999999999999999999", 4, "asset", "1e9999", "finite", "1000"),
    (GRID + 'asset = "1000"', 4, "asset", '"1000"', "number", "without quotes: asset = 1000"),
    (GRID + "asset = true", 4, "asset", "true", "number", "1000"),
    (GRID + "orders_per_side = 4.0", 4, "orders_per_side", "4.0", "whole", "= 4"),
    (GRID + "orders_per_side = 33", 4, "orders_per_side", "33", "1 to 32", "= 4"),
    (GRID + "inventory_strict = 1", 4, "inventory_strict", "1", "true or false", "= true"),
    (GRID + 'inventory = "mean_revert"', 4, "inventory", '"mean_revert"', "one of", "mean_rever"),
    (GRID + "depths = 4", 4, "depths", "4", "list", "[4, 13, 32]"),
    (GRID + "depths = [4, 13, 4000]", 4, "depths[2]", "4000", "1 to 128", "depths"),
    (GRID + "depths = [13, 4]", 4, "depths", "[13, 4]", "rising", "[4, 13]"),
    (GRID + "depths = []", 4, "depths", "[]", "at least one", "[4, 13, 32]"),
    (GRID + "size_ratio_range = [0.1]", 4, "size_ratio_range", "[0.1]", "2 values", "leave"),
    (GRID + "size_ratio_range = [0.6, 0.1]", 4, "size_ratio_range", "[0.6,", "lower", "[0.1, 0.6]"),
    (GRID + "weights = 3", 4, "weights", "3", "a table", "[instrument.grid.weights]"),
    (GRID + "weights = { ofi = 0.9 }", 4, "weights", "{ ofi", "at most 1", "lower"),
    (GRID + "maximum_spread = 10", 4, "maximum_spread", "10", "minimum_spread 27", "99.9"),
    (GRID + "final_order_distance = 900", 4, "final_order_distance", "900", "zero", "below"),
    (
        GRID + 'final_order_distance_from = "mid"\nfinal_order_distance = 0.5',
        5, "final_order_distance", "0.5", "at least 1", "= 10",
    ),
    (GRID + "max_position_usd = 1e6", 4, "max_position_usd", "1e6", "12000", "11160"),
    (TWO + "target_liquidity = 60", 4, "max_absolute", "(missing)", "one order", "300"),
    (TWO + 'asset = "HYPE"', 5, "asset", '"HYPE"', "BTCUSDT", "HYPE"),
    (TWO + 'asset_type = "Perp"', 5, "asset_type", '"Perp"', "one of", '"perp"'),
    (TWO + 'asset_type = "spot"', 5, "asset_type", '"spot"', "perp", '"perp"'),
    (
        TWO + "[instrument.two_sided.inventory_skew_config]\ninventory_skew_factor = 1.5",
        6, "inventory_skew_factor", "1.5", "0 to 1", "0.5",
    ),
    (SMALLEST + 'strategy = "gird"', 3, "strategy", '"gird"', "one of", '"grid"'),
    (SMALLEST + 'strategy = ["grid"]', 3, "strategy", '["grid"]', "one of", '"grid"'),
    (SMALLEST + "[instrument.two_sided]", 3, "two_sided", "", "only with", '"two_sided"'),
    (SMALLEST + "target_base = 1", 3, "target_base", "1", "only for spot", "remove"),
    (SMALLEST + "quote_balance = 1", 3, "quote_balance", "1", "only for spot", "remove"),
    (
        SMALLEST + 'venue = "bybit-spot"\nstart_position = -1',
        4, "start_position", "-1", "owned", "= 0",
    ),
    (SMALLEST + "limits = { max_orders = 4 }", 3, "max_orders", "4", "2 x 4", "= 8"),
    (
        TWO + "[instrument.limits]\nmax_position = 2",
        6, "max_position", "2", "one order", "= 10",
    ),
    (TWO + "[instrument.limits]\nmax_order_size = 2", 6, "max_order_size", "2", "10", "= 10"),
    (
        SMALLEST + 'existing_position = "refuse"\nstart_position = 1',
        3, "existing_position", '"refuse"', "stops at once", "adopt",
    ),
    (SMALLEST + "spec = { tick = 0 }", 3, "spec.tick", "0", "above 0", "leave tick out"),
    (SMALLEST + 'spec = { tick = "x" }', 3, "spec.tick", '"x"', "above 0", "leave tick out"),
    (
        SMALLEST + "spec = { min_qty = 2, max_qty = 1 }",
        3, "spec.max_qty", "1", "min_qty 2", "max_qty = 2",
    ),
    (
        SMALLEST + "spec = { lot = 0.01, qty_decimals = 1 }",
        3, "qty_decimals", "1", "lot 0.01", "= 2",
    ),
    (
        SMALLEST + "spec = { min_notional = 1e5 }",
        1, "grid.asset", "(missing)", "budget", "17921",
    ),
    ('[[instrument]]\nsymbol = "BTC-USDT"', 2, "symbol", '"BTC-USDT"', "synthetic", "BTCUSDT"),
    ('[[instrument]]\nsymbol = "BTC/USDT"', 2, "symbol", '"BTC/USDT"', "synthetic", "BTCUSDT"),
    ('[[instrument]]\nsymbol = "btcusdt"', 2, "symbol", '"btcusdt"', "synthetic", "BTCUSDT"),
    ('[[instrument]]\nsymbol = "HYPEUSDC"', 2, "symbol", '"HYPEUSDC"', "knows", "tick and lot"),
    ('[[instrument]]\nsymbol = ""', 2, "symbol", '""', "not empty", "BTCUSDT"),
    ("[[instrument]]\nsymbol = 3", 2, "symbol", "3", "text", "BTCUSDT"),
    ("[[instrument]]\n", 1, "symbol", "(missing)", "name", "BTCUSDT"),
    ('[instrument]\nsymbol = "BTCUSDT"', 1, "instrument", "", "double", "[[instrument]]"),
    ("instrument = []", 1, "instrument", "[]", "double", "[[instrument]]"),
    ("", 1, "instrument", "(missing)", "at least one", "[[instrument]]"),
    (SMALLEST * 2, 4, "symbol", "BTCUSDT", "one trader", "remove"),
    ('mode = "live"\n' + LIVE, 1, "live.environment", "(missing)", "where orders go", "loopback"),
    (
        'mode = "live"\nlive = { environment = "mainnet" }\n' + LIVE,
        2, "live.environment", '"mainnet"', "order truth", "testnet",
    ),
    (
        'mode = "live"\nlive = { environment = "testnet" }\n' + LIVE,
        1, "market.source", "(missing)", "own market", '"venue"',
    ),
    (
        'mode = "live"\nlive = { environment = "loopback" }\nsimulation = {}\n' + LIVE,
        3, "simulation", "{}", "paper", "remove",
    ),
    (
        'mode = "live"\nlive = { environment = "loopback", keys_file = "k" }\n' + LIVE,
        2, "keys_file", '"k"', "keys of its own", "remove",
    ),
    (
        'mode = "live"\nlive = { environment = "loopback" }\n' + SMALLEST,
        3, "venue", "(missing)", "mmcore talks to", "binance-usdm",
    ),
    (
        'mode = "live"\nlive = { environment = "loopback" }\n' + LIVE + "start_position = 1\n",
        6, "start_position", "1", "asked", "remove",
    ),
    (
        'mode = "live"\nlive = { environment = "loopback", box = "127.0.0.1:1", faults = "f" }\n'
        + LIVE,
        2, "faults", '"f"', "starts the exchange", "remove",
    ),
    (
        'mode = "live"\nlive = { environment = "loopback", box = "127.0.0.1:99999" }\n' + LIVE,
        2, "live.box", '"127.0.0.1:99999"', "on this machine", "127.0.0.1:8765",
    ),
    (SMALLEST + 'strategy = "grid_v2"', 3, "strategy", '"grid_v2"', "one of", '"grid"?'),
    (
        'market = { regime = "trending" }\n' + SMALLEST,
        1, "regime", '"trending"', "one of", 'did you mean regime = "trend"?',
    ),
    ("a" * 200 + " = 3\n" + SMALLEST, 1, "a" * 60 + "...", "3", "no key", "remove it"),
    (
        'mode = "live"\nlive = { environment = "loopback", dead_man_seconds = 3 }\n' + LIVE,
        2, "dead_man_seconds", "3", "at least 10", "dead_man_seconds = 10",
    ),
    ("live = { audit_seconds = 5 }\n" + LIVE, 1, "live", "{", "read only with", "remove"),
    (
        'market = { source = "venue", speed = 9 }\n' + LIVE,
        1, "speed", "9", "real time", "remove",
    ),
    (
        'market = { source = "venue", preset = "busy" }\n' + LIVE,
        1, "preset", '"busy"', "synthetic", "remove",
    ),
    (
        'market = { source = "tape", files = ["a"], regime = "flash" }\n' + SMALLEST,
        1, "regime", '"flash"', "synthetic", "remove",
    ),
    (
        'run = { directory = "%s" }\n' % ("a1" * 20) + LIVE,
        1, "directory", "(hidden)", "looks like a key", "replaced",
    ),
    ('mode = "papr"\n' + SMALLEST, 1, "mode", '"papr"', "one of", '"paper"'),
    ('market = { source = "tape" }\n' + SMALLEST, 1, "source", '"tape"', "file", "files"),
    ('market = { files = ["a"] }\n' + SMALLEST, 1, "files", '["a"]', '"tape"', '"tape"'),
    (
        'market = { source = "tape", files = ["a", "a"] }\n' + SMALLEST,
        1, "files[1]", '"a"', "once", "remove",
    ),
    ("market = { seed = -1 }\n" + SMALLEST, 1, "seed", "-1", "0 to", "= 1"),
    ("market = { seed = 1e3 }\n" + SMALLEST, 1, "seed", "1e3", "whole", "= 1000"),
    ("run = { seconds = -1 }\n" + SMALLEST, 1, "seconds", "-1", "market seconds", "= 0"),
    (
        "simulation = { entry_latency_ms = -5 }\n" + SMALLEST,
        1, "entry_latency_ms", "-5", "ms", "= 5",
    ),
    (
        "simulation = { queue_exponent = 2 }\n" + SMALLEST,
        1, "queue_exponent", "2", "no exponent", "power",
    ),
    (
        'simulation = { rules = ["whole_trough"] }\n' + SMALLEST,
        1, "rules[0]", '"whole_trough"', "one of", 'did you mean "whole_through"?',
    ),
    (
        'simulation = { rules = "parity" }\n' + SMALLEST,
        1, "rules", '"parity"', "a list in brackets", 'rules = ["parity"]',
    ),
    (
        'simulation = { rules = ["best"] }\n' + SMALLEST,
        1, "rules[0]", '"best"', "one of", "one of these, or remove it",
    ),
    (
        'market = { source = "tape", files = "a.gz" }\n' + SMALLEST,
        1, "files", '"a.gz"', "a list in brackets", 'files = ["a.gz"]',
    ),
    (
        'simulation = { rules = ["parity", "parity_whole"] }\n' + SMALLEST,
        1, "rules", '["parity", "parity_whole"]', "without them", 'rules = ["parity"]',
    ),
    (
        'simulation = { rules = ["take_unlimited", "take_remainder"] }\n' + SMALLEST,
        1, "rules", '["take_unlimited"', "leaves no remainder", 'remove "take_remainder"',
    ),
    (
        'simulation = { rules = ["skip_inside"] }\n' + SMALLEST,
        1, "rules[0]", '"skip_inside"', "goes with the queue model fifo", 'queue_model = "fifo"',
    ),
    (
        'simulation = { rules = ["half_lot", "half_lot"] }\n' + SMALLEST,
        1, "rules[1]", '"half_lot"', "once", "remove",
    ),
    (
        'simulation = { rules = ["parity"], funding = true }\n' + SMALLEST,
        1, "funding", "true", "pay no funding", "funding = false",
    ),
    ("simulation = { order_rate = 0 }\n" + SMALLEST, 1, "order_rate", "0", "1 to 65535", "leave"),
    ("simulation = { batch_max = 2.5 }\n" + SMALLEST, 1, "batch_max", "2.5", "whole", "leave"),
    (FEES + 'kind = "bps"', 4, "fees.kind", '"bps"', "one of", "value"),
    (FEES + 'kind = "flat"\ntaker = 1', 3, "maker", "(missing)", "per fill", "add maker"),
    (FEES + 'kind = "qty"\nmaker = 1', 3, "taker", "(missing)", "per 1.0 of size", "add taker"),
    (FEES + "maker = 2e3", 4, "fees.maker", "2e3", "bps of the notional: -100", "maker = 2.0"),
    (FEES + "traded = 5", 4, "fees.traded", "5", "only with tiers", "[[instrument.fees.tiers]]"),
    (FEES + "tier_days = 5", 4, "tier_days", "5", "only with tiers", "remove tier_days"),
    (FEES + "tiers = [[0, 2, 5]]", 4, "tiers", "[[0, 2", "double", "[[instrument.fees.tiers]]"),
    (FEES + TIER + "maker = 1\ntaker = 1", 4, "volume", "(missing)", "quote", "add volume = 0"),
    (FEES + TIER + "maker = 1\nvolume = 0", 4, "taker", "(missing)", "bps", "add taker = 5.0"),
    (
        FEES + "tiers = [{ volume = 5, maker = 1, taker = 1 }]",
        4, "tiers[0].volume", "5", "0 in the first tier", "volume = 0",
    ),
    (
        FEES + (TIER + "volume = 0\nmaker = 1\ntaker = 1\n") * 2,
        9, "tiers[1].volume", "0", "above the tier before", "in order",
    ),
    (
        FEES + "maker = 1\n" + TIER + "volume = 0\nmaker = 1\ntaker = 1",
        4, "fees.maker", "1", "the tiers say", "remove maker",
    ),
    (
        FEES + "maker = 1\n[instrument.spec]\nmaker_fee_bps = 1",
        6, "spec.maker_fee_bps", "1", "already", "remove maker_fee_bps",
    ),
    (
        SMALLEST + 'grid.edge_bps = 1\nfees = { kind = "flat", maker = 1, taker = 1 }',
        3, "grid.edge_bps", "1", "bps", "remove edge_bps",
    ),
    (
        'mode = "live"\nlive = { environment = "loopback" }\n' + LIVE + "fees = { maker = 1 }\n",
        6, "fees", "{ maker", "asked", "remove fees",
    ),
    ("account = { max_loss = 0 }\n" + SMALLEST, 1, "max_loss", "0", "above 0", "leave"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "key", "found", "rule", "repair"),
    ONE_FAULT,
    ids=[f"{i}-{case[2]}" for i, case in enumerate(ONE_FAULT)],
)
def test_fault_names_place_key_value_rule_and_repair(text, line, key, found, rule, repair):
    fault = only_fault(text)
    assert (fault.file, fault.line) == ("c.toml", line)
    assert fault.column >= 1
    assert key in fault.key
    assert fault.found.startswith(found) or found in fault.found
    assert rule in fault.rule
    assert repair in fault.repair
    assert len(str(fault).splitlines()) <= 4


UNKNOWN = [
    ("[grid]\nasset = 3\n" + SMALLEST, "did you mean [instrument.grid]?"),
    ("[limits]\nmax_loss = 3\n" + SMALLEST, "did you mean [instrument.limits]?"),
    ("[market.fees]\nmaker = 3\n" + SMALLEST, "did you mean [instrument.fees]?"),
    ("[venue]\nrules = ['parity']\n" + SMALLEST, "did you mean [simulation]?"),
    ("[simulation]\nlatency_ms = 3\n" + SMALLEST, "did you mean entry_latency_ms?"),
    ("[simulation]\nfee = 3\n" + SMALLEST, "move it to [[instrument]], as fees"),
    ("[simulation]\nabc = 3\n" + SMALLEST, "remove it, or use one of entry_latency_ms"),
    ("[run]\nminutes = 3\n" + SMALLEST, "did you mean seconds?"),
    (FEES + "maker_bps = 3", "did you mean maker?"),
    (GRID + "minimun_spread = 12", "minimum_spread"),
    (GRID + "kapa = 1", "kappa"),
    (GRID + "orders-per-side = 4", "orders_per_side"),
    (GRID + "post_only = true", "move it to [[instrument]]"),
    (GRID + "seconds = 3", "move it to [run]"),
    (GRID + "spread_bps = 3", "minimum_spread"),
    (GRID + "xyzzy = 3", "use one of asset"),
    (SMALLEST + "exchange = 'bybit-spot'", "venue"),
    ("[simulaton]\n" + SMALLEST, "simulation"),
    ("[[instruments]]\nsymbol = 'BTCUSDT'", "instrument"),
    ("speed = 3\n" + SMALLEST, "move it to [market]"),
]


@pytest.mark.parametrize(("text", "repair"), UNKNOWN)
def test_unknown_key_is_answered_with_the_nearest(text, repair):
    assert repair in only_fault(text).repair


def test_what_stands_under_a_misspelt_name_is_checked_too():
    faults = faults_of("[run]\nsecnds = -4\n[markt]\nseed = -1\n" + SMALLEST)
    assert [fault.line for fault in faults] == [2, 2, 3, 4]


def test_all_faults_of_a_file_come_at_once_and_in_order():
    text = textwrap.dedent(
        """\
        mode = "live"
        [run]
        seconds = nan
        [[instrument]]
        venue = "binance-usdn"
        symbol = "BTC-USDT"
        [instrument.grid]
        minimun_spread = 12
        leverage = "12"
        depths = [13, 4]
        """
    )
    faults = faults_of(text)
    assert [fault.line for fault in faults] == [1, 3, 5, 6, 8, 9, 10]


@pytest.mark.parametrize("count", [1, 5, 12, 13, 40, 300])
def test_a_report_stays_within_forty_lines(count):
    text = SMALLEST + "".join(f"bad{i} = 1\n" for i in range(count))
    with pytest.raises(ConfigError) as caught:
        config.loads(text)
    lines = str(caught.value).splitlines()
    assert len(lines) <= LINES_MAX + 2 <= 40
    assert f"{count} problem" in lines[0]


@pytest.mark.parametrize("name", ["api_key", "secret", "private_key", "wallet", "API_SECRET"])
def test_a_credential_is_refused_and_never_shown(name):
    text = f'{SMALLEST}{name} = "hunter2"'
    fault = only_fault(text)
    assert "hunter2" not in str(fault)
    assert "credentials" in fault.rule
    for text in (
        f"{name} = hunter2 hunter2",
        f"{name}: hunter2",
        f'{{"a": 1, "{name}": "hunter2"}}',
    ):
        assert "hunter2" not in str(only_fault(text))


# -- files ----------------------------------------------------------------------------------------


def refusal(path):
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "repair"),
    [
        ('venue = "bybit"', 'did you mean venue = "bybit-linear" or "bybit-spot"?'),
        ("grid.rate_limit = 1e9", "rate_limit = 10   (the default)"),
        ("grid.rate_limit = 20.0", "rate_limit = 20"),
    ],
)
def test_a_repair_can_be_taken_as_it_stands(line, repair):
    assert only_fault(f"{SMALLEST}{line}\n").repair == repair


def test_a_missing_file_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "config.toml").write_text(SMALLEST)
    assert "did you mean" in refusal(tmp_path / "confg.toml")
    assert "init" in refusal(tmp_path / "elsewhere" / "x.toml")


def test_what_is_no_configuration_is_refused_at_once(tmp_path):
    assert "folder" in refusal(tmp_path)
    (tmp_path / "large").write_bytes(b"#" * (2 << 20))
    assert "at most" in refusal(tmp_path / "large")
    (tmp_path / "tape.gz").write_bytes(b"\x1f\x8b\x08\x00\xff\xfe")
    assert "UTF-8" in refusal(tmp_path / "tape.gz")
    assert "plain file" in refusal("/dev/zero")
    assert "cannot be read" in refusal("a\0b")


# -- spelling -------------------------------------------------------------------------------------


@given(
    st.sampled_from([field.name for field in fields(GridConfig) if len(field.name) > 5]),
    st.data(),
)
def test_two_slips_in_a_key_are_recognised(name, data):
    word = name
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(word) - 1))
        letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
        word = data.draw(
            st.sampled_from(
                [word[:place] + letter + word[place:], word[:place] + letter + word[place + 1 :]]
            )
        )
    names = [field.name for field in fields(GridConfig)]
    found = nearest(word, names)
    assert found
    assert slip_count(word, found, 9) <= slip_count(word, name, 9)


def test_slips_count_swapped_neighbours_once():
    assert slip_count("gird", "grid", 2) == 1
    assert slip_count("", "abc", 2) == 3
    assert nearest("---", ["a"]) == ""
    assert nearest("voi", ["ofi", "voi"]) == "voi"


@given(st.text(max_size=200))
def test_no_text_whatever_breaks_the_loader(text):
    with pytest.raises(ConfigError):
        config.loads(text)


def test_nothing_heavy_is_loaded_for_a_configuration():
    code = (
        "import sys\nfrom mmcore import config\n"
        "try: config.loads('[[instrument]]\\nsymbl = 1')\n"
        "except config.ConfigError as error: print(error)\n"
        "heavy = {'numpy', 'orjson', 'rich', 'mmcore._spec', 'mmcore.instrument'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
