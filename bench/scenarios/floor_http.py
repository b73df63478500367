"""How fast HTTP itself is here."""

import sys
from typing import Any

from bench.environments import ROOT
from bench.load import Caller
from bench.scenarios.create import CALLERS
from bench.shape import Figure, Scenario, latencies, rate
from bench.system import answers

Message = dict[str, Any]


class FloorHttp(Scenario):
    """What no server with uvicorn gets beyond: a bare ASGI echo of a body of 100 bytes, with the load of `create`."""

    name = "floor-http"
    rounds = 1
    databases = ()
    only_ours = True
    needs_server = False

    def prepare(self) -> None:
        uvicorn = [sys.executable, "-m", "uvicorn", "bench.scenarios.floor_http:echo", "--port", str(self.system.port)]
        quiet = ["--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"]
        self.server = self.system.start("echo", [*uvicorn, *quiet], folder=ROOT)
        self.server.wait_until(lambda: answers(self.system.port), what="the echo to answer")

    def run(self) -> None:
        before = self.server.cpu_seconds
        self.loaded = self.system.load("floor_http:load", callers=CALLERS, seconds=self.choose(8, 3), warm_up=1)
        self.cpu_seconds = self.server.cpu_seconds - before

    def measure(self) -> list[Figure]:
        per_call = self.cpu_seconds / max(self.loaded.total, 1) * 1000
        return [
            rate("echoes", self.loaded.rate("echo")),
            *latencies("echo", self.loaded.calls.get("echo", ())),
            Figure(name="server CPU per call", value=per_call, unit="ms"),
            Figure(name="load CPU per call", value=self.loaded.cpu_seconds / max(self.loaded.total, 1) * 1000, unit="ms"),
        ]


async def load(caller: Caller) -> None:
    """One call after the other."""
    body = b'"' + b"." * 98 + b'"'
    while caller.goes_on():
        await caller.call("echo", "POST", "/echo", body)


async def echo(scope: Message, receive: Any, send: Any) -> None:
    """The application: an answer of what was sent."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
