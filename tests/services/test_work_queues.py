"""Work queues: unique names and priorities in a pool, changed field by field, deleted into the default queue."""

import asyncio

import pytest
from world import World, ids

from headgate.errors import Conflict, Invalid, NotFound
from headgate.schema.filters import QueueNameFilter, WorkQueueFilter, WorkQueueQuery
from headgate.schema.work_queues import ReadyStatus, WorkQueueUpdate
from headgate.services import deployments, work_queues
from headgate.services.loops import late


async def ranks(world: World, pool: str = "local") -> dict[str, int]:
    """The priorities of a pool's queues, by name."""
    return {
        queue.name: queue.priority for queue in await work_queues.list_page(world.scope, WorkQueueQuery(), pool_name=pool)
    }


async def test_a_new_queue_takes_the_first_free_priority(world: World) -> None:
    await world.pool()
    for name in ("a", "b"):
        await world.queue(name)
    assert await ranks(world) == {"default": 1, "a": 2, "b": 3}
    a = await work_queues.get_by_name(world.scope, "local", "a")
    await work_queues.delete(world.scope, a.id)
    assert (await world.queue("c")).priority == 2


async def test_a_taken_priority_moves_the_others_down(world: World) -> None:
    """As far as needed: a gap ends the push, and other pools are not touched."""
    await world.pool()
    await world.pool("other")
    for name, priority in (("a", 2), ("b", 3), ("far", 9)):
        await world.queue(name, priority=priority)
    assert (await world.queue("first", priority=1)).priority == 1
    assert await ranks(world) == {"first": 1, "default": 2, "a": 3, "b": 4, "far": 9}
    assert await ranks(world, "other") == {"default": 1}


async def test_a_changed_priority_keeps_all_unique(world: World) -> None:
    await world.pool()
    for name in ("a", "b", "c"):
        await world.queue(name)
    b = await work_queues.get_by_name(world.scope, "local", "b")
    await work_queues.update(world.scope, b.id, WorkQueueUpdate(priority=1))
    assert await ranks(world) == {"b": 1, "default": 2, "a": 3, "c": 4}
    await work_queues.update(world.scope, b.id, WorkQueueUpdate(priority=1))
    await work_queues.update(world.scope, b.id, WorkQueueUpdate(priority=None))
    assert await ranks(world) == {"b": 1, "default": 2, "a": 3, "c": 4}


async def test_priorities_stay_unique_under_concurrent_changes(world: World, neighbour: World) -> None:
    """Queues made and ranked by two servers at once."""
    await world.pool()
    await asyncio.gather(*((world, neighbour)[n % 2].queue(f"q{n}", priority=1 + n % 3) for n in range(12)))
    found = await work_queues.list_page(world.scope, WorkQueueQuery(), pool_name="local")
    await asyncio.gather(
        *(
            work_queues.update((world, neighbour)[n % 2].scope, queue.id, WorkQueueUpdate(priority=1 + n % 4))
            for n, queue in enumerate(found)
        )
    )
    taken = list((await ranks(world)).values())
    assert len(set(taken)) == len(taken) == 13


async def test_concurrent_changes_of_different_fields_are_all_kept(world: World, neighbour: World) -> None:
    """An update writes what it names over what is there, and not over what it once read."""
    await world.pool()
    queue = await world.queue("q")
    for n in range(1, 9):
        await asyncio.gather(
            work_queues.update(world.scope, queue.id, WorkQueueUpdate(description=f"n{n}")),
            work_queues.update(neighbour.scope, queue.id, WorkQueueUpdate(concurrency_limit=n)),
            work_queues.update(neighbour.scope, queue.id, WorkQueueUpdate(priority=n)),
        )
        found = await work_queues.get(world.scope, queue.id)
        assert (found.description, found.concurrency_limit, found.priority) == (f"n{n}", n, n)


async def test_a_name_is_taken_once_in_a_pool(world: World) -> None:
    await world.pool()
    await world.pool("other")
    queue = await world.queue("q")
    with pytest.raises(Conflict, match="'q' already exists in pool 'local'"):
        await world.queue("q")
    assert (await world.queue("q", "other")).work_pool_name == "other"
    await world.queue("r")
    with pytest.raises(Conflict, match="'r' already exists"):
        await work_queues.update(world.scope, queue.id, WorkQueueUpdate(name="r"))
    await work_queues.update(world.scope, queue.id, WorkQueueUpdate(name="q"))
    await work_queues.update(world.scope, queue.id, WorkQueueUpdate(name="s"))
    assert (await work_queues.get_by_name(world.scope, "local", "s")).id == queue.id


async def test_a_renamed_queue_keeps_its_deployments(world: World) -> None:
    await world.pool()
    queue = await world.queue("q")
    deployment = await world.deploy(work_queue_name="q")
    run = await world.run(deployment)
    await work_queues.update(world.scope, queue.id, WorkQueueUpdate(name="renamed"))
    assert (await deployments.get(world.scope, deployment.id)).work_queue_name == "renamed"
    assert await world.granted(queues=["renamed"]) == [run.id]


