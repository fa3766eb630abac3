"""The engine: events in, requests out; every state that must stop quoting stops it."""

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
    BID,
    EVENT,
    LEVEL,
    RECORD,
    Flag,
    Kind,
    PaidCode,
    Reason,
    RecordKind,
    RejectCode,
    RequestKind,
    Status,
    rows_of,
)

Rows = NDArray[np.void]
MS = 1_000_000
S = 1_000_000_000


def depth(
    ts_ns: int,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    *,
    seq: int,
    prev: int | None = None,
    snapshot: bool = False,
) -> Rows:
    levels = np.array([*bids, *asks], dtype=LEVEL)
    rows = np.zeros(1 + rows_of(len(levels)), dtype=EVENT)
    rows[0]["kind"] = Kind.DEPTH
    rows[0]["flags"] = Flag.EXCH | Flag.LOCAL | (Flag.SNAPSHOT if snapshot else 0)
    rows[0]["n_bids"], rows[0]["n_asks"] = len(bids), len(asks)
    rows[0]["ts_venue_ns"] = rows[0]["ts_local_ns"] = ts_ns
    rows[0]["seq"], rows[0]["aux"] = seq, seq - 1 if prev is None else prev
    rows[1:].view(LEVEL)[: len(levels)] = levels
    return rows


def single(kind: Kind, ts_ns: int, **fields: int) -> Rows:
    rows = np.zeros(1, dtype=EVENT)
    rows[0]["kind"] = kind
    rows[0]["flags"] = Flag.EXCH | Flag.LOCAL
    rows[0]["ts_venue_ns"] = rows[0]["ts_local_ns"] = ts_ns
    for name, value in fields.items():
        rows[0][name] = value
    return rows


class Bench:
    """An engine with one trader, and answers to its requests as a venue would give them."""

    def __init__(self, strategy: Strategy | None = None, *, rate: int = 100, **limits: object):
        spec = SpecBox("0.1", 3, "1", 1, 1, 0, 5 * 10**8, 20_000, 50_000, 0, 0, 0)
        self.ring = Ring(1024)
        self.account = limits.pop("account", None) or Account()
        amend = limits.pop("amend", 2)
        bps = limits.pop("requote_bps", 0.0)
        self.trader = Trader(
            Market(spec, Book(spec), Signals((1, 5), tick_window=100)),
            strategy
            or TwoSidedStrategy(
                target_liquidity=1.0,
                half_spread=10.0,
                max_bps_diff=1.0,
                max_absolute_position_size=3.0,
            ),
            orders=Orders(amend=amend, requote_bps=bps),  # type: ignore[arg-type]
            rate=RateLimiter(rate),
            account=self.account,  # type: ignore[arg-type]
            ring=self.ring,
            **limits,  # type: ignore[arg-type]
        )
        self.engine = Engine(self.trader.market, self.trader)
        self.seq = 0
        self.now = S

    def book(self, mid: int, *, snapshot: bool = False, wide: int = 1) -> Rows:
        """A whole new book around ``mid`` ticks, as a snapshot or as the next delta."""
        self.seq += 1
        self.now += MS
        bids = [(mid - wide - i, 1000) for i in range(5)]
        asks = [(mid + wide + i, 1000) for i in range(5)]
        if not snapshot:
            bids += [(mid + i, 0) for i in range(900)]
            asks += [(mid - i, 0) for i in range(900)]
        return self.engine.step(depth(self.now, bids, asks, seq=self.seq, snapshot=snapshot))

    def answer(self, requests: Rows, *, kind: Kind | None = None, code: int = 0) -> list[Rows]:
        """Acknowledge requests (or answer all with ``kind``); what the engine asked in turn."""
        kinds = {1: Kind.ACK, 2: Kind.AMENDED, 3: Kind.CANCELLED}
        out = []
        for q in requests:
            self.now += 1
            event = single(
                kinds[int(q["kind"])] if kind is None else kind,
                self.now,
                slot=q["slot"],
                generation=q["generation"],
                tick=q["tick"],
                qty=q["qty"],
                code=code,
            )
            out.append(self.engine.step(event))
        return out

    def fill(self, q: np.void, qty: int, *, fee: int = 0) -> Rows:
        self.now += 1
        return self.engine.step(
            single(
                Kind.FILL,
                self.now,
                side=q["side"],
                slot=q["slot"],
                generation=q["generation"],
                tick=q["tick"],
                qty=qty,
                aux=fee,
                seq=1,
            )
        )

    def records(self) -> Rows:
        out = np.zeros(1024, dtype=RECORD)
        return out[: self.ring.drain(out.view("u1"))]


