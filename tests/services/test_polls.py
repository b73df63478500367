"""The poll of existing clients: it shows what could start now, by the same decision as a claim, and takes nothing."""

import asyncio
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from world import World, ids

from headgate.errors import Conflict, NotFound
from headgate.schema.deployments import Deployment, GetScheduledRuns
from headgate.schema.filters import WorkQueueQuery
from headgate.schema.flow_runs import FlowRun, FlowRunPolicy
from headgate.schema.work_pools import WorkerFlowRun
from headgate.schema.work_queues import GetQueueRuns, ReadyStatus, WorkQueue, WorkQueueUpdate
from headgate.services import deployments, polls, work_pools, work_queues
from headgate.store import flow_runs as run_rows
from headgate.store import work_pools as pool_rows
from headgate.store.database import Tx

POOL = "default-agent-pool"


def shown(answer: list[WorkerFlowRun]) -> list[FlowRun]:
    return [each.flow_run for each in answer]


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


async def test_a_poll_takes_nothing(world: World, it: Deployment) -> None:
    """It shows the same runs until somebody moves them, whole as the API shows them."""
    run = await world.run(it)
    for _ in range(2):
        [each] = await world.poll()
        assert each.flow_run == await world.get(run)
        assert (each.work_pool_id, each.work_queue_id) == (it.work_pool_id, it.work_queue_id)
    await world.accepted(run, "PENDING")
    assert await world.poll() == []


async def test_a_poll_waits_for_nobody(world: World, it: Deployment, neighbour: World) -> None:
    """Another server decides about the same pool, and takes its time."""
    run = await world.run(it)
    await world.poll()
    locked, go_on = threading.Event(), threading.Event()

    async def decide(tx: Tx) -> None:
        assert await pool_rows.lock(tx, "local")
        assert await run_rows.lock(tx, [run.id])
        await tx.execute("UPDATE work_pool SET updated = updated")
        locked.set()
        if tx.dialect == "sqlite":
            go_on.wait(20)  # on the thread of that server's writer
        else:
            await asyncio.to_thread(go_on.wait, 20)

    deciding = asyncio.create_task(neighbour.scope.store.write(decide))
    await asyncio.to_thread(locked.wait, 20)
    try:
        async with asyncio.timeout(10):
            assert [each.flow_run.id for each in await world.poll()] == [run.id]
            assert it.work_queue_id
            found = await polls.poll_queue(world.scope, it.work_queue_id, GetQueueRuns())
            assert [each.id for each in found] == [run.id]
        assert not deciding.done()
    finally:
        go_on.set()
        await deciding


async def test_the_order_is_that_of_claims(world: World, it: Deployment) -> None:
    await world.queue("second")
    other = await world.deploy("other", work_queue_name="second")
    last = await world.run(other, due=-90)
    runs = [await world.run(it, due=due, priority=priority) for due, priority in ((-1, 0), (-5, 0), (-1, 5))]
    assert ids(shown(await world.poll())) == [runs[2].id, runs[1].id, runs[0].id, last.id]
    assert ids(shown(await world.poll(limit=2))) == [runs[2].id, runs[1].id]
    assert await world.poll(limit=0) == []


async def test_only_what_is_due(world: World, it: Deployment) -> None:
    """Until the time that is asked for; without one, everything that waits. `scheduled_after` leaves out what is earlier."""
    early, soon, later = [await world.run(it, due=due) for due in (-10, 10, 86_400)]
    until = world.now + timedelta(seconds=10)
    assert ids(shown(await world.poll(scheduled_before=until))) == [early.id, soon.id]
    assert ids(shown(await world.poll())) == [early.id, soon.id, later.id]
    assert ids(shown(await world.poll(scheduled_after=world.now))) == [soon.id, later.id]


async def test_earlier_runs_do_not_hide_those_after_a_time(world: World, it: Deployment) -> None:
    """What `scheduled_after` leaves out takes no place in the answer."""
    await world.runs(it, 5, due=-10)
    wanted = await world.run(it, due=-1)
    after = world.now - timedelta(seconds=5)
    assert ids(shown(await world.poll(limit=3, scheduled_after=after))) == [wanted.id]


async def test_no_more_than_the_free_slots(world: World, it: Deployment) -> None:
    """A limit of two with one run under way shows one."""
    await world.change_pool(concurrency_limit=2)
    runs = await world.runs(it, 4)
    assert ids(shown(await world.poll())) == ids(runs[:2])
    await world.accepted(runs[0], "PENDING")
    assert ids(shown(await world.poll())) == [runs[1].id]


