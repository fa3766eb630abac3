"""Markets told order by order: tapes, bad days, and the queue model at the front door."""

import json
from pathlib import Path

import numpy as np
import pytest
from l3_tape import BUY, EXCH, FILL, LOCAL, SELL, tape
from made_tapes import read

from mmcore._book import Book
from mmcore._tally import Tally
from mmcore._venue import Venue
from mmcore.backtest import Choices, backtest
from mmcore.config import load, loads
from mmcore.convert import convert
from mmcore.errors import ConfigError, DataError
from mmcore.events import ASK, BID, EVENT, REQUEST, ContractKind, Flag, Kind, RequestKind, Status
from mmcore.instrument import Instrument
from mmcore.retrace import Recorded, retrace
from mmcore.tables import read_npz
from mmcore.tape import TapeSource

ITEM = Instrument(
    venue="synthetic", symbol="L3", kind=ContractKind.LINEAR, tick="0.1", qty_decimals=2, lot="0.01"
)
BOTH = int(Flag.EXCH | Flag.LOCAL)
ADD, CANCEL = Kind.ORDER_ADD, Kind.ORDER_CANCEL
CHANGE, EXECUTE = Kind.ORDER_CHANGE, Kind.ORDER_EXECUTE
Told = tuple[Kind, int, int, int, int]


def rows_of(*told: Told) -> np.ndarray:
    """Rows a nanosecond apart: kind, id, side, tick, qty."""
    rows = np.zeros(len(told), EVENT)
    for at, (kind, number, side, tick, qty) in enumerate(told):
        rows[at]["kind"], rows[at]["aux"], rows[at]["side"] = kind, number, side
        rows[at]["tick"], rows[at]["qty"], rows[at]["flags"] = tick, qty, BOTH
        rows[at]["ts_venue_ns"] = rows[at]["ts_local_ns"] = at + 1
    return rows


def summed(*told: Told) -> tuple[Tally, dict[int, int], dict[int, int]]:
    tally = Tally()
    book = Book(ITEM.spec(0))
    book.bind(np.concatenate([tally.run(rows_of(*told)), tally.end()]))
    book.run()
    bids, asks = (dict(book.levels(side).tolist()) for side in (BID, ASK))
    return tally, bids, asks


@pytest.mark.parametrize(
    ("told", "doubt", "bids"),
    [
        ((CANCEL, 7, BID, 0, 0), "an order that is not there: left out", {99: 5}),
        ((CHANGE, 7, BID, 98, 4), "an order that is not there: left out", {99: 5}),
        ((EXECUTE, 7, BID, 99, 4), "an order that is not there: left out", {99: 5}),
        ((ADD, 1, BID, 98, 3), "an order that is there already: taken as a change", {98: 3}),
        ((EXECUTE, 1, BID, 99, 6), "more traded than the order holds", {99: 5}),
        ((ADD, 8, BID, 0, 3), "a side, price or quantity that cannot be: left out", {99: 5}),
        ((ADD, 8, 0, 99, 3), "a side, price or quantity that cannot be: left out", {99: 5}),
        ((CHANGE, 1, BID, 99, -3), "a side, price or quantity that cannot be", {99: 5}),
    ],
)
def test_a_row_that_cannot_be_true_is_told_and_the_levels_stay_right(
    told: Told, doubt: str, bids: dict[int, int]
) -> None:
    tally, found, _ = summed((ADD, 1, BID, 99, 5), (ADD, 2, ASK, 101, 5), told)
    assert found == bids
    assert [(each.row, each.what.startswith(doubt)) for each in tally.doubts] == [(2, True)]


def test_a_change_of_price_is_one_message() -> None:
    tally = Tally()
    rows = tally.run(rows_of((ADD, 1, BID, 99, 5), (ADD, 2, BID, 99, 4), (CHANGE, 1, BID, 98, 6)))
    depth = rows[-2:]
    assert (int(depth[0]["kind"]), int(depth[0]["n_bids"])) == (Kind.DEPTH, 2)
    assert depth[1:].view("<i8").tolist()[:4] == [99, 4, 98, 6]


def test_a_level_among_orders_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1: a level among orders"):
        Tally().run(rows_of((ADD, 1, BID, 99, 5), (Kind.DEPTH, 0, BID, 98, 5)))


def test_a_venue_without_room_for_more_orders_fills_nothing_until_a_clear() -> None:
    venue = Venue(ITEM.spec(0), queue="fifo", orders_max=2)
    adds = [(ADD, i, BID, 99, 5) for i in range(3)]
    venue.market(rows_of((Kind.CLEAR, 0, 0, 0, 0), *adds))
    counters = venue.book.order_counters
    assert counters is not None
    assert (counters.resting, counters.full) == (2, 1)
    assert venue.book.health == Status.FULL
    venue.market(rows_of((Kind.CLEAR, 0, 0, 0, 0), adds[0]))
    assert venue.book.health != Status.FULL


