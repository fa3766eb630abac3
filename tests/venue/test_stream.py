"""The supervised socket against a server that does everything wrong that a network can do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from mmcore._rate import RateLimiter
from mmcore.adapters._stream import FRAME_MAX, Backoff, Heartbeat, Stream
from mmcore.errors import UsageError

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG, MORE = 1, 2, 8, 9, 10, 0
LOOPS: list[Callable[..., Any]] = [asyncio.run, uvloop.run]
QUICK = Backoff(0.02, 0.05)


def frame(kind: int, payload: bytes, *, fin: bool = True) -> bytes:
    n = len(payload)
    size = (
        struct.pack("!B", n)
        if n < 126
        else struct.pack("!BH", 126, n)
        if n < 65536
        else struct.pack("!BQ", 127, n)
    )
    return bytes([kind | (0x80 if fin else 0)]) + size + payload


class Line:
    """One connection at the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def shake(self) -> None:
        head = await self.reader.readuntil(b"\r\n\r\n")
        key = next(
            line.split(b": ")[1].decode()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()
        self.writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )

    async def read(self) -> tuple[int, bytes]:
        first, second = await self.reader.readexactly(2)
        n = second & 0x7F
        if n >= 126:
            n = int.from_bytes(await self.reader.readexactly(2 if n == 126 else 8), "big")
        mask = await self.reader.readexactly(4)
        data = await self.reader.readexactly(n)
        return first & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(data))

    def say(self, text: str) -> None:
        self.writer.write(frame(TEXT, text.encode()))

    async def polite(self) -> None:
        """Answer pings and "hello" until the end."""
        while True:
            kind, data = await self.read()
            if kind == PING:
                self.writer.write(frame(PONG, data))
            elif kind == CLOSE:
                return
            elif data == b'{"op":"ping"}':
                self.say("pong")


Behave = Callable[[Line], Awaitable[None]]


@asynccontextmanager
async def serving(behave: Behave, port: int = 0) -> AsyncIterator[tuple[str, list[Line]]]:
    lines: list[Line] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        try:
            await line.shake()
            lines.append(line)
            await behave(line)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", lines
    finally:
        server.close()
        for line in lines:
            line.writer.transport.abort()


