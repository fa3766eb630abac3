"""Bybit's spelling in the box: decimals, ids, signatures, topics, days."""

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcore.box import bybit_words as words
from mmcore.box.bybit_auth import check_clock, sign, socket_account, whole
from mmcore.box.bybit_codes import REFUSALS, Fault
from mmcore.box.bybit_socket import IDLE_S, idle_s
from mmcore.box.orders import RefusalKind
from mmcore.instrument import from_bybit, known

LINEAR, SPOT = known("bybit-linear", "BTCUSDT"), known("bybit-spot", "ETHUSDT")


@given(st.integers(-(10**20), 10**20), st.integers(0, 12))
def test_decimals_are_exact(scaled, decimals):
    text = words.decimal(scaled, decimals)
    assert Fraction(text) == Fraction(scaled, 10**decimals)
    assert "." not in text or not text.endswith(("0", "."))


@pytest.mark.parametrize("item", [LINEAR, SPOT, known("bybit-linear", "ETHUSDT")])
def test_what_is_listed_reads_back_as_the_same_instrument(item):
    info = words.listing(item).info()
    assert from_bybit(item.venue, {"list": [info]})[item.symbol] == item


def test_prices_are_written_as_bybit_writes_them():
    assert words.listing(LINEAR).price(651143) == "65114.30"
    assert words.listing(LINEAR).qty(4) == "0.004"
    assert words.listing(LINEAR).qty(0) == "0"
    assert words.listing(SPOT).price(192300) == "1923"
    assert words.listing(SPOT).qty(1000) == "0.01"


@pytest.mark.parametrize("category", ["linear", "spot"])
@given(number=st.integers(1, 10**9))
def test_an_order_id_leads_back_to_its_number(category, number):
    text = words.order_id(category, number)
    assert words.order_number(category, text) == number
    assert len(text) == (19 if category == "spot" else 36)


@given(st.text(max_size=40))
def test_a_made_up_id_is_nobodys(text):
    assert words.order_number("linear", text) is None


@pytest.mark.parametrize("value", ["", "1e5", "-1", "+1", ".5", "1.", "٣", "1_0", 1, None, []])
def test_what_is_no_decimal_string_is_refused(value):
    with pytest.raises(Fault) as caught:
        words.number(value, "Qty")
    assert caught.value.code == 10001


def test_every_refusal_has_words_for_both_products():
    assert set(REFUSALS) == set(RefusalKind)


@pytest.mark.parametrize(
    ("sent", "window", "good"),
    [
        (1000_000, 5000, True),
        (1000_999, 5000, True),
        (1001_000, 5000, False),
        (995_000, 5000, True),
        (994_999, 5000, False),
        (994_999, "6000", True),
        ("1000000", "", True),
    ],
)
def test_the_clock_window(sent, window, good):
    if good:
        check_clock(sent, window, 1_000_000)
        return
    with pytest.raises(Fault) as caught:
        check_clock(sent, window, 1_000_000)
    assert caught.value.code == 10002


@pytest.mark.parametrize("value", [None, True, -1, 1.5, "x", "²", "1" * 16, [], {}])
def test_what_is_no_stamp(value):
    assert whole(value) is None


def test_signatures_recorded_from_clients_verify(shared_data):
    """Requests as pybit and ccxt really sent them, key "k", secret "s"."""
    folder = shared_data / "wire" / "client_requests"
    seen = 0
    for name in ("pybit", "ccxt_bybit"):
        for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            request = json.loads(line)
            headers = {k.upper(): v for k, v in (request.get("headers") or {}).items()}
            if "X-BAPI-SIGN" not in headers:
                continue
            payload = request["query"] if request["method"] == "GET" else request["body"]
            text = (
                headers["X-BAPI-TIMESTAMP"] + headers["X-BAPI-API-KEY"]
                + headers["X-BAPI-RECV-WINDOW"] + payload
            )  # fmt: skip
            assert sign("s", text.encode()) == headers["X-BAPI-SIGN"]
            seen += 1
    assert seen > 10


class _Account:
    class credentials:  # noqa: N801 - stands for a field
        secret = "s"


def test_both_forms_of_expires_are_accepted(shared_data):
    folder = shared_data / "wire" / "client_requests"
    kinds = set()
    for name in ("pybit", "ccxt_bybit"):
        for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            request = json.loads(line)
            if '"auth"' not in request.get("text", ""):
                continue
            args = json.loads(request["text"])["args"]
            assert socket_account({"k": _Account}, args, int(args[1]) - 1) is _Account
            with pytest.raises(Fault):
                socket_account({"k": _Account}, args, int(args[1]))
            kinds.add(type(args[1]))
    assert kinds == {int, str}


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("", IDLE_S),
        ("max_active_time=30s", 30.0),
        ("a=1&max_active_time=1m", 60.0),
        ("max_active_time=1s", 30.0),
        ("max_active_time=9999m", 600.0),
        ("max_active_time=abc", IDLE_S),
    ],
)
def test_a_line_may_ask_to_be_cut_earlier(query, seconds):
    assert idle_s(query) == seconds
