"""One question to a venue: a deadline, an outcome that may stay unknown, and codes in our terms.

A call that times out or loses its connection may or may not have been carried out.  That is
:class:`OutcomeUnknown`, never a refusal: an order is then asked for by its client id.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from mmcore.errors import NetworkError
from mmcore.events import RejectCode
from mmcore.gateway import Action, VenueFault

T = TypeVar("T")


class OutcomeUnknown(NetworkError):
    """Whether the venue did what it was asked is not known."""


class NotSent(NetworkError):
    """It never left: no connection could be made, so nothing happened at the venue."""


async def call(answer: Awaitable[T], *, deadline_s: float, what: str, where: str) -> T:
    """Await an answer for at most deadline_s.

    what: the call, for the sentence.  Raises NotSent where no connection was made, OutcomeUnknown
    on a timeout or a lost connection; what the venue says passes through.
    """
    try:
        async with asyncio.timeout(deadline_s):
            return await answer
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NotSent(
            f"{what}: no connection ({_reason(error)})", where=where, done="nothing was sent"
        ) from error
    except TimeoutError as error:
        raise OutcomeUnknown(
            f"{what}: no answer within {deadline_s:g} s", where=where, done="it will be asked for"
        ) from error
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
        raise OutcomeUnknown(
            f"{what}: the connection was lost ({_reason(error)})",
            where=where,
            done="it will be asked for",
        ) from error


def _reason(error: BaseException) -> str:
    # The class alone where the text may hold an address with a signature in it.
    cause = getattr(error, "os_error", None) or error.__cause__ or error
    number = getattr(cause, "errno", None)
    return os.strerror(number) if number else type(cause).__name__


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a venue's code means here.  todo: for the user, where there is something to do."""

    action: Action
    reject: RejectCode = RejectCode.OTHER
    todo: str = ""


class Codes:
    """A venue's error codes; ``other`` is the meaning of those nobody listed."""

    def __init__(
        self,
        table: Mapping[int | str, Meaning],
        other: Meaning = Meaning(Action.REQUOTE),
    ) -> None:
        self._table = table
        self._other = other

    def __getitem__(self, code: int | str) -> Meaning:
        return self._table.get(code, self._other)

    def __contains__(self, code: int | str) -> bool:
        return code in self._table

    def fault(
        self, code: int | str, text: str, *, where: str, done: str = "", wait_s: float = 0.0
    ) -> VenueFault:
        """The exception for an answer with this code; ``text`` is the venue's own."""
        meaning = self[code]
        return VenueFault(
            f"the venue refused with code {code}: {text or 'no text'}",
            code=code,
            action=meaning.action,
            reject=meaning.reject,
            wait_s=wait_s,
            where=where,
            done=done,
            todo=meaning.todo,
        )


def by_codes(*rows: tuple[tuple[int | str, ...], Meaning]) -> dict[int | str, Meaning]:
    """A table written as rows of many codes with one meaning."""
    return {code: meaning for codes, meaning in rows for code in codes}


class Pending:
    """Requests sent over a socket, by their id, until answered, overdue or lost with the link.

    deadline_s: how long an answer may take.
    """

    def __init__(self, where: str, deadline_s: float) -> None:
        self._where = where
        self._deadline_s = deadline_s
        self._waiting: dict[Any, tuple[_Answered, _Lost, asyncio.TimerHandle]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Any, on_answer: _Answered, on_lost: _Lost) -> None:
        """Exactly one of the two is called, once, on the loop."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._deadline_s, self._overdue, key)
        self._waiting[key] = (on_answer, on_lost, timer)

    def answer(self, key: Any, answer: Any) -> bool:
        """False for an answer that nobody waits for (any more)."""
        # A venue may send anything as an id, even what cannot be a key.
        entry = self._waiting.pop(key, None) if isinstance(key, (str, int)) else None
        if entry is None:
            return False
        entry[2].cancel()
        entry[0](answer)
        return True

    async def ask(self, key: Any, send: Callable[[], bool], what: str) -> Any:
        """Send and wait.  Raises NotSent where ``send`` says so, or OutcomeUnknown."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(answer: Any) -> None:
            if not future.done():
                future.set_result(answer)

        def lost(error: OutcomeUnknown) -> None:
            if not future.done():
                future.set_exception(error)

        self.add(key, answered, lost)
        if not send():
            self._drop(key)
            raise NotSent(f"{what}: the socket is down", where=self._where)
        try:
            return await future
        finally:
            self._drop(key)

    def lost(self, why: str) -> None:
        """The link is gone: the outcome of everything on its way is unknown."""
        waiting, self._waiting = self._waiting, {}
        for _, on_lost, timer in waiting.values():
            timer.cancel()
            on_lost(OutcomeUnknown(why, where=self._where, done="it will be asked for"))

    def _drop(self, key: Any) -> None:
        entry = self._waiting.pop(key, None)
        if entry is not None:
            entry[2].cancel()

    def _overdue(self, key: Any) -> None:
        _, on_lost, _ = self._waiting.pop(key)
        on_lost(
            OutcomeUnknown(
                f"no answer within {self._deadline_s:g} s",
                where=self._where,
                done="it will be asked for",
            )
        )


_Answered = Callable[[Any], None]
_Lost = Callable[[OutcomeUnknown], None]

__all__ = ["Codes", "Meaning", "NotSent", "OutcomeUnknown", "Pending", "by_codes", "call"]
