"""A proxy that counts what goes through it towards a server."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

import httptools

from bench.system import free_port


class CountingProxy:
    """Passes connections on to `to` on 127.0.0.1, from a thread of its own; `requests` and `bytes` are of the callers.

    What follows an upgrade to a WebSocket counts as bytes only.
    """

    def __init__(self, to: int) -> None:
        self.port = free_port()
        self.requests = 0
        self.bytes = 0
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="counting-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(asyncio.start_server(self._pass, "127.0.0.1", self.port))
        return self

    def __exit__(self, *exception: object) -> None:
        self._wait(_end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, coroutine: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to)
            await asyncio.gather(self._count(reader, up_writer), _copy(up_reader, writer))

    async def _count(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser: Any = httptools.HttpRequestParser(_Requests(self))
        while data := await _read(reader):
            self.bytes += len(data)
            if parser is not None:
                try:
                    parser.feed_data(data)
                except httptools.HttpParserUpgrade:
                    parser = None
            writer.write(data)
        writer.close()


class _Requests:
    """What the parser calls."""

    def __init__(self, proxy: CountingProxy) -> None:
        self._proxy = proxy

    def on_message_begin(self) -> None:
        self._proxy.requests += 1


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await _read(reader):
        writer.write(data)
    writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Nothing once the connection is gone, however it went."""
    with suppress(OSError):
        return await reader.read(65_536)
    return b""


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
