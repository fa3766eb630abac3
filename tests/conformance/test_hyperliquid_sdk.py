"""hyperliquid-python-sdk, unmodified, against the exchange in the box: reading, orders, streams."""

import asyncio
import queue
import threading
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("hyperliquid", reason="needs the extra `hyperliquid`")

import eth_account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.error import ClientError
from hyperliquid.utils.types import Cloid

from mmcore.box.server import Box

LIMIT_S = 5.0
ALO, GTC, IOC = ({"limit": {"tif": tif}} for tif in ("Alo", "Gtc", "Ioc"))
MISSING = "Order was never placed, already canceled, or filled. asset=0"


@contextmanager
def boxed(**choices):
    """A box on a loop of its own, in a thread: the client blocks."""
    ready = queue.Queue()

    async def serve():
        stop = asyncio.Event()
        async with Box.open(**choices) as box:
            ready.put((box, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    box, loop, stop = ready.get(timeout=LIMIT_S)
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(LIMIT_S)


class Desk:
    """A client of the vendor's, and what it was sent on its sockets."""

    def __init__(self, box, number=0):
        self.held = box.exchange.accounts_of("hyperliquid")[number].credentials
        self.base = f"http://127.0.0.1:{box.port}"
        self.wallet = eth_account.Account.from_key(self.held.private_key)
        self.address = self.held.address
        self.trade = Exchange(self.wallet, self.base, account_address=self.address, timeout=LIMIT_S)
        self.info = self.trade.info

    def price(self, side, away=0.0):
        """A legal price beside the best one: away > 0 is deeper in the book."""
        best = float(self.info.l2_snapshot("BTC")["levels"][0 if side > 0 else 1][0]["px"])
        return float(round(best * (1 - side * away)))

    def place(self, side, tif=ALO, away=0.001, size=0.001, **more):
        answer = self.trade.order("BTC", side > 0, size, self.price(side, away), tif, **more)
        assert answer["status"] == "ok", answer
        (status,) = answer["response"]["data"]["statuses"]
        return status


@pytest.fixture(scope="module")
def box():
    with boxed(seed=2, limits_scale=100.0) as box:
        yield box


@pytest.fixture(scope="module")
def desk(box):
    return Desk(box)


@pytest.fixture(autouse=True)
def nothing_left(request):
    yield
    if "desk" in request.fixturenames:
        desk = request.getfixturevalue("desk")
        left = [{"coin": o["coin"], "oid": o["oid"]} for o in desk.info.open_orders(desk.address)]
        if left:
            desk.trade.bulk_cancel(left)


def test_markets_and_prices(desk):
    assert [coin["name"] for coin in desk.info.meta()["universe"]] == ["BTC", "ETH"]
    assert desk.info.meta_and_asset_ctxs()[1][0]["funding"] == "0.0001"
    assert desk.info.asset_to_sz_decimals == {0: 5, 1: 4}
    bids, asks = desk.info.l2_snapshot("BTC")["levels"]
    assert 0 < len(bids) <= 20
    assert float(bids[0]["px"]) < float(desk.info.all_mids()["BTC"]) < float(asks[0]["px"])


def test_an_account_can_be_read(desk):
    state = desk.info.user_state(desk.address)
    assert float(state["marginSummary"]["accountValue"]) > 0
    assert desk.info.user_fees(desk.address)["userAddRate"] == "0.00015"
    assert desk.info.user_rate_limit(desk.address)["nRequestsCap"] >= 10_000
    assert desk.info.user_role(desk.address) == {"role": "user"}
    assert desk.info.perp_dexs() == [None]
    assert desk.info.funding_history("BTC", 0) == []
    assert desk.info.user_funding_history(desk.address, 0) == []


def test_an_order_is_placed_changed_and_cancelled(desk):
    name = Cloid.from_int(7)
    oid = desk.place(1, cloid=name)["resting"]["oid"]
    (shown,) = desk.info.frontend_open_orders(desk.address)
    assert (shown["oid"], shown["cloid"], shown["tif"]) == (oid, name.to_raw(), "Alo")
    changed = desk.trade.modify_order(
        name, "BTC", True, 0.002, desk.price(1, 0.002), ALO, cloid=name
    )
    (status,) = changed["response"]["data"]["statuses"]
    newer = status["resting"]["oid"]
    assert newer > oid
    assert desk.info.query_order_by_oid(desk.address, oid)["order"]["status"] == "canceled"
    assert desk.info.query_order_by_cloid(desk.address, name)["order"]["order"]["oid"] == newer
    assert [o["oid"] for o in desk.info.open_orders(desk.address)] == [newer]
    done = desk.trade.cancel_by_cloid("BTC", name)
    assert done["response"]["data"]["statuses"] == ["success"]
    again = desk.trade.cancel("BTC", newer)
    assert again["response"]["data"]["statuses"] == [{"error": MISSING}]
    gone = desk.trade.modify_order(newer, "BTC", True, 0.002, desk.price(1, 0.002), ALO)
    error = gone["response"]["data"]["statuses"][0]["error"]
    assert error.startswith("Cannot modify canceled or filled order")
    assert desk.info.historical_orders(desk.address)[0]["status"] == "canceled"


def test_one_bad_order_of_a_batch_does_not_keep_the_others_out(desk):
    price = desk.price(1, 0.001)
    legs = [
        {"coin": "BTC", "is_buy": True, "sz": size, "limit_px": px, "order_type": ALO,
         "reduce_only": False}
        for size, px in ((0.001, price), (0.0001, price), (0.001, desk.price(-1, 0.001)))
    ]  # fmt: skip
    statuses = desk.trade.bulk_orders(legs)["response"]["data"]["statuses"]
    assert "resting" in statuses[0]
    assert statuses[1] == {"error": "Order must have minimum value of $10. asset=0"}
    error = statuses[2]["error"]
    assert error.startswith("Post only order would have immediately matched, bbo was ")
    assert error.endswith(" asset=0")
    oid = statuses[0]["resting"]["oid"]
    answer = desk.trade.bulk_cancel([{"coin": "BTC", "oid": oid}, {"coin": "BTC", "oid": 1}])
    assert answer["response"]["data"]["statuses"] == ["success", {"error": MISSING}]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"limit_px": 50000.5}, "Price must be divisible by tick size. asset=0"),
        ({"sz": 0.000001}, "Order has invalid size. asset=0"),
        ({"sz": 0.0}, "Order has zero size. asset=0"),
        ({"sz": 5000.0}, "Insufficient margin to place order. asset=0"),
        ({"reduce_only": True}, "Reduce only order would increase position. asset=0"),
        ({"order_type": IOC}, "Order could not immediately match against any resting orders."),
        ({"limit_px": 5000.0, "sz": 0.1}, "Order price cannot be more than 80% away"),
    ],
)
def test_a_refusal_is_in_the_venues_words(desk, change, text):
    order = {"limit_px": desk.price(1, 0.01), "sz": 0.001, "order_type": GTC, "reduce_only": False}
    order |= change
    answer = desk.trade.order("BTC", True, order["sz"], order["limit_px"], order["order_type"],
                              reduce_only=order["reduce_only"])  # fmt: skip
    assert answer["response"]["data"]["statuses"][0]["error"].startswith(text)


