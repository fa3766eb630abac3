"""A box that listens, shared by the tests of a module: making and ending one takes a while."""

import asyncio

from mmcore.box.server import Box

LIMIT_S = 15
ACCOUNTS = 60


class Served:
    """Runs coroutine functions of (box, number of an account that nobody has used)."""

    def __init__(self):
        self._loop = None
        self._box = None
        self._opened = None
        self._n = 0

    def run(self, test, limit_s=LIMIT_S, **choices):
        """With choices a box of its own, else the shared one; bounded in time either way."""
        if choices:
            return asyncio.run(alone(test, limit_s, choices))
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._opened = Box.open(accounts=ACCOUNTS, limits_scale=10)
            self._box = self._loop.run_until_complete(self._opened.__aenter__())
        n, self._n = self._n, (self._n + 2) % ACCOUNTS
        return self._loop.run_until_complete(asyncio.wait_for(test(self._box, n), limit_s))

    def close(self):
        if self._loop is not None:
            self._loop.run_until_complete(self._opened.__aexit__(None, None, None))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


async def alone(test, limit_s, choices):
    async with asyncio.timeout(limit_s), Box.open(**choices) as box:
        return await test(box, 0)
