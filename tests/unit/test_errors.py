"""The exception tree: exit statuses, sentences, and survival across process borders."""

import pickle
import re
from pathlib import Path

import pytest

from mmcore import errors
from mmcore.errors import (
    ConfigError,
    DataError,
    ExitCode,
    Interrupted,
    MmcoreError,
    NetworkError,
    NoDataError,
    SafetyStop,
    UsageError,
    VenueError,
)

CLASSES = [
    MmcoreError,
    ConfigError,
    UsageError,
    DataError,
    NoDataError,
    VenueError,
    NetworkError,
    SafetyStop,
    Interrupted,
]


def test_the_drawn_tree_shows_every_class_with_its_exit_status():
    drawn = dict(re.findall(r"(\w+)\s+\[(\d+)\]", errors.__doc__ or ""))
    assert drawn == {cls.__name__: str(int(cls.exit_code)) for cls in CLASSES}


def test_exit_codes_are_the_documented_ones():
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 5, 130]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MmcoreError("it broke"), "it broke"),
        (
            VenueError("order refused", where="bybit", done="kept the slot", todo="wait"),
            "bybit: order refused; kept the slot; wait",
        ),
        (
            DataError("gzip stream is cut off", file=Path("a.gz"), line=7, todo="fetch it again"),
            "a.gz:7: gzip stream is cut off; fetch it again",
        ),
        (DataError("price -1", file="a.npz", record=3), "a.npz, record 3: price -1"),
        (DataError("price -1", line=2), "line 2: price -1"),
        (DataError("price -1", record=2), "record 2: price -1"),
        (NoDataError("the file is empty", file="a.gz"), "a.gz: the file is empty"),
    ],
)
def test_sentence_says_where_what_done_and_what_next(error, sentence):
    assert str(error) == sentence


@pytest.mark.parametrize(
    "error",
    [
        DataError("price -1", file="a.gz", line=2, done="stopped", todo="look"),
        ConfigError("2 faults", where="c.toml", faults=["one", "two"]),
        SafetyStop("loss of 12 USDT", done="cancelled all"),
    ],
)
def test_errors_cross_process_borders_whole(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