def test_an_order_that_takes_is_a_fill_with_fee_and_a_position(desk):
    before = float(desk.info.user_state(desk.address)["marginSummary"]["totalRawUsd"])
    filled = desk.place(1, tif=IOC, away=-0.002, size=0.002)["filled"]
    assert filled["totalSz"] == "0.002"
    fills = [f for f in desk.info.user_fills(desk.address) if f["oid"] == filled["oid"]]
    assert sum(float(fill["sz"]) for fill in fills) == pytest.approx(0.002)
    assert all(fill["crossed"] and fill["dir"] == "Open Long" for fill in fills)
    worth = sum(float(fill["sz"]) * float(fill["px"]) for fill in fills)
    fee = sum(float(fill["fee"]) for fill in fills)
    assert fee == pytest.approx(worth * 0.00045, abs=2e-8)
    by_time = desk.info.user_fills_by_time(desk.address, fills[0]["time"])
    assert fills[0] in by_time
    state = desk.info.user_state(desk.address)
    (held,) = state["assetPositions"]
    assert held["position"]["szi"] == "0.002"
    after = float(state["marginSummary"]["totalRawUsd"])
    assert after == pytest.approx(before - worth - fee, abs=1e-6)
    assert desk.trade.market_close("BTC")["status"] == "ok"
    assert desk.info.user_state(desk.address)["assetPositions"] == []


