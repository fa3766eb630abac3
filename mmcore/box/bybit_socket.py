"""What all of Bybit's sockets have in common: frames, acknowledgements, pings, idle life."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import orjson

from .bybit_words import event_id
from .sockets import Socket

IDLE_S = 600.0
ACTIVE = re.compile(r"(?:^|&)max_active_time=(\d{1,4})(s|m)(?:&|$)", re.ASCII)
ACTIVE_S = (30.0, 600.0)
TEXT_MAX = 200  # of a client's own words, given back in an error

Frame = dict[str, Any]


class Line:
    """One connection: its name, its clock, and the words that every kind answers with."""

    def __init__(self, ws: Socket, number: int, late_s: float) -> None:
        self.ws = ws
        self.conn_id = event_id("connection", number)
        self.late_s = late_s
        self.idle_s = idle_s(ws.query)
        self.heard_s = asyncio.get_running_loop().time()

    async def frames(self, handle: Callable[[Frame], None]) -> None:
        """Handle every frame until the end; a line that says nothing for too long is closed.

        A frame is handled a moment after it came, as over a network: clients of Bybit note what
        they asked for only after they have sent it.
        """
        loop = asyncio.get_running_loop()
        watch = loop.create_task(self._watch())
        try:
            async for raw in self.ws:
                self.heard_s = loop.time()
                if self.late_s:
                    await asyncio.sleep(self.late_s)
                handle(_decoded(raw))
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            left_s = self.heard_s + self.idle_s - loop.time()
            if left_s <= 0:
                await self.ws.close(1000, "idle")
                return
            await asyncio.sleep(left_s)

    def say(self, op: str, req_id: object, *, ok: bool, text: str = "") -> None:
        """An acknowledgement of the public and private sockets; ``req_id`` keeps its type."""
        frame: Frame = {"success": ok, "ret_msg": text, "conn_id": self.conn_id}
        if req_id is not None:
            frame["req_id"] = req_id
        self.ws.send({**frame, "op": op}, "ack")

    def refuse(self, frame: Frame, text: str) -> None:
        """An error that is not of a known operation."""
        request = {"op": _short(frame.get("op", "")), "args": None}
        self.ws.send(
            {"success": False, "ret_msg": text, "conn_id": self.conn_id, "request": request}, "ack"
        )


def idle_s(query: str) -> float:
    """How long a line may say nothing: ten minutes, or what ``max_active_time`` asks for."""
    found = ACTIVE.search(query)
    if found is None:
        return IDLE_S
    seconds = float(found[1]) * (60.0 if found[2] == "m" else 1.0)
    return min(max(seconds, ACTIVE_S[0]), ACTIVE_S[1])


def topics(frame: Frame) -> list[str] | None:
    """``args`` of a subscription, None where they are no list of names."""
    args = frame.get("args")
    if not isinstance(args, list) or not args or not all(isinstance(each, str) for each in args):
        return None
    return args


def _decoded(raw: str | bytes) -> Frame:
    """The frame as an object; an empty one where it is none."""
    try:
        frame = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return frame if isinstance(frame, dict) else {}


def _short(value: object) -> str:
    return value[:TEXT_MAX] if isinstance(value, str) else ""


__all__ = ["Frame", "Line", "idle_s", "topics"]