def test_the_first_healthy_book_is_quoted() -> None:
    bench = Bench()
    requests = bench.book(10_000, snapshot=True)
    assert [int(q["kind"]) for q in requests] == [RequestKind.PLACE] * 2
    assert [int(q["side"]) for q in requests] == [1, -1]
    assert [int(q["tick"]) for q in requests] == [9_990, 10_010]  # 10 bps of 1000.0 each way
    assert [int(q["qty"]) for q in requests] == [1000, 1000]
    assert bench.trader.status == Status.OK


def test_nothing_is_asked_while_answers_are_due_and_nothing_changed() -> None:
    bench = Bench()
    requests = bench.book(10_000, snapshot=True)
    assert len(bench.book(10_000)) == 0
    assert all(len(more) == 0 for more in bench.answer(requests))
    assert len(bench.book(10_000)) == 0
    assert bench.trader.n_open == 2


def test_quotes_follow_the_mid_by_amends_or_by_cancel_and_place() -> None:
    for amend, expected in ((2, [2, 2]), (0, [3, 3, 1, 1])):
        bench = Bench(amend=amend, requote_bps=3.0)
        bench.answer(bench.book(10_000, snapshot=True))
        assert len(bench.book(10_001)) == 0  # within 3 bps: kept
        moved = bench.book(10_050)
        assert [int(q["kind"]) for q in moved] == expected


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (depth(2 * S, [(9_999, 5)], [], seq=9, prev=8), Status.GAP),
        (single(Kind.LINK_DOWN, 2 * S), Status.STALE),
        (depth(2 * S, [(10_500, 5)], [], seq=2), Status.CROSSED),
        (depth(2 * S, [], [(10_001 + i, 0) for i in range(5)], seq=2), Status.ONE_SIDED),
        (single(Kind.TIMER, 400 * S), Status.STALE),
    ],
    ids=["gap", "link down", "crossed", "one-sided", "old"],
)
def test_an_unhealthy_book_pulls_every_quote(event: Rows, status: Status) -> None:
    bench = Bench()
    bench.answer(bench.book(10_000, snapshot=True))
    pulled = bench.engine.step(event)
    assert bench.trader.status == status
    assert [int(q["kind"]) for q in pulled] == [RequestKind.CANCEL] * 2
    assert {int(q["reason"]) for q in pulled} == {Reason.HALT}
    bench.answer(pulled)
    assert bench.trader.n_open == 0
    bench.now = 500 * S
    assert [int(q["kind"]) for q in bench.book(10_000, snapshot=True)] == [RequestKind.PLACE] * 2


def test_orders_in_flight_are_cancelled_when_they_land() -> None:
    bench = Bench()
    placed = bench.book(10_000, snapshot=True)
    assert len(bench.engine.step(single(Kind.LINK_DOWN, bench.now + 1))) == 0
    asked = bench.answer(placed)
    assert [len(a) for a in asked] == [1, 1]
    assert all(int(a[0]["kind"]) == RequestKind.CANCEL for a in asked)


def test_the_position_limit_holds_with_everything_filled() -> None:
    bench = Bench(position_max=3000)
    bench.answer(bench.book(10_000, snapshot=True))
    bought = 0
    for step in range(1, 12):
        mid = 10_000 - step * 20
        asked = bench.book(mid)
        bench.answer(asked)
        for order in bench.trader.orders.open():
            if order["side"] == BID:
                q = np.zeros(
                    1, dtype=[("side", "i1"), ("slot", "u2"), ("generation", "u4"), ("tick", "i8")]
                )[0]
                q["side"], q["slot"] = 1, order["slot"]
                q["generation"], q["tick"] = order["generation"], order["tick"]
                bench.fill(q, order["qty"])
                bought += order["qty"]
        state = bench.trader.state()
        assert state["position"] == bought
        assert state["position"] + state["open_buy"] <= 3000
    assert bought == 3000


def test_a_fill_books_position_fee_and_asks_anew() -> None:
    bench = Bench()
    placed = bench.book(10_000, snapshot=True)
    bench.answer(placed)
    bench.fill(placed[0], 1000, fee=1234)
    state = bench.trader.state()
    assert (state["position"], state["fees"], state["n_fills"]) == (1000, 1234, 1)
    assert state["cash"] == -999 * 10**8


def test_a_fill_of_an_order_already_gone_is_still_booked() -> None:
    bench = Bench()
    placed = bench.book(10_000, snapshot=True)
    bench.answer(placed)
    down = bench.engine.step(single(Kind.LINK_DOWN, bench.now + 1))
    bench.answer(down)
    bench.fill(placed[0], 400)
    assert bench.trader.state()["position"] == 400
    assert bench.trader.state()["n_orphans"] == 1


