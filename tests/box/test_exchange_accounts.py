"""Wallets, fees, positions, margin, funding and liquidation, to the last unit."""

from decimal import Decimal

import pytest
from street import GTX, IOC, MIDDLE, ONE, SECOND, START, Street

from mmcore._ledger import Ledger
from mmcore.box.listing import open_exchange
from mmcore.box.money import half_even, up
from mmcore.box.orders import (
    AccountEvent,
    Ending,
    MarkEvent,
    NewOrder,
    Refusal,
    RefusalKind,
    Status,
)

HOUR = 3600 * SECOND
DEEP = [(1, ONE)]


def wallet(street, n=0):
    (held,) = street.accounts[n].wallets.values()
    return held


# ---- arithmetic


@pytest.mark.parametrize(
    ("numerator", "denominator", "nearest", "least"),
    [(5, 2, 2, 3), (7, 2, 4, 4), (-5, 2, -2, -2), (-7, 2, -4, -3), (9, 3, 3, 3), (1, 3, 0, 1)],
)
def test_one_rounding_half_even(numerator, denominator, nearest, least):
    assert half_even(numerator, denominator) == nearest
    assert up(numerator, denominator) == least


# ---- spot


def test_a_purchase_pays_its_fee_in_the_coin():
    street = Street("binance-spot", money=10_000, coins=1, asks=DEEP)
    order = street.buy(0, 1, 1_000_000, tif=IOC)  # 0.01 at 6000.01: a spot tick is a cent
    (fill,) = order.fills
    assert (fill.fee, fill.fee_asset, fill.value) == (1_000, "BTC", 6_000_010_000)
    assert street.balance(0, "BTC") == ONE + 1_000_000 - 1_000
    assert street.balance(0, "USDT") == 10_000 * ONE - 6_000_010_000
    assert order.fees == {"BTC": 1_000}
    assert street.position(0) == 999_000


def test_a_sale_pays_its_fee_in_money():
    street = Street("binance-spot", money=0, coins=1, bids=[(-1, ONE)])
    order = street.sell(0, -1, 1_000_000, tif=IOC)
    assert order.fees == {"USDT": 5_999_990}
    assert street.balance(0, "BTC") == ONE - 1_000_000
    assert street.balance(0, "USDT") == 5_999_990_000 - 5_999_990


def test_bybit_spot_fees_are_whole_units_of_the_coin():
    street = Street("bybit-spot", asks=DEEP)
    order = street.buy(0, 1, 1_234, tif=IOC)  # a unit is 1e-6
    assert order.fees == {"BTC": 100}  # 1.234 units of a hundred quanta each


def test_open_spot_orders_lock_what_they_may_need_exactly():
    street = Street("binance-spot", money=601, coins=1)
    held = wallet(street)
    order = street.buy(0, -1, 10_000_000)  # 0.1 at 5999.99
    assert held.locked == {"USDT": 59_999_900_000, "BTC": 0}
    assert held.available("USDT") == 601 * ONE - 59_999_900_000
    with pytest.raises(Refusal) as refused:
        street.buy(0, -1, 1_000_000)
    assert refused.value.kind is RefusalKind.BALANCE
    street.amend(order, qty=5_000_000)
    assert held.locked["USDT"] == 29_999_950_000
    street.sell(0, 5, ONE)
    assert held.locked["BTC"] == ONE
    with pytest.raises(Refusal) as refused:
        street.sell(0, 6, 1_000_000)
    assert refused.value.kind is RefusalKind.BALANCE
    street.exchange.cancel_all(street.accounts[0], None, street.now)
    assert held.locked == {"USDT": 0, "BTC": 0}


def test_a_replaced_orders_own_money_is_free_for_it():
    street = Street("binance-spot", money=600)
    order = street.buy(0, -1, 10_000_000)
    street.amend(order, tick=-2, qty=10_000_000)
    with pytest.raises(Refusal) as refused:
        street.amend(order, qty=10_100_000)
    assert refused.value.kind is RefusalKind.BALANCE


def test_a_market_purchase_needs_what_it_would_pay():
    deep = [(1, 5_000_000), (1_000, 95_000_000)]
    assert Street("binance-spot", money=601, asks=deep).market(0, 1, 10_000_000).filled
    with pytest.raises(Refusal) as refused:
        Street("binance-spot", money=600, asks=deep).market(0, 1, 10_000_000)
    assert refused.value.kind is RefusalKind.BALANCE


