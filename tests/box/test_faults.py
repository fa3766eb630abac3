"""Every kind of scripted fault, on a dialect of a few lines."""

import asyncio
import time

import aiohttp
import pytest
from plain import plain

from mmcore.box.faults import Do, Fault, Faults

WS_END = {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE}
LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


def run(test, **choices):
    async def main():
        async with asyncio.timeout(20), plain(**choices) as (box, session):
            return await test(box, session)

    return asyncio.run(main())


def numbers(count, wanted, *faults, path="/plain/public"):
    """What a client sees of ``count`` numbered frames, and the box they came from."""

    async def main(box, session):
        for fault in faults:
            box.faults.apply(fault)
        async with session.ws_connect(path) as ws:
            await ws.send_str(f"count {count}")
            seen = [(await ws.receive_json(timeout=3))["i"] for _ in range(wanted)]
            with pytest.raises(TimeoutError):
                await ws.receive(timeout=0.03)
            return seen, [fired.fault.do for fired in box.faults.fired]

    return run(main)


def stream(do, name="numbers", **more):
    return Fault(do=do, where=f"stream:{name}", **more)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (stream(Do.DROP, after_n=2), [0, 1, 3, 4]),
        (stream(Do.DROP, after_n=1, count=2), [0, 3, 4]),
        (stream(Do.DUPLICATE, after_n=1), [0, 1, 1, 2, 3, 4]),
        (stream(Do.REORDER, after_n=1), [0, 2, 1, 3, 4]),
        (stream(Do.REORDER, after_n=4), [0, 1, 2, 3, 4]),  # nobody comes to change places with
        (stream(Do.DROP, name="other*"), [0, 1, 2, 3, 4]),
        (stream(Do.DROP, name="num*", venue="plain"), [1, 2, 3, 4]),
        (stream(Do.DROP, venue="bybit"), [0, 1, 2, 3, 4]),
        (stream(Do.DROP, at_s=60.0), [0, 1, 2, 3, 4]),
    ],
)
def test_frames_are_lost_doubled_and_swapped(fault, seen):
    assert numbers(5, len(seen), fault)[0] == seen


def test_chance_is_seeded():
    fault = stream(Do.DROP, count=0, chance=0.5)

    async def main(box, session):
        box.faults.apply(fault)
        async with session.ws_connect("/plain/public") as ws:
            await ws.send_str("count 200")
            await ws.send_str("end")
            seen = []
            while "i" in (frame := await ws.receive_json(timeout=2)):
                seen.append(frame["i"])
            return seen

    first = run(main, seed=7)
    assert run(main, seed=7) == first != run(main, seed=8)
    assert 60 < len(first) < 140


def timed(fault, first="count 3"):
    async def main(box, session):
        box.faults.apply(fault)
        async with session.ws_connect("/plain/public") as ws:
            began = time.monotonic()
            await ws.send_str(first)
            seen = [(await ws.receive_json(timeout=3))["i"] for _ in range(3)]
            return seen, time.monotonic() - began

    return run(main)


def test_delayed_frames_stay_in_order():
    seen, took = timed(stream(Do.DELAY, ms=150))
    assert seen == [0, 1, 2]
    assert 0.15 <= took < 1


def test_a_frozen_stream_comes_back_with_everything():
    seen, took = timed(stream(Do.FREEZE, seconds=0.2))
    assert seen == [0, 1, 2]
    assert 0.15 <= took < 1


def test_other_streams_of_a_socket_go_on_while_one_is_frozen():
    async def main(box, session):
        box.faults.apply(stream(Do.FREEZE, seconds=0.2))
        async with session.ws_connect("/plain/public") as ws:
            await ws.send_str("count 1")
            await ws.send_str("hello")
            assert await ws.receive_json(timeout=2) == {"you said": "hello"}
            assert await ws.receive_json(timeout=2) == {"i": 0}

    run(main)


