"""A dialect of a few lines, and a box that serves it: what the server's own tests talk to."""

from contextlib import asynccontextmanager

import aiohttp

from mmcore.box.dialects import Dialect, Reply
from mmcore.box.options import Options
from mmcore.box.server import Box


class Market:
    """An exchange that only remembers when it was advanced."""

    accounts = ()
    floors = ()

    def __init__(self):
        self.advanced = []
        self.listeners = []
        self.before_cancel = []

    def advance(self, now_ns):
        self.advanced.append(now_ns)


class Plain(Dialect):
    """Answers what it was asked; counts what it executed."""

    name = "plain"

    def __init__(self, box):
        super().__init__(box)
        self.executed = []
        self.restarts = 0

    def claims(self, method, path):
        return path.startswith("/plain/")

    def route(self, request):
        return request.path.rpartition("/")[2]

    async def http(self, request):
        if request.path == "/plain/defect":
            raise RuntimeError("a defect")
        self.executed.append(request.path)
        body = {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "body": request.body.decode("latin-1"),
            "key": request.headers.get("x-key"),
        }
        return Reply(body, headers={"X-Used": "1"})

    def failure(self, request, failure):
        headers = {"Retry-After": str(failure.retry_s)} if failure.retry_s else {}
        return Reply({"code": failure.code, "msg": failure.text}, failure.status, headers)

    def claims_socket(self, path):
        return path.startswith("/plain/") or path == "/ws"

    def claims_frame(self, path, frame):
        return frame != "other"

    async def socket(self, ws):
        ws.kind = ws.path.rpartition("/")[2]
        async for frame in ws:
            if frame == "defect":
                raise RuntimeError("a defect")
            if frame == "bye":
                ws.send({"last": "words"}, "echo")
                return
            if isinstance(frame, str) and frame.startswith("call "):
                self._call(ws, frame)
            elif isinstance(frame, str) and frame.startswith("count "):
                for i in range(int(frame[6:])):
                    ws.send({"i": i}, "numbers")
            else:
                ws.send({"you said": frame if isinstance(frame, str) else "bytes"}, "echo")

    def _call(self, ws, frame):
        def execute():
            if frame == "call defect":
                raise RuntimeError("a defect")
            self.executed.append(frame)
            return {"done": frame}

        ws.call(
            frame[5:],
            execute,
            lambda failure: {"failed": failure.status, "code": failure.code},
        )

    def restarted(self, now_ns):
        self.restarts += 1


class Other(Plain):
    """A second venue that shares a path with the first."""

    name = "other"

    def claims(self, method, path):
        return path.startswith("/other/")

    def claims_socket(self, path):
        return path == "/ws"

    def claims_frame(self, path, frame):
        return frame == "other"

    async def socket(self, ws):
        async for frame in ws:
            ws.send({"other heard": frame}, "echo")


@asynccontextmanager
async def plain(**choices):
    """A box with both dialects on a free port, and a client session that speaks to it."""
    box = Box(Market(), Options(**choices), make=[Plain, Other])
    await box.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{box.port}") as session:
            yield box, session
    finally:
        await box.stop()
