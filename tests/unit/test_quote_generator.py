"""The first document's usage, and what its original did wrong: fills, ghosts, limits, sides."""

from dataclasses import dataclass

import pytest

from mmcore.events import Status
from mmcore.instrument import known
from mmcore.quote_generator import Execution, QuoteGenerator, SimulatedClient, side_of

S = 10**9
BTC = known("binance-usdm", "BTCUSDT")


@dataclass
class Touch:
    best_bid: float = 59_999.9
    best_ask: float = 60_000.1
    ts_local_ns: int = S
    health: int = Status.OK

    def at(self, seconds, mid=60_000.0):
        return Touch(mid - 0.1, mid + 0.1, round(seconds * S))


def make(rate_limit=10, orders_per_side=4, client=None, **options):
    client = client or SimulatedClient({"BTCUSDT": BTC}, maker_fee=2e-4)
    client.set_touch("BTCUSDT", 59_999.9, 60_000.1)
    generator = QuoteGenerator(client, 10_000, 12, orders_per_side, 10, rate_limit, **options)
    return client, generator


def test_usage_example_of_the_first_document():
    client = SimulatedClient({"BTCUSDT": BTC})
    client.set_touch("BTCUSDT", 59_999.9, 60_000.1)
    asset, leverage, orders_per_side, final_order_distance, rate_limit = 10_000, 12, 4, 10, 10
    quote_gen = QuoteGenerator(
        client, asset, leverage, orders_per_side, final_order_distance, rate_limit
    )
    assert quote_gen.update_grid(client.executions, 0.3, Touch(), "BTCUSDT")
    assert len(client.open_orders("BTCUSDT")) == 8
    assert quote_gen.max_position_usd == pytest.approx(111_600.0)
    buys = [order.price for order in quote_gen.live_buys_orders]
    sells = [order.price for order in quote_gen.live_sells_orders]
    assert buys == sorted(buys, reverse=True) and sells == sorted(sells)


def test_nothing_happens_inside_the_band():
    client, generator = make()
    assert generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    calls = list(client.calls)
    assert not generator.update_grid([], 0.9, Touch().at(2, 60_100.0), "BTCUSDT")
    assert client.calls == calls
    assert generator.update_grid([], 0.0, Touch().at(3, 60_170.0), "BTCUSDT")


def test_an_old_grid_is_built_anew():
    _, generator = make()
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    assert not generator.update_grid([], 0.0, Touch().at(181), "BTCUSDT")
    assert generator.update_grid([], 0.0, Touch().at(182), "BTCUSDT")


def test_a_partial_fill_books_its_own_quantity_and_keeps_the_rest_live():
    client, generator = make(size_profile="flat")
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    best = generator.live_buys_orders[0]
    client.trade("BTCUSDT", -1, best.price, 0.1)
    assert generator.check_for_fills(client.executions) == 1
    assert generator.position == 0.1 and generator.live_buys_orders[0].filled_qty == 0.1
    assert generator.cash == pytest.approx(-0.1 * best.price * (1 + 2e-4))
    client.trade("BTCUSDT", -1, best.price, best.quantity)
    generator.check_for_fills(client.executions)
    assert best not in generator.live_buys_orders
    assert generator.position == pytest.approx(best.quantity)


def test_the_same_executions_twice_change_nothing():
    client, generator = make()
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    client.trade("BTCUSDT", 1, 61_000.0, 0.7)
    generator.check_for_fills(client.executions)
    before = generator.position, generator.cash, list(generator.live_sells_orders)
    assert generator.check_for_fills(client.executions) == 0
    assert (generator.position, generator.cash, generator.live_sells_orders) == before


def test_a_fill_of_an_unknown_order_is_booked_and_other_symbols_are_not():
    _, generator = make()
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    fills = [
        Execution("1", "gone", "BTCUSDT", side_of("SELL"), 0.2, 60_100.0),
        Execution("2", "x", "ETHUSDT", 1, 5.0, 3_000.0),
        Execution("3", "x", "BTCUSDT", 1, 0.0, 60_000.0),
    ]
    assert generator.check_for_fills(fills) == 1
    assert generator.position == -0.2 and generator.cash == pytest.approx(0.2 * 60_100)


def test_a_fill_builds_the_grid_anew_and_keeps_what_still_fits():
    client, generator = make()
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    best = generator.live_buys_orders[0]
    client.trade("BTCUSDT", -1, best.price, best.quantity)
    before = {order.order_id for order in client.open_orders("BTCUSDT")}
    assert generator.update_grid(client.executions, 0.0, Touch().at(1.5), "BTCUSDT")
    assert generator.inventory_delta == pytest.approx(
        best.quantity * 60_000 / generator.max_position_usd
    )
    live = client.open_orders("BTCUSDT")
    assert len(live) == 8 and {order.order_id for order in live} != before
    known_ids = {o.order_id for o in generator.live_buys_orders + generator.live_sells_orders}
    assert known_ids == {order.order_id for order in live}


