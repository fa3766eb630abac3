"""The picture is right at 80x24 and hides nothing."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from mmcore.events import Status, Suppressed
from mmcore.progress import (
    Fill,
    Rung,
    Snapshot,
    Summary,
    TraderView,
    VenueView,
    status_text,
)
from mmcore.screen import Screen, pick, picture


def trader(symbol: str = "BTCUSDT") -> TraderView:
    return TraderView(
        name=symbol,
        strategy="grid",
        base="BTC",
        currency="USDT",
        price_decimals=1,
        quantity_decimals=3,
        status=Status.OK,
        bids=tuple(Rung(60000.0 - i / 10, 1.5, 0.01 if i == 20 else 0.0) for i in range(30)),
        asks=tuple(Rung(60000.1 + i / 10, 2.5, 0.02 if i == 4 else 0.0) for i in range(30)),
        position=0.123,
        position_max=0.5,
        gross=1_234_000_000,
        fees=-12_000_000,
        skew=-2.4,
        skew_position=-3.0,
        skew_book=0.6,
        skew_unit="bps",
        why_ask=Suppressed.NO_BUDGET | Suppressed.NO_MIN_QTY,
        n_bids=4,
        requests_per_s=3.2,
        rate_limit=10,
        age_s=0.012,
    )


def snapshot(count: int = 1, **changes: object) -> Snapshot:
    shot = Snapshot(
        "demo", "synthetic busy", 1.0, 200.0, 12_345, 9_876, 54_321, 0, 0, 1234.5, 0.37, 12.3,
        tuple(trader(f"COIN{i}USDT") for i in range(count)),
    )  # fmt: skip
    return replace(shot, **changes)  # type: ignore[arg-type]  # a table of fields


def text(shot: Snapshot, width: int = 80, height: int = 24) -> list[str]:
    return [line.plain for line in picture(shot, [("warning", "gap")], width, height)]


@pytest.mark.parametrize("count", [0, 1, 2, 6, 30])
@pytest.mark.parametrize("size", [(80, 24), (120, 50), (40, 12)])
def test_a_picture_fills_the_terminal_exactly(count: int, size: tuple[int, int]) -> None:
    lines = text(snapshot(count), *size)
    assert len(lines) == size[1]
    assert max(map(len, lines)) <= size[0]


@pytest.mark.parametrize("count", [1, 6])
def test_everything_asked_for_is_on_80x24(count: int) -> None:
    lines = text(snapshot(count))
    page = "\n".join(lines)
    for part in ("+0.123 BTC (25% of max)", "+12.34", "-0.12", "+12.46 USDT", "-2.40 bps"):
        assert part in page
    for part in ("-3.00 bps", "+0.60 bps", "3.2 of 10/s", "12ms", "37%, 12.3s left", "1,234/s"):
        assert part in page
    assert "no asks  position budget used up" in page and "4 orders" in page
    assert any("0.010" in line and "59998.0" in line for line in lines)  # own bid, far out
    assert any("0.020" in line and "60000.5" in line for line in lines)
    assert "gap" in page and "Ctrl-C" in lines[-1]


def test_prices_fall_down_the_ladder() -> None:
    prices = [
        float(line[10:22])
        for line in text(snapshot())[3:20]
        if line[10:22].strip(" -").replace(".", "").isdigit()
    ]
    assert len(prices) > 10 and prices == sorted(prices, reverse=True)


def test_many_instruments_have_a_line_each_or_are_counted() -> None:
    page = "\n".join(text(snapshot(6)))
    assert all(f"COIN{i}USDT" in page for i in range(6))
    assert "and 25 more in the summary" in "\n".join(text(snapshot(30)))


def test_the_ladder_keeps_the_touch_and_own_prices() -> None:
    rungs = [Rung(float(-i), 1.0, 1.0 if i in (7, 9) else 0.0) for i in range(10)]
    assert [-rung.price for rung in pick(rungs, 5)] == [0, 1, 2, 7, 9]
    assert pick([], 5) == []


@pytest.mark.parametrize("status", list(Status))
def test_every_state_has_words(status: Status) -> None:
    shot = snapshot(1, traders=(replace(trader(), status=status, n_bids=0),))
    page = "\n".join(text(shot))
    assert "state" in page and (status == Status.OK or "see state" in page)


def test_a_book_without_a_side_says_so() -> None:
    shot = snapshot(1, traders=(replace(trader(), asks=(), status=Status.ONE_SIDED),))
    assert "book has one side only" in "\n".join(text(shot))


def test_the_screen_gives_back_the_terminal_with_notices_and_summary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")  # a dumb terminal has no second screen to give back
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24)
    screen = Screen(console)
    screen.notice("warning", "line 7 is damaged")
    screen.fills([Fill(1, "BTCUSDT", 1, "0.001", "60000.0", "0.001")] * 3)
    screen.update(snapshot())
    screen.update(snapshot())
    screen.close(
        Summary(snapshot(), 0, "the market is over", 8, 0, "ab" * 32, "runs/x", "init", "no fills")
    )
    said = out.getvalue()
    assert said.count("\x1b[?1049h") == said.count("\x1b[?1049l") == 1
    after = said.split("\x1b[?1049l")[1]
    assert "warning: line 7 is damaged" in after and "8 cancelled" in after
    assert after.rstrip().endswith("warning: no fills\x1b[0m")
    assert "(and 2 more)" in said


VENUES = (
    VenueView("binance-usdm testnet", 4, 4, budget_left=0.93, clock_offset_ms=-1.25),
    VenueView("bybit-linear testnet", 2, 3, "private down: no answer", 0.5, 2, 7, 0.4),
    VenueView("hyperliquid testnet", 2, 2),
)


@pytest.mark.parametrize("count", [1, 4])
def test_venues_are_on_80x24_the_troubled_ones_first(count: int) -> None:
    lines = text(snapshot(count, venues=VENUES))
    assert len(lines) == 24 and max(map(len, lines)) <= 80
    assert lines[1].startswith("bybit-linear testnet  links 2/3  budget 50%  unknown 2")
    assert lines[2].startswith("binance-usdm testnet  links 4/4  budget 93%  unknown 0  clock -1.2")
    page = "\n".join(lines)
    for part in ("position", "net", "requests", "Ctrl-C cancels"):
        assert part in page


def test_a_line_names_a_venue_only_in_trouble() -> None:
    words = status_text(snapshot(1, venues=VENUES))
    assert "bybit-linear testnet: links 2 of 3 up (private down: no answer)" in words
    assert "2 orders unknown" in words and "hyperliquid" not in words