async def test_nothing_while_paused(world: World, it: Deployment) -> None:
    await world.run(it)
    await world.change_pool(is_paused=True)
    assert await world.poll() == []
    await world.change_pool(is_paused=False)
    await deployments.pause(world.scope, it.id, paused=True)
    assert await world.poll() == []


async def test_queues_by_name(world: World, it: Deployment) -> None:
    """The named ones alone; one that does not exist is named, and none is made."""
    await world.queue("q")
    of_q = await world.run(await world.deploy("d", work_queue_name="q"))
    of_default = await world.run(it)
    assert ids(shown(await world.poll(work_queue_names=["q"]))) == [of_q.id]
    assert ids(shown(await world.poll(work_queue_names=[]))) == [of_default.id, of_q.id]
    with pytest.raises(NotFound, match="Work pool queue 'local/nosuch' not found"):
        await world.poll(work_queue_names=["q", "nosuch"])
    with pytest.raises(NotFound, match='Work pool "nowhere" not found'):
        await world.poll("nowhere")
    with pytest.raises(NotFound):
        await work_queues.get_by_name(world.scope, "local", "nosuch")


async def test_a_poll_is_a_sign_of_life(world: World, it: Deployment) -> None:
    await world.poll()
    assert it.work_queue_id
    assert (await work_queues.get(world.scope, it.work_queue_id)).last_polled == world.now
    assert (await deployments.get(world.scope, it.id)).status == "READY"


async def test_runs_that_an_engine_holds_are_not_shown(world: World, it: Deployment) -> None:
    """One that waits for its retry in its own process is nobody else's."""
    await world.run(it, empirical_policy=FlowRunPolicy(retries=1))
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    await world.propose(grant, "FAILED")
    assert await world.poll() == []


# --- deployments that are served by their own process


async def test_a_serving_process_is_shown_its_own_runs(world: World) -> None:
    """Of its deployments, due by the time that it asks for, the earliest first; and they count as polled."""
    mine, other = await world.deploy("mine", work_pool_name=None), await world.deploy("other", work_pool_name=None)
    late, early = await world.run(mine, due=-1), await world.run(mine, due=-5)
    await world.run(mine, due=60)
    await world.run(other)
    asked = GetScheduledRuns(deployment_ids=[mine.id])
    assert ids(await polls.poll_deployments(world.scope, asked)) == [early.id, late.id]
    asked = GetScheduledRuns(deployment_ids=[mine.id], scheduled_before=world.now - timedelta(seconds=2), limit=5)
    assert ids(await polls.poll_deployments(world.scope, asked)) == [early.id]
    assert (await deployments.get(world.scope, mine.id)).last_polled == world.now
    assert (await deployments.get(world.scope, other.id)).last_polled is None
    assert await polls.poll_deployments(world.scope, GetScheduledRuns(deployment_ids=[])) == []


async def test_a_paused_deployment_is_not_served(world: World) -> None:
    """Nor do its runs take the places of the others'."""
    paused, other = await world.deploy("paused", work_pool_name=None), await world.deploy("other", work_pool_name=None)
    await world.runs(paused, 5, due=-9)
    run = await world.run(other)
    await deployments.pause(world.scope, paused.id, paused=True)
    asked = GetScheduledRuns(deployment_ids=[paused.id, other.id], limit=3)
    assert ids(await polls.poll_deployments(world.scope, asked)) == [run.id]


async def test_a_retry_in_place_is_not_served_again(world: World) -> None:
    """A run that waits for its retry in its own process is not offered to the one that serves."""
    it = await world.deploy(work_pool_name=None)
    run = await world.run(it, empirical_policy=FlowRunPolicy(retries=1))
    result = await world.propose(run, "PENDING", take_lease=True)
    for kind in ("RUNNING", "FAILED"):
        await world.propose(run, kind, fence=result.fence)
    assert (await world.get(run)).state_name == "AwaitingRetry"
    assert await polls.poll_deployments(world.scope, GetScheduledRuns(deployment_ids=[it.id])) == []


# --- one queue, as agents ask for it


async def of_queue(world: World, id: UUID, **fields: Any) -> list[UUID]:
    return ids(await polls.poll_queue(world.scope, id, GetQueueRuns(**fields)))


async def test_a_queues_poll_shows_its_runs_alone_and_takes_nothing(world: World, it: Deployment) -> None:
    await world.queue("second")
    other = await world.deploy("other", work_queue_name="second")
    run, second = await world.run(it), await world.run(other)
    assert it.work_queue_id
    assert other.work_queue_id
    for _ in range(2):
        assert await of_queue(world, it.work_queue_id) == [run.id]
        assert await of_queue(world, other.work_queue_id) == [second.id]
    [shown] = await polls.poll_queue(world.scope, it.work_queue_id, GetQueueRuns())
    assert shown == await world.get(run)


