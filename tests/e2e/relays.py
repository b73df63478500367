"""What stands between programs in a test: a way to a database that can be cut in silence, and a balancer of servers."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from real_system import free_port

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_PROBE_SECONDS = 0.2
_ANSWER_SECONDS = 1.0


class Wires:
    """An event loop in a thread of its own, on which relays run."""

    def __enter__(self) -> Self:
        self.loop = asyncio.new_event_loop()
        self.servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(_end_all(self.servers))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Have it done there, and wait for it."""
        done: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return done.result(30)


async def _end_all(servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.1)  # until what was closed is


class Relay:
    """Passes bytes on, both ways, from a port to wherever `connect` leads at that moment."""

    def __init__(self, wires: Wires, port: int | None = None) -> None:
        self.wires, self.port = wires, port or free_port()
        self._open = asyncio.Event()
        self._open.set()
        wires.run(self._start())

    async def _start(self) -> None:
        self.wires.servers.append(await asyncio.start_server(self._serve, "127.0.0.1", self.port))

    async def connect(self) -> Streams:
        """A way on; `OSError` when there is none."""
        raise NotImplementedError

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._open.wait()
            other = await self.connect()
        except (OSError, asyncio.CancelledError):
            writer.close()
            return
        await self._join((reader, writer), other)

    async def _join(self, one: Streams, other: Streams) -> None:
        ways = [asyncio.create_task(self._copy(a[0], b[1])) for a, b in ((one, other), (other, one))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for _, writer in (one, other):
                writer.close()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._open.wait()
                target.write(data)
                await target.drain()


class Gate(Relay):
    """The way to a PostgreSQL, by its socket file."""

    def __init__(self, wires: Wires, url: str) -> None:
        [directory] = parse_qs(urlsplit(url).query)["host"]
        self._socket = f"{directory}/.s.PGSQL.5432"
        super().__init__(wires)
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}{urlsplit(url).path}"

    async def connect(self) -> Streams:
        return await asyncio.open_unix_connection(self._socket)

    def cut(self) -> None:
        """Pass nothing on, and say nothing of it."""
        self.wires.loop.call_soon_threadsafe(self._open.clear)

    def mend(self) -> None:
        """Pass on again, what waits first."""
        self.wires.loop.call_soon_threadsafe(self._open.set)


class Balancer(Relay):
    """Spreads connections over the servers that say that they are ready, and ends those to the others."""

    def __init__(self, wires: Wires, port: int, servers: Callable[[], list[int]]) -> None:
        self._servers = servers
        self._ready: list[int] = []
        self._turn = count()
        self._ways: dict[int, set[asyncio.StreamWriter]] = {}
        super().__init__(wires, port)
        asyncio.run_coroutine_threadsafe(self._watch(), wires.loop)

    async def connect(self) -> Streams:
        if not (ready := self._ready):
            raise OSError("no server is ready")
        port = ready[next(self._turn) % len(ready)]
        streams = await asyncio.open_connection("127.0.0.1", port)
        self._ways.setdefault(port, set()).add(streams[1])
        return streams

    async def _watch(self) -> None:
        while True:
            ports = self._servers()
            answers = await asyncio.gather(*map(_is_ready, ports))
            self._ready = [port for port, ready in zip(ports, answers, strict=True) if ready]
            for port in [port for port in self._ways if port not in self._ready]:
                for writer in self._ways.pop(port):
                    writer.close()
            await asyncio.sleep(_PROBE_SECONDS)


async def _is_ready(port: int) -> bool:
    with suppress(OSError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /api/ready HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    return False
