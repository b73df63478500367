"""Signals between servers on one PostgreSQL: LISTEN on a connection of its own, NOTIFY on any, after the commit.

A transaction that carries a NOTIFY takes a lock of the whole database cluster when it commits, so none of ours does:
messages are sent by themselves, and seldom. Behind a pooler that hands a connection to others after each transaction
nothing is heard; a message to ourselves tells. What is listened on is asked from time to time whether it is still there.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from headgate.store.signals import Hear, Outbox

CHANNEL = "headgate"
_POOLS_AT_A_TIME = 100
"""A message has at most 8,000 bytes."""

NAMED = {"application_name": "headgate signals"}
"""What the connection that listens is called in `pg_stat_activity`."""

_LONGEST_PAUSE = 10.0

_ANSWER_SECONDS = 5.0
"""How long the database may take to answer here before it counts as out of reach."""

_CHECK_SECONDS = 5.0
"""Time between two questions whether the connection still stands: one that was cut off in silence looks like a quiet one."""

_LOG = logging.getLogger("headgate.store")
_TROUBLE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


class PostgresqlSignals:
    """What one server tells and hears. `hears` once a message has come through."""

    def __init__(self, url: str, pool: Any) -> None:
        self.hears = False
        self._url = url
        self._pool = pool
        self._sender = uuid4().hex
        self._echo = asyncio.Event()
        self._warned = False
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
            async with asyncio.timeout(_ANSWER_SECONDS), self._pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, message)

    async def _listen(self) -> None:
        pauses = _pauses()
        while True:
            with suppress(*_TROUBLE):
                await self._listen_once()
            if self._echo.is_set():
                pauses = _pauses()
                self._tell(None)  # who waits looks by itself from now on
            self.hears = False
            self._echo.clear()
            await asyncio.sleep(next(pauses))

    async def _listen_once(self) -> None:
        """Until the connection is lost, or turns out to bring nothing."""
        connection: Any = await asyncpg.connect(self._url, timeout=10, statement_cache_size=0, server_settings=NAMED)
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._heard)
            self._tell(None)  # of whatever came while nobody listened
            await self._notify(self._sender)
            if not await _set_within(self._echo, _ANSWER_SECONDS):
                if not lost.is_set():
                    self._warn()
                return
            while not await _set_within(lost, _CHECK_SECONDS):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await connection.execute("SELECT 1")
        finally:
            connection.terminate()

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning(
                "Messages of other servers do not come through, as behind a pooler that shares connections: calls that wait "
                "for work look once a second. Set HEADGATE_SERVER_DATABASE_DIRECT_URL to a URL of PostgreSQL itself."
            )

    def _heard(self, connection: Any, pid: int, channel: str, message: str) -> None:
        self.hears = True
        self._echo.set()
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


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether `event` is set by then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
