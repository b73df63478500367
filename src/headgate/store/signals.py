"""Signals between processes on one database: in which pools something may have become ready. Polling stays the truth."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from uuid import UUID

PAUSE = 0.05
"""Seconds between two messages: what happens meanwhile is told together, so that messages cost the same under any load."""

Hear = Callable[[Collection[UUID] | None], None]
"""Told, in its event loop, the pools that another process spoke of; None when it may have been any."""


class Outbox:
    """Sends what is to be told: at once when it was quiet, else together with what comes within `pause` seconds."""

    def __init__(self, send: Callable[[set[UUID]], Awaitable[None]], *, pause: float = PAUSE) -> None:
        self._send = send
        self._pause = pause
        self._waiting: set[UUID] = set()
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def put(self, pools: Collection[UUID]) -> None:
        """Have these told soon. To be called in an event loop, after the commit."""
        self._waiting.update(pools)
        if self._waiting and self._task is None and not self._closing.is_set():
            self._task = asyncio.create_task(self._run(), name="signals out")

    async def close(self) -> None:
        """Send what waits, then no more."""
        self._closing.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            while self._waiting:
                pools, self._waiting = self._waiting, set()
                await self._send(pools)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause):
                        await self._closing.wait()
        finally:
            self._task = None
