"""A pooler that hands a connection of PostgreSQL on after every transaction, as a test needs it: few connections for all
clients, always another one, so that whatever takes a session for granted fails."""

import asyncio
import struct
from collections import deque
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

_SSL_REQUEST = 80877103
_TERMINATE, _READY = b"X", b"Z"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Message = asyncio.Task[tuple[bytes, bytes]]


async def read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The kind of the next message, and all of it."""
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


async def open_upstream(url: str) -> Streams:
    """A stream to the PostgreSQL of a URL, by its socket file."""
    [directory] = parse_qs(urlsplit(url).query)["host"]
    return await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.5432")


async def end(tasks: Iterable[Any], writers: Iterable[asyncio.StreamWriter]) -> None:
    """Have nothing of a server of a test go on, and no stream of its stay open."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for writer in writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@dataclass
class TransactionPooler:
    """`connections` to the database of `url`; the one that was free for longest is taken next."""

    url: str
    connections: int = 3
    turns: int = 0
    _free: deque[Streams] = field(default_factory=deque)
    _freed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _greeting: bytes = b""
    _tasks: list[Any] = field(default_factory=list)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def __aenter__(self) -> str:
        database = urlsplit(self.url).path.strip("/")
        for _ in range(self.connections):
            reader, writer = await open_upstream(self.url)
            body = struct.pack("!I", 196608) + f"user\0postgres\0database\0{database}\0\0".encode()
            writer.write(struct.pack("!I", len(body) + 4) + body)
            greeting = b""
            kind = b""
            while kind != _READY:
                kind, message = await read_message(reader)
                greeting += message
            self._greeting = greeting
            self._writers.append(writer)
            self._free.append((reader, writer))
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://postgres@127.0.0.1:{port}/{database}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await end(self._tasks, self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            self._tasks.append(asyncio.current_task())
            await self._greet(reader, writer)
            message = self._task(read_message(reader))
            while (await message)[0] != _TERMINATE:
                message = await self._transaction(message, reader, writer)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length, code = struct.unpack("!II", await reader.readexactly(8))
            await reader.readexactly(length - 8)
            if code != _SSL_REQUEST:
                break
            writer.write(b"N")
        writer.write(self._greeting)

    async def _transaction(self, message: Message, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Message:
        """From a client's first message until PostgreSQL is outside of a transaction again; the message that is next."""
        async with self._freed:
            while not self._free:
                await self._freed.wait()
            upstream = self._free.popleft()
        self.turns += 1
        answers = self._task(self._answer(upstream[0], writer))
        while not answers.done():
            upstream[1].write(message.result()[1])
            message = self._task(read_message(reader))
            await asyncio.wait([answers, message], return_when=asyncio.FIRST_COMPLETED)
        async with self._freed:
            self._free.append(upstream)
            self._freed.notify()
        return message

    def _task(self, work: Coroutine[Any, Any, Any]) -> Any:
        self._tasks.append(asyncio.create_task(work))
        return self._tasks[-1]

    async def _answer(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind, answer = b"", b""
        while kind != _READY or answer[-1:] != b"I":
            kind, answer = await read_message(upstream)
            writer.write(answer)
