"""Bybit's words: every recorded answer decodes, and what cannot be read is refused by name."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcore.adapters import _bybit_words as words
from mmcore.adapters._budget import Budget
from mmcore.adapters._bybit_account import Account
from mmcore.adapters._bybit_desk import Desk, pools
from mmcore.adapters._bybit_market import DEPTH, Market
from mmcore.adapters._bybit_private import Private
from mmcore.adapters._bybit_rest import Rest, Writer
from mmcore.adapters._decode import Terms
from mmcore.adapters._lateness import Lateness
from mmcore.adapters._own import OwnOrders, VenueFill
from mmcore.adapters.bybit import BybitLinear
from mmcore.events import REQUEST, ContractKind, Kind, RejectCode, RequestKind
from mmcore.gateway import Action, ClientIds, Keys
from mmcore.instrument import Instrument, known
from mmcore.venue import DecodeError

BTC = Terms(known("bybit-linear", "BTCUSDT"), 0)
IDS = ClientIds("0123456789ab", 7)
KINDS = {"spot": ContractKind.SPOT, "linear": ContractKind.LINEAR}
FIXTURES = Path("fixtures/bybit/jkorf")


def fine(symbol: str, category: str) -> Terms:
    """An instrument that every recorded price and quantity fits."""
    return Terms(
        Instrument(
            venue=f"bybit-{category}", symbol=symbol, kind=KINDS[category],
            tick="0.00000001", qty_decimals=8, lot="0.00000001", base="COIN", quote="USDT",
        ),
        0,
    )  # fmt: skip


def recorded(shared_data: Path) -> Iterator[tuple[str, Any]]:
    """Every JSON body of the recorded answers and documented frames."""
    for path in sorted((shared_data / FIXTURES).rglob("*.txt")):
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        if "=\n" in text:  # a dialogue, with the wanted body behind it
            text = text.partition("=\n")[2]
        start = text.find("{")
        if start >= 0:
            yield path.stem, json.JSONDecoder().raw_decode(text[start:])[0]
    for path in sorted((shared_data / "wire" / "bybit").glob("*.json")):
        yield path.stem, json.loads(path.read_text(encoding="utf-8"))


def rows_of(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, dict):
        return []
    result = body.get("result")
    rows = body.get("data") if "topic" in body else None
    if isinstance(result, dict):
        rows = result.get("list")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def test_every_recorded_order_and_execution_is_read(shared_data: Path):
    orders = fills = 0
    for name, body in recorded(shared_data):
        for row in rows_of(body):
            if row.get("symbol") is None or "Spread" in name:
                continue
            category = row.get("category") or (body.get("result") or {}).get("category", "linear")
            terms = fine(row["symbol"], "spot" if category == "spot" else "linear")
            if "orderStatus" in row:
                news = words.order_news(row, terms)
                assert news.venue_id == row["orderId"]
                assert (news.how is None) == (row["orderStatus"] in words.OPEN)
                orders += 1
            elif "execPrice" in row:
                what = words.execution(row, terms)
                assert isinstance(what, VenueFill)
                assert what.fee == words.quanta(row.get("execFee"), "fee")
                fills += 1
    assert orders >= 3
    assert fills >= 3


def test_every_recorded_error_body_has_a_meaning(shared_data: Path):
    refused = 0
    for _, body in recorded(shared_data):
        codes = [body.get("retCode")] if isinstance(body, dict) else []
        codes += [one["code"] for one in ((body.get("retExtInfo") or {}).get("list") or [])]
        for code in codes:
            if code:
                assert code in words.CODES
                refused += 1
    assert refused >= 4


def test_recorded_batches_with_errors_are_told_by_item(shared_data: Path):
    bodies = dict(recorded(shared_data))
    mixed, rejected = bodies["rest_batch_cancel_mixed"], bodies["wst_batch_rejected"]
    assert outcomes(RequestKind.CANCEL, 2, mixed["result"], mixed) == ["asked"]
    told = outcomes(RequestKind.PLACE, 3, rejected["data"], rejected)
    assert told == [("REJECT", int(RejectCode.FILTER))] * 3


def outcomes(kind: RequestKind, n: int, data: Any, body: Any) -> list[Any]:
    """What a batch answer does to orders 0 to n - 1: rows told, or that one is asked for."""
    told: list[Any] = []
    now = [0]

    def clock() -> int:
        now[0] += 1
        return now[0]

    def emit(rows: Any) -> None:
        told.extend((Kind(int(r["kind"])).name, int(r["code"])) for r in rows)

    own = OwnOrders(IDS, {0: BTC}, emit, clock)
    budget = Budget(pools(), clock)
    rest = Rest("http://127.0.0.1", Keys("k", "s"), budget, clock)
    desk = Desk("linear", {0: BTC}, own, rest, spawn=lambda _: None, on_fault=lambda _: None)
    owns = [own.placing(request(slot)) for slot in range(n)]
    if kind is not RequestKind.PLACE:
        for each in owns:
            own.resting(each, 100, 5, 0)
            own.cancelling(request(each.slot))
        told.clear()
    desk._items(kind, owns, data, body["retExtInfo"])
    told += ["asked" for each in owns if each.asking]
    return told


def request(slot: int) -> np.void:
    row = np.zeros(1, REQUEST)
    row["slot"], row["generation"] = slot, 1
    row["side"], row["tick"], row["qty"] = 1, 100, 5
    return row[0]


def test_recorded_wallets_and_keys(shared_data: Path):
    bodies = dict(recorded(shared_data))
    coins = bodies["ws_wallet"]["data"][0]["coin"]
    assert words.balances(coins)["BTC"].total == 102_964
    answer = bodies["GetBalances"]["result"]["list"][0]["coin"]
    assert all(held.free <= held.total for held in words.balances(answer).values())


# --- by hand --------------------------------------------------------------------------------------

ORDER = {
    "symbol": "BTCUSDT", "orderId": "v", "orderLinkId": "c", "side": "Buy", "price": "100.5",
    "qty": "0.005", "cumExecQty": "0.002", "orderStatus": "PartiallyFilled",
    "updatedTime": "1700000000000",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "how", "code"),
    [
        ({}, None, RejectCode.NONE),
        ({"orderStatus": "Filled"}, Kind.FILL, RejectCode.NONE),
        ({"orderStatus": "Cancelled", "cancelType": "CancelByUser",
          "rejectReason": "EC_PerCancelRequest"}, Kind.CANCELLED, RejectCode.NONE),
        ({"orderStatus": "PartiallyFilledCanceled"}, Kind.CANCELLED, RejectCode.NONE),
        ({"orderStatus": "Cancelled", "rejectReason": "EC_PostOnlyWillTakeLiquidity"},
         Kind.EXPIRED, RejectCode.POST_ONLY),
        ({"orderStatus": "Rejected", "rejectReason": "EC_PostOnlyWillTakeLiquidity"},
         Kind.EXPIRED, RejectCode.POST_ONLY),
        ({"orderStatus": "Cancelled", "rejectReason": "EC_NoImmediateQtyToFill"},
         Kind.EXPIRED, RejectCode.NO_LIQUIDITY),
        ({"orderStatus": "Cancelled", "cancelType": "CancelAllBeforeLiq"},
         Kind.EXPIRED, RejectCode.OTHER),
        ({"orderStatus": "Rejected", "rejectReason": "EC_Others"}, Kind.EXPIRED, RejectCode.OTHER),
    ],
)  # fmt: skip
def test_how_orders_end(changed: dict[str, str], how: Kind | None, code: RejectCode):
    news = words.order_news({**ORDER, **changed}, BTC)
    assert (news.how, news.code, news.tick, news.qty, news.done) == (how, code, 1005, 5, 2)


@pytest.mark.parametrize(
    "changed",
    [{"orderStatus": "Sleeping"}, {"side": "Up"}, {"price": "-1"}, {"qty": None}, {"price": "1e9"},
     {"cumExecQty": "x"}, {"updatedTime": "soon"}, {"price": 100.5}],
)  # fmt: skip
def test_orders_that_cannot_be_read_are_refused(changed: dict[str, Any]):
    with pytest.raises(DecodeError):
        words.order_news({**ORDER, **changed}, BTC)


@given(st.integers(-(10**17), 10**17))
def test_quanta_are_exact(value: int):
    sign, whole = ("-" if value < 0 else ""), abs(value)
    assert words.quanta(f"{sign}{whole // 10**8}.{whole % 10**8:08d}", "fee") == value


def test_finer_decimals_are_rounded_half_to_even():
    assert [words.quanta(f"0.00000000{d}", "fee") for d in ("4", "5", "6", "51")] == [0, 0, 1, 1]
    assert words.quanta("-0.000000015", "fee") == -2
    for bad in ("NaN", "Infinity", "x", "1e99999999"):
        with pytest.raises(DecodeError):
            words.quanta(bad, "fee")


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_prices_and_quantities_read_back(tick: int, qty: int):
    assert BTC.price(words.price_text(BTC, tick)) == tick
    assert BTC.qty(words.qty_text(BTC, qty)) == qty
    assert words.price_text(BTC, tick) == BTC.item.price_text(tick)


def test_codes_of_the_table():
    assert words.CODES[110001].reject is RejectCode.UNKNOWN_ORDER
    assert words.CODES[110072].action is Action.RESOLVE
    assert words.CODES[170218].reject is RejectCode.POST_ONLY
    assert words.CODES[10006].action is Action.WAIT
    assert words.CODES[10003].action is Action.STOP
    assert words.CODES[110043].action is Action.OK


def test_the_writer_signs_what_is_sent_and_shows_nothing():
    keys = Keys("KEY-OF-SOMEBODY", "SECRET-OF-SOMEBODY")
    writer = Writer("http://127.0.0.1:1", keys, lambda: 1_700_000_000_000)
    written = writer.place_order(category="linear", symbol="BTCUSDT", qty="1", price=None)
    assert written.payload == '{"category": "linear", "symbol": "BTCUSDT", "qty": "1"}'
    text = f"1700000000000{keys.key}5000{written.payload}"
    sign = hmac.new(keys.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    assert written.headers["X-BAPI-SIGN"] == sign
    for shown in (repr(written), repr(writer), str(writer)):
        assert "SOMEBODY" not in shown
    listed = writer.get_open_orders(category="linear", cursor=None, symbol="A", limit=1)
    assert listed.payload == "category=linear&limit=1&symbol=A"


def test_the_decoder_names_its_gateway():
    assert callable(BybitLinear.gateway)


# --- anything at all ------------------------------------------------------------------------------

FRAMES = [
    {"topic": "order.linear", "creationTime": 1, "data": [{**ORDER, "category": "linear"}]},
    {"topic": "execution.linear", "data": [{
        "category": "linear", "symbol": "BTCUSDT", "execId": "0ab1bdf7-4219-438b-b30a-32ec863018f7",
        "orderId": "v", "orderLinkId": "c", "side": "Buy", "execPrice": "100.5", "execQty": "0.001",
        "execFee": "0.01", "feeCurrency": "USDT", "execType": "Trade", "isMaker": True,
        "leavesQty": "0.002", "execTime": "1700000000000",
    }]},
    {"topic": f"orderbook.{DEPTH}.BTCUSDT", "type": "snapshot", "ts": 1700000000000, "data": {
        "s": "BTCUSDT", "b": [["100.5", "0.001"]], "a": [["100.6", "0.002"]], "u": 5, "seq": 9}},
    {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1700000000000, "data": [{
        "T": 1700000000000, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "100.5",
        "i": "0ab1bdf7-4219-438b-b30a-32ec863018f7"}]},
    {"reqId": "m1", "retCode": 0, "op": "order.create-batch", "data": {"list": [{"orderId": "1"}]},
     "retExtInfo": {"list": [{"code": 0}, {"code": 110001, "msg": "?"}]}, "header": {}},
    {"success": True, "op": "subscribe", "req_id": "p1"},
]  # fmt: skip
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9),
    st.lists(st.none(), max_size=3), st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)  # fmt: skip


def spoilt(data: st.DataObject) -> bytes:
    """One of the frames with something replaced, removed, added or cut off."""
    frame = json.loads(json.dumps(data.draw(st.sampled_from(FRAMES))))
    for _ in range(data.draw(st.integers(0, 3))):
        place: Any = frame
        for _ in range(data.draw(st.integers(0, 3))):
            inner = [v for v in (place.values() if isinstance(place, dict) else place)
                     if isinstance(v, dict | list) and v]  # fmt: skip
            if inner:
                place = data.draw(st.sampled_from(inner))
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        if data.draw(st.booleans()):
            place[key] = data.draw(ODD)
        elif isinstance(place, dict) and len(place) > 1:
            del place[key]
    text = json.dumps(frame).encode()
    return text[: data.draw(st.integers(0, len(text)))] if data.draw(st.booleans()) else text


@settings(max_examples=400)
@given(st.data())
def test_no_frame_does_more_than_start_its_stream_anew(data: st.DataObject):
    frame = spoilt(data)

    async def main() -> None:
        rows: list[Any] = []
        budget = Budget(pools(), lambda: 1)
        rest = Rest("http://127.0.0.1", Keys("k", "s"), budget, lambda: 1)
        own = OwnOrders(IDS, {0: BTC}, rows.append, lambda: 1)
        desk = Desk("linear", {0: BTC}, own, rest, spawn=close, on_fault=lambda _: None)
        private = Private(
            Account("bybit-linear", "linear", ["BTCUSDT"], rest), {"BTCUSDT": BTC}, own, desk,
            emit=rows.append, raw=lambda *_: None, notice=lambda _: None, clock=lambda: 1,
            since_ms=0, logs_in=True,
        )  # fmt: skip
        market = Market(
            BybitLinear([BTC.item]), linear=True, emit=rows.append, raw=lambda *_: None,
            notice=lambda _: None, clock=lambda: 1,
            lateness=Lateness(
                {0: "BTCUSDT"}, 1.0, offset=lambda: 0, measure=rest.measure_clock,
                spawn=close, say=lambda *_: None, clock=lambda: 1,
            ),
        )  # fmt: skip
        owns = [own.placing(request(slot)) for slot in range(2)]
        desk.pending.add(
            "m1",
            lambda answer: desk._answered(
                RequestKind.PLACE, "create-batch", owns, answer, answer.get("data")
            ),
            lambda _: None,
        )
        with suppress(DecodeError, json.JSONDecodeError):
            private.on_frame(frame, 1)
        market.on_frame(frame, 1)
        with suppress(json.JSONDecodeError):
            message = json.loads(frame)
            if isinstance(message, dict):
                desk.hear(message)
        desk.pending.lost("the end")

    asyncio.run(main())


def close(work: Any) -> None:
    work.close()