def test_streams_tell_of_the_book_orders_and_fills(box, desk):
    other = Desk(box, 1)
    info = Info(desk.base, skip_ws=False, timeout=LIMIT_S)
    heard = {}

    def listen(subscription):
        inbox = heard[subscription["type"]] = queue.Queue()
        info.subscribe(subscription, inbox.put)

    def next_of(kind, wanted=lambda data: True):
        until = time.monotonic() + LIMIT_S
        while True:
            data = heard[kind].get(timeout=max(until - time.monotonic(), 0.01))["data"]
            if wanted(data):
                return data

    try:
        for kind in ("l2Book", "bbo", "trades", "activeAssetCtx"):
            listen({"type": kind, "coin": "BTC"})
        listen({"type": "allMids"})
        for kind in ("orderUpdates", "userFills", "userEvents", "userFundings"):
            listen({"type": kind, "user": desk.address})
        assert next_of("userFills")["isSnapshot"] is True
        assert next_of("userFundings")["isSnapshot"] is True
        assert next_of("l2Book")["coin"] == "BTC"
        assert {"funding", "markPx"} <= next_of("activeAssetCtx")["ctx"].keys()
        assert "BTC" in next_of("allMids")["mids"]
        bid, ask = next_of("bbo")["bbo"]
        assert float(bid["px"]) < float(ask["px"])
        oid = desk.place(1, tif=ALO, away=0.0, size=0.5)["resting"]["oid"]
        update = next_of("orderUpdates", lambda rows: rows[0]["order"]["oid"] == oid)[0]
        assert update["status"] == "open"
        assert other.place(-1, tif=IOC, away=-0.02, size=60.0)["filled"]
        fill = next_of("userFills", lambda data: data["fills"][0]["oid"] == oid)["fills"][0]
        assert fill["feeToken"] == "USDC"
        assert next_of("userEvents", lambda data: "fills" in data)["fills"][0]["oid"] == oid
        print_ = next_of("trades", lambda rows: rows[-1]["tid"] >= fill["tid"])
        assert {"px", "sz", "side", "users", "hash"} <= print_[0].keys()
        assert next_of("orderUpdates")[-1]["order"]["oid"] == oid
    finally:
        info.disconnect_websocket()
        for each in (desk, other):
            each.trade.market_close("BTC")


def test_settings(desk):
    default = {"status": "ok", "response": {"type": "default"}}
    assert desk.trade.update_leverage(10, "BTC") == default
    assert desk.trade.update_leverage(50, "BTC")["response"] == "Invalid leverage value. asset=0"
    soon = round(time.time() * 1000)
    early = desk.trade.schedule_cancel(soon + 1000)
    assert early["status"] == "err"
    assert desk.trade.schedule_cancel(soon + 60_000) == default
    assert desk.trade.schedule_cancel(None) == default
    assert desk.trade.noop(soon - 9_000) == default
    assert (
        desk.trade.noop(soon - 9_000)["response"]
        == f"Invalid nonce: duplicate nonce {soon - 9_000}"
    )
    desk.trade.set_expires_after(soon - 1)
    late = desk.trade.cancel("BTC", 1)
    desk.trade.set_expires_after(None)
    assert late["response"].startswith("Action expired")


def test_agents_sign_for_their_account_and_nobody_else(box, desk):
    answer, key = desk.trade.approve_agent()
    assert answer["status"] == "ok"
    agent = Exchange(
        eth_account.Account.from_key(key), desk.base, account_address=desk.address, timeout=LIMIT_S
    )
    answer = agent.order("BTC", True, 0.001, desk.price(1, 0.01), ALO)
    assert "resting" in answer["response"]["data"]["statuses"][0]
    assert desk.info.user_role(agent.wallet.address)["data"]["user"] == desk.address
    stranger = eth_account.Account.from_key("0x" + "77" * 32)
    lost = Exchange(stranger, desk.base, timeout=LIMIT_S).cancel("BTC", 1)
    text = f"User or API Wallet {stranger.address.lower()} does not exist."
    assert lost == {"status": "err", "response": text}
    vault = Exchange(desk.wallet, desk.base, vault_address=Desk(box, 1).address, timeout=LIMIT_S)
    assert vault.cancel("BTC", 1)["response"].startswith("Vault not registered")


def test_what_the_venue_does_not_know_is_unprocessable(desk):
    with pytest.raises(ClientError) as caught:
        desk.info.post("/info", {"type": "nothing"})
    assert caught.value.status_code == 422
    with pytest.raises(ClientError) as caught:
        desk.info.post("/info", {"type": "l2Book", "coin": "NOPE"})
    assert caught.value.status_code == 422


def test_too_much_weight_is_429():
    with boxed(seed=2) as box:
        info = Info(f"http://127.0.0.1:{box.port}", skip_ws=True, timeout=LIMIT_S)
        address = box.exchange.accounts_of("hyperliquid")[0].credentials.address
        for _ in range(19):  # reading the universe weighed 40
            assert info.user_role(address) == {"role": "user"}  # weighs 60
        with pytest.raises(ClientError) as caught:
            info.user_role(address)
        assert caught.value.status_code == 429