def test_a_market_purchase_does_not_count_on_its_own_accounts_orders():
    street = Street("binance-spot", money=600, bids=[(-2_000, ONE)], asks=[(1_000, ONE)])
    own = street.sell(0, -1_000, 10_000_000)  # 599 USDT would do, if it could meet that
    with pytest.raises(Refusal) as refused:
        street.market(0, 1, 10_000_000)
    assert refused.value.kind is RefusalKind.BALANCE
    assert own.open


# ---- derivatives


def test_fees_are_the_rate_times_the_notional_and_realised_profit_is_paid():
    street = Street()
    bought = street.buy(0, 1, 100, tif=IOC)  # 0.1 at 60,000.1, taker 5 bp
    assert bought.fees == {"USDT": 300_000_500}
    sold = street.sell(0, 3, 100, tif=GTX)
    street.depth([(3, 500)], [(1, 0), (2, 0), (4, 10)])
    assert sold.fees == {"USDT": 120_000_600}  # maker 2 bp
    assert sold.fills[0].realised == 2_000_000  # 0.2 USDT on 0.1
    assert street.balance(0, "USDT") == 1_000_000 * ONE - 300_000_500 - 120_000_600 + 2_000_000
    assert street.position(0) == 0


def test_a_position_is_booked_as_the_house_books_it():
    street = Street()
    account = street.accounts[0]
    account.fee_rates[street.floor] = (-5_000, 33_333)
    ledger = Ledger(street.floor.instrument.spec())
    for side, qty in [(1, 7), (1, 1_100), (-1, 1_301), (1, 901), (-1, 3)]:
        order = street.market(0, side, qty)
        for fill in order.fills:
            ledger.fill(side, fill.tick, fill.qty, fee=fill.fee, maker=fill.maker)
        street.depth([(-1, 1000), (-2, 800)], [(1, 1000), (2, 800)])
    position = account.positions[street.floor]
    assert (position.qty, position.cost, position.realised) == (
        ledger.position,
        ledger.cost,
        ledger.realised,
    )
    assert street.balance(0, "USDT") == 1_000_000 * ONE + ledger.realised - ledger.fees


def test_a_rebate_is_a_negative_fee():
    street = Street()
    street.accounts[0].fee_rates[street.floor] = (-1_000, 50_000)
    order = street.sell(0, 0, 100, tif=GTX)
    street.buy(1, 0, 100)
    assert order.fees == {"USDT": -6_000_000}


def test_prices_of_orders_and_positions():
    street = Street()
    order = street.buy(0, 2, 1_500, tif=IOC)
    assert order.avg_price == Decimal(60_000_1 * 1_000 + 60_000_2 * 500) / 15_000
    position = street.accounts[0].positions[street.floor]
    assert position.entry == order.avg_price
    street.sell(0, -1, 300, tif=IOC)
    assert position.entry == order.avg_price
    assert street.buy(1, -5, 5).avg_price == 0


def test_the_mark_is_the_middle_of_the_market_and_accounts_do_not_move_it():
    street = Street()
    assert street.floor.mark == street.floor.index_price == 60_000 * ONE
    street.buy(0, 0, 500)
    street.buy(0, 1, 1_000, tif=IOC)
    assert street.floor.mark == 60_000 * ONE
    street.depth([], [(1, 0)])
    assert street.floor.mark == 60_000 * ONE + ONE // 20
    street.depth([], [(2, 0)])
    assert street.floor.mark == 60_000 * ONE + ONE // 20, "the last one, while there is no other"


# ---- cross margin


def test_initial_margin_is_the_worst_sides_notional_over_the_leverage():
    street = Street()
    street.buy(0, 1, 100, tif=IOC)
    held = wallet(street)
    assert held.margin().initial == 6_000 * ONE // 20
    street.buy(0, -5, 50)
    street.sell(0, 5, 80)
    assert held.margin().initial == (6_000 * ONE + 599_995 * 50 * 10_000) // 20
    street.sell(0, 6, 300)
    worst = (600_005 * 80 + 600_006 * 300) * 10_000 - 6_000 * ONE
    assert held.margin().initial == worst // 20
    assert held.margin().position_initial == 300 * ONE
    street.sell(0, 7, 100, reduce_only=True)
    assert held.margin().initial == worst // 20


