"""Recorded Hyperliquid answers and frames decode: orders, fills, funding, refusals, books."""

import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore.adapters import _hyperliquid_words as words
from mmcore.adapters._decode import Terms
from mmcore.adapters.hyperliquid import Hyperliquid
from mmcore.events import Kind, RejectCode
from mmcore.gateway import Action
from mmcore.instrument import from_hyperliquid, known
from mmcore.venue import DecodeError

PLAIN = re.compile(r"[^'\"\\\n]+")


def scalars(text, key):
    """Values of a key in a recorded cassette, each a YAML scalar in quotes on one line or more."""
    found = []
    for match in re.finditer(rf"^ *{key}: (['\"])", text, re.MULTILINE):
        at, quote, out = match.end(), match[1], []
        while text[at] != quote or (quote == "'" and text[at + 1] == "'"):
            if plain := PLAIN.match(text, at):
                out.append(plain[0])
                at = plain.end()
                continue
            if text[at] == "\n":  # folded: the break and the indent stand for one blank
                at = re.compile(r"\s*").match(text, at).end()
                out.append(" ")
            elif quote == "'" and text[at] == "'":
                out.append("'")
                at += 2
            elif quote == '"' and text[at] == "\\":
                if text[at + 1] == "\n":
                    at = re.compile(r"\\\s*\\?").match(text, at).end()
                elif digits := {"x": 2, "u": 4, "U": 8}.get(text[at + 1]):
                    out.append(chr(int(text[at + 2 : at + 2 + digits], 16)))
                    at += 2 + digits
                else:
                    out.append(json.loads(f'"{text[at : at + 2]}"'))
                    at += 2
            else:
                out.append(text[at])
                at += 1
        found.append("".join(out))
    return found


@cache
def exchanges(path):
    """Requests and answers of a cassette."""
    text = path.read_text(encoding="utf-8")
    key = "string" if "python_sdk" in path.parent.name else "body"
    bodies = scalars(text, key)
    if key == "string":
        return list(zip(scalars(text, "body"), bodies, strict=True))
    return list(zip(bodies[::2], bodies[1::2], strict=True))


@pytest.fixture(scope="module")
def fixtures(shared_data):
    path = shared_data / "fixtures" / "hyperliquid"
    if not path.is_dir():
        pytest.skip("no fixtures of Hyperliquid")
    return path


def answers(fixtures, kind):
    """Recorded answers to an ``info`` request of a type."""
    found = []
    for path in sorted(fixtures.glob("*_sdk_cassettes/*.yaml")):
        for asked, answer in exchanges(path):
            request = json.loads(asked)
            if request.get("type") == kind:
                found.append((request, json.loads(answer)))
    return found


@pytest.fixture(scope="module")
def coins(fixtures):
    """Every coin of every recorded universe; the finest size decides where two differ."""
    items = {}
    for _, answer in answers(fixtures, "meta"):
        for symbol, item in from_hyperliquid(answer).items():
            known = items.get(symbol)
            if known is None or item.qty_decimals > known.qty_decimals:
                items[symbol] = item
    rows = [row for kind in ("userFills", "userFillsByTime") for _, a in answers(fixtures, kind)
            for row in a]  # fmt: skip
    made = {}
    for row in rows:  # recorded before the universe was: scales as fine as what is written
        digits = len(row["px"].partition(".")[2]), len(row["sz"].partition(".")[2])
        made[row["coin"]] = max(made.get(row["coin"], (0, 0)), digits)
    for symbol, (price, size) in made.items():
        item = items.get(symbol) or replace(items["BTC"], symbol=symbol)
        if price > item.price_decimals or size > item.qty_decimals:
            lot = f"0.{'1'.rjust(size, '0')}" if size else "1"
            tick = f"0.{'1'.rjust(price, '0')}" if price else "1"
            item = replace(item, tick=tick, lot=lot, min_qty=lot, qty_decimals=size)
        items[symbol] = item
    return words.Coins([Terms(item, n) for n, item in enumerate(items.values())])