async def test_an_update_changes_what_it_names(world: World) -> None:
    """What is left out stays; an explicit null clears."""
    await world.pool()
    queue = await world.queue("q", description="old", concurrency_limit=3)
    await work_queues.update(world.scope, queue.id, WorkQueueUpdate(is_paused=True))
    found = await work_queues.get(world.scope, queue.id)
    assert (found.description, found.concurrency_limit, found.status) == ("old", 3, ReadyStatus.PAUSED)
    await work_queues.update(
        world.scope, queue.id, WorkQueueUpdate(description=None, concurrency_limit=None, is_paused=False)
    )
    found = await work_queues.get(world.scope, queue.id)
    assert (found.description, found.concurrency_limit, found.is_paused) == (None, None, False)


async def test_the_default_queue_stays(world: World) -> None:
    """It cannot be deleted, so that a pool always has a lane; it may be ranked, paused and limited."""
    pool = await world.pool()
    with pytest.raises(Invalid, match="'default' is the default queue of pool 'local'"):
        await work_queues.delete(world.scope, pool.default_queue_id)
    await world.queue("q")
    await work_queues.update(world.scope, pool.default_queue_id, WorkQueueUpdate(priority=2, is_paused=True))
    assert await ranks(world) == {"default": 2, "q": 3}


async def test_the_default_queue_by_another_name(world: World) -> None:
    """It is the default one still: for deployments that name no queue, and for what a deleted queue leaves."""
    pool = await world.pool()
    await work_queues.update(world.scope, pool.default_queue_id, WorkQueueUpdate(name="main"))
    assert (await world.deploy()).work_queue_name == "main"
    queue = await world.queue("q")
    await world.deploy("other", work_queue_name="q")
    await work_queues.delete(world.scope, queue.id)
    with pytest.raises(Invalid, match="'main' is the default queue of pool 'local'"):
        await work_queues.delete(world.scope, pool.default_queue_id)
    assert await ranks(world) == {"main": 1}


async def test_a_deleted_queue_leaves_all_to_the_default(world: World) -> None:
    """Its deployments and waiting runs, and those under way, which may have to wait again."""
    await world.pool()
    queue = await world.queue("q")
    deployment = await world.deploy(work_queue_name="q")
    claimed, waiting = await world.runs(deployment, 2)
    (grant,) = await world.grants(1)
    await work_queues.delete(world.scope, queue.id)
    assert (await deployments.get(world.scope, deployment.id)).work_queue_name == "default"
    assert await world.granted() == ids(run for run in (claimed, waiting) if run.id != grant.flow_run.id)
    await world.give_back(grant)
    assert await world.granted() == [grant.flow_run.id]
    with pytest.raises(NotFound, match="Work Queue not found"):
        await work_queues.get(world.scope, queue.id)


async def test_a_final_run_of_a_deleted_queue_may_be_retried(world: World) -> None:
    """It waits where its deployment's runs wait now."""
    await world.pool()
    queue = await world.queue("q")
    await world.run(await world.deploy(work_queue_name="q"))
    (grant,) = await world.grants()
    await world.accepted(grant, "RUNNING", "FAILED")
    await work_queues.delete(world.scope, queue.id)
    await world.accepted(grant.flow_run, "SCHEDULED")
    assert await world.granted() == [grant.flow_run.id]


async def test_an_unknown_queue_is_named(world: World, some_id: object) -> None:
    await world.pool()
    with pytest.raises(NotFound, match="'local/none' not found"):
        await work_queues.get_by_name(world.scope, "local", "none")
    with pytest.raises(NotFound, match='"nowhere"'):
        await world.queue("q", "nowhere")
    with pytest.raises(NotFound, match='"nowhere"'):
        await work_queues.list_page(world.scope, WorkQueueQuery(), pool_name="nowhere")
    for act in (work_queues.get, work_queues.delete, work_queues.status):
        with pytest.raises(NotFound):
            await act(world.scope, some_id)  # type: ignore[operator]
    with pytest.raises(NotFound):
        await work_queues.update(world.scope, some_id, WorkQueueUpdate(is_paused=True))  # type: ignore[arg-type]


async def test_pages_of_queues(world: World) -> None:
    """In one pool or in all, by pool and priority."""
    await world.pool()
    await world.pool("another")
    await world.queue("fast", priority=1)
    query = WorkQueueQuery(work_queues=WorkQueueFilter(name=QueueNameFilter(startswith_=["def"])))
    found = await work_queues.list_page(world.scope, query)
    assert [(queue.work_pool_name, queue.name) for queue in found] == [("another", "default"), ("local", "default")]
    assert await work_queues.count(world.scope, query) == 2
    assert await work_queues.count(world.scope, query, pool_name="local") == 1
    assert await ranks(world) == {"fast": 1, "default": 2}


async def test_a_queue_is_healthy_while_it_is_polled_and_nothing_is_late(world: World) -> None:
    pool = await world.pool()
    status = await work_queues.status(world.scope, pool.default_queue_id)
    assert (status.healthy, status.last_polled) == (False, None)
    await world.claim()
    status = await work_queues.status(world.scope, pool.default_queue_id)
    assert (status.healthy, status.last_polled, status.late_runs_count) == (True, world.now, 0)
    await world.run(await world.deploy(), due=-60)
    await late.tick(world.scope)
    status = await work_queues.status(world.scope, pool.default_queue_id)
    assert (status.healthy, status.late_runs_count) == (False, 1)
    await world.claim()
    world.clock.advance(seconds=61)
    assert (await work_queues.status(world.scope, pool.default_queue_id)).healthy is False