def test_orders_beyond_the_margin_are_refused_and_reducing_ones_are_not():
    street = Street(money=1_000)
    street.buy(0, -1, 300)  # 18,000 USDT at twenty times: 900
    with pytest.raises(Refusal) as refused:
        street.buy(0, -1, 40)
    assert refused.value.kind is RefusalKind.MARGIN
    assert street.sell(0, 5, 300).open, "the other side needs no more"
    with pytest.raises(Refusal) as refused:
        street.sell(0, 5, 40)
    assert refused.value.kind is RefusalKind.MARGIN
    street.exchange.cancel_all(street.accounts[0], None, street.now)
    street.buy(0, 1, 320, tif=IOC)
    assert wallet(street).available("USDT") < 40 * ONE
    assert street.sell(0, 5, 600).open, "turns the position round"


def test_an_order_that_takes_pays_its_fee_and_the_spread_from_what_is_available():
    street = Street(money=1_000)
    with pytest.raises(Refusal) as refused:
        street.market(0, 1, 333)  # 999 of margin, 10 of fees
    assert refused.value.kind is RefusalKind.MARGIN
    assert street.market(0, 1, 329).status is Status.FILLED
    figures = wallet(street).margin()
    assert 0 <= figures.equity - figures.initial < 4 * ONE


def test_a_purchase_far_above_the_mark_loses_at_once_and_needs_that_too():
    street = Street(money=1_000, asks=[(1, 1), (20_000, 1_000)])  # the second at 62,000
    with pytest.raises(Refusal) as refused:
        street.market(0, 1, 300)
    assert refused.value.kind is RefusalKind.MARGIN
    assert street.market(0, 1, 180).filled == 180


def test_an_amended_orders_own_margin_is_free_for_it():
    street = Street(money=1_000)
    order = street.buy(0, -1, 300)
    street.amend(order, tick=-2)
    street.amend(order, qty=330)
    with pytest.raises(Refusal) as refused:
        street.amend(order, qty=340)
    assert refused.value.kind is RefusalKind.MARGIN


def test_open_profit_can_be_used():
    street = Street(money=1_000)
    street.buy(0, 1, 100, tif=IOC)
    street.depth([(999, 500)], [(1, 0), (2, 0), (1_001, 500)])
    figures = wallet(street).margin()
    assert figures.unrealised == 10 * ONE - 1_000_000  # 100.0 on 0.1, less half the spread
    fee = 300_000_500
    assert wallet(street).available("USDT") == 1_000 * ONE - fee + figures.unrealised - (
        6_010 * ONE // 20
    )


def test_a_low_limit_does_not_make_a_sale_cheaper():
    street = Street(money=1_000, bids=[(-1, 1000)])
    with pytest.raises(Refusal) as refused:
        street.sell(0, -30_000, 340)
    assert refused.value.kind is RefusalKind.MARGIN


def test_a_unified_wallet_serves_spot_and_derivatives():
    exchange = open_exchange(
        1,
        start_ns=START,
        venues=["bybit-linear", "bybit-spot"],
        balances={"unified": {"USDT": 1_000 * ONE}},
    )
    linear, spot = exchange.floors[0], exchange.floors[2]
    first, second = exchange.accounts

    def buy(account, floor, usd):
        tick = floor.best(1)[0]
        lots = usd * ONE // floor.notional(tick, floor.instrument.lot_qty)
        new = NewOrder(floor=floor, side=1, qty=lots * floor.instrument.lot_qty, tick=tick, tif=GTX)
        return exchange.place(account, new, START)

    buy(first, spot, 900)
    assert first.wallets["unified"].locked["USDT"] > 890 * ONE
    with pytest.raises(Refusal) as refused:
        buy(first, linear, 2_400)
    assert refused.value.kind is RefusalKind.MARGIN
    assert buy(first, linear, 1_200).open

    buy(second, linear, 16_000)
    with pytest.raises(Refusal) as refused:
        buy(second, spot, 300)
    assert refused.value.kind is RefusalKind.BALANCE
    assert buy(second, spot, 100).open