# -- connections ----------------------------------------------------------------------------------


def test_a_kind_of_socket_is_cut_and_the_others_are_not():
    async def main(box, session):
        async with (
            session.ws_connect("/plain/private") as one,
            session.ws_connect("/plain/public") as two,
        ):
            await asyncio.sleep(0.02)
            box.faults.apply(do=Do.CUT, where="socket:private")

            assert (await one.receive(timeout=2)).type in WS_END
            await two.send_str("still")
            assert await two.receive_json(timeout=2) == {"you said": "still"}

    run(main)


def test_a_socket_is_cut_in_the_middle_of_its_frames():
    async def main(box, session):
        box.faults.apply(do=Do.CUT, where="socket:public", after_n=3)
        async with session.ws_connect("/plain/public") as ws:
            for i in range(3):
                await ws.send_str(str(i))
                await ws.receive_json(timeout=2)
            await ws.send_str("once more")
            assert (await ws.receive(timeout=2)).type in WS_END

    run(main)


def test_whoever_connects_during_a_cut_is_cut_too():
    async def main(box, session):
        box.faults.apply(do=Do.CUT, where="socket:public", seconds=0.3)
        for _ in range(2):
            async with session.ws_connect("/plain/public") as ws:
                assert (await ws.receive(timeout=0.2)).type in WS_END
        await asyncio.sleep(0.3)
        async with session.ws_connect("/plain/public") as ws:
            await ws.send_str("back")
            assert await ws.receive_json(timeout=2) == {"you said": "back"}

    run(main)


def test_a_half_open_socket_takes_everything_and_says_nothing():
    async def main(box, session):
        async with session.ws_connect("/plain/private", autoping=False) as ws:
            await ws.send_str("before")
            await ws.receive(timeout=2)
            box.faults.apply(do=Do.HALF_OPEN, where="socket:private")
            await asyncio.sleep(0.03)
            await ws.ping(b"anyone?")
            await ws.send_str("hello?")
            (served,) = box.sockets
            served.send({"lost": 1}, "order")
            with pytest.raises(TimeoutError):
                await ws.receive(timeout=0.1)
            assert not served.closed
            ws._response.close()  # the client gives up; a goodbye would not be answered
        await asyncio.sleep(0.2)
        assert not box.sockets

    run(main)


def test_a_handshake_is_refused_as_scripted():
    async def main(box, session):
        box.faults.apply(do=Do.REPLY, where="rest:connect", status=403)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await session.ws_connect("/plain/public")
        async with session.ws_connect("/plain/public"):
            pass

    run(main)


# -- requests -------------------------------------------------------------------------------------


async def order(session, timeout_s=5.0):
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with session.post("/plain/order", timeout=timeout) as answer:
        return answer.status, dict(answer.headers), await answer.json()


def rest(do, **more):
    return Fault(do=do, where="rest:order", **more)


def test_a_reply_comes_instead_of_execution():
    async def main(box, session):
        box.faults.apply(rest(Do.REPLY, status=429, code=-1003, text="slow down", retry_s=7))
        status, headers, body = await order(session)
        assert (status, headers["Retry-After"]) == (429, "7")
        assert body == {"code": -1003, "msg": "slow down"}
        assert box.dialects[0].executed == []
        assert (await order(session))[0] == 200
        (fired,) = box.faults.fired
        assert "POST /plain/order" in fired.subject

    run(main)


def test_an_unknown_outcome_was_executed():
    async def main(box, session):
        box.faults.apply(rest(Do.UNKNOWN_503))
        assert (await order(session))[0] == 503
        assert box.dialects[0].executed == ["/plain/order"]

    run(main)