def test_own_orders_share_what_was_executed_behind_them() -> None:
    venue, tally = Venue(ITEM.spec(0), queue="fifo"), Tally()
    start = rows_of((ADD, 1, BID, 99, 5), (ADD, 2, ASK, 101, 5), (Kind.OTHER, 0, 0, 0, 0))
    venue.market(tally.run(start))
    for slot, tick in ((0, 99), (1, 99), (2, 98)):
        request = np.zeros(1, REQUEST)
        request["kind"], request["slot"], request["side"] = RequestKind.PLACE, slot, BID
        request["tick"], request["qty"] = tick, 3
        venue.request(request, 10)
    assert venue.orders()["ahead"].tolist() == [0.05, 0.05, 0.0]

    def fills(*told: Told) -> list[tuple[int, int]]:
        rows = rows_of(*told)
        rows["ts_venue_ns"] += 100
        found = venue.market(tally.run(rows))
        found = found[found["kind"] == Kind.FILL]
        return list(zip(found["slot"].tolist(), found["qty"].tolist(), strict=True))

    assert fills((ADD, 3, BID, 99, 9), (EXECUTE, 1, BID, 99, 5), (CANCEL, 1, BID, 0, 0)) == []
    assert venue.orders()["ahead"].tolist() == [0.0, 0.0, 0.0]
    assert fills((EXECUTE, 3, BID, 99, 4)) == [(0, 3), (1, 1)]
    assert fills((ADD, 4, BID, 97, 1), (EXECUTE, 4, BID, 97, 1)) == [(1, 1)]
    assert fills((Kind.TRADE, 0, ASK, 90, 50)) == []  # executions say it all


def test_a_clear_of_some_prices_leaves_the_lines_at_the_others() -> None:
    venue, tally = Venue(ITEM.spec(0), queue="fifo"), Tally()

    def tell(now: int, *told: Told) -> np.ndarray:
        rows = rows_of(*told, (Kind.OTHER, 0, 0, 0, 0))
        rows["ts_venue_ns"] = rows["ts_local_ns"] = now
        rows[-1]["ts_venue_ns"] = rows[-1]["ts_local_ns"] = now + 1
        return venue.market(tally.run(rows))

    tell(10, (ADD, 1, BID, 99, 5), (ADD, 2, BID, 98, 5), (ADD, 3, ASK, 101, 5))
    for slot, tick in ((0, 98), (1, 99)):
        request = np.zeros(1, REQUEST)
        request["kind"], request["slot"], request["side"] = RequestKind.PLACE, slot, BID
        request["tick"], request["qty"] = tick, 3
        venue.request(request, 20)
    tell(30, (ADD, 4, BID, 98, 4))
    tell(40, (Kind.CLEAR, 0, BID, 99, 0), (ADD, 5, BID, 99, 2), (ADD, 6, BID, 98, 1))
    assert venue.orders()[["tick", "ahead"]].tolist() == [(99, 0.02), (98, 0.05)]
    assert tell(50, (EXECUTE, 5, BID, 99, 2)).tolist() == []  # was there before us
    filled = tell(60, (EXECUTE, 6, BID, 98, 1))
    assert filled[["slot", "qty"]].tolist() == [(1, 1)]  # behind both, the better price first
    filled = tell(70, (EXECUTE, 4, BID, 98, 4))
    assert filled[["slot", "qty"]].tolist() == [(1, 2), (0, 2)]


def test_lines_are_counted_anew_after_a_stretch_in_which_the_book_was_not_trusted() -> None:
    venue, tally = Venue(ITEM.spec(0), queue="fifo"), Tally()
    start = [(ADD, i, BID, 99 - i % 2, 5) for i in range(6)]
    venue.market(tally.run(rows_of(*start, (ADD, 9, ASK, 101, 5), (Kind.OTHER, 0, 0, 0, 0))))
    for slot, tick in ((0, 99), (1, 98)):
        request = np.zeros(1, REQUEST)
        request["kind"], request["slot"], request["side"] = RequestKind.PLACE, slot, BID
        request["tick"], request["qty"] = tick, 3
        venue.request(request, 20)
    assert venue.orders()["ahead"].tolist() == [0.15, 0.15]
    behind = [(ADD, 20, BID, 99, 7), (ADD, 21, BID, 98, 7)]
    crossed = [(ADD, 22, BID, 103, 1), (CANCEL, 0, BID, 0, 0), (CHANGE, 1, BID, 98, 2)]
    rows = rows_of(*behind, *crossed, (CANCEL, 20, BID, 0, 0), (CANCEL, 22, BID, 0, 0))
    rows["ts_venue_ns"] += 100
    venue.market(tally.run(rows))
    assert venue.book.health == Status.OK
    assert venue.orders()["ahead"].tolist() == [0.1, 0.12]


