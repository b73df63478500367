"""Agents and workers at once, on overlapping queues of several pools: each run is granted once, no limit is passed."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from world import World

from headgate.schema.claims import Grant
from headgate.store.database import Database

WITHIN = 60.0
PAUSE = 0.005

POLLERS: list[dict[str, Any]] = [
    {"match": "q"},
    {"pool": "b", "queues": ["q1", "q2"]},
    {"worker": "a", "queues": ["q1", "other"]},
    {"worker": "b", "queues": ["q2", "other"]},
    {"worker": "c"},
]
"""Two agents and three workers; the first agent polls queues of all three pools."""

LIMITS = {"a": 5, "b": 3, "c": 4}


@pytest.fixture
async def servers(world: World, database_url: str, open_url: Callable[[str], Awaitable[Database]]) -> list[World]:
    """Two servers on one database."""
    return [world, world.beside(await open_url(database_url))]


async def claim(server: World, number: int, id: UUID) -> list[Grant]:
    """One look of one poller."""
    about, room = dict(POLLERS[number % len(POLLERS)]), 1 + number % 4
    if (pool := about.pop("worker", None)) is not None:
        return (await server.claim(room, pool=pool, worker=f"w{number}", **about)).grants
    return (await server.agent_claim(room, agent_id=id, **about)).grants


class Race:
    """Pollers that claim and finish runs until all are done, and a watcher of the pools' limits."""

    def __init__(self, servers: list[World]) -> None:
        self.servers = servers
        self.pools: dict[str, UUID] = {}
        self.total = 0
        self.finished = 0
        self.granted: Counter[UUID] = Counter()
        self.most: Counter[str] = Counter()

    async def fill(self) -> None:
        """Runs in three queues of each pool."""
        [world, _] = self.servers
        for name, limit in LIMITS.items():
            self.pools[name] = (await world.pool(name, type="prefect-agent", concurrency_limit=limit)).id
            for queue in ("q1", "q2", "other"):
                await world.runs(await world.deploy(f"{name} {queue}", work_pool_name=name, work_queue_name=queue), 12)
                self.total += 12

    async def poll(self, number: int) -> None:
        server, id = self.servers[number % 2], uuid4()
        while self.finished < self.total:
            grants = await claim(server, number, id)
            if not grants:
                await asyncio.sleep(PAUSE)
            for grant in grants:
                self.granted[grant.flow_run.id] += 1
                await server.accepted(grant, "RUNNING", "COMPLETED")
                self.finished += 1

    async def watch(self) -> None:
        while self.finished < self.total:
            for name, id in self.pools.items():
                self.most[name] = max(self.most[name], await self.servers[0].slots(work_pool_id=id))
            await asyncio.sleep(PAUSE)


@pytest.mark.parametrize("pollers", [5, 32])
async def test_no_run_is_granted_twice_and_no_limit_is_passed(servers: list[World], pollers: int) -> None:
    race = Race(servers)
    await race.fill()
    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        group.create_task(race.watch())
        for number in range(pollers):
            group.create_task(race.poll(number))
    assert set(race.granted.values()) == {1}
    assert len(race.granted) == race.total
    assert all(race.most[name] <= limit for name, limit in LIMITS.items()), race.most
    assert await servers[0].slots() == 0
