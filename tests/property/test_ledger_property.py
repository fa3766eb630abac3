"""The ledger against exact fractions, for linear and inverse contracts."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from mmcore._ledger import Ledger
from mmcore._spec import SpecBox
from mmcore.events import ContractKind

FILLS = st.lists(
    st.tuples(
        st.sampled_from([1, -1]),
        st.integers(1_000, 2_000_000),
        st.integers(1, 10**7),
        st.integers(-(10**6), 10**7),
    ),
    min_size=1,
    max_size=60,
)


def _spec(kind: ContractKind) -> SpecBox:
    if kind is ContractKind.INVERSE:
        return SpecBox("0.1", 0, "100", 1, 1, 0, 0, 0, 0, int(kind), 0, 0)
    return SpecBox("0.1", 3, "1", 1, 1, 0, 0, 0, 0, int(kind), 0, 0)


def _notional(kind: ContractKind, tick: int, qty: int) -> Fraction:
    price = Fraction(tick, 10)
    if kind is ContractKind.INVERSE:
        return Fraction(qty * 100) / price * 10**8
    return Fraction(qty, 1000) * price * 10**8


@given(kind=st.sampled_from(list(ContractKind)), fills=FILLS)
def test_against_exact_fractions(
    kind: ContractKind, fills: list[tuple[int, int, int, int]]
) -> None:
    ledger = Ledger(_spec(kind))
    sign = 1 if kind is ContractKind.INVERSE else -1
    cash, position, fees = Fraction(0), 0, 0
    for side, tick, qty, fee in fills:
        ledger.fill(side, tick, qty, fee=fee)
        cash += sign * side * _notional(kind, tick, qty)
        position += side * qty
        fees += fee
        assert ledger.position == position
        assert ledger.fees == fees
        if position == 0:
            assert ledger.cost == 0
        assert ledger.cash == ledger.realised + sign * ledger.cost
    # One rounding a fill: off by at most half a quantum each.
    assert abs(ledger.cash - cash) <= Fraction(len(fills), 2)
    bid, ask = 600_000, 600_003
    if kind is ContractKind.INVERSE:
        equity = cash - Fraction(position * 100 * 2 * 10, bid + ask) * 10**8 - fees
    else:
        equity = cash + _notional(kind, bid + ask, position) / 2 - fees
    assert abs(ledger.equity(bid, ask) - equity) <= Fraction(len(fills), 2) + 1


@given(
    kind=st.sampled_from(list(ContractKind)),
    tick=st.integers(1000, 10**6),
    qty=st.integers(1, 10**8),
)
def test_there_and_back_at_one_price_costs_only_fees(
    kind: ContractKind, tick: int, qty: int
) -> None:
    ledger = Ledger(_spec(kind))
    ledger.fill(1, tick, qty, fee=7)
    ledger.fill(-1, tick, qty, fee=5)
    assert (ledger.position, ledger.cash, ledger.cost, ledger.realised) == (0, 0, 0, 0)
    assert ledger.equity(tick, tick + 1) == -12


def test_a_flip_opens_at_the_new_price() -> None:
    ledger = Ledger(_spec(ContractKind.LINEAR))
    ledger.fill(1, 1000, 1000)  # 1.000 at 100.0
    ledger.fill(-1, 1100, 3000)  # 3.000 at 110.0: 10.0 made on one, two short at 110.0
    assert ledger.realised == 10 * 10**8
    assert ledger.cost == -220 * 10**8
    assert ledger.position == -2000


@given(fills=FILLS, fee_qty=st.integers(-1_000, 1_000), paid=st.integers(-(10**6), 10**6))
def test_a_fee_in_the_coin_keeps_coin_money_and_fees_true(
    fills: list[tuple[int, int, int, int]], fee_qty: int, paid: int
) -> None:
    ledger = Ledger(_spec(ContractKind.SPOT))
    coin = money = fees = turnover = 0
    for side, tick, qty, fee in fills:
        ledger.fill(side, tick, qty, fee=fee)
        worth = int(_notional(ContractKind.SPOT, tick, qty))
        coin, money, fees = coin + side * qty, money - side * worth - fee, fees + fee
        turnover += worth
        ledger.coin_fee(tick, fee_qty)
        coin -= fee_qty
        fees += int(_notional(ContractKind.SPOT, tick, fee_qty))
        assert ledger.position == coin
        assert ledger.cash - ledger.fees == money  # a coin fee costs no money
        assert ledger.fees == fees
        assert ledger.turnover == turnover  # and is no trade
        assert ledger.cash == ledger.realised - ledger.cost
        if coin == 0:
            assert ledger.cost == 0
    before = ledger.equity(600_000, 600_003)
    ledger.receive(paid)
    assert ledger.funding == paid
    assert ledger.equity(600_000, 600_003) == before + paid
