"""Hyperliquid in the box without a network: rules, refusals, streams, and any bytes at all."""

import asyncio
import json
import logging

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("eth_account", reason="needs the extra `hyperliquid`")

import eth_account
from hyperliquid.utils import signing as vendor

from mmcore.box.dialects import Failure, Request
from mmcore.box.hyperliquid import Hyperliquid
from mmcore.box.hyperliquid_info import Info
from mmcore.box.options import Options
from mmcore.box.server import Box
from mmcore.events import TimeInForce

OK = {"status": "ok", "response": {"type": "default"}}
SECOND = 10**9


def built(**choices):
    """A box that listens nowhere, and its dialect."""
    box = Box.build(Options(**({"seed": 3, "limits_scale": 1000.0} | choices)))
    dialect = next(each for each in box.dialects if isinstance(each, Hyperliquid))
    box.exchange.advance(box.clock.engine_ns())
    return box, dialect


class Caller:
    """One account's requests, each signed by the vendor's own functions."""

    def __init__(self, box, dialect, number=0):
        self.box, self.dialect = box, dialect
        self.account = box.exchange.accounts_of("hyperliquid")[number]
        self.address = self.account.credentials.address
        self.wallet = eth_account.Account.from_key(self.account.credentials.private_key)
        self.nonce = box.clock.now_ns() // 10**6 - 1_000_000 * (number + 1)
        self.floor = dialect.state.floors[0]

    def signed(self, action, *, nonce=None, vault=None, expires=None, wallet=None, mainnet=False):
        self.nonce += 1
        nonce = self.nonce if nonce is None else nonce
        signature = vendor.sign_l1_action(
            wallet or self.wallet, action, vault, nonce, expires, mainnet
        )
        return {"action": action, "nonce": nonce, "signature": signature, "vaultAddress": vault,
                "expiresAfter": expires}  # fmt: skip

    def ask(self, path, body):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return asyncio.run(self.dialect.http(Request("POST", path, "", raw)))

    def act(self, action, **more):
        reply = self.ask("/exchange", self.signed(action, **more))
        assert reply.status == 200, reply.body
        return reply.body

    def info(self, kind, **fields):
        reply = self.ask("/info", {"type": kind, "user": self.address} | fields)
        assert reply.status == 200, reply.body
        return json.loads(reply.raw())

    def wire(self, side=1, steps=50, size="0.001", tif="Alo", **more):
        """An order so many dollars behind the best price of its side."""
        tick = self.floor.best(side)[0] - side * steps * 10
        return {"a": 0, "b": side > 0, "p": f"{tick // 10}", "s": size, "r": False,
                "t": {"limit": {"tif": tif}}} | more  # fmt: skip

    def place(self, *wires):
        answer = self.act({"type": "order", "orders": list(wires), "grouping": "na"})
        return answer["response"]["data"]["statuses"]


@pytest.fixture(scope="module")
def pair():
    box, dialect = built()
    return Caller(box, dialect, 0), Caller(box, dialect, 1)


@pytest.fixture
def caller(pair):
    yield pair[0]
    for each in pair:
        each.box.exchange.cancel_all(each.account, None, each.box.clock.engine_ns())


# --- who may do what ------------------------------------------------------------------------------


def test_both_sources_of_a_signature_are_good(caller):
    assert caller.act({"type": "noop"}) == OK
    assert caller.act({"type": "noop"}, mainnet=True) == OK


def test_an_action_changed_after_signing_is_somebody_elses(caller):
    body = caller.signed({"type": "noop"})
    body["nonce"] += 1
    answer = caller.ask("/exchange", body).body
    assert answer["status"] == "err"
    assert answer["response"].startswith("User or API Wallet 0x")
    assert answer["response"].endswith(" does not exist.")


def test_a_sub_account_is_traded_for_by_its_leader_only(pair, caller):
    other = pair[1]
    vault = other.address
    place = {"type": "order", "orders": [caller.wire()], "grouping": "na"}
    assert caller.act(place, vault=vault)["response"] == f"Vault not registered: {vault}"
    caller.dialect.lead(vault, caller.address)
    try:
        answer = caller.act(place, vault=vault)
        assert "resting" in answer["response"]["data"]["statuses"][0]
        assert len(other.account.orders()) == 1
        assert not caller.account.orders()
        assert caller.info("userRole", user=vault) == {
            "role": "subAccount", "data": {"master": caller.address},
        }  # fmt: skip
    finally:
        caller.dialect.state.leaders.clear()


