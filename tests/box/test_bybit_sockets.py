"""Bybit's sockets in the box: what is said, to whom, and in which order."""

import asyncio
import json
from contextlib import asynccontextmanager
from fractions import Fraction

import aiohttp
import bybit_client as client
import pytest

from mmcore.box.bybit_auth import sign
from mmcore.box.bybit_book import EVERY_MS
from mmcore.box.faults import Do, Fault


class Peer:
    """One WebSocket of a client."""

    def __init__(self, ws, box):
        self.ws = ws
        self.box = box
        self.kept = []

    async def send(self, **frame):
        await self.ws.send_str(json.dumps(frame))

    async def next(self):
        frame = json.loads(await self.ws.receive_str(timeout=5))
        self.kept.append(frame)
        return frame

    async def until(self, wanted):
        """Frames up to and with the first that is wanted, which is returned."""
        for _ in range(2000):
            frame = await self.next()
            if wanted(frame):
                return frame
        raise AssertionError("never came")

    async def ask(self, **frame):
        await self.send(**frame)
        return await self.until(lambda got: "topic" not in got)

    async def topic(self, name):
        return await self.until(lambda got: got.get("topic") == name)

    async def auth(self, account=0, *, text=False, ahead_ms=5000, secret=None, **more):
        held = self.box.exchange.accounts_of("bybit")[account].credentials
        expires = self.box.clock.now_ns() // 10**6 + ahead_ms
        signature = sign(secret or held.secret, f"GET/realtime{expires}".encode())
        args = [held.key, str(expires) if text else expires, signature]
        return await self.ask(op="auth", args=args, **more)

    async def order(self, op, *args, **more):
        stamp = self.box.clock.now_ns() // 10**6
        return await self.ask(
            op=op, header={"X-BAPI-TIMESTAMP": more.pop("stamp", stamp)}, args=list(args), **more
        )


def run(test, **choices):
    """Run a coroutine function of (box, connect), bounded in time."""

    async def main():
        choices.setdefault("limits_scale", 100.0)
        async with (
            asyncio.timeout(20),
            client.opened(**{"seed": 5, **choices}) as box,
            aiohttp.ClientSession() as session,
        ):

            @asynccontextmanager
            async def connect(path):
                async with session.ws_connect(f"http://127.0.0.1:{box.port}{path}") as ws:
                    yield Peer(ws, box)

            return await test(box, connect)

    return asyncio.run(main())


def dialect(box):
    return next(each for each in box.dialects if each.name == "bybit")


def caller(box, account=0):
    return client.Caller(box, dialect(box), account)


async def rest(box, path, account=0, **params):
    """A signed POST on the loop that serves the box."""
    who = caller(box, account)
    body = json.dumps(params).encode()
    from mmcore.box.dialects import Request

    reply = await dialect(box).http(Request("POST", path, "", body, who.signed(body)))
    return json.loads(reply.raw())


# -- public ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("category", "depth"), [("linear", 50), ("spot", 200), ("linear", 1000)])
def test_a_book_is_a_snapshot_and_then_what_changed(category, depth):
    topic = f"orderbook.{depth}.BTCUSDT"

    async def test(box, connect):
        async with connect(f"/v5/public/{category}") as peer:
            ack = await peer.ask(op="subscribe", req_id="7", args=[topic])
            assert ack["success"] is True
            assert ack["req_id"] == "7"
            first = await peer.next()
            assert (first["topic"], first["type"]) == (topic, "snapshot")
            sides = {key: dict(first["data"][key]) for key in "ba"}
            u = first["data"]["u"]
            for _ in range(4):
                delta = await peer.next()
                assert delta["type"] == "delta"
                assert delta["data"]["u"] == (u := u + 1)
                for key in "ba":
                    for price, size in delta["data"][key]:
                        if float(size):
                            sides[key][price] = size
                        else:
                            del sides[key][price]  # a level that was told before
            ladder = dialect(box).market.ladders.get(category, "BTCUSDT", depth)
            assert {key: sorted(map(tuple, ladder.answer(depth, 0)[key])) for key in "ba"} == {
                key: sorted(levels.items()) for key, levels in sides.items()
            }
            assert max(map(float, sides["b"])) < min(map(float, sides["a"]))

    run(test)


def test_two_readers_of_a_book_hear_the_same():
    async def test(box, connect):
        async with connect("/v5/public/linear") as one, connect("/v5/public/linear") as two:
            await one.ask(op="subscribe", args=["orderbook.50.BTCUSDT"])
            for _ in range(5):
                await one.next()
            await two.ask(op="subscribe", args=["orderbook.50.BTCUSDT"])
            first = await two.next()
            after = await two.next()
            assert first["type"] == "snapshot"
            assert after["data"]["u"] == first["data"]["u"] + 1
            heard = await one.until(lambda got: got["data"]["u"] == after["data"]["u"])
            assert heard == after

    run(test)


