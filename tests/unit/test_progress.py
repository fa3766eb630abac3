"""What a run says: few lines, honest numbers, JSON for machines."""

import json
import math

import pytest

from mmcore.events import Status, Suppressed
from mmcore.progress import (
    Fill,
    JsonLines,
    Lines,
    Snapshot,
    Summary,
    TraderView,
    age,
    clock,
    money,
    pnl_parts,
    status_text,
    summary_lines,
    trader_lines,
    why,
)


def trader(**changes: object) -> TraderView:
    facts: dict[str, object] = {
        "name": "BTCUSDT",
        "strategy": "grid",
        "base": "BTC",
        "currency": "USDT",
        "price_decimals": 1,
        "quantity_decimals": 3,
        "status": Status.OK,
        "n_bids": 4,
    }
    return TraderView(**(facts | changes))  # type: ignore[arg-type]  # a table of fields


def snapshot(wall_s: float = 1.0, **changes: object) -> Snapshot:
    facts: dict[str, object] = {
        "title": "run",
        "market": "synthetic busy",
        "wall_s": wall_s,
        "market_s": 10.0,
        "events": 1000,
        "messages": 700,
        "updates": 5000,
        "gaps": 0,
        "problems": 0,
        "events_per_s": 1e3,
        "traders": (trader(),),
    }
    return Snapshot(**(facts | changes))  # type: ignore[arg-type]  # a table of fields


def summary(**changes: object) -> Summary:
    facts: dict[str, object] = {
        "snapshot": snapshot(),
        "exit_code": 0,
        "cause": "the market is over",
        "cancelled": 8,
        "remaining": 0,
        "journal_hash": "ab" * 32,
        "directory": "runs/x",
        "next": "python -m mmcore init",
    }
    return Summary(**(facts | changes))  # type: ignore[arg-type]  # a table of fields


FILL = Fill(1, "BTCUSDT", 1, "0.001", "60000.0", "0.001")


def test_a_run_of_ten_thousand_events_in_100_s_says_at_most_40_lines() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    for i in range(10_000):
        lines.update(snapshot(wall_s=i / 100))
        if i % 3 == 0:
            lines.fills([FILL])
        if i % 500 == 0:
            lines.notice("warning", "BTCUSDT: sequence gap")
    lines.close(summary())
    assert len(said) <= 40
    status = [line for line in said if " of market, " in line]
    assert status[0].lstrip().startswith("0.0s") and 10 <= len(status) <= 25
    assert any("since then" in line and "bought" in line for line in status)


def test_status_lines_are_at_least_a_second_apart() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    for i in range(300):
        lines.update(snapshot(wall_s=i / 100))
    assert len(said) == 3


def test_every_fill_is_told_or_counted() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    lines.fills([FILL] * 20)
    lines.update(snapshot())
    told = sum(line.startswith("fill ") for line in said)
    assert said[-1].endswith(f"since then {20 - told} bought")


def test_repeated_notices_are_folded_with_their_count() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    for _ in range(50):
        lines.notice("warning", "line is damaged")
    lines.close(None)
    assert len(said) == 4 and said[-1] == "note: 50 times: line is damaged"


def test_quiet_lines_keep_warnings_and_the_summary() -> None:
    said: list[str] = []
    lines = Lines(said.append, quiet=True)
    lines.update(snapshot())
    lines.fills([FILL])
    lines.notice("warning", "w")
    lines.close(summary())
    assert said[0] == "warning: w" and said[1].startswith("ended")


def test_json_is_one_object_a_line_without_nan() -> None:
    said: list[str] = []
    lines = JsonLines(said.append)
    lines.update(snapshot())
    lines.update(snapshot(wall_s=1.5))
    lines.fills([FILL, FILL])
    lines.notice("error", "x")
    lines.close(summary())
    facts = [json.loads(line) for line in said]
    assert [f["type"] for f in facts] == ["status", "fill", "fill", "notice", "summary"]
    assert facts[0]["share"] is None and facts[-1]["exit_code"] == 0
    assert {"messages", "updates", "gaps", "events_per_s", "traders", "next"} <= facts[-1].keys()
    assert {"quotes", "requests", "fills", "position", "fees", "pnl_gross", "pnl_net"} <= facts[-1][
        "traders"
    ][0].keys()


