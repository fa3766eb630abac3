"""The server with a dialect of a few lines: what clients see, whatever they send."""

import asyncio
import importlib.util
import io
import socket

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import plain
from yarl import URL

from mmcore.box import server, sockets
from mmcore.box.options import Options
from mmcore.box.serve import ready
from mmcore.box.server import BODY_MAX, Box, check_host
from mmcore.errors import UsageError


def run(test, **choices):
    """Run a coroutine function of (box, session), bounded in time."""

    async def main():
        async with asyncio.timeout(20), plain(**choices) as (box, session):
            return await test(box, session)

    return asyncio.run(main())


async def alive(session):
    async with session.get("/plain/order") as answer:
        assert answer.status == 200
        assert (await answer.json())["path"] == "/plain/order"


def test_query_and_body_arrive_as_they_were_sent():
    async def main(box, session):
        url = "/plain/%6Frder?b=%2F%41&a=x+y&signature=[1]"
        async with session.post(
            URL(url, encoded=True), data=b"x=%20&y", headers={"X-KEY": "k"}
        ) as answer:
            assert answer.headers["X-Used"] == "1"
            assert answer.headers["Content-Type"] == "application/json"
            return await answer.json()

    seen = run(main)
    assert seen["path"] == "/plain/%6Frder"
    assert seen["query"] == "b=%2F%41&a=x+y&signature=[1]"
    assert (seen["body"], seen["key"]) == ("x=%20&y", "k")


def test_one_connection_carries_many_requests():
    async def main(box, session):
        for _ in range(5):
            async with session.get("/plain/order") as answer:
                await answer.read()
        return box.connections

    assert run(main) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [("/plain/defect", 500), ("/nobody", 404), ("/", 404), ("/plain/order", 200)],
)
def test_what_no_venue_answers_is_answered(path, status):
    async def main(box, session):
        async with session.get(path) as answer:
            await answer.read()
            await alive(session)
            return answer.status

    assert run(main) == status


def test_a_huge_body_is_refused_in_the_form_of_the_venue():
    async def main(box, session):
        async with session.post("/plain/order", data=io.BytesIO(b"x" * (BODY_MAX + 1))) as answer:
            assert answer.status == 413
            assert (await answer.json())["code"] == 0
        await alive(session)
        assert box.dialects[0].executed == ["/plain/order"]

    run(main)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Encoding: gzip\r\nContent-Length: 4\r\n", b"zzzz"),
        (b"Content-Encoding: br\r\nContent-Length: 4\r\n", b"zzzz"),
        (b"Transfer-Encoding: chunked\r\n", b"ZZ\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nabcdefghij\r\n"),
        (b"Content-Length: 10\r\n", b"short"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(head, body, monkeypatch):
    monkeypatch.setattr(server, "BODY_S", 0.2)

    async def main(box, session):
        reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
        writer.write(b"POST /plain/order HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + body)
        answer = await reader.readline()
        writer.close()
        await alive(session)
        assert box.dialects[0].executed == ["/plain/order"]
        return answer

    assert run(main).split()[1] in {b"400", b"408"}


def test_a_client_that_waits_to_be_told_to_go_on_is_told():
    async def main(box, session):
        async with session.post("/plain/order", data=b"body", expect100=True) as answer:
            return await answer.json()

    assert run(main)["body"] == "body"


# -- sockets --------------------------------------------------------------------------------------


def test_a_socket_answers_text_bytes_and_pings():
    async def main(box, session):
        async with session.ws_connect("/plain/public?x=1", autoping=False) as ws:
            await ws.send_str("hello")
            assert await ws.receive_json(timeout=2) == {"you said": "hello"}
            await ws.send_bytes(b"\x00\xff")
            assert await ws.receive_json(timeout=2) == {"you said": "bytes"}
            await ws.ping(b"p")
            pong = await ws.receive(timeout=2)
            assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"p")
            (served,) = box.sockets
            served.ping(b"q")
            assert (await ws.receive(timeout=2)).type is aiohttp.WSMsgType.PING
            assert (served.kind, served.venue, served.query) == ("public", "plain", "x=1")

    run(main)


def test_the_first_frame_tells_venues_of_one_path_apart():
    async def main(box, session):
        answers = []
        for said in ("other", "hello"):
            async with session.ws_connect("/ws") as ws:
                await ws.send_str(said)
                answers.append(await ws.receive_json(timeout=2))
        return answers

    assert run(main) == [{"other heard": "other"}, {"you said": "hello"}]


def test_last_words_go_out_before_the_end():
    async def main(box, session):
        async with session.ws_connect("/plain/public") as ws:
            await ws.send_str("bye")
            assert await ws.receive_json(timeout=2) == {"last": "words"}
            end = await ws.receive(timeout=2)
            assert (end.type, end.data) == (aiohttp.WSMsgType.CLOSE, 1000)

    run(main)


def test_a_socket_is_shut_with_code_and_reason():
    async def main(box, session):
        async with session.ws_connect("/plain/public") as ws:
            await ws.send_str("count 3")
            await ws.receive_json(timeout=2)
            (served,) = box.sockets
            served.shut(1008, "too many messages")
            for i in (1, 2):
                assert await ws.receive_json(timeout=2) == {"i": i}
            end = await ws.receive(timeout=2)
            assert (end.data, end.extra) == (1008, "too many messages")
        await asyncio.sleep(0.05)
        assert not box.sockets

    run(main)


def test_a_defect_of_a_dialect_ends_one_socket_and_nothing_else():
    async def main(box, session):
        async with session.ws_connect("/plain/a") as one, session.ws_connect("/plain/b") as two:
            await one.send_str("defect")
            assert (await one.receive(timeout=2)).type is aiohttp.WSMsgType.CLOSE
            await two.send_str("still")
            assert await two.receive_json(timeout=2) == {"you said": "still"}
            await two.send_str("call defect")
            assert await two.receive_json(timeout=2) == {"failed": 500, "code": 0}

    run(main)


def test_a_slow_reader_is_cut_off_and_costs_bounded_memory(monkeypatch):
    monkeypatch.setattr(sockets, "QUEUE_FRAMES", 1000)

    async def main(box, session):
        reader, writer = await asyncio.open_connection("127.0.0.1", box.port, limit=1024)
        writer.write(
            b"GET /plain/public HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        reader._transport.pause_reading()
        (served,) = box.sockets
        for _ in range(50):
            for _ in range(100):
                served.send({"pad": "x" * 4000}, "numbers")
            await asyncio.sleep(0.002)
            if served.closed:
                break
        assert served.closed
        writer.close()
        await alive(session)
        assert not box.sockets

    run(main)


def test_connections_are_bounded_and_one_too_many_is_refused():
    async def main(box, session):
        streams = [await asyncio.open_connection("127.0.0.1", box.port) for _ in range(12)]
        await asyncio.sleep(0.05)
        refused = 0
        for reader, writer in streams:
            if reader.at_eof() or reader.exception():
                refused += 1
            writer.close()
        await asyncio.sleep(0.05)
        await alive(session)
        return refused

    assert run(main, connections_max=8) == 4


def test_hundreds_of_sockets_are_served_at_a_time():
    async def main(box, session):
        connector = aiohttp.TCPConnector(limit=0)
        base = f"http://127.0.0.1:{box.port}"
        async with aiohttp.ClientSession(base, connector=connector) as many:
            all_ws = await asyncio.gather(*(many.ws_connect("/plain/public") for _ in range(300)))
            await asyncio.gather(*(ws.send_str("count 10") for ws in all_ws))
            for ws in all_ws:
                got = [(await ws.receive_json(timeout=5))["i"] for _ in range(10)]
                assert got == list(range(10))
            await asyncio.gather(*(ws.close() for ws in all_ws))

    run(main)


# -- anything at all ------------------------------------------------------------------------------

HEAD = b"GET /plain/order HTTP/1.1\r\nHost: x\r\n"
UPGRADE = (
    b"GET /plain/public HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PIECES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            HEAD,
            HEAD + b"\r\n",
            UPGRADE,
            b"Content-Length: 5\r\n\r\n",
            b"Content-Length: -1\r\n\r\n",
            b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
            b"POST /plain/order HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            b"\x81\x85\x00\x00\x00\x00hello",  # a text frame
            b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # a frame of 2^64 bytes
            b"\x89\x00\x88\x82\x00\x00\x00\x00\x03\xe8",  # a ping without mask, a close
            b"\xc1\x80\x00\x00\x00\x00",  # a reserved bit
            b"GET " + b"/" * 40_000 + b" HTTP/1.1\r\n\r\n",
            b"X-A: " + b"b" * 40_000 + b"\r\n\r\n",
        ]
    ),
)


