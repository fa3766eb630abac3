"""Log level, destination and the lines of level debug."""

import logging
from pathlib import Path

import pytest

from mmcore.errors import UsageError
from mmcore.logs import (
    book_line,
    close_log,
    fill_line,
    level_named,
    log,
    open_log,
    request_line,
    resting_line,
    skew_line,
)


def test_the_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MMCORE_LOG", raising=False)
    assert level_named(None) == logging.INFO
    monkeypatch.setenv("MMCORE_LOG", "DEBUG")
    assert level_named(None) == logging.DEBUG
    assert level_named("error") == logging.ERROR


@pytest.mark.parametrize("origin", ["--log-level", "MMCORE_LOG"])
def test_an_unknown_level_is_named_with_its_origin(
    monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    monkeypatch.setenv("MMCORE_LOG", "loud")
    with pytest.raises(UsageError, match=f"^{origin}: .*debug, info, warning, error"):
        level_named("loud" if origin == "--log-level" else None)


def test_lines_below_the_level_stay_out_of_the_file(tmp_path: Path) -> None:
    handler = open_log(logging.INFO, tmp_path / "run.log")
    log.debug("hidden")
    log.info("told %d", 7)
    close_log(handler)
    text = (tmp_path / "run.log").read_text()
    assert "told 7" in text and "hidden" not in text


def test_the_worked_example_of_the_document_reads_as_expected() -> None:
    assert skew_line("HYPE", -2.4, -3.0, 0.6, "bps", 0.6) == (
        "HYPE skew: total -2.40 bps (position -3.00 bps [60.0% of the maximum], book +0.60 bps)"
    )
    assert book_line("HYPE", 25.5, 150.25, 120.3, 0.111, 9.8) == (
        "HYPE book: mid 25.5, bid depth 150.25, ask depth 120.3, imbalance +0.111, spread 9.8 bps"
    )
    assert resting_line(1, "10.0", "HYPE", "25.48") == "buy 10.0 HYPE rests at 25.48"
    assert fill_line(-1, "10.0", "HYPE", "25.52", "-10.0") == (
        "sold 10.0 HYPE at 25.52, position -10.0"
    )
    assert request_line("place", -1, "1", "X", "2", "quote") == "place sell 1 X at 2 (quote)"
