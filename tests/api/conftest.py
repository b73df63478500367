"""Calls an ASGI app as a server would: any app, or ours on a database of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from headgate.clock import FrozenClock
from headgate.server import running
from headgate.settings import Settings

# The builders of these tests lie beside them.
sys.path.insert(0, str(Path(__file__).parent))


@dataclass(frozen=True)
class Got:
    """An answer; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


Ask = Callable[..., Awaitable[Got]]


@pytest.fixture
def ask() -> Ask:
    """`await ask(app, "POST", "/api/…", body)`: `body` is bytes as they are, a list of chunks, or a value sent as JSON."""
    return send


async def send(
    app: Any, method: str, target: str, body: Any = b"", *, headers: Mapping[str, str] | None = None, root_path: str = ""
) -> Got:
    path, _, query = target.partition("?")
    chunks = body if isinstance(body, Chunks) else Chunks([body if isinstance(body, bytes) else msgspec.json.encode(body)])
    given = {"host": "localhost", **(headers or {})}
    connection = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "root_path": root_path,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[dict[str, Any]] = []

    async def take(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(connection, chunks.receive, take)
    if not sent:
        return Got(0, {}, b"")
    start, *parts = sent
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return Got(start["status"], answered, b"".join(part.get("body", b"") for part in parts))


class Chunks:
    """A body in pieces; `read` counts those that the app took. Without an end, the client goes away after the last."""

    def __init__(self, chunks: Sequence[bytes], *, ends: bool = True) -> None:
        self.chunks = list(chunks)
        self.ends = ends
        self.read = 0

    async def receive(self) -> dict[str, Any]:
        if self.read == len(self.chunks):
            return {"type": "http.disconnect"}
        self.read += 1
        more = self.read < len(self.chunks) or not self.ends
        return {"type": "http.request", "body": self.chunks[self.read - 1], "more_body": more}


@pytest.fixture
def chunks() -> type[Chunks]:
    """The class of bodies in pieces."""
    return Chunks


class ClientSocket:
    """The other side of a websocket of the app. `closed` is the code and the reason that it was sent away with."""

    def __init__(self, app: Any, path: str, speaks: Sequence[str], headers: Mapping[str, str]) -> None:
        self.speaks = speaks
        self.greeting: Any = None
        self.closed: tuple[int, str] | None = None
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._hungry = asyncio.Event()
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._in.put_nowait({"type": "websocket.connect"})
        given = {"host": "localhost", **headers}
        connection = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "subprotocols": list(speaks),
        }
        self._task = asyncio.create_task(app(connection, self._receive, self._out.put))

    async def opened(self) -> bool:
        """Whether the app took the connection."""
        message = await self._message()
        if message["type"] == "websocket.accept":
            return True
        self._note(message)
        return False

    async def send(self, frame: Any) -> None:
        """Send a frame."""
        text = frame if isinstance(frame, str) else msgspec.json.encode(frame).decode()
        self._hungry.clear()
        await self._in.put({"type": "websocket.receive", "text": text})

    async def taken(self) -> None:
        """Wait until the app has acted on what was sent, and waits for more."""
        async with asyncio.timeout(20):
            await self._hungry.wait()
        await asyncio.sleep(0)

    async def _receive(self) -> dict[str, Any]:
        if self._in.empty():
            self._hungry.set()
        return await self._in.get()

    async def next(self) -> Any:
        """The app's next frame; None when it closed instead."""
        message = await self._message()
        if message["type"] == "websocket.send":
            return msgspec.json.decode(message["text"])
        self._note(message)
        return None

    async def hang_up(self) -> None:
        """Leave, and wait until the app is done."""
        await self._in.put({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(20):
            await self._task

    async def _message(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            return await self._out.get()

    def _note(self, message: dict[str, Any]) -> None:
        assert message["type"] == "websocket.close", message
        self.closed = message["code"], message.get("reason") or ""


NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Api:
    """The real app, on a SQLite file of the test's own, under a clock that the test moves."""

    app: Any
    clock: FrozenClock

    async def get(self, target: str, **headers: str) -> Got:
        return await self.send("GET", target, **headers)

    async def post(self, target: str, body: Any = b"", **headers: str) -> Got:
        return await self.send("POST", target, body, **headers)

    async def patch(self, target: str, body: Any = b"", **headers: str) -> Got:
        return await self.send("PATCH", target, body, **headers)

    async def put(self, target: str, body: Any = b"", **headers: str) -> Got:
        return await self.send("PUT", target, body, **headers)

    async def delete(self, target: str, **headers: str) -> Got:
        return await self.send("DELETE", target, **headers)

    async def send(self, method: str, target: str, body: Any = b"", **headers: str) -> Got:
        """One request; underscores in the names of headers stand for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await send(self.app, method, "/api" + target, body, headers=named)

    @asynccontextmanager
    async def raw_socket(
        self, path: str, *, speaks: Sequence[str] = ("prefect",), **headers: str
    ) -> AsyncIterator[ClientSocket]:
        """A websocket that has been asked for, and no more; hung up at the end."""
        client = ClientSocket(self.app, "/api" + path, speaks, headers)
        try:
            yield client
        finally:
            await client.hang_up()

    @asynccontextmanager
    async def socket(self, path: str, *, token: str | None = None) -> AsyncIterator[ClientSocket]:
        """A websocket, its handshake done; what came of that is in `greeting`, or in `closed`."""
        async with self.raw_socket(path) as client:
            assert await client.opened()
            await client.send({"type": "auth", "token": token})
            client.greeting = await client.next()
            yield client

    # What most tests start from. Each answers the record as it came.

    async def flow(self, name: str = "hello") -> dict[str, Any]:
        return await self._made("/flows/", {"name": name})

    async def pool(self, name: str = "pool", **fields: Any) -> dict[str, Any]:
        return await self._made("/work_pools/", {"name": name, "type": "process", **fields})

    async def queue(self, name: str, pool: str = "pool", **fields: Any) -> dict[str, Any]:
        return await self._made(f"/work_pools/{pool}/queues", {"name": name, **fields})

    async def deployment(self, name: str = "nightly", flow: str = "hello", **fields: Any) -> dict[str, Any]:
        flow_id = (await self.flow(flow))["id"]
        return await self._made("/deployments/", {"name": name, "flow_id": flow_id, **fields})

    async def deployed_run(self, deployment: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        return await self._made(f"/deployments/{deployment['id']}/create_flow_run", fields)

    async def run(self, flow: str = "hello", **fields: Any) -> dict[str, Any]:
        flow_id = (await self.flow(flow))["id"]
        return await self._made("/flow_runs/", {"flow_id": flow_id, **fields})

    async def set_state(self, run: Mapping[str, Any], kind: str, *, force: bool = False, **state: Any) -> Got:
        return await self.post(f"/flow_runs/{run['id']}/set_state", {"state": {"type": kind, **state}, "force": force})

    async def _made(self, target: str, body: Any) -> dict[str, Any]:
        got = await self.post(target, body)
        assert got.status in (200, 201), got.json
        record: dict[str, Any] = got.json
        return record


@pytest.fixture
def settings() -> Settings:
    """The settings of the server under test."""
    return Settings()


@pytest.fixture
async def api(tmp_path: Path, sqlite_template: Any, settings: Settings) -> AsyncIterator[Api]:
    """The real app, without background jobs."""
    url = await sqlite_template.copy(tmp_path / "headgate.db")
    clock = FrozenClock(NOW)
    changed = structs.replace(settings, server_database_connection_url=url)
    async with running(changed, with_loops=False, now=clock) as system:
        yield Api(system.app, clock)


@pytest.fixture
async def any_api(database_url: str, settings: Settings, tmp_path: Path) -> AsyncIterator[Api]:
    """The real app, without background jobs, on each kind of database in turn."""
    clock = FrozenClock(NOW)
    changed = structs.replace(settings, server_database_connection_url=database_url, home=str(tmp_path))
    async with running(changed, with_loops=False, now=clock) as system:
        yield Api(system.app, clock)