def test_rows_of_any_time_are_summed() -> None:
    tally, first = Tally(together=True), -(2**63)
    for step, at_ns in enumerate((first, 1, 2, first, 3)):
        rows = rows_of(*[(ADD, 1000 * step + i, BID, 100 + i, 5) for i in range(600)])
        rows["ts_venue_ns"] = rows["ts_local_ns"] = at_ns
        told = tally.run(rows)
    told = np.concatenate([told, tally.end()])
    assert int((told["kind"] == ADD).sum()) == 600


def saved(path: Path, data: np.ndarray) -> Path:
    np.savez(path, data=data)
    return path


def test_an_array_of_orders_becomes_a_tape_that_keeps_them(tmp_path: Path) -> None:
    made = saved(tmp_path / "made.npz", tape(steps=200))
    source = TapeSource([made], [ITEM])
    assert source.by_order
    rows = read(source)
    convert([made], tmp_path / "kept.mmt", wanted=[ITEM])
    kept = TapeSource([tmp_path / "kept.mmt"])
    assert kept.by_order
    assert read(kept).tobytes() == rows.tobytes()


def test_damage_in_an_array_of_orders_names_its_row(tmp_path: Path) -> None:
    data = tape(steps=50)
    at = int(np.flatnonzero((data["ev"] & 0xFF) == FILL)[0])
    data["order_id"][at] = 5
    source = TapeSource([saved(tmp_path / "made.npz", data)], [ITEM])
    read(source)
    assert [str(each) for each in source.problems] == [
        f"{tmp_path / 'made.npz'}:{at + 1}: an order that is not there: left out"
    ]
    data["ev"][at] -= FILL - 1  # a level
    with pytest.raises(DataError, match="both orders by their ids and levels") as caught:
        read_npz(saved(tmp_path / "mixed.npz", data), ITEM)
    assert f"record {at + 1}:" in str(caught.value)


def test_an_array_of_orders_without_ids_is_refused(tmp_path: Path) -> None:
    data = tape(steps=5)
    names = [name for name in data.dtype.names or () if name != "order_id"]
    bare = np.zeros(len(data), [(name, data.dtype[name]) for name in names])
    for name in names:
        bare[name] = data[name]
    with pytest.raises(DataError, match="lacks the column order_id"):
        read_npz(saved(tmp_path / "bare.npz", bare), ITEM)


CONFIG = """
mode = "paper"
[market]
source = "tape"
files = ["{path}"]
[simulation]
queue_model = "fifo"
[run]
directory = "{folder}"
[[instrument]]
venue = "synthetic"
symbol = "L3"
strategy = "two_sided"
[instrument.spec]
tick = 0.1
lot = 0.01
min_notional = 0
[instrument.two_sided]
target_liquidity = 2.0
half_spread = 120.0
max_bps_diff = 5.0
max_absolute_position_size = 20.0
"""


def written(folder: Path, path: Path) -> str:
    config = folder / "l3.toml"
    config.write_text(CONFIG.format(path=path, folder=folder / "runs"))
    return str(config)


def test_a_backtest_under_fifo_and_its_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = saved(tmp_path / "made.npz", tape(steps=600))
    config = load(written(tmp_path, made))
    assert backtest([config], Choices(json=True)) == 0
    said = json.loads(capsys.readouterr().out)
    (run,) = said["runs"]
    assert run["traders"][0]["fills"] > 0
    (folder,) = (tmp_path / "runs").iterdir()
    again = retrace(Recorded.open(folder))
    assert again.hash == run["journal_hash"]


def test_fifo_on_a_tape_of_levels_is_refused(tmp_path: Path) -> None:
    levels = tape(steps=50)[:2].copy()
    levels["ev"] = [EXCH | LOCAL | BUY | 1, EXCH | LOCAL | SELL | 1]
    levels["px"] = [99.0, 101.0]
    config = load(written(tmp_path, saved(tmp_path / "levels.npz", levels)))
    with pytest.raises(DataError, match='"fifo" needs the ids of the orders'):
        backtest([config], Choices(json=True))


def test_fifo_on_a_market_that_cannot_tell_ids_is_refused() -> None:
    text = CONFIG.format(path="x", folder="y")
    text = text.replace('source = "tape"\nfiles = ["x"]', 'source = "synthetic"')
    with pytest.raises(ConfigError, match="only a tape can tell"):
        loads(text)
    text = CONFIG.format(path="x", folder="y").replace('"fifo"', '"log"\nrules = ["parity_fifo"]')
    with pytest.raises(ConfigError, match="goes with the queue model fifo"):
        loads(text)
