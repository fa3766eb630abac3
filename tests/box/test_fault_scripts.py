"""Fault scripts as files: what is read, and how a wrong one is refused."""

import pytest

from mmcore.box.faults import Do, Fault
from mmcore.box.script import load, loads
from mmcore.errors import ConfigError


def test_a_script_is_read_as_it_is_written(tmp_path):
    file = tmp_path / "faults.toml"
    file.write_text(
        "# a bad minute\n"
        '[[fault]]\ndo = "freeze"\nwhere = "stream:depth"\nvenue = "binance"\n'
        "at_s = 5\nseconds = 2.5\n\n"
        '[[fault]]\ndo = "reply"\nwhere = "rest:order"\nstatus = 429\ncode = -1003\n'
        "after_n = 100\ncount = 3\nretry_s = 5\n"
    )
    assert load(file) == (
        Fault(do=Do.FREEZE, where="stream:depth", venue="binance", at_s=5, seconds=2.5),
        Fault(
            do=Do.REPLY, where="rest:order", status=429, code=-1003, after_n=100, count=3,
            retry_s=5,
        ),
    )  # fmt: skip
    assert loads("") == ()


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (
            '[[fault]]\ndo = "drip"\nwhere = "stream:depth"\n',
            ":2:1: fault[0].do",
            'write do = "drop"',
        ),
        ('[[fault]]\nwhere = "stream:depth"\n', ":1:1: fault[0].do = (missing)", "write do ="),
        (
            '[[fault]]\ndo = "drop"\nwhere = "stream:depth"\nsecnods = 1\n',
            ":4:1: fault[0].secnods",
            "write seconds",
        ),
        (
            '[[fault]]\ndo = "freeze"\nwhere = "stream:depth"\n',
            "fault[0].seconds",
            "write seconds = 2.0",
        ),
        (
            '[[fault]]\ndo = "cut"\nwhere = "stream:depth"\n',
            ":2:1: fault[0].do",
            "at stream it is one of delay, drop, duplicate, freeze, reorder",
        ),
        ('[[fault]]\ndo = "drop"\nwhere = "stream"\n', ":3:1: fault[0].where", "a name follows"),
        (
            '[[fault]]\ndo = "drop"\nwhere = "stream:depth"\nvenue = "bibit"\n',
            ":4:1: fault[0].venue",
            'write venue = "bybit"',
        ),
        (
            '[[fault]]\ndo = "drop"\nwhere = "stream:depth"\nafter_n = 1.5\n',
            ":4:1: fault[0].after_n",
            "a whole number",
        ),
        (
            '[[fault]]\ndo = "drop"\nwhere = "stream:depth"\nat_s = nan\n',
            ":4:1: fault[0].at_s",
            "a number",
        ),
        (
            '[[fault]]\ndo = "drop"\nwhere = "stream:depth"\ncount = true\n',
            ":4:1: fault[0].count",
            "a whole number",
        ),
        (
            '[[fault]]\ndo = "drop"\nwhere = "stream:dpeth"\n',
            ":3:1: fault[0].where",
            'write where = "stream:depth"',
        ),
        (
            '[[fault]]\ndo = "cut"\nwhere = "socket:user"\n',
            ":3:1: fault[0].where",
            "socket names are public, market, private, trade",
        ),
        ('[fault]\ndo = "drop"\n', ":1:1: fault", "two brackets"),
        ("fault = [1]\n", ":1:", "a table of keys"),
        ("seed = 1\n", ":1:1: seed", "write [[fault]]"),
        ('[[fault]]\ndo = "drop\n', ":2:", "TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_its_repair(text, place, said):
    with pytest.raises(ConfigError) as refused:
        loads(text, file="f.toml")
    assert place in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ['[[fault]]\ndo = "drip"\nwher = 1\nat_s = "x"\n'])
def test_every_mistake_is_named_at_once(text):
    with pytest.raises(ConfigError, match="4 problems") as refused:
        loads(text, file="f.toml")
    assert [fault.line for fault in refused.value.faults] == [1, 2, 3, 4]


def test_files_that_are_no_script(tmp_path):
    for name, write in (
        ("missing.toml", lambda path: None),
        ("folder", lambda path: path.mkdir()),
        ("binary", lambda path: path.write_bytes(b"\xff\xfe\x00")),
        ("huge", lambda path: path.write_bytes(b"#" * (2 << 20))),
    ):
        write(tmp_path / name)
        with pytest.raises(ConfigError, match=name):
            load(tmp_path / name)
