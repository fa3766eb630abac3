"""A box on a thread of its own, for clients that block, and how each client is pointed at it."""

import asyncio
import threading
from contextlib import contextmanager

from mmcore.box.server import Box


class Served:
    """A box that is being served.  ``accounts``: of Bybit, (key, secret) each."""

    def __init__(self, box, loop):
        self.box = box
        self.loop = loop
        self.port = box.port
        held = [account.credentials for account in box.exchange.accounts_of("bybit")]
        self.accounts = [(one.key, one.secret) for one in held]
        self.dialect = next(each for each in box.dialects if each.name == "bybit")

    @property
    def http(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self):
        return f"ws://127.0.0.1:{self.port}"

    def call(self, function):
        """Run a function on the loop of the box."""

        async def run():
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(5)


@contextmanager
def served(**choices):
    """A box on a thread, stopped at the end."""
    ready, done, held = threading.Event(), None, {}

    async def main():
        nonlocal done
        done = asyncio.Event()
        # pybit notes what it asked for after it has sent it: on a busy machine that takes a while.
        usual = {"seed": 11, "limits_scale": 100.0, "reply_ms": 15.0}
        async with Box.open(**{**usual, **choices}) as box:
            held["served"] = Served(box, asyncio.get_running_loop())
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="box")
    thread.start()
    assert ready.wait(10)
    try:
        yield held["served"]
    finally:
        held["served"].loop.call_soon_threadsafe(done.set)
        thread.join(10)
        assert not thread.is_alive()
