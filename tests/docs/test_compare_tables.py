"""The tables of docs/compare.md stand where the script that makes them puts them."""

import importlib.util

import pytest


@pytest.fixture(scope="module")
def script(root):
    path = root / "bench" / "compare_examples.py"
    spec = importlib.util.spec_from_file_location("compare_examples", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_every_pair_between_its_marks(root, script):
    page = (root / "docs" / "compare.md").read_text("utf-8")
    assert page.count(script.BEGIN) == page.count(script.END) == 1
    made = page.partition(script.BEGIN)[2].partition(script.END)[0]
    titles = [line[4:] for line in made.splitlines() if line.startswith("### ")]
    assert titles == [title for title, *_ in script.PAIRS]
    assert made.count(script.HEAD) == len(titles)
    for label, *_ in script.TAPES:
        assert made.count(f"\n| {label} | ") == len(titles)
    assert script.put_into(page, made[1:-1]) == page