def test_a_late_answer_is_executed_at_once_and_a_late_request_is_not():
    async def main(box, session):
        for do, at_once in ((Do.LATE_ACK, 1), (Do.DELAY, 0)):
            box.dialects[0].executed.clear()
            box.faults.apply(rest(do, ms=120))
            began = time.monotonic()
            asked = asyncio.create_task(order(session))
            await asyncio.sleep(0.06)
            assert len(box.dialects[0].executed) == at_once
            assert (await asked)[0] == 200
            assert time.monotonic() - began >= 0.12
            assert len(box.dialects[0].executed) == 1

    run(main)


@pytest.mark.parametrize(("do", "executed"), [(Do.LOST_ACK, 1), (Do.DROP, 0)])
def test_a_connection_is_lost_before_or_after_execution(do, executed):
    async def main(box, session):
        box.faults.apply(rest(do))
        with pytest.raises(LOST):
            await order(session)
        assert len(box.dialects[0].executed) == executed
        box.faults.apply(rest(do, ms=60_000))  # no answer for longer than anybody waits
        with pytest.raises(TimeoutError):
            await order(session, timeout_s=0.1)
        assert len(box.dialects[0].executed) == 2 * executed
        assert (await order(session))[0] == 200

    run(main)


def call(do, **more):
    return Fault(do=do, where="request:order", **more)


@pytest.mark.parametrize(
    ("fault", "answer", "executed"),
    [
        (call(Do.REPLY, status=429, code=-1003), {"failed": 429, "code": -1003}, 0),
        (call(Do.UNKNOWN_503, code=-1006), {"failed": 503, "code": -1006}, 1),
        (call(Do.LATE_ACK, ms=100), {"done": "call order"}, 1),
        (call(Do.DELAY, ms=100), {"done": "call order"}, 1),
        (call(Do.DROP), None, 0),
        (call(Do.LOST_ACK, ms=60_000), None, 1),
    ],
)
def test_order_entry_over_a_socket_fails_in_the_same_ways(fault, answer, executed):
    async def main(box, session):
        box.faults.apply(fault)
        async with session.ws_connect("/plain/trade") as ws:
            await ws.send_str("call order")
            if answer is None:
                with pytest.raises(TimeoutError):
                    await ws.receive(timeout=0.1)
            else:
                assert await ws.receive_json(timeout=2) == answer
            assert len(box.dialects[0].executed) == executed
            box.faults.clear()
            await ws.send_str("call order")
            assert await ws.receive_json(timeout=2) == {"done": "call order"}

    run(main)


def test_an_answer_is_lost_with_its_socket():
    async def main(box, session):
        box.faults.apply(call(Do.LOST_ACK))
        async with session.ws_connect("/plain/trade") as ws:
            await ws.send_str("call order")
            assert (await ws.receive(timeout=2)).type in WS_END
        assert box.dialects[0].executed == ["call order"]

    run(main)


# -- clock and box --------------------------------------------------------------------------------


def test_the_clock_jumps_and_comes_back_and_the_engine_does_not_notice():
    async def main(box, session):
        box.faults.apply(do=Do.JUMP, where="clock", ms=-5000, seconds=0.2)
        await asyncio.sleep(0.05)
        assert box.clock.now_ns() - box.clock.engine_ns() == pytest.approx(-5e9, abs=1e6)
        await asyncio.sleep(0.3)
        assert box.clock.offset_ns == 0
        assert box.exchange.advanced == sorted(box.exchange.advanced)

    run(main)


def test_a_jump_by_count_happens_once():
    async def main(box, session):
        box.faults.apply(do=Do.JUMP, where="clock", ms=1000, after_n=2)
        offsets = []
        for _ in range(4):
            await order(session)
            offsets.append(box.clock.offset_ns)
        return offsets

    assert run(main) == [0, 0, 10**9, 10**9]


def test_a_scripted_restart_comes_in_the_middle():
    async def main(box, session):
        async with session.ws_connect("/plain/public") as ws:
            box.faults.apply(do=Do.RESTART, where="box", seconds=0.2)
            assert (await ws.receive(timeout=2)).type in WS_END
            with pytest.raises(aiohttp.ClientConnectionError):
                await order(session)
        await asyncio.sleep(0.3)
        assert (await order(session))[0] == 200
        assert box.dialects[0].restarts == 1

    run(main)


