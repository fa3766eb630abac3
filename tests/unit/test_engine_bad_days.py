"""The engine on bad days: limits that several orders or traders share, races, refusals, stops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcore._book import Book
from mmcore._engine import Account, Engine, Market, Ring, Trader
from mmcore._orders import Orders
from mmcore._quotes import GridStrategy, Strategy, TwoSidedStrategy
from mmcore._rate import RateLimiter
from mmcore._signals import Signals
from mmcore._spec import SpecBox
from mmcore.events import (
    EVENT,
    LEVEL,
    ContractKind,
    Flag,
    Kind,
    RejectCode,
    RequestKind,
    Status,
    rows_of,
)

Rows = NDArray[np.void]
MS = 1_000_000
S = 1_000_000_000


def two_sided(size: float = 1.0, most: float = 9.0) -> TwoSidedStrategy:
    return TwoSidedStrategy(
        target_liquidity=size, half_spread=10.0, max_bps_diff=1.0, max_absolute_position_size=most
    )


def grid(**changes: object) -> GridStrategy:
    figures = {"max_position_usd": 20_000.0, "orders_per_side": 4, "minimum_spread": 20.0}
    return GridStrategy(**(figures | changes))


def spec_of(kind: ContractKind = ContractKind.LINEAR, *, qty_max: int = 0) -> SpecBox:
    return SpecBox("0.1", 3, "1", 1, 1, qty_max, 5 * 10**8, 0, 0, kind, 0, 0)


class Desk:
    """An engine with one trader, driven and answered by hand; one unit is 0.001, a tick 0.1."""

    def __init__(
        self,
        strategy: Strategy | None = None,
        *,
        spec: SpecBox | None = None,
        amend: int = 2,
        rate: RateLimiter | None = None,
        account: Account | None = None,
        **others: object,
    ) -> None:
        spec = spec or spec_of()
        self.trader = Trader(
            Market(spec, Book(spec), Signals((1, 5), tick_window=100)),
            strategy or two_sided(),
            orders=Orders(amend=amend),
            rate=rate or RateLimiter(1000),
            account=account or Account(),
            ring=Ring(),
            **others,  # type: ignore[arg-type]
        )
        self.engine = Engine(self.trader.market, self.trader)
        self.now = S

    def book(self, bid: int, ask: int) -> Rows:
        """A new book of one level a side."""
        self.now += MS
        rows = np.zeros(1 + rows_of(2), dtype=EVENT)
        rows[0]["kind"], rows[0]["flags"] = Kind.DEPTH, Flag.LOCAL | Flag.SNAPSHOT
        rows[0]["n_bids"] = rows[0]["n_asks"] = 1
        rows[0]["ts_local_ns"] = self.now
        rows[1:].view(LEVEL)[:2] = np.array([(bid, 10**6), (ask, 10**6)], dtype=LEVEL)
        return self.engine.step(rows)

    def event(self, kind: Kind, **fields: int) -> Rows:
        self.now += 1
        rows = np.zeros(1, dtype=EVENT)
        rows[0]["kind"], rows[0]["ts_local_ns"] = kind, self.now
        for name, value in fields.items():
            rows[0][name] = value
        return self.engine.step(rows)

    def answer(self, requests: Rows) -> Rows:
        """Grant every request, and those that follow; what was asked in all."""
        granted = {1: Kind.ACK, 2: Kind.AMENDED, 3: Kind.CANCELLED}
        waiting = list(requests)
        asked = list(requests)
        while waiting:
            more = self.reply(waiting.pop(0), granted)
            waiting += list(more)
            asked += list(more)
        return np.array(asked, dtype=requests.dtype)

    def reply(self, q: np.void, granted: dict[int, Kind]) -> Rows:
        return self.event(
            granted[int(q["kind"])],
            slot=int(q["slot"]),
            generation=int(q["generation"]),
            tick=int(q["tick"]),
            qty=int(q["qty"]),
        )

    def fill(self, side: int, *, tick: int | None = None, qty: int | None = None) -> Rows:
        """Fill the best open order of a side, at its price unless told."""
        mine = [o for o in self.trader.orders.open() if o["side"] == side]
        o = max(mine, key=lambda o: side * o["tick"])
        return self.event(
            Kind.FILL,
            slot=o["slot"],
            generation=o["generation"],
            side=side,
            tick=o["tick"] if tick is None else tick,
            qty=o["qty"] if qty is None else qty,
        )

    def worth(self, side: int = 0) -> float:
        """Open orders of a side (0: both) at their prices."""
        orders = self.trader.orders.open()
        return sum(o["tick"] * o["qty"] for o in orders if side in (0, o["side"])) * 1e-4


def kinds(requests: Rows) -> list[int]:
    return [int(q["kind"]) for q in requests]


# ---- limits that hold at every instant


def test_two_traders_cannot_pass_the_accounts_position_limit_by_filling_together() -> None:
    account = Account(position_max=1_500.0)
    desks = [Desk(account=account), Desk(account=account)]
    for desk in desks:
        desk.answer(desk.book(9_999, 10_001))
    held = 0.0
    for desk in desks:
        if any(o["side"] == 1 for o in desk.trader.orders.open()):
            desk.fill(1)
        held += desk.trader.state()["position"]
    assert 0 < held <= 1_500


def test_a_reducing_order_is_allowed_at_the_accounts_position_limit() -> None:
    desk = Desk(account=Account(position_max=1_005.0))
    desk.answer(desk.book(9_999, 10_001))
    desk.answer(desk.fill(1))
    assert {o["side"] for o in desk.trader.orders.open()} == {-1}


@pytest.mark.parametrize("of_account", [False, True])
def test_open_notional_counts_every_order_at_its_own_price(of_account: bool) -> None:
    most = 13_000.0
    limits = {"account": Account(open_max=most)} if of_account else {"open_notional_max": most}
    desk = Desk(grid(final_order_distance=40.0), **limits)  # type: ignore[arg-type]
    desk.answer(desk.book(9_999, 10_001))
    assert most / 2 < desk.worth() <= most


def test_an_amend_to_a_higher_price_is_counted() -> None:
    desk = Desk(open_notional_max=2_001.0)
    desk.answer(desk.book(9_999, 10_001))
    assert desk.worth() == pytest.approx(2_000.0)
    desk.answer(desk.book(10_199, 10_201))
    assert 0.0 < desk.worth() <= 2_001.0


def test_an_order_that_limits_keep_from_moving_does_not_stay_behind() -> None:
    desk = Desk(open_notional_max=2_001.0)
    desk.answer(desk.book(9_999, 10_001))
    desk.answer(desk.book(10_199, 10_201))
    assert all(o["tick"] > 10_200 for o in desk.trader.orders.open() if o["side"] == -1)


def test_spot_buys_never_cost_more_than_there_is() -> None:
    desk = Desk(
        grid(final_order_distance=40.0),
        spec=spec_of(ContractKind.SPOT),
        amend=0,
        quote_start=5_000 * 10**8,
        base_target=0,
    )
    desk.answer(desk.book(9_999, 10_001))
    assert 2_500.0 < desk.worth(1) <= 5_000.0


def test_coins_found_at_the_start_do_not_use_up_the_money() -> None:
    desk = Desk(
        spec=spec_of(ContractKind.SPOT), amend=0, quote_start=1_500 * 10**8, position_start=5_000
    )
    asked = desk.answer(desk.book(9_999, 10_001))
    assert sorted(int(q["side"]) for q in asked) == [-1, 1]


def test_much_money_and_a_cheap_coin_leave_room_to_buy() -> None:
    # 10^6 of money for a coin of 10^-6 in units of 10^-8: more units than 64 bits hold.
    spec = SpecBox("0.0000000001", 8, "1", 10**8, 10**8, 0, 10**8, 0, 0, ContractKind.SPOT, 0, 0)
    desk = Desk(two_sided(1e7, 1e9), spec=spec, amend=0, quote_start=10**6 * 10**8)
    asked = desk.book(9_999, 10_001)
    assert [int(q["side"]) for q in asked] == [1]


def test_an_order_size_limit_makes_orders_smaller() -> None:
    desk = Desk(order_qty_max=400)
    asked = desk.answer(desk.book(9_999, 10_001))
    assert [int(q["qty"]) for q in asked] == [400, 400]
    assert desk.trader.state()["unfinished"] == 0


# ---- races


def test_an_amend_that_takes_more_than_the_old_rest_keeps_its_slot() -> None:
    orders = Orders()
    key = orders.place(1, 1000, 5)
    assert key is not None
    orders.answer(Kind.ACK, *key, tick=1000, qty=5)
    orders.amend(key[0], 1010, 10)
    for piece in (5, 2):
        assert orders.answer(Kind.FILL, *key, tick=1005, qty=piece, maker=False)
        assert len(orders.open()) == 1
    assert orders.open_buy == 3
    assert orders.answer(Kind.AMENDED, *key, tick=1010, qty=3)
    assert [(o["state"], o["qty"]) for o in orders.open()] == [("live", 3)]


def test_an_amend_to_less_that_is_taken_whole_frees_its_slot() -> None:
    orders = Orders()
    key = orders.place(-1, 1000, 147)
    assert key is not None
    orders.answer(Kind.ACK, *key, tick=1000, qty=147)
    orders.amend(key[0], 990, 53)
    orders.answer(Kind.FILL, *key, tick=995, qty=53, maker=False, last=True)
    assert orders.open() == []
    assert orders.open_sell == 0


@pytest.mark.parametrize("code", [RejectCode.UNKNOWN_ORDER, RejectCode.OTHER])
def test_an_amend_that_loses_the_race_against_a_whole_fill_frees_its_slot(code: int) -> None:
    orders = Orders()
    key = orders.place(1, 1000, 5)
    assert key is not None
    orders.answer(Kind.ACK, *key, tick=1000, qty=5)
    orders.amend(key[0], 1001, 10)
    orders.answer(Kind.FILL, *key, tick=1000, qty=5)
    orders.answer(Kind.REJECT, *key, code=code)
    assert orders.open() == []
    assert orders.open_buy == 0


def test_an_acknowledgement_overtaken_by_a_fill_does_not_give_the_quantity_back() -> None:
    orders = Orders()
    key = orders.place(1, 1000, 5)
    assert key is not None
    orders.answer(Kind.FILL, *key, tick=1000, qty=2)
    orders.answer(Kind.ACK, *key, tick=1000, qty=5)
    assert orders.open_buy == 3
    orders.answer(Kind.FILL, *key, tick=1000, qty=3)
    assert orders.open() == []


def test_a_filled_level_is_not_placed_again_before_the_grid_is_computed_anew() -> None:
    desk = Desk(grid(), debounce_ns=50 * MS)
    desk.answer(desk.book(9_999, 10_001))
    assert len(desk.fill(1)) == 0
    assert len(desk.book(9_998, 10_001)) == 0
    desk.now += 50 * MS
    assert len(desk.event(Kind.TIMER)) > 0
    assert desk.trader.state()["n_quotes"] == 2


# ---- refusals and rates


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_low_rate_without_amends_still_takes_old_quotes_away(limit: int) -> None:
    rate = RateLimiter(limit, reserve=min(1, limit - 1))
    desk = Desk(amend=0, rate=rate, batch=1)
    desk.answer(desk.book(9_999, 10_001))
    for _ in range(40):
        desk.now += 500 * MS
        desk.answer(desk.book(10_499, 10_501))
    mine = {o["side"]: o["tick"] for o in desk.trader.orders.open()}
    assert mine[1] == 10_489  # not where the market was
    assert mine.get(-1, 10_511) == 10_511


# ---- loss


def test_a_loss_taken_by_the_fill_that_closes_is_noticed_at_once() -> None:
    desk = Desk(loss_max=50.0)
    desk.answer(desk.book(9_999, 10_001))
    desk.answer(desk.fill(1))
    desk.fill(-1, tick=9_000, qty=1_000)
    assert desk.trader.state()["position"] == 0
    assert desk.trader.status == Status.KILLED


def test_a_crossed_book_is_no_price_to_judge_a_loss_by() -> None:
    account = Account(loss_max=50.0)
    desk = Desk(account=account)
    desk.answer(desk.book(9_999, 10_001))
    desk.answer(desk.fill(1))
    desk.answer(desk.book(9_999, 100))
    assert desk.trader.status == Status.CROSSED
    assert not account.killed


# ---- the stop


def flattened(desk: Desk, mid: int = 10_000) -> list[int]:
    """Requests to close after a stop; every one fills at the mid at once."""
    out = []
    for _ in range(60):
        desk.now += 50 * MS
        asked = desk.event(Kind.TIMER)
        for q in asked:
            if int(q["kind"]) == RequestKind.CANCEL:
                desk.reply(q, {3: Kind.CANCELLED})
        for o in desk.trader.orders.open():
            out.append(o["qty"])
            desk.fill(o["side"], tick=mid)
    return out


def test_a_position_larger_than_one_order_is_closed_in_pieces() -> None:
    desk = Desk(
        spec=spec_of(qty_max=2_000), flatten=True, position_start=-5_000, order_qty_max=1_500
    )
    desk.answer(desk.book(9_999, 10_001))
    desk.trader.stop()
    assert flattened(desk) == [1_500, 1_500, 1_500, 500]
    assert desk.trader.state()["position"] == 0


def test_a_trader_that_must_still_close_says_so() -> None:
    rate = RateLimiter(2)
    desk = Desk(flatten=True, rate=rate, batch=1)
    desk.answer(desk.book(9_999, 10_001))
    desk.now += S
    desk.fill(1, qty=400)
    desk.trader.stop()
    assert not desk.trader.settled
    desk.answer(desk.event(Kind.TIMER))  # both calls of this second go to the cancels
    assert desk.trader.n_open == 0
    assert not desk.trader.settled
    desk.now += S
    asked = desk.event(Kind.TIMER)
    assert kinds(asked) == [RequestKind.PLACE]
    desk.fill(-1, tick=9_999)
    assert desk.trader.settled
