"""Where keys stand, by a scanner that follows every form of TOML; and where paths lead."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore.config import load
from mmcore.places import places

DOCUMENT = """\
mode = "paper"  # a comment with [brackets] and = signs
[market]
  files = ["a, b]", 'c#d', # comment
    "e",
  ]
"quoted key" . sub = 1

[[instrument]]
symbol = "BTC"
grid = { kappa = 0.5, depths = [1, 2] }
[instrument.limits]
max_orders = 8
[[instrument]]
text = \"\"\"
two = lines
\\\"\"\" and more\"\"\"\"
[instrument.grid.weights]
ofi = nan
"""


@pytest.mark.parametrize(
    ("path", "line", "column", "text"),
    [
        (("mode",), 1, 1, '"paper"'),
        (("market",), 2, 1, ""),
        (("market", "files", 0), 3, 12, '"a, b]"'),
        (("market", "files", 1), 3, 21, "'c#d'"),
        (("market", "files", 2), 4, 5, '"e"'),
        (("market", "quoted key"), 6, 1, ""),
        (("market", "quoted key", "sub"), 6, 1, "1"),
        (("instrument",), 8, 1, ""),
        (("instrument", 0, "symbol"), 9, 1, '"BTC"'),
        (("instrument", 0, "grid", "kappa"), 10, 10, "0.5"),
        (("instrument", 0, "grid", "depths", 1), 10, 36, "2"),
        (("instrument", 0, "limits", "max_orders"), 12, 1, "8"),
        (("instrument", 1), 13, 1, ""),
        (("instrument", 1, "grid"), 17, 1, ""),
        (("instrument", 1, "grid", "weights", "ofi"), 18, 1, "nan"),
    ],
)
def test_place_of_key(path, line, column, text):
    assert places(DOCUMENT)[path] == (line, column, text)


def _paths(value, path=()):
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _paths(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, (*path, index))


def test_every_path_of_the_parsed_document_has_a_place():
    assert set(_paths(tomllib.loads(DOCUMENT))) == set(places(DOCUMENT))


_SCALARS = st.sampled_from(
    ["1", "-2.5e3", "nan", "true", '"a"', '"a\\"]}#,"', "'l#,}'", "1979-05-27 07:32:00", '""', "''"]
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda v: "[ " + ", # c\n".join([*v, ""]) + "]")
        | st.lists(inner, max_size=3).map(
            lambda v: "{" + ", ".join(f"k{i}.x = {x}" for i, x in enumerate(v)) + "}"
        )
    ),
    max_leaves=6,
)
_HEADERS = st.sampled_from(["[t{}]", "[t{}.u]", "[[a]]", "[ t{} . 'q.r' ]", "[[a]] # {}\n[a.b]"])


@given(st.lists(st.tuples(_HEADERS, st.lists(_VALUES, max_size=3)), max_size=4), st.booleans())
def test_generated_documents_are_followed(blocks, windows):
    lines = []
    for index, (header, values) in enumerate(blocks):
        lines.append(header.format(index))
        lines += [f"k{i} \t= {value}  # end" for i, value in enumerate(values)]
    text = ("\r\n" if windows else "\n").join(lines)
    text = text.replace("\r\n", "\n").replace("\n", "\r\n" if windows else "\n")
    found = places(text)
    assert set(_paths(tomllib.loads(text))) == set(found)
    for path, place in found.items():
        line = text.split("\n")[place.line - 1]
        assert place.column <= len(line) + 1
        if place.text and isinstance(path[-1], str):
            assert str(path[-1])[0] in line[place.column - 1 :]


def test_paths_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = tmp_path / "c.toml"
    path.write_text(
        '[market]\nsource = "tape"\nfiles = ["~/a.mmt", "b.mmt", "~nobody-has-this-name/c.mmt"]\n'
        '[run]\ndirectory = "~/runs"\n[[instrument]]\nsymbol = "BTCUSDT"\n'
    )
    loaded = load(path)
    assert loaded.run.directory == str(tmp_path / "home" / "runs")
    assert loaded.market.files == (
        str(tmp_path / "home" / "a.mmt"),
        str(tmp_path / "b.mmt"),
        str(tmp_path / "~nobody-has-this-name" / "c.mmt"),
    )