def test_lag_is_told_by_venue_and_holds_account_frames_back():
    async def main(box, session):
        box.faults.apply(do=Do.BALANCE_LAG, where="account", venue="plain", ms=150, seconds=0.1)
        assert box.faults.lag_ns("plain") == 150_000_000
        assert box.faults.lag_ns("bybit") == 0
        async with session.ws_connect("/plain/private") as ws:
            await asyncio.sleep(0.02)
            (served,) = box.sockets
            served.send({"balance": 1}, "account")
            served.send({"order": 1}, "order")
            assert await ws.receive_json(timeout=2) == {"order": 1}
            assert await ws.receive_json(timeout=2) == {"balance": 1}
        assert box.faults.lag_ns("plain") == 0

    run(main)


# -- the script itself ----------------------------------------------------------------------------


def test_a_fault_lasts_from_its_time_for_its_seconds():
    now = [0]
    faults = Faults(1, lambda: now[0])
    faults.apply(stream(Do.DROP, at_s=1.0, seconds=2.0))
    hits = []
    for tenth in range(40):
        now[0] = tenth * 10**8
        hits.append(faults.strike("stream", "plain", "numbers") is not None)
    assert hits == [False] * 10 + [True] * 20 + [False] * 10
    assert faults.quiet
    assert len(faults.fired) == 20


def test_seconds_of_a_counting_fault_begin_with_its_first_hit():
    now = [0]
    faults = Faults(1, lambda: now[0])
    faults.apply(stream(Do.DROP, after_n=5, seconds=0.3))
    hits = []
    for tenth in range(10):
        now[0] = tenth * 10**8
        hits.append(faults.strike("stream", "plain", "numbers") is not None)
    assert hits == [False] * 5 + [True] * 3 + [False] * 2


def test_the_first_of_several_acts_and_all_of_them_count():
    faults = Faults(1, lambda: 0)
    faults.apply(stream(Do.DROP, after_n=1))
    faults.apply(stream(Do.DUPLICATE, after_n=1, count=2))
    acts = [faults.strike("stream", "plain", "numbers") for _ in range(4)]
    assert [act and act.do for act in acts] == [None, Do.DROP, Do.DUPLICATE, None]


def test_names_that_no_venue_uses_are_refused_where_venues_are_real():
    strict = Faults(1, lambda: 0, strict=True)
    with pytest.raises(ValueError, match=r'write where = "stream:fill"$'):
        strict.apply(do="drop", where="stream:fills")
    assert strict.apply(do="drop", where="stream:f*").do is Do.DROP


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        (Fault(do=Do.DROP, where="nowhere"), "where"),
        (Fault(do=Do.DROP, where="stream"), "where"),
        (Fault(do=Do.JUMP, where="clock:x", ms=1), "where"),
        (Fault(do=Do.CUT, where="stream:depth"), "do"),
        (Fault(do=Do.JUMP, where="clock", ms=1, venue="bybit"), "venue"),
        (Fault(do=Do.FREEZE, where="stream:depth"), "seconds"),
        (Fault(do=Do.DELAY, where="stream:depth"), "ms"),
        (Fault(do=Do.DELAY, where="stream:depth", ms=-1), "ms"),
        (Fault(do=Do.REPLY, where="rest:order"), "status"),
        (Fault(do=Do.DROP, where="stream:depth", chance=2.0), "chance"),
        (Fault(do=Do.DROP, where="stream:depth", after_n=-1), "after_n"),
    ],
)
def test_what_cannot_be_meant_is_refused(fault, field):
    with pytest.raises(ValueError, match=f"^{field}: "):
        Faults(1, lambda: 0).apply(fault)