def test_a_late_action_is_refused_and_dear(caller):
    now_ms = caller.box.clock.now_ns() // 10**6
    before = caller.info("userRateLimit")["nRequestsUsed"]
    late = caller.act({"type": "noop"}, expires=now_ms - 1)
    assert late["response"].startswith("Action expired")
    assert caller.info("userRateLimit")["nRequestsUsed"] == before + 5
    assert caller.act({"type": "noop"}, expires=now_ms + 10_000) == OK


def test_an_agent_may_trade_but_not_approve(caller):
    agent = eth_account.Account.from_key("0x" + "42" * 32)
    nonce = caller.nonce + 500
    action = {"type": "approveAgent", "agentAddress": agent.address, "agentName": "a",
              "nonce": nonce}  # fmt: skip
    signature = vendor.sign_agent(caller.wallet, action, False)
    body = {"action": action, "nonce": nonce, "signature": signature}
    assert caller.ask("/exchange", body).body == OK
    assert caller.act({"type": "noop"}, wallet=agent) == OK
    assert caller.info("userRole", user=agent.address) == {
        "role": "agent", "data": {"user": caller.address},
    }  # fmt: skip
    fee = {"type": "approveBuilderFee", "maxFeeRate": "0.01%", "builder": agent.address,
           "nonce": nonce + 1}  # fmt: skip
    signature = vendor.sign_approve_builder_fee(agent, fee, True)
    body = {"action": fee, "nonce": nonce + 1, "signature": signature}
    assert caller.ask("/exchange", body).body["status"] == "err"


# --- orders ---------------------------------------------------------------------------------------


def test_a_modification_is_a_new_order_behind_the_others(caller):
    (first,) = caller.place(caller.wire(c="0x" + "0" * 31 + "1"))
    oid = first["resting"]["oid"]
    same = {"type": "modify", "oid": oid, "order": caller.wire(c="0x" + "0" * 31 + "1")}
    assert caller.act(same) == OK
    newer = caller.info("orderStatus", oid="0x" + "0" * 31 + "1")["order"]["order"]["oid"]
    assert newer > oid
    assert caller.info("orderStatus", oid=oid)["order"]["status"] == "canceled"
    gone = caller.act(same)
    assert gone == {"status": "err", "response": "Cannot modify canceled or filled order. asset=0"}


def test_a_modification_that_could_not_rest_leaves_the_order_as_it_is(caller):
    (first,) = caller.place(caller.wire())
    oid = first["resting"]["oid"]
    for order, text in (
        (caller.wire(steps=-100), "Post only order would have immediately matched, bbo was "),
        (caller.wire(size="0.0001"), "Order must have minimum value of $10."),
        (caller.wire(p="61000.55"), "Price must be divisible by tick size."),
        (caller.wire(p="1000", size="0.1"), "Order price cannot be more than 80% away"),
    ):
        answer = caller.act({"type": "batchModify", "modifies": [{"oid": oid, "order": order}]})
        assert answer["response"]["data"]["statuses"][0]["error"].startswith(text)
    assert [order.id for order in caller.account.orders()] == [oid]


def test_orders_that_are_over_say_how(caller):
    caller.place(caller.wire(steps=50))
    assert caller.place(caller.wire(steps=-100))[0]["error"].startswith("Post only")
    assert caller.info("historicalOrders")[1]["status"] == "badAloPxRejected"
    (filled,) = caller.place(caller.wire(steps=-100, tif="Ioc"))
    assert filled["filled"]["totalSz"] == "0.001"
    (trigger,) = caller.place(caller.wire(t={"trigger": {"isMarket": True}}))
    assert trigger["error"].startswith("Trigger orders are not served")
    (nowhere,) = caller.place(caller.wire(a=7))
    assert nowhere == {"error": "Invalid asset. asset=7"}
    statuses = {row["status"] for row in caller.info("historicalOrders")}
    assert {"open", "filled", "badAloPxRejected"} <= statuses


