"""Every bad input gets one clear answer: exit code, place, rule and repair; never a traceback."""

import bad_inputs
import pytest

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
