"""The examples of the documents that describe the domain: what is released, by priority and under limits."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from world import World, ids

from headgate.schema.deployments import Deployment
from headgate.schema.filters import WorkQueueQuery
from headgate.services import work_queues
from headgate.store.database import Database

CLAIMERS = 32
WITHIN = 60.0
PAUSE = 0.005

QUEUES: dict[str, dict[str, Any]] = {
    "low": {"priority": 10},
    "high": {"priority": 5, "concurrency_limit": 3},
    "critical": {"priority": 1, "concurrency_limit": 1},
}


async def three_queues(world: World, **pool: Any) -> dict[str, Deployment]:
    """A pool with the documents' three queues, and a deployment in each, by the queue's name."""
    await world.pool(**pool)
    for name, fields in QUEUES.items():
        await world.queue(name, **fields)
    return {name: await world.deploy(name, work_queue_name=name) for name in QUEUES}


async def test_a_queue_that_a_deployment_names_is_made(world: World) -> None:
    """When it is made, and when it is changed."""
    await world.pool()
    it = await world.deploy(work_queue_name="first")
    await world.change_deployment(it, work_queue_name="second")
    found = await work_queues.list_page(world.scope, WorkQueueQuery(), pool_name="local")
    assert [queue.name for queue in found] == ["default", "first", "second"]


async def test_a_run_may_be_claimed_a_month_ahead(world: World) -> None:
    month = 30 * 86_400
    await world.pool()
    it = await world.deploy()
    run = await world.run(it, due=month)
    await world.run(it, due=month + 1)
    assert await world.granted(prefetch_seconds=month) == [run.id]


async def test_five_slots_with_three_taken_release_two(world: World) -> None:
    """Running and Pending count alike; to those that poll as to those that claim; and none is left when five are taken."""
    await world.pool(concurrency_limit=5)
    runs = await world.runs(await world.deploy(), 20)
    first, second, _ = await world.grants(3)
    await world.accepted(first, "RUNNING")
    await world.accepted(second, "RUNNING")
    assert [each.flow_run.id for each in await world.poll()] == ids(runs[3:5])
    assert await world.granted() == ids(runs[3:5])
    assert await world.poll() == []
    assert await world.granted() == []
    await world.accepted(first, "COMPLETED")
    assert await world.granted() == [runs[5].id]


async def test_three_queues_critical_high_and_low(world: World) -> None:
    """The urgent lane goes first and one at a time, the high level three at a time, the low level takes what is left."""
    at = await three_queues(world, concurrency_limit=6)
    low, high, critical = [await world.runs(at[name], 5) for name in ("low", "high", "critical")]
    grants = await world.grants()
    assert ids(grant.flow_run for grant in grants) == ids([critical[0], *high[:3], *low[:2]])
    assert await world.granted() == []
    for done, following in ((grants[5], low[2]), (grants[1], high[3]), (grants[0], critical[1])):
        await world.accepted(done, "RUNNING", "COMPLETED")
        assert await world.granted() == [following.id]


async def test_urgent_work_goes_first_although_it_comes_last(world: World) -> None:
    """A backfill in the critical queue takes the next free slot of the pool, before all that has waited for longer."""
    at = await three_queues(world, concurrency_limit=2)
    waiting = await world.runs(at["low"], 4, due=-600)
    regular = await world.run(at["high"], due=-300)
    urgent = await world.run(at["critical"])
    assert await world.granted() == [urgent.id, regular.id]
    assert await world.slots() == 2
    await world.change_pool(concurrency_limit=None)
    assert await world.granted() == ids(waiting)


async def test_priority_1_goes_first_however_many_queues_there_are(world: World) -> None:
    """New queues leave those before them where they are."""
    at = await three_queues(world)
    for number in range(20):
        await world.queue(f"q{number}", **({"priority": 5 + number} if number % 2 else {}))
        await world.run(await world.deploy(f"d{number}", work_queue_name=f"q{number}"), due=-600)
    urgent = await world.run(at["critical"])
    queues = await work_queues.list_page(world.scope, WorkQueueQuery(), pool_name="local")
    assert (queues[0].name, queues[0].priority) == ("critical", 1)
    assert sorted(queue.priority for queue in queues) == sorted({queue.priority for queue in queues})
    assert (await world.granted())[0] == urgent.id


@pytest.mark.parametrize("full", ["queue", "deployment"])
@pytest.mark.parametrize("taken", [False, True])
async def test_500_blocked_runs_delay_no_other_queue(world: World, full: str, taken: bool) -> None:
    """They are due earlier, in a better queue or of better runs, and one claim passes them all."""
    limit = {"concurrency_limit": 1 if taken else 0}
    await world.pool()
    await world.queue("first", priority=1, **(limit if full == "queue" else {}))
    narrow = await world.deploy("narrow", work_queue_name="first", **(limit if full == "deployment" else {}))
    blocked = await world.runs(narrow, 501 if taken else 500, due=-600, priority=9)
    if taken:
        assert await world.granted(1) == [blocked[0].id]
    free = await world.runs(await world.deploy("wide"), 2)
    assert await world.granted(10) == ids(free)


async def test_the_three_queues_under_32_pollers(
    world: World, database_url: str, open_url: Callable[[str], Awaitable[Database]]
) -> None:
    """Over two servers: no limit is passed at any instant, every run is granted once, and none is left."""
    servers = [world, world.beside(await open_url(database_url))]
    at = await three_queues(world, concurrency_limit=5)
    runs = {run.id for name in QUEUES for run in await world.runs(at[name], 30)}
    queues = {
        queue.name: queue.id for queue in await work_queues.list_page(world.scope, WorkQueueQuery(), pool_name="local")
    }
    granted: Counter[Any] = Counter()
    most: Counter[str] = Counter()
    finished = 0

    async def work(number: int) -> None:
        nonlocal finished
        server = servers[number % 2]
        while finished < len(runs):
            grants = await server.grants(1 + number % 3, worker=f"w{number}")
            if not grants:
                await asyncio.sleep(PAUSE)
            for grant in grants:
                granted[grant.flow_run.id] += 1
                await server.accepted(grant, "RUNNING", "COMPLETED")
                finished += 1

    async def watch() -> None:
        while finished < len(runs):
            most["pool"] = max(most["pool"], await world.slots())
            for name in ("high", "critical"):
                most[name] = max(most[name], await world.slots(work_queue_id=queues[name]))
            await asyncio.sleep(PAUSE)

    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        group.create_task(watch())
        for number in range(CLAIMERS):
            group.create_task(work(number))
    assert granted == dict.fromkeys(runs, 1)
    assert most["pool"] <= 5
    assert most["high"] <= 3
    assert most["critical"] <= 1
    assert await world.slots() == 0
