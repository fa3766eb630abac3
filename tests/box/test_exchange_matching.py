"""How orders of accounts meet the market and each other, and what the public sees of it."""

import pytest
from street import FOK, GTC, GTX, IOC, Street

from mmcore.box.orders import Ending, Refusal, RefusalKind, Status


def test_a_resting_order_is_part_of_the_public_book():
    street = Street()
    street.buy(0, -1, 50)
    street.sell(1, 3, 70)
    assert street.book() == ([(-1, 1050), (-2, 800)], [(1, 1000), (2, 800), (3, 70)])


def test_an_order_between_the_markets_prices_is_the_touch():
    street = Street()
    street.buy(0, 0, 50)
    assert street.book(1) == ([(0, 50)], [(1, 1000)])
    with pytest.raises(Refusal) as refused:
        street.sell(1, 0, 50, tif=GTX)
    assert refused.value.kind is RefusalKind.POST_ONLY


def test_an_arriving_order_takes_what_is_shown_level_by_level_and_rests_with_the_rest():
    street = Street()
    order = street.buy(0, 2, 2_000)
    assert street.fills(order) == [(1, 1000), (2, 800)]
    assert order.status is Status.PARTIAL
    assert street.book() == ([(2, 200), (-1, 1000), (-2, 800)], [])
    assert street.tape() == [(1, 1000, 1, order.id, 0), (2, 800, 1, order.id, 0)]


def test_what_was_taken_is_gone_until_the_feed_sets_the_level_again():
    street = Street()
    street.buy(0, 1, 400, tif=IOC)
    assert street.book()[1] == [(1, 600), (2, 800)]
    street.depth([], [(2, 900)])
    assert street.book()[1] == [(1, 600), (2, 900)]
    street.depth([], [(1, 1000)])
    assert street.book()[1] == [(1, 1000), (2, 900)]


def test_two_accounts_meet_in_one_print():
    street = Street()
    maker = street.sell(0, 0, 50)
    taker = street.buy(1, 0, 80)
    assert street.fills(maker) == street.fills(taker) == [(0, 50)]
    assert maker.fills[0].trade_id == taker.fills[0].trade_id == street.floor.last_trade_id
    assert maker.fills[0].maker and not taker.fills[0].maker
    assert street.tape() == [(0, 50, 1, taker.id, maker.id)]
    assert street.book(1)[0] == [(0, 30)]


def test_at_one_price_the_market_ahead_goes_first_then_the_order_then_the_market_behind():
    street = Street()
    order = street.sell(0, 1, 50)  # behind the 1000 that stand there
    street.depth([], [(1, 1200)])  # 200 join behind it
    taker = street.buy(1, 1, 1_100, tif=IOC)
    assert street.tape() == [
        (1, 1000, 1, taker.id, 0),
        (1, 50, 1, taker.id, order.id),
        (1, 50, 1, taker.id, 0),
    ]
    assert street.book()[1] == [(1, 150), (2, 800)]


def test_accounts_at_one_price_stand_in_order_of_arrival():
    street = Street()
    first, second = street.sell(0, 0, 50), street.sell(1, 0, 50)
    taker = street.buy(2, 0, 70, tif=IOC)
    assert [each.filled for each in (first, second, taker)] == [50, 20, 70]


def test_an_order_that_would_meet_one_of_its_own_account_ends_that_one():
    street = Street()
    own = street.sell(0, 0, 50)
    order = street.buy(0, 0, 80)
    assert (own.status, own.ending, own.filled) == (Status.EXPIRED, Ending.SELF_TRADE, 0)
    assert (order.status, order.filled) == (Status.NEW, 0)
    assert street.words(own) == ["new", "expired"]
    assert street.tape() == []


def test_post_only_is_judged_by_the_accounts_own_orders_too():
    street = Street()
    street.sell(0, 0, 50)
    with pytest.raises(Refusal) as refused:
        street.buy(0, 0, 80, tif=GTX)
    order = refused.value.order
    assert (order.status, order.ending) == (Status.REJECTED, Ending.POST_ONLY)
    assert street.exchange.find(street.accounts[0], order_id=order.id) is order
    assert street.words(order) == ["rejected"]


