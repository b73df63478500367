"""PostgreSQL keeps what is dead while anybody's transaction is open, a backup's for one: what that costs claims."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from world import World

from headgate.schema.deployments import Deployment
from headgate.store.postgresql import PostgresqlTx

ROUNDS = 80
AT_ONCE = 25

GOES_THROUGH_WAITING = ("WITH RECURSIVE ranks", "SELECT r.id, r.work_queue_id, r.due_at")
"""How statements begin that look for the first runs that wait."""


@dataclass
class Watched:
    """A connection on which every statement within a transaction is explained before it is run, while `counts`."""

    connection: Any
    buffers: Counter[str]
    """How many pages each statement touched, by its text."""
    counts: list[bool] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    async def _explain(self, sql: str, *args: Any) -> None:
        if not self.counts or not args or not self.connection.is_in_transaction():
            return
        await self.connection.execute("SAVEPOINT explained")
        [row] = await self.connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *args)
        await self.connection.execute("ROLLBACK TO SAVEPOINT explained")
        [explained] = row[0] if isinstance(row[0], list) else json.loads(row[0])
        plan = explained["Plan"]
        self.buffers[sql] += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    async def fetch(self, sql: str, *args: Any) -> Any:
        await self._explain(sql, *args)
        return await self.connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        await self._explain(sql, *args)
        return await self.connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        await self._explain(sql, *args)
        return await self.connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> Any:
        await self._explain(sql, *args)
        return await self.connection.execute(sql, *args)

    async def executemany(self, sql: str, rows: Any) -> Any:
        for row in rows:
            await self._explain(sql, *row)
        return await self.connection.executemany(sql, rows)


@dataclass
class Meter:
    """Counts the pages that statements touch."""

    buffers: Counter[str] = field(default_factory=Counter)
    counts: list[bool] = field(default_factory=list)

    async def of(self, turn: Awaitable[None]) -> Counter[str]:
        """Those that a turn touches, by statement."""
        self.buffers.clear()
        self.counts.append(True)
        try:
            await turn
        finally:
            self.counts.clear()
        return self.buffers.copy()


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    """Of all statements of this process."""
    meter, begin = Meter(), PostgresqlTx.__init__

    def watch(self: PostgresqlTx, connection: Any) -> None:
        begin(self, Watched(connection, meter.buffers, meter.counts))

    monkeypatch.setattr(PostgresqlTx, "__init__", watch)
    return meter


@pytest.fixture
async def snapshot(database_url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Has a session take a snapshot and keep it for the rest of the test."""
    session = await asyncpg.connect(database_url)

    async def take() -> None:
        await session.execute("ANALYZE flow_run")
        await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")

    try:
        yield take
    finally:
        await session.close()


async def turn(world: World, deployment: Deployment) -> None:
    """Runs wait, are claimed, begin, are renewed and end; and then there is nothing."""
    await world.runs(deployment, AT_ONCE)
    grants = await world.grants(AT_ONCE)
    assert len(grants) == AT_ONCE
    await asyncio.gather(*(world.propose(grant, "RUNNING") for grant in grants))
    await world.renew(*grants)
    await asyncio.gather(*(world.propose(grant, "COMPLETED") for grant in grants))
    world.clock.advance(seconds=1)
    assert await world.grants(AT_ONCE) == []


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_what_a_claim_touches_does_not_grow_with_the_runs_that_ended(
    world: World, meter: Meter, snapshot: Callable[[], Awaitable[None]]
) -> None:
    """No statement that claims, transitions or heartbeats make goes through what died since a snapshot was taken."""
    await world.pool()
    deployment = await world.deploy()
    for _ in range(3):
        await turn(world, deployment)
    await snapshot()
    before = await meter.of(turn(world, deployment))
    for _ in range(ROUNDS):
        await turn(world, deployment)
    after = await meter.of(turn(world, deployment))
    # Trees that are written to grow a level; of nothing else is there more.
    grown = {sql: (before[sql], pages) for sql, pages in after.items() if pages > 2 * before[sql] + AT_ONCE}
    assert not [sql for sql in grown if not any(sql.startswith(begin) for begin in GOES_THROUGH_WAITING)], grown