# ---- funding


def test_funding_is_paid_at_whole_intervals_by_longs_when_the_rate_is_positive():
    street = Street(funding_interval_ns=HOUR, funding_rate=100_000_000)
    street.buy(0, 0, 100)
    street.sell(1, 0, 100)
    before = [street.balance(n, "USDT") for n in range(3)]
    due = street.floor.next_funding_ns
    assert due % HOUR == 0
    assert due - HOUR <= street.now < due
    street.pass_time(due - street.now)
    after = [street.balance(n, "USDT") for n in range(3)]
    paid = 6_000 * ONE // 10_000
    assert [b - a for a, b in zip(before, after, strict=True)] == [-paid, paid, 0]
    (payment,) = street.accounts[0].payments
    assert (payment.quanta, payment.qty, payment.ts_ns) == (-paid, 100, due)
    assert (payment.rate, payment.mark) == (100_000_000, 60_000 * ONE)
    assert street.floor.next_funding_ns == due + HOUR
    street.pass_time(3 * HOUR)
    assert len(street.accounts[0].payments) == 4
    why = [each.why for each in street.events if isinstance(each, AccountEvent)]
    assert why.count("funding") == 8


def test_funding_passes_over_idle_floors_and_spot():
    street = Street(funding_interval_ns=SECOND)
    street.pass_time(10**6 * SECOND)
    assert street.now < street.floor.next_funding_ns <= street.now + SECOND
    assert Street("binance-spot").floor.funding_interval_ns == 0


def test_marks_are_told_once_a_second():
    street = Street()
    for _ in range(30):
        street.pass_time(SECOND // 10)
    assert 3 <= sum(isinstance(each, MarkEvent) for each in street.events) <= 4


# ---- liquidation


def test_what_falls_below_the_maintenance_margin_is_closed_by_the_venue():
    street = Street(money=1_000)
    account = street.accounts[0]
    street.buy(0, 1, 320, tif=IOC)
    order = street.sell(0, 20_000, 10)
    limit = account.positions[street.floor].liquidation_price(wallet(street))
    # equity 990.3 less 0.032: the price may fall by 2,808 until 0.5 % of the rest is all there is
    assert 57_150 < limit < 57_250
    tick = int(limit * 10) - MIDDLE
    street.depth([(-1, 0), (-2, 0), (tick + 20, 400)], [(1, 0), (2, 0), (tick + 22, 100)])
    assert street.position(0) == 320
    street.depth([(tick + 20, 0), (tick - 20, 400)], [(tick + 22, 0), (tick - 10, 100)])
    assert street.position(0) == 0
    assert (order.status, order.ending) == (Status.CANCELED, Ending.LIQUIDATION)
    closing = account.history[-1]
    assert closing.extra == {"liquidation": True}
    assert (closing.side, closing.filled, closing.market) == (-1, 320, True)
    assert street.tape()[-1][:3] == (tick - 20, 320, -1)
    why = [each.why for each in street.events if isinstance(each, AccountEvent)]
    assert why[-1] == "liquidation"


def test_what_nobody_takes_is_closed_later_and_what_is_missing_the_insurance_pays():
    street = Street(money=1_000)
    street.buy(0, 1, 320, tif=IOC)
    street.depth([(-1, 0), (-2, 0), (-100_000, 100)], [(1, 0), (2, 0), (-99_990, 100)])
    assert street.position(0) == 220
    assert street.balance(0, "USDT") < 0
    assert street.exchange.insurance == {}
    street.depth([(-100_000, 500)], [])
    assert street.position(0) == 0
    assert street.balance(0, "USDT") == 0
    lost = sum(each.realised for each in street.accounts[0].fills)
    fees = sum(each.fee for each in street.accounts[0].fills)
    assert street.exchange.insurance == {"USDT": -(1_000 * ONE + lost - fees)}


def test_accounts_with_enough_are_left_alone():
    street = Street(money=1_000_000)
    street.buy(0, 1, 320, tif=IOC)
    street.depth([(-1, 0), (-2, 0), (-60_000, 100)], [(1, 0), (2, 0), (-59_990, 100)])
    assert street.position(0) == 320
    assert street.accounts[0].positions[street.floor].liquidation_price(wallet(street)) == 0
