"""Holm's correction against the procedure as he wrote it down."""

import math

from hypothesis import given
from hypothesis import strategies as st

from mmcore.bootstrap import holm

P = st.floats(1e-6, 1.0)


def rejected(p: list[float], level: float) -> set[int]:
    """From the smallest on: as long as p is at most level over how many are left."""
    left = sorted(range(len(p)), key=lambda i: p[i])
    gone: set[int] = set()
    while left and p[left[0]] * len(left) <= level:
        gone.add(left.pop(0))
    return gone


@given(st.lists(P, max_size=12), st.floats(1e-4, 0.5))
def test_what_is_rejected_is_what_the_step_down_rejects(p, level):
    assert {i for i, value in enumerate(holm(p)) if value <= level} == rejected(p, level)


@given(st.lists(P, max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_tests_not_made_are_not_counted(p, places):
    holes = list(p)
    for place in places:
        holes.insert(place, math.nan)
    assert [each for each in holm(holes) if not math.isnan(each)] == holm(p)
    assert [math.isnan(each) for each in holm(holes)] == [math.isnan(each) for each in holes]


@given(st.lists(P, min_size=1, max_size=12))
def test_a_p_value_only_grows_and_by_at_most_their_number(p):
    for before, after in zip(p, holm(p), strict=True):
        assert before <= after <= min(1.0, before * len(p))
