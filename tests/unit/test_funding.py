"""Funding: who holds a perpetual when its stamp comes pays or receives, to the last unit."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore._book import Book
from mmcore._channel import Latency
from mmcore._engine import Account, Market, Ring, Trader
from mmcore._ledger import Ledger
from mmcore._orders import Orders
from mmcore._rate import RateLimiter
from mmcore._signals import Signals
from mmcore._sim import SimLoop
from mmcore._spec import SpecBox
from mmcore._venue import RULES, Venue
from mmcore.events import EVENT, RECORD, ContractKind, Flag, Kind, PaidCode, RecordKind
from mmcore.journal import Journal, RunDirectory, read_records

from .test_sim import BOTH, MS, START, Desk, Rows, market_rows, message, two_sided, whole_blocks

HOUR = 3_600 * 1_000 * MS
STAMP = 1_700_000_000_000_000_000 // HOUR * HOUR + 2 * HOUR
RATE = 100_000_000  # 0.01 %
LINEAR = SpecBox("0.1", 3, "1", 1, 1, 0, 0, 0, 0, ContractKind.LINEAR, 0, 0)
INVERSE = SpecBox("0.1", 0, "100", 1, 1, 0, 0, 0, 0, ContractKind.INVERSE, 0, 0)
SPOT = SpecBox("0.1", 3, "1", 1, 1, 0, 0, 0, 0, ContractKind.SPOT, 0, 0)


def row(kind: Kind, ts_ns: int, **fields: int) -> Rows:
    rows = np.zeros(1, EVENT)
    rows["kind"], rows["flags"] = kind, BOTH
    rows["ts_venue_ns"] = rows["ts_local_ns"] = ts_ns
    for name, value in fields.items():
        rows[name] = value
    return rows


def book(ts_ns: int) -> Rows:
    levels = [(9_999, 5_000)], [(10_001, 5_000)]
    return message(ts_ns, *levels, flags=BOTH | Flag.SNAPSHOT)


class Holder:
    """A trader that holds a position and does nothing, at a venue with funding."""

    def __init__(
        self, held: int = 2_000, spec: SpecBox = LINEAR, rules: int = 0, clock: str = "local"
    ) -> None:
        self.ring = Ring(8_192)
        market = Market(spec, Book(spec), Signals((1, 5), tick_window=100))
        self.trader = Trader(
            market, two_sided(), orders=Orders(requote_bps=1.0), rate=RateLimiter(1000),
            account=Account(), ring=self.ring, position_max=1, position_start=held,
        )  # fmt: skip
        self.venue = Venue(spec, rules=rules, position=held)
        self.loop = SimLoop([self.trader], [self.venue], [Latency(3 * MS, 2 * MS)], clock=clock)

    def see(self, *rows: Rows) -> Rows:
        """What was paid, as records."""
        self.loop.feed(np.concatenate(rows))
        self.loop.run(1 << 40)
        self.loop.end()
        self.loop.run(1 << 40)
        out = np.zeros(8_192, RECORD)
        records = out[: self.ring.drain(out.view(np.uint8))].copy()
        return records[records["kind"] == RecordKind.PAID]


def told(*more: Rows, stamp: int = STAMP, rate: int = RATE) -> list[Rows]:
    """A book, a mark price of 1000, a funding rate, a row after the stamp."""
    before = STAMP - 60_000 * MS
    return [
        book(before),
        row(Kind.MARK, before + MS, tick=10_000, aux=1_000 * 10**8),
        row(Kind.FUNDING, before + 2 * MS, aux=rate, seq=stamp),
        *more,
        book(STAMP + 1_000 * MS),
    ]


@pytest.mark.parametrize("clock", ["local", "two"])
def test_a_long_pays_a_positive_rate_when_the_stamp_comes(clock: str) -> None:
    holder = Holder(held=2_000, clock=clock)
    (paid,) = holder.see(*told())
    assert paid["money"] == -20_000_000  # 2 * 1000 * 0.0001 = 0.2
    assert paid["code"] == PaidCode.FUNDING
    assert paid["seq"] == STAMP
    assert paid["ts_ns"] == STAMP + 2 * MS, "the news travels like any answer"
    assert holder.trader.state()["funding"] == -20_000_000


@pytest.mark.parametrize(
    ("held", "rate", "spec", "quanta"),
    [
        (-2_000, RATE, LINEAR, 20_000_000),
        (2_000, -RATE, LINEAR, 20_000_000),
        (50, RATE, INVERSE, -50_000),  # 50 contracts of 100 at 1000: 5 coins, 0.0005 of them
        (-50, RATE, INVERSE, 50_000),
    ],
)
def test_the_other_side_receives_and_inverse_pays_in_coin(
    held: int, rate: int, spec: SpecBox, quanta: int
) -> None:
    assert Holder(held, spec).see(*told(rate=rate))["money"].tolist() == [quanta]


@pytest.mark.parametrize(
    "holder", [Holder(0), Holder(2_000, SPOT), Holder(rules=RULES["no_funding"])]
)
def test_who_holds_nothing_spot_and_the_switch_pay_nothing(holder: Holder) -> None:
    assert len(holder.see(*told())) == 0


def test_the_last_rate_and_mark_before_the_stamp_count() -> None:
    late = [
        row(Kind.MARK, STAMP - MS, tick=20_000),
        row(Kind.FUNDING, STAMP - MS, aux=3 * RATE, seq=STAMP),
        row(Kind.MARK, STAMP, tick=90_000),
        row(Kind.FUNDING, STAMP, aux=7 * RATE, seq=STAMP + 8 * HOUR),
    ]
    assert Holder().see(*told(*late))["money"].tolist() == [-120_000_000]


def test_a_stamp_told_again_late_is_paid_once() -> None:
    again = [
        row(Kind.FUNDING, STAMP + MS, aux=RATE, seq=STAMP),
        row(Kind.FUNDING, STAMP + 2 * MS, aux=RATE, seq=STAMP + 10 * MS),
        row(Kind.FUNDING, STAMP + 3 * MS, aux=2 * RATE),  # changes only: the stamp stands
    ]
    paid = Holder().see(*told(*again))
    assert paid["money"].tolist() == [-20_000_000, -40_000_000]
    assert paid["seq"].tolist() == [STAMP, STAMP + 10 * MS]


def test_a_feed_that_never_says_when_pays_at_whole_hours() -> None:
    paid = Holder().see(*told(stamp=0))
    assert paid["seq"].tolist() == [STAMP]


def test_without_a_mark_price_the_mid_stands_in() -> None:
    rows = told()
    del rows[1]
    assert Holder().see(*rows)["money"].tolist() == [-20_000_000]


def test_silence_does_not_hide_a_stamp() -> None:
    holder = Holder()
    holder.loop.feed(np.concatenate(told()[:-1]))
    holder.loop.run(1 << 40)
    holder.loop.idle(120_000 * MS, 60_000 * MS)
    assert holder.trader.state()["funding"] == -20_000_000


@pytest.mark.parametrize("clock", ["local", "two"])
def test_what_is_held_at_the_venue_counts_whatever_we_know_of_it(clock: str) -> None:
    """Stamps every 250 ms while a strategy trades: each pays on the fills before it there."""
    desk = Desk(clock=clock)
    plain = market_rows(7, 1_500)
    stamps = [START + (250 * i + 7) * MS for i in range(1, 110)]
    rows = [row(Kind.FUNDING, at - 100 * MS, aux=RATE, seq=at) for at in stamps]
    messages = [plain[start:end] for start, end in pairwise(whole_blocks(plain, 1))]
    messages += [row(Kind.MARK, START, tick=10_000), *rows]
    desk.run(np.concatenate(sorted(messages, key=lambda each: each["ts_venue_ns"][0])))
    desk.finish()
    records = desk.journal
    fills = records[records["kind"] == RecordKind.FILL]
    paid = records[records["kind"] == RecordKind.PAID]
    expected = {}
    for stamp in stamps:
        counted = fills[fills["ts_ns"] - 2 * MS < stamp]
        held = int((counted["side"].astype(np.int64) * counted["qty"]).sum())
        if held:
            expected[stamp] = desk.specs[0].funding(1_000 * 10**8, held, RATE)
    assert len(expected) > 50
    assert dict(zip(paid["seq"].tolist(), paid["money"].tolist(), strict=True)) == expected
    assert desk.traders[0].state()["funding"] == sum(expected.values())


def test_the_journal_keeps_it_and_the_books_close(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "held")
    journal = Journal(directory)
    journal.append(Holder().see(*told()))
    journal.close()
    ledger = Ledger(LINEAR)
    for kept in read_records(directory.journal):
        ledger.receive(int(kept["money"]))
    assert ledger.funding == -20_000_000
    assert ledger.equity(9_999, 10_001) == -20_000_000


@given(
    inverse=st.booleans(),
    mark=st.integers(1, 10**14),
    held=st.integers(-(10**6), 10**6),
    rate=st.integers(-40_000_000_000, 40_000_000_000),
)
def test_against_exact_fractions(inverse: bool, mark: int, held: int, rate: int) -> None:
    price, share = Fraction(mark, 10**8), Fraction(rate, 10**12)
    value = held * 100 / price if inverse else Fraction(held, 1000) * price
    exact = -value * share * 10**8
    got = (INVERSE if inverse else LINEAR).funding(mark, held, rate)
    if abs(exact) < 2**63 - 1:
        assert got == round(exact)
    else:
        assert got == (2**63 - 1 if exact > 0 else 1 - 2**63)
