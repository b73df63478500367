"""Claims under real concurrency: each run is granted once, and no limit is exceeded at any instant, on both databases."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from world import World

from headgate.schema.claims import Grant
from headgate.schema.deployments import DeploymentUpdate
from headgate.schema.flow_runs import FlowRun
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import deployments, work_pools, work_queues
from headgate.store.database import Database, Tx

CLAIMERS = 32
RUNS = 500
WITHIN = 60.0
PAUSE = 0.005
"""Seconds that a worker without work, or a watcher, leaves to those that have some."""


@pytest.fixture
async def servers(world: World, database_url: str, open_url: Callable[[str], Awaitable[Database]]) -> list[World]:
    """Two servers on one database; on SQLite, two that share the file."""
    return [world, world.beside(await open_url(database_url))]


class Drain:
    """Workers that claim, execute and finish runs until none is left, and a watcher of the limits."""

    def __init__(self, servers: list[World], total: int) -> None:
        self.servers = servers
        self.total = total
        self.granted: Counter[UUID] = Counter()
        self.finished = 0
        self.most: Counter[str] = Counter()
        self.holding: Counter[UUID | None] = Counter()
        self.most_held: Counter[UUID | None] = Counter()

    async def work(self, number: int, **fields: Any) -> None:
        """One worker, with a room of its own size."""
        world = self.servers[number % len(self.servers)]
        while self.finished < self.total:
            grants = await world.grants(1 + number % 4, worker=f"w{number}", **fields)
            if not grants:
                await asyncio.sleep(PAUSE)
            for grant in grants:
                self.hold(grant.flow_run)
            for grant in grants:
                await self.finish(world, grant)

    def hold(self, run: FlowRun) -> None:
        """A run was given out; it holds its slot from before this moment on."""
        self.granted[run.id] += 1
        self.holding[run.deployment_id] += 1
        self.most_held |= self.holding

    async def finish(self, world: World, held: Grant | FlowRun) -> None:
        """Execute a run; it holds its slot until after this count goes down."""
        await world.accepted(held, "RUNNING")
        self.holding[(held.flow_run if isinstance(held, Grant) else held).deployment_id] -= 1
        await world.accepted(held, "COMPLETED")
        self.finished += 1

    async def watch(self, **counts: str) -> None:
        """Remember the highest of these counts, looking as often as possible."""
        while self.finished < self.total:
            for name, where in counts.items():
                found = await self.servers[0].value(f"SELECT count(*) FROM flow_run WHERE holds_slot AND {where}")
                self.most[name] = max(self.most[name], found)
            await asyncio.sleep(PAUSE)

    async def run(self, claimers: int, **counts: str) -> None:
        async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
            group.create_task(self.watch(**counts))
            for number in range(claimers):
                group.create_task(self.work(number))


async def test_every_run_is_granted_once(servers: list[World]) -> None:
    """Many workers on two servers drain a pool: nothing is granted twice, nothing is left."""
    [world, _] = servers
    await world.pool()
    await world.runs(await world.deploy(), RUNS)
    drain = Drain(servers, RUNS)
    await drain.run(CLAIMERS)
    assert len(drain.granted) == RUNS
    assert set(drain.granted.values()) == {1}
    assert await world.value("SELECT count(*) FROM flow_run WHERE state_type = 'COMPLETED' AND run_count = 1") == RUNS
    assert await world.slots() == 0


async def test_no_limit_is_exceeded_at_any_instant(servers: list[World]) -> None:
    """Limits of the pool, of a queue and of a deployment at once, each of them reached, none of them passed."""
    [world, _] = servers
    await world.pool(concurrency_limit=6)
    queue = await world.queue("narrow", concurrency_limit=4)
    wide, narrow = await world.deploy("wide"), await world.deploy("n", work_queue_name="narrow")
    single = await world.deploy("single", work_queue_name="narrow", concurrency_limit=2)
    for it in (wide, narrow, single):
        await world.runs(it, 30)
    drain = Drain(servers, 90)
    await drain.run(12, pool="TRUE", queue=f"work_queue_id = '{queue.id}'", deployment=f"deployment_id = '{single.id}'")
    assert set(drain.granted.values()) == {1}
    assert drain.most["pool"] <= 6
    assert drain.most["queue"] <= 4
    assert drain.most["deployment"] <= 2


async def test_a_deployments_limit_holds_over_several_pools(servers: list[World]) -> None:
    """Its runs wait in two pools, which two servers hand out at the same time; and clients that poll are among them."""
    [world, other] = servers
    await world.pool("a")
    await world.pool("b")
    it = await world.deploy("spread", work_pool_name="a", concurrency_limit=2)
    await world.runs(it, 40)
    await world.change_deployment(it, work_pool_name="b")
    assert await world.scope.store.write(lambda tx: _send_half(tx, "a")) == 20
    drain = Drain(servers, 40)

    async def poll(server: World, pool: str) -> None:
        while drain.finished < drain.total:
            for each in await server.poll(pool):
                if (await server.propose(each.flow_run, "PENDING")).status == "ACCEPT":
                    drain.hold(each.flow_run)
                    await drain.finish(server, each.flow_run)
            server.clock.advance(seconds=5)
            await asyncio.sleep(PAUSE)

    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        group.create_task(drain.watch(deployment=f"deployment_id = '{it.id}'"))
        for number in range(CLAIMERS):
            group.create_task(drain.work(number, pool="ab"[number % 2]))  # a server each: sets lock pools
        group.create_task(poll(other, "a"))
        group.create_task(poll(world, "b"))
    assert set(drain.granted.values()) == {1}
    assert drain.most["deployment"] <= 2
    assert drain.most_held[it.id] <= 2


async def _send_half(tx: Tx, pool: str) -> int:
    """Send every other run to a pool's default queue."""
    return await tx.execute(
        """UPDATE flow_run SET work_pool_id = (SELECT id FROM work_pool WHERE name = :pool),
                  work_queue_id = (SELECT default_queue_id FROM work_pool WHERE name = :pool)
           WHERE id IN (SELECT id FROM flow_run ORDER BY id LIMIT 20)""",
        {"pool": pool},
    )


