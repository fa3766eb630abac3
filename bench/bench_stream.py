"""What do streams and order entry cost beside the vendors' own?  Prints CPU and latency.

    python bench/bench_stream.py [--rounds 3] [--messages 4000] [--rate 2000] [--orders 400]

A server in a process of its own sends the same depth to every contestant over loopback, paced, as
Bybit and as Binance write it; each keeps a book.  All books must be equal at the end of each round.
CPU is of the client's process, threads included, from the 100th message to the last; contestants
take turns.  Rivals: pybit's WebSocket with its own book, python-binance's BinanceSocketManager with
a book of two dicts (the library brings none for futures that checks sequence).

Orders: from the call to the moment when the kernel has the bytes, to the moment when the server has
read them (on one clock), and CPU of the whole round trip.  Rivals: pybit's WebSocketTrading,
python-binance's ws_futures_create_order.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import statistics
import time
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from random import Random
from typing import Any

import numpy as np
import orjson
import uvloop
from aiohttp import WSMsgType, web

from mmcore._book import Book
from mmcore._intake import Intake
from mmcore.adapters._budget import Budget, Pool
from mmcore.adapters._bybit_desk import Desk, pools
from mmcore.adapters._bybit_rest import Rest
from mmcore.adapters._decode import JsonDecoder, Terms
from mmcore.adapters._own import OwnOrders
from mmcore.adapters._stream import Heartbeat, Stream
from mmcore.adapters.binance import BinanceUsdm
from mmcore.adapters.bybit import BybitLinear
from mmcore.events import ASK, BID, REQUEST
from mmcore.gateway import ClientIds, Keys
from mmcore.instrument import known

warnings.simplefilter("ignore")
LEVELS, CHANGES, FIRST = 50, 10, 100
PAUSE_S = 0.001  # between orders: the server is back at its wait
MID = 650_000
BYBIT, BINANCE = known("bybit-linear", "BTCUSDT"), known("binance-usdm", "BTCUSDT")
Side = dict[int, int]
Sides = dict[int, Side]
Told = list[list[str]]
Result = tuple[float, dict[str, dict[float, float]]]


# --- the market -----------------------------------------------------------------------------------


def market(messages: int) -> tuple[list[bytes], list[bytes], bytes, Sides]:
    """Frames of Bybit (snapshot first), frames of Binance, its REST snapshot, and the last book."""
    random = Random(7)
    sides: Sides = {BID: {}, ASK: {}}
    for side in (BID, ASK):
        for away in random.sample(range(1, 2 * LEVELS), LEVELS):
            sides[side][MID - side * away] = random.randint(1, 9000)
    first = {side: told(list(levels.items())) for side, levels in sides.items()}
    bybit = [bybit_frame("snapshot", 1, first)]
    binance = []
    for u in range(2, messages + 2):
        changed = {side: told(change(random, side, sides[side])) for side in (BID, ASK)}
        bybit.append(bybit_frame("delta", u, changed))
        data = {
            "e": "depthUpdate", "E": 1_700_000_000_000 + u, "T": 1_700_000_000_000 + u,
            "s": "BTCUSDT", "U": u, "u": u, "pu": u - 1, "b": changed[BID], "a": changed[ASK],
        }  # fmt: skip
        binance.append(orjson.dumps({"stream": "btcusdt@depth@100ms", "data": data}))
    body = {"lastUpdateId": 1, "E": 1_700_000_000_000, "T": 1_700_000_000_000}
    rest = orjson.dumps({**body, "bids": first[BID], "asks": first[ASK]})
    return bybit, binance, rest, sides


def change(random: Random, side: int, levels: Side) -> list[tuple[int, int]]:
    changes: Side = {}
    for _ in range(CHANGES // 2):
        tick = MID - side * random.randint(1, 2 * LEVELS)
        if tick in changes:
            continue
        if tick in levels and random.random() < 0.3 and len(levels) > LEVELS // 2:
            changes[tick] = 0
            del levels[tick]
        elif tick in levels or len(levels) < LEVELS:
            changes[tick] = levels[tick] = random.randint(1, 9000)
    return list(changes.items())


def told(levels: list[tuple[int, int]]) -> Told:
    return [
        [f"{tick // 10}.{tick % 10}", f"{qty // 1000}.{qty % 1000:03d}"] for tick, qty in levels
    ]


def bybit_frame(kind: str, u: int, changed: dict[int, Told]) -> bytes:
    data = {"s": "BTCUSDT", "b": changed[BID], "a": changed[ASK], "u": u, "seq": u}
    now = 1_700_000_000_000 + u
    topic = f"orderbook.{LEVELS}.BTCUSDT"
    return orjson.dumps({"topic": topic, "type": kind, "ts": now, "data": data, "cts": now})


# --- the server -----------------------------------------------------------------------------------


def serve(pipe: Connection, messages: int, rate: int) -> None:
    """In a process of its own: depth on the public paths, order entry on the others."""
    bybit, binance, _, _ = market(messages)

    async def pour(ws: web.WebSocketResponse, frames: list[bytes]) -> None:
        start = time.perf_counter()
        for i, frame in enumerate(frames):
            late = start + i / rate - time.perf_counter()
            if late > 0:
                await asyncio.sleep(late)
            await ws.send_str(frame.decode())

    async def depth(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        if request.path.startswith("/v5"):
            async for message in ws:
                asked = orjson.loads(message.data)
                if asked["op"] == "subscribe":
                    ack = {"success": True, "op": "subscribe", "req_id": asked.get("req_id")}
                    await asyncio.sleep(0.002)
                    await ws.send_str(orjson.dumps(ack).decode())
                    break
        await asyncio.sleep(0.05)
        with suppress(ConnectionError):
            await pour(ws, bybit if request.path.startswith("/v5") else binance)
            async for _ in ws:
                pass
        return ws

    async def entry(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            now = time.perf_counter_ns()
            if message.type is WSMsgType.TEXT:
                asked = orjson.loads(message.data)
                await asyncio.sleep(0.002)  # pybit notes what it asked for after sending it
                await ws.send_str(orjson.dumps(answer(asked, now)).decode())
        return ws

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/v5/public/linear", depth)
        app.router.add_get("/public/stream", depth)
        app.router.add_get("/v5/trade", entry)
        app.router.add_get("/ws-fapi/v1", entry)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        pipe.send(runner.addresses[0][1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)

    with suppress(KeyboardInterrupt, EOFError):
        uvloop.run(run())


def answer(asked: dict[str, Any], now: int) -> dict[str, Any]:
    """As the venues answer, with the time of reading where each client passes it on."""
    if asked.get("op") == "auth":
        return {"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "1"}
    if "op" in asked:
        order = asked["args"][0] if asked["args"] else {}
        data = {"orderId": str(now), "orderLinkId": order.get("orderLinkId", "")}
        return {
            "reqId": asked.get("reqId"), "retCode": 0, "retMsg": "OK", "op": asked["op"],
            "data": data, "retExtInfo": {}, "header": {}, "connId": "1",
        }  # fmt: skip
    return {"id": asked["id"], "status": 200, "result": {"orderId": now}, "rateLimits": []}


# --- depth ----------------------------------------------------------------------------------------


class Count:
    """CPU seconds a message, from the FIRST on."""

    def __init__(self, messages: int) -> None:
        self.left = messages
        self.n = messages - FIRST
        self.start = self.end = 0.0
        self.done = asyncio.Event()

    def message(self) -> None:
        self.left -= 1
        if self.left == self.n:
            self.start = time.process_time()
        elif self.left == 0:
            self.end = time.process_time()
            self.done.set()

    @property
    def cpu_us(self) -> float:
        return (self.end - self.start) / self.n * 1e6


async def ours(port: int, messages: int, decoder: JsonDecoder, path: str, first: bytes) -> Result:
    count, book = Count(messages), Book()
    intake = Intake(decoder.scanner, 1)

    def apply() -> None:
        rows = intake.take()
        if len(rows):
            book.bind(rows)
            book.run()
            book.release()

    def on_frame(frame: bytes, ts_local_ns: int) -> None:
        if intake.frame(frame, ts_local_ns) == 0:
            apply()
            count.message()

    async def on_up(stream: Stream) -> None:
        if first:
            intake.put(decoder.decode_json(first, 1, 0))
            apply()
        else:
            stream.send(b'{"op":"subscribe","req_id":"1","args":["orderbook.50.BTCUSDT"]}')

    stream = Stream(
        "bench", f"ws://127.0.0.1:{port}{path}", on_frame=on_frame, on_up=on_up, on_down=print,
        beat=Heartbeat(), clock=time.time_ns, rng=Random(1), stale_s=0.0,
    )  # fmt: skip
    stream.start()
    await count.done.wait()
    await stream.close()
    return count.cpu_us, {
        name: {int(row["tick"]) / 10: int(row["qty"]) / 1000 for row in book.levels(side)}
        for name, side in (("b", BID), ("a", ASK))
    }


async def ours_bybit(port: int, messages: int, _rest: bytes) -> Result:
    return await ours(port, messages + 1, BybitLinear([BYBIT]), "/v5/public/linear", b"")


async def ours_binance(port: int, messages: int, rest: bytes) -> Result:
    path = "/public/stream?streams=btcusdt@depth@100ms"
    return await ours(port, messages, BinanceUsdm([BINANCE]), path, rest)


async def pybit_stream(port: int, messages: int, _rest: bytes) -> Result:
    from pybit.unified_trading import WebSocket

    loop = asyncio.get_running_loop()
    count = Count(messages + 1)
    last: dict[str, Any] = {}

    class Socket(WebSocket):
        def _connect(self, url: str) -> None:
            super()._connect(f"ws://127.0.0.1:{port}" + url[url.index("/v5/") :])

    def callback(message: dict[str, Any]) -> None:
        last.update(message["data"])
        if count.left == 1:
            count.left, count.end = 0, time.process_time()
            loop.call_soon_threadsafe(count.done.set)
        else:
            count.message()

    def start() -> WebSocket:
        socket = Socket(channel_type="linear", testnet=False)
        socket.orderbook_stream(LEVELS, "BTCUSDT", callback)
        return socket

    socket = await asyncio.to_thread(start)
    await count.done.wait()
    await asyncio.to_thread(socket.exit)
    return count.cpu_us, {
        name: {float(price): float(qty) for price, qty in last[name]} for name in ("b", "a")
    }


async def binance_stream(port: int, messages: int, rest: bytes) -> Result:
    from binance import AsyncClient, BinanceSocketManager

    count = Count(messages)
    snapshot = orjson.loads(rest)
    book = {
        short: {float(price): float(qty) for price, qty in snapshot[name]}
        for short, name in (("b", "bids"), ("a", "asks"))
    }
    client = AsyncClient("k", "s")
    sockets = BinanceSocketManager(client, max_queue_size=1_000_000)
    sockets.FSTREAM_URL = f"ws://127.0.0.1:{port}/"
    async with sockets.futures_multiplex_socket(
        ["btcusdt@depth@100ms"], category="public"
    ) as socket:
        while count.left:
            data = (await socket.recv())["data"]
            for name in ("b", "a"):
                side = book[name]
                for price, qty in data[name]:
                    size = float(qty)
                    if size:
                        side[float(price)] = size
                    else:
                        side.pop(float(price), None)
            count.message()
    await client.close_connection()
    return count.cpu_us, book


DEPTH: dict[str, Callable[[int, int, bytes], Awaitable[Result]]] = {
    "mmcore, Bybit": ours_bybit,
    "pybit WebSocket": pybit_stream,
    "mmcore, Binance": ours_binance,
    "python-binance": binance_stream,
}


# --- orders ---------------------------------------------------------------------------------------

# us from the call to the kernel, and to the server, of each; CPU us of a round trip
Orders = tuple[list[float], list[float], float]


async def ours_orders(port: int, orders: int) -> Orders:
    terms = {0: Terms(BYBIT, 0)}
    budget = Budget({name: Pool(4000, 0.001) for name in pools("linear")}, time.monotonic_ns)
    rest = Rest("http://127.0.0.1", Keys("k" * 18, "s" * 36), budget, time.time_ns)
    own = OwnOrders(ClientIds("0123456789ab", 1), terms, lambda _: None, time.time_ns)
    desk = Desk("linear", terms, own, rest, spawn=lambda _: None, on_fault=lambda _: None)
    came = asyncio.Event()
    read_at = 0

    def on_frame(frame: bytes, _ts: int) -> None:
        nonlocal read_at
        message = orjson.loads(frame)
        read_at = int(message["data"]["orderId"])
        desk.hear(message)
        came.set()

    async def on_up(_stream: Stream) -> None:
        return

    desk.trade = Stream(
        "bench", f"ws://127.0.0.1:{port}/v5/trade", on_frame=on_frame, on_up=on_up, on_down=print,
        beat=Heartbeat(), clock=time.time_ns, rng=Random(1), stale_s=0.0,
    )  # fmt: skip
    desk.trade.start()
    await desk.trade.up(5)
    requests = np.zeros(orders, REQUEST)
    requests["kind"], requests["side"], requests["qty"] = 1, 1, 20
    requests["generation"], requests["tick"] = np.arange(orders) + 1, MID - np.arange(orders)
    sent: list[float] = []
    taken: list[float] = []
    cpu = time.process_time()
    for i in range(orders):
        came.clear()
        await asyncio.sleep(PAUSE_S)
        called = time.perf_counter_ns()
        desk.send(requests[i : i + 1])
        sent.append((time.perf_counter_ns() - called) / 1e3)
        await came.wait()
        taken.append((read_at - called) / 1e3)
    cpu = (time.process_time() - cpu) / orders * 1e6
    await desk.trade.close()
    return sent, taken, cpu


async def pybit_orders(port: int, orders: int) -> Orders:
    from pybit.unified_trading import WebSocketTrading

    class Socket(WebSocketTrading):
        def _connect(self, url: str) -> None:
            super()._connect(f"ws://127.0.0.1:{port}" + url[url.index("/v5/") :])

    def work() -> Orders:
        socket = Socket(testnet=False, api_key="k" * 18, api_secret="s" * 36)
        time.sleep(0.05)
        sent: list[float] = []
        taken: list[float] = []
        cpu = time.process_time()
        for i in range(orders):
            answers: list[dict[str, Any]] = []
            time.sleep(PAUSE_S)
            called = time.perf_counter_ns()
            socket.place_order(
                answers.append, category="linear", symbol="BTCUSDT", side="Buy",
                orderType="Limit", qty="0.020", price=f"{(MID - i) / 10:.1f}",
                timeInForce="PostOnly", orderLinkId=f"{i:032x}", positionIdx=0, reduceOnly=False,
            )  # fmt: skip
            sent.append((time.perf_counter_ns() - called) / 1e3)
            while not answers:
                time.sleep(0.0005)
            taken.append((int(answers[0]["data"]["orderId"]) - called) / 1e3)
        cpu = (time.process_time() - cpu) / orders * 1e6
        socket.exit()
        return sent, taken, cpu

    return await asyncio.to_thread(work)


async def binance_orders(port: int, orders: int) -> Orders:
    from binance import AsyncClient

    client = AsyncClient("k" * 64, "s" * 64)
    client.ws_future._url = f"ws://127.0.0.1:{port}/ws-fapi/v1"
    sent: list[float] = []
    taken: list[float] = []
    cpu, called = 0.0, 0
    send: Any = None

    async def timed(message: Any) -> None:
        await send(message)
        sent.append((time.perf_counter_ns() - called) / 1e3)

    for i in range(-1, orders):  # the first one connects
        if i == 0:
            send = client.ws_future.ws.send
            client.ws_future.ws.send = timed
            cpu = time.process_time()
        await asyncio.sleep(PAUSE_S)
        called = time.perf_counter_ns()
        result = await client.ws_futures_create_order(
            symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTX", quantity="0.020",
            price=f"{(MID - i) / 10:.1f}", newClientOrderId=f"{i + 1:032x}",
        )  # fmt: skip
        if i >= 0:
            taken.append((int(result["orderId"]) - called) / 1e3)
    cpu = (time.process_time() - cpu) / orders * 1e6
    await client.ws_future.close()
    await client.close_connection()
    return sent, taken, cpu


ORDERS: dict[str, Callable[[int, int], Awaitable[Orders]]] = {
    "mmcore, Bybit": ours_orders,
    "pybit WebSocketTrading": pybit_orders,
    "python-binance": binance_orders,
}


# --- the run --------------------------------------------------------------------------------------


async def depth_rounds(port: int, rounds: int, messages: int) -> None:
    _, _, rest, sides = market(messages)
    wanted = {
        name: {tick / 10: qty / 1000 for tick, qty in sides[side].items()}
        for name, side in (("b", BID), ("a", ASK))
    }
    costs: dict[str, list[float]] = {name: [] for name in DEPTH}
    for _ in range(rounds):
        for name, run in DEPTH.items():
            cpu_us, book = await run(port, messages, rest)
            if book != wanted:
                raise SystemExit(f"{name}: the book at the end is not the one that was sent")
            costs[name].append(cpu_us)
    print(f"depth frame -> book, {messages} messages of {CHANGES} changes; all books agree")
    print(f"{'':26}{'CPU us a message':>18}{'x':>8}")
    for name, values in costs.items():
        base = costs["mmcore, Bybit" if "it" in name else "mmcore, Binance"]
        ratio = statistics.median(other / own for other, own in zip(values, base, strict=True))
        print(f"{name:26}{statistics.median(values):18.1f}{ratio:8.1f}")


async def order_rounds(port: int, rounds: int, orders: int) -> None:
    sent: dict[str, list[float]] = {name: [] for name in ORDERS}
    taken: dict[str, list[float]] = {name: [] for name in ORDERS}
    cpu: dict[str, list[float]] = {name: [] for name in ORDERS}
    for _ in range(rounds):
        for name, run in ORDERS.items():
            to_kernel, to_server, cpu_us = await run(port, orders)
            sent[name] += to_kernel
            taken[name] += to_server
            cpu[name].append(cpu_us)
    print(f"\norder request -> socket -> server, {orders} orders a round, us")
    print(f"{'':26}{'to the socket':>14}{'p99':>8}{'to the server':>15}{'CPU there and back':>20}")
    for name, times in sent.items():
        p99 = statistics.quantiles(times, n=100)[98]
        print(
            f"{name:26}{statistics.median(times):14.0f}{p99:8.0f}"
            f"{statistics.median(taken[name]):15.0f}{statistics.median(cpu[name]):20.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--rate", type=int, default=2000, help="messages a second")
    parser.add_argument("--orders", type=int, default=400)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve, args=(there, arguments.messages, arguments.rate), daemon=True
    )
    server.start()
    try:
        port = here.recv()
        uvloop.run(depth_rounds(port, arguments.rounds, arguments.messages))
        uvloop.run(order_rounds(port, arguments.rounds, arguments.orders))
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
