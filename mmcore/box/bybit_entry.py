"""Bybit's trade sockets: order entry with the rules and the budget of REST."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .accounts import Account
from .bybit_auth import allow, check_clock, socket_account
from .bybit_codes import Fault, bad, too_often
from .bybit_desk import Desk
from .bybit_limits import Taken, Tolls
from .bybit_socket import Frame, Line
from .bybit_words import NS_PER_MS, event_id
from .clock import Clock
from .dialects import Failure

OPERATIONS = {
    f"order.{name}{many}": (name, bool(many))
    for name in ("create", "amend", "cancel")
    for many in ("", "-batch")
}
REQUEST_IDS = 10_000  # remembered of one connection
REQUEST_ID_MAX = 36
WORDS = {"create": "order", "amend": "amend", "cancel": "cancel"}  # of fault scripts
# HTTP status of a scripted failure -> retCode on this socket.
FAILURES = {
    429: (10429, "System level frequency protection"),
    403: (10403, "Exceed IP rate limit"),
    503: (10000, "Server Timeout"),
}


@dataclass(eq=False, slots=True)
class Trader:
    """One trade connection."""

    line: Line
    account: Account | None = None
    seen: set[str] = field(default_factory=set)
    order: deque[str] = field(default_factory=deque)


class Entry:
    """All trade connections."""

    def __init__(self, desk: Desk, tolls: Tolls, clock: Clock) -> None:
        self.desk = desk
        self.tolls = tolls
        self.clock = clock
        self.accounts = {
            account.credentials.key: account for account in desk.exchange.accounts_of("bybit")
        }
        self._traces = 0

    async def serve(self, line: Line) -> None:
        """One connection until its end."""
        trader = Trader(line)
        await line.frames(lambda frame: self.handle(trader, frame))

    def handle(self, trader: Trader, frame: Frame) -> None:
        """Answer one frame."""
        op, line = frame.get("op"), trader.line
        if op == "ping":
            stamp = str(self.clock.now_ns() // NS_PER_MS)
            line.ws.send(
                {
                    "retCode": 0, "retMsg": "OK", "op": "pong", "data": [stamp],
                    "connId": line.conn_id,
                },
                "ack",
            )  # fmt: skip
        elif op == "auth":
            line.ws.send(self._auth(trader, frame), "ack")
        else:
            self._request(trader, frame)

    def _auth(self, trader: Trader, frame: Frame) -> Frame:
        code, text = 0, "OK"
        try:
            if trader.account is not None:
                raise Fault(20001, "Repeat auth")
            now_ms = self.clock.now_ns() // NS_PER_MS
            account = socket_account(self.accounts, frame.get("args"), now_ms)
            allow(account, "trade")
            trader.account = trader.line.ws.account = account
        except Fault as fault:
            code, text = fault.code, fault.text
        named = {"reqId": frame["reqId"]} if "reqId" in frame else {}
        return {
            **named, "retCode": code, "retMsg": text, "op": "auth", "connId": trader.line.conn_id,
        }  # fmt: skip

    def _request(self, trader: Trader, frame: Frame) -> None:
        op = frame.get("op")
        name, many = OPERATIONS.get(op, ("", False)) if isinstance(op, str) else ("", False)
        word = "batch" if many else WORDS.get(name, "")

        def execute() -> Frame:
            return self.answer(trader, frame)

        def failed(failure: Failure) -> Frame:
            code, text = FAILURES.get(failure.status, (10016, "Internal server error"))
            fault = Fault(failure.code or code, failure.text or text)
            return self._refused(trader, frame, fault, None)

        trader.line.ws.call(word, execute, failed)

    def answer(self, trader: Trader, frame: Frame) -> Frame:
        """Execute a request and say what came of it."""
        taken: Taken | None = None
        try:
            account, name, many = self._checked(trader, frame)
            now_ns = self.clock.engine_ns()
            params = frame["args"][0]
            if many:
                category, items = self.desk.items(params)
                taken = self.tolls.take(account.name, f"{name}-batch:{category}", len(items))
                data, ext = self.desk.batch(name, account, params, taken.granted, now_ns)
            else:
                category = self.desk.category(params)
                taken = self.tolls.take(account.name, f"{name}:{category}")
                if not taken.granted:
                    raise too_often()
                act: Callable[..., dict[str, Any]] = getattr(self.desk, name)
                data, ext = act(account, category, params, now_ns), {}
        except Fault as fault:
            return self._refused(trader, frame, fault, taken)
        return {
            **_ident(frame),
            "retCode": 0,
            "retMsg": "OK",
            "op": frame["op"],
            "data": data,
            "retExtInfo": ext,
            "header": self._header(taken),
            "connId": trader.line.conn_id,
        }

    def _checked(self, trader: Trader, frame: Frame) -> tuple[Account, str, bool]:
        """Account, operation and whether it is a batch; Fault for what cannot be one."""
        op, args, header = frame.get("op"), frame.get("args"), frame.get("header")
        if not self.tolls.admit_frame(trader.line.ws.ip):
            raise Fault(10403, "Exceed IP rate limit. 3000 requests per second per IP")
        if trader.account is None:
            raise Fault(10004, "Request not authorized")
        if not isinstance(op, str) or op not in OPERATIONS:
            raise Fault(10404, "op type is not found")
        self._once(trader, frame)
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            raise bad("args must hold exactly one object")
        if not isinstance(header, dict):
            raise bad("header is missing")
        check_clock(
            header.get("X-BAPI-TIMESTAMP"),
            header.get("X-BAPI-RECV-WINDOW"),
            self.clock.now_ns() // NS_PER_MS,
        )
        category = args[0].get("category")
        if isinstance(category, str) and category and category not in {"linear", "spot"}:
            raise Fault(10404, "category is not supported")
        name, many = OPERATIONS[op]
        return trader.account, name, many

    @staticmethod
    def _once(trader: Trader, frame: Frame) -> None:
        """A ``reqId`` may be given once on a connection."""
        ident = frame.get("reqId")
        if ident is None:
            return
        if not isinstance(ident, str) or len(ident) > REQUEST_ID_MAX:
            raise bad("reqId invalid")
        if not ident:
            return
        if ident in trader.seen:
            raise Fault(20006, "Duplicated reqId")
        trader.seen.add(ident)
        trader.order.append(ident)
        if len(trader.order) > REQUEST_IDS:
            trader.seen.discard(trader.order.popleft())

    def _refused(self, trader: Trader, frame: Frame, fault: Fault, taken: Taken | None) -> Frame:
        op = frame.get("op")
        return {
            **_ident(frame),
            "retCode": fault.code,
            "retMsg": fault.text,
            "op": op if isinstance(op, str) else "",
            "data": {},
            "retExtInfo": {},
            "header": self._header(taken),
            "connId": trader.line.conn_id,
        }

    def _header(self, taken: Taken | None) -> dict[str, str]:
        self._traces += 1
        now_ms = str(self.clock.now_ns() // NS_PER_MS)
        limits = taken.headers() if taken is not None else {}
        trace = event_id("trace", self._traces).replace("-", "")
        return {**limits, "Traceid": trace, "Timenow": now_ms}


def _ident(frame: Frame) -> Frame:
    return {"reqId": frame["reqId"]} if isinstance(frame.get("reqId"), str) else {}


__all__ = ["Entry", "Trader"]
