"""What is refused, what may be changed, and how orders are found again."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from street import FOK, GTC, GTX, IOC, MIDDLE, ONE, SECOND, Street

from mmcore.box import accounts
from mmcore.box.orders import (
    AccountEvent,
    Ending,
    NewOrder,
    Refusal,
    RefusalKind,
    Status,
)


def refused(kind, call, *args, **options):
    with pytest.raises(Refusal) as caught:
        call(*args, **options)
    assert caught.value.kind is RefusalKind[kind]
    return caught.value


# ---- filters


@pytest.mark.parametrize(
    ("kind", "tick", "qty"),
    [
        ("MIN_QTY", 0, 0),
        ("MIN_QTY", 0, -5),
        ("MAX_QTY", 0, 1_000_001),
        ("NOTIONAL", 0, 1),
        ("TICK", -MIDDLE, 5),
        ("TICK", -MIDDLE - 1, 5),
        ("TICK", 10**30, 5),
        ("MAX_QTY", 0, 10**30),
    ],
)
def test_the_venues_filters(kind, tick, qty):
    street = Street()
    refused(kind, street.buy, 0, tick, qty)
    assert street.accounts[0].open == {} and street.book(1) == ([(-1, 1000)], [(1, 1000)])


def test_quantities_are_whole_lots():
    street = Street("binance-spot")
    refused("LOT", street.buy, 0, -1, 1_500_001)
    refused("MIN_QTY", street.buy, 0, -1, 500)


def test_hyperliquids_prices_have_five_significant_figures_or_are_whole():
    street = Street("hyperliquid", "BTC")
    refused("TICK", street.buy, 0, -5, 500)  # 59,999.5
    assert street.buy(0, -10, 500).open


def test_a_limit_too_far_beyond_the_mark_is_refused_the_other_way_is_free():
    street = Street(band_percent=5)
    refused("PRICE_BAND", street.buy, 0, 30_001, 5)
    refused("PRICE_BAND", street.sell, 0, -30_001, 5)
    assert street.buy(0, -60_000, 5).open
    assert street.sell(0, 30_000, 5).open


def test_the_band_ends_on_the_last_legal_price_within_it():
    floor = Street(band_percent=5, asks=[(2, 1_000)]).floor  # the mark is 60,000.05
    assert (floor.band(-1), floor.band(1)) == (570_001, 630_000)
    coarse = Street("hyperliquid", "BTC", band_percent=5, asks=[(2, 1_000)]).floor
    assert (coarse.band(-1), coarse.band(1)) == (570_010, 630_000)


def test_a_market_order_goes_no_further_than_the_band():
    street = Street(band_percent=1, asks=[(1, 10), (6_001, 10)])
    assert street.market(0, 1, 15).filled == 10


@given(
    venue=st.sampled_from(["binance-usdm", "binance-spot", "hyperliquid"]),
    side=st.sampled_from([1, -1, 0, 7]),
    tick=st.integers() | st.integers(-MIDDLE, 2 * MIDDLE),
    qty=st.integers() | st.integers(0, 100).map(lambda n: n * 1_000),
    tif=st.sampled_from([GTC, GTX, IOC, FOK]),
    market=st.booleans(),
    reduce_only=st.booleans(),
    band=st.sampled_from([0, 5]),
)
def test_any_figures_are_an_order_or_a_refusal(
    venue, side, tick, qty, tif, market, reduce_only, band
):
    street = Street(venue, "BTC" if venue == "hyperliquid" else "BTCUSDT", band_percent=band)
    with suppress(Refusal):
        street.place(0, side, tick, qty, tif=tif, market=market, reduce_only=reduce_only)


def test_what_makes_no_sense_is_refused():
    street = Street("binance-spot")
    refused("BAD_PARAM", street.place, 0, 0, 1, 1_000_000)
    refused("BAD_PARAM", street.buy, 0, 1, 1_000_000, reduce_only=True)
    refused("BAD_PARAM", street.place, 0, 1, 0, 1_000_000, market=True, tif=GTX)
    other = Street("bybit-linear")
    order = NewOrder(floor=other.floor, side=1, qty=10, tick=MIDDLE)
    refused("BAD_PARAM", street.exchange.place, street.accounts[0], order, street.now)


def test_a_market_orders_value_counts_too():
    street = Street()
    refused("NOTIONAL", street.market, 0, 1, 1)
    refused("LOT", Street("binance-spot").market, 0, 1, 1_500_001)


def test_so_many_open_orders_and_no_more():
    street = Street(orders_max=2)
    first = street.buy(0, -5, 5)
    street.buy(0, -6, 5)
    refused("TOO_MANY_ORDERS", street.buy, 0, -7, 5)
    assert street.buy(1, -7, 5).open
    street.cancel(first)
    assert street.buy(0, -7, 5).open


# ---- client ids


def test_binance_client_ids_are_unique_among_open_orders():
    street = Street()
    order = street.buy(0, -5, 5, client_id="a")
    assert refused("DUPLICATE_CLIENT_ID", street.buy, 0, -6, 5, client_id="a").order is order
    assert street.buy(1, -6, 5, client_id="a").open
    street.cancel(order)
    again = street.buy(0, -6, 5, client_id="a")
    assert street.exchange.find(street.accounts[0], client_id="a") is again


def test_bybit_client_ids_are_never_accepted_twice():
    street = Street("bybit-linear")
    order = street.buy(0, -5, 10, client_id="a")
    street.cancel(order)
    assert refused("DUPLICATE_CLIENT_ID", street.buy, 0, -6, 10, client_id="a").order is order
    refused("POST_ONLY", street.buy, 0, 1, 10, client_id="b", tif=GTX)
    refused("DUPLICATE_CLIENT_ID", street.buy, 0, -6, 10, client_id="b")


def test_a_refused_order_uses_no_client_id():
    street = Street("bybit-linear")
    refused("MIN_QTY", street.buy, 0, -5, 0, client_id="a")
    assert street.buy(0, -5, 10, client_id="a").open


def test_hyperliquid_client_ids_may_repeat():
    street = Street("hyperliquid", "BTC")
    first = street.buy(0, -10, 500, client_id="a")
    second = street.buy(0, -20, 500, client_id="a")
    assert street.exchange.find(street.accounts[0], client_id="a") is second
    street.cancel(second)
    assert street.exchange.find(street.accounts[0], order_id=first.id) is first


# ---- amends, cancels, finding


def test_what_an_amend_refuses_leaves_the_order_as_it_was():
    street = Street(band_percent=5)
    order = street.buy(0, -1, 50)
    for kind, change in [
        ("NOT_CHANGED", {}),
        ("NOT_CHANGED", {"tick": -1, "qty": 50}),
        ("PRICE_BAND", {"tick": 60_000}),
        ("NOTIONAL", {"qty": 1}),
        ("MAX_QTY", {"qty": 2_000_000}),
    ]:
        assert refused(kind, street.amend, order, **change).order is order
    assert (order.tick, order.qty, order.amendments) == (MIDDLE - 1, 50, 0)
    assert street.book(1)[0] == [(-1, 1050)]


def test_an_amended_quantity_is_the_new_total():
    street = Street()
    order = street.buy(0, 0, 50)
    street.sell(1, 0, 20)
    refused("QTY_BELOW_DONE", street.amend, order, qty=20)
    street.amend(order, qty=45)
    assert (order.left, order.status) == (25, Status.PARTIAL)
    assert street.book(1)[0] == [(0, 25)]


def test_nobody_touches_another_accounts_order():
    street = Street()
    order = street.buy(0, -1, 50)
    stranger = street.accounts[1]
    refused("UNKNOWN_ORDER", street.exchange.cancel, stranger, order, street.now)
    refused("UNKNOWN_ORDER", street.exchange.amend, stranger, order, qty=10, now_ns=street.now)
    assert street.exchange.find(stranger, order_id=order.id) is None


def test_cancel_all_of_an_account_leaves_the_others():
    street = Street()
    mine = [street.buy(0, -5, 5), street.sell(0, 5, 5)]
    other = street.buy(1, -5, 5)
    assert street.exchange.cancel_all(street.accounts[0], None, street.now) == mine
    assert [each.ending for each in mine] == [Ending.USER, Ending.USER]
    assert other.open
    assert street.exchange.cancel_all(street.accounts[0], street.floor, street.now) == []


def test_order_ids_rise_and_a_refused_order_takes_none():
    street = Street()
    first = street.buy(0, -5, 5)
    refused("NOTIONAL", street.buy, 0, -5, 1)
    assert street.buy(1, -5, 5).id == first.id + 1


def test_history_is_bounded_and_forgets_the_oldest(monkeypatch):
    monkeypatch.setattr("mmcore.box.clearing.HISTORY", 3)
    street = Street()
    account = street.accounts[0]
    orders = [street.buy(0, -5, 5, client_id=f"c{n}") for n in range(5)]
    for order in orders:
        street.cancel(order)
    assert list(account.history) == orders[2:]
    find = street.exchange.find
    assert find(account, order_id=orders[1].id) is None
    assert find(account, client_id="c1") is None
    assert find(account, client_id="c2") is orders[2]
    assert find(account, client_id="") is None
    assert find(account, order_id=orders[4].id, floor=street.floor) is orders[4]


def test_a_forgotten_order_does_not_take_a_later_one_of_its_client_id_along(monkeypatch):
    monkeypatch.setattr("mmcore.box.clearing.HISTORY", 1)
    street = Street()
    first = street.cancel(street.buy(0, -5, 5, client_id="a"))
    second = street.cancel(street.buy(0, -5, 5, client_id="a"))
    assert street.exchange.find(street.accounts[0], order_id=first.id) is None
    assert street.exchange.find(street.accounts[0], client_id="a") is second


def test_credentials_are_never_shown():
    secret = "very-secret-indeed"
    held = accounts.Credentials(key=secret, secret=secret, private_key=secret, address=secret)
    assert secret not in repr(held)
    assert secret not in repr(Street().accounts[0])


# ---- reduce-only


def long(street, qty):
    return street.buy(0, 1, qty, tif=IOC)


def test_reduce_only_without_a_position_is_refused():
    street = Street()
    refused("REDUCE_ONLY", street.sell, 0, 5, 10, reduce_only=True)
    long(street, 10)
    refused("REDUCE_ONLY", street.buy, 0, -5, 10, reduce_only=True)


def test_reduce_only_is_cut_to_the_position_and_needs_no_least_value():
    street = Street()
    long(street, 10)
    order = street.sell(0, 5, 50, reduce_only=True)
    assert (order.qty, order.left) == (10, 10)
    street.cancel(order)
    assert street.sell(0, 5, 1, reduce_only=True).open


def test_reduce_only_shrinks_and_ends_with_the_position():
    street = Street()
    long(street, 10)
    orders = [street.sell(0, 5, 10, reduce_only=True), street.sell(0, 6, 2, reduce_only=True)]
    street.sell(0, -1, 7, tif=IOC)
    assert [each.left for each in orders] == [3, 2]
    assert street.book()[1][-2:] == [(5, 3), (6, 2)]
    street.sell(0, -1, 3, tif=IOC)
    assert [each.ending for each in orders] == [Ending.REDUCE_ONLY] * 2
    assert [each.status for each in orders] == [Status.EXPIRED] * 2
    assert street.book()[1][-1] == (2, 800)


def test_reduce_only_never_turns_a_position_round():
    street = Street()
    long(street, 10)
    first = street.sell(0, 0, 10, reduce_only=True)
    second = street.sell(0, 0, 10, reduce_only=True)
    taker = street.buy(1, 0, 30, tif=IOC)
    assert (first.filled, second.filled, taker.filled) == (10, 0, 10)
    assert street.position(0) == 0
    assert second.ending is Ending.REDUCE_ONLY


def test_fill_or_kill_does_not_count_what_two_reduce_only_orders_promise_twice():
    street = Street(asks=[(3, 100)])
    street.buy(0, 3, 10, tif=IOC)
    street.sell(0, 0, 10, reduce_only=True)
    street.sell(0, 0, 10, reduce_only=True)
    assert street.buy(1, 0, 15, tif=FOK).filled == 0
    assert street.buy(1, 0, 10, tif=FOK).filled == 10


# ---- dead man's switch


def test_a_countdown_cancels_when_it_runs_out_and_not_when_it_is_renewed():
    street = Street()
    account = street.accounts[0]
    order = street.buy(0, -5, 5)
    at = street.now + 10 * SECOND
    street.exchange.countdown(account, street.floor, at, street.now)
    street.pass_time(9 * SECOND)
    street.exchange.countdown(account, street.floor, at + 5 * SECOND, street.now)
    street.pass_time(4 * SECOND)
    assert order.open
    street.pass_time(3 * SECOND)
    assert (order.status, order.ending) == (Status.CANCELED, Ending.COUNTDOWN)
    assert order.updated_ns == at + 5 * SECOND
    assert street.buy(0, -5, 5).open
    street.pass_time(60 * SECOND)
    assert len(account.open) == 1


def test_a_countdown_can_be_taken_away_and_can_be_for_the_whole_account():
    street = Street()
    order = street.buy(0, -5, 5)
    for at in (street.now + SECOND, None):
        street.exchange.countdown(street.accounts[0], None, at, street.now)
    street.pass_time(2 * SECOND)
    assert order.open
    street.exchange.countdown(street.accounts[0], None, street.now + SECOND, street.now)
    street.pass_time(2 * SECOND)
    assert order.ending is Ending.COUNTDOWN


# ---- settings


def test_leverage_within_bounds_and_affordable():
    street = Street(money=10_000)
    account, floor, change = street.accounts[0], street.floor, street.exchange.set_leverage
    change(account, floor, 50, street.now)
    assert account.positions[floor].leverage == 50
    refused("NOT_CHANGED", change, account, floor, 50, street.now)
    for leverage in (0, 126):
        refused("LEVERAGE", change, account, floor, leverage, street.now)
    long(street, 1_000)  # 60,000 USDT
    refused("MARGIN", change, account, floor, 5, street.now)
    assert account.positions[floor].leverage == 50
    spot = Street("binance-spot")
    refused("BAD_PARAM", spot.exchange.set_leverage, spot.accounts[0], spot.floor, 5, spot.now)


def test_modes_change_only_while_nothing_is_open():
    street = Street()
    account, floor, exchange = street.accounts[0], street.floor, street.exchange
    order = street.buy(0, -5, 5)
    refused("POSITION_MODE", exchange.set_margin_mode, account, floor, "isolated", street.now)
    refused("POSITION_MODE", exchange.set_hedge_mode, account, True, street.now)
    refused("POSITION_MODE", exchange.set_multi_assets, account, True, street.now)
    refused("NOT_CHANGED", exchange.set_margin_mode, account, floor, "cross", street.now)
    refused("NOT_CHANGED", exchange.set_hedge_mode, account, False, street.now)
    refused("BAD_PARAM", exchange.set_margin_mode, account, floor, "portfolio", street.now)
    street.cancel(order)
    exchange.set_margin_mode(account, floor, "isolated", street.now)
    exchange.set_multi_assets(account, True, street.now)
    exchange.set_hedge_mode(account, True, street.now)
    refused("POSITION_MODE", street.buy, 0, -5, 5)
    why = [each.why for each in street.events if isinstance(each, AccountEvent)]
    assert why[-3:] == ["config"] * 3


def test_money_comes_and_goes_as_far_as_it_is_free():
    street = Street("binance-spot", money=1_000)
    account, transfer = street.accounts[0], street.exchange.transfer
    transfer(account, "spot", "USDT", 500 * ONE, street.now)
    assert street.balance(0, "USDT") == 1_500 * ONE
    street.buy(0, -MIDDLE + 100_000, 10_000_000)  # 0.1 at 1000.0
    refused("BALANCE", transfer, account, "spot", "USDT", -1_500 * ONE, street.now)
    refused("BAD_PARAM", transfer, account, "usdm", "USDT", ONE, street.now)
    transfer(account, "spot", "USDT", -500 * ONE, street.now)
