"""The frame scanner on frames typed by hand: what is staged, and what is refused."""

import numpy as np
import pytest

from mmcore._scan import STATUS_TEXT, Scanner
from mmcore.events import ASK, BID, EVENT, LEVEL, Flag, Kind

FUTURES, SPOT, BYBIT, HYPERLIQUID = 1, 2, 3, 4
UNSURE, MALFORMED, MISSING, SYMBOL, OFF_GRID = 1, 2, 3, 4, 5
NEGATIVE, EXPONENT, DIGITS, ZERO, FULL = 6, 7, 8, 9, 10
BOTH = int(Flag.EXCH | Flag.LOCAL)

DEPTH = (
    b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,"T":1723161256298,'
    b'"s":"BTCUSDT","U":11,"u":15,"pu":9,"b":[["58710.20","0.014"],["61496.5","0"]],'
    b'"a":[["61800.30","3.330"]]}}'
)
SPOT_DEPTH = (
    b'{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":7,"u":9,'
    b'"b":[["61737.60000000","0.00000001"]],"a":[]}'
)
REST = b'{"lastUpdateId":42,"bids":[["100.0","1.5"]],"asks":[["100.1","2"],["100.2","3"]]}'
BYBIT_DELTA = (
    b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1687940967466,"data":{"s":"BTCUSDT",'
    b'"b":[["30247.20","30.028"],["30240.00","0"]],"a":[["30248.70","0"]],"u":177,"seq":66},'
    b'"cts":1687940967464}'
)
IMAGE = (
    b'{"channel":"l2Book","data":{"coin":"BTC","time":1737918794873,"levels":['
    b'[{"px":"105055.0","sz":"3.03622","n":5}],[{"n":1,"sz":"0.1","px":"105056.0"}]]}}'
)


def scanner(dialect=FUTURES, decimals=(1, 3), tick_mul=1, symbol="BTCUSDT"):
    return Scanner(dialect, [(symbol, decimals[0], tick_mul, decimals[1], 5)])


def levels(rows):
    n = int(rows["n_bids"][0]) + int(rows["n_asks"][0])
    return rows[1:].view(LEVEL)[:n].tolist()


def test_a_futures_update():
    scan = scanner()
    assert scan.scan(DEPTH) == 0
    rows = scan.rows(77)
    head = rows[0]
    assert len(rows) == 2 and rows.dtype == EVENT
    assert (head["kind"], head["flags"], head["instrument"]) == (Kind.DEPTH, BOTH, 5)
    assert (head["seq"], head["aux"], head["n_bids"], head["n_asks"]) == (15, 9, 2, 1)
    assert (head["ts_venue_ns"], head["ts_local_ns"]) == (1723161256298_000_000, 77)
    assert levels(rows) == [(587102, 14), (614965, 0), (618003, 3330)]
    assert rows[1:].view(LEVEL)[3].tolist() == (0, 0)


def test_a_spot_update_follows_the_id_before_its_first():
    scan = scanner(SPOT, (1, 8))
    assert scan.scan(SPOT_DEPTH) == 0
    rows = scan.rows(1)
    assert (rows[0]["seq"], rows[0]["aux"], rows[0]["n_asks"]) == (9, 6, 0)
    assert rows[0]["ts_venue_ns"] == 1723161255208_000_000
    assert levels(rows) == [(617376, 1)]


def test_a_rest_snapshot_belongs_to_whom_the_caller_says():
    scan = scanner()
    assert scan.scan(REST) == SYMBOL
    assert scan.scan(REST, 0) == 0
    rows = scan.rows(1)
    assert rows[0]["flags"] == BOTH | Flag.SNAPSHOT
    assert (rows[0]["seq"], rows[0]["aux"], rows[0]["ts_venue_ns"]) == (42, 0, 0)
    assert levels(rows) == [(1000, 1500), (1001, 2000), (1002, 3000)]
    named = REST.replace(b'{"last', b'{"symbol":"ETHUSDT","last')
    assert scan.scan(named, 0) == SYMBOL


def test_a_bybit_delta_and_snapshot():
    scan = scanner(BYBIT, (1, 3))
    assert scan.scan(BYBIT_DELTA) == 0
    rows = scan.rows(1)
    assert (rows[0]["seq"], rows[0]["aux"], rows[0]["flags"]) == (177, 176, BOTH)
    assert rows[0]["ts_venue_ns"] == 1687940967464_000_000
    assert levels(rows) == [(302472, 30028), (302400, 0), (302487, 0)]
    assert scan.scan(BYBIT_DELTA.replace(b"delta", b"snapshot")) == 0
    assert scan.rows(1)[0]["flags"] == BOTH | Flag.SNAPSHOT


def test_a_hyperliquid_image():
    scan = scanner(HYPERLIQUID, (1, 5), symbol="BTC")
    assert scan.scan(IMAGE) == 0
    rows = scan.rows(1)
    assert (rows[0]["seq"], rows[0]["flags"]) == (0, BOTH | Flag.SNAPSHOT)
    assert levels(rows) == [(1050550, 303622), (1050560, 10000)]


def test_a_trade_has_the_aggressors_side():
    trade = (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":2,"T":3,"s":"BTCUSDT","t":77,'
        b'"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'
    )
    scan = scanner()
    assert scan.scan(trade) == 0
    row = scan.rows(9)[0]
    assert (row["kind"], row["side"], row["seq"]) == (Kind.TRADE, BID, 77)
    assert (row["tick"], row["qty"], row["ts_venue_ns"]) == (618003, 6, 3_000_000)
    assert scan.scan(trade.replace(b"false", b"true")) == 0
    assert scan.rows(9)[0]["side"] == ASK
    assert scan.scan(trade.replace(b"61800.30", b"0")) == ZERO
    assert scan.scan(trade.replace(b"MARKET", b"INSURANCE_FUND")) == UNSURE


@pytest.mark.parametrize("name", [b'"e":"bookTicker",', b""])
def test_a_best_quote_is_two_rows(name):
    best = b'{"data":{' + name + b'"u":4,"s":"BTCUSDT","b":"1.2","B":"3","a":"1.3","A":"4"}}'
    scan = scanner()
    assert scan.scan(best) == 0
    rows = scan.rows(9)
    assert rows["kind"].tolist() == [Kind.BEST] * 2
    assert rows["side"].tolist() == [BID, ASK]
    assert rows["tick"].tolist() == [12, 13] and rows["qty"].tolist() == [3000, 4000]
    assert rows["seq"].tolist() == [4, 4]


def test_the_order_of_keys_does_not_matter():
    late = (
        b'{ "a" : [["61800.30","3.330"]] , "b":[["58710.20","0.014"],["61496.5","0"]],\n'
        b'"pu":9,"u":15,"U":11,"E":1,"T":1723161256298,"e":"depthUpdate","s":"BTCUSDT"}'
    )
    scan = scanner()
    assert scan.scan(DEPTH) == 0
    expected = scan.rows(3)
    assert scan.scan(late) == 0
    assert scan.rows(3).tobytes() == expected.tobytes()


def test_text_inside_strings_is_not_taken_for_keys():
    frame = DEPTH.replace(b'"e":', b'"x":"},b:[[1,2]],u:3","y":{"b":[["1","2"]],"u":1},"e":')
    scan = scanner()
    assert scan.scan(DEPTH) == 0
    expected = scan.rows(3)
    assert scan.scan(frame) == 0
    assert scan.rows(3).tobytes() == expected.tobytes()


def test_a_coarse_tick_divides_exactly_or_not_at_all():
    scan = scanner(tick_mul=5)  # tick 0.5
    frame = REST.replace(b"100.1", b"100.5").replace(b"100.2", b"101.00")
    assert scan.scan(frame, 0) == 0
    assert [tick for tick, _ in levels(scan.rows(1))] == [200, 201, 202]
    assert scan.scan(REST, 0) == OFF_GRID


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"58710.20", b"58710.25", OFF_GRID),
        (b"0.014", b"0.0141", OFF_GRID),
        (b"58710.20", b"-58710.20", NEGATIVE),
        (b"0.014", b"-0.014", NEGATIVE),
        (b'"u":15', b'"u":-15', NEGATIVE),
        (b"58710.20", b"5.87e4", EXPONENT),
        (b"0.014", b"14E-3", EXPONENT),
        (b"58710.20", b"123456789012345678.2", DIGITS),
        (b'"u":15', b'"u":1234567890123456789', DIGITS),
        (b"1723161256298", b"99999999999999", DIGITS),
        (b"58710.20", b"0.00", ZERO),
        (b"58710.20", b"", MALFORMED),
        (b"58710.20", b"58710.", MALFORMED),
        (b"58710.20", b".5", MALFORMED),
        (b"58710.20", b"58 710", MALFORMED),
        (b"58710.20", b"nan", MALFORMED),
        (b"58710.20", b"58710\\u002e2", UNSURE),
        (b'"58710.20"', b"58710.20", MALFORMED),
        (b'"u":15', b'"u":015', MALFORMED),
        (b'"u":15', b'"u":15.5', UNSURE),
        (b'"u":15', b'"u":"15"', UNSURE),
        (b'"U":11', b'"U":16', MALFORMED),
        (b'"pu":9,', b"", MISSING),
        (b'"u":15,', b"", MISSING),
        (b'"s":"BTCUSDT",', b"", MISSING),
        (b'"E":1723161256299,"T":1723161256298,', b"", MISSING),
        (b'"a":[["61800.30","3.330"]]', b'"x":0', MISSING),
        (b'"s":"BTCUSDT"', b'"s":"ETHUSDT"', SYMBOL),
        (b'"u":15', b'"u":15,"u":15', UNSURE),
        (b'"depthUpdate"', b'"kline"', UNSURE),
        (b"}}", b"}}x", MALFORMED),
        (b"}}", b"}", MALFORMED),
        (b"stream", b"str\x01eam", MALFORMED),
        (b"btcusdt@", "b\u00e9".encode(), UNSURE),
        (b'["61496.5","0"]', b'["61496.5","0","1"]', MALFORMED),
        (b'["61496.5","0"]', b'["61496.5"]', MALFORMED),
        (b'["61496.5","0"]]', b'["61496.5","0"],]', MALFORMED),
    ],
)
def test_what_is_not_plain_is_refused_and_nothing_is_staged(old, new, status):
    assert old in DEPTH
    scan = scanner()
    got = scan.scan(DEPTH.replace(old, new, 1))
    assert STATUS_TEXT[got] == STATUS_TEXT[status]
    assert len(scan.rows(1)) == 0


