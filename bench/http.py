"""A thin HTTP client for the load: one kept connection, one call at a time, no work beside writing and parsing."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httptools


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `status` is 0 when the connection broke."""

    status: int
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.status < 300


BROKEN = Answer(0, b"")


class Connection(asyncio.Protocol):
    """A connection to one server; it is opened by the first call, and again after it broke."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._host = f"host: {host}:{port}\r\ncontent-type: application/json\r\n"
        self._transport: Any = None
        self._parser: Any = None
        self._body: list[bytes] = []
        self._answer: asyncio.Future[Answer] | None = None

    async def call(self, method: str, target: str, body: bytes = b"") -> Answer:
        """Send one request and wait for its answer."""
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            try:
                await loop.create_connection(lambda: self, *self._address)
            except OSError:
                return BROKEN
        self._answer = loop.create_future()
        head = f"{method} {target} HTTP/1.1\r\n{self._host}content-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)
        return await self._answer

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._settle(BROKEN)

    # What the parser calls

    def on_message_begin(self) -> None:
        self._body.clear()

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        self._settle(Answer(self._parser.get_status_code(), b"".join(self._body)))
        if not self._parser.should_keep_alive():
            self.close()

    def _settle(self, answer: Answer) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