def test_a_scheduled_cancel_fires_at_most_ten_times_a_day():
    box, dialect = built()
    caller = Caller(box, dialect)
    caller.place(caller.wire(), caller.wire())
    at_ms = box.clock.now_ns() // 10**6 + 6_000
    assert caller.act({"type": "scheduleCancel", "time": at_ms}) == OK
    box.exchange.advance(box.clock.engine_ns() + 7 * SECOND)
    assert not caller.account.orders()
    assert caller.info("historicalOrders")[0]["status"] == "scheduledCancel"
    fired = dialect.state._firings[caller.account]
    assert len(fired) == 1  # two orders, one firing
    fired *= 10
    again = {"type": "scheduleCancel", "time": at_ms + 60_000}
    assert caller.act(again)["response"] == "Too many scheduled cancel triggers today."
    assert caller.act({"type": "scheduleCancel"}) == OK


def test_leverage_and_margin_mode(caller):
    leverage = {"type": "updateLeverage", "asset": 1, "isCross": False, "leverage": 5}
    assert caller.act(leverage) == OK
    assert caller.act(leverage) == OK  # already so
    held = caller.account.position(caller.dialect.state.floors[1])
    assert (held.margin_mode, held.leverage) == ("isolated", 5)
    margin = {"type": "updateIsolatedMargin", "asset": 1, "isBuy": True, "ntli": 5}
    assert caller.act(margin)["status"] == "err"
    assert caller.act(leverage | {"asset": 9})["response"] == "Invalid asset. asset=9"
    assert caller.act(leverage | {"leverage": 0})["status"] == "err"
    assert caller.act({"type": "setReferrer", "code": "X"}) == OK


# --- budgets --------------------------------------------------------------------------------------


def test_an_address_that_asked_too_much_may_cancel_and_buy_more():
    box, dialect = built(limits_scale=0.001)  # ten requests
    caller = Caller(box, dialect)
    box.limits.scale = 1e9
    dialect.box.limits.declare("hyperliquid.weight", 10**6, 60 * SECOND, sliding=True)
    (first, *_) = caller.place(*[caller.wire(steps=50 + n) for n in range(10)])
    place = {"type": "order", "orders": [caller.wire()], "grouping": "na"}
    assert caller.act(place)["status"] == "ok"  # one in ten seconds still goes
    refused = caller.act(place)
    assert refused["response"] == (
        "Too many cumulative requests sent (12 > 10) for cumulative volume traded $0.00. "
        "Place taker orders to free up 1 request per USDC traded."
    )
    cancel = {"type": "cancel", "cancels": [{"a": 0, "o": first["resting"]["oid"]}]}
    assert caller.act(cancel)["response"]["data"]["statuses"] == ["success"]
    money = caller.account.wallets["perp"].balances["USDC"]
    assert caller.act({"type": "reserveRequestWeight", "weight": 100}) == OK
    assert caller.account.wallets["perp"].balances["USDC"] == money - 100 * 50_000
    assert caller.act(place)["status"] == "ok"
    assert caller.info("userRateLimit")["nRequestsCap"] == 110


def test_trading_earns_requests(caller):
    before = caller.info("userRateLimit")["nRequestsCap"]
    caller.place(caller.wire(steps=-100, size="0.01", tif="Ioc"))
    earned = caller.info("userRateLimit")["nRequestsCap"] - before
    assert 500 < earned < 1000


def test_weights_are_those_of_the_documents():
    box, dialect = built(limits_scale=1.0)
    caller = Caller(box, dialect)

    def spent():
        return box.limits.look("hyperliquid.weight", "127.0.0.1", box.clock.engine_ns()).used

    used = spent()
    for kind, weight in (("l2Book", 2), ("clearinghouseState", 2), ("meta", 20), ("userRole", 60),
                         ("userFills", 20)):  # fmt: skip
        caller.info(kind, coin="BTC")
        assert spent() == used + weight, kind
        used += weight
    caller.place(*[caller.wire(steps=50 + n) for n in range(40)])
    assert spent() == used + 2
    reply = None
    while reply is None or reply.status == 200:
        reply = caller.ask("/info", {"type": "userRole", "user": caller.address})
    assert (reply.status, reply.body) == (429, None)