@pytest.mark.parametrize(
    ("frame", "dialect", "decimals", "symbol", "hint"),
    [
        (DEPTH, FUTURES, (1, 3), "BTCUSDT", -1),
        (SPOT_DEPTH, SPOT, (1, 8), "BTCUSDT", -1),
        (REST, FUTURES, (1, 3), "BTCUSDT", 0),
        (BYBIT_DELTA, BYBIT, (1, 3), "BTCUSDT", -1),
        (IMAGE, HYPERLIQUID, (1, 5), "BTC", -1),
    ],
)
def test_a_cut_frame_is_never_taken(frame, dialect, decimals, symbol, hint):
    scan = scanner(dialect, decimals, symbol=symbol)
    for size in range(len(frame)):
        # A buffer of its own, so that reading past the end would leave it.
        assert scan.scan(bytearray(frame[:size]), hint) != 0, frame[:size]
    assert scan.scan(frame, hint) == 0


@pytest.mark.parametrize(("n_bids", "n_asks"), [(5000, 5000), (4096, 1), (4097, 0), (0, 4096)])
def test_a_large_snapshot_is_written_as_a_chain(n_bids, n_asks):
    bids = ",".join(f'["{20000 - i}","1"]' for i in range(n_bids))
    asks = ",".join(f'["{20001 + i}","2"]' for i in range(n_asks))
    scan = scanner(decimals=(0, 0))
    frame = f'{{"lastUpdateId":1,"bids":[{bids}],"asks":[{asks}]}}'.encode()
    assert scan.scan(frame, 0) == 0
    rows, at, got, flags = scan.rows(1), 0, [], []
    while at < len(rows):
        n = int(rows[at]["n_bids"]) + int(rows[at]["n_asks"])
        assert n <= 4096
        flags.append(int(rows[at]["flags"]))
        body = rows[at + 1 : at + 1 + (n + 3) // 4].view(LEVEL)[:n].tolist()
        got += body
        at += 1 + (n + 3) // 4
    assert got == [((20000 - i), 1) for i in range(n_bids)] + [
        ((20001 + i), 2) for i in range(n_asks)
    ]
    assert all(flag & Flag.SNAPSHOT for flag in flags)
    assert [bool(flag & Flag.CONT) for flag in flags] == [False] + [True] * (len(flags) - 1)
    assert [bool(flag & Flag.MORE) for flag in flags] == [True] * (len(flags) - 1) + [False]


def test_more_levels_than_a_side_can_hold_are_refused():
    bids = ",".join(f'["{1 + i}","1"]' for i in range(8193))
    scan = scanner(decimals=(0, 0))
    assert scan.scan(f'{{"lastUpdateId":1,"bids":[{bids}],"asks":[]}}'.encode(), 0) == FULL


def test_an_empty_update_still_moves_the_sequence():
    scan = scanner(SPOT, (1, 8))
    frame = SPOT_DEPTH.replace(b'[["61737.60000000","0.00000001"]]', b"[]")
    assert scan.scan(frame) == 0
    rows = scan.rows(1)
    assert len(rows) == 1 and rows[0]["n_bids"] == rows[0]["n_asks"] == 0


def test_the_right_instrument_of_many():
    scales = [(f"COIN{i}", 1, 1, 3, 10 + i) for i in range(50)]
    scan = Scanner(FUTURES, scales)
    for i in (49, 0, 7):
        assert scan.scan(DEPTH.replace(b"BTCUSDT", f"COIN{i}".encode())) == 0
        assert scan.rows(1)[0]["instrument"] == 10 + i


@pytest.mark.parametrize(
    ("dialect", "scales"),
    [
        (0, []),
        (5, []),
        (1, [("", 1, 1, 1, 0)]),
        (1, [("X" * 41, 1, 1, 1, 0)]),
        (1, [("X", 18, 1, 1, 0)]),
        (1, [("X", 1, 0, 1, 0)]),
        (1, [("X", 1, 1, 1, 0)] * 1025),
    ],
)
def test_a_table_that_does_not_fit_is_refused(dialect, scales):
    with pytest.raises(ValueError, match=r"expected|at most"):
        Scanner(dialect, scales)


def test_a_hint_outside_the_table_is_refused():
    with pytest.raises(ValueError, match="hint 1"):
        scanner().scan(REST, 1)


def test_nothing_is_staged_before_the_first_frame():
    assert scanner().rows(1).tolist() == np.zeros(0, EVENT).tolist()
    assert scanner().scan(b"") == MALFORMED
