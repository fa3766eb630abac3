"""Client order ids: one prefix an installation, and never the same epoch twice."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmcore.errors import ConfigError
from mmcore.identity import claim


def test_the_prefix_stays_and_the_epoch_rises(tmp_path: Path) -> None:
    first = claim(tmp_path / "runs", 1_000)
    assert first.epoch == 1_000 and len(first.prefix) == 12
    assert claim(tmp_path / "runs", 1_000).epoch == 1_001
    assert claim(tmp_path / "runs", 500).epoch == 1_002  # a clock that was set back
    later = claim(tmp_path / "runs", 9_000)
    assert (later.prefix, later.epoch) == (first.prefix, 9_000)
    assert json.loads((tmp_path / "runs" / "installation.json").read_text())["epoch"] == 9_000


def test_starts_at_one_moment_have_different_epochs(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: claim(tmp_path, 1_000), range(32)))
    assert len({each.epoch for each in ids}) == 32
    assert len({each.prefix for each in ids}) == 1


@pytest.mark.parametrize("text", ["", "{", '{"prefix": "x", "epoch": 1}', '{"epoch": 1}', "[]"])
def test_a_damaged_file_is_not_replaced_by_a_guess(tmp_path: Path, text: str) -> None:
    (tmp_path / "installation.json").write_text(text)
    with pytest.raises(ConfigError, match="damaged"):
        claim(tmp_path, 1_000)


def test_the_last_epoch_is_the_last(tmp_path: Path) -> None:
    (tmp_path / "installation.json").write_text(
        json.dumps({"prefix": "0" * 12, "epoch": 16**8 - 1})
    )
    with pytest.raises(ConfigError, match="used up"):
        claim(tmp_path, 1_000)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be kept"):
        claim(tmp_path / "file" / "runs", 1_000)
