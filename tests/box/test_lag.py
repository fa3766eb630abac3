"""Balances that are told late."""

import pytest

from mmcore.box.accounts import Account, Credentials
from mmcore.box.faults import Do, Faults
from mmcore.box.lag import Balances
from mmcore.box.orders import AccountEvent

MS = 1_000_000


class Desk:
    """Two accounts without floors, a clock set by hand, and balances under faults."""

    def __init__(self):
        self.now_ns = 0
        self.faults = Faults(1, lambda: self.now_ns)
        self.one, self.two = (
            Account(name, "binance", {}, {"spot": {"USDT": 100}}, Credentials(key=name))
            for name in ("one", "two")
        )
        self.balances = Balances((self.one, self.two), self.faults, lambda: self.now_ns)

    def earn(self, account, quanta):
        account.wallets["spot"].add("USDT", quanta)
        self.balances.hear(AccountEvent(account, "fill", ("USDT",), (), self.now_ns))

    def told(self, account):
        return self.balances.wallet(account, "spot").balances["USDT"]


@pytest.fixture
def desk():
    return Desk()


def test_without_a_fault_the_wallet_itself_is_read(desk):
    desk.earn(desk.one, 5)
    assert desk.balances.wallet(desk.one, "spot") is desk.one.wallets["spot"]


def test_a_balance_is_told_so_much_later_and_each_change_in_its_turn(desk):
    desk.faults.apply(do=Do.BALANCE_LAG, where="account", ms=500, seconds=2.0)
    desk.earn(desk.one, 5)
    desk.earn(desk.two, 7)
    desk.now_ns = 200 * MS
    desk.earn(desk.one, 10)
    told = []
    for ms in (200, 499, 500, 699, 700):
        desk.now_ns = ms * MS
        told.append((desk.told(desk.one), desk.told(desk.two)))
    assert told == [(100, 100), (100, 100), (105, 107), (105, 107), (115, 107)]
    assert desk.balances.wallet(desk.one, "spot") is desk.one.wallets["spot"]
    assert [fired.subject for fired in desk.faults.fired] == ["one fill", "two fill", "one fill"]


def test_what_happens_after_the_lag_does_not_overtake_what_is_still_held_back(desk):
    desk.faults.apply(do=Do.BALANCE_LAG, where="account", ms=500, seconds=0.1)
    desk.earn(desk.one, 5)
    desk.now_ns = 200 * MS  # the fault is over, the change is still under way
    desk.earn(desk.one, 10)
    assert desk.told(desk.one) == 100
    desk.now_ns = 500 * MS
    assert desk.told(desk.one) == 115


def test_another_venue_is_not_late(desk):
    desk.faults.apply(do=Do.BALANCE_LAG, where="account", venue="bybit", ms=500, seconds=2.0)
    desk.earn(desk.one, 5)
    assert desk.told(desk.one) == 105


def test_what_is_told_is_a_copy(desk):
    desk.faults.apply(do=Do.BALANCE_LAG, where="account", ms=500, seconds=2.0)
    desk.earn(desk.one, 5)
    desk.balances.wallet(desk.one, "spot").add("USDT", 999)
    assert desk.told(desk.one) == 100
    assert desk.one.wallets["spot"].balances["USDT"] == 105
