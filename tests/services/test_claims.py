"""Claims: who starts, in which order, under which limits; what a grant carries."""

from datetime import timedelta, timezone
from typing import Any

import pytest
from msgspec import json
from world import World, cron, every, ids

from headgate.errors import Invalid, NotFound
from headgate.schema.deployments import ConcurrencyKey, DeploymentScheduleCreate, DeploymentUpdate, InfraRetries, Misfire
from headgate.schema.filters import WorkerQuery
from headgate.schema.states import StateType
from headgate.schema.work_queues import WorkQueueUpdate
from headgate.services import deployments, flow_runs, flows, work_queues, workers


async def test_a_runs_variables_go_over_its_deployments_in_env_name_by_name(world: World) -> None:
    await world.pool()
    it = await world.deploy(job_variables={"env": {"A": "1", "B": "1"}, "labels": {"x": "1"}, "name": "d"})
    await world.run(it, job_variables={"env": {"B": "2", "C": None}, "labels": {"y": "2"}})
    [grant] = await world.grants()
    assert grant.job_variables == {"env": {"A": "1", "B": "2", "C": None}, "labels": {"y": "2"}, "name": "d"}


async def test_a_grant_carries_all_that_it_takes_to_start(world: World) -> None:
    """Run, flow, deployment, queue, resolved variables, the pool's template, and a lease."""
    template = {"job_configuration": {"env": "{{ env }}"}, "variables": {"properties": {"env": {}, "name": {}}}}
    await world.pool(base_job_template=template)
    await world.queue("fast")
    it = await world.deploy(work_queue_name="fast", job_variables={"env": {"A": "1"}, "name": "x"}, parameters={"n": 1})
    run = await world.run(it, parameters={"m": 2}, job_variables={"name": "y"}, tags=["t"])
    response = await world.claim()
    [grant] = response.grants
    assert response.base_job_template == template
    assert not response.paused
    assert (grant.flow_run.id, grant.flow_run.parameters, grant.flow_run.tags) == (run.id, {"n": 1, "m": 2}, ["t"])
    assert grant.flow_run.state_type is StateType.PENDING
    assert grant.flow_run.state
    assert grant.flow_run.state.state_details.scheduled_time == world.now
    assert grant.flow.name == "etl"
    assert grant.deployment
    assert grant.deployment.id == it.id
    assert grant.work_queue_name == "fast"
    assert grant.job_variables == {"env": {"A": "1"}, "name": "y"}
    assert (grant.lease.fence, grant.lease.expires_at) == (1, world.now + timedelta(seconds=20))
    assert grant.flow_run.fence == 1


async def test_a_granted_run_is_as_it_is_read(world: World) -> None:
    """The first time, and when it comes again after it ran, failed and was given a restart's worth of history."""
    await world.pool()
    await world.run(await world.deploy(), due=-90.0, tags=["t"], labels={"a": {"b": 1}}, parameters={"n": 1})
    for _ in range(2):
        [grant] = await world.grants()
        assert grant.flow_run == await flow_runs.get(world.scope, grant.flow_run.id)
        assert grant.flow == await flows.get(world.scope, grant.flow.id)
        await world.accepted(grant, "RUNNING")
        world.clock.advance(seconds=7)
        await world.accepted(grant, "SCHEDULED")
        world.clock.advance(seconds=7)


async def test_a_grants_deployment_is_as_it_is_read(world: World) -> None:
    """With its schedules, the one that was changed last first, and whatever else it has; each that has runs among them."""
    await world.pool()
    hourly = DeploymentScheduleCreate(schedule=every(3600, world.now + timedelta(days=1)), slug="hourly", misfire=Misfire())
    nightly = DeploymentScheduleCreate(schedule=cron("0 3 * * *", "Europe/Berlin"), active=False, parameters={"n": 1.5})
    full = await world.deploy(
        "full",
        schedules=[hourly, nightly],
        concurrency_key=ConcurrencyKey(expression="{{ parameters.n }}"),
        infra_retries=InfraRetries(max=2),
        pull_steps=[{"step": {"b": 1, "a": None}}],
        parameter_openapi_schema={"type": "object", "properties": {"n": {}, "a": {}}},
        job_variables={"z": 1, "a": 2},
        tags=["é", "b"],
        version="",
    )
    plain = await world.deploy("plain")
    await world.runs(full, 2, parameters={"n": 1})
    await world.runs(full, 2, parameters={"n": 2})
    await world.runs(plain, 2)
    granted = [grant.deployment for grant in await world.grants() if grant.deployment]
    assert [it.name for it in granted] == ["full", "full", "plain", "plain"]
    for it in granted:
        found = await deployments.get(world.scope, it.id)
        assert it == found
        assert json.encode(it) == json.encode(found)  # the order of keys is the author's, and times are in UTC
    assert len(granted[0].schedules) == 2


