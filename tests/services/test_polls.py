"""The poll of existing clients: it shows what could start now, by the same decision as a claim, and takes nothing."""

from datetime import timedelta

import pytest
from world import World, ids

from headgate.errors import NotFound
from headgate.schema.deployments import Deployment, GetScheduledRuns
from headgate.schema.flow_runs import FlowRun, FlowRunPolicy
from headgate.schema.work_pools import WorkerFlowRun
from headgate.services import deployments, work_queues


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
    assert ids(await deployments.get_scheduled(world.scope, asked)) == [early.id, late.id]
    asked = GetScheduledRuns(deployment_ids=[mine.id], scheduled_before=world.now - timedelta(seconds=2), limit=5)
    assert ids(await deployments.get_scheduled(world.scope, asked)) == [early.id]
    assert (await deployments.get(world.scope, mine.id)).last_polled == world.now
    assert (await deployments.get(world.scope, other.id)).last_polled is None
    assert await deployments.get_scheduled(world.scope, GetScheduledRuns()) == []


async def test_a_paused_deployment_is_not_served(world: World) -> None:
    """Nor do its runs take the places of the others'."""
    paused, other = await world.deploy("paused", work_pool_name=None), await world.deploy("other", work_pool_name=None)
    await world.runs(paused, 5, due=-9)
    run = await world.run(other)
    await deployments.pause(world.scope, paused.id, paused=True)
    asked = GetScheduledRuns(deployment_ids=[paused.id, other.id], limit=3)
    assert ids(await deployments.get_scheduled(world.scope, asked)) == [run.id]


async def test_a_retry_in_place_is_not_served_again(world: World) -> None:
    """A run that waits for its retry in its own process is not offered to the one that serves."""
    it = await world.deploy(work_pool_name=None)
    run = await world.run(it, empirical_policy=FlowRunPolicy(retries=1))
    result = await world.propose(run, "PENDING", take_lease=True)
    for kind in ("RUNNING", "FAILED"):
        await world.propose(run, kind, fence=result.fence)
    assert (await world.get(run)).state_name == "AwaitingRetry"
    assert await deployments.get_scheduled(world.scope, GetScheduledRuns(deployment_ids=[it.id])) == []