def test_loss_kills_and_stays_killed() -> None:
    bench = Bench(loss_max=50.0)
    placed = bench.book(10_000, snapshot=True)
    bench.answer(placed)
    bench.fill(placed[0], 1000)
    bench.answer(bench.book(9_600))
    bench.book(9_400)
    assert bench.trader.status == Status.KILLED
    bench.book(10_000)
    assert bench.trader.status == Status.KILLED


def test_an_account_loss_kills_every_trader() -> None:
    account = Account(loss_max=50.0)
    one, other = Bench(account=account), Bench(account=account)
    for bench in (one, other):
        bench.answer(bench.book(10_000, snapshot=True))
    placed = one.trader.orders.open()[0]
    q = np.zeros(1, dtype=[("side", "i1"), ("slot", "u2"), ("generation", "u4"), ("tick", "i8")])[0]
    q["side"], q["slot"], q["generation"], q["tick"] = (
        1,
        placed["slot"],
        placed["generation"],
        9_990,
    )
    one.fill(q, 1000)
    one.book(9_300)
    assert account.killed
    pulled = other.book(10_000)
    assert other.trader.status == Status.KILLED
    assert {int(p["kind"]) for p in pulled} == {RequestKind.CANCEL}


def test_an_account_limit_spans_instruments() -> None:
    account = Account(open_max=2_500.0)
    one, other = Bench(account=account), Bench(account=account)
    assert len(one.book(10_000, snapshot=True)) == 2  # 2 x 1.0 at about 1000
    assert len(other.book(10_000, snapshot=True)) == 0


def test_stop_cancels_all_and_quotes_no_more() -> None:
    bench = Bench()
    bench.answer(bench.book(10_000, snapshot=True))
    bench.trader.stop()
    pulled = bench.engine.step(single(Kind.TIMER, bench.now))
    assert {int(q["reason"]) for q in pulled} == {Reason.STOP}
    bench.answer(pulled)
    assert bench.trader.n_open == 0
    assert len(bench.book(10_000)) == 0


def test_stop_may_take_the_position_off() -> None:
    bench = Bench(flatten=True)
    placed = bench.book(10_000, snapshot=True)
    bench.answer(placed)
    bench.fill(placed[0], 700)
    bench.trader.stop()
    pulled = bench.engine.step(single(Kind.TIMER, bench.now))
    last = bench.answer(pulled)[-1]
    assert [int(q["kind"]) for q in last] == [RequestKind.PLACE]
    assert (int(last[0]["side"]), int(last[0]["qty"])) == (-1, 700)
    assert (int(last[0]["reduce_only"]), int(last[0]["reason"])) == (1, Reason.FLATTEN)


def test_the_rate_limit_holds_requests_back_and_cancels_have_a_reserve() -> None:
    spec_rate = RateLimiter(4, reserve=2)
    bench = Bench(amend=0)
    bench.trader = Trader(
        bench.trader.market,
        TwoSidedStrategy(
            target_liquidity=1.0, half_spread=10.0, max_bps_diff=0.0, max_absolute_position_size=9.0
        ),
        orders=Orders(amend=0),
        rate=spec_rate,
        account=Account(),
        ring=bench.ring,
        batch=1,
    )
    bench.engine = Engine(bench.trader.market, bench.trader)
    bench.answer(bench.book(10_000, snapshot=True))  # two calls
    assert len(bench.book(10_050)) == 0  # no call left but the reserve
    assert bench.trader.state()["n_held"] > 0
    pulled = bench.engine.step(single(Kind.LINK_DOWN, bench.now + 1))
    assert [int(q["kind"]) for q in pulled] == [RequestKind.CANCEL] * 2


def test_a_refusal_pauses_new_orders() -> None:
    bench = Bench(pause_ns=10 * MS)
    placed = bench.book(10_000, snapshot=True)
    bench.answer(placed, kind=Kind.REJECT, code=RejectCode.POST_ONLY)
    assert bench.trader.n_open == 0
    assert len(bench.book(10_000)) == 0
    bench.now += 20 * MS
    assert len(bench.book(10_000)) == 2


def test_a_cancel_that_lost_its_race_pauses_nothing() -> None:
    bench = Bench(amend=0, pause_ns=10 * MS)
    bench.answer(bench.book(10_000, snapshot=True))
    asked = bench.book(10_050)
    lost = [int(q["kind"]) for q in asked].index(RequestKind.CANCEL)
    bench.fill(asked[lost], 1000)
    bench.answer(asked[lost : lost + 1], kind=Kind.REJECT, code=RejectCode.UNKNOWN_ORDER)
    bench.answer(np.delete(asked, lost))
    assert len(bench.book(10_100)) > 0


