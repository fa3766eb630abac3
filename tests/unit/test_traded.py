"""Run directories made by hand: the venue's clock, fees in the coin, funding, what was held."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from mmcore.attribution import attribute
from mmcore.charts import charts
from mmcore.config import loads
from mmcore.errors import DataError, NoDataError
from mmcore.events import EVENT, RECORD, Flag, Kind, PaidCode, RecordKind, RejectCode, Status
from mmcore.exposure import config_of, exposed, plan_of
from mmcore.instrument import known
from mmcore.journal import Journal, RunDirectory
from mmcore.rates import rate_facts
from mmcore.report import report_of
from mmcore.retrace import Recorded
from mmcore.stretches import stretch_facts, stretches_of
from mmcore.tape import TapeWriter
from mmcore.traded import quotes_of, read_run
from mmcore.words import cut_off

ITEM = known("binance-spot", "BTCUSDT")
MS = 1_000_000
T0 = 1_700_000_000_000_000_000
CONFIG = """
[simulation]
response_latency_ms = {late}
jitter_ms = {jitter}
[[instrument]]
venue = "binance-spot"
symbol = "BTCUSDT"
"""


def depth(at_ms, bid, *, venue=True, down=False):
    """A snapshot of one level a side, the spread two ticks; 20 ms from the venue to us."""
    rows = np.zeros(1 if down else 2, EVENT)
    head = rows[0]
    head["kind"] = Kind.LINK_DOWN if down else Kind.DEPTH
    head["flags"] = Flag.SNAPSHOT
    head["ts_local_ns"] = T0 + at_ms * MS
    head["ts_venue_ns"] = T0 + (at_ms - 20) * MS if venue else 0
    if not down:
        head["n_bids"] = head["n_asks"] = 1
        rows[1:].view(np.int64)[:4] = [bid, 1000, bid + 2, 1000]
    return rows


def told(kind, at_ms, **fields):
    row = np.zeros(1, EVENT)
    row["kind"] = kind
    row["ts_local_ns"], row["ts_venue_ns"] = T0 + at_ms * MS, T0 + (at_ms - 20) * MS
    for name, value in fields.items():
        row[name] = value
    return row


def record(kind, at_ms, **fields):
    row = np.zeros(1, RECORD)
    row["kind"], row["ts_ns"] = kind, T0 + at_ms * MS
    for name, value in fields.items():
        row[name] = value
    return row


def directory(folder, rows, records, *, mode="paper", late=5, jitter=0, facts=None, items=(ITEM,)):
    """A run directory that holds these events and records."""
    made = RunDirectory.create(folder, "run")
    log = TapeWriter(made.events, items, provenance={"mode": mode})
    journal = Journal(made, log)
    config = CONFIG.format(late=late, jitter=jitter)
    journal.describe({"config": config, "mode": mode, "environment": "loopback", **(facts or {})})
    journal.log_events(np.concatenate(rows))
    if records:
        journal.append(np.concatenate(records))
    journal.close()
    return made.path


MARKET = [depth(0, 1000), depth(100, 1010), depth(200, 1020), depth(300, 1000)]
ORDER = {"slot": 1, "generation": 7, "side": 1, "tick": 1005}
FILL = {**ORDER, "qty": 300, "flags": Flag.MAKER}
STORY = [
    record(RecordKind.PLACE, 10, **ORDER, qty=300, position=50),
    record(RecordKind.ACK, 30, **ORDER, qty=300, position=50),
    record(RecordKind.FILL, 130, **FILL, seq=9, position=350),
]


def test_a_live_fill_is_dated_by_the_venues_own_message(tmp_path):
    fill = told(Kind.FILL, 130, slot=1, generation=7, side=1, tick=1005, qty=300, seq=9)
    place = directory(tmp_path, [*MARKET[:2], fill, *MARKET[2:]], STORY, mode="live")
    (trading,) = read_run(place).tradings
    assert trading.fills["ts_ns"].tolist() == [T0 + 110 * MS]
    assert trading.fills["seen_ns"].tolist() == [T0 + 130 * MS]
    assert trading.fills["mid"].tolist() == [1011.0]  # the book of 80 ms, seen at 100 ms
    assert trading.fills["rested_ns"].tolist() == [100 * MS]
    assert trading.account.start_qty == 50


def test_a_message_without_the_venues_time_is_dated_by_the_usual_delay(tmp_path):
    rows = [depth(0, 1000, venue=False), *MARKET[1:]]
    (trading,) = read_run(directory(tmp_path, rows, STORY, mode="live")).tradings
    assert (trading.path.ts_ns - T0).tolist() == [-20 * MS, 80 * MS, 180 * MS, 280 * MS]


@pytest.mark.parametrize(
    ("late", "jitter", "mid"), [(5, 0, 1011.0), (30, 0, 1001.0), (5, 10, 1001.0)]
)
def test_a_simulated_fill_is_dated_by_its_response_latency(tmp_path, late, jitter, mid):
    place = directory(tmp_path, MARKET, STORY, late=late, jitter=jitter)
    (trading,) = read_run(place).tradings
    assert trading.fills["mid"].tolist() == [mid]


def test_fees_in_the_coin_and_funding_come_from_their_own_records(tmp_path):
    paid = {"slot": 1, "generation": 7, "tick": 1005, "seq": 9, "position": 347}
    records = [
        *STORY,
        record(RecordKind.PAID, 130, **paid, code=PaidCode.COIN_FEE, qty=3),
        record(RecordKind.PAID, 250, code=PaidCode.FUNDING, money=-400, position=347),
    ]
    place = directory(tmp_path, MARKET, records)
    (trading,) = read_run(place).tradings
    terms = attribute(trading.fills, trading.path, trading.scale, trading.account)
    unit = 0.01 * 1e-8  # quote currency for a tick and a unit
    assert terms.fees == pytest.approx(3 * 1005 * unit)
    assert terms.funding == pytest.approx(-400e-8)
    assert trading.account.positions()[-1] == 347
    assert terms.residual_relative < 1e-9
    inventory = report_of(place).facts["instruments"][0]["inventory"]
    assert inventory["final"] == pytest.approx(347e-8)
    fee_rate = ITEM.taker_fee_bps / 1e4
    assert inventory["closing_cost"] == pytest.approx(347 * unit * (1 + 1000 * fee_rate))
    held = (50 * (1001 - 1001) + 300 * (1001 - 1005) - 3 * (1001 - 1005)) * unit
    assert terms.net == pytest.approx(held - terms.fees + terms.funding, abs=1e-12)


def test_a_stretch_without_a_book_is_timed_and_told(tmp_path):
    rows = [MARKET[0], depth(100, 0, down=True), *MARKET[2:]]
    place = directory(tmp_path, rows, STORY)
    (trading,) = read_run(place).tradings
    assert trading.path.seconds_unusable == pytest.approx(0.1)
    assert trading.path.mid.tolist() == [1001.0, 1001.0, 1021.0, 1001.0]
    assert report_of(place).facts["instruments"][0]["market"]["unusable_s"] == pytest.approx(0.1)


def test_own_quotes_and_health_over_time(tmp_path):
    records = [
        record(RecordKind.STATUS, 0, code=Status.WARMUP),
        record(RecordKind.STATUS, 5, code=Status.OK),
        *STORY[:2],
        record(RecordKind.CANCELLED, 60, **ORDER, qty=300, position=50),
    ]
    (trading,) = read_run(directory(tmp_path, MARKET, records)).tradings
    bid, ask = quotes_of(trading, T0 + np.array([0, 30, 59, 60]) * MS)
    assert np.isnan(ask).all() and bid[1:3].tolist() == [1005, 1005]
    assert np.isnan(bid[[0, 3]]).all()
    (said,) = stretch_facts(trading)["by_state"]
    assert said["state"] == "warmup" and said["seconds"] == pytest.approx(0.005)


def test_stretches_without_quotes_are_counted_with_what_happened_in_them(tmp_path):
    states = [(0, "OK"), (50, "GAP"), (60, "OK"), (90, "CROSSED"), (120, "STALE"), (150, "OK")]
    records = [record(RecordKind.STATUS, at, code=Status[name]) for at, name in states]
    records += [record(RecordKind.STATUS, 280, code=Status.STOPPING)]
    late = record(RecordKind.FILL, 140, **{**FILL, "qty": 100}, seq=10, position=450)
    told_there = record(RecordKind.PLACE, 55, slot=2, generation=1, side=-1, tick=1030, qty=100)
    records = sorted([*STORY, *records, late, told_there], key=lambda each: int(each["ts_ns"][0]))
    place = directory(tmp_path, MARKET, records)
    (trading,) = read_run(place).tradings
    spans = [(e.start_ns - T0, e.end_ns - T0, e.status.name) for e in stretches_of(trading)]
    assert spans == [
        (50 * MS, 60 * MS, "GAP"),
        (90 * MS, 120 * MS, "CROSSED"),
        (120 * MS, 150 * MS, "STALE"),
    ]
    said = stretch_facts(trading)
    assert {each["state"]: each["count"] for each in said["by_state"]} == {
        "gap": 1,
        "crossed": 1,
        "stale": 1,
    }
    assert said["by_state"][1]["longest_s"] == pytest.approx(0.03)
    assert (said["placed"], said["fills"], said["count"]) == (1, 2, 3)  # 55 ms; 130 and 140 ms


def test_the_page_draws_the_stretches_and_every_call(tmp_path):
    states = [(0, "OK"), (50, "GAP"), (60, "OK"), (90, "CROSSED"), (120, "OK"), (250, "GAP")]
    records = [record(RecordKind.STATUS, at, code=Status[name]) for at, name in states]
    stop = record(RecordKind.CANCEL, 2_500, **ORDER)  # after the last message of the market
    records = sorted([*STORY, *records, stop], key=lambda each: int(each["ts_ns"][0]))
    drawn = charts(report_of(directory(tmp_path, MARKET, records)))
    bands = {each["name"]: each["x"] for each in drawn["price-0"]["data"] if each["mode"] == "none"}
    assert set(bands) == {"no quotes: gap", "no quotes: crossed"}
    first = T0 / 1e6
    assert bands["no quotes: crossed"] == [*(first + at for at in (90, 90, 120, 120, 90)), None]
    assert bands["no quotes: gap"][6:11] == [first + at for at in (250, 250, 2_500, 2_500, 250)]
    (calls,) = drawn["calls-0"]["data"]
    assert calls["y"] == [1, 0, 1]


def test_a_feed_that_died_is_waited_for_to_the_end(tmp_path):
    records = [*STORY, record(RecordKind.STATUS, 400, code=Status.STALE)]
    records += [record(RecordKind.CANCELLED, 1_300, **ORDER, qty=0, position=350)]
    (trading,) = read_run(directory(tmp_path, MARKET, records)).tradings
    (said,) = stretch_facts(trading)["by_state"]
    assert said["seconds"] == pytest.approx(0.9) and said["share"] == pytest.approx(0.9 / 1.3)


def test_requests_count_against_the_venues_limits(tmp_path):
    kinds = {RecordKind.PLACE: 250, RecordKind.CANCEL: 50}
    records = [
        record(kind, i // 2, slot=i, side=1, tick=1005, qty=1)
        for kind, n in kinds.items()
        for i in range(n)
    ]
    rows = [*MARKET, depth(20_000, 1000)]
    (trading,) = read_run(directory(tmp_path, rows, records)).tradings
    plan = loads(CONFIG.format(late=5, jitter=0) + "[account]\nrate_limit = 1000\n")
    plan = replace_struct(plan, simulation=replace_struct(plan.simulation, order_rate=125))
    found = {each["what"]: each for each in rate_facts([trading], plan)}
    ten = found["orders placed or amended in 10 s"]
    assert (ten["limit"], ten["most"], ten["share"]) == (100, 250, 2.5)
    assert found["calls in 1 s by [account]"]["most"] == 300  # one order a call on Binance's spot
    assert found["orders placed or amended in 1 s by [simulation]"]["share"] == 2.0
    other = replace(trading, item=replace(trading.item, venue="bybit-spot"))
    twice = {each["what"]: each["most"] for each in rate_facts([other, other], plan)}
    assert twice["orders cancelled in 1 s"] == 100  # instruments of one account together


def test_a_return_is_on_what_the_strategy_was_given_or_may_hold(tmp_path):
    two = CONFIG.format(late=5, jitter=0)
    two += 'strategy = "two_sided"\n[instrument.two_sided]\nmax_absolute_position_size = 2.0\n'
    found = directory(tmp_path, MARKET, STORY, facts={"config": two + "target_liquidity = 0.1\n"})
    facts = report_of(found).facts
    (each,), (total,) = facts["instruments"], facts["totals"]
    assert each["capital_basis"] == total["capital_basis"] == "limit"
    assert total["capital"] == pytest.approx(2.0 * 1001 * 0.01)
    assert total["return"] == pytest.approx(total["attribution"]["net"] / total["capital"])
    assert "that its largest position is worth" in facts["sentences"][0]
    assert each["inventory"]["value_max"] == pytest.approx(350e-8 * 1021 * 0.01, rel=0.03)
    assert each["inventory"]["margin_max"] is None
    grid = report_of(directory(tmp_path, MARKET, STORY)).facts["instruments"][0]
    assert (grid["capital_basis"], grid["capital"]) == ("asset", 1000)
    assert grid["inventory"]["margin_max"] is None  # spot


def test_requests_of_one_kind_and_instant_share_a_call(tmp_path):
    placed = [record(RecordKind.PLACE, 10, slot=i, qty=1, side=1, tick=5) for i in range(3)]
    (trading,) = read_run(directory(tmp_path, MARKET, [*placed, *STORY])).tradings
    assert trading.batch == 1  # what Binance's spot market takes
    assert len(trading.call_ns) == 4


def test_a_run_that_kept_no_records_or_saw_no_book_is_refused(tmp_path):
    unkept = {"config": CONFIG.format(late=5, jitter=0) + "[run]\njournal = false\n"}
    with pytest.raises(NoDataError, match="kept no records"):
        read_run(directory(tmp_path, MARKET, [], facts=unkept))
    with pytest.raises(NoDataError, match="never usable"):
        read_run(directory(tmp_path, [told(Kind.TRADE, 0, tick=5, qty=1)], STORY))


@pytest.mark.parametrize("rows", [MARKET, MARKET[:1]])
def test_a_run_that_did_nothing_has_a_report_that_says_so(tmp_path, rows):
    facts = report_of(directory(tmp_path, rows, [])).facts
    assert "traded nothing" in facts["sentences"][0]
    assert facts["sentences"][1].startswith("BTCUSDT: no order was sent; for 0")
    assert facts["sentences"][1].endswith("its state was warmup.")
    assert facts["totals"][0]["attribution"]["net"] == 0
    (each,) = facts["instruments"]
    assert each["quoting"] == {"bid": 0, "ask": 0, "both": 0, "distance_bps": None}


def test_why_nothing_was_filled_is_told_as_far_as_the_orders_say(tmp_path):
    refused = record(RecordKind.REJECT, 30, **ORDER, code=RejectCode.POST_ONLY)
    place = directory(tmp_path, MARKET, [STORY[0], refused])
    said = report_of(place).facts["sentences"][1]
    assert said == "BTCUSDT: 1 order sent, 1 refused (most: post only), none was seen in the book."
    said = report_of(directory(tmp_path, MARKET, STORY[:2])).facts["sentences"][1]
    assert said.startswith("BTCUSDT: 1 order sent; its nearest quotes stood")
    stale = [record(RecordKind.STATUS, at, code=code) for at, code in ((0, Status.STALE), (300, 0))]
    said = report_of(directory(tmp_path, MARKET, stale)).facts["sentences"][1]
    assert said == "BTCUSDT: no order was sent; for 0.3 s its state was stale."


def test_an_instrument_without_a_book_is_named_and_the_others_are_measured(tmp_path):
    other = known("binance-spot", "ETHUSDT")
    text = CONFIG.format(late=5, jitter=0)
    text += '[[instrument]]\nvenue = "binance-spot"\nsymbol = "ETHUSDT"\n'
    place = directory(tmp_path, MARKET, STORY, facts={"config": text}, items=[ITEM, other])
    facts = report_of(place).facts
    assert [each["name"] for each in facts["instruments"]] == ["BTCUSDT"]
    (said,) = facts["run"]["unseen"]
    assert said.startswith("binance-spot:ETHUSDT: the book was never usable")


def test_a_live_run_is_traded_again_at_the_latency_that_it_measured(tmp_path):
    fill = told(Kind.FILL, 130, slot=1, generation=7, side=1, tick=1005, qty=300, seq=9)
    rows = [*MARKET[:2], fill, *MARKET[2:]]
    text = CONFIG[CONFIG.index("[[instrument]]") :]
    live = {
        "config_path": "my.toml",
        "config": f'mode = "live"\n[live]\nenvironment = "loopback"\n{text}',
    }
    report = exposed(report_of(directory(tmp_path, rows, STORY, mode="live", facts=live)))
    said = report.facts["exposure"]
    assert (said["skipped"], said["measured"], said["same"]) == (None, True, None)
    assert (said["entry_ms"], said["response_ms"]) == (10, 10)  # 20 ms until it was acknowledged
    plan = plan_of(Recorded.open(report.run.directory), report, thorough=False)
    twice = config_of(plan, replace(plan.own, latency=2.0)).simulation
    assert (twice.entry_latency_ms, twice.response_latency_ms, twice.jitter_ms) == (20, 20, 0)


def test_an_event_log_that_ends_before_the_fills_is_told(tmp_path):
    late = record(RecordKind.FILL, 200_000, **{**FILL, "qty": 100}, position=400)
    facts = report_of(directory(tmp_path, MARKET, [*STORY, late])).facts
    assert facts["run"]["unlogged_s"] == pytest.approx(199.695)
    assert "ends 3 min 20 s before the last fill" in cut_off(facts)[0]
    whole = report_of(directory(tmp_path, MARKET, STORY)).facts
    assert whole["run"]["unlogged_s"] == 0 and cut_off(whole) == []


@pytest.mark.parametrize("damage", ["cut", "emptied", "noise"])
def test_a_journal_that_cannot_be_read_is_one_sentence(tmp_path, damage):
    place = directory(tmp_path, MARKET, STORY * 500)
    journal = place / "journal.sqlite"
    whole = journal.read_bytes()
    cut = whole[: len(whole) // 3]
    journal.write_bytes({"cut": cut, "emptied": b"", "noise": bytes(range(256)) * 40}[damage])
    with pytest.raises(DataError, match="the journal cannot be read"):
        read_run(place)


def test_a_configuration_that_cannot_be_read_any_more_is_named(tmp_path):
    place = directory(tmp_path, MARKET, STORY, facts={"config": "[market]\nsource = 7\n"})
    with pytest.raises(DataError, match="configuration that it holds"):
        read_run(place)
