"""Clients at servers that ask more of them than usual, or that they do not reach in every way."""

import asyncio
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prefect_client import Prefect
from project_files import with_project
from relays import Relay, Streams, Wires
from scenario import NEWEST, TWO, scenario

from headgate.schema.states import StateType


@scenario(
    "Servers: that ask for CSRF tokens", "work-pool create", "deploy", "deployment run", "worker start", on=(NEWEST, TWO)
)
def test_clients_show_the_tokens_that_a_server_asks_for(at_own: Callable[..., Prefect]) -> None:
    prefect = with_project(at_own(server_csrf_protection_enabled=True))
    with pytest.raises(HTTPError, match="403"):
        urlopen(Request(f"{prefect.system.url}/flows/", b'{"name": "x"}', {"content-type": "application/json"}), timeout=10)
    prefect.start("worker", "start", "--pool", "local")
    prefect("deployment", "run", "family/one", "--watch")


class WithoutUpgrades(Relay):
    """A proxy that passes on calls and refuses websockets, as many do."""

    def __init__(self, wires: Wires, port: int) -> None:
        self._server = port
        self.refused = 0
        super().__init__(wires)

    async def connect(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self._server)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"upgrade: websocket" in head.lower():
                self.refused += 1
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
                writer.close()
                return
            other = await self.connect()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.close()
            return
        other[1].write(head)
        await self._join((reader, writer), other)


@scenario(
    *("Servers: behind a proxy without websockets", "worker start", "deployment run", "flow-run cancel", "flow-run logs"),
    on=(NEWEST, TWO),
    extended=True,
)
def test_a_worker_does_without_websockets(deployed: Prefect) -> None:
    """Runs, their logs, and a cancellation that is found by asking."""
    system = deployed.system
    with Wires() as wires:
        proxy = WithoutUpgrades(wires, system.port)
        deployed.env |= {
            "PREFECT_API_URL": f"http://127.0.0.1:{proxy.port}/api",
            "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "1",
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        }
        deployed.start("worker", "start", "--pool", "local")
        good = system.create_run("family/one")
        lasting = system.create_run("lasting/three")
        system.wait_for(good, StateType.COMPLETED)
        system.wait_for_line(good, "sum 20")
        assert "sum 20" in deployed("flow-run", "logs", str(good)).text
        system.wait_for_line(lasting, "begun")
        deployed("flow-run", "cancel", str(lasting))
        system.wait_for(lasting, StateType.CANCELLED)
        # Watching is what 3.9 gives up: it says so and ends, while the run goes on.
        deployed("deployment", "run", "family/one", "--watch", code=0 if deployed.is_2 else 1)
        assert proxy.refused or deployed.is_2