def test_records_tell_the_whole_story_in_order() -> None:
    bench = Bench()
    placed = bench.book(10_000, snapshot=True)
    bench.answer(placed)
    bench.fill(placed[1], 1000, fee=7)
    kinds = [RecordKind(int(r["kind"])) for r in bench.records()]
    assert kinds[:5] == [
        RecordKind.STATUS,
        RecordKind.PLACE,
        RecordKind.PLACE,
        RecordKind.ACK,
        RecordKind.ACK,
    ]
    assert RecordKind.FILL in kinds
    assert bench.ring.waiting == 0


def test_an_adopted_position_starts_without_profit() -> None:
    bench = Bench(position_start=-500)
    bench.book(10_000, snapshot=True)
    state = bench.trader.state()
    assert (state["position"], state["equity"]) == (-500, 0)


def test_grid_requotes_out_of_bounds_on_fill_and_when_stale() -> None:
    grid = GridStrategy(max_position_usd=10_000.0, orders_per_side=3, minimum_spread=20.0)
    bench = Bench(grid, debounce_ns=5 * MS, stale_ns=60 * S)
    first = bench.book(10_000, snapshot=True)
    assert len(first) == 6
    bench.answer(first)
    n = bench.trader.state()["n_quotes"]
    bench.answer(bench.book(10_005))
    assert bench.trader.state()["n_quotes"] == n  # inside the band
    bench.answer(bench.book(10_100))
    assert bench.trader.state()["n_quotes"] == n + 1
    some = bench.trader.orders.open()[0]
    q = np.zeros(1, dtype=[("side", "i1"), ("slot", "u2"), ("generation", "u4"), ("tick", "i8")])[0]
    q["side"], q["slot"], q["generation"], q["tick"] = (
        some["side"],
        some["slot"],
        some["generation"],
        some["tick"],
    )
    bench.fill(q, some["qty"])
    assert bench.trader.state()["n_quotes"] == n + 1  # debounced
    bench.now += 10 * MS
    bench.answer(bench.engine.step(single(Kind.TRADE, bench.now, tick=10_100, qty=1, side=1)))
    assert bench.trader.state()["n_quotes"] == n + 2
    bench.now += 30 * S
    bench.engine.step(single(Kind.TRADE, bench.now, tick=10_100, qty=1, side=1))
    bench.now += 40 * S
    bench.engine.step(single(Kind.TRADE, bench.now, tick=10_100, qty=1, side=1))
    assert bench.trader.state()["n_quotes"] == n + 3


def test_the_same_events_give_the_same_requests() -> None:
    def run() -> bytes:
        rng = np.random.default_rng(5)
        bench = Bench(amend=0, requote_bps=2.0, rate=20)
        out = [bench.book(10_000, snapshot=True).tobytes()]
        for _ in range(300):
            asked = bench.book(10_000 + int(rng.integers(-60, 60)))
            out.append(asked.tobytes())
            out += [more.tobytes() for more in bench.answer(asked)]
        return b"".join(out)

    assert run() == run()


def test_paid_funding_and_coin_fees_reach_ledger_and_journal() -> None:
    bench = Bench()
    bench.book(600_000, snapshot=True)
    market_ns = bench.engine.market.ts_local_ns
    bench.engine.step(single(Kind.PAID, 2 * S, code=PaidCode.FUNDING, aux=-123))
    bench.engine.step(single(Kind.PAID, 3 * S, code=PaidCode.COIN_FEE, tick=600_000, qty=7, seq=9))
    state = bench.trader.state()
    assert state["funding"] == -123
    assert state["position"] == -7
    assert state["n_fills"] == 0
    assert bench.engine.market.ts_local_ns == market_ns  # our own money is no market data
    paid = bench.records()
    paid = paid[paid["kind"] == RecordKind.PAID]
    assert paid["code"].tolist() == [PaidCode.FUNDING, PaidCode.COIN_FEE]
    assert paid["money"].tolist() == [-123, 0]
    assert paid["qty"].tolist() == [0, 7]


def test_a_refused_amend_is_not_asked_for_again_at_once() -> None:
    bench = Bench()
    bench.answer(bench.book(60_000, snapshot=True))
    moved = bench.book(60_100)
    assert set(moved["kind"].tolist()) == {RequestKind.AMEND}
    again = bench.answer(moved, kind=Kind.REJECT, code=RejectCode.POST_ONLY)
    assert not any(len(rows) for rows in again)
    bench.now += 200 * MS
    assert len(bench.book(60_100)) == len(moved)


def test_of_two_orders_at_one_price_the_one_that_fits_is_kept() -> None:
    orders = Orders(size_tolerance=0.1)
    for qty in (15, 10):
        slot, generation = orders.place(-1, 100, qty) or (0, 0)
        orders.answer(Kind.ACK, slot, generation, tick=100, qty=qty)
    plan = orders.plan(-1, [(90, 8), (100, 10)])
    assert (plan["amend"], plan["kept"], plan["place"]) == ([(0, 0)], 1, [])