def test_after_a_restart_the_count_of_updates_is_one():
    async def test(box, connect):
        async with connect("/v5/public/linear") as peer:
            await peer.ask(op="subscribe", args=["orderbook.50.BTCUSDT"])
            assert (await peer.next())["data"]["u"] > 1000
            await box.restart(0.05)
        async with connect("/v5/public/linear") as peer:
            await peer.ask(op="subscribe", args=["orderbook.50.BTCUSDT"])
            first = await peer.next()
            assert (first["type"], first["data"]["u"]) == ("snapshot", 1)

    run(test)


def test_level_one_is_always_whole_and_repeats():
    _, made = client.built()
    ladder = made.market.ladders.get("linear", "BTCUSDT", 1)
    ladder.readers = 1
    now_ns = 10**18
    first = json.loads(ladder.turn(now_ns))
    assert first["type"] == "snapshot"
    assert [len(first["data"][key]) for key in "ba"] == [1, 1]
    assert ladder.turn(now_ns + EVERY_MS[1] * 10**6) is None
    again = json.loads(ladder.turn(now_ns + 3 * 10**9))
    assert again["data"] == first["data"]


def test_prints_and_tickers_of_contracts_and_spot():
    async def test(box, connect):
        async with connect("/v5/public/linear") as peer:
            await peer.ask(op="subscribe", args=["tickers.BTCUSDT", "publicTrade.BTCUSDT"])
            whole = await peer.topic("tickers.BTCUSDT")
            assert whole["type"] == "snapshot"
            part = await peer.topic("tickers.BTCUSDT")
            assert part["type"] == "delta"
            assert len(part["data"]) < len(whole["data"])
            (row, *_) = (await peer.topic("publicTrade.BTCUSDT"))["data"]
            assert {"T", "s", "S", "v", "p", "L", "i", "BT", "RPI", "seq"} == set(row)
        async with connect("/v5/public/spot") as peer:
            await peer.ask(op="subscribe", args=["tickers.BTCUSDT"])
            for _ in range(2):
                assert (await peer.topic("tickers.BTCUSDT"))["type"] == "snapshot"

    run(test)


def test_request_ids_keep_their_type():
    async def test(box, connect):
        for more in ({"req_id": "text"}, {"req_id": 5}, {}, {"req_id": ""}):
            async with connect("/v5/public/linear") as peer:
                pong = await peer.ask(op="ping", **more)
                assert (pong["ret_msg"], pong["op"], pong["success"]) == ("pong", "ping", True)
                assert pong.get("req_id") == more.get("req_id")
                ack = await peer.ask(op="subscribe", args=["tickers.ETHUSDT"], **more)
                assert ack.get("req_id") == more.get("req_id")
                ack = await peer.ask(op="unsubscribe", args=["tickers.ETHUSDT"], **more)
                assert ack["success"] is True

    run(test)


REFUSED = [
    ("linear", ["kline.1.BTCUSDT"], "handler not found"),
    ("linear", ["orderbook.25.BTCUSDT"], "Invalid symbol"),
    ("linear", ["orderbook.50.NOPE"], "Invalid symbol"),
    ("linear", ["tickers.BTCUSDT", "tickers.BTCUSDT"], "already subscribed"),
    ("linear", [], "args invalid"),
    ("linear", "x", "args invalid"),
    ("linear", [1], "args invalid"),
    ("spot", [f"tickers.T{n}" for n in range(11)], "args size >10"),
    ("linear", ["tickers.BTCUSDT" + "X" * 30] * 700, "args length"),
    ("option", ["tickers.BTCUSDT"], "Invalid symbol"),
]


def test_refused_subscriptions():
    async def test(box, connect):
        for category, args, words in REFUSED:
            async with connect(f"/v5/public/{category}") as peer:
                ack = await peer.ask(op="subscribe", req_id=1, args=args)
                assert ack["success"] is False
                assert words in ack["ret_msg"]
                assert (await peer.ask(op="dance"))["success"] is False

    run(test)


# -- private -----------------------------------------------------------------------------------

EVERYTHING = ["order", "execution", "position", "wallet"]


