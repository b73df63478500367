"""Calls an ASGI app as a server would."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest


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