def test_every_recorded_answer_can_be_read(fixtures):
    paths = sorted(fixtures.glob("*_sdk_cassettes/*.yaml"))
    assert len(paths) == 42
    for path in paths:
        pairs = exchanges(path)
        assert pairs, path.name
        for asked, answer in pairs:
            assert json.loads(asked) is not None
            assert json.loads(answer) is not None


def test_recorded_universes_are_instruments(fixtures):
    universes = [answer for _, answer in answers(fixtures, "meta")]
    assert len(universes) >= 4
    for universe in universes:
        items = from_hyperliquid(universe)
        assert {"BTC", "ETH"} <= items.keys() or len(items) == len(universe["universe"])
    assert from_hyperliquid(json.loads((fixtures / "pd_aio_sdk/markets.json").read_text()))


def test_recorded_fills_decode(fixtures, coins):
    n = 0
    for kind in ("userFills", "userFillsByTime"):
        for _, answer in answers(fixtures, kind):
            fills = [coins.fill(row) for row in answer]
            assert None not in fills
            assert len({(f.instrument, f.side, f.trade_id) for f in fills}) == len(fills)
            assert all(fill.qty > 0 and fill.tick > 0 and fill.ts_ns > 10**18 for fill in fills)
            n += len(fills)
    assert n >= 900


def test_recorded_orders_decode(fixtures, coins):
    n = 0
    for kind in ("openOrders", "frontendOpenOrders"):
        for _, answer in answers(fixtures, kind):
            for row in answer:
                if row["coin"] not in coins.of:
                    continue
                order = coins.order(row)
                assert order.open and order.left > 0 and order.oid == str(row["oid"])
                n += 1
    assert n >= 100
    for _, answer in answers(fixtures, "historicalOrders"):
        for row in answer:
            news = coins.update(row)
            if news is not None:
                assert news.ending in {Kind.REJECT, Kind.CANCELLED, Kind.FILL}
                assert (news.code == RejectCode.NO_LIQUIDITY) == (news.word == "iocCancelRejected")


def test_recorded_order_states_decode(fixtures, coins):
    seen = [answer for _, answer in answers(fixtures, "orderStatus")]
    assert seen
    for answer in seen:
        if answer["status"] == "unknownOid":
            assert coins.status(answer) is None
        elif answer["order"]["order"]["coin"] in coins.of:
            assert coins.status(answer).oid == str(answer["order"]["order"]["oid"])


def test_recorded_states_and_payments_decode(fixtures, coins):
    states = [answer for _, answer in answers(fixtures, "clearinghouseState")]
    assert len(states) >= 3
    for answer in states:
        held = words.balance(answer)
        assert held.free <= held.total
        coins.positions(answer)
    state = next(answer for answer in states if answer["assetPositions"])
    assert coins.positions(state)[coins.of["BTC"].number] == -785
    payments = [words.funding(row) for _, a in answers(fixtures, "userFunding") for row in a]
    assert len(payments) >= 100
    assert words.Funding("APE", 14_579_600, 1_681_948_800_000) in payments


def test_recorded_answers_to_actions_decode(fixtures):
    said = {}
    for path in sorted(fixtures.glob("go_sdk_cassettes/*.yaml")):
        for asked, answer in exchanges(path):
            action = json.loads(asked).get("action", {})
            if action:
                items = action.get("orders") or action["cancels"]
                said[path.stem] = words.items_of(json.loads(answer), len(items))
    assert len(said) == 9
    assert words.meaning_of(said["Orders_Below10"][0].error).reject == RejectCode.FILTER
    assert words.meaning_of(said["Orders_InvalidAuth"][0].error).action == Action.STOP
    for name in ("CancelByCloid_NonExistent", "Cancel_DoubleCancel", "Cancel_NonExistent"):
        assert words.meaning_of(said[name][0].error).reject == RejectCode.UNKNOWN_ORDER
    assert said["Orders_Above10"] == [words.Item(oid="41545810396")]
    assert said["Cancel_Success"] == [words.Item()]