def test_immediate_or_cancel_leaves_nothing_behind():
    street = Street()
    order = street.buy(0, 1, 1_500, tif=IOC)
    assert (order.status, order.ending, order.filled) == (
        Status.EXPIRED,
        Ending.NO_LIQUIDITY,
        1_000,
    )
    assert street.words(order) == ["new", "fill", "expired"]


def test_fill_or_kill_counts_the_orders_of_others_and_not_its_own_accounts():
    street = Street(asks=[(2, 800)])
    street.sell(1, 1, 50)
    own = street.sell(0, 1, 50)
    assert street.buy(0, 2, 900, tif=FOK).filled == 0
    assert own.open
    order = street.buy(0, 2, 850, tif=FOK)
    assert order.status is Status.FILLED
    assert own.ending is Ending.SELF_TRADE


def test_a_market_order_walks_the_book_and_never_rests():
    street = Street()
    order = street.market(0, 1, 5_000)
    assert (order.filled, order.status, order.ending) == (
        1_800,
        Status.EXPIRED,
        Ending.NO_LIQUIDITY,
    )
    with pytest.raises(Refusal) as refused:
        street.market(1, 1, 10)
    assert refused.value.kind is RefusalKind.NO_LIQUIDITY


def test_a_print_of_the_market_is_shared_by_the_orders_in_its_way():
    street = Street()
    better, same = street.buy(0, 0, 50), street.buy(1, -1, 50)
    street.prints(-1, -1, 1_070)  # 1000 stood ahead of the second order
    assert (better.filled, same.filled) == (50, 20)
    assert better.fills[0].maker and better.fills[0].tick == street.floor.trades[0].tick
    assert street.tape() == [
        (0, 50, -1, better.id, 0),
        (-1, 20, -1, same.id, 0),
        (-1, 1_000, -1, 0, 0),
    ]


def test_a_print_behind_the_queue_is_the_markets_own():
    street = Street()
    order = street.buy(0, -1, 50)
    street.prints(-1, -1, 400)
    street.prints(-1, -1, 620)
    assert order.filled == 20
    assert [each[1] for each in street.tape()] == [400, 20, 600]
    assert [each.id for each in street.floor.trades] == [1, 2, 3]


def test_a_market_that_moves_onto_an_order_trades_with_it_first():
    street = Street()
    order = street.sell(0, 3, 500)
    street.depth([(3, 300), (2, 100)], [(1, 0), (2, 0), (5, 100)])
    assert street.fills(order) == [(3, 300)]
    assert street.tape() == [(3, 300, 1, 0, order.id)]
    assert street.book() == ([(2, 100), (-1, 1000), (-2, 800)], [(3, 200), (5, 100)])
    street.depth([(3, 1_000)], [])
    assert order.status is Status.FILLED
    assert street.book(1)[0] == [(3, 800)]


def test_by_what_the_market_crosses_itself_is_not_shown():
    street = Street()
    since = street.floor.update_id
    street.depth([(1, 10)], [])
    assert street.book() == ([(-1, 1000), (-2, 800)], [(2, 800)])
    changes = street.floor.changes(since)
    assert [qty for _, qty in changes.bids + changes.asks] == [0, 0]
    since = street.floor.update_id
    street.depth([(1, 0)], [])
    assert street.book() == ([(-1, 1000), (-2, 800)], [(1, 1000), (2, 800)])
    assert [qty for _, qty in street.floor.changes(since).asks] == [1000]


def test_less_than_a_lot_is_not_shown_and_not_traded():
    street = Street("binance-spot", asks=[(1, 1_500_999), (2, 5_000_000)])
    assert street.book()[1] == [(1, 1_500_000), (2, 5_000_000)]
    order = street.buy(0, 1, 2_000_000)
    assert order.filled == 1_500_000
    assert street.book(1) == ([(1, 500_000)], [(2, 5_000_000)])


def test_the_book_goes_on_trading_where_a_recording_has_a_gap():
    street = Street()
    street.clear()
    assert street.book() == ([], [])
    maker = street.sell(0, 1, 50)
    assert street.buy(1, 1, 20).fills[0].order.filled == 20
    street.depth([(-1, 10)], [(1, 10)], snapshot=True)
    assert street.book() == ([(-1, 10)], [(1, 40)])
    assert maker.left == 30