def test_an_orders_life_on_the_private_streams():
    async def test(box, connect):
        async with connect("/v5/private") as peer:
            refused = await peer.ask(op="subscribe", args=["order"])
            assert refused["success"] is False
            ack = await peer.auth(text=True, req_id="x")
            assert (ack["success"], ack["op"], ack["req_id"]) == (True, "auth", "x")
            ack = await peer.ask(op="subscribe", args=EVERYTHING)
            assert ack["success"] is True

            order = caller(box).order(orderLinkId="life")
            assert (await rest(box, "/v5/order/create", **order))["retCode"] == 0
            seen = {}
            while set(seen) != {"order", "position", "wallet"}:
                frame = await peer.next()
                seen[frame["topic"]] = frame
            (row,) = seen["order"]["data"]
            assert (row["orderStatus"], row["orderLinkId"]) == ("New", "life")
            assert row["tpslMode"] == ""
            assert seen["position"]["data"][0]["size"] == "0"
            assert {"id", "topic", "creationTime", "data"} == set(seen["order"])

            target = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "life"}
            await rest(box, "/v5/order/amend", **target, qty="0.02")
            amended = await peer.topic("order")
            assert amended["data"][0]["qty"] == "0.020"
            await peer.topic("position")
            await rest(box, "/v5/order/cancel", **target)
            gone = await peer.topic("order")
            assert gone["data"][0]["cancelType"] == "CancelByUser"
            await peer.topic("position")

    run(test)


def test_a_fill_is_told_to_both_sides_and_balances_agree():
    async def test(box, connect):
        async with connect("/v5/private") as maker, connect("/v5/private") as taker:
            for n, peer in enumerate((maker, taker)):
                await peer.auth(n)
                await peer.ask(op="subscribe", args=[*EVERYTHING, "execution.fast"])
            place = dialect(box).desk.places["linear", "BTCUSDT"]
            tick = place.floor.best(-1)[0]
            price = place.listed.price(tick)
            mine = caller(box).order(side="Sell", price=price, orderLinkId="mine")
            await rest(box, "/v5/order/create", **mine)
            theirs = caller(box, 1).order(price=price, timeInForce="IOC", orderLinkId="theirs")
            theirs["qty"] = place.listed.qty(place.floor.qty(-1, tick))  # all that is before us
            await rest(box, "/v5/order/create", 1, **theirs)
            (fill,) = (await maker.topic("execution"))["data"]
            assert (fill["isMaker"], fill["orderLinkId"], fill["side"]) == (True, "mine", "Sell")
            assert fill["execQty"] == "0.010"
            (fast,) = (await maker.topic("execution.fast"))["data"]
            assert (fast["orderLinkId"], fast["execId"]) == ("", fill["execId"])
            done = await maker.topic("order")
            assert done["data"][0]["orderStatus"] == "Filled"
            held = await maker.topic("position")
            assert held["data"][0]["side"] == "Sell"
            wallet = await maker.topic("wallet")
            usdt = next(row for row in wallet["data"][0]["coin"] if row["coin"] == "USDT")
            balance = box.exchange.accounts_of("bybit")[0].wallets["unified"].balances["USDT"]
            assert round(Fraction(usdt["walletBalance"]) * 10**8) == balance
            others = (await taker.topic("execution"))["data"]
            (other,) = [one for one in others if one["execId"] == fill["execId"]]
            assert other["isMaker"] is False

    run(test, accounts=2)


