"""Every example loads, and `check` finds nothing in it that cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmcore.check import check
from mmcore.config import load
from mmcore.errors import ExitCode, UsageError
from mmcore.session import run_config

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))
ALWAYS = {
    "binance_loopback", "binance_paper", "binance_testnet", "both_loopback", "bybit_loopback",
    "bybit_paper", "bybit_testnet", "hyperliquid_loopback", "hyperliquid_testnet",
}  # fmt: skip


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads(path: Path) -> None:
    config = load(path)
    name = path.stem
    if name.endswith("_loopback"):
        assert (config.mode, config.environment) == ("live", "loopback")
        assert config.run.seconds == 120
    elif name.endswith("_testnet"):
        assert (config.mode, config.environment) == ("live", "testnet")
        assert config.account.max_loss is not None
    else:
        assert config.mode == "paper"


@pytest.mark.parametrize(
    "path", [path for path in EXAMPLES if path.stem in ALWAYS], ids=lambda path: path.stem
)
def test_check_finds_no_fault_in_an_example(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MMCORE_BYBIT_KEY", "MMCORE_BINANCE_KEY", "MMCORE_HYPERLIQUID_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    report = check(load(path))
    assert report.exit_code == ExitCode.OK
    assert report.next.endswith("--live") == path.stem.endswith("_testnet")
    about = [finding for finding in report.findings if finding.about == "venue"]
    assert about
    if path.stem.endswith("_testnet"):
        assert any("is not set" in finding.text for finding in about)


def test_the_examples_are_all_there() -> None:
    assert {path.stem for path in EXAMPLES} >= ALWAYS


@pytest.mark.parametrize("live", [True, False])
def test_a_test_net_needs_two_acts(live: bool) -> None:
    name = "bybit_paper" if live else "bybit_testnet"
    (path,) = [path for path in EXAMPLES if path.stem == name]
    with pytest.raises(UsageError, match="--live"):
        run_config(load(path), live=live)
