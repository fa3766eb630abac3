"""Numbers of book updates: a client that keeps the venue's rule always has the venue's book."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from mmcore.box.binance_books import GATHER_NS, Cursor, Numbers, Prints
from mmcore.box.floor import Changes
from mmcore.box.orders import Trade


class Floor:
    """Bids only; the log of changes may be cut, as a real one is."""

    def __init__(self):
        self.update_id, self.ts_ns = 0, 0
        self.bids = {100: 5, 99: 5}
        self.log = []
        self.forgot = False

    def set(self, tick, qty):
        self.bids[tick] = qty
        self.bids = {tick: qty for tick, qty in self.bids.items() if qty}
        self.update_id += 1
        self.log.append(tick)

    def forget(self):
        self.log.clear()
        self.forgot = True

    def top(self, side, n):
        levels = sorted(self.bids.items(), reverse=True) if side > 0 else []
        return levels[:n]

    def changes(self, since):
        n = self.update_id - since
        if n > len(self.log):
            return None
        ticks = set(self.log[len(self.log) - n :])
        bids = [(tick, self.bids.get(tick, 0)) for tick in ticks]
        return Changes(since + 1, self.update_id, bids, [], self.ts_ns)


class Client:
    """Keeps futures' rule (U <= id <= u, then pu) or spot's (U <= id + 1 <= u, then U)."""

    def __init__(self, numbers, *, spot):
        self.numbers, self.spot = numbers, spot
        self.cursor = Cursor(numbers)
        self.book, self.last = None, None
        self.n_joined = 0

    def join(self):
        shot = self.numbers.snapshot(1000)
        self.book, self.last = dict(shot.bids), shot.id
        self.fresh = True

    def hear(self):
        update = self.cursor.update()
        if self.book is None:
            return
        if self.fresh:
            first = self.last + self.spot
            if update.last < first:
                return
            if update.first > first:
                assert self.numbers.floor.forgot  # the snapshot is too old, but for that never
                self.book = None
                return
            self.fresh = False
            self.n_joined += 1
        elif (update.first != self.last + 1) if self.spot else (update.previous != self.last):
            self.book = None  # a gap: a new snapshot is needed
            return
        self.last = update.last
        for tick, qty in update.bids:
            if qty:
                self.book[tick] = qty
            else:
                self.book.pop(tick, None)
        assert self.book == self.numbers.floor.bids


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(90, 110), st.integers(0, 3)),
        st.tuples(st.sampled_from(["join", "hear"]), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("forget"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS)
def test_whoever_keeps_the_rule_has_the_book(steps):
    floor = Floor()
    numbers = Numbers(floor)
    clients = [Client(numbers, spot=spot) for spot in (False, True, False)]
    for do, n, qty in steps:
        if do == "set":
            floor.set(n, qty)
        elif do == "forget":
            floor.forget()
        else:
            getattr(clients[n], do)()
    for client in clients:
        client.hear()
    floor.forgot = False
    for client in clients:
        client.n_joined = 0
        client.join()
        client.hear()
        client.hear()
        assert client.n_joined  # at the second event at the latest


def trade(number, tick=100, side=1, ts_ns=0, taker=7):
    orders = {"buy_order_id" if side > 0 else "sell_order_id": taker}
    return Trade(id=number, tick=tick, qty=1, side=side, ts_ns=ts_ns, **orders)


def test_prints_of_one_taker_at_one_price_are_one():
    prints = Prints([trade(1), trade(2)])
    assert prints.add(trade(3, tick=101)).last == 2
    assert prints.add(trade(4, tick=101, taker=8)).first == 3
    assert prints.add(trade(5, tick=101, taker=8, ts_ns=GATHER_NS)).qty == 1
    assert prints.add(trade(6, tick=101, side=-1, taker=8, ts_ns=GATHER_NS)).id == 4
    assert prints.close().side == -1 and prints.close() is None
    assert [each.id for each in prints.aggregates] == [1, 2, 3, 4, 5]


def test_prints_between_strangers_are_gathered_by_the_moment():
    prints = Prints()
    assert prints.add(trade(1, taker=0)) is None
    assert prints.add(trade(2, taker=0)) is None
    assert prints.add(trade(3, taker=0, ts_ns=1)).last == 2


def test_an_update_of_nothing_says_a_level_again():
    floor = SimpleNamespace(
        update_id=4, ts_ns=0, top=lambda side, n: [(100, 5), (99, 6)][:n],
        changes=lambda since: Changes(since + 1, 4, [], [], 0),
    )  # fmt: skip
    update = Cursor(Numbers(floor)).update()
    assert (update.first, update.last, update.previous) == (5, 5, 4)
    assert update.bids == [(99, 6)]
