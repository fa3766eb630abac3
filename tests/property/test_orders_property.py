"""Own orders: totals against a naive count, plans against their promises, answers twice over."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mmcore._orders import Orders
from mmcore.events import BID, Kind, RejectCode

LEVELS = st.lists(
    st.tuples(st.integers(900, 1100), st.integers(1, 50)), max_size=12, unique_by=lambda w: w[0]
)


class Venue(RuleBasedStateMachine):
    """Sends and answers at random; keeps a dict beside the slots."""

    def __init__(self) -> None:
        super().__init__()
        self.orders = Orders(6)
        self.model: dict[tuple[int, int], list[int]] = {}  # key -> side, qty, qty_next
        self.state: dict[tuple[int, int], str] = {}

    def _pick(self, data: st.DataObject, state: str) -> tuple[int, int] | None:
        keys = sorted(k for k, s in self.state.items() if s == state)
        return data.draw(st.sampled_from(keys)) if keys else None

    @rule(side=st.sampled_from([1, -1]), tick=st.integers(900, 1100), qty=st.integers(1, 50))
    def place(self, side: int, tick: int, qty: int) -> None:
        key = self.orders.place(side, tick, qty)
        assert (key is None) == (len(self.model) == 6)
        if key is not None:
            assert key not in self.model
            self.model[key] = [side, qty, qty]
            self.state[key] = "new"

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        if key := self._pick(data, "new"):
            qty = self.model[key][1]
            assert self.orders.answer(Kind.ACK, *key, tick=1000, qty=qty)
            self.state[key] = "live"

    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        if key := self._pick(data, "new"):
            assert self.orders.answer(Kind.REJECT, *key, code=RejectCode.POST_ONLY)
            assert not self.orders.answer(Kind.REJECT, *key, code=RejectCode.POST_ONLY)
            del self.model[key], self.state[key]

    @rule(data=st.data(), qty=st.integers(1, 80))
    def amend(self, data: st.DataObject, qty: int) -> None:
        if key := self._pick(data, "live"):
            self.orders.amend(key[0], 1001, qty)
            self.model[key][2] = qty
            self.state[key] = "amend"

    @rule(data=st.data(), done=st.booleans())
    def amended(self, data: st.DataObject, done: bool) -> None:
        if key := self._pick(data, "amend"):
            side, qty, qty_next = self.model[key]
            if done:
                assert self.orders.answer(Kind.AMENDED, *key, tick=1001, qty=qty_next)
                self.model[key] = [side, qty_next, qty_next]
            else:
                assert self.orders.answer(Kind.REJECT, *key, code=RejectCode.OTHER)
                self.model[key] = [side, qty, qty]
            self.state[key] = "live"
            if self.model[key][1] == 0:
                self.finish(key)

    def finish(self, key: tuple[int, int]) -> None:
        assert self.orders.answer(Kind.CANCELLED, *key)
        del self.model[key], self.state[key]

    @rule(data=st.data(), done=st.booleans())
    def cancel(self, data: st.DataObject, done: bool) -> None:
        if key := self._pick(data, "live"):
            self.orders.cancel(key[0])
            self.state[key] = "cancel"
            if done:
                self.finish(key)

    @rule(data=st.data(), part=st.integers(1, 80), state=st.sampled_from(["live", "cancel", "new"]))
    def fill(self, data: st.DataObject, part: int, state: str) -> None:
        if key := self._pick(data, state):
            part = min(part, self.model[key][1])
            assert self.orders.answer(Kind.FILL, *key, tick=1000, qty=part)
            self.model[key][1] -= part
            self.model[key][2] = self.model[key][1]
            if self.model[key][1] == 0:
                del self.model[key], self.state[key]
                # The cancel lost the race: its refusal comes for an order that is no more.
                assert not self.orders.answer(Kind.REJECT, *key, code=RejectCode.UNKNOWN_ORDER)

    @invariant()
    def totals_agree(self) -> None:
        for side, total in ((1, self.orders.open_buy), (-1, self.orders.open_sell)):
            expected = sum(
                max(m[1], m[2]) if self.state[k] == "amend" else m[1]
                for k, m in self.model.items()
                if m[0] == side
            )
            assert total == expected
        flight = sum(s in ("new", "amend", "cancel") for s in self.state.values())
        assert self.orders.n_flight == flight
        assert {(o["slot"], o["generation"]) for o in self.orders.open()} == set(self.model)


TestVenue = Venue.TestCase
TestVenue.settings = settings(max_examples=60, stateful_step_count=40)


@given(
    live=LEVELS,
    wanted=LEVELS,
    side=st.sampled_from([1, -1]),
    amend=st.integers(0, 2),
    bps=st.sampled_from([0.0, 10.0, 100.0]),
    tolerance=st.sampled_from([0.0, 0.3]),
)
def test_a_plan_reaches_what_is_wanted(
    live: list[tuple[int, int]],
    wanted: list[tuple[int, int]],
    side: int,
    amend: int,
    bps: float,
    tolerance: float,
) -> None:
    wanted = sorted(wanted, reverse=side == BID)
    orders = Orders(amend=amend, requote_bps=bps, size_tolerance=tolerance)
    at = {}
    for tick, qty in live:
        key = orders.place(side, tick, qty)
        assert key is not None
        orders.answer(Kind.ACK, *key, tick=tick, qty=qty)
        at[key[0]] = (tick, qty)
    plan = orders.plan(side, wanted)
    old = plan["cancel"] + [s for s, _ in plan["amend"] + plan["replace"]]
    new = plan["place"] + [w for _, w in plan["amend"] + plan["replace"]]
    assert len(set(old)) == len(old)
    assert len(set(new)) == len(new)
    assert plan["kept"] + len(old) == len(live)
    assert plan["kept"] + len(new) == len(wanted)
    assert not (plan["cancel"] and plan["place"])  # paired as far as there are both
    assert amend != 0 or not plan["amend"]
    assert amend != 2 or not plan["replace"]

    def close(order: tuple[int, int], level: tuple[int, int]) -> bool:
        return (
            abs(order[0] - level[0]) * 1e4 <= bps * level[0]
            and abs(order[1] - level[1]) <= tolerance * level[1]
        )

    kept = [at[s] for s in at if s not in old]
    rest = [w for i, w in enumerate(wanted) if i not in new]
    kept.sort(reverse=side == BID)
    assert all(close(o, w) for o, w in zip(kept, rest, strict=True))
    if bps == 0.0 and tolerance == 0.0:
        assert plan["kept"] == len(set(live) & set(wanted))


def test_a_partial_fill_is_not_topped_up() -> None:
    orders = Orders()
    key = orders.place(1, 1000, 10)
    assert key is not None
    orders.answer(Kind.ACK, *key, tick=1000, qty=10)
    orders.answer(Kind.FILL, *key, tick=1000, qty=4)
    assert orders.plan(1, [(1000, 10)])["kept"] == 1
    assert orders.plan(1, [(1000, 5)])["amend"] == [(key[0], 0)]


def test_an_order_in_flight_is_left_alone() -> None:
    orders = Orders()
    orders.place(1, 1000, 10)
    plan = orders.plan(1, [(990, 10)])
    assert plan["waiting"] == 1
    assert not (plan["cancel"] or plan["amend"] or plan["replace"] or plan["place"])
    assert orders.plan(1, [(1000, 10)])["kept"] == 1


def test_a_cancel_for_an_unknown_order_keeps_the_exposure() -> None:
    orders = Orders()
    key = orders.place(-1, 1000, 10)
    assert key is not None
    orders.answer(Kind.ACK, *key, tick=1000, qty=10)
    orders.cancel(key[0])
    orders.answer(Kind.REJECT, *key, code=RejectCode.UNKNOWN_ORDER)
    assert orders.open_sell == 10
    assert orders.open()[0]["state"] == "unknown"
    orders.answer(Kind.FILL, *key, tick=1000, qty=10)
    assert orders.open_sell == 0