# --- money ----------------------------------------------------------------------------------------


def test_funding_is_paid_at_its_stamp_and_shown(caller):
    assert caller.floor.funding_interval_ns == 3600 * SECOND
    box, dialect = built(funding_s=10)
    caller = Caller(box, dialect)
    caller.place(caller.wire(steps=-100, size="1", tif="Ioc"))
    floor = caller.floor
    before = caller.account.wallets["perp"].balances["USDC"]
    box.exchange.advance(floor.next_funding_ns)
    dialect.tick(0)
    paid = before - caller.account.wallets["perp"].balances["USDC"]
    (row,) = caller.info("userFunding", startTime=0)
    assert row["delta"] == {
        "type": "funding", "coin": "BTC", "usdc": f"-{paid / 1e8:.8f}".rstrip("0"),
        "szi": "1.0", "fundingRate": "0.0001", "nSamples": None,
    }  # fmt: skip
    assert row["time"] % 10_000 == 0
    (stamp,) = caller.info("fundingHistory", coin="BTC", startTime=0)
    assert stamp["time"] == row["time"]
    (held,) = caller.info("clearinghouseState")["assetPositions"]
    assert held["position"]["cumFunding"]["allTime"] == row["delta"]["usdc"].removeprefix("-")


def test_an_account_is_worth_what_its_parts_are():
    box, dialect = built(usd=50_000)
    caller = Caller(box, dialect)
    caller.place(caller.wire(steps=-100, size="4", tif="Ioc"))
    box.exchange.advance(box.clock.engine_ns() + 2 * SECOND)
    state = caller.info("clearinghouseState")
    summary, (held,) = state["marginSummary"], state["assetPositions"]
    balance = caller.account.wallets["perp"].balances["USDC"]
    assert float(summary["accountValue"]) == pytest.approx(
        balance / 1e8 + float(held["position"]["unrealizedPnl"]), abs=1e-8
    )
    assert float(summary["totalNtlPos"]) == float(held["position"]["positionValue"])
    assert 0 < float(held["position"]["liquidationPx"]) < float(held["position"]["entryPx"])
    assert float(state["withdrawable"]) < float(summary["accountValue"])


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [(0, 5, "Open Long"), (5, 2, "Close Long"), (5, 0, "Close Long"), (5, -1, "Long > Short"),
     (0, -5, "Open Short"), (-5, -2, "Close Short"), (-2, 3, "Short > Long")],
)  # fmt: skip
def test_a_fill_says_what_it_did(before, after, words):
    from mmcore.box.hyperliquid_forms import direction

    assert direction(before, after) == words


# --- sockets --------------------------------------------------------------------------------------


class Wire:
    """A connection of a test: what it is sent, and calls that answer at once."""

    def __init__(self, ip="127.0.0.1"):
        self.ip, self.kind, self.account, self.closed = ip, "", None, False
        self.sent = []

    def send(self, message, stream):
        assert stream
        raw = message if isinstance(message, bytes) else orjson.dumps(message)
        self.sent.append(json.loads(raw))

    def call(self, name, execute, failed):
        assert name
        self.send(execute(), "ack")
        assert failed(Failure(503))["channel"] == "post"

    def of(self, channel):
        return [message["data"] for message in self.sent if message["channel"] == channel]


class Line:
    """A wire plugged in: says frames to the dialect."""

    def __init__(self, dialect, **more):
        from mmcore.box.hyperliquid_streams import Link

        self.streams, self.wire = dialect.streams, Wire(**more)
        self.link = Link(self.wire, dialect.box.clock.engine_ns())
        self.streams.links.append(self.link)

    def say(self, message):
        raw = message if isinstance(message, str | bytes) else json.dumps(message)
        self.streams._take(self.link, raw)
        return self.wire.sent[-1] if self.wire.sent else None

    def subscribe(self, kind, method="subscribe", **fields):
        return self.say({"method": method, "subscription": {"type": kind} | fields})


