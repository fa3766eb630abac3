"""The research interface refuses what it would otherwise misunderstand in silence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mmcore._channel import Latency
from mmcore._replay import Outcome, Replay
from mmcore._venue import Venue
from mmcore.events import BID, EVENT, Flag, Kind
from mmcore.instrument import known

BTC = known("binance-usdm", "BTCUSDT")


def replay(rows: object) -> Replay:
    return Replay(rows, Venue(BTC.spec()), Latency(1_000, 1_000))  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [[1, 2], np.zeros(3), np.zeros(3, "V64"), None])
def test_rows_that_are_no_events_are_refused(rows: object) -> None:
    with pytest.raises(TypeError, match=r"no array of mmcore\.events\.EVENT rows"):
        replay(rows)


def test_a_message_that_is_cut_off_is_refused() -> None:
    rows = np.zeros(2, EVENT)
    rows["kind"][0], rows["flags"][0] = Kind.DEPTH, Flag.EXCH | Flag.LOCAL
    rows["n_bids"][0] = 5
    with pytest.raises(ValueError, match="cut off"):
        replay(rows)
    rows["n_bids"][0] = 4
    replay(rows).elapse(1)


@pytest.mark.parametrize(
    "call",
    [
        lambda one: one.submit(1, BID, 60_000.5, 10),
        lambda one: one.submit(1, BID, 600_000, 0.01),
        lambda one: one.modify(1, 60_000.5, 10),
    ],
)
def test_a_price_or_quantity_with_decimals_is_refused(call: Callable[[Replay], int]) -> None:
    with pytest.raises(TypeError, match="float"):
        call(replay(np.zeros(0, EVENT)))


def test_nothing_is_no_venue_no_latency_and_no_instrument() -> None:
    rows = np.zeros(0, EVENT)
    with pytest.raises(TypeError, match="'venue'"):
        Replay(rows, None, Latency())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'latency'"):
        Replay(rows, Venue(BTC.spec()), None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'spec'"):
        Venue(None)  # type: ignore[arg-type]


def test_integers_of_numpy_are_integers() -> None:
    one = replay(np.zeros(0, EVENT))
    assert one.submit(1, BID, np.int64(600_000), np.int32(10)) == Outcome.OK
    assert one.submit(1, BID, 600_000, 10) == Outcome.ID_EXISTS


@pytest.mark.parametrize("pass_time", [Replay.elapse, Replay.wait_feed])
def test_time_does_not_go_backwards(pass_time: Callable[[Replay, int], int]) -> None:
    with pytest.raises(ValueError, match="does not go backwards"):
        pass_time(replay(np.zeros(0, EVENT)), -1)