@pytest.mark.parametrize("gross", [0, 1, 1_004_999_999, -500_000, 123_456_789_012])
@pytest.mark.parametrize("fees", [0, 499_999, 500_000, 1_500_000, -12_345_678])
@pytest.mark.parametrize("currency", ["USDT", "BTC"])
def test_printed_profit_adds_up_to_the_last_digit(gross: int, fees: int, currency: str) -> None:
    parts = pnl_parts(trader(gross=gross, fees=fees, currency=currency))
    a, b, c = (round(float(part.replace(",", "")) * 1e8) for part in parts)
    assert a - b == c
    assert abs(c - (gross - fees)) <= (500_000 if currency == "USDT" else 0)


def test_the_summary_has_every_figure_and_ends_with_what_to_do() -> None:
    lines = summary_lines(summary())
    text = "\n".join(lines)
    for word in (
        "1,000 events",
        "700 messages",
        "5,000 updates",
        "0 gaps",
        "quotes",
        "requests",
        "fills",
    ):
        assert word in text
    for word in ("gross", "fees", "net", "events/s", "runs/x", "8 cancelled"):
        assert word in text
    assert lines[-1].startswith("next:")
    assert max(map(len, lines)) < 100
    warned = summary_lines(summary(warning="no fills"))
    assert warned[-1] == "warning: no fills" and warned[-2].startswith("next:")


@pytest.mark.parametrize(
    ("name", "currency"), [("bybit-linear:BTCUSDT", "USDT"), ("binance-coinm:BTCUSD_PERP", "BTC")]
)
def test_a_long_outcome_breaks_between_two_figures(name: str, currency: str) -> None:
    view = trader(name=name, currency=currency, gross=-123_456_789_000, fees=1_000, n_fills=1_234)
    lines = trader_lines(view)
    assert len(lines) > 1 and max(map(len, lines)) <= 80
    assert lines[0].startswith(f"{name} +0.000 BTC, 1,234 fills, gross")
    assert all(line.startswith(" " * 13) for line in lines[1:])
    assert lines[-1].endswith(f"{pnl_parts(view)[2]} {currency}")


def test_a_label_does_not_stand_alone() -> None:
    long = f"binance-usdm loopback: not compared with the venue ({'why ' * 20})"
    lines = summary_lines(summary(verified=(long,)))
    assert f"verified     {long}" in lines


def test_traders_are_summed_by_currency() -> None:
    two = (trader(gross=3 * 10**8, fees=10**8, n_fills=2), trader(gross=-(10**8), n_fills=1))
    lines = "\n".join(summary_lines(summary(snapshot=snapshot(traders=two))))
    assert "together     3 fills, net +" in lines
    assert "together" not in "\n".join(summary_lines(summary()))


def test_orders_that_may_remain_are_not_hidden() -> None:
    assert "2 NOT confirmed" in "\n".join(summary_lines(summary(remaining=2)))


def test_words_and_times() -> None:
    assert clock(math.nan) == "-" and clock(59.94) == "59.9s" and clock(61) == "01:01"
    assert clock(3661) == "1:01:01" and age(0.0124) == "12ms" and age(3.0) == "3.0s"
    assert money(-1, "BTC") == "-0.00000001" and money(123_456_000_000, "USDT") == "+1,234.56"
    assert why(Suppressed.NO_BUDGET | Suppressed.NO_RATE) == [
        "position budget used up",
        "rate limit holds it back",
    ]
    assert why(Suppressed(0)) == []
    assert all(why(bit) for bit in Suppressed)


def test_a_pace_is_told_once_it_is_known() -> None:
    early = status_text(snapshot(wall_s=0.01, share=0.001, left_s=9.99))
    assert "0% done, 1,000 events, " in early
    later = status_text(snapshot(wall_s=2.0, share=0.2, left_s=8.0))
    assert "20% done, 8.0s left, 1,000 events (1,000/s), " in later


def test_the_first_line_waits_a_moment_for_quotes() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    silent = (trader(n_bids=0),)
    lines.update(snapshot(wall_s=0.0, traders=silent))
    lines.update(snapshot(wall_s=0.2))
    assert len(said) == 1
    lines = Lines(said.append)
    lines.update(snapshot(wall_s=0.1, traders=silent))
    lines.update(snapshot(wall_s=0.45, traders=silent))
    assert len(said) == 2