async def test_a_granted_run_is_not_granted_again(world: World) -> None:
    await world.pool()
    run = await world.run(await world.deploy())
    assert await world.granted() == [run.id]
    assert await world.granted() == []
    assert await world.history(run) == ["Scheduled", "Pending"]


async def test_the_fence_grows_with_every_claim(world: World) -> None:
    await world.pool()
    await world.run(await world.deploy())
    fences = []
    for _ in range(3):
        [grant] = await world.grants()
        fences.append(grant.lease.fence)
        await world.give_back(grant)
    assert fences == sorted(set(fences))


# --- the order


async def test_the_order_of_starts(world: World) -> None:
    """By the queue's priority, then the run's, then its time, then its id."""
    await world.pool()
    for name in ("second", "third"):
        await world.queue(name)
    at = {name: await world.deploy(name, work_queue_name=name) for name in ("third", "default", "second")}
    expected = []
    for queue in ("default", "second", "third"):
        for priority in (5, 0, -5):
            early = await world.run(at[queue], due=-10, priority=priority)
            expected += [early, await world.run(at[queue], due=-10, priority=priority)]
            expected.append(await world.run(at[queue], due=-5, priority=priority))
    assert await world.granted() == ids(expected)


async def test_a_small_room_takes_the_first(world: World) -> None:
    """Claim by claim, the order is the same as in one."""
    await world.pool()
    await world.queue("second")
    first, second = await world.deploy("a"), await world.deploy("b", work_queue_name="second")
    runs = [await world.run(second, due=-9), await world.run(first, due=-1), await world.run(first, due=-2, priority=-1)]
    order = [await world.granted(1) for _ in range(4)]
    assert order == [[runs[1].id], [runs[2].id], [runs[0].id], []]


async def test_no_room_is_no_grant(world: World) -> None:
    """A call with room 0 only listens."""
    await world.pool()
    await world.run(await world.deploy())
    assert await world.granted(0) == []


async def test_only_the_queues_that_are_asked_for(world: World) -> None:
    """A queue that does not exist yet is made."""
    await world.pool()
    await world.queue("b")
    a, b = await world.deploy("a"), await world.deploy("b", work_queue_name="b")
    of_a, of_b = await world.run(a), await world.run(b)
    assert await world.granted(queues=["new"]) == []
    assert await world.granted(queues=["b", "new"]) == [of_b.id]
    assert await world.granted(queues=["default"]) == [of_a.id]
    assert (await work_queues.get_by_name(world.scope, "local", "new")).priority == 3


async def test_runs_of_other_pools_are_not_granted(world: World) -> None:
    await world.pool()
    await world.pool("other")
    run = await world.run(await world.deploy(work_pool_name="other"))
    assert await world.granted() == []
    assert await world.granted(pool="other") == [run.id]


# --- when


async def test_a_run_is_due_at_its_time(world: World) -> None:
    await world.pool()
    run = await world.run(await world.deploy(), due=10)
    assert await world.granted() == []
    world.clock.advance(seconds=10, microseconds=-1)
    assert await world.granted() == []
    world.clock.advance(microseconds=1)
    assert await world.granted() == [run.id]


async def test_prefetch_claims_ahead(world: World) -> None:
    """A run may be claimed so long before its time, and keeps its time; Running has to wait for it."""
    await world.pool()
    run = await world.run(await world.deploy(), due=10)
    assert await world.granted(prefetch_seconds=9.9) == []
    [grant] = await world.grants(prefetch_seconds=10)
    assert grant.flow_run.state
    assert grant.flow_run.state.state_details.scheduled_time == world.now + timedelta(seconds=10)
    result = await world.propose(grant, "RUNNING")
    assert (result.status, result.details.delay_seconds) == ("WAIT", 10)
    world.clock.advance(seconds=10)
    await world.accepted(grant, "RUNNING")
    assert (await world.get(run)).start_time == world.now


async def test_times_of_any_zone(world: World) -> None:
    """A time is an instant, however it was written."""
    await world.pool()
    it = await world.deploy()
    east = timezone(timedelta(hours=9))
    early = await world.run(it, due=(world.now - timedelta(minutes=1)).astimezone(east))
    await world.run(it, due=(world.now + timedelta(minutes=1)).astimezone(east))
    assert await world.granted() == [early.id]


# --- pauses


