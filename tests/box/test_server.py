"""The server with a dialect of a few lines: what clients see, whatever they send."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp

from mmcore.box.dialects import Dialect, Reply
from mmcore.box.options import Options
from mmcore.box.server import Box


class Market:
    """An exchange that only remembers when it was advanced."""

    accounts = ()

    def __init__(self):
        self.advanced = []

    def advance(self, now_ns):
        self.advanced.append(now_ns)


class Plain(Dialect):
    name = "plain"

    def claims(self, method, path):
        return path.startswith("/plain/")

    def route(self, request):
        return request.path.rpartition("/")[2]

    async def http(self, request):
        if request.path == "/plain/defect":
            raise RuntimeError("a defect")
        body = {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "body": request.body.decode("latin-1"),
            "key": request.headers.get("x-key"),
        }
        return Reply(body, headers={"X-Used": "1"})

    def claims_socket(self, path):
        return path.startswith("/plain/")

    async def socket(self, ws):
        ws.kind = "public"
        async for frame in ws:
            ws.send({"you said": frame if isinstance(frame, str) else "bytes"}, "echo")


@asynccontextmanager
async def plain(**choices):
    box = Box(Market(), Options(**choices), make=[Plain])
    await box.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{box.port}") as session:
            yield box, session
    finally:
        await box.stop()


def test_query_and_body_arrive_as_they_were_sent():
    async def main():
        async with plain() as (_, session):
            url = "/plain/order?b=%2F%41&a=x+y&signature=[1]"
            async with session.request(
                "POST",
                aiohttp.client.URL(url, encoded=True),
                data=b"x=%20&y",
                headers={"X-KEY": "k"},
            ) as answer:
                assert answer.headers["X-Used"] == "1"
                return await answer.json()

    seen = asyncio.run(main())
    assert seen["query"] == "b=%2F%41&a=x+y&signature=[1]"
    assert (seen["body"], seen["key"]) == ("x=%20&y", "k")


def test_a_socket_answers():
    async def main():
        async with plain() as (box, session), session.ws_connect("/plain/ws?x=1") as ws:
            await ws.send_str("hello")
            assert await ws.receive_json(timeout=2) == {"you said": "hello"}
            assert [each.kind for each in box.sockets] == ["public"]

    asyncio.run(main())