def test_subscriptions_are_confirmed_once_and_ended(caller):
    line = Line(caller.dialect)
    line.subscribe("l2Book", coin="BTC")
    ack, book = line.wire.sent
    assert ack["data"]["subscription"] == {
        "type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None, "fast": False,
    }  # fmt: skip
    assert book["data"]["coin"] == "BTC"
    assert line.subscribe("l2Book", coin="BTC")["data"].startswith("Already subscribed: ")
    coarse = line.subscribe("l2Book", coin="BTC", nSigFigs=3)
    assert all(float(level["px"]) % 100 == 0 for level in coarse["data"]["levels"][0])
    assert line.subscribe("l2Book", "unsubscribe", coin="BTC")["data"]["method"] == "unsubscribe"
    assert line.subscribe("l2Book", "unsubscribe", coin="BTC")["data"].startswith("Already uns")
    for bad in ("l2Book", "candle", None, 7):
        assert line.subscribe(bad)["channel"] == "error"
    assert line.subscribe("l2Book", coin="BTC", nSigFigs=9)["channel"] == "error"
    assert line.say({"method": "ping"}) == {"channel": "pong"}
    assert line.say("{")["data"].startswith("Error parsing JSON into valid websocket request: {")


def test_what_happens_to_an_account_is_told_to_it_and_nobody_else(pair, caller):
    mine, theirs = Line(caller.dialect), Line(caller.dialect)
    for line, user in ((mine, caller.address), (theirs, pair[1].address)):
        for kind in ("orderUpdates", "userFills", "userEvents", "userFundings",
                     "clearinghouseState", "spotState", "userNonFundingLedgerUpdates"):  # fmt: skip
            line.subscribe(kind, user=user.upper().replace("0X", "0x"))
        assert line.wire.kind == "private"
        line.wire.sent.clear()
    (status,) = caller.place(caller.wire(steps=-100, tif="Ioc", c="0x" + "a" * 32))
    updates = [row for rows in mine.wire.of("orderUpdates") for row in rows]
    assert [row["status"] for row in updates] == ["open", "filled"]
    (fills,) = mine.wire.of("userFills")
    assert fills["fills"][0]["oid"] == status["filled"]["oid"]
    assert fills["fills"][0]["cloid"] == "0x" + "a" * 32
    assert "isSnapshot" not in fills
    assert mine.wire.of("user") == [{"fills": fills["fills"]}]
    assert mine.wire.of("clearinghouseState")[-1]["clearinghouseState"]["assetPositions"]
    assert theirs.wire.sent == []


def test_posts_answer_in_the_form_of_what_was_asked(caller):
    line = Line(caller.dialect)
    said = line.say({"method": "post", "id": 5, "request": {"type": "info", "payload": {
        "type": "l2Book", "coin": "BTC"}}})["data"]  # fmt: skip
    assert (said["id"], said["response"]["payload"]["type"]) == (5, "l2Book")
    place = caller.signed({"type": "order", "orders": [caller.wire()], "grouping": "na"})
    said = line.say({"method": "post", "id": 6, "request": {"type": "action", "payload": place}})
    assert "resting" in said["data"]["response"]["payload"]["response"]["data"]["statuses"][0]
    said = line.say({"method": "post", "id": 7, "request": {"type": "action", "payload": 3}})
    assert said["data"]["response"]["type"] == "error"
    assert line.say({"method": "post", "id": 8, "request": {"type": []}})["channel"] == "error"


def test_a_liquidation_is_told_as_what_it_is():
    box, dialect = built(usd=2_000)
    caller = Caller(box, dialect)
    line = Line(dialect)
    caller.place(caller.wire(steps=-100, size="0.5", tif="Ioc"), caller.wire(steps=100))
    for kind in ("userEvents", "orderUpdates", "userFills"):
        line.subscribe(kind, user=caller.address)
    wallet = caller.account.wallets["perp"]
    wallet.balances["USDC"] = 1  # the account is not worth its margin any more
    box.exchange.advance(box.clock.engine_ns() + SECOND)
    dialect.tick(0)
    events = {name for event in line.wire.of("user") for name in event}
    assert {"nonUserCancel", "fills"} <= events
    words = {row["status"] for rows in line.wire.of("orderUpdates") for row in rows}
    assert "liquidatedCanceled" in words
    assert caller.account.position(caller.floor).qty == 0
    assert all("cloid" not in fill for data in line.wire.of("userFills") for fill in data["fills"])