class Client:
    """A stream and what it told."""

    def __init__(self, url: Any, **options: Any) -> None:
        self.frames: list[bytes] = []
        self.stamps: list[int] = []
        self.down: list[str] = []
        self.n_up = 0
        given: dict[str, Any] = {
            "on_frame": self.take, "on_up": self.up, "on_down": self.down.append,
            "beat": Heartbeat("protocol", 5.0, 5.0), "clock": time.time_ns, "rng": Random(1),
            "stale_s": 0.0, "backoff": QUICK,
        }  # fmt: skip
        self.stream = Stream("test", url, **given | options)

    def take(self, data: bytes, ts_ns: int) -> None:
        self.frames.append(data)
        self.stamps.append(ts_ns)

    async def up(self, stream: Stream) -> None:
        self.n_up += 1
        assert stream.send("hello")

    async def until(self, what: Callable[[], bool], seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, (self.down, self.stream.state, len(self.frames))
            await asyncio.sleep(0.002)


def play(main: Callable[[], Awaitable[None]], loop: Callable[..., Any] = asyncio.run) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main()

    loop(bounded())


@pytest.mark.parametrize("loop", LOOPS)
def test_frames_of_every_make_come_whole_and_in_order(loop: Callable[..., Any]):
    big = bytes(range(256)) * 4 * 5000

    async def behave(line: Line) -> None:
        line.say("one")
        line.writer.write(frame(BINARY, b"\x00\xff"))
        line.writer.write(frame(TEXT, b"thr", fin=False))
        line.writer.write(frame(PING, b"in between"))
        line.writer.write(frame(MORE, b"e", fin=False) + frame(MORE, b"e"))
        line.writer.write(frame(TEXT, big))
        for i in range(2000):
            line.say(str(i))
        pongs = [await line.read() for _ in range(2)]
        assert (PONG, b"in between") in pongs
        await line.polite()

    async def main() -> None:
        async with serving(behave) as (url, _):
            client = Client(url)
            client.stream.start()
            assert await client.stream.up(3)
            await client.until(lambda: len(client.frames) == 2004)
            assert client.frames[:4] == [b"one", b"\x00\xff", b"three", big]
            assert client.frames[4:] == [str(i).encode() for i in range(2000)]
            assert client.stamps == sorted(client.stamps)
            assert client.down == []
            await client.stream.close()
            await client.stream.close()
            assert client.stream.state == "closed"
            assert not client.stream.send("late")

    play(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("end", ["abort", "close", "garbage", "endless", "mute", "silent", "raise"])
def test_whatever_ends_a_connection_a_new_one_is_made(end: str, loop: Callable[..., Any]):
    said = {
        "abort": "lost", "close": "1001: away", "garbage": "lost", "endless": "bytes",
        "mute": "ping", "silent": "no data", "raise": "ValueError: not this one",
    }  # fmt: skip

    async def behave(line: Line) -> None:
        if end == "close":
            line.writer.write(frame(CLOSE, struct.pack("!H", 1001) + b"away"))
        elif end == "garbage":
            line.writer.write(b"\xff" * 64)
        elif end == "endless":
            line.writer.write(frame(TEXT, b"x", fin=False))
            while True:
                line.writer.write(frame(MORE, bytes(1 << 20), fin=False))
                await line.writer.drain()
        elif end == "mute":
            line.say("good day")
            while True:  # reads, and answers nothing
                await line.read()
        elif end == "silent":
            await line.polite()
        elif end == "raise":
            line.say("bad")
            await line.polite()
        await asyncio.sleep(0.05)

    async def main() -> None:
        def refuse(data: bytes, ts_ns: int) -> None:
            raise ValueError("not this one")

        options: dict[str, Any] = {"beat": Heartbeat("protocol", 0.06, 0.06)}
        if end == "silent":
            options["stale_s"] = 0.15
        if end == "raise":
            options["on_frame"] = refuse
        async with serving(behave) as (url, lines):
            client = Client(url, **options)
            client.stream.start()
            await client.until(lambda: len(lines) >= 2, 15.0)
            assert client.stream.n_reconnects >= 1
            assert any(said[end] in why for why in client.down), client.down
            assert len(client.down) == client.stream.n_reconnects
            await client.stream.close()

    play(main, loop)


def test_the_largest_message_is_bounded():
    assert 1 << 24 <= FRAME_MAX <= 1 << 26


def test_a_text_heartbeat_keeps_a_quiet_link():
    async def main() -> None:
        async with serving(Line.polite) as (url, lines):
            client = Client(url, beat=Heartbeat("text", 0.05, 0.2, b'{"op":"ping"}'))
            client.stream.start()
            await client.until(lambda: client.frames.count(b"pong") >= 4)
            assert client.down == []
            assert len(lines) == 1
            await client.stream.close()

    play(main)


def test_it_waits_for_a_server_that_is_not_there_yet():
    async def main() -> None:
        async with serving(Line.polite) as (url, _):
            port = int(url.split(":")[2].split("/")[0])
        client = Client(url, attempts=RateLimiter(1000, 10**9))
        client.stream.start()
        assert not await client.stream.up(0.2)
        assert 3 <= len(client.down) <= 20
        async with serving(Line.polite, port):
            assert await client.stream.up(3)
            await client.stream.close()

    play(main)


def test_connections_are_bounded_in_number():
    async def behave(line: Line) -> None:
        line.writer.transport.abort()

    async def main() -> None:
        async with serving(behave) as (url, _):
            client = Client(url, backoff=Backoff(0.0, 0.0), attempts=RateLimiter(5, 10**9))
            client.stream.start()
            await asyncio.sleep(0.5)
            assert 4 <= client.stream.n_reconnects <= 5
            await client.stream.close()

    play(main)


def test_an_address_is_found_anew_for_each_connection():
    asked = []

    async def main() -> None:
        async with serving(Line.polite) as (url, _):

            async def find() -> str:
                asked.append(url)
                if len(asked) == 1:
                    raise RuntimeError("no listen key")
                return url

            client = Client(find)
            client.stream.start()
            assert await client.stream.up(3)
            assert "no listen key" in client.down[0]
            client.stream.recycle("the key expired")
            await client.until(lambda: client.n_up == 2)
            assert client.down[1] == "the key expired"
            assert len(asked) == 3
            await client.stream.close()

    play(main)


def test_renewed_before_the_venue_cuts_it():
    async def main() -> None:
        async with serving(Line.polite) as (url, lines):
            client = Client(url, rotate_s=0.2, beat=Heartbeat("protocol", 0.1, 0.1))
            client.stream.start()
            await client.until(lambda: len(lines) == 3)
            assert set(client.down) == {"renewed before the venue cuts it"}
            await client.stream.close()

    play(main)


def test_a_log_in_that_fails_is_told_and_tried_again():
    async def main() -> None:
        async def up(stream: Stream) -> None:
            client.n_up += 1
            if client.n_up < 3:
                raise ConnectionError("subscription refused")

        async with serving(Line.polite) as (url, _):
            client = Client(url, on_up=up)
            client.stream.start()
            assert await client.stream.up(3)
            assert client.n_up == 3
            assert all("subscription refused" in why for why in client.down)
            await client.stream.close()

    play(main)


def test_a_listener_that_fails_does_not_end_it():
    heard = []

    async def main() -> None:
        def down(why: str) -> None:
            raise KeyError("of the owner")

        asyncio.get_running_loop().set_exception_handler(lambda _, what: heard.append(what))
        async with serving(Line.polite) as (url, lines):
            client = Client(url, on_down=down)
            client.stream.start()
            assert await client.stream.up(3)
            client.stream.recycle("for the test")
            await client.until(lambda: len(lines) == 2)
            await client.stream.close()

    play(main)
    assert any("on_down failed" in what["message"] for what in heard)


def test_closing_while_it_connects():
    ended = []

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        ended.append(await reader.read())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(never, "127.0.0.1", 0)
        client = Client(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        client.stream.start()
        await asyncio.sleep(0.05)
        assert client.stream.state == "connecting"
        await client.stream.close()
        await client.until(lambda: ended == [b""])  # the connection went with it
        assert client.down == []
        server.close()

    play(main)


@pytest.mark.parametrize(
    "url",
    ["ws://stream.bybit.com/v5", "http://127.0.0.1/", "ws://127.0.0.1.example.com/", "wss:/x"],
)
def test_nothing_goes_in_the_clear_beyond_this_machine(url: str):
    with pytest.raises(UsageError, match="only wss"):
        Client(url)


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:1/", "ws://localhost/", "ws://[::1]:2/", "wss://h/"]
)
def test_addresses_that_are_allowed(url: str):
    assert Client(url).stream.state == "closed"


@given(failures=st.integers(-1, 2000), seed=st.integers(0, 99))
def test_pauses_grow_stay_bounded_and_differ(failures: int, seed: int):
    pause = Backoff(0.1, 15.0).pause_s(failures, Random(seed))
    whole = min(0.1 * 2.0 ** min(max(failures - 1, 0), 30), 15.0) if failures > 0 else 0.0
    assert whole / 2 <= pause <= whole