def test_no_bytes_bring_it_down():
    async def main(box, session):
        async def send(pieces):
            reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
            try:
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(0)
                writer.write_eof()
                async with asyncio.timeout(1):
                    await reader.read(65536)
            except (OSError, TimeoutError):
                pass
            finally:
                writer.transport.abort()

        loop = asyncio.get_running_loop()

        @settings(max_examples=60, deadline=None)
        @given(st.lists(PIECES, max_size=5))
        def fuzz(pieces):
            asyncio.run_coroutine_threadsafe(send(pieces), loop).result(5)

        await asyncio.to_thread(fuzz)
        await alive(session)

    run(main)


# -- life -----------------------------------------------------------------------------------------


def test_the_exchange_is_advanced_at_least_every_ten_milliseconds():
    async def main(box, session):
        await asyncio.sleep(0.3)
        return list(box.exchange.advanced)

    times = run(main)
    assert times == sorted(times)
    assert len(times) >= 20


def test_a_restart_cuts_everything_and_keeps_the_port():
    async def main(box, session):
        port = box.port
        async with session.ws_connect("/plain/public") as ws:
            restart = asyncio.create_task(box.restart(0.3))
            assert (await ws.receive(timeout=2)).type in {
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.ERROR,
            }
            await asyncio.sleep(0.1)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            await restart
        assert box.port == port
        assert box.dialects[0].restarts == 1
        await alive(session)

    run(main)


def test_a_taken_port_is_said_in_a_sentence():
    async def main(box, session):
        other = type(box)(box.exchange, make=[])
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            for port in (taken.getsockname()[1], box.port):
                with pytest.raises(UsageError, match="cannot listen there"):
                    await other.start("127.0.0.1", port)

    run(main)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_this_machine_may_be_listened_on(host):
    check_host(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "10.0.0.1", "box.example"])
def test_other_addresses_are_refused_with_the_reason(host):
    with pytest.raises(UsageError, match="listens on this machine only"):
        check_host(host)
    check_host(host, anywhere=True)


def test_without_its_packages_hyperliquid_is_left_out_and_the_note_says_how_to_get_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "eth_account" else find(name)
    )
    box = Box.build(Options())
    assert [dialect.name for dialect in box.dialects] == ["binance", "bybit"]
    assert "hyperliquid" in box.notes[0]
    assert "mmcore-maker[hyperliquid]" in box.notes[0]
    said = ready(box)
    assert {each["venue"] for each in said["accounts"]} == {"binance", "bybit"}
    assert not [each for each in said["instruments"] if each["venue"] == "hyperliquid"]