def test_documented_answers_decode(shared_data):
    folder = shared_data / "wire" / "hyperliquid"
    refused = json.loads((folder / "order_error_min_value.json").read_text())
    assert words.items_of(refused, 1)[0].error == "Order must have minimum value of $10."
    assert words.items_of(refused, 3) == words.items_of(refused, 1) * 3
    default = json.loads((folder / "default_ok.json").read_text())
    assert words.items_of(default, 1) == [words.Item()]


def test_recorded_frames_decode(fixtures):
    decoder = Hyperliquid([known("hyperliquid", "BTC")])
    for name in ("ws_allmids", "ws_subscription_ack"):
        assert not len(decoder.decode((fixtures / "pd_aio_sdk" / f"{name}.json").read_bytes(), 1))
    rows = decoder.decode((fixtures / "pd_aio_sdk" / "ws_trades.json").read_bytes(), 1)
    assert np.unique(rows["kind"]).tolist() == [int(Kind.TRADE)]
    rows = decoder.decode((fixtures / "pd_aio_sdk" / "ws_l2book.json").read_bytes(), 1)
    assert (rows["kind"][0], rows["n_bids"][0], rows["n_asks"][0]) == (Kind.DEPTH, 20, 20)


@pytest.mark.parametrize(
    "answer",
    [
        None, [], 3, {}, {"status": "ok"}, {"status": "ok", "response": 1},
        {"status": "ok", "response": {"data": {"statuses": 3}}},
        {"status": "ok", "response": {"data": {"statuses": ["success"]}}},
        {"status": "ok", "response": {"data": {"statuses": [7, 7]}}},
        {"status": "ok", "response": {"data": {"statuses": [{"resting": {"oid": "x"}}] * 2}}},
    ],
)  # fmt: skip
def test_an_answer_of_another_form_is_refused_by_name(answer):
    with pytest.raises(DecodeError):
        words.items_of(answer, 2)


@pytest.mark.parametrize("row", [None, [], {}, {"coin": 3}, {"coin": "BTC"}, {"coin": "BTC",
    "px": 1, "sz": "1", "side": "B", "oid": 1, "time": 1, "tid": 1},
    {"coin": "BTC", "px": "1", "sz": "1", "side": "C", "oid": 1, "time": 1, "tid": 1},
    {"coin": "BTC", "px": "1", "sz": "1", "side": "B", "oid": 1, "time": 1, "tid": 1,
     "fee": "much"}])  # fmt: skip
def test_a_fill_of_another_form_is_refused_by_name(row):
    item = from_hyperliquid({"universe": [{"name": "BTC", "szDecimals": 5}]})["BTC"]
    with pytest.raises(DecodeError):
        words.Coins([Terms(item, 0)]).fill(row)


def test_fills_are_put_in_the_order_in_which_they_happened(fixtures):
    for _, answer in answers(fixtures, "userFills"):
        found = words.in_order(answer)
        assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, answer))
        assert [row["time"] for row in found] == sorted(row["time"] for row in answer)


@given(
    steps=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    turn=st.sampled_from([1, -1]),
    times=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    seed=st.randoms(use_true_random=False),
)
def test_a_block_of_fills_is_put_in_order_by_the_positions_they_name(steps, turn, times, seed):
    rows, position = [], -5
    for size, time in zip(steps, sorted(times), strict=False):
        rows.append({"coin": "BTC", "side": "B" if turn > 0 else "A", "sz": f"{size}",
                     "startPosition": f"{position}", "time": time})  # fmt: skip
        position += turn * size
    shuffled = list(rows)
    seed.shuffle(shuffled)
    assert words.in_order(shuffled) == rows
