"""Every bad input gets one clear answer: exit code, place, rule and repair; never a traceback."""

import importlib.util
import sys
from pathlib import Path

import pytest

_FILE = Path(__file__).with_name("bad_inputs.py")
_SPEC = importlib.util.spec_from_file_location("bad_inputs", _FILE)
bad_inputs = importlib.util.module_from_spec(_SPEC)
sys.modules["bad_inputs"] = bad_inputs
_SPEC.loader.exec_module(bad_inputs)

CASES = bad_inputs.cases()


def test_there_are_at_least_two_hundred():
    assert len(CASES) >= 200


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input_gets_a_clear_answer(case, tmp_path):
    assert bad_inputs.try_here(case, tmp_path) == []


@pytest.mark.parametrize("case", CASES[:: len(CASES) // 8], ids=lambda case: case.name)
def test_bad_input_as_a_process(case, tmp_path):
    assert bad_inputs.try_process(case, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_bad_input_as_a_process(case, tmp_path):
    assert bad_inputs.try_process(case, tmp_path) == []