def test_a_post_only_order_that_would_take_dies_on_the_stream():
    async def test(box, connect):
        async with connect("/v5/private") as peer:
            await peer.auth()
            await peer.ask(op="subscribe", args=["order.linear", "order.spot"])
            place = dialect(box).desk.places["linear", "BTCUSDT"]
            price = place.listed.price(place.floor.best(-1)[0] + 50)
            order = caller(box).order(price=price)
            answer = await rest(box, "/v5/order/create", **order)
            assert answer["retCode"] == 0
            (row,) = (await peer.topic("order.linear"))["data"]
            assert row["orderId"] == answer["result"]["orderId"]
            assert row["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
            assert row["orderStatus"] == "Cancelled"
            await rest(box, "/v5/order/create", **caller(box).order("spot"))
            (row,) = (await peer.topic("order.spot"))["data"]
            assert "tpslMode" not in row

    run(test)


def test_nothing_is_told_of_other_accounts_nor_on_subscribing():
    async def test(box, connect):
        await rest(box, "/v5/order/create", **caller(box).order())
        async with connect("/v5/private") as peer:
            await peer.auth(0)
            await peer.ask(op="subscribe", args=EVERYTHING)
            await rest(box, "/v5/order/create", 1, **caller(box, 1).order())
            pong = await peer.ask(op="ping", req_id="p")
            assert pong["op"] == "pong"
            assert pong["req_id"] == "p"
            assert all("topic" not in frame for frame in peer.kept)

    run(test)


def test_authentication():
    async def test(box, connect):
        for changed, good in (
            ({}, True), ({"ahead_ms": -10}, False), ({"secret": "wrong"}, False),
            ({"text": True}, True),
        ):  # fmt: skip
            async with connect("/v5/private") as peer:
                assert (await peer.auth(**changed))["success"] is good
                assert (await peer.ask(op="auth", args=["nobody", 1, "x"]))["success"] is False
                assert (await peer.ask(op="auth", args=7))["success"] is False

    run(test)


def test_refused_private_subscriptions():
    async def test(box, connect):
        for args in (["order", "order.linear"], ["orders"], ["order", "order"]):
            async with connect("/v5/private?max_active_time=1m") as peer:
                await peer.auth()
                assert (await peer.ask(op="subscribe", args=args))["success"] is False

    run(test)


# -- the dead man's switch ---------------------------------------------------------------------


@pytest.mark.slow
def test_the_dead_mans_switch_fires_when_the_last_line_is_gone():
    async def test(box, connect):
        made = dialect(box)
        account = box.exchange.accounts_of("bybit")[0]
        await rest(box, "/v5/order/disconnected-cancel-all", product="DERIVATIVES", timeWindow=3)
        made.office.settings[account.name].dcp["DERIVATIVES"] = 1  # the venue's least is three
        await rest(box, "/v5/order/create", **caller(box).order(orderLinkId="d", price="50000"))
        await rest(
            box, "/v5/order/create", **caller(box).order("spot", orderLinkId="s", price="50000")
        )
        async with connect("/v5/private") as watch:
            await watch.auth()
            await watch.ask(op="subscribe", args=["order"])
            async with connect("/v5/private") as one:
                await one.auth()
                await one.ask(op="subscribe", args=["dcp.future"])
                async with connect("/v5/private") as two:
                    await two.auth()
                    await two.ask(op="subscribe", args=["dcp.future"])
                await asyncio.sleep(1.2)
                assert len(account.open) == 2
            began = asyncio.get_running_loop().time()
            (row,) = (await watch.topic("order"))["data"]
            assert 0.8 < asyncio.get_running_loop().time() - began < 2.0
            assert (row["orderLinkId"], row["cancelType"]) == ("d", "CancelByDCP")
            assert [order.client_id for order in account.open.values()] == ["s"]

    run(test)


# -- order entry -------------------------------------------------------------------------------


def test_orders_over_the_trade_socket():
    async def test(box, connect):
        async with connect("/v5/trade") as peer:
            order = caller(box).order(orderLinkId="ws")
            early = await peer.order("order.create", order, reqId="0")
            assert early["retCode"] == 10004
            ack = await peer.auth(reqId="a")
            assert (ack["retCode"], ack["op"], ack["reqId"]) == (0, "auth", "a")
            assert "success" not in ack
            assert (await peer.auth())["retCode"] == 20001
            pong = await peer.ask(op="ping")
            assert (pong["retCode"], pong["op"]) == (0, "pong")

            made = await peer.order("order.create", order, reqId="1")
            assert made["retCode"] == 0
            assert made["reqId"] == "1"
            assert made["data"]["orderLinkId"] == "ws"
            assert {"X-Bapi-Limit", "X-Bapi-Limit-Status", "Traceid", "Timenow"} <= set(
                made["header"]
            )
            assert (await peer.order("order.create", order, reqId="1"))["retCode"] == 20006
            target = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "ws"}
            assert (await peer.order("order.amend", {**target, "qty": "0.02"}))["retCode"] == 0
            assert (await peer.order("order.cancel", target))["retCode"] == 0
            again = await peer.order("order.cancel", target, reqId="2")
            assert (again["retCode"], again["reqId"], again["data"]) == (110001, "2", {})

    run(test)


def test_batches_over_the_trade_socket_share_the_budget_of_rest():
    async def test(box, connect):
        async with connect("/v5/trade") as peer:
            await peer.auth()
            items = [caller(box).order() for _ in range(12)]
            items[1]["qty"] = "0"
            answer = await peer.order(
                "order.create-batch", {"category": "linear", "request": items}, reqId="b"
            )
            codes = [one["code"] for one in answer["retExtInfo"]["list"]]
            assert codes == [0, 10001, *[0] * 8, 10006, 10006]
            assert len(answer["data"]["list"]) == 12
            assert answer["header"]["X-Bapi-Limit-Status"] == "0"
            again = await rest(box, "/v5/order/create-batch", category="linear", request=items[:1])
            assert again["retExtInfo"]["list"][0]["code"] == 10006

    run(test, limits_scale=1.0)


