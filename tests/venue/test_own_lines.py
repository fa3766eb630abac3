"""Own orders where a request did not leave, or is known never to arrive."""

from __future__ import annotations

import pytest
from own_desk import AMEND, CANCEL, PLACE, SECOND, Desk, request

from mmcore.events import Kind, RejectCode, RequestKind
from mmcore.gateway import VenueOrder


def test_what_never_left_is_refused_but_a_cancel_is_still_wanted():
    desk = Desk()
    new, old = desk.place(0), desk.place(1)
    desk.own.resting(old, 100, 5, 0)
    desk.own.cancelling(request(CANCEL, 1, 1))
    desk.rows.clear()
    desk.own.not_sent(new, PLACE)
    desk.own.not_sent(old, CANCEL)
    assert desk.told() == [("REJECT", 5)]  # the engine asks for no second cancel meanwhile
    for _ in range(12):  # nobody answers: the questions become rare
        desk.now += 5 * SECOND
        assert desk.own.unresolved(desk.now) == [old]
    assert desk.own.unresolved(desk.now + SECOND) == []
    resting = VenueOrder(
        instrument=0, client_id=old.client_id, venue_id="v", side=1, tick=100, qty=5, done=0,
        own=True,
    )  # fmt: skip
    old.sent_ns = desk.now
    assert desk.own.refill([resting], (), asked_ns=desk.now) == []
    assert desk.own.unresolved(desk.now + 1) == [old]  # the line is back: at once
    desk.own.ended(old, Kind.CANCELLED, RejectCode.NONE, 0)
    assert desk.told()[-1] == ("CANCELLED", 5)


@pytest.mark.parametrize("op", [PLACE, AMEND])
def test_what_was_made_void_is_known_at_once(op: RequestKind):
    desk = Desk()
    own = desk.place()
    if op is AMEND:
        desk.own.resting(own, 100, 5, 0)
        desk.own.amending(request(AMEND, 0, 1, tick=101, qty=5))
    desk.rows.clear()
    desk.own.unknown(own, op)
    assert desk.own.unresolved(desk.now) == [own]
    desk.own.void(own)
    if op is AMEND:
        assert desk.rows == []
        desk.own.resting(own, 100, 5, 0, asked=True)
    assert desk.told() == [("REJECT", 5)]
    desk.own.void(own)
    assert len(desk.rows) == 1
