"""Scripted faults as the clients of each venue meet them: through the real dialects."""

import asyncio

import aiohttp
import pytest

from mmcore.box.faults import Do
from mmcore.box.server import Box

SUBSCRIBE = {
    "binance": ("/public/ws", {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 1}),
    "bybit": ("/v5/public/linear", {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]}),
    "hyperliquid": (
        "/ws",
        {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC"}},
    ),
}


def run(test, **choices):
    async def main():
        async with (
            asyncio.timeout(20),
            Box.open(seed=2, **choices) as box,
            aiohttp.ClientSession(f"http://127.0.0.1:{box.port}") as session,
        ):
            return await test(box, session)

    return asyncio.run(main())


def subscribed(session, venue):
    return session.ws_connect(SUBSCRIBE[venue][0])


async def books(ws, venue, count):
    """The next depth messages: (first, last, before) numbers of each, where a venue has them."""
    found = []
    while len(found) < count:
        said = await ws.receive_json(timeout=3)
        if venue == "binance" and said.get("e") == "depthUpdate":
            found.append((said["U"], said["u"], said["pu"]))
        elif venue == "bybit" and "topic" in said:
            found.append((said["data"]["u"], said["data"]["u"], said["type"]))
        elif venue == "hyperliquid" and said["channel"] == "l2Book":
            found.append((said["data"]["time"], said["data"]["time"], None))
    return found


def test_a_lost_frame_is_a_gap_at_binance():
    async def main(box, session):
        async with subscribed(session, "binance") as ws:
            await ws.send_json(SUBSCRIBE["binance"][1])
            whole = await books(ws, "binance", 3)
            box.faults.apply(do=Do.DROP, where="stream:depth", venue="binance")
            broken = await books(ws, "binance", 3)
        links = [b[2] == a[1] for a, b in zip(whole + broken, (whole + broken)[1:], strict=False)]
        assert links.count(False) == 1
        assert all(links[:2])

    run(main)


def test_a_lost_frame_is_a_gap_at_bybit():
    async def main(box, session):
        async with subscribed(session, "bybit") as ws:
            await ws.send_json(SUBSCRIBE["bybit"][1])
            whole = await books(ws, "bybit", 4)
            assert whole[0][2] == "snapshot"
            box.faults.apply(do=Do.DROP, where="stream:depth", venue="bybit")
            broken = await books(ws, "bybit", 3)
        steps = [b[1] - a[1] for a, b in zip(whole + broken, (whole + broken)[1:], strict=False)]
        assert sorted(steps) == [1] * (len(steps) - 1) + [2]

    run(main)


def test_books_begin_anew_after_a_restart():
    async def main(box, session):
        async with subscribed(session, "bybit") as ws:
            await ws.send_json(SUBSCRIBE["bybit"][1])
            before = await books(ws, "bybit", 3)
        held = box.exchange.accounts_of("bybit")[0].wallets["unified"].balances.copy()
        await box.restart(0.1)
        async with subscribed(session, "bybit") as ws:
            await ws.send_json(SUBSCRIBE["bybit"][1])
            after = await books(ws, "bybit", 2)
        assert after[0] == (1, 1, "snapshot")
        assert before[-1][1] > 1
        assert box.exchange.accounts_of("bybit")[0].wallets["unified"].balances == held

    run(main)


@pytest.mark.parametrize("venue", list(SUBSCRIBE))
def test_a_half_open_socket_is_silent_at_every_venue(venue):
    async def main(box, session):
        async with subscribed(session, venue) as ws:
            await ws.send_json(SUBSCRIBE[venue][1])
            await books(ws, venue, 1)
            box.faults.apply(do=Do.HALF_OPEN, where="socket:public", venue=venue)
            await asyncio.sleep(0.05)
            while True:  # what was under way
                try:
                    await ws.receive(timeout=0.05)
                except TimeoutError:
                    break
            await ws.send_json({"op": "ping", "method": "ping"})
            with pytest.raises(TimeoutError):
                await ws.receive(timeout=0.15)
            ws._response.close()
        assert [fired.fault.do for fired in box.faults.fired] == [Do.HALF_OPEN]

    run(main)


REFUSALS = {
    # script -> venue, request, what the client sees: HTTP status, code
    "weight": ("binance", {"status": 429, "retry_s": 3}, 429, -1003),
    "ban": ("binance", {"status": 418, "retry_s": 120}, 418, -1003),
    "overload": ("binance", {"status": 503, "code": -1008}, 503, -1008),
    "pool": ("bybit", {"status": 200, "code": 10006}, 200, 10006),
    "front door": ("bybit", {"status": 403}, 403, None),
    "unknown": ("bybit", {"status": 200, "code": 10000}, 200, 10000),
    "too many": ("hyperliquid", {"status": 429}, 429, None),
}


@pytest.mark.parametrize("case", list(REFUSALS))
def test_refusals_come_in_the_venues_own_form(case):
    venue, script, status, code = REFUSALS[case]

    async def main(box, session):
        box.faults.apply(do=Do.REPLY, where="rest:*", venue=venue, **script)
        asked = {
            "binance": lambda: session.get("/fapi/v1/depth?symbol=BTCUSDT&limit=5"),
            "bybit": lambda: session.get("/v5/market/tickers?category=linear&symbol=BTCUSDT"),
            "hyperliquid": lambda: session.post("/info", json={"type": "allMids"}),
        }[venue]
        async with asked() as answer:
            assert answer.status == status
            assert ("Retry-After" in answer.headers) == ("retry_s" in script)
            if code is not None:
                said = await answer.json()
                assert said.get("code", said.get("retCode")) == code
        async with asked() as answer:
            assert answer.status == 200

    run(main)
