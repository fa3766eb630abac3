"""What is always true of the synthetic market, every tape, every step."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcore.events import EVENT, Flag, Kind
from mmcore.instrument import known
from mmcore.meter import LARGE_TICK, SMALL_TICK, Touch, markout_facts
from mmcore.recording import heads_of, levels_of, record
from mmcore.synthetic import (
    PRESETS,
    START_NS,
    Generator,
    Market,
    Preset,
    SyntheticSource,
    market,
    together,
)

BTC = known("synthetic", "BTCUSDT")
SEEDS = st.integers(0, 2**63 - 1)
SECONDS = {"busy": 3.0, "busy_eth": 3.0, "block": 60.0, "quiet": 400.0}
HONEST_SECONDS = {"busy": 300.0, "busy_eth": 300.0, "block": 900.0, "quiet": 28_000.0}


def source_of(preset: str, seed: int, seconds: float | None = None) -> SyntheticSource:
    return SyntheticSource(
        [Market(BTC, PRESETS[preset])], seconds=seconds or SECONDS[preset], seed=seed
    )


def rows_of_source(source: SyntheticSource) -> np.ndarray:
    blocks = []
    while (block := source.next_block()) is not None:
        blocks.append(block.copy())
    return np.concatenate(blocks)


def bared(preset: Preset) -> Preset:
    """The same market without a wire, a depth message every step: rows as they were made."""
    return replace(
        preset,
        depth_s=preset.step_s,
        depth_chance=1.0,
        draws=0.05,
        event_delay_s=0.0,
        latency_least_s=0.0,
        latency_body_s=0.0,
        congestion_s=(0.0, 0.0),
    )


class NaiveBook:
    """Two dictionaries, and every rule of the feed as an assertion."""

    def __init__(self) -> None:
        self.sides: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self.last = 0

    def best(self, side: int) -> tuple[int, int]:
        prices = self.sides[side]
        tick = max(prices) if side > 0 else min(prices)
        return tick, prices[tick]

    def apply(self, rows: np.ndarray, head: int) -> None:
        header = rows[head]
        if header["flags"] & Flag.SNAPSHOT and not header["flags"] & Flag.CONT:
            self.sides = {1: {}, -1: {}}
        else:
            assert header["aux"] == self.last
        assert header["seq"] > self.last
        for side, levels in zip((1, -1), levels_of(rows, head), strict=True):
            prices = self.sides[side]
            for tick, qty in levels.tolist():
                assert tick > 0
                assert qty >= 0
                assert prices.get(tick, 0) != qty  # a change, and a zero once only
                if qty:
                    prices[tick] = qty
                else:
                    del prices[tick]
        self.last = int(header["seq"])
        assert self.best(1)[0] < self.best(-1)[0]


class BareBook(NaiveBook):
    """The book between two steps as well: best quotes and prints change it."""

    def __init__(self) -> None:
        super().__init__()
        self.unsure: set[tuple[int, int]] = set()

    def touched(self, side: int, tick: int, qty: int) -> None:
        """The best of a side is there; what stood behind an improved best is known later."""
        prices = self.sides[side]
        old = self.best(side)[0]
        for better in [price for price in prices if (price - tick) * side > 0]:
            del prices[better]
        if (tick - old) * side > 0:
            self.unsure.add((side, old))
        prices[tick] = qty

    def printed(self, side: int, tick: int, qty: int) -> None:
        """A taker's print: at the best price of the other side, never more than rests there."""
        prices = self.sides[-side]
        best, resting = self.best(-side)
        assert (tick - best) * side >= 0
        if (-side, tick) in self.unsure or (-side, best) in self.unsure:
            return
        assert tick == best
        assert qty <= resting
        if qty == resting:
            del prices[tick]
        else:
            prices[tick] = resting - qty


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_depth_messages_chain_and_give_the_generators_own_book(preset, seed):
    source = source_of(preset, seed)
    rows = rows_of_source(source)
    book = NaiveBook()
    for head in heads_of(rows):
        if rows[head]["kind"] == Kind.DEPTH:
            book.apply(rows, head)
    for side in (1, -1):
        own = source.generator.levels(0, side)
        assert book.sides[side] == dict(own.tolist())