def test_changes_are_absolute_and_span_any_cadence():
    street = Street()
    since = street.floor.update_id
    order = street.buy(0, 0, 50)
    street.depth([(-1, 900)], [(1, 0)])
    street.cancel(order)
    changes = street.floor.changes(since)
    assert (changes.first_id, changes.last_id) == (since + 1, street.floor.update_id)
    assert [(tick - 600_000, qty) for tick, qty in changes.bids] == [(0, 0), (-1, 900)]
    assert [(tick - 600_000, qty) for tick, qty in changes.asks] == [(1, 0)]
    same = street.floor.changes(street.floor.update_id)
    assert (same.bids, same.asks) == ([], [])


def test_a_subscriber_too_far_behind_gets_no_changes():
    street = Street()
    since = street.floor.update_id
    for qty in range(1, 4_097):
        street.depth([(-3, qty)], [])
    assert street.floor.changes(since) is not None
    street.depth([(-3, 5)], [])
    assert street.floor.changes(since) is None
    assert street.floor.changes(since + 1) is not None


def test_changes_are_remembered_up_to_so_many_levels(monkeypatch):
    monkeypatch.setattr("mmcore.box.floor.LOG_TICKS", 10)
    street = Street()
    since = street.floor.update_id
    street.depth([(-3, 1), (-4, 1), (-5, 1), (-6, 1), (-7, 1)], [])
    assert len(street.floor.changes(since).bids) == 5
    street.depth([(-3, 2), (-4, 2), (-5, 2), (-6, 2), (-7, 2)], [(7, 1)])
    assert street.floor.changes(since) is None
    assert len(street.floor.changes(since + 1).bids) == 5


def test_an_amend_to_less_keeps_the_place_and_to_more_or_elsewhere_loses_it():
    street = Street()
    first, second = street.sell(0, 0, 50), street.sell(1, 0, 50)
    street.amend(first, qty=40)
    street.buy(2, 0, 10)
    assert (first.filled, second.filled) == (10, 0)
    street.amend(first, qty=60)
    street.buy(2, 0, 10)
    assert (first.filled, second.filled) == (10, 10)
    assert first.amendments == 2
    assert street.words(first) == ["new", "amended", "fill", "amended"]


def test_an_amend_may_trade_and_a_post_only_one_ends_instead():
    street = Street()
    order, careful = street.buy(0, -1, 50), street.buy(0, -1, 60, tif=GTX)
    street.amend(order, tick=1, qty=70)
    assert (order.status, order.filled, order.qty) == (Status.FILLED, 70, 70)
    street.amend(careful, tick=1)
    assert (careful.status, careful.ending) == (Status.EXPIRED, Ending.POST_ONLY)
    assert street.book(1)[0] == [(-1, 1000)]


@pytest.mark.parametrize("tif", [GTC, GTX])
def test_a_cancel_takes_the_order_off_the_book(tif):
    street = Street()
    order = street.buy(0, 0, 50, tif=tif)
    street.cancel(order)
    assert (order.status, order.ending) == (Status.CANCELED, Ending.USER)
    assert street.book(1)[0] == [(-1, 1000)]
    with pytest.raises(Refusal) as refused:
        street.cancel(order)
    assert refused.value.kind is RefusalKind.ALREADY_DONE


def test_who_joins_a_level_that_was_taken_from_stands_behind_what_is_left_of_it():
    street = Street()
    street.buy(0, 1, 400, tif=IOC)
    order = street.sell(1, 1, 50)  # behind 600
    street.depth([], [(1, 1_500)])
    street.buy(0, 1, 660, tif=IOC)
    assert order.filled == 50


def test_a_queue_ahead_of_less_than_a_lot_holds_nobody_up():
    street = Street("binance-spot", asks=[(1, 1_500_999)])
    order = street.sell(1, 1, 1_000_000)
    street.depth([], [(1, 5_000_000)])
    taker = street.buy(0, 1, 2_000_000, tif=IOC)
    assert [each[1] for each in street.tape()] == [1_500_000, 500_000]
    assert (order.filled, taker.filled) == (500_000, 2_000_000)


def test_a_side_that_is_cleared_uncovers_what_stood_crossed_behind_it():
    street = Street()
    street.depth([(2, 10)], [])  # crossed: neither this bid nor the asks at 1 and 2 are shown
    order = street.buy(0, 1, 50)
    assert order.filled == 0
    street.clear(1)
    assert order.filled == 50
    assert street.book() == ([], [(1, 950), (2, 800)])
