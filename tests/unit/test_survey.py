"""What the streams of a tape held: nothing missing, nothing twice, nothing known too soon."""

from dataclasses import replace

import numpy as np
import pytest
from made_tapes import drain, read

from mmcore import config
from mmcore.convert import convert
from mmcore.errors import DataError, ExitCode
from mmcore.events import ASK, BID, EVENT, LEVEL, Flag, Kind
from mmcore.instrument import known
from mmcore.paper import PaperDesk
from mmcore.survey import Survey, empty_side, no_trade
from mmcore.tape import TapeSource, TapeWriter
from mmcore.tape_info import tape_facts

BTC = known("binance-usdm", "BTCUSDT")
ETH = known("binance-usdm", "ETHUSDT")
S = 10**9
T = 1_700_000_000 * S


def image(at, bids, asks, number=0):
    levels = [*bids, *asks]
    rows = np.zeros(1 + (len(levels) + 3) // 4, EVENT)
    head = rows[:1]
    head["kind"], head["flags"], head["instrument"] = Kind.DEPTH, 3 | Flag.SNAPSHOT, number
    head["n_bids"], head["n_asks"] = len(bids), len(asks)
    head["ts_local_ns"], head["ts_venue_ns"] = T + at, T + at - 1000
    rows[1:].view(LEVEL)[: len(levels)] = levels
    return rows


def trade(at, number=0):
    row = np.zeros(1, EVENT)
    row["kind"], row["flags"], row["side"], row["instrument"] = Kind.TRADE, 3, BID, number
    row["tick"], row["qty"] = 360_000, 5
    row["ts_local_ns"], row["ts_venue_ns"] = T + at, T + at - 500
    return row


def market(start=0, *, bids=True, asks=True, trades=True):
    bid = [(360_000 - i, 1000) for i in range(5)] if bids else []
    ask = [(360_001 + i, 1000) for i in range(5)] if asks else []
    parts = [image(start + i * S, bid, ask) for i in range(40)]
    if trades:
        parts += [trade(start + i * S + 7) for i in range(40)]
    return np.concatenate(sorted(parts, key=lambda rows: int(rows["ts_local_ns"][0])))


@pytest.fixture
def tape(tmp_path):
    def tape(rows, name="x.mmt", **facts):
        writer = TapeWriter(tmp_path / name, [BTC], **facts)
        writer.append(rows)
        writer.close()
        return tmp_path / name

    return tape


def test_what_a_stream_held_is_counted():
    survey = Survey([BTC, ETH])
    rows = [image(5, [(10, 1), (9, 1)], [(11, 1)], 1), trade(6), trade(9, 1)]
    survey.see(np.concatenate(rows))
    assert survey.counts[:, Kind.DEPTH].tolist() == [0, 1]
    assert survey.counts[:, Kind.TRADE].tolist() == [1, 1]
    assert survey.sides.tolist() == [[0, 0], [2, 1]] and survey.late_ns.tolist() == [500, 500]
    with pytest.raises(ValueError, match="row 0: instrument 2"):
        survey.see(trade(1, 2))


def test_single_levels_count_unless_they_are_taken_away():
    rows = np.zeros(3, EVENT)
    rows["kind"], rows["side"], rows["qty"] = Kind.DEPTH, [BID, ASK, ASK], [4, 0, 0]
    survey = Survey([BTC])
    survey.see(rows)
    assert survey.sides.tolist() == [[1, 0]]
    assert empty_side([survey]) == "not one ask of binance-usdm:BTCUSDT"
    rows["qty"] = 1
    other = Survey([BTC])
    other.see(rows)
    assert empty_side([survey, other]) == "" and no_trade([survey, other])


def conclusion(path, tmp_path):
    """The verdict on a run to the end of a tape."""
    text = (
        f'[market]\nsource = "tape"\nfiles = ["{path}"]\nspeed = 0\n[[instrument]]\n'
        'venue = "binance-usdm"\nsymbol = "BTCUSDT"\n[instrument.grid]\nasset = 10000\n'
    )
    (tmp_path / "c.toml").write_text(text)
    desk = PaperDesk(config.load(tmp_path / "c.toml"), "run", 0.0)
    try:
        while not desk.over:
            desk.advance(1 << 20, 0)
            desk.drain()
        return desk.verdict()
    finally:
        desk.close()


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ({"asks": False}, ": not one ask of binance-usdm:BTCUSDT from the first row to the last"),
        ({"bids": False}, ": not one bid of binance-usdm:BTCUSDT"),
        ({"trades": False}, ": not one trade from the first row to the last, so that orders"),
    ],
)
def test_a_run_on_half_a_market_says_so_and_fails(tape, tmp_path, held, says):
    verdict = conclusion(tape(market(**held)), tmp_path)
    assert verdict.exit_code == ExitCode.DATA
    assert verdict.text.partition("x.mmt")[2].startswith(says)
    assert "name" in verdict.text


def test_a_run_on_a_whole_market_has_nothing_to_complain_of(tape, tmp_path):
    assert conclusion(tape(market()), tmp_path).exit_code == ExitCode.OK


def test_tape_info_tells_an_empty_side(tape):
    (warning, _) = tape_facts(str(tape(market(bids=False))))["warnings"]
    assert warning.startswith("not one bid of binance-usdm:BTCUSDT from the first row to the last")


def test_the_future_is_not_traded_on(tape, tmp_path):
    rows = market()
    rows["ts_venue_ns"] += 3_000_000 * (rows["kind"] > 0)
    path = tape(rows, clock="two")
    with pytest.raises(DataError, match=r"x.mmt: .*BTCUSDT is received up to 2.999 ms before it"):
        conclusion(path, tmp_path)
    assert "before it happens" in tape_facts(str(path))["warnings"][0]
    facts = convert([path], tmp_path / "y.npz", to="npz")
    assert facts["local_clock_moved_ns"] == 2_999_500
    source = TapeSource([tmp_path / "y.npz"], [BTC])
    read(source)
    assert source.foreseen == ""
    assert conclusion(tmp_path / "y.npz", tmp_path).exit_code == ExitCode.OK


def test_with_one_clock_a_slow_clock_of_ours_is_no_foresight(tape, tmp_path):
    rows = market()
    rows["ts_venue_ns"] += 3_000_000 * (rows["kind"] > 0)
    assert conclusion(tape(rows), tmp_path).exit_code == ExitCode.OK


def sheet(path, times):
    head = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    row = "binance-futures,BTCUSDT,{0},{0},{1},buy,36000.0,0.005\n"
    lines = [row.format((T + t) // 1000, i) for i, t in enumerate(times, 1)]
    path.write_text(head + "".join(lines))
    return path


def test_the_same_trades_from_two_files_are_refused(tape, tmp_path):
    seconds = [i * S for i in range(5, 35)]
    other = sheet(tmp_path / "t.csv", seconds)
    source = TapeSource([tape(market()), other])
    with pytest.raises(DataError, match=r"trades of .*BTCUSDT are in .* too, at the same time"):
        drain(source, [])


def test_trades_of_another_file_may_be_beside_the_depth_or_follow_it(tape, tmp_path):
    other = sheet(tmp_path / "t.csv", [i * S for i in range(5, 35)])
    depth = tape(market(trades=False))
    assert (read(TapeSource([depth, other]))["kind"] == Kind.TRADE).sum() == 30
    later = sheet(tmp_path / "later.csv", [i * S for i in range(40, 50)])
    both = TapeSource([tape(market(), "whole.mmt"), later], [replace(BTC, lot="0.01")])
    assert (read(both)["kind"] == Kind.TRADE).sum() >= 50