@settings(max_examples=15, deadline=None)
@given(
    seed=SEEDS,
    depth=st.sampled_from([1, 3, 60]),
    wilder=st.floats(1.0, 60.0),
    keep=st.floats(0.0, 1.0),
    bigger=st.floats(1.0, 100.0),
)
def test_a_market_that_leaps_out_of_its_book_keeps_the_rules(seed, depth, wilder, keep, bigger):
    wild = replace(
        PRESETS["busy"],
        depth=depth,
        diffusion=36.0 * wilder,
        jump=60.0 * wilder,
        jump_rate=5.0,
        keep=keep,
        big=700.0 * bigger,
        latency_body_s=0.02,
    )
    source = SyntheticSource([Market(BTC, wild)], seconds=2.0, seed=seed)
    rows = rows_of_source(source)
    heads = heads_of(rows)
    assert np.all(np.diff(rows["ts_local_ns"][heads]) >= 0)
    book = NaiveBook()
    for head in heads[rows["kind"][heads] == Kind.DEPTH]:
        book.apply(rows, head)
    for side in (1, -1):
        assert book.sides[side] == dict(source.generator.levels(0, side).tolist())


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_times_and_ids_run_on_in_every_stream(preset, seed):
    rows = rows_of_source(source_of(preset, seed))
    heads = heads_of(rows)
    assert rows[0]["kind"] == Kind.DEPTH
    assert rows[0]["flags"] & Flag.SNAPSHOT
    assert np.all(np.diff(rows["ts_local_ns"][heads]) >= 0)
    for kind in (Kind.DEPTH, Kind.TRADE, Kind.BEST):
        stream = rows[heads[rows["kind"][heads] == kind]]
        assert np.all(np.diff(stream["ts_venue_ns"]) >= 0)
        assert np.all(stream["ts_local_ns"] >= stream["ts_venue_ns"])
    trades = rows[heads[rows["kind"][heads] == Kind.TRADE]]
    assert np.all(np.diff(trades["seq"]) == 1)
    assert np.all(trades["qty"] > 0)
    best = rows[heads[rows["kind"][heads] == Kind.BEST]]
    bids, asks = best[0::2], best[1::2]
    assert np.all(bids["side"] == 1)
    assert np.all(asks["side"] == -1)
    assert np.all(bids["seq"] == asks["seq"])
    assert np.all(bids["tick"] < asks["tick"])
    assert np.all(best["qty"] > 0)


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_best_quotes_equal_the_book_after_the_same_update(preset, seed):
    rows = rows_of_source(source_of(preset, seed))
    heads = heads_of(rows)
    best = rows[heads[rows["kind"][heads] == Kind.BEST]]
    by_update = {
        (int(row["seq"]), int(row["side"])): (int(row["tick"]), int(row["qty"])) for row in best
    }
    book, compared = NaiveBook(), 0
    for head in heads[rows["kind"][heads] == Kind.DEPTH]:
        book.apply(rows, head)
        for side in (1, -1):
            if (quoted := by_update.get((book.last, side))) is not None:
                assert quoted == book.best(side)
                compared += 1
    assert compared > 0


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_prints_take_what_rests_at_the_touch(preset, seed):
    market = Market(BTC, bared(PRESETS[preset]))
    source = SyntheticSource([market], seconds=SECONDS[preset], seed=seed)
    rows = rows_of_source(source)
    book = BareBook()
    quoted = {}
    for head in heads_of(rows):
        row = rows[head]
        side, tick, qty = int(row["side"]), int(row["tick"]), int(row["qty"])
        if row["kind"] == Kind.TRADE:
            book.printed(side, tick, qty)
        elif row["kind"] == Kind.BEST:
            book.touched(side, tick, qty)
            quoted[side] = (tick, qty)
        else:
            apply_bare(book, rows, head)
            for side, best in quoted.items():
                assert book.best(side) == best


def apply_bare(book: BareBook, rows: np.ndarray, head: int) -> None:
    """Levels are absolute: what prints and best quotes said before is confirmed, not repeated."""
    header = rows[head]
    if header["flags"] & Flag.SNAPSHOT and not header["flags"] & Flag.CONT:
        book.sides = {1: {}, -1: {}}
    for side, levels in zip((1, -1), levels_of(rows, head), strict=True):
        for tick, qty in levels.tolist():
            if qty:
                book.sides[side][tick] = qty
            else:
                book.sides[side].pop(tick, None)
    book.unsure.clear()


def digest(source: SyntheticSource) -> str:
    sha = hashlib.sha256()
    while (block := source.next_block()) is not None:
        sha.update(block.tobytes())
    return sha.hexdigest()


DIGEST_PROGRAM = """
import hashlib, sys
sys.path[:0] = sys.argv[1:]
from mmcore.synthetic import source
made, sha = source("busy", seconds=5.0, seed=7), hashlib.sha256()
while (block := made.next_block()) is not None:
    sha.update(block.tobytes())
print(sha.hexdigest())
"""


def five(seed: int) -> SyntheticSource:
    markets = [
        market(BTC, "busy"),
        market(known("synthetic", "ETHUSDT"), "busy_eth"),
        market(known("binance-spot", "BTCUSDT"), "busy"),
        market(known("hyperliquid", "BTC"), "block", 61_716.0),
        market(known("binance-spot", "NEXOUSDT"), "quiet"),
    ]
    return SyntheticSource(together(markets), seconds=5.0, seed=seed)


