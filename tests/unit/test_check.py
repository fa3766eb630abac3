"""``check`` says what a configuration means; ``init`` writes one that passes it unedited."""

import json

import pytest

from mmcore import config
from mmcore.check import check
from mmcore.commands import execute
from mmcore.errors import ConfigError
from mmcore.symbols import SYMBOLS
from mmcore.template import text_for

INSTRUMENTS = [(venue, symbol) for venue, symbols in SYMBOLS.items() for symbol in symbols]
SMALL = '[[instrument]]\nsymbol = "BTCUSDT"\n'


def report_of(text):
    return check(config.loads(text, "c.toml"))


def texts(report, status):
    return [f"{item.text}: {item.repair}" for item in report.findings if item.status == status]


@pytest.mark.parametrize(("venue", "symbol"), INSTRUMENTS)
def test_the_template_passes_unedited_for_every_known_instrument(venue, symbol):
    report = report_of(text_for(venue, symbol))
    assert report.exit_code == 0, report.text()
    assert len(next(iter(report.ladders.values()))) == 8


def test_a_report_has_figures_for_every_promise():
    text = report_of(SMALL).text()
    for part in (
        "market spreads",
        "venue's minimum",
        "break-even spread 4 bps",
        "if every bid fills",
        "max_position_usd 11160",
        "rate_limit is 10",
        "next: python -m mmcore run c.toml",
    ):
        assert part in text


def test_distances_are_those_of_the_ladder():
    report = report_of(SMALL + "[instrument.grid]\nminimum_spread = 20\nfinal_order_distance = 2")
    orders = next(iter(report.ladders.values()))
    assert [round(order.bps) for order in orders] == [10, 23, 37, 50] * 2
    assert all(order.spreads > 1 for order in orders)


def test_what_may_be_lost_is_said():
    text = report_of(SMALL + "[instrument.limits]\nmax_loss = 200\nmax_drawdown = 90\n").text()
    assert "at a loss of 200 USDT or a fall from its high of 90 USDT" in text
    assert "stops for good" not in report_of(SMALL).text()


def test_requests_are_not_promised_away():
    """Twenty seconds without a move of the price do not mean a run without requests."""
    text = report_of(SMALL).text()
    assert "for price alone this market asks for none in this time, fills come on top" in text
    assert "spread 1 tick =" in text


def test_an_order_below_the_minimum_is_a_fault_with_a_repair_that_works():
    text = SMALL + "[instrument.grid]\nasset = {}\n"
    report = report_of(text.format(400))
    assert report.exit_code == 2
    faults = texts(report, "fault")
    assert any("level 0 ask" in fault and "< venue minimum 100 USDT" in fault for fault in faults)
    needed = max(int(f.split("asset to >= ")[1].split(",")[0]) for f in faults)
    assert report_of(text.format(needed)).exit_code == 0
    assert report_of(text.format(int(needed * 0.97))).exit_code == 2


def test_a_small_target_is_a_fault_with_a_repair_that_works():
    text = (
        SMALL + 'strategy = "two_sided"\n[instrument.two_sided]\ntarget_liquidity = {}\n'
        "max_absolute_position_size = 1\n"
    )
    report = report_of(text.format(0.001))
    faults = texts(report, "fault")
    needed = max(float(fault.split(">= ")[1]) for fault in faults)
    assert report_of(text.format(needed)).exit_code == 0


def test_a_spread_below_two_fees_is_noted():
    report = report_of(SMALL + "[instrument.grid]\nminimum_spread = 3")
    assert report.exit_code == 0
    assert any("raise minimum_spread above 4" in note for note in texts(report, "note"))


def test_limits_that_hold_orders_back_are_noted():
    report = report_of(
        SMALL + "[instrument.limits]\nmax_position = 0.01\nmax_open_notional = 500\n"
        "max_order_size = 0.005\n"
    )
    notes = " ".join(texts(report, "note"))
    assert all(name in notes for name in ("max_position", "max_open_notional", "max_order_size"))


def test_a_rate_limit_too_low_for_the_market_is_noted():
    report = report_of(
        '[[instrument]]\nvenue = "binance-spot"\nsymbol = "BTCUSDT"\n[instrument.grid]\n'
        "rate_limit = 2\nminimum_spread = 0.5\nmaximum_spread = 0.5\nrequote_spreads = 0.1\n"
    )
    assert any("quotes will lag: raise rate_limit" in note for note in texts(report, "note"))


def test_the_account_limit_is_set_against_all_instruments():
    report = report_of(SMALL + "[account]\nmax_position_usd = 1000\n")
    assert any("account.max_position_usd 1000" in note for note in texts(report, "note"))