def test_an_unchanged_grid_sends_nothing():
    client, generator = make()
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    calls = list(client.calls)
    assert generator.update_grid([], 0.0, Touch().at(400), "BTCUSDT")
    assert client.calls == calls


def test_every_order_has_its_own_answer():
    client = SimulatedClient(
        {"BTCUSDT": BTC}, refuse=lambda order: "margin" if order.price < 59_000 else ""
    )
    client, generator = make(client=client)
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    assert {reason for _, reason in generator.refused} == {"margin"}
    assert all(order.price >= 59_000 for order in generator.live_buys_orders)
    assert len(generator.live_sells_orders) == 4


def test_batches_of_ten_each_one_call():
    client, generator = make(orders_per_side=12, size_profile="flat")
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    assert len(client.open_orders("BTCUSDT")) == 24 and client.calls == ["place"] * 3


def test_never_more_calls_than_the_limit_in_any_second():
    client, generator = make(rate_limit=5)
    stamps = []
    for i in range(400):
        seconds = 1 + i * 0.037
        mid = 60_000.0 + 400 * (i % 2)
        client.set_touch("BTCUSDT", mid - 0.1, mid + 0.1)
        before = len(client.calls)
        generator.update_grid(client.executions, 0.0, Touch().at(seconds, mid), "BTCUSDT")
        stamps += [seconds] * (len(client.calls) - before)
    assert len(stamps) > 20
    for i in range(len(stamps)):
        assert sum(1 for t in stamps if stamps[i] <= t < stamps[i] + 1.0 - 1e-9) <= 5


@pytest.mark.parametrize("rate_limit", [2, 3])
def test_quotes_are_not_cancelled_when_new_ones_cannot_be_sent(rate_limit):
    client, generator = make(rate_limit=rate_limit)
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    live = client.open_orders("BTCUSDT")
    client.set_touch("BTCUSDT", 60_999.9, 61_000.1)
    assert not generator.update_grid([], 0.0, Touch().at(1.1, 61_000.0), "BTCUSDT")
    assert client.open_orders("BTCUSDT") == live
    assert generator.update_grid([], 0.0, Touch().at(3, 61_000.0), "BTCUSDT")
    assert not set(client.open_orders("BTCUSDT")) & set(live)


def test_what_the_limit_holds_back_is_returned():
    client, generator = make(rate_limit=3)
    orders = generator.generate_quotes(Touch(), 0.0, "BTCUSDT") * 5
    left = generator.send_batch_orders(orders)
    assert left == orders[20:] and client.calls == ["place"] * 2  # one call is kept for cancels


def test_an_unsound_book_pulls_all_quotes_on_the_reserve():
    client, generator = make(rate_limit=3)
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    gap = Touch(ts_local_ns=S + 1, health=Status.GAP)
    assert not generator.update_grid([], 0.0, gap, "BTCUSDT")
    assert client.open_orders("BTCUSDT") == [] and generator.live_buys_orders == []


class Deaf(SimulatedClient):
    """Loses every cancel."""

    def batch_cancel(self, symbol, order_ids):
        self.calls.append("cancel")


def test_a_side_with_an_order_that_would_not_die_gets_no_second_one():
    client, generator = make(client=Deaf({"BTCUSDT": BTC}))
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    client.set_touch("BTCUSDT", 60_999.9, 61_000.1)
    assert generator.update_grid([], 0.0, Touch().at(3, 61_000.0), "BTCUSDT")
    assert len(client.open_orders("BTCUSDT")) == 8
    assert len(generator.live_buys_orders) == len(generator.live_sells_orders) == 4


def test_a_position_that_is_already_there():
    _, generator = make()
    generator.adopt("BTCUSDT", -0.5)
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    assert generator.position == -0.5
    assert generator.inventory_delta == pytest.approx(-30_000 / generator.max_position_usd)


def test_a_generator_quotes_one_symbol():
    _, generator = make()
    generator.update_grid([], 0.0, Touch(), "BTCUSDT")
    with pytest.raises(ValueError, match="not ETHUSDT"):
        generator.update_grid([], 0.0, Touch(), "ETHUSDT")
    with pytest.raises(LookupError):
        make()[1].update_grid([], 0.0, Touch(), "ETHUSDT")


def test_post_only_orders_never_take():
    client, _ = make()
    generator = make(client=client)[1]
    orders = generator.generate_quotes(Touch(), 0.0, "BTCUSDT")
    client.set_touch("BTCUSDT", 50_000.0, 50_000.1)  # the market moved while they travelled
    generator.send_batch_orders(orders)
    assert {reason for _, reason in generator.refused} == {"would take"}
    assert generator.live_buys_orders == []


@pytest.mark.parametrize(
    ("word", "side"), [("Buy", 1), ("BUY", 1), ("B", 1), (1, 1), ("Sell", -1), ("A", -1), (-1, -1)]
)
def test_sides_in_every_venue_spelling(word, side):
    assert side_of(word) == side
    with pytest.raises(ValueError, match="executionReport"):
        side_of("executionReport")
