"""The scanner beside two oracles: exact decimals of the standard library, and the JSON decoders.

Generated frames must come out as an independent reading of them says; mutated frames must come out
as the JSON decoder says, or be refused.  What the scanner refuses by itself the JSON decoder must
refuse too, or have nothing to say of.
"""

import json
import random
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmcore._scan import STATUS_TEXT, Scanner
from mmcore.events import LEVEL, Kind
from mmcore.instrument import Instrument, known
from mmcore.venue import DecodeError, decoder

UNSURE, SYMBOL = 1, 4
ITEM = known("binance-usdm", "BTCUSDT")


def text_of(scaled: int, decimals: int, padding: int) -> str:
    text = f"{Decimal(scaled).scaleb(-decimals):f}"
    return text + "0" * padding if "." in text else text


ticks = st.integers(1, 10**12)
units = st.integers(0, 10**12)
padding = st.integers(0, 6)
sides = st.lists(st.tuples(ticks, units, padding), max_size=40)


@given(bids=sides, asks=sides, first=st.integers(0, 10**17), width=st.integers(0, 10**6),
       keys=st.permutations(["e", "E", "T", "s", "U", "u", "pu", "b", "a", "z"]),
       decimals=st.tuples(st.integers(0, 8), st.integers(0, 5)),
       blanks=st.sampled_from([None, (", ", ": "), (",\n\t", " : ")]))  # fmt: skip
def test_a_generated_update_is_read_exactly(bids, asks, first, width, keys, decimals, blanks):
    price, qty = decimals
    fields = {
        "e": "depthUpdate", "E": 5, "T": 1_700_000_000_000, "s": "BTCUSDT",
        "U": first, "u": first + width, "pu": max(first - 1, 0), "z": {"b": [["x"]], "n": -1.5e0},
        "b": [[text_of(t, price, p), text_of(q, qty, p)] for t, q, p in bids],
        "a": [[text_of(t, price, p), text_of(q, qty, p)] for t, q, p in asks],
    }  # fmt: skip
    frame = json.dumps({key: fields[key] for key in keys}, separators=blanks).encode()
    scan = Scanner(1, [("BTCUSDT", price, 1, qty, 0)])
    assert scan.scan(frame) == 0, (STATUS_TEXT[scan.scan(frame)], frame)
    rows = scan.rows(1)
    assert (rows[0]["seq"], rows[0]["aux"]) == (first + width, max(first - 1, 0))
    assert (rows[0]["n_bids"], rows[0]["n_asks"]) == (len(bids), len(asks))
    expected = [(t, q) for t, q, _ in bids + asks]
    assert rows[1:].view(LEVEL)[: len(expected)].tolist() == expected


def exact(text: str, decimals: int, step: int) -> int | None:
    """A plain decimal as a whole number of steps, None where it is not one."""
    if not text.isascii() or not all(part.isdecimal() for part in text.split(".", 1)):
        return None
    scaled = Decimal(text).scaleb(decimals)
    if scaled != int(scaled) or int(scaled) % step:
        return None
    return int(scaled) // step


@given(text=st.one_of(
    st.from_regex(r"[0-9]{1,7}(\.[0-9]{1,10})?", fullmatch=True),
    st.text("0123456789.-+eE ,_nN", max_size=14),
), decimals=st.integers(0, 8), step=st.sampled_from([1, 2, 5, 25]))  # fmt: skip
@example("1.", 2, 1)
@example("00001.50", 2, 1)
@example("0.30000000", 1, 1)
@example("999999999.99", 8, 1)
def test_a_decimal_is_read_as_the_standard_library_reads_it_or_refused(text, decimals, step):
    frame = json.dumps({"lastUpdateId": 1, "bids": [[text, "1"]], "asks": []}).encode()
    scan = Scanner(1, [("X", decimals, step, 0, 0)])
    expected = exact(text, decimals, step)
    if scan.scan(frame, 0) == 0:
        assert scan.rows(1)[1:].view(LEVEL)[0].tolist() == (expected, 1)
    else:
        assert not expected  # off the grid, no plain decimal, or price 0


