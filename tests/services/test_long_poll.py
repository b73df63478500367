"""Claims that wait: they wake as soon as something can start, and wait for nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from world import World, ids, settled

from headgate.clock import monotonic
from headgate.schema.claims import ClaimResponse
from headgate.schema.deployments import Deployment, DeploymentUpdate
from headgate.schema.flow_runs import FlowRunUpdate
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import claims, deployments, flow_runs, flows, work_queues
from headgate.store import flow_runs as rows
from headgate.store.database import Tx

AT_ONCE = 0.7
"""Seconds within which a woken claim answers: well below those after which it looks again unasked."""


@pytest.fixture(autouse=True)
def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that nothing wakes does not look again while a test waits for it."""
    monkeypatch.setattr(claims, "TRUTH_SECONDS", 60.0)


async def waiting(world: World, **fields: object) -> asyncio.Task[ClaimResponse]:
    """A claim that has looked, found nothing and waits."""
    task = world.waiting_claim(**fields)
    async with asyncio.timeout(10):
        while not world.scope.wakeups._waiters:
            await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    await settled()
    assert not task.done()
    return task


async def answer(task: asyncio.Task[ClaimResponse]) -> ClaimResponse:
    async with asyncio.timeout(AT_ONCE):
        return await task


@asynccontextmanager
async def woken(world: World, *expected: object, **fields: object) -> AsyncIterator[None]:
    """What happens inside has a claim that waits answer at once, with these runs if they are given."""
    task = await waiting(world, **fields)
    yield
    granted = ids(grant.flow_run for grant in (await answer(task)).grants)
    assert granted
    assert not expected or granted == [*expected]


@pytest.fixture
async def it(world: World) -> Deployment:
    await world.pool()
    return await world.deploy()


async def test_a_claim_that_finds_work_does_not_wait(world: World, it: Deployment) -> None:
    run = await world.run(it)
    assert ids(grant.flow_run for grant in (await answer(world.waiting_claim())).grants) == [run.id]


async def test_woken_by_a_new_run(world: World, it: Deployment) -> None:
    async with woken(world):
        await world.run(it)


async def test_woken_when_a_run_falls_due(world: World, it: Deployment) -> None:
    """At its time, less the prefetch, and not before."""
    run = await world.run(it, due=10.2)
    task = await waiting(world, prefetch_seconds=10)
    world.clock.advance(seconds=0.2)
    assert ids(grant.flow_run for grant in (await answer(task)).grants) == [run.id]


async def test_a_run_that_is_created_later_may_fall_due_earlier(world: World, it: Deployment) -> None:
    """The next time to look is found anew whenever something changes."""
    await world.run(it, due=25)
    task = await waiting(world)
    sooner = await world.run(it, due=0.2)
    await settled()
    world.clock.advance(seconds=0.2)
    assert ids(grant.flow_run for grant in (await answer(task)).grants) == [sooner.id]


