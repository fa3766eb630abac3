"""The witness of the venue contract sees what an engine could not live with."""

import asyncio

import numpy as np
import pytest

from mmcore.events import BID, EVENT, Flag, Kind, RejectCode, RequestKind, TimeInForce
from mmcore.instrument import known
from mmcore.testing import VenueContract
from mmcore.witness import State, Witness

ITEM = known("bybit-linear", "BTCUSDT")


class Silent:
    """A gateway that answers nothing of its own."""

    def __init__(self):
        self.sent = []

    def send(self, requests):
        self.sent += requests.tolist()


@pytest.fixture
def witness():
    return Witness(Silent(), ITEM)


def tell(witness, order, kind, qty, **fields):
    row = np.zeros(1, EVENT)
    given = {"kind": kind, "side": BID, "slot": order.slot, "generation": order.generation,
             "tick": order.tick, "qty": qty, **fields}  # fmt: skip
    for name, value in given.items():
        row[name] = value
    witness.rows(row)


def test_an_orders_life_without_complaint(witness):
    order = witness.place(BID, 600_000, 10)
    assert witness.gateway.sent[0][0] == RequestKind.PLACE
    tell(witness, order, Kind.ACK, 10)
    assert order.state is State.LIVE
    tell(witness, order, Kind.FILL, 4, seq=1, aux=7, flags=Flag.MAKER)
    witness.amend(order, 599_990, 8)
    assert witness.gateway.sent[1][-1] == 4  # done, so that the venue's total is right
    tell(witness, order, Kind.AMENDED, 8, tick=599_990)
    assert (order.tick, order.left, order.done) == (599_990, 8, 4)
    tell(witness, order, Kind.FILL, 8, seq=2, aux=9, flags=Flag.MAKER | Flag.LAST)
    assert (order.end, order.done, order.fees, order.makers) == (Kind.FILL, 12, 16, 2)
    assert witness.ledger.position == 12
    assert witness.problems == []


def test_two_acknowledgements(witness):
    order = witness.place(BID, 600_000, 10)
    tell(witness, order, Kind.ACK, 10)
    tell(witness, order, Kind.ACK, 10)
    assert "acknowledged twice" in witness.problems[0]


def test_a_fill_told_twice(witness):
    order = witness.place(BID, 600_000, 10)
    tell(witness, order, Kind.FILL, 4, seq=5)
    tell(witness, order, Kind.FILL, 4, seq=5)
    assert "told twice" in witness.problems[0]


@pytest.mark.parametrize("kind", [Kind.ACK, Kind.AMENDED, Kind.CANCELLED, Kind.FILL])
def test_news_after_the_end(witness, kind):
    order = witness.place(BID, 600_000, 10)
    tell(witness, order, Kind.CANCELLED, 10)
    tell(witness, order, kind, 1, seq=9)
    assert "after the end" in witness.problems[0]


def test_more_filled_than_asked_for(witness):
    order = witness.place(BID, 600_000, 10)
    tell(witness, order, Kind.FILL, 11, seq=1)
    assert "more filled" in witness.problems[0]


def test_an_answer_about_nobodys_order(witness):
    order = witness.place(BID, 600_000, 10)
    order.generation += 1
    tell(witness, order, Kind.CANCELLED, 10)
    assert "nobody sent" in witness.problems[0]


def test_a_refused_cancel_leaves_the_order_alive(witness):
    order = witness.place(BID, 600_000, 10, tif=TimeInForce.GTC)
    tell(witness, order, Kind.ACK, 10)
    witness.cancel(order)
    tell(witness, order, Kind.REJECT, 10, code=RejectCode.RATE)
    assert (order.state, order.refusals) == (State.LIVE, [RejectCode.RATE])


def test_waiting_has_an_end(witness):
    order = witness.place(BID, 600_000, 10)
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: the end"):
        asyncio.run(witness.over(order, within_s=0.05))


def test_a_case_is_skipped_where_the_venue_cannot_do_it():
    class Unable:
        def run(self, work):
            work.close()
            raise NotImplementedError

    with pytest.raises(pytest.skip.Exception):
        VenueContract().test_32_the_venue_goes_away_and_comes_back(Unable())