BAD_REQUESTS = [
    ({"op": "order.dance", "args": [{}]}, 10404),
    ({"op": 7, "args": [{}]}, 10404),
    ({"op": "order.create", "args": []}, 10001),
    ({"op": "order.create", "args": [{}, {}]}, 10001),
    ({"op": "order.create", "args": [{"category": "option"}]}, 10404),
    ({"op": "order.create", "args": [{"category": "linear"}], "header": None}, 10001),
    ({"op": "order.create", "args": [{"category": "linear"}], "header": {}}, 10001),
    (
        {
            "op": "order.create",
            "args": [{"category": "linear"}],
            "header": {"X-BAPI-TIMESTAMP": "1"},
        },
        10002,
    ),
    ({"op": "order.create", "args": [{}], "reqId": "x" * 37}, 10001),
]


def test_refused_requests_of_order_entry():
    async def test(box, connect):
        async with connect("/v5/trade") as peer:
            await peer.auth()
            for frame, code in BAD_REQUESTS:
                stamp = str(box.clock.now_ns() // 10**6)
                answer = await peer.ask(**{"header": {"X-BAPI-TIMESTAMP": stamp}, **frame})
                assert answer["retCode"] == code

    run(test)


# -- funding, and what scripts do --------------------------------------------------------------


@pytest.mark.slow
def test_funding_is_an_execution_and_a_settlement():
    async def test(box, connect):
        async with connect("/v5/private") as peer:
            await peer.auth()
            await peer.ask(op="subscribe", args=["execution", "wallet"])
            taken = caller(box).order(orderType="Market", timeInForce="IOC", qty="1")
            del taken["price"]
            await rest(box, "/v5/order/create", **taken)
            paid = await peer.until(
                lambda got: (
                    got.get("topic") == "execution" and got["data"][0]["execType"] == "Funding"
                )
            )
            (row,) = paid["data"]
            assert Fraction(row["execFee"]) > 0  # a long pays
            account = box.exchange.accounts_of("bybit")[0]
            assert round(Fraction(row["execFee"]) * 10**8) == -account.payments[0].quanta
            books = dialect(box).books
            log = books.transactions(account, {"type": "SETTLEMENT"})["list"]
            assert log[-1]["funding"] == f"-{row['execFee']}"
            listed = books.executions(account, {"category": "linear", "execType": "Funding"})
            assert row["execId"] in {one["execId"] for one in listed["list"]}
            assert books.market.tapes[account.payments[0].floor].funding

    run(test, funding_s=2)


def test_a_scripted_race_fills_an_order_before_its_cancel():
    async def test(box, connect):
        box.faults.apply(Fault(do=Do.RACE, where="order", venue="bybit"))
        place = dialect(box).desk.places["linear", "BTCUSDT"]
        order = caller(box).order(price=place.listed.price(place.floor.best(1)[0] - 300))
        await rest(box, "/v5/order/create", **order)
        target = {key: order[key] for key in ("category", "symbol", "orderLinkId")}
        async with connect("/v5/private") as peer:
            await peer.auth()
            await peer.ask(op="subscribe", args=["order"])
            answer = await rest(box, "/v5/order/cancel", **target)
            assert answer["retCode"] == 0  # taken on, and no more than that
            told = [(await peer.topic("order"))["data"][0] for _ in range(2)]
            assert [row["orderStatus"] for row in told] == ["Filled", "Filled"]
            assert [row["rejectReason"] for row in told] == [
                "EC_NoError", "EC_OrigClOrdIDDoesNotExist",
            ]  # fmt: skip
            await asyncio.sleep(0.01)
            answer = await rest(box, "/v5/order/cancel", **target)
            assert answer["retCode"] == 110001

    run(test)


def test_scripted_failures_of_order_entry():
    async def test(box, connect):
        async with connect("/v5/trade") as peer:
            await peer.auth()
            box.faults.apply(Fault(do=Do.REPLY, where="call:order", status=429))
            box.faults.apply(Fault(do=Do.UNKNOWN_503, where="call:cancel"))
            order = caller(box).order(orderLinkId="f")
            assert (await peer.order("order.create", order, reqId="1"))["retCode"] == 10429
            assert (await peer.order("order.create", order, reqId="2"))["retCode"] == 0
            target = {key: order[key] for key in ("category", "symbol", "orderLinkId")}
            assert (await peer.order("order.cancel", target, reqId="3"))["retCode"] == 10000
            assert (await peer.order("order.cancel", target, reqId="4"))["retCode"] == 110001

    run(test)
