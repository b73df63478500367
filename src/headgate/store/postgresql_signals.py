"""Signals between servers on one PostgreSQL: LISTEN on a connection of its own, NOTIFY on any, after the commit.

A transaction that carries a NOTIFY takes a lock of the whole database cluster when it commits, so none of ours does:
messages are sent by themselves, and seldom. Behind a pooler that hands a connection to others after each transaction
nothing is heard; a message to ourselves tells.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from headgate.store.signals import Hear, Outbox

CHANNEL = "headgate"
_POOLS_AT_A_TIME = 100
"""A message has at most 8,000 bytes."""

_LONGEST_PAUSE = 10.0
_TROUBLE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


class PostgresqlSignals:
    """What one server tells and hears. `hears` once a message has come through."""

    def __init__(self, url: str, pool: Any) -> None:
        self.hears = False
        self._url = url
        self._pool = pool
        self._sender = uuid4().hex
        self._outbox = Outbox(self._send)
        self._hear: Hear | None = None
        self._listening: asyncio.Task[None] | None = None

    def announce(self, pools: set[UUID]) -> None:
        """Tell the others of these pools soon."""
        self._outbox.put(pools)

    def listen(self, hear: Hear) -> None:
        """Hear what the others tell, from now on until `close`, whatever becomes of the connection."""
        self._hear = hear
        self._listening = asyncio.create_task(self._listen(), name="signals in")

    async def close(self) -> None:
        """Send what waits, then hear and send no more."""
        await self._outbox.close()
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    async def _send(self, pools: set[UUID]) -> None:
        rest = sorted(pools)
        for start in range(0, len(rest), _POOLS_AT_A_TIME):
            await self._notify(" ".join([self._sender, *map(str, rest[start : start + _POOLS_AT_A_TIME])]))

    async def _notify(self, message: str) -> None:
        with suppress(*_TROUBLE):  # who was not told looks by itself
            async with self._pool.acquire() as connection:
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, message)

    async def _listen(self) -> None:
        pauses = _pauses()
        while True:
            with suppress(*_TROUBLE):
                await self._listen_once()
                pauses = _pauses()
            self.hears = False
            await asyncio.sleep(next(pauses))

    async def _listen_once(self) -> None:
        """Until the connection is lost."""
        connection: Any = await asyncpg.connect(self._url, timeout=10)
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._heard)
            self._tell(None)  # of whatever came while nobody listened
            await self._notify(self._sender)
            await lost.wait()
        finally:
            connection.terminate()

    def _heard(self, connection: Any, pid: int, channel: str, message: str) -> None:
        self.hears = True
        sender, *pools = message.split()
        if pools and sender != self._sender:
            self._tell({UUID(pool) for pool in pools})

    def _tell(self, pools: set[UUID] | None) -> None:
        if self._hear is not None:
            self._hear(pools)


def _pauses() -> Iterator[float]:
    """Seconds between tries to connect."""
    pause = 0.1
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)