def test_several_instruments_each_have_their_ladder():
    report = report_of(SMALL + '[[instrument]]\nvenue = "binance-usdm"\nsymbol = "ETHUSDT"\n')
    assert len(report.ladders) == 2


def test_check_for_machines(tmp_path, capsys):
    path = tmp_path / "c.toml"
    path.write_text(SMALL)
    assert execute(["check", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] and answer["next"] and answer["findings"] and answer["ladders"]


@pytest.mark.parametrize(
    ("venue", "window_s", "words"),
    [
        ("binance-usdm", 30, "30 s after mmcore falls silent, the venue cancels every order"),
        ("binance-spot", 20, "Binance spot has no such switch"),
        ("bybit-linear", 0, "its orders stay at the venue"),
    ],
)
def test_what_becomes_of_orders_when_mmcore_dies(venue, window_s, words):
    text = (
        'mode = "live"\n[live]\nenvironment = "loopback"\n'
        f"dead_man_seconds = {window_s}\n[[instrument]]\n"
        f'venue = "{venue}"\nsymbol = "BTCUSDT"\n'
    )
    assert words in report_of(text).text()


def test_colours_are_for_terminals_only():
    report = report_of(SMALL)
    assert "\033[32m" in report.text(color=True)
    assert "\033" not in report.text()


# -- init -----------------------------------------------------------------------------------------


def test_init_writes_a_commented_file_that_loads(tmp_path, capsys):
    path = tmp_path / "config.toml"
    assert execute(["init", str(path)]) == 0
    assert "next: python -m mmcore check" in capsys.readouterr().out
    lines = path.read_text().splitlines()
    assert len(lines) <= 45
    keys = [line for line in lines if "=" in line and not line.startswith("#")]
    assert all("#" in line for line in keys), "every key has its unit or its choices beside it"
    config.load(path)


def test_init_never_replaces_a_file_by_itself(tmp_path, capsys):
    path = tmp_path / "config.toml"
    path.write_text("mine")
    assert execute(["init", str(path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert execute(["init", str(path), "--force"]) == 0
    assert path.read_text() != "mine"


def test_init_knows_symbols_in_any_common_spelling(tmp_path):
    path = tmp_path / "c.toml"
    assert execute(["init", str(path), "--venue", "bybit-linear", "--symbol", "sol/usdt"]) == 0
    assert config.load(path).instruments[0].symbol == "SOLUSDT"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--venue", "bybit-liner"], "did you mean --venue bybit-linear?"),
        (["--venue", "kraken"], "one of binance-usdm"),
        (["--symbol", "BTCUSTD"], "did you mean --symbol BTCUSDT?"),
        (["--venue", "hyperliquid", "--symbol", "ZZZZ"], "mmcore knows BTC"),
    ],
)
def test_init_answers_a_wrong_name_with_the_nearest(tmp_path, capsys, arguments, hint):
    assert execute(["init", str(tmp_path / "c.toml"), *arguments]) == 2
    assert hint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_file_at_the_root_is_the_template(root):
    path = root / "config.toml"
    if not path.is_file():
        pytest.skip("only the tests are here")
    assert path.read_text("utf-8") == text_for()


@pytest.mark.parametrize("limit", ["max_position", "max_order_size"])
def test_what_a_run_would_refuse_at_its_start_is_refused(limit):
    with pytest.raises(ConfigError, match=rf"limits\.{limit} = 1e-09 is below one lot"):
        report_of(f"{SMALL}[instrument.limits]\n{limit} = 1e-9\n")


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path):
    (tmp_path / "file").write_text("")
    for name, ok in (("new/runs", True), ("file", False), ("file/runs", False)):
        report = report_of(f'run = {{ directory = "{(tmp_path / name).as_posix()}" }}\n{SMALL}')
        assert (report.exit_code == 0) == ok
        assert any("is no folder" in fault for fault in texts(report, "fault")) != ok


def test_a_fault_script_is_read(tmp_path):
    live = 'mode = "live"\n[live]\nenvironment = "loopback"\nfaults = "{}"\n'
    trade = '[[instrument]]\nvenue = "bybit-linear"\nsymbol = "BTCUSDT"\n'
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\ndo = "drop"\nwhere = "stream:depth"\n')
    report = report_of(live.format(path.as_posix()) + trade)
    assert any("1 fault in" in ok for ok in texts(report, "ok"))
    path.write_text('[[fault]]\ndo = "dorp"\nwhere = "stream:depth"\n')
    with pytest.raises(ConfigError, match=r"faults\.toml:2:1: fault\[0\]\.do"):
        report_of(live.format(path.as_posix()) + trade)
