"""Both sides of one account: what agrees, what differs, and what may differ for a moment."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcore.audit import Audit
from mmcore.events import RECORD, Flag, PaidCode, RecordKind, RejectCode
from mmcore.gateway import AccountState, Balance, ClientIds, VenueOrder
from mmcore.instrument import known

IDS = ClientIds("0123456789ab", 7)
LINEAR, SPOT = known("bybit-linear", "BTCUSDT"), known("bybit-spot", "ETHUSDT")
START = AccountState(
    orders=(), positions={0: 0, 1: 3_000_000}, balances={"USDT": Balance(10**12, 10**12)}
)


def row(kind: RecordKind, **fields: int) -> NDArray[np.void]:
    made = np.zeros(1, RECORD)
    made["kind"], made["generation"] = kind, 1
    for name, value in fields.items():
        made[name] = value
    return made


def order(slot: int = 0, *, tick: int = 600_000, qty: int = 10, done: int = 0) -> VenueOrder:
    return VenueOrder(
        instrument=0, client_id=IDS.make(slot, 1), venue_id="v", side=1, tick=tick, qty=qty,
        done=done, own=True,
    )  # fmt: skip


def state(
    *orders: VenueOrder, position: int = 0, coins: int = 3_000_000, money: int = 10**12
) -> AccountState:
    return AccountState(
        orders=orders,
        positions={0: position, 1: coins},
        balances={"USDT": Balance(money, money)},
    )


@pytest.fixture
def audit() -> Audit:
    return Audit({0: LINEAR, 1: SPOT}, START, IDS)


def place(audit: Audit, slot: int = 0) -> None:
    audit.see(row(RecordKind.PLACE, slot=slot, side=1, tick=600_000, qty=10))
    audit.see(row(RecordKind.ACK, slot=slot, tick=600_000, qty=10))


def test_an_account_at_rest_agrees(audit: Audit) -> None:
    place(audit)
    audit.open_window()
    said = audit.compare(state(order()))
    assert said.differences == ()
    assert said.ours == "1 open order, BTCUSDT 0.000, ETHUSDT 30.00000, USDT 10000.00000000"


def test_fills_fees_and_funding_move_position_and_money_to_the_quantum(audit: Audit) -> None:
    place(audit)
    audit.see(
        row(RecordKind.FILL, side=1, tick=600_000, qty=10, money=12_000_001, flags=int(Flag.LAST))
    )
    audit.see(row(RecordKind.PAID, code=PaidCode.FUNDING, money=-77))
    audit.open_window()
    assert audit.compare(state(position=10, money=10**12 - 12_000_078)).differences == ()
    said = audit.compare(state(position=10, money=10**12 - 12_000_077)).differences
    assert said == ("balance of USDT is 9999.87999923 at the venue and 9999.87999922 here",)


def test_spot_moves_coin_and_money_and_pays_in_the_coin(audit: Audit) -> None:
    audit.see(row(RecordKind.FILL, instrument=1, side=1, tick=268_000, qty=100_000))
    audit.see(row(RecordKind.PAID, instrument=1, code=PaidCode.COIN_FEE, tick=268_000, qty=100))
    audit.open_window()
    paid = SPOT.spec(1).notional(268_000, 100_000)
    assert audit.compare(state(coins=3_099_900, money=10**12 - paid)).differences == ()
    (said,) = audit.compare(state(coins=3_100_000, money=10**12 - paid)).differences
    assert said == "position of ETHUSDT is 31.00000 at the venue and 30.99900 here"


def test_what_became_true_while_the_venue_answered_is_no_difference(audit: Audit) -> None:
    place(audit)
    audit.open_window()
    audit.see(row(RecordKind.FILL, side=1, tick=600_000, qty=4, money=5))
    place(audit, slot=1)
    for answer in (
        state(order()),  # before the fill
        state(order(done=4), position=4, money=10**12 - 5),
        state(order(done=4), order(1), position=4, money=10**12 - 5),  # and after the second
    ):
        assert audit.compare(answer).differences == ()


def test_orders_that_only_one_side_knows_are_named(audit: Audit) -> None:
    place(audit)
    audit.open_window()
    assert audit.compare(state()).differences == (
        f"1 order in mmcore that the venue does not hold: {IDS.make(0, 1)}",
    )
    assert audit.compare(state(order(), order(5))).differences == (
        f"1 order at the venue that mmcore does not know: {IDS.make(5, 1)}",
    )
    earlier = ClientIds(IDS.prefix, 3).make(0, 1)
    stranger = VenueOrder(
        instrument=0, client_id=earlier, venue_id="v", side=1, tick=1, qty=1, done=0, own=True
    )
    assert earlier in audit.compare(state(order(), stranger)).differences[0]
    other = VenueOrder(
        instrument=0, client_id="web", venue_id="v", side=1, tick=1, qty=1, done=0, own=False
    )
    assert audit.compare(state(order(), other)).differences == ()


def test_the_engine_and_its_journal_must_know_the_same_orders(audit: Audit) -> None:
    place(audit)
    assert audit.against({(0, 1)}) == []
    assert audit.against({(0, 1), (4, 2)}) == [
        f"1 order in the engine or in its journal, and not in both: {IDS.make(4, 2)}"
    ]


def test_an_order_with_another_price_or_size_is_told(audit: Audit) -> None:
    place(audit)
    audit.open_window()
    (said,) = audit.compare(state(order(qty=7))).differences
    assert (
        said == f"order {IDS.make(0, 1)} is 0.007 at 60000.0 at the venue and 0.010 at 60000.0 here"
    )


def test_an_order_that_is_being_changed_is_left_alone(audit: Audit) -> None:
    place(audit)
    audit.see(row(RecordKind.AMEND, tick=600_010, qty=8))
    audit.open_window()
    for answer in (order(), order(tick=600_010, qty=8)):
        assert audit.compare(state(answer)).differences == ()
    audit.see(row(RecordKind.REJECT, code=RejectCode.FILTER))
    audit.open_window()
    assert audit.compare(state(order(tick=600_010, qty=8))).differences != ()


def test_money_is_not_compared_where_only_the_venue_knows_the_entry_price() -> None:
    start = AccountState(orders=(), positions={0: 5}, balances={"USDT": Balance(100, 100)})
    audit = Audit({0: LINEAR}, start, IDS)
    assert audit.compare(
        AccountState(orders=(), positions={0: 5}, balances={"USDT": Balance(999, 1)})
    ) == audit.compare(start)
    assert audit.ours() == "0 open orders, BTCUSDT 0.005"


def test_records_of_other_accounts_are_left_out() -> None:
    audit = Audit({1: SPOT}, START, IDS)
    audit.see(row(RecordKind.FILL, instrument=0, side=1, tick=600_000, qty=10))
    audit.see(np.zeros(0, RECORD))
    assert audit.compare(START).differences == ()
