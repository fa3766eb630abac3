"""Between an event and its requests nothing is allocated: counted, not believed.

A preloaded library counts every allocation of a process; PYTHONMALLOC=malloc makes Python's own
objects pass through it too.  The count of a call over a whole market must equal that of a call over
no event, and the same loop with one allocation per event must show them all.
"""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import mmcore

pytest.importorskip("Cython")
if not sys.platform.startswith("linux"):
    pytest.skip("the counter preloads itself by glibc's rules", allow_module_level=True)

HERE = Path(__file__).parent
STRATEGIES = ("grid", "two_sided")
CC = os.environ.get("CC", "cc")


def run(*command: str | Path, **environment: str) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def counts(tmp_path_factory) -> dict[str, dict[str, int]]:
    folder = tmp_path_factory.mktemp("alloc")
    counter, source = folder / "counter.so", folder / "steps.c"
    module = folder / f"steps{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = sysconfig.get_path("include")
    shared = ("-shared", "-fPIC", "-O2")
    run(CC, *shared, "-o", counter, HERE / "counter.c")
    declarations = f"-I{Path(mmcore.__path__[0]).parent}"
    run(sys.executable, "-m", "cython", "-3", declarations, "-o", source, HERE / "steps.pyx")
    run(CC, *shared, "-w", f"-I{include}", "-o", module, source)
    measured = run(
        *(sys.executable, HERE / "measure.py", counter, folder),
        LD_PRELOAD=str(counter),
        PYTHONMALLOC="malloc",
    )
    return json.loads(measured)


def test_the_book_takes_no_memory(counts):
    book = counts["book"]
    assert book["messages"] > 1000
    assert book["all"] == book["half"]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("road", ["", ", simulated venue"])
def test_an_event_becomes_requests_without_taking_memory(counts, strategy, road):
    engine = counts[strategy + road]
    assert engine["messages"] > 1000
    assert engine["requests"] > 100
    assert engine["filled"] > 10
    assert engine["all"] == engine["none"]


def test_orders_with_ids_take_no_memory(counts):
    line = counts["two_sided, orders with ids"]
    assert line["messages"] > 1000
    assert line["requests"] > 100
    assert line["filled"] > 10
    assert line["all"] == line["none"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_allocation_in_an_event_would_be_seen(counts, strategy):
    engine = counts[strategy]
    assert engine["leak"] - engine["none"] >= engine["messages"]