def test_the_same_seed_gives_the_same_bytes_within_and_across_processes():
    elsewhere = subprocess.run(
        [sys.executable, "-c", DIGEST_PROGRAM, *filter(None, sys.path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    here = [digest(SyntheticSource([market(BTC, "busy")], seconds=5.0, seed=7)) for _ in range(2)]
    assert here == [elsewhere, elsewhere]
    assert digest(five(7)) == digest(five(7)) != digest(five(8))


def test_how_it_is_cut_into_blocks_does_not_change_a_market():
    def whole(steps: int) -> bytes:
        generator = Generator(
            [PRESETS["busy"]], [-1], seed=3, start_ns=START_NS, end_ns=START_NS + 2 * 10**9
        )
        rows, found = np.zeros(16_384, EVENT), []
        while not generator.ended:
            found.append(rows[: generator.fill(rows.view(np.uint8), steps)].tobytes())
        return b"".join(found)

    assert whole(1) == whole(7) == whole(100_000)


def test_several_instruments_keep_their_own_rules_in_one_stream():
    rows = rows_of_source(five(1))
    heads = heads_of(rows)
    assert np.all(np.diff(rows["ts_local_ns"][heads]) >= 0)
    assert set(rows["instrument"][heads].tolist()) == {0, 1, 2, 3, 4}
    books = {i: NaiveBook() for i in range(5)}
    for head in heads[rows["kind"][heads] == Kind.DEPTH]:
        books[int(rows[head]["instrument"])].apply(rows, head)
    spot = rows[heads[rows["instrument"][heads] == 2]]
    assert np.all(spot["qty"][spot["kind"] == Kind.TRADE] % 1_000 == 0)  # whole lots of units
    coarse = rows[heads[rows["instrument"][heads] == 3]]
    assert np.all(coarse["tick"][coarse["kind"] == Kind.BEST] % 10 == 0)  # five figures


def test_a_follower_moves_with_its_leader():
    markets = together([market(BTC, "busy"), market(known("synthetic", "ETHUSDT"), "busy_eth")])
    source = SyntheticSource(markets, seconds=300.0, seed=2)
    rows = rows_of_source(source)
    heads = heads_of(rows)
    best = rows[heads[(rows["kind"][heads] == Kind.BEST) & (rows["side"][heads] == 1)]]
    grid = START_NS + np.arange(1, 300) * 10**9
    moves = []
    for instrument in (0, 1):
        own = best[best["instrument"] == instrument]
        at = np.searchsorted(own["ts_venue_ns"], grid) - 1
        moves.append(np.diff(np.log(own["tick"][at].astype(float))))
    assert 0.45 < np.corrcoef(moves[0], moves[1])[0, 1] < 0.85


@pytest.fixture(scope="module", params=["busy", "block", "quiet"])
def touches(request):
    """Four tapes of a preset, measured from their touch."""
    seconds = HONEST_SECONDS[request.param]
    tapes = [record(source_of(request.param, seed, seconds)) for seed in (1, 2, 3, 4)]
    return request.param, tapes, [Touch(tape) for tape in tapes]


def test_the_price_has_no_drift(touches):
    _, _, seen = touches
    moves = np.concatenate([np.diff(each.mid[each.at(each.grid(1.0))]) for each in seen])
    assert abs(moves.mean()) < 3.0 * moves.std() / np.sqrt(len(moves))


def test_naive_quoting_at_the_touch_does_not_earn(touches):
    preset, tapes, seen = touches
    scale = LARGE_TICK if preset == "quiet" else SMALL_TICK
    worth = [
        markout_facts(tape, touch, scale)["markout_1s"]
        for tape, touch in zip(tapes, seen, strict=True)
    ]
    assert np.mean(worth) <= 0.0


def test_taking_on_the_imbalance_earns_less_than_a_fee(touches):
    """Buy at the ask when the bid queue is heavy, and the other way, out at the mid later.

    On recordings this is worth 0.4 to 0.65 bp of small ticks after a second, before the fee of
    several basis points; on large ticks the half spread eats it.
    """
    preset, _, seen = touches
    for later_s in (1.0, 5.0):
        worth = []
        for touch in seen:
            t = touch.grid(0.5)
            t = t[t < touch.t[-1] - later_s]
            now, then = touch.at(t), touch.at(t + later_s)
            side = np.sign(touch.imbalance[now]) * (np.abs(touch.imbalance[now]) > 0.6)
            paid = np.where(side > 0, touch.ask[now], touch.bid[now])
            worth.append((side * (touch.mid[then] - paid))[side != 0] * touch.bp)
        assert np.mean(np.concatenate(worth)) < (0.0 if preset == "quiet" else 1.0)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"seconds": -1.0}, "seconds -1.0"),
        ({"seed": -1}, "seed -1"),
        ({"seconds": float("nan")}, "seconds nan"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        SyntheticSource([market(BTC, "busy")], **arguments)


def test_an_unknown_preset_and_a_price_near_zero_are_named():
    with pytest.raises(ValueError, match="preset 'bussy': expected one of busy"):
        market(BTC, "bussy")
    with pytest.raises(ValueError, match=r"price 0\.5 is 5 steps"):
        market(BTC, "busy", 0.5)
    with pytest.raises(ValueError, match="at least one instrument"):
        SyntheticSource([])


def test_the_first_block_is_there_at_once_and_progress_ends_at_one():
    source = source_of("busy", 1)
    assert source.next_block() is not None
    assert 0.0 < source.progress() < 1.0
    while source.next_block() is not None:
        pass
    assert source.progress() == 1.0
    assert np.isnan(SyntheticSource([market(BTC, "busy")]).progress())