def test_one_address_of_the_internet_has_its_bounds(caller):
    line = Line(caller.dialect, ip="10.0.0.1")
    for n in range(10):
        line.subscribe("userFills", user=f"0x{n:040x}")
    refused = line.subscribe("userFills", user=f"0x{10:040x}")
    assert refused == {"channel": "error", "data": "Cannot track more than 10 total users."}


def test_a_connection_that_is_told_nothing_for_a_minute_is_closed(caller):
    async def story():
        line = Line(caller.dialect, ip="10.0.0.2")
        closed = []

        async def close(code, reason):
            closed.append((code, reason))

        line.wire.close = close
        line.link.sent_ns -= 61 * SECOND
        caller.dialect.streams.tick()
        await asyncio.sleep(0)
        assert closed == [(1000, "Inactive")]

    asyncio.run(story())


# --- anything at all ------------------------------------------------------------------------------

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["BTC", "ETH", "0x" + "0" * 40, "0x" + "1" * 32, "1", "61000", "0.001", "Alo",
                     "na", "order", "cancel", "-1", "1e5", "", "é"]),
)  # fmt: skip
keys = st.sampled_from(
    ["type", "coin", "user", "oid", "startTime", "endTime", "nSigFigs", "mantissa", "action",
     "nonce", "signature", "r", "s", "v", "orders", "cancels", "modifies", "order", "a", "b", "p",
     "t", "limit", "tif", "c", "o", "asset", "cloid", "time", "weight", "leverage", "isCross",
     "vaultAddress", "expiresAfter", "method", "subscription", "id", "request", "payload"]
)  # fmt: skip
anything = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=6)),
    max_leaves=20,
)
kinds = st.sampled_from(sorted(Info._ASK))


@settings(max_examples=60)
@given(
    body=st.one_of(st.binary(max_size=60), anything), path=st.sampled_from(["/info", "/exchange"])
)
def test_any_body_is_answered(pair, body, path):
    reply = pair[0].ask(path, body)
    assert reply.status in {200, 400, 422}
    assert isinstance(reply.raw(), bytes)


@settings(max_examples=60)
@given(kind=kinds, fields=st.dictionaries(keys, anything, max_size=5))
def test_any_question_is_answered(pair, kind, fields):
    body = {"user": pair[0].address, "coin": "BTC", "startTime": 0} | fields | {"type": kind}
    assert pair[0].ask("/info", body).status in {200, 422}


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["order", "cancel", "cancelByCloid", "modify", "batchModify", "noop",
                          "scheduleCancel", "updateLeverage", "updateIsolatedMargin",
                          "reserveRequestWeight", "setReferrer"]),
    fields=st.dictionaries(keys, anything, max_size=6),
    order=st.dictionaries(keys, anything, max_size=3),
)  # fmt: skip
def test_any_signed_action_is_answered(pair, kind, fields, order):
    caller = pair[0]
    action = {"type": kind, "orders": [caller.wire() | order], "grouping": "na"} | fields
    action["type"] = kind
    try:
        body = caller.signed(action)
    except (OverflowError, TypeError, ValueError):
        return  # the vendor's own packing does not take it
    assert caller.ask("/exchange", body).status in {200, 422}


@settings(max_examples=60)
@given(frame=st.one_of(st.text(max_size=40), st.binary(max_size=40), anything))
def test_any_frame_is_survived(pair, frame):
    Line(pair[0].dialect, ip="10.9.9.9").say(frame)
    raw = frame if isinstance(frame, str | bytes) else json.dumps(frame)
    assert pair[0].dialect.claims_frame("/ws", raw) in {True, False}
    assert isinstance(pair[0].dialect.route(Request("POST", "/exchange", "", b"[1]")), str)


def test_nothing_was_logged_as_a_defect(pair, caplog):
    with caplog.at_level(logging.ERROR):
        pair[0].dialect.tick(0)
    assert caplog.records == []
    assert TimeInForce.GTX in {order.tif for order in pair[0].account.orders()} | {TimeInForce.GTX}