FRAMES = {
    "binance-usdm": [
        (b'{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1723161256299,'
        b'"T":1723161256298,"s":"BTCUSDT","U":11,"u":15,"pu":9,"b":[["58710.20","0.014"],'
        b'["61496.50","0.010"]],"a":[["61800.30","3.330"]]}}'),
        (b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"T":2,"s":"BTCUSDT","t":52,'
        b'"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'),
        (b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":8,"s":"BTCUSDT",'
        b'"b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":5,"E":6}}'),
        b'{"e":"aggTrade","E":1,"a":16,"s":"BTCUSDT","p":"1.1","q":"1","f":1,"l":2,"T":3,"m":true}',
        b'{"lastUpdateId":5,"E":1,"T":2,"bids":[["58710.2","0.014"]],"asks":[["6.1","0"]]}',
        b'{"e":"markPriceUpdate","E":15623053800,"s":"BTCUSDT","p":"11794.15","r":"0.0003","T":9}',
    ],
    "binance-spot": [
        (b'{"stream":"x","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":7,"u":9,'
        b'"b":[["61737.63000000","0.00000000"]],"a":[]}}'),
        (b'{"stream":"x","data":{"u":34,"s":"BTCUSDT","b":"1.21000000","B":"939.7","a":"1.22",'
        b'"A":"25.60000000"}}'),
    ],
    "bybit-linear": [
        (b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1687940967466,"data":{"s":"BTCUSDT",'
        b'"b":[["30247.20","30.028"],["30240.00","0"]],"a":[["30248.70","0"]],"u":177,"seq":66},'
        b'"cts":1687940967464}'),
    ],
    "hyperliquid": [
        (b'{"channel":"l2Book","data":{"coin":"BTC","time":1737918794873,"levels":[[{"px":"105055",'
        b'"sz":"3.03622","n":5}],[{"n":1,"sz":"0.1","px":"105056.0"}]]}}'),
    ],
}  # fmt: skip
SPARE = b'{}[]:,"\\0123456789.-eEtrufalsn \n\x00\x7f\xc3\xa9abuUpq'


def mutate(frame: bytes, chance: random.Random) -> bytes:
    out = bytearray(frame)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(out))
        what = chance.randrange(5)
        if what == 0:
            out[at] = chance.choice(SPARE)
        elif what == 1:
            del out[at : at + chance.randrange(1, 4)]
        elif what == 2:
            out[at:at] = bytes(chance.choices(SPARE, k=chance.randrange(1, 3)))
        elif what == 3:
            end = min(len(out), at + chance.randrange(1, 20))
            out[at:at] = out[at:end]  # a piece twice: keys, levels, digits
        else:
            start = chance.randrange(len(frame))
            out[at : at + 3] = frame[start : start + chance.randrange(8)]
        out = out or bytearray(b" ")
    return bytes(out)


def judge(frame: bytes, decode, hint: int) -> int:
    """Compare scanner and JSON decoder on one frame; the scanner's status."""
    status = decode.scanner.scan(bytearray(frame), hint)
    try:
        expected = decode.decode_json(frame, 9, hint)
    except DecodeError:
        assert status != 0, ("the scanner took what JSON refuses", frame)
        return status
    if status == 0:
        assert decode.scanner.rows(9).tobytes() == expected.tobytes(), frame
    elif status not in {UNSURE, SYMBOL} and not repeats_a_key(frame):
        assert not len(expected), (STATUS_TEXT[status], frame)
    return status


def repeats_a_key(frame: bytes) -> bool:
    """JSON takes the last of equal keys; the scanner stops at the first that it cannot use."""
    repeated = []

    def look(pairs):
        repeated.append(len({key for key, _ in pairs}) < len(pairs))
        return dict(pairs)

    json.loads(frame, object_pairs_hook=look)
    return any(repeated)


@pytest.mark.parametrize("venue", FRAMES)
def test_frames_and_their_mutations_are_read_alike(venue):
    item: Instrument = known(venue, "BTC" if venue == "hyperliquid" else "BTCUSDT")
    decode = decoder(venue)([item])
    taken = 0
    for number, frame in enumerate(FRAMES[venue]):
        status = judge(frame, decode, 0)
        assert status == 0 or b"markPrice" in frame
        chance = random.Random(f"{venue} {number}")
        taken += sum(judge(mutate(frame, chance), decode, 0) == 0 for _ in range(3000))
    assert taken > 100  # many a mutation is still a sound frame


@given(st.binary(max_size=60))
def test_no_bytes_upset_the_scanner(frame):
    for dialect in (1, 2, 3, 4):
        scan = Scanner(dialect, [("X", 1, 1, 1, 0)])
        assert scan.scan(bytearray(frame), 0) in STATUS_TEXT
        assert len(scan.rows(1)) == 0 or scan.rows(1)[0]["kind"] == Kind.DEPTH