async def test_both_kinds_of_client_share_one_limit(servers: list[World]) -> None:
    """Workers that claim, and clients that poll and then propose Pending, together never pass the pool's limit."""
    [world, other] = servers
    await world.pool(concurrency_limit=5)
    await world.runs(await world.deploy(), 60)
    drain = Drain(servers, 60)

    async def poll_and_propose(server: World) -> None:
        while drain.finished < drain.total:
            for each in await server.poll():
                result = await server.propose(each.flow_run, "PENDING")
                if result.status == "ACCEPT":
                    drain.hold(each.flow_run)
                    await drain.finish(server, each.flow_run)
                elif result.status == "REJECT":
                    assert result.state
                    assert result.state.name == "AwaitingConcurrencySlot"
            server.clock.advance(seconds=5)
            await asyncio.sleep(PAUSE)

    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        group.create_task(drain.watch(pool="TRUE"))
        for number in range(8):
            group.create_task(drain.work(number))
        for server in (world, other, world, other):
            group.create_task(poll_and_propose(server))
    assert len(drain.granted) == 60
    assert set(drain.granted.values()) == {1}
    assert drain.most["pool"] <= 5


async def test_proposals_at_once_share_one_limit(servers: list[World]) -> None:
    """Of many proposals of Pending in the same instant, as many are accepted as there are slots."""
    [world, _] = servers
    await world.pool(concurrency_limit=3)
    runs = await world.runs(await world.deploy(), 40)
    async with asyncio.timeout(WITHIN):
        proposals = (servers[number % 2].propose(run, "PENDING") for number, run in enumerate(runs))
        results = await asyncio.gather(*proposals)
    assert Counter(result.status for result in results) == {"ACCEPT": 3, "REJECT": 37}
    assert await world.slots() == 3


async def test_one_run_has_one_winner(servers: list[World]) -> None:
    """Claims and proposals of Pending for the same run at once: one of them gets it."""
    [world, other] = servers
    await world.pool()
    it = await world.deploy()
    for _ in range(10):
        run = await world.run(it)
        async with asyncio.timeout(WITHIN):
            claimed, proposed = await asyncio.gather(
                asyncio.gather(*(server.granted(worker=f"w{number}") for number, server in enumerate(servers * 4))),
                asyncio.gather(*(server.propose(run, "PENDING") for server in (world, other) * 4)),
            )
        wins = sum(len(each) for each in claimed) + sum(result.status == "ACCEPT" for result in proposed)
        assert wins == 1
        assert await world.history(run) == ["Scheduled", "Pending"]


async def test_the_world_may_change_meanwhile(servers: list[World]) -> None:
    """Pauses, limits, renames and redeployments while workers drain: no deadlock, no error, no run lost."""
    [world, _] = servers
    await world.pool()
    queue = await world.queue("q")
    deployed = [await world.deploy(f"d{number}", work_queue_name="q") for number in range(3)]
    for it in deployed:
        await world.runs(it, 25)
    drain = Drain(servers, 75)

    async def change() -> None:
        number = 0
        while drain.finished < drain.total:
            number += 1
            it, server = deployed[number % 3], servers[number % 2]
            await work_queues.update(
                server.scope, queue.id, WorkQueueUpdate(is_paused=number % 4 == 0, priority=number % 3 + 1)
            )
            await deployments.update(
                server.scope, it.id, DeploymentUpdate(paused=number % 5 == 0, concurrency_limit=number % 4 + 1)
            )
            await deployments.update(
                server.scope, it.id, DeploymentUpdate(work_pool_name="local", work_queue_name=("q", "r")[number % 2])
            )
            await server.change_pool(concurrency_limit=number % 7 + 1, is_paused=number % 6 == 0)
            await work_pools.get(server.scope, "local")
        for it in deployed:
            await deployments.update(world.scope, it.id, DeploymentUpdate(paused=False))

    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        group.create_task(change())
        for number in range(8):
            group.create_task(drain.work(number))
    assert set(drain.granted.values()) == {1}
    assert len(drain.granted) == 75
