"""The live door to the engine gives what the engine gives, row by row, and keeps time and order."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcore._book import Book
from mmcore._engine import Account, Engine, Market, Ring, Trader
from mmcore._orders import Orders
from mmcore._pump import Pump, restamp
from mmcore._quotes import GridStrategy
from mmcore._rate import RateLimiter
from mmcore._signals import Signals
from mmcore.events import EVENT, RECORD, Flag, Kind, PaidCode, RequestKind, rows_of
from mmcore.instrument import known
from mmcore.synthetic import market, source, together

Rows = NDArray[np.void]
S = 1_000_000_000
ANSWERS = {
    RequestKind.PLACE: Kind.ACK,
    RequestKind.AMEND: Kind.AMENDED,
    RequestKind.CANCEL: Kind.CANCELLED,
}


def traders_of(count: int, ring: Ring, **orders: int) -> tuple[Trader, ...]:
    names = ("BTCUSDT", "ETHUSDT")[:count]
    made = []
    for i, name in enumerate(names):
        spec = known("synthetic", name).spec(i)
        made.append(
            Trader(
                Market(spec, Book(spec), Signals((1, 5), tick_window=100)),
                GridStrategy(asset=10_000.0, orders_per_side=4, minimum_spread=1.0),
                orders=Orders(**orders),
                rate=RateLimiter(100),
                account=Account(),
                ring=ring,
                number=i,
            )
        )
    return tuple(made)


def messages(rows: Rows) -> list[Rows]:
    out, at = [], 0
    while at < len(rows):
        row = rows[at]
        size = rows_of(int(row["n_bids"]) + int(row["n_asks"])) if row["kind"] == Kind.DEPTH else 0
        out.append(rows[at : at + 1 + size].copy())
        at += 1 + size
    return out


def some_rows(seconds: float = 4.0) -> Rows:
    made = source("busy", seconds=seconds, seed=11)
    blocks = []
    while (block := made.next_block()) is not None:
        blocks.append(block.copy())
    return np.concatenate(blocks)


def answer(request: np.void, ts_ns: int, trade_id: int) -> Rows:
    """What a venue says to a request: mostly yes; every third order is filled as well."""
    row = np.zeros(1, EVENT)
    row["kind"] = ANSWERS[RequestKind(request["kind"])]
    row["instrument"], row["slot"] = request["instrument"], request["slot"]
    row["generation"], row["side"] = request["generation"], request["side"]
    row["tick"], row["qty"] = request["tick"], request["qty"]
    row["ts_local_ns"] = ts_ns
    if request["kind"] == RequestKind.PLACE and trade_id % 3 == 0:
        fill = row.copy()
        fill["kind"], fill["seq"], fill["aux"] = Kind.FILL, trade_id, 1_000
        fill["flags"] = Flag.MAKER | Flag.LAST
        return np.concatenate([row, fill])
    return row


def drained(ring: Ring) -> Rows:
    out = np.zeros(65_536, RECORD)
    return out[: ring.drain(out.view(np.uint8))]


def test_rows_in_requests_out_as_the_engine_gives_them() -> None:
    ring, other = Ring(), Ring()
    (trader,) = traders_of(1, ring)
    (twin,) = traders_of(1, other)
    pump, engine = Pump((trader,)), Engine(twin.market, twin)
    queue = messages(some_rows(20.0))
    n_requests = n = 0
    while queue:
        message = queue.pop(0)
        asked = pump.feed(message).copy()
        assert pump.taken == len(message)
        np.testing.assert_array_equal(asked, engine.step(message))
        for request in asked:
            n_requests += 1
            queue[:0] = messages(answer(request, int(message["ts_local_ns"][0]), n_requests))
        n += 1
    assert n_requests > 20 and trader.state()["n_fills"] > 1
    np.testing.assert_array_equal(drained(ring), drained(other))
    assert trader.state() == twin.state() | {"n_steps": trader.state()["n_steps"]}


def test_a_block_stops_at_the_message_that_leaves_requests() -> None:
    rows = some_rows(2.0)
    ring, other = Ring(), Ring()
    (trader,) = traders_of(1, ring)
    (twin,) = traders_of(1, other)
    whole, single = Pump((trader,)), Pump((twin,))
    left, sent = rows.copy(), []
    while len(left):
        asked = whole.feed(left)
        sent += asked.tolist()
        assert whole.taken == len(left) or len(asked)
        left = left[whole.taken :]
    one_by_one = [row for message in messages(rows) for row in single.feed(message).tolist()]
    assert sent == one_by_one != []
    assert whole.n_events == single.n_events == len(messages(rows))


def test_engine_time_never_runs_backwards_and_the_log_says_so() -> None:
    (trader,) = traders_of(1, Ring())
    pump = Pump((trader,))
    rows = np.zeros(3, EVENT)
    rows["kind"] = Kind.TIMER
    rows["ts_local_ns"] = [5 * S, 3 * S, 6 * S]
    pump.feed(rows)
    assert rows["ts_local_ns"].tolist() == [5 * S, 5 * S, 6 * S]
    assert pump.now_ns == trader.state()["now_ns"] == 6 * S
    assert pump.n_events == 0


def test_a_timer_reaches_every_trader_and_an_answer_only_its_own() -> None:
    ring = Ring()
    traders = traders_of(2, ring)
    pump = Pump(traders)
    rows = np.zeros(3, EVENT)
    rows["kind"] = [Kind.TIMER, Kind.PAID, Kind.FILL]
    rows["instrument"] = [0, 1, 1]
    rows["ts_local_ns"] = S
    rows["code"] = [0, PaidCode.FUNDING, 0]
    rows["aux"] = [0, -70, 5]
    rows["side"], rows["tick"], rows["qty"] = 1, 100, 7
    pump.feed(rows)
    assert pump.taken == 3
    assert [trader.state()["n_steps"] for trader in traders] == [1, 3]
    assert traders[1].state()["funding"] == -70 and traders[1].state()["position"] == 7
    assert traders[0].state()["position"] == 0


def test_two_instruments_have_their_requests_one_after_the_other() -> None:
    made = together([market(known("synthetic", s), p) for s, p in
                     (("BTCUSDT", "busy"), ("ETHUSDT", "busy_eth"))])  # fmt: skip
    from mmcore.synthetic import SyntheticSource

    traders = traders_of(2, Ring())
    pump, asked = Pump(traders), []
    rows = SyntheticSource(made, seconds=2.0, seed=1)
    while (block := rows.next_block()) is not None:
        left = block.copy()
        while len(left):
            asked.append(pump.feed(left).copy())
            left = left[pump.taken :]
    numbers = {int(number) for batch in asked for number in batch["instrument"]}
    assert numbers == {0, 1}


@pytest.mark.parametrize("break_it", ["cut", "instrument"])
def test_a_row_that_cannot_be_used_is_refused_where_it_stands(break_it: str) -> None:
    (trader,) = traders_of(1, Ring())
    pump = Pump((trader,))
    rows = np.zeros(2, EVENT)
    rows["kind"] = [Kind.TIMER, Kind.DEPTH]
    rows["ts_local_ns"] = S
    if break_it == "cut":
        rows["n_bids"][1] = 4
    else:
        rows["instrument"][1] = 3
    with pytest.raises(ValueError, match="row 1"):
        pump.feed(rows)
    assert pump.taken == 1
    pump.feed(rows[:1].copy())


def test_a_full_ring_asks_to_be_drained_first() -> None:
    ring = Ring(1024)
    (trader,) = traders_of(1, ring)
    pump = Pump((trader,))
    rows = np.zeros(1, EVENT)
    rows["kind"], rows["code"], rows["ts_local_ns"] = Kind.PAID, PaidCode.FUNDING, S
    n = 0
    while pump.feed(rows) is not None and pump.taken:
        n += 1
    assert 0 < n < 1024 and ring.lost == 0
    drained(ring)
    pump.feed(rows)
    assert pump.taken == 1


def test_traders_must_fit_together() -> None:
    (first, second) = traders_of(2, Ring())
    with pytest.raises(ValueError, match="one trader an instrument"):
        Pump((second, first))
    with pytest.raises(ValueError, match="share one Ring"):
        Pump((first, traders_of(2, Ring())[1]))
    with pytest.raises(ValueError, match="1 to 4096"):
        Pump(())
    with pytest.raises(ValueError, match="too small"):
        Pump(traders_of(2, Ring(1024)))
    with pytest.raises(ValueError, match="EVENT"):
        Pump((first,)).feed(np.zeros(1, RECORD))  # type: ignore[arg-type]


def test_orders_of_two_traders_have_names_of_their_own() -> None:
    orders = Orders(generation=3 << 24)
    assert orders.place(1, 100, 5) == (0, (3 << 24) + 1)


def test_late_messages_are_stamped_anew() -> None:
    rows = np.zeros(4, EVENT)
    rows["kind"][0], rows["n_bids"][0] = Kind.DEPTH, 4
    rows["ts_local_ns"] = [5, 77, 3, 9]  # the second is levels: they are left alone
    assert restamp(rows, 6) == 9
    assert rows["ts_local_ns"].tolist() == [6, 77, 6, 9]
    assert restamp(rows[:0], 4) == 4