@pytest.mark.parametrize("end", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED", "SCHEDULED", "PAUSED"])
async def test_woken_when_a_slot_is_freed(world: World, it: Deployment, end: str) -> None:
    await world.change_pool(concurrency_limit=1)
    await world.runs(it, 2)
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    async with woken(world):
        await world.accepted(grant, end)


async def test_woken_when_a_claim_is_given_back(world: World, it: Deployment) -> None:
    run = await world.run(it)
    [grant] = await world.grants()
    async with woken(world, run.id):
        await world.give_back(grant)


async def test_woken_when_a_running_run_is_deleted(world: World, it: Deployment) -> None:
    await world.change_pool(concurrency_limit=1)
    _, second = await world.runs(it, 2)
    [grant] = await world.grants()
    async with woken(world, second.id):
        await flow_runs.delete(world.scope, grant.flow_run.id)


async def test_woken_when_a_flow_goes_with_its_runs(world: World, it: Deployment) -> None:
    await world.change_pool(concurrency_limit=1)
    other = await world.deploy("other", flow="other")
    await world.run(other)
    await world.grants()
    run = await world.run(it)
    async with woken(world, run.id):
        await flows.delete(world.scope, other.flow_id)


async def test_woken_by_a_raised_limit(world: World, it: Deployment) -> None:
    """Of the pool, of the queue, of the deployment."""
    await world.change_pool(concurrency_limit=0)
    assert it.work_queue_id
    runs = await world.runs(it, 3)
    async with woken(world, runs[0].id):
        await world.change_pool(concurrency_limit=10)
    await work_queues.update(world.scope, it.work_queue_id, WorkQueueUpdate(concurrency_limit=0))
    async with woken(world, runs[1].id):
        await work_queues.update(world.scope, it.work_queue_id, WorkQueueUpdate(concurrency_limit=None))
    await deployments.update(world.scope, it.id, DeploymentUpdate(concurrency_limit=0))
    async with woken(world, runs[2].id):
        await deployments.update(world.scope, it.id, DeploymentUpdate(concurrency_limit=9))


async def test_woken_by_a_resume(world: World, it: Deployment) -> None:
    """Of the pool, of the queue, of the deployment."""
    assert it.work_queue_id
    runs = await world.runs(it, 3)
    await world.change_pool(is_paused=True)
    async with woken(world, runs[0].id):
        await world.change_pool(is_paused=False)
    await work_queues.update(world.scope, it.work_queue_id, WorkQueueUpdate(is_paused=True))
    async with woken(world, runs[1].id):
        await work_queues.update(world.scope, it.work_queue_id, WorkQueueUpdate(is_paused=False))
    await deployments.pause(world.scope, it.id, paused=True)
    async with woken(world, runs[2].id):
        await deployments.pause(world.scope, it.id, paused=False)


async def test_woken_when_runs_move_to_the_queue(world: World, it: Deployment) -> None:
    """A deployment that is sent to another queue takes its waiting runs along."""
    await world.pool("other")
    elsewhere = await world.deploy("elsewhere", work_pool_name="other")
    run = await world.run(elsewhere)
    async with woken(world, run.id):
        await deployments.update(world.scope, elsewhere.id, DeploymentUpdate(work_pool_name="local"))
    assert it


async def test_woken_when_a_queue_goes(world: World, it: Deployment) -> None:
    """Its runs go to the default queue, which a worker may be waiting on."""
    queue = await world.queue("q")
    run = await world.run(await world.deploy("d", work_queue_name="q"))
    async with woken(world, run.id, queues=["default"]):
        await work_queues.delete(world.scope, queue.id)
    assert it


async def test_woken_by_a_cancellation(world: World, it: Deployment) -> None:
    """A worker that only listens learns at once that it has to stop a run."""
    await world.run(it)
    [grant] = await world.grants()
    await world.accepted(grant, "RUNNING")
    task = await waiting(world, room=0)
    await world.accepted(grant.flow_run, "CANCELLING")
    assert (await answer(task)).cancel == [grant.flow_run.id]


async def test_a_change_elsewhere_wakes_nobody(world: World, it: Deployment) -> None:
    await world.pool("other")
    elsewhere = await world.deploy("elsewhere", work_pool_name="other")
    task = await waiting(world)
    await world.run(elsewhere)
    await asyncio.sleep(0.05)
    assert not task.done()
    await world.run(it)
    assert len((await answer(task)).grants) == 1


async def test_one_run_wakes_all_and_goes_to_one(world: World, it: Deployment) -> None:
    """Those who come too late go on waiting."""
    tasks = [await waiting(world, worker=f"w{number}") for number in range(3)]
    await world.run(it)
    async with asyncio.timeout(AT_ONCE):
        done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await settled()
    assert (len(done), len(left)) == (1, 2)
    await world.runs(it, 2)
    assert all([len((await answer(task)).grants) == 1 for task in left])


async def test_work_that_comes_during_the_look_is_not_missed(world: World, it: Deployment) -> None:
    """A run whose creation commits between a claim's look and its wait is granted at once, every time."""
    for _ in range(50):
        task = world.waiting_claim()
        run = await world.run(it)
        assert ids(grant.flow_run for grant in (await answer(task)).grants) == [run.id]


async def test_whoever_hung_up_claims_nothing(world: World, it: Deployment) -> None:
    """The run is left for those who still listen."""
    hung_up = asyncio.Event()

    async def is_gone() -> bool:
        return hung_up.is_set()

    task = await waiting(world, scope=replace(world.scope, is_gone=is_gone))
    hung_up.set()
    run = await world.run(it)
    assert (await answer(task)).grants == []
    assert await world.granted() == [run.id]


async def test_a_cancelled_call_claims_nothing(world: World, it: Deployment) -> None:
    task = await waiting(world)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    run = await world.run(it)
    assert await world.granted() == [run.id]
    assert not world.scope.wakeups._waiters


async def test_a_stopping_server_answers_who_waits(world: World, it: Deployment) -> None:
    """And whoever comes after that is not kept waiting."""
    task = await waiting(world)
    world.scope.wakeups.close()
    assert (await answer(task)).grants == []
    began = monotonic()
    assert (await answer(world.waiting_claim())).grants == []
    assert monotonic() - began < AT_ONCE
    assert it


async def test_a_claim_waits_no_longer_than_asked(world: World, it: Deployment) -> None:
    """After `wait_seconds` the answer is empty."""
    task = await waiting(world, wait_seconds=0.3)
    world.clock.advance(seconds=0.3)
    assert (await answer(task)).grants == []
    assert it


async def test_another_server_is_heard_after_a_while(
    world: World,
    it: Deployment,
    database_url: str,
    open_url: Callable[[str], Awaitable[object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that another process created is found by the next look that nobody asked for."""
    monkeypatch.setattr(claims, "TRUTH_SECONDS", 0.2)
    other = world.beside(await open_url(database_url))  # type: ignore[arg-type]
    task = await waiting(world)
    run = await other.run(it)
    assert ids(grant.flow_run for grant in (await answer(task)).grants) == [run.id]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_change_of_a_run_does_not_hide_it(world: World, it: Deployment) -> None:
    """A claim that passed over a run because somebody was changing it looks again when that is done."""
    run = await world.run(it)
    locked, go_on = asyncio.Event(), asyncio.Event()

    async def unit(tx: Tx) -> None:
        await rows.lock(tx, [run.id])
        locked.set()
        await go_on.wait()

    change = asyncio.create_task(world.scope.store.write(unit))
    await locked.wait()
    task = await waiting(world)
    go_on.set()
    await change
    await flow_runs.update(world.scope, run.id, FlowRunUpdate(tags=["x"]))
    assert ids(grant.flow_run for grant in (await answer(task)).grants) == [run.id]
