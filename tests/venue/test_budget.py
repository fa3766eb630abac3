"""Budgets: never more than a pool allows in any window, and cancels first; calls and codes."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore.adapters._budget import Budget, Pool
from mmcore.adapters._call import Codes, Meaning, NotSent, OutcomeUnknown, Pending, by_codes, call
from mmcore.box.server import Box
from mmcore.counterpart import BoxCounterpart
from mmcore.events import RejectCode
from mmcore.gateway import Action, VenueFault
from mmcore.venue import decoder

SECOND = 1_000_000_000


class Clock:
    now = SECOND

    def __call__(self) -> int:
        return self.now


STEPS = st.lists(
    st.tuples(
        st.integers(0, SECOND // 2),  # passes before
        st.integers(1, 700),  # cost
        st.booleans(),  # a cancel
        st.integers(0, 9),  # 0: the venue reports, 1: it blocks
    ),
    max_size=120,
)


@given(STEPS, st.sampled_from([(10, 1), (300, 10), (6000, 60), (50_000, 5)]), st.integers(0, 5))
def test_never_more_than_the_limit_in_any_window(
    steps: list[tuple[int, int, bool, int]], pool: tuple[int, int], reserve: int
):
    limit, window_s = pool
    clock = Clock()
    budget = Budget({"a": Pool(limit, window_s, reserve=reserve), "b": Pool(10**6, 1)}, clock)
    taken: list[tuple[int, int]] = []
    blocked = 0
    for passes, cost, cancel, event in steps:
        clock.now += passes
        if event == 0:
            budget.report("a", left=max(limit - cost, 0))
        elif event == 1:
            budget.block("a", 0.1)
            blocked = clock.now + SECOND // 10
        wait = budget.take({"a": cost, "b": 1}, cancel)
        assert wait >= 0.0
        if wait == 0.0:
            assert clock.now >= blocked
            taken.append((clock.now, cost))
        inside = sum(c for at, c in taken if at > clock.now - window_s * SECOND)
        assert inside <= limit
        assert 0.0 <= budget.left <= 1.0


@given(st.integers(1, 40), st.integers(2, 40))
def test_after_the_wait_it_goes(cost: int, limit: int):
    clock = Clock()
    budget = Budget({"a": Pool(limit, 1.0)}, clock)
    for _ in range(5):
        wait = budget.take({"a": min(cost, limit)})
        clock.now += round(wait * SECOND) + (2 if wait else 0)
        if wait:
            assert budget.take({"a": min(cost, limit)}) == 0.0


def test_a_reserve_is_for_cancels_alone():
    budget = Budget({"a": Pool(10, 1.0, reserve=3)}, Clock())
    assert budget.take({"a": 7}) == 0.0
    assert budget.take({"a": 1}) > 0.0
    assert budget.take({"a": 3}, cancel=True) == 0.0
    assert budget.free("a", cancel=True) == 0


def test_all_pools_or_none():
    budget = Budget({"a": Pool(10, 1.0), "b": Pool(1, 1.0)}, Clock())
    assert budget.take({"a": 1, "b": 1}) == 0.0
    assert budget.take({"a": 1, "b": 1}) > 0.0
    assert budget.free("a") == 9


def test_what_no_window_holds_waits_for_ever():
    assert Budget({"a": Pool(10, 1.0)}, Clock()).take({"a": 11}) == 3600.0


def test_the_accounts_own_limit_is_learnt_and_nothing_is_forgotten():
    clock = Clock()
    budget = Budget({"a": Pool(10, 1.0)}, clock)
    assert budget.take({"a": 8}) == 0.0
    budget.report("a", left=12, limit=20)
    assert budget.free("a", cancel=True) == 12
    budget.report("a", left=0, limit=20, wait_s=0.5)
    assert budget.take({"a": 1}, cancel=True) == pytest.approx(0.5, abs=0.6)
    clock.now += 2 * SECOND
    assert budget.free("a") == 20


def test_a_block_can_spare_cancels():
    clock = Clock()
    budget = Budget({"a": Pool(10, 1.0), "b": Pool(10, 1.0)}, clock)
    budget.block("a", 5.0, cancels=False)
    assert budget.take({"a": 1}) == 5.0
    assert budget.take({"a": 1}, cancel=True) == 0.0
    assert budget.take({"b": 1}) == 0.0
    budget.block(None, 1.0)
    assert budget.take({"b": 1}, cancel=True) == 1.0
    assert budget.left == 0.0


def test_while_a_cancel_waits_nothing_else_goes():
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        budget = Budget({"a": Pool(2, 0.1), "b": Pool(9, 1.0)}, lambda: round(loop.time() * SECOND))
        assert budget.take({"a": 2}) == 0.0
        order: list[str] = []

        async def spend(name: str, cancel: bool) -> None:
            await budget.acquire({"a": 2}, cancel)
            order.append(name)

        waiting = [asyncio.ensure_future(spend("place", False)) for _ in range(2)]
        await asyncio.sleep(0.01)
        waiting.append(asyncio.ensure_future(spend("cancel", True)))
        await asyncio.gather(*waiting)
        return order

    assert asyncio.run(main())[0] == "cancel"


# --- calls ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (aiohttp.ServerDisconnectedError(), OutcomeUnknown),
        (aiohttp.ClientOSError(104, "reset"), OutcomeUnknown),
        (aiohttp.ClientPayloadError(), OutcomeUnknown),
        (TimeoutError(), OutcomeUnknown),
        (ConnectionResetError(), OutcomeUnknown),
        (ValueError("ours"), ValueError),
    ],
)
def test_what_may_have_happened_is_unknown(error: Exception, becomes: type[Exception]):
    async def fail() -> None:
        raise error

    with pytest.raises(becomes):
        asyncio.run(call(fail(), deadline_s=1.0, what="a call", where="here"))


def test_no_connection_means_that_nothing_happened():
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            await call(
                session.get("http://127.0.0.1:9/?signature=secret"),
                deadline_s=2.0, what="a call", where="here",
            )  # fmt: skip

    with pytest.raises(NotSent) as caught:
        asyncio.run(main())
    assert "secret" not in str(caught.value)


def test_a_deadline_holds():
    with pytest.raises(OutcomeUnknown, match=r"no answer within 0\.05 s"):
        asyncio.run(call(asyncio.sleep(5), deadline_s=0.05, what="a call", where="here"))


def test_each_request_is_answered_once():
    async def main() -> list[object]:
        told: list[object] = []
        pending = Pending("here", 0.05)
        for key in "abc":
            pending.add(key, told.append, told.append)
        assert pending.answer("a", 1)
        assert not pending.answer("a", 2)
        await asyncio.sleep(0.08)
        assert len(pending) == 0
        pending.add("d", told.append, told.append)
        pending.lost("the link is down")
        assert not pending.answer("d", 3)
        with pytest.raises(NotSent):
            await pending.ask("e", lambda: False, "log-in")
        return told

    told = asyncio.run(main())
    assert told[0] == 1
    assert [type(one) for one in told[1:]] == [OutcomeUnknown] * 3


def test_codes_become_exceptions_with_an_action():
    codes = Codes(by_codes(((1, 2), Meaning(Action.WAIT, RejectCode.RATE, "be patient"))))
    fault = codes.fault(2, "too fast", where="there", wait_s=3.0)
    assert (fault.action, fault.reject, fault.code, fault.wait_s) == (
        Action.WAIT, RejectCode.RATE, 2, 3.0,
    )  # fmt: skip
    assert str(fault) == "there: the venue refused with code 2: too fast; be patient"
    assert codes.fault(9, "", where="there").action is Action.REQUOTE
    assert 1 in codes and 9 not in codes


# --- one account, several gateways ----------------------------------------------------------------


def trader_at(box: Box, venue: str, common: dict[Any, Any]) -> Any:
    """A gateway of the box's first account."""
    adapter: Any = decoder(venue)
    return adapter.gateway(BoxCounterpart(box, venue, "BTCUSDT").setup(common=common))


async def balances(gateway: Any, n: int) -> int:
    """Ask so often at once; how often the venue refused for asking too much."""
    http = gateway._rest.http
    asked = (gateway._rest.ask(http.get_wallet_balance, accountType="UNIFIED") for _ in range(n))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return sum(isinstance(answer, VenueFault) and answer.code == 10006 for answer in answers)


@pytest.mark.parametrize("shares", [True, False])
def test_gateways_of_one_account_spend_one_budget_as_the_venue_counts(shares: bool) -> None:
    async def story() -> None:
        async with Box.open(seed=3) as box:
            common: dict[Any, Any] = {}
            linear = trader_at(box, "bybit-linear", common)
            spot = trader_at(box, "bybit-spot", common if shares else {})
            try:
                refused = await asyncio.gather(balances(linear, 30), balances(spot, 30))
                assert (sum(refused) == 0) is shares  # the venue grants fifty a second
            finally:
                await linear.close()
                await spot.close()

    asyncio.run(story())
