"""The rate limiter's promise: never more than the limit in any window, whatever the clock does."""

from hypothesis import given
from hypothesis import strategies as st

from mmcore._rate import RateLimiter

STEPS = st.lists(
    st.tuples(st.integers(-50, 400), st.integers(1, 4), st.booleans()), min_size=1, max_size=200
)


@given(limit=st.integers(1, 12), burst=st.integers(0, 12), reserve=st.integers(0, 11), steps=STEPS)
def test_never_more_than_the_limit_in_any_window(
    limit: int, burst: int, reserve: int, steps: list[tuple[int, int, bool]]
) -> None:
    window = 1000
    rate = RateLimiter(limit, window, burst=min(burst, limit), reserve=min(reserve, limit - 1))
    now = latest = 10_000
    rate.free(now)  # a first reading: from here on a time before the latest counts as the latest
    sent: list[tuple[int, bool]] = []
    for passed, calls, cancel in steps:
        now += passed
        latest = max(latest, now)
        free = rate.free(now, cancel=cancel)
        wait = rate.wait_ns(now, calls, cancel=cancel)
        assert (wait == 0) == (calls <= free)
        if rate.take(now, calls, cancel=cancel):
            assert calls <= free
            sent += [(latest, cancel)] * calls
        inside = [at for at, _ in sent if at > latest - window]
        assert len(inside) <= limit
    for start, _ in sent:
        assert sum(start <= at < start + window for at, _ in sent) <= limit


@given(limit=st.integers(2, 10), data=st.data())
def test_the_reserve_is_left_for_cancels(limit: int, data: st.DataObject) -> None:
    reserve = data.draw(st.integers(1, limit - 1))
    rate = RateLimiter(limit, 1000, reserve=reserve)
    placed = sum(rate.take(0) for _ in range(limit))
    assert placed == limit - reserve
    assert sum(rate.take(0, cancel=True) for _ in range(limit)) == reserve


@given(limit=st.integers(1, 10), calls=st.integers(1, 12), spent=st.integers(0, 10))
def test_waiting_as_told_is_enough(limit: int, calls: int, spent: int) -> None:
    rate = RateLimiter(limit, 1000)
    for _ in range(min(spent, limit)):
        rate.take(0)
    wait = rate.wait_ns(0, calls)
    assert (wait == -1) == (calls > limit)
    if wait >= 0:
        assert rate.take(wait, calls)


def test_a_clock_that_jumps_back_gives_nothing() -> None:
    rate = RateLimiter(2, 1000)
    assert rate.take(5000)
    assert rate.take(5000)
    assert not rate.take(0)
    assert not rate.take(5999)
    assert rate.take(6000)


def test_the_venue_may_report_more_used() -> None:
    rate = RateLimiter(10, 1000)
    rate.correct(0, 9)
    assert rate.free(0) == 1
    rate.correct(0, 3)  # less than we know of: nothing changes
    assert rate.free(0) == 1