async def test_a_paused_pool_grants_nothing(world: World) -> None:
    """The answer says so, and that runs go on being created."""
    await world.pool(is_paused=True)
    run = await world.run(await world.deploy())
    response = await world.claim()
    assert (response.grants, response.paused) == ([], True)
    await world.change_pool(is_paused=False)
    assert await world.granted() == [run.id]


async def test_a_paused_queue_holds_back_its_own_runs_alone(world: World) -> None:
    await world.pool()
    await world.queue("b", is_paused=True)
    a, b = await world.deploy("a"), await world.deploy("b", work_queue_name="b")
    of_b, of_a = await world.run(b), await world.run(a)
    assert await world.granted() == [of_a.id]
    queue = await work_queues.get_by_name(world.scope, "local", "b")
    await work_queues.update(world.scope, queue.id, WorkQueueUpdate(is_paused=False))
    assert await world.granted() == [of_b.id]


async def test_a_paused_deployment_holds_back_its_own_runs_alone(world: World) -> None:
    """Its runs wait, even if they were asked for by hand; they start when it is resumed."""
    await world.pool()
    a, b = await world.deploy("a"), await world.deploy("b")
    of_a = await world.run(a)
    await deployments.pause(world.scope, a.id, paused=True)
    of_b = await world.run(b)
    late = await world.run(a)
    assert await world.granted() == [of_b.id]
    await deployments.pause(world.scope, a.id, paused=False)
    assert await world.granted() == [of_a.id, late.id]


# --- who


async def test_a_worker_of_another_type_is_refused(world: World) -> None:
    """Unless the pool is for everybody."""
    await world.pool()
    await world.pool("open", type="prefect-agent")
    with pytest.raises(Invalid, match="of type 'docker' cannot join pool 'local' of type 'process'") as caught:
        await world.claim(worker_type="docker")
    assert caught.value.field == "worker_type"
    assert (await world.claim(pool="open", worker_type="docker")).grants == []
    assert (await world.claim(worker_type=None)).grants == []


async def test_an_unknown_pool(world: World) -> None:
    with pytest.raises(NotFound, match='Work pool "nowhere" not found'):
        await world.claim(pool="nowhere")


async def test_a_claim_is_a_sign_of_life(world: World) -> None:
    """Of the worker, of the queues that it polls, and so of the pool."""
    await world.pool()
    await world.queue("quiet")
    world.clock.advance(seconds=7)
    await world.claim(worker="a", queues=["default"], heartbeat_interval_seconds=2.5)
    [worker] = await workers.list_page(world.scope, "local", WorkerQuery())
    about = (worker.name, worker.type, worker.heartbeat_interval_seconds, worker.last_heartbeat_time, worker.status)
    assert about == ("a", "process", 2.5, world.now, "ONLINE")
    polled: dict[str, Any] = {}
    for name in ("default", "quiet"):
        polled[name] = (await work_queues.get_by_name(world.scope, "local", name)).last_polled
    assert polled == {"default": world.now, "quiet": None}


async def test_cancelled_runs_are_told_to_their_holder(world: World) -> None:
    """Once for every claim, until the worker says that it is at it; nobody else is told."""
    await world.pool()
    await world.runs(await world.deploy(), 2)
    mine, other = await world.grants(2)
    await world.accepted(mine, "RUNNING")
    await world.accepted(mine.flow_run, "CANCELLING")
    assert (await world.claim(worker="another")).cancel == []
    assert (await world.claim()).cancel == [mine.flow_run.id]
    assert (await world.claim(cancelling=[mine.flow_run.id])).cancel == []
    await world.accepted(mine.flow_run, "CANCELLED")
    assert (await world.claim()).cancel == []
    assert (await flow_runs.get(world.scope, other.flow_run.id)).state_type is StateType.PENDING


async def test_a_run_without_a_deployment_is_granted(world: World) -> None:
    """The deployment may be gone by the time that its run starts."""
    await world.pool()
    it = await world.deploy()
    run = await world.run(it)
    await world.scope.store.write(lambda tx: tx.execute("DELETE FROM deployment"))
    [grant] = await world.grants()
    assert (grant.flow_run.id, grant.deployment, grant.job_variables) == (run.id, None, {})


async def test_a_changed_deployment_is_seen_at_once(world: World) -> None:
    """Job variables are those of the moment of the claim."""
    await world.pool()
    it = await world.deploy(job_variables={"a": 1})
    await world.run(it)
    await deployments.update(world.scope, it.id, DeploymentUpdate(job_variables={"a": 2}))
    [grant] = await world.grants()
    assert grant.job_variables == {"a": 2}
