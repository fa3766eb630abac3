"""Windows with counts: fixed ones of the clock, sliding ones, bans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore.box import limits as limits_module
from mmcore.box.limits import Limits

S = 1_000_000_000
T0 = 1_800_000_000 * S + 7 * S  # seven seconds into a minute


def pools(scale=1.0, **more):
    limits = Limits(scale)
    limits.declare("weight", 10, 60 * S, **more)
    return limits


def test_a_fixed_window_is_the_clocks_own():
    limits = pools()
    verdict = limits.take("weight", "ip", 4, T0)
    assert verdict == (True, 4, 6, 10, T0 + 53 * S, 0)
    assert limits.take("weight", "ip", 6, T0 + S).left == 0
    refused = limits.take("weight", "ip", 1, T0 + 2 * S)
    assert (refused.ok, refused.used, refused.reset_ns) == (False, 10, T0 + 53 * S)
    assert limits.take("weight", "other", 1, T0 + 2 * S).ok
    assert limits.take("weight", "ip", 10, T0 + 53 * S).ok


def test_a_sliding_window_frees_what_is_old_enough():
    limits = pools(sliding=True)
    assert limits.take("weight", "a", 6, T0).ok
    assert limits.take("weight", "a", 4, T0 + 30 * S).ok
    refused = limits.take("weight", "a", 7, T0 + 40 * S)
    assert (refused.ok, refused.reset_ns) == (False, T0 + 90 * S)
    assert limits.take("weight", "a", 6, T0 + 60 * S).ok
    assert not limits.take("weight", "a", 1, T0 + 60 * S).ok


def test_looking_takes_nothing_and_tokens_can_be_given_back():
    for sliding in (False, True):
        limits = pools(sliding=sliding)
        limits.take("weight", "a", 10, T0)
        assert not limits.look("weight", "a", T0).ok
        limits.give("weight", "a", 3, T0)
        assert limits.look("weight", "a", T0).used == 7
        assert limits.take("weight", "a", 3, T0).ok


def test_too_many_refusals_are_a_ban():
    limits = pools(strikes=3, ban_ns=100 * S)
    limits.take("weight", "ip", 10, T0)
    verdicts = [limits.take("weight", "ip", 1, T0) for _ in range(3)]
    assert [verdict.banned_until_ns for verdict in verdicts] == [0, 0, T0 + 100 * S]
    assert not limits.take("weight", "ip", 1, T0 + 99 * S).ok
    assert limits.take("weight", "ip", 1, T0 + 100 * S).ok
    limits.ban("weight", "b", T0 + S, T0)
    assert limits.look("weight", "b", T0).banned_until_ns == T0 + S


def test_the_scale_is_on_every_limit():
    assert pools(2.5).limit("weight") == 25
    assert pools(0.001).limit("weight") == 1
    with pytest.raises(ValueError, match="scale"):
        Limits(0.0)


def test_keys_that_say_nothing_are_forgotten(monkeypatch):
    monkeypatch.setattr(limits_module, "KEYS_MAX", 50)
    limits = pools()
    for i in range(200):
        assert limits.take("weight", f"key {i}", 10, T0).ok
    assert len(limits._pools["weight"]._windows) <= 50
    assert not limits.take("weight", "key 199", 1, T0).ok


@given(st.lists(st.tuples(st.integers(0, 30 * S), st.integers(1, 6)), max_size=80), st.booleans())
def test_no_window_ever_holds_more_than_its_limit(steps, sliding):
    limits = pools(sliding=sliding)
    now_ns, taken = T0, []
    for wait_ns, n in steps:
        now_ns += wait_ns
        verdict = limits.take("weight", "a", n, now_ns)
        edge_ns = now_ns - 60 * S if sliding else now_ns // (60 * S) * 60 * S - 1
        used = sum(m for at_ns, m in taken if at_ns > edge_ns)
        assert verdict.ok == (used + n <= 10)
        if verdict.ok:
            taken.append((now_ns, n))
            used += n
        assert (verdict.used, verdict.left) == (used, 10 - used)