async def test_a_queues_poll_ends_at_a_time_and_at_a_number(world: World, it: Deployment) -> None:
    early, soon, later = [await world.run(it, due=due) for due in (-10, 10, 86_400)]
    assert it.work_queue_id
    until = world.now + timedelta(seconds=10)
    assert await of_queue(world, it.work_queue_id, scheduled_before=until) == [early.id, soon.id]
    assert await of_queue(world, it.work_queue_id) == [early.id, soon.id, later.id]
    assert await of_queue(world, it.work_queue_id, limit=1) == [early.id]
    assert await of_queue(world, it.work_queue_id, limit=0) == []


async def test_a_queues_poll_is_held_back_by_its_pool(world: World, it: Deployment) -> None:
    """By the pool's limit and pause as by its own: it is the decision of a claim."""
    await world.change_pool(concurrency_limit=1)
    runs = await world.runs(it, 3)
    assert it.work_queue_id
    assert len(await of_queue(world, it.work_queue_id)) == 1
    await world.change_pool(concurrency_limit=None, is_paused=True)
    assert await of_queue(world, it.work_queue_id) == []
    await world.change_pool(is_paused=False)
    await work_queues.update(world.scope, it.work_queue_id, WorkQueueUpdate(concurrency_limit=2))
    assert len(await of_queue(world, it.work_queue_id)) == 2
    await work_queues.update(world.scope, it.work_queue_id, WorkQueueUpdate(is_paused=True))
    assert await of_queue(world, it.work_queue_id) == []
    await work_queues.update(world.scope, it.work_queue_id, WorkQueueUpdate(is_paused=False, concurrency_limit=None))
    assert set(await of_queue(world, it.work_queue_id)) == set(ids(runs))


async def test_a_queues_poll_notes_that_it_polled(world: World, it: Deployment, some_id: UUID) -> None:
    second = await world.queue("second")
    await of_queue(world, second.id, agent_id=some_id)
    found = await work_queues.get(world.scope, second.id)
    assert (found.last_polled, found.status) == (world.now, ReadyStatus.READY)
    assert (await work_queues.get_by_name(world.scope, "local", "default")).last_polled is None


async def test_a_queue_that_is_not_there_cannot_be_polled(world: World, some_id: UUID) -> None:
    with pytest.raises(NotFound, match="Work Queue not found"):
        await of_queue(world, some_id)


# --- queues that are named without a pool


async def test_a_queue_without_a_pool_is_made_in_the_default_one(world: World) -> None:
    """Which is made with the first of them, for agents."""
    queue = await world.queue_of_agents("urgent", concurrency_limit=2)
    assert (queue.work_pool_name, queue.name, queue.priority, queue.concurrency_limit) == (POOL, "urgent", 2, 2)
    assert (await work_pools.get(world.scope, POOL)).type == "prefect-agent"
    assert (await world.queue_of_agents("low")).priority == 3
    with pytest.raises(Conflict, match="'urgent' already exists in pool 'default-agent-pool'"):
        await world.queue_of_agents("urgent")


async def test_the_queue_that_comes_with_the_pool_may_be_the_one_that_is_asked_for(world: World) -> None:
    queue = await world.queue_of_agents("default", concurrency_limit=0, priority=4, is_paused=True, description=None)
    assert queue == await work_queues.get_by_name(world.scope, POOL, "default")
    assert (queue.concurrency_limit, queue.priority, queue.is_paused) == (0, 4, True)
    assert queue.description == "The work pool's default queue."
    assert queue.id == (await work_pools.get(world.scope, POOL)).default_queue_id
    with pytest.raises(Conflict):
        await world.queue_of_agents("default")


async def test_agents_that_name_queues_at_once_find_one_pool(world: World, neighbour: World) -> None:
    made = await asyncio.gather(
        *(each.queue_of_agents(f"{number}") for number in range(4) for each in (world, neighbour)), return_exceptions=True
    )
    queues = [each for each in made if isinstance(each, WorkQueue)]
    assert sorted(queue.name for queue in queues) == ["0", "1", "2", "3"]
    assert {queue.work_pool_name for queue in queues} == {POOL}
    assert all(isinstance(each, WorkQueue | Conflict) for each in made)
    ranks = [queue.priority for queue in await work_queues.list_page(world.scope, WorkQueueQuery(), pool_name=POOL)]
    assert ranks == [1, 2, 3, 4, 5]
